/* channels/side_wake.c - announcing a sleep, and ending the peer's (channels/side.h). */
#include "channels/side.h"

/* Wakes those of a role that sleep on a watch. Each role watches for what only the other one does,
 * so that nobody wakes itself. */
static bool touch(struct leat__side *side, bool the_receiver) {
    unsigned char byte = 0;
    leat__file file = side->object.resource.file;
    const uint64_t touched = LEAT__RECEIVER_PAGE + offsetof(struct leat__role_page, touched);
    return (the_receiver ? leat__os_file_read(file, 0, &byte, 1)
                         : leat__os_file_touch(file, touched)) == LEAT_OK;
}

void leat__side_touch_senders(struct leat__side *side) {
    (void)touch(side, false);
}

static bool ring_doorbell(struct leat__side *side) {
    (void)leat__load_acquire32(&side->peer->waiting); /* [D2] */
    return leat__object_ring(&side->object, leat__load_relaxed64(&side->peer->doorbell),
                             leat__load_relaxed64(&side->peer->token));
}

void leat__side_ring_for(struct leat__side *side, uint32_t ticket) {
    if (ticket == leat__load_relaxed32(&side->own->rung))
        return;
    leat__store_relaxed64(&side->own->rung_at, leat__os_now());
    leat__increment32(&side->own->bell);
    if ((ticket & (LEAT__WATCHES | LEAT__LOOPS)) == 0)
        leat__os_wake(&side->own->bell, false);
    else if (((ticket & LEAT__LOOPS) == 0 || !ring_doorbell(side)) &&
             !touch(side, side->role->sends))
        return; /* the next call tries again */
    /* after the wake: a successor rings again if we die before */
    leat__store_relaxed32(&side->own->rung, ticket);
    side->tally.doorbells++;
}

/* Tickets are never given twice, not even by a successor: the peer remembers the last one that it
 * rang for. */
void leat__side_announce(struct leat__side *side, uint32_t how) {
    struct leat__role_page *own = side->own;
    uint32_t ticket = (leat__load_relaxed32(&own->tickets) + 1) & LEAT__TICKETS;
    ticket = ticket != 0 ? ticket : 1;
    bool displaces = leat__load_relaxed32(&own->many) != 0 &&
                     (leat__load_relaxed32(&own->waiting) & LEAT__LOOPS) != 0;
    /* another sender's loop believes that it is announced */
    if (displaces && (how & LEAT__LOOPS) == 0)
        leat__store_relaxed32(&own->loops, 1);
    leat__store_relaxed32(&own->tickets, ticket);
    leat__store_release32(&own->waiting, ticket | how); /* [D1] */
}

void leat__side_awake(struct leat__side *side) {
    leat__store_relaxed32(&side->own->waiting, 0);
}

bool leat__side_cool_peer(const struct leat__side *side) {
    /* [S3] the same in the peer, in the place of [S2] */
    return leat__load_acquire32(&side->peer->hot) == 0 || leat__os_barrier();
}

/* A thread that is cancelled while it waits: announced or not, in its turn or not. */
void leat__side_leave_wait(void *context) {
    struct leat__side *side = context;
    if (side->announces)
        leat__side_awake(side);
    if (side->leave != NULL)
        side->leave(side);
    leat__object_disturb(&side->object);
}

void leat__side_cancellation_point(struct leat__side *side) {
    leat__os_cancellation_point(leat__side_leave_wait, side);
}
