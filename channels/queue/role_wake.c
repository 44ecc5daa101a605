/* channels/queue/role_wake.c - arming, and waking the peer (channels/queue/role.h). */
#include "channels/queue/role.h"
#include "lib/wake/notify.h"

#define TOUCHED (LEAT__RECEIVER_PAGE + offsetof(struct leat__role_page, touched))

void leat__role_touch_senders(struct leat__role *role) {
    static const struct leat__sleeper watching = {.place = LEAT__ON_WATCH};
    (void)leat__wake(&role->object, &watching, 1, LEAT__TOUCH_WRITE, TOUCHED);
}

static enum leat__sleep_place place_of(uint32_t ticket) {
    if ((ticket & LEAT__LOOPS) != 0)
        return LEAT__IN_LOOP;
    return (ticket & LEAT__WATCHES) != 0 ? LEAT__ON_WATCH : LEAT__ON_WORD;
}

/* Each role watches for the kind of touch that only the other role makes, so that no handle wakes
 * itself. */
static bool wake_peer(struct leat__role *role, uint32_t ticket) {
    struct leat__sleeper sleeper = {.place = place_of(ticket), .word = &role->own->wake_count};
    if (sleeper.place == LEAT__IN_LOOP) {
        (void)leat__load_acquire32(&role->peer->waiting); /* [D2] */
        sleeper.notify = leat__load_relaxed64(&role->peer->notify);
        sleeper.token = leat__load_relaxed64(&role->peer->token);
    }
    return leat__wake(&role->object, &sleeper, 1,
                      role->kind->sends ? LEAT__TOUCH_READ : LEAT__TOUCH_WRITE, TOUCHED);
}

void leat__role_wake_for(struct leat__role *role, uint32_t ticket) {
    if (ticket == leat__load_relaxed32(&role->own->woken))
        return;
    leat__store_relaxed64(&role->own->woken_at, leat__os_now());
    leat__increment32(&role->own->wake_count);
    if (!wake_peer(role, ticket))
        return; /* the next call tries again */
    /* after the wake: a successor wakes again if we die before */
    leat__store_relaxed32(&role->own->woken, ticket);
    role->tally.wake_calls++;
}

/* Tickets are never given twice, not even by a successor: the peer remembers the last one that it
 * woke for. */
static void announce(struct leat__role_page *own, uint32_t how) {
    uint32_t ticket = (leat__load_relaxed32(&own->tickets) + 1) & LEAT__TICKETS;
    ticket = ticket != 0 ? ticket : 1;
    bool displaces = leat__load_relaxed32(&own->many) != 0 &&
                     (leat__load_relaxed32(&own->waiting) & LEAT__LOOPS) != 0;
    /* another sender's loop has armed, and its ticket is overwritten */
    if (displaces && (how & LEAT__LOOPS) == 0)
        leat__store_relaxed32(&own->loops, 1);
    leat__store_relaxed32(&own->tickets, ticket);
    leat__store_release32(&own->waiting, ticket | how); /* [D1] */
}

bool leat__role_arm(struct leat__role *role, uint32_t how) {
    announce(role->own, how);
    leat__fence_full(); /* [S1] the ticket before the poll */
    /* [S3] the same in a hot peer, in the place of [S2] */
    return leat__load_acquire32(&role->peer->hot) == 0 || leat__os_barrier();
}

void leat__role_disarm(struct leat__role *role) {
    leat__store_relaxed32(&role->own->waiting, 0);
}

void leat__role_learn(struct leat__role *role, uint64_t began_ns, uint64_t slept_ns) {
    uint64_t came =
        slept_ns != 0 ? leat__role_came_between(role, slept_ns, leat__os_now()) : began_ns;
    leat__spin_learn(&role->spin, began_ns, slept_ns, came);
}

/* For a thread that is cancelled while it waits: armed or not, with the senders' lock or
 * without. */
void leat__role_leave_wait(void *context) {
    struct leat__role *role = context;
    if (role->arms)
        leat__role_disarm(role);
    if (role->leave != NULL)
        role->leave(role);
    leat__object_disarmed(&role->object);
}

void leat__role_cancellation_point(struct leat__role *role) {
    leat__os_cancellation_point(leat__role_leave_wait, role);
}
