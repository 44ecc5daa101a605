/* test_channel_in_place.c - sending and receiving without a copy, and in batches: reserve, commit,
 * abort; peek, peek further, release; which of these can be combined; and bytes of messages that
 * were never sent are never taken for messages. */
#include <stdlib.h>

#include "channel_pair.h"
#include "channels/queue/receiver.h"
#include "channels/queue/sender.h"
#include "stream.h"

static void *reserve(leat_sender *tx, size_t size) {
    void *place = NULL;
    assert_ok(leat_reserve(tx, size, &place, LEAT_NOW));
    assert_non_null(place);
    assert_int_equal((uintptr_t)place % 8, 0);
    return place;
}

/* --- Reserving -------------------------------------------------------------------------------- */

static void reservation_is_sent_with_its_final_size(void **state) {
    (void)state;
    struct pair pair = open_pair("reserved", 0);
    memcpy(reserve(pair.tx, 100), "short", 5);
    expect_news(pair.rx, LEAT_EAGAIN, LEAT_NOW); /* nothing is seen before the commit */
    assert_ok(leat_commit(pair.tx, 5));
    memcpy(reserve(pair.tx, 4), "full", 4);
    assert_ok(leat_commit(pair.tx, 4));
    reserve(pair.tx, 50);
    assert_ok(leat_commit(pair.tx, 0));
    expect_text(pair.rx, "short");
    expect_text(pair.rx, "full");
    expect_text(pair.rx, "");
    close_pair(&pair);
}

static void commit_of_more_than_was_reserved_is_refused_and_stays_reserved(void **state) {
    (void)state;
    struct pair pair = open_pair("too-much", 0);
    memcpy(reserve(pair.tx, 10), "0123456789", 10);
    assert_leat(leat_commit(pair.tx, 11), LEAT_EINVAL);
    assert_leat(leat_commit(pair.tx, SIZE_MAX), LEAT_EINVAL);
    assert_ok(leat_commit(pair.tx, 10));
    expect_text(pair.rx, "0123456789");
    close_pair(&pair);
}

static void abort_leaves_no_trace(void **state) {
    (void)state;
    struct pair pair = open_pair("aborted", 0);
    leat_abort(pair.tx); /* without a reservation: nothing */
    memset(reserve(pair.tx, 1000), 0xff, 1000);
    leat_abort(pair.tx);
    leat_abort(pair.tx);
    assert_leat(leat_commit(pair.tx, 0), LEAT_ESTATE);
    expect_news(pair.rx, LEAT_EAGAIN, LEAT_NOW);
    send_text(pair.tx, "after");
    expect_text(pair.rx, "after");
    leat_statistics statistics;
    leat_sender_statistics(pair.tx, &statistics);
    assert_int_equal(statistics.messages, 1);
    close_pair(&pair);
}

/* Whatever comes first, the fast path does not lead beyond the room there is. */
static void fast_path_opens_no_more_room_than_there_is(void **state) {
    (void)state;
    struct pair pair = open_pair("first", 4096);
    char byte;
    size_t size = 0, sent = 0;
    reserve(pair.tx, 1000);
    leat_abort(pair.tx);
    assert_true(pair.tx->ring.lane.fast_limit <= 4096 - 64);
    for (uint64_t text = 0; leat_send(pair.tx, &text, 8, LEAT_NOW) == LEAT_OK; text++)
        sent++;
    assert_true(sent <= 4096 / 16);
    assert_leat(leat_recv(pair.rx, &byte, 1, &size, LEAT_NOW), LEAT_EMSGSIZE);
    assert_true(pair.rx->ring.lane.fast_limit <= 4096);
    for (uint64_t i = 0, text = 99; i < sent; i++) {
        assert_ok(leat_recv(pair.rx, &text, sizeof text, &size, LEAT_NOW));
        assert_int_equal(text, i);
    }
    expect_news(pair.rx, LEAT_EAGAIN, LEAT_NOW);
    close_pair(&pair);
}

