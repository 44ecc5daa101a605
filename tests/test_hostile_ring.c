/* test_hostile_ring.c - a peer that writes what no correct peer writes into the ring: every such
 * word is refused, what is accepted lies inside the ring, and nothing outside it is ever touched
 * (there are unmapped pages on both sides). Named after the attacks. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "channels/queue/ring.h"

#define CAPACITY ((uint64_t)4096)
#define PAGES 3 /* sender, receiver, ring */

static unsigned char *mapped;

/* Fresh memory between two pages that fault. */
static struct leat__ring_memory new_memory(void) {
    size_t size = PAGES * LEAT__PAGE;
    mapped = mmap(NULL, size + 2 * LEAT__PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(mapped != MAP_FAILED);
    unsigned char *base = mapped + LEAT__PAGE;
    assert_int_equal(mprotect(base, size, PROT_READ | PROT_WRITE), 0);
    return (struct leat__ring_memory){(void *)base, (void *)(base + LEAT__PAGE),
                                      base + 2 * LEAT__PAGE, CAPACITY, leat__processor()};
}

static void free_memory(void) {
    munmap(mapped, (PAGES + 2) * LEAT__PAGE);
}

/* A receiver that stands at the position. */
static struct leat__ring_receiver receiver_at(const struct leat__ring_memory *memory,
                                              uint64_t position) {
    struct leat__ring_receiver receiver;
    leat__store_relaxed64(&memory->receiver->position, position);
    leat__store_relaxed64(&memory->receiver->released, position & ~(LEAT__LINE - 1));
    assert_ok(leat__ring_receiver_recover(&receiver, memory));
    assert_int_equal(receiver.lane.position, position);
    return receiver;
}

static int look_at(uint64_t position, uint64_t header) {
    struct leat__ring_memory memory = new_memory();
    struct leat__ring_receiver receiver = receiver_at(&memory, position);
    struct leat__record record = {0};
    leat__store_relaxed64(leat__word_at(&memory, position), header);
    int result = leat__ring_poll(&receiver, position, &record);
    if (result == LEAT_OK) {
        const unsigned char *end = record.payload + record.length;
        assert_true(record.payload >= memory.ring && end >= record.payload &&
                    end <= memory.ring + CAPACITY);
        assert_true(record.end > position && record.end <= position + CAPACITY &&
                    record.end % LEAT__SMALLEST_SLOT == 0);
        leat__ring_release(&receiver, record.end);
    } else if (leat__is_header(header, position)) { /* for good */
        assert_leat(result, LEAT_ECORRUPT);
        leat__store_relaxed64(leat__word_at(&memory, position),
                              leat__record_header(position, LEAT__MESSAGE, 0));
        assert_leat(leat__ring_poll(&receiver, position, &record), LEAT_ECORRUPT);
    }
    free_memory();
    return result;
}

static void record_of_a_correct_sender_is_accepted(void **state) {
    (void)state;
    assert_leat(look_at(0, 0), LEAT_EAGAIN);
    assert_ok(look_at(0, leat__record_header(0, LEAT__MESSAGE, 0)));
    assert_ok(look_at(0, leat__record_header(0, LEAT__MESSAGE, leat__max_message(CAPACITY))));
    assert_ok(look_at(16, leat__record_header(16, LEAT__MESSAGE, 8)));
    assert_ok(look_at(4096 * 5 + 64, leat__record_header(4096 * 5 + 64, LEAT__MESSAGE, 56)));
    assert_ok(look_at(4080, leat__record_header(4080, LEAT__PAD, 8)));
    assert_ok(look_at(32, leat__record_header(32, LEAT__END_MARK, 8)));
}

static void hostile_type_that_does_not_exist(void **state) {
    (void)state;
    for (unsigned type = 5; type < 256; type++)
        assert_leat(look_at(0, leat__record_header(0, (enum leat__record_type)type, 8)),
                    LEAT_ECORRUPT);
    assert_leat(look_at(0, 8), LEAT_ECORRUPT); /* type 0 with a length */
}

static void hostile_length_beyond_the_longest_message(void **state) {
    (void)state;
    static const uint64_t lengths[] = {CAPACITY / 2 - 71, CAPACITY / 2, CAPACITY - 8,   CAPACITY,
                                       CAPACITY + 1,      INT32_MAX,    UINT32_MAX - 7, UINT32_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        assert_leat(look_at(0, leat__record_header(0, LEAT__MESSAGE, lengths[i])), LEAT_ECORRUPT);
}

static void hostile_length_covers_the_end_of_the_ring(void **state) {
    (void)state;
    for (uint64_t position = CAPACITY / 2 + 64; position < CAPACITY; position += 64)
        for (uint64_t length = CAPACITY - position - 7; length <= leat__max_message(CAPACITY);
             length += 61)
            assert_leat(look_at(position, leat__record_header(position, LEAT__MESSAGE, length)),
                        LEAT_ECORRUPT);
}

static void hostile_pad_of_any_length(void **state) {
    (void)state;
    static const uint64_t lengths[] = {
        0, 1, 7, 9, CAPACITY - 7, CAPACITY, CAPACITY + 8, UINT32_MAX - 7, UINT32_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        assert_leat(look_at(0, leat__record_header(0, LEAT__PAD, lengths[i])), LEAT_ECORRUPT);
    /* over the end */
    assert_leat(look_at(4080, leat__record_header(4080, LEAT__PAD, 24)), LEAT_ECORRUPT);
}

static void hostile_mark_of_another_length(void **state) {
    (void)state;
    for (enum leat__record_type type = LEAT__OPEN_MARK; type <= LEAT__END_MARK; type++)
        for (uint64_t length = 0; length < 100; length++)
            assert_leat(look_at(0, leat__record_header(0, type, length)),
                        length == 8 ? LEAT_OK : LEAT_ECORRUPT);
}

static void hostile_header_of_another_position(void **state) {
    (void)state;
    for (uint64_t other = 0; other < 20 * CAPACITY; other += 16)
        if (other != 2 * CAPACITY)
            /* none */
            assert_leat(look_at(2 * CAPACITY, leat__record_header(other, LEAT__MESSAGE, 8)),
                        LEAT_EAGAIN);
}

static void hostile_slot_that_is_not_aligned(void **state) {
    (void)state;
    assert_leat(look_at(16, leat__record_header(16, LEAT__MESSAGE, 9)), LEAT_ECORRUPT);
    assert_leat(look_at(16, leat__record_header(16, LEAT__MESSAGE, 24)), LEAT_ECORRUPT);
    assert_leat(look_at(32, leat__record_header(32, LEAT__MESSAGE, 25)), LEAT_ECORRUPT);
    assert_leat(look_at(48, leat__record_header(48, LEAT__MESSAGE, 1000)), LEAT_ECORRUPT);
}

/* Any word at any place: refused, or inside the ring (look_at checks). Most random words are
 * refused for their position, so half of them carry the right one. */
static void hostile_header_at_random(void **state) {
    (void)state;
    uint64_t random = harness_seed(), accepted = 0;
    for (int i = 0; i < 20000; i++) {
        uint64_t position = harness_random(&random) % (8 * CAPACITY) & ~(uint64_t)15,
                 header = harness_random(&random);
        if (i % 2)
            header = leat__record_header(position, (enum leat__record_type)(header % 6),
                                         (header >> 8) % (2 * CAPACITY) >> i % 10);
        accepted += look_at(position, header) == LEAT_OK;
    }
    assert_true(accepted > 100);
}

/* More records than the ring has room for, each of them right. */
static void hostile_records_that_go_round_the_ring(void **state) {
    (void)state;
    struct leat__ring_memory memory = new_memory();
    struct leat__ring_receiver receiver = receiver_at(&memory, 64);
    struct leat__record record;
    uint64_t position = 64;
    int result = LEAT_OK;
    for (int i = 0; result == LEAT_OK && i < 1000; i++) {
        leat__store_relaxed64(leat__word_at(&memory, position),
                              leat__record_header(position, LEAT__MESSAGE, 50));
        result = leat__ring_poll(&receiver, position, &record);
        if (result == LEAT_OK)
            position = record.end;
    }
    assert_leat(result, LEAT_ECORRUPT);
    assert_int_equal(position, 64 + CAPACITY);
    free_memory();
}

/* --- Against the sender ----------------------------------------------------------------------- */

static void expect_released(uint64_t released, int code) {
    struct leat__ring_memory memory = new_memory();
    struct leat__ring_sender sender;
    void *payload;
    assert_ok(leat__ring_sender_recover(&sender, &memory));
    for (int i = 0; i < 10; i++) {
        assert_ok(leat__ring_reserve(&sender, 100, &payload));
        memset(payload, 1, 100);
        leat__ring_stage(&sender, 100);
        leat__ring_publish(&sender);
    }
    assert_int_equal(sender.lane.position, 1280);
    leat__store_relaxed64(&memory.receiver->released, released);
    assert_leat(leat__ring_refresh(&sender), code);
    if (code != LEAT_OK) {
        leat__store_relaxed64(&memory.receiver->released, 0);
        assert_leat(leat__ring_refresh(&sender), code); /* for good */
    }
    free_memory();
}

static void hostile_release_beyond_what_was_sent(void **state) {
    (void)state;
    expect_released(0, LEAT_OK);
    expect_released(64, LEAT_OK);
    expect_released(1280, LEAT_OK);
    expect_released(1280 | LEAT__WIPED, LEAT_OK);
    static const uint64_t bad[] = {
        1344, 1282, 2, 63, 4096, (uint64_t)1 << 40, (uint64_t)1 << 63, UINT64_MAX - 63, UINT64_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        expect_released(bad[i], LEAT_ECORRUPT);
}

static void hostile_release_that_jumps_back(void **state) {
    (void)state;
    struct leat__ring_memory memory = new_memory();
    struct leat__ring_sender sender;
    void *payload;
    assert_ok(leat__ring_sender_recover(&sender, &memory));
    assert_ok(leat__ring_reserve(&sender, 1000, &payload));
    leat__ring_stage(&sender, 1000);
    leat__ring_publish(&sender);
    leat__store_relaxed64(&memory.receiver->released, 512);
    assert_ok(leat__ring_refresh(&sender));
    leat__store_relaxed64(&memory.receiver->released, 448);
    assert_leat(leat__ring_refresh(&sender), LEAT_ECORRUPT);
    free_memory();
}

/* Attaching to a ring full of anything ends, with a code, inside the memory. */
static void hostile_ring_found_when_attaching(void **state) {
    (void)state;
    uint64_t random = harness_seed();
    for (int round = 0; round < 5000; round++) {
        struct leat__ring_memory memory = new_memory();
        struct leat__ring_sender sender;
        struct leat__ring_receiver receiver;
        uint64_t base = harness_random(&random) % 64 * 64;
        for (uint64_t place = 0; place < CAPACITY; place += 16) {
            uint64_t position = base + (place - base) % CAPACITY;
            enum leat__record_type type = (enum leat__record_type)(harness_random(&random) % 5);
            uint64_t length = harness_random(&random) % (round % 2 ? 60 : 3000);
            uint64_t header = type == 0 ? 0 : leat__record_header(position, type, length);
            leat__store_relaxed64(leat__word_at(&memory, place), header);
        }
        leat__store_relaxed64(&memory.receiver->released, base);
        uint64_t skew = round % 4 == 3 ? harness_random(&random) % 16 : 0;
        leat__store_relaxed64(&memory.receiver->position,
                              base + harness_random(&random) % 256 * 16 + skew);
        leat__store_relaxed64(&memory.sender->position, base + harness_random(&random) % 300 * 16);
        leat__store_relaxed32(&memory.sender->opened, 1);
        int result = leat__ring_sender_recover(&sender, &memory);
        assert_true(result == LEAT_OK || result == LEAT_ECORRUPT);
        result = leat__ring_receiver_recover(&receiver, &memory);
        assert_true(result == LEAT_OK || result == LEAT_ECORRUPT);
        free_memory();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(record_of_a_correct_sender_is_accepted),
        HARNESS_TEST(hostile_type_that_does_not_exist),
        HARNESS_TEST(hostile_length_beyond_the_longest_message),
        HARNESS_TEST(hostile_length_covers_the_end_of_the_ring),
        HARNESS_TEST(hostile_pad_of_any_length),
        HARNESS_TEST(hostile_mark_of_another_length),
        HARNESS_TEST(hostile_header_of_another_position),
        HARNESS_TEST(hostile_slot_that_is_not_aligned),
        HARNESS_TEST(hostile_header_at_random),
        HARNESS_TEST(hostile_records_that_go_round_the_ring),
        HARNESS_TEST(hostile_release_beyond_what_was_sent),
        HARNESS_TEST(hostile_release_that_jumps_back),
        HARNESS_TEST(hostile_ring_found_when_attaching),
    };
    return HARNESS_MAIN("hostile_ring", tests);
}
