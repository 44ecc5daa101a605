/* lib/os/linux/file.c - directories, files and their locks on Linux.
 *
 * Objects are files on tmpfs. A new one is made without a name (O_TMPFILE), filled, and then linked to its name in one step, so
 * that a crash before leaves nothing and nobody sees half of it. "Dies with its last user" is kept in the file's sticky bit,
 * which has no other meaning for files on Linux and shows as a T, for temporary, in `ls -l`; other programs do not set it, so
 * what they made is never removed. Locks are open-file-description locks: dropped by the kernel however a process ends.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fail.h"
#include "lib/os.h"
#include "lib/os/linux/space.h"

#define SHARED_MEMORY "/dev/shm"

uint32_t leat__os_user(void) {
    return (uint32_t)geteuid();
}

uint32_t leat__os_process(void) {
    return (uint32_t)getpid();
}

/* --- Directories ---------------------------------------------------------------------------------------------------- */

void leat__os_directory_path(leat_scope scope, char *path, size_t size) {
    const char *chosen = secure_getenv("LEAT_DIR");
    if (scope == LEAT_GLOBAL)
        snprintf(path, size, "%s", SHARED_MEMORY);
    else if (chosen != NULL && chosen[0] != 0)
        snprintf(path, size, "%s", chosen);
    else
        snprintf(path, size, "%s/leat-%u", SHARED_MEMORY, (unsigned)geteuid());
}

/* In a directory that others may write to or that others own, they could swap objects under us. */
static int check_private(leat__file directory, const char *path) {
    struct stat status;
    if (fstat(directory, &status) != 0)
        return leat__fail_system(errno, "%s", path);
    if (status.st_uid != geteuid())
        return leat__fail(LEAT_EUNTRUSTED, 0, "the directory %s belongs to user %u, not to %u", path,
                          (unsigned)status.st_uid, (unsigned)geteuid());
    if ((status.st_mode & 077) != 0)
        return leat__fail(LEAT_EUNTRUSTED, 0, "the directory %s is open to others (mode %04o, must be 0700)", path,
                          (unsigned)(status.st_mode & 07777));
    return LEAT_OK;
}

int leat__os_directory_open(leat_scope scope, bool make, leat__file *directory) {
    char path[4096];
    leat__os_directory_path(scope, path, sizeof path);
    if (path[0] != '/')
        return leat__fail(LEAT_EINVAL, 0, "LEAT_DIR must be an absolute path, it is '%s'", path);
    if (scope == LEAT_LOCAL && make && mkdir(path, 0700) != 0 && errno != EEXIST)
        return leat__fail_system(errno, "cannot make the directory %s", path);
    leat__file opened = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (scope == LEAT_LOCAL ? O_NOFOLLOW : 0));
    if (opened < 0)
        return leat__fail_system(errno, "cannot open the directory %s", path);
    int result = scope == LEAT_LOCAL ? check_private(opened, path) : LEAT_OK;
    if (result != LEAT_OK) {
        close(opened);
        return result;
    }
    *directory = opened;
    return LEAT_OK;
}

