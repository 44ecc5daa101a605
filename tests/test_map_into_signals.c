/* test_map_into_signals.c - regions mapped into processes (leat/remote.h) that are sent signals,
 * stopped and continued meanwhile, whose threads come and go or are in the middle of a restartable
 * sequence; and what a process that maps may do itself meanwhile. */
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

#include "lib/remote/linux/inject.h"

#define MS UINT64_C(1000000)

/* A restartable sequence that only checks whether the kernel still knows it. When the thread leaves
 * it for anything else, the kernel makes it start over (`aborted`). It must not go on after the
 * kernel has forgotten it (`forgotten`): a program's per-processor data would be written from the
 * wrong processor. */
#if (defined(__x86_64__) || defined(__aarch64__)) && defined(__has_include)
#if __has_include(<sys/rseq.h>)
#include <sys/rseq.h>
#define HAVE_RSEQ 1

struct sequence {
    harness_word ready, stop, aborted, forgotten;
};

static int run_sequence(struct rseq *area) {
    uint64_t left = 1 << 16;
    int outcome;
#ifdef __x86_64__
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
#else
    __asm__ volatile(".pushsection .data.test_rseq, \"aw\"\n\t"
                     ".balign 32\n"
                     "3:\t.long 0, 0\n\t"
                     ".quad 1f, 2f - 1f, 4f\n\t"
                     ".popsection\n\t"
                     "adrp x9, 3b\n\t"
                     "add x9, x9, :lo12:3b\n\t"
                     "str x9, %[known]\n"
                     "1:\tldr x9, %[known]\n\t"
                     "cbz x9, 5f\n\t"
                     "subs %[left], %[left], #1\n\t"
                     "b.ne 1b\n"
                     "2:\tmov %w[outcome], #0\n\t"
                     "b 6f\n\t"
                     ".inst %c[signature]\n"
                     "4:\tmov %w[outcome], #1\n\t"
                     "b 6f\n"
                     "5:\tmov %w[outcome], #2\n"
                     "6:"
                     : [outcome] "=&r"(outcome), [left] "+r"(left), [known] "+Q"(area->rseq_cs)
                     : [signature] "i"(RSEQ_SIG)
                     : "x9", "memory", "cc");
#endif
    return outcome;
}

static int run_sequences(void *context) {
    struct sequence *shared = context;
    char *thread;
#ifdef __x86_64__
    __asm__("movq %%fs:0, %0" : "=r"(thread));
#else
    __asm__("mrs %0, tpidr_el0" : "=r"(thread));
#endif
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
    leat_region *region = target_region(0);
    pid_t pid = harness_spawn(run_sequences, shared);
    harness_await(&shared->ready, 1);
    for (int i = 0; i < 300 || atomic_load(&shared->aborted) < 50; i++)
        /* beside other work the target has not always run since the call before */
        target_map_and_unmap(region, pid);
    harness_set(&shared->stop, 1);
    harness_wait_ok(pid);
    print_message("restarted %u times, forgotten %u times\n", atomic_load(&shared->aborted),
                  atomic_load(&shared->forgotten));
    assert_int_equal(atomic_load(&shared->forgotten), 0);
    leat_region_close(region);
#else
    print_message("written for x86-64, arm64 and a C library that registers restartable sequences: "
                  "skipped\n");
    skip();
#endif
}

/* --- Signals to the target -------------------------------------------------------------------- */

#define QUEUED 5000

