/* lib/object/object.c - see lib/object/object.h. */
#include "lib/object/object.h"

#include <string.h>

#include "lib/base/fail.h"
#include "lib/object/kept.h"

/* How long to wait for a process that has all places of an object, which takes microseconds unless
 * the process was stopped. */
#define PATIENCE_NS UINT64_C(1000000000)
#define PAUSE_NS_MIN UINT64_C(20000)
#define PAUSE_NS_MAX UINT64_C(2000000)
#define AT_ONCE 10 /* tries without a pause, where names come and go */
/* at a place that another handle seems to have, while no process has all places */
#define SURE_TRIES 3

/* Not an error code of the interface: the opened file no longer has the name. */
#define TRY_AGAIN 1

int leat__object_check_file(const struct leat__file_status *status, leat_scope scope) {
    if (!status->regular)
        return leat__fail(LEAT_EUNTRUSTED, 0, "what stands there is not a regular file");
    if (scope == LEAT_LOCAL && status->owner != leat__os_user())
        return leat__fail(LEAT_EUNTRUSTED, 0, "the file belongs to user %u, not to %u",
                          (unsigned)status->owner, (unsigned)leat__os_user());
    return LEAT_OK;
}

int leat__object_check_options(leat_mode mode, leat_scope scope, uint32_t permissions,
                               const uint64_t reserved[LEAT__RESERVED]) {
    for (int i = 0; i < LEAT__RESERVED; i++)
        if (reserved[i] != 0)
            return leat__fail(LEAT_EINVAL, 0, "a reserved field of the options is not zero");
    if ((unsigned)mode > LEAT_OPEN || (unsigned)scope > LEAT_GLOBAL ||
        (permissions & ~UINT32_C(0777)) != 0)
        return leat__fail(LEAT_EINVAL, 0, "an option has no meaning");
    return LEAT_OK;
}

int leat__object_locate(const char **name, leat_scope *scope, char file_name[LEAT__FILE_NAME_SIZE],
                        leat__file *directory) {
    if ((unsigned)*scope > LEAT_GLOBAL)
        return leat__fail(LEAT_EINVAL, 0, "there is no scope %d", (int)*scope);
    *name = leat__name_scope(*name, scope);
    int result = leat__name_encode(*name, file_name);
    return result == LEAT_OK ? leat__os_directory_open(*scope, false, directory) : result;
}

static int look_at(leat__file file, leat_scope scope,
                   int (*look)(leat__file file, leat_kind kind, const struct leat__header *header,
                               void *context),
                   void *context) {
    struct leat__file_status status;
    struct leat__header header = {0};
    leat_kind kind;
    int result = leat__os_file_status_plain(file, &status);
    if (result == LEAT_OK)
        result = leat__object_check_file(&status, scope);
    if (result == LEAT_OK)
        result = leat__header_peek(file, &status, &kind, &header);
    return result == LEAT_OK ? look(file, kind, &header, context) : result;
}

int leat__object_inspect(const char *name, leat_scope scope, const char *label,
                         int (*look)(leat__file file, leat_kind kind,
                                     const struct leat__header *header, void *context),
                         void *context) {
    char file_name[LEAT__FILE_NAME_SIZE];
    leat__file directory, file;
    int result = leat__object_locate(&name, &scope, file_name, &directory);
    if (result == LEAT_OK) {
        result = leat__os_file_open(directory, file_name, false, &file);
        leat__os_directory_close(directory);
    }
    if (result == LEAT_OK) {
        result = look_at(file, scope, look, context);
        leat__os_file_close(file);
    }
    return result == LEAT_OK ? result : leat__fail_about(result, label, name);
}

/* --- Patience --------------------------------------------------------------------------------- */

struct patience {
    uint64_t end_ns, pause_ns;
    unsigned tries;
};

/* Pauses before the next try; false: the time is over. */
static bool is_patient(struct patience *patience, bool at_once) {
    uint64_t now = leat__os_now();
    if (patience->tries++ == 0)
        *patience = (struct patience){now + PATIENCE_NS, PAUSE_NS_MIN, 1};
    if (at_once && patience->tries < AT_ONCE)
        return true;
    if (now >= patience->end_ns && patience->tries > AT_ONCE)
        return false;
    leat__os_sleep(now + patience->pause_ns);
    if (patience->pause_ns < PAUSE_NS_MAX)
        patience->pause_ns *= 2;
    return true;
}

