/* channels/queue/role_wait.c - waiting: spinning first (channels/queue/role_spin.c), then slices of
 * sleep (channels/queue/role.h). */
#include "channels/queue/role.h"

#define UNANNOUNCED_SLICE_NS UINT64_C(2000000)
#define SLICE_NS_MAX UINT64_C(60000000000)
#define SLICE_GROWTH 8

/* So long a sleep is a cancellation point itself; the shorter ones are between two. */
static int sleep_on_watch(struct leat__role *role, uint64_t until_ns) {
    return leat__os_watch_wait(&role->watch, until_ns, leat__role_leave_wait, role);
}

/* A slice longer than the first is slept on the watch, which must be there and clear, and reports a
 * death. The others end when the kernel is to be asked about the peer again. */
static uint64_t end_of_slice(const struct leat__role *role, const struct leat__wait *wait,
                             uint64_t now_ns, uint64_t slice_ns) {
    uint64_t end = now_ns + slice_ns;
    return slice_ns <= LEAT__SLICE_NS && wait->reports && role->next_probe_ns < end
               ? role->next_probe_ns
               : end;
}

/* The kernel finds a futex at once where the page is mapped for writing. Where it is not, it tries
 * that first and then looks for what is wrong: 0.3 us for each sleep. */
static const leat__u32 *count_to_sleep_on(struct leat__role *role) {
    void *again;
    if (role->wake_count != NULL)
        return role->wake_count;
    role->wake_count = &role->peer->wake_count;
    if (!leat__os_map_again(role->peer, LEAT__PAGE, &again))
        return role->wake_count;
    leat__os_resource_init(&role->again);
    role->again.memory = again;
    role->again.memory_size = LEAT__PAGE;
    leat__os_resource_add(&role->again);
    role->wake_count = &((struct leat__role_page *)again)->wake_count;
    return role->wake_count;
}

/* Begins now, and ends at `until_ns` at the latest. */
static int sleep_once(struct leat__role *role, const struct leat__wait *wait, bool watches,
                      uint64_t now_ns, uint64_t until_ns) {
    uint32_t wake_count = leat__load_acquire32(&role->peer->wake_count);
    if (role->arms)
        leat__role_arm(role, watches ? LEAT__WATCHES : 0);
    leat__fence_full(); /* [S1] the announcement before the look */
    if (!leat__role_cool_peer(role) && now_ns + LEAT__SLICE_NS < until_ns)
        until_ns = now_ns + LEAT__SLICE_NS;
    int result = LEAT_OK;
    if (!wait->ready(role)) {
        result = watches ? sleep_on_watch(role, until_ns)
                         : leat__os_wait(count_to_sleep_on(role), wake_count, until_ns);
        uint64_t awake = leat__os_now();
        role->tally.sleeps++;
        /* rung since, and not for another that has its turn */
        if (role->arms && leat__load_relaxed32(&role->peer->wake_count) != wake_count)
            leat__role_count_wake(role, now_ns, awake);
        leat__role_learn_from_sleep(role, now_ns, awake);
    }
    if (role->arms)
        leat__role_disarm(role);
    return result;
}

static void open_watch(struct leat__role *role) {
    bool receives = !role->kind->sends;
    (void)leat__os_watch_begin(&role->watch, &role->object.resource.file,
                               receives ? LEAT__TOUCH_READ : LEAT__TOUCH_WRITE);
}

/* How long to sleep after a sleep in vain: longer and longer, as long as a watch reports the peer's
 * death. A first slice again, with a question to the kernel before and after it, when the watch is
 * new, or reported that a process let go of the object: its locks may still be about to be dropped.
 * First slices too for as long as the kernel does not answer. */
static uint64_t next_slice(struct leat__role *role, uint64_t slice_ns, uint64_t now_ns) {
    bool begins = slice_ns == LEAT__SLICE_NS && now_ns - role->wait_began_ns < LEAT__SLICE_NS;
    if (leat__role_stays_awake(role) || (role->unanswered && role->arms) || begins)
        return LEAT__SLICE_NS;
    uint64_t longer = SLICE_GROWTH * slice_ns;
    if (!role->arms)
        return longer < LEAT__SLICE_NS ? longer : LEAT__SLICE_NS;
    if (role->watch.on && !leat__os_watch_clear(&role->watch))
        return longer < SLICE_NS_MAX ? longer : SLICE_NS_MAX;
    if (!role->watch.on)
        open_watch(role); /* next time, or never if it cannot be had */
    role->next_probe_ns = 1;
    return LEAT__SLICE_NS;
}

/* The waiting itself, after the spin. */
static int wait_in_slices(struct leat__role *role, const struct leat__wait *wait, uint64_t now_ns,
                          uint64_t deadline_ns) {
    uint64_t slice_ns = role->arms ? LEAT__SLICE_NS : UNANNOUNCED_SLICE_NS;
    /* waits: each turn is a sleep of at most a slice */
    for (;; slice_ns = next_slice(role, slice_ns, now_ns)) {
        leat__role_cancellation_point(role);
        int reported = leat__role_event_in_time(role, wait, now_ns, now_ns >= deadline_ns);
        if (reported != LEAT_OK)
            return reported;
        if (wait->ready(role))
            return LEAT_OK;
        if (now_ns >= deadline_ns)
            return LEAT_ETIMEDOUT;
        uint64_t until = end_of_slice(role, wait, now_ns, slice_ns);
        until = until < deadline_ns ? until : deadline_ns;
        int woken = leat__role_stays_awake(role)
                        ? leat__role_stay_awake(role, wait, now_ns, until)
                        : sleep_once(role, wait, slice_ns > LEAT__SLICE_NS, now_ns, until);
        if (wait->ready(role))
            return LEAT_OK;
        if (woken == LEAT_EINTR && role->interruptible)
            return LEAT_EINTR;
        now_ns = leat__os_now();
    }
}

int leat__role_wait(struct leat__role *role, const struct leat__wait *wait, uint64_t deadline_ns) {
    if (wait->ready(role))
        return LEAT_OK;
    role->tally.stalls++;
    leat__role_flush(role);
    if (deadline_ns == LEAT_NOW) {
        int reported = leat__role_event_for_poller(role, wait);
        return reported != LEAT_OK ? reported : LEAT_EAGAIN;
    }
    uint64_t now = role->wait_began_ns = leat__os_now();
    int result = leat__role_spin(role, wait, &now, deadline_ns);
    if (result != LEAT_EAGAIN)
        return result;
    result = wait_in_slices(role, wait, now, deadline_ns);
    leat__object_disarmed(&role->object); /* what it had announced was overwritten */
    return result;
}
