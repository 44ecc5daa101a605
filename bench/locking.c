/* locking.c - see locking.h.
 *
 * Alone: one process, a hundred thousand times lock and unlock; the median of the rounds. Waking:
 * the one process holds, the other says that it is about to take, and has time to fall asleep; then
 * the first lets go, and the clock runs until the second has it. Together: for some milliseconds
 * both lock, change a word that they share, unlock, and begin again, as fast as they can. All ways
 * go through the same three loops. */
#include "locking.h"
#include "machine.h"

#include <errno.h>
#include <leat/sync.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TURNS 100000u         /* of a round alone */
#define WAKES 20u             /* of a round of waking */
#define FALL_ASLEEP_NS 200000 /* longer than any side spins */
#define TOGETHER_NS 20000000  /* of a round together */
#define ROUNDS_MOST 1000u

/* What the two processes share. */
struct meeting {
    pthread_mutex_t normal, robust, inheriting;
    uint32_t word; /* of the bare futex: 1 when it may be taken */
    uint64_t asking, taken, let_go_ns, had_ns;
    uint64_t ready, until_ns, turns[2]; /* together */
    _Alignas(64) volatile uint64_t guarded;
};

static struct meeting *meeting;
static leat_mutex *mutex, *inheriting;
static leat_event *event;
static leat_semaphore *semaphore;
static char name[64];

/* --- Ways ------------------------------------------------------------------------------------- */

static int told(const char *call, int code) {
    if (code != LEAT_OK)
        fprintf(stderr, "%s: %s %s\n", call, leat_error_name(code), leat_error_detail());
    return code == LEAT_OK ? 0 : -1;
}

static int leat_lock(void) {
    return told("leat_mutex_lock", leat_mutex_lock(mutex, LEAT_FOREVER));
}
static int leat_unlock(void) {
    return told("leat_mutex_unlock", leat_mutex_unlock(mutex));
}
static int leat_pi_lock(void) {
    return told("leat_mutex_lock", leat_mutex_lock(inheriting, LEAT_FOREVER));
}
static int leat_pi_unlock(void) {
    return told("leat_mutex_unlock", leat_mutex_unlock(inheriting));
}
static int event_take(void) {
    return told("leat_wait", leat_wait(leat_event_waitable(event), LEAT_FOREVER));
}
static int event_give(void) {
    return told("leat_event_set", leat_event_set(event));
}
static int semaphore_take(void) {
    return told("leat_wait", leat_wait(leat_semaphore_waitable(semaphore), LEAT_FOREVER));
}
static int semaphore_give(void) {
    return told("leat_semaphore_release", leat_semaphore_release(semaphore, 1, NULL));
}
static int normal_lock(void) {
    return pthread_mutex_lock(&meeting->normal);
}
static int normal_unlock(void) {
    return pthread_mutex_unlock(&meeting->normal);
}
static int robust_lock(void) {
    return pthread_mutex_lock(&meeting->robust);
}
static int robust_unlock(void) {
    return pthread_mutex_unlock(&meeting->robust);
}
static int pi_lock(void) {
    return pthread_mutex_lock(&meeting->inheriting);
}
static int pi_unlock(void) {
    return pthread_mutex_unlock(&meeting->inheriting);
}

static int futex_take(void) {
    uint32_t ready = 1;
    while (!__atomic_compare_exchange_n(&meeting->word, &ready, 0, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED)) {
        syscall(SYS_futex, &meeting->word, FUTEX_WAIT, 0, NULL, NULL, 0);
        ready = 1;
    }
    return 0;
}

static int futex_give(void) {
    __atomic_store_n(&meeting->word, 1, __ATOMIC_RELEASE);
    return syscall(SYS_futex, &meeting->word, FUTEX_WAKE, 1, NULL, NULL, 0) < 0 ? -1 : 0;
}

static const struct mode {
    const char *name, *about;
    int (*take)(void), (*give)(void);
    /* who took it gives it back, and it is measured in all ways; else the other side gives */
    bool mutex;
} ways[] = {
    {"leat_mutex", "leat_mutex_lock, leat_mutex_unlock", leat_lock, leat_unlock, true},
    {"pthread", "a process-shared pthread mutex", normal_lock, normal_unlock, true},
    {"pthread_robust", "a robust one", robust_lock, robust_unlock, true},
    {"leat_mutex_pi", "leat_mutex with inherit_priority", leat_pi_lock, leat_pi_unlock, true},
    {"pthread_pi", "a robust pthread mutex with PTHREAD_PRIO_INHERIT", pi_lock, pi_unlock, true},
    {"leat_semaphore", "leat_semaphore_release, leat_wait", semaphore_take, semaphore_give, false},
    {"leat_event", "leat_event_set, leat_wait, automatic reset", event_take, event_give, false},
    {"raw_futex", "a word, FUTEX_WAKE and FUTEX_WAIT", futex_take, futex_give, false},
};
#define WAYS (sizeof ways / sizeof *ways)

