/* ring_pair.h - a ring's two halves (channels/queue/ring.h) in one process, on memory between guard
 * pages, and a queue that says what should be in the ring.
 *
 * Sending and receiving here go through the ring and the queue at once and compare: what a call
 * gives, what every record holds. A test that writes into the ring behind the queue's back saves
 * before and restores after.
 */
#ifndef LEAT_TESTS_RING_PAIR_H
#define LEAT_TESTS_RING_PAIR_H

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "channels/queue/ring.h"
#include "harness.h"

#define CAPACITY ((uint64_t)4096)
#define MAX_MESSAGE (CAPACITY / 2 - 64 - 8)
#define QUEUE 1024 /* more than ever are in the ring at once */

/* --- The memory ------------------------------------------------------------------------------- */

static struct leat__ring_memory memory;
static const struct leat__processor wiping = {.wipe = 128}, fetching = {.fetch = true};

/* Each part between pages that nobody may touch. The ring ends with its page, so that one byte
 * behind it is already outside. */
static inline void *guarded_pages(size_t size) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *all = mmap(NULL, size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(all, MAP_FAILED);
    assert_int_equal(mprotect(all + page, size, PROT_READ | PROT_WRITE), 0);
    return all + page;
}

static inline void give_back(void *part, size_t size) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    munmap((unsigned char *)part - page, size + 2 * page);
}

static inline int make_memory(void **state) {
    (void)state;
    memory = (struct leat__ring_memory){
        .sender = guarded_pages(LEAT__PAGE),
        .receiver = guarded_pages(LEAT__PAGE),
        .ring = guarded_pages(CAPACITY),
        .capacity = CAPACITY,
        .processor = &wiping,
    };
    return 0;
}

static inline int drop_memory(void **state) {
    (void)state;
    give_back(memory.sender, LEAT__PAGE);
    give_back(memory.receiver, LEAT__PAGE);
    give_back(memory.ring, CAPACITY);
    return 0;
}

/* --- A ring, and what should be in it --------------------------------------------------------- */

struct entry {
    enum leat__record_type type;
    uint64_t length;
};

static struct leat__ring_sender tx;
static struct leat__ring_receiver rx;
static struct entry queue[QUEUE];
static uint64_t first, last; /* numbers of the oldest entry and of the next one */

/* What one side's operation can change, for going back. */
struct snapshot {
    unsigned char words[2][256], ring[CAPACITY];
    struct leat__ring_sender tx;
    struct leat__ring_receiver rx;
    uint64_t first, last;
};

static inline void save(struct snapshot *snapshot) {
    memcpy(snapshot->words[0], memory.sender, sizeof snapshot->words[0]);
    memcpy(snapshot->words[1], memory.receiver, sizeof snapshot->words[1]);
    memcpy(snapshot->ring, memory.ring, CAPACITY);
    snapshot->tx = tx;
    snapshot->rx = rx;
    snapshot->first = first;
    snapshot->last = last;
}

static inline void restore(const struct snapshot *snapshot) {
    memcpy(memory.sender, snapshot->words[0], sizeof snapshot->words[0]);
    memcpy(memory.receiver, snapshot->words[1], sizeof snapshot->words[1]);
    memcpy(memory.ring, snapshot->ring, CAPACITY);
    tx = snapshot->tx;
    rx = snapshot->rx;
    first = snapshot->first;
    last = snapshot->last;
}

static inline unsigned char byte_of(uint64_t number) {
    return (unsigned char)(number * 7 | 1);
}

/* The payload of a message whose record's payload begins at the position: each word is the header
 * that will be expected at its place one lap later; with `now`, in this lap: what is not published
 * is as dangerous. */
static inline void fill(void *payload, uint64_t position, size_t size, uint64_t number, bool now) {
    for (size_t i = 0; i < size; i += 8) {
        uint64_t place = ((position + i) & ~(uint64_t)15) + (now ? 0 : CAPACITY);
        uint64_t word = leat__record_header(place, LEAT__MESSAGE, number % 9);
        memcpy((unsigned char *)payload + i, &word, size - i < 8 ? size - i : 8);
    }
}

/* Free space holds headers of the first lap, left by senders that came before; or the ring is as it
 * was made. */
static bool untouched;
static inline void start_ring(void) {
    memset(memory.sender, 0, LEAT__PAGE);
    memset(memory.receiver, 0, LEAT__PAGE);
    memset(memory.ring, 0, CAPACITY);
    for (uint64_t at = LEAT__SMALLEST_SLOT; at < CAPACITY && !untouched; at += LEAT__SMALLEST_SLOT)
        leat__store_relaxed64(leat__word_at(&memory, at),
                              leat__record_header(at, LEAT__MESSAGE, 3));
    leat__store_relaxed32(&memory.sender->opened, !untouched);
    first = last = 0;
    assert_ok(leat__ring_sender_recover(&tx, &memory));
    leat__store_relaxed32(&memory.sender->opened, 1);
    assert_ok(leat__ring_receiver_recover(&rx, &memory));
}

