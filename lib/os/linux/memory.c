/* lib/os/linux/memory.c - mapping files. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "lib/base/fail.h"
#include "lib/os/linux/calls.h"

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

/* --- The same file again ----------------------------------------------------------------------------------------------
 *
 * When a descriptor is closed, the kernel walks all locks on its file: 30 us where 4,000 handles hold one each. Another mapping of a
 * file needs no descriptor: the kernel copies one that is there (mremap of 0 bytes). What is copied is a page that nobody else sees, so
 * that no caller's mlock or madvise is copied with it. It is kept for the file that was mapped last, from its second mapping in a row
 * until the last of these is unmapped: so a file stays in memory no longer than its handles. A file without a name is left out: seals
 * may forbid what an earlier mapping may do. */

static struct {
    struct leat__resource resource; /* its memory is the page, or NULL: a forked child loses it, and all notes */
    dev_t device;
    ino_t inode;
    bool writable;
    uint64_t number;   /* of the file among those noted so; an older one's mappings are not counted */
    uint64_t mappings; /* 0: nothing is noted */
} last;

/* While holding. A page that is to be unmapped, or NULL. */
static void *take_page(void) {
    void *page = last.resource.memory;
    if (page != NULL)
        leat__os_resource_remove(&last.resource);
    last.resource.memory = NULL;
    last.mappings = 0;
    return page;
}

static void unmap_page(void *page) {
    if (page != NULL)
        munmap(page, leat__os_page_size());
}

/* While holding, for the file that was just mapped there. */
static void make_page(void *address) {
    size_t size = leat__os_page_size();
    void *page = mremap(address, 0, size, MREMAP_MAYMOVE);
    if (page == MAP_FAILED)
        return;
    leat__os_resource_init(&last.resource);
    last.resource.memory = page;
    last.resource.memory_size = size;
    last.resource.allowances[0] = &last.mappings;
    leat__os_resource_add(&last.resource);
}

/* While holding. */
static bool is_last(const struct stat *status, bool writable) {
    return last.mappings > 0 && last.inode == status->st_ino && last.device == status->st_dev && last.writable == writable;
}

static bool map_again(const struct stat *status, size_t size, bool writable, void **address, uint64_t *note) {
    leat__os_fork_hold();
    void *page = is_last(status, writable) ? last.resource.memory : NULL;
    void *mapped = page != NULL ? mremap(page, 0, size, MREMAP_MAYMOVE) : MAP_FAILED;
    if (mapped != MAP_FAILED) {
        *address = mapped;
        *note = last.number;
        last.mappings++;
    }
    leat__os_fork_release();
    return mapped != MAP_FAILED;
}

/* The file was just mapped at the address, and nobody else has seen that mapping. */
static void note_mapped(const struct stat *status, bool writable, void *address, uint64_t *note) {
    void *before = NULL;
    leat__os_fork_hold();
    if (!is_last(status, writable)) {
        before = take_page();
        last.device = status->st_dev;
        last.inode = status->st_ino;
        last.writable = writable;
        last.number++;
    } else if (last.resource.memory == NULL) {
        make_page(address);
    }
    *note = last.number;
    last.mappings++;
    leat__os_fork_release();
    unmap_page(before);
}

static void note_unmapped(uint64_t note) {
    void *page = NULL;
    leat__os_fork_hold();
    if (note == last.number && last.mappings > 0 && --last.mappings == 0)
        page = take_page();
    leat__os_fork_release();
    unmap_page(page);
}

/* --- Mapping ---------------------------------------------------------------------------------------------------------- */

static bool is_for_now(int error) {
    return error == EMFILE || error == ENFILE || error == ENOMEM;
}

/* A mapping keeps the open file description it was made through alive, and with it the locks, even in a forked child that has
 * closed the descriptor. So it is made through a description of its own that never holds a lock, also where the permissions keep
 * the owner of an object out. Without /proc, or where another user's permissions no longer allow a second open, the locked one has
 * to do; a limit that does not allow one more descriptor is an error. */
static int map_unlocked(leat__file file, uint64_t offset, size_t size, leat_access access, void *at, void **address) {
    leat__file unlocked = leat__os_file_reopen(file, access == LEAT_READ_WRITE);
    if (unlocked == LEAT__NO_FILE && errno == EACCES)
        unlocked = leat__linux_open_permitted(file);
    if (unlocked == LEAT__NO_FILE && is_for_now(errno))
        return leat__fail_system(errno, "cannot open the file once more, to map it");
    int result = map_at(at, size, PROT_READ | (access != LEAT_READ_ONLY ? PROT_WRITE : 0),
                        access == LEAT_COPY_ON_WRITE ? MAP_PRIVATE : MAP_SHARED,
                        unlocked != LEAT__NO_FILE ? unlocked : file, offset, address);
    leat__os_file_close(unlocked);
    return result;
}

int leat__os_map_view(leat__file file, uint64_t offset, uint64_t size, leat_access access, void *at, void **address) {
    if (size > SIZE_MAX)
        return leat__fail(LEAT_ENOMEM, 0, "%llu bytes do not fit the address space", (unsigned long long)size);
    return map_unlocked(file, offset, (size_t)size, access, at, address);
}

int leat__os_map(leat__file file, uint64_t size, bool writable, void **address, uint64_t *note) {
    struct stat status;
    bool repeatable = size <= SIZE_MAX && fstat(file, &status) == 0 && status.st_nlink > 0;
    *note = 0;
    if (repeatable && map_again(&status, (size_t)size, writable, address, note))
        return LEAT_OK;
    int result = leat__os_map_view(file, 0, size, writable ? LEAT_READ_WRITE : LEAT_READ_ONLY, NULL, address);
    if (repeatable && result == LEAT_OK)
        note_mapped(&status, writable, *address, note);
    return result;
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

void leat__os_unmap(void *address, uint64_t size, uint64_t note) {
    if (note != 0)
        note_unmapped(note);
    munmap(address, (size_t)size);
}

bool leat__os_map_again(void *address, uint64_t size, void **again) {
    size_t page = leat__os_page_size();
    if ((uintptr_t)address % page != 0 || size % page != 0)
        return false;
    void *mapped = mremap(address, 0, (size_t)size, MREMAP_MAYMOVE);
    if (mapped == MAP_FAILED)
        return false;
    if (mprotect(mapped, (size_t)size, PROT_READ | PROT_WRITE) != 0) {
        munmap(mapped, (size_t)size);
        return false;
    }
    *again = mapped;
    return true;
}

void leat__os_make_read_only(void *address, uint64_t size) {
    size_t page = leat__os_page_size();
    if ((uintptr_t)address % page == 0 && size % page == 0)
        mprotect(address, (size_t)size, PROT_READ);
}

bool leat__os_flush_view(void *address, uint64_t size) {
    return leat__linux_msync(address, (size_t)size) == 0;
}
