/* test_channel_processes.c - a sender and a receiver in processes of their own: a verified stream
 * at full speed, and everything that happens when one of them waits while its peer closes, dies,
 * stops, comes back, forks or gets a signal. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "channel_pair.h"
#include "stream.h"

#define NOTICE_NS 100000000u        /* what leat promises */
#define NOTICE_LIMIT_NS 1000000000u /* what fails the test: a busy machine must not */

/* What the processes of a test share beside the channel. */
struct board {
    harness_word ready, go, told;
    _Atomic uint64_t at; /* when something happened, nanoseconds */
    _Atomic uint64_t messages;
    uint64_t seed, capacity, total;
    leat_sender *tx;
    leat_receiver *rx;
};

static struct board *new_board(void) {
    struct board *board = harness_shared(sizeof *board);
    board->seed = harness_seed();
    return board;
}

/* Requires that a death or close at `when` was noticed in time, and says so when it took longer
 * than promised. */
static void check_notice(uint64_t when, uint64_t noticed) {
    uint64_t took = noticed - when;
    if (took > NOTICE_NS)
        print_message("noticed after %.1f ms\n", (double)took / 1e6);
    assert_true(took < (uint64_t)NOTICE_LIMIT_NS * harness_patience());
}

/* --- Full speed ------------------------------------------------------------------------------- */

static int send_stream(void *context) {
    struct board *board = context;
    leat_sender *tx = open_sender("stream", &(leat_channel_options){.capacity = board->capacity});
    size_t max = leat_sender_max_message(tx);
    unsigned char *buffer = malloc(max);
    for (uint64_t sequence = 0, bytes = 0; bytes < board->total; sequence++) {
        size_t size = stream_size(board->seed, sequence, max);
        stream_fill(buffer, sequence, size);
        assert_ok(leat_send(tx, buffer, size, LEAT_FOREVER));
        bytes += size;
        board->messages++;
    }
    assert_ok(leat_sender_wait_peer(tx, LATER));
    assert_ok(leat_sender_drain(tx, LATER));
    free(buffer);
    leat_sender_close(tx);
    return 0;
}

static int receive_stream(void *context) {
    struct board *board = context;
    leat_receiver *rx =
        open_receiver("stream", &(leat_channel_options){.capacity = board->capacity});
    leat_message messages[16];
    size_t max = leat_receiver_max_message(rx), count;
    uint64_t sequence = 0;
    int result;
    while ((result = leat_peek_many(rx, messages, 16, &count, LEAT_FOREVER)) == LEAT_OK) {
        for (size_t i = 0; i < count; i++, sequence++) {
            assert_int_equal(messages[i].size, stream_size(board->seed, sequence, max));
            assert_true(stream_holds(messages[i].data, sequence, messages[i].size));
        }
        assert_ok(leat_release(rx, count));
    }
    assert_leat(result, LEAT_ECLOSED);
    assert_int_equal(sequence, board->messages);
    leat_receiver_close(rx);
    return 0;
}

static void stream_at_full_speed_arrives_complete_and_in_order(void **state) {
    (void)state;
    static const uint64_t capacities[] = {4096, 65536, 1 << 20};
    for (size_t i = 0; i < 3; i++) {
        struct board *board = new_board();
        board->capacity = capacities[i];
        board->total = 64 << 20;
        pid_t receiver = harness_spawn(receive_stream, board),
              sender = harness_spawn(send_stream, board);
        assert_int_equal(harness_wait_within(sender, 60000), 0);
        assert_int_equal(harness_wait_within(receiver, 60000), 0);
    }
}

/* --- A blocked receiver ----------------------------------------------------------------------- */

/* Sends one message and stays until killed or ordered: 1 close, 2 send and close. */
static int send_one_and_stay(void *context) {
    struct board *board = context;
    leat_sender *tx = open_sender("peer", NULL);
    send_text(tx, "backlog");
    harness_set(&board->ready, 1);
    harness_await(&board->go, 1);
    board->at = harness_now();
    if (board->go == 2)
        send_text(tx, "last");
    leat_sender_close(tx);
    return 0;
}

/* Receives the backlog, blocks, and notes which event it got, and when. */
static int receive_until_news(void *context) {
    struct board *board = context;
    leat_receiver *rx = open_receiver("peer", NULL);
    expect_text(rx, "backlog");
    harness_increment(&board->told);
    char text[16];
    size_t size;
    int result;
    while ((result = leat_recv(rx, text, sizeof text, &size, LEAT_FOREVER)) == LEAT_OK)
        ;
    uint64_t now = harness_now();
    check_notice(board->at, now);
    leat_receiver_close(rx);
    return -result;
}

