/* lib/object.c - see lib/object.h. */
#include "lib/object.h"

#include <string.h>

#include "lib/fail.h"

/* How often to ask for SETUP, half a millisecond apart: about a second. Counted, not timed, so that a machine that stands still for a
 * while does not use up the patience of those who wait. */
#define SETUP_ATTEMPTS 2000
#define SETUP_PAUSE_NS UINT64_C(500000)
#define AT_ONCE 10 /* tries without a pause, where names come and go */

/* Not an error code of the interface: the file opened is no longer the one behind the name. */
#define TRY_AGAIN 1

int leat__object_check_file(const struct leat__file_status *status, leat_scope scope) {
    if (!status->regular)
        return leat__fail(LEAT_EUNTRUSTED, 0, "what stands there is not a regular file");
    if (scope == LEAT_LOCAL && status->owner != leat__os_user())
        return leat__fail(LEAT_EUNTRUSTED, 0, "the file belongs to user %u, not to %u", (unsigned)status->owner,
                          (unsigned)leat__os_user());
    return LEAT_OK;
}

int leat__object_check_options(leat_way way, leat_scope scope, uint32_t permissions) {
    if ((unsigned)way > LEAT_OPEN || (unsigned)scope > LEAT_GLOBAL || (permissions & ~UINT32_C(0777)) != 0)
        return leat__fail(LEAT_EINVAL, 0, "an option has no meaning");
    return LEAT_OK;
}

static bool is_stale(leat__file file, const struct leat__file_status *status) {
    return status->temporary && !leat__os_has_users(file);
}

int leat__object_locate(const char **name, leat_scope *scope, char file_name[LEAT__FILE_NAME_SIZE], leat__file *directory) {
    *name = leat__name_scope(*name, scope);
    int result = leat__name_encode(*name, file_name);
    return result == LEAT_OK ? leat__os_directory_open(*scope, false, directory) : result;
}

static int look_at(leat__file file, leat_scope scope,
                   int (*look)(leat__file file, leat_kind kind, const struct leat__header *header, void *context), void *context) {
    struct leat__file_status status;
    struct leat__header header = {0};
    leat_kind kind;
    int result = leat__os_file_status(file, &status);
    if (result == LEAT_OK)
        result = leat__object_check_file(&status, scope);
    if (result == LEAT_OK)
        result = leat__header_peek(file, &status, &kind, &header);
    return result == LEAT_OK ? look(file, kind, &header, context) : result;
}

int leat__object_look(const char *name, leat_scope scope, const char *label,
                      int (*look)(leat__file file, leat_kind kind, const struct leat__header *header, void *context),
                      void *context) {
    char file_name[LEAT__FILE_NAME_SIZE];
    leat__file directory, file;
    int result = leat__object_locate(&name, &scope, file_name, &directory);
    if (result == LEAT_OK) {
        result = leat__os_file_open(directory, file_name, false, &file);
        leat__os_file_close(directory);
    }
    if (result == LEAT_OK) {
        result = look_at(file, scope, look, context);
        leat__os_file_close(file);
    }
    return result == LEAT_OK ? result : leat__fail_about(result, label, name);
}

int leat__object_heal(leat_scope scope, leat__file directory, const char *file_name, bool *removed) {
    leat__file file;
    struct leat__file_status status;
    int result = leat__os_file_open(directory, file_name, true, &file);
    if (result == LEAT_ENOENT)
        return LEAT_OK;
    if (result != LEAT_OK)
        return result;
    result = leat__os_lock(file, LEAT__LOCK_SETUP, LEAT__EXCLUSIVE);
    if (result == LEAT_OK)
        result = leat__os_file_status(file, &status);
    if (result == LEAT_OK && status.regular && status.linked && is_stale(file, &status)) {
        result = leat__os_file_remove(scope, file_name, file);
        if (removed != NULL)
            *removed = result == LEAT_OK;
    }
    leat__os_file_close(file);
    return result;
}

/* What to do about an object that nobody lives in: make its name free. Gives up this file's SETUP, which stands in the way. */
static int replace_stale(leat_scope scope, leat__file directory, leat__file file, const char *file_name) {
    leat__os_lock(file, LEAT__LOCK_SETUP, LEAT__UNLOCKED);
    int result = leat__object_heal(scope, directory, file_name, NULL);
    if (result == LEAT_OK || result == LEAT_EBUSY)
        return result == LEAT_OK ? TRY_AGAIN : LEAT_EBUSY;
    return leat__fail(LEAT_ENOENT, leat_system_error(), "killed processes left it behind, and this user may not remove it");
}

static int check_kind(leat__file file, const struct leat__file_status *status, leat_kind wanted,
                      struct leat__header *header) {
    leat_kind kind;
    int result = leat__header_read(file, status, &kind, header);
    if (kind != wanted)
        return leat__fail(LEAT_EKIND, 0, "it is a %s", leat_kind_name(kind));
    return result;
}

