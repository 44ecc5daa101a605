/* test_waitset_errors.c - event loops where the system does not answer, or refuses: deaths are
 * reported as soon as it answers, the loop sleeps meanwhile, and errors have their true cause. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "channel_pair.h"
#include "handles.h"
#include "unanswered.h"
#include "waitset_loop.h"

#define SILENCE_NS UINT64_C(400000000) /* longer than the questions after a closing: 61 ms */
#define QUESTIONS_MOST 400 /* in that time; a busy loop would ask some hundred thousand times */

/* --- A death that the system does not report at first ----------------------------------------- */

enum { SENDER, RECEIVER, MUTEX, INHERITING_MUTEX, KINDS };

struct scene {
    harness_word ready;
    int kind;
};

static leat_mutex *open_mutex(int kind) {
    leat_mutex *mutex = NULL;
    const leat_sync_options options = {.inherit_priority = kind == INHERITING_MUTEX};
    assert_ok(leat_mutex_open(&mutex, "silent", &options));
    return mutex;
}

static int be_there(void *context) {
    struct scene *scene = context;
    if (scene->kind == SENDER)
        (void)open_sender("silent", &sleeps);
    else if (scene->kind == RECEIVER)
        (void)open_receiver("silent", &sleeps);
    else
        assert_ok(leat_mutex_lock(open_mutex(scene->kind), LATER));
    harness_set(&scene->ready, 1);
    pause();
    return 0;
}

/* What this process has in the loop. */
struct handle {
    leat_receiver *rx;
    leat_sender *tx;
    leat_mutex *mutex;
};

static void open_handle(struct handle *handle, int kind, leat_waitset *waitset) {
    if (kind == SENDER) {
        handle->rx = open_receiver("silent", &sleeps);
        assert_ok(leat_waitset_add_receiver(waitset, handle->rx, handle));
    } else if (kind == RECEIVER) {
        handle->tx = open_sender("silent", &sleeps);
        assert_ok(leat_waitset_add_sender(waitset, handle->tx, handle));
    } else {
        handle->mutex = open_mutex(kind);
        assert_ok(leat_waitset_add_waitable(waitset, leat_mutex_waitable(handle->mutex), handle));
    }
}

static int try_handle(struct handle *handle) {
    char byte;
    size_t size;
    if (handle->rx != NULL)
        return leat_recv(handle->rx, &byte, 1, &size, LEAT_NOW);
    return handle->tx != NULL ? leat_sender_peer_event(handle->tx)
                              : leat_mutex_lock(handle->mutex, LEAT_NOW);
}

static void close_handle(struct handle *handle) {
    leat_receiver_close(handle->rx);
    leat_sender_close(handle->tx);
    if (handle->mutex != NULL)
        assert_ok(leat_mutex_unlock(handle->mutex));
    leat_mutex_close(handle->mutex);
}

/* Runs the loop for a while; nothing must be reported. */
static void turn_in_silence(leat_waitset *waitset, struct handle *handle, uint64_t time_ns) {
    for (uint64_t end = harness_now() + time_ns; harness_now() < end;
         (void)is_readable(waitset, 20))
        while (next_ready(waitset) != NULL) {
            int result = try_handle(handle);
            assert_true(result == LEAT_OK || result == LEAT_EAGAIN);
        }
}

static void expect_death_after_silence(int kind) {
    begin_answers();
    struct scene *scene = harness_shared(sizeof *scene);
    struct handle handle = {NULL, NULL, NULL};
    leat_waitset *waitset = open_waitset();
    scene->kind = kind;
    pid_t peer = harness_spawn(be_there, scene);
    harness_await(&scene->ready, 1);
    open_handle(&handle, kind, waitset);
    turn_in_silence(waitset, &handle, SILENCE_NS / 4);
    answers->query_fails = ENOMEM;
    harness_kill(peer);
    turn_in_silence(waitset, &handle, SILENCE_NS);
    assert_true(answers->failed > 0);
    assert_true(harness_patience() > 1 || answers->failed < QUESTIONS_MOST);
    answers->query_fails = 0;
    int wanted = kind >= MUTEX ? LEAT_EOWNERDEAD : LEAT_EPEERDIED, result;
    do
        assert_ptr_equal(next_named(waitset), &handle);
    while ((result = try_handle(&handle)) == LEAT_EAGAIN);
    assert_leat(result, wanted);
    leat_waitset_close(waitset);
    close_handle(&handle);
    assert_int_equal(harness_names_left(), 0);
}

static void loop_asks_on_about_a_sender(void **state) {
    (void)state;
    expect_death_after_silence(SENDER);
}

static void loop_asks_on_about_a_receiver(void **state) {
    (void)state;
    expect_death_after_silence(RECEIVER);
}

