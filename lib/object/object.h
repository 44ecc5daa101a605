/* lib/object/object.h - the life of a named object, whatever its kind.
 *
 * Born whole. A new object is a file without a name; it is reserved, initialised and locked before
 * it is linked to its name. Dies with its last user. Every handle holds one lock byte of the file,
 * its *place*. A handle that closes and finds no other place taken removes the name. The kernel
 * drops the locks of a process that crashes; a temporary object in which no place is taken is
 * *stale*. The next open removes a stale object first, and so does leat_gc.
 *
 * A process that removes a name first takes all places at once. The kernel grants that only while
 * no other handle has a place, and no handle can take one meanwhile. Nothing else is needed to keep
 * opening and closing apart:
 *
 *     open   open the file
 *            if it is temporary, try to take all places: granted, it is stale
 *            take a place
 *            check that the file still has its name and its header; else start over
 *     close  give the place up
 *            try to take all places: granted, remove the name
 *
 * Two handles that close at once: each has given its place up before it tries to take all. So the
 * second one at the latest is granted all places, unless the first one has them and removes the
 * name. An open that takes its place before that is seen by the closing handle; an open that takes
 * it after that finds that the file has lost its name.
 *
 * The name of a stale object may belong to another user, so that this user cannot remove it. Then
 * any user with write permission makes the object anew in the same file. A mutex whose next owner
 * must still learn of a death is kept, whatever kind the next open asks for (leat__object_keeps),
 * unless its permissions let no user open it.
 *
 * Crash points. Before the link: the file has no name, and the kernel frees it. With all places
 * taken: the kernel drops them; the object is stale as before, or half made anew, and the next open
 * makes it again. After the last place is given up and before the removal: stale. A process that is
 * *stopped* while it has all places delays others for at most one second; then open fails with
 * LEAT_EBUSY, and close leaves the name for the next open to heal.
 */
#ifndef LEAT_LIB_OBJECT_H
#define LEAT_LIB_OBJECT_H

#include "leat/object.h"
#include "lib/object/header.h"
#include "lib/os/os.h"

struct leat__object {
    struct leat__resource resource; /* the file, and memory that a forked child must lose */
    leat_scope scope;
    char file_name[LEAT__FILE_NAME_SIZE];
    uint64_t device; /* of the file; with header.inode, no other's */
    uint64_t size;   /* of the file, bytes */
    bool writable;   /* the file is open for writing, so that exclusive locks are possible */
    bool temporary;  /* dies with its last user */
    bool shares;     /* the open file is another handle's too, and so are its locks */
    bool created;    /* by this open */
    /* where its name is, shared (leat__os_directory_open); or LEAT__NO_FILE */
    leat__file directory;
    unsigned place; /* the lock byte that makes this handle a participant, if its kind chose one */
    /* the number of the notify socket in resource.notify, or of one that was not found; 0: none
     * yet */
    uint64_t notify;
    /* its member of a wait set (channels/waitset/waitset.h), or NULL; and how the set forgets it
     * before it closes */
    struct leat__member *member;
    void (*forget)(struct leat__member *member);
    /* a wait outside of the wait set has disarmed it */
    void (*disarmed)(struct leat__member *member);
    struct leat__header header; /* validated copy; zero for regions */
};

/* A lock byte: exclusive while the object's name is removed, and so are all places. */
#define LEAT__LOCK_NAME LEAT__FIRST_PLACE

struct leat__object_request {
    const char *name;
    bool anonymous; /* an object without a name is created, which others get by its descriptor */
    leat_scope scope;
    leat_kind kind;
    leat_mode mode;
    bool writable;
    bool persistent;
    uint32_t permissions; /* 0: 0600 */
    uint64_t size;        /* of a new object's file, bytes */
    /* fills a new object's file; NULL: the file stays zero */
    int (*initialise)(leat__file file, const void *context);
    const void *context;

    /* Takes the handle's place, object->place, and may map the object. NULL: takes any byte among
     * the users'. Called on a new object before it has its name, or on an existing one after its
     * header was validated. leat__object_close undoes it. LEAT_EBUSY when another handle has the
     * place. */
    int (*take_place)(struct leat__object *object);
};

/* Reports to the object's wait set, if it is in one, that it is disarmed. */
static inline void leat__object_disarmed(const struct leat__object *object) {
    if (object->member != NULL)
        object->disarmed(object->member);
}

#define LEAT__RESERVED 4 /* words at the end of each structure of options */

/* LEAT_EINVAL when one of these, which all objects have among their options, has no meaning; and
 * when a reserved word is not 0: it may be an option that this library does not know. */
int leat__object_check_options(leat_mode mode, leat_scope scope, uint32_t permissions,
                               const uint64_t reserved[LEAT__RESERVED]);

/* Opens or creates by the request, and takes a place. */
int leat__object_open(struct leat__object *object, const struct leat__object_request *request);

/* Opens the object behind the caller's descriptor, through an open file of its own, so that locks
 * distinguish the handles. If its name can be found, the handle counts as a user like one opened by
 * name. LEAT_EACCES where the system does not let this user open the file again, LEAT_EKIND,
 * LEAT_EINVAL. */
int leat__object_open_descriptor(struct leat__object *object, int descriptor, leat_kind kind,
                                 int (*take_place)(struct leat__object *object));

/* For inspection: the scope's directory, and the file name that the name has there. The caller
 * closes the directory. A scope prefix of the name decides, and is taken off. LEAT_ENAME,
 * LEAT_ENOENT when the scope was never used. */
int leat__object_locate(const char **name, leat_scope *scope, char file_name[LEAT__FILE_NAME_SIZE],
                        leat__file *directory);

/* Opens the object's file for reading only, and calls `look` on it; header is all zero for a
 * region. No user is woken or counted. label: what a failure's detail is about, "channel" for
 * example. LEAT_ENOENT, LEAT_EACCES, LEAT_EUNTRUSTED, LEAT_EVERSION, LEAT_ECORRUPT, or the result
 * of `look`. */
int leat__object_inspect(const char *name, leat_scope scope, const char *label,
                         int (*look)(leat__file file, leat_kind kind,
                                     const struct leat__header *header, void *context),
                         void *context);

/* Checks that a file can be trusted as an object of the scope: it is regular and, in the local
 * scope, belongs to this user. LEAT_EUNTRUSTED. */
int leat__object_check_file(const struct leat__file_status *status, leat_scope scope);

/* Takes a lock byte exclusively; waits for it for at most a second. LEAT_EBUSY, or an error of the
 * system. LEAT__ONLY_READERS: no process that may write to the file holds the byte, but one that
 * may read it holds a shared lock there, which the library never does. */
#define LEAT__ONLY_READERS 2
int leat__object_lock(leat__file file, unsigned byte);

/* Maps the whole file. In a forked child the mapping is replaced by zeros, and the words that the
 * allowances (or NULL) point to become 0 (lib/os/os.h). */
int leat__object_map_private(struct leat__object *object, uint64_t *allowance, uint64_t *another);

/* Unmaps what leat__object_map_private mapped, gives up all locks, and removes the name if this was
 * the last user. */
void leat__object_close(struct leat__object *object);

enum leat__healed {
    LEAT__NOT_HEALED, /* it is not stale, or another process opens or closes it just now */
    LEAT__REMOVED,    /* or it was not there */
    LEAT__KEPT        /* it has no users, and stays */
};

/* Removes the name of a stale object, unless it is to be kept. LEAT_EACCES when the system does not
 * let this user. */
int leat__object_heal(leat__file directory, const char *file_name, enum leat__healed *healed);

#endif