/* Makes the open file a handle on the object, if that is what was asked for. */
static int join(struct leat__object *object, const struct leat__object_request *request, leat__file directory,
                leat__file file) {
    struct leat__file_status status;
    int result = leat__os_file_status(file, &status);
    if (result == LEAT_OK)
        result = leat__object_check_file(&status, request->scope);
    if (result == LEAT_OK)
        result = leat__os_lock(file, LEAT__LOCK_SETUP, request->writable ? LEAT__EXCLUSIVE : LEAT__SHARED);
    if (result == LEAT_OK)
        result = leat__os_file_status(file, &status); /* again: it may have lost its name before we had the lock */
    if (result != LEAT_OK)
        return result;
    if (!status.linked)
        return TRY_AGAIN;
    if (is_stale(file, &status))
        return replace_stale(request->scope, directory, file, object->file_name);
    if (request->way == LEAT_CREATE)
        return leat__fail(LEAT_EEXIST, 0, "it exists");
    result = check_kind(file, &status, request->kind, &object->header);
    if (result == LEAT_OK)
        result = leat__os_user_begin(file);
    object->device = status.device;
    object->size = status.size;
    object->temporary = status.temporary;
    object->writable = request->writable;
    object->created = false;
    return result;
}

static int open_existing(struct leat__object *object, const struct leat__object_request *request, leat__file directory) {
    leat__file file;
    int result = leat__os_file_open(directory, object->file_name, request->writable, &file);
    if (result != LEAT_OK)
        return result;
    result = join(object, request, directory, file);
    if (result == LEAT_OK)
        object->resource.file = file;
    else
        leat__os_file_close(file);
    return result;
}

/* Makes the file of a new object, with what it is from the start; nobody else can see it yet. */
static int make_file(struct leat__object *object, const struct leat__object_request *request, leat__file directory,
                     leat__file *file) {
    uint32_t permissions = request->permissions != 0 ? request->permissions : 0600;
    int result = request->name == NULL
                     ? leat__os_file_create_anonymous(permissions, request->size, file)
                     : leat__os_file_create(directory, permissions, !request->persistent, request->size, file);
    if (result != LEAT_OK)
        return result;
    struct leat__file_status status;
    leat_kind kind;
    if (request->initialise != NULL)
        result = request->initialise(*file, request->context);
    if (result == LEAT_OK)
        result = leat__os_file_status(*file, &status);
    if (result == LEAT_OK)
        result = leat__header_read(*file, &status, &kind, &object->header);
    if (result == LEAT_OK) {
        object->device = status.device;
        return LEAT_OK;
    }
    leat__os_file_close(*file);
    return result;
}

/* Without a directory: without a name. */
static int create_new(struct leat__object *object, const struct leat__object_request *request, leat__file directory) {
    leat__file file;
    int result = make_file(object, request, directory, &file);
    if (result != LEAT_OK)
        return result;
    result = leat__os_lock(file, LEAT__LOCK_SETUP, LEAT__EXCLUSIVE);
    if (result == LEAT_OK)
        result = leat__os_user_begin(file);
    if (result == LEAT_OK && request->name != NULL)
        result = leat__os_file_publish(directory, file, object->file_name);
    if (result != LEAT_OK) {
        leat__os_file_close(file);
        return result == LEAT_EEXIST ? TRY_AGAIN : result;
    }
    object->resource.file = file;
    object->size = request->size;
    object->temporary = request->name != NULL && !request->persistent;
    object->writable = true;
    object->created = true;
    return LEAT_OK;
}

/* One try. TRY_AGAIN: somebody was faster, at once; LEAT_EBUSY: somebody is in the middle of it, soon. */
static int attempt(struct leat__object *object, const struct leat__object_request *request) {
    leat__file directory = LEAT__NO_FILE;
    int result = LEAT_ENOENT;
    if (request->name != NULL)
        result = leat__os_directory_open(request->scope, request->way != LEAT_OPEN, &directory);
    if (result == LEAT_OK)
        result = open_existing(object, request, directory);
    if (result == LEAT_ENOENT && request->way != LEAT_OPEN)
        result = create_new(object, request, directory);
    if (result == LEAT_OK)
        leat__os_resource_add(&object->resource);
    leat__os_file_close(directory);
    return result;
}

static void begin(struct leat__object *object, leat_scope scope) {
    memset(object, 0, sizeof *object);
    leat__os_resource_init(&object->resource);
    object->scope = scope;
}

