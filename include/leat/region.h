/* leat/region.h - a piece of memory that several processes see at once: under a name, without one,
 * or the bytes of a file.
 *
 * The bytes start at offset 0 of the object: no header, the exact size, zero-filled at creation. In
 * the Global scope a region *is* a POSIX shared memory object, so that Python's
 * multiprocessing.shared_memory, shm_open and leat open each other's.
 *
 * Caveats. A region synchronises nothing: two processes that write the same bytes at once race.
 * Send messages through a channel (leat/channel.h) instead of building one from a region. All
 * memory is reserved at creation, so that a full /dev/shm is LEAT_ENOSPC here and never SIGBUS
 * later; objects and files made by other programs may not be reserved. From 1 MiB on the memory is
 * looked for first, in the machine and in the memory cgroups of the process: more than they could
 * free at most is LEAT_ENOSPC, for named and anonymous regions, new ones and growing. Close to
 * that, or when several processes reserve at once, the kernel may still kill instead of refusing.
 * Whoever may write to a named region or a file may also shorten it, and touching what is gone is
 * SIGBUS; a region without a name cannot be shortened (leat_region_details.sealed).
 *
 *     leat_region *region;
 *     if (leat_region_open(&region, "scoreboard", 4096, NULL) != LEAT_OK)
 *         ...
 *     struct scoreboard *board = leat_region_data(region);
 *     ...
 *     leat_region_close(region);
 *
 * Each handle has one view of the region, made when it is opened; leat/view.h has more views, and
 * what can be asked of the memory behind them.
 *
 * Thread safety: a handle may be used by several threads at once, but not while it is being closed,
 * grown or refreshed. Fork: the child cannot use the parent's handle (LEAT_EFORKED) and does not
 * keep the object alive, but the view is ordinary inherited memory and stays visible to it.
 * Signals: nothing here may be called from a handler; a signal that arrives meanwhile changes
 * nothing. Blocking: as in leat/object.h.
 */
#ifndef LEAT_REGION_H
#define LEAT_REGION_H

#include "leat/object.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct leat_region leat_region;

/* What an existing object's size must be, compared with the size argument, and how much of it the
 * handle sees. */
typedef enum leat_size_policy {
    LEAT_SIZE_ADOPT = 0,    /* anything: the whole object is seen, the argument is ignored */
    LEAT_SIZE_AT_LEAST = 1, /* the argument or more, else LEAT_ESIZE; the whole object is seen */
    LEAT_SIZE_EXACT = 2,    /* the argument, else LEAT_ESIZE */
    /* anything: a smaller object grows to the argument; the whole object is seen */
    LEAT_SIZE_GROW = 3,
    /* the argument or more, else LEAT_ESIZE; only so many bytes are seen. 0: the whole object */
    LEAT_SIZE_CLIP = 4,
    /* anything: a smaller object grows, of a larger one only the argument's bytes are seen. 0: the
     * whole */
    LEAT_SIZE_FIT = 5,
} leat_size_policy;

#define LEAT_REGION_SIZE_DEFAULT 4096

/* What the bytes are, for those who must not take them for something else. Two types are the same
 * when all three are equal. */
typedef struct leat_type {
    const char *name; /* 1 to 127 bytes, no control characters: "telemetry.frame" */
    uint64_t size;    /* bytes of one value, sizeof; a region of the type has at least as many */
    uint32_t version; /* changes when the layout does */
} leat_type;

#define LEAT_TYPE_NAME_MAX 127

/* All zero is the sensible default: local, open or create, read and write, any size, dies with its
 * last user, for this user alone. */
typedef struct leat_region_options {
    leat_scope scope;
    leat_mode mode; /* open, create, or either */
    leat_access access;
    leat_size_policy size_policy;
    bool persistent; /* names, when created: stays until leat_unlink */
    bool anonymous;  /* the region has no name: the name is NULL, and the region always created */
    /* files and descriptors: LEAT_EBUSY unless no other handle uses the file; and other handles get
     * LEAT_EBUSY for as long as this one is open */
    bool exclusive;
    /* when created: rwxrwxrwx bits, the process's umask not applied; 0 means 0600 */
    uint32_t permissions;
    /* NULL: not asked. When created: recorded; when opened: LEAT_ETYPE unless the recorded one is
     * the same */
    const leat_type *type;
    uint64_t reserved[4]; /* zero */
} leat_region_options;

/* --- By name, or without one ------------------------------------------------------------------ */

