/* channels/waitset/member.c - see channels/waitset/member.h. */
#include "channels/waitset/member.h"

#include "channels/queue/receiver.h"
#include "channels/queue/sender.h"

/* another sender has released the lock by then, unless it waits for room or was stopped */
#define LOCK_WITHIN_NS 20000

int leat__member_set_notify(struct leat__member *member, uint64_t waitset, uint64_t token) {
    if (member->waitable != NULL)
        return leat__sync_listen(member->waitable, waitset, token);
    if (member->many)
        return LEAT_OK; /* the file is touched */
    leat__store_relaxed64(&member->role->own->notify, waitset);
    leat__store_relaxed64(&member->role->own->token, token);
    return LEAT_OK;
}

void leat__member_do_without_notify(struct leat__member *member) {
    if (member->waitable != NULL)
        leat__sync_listen_elsewhere(member->waitable, 0);
    else if (!member->many)
        leat__store_relaxed64(&member->role->own->notify, 0);
}

void leat__member_disarm(struct leat__member *member) {
    if (member->waitable != NULL)
        leat__sync_disarm(member->waitable);
    else if (!member->many)
        leat__role_disarm(member->role);
}

/* --- Polling ---------------------------------------------------------------------------------- */

/* With the lock, if it is one of many. */
static bool has_room(struct leat__member *member) {
    if (!member->wants_room ||
        !leat__ring_has_room(&leat__sender_of(member->role)->ring, member->room))
        return false;
    member->wants_room = false; /* reported once; an event leaves the wish as it is */
    return true;
}

static bool has_event(struct leat__member *member) {
    struct leat__role *role = member->role;
    bool reported = leat__role_page_has_event(role);
    if ((!reported && !member->asks) || !leat__role_has_event(role))
        return false;
    role->next_probe_ns = 1; /* the next call reports it, even with LEAT_NOW */
    return true;
}

/* A sender's first receiver is no event, but a program with a sender in a loop wants to know of it:
 * the member becomes ready for it once. */
static bool meets(struct leat__member *member) {
    const struct leat__role *role = member->role;
    if (member->receives || member->met || role->peer_state != LEAT_PEER_NONE ||
        leat__load_acquire32(&role->peer->opened) == role->peer_seen)
        return false;
    member->met = true;
    return true;
}

static bool has_message(const struct leat__member *member) {
    const struct leat__ring_receiver *ring = &leat__receiver_of(member->role)->ring;
    return leat__ring_has(ring, ring->lane.position);
}

/* LEAT_OK: it has the lock. LEAT_EAGAIN: another sender has it. Else there is an error, which the
 * next call will report. */
static int take_lock(struct leat__member *member, uint64_t within_ns, bool *taken) {
    leat_sender *sender = leat__sender_of(member->role);
    *taken = !sender->has_lock;
    int result = leat__sender_lock(sender, within_ns == 0 ? LEAT_NOW : leat__os_now() + within_ns);
    *taken = *taken && result == LEAT_OK;
    return result == LEAT_ETIMEDOUT || result == LEAT_EINTR ? LEAT_EAGAIN : result;
}

/* There is an error. A sender that wants room becomes ready once, and gets the error when it tries.
 * For other senders the error means nothing. */
static bool gives_up_wish(struct leat__member *member) {
    bool wanted = member->wants_room;
    member->wants_room = false;
    return wanted;
}

static void unlock(struct leat__member *member, bool taken) {
    if (taken) /* else a reservation goes on */
        leat__sender_unlock(leat__sender_of(member->role));
}

/* One of many senders, without arming. */
static bool finds_room_locked(struct leat__member *member) {
    bool taken;
    if (!member->wants_room)
        return false;
    int result = take_lock(member, 0, &taken);
    bool room =
        result == LEAT_OK ? has_room(member) : result != LEAT_EAGAIN && gives_up_wish(member);
    unlock(member, taken);
    return room;
}

/* The next thing may come soon. */
static void begin_anew(struct leat__member *member) {
    member->idle_since_ns = member->armed_at_ns = 0;
    member->active = true;
}

