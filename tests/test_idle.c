/* test_idle.c - the cost of a channel when nothing happens, and the cost of waking under load: a
 * blocked role uses no CPU at all, a wake-up is measured, and under full load hardly any message
 * wakes the peer. LEAT_SLOW=1 watches idle processes for ten seconds instead of two. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "channel_pair.h"
#include "waitset_loop.h"

struct board {
    harness_word ready, go;
    leat_statistics sent, received;
};

/* --- Idle ------------------------------------------------------------------------------------- */

static int block_in_receive(void *context) {
    struct board *board = context;
    leat_receiver *rx = open_receiver("idle", NULL);
    char byte;
    size_t size;
    harness_increment(&board->ready);
    assert_ok(leat_recv(rx, &byte, 1, &size, LEAT_FOREVER));
    leat_receiver_close(rx);
    return 0;
}

static int block_in_send(void *context) {
    struct board *board = context;
    leat_sender *tx = open_sender("idle", &(leat_channel_options){.capacity = 4096});
    char byte = 0;
    fill_up(tx, 1);
    harness_increment(&board->ready);
    assert_ok(leat_send(tx, &byte, 1, LEAT_FOREVER));
    leat_sender_close(tx);
    return 0;
}

static uint64_t cpu_time_in(pid_t pid, time_t seconds) {
    struct timespec period = {.tv_sec = seconds};
    uint64_t before = harness_cpu_time(pid);
    nanosleep(&period, NULL);
    return harness_cpu_time(pid) - before;
}

/* A role that has just gone to sleep polls a few times, at growing intervals
 * (channels/queue/role.h): settling. Then the measured period is between two polls, and there must
 * not be a nanosecond. On a busy machine a poll can fall into the period; the next interval is
 * eight times as long. */
static void watch_idle(pid_t pid, const char *what) {
    bool slow = harness_setting("LEAT_SLOW", 0) != 0;
    time_t period = slow ? 10 : 2;
    uint64_t settling, used = 1;
    harness_await_asleep(pid);
    for (int attempt = 0; used != 0 && attempt < 3; attempt++) {
        settling = cpu_time_in(pid, slow ? 4 : 1);
        used = cpu_time_in(pid, period);
        print_message("%s: settling %.2f ms of CPU, then %.2f ms in %ld s\n", what,
                      (double)settling / 1e6, (double)used / 1e6, (long)period);
    }
    assert_int_equal(used, 0);
}

static void blocked_receiver_uses_no_cpu(void **state) {
    (void)state;
    struct board *board = harness_shared(sizeof *board);
    leat_sender *tx = open_sender("idle", NULL); /* with a peer there ... */
    pid_t pid = harness_spawn(block_in_receive, board);
    harness_await(&board->ready, 1);
    watch_idle(pid, "a receiver blocked with its sender there");
    send_text(tx, "x");
    harness_wait_ok(pid);
    leat_sender_close(tx);
    pid = harness_spawn(block_in_receive, board); /* ... and without */
    harness_await(&board->ready, 2);
    watch_idle(pid, "a receiver blocked alone");
    tx = open_sender("idle", NULL);
    send_text(tx, "x");
    harness_wait_ok(pid);
    leat_sender_close(tx);
}

static void blocked_sender_uses_no_cpu(void **state) {
    (void)state;
    struct board *board = harness_shared(sizeof *board);
    pid_t pid = harness_spawn(block_in_send, board);
    harness_await(&board->ready, 1);
    watch_idle(pid, "a sender blocked");
    leat_receiver *rx = open_receiver("idle", NULL);
    char byte;
    size_t size;
    for (int result = LEAT_OK; result != LEAT_ECLOSED;) {
        result = leat_recv(rx, &byte, 1, &size, LATER);
        assert_true(result == LEAT_OK || result == LEAT_ECLOSED);
    }
    harness_wait_ok(pid);
    leat_receiver_close(rx);
}

