/* channels/side.c - see channels/side.h. */
#include "channels/side.h"

#include "channels/doorbell.h"
#include "channels/presence.h"
#include "lib/fail.h"

/* The longest spin, unless a handle's options name one: twice a wake-up, which took 20 to 25 us where
 * it was measured. That is what a sleep costs both sides together, so a spin in vain at most doubles
 * the cost of a wait. */
#define SPIN_NS_MAX UINT64_C(50000)
#define UNANNOUNCED_SLICE_NS UINT64_C(2000000)
#define SLICE_NS_MAX UINT64_C(60000000000)
#define SLICE_GROWTH 8

/* --- Opening ---------------------------------------------------------------------------------------------------------- */

static uint64_t capacity_of(const leat_channel_options *options) {
    uint64_t capacity = LEAT_CAPACITY_MIN, wanted = options->capacity != 0 ? options->capacity : LEAT_CAPACITY_DEFAULT;
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
        return leat__fail(LEAT_EINVAL, 0, "capacity %llu, at most %llu", (unsigned long long)options->capacity,
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

static int open_object(struct leat__side *side, const char *name, leat_scope scope, const leat_channel_options *options) {
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

int leat__side_open(struct leat__side *side, leat_lane *lane, const char *name, const leat_channel_options *options,
                    const struct leat__role *role) {
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
    leat__object_close(&side->object);
    leat__os_watch_end(&side->watch); /* can take its time: nobody waits for this side's locks */
}

int leat__side_fail_forked(void) {
    return leat__fail(LEAT_EFORKED, 0, "opened by the parent process");
}

/* --- Peers ------------------------------------------------------------------------------------------------------------ */

static enum leat__answer peer_lives(const struct leat__side *side, uint32_t opened) {
    leat__file file = side->object.resource.file;
    return side->role->sends ? leat__receiver_lives(file, side->peer, opened)
                             : leat__senders_live(file, side->peer, opened);
}

leat_peer leat__side_peer(const struct leat__side *side) {
    uint32_t opened = leat__load_acquire32(&side->peer->opened), closed = leat__load_acquire32(&side->peer->closed);
    if (opened == closed)
        return opened == 0 ? LEAT_PEER_NONE : LEAT_PEER_CLOSED;
    enum leat__answer lives = peer_lives(side, opened);
    if (lives != LEAT__NO)
        return lives == LEAT__YES ? LEAT_PEER_PRESENT : LEAT_PEER_UNKNOWN;
    bool left = leat__load_acquire32(&side->peer->closed) == opened; /* meanwhile */
    return left ? LEAT_PEER_CLOSED : LEAT_PEER_DIED;
}

bool leat__side_finds_peer(struct leat__side *side) {
    leat_peer peer = leat__side_peer(side);
    side->unanswered = peer == LEAT_PEER_UNKNOWN;
    return peer == LEAT_PEER_PRESENT;
}

/* --- Waiting ---------------------------------------------------------------------------------------------------------- */

/* Wakes those of a role that sleep on a watch. Each role watches for what only the other one does, so that nobody wakes itself. */
static bool touch(struct leat__side *side, bool the_receiver) {
    unsigned char byte = 0;
    leat__file file = side->object.resource.file;
    const uint64_t touched = LEAT__RECEIVER_PAGE + offsetof(struct leat__role_page, touched);
    return (the_receiver ? leat__os_file_read(file, 0, &byte, 1) : leat__os_file_touch(file, touched)) == LEAT_OK;
}

void leat__side_touch_senders(struct leat__side *side) {
    (void)touch(side, false);
}

static bool ring_doorbell(struct leat__side *side) {
    (void)leat__load_acquire32(&side->peer->waiting); /* [D2] */
    return leat__object_ring(&side->object, leat__load_relaxed64(&side->peer->doorbell), leat__load_relaxed64(&side->peer->token));
}

void leat__side_ring_for(struct leat__side *side, uint32_t ticket) {
    if (ticket == leat__load_relaxed32(&side->own->rung))
        return;
    leat__store_relaxed64(&side->own->rung_at, leat__os_now());
    leat__increment32(&side->own->bell);
    if ((ticket & (LEAT__WATCHES | LEAT__LOOPS)) == 0)
        leat__os_wake(&side->own->bell, false);
    else if (((ticket & LEAT__LOOPS) == 0 || !ring_doorbell(side)) && !touch(side, side->role->sends))
        return; /* the next call tries again */
    leat__store_relaxed32(&side->own->rung, ticket); /* after the wake: a successor rings again if we die before */
    side->tally.doorbells++;
}

/* What there is to tell about the peer, and what it is known as once that is told. */
struct news {
    int code; /* LEAT_OK: nothing */
    bool unanswered; /* the kernel does not say whether the peer lives: nothing for now */
    leat_peer state;
    uint32_t seen;
};

/* Each event once. A peer that came and went unseen is told of in two steps. */
static struct news consider(const struct leat__side *side) {
    struct news news = {LEAT_OK, false, side->peer_state, side->peer_seen};
    uint32_t opened = leat__load_acquire32(&side->peer->opened);
    bool open = opened != leat__load_acquire32(&side->peer->closed);
    enum leat__answer answer = open ? peer_lives(side, opened) : LEAT__NO;
    bool lives = answer == LEAT__YES;
    uint32_t closed = leat__load_acquire32(&side->peer->closed); /* after the kernel: it can have closed and left meanwhile */
    news.unanswered = answer == LEAT__UNKNOWN;
    if (news.unanswered)
        return news;
    if (news.state == LEAT_PEER_NONE && opened != news.seen) { /* the first one is no news, but its end is */
        news.state = LEAT_PEER_PRESENT;
        news.seen = opened;
    }
    bool came = opened != news.seen;
    if (news.state == LEAT_PEER_PRESENT && (came || !lives)) {
        news.seen = came && lives ? opened - 1 : opened; /* of several that came and went, the last */
        news.state = closed == news.seen ? LEAT_PEER_CLOSED : LEAT_PEER_DIED;
        news.code = news.state == LEAT_PEER_CLOSED ? LEAT_ECLOSED : LEAT_EPEERDIED;
    } else if (news.state != LEAT_PEER_PRESENT && came) {
        news = (struct news){LEAT_EPEERBACK, false, LEAT_PEER_PRESENT, opened};
    }
    return news;
}

bool leat__side_has_news(struct leat__side *side) {
    struct news news = consider(side);
    side->unanswered = news.unanswered;
    return news.code != LEAT_OK;
}

/* LEAT_OK, or what the caller has to be told. What it waits for is looked at again after the kernel was asked, because the peer can have
 * provided it and died in between: that goes first. */
int leat__side_tell_news(struct leat__side *side, const struct leat__wait *wait) {
    if (!wait->tells)
        return LEAT_OK;
    struct news news = consider(side);
    side->unanswered = news.unanswered;
    if (wait->ready(side))
        return LEAT_OK;
    int checked = wait->check != NULL ? wait->check(side) : LEAT_OK;
    if (checked != LEAT_OK)
        return checked;
    side->peer_state = news.state;
    side->peer_seen = news.seen;
    return news.code;
}

/* For callers that poll and never wait: asking the kernel each time would cost more than the polling. */
int leat__side_news_for_poller(struct leat__side *side, const struct leat__wait *wait) {
    uint64_t now = leat__os_now(), due = side->next_probe_ns;
    if (now < due)
        return LEAT_OK;
    side->next_probe_ns = now + LEAT__SLICE_NS;
    return due == 0 ? LEAT_OK : leat__side_tell_news(side, wait);
}

bool leat__side_page_has_news(const struct leat__side *side) {
    return leat__load_acquire32(&side->peer->opened) != side->peer_seen ||
           (side->peer_state == LEAT_PEER_PRESENT && leat__load_acquire32(&side->peer->closed) == side->peer_seen);
}

/* For callers that wait: the kernel is asked once in a slice, and once more before a call gives up. */
int leat__side_news_in_time(struct leat__side *side, const struct leat__wait *wait, uint64_t now_ns, bool gives_up) {
    if (!wait->tells || (now_ns < side->next_probe_ns && !gives_up && !leat__side_page_has_news(side)))
        return LEAT_OK;
    side->next_probe_ns = now_ns + LEAT__SLICE_NS;
    return leat__side_tell_news(side, wait);
}

/* When the peer rang, if that was between these two; else 0. Its word for it is taken only where it can be true. */
uint64_t leat__side_rung_between(const struct leat__side *side, uint64_t slept_ns, uint64_t awake_ns) {
    uint64_t rung = leat__load_relaxed64(&side->peer->rung_at);
    return rung >= slept_ns && rung <= awake_ns ? rung : 0;
}

void leat__side_count_wake(struct leat__side *side, uint64_t slept_ns, uint64_t awake_ns) {
    uint64_t rung = leat__side_rung_between(side, slept_ns, awake_ns);
    if (rung == 0)
        return;
    side->tally.wakes++;
    side->tally.wake_ns += awake_ns - rung;
}

/* Tickets are never given twice, not even by a successor: the peer remembers the last one that it rang for. */
void leat__side_announce(struct leat__side *side, uint32_t how) {
    struct leat__role_page *own = side->own;
    uint32_t ticket = (leat__load_relaxed32(&own->tickets) + 1) & LEAT__TICKETS;
    ticket = ticket != 0 ? ticket : 1;
    bool displaces = leat__load_relaxed32(&own->many) != 0 && (leat__load_relaxed32(&own->waiting) & LEAT__LOOPS) != 0;
    if (displaces && (how & LEAT__LOOPS) == 0) /* another sender's loop believes that it is announced */
        leat__store_relaxed32(&own->loops, 1);
    leat__store_relaxed32(&own->tickets, ticket);
    leat__store_release32(&own->waiting, ticket | how); /* [D1] */
}

void leat__side_awake(struct leat__side *side) {
    leat__store_relaxed32(&side->own->waiting, 0);
}

bool leat__side_cool_peer(const struct leat__side *side) {
    return leat__load_acquire32(&side->peer->hot) == 0 || leat__os_barrier(); /* [S3] the same in the peer, in the place of [S2] */
}

/* A thread that is cancelled while it waits: announced or not, in its turn or not. */
static void leave_wait(void *context) {
    struct leat__side *side = context;
    if (side->announces)
        leat__side_awake(side);
    if (side->leave != NULL)
        side->leave(side);
    if (side->object.item != NULL)
        leat__doorbell_disturb(side->object.item);
}

void leat__side_cancellation_point(struct leat__side *side) {
    leat__os_cancellation_point(leave_wait, side);
}

/* So long a sleep is a cancellation point itself; the shorter ones are between two. */
static int sleep_on_watch(struct leat__side *side, uint64_t until_ns) {
    return leat__os_watch_wait(&side->watch, until_ns, leave_wait, side);
}

/* A slice longer than the first is slept on the watch, which must be there and clear, and reports a death. The others end when the
 * kernel is to be asked about the peer again. */
static uint64_t end_of_slice(const struct leat__side *side, const struct leat__wait *wait, uint64_t now_ns, uint64_t slice_ns) {
    uint64_t end = now_ns + slice_ns;
    return slice_ns <= LEAT__SLICE_NS && wait->tells && side->next_probe_ns < end ? side->next_probe_ns : end;
}

/* Begins now, and ends at `until_ns` at the latest. */
static int sleep_once(struct leat__side *side, const struct leat__wait *wait, bool watches, uint64_t now_ns, uint64_t until_ns) {
    uint32_t bell = leat__load_acquire32(&side->peer->bell);
    if (side->announces)
        leat__side_announce(side, watches ? LEAT__WATCHES : 0);
    leat__fence_full(); /* [S1] the announcement before the look */
    if (!leat__side_cool_peer(side) && now_ns + LEAT__SLICE_NS < until_ns)
        until_ns = now_ns + LEAT__SLICE_NS;
    int result = LEAT_OK;
    if (!wait->ready(side)) {
        result = watches ? sleep_on_watch(side, until_ns) : leat__os_wait(&side->peer->bell, bell, until_ns);
        uint64_t awake = leat__os_now();
        side->tally.sleeps++;
        if (side->announces && leat__load_relaxed32(&side->peer->bell) != bell) /* rung since, and not for another that has its turn */
            leat__side_count_wake(side, now_ns, awake);
        leat__side_learn_from_sleep(side, now_ns, awake);
    }
    if (side->announces)
        leat__side_awake(side);
    return result;
}

static void open_watch(struct leat__side *side) {
    bool receives = !side->role->sends;
    (void)leat__os_watch_begin(&side->watch, &side->object.resource.file,
                               receives ? LEAT__TOUCH_READ : LEAT__TOUCH_WRITE);
}

/* How long to sleep after a sleep in vain: longer and longer, as long as a watch reports the peer's death. A first slice again,
 * with a question to the kernel before and after it, when the watch is new, or reported that a process let go of the object: its
 * locks may still be about to be dropped. First slices too for as long as the kernel does not
 * answer. */
static uint64_t next_slice(struct leat__side *side, uint64_t slice_ns, uint64_t now_ns) {
    bool begins = slice_ns == LEAT__SLICE_NS && now_ns - side->wait_began_ns < LEAT__SLICE_NS;
    if (leat__side_stays_awake(side) || (side->unanswered && side->announces) || begins)
        return LEAT__SLICE_NS;
    uint64_t longer = SLICE_GROWTH * slice_ns;
    if (!side->announces)
        return longer < LEAT__SLICE_NS ? longer : LEAT__SLICE_NS;
    if (side->watch.on && !leat__os_watch_clear(&side->watch))
        return longer < SLICE_NS_MAX ? longer : SLICE_NS_MAX;
    if (!side->watch.on)
        open_watch(side); /* next time, or never if it cannot be had */
    side->next_probe_ns = 1;
    return LEAT__SLICE_NS;
}

/* The waiting itself, after the spin. */
static int wait_in_slices(struct leat__side *side, const struct leat__wait *wait, uint64_t now_ns, uint64_t deadline_ns) {
    uint64_t slice_ns = side->announces ? LEAT__SLICE_NS : UNANNOUNCED_SLICE_NS;
    for (;; slice_ns = next_slice(side, slice_ns, now_ns)) { /* waits: each turn is a sleep of at most a slice */
        leat__side_cancellation_point(side);
        int told = leat__side_news_in_time(side, wait, now_ns, now_ns >= deadline_ns);
        if (told != LEAT_OK)
            return told;
        if (wait->ready(side))
            return LEAT_OK;
        if (now_ns >= deadline_ns)
            return LEAT_ETIMEDOUT;
        uint64_t until = end_of_slice(side, wait, now_ns, slice_ns);
        until = until < deadline_ns ? until : deadline_ns;
        int woken = leat__side_stays_awake(side) ? leat__side_stay_awake(side, wait, now_ns, until)
                                                 : sleep_once(side, wait, slice_ns > LEAT__SLICE_NS, now_ns, until);
        if (wait->ready(side))
            return LEAT_OK;
        if (woken == LEAT_EINTR && side->interruptible)
            return LEAT_EINTR;
        now_ns = leat__os_now();
    }
}

int leat__side_wait(struct leat__side *side, const struct leat__wait *wait, uint64_t deadline_ns) {
    if (wait->ready(side))
        return LEAT_OK;
    side->tally.stalls++;
    leat__side_flush(side);
    if (deadline_ns == LEAT_NOW) {
        int told = leat__side_news_for_poller(side, wait);
        return told != LEAT_OK ? told : LEAT_EAGAIN;
    }
    uint64_t now = side->wait_began_ns = leat__os_now();
    int result = leat__side_spin(side, wait, &now, deadline_ns);
    if (result != LEAT_EAGAIN)
        return result;
    result = wait_in_slices(side, wait, now, deadline_ns);
    if (side->object.item != NULL)
        leat__doorbell_disturb(side->object.item); /* what it had announced was overwritten */
    return result;
}

/* --- Counting --------------------------------------------------------------------------------------------------------- */

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
