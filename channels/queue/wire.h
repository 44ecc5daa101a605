/* channels/queue/wire.h - what a channel looks like in shared memory. docs/wire-format.md is the
 * normative description.
 *
 *     offset 0        header (lib/object/header.h), one page, never written after creation
 *     offset 4096     the senders' page: written by senders only
 *     offset 8192     the receiver's page: written by the receiver only
 *     offset 12288    the ring: capacity bytes, a power of two
 *
 * A position counts bytes from the channel's creation and only grows; its offset in the ring is
 * position mod capacity. Words that different roles write are 128 bytes apart: two lines, because
 * the adjacent-line prefetcher pairs them.
 *
 * Records. A record is a header word followed by its payload. It occupies a *slot*: 16 or 32 bytes,
 * aligned to its size, or a whole number of 64-byte lines, aligned to a line. So a record that fits
 * into a line never straddles two, and a stream of equal sizes needs no padding. Where a slot
 * cannot start at the write position (a larger slot after smaller ones, or not enough room before
 * the end of the ring) a pad record fills the gap. Slots and headers are defined in leat/inline.h,
 * which callers compile too.
 */
#ifndef LEAT_CHANNELS_WIRE_H
#define LEAT_CHANNELS_WIRE_H

#include <stddef.h>

#include "channels/queue/processor.h"
#include "leat/inline.h"
#include "lib/base/shared.h"
#include "lib/object/header.h"
#include "lib/sync/lock.h"

#define LEAT__PAGE ((uint64_t)4096)
#define LEAT__RECORD_HEADER ((uint64_t)8)

/* No position reaches this (a century at 1 GB/s is less than 2^62), and the sum of two smaller
 * positions does not overflow. */
#define LEAT__POSITION_END ((uint64_t)1 << 62)

/* The last line of free space is reserved for marks, so that a sender can end the stream when the
 * ring is full. */
#define LEAT__MARK_RESERVE LEAT__LINE

#define LEAT__SENDER_PAGE LEAT__PAGE
#define LEAT__RECEIVER_PAGE (2 * LEAT__PAGE)
#define LEAT__RING (3 * LEAT__PAGE)

/* Lock bytes. LIFE and the next: exclusive, receivers alternate (channels/queue/presence.h). */
#define LEAT__LOCK_LIFE 2
#define LEAT__LOCK_RECEIVER (LEAT__FIRST_PLACE + 1) /* exclusive: the receiver */

/* Indices of leat__header.parameters. The two words behind them are zero and ignored. */
enum {
    LEAT__CAPACITY = 0,
    LEAT__SENDER_OFFSET = 1,
    LEAT__RECEIVER_OFFSET = 2,
    LEAT__RING_OFFSET = 3,
};

#define LEAT__PRESENT_WORDS ((LEAT__PARTICIPANTS_MAX + 1) / 64)

/* Counters of one role since the channel was created; only the owner of the page writes them. See
 * leat_statistics. */
struct leat__counters {
    leat__u64 messages, bytes, stalls, sleeps, wake_calls, high_water, wakes, wake_ns;
};

/* A mark that receivers have released: where it ended, and its content (LEAT__NOTED_...). */
struct leat__noted_mark {
    leat__u64 end;  /* position behind it; UINT64_MAX while the two are being changed */
    leat__u64 says; /* 0: nothing has been noted here */
};

/* A role's page. Its owner is the handle that has the role; with many senders, the one that holds
 * the lock or the gate. The other role reads and validates. */
struct leat__role_page {
    /* First: what the peer reads now and then. */
    leat__u32 wake_count; /* the owner adds 1 for each wake-up; the *peer* sleeps on it */
    /* 0: not armed. Else the ticket of this sleep: wake it once. Top bits: how the owner sleeps */
    leat__u32 waiting;
    leat__u32 woken; /* the peer's ticket that the owner woke last */
    /* how many times the role was taken (with many senders: went from no sender to some) */
    leat__u32 opened;
    /* the value of `opened` whose holder closed; equal to `opened`: the role is free */
    leat__u32 closed;
    leat__u32 many;    /* senders: 1 when they share the role */
    leat__u32 tickets; /* the last ticket given out */
    /* senders: 1 while they publish without a fence; a receiver that goes to sleep then has to
     * execute one in them */
    leat__u32 hot;
    leat__u32 plain; /* receiver: 1 when it cannot do that, and senders must fence */
    /* senders: the stream whose open mark found no room and is still to be written; 0: none */
    leat__u32 owed;
    /* when the owner last woke the peer, monotonic clock, ns: the start of the wake-up's latency */
    leat__u64 woken_at;
    /* while its owner waits in an event loop: the number of its notify socket, and the token to
     * send there */
    leat__u64 notify;
    leat__u64 token;
    unsigned char apart_0[128 - 10 * 4 - 3 * 8];
    /* Then positions. */
    /* senders: behind the last record published. Receiver: behind the last record released. */
    leat__u64 position;
    /* receiver: what the sender may write again, less the capacity; a multiple of 64, and
     * LEAT__WIPED */
    leat__u64 released;
    struct leat__noted_mark marks[2]; /* receiver: the last two marks released, in either order */
    unsigned char apart_1[128 - 2 * 8 - 2 * 16];
    struct leat__lock lock; /* senders: the one of many that may write holds it */
    /* many senders: 1 when one that waits in an event loop has to poll again after the lock is
     * released */
    leat__u32 loops;
    unsigned char apart_2[128 - sizeof(struct leat__lock) - 4];
    struct leat__counters counters;
    /* senders: a bit for each participant that has come and not closed */
    leat__u64 present[LEAT__PRESENT_WORDS];
    struct leat__lock gate; /* senders: held while one of them comes or leaves */
    leat__u64 coming;       /* senders: who is about to begin which stream: leat__coming() */
    leat__u32 lives[2];     /* receiver: the last even and odd `opened` with a lock for its life */
    unsigned char rest[LEAT__PAGE - 3 * 128 - sizeof(struct leat__counters) -
                       8 * LEAT__PRESENT_WORDS - sizeof(struct leat__lock) - 16 - 1];
    /* always 0: written to the file to wake a peer that watches for writes */
    unsigned char touched;
};

