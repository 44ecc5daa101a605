/* lib/os/linux/file.c - files of objects on Linux; their directories are in directory.c.
 *
 * Objects are files on tmpfs. A new file is made without a name (O_TMPFILE), filled, and then
 * linked to its name in one step, so that a crash before leaves nothing and no process sees half of
 * it. "Dies with its last user" is recorded beside the content, in an extended attribute, which
 * chmod(2) does not change. Other programs do not set it, so their files are never removed. Where
 * the file system has no such attributes for users (tmpfs before Linux 6.6), the sticky bit
 * replaces it, which has no other meaning for files and shows as a T in `ls -l`. Locks are
 * open-file-description locks: dropped by the kernel however a process ends.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "lib/base/fail.h"
#include "lib/os/linux/calls.h"
#include "lib/os/linux/space.h"

#define TEMPORARY "user.leat.temporary"
#define ATTRIBUTE_TRIES 3 /* want of memory often passes */

int leat__os_file_create(leat__file directory, uint32_t permissions, bool temporary, uint64_t size,
                         leat__file *file) {
    leat__file made = leat__linux_openat(directory, ".", O_TMPFILE | O_RDWR, 0600);
    if (made < 0)
        return leat__fail_system(errno, "cannot create a file in the directory");
    int result = leat__os_file_permit(made, permissions, temporary);
    if (result == LEAT_OK)
        result = leat__linux_reserve(made, size);
    if (result != LEAT_OK)
        leat__os_file_close(made);
    else
        *file = made;
    return result;
}

/* Whether files have no such attributes: the file system has none, or a filter does not know the
 * call. */
static bool has_none(int error) {
    return error == EOPNOTSUPP || error == ENOSYS;
}

/* Whether the attribute marks the file as temporary. Without attributes, and where the permissions
 * forbid its owner to read it, the sticky bit decides. Any other error is no answer: LEAT__UNKNOWN,
 * and errno. */
static enum leat__answer is_temporary(leat__file file, mode_t mode) {
    ssize_t size = -1;
    for (int tries = 0; size < 0 && tries < ATTRIBUTE_TRIES; tries++) {
        size = fgetxattr(file, TEMPORARY, NULL, 0);
        if (size < 0 && (errno == ENODATA || has_none(errno) || errno == EACCES))
            break;
    }
    if (size >= 0)
        return LEAT__YES;
    if (errno == ENODATA)
        return LEAT__NO;
    if ((mode & S_ISVTX) != 0 && (has_none(errno) || errno == EACCES))
        return LEAT__YES;
    return has_none(errno) ? LEAT__NO : LEAT__UNKNOWN;
}

#define PERMITTED_TRIES 5

/* The permissions may forbid that to the owner: a umask can have removed all of them. */
int leat__linux_set_attribute(int file, const char *name, const void *value, size_t size) {
    struct stat status;
    if (fsetxattr(file, name, value, size, 0) == 0)
        return 0;
    if (errno != EACCES || leat__linux_status(file, "", AT_EMPTY_PATH, &status) != 0 ||
        fchmod(file, (status.st_mode & 07777) | 0600) != 0)
        return -1;
    int result = fsetxattr(file, name, value, size, 0), error = errno;
    (void)fchmod(file, status.st_mode & 07777);
    errno = error;
    return result;
}

int leat__os_file_permit(leat__file file, uint32_t permissions, bool temporary) {
    if (temporary && leat__linux_set_attribute(file, TEMPORARY, "", 0) != 0 && !has_none(errno) &&
        errno != EPERM)
        return leat__fail_system(errno, "cannot record that the object dies with its last user");
    if (fchmod(file, (mode_t)((permissions & 0777) | (temporary ? S_ISVTX : 0))) != 0)
        return leat__fail_system(errno, "cannot set permissions %03o", (unsigned)permissions);
    return LEAT_OK;
}