int leat__os_directory_list(leat__file directory, int (*visit)(const char *file_name, void *context), void *context) {
    int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* fdopendir takes its descriptor over */
    DIR *stream = copy < 0 ? NULL : fdopendir(copy);
    if (stream == NULL) {
        int error = errno;
        if (copy >= 0)
            close(copy);
        return leat__fail_system(error, "cannot list the directory");
    }
    int result = 0;
    for (struct dirent *entry; result == 0 && (entry = readdir(stream)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            result = visit(entry->d_name, context);
    closedir(stream);
    return result;
}

/* --- Files ---------------------------------------------------------------------------------------------------------- */

int leat__os_file_create(leat__file directory, uint32_t permissions, bool temporary, uint64_t size, leat__file *file) {
    leat__file made = openat(directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (made < 0)
        return leat__fail_system(errno, "cannot create a file in the directory");
    int result = leat__os_file_permit(made, permissions, temporary);
    if (result == LEAT_OK)
        result = leat__linux_reserve(made, size);
    if (result != LEAT_OK)
        close(made);
    else
        *file = made;
    return result;
}

int leat__os_file_permit(leat__file file, uint32_t permissions, bool temporary) {
    if (fchmod(file, (mode_t)((permissions & 0777) | (temporary ? S_ISVTX : 0))) != 0)
        return leat__fail_system(errno, "cannot set permissions %03o", (unsigned)permissions);
    return LEAT_OK;
}

int leat__os_file_publish(leat__file directory, leat__file file, const char *file_name) {
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", file);
    if (linkat(AT_FDCWD, self, directory, file_name, AT_SYMLINK_FOLLOW) == 0)
        return LEAT_OK;
    if (errno == ENOENT && linkat(file, "", directory, file_name, AT_EMPTY_PATH) == 0) /* no /proc: needs privilege */
        return LEAT_OK;
    return leat__fail_system(errno, "cannot give the new object its name");
}

int leat__os_file_open(leat__file directory, const char *file_name, bool writable, leat__file *file) {
    leat__file opened =
        openat(directory, file_name, (writable ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (opened < 0 && errno == ELOOP)
        return leat__fail_system(ELOOP, "a symbolic link stands there");
    if (opened < 0)
        return leat__fail_system(errno, writable ? "cannot open for reading and writing" : "cannot open for reading");
    *file = opened;
    return LEAT_OK;
}

void leat__os_file_close(leat__file file) {
    if (file != LEAT__NO_FILE)
        close(file);
}

int leat__os_file_status(leat__file file, struct leat__file_status *status) {
    struct stat raw;
    if (fstat(file, &raw) != 0)
        return leat__fail_system(errno, "cannot get the file's status");
    *status = (struct leat__file_status){
        .device = raw.st_dev,
        .inode = raw.st_ino,
        .size = (uint64_t)raw.st_size,
        .owner = (uint32_t)raw.st_uid,
        .permissions = (uint32_t)raw.st_mode & 0777,
        .regular = S_ISREG(raw.st_mode),
        .temporary = (raw.st_mode & S_ISVTX) != 0,
        .linked = raw.st_nlink != 0,
    };
    return LEAT_OK;
}

int leat__os_file_remove(leat_scope scope, const char *file_name, leat__file file) {
    char path[4096 + LEAT__FILE_NAME_SIZE];
    leat__os_directory_path(scope, path, 4096);
    size_t length = strlen(path);
    snprintf(path + length, sizeof path - length, "/%s", file_name);
    struct stat named, own;
    if (lstat(path, &named) != 0 || fstat(file, &own) != 0)
        return LEAT_OK;
    if (named.st_ino != own.st_ino || named.st_dev != own.st_dev)
        return LEAT_OK;
    return unlink(path) == 0 ? LEAT_OK : leat__fail_system(errno, "cannot remove the name");
}

int leat__os_name_remove(leat__file directory, const char *file_name) {
    return unlinkat(directory, file_name, 0) == 0 ? LEAT_OK : leat__fail_system(errno, "cannot remove the name");
}

int leat__os_file_read(leat__file file, uint64_t offset, void *buffer, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t got = pread(file, (char *)buffer + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return leat__fail_system(errno, "cannot read");
        if (got == 0)
            return leat__fail(LEAT_ECORRUPT, 0, "the file ends at byte %llu", (unsigned long long)(offset + done));
        done += (size_t)got;
    }
    return LEAT_OK;
}

int leat__os_file_write(leat__file file, uint64_t offset, const void *data, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t put = pwrite(file, (const char *)data + done, size - done, (off_t)(offset + done));
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return leat__fail_system(errno, "cannot write");
        done += (size_t)put;
    }
    return LEAT_OK;
}
