/* test_channel.c - messages through a channel whose two ends are in one process: sizes and their
 * limits, a ring that is full or empty, order over hundreds of laps by all ways of sending and
 * receiving, capacities, statistics. In-place access and batches are in test_channel_in_place.c,
 * coming and leaving in test_channel_roles.c. */
#include <stdio.h>
#include <stdlib.h>

#include "channel_pair.h"
#include "handles.h"
#include "stream.h"

/* --- Sizes ------------------------------------------------------------------------------------ */

static void message_arrives_whole(void **state) {
    (void)state;
    struct pair pair = open_pair("whole", 0);
    send_text(pair.tx, "hello");
    send_text(pair.tx, "world!");
    expect_text(pair.rx, "hello");
    expect_text(pair.rx, "world!");
    expect_news(pair.rx, LEAT_EAGAIN, LEAT_NOW);
    close_pair(&pair);
}

static void messages_of_every_size_arrive_up_to_the_maximum(void **state) {
    (void)state;
    struct pair pair = open_pair("sizes", 4096);
    size_t max = leat_sender_max_message(pair.tx), size = 0;
    assert_int_equal(max, 4096 / 2 - 72);
    assert_int_equal(leat_receiver_max_message(pair.rx), max);
    unsigned char out[4096], in[4096];
    for (size_t length = 0; length <= max; length++) {
        stream_fill(out, length, length);
        memset(in, 0, sizeof in);
        assert_ok(leat_send(pair.tx, out, length, LEAT_NOW));
        assert_ok(leat_recv(pair.rx, in, sizeof in, &size, LEAT_NOW));
        assert_int_equal(size, length);
        assert_memory_equal(in, out, length);
        assert_int_equal(in[length], 0);
    }
    assert_leat(leat_send(pair.tx, out, max + 1, LEAT_FOREVER), LEAT_EMSGSIZE);
    assert_leat(leat_send(pair.tx, out, SIZE_MAX, LEAT_FOREVER), LEAT_EMSGSIZE);
    expect_news(pair.rx, LEAT_EAGAIN, LEAT_NOW);
    close_pair(&pair);
}

static void messages_of_no_bytes_are_messages(void **state) {
    (void)state;
    struct pair pair = open_pair("empty", 0);
    char nothing;
    for (int i = 0; i < 1000; i++)
        assert_ok(leat_send(pair.tx, i % 2 ? NULL : "", 0, LEAT_NOW));
    for (int i = 0; i < 1000; i++) {
        size_t size = 1;
        assert_ok(leat_recv(pair.rx, i % 2 ? NULL : &nothing, 0, &size, LEAT_NOW));
        assert_int_equal(size, 0);
    }
    expect_news(pair.rx, LEAT_EAGAIN, LEAT_NOW);
    close_pair(&pair);
}

static void bytes_of_zero_are_bytes(void **state) {
    (void)state;
    /* a zero in the ring means "no record"; zeros in payloads do not */
    struct pair pair = open_pair("zeros", 4096);
    static const char zeros[2000];
    static char in[2000];
    for (size_t i = 0; i < 20000; i++) {
        size_t length = i * 37 % 1977, size;
        assert_ok(leat_send(pair.tx, zeros, length, LEAT_NOW));
        assert_ok(leat_recv(pair.rx, in, sizeof in, &size, LEAT_NOW));
        assert_int_equal(size, length);
    }
    close_pair(&pair);
}

static void buffer_that_is_too_small_leaves_the_message_where_it_is(void **state) {
    (void)state;
    struct pair pair = open_pair("small-buffer", 0);
    char buffer[20] = "untouched";
    size_t size = 0;
    send_text(pair.tx, "twenty-one characters");
    for (int i = 0; i < 3; i++) {
        assert_leat(leat_recv(pair.rx, buffer, 20, &size, LEAT_FOREVER), LEAT_EMSGSIZE);
        assert_int_equal(size, 21);
    }
    assert_string_equal(buffer, "untouched");
    expect_text(pair.rx, "twenty-one characters");
    close_pair(&pair);
}

/* --- Full and empty --------------------------------------------------------------------------- */

static void full_channel_takes_no_more_and_loses_nothing(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 8, 9, 24, 25, 56, 57, 120, 1000, 1976};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct pair pair = open_pair("full", 4096);
        for (int lap = 0; lap < 50; lap++) {
            size_t count = fill_up(pair.tx, sizes[i]);
            assert_true(count >= 1 && count * (sizes[i] + 8) <= 4096);
            assert_int_equal(empty_out(pair.rx), count);
        }
        close_pair(&pair);
    }
}