int leat__object_lock(leat__file file, unsigned byte) {
    struct patience patience = {0};
    int result;
    int readers = 0;
    do {
        result = leat__os_lock(file, byte, LEAT__EXCLUSIVE);
        if (result == LEAT_EBUSY && leat__os_locked(file, byte, 1) == LEAT__NO)
            readers++; /* or the process that had it has just left */
    } while (result == LEAT_EBUSY && readers < SURE_TRIES && is_patient(&patience, false));
    return result == LEAT_EBUSY && readers == SURE_TRIES ? LEAT__ONLY_READERS : result;
}

/* --- Stale objects ---------------------------------------------------------------------------- */

/* Whether the permissions let any user open it for reading and writing, as the next owner of a
 * mutex must. */
static bool can_be_used(const struct leat__file_status *status) {
    for (unsigned shift = 0; shift <= 6; shift += 3)
        if ((status->permissions >> shift & 06) == 06)
            return true;
    return false;
}

/* Whether a stale object still has something to report to its next owner. Called with all places
 * taken. A damaged object has nothing to report; one that the system fails to read may have. */
static enum leat__answer is_kept(leat__file file, const struct leat__file_status *status,
                                 bool closing) {
    leat_kind kind;
    struct leat__header header;
    int result =
        can_be_used(status) ? leat__header_read(file, status, &kind, &header) : LEAT_ECORRUPT;
    if (result == LEAT_ECORRUPT || result == LEAT_EVERSION)
        return LEAT__NO;
    if (result != LEAT_OK)
        return LEAT__UNKNOWN;
    return kind == LEAT_KIND_MUTEX ? leat__object_keeps(file, &header, closing) : LEAT__NO;
}

static int fail_for_reading(void) {
    return leat__fail(LEAT_ESYSTEM, leat_system_error(),
                      "the system fails to read what killed processes left behind");
}

/* Called with all places taken, for a file that has its name. */
static int remove_stale(leat__file directory, const char *file_name, leat__file file,
                        const struct leat__file_status *status, enum leat__healed *healed) {
    enum leat__answer kept = is_kept(file, status, false);
    if (kept == LEAT__UNKNOWN)
        return fail_for_reading();
    int result = kept == LEAT__NO ? leat__os_file_remove(directory, file_name, file) : LEAT_OK;
    if (result == LEAT_OK)
        *healed = kept == LEAT__YES ? LEAT__KEPT : LEAT__REMOVED;
    return result;
}

int leat__object_heal(leat__file directory, const char *file_name, enum leat__healed *healed) {
    leat__file file;
    struct leat__file_status status;
    int result = leat__os_file_open_own(directory, file_name, &file);
    *healed = result == LEAT_ENOENT ? LEAT__REMOVED : LEAT__NOT_HEALED;
    if (result != LEAT_OK)
        return result == LEAT_ENOENT ? LEAT_OK : result;
    result = leat__os_file_status(file, &status);
    if (result == LEAT_OK && status.temporary)
        result = leat__os_lock_all(file);
    if (result == LEAT_OK && status.temporary)
        /* again: it may have lost its name before we had the locks */
        result = leat__os_file_status(file, &status);
    if (result == LEAT_OK && status.temporary && status.linked)
        result = remove_stale(directory, file_name, file, &status, healed);
    leat__os_unlock_all(file);
    leat__os_file_close(file);
    /* another handle is there, or comes or leaves at this moment */
    return result == LEAT_EBUSY ? LEAT_OK : result;
}

/* For a handle that may only read, when an object seemed stale and was not: TRY_AGAIN while a
 * process has all places. Another reader's lock counts as a user, as it does for a handle that may
 * write. */
static int look_past(leat__file file) {
    enum leat__answer taken = leat__os_locked(file, LEAT__LOCK_NAME, 1);
    if (taken == LEAT__UNKNOWN)
        return leat__fail(LEAT_ESYSTEM, 0, "the system does not say whether somebody removes it");
    return taken == LEAT__YES ? TRY_AGAIN : LEAT_OK;
}

