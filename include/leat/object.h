/* leat/object.h - what all named objects have in common: they can be listed, looked at, removed and
 * cleaned up.
 *
 * Lifetime in one paragraph. An object is born whole: other processes see it complete or not at
 * all. It dies with its last user: whoever closes it last removes the name. Who is a user is known
 * by the kernel (each handle holds a lock on the object's file), so nothing is miscounted when a
 * process is killed; a name that killed processes left behind is healed by the next open or by
 * leat_gc. A *persistent* object stays until leat_unlink or the next boot.
 *
 * One name space: a name belongs to one object of one kind in its scope. Names are case sensitive
 * and may hold any byte but NUL. Where a name is meant, NULL is LEAT_ENAME.
 *
 * Handles. Each kind has an opaque handle. Its close function takes NULL and does nothing then.
 * Passing NULL to any other call is a fault of the program: calls that move messages may crash, the
 * others return LEAT_EINVAL, or 0, false, NULL where they return no code.
 *
 * Structures. Those that a program fills end in reserved words, which are zero; others are
 * LEAT_EINVAL, as they may be options of a later version. Those that the library fills end in
 * reserved words too, which it sets to zero. So later versions can add fields without breaking
 * compiled programs. Two are for arrays and stay as they are: leat_message and leat_type.
 *
 * A mutex whose holder died while nobody else had it open is not healed but kept, until its next
 * owner has been told and has unlocked it.
 *
 * Several users (global scope). Who may open, heal and remove follows from the object's permissions
 * and from the system's rules for /dev/shm: docs/failure-model.md, "Users and rights", has the
 * table.
 *
 * Permissions. Whoever may read an object's file can put locks on it. So nobody may read a channel,
 * a mutex, an event or a semaphore who may not write to it: where `permissions` ask for r without w
 * (0644), r is left out (0600). A region may have readers; one of them can keep it in use, as any
 * user can, so that its name stays, but delays nobody who may write.
 *
 * Caveats. Whoever may write to an object's file can also shorten it, and a process that then
 * touches its mapping gets SIGBUS; keep objects to users you trust (docs/failure-model.md, level
 * H2). With systemd-logind's RemoveIPC=yes (its default) a regular user's objects vanish at the
 * user's last logout. Python before 3.13 removes names of shared memory that it opened. In the
 * global scope a stranger can take a name first.
 *
 * Thread safety: every function may be called from any thread. Fork: all may be called in a child.
 * Blocking: a process that was stopped while it removed the object's name can delay these calls by
 * up to a second (then LEAT_EBUSY).
 */
#ifndef LEAT_OBJECT_H
#define LEAT_OBJECT_H

#include "leat/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum leat_kind {
    LEAT_KIND_REGION = 1,
    LEAT_KIND_MUTEX = 2,
    LEAT_KIND_EVENT = 3,
    LEAT_KIND_SEMAPHORE = 4,
    LEAT_KIND_CHANNEL = 5,
    /* leat_gc only: where an event loop was to be rung (leat/waitset.h). No object: not listed, of
     * no size */
    LEAT_KIND_WAITSET = 6,
} leat_kind;

/* "region", "mutex", ...; "unknown" for a number that is no kind. */
LEAT_API const char *leat_kind_name(leat_kind kind);

typedef struct leat_object_info {
    char name[LEAT_NAME_MAX + 1]; /* as given at creation, without a scope prefix; NUL-terminated */
    leat_scope scope;
    /* a file without a leat header is a region: every POSIX shared memory object is one */
    leat_kind kind;
    uint64_t size;        /* bytes of memory, header included */
    uint32_t owner;       /* numeric user id */
    uint32_t permissions; /* the nine bits of rwxrwxrwx */
    /* stays when its last user leaves; true for objects that other programs created */
    bool persistent;
    bool in_use;  /* some process holds a handle */
    bool damaged; /* it carries leat's mark and a header that fails its checksum */
    /* a mutex that nobody uses and that stays until an owner has been told that the last one died
     * (leat/sync.h) */
    bool abandoned;
    /* how many handles are open, in all processes; of those that come and go while they are
     * counted, any number. Counting ends after some thousand questions to the system: of more than
     * some hundred handles, at least these */
    uint32_t users;
    /* with inode: which file it is, as stat(2) and the system's lists of mappings and locks number
     * it */
    uint64_t device;
    uint64_t inode;
    uint64_t reserved[4]; /* zero */
} leat_object_info;

