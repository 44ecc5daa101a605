/* lib/os/linux/residency.c - where the memory behind a mapping is, and requests to move it
 * (leat/view.h).
 *
 * Three sources, because no one of them knows everything: mincore for what is in the machine's
 * memory, pagemap in /proc for what is in this process's page tables, smaps in /proc for locks and
 * huge pages.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/os/linux/calls.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14 */
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

/* --- Requests --------------------------------------------------------------------------------- */

/* Changes no byte, even if another process writes it at this moment. */
void leat__os_touch(void *address, uint64_t size, bool writable) {
    size_t page = leat__os_page_size();
    for (uint64_t offset = 0; offset < size; offset += page) {
        unsigned char *byte = (unsigned char *)address + offset;
        if (writable)
            (void)__atomic_fetch_or(byte, 0, __ATOMIC_RELAXED);
        else
            (void)*(volatile unsigned char *)byte;
    }
}

#define POPULATE_ATTEMPTS 100 /* each may fail for a reason that passes */
#define POPULATE_PAUSE_NS UINT64_C(1000000)
#define POPULATE_INTERRUPTIONS 10000 /* each may have left more pages present */

int leat__os_prefault(void *address, uint64_t size, bool writable) {
    int interrupted = 0;
    for (int refused = 0;;) {
        if (madvise(address, (size_t)size, writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ) ==
            0)
            return LEAT_OK;
        if (errno == EINVAL) {
            leat__os_touch(address, size, writable);
            return LEAT_OK;
        }
        if (errno == EFAULT)
            return leat__fail(LEAT_ESIZE, EFAULT,
                              "there is no memory behind a page: shortened, or a hole and the file "
                              "system is full");
        if (errno == EAGAIN && ++refused < POPULATE_ATTEMPTS)
            leat__os_sleep(leat__os_now() + POPULATE_PAUSE_NS);
        else if (errno != EINTR || ++interrupted == POPULATE_INTERRUPTIONS)
            return leat__fail_system(errno, "cannot make %llu bytes present",
                                     (unsigned long long)size);
    }
}

