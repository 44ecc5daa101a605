/* protocol.h - candidate record layouts of the one-writer one-reader ring: every policy of both
 * sides, to be inlined with one policy (a constant struct) by variants.c.
 *
 * A prototype, not the library: it exists to choose the wire format, and it is kept so that the
 * choice in docs/decisions/0001-record-layout.md can be measured again on another machine.
 *
 * Every layout shares one frame:
 *   - a record is an 8-byte header and the message. Header: length (low 32 bits), position tag (24
 *     bits of position / 8), kind (8 bits, never zero). A zero word means "nothing here yet".
 *   - positions are 64-bit byte counts that only grow; neither side reads its own back.
 *   - commit is one release store of the header. A record that would cross the end of the buffer
 *     follows a PAD record, whose header then is the commit of both.
 *   - the receiver stores `consumed` first, wipes second, stores `released` last.
 *   - one line always stays free, so the word after the newest record is in free space.
 */
#ifndef LAYOUTS_PROTOCOL_H
#define LAYOUTS_PROTOCOL_H

#include "clock.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#define LINE 64u
#define HEADER 8u
#define KIND_RECORD 1u
#define KIND_PAD 2u

/* --- Shared words and the policies --- */

struct pages {
    _Alignas(4096) _Atomic uint64_t written;  /* sender's page */
    _Alignas(4096) _Atomic uint64_t consumed; /* receiver's page, stored for each record */
    /* the only word the sender loads, when it has run out */
    _Alignas(LINE) _Atomic uint64_t released;
    _Alignas(LINE) _Atomic uint64_t waiting; /* "the receiver sleeps": constant 0 here */
    _Alignas(4096) unsigned char data[];
};

enum layout { RECORD64, GRANULE8, PACKED_WIPE, PACKED_WORD, SLOTS };
/* What the receiver writes into what it consumed. The first two clear the first word of each line:
 * AT_START when it consumes the line's first byte, ON_LEAVING when it goes on to the next line. */
enum clearing { AT_START, ON_LEAVING, WIPE_ALL, WIPE_SHORT };
#define SHORT_MAX 512u /* WIPE_SHORT wipes records of up to that many bytes, clears longer ones */

struct policy {
    enum layout layout;
    enum clearing clearing;
    /* 0: publish `released` for each record; k: each capacity >> k, or when dry */
    int release_shift;
    int wait_shift; /* 0: go on with any free space; k: only when capacity >> k is free */
    int fence;      /* 1: full fence and a look at `waiting` after each commit */
    int batch;      /* 0: commit each record; k: commit k records (or 4 KiB) at once */
    int backoff;
};

struct sender {
    struct pages *pages;
    uint64_t capacity, position, limit;
    uint64_t held_position, held_header; /* the withheld first header of a batch; 0 = none */
    uint32_t held_count;
    uint64_t wake_calls;
};

struct receiver {
    struct pages *pages;
    uint64_t capacity, position, released;
    int32_t streak, penalty;
    uint32_t empties, burst, napped;
    uint64_t naps;
};

ALWAYS_INLINE _Atomic uint64_t *word_at(struct pages *pages, uint64_t capacity, uint64_t position) {
    return (_Atomic uint64_t *)(void *)(pages->data + (position & (capacity - 1)));
}

ALWAYS_INLINE unsigned char *bytes_at(struct pages *pages, uint64_t capacity, uint64_t position) {
    return pages->data + (position & (capacity - 1));
}

ALWAYS_INLINE uint64_t round_up(uint64_t value, uint64_t step) {
    return (value + step - 1) & ~(step - 1);
}

ALWAYS_INLINE uint64_t line_of(uint64_t position) {
    return position & ~(uint64_t)(LINE - 1);
}

ALWAYS_INLINE uint64_t make_header(uint64_t position, unsigned kind, uint32_t length) {
    return (uint64_t)kind << 56 | (position >> 3 & 0xffffff) << 32 | length;
}

ALWAYS_INLINE uint64_t record_size(enum layout layout, uint64_t length) {
    uint64_t need = HEADER + length;
    if (layout == RECORD64)
        return round_up(need, LINE);
    if (layout == SLOTS)
        return need <= 16 ? 16 : need <= 32 ? 32 : round_up(need, LINE);
    return round_up(need, 8);
}

/* Where a record of that size starts if it may start at position or later. */
ALWAYS_INLINE uint64_t record_start(enum layout layout, uint64_t position, uint64_t size) {
    if (layout == SLOTS)
        return round_up(position, size < LINE ? size : LINE);
    if (layout == PACKED_WIPE || layout == PACKED_WORD)
        return (position & (LINE - 1)) + size > LINE ? round_up(position, LINE) : position;
    return position;
}

