/* lib/os/linux/memory.c - mapping files. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/fail.h"
#include "lib/os.h"

size_t leat__os_page_size(void) {
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* A mapping keeps the open file description it was made through alive, and with it the locks, even in a forked child that has
 * closed the descriptor. So it is made through a description of its own that never holds a lock. Without /proc, or where the
 * permissions no longer allow a second open, the locked one has to do. */
static leat__file reopen(leat__file file, bool writable) {
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", file);
    return open(self, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
}

int leat__os_map(leat__file file, uint64_t size, bool writable, void **address) {
    if (size > SIZE_MAX)
        return leat__fail(LEAT_ENOMEM, 0, "%llu bytes do not fit the address space", (unsigned long long)size);
    leat__file unlocked = reopen(file, writable);
    void *mapped = mmap(NULL, (size_t)size, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED,
                        unlocked >= 0 ? unlocked : file, 0);
    int error = errno;
    if (unlocked >= 0)
        close(unlocked);
    if (mapped == MAP_FAILED)
        return leat__fail_system(error, "cannot map %llu bytes", (unsigned long long)size);
    *address = mapped;
    return LEAT_OK;
}

void leat__os_unmap(void *address, uint64_t size) {
    munmap(address, (size_t)size);
}

void leat__os_make_read_only(void *address, uint64_t size) {
    size_t page = leat__os_page_size();
    if ((uintptr_t)address % page == 0 && size % page == 0)
        mprotect(address, (size_t)size, PROT_READ);
}
