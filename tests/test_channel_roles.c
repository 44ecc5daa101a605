/* test_channel_roles.c - which handles may take a role, and the events when a peer comes and leaves
 * in order: end of stream, successors, many senders, draining, persistence, reading from outside.
 * Both roles are in one process; deaths and blocking are in test_channel_processes.c. */
#include "channel_pair.h"
#include "handles.h"

static const leat_channel_options many = {.many_senders = true};
static const leat_channel_options open_only = {.mode = LEAT_OPEN};
static const leat_channel_options create_only = {.mode = LEAT_CREATE};

/* --- Taking a role ---------------------------------------------------------------------------- */

static void second_sender_or_receiver_is_refused(void **state) {
    (void)state;
    struct pair pair = open_pair("taken", 0);
    leat_sender *tx = NULL;
    leat_receiver *rx = NULL;
    assert_leat(leat_sender_open(&tx, "taken", NULL), LEAT_EBUSY);
    assert_leat(leat_sender_open(&tx, "taken", &many), LEAT_EBUSY);
    assert_leat(leat_receiver_open(&rx, "taken", NULL), LEAT_EBUSY);
    assert_null(tx);
    assert_null(rx);
    send_text(pair.tx, "undisturbed");
    expect_text(pair.rx, "undisturbed");
    leat_sender_close(pair.tx);
    leat_receiver_close(pair.rx);
    pair = open_pair("taken", 0);
    close_pair(&pair);
}

static void modes_of_opening_hold_for_channels_too(void **state) {
    (void)state;
    leat_sender *tx = NULL;
    leat_receiver *rx = NULL;
    assert_leat(leat_sender_open(&tx, "way", &open_only), LEAT_ENOENT);
    assert_leat(leat_receiver_open(&rx, "way", &open_only), LEAT_ENOENT);
    assert_ok(leat_sender_open(&tx, "way", &create_only));
    assert_leat(leat_receiver_open(&rx, "way", &create_only), LEAT_EEXIST);
    assert_ok(leat_receiver_open(&rx, "way", &open_only));
    assert_true(sender_created(tx) && !receiver_created(rx));
    leat_sender_close(tx);
    leat_receiver_close(rx);
    assert_leat(leat_sender_open(&tx, "way", &open_only), LEAT_ENOENT);
    leat_sender_close(NULL);
    leat_receiver_close(NULL);
}

static void channel_dies_with_its_last_user_and_its_backlog_with_it(void **state) {
    (void)state;
    leat_sender *tx = open_sender("mortal", NULL);
    send_text(tx, "lost");
    leat_sender_close(tx);
    assert_int_equal(harness_names_left(), 0);
    leat_receiver *rx = open_receiver("mortal", NULL);
    assert_true(receiver_created(rx));
    expect_news(rx, LEAT_EAGAIN, LEAT_NOW);
    leat_receiver_close(rx);
}

static void persistent_channel_keeps_its_backlog(void **state) {
    (void)state;
    leat_object_info info;
    leat_sender *tx = open_sender("lasting", &(leat_channel_options){.persistent = true});
    send_text(tx, "kept");
    leat_sender_close(tx);
    assert_ok(leat_gc(LEAT_LOCAL, NULL, NULL));
    assert_ok(leat_stat("lasting", LEAT_LOCAL, &info));
    assert_true(info.persistent && !info.in_use && info.kind == LEAT_KIND_CHANNEL);
    leat_receiver *rx = open_receiver("lasting", NULL);
    assert_false(receiver_created(rx));
    expect_text(rx, "kept");
    expect_news(rx, LEAT_ECLOSED, LATER);
    leat_receiver_close(rx);
    assert_ok(leat_unlink("lasting", LEAT_LOCAL));
}

static void unlinked_channel_lets_its_peers_go_on(void **state) {
    (void)state;
    struct pair pair = open_pair("unlinked", 0);
    assert_ok(leat_unlink("unlinked", LEAT_LOCAL));
    send_text(pair.tx, "still");
    struct pair other = open_pair("unlinked", 0);
    expect_news(other.rx, LEAT_EAGAIN, LEAT_NOW);
    expect_text(pair.rx, "still");
    close_pair(&pair);
    send_text(other.tx, "other");
    expect_text(other.rx, "other");
    close_pair(&other);
}

/* --- The end of a stream ---------------------------------------------------------------------- */

