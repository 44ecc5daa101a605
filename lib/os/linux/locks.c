/* lib/os/linux/locks.c - locks that the kernel drops when their holder dies: those of open files
 * (fcntl(2), F_OFD_SETLK).
 *
 * Every handle on an object holds one byte of its own, its place. So a process that locks all
 * places at once knows that there is no other handle, and keeps new ones out; the kernel decides
 * both in one step.
 *
 * Errors. EAGAIN means that another open file holds the byte (POSIX allows EACCES too, which Linux
 * returns only where a security module forbids the lock). EINTR is tried again, a hundred times.
 * All other errors (ENOLCK and ENOMEM: the kernel has no memory for the request; EACCES, EPERM,
 * ENOSYS: a policy or a filter forbids it; EIO) mean that there is no answer: the caller gets
 * LEAT__UNKNOWN or an error, and must not take it for "free". Such a failure often passes, so a few
 * tries are made here. */
#include <errno.h>
#include <stddef.h>

#include "lib/base/fail.h"
#include "lib/os/linux/calls.h"

/* beyond any content, so that no lock of another program on the content conflicts */
#define LOCK_BASE ((off_t)1 << 62)
#define PLACES_BASE (LOCK_BASE + LEAT__FIRST_PLACE)
#define PLACES_END (LOCK_BASE + ((off_t)1 << 49))
#define USERS_BASE (LOCK_BASE + ((off_t)1 << 48))
#define USERS_RANGE ((off_t)1 << 48)
/* while counting: an open file with more than some thousand bytes costs no more than that */
#define QUERIES_MOST 4096
#define TRIES 3

/* 0, EAGAIN when another open file's lock conflicts, or an error. */
static int change(leat__file file, short type, off_t start, off_t length) {
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    unsigned interrupted = 0;
    for (int tries = 0;;) {
        if (leat__linux_control(file, F_OFD_SETLK, &lock) == 0)
            return 0;
        if (errno == EAGAIN)
            return EAGAIN;
        if (!leat__linux_again(&interrupted) && ++tries == TRIES)
            return errno;
    }
}

/* Whether another open file's lock conflicts with one of this type; the lock is in *lock, an error
 * in errno. */
static enum leat__answer ask(leat__file file, struct flock *lock) {
    const struct flock question = *lock;
    unsigned interrupted = 0;
    for (int tries = 0;;) {
        *lock = question;
        if (leat__linux_control(file, F_OFD_GETLK, lock) == 0)
            return lock->l_type == F_UNLCK ? LEAT__NO : LEAT__YES;
        if (!leat__linux_again(&interrupted) && ++tries == TRIES)
            return LEAT__UNKNOWN;
    }
}

int leat__os_lock(leat__file file, unsigned byte, enum leat__lock_mode mode) {
    static const short types[] = {
        [LEAT__UNLOCKED] = F_UNLCK, [LEAT__SHARED] = F_RDLCK, [LEAT__EXCLUSIVE] = F_WRLCK};
    int error = change(file, types[mode], LOCK_BASE + (off_t)byte, 1);
    if (error == EAGAIN)
        return LEAT_EBUSY;
    if (error == EOPNOTSUPP || error == EINVAL)
        return leat__fail(LEAT_ENOTSUP, error, "the file system has no locks of open files");
    if (error == ENOSYS) /* a filter: for this process only */
        return leat__fail(LEAT_EACCES, error, "this process may not lock files");
    return error == 0 ? LEAT_OK
                      : leat__fail_system(error, "cannot lock byte %u of the object", byte);
}

enum leat__answer leat__os_find_locked(leat__file file, unsigned byte, unsigned count,
                                       unsigned *which) {
    /* Asks for a shared lock, as a reader would: only exclusive locks conflict, which need write
     * permission. Shared locks, which need only read permission, do not count. */
    const off_t start = LOCK_BASE + (off_t)byte;
    struct flock lock = {
        .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = (off_t)count};
    enum leat__answer found = ask(file, &lock);
    if (found == LEAT__YES)
        *which = lock.l_start < start ? byte : (unsigned)(lock.l_start - LOCK_BASE);
    return found;
}

