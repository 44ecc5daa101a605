/* leat/inline.h - the calls for one message, compiled into the caller: for small messages at the
 * highest rates.
 *
 *     #include <leat/inline.h>
 *
 *     leat_send_inline(tx, &sample, sizeof sample, LEAT_FOREVER);
 *     leat_recv_inline(rx, &sample, sizeof sample, &size, LEAT_FOREVER);
 *
 * and in place: leat_reserve_inline, leat_commit_inline, leat_peek_inline, leat_release_inline.
 *
 * Same arguments, results, handles and channels as the functions without `_inline`, and freely
 * mixed with them. What is gained is the call and, where the compiler knows the size, most of what
 * depends on it. Worth it up to some hundred bytes; the functions of the library do
 * the rest. This is the only header of leat that has code in it.
 * bench/instructions.txt has counts.
 *
 * Binary interface. A handle begins with a *lane*, declared here: all that the inlined code
 * touches. Its layout, the wire format's version and the meaning of `fast_limit` are fixed under
 * the name "inline 2". A later library that works differently keeps `fast_limit` at its place and
 * at 0: then programs that were compiled with this header make a call for each message, and still
 * run. The fields are for the code in this header, and for no other.
 *
 * A program must not be compiled with a later header than its library's.
 *
 * The *fast limit* is the position at which the fast path ends. It is the nearest of these: the end
 * of the known room; the end of the lap; the end of the lines that the sender has probed (no word
 * at the start of a line up to there is a header); the position at which statistics are due. It is
 * 0 while something needs care: a reservation, a peer not met yet, a corrupt ring, many senders, a
 * forked child. So one comparison covers every reason to leave the fast path. A record that would
 * pass the limit takes the slow path, which sets a new limit. docs/wire-format.md specifies what is
 * written, docs/memory-model.md the order and its reasons; labels in brackets are from there.
 */
#ifndef LEAT_INLINE_H
#define LEAT_INLINE_H

#ifndef __GNUC__
#error                                                                                             \
    "leat/inline.h needs gcc or clang; leat_send and leat_recv of leat/channel.h do the same without"
#endif

#include <string.h>

#include "leat/channel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a handle begins with. The fields that are written are apart: a compiler that updates two
 * neighbours in one vector register makes each message wait for the one before (2.7 instead of 1.1
 * ns, gcc 12 -O3, Zen 5). */
typedef struct leat_lane {
    /* sender: behind the last record published; receiver: behind the last one released or held */
    uint64_t position;
    uint64_t fast_limit; /* records on the fast path end here at the latest */
    uint64_t messages;   /* since the tally was taken */
    uint64_t mask;       /* capacity - 1 */
    uint64_t max;        /* the longest message */
    uint64_t wipe;       /* receiver: wipes slots up to this size whole, longer ones where lines
                                start; 0: those of less than a line alone */
    unsigned char *ring; /* shared */
    /* shared: where the position is noted; behind it, for a receiver, what is handed back */
    uint64_t *noted;
    /* sender: not 0 when leat_sender_wake has to be called. Shared, the receiver's; or the
     * library's own, for always */
    const uint32_t *waiting;
    uint64_t bytes;   /* of those messages: their payload */
    uint64_t promise; /* receiver: LEAT__WIPED if that is true of what it hands back, or 0 */
    uint64_t fetch;   /* sender: may fetch lines before this position early; 0: none */
    /* while a message is reserved or peeked at on the fast path: the fast limit before. Else 0 */
    uint64_t kept;
    uint64_t open_size; /* of the message reserved or peeked at: bytes */
    uint64_t open_slot; /* its slot */
    uint64_t piece;     /* longer messages are copied in pieces of that many bytes */
} leat_lane;

/* --- Records, as docs/wire-format.md has them ------------------------------------------------- */

#define LEAT__LINE UINT64_C(64)
#define LEAT__SMALLEST_SLOT UINT64_C(16)

/* A header word:
 *     bits 0-31    length of the payload in bytes (pad: of everything behind the header)
 *     bits 32-55   position / 16, low 24 bits: they distinguish a header from any other word
 *     bits 56-63   type; 0 never occurs, so that a word of zero is no header anywhere
 */
enum leat__record_type {
    LEAT__MESSAGE = 1,
    LEAT__PAD = 2,
    /* a sender came; payload, 8 bytes: its `opened`, and in the upper half the `closed` that it
     * found */
    LEAT__OPEN_MARK = 3,
    LEAT__END_MARK = 4, /* the sender closed; payload, 8 bytes: its `opened` */
};