/* Opens the region, or creates it, as options->mode says (options NULL: the defaults), and maps it.
 * Between finding no region and creating one no other process can come; leat_region_info reports
 * which of both happened. size: bytes; of a new region 0 means that of the type, else
 * LEAT_REGION_SIZE_DEFAULT; for an existing one the size policy decides what it means.
 *
 * LEAT_ENOENT (LEAT_OPEN) and LEAT_EEXIST (LEAT_CREATE) by the mode; LEAT_EKIND when the name
 * belongs to another kind of object; LEAT_ESIZE, also for an object of zero bytes (another program
 * is between creating and sizing it); LEAT_ETYPE; LEAT_ENAME, also when the name is NULL;
 * LEAT_ENOSPC (the detail says how much is free); LEAT_EACCES, LEAT_EUNTRUSTED, LEAT_EINVAL;
 * LEAT_ENOTSUP when a type is to be recorded and the system cannot (Linux before 6.6;
 * docs/decisions/0009-typed-regions.md).
 *
 * An anonymous region lives as long as a handle, a descriptor or a view. Other processes get it by
 * its descriptor (below). Its pages are reserved, and it is sealed against shortening, so that no
 * access to it can be SIGBUS. */
LEAT_API LEAT_CHECKED int leat_region_open(leat_region **region, const char *name, uint64_t size,
                                           const leat_region_options *options);

/* --- Files ------------------------------------------------------------------------------------ */

/* The bytes of a file as a region; options->mode says whether the file is opened, created, or
 * either. The file is an ordinary one of any file system, found by path; leat never removes it, nor
 * anything of its content. Of the options, mode, access, size policy, exclusive, permissions and
 * type matter; persistent and anonymous are LEAT_EINVAL.
 *
 * size: bytes. A new file gets so many, zero. For an existing one the size policy decides:
 * LEAT_SIZE_GROW extends it, LEAT_SIZE_FIT does and sees no more than that; 0 is the whole file.
 * What is added is reserved first, so that a full disk is LEAT_ENOSPC with the file unchanged.
 * LEAT_ESIZE for a file of no bytes, or a new one of 0. LEAT_EKIND when it is no regular file, or
 * another kind of leat object. LEAT_EACCES, LEAT_ENOENT, LEAT_EEXIST, LEAT_EBUSY (exclusive),
 * LEAT_ENOTSUP (a type, where the file system has no extended attributes). Symbolic links are
 * followed to files that are there: one that leads to nothing is LEAT_ENOENT with LEAT_OPEN,
 * LEAT_EEXIST with LEAT_CREATE, and LEAT_EUNTRUSTED with LEAT_OPEN_OR_CREATE, as is one that leads
 * to itself. */
LEAT_API LEAT_CHECKED int leat_region_file(leat_region **region, const char *path, uint64_t size,
                                           const leat_region_options *options);

/* --- By descriptor ---------------------------------------------------------------------------- */

/* A region from an open descriptor of a file, a memfd, or a POSIX shared memory object; the
 * descriptor stays the caller's and may be closed. It must be open for reading, and for
 * LEAT_READ_WRITE for writing too, else LEAT_EACCES. LEAT_EINVAL when it is not open, LEAT_EKIND
 * when it is something else: a directory, a pipe, a socket, another kind of leat object. Options
 * and sizes as in leat_region_file. The handle keeps the memory alive, not a name: it is no user of
 * a named region whose descriptor it was made from.
 *
 * The system may not let the file be opened again (no /proc, another user's permissions). Then the
 * handle uses the descriptor's own open file. If that has locks of another handle, exclusive use
 * and growing are LEAT_EACCES. */
LEAT_API LEAT_CHECKED int leat_region_open_descriptor(leat_region **region, int descriptor,
                                                      uint64_t size,
                                                      const leat_region_options *options);

/* A new descriptor of the region's memory, to be closed by the caller, open for reading and writing
 * or, with LEAT_READ_ONLY, only for reading; LEAT_EACCES when the handle may not do that itself. It
 * is closed when the process starts another program, unless `inherited`: then programs started
 * while it is open have it under its number. LEAT_EFORKED, LEAT_ELIMIT; LEAT_EACCES also when the
 * file cannot be opened again and is used exclusively. leat_descriptor_send passes it on. (Who is
 * given a read-only descriptor and may open the file by its permissions can open it for writing:
 * /proc/self/fd.) */
LEAT_API LEAT_CHECKED int leat_region_descriptor(const leat_region *region, leat_access access,
                                                 bool inherited, int *descriptor);

/* --- The handle ------------------------------------------------------------------------------- */

/* Unmaps the view and leaves; the last user of a region that is not persistent removes it. NULL is
 * allowed. */
LEAT_API void leat_region_close(leat_region *region);

/* The first byte of the view, page-aligned. Valid until leat_region_close, leat_region_grow or
 * leat_region_refresh. */
LEAT_API void *leat_region_data(const leat_region *region);

/* The exact size in bytes, as this handle sees it: as it was when it was opened, grown or
 * refreshed. */
LEAT_API uint64_t leat_region_size(const leat_region *region);

typedef enum leat_backing {
    LEAT_BACKING_NAME = 0,       /* a named object */
    LEAT_BACKING_ANONYMOUS = 1,  /* created without a name */
    LEAT_BACKING_FILE = 2,       /* a file, by its path */
    LEAT_BACKING_DESCRIPTOR = 3, /* opened from a descriptor */
} leat_backing;

