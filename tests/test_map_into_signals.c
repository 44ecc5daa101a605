/* test_map_into_signals.c - regions mapped into processes (leat/remote.h) that are sent signals, stopped and continued meanwhile, whose threads come and
 * go or are in the middle of a restartable sequence; and what a process that maps may do itself meanwhile. */
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
    leat_region *region = target_region(0);
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

/* --- What the target is sent -------------------------------------------------------------------------------------------- */

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

static void a_process_that_is_stopped_and_continued_meanwhile_comes_to_no_harm(void **state) {
    (void)state;
    target_need_ptrace();
    struct storm *storm = harness_shared(sizeof *storm);
    leat_region *region = target_region(0);
    storm->target = harness_spawn(target_compute, &storm->work);
    harness_await(&storm->work.ready, TARGET_THREADS);
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
        HARNESS_TEST_WITHIN(every_signal_arrives_once_in_order_with_its_value, 60),
        HARNESS_TEST_WITHIN(a_process_that_is_stopped_and_continued_meanwhile_comes_to_no_harm, 60),
        HARNESS_TEST(a_thread_that_waits_for_any_child_cannot_hang_it),
    };
    return HARNESS_MAIN("map_into_signals", tests);
}
