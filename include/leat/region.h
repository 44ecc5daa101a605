/* leat/region.h - a piece of memory that several processes see at once: under a name, without one,
 * or the bytes of a file.
 *
 * The bytes start at offset 0 of the object; there is no header. The size is exact, and a new
 * region is zero. In the global scope a region *is* a POSIX shared memory object: leat, shm_open
 * and Python's multiprocessing.shared_memory open each other's objects.
 *
 * Caveats
 *   - A region synchronises nothing. Two processes that write the same bytes at once race. For
 *     messages use a channel (leat/channel.h).
 *   - All memory is reserved when a region is created or grows, so a full /dev/shm is LEAT_ENOSPC
 *     there and never SIGBUS later. Objects and files of other programs may not be reserved.
 *   - From 1 MiB on, leat first compares the size with the memory that the machine and the
 *     process's memory cgroups could free at most: more is LEAT_ENOSPC. Just below that, or if
 *     several processes reserve at once, the kernel may still kill a process.
 *   - A user that may write to a named region or a file may also shorten it; touching the part that
 *     is gone is SIGBUS. An anonymous region cannot be shortened (leat_region_details.sealed).
 *
 *     leat_region *region;
 *     if (leat_region_open(&region, "scoreboard", 4096, NULL) != LEAT_OK)
 *         ...
 *     struct scoreboard *board = leat_region_data(region);
 *     ...
 *     leat_region_close(region);
 *
 * Each handle has one view of the region, mapped when it is opened. leat/view.h has further views
 * and operations on the memory behind them.
 *
 * Threads. Several threads may use a handle at once, except while one of them closes, grows or
 * refreshes it. Fork: a child cannot use its parent's handle (LEAT_EFORKED) and does not keep the
 * object open; the view stays mapped in the child, as inherited memory. Signals: no function may be
 * called from a signal handler; signals do not interrupt these calls. Blocking: as in
 * leat/object.h.
 */
#ifndef LEAT_REGION_H
#define LEAT_REGION_H

#include "leat/object.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct leat_region leat_region;

/* How the size argument and the size of an existing object combine. */
typedef enum leat_size_policy {
    LEAT_SIZE_ADOPT = 0,    /* any size; the view is the whole object; the argument is ignored */
    LEAT_SIZE_AT_LEAST = 1, /* smaller: LEAT_ESIZE; the view is the whole object */
    LEAT_SIZE_EXACT = 2,    /* another size: LEAT_ESIZE */
    LEAT_SIZE_GROW = 3,     /* a smaller object grows; the view is the whole object */
    LEAT_SIZE_CLIP = 4,     /* smaller: LEAT_ESIZE; the view is the argument's bytes, 0: all */
    LEAT_SIZE_FIT = 5,      /* a smaller object grows; the view is the argument's bytes, 0: all */
} leat_size_policy;

#define LEAT_REGION_SIZE_DEFAULT 4096

/* The type of a region's bytes, so that a program does not mistake them for another type. Two types
 * are the same if all three members are equal. */
typedef struct leat_type {
    const char *name; /* 1 to 127 bytes, no control characters: "telemetry.frame" */
    uint64_t size;    /* sizeof a value in bytes; a region of the type has at least as many */
    uint32_t version; /* changes with the layout */
} leat_type;

#define LEAT_TYPE_NAME_MAX 127

/* All zero is a sensible default: local scope, opened or created, read and write, any size, removed
 * with its last user, accessible to this user id alone. */
typedef struct leat_region_options {
    leat_scope scope;
    leat_mode mode;
    leat_access access;
    leat_size_policy size_policy;
    bool persistent; /* named regions, when created: stays until leat_unlink */
    bool anonymous;  /* without a name: the name must be NULL, and the region is always created */
    /* Files and descriptors: LEAT_EBUSY if another handle uses the file. While this handle is open,
     * other handles get LEAT_EBUSY. */
    bool exclusive;
    uint32_t permissions; /* when created: rwxrwxrwx bits, without the umask. 0: 0600 */
    /* When created: recorded with the region. When opened: LEAT_ETYPE unless the recorded type is
     * the same. NULL: no type. */
    const leat_type *type;
    uint64_t reserved[4]; /* zero */
} leat_region_options;

/* --- By name, or without one ------------------------------------------------------------------ */

/* Opens or creates a region, as options->mode says (options NULL: the defaults), and maps it.
 * Opening or creating is one step: of several processes one creates. leat_region_info reports
 * whether this call created it. size is in bytes. For a new region 0 is the size of the type, else
 * LEAT_REGION_SIZE_DEFAULT; for an existing region the size policy applies.
 *
 * Returns LEAT_OK; LEAT_ENOENT (LEAT_OPEN) or LEAT_EEXIST (LEAT_CREATE) by the mode; LEAT_EKIND if
 * the name belongs to an object of another kind; LEAT_ESIZE, also for an object of zero bytes
 * (another program has created it and not yet given it a size); LEAT_ETYPE; LEAT_ENAME, also if the
 * name is NULL; LEAT_ENOSPC (the detail says how much is free); LEAT_EACCES, LEAT_EUNTRUSTED,
 * LEAT_EINVAL; LEAT_ENOTSUP if the system cannot record a type (Linux before 6.6;
 * docs/decisions/0009-typed-regions.md).
 *
 * An anonymous region lives as long as a handle, a descriptor or a view of it. Other processes get
 * it by its descriptor (below). It is reserved and sealed against shortening: no access to it can
 * be SIGBUS. */
