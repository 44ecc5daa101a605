/* lib/sync_info.c - the state of a mutex, event or semaphore, read from outside (leat/sync.h). */
#include <stdlib.h>

#include "lib/fail.h"
#include "lib/sync.h"

static uint32_t count_handles(leat__file file) {
    uint32_t handles = 0, unused = 0;
    for (unsigned slot = 1; slot <= LEAT__SLOTS_MAX && unused < 64; slot++) { /* they are taken from the first on */
        bool taken = leat__os_locked(file, LEAT__LOCK_SLOTS + slot);
        handles += taken;
        unused = taken ? 0 : unused + 1;
    }
    return handles;
}

static void describe(leat__file file, const struct leat__header *header, const struct leat__sync_page *page,
                     leat_sync_info *info) {
    uint64_t word = leat__load_relaxed64(&page->word.owner);
    unsigned slot = leat__lock_slot(word);
    switch (info->kind) {
    case LEAT_KIND_MUTEX:
        info->lost = leat__load_relaxed32(&page->lost) != 0;
        if (slot == 0 || slot > LEAT__SLOTS_MAX)
            return;
        info->held = leat__os_locked(file, LEAT__LOCK_SLOTS + slot);
        info->abandoned = !info->held;
        info->holder = leat__load_relaxed32(&page->processes[slot]);
        return;
    case LEAT_KIND_EVENT:
        info->manual_reset = header->parameters[LEAT__SYNC_MANUAL] != 0;
        info->set = (word & LEAT__SYNC_SET) != 0;
        return;
    default:
        info->count = (uint32_t)(word >> 32);
        info->maximum = (uint32_t)header->parameters[LEAT__SYNC_MAXIMUM];
    }
}

static int read_page(leat__file file, const struct leat__header *header, leat_sync_info *info) {
    struct leat__sync_page *page = malloc(sizeof *page);
    if (page == NULL)
        return leat__fail(LEAT_ENOMEM, 0, "no memory for a copy of its page");
    int result = leat__os_file_read(file, 0, page, sizeof *page);
    if (result == LEAT_OK)
        describe(file, header, page, info);
    free(page);
    return result;
}

static int look(leat__file file, leat_kind kind, const struct leat__header *header, void *context) {
    leat_sync_info *info = context;
    if (kind != LEAT_KIND_MUTEX && kind != LEAT_KIND_EVENT && kind != LEAT_KIND_SEMAPHORE)
        return leat__fail(LEAT_EKIND, 0, "it is a %s", leat_kind_name(kind));
    *info = (leat_sync_info){.kind = kind, .handles = count_handles(file)};
    return read_page(file, header, info);
}

int leat_sync_info_read(const char *name, leat_scope scope, leat_sync_info *info) {
    if (info == NULL)
        return leat__fail_about(leat__fail(LEAT_EINVAL, 0, "info is NULL"), "object", name);
    return leat__object_look(name, scope, "object", look, info);
}
