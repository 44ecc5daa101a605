/* channels/queue/role_wait.c - how senders and receivers wait: what they do in the loop of
 * lib/wake/wait.h (channels/queue/role.h). */
#include "channels/queue/role.h"

#define UNARMED_SLICE_NS UINT64_C(2000000)
#define SLICE_NS_MAX UINT64_C(60000000000)
#define SLICE_GROWTH 8

static bool is_ready(void *context) {
    struct leat__role *role = context;
    return role->wait->ready(role);
}

/* --- Slices ----------------------------------------------------------------------------------- */

/* A slice longer than the first is slept on the watch. */
static bool watches(const struct leat__role *role) {
    return role->slice_ns > LEAT__SLICE_NS;
}

/* Clears the watch before arming, so that a later touch ends the sleep at once. */
static bool asks_now(void *context) {
    struct leat__role *role = context;
    role->closed = role->slice_ns > 0 && role->watch.on && leat__os_watch_clear(&role->watch);
    return role->closed || (role->wait->reports && leat__role_page_has_event(role));
}

static void open_watch(struct leat__role *role) {
    bool receives = !role->kind->sends;
    (void)leat__os_watch_begin(&role->watch, &role->object.resource.file,
                               receives ? LEAT__TOUCH_READ : LEAT__TOUCH_WRITE);
}

/* Slices grow as long as a watch reports the peer's death. A first slice comes again, with a
 * question to the kernel before and after it, when the watch is new, or when it reported that a
 * process closed the object: the kernel may be about to drop its locks. Slices also stay first
 * slices for as long as the kernel does not answer. */
static uint64_t next_slice(struct leat__role *role, uint64_t now_ns) {
    uint64_t longer = SLICE_GROWTH * role->slice_ns;
    bool begins = role->slice_ns == 0 || now_ns - role->spin.began_ns < LEAT__SLICE_NS;
    if (!role->arms && role->slice_ns == 0)
        return UNARMED_SLICE_NS;
    if (!role->arms)
        return longer < LEAT__SLICE_NS ? longer : LEAT__SLICE_NS;
    if (begins || role->stays_awake || role->unanswered || role->closed)
        return LEAT__SLICE_NS;
    if (role->watch.on)
        return longer < SLICE_NS_MAX ? longer : SLICE_NS_MAX;
    open_watch(role); /* for the next slice; if there is no watch, slices stay short */
    return LEAT__SLICE_NS;
}

/* Asks the kernel about the peer, if that is due: once in a first slice, however short the slices
 * are. */
static int ask(void *context, uint64_t now_ns, bool last, uint64_t *again_ns) {
    struct leat__role *role = context;
    int event = leat__role_event_in_time(role, role->wait, now_ns, last || role->closed);
    if (event != LEAT_OK || last)
        return event;
    role->slice_ns = next_slice(role, now_ns);
    *again_ns = now_ns + role->slice_ns;
    if (!watches(role) && role->wait->reports && role->next_probe_ns < *again_ns)
        *again_ns = role->next_probe_ns;
    return LEAT_OK;
}

/* --- Sleeping --------------------------------------------------------------------------------- */

/* The kernel finds a futex at once where the page is mapped for writing. Where it is mapped for
 * reading only, the kernel tries writing first and then searches the mapping: 0.3 us for each
 * sleep. */
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

static void arm(void *context) {
    struct leat__role *role = context;
    role->slept_on = leat__load_acquire32(&role->peer->wake_count);
    role->reached = !role->arms || leat__role_arm(role, watches(role) ? LEAT__WATCHES : 0);
}

/* A sleep on the watch is a cancellation point itself; shorter sleeps are between two cancellation
 * points. */
static int sleep_until(void *context, uint64_t now_ns, uint64_t until_ns) {
    struct leat__role *role = context;
    if (!role->reached && now_ns + LEAT__SLICE_NS < until_ns)
        until_ns = now_ns + LEAT__SLICE_NS;
    int result = watches(role)
                     ? leat__os_watch_wait(&role->watch, until_ns, leat__role_leave_wait, role)
                     : leat__os_wait(count_to_sleep_on(role), role->slept_on, until_ns);
    uint64_t awake = leat__os_now();
    role->tally.sleeps++;
    /* woken since, and not for another sender that has the lock */
    if (role->arms && leat__load_relaxed32(&role->peer->wake_count) != role->slept_on)
        leat__role_count_wake(role, now_ns, awake);
    leat__spin_slept(&role->spin, now_ns, leat__role_came_between(role, now_ns, awake));
    return result;
}

/* Arming has overwritten the ticket of a wait set: its member becomes ready. */
static void disarm(void *context) {
    struct leat__role *role = context;
    if (!role->arms)
        return;
    leat__role_disarm(role);
    leat__object_disarmed(&role->object);
}

/* Replaces the sleep of roles that never sleep. */
static int stay_awake(void *context, uint64_t now_ns, uint64_t until_ns) {
    struct leat__role *role = context;
    (void)leat__spin_on(&role->spin, is_ready, role, now_ns, until_ns, role->yields);
    return LEAT_OK;
}

int leat__role_wait(struct leat__role *role, const struct leat__role_wait *wait,
                    uint64_t deadline_ns) {
    static const struct leat__wait_kind sleeping = {.ready = is_ready,
                                                    .asks_now = asks_now,
                                                    .ask = ask,
                                                    .arm = arm,
                                                    .sleep = sleep_until,
                                                    .disarm = disarm,
                                                    .leave = leat__role_leave_wait},
                                        awake = {.ready = is_ready,
                                                 .asks_now = asks_now,
                                                 .ask = ask,
                                                 .sleep = stay_awake,
                                                 .leave = leat__role_leave_wait};
    if (wait->ready(role))
        return LEAT_OK;
    role->tally.stalls++;
    leat__role_flush(role);
    if (deadline_ns == LEAT_NOW) {
        int reported = leat__role_event_for_poller(role, wait);
        return reported != LEAT_OK ? reported : LEAT_EAGAIN;
    }
    role->wait = wait;
    role->slice_ns = 0;
    struct leat__wait waiting = {
        .kind = role->stays_awake ? &awake : &sleeping,
        .context = role,
        .spin = &role->spin,
        .deadline_ns = deadline_ns,
        .interruptible = role->interruptible,
    };
    return leat__wait(&waiting);
}
