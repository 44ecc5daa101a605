/* lib/os/linux/pi.c - locks with priority inheritance: FUTEX_LOCK_PI and related operations
 * (futex(2)), and thread numbers. */
#include <errno.h>
#include <linux/futex.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/os/linux/timespec.h"
#include "lib/os/os.h"

_Static_assert(LEAT__PI_THREAD == FUTEX_TID_MASK && LEAT__PI_WAITERS == FUTEX_WAITERS &&
                   LEAT__PI_OWNER_DIED == FUTEX_OWNER_DIED,
               "the kernel's own word");

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13 /* as FUTEX_LOCK_PI, by the monotonic clock; Linux 5.14 */
#endif

static long request(leat__u32 *word, int operation, const struct timespec *deadline) {
    return syscall(SYS_futex, &word->word, operation, 0, deadline, NULL, 0);
}

/* Whether the kernel itself answers such questions: it must return EDEADLK for a word that has the
 * asking thread's number. A filter returns something else. */
static bool answers(void) {
    leat__u32 word = {leat__os_thread()};
    return request(&word, FUTEX_TRYLOCK_PI, NULL) != 0 && errno == EDEADLK;
}

/* ESRCH: no thread has the number, or the one that has it has ended. EPERM: a thread of the kernel
 * has it now. */
static bool is_gone(long returned) {
    return returned != 0 && (errno == ESRCH || errno == EPERM);
}

static int result_of(long returned) {
    if (returned == 0)
        return LEAT_OK;
    switch (errno) {
    case ETIMEDOUT:
        return LEAT_ETIMEDOUT;
    case EWOULDBLOCK:
        return LEAT_EBUSY;
    case EDEADLK:
        return LEAT_ESTATE;
    case ESRCH:
    case EPERM:
        return LEAT_ENOENT;
    /* EINVAL: the lock is just being passed on; ENOMEM; ENOSYS, EACCES: a filter. None of these is
     * an answer */
    default:
        return LEAT_EAGAIN;
    }
}

int leat__os_pi_lock(leat__u32 *word, uint64_t deadline_ns) {
    struct timespec deadline = leat__timespec_of(deadline_ns);
    long returned = request(word, FUTEX_LOCK_PI2, &deadline);
    if (returned != 0 && errno == ENOSYS) {
        uint64_t now = leat__os_now();
        deadline =
            leat__timespec_of(leat__os_wall_clock() + (deadline_ns > now ? deadline_ns - now : 0));
        returned = request(word, FUTEX_LOCK_PI, &deadline);
    }
    return result_of(returned);
}

int leat__os_pi_try(leat__u32 *word) {
    long returned = request(word, FUTEX_TRYLOCK_PI, NULL);
    if (!is_gone(returned))
        return result_of(returned);
    if (!answers()) /* a death counts if it is reported twice, by a kernel that answers */
        return LEAT_EAGAIN;
    return result_of(request(word, FUTEX_TRYLOCK_PI, NULL));
}

#define UNLOCK_TRIES 3 /* each may fail because there is no memory */

int leat__os_pi_unlock(leat__u32 *word) {
    int error = 0;
    for (int tries = 0; tries < UNLOCK_TRIES; tries++) {
        if (request(word, FUTEX_UNLOCK_PI, NULL) == 0)
            return LEAT_OK;
        error = errno;
        if ((leat__load_acquire32(word) & LEAT__PI_THREAD) != leat__os_thread())
            return leat__fail(LEAT_ECORRUPT, error, "its word names another thread than its owner");
    }
    return leat__fail_system(error, "the system does not release it");
}

bool leat__os_pi_works(void) {
    leat__u32 word = {0};
    return leat__os_pi_try(&word) == LEAT_OK;
}

uint64_t leat__os_thread_space(void) {
    struct stat status;
    return stat("/proc/self/ns/pid", &status) == 0 ? status.st_ino : 0;
}
