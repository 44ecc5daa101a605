/* channels/ring_sender.c - the sender's half of the ring; channels/ring.h has the protocol and its invariants. */
#include "channels/ring.h"
#include "lib/fail.h"

const uint32_t leat__lane_always[1] = {1};

static int fail_corrupt(struct leat__ring_sender *ring, const char *what, uint64_t value) {
    ring->corrupt = true;
    return leat__fail(LEAT_ECORRUPT, 0, "%s (%llu)", what, (unsigned long long)value);
}

static uint64_t next_line(uint64_t position) {
    return (position + LEAT__LINE - 1) & ~(LEAT__LINE - 1);
}

/* Restores I2 for the lines that start in [from, to). */
static void wipe_lines(const struct leat__ring_memory *memory, uint64_t from, uint64_t to) {
    for (uint64_t line = next_line(from); line < to; line += LEAT__LINE)
        leat__store_relaxed64(leat__word_at(memory, line), 0);
}

/* --- Room ------------------------------------------------------------------------------------------------------------ */

int leat__ring_refresh(struct leat__ring_sender *ring) {
    if (ring->corrupt)
        return leat__fail(LEAT_ECORRUPT, 0, "seen before");
    uint64_t released = leat__load_acquire64(&ring->memory.receiver->released); /* [R3] the wiped lines */
    if (released - ring->released > ring->lane.position - ring->released || released % LEAT__LINE != 0)
        return fail_corrupt(ring, "the receiver claims to have released up to an impossible position", released);
    ring->released = released;
    ring->limit = released + ring->memory.capacity - LEAT__MARK_RESERVE;
    if (ring->lane.position - released > ring->high_water)
        ring->high_water = ring->lane.position - released;
    return LEAT_OK;
}

/* Where a slot can start at the earliest: aligned, and in one piece. */
static uint64_t place_behind(uint64_t position, uint64_t slot, uint64_t capacity) {
    uint64_t alignment = leat__slot_alignment(slot);
    uint64_t start = (position + alignment - 1) & ~(alignment - 1);
    bool crosses = (start & (capacity - 1)) + slot > capacity;
    return crosses ? (start + capacity - 1) & ~(capacity - 1) : start;
}

static uint64_t place(const struct leat__ring_sender *ring, uint64_t slot) {
    return place_behind(ring->lane.position + ring->staged, slot, ring->memory.capacity);
}

/* Finishes a record at the staged end: its header goes into the ring, or is withheld when it is the first of its kind. */
static void seal(struct leat__ring_sender *ring, enum leat__record_type type, uint64_t length, uint64_t end) {
    uint64_t start = ring->lane.position + ring->staged, header = leat__record_header(start, type, length);
    if (end % LEAT__LINE != 0)
        leat__store_relaxed64(leat__word_at(&ring->memory, end), 0); /* I1 */
    if (ring->staged == 0)
        ring->first_header = header;
    else
        leat__store_relaxed64(leat__word_at(&ring->memory, start), header);
    ring->staged = end - ring->lane.position;
}

int leat__ring_reserve(struct leat__ring_sender *ring, uint64_t length, void **payload) {
    uint64_t slot = leat__slot_size(length), start = place(ring, slot);
    if (__builtin_expect(start + slot > ring->limit, 0)) {
        int result = leat__ring_refresh(ring);
        if (result != LEAT_OK)
            return result;
        if (start + slot > ring->limit)
            return LEAT_EAGAIN;
    }
    uint64_t end_of_staged = ring->lane.position + ring->staged;
    if (start != end_of_staged)
        seal(ring, LEAT__PAD, start - end_of_staged - LEAT__RECORD_HEADER, start);
    ring->touched = start + slot - ring->lane.position;
    *payload = (char *)leat__word_at(&ring->memory, start) + LEAT__RECORD_HEADER;
    return LEAT_OK;
}

bool leat__ring_has_room(struct leat__ring_sender *ring, uint64_t length) {
    uint64_t slot = leat__slot_size(length);
    return leat__ring_refresh(ring) != LEAT_OK || place(ring, slot) + slot <= ring->limit;
}

bool leat__ring_seems_to_have_room(const struct leat__ring_memory *memory, uint64_t length) {
    uint64_t position = leat__load_acquire64(&memory->sender->position), slot = leat__slot_size(length);
    uint64_t released = leat__load_acquire64(&memory->receiver->released);
    return position - released > memory->capacity ||
           place_behind(position, slot, memory->capacity) + slot <= released + memory->capacity - LEAT__MARK_RESERVE;
}

void leat__ring_stage(struct leat__ring_sender *ring, uint64_t length) {
    uint64_t position = ring->lane.position, end = position + ring->staged + leat__slot_size(length);
    if (__builtin_expect(end < position + ring->touched, 0)) /* shorter than reserved: payload may have been written behind it */
        wipe_lines(&ring->memory, end, position + ring->touched);
    seal(ring, LEAT__MESSAGE, length, end);
    ring->touched = ring->staged;
}