int leat__os_file_renew(leat__file file, uint64_t size) {
    if (ftruncate(file, 0) != 0)
        return leat__fail_system(errno, "cannot clear the file");
    if (fremovexattr(file, LEAT__NOTE) != 0 && errno != ENODATA && !has_none(errno))
        return leat__fail_system(errno, "cannot remove the type of what was there before");
    return leat__linux_reserve(file, size);
}

int leat__os_file_publish(leat__file directory, leat__file file, const char *file_name) {
    char self[LEAT__PROC_PATH];
    if (linkat(AT_FDCWD, leat__linux_proc_descriptor(self, file), directory, file_name,
               AT_SYMLINK_FOLLOW) == 0)
        return LEAT_OK;
    /* no /proc: needs privilege */
    if (errno == ENOENT && linkat(file, "", directory, file_name, AT_EMPTY_PATH) == 0)
        return LEAT_OK;
    return leat__fail_system(errno, "cannot give the new object its name");
}

#define OPENED_FLAGS (O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)

int leat__os_file_open(leat__file directory, const char *file_name, bool writable,
                       leat__file *file) {
    leat__file opened =
        leat__linux_openat(directory, file_name, (writable ? O_RDWR : O_RDONLY) | OPENED_FLAGS, 0);
    if (opened < 0 && errno == ELOOP)
        return leat__fail_system(ELOOP, "a symbolic link stands there");
    if (opened < 0)
        return leat__fail_system(errno, writable ? "cannot open for reading and writing"
                                                 : "cannot open for reading");
    *file = opened;
    return LEAT_OK;
}

/* Opens a file whose permissions forbid it to the owner: adds the owner's missing bits, and removes
 * them again. Another process of the owner may do the same at this moment: each removes the bits
 * that it has added, and the caller tries again after LEAT__NO_FILE with EACCES. */
static leat__file open_with_bits(int file, const char *self) {
    struct stat status;
    if (leat__linux_status(file, "", AT_EMPTY_PATH, &status) != 0)
        return LEAT__NO_FILE;
    mode_t added = 0600 & ~status.st_mode;
    if (added != 0 && chmod(self, (status.st_mode & 07777) | added) != 0)
        return LEAT__NO_FILE;
    leat__file opened = leat__linux_openat(AT_FDCWD, self, O_RDWR | O_NONBLOCK | O_NOCTTY, 0);
    int error = errno;
    if (added != 0 && leat__linux_status(file, "", AT_EMPTY_PATH, &status) == 0)
        (void)chmod(self, (status.st_mode & 07777) & ~added);
    errno = error;
    return opened;
}

leat__file leat__linux_open_permitted(int file) {
    char self[LEAT__PROC_PATH];
    struct stat status;
    leat__linux_proc_descriptor(self, file);
    if (leat__linux_status(file, "", AT_EMPTY_PATH, &status) != 0 || !S_ISREG(status.st_mode) ||
        status.st_uid != leat__os_user())
        return LEAT__NO_FILE;
    bool marked = (status.st_mode & S_ISVTX) != 0 || getxattr(self, TEMPORARY, NULL, 0) >= 0;
    if (!marked && errno != EACCES) /* not an object of leat */
        return LEAT__NO_FILE;
    leat__file opened = LEAT__NO_FILE;
    for (int tries = 0; opened < 0 && tries < PERMITTED_TRIES && (tries == 0 || errno == EACCES);
         tries++)
        opened = open_with_bits(file, self);
    /* could not be read before */
    if (opened >= 0 && !marked && fgetxattr(opened, TEMPORARY, NULL, 0) < 0) {
        leat__linux_close(opened);
        return LEAT__NO_FILE;
    }
    return opened;
}