struct queue {
    harness_word ready, stop, wrong, received;
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

/* Works until it is asked to stop, and not until it has all signals: it could have them in the
 * middle of the last call, and end there. The first thread alone takes the signals, in the middle
 * of a sum. */
static int receive_queued(void *context) {
    queue = context;
    struct sigaction action = {.sa_sigaction = take_queued, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGRTMIN, &action, NULL);
    harness_set(&queue->ready, 1);
    while (atomic_load(&queue->stop) == 0)
        if (target_sum(7) != target_sum(7))
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
    leat_region *region = target_region(0);
    shared->target = harness_spawn(receive_queued, shared);
    harness_await(&shared->ready, 1);
    pid_t sender = harness_spawn(send_queued, shared);
    unsigned mapped = 0;
    uint64_t address;
    while (atomic_load(&shared->received) < QUEUED) {
        assert_ok(leat_region_map_into(region, shared->target, &address));
        assert_ok(leat_region_unmap_from(shared->target, address));
        mapped++;
    }
    harness_wait_ok(sender);
    harness_set(&shared->stop, 1);
    harness_wait_ok(shared->target);
    print_message("%u signals during %u maps and unmaps\n", QUEUED, mapped);
    assert_int_equal(atomic_load(&shared->wrong), 0);
    assert_int_equal(atomic_load(&shared->received), QUEUED);
    leat_region_close(region);
}

struct storm {
    struct target_work work;
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

static void map_in_a_storm(struct storm *storm) {
    leat_region *region = target_region(0);
    pid_t stopper = harness_spawn(stop_and_continue, storm);
    for (int i = 0; i < 300; i++)
        target_map_and_unmap(region, storm->target);
    harness_set(&storm->stop, 1);
    harness_wait_ok(stopper);
    leat_region_close(region);
}

static void a_process_that_is_stopped_and_continued_meanwhile_comes_to_no_harm(void **state) {
    (void)state;
    target_need_ptrace();
    struct storm *storm = harness_shared(sizeof *storm);
    storm->target = harness_spawn(target_compute, &storm->work);
    harness_await(&storm->work.ready, TARGET_THREADS);
    map_in_a_storm(storm);
    uint64_t done = atomic_load(&storm->work.done);
    while (atomic_load(&storm->work.done) == done)
        sched_yield(); /* it runs: the test's time limit says so if not */
    harness_set(&storm->work.stop, 1);
    harness_wait_ok(storm->target);
    assert_int_equal(atomic_load(&storm->work.wrong), 0);
}

static int read_one_byte(void *context) {
    const int *end = context;
    char byte;
    return read(*end, &byte, 1) == 1 ? 0 : 1;
}

static void
a_waiting_process_that_is_stopped_and_continued_meanwhile_goes_on_waiting(void **state) {
    (void)state;
    target_need_ptrace();
    struct storm *storm = harness_shared(sizeof *storm);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    storm->target = harness_spawn(read_one_byte, &ends[0]);
    map_in_a_storm(storm);
    harness_await_asleep(storm->target);
    assert_int_equal(write(ends[1], "x", 1), 1);
    harness_wait_ok(storm->target);
    close(ends[0]);
    close(ends[1]);
}

/* A signal that comes during one of our calls ends the wait that we interrupted, or does not, as it
 * would have without us. */
struct interrupted {
    harness_word sent, handled, ended, leave, ready;
    pid_t target;
    int pipe[2];
    long result;
};

static struct interrupted *interrupted; /* of the child whose handler it is */

static void note_interruption(int signal_number) {
    (void)signal_number;
    harness_increment(&interrupted->handled);
}

static long wait_in_pause(void) {
    return pause() == -1 ? -errno : 0;
}

static long wait_in_read(void) {
    char byte;
    ssize_t got = read(interrupted->pipe[0], &byte, 1);
    return got < 0 ? -errno : got;
}

static long wait_in_nanosleep(void) {
    return nanosleep(&(struct timespec){.tv_sec = 1000}, NULL) == -1 ? -errno : 0;
}

static long wait_in_futex_for_a_time(void) {
    struct timespec limit = {.tv_sec = 1000};
    return syscall(SYS_futex, &interrupted->leave, FUTEX_WAIT, 0, &limit, NULL, 0) == -1 ? -errno
                                                                                         : 0;
}

static const struct interruption {
    const char *name;
    int flags; /* of the handler */
    long (*wait)(void);
    long result;
} interruptions[] = {
    {"pause", SA_RESTART, wait_in_pause, -EINTR},
    {"read", 0, wait_in_read, -EINTR},
    {"read with SA_RESTART", SA_RESTART, wait_in_read, 1},
    {"nanosleep", SA_RESTART, wait_in_nanosleep, -EINTR},
    {"futex with a limit", SA_RESTART, wait_in_futex_for_a_time, -EINTR},
};

static const struct interruption *interruption; /* of the child to come */

static int wait_for_an_interruption(void *context) {
    interrupted = context;
    struct sigaction action = {.sa_handler = note_interruption, .sa_flags = interruption->flags};
    sigaction(SIGUSR1, &action, NULL);
    harness_set(&interrupted->ready, 1);
    interrupted->result = interruption->wait();
    harness_set(&interrupted->ended, 1);
    harness_await(&interrupted->leave, 1);
    return 0;
}

static uint64_t signals_of(pid_t pid, const char *key) {
    uint64_t signals;
    (void)leat__target_signals(pid, pid, key, &signals);
    return signals;
}

/* `sent` says whether the signal found the target stopped (1) or came too late (2). */
static int send_during_a_call(void *context) {
    struct interrupted *shared = context;
    const uint64_t bit = UINT64_C(1) << (SIGUSR1 - 1);
    while ((signals_of(shared->target, "SigBlk:") & bit) == 0)
        ;
    kill(shared->target, SIGUSR1);
    bool waits = (signals_of(shared->target, "ShdPnd:") & bit) != 0 &&
                 (signals_of(shared->target, "SigBlk:") & bit) != 0;
    harness_set(&shared->sent, waits ? 1 : 2);
    return 0;
}

static bool interrupt_once(leat_region *region) {
    struct interrupted *shared = harness_shared(sizeof *shared);
    assert_int_equal(pipe(shared->pipe), 0);
    shared->target = harness_spawn(wait_for_an_interruption, shared);
    harness_await(&shared->ready, 1);
    harness_await_asleep(shared->target);
    pid_t sender = harness_spawn(send_during_a_call, shared);
    while (atomic_load(&shared->sent) == 0) {
        uint64_t address;
        assert_ok(leat_region_map_into(region, shared->target, &address));
        harness_await_asleep(shared->target); /* in its call again, where the next stop finds it */
        assert_ok(leat_region_unmap_from(shared->target, address));
        harness_await_asleep(shared->target);
    }
    bool during = atomic_load(&shared->sent) == 1;
    harness_wait_ok(sender);
    if (during) {
        harness_await(&shared->handled, 1);
        if (interruption->result == 1) {
            harness_await_asleep(shared->target);
            assert_int_equal(atomic_load(&shared->ended), 0);
            assert_int_equal(write(shared->pipe[1], "x", 1), 1);
        }
        harness_await(&shared->ended, 1);
        harness_set(&shared->leave, 1);
        harness_wait_ok(shared->target);
        if (shared->result != interruption->result)
            harness_fail("%s gave %ld instead of %ld", interruption->name, shared->result,
                         interruption->result);
    } else
        harness_kill(shared->target);
    close(shared->pipe[0]);
    close(shared->pipe[1]);
    return during;
}

static void a_signal_meanwhile_ends_a_wait_as_it_would_have(void **state) {
    (void)state;
    target_need_ptrace();
    leat_region *region = target_region(0);
    for (size_t i = 0; i < sizeof interruptions / sizeof interruptions[0]; i++) {
        interruption = &interruptions[i];
        print_message("%s\n", interruption->name);
        unsigned during = 0;
        for (int tries = 0; tries < 5 || during == 0; tries++)
            /* until the signal has come during a call: the test's time limit says so if it never
             * does */
            during += interrupt_once(region);
    }
    leat_region_close(region);
}

/* --- This process meanwhile ------------------------------------------------------------------- */

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
    leat_region *region = target_region(0);
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
        HARNESS_TEST(a_restartable_sequence_is_restarted_as_after_any_other_preemption),
        HARNESS_TEST(every_signal_arrives_once_in_order_with_its_value),
        HARNESS_TEST(a_process_that_is_stopped_and_continued_meanwhile_comes_to_no_harm),
        HARNESS_TEST(a_waiting_process_that_is_stopped_and_continued_meanwhile_goes_on_waiting),
        HARNESS_TEST(a_signal_meanwhile_ends_a_wait_as_it_would_have),
        HARNESS_TEST(a_thread_that_waits_for_any_child_cannot_hang_it),
    };
    return HARNESS_MAIN("map_into_signals", tests);
}
