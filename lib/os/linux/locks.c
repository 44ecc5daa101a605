/* lib/os/linux/locks.c - locks that the kernel drops when their holder dies: those of open files (fcntl(2), F_OFD_SETLK).
 *
 * A user of an object holds a byte of its own, at random in a range so large that no two have the same: so that users can be counted. The kernel tells of
 * one lock that stands in the way of a range, whichever it likes; asking about less and less of the range finds the first one, and then
 * the next. A shared lock will do, so that users who may only read are counted too. */
#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>

#include "lib/fail.h"
#include "lib/os.h"

#define LOCK_BASE ((off_t)1 << 62) /* beyond any content, so that no lock of another program on the content conflicts */
#define USERS_BASE (LOCK_BASE + ((off_t)1 << 48))
#define USERS_RANGE ((off_t)1 << 48)
#define USERS_MOST 100000 /* counted: more is a joke of somebody's */

int leat__os_lock(leat__file file, unsigned byte, enum leat__lock_mode mode) {
    static const short types[] = {[LEAT__UNLOCKED] = F_UNLCK, [LEAT__SHARED] = F_RDLCK, [LEAT__EXCLUSIVE] = F_WRLCK};
    struct flock lock = {.l_type = types[mode], .l_whence = SEEK_SET, .l_start = LOCK_BASE + (off_t)byte, .l_len = 1};
    while (fcntl(file, F_OFD_SETLK, &lock) != 0) {
        if (errno == EAGAIN || errno == EACCES)
            return LEAT_EBUSY;
        if (errno != EINTR)
            return leat__fail_system(errno, "cannot lock byte %u of the object", byte);
    }
    return LEAT_OK;
}

bool leat__os_locked(leat__file file, unsigned byte) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = LOCK_BASE + (off_t)byte, .l_len = 1};
    return fcntl(file, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* --- Users -------------------------------------------------------------------------------------------------------------- */

static off_t random_place(void) {
    uint64_t number;
    if (getrandom(&number, sizeof number, GRND_NONBLOCK) != (ssize_t)sizeof number)
        number = leat__os_now() * UINT64_C(0x9e3779b97f4a7c15) + leat__os_process(); /* in the first seconds of a machine */
    return (off_t)(number % (uint64_t)USERS_RANGE);
}

int leat__os_user_begin(leat__file file) {
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = USERS_BASE + random_place(), .l_len = 1};
    return fcntl(file, F_OFD_SETLK, &lock) == 0 ? LEAT_OK : leat__fail_system(errno, "cannot lock the file");
}

void leat__os_user_end(leat__file file) {
    struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = USERS_BASE, .l_len = USERS_RANGE};
    (void)fcntl(file, F_OFD_SETLK, &lock);
}

/* A lock of somebody else's in [start, end), any of them. */
static bool find_user(leat__file file, off_t start, off_t end, off_t *place) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = end - start};
    if (start >= end || fcntl(file, F_OFD_GETLK, &lock) != 0 || lock.l_type == F_UNLCK)
        return false;
    *place = lock.l_start < start ? start : lock.l_start;
    return true;
}

bool leat__os_has_users(leat__file file) {
    off_t unused;
    return find_user(file, USERS_BASE, USERS_BASE + USERS_RANGE, &unused);
}

uint32_t leat__os_count_users(leat__file file) {
    uint32_t users = 0;
    off_t start = USERS_BASE, end = USERS_BASE + USERS_RANGE, found;
    for (; users < USERS_MOST && find_user(file, start, end, &found); users++) {
        for (off_t first = found; find_user(file, start, first, &found);) /* nearer and nearer to the first */
            first = found;
        start = found + 1;
    }
    return users;
}