LEAT_API LEAT_CHECKED int leat_region_open(leat_region **region, const char *name, uint64_t size,
                                           const leat_region_options *options);

/* --- Files ------------------------------------------------------------------------------------ */

/* Opens or creates a regular file by its path, as options->mode says, and maps it as a region. The
 * file may be on any file system. leat never removes it or any of its content. Of the options it
 * uses mode, access, size_policy, exclusive, permissions and type; persistent and anonymous are
 * LEAT_EINVAL.
 *
 * size is in bytes. A new file gets this size, filled with zeros; for an existing file the size
 * policy applies. What is added is reserved first: if the disk is full, the call returns
 * LEAT_ENOSPC and the file is unchanged.
 *
 * Symbolic links to existing files are followed. A dangling link is LEAT_ENOENT with LEAT_OPEN,
 * LEAT_EEXIST with LEAT_CREATE, LEAT_EUNTRUSTED with LEAT_OPEN_OR_CREATE; a loop of links is
 * LEAT_EUNTRUSTED.
 *
 * Returns LEAT_OK; LEAT_ENOENT, LEAT_EEXIST; LEAT_ESIZE for an empty file or a new one of 0 bytes;
 * LEAT_EKIND if it is no regular file, or a leat object of another kind; LEAT_EBUSY (exclusive);
 * LEAT_ENOTSUP if the file system has no extended attributes for a type; LEAT_EACCES, LEAT_ENOSPC,
 * LEAT_ETYPE, LEAT_EINVAL. */
LEAT_API LEAT_CHECKED int leat_region_file(leat_region **region, const char *path, uint64_t size,
                                           const leat_region_options *options);

/* --- By descriptor ---------------------------------------------------------------------------- */

/* Maps the file, memfd or POSIX shared memory object behind an open descriptor as a region. The
 * descriptor stays the caller's and may be closed. Options and size are those of leat_region_file.
 * The handle keeps the memory, not a name: it does not count as a user of a named region.
 *
 * The handle opens the file again. If the system forbids that (no /proc, another user's
 * permissions), it uses the descriptor's own open file description; if that has locks of another
 * handle, exclusive use and growing are LEAT_EACCES.
 *
 * Returns LEAT_OK; LEAT_EACCES if the descriptor is not open for reading, or with LEAT_READ_WRITE
 * not for writing; LEAT_EINVAL if it is not open; LEAT_EKIND if it is a directory, a pipe, a
 * socket, or a leat object of another kind; otherwise as leat_region_file. */
LEAT_API LEAT_CHECKED int leat_region_open_descriptor(leat_region **region, int descriptor,
                                                      uint64_t size,
                                                      const leat_region_options *options);

/* Returns a new descriptor of the region's memory in *descriptor, open for reading and writing or,
 * with LEAT_READ_ONLY, for reading; the caller closes it. leat_descriptor_send passes it to another
 * process. If `inherited`, it stays open across execve, under its number; otherwise execve closes
 * it. (A process that gets a read-only descriptor, and may write to the file by its
 * permissions, can open it for writing through /proc/self/fd.)
 * Returns LEAT_OK; LEAT_EACCES if the handle does not have this access, or if the file cannot be
 * opened again and is used exclusively; LEAT_EFORKED, LEAT_ELIMIT. */
LEAT_API LEAT_CHECKED int leat_region_descriptor(const leat_region *region, leat_access access,
                                                 bool inherited, int *descriptor);

/* --- The handle ------------------------------------------------------------------------------- */

/* Unmaps the view and closes the handle. The last user of a region that is not persistent removes
 * the name. NULL is allowed. */
LEAT_API void leat_region_close(leat_region *region);

/* The first byte of the view, page-aligned. Valid until leat_region_close, leat_region_grow or
 * leat_region_refresh. */
LEAT_API void *leat_region_data(const leat_region *region);

/* The size of the view in bytes: as of the handle's opening, growing or refreshing. */
LEAT_API uint64_t leat_region_size(const leat_region *region);

typedef enum leat_backing {
    LEAT_BACKING_NAME = 0,       /* a named object */
    LEAT_BACKING_ANONYMOUS = 1,  /* created without a name */
    LEAT_BACKING_FILE = 2,       /* a file, by its path */
    LEAT_BACKING_DESCRIPTOR = 3, /* opened from a descriptor */
} leat_backing;

