/* test_map_into.c - regions mapped into other processes (leat/remote.h), which must go on as if nothing had been: whatever they
 * are doing, waiting for, or being sent. What is refused is in test_map_into_errors.c.
 *
 * LEAT_TEST_MAP_ROUNDS=n: how often the long tests map (1000). */
#include "remote_target.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MS UINT64_C(1000000)

static leat_region *region_of(uint64_t size) {
    leat_region *region;
    assert_ok(leat_region_create(&region, "remote", size, NULL));
    return region;
}

static unsigned rounds(void) {
    return (unsigned)harness_setting("LEAT_TEST_MAP_ROUNDS", 1000);
}

/* --- What is mapped ------------------------------------------------------------------------------------------------ */

/* CE-10, CE-15: a program that knows nothing of leat, and the address is the one over there. CE-23: zeros. */
static void a_foreign_program_sees_what_is_written_here_and_the_other_way_round(void **state) {
    (void)state;
    target_need_ptrace();
    uint64_t start = harness_now(), address = 0;
    pid_t pid = harness_start_command(HARNESS_ARGV("sleep", "1"), NULL, NULL, NULL);
    while (strstr(target_maps(pid), "sleep") == NULL || target_state(pid) != 'S')
        sched_yield(); /* until it has been executed and sleeps */
    char *before = target_maps(pid), text[16];
    leat_region *region;
    assert_ok(leat_region_open_or_create_into(&region, "remote", 10000, NULL, pid, &address));
    assert_true(leat_region_created(region));
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
    leat_region *region = region_of(8192), *again;
    uint64_t first = 0, second = 0, third = 0;
    assert_ok(leat_region_map_into(region, pid, &first));
    assert_ok(leat_region_map_into(region, pid, &second));
    assert_ok(leat_region_open_or_create_into(&again, "remote", 1, NULL, pid, &third));
    assert_false(leat_region_created(again));
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
    leat_region *region = region_of(0);
    leat_object_info info;
    uint64_t address;
    char text[8];
    strcpy(leat_region_data(region), "kept");
    assert_ok(leat_region_map_into(region, pid, &address));
    leat_region_close(region);
    assert_leat(leat_stat("remote", LEAT_LOCAL, &info), LEAT_ENOENT);
    target_peek(pid, address, text, 5);
    assert_string_equal(text, "kept");
    region = region_of(0); /* an unrelated one */
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
    leat_region *writer = region_of(0), *reader;
    uint64_t address;
    assert_ok(leat_region_open(&reader, "remote", 0, &(leat_region_options){.access = LEAT_READ_ONLY}));
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
    leat_region *region = region_of(5000);
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

/* --- What the target was doing ------------------------------------------------------------------------------------------ */

/* Ways to wait. Each gives what its system call gave (or -errno), after `wake`, or after 400 ms where it has a time limit. */
#define LIMIT_NS (400 * (long)MS)

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
    until = (struct timespec){.tv_sec = until.tv_sec + (time_t)(ns / (1000 * MS)), .tv_nsec = (long)(ns % (1000 * MS))};
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

static const struct way {
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
#ifdef __x86_64__ /* elsewhere they fail with EINTR at any stop, a debugger's too: inject_arm64.c */
    {"epoll_wait", wait_in_epoll, feed, 1},
    {"sigwaitinfo", wait_in_sigwaitinfo, send_signal, SIGUSR1},
#endif
};

static const struct way *way; /* of the child to come */

static int run_way(void *context) {
    struct waiting *waiting = context;
    uint64_t start = harness_now();
    if (way->wake != send_signal)
        harness_set(&waiting->ready, 1);
    waiting->result = way->wait(waiting);
    waiting->took_ns = harness_now() - start;
    return 0;
}

static void interrupt_way(leat_region *region, const struct way *one) {
    struct waiting *waiting = harness_shared(sizeof *waiting);
    assert_int_equal(pipe(waiting->pipe), 0);
    way = one;
    pid_t pid = harness_spawn(run_way, waiting);
    harness_await(&waiting->ready, 1);
    harness_await_asleep(pid);
    for (int i = 0; i < 25; i++)
        target_map_and_unmap(region, pid);
    harness_await_asleep(pid);
    if (one->wake != NULL)
        one->wake(waiting, pid);
    harness_wait_ok(pid);
    close(waiting->pipe[0]);
    close(waiting->pipe[1]);
    if (waiting->result != one->result)
        harness_fail("%s gave %ld instead of %ld", one->name, waiting->result, one->result);
    if (one->wake == NULL) {
        print_message("%s of %ld ms took %.1f ms\n", one->name, LIMIT_NS / (long)MS, (double)waiting->took_ns / 1e6);
        if (waiting->took_ns < (uint64_t)LIMIT_NS || waiting->took_ns > (uint64_t)LIMIT_NS + 200 * MS * harness_patience())
            harness_fail("%s took %.1f ms", one->name, (double)waiting->took_ns / 1e6);
    }
}

static void a_waiting_process_goes_on_waiting_and_sees_no_interruption(void **state) {
    (void)state;
    target_need_ptrace();
    leat_region *region = region_of(0);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
        interrupt_way(region, &ways[i]);
    leat_region_close(region);
}

/* Threads that do sums in integer and floating-point registers twice and compare. */
#define WORKERS 4

struct work {
    harness_word ready, stop, wrong;
    _Atomic uint64_t done;
};

static double sum_of(uint64_t seed) {
    double sum = 0, scale = 1;
    uint64_t x = seed;
    for (int i = 0; i < 2000; i++) {
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        scale = scale * 0.999 + (double)(x >> 40) * 1e-6;
        sum += scale / (double)(i + 1);
    }
    return sum;
}

static void *work(void *context) {
    struct work *shared = context;
    harness_increment(&shared->ready);
    for (uint64_t seed = 1; atomic_load(&shared->stop) == 0; seed++) {
        volatile double first = sum_of(seed), second = sum_of(seed);
        if (first != second)
            harness_increment(&shared->wrong);
        atomic_fetch_add(&shared->done, 1);
    }
    return NULL;
}

/* The first thread is as busy as the rest, so that whichever is chosen is in the middle of something. */
static int run_workers(void *context) {
    pthread_t threads[WORKERS];
    for (int i = 1; i < WORKERS; i++)
        pthread_create(&threads[i], NULL, work, context);
    work(context);
    for (int i = 1; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    return 0;
}

static int by_size(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void print_times(const char *what, uint64_t *times, unsigned count) {
    qsort(times, count, sizeof *times, by_size);
    print_message("%s, %u times: p50 %.0f us, p99 %.0f us, max %.0f us\n", what, count, (double)times[count / 2] / 1e3,
                  (double)times[count * 99 / 100] / 1e3, (double)times[count - 1] / 1e3);
}

static void time_rounds(const char *what, leat_region *region, pid_t pid) {
    unsigned count = rounds();
    uint64_t *mapping = harness_shared(count * sizeof *mapping), *unmapping = harness_shared(count * sizeof *unmapping);
    for (unsigned i = 0; i < count; i++) {
        uint64_t address = 0, start = harness_now();
        assert_ok(leat_region_map_into(region, pid, &address));
        mapping[i] = harness_now() - start;
        start = harness_now();
        assert_ok(leat_region_unmap_from(pid, address));
        unmapping[i] = harness_now() - start;
    }
    print_message("%s: ", what);
    print_times("map", mapping, count);
    print_message("%s: ", what);
    print_times("unmap", unmapping, count);
}

static void a_busy_process_with_threads_computes_on_correctly(void **state) {
    (void)state;
    target_need_ptrace();
    struct work *shared = harness_shared(sizeof *shared);
    leat_region *region = region_of(0);
    pid_t pid = harness_spawn(run_workers, shared);
    harness_await(&shared->ready, WORKERS);
    target_map_and_unmap(region, pid);
    char *before = target_maps(pid);
    int descriptors = target_descriptors(pid);
    uint64_t done = atomic_load(&shared->done);
    time_rounds("busy threads", region, pid);
    assert_string_equal(target_maps(pid), before);
    assert_int_equal(target_descriptors(pid), descriptors);
    assert_true(atomic_load(&shared->done) > done);
    harness_set(&shared->stop, 1);
    harness_wait_ok(pid);
    assert_int_equal(atomic_load(&shared->wrong), 0);
    leat_region_close(region);
}

static void a_sleeping_process_stands_it_a_thousand_times(void **state) {
    (void)state;
    target_need_ptrace();
    leat_region *region = region_of(0);
    pid_t pid = target_pausing();
    char *before = target_maps(pid);
    int descriptors = target_descriptors(pid);
    time_rounds("asleep", region, pid);
    assert_string_equal(target_maps(pid), before);
    assert_int_equal(target_descriptors(pid), descriptors);
    harness_await_asleep(pid);
    harness_kill(pid);
    leat_region_close(region);
}

/* A restartable sequence that does nothing but look whether the kernel still knows of it. When it is left for anything else the kernel
 * makes it start over (`aborted`); what must not happen is that it goes on and the kernel has forgotten it (`forgotten`): a program's
 * per-processor data would be written from the wrong processor. */
#if defined(__x86_64__) && defined(__has_include)
#if __has_include(<sys/rseq.h>)
#include <sys/rseq.h>
#define HAVE_RSEQ 1

struct sequence {
    harness_word ready, stop, aborted, forgotten;
};

static int run_sequence(struct rseq *area) {
    uint64_t left = 1 << 16;
    int outcome;
    __asm__ volatile(".pushsection .data.test_rseq, \"aw\"\n\t"
                     ".balign 32\n"
                     "3:\t.long 0, 0\n\t"
                     ".quad 1f, 2f - 1f, 4f\n\t"
                     ".popsection\n\t"
                     "leaq 3b(%%rip), %%rax\n\t"
                     "movq %%rax, %[known]\n"
                     "1:\tcmpq $0, %[known]\n\t"
                     "je 5f\n\t"
                     "decq %[left]\n\t"
                     "jnz 1b\n"
                     "2:\tmovl $0, %[outcome]\n\t"
                     "jmp 6f\n\t"
                     ".long %c[signature]\n"
                     "4:\tmovl $1, %[outcome]\n\t"
                     "jmp 6f\n"
                     "5:\tmovl $2, %[outcome]\n"
                     "6:"
                     : [outcome] "=&r"(outcome), [left] "+r"(left), [known] "+m"(area->rseq_cs)
                     : [signature] "i"(RSEQ_SIG)
                     : "rax", "memory", "cc");
    return outcome;
}

static int run_sequences(void *context) {
    struct sequence *shared = context;
    char *thread;
    __asm__("movq %%fs:0, %0" : "=r"(thread));
    harness_set(&shared->ready, 1);
    while (atomic_load(&shared->stop) == 0) {
        int outcome = run_sequence((struct rseq *)(void *)(thread + __rseq_offset));
        if (outcome != 0)
            harness_increment(outcome == 1 ? &shared->aborted : &shared->forgotten);
    }
    return 0;
}
#endif
#endif

static void a_restartable_sequence_is_restarted_as_after_any_other_preemption(void **state) {
    (void)state;
#ifdef HAVE_RSEQ
    if (__rseq_size == 0) {
        print_message("the C library registers no restartable sequences: skipped\n");
        skip();
    }
    target_need_ptrace();
    struct sequence *shared = harness_shared(sizeof *shared);
    leat_region *region = region_of(0);
    pid_t pid = harness_spawn(run_sequences, shared);
    harness_await(&shared->ready, 1);
    for (int i = 0; i < 300; i++)
        target_map_and_unmap(region, pid);
    harness_set(&shared->stop, 1);
    harness_wait_ok(pid);
    print_message("600 calls: restarted %u times, forgotten %u times\n", atomic_load(&shared->aborted),
                  atomic_load(&shared->forgotten));
    assert_int_equal(atomic_load(&shared->forgotten), 0);
    assert_true(atomic_load(&shared->aborted) >= 500);
    leat_region_close(region);
#else
    print_message("written for x86-64 and a C library that registers restartable sequences: skipped\n");
    skip();
#endif
}

/* The kernel keeps the first thread, ended, for the others. */
static int leave_the_first_thread(void *context) {
    pthread_t thread;
    pthread_create(&thread, NULL, work, context);
    syscall(SYS_exit, 0); /* of this thread alone */
    return 1;
}

static void a_process_whose_first_thread_has_ended_is_a_target(void **state) {
    (void)state;
    target_need_ptrace();
    struct work *shared = harness_shared(sizeof *shared);
    leat_region *region = region_of(0);
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

/* --- What the target is sent -------------------------------------------------------------------------------------------- */

static void a_stopped_process_stays_stopped(void **state) {
    (void)state;
    target_need_ptrace();
    leat_region *region = region_of(0);
    struct waiting *waiting = harness_shared(sizeof *waiting);
    assert_int_equal(pipe(waiting->pipe), 0);
    way = &ways[0];
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
    assert_int_equal(waitpid(pid, &status, WUNTRACED | WNOHANG), 0); /* its parent is not told again */
    feed(waiting, pid);
    harness_continue(pid);
    harness_wait_ok(pid);
    assert_int_equal(waiting->result, 0);
    close(waiting->pipe[0]);
    close(waiting->pipe[1]);
    leat_region_close(region);
}

#define QUEUED 5000

struct queue {
    harness_word ready, wrong, received;
    pid_t target;
};

static struct queue *queue; /* of the child whose handler it is */

static void take_queued(int signal_number, siginfo_t *info, void *context) {
    (void)signal_number, (void)context;
    uint32_t expected = atomic_load(&queue->received);
    if (info->si_code != SI_QUEUE || (uint32_t)info->si_value.sival_int != expected)
        harness_increment(&queue->wrong);
    harness_increment(&queue->received);
}

/* Works all the time; the first thread alone takes the signals, in the middle of a sum. */
static int receive_queued(void *context) {
    queue = context;
    struct sigaction action = {.sa_sigaction = take_queued, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGRTMIN, &action, NULL);
    harness_set(&queue->ready, 1);
    while (atomic_load(&queue->received) < QUEUED)
        if (sum_of(7) != sum_of(7))
            harness_increment(&queue->wrong);
    return 0;
}

static int send_queued(void *context) {
    struct queue *shared = context;
    for (int i = 0; i < QUEUED;) {
        if (sigqueue(shared->target, SIGRTMIN, (union sigval){.sival_int = i}) == 0)
            i++;
        if (i % 8 == 0)
            sched_yield();
    }
    return 0;
}

static void every_signal_arrives_once_in_order_with_its_value(void **state) {
    (void)state;
    target_need_ptrace();
    struct queue *shared = harness_shared(sizeof *shared);
    leat_region *region = region_of(0);
    shared->target = harness_spawn(receive_queued, shared);
    harness_await(&shared->ready, 1);
    pid_t sender = harness_spawn(send_queued, shared);
    unsigned mapped = 0;
    uint64_t address;
    while (atomic_load(&shared->received) < QUEUED - 500) {
        assert_ok(leat_region_map_into(region, shared->target, &address));
        assert_ok(leat_region_unmap_from(shared->target, address));
        mapped++;
    }
    harness_wait_ok(sender);
    harness_wait_ok(shared->target);
    print_message("%u signals during %u maps and unmaps\n", QUEUED, mapped);
    assert_int_equal(atomic_load(&shared->wrong), 0);
    assert_int_equal(atomic_load(&shared->received), QUEUED);
    leat_region_close(region);
}

struct storm {
    struct work work;
    pid_t target;
    harness_word stop;
};

static int stop_and_continue(void *context) {
    struct storm *storm = context;
    for (uint64_t random = 1; atomic_load(&storm->stop) == 0;) {
        kill(storm->target, SIGSTOP);
        for (uint64_t pause = harness_random(&random) % 200; pause > 0; pause--)
            sched_yield();
        kill(storm->target, SIGCONT);
        for (uint64_t pause = harness_random(&random) % 200; pause > 0; pause--)
            sched_yield();
    }
    kill(storm->target, SIGCONT);
    return 0;
}

static void a_process_that_is_stopped_and_continued_meanwhile_comes_to_no_harm(void **state) {
    (void)state;
    target_need_ptrace();
    struct storm *storm = harness_shared(sizeof *storm);
    leat_region *region = region_of(0);
    storm->target = harness_spawn(run_workers, &storm->work);
    harness_await(&storm->work.ready, WORKERS);
    pid_t stopper = harness_spawn(stop_and_continue, storm);
    for (int i = 0; i < 300; i++)
        target_map_and_unmap(region, storm->target);
    harness_set(&storm->stop, 1);
    harness_wait_ok(stopper);
    uint64_t done = atomic_load(&storm->work.done);
    while (atomic_load(&storm->work.done) == done)
        sched_yield(); /* it runs: the test's time limit says so if not */
    harness_set(&storm->work.stop, 1);
    harness_wait_ok(storm->target);
    assert_int_equal(atomic_load(&storm->work.wrong), 0);
    leat_region_close(region);
}

/* --- What this process does meanwhile ------------------------------------------------------------------------------------ */

static _Atomic bool thief_stop;

static void *wait_for_any(void *context) {
    (void)context;
    for (int status; !atomic_load(&thief_stop);)
        if (waitpid(-1, &status, WNOHANG | WUNTRACED | __WALL) <= 0)
            sched_yield();
    return NULL;
}

static void a_thread_that_waits_for_any_child_cannot_hang_it(void **state) {
    (void)state;
    target_need_ptrace();
    pthread_t thief;
    leat_region *region = region_of(0);
    pid_t pid = target_pausing();
    atomic_store(&thief_stop, false);
    assert_int_equal(pthread_create(&thief, NULL, wait_for_any, NULL), 0);
    for (int i = 0; i < 200; i++)
        target_map_and_unmap(region, pid);
    atomic_store(&thief_stop, true);
    pthread_join(thief, NULL);
    harness_kill(pid);
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
        HARNESS_TEST_WITHIN(a_busy_process_with_threads_computes_on_correctly, 60),
        HARNESS_TEST_WITHIN(a_sleeping_process_stands_it_a_thousand_times, 60),
        HARNESS_TEST(a_restartable_sequence_is_restarted_as_after_any_other_preemption),
        HARNESS_TEST(a_process_whose_first_thread_has_ended_is_a_target),
        HARNESS_TEST(a_stopped_process_stays_stopped),
        HARNESS_TEST_WITHIN(every_signal_arrives_once_in_order_with_its_value, 60),
        HARNESS_TEST_WITHIN(a_process_that_is_stopped_and_continued_meanwhile_comes_to_no_harm, 60),
        HARNESS_TEST(a_thread_that_waits_for_any_child_cannot_hang_it),
    };
    return HARNESS_MAIN("map_into", tests);
}