static void end_of_the_stream_comes_after_the_backlog_and_once(void **state) {
    (void)state;
    struct pair pair = open_pair("end", 0);
    send_text(pair.tx, "one");
    send_text(pair.tx, "two");
    leat_sender_close(pair.tx);
    expect_text(pair.rx, "one");
    expect_text(pair.rx, "two");
    expect_news(pair.rx, LEAT_ECLOSED, LEAT_NOW); /* it is in the stream: no need to wait for it */
    expect_news(pair.rx, LEAT_ETIMEDOUT, SOON);
    expect_news(pair.rx, LEAT_EAGAIN, LEAT_NOW);
    leat_receiver_close(pair.rx);
}

static void end_of_the_stream_is_seen_in_place_and_in_batches_too(void **state) {
    (void)state;
    for (int mode = 0; mode < 3; mode++) {
        struct pair pair = open_pair("ends", 0);
        leat_message messages[4];
        char buffer[64];
        size_t count = 0;
        send_text(pair.tx, "last");
        leat_sender_close(pair.tx);
        for (int round = 0; round < 2; round++) {
            int result = mode == 0   ? leat_peek(pair.rx, messages, LATER)
                         : mode == 1 ? leat_peek_many(pair.rx, messages, 4, &count, LATER)
                                     : leat_recv_many(pair.rx, buffer, sizeof buffer, messages, 4,
                                                      &count, LATER);
            assert_leat(result, round == 0 ? LEAT_OK : LEAT_ECLOSED);
            assert_true(messages[0].size == 4 && (mode == 0 || count == 1));
            if (round == 0 && mode < 2)
                assert_ok(leat_release(pair.rx, 1));
        }
        leat_receiver_close(pair.rx);
    }
}

static void end_of_a_full_stream_is_seen(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 8, 24, 56, 57, 100, 1976};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct pair pair = open_pair("full", 4096);
        size_t filled = fill_up(pair.tx, sizes[i]), count = 0, size;
        char buffer[2000];
        leat_sender_close(pair.tx);
        while (count < filled) {
            assert_ok(leat_recv(pair.rx, buffer, sizeof buffer, &size, LATER));
            count++;
        }
        expect_news(pair.rx, LEAT_ECLOSED, LATER);
        leat_receiver_close(pair.rx);
    }
}

/* The last of them find no room for their marks: only `closed` shows that they left. */
static void senders_that_closed_in_a_full_ring_are_not_reported_dead(void **state) {
    (void)state;
    struct pair pair = open_pair("orderly", 4096);
    size_t filled = fill_up(pair.tx, 56), received = 0, closed = 0;
    for (int i = 0; i < 3; i++) {
        leat_sender_close(pair.tx);
        pair.tx = open_sender("orderly", NULL);
    }
    leat_sender_close(pair.tx);
    for (int result = LEAT_OK; result != LEAT_ETIMEDOUT;) {
        char message[56];
        size_t size;
        result = leat_recv(pair.rx, message, sizeof message, &size, leat_in_ms(200));
        assert_int_not_equal(result, LEAT_EPEERDIED);
        received += result == LEAT_OK;
        closed += result == LEAT_ECLOSED;
    }
    assert_int_equal(received, filled);
    assert_true(closed >= 2);
    leat_receiver_close(pair.rx);
}

static void streams_follow_each_other_in_order(void **state) {
    (void)state;
    leat_receiver *rx = open_receiver("streams", NULL);
    for (char name = 'A'; name <= 'E'; name++) {
        leat_sender *tx = open_sender("streams", NULL);
        for (int i = 0; i < 100; i++)
            assert_ok(leat_send(tx, &name, 1, LEAT_NOW));
        leat_sender_close(tx);
    }
    for (char name = 'A'; name <= 'E'; name++) {
        if (name != 'A')
            expect_news(rx, LEAT_EPEERBACK, LATER);
        for (int i = 0; i < 100; i++) {
            char text[2] = {name, '\0'};
            expect_text(rx, text);
        }
        expect_news(rx, LEAT_ECLOSED, LATER);
    }
    expect_news(rx, LEAT_ETIMEDOUT, SOON);
    leat_receiver_close(rx);
}