static void blocked_receiver_learns_that_the_sender_died(void **state) {
    (void)state;
    struct board *board = new_board();
    pid_t sender = harness_spawn(send_one_and_stay, board),
          receiver = harness_spawn(receive_until_news, board);
    harness_await(&board->ready, 1);
    harness_await(&board->told, 1);
    harness_await_asleep(receiver);
    board->at = harness_now();
    harness_kill(sender);
    harness_wait_exit(receiver, -LEAT_EPEERDIED);
    assert_ok(leat_gc(LEAT_LOCAL, NULL, NULL));
}

static void blocked_receiver_learns_that_the_sender_closed(void **state) {
    (void)state;
    for (uint32_t how = 1; how <= 2; how++) {
        struct board *board = new_board();
        pid_t sender = harness_spawn(send_one_and_stay, board),
              receiver = harness_spawn(receive_until_news, board);
        harness_await(&board->told, 1);
        harness_await_asleep(receiver);
        harness_set(&board->go, how);
        harness_wait_ok(sender);
        harness_wait_exit(receiver, -LEAT_ECLOSED);
    }
}

/* One that sends and is killed. */
static void send_and_die(struct board *board) {
    board->ready = 0;
    pid_t sender = harness_spawn(send_one_and_stay, board);
    harness_await(&board->ready, 1);
    harness_kill(sender);
}

static void
backlog_of_a_killed_sender_comes_before_the_event_and_its_successor_after(void **state) {
    (void)state;
    struct board *board = new_board();
    leat_receiver *rx = open_receiver("peer", NULL);
    send_and_die(board);
    expect_text(rx, "backlog");
    expect_news(rx, LEAT_EPEERDIED, LATER);
    expect_news(rx, LEAT_ETIMEDOUT, SOON); /* once */
    assert_int_equal(leat_receiver_peer(rx), LEAT_PEER_DIED);
    for (int round = 0; round < 3; round++) {
        /* several came and died between two polls: reported one after the other */
        for (int i = 0; i <= round; i++)
            send_and_die(board);
        for (int i = 0; i <= round; i++) {
            expect_news(rx, LEAT_EPEERBACK, LATER);
            expect_text(rx, "backlog");
            expect_news(rx, LEAT_EPEERDIED, LATER);
        }
    }
    leat_receiver_close(rx);
}

static void stopped_sender_is_not_dead(void **state) {
    (void)state;
    struct board *board = new_board();
    leat_receiver *rx = open_receiver("peer", NULL);
    pid_t sender = harness_spawn(send_one_and_stay, board);
    harness_await(&board->ready, 1);
    expect_text(rx, "backlog");
    harness_stop(sender);
    /* several times as long as a death takes to be noticed */
    expect_news(rx, LEAT_ETIMEDOUT, leat_in_ms(300));
    assert_int_equal(leat_receiver_peer(rx), LEAT_PEER_PRESENT);
    harness_continue(sender);
    harness_set(&board->go, 2);
    expect_text(rx, "last");
    expect_news(rx, LEAT_ECLOSED, LATER);
    harness_wait_ok(sender);
    leat_receiver_close(rx);
}

/* --- A blocked sender ------------------------------------------------------------------------- */

/* Fills the ring, blocks, and notes which event it got, and when. */
static int send_until_news(void *context) {
    struct board *board = context;
    leat_sender *tx = open_sender("peer", &(leat_channel_options){.capacity = 4096});
    assert_ok(leat_sender_wait_peer(tx, LATER));
    fill_up(tx, 100);
    harness_set(&board->told, 1);
    char message[100] = "";
    int result;
    while ((result = leat_send(tx, message, sizeof message, LEAT_FOREVER)) == LEAT_OK)
        ;
    check_notice(board->at, harness_now());
    leat_sender_close(tx);
    return -result;
}

static int receive_nothing_and_stay(void *context) {
    struct board *board = context;
    leat_receiver *rx = open_receiver("peer", &(leat_channel_options){.capacity = 4096});
    harness_set(&board->ready, 1);
    harness_await(&board->go, 1);
    board->at = harness_now();
    leat_receiver_close(rx);
    return 0;
}

static void block_a_sender(struct board *board, pid_t *sender, pid_t *receiver) {
    *receiver = harness_spawn(receive_nothing_and_stay, board);
    harness_await(&board->ready, 1);
    *sender = harness_spawn(send_until_news, board);
    harness_await(&board->told, 1);
    harness_await_asleep(*sender);
}