int leat__object_open(struct leat__object *object, const struct leat__object_request *request) {
    begin(object, request->scope);
    bool anonymous = request->name == NULL && request->way != LEAT_OPEN;
    int result = anonymous ? LEAT_OK : leat__name_encode(request->name, object->file_name);
    if (result != LEAT_OK)
        return result;
    for (unsigned attempts = 0;; attempts++) {
        leat__os_fork_hold();
        result = attempt(object, request);
        leat__os_fork_release();
        if (result != TRY_AGAIN && result != LEAT_EBUSY)
            return result;
        if (attempts == SETUP_ATTEMPTS)
            return leat__fail(LEAT_EBUSY, 0, "another process has been opening or closing it for a second (stopped?)");
        if (result == LEAT_EBUSY || attempts > AT_ONCE)
            leat__os_sleep(leat__os_now() + SETUP_PAUSE_NS);
    }
}

static int adopt(struct leat__object *object, leat__file file, leat_kind kind) {
    struct leat__file_status status;
    int result = leat__os_file_status(file, &status);
    if (result == LEAT_OK)
        result = check_kind(file, &status, kind, &object->header);
    if (result != LEAT_OK)
        return result;
    object->resource.file = file;
    object->device = status.device;
    object->size = status.size;
    object->writable = true;
    leat__os_resource_add(&object->resource);
    return LEAT_OK;
}

int leat__object_open_descriptor(struct leat__object *object, int descriptor, leat_kind kind) {
    leat__file file;
    begin(object, LEAT_LOCAL);
    leat__os_fork_hold();
    int result = leat__os_descriptor_take(descriptor, true, false, &file);
    if (result == LEAT_OK) {
        result = adopt(object, file, kind);
        if (result != LEAT_OK)
            leat__os_file_close(file);
    }
    leat__os_fork_release();
    return result;
}

void leat__object_settle(struct leat__object *object) {
    leat__os_lock(object->resource.file, LEAT__LOCK_SETUP, LEAT__UNLOCKED);
}

bool leat__object_take_setup(leat__file file) {
    for (unsigned attempts = 0; leat__os_lock(file, LEAT__LOCK_SETUP, LEAT__EXCLUSIVE) != LEAT_OK; attempts++) {
        if (attempts == SETUP_ATTEMPTS)
            return false;
        leat__os_sleep(leat__os_now() + SETUP_PAUSE_NS);
    }
    return true;
}

bool leat__object_unsettle(struct leat__object *object) {
    object->held_up = !leat__object_take_setup(object->resource.file);
    return !object->held_up;
}

int leat__object_map_private(struct leat__object *object, uint64_t *allowance) {
    void *memory;
    int result = leat__os_map(object->resource.file, object->size, true, &memory);
    if (result != LEAT_OK)
        return result;
    leat__os_fork_hold();
    object->resource.memory_size = object->size;
    object->resource.memory = memory;
    object->resource.allowance = allowance;
    leat__os_fork_release();
    return LEAT_OK;
}

/* A handle that may only read cannot take SETUP exclusively: heal through a second, writable one. */
static void remove_if_last(struct leat__object *object) {
    leat__file file = object->resource.file, directory;
    if (object->writable) {
        bool taken = object->held_up ? leat__os_lock(file, LEAT__LOCK_SETUP, LEAT__EXCLUSIVE) == LEAT_OK : leat__object_take_setup(file);
        if (taken && !leat__os_has_users(file))
            (void)leat__os_file_remove(object->scope, object->file_name, file);
    } else if (leat__os_directory_open(object->scope, false, &directory) == LEAT_OK) {
        (void)leat__object_heal(object->scope, directory, object->file_name, NULL);
        leat__os_file_close(directory);
    }
}

bool leat__object_ring(struct leat__object *object, uint64_t bell, uint64_t token) {
    struct leat__resource *resource = &object->resource;
    if (bell != object->bell) {
        leat__file directory;
        leat__os_fork_hold();
        leat__os_file_close(resource->bell);
        resource->bell = LEAT__NO_FILE;
        if (leat__os_directory_open(LEAT_LOCAL, false, &directory) == LEAT_OK) {
            resource->bell = leat__os_bell_open(directory, bell);
            leat__os_file_close(directory);
        }
        leat__os_fork_release();
        object->bell = bell;
    }
    return resource->bell != LEAT__NO_FILE && leat__os_bell_ring(resource->bell, token);
}

void leat__object_close(struct leat__object *object) {
    struct leat__resource *resource = &object->resource;
    if (object->item != NULL)
        object->forget(object->item);
    if (resource->memory != NULL)
        leat__os_unmap(resource->memory, resource->memory_size);
    if (!resource->forked) {
        leat__os_user_end(resource->file);
        if (object->temporary)
            remove_if_last(object);
    }
    leat__os_fork_hold();
    leat__os_resource_remove(resource);
    leat__os_file_close(resource->file);
    leat__os_fork_release();
    leat__os_file_close(resource->bell);
    leat__os_file_close(resource->watch); /* takes its time: nobody else should have to wait for it */
}