/* In the position up to which a receiver hands lines back, a multiple of a line: the first word of
 * each free line is zero, unless a sender has written there since. */
#define LEAT__WIPED UINT64_C(1)

/* Positions are multiples of 16. */
static inline uint64_t leat__record_header(uint64_t position, enum leat__record_type type,
                                           uint64_t length) {
    return (uint64_t)type << 56 | position << 36 >> 8 | length;
}

/* Whether a word can be a header at that position. No other word is looked at any further: free
 * space may hold anything. */
static inline bool leat__is_header(uint64_t word, uint64_t position) {
    return word != 0 && ((word << 8 ^ position << 36) >> 40) == 0;
}

/* The bytes that a payload of this length occupies in the ring, its header included. */
static inline uint64_t leat__slot_size(uint64_t length) {
    if (length <= 8)
        return LEAT__SMALLEST_SLOT;
    return length <= 24 ? 32 : (length + 8 + LEAT__LINE - 1) & ~(LEAT__LINE - 1);
}

/* What a slot's position must be a multiple of. */
static inline uint64_t leat__slot_alignment(uint64_t slot) {
    return slot < LEAT__LINE ? slot : LEAT__LINE;
}

/* Whether a slot may start there: the smallest fits wherever a record ends. Alignments are powers
 * of two, which the compiler cannot know: it would divide. */
static inline bool leat__slot_fits(uint64_t position, uint64_t slot) {
    return slot == LEAT__SMALLEST_SLOT || (position & (leat__slot_alignment(slot) - 1)) == 0;
}

static inline uint64_t *leat__lane_at(const leat_lane *lane, uint64_t position) {
    return (uint64_t *)(void *)(lane->ring + (position & lane->mask));
}

#define LEAT__INLINE static inline __attribute__((always_inline))

/* One register's worth. */
typedef struct leat__unit {
    unsigned char bytes[16];
} leat__unit;

/* Of more than this compilers make `rep movs`, where they know the size, which starts slowly: the C
 * library's function is faster (docs/decisions/0018-copies-in-pieces.md). */
#define LEAT__COPIED_INLINE 256

LEAT__INLINE size_t leat__hide(size_t size) {
    if (__builtin_constant_p(size) && size > LEAT__COPIED_INLINE)
        __asm__("" : "+r"(size));
    return size;
}

/* Longer than a line. Where `rep movs`, which the C library takes for some thousand bytes and more,
 * is slow for addresses that are differently aligned, as those of message and payload are, in
 * pieces for which it is not taken. */
LEAT__INLINE void leat__copy_lines(unsigned char *target, const unsigned char *source, size_t size,
                                   uint64_t piece) {
    for (; __builtin_expect(size > piece, 0); size -= (size_t)piece) {
        memcpy(target, source, leat__hide((size_t)piece));
        target += piece;
        source += piece;
    }
    memcpy(target, source, leat__hide(size));
}

/* Copies size bytes, at most `most`, which the compiler knows; a line or less without a call. The
 * last move overlaps the one before, so that no size needs a remainder. */
LEAT__INLINE void leat__copy(void *to, const void *from, size_t size, size_t most, uint64_t piece) {
    unsigned char *target = (unsigned char *)to;
    const unsigned char *source = (const unsigned char *)from;
    if (most > LEAT__LINE && size > LEAT__LINE) {
        leat__copy_lines(target, source, size, piece);
    } else if (most >= 8 && size == 8) {
        memcpy(target, source, 8);
    } else if (most >= sizeof(leat__unit) && size >= sizeof(leat__unit)) {
        const size_t last = size - sizeof(leat__unit);
        for (size_t at = 0; at < last; at += sizeof(leat__unit))
            memcpy(target + at, source + at, sizeof(leat__unit));
        memcpy(target + last, source + last, sizeof(leat__unit));
    } else if (most > 8 && size > 8) {
        memcpy(target, source, 8);
        memcpy(target + size - 8, source + size - 8, 8);
    } else if (most >= 4 && size >= 4) {
        memcpy(target, source, 4);
        memcpy(target + size - 4, source + size - 4, 4);
    } else if (most > 0 && size > 0) {
        target[0] = source[0];
        target[size / 2] = source[size / 2];
        target[size - 1] = source[size - 1];
    }
}

/* Copies a message as the calls of that handle, a sender or a receiver, do. */
LEAT__INLINE void leat__copy_for(const void *handle, void *to, const void *from, size_t size) {
    leat__copy(to, from, size, SIZE_MAX, ((const leat_lane *)handle)->piece);
}

/* --- The lane by itself ----------------------------------------------------------------------- */

