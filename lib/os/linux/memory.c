/* lib/os/linux/memory.c - mapping files. */
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "lib/base/fail.h"
#include "lib/os/linux/calls.h"

leat__file leat__os_file_reopen(leat__file file, bool writable) {
    char self[LEAT__PROC_PATH];
    leat__file opened = leat__linux_openat(AT_FDCWD, leat__linux_proc_descriptor(self, file),
                                           writable ? O_RDWR : O_RDONLY, 0);
    return opened >= 0 ? opened : LEAT__NO_FILE;
}

/* Kernels before 4.17 do not know the flag and take the address as a hint: then a mapping at
 * another address is unmapped again. */
static int map_at(void *at, size_t size, int protection, int flags, leat__file file,
                  uint64_t offset, void **address) {
    void *mapped = mmap(at, size, protection, flags | (at != NULL ? MAP_FIXED_NOREPLACE : 0), file,
                        (off_t)offset);
    int error = errno;
    if (at != NULL && mapped != MAP_FAILED && mapped != at) {
        munmap(mapped, size);
        mapped = MAP_FAILED;
        error = EEXIST;
    }
    if (mapped == MAP_FAILED && at != NULL &&
        (error == EEXIST || error == EPERM || error == ENOMEM || error == EINVAL))
        return leat__fail(LEAT_EADDRESS, error, "%zu bytes at %p: %s", size, at,
                          error == EEXIST ? "something is mapped there"
                                          : "the system gives nothing out there");
    if (mapped == MAP_FAILED)
        return leat__fail_system(error, "cannot map %zu bytes", size);
    *address = mapped;
    return LEAT_OK;
}

/* --- The same file again -------------------------------------------------------------------------
 *
 * When a descriptor is closed, the kernel walks all locks on its file: 30 us where 4,000 handles
 * hold one each. So the descriptor through which a mapping was made is kept for further mappings of
 * the same file: of the file mapped last, from its second mapping in a row until the last of these
 * is unmapped. A forked child closes it with all others, and forgets the notes. Only for files on
 * tmpfs: an overlay shows two files as one. Files without a name are left out, because two handles
 * cannot open such a file by its name. */

static struct {
    struct leat__resource resource; /* its file: for further mappings; or none yet */
    bool listed;                    /* the fork handlers know the resource */
    dev_t device;
    ino_t inode;
    bool writable;
    uint64_t number;   /* of the file among all noted; mappings of older files are not counted */
    uint64_t mappings; /* 0: nothing is noted */
} last;

/* While holding. The descriptor to be closed, or none. */
static leat__file forget(void) {
    if (!last.listed)
        return LEAT__NO_FILE;
    leat__os_resource_remove(&last.resource);
    last.listed = false;
    last.mappings = 0;
    return last.resource.file;
}

/* While holding, nothing being noted. */
static void note(const struct stat *status, bool writable) {
    leat__os_resource_init(&last.resource);
    last.resource.allowances[0] = &last.mappings;
    leat__os_resource_add(&last.resource);
    last.listed = true;
    last.device = status->st_dev;
    last.inode = status->st_ino;
    last.writable = writable;
    last.number++;
}

/* While holding. */
static bool is_last(const struct stat *status, bool writable) {
    return last.mappings > 0 && last.inode == status->st_ino && last.device == status->st_dev &&
           last.writable == writable;
}

static int map_shared(leat__file file, size_t size, bool writable, void **address) {
    return map_at(NULL, size, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, file, 0,
                  address);
}

/* LEAT_ENOENT: there is no descriptor for it. Another thread may close it as soon as the lock is
 * released. */
static int map_through_kept(const struct stat *status, size_t size, bool writable, void **address,
                            uint64_t *number) {
    int result = LEAT_ENOENT;
    leat__os_fork_hold();
    if (is_last(status, writable) && last.resource.file != LEAT__NO_FILE)
        result = map_shared(last.resource.file, size, writable, address);
    if (result == LEAT_OK) {
        *number = last.number;
        last.mappings++;
    }
    leat__os_fork_release();
    return result;
}

/* The file was mapped through that descriptor, which is kept or closed. */
static void note_mapped(const struct stat *status, bool writable, leat__file unlocked,
                        uint64_t *number) {
    leat__file before = LEAT__NO_FILE;
    leat__os_fork_hold();
    if (!is_last(status, writable)) {
        before = forget();
        note(status, writable);
    } else if (last.resource.file == LEAT__NO_FILE) {
        last.resource.file = unlocked;
        unlocked = LEAT__NO_FILE;
    }
    *number = last.number;
    last.mappings++;
    leat__os_fork_release();
    leat__os_file_close(before);
    leat__os_file_close(unlocked);
}