enum { LOOP_CHANNELS = 200 };

struct loop_board {
    harness_word ready;
    uint32_t wakes; /* the loop's */
};

static void name_of(char name[24], int number) {
    snprintf(name, 24, "idle-%d", number);
}

/* Receivers with a mode of waiting that polls for a while first, until a message comes on the last
 * one. */
static int block_in_a_loop(void *context) {
    struct loop_board *board = context;
    leat_waitset *waitset = open_waitset();
    leat_receiver *receivers[LOOP_CHANNELS];
    leat_channel_options least = {.capacity = LEAT_CAPACITY_MIN};
    char name[24], byte = 0;
    size_t size;
    for (int i = 0; i < LOOP_CHANNELS; i++) {
        name_of(name, i);
        receivers[i] = open_receiver(name, &least);
        assert_ok(leat_waitset_add_receiver(waitset, receivers[i], receivers[i]));
    }
    harness_increment(&board->ready);
    for (int result = LEAT_EAGAIN; result != LEAT_OK;) {
        leat_receiver *receiver = next_named_within(waitset, 60000, &board->wakes);
        result = leat_recv(receiver, &byte, 1, &size, LEAT_NOW);
        assert_true(result == LEAT_OK || result == LEAT_EAGAIN);
    }
    for (int i = 0; i < LOOP_CHANNELS; i++)
        leat_receiver_close(receivers[i]);
    leat_waitset_close(waitset);
    return 0;
}

static void loop_with_idle_channels_uses_no_cpu(void **state) {
    (void)state;
    struct loop_board *board = harness_shared(sizeof *board);
    leat_sender *senders[LOOP_CHANNELS];
    leat_channel_options least = {.capacity = LEAT_CAPACITY_MIN};
    char name[24];
    for (int i = 0; i < LOOP_CHANNELS; i++) {
        name_of(name, i);
        senders[i] = open_sender(name, &least);
    }
    pid_t pid = harness_spawn(block_in_a_loop, board);
    harness_await(&board->ready, 1);
    watch_idle(pid, "a loop with 200 channels");
    uint32_t wakes = board->wakes;
    send_text(senders[LOOP_CHANNELS - 1], "x");
    harness_wait_ok(pid);
    assert_int_equal(board->wakes, wakes + 1); /* that one */
    for (int i = 0; i < LOOP_CHANNELS; i++)
        leat_sender_close(senders[i]);
}

/* --- Wake-ups --------------------------------------------------------------------------------- */

/* A child that gives its parent what it waits for, when it sleeps and has done so for
 * `delay_ms`. */
struct waker {
    harness_word ready, go, woken;
    pid_t parent;
    int32_t spin_us; /* the parent's */
    unsigned delay_ms;
};

static const leat_channel_options small = {.capacity = 4096};

static void await_parent(struct waker *waker) {
    harness_set(&waker->ready, 1);
    harness_await(&waker->go, 1);
    if (waker->spin_us >= LEAT_SPIN_NONE)
        harness_await_asleep(waker->parent);
    usleep(waker->delay_ms * 1000);
}

static int send_a_message(void *context) {
    struct waker *waker = context;
    leat_sender *tx = open_sender("wake", &small);
    await_parent(waker);
    send_text(tx, "x");
    harness_await(&waker->woken, 1);
    leat_sender_close(tx);
    return 0;
}

static int make_room(void *context) {
    struct waker *waker = context;
    leat_receiver *rx = open_receiver("wake", &small);
    /* what the sender's coming left: closing it wakes too */
    expect_news(rx, LEAT_EAGAIN, LEAT_NOW);
    await_parent(waker);
    empty_out(rx);
    harness_await(&waker->woken, 1);
    leat_receiver_close(rx);
    return 0;
}