_Static_assert(sizeof(struct leat__role_page) == LEAT__PAGE, "a role has one page");
/* Flags of a ticket. WATCHES: the role is woken by touching the file. LOOPS: it is woken by sending
 * its token to its notify socket or, if that fails, by touching the file. EVENTS_ONLY, of a sender:
 * it is woken only when the receiver comes or leaves. */
#define LEAT__WATCHES UINT32_C(0x80000000)
#define LEAT__LOOPS UINT32_C(0x40000000)
#define LEAT__EVENTS_ONLY UINT32_C(0x20000000)
#define LEAT__TICKETS UINT32_C(0x1fffffff)

/* The content of a noted mark: in the lower half the stream's number, `opened`; and whether the
 * stream began or ended there. */
#define LEAT__NOTED_OPEN (UINT64_C(1) << 32)
#define LEAT__NOTED_END (UINT64_C(2) << 32)

_Static_assert(offsetof(struct leat__role_page, woken_at) == 40, "as docs/wire-format.md says");
_Static_assert(offsetof(struct leat__role_page, token) == 56, "as docs/wire-format.md says");
_Static_assert(offsetof(struct leat__role_page, position) == 128,
               "positions have lines of their own");
_Static_assert(offsetof(struct leat__role_page, marks) == 144, "as docs/wire-format.md says");
_Static_assert(offsetof(struct leat__role_page, lock) == 256, "the lock has lines of its own");
_Static_assert(offsetof(struct leat__role_page, loops) == 272, "as docs/wire-format.md says");
_Static_assert(offsetof(struct leat__role_page, counters) == 384,
               "counters have lines of their own");
_Static_assert(sizeof(struct leat__counters) == 64, "as docs/wire-format.md says");
_Static_assert(offsetof(struct leat__role_page, present) == 448, "as docs/wire-format.md says");
_Static_assert(offsetof(struct leat__role_page, gate) == 960, "as docs/wire-format.md says");
_Static_assert(offsetof(struct leat__role_page, coming) == 976, "as docs/wire-format.md says");
_Static_assert(offsetof(struct leat__role_page, lives) == 984, "as docs/wire-format.md says");
_Static_assert(offsetof(struct leat__role_page, touched) == 4095, "as docs/wire-format.md says");

/* The content of `coming`: this participant is about to begin this stream. */
static inline uint64_t leat__coming(uint32_t stream, unsigned participant) {
    return (uint64_t)stream << 16 | participant;
}

/* The longest message. With a pad in front of it, it must fit into an empty ring at any write
 * position. */
static inline uint64_t leat__max_message(uint64_t capacity) {
    return capacity / 2 - LEAT__LINE - LEAT__RECORD_HEADER;
}

/* --- The three parts as one handle has them mapped -------------------------------------------- */

struct leat__ring_memory {
    struct leat__role_page *sender, *receiver;
    unsigned char *ring;
    uint64_t capacity;                       /* private copy: the header is read once only */
    const struct leat__processor *processor; /* which role touches lines early */
};

static inline leat__u64 *leat__word_at(const struct leat__ring_memory *memory, uint64_t position) {
    return (leat__u64 *)(void *)(memory->ring + (position & (memory->capacity - 1)));
}

/* Fills the file of a new channel. capacity: a uint64_t. */
int leat__wire_initialise(leat__file file, const void *capacity);

/* Checks the header's parameters and returns the capacity in *capacity. LEAT_ECORRUPT. */
int leat__wire_validate(const struct leat__header *header, uint64_t *capacity);

/* The size of a channel's file. */
static inline uint64_t leat__wire_file_size(uint64_t capacity) {
    return LEAT__RING + capacity;
}

#endif