/* Keeps I1 behind a record. The word behind a record that does not end with its line is in the same
 * line. The words where lines start were probed when the fast limit was set, or are zero. */
LEAT__INLINE void leat__lane_zero_behind(uint64_t *record, uint64_t slot, uint64_t end) {
    if (slot < LEAT__LINE && (end & (LEAT__LINE - 1)) != 0)
        __atomic_store_n(record + slot / sizeof *record, 0, __ATOMIC_RELAXED); /* I1 */
}

/* Asks for a line, to write to it. The builtin does so only where -march says that it may. */
LEAT__INLINE void leat__fetch_line(const void *line) {
#if defined(__x86_64__) || defined(__i386__)
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)line));
#else
    __builtin_prefetch(line, 1);
#endif
}

/* On processors where a sender waits for the ownership of one line after the other: asks for the
 * lines of the record after the next, taken to be as long as this one. Records that share lines
 * would lose by it. */
LEAT__INLINE void leat__lane_fetch(const leat_lane *lane, uint64_t start, uint64_t slot) {
    if (slot <= LEAT__LINE || __builtin_expect(start + 3 * slot > lane->fetch, 1))
        return;
    for (uint64_t at = start + 2 * slot; at < start + 3 * slot; at += LEAT__LINE)
        leat__fetch_line(leat__lane_at(lane, at));
}

/* Publishes the message that has been written behind the lane's position, which is `start`. These
 * functions hand the position on: a compiler would load it again behind each atomic access. */
LEAT__INLINE void leat__lane_commit(leat_lane *lane, uint64_t *record, uint64_t start, size_t size,
                                    uint64_t slot) {
    const uint64_t end = start + slot;
    leat__lane_zero_behind(record, slot, end);
    /* [R1] the commit */
    __atomic_store_n(record, leat__record_header(start, LEAT__MESSAGE, size), __ATOMIC_RELEASE);
    __atomic_store_n(lane->noted, end, __ATOMIC_RELEASE); /* [R6] never ahead of the commit */
    lane->position = end;
    lane->messages++;
    lane->bytes += size;
}

/* Whether a message may be that long. Lengths have 32 bits, which tells the compiler that slots do
 * not overflow. */
LEAT__INLINE bool leat__lane_carries(const leat_lane *lane, uint64_t size) {
    if (size > lane->max)
        return false;
    if (size > UINT32_MAX)
        __builtin_unreachable();
    return true;
}

/* Whether a slot that starts there may take the fast path. */
LEAT__INLINE bool leat__lane_goes(const leat_lane *lane, uint64_t start, uint64_t slot) {
    return __builtin_expect(start + slot <= lane->fast_limit && leat__slot_fits(start, slot), 1);
}

LEAT__INLINE bool leat__lane_send_in(leat_lane *lane, const void *data, size_t size, size_t most,
                                     uint64_t slot) {
    const uint64_t start = lane->position;
    if (!leat__lane_goes(lane, start, slot))
        return false;
    uint64_t *record = leat__lane_at(lane, start);
    leat__lane_fetch(lane, start, slot);
    leat__copy(record + 1, data, size, most, lane->piece);
    leat__lane_commit(lane, record, start, size, slot);
    return true;
}

/* Sends. False, and nothing has happened, if it has to take the slow path. Each size of slot has
 * code of its own. */
LEAT__INLINE bool leat__lane_send(leat_lane *lane, const void *data, size_t size) {
    if (size <= 8)
        return leat__lane_send_in(lane, data, size, 8, 16);
    if (size <= 24)
        return leat__lane_send_in(lane, data, size, 24, 32);
    return leat__lane_carries(lane, size) &&
           leat__lane_send_in(lane, data, size, SIZE_MAX, leat__slot_size(size));
}

/* Whether leat_sender_wake has to be called. */
LEAT__INLINE bool leat__lane_must_wake(const leat_lane *lane) {
    /* [S2] of a hot sender: [S3] makes the processor keep it */
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    return __builtin_expect(__atomic_load_n(lane->waiting, __ATOMIC_RELAXED) != 0, 0);
}

/* The length of the message at a position; more than any message's if there is none. */
LEAT__INLINE uint64_t leat__lane_poll(const uint64_t *record, uint64_t start) {
    /* [R2] */
    return __atomic_load_n(record, __ATOMIC_ACQUIRE) ^ leat__record_header(start, LEAT__MESSAGE, 0);
}