enum leat__answer leat__os_locked(leat__file file, unsigned byte, unsigned count) {
    unsigned unused;
    return leat__os_find_locked(file, byte, count, &unused);
}

int leat__os_lock_all(leat__file file) {
    int error = change(file, F_WRLCK, PLACES_BASE, PLACES_END - PLACES_BASE);
    if (error == EAGAIN)
        return LEAT_EBUSY;
    return error == 0 ? LEAT_OK : leat__fail_system(error, "cannot lock the object");
}

static int unlock_others(leat__file file, off_t place) {
    int error = place == PLACES_BASE ? 0 : change(file, F_UNLCK, PLACES_BASE, place - PLACES_BASE);
    return error == 0 ? change(file, F_UNLCK, place + 1, PLACES_END - place - 1) : error;
}

int leat__os_unlock_others(leat__file file, unsigned byte) {
    int error = unlock_others(file, LOCK_BASE + (off_t)byte);
    return error == 0 ? LEAT_OK : leat__fail_system(error, "cannot unlock the object");
}

void leat__os_unlock_all(leat__file file) {
    if (file != LEAT__NO_FILE)
        /* if that fails, closing drops the locks, unless a child has the file too */
        (void)change(file, F_UNLCK, LOCK_BASE, 0);
}

/* --- Users ------------------------------------------------------------------------------------ */

static uint64_t random_number(void) {
    uint64_t number;
    if (leat__linux_getrandom(&number, sizeof number, GRND_NONBLOCK) != (ssize_t)sizeof number)
        /* in the first seconds of a machine */
        number = leat__os_now() * UINT64_C(0x9e3779b97f4a7c15) + leat__os_process();
    return number;
}

uint32_t leat__os_random(void) {
    return (uint32_t)random_number();
}

static off_t random_place(void) {
    return (off_t)(random_number() % (uint64_t)USERS_RANGE);
}

int leat__os_user_begin(leat__file file, bool alone) {
    off_t place = USERS_BASE + random_place();
    int error = change(file, F_RDLCK, place, 1);
    if (error == 0 && alone)
        error = unlock_others(file, place);
    if (error == EAGAIN)
        return LEAT_EBUSY;
    return error == 0 ? LEAT_OK : leat__fail_system(error, "cannot lock the file");
}

/* Any lock of another open file in [start, end). */
static enum leat__answer find_user(leat__file file, off_t start, off_t end, off_t *place) {
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = end - start};
    if (start >= end)
        return LEAT__NO;
    enum leat__answer found = ask(file, &lock);
    if (found == LEAT__YES)
        *place = lock.l_start < start ? start : lock.l_start;
    return found;
}

enum leat__answer leat__os_has_users(leat__file file) {
    off_t unused;
    return find_user(file, PLACES_BASE + 1, PLACES_END, &unused);
}

/* The kernel reports any one of the locks that conflict with a range. Asking about smaller and
 * smaller parts of the range finds the first lock, and then the next. */
int leat__os_count_users(leat__file file, uint32_t *users) {
    off_t start = PLACES_BASE + 1, end = PLACES_END, found = 0, nearer;
    enum leat__answer answer = LEAT__YES;
    *users = 0;
    for (unsigned queries = 0; queries < QUERIES_MOST; queries++) {
        answer = find_user(file, start, end, &found);
        if (answer != LEAT__YES)
            break;
        while (queries++ < QUERIES_MOST &&
               (answer = find_user(file, start, found, &nearer)) == LEAT__YES)
            found = nearer;
        if (answer == LEAT__UNKNOWN)
            break;
        ++*users;
        start = found + 1;
    }
    return answer == LEAT__UNKNOWN ? leat__fail_system(errno, "cannot ask who uses the object")
                                   : LEAT_OK;
}