static void sender_has_one_reservation_at_a_time(void **state) {
    (void)state;
    struct pair pair = open_pair("one", 0);
    leat_message message = {"x", 1};
    size_t sent = 0;
    void *place = NULL;
    assert_leat(leat_commit(pair.tx, 0), LEAT_ESTATE);
    memcpy(reserve(pair.tx, 8), "reserved", 8);
    assert_leat(leat_reserve(pair.tx, 8, &place, LEAT_FOREVER), LEAT_ESTATE);
    assert_null(place);
    assert_leat(leat_send(pair.tx, "x", 1, LEAT_FOREVER), LEAT_ESTATE);
    assert_leat(leat_send_many(pair.tx, &message, 1, &sent, LEAT_FOREVER), LEAT_ESTATE);
    assert_int_equal(sent, 0);
    assert_ok(leat_commit(pair.tx, 8));
    assert_leat(leat_commit(pair.tx, 8), LEAT_ESTATE);
    expect_text(pair.rx, "reserved");
    expect_news(pair.rx, LEAT_EAGAIN, LEAT_NOW);
    close_pair(&pair);
}

static void reserve_that_is_too_large_or_has_no_room_fails_at_once(void **state) {
    (void)state;
    struct pair pair = open_pair("large", 4096);
    void *place = NULL;
    size_t max = leat_sender_max_message(pair.tx);
    assert_leat(leat_reserve(pair.tx, max + 1, &place, LEAT_FOREVER), LEAT_EMSGSIZE);
    assert_leat(leat_reserve(pair.tx, SIZE_MAX, &place, LEAT_FOREVER), LEAT_EMSGSIZE);
    fill_up(pair.tx, 100);
    assert_leat(leat_reserve(pair.tx, max, &place, LEAT_NOW), LEAT_EAGAIN);
    assert_leat(leat_reserve(pair.tx, max, &place, SOON), LEAT_ETIMEDOUT);
    assert_null(place);
    assert_leat(leat_commit(pair.tx, 0), LEAT_ESTATE);
    empty_out(pair.rx);
    memset(reserve(pair.tx, max), 1, max);
    assert_ok(leat_commit(pair.tx, max));
    assert_int_equal(empty_out(pair.rx), 1);
    close_pair(&pair);
}

static void close_aborts_an_open_reservation(void **state) {
    (void)state;
    struct pair pair = open_pair("closing", 0);
    send_text(pair.tx, "before");
    memset(reserve(pair.tx, 500), 0xff, 500);
    leat_sender_close(pair.tx);
    expect_text(pair.rx, "before");
    expect_news(pair.rx, LEAT_ECLOSED, LATER);
    pair.tx = open_sender("closing", NULL);
    send_text(pair.tx, "next");
    expect_news(pair.rx, LEAT_EPEERBACK, LATER);
    expect_text(pair.rx, "next");
    expect_news(pair.rx, LEAT_EAGAIN, LEAT_NOW);
    close_pair(&pair);
}

/* The bytes written into a reservation can look like anything, such as a whole ring of records.
 * Wherever they are in the ring, at every size and after every abort or short commit, only sent
 * messages are received. */
static void bytes_of_aborted_messages_are_not_taken_for_messages(void **state) {
    (void)state;
    struct pair pair = open_pair("dirty", 4096);
    size_t max = leat_sender_max_message(pair.tx), size;
    uint64_t random = harness_seed();
    char text[64];
    for (int round = 0; round < 20000; round++) {
        size_t reserved = 1 + (size_t)(harness_random(&random) % max);
        uint64_t *words = reserve(pair.tx, reserved);
        for (size_t i = 0; i < reserved / 8; i++)
            /* much like a record's header */
            words[i] = (uint64_t)1 << 56 | harness_random(&random) % 64;
        bool abort = harness_random(&random) % 2;
        size_t committed = (size_t)(harness_random(&random) % (reserved < 40 ? reserved + 1 : 40));
        if (abort)
            leat_abort(pair.tx);
        else
            assert_ok(leat_commit(pair.tx, committed));
        size_t follow = (size_t)(harness_random(&random) % 4);
        for (size_t i = 0; i < follow; i++)
            assert_ok(leat_send(pair.tx, "follow", i, LEAT_NOW));
        if (!abort) {
            assert_ok(leat_recv(pair.rx, text, sizeof text, &size, LEAT_NOW));
            assert_int_equal(size, committed);
        }
        for (size_t i = 0; i < follow; i++) {
            assert_ok(leat_recv(pair.rx, text, sizeof text, &size, LEAT_NOW));
            assert_int_equal(size, i);
        }
        assert_leat(leat_recv(pair.rx, text, sizeof text, &size, LEAT_NOW), LEAT_EAGAIN);
    }
    close_pair(&pair);
}

