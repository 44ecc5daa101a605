/* lib/region/view_memory.c - requests about the memory behind a view (leat/view.h): finds, checks
 * and rounds ranges here; lib/os/os.h does the rest. */
#include "leat/view.h"
#include "lib/base/fail.h"
#include "lib/region/view.h"

struct range {
    char *address; /* page-aligned */
    uint64_t size; /* whole pages */
    struct leat__view view;
};

static int find(const void *address, uint64_t length, struct range *range) {
    struct leat__view *view = &range->view;
    if (!leat__view_at(address, view))
        return leat__fail(LEAT_EINVAL, 0, "no view at %p", (void *)(uintptr_t)address);
    uint64_t start = (uint64_t)((const char *)address - view->address);
    if (length == 0)
        length = view->mapped_size - start;
    if (length > view->mapped_size - start)
        return leat__fail(LEAT_ERANGE, 0, "%llu bytes from byte %llu on of a view of %llu",
                          (unsigned long long)length, (unsigned long long)start,
                          (unsigned long long)view->size);
    uint64_t first = start / leat__os_page_size() * leat__os_page_size();
    range->address = view->address + first;
    range->size = leat__view_pages(start + length) - first;
    return LEAT_OK;
}

int leat_view_prefault(const void *address, uint64_t length) {
    struct range range;
    int result = find(address, length, &range);
    return result != LEAT_OK
               ? result
               : leat__os_prefault(range.address, range.size, range.view.access == LEAT_READ_WRITE);
}

int leat_view_lock(const void *address, uint64_t length) {
    struct range range;
    int result = find(address, length, &range);
    return result != LEAT_OK ? result : leat__os_lock_memory(range.address, range.size);
}

int leat_view_unlock(const void *address, uint64_t length) {
    struct range range;
    int result = find(address, length, &range);
    return result != LEAT_OK ? result : leat__os_unlock_memory(range.address, range.size);
}

int leat_view_make_huge(const void *address, uint64_t length) {
    struct range range;
    int result = find(address, length, &range);
    return result != LEAT_OK ? result : leat__os_make_huge(range.address, range.size);
}

int leat_view_residency(const void *address, uint64_t length, leat_residency *residency) {
    struct range range;
    struct leat__residency found;
    if (residency == NULL)
        return leat__fail(LEAT_EINVAL, 0, "residency is NULL");
    int result = find(address, length, &range);
    if (result == LEAT_OK)
        result = leat__os_residency(range.address, range.size, &found);
    if (result == LEAT_OK)
        *residency = (leat_residency){
            .size = range.size,
            .resident = found.resident,
            .present = found.present,
            .locked = found.locked,
            .huge = found.huge,
        };
    return result;
}
