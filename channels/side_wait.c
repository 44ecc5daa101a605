/* channels/side_wait.c - waiting: spinning first (channels/side_spin.c), then slices of sleep
 * (channels/side.h). */
#include "channels/side.h"

#define UNANNOUNCED_SLICE_NS UINT64_C(2000000)
#define SLICE_NS_MAX UINT64_C(60000000000)
#define SLICE_GROWTH 8

/* So long a sleep is a cancellation point itself; the shorter ones are between two. */
static int sleep_on_watch(struct leat__side *side, uint64_t until_ns) {
    return leat__os_watch_wait(&side->watch, until_ns, leat__side_leave_wait, side);
}

/* A slice longer than the first is slept on the watch, which must be there and clear, and reports a
 * death. The others end when the kernel is to be asked about the peer again. */
static uint64_t end_of_slice(const struct leat__side *side, const struct leat__wait *wait,
                             uint64_t now_ns, uint64_t slice_ns) {
    uint64_t end = now_ns + slice_ns;
    return slice_ns <= LEAT__SLICE_NS && wait->tells && side->next_probe_ns < end
               ? side->next_probe_ns
               : end;
}

/* The kernel finds a futex at once where the page is mapped for writing. Where it is not, it tries
 * that first and then looks for what is wrong: 0.3 us for each sleep. */
static const leat__u32 *bell_to_sleep_on(struct leat__side *side) {
    void *again;
    if (side->bell != NULL)
        return side->bell;
    side->bell = &side->peer->bell;
    if (!leat__os_map_again(side->peer, LEAT__PAGE, &again))
        return side->bell;
    leat__os_resource_init(&side->again);
    side->again.memory = again;
    side->again.memory_size = LEAT__PAGE;
    leat__os_resource_add(&side->again);
    side->bell = &((struct leat__role_page *)again)->bell;
    return side->bell;
}

/* Begins now, and ends at `until_ns` at the latest. */
static int sleep_once(struct leat__side *side, const struct leat__wait *wait, bool watches,
                      uint64_t now_ns, uint64_t until_ns) {
    uint32_t bell = leat__load_acquire32(&side->peer->bell);
    if (side->announces)
        leat__side_announce(side, watches ? LEAT__WATCHES : 0);
    leat__fence_full(); /* [S1] the announcement before the look */
    if (!leat__side_cool_peer(side) && now_ns + LEAT__SLICE_NS < until_ns)
        until_ns = now_ns + LEAT__SLICE_NS;
    int result = LEAT_OK;
    if (!wait->ready(side)) {
        result = watches ? sleep_on_watch(side, until_ns)
                         : leat__os_wait(bell_to_sleep_on(side), bell, until_ns);
        uint64_t awake = leat__os_now();
        side->tally.sleeps++;
        /* rung since, and not for another that has its turn */
        if (side->announces && leat__load_relaxed32(&side->peer->bell) != bell)
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

/* How long to sleep after a sleep in vain: longer and longer, as long as a watch reports the peer's
 * death. A first slice again, with a question to the kernel before and after it, when the watch is
 * new, or reported that a process let go of the object: its locks may still be about to be dropped.
 * First slices too for as long as the kernel does not answer. */
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
static int wait_in_slices(struct leat__side *side, const struct leat__wait *wait, uint64_t now_ns,
                          uint64_t deadline_ns) {
    uint64_t slice_ns = side->announces ? LEAT__SLICE_NS : UNANNOUNCED_SLICE_NS;
    /* waits: each turn is a sleep of at most a slice */
    for (;; slice_ns = next_slice(side, slice_ns, now_ns)) {
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
        int woken = leat__side_stays_awake(side)
                        ? leat__side_stay_awake(side, wait, now_ns, until)
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
    leat__object_disturb(&side->object); /* what it had announced was overwritten */
    return result;
}