/* --- Peeking ---------------------------------------------------------------------------------- */

static leat_message peek(leat_receiver *rx) {
    leat_message message = {0};
    assert_ok(leat_peek(rx, &message, LEAT_NOW));
    assert_int_equal((uintptr_t)message.data % 8, 0);
    return message;
}

static void message_stays_until_it_is_released(void **state) {
    (void)state;
    struct pair pair = open_pair("peeked", 0);
    send_text(pair.tx, "first");
    send_text(pair.tx, "second");
    leat_message one = peek(pair.rx), again = peek(pair.rx);
    assert_true(one.data == again.data && one.size == 5 && memcmp(one.data, "first", 5) == 0);
    assert_ok(leat_release(pair.rx, 1));
    one = peek(pair.rx);
    assert_memory_equal(one.data, "second", 6);
    assert_ok(leat_release(pair.rx, 1));
    leat_message none = {"untouched", 9};
    assert_leat(leat_peek(pair.rx, &none, LEAT_NOW), LEAT_EAGAIN);
    assert_leat(leat_peek(pair.rx, &none, SOON), LEAT_ETIMEDOUT);
    assert_int_equal(none.size, 9);
    close_pair(&pair);
}

static void messages_are_peeked_at_and_released_in_parts(void **state) {
    (void)state;
    struct pair pair = open_pair("parts", 0);
    leat_message messages[5] = {{0}};
    size_t count = 0;
    const char *const texts[] = {"a", "bb", "", "dddd", "eeeee", "ffffff"};
    for (int i = 0; i < 6; i++)
        send_text(pair.tx, texts[i]);
    assert_ok(leat_peek_many(pair.rx, messages, 5, &count, LEAT_NOW));
    assert_int_equal(count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(messages[i].size, strlen(texts[i]));
        assert_memory_equal(messages[i].data, texts[i], messages[i].size);
    }
    assert_leat(leat_release(pair.rx, 6), LEAT_ESTATE); /* more than were peeked at: none */
    assert_ok(leat_release(pair.rx, 2));
    assert_leat(leat_release(pair.rx, 4), LEAT_ESTATE);
    assert_ok(leat_peek_many(pair.rx, messages, 5, &count, LEAT_NOW));
    assert_int_equal(count, 4);
    assert_int_equal(messages[0].size, 0);
    assert_memory_equal(messages[3].data, "ffffff", 6);
    assert_ok(leat_release(pair.rx, 4));
    assert_leat(leat_release(pair.rx, 1), LEAT_ESTATE);
    assert_ok(leat_release(pair.rx, 0));
    close_pair(&pair);
}

static void receive_by_copy_waits_until_peeked_messages_are_released(void **state) {
    (void)state;
    struct pair pair = open_pair("mixed", 0);
    char buffer[16];
    size_t size, count;
    leat_message messages[2];
    send_text(pair.tx, "x");
    send_text(pair.tx, "y");
    peek(pair.rx);
    assert_leat(leat_recv(pair.rx, buffer, sizeof buffer, &size, LEAT_FOREVER), LEAT_ESTATE);
    assert_leat(leat_recv_many(pair.rx, buffer, sizeof buffer, messages, 2, &count, LEAT_FOREVER),
                LEAT_ESTATE);
    assert_ok(leat_release(pair.rx, 1));
    expect_text(pair.rx, "y");
    close_pair(&pair);
}

static void peeked_message_keeps_its_memory_while_the_sender_fills_the_ring(void **state) {
    (void)state;
    struct pair pair = open_pair("held", 4096);
    for (int lap = 0; lap < 200; lap++) {
        unsigned char wanted[300];
        stream_fill(wanted, (uint64_t)lap, sizeof wanted);
        assert_ok(leat_send(pair.tx, wanted, sizeof wanted, LEAT_NOW));
        leat_message held = peek(pair.rx);
        size_t filled = fill_up(pair.tx, (size_t)(lap * 13 % 500));
        assert_int_equal(held.size, sizeof wanted);
        assert_memory_equal(held.data, wanted, sizeof wanted);
        assert_ok(leat_release(pair.rx, 1));
        assert_int_equal(empty_out(pair.rx), filled);
    }
    close_pair(&pair);
}

