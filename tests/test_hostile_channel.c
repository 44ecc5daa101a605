/* test_hostile_channel.c - a peer that writes what no correct peer writes, and callers that give up
 * at the wrong moment, seen through the public calls: each gives one of its documented codes, soon,
 * and what follows is right. LEAT_TEST_SEED repeats a run. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <leat/waitset.h>

#include "channel_pair.h"
#include "channels/queue/receiver.h"
#include "channels/queue/sender.h"

#define CAPACITY ((uint64_t)4096)
#define MAX_MESSAGE (CAPACITY / 2 - 64 - 8)

static uint64_t random_state;

/* --- Words in the pages ----------------------------------------------------------------------- */

static void require_channel_code(int result, const char *what) {
    static const int codes[] = {LEAT_OK,        LEAT_EAGAIN,    LEAT_ETIMEDOUT, LEAT_ECLOSED,
                                LEAT_EPEERDIED, LEAT_EPEERBACK, LEAT_ECORRUPT};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i] == result)
            return;
    harness_fail("%s gave %s", what, leat_error_name(result));
}

static void use_pair(struct pair *pair) {
    static char bytes[MAX_MESSAGE];
    size_t size;
    leat_statistics statistics;
    for (int i = 0; i < 4; i++) {
        require_channel_code(
            leat_send(pair->tx, bytes, (size_t)i * 600, i == 0 ? leat_in_ms(1) : LEAT_NOW), "send");
        require_channel_code(
            leat_recv(pair->rx, bytes, sizeof bytes, &size, i == 1 ? leat_in_ms(1) : LEAT_NOW),
            "recv");
    }
    require_channel_code(leat_sender_drain(pair->tx, LEAT_NOW), "drain");
    (void)leat_sender_peer(pair->tx);
    (void)leat_receiver_peer(pair->rx);
    leat_sender_statistics(pair->tx, &statistics);
    leat_receiver_statistics(pair->rx, &statistics);
    leat_channel_info info;
    require_channel_code(leat_channel_stat("words", LEAT_LOCAL, &info), "info");
}

/* All words of both pages, one after another: a user of the channel gets one of the documented
 * codes, soon, and closing works. */
static void hostile_words_in_the_pages_give_documented_codes(void **state) {
    (void)state;
    char path[300];
    snprintf(path, sizeof path, "%s/words", harness_directory());
    random_state = harness_seed();
    for (unsigned many = 0; many < 2; many++)
        for (size_t offset = LEAT__SENDER_PAGE; offset < LEAT__RING;
             offset += offset % LEAT__PAGE == 32 ? 96 : 4) {
            if (offset % LEAT__PAGE >= 272)
                offset = offset / LEAT__PAGE * LEAT__PAGE + LEAT__PAGE;
            if (offset >= LEAT__RING)
                break;
            for (unsigned choice = 0; choice < 7; choice++) {
                leat_channel_options options = {
                    .capacity = CAPACITY, .many_senders = many, .spin_us = LEAT_SPIN_NONE};
                struct pair pair = {open_sender("words", &options),
                                    open_receiver("words", &options)};
                send_text(pair.tx, "one");
                expect_text(pair.rx, "one");
                int file = open(path, O_RDWR | O_CLOEXEC);
                uint32_t word, put;
                assert_int_equal(pread(file, &word, 4, (off_t)offset), 4);
                static const uint32_t values[] = {1, 15, 64, INT32_MAX, UINT32_MAX};
                put = choice < 5    ? word + values[choice]
                      : choice == 5 ? 0
                                    : (uint32_t)harness_random(&random_state);
                assert_int_equal(pwrite(file, &put, 4, (off_t)offset), 4);
                close(file);
                use_pair(&pair);
                close_pair(&pair);
            }
        }
}

/* A sender that writes its own page as well as the ring could make positions of the end of the
 * 64-bit range agree with each other. Nothing may loop there: positions wrap. */
static void positions_at_the_end_of_their_range_do_not_hang(void **state) {
    (void)state;
    char path[300];
    leat_channel_options options = {.capacity = CAPACITY, .persistent = true};
    snprintf(path, sizeof path, "%s/range", harness_directory());
    leat_sender_close(open_sender("range", &options));
    uint64_t position = UINT64_MAX - 15, released = UINT64_MAX - 63;
    uint64_t header = leat__record_header(position, LEAT__MESSAGE, 1);
    int file = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(file, &position, 8,
                            LEAT__RECEIVER_PAGE + offsetof(struct leat__role_page, position)),
                     8);
    assert_int_equal(pwrite(file, &released, 8,
                            LEAT__RECEIVER_PAGE + offsetof(struct leat__role_page, released)),
                     8);
    assert_int_equal(pwrite(file, &header, 8, (off_t)(LEAT__RING + CAPACITY - 16)), 8);
    close(file);
    leat_receiver *rx_handle = NULL;
    int result = leat_receiver_open(&rx_handle, "range", &options);
    require_channel_code(result, "open");
    char byte;
    size_t size;
    if (result == LEAT_OK)
        require_channel_code(leat_recv(rx_handle, &byte, 1, &size, LEAT_NOW), "recv");
    leat_receiver_close(rx_handle);
    assert_ok(leat_unlink("range", LEAT_LOCAL));
}