static void receiver_learns_of_the_next_sender_before_it_sends(void **state) {
    (void)state;
    struct pair pair = open_pair("next", 0);
    expect_news(pair.rx, LEAT_ETIMEDOUT, SOON); /* no event for the first one */
    leat_sender_close(pair.tx);
    expect_news(pair.rx, LEAT_ECLOSED, LATER);
    pair.tx = open_sender("next", NULL);
    expect_news(pair.rx, LEAT_EPEERBACK, LATER);
    expect_news(pair.rx, LEAT_ETIMEDOUT, SOON);
    send_text(pair.tx, "go");
    expect_text(pair.rx, "go");
    close_pair(&pair);
}

static void successor_of_a_receiver_goes_on_at_the_first_message_not_released(void **state) {
    (void)state;
    struct pair pair = open_pair("successor", 0);
    leat_message messages[3];
    size_t count;
    for (int i = 0; i < 5; i++)
        send_text(pair.tx, ((char[]){(char)('0' + i), '\0'}));
    expect_text(pair.rx, "0");
    assert_ok(leat_peek_many(pair.rx, messages, 3, &count, LEAT_NOW));
    assert_ok(leat_release(pair.rx, 1));
    leat_receiver_close(pair.rx);
    pair.rx = open_receiver("successor", NULL);
    for (int i = 2; i < 5; i++)
        expect_text(pair.rx, ((char[]){(char)('0' + i), '\0'}));
    expect_news(pair.rx, LEAT_EAGAIN, LEAT_NOW);
    close_pair(&pair);
}

/* --- Events of the sender --------------------------------------------------------------------- */

static void sender_gets_events_only_while_it_waits_for_room(void **state) {
    (void)state;
    struct pair pair = open_pair("told", 4096);
    leat_receiver_close(pair.rx);
    size_t filled;
    char message[100] = "";
    assert_leat(fill_up_until_told(pair.tx, &filled), LEAT_ECLOSED);
    assert_leat(leat_send(pair.tx, message, 100, SOON), LEAT_ETIMEDOUT); /* once */
    pair.rx = open_receiver("told", NULL);
    assert_leat(leat_send(pair.tx, message, 100, LATER), LEAT_EPEERBACK);
    assert_leat(leat_send(pair.tx, message, 100, SOON), LEAT_ETIMEDOUT);
    assert_int_equal(empty_out(pair.rx), filled);
    assert_ok(leat_send(pair.tx, message, 100, LATER));
    close_pair(&pair);
}

static void sender_that_never_waited_learns_that_the_receiver_has_left(void **state) {
    (void)state;
    leat_sender *tx = open_sender("unseen", &(leat_channel_options){.capacity = 4096});
    leat_receiver *rx = open_receiver("unseen", NULL);
    char message[100] = "";
    for (int i = 0; i < 10; i++) { /* there was always room */
        assert_ok(leat_send(tx, message, 100, LEAT_FOREVER));
        assert_int_equal(empty_out(rx), 1);
    }
    leat_receiver_close(rx);
    assert_leat(fill_up_until_told(tx, NULL), LEAT_ECLOSED);
    leat_sender_close(tx);
}

static void receiver_that_left_before_the_sender_came_is_no_event(void **state) {
    (void)state;
    leat_sender *tx =
        open_sender("before", &(leat_channel_options){.capacity = 4096, .persistent = true});
    leat_receiver *rx = open_receiver("before", NULL);
    leat_receiver_close(rx);
    leat_sender_close(tx);
    tx = open_sender("before", NULL);
    fill_up(tx, 100);
    char message[100] = "";
    assert_leat(leat_send(tx, message, 100, SOON), LEAT_ETIMEDOUT);
    leat_sender_close(tx);
    assert_ok(leat_unlink("before", LEAT_LOCAL));
}

static void drain_waits_for_the_last_release(void **state) {
    (void)state;
    struct pair pair = open_pair("drained", 0);
    leat_message message;
    assert_ok(leat_sender_drain(pair.tx, LEAT_NOW));
    send_text(pair.tx, "x");
    assert_leat(leat_sender_drain(pair.tx, LEAT_NOW), LEAT_EAGAIN);
    assert_leat(leat_sender_drain(pair.tx, SOON), LEAT_ETIMEDOUT);
    assert_ok(leat_peek(pair.rx, &message, LEAT_NOW));
    assert_leat(leat_sender_drain(pair.tx, LEAT_NOW), LEAT_EAGAIN);
    assert_ok(leat_release(pair.rx, 1));
    assert_ok(leat_sender_drain(pair.tx, LEAT_NOW));
    send_text(pair.tx, "y");
    leat_receiver_close(pair.rx);
    assert_leat(leat_sender_drain(pair.tx, LATER), LEAT_ECLOSED);
    assert_leat(leat_sender_drain(pair.tx, SOON), LEAT_ETIMEDOUT);
    pair.rx = open_receiver("drained", NULL);
    expect_text(pair.rx, "y"); /* the successor takes the rest */
    int result = leat_sender_drain(pair.tx, LATER);
    assert_true(result == LEAT_OK || result == LEAT_EPEERBACK);
    assert_ok(leat_sender_drain(pair.tx, LATER));
    close_pair(&pair);
}

