/* channels/side.c - a side's coming and going, and what it counts (channels/side.h). */
#include "channels/side.h"

#include "lib/base/fail.h"

/* The longest spin, unless a handle's options name one: twice a wake-up, which took 20 to 25 us
 * where it was measured. That is what a sleep costs both sides together, so a spin in vain at most
 * doubles the cost of a wait. */
#define SPIN_NS_MAX UINT64_C(50000)

/* --- Opening ---------------------------------------------------------------------------------- */

static uint64_t capacity_of(const leat_channel_options *options) {
    uint64_t capacity = LEAT_CAPACITY_MIN,
             wanted = options->capacity != 0 ? options->capacity : LEAT_CAPACITY_DEFAULT;
    while (capacity < wanted && capacity < LEAT_CAPACITY_MAX)
        capacity *= 2;
    return capacity;
}

static int check_options(const leat_channel_options *options) {
    int result = leat__object_check_options(options->way, options->scope, options->permissions);
    if (result != LEAT_OK)
        return result;
    if ((unsigned)options->waiting > LEAT_WAITING_SPIN)
        return leat__fail(LEAT_EINVAL, 0, "an option has no meaning");
    if (options->capacity > LEAT_CAPACITY_MAX)
        return leat__fail(LEAT_EINVAL, 0, "capacity %llu, at most %llu",
                          (unsigned long long)options->capacity,
                          (unsigned long long)LEAT_CAPACITY_MAX);
    return LEAT_OK;
}

static void set_spin(struct leat__side *side, const leat_channel_options *options) {
    side->waiting = options->waiting;
    if (options->spin_us >= 0 && options->waiting != LEAT_WAITING_SLEEP && leat__os_can_spin())
        side->spin_ns_max = options->spin_us == 0 ? SPIN_NS_MAX : (uint64_t)options->spin_us * 1000;
    leat__side_begin_spinning(side);
}

static int map(struct leat__side *side) {
    int result = leat__wire_validate(&side->object.header, &side->memory.capacity);
    if (result == LEAT_OK)
        result = leat__object_map_private(&side->object, &side->lane->window, &side->lane->kept);
    if (result != LEAT_OK)
        return result;
    side->memory.processor = leat__processor();
    unsigned char *base = side->object.resource.memory;
    bool sends = side->role->sends;
    side->memory.sender = (void *)(base + LEAT__SENDER_PAGE);
    side->memory.receiver = (void *)(base + LEAT__RECEIVER_PAGE);
    side->memory.ring = base + LEAT__RING;
    side->own = sends ? side->memory.sender : side->memory.receiver;
    side->peer = sends ? side->memory.receiver : side->memory.sender;
    leat__os_make_read_only(base, LEAT__PAGE);
    leat__os_make_read_only(side->peer, LEAT__PAGE);
    return LEAT_OK;
}

static int take_place(struct leat__object *object) {
    struct leat__side *side = (struct leat__side *)object;
    int result = map(side);
    return result == LEAT_OK ? side->role->take_place(side) : result;
}

static int open_object(struct leat__side *side, const char *name, leat_scope scope,
                       const leat_channel_options *options) {
    int result = check_options(options);
    if (result != LEAT_OK)
        return result;
    const uint64_t capacity = capacity_of(options);
    struct leat__object_request request = {
        .name = name,
        .scope = scope,
        .kind = LEAT_KIND_CHANNEL,
        .way = options->way,
        .writable = true,
        .persistent = options->persistent,
        .permissions = options->permissions,
        .size = leat__wire_file_size(capacity),
        .initialise = leat__wire_initialise,
        .context = &capacity,
        .take_place = take_place,
    };
    side->interruptible = options->interruptible;
    side->announces = true;
    return leat__object_open(&side->object, &request);
}

int leat__side_open(struct leat__side *side, leat_lane *lane, const char *name,
                    const leat_channel_options *options, const struct leat__role *role) {
    static const leat_channel_options defaults;
    options = options != NULL ? options : &defaults;
    leat_scope scope = options->scope;
    side->lane = lane;
    side->role = role;
    name = leat__name_scope(name, &scope);
    int result = open_object(side, name, scope, options);
    if (result != LEAT_OK)
        return leat__fail_about(result, "channel", name);
    set_spin(side, options);
    result = role->attach(side);
    if (result == LEAT_OK)
        return LEAT_OK;
    leat__fail_about(result, "channel", name);
    leat__object_close(&side->object);
    return result;
}

void leat__side_close(struct leat__side *side) {
    if (side->again.memory != NULL) {
        leat__os_resource_remove(&side->again);
        leat__os_unmap(side->again.memory, side->again.memory_size, 0);
    }
    leat__object_close(&side->object);
    leat__os_watch_end(&side->watch); /* can take its time: nobody waits for this side's locks */
}

int leat__side_fail_forked(void) {
    return leat__fail(LEAT_EFORKED, 0, "opened by the parent process");
}

/* --- Counting --------------------------------------------------------------------------------- */

static void add(leat__u64 *counter, uint64_t amount) {
    if (amount != 0)
        leat__store_relaxed64(counter, leat__load_relaxed64(counter) + amount);
}

void leat__side_flush(struct leat__side *side) {
    struct leat__counters *counters = &side->own->counters;
    add(&counters->messages, side->lane->messages);
    add(&counters->bytes, side->lane->bytes);
    add(&counters->stalls, side->tally.stalls);
    add(&counters->sleeps, side->tally.sleeps);
    add(&counters->doorbells, side->tally.doorbells);
    add(&counters->wakes, side->tally.wakes);
    add(&counters->wake_ns, side->tally.wake_ns);
    side->tally = (struct leat__tally){0};
    side->lane->messages = side->lane->bytes = 0;
}

static void note_saved(leat_statistics *statistics) {
    uint64_t messages = statistics->messages, rung = statistics->doorbells_rung;
    statistics->doorbells_saved = messages > rung ? messages - rung : 0;
}

void leat__counters_read(const struct leat__counters *counters, leat_statistics *statistics) {
    *statistics = (leat_statistics){
        .messages = leat__load_relaxed64(&counters->messages),
        .bytes = leat__load_relaxed64(&counters->bytes),
        .stalls = leat__load_relaxed64(&counters->stalls),
        .sleeps = leat__load_relaxed64(&counters->sleeps),
        .doorbells_rung = leat__load_relaxed64(&counters->doorbells),
        .high_water_bytes = leat__load_relaxed64(&counters->high_water),
        .wakes = leat__load_relaxed64(&counters->wakes),
        .wake_ns = leat__load_relaxed64(&counters->wake_ns),
    };
    note_saved(statistics);
}

void leat__side_statistics(const struct leat__side *side, leat_statistics *statistics) {
    leat__counters_read(&side->own->counters, statistics);
    statistics->messages += side->lane->messages;
    statistics->bytes += side->lane->bytes;
    statistics->stalls += side->tally.stalls;
    statistics->sleeps += side->tally.sleeps;
    statistics->doorbells_rung += side->tally.doorbells;
    statistics->wakes += side->tally.wakes;
    statistics->wake_ns += side->tally.wake_ns;
    note_saved(statistics);
}