/* --- Sending and receiving -------------------------------------------------------------------- */

/* Lengths at which a slot changes its size, and the longest. */
static const uint64_t sizes[] = {0, 8, 9, 24, 25, 56, 57, 120, MAX_MESSAGE};
#define SIZES (sizeof sizes / sizeof sizes[0])

/* Whether there must be room behind the staged end, found by trying every place. */
static inline bool fits(uint64_t length) {
    uint64_t slot = leat__slot_size(length), start = tx.lane.position + tx.staged,
             alignment = slot < 64 ? slot : 64;
    while (start % alignment != 0 || start / CAPACITY != (start + slot - 1) / CAPACITY)
        start += 16;
    return start + slot <=
           (leat__load_relaxed64(&memory.receiver->released) & ~LEAT__WIPED) + CAPACITY - 64;
}

/* Where a payload lies, which the sender is about to write. */
static inline uint64_t place_of(const void *payload) {
    uint64_t offset = (uint64_t)((const unsigned char *)payload - memory.ring);
    return tx.lane.position + ((offset - tx.lane.position) & (CAPACITY - 1));
}

static inline bool stage(uint64_t reserved, uint64_t length) {
    void *payload;
    bool room = fits(reserved);
    int result = leat__ring_reserve(&tx, reserved, &payload);
    assert_leat(result, room ? LEAT_OK : LEAT_EAGAIN);
    if (result != LEAT_OK)
        return false;
    assert_int_equal((uintptr_t)payload % 8, 0);
    fill(payload, place_of(payload), reserved, last, true);
    fill(payload, place_of(payload), length, last, false);
    leat__ring_stage(&tx, length);
    queue[last++ % QUEUE] = (struct entry){LEAT__MESSAGE, length};
    return true;
}

static inline void send(uint64_t length) {
    if (stage(length, length))
        leat__ring_publish(&tx);
}

static inline void send_batch(void) {
    bool room = stage(8, 8) && stage(56, 56) && stage(24, 24) && stage(0, 0) && stage(300, 300);
    (void)room;
    leat__ring_publish(&tx);
}

static inline void check_record(const struct leat__record *record, uint64_t number) {
    static unsigned char wanted[MAX_MESSAGE + 8];
    const struct entry *expected = &queue[number % QUEUE];
    assert_int_equal(record->type, expected->type);
    assert_int_equal(record->length, expected->length);
    if (record->type == LEAT__MESSAGE)
        fill(wanted, record->end - leat__slot_size(record->length) + LEAT__RECORD_HEADER,
             record->length, number, false);
    else
        memset(wanted, byte_of(number), 8);
    assert_memory_equal(record->payload, wanted, record->length);
}

/* Looks at up to `max` records and releases them together; gives how many there were. */
static inline unsigned receive(unsigned max) {
    unsigned count = 0;
    uint64_t position = rx.lane.position;
    struct leat__record record;
    int result = LEAT_OK;
    while (count < max && (result = leat__ring_poll(&rx, position, &record)) == LEAT_OK) {
        position = record.end;
        if (record.type == LEAT__PAD)
            continue;
        assert_true(first + count < last);
        check_record(&record, first + count);
        count++;
    }
    if (result != LEAT_OK) {
        assert_leat(result, LEAT_EAGAIN);
        assert_int_equal(first + count, last);
    }
    first += count;
    leat__ring_release(&rx, position);
    return count;
}

/* Brings the write position to a place, with everything received, or with as much as fits left in
 * the ring. */
static inline void start_at(uint64_t place, bool full) {
    start_ring();
    while (tx.lane.position < place) {
        send(tx.lane.position % 64 == 0 && tx.lane.position + 64 <= place ? 56 : 8);
        receive(2);
    }
    assert_int_equal(tx.lane.position, place);
    while (full && fits(56))
        send(56);
}

/* --- Running ---------------------------------------------------------------------------------- */

static inline int set_up_ring(void **state) {
    return harness_setup(state) | make_memory(state);
}

static inline int tear_down_ring(void **state) {
    return drop_memory(state) | harness_teardown(state);
}

#define RING_TEST(function, seconds)                                                               \
    cmocka_unit_test_prestate_setup_teardown(function, set_up_ring, tear_down_ring,                \
                                             (&(struct harness_test){#function, seconds}))

#endif
