/* channels/queue/ring_receiver.c - the receiver's half of the ring; channels/queue/ring.h has the
 * protocol and its invariants. */
#include "channels/queue/ring.h"
#include "lib/base/fail.h"

static int fail_corrupt(struct leat__ring_receiver *ring, const char *what, uint64_t value) {
    ring->corrupt = true;
    return leat__fail(LEAT_ECORRUPT, 0, "%s (%llu)", what, (unsigned long long)value);
}

int leat__ring_poll(struct leat__ring_receiver *ring, uint64_t position,
                    struct leat__record *record) {
    /* [R2] sees what [R1] committed */
    uint64_t header = leat__load_acquire64(leat__word_at(&ring->memory, position));
    if (!leat__is_header(header, position))
        return LEAT_EAGAIN;
    if (__builtin_expect(ring->corrupt, 0))
        return leat__fail(LEAT_ECORRUPT, 0, "seen before");
    if (__builtin_expect(!leat__record_decode(&ring->memory, position, header, record), 0))
        return fail_corrupt(ring, "the sender wrote an impossible record at position", position);
    if (__builtin_expect(record->end - leat__ring_oldest(ring) > ring->memory.capacity, 0))
        return fail_corrupt(ring, "the sender overran what was not released, at position",
                            position);
    return LEAT_OK;
}

int leat__ring_check_committed(struct leat__ring_receiver *ring) {
    const struct leat__ring_memory *memory = &ring->memory;
    uint64_t at = ring->lane.position;
    uint64_t sent = leat__load_acquire64(&memory->sender->position); /* [R6] */
    if (sent <= at || sent - at > memory->capacity || leat__ring_has(ring, at))
        return LEAT_OK;
    return fail_corrupt(ring, "what the sender has committed is no record any more, at position",
                        at);
}

/* As leat__lane_wipe. */
static void wipe(const struct leat__ring_receiver *ring, uint64_t from, uint64_t to) {
    const struct leat__ring_memory *memory = &ring->memory;
    if (to - from < LEAT__LINE || to - from <= ring->lane.wipe)
        for (uint64_t at = from; at < to; at += LEAT__SMALLEST_SLOT)
            leat__lane_wipe_two((uint64_t *)(void *)leat__word_at(memory, at));
    else if (ring->lane.wipe != 0)
        for (uint64_t at = (from + LEAT__LINE - 1) & ~(LEAT__LINE - 1); at < to; at += LEAT__LINE)
            leat__store_release64(leat__word_at(memory, at), 0); /* [R5] */
}

/* Hands back the whole lines before `end`, with the promise if there is one. */
static void hand_back(const struct leat__ring_receiver *ring, uint64_t end) {
    uint64_t lines = (end & ~(LEAT__LINE - 1)) | ring->lane.promise;
    leat__store_release64(&ring->memory.receiver->released, lines); /* [R3] */
}

void leat__ring_release(struct leat__ring_receiver *ring, uint64_t end) {
    const struct leat__ring_memory *memory = &ring->memory;
    /* [R4] after our reads, before the wiping */
    leat__store_release64(&memory->receiver->position, end);
    wipe(ring, leat__ring_oldest(ring), end);
    ring->lane.position = end > ring->lane.position ? end : ring->lane.position;
    ring->held = ring->lane.position - end;
    bool whole_lap = end - ring->began >= memory->capacity + LEAT__LINE;
    if (ring->lane.wipe != 0 && whole_lap)
        ring->lane.promise = LEAT__WIPED;
    hand_back(ring, end);
}

int leat__ring_receiver_recover(struct leat__ring_receiver *ring,
                                const struct leat__ring_memory *memory) {
    uint64_t position = leat__load_acquire64(&memory->receiver->position);
    uint64_t released = leat__ring_released(memory->receiver);
    *ring = (struct leat__ring_receiver){.lane = leat__lane(memory, memory->receiver),
                                         .memory = *memory};
    if (position % LEAT__SMALLEST_SLOT != 0 || released % LEAT__LINE != 0 ||
        position - released > memory->capacity || position >= LEAT__POSITION_END)
        return fail_corrupt(ring, "the receiver's positions contradict each other", position);
    ring->lane.position = ring->began = position;
    ring->lane.wipe = memory->processor->wipe;
    bool is_untouched = position == 0; /* zero, except for what senders have written */
    ring->lane.promise = ring->lane.wipe != 0 && is_untouched ? LEAT__WIPED : 0;
    hand_back(ring, position); /* the predecessor may have died before its hand-back */
    return LEAT_OK;
}
