/* test_waitset_wakes.c - when an event loop polls and when it sleeps; the time of a wake-up is
 * measured when it slept and was woken, and only then. */
#include <stdlib.h>
#include <unistd.h>

#include "channel_pair.h"
#include "channels/queue/receiver.h"
#include "waitset_loop.h"

/* --- Looking before sleeping ------------------------------------------------------------------ */

static void receive_one(leat_waitset *waitset, leat_receiver *receiver, char expected) {
    char byte = 0;
    size_t size;
    assert_ptr_equal(next_named(waitset), receiver);
    assert_ok(leat_recv(receiver, &byte, 1, &size, LEAT_NOW));
    assert_int_equal(byte, expected);
}

/* Only after a member was ready, and for no longer than the spin. */
static void adaptive_channel_is_polled_for_a_while_before_the_loop_sleeps(void **state) {
    (void)state;
    if (!leat__os_can_spin())
        skip(); /* a single processor */
    leat_waitset *waitset = open_waitset();
    leat_channel_options options = {.spin_us = 1000000000};
    leat_sender *sender = open_sender("adaptive", &sleeps);
    leat_receiver *receiver = open_receiver("adaptive", &options);
    assert_ok(leat_waitset_add_receiver(waitset, receiver, receiver));
    take_marks(waitset, receiver);
    for (char letter = 'a'; letter <= 'z'; letter++) {
        assert_ptr_equal(next_ready(waitset), NULL);
        assert_true(is_readable(waitset, 0)); /* it polls again */
        assert_ok(leat_send(sender, &letter, 1, LEAT_NOW));
        receive_one(waitset, receiver, letter);
    }
    assert_int_equal(wake_calls(sender), 0); /* no wake is needed for a loop that polls */
    assert_int_equal(statistics_of(waitset).armed, 0);
    leat_receiver_close(receiver);
    leat_sender_close(sender);
    leat_waitset_close(waitset);
}

/* A wait that a spin would not have covered makes the next spin shorter. */
static void spin_in_a_loop_adapts(void **state) {
    (void)state;
    if (!leat__os_can_spin())
        skip(); /* a single processor */
    leat_waitset *waitset = open_waitset();
    leat_channel_options options = {.spin_us = 1000};
    leat_sender *sender = open_sender("adapts", &sleeps);
    leat_receiver *receiver = open_receiver("adapts", &options);
    assert_ok(leat_waitset_add_receiver(waitset, receiver, receiver));
    take_marks(waitset, receiver);
    assert_ok(leat_send(sender, "a", 1, LEAT_NOW));
    receive_one(waitset, receiver, 'a');
    uint64_t before = 1000000;
    assert_int_equal(receiver->role.spin.ns, before);
    for (int round = 0; round < 5; round++) {
        while (next_ready(waitset) == NULL && is_readable(waitset, 0))
            ;
        usleep(3000);
        assert_ok(leat_send(sender, "b", 1, LEAT_NOW));
        receive_one(waitset, receiver, 'b');
        assert_true(receiver->role.spin.ns < before);
        before = receiver->role.spin.ns;
    }
    leat_receiver_close(receiver);
    leat_sender_close(sender);
    leat_waitset_close(waitset);
}

/* --- Waking up -------------------------------------------------------------------------------- */

