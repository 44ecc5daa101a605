/* channels/queue/role.c - opens, closes and counts for a role (channels/queue/role.h). */
#include "channels/queue/role.h"

#include "lib/base/fail.h"

/* The longest spin, unless a handle's spin_us sets another: twice a wake-up, which took 20 to 25 us
 * where it was measured. A sleep costs both processes together that much, so a spin in vain at most
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
    int result = leat__object_check_options(options->mode, options->scope, options->permissions,
                                            options->reserved);
    if (result != LEAT_OK)
        return result;
    if (options->spin_us < LEAT_SPIN_FOREVER)
        return leat__fail(LEAT_EINVAL, 0, "spin_us %d has no meaning", (int)options->spin_us);
    if (options->capacity > LEAT_CAPACITY_MAX)
        return leat__fail(LEAT_EINVAL, 0, "capacity %llu, at most %llu",
                          (unsigned long long)options->capacity,
                          (unsigned long long)LEAT_CAPACITY_MAX);
    return LEAT_OK;
}

static void set_spin(struct leat__role *role, const leat_channel_options *options) {
    uint64_t longest = options->spin_us > 0 ? (uint64_t)options->spin_us * 1000 : SPIN_NS_MAX;
    bool spins = options->spin_us != LEAT_SPIN_NONE && leat__os_can_spin();
    role->yields = options->spin_us == LEAT_SPIN_YIELD;
    role->stays_awake = role->yields || options->spin_us == LEAT_SPIN_FOREVER;
    leat__spin_adapt(&role->spin, spins ? longest : 0);
}

static int map(struct leat__role *role) {
    int result = leat__wire_validate(&role->object.header, &role->memory.capacity);
    if (result == LEAT_OK)
        result =
            leat__object_map_private(&role->object, &role->lane->fast_limit, &role->lane->kept);
    if (result != LEAT_OK)
        return result;
    role->memory.processor = leat__processor();
    unsigned char *base = role->object.resource.memory;
    bool sends = role->kind->sends;
    role->memory.sender = (void *)(base + LEAT__SENDER_PAGE);
    role->memory.receiver = (void *)(base + LEAT__RECEIVER_PAGE);
    role->memory.ring = base + LEAT__RING;
    role->own = sends ? role->memory.sender : role->memory.receiver;
    role->peer = sends ? role->memory.receiver : role->memory.sender;
    leat__os_make_read_only(base, LEAT__PAGE);
    leat__os_make_read_only(role->peer, LEAT__PAGE);
    return LEAT_OK;
}

static int take_place(struct leat__object *object) {
    struct leat__role *role = (struct leat__role *)object;
    int result = map(role);
    return result == LEAT_OK ? role->kind->take_place(role) : result;
}

static int open_object(struct leat__role *role, const char *name, leat_scope scope,
                       const leat_channel_options *options) {
    int result = check_options(options);
    if (result != LEAT_OK)
        return result;
    const uint64_t capacity = capacity_of(options);
    struct leat__object_request request = {
        .name = name,
        .scope = scope,
        .kind = LEAT_KIND_CHANNEL,
        .mode = options->mode,
        .writable = true,
        .persistent = options->persistent,
        .permissions = options->permissions,
        .size = leat__wire_file_size(capacity),
        .initialise = leat__wire_initialise,
        .context = &capacity,
        .take_place = take_place,
    };
    role->interruptible = options->interruptible;
    role->arms = true;
    return leat__object_open(&role->object, &request);
}

int leat__role_open(struct leat__role *role, leat_lane *lane, const char *name,
                    const leat_channel_options *options, const struct leat__role_kind *kind) {
    static const leat_channel_options defaults;
    options = options != NULL ? options : &defaults;
    leat_scope scope = options->scope;
    struct leat__failure before;
    leat__failure_keep(&before);
    role->lane = lane;
    role->kind = kind;
    name = leat__name_scope(name, &scope);
    int result = open_object(role, name, scope, options);
    if (result != LEAT_OK)
        return leat__fail_about(result, "channel", name);
    set_spin(role, options);
    result = kind->attach(role);
    if (result == LEAT_OK)
        return leat__failure_settle(&before, LEAT_OK);
    leat__fail_about(result, "channel", name);
    leat__object_close(&role->object);
    return result;
}

void leat__role_close(struct leat__role *role) {
    if (role->again.memory != NULL) {
        leat__os_resource_remove(&role->again);
        leat__os_unmap(role->again.memory, role->again.memory_size, 0);
    }
    leat__object_close(&role->object);
    leat__os_watch_end(&role->watch); /* may take long: no peer waits for this role's locks */
}

int leat__role_fail_forked(void) {
    return leat__fail(LEAT_EFORKED, 0, "opened by the parent process");
}

/* --- Counting --------------------------------------------------------------------------------- */

static void add(leat__u64 *counter, uint64_t amount) {
    if (amount != 0)
        leat__store_relaxed64(counter, leat__load_relaxed64(counter) + amount);
}

void leat__role_flush(struct leat__role *role) {
    struct leat__counters *counters = &role->own->counters;
    add(&counters->messages, role->lane->messages);
    add(&counters->bytes, role->lane->bytes);
    add(&counters->stalls, role->tally.stalls);
    add(&counters->sleeps, role->tally.sleeps);
    add(&counters->wake_calls, role->tally.wake_calls);
    add(&counters->wakes, role->tally.wakes);
    add(&counters->wake_ns, role->tally.wake_ns);
    role->tally = (struct leat__tally){0};
    role->lane->messages = role->lane->bytes = 0;
}

static void note_saved(leat_statistics *statistics) {
    uint64_t messages = statistics->messages, woken = statistics->wake_calls;
    statistics->wake_calls_saved = messages > woken ? messages - woken : 0;
}

void leat__counters_read(const struct leat__counters *counters, leat_statistics *statistics) {
    *statistics = (leat_statistics){
        .messages = leat__load_relaxed64(&counters->messages),
        .bytes = leat__load_relaxed64(&counters->bytes),
        .stalls = leat__load_relaxed64(&counters->stalls),
        .sleeps = leat__load_relaxed64(&counters->sleeps),
        .wake_calls = leat__load_relaxed64(&counters->wake_calls),
        .high_water_bytes = leat__load_relaxed64(&counters->high_water),
        .wakes = leat__load_relaxed64(&counters->wakes),
        .wake_ns = leat__load_relaxed64(&counters->wake_ns),
    };
    note_saved(statistics);
}

void leat__role_statistics(const struct leat__role *role, leat_statistics *statistics) {
    leat__counters_read(&role->own->counters, statistics);
    statistics->messages += role->lane->messages;
    statistics->bytes += role->lane->bytes;
    statistics->stalls += role->tally.stalls;
    statistics->sleeps += role->tally.sleeps;
    statistics->wake_calls += role->tally.wake_calls;
    statistics->wakes += role->tally.wakes;
    statistics->wake_ns += role->tally.wake_ns;
    note_saved(statistics);
}
