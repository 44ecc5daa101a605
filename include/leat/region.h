/* leat/region.h - a named piece of memory that several processes see at once.
 *
 * The bytes start at offset 0 of the object: no header, the exact size, zero-filled at creation. In the Global scope a region
 * *is* a POSIX shared memory object, so that Python's multiprocessing.shared_memory, shm_open and leat open each other's.
 *
 * Caveats. A region synchronises nothing: two processes that write the same bytes at once race. Send messages through a
 * channel (leat/channel.h) instead of building one from a region. All memory is reserved at creation, so that a full
 * /dev/shm is LEAT_ENOSPC here and never SIGBUS later; objects made by other programs may not be reserved.
 *
 *     leat_region *region;
 *     if (leat_region_open_or_create(&region, "scoreboard", 4096, NULL) != LEAT_OK)
 *         ...
 *     struct scoreboard *board = leat_region_data(region);
 *     ...
 *     leat_region_close(region);
 *
 * Thread safety: a handle may be used by several threads at once, but not while it is being closed. Fork: the child cannot
 * use the parent's handle (LEAT_EFORKED) and does not keep the object alive, but the view is ordinary inherited memory and
 * stays visible to it. Signals: nothing here may be called from a handler. Blocking: as in leat/object.h.
 */
#ifndef LEAT_REGION_H
#define LEAT_REGION_H

#include "leat/object.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct leat_region leat_region;

typedef enum leat_access {
    LEAT_READ_WRITE = 0,
    LEAT_READ_ONLY = 1, /* writing through the view is a segmentation fault; read permission suffices to open */
} leat_access;

/* What an existing object's size must be, compared with the size argument. */
typedef enum leat_size_policy {
    LEAT_SIZE_ADOPT = 0,    /* anything: the whole object is mapped, the argument is ignored */
    LEAT_SIZE_AT_LEAST = 1, /* the argument or more, else LEAT_ESIZE */
    LEAT_SIZE_EXACT = 2,    /* the argument, else LEAT_ESIZE */
} leat_size_policy;

#define LEAT_REGION_SIZE_DEFAULT 4096

/* All zero is the sensible default: local, read and write, any size, dies with its last user, for this user alone. */
typedef struct leat_region_options {
    leat_scope scope;
    leat_access access;
    leat_size_policy size_policy;
    bool persistent;      /* when created: stays until leat_unlink */
    uint32_t permissions; /* when created: rwxrwxrwx bits, the process's umask not applied; 0 means 0600 */
    uint64_t reserved[4]; /* zero */
} leat_region_options;

/* Creates the region. size: bytes, 0 means 4096. LEAT_EEXIST when a living object has the name (nothing is changed),
 * LEAT_ENAME, LEAT_ENOSPC (the detail says how much is free), LEAT_EACCES, LEAT_EINVAL. */
LEAT_API LEAT_CHECKED int leat_region_create(leat_region **region, const char *name, uint64_t size,
                                             const leat_region_options *options);

/* Opens the region and maps all of it. size matters to the size policy only. LEAT_ENOENT, LEAT_EKIND when the name belongs
 * to another kind of object, LEAT_ESIZE, LEAT_EACCES, LEAT_EUNTRUSTED; an object of zero bytes (another program is between
 * creating and sizing it) is LEAT_ESIZE. */
LEAT_API LEAT_CHECKED int leat_region_open(leat_region **region, const char *name, uint64_t size,
                                           const leat_region_options *options);

/* Opens the region if it is there and creates it if it is not, without a moment in between in which another process could
 * be surprised. leat_region_created tells which. */
LEAT_API LEAT_CHECKED int leat_region_open_or_create(leat_region **region, const char *name, uint64_t size,
                                                     const leat_region_options *options);

/* Unmaps the view and leaves; the last user of a region that is not persistent removes it. NULL is allowed. */
LEAT_API void leat_region_close(leat_region *region);

/* The first byte of the view, page-aligned. Valid until leat_region_close. */
LEAT_API void *leat_region_data(const leat_region *region);

/* The exact size in bytes, as it was at open. */
LEAT_API uint64_t leat_region_size(const leat_region *region);

/* The size rounded up to whole pages: what is mapped. */
LEAT_API uint64_t leat_region_mapped_size(const leat_region *region);

/* Whether this handle's open created the region. */
LEAT_API bool leat_region_created(const leat_region *region);

/* Copies bytes out of or into the region. LEAT_ERANGE when [offset, offset + length) is not inside it (nothing is copied),
 * LEAT_EACCES when writing to a read-only region, LEAT_EFORKED. Not atomic against other writers. */
LEAT_API LEAT_CHECKED int leat_region_read(const leat_region *region, uint64_t offset, void *buffer, size_t length);
LEAT_API LEAT_CHECKED int leat_region_write(leat_region *region, uint64_t offset, const void *data, size_t length);

/* Makes the view independent of the handle and returns its address: it stays mapped after leat_region_close, until
 * leat_view_unmap. The name lives as long as a handle, the memory as long as a handle or a view. NULL with the handle of
 * another process (a forked child's), or when memory is short. */
LEAT_API void *leat_region_detach_view(leat_region *region);

/* Unmaps a detached view; any address inside it will do. LEAT_EINVAL when no detached view holds the address. */
LEAT_API LEAT_CHECKED int leat_view_unmap(const void *address);

#ifdef __cplusplus
}
#endif
#endif
