/* test_watch.c - a role that has been asleep for long sleeps on a watch (channels/queue/role.h),
 * and still notices everything at once.
 *
 * All waiters are left alone until their slices are of half a minute. Then something happens to
 * each of them, and each has to notice it long before its slice ends. The time that it took is
 * printed. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "channel_pair.h"
#include "channels/queue/receiver.h"
#include "channels/queue/sender.h"

#define SETTLING_S 4 /* slices of 50, 400 and 3200 ms have passed, and one of 25.6 s has begun */
#define SMALL (&(leat_channel_options){.capacity = 4096})

enum { MESSAGE, ROOM, SENDER_DIES, RECEIVER_DIES, RECEIVER_COMES, NOT_RUNG, CASES };
static const char *const names[] = {"message",       "room",           "sender-dies",
                                    "receiver-dies", "receiver-comes", "not-woken"};

struct board {
    harness_word ready, go, noticed[CASES];
    _Atomic uint64_t noticed_at[CASES];
};

struct role {
    struct board *board;
    int which;
};

static void note(struct role *role) {
    atomic_store(&role->board->noticed_at[role->which], harness_now());
    harness_set(&role->board->noticed[role->which], 1);
}

/* --- Waiters ---------------------------------------------------------------------------------- */

static int wait_to_receive(void *context) {
    struct role *role = context;
    leat_receiver *rx = open_receiver(names[role->which], NULL);
    char byte;
    size_t size;
    harness_increment(&role->board->ready);
    assert_leat(leat_recv(rx, &byte, 1, &size, LEAT_FOREVER),
                role->which == SENDER_DIES ? LEAT_EPEERDIED : LEAT_OK);
    note(role);
    if (role->which == NOT_RUNG)
        expect_news(rx, LEAT_EPEERDIED, LATER);
    leat_receiver_close(rx);
    return 0;
}

static int wait_to_send(void *context) {
    struct role *role = context;
    leat_sender *tx = open_sender(names[role->which], SMALL);
    char byte = 0;
    fill_up(tx, 1);
    harness_increment(&role->board->ready);
    assert_leat(leat_send(tx, &byte, 1, LEAT_FOREVER),
                role->which == RECEIVER_DIES ? LEAT_EPEERDIED : LEAT_OK);
    note(role);
    if (role->which == ROOM)
        harness_await(&role->board->go, 1); /* so that the receiver finds no end of the stream */
    leat_sender_close(tx);
    return 0;
}

static int wait_for_receiver(void *context) {
    struct role *role = context;
    leat_sender *tx = open_sender(names[role->which], NULL);
    harness_increment(&role->board->ready);
    assert_ok(leat_sender_wait_peer(tx, LEAT_FOREVER));
    note(role);
    leat_sender_close(tx);
    return 0;
}

/* --- Processes that die ----------------------------------------------------------------------- */

static int receive_nothing(void *context) {
    struct role *role = context;
    leat_receiver *rx = open_receiver(names[role->which], SMALL);
    harness_increment(&role->board->ready);
    pause();
    leat_receiver_close(rx);
    return 1;
}

static int send_nothing(void *context) {
    struct role *role = context;
    leat_sender *tx = open_sender(names[role->which], NULL);
    harness_increment(&role->board->ready);
    pause();
    leat_sender_close(tx);
    return 1;
}

/* Publishes, and dies before it can wake. */
static int publish_and_die(void *context) {
    struct role *role = context;
    leat_sender *tx = open_sender(names[role->which], NULL);
    void *payload;
    harness_increment(&role->board->ready);
    harness_await(&role->board->go, 1);
    assert_ok(leat__ring_reserve(&tx->ring, 1, &payload));
    leat__ring_stage(&tx->ring, 1);
    leat__ring_publish(&tx->ring);
    return raise(SIGKILL);
}

/* --- Tests ------------------------------------------------------------------------------------ */

static pid_t start(int (*run)(void *), struct board *board, int which, uint32_t ready) {
    struct role *role = harness_shared(sizeof *role);
    *role = (struct role){board, which};
    pid_t pid = harness_spawn(run, role);
    harness_await(&board->ready, ready);
    return pid;
}

static void require_noticed(struct board *board, int which, uint64_t since) {
    harness_await(&board->noticed[which], 1);
    print_message("%s: noticed after %.2f ms\n", names[which],
                  (double)(board->noticed_at[which] - since) / 1e6);
}

static bool watches(const struct leat__role *side) {
    return (leat__load_relaxed32(&side->peer->waiting) & LEAT__WATCHES) != 0;
}

