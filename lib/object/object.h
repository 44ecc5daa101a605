/* lib/object/object.h - the life of a named object, whatever its kind.
 *
 * Born whole: a new object is made as a file without a name, reserved, initialised and locked
 * before it is linked to its name. Dies with its last user: every handle holds one lock byte of the
 * file, its *place*, and whoever closes and finds nobody else removes the name. After a crash the
 * kernel has dropped the locks, so a temporary object in which nobody has a place is *stale*: the
 * next open removes it first, as does leat_gc.
 *
 * Whoever removes the name takes all places at once, which the kernel grants only while nobody else
 * has any, and which keeps everybody out meanwhile. So nothing else is needed to keep comings and
 * goings apart:
 *
 *     open   open the file; if it is temporary, try to take all places: granted, it is stale; take a place; look again whether the
 *            file still has its name and its header (else start over)
 *     close  give the place up, try to take all places: granted, remove the name
 *
 * Two that close at once: each has given its place up before it tries, so the second one at the
 * latest is granted all, unless the first one has them and removes the name. An open that takes its
 * place before sees the name or is seen; one that takes it after finds that the file has lost its
 * name.
 *
 * An object that is stale and whose name this user may not remove, because it belongs to another
 * user, is made anew in its place by whoever may write to it. A mutex whose next owner is still to
 * be told of a death is kept, whoever opens that name as whatever kind (leat__object_keeps), unless
 * its permissions let nobody open it.
 *
 * Crash points. Before the link: the file has no name, the kernel frees it. With all places taken:
 * the kernel drops them; the object is stale as before, or half made anew, which the next one makes
 * again. After the last place is given up and before the removal: stale. A process *stopped* while
 * it has all places delays others for at most one second; then open fails with LEAT_EBUSY and close
 * leaves the name for the next open to heal.
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
    /* the number of the wake count that resource.bell is, or was looked for in vain; 0: none yet */
    uint64_t notify;
    /* its place in a wait set (channels/waitset/waitset.h), or NULL, and what to do there before it
     * closes */
    struct leat__member *member;
    void (*forget)(struct leat__member *member);
    /* what it had announced was overwritten, by a wait outside of the wait set */
    void (*disarmed)(struct leat__member *member);
    struct leat__header header; /* validated copy; zero for regions */
};

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
    /* fills a new object's file; NULL: zeros will do */
    int (*initialise)(leat__file file, const void *context);
    const void *context;

    /* Takes the handle's place, object->place, and may map the object; NULL: a byte among the
     * users' will do. Called on a new object before it has its name, else on one whose header was
     * found good; leat__object_close undoes it. LEAT_EBUSY when the place is another one's. */
    int (*take_place)(struct leat__object *object);
};

/* For its place in a wait set, if it has one. */
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

/* Opens the object behind the caller's descriptor, by a file of its own: locks tell handles apart.
 * It is a user as one by name is, as far as the name can be found. LEAT_EACCES where the system
 * does not let this user open the file again, LEAT_EKIND, LEAT_EINVAL. */
int leat__object_open_descriptor(struct leat__object *object, int descriptor, leat_kind kind,
                                 int (*take_place)(struct leat__object *object));

/* For those who only look: the scope's directory and the file name that a name stands for there.
 * The caller closes the directory. The name's scope prefix goes first and is taken off. LEAT_ENAME,
 * LEAT_ENOENT when the scope was never used. */
int leat__object_locate(const char **name, leat_scope *scope, char file_name[LEAT__FILE_NAME_SIZE],
                        leat__file *directory);

/* Opens the object's file for reading only, and has `look` read what it wants of it; header is all
 * zero for a region. Nobody notices. label: what failures are about, "channel" for example.
 * LEAT_ENOENT, LEAT_EACCES, LEAT_EUNTRUSTED, LEAT_EVERSION, LEAT_ECORRUPT, or look's. */
int leat__object_inspect(const char *name, leat_scope scope, const char *label,
                         int (*look)(leat__file file, leat_kind kind,
                                     const struct leat__header *header, void *context),
                         void *context);

/* What a file must be to be trusted as an object of the scope: regular, and in the local scope this
 * user's. LEAT_EUNTRUSTED. */
int leat__object_check_file(const struct leat__file_status *status, leat_scope scope);

/* Takes a lock byte exclusively, waiting for it for at most a second. LEAT_EBUSY, or an error of
 * the system. LEAT__ONLY_READERS: nobody has it who may write to the file, but somebody who may
 * read it holds a shared lock there, as the library never does. */
#define LEAT__ONLY_READERS 2
int leat__object_lock(leat__file file, unsigned byte);

/* Maps the whole file, to be replaced by zeros in a forked child; what the allowances (or NULL)
 * point to becomes 0 there (lib/os/os.h). */
int leat__object_map_private(struct leat__object *object, uint64_t *allowance, uint64_t *another);

/* Drops a token into the wake count of one who waits in an event loop. False when that cannot be
 * done from here: the loop is another user's, or in another container, or the wake count is
 * full. */
bool leat__object_notify(struct leat__object *object, uint64_t notify, uint64_t token);

/* Leaves: unmaps what leat__object_map_private mapped, gives up all locks, removes the name if this
 * was the last user. */
void leat__object_close(struct leat__object *object);

enum leat__healed {
    LEAT__NOT_HEALED, /* it is not stale, or somebody comes or goes */
    LEAT__REMOVED,    /* or was not there */
    LEAT__KEPT        /* nobody uses it, and it stays */
};

/* Removes the name of a stale object, unless it is to be kept. LEAT_EACCES when the system does not
 * let this user. */
int leat__object_heal(leat__file directory, const char *file_name, enum leat__healed *healed);

#endif