static void blocked_sender_learns_that_the_receiver_died(void **state) {
    (void)state;
    struct board *board = new_board();
    pid_t sender, receiver;
    block_a_sender(board, &sender, &receiver);
    board->at = harness_now();
    harness_kill(receiver);
    harness_wait_exit(sender, -LEAT_EPEERDIED);
}

static void blocked_sender_learns_that_the_receiver_closed(void **state) {
    (void)state;
    struct board *board = new_board();
    pid_t sender, receiver;
    block_a_sender(board, &sender, &receiver);
    harness_set(&board->go, 1);
    harness_wait_exit(sender, -LEAT_ECLOSED);
    harness_wait_ok(receiver);
}

static void sender_that_never_waited_learns_that_the_receiver_was_killed(void **state) {
    (void)state;
    struct board *board = new_board();
    leat_sender *tx = open_sender("peer", &(leat_channel_options){.capacity = 4096});
    pid_t receiver = harness_spawn(receive_nothing_and_stay, board);
    harness_await(&board->ready, 1);
    harness_kill(receiver);
    assert_leat(fill_up_until_told(tx, NULL), LEAT_EPEERDIED);
    assert_leat(leat_sender_drain(tx, SOON), LEAT_ETIMEDOUT); /* reported once */
    assert_int_equal(leat_sender_peer(tx), LEAT_PEER_DIED);
    leat_sender_close(tx);
}

static void stopped_receiver_is_not_dead(void **state) {
    (void)state;
    struct board *board = new_board();
    leat_sender *tx = open_sender("peer", &(leat_channel_options){.capacity = 4096});
    pid_t receiver = harness_spawn(receive_nothing_and_stay, board);
    harness_await(&board->ready, 1);
    assert_ok(leat_sender_wait_peer(tx, LATER));
    harness_stop(receiver);
    fill_up(tx, 100);
    char message[100] = "";
    assert_leat(leat_send(tx, message, sizeof message, leat_in_ms(300)), LEAT_ETIMEDOUT);
    assert_int_equal(leat_sender_peer(tx), LEAT_PEER_PRESENT);
    harness_continue(receiver);
    harness_set(&board->go, 1);
    assert_leat(leat_send(tx, message, sizeof message, LATER), LEAT_ECLOSED);
    harness_wait_ok(receiver);
    leat_sender_close(tx);
}

/* --- Waking ----------------------------------------------------------------------------------- */

struct echo {
    struct board *board;
    int32_t spin_us;
};

static int echo(void *context) {
    struct echo *how = context;
    struct board *board = how->board;
    leat_receiver *rx = open_receiver("ping", &(leat_channel_options){.spin_us = how->spin_us});
    leat_sender *tx = open_sender("pong", &(leat_channel_options){.spin_us = how->spin_us});
    char text[16];
    size_t size;
    harness_set(&board->ready, 1);
    while (leat_recv(rx, text, sizeof text, &size, LEAT_FOREVER) == LEAT_OK)
        assert_ok(leat_send(tx, text, size, LEAT_FOREVER));
    leat_receiver_close(rx);
    leat_sender_close(tx);
    return 0;
}

/* Returns how many wake-ups were sent. */
static uint64_t echo_round(int32_t spin_us, uint32_t rounds) {
    static const char *const names[] = {"adaptive", "asleep", "yielding", "spinning"};
    struct echo *how = harness_shared(sizeof *how);
    *how = (struct echo){new_board(), spin_us};
    pid_t child = harness_spawn(echo, how);
    harness_await(&how->board->ready, 1);
    leat_sender *tx = open_sender("ping", &(leat_channel_options){.spin_us = spin_us});
    leat_receiver *rx = open_receiver("pong", &(leat_channel_options){.spin_us = spin_us});
    leat_statistics statistics;
    uint64_t start = harness_now();
    for (uint32_t i = 0; i < rounds; i++) {
        uint32_t got;
        size_t size;
        assert_ok(leat_send(tx, &i, sizeof i, LATER));
        assert_ok(leat_recv(rx, &got, sizeof got, &size, LATER));
        assert_int_equal(got, i);
    }
    print_message("%u round trips, %s in between: %.1f us each\n", rounds, names[-spin_us],
                  (double)(harness_now() - start) / rounds / 1e3);
    leat_sender_statistics(tx, &statistics);
    leat_sender_close(tx);
    leat_receiver_close(rx);
    harness_wait_ok(child);
    return statistics.wake_calls;
}

static void sleeping_peers_wake_each_other(void **state) {
    (void)state;
    assert_true(echo_round(LEAT_SPIN_NONE, 20000) > 0);
    (void)echo_round(0, 20000);
}

