/* sync.c - what it costs to lock and unlock a mutex that nobody else wants, to hand one over to a
 * process that sleeps over it, and to wake a process that waits for an event, and how often two
 * that want it all the time have it; beside pthread mutexes and a bare futex.
 *
 * Alone: the parent, a hundred thousand times lock and unlock. Waking: the parent holds, the child
 * reports that it is about to take, and has time to fall asleep; then the parent lets go, and the
 * clock runs until the child has it. Together: for some milliseconds both lock, change a word that
 * they share, unlock, and begin again, as fast as they can: the same three loops for all ways. */
#include "machine.h"

#include <leat/sync.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TURNS 100000u /* alone */
#define WAKES 200u
#define FALL_ASLEEP_NS 200000 /* longer than any side spins */
#define TOGETHER_NS 20000000

/* What the two processes share. */
struct meeting {
    pthread_mutex_t normal, robust, inheriting;
    uint32_t word; /* of the bare futex: 1 when it may be taken */
    uint64_t asking, taken, let_go_ns, had_ns;
    uint64_t turns[2], until_ns; /* together */
    _Alignas(64) volatile uint64_t guarded;
};

static struct meeting *meeting;
static leat_mutex *mutex, *inheriting;
static leat_event *event;
static leat_semaphore *semaphore;

/* --- Ways ------------------------------------------------------------------------------------- */

#define CALL(name, call)                                                                           \
    static int name(void) {                                                                        \
        return call;                                                                               \
    }
#define LEAT_CALL(name, call) CALL(name, check_leat(#call, call))

LEAT_CALL(leat_lock, leat_mutex_lock(mutex, LEAT_FOREVER))
LEAT_CALL(leat_unlock, leat_mutex_unlock(mutex))
LEAT_CALL(leat_pi_lock, leat_mutex_lock(inheriting, LEAT_FOREVER))
LEAT_CALL(leat_pi_unlock, leat_mutex_unlock(inheriting))
LEAT_CALL(event_take, leat_wait(leat_event_waitable(event), LEAT_FOREVER))
LEAT_CALL(event_give, leat_event_set(event))
LEAT_CALL(semaphore_take, leat_wait(leat_semaphore_waitable(semaphore), LEAT_FOREVER))
LEAT_CALL(semaphore_give, leat_semaphore_release(semaphore, 1, NULL))
CALL(normal_lock, pthread_mutex_lock(&meeting->normal))
CALL(normal_unlock, pthread_mutex_unlock(&meeting->normal))
CALL(robust_lock, pthread_mutex_lock(&meeting->robust))
CALL(robust_unlock, pthread_mutex_unlock(&meeting->robust))
CALL(pi_lock, pthread_mutex_lock(&meeting->inheriting))
CALL(pi_unlock, pthread_mutex_unlock(&meeting->inheriting))

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

struct primitive {
    int (*take)(void), (*give)(void);
    /* what took it gives it back, and it is measured in all ways; else the other side gives */
    bool mutex;
};

/* --- Measuring -------------------------------------------------------------------------------- */

static int open_all(const struct trial *trial) {
    const leat_sync_options inherit = {.inherit_priority = true};
    char names[4][64];
    for (unsigned i = 0; i < 4; i++)
        trial_channel(trial, i, names[i]);
    int code = leat_mutex_open(&mutex, names[0], NULL);
    if (code == LEAT_OK)
        code = leat_mutex_open(&inheriting, names[1], &inherit);
    if (code == LEAT_OK)
        code = leat_event_open(&event, names[2], NULL);
    if (code == LEAT_OK)
        code = leat_semaphore_open(&semaphore, names[3], 0, 1, NULL);
    return check_leat("open", code);
}

static void close_all(void) {
    leat_mutex_close(mutex);
    leat_mutex_close(inheriting);
    leat_event_close(event);
    leat_semaphore_close(semaphore);
}

/* Nanoseconds a turn; negative when it failed. */
static double measure_alone(const struct primitive *primitive) {
    unsigned turns = scaled(TURNS);
    uint64_t start = now_ns();
    for (unsigned i = 0; i < turns; i++)
        if (primitive->take() != 0 || primitive->give() != 0)
            return -1;
    return (double)(now_ns() - start) / turns;
}

/* What each of the two does together, until the other has done it for the same time. */
static int take_turns(const struct primitive *primitive, enum role side) {
    uint64_t turns = 0;
    struct patience patience = {0};
    while (__atomic_load_n(&meeting->until_ns, __ATOMIC_ACQUIRE) == 0)
        if (wait_patiently(&patience) != 0)
            return -1;
    uint64_t until = __atomic_load_n(&meeting->until_ns, __ATOMIC_RELAXED);
    for (; now_ns() < until; turns++) {
        if (primitive->take() != 0)
            return -1;
        meeting->guarded = meeting->guarded + 1;
        if (primitive->give() != 0)
            return -1;
    }
    meeting->turns[side] = turns;
    return 0;
}

static int sleep_and_take(const struct primitive *primitive) {
    for (uint64_t serial = 1; serial <= scaled(WAKES); serial++) {
        if (probe_wait(&meeting->let_go_ns, 0) != 0)
            return -1;
        __atomic_store_n(&meeting->asking, serial, __ATOMIC_RELEASE);
        if (primitive->take() != 0)
            return -1;
        meeting->had_ns = now_ns();
        if (primitive->mutex && primitive->give() != 0)
            return -1;
        __atomic_store_n(&meeting->taken, serial, __ATOMIC_RELEASE);
    }
    return 0;
}

