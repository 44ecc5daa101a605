/* lib/os/linux/pi.c - locks with priority inheritance: FUTEX_LOCK_PI and its kin (futex(2)), and the threads that they name. */
#include <errno.h>
#include <linux/futex.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "leat/error.h"
#include "lib/os.h"
#include "lib/os/linux/timespec.h"

_Static_assert(LEAT__PI_THREAD == FUTEX_TID_MASK && LEAT__PI_WAITERS == FUTEX_WAITERS && LEAT__PI_OWNER_DIED == FUTEX_OWNER_DIED,
               "the kernel's own word");

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13 /* as FUTEX_LOCK_PI, by the monotonic clock; Linux 5.14 */
#endif

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
    case EPERM: /* a thread of the kernel has its number now */
        return LEAT_ENOENT;
    default: /* a hand-over is under way (EINVAL), memory is short */
        return LEAT_EAGAIN;
    }
}

int leat__os_pi_lock(leat__u32 *word, uint64_t deadline_ns) {
    struct timespec deadline = leat__timespec_of(deadline_ns);
    long returned = syscall(SYS_futex, &word->word, FUTEX_LOCK_PI2, 0, &deadline, NULL, 0);
    if (returned != 0 && errno == ENOSYS) {
        uint64_t now = leat__os_now();
        deadline = leat__timespec_of(leat__os_wall_clock() + (deadline_ns > now ? deadline_ns - now : 0));
        returned = syscall(SYS_futex, &word->word, FUTEX_LOCK_PI, 0, &deadline, NULL, 0);
    }
    return result_of(returned);
}

int leat__os_pi_try(leat__u32 *word) {
    return result_of(syscall(SYS_futex, &word->word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
}

int leat__os_pi_unlock(leat__u32 *word) {
    return result_of(syscall(SYS_futex, &word->word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
}

bool leat__os_pi_works(void) {
    leat__u32 word = {0};
    return leat__os_pi_try(&word) == LEAT_OK;
}

uint64_t leat__os_thread_space(void) {
    struct stat status;
    return stat("/proc/self/ns/pid", &status) == 0 ? status.st_ino : 0;
}
