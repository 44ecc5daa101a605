/* lib/sync/sync_info.c - the state of a mutex, event or semaphore, read from outside
 * (leat/sync.h). */
#include <stdlib.h>

#include "lib/base/fail.h"
#include "lib/sync/sync.h"

/* own: the participant of the handle whose file it is, or 0. A query through that file does not
 * show its own lock. */
static int lives(leat__file file, unsigned participant, unsigned own, bool *alive) {
    enum leat__answer answer =
        participant == own ? LEAT__YES
                           : leat__os_locked(file, LEAT__LOCK_PARTICIPANTS + participant, 1);
    *alive = answer == LEAT__YES;
    return answer != LEAT__UNKNOWN
               ? LEAT_OK
               : leat__fail(LEAT_ESYSTEM, 0, "the system does not answer which handles are open");
}

/* The places of other handles, and the own one. */
static int count_handles(leat__file file, unsigned own, uint32_t *handles) {
    int result = leat__os_count_users(file, handles);
    if (result == LEAT_OK && own != 0)
        ++*handles;
    return result;
}

static int describe_pi(leat__file file, unsigned own, const struct leat__sync_page *page,
                       leat_sync_info *info) {
    int result = LEAT_OK;
    info->inherits_priority = true;
    uint32_t word = (uint32_t)leat__load_relaxed64(&page->pi);
    info->holder = word & LEAT__PI_THREAD;
    info->abandoned =
        (word & LEAT__PI_OWNER_DIED) != 0 || leat__load_relaxed32(&page->abandoned) != 0;
    if (info->holder == 0)
        return result;
    for (unsigned participant = 1;
         participant <= LEAT__PARTICIPANTS_MAX && !info->held && result == LEAT_OK; participant++)
        if (leat__load_relaxed32(&page->processes[participant]) == info->holder)
            result = lives(file, participant, own, &info->held);
    info->abandoned = !info->held;
    return result;
}

static int describe_mutex(leat__file file, unsigned own, const struct leat__header *header,
                          const struct leat__sync_page *page, leat_sync_info *info) {
    unsigned participant = leat__lock_participant(leat__load_relaxed64(&page->word.owner));
    info->lost = leat__load_relaxed32(&page->lost) != 0;
    if (header->parameters[LEAT__SYNC_PI] != 0)
        return describe_pi(file, own, page, info);
    info->abandoned = leat__load_relaxed32(&page->abandoned) != 0;
    if (participant == 0 || participant > LEAT__PARTICIPANTS_MAX)
        return LEAT_OK;
    int result = lives(file, participant, own, &info->held);
    info->abandoned = !info->held;
    info->holder = leat__load_relaxed32(&page->processes[participant]);
    return result;
}

static int describe(leat__file file, unsigned own, leat_kind kind,
                    const struct leat__header *header, const struct leat__sync_page *page,
                    leat_sync_info *out) {
    uint64_t word = leat__load_relaxed64(&page->word.owner);
    leat_sync_info info = {.kind = kind};
    int result = count_handles(file, own, &info.handles);
    switch (kind) {
    case LEAT_KIND_MUTEX:
        if (result == LEAT_OK)
            result = describe_mutex(file, own, header, page, &info);
        break;
    case LEAT_KIND_EVENT:
        info.manual_reset = header->parameters[LEAT__SYNC_MANUAL] != 0;
        info.set = (word & LEAT__SYNC_SET) != 0;
        break;
    default:
        info.count = (uint32_t)(word >> 32);
        info.maximum = (uint32_t)header->parameters[LEAT__SYNC_MAXIMUM];
    }
    if (result == LEAT_OK)
        *out = info;
    return result;
}

static int look(leat__file file, leat_kind kind, const struct leat__header *header, void *context) {
    leat_sync_info *info = context;
    if (kind != LEAT_KIND_MUTEX && kind != LEAT_KIND_EVENT && kind != LEAT_KIND_SEMAPHORE)
        return leat__fail(LEAT_EKIND, 0, "it is a %s", leat_kind_name(kind));
    struct leat__sync_page *page = malloc(sizeof *page);
    if (page == NULL)
        return leat__fail(LEAT_ENOMEM, 0, "no memory for a copy of its page");
    int result = leat__os_file_peek(file, 0, page, sizeof *page);
    if (result == LEAT_OK)
        result = describe(file, 0, kind, header, page, info);
    free(page);
    return result;
}

int leat_sync_stat(const char *name, leat_scope scope, leat_sync_info *info) {
    if (info == NULL)
        return leat__fail_about(leat__fail(LEAT_EINVAL, 0, "info is NULL"), "object", name);
    return leat__object_inspect(name, scope, "object", look, info);
}

int leat_waitable_info(const leat_waitable *object, leat_sync_info *info) {
    int result = leat__sync_check(object);
    if (result == LEAT_OK && info == NULL)
        result = leat__fail(LEAT_EINVAL, 0, "info is NULL");
    if (result == LEAT_OK)
        result = describe(object->object.resource.file, object->participant, object->kind,
                          &object->object.header, object->page, info);
    if (result == LEAT_OK)
        info->created = object->object.created;
    return result;
}