/* The lengths are unknown to the compiler; short ones must not pay for a call to memcpy. */
ALWAYS_INLINE void copy_bytes(void *to, const void *from, size_t size) {
    unsigned char *d = to;
    const unsigned char *s = from;
    if (size > 32) {
        memcpy(d, s, size);
    } else if (size >= 16) {
        unsigned char low[16], high[16];
        memcpy(low, s, 16);
        memcpy(high, s + size - 16, 16);
        memcpy(d, low, 16);
        memcpy(d + size - 16, high, 16);
    } else if (size >= 8) {
        uint64_t low, high;
        memcpy(&low, s, 8);
        memcpy(&high, s + size - 8, 8);
        memcpy(d, &low, 8);
        memcpy(d + size - 8, &high, 8);
    } else {
        for (size_t i = 0; i < size; i++)
            d[i] = s[i];
    }
}

/* ----------------------------------------------------------------------------------- the sender */

ALWAYS_INLINE void ring_bell_if_waiting(struct sender *tx, struct policy policy) {
    if (!policy.fence)
        return;
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&tx->pages->waiting, memory_order_relaxed))
        tx->wake_calls++;
}

ALWAYS_INLINE void commit(struct sender *tx, uint64_t first, uint64_t header,
                          struct policy policy) {
    uint64_t end = tx->position;
    /* The word that the receiver polls next must be zero before it gets there. At a line start it
     * already is; inside the line only the sender can do it. */
    if ((policy.layout == PACKED_WORD || policy.layout == SLOTS) && end % LINE != 0)
        atomic_store_explicit(word_at(tx->pages, tx->capacity, end), 0, memory_order_relaxed);
    atomic_store_explicit(word_at(tx->pages, tx->capacity, first), header, memory_order_release);
    atomic_store_explicit(&tx->pages->written, end, memory_order_release);
    ring_bell_if_waiting(tx, policy);
}

ALWAYS_INLINE void flush_batch(struct sender *tx, struct policy policy) {
    if (tx->held_header == 0)
        return;
    commit(tx, tx->held_position, tx->held_header, policy);
    tx->held_header = 0;
    tx->held_count = 0;
}

/* Learns how far the receiver has released. With wait_shift, a sender that ran out goes on only
 * when a good part of the ring is free, so that it does not chase the receiver line by line. */
NOINLINE int refresh_limit(struct sender *tx, uint64_t end, uint64_t enough) {
    uint64_t released = atomic_load_explicit(&tx->pages->released, memory_order_acquire);
    uint64_t limit = released + tx->capacity - LINE;
    if (limit < end || limit - tx->position < enough)
        return 1;
    tx->limit = limit;
    return 0;
}

ALWAYS_INLINE int send_any(struct sender *tx, const void *message, size_t length,
                           struct policy policy) {
    uint64_t size = record_size(policy.layout, length);
    uint64_t from = tx->position; /* where the pad goes, if there must be one */
    uint64_t start = record_start(policy.layout, from, size);
    if (policy.layout == PACKED_WIPE || policy.layout == PACKED_WORD)
        from = start; /* the receiver skips to the next line by itself */
    uint64_t offset = start & (tx->capacity - 1);
    if (offset + size > tx->capacity)
        start += tx->capacity - offset;
    uint64_t end = start + size;
    if (end > tx->limit) {
        if (policy.batch)
            flush_batch(tx, policy);
        uint64_t enough = policy.wait_shift ? tx->capacity >> policy.wait_shift : 0;
        if (refresh_limit(tx, end, enough))
            return 1;
    }

    _Atomic uint64_t *word = word_at(tx->pages, tx->capacity, start);
    copy_bytes(bytes_at(tx->pages, tx->capacity, start) + HEADER, message, length);
    uint64_t header = make_header(start, KIND_RECORD, (uint32_t)length);
    uint64_t first = start;
    if (start != from) {
        atomic_store_explicit(word, header, memory_order_relaxed);
        first = from;
        header = make_header(from, KIND_PAD, (uint32_t)(start - from - HEADER));
    }
    tx->position = end;
    if (!policy.batch) {
        commit(tx, first, header, policy);
        return 0;
    }
    if (tx->held_header == 0) {
        tx->held_position = first;
        tx->held_header = header;
    } else {
        atomic_store_explicit(word_at(tx->pages, tx->capacity, first), header,
                              memory_order_relaxed);
    }
    if (++tx->held_count >= (uint32_t)policy.batch || end - tx->held_position >= 4096)
        flush_batch(tx, policy);
    return 0;
}

/* --------------------------------------------------------------------------------- the receiver */

/* Adaptive back-off. When message after message is found after one or two empty looks, the two
 * sides move in lock-step and each message costs a full line hand-over. A short nap lets several
 * gather. It is taken only while the naps before it yielded bursts; otherwise it is put off, for
 * longer each time. */
NOINLINE void first_empty_look(struct receiver *rx) {
    if (rx->napped && rx->burst < 3) {
        rx->penalty = rx->penalty < 4096 ? rx->penalty * 2 : 4096;
        rx->streak = -rx->penalty;
    } else if (rx->napped) {
        rx->penalty = 32;
    }
    rx->napped = rx->streak >= 4;
    rx->burst = 0;
    if (rx->napped) {
        rx->naps++;
        for (int i = 0; i < 60; i++)
            relax();
    }
}