/* 16 bytes. Compilers do not unroll a loop of atomic stores by themselves. */
LEAT__INLINE void leat__lane_wipe_two(uint64_t *word) {
    __atomic_store_n(word, 0, __ATOMIC_RELEASE);     /* [R5] */
    __atomic_store_n(word + 1, 0, __ATOMIC_RELEASE); /* [R5] */
}

LEAT__INLINE void leat__lane_wipe_line(uint64_t *word) {
    leat__lane_wipe_two(word);
    leat__lane_wipe_two(word + 2);
    leat__lane_wipe_two(word + 4);
    leat__lane_wipe_two(word + 6);
}

/* A line that was written to is in this processor's cache as its own, and on some processors
 * another one fetches such lines for writing one behind the other, while it would have to
 * invalidate each line that was only read. A sender relies on the zeros where the receiver promises
 * them (LEAT__WIPED). Of short slots everything is wiped: it costs little, and keeps the receiver
 * from catching up with the sender line by line, which would be slower for both. */
LEAT__INLINE void leat__lane_wipe(const leat_lane *lane, uint64_t *record, uint64_t slot) {
    const uint64_t words = LEAT__LINE / sizeof *record;
    const uint64_t *const end = record + slot / sizeof *record;
    if (slot < LEAT__LINE)
        for (; record != end; record += 2)
            leat__lane_wipe_two(record);
    else if (__builtin_expect(lane->wipe == 0, 0))
        return;
    else if (slot <= lane->wipe)
        for (; record != end; record += words)
            leat__lane_wipe_line(record);
    else
        for (; record != end; record += words)
            __atomic_store_n(record, 0, __ATOMIC_RELEASE); /* [R5] */
}

/* Releases the message at the lane's position, `start`, the only one looked at. */
LEAT__INLINE void leat__lane_release(leat_lane *lane, uint64_t *record, uint64_t start, size_t size,
                                     uint64_t slot) {
    const uint64_t end = start + slot;
    uint64_t *const noted = lane->noted;
    __atomic_store_n(noted, end, __ATOMIC_RELEASE); /* [R4] after our reads, before the wiping */
    leat__lane_wipe(lane, record, slot);
    /* [R3] hands the lines back */
    __atomic_store_n(noted + 1, (end & ~(LEAT__LINE - 1)) | lane->promise, __ATOMIC_RELEASE);
    lane->position = end;
    lane->messages++;
    lane->bytes += size;
}

LEAT__INLINE bool leat__lane_receive_from(leat_lane *lane, uint64_t *record, uint64_t start,
                                          void *buffer, size_t size, size_t most, uint64_t slot) {
    if (!leat__lane_goes(lane, start, slot))
        return false;
    leat__copy(buffer, record + 1, size, most, lane->piece);
    leat__lane_release(lane, record, start, size, slot);
    return true;
}

/* Receives. False, and nothing has happened, if nothing is there, it does not fit the buffer, or it
 * has to take the slow path. */
LEAT__INLINE bool leat__lane_receive(leat_lane *lane, void *buffer, size_t capacity, size_t *size) {
    const uint64_t start = lane->position;
    uint64_t *record = leat__lane_at(lane, start);
    const uint64_t length = leat__lane_poll(record, start);
    /* more than a message is never copied */
    const size_t known = __builtin_constant_p(capacity) ? capacity : SIZE_MAX;
    bool done = false;
    if (length > capacity)
        done = false;
    else if (known <= 8 || length <= 8)
        done = leat__lane_receive_from(lane, record, start, buffer, (size_t)length,
                                       known < 8 ? known : 8, 16);
    else if (known <= 24 || length <= 24)
        done = leat__lane_receive_from(lane, record, start, buffer, (size_t)length,
                                       known < 24 ? known : 24, 32);
    else if (leat__lane_carries(lane, length))
        done = leat__lane_receive_from(lane, record, start, buffer, (size_t)length, known,
                                       leat__slot_size(length));
    if (__builtin_expect(done, 1))
        *size = (size_t)length;
    return done;
}

/* --- In place ------------------------------------------------------------------------------------
 *
 * The fast limit is 0 as long as a message is open: no other message takes the fast path. */

LEAT__INLINE void leat__lane_open(leat_lane *lane, uint64_t size, uint64_t slot) {
    lane->open_size = size;
    lane->open_slot = slot;
    lane->kept = lane->fast_limit;
    lane->fast_limit = 0;
}

LEAT__INLINE void leat__lane_reopen(leat_lane *lane) {
    lane->fast_limit = lane->kept;
    lane->kept = 0;
}

/* Reserves; as leat__lane_send, false if it has to take the slow path. So do the three that follow.
 * */
