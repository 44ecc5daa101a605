/* test_channel_told.c - events of the peer are reported however a call waits: in a long spin,
 * without sleeping, or for the senders' lock. test_kill_rounds.c measures that this takes less than
 * 100 ms; here each call would go on for many minutes if it did not ask. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "channel_pair.h"

#define FOR_AGES INT32_MAX /* spin_us: more than half an hour */
#define SENDERS 12
#define OTHERS_MAX 4

struct board {
    harness_word ready, full, reports, go;
    _Atomic int code[SENDERS][OTHERS_MAX]; /* the events that each got, in order */
    unsigned next;
};

/* --- A peer that dies while this process spins ------------------------------------------------ */

static int send_nothing(void *context) {
    struct board *board = context;
    leat_sender *tx = open_sender("spins", NULL);
    (void)tx;
    harness_set(&board->ready, 1);
    pause();
    return 0;
}

static int receive_nothing(void *context) {
    struct board *board = context;
    leat_receiver *rx = open_receiver("spins", NULL);
    (void)rx;
    harness_set(&board->ready, 1);
    pause();
    return 0;
}

static int kill_after_a_while(void *context) {
    usleep(80000); /* by then the other process spins; if not, the test shows less */
    return kill(*(const pid_t *)context, SIGKILL);
}

/* A death while waiting with these options. */
static void expect_death(const leat_channel_options *mine) {
    struct board *board = harness_shared(sizeof *board);
    pid_t sender = harness_spawn(send_nothing, board);
    harness_await(&board->ready, 1);
    leat_receiver *rx = open_receiver("spins", mine);
    pid_t killer = harness_spawn(kill_after_a_while, &sender);
    expect_news(rx, LEAT_EPEERDIED, LEAT_FOREVER);
    harness_wait_ok(killer);
    harness_wait_signal(sender, SIGKILL);
    leat_receiver_close(rx);
}

static void death_is_reported_in_a_long_spin(void **state) {
    (void)state;
    expect_death(&(leat_channel_options){.spin_us = FOR_AGES});
}

static void death_of_a_receiver_is_reported_in_a_long_spin(void **state) {
    (void)state;
    static const char zeros[50000];
    struct board *board = harness_shared(sizeof *board);
    pid_t receiver = harness_spawn(receive_nothing, board);
    harness_await(&board->ready, 1);
    leat_sender *tx = open_sender("spins", &(leat_channel_options){.spin_us = FOR_AGES});
    fill_up(tx, sizeof zeros);
    pid_t killer = harness_spawn(kill_after_a_while, &receiver);
    assert_leat(leat_send(tx, zeros, sizeof zeros, LEAT_FOREVER), LEAT_EPEERDIED);
    harness_wait_ok(killer);
    harness_wait_signal(receiver, SIGKILL);
    leat_sender_close(tx);
}

static void death_is_reported_to_a_receiver_that_never_sleeps(void **state) {
    (void)state;
    expect_death(&(leat_channel_options){.spin_us = LEAT_SPIN_FOREVER});
    expect_death(&(leat_channel_options){.spin_us = LEAT_SPIN_YIELD});
}

static void death_is_reported_to_a_waiting_call_whose_deadline_passes(void **state) {
    (void)state;
    struct board *board = harness_shared(sizeof *board);
    pid_t sender = harness_spawn(send_nothing, board);
    harness_await(&board->ready, 1);
    leat_receiver *rx = open_receiver("spins", NULL);
    expect_news(rx, LEAT_ETIMEDOUT, leat_in_ms(1)); /* it has just asked the kernel */
    harness_kill(sender);
    expect_news(rx, LEAT_EPEERDIED, leat_in_ms(1));
    leat_receiver_close(rx);
}

/* --- Many senders and a receiver that leaves -------------------------------------------------- */

static const leat_channel_options many = {.capacity = 4096, .many_senders = true};

enum { BY_SENDING, BY_SENDING_MANY, BY_RESERVING, BY_DRAINING, WAYS };

static int wait_for_room(leat_sender *tx, unsigned mode) {
    static const char zeros[900];
    const leat_message message = {zeros, sizeof zeros};
    size_t sent;
    void *place;
    int result;
    switch (mode) {
    case BY_SENDING:
        return leat_send(tx, zeros, sizeof zeros, LEAT_FOREVER);
    case BY_SENDING_MANY:
        return leat_send_many(tx, &message, 1, &sent, LEAT_FOREVER);
    case BY_RESERVING:
        if ((result = leat_reserve(tx, sizeof zeros, &place, LEAT_FOREVER)) == LEAT_OK)
            result = leat_commit(tx, sizeof zeros);
        return result;
    default:
        return leat_sender_drain(tx, LEAT_FOREVER);
    }
}

/* Waits on after each report, as a program does that waits for the receiver's successor. */
static int report_all(void *context) {
    struct board *board = context;
    unsigned self = board->next;
    leat_sender *tx = open_sender("turns", &many);
    assert_ok(leat_send(tx, "12345678", 8, LATER)); /* which drain waits for */
    harness_increment(&board->ready);
    while (board->full == 0) /* each has sent its own: now they fill the ring */
        usleep(1000);
    for (unsigned told = 0; told < OTHERS_MAX;) {
        int result = wait_for_room(tx, self % WAYS);
        if (result == LEAT_OK)
            continue;
        board->code[self][told++] = result;
        harness_increment(&board->reports);
    }
    return 1;
}