ALWAYS_INLINE void note_found(struct receiver *rx) {
    if (rx->empties) {
        rx->streak = rx->empties <= 2 ? rx->streak + 1 : rx->streak < 0 ? rx->streak : 0;
        rx->empties = 0;
    }
    rx->burst++;
}

ALWAYS_INLINE uint64_t releasable(uint64_t position, enum layout layout) {
    return layout == GRANULE8 || layout == PACKED_WIPE ? position : line_of(position);
}

ALWAYS_INLINE void publish_released(struct receiver *rx, enum layout layout) {
    rx->released = releasable(rx->position, layout);
    atomic_store_explicit(&rx->pages->released, rx->released, memory_order_release);
}

ALWAYS_INLINE int found_nothing(struct receiver *rx, struct policy policy) {
    if (policy.release_shift && rx->released != releasable(rx->position, policy.layout))
        publish_released(rx, policy.layout);
    if (policy.backoff && rx->empties++ == 0)
        first_empty_look(rx);
    return 1;
}

ALWAYS_INLINE void wipe(struct receiver *rx, uint64_t start, uint64_t end) {
    unsigned char *at = bytes_at(rx->pages, rx->capacity, start);
    uint64_t size = end - start;
    if (size > 2 * LINE) {
        memset(at, 0, size);
        return;
    }
    for (uint64_t i = 0; i < size; i += 8)
        atomic_store_explicit((_Atomic uint64_t *)(void *)(at + i), 0, memory_order_relaxed);
}

/* Gives [before, end) back; its record (or pad) began at start. */
ALWAYS_INLINE void retire(struct receiver *rx, uint64_t before, uint64_t start, uint64_t end,
                          struct policy policy) {
    rx->position = end;
    /* Before any wiping: a restarted sender that finds a zero header tells by this word whether
     * the record is gone or was never committed. */
    atomic_store_explicit(&rx->pages->consumed, end, memory_order_release);
    if (policy.clearing == WIPE_ALL ||
        (policy.clearing == WIPE_SHORT && end - start <= SHORT_MAX)) {
        wipe(rx, start, end);
    } else {
        int late = policy.clearing == ON_LEAVING;
        uint64_t line = late ? line_of(before) : round_up(before, LINE);
        uint64_t stop = late ? line_of(end) : end;
        for (; line < stop; line += LINE)
            atomic_store_explicit(word_at(rx->pages, rx->capacity, line), 0, memory_order_release);
    }
    if (policy.release_shift == 0 || end - rx->released >= rx->capacity >> policy.release_shift)
        publish_released(rx, policy.layout);
}

/* Finds the next header: its value, and its position in *at. */
ALWAYS_INLINE uint64_t find_header(struct receiver *rx, uint64_t *at, enum layout layout) {
    uint64_t position = rx->position;
    *at = position;
    uint64_t header =
        atomic_load_explicit(word_at(rx->pages, rx->capacity, position), memory_order_acquire);
    if (layout != PACKED_WIPE && layout != PACKED_WORD)
        return header;
    if (header != 0 || position % LINE == 0)
        return header;
    uint64_t next = round_up(position, LINE);
    uint64_t skipped =
        atomic_load_explicit(word_at(rx->pages, rx->capacity, next), memory_order_acquire);
    if (skipped == 0)
        return 0;
    /* The sender may have filled the rest of this line and then the next one between the two
     * looks: only a second look at our own word proves that it skipped. */
    header = atomic_load_explicit(word_at(rx->pages, rx->capacity, position), memory_order_acquire);
    if (header != 0)
        return header;
    *at = next;
    return skipped;
}

ALWAYS_INLINE int recv_any(struct receiver *rx, void *buffer, size_t buffer_capacity,
                           size_t *length, struct policy policy) {
    for (;;) {
        uint64_t at, before = rx->position;
        uint64_t header = find_header(rx, &at, policy.layout);
        if (header == 0)
            return found_nothing(rx, policy);
        uint64_t left = rx->capacity - (at & (rx->capacity - 1));
        uint64_t difference = header ^ make_header(at, KIND_RECORD, 0);
        if (difference >> 32 == 0) { /* right tag, right kind: what is left is the length */
            uint64_t size = record_size(policy.layout, difference);
            if (size > left || difference > buffer_capacity)
                return -1;
            if (policy.backoff)
                note_found(rx);
            copy_bytes(buffer, bytes_at(rx->pages, rx->capacity, at) + HEADER, difference);
            *length = difference;
            retire(rx, before, at, at + size, policy);
            return 0;
        }
        difference = header ^ make_header(at, KIND_PAD, 0);
        if (difference >> 32 != 0 || HEADER + difference > left || difference % 8 != 0)
            return -1;
        retire(rx, before, at, at + HEADER + difference, policy);
    }
}

#endif
