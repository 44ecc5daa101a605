/* test_hostile_ring_words.c - everything that a peer may write into a ring, replaced by values at
 * the boundaries and by random ones (LEAT_TEST_SEED), at rest and while it is read.
 *
 * Whatever is found there, each half of the ring (ring_pair.h) returns a code that the function may
 * return and comes to an end, and nothing outside the ring is touched: there are guard pages around
 * it. */
#include <pthread.h>
#include <string.h>

#include "ring_pair.h"

static uint64_t random_state;

/* Values that something could go wrong with, near a word's true value and at the ends of the range;
 * then random ones. */
static uint64_t hostile_value(unsigned choice, uint64_t truth) {
    static const uint64_t offsets[] = {0,
                                       1,
                                       7,
                                       8,
                                       15,
                                       16,
                                       32,
                                       63,
                                       64,
                                       128,
                                       CAPACITY - 64,
                                       CAPACITY - 16,
                                       CAPACITY - 8,
                                       CAPACITY - 1,
                                       CAPACITY,
                                       CAPACITY + 16,
                                       CAPACITY + 64,
                                       2 * CAPACITY};
    static const uint64_t ends[] = {0,
                                    1,
                                    16,
                                    64,
                                    UINT32_MAX,
                                    UINT64_C(1) << 32,
                                    INT64_MAX,
                                    UINT64_C(1) << 63,
                                    UINT64_MAX,
                                    UINT64_MAX - 15,
                                    UINT64_MAX - 63,
                                    UINT64_MAX - CAPACITY + 1};
    const unsigned near_ones = sizeof offsets / sizeof offsets[0],
                   far_ones = sizeof ends / sizeof ends[0];
    if (choice < 2 * near_ones)
        return choice % 2 ? truth + offsets[choice / 2] : truth - offsets[choice / 2];
    if (choice < 2 * near_ones + far_ones)
        return ends[choice - 2 * near_ones];
    uint64_t random = harness_random(&random_state);
    return choice % 2 ? random : truth + random % (4 * CAPACITY);
}
#define HOSTILE_VALUES 120

static void require_one_of(int result, const char *what) {
    if (result != LEAT_OK && result != LEAT_EAGAIN && result != LEAT_ECORRUPT)
        harness_fail("%s gave %s", what, leat_error_name(result));
}

/* Whatever a receiver is shown, it stays inside the ring and comes to an end. */
static void receive_whatever_there_is(void) {
    struct leat__record record;
    static volatile unsigned char sum;
    int result = LEAT_OK;
    for (unsigned steps = 0; result == LEAT_OK; steps++) {
        assert_true(steps <= CAPACITY / 16);
        result = leat__ring_poll(&rx, rx.lane.position, &record);
        require_one_of(result, "look");
        if (result != LEAT_OK)
            break;
        assert_true(record.payload >= memory.ring && record.length <= CAPACITY &&
                    record.payload + record.length <= memory.ring + CAPACITY);
        assert_true(record.end > rx.lane.position && record.end - rx.lane.position <= CAPACITY);
        for (uint64_t i = 0; i < record.length; i++)
            sum = (unsigned char)(sum + record.payload[i]);
        leat__ring_release(&rx, record.end);
    }
}

static void send_whatever_fits(void) {
    void *payload;
    for (size_t i = 0; i < SIZES; i++) {
        int result = leat__ring_reserve(&tx, sizes[i], &payload);
        require_one_of(result, "reserve");
        if (result != LEAT_OK)
            continue;
        assert_true((unsigned char *)payload >= memory.ring &&
                    (unsigned char *)payload + sizes[i] <= memory.ring + CAPACITY);
        memset(payload, 0xFF, sizes[i]);
        leat__ring_stage(&tx, sizes[i] / 2);
        if (i % 3 == 0)
            leat__ring_forget(&tx);
        leat__ring_publish(&tx);
        require_one_of(leat__ring_mark(&tx, LEAT__END_MARK, 1), "mark");
    }
    require_one_of(leat__ring_refresh(&tx), "refresh");
}

/* A ring in the middle of its life: some received, some not. */
static void start_used_ring(unsigned variant) {
    static const uint64_t places[] = {0, 16, CAPACITY - 64, CAPACITY + 2000};
    start_at(places[variant % 4], variant >= 4);
    if (variant < 4)
        send_batch();
    receive(1);
}

static void hostile_header_words_are_refused(void **state) {
    (void)state;
    static const uint64_t lengths[] = {0,
                                       7,
                                       8,
                                       9,
                                       24,
                                       40,
                                       56,
                                       57,
                                       MAX_MESSAGE,
                                       MAX_MESSAGE + 1,
                                       CAPACITY - 16,
                                       CAPACITY - 8,
                                       CAPACITY,
                                       CAPACITY + 8,
                                       UINT32_MAX,
                                       UINT32_MAX - 7,
                                       UINT32_MAX - 15};
    random_state = harness_seed();
    for (unsigned variant = 0; variant < 8; variant++) {
        struct snapshot before;
        start_used_ring(variant);
        save(&before);
        for (unsigned type = 0; type < 256; type++)
            for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
                for (unsigned tag = 0; tag < 4; tag++) {
                    uint64_t claimed = rx.lane.position + (tag == 1 ? 16 : tag == 2 ? CAPACITY : 0);
                    uint64_t word =
                        leat__record_header(claimed, (enum leat__record_type)type, lengths[i]);
                    leat__store_relaxed64(leat__word_at(&memory, rx.lane.position),
                                          word ^ (tag == 3 ? harness_random(&random_state) : 0));
                    receive_whatever_there_is();
                    restore(&before);
                }
    }
}