static void peer_can_be_asked_about_and_waited_for_by_each_role(void **state) {
    (void)state;
    leat_sender *tx = open_sender("peers", NULL);
    assert_int_equal(leat_sender_peer(tx), LEAT_PEER_NONE);
    assert_leat(leat_sender_wait_peer(tx, LEAT_NOW), LEAT_EAGAIN);
    assert_leat(leat_sender_wait_peer(tx, SOON), LEAT_ETIMEDOUT);
    leat_receiver *rx = open_receiver("peers", NULL);
    assert_int_equal(leat_sender_peer(tx), LEAT_PEER_PRESENT);
    assert_int_equal(leat_receiver_peer(rx), LEAT_PEER_PRESENT);
    assert_ok(leat_sender_wait_peer(tx, LEAT_NOW));
    assert_ok(leat_receiver_wait_peer(rx, LEAT_NOW));
    leat_receiver_close(rx);
    assert_int_equal(leat_sender_peer(tx), LEAT_PEER_CLOSED);
    assert_leat(leat_sender_wait_peer(tx, SOON), LEAT_ETIMEDOUT);
    rx = open_receiver("peers", NULL);
    assert_ok(leat_sender_wait_peer(tx, LEAT_NOW));
    leat_sender_close(tx);
    assert_int_equal(leat_receiver_peer(rx), LEAT_PEER_CLOSED);
    leat_receiver_close(rx);
    rx = open_receiver("peers", NULL);
    assert_int_equal(leat_receiver_peer(rx), LEAT_PEER_NONE);
    assert_leat(leat_receiver_wait_peer(rx, LEAT_NOW), LEAT_EAGAIN);
    assert_leat(leat_receiver_wait_peer(rx, SOON), LEAT_ETIMEDOUT);
    leat_receiver_close(rx);
}

/* --- Many senders ----------------------------------------------------------------------------- */

static void channel_is_shared_by_many_senders_if_all_ask(void **state) {
    (void)state;
    leat_receiver *rx = open_receiver("many", NULL);
    leat_sender *one = open_sender("many", &many), *two = open_sender("many", &many), *three = NULL;
    assert_leat(leat_sender_open(&three, "many", NULL), LEAT_EBUSY);
    assert_null(three);
    leat_channel_info info;
    assert_ok(leat_channel_stat("many", LEAT_LOCAL, &info));
    assert_true(info.many_senders);
    send_text(one, "1");
    send_text(two, "2");
    send_text(one, "3");
    expect_text(rx, "1");
    expect_text(rx, "2");
    expect_text(rx, "3");
    leat_sender_close(one); /* the stream goes on while one of them is there */
    expect_news(rx, LEAT_ETIMEDOUT, SOON);
    three = open_sender("many", &many);
    send_text(three, "4");
    leat_sender_close(three);
    send_text(two, "5");
    leat_sender_close(two);
    expect_text(rx, "4");
    expect_text(rx, "5");
    expect_news(rx, LEAT_ECLOSED, LATER);
    leat_receiver_close(rx);
}

static void reservation_keeps_the_other_senders_waiting(void **state) {
    (void)state;
    leat_receiver *rx = open_receiver("turns", NULL);
    leat_sender *one = open_sender("turns", &many), *two = open_sender("turns", &many);
    void *place;
    assert_ok(leat_reserve(one, 10, &place, LEAT_NOW));
    memcpy(place, "reserved", 8);
    assert_leat(leat_send(two, "x", 1, LEAT_NOW), LEAT_EAGAIN);
    assert_leat(leat_send(two, "x", 1, SOON), LEAT_ETIMEDOUT);
    assert_ok(leat_commit(one, 8));
    send_text(two, "free");
    assert_ok(leat_reserve(two, 10, &place, LEAT_NOW));
    assert_leat(leat_send(one, "x", 1, LEAT_NOW), LEAT_EAGAIN);
    leat_abort(two);
    send_text(one, "again");
    assert_ok(leat_reserve(two, 10, &place, LEAT_NOW));
    leat_sender_close(two); /* aborts */
    send_text(one, "last");
    expect_text(rx, "reserved");
    expect_text(rx, "free");
    expect_text(rx, "again");
    expect_text(rx, "last");
    expect_news(rx, LEAT_EAGAIN, LEAT_NOW);
    leat_sender_close(one);
    leat_receiver_close(rx);
}

