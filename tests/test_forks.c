/* test_forks.c - the effect of children on the handles of their parents: a child that hangs between
 * clone and exec while the parent closes, the program's own fork handlers that open and close,
 * forks in signal handlers that interrupt calls, and forks beside threads that heal, collect,
 * remove and close. Children without fork handlers keep nothing that was closed in order. */
#include "handles.h"
#include "harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* --- Between clone and exec ------------------------------------------------------------------- */

/* A posix_spawn that does not reach its exec before another process opens the FIFO. */
struct delayed {
    char fifo[300];
    pthread_t thread;
    pid_t child;
};

static void *spawn_delayed(void *context) {
    struct delayed *delayed = context;
    posix_spawn_file_actions_t actions;
    char *arguments[] = {"true", NULL};
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, delayed->fifo, O_RDONLY, 0);
    if (posix_spawnp(&delayed->child, "true", &actions, NULL, arguments, environ) != 0)
        delayed->child = -1;
    posix_spawn_file_actions_destroy(&actions);
    return NULL;
}

/* How many children the process has, in the kernel's list of this thread's or of the spawning
 * one's. */
static bool has_child(void) {
    siginfo_t info = {0};
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static void start_delayed(struct delayed *delayed) {
    snprintf(delayed->fifo, sizeof delayed->fifo, "%s/fifo", harness_directory());
    assert_int_equal(mkfifo(delayed->fifo, 0600), 0);
    assert_int_equal(pthread_create(&delayed->thread, NULL, spawn_delayed, delayed), 0);
    for (uint64_t end = harness_now() + UINT64_C(10000000000); !has_child();) {
        if (harness_now() > end)
            harness_fail("nothing was spawned");
        usleep(1000);
    }
}

static void finish_delayed(struct delayed *delayed) {
    int writer = open(delayed->fifo, O_WRONLY | O_CLOEXEC);
    pthread_join(delayed->thread, NULL);
    close(writer);
    assert_true(delayed->child > 0);
    assert_int_equal(waitpid(delayed->child, NULL, 0), delayed->child);
    unlink(delayed->fifo);
}

static void roles_closed_beside_a_spawn_are_free_at_once(void **state) {
    (void)state;
    struct delayed delayed;
    leat_sender *sender, *successor;
    leat_receiver *receiver, *next;
    char text[8];
    size_t size;
    leat_channel_options persistent = {.persistent = true};
    assert_ok(leat_sender_open(&sender, "channel", &persistent));
    assert_ok(leat_receiver_open(&receiver, "channel", NULL));
    start_delayed(&delayed);
    leat_sender_close(sender);
    assert_leat(leat_recv(receiver, text, sizeof text, &size, leat_in_ms(10000)), LEAT_ECLOSED);
    assert_int_equal(leat_receiver_peer(receiver), LEAT_PEER_CLOSED);
    assert_ok(leat_sender_open(&successor, "channel", NULL));
    leat_receiver_close(receiver);
    assert_ok(leat_receiver_open(&next, "channel", NULL));
    leat_sender_close(successor);
    leat_receiver_close(next);
    leat_object_info info;
    assert_ok(leat_stat("channel", LEAT_LOCAL, &info));
    assert_false(info.in_use);
    assert_ok(leat_unlink("channel", LEAT_LOCAL));
    finish_delayed(&delayed);
}

static void names_go_with_their_last_user_beside_a_spawn(void **state) {
    (void)state;
    struct delayed delayed;
    leat_region *region, *reader;
    leat_mutex *mutex, *other;
    leat_sender *sender;
    leat_region_options reading = {.access = LEAT_READ_ONLY};
    assert_ok(create_region(&region, "region", 4096, NULL));
    assert_ok(open_region(&reader, "region", 0, &reading));
    assert_ok(leat_mutex_open(&mutex, "mutex", NULL));
    assert_ok(leat_mutex_open(&other, "mutex", NULL));
    assert_ok(leat_sender_open(&sender, "channel", NULL));
    assert_ok(leat_mutex_lock(mutex, LEAT_NOW));
    start_delayed(&delayed);
    leat_mutex_close(mutex);
    assert_leat(leat_mutex_lock(other, leat_in_ms(10000)), LEAT_EOWNERDEAD);
    assert_ok(leat_mutex_unlock(other));
    leat_mutex_close(other);
    leat_region_close(region);
    leat_region_close(reader);
    leat_sender_close(sender);
    size_t left = harness_names_left();
    finish_delayed(&delayed);
    assert_int_equal(left, 1); /* the FIFO */
}

static void exclusive_use_of_a_file_ends_with_its_handle_beside_a_spawn(void **state) {
    (void)state;
    struct delayed delayed;
    leat_region *region;
    char path[300];
    leat_region_options alone = {.exclusive = true};
    snprintf(path, sizeof path, "%s/file", harness_directory());
    assert_ok(file_region(&region, path, LEAT_CREATE, 4096, &alone));
    start_delayed(&delayed);
    leat_region_close(region);
    assert_ok(file_region(&region, path, LEAT_OPEN, 4096, &alone));
    leat_region_close(region);
    finish_delayed(&delayed);
    unlink(path);
}

/* --- Fork handlers of the program's own ------------------------------------------------------- */

static struct {
    bool active;
    leat_receiver *receiver;
    leat_mutex *mutex;
    int rounds;
} program;

static void prepare(void) {
    if (!program.active)
        return;
    leat_receiver_close(program.receiver);
    leat_region *region;
    assert_ok(open_or_create_region(&region, "in-handler", 100, NULL));
    leat_region_close(region);
    program.rounds++;
}

static void in_parent(void) {
    if (!program.active)
        return;
    assert_ok(leat_receiver_open(&program.receiver, "handler", NULL));
    assert_ok(leat_mutex_lock(program.mutex, leat_in_ms(10000)));
    assert_ok(leat_mutex_unlock(program.mutex));
    assert_ok(leat_gc(LEAT_LOCAL, NULL, NULL));
}

static void in_child(void) {
    if (!program.active)
        return;
    leat_sender *sender;
    assert_ok(
        leat_sender_open(&sender, "handler-child", &(leat_channel_options){.many_senders = true}));
    leat_sender_close(sender);
    /* given up by the open, at the latest */
    assert_leat(leat_mutex_lock(program.mutex, LEAT_NOW), LEAT_EFORKED);
}

/* Before main, and before the library's own handlers if the linker puts this first; again in
 * main. */
__attribute__((constructor(101))) static void register_early(void) {
    (void)pthread_atfork(prepare, in_parent, in_child);
}

static void fork_with_handlers(void) {
    program.active = true;
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        if (child == 0) {
            leat_region *region;
            program.active = false;
            int result = open_or_create_region(&region, "of-child", 100, NULL);
            if (result == LEAT_OK)
                leat_region_close(region);
            _exit(result == LEAT_OK ? 0 : 1);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    program.active = false;
}

static int use_fork_handlers(void *context) {
    int registrations = *(int *)context;
    assert_ok(leat_receiver_open(&program.receiver, "handler", NULL));
    assert_ok(leat_mutex_open(&program.mutex, "handler-mutex", NULL));
    program.rounds = 0;
    if (registrations == 1) {
        fork_with_handlers();
        assert_int_equal(program.rounds, 20);
    }
    leat_receiver_close(program.receiver);
    leat_mutex_close(program.mutex);
    return 0;
}

static void fork_handlers_registered_before_the_librarys_may_use_it(void **state) {
    (void)state;
    int registrations = 1;
    harness_wait_ok(harness_spawn(use_fork_handlers, &registrations));
    assert_int_equal(harness_names_left(), 0);
}

static struct {
    leat_receiver *receiver;
    bool active;
} late;

static void prepare_late(void) {
    if (late.active)
        leat_receiver_close(late.receiver);
}

static void after_late(void) {
    if (late.active)
        assert_ok(leat_receiver_open(&late.receiver, "late", NULL));
}

static void child_late(void) {
    leat_region *region;
    if (!late.active)
        return;
    assert_ok(open_or_create_region(&region, "late-child", 100, NULL));
    leat_region_close(region);
}

static int use_late_handlers(void *context) {
    (void)context;
    assert_ok(leat_receiver_open(&late.receiver, "late", NULL));
    assert_int_equal(pthread_atfork(prepare_late, after_late, child_late), 0);
    late.active = true;
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    late.active = false;
    leat_receiver_close(late.receiver);
    return 0;
}

static void fork_handlers_registered_after_the_librarys_may_use_it(void **state) {
    (void)state;
    harness_wait_ok(harness_spawn(use_late_handlers, NULL));
    assert_int_equal(harness_names_left(), 0);
}

/* --- In a signal handler ---------------------------------------------------------------------- */

#define HANDLER_FORKS 400

static volatile sig_atomic_t handler_forks, child_failures;

static void fork_in_handler(int signal_number) {
    int status;
    (void)signal_number;
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    if (child > 0 && (waitpid(child, &status, 0) != child || status != 0))
        child_failures = child_failures + 1;
    handler_forks = handler_forks + 1;
}

static void open_and_close_all(void) {
    leat_receiver *receiver;
    leat_region *region, *reader;
    leat_mutex *mutex;
    leat_region_options reading = {.access = LEAT_READ_ONLY};
    assert_ok(leat_receiver_open(&receiver, "interrupted", NULL));
    assert_ok(open_or_create_region(&region, "interrupted-region", 100, NULL));
    assert_ok(open_region(&reader, "interrupted-region", 0, &reading));
    assert_ok(leat_mutex_open(&mutex, "interrupted-mutex", NULL));
    leat_mutex_close(mutex);
    leat_region_close(region);
    leat_region_close(reader);
    leat_receiver_close(receiver);
    assert_ok(leat_gc(LEAT_LOCAL, NULL, NULL));
}

static int be_interrupted(void *context) {
    (void)context;
    struct sigaction action = {.sa_handler = fork_in_handler, .sa_flags = SA_RESTART};
    struct itimerval often = {{0, 1300}, {0, 1300}}, never = {{0, 0}, {0, 0}};
    assert_int_equal(sigaction(SIGVTALRM, &action, NULL), 0);
    assert_int_equal(setitimer(ITIMER_VIRTUAL, &often, NULL), 0);
    while (handler_forks < HANDLER_FORKS) /* of processor time: a busy machine changes nothing */
        open_and_close_all();
    assert_int_equal(setitimer(ITIMER_VIRTUAL, &never, NULL), 0);
    return child_failures == 0 ? 0 : 1;
}

/* In a process that never had a second thread: in others, a fork in a handler that has interrupted
 * malloc waits for itself in the C library. */
static void signal_handler_that_interrupts_an_open_may_fork(void **state) {
    (void)state;
    assert_int_equal(harness_wait_within(harness_spawn(be_interrupted, NULL), 100000), 0);
    assert_int_equal(harness_names_left(), 0);
}

/* --- Beside other threads --------------------------------------------------------------------- */

#define CHILDREN 150

struct work {
    void (*step)(void);
    _Atomic bool stop;
    _Atomic unsigned steps;
};

static void *work_on(void *context) {
    struct work *work = context;
    while (!atomic_load(&work->stop)) {
        work->step();
        atomic_fetch_add(&work->steps, 1);
    }
    return NULL;
}

static void close_a_reader(void) {
    leat_region *region;
    leat_region_options reading = {.access = LEAT_READ_ONLY};
    if (open_region(&region, "beside", 0, &reading) == LEAT_OK)
        leat_region_close(region);
}

static void collect(void) {
    (void)!leat_gc(LEAT_LOCAL, NULL, NULL);
}

static void make_and_unlink(void) {
    leat_region *region;
    if (open_or_create_region(&region, "beside-other", 100,
                              &(leat_region_options){.persistent = true}) != LEAT_OK)
        return;
    leat_region_close(region);
    (void)!leat_unlink("beside-other", LEAT_LOCAL);
}

static void look(void) {
    leat_object_info info;
    (void)!leat_stat("beside", LEAT_LOCAL, &info);
}

static void ring_and_sleep(void) {
    leat_waitset *wake_count;
    if (leat_waitset_open(&wake_count) == LEAT_OK)
        leat_waitset_close(wake_count);
}

static void send_a_descriptor(void) {
    leat_region *region;
    int descriptor;
    if (create_region(&region, NULL, 100, NULL) != LEAT_OK)
        return;
    if (leat_region_descriptor(region, LEAT_READ_WRITE, false, &descriptor) == LEAT_OK)
        close(descriptor);
    leat_region_close(region);
}

static int live_on(void) {
    for (;;)
        pause();
    return 0;
}

static bool is_in_use(const char *name) {
    leat_object_info info;
    assert_ok(leat_stat(name, LEAT_LOCAL, &info));
    return info.in_use;
}

/* Children that live on keep nothing of what other threads had open at the moment of the fork. */
static void fork_beside(void (*step)(void)) {
    struct work work = {.step = step};
    leat_region *region, *again;
    pthread_t thread;
    pid_t children[CHILDREN];
    assert_ok(create_region(&region, "beside", 4096, &(leat_region_options){.persistent = true}));
    assert_int_equal(pthread_create(&thread, NULL, work_on, &work), 0);
    for (int i = 0; i < CHILDREN; i++) {
        usleep(300);
        children[i] = fork();
        if (children[i] == 0)
            _exit(live_on());
        assert_true(children[i] > 0);
        if (i % 10 == 9) {
            assert_ok(open_region(&again, "beside", 0, NULL));
            leat_region_close(again);
        }
    }
    atomic_store(&work.stop, true);
    pthread_join(thread, NULL);
    leat_region_close(region);
    bool kept = is_in_use("beside");
    for (int i = 0; i < CHILDREN; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
    }
    assert_false(kept);
    assert_true(atomic_load(&work.steps) > 0);
    assert_ok(leat_unlink("beside", LEAT_LOCAL));
}

static void child_keeps_nothing_of_a_thread_that_closes_a_reader(void **state) {
    (void)state;
    fork_beside(close_a_reader);
}

static void child_keeps_nothing_of_a_thread_that_collects(void **state) {
    (void)state;
    fork_beside(collect);
}

static void child_keeps_nothing_of_a_thread_that_unlinks(void **state) {
    (void)state;
    fork_beside(make_and_unlink);
}

static void child_keeps_nothing_of_a_thread_that_looks(void **state) {
    (void)state;
    fork_beside(look);
}

static void child_keeps_nothing_of_a_thread_with_wait_sets(void **state) {
    (void)state;
    fork_beside(ring_and_sleep);
}

static void child_keeps_nothing_of_a_thread_that_gives_descriptors(void **state) {
    (void)state;
    fork_beside(send_a_descriptor);
}

/* The last reader of a temporary region heals through a second file: its lock is no child's. */
static void temporary_region_goes_though_children_were_forked_while_it_healed(void **state) {
    (void)state;
    struct work work = {.step = close_a_reader};
    leat_region *region;
    pthread_t thread;
    pid_t children[CHILDREN];
    assert_ok(create_region(&region, "beside", 4096, NULL));
    assert_int_equal(pthread_create(&thread, NULL, work_on, &work), 0);
    for (int i = 0; i < CHILDREN; i++) {
        usleep(300);
        children[i] = fork();
        if (children[i] == 0)
            _exit(live_on());
    }
    atomic_store(&work.stop, true);
    pthread_join(thread, NULL);
    leat_region_close(region);
    size_t left = harness_names_left();
    for (int i = 0; i < CHILDREN; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
    }
    (void)!leat_gc(LEAT_LOCAL, NULL, NULL);
    assert_int_equal(left, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        /* first: see there */
        HARNESS_TEST_WITHIN(signal_handler_that_interrupts_an_open_may_fork, 300),
        HARNESS_TEST(roles_closed_beside_a_spawn_are_free_at_once),
        HARNESS_TEST(names_go_with_their_last_user_beside_a_spawn),
        HARNESS_TEST(exclusive_use_of_a_file_ends_with_its_handle_beside_a_spawn),
        HARNESS_TEST(fork_handlers_registered_before_the_librarys_may_use_it),
        HARNESS_TEST(fork_handlers_registered_after_the_librarys_may_use_it),
        HARNESS_TEST(child_keeps_nothing_of_a_thread_that_closes_a_reader),
        HARNESS_TEST(child_keeps_nothing_of_a_thread_that_collects),
        HARNESS_TEST(child_keeps_nothing_of_a_thread_that_unlinks),
        HARNESS_TEST(child_keeps_nothing_of_a_thread_that_looks),
        HARNESS_TEST(child_keeps_nothing_of_a_thread_with_wait_sets),
        HARNESS_TEST(child_keeps_nothing_of_a_thread_that_gives_descriptors),
        HARNESS_TEST(temporary_region_goes_though_children_were_forked_while_it_healed),
    };
    return HARNESS_MAIN("forks", tests);
}