static void a_ring_full_of_noise_is_refused(void **state) {
    (void)state;
    random_state = harness_seed();
    start_used_ring(3);
    struct snapshot before;
    save(&before);
    for (int round = 0; round < 20000; round++) {
        /* headers that could stand there, most of them */
        for (uint64_t position = 0; position < CAPACITY; position += 16) {
            uint64_t random = harness_random(&random_state),
                     at = rx.lane.position / CAPACITY * CAPACITY + position;
            at += at < rx.lane.position ? CAPACITY : 0;
            uint64_t word = leat__record_header(at, (enum leat__record_type)(random % 5),
                                                random >> 32 & 0xff & ~(random >> 8 & 7));
            leat__store_relaxed64(leat__word_at(&memory, position),
                                  random % 64 == 63 ? random : word);
        }
        receive_whatever_there_is();
        rx.corrupt = false;
        require_one_of(leat__ring_sender_recover(&tx, &memory), "recover");
        if (!tx.corrupt)
            send_whatever_fits();
        restore(&before);
    }
}

/* Puts each hostile value into the word and calls. */
static void with_hostile(leat__u64 *word, void (*call)(void)) {
    for (unsigned variant = 0; variant < 8; variant++) {
        struct snapshot before;
        start_used_ring(variant);
        save(&before);
        uint64_t truth = leat__load_relaxed64(word);
        for (unsigned choice = 0; choice < HOSTILE_VALUES; choice++) {
            leat__store_relaxed64(word, hostile_value(choice, truth));
            call();
            restore(&before);
        }
    }
}

static void recover_sender(void) {
    int result = leat__ring_sender_recover(&tx, &memory);
    require_one_of(result, "recover");
    if (result == LEAT_OK)
        send_whatever_fits();
}

static void recover_receiver(void) {
    int result = leat__ring_receiver_recover(&rx, &memory);
    require_one_of(result, "recover");
    if (result == LEAT_OK)
        receive_whatever_there_is();
}

static void resume_sender(void) {
    int result = leat__ring_sender_resume(&tx);
    require_one_of(result, "resume");
    if (result == LEAT_OK)
        send_whatever_fits();
}

static void hostile_positions_are_refused(void **state) {
    (void)state;
    random_state = harness_seed();
    with_hostile(&memory.receiver->released, send_whatever_fits);
    with_hostile(&memory.receiver->position, send_whatever_fits);
    with_hostile(&memory.receiver->released, recover_sender);
    with_hostile(&memory.receiver->position, recover_sender);
    with_hostile(&memory.sender->position, recover_sender);
    with_hostile(&memory.sender->position, resume_sender);
    with_hostile(&memory.sender->position, receive_whatever_there_is);
    with_hostile(&memory.receiver->position, recover_receiver);
    with_hostile(&memory.receiver->released, recover_receiver);
}

/* --- Words that change while they are read ---------------------------------------------------- */

static atomic_bool scribbling;

static void *scribble(void *context) {
    uint64_t state = *(uint64_t *)context, truth = leat__load_relaxed64(&memory.receiver->position);
    while (atomic_load(&scribbling)) {
        uint64_t random = harness_random(&state);
        leat__store_relaxed64(&memory.receiver->position, truth);
        leat__store_relaxed64(&memory.receiver->position,
                              hostile_value((unsigned)(random % 36), truth));
        if (random % 8 == 0)
            leat__store_relaxed64(&memory.receiver->released,
                                  hostile_value((unsigned)(random >> 8) % 36, truth / 64 * 64));
        leat__store_relaxed64(&memory.receiver->released, truth / 64 * 64);
    }
    return NULL;
}

/* A receiver that rewrites its positions all the time: each of them is checked in the copy that is
 * used. */
static void positions_that_keep_changing_do_no_harm(void **state) {
    (void)state;
    static const uint64_t places[] = {0, 64, 2000, CAPACITY - 64, CAPACITY - 16};
    random_state = harness_seed();
    uint64_t end = harness_now() + 3000000000u;
    for (unsigned round = 0; harness_now() < end; round++) {
        pthread_t thread;
        start_at(places[round % 5], false);
        struct snapshot before;
        save(&before);
        atomic_store(&scribbling, true);
        assert_int_equal(pthread_create(&thread, NULL, scribble, &random_state), 0);
        for (int i = 0; i < 20000; i++) {
            recover_sender();
            memcpy(memory.sender, before.words[0], sizeof before.words[0]);
            memcpy(memory.ring, before.ring, CAPACITY);
        }
        atomic_store(&scribbling, false);
        pthread_join(thread, NULL);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RING_TEST(hostile_header_words_are_refused, 30),
        RING_TEST(a_ring_full_of_noise_is_refused, 60),
        RING_TEST(hostile_positions_are_refused, 30),
        RING_TEST(positions_that_keep_changing_do_no_harm, 30),
    };
    return HARNESS_MAIN("hostile_ring_words", tests);
}