static void wait_for_room_or_for_a_message_ends_at_the_deadline(void **state) {
    (void)state;
    struct pair pair = open_pair("deadline", 4096);
    uint64_t start = harness_now();
    expect_news(pair.rx, LEAT_ETIMEDOUT, leat_in_ms(30));
    assert_true(harness_now() - start >= 30000000);
    fill_up(pair.tx, 100);
    char message[100] = "";
    start = harness_now();
    assert_leat(leat_send(pair.tx, message, 100, leat_in_ms(30)), LEAT_ETIMEDOUT);
    assert_true(harness_now() - start >= 30000000);
    start = harness_now();
    /* a deadline that has passed */
    assert_leat(leat_send(pair.tx, message, 100, start - 1), LEAT_ETIMEDOUT);
    assert_true(harness_now() - start < 1000000000);
    assert_leat(leat_send(pair.tx, message, 100, LEAT_NOW), LEAT_EAGAIN);
    close_pair(&pair);
}

static void message_is_received_even_when_the_deadline_has_passed(void **state) {
    (void)state;
    struct pair pair = open_pair("late", 0);
    char text[10];
    size_t size;
    assert_ok(leat_send(pair.tx, "late", 4, 1));
    assert_ok(leat_recv(pair.rx, text, sizeof text, &size, 1));
    assert_leat(leat_recv(pair.rx, text, sizeof text, &size, 1), LEAT_ETIMEDOUT);
    close_pair(&pair);
}

/* --- Order ------------------------------------------------------------------------------------ */

struct course {
    struct pair pair;
    uint64_t seed, random, sent, received, bytes;
    size_t max;
    unsigned char *buffer;
};

#define BATCH 8

static void check_message(struct course *course, const void *bytes, size_t size) {
    size_t wanted = stream_size(course->seed, course->received, course->max);
    if (size != wanted || !stream_holds(bytes, course->received, size))
        harness_fail("message %llu: %zu bytes instead of %zu, or other bytes",
                     (unsigned long long)course->received, size, wanted);
    course->received++;
    course->bytes += size;
}

/* Each returns the code of the last call. */

static int send_one(struct course *course) {
    size_t size = stream_size(course->seed, course->sent, course->max);
    stream_fill(course->buffer, course->sent, size);
    int result = leat_send(course->pair.tx, course->buffer, size, LEAT_NOW);
    course->sent += result == LEAT_OK;
    return result;
}

static int send_in_place(struct course *course) {
    void *place;
    size_t size = stream_size(course->seed, course->sent, course->max), extra = course->max - size;
    size_t reserved =
        size + (size_t)(harness_random(&course->random) % (extra < 200 ? extra + 1 : 200));
    int result = leat_reserve(course->pair.tx, reserved, &place, LEAT_NOW);
    if (result != LEAT_OK)
        return result;
    assert_int_equal((uintptr_t)place % 8, 0);
    memset(place, 0xee, reserved);
    if (harness_random(&course->random) % 8 == 0) {
        leat_abort(course->pair.tx);
        return LEAT_OK;
    }
    stream_fill(place, course->sent++, size);
    assert_ok(leat_commit(course->pair.tx, size));
    return LEAT_OK;
}

static int send_batch(struct course *course) {
    leat_message messages[BATCH];
    unsigned char *at = course->buffer;
    size_t sent = 99;
    for (size_t i = 0; i < BATCH; i++) {
        messages[i] = (leat_message){at, stream_size(course->seed, course->sent + i, course->max)};
        stream_fill(at, course->sent + i, messages[i].size);
        at += messages[i].size;
    }
    int result = leat_send_many(course->pair.tx, messages, BATCH, &sent, LEAT_NOW);
    assert_true(result == LEAT_OK ? sent == BATCH : sent < BATCH);
    course->sent += sent;
    return result;
}

static int receive_one(struct course *course) {
    size_t size;
    int result = leat_recv(course->pair.rx, course->buffer, course->max, &size, LEAT_NOW);
    if (result == LEAT_OK)
        check_message(course, course->buffer, size);
    return result;
}