typedef struct leat_region_details {
    uint64_t size;        /* bytes: of the handle's view (_info), of the object (_stat) */
    uint64_t mapped_size; /* the same in whole pages */
    leat_access access;   /* of the handle's view */
    leat_backing backing;
    bool created; /* this handle's open created the region */
    bool sealed;  /* the memory cannot be shortened: no access to the view is SIGBUS */
    /* The name without a scope prefix, the path of a file, or "". Valid as long as the handle
     * (_info) or the argument (_stat). */
    const char *name;
    /* The recorded type; its name is NULL if there is none. Valid until the calling thread's next
     * leat_region_info or leat_region_stat. */
    leat_type type;
    uint64_t reserved[4]; /* zero */
} leat_region_details;

/* Describes the region of a handle. Returns LEAT_OK; LEAT_ECORRUPT if the recorded type is
 * malformed; LEAT_EFORKED, LEAT_EINVAL. */
LEAT_API LEAT_CHECKED int leat_region_info(const leat_region *region, leat_region_details *details);

/* Describes a region by name; the caller does not become a user. Returns as above; LEAT_EKIND for
 * an object of another kind; LEAT_ENOENT, LEAT_EACCES, LEAT_EUNTRUSTED, LEAT_ENAME. */
LEAT_API LEAT_CHECKED int leat_region_stat(const char *name, leat_scope scope,
                                           leat_region_details *details);

/* Copies bytes from or to the region; not atomic. Returns LEAT_OK; LEAT_ERANGE if [offset,
 * offset + length) is not inside the view (nothing is copied); LEAT_EACCES for writing to a
 * read-only region; LEAT_EFORKED. */
LEAT_API LEAT_CHECKED int leat_region_read(const leat_region *region, uint64_t offset, void *buffer,
                                           size_t length);
LEAT_API LEAT_CHECKED int leat_region_write(leat_region *region, uint64_t offset, const void *data,
                                            size_t length);

/* --- Growing -------------------------------------------------------------------------------------
 *
 * A region can grow and never shrinks. Existing views, in all processes, stay valid and keep their
 * length. A process that wants to see the added bytes refreshes its handle or maps another view. */

/* Grows the object to at least size bytes and refreshes the handle. The added bytes are reserved
 * and zero. Does nothing if the object is that large already. Returns LEAT_OK; LEAT_ENOSPC (nothing
 * changes); LEAT_EACCES if the handle is not for writing, or the memory is sealed; LEAT_EBUSY if
 * another process has been opening, closing or growing it for a second; LEAT_EFORKED; LEAT_EINVAL
 * for size 0. */
LEAT_API LEAT_CHECKED int leat_region_grow(leat_region *region, uint64_t size);

/* Extends the handle's view over bytes that were added to the object; a clipped view
 * (LEAT_SIZE_CLIP, LEAT_SIZE_FIT) keeps its length. The view moves if the addresses behind it are
 * not free: ask leat_region_data again. Returns LEAT_OK, also if nothing has changed; LEAT_ESIZE if
 * another program has shortened the object (the view is unchanged); LEAT_ENOMEM, LEAT_EFORKED;
 * LEAT_ESTATE if the view was detached, or is copy-on-write with parts that differ (a locked part,
 * for example: unlock it first). */
LEAT_API LEAT_CHECKED int leat_region_refresh(leat_region *region);

/* --- Flushing --------------------------------------------------------------------------------- */

typedef enum leat_flush {
    LEAT_FLUSH_START = 0,   /* starts writing and does not wait: no promise about a system crash */
    LEAT_FLUSH_DURABLE = 1, /* returns when the bytes and the file's metadata are on the disk */
} leat_flush;

/* Writes [offset, offset + length), rounded out to whole pages, to the region's file; length 0 is
 * to the end. This covers changes through every handle, view and process, but not the private
 * copies of a copy-on-write view. Named and anonymous regions have no disk: nothing to do, LEAT_OK.
 * Returns LEAT_OK, LEAT_ERANGE; LEAT_ENOSPC or LEAT_ESYSTEM as the disk reports. */
LEAT_API LEAT_CHECKED int leat_region_flush(const leat_region *region, uint64_t offset,
                                            uint64_t length, leat_flush how);

/* --- Views that outlive the handle ------------------------------------------------------------ */

/* Separates the view from the handle and returns its address: the view stays mapped after
 * leat_region_close, until leat_view_unmap. The name lives as long as a handle, the memory as long
 * as a handle or a view. Returns NULL if the view was detached before, or in a forked child. */
LEAT_API void *leat_region_detach_view(leat_region *region);

/* Unmaps a detached view, or a view of leat_view_map (leat/view.h); address is any address inside.
 * Returns LEAT_OK; LEAT_EINVAL if there is no such view. */
LEAT_API LEAT_CHECKED int leat_view_unmap(const void *address);

#ifdef __cplusplus
}
#endif
#endif