static void statistics_of_the_senders_are_common(void **state) {
    (void)state;
    leat_receiver *rx = open_receiver("common", NULL);
    leat_sender *one = open_sender("common", &many), *two = open_sender("common", &many);
    leat_statistics statistics;
    for (int i = 0; i < 10; i++) {
        send_text(one, "12");
        send_text(two, "345");
    }
    leat_sender_statistics(two, &statistics);
    assert_true(statistics.messages == 20 && statistics.bytes == 50);
    leat_sender_close(one);
    leat_sender_close(two);
    leat_channel_info info;
    assert_ok(leat_channel_stat("common", LEAT_LOCAL, &info));
    assert_true(info.sent.messages == 20 && info.sent.bytes == 50);
    leat_receiver_close(rx);
}

/* --- From outside ----------------------------------------------------------------------------- */

static void channel_can_be_inspected_without_taking_part(void **state) {
    (void)state;
    leat_channel_info info;
    assert_leat(leat_channel_stat("seen", LEAT_LOCAL, &info), LEAT_ENOENT);
    leat_sender *tx = open_sender("seen", &(leat_channel_options){.capacity = 8192});
    assert_ok(leat_channel_stat("seen", LEAT_LOCAL, &info));
    assert_true(info.sender == LEAT_PEER_PRESENT && info.receiver == LEAT_PEER_NONE &&
                !info.many_senders);
    assert_true(info.capacity == 8192);
    fill_up(tx, 500);
    assert_ok(leat_channel_stat("seen", LEAT_LOCAL, &info));
    assert_true(info.backlog_bytes > 7000 && info.backlog_bytes <= 8192);
    leat_receiver *rx = open_receiver("seen", NULL);
    empty_out(rx);
    leat_receiver_close(rx);
    assert_ok(leat_channel_stat("seen", LEAT_LOCAL, &info));
    assert_true(info.receiver == LEAT_PEER_CLOSED && info.backlog_bytes < 64);
    assert_true(info.sent.messages == info.received.messages &&
                info.sent.bytes == info.received.bytes);
    leat_sender_close(tx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(second_sender_or_receiver_is_refused),
        HARNESS_TEST(modes_of_opening_hold_for_channels_too),
        HARNESS_TEST(channel_dies_with_its_last_user_and_its_backlog_with_it),
        HARNESS_TEST(persistent_channel_keeps_its_backlog),
        HARNESS_TEST(unlinked_channel_lets_its_peers_go_on),
        HARNESS_TEST(end_of_the_stream_comes_after_the_backlog_and_once),
        HARNESS_TEST(end_of_the_stream_is_seen_in_place_and_in_batches_too),
        HARNESS_TEST(end_of_a_full_stream_is_seen),
        HARNESS_TEST(senders_that_closed_in_a_full_ring_are_not_reported_dead),
        HARNESS_TEST(streams_follow_each_other_in_order),
        HARNESS_TEST(receiver_learns_of_the_next_sender_before_it_sends),
        HARNESS_TEST(successor_of_a_receiver_goes_on_at_the_first_message_not_released),
        HARNESS_TEST(sender_gets_events_only_while_it_waits_for_room),
        HARNESS_TEST(sender_that_never_waited_learns_that_the_receiver_has_left),
        HARNESS_TEST(receiver_that_left_before_the_sender_came_is_no_event),
        HARNESS_TEST(drain_waits_for_the_last_release),
        HARNESS_TEST(peer_can_be_asked_about_and_waited_for_by_each_role),
        HARNESS_TEST(channel_is_shared_by_many_senders_if_all_ask),
        HARNESS_TEST(reservation_keeps_the_other_senders_waiting),
        HARNESS_TEST(statistics_of_the_senders_are_common),
        HARNESS_TEST(channel_can_be_inspected_without_taking_part),
    };
    return HARNESS_MAIN("channel_roles", tests);
}
