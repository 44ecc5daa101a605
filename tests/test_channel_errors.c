/* test_channel_errors.c - waiting calls where the system does not answer, or forbids the means to
 * wake a peer: the question is asked again until there is an answer, no call retries without end,
 * and no process is killed because it wakes a peer. */
#include <linux/falloc.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "channel_pair.h"
#include "channels/queue/receiver.h"
#include "channels/queue/sender.h"
#include "lib/sync/sync.h"
#include "unanswered.h"
#include "waitset_loop.h"

/* --- A question that is not answered for a while ---------------------------------------------- */

struct board {
    harness_word ready, go;
    leat_waitable *object;
};

static int send_nothing(void *context) {
    struct board *board = context;
    (void)open_sender("asks-on", NULL);
    harness_increment(&board->ready);
    pause();
    return 0;
}

static int expect_death(void *context) {
    struct board *board = context;
    leat_receiver *rx = open_receiver("asks-on", NULL);
    expect_news(rx, LEAT_ETIMEDOUT, leat_in_ms(600)); /* its slices have grown by then */
    harness_increment(&board->ready);
    expect_news(rx, LEAT_EPEERDIED, LEAT_FOREVER);
    leat_receiver_close(rx);
    return 0;
}

static void waiting_call_asks_on_until_there_is_an_answer(void **state) {
    (void)state;
    begin_answers();
    struct board *board = harness_shared(sizeof *board);
    pid_t sender = harness_spawn(send_nothing, board);
    harness_await(&board->ready, 1);
    pid_t receiver = harness_spawn(expect_death, board);
    harness_await(&board->ready, 2);
    harness_await_asleep(receiver);
    answers->query_fails = ENOMEM;
    harness_kill(sender);
    harness_await(&answers->failed, 60); /* three for each question: the slices do not grow */
    answers->query_fails = 0;
    harness_wait_ok(receiver);
}

static int come_later(void *context) {
    struct board *board = context;
    always_answered = true;
    (void)open_receiver("comes", NULL);
    harness_increment(&board->ready);
    pause();
    return 0;
}

static int await_receiver(void *context) {
    struct board *board = context;
    leat_sender *tx = open_sender("comes", NULL);
    harness_increment(&board->ready);
    assert_ok(leat_sender_wait_peer(tx, LEAT_FOREVER));
    leat_sender_close(tx);
    return 0;
}

static void peer_that_comes_while_there_is_no_answer_is_reported_later(void **state) {
    (void)state;
    begin_answers();
    struct board *board = harness_shared(sizeof *board);
    pid_t sender = harness_spawn(await_receiver, board);
    harness_await(&board->ready, 1);
    harness_await_asleep(sender);
    answers->query_fails = ENOMEM;
    pid_t receiver = harness_spawn(come_later, board);
    harness_await(&board->ready, 2);
    harness_await(&answers->failed, 150); /* at most twelve in a slice: they do not grow */
    answers->query_fails = 0;
    harness_wait_ok(sender);
    harness_kill(receiver);
    assert_ok(leat_gc(LEAT_LOCAL, NULL, NULL));
}

/* --- Interrupted without end ------------------------------------------------------------------ */

static int hold_a_mutex(void *context) {
    struct board *board = context;
    leat_mutex *mutex = NULL;
    assert_ok(leat_mutex_open(&mutex, "interrupted", NULL));
    assert_ok(leat_mutex_lock(mutex, LEAT_NOW));
    harness_increment(&board->ready);
    pause();
    return 0;
}