/* Nanoseconds; nanoseconds; millions of turns a second. */
static double alone[WAYS][ROUNDS_MOST], waking[WAYS][ROUNDS_MOST * WAKES],
    together[WAYS][ROUNDS_MOST];

/* --- Measuring -------------------------------------------------------------------------------- */

static int open_all(void) {
    const leat_sync_options inherit = {.inherit_priority = true};
    int code = leat_mutex_open(&mutex, name, NULL);
    char other[sizeof name + 2];
    snprintf(other, sizeof other, "%s-p", name);
    if (code == LEAT_OK)
        code = leat_mutex_open(&inheriting, other, &inherit);
    other[strlen(other) - 1] = 'e';
    if (code == LEAT_OK)
        code = leat_event_open(&event, other, NULL);
    other[strlen(other) - 1] = 's';
    if (code == LEAT_OK)
        code = leat_semaphore_open(&semaphore, other, 0, 1, NULL);
    return told("open", code);
}

static void close_all(void) {
    leat_mutex_close(mutex);
    leat_mutex_close(inheriting);
    leat_event_close(event);
    leat_semaphore_close(semaphore);
}

static int measure_alone(size_t mode, unsigned round) {
    uint64_t start = now_ns();
    for (unsigned i = 0; i < TURNS; i++)
        if (ways[mode].take() != 0 || ways[mode].give() != 0)
            return -1;
    alone[mode][round] = (double)(now_ns() - start) / TURNS;
    return 0;
}

/* What each of the two does together, until the other has done it for the same time. */
static int take_turns(const struct mode *mode, unsigned side) {
    uint64_t turns = 0, until = __atomic_load_n(&meeting->until_ns, __ATOMIC_RELAXED);
    for (; now_ns() < until; turns++) {
        if (mode->take() != 0)
            return -1;
        meeting->guarded = meeting->guarded + 1;
        if (mode->give() != 0)
            return -1;
    }
    __atomic_store_n(&meeting->turns[side], turns + 1, __ATOMIC_RELEASE); /* + 1: 0 is not yet */
    return 0;
}

static int measure_together(size_t mode, unsigned round) {
    uint64_t before = meeting->guarded;
    meeting->turns[0] = meeting->turns[1] = 0;
    __atomic_store_n(&meeting->until_ns, now_ns() + TOGETHER_NS, __ATOMIC_RELAXED);
    __atomic_store_n(&meeting->ready, round * WAYS + mode + 1, __ATOMIC_RELEASE);
    if (take_turns(&ways[mode], 0) != 0)
        return -1;
    while (__atomic_load_n(&meeting->turns[1], __ATOMIC_ACQUIRE) == 0)
        if (now_ns() > meeting->until_ns + 10 * UINT64_C(1000000000))
            return -1;
    uint64_t turns = meeting->turns[0] + meeting->turns[1] - 2;
    if (meeting->guarded - before != turns) {
        fprintf(stderr, "%s let both in at once\n", ways[mode].name);
        return -1;
    }
    together[mode][round] = (double)turns * 1e3 / TOGETHER_NS;
    return 0;
}

/* The process that sleeps, and then takes turns. */
static int sleeper(unsigned rounds) {
    if (open_all() != 0)
        return -1;
    uint64_t serial = 0;
    for (unsigned wake = 0; wake < rounds * WAKES * WAYS; wake++) {
        const struct mode *mode = &ways[wake / WAKES % WAYS];
        serial++;
        if (probe_wait(&meeting->let_go_ns, 0) != 0)
            return -1;
        __atomic_store_n(&meeting->asking, serial, __ATOMIC_RELEASE);
        if (mode->take() != 0)
            return -1;
        meeting->had_ns = now_ns();
        if (mode->mutex && mode->give() != 0)
            return -1;
        __atomic_store_n(&meeting->taken, serial, __ATOMIC_RELEASE);
    }
    for (unsigned cell = 0; cell < rounds * WAYS; cell++)
        if (ways[cell % WAYS].mutex &&
            (probe_wait(&meeting->ready, cell + 1) != 0 || take_turns(&ways[cell % WAYS], 1) != 0))
            return -1;
    close_all();
    return 0;
}

static int wake_once(const struct mode *mode, uint64_t serial, double *took_ns) {
    const struct timespec moment = {0, FALL_ASLEEP_NS};
    if (mode->mutex && mode->take() != 0)
        return -1;
    __atomic_store_n(&meeting->let_go_ns, 0, __ATOMIC_RELEASE);
    if (probe_wait(&meeting->asking, serial) != 0)
        return -1;
    nanosleep(&moment, NULL);
    uint64_t start = now_ns();
    __atomic_store_n(&meeting->let_go_ns, start, __ATOMIC_RELAXED);
    if (mode->give() != 0 || probe_wait(&meeting->taken, serial) != 0)
        return -1;
    *took_ns = (double)(meeting->had_ns - start);
    return 0;
}

