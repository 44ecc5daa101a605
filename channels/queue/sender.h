/* channels/queue/sender.h - a sender's handle, shared by sender.c (sending) and sender_peer.c
 * (coming, going, and the receiver). */
#ifndef LEAT_CHANNELS_SENDER_H
#define LEAT_CHANNELS_SENDER_H

#include "channels/queue/ring.h"
#include "channels/queue/role.h"

struct leat_sender {
    struct leat__ring_sender ring; /* first: leat/inline.h sees its lane */
    struct leat__role role;
    uint64_t wanted;     /* while waiting for room: the length of the message that needs it */
    uint64_t sent_to;    /* many: behind this sender's last message */
    uint64_t opened_at;  /* behind the last mark: what is behind it are messages */
    uint64_t next_flush; /* position at which the tally goes to the page */
    bool hot;            /* publishes without a fence (channels/queue/role.h) */
    bool may_be_hot;     /* this process can be sent barriers */
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

/* Tells the channel that a sender is there: writes the mark that was owed, if there is room by
 * now. */
int leat__sender_open_mark(leat_sender *sender);

/* The same where it is still owed, by this sender or another. */
void leat__sender_pay_open_mark(leat_sender *sender);

/* Brings the page's counters up to date. */
void leat__sender_flush(leat_sender *sender);

/* From here on without a fence, if this process can be sent barriers. Only while the receiver can
 * send them. */
void leat__sender_heat_up(leat_sender *sender);

/* From here on with a fence again. */
void leat__sender_cool_down(leat_sender *sender);

/* Many senders: waits for this one's turn and takes up the ring where the last one left it. No-ops
 * for the only sender. */
int leat__sender_lock(leat_sender *sender, uint64_t deadline_ns);
void leat__sender_unlock(leat_sender *sender);

#endif
