/* channels/queue/ring.h - the ring: one sender, one receiver, records of any length, no system
 * calls, no allocation, no locks.
 *
 * In-band commit. The receiver polls the header word of the record it expects. The sender writes a
 * record's payload first and its header word last, with one release store. That store is the
 * commit: before it the record does not exist, after it the record is whole. The receiver reads no
 * index to find a message, and a crash leaves nothing to repair.
 *
 * Invariants, in terms of positions (channels/queue/wire.h):
 *   I1  the word at the write position is no header of that position (leat__is_header); so the
 *       ring is never full to the last byte;
 *   I2  what the sender may write ends at released + capacity; only the receiver touches the lines
 *       between released and its position.
 * Free space may hold anything else. The sender keeps I1: before it publishes a record, it makes
 * sure that the word behind the record is no header. In the record's own line it stores a zero.
 * Where the next line starts it probes, a stretch of lines at a time, and stores a zero if the word
 * is a header of its position. That is rare in small rings, but not impossible: a batch that was
 * never published, payload, and in rings of 256 MiB and more each header of the lap before.
 *
 * On some processors a receiver wipes what it has consumed. Lines that it has written to come back
 * to the sender as a pipeline; a line that it has only read must be invalidated first, one at a
 * time. Such a receiver promises so when it hands lines back (LEAT__WIPED), once it has wiped a
 * whole lap, or all that was ever released. With that promise a sender need not probe where no
 * sender has written since. On other processors the sender fetches lines early.
 * channels/queue/processor.h chooses; what is delivered does not depend on it. docs/decisions/0001
 * and 0016 have the measurements.
 *
 * Order of the receiver's release: note the new position, then wipe, then hand the lines back. So a
 * sender that finds no header where it expects a record learns from the receiver's position whether
 * the record is gone or was never there.
 *
 * Crash points, sender. While staging: the first header is withheld, so nothing exists. What was
 * written lies in free space, and the next sender probes all of it. Between commit and noting the
 * position: the next sender walks over the records from the noted position to find the end.
 * Crash points, receiver. Before its position is noted: the record is delivered again, to its
 * successor. Between that and the hand-back: the successor hands the lines back, without the
 * promise.
 *
 * Trust. A handle never reads back what it has written itself, except when it attaches. Words of
 * the peer are loaded once, checked, then used. A word that no correct peer writes makes the handle
 * corrupt for good. Progress: every function is wait-free.
 */
#ifndef LEAT_CHANNELS_RING_H
#define LEAT_CHANNELS_RING_H

#include "channels/queue/wire.h"
#include "leat/error.h"

/* Never 0; stands in for a lane's `waiting` while a sender is not hot, so that it calls
 * leat_sender_wake, which fences, after each commit. */
extern const uint32_t leat__lane_always[1];

/* The lane (leat/inline.h) of the role whose page is `own`, with the fast path closed. */
static inline leat_lane leat__lane(const struct leat__ring_memory *memory,
                                   struct leat__role_page *own) {
    return (leat_lane){
        .mask = memory->capacity - 1,
        .max = leat__max_message(memory->capacity),
        .ring = memory->ring,
        .noted = (uint64_t *)(void *)&own->position,
        .waiting = leat__lane_always,
        .piece = memory->processor->piece != 0 ? memory->processor->piece : UINT64_MAX,
    };
}

/* The position up to which a receiver has handed lines back, from its page, without the promise. */
static inline uint64_t leat__ring_released(const struct leat__role_page *receiver) {
    return leat__load_acquire64(&receiver->released) & ~LEAT__WIPED;
}

/* --- Sender --------------------------------------------------------------------------------------
 *
 * Records are *staged* one behind the other and then *published* together. All headers but the
 * first are in place; storing the first one makes all records visible at once. */
struct leat__ring_sender {
    leat_lane lane; /* first: the position, and the fast limit, which senders set */
    struct leat__ring_memory memory;
    uint64_t staged;       /* bytes behind the position */
    uint64_t first_header; /* of the first staged record: publishing stores it */
    uint64_t released;     /* the receiver's word, as last accepted */
    uint64_t limit;        /* messages may be written up to here */
    uint64_t written;      /* senders may have written to free space up to here */
    uint64_t last_slot;    /* the slot of the last record staged, bytes */
    uint64_t distance_ns;  /* about how long a new word of the receiver takes to arrive */
    uint64_t probed_to;    /* line starts up to here were probed, and not written to since */
    bool promised;         /* the receiver promises zeros where lines start, behind `written` */
    uint64_t high_water;   /* most bytes seen occupied */
    bool corrupt;
};

/* Finds the end of the stream in the ring, whatever state a predecessor left. Only while no other
 * sender writes. LEAT_ECORRUPT. */
int leat__ring_sender_recover(struct leat__ring_sender *ring,
                              const struct leat__ring_memory *memory);

/* Goes on where another sender of the same ring has released the lock (many senders: whenever the
 * lock passes from one to another). */