static void sleeper_on_a_watch_notices_everything(void **state) {
    (void)state;
    struct board *board = harness_shared(sizeof *board);
    leat_sender *tx = open_sender(names[MESSAGE], NULL);
    leat_receiver *rx = open_receiver(names[ROOM], SMALL);
    pid_t dying_sender = start(send_nothing, board, SENDER_DIES, 1);
    pid_t dying_receiver = start(receive_nothing, board, RECEIVER_DIES, 2);
    pid_t not_ringing = start(publish_and_die, board, NOT_RUNG, 3);
    pid_t waiting[CASES] = {
        start(wait_to_receive, board, MESSAGE, 4),
        start(wait_to_send, board, ROOM, 5),
        start(wait_to_receive, board, SENDER_DIES, 6),
        start(wait_to_send, board, RECEIVER_DIES, 7),
        start(wait_for_receiver, board, RECEIVER_COMES, 8),
        start(wait_to_receive, board, NOT_RUNG, 9),
    };
    nanosleep(&(struct timespec){.tv_sec = SETTLING_S}, NULL);
    assert_true(watches(&tx->role));
    assert_true(watches(&rx->role));

    uint64_t now = harness_now();
    send_text(tx, "x");
    require_noticed(board, MESSAGE, now);
    now = harness_now();
    assert_int_not_equal(empty_out(rx), 0);
    require_noticed(board, ROOM, now);
    now = harness_now();
    harness_kill(dying_sender);
    require_noticed(board, SENDER_DIES, now);
    now = harness_now();
    harness_kill(dying_receiver);
    require_noticed(board, RECEIVER_DIES, now);
    now = harness_now();
    leat_receiver *comes = open_receiver(names[RECEIVER_COMES], NULL);
    require_noticed(board, RECEIVER_COMES, now);
    now = harness_now();
    harness_set(&board->go, 1);
    harness_wait_signal(not_ringing, SIGKILL);
    require_noticed(board, NOT_RUNG, now);

    for (int i = 0; i < CASES; i++)
        harness_wait_ok(waiting[i]);
    leat_sender_close(tx);
    leat_receiver_close(rx);
    leat_receiver_close(comes);
}

/* The same with the next message, and the one after it: each time from the wake count to the watch.
 * */
static int receive_two(void *context) {
    struct role *role = context;
    leat_receiver *rx = open_receiver(names[role->which], NULL);
    harness_increment(&role->board->ready);
    expect_text(rx, "first");
    harness_increment(&role->board->ready);
    expect_text(rx, "second");
    note(role);
    expect_news(rx, LEAT_ECLOSED, LATER);
    leat_receiver_close(rx);
    return 0;
}

static void sleep_on_a_watch_is_always_woken(void **state) {
    (void)state;
    struct board *board = harness_shared(sizeof *board);
    leat_sender *tx = open_sender(names[MESSAGE], NULL);
    pid_t pid = start(receive_two, board, MESSAGE, 1);
    static const char *const texts[] = {"first", "second"};
    for (uint32_t i = 0; i < 2; i++) {
        for (uint64_t limit = LATER; !watches(&tx->role);)
            if (leat_now() > limit)
                harness_fail("the receiver does not come to sleep on a watch");
        leat_statistics before, after;
        leat_sender_statistics(tx, &before);
        send_text(tx, texts[i]);
        leat_sender_statistics(tx, &after);
        assert_int_equal(after.wake_calls, before.wake_calls + 1);
        harness_await(i == 0 ? &board->ready : &board->noticed[MESSAGE], i == 0 ? 2 : 1);
    }
    leat_sender_close(tx);
    harness_wait_ok(pid);
}

/* --- Without a watch -------------------------------------------------------------------------- */

/* No descriptor can be made any more, so no watch. */
static int wait_without_descriptors(void *context) {
    struct role *role = context;
    leat_receiver *rx = open_receiver(names[role->which], NULL);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, 0}), 0);
    harness_increment(&role->board->ready);
    expect_text(rx, "message");
    harness_increment(&role->board->ready);
    expect_news(rx, LEAT_EPEERDIED, LATER);
    note(role);
    _exit(!rx->role.watch.on ? 0 : 1); /* closing in order needs descriptors */
}

static int send_and_wait(void *context) {
    struct role *role = context;
    leat_sender *tx = open_sender(names[role->which], NULL);
    assert_ok(leat_sender_wait_peer(tx, LATER));
    harness_await(&role->board->ready, 1);
    /* by now a receiver with descriptors would watch */
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    assert_false(watches(&tx->role));
    send_text(tx, "message");
    pause();
    leat_sender_close(tx);
    return 1;
}

static void sleeper_without_a_watch_notices_everything_too(void **state) {
    (void)state;
    struct board *board = harness_shared(sizeof *board);
    struct role *role = harness_shared(sizeof *role);
    *role = (struct role){board, SENDER_DIES};
    pid_t sender = harness_spawn(send_and_wait, role);
    pid_t receiver = start(wait_without_descriptors, board, SENDER_DIES, 1);
    harness_await(&board->ready, 2);
    uint64_t now = harness_now();
    harness_kill(sender);
    require_noticed(board, SENDER_DIES, now);
    harness_wait_ok(receiver);
    /* both are dead: this heals, and removes the name at the end */
    leat_receiver *rx = open_receiver(names[SENDER_DIES], NULL);
    leat_receiver_close(rx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(sleeper_on_a_watch_notices_everything),
        HARNESS_TEST(sleep_on_a_watch_is_always_woken),
        HARNESS_TEST(sleeper_without_a_watch_notices_everything_too),
    };
    return HARNESS_MAIN("watch", tests);
}