static int receive_batch(struct course *course) {
    leat_message messages[BATCH];
    size_t count = 0;
    int result = leat_recv_many(course->pair.rx, course->buffer, course->max + 64, messages, BATCH,
                                &count, LEAT_NOW);
    for (size_t i = 0; result == LEAT_OK && i < count; i++) {
        assert_int_equal((uintptr_t)messages[i].data % 8, 0);
        check_message(course, messages[i].data, messages[i].size);
    }
    assert_true(result != LEAT_OK || (count >= 1 && count <= BATCH));
    return result;
}

static int peek_and_release(struct course *course) {
    leat_message messages[BATCH];
    size_t count = 0;
    int result = leat_peek_many(course->pair.rx, messages, BATCH, &count, LEAT_NOW);
    if (result != LEAT_OK)
        return result;
    size_t taken = 1 + (size_t)(harness_random(&course->random) % count);
    for (size_t i = 0; i < taken; i++)
        check_message(course, messages[i].data, messages[i].size);
    assert_ok(leat_release(course->pair.rx, taken));
    assert_ok(leat_release(course->pair.rx, 0));
    /* peeking again shows the rest; give that back too, so that receiving by copy is possible */
    if (taken < count) {
        assert_ok(leat_peek_many(course->pair.rx, messages, count - taken, &count, LEAT_NOW));
        for (size_t i = 0; i < count; i++)
            check_message(course, messages[i].data, messages[i].size);
        assert_ok(leat_release(course->pair.rx, count));
    }
    return LEAT_OK;
}

/* Random runs of random ways of sending and receiving, until the stream has gone around the ring so
 * many times. */
static void run_course(uint64_t capacity, unsigned laps) {
    static int (*const sends[])(struct course *) = {send_one, send_in_place, send_batch};
    static int (*const receives[])(struct course *) = {receive_one, receive_batch,
                                                       peek_and_release};
    struct course course = {.pair = open_pair("course", capacity),
                            .seed = harness_seed() + capacity};
    course.random = course.seed;
    course.max = leat_sender_max_message(course.pair.tx);
    course.buffer = malloc(BATCH * course.max + 64);
    while (course.bytes < laps * capacity) {
        for (uint64_t i = harness_random(&course.random) % 100; i > 0; i--)
            if (sends[harness_random(&course.random) % 3](&course) != LEAT_OK)
                break;
        for (uint64_t i = harness_random(&course.random) % 100; i > 0; i--)
            if (receives[harness_random(&course.random) % 3](&course) != LEAT_OK)
                break;
    }
    while (receive_one(&course) == LEAT_OK)
        ;
    assert_int_equal(course.received, course.sent);
    free(course.buffer);
    close_pair(&course.pair);
}

static void order_and_content_hold_over_hundreds_of_laps(void **state) {
    (void)state;
    run_course(4096, 800);
    run_course(65536, 400);
}

static void order_and_content_hold_in_a_large_ring(void **state) {
    (void)state;
    run_course(1 << 20, 200);
}

/* --- Capacities, created, statistics ---------------------------------------------------------- */

static void capacities_are_rounded_up_to_powers_of_two(void **state) {
    (void)state;
    static const uint64_t cases[][2] = {{0, 256 << 10}, {1, 4096},        {4096, 4096},
                                        {4097, 8192},   {100000, 131072}, {1 << 20, 1 << 20}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pair pair = open_pair("capacity", cases[i][0]);
        leat_channel_info info;
        assert_ok(leat_channel_stat("capacity", LEAT_LOCAL, &info));
        assert_int_equal(info.capacity, cases[i][1]);
        assert_int_equal(info.max_message, cases[i][1] / 2 - 72);
        close_pair(&pair);
    }
    leat_sender *tx = NULL;
    leat_channel_options too_large = {.capacity = LEAT_CAPACITY_MAX + 1};
    assert_leat(leat_sender_open(&tx, "capacity", &too_large), LEAT_EINVAL);
    too_large.capacity = UINT64_MAX;
    assert_leat(leat_sender_open(&tx, "capacity", &too_large), LEAT_EINVAL);
    assert_null(tx);
}

static void existing_channel_keeps_its_capacity_and_reports_its_creator(void **state) {
    (void)state;
    leat_sender *tx = open_sender("kept", &(leat_channel_options){.capacity = 8192});
    leat_receiver *rx = open_receiver("kept", &(leat_channel_options){.capacity = 65536});
    assert_true(sender_created(tx));
    assert_false(receiver_created(rx));
    assert_int_equal(leat_receiver_max_message(rx), 8192 / 2 - 72);
    leat_sender_close(tx);
    leat_receiver_close(rx);
}