/* A ring that is as full as it can be: all of it peeked at, nothing released, and then the marks of
 * senders that come and go. */
static void ring_that_is_full_to_the_last_byte_is_read_to_its_end(void **state) {
    (void)state;
    static leat_message messages[300];
    for (size_t size = 0; size < 130; size += 8) {
        struct pair pair = open_pair("brim", 4096);
        size_t count = 0, filled = fill_up(pair.tx, size);
        assert_ok(leat_peek_many(pair.rx, messages, 300, &count, LEAT_NOW));
        assert_int_equal(count, filled);
        assert_ok(leat_release(pair.rx, filled));
        filled = fill_up(pair.tx, size);
        for (int i = 0; i < 5; i++) { /* each leaves a mark, or two, as long as there is room */
            leat_sender_close(pair.tx);
            pair.tx = open_sender("brim", NULL);
        }
        size_t seen = 0, closed = 0;
        for (int result = LEAT_OK; result != LEAT_ETIMEDOUT;) {
            result = leat_peek_many(pair.rx, messages, 300, &count, SOON);
            closed += result == LEAT_ECLOSED;
            if (result == LEAT_OK) {
                seen += count;
                assert_ok(leat_release(pair.rx, count));
            } else if (result != LEAT_ECLOSED && result != LEAT_EPEERBACK)
                assert_leat(result, LEAT_ETIMEDOUT); /* no peer died */
        }
        assert_int_equal(seen, filled);
        assert_true(closed >= 1);
        send_text(pair.tx, "on");
        int result;
        while ((result = leat_peek(pair.rx, messages, LATER)) == LEAT_ECLOSED ||
               result == LEAT_EPEERBACK)
            ;
        assert_ok(result);
        assert_true(messages[0].size == 2 && memcmp(messages[0].data, "on", 2) == 0);
        close_pair(&pair);
    }
}

/* --- Peeking further -------------------------------------------------------------------------- */

static leat_message peek_more(leat_receiver *rx) {
    leat_message message = {0};
    size_t count = 0;
    assert_ok(leat_peek_more(rx, &message, 1, &count, LEAT_NOW));
    assert_int_equal(count, 1);
    return message;
}

static void peek_goes_on_behind_peeked_messages(void **state) {
    (void)state;
    struct pair pair = open_pair("further", 0);
    leat_message messages[8];
    size_t count = 0;
    for (char text = 'a'; text < 'h'; text++)
        assert_ok(leat_send(pair.tx, &text, 1, LEAT_NOW));
    assert_memory_equal(peek(pair.rx).data, "a", 1);
    assert_memory_equal(peek_more(pair.rx).data, "b", 1);
    assert_memory_equal(peek_more(pair.rx).data, "c", 1);
    expect_news(pair.rx, LEAT_ESTATE, LEAT_FOREVER); /* by copy waits */
    assert_leat(leat_release(pair.rx, 4), LEAT_ESTATE);
    assert_ok(leat_release(pair.rx, 2));
    assert_ok(leat_peek_more(pair.rx, messages, 8, &count, LEAT_NOW));
    assert_int_equal(count, 4);
    assert_memory_equal(messages[0].data, "d", 1);
    assert_leat(leat_peek_more(pair.rx, messages, 8, &count, LEAT_NOW), LEAT_EAGAIN);
    assert_leat(leat_peek_more(pair.rx, messages, 8, &count, SOON), LEAT_ETIMEDOUT);
    assert_leat(leat_peek_more(pair.rx, messages, 0, &count, LEAT_NOW), LEAT_EINVAL);
    assert_memory_equal(peek(pair.rx).data, "c", 1); /* begins with the oldest again */
    assert_ok(leat_release(pair.rx, 1));
    assert_memory_equal(peek_more(pair.rx).data, "d", 1);
    assert_memory_equal(peek_more(pair.rx).data, "e", 1);
    leat_unpeek(pair.rx);
    expect_text(pair.rx, "d");
    assert_memory_equal(peek_more(pair.rx).data, "e", 1);
    assert_ok(leat_release(pair.rx, 1));
    expect_text(pair.rx, "f");
    close_pair(&pair);
}

/* Any number of peeks and releases in any order, over many laps of a small ring, with senders that
 * come and leave: each message is whole from the peek to its release, each end is reported once,
 * behind the messages before it. */
