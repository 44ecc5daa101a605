/* lib/os/linux/space.c - space for files, reserved before it is promised (lib/os/linux/space.h,
 * lib/os/os.h).
 *
 * Growing never shrinks: sizes are only changed by fallocate, which extends a file or does not
 * change its size. So two processes that grow a file at once, one of them without a lock, end with
 * the larger size. The new bytes are first reserved behind the end of the file, and only then does
 * the size change: a full disk leaves it as it was (ext4 would extend the file as far as there is
 * room). lib/os/linux/room.c also checks memory before it is taken.
 */
#include "lib/os/linux/space.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/os/linux/calls.h"

/* bytes; the check takes as long as clearing some hundred KiB */
#define WORTH_A_LOOK (UINT64_C(1) << 20)

static int fail_for_space(int error, leat__file file, uint64_t size) {
    struct statvfs space;
    /* memfds are on a file system without a limit of its own */
    if (fstatvfs(file, &space) != 0 || space.f_blocks == 0)
        return leat__fail_system(error, "%llu bytes wanted", (unsigned long long)size);
    return leat__fail_system(error, "%llu bytes wanted, %llu of %llu free",
                             (unsigned long long)size,
                             (unsigned long long)space.f_bavail * space.f_frsize,
                             (unsigned long long)space.f_blocks * space.f_frsize);
}

/* The kernel kills a process with SIGXFSZ that grows a file beyond its limit: checks before. */
static int check_limits(uint64_t size) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        size > limit.rlim_cur)
        return leat__fail(LEAT_ENOSPC, EFBIG,
                          "%llu bytes wanted, the process may make files of %llu (RLIMIT_FSIZE)",
                          (unsigned long long)size, (unsigned long long)limit.rlim_cur);
    if (size > INT64_MAX)
        return leat__fail(LEAT_ENOSPC, EFBIG, "%llu bytes wanted", (unsigned long long)size);
    return LEAT_OK;
}

/* Files in memory accept everything until the kernel kills a process. */
static int check_memory(leat__file file, uint64_t size) {
    struct statfs system;
    struct sysinfo machine;
    char figures[400] = "";
    bool in_memory = size >= WORTH_A_LOOK && fstatfs(file, &system) == 0 &&
                     (system.f_type == TMPFS_MAGIC || system.f_type == RAMFS_MAGIC);
    if (!in_memory)
        return LEAT_OK;
    uint64_t free = sysinfo(&machine) == 0 ? (uint64_t)machine.freeram * machine.mem_unit : 0;
    const struct leat__linux_sources sources = {"/proc", "/sys/fs/cgroup", free};
    if (leat__linux_has_room(&sources, size, figures, sizeof figures))
        return LEAT_OK;
    return leat__fail(LEAT_ENOSPC, ENOSPC, "%llu bytes wanted, %s", (unsigned long long)size,
                      figures);
}

/* Checks without trying: if a reservation fails half-way, the reserved part can stay until the
 * file's end. */
static int check_space(leat__file file, uint64_t size) {
    struct statvfs space;
    if (fstatvfs(file, &space) == 0 && space.f_blocks > 0 &&
        size > space.f_bfree * (uint64_t)space.f_frsize)
        return fail_for_space(ENOSPC, file, size);
    return check_memory(file, size);
}

/* tmpfs drops a reservation at every signal and starts anew, so a fast timer could prevent its end:
 * from the second try on signals wait. */
static int allocate(leat__file file, int mode, uint64_t offset, uint64_t size) {
    if (leat__linux_fallocate(file, mode, (off_t)offset, (off_t)size) == 0)
        return 0;
    if (errno != EINTR)
        return errno;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = leat__linux_fallocate(file, mode, (off_t)offset, (off_t)size) == 0 ? 0 : errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

/* Where the file system cannot reserve, zeros are written. */
static int extend(leat__file file, uint64_t offset, uint64_t size) {
    int error = allocate(file, 0, offset, size);
    return error == EOPNOTSUPP ? leat__linux_posix_fallocate(file, (off_t)offset, (off_t)size)
                               : error;
}

int leat__linux_reserve(leat__file file, uint64_t size) {
    int result = check_limits(size);
    if (result == LEAT_OK)
        result = check_space(file, size);
    if (result != LEAT_OK)
        return result;
    int error = extend(file, 0, size);
    return error == 0 ? LEAT_OK : fail_for_space(error, file, size);
}

/* On tmpfs the bytes behind the end of the file in its last page may be anything, and views are
 * whole pages. */
static int clear_behind_end(leat__file file, uint64_t end, uint64_t size) {
    static const char zeros[4096];
    uint64_t page = leat__os_page_size(), rest = (page - end % page) % page;
    if (rest > size - end)
        rest = size - end;
    for (int result = LEAT_OK; rest > 0;) {
        size_t some = rest < sizeof zeros ? (size_t)rest : sizeof zeros;
        result = leat__os_file_write(file, end, zeros, some);
        if (result != LEAT_OK)
            return result;
        end += some;
        rest -= some;
    }
    return LEAT_OK;
}

int leat__os_file_grow(leat__file file, uint64_t size) {
    struct stat status;
    if (fstat(file, &status) != 0)
        return leat__fail_system(errno, "cannot get the file's status");
    uint64_t end = (uint64_t)status.st_size;
    int result = size <= end ? LEAT_OK : check_limits(size);
    if (size <= end || result != LEAT_OK)
        return result;
    result = check_space(file, size - end);
    if (result != LEAT_OK)
        return result;
    int error = allocate(file, FALLOC_FL_KEEP_SIZE, end, size - end);
    if (error != 0 && error != EOPNOTSUPP)
        return fail_for_space(error, file, size - end);
    result = clear_behind_end(file, end, size);
    if (result != LEAT_OK)
        return result;
    error = extend(file, end, size - end);
    return error == 0 ? LEAT_OK : fail_for_space(error, file, size - end);
}
