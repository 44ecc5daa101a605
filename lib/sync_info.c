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

static int read_page(leat__file file, const struct leat__header *header, leat_sync_info *info) {
    struct leat__sync_page *page = malloc(sizeof *page);
    if (page == NULL)
        return leat__fail(LEAT_ENOMEM, 0, "no memory for a copy of its page");
    int result = leat__os_file_read(file, 0, page, sizeof *page);
    uint64_t word = result == LEAT_OK ? leat__load_relaxed64(&page->word.owner) : 0;
    unsigned slot = leat__lock_slot(word);
    if (info->kind == LEAT_KIND_MUTEX && slot != 0 && slot <= LEAT__SLOTS_MAX) {
        info->held = leat__os_locked(file, LEAT__LOCK_SLOTS + slot);
        info->abandoned = !info->held;
        info->holder = leat__load_relaxed32(&page->processes[slot]);
    }
    info->lost = info->kind == LEAT_KIND_MUTEX && leat__load_relaxed32(&page->lost) != 0;
    info->manual_reset = info->kind == LEAT_KIND_EVENT && header->parameters[LEAT__SYNC_MANUAL] != 0;
    info->set = info->kind == LEAT_KIND_EVENT && (word & LEAT__SYNC_SET) != 0;
    info->count = info->kind == LEAT_KIND_SEMAPHORE ? (uint32_t)(word >> 32) : 0;
    info->maximum = info->kind == LEAT_KIND_SEMAPHORE ? (uint32_t)header->parameters[LEAT__SYNC_MAXIMUM] : 0;
    free(page);
    return result;
}

static int read_file(leat__file file, leat_scope scope, leat_sync_info *info) {
    struct leat__file_status status;
    struct leat__header header;
    leat_kind kind;
    int result = leat__os_file_status(file, &status);
    if (result == LEAT_OK)
        result = leat__object_check_file(&status, scope);
    if (result == LEAT_OK)
        result = leat__header_read(file, &status, &kind, &header);
    if (result == LEAT_OK && kind != LEAT_KIND_MUTEX && kind != LEAT_KIND_EVENT && kind != LEAT_KIND_SEMAPHORE)
        result = leat__fail(LEAT_EKIND, 0, "it is a %s", leat_kind_name(kind));
    if (result != LEAT_OK)
        return result;
    *info = (leat_sync_info){.kind = kind, .handles = count_handles(file)};
    return read_page(file, &header, info);
}

int leat_sync_info_read(const char *name, leat_scope scope, leat_sync_info *info) {
    char file_name[LEAT__FILE_NAME_SIZE];
    leat__file directory, file;
    if (info == NULL)
        return leat__fail_about(leat__fail(LEAT_EINVAL, 0, "info is NULL"), "object", name);
    int result = leat__object_locate(&name, &scope, file_name, &directory);
    if (result == LEAT_OK) {
        result = leat__os_file_open(directory, file_name, false, &file);
        leat__os_file_close(directory);
    }
    if (result == LEAT_OK) {
        result = read_file(file, scope, info);
        leat__os_file_close(file);
    }
    return result == LEAT_OK ? result : leat__fail_about(result, "object", name);
}
