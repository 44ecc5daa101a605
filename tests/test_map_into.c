/* test_map_into.c - regions mapped into other processes (leat/remote.h), which must go on as if
 * they had not been stopped, whatever they are doing or waiting for. Signals meanwhile are in
 * test_map_into_signals.c, refusals in test_map_into_errors.c.
 *
 * LEAT_TEST_MAP_ROUNDS=n: how often the long tests map (1000). */
#include "handles.h"
#include "remote_target.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MS UINT64_C(1000000)

static unsigned rounds(void) {
    return (unsigned)harness_setting("LEAT_TEST_MAP_ROUNDS", 1000);
}

/* --- What is mapped --------------------------------------------------------------------------- */

/* CE-10, CE-15: a program that knows nothing of leat, and the address is the one over there. CE-23:
 * zeros. */
static void a_foreign_program_sees_what_is_written_here_and_the_other_way_round(void **state) {
    (void)state;
    target_need_ptrace();
    uint64_t start = harness_now(), address = 0;
    pid_t pid = harness_start_command(HARNESS_ARGV("sleep", "1"), NULL, NULL, NULL);
    while (strstr(target_maps(pid), "sleep") == NULL || target_state(pid) != 'S')
        sched_yield(); /* until it has been executed and sleeps */
    char *before = target_maps(pid), text[16];
    leat_region *region;
    assert_ok(leat_region_open_into(&region, "remote", 10000, NULL, pid, &address));
    assert_true(region_details(region).created);
    assert_int_equal(address % 4096, 0);
    assert_string_equal(target_permissions(pid, address), "rw-s");
    target_peek(pid, address + 9984, text, 16);
    assert_memory_equal(text, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
    strcpy((char *)leat_region_data(region) + 9984, "from here");
    target_peek(pid, address + 9984, text, 10);
    assert_string_equal(text, "from here");
    target_poke(pid, address, "from there", 11);
    assert_string_equal(leat_region_data(region), "from there");
    assert_ok(leat_region_unmap_from(pid, address));
    assert_string_equal(target_maps(pid), before);
    leat_region_close(region);
    harness_wait_ok(pid);
    uint64_t took = harness_now() - start;
    if (took < 1000 * MS || took > 3000 * MS * harness_patience())
        harness_fail("sleep 1 took %llu ms", (unsigned long long)(took / MS));
}

/* CE-16: nothing is shared between calls; CE-05: the whole object, whatever size was asked for. */
static void each_call_makes_a_further_view(void **state) {
    (void)state;
    target_need_ptrace();
    pid_t pid = target_pausing();
    leat_region *region = target_region(8192), *again;
    uint64_t first = 0, second = 0, third = 0;
    assert_ok(leat_region_map_into(region, pid, &first));
    assert_ok(leat_region_map_into(region, pid, &second));
    assert_ok(leat_region_open_into(&again, "remote", 1, NULL, pid, &third));
    assert_false(region_details(again).created);
    assert_true(first != second && second != third && first != third);
    target_poke(pid, first + 8000, "same", 5);
    char text[5];
    target_peek(pid, third + 8000, text, 5);
    assert_string_equal(text, "same");
    assert_ok(leat_region_unmap_from(pid, second));
    assert_leat(leat_region_unmap_from(pid, second), LEAT_EINVAL);
    target_peek(pid, first + 8000, text, 5); /* earlier addresses stay valid */
    assert_ok(leat_region_unmap_from(pid, third));
    assert_ok(leat_region_unmap_from(pid, first));
    leat_region_close(again);
    leat_region_close(region);
    harness_kill(pid);
}

/* CE-17, decided otherwise: the view keeps the memory, the handle here the name. */
static void the_view_keeps_the_memory_and_not_the_name(void **state) {
    (void)state;
    target_need_ptrace();
    pid_t pid = target_pausing();
    leat_region *region = target_region(0);
    leat_object_info info;
    uint64_t address;
    char text[8];
    strcpy(leat_region_data(region), "kept");
    assert_ok(leat_region_map_into(region, pid, &address));
    leat_region_close(region);
    assert_leat(leat_stat("remote", LEAT_LOCAL, &info), LEAT_ENOENT);
    target_peek(pid, address, text, 5);
    assert_string_equal(text, "kept");
    region = target_region(0); /* an unrelated one */
    assert_int_equal(*(char *)leat_region_data(region), 0);
    leat_region_close(region);
    assert_ok(leat_region_unmap_from(pid, address)); /* after its handle is gone */
    assert_string_equal(target_permissions(pid, address), "");
    harness_kill(pid);
}

static void a_read_only_handle_maps_read_only(void **state) {
    (void)state;
    target_need_ptrace();
    pid_t pid = target_pausing();
    leat_region *writer = target_region(0), *reader;
    uint64_t address;
    assert_ok(open_region(&reader, "remote", 0, &(leat_region_options){.access = LEAT_READ_ONLY}));
    assert_ok(leat_region_map_into(reader, pid, &address));
    assert_string_equal(target_permissions(pid, address), "r--s");
    assert_ok(leat_region_unmap_from(pid, address));
    leat_region_close(reader);
    leat_region_close(writer);
    harness_kill(pid);
}

/* CE-18: the same call, given this process, maps here. */
static void the_own_process_is_a_target_like_any_other(void **state) {
    (void)state;
    leat_region *region = target_region(5000);
    uint64_t address = 0;
    assert_ok(leat_region_map_into(region, getpid(), &address));
    assert_true(address != (uintptr_t)leat_region_data(region));
    strcpy((char *)(uintptr_t)address + 4999 - 3, "own");
    assert_string_equal((char *)leat_region_data(region) + 4999 - 3, "own");
    assert_ok(leat_region_unmap_from(getpid(), address));
    assert_leat(leat_region_unmap_from(getpid(), address), LEAT_EINVAL);
    assert_string_equal(target_permissions(getpid(), address), "");
    leat_region_close(region);
}

/* --- What the target was doing ---------------------------------------------------------------- */

/* Ways to wait. Each gives what its system call gave (or -errno), after `wake`, or after 400 ms
 * where it has a time limit. */
/* twice what the maps are spread over: none may come when the wait has ended */
#define LIMIT_NS (900 * (long)MS)

struct waiting {
    harness_word ready, word;
    int pipe[2];
    long result;
    uint64_t took_ns;
};

static long plain(long result) {
    return result < 0 ? -errno : result;
}

static long wait_in_read(struct waiting *waiting) {
    char text[8] = "";
    long result = plain(syscall(SYS_read, waiting->pipe[0], text, sizeof text));
    return result == 5 && memcmp(text, "bytes", 5) == 0 ? 0 : result < 0 ? result : -EBADMSG;
}

static long wait_in_futex(struct waiting *waiting) {
    return plain(syscall(SYS_futex, &waiting->word, FUTEX_WAIT, 0, NULL, NULL, 0));
}

static long wait_in_futex_for_a_time(struct waiting *waiting) {
    struct timespec limit = {.tv_nsec = LIMIT_NS};
    return plain(syscall(SYS_futex, &waiting->word, FUTEX_WAIT, 0, &limit, NULL, 0));
}

static long wait_in_nanosleep(struct waiting *waiting) {
    (void)waiting;
    struct timespec limit = {.tv_nsec = LIMIT_NS};
    return plain(syscall(SYS_nanosleep, &limit, NULL));
}

static long wait_in_clock_nanosleep(struct waiting *waiting) {
    (void)waiting;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t ns = (uint64_t)until.tv_nsec + (uint64_t)LIMIT_NS;
    until = (struct timespec){.tv_sec = until.tv_sec + (time_t)(ns / (1000 * MS)),
                              .tv_nsec = (long)(ns % (1000 * MS))};
    return plain(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL));
}

