/* channels/queue/ring_sender.c - the sender's half of the ring; channels/queue/ring.h has the
 * protocol and its invariants. */
#include "channels/queue/ring.h"
#include "lib/base/fail.h"

/* bytes; one probe behind such a record costs less than a probe of all its lines */
#define LONG_SLOT UINT64_C(512)
#define FAR_NS UINT64_C(120) /* a line's time from the receiver above which probing early pays */
#define DISTANCE_NS_MAX UINT64_C(1000) /* longer is an interruption */
/* bytes; its lines are probed together, so that their transfers overlap */
#define STRETCH UINT64_C(4096)

static int fail_corrupt(struct leat__ring_sender *ring, const char *what, uint64_t value) {
    ring->corrupt = true;
    return leat__fail(LEAT_ECORRUPT, 0, "%s (%llu)", what, (unsigned long long)value);
}

/* --- Room ------------------------------------------------------------------------------------- */

int leat__ring_refresh(struct leat__ring_sender *ring) {
    if (ring->corrupt)
        return leat__fail(LEAT_ECORRUPT, 0, "seen before");
    const leat__u64 *handed_back = &ring->memory.receiver->released;
    uint64_t word = leat__load_acquire64(handed_back); /* [R3] its reads and wipes of the lines */
    uint64_t released = word & ~LEAT__WIPED;
    if (released - ring->released > ring->lane.position - ring->released ||
        released % LEAT__LINE != 0)
        return fail_corrupt(
            ring, "the receiver claims to have released up to an impossible position", released);
    ring->released = released;
    ring->promised = (word & LEAT__WIPED) != 0;
    ring->limit = released + ring->memory.capacity - LEAT__MARK_RESERVE;
    ring->lane.fetch = ring->memory.processor->fetch ? ring->limit : 0;
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

/* Finishes a record at the staged end: stores its header in the ring, or withholds it if it is the
 * first staged header. */
static void seal(struct leat__ring_sender *ring, enum leat__record_type type, uint64_t length,
                 uint64_t end) {
    uint64_t start = ring->lane.position + ring->staged,
             header = leat__record_header(start, type, length);
    if (ring->staged == 0)
        ring->first_header = header;
    else
        leat__store_relaxed64(leat__word_at(&ring->memory, start), header);
    ring->staged = end - ring->lane.position;
}

/* Refreshes. For slots of two lines, on processors that gain by it, measures how long a new word of
 * the receiver's takes to arrive, as a mean of the last few. For other slots the clock would cost
 * more. */
static int refresh_for(struct leat__ring_sender *ring, uint64_t slot) {
    if (slot != 2 * LEAT__LINE || !ring->memory.processor->probes)
        return leat__ring_refresh(ring);
    uint64_t before = ring->released, began = leat__os_now();
    int result = leat__ring_refresh(ring);
    uint64_t took = leat__os_now() - began;
    if (ring->released != before && took < DISTANCE_NS_MAX) /* an old word came from this cache */
        ring->distance_ns = (3 * ring->distance_ns + took) / 4;
    return result;
}

int leat__ring_reserve(struct leat__ring_sender *ring, uint64_t length, void **payload) {
    uint64_t slot = leat__slot_size(length), start = place(ring, slot);
    if (__builtin_expect(start + slot > ring->limit, 0)) {
        int result = refresh_for(ring, slot);
        if (result != LEAT_OK)
            return result;
        if (start + slot > ring->limit)
            return LEAT_EAGAIN;
    }
    uint64_t end_of_staged = ring->lane.position + ring->staged;
    if (start != end_of_staged)
        seal(ring, LEAT__PAD, start - end_of_staged - LEAT__RECORD_HEADER, start);
    leat__lane_fetch(&ring->lane, start, slot);
    leat__ring_note_written(ring, start + slot);
    *payload = (char *)leat__word_at(&ring->memory, start) + LEAT__RECORD_HEADER;
    return LEAT_OK;
}

bool leat__ring_has_room(struct leat__ring_sender *ring, uint64_t length) {
    uint64_t slot = leat__slot_size(length);
    return leat__ring_refresh(ring) != LEAT_OK || place(ring, slot) + slot <= ring->limit;
}

bool leat__ring_seems_to_have_room(const struct leat__ring_memory *memory, uint64_t length) {
    uint64_t position = leat__load_acquire64(&memory->sender->position),
             slot = leat__slot_size(length);
    uint64_t released = leat__ring_released(memory->receiver);
    return position - released > memory->capacity ||
           place_behind(position, slot, memory->capacity) + slot <=
               released + memory->capacity - LEAT__MARK_RESERVE;
}

void leat__ring_stage(struct leat__ring_sender *ring, uint64_t length) {
    ring->last_slot = leat__slot_size(length);
    uint64_t end = ring->lane.position + ring->staged + ring->last_slot;
    if (end < ring->written) /* shorter than reserved, perhaps */
        ring->probed_to = 0;
    seal(ring, LEAT__MESSAGE, length, end);
}

/* Probes the word at a position: zeroes it if it is a header of that position. */
static inline void probe(const leat_lane *lane, uint64_t position) {
    uint64_t *word = leat__lane_at(lane, position);
    if (__builtin_expect(leat__is_header(__atomic_load_n(word, __ATOMIC_RELAXED), position), 0))
        __atomic_store_n(word, 0, __ATOMIC_RELAXED); /* I1 */
}

/* Whether the receiver promises that the start of a line is zero. */
static bool is_promised(const struct leat__ring_sender *ring, uint64_t line) {
    return ring->promised && line >= ring->written;
}

/* Whether probing lines ahead pays although they are promised: the loads of a stretch overlap,
 * where stores to slots of two lines would wait for one line after the other (decision 0016). */
static bool probes_early(const struct leat__ring_sender *ring) {
    return ring->last_slot == 2 * LEAT__LINE && ring->distance_ns > FAR_NS;
}

uint64_t leat__ring_probe_ahead(struct leat__ring_sender *ring, uint64_t limit) {
    const leat_lane lane = ring->lane; /* a copy, that stays in registers */
    uint64_t line = (lane.position & ~(LEAT__LINE - 1)) + LEAT__LINE;
    uint64_t end = ring->last_slot > LONG_SLOT ? lane.position : line + STRETCH;
    end = end < limit ? end : limit;
    bool early = probes_early(ring);
    if (is_promised(ring, line) && !early)
        return limit;
    line = line > ring->probed_to ? line : ring->probed_to + LEAT__LINE;
    /* else those from `written` on are promised */
    bool all = early || !ring->promised || end < ring->written;
    for (uint64_t stop = all ? end + 1 : ring->written; line < stop; line += LEAT__LINE)
        probe(&lane, line);
    ring->probed_to = line - LEAT__LINE;
    return all ? end : limit;
}

void leat__ring_publish(struct leat__ring_sender *ring) {
    uint64_t end = ring->lane.position + ring->staged;
    if (ring->staged == 0)
        return;
    if (end % LEAT__LINE != 0 || !is_promised(ring, end))
        probe(&ring->lane, end);
    /* [R1] the commit */
    leat__store_release64(leat__word_at(&ring->memory, ring->lane.position), ring->first_header);
    ring->lane.position += ring->staged;
    ring->staged = 0;
    /* [R6] never ahead of the commit */
    leat__store_release64(&ring->memory.sender->position, ring->lane.position);
}

void leat__ring_forget(struct leat__ring_sender *ring) {
    ring->probed_to = 0;
    ring->staged = 0;
}

int leat__ring_mark(struct leat__ring_sender *ring, enum leat__record_type type, uint64_t value) {
    uint64_t end = ring->lane.position + LEAT__SMALLEST_SLOT;
    int result = leat__ring_refresh(ring);
    if (result != LEAT_OK)
        return result;
    if (end >= ring->released + ring->memory.capacity) /* never full to the last byte: I1 */
        return LEAT_EAGAIN;
    leat__store_relaxed64(leat__word_at(&ring->memory, ring->lane.position + LEAT__RECORD_HEADER),
                          value);
    seal(ring, type, sizeof value, end);
    leat__ring_publish(ring);
    return LEAT_OK;
}

/* --- Taking over ------------------------------------------------------------------------------ */

/* Whether a is at or behind b, for positions that are at most a capacity apart. */
static bool reached(uint64_t a, uint64_t b, uint64_t capacity) {
    return a - b <= capacity;
}

/* Walks over the records from a position to the end of the stream. A word that is no header is the
 * end, unless the receiver has passed it in the meantime. There are at most a capacity's records,
 * and at most as many more steps because the receiver moved. */
static int find_end(struct leat__ring_sender *ring, uint64_t *position) {
    const struct leat__ring_memory *memory = &ring->memory;
    for (uint64_t steps = 0; steps <= 2 * memory->capacity / LEAT__SMALLEST_SLOT; steps++) {
        uint64_t header = leat__load_acquire64(leat__word_at(memory, *position)); /* [R5] or [R1] */
        if (!leat__is_header(header, *position)) {
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

int leat__ring_sender_recover(struct leat__ring_sender *ring,
                              const struct leat__ring_memory *memory) {
    *ring =
        (struct leat__ring_sender){.lane = leat__lane(memory, memory->sender), .memory = *memory};
    uint64_t position = leat__load_acquire64(&memory->sender->position);
    uint64_t released = leat__ring_released(memory->receiver);
    uint64_t consumed = leat__load_acquire64(&memory->receiver->position);
    if (reached(consumed, position, memory->capacity))
        position = consumed; /* the last commit was not noted, but received */
    if (position % LEAT__SMALLEST_SLOT != 0 || released % LEAT__LINE != 0 ||
        position - released > memory->capacity || position >= LEAT__POSITION_END)
        return fail_corrupt(ring, "the positions contradict each other", position);
    int result = find_end(ring, &position);
    if (result != LEAT_OK)
        return result;
    ring->lane.position = position;
    bool is_first = leat__load_relaxed32(&memory->sender->opened) == 0; /* no sender wrote yet */
    ring->written = is_first ? position : position + memory->capacity;
    result = leat__ring_refresh(ring);
    if (result != LEAT_OK)
        return result;
    leat__store_release64(&memory->sender->position, position);
    return LEAT_OK;
}

int leat__ring_sender_resume(struct leat__ring_sender *ring) {
    /* [R6] ordered by the senders' lock */
    uint64_t position = leat__load_acquire64(&ring->memory.sender->position);
    if (position < ring->lane.position || position >= LEAT__POSITION_END ||
        position % LEAT__SMALLEST_SLOT != 0)
        return fail_corrupt(ring, "another sender has left an impossible position", position);
    ring->lane.position = position;
    ring->written = position + ring->memory.capacity;
    ring->probed_to = 0;
    ring->staged = 0;
    return ring->lane.position > ring->limit ? leat__ring_refresh(ring) : LEAT_OK;
}
