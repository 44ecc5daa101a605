/* lib/object/catalog.c - objects from outside: stat, list, unlink, gc (leat/object.h). */
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/object/kept.h"
#include "lib/object/object.h"

/* Fills in what can be known without asking the kernel for users. */
static int fill_in(leat__file file, const struct leat__file_status *status, const char *file_name,
                   leat_object_info *info) {
    info->size = status->size;
    info->owner = status->owner;
    info->permissions = status->permissions;
    info->persistent = !status->temporary;
    info->device = status->device;
    info->inode = status->inode;
    int result = leat__header_peek(file, status, &info->kind, NULL);
    info->damaged = result == LEAT_ECORRUPT || result == LEAT_EVERSION;
    return result == LEAT_OK || info->damaged ? leat__name_decode(file_name, info->name) : result;
}

static int see_abandoned(leat__file file, const struct leat__file_status *status, bool *abandoned) {
    struct leat__header header;
    leat_kind kind;
    int result = leat__header_peek(file, status, &kind, &header);
    enum leat__answer kept = result == LEAT_OK && kind == LEAT_KIND_MUTEX
                                 ? leat__object_keeps(file, &header, false)
                                 : LEAT__NO;
    *abandoned = kept == LEAT__YES;
    return kept == LEAT__UNKNOWN
               ? leat__fail(LEAT_ESYSTEM, leat_system_error(), "the system fails to read the mutex")
               : result;
}

static int describe_file(leat__file file, const char *file_name, leat_scope scope,
                         leat_object_info *info) {
    struct leat__file_status status;
    leat_object_info found = {.scope = scope};
    int result = leat__os_file_status(file, &status);
    if (result == LEAT_OK)
        result = leat__object_check_file(&status, scope);
    if (result == LEAT_OK)
        result = fill_in(file, &status, file_name, &found);
    if (result == LEAT_OK)
        result = leat__os_count_users(file, &found.users);
    found.in_use = found.users > 0;
    if (result == LEAT_OK && !found.in_use && found.kind == LEAT_KIND_MUTEX && !found.damaged)
        result = see_abandoned(file, &status, &found.abandoned);
    if (result == LEAT_OK)
        *info = found;
    return result;
}

static int describe(leat__file directory, const char *file_name, leat_scope scope,
                    leat_object_info *info) {
    leat__file file;
    int result = leat__os_file_open(directory, file_name, false, &file);
    if (result != LEAT_OK)
        return result;
    result = describe_file(file, file_name, scope, info);
    leat__os_file_close(file);
    return result;
}

int leat_stat(const char *name, leat_scope scope, leat_object_info *info) {
    if (info == NULL)
        return leat__fail(LEAT_EINVAL, 0, "info is NULL");
    char file_name[LEAT__FILE_NAME_SIZE];
    leat__file directory;
    int result = leat__object_locate(&name, &scope, file_name, &directory);
    if (result == LEAT_OK) {
        result = describe(directory, file_name, scope, info);
        leat__os_directory_close(directory);
    }
    return result == LEAT_OK ? result : leat__fail_about(result, "object", name);
}

/* --- The names of a directory, sorted --------------------------------------------------------- */

struct entry {
    char name[LEAT__FILE_NAME_SIZE], file_name[LEAT__FILE_NAME_SIZE];
};

struct names {
    struct entry *entries;
    size_t count, room;
};