static long wait_in_poll_for_a_time(struct waiting *waiting) {
    struct pollfd pipe = {.fd = waiting->pipe[0], .events = POLLIN};
    return plain(poll(&pipe, 1, (int)((uint64_t)LIMIT_NS / MS)));
}

static void note_signal(int signal_number) {
    (void)signal_number;
}

/* The signal is blocked but for the time of the wait. */
static long wait_in_ppoll_for_a_signal(struct waiting *waiting) {
    sigset_t blocked, open;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, &open);
    signal(SIGUSR1, note_signal);
    harness_set(&waiting->ready, 1);
    long result = plain(ppoll(NULL, 0, NULL, &open));
    sigset_t after;
    sigprocmask(SIG_BLOCK, NULL, &after);
    return sigismember(&after, SIGUSR1) ? result : -EBADMSG;
}

static long wait_in_sigsuspend(struct waiting *waiting) {
    sigset_t blocked, open;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, &open);
    signal(SIGUSR1, note_signal);
    harness_set(&waiting->ready, 1);
    return plain(sigsuspend(&open));
}

#ifdef __x86_64__ /* elsewhere they fail with EINTR at any stop, a debugger's too: inject_arm64.c */
static long wait_in_epoll(struct waiting *waiting) {
    int set = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(set, EPOLL_CTL_ADD, waiting->pipe[0], &event);
    return plain(epoll_wait(set, &event, 1, -1));
}

