/* test_channel_inline.c - leat/inline.h does what the functions without `_inline` do: the same
 * messages, results, counts and wake-ups, in any mixture with them, and the binary interface that
 * it promises. */
#include <leat/inline.h>

#include "channel_pair.h"
#include "channels/queue/receiver.h"
#include "channels/queue/sender.h"
#include "stream.h"

#define MAX 2000

/* --- The same messages ------------------------------------------------------------------------ */

/* Reserves as much, or more; sometimes aborts a first reservation after writing to it. */
static int send_in_place(leat_sender *tx, uint64_t mode, const void *data, size_t size) {
    void *place;
    size_t more = mode / 64 % 4 == 0 && size + 200 <= MAX ? size + mode / 256 % 200 : size;
    int result = mode % 2 == 0 ? leat_reserve_inline(tx, more, &place, LEAT_NOW)
                               : leat_reserve(tx, more, &place, LEAT_NOW);
    if (result != LEAT_OK)
        return result;
    if (mode / 16 % 4 == 0) {
        memset(place, 0xff, more);
        leat_abort(tx);
        assert_ok(leat_reserve_inline(tx, more, &place, LEAT_NOW));
    }
    memcpy(place, data, size);
    assert_leat(leat_send_inline(tx, data, size, LEAT_NOW), LEAT_ESTATE);
    if (more > size)
        memset((char *)place + size, 0xff, more - size);
    return mode / 2 % 2 == 0 ? leat_commit_inline(tx, size) : leat_commit(tx, size);
}

static int send_one(leat_sender *tx, uint64_t mode, const void *data, size_t size) {
    if (mode / 4 % 2 == 0)
        return send_in_place(tx, mode, data, size);
    return mode % 2 == 0 ? leat_send_inline(tx, data, size, LEAT_NOW)
                         : leat_send(tx, data, size, LEAT_NOW);
}

/* Sometimes peeks again, at more messages: the first one is the same. */
static int receive_in_place(leat_receiver *rx, uint64_t mode, void *buffer, size_t *size) {
    leat_message messages[4];
    size_t count = 1;
    int result = mode % 2 == 0 ? leat_peek_inline(rx, messages, LEAT_NOW)
                               : leat_peek(rx, messages, LEAT_NOW);
    if (result == LEAT_OK && mode / 16 % 4 == 0)
        result = leat_peek_many(rx, messages, 4, &count, LEAT_NOW);
    if (result == LEAT_OK && mode / 64 % 8 == 0) {
        leat_unpeek(rx);
        result = leat_peek_inline(rx, messages, LEAT_NOW);
    }
    if (result != LEAT_OK)
        return result;
    *size = messages[0].size;
    memcpy(buffer, messages[0].data, messages[0].size);
    assert_leat(leat_recv_inline(rx, buffer, MAX, size, LEAT_NOW), LEAT_ESTATE);
    result = mode / 2 % 2 == 0 ? leat_release_inline(rx) : leat_release(rx, 1);
    leat_unpeek(rx);
    return result;
}

static int receive_one(leat_receiver *rx, uint64_t mode, void *buffer, size_t *size) {
    if (mode / 4 % 2 == 0)
        return receive_in_place(rx, mode, buffer, size);
    return mode % 2 == 0 ? leat_recv_inline(rx, buffer, MAX, size, LEAT_NOW)
                         : leat_recv(rx, buffer, MAX, size, LEAT_NOW);
}

static void expect_message(const struct pair *pair, uint64_t seed, uint64_t sequence,
                           uint64_t mode) {
    unsigned char buffer[MAX];
    size_t size = 0;
    assert_ok(receive_one(pair->rx, mode, buffer, &size));
    assert_int_equal(size, stream_size(seed, sequence, MAX));
    assert_true(stream_holds(buffer, sequence, size));
}

static void calls_in_any_mixture_carry_the_same_messages(void **state) {
    (void)state;
    uint64_t seed = harness_seed(), random = seed, sent = 0, received = 0;
    struct pair pair = open_pair("mixed", 8192);
    unsigned char bytes[MAX];
    while (received < 300000) {
        size_t size = stream_size(seed, sent, MAX);
        stream_fill(bytes, sent, size);
        if (harness_random(&random) % 3 != 0) {
            int result = send_one(pair.tx, harness_random(&random), bytes, size);
            assert_true(result == LEAT_OK || (result == LEAT_EAGAIN && sent > received));
            sent += result == LEAT_OK;
        }
        if (harness_random(&random) % 3 != 0 && received < sent)
            expect_message(&pair, seed, received++, harness_random(&random));
    }
    leat_statistics of_tx, of_rx;
    leat_sender_statistics(pair.tx, &of_tx);
    leat_receiver_statistics(pair.rx, &of_rx);
    assert_int_equal(of_tx.messages, sent);
    assert_int_equal(of_rx.messages, received);
    close_pair(&pair);
}