static int waker(unsigned rounds) {
    uint64_t serial = 0;
    for (unsigned round = 0; round < rounds; round++)
        for (size_t mode = 0; mode < WAYS; mode++) {
            for (unsigned wake = 0; wake < WAKES; wake++)
                if (wake_once(&ways[mode], ++serial, &waking[mode][round * WAKES + wake]) != 0)
                    return -1;
        }
    for (unsigned round = 0; round < rounds; round++)
        for (size_t mode = 0; mode < WAYS; mode++)
            if (ways[mode].mutex && measure_together(mode, round) != 0)
                return -1;
    return 0;
}

static int prepare(void) {
    pthread_mutexattr_t attributes;
    meeting = map_shared(sizeof *meeting);
    meeting->let_go_ns = 1;
    int wrong = pthread_mutexattr_init(&attributes) |
                pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    wrong |= pthread_mutex_init(&meeting->normal, &attributes);
    wrong |= pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    wrong |= pthread_mutex_init(&meeting->robust, &attributes);
    wrong |= pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    wrong |= pthread_mutex_init(&meeting->inheriting, &attributes);
    snprintf(name, sizeof name, "leat_bench_sync-%ld", (long)getpid());
    return wrong != 0 ? -1 : open_all();
}

/* --- Showing ---------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void show_text(FILE *out, unsigned rounds) {
    unsigned wakes = rounds * WAKES;
    fprintf(out, "\nsync, %u rounds, taking turns\n%-14s | %-24s | %-29s | %s\n", rounds, "",
            "alone, ns [min..max]", "waking a sleeper, us: p50 p99", "together, M/s [min..max]");
    for (size_t mode = 0; mode < WAYS; mode++) {
        fprintf(out, "%-14s | ", ways[mode].name);
        char lock[40] = "", both[40] = "";
        if (ways[mode].mutex) {
            snprintf(lock, sizeof lock, "%8.1f [%.1f..%.1f]", alone[mode][rounds / 2],
                     alone[mode][0], alone[mode][rounds - 1]);
            snprintf(both, sizeof both, "%8.2f [%.2f..%.2f]", together[mode][rounds / 2],
                     together[mode][0], together[mode][rounds - 1]);
        }
        fprintf(out, "%-24s   %8.1f %8.1f %12s %s\n", lock, waking[mode][wakes / 2] / 1e3,
                waking[mode][wakes * 99 / 100] / 1e3, "", both);
    }
    fprintf(out, "\n");
    for (size_t mode = 0; mode < WAYS; mode++)
        fprintf(out, "%-14s   %s\n", ways[mode].name, ways[mode].about);
}

static void show_json(FILE *out, unsigned rounds) {
    unsigned wakes = rounds * WAKES;
    fprintf(out, "\n    {\"experiment\": \"sync\", \"rounds\": %u,\n     \"results\": [", rounds);
    for (size_t mode = 0; mode < WAYS; mode++) {
        fprintf(out, "%s\n      {\"way\": \"%s\"", mode == 0 ? "" : ",", ways[mode].name);
        if (ways[mode].mutex)
            fprintf(out,
                    ", \"alone_ns\": {\"median\": %.2f, \"min\": %.2f, \"max\": %.2f}"
                    ", \"together_per_us\": {\"median\": %.3f, \"min\": %.3f, \"max\": %.3f}",
                    alone[mode][rounds / 2], alone[mode][0], alone[mode][rounds - 1],
                    together[mode][rounds / 2], together[mode][0], together[mode][rounds - 1]);
        fprintf(out,
                ", \"waking_us\": {\"median\": %.3f, \"min\": %.3f, \"p99\": %.3f, \"max\": %.3f}}",
                waking[mode][wakes / 2] / 1e3, waking[mode][0] / 1e3,
                waking[mode][wakes * 99 / 100] / 1e3, waking[mode][wakes - 1] / 1e3);
    }
    fprintf(out, "]}");
}

int locking_run(FILE *out, const int cpus[2], unsigned rounds, bool json) {
    rounds = rounds < ROUNDS_MOST ? rounds : ROUNDS_MOST;
    if (prepare() != 0)
        return 1;
    /* the harness has pinned this process to the first, and a new child goes to the second */
    (void)cpus;
    if (in_new_child())
        end_child(sleeper(rounds));
    int wrong = waker(rounds);
    wrong |= collect_children(wrong != 0);
    for (unsigned round = 0; wrong == 0 && round < rounds; round++)
        for (size_t mode = 0; wrong == 0 && mode < WAYS; mode++)
            wrong = ways[mode].mutex ? measure_alone(mode, round) : 0;
    close_all();
    for (size_t mode = 0; wrong == 0 && mode < WAYS; mode++) {
        qsort(alone[mode], rounds, sizeof(double), compare);
        qsort(together[mode], rounds, sizeof(double), compare);
        qsort(waking[mode], rounds * WAKES, sizeof(double), compare);
    }
    if (wrong == 0)
        json ? show_json(out, rounds) : show_text(out, rounds);
    return wrong != 0;
}