static void peers_that_never_sleep_are_never_woken(void **state) {
    (void)state;
    assert_int_equal(echo_round(LEAT_SPIN_YIELD, 2000), 0);
    if (sysconf(_SC_NPROCESSORS_ONLN) > 1)
        assert_int_equal(echo_round(LEAT_SPIN_FOREVER, 2000), 0);
}

static int die_at_once(void *context) {
    leat_sender *tx = open_sender("awake", NULL);
    harness_set(context, 1);
    pause();
    leat_sender_close(tx);
    return 1;
}

static void peer_that_never_sleeps_learns_of_deaths(void **state) {
    (void)state;
    for (int32_t spin_us = LEAT_SPIN_FOREVER; spin_us <= LEAT_SPIN_YIELD; spin_us++) {
        harness_word *ready = harness_shared(sizeof *ready);
        leat_receiver *rx = open_receiver("awake", &(leat_channel_options){.spin_us = spin_us});
        pid_t child = harness_spawn(die_at_once, ready);
        char byte;
        size_t size;
        harness_await(ready, 1);
        assert_leat(leat_recv(rx, &byte, 1, &size, SOON), LEAT_ETIMEDOUT);
        harness_kill(child);
        assert_leat(leat_recv(rx, &byte, 1, &size, LATER), LEAT_EPEERDIED);
        leat_receiver_close(rx);
    }
    leat_receiver *rx = NULL;
    assert_leat(
        leat_receiver_open(&rx, "awake", &(leat_channel_options){.spin_us = LEAT_SPIN_FOREVER - 1}),
        LEAT_EINVAL);
}

#define RACES 200000u

struct race {
    _Atomic uint64_t taken;    /* messages that the receiver has */
    unsigned char rang[RACES]; /* whether sending it woke the receiver */
    /* whether it came so late that only the end of a slice can have brought it */
    unsigned char slow[RACES];
    uint64_t seed;
};

/* Each message is sent when the receiver has taken the one before and, give or take, is falling
 * asleep. */
static int send_into_the_falling_asleep(void *context) {
    struct race *race = context;
    uint64_t random = race->seed, woken = 0;
    leat_statistics statistics;
    leat_sender *tx = open_sender("race", NULL);
    for (uint32_t i = 0; i < RACES; i++) {
        while (race->taken < i) /* no system call: that would be a fence */
            ;
        for (uint64_t pause = harness_random(&random) % 2000; pause > 0; pause--)
            atomic_signal_fence(memory_order_seq_cst);
        uint64_t now = harness_now();
        assert_ok(leat_send(tx, &now, sizeof now, LEAT_FOREVER));
        leat_sender_statistics(tx, &statistics);
        race->rang[i] = statistics.wake_calls != woken;
        woken = statistics.wake_calls;
    }
    leat_sender_close(tx);
    return 0;
}

/* Runs the race once and counts lost wake-ups. A message that came late although its receiver was
 * woken was held up by the machine. */
static uint64_t count_lost_wake_ups(void) {
    struct race *race = harness_shared(sizeof *race);
    race->seed = harness_seed();
    leat_receiver *rx = open_receiver("race", &(leat_channel_options){.spin_us = LEAT_SPIN_NONE});
    pid_t sender = harness_spawn(send_into_the_falling_asleep, race);
    uint64_t sent_at, slow = 0, lost = 0;
    size_t size;
    for (uint32_t i = 0; i < RACES; i++) {
        assert_ok(leat_recv(rx, &sent_at, sizeof sent_at, &size, LATER));
        race->slow[i] = harness_now() - sent_at > 45000000;
        race->taken++;
    }
    expect_news(rx, LEAT_ECLOSED, LATER);
    leat_statistics statistics;
    leat_receiver_statistics(rx, &statistics);
    leat_receiver_close(rx);
    harness_wait_ok(sender);
    for (uint32_t i = 0; i < RACES; i++) {
        slow += race->slow[i];
        lost += race->slow[i] && !race->rang[i];
    }
    print_message("%u messages, %llu sleeps; %llu messages came after more than 45 ms, %llu of "
                  "them without a wake\n",
                  RACES, (unsigned long long)statistics.sleeps, (unsigned long long)slow,
                  (unsigned long long)lost);
    return lost;
}

static void wake_up_is_not_lost_when_a_message_is_sent_while_falling_asleep(void **state) {
    (void)state;
    /* Once more: a receiver that the machine keeps from running while it is awake looks the same,
     * now and then. */
    assert_true(count_lost_wake_ups() == 0 || count_lost_wake_ups() == 0);
}

/* --- Restarts --------------------------------------------------------------------------------- */