static void held_message_stays_whole_over_many_laps(void **state) {
    (void)state;
    struct pair pair = open_pair("laps", 4096);
    static leat_message held[300];
    static unsigned char bytes[1000];
    uint64_t random = harness_seed(), sent = 0, looked = 0, released = 0, closed = 0, told = 0;
    for (int step = 0; step < 200000; step++) {
        uint64_t what = harness_random(&random);
        size_t size = stream_size(7, sent, sizeof bytes), count = 0;
        if (what % 8 < 3) {
            stream_fill(bytes, sent, size);
            sent += leat_send(pair.tx, bytes, size, LEAT_NOW) == LEAT_OK;
        } else if (what % 8 < 6) {
            int result = leat_peek_more(pair.rx, held + (looked - released), 1 + what / 8 % 5,
                                        &count, LEAT_NOW);
            looked += count;
            told += result == LEAT_ECLOSED;
            assert_true(told <= closed && (result == LEAT_OK || result == LEAT_EAGAIN ||
                                           result == LEAT_ECLOSED || result == LEAT_EPEERBACK));
        } else if (what % 8 == 6 && looked > released) {
            size_t some = 1 + (size_t)(what / 8 % (looked - released));
            for (size_t i = 0; i < looked - released; i++)
                assert_true(held[i].size == stream_size(7, released + i, sizeof bytes) &&
                            stream_holds(held[i].data, released + i, held[i].size));
            assert_ok(leat_release(pair.rx, some));
            released += some;
            memmove(held, held + some, (looked - released) * sizeof *held);
        } else if (what / 8 % 50 == 0) {
            leat_sender_close(pair.tx);
            pair.tx = open_sender("laps", NULL);
            closed++;
        }
    }
    assert_true(sent > 10000 && closed > 10 && told > 10);
    close_pair(&pair);
}

static void successor_begins_with_the_oldest_held_message(void **state) {
    (void)state;
    struct pair pair = open_pair("oldest", 0);
    send_text(pair.tx, "one");
    send_text(pair.tx, "two");
    leat_sender_close(pair.tx);
    pair.tx = open_sender("oldest", NULL);
    send_text(pair.tx, "three");
    leat_message message;
    size_t count;
    peek_more(pair.rx);
    peek_more(pair.rx);
    assert_leat(leat_peek_more(pair.rx, &message, 1, &count, LEAT_NOW), LEAT_ECLOSED);
    assert_leat(leat_peek_more(pair.rx, &message, 1, &count, LEAT_NOW), LEAT_EPEERBACK);
    assert_memory_equal(peek_more(pair.rx).data, "three", 5);
    assert_leat(leat_sender_drain(pair.tx, LEAT_NOW), LEAT_EAGAIN);
    assert_ok(leat_release(pair.rx, 1));
    leat_receiver_close(pair.rx);
    pair.rx = open_receiver("oldest", NULL);
    expect_text(pair.rx, "two");
    expect_news(pair.rx, LEAT_ECLOSED, LATER);
    expect_news(pair.rx, LEAT_EPEERBACK, LATER);
    expect_text(pair.rx, "three");
    close_pair(&pair);
}

/* --- Batches ---------------------------------------------------------------------------------- */

static void batch_is_sent_and_received_in_order(void **state) {
    (void)state;
    struct pair pair = open_pair("batch", 0);
    const leat_message out[] = {{"one", 3}, {NULL, 0}, {"three", 5}, {"fourteen bytes", 14}};
    leat_message in[8];
    size_t count = 0;
    _Alignas(8) char buffer[256];
    assert_ok(leat_send_many(pair.tx, out, 4, &count, LEAT_NOW));
    assert_int_equal(count, 4);
    assert_ok(leat_recv_many(pair.rx, buffer, sizeof buffer, in, 8, &count, LEAT_NOW));
    assert_int_equal(count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(in[i].size, out[i].size);
        assert_true((const char *)in[i].data >= buffer &&
                    (const char *)in[i].data + in[i].size <= buffer + sizeof buffer);
        assert_int_equal((uintptr_t)in[i].data % 8, 0);
        if (out[i].size > 0)
            assert_memory_equal(in[i].data, out[i].data, out[i].size);
    }
    assert_ok(leat_send_many(pair.tx, out, 0, &count, LEAT_NOW));
    assert_int_equal(count, 0);
    assert_leat(leat_recv_many(pair.rx, buffer, sizeof buffer, in, 8, &count, LEAT_NOW),
                LEAT_EAGAIN);
    assert_leat(leat_recv_many(pair.rx, buffer, sizeof buffer, in, 8, &count, SOON),
                LEAT_ETIMEDOUT);
    close_pair(&pair);
}