static long wait_in_sigwaitinfo(struct waiting *waiting) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    harness_set(&waiting->ready, 1);
    return plain(sigwaitinfo(&set, NULL));
}
#endif

static void feed(struct waiting *waiting, pid_t pid) {
    (void)pid;
    assert_int_equal(write(waiting->pipe[1], "bytes", 5), 5);
}

static void wake_futex(struct waiting *waiting, pid_t pid) {
    (void)pid;
    syscall(SYS_futex, &waiting->word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void send_signal(struct waiting *waiting, pid_t pid) {
    (void)waiting;
    kill(pid, SIGUSR1);
}

static const struct mode {
    const char *name;
    long (*wait)(struct waiting *waiting);
    void (*wake)(struct waiting *waiting, pid_t pid); /* NULL: it ends by itself */
    long result;
} ways[] = {
    {"read", wait_in_read, feed, 0},
    {"futex", wait_in_futex, wake_futex, 0},
    {"futex with a limit", wait_in_futex_for_a_time, NULL, -ETIMEDOUT},
    {"nanosleep", wait_in_nanosleep, NULL, 0},
    {"clock_nanosleep", wait_in_clock_nanosleep, NULL, 0},
    {"poll with a limit", wait_in_poll_for_a_time, NULL, 0},
    {"ppoll for a signal", wait_in_ppoll_for_a_signal, send_signal, -EINTR},
    {"sigsuspend", wait_in_sigsuspend, send_signal, -EINTR},
#ifdef __x86_64__
    {"epoll_wait", wait_in_epoll, feed, 1},
    {"sigwaitinfo", wait_in_sigwaitinfo, send_signal, SIGUSR1},
#endif
};

static const struct mode *mode; /* of the child to come */

static int run_way(void *context) {
    struct waiting *waiting = context;
    uint64_t start = harness_now();
    if (mode->wake != send_signal)
        harness_set(&waiting->ready, 1);
    waiting->result = mode->wait(waiting);
    waiting->took_ns = harness_now() - start;
    return 0;
}

static void interrupt_way(leat_region *region, const struct mode *one) {
    struct waiting *waiting = harness_shared(sizeof *waiting);
    assert_int_equal(pipe(waiting->pipe), 0);
    mode = one;
    pid_t pid = harness_spawn(run_way, waiting);
    harness_await(&waiting->ready, 1);
    harness_await_asleep(pid);
    uint64_t began = harness_now();
    for (int i = 0; i < 25 && (one->wake != NULL || harness_now() - began < (uint64_t)LIMIT_NS / 2);
         i++) {
        target_map_and_unmap(region, pid);
        if (one->wake == NULL) /* else a limit that started anew each time would not show */
            usleep((useconds_t)(LIMIT_NS / 2 / 25 / 1000));
    }
    if (one->wake != NULL) {
        harness_await_asleep(pid);
        one->wake(waiting, pid);
    }
    harness_wait_ok(pid);
    close(waiting->pipe[0]);
    close(waiting->pipe[1]);
    if (waiting->result != one->result)
        harness_fail("%s gave %ld instead of %ld", one->name, waiting->result, one->result);
    if (one->wake == NULL) {
        print_message("%s of %ld ms took %.1f ms\n", one->name, LIMIT_NS / (long)MS,
                      (double)waiting->took_ns / 1e6);
        if (waiting->took_ns < (uint64_t)LIMIT_NS ||
            waiting->took_ns > (uint64_t)LIMIT_NS + 300 * MS * harness_patience())
            harness_fail("%s took %.1f ms", one->name, (double)waiting->took_ns / 1e6);
    }
}

static void a_waiting_process_goes_on_waiting_and_sees_no_interruption(void **state) {
    (void)state;
    target_need_ptrace();
    leat_region *region = target_region(0);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
        interrupt_way(region, &ways[i]);
    leat_region_close(region);
}

/* Threads that do sums in integer and floating-point registers twice and compare. */
static int by_size(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void print_times(const char *what, uint64_t *times, unsigned count) {
    qsort(times, count, sizeof *times, by_size);
    print_message("%s, %u times: p50 %.0f us, p99 %.0f us, max %.0f us\n", what, count,
                  (double)times[count / 2] / 1e3, (double)times[count * 99 / 100] / 1e3,
                  (double)times[count - 1] / 1e3);
}

/* Also that they leave no mapping and no descriptor behind over there. */
static void time_rounds(const char *what, leat_region *region, pid_t pid) {
    char *before = target_maps(pid);
    int descriptors = target_descriptors(pid);
    unsigned count = rounds();
    uint64_t *mapping = harness_shared(count * sizeof *mapping),
             *unmapping = harness_shared(count * sizeof *unmapping);
    for (unsigned i = 0; i < count; i++) {
        uint64_t address = 0, start = harness_now();
        assert_ok(leat_region_map_into(region, pid, &address));
        mapping[i] = harness_now() - start;
        start = harness_now();
        assert_ok(leat_region_unmap_from(pid, address));
        unmapping[i] = harness_now() - start;
    }
    assert_string_equal(target_maps(pid), before);
    assert_int_equal(target_descriptors(pid), descriptors);
    print_message("%s: ", what);
    print_times("map", mapping, count);
    print_message("%s: ", what);
    print_times("unmap", unmapping, count);
}

static void a_busy_process_with_threads_computes_on_correctly(void **state) {
    (void)state;
    target_need_ptrace();
    struct target_work *shared = harness_shared(sizeof *shared);
    leat_region *region = target_region(0);
    pid_t pid = harness_spawn(target_compute, shared);
    harness_await(&shared->ready, TARGET_THREADS);
    target_map_and_unmap(region, pid);
    uint64_t done = atomic_load(&shared->done);
    time_rounds("busy threads", region, pid);
    assert_true(atomic_load(&shared->done) > done);
    harness_set(&shared->stop, 1);
    harness_wait_ok(pid);
    assert_int_equal(atomic_load(&shared->wrong), 0);
    leat_region_close(region);
}

/* System calls drop what these registers hold beyond 128 bits. */
#ifdef __aarch64__
static bool vectors_differ(uint64_t seed) {
    uint64_t left = 1 << 16;
    bool differ;
    __asm__ volatile(".arch_extension sve\n\t"
                     "index z0.d, %[seed], #1\n"
                     "1:\tsubs %[left], %[left], #1\n\t"
                     "b.ne 1b\n\t"
                     "index z1.d, %[seed], #1\n\t"
                     "ptrue p0.d\n\t"
                     "cmpne p1.d, p0/z, z0.d, z1.d\n\t"
                     "cset %w[differ], ne"
                     : [differ] "=r"(differ), [left] "+r"(left)
                     : [seed] "r"(seed)
                     : "v0", "v1", "cc");
    return differ;
}

static int keep_long_vectors(void *context) {
    struct target_work *shared = context;
    harness_set(&shared->ready, 1);
    for (uint64_t seed = 1; atomic_load(&shared->stop) == 0; seed++)
        if (vectors_differ(seed))
            harness_increment(&shared->wrong);
    return 0;
}
#endif

static void long_vector_registers_are_kept(void **state) {
    (void)state;
#ifdef __aarch64__
    if ((getauxval(AT_HWCAP) & HWCAP_SVE) == 0) {
        print_message("this processor has no vector registers longer than 128 bits: skipped\n");
        skip();
    }
    target_need_ptrace();
    struct target_work *shared = harness_shared(sizeof *shared);
    leat_region *region = target_region(0);
    pid_t pid = harness_spawn(keep_long_vectors, shared);
    harness_await(&shared->ready, 1);
    for (int i = 0; i < 300; i++)
        target_map_and_unmap(region, pid);
    harness_set(&shared->stop, 1);
    harness_wait_ok(pid);
    assert_int_equal(atomic_load(&shared->wrong), 0);
    leat_region_close(region);
#else
    print_message("written for arm64, whose system calls spoil them: skipped\n");
    skip();
#endif
}

static void a_sleeping_process_stands_it_a_thousand_times(void **state) {
    (void)state;
    target_need_ptrace();
    leat_region *region = target_region(0);
    pid_t pid = target_pausing();
    time_rounds("asleep", region, pid);
    harness_await_asleep(pid);
    harness_kill(pid);
    leat_region_close(region);
}

/* The kernel keeps the first thread, ended, for the others. */
static int leave_the_first_thread(void *context) {
    pthread_t thread;
    pthread_create(&thread, NULL, target_work, context);
    syscall(SYS_exit, 0); /* of this thread alone */
    return 1;
}

static void a_process_whose_first_thread_has_ended_is_a_target(void **state) {
    (void)state;
    target_need_ptrace();
    struct target_work *shared = harness_shared(sizeof *shared);
    leat_region *region = target_region(0);
    pid_t pid = harness_spawn(leave_the_first_thread, shared);
    harness_await(&shared->ready, 1);
    while (target_state(pid) != 'Z')
        sched_yield();
    uint64_t address = 0;
    for (int i = 0; i < 100; i++) {
        assert_ok(leat_region_map_into(region, pid, &address));
        assert_ok(leat_region_unmap_from(pid, address));
    }
    harness_set(&shared->stop, 1);
    harness_wait_ok(pid);
    assert_int_equal(atomic_load(&shared->wrong), 0);
    leat_region_close(region);
}

static void a_stopped_process_stays_stopped(void **state) {
    (void)state;
    target_need_ptrace();
    leat_region *region = target_region(0);
    struct waiting *waiting = harness_shared(sizeof *waiting);
    assert_int_equal(pipe(waiting->pipe), 0);
    mode = &ways[0];
    pid_t pid = harness_spawn(run_way, waiting);
    harness_await(&waiting->ready, 1);
    harness_await_asleep(pid);
    harness_stop(pid);
    int status;
    while (waitpid(pid, &status, WUNTRACED | WNOHANG) == 0 && target_state(pid) != 'T')
        sched_yield();
    for (int i = 0; i < 100; i++) {
        target_map_and_unmap(region, pid);
        for (int looks = 0; looks < 1000 && target_state(pid) != 'T'; looks++)
            sched_yield(); /* from the tracer's stop to its own it takes a moment */
        assert_int_equal(target_state(pid), 'T');
    }
    /* its parent gets no second report */
    assert_int_equal(waitpid(pid, &status, WUNTRACED | WNOHANG), 0);
    feed(waiting, pid);
    harness_continue(pid);
    harness_wait_ok(pid);
    assert_int_equal(waiting->result, 0);
    close(waiting->pipe[0]);
    close(waiting->pipe[1]);
    leat_region_close(region);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(a_foreign_program_sees_what_is_written_here_and_the_other_way_round),
        HARNESS_TEST(each_call_makes_a_further_view),
        HARNESS_TEST(the_view_keeps_the_memory_and_not_the_name),
        HARNESS_TEST(a_read_only_handle_maps_read_only),
        HARNESS_TEST(the_own_process_is_a_target_like_any_other),
        HARNESS_TEST(a_waiting_process_goes_on_waiting_and_sees_no_interruption),
        HARNESS_TEST_WITHIN(a_busy_process_with_threads_computes_on_correctly, 300),
        HARNESS_TEST(long_vector_registers_are_kept),
        HARNESS_TEST(a_sleeping_process_stands_it_a_thousand_times),
        HARNESS_TEST(a_process_whose_first_thread_has_ended_is_a_target),
        HARNESS_TEST(a_stopped_process_stays_stopped),
    };
    return HARNESS_MAIN("map_into", tests);
}