/* Sizes that the compiler knows take paths of their own. */
#define CARRY(bytes_)                                                                              \
    do {                                                                                           \
        unsigned char sent_[bytes_ + 1], got_[bytes_ + 1];                                         \
        size_t size_ = 0;                                                                          \
        stream_fill(sent_, sequence++, bytes_);                                                    \
        assert_ok(leat_send_inline(pair.tx, sent_, bytes_, LEAT_NOW));                             \
        assert_ok(leat_recv_inline(pair.rx, got_, bytes_, &size_, LEAT_NOW));                      \
        assert_int_equal(size_, bytes_);                                                           \
        assert_memory_equal(got_, sent_, bytes_);                                                  \
        void *place_;                                                                              \
        leat_message message_;                                                                     \
        stream_fill(sent_, sequence++, bytes_);                                                    \
        assert_ok(leat_reserve_inline(pair.tx, bytes_, &place_, LEAT_NOW));                        \
        memcpy(place_, sent_, bytes_);                                                             \
        assert_ok(leat_commit_inline(pair.tx, bytes_));                                            \
        assert_ok(leat_peek_inline(pair.rx, &message_, LEAT_NOW));                                 \
        assert_int_equal(message_.size, bytes_);                                                   \
        assert_memory_equal(message_.data, sent_, bytes_);                                         \
        assert_ok(leat_release_inline(pair.rx));                                                   \
    } while (0)

static void messages_of_sizes_known_to_the_compiler_arrive(void **state) {
    (void)state;
    struct pair pair = open_pair("constant", 4096);
    uint64_t sequence = 0;
    for (int lap = 0; lap < 100; lap++) {
        CARRY(0);
        CARRY(1);
        CARRY(2);
        CARRY(3);
        CARRY(4);
        CARRY(5);
        CARRY(7);
        CARRY(8);
        CARRY(9);
        CARRY(12);
        CARRY(15);
        CARRY(16);
        CARRY(17);
        CARRY(24);
        CARRY(25);
        CARRY(31);
        CARRY(32);
        CARRY(33);
        CARRY(48);
        CARRY(56);
        CARRY(57);
        CARRY(63);
        CARRY(64);
        CARRY(65);
        CARRY(120);
        CARRY(504);
        CARRY(505);
        CARRY(1000);
        CARRY(1976);
    }
    close_pair(&pair);
}

/* --- The same results ------------------------------------------------------------------------- */

static void inline_calls_report_errors_as_the_functions_do(void **state) {
    (void)state;
    struct pair pair = open_pair("told", 4096);
    unsigned char bytes[4096] = {0};
    size_t size = 12345;
    assert_leat(leat_recv_inline(pair.rx, bytes, sizeof bytes, &size, LEAT_NOW), LEAT_EAGAIN);
    assert_leat(leat_recv_inline(pair.rx, bytes, sizeof bytes, &size, SOON), LEAT_ETIMEDOUT);
    assert_leat(leat_send_inline(pair.tx, bytes, leat_sender_max_message(pair.tx) + 1, LEAT_NOW),
                LEAT_EMSGSIZE);
    volatile size_t huge = SIZE_MAX;
    assert_leat(leat_send_inline(pair.tx, bytes, huge, LEAT_NOW), LEAT_EMSGSIZE);
    assert_int_equal(size, 12345);
    assert_ok(leat_send_inline(pair.tx, bytes, 100, LEAT_NOW));
    assert_leat(leat_recv_inline(pair.rx, bytes, 99, &size, LEAT_NOW), LEAT_EMSGSIZE);
    assert_int_equal(size, 100);
    assert_ok(leat_recv_inline(pair.rx, bytes, 100, &size, LEAT_NOW));
    void *place, *second;
    assert_leat(leat_commit_inline(pair.tx, 8), LEAT_ESTATE);
    assert_leat(leat_reserve_inline(pair.tx, huge, &place, LEAT_NOW), LEAT_EMSGSIZE);
    assert_ok(leat_reserve_inline(pair.tx, 7, &place, LEAT_NOW));
    assert_leat(leat_send_inline(pair.tx, bytes, 8, LEAT_NOW), LEAT_ESTATE);
    assert_leat(leat_reserve_inline(pair.tx, 8, &second, LEAT_NOW), LEAT_ESTATE);
    assert_leat(leat_commit_inline(pair.tx, 8), LEAT_EINVAL);
    assert_ok(leat_commit_inline(pair.tx, 7));
    leat_message message;
    assert_leat(leat_release_inline(pair.rx), LEAT_ESTATE);
    assert_ok(leat_peek_inline(pair.rx, &message, LEAT_NOW));
    assert_leat(leat_recv_inline(pair.rx, bytes, 8, &size, LEAT_NOW), LEAT_ESTATE);
    assert_ok(leat_release_inline(pair.rx));
    assert_leat(leat_peek_inline(pair.rx, &message, LEAT_NOW), LEAT_EAGAIN);
    leat_sender_close(pair.tx);
    assert_leat(leat_recv_inline(pair.rx, bytes, 8, &size, LEAT_NOW), LEAT_ECLOSED);
    leat_receiver_close(pair.rx);
}