static void loop_asks_on_about_the_owner_of_a_mutex(void **state) {
    (void)state;
    expect_death_after_silence(MUTEX);
}

static void loop_asks_on_about_the_owner_of_an_inheriting_mutex(void **state) {
    (void)state;
    expect_death_after_silence(INHERITING_MUTEX);
}

/* --- Errors and their causes ------------------------------------------------------------------ */

static void refuse(unsigned call, unsigned error) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
    assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void expect_cause(int result, int code, int system_error, const char *text,
                         bool named_there) {
    assert_leat(result, code);
    assert_int_equal(leat_system_error(), system_error);
    if ((strstr(leat_error_detail(), text) != NULL) != named_there)
        harness_fail("detail: %s", leat_error_detail());
}

static int open_without_descriptors(void *context) {
    (void)context;
    leat_waitset *waitset;
    int first = dup(0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &(const struct rlimit){(rlim_t)first, (rlim_t)first}),
                     0);
    expect_cause(leat_waitset_open(&waitset), LEAT_ELIMIT, EMFILE, "max_user_instances", false);
    return 0;
}

static int open_without_instances(void *context) {
    (void)context;
    leat_waitset *waitset;
    refuse(SYS_inotify_init1, EMFILE);
    expect_cause(leat_waitset_open(&waitset), LEAT_ELIMIT, EMFILE, "max_user_instances", true);
    return 0;
}

static void waitset_that_cannot_be_opened_reports_the_limit(void **state) {
    (void)state;
    harness_wait_ok(harness_spawn(open_without_descriptors, NULL));
    harness_wait_ok(harness_spawn(open_without_instances, NULL));
}

struct refusal {
    unsigned error;
    int code;
    bool names_limit;
};

static int add_refused(void *context) {
    const struct refusal *refusal = context;
    leat_receiver *rx = open_receiver("refused", NULL);
    leat_event *event = NULL;
    leat_waitset *waitset = open_waitset();
    assert_ok(leat_event_open(&event, NULL, &without_name));
    refuse(SYS_inotify_add_watch, refusal->error);
    expect_cause(leat_waitset_add_receiver(waitset, rx, NULL), refusal->code, (int)refusal->error,
                 "max_user_watches", refusal->names_limit);
    expect_cause(leat_waitset_add_waitable(waitset, leat_event_waitable(event), NULL),
                 refusal->code, (int)refusal->error, "max_user_watches", refusal->names_limit);
    leat_waitset_close(waitset);
    leat_event_close(event);
    leat_receiver_close(rx);
    return 0;
}

static void handle_that_cannot_be_added_reports_the_cause(void **state) {
    (void)state;
    static const struct refusal refusals[] = {
        {ENOSPC, LEAT_ELIMIT, true},
        {ENOMEM, LEAT_ENOMEM, false},
        {ENOENT, LEAT_ENOTSUP, false},
        {EACCES, LEAT_EACCES, false},
    };
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        struct refusal refusal = refusals[i];
        harness_wait_ok(harness_spawn(add_refused, &refusal));
    }
}

/* --- A forked child --------------------------------------------------------------------------- */

static int look_at_descriptors(void *context) {
    int descriptors[2] = {0, 0};
    leat_waitset_descriptors(context, descriptors);
    assert_int_equal(leat_waitset_descriptor(context), -1);
    assert_int_equal(descriptors[0], -1);
    assert_int_equal(descriptors[1], -1);
    return 0;
}

static int open_without_bell(void *context) {
    (void)context;
    refuse(SYS_socket, EACCES);
    leat_waitset *waitset = NULL;
    if (leat_waitset_open(&waitset) == LEAT_OK)
        harness_wait_ok(harness_spawn(look_at_descriptors, waitset));
    leat_waitset_close(waitset);
    return 0;
}

static void forked_child_has_no_descriptors(void **state) {
    (void)state;
    leat_waitset *waitset = open_waitset();
    harness_wait_ok(harness_spawn(look_at_descriptors, waitset));
    leat_waitset_close(waitset);
    harness_wait_ok(harness_spawn(open_without_bell, NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(loop_asks_on_about_a_sender),
        HARNESS_TEST(loop_asks_on_about_a_receiver),
        HARNESS_TEST(loop_asks_on_about_the_owner_of_a_mutex),
        HARNESS_TEST(loop_asks_on_about_the_owner_of_an_inheriting_mutex),
        HARNESS_TEST(waitset_that_cannot_be_opened_reports_the_limit),
        HARNESS_TEST(handle_that_cannot_be_added_reports_the_cause),
        HARNESS_TEST(forked_child_has_no_descriptors),
    };
    return HARNESS_MAIN("waitset_errors", tests);
}
