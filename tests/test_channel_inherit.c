/* test_channel_inherit.c - what reaches a process from outside while it uses a channel: signals in
 * the middle of a wait, and fork: a child can neither use its parent's handles nor keep them
 * alive. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel_pair.h"

struct board {
    harness_word ready, go, signals;
    _Atomic uint32_t child;
    bool interruptible;
    leat_sender *tx;
    leat_receiver *rx;
};

/* --- Signals ---------------------------------------------------------------------------------- */

static harness_word *signals_seen;

static void count_signal(int signal_number) {
    (void)signal_number;
    harness_increment(signals_seen);
}

static void catch_signals(struct board *board) {
    signals_seen = &board->signals;
    struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_RESTART};
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
}

static int block_in_receive(void *context) {
    struct board *board = context;
    catch_signals(board);
    leat_receiver *rx =
        open_receiver("signals", &(leat_channel_options){.interruptible = board->interruptible});
    char text[16];
    size_t size;
    harness_set(&board->ready, 1);
    int result = leat_recv(rx, text, sizeof text, &size, LEAT_FOREVER);
    leat_receiver_close(rx);
    return -result;
}

static int block_in_send(void *context) {
    struct board *board = context;
    catch_signals(board);
    leat_channel_options options = {.interruptible = board->interruptible, .capacity = 4096};
    leat_sender *tx = open_sender("signals", &options);
    fill_up(tx, 100);
    char message[100] = "";
    harness_set(&board->ready, 1);
    int result = leat_send(tx, message, sizeof message, LEAT_FOREVER);
    leat_sender_close(tx);
    return -result;
}

/* Signals the process until a handler has run so many times: one that comes between two slices of
 * the wait counts as well. */
static void signal_until_seen(struct board *board, pid_t pid, uint32_t count) {
    for (uint32_t seen = 0; seen < count; seen++) {
        harness_await_asleep(pid);
        kill(pid, SIGUSR1);
        harness_await(&board->signals, seen + 1);
    }
}

/* A signal that arrives between two slices of the wait is no interruption: one may not be enough.
 * Leaves the process to be waited for. */
static void signal_until_ended(pid_t pid) {
    siginfo_t info = {0};
    uint64_t limit = harness_now() + 5000000000u;
    while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0) {
        if (harness_now() > limit)
            harness_fail("no signal ends the wait");
        kill(pid, SIGUSR1);
        usleep(20000);
    }
}

static void signal_ends_the_wait_of_an_interruptible_handle(void **state) {
    (void)state;
    for (int mode = 0; mode < 2; mode++) {
        struct board *board = harness_shared(sizeof *board);
        board->interruptible = true;
        pid_t pid = harness_spawn(mode == 0 ? block_in_receive : block_in_send, board);
        harness_await(&board->ready, 1);
        signal_until_ended(pid);
        harness_wait_exit(pid, -LEAT_EINTR);
    }
}

static void signal_does_not_disturb_the_wait_of_another_handle(void **state) {
    (void)state;
    struct board *board = harness_shared(sizeof *board);
    pid_t pid = harness_spawn(block_in_receive, board);
    harness_await(&board->ready, 1);
    signal_until_seen(board, pid, 20);
    leat_sender *tx = open_sender("signals", NULL);
    send_text(tx, "x");
    harness_wait_exit(pid, 0);
    leat_sender_close(tx);

    board = harness_shared(sizeof *board);
    pid = harness_spawn(block_in_send, board);
    harness_await(&board->ready, 1);
    signal_until_seen(board, pid, 20);
    leat_receiver *rx = open_receiver("signals", NULL);
    static char buffer[200];
    size_t size;
    for (int result = LEAT_OK; result == LEAT_OK;)
        result = leat_recv(rx, buffer, sizeof buffer, &size, LATER);
    harness_wait_exit(pid, 0);
    leat_receiver_close(rx);
}

static int wait_with_a_deadline(void *context) {
    struct board *board = context;
    catch_signals(board);
    leat_receiver *rx = open_receiver("signals", NULL);
    harness_set(&board->ready, 1);
    uint64_t start = harness_now();
    expect_news(rx, LEAT_ETIMEDOUT, leat_in_ms(300));
    uint64_t took = harness_now() - start;
    assert_true(took >= 300000000 && took < 2000000000);
    leat_receiver_close(rx);
    return 0;
}

static void signals_do_not_lengthen_a_wait(void **state) {
    (void)state;
    struct board *board = harness_shared(sizeof *board);
    pid_t pid = harness_spawn(wait_with_a_deadline, board);
    harness_await(&board->ready, 1);
    uint64_t end = harness_now() + 250000000;
    while (harness_now() < end) { /* a storm */
        kill(pid, SIGUSR1);
        usleep(1000);
    }
    harness_wait_ok(pid);
    assert_true(board->signals > 10);
}

/* --- Fork ------------------------------------------------------------------------------------- */

static int count_mappings(void) {
    int count = 0;
    char line[4096];
    FILE *maps = fopen("/proc/self/maps", "re");
    while (fgets(line, sizeof line, maps) != NULL)
        count += strstr(line, harness_directory()) != NULL;
    fclose(maps);
    return count;
}