static void full_ring_refuses_and_loses_nothing(void **state) {
    (void)state;
    struct pair pair = open_pair("full", 4096);
    uint64_t sent = 0, got = 0;
    size_t size = 0;
    while (leat_send_inline(pair.tx, &sent, sizeof sent, LEAT_NOW) == LEAT_OK)
        sent++;
    assert_in_range(sent, 4096 / 16 - 8, 4096 / 16);
    for (uint64_t i = 0; i < sent; i++) {
        assert_ok(leat_recv_inline(pair.rx, &got, sizeof got, &size, LEAT_NOW));
        assert_int_equal(got, i);
    }
    assert_leat(leat_recv_inline(pair.rx, &got, sizeof got, &size, LEAT_NOW), LEAT_EAGAIN);
    close_pair(&pair);
}

static int use_in_child(void *context) {
    struct pair *pair = context;
    unsigned char bytes[8] = {0};
    size_t size;
    assert_leat(leat_send_inline(pair->tx, bytes, 8, LEAT_NOW), LEAT_EFORKED);
    assert_leat(leat_recv_inline(pair->rx, bytes, 8, &size, LEAT_NOW), LEAT_EFORKED);
    assert_leat(leat_commit_inline(pair->tx, 8), LEAT_EFORKED);
    assert_leat(leat_release_inline(pair->rx), LEAT_EFORKED);
    return 0;
}

static void forked_child_is_refused(void **state) {
    (void)state;
    struct pair pair = open_pair("forked", 0);
    unsigned char bytes[8] = {0};
    size_t size;
    for (int i = 0; i < 3; i++) { /* the way is open */
        assert_ok(leat_send_inline(pair.tx, bytes, 8, LEAT_NOW));
        assert_ok(leat_recv_inline(pair.rx, bytes, 8, &size, LEAT_NOW));
    }
    harness_wait_ok(harness_spawn(use_in_child, &pair));
    assert_ok(leat_send_inline(pair.tx, bytes, 8, LEAT_NOW));
    void *place;
    leat_message message;
    assert_ok(leat_reserve_inline(pair.tx, 8, &place, LEAT_NOW));
    assert_ok(leat_peek_inline(pair.rx, &message, LEAT_NOW));
    harness_wait_ok(harness_spawn(use_in_child, &pair));
    memset(place, 1, 8);
    assert_ok(leat_commit_inline(pair.tx, 8));
    assert_ok(leat_release_inline(pair.rx));
    assert_ok(leat_recv_inline(pair.rx, bytes, 8, &size, LEAT_NOW));
    close_pair(&pair);
}

/* --- Waking ----------------------------------------------------------------------------------- */

#define EXCHANGES 2000

static int answer(void *context) {
    leat_receiver *rx = open_receiver("asked", NULL);
    leat_sender *tx = open_sender("answered", NULL);
    uint64_t number;
    size_t size;
    (void)context;
    for (int i = 0; i < EXCHANGES; i++) {
        assert_ok(leat_recv_inline(rx, &number, sizeof number, &size, LATER));
        assert_ok(leat_send_inline(tx, &number, sizeof number, LATER));
    }
    leat_sender_close(tx);
    leat_receiver_close(rx);
    return 0;
}