/* A handle that may only read cannot take all places, and heals through a second file that can. */
static int heal_for_reader(struct leat__object *object, const struct leat__object_request *request,
                           const struct leat__file_status *status) {
    enum leat__answer used = leat__os_has_users(object->resource.file);
    enum leat__healed healed;
    if (used == LEAT__UNKNOWN)
        return leat__fail(LEAT_ESYSTEM, 0, "the system does not say whether somebody uses it");
    if (used == LEAT__YES)
        return LEAT_OK;
    int result = leat__object_heal(object->directory, object->file_name, &healed);
    if (result == LEAT_OK)
        return healed == LEAT__REMOVED ? TRY_AGAIN
               : healed == LEAT__KEPT  ? LEAT_OK
                                       : look_past(object->resource.file);
    if (result != LEAT_EACCES)
        return result;
    return leat__fail(request->mode == LEAT_OPEN ? LEAT_ENOENT : LEAT_EACCES, leat_system_error(),
                      "killed processes of user %u left it behind, and this user may not remove it",
                      (unsigned)status->owner);
}

/* Makes the object anew in its file, because this user may not remove the name of another user,
 * whose processes are gone. Views of a region can outlive their handles: a region does not become
 * smaller. */
static int renew(struct leat__object *object, const struct leat__object_request *request,
                 const struct leat__file_status *status) {
    leat__file file = object->resource.file;
    leat_kind kind;
    (void)leat__header_read(file, status, &kind, NULL);
    if (request->mode == LEAT_OPEN)
        return leat__fail(LEAT_ENOENT, 0, "killed processes of user %u left it behind",
                          (unsigned)status->owner);
    if (request->persistent || (kind == LEAT_KIND_REGION && status->size > request->size))
        return leat__fail(LEAT_EACCES, 0, "killed processes of user %u left it behind, %s",
                          (unsigned)status->owner,
                          request->persistent ? "and only that user can make it persistent"
                                              : "larger, and only that user or root may remove it");
    int result = leat__os_file_renew(file, request->size);
    if (result == LEAT_OK && request->initialise != NULL)
        result = request->initialise(file, request->context);
    object->created = result == LEAT_OK;
    return result;
}

/* Called with all places taken: there is no other handle. TRY_AGAIN: its name is free. */
static int heal_stale(struct leat__object *object, const struct leat__object_request *request) {
    struct leat__file_status status;
    /* again: it may have lost its name before we had the locks */
    int result = leat__os_file_status_plain(object->resource.file, &status);
    if (result != LEAT_OK || !status.linked)
        return result == LEAT_OK ? TRY_AGAIN : result;
    enum leat__answer kept = is_kept(object->resource.file, &status, false);
    if (kept != LEAT__NO)
        return kept == LEAT__YES ? LEAT_OK : fail_for_reading();
    result = leat__os_file_remove(object->directory, object->file_name, object->resource.file);
    if (result == LEAT_EACCES)
        return renew(object, request, &status);
    return result == LEAT_OK ? TRY_AGAIN : result;
}

/* --- Joining ---------------------------------------------------------------------------------- */

static int take_place(struct leat__object *object, const struct leat__object_request *request,
                      bool alone) {
    leat__file file = object->resource.file;
    if (request->take_place == NULL)
        return leat__os_user_begin(file, alone);
    int result = request->take_place(object);
    return result == LEAT_OK && alone ? leat__os_unlock_others(file, object->place) : result;
}

/* The same where there are other handles: one of them has the place (LEAT_EBUSY), or a process has
 * all places for the moment (TRY_AGAIN). */
static int take_free_place(struct leat__object *object,
                           const struct leat__object_request *request) {
    int result = LEAT_EBUSY;
    for (int tries = 0; result == LEAT_EBUSY && tries < SURE_TRIES; tries++) {
        result = take_place(object, request, false);
        if (result != LEAT_EBUSY)
            return result;
        enum leat__answer taken = leat__os_locked(object->resource.file, LEAT__LOCK_NAME, 1);
        if (taken == LEAT__YES)
            return TRY_AGAIN;
        if (taken == LEAT__UNKNOWN)
            return leat__fail(LEAT_ESYSTEM, 0,
                              "the system does not say whether somebody removes it");
    }
    return request->take_place != NULL
               ? result
               : leat__fail(LEAT_EBUSY, 0, "another process holds locks on all places of users");
}