/* Sends numbers from where the board stands, noting each one after it was sent. */
static int send_numbers(void *context) {
    struct board *board = context;
    leat_sender *tx = open_sender("numbers", &(leat_channel_options){.capacity = 4096});
    for (uint64_t next = board->messages; next < UINT64_MAX; board->messages = ++next)
        assert_ok(leat_send(tx, &next, sizeof next, LEAT_FOREVER));
    return 1;
}

static void sender_that_is_killed_and_restarted_continues_the_stream(void **state) {
    (void)state;
    struct board *board = new_board();
    leat_receiver *rx = open_receiver("numbers", &(leat_channel_options){.capacity = 4096});
    uint64_t expected = 0, number, random = board->seed;
    for (int round = 0; round < 50; round++) {
        pid_t sender = harness_spawn(send_numbers, board);
        uint64_t wanted = expected + harness_random(&random) % 5000;
        bool killed = false;
        for (;;) {
            size_t size;
            int result = leat_recv(rx, &number, sizeof number, &size, LATER);
            if (result == LEAT_EPEERBACK)
                continue;
            if (result == LEAT_EPEERDIED)
                break;
            assert_ok(result);
            /* A number that was sent but not noted is sent again by the successor; nothing else may
             * be. */
            assert_true(number == expected || (number + 1 == expected && !killed));
            expected = number + 1;
            if (expected >= wanted && !killed) {
                harness_kill(sender);
                killed = true;
            }
        }
        assert_true(killed);
        assert_true(expected >= board->messages); /* every noted one has come */
    }
    leat_receiver_close(rx);
}

/* Receives numbers and records each before it is released. */
static int receive_numbers(void *context) {
    struct board *board = context;
    leat_receiver *rx = open_receiver("numbers", NULL);
    leat_message message;
    int result;
    while ((result = leat_peek(rx, &message, LEAT_FOREVER)) == LEAT_OK) {
        uint64_t number, recorded = board->messages;
        memcpy(&number, message.data, sizeof number);
        assert_true(number == recorded || number + 1 == recorded);
        board->messages = number + 1;
        assert_ok(leat_release(rx, 1));
    }
    assert_ok(result);
    return 1;
}

static void receiver_that_is_killed_and_restarted_resumes_where_it_was(void **state) {
    (void)state;
    struct board *board = new_board();
    leat_sender *tx = open_sender("numbers", &(leat_channel_options){.capacity = 4096});
    uint64_t next = 0, random = board->seed;
    for (int round = 0; round < 50; round++) {
        pid_t receiver = harness_spawn(receive_numbers, board);
        uint64_t wanted = next + 200 + harness_random(&random) % 5000;
        while (next < wanted) {
            int result = leat_send(tx, &next, sizeof next, LATER);
            next += result == LEAT_OK;
            assert_true(result == LEAT_OK || result == LEAT_EPEERBACK || result == LEAT_EPEERDIED);
        }
        harness_kill(receiver);
    }
    pid_t last = harness_spawn(receive_numbers, board);
    int result;
    while ((result = leat_sender_drain(tx, LATER)) == LEAT_EPEERBACK || result == LEAT_EPEERDIED)
        ;
    assert_ok(result);
    harness_kill(last);
    assert_int_equal(board->messages, next);
    leat_sender_close(tx);
    assert_int_equal(harness_names_left(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST_WITHIN(stream_at_full_speed_arrives_complete_and_in_order, 300),
        HARNESS_TEST(blocked_receiver_learns_that_the_sender_died),
        HARNESS_TEST(blocked_receiver_learns_that_the_sender_closed),
        HARNESS_TEST(backlog_of_a_killed_sender_comes_before_the_event_and_its_successor_after),
        HARNESS_TEST(stopped_sender_is_not_dead),
        HARNESS_TEST(blocked_sender_learns_that_the_receiver_died),
        HARNESS_TEST(blocked_sender_learns_that_the_receiver_closed),
        HARNESS_TEST(sender_that_never_waited_learns_that_the_receiver_was_killed),
        HARNESS_TEST(stopped_receiver_is_not_dead),
        HARNESS_TEST(sleeping_peers_wake_each_other),
        HARNESS_TEST(peers_that_never_sleep_are_never_woken),
        HARNESS_TEST(peer_that_never_sleeps_learns_of_deaths),
        HARNESS_TEST(wake_up_is_not_lost_when_a_message_is_sent_while_falling_asleep),
        HARNESS_TEST(sender_that_is_killed_and_restarted_continues_the_stream),
        HARNESS_TEST(receiver_that_is_killed_and_restarted_resumes_where_it_was),
    };
    return HARNESS_MAIN("channel_processes", tests);
}