typedef struct leat_region_details {
    uint64_t size;        /* bytes; of a handle: as it sees them */
    uint64_t mapped_size; /* the same in whole pages */
    leat_access access;   /* of the handle's view */
    leat_backing backing;
    bool created; /* this handle's open created the region */
    bool sealed;  /* the kernel lets nobody shorten the memory: the view cannot be SIGBUS */
    /* without a scope prefix; the path of a file; or "" for a region without either. Valid as long
     * as the handle, or the name that was asked about */
    const char *name;
    /* the type recorded with the region; its name is NULL when none is, and valid until the calling
     * thread's next call of leat_region_info or leat_region_stat */
    leat_type type;
    uint64_t reserved[4]; /* zero */
} leat_region_details;

/* Describes an open region. LEAT_ECORRUPT when the recorded type has no form that leat writes,
 * LEAT_EFORKED, LEAT_EINVAL. */
LEAT_API LEAT_CHECKED int leat_region_info(const leat_region *region, leat_region_details *details);

/* The same of a region by its name, without opening it: nobody notices. LEAT_ENOENT, LEAT_EKIND,
 * LEAT_EACCES, LEAT_EUNTRUSTED, LEAT_ECORRUPT, LEAT_ENAME, LEAT_EINVAL. */
LEAT_API LEAT_CHECKED int leat_region_stat(const char *name, leat_scope scope,
                                           leat_region_details *details);

/* Copies bytes out of or into the region. LEAT_ERANGE when [offset, offset + length) is not inside
 * it (nothing is copied), LEAT_EACCES when writing to a read-only region, LEAT_EFORKED. Not atomic
 * against other writers. */
LEAT_API LEAT_CHECKED int leat_region_read(const leat_region *region, uint64_t offset, void *buffer,
                                           size_t length);
LEAT_API LEAT_CHECKED int leat_region_write(leat_region *region, uint64_t offset, const void *data,
                                            size_t length);

/* --- Growing -------------------------------------------------------------------------------------
 *
 * A region can grow and never shrinks. Views that exist, in whatever process, stay valid and as
 * long as they were; to see what was added, a process refreshes its handle or maps a further
 * view. */

/* Grows the object to at least so many bytes, reserved and zero, and refreshes the handle. LEAT_OK
 * and nothing else when it is that large already. LEAT_ENOSPC (nothing is changed), LEAT_EACCES
 * when the handle is not for writing or somebody sealed the memory, LEAT_EBUSY when another process
 * has been opening, closing or growing it for a second, LEAT_EFORKED, LEAT_EINVAL when size is
 * 0. */
LEAT_API LEAT_CHECKED int leat_region_grow(leat_region *region, uint64_t size);

/* Looks at the object's size again and extends the handle's view over what was added; a handle that
 * was clipped sees no more than before. The view is extended in place where the addresses behind it
 * are free, else it moves: leat_region_data tells where. LEAT_OK also when nothing has changed;
 * LEAT_ESIZE when another program has shortened the object (the handle is left as it was),
 * LEAT_ENOMEM, LEAT_EFORKED; LEAT_ESTATE when the view was detached, or is copy-on-write and parts
 * of it were treated differently (locked, for example): unlock them first. */
LEAT_API LEAT_CHECKED int leat_region_refresh(leat_region *region);

/* --- Flushing --------------------------------------------------------------------------------- */

typedef enum leat_flush {
    /* starts writing what has changed, and does not wait for it: no promise about a crash of the
     * system */
    LEAT_FLUSH_START = 0,
    /* returns when it is on the disk, with what is needed to find it there */
    LEAT_FLUSH_DURABLE = 1,
} leat_flush;

/* Has [offset, offset + length) written to the region's file, rounded out to whole pages; length 0
 * is to the end. It does not matter through which handle, view or process the bytes were changed;
 * private copies are not part of the file. Memory that has no disk behind it (named objects,
 * anonymous regions) has nothing to write: LEAT_OK. LEAT_ERANGE; what the disk reports:
 * LEAT_ENOSPC, LEAT_ESYSTEM. */
LEAT_API LEAT_CHECKED int leat_region_flush(const leat_region *region, uint64_t offset,
                                            uint64_t length, leat_flush how);

/* --- Views that outlive the handle ------------------------------------------------------------ */

/* Makes the view independent of the handle and returns its address: it stays mapped after
 * leat_region_close, until leat_view_unmap. The name lives as long as a handle, the memory as long
 * as a handle or a view. NULL with the handle of another process (a forked child's), or when it was
 * detached before. */
LEAT_API void *leat_region_detach_view(leat_region *region);

/* Unmaps a detached view, or one made by leat_view_map (leat/view.h); any address inside it will
 * do. LEAT_EINVAL when no such view holds the address. */
LEAT_API LEAT_CHECKED int leat_view_unmap(const void *address);

#ifdef __cplusplus
}
#endif
#endif