static int stay_as_receiver(void *context) {
    struct board *board = context;
    leat_receiver *rx = open_receiver("turns", &many);
    harness_increment(&board->ready);
    while (board->go == 0)
        usleep(10000);
    leat_receiver_close(rx);
    return 0;
}

static void start_all(struct board *board, pid_t pids[SENDERS]) {
    for (unsigned i = 0; i < SENDERS; i++) {
        board->next = i;
        pids[i] = harness_spawn(report_all, board);
        harness_await(&board->ready, i + 2);
    }
    harness_set(&board->full, 1);
    leat_channel_info info;
    do
        assert_ok(leat_channel_stat("turns", LEAT_LOCAL, &info));
    while (info.backlog_bytes < 3000);
    for (unsigned i = 0; i < SENDERS; i++)
        harness_await_asleep(pids[i]);
}

static void expect_reports(const struct board *board, unsigned which, int code) {
    for (unsigned i = 0; i < SENDERS; i++)
        if (board->code[i][which] != code)
            harness_fail("sender %u, report %u: %s", i, which,
                         leat_error_name(board->code[i][which]));
}

static void death_of_the_receiver_is_reported_to_all_senders_that_wait(void **state) {
    (void)state;
    struct board *board = harness_shared(sizeof *board);
    pid_t pids[SENDERS], receiver = harness_spawn(stay_as_receiver, board);
    harness_await(&board->ready, 1);
    start_all(board, pids);
    harness_kill(receiver);
    harness_await(&board->reports, SENDERS);
    expect_reports(board, 0, LEAT_EPEERDIED);
    leat_receiver *rx = open_receiver("turns", &many);
    harness_await(&board->reports, 2 * SENDERS);
    expect_reports(board, 1, LEAT_EPEERBACK);
    for (unsigned i = 0; i < SENDERS; i++)
        harness_kill(pids[i]);
    leat_receiver_close(rx);
}

static void receiver_that_closes_and_comes_back_is_reported_to_all_senders_that_wait(void **state) {
    (void)state;
    struct board *board = harness_shared(sizeof *board);
    pid_t pids[SENDERS], receiver = harness_spawn(stay_as_receiver, board);
    harness_await(&board->ready, 1);
    start_all(board, pids);
    harness_set(&board->go, 1);
    harness_wait_ok(receiver);
    harness_await(&board->reports, SENDERS);
    leat_receiver *rx = open_receiver("turns", &many);
    harness_await(&board->reports, 2 * SENDERS);
    leat_receiver_close(rx);
    harness_await(&board->reports, 3 * SENDERS);
    expect_reports(board, 0, LEAT_ECLOSED);
    expect_reports(board, 1, LEAT_EPEERBACK);
    expect_reports(board, 2, LEAT_ECLOSED);
    usleep(200000);
    assert_int_equal(board->reports, 3 * SENDERS); /* each once */
    for (unsigned i = 0; i < SENDERS; i++)
        harness_kill(pids[i]);
    /* the last user, who takes the name along */
    leat_receiver_close(open_receiver("turns", &many));
}

static int reserve_and_stay(void *context) {
    struct board *board = context;
    leat_sender *tx = open_sender("turns", &many);
    void *place;
    assert_ok(leat_reserve(tx, 100, &place, LEAT_NOW));
    harness_increment(&board->ready);
    pause();
    return 0;
}

/* As long as there is room, messages queue up for a receiver to come. */
static void sender_that_waits_for_the_lock_alone_gets_no_event(void **state) {
    (void)state;
    struct board *board = harness_shared(sizeof *board);
    pid_t receiver = harness_spawn(stay_as_receiver, board);
    harness_await(&board->ready, 1);
    pid_t holder = harness_spawn(reserve_and_stay, board);
    harness_await(&board->ready, 2);
    leat_sender *tx = open_sender("turns", &many);
    harness_kill(receiver);
    assert_leat(leat_send(tx, "a", 1, leat_in_ms(150)), LEAT_ETIMEDOUT);
    assert_leat(leat_send(tx, "a", 1, LEAT_NOW), LEAT_EAGAIN);
    harness_kill(holder);
    assert_ok(leat_send(tx, "a", 1, LATER));
    leat_sender_close(tx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(death_is_reported_in_a_long_spin),
        HARNESS_TEST(death_of_a_receiver_is_reported_in_a_long_spin),
        HARNESS_TEST(death_is_reported_to_a_receiver_that_never_sleeps),
        HARNESS_TEST(death_is_reported_to_a_waiting_call_whose_deadline_passes),
        HARNESS_TEST(death_of_the_receiver_is_reported_to_all_senders_that_wait),
        HARNESS_TEST(receiver_that_closes_and_comes_back_is_reported_to_all_senders_that_wait),
        HARNESS_TEST(sender_that_waits_for_the_lock_alone_gets_no_event),
    };
    return HARNESS_MAIN("channel_told", tests);
}