/* While a process makes the object anew, its header may be anything. */
static int check_settled(struct leat__object *object, const struct leat__object_request *request,
                         const struct leat__file_status *status) {
    leat__file file = object->resource.file;
    object->device = status->device;
    object->size = status->size;
    object->temporary = status->temporary;
    object->writable = request->writable;
    int result = leat__header_read_as(file, status, request->kind, &object->header);
    if (result == LEAT_OK)
        return LEAT_OK;
    if (leat__os_locked(file, LEAT__LOCK_NAME, 1) == LEAT__YES)
        return TRY_AGAIN;
    return leat__header_read_as(file, status, request->kind, &object->header);
}

/* After the place is taken: checks that the object is still the one that was examined. A region may
 * have been made anew or grown meanwhile. */
static int confirm(struct leat__object *object, const struct leat__object_request *request) {
    struct leat__file_status status;
    struct leat__header header = {0};
    int result = leat__os_file_status_plain(object->resource.file, &status);
    if (result != LEAT_OK || !status.linked)
        return result == LEAT_OK ? TRY_AGAIN : result;
    result = leat__header_read_as(object->resource.file, &status, request->kind, &header);
    object->size = status.size;
    bool same = result != LEAT_OK || memcmp(&header, &object->header, sizeof header) == 0;
    return same ? result : TRY_AGAIN;
}

/* Makes the open file a handle on the object, if it is what the request asks for. */
static int join(struct leat__object *object, const struct leat__object_request *request) {
    leat__file file = object->resource.file;
    struct leat__file_status status;
    bool alone = false;
    int result = leat__os_file_status(file, &status);
    if (result == LEAT_OK)
        result = leat__object_check_file(&status, request->scope);
    if (result == LEAT_OK && status.temporary && !request->writable)
        result = heal_for_reader(object, request, &status);
    else if (result == LEAT_OK && status.temporary) {
        result = leat__os_lock_all(file);
        alone = result == LEAT_OK;
        result = alone ? heal_stale(object, request) : result == LEAT_EBUSY ? LEAT_OK : result;
    }
    if (result == LEAT_OK && request->mode == LEAT_CREATE && !object->created)
        return leat__fail(LEAT_EEXIST, 0, "it exists");
    if (result == LEAT_OK && object->created)
        result = leat__os_file_status(file, &status);
    if (result == LEAT_OK)
        result = check_settled(object, request, &status);
    if (result == LEAT_OK)
        result = alone ? take_place(object, request, true) : take_free_place(object, request);
    return result == LEAT_OK ? confirm(object, request) : result;
}

/* A handle that may only read heals through a second, writable file. After a failure the next open
 * heals. */
static void remove_if_last(struct leat__object *object, bool closing) {
    leat__file file = object->resource.file;
    struct leat__file_status status;
    enum leat__healed healed;
    if (!object->writable)
        (void)leat__object_heal(object->directory, object->file_name, &healed);
    else if (leat__os_lock_all(file) == LEAT_OK) {
        if (leat__os_file_status_plain(file, &status) == LEAT_OK &&
            is_kept(file, &status, closing) == LEAT__NO)
            (void)leat__os_file_remove(object->directory, object->file_name, file);
        leat__os_unlock_all(file);
    }
}

/* The permissions keep this user out. An object of this user that is stale is removed all the same:
 * then there is nothing of that name. */
static int explain_refusal(const struct leat__object *object,
                           const struct leat__object_request *request) {
    enum leat__healed healed;
    int error = leat_system_error(),
        result = leat__object_heal(object->directory, object->file_name, &healed);
    if (healed == LEAT__REMOVED)
        return TRY_AGAIN;
    struct leat__file_status status;
    bool known = leat__os_name_status(object->directory, object->file_name, &status) == LEAT_OK;
    if (known && request->mode == LEAT_CREATE && result == LEAT_OK)
        return leat__fail(LEAT_EEXIST, 0, "it exists, and its permissions keep this user out");
    const char *what =
        request->writable ? "cannot open for reading and writing" : "cannot open for reading";
    return known ? leat__fail(LEAT_EACCES, error, "%s what user %u made with permissions %03o",
                              what, (unsigned)status.owner, (unsigned)status.permissions)
                 : leat__fail(LEAT_EACCES, error, "%s", what);
}

