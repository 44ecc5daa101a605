/* leat/view.h - further views of a region, and what can be asked of the memory behind a view.
 *
 * A view is a range of addresses through which a region's bytes are seen. All views of a region are
 * coherent: they show the same memory. A view does not belong to the handle that it was made with:
 * it stays until leat_view_unmap, and keeps the memory (not the name) alive.
 *
 *     void *table;
 *     if (leat_view_map(region, 65536, 4096, NULL, LEAT_READ_ONLY, &table) != LEAT_OK)
 *         ...
 *     leat_region_close(region);       the view stays
 *     ...
 *     (void)leat_view_unmap(table);
 *
 * The functions that take an address work on every view: those made here, detached ones, and the
 * one that each handle has (leat_region_data). length: bytes, 0 to the end of the view; ranges are
 * rounded out to whole pages. LEAT_EINVAL when no view of leat holds the address, LEAT_ERANGE when
 * the range leaves the view.
 *
 * Thread safety: any thread, except that a view must not be used while it is unmapped. Fork: a
 * child inherits its parent's views as ordinary memory and may call everything here that takes an
 * address; locks in memory are not inherited. Signals: not from a handler. Blocking: for as long as
 * the system takes to find the memory.
 */
#ifndef LEAT_VIEW_H
#define LEAT_VIEW_H

#include "leat/region.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Maps [offset, offset + length) of the region. offset: a multiple of the page size (LEAT_EINVAL);
 * length 0: to the end. The range must lie inside the region as it is now, grown by others or not
 * (LEAT_ERANGE); of a clipped handle, inside what it sees. The handle must permit the access:
 * LEAT_READ_WRITE asks for a handle that has it, the other two go with any (LEAT_EACCES).
 *
 * address: where to map it, a multiple of the page size, or NULL for anywhere. Nothing is ever
 * mapped elsewhere than asked, nor over anything that is there: LEAT_EADDRESS instead. LEAT_ENOMEM,
 * LEAT_EFORKED. */
LEAT_API LEAT_CHECKED int leat_view_map(const leat_region *region, uint64_t offset, uint64_t length,
                                        void *address, leat_access access, void **view);

typedef struct leat_view_info {
    void *address;        /* of its first byte */
    uint64_t size;        /* bytes of the region that it shows */
    uint64_t mapped_size; /* the same in whole pages */
    uint64_t offset;      /* of its first byte in the region */
    leat_access access;
    /* ends with leat_view_unmap; false: the handle's own, ends with leat_region_close */
    bool detached;
    uint64_t reserved[4]; /* zero */
} leat_view_info;

/* What view holds the address. LEAT_EINVAL. */
LEAT_API LEAT_CHECKED int leat_view_find(const void *address, leat_view_info *info);

/* --- The memory behind a view --------------------------------------------------------------------
 *
 * Each of these asks the system for something now, and fails when it does not do it.
 * leat_view_residency tells what is the case. */

/* Makes the range's pages present, so that the first touch of them does not cost a fault; writable
 * ones as for writing. Of a copy-on-write view no copies are made. LEAT_ENOMEM; LEAT_ESIZE when
 * there is no memory behind a page: the object was shortened, or has holes and its file system is
 * full. */
LEAT_API LEAT_CHECKED int leat_view_prefault(const void *address, uint64_t length);

/* Keeps the range's pages in memory (never swapped out) until leat_view_unlock or the view's end;
 * makes them present (of a copy-on-write view: copies). LEAT_ELIMIT when the process may not lock
 * so much (RLIMIT_MEMLOCK, in the detail), LEAT_ENOMEM. Locks do not nest. */
LEAT_API LEAT_CHECKED int leat_view_lock(const void *address, uint64_t length);
LEAT_API LEAT_CHECKED int leat_view_unlock(const void *address, uint64_t length);

/* Has the range's memory made of huge pages (2 MiB on x86-64), as far as whole ones fit; fewer
 * faults and fewer misses for large regions. LEAT_OK: it is. LEAT_ENOTSUP when the system does not
 * do that for this memory, this view's addresses or on this machine (the detail says which),
 * LEAT_ERANGE when no whole one fits, LEAT_ENOMEM when there is no such piece of free memory. */
LEAT_API LEAT_CHECKED int leat_view_make_huge(const void *address, uint64_t length);

/* How much of a range, in bytes, is... */
typedef struct leat_residency {
    uint64_t size; /* ...there at all: the range in whole pages */
    /* filled and in the machine's memory: not swapped out, not only on the disk, not reserved and
     * still untouched */
    uint64_t resident;
    uint64_t present; /* in this process's page tables: touching it is no fault */
    uint64_t locked;  /* locked in memory */
    /* mapped by huge pages. Known for whole mappings only: where the range is less than one, at
     * most its length */
    uint64_t huge;
    uint64_t reserved[4]; /* zero */
} leat_residency;

/* Costs about a microsecond for each MiB, and some more for each mapping of the process. Of another
 * user's file that is open for reading only, the system may call all of it resident. LEAT_ENOTSUP
 * without /proc. */
LEAT_API LEAT_CHECKED int leat_view_residency(const void *address, uint64_t length,
                                              leat_residency *residency);

#ifdef __cplusplus
}
#endif
#endif
