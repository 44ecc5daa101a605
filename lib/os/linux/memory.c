/* lib/os/linux/memory.c - mapping files. */
#include <errno.h>
#include <stdio.h>

#include "lib/fail.h"
#include "lib/os/linux/calls.h"

size_t leat__os_page_size(void) {
    return (size_t)sysconf(_SC_PAGESIZE);
}

leat__file leat__os_file_reopen(leat__file file, bool writable) {
    char self[LEAT__PROC_PATH];
    leat__file opened = leat__linux_openat(AT_FDCWD, leat__linux_proc_descriptor(self, file),
                                           writable ? O_RDWR : O_RDONLY, 0);
    return opened >= 0 ? opened : LEAT__NO_FILE;
}

/* Kernels before 4.17 do not know the flag and take the address as a wish: then what was mapped elsewhere is given back. */
static int map_at(void *at, size_t size, int protection, int flags, leat__file file, uint64_t offset, void **address) {
    void *mapped = mmap(at, size, protection, flags | (at != NULL ? MAP_FIXED_NOREPLACE : 0), file, (off_t)offset);
    int error = errno;
    if (at != NULL && mapped != MAP_FAILED && mapped != at) {
        munmap(mapped, size);
        mapped = MAP_FAILED;
        error = EEXIST;
    }
    if (mapped == MAP_FAILED && at != NULL && (error == EEXIST || error == EPERM || error == ENOMEM || error == EINVAL))
        return leat__fail(LEAT_EADDRESS, error, "%zu bytes at %p: %s", size, at,
                          error == EEXIST ? "something is mapped there" : "the system gives nothing out there");
    if (mapped == MAP_FAILED)
        return leat__fail_system(error, "cannot map %zu bytes", size);
    *address = mapped;
    return LEAT_OK;
}

static bool is_for_now(int error) {
    return error == EMFILE || error == ENFILE || error == ENOMEM;
}

/* A mapping keeps the open file description it was made through alive, and with it the locks, even in a forked child that has
 * closed the descriptor. So it is made through a description of its own that never holds a lock, also where the permissions keep
 * the owner of an object out. Without /proc, or where another user's permissions no longer allow a second open, the locked one has
 * to do; a limit that does not allow one more descriptor is an error. */
int leat__os_map_view(leat__file file, uint64_t offset, uint64_t size, leat_access access, void *at, void **address) {
    if (size > SIZE_MAX)
        return leat__fail(LEAT_ENOMEM, 0, "%llu bytes do not fit the address space", (unsigned long long)size);
    leat__file unlocked = leat__os_file_reopen(file, access == LEAT_READ_WRITE);
    if (unlocked == LEAT__NO_FILE && errno == EACCES)
        unlocked = leat__linux_open_permitted(file);
    if (unlocked == LEAT__NO_FILE && is_for_now(errno))
        return leat__fail_system(errno, "cannot open the file once more, to map it");
    int result = map_at(at, (size_t)size, PROT_READ | (access != LEAT_READ_ONLY ? PROT_WRITE : 0),
                        access == LEAT_COPY_ON_WRITE ? MAP_PRIVATE : MAP_SHARED,
                        unlocked != LEAT__NO_FILE ? unlocked : file, offset, address);
    leat__os_file_close(unlocked);
    return result;
}

int leat__os_map(leat__file file, uint64_t size, bool writable, void **address) {
    return leat__os_map_view(file, 0, size, writable ? LEAT_READ_WRITE : LEAT_READ_ONLY, NULL, address);
}

int leat__os_remap(void *address, uint64_t size, uint64_t new_size, void **new_address) {
    if (new_size > SIZE_MAX)
        return leat__fail(LEAT_ENOMEM, 0, "%llu bytes do not fit the address space", (unsigned long long)new_size);
    void *mapped = mremap(address, (size_t)size, (size_t)new_size, MREMAP_MAYMOVE);
    if (mapped == MAP_FAILED && errno == EFAULT)
        return leat__fail(LEAT_ESTATE, EFAULT, "parts of the view have become different (locked, say): it cannot be extended whole");
    if (mapped == MAP_FAILED && errno == EAGAIN)
        return leat__fail(LEAT_ELIMIT, EAGAIN, "the view is locked in memory, and the process may not lock so much");
    if (mapped == MAP_FAILED)
        return leat__fail_system(errno, "cannot extend the view to %llu bytes", (unsigned long long)new_size);
    *new_address = mapped;
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

bool leat__os_flush_view(void *address, uint64_t size) {
    return leat__linux_msync(address, (size_t)size) == 0;
}