/* Unmaps what leat__object_map_private mapped. */
static void unmap(struct leat__resource *resource) {
    leat__os_fork_hold(); /* a child must not replace what is mapped there next */
    void *memory = resource->memory;
    resource->memory = NULL;
    leat__os_fork_release();
    if (memory != NULL)
        leat__os_unmap(memory, resource->memory_size, resource->memory_note);
}

/* Gives back what one try has taken. */
static void leave_file(struct leat__object *object) {
    struct leat__resource *resource = &object->resource;
    unmap(resource);
    leat__os_unlock_all(resource->file);
    if (object->temporary && object->writable)
        remove_if_last(object, false); /* a handle that closed meanwhile may have found us there */
    leat__os_file_close(resource->file);
    resource->file = LEAT__NO_FILE;
    object->temporary = object->created = false;
}

static int open_existing(struct leat__object *object, const struct leat__object_request *request) {
    int result = leat__os_file_open(object->directory, object->file_name, request->writable,
                                    &object->resource.file);
    if (result == LEAT_EACCES)
        return explain_refusal(object, request);
    if (result != LEAT_OK)
        return result;
    result = join(object, request);
    if (result != LEAT_OK)
        leave_file(object);
    return result;
}

/* --- Creating --------------------------------------------------------------------------------- */

/* A user that may read a file may lock it against users that write. All users of a channel or of a
 * sync object write to it: a user that may not write gets no permission at all. */
static uint32_t permissions_of(const struct leat__object_request *request) {
    uint32_t permissions = request->permissions != 0 ? request->permissions : 0600;
    uint32_t writers = (permissions & 0222) << 1;
    return request->kind == LEAT_KIND_REGION ? permissions : permissions & (0333 | writers);
}

/* Makes the file of a new object, with its first content; no other process can see it yet. */
static int make_file(struct leat__object *object, const struct leat__object_request *request,
                     leat__file *file) {
    uint32_t permissions = permissions_of(request);
    int result = request->name == NULL
                     ? leat__os_file_create_anonymous(permissions, request->size, file)
                     : leat__os_file_create(object->directory, permissions, !request->persistent,
                                            request->size, file);
    if (result != LEAT_OK)
        return result;
    if (request->initialise != NULL)
        result = request->initialise(*file, request->context);
    if (result != LEAT_OK) {
        leat__os_file_close(*file);
        *file = LEAT__NO_FILE;
    }
    return result;
}

/* Makes the file a handle on a new object, and gives it its name. */
static int publish(struct leat__object *object, const struct leat__object_request *request,
                   leat__file file) {
    struct leat__file_status status;
    leat_kind kind;
    int result = leat__os_file_status_plain(file, &status);
    if (result == LEAT_OK)
        result = leat__header_read(file, &status, &kind, &object->header);
    if (result != LEAT_OK)
        return result;
    object->resource.file = file;
    object->device = status.device;
    object->size = request->size;
    object->writable = object->created = true;
    result = take_place(object, request, false);
    if (result == LEAT_OK && request->name != NULL)
        result = leat__os_file_publish(object->directory, file, object->file_name);
    object->temporary = result == LEAT_OK && request->name != NULL && !request->persistent;
    return result;
}

/* Keeps the file that was made for the next try, while another file has the name. */
static void set_aside(struct leat__object *object) {
    struct leat__resource *resource = &object->resource;
    unmap(resource);
    leat__os_unlock_all(resource->file);
    resource->file = LEAT__NO_FILE;
    object->created = false;
}

/* *made: the file of the new object. It is made once, however often its name comes and goes. */
static int create_new(struct leat__object *object, const struct leat__object_request *request,
                      leat__file *made) {
    int result = *made == LEAT__NO_FILE ? make_file(object, request, made) : LEAT_OK;
    if (result == LEAT_OK)
        result = publish(object, request, *made);
    if (result != LEAT_OK)
        set_aside(object);
    else
        *made = LEAT__NO_FILE;
    return result == LEAT_EEXIST ? TRY_AGAIN : result;
}

/* --- Opening ---------------------------------------------------------------------------------- */

/* One try. TRY_AGAIN: another process was faster, or has all places for the moment. */
static int attempt(struct leat__object *object, const struct leat__object_request *request,
                   leat__file *made) {
    int result = request->name != NULL ? open_existing(object, request) : LEAT_ENOENT;
    if (result == LEAT_ENOENT && request->mode != LEAT_OPEN)
        result = create_new(object, request, made);
    return result;
}