static void call_that_is_interrupted_for_ever_ends(void **state) {
    (void)state;
    begin_answers();
    struct board *board = harness_shared(sizeof *board);
    pid_t holder = harness_spawn(hold_a_mutex, board);
    harness_await(&board->ready, 1);
    leat_mutex *mutex = NULL, *other = NULL;
    leat_receiver *rx = open_receiver("interrupted-channel", NULL), *second = NULL;
    leat_sync_info info;
    assert_ok(leat_mutex_open(&mutex, "interrupted", NULL));
    answers->query_fails = EINTR;
    assert_leat(leat_mutex_lock(mutex, leat_in_ms(100)), LEAT_ETIMEDOUT);
    assert_leat(leat_mutex_lock(mutex, LEAT_NOW), LEAT_EAGAIN);
    expect_news(rx, LEAT_ETIMEDOUT, leat_in_ms(100));
    assert_int_not_equal(leat_waitable_info(leat_mutex_waitable(mutex), &info), LEAT_OK);
    answers->query_fails = 0;
    answers->change_fails = EINTR;
    assert_int_not_equal(leat_mutex_open(&other, "interrupted", NULL), LEAT_OK);
    assert_int_equal(leat_system_error(), EINTR);
    assert_int_not_equal(leat_receiver_open(&second, "interrupted-too", NULL), LEAT_OK);
    answers->change_fails = 0;
    harness_kill(holder);
    assert_leat(leat_mutex_lock(mutex, LATER), LEAT_EOWNERDEAD);
    assert_ok(leat_mutex_unlock(mutex));
    leat_mutex_close(mutex);
    leat_receiver_close(rx);
    assert_ok(leat_gc(LEAT_LOCAL, NULL, NULL));
}

/* --- A process that may not write files ------------------------------------------------------- */

static void forbid_files(void) {
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &(const struct rlimit){0, 0}), 0);
}

/* As the sender sleeps on its watch. */
static int receive_without_files(void *context) {
    (void)context;
    leat_receiver *rx = open_receiver("limited", NULL);
    char byte;
    size_t size;
    while ((leat__load_acquire32(&rx->role.peer->waiting) & LEAT__WATCHES) == 0)
        usleep(1000);
    forbid_files();
    while (leat_recv(rx, &byte, 1, &size, leat_in_ms(100)) == LEAT_OK)
        ;
    leat_receiver_close(rx);
    return 0;
}

static void receiver_that_may_not_write_files_wakes_a_sender(void **state) {
    (void)state;
    leat_sender *tx =
        open_sender("limited", &(leat_channel_options){.capacity = LEAT_CAPACITY_MIN});
    fill_up(tx, 1);
    pid_t receiver = harness_spawn(receive_without_files, NULL);
    assert_ok(leat_send(tx, "x", 1, LEAT_FOREVER));
    harness_wait_ok(receiver);
    leat_sender_close(tx);
}

static int set_without_files(void *context) {
    struct board *board = context;
    leat_event *event = NULL;
    assert_ok(leat_event_open(&event, "limited-event", NULL));
    harness_increment(&board->ready);
    harness_await(&board->go, 1);
    forbid_files();
    assert_ok(leat_event_set(event));
    harness_await(&board->go, 2); /* closing the event would wake the loop too */
    leat_event_close(event);
    return 0;
}

static void setter_that_may_not_write_files_wakes_a_loop_without_a_socket(void **state) {
    (void)state;
    struct board *board = harness_shared(sizeof *board);
    uint32_t wakes = 0;
    leat_event *event = NULL;
    leat_waitset *waitset = open_waitset();
    assert_ok(leat_event_open(&event, "limited-event", NULL));
    assert_ok(leat_waitset_add_waitable(waitset, leat_event_waitable(event), event));
    leat__sync_listen_elsewhere(leat_event_waitable(event), 0);
    assert_ptr_equal(next_ready(waitset), NULL);
    pid_t setter = harness_spawn(set_without_files, board);
    harness_await(&board->ready, 1);
    assert_ptr_equal(next_ready(waitset), NULL);
    harness_set(&board->go, 1);
    assert_ptr_equal(next_named_within(waitset, 5000, &wakes), event);
    harness_set(&board->go, 2);
    harness_wait_ok(setter);
    leat_waitset_close(waitset);
    leat_event_close(event);
}

/* --- Touches ---------------------------------------------------------------------------------- */