static void statistics_are_exact(void **state) {
    (void)state;
    struct pair pair = open_pair("counted", 4096);
    leat_statistics sent, received;
    leat_channel_info info;
    uint64_t bytes = 0;
    for (uint64_t i = 1; i <= 1000; i++) {
        size_t size = i * 7 % 300;
        static char buffer[300];
        assert_ok(leat_send(pair.tx, buffer, size, LEAT_NOW));
        assert_ok(leat_recv(pair.rx, buffer, sizeof buffer, &size, LEAT_NOW));
        bytes += size;
        leat_sender_statistics(pair.tx, &sent);
        leat_receiver_statistics(pair.rx, &received);
        assert_true(sent.messages == i && received.messages == i && sent.bytes == bytes &&
                    received.bytes == bytes);
    }
    assert_int_equal(sent.stalls + received.stalls + sent.sleeps + received.sleeps, 0);
    assert_int_equal(sent.wake_calls + received.wake_calls, 0);
    assert_int_equal(sent.wakes + received.wakes + sent.wake_ns + received.wake_ns, 0);
    assert_int_equal(sent.wake_calls_saved, 1000);
    expect_news(pair.rx, LEAT_EAGAIN, LEAT_NOW);
    leat_receiver_statistics(pair.rx, &received);
    assert_int_equal(received.stalls, 1);
    size_t filled = fill_up(pair.tx, 100);
    leat_sender_statistics(pair.tx, &sent);
    assert_int_equal(sent.messages, 1000 + filled);
    assert_int_equal(sent.stalls, 1);
    assert_true(sent.high_water_bytes >= filled * 108 && sent.high_water_bytes <= 4096);
    leat_sender_close(pair.tx);
    assert_ok(leat_channel_stat("counted", LEAT_LOCAL, &info));
    assert_true(info.sent.messages == sent.messages && info.sent.bytes == sent.bytes &&
                info.sent.stalls == sent.stalls);
    assert_true(info.backlog_bytes >= filled * 108 && info.backlog_bytes <= 4096);
    leat_receiver_close(pair.rx);
}

static void statistics_go_on_after_a_restart(void **state) {
    (void)state;
    struct pair pair = open_pair("restarted", 0);
    leat_statistics statistics;
    leat_channel_info info;
    send_text(pair.tx, "12345");
    expect_text(pair.rx, "12345");
    leat_sender_close(pair.tx);
    pair.tx = open_sender("restarted", NULL);
    send_text(pair.tx, "678");
    leat_sender_statistics(pair.tx, &statistics);
    assert_true(statistics.messages == 2 && statistics.bytes == 8);
    leat_receiver_close(pair.rx);
    pair.rx = open_receiver("restarted", NULL);
    expect_news(pair.rx, LEAT_ECLOSED, LATER); /* of the first sender's stream */
    expect_news(pair.rx, LEAT_EPEERBACK, LATER);
    expect_text(pair.rx, "678");
    leat_receiver_statistics(pair.rx, &statistics);
    assert_true(statistics.messages == 2 && statistics.bytes == 8);
    leat_receiver_close(pair.rx);
    assert_ok(leat_channel_stat("restarted", LEAT_LOCAL, &info));
    assert_true(info.received.messages == 2 && info.received.bytes == 8);
    leat_sender_close(pair.tx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(message_arrives_whole),
        HARNESS_TEST(messages_of_every_size_arrive_up_to_the_maximum),
        HARNESS_TEST(messages_of_no_bytes_are_messages),
        HARNESS_TEST(bytes_of_zero_are_bytes),
        HARNESS_TEST(buffer_that_is_too_small_leaves_the_message_where_it_is),
        HARNESS_TEST(full_channel_takes_no_more_and_loses_nothing),
        HARNESS_TEST(wait_for_room_or_for_a_message_ends_at_the_deadline),
        HARNESS_TEST(message_is_received_even_when_the_deadline_has_passed),
        HARNESS_TEST(order_and_content_hold_over_hundreds_of_laps),
        HARNESS_TEST(order_and_content_hold_in_a_large_ring),
        HARNESS_TEST(capacities_are_rounded_up_to_powers_of_two),
        HARNESS_TEST(existing_channel_keeps_its_capacity_and_reports_its_creator),
        HARNESS_TEST(statistics_are_exact),
        HARNESS_TEST(statistics_go_on_after_a_restart),
    };
    return HARNESS_MAIN("channel", tests);
}