static struct waker *start_waker(int (*wake)(void *context), int32_t spin_us, unsigned delay_ms,
                                 pid_t *child) {
    struct waker *waker = harness_shared(sizeof *waker);
    waker->parent = getpid();
    waker->spin_us = spin_us;
    waker->delay_ms = delay_ms;
    *child = harness_spawn(wake, waker);
    harness_await(&waker->ready, 1);
    return waker;
}

static void take_news(leat_receiver *rx) {
    char byte;
    size_t size;
    int result;
    while ((result = leat_recv(rx, &byte, 1, &size, LEAT_NOW)) != LEAT_EAGAIN)
        assert_true(result == LEAT_ECLOSED || result == LEAT_EPEERBACK);
}

static leat_statistics woken_receiver(int32_t spin_us, unsigned delay_ms) {
    leat_receiver *rx = open_receiver(
        "wake", &(leat_channel_options){.capacity = small.capacity, .spin_us = spin_us});
    leat_statistics statistics;
    pid_t child;
    struct waker *waker = start_waker(send_a_message, spin_us, delay_ms, &child);
    take_news(rx);
    harness_set(&waker->go, 1);
    expect_text(rx, "x");
    leat_receiver_statistics(rx, &statistics);
    harness_set(&waker->woken, 1);
    harness_wait_ok(child);
    leat_receiver_close(rx);
    return statistics;
}

static leat_statistics woken_sender(int32_t spin_us, unsigned delay_ms) {
    leat_sender *tx = open_sender(
        "wake", &(leat_channel_options){.capacity = small.capacity, .spin_us = spin_us});
    leat_statistics statistics;
    pid_t child;
    struct waker *waker = start_waker(make_room, spin_us, delay_ms, &child);
    fill_up(tx, 100);
    harness_set(&waker->go, 1);
    assert_ok(leat_send(tx, "y", 1, LATER));
    leat_sender_statistics(tx, &statistics);
    harness_set(&waker->woken, 1);
    harness_wait_ok(child);
    leat_sender_close(tx);
    return statistics;
}

/* The limit is only against nonsense. */
static void expect_one_wake(leat_statistics statistics, const char *who) {
    print_message("%s woken after %.1f us, of %llu sleeps\n", who, (double)statistics.wake_ns / 1e3,
                  (unsigned long long)statistics.sleeps);
    assert_int_equal(statistics.wakes, 1);
    assert_true(statistics.wake_ns > 0 && statistics.wake_ns < UINT64_C(60000000000));
}

static void wake_up_is_measured_from_the_wake(void **state) {
    (void)state;
    /* asleep on the wake count, and on the watch */
    for (unsigned delay_ms = 0; delay_ms <= 200; delay_ms += 200) {
        expect_one_wake(woken_receiver(LEAT_SPIN_NONE, delay_ms), "receiver");
        expect_one_wake(woken_sender(LEAT_SPIN_NONE, delay_ms), "sender");
    }
}

static void receiver_that_never_slept_or_slept_in_vain_was_not_woken(void **state) {
    (void)state;
    leat_statistics statistics = woken_receiver(LEAT_SPIN_YIELD, 0);
    assert_true(statistics.wakes == 0 && statistics.wake_ns == 0);
    struct pair pair = open_pair("vain", 0);
    expect_news(pair.rx, LEAT_ETIMEDOUT, SOON);
    leat_receiver_statistics(pair.rx, &statistics);
    assert_true(statistics.sleeps > 0 && statistics.wakes == 0 && statistics.wake_ns == 0);
    close_pair(&pair);
}

/* Other processes read the counts from shared memory, and a successor goes on from them. */
static void wake_ups_are_kept_in_the_channel(void **state) {
    (void)state;
    leat_channel_info info;
    leat_receiver_close(open_receiver(
        "wake", &(leat_channel_options){.capacity = small.capacity, .persistent = true}));
    leat_statistics first = woken_receiver(LEAT_SPIN_NONE, 0);
    assert_ok(leat_channel_stat("wake", LEAT_LOCAL, &info));
    assert_true(info.received.wakes == 1 && info.received.wake_ns == first.wake_ns &&
                info.sent.wakes == 0);
    assert_int_equal(woken_receiver(LEAT_SPIN_NONE, 0).wakes, 2);
    assert_ok(leat_unlink("wake", LEAT_LOCAL));
}