static void learn(struct leat__member *member) {
    if (member->role != NULL && member->idle_since_ns != 0)
        leat__role_learn(member->role, member->idle_since_ns, member->armed_at_ns);
    begin_anew(member);
}

void leat__member_want_room(struct leat__member *member, size_t size) {
    member->wants_room = true;
    member->room = size;
    begin_anew(member);
}

static bool poll_once(struct leat__member *member) {
    if (member->waitable != NULL) {
        enum leat__answer answer = leat__sync_obtainable(member->waitable, member->asks);
        member->unanswered = answer == LEAT__UNKNOWN;
        return answer == LEAT__YES;
    }
    if (member->receives ? has_message(member)
        : member->many   ? finds_room_locked(member)
                         : has_room(member))
        return true;
    return meets(member) || has_event(member);
}

bool leat__member_is_ready(struct leat__member *member) {
    bool something = poll_once(member);
    if (something)
        learn(member);
    return something;
}

bool leat__member_is_unanswered(const struct leat__member *member) {
    return member->role != NULL ? member->role->unanswered : member->unanswered;
}

bool leat__member_stays_awake(struct leat__member *member) {
    struct leat__role *role = member->role;
    if (role == NULL || role->stays_awake)
        return role != NULL;
    if (role->spin.ns == 0 || !member->active || member->armed_at_ns != 0 ||
        (!member->receives && !member->wants_room))
        return false;
    uint64_t now = leat__os_now();
    if (member->idle_since_ns == 0)
        member->idle_since_ns = now;
    return now - member->idle_since_ns < role->spin.ns;
}

/* --- Arming ----------------------------------------------------------------------------------- */

/* Another sender may want room, and arming overwrites its ticket. Not if that ticket was woken:
 * then the other sender polls, and arms again. */
static bool another_wants_room(const struct leat__member *member) {
    const struct leat__role *role = member->role;
    uint32_t ticket = leat__load_relaxed32(&role->own->waiting);
    return member->many && (ticket & LEAT__LOOPS) != 0 && (ticket & LEAT__EVENTS_ONLY) == 0 &&
           leat__load_acquire32(&role->peer->woken) != ticket; /* noted after the touch */
}

static void arm_role(struct leat__member *member) {
    bool events_only = !member->receives && !member->wants_room && !another_wants_room(member);
    uint32_t how = LEAT__WATCHES | LEAT__LOOPS | (events_only ? LEAT__EVENTS_ONLY : 0);
    if (!leat__role_arm(member->role, how) && member->rechecks == 0)
        member->rechecks = 1;
}

/* One of many senders: arms and polls with the lock; or the holder of the lock will make it poll
 * again. */
static bool arm_locked(struct leat__member *member) {
    bool taken;
    int result = take_lock(member, LOCK_WITHIN_NS, &taken);
    if (result == LEAT_EAGAIN) {
        leat__store_relaxed32(&member->role->own->loops, 1);
        leat__fence_full(); /* [M1] the wish before the second try of the lock */
        result = take_lock(member, 0, &taken);
    }
    if (result == LEAT_EAGAIN)
        return meets(member) || has_event(member);
    if (result != LEAT_OK)
        return gives_up_wish(member) || meets(member) || has_event(member);
    arm_role(member);
    bool something = has_room(member);
    unlock(member, taken);
    return something || meets(member) || has_event(member);
}

static bool arm_and_poll(struct leat__member *member) {
    if (member->many)
        return arm_locked(member);
    if (member->role != NULL) {
        arm_role(member);
        return poll_once(member);
    }
    leat__sync_arm(member->waitable);
    leat__fence_full(); /* [L7] the listener's bit before the poll */
    return poll_once(member);
}

bool leat__member_arm_and_poll(struct leat__member *member) {
    bool something = arm_and_poll(member);
    if (something) {
        leat__member_disarm(member);
        learn(member);
    } else if (member->idle_since_ns != 0 && member->armed_at_ns == 0)
        member->armed_at_ns = leat__os_now();
    return something;
}
