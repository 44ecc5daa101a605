/* leat/view.h - further views of a region, and operations on the memory behind a view.
 *
 * A view is a range of addresses at which a region's bytes are mapped. All views of a region are
 * coherent: they show the same memory. A view does not belong to the handle that made it: it stays
 * until leat_view_unmap, and keeps the memory (not the name) alive.
 *
 *     void *table;
 *     if (leat_view_map(region, 65536, 4096, NULL, LEAT_READ_ONLY, &table) != LEAT_OK)
 *         ...
 *     leat_region_close(region);       the view stays
 *     ...
 *     (void)leat_view_unmap(table);
 *
 * The functions that take an address work on every view: those of leat_view_map, detached views,
 * and each handle's own (leat_region_data). length is in bytes, 0 to the end of the view; ranges
 * are rounded out to whole pages. These functions return LEAT_EINVAL if no view of leat contains
 * the address, LEAT_ERANGE if the range leaves the view.
 *
 * Threads: any; a view must not be used while it is unmapped. Fork: a child inherits its parent's
 * views as ordinary memory and may call the functions that take an address; memory locks are not
 * inherited. Signals: not from a handler. Blocking: for as long as the system takes to provide the
 * memory.
 */
#ifndef LEAT_VIEW_H
#define LEAT_VIEW_H

#include "leat/region.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Maps [offset, offset + length) of the region; *view is its address. offset is a multiple of the
 * page size; length 0 is to the end. address is the wanted address, a multiple of the page size, or
 * NULL for any.
 * Returns LEAT_OK; LEAT_ERANGE if the range is not inside the region at its present size, or, for a
 * clipped handle, not inside its view; LEAT_EACCES for LEAT_READ_WRITE with a handle that does not
 * have it; LEAT_EADDRESS if something is mapped at the wanted address; LEAT_EINVAL, LEAT_ENOMEM,
 * LEAT_EFORKED. */
LEAT_API LEAT_CHECKED int leat_view_map(const leat_region *region, uint64_t offset, uint64_t length,
                                        void *address, leat_access access, void **view);

typedef struct leat_view_info {
    void *address;        /* of the first byte */
    uint64_t size;        /* bytes of the region */
    uint64_t mapped_size; /* the same in whole pages */
    uint64_t offset;      /* of the first byte in the region */
    leat_access access;
    bool detached;        /* unmapped by leat_view_unmap; false: by leat_region_close */
    uint64_t reserved[4]; /* zero */
} leat_view_info;

/* Describes the view that contains the address. Returns LEAT_OK, LEAT_EINVAL. */
LEAT_API LEAT_CHECKED int leat_view_find(const void *address, leat_view_info *info);

/* --- The memory behind a view --------------------------------------------------------------------
 *
 * Each function requests something of the system and fails if the system refuses.
 * leat_view_residency reports the outcome. */

/* Makes the range's pages present, so that the first access causes no page fault; writable pages
 * for writing. Makes no copies for a copy-on-write view. Returns LEAT_OK, LEAT_ENOMEM; LEAT_ESIZE
 * if a page has no memory: the object was shortened, or has holes and its file system is full. */
LEAT_API LEAT_CHECKED int leat_view_prefault(const void *address, uint64_t length);

/* Keeps the range's pages in memory, never swapped out, until leat_view_unlock or the view's end;
 * makes them present first (for a copy-on-write view: copies). Locks do not nest. Returns LEAT_OK,
 * LEAT_ENOMEM; LEAT_ELIMIT if the process may not lock so much (RLIMIT_MEMLOCK, in the detail). */
LEAT_API LEAT_CHECKED int leat_view_lock(const void *address, uint64_t length);
LEAT_API LEAT_CHECKED int leat_view_unlock(const void *address, uint64_t length);

/* Turns the range into huge pages (2 MiB on x86-64) as far as whole ones fit: fewer page faults and
 * TLB misses for large regions. Returns LEAT_OK: it is done; LEAT_ENOTSUP if the system cannot for
 * this memory, at this view's addresses, or on this machine (the detail says which); LEAT_ERANGE if
 * no whole huge page fits; LEAT_ENOMEM if no huge page is free. */
LEAT_API LEAT_CHECKED int leat_view_make_huge(const void *address, uint64_t length);

/* Bytes of a range in each state. */
typedef struct leat_residency {
    uint64_t size;     /* the range in whole pages */
    uint64_t resident; /* in the machine's memory; not: swapped out, on disk only, never touched */
    uint64_t present;  /* in this process's page tables: no page fault at the next access */
    uint64_t locked;   /* locked in memory */
    uint64_t huge;     /* in huge pages; the system reports whole mappings, so an upper bound */
    uint64_t reserved[4]; /* zero */
} leat_residency;

/* Reports the states of a range's pages. Takes about a microsecond for each MiB, and some more for
 * each mapping of the process. For another user's file that is open for reading only, the system
 * may report all of it as resident. Returns LEAT_OK; LEAT_ENOTSUP without /proc. */
LEAT_API LEAT_CHECKED int leat_view_residency(const void *address, uint64_t length,
                                              leat_residency *residency);

#ifdef __cplusplus
}
#endif
#endif