int leat__os_file_open_own(leat__file directory, const char *file_name, leat__file *file) {
    int result = leat__os_file_open(directory, file_name, true, file);
    if (result != LEAT_EACCES)
        return result;
    int error = leat_system_error();
    leat__file path = leat__linux_open_plain(directory, file_name, O_PATH | O_NOFOLLOW);
    leat__file opened = path >= 0 ? leat__linux_open_permitted(path) : LEAT__NO_FILE;
    if (path >= 0)
        leat__linux_close(path);
    if (opened < 0)
        return leat__fail_system(error, "cannot open for reading and writing");
    *file = opened;
    return LEAT_OK;
}

/* Converts the result of statx(2) to a struct stat, as the other calls return it. */
int leat__linux_status(int directory, const char *path, int flags, struct stat *status) {
#ifdef STATX_BASIC_STATS
    struct statx raw;
    if (syscall(SYS_statx, directory, path, flags, STATX_BASIC_STATS, &raw) == 0) {
        *status = (struct stat){
            .st_dev = makedev(raw.stx_dev_major, raw.stx_dev_minor),
            .st_ino = raw.stx_ino,
            .st_mode = raw.stx_mode,
            .st_nlink = raw.stx_nlink,
            .st_uid = raw.stx_uid,
            .st_size = (off_t)raw.stx_size,
        };
        return 0;
    }
    if (errno != ENOSYS && errno != EPERM) /* an old kernel, or an old filter */
        return -1;
#endif
    return fstatat(directory, path, status, flags);
}

static struct leat__file_status status_of(const struct stat *raw) {
    return (struct leat__file_status){
        .device = raw->st_dev,
        .inode = raw->st_ino,
        .size = (uint64_t)raw->st_size,
        .owner = (uint32_t)raw->st_uid,
        .permissions = (uint32_t)raw->st_mode & 0777,
        .regular = S_ISREG(raw->st_mode),
        .linked = raw->st_nlink != 0,
    };
}

int leat__os_file_status(leat__file file, struct leat__file_status *status) {
    struct stat raw;
    if (leat__linux_status(file, "", AT_EMPTY_PATH, &raw) != 0)
        return leat__fail_system(errno, "cannot get the file's status");
    *status = status_of(&raw);
    enum leat__answer temporary = status->regular ? is_temporary(file, raw.st_mode) : LEAT__NO;
    if (temporary == LEAT__UNKNOWN)
        return leat__fail_system(errno, "cannot read whether the object dies with its last user");
    status->temporary = temporary == LEAT__YES;
    return LEAT_OK;
}

int leat__os_file_status_plain(leat__file file, struct leat__file_status *status) {
    struct stat raw;
    if (leat__linux_status(file, "", AT_EMPTY_PATH, &raw) != 0)
        return leat__fail_system(errno, "cannot get the file's status");
    *status = status_of(&raw);
    return LEAT_OK;
}

int leat__os_name_status(leat__file directory, const char *file_name,
                         struct leat__file_status *status) {
    struct stat raw;
    if (leat__linux_status(directory, file_name, AT_SYMLINK_NOFOLLOW, &raw) != 0)
        return leat__fail_system(errno, "cannot get the file's status");
    *status = status_of(&raw);
    return LEAT_OK;
}

int leat__os_file_remove(leat__file directory, const char *file_name, leat__file file) {
    struct stat named, own;
    if (leat__linux_status(file, "", AT_EMPTY_PATH, &own) != 0)
        return leat__fail_system(errno, "cannot get the file's status");
    if (leat__linux_status(directory, file_name, AT_SYMLINK_NOFOLLOW, &named) != 0)
        return errno == ENOENT ? LEAT_OK
                               : leat__fail_system(errno, "cannot get the status of the name");
    if (named.st_ino != own.st_ino || named.st_dev != own.st_dev)
        return LEAT_OK;
    return leat__os_name_remove(directory, file_name);
}

int leat__os_name_remove(leat__file directory, const char *file_name) {
    return unlinkat(directory, file_name, 0) == 0
               ? LEAT_OK
               : leat__fail_system(errno, "cannot remove the name");
}
