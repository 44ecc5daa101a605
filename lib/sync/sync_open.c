/* lib/sync/sync_open.c - opens and closes mutexes, events and semaphores: by name, without a name,
 * by descriptor (leat/sync.h, lib/sync/sync.h). */
#include <stdlib.h>

#include "lib/base/fail.h"
#include "lib/sync/sync.h"

static int initialise(leat__file file, const void *context) {
    const struct leat__sync_setup *setup = context;
    const uint64_t parameters[6] = {setup->parameters[0], setup->parameters[1]};
    int result = leat__header_write(file, setup->kind, parameters);
    return result == LEAT_OK ? leat__os_file_write(file, offsetof(struct leat__sync_page, word),
                                                   &setup->word, sizeof setup->word)
                             : result;
}

static int validate(const struct leat__header *header, leat_kind kind) {
    uint64_t parameter = header->parameters[0];
    bool good = kind == LEAT_KIND_SEMAPHORE ? parameter >= 1 && parameter <= LEAT_SEMAPHORE_MAX
                                            : parameter <= 1;
    if (!good || header->object_size != sizeof(struct leat__sync_page))
        return leat__fail(LEAT_ECORRUPT, 0, "the header describes a %s that cannot be",
                          leat_kind_name(kind));
    return LEAT_OK;
}

/* The object is the handle's first member. */
static leat_waitable *waitable_of(struct leat__object *object) {
    return (leat_waitable *)object;
}

static bool seems_taken(const void *context, unsigned participant) {
    const leat_waitable *object = context;
    /* with inheritance the table holds threads */
    return !object->pi && leat__load_relaxed32(&object->page->processes[participant]) != 0;
}

static int map(leat_waitable *object) {
    const struct leat__header *header = &object->object.header;
    int result = validate(header, object->kind);
    object->pi = object->kind == LEAT_KIND_MUTEX && header->parameters[LEAT__SYNC_PI] != 0;
    if (result == LEAT_OK && object->pi)
        result = leat__pi_check(header);
    if (result == LEAT_OK)
        result = leat__object_map_private(&object->object, NULL, NULL);
    if (result != LEAT_OK)
        return result;
    object->page = object->object.resource.memory;
    object->manual = object->kind == LEAT_KIND_EVENT && header->parameters[LEAT__SYNC_MANUAL] != 0;
    object->maximum =
        object->kind == LEAT_KIND_SEMAPHORE ? (uint32_t)header->parameters[LEAT__SYNC_MAXIMUM] : 0;
    return LEAT_OK;
}

/* In a file that no other process sees. An earlier try may have done this with another participant,
 * while another object had the name. */
static int take_new(leat_waitable *object) {
    leat__store_relaxed64(&object->page->word.owner, 0);
    leat__store_relaxed64(&object->page->pi, 0);
    return leat__sync_take(object, false);
}

static int take_place(struct leat__object *base) {
    leat_waitable *object = waitable_of(base);
    int result = map(object);
    object->depth = 0; /* from a try whose file did not get the name */
    if (result == LEAT_OK)
        result = leat__lock_join(&object->page->word, base->resource.file, seems_taken, object,
                                 &object->participant);
    if (result != LEAT_OK)
        return result;
    base->place = LEAT__LOCK_PARTICIPANTS + object->participant;
    leat__store_relaxed32(&object->page->processes[object->participant],
                          object->pi ? 0 : leat__os_process());
    return base->created && object->kind == LEAT_KIND_MUTEX && object->initially ? take_new(object)
                                                                                 : LEAT_OK;
}

static int new_handle(leat_waitable **object, leat_kind kind, const leat_sync_options *options) {
    int result = leat__object_check_options(options->mode, options->scope, options->permissions,
                                            options->reserved);
    if (result != LEAT_OK)
        return result;
    leat_waitable *made = calloc(1, sizeof *made);
    if (made == NULL)
        return leat__fail(LEAT_ENOMEM, 0, "no memory for the handle");
    made->kind = kind;
    made->interruptible = options->interruptible;
    made->initially = options->initially;
    made->recursive = options->recursive;
    *object = made;
    return LEAT_OK;
}

/* Returns the handle, if it was opened. */
static int finish(leat_waitable **out, leat_waitable *object, int result) {
    if (result == LEAT_OK)
        *out = object;
    else
        free(object);
    return result;
}

static int open_named(leat_waitable **out, const char *name, leat_scope scope,
                      const leat_sync_options *options, const struct leat__sync_setup *setup) {
    leat_waitable *object = NULL;
    if (out == NULL || (options->anonymous && options->persistent))
        return leat__fail(LEAT_EINVAL, 0,
                          "no place for the handle, or an option that is for names");
    int result = new_handle(&object, setup->kind, options);
    if (result != LEAT_OK)
        return result;
    struct leat__object_request request = {
        .name = name,
        .anonymous = options->anonymous,
        .scope = scope,
        .kind = setup->kind,
        .mode = options->mode,
        .writable = true,
        .persistent = options->persistent,
        .permissions = options->permissions,
        .size = sizeof(struct leat__sync_page),
        .initialise = initialise,
        .context = setup,
        .take_place = take_place,
    };
    return finish(out, object, leat__object_open(&object->object, &request));
}

static const leat_sync_options defaults;

int leat__sync_open(leat_waitable **out, const char *name, const leat_sync_options *options,
                    const struct leat__sync_setup *setup) {
    options = options != NULL ? options : &defaults;
    leat_scope scope = options->scope;
    name = leat__name_scope(name, &scope);
    int result = open_named(out, name, scope, options, setup);
    return result == LEAT_OK ? result : leat__fail_about(result, leat_kind_name(setup->kind), name);
}

void leat__sync_close(leat_waitable *object) {
    if (object == NULL)
        return;
    if (object->depth > 0 && !object->object.resource.forked) { /* as by death, but noted at once */
        if (object->pi && leat__pi_elsewhere(object))
            /* no other thread can unlock it: the handle ends with the process */
            return;
        if (object->depth > 0) {
            if (leat__load_relaxed32(&object->page->abandoned) == 0)
                leat__store_relaxed32(&object->page->abandoned, LEAT__ABANDONED_BY_CLOSING);
            leat__sync_unlock(object);
        }
    }
    if (!object->object.resource.forked)
        /* the participant becomes free */
        leat__store_relaxed32(&object->page->processes[object->participant], 0);
    leat__object_close(&object->object);
    free(object);
}

/* --- By descriptor ---------------------------------------------------------------------------- */

int leat__sync_open_descriptor(leat_waitable **out, int descriptor,
                               const leat_sync_options *options, leat_kind kind) {
    leat_waitable *object = NULL;
    options = options != NULL ? options : &defaults;
    int result = out != NULL ? new_handle(&object, kind, options)
                             : leat__fail(LEAT_EINVAL, 0, "no place for the handle");
    if (result == LEAT_OK)
        result =
            finish(out, object,
                   leat__object_open_descriptor(&object->object, descriptor, kind, take_place));
    return result == LEAT_OK ? result : leat__fail_about(result, leat_kind_name(kind), NULL);
}

int leat_sync_descriptor(const leat_waitable *object, bool inherited, int *descriptor) {
    int result = leat__sync_check(object);
    if (result == LEAT_OK && descriptor == NULL)
        result = leat__fail(LEAT_EINVAL, 0, "no place for the descriptor");
    if (result == LEAT_OK)
        result = leat__os_descriptor_give(object->object.resource.file, true, inherited, false,
                                          descriptor);
    return result;
}
