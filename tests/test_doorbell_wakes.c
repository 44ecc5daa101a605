/* test_doorbell_wakes.c - how long an event loop took to wake up is measured when it slept and was rung for, and only then. */
#include "channel_pair.h"
#include "doorbell_loop.h"

static void a_loop_that_was_woken_counts_it_once(void **state) {
    (void)state;
    leat_doorbell *doorbell = open_doorbell();
    struct pair one = {open_sender("one", NULL), open_receiver("one", &sleeps)}, two = {open_sender("two", NULL), open_receiver("two", &sleeps)};
    leat_statistics statistics;
    assert_ok(leat_doorbell_add_receiver(doorbell, one.rx, one.rx));
    settle(doorbell, one.rx);
    assert_ok(leat_doorbell_add_receiver(doorbell, two.rx, two.rx));
    settle(doorbell, two.rx);
    assert_int_equal(wakes_of_receiver(one.rx) + wakes_of_receiver(two.rx), 0); /* its own token made it look, nobody's ring */
    for (int i = 0; i < 3; i++)
        send_text(one.tx, "x");
    assert_true(rings(doorbell, 5000));
    assert_ptr_equal(named(doorbell), one.rx);
    assert_int_equal(wakes_of_receiver(one.rx), 1);
    send_text(two.tx, "y"); /* rings, for it was announced; but the loop is awake */
    leat_sender_statistics(two.tx, &statistics);
    assert_int_equal(statistics.doorbells_rung, 1);
    leat_doorbell_again(doorbell);
    assert_ptr_equal(named(doorbell), one.rx);
    assert_int_equal(empty_out(one.rx), 3);
    assert_ptr_equal(named(doorbell), two.rx);
    assert_int_equal(empty_out(two.rx), 1);
    assert_ptr_equal(named(doorbell), NULL);
    assert_true(wakes_of_receiver(one.rx) == 1 && wakes_of_receiver(two.rx) == 0);
    send_text(one.tx, "x");
    send_text(two.tx, "y");
    assert_true(named(doorbell) != NULL && named(doorbell) != NULL);
    assert_true(wakes_of_receiver(one.rx) == 2 && wakes_of_receiver(two.rx) == 1); /* both in one sleep */
    close_pair(&one);
    close_pair(&two);
    leat_doorbell_close(doorbell);
}

static void a_sender_that_was_woken_for_room_counts_it(void **state) {
    (void)state;
    leat_doorbell *doorbell = open_doorbell();
    leat_channel_options small = {.capacity = LEAT_CAPACITY_MIN, .waiting = LEAT_WAITING_SLEEP};
    struct pair pair = {.rx = open_receiver("room", &small)};
    pair.tx = open_sender("room", &small);
    assert_ok(leat_doorbell_add_sender(doorbell, pair.tx, pair.tx));
    fill_up(pair.tx, 8);
    assert_ok(leat_doorbell_want_room(pair.tx, 8));
    assert_ptr_equal(named(doorbell), NULL);
    empty_out(pair.rx);
    assert_true(rings(doorbell, 5000));
    assert_ptr_equal(named(doorbell), pair.tx);
    assert_int_equal(wakes_of_sender(pair.tx), 1);
    close_pair(&pair);
    leat_doorbell_close(doorbell);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(a_loop_that_was_woken_counts_it_once),
        HARNESS_TEST(a_sender_that_was_woken_for_room_counts_it),
    };
    return HARNESS_MAIN("doorbell_wakes", tests);
}
