/* leat/object.h - what all named objects have in common; listing, describing and removing them.
 *
 * Lifetime. An object appears complete: other processes never see a half-made one. Its last user
 * removes the name when it closes its handle. The kernel knows the users, because each handle holds
 * a lock on the object's file; so the count stays right when a process is killed. The next open, or
 * leat_gc, removes a name that killed processes left behind. A *persistent* object stays until
 * leat_unlink or the next boot. An *abandoned* mutex, whose owner died as its last user, stays
 * until its next owner has got LEAT_EOWNERDEAD and has unlocked it.
 *
 * Names. All kinds share one name space in each scope. Names are case sensitive and may contain any
 * byte but NUL. A NULL name is LEAT_ENAME.
 *
 * Handles. Each kind has an opaque handle. Close functions accept NULL and do nothing. Passing NULL
 * to another function is a bug of the program: functions that move messages may crash; the others
 * return LEAT_EINVAL, or 0, false or NULL if they return no code.
 *
 * Structures can gain members without breaking compiled programs: they end in reserved words. In
 * structures that the program fills, these must be zero (else LEAT_EINVAL: they may be options of a
 * later version); in those that the library fills, the library sets them to zero. leat_message and
 * leat_type are elements of arrays and do not grow.
 *
 * Users. The object's permissions and the system's rules for /dev/shm decide which users may open
 * an object, heal it and remove it: see the table in docs/failure-model.md, "Users and rights".
 *
 * Permissions. A user that may read an object's file can lock it. Therefore the classes of users
 * (owner, group, others) that may not write to a channel, mutex, event or semaphore may not read it
 * either: leat creates it without the r of a class that has no w (0644 becomes 0600). A region may
 * have readers. A reader can keep the region in use, as any user can, but cannot delay those who
 * write.
 *
 * Caveats
 *   - A user that may write to an object's file can also shorten it; a process that then touches
 *     its mapping gets SIGBUS. Share objects with trusted users only (docs/failure-model.md, level
 *     H2).
 *   - With systemd-logind's RemoveIPC=yes, the default, a regular user's objects are removed at the
 *     user's last logout.
 *   - Python before 3.13 removes names of shared memory that it has opened.
 *   - In the global scope another user can take a name first.
 *
 * Threads: any. Fork: all functions may be called in a child. Blocking: a process that was stopped
 * while it removed the object's name can delay these calls by up to a second (then LEAT_EBUSY).
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
    LEAT_KIND_WAITSET = 6, /* leat_gc only: the socket of a wait set; not listed, of no size */
} leat_kind;

/* "region", "mutex", ...; "unknown" for a number that is no kind. */
LEAT_API const char *leat_kind_name(leat_kind kind);

typedef struct leat_object_info {
    char name[LEAT_NAME_MAX + 1]; /* as given at creation, without a scope prefix; NUL-terminated */
    leat_scope scope;
    leat_kind kind; /* a file without a leat header is a region, as any POSIX shared memory is */
    uint64_t size;  /* bytes of memory, header included */
    uint32_t owner; /* user id */
    uint32_t permissions; /* rwxrwxrwx bits */
    bool persistent; /* stays when its last user closes it; true for objects of other programs */
    bool in_use;     /* a process has a handle */
    bool damaged;    /* it has leat's magic number and a header with a wrong checksum */
    bool abandoned;  /* a mutex without users that waits for an owner to get LEAT_EOWNERDEAD */
    /* Open handles in all processes. Handles that open or close during the count may be missed. The
     * count stops after some thousand questions to the system: with more than some hundred handles
     * it is a lower bound. */
    uint32_t users;
    uint64_t device; /* device and inode identify the file, as in stat(2), /proc/PID/maps, locks */
    uint64_t inode;
    uint64_t reserved[4]; /* zero */
} leat_object_info;

/* Describes an object by name; the caller does not become a user. An object that killed processes
 * left behind is described, with in_use false, until it is removed. Returns LEAT_OK, LEAT_ENOENT,
 * LEAT_EACCES, LEAT_ENAME; LEAT_EUNTRUSTED for a file that opening would refuse; LEAT_EINVAL for a
 * scope that does not exist; LEAT_ESYSTEM or similar if the system does not answer whether the
 * object has users. */
LEAT_API LEAT_CHECKED int leat_stat(const char *name, leat_scope scope, leat_object_info *info);

/* Calls `visit` for every object of the scope, ordered by the bytes of the names. If a visit
 * returns non-zero, the listing ends and returns that value. Files that this user may not read are
 * skipped. Objects that are created or removed meanwhile may be missed. Returns LEAT_OK, or an
 * error of the system. */
LEAT_API LEAT_CHECKED int leat_list(leat_scope scope,
                                    int (*visit)(const leat_object_info *info, void *context),
                                    void *context);

/* Removes the name at once, even if the object is in use. Processes that have it open keep it; the
 * name is free for a new object. Returns LEAT_OK, LEAT_ENOENT, LEAT_EACCES, LEAT_ENAME. */
LEAT_API LEAT_CHECKED int leat_unlink(const char *name, leat_scope scope);

/* Removes what killed processes left behind in the scope: every object that is not persistent, has
 * no user, and may be removed by this user (in the global scope the user's own; root removes all);
 * in the local scope also the sockets of wait sets. Kernel locks decide, never age or process
 * numbers. Objects of other programs and abandoned mutexes stay. An object about which the system
 * gives no answer stays too; the first such error is returned after the other objects were dealt
 * with. `visit` (may be NULL) is called for each removed object. Returns LEAT_OK also if there was
 * nothing to do. */
LEAT_API LEAT_CHECKED int leat_gc(leat_scope scope,
                                  void (*visit)(const leat_object_info *info, void *context),
                                  void *context);

/* --- Handing over --------------------------------------------------------------------------------
 *
 * leat_region_descriptor and leat_sync_descriptor return a descriptor of an object. Functions whose
 * names end in open_descriptor make a handle from a descriptor. The two functions below pass a
 * descriptor to another process. Both are cancellation points while they wait (deferred
 * cancellation, within about 100 ms). */

/* Sends a descriptor over a connected Unix socket, with one byte of data, as the system requires.
 * The descriptor stays the caller's and may be closed. Returns LEAT_OK; LEAT_ECLOSED if the peer
 * closed the socket; LEAT_EAGAIN (deadline LEAT_NOW) or LEAT_ETIMEDOUT if the socket is full;
 * LEAT_EINVAL if it is no such socket, or the descriptor is not open. */
LEAT_API LEAT_CHECKED int leat_descriptor_send(int socket, int descriptor, uint64_t deadline_ns);

/* Receives one byte of data with one descriptor; the caller closes it, and execve closes it too.
 * Returns LEAT_OK; LEAT_EKIND if no descriptor came with the byte, or several (which are closed);
 * LEAT_ECLOSED at the end of the stream; LEAT_EAGAIN, LEAT_ETIMEDOUT, LEAT_EINVAL; LEAT_ELIMIT if
 * this process has no room for a descriptor (the one that was sent is lost). */
LEAT_API LEAT_CHECKED int leat_descriptor_receive(int socket, int *descriptor,
                                                  uint64_t deadline_ns);

#ifdef __cplusplus
}
#endif
#endif