/* No process may sleep for longer than its peer is silent: with spinning off, each exchange is two
 * sleeps. */
static void sleeper_is_woken_by_inline_calls(void **state) {
    (void)state;
    leat_channel_options no_spin = {.spin_us = LEAT_SPIN_NONE};
    pid_t child = harness_spawn(answer, NULL);
    leat_sender *tx = open_sender("asked", &no_spin);
    leat_receiver *rx = open_receiver("answered", &no_spin);
    for (uint64_t i = 0, got = 0; i < EXCHANGES; i++) {
        size_t size;
        assert_ok(leat_send_inline(tx, &i, sizeof i, LATER));
        assert_ok(leat_recv_inline(rx, &got, sizeof got, &size, LATER));
        assert_int_equal(got, i);
    }
    harness_wait_ok(child);
    leat_sender_close(tx);
    leat_receiver_close(rx);
}

/* --- The binary interface "inline 2" ---------------------------------------------------------- */

_Static_assert(offsetof(leat_lane, position) == 0 && offsetof(leat_lane, fast_limit) == 8,
               "inline 2");
_Static_assert(offsetof(leat_lane, messages) == 16 && offsetof(leat_lane, mask) == 24, "inline 2");
_Static_assert(offsetof(leat_lane, max) == 32 && offsetof(leat_lane, ring) == 48, "inline 2");
_Static_assert(offsetof(leat_lane, wipe) == 40 && offsetof(leat_lane, noted) == 48 + sizeof(void *),
               "inline 2");
_Static_assert(offsetof(leat_lane, waiting) == 48 + 2 * sizeof(void *), "inline 2");
_Static_assert(offsetof(leat_lane, bytes) == 48 + 3 * sizeof(void *), "inline 2");
_Static_assert(offsetof(leat_lane, promise) == 56 + 3 * sizeof(void *), "inline 2");
_Static_assert(offsetof(leat_lane, fetch) == 64 + 3 * sizeof(void *), "inline 2");
_Static_assert(offsetof(leat_lane, kept) == 72 + 3 * sizeof(void *), "inline 2");
_Static_assert(offsetof(leat_lane, open_size) == 80 + 3 * sizeof(void *), "inline 2");
_Static_assert(offsetof(leat_lane, open_slot) == 88 + 3 * sizeof(void *), "inline 2");
_Static_assert(offsetof(leat_lane, piece) == 96 + 3 * sizeof(void *) &&
                   sizeof(leat_lane) == 104 + 3 * sizeof(void *),
               "inline 2");
_Static_assert(offsetof(struct leat_sender, ring) == 0 &&
                   offsetof(struct leat__ring_sender, lane) == 0,
               "inline 2");
_Static_assert(offsetof(struct leat_receiver, ring) == 0 &&
                   offsetof(struct leat__ring_receiver, lane) == 0,
               "inline 2");

/* As a later library would that works differently: the fast limit stays 0, whatever else the first
 * bytes of a handle are. */
static void fast_limit_of_zero_makes_each_message_a_call(void **state) {
    (void)state;
    struct pair pair = open_pair("shut", 0);
    for (uint64_t i = 0, got = 0; i < 1000; i++) {
        size_t size;
        leat_lane *tx = &pair.tx->ring.lane, *rx = &pair.rx->ring.lane;
        tx->fast_limit = rx->fast_limit = 0;
        assert_false(leat__lane_send(tx, &i, sizeof i));
        assert_ok(leat_send_inline(pair.tx, &i, sizeof i, LEAT_NOW));
        tx->fast_limit = rx->fast_limit = 0;
        assert_false(leat__lane_receive(rx, &got, sizeof got, &size));
        assert_ok(leat_recv_inline(pair.rx, &got, sizeof got, &size, LEAT_NOW));
        assert_int_equal(got, i);
    }
    close_pair(&pair);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(calls_in_any_mixture_carry_the_same_messages),
        HARNESS_TEST(messages_of_sizes_known_to_the_compiler_arrive),
        HARNESS_TEST(inline_calls_report_errors_as_the_functions_do),
        HARNESS_TEST(full_ring_refuses_and_loses_nothing),
        HARNESS_TEST(forked_child_is_refused),
        HARNESS_TEST(sleeper_is_woken_by_inline_calls),
        HARNESS_TEST(fast_limit_of_zero_makes_each_message_a_call),
    };
    return HARNESS_MAIN("channel_inline", tests);
}
