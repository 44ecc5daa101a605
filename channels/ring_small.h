/* channels/ring_small.h - the ring's shortest way: one small message, in one piece, where nothing stands against it.
 *
 * The same stores in the same order as leat__ring_reserve, _stage and _publish, and as leat__ring_look and _release, but inlined into
 * leat_send and leat_recv, with one comparison for everything that can stand against it: the *window*, a position up to which records
 * may go this way. It ends at the end of the room known of, at the end of a lap of the ring, and where statistics are due;
 * and it is shut (0) while something needs care: a reservation, a peer not met yet, a corrupt ring, a forked child. Whoever
 * finds the window too small takes the long way, which opens it again. docs/decisions/0006-no-fence-while-streaming.md has what that is worth.
 */
#ifndef LEAT_CHANNELS_RING_SMALL_H
#define LEAT_CHANNELS_RING_SMALL_H

#include <string.h>

#include "channels/ring.h"

/* Payload: with its header a whole number of lines, and not more than the receiver wipes whole. */
#define LEAT__SMALL_MAX ((uint64_t)504)

/* Copies without a call where two moves that overlap do. */
static inline void leat__copy_small(void *to, const void *from, size_t size) {
    unsigned char *target = to;
    const unsigned char *source = from;
    if (__builtin_expect(size >= 8 && size <= 16, 1)) {
        uint64_t head, tail;
        memcpy(&head, source, 8);
        memcpy(&tail, source + size - 8, 8);
        memcpy(target, &head, 8);
        memcpy(target + size - 8, &tail, 8);
    } else if (size > 0) {
        memcpy(target, source, size);
    }
}

/* The end of a record that starts there; 0 if it has to go the long way. */
static inline uint64_t leat__ring_room_small(const struct leat__ring_sender *ring, uint64_t start, size_t size) {
    uint64_t slot = leat__slot_size(size), end = start + slot;
    return size > LEAT__SMALL_MAX || end > ring->window || !leat__slot_fits(start, slot) ? 0 : end;
}

/* Keeps I1 behind a record. The word behind one that does not end with its line is in the same line. */
static inline void leat__ring_zero_behind(leat__u64 *record, uint64_t start, uint64_t end) {
    if (end % LEAT__LINE != 0)
        leat__store_relaxed64(record + (end - start) / sizeof *record, 0); /* I1 */
}

/* Publishes the message that has been written at the position, with nothing staged. */
static inline void leat__ring_commit_small(struct leat__ring_sender *ring, leat__u64 *record, size_t size, uint64_t end) {
    uint64_t start = ring->position;
    leat__ring_zero_behind(record, start, end);
    leat__store_release64(record, leat__record_header(start, LEAT__MESSAGE, size)); /* [R1] the commit */
    leat__store_release64(&ring->memory.sender->position, end); /* [R6] never ahead of the commit */
    ring->position = ring->staged = ring->dirty = end;
}

/* Sends, with nothing staged. False, and nothing has happened, if it has to go the long way. */
static inline bool leat__ring_send_small(struct leat__ring_sender *ring, const void *data, size_t size) {
    uint64_t end = leat__ring_room_small(ring, ring->position, size);
    if (end == 0)
        return false;
    leat__u64 *record = leat__word_at(&ring->memory, ring->position);
    leat__copy_small(record + 1, data, size);
    leat__ring_commit_small(ring, record, size, end);
    return true;
}

/* Stages. False, and nothing has happened, if it has to go the long way. */
static inline bool leat__ring_stage_small(struct leat__ring_sender *ring, const void *data, size_t size) {
    uint64_t start = ring->staged, end = leat__ring_room_small(ring, start, size);
    if (end == 0)
        return false;
    leat__u64 *record = leat__word_at(&ring->memory, start);
    uint64_t header = leat__record_header(start, LEAT__MESSAGE, size);
    leat__copy_small(record + 1, data, size);
    leat__ring_zero_behind(record, start, end);
    if (start == ring->position)
        ring->first_header = header;
    else
        leat__store_relaxed64(record, header);
    ring->staged = ring->dirty = end;
    return true;
}

/* The message at a position, all before it having been looked at, and its end. 0, and nothing has happened, if it is not there or
 * has to go the long way. */
static inline uint64_t leat__ring_look_small(const struct leat__ring_receiver *ring, uint64_t start, const void **payload,
                                             size_t *size) {
    const leat__u64 *record = leat__word_at(&ring->memory, start);
    uint64_t header = leat__load_acquire64(record);                            /* [R2] */
    uint64_t length = header ^ leat__record_header(start, LEAT__MESSAGE, 0); /* huge, unless it is a message's header for here */
    if (length > LEAT__SMALL_MAX)
        return 0;
    uint64_t slot = leat__slot_size(length), end = start + slot;
    if (end > ring->window || !leat__slot_fits(start, slot))
        return 0;
    *payload = record + 1;
    *size = (size_t)length;
    return end;
}

/* Copies it. 0 also if the buffer is too small. */
static inline uint64_t leat__ring_copy_small(const struct leat__ring_receiver *ring, uint64_t start, void *buffer, size_t capacity,
                                             size_t *size) {
    const void *payload;
    size_t length;
    uint64_t end = leat__ring_look_small(ring, start, &payload, &length);
    if (end == 0 || length > capacity)
        return 0;
    leat__copy_small(buffer, payload, length);
    *size = length;
    return end;
}

/* Receives and releases the oldest message. False, and nothing has happened, as above. */
static inline bool leat__ring_receive_small(struct leat__ring_receiver *ring, void *buffer, size_t capacity, size_t *size) {
    uint64_t start = ring->position, end = leat__ring_copy_small(ring, start, buffer, capacity, size);
    if (end == 0)
        return false;
    leat__store_release64(&ring->memory.receiver->position, end); /* [R4] after our reads, before the wiping */
    leat__u64 *word = leat__word_at(&ring->memory, start);
    for (uint64_t count = (end - start) / sizeof *word; count > 0; count--)
        leat__store_release64(word++, 0); /* [R5] */
    leat__store_release64(&ring->memory.receiver->released, end & ~(LEAT__LINE - 1)); /* [R3] hands the lines back */
    ring->position = end;
    return true;
}

#endif