static int count_touches(leat__file watch, int number) {
    struct leat__notice notices[8];
    size_t count = leat__os_watch_take(watch, notices, 8);
    for (size_t i = 0; i < count; i++)
        assert_true(notices[i].number == number && !notices[i].closed &&
                    notices[i].touch == LEAT__TOUCH_WRITE);
    return (int)count;
}

static void refuse_to_reserve(void) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fallocate, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
    assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static int touch_each_way(void *context) {
    (void)context;
    leat_receiver *rx = open_receiver("touched", NULL);
    leat__file *file = &rx->role.object.resource.file, watch = LEAT__NO_FILE;
    const uint64_t place = LEAT__RECEIVER_PAGE + offsetof(struct leat__role_page, touched);
    sigset_t pending;
    int number;
    assert_ok(leat__os_watch_open_many(&watch));
    assert_ok(leat__os_watch_add(watch, file, LEAT__TOUCH_WRITE, &number));
    assert_ok(leat__os_file_touch(*file, place));
    assert_int_equal(count_touches(watch, number), 1);
    refuse_to_reserve();
    assert_ok(leat__os_file_touch(*file, place));
    assert_int_equal(count_touches(watch, number), 1);
    forbid_files();
    assert_leat(leat__os_file_touch(*file, place),
                LEAT_ENOSPC); /* no means is left; but no process is killed */
    assert_int_equal(count_touches(watch, number), 0);
    assert_int_equal(sigpending(&pending), 0);
    assert_int_equal(sigismember(&pending, SIGXFSZ), 0);
    leat__os_file_close(watch);
    leat_receiver_close(rx);
    return 0;
}

static void file_is_touched_where_it_cannot_be_reserved(void **state) {
    (void)state;
    harness_wait_ok(harness_spawn(touch_each_way, NULL));
}

static bool was_read(leat__file watch) {
    struct leat__notice notices[8];
    size_t count = leat__os_watch_take(watch, notices, 8);
    for (size_t i = 0; i < count; i++)
        assert_true(!notices[i].closed && notices[i].touch == LEAT__TOUCH_READ);
    return count > 0;
}

static void looking_from_outside_is_no_touch(void **state) {
    (void)state;
    leat_receiver *rx = open_receiver("seen", NULL);
    leat__file *file = &rx->role.object.resource.file, watch = LEAT__NO_FILE;
    leat_channel_info info;
    char seen[64], read[64];
    int number;
    assert_ok(leat__os_watch_open_many(&watch));
    assert_ok(leat__os_watch_add(watch, file, LEAT__TOUCH_READ, &number));
    assert_ok(leat_channel_stat("seen", LEAT_LOCAL, &info));
    assert_ok(leat__os_file_peek(*file, 8, seen, sizeof seen));
    assert_false(was_read(watch));
    assert_ok(leat__os_file_read(*file, 8, read, sizeof read));
    assert_true(was_read(watch));
    assert_memory_equal(seen, read, sizeof read);
    leat__os_file_close(watch);
    leat_receiver_close(rx);
}

static void looking_behind_the_end_of_a_file_is_an_error(void **state) {
    (void)state;
    leat_receiver *rx = open_receiver("short", NULL);
    char seen[64];
    assert_leat(
        leat__os_file_peek(rx->role.object.resource.file, UINT64_C(1) << 30, seen, sizeof seen),
        LEAT_ECORRUPT);
    leat_receiver_close(rx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(waiting_call_asks_on_until_there_is_an_answer),
        HARNESS_TEST(peer_that_comes_while_there_is_no_answer_is_reported_later),
        HARNESS_TEST(call_that_is_interrupted_for_ever_ends),
        HARNESS_TEST(receiver_that_may_not_write_files_wakes_a_sender),
        HARNESS_TEST(setter_that_may_not_write_files_wakes_a_loop_without_a_socket),
        HARNESS_TEST(file_is_touched_where_it_cannot_be_reserved),
        HARNESS_TEST(looking_from_outside_is_no_touch),
        HARNESS_TEST(looking_behind_the_end_of_a_file_is_an_error),
    };
    return HARNESS_MAIN("channel_errors", tests);
}