void leat__ring_publish(struct leat__ring_sender *ring) {
    if (ring->staged == 0)
        return;
    leat__store_release64(leat__word_at(&ring->memory, ring->lane.position), ring->first_header); /* [R1] the commit */
    ring->lane.position += ring->staged;
    ring->staged = ring->touched = 0;
    leat__store_release64(&ring->memory.sender->position, ring->lane.position); /* [R6] never ahead of the commit */
}

void leat__ring_forget(struct leat__ring_sender *ring) {
    if (ring->touched > 0)
        wipe_lines(&ring->memory, ring->lane.position + 1, ring->lane.position + ring->touched);
    ring->staged = ring->touched = 0;
}

int leat__ring_mark(struct leat__ring_sender *ring, enum leat__record_type type, uint64_t value) {
    uint64_t end = ring->lane.position + LEAT__SMALLEST_SLOT;
    int result = leat__ring_refresh(ring);
    if (result != LEAT_OK)
        return result;
    if (end >= ring->released + ring->memory.capacity) /* never full to the last byte: I1 */
        return LEAT_EAGAIN;
    leat__store_relaxed64(leat__word_at(&ring->memory, ring->lane.position + LEAT__RECORD_HEADER), value);
    seal(ring, type, sizeof value, end);
    leat__ring_publish(ring);
    return LEAT_OK;
}

/* --- Taking over ------------------------------------------------------------------------------------------------------ */

/* Whether a is at or behind b, for positions that are at most a capacity apart. */
static bool reached(uint64_t a, uint64_t b, uint64_t capacity) {
    return a - b <= capacity;
}

/* Walks over the records from a position to the end of the stream. A zero word is the end, unless the receiver has passed it in
 * the meantime. There are at most a capacity's records, and at most as many more steps because the receiver moved. */
static int find_end(struct leat__ring_sender *ring, uint64_t *position) {
    const struct leat__ring_memory *memory = &ring->memory;
    for (uint64_t steps = 0; steps <= 2 * memory->capacity / LEAT__SMALLEST_SLOT; steps++) {
        uint64_t header = leat__load_acquire64(leat__word_at(memory, *position)); /* [R5] or [R1] */
        if (header == 0) {
            uint64_t consumed = leat__load_acquire64(&memory->receiver->position);
            if (consumed == *position || !reached(consumed, *position, memory->capacity))
                return LEAT_OK;
            if (consumed % LEAT__SMALLEST_SLOT != 0)
                break;
            *position = consumed;
            continue;
        }
        struct leat__record record;
        if (!leat__record_decode(memory, *position, header, &record))
            return fail_corrupt(ring, "the ring holds an impossible record at position", *position);
        *position = record.end;
    }
    return fail_corrupt(ring, "the receiver moves as no receiver does, at position", *position);
}

int leat__ring_sender_recover(struct leat__ring_sender *ring, const struct leat__ring_memory *memory) {
    *ring = (struct leat__ring_sender){.lane = leat__lane(memory, memory->sender), .memory = *memory};
    uint64_t position = leat__load_acquire64(&memory->sender->position);
    uint64_t released = leat__load_acquire64(&memory->receiver->released);
    uint64_t consumed = leat__load_acquire64(&memory->receiver->position);
    if (reached(consumed, position, memory->capacity))
        position = consumed; /* the last commit was not noted, but received */
    if (position % LEAT__SMALLEST_SLOT != 0 || released % LEAT__LINE != 0 || position - released > memory->capacity ||
        position >= LEAT__POSITION_END)
        return fail_corrupt(ring, "the positions contradict each other", position);
    int result = find_end(ring, &position);
    if (result != LEAT_OK)
        return result;
    ring->lane.position = position;
    result = leat__ring_refresh(ring);
    if (result != LEAT_OK)
        return result;
    if (leat__load_relaxed32(&memory->sender->opened) != 0) /* else nobody has written here yet */
        wipe_lines(memory, position + 1, ring->released + memory->capacity);
    leat__store_release64(&memory->sender->position, position);
    return LEAT_OK;
}

int leat__ring_sender_resume(struct leat__ring_sender *ring) {
    uint64_t position = leat__load_acquire64(&ring->memory.sender->position); /* [R6] ordered by the senders' lock */
    if (position < ring->lane.position || position >= LEAT__POSITION_END || position % LEAT__SMALLEST_SLOT != 0)
        return fail_corrupt(ring, "another sender has left an impossible position", position);
    ring->lane.position = position;
    ring->staged = ring->touched = 0;
    return ring->lane.position > ring->limit ? leat__ring_refresh(ring) : LEAT_OK;
}