static void loop_that_was_woken_counts_it_once(void **state) {
    (void)state;
    leat_waitset *waitset = open_waitset();
    struct pair one = {open_sender("one", NULL), open_receiver("one", &sleeps)},
                two = {open_sender("two", NULL), open_receiver("two", &sleeps)};
    leat_statistics statistics;
    assert_ok(leat_waitset_add_receiver(waitset, one.rx, one.rx));
    settle(waitset, one.rx);
    assert_ok(leat_waitset_add_receiver(waitset, two.rx, two.rx));
    settle(waitset, two.rx);
    /* its own token made it poll, no peer's */
    assert_int_equal(wakes_of_receiver(one.rx) + wakes_of_receiver(two.rx), 0);
    for (int i = 0; i < 3; i++)
        send_text(one.tx, "x");
    assert_true(is_readable(waitset, 5000));
    assert_ptr_equal(next_ready(waitset), one.rx);
    assert_int_equal(wakes_of_receiver(one.rx), 1);
    send_text(two.tx, "y"); /* wakes, because it was armed; but the loop is awake */
    leat_sender_statistics(two.tx, &statistics);
    assert_int_equal(statistics.wake_calls, 1);
    leat_waitset_again(waitset);
    assert_ptr_equal(next_ready(waitset), one.rx);
    assert_int_equal(empty_out(one.rx), 3);
    assert_ptr_equal(next_ready(waitset), two.rx);
    assert_int_equal(empty_out(two.rx), 1);
    assert_ptr_equal(next_ready(waitset), NULL);
    assert_true(wakes_of_receiver(one.rx) == 1 && wakes_of_receiver(two.rx) == 0);
    send_text(one.tx, "x");
    send_text(two.tx, "y");
    assert_true(next_ready(waitset) != NULL && next_ready(waitset) != NULL);
    /* both in one sleep */
    assert_true(wakes_of_receiver(one.rx) == 2 && wakes_of_receiver(two.rx) == 1);
    close_pair(&one);
    close_pair(&two);
    leat_waitset_close(waitset);
}

static void sender_that_was_woken_for_room_counts_it(void **state) {
    (void)state;
    leat_waitset *waitset = open_waitset();
    leat_channel_options small = {.capacity = LEAT_CAPACITY_MIN, .spin_us = LEAT_SPIN_NONE};
    struct pair pair = {.rx = open_receiver("room", &small)};
    pair.tx = open_sender("room", &small);
    assert_ok(leat_waitset_add_sender(waitset, pair.tx, pair.tx));
    fill_up(pair.tx, 8);
    assert_ok(leat_waitset_want_room(pair.tx, 8));
    assert_ptr_equal(next_ready(waitset), NULL);
    empty_out(pair.rx);
    assert_true(is_readable(waitset, 5000));
    assert_ptr_equal(next_ready(waitset), pair.tx);
    assert_int_equal(wakes_of_sender(pair.tx), 1);
    close_pair(&pair);
    leat_waitset_close(waitset);
}

static int count_one(const leat_object_info *info, void *context) {
    unsigned *count = context;
    *count += strcmp(info->name, "looked-at") == 0;
    return 0;
}

/* leat top does this every second: reading from outside wakes no waiter. */
static void inspection_wakes_no_loop(void **state) {
    (void)state;
    leat_waitset *waitset = open_waitset();
    struct pair pair = {open_sender("looked-at", &sleeps), open_receiver("looked-at", &sleeps)};
    leat_channel_info channel;
    leat_object_info object;
    unsigned count = 0;
    assert_ok(leat_waitset_add_receiver(waitset, pair.rx, pair.rx));
    settle(waitset, pair.rx);
    assert_ok(leat_channel_stat("looked-at", LEAT_LOCAL, &channel));
    assert_int_equal(channel.receiver, LEAT_PEER_PRESENT);
    assert_ok(leat_stat("looked-at", LEAT_LOCAL, &object));
    assert_ok(leat_list(LEAT_LOCAL, count_one, &count));
    assert_int_equal(count, 1);
    assert_false(is_readable(waitset, 20));
    close_pair(&pair);
    leat_waitset_close(waitset);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(adaptive_channel_is_polled_for_a_while_before_the_loop_sleeps),
        HARNESS_TEST(spin_in_a_loop_adapts),
        HARNESS_TEST(loop_that_was_woken_counts_it_once),
        HARNESS_TEST(sender_that_was_woken_for_room_counts_it),
        HARNESS_TEST(inspection_wakes_no_loop),
    };
    return HARNESS_MAIN("waitset_wakes", tests);
}