static void batch_that_does_not_fit_is_sent_in_part_and_reports_how_much(void **state) {
    (void)state;
    struct pair pair = open_pair("overfull", 4096);
    static char bytes[100];
    leat_message out[100];
    size_t sent = 0, rest = 0;
    for (size_t i = 0; i < 100; i++)
        out[i] = (leat_message){bytes, sizeof bytes};
    assert_leat(leat_send_many(pair.tx, out, 100, &sent, LEAT_NOW), LEAT_EAGAIN);
    assert_in_range(sent, 25, 40);
    assert_leat(leat_send_many(pair.tx, out, 100, &rest, SOON), LEAT_ETIMEDOUT);
    assert_int_equal(rest, 0);
    assert_int_equal(empty_out(pair.rx), sent);
    out[3].size = leat_sender_max_message(pair.tx) + 1;
    int result = leat_send_many(pair.tx, out, 100, &sent, LEAT_NOW);
    assert_leat(result, LEAT_EMSGSIZE);
    assert_true(sent <= 3);
    assert_int_equal(empty_out(pair.rx), sent);
    close_pair(&pair);
}

static void batch_is_received_as_far_as_the_buffer_goes(void **state) {
    (void)state;
    struct pair pair = open_pair("buffer", 0);
    leat_message in[8];
    _Alignas(8) char buffer[64];
    size_t count = 0;
    static const char bytes[40];
    for (int i = 0; i < 3; i++)
        assert_ok(leat_send(pair.tx, bytes, 24, LEAT_NOW));
    assert_ok(leat_send(pair.tx, bytes, 40, LEAT_NOW));
    assert_ok(leat_recv_many(pair.rx, buffer, 50, in, 8, &count, LEAT_NOW));
    assert_int_equal(count, 2);
    assert_ok(leat_recv_many(pair.rx, buffer, 64, in, 1, &count, LEAT_NOW));
    assert_int_equal(count, 1);
    count = 77;
    assert_leat(leat_recv_many(pair.rx, buffer, 39, in, 8, &count, LEAT_NOW), LEAT_EMSGSIZE);
    assert_int_equal(in[0].size, 40);
    assert_ok(leat_recv_many(pair.rx, buffer, 40, in, 8, &count, LEAT_NOW));
    assert_true(count == 1 && in[0].size == 40);
    close_pair(&pair);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(reservation_is_sent_with_its_final_size),
        HARNESS_TEST(commit_of_more_than_was_reserved_is_refused_and_stays_reserved),
        HARNESS_TEST(abort_leaves_no_trace),
        HARNESS_TEST(fast_path_opens_no_more_room_than_there_is),
        HARNESS_TEST(sender_has_one_reservation_at_a_time),
        HARNESS_TEST(reserve_that_is_too_large_or_has_no_room_fails_at_once),
        HARNESS_TEST(close_aborts_an_open_reservation),
        HARNESS_TEST(bytes_of_aborted_messages_are_not_taken_for_messages),
        HARNESS_TEST(message_stays_until_it_is_released),
        HARNESS_TEST(messages_are_peeked_at_and_released_in_parts),
        HARNESS_TEST(receive_by_copy_waits_until_peeked_messages_are_released),
        HARNESS_TEST(peeked_message_keeps_its_memory_while_the_sender_fills_the_ring),
        HARNESS_TEST(ring_that_is_full_to_the_last_byte_is_read_to_its_end),
        HARNESS_TEST(peek_goes_on_behind_peeked_messages),
        HARNESS_TEST(held_message_stays_whole_over_many_laps),
        HARNESS_TEST(successor_begins_with_the_oldest_held_message),
        HARNESS_TEST(batch_is_sent_and_received_in_order),
        HARNESS_TEST(batch_that_does_not_fit_is_sent_in_part_and_reports_how_much),
        HARNESS_TEST(batch_is_received_as_far_as_the_buffer_goes),
    };
    return HARNESS_MAIN("channel_in_place", tests);
}