/* --- When the peer says it rang --------------------------------------------------------------- */

struct liar {
    harness_word go;
    pid_t sleeper;
    uint64_t ahead_ns; /* of now; as good as before it, where the sum wraps */
    uint64_t woken_at; /* used if that is 0 */
};

/* Wakes a receiver that sleeps on the senders' wake count, and stores when. */
static int ring_and_lie(void *context) {
    struct liar *liar = context;
    char path[300];
    snprintf(path, sizeof path, "%s/liar", harness_directory());
    int file = open(path, O_RDWR | O_CLOEXEC);
    struct leat__role_page *page = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED,
                                        file, (off_t)LEAT__SENDER_PAGE);
    close(file);
    assert_true(page != MAP_FAILED);
    harness_await(&liar->go, 1);
    harness_await_asleep(liar->sleeper);
    leat__store_relaxed64(&page->woken_at,
                          liar->ahead_ns != 0 ? harness_now() + liar->ahead_ns : liar->woken_at);
    leat__increment32(&page->wake_count);
    leat__os_wake(&page->wake_count, false);
    munmap(page, sizeof *page);
    return 0;
}

static leat_statistics woken_by(struct liar lie) {
    struct liar *liar = harness_shared(sizeof *liar);
    leat_receiver *rx = open_receiver("liar", &(leat_channel_options){.spin_us = LEAT_SPIN_NONE});
    leat_statistics statistics;
    *liar = lie;
    liar->sleeper = getpid();
    pid_t child = harness_spawn(ring_and_lie, liar);
    harness_set(&liar->go, 1);
    expect_news(rx, LEAT_ETIMEDOUT, leat_in_ms(200 * harness_patience())); /* there is no message */
    harness_wait_ok(child);
    leat_receiver_statistics(rx, &statistics);
    leat_receiver_close(rx);
    return statistics;
}

/* The time counts only if it is after the receiver fell asleep, and not after it woke up. */
static void wake_at_an_impossible_time_is_not_counted(void **state) {
    (void)state;
    static const struct liar lies[] = {{.woken_at = 0},
                                       {.woken_at = 1},
                                       {.woken_at = UINT64_MAX},
                                       {.ahead_ns = UINT64_C(3600000000000)},
                                       {.ahead_ns = -UINT64_C(1000000000)}};
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        leat_statistics statistics = woken_by(lies[i]);
        assert_true(statistics.wakes == 0 && statistics.wake_ns == 0);
    }
    leat_statistics statistics = woken_by((struct liar){.ahead_ns = 1}); /* the truth, or near it */
    assert_true(statistics.wakes == 1 && statistics.wake_ns < UINT64_C(60000000000));
}

/* --- Giving up -------------------------------------------------------------------------------- */

struct stream_end {
    leat_receiver *rx;
    atomic_bool over;
    uint64_t received;
    int wrong; /* the first code that should not have come */
};

/* Receives numbers in order, now fast and now slowly, so that room comes free at any moment. */
static void *receive_numbers(void *context) {
    struct stream_end *end = context;
    uint64_t number, random = 1;
    unsigned char bytes[256];
    size_t size;
    while (end->wrong == LEAT_OK) {
        int result = leat_recv(end->rx, bytes, sizeof bytes, &size, leat_in_ms(200));
        memcpy(&number, bytes, 8);
        if (result == LEAT_OK && number != end->received)
            end->wrong = LEAT_ECORRUPT;
        else if (result == LEAT_OK)
            end->received++;
        else if (result == LEAT_ETIMEDOUT && atomic_load(&end->over))
            break;
        else if (result == LEAT_ECORRUPT)
            end->wrong = result;
        for (uint64_t pause = harness_random(&random) % 150; pause > 0; pause--)
            leat__pause();
    }
    return NULL;
}

/* A send whose deadline passes at the moment when room comes free sends nothing, and leaves nothing
 * staged that what comes next, the end mark of a close for example, would have to reckon with. */
