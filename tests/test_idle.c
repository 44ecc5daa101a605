/* test_idle.c - what a channel costs when nothing happens, and what waking costs when much does: a blocked side uses
 * no CPU at all, and under full load hardly a message rings. LEAT_SLOW=1 looks at the idle ones for ten seconds instead of
 * two. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "channel_pair.h"

struct board {
    harness_word ready, go;
    leat_statistics sent, received;
};

/* --- Idle --------------------------------------------------------------------------------------------------------- */

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

/* A side that has just gone to sleep looks around a few times, at growing intervals (channels/side.h): settling. Then the period that is
 * measured falls between two looks, and there must not be a nanosecond. A look at a bad moment is possible when the machine is busy; the
 * next interval is eight times as long. */
static void watch_idle(pid_t pid, const char *what) {
    bool slow = harness_setting("LEAT_SLOW", 0) != 0;
    time_t period = slow ? 10 : 2;
    uint64_t settling, used = 1;
    harness_await_asleep(pid);
    for (int attempt = 0; used != 0 && attempt < 3; attempt++) {
        settling = cpu_time_in(pid, slow ? 4 : 1);
        used = cpu_time_in(pid, period);
        print_message("%s: settling %.2f ms of CPU, then %.2f ms in %ld s\n", what, (double)settling / 1e6,
                      (double)used / 1e6, (long)period);
    }
    assert_int_equal(used, 0);
}

static void a_blocked_receiver_uses_no_cpu(void **state) {
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

static void a_blocked_sender_uses_no_cpu(void **state) {
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

/* --- Full load ---------------------------------------------------------------------------------------------------- */

#define MESSAGES 4000000u

/* Each side on a processor of its own: on one they could only take turns, and each turn begins with a wake-up. */
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

/* One run; whether it rang less than once in ten thousand messages. */
static bool run_load(void) {
    struct board *board = harness_shared(sizeof *board);
    pid_t receiver = harness_spawn(receive_at_full_speed, board), sender = harness_spawn(send_at_full_speed, board);
    assert_int_equal(harness_wait_within(sender, 60000), 0);
    assert_int_equal(harness_wait_within(receiver, 60000), 0);
    uint64_t rung = board->sent.doorbells_rung + board->received.doorbells_rung;
    print_message("%u messages: the sender rang %llu times and slept %llu, the receiver rang %llu and slept %llu\n",
                  MESSAGES, (unsigned long long)board->sent.doorbells_rung, (unsigned long long)board->sent.sleeps,
                  (unsigned long long)board->received.doorbells_rung, (unsigned long long)board->received.sleeps);
    assert_int_equal(board->sent.messages, MESSAGES);
    assert_int_equal(board->received.messages, MESSAGES);
    /* At most one ring for each sleep, whatever the load. Opening rings too. */
    assert_true(board->sent.doorbells_rung <= board->received.sleeps + 1);
    assert_true(board->received.doorbells_rung <= board->sent.sleeps + 1);
    return rung < MESSAGES / 10000;
}

/* Full load means that both run; other programs on the machine can keep one of them off its processor, and then the
 * other one sleeps and has to be woken. So one good run in ten is what is required. */
static void under_full_load_hardly_a_message_rings(void **state) {
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
        HARNESS_TEST_WITHIN(a_blocked_receiver_uses_no_cpu, 60),
        HARNESS_TEST_WITHIN(a_blocked_sender_uses_no_cpu, 60),
        HARNESS_TEST_WITHIN(under_full_load_hardly_a_message_rings, 240),
    };
    return HARNESS_MAIN("idle", tests);
}