int leat__ring_sender_resume(struct leat__ring_sender *ring);

/* Call before writing, up to `end`, anything that may not be published. */
static inline void leat__ring_note_written(struct leat__ring_sender *ring, uint64_t end) {
    ring->written = end > ring->written ? end : ring->written;
}

/* Makes room for a record behind the staged ones; *payload has room for length bytes, at most
 * leat__max_message. LEAT_EAGAIN when there is no room, LEAT_ECORRUPT. */
int leat__ring_reserve(struct leat__ring_sender *ring, uint64_t length, void **payload);

/* Whether a record of that length could be reserved now; reads the receiver's position. Changes
 * nothing in the ring. True for a corrupt ring too: reserving returns the error. */
bool leat__ring_has_room(struct leat__ring_sender *ring, uint64_t length);

/* The same for one of many senders that does not hold the lock, from both pages. */
bool leat__ring_seems_to_have_room(const struct leat__ring_memory *memory, uint64_t length);

/* Stages the reserved record, with a final length of at most what was reserved. */
void leat__ring_stage(struct leat__ring_sender *ring, uint64_t length);

/* Probes lines ahead, so that records may follow each other without a probe behind each. Returns
 * the position up to which that holds: at most `limit`, the end of what the sender may write. */
uint64_t leat__ring_probe_ahead(struct leat__ring_sender *ring, uint64_t limit);

/* Publishes what is staged. */
void leat__ring_publish(struct leat__ring_sender *ring);

/* Drops the reservation and the staged records. */
void leat__ring_forget(struct leat__ring_sender *ring);

/* Publishes a mark, with nothing staged; the last free line is for marks alone. LEAT_EAGAIN,
 * LEAT_ECORRUPT. */
int leat__ring_mark(struct leat__ring_sender *ring, enum leat__record_type type, uint64_t value);

/* Reads how far the receiver has released. LEAT_ECORRUPT. */
int leat__ring_refresh(struct leat__ring_sender *ring);

/* --- Receiver --------------------------------------------------------------------------------- */

struct leat__ring_receiver {
    leat_lane lane; /* first, as above */
    struct leat__ring_memory memory;
    uint64_t began; /* the position at which its own releases begin */
    uint64_t held;  /* bytes before the lane's position that were passed and not released */
    bool corrupt;
};

struct leat__record {
    enum leat__record_type type;
    const unsigned char *payload; /* in the ring: a faulty sender can still change it */
    uint64_t length;              /* bytes; read once, checked, safe to use */
    uint64_t end;                 /* position behind the record */
};

/* Goes on where a predecessor stopped. LEAT_ECORRUPT. */
int leat__ring_receiver_recover(struct leat__ring_receiver *ring,
                                const struct leat__ring_memory *memory);

/* Reads the record at a position, the lane's or a later one, after all records before it were
 * polled. LEAT_EAGAIN when it is not there yet, LEAT_ECORRUPT. */
int leat__ring_poll(struct leat__ring_receiver *ring, uint64_t position,
                    struct leat__record *record);

/* Whether there is a record at the position; cheaper than reading it. */
static inline bool leat__ring_has(const struct leat__ring_receiver *ring, uint64_t position) {
    return leat__is_header(leat__load_relaxed64(leat__word_at(&ring->memory, position)), position);
}

/* For a position without a record: LEAT_ECORRUPT if the sender has noted a later position. A noted
 * position is never ahead of a commit, so the header was destroyed. Reads the sender's word, which
 * is costly. */
int leat__ring_check_committed(struct leat__ring_receiver *ring);

/* Releases everything before `end`, the end of a held record or, if none is held, of a record that
 * follows. */
void leat__ring_release(struct leat__ring_receiver *ring, uint64_t end);

/* The position of the oldest record that is not released. */
static inline uint64_t leat__ring_oldest(const struct leat__ring_receiver *ring) {
    return ring->lane.position - ring->held;
}

/* Passes the record that ends there without releasing it. No other process sees a difference: a
 * successor begins with the oldest record. */
static inline void leat__ring_hold(struct leat__ring_receiver *ring, uint64_t end) {
    ring->held += end - ring->lane.position;
    ring->lane.position = end;
}

/* Goes back to the oldest held record. */
static inline void leat__ring_unhold(struct leat__ring_receiver *ring) {
    ring->lane.position -= ring->held;
    ring->held = 0;
}

/* --- Both ------------------------------------------------------------------------------------- */

/* The end of the lap: the last position that a record from this one on can reach in one piece. */
static inline uint64_t leat__ring_lap_end(const struct leat__ring_memory *memory,
                                          uint64_t position) {
    return (position | (memory->capacity - 1)) + 1;
}

/* Checks a header word that was found at a position against all that the format requires. */
bool leat__record_decode(const struct leat__ring_memory *memory, uint64_t position, uint64_t header,
                         struct leat__record *record);

#endif
