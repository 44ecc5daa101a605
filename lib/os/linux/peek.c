/* lib/os/linux/peek.c - reading a file without being noticed by those who watch it (inotify tells
 * of read(2), but not of mapped memory).
 *
 * It is copied by the kernel, which says EFAULT where the file has become shorter meanwhile; a copy
 * of our own would be killed. */
#include <sys/uio.h>

#include "lib/base/fail.h"
#include "lib/os/linux/calls.h"

static bool copy_mapped(leat__file file, uint64_t offset, void *buffer, size_t size) {
    uint64_t before = offset % (uint64_t)sysconf(_SC_PAGESIZE);
    size_t length = (size_t)before + size;
    char *mapped = mmap(NULL, length, PROT_READ, MAP_SHARED, file, (off_t)(offset - before));
    if (mapped == MAP_FAILED)
        return false;
    const struct iovec to = {buffer, size}, from = {mapped + before, size};
    ssize_t copied = process_vm_readv(getpid(), &to, 1, &from, 1, 0);
    munmap(mapped, length);
    return copied == (ssize_t)size;
}

/* Where that cannot be done, or the file is too short, reading does it, or says why not. */
int leat__os_file_peek(leat__file file, uint64_t offset, void *buffer, size_t size) {
    return copy_mapped(file, offset, buffer, size) ? LEAT_OK
                                                   : leat__os_file_read(file, offset, buffer, size);
}