static int collect(const char *file_name, void *context) {
    struct names *names = context;
    if (names->count == names->room) {
        size_t room = names->room == 0 ? 64 : names->room * 2;
        void *grown = realloc(names->entries, room * sizeof *names->entries);
        if (grown == NULL)
            return leat__fail(LEAT_ENOMEM, 0, "listing %zu names", names->count);
        names->entries = grown;
        names->room = room;
    }
    struct entry *entry = &names->entries[names->count];
    if (leat__name_decode(file_name, entry->name) == LEAT_OK) {
        strcpy(entry->file_name, file_name);
        names->count++;
    }
    return 0;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

/* Opens the scope's directory and reads its names; LEAT_OK with no directory (LEAT__NO_FILE) when
 * the scope was never used. */
static int read_names(leat_scope scope, leat__file *directory, struct names *names) {
    *directory = LEAT__NO_FILE;
    *names = (struct names){0};
    struct leat__failure before;
    leat__failure_keep(&before);
    int result = leat__os_directory_open(scope, false, directory);
    if (result == LEAT_ENOENT)
        return leat__failure_settle(&before, LEAT_OK);
    if (result != LEAT_OK)
        return result;
    result = leat__os_directory_list(*directory, collect, names);
    if (result == LEAT_OK && names->count > 1)
        qsort(names->entries, names->count, sizeof *names->entries, by_name);
    return result;
}

static void forget_names(leat__file directory, struct names *names) {
    free(names->entries);
    leat__os_directory_close(directory);
}

/* Whether an object is left out: it has gone meanwhile, or is not for this user. A file that the
 * system fails to read is an error. */
static bool is_passed_over(int result) {
    return result == LEAT_ENOENT || result == LEAT_EACCES || result == LEAT_EUNTRUSTED ||
           result == LEAT_ENAME;
}

static int list(leat_scope scope, int (*visit)(const leat_object_info *info, void *context),
                void *context) {
    leat__file directory;
    struct names names;
    int result = read_names(scope, &directory, &names);
    for (size_t i = 0; result == LEAT_OK && i < names.count; i++) {
        leat_object_info info;
        struct leat__failure before;
        leat__failure_keep(&before);
        result = describe(directory, names.entries[i].file_name, scope, &info);
        if (result == LEAT_OK)
            result = visit(&info, context);
        else if (is_passed_over(result))
            result = leat__failure_settle(&before, LEAT_OK);
    }
    forget_names(directory, &names);
    return result;
}

/* The caller's function may be a cancellation point: a cancelled thread would leave descriptors
 * open here. */
int leat_list(leat_scope scope, int (*visit)(const leat_object_info *info, void *context),
              void *context) {
    if (visit == NULL)
        return leat__fail(LEAT_EINVAL, 0, "visit is NULL");
    int cancel = leat__os_cancellation_hold();
    int result = list(scope, visit, context);
    leat__os_cancellation_release(cancel);
    return result;
}

static bool sweep_notify(leat__file directory, const struct entry *entry, leat_scope scope,
                         leat_object_info *info) {
    struct leat__file_status status;
    if (!leat__os_notify_sweep(directory, entry->file_name, &status))
        return false;
    *info = (leat_object_info){
        .scope = scope,
        .kind = LEAT_KIND_WAITSET,
        .owner = status.owner,
        .permissions = status.permissions,
        .device = status.device,
        .inode = status.inode,
    };
    strcpy(info->name, entry->name);
    return true;
}

/* Also for a file that its owner may not open. Its users are not counted: it is enough to know
 * whether there are any. */
static int describe_garbage(leat__file directory, const char *file_name, leat_scope scope,
                            leat_object_info *info) {
    leat__file file;
    struct leat__file_status status;
    /* for writing only if necessary: watches report the closing */
    int result = leat__os_file_open(directory, file_name, false, &file);
    if (result == LEAT_EACCES)
        result = leat__os_file_open_own(directory, file_name, &file);
    if (result != LEAT_OK)
        return result;
    result = leat__os_file_status(file, &status);
    if (result == LEAT_OK)
        result = leat__object_check_file(&status, scope);
    *info = (leat_object_info){.scope = scope};
    if (result == LEAT_OK)
        result = fill_in(file, &status, file_name, info);
    enum leat__answer used =
        result == LEAT_OK && !info->persistent ? leat__os_has_users(file) : LEAT__YES;
    info->in_use = used != LEAT__NO;
    leat__os_file_close(file);
    return used == LEAT__UNKNOWN
               ? leat__fail(LEAT_ESYSTEM, 0,
                            "the system does not answer whether the object is in use")
               : result;
}

/* leat__object_heal checks it again before it removes it, with all places taken. */
static int collect_garbage(leat__file directory, const struct entry *entry, leat_scope scope,
                           leat_object_info *info, bool *removed) {
    enum leat__healed healed = LEAT__NOT_HEALED;
    int result = describe_garbage(directory, entry->file_name, scope, info);
    if (result == LEAT_OK && !info->persistent && !info->in_use)
        result = leat__object_heal(directory, entry->file_name, &healed);
    *removed = healed == LEAT__REMOVED;
    return is_passed_over(result) ? LEAT_OK : result;
}

static int collect_all(leat_scope scope, void (*visit)(const leat_object_info *info, void *context),
                       void *context) {
    leat__file directory;
    struct names names;
    struct leat__failure first;
    int result = read_names(scope, &directory, &names), first_failure = LEAT_OK;
    for (size_t i = 0; result == LEAT_OK && i < names.count; i++) {
        const struct entry *entry = &names.entries[i];
        leat_object_info info;
        bool removed = sweep_notify(directory, entry, scope, &info);
        int failed = removed ? LEAT_OK : collect_garbage(directory, entry, scope, &info, &removed);
        if (failed != LEAT_OK) { /* the other objects are collected all the same */
            leat__fail_about(failed, "object", entry->name);
            if (first_failure == LEAT_OK) {
                first_failure = failed;
                leat__failure_keep(&first);
            }
        }
        if (removed && visit != NULL)
            visit(&info, context);
    }
    forget_names(directory, &names);
    if (result == LEAT_OK && first_failure != LEAT_OK)
        leat__failure_restore(&first);
    return result == LEAT_OK ? first_failure : result;
}

int leat_gc(leat_scope scope, void (*visit)(const leat_object_info *info, void *context),
            void *context) {
    struct leat__failure before;
    leat__failure_keep(&before);
    int cancel = leat__os_cancellation_hold();
    int result = collect_all(scope, visit, context);
    leat__os_cancellation_release(cancel);
    return leat__failure_settle(&before, result);
}

/* --- Unlink ----------------------------------------------------------------------------------- */

/* Holds the name's lock, if it is free, while it removes the name. Then a user that closes at this
 * moment cannot take an object of the same name, created right afterwards, for the one it had. */
static int unlink_in(leat__file directory, const char *file_name) {
    leat__file file = LEAT__NO_FILE;
    if (leat__os_file_open_own(directory, file_name, &file) == LEAT_OK)
        (void)leat__object_lock(file, LEAT__LOCK_NAME);
    int result = leat__os_name_remove(directory, file_name);
    leat__os_unlock_all(file);
    leat__os_file_close(file);
    return result;
}

int leat_unlink(const char *name, leat_scope scope) {
    char file_name[LEAT__FILE_NAME_SIZE];
    leat__file directory;
    struct leat__failure before;
    leat__failure_keep(&before);
    int result = leat__object_locate(&name, &scope, file_name, &directory);
    if (result == LEAT_OK) {
        result = unlink_in(directory, file_name);
        leat__os_directory_close(directory);
    }
    return result == LEAT_OK ? leat__failure_settle(&before, LEAT_OK)
                             : leat__fail_about(result, "object", name);
}