/* Looks at one object without becoming a user of it. What killed processes left behind is still
 * shown, with in_use false, until it is healed; the two sorts of files that opening refuses as
 * LEAT_EUNTRUSTED are refused here too. LEAT_ENOENT, LEAT_EACCES, LEAT_EUNTRUSTED, LEAT_EINVAL for
 * a scope that does not exist; an error of the system when it does not say who uses the object. */
LEAT_API LEAT_CHECKED int leat_stat(const char *name, leat_scope scope, leat_object_info *info);

/* Calls `visit` for every object of the scope, in the order of their names' bytes. A visit that
 * returns non-zero ends the listing and its value is returned. Objects that come and go meanwhile
 * may or may not be seen; files that this user may not read are passed over. */
LEAT_API LEAT_CHECKED int leat_list(leat_scope scope,
                                    int (*visit)(const leat_object_info *info, void *context),
                                    void *context);

/* Removes the name at once, in use or not. Processes that have the object open keep it and go on
 * undisturbed; the name is free for a new object. LEAT_ENOENT, LEAT_EACCES. */
LEAT_API LEAT_CHECKED int leat_unlink(const char *name, leat_scope scope);

/* Removes what killed processes left behind in the scope: every object that is not persistent, has
 * no user, and may be removed by this user (in the global scope one's own; root's are all). What
 * leat did not make is never touched, nor a mutex whose next owner is still to be told that its
 * holder died. In the local scope also the wait sets of their event loops. Objects about which the
 * system gives no answer are left as they are, and the first such error is returned when the others
 * have been looked at. Decided by kernel locks alone, never by age or process number, so nothing
 * alive is touched. `visit` (may be NULL) is called for each of these that was removed. Returns
 * LEAT_OK also when there was nothing to do. */
LEAT_API LEAT_CHECKED int leat_gc(leat_scope scope,
                                  void (*visit)(const leat_object_info *info, void *context),
                                  void *context);

/* --- Handing over --------------------------------------------------------------------------------
 *
 * leat_region_descriptor and leat_sync_descriptor give a descriptor of an object, and functions
 * whose names end in open_descriptor make a handle from one. These two pass it between
 * processes. */

/* Sends a descriptor over a connected unix socket, with one byte of data as the system requires.
 * The descriptor stays the caller's and may be closed. LEAT_ECLOSED when the other end is closed,
 * LEAT_EAGAIN (deadline LEAT_NOW) or LEAT_ETIMEDOUT when the socket takes nothing until the
 * deadline, LEAT_EINVAL when it is no such socket or the descriptor is not open. A cancellation
 * point while it waits (deferred; within about 100 ms), as leat_descriptor_receive is. */
LEAT_API LEAT_CHECKED int leat_descriptor_send(int socket, int descriptor, uint64_t deadline_ns);

/* Receives one byte of data and exactly one descriptor with it, to be closed by the caller; it is
 * closed when the process starts another program. Whatever else arrives is closed at once: no
 * descriptor, or several, is LEAT_EKIND. LEAT_ECLOSED at the end of the stream, LEAT_EAGAIN,
 * LEAT_ETIMEDOUT, LEAT_EINVAL; LEAT_ELIMIT when this process can have no further descriptor (what
 * was sent is lost then). */
LEAT_API LEAT_CHECKED int leat_descriptor_receive(int socket, int *descriptor,
                                                  uint64_t deadline_ns);

#ifdef __cplusplus
}
#endif
#endif