LEAT__INLINE bool leat__lane_reserve(leat_lane *lane, size_t size, void **data) {
    const uint64_t start = lane->position, slot = leat__slot_size(size);
    if (!leat__lane_carries(lane, size) || !leat__lane_goes(lane, start, slot))
        return false;
    leat__lane_fetch(lane, start, slot);
    *data = leat__lane_at(lane, start) + 1;
    leat__lane_open(lane, size, slot);
    return true;
}

/* A shorter message than was reserved takes the fast path if it needs as much room. */
LEAT__INLINE bool leat__lane_commit_open(leat_lane *lane, size_t size) {
    const uint64_t slot = leat__slot_size(size);
    if (__builtin_expect(lane->kept == 0 || size > lane->open_size || slot != lane->open_slot, 0))
        return false;
    leat__lane_commit(lane, leat__lane_at(lane, lane->position), lane->position, size, slot);
    leat__lane_reopen(lane);
    return true;
}

LEAT__INLINE bool leat__lane_peek(leat_lane *lane, leat_message *message) {
    const uint64_t start = lane->position, *record = leat__lane_at(lane, start);
    const uint64_t length = leat__lane_poll(record, start), slot = leat__slot_size(length);
    if (!leat__lane_carries(lane, length) || !leat__lane_goes(lane, start, slot))
        return false;
    message->data = record + 1;
    message->size = (size_t)length;
    leat__lane_open(lane, length, slot);
    return true;
}

LEAT__INLINE bool leat__lane_release_open(leat_lane *lane) {
    if (__builtin_expect(lane->kept == 0, 0))
        return false;
    const uint64_t start = lane->position;
    leat__lane_release(lane, leat__lane_at(lane, start), start, (size_t)lane->open_size,
                       lane->open_slot);
    leat__lane_reopen(lane);
    return true;
}

/* --- The calls -------------------------------------------------------------------------------- */

#if defined(__OPTIMIZE__)
#define LEAT__INLINES 1
#else
#define LEAT__INLINES 0 /* nothing is gained */
#endif

/* As leat_send. */
LEAT_CHECKED LEAT__INLINE int leat_send_inline(leat_sender *sender, const void *data, size_t size,
                                               uint64_t deadline_ns) {
    leat_lane *lane = (leat_lane *)(void *)sender;
    if (!LEAT__INLINES || !leat__lane_send(lane, data, size))
        return leat_send(sender, data, size, deadline_ns);
    if (leat__lane_must_wake(lane))
        leat_sender_wake(sender);
    return LEAT_OK;
}

/* As leat_recv. */
LEAT_CHECKED LEAT__INLINE int leat_recv_inline(leat_receiver *receiver, void *buffer,
                                               size_t capacity, size_t *size,
                                               uint64_t deadline_ns) {
    leat_lane *lane = (leat_lane *)(void *)receiver;
    if (!LEAT__INLINES || !leat__lane_receive(lane, buffer, capacity, size))
        return leat_recv(receiver, buffer, capacity, size, deadline_ns);
    return LEAT_OK;
}

/* As leat_reserve. */
LEAT_CHECKED LEAT__INLINE int leat_reserve_inline(leat_sender *sender, size_t size, void **data,
                                                  uint64_t deadline_ns) {
    if (!LEAT__INLINES || !leat__lane_reserve((leat_lane *)(void *)sender, size, data))
        return leat_reserve(sender, size, data, deadline_ns);
    return LEAT_OK;
}

/* As leat_commit. */
LEAT_CHECKED LEAT__INLINE int leat_commit_inline(leat_sender *sender, size_t size) {
    leat_lane *lane = (leat_lane *)(void *)sender;
    if (!LEAT__INLINES || !leat__lane_commit_open(lane, size))
        return leat_commit(sender, size);
    if (leat__lane_must_wake(lane))
        leat_sender_wake(sender);
    return LEAT_OK;
}

/* As leat_peek. */
LEAT_CHECKED LEAT__INLINE int leat_peek_inline(leat_receiver *receiver, leat_message *message,
                                               uint64_t deadline_ns) {
    if (!LEAT__INLINES || !leat__lane_peek((leat_lane *)(void *)receiver, message))
        return leat_peek(receiver, message, deadline_ns);
    return LEAT_OK;
}

/* As leat_release of the one message that is peeked at. */
LEAT_CHECKED LEAT__INLINE int leat_release_inline(leat_receiver *receiver) {
    if (!LEAT__INLINES || !leat__lane_release_open((leat_lane *)(void *)receiver))
        return leat_release(receiver, 1);
    return LEAT_OK;
}

#ifdef __cplusplus
}
#endif
#endif
