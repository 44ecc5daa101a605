/* channels/queue/sender.h - a sender's handle, shared by sender.c (sending) and sender_peer.c
 * (opening, closing, and the receiver). */
#ifndef LEAT_CHANNELS_SENDER_H
#define LEAT_CHANNELS_SENDER_H

#include "channels/queue/ring.h"
#include "channels/queue/role.h"

struct leat_sender {
    struct leat__ring_sender ring; /* first: leat/inline.h sees its lane */
    struct leat__role role;
    uint64_t wanted;     /* while waiting for room: the length of the message that needs it */
    uint64_t sent_to;    /* many: behind this sender's last message */
    uint64_t opened_at;  /* behind the last mark; only messages follow */
    uint64_t next_flush; /* position at which the tally is added to the page */
    bool hot;            /* publishes without a fence (channels/queue/role.h) */
    bool may_be_hot;     /* this process can receive barriers */
    bool reserving;      /* on the slow path; a reservation of the fast path is in the lane */
    bool owes_open_mark; /* the ring was full when this sender came */
    bool many;
    bool has_lock;        /* many: holds the lock */
    unsigned participant; /* this sender's identity in the senders' lock and gate */
};

/* The handle that a role is part of. */
static inline leat_sender *leat__sender_of(struct leat__role *role) {
    return (leat_sender *)(void *)((char *)role - offsetof(leat_sender, role));
}

/* Writes the stream's open mark, if there is room by now; else it stays owed. */
int leat__sender_open_mark(leat_sender *sender);

/* The same if the mark is still owed, by this sender or another. */
void leat__sender_pay_open_mark(leat_sender *sender);

/* Brings the page's counters up to date. */
void leat__sender_flush(leat_sender *sender);

/* Makes the sender hot: it publishes without a fence from now on, if this process can receive
 * barriers. Only while the receiver can send them. */
void leat__sender_heat_up(leat_sender *sender);

/* Makes the sender publish with a fence again. */
void leat__sender_cool_down(leat_sender *sender);

/* Many senders: takes or releases the senders' lock. With the lock, the sender goes on in the ring
 * where the last holder stopped. No-ops for the only sender. */
int leat__sender_lock(leat_sender *sender, uint64_t deadline_ns);
void leat__sender_unlock(leat_sender *sender);

#endif