static void send_that_gives_up_leaves_nothing_behind(void **state) {
    (void)state;
    static const size_t lengths[] = {8, 200}; /* the second needs a long pad behind the first */
    leat_channel_options options = {.capacity = CAPACITY, .spin_us = LEAT_SPIN_NONE};
    struct pair pair = {open_sender("giving-up", &options), open_receiver("giving-up", &options)};
    struct stream_end end = {.rx = pair.rx};
    unsigned char bytes[256];
    memset(bytes, 0xAB, sizeof bytes); /* what is left behind shows */
    uint64_t sent = 0, given_up = 0, stop = harness_now() + 3000000000u;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, receive_numbers, &end), 0);
    while (harness_now() < stop) {
        memcpy(bytes, &sent, 8);
        /* a deadline that has passed: polls, asks, gives up */
        int result = leat_send(pair.tx, bytes, lengths[sent % 2], 1);
        if (result == LEAT_ECORRUPT)
            assert_ok(result);
        if (result == LEAT_OK)
            sent++;
        else if (++given_up % 4 == 0) {
            leat_sender_close(pair.tx);
            pair.tx = open_sender("giving-up", &options);
        }
    }
    leat_sender_close(pair.tx);
    atomic_store(&end.over, true);
    pthread_join(thread, NULL);
    leat_receiver_close(pair.rx);
    assert_leat(end.wrong, LEAT_OK);
    assert_int_equal(end.received, sent);
    print_message("%llu sent, given up %llu times\n", (unsigned long long)sent,
                  (unsigned long long)given_up);
}

/* --- A header that was destroyed -------------------------------------------------------------- */

/* A message behind one that was received; a stray store of the sender's own over its header. */
static struct pair pair_with_destroyed_header(const char *name, uint64_t stray) {
    leat_channel_options options = {.capacity = CAPACITY};
    struct pair pair = {open_sender(name, &options), open_receiver(name, &options)};
    char byte;
    size_t size;
    assert_ok(leat_send(pair.tx, "1", 1, LEAT_NOW));
    assert_ok(leat_recv(pair.rx, &byte, 1, &size, LEAT_NOW));
    leat__u64 *header = leat__word_at(&pair.tx->ring.memory, pair.tx->ring.lane.position);
    assert_ok(leat_send(pair.tx, "2", 1, LEAT_NOW));
    leat__store_release64(header, stray);
    return pair;
}

static const uint64_t strays[] = {0, UINT64_C(0xdeadbeefdeadbeef), UINT64_C(1) << 56, 1};

static void destroyed_header_ends_a_wait(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof strays / sizeof strays[0]; i++) {
        struct pair pair = pair_with_destroyed_header("destroyed", strays[i]);
        char byte;
        size_t size;
        assert_leat(leat_recv(pair.rx, &byte, 1, &size, leat_in_ms(5000)), LEAT_ECORRUPT);
        assert_leat(leat_recv(pair.rx, &byte, 1, &size, LEAT_NOW), LEAT_ECORRUPT); /* for good */
        close_pair(&pair);
    }
}

static void destroyed_header_is_found_by_polling(void **state) {
    (void)state;
    struct pair pair = pair_with_destroyed_header("polled", 1);
    uint64_t end = leat_in_ms(5000);
    int result = LEAT_EAGAIN;
    char byte;
    size_t size;
    while (result == LEAT_EAGAIN && leat_now() < end)
        result = leat_recv(pair.rx, &byte, 1, &size, LEAT_NOW);
    assert_leat(result, LEAT_ECORRUPT);
    close_pair(&pair);
}

/* A loop polls once when it is woken, and is not woken again. */
static void destroyed_header_is_found_in_a_wait_set(void **state) {
    (void)state;
    struct pair pair = pair_with_destroyed_header("looped", 1);
    leat_waitset *waitset;
    char byte;
    size_t size;
    assert_ok(leat_waitset_open(&waitset));
    assert_ok(leat_waitset_add_receiver(waitset, pair.rx, NULL));
    assert_leat(leat_recv(pair.rx, &byte, 1, &size, LEAT_NOW), LEAT_ECORRUPT);
    leat_waitset_close(waitset);
    close_pair(&pair);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST_WITHIN(hostile_words_in_the_pages_give_documented_codes, 300),
        HARNESS_TEST_WITHIN(positions_at_the_end_of_their_range_do_not_hang, 10),
        HARNESS_TEST(wake_at_an_impossible_time_is_not_counted),
        HARNESS_TEST(send_that_gives_up_leaves_nothing_behind),
        HARNESS_TEST(destroyed_header_ends_a_wait),
        HARNESS_TEST(destroyed_header_is_found_by_polling),
        HARNESS_TEST(destroyed_header_is_found_in_a_wait_set),
    };
    return HARNESS_MAIN("hostile channel", tests);
}