static void begin(struct leat__object *object, leat_scope scope) {
    memset(object, 0, sizeof *object);
    leat__os_resource_init(&object->resource);
    object->scope = scope;
    object->directory = LEAT__NO_FILE;
}

static int open_named(struct leat__object *object, const struct leat__object_request *request) {
    leat__file made = LEAT__NO_FILE;
    struct patience patience = {0};
    int result;
    do
        result = attempt(object, request, &made);
    while (result == TRY_AGAIN && is_patient(&patience, true));
    leat__os_file_close(made);
    if (result == TRY_AGAIN)
        result = leat__fail(LEAT_EBUSY, 0,
                            "another process has been removing it for a second (stopped?)");
    return result;
}

static int check_anonymous(const struct leat__object_request *request) {
    return request->name == NULL && request->mode != LEAT_OPEN
               ? LEAT_OK
               : leat__fail(LEAT_EINVAL, 0, "an anonymous object has no name and is created");
}

int leat__object_open(struct leat__object *object, const struct leat__object_request *request) {
    struct leat__failure before;
    leat__failure_keep(&before);
    begin(object, request->scope);
    int result = request->anonymous ? check_anonymous(request)
                                    : leat__name_encode(request->name, object->file_name);
    if (result == LEAT_OK && !request->anonymous)
        result =
            leat__os_directory_open(request->scope, request->mode != LEAT_OPEN, &object->directory);
    if (result == LEAT_OK)
        result = open_named(object, request);
    if (result == LEAT_OK)
        leat__os_resource_add(&object->resource);
    else
        leat__os_directory_close(object->directory);
    return leat__failure_settle(&before, result);
}

static int adopt(struct leat__object *object, leat_kind kind,
                 int (*take)(struct leat__object *object)) {
    struct leat__file_status status;
    int result = leat__os_file_status(object->resource.file, &status);
    if (result == LEAT_OK)
        result = leat__header_read_as(object->resource.file, &status, kind, &object->header);
    if (result != LEAT_OK)
        return result;
    object->device = status.device;
    object->size = status.size;
    object->writable = true;
    object->temporary =
        status.temporary && status.linked &&
        leat__os_file_locate(object->resource.file, &object->directory, object->file_name);
    return take(object);
}

int leat__object_open_descriptor(struct leat__object *object, int descriptor, leat_kind kind,
                                 int (*take)(struct leat__object *object)) {
    struct leat__failure before;
    leat__failure_keep(&before);
    begin(object, LEAT_LOCAL);
    int result = leat__os_descriptor_take(descriptor, true, NULL, &object->resource.file);
    if (result != LEAT_OK)
        return result;
    result = adopt(object, kind, take);
    if (result == LEAT_OK) {
        leat__os_resource_add(&object->resource);
        return leat__failure_settle(&before, LEAT_OK);
    }
    leave_file(object);
    leat__os_directory_close(object->directory);
    return result;
}

int leat__object_map_private(struct leat__object *object, uint64_t *allowance, uint64_t *another) {
    void *memory;
    uint64_t note;
    if (object->resource.memory != NULL) /* by a try before */
        return LEAT_OK;
    int result = leat__os_map(object->resource.file, object->size, true, &memory, &note);
    if (result != LEAT_OK)
        return result;
    leat__os_fork_hold();
    object->resource.memory_size = object->size;
    object->resource.memory = memory;
    object->resource.memory_note = note;
    object->resource.allowances[0] = allowance;
    object->resource.allowances[1] = another;
    leat__os_fork_release();
    return LEAT_OK;
}

/* Gives the locks up before it closes the file: a child process that has not reached its execve yet
 * would keep them. */
void leat__object_close(struct leat__object *object) {
    struct leat__resource *resource = &object->resource;
    struct leat__failure before;
    leat__failure_keep(&before);
    if (object->member != NULL)
        object->forget(object->member);
    unmap(resource);
    if (!resource->forked) {
        if (!object->shares)
            leat__os_unlock_all(resource->file);
        if (object->temporary)
            remove_if_last(object, true);
    }
    leat__os_resource_remove(resource);
    leat__os_file_close(resource->file);
    leat__os_file_close(resource->notify);
    /* may take long: no other process should have to wait for it */
    leat__os_file_close(resource->watch);
    leat__os_directory_close(object->directory);
    leat__failure_restore(&before);
}