static int wake_once(const struct primitive *primitive, uint64_t serial, uint32_t *took_ns) {
    if (primitive->mutex && primitive->take() != 0)
        return -1;
    __atomic_store_n(&meeting->let_go_ns, 0, __ATOMIC_RELEASE);
    if (probe_wait(&meeting->asking, serial) != 0)
        return -1;
    sleep_ns(FALL_ASLEEP_NS);
    uint64_t start = now_ns();
    __atomic_store_n(&meeting->let_go_ns, start, __ATOMIC_RELAXED);
    if (primitive->give() != 0 || probe_wait(&meeting->taken, serial) != 0)
        return -1;
    *took_ns = (uint32_t)(meeting->had_ns - start);
    return 0;
}

static int child(struct trial *trial, const struct primitive *primitive) {
    if (open_all(trial) != 0 || trial_begin(trial) != 0 || sleep_and_take(primitive) != 0 ||
        (primitive->mutex && take_turns(primitive, RECEIVER) != 0) || trial_end(trial) != 0)
        return -1;
    close_all();
    return 0;
}

static int parent(struct trial *trial, const struct primitive *primitive) {
    double *figures = trial->told->figures;
    if (trial_begin(trial) != 0)
        return -1;
    figures[0] = primitive->mutex ? measure_alone(primitive) : UNKNOWN;
    for (uint64_t serial = 1; serial <= scaled(WAKES); serial++) {
        uint32_t took_ns = 0;
        if (wake_once(primitive, serial, &took_ns) != 0)
            return -1;
        histogram_add(trial->times, took_ns);
    }
    figures[1] = quantile_us(trial->times, 0.5);
    figures[2] = quantile_us(trial->times, 0.99);
    figures[3] = UNKNOWN;
    __atomic_store_n(&meeting->until_ns, now_ns() + TOGETHER_NS, __ATOMIC_RELEASE);
    return primitive->mutex && take_turns(primitive, SENDER) != 0 ? -1 : trial_end(trial);
}

static int work(struct trial *trial) {
    const struct primitive *primitive = trial->way->of;
    return trial->role == SENDER ? parent(trial, primitive) : child(trial, primitive);
}

static void finish(struct trial *trial, bool good) {
    uint64_t turns = meeting->turns[SENDER] + meeting->turns[RECEIVER];
    close_all();
    if (!good || trial->told->figures[0] < 0)
        return;
    trial->told->figures[3] = (double)turns * 1e3 / TOGETHER_NS;
    if (meeting->guarded != turns) {
        fprintf(stderr, "%s let both in at once\n", trial->way->name);
        message_lost();
    }
}

static int prepare(struct trial *trial) {
    pthread_mutexattr_t attributes;
    if (meeting == NULL)
        meeting = map_shared(sizeof *meeting);
    memset(meeting, 0, sizeof *meeting);
    meeting->let_go_ns = 1;
    int wrong = pthread_mutexattr_init(&attributes) |
                pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    wrong |= pthread_mutex_init(&meeting->normal, &attributes);
    wrong |= pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    wrong |= pthread_mutex_init(&meeting->robust, &attributes);
    wrong |= pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    wrong |= pthread_mutex_init(&meeting->inheriting, &attributes);
    return wrong != 0 ? -1 : open_all(trial);
}

#define MUTEX(name, about, lock, unlock)                                                           \
    WAY(name, about, .prepare = prepare, .work = work, .finish = finish,                           \
        .of = &(const struct primitive){lock, unlock, true})
#define WAKER(name, about, take, give)                                                             \
    WAY(name, about, .prepare = prepare, .work = work, .finish = finish,                           \
        .of = &(const struct primitive){take, give, false})
static const struct way ways[] = {
    MUTEX("leat_mutex", "leat_mutex_lock, leat_mutex_unlock", leat_lock, leat_unlock),
    MUTEX("pthread", "a process-shared pthread mutex", normal_lock, normal_unlock),
    MUTEX("pthread_robust", "a robust one", robust_lock, robust_unlock),
    MUTEX("leat_mutex_pi", "leat_mutex with inherit_priority", leat_pi_lock, leat_pi_unlock),
    MUTEX("pthread_pi", "a robust pthread mutex with PTHREAD_PRIO_INHERIT", pi_lock, pi_unlock),
    WAKER("leat_semaphore", "leat_semaphore_release, leat_wait", semaphore_take, semaphore_give),
    WAKER("leat_event", "leat_event_set, leat_wait, automatic reset", event_take, event_give),
    WAKER("raw_futex", "a word, FUTEX_WAKE and FUTEX_WAIT", futex_take, futex_give),
};

const struct part part_sync = {
    .name = "sync",
    .title = "Locking alone, waking a sleeper, and together",
    WAYS(ways),
    .yardstick = NO_YARDSTICK,
    .figures = {FIGURE("alone, ns", "alone_ns"), FIGURE("waking p50, us", "waking_us"),
                FIGURE("waking p99, us", "waking_p99_us"),
                FIGURE("together, M/s", "together_per_us")},
};