static void note_unmapped(uint64_t number) {
    leat__file kept = LEAT__NO_FILE;
    leat__os_fork_hold();
    if (number == last.number && last.mappings == 1)
        kept = forget();
    else if (number == last.number && last.mappings > 1)
        last.mappings--;
    leat__os_fork_release();
    leat__os_file_close(kept);
}

/* --- Mapping ---------------------------------------------------------------------------------- */

static bool is_for_now(int error) {
    return error == EMFILE || error == ENFILE || error == ENOMEM;
}

/* A mapping keeps alive the open file description through which it was made, and with it the locks,
 * even in a forked child that has closed the descriptor. So it is made through a description of its
 * own that never holds a lock, also where the permissions keep the owner of an object out. Without
 * /proc, or where another user's permissions no longer permit a second open, the locked description
 * is used; a limit that permits no further descriptor is an error. */
static int open_unlocked(leat__file file, bool writable, leat__file *unlocked) {
    *unlocked = leat__os_file_reopen(file, writable);
    if (*unlocked == LEAT__NO_FILE && errno == EACCES)
        *unlocked = leat__linux_open_permitted(file);
    return *unlocked == LEAT__NO_FILE && is_for_now(errno)
               ? leat__fail_system(errno, "cannot open the file once more, to map it")
               : LEAT_OK;
}

int leat__os_map_view(leat__file file, uint64_t offset, uint64_t size, leat_access access, void *at,
                      void **address) {
    leat__file unlocked;
    if (size > SIZE_MAX)
        return leat__fail(LEAT_ENOMEM, 0, "%llu bytes do not fit the address space",
                          (unsigned long long)size);
    int result = open_unlocked(file, access == LEAT_READ_WRITE, &unlocked);
    if (result != LEAT_OK)
        return result;
    result = map_at(at, (size_t)size, PROT_READ | (access != LEAT_READ_ONLY ? PROT_WRITE : 0),
                    access == LEAT_COPY_ON_WRITE ? MAP_PRIVATE : MAP_SHARED,
                    unlocked != LEAT__NO_FILE ? unlocked : file, offset, address);
    leat__os_file_close(unlocked);
    return result;
}

static bool is_on_tmpfs(leat__file file) {
    struct statfs system;
    return fstatfs(file, &system) == 0 && system.f_type == TMPFS_MAGIC;
}

/* For a file with a name. Noted files are on tmpfs. */
static int map_named(leat__file file, const struct stat *status, size_t size, bool writable,
                     void **address, uint64_t *number) {
    leat__file unlocked;
    int result = map_through_kept(status, size, writable, address, number);
    if (result != LEAT_ENOENT)
        return result;
    result = open_unlocked(file, writable, &unlocked);
    if (result != LEAT_OK)
        return result;
    result = map_shared(unlocked != LEAT__NO_FILE ? unlocked : file, size, writable, address);
    if (result == LEAT_OK && unlocked != LEAT__NO_FILE && is_on_tmpfs(unlocked))
        note_mapped(status, writable, unlocked, number);
    else
        leat__os_file_close(unlocked);
    return result;
}

int leat__os_map(leat__file file, uint64_t size, bool writable, void **address, uint64_t *number) {
    struct stat status;
    *number = 0;
    if (size <= SIZE_MAX && fstat(file, &status) == 0 && status.st_nlink > 0)
        return map_named(file, &status, (size_t)size, writable, address, number);
    return leat__os_map_view(file, 0, size, writable ? LEAT_READ_WRITE : LEAT_READ_ONLY, NULL,
                             address);
}

int leat__os_remap(void *address, uint64_t size, uint64_t new_size, void **new_address) {
    if (new_size > SIZE_MAX)
        return leat__fail(LEAT_ENOMEM, 0, "%llu bytes do not fit the address space",
                          (unsigned long long)new_size);
    void *mapped = mremap(address, (size_t)size, (size_t)new_size, MREMAP_MAYMOVE);
    if (mapped == MAP_FAILED && errno == EFAULT)
        return leat__fail(
            LEAT_ESTATE, EFAULT,
            "parts of the view have become different (locked, say): it cannot be extended whole");
    if (mapped == MAP_FAILED && errno == EAGAIN)
        return leat__fail(LEAT_ELIMIT, EAGAIN,
                          "the view is locked in memory, and the process may not lock so much");
    if (mapped == MAP_FAILED)
        return leat__fail_system(errno, "cannot extend the view to %llu bytes",
                                 (unsigned long long)new_size);
    *new_address = mapped;
    return LEAT_OK;
}

void leat__os_unmap(void *address, uint64_t size, uint64_t number) {
    if (number != 0)
        note_unmapped(number);
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