static int use_the_parents_handles(void *context) {
    struct board *board = context;
    assert_int_equal(count_mappings(), 0); /* what it cannot see it cannot damage */
    leat_sender *tx = board->tx;
    leat_receiver *rx = board->rx;
    leat_message message = {"x", 1};
    size_t count;
    void *place;
    char buffer[16];
    assert_leat(leat_send(tx, "child", 5, LEAT_NOW), LEAT_EFORKED);
    assert_leat(leat_send_many(tx, &message, 1, &count, LEAT_NOW), LEAT_EFORKED);
    assert_leat(leat_reserve(tx, 5, &place, LEAT_NOW), LEAT_EFORKED);
    assert_leat(leat_commit(tx, 0), LEAT_EFORKED);
    assert_leat(leat_sender_drain(tx, LEAT_NOW), LEAT_EFORKED);
    assert_leat(leat_sender_wait_peer(tx, LEAT_NOW), LEAT_EFORKED);
    leat_abort(tx);
    leat_statistics statistics;
    leat_sender_statistics(tx, &statistics);
    leat_receiver_statistics(rx, &statistics);
    (void)leat_sender_peer(tx);
    (void)leat_receiver_peer(rx);
    assert_leat(leat_recv(rx, buffer, sizeof buffer, &count, LEAT_NOW), LEAT_EFORKED);
    assert_leat(leat_recv_many(rx, buffer, sizeof buffer, &message, 1, &count, LEAT_NOW),
                LEAT_EFORKED);
    assert_leat(leat_peek(rx, &message, LEAT_NOW), LEAT_EFORKED);
    assert_leat(leat_peek_many(rx, &message, 1, &count, LEAT_NOW), LEAT_EFORKED);
    assert_leat(leat_release(rx, 1), LEAT_EFORKED);
    assert_leat(leat_receiver_wait_peer(rx, LEAT_NOW), LEAT_EFORKED);
    leat_sender_close(tx);
    leat_receiver_close(rx);
    return 0;
}

static void forked_child_cannot_use_its_parents_handles(void **state) {
    (void)state;
    struct board *board = harness_shared(sizeof *board);
    board->tx = open_sender("forked", NULL);
    board->rx = open_receiver("forked", NULL);
    leat_message message;
    send_text(board->tx, "before");
    assert_true(count_mappings() > 0);
    assert_ok(leat_peek(board->rx, &message, LEAT_NOW));
    harness_wait_ok(harness_spawn(use_the_parents_handles, board));
    assert_memory_equal(message.data, "before", 6); /* undisturbed, and so is everything else */
    assert_ok(leat_release(board->rx, 1));
    send_text(board->tx, "after");
    expect_text(board->rx, "after");
    expect_news(board->rx, LEAT_EAGAIN, LEAT_NOW);
    leat_sender_close(board->tx);
    leat_receiver_close(board->rx);
}

static int use_handles_of_its_own(void *context) {
    (void)context;
    leat_sender *tx = NULL;
    assert_leat(leat_sender_open(&tx, "forked", NULL), LEAT_EBUSY); /* the parent's is alive */
    leat_receiver *rx = open_receiver("forked", NULL);
    expect_text(rx, "hello");
    leat_receiver_close(rx);
    return 0;
}

static void forked_child_can_open_handles_of_its_own(void **state) {
    (void)state;
    leat_sender *tx = open_sender("forked", NULL);
    pid_t child = harness_spawn(use_handles_of_its_own, NULL);
    send_text(tx, "hello");
    harness_wait_ok(child);
    leat_sender_close(tx);
}

/* Opens both ends, forks a child that only waits, and waits to be killed. */
static int open_and_fork(void *context) {
    struct board *board = context;
    leat_sender *tx = open_sender("to-test", NULL);
    leat_receiver *rx = open_receiver("from-test", NULL);
    pid_t child = fork(); /* not harness_spawn: this one has to outlive its parent */
    if (child == 0) {
        board->child = (uint32_t)getpid();
        /* by the child: before it runs it has had no chance to let go */
        harness_increment(&board->ready);
        harness_await(&board->go, 1);
        _exit(0);
    }
    send_text(tx, "hello");
    harness_increment(&board->ready);
    harness_await(&board->go, 2);
    (void)rx;
    return 0;
}

static void death_is_noticed_although_a_child_of_the_dead_lives(void **state) {
    (void)state;
    struct board *board = harness_shared(sizeof *board);
    leat_receiver *rx = open_receiver("to-test", NULL);
    leat_sender *tx = open_sender("from-test", NULL);
    pid_t parent = harness_spawn(open_and_fork, board);
    harness_await(&board->ready, 2);
    assert_ok(leat_sender_wait_peer(tx, LATER));
    expect_text(rx, "hello");
    harness_kill(parent);
    expect_news(rx, LEAT_EPEERDIED, leat_in_ms(1000 * harness_patience()));
    send_text(tx, "unread");
    assert_leat(leat_sender_drain(tx, leat_in_ms(1000 * harness_patience())), LEAT_EPEERDIED);
    leat_sender *successor = open_sender("to-test", NULL);
    leat_receiver *other = open_receiver("from-test", NULL);
    expect_news(rx, LEAT_EPEERBACK, LATER);
    expect_text(other, "unread");
    leat_sender_close(successor);
    leat_receiver_close(other);
    leat_receiver_close(rx);
    leat_sender_close(tx);
    assert_int_equal(harness_names_left(), 0);
    harness_set(&board->go, 1);
    harness_wait_ok((pid_t)board->child); /* ours now: the harness adopts orphans */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(signal_ends_the_wait_of_an_interruptible_handle),
        HARNESS_TEST(signal_does_not_disturb_the_wait_of_another_handle),
        HARNESS_TEST(signals_do_not_lengthen_a_wait),
        HARNESS_TEST(forked_child_cannot_use_its_parents_handles),
        HARNESS_TEST(forked_child_can_open_handles_of_its_own),
        HARNESS_TEST(death_is_noticed_although_a_child_of_the_dead_lives),
    };
    return HARNESS_MAIN("channel_inherit", tests);
}
