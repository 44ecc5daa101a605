/* lib/os/linux/wait.c - clocks, sleeping on a word with a futex, and barriers in other processes.
 *
 * The futex is a shared one: keyed by file and offset, so it works between processes, containers
 * and bitnesses that map the same file. Deadlines are absolute (FUTEX_WAIT_BITSET), so that an
 * interrupted wait is not prolonged. */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>

#include "leat/error.h"
#include "lib/os/linux/calls.h"
#include "lib/os/linux/timespec.h"

#define NS_PER_S UINT64_C(1000000000)

static uint64_t clock_ns(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}

uint64_t leat__os_now(void) {
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t leat__os_wall_clock(void) {
    return clock_ns(CLOCK_REALTIME);
}

void leat__os_sleep(uint64_t until_ns) {
    struct timespec until = leat__timespec_of(until_ns);
    (void)leat__linux_sleep_until(&until);
}

void leat__os_yield(void) {
    sched_yield();
}

bool leat__os_can_spin(void) {
    /* not this thread's own affinity: the peer may be pinned elsewhere */
    return sysconf(_SC_NPROCESSORS_ONLN) > 1;
}

/* A set that is too small for the machine's processors gives an error: then there are many. */
bool leat__os_has_one_processor(void) {
    cpu_set_t allowed;
    return sched_getaffinity(0, sizeof allowed, &allowed) == 0 && CPU_COUNT(&allowed) == 1;
}

#define POLL_NS UINT64_C(2000000)

/* For a sleep that the system refuses (a filter returns EPERM or ENOSYS, memory is short): the
 * caller reads the word again after a while. That is neither a signal nor a wake-up, and does not
 * occupy a processor. */
static int sleep_blindly(uint64_t deadline_ns) {
    uint64_t end = leat__os_now() + POLL_NS;
    leat__os_sleep(end < deadline_ns ? end : deadline_ns);
    return leat__os_now() < deadline_ns ? LEAT_OK : LEAT_ETIMEDOUT;
}

/* EAGAIN: the word had changed. EINTR: a signal handler ran. */
static int slept(long result, uint64_t deadline_ns) {
    if (result >= 0 || errno == EAGAIN)
        return LEAT_OK;
    if (errno == EINTR)
        return LEAT_EINTR;
    return errno == ETIMEDOUT ? LEAT_ETIMEDOUT : sleep_blindly(deadline_ns);
}

int leat__os_wait(const leat__u32 *word, uint32_t expected, uint64_t deadline_ns) {
    struct timespec deadline = leat__timespec_of(deadline_ns);
    return slept(syscall(SYS_futex, &word->word, FUTEX_WAIT_BITSET, expected,
                         deadline_ns == LEAT_FOREVER ? NULL : &deadline, NULL,
                         FUTEX_BITSET_MATCH_ANY),
                 deadline_ns);
}

#define WAIT_ANY_MAX 64

/* Where the system cannot sleep on several words: sleeps on the first one, briefly. */
static int sleep_on_first(const leat__u32 *const words[], const uint32_t expected[],
                          uint64_t deadline_ns) {
    uint64_t end = leat__os_now() + POLL_NS;
    int result = leat__os_wait(words[0], expected[0], end < deadline_ns ? end : deadline_ns);
    return result == LEAT_ETIMEDOUT && leat__os_now() < deadline_ns ? LEAT_OK : result;
}

int leat__os_wait_any(const leat__u32 *const words[], const uint32_t expected[], size_t count,
                      uint64_t deadline_ns) {
    if (count == 1)
        return leat__os_wait(words[0], expected[0], deadline_ns);
#if defined(SYS_futex_waitv) && defined(FUTEX_32)
    /* an old kernel (ENOSYS) or a filter, with any error, refuses it always */
    static _Atomic bool refused;
    struct futex_waitv waiters[WAIT_ANY_MAX];
    struct timespec deadline = leat__timespec_of(deadline_ns);
    for (size_t i = 0; i < count; i++)
        waiters[i] = (struct futex_waitv){
            .val = expected[i], .uaddr = (uintptr_t)&words[i]->word, .flags = FUTEX_32};
    if (!atomic_load_explicit(&refused, memory_order_relaxed)) {
        long result = syscall(SYS_futex_waitv, waiters, (unsigned)count, 0,
                              deadline_ns == LEAT_FOREVER ? NULL : &deadline, CLOCK_MONOTONIC);
        if (result >= 0 || errno == EAGAIN || errno == EINTR || errno == ETIMEDOUT)
            return slept(result, deadline_ns);
        if (errno != ENOMEM) /* that passes */
            atomic_store_explicit(&refused, true, memory_order_relaxed);
    }
#endif
    return sleep_on_first(words, expected, deadline_ns);
}

void leat__os_wake(const leat__u32 *word, bool all) {
    syscall(SYS_futex, &word->word, FUTEX_WAKE, all ? INT_MAX : 1, NULL, NULL, 0);
}

bool leat__os_barrier_register(void) {
    return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0) == 0;
}

bool leat__os_barrier_works(void) {
    long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    return commands > 0 && (commands & MEMBARRIER_CMD_GLOBAL_EXPEDITED) != 0;
}

bool leat__os_barrier(void) {
    return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) == 0;
}
