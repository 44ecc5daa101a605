/* lib/region/region_view.c - further views of a region (leat/view.h); all views of the process are
 * in lib/region/view.c. */
#include "leat/view.h"
#include "lib/base/fail.h"
#include "lib/region/region.h"

static int check_request(const leat_region *region, uint64_t offset, const void *address,
                         leat_access access) {
    uint64_t page = leat__os_page_size();
    if ((unsigned)access > LEAT_COPY_ON_WRITE)
        return leat__fail(LEAT_EINVAL, 0, "access %d has no meaning", (int)access);
    if (access == LEAT_READ_WRITE && region->access != LEAT_READ_WRITE)
        return leat__fail(LEAT_EACCES, 0, "the region was not opened for writing");
    if (offset % page != 0 || (uintptr_t)address % page != 0)
        return leat__fail(
            LEAT_EINVAL, 0, "offset %llu and address %p must be multiples of the page size, %llu",
            (unsigned long long)offset, (void *)(uintptr_t)address, (unsigned long long)page);
    return LEAT_OK;
}

int leat_view_map(const leat_region *region, uint64_t offset, uint64_t length, void *address,
                  leat_access access, void **view) {
    struct leat__view *made = NULL;
    if (region == NULL || view == NULL)
        return leat__fail(LEAT_EINVAL, 0, "region or view is NULL");
    int result = check_request(region, offset, address, access);
    if (result == LEAT_OK)
        result = leat__region_range(region, offset, &length);
    if (result == LEAT_OK)
        result = leat__view_make(region->object.resource.file, offset, length, access, address,
                                 true, &made);
    if (result != LEAT_OK)
        return leat__fail_about(result, "region", region->name);
    *view = made->address;
    return LEAT_OK;
}
