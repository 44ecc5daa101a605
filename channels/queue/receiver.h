/* channels/queue/receiver.h - a receiver's handle, shared by receiver.c (receiving) and
 * receiver_open.c (opening and closing). */
#ifndef LEAT_CHANNELS_RECEIVER_H
#define LEAT_CHANNELS_RECEIVER_H

#include "channels/queue/ring.h"
#include "channels/queue/role.h"

/* How many waits take no nap, at first, after a nap that was in vain (receiver.c,
 * nap_if_it_pays). */
#define LEAT__SUSPENSION_MIN 32

struct leat_receiver {
    struct leat__ring_receiver ring; /* first: leat/inline.h sees its lane */
    struct leat__role role;
    /* position at which waiting senders are woken and the tally is added to the page */
    uint64_t next_check_in;
    /* waits in a row that ended after a poll or two; below zero: naps are suspended */
    int quick_finds;
    int suspension; /* how long naps are suspended after one that was in vain */
    uint64_t polls; /* in vain, since the ring was emptied */
    bool napped;    /* before the messages now being received */
    /* messages delivered in place and not released; if the ring holds any, all of them are held.
     * The lane's open message is not among them (receiver.c, take_peeked) */
    size_t peeked;
    uint64_t peeked_end;   /* position behind the last of them */
    uint64_t peeked_bytes; /* their payload */
    /* while the ring holds any: what was known of the sender before the oldest of them, */
    leat_peer oldest_state;
    uint32_t oldest_seen;   /* to report again what came between, if they are peeked at again */
    uint64_t stream;        /* the last mark before the head, as LEAT__NOTED_... has it; 0: none */
    uint64_t oldest_stream; /* while the ring holds any: the last one before the oldest of them */
    uint64_t noted;         /* the content of the page's newest note */
    unsigned note;          /* which of the page's two notes that is */
};

/* The handle that a role is part of. */
static inline leat_receiver *leat__receiver_of(struct leat__role *role) {
    return (leat_receiver *)(void *)((char *)role - offsetof(leat_receiver, role));
}

/* Goes on in the stream in which the predecessor stopped. Call it while attaching, after the ring
 * was recovered (receiver.c). */
void leat__receiver_begin(leat_receiver *receiver);

#endif