/* By number: the sanitizers' libraries replace mlock and munlock by functions that do nothing. */
int leat__os_lock_memory(void *address, uint64_t size) {
    struct rlimit limit;
    if (syscall(SYS_mlock, address, (size_t)size) == 0)
        return LEAT_OK;
    int error = errno;
    if ((error == ENOMEM || error == EPERM || error == EAGAIN) &&
        getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        return leat__fail(
            LEAT_ELIMIT, error,
            "%llu bytes to be locked, the process may lock %llu in all (RLIMIT_MEMLOCK)",
            (unsigned long long)size, (unsigned long long)limit.rlim_cur);
    return leat__fail_system(error == EAGAIN ? ENOMEM : error, "cannot lock %llu bytes",
                             (unsigned long long)size);
}

int leat__os_unlock_memory(void *address, uint64_t size) {
    if (syscall(SYS_munlock, address, (size_t)size) != 0)
        return leat__fail_system(errno, "cannot unlock %llu bytes", (unsigned long long)size);
    return LEAT_OK;
}

/* 0 on a kernel that makes no huge pages of ordinary memory. */
static uint64_t huge_page_size(void) {
    unsigned long long size = 0;
    int cancel = leat__os_cancellation_hold();
    FILE *file = leat__linux_open_text("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size");
    if (file != NULL && fscanf(file, "%llu", &size) != 1)
        size = 0;
    if (file != NULL)
        fclose(file);
    leat__os_cancellation_release(cancel);
    return size;
}

/* pages that are being moved just now can be collapsed a moment later */
#define COLLAPSE_ATTEMPTS 10

int leat__os_make_huge(void *address, uint64_t size) {
    uint64_t huge = huge_page_size();
    if (huge == 0)
        return leat__fail(LEAT_ENOTSUP, 0, "this kernel has no transparent huge pages");
    uintptr_t first = ((uintptr_t)address + huge - 1) / huge * huge,
              end = ((uintptr_t)address + size) / huge * huge;
    if (first >= end)
        return leat__fail(LEAT_ERANGE, 0, "no whole page of %llu bytes lies in the range",
                          (unsigned long long)huge);
    char *start = (char *)address + (first - (uintptr_t)address);
    if (madvise(start, end - first, MADV_HUGEPAGE) != 0)
        return leat__fail(errno == ENOMEM ? LEAT_ENOMEM : LEAT_ENOTSUP, errno,
                          "the system makes no huge pages of this memory");
    int error = EAGAIN;
    for (int i = 0; i < COLLAPSE_ATTEMPTS && (error == EAGAIN || error == EBUSY); i++)
        error = madvise(start, end - first, MADV_COLLAPSE) == 0 ? 0 : errno;
    if (error == 0)
        return LEAT_OK;
    if (error == EINVAL)
        return leat__fail(
            LEAT_ENOTSUP, error,
            "not this memory (transparent_hugepage/shmem_enabled, the file system), "
            "not at these addresses (view and offset differ modulo %llu), or Linux before 6.1",
            (unsigned long long)huge);
    return leat__fail(LEAT_ENOMEM, error, "no free memory in pieces of %llu bytes",
                      (unsigned long long)huge);
}

/* --- Figures ---------------------------------------------------------------------------------- */

#define CHUNK 512 /* pages asked about at once */

static int count_resident(const void *address, uint64_t size, uint64_t *bytes) {
    size_t page = leat__os_page_size();
    for (uint64_t offset = 0; offset < size; offset += CHUNK * page) {
        unsigned char vector[CHUNK];
        uint64_t some = size - offset < CHUNK * page ? size - offset : CHUNK * page;
        if (mincore((char *)(uintptr_t)address + offset, (size_t)some, vector) != 0)
            return leat__fail_system(errno, "cannot ask what is in memory");
        for (uint64_t i = 0; i < some / page; i++)
            *bytes += (vector[i] & 1) != 0 ? page : 0;
    }
    return LEAT_OK;
}

#define PRESENT ((uint64_t)1 << 63) /* Documentation/admin-guide/mm/pagemap.rst */

static int count_present(const void *address, uint64_t size, uint64_t *bytes) {
    size_t page = leat__os_page_size();
    char path[LEAT__PROC_PATH];
    leat__file file = leat__linux_open_plain(AT_FDCWD, leat__linux_proc(path, "pagemap"), O_RDONLY);
    int result = file >= 0 ? LEAT_OK : leat__fail(LEAT_ENOTSUP, errno, "cannot open %s", path);
    for (uint64_t done = 0; result == LEAT_OK && done < size / page; done += CHUNK) {
        uint64_t entries[CHUNK];
        uint64_t some = size / page - done < CHUNK ? size / page - done : CHUNK;
        result = leat__os_file_read(file, ((uintptr_t)address / page + done) * sizeof entries[0],
                                    entries, (size_t)some * sizeof entries[0]);
        for (uint64_t i = 0; result == LEAT_OK && i < some; i++)
            *bytes += (entries[i] & PRESENT) != 0 ? page : 0;
    }
    leat__os_file_close(file);
    return result;
}

/* The figures of one mapping of the process, as far as it overlaps the range. */
struct overlap {
    uint64_t bytes, huge;
};

static void end_mapping(struct overlap *overlap, uint64_t *huge) {
    *huge += overlap->huge < overlap->bytes ? overlap->huge : overlap->bytes;
    *overlap = (struct overlap){0};
}

static void read_line(const char *line, uint64_t first, uint64_t end, struct overlap *overlap,
                      struct leat__residency *residency) {
    unsigned long long from, to, kib;
    char more[5], key[32];
    if (sscanf(line, "%llx-%llx %4s", &from, &to, more) == 3) {
        end_mapping(overlap, &residency->huge);
        from = from > first ? from : first;
        to = to < end ? to : end;
        overlap->bytes = from < to ? to - from : 0;
    } else if (overlap->bytes == 0)
        return;
    else if (sscanf(line, "%31[A-Za-z]: %llu kB", key, &kib) == 2 &&
             (strcmp(key, "AnonHugePages") == 0 || strcmp(key, "ShmemPmdMapped") == 0 ||
              strcmp(key, "FilePmdMapped") == 0))
        overlap->huge += kib * 1024;
    else if (strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " lo") != NULL)
        residency->locked += overlap->bytes;
}

static int read_smaps(const void *address, uint64_t size, struct leat__residency *residency) {
    uint64_t first = (uintptr_t)address, end = first + size;
    struct overlap overlap = {0};
    char line[512], path[LEAT__PROC_PATH];
    FILE *file = leat__linux_open_text(leat__linux_proc(path, "smaps"));
    if (file == NULL)
        return leat__fail(LEAT_ENOTSUP, errno, "cannot open %s", path);
    while (fgets(line, sizeof line, file) != NULL)
        read_line(line, first, end, &overlap, residency);
    end_mapping(&overlap, &residency->huge);
    fclose(file);
    return LEAT_OK;
}

static int find_residency(const void *address, uint64_t size, struct leat__residency *found) {
    int result = count_resident(address, size, &found->resident);
    if (result == LEAT_OK)
        result = count_present(address, size, &found->present);
    return result == LEAT_OK ? read_smaps(address, size, found) : result;
}

int leat__os_residency(const void *address, uint64_t size, struct leat__residency *residency) {
    struct leat__residency found = {0};
    int cancel = leat__os_cancellation_hold();
    int result = find_residency(address, size, &found);
    leat__os_cancellation_release(cancel);
    if (result == LEAT_OK)
        *residency = found;
    return result;
}