/* --- Full load -------------------------------------------------------------------------------- */

#define MESSAGES 4000000u

/* Each process on a processor of its own: on one they could only alternate, and each alternation
 * begins with a wake-up. */
static void run_on(int index) {
    cpu_set_t all, one;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    CPU_ZERO(&one);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &all) && index-- == 0)
            CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
}

static int send_at_full_speed(void *context) {
    struct board *board = context;
    run_on(0);
    leat_sender *tx = open_sender("load", NULL);
    char message[64] = "";
    assert_ok(leat_sender_wait_peer(tx, LATER));
    for (uint32_t i = 0; i < MESSAGES; i++)
        assert_ok(leat_send(tx, message, sizeof message, LEAT_FOREVER));
    leat_sender_statistics(tx, &board->sent);
    leat_sender_close(tx);
    return 0;
}

static int receive_at_full_speed(void *context) {
    struct board *board = context;
    run_on(1);
    leat_receiver *rx = open_receiver("load", NULL);
    char message[64];
    size_t size;
    while (leat_recv(rx, message, sizeof message, &size, LEAT_FOREVER) == LEAT_OK)
        ;
    leat_receiver_statistics(rx, &board->received);
    leat_receiver_close(rx);
    return 0;
}

/* One run; whether it woke the peer less than once in ten thousand messages. */
static bool run_load(void) {
    struct board *board = harness_shared(sizeof *board);
    pid_t receiver = harness_spawn(receive_at_full_speed, board),
          sender = harness_spawn(send_at_full_speed, board);
    assert_int_equal(harness_wait_within(sender, 60000), 0);
    assert_int_equal(harness_wait_within(receiver, 60000), 0);
    uint64_t woken = board->sent.wake_calls + board->received.wake_calls;
    print_message("%u messages: the sender rang %llu times and slept %llu, the receiver rang %llu "
                  "and slept %llu\n",
                  MESSAGES, (unsigned long long)board->sent.wake_calls,
                  (unsigned long long)board->sent.sleeps,
                  (unsigned long long)board->received.wake_calls,
                  (unsigned long long)board->received.sleeps);
    assert_int_equal(board->sent.messages, MESSAGES);
    assert_int_equal(board->received.messages, MESSAGES);
    /* At most one wake for each ticket, whatever the load: that of a sleep, or one whose poll was
     * successful, which ends the wait. Opening wakes too. */
    assert_true(board->sent.wake_calls <= board->received.sleeps + board->received.stalls + 1);
    assert_true(board->received.wake_calls <= board->sent.sleeps + board->sent.stalls + 1);
    return woken < MESSAGES / 10000;
}

/* Full load means that both run; other programs on the machine can keep one of them off its
 * processor, and then the other one sleeps and has to be woken. So one good run in ten is
 * required. */
static void message_under_full_load_hardly_ever_wakes(void **state) {
    (void)state;
    cpu_set_t all;
    bool good = false;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    if (CPU_COUNT(&all) < 2)
        skip();
    for (int run = 0; !good && run < 10; run++)
        good = run_load();
    assert_true(good);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(blocked_receiver_uses_no_cpu),
        HARNESS_TEST(blocked_sender_uses_no_cpu),
        HARNESS_TEST(loop_with_idle_channels_uses_no_cpu),
        HARNESS_TEST(wake_up_is_measured_from_the_wake),
        HARNESS_TEST(receiver_that_never_slept_or_slept_in_vain_was_not_woken),
        HARNESS_TEST(wake_ups_are_kept_in_the_channel),
        HARNESS_TEST_WITHIN(message_under_full_load_hardly_ever_wakes, 300),
    };
    return HARNESS_MAIN("idle", tests);
}
