/* lib/os/linux/peek.c - reads a file without waking processes that watch it (inotify reports
 * read(2), but not access to mapped memory).
 *
 * The kernel copies out of the mapping, through a pipe. Where the file has become shorter
 * meanwhile, the kernel returns EFAULT; a copy by the process itself would be killed.
 * process_vm_readv(2) needs no pipe, but it is the call that reads other processes, which this
 * library never makes: filters refuse it, and reviewers ask about it. */
#include "lib/base/fail.h"
#include "lib/os/linux/calls.h"

static bool copy_by_kernel(const void *from, void *to, size_t size) {
    int ends[2];
    if (!leat__linux_pipe(ends))
        return false;
    bool copied = leat__linux_write(ends[1], from, size) == (ssize_t)size &&
                  leat__linux_read(ends[0], to, size) == (ssize_t)size;
    leat__os_file_close(ends[0]);
    leat__os_file_close(ends[1]);
    return copied;
}

static bool copy_mapped(leat__file file, uint64_t offset, void *buffer, size_t size) {
    uint64_t before = offset % (uint64_t)sysconf(_SC_PAGESIZE);
    size_t length = (size_t)before + size;
    char *mapped = mmap(NULL, length, PROT_READ, MAP_SHARED, file, (off_t)(offset - before));
    if (mapped == MAP_FAILED)
        return false;
    bool copied = copy_by_kernel(mapped + before, buffer, size);
    munmap(mapped, length);
    return copied;
}

/* Where that cannot be done, or the file is too short, read(2) reads it, or returns the error. */
int leat__os_file_peek(leat__file file, uint64_t offset, void *buffer, size_t size) {
    return copy_mapped(file, offset, buffer, size) ? LEAT_OK
                                                   : leat__os_file_read(file, offset, buffer, size);
}
