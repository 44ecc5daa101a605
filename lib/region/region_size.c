/* lib/region/region_size.c - how much of an object a handle sees, growing, refreshing, flushing
 * (leat/region.h).
 *
 * A handle that grows holds LEAT__LOCK_GROW, so that two never grow one object at once. Where the
 * handle may share its open file with others, it holds the lock through an open file of its own; if
 * it cannot get one and the open file is shared, it does not grow. Nothing ever shrinks: if another
 * program grows the file meanwhile without a lock, both end with the larger of the two sizes.
 *
 * Crash points. Before the size changes: space stays reserved behind the end, until the object ends
 * or the next growing uses it. After it: other handles see the new size when they refresh.
 */
#include "lib/base/fail.h"
#include "lib/region/region.h"

/* How many of so many bytes the handle may see. */
static uint64_t visible(const leat_region *region, uint64_t size) {
    return region->limit != 0 && size > region->limit ? region->limit : size;
}

static int file_size(const leat_region *region, uint64_t *size) {
    struct leat__file_status status;
    int result = leat__os_file_status_plain(region->object.resource.file, &status);
    if (result == LEAT_OK)
        *size = status.size;
    return result;
}

int leat__region_range(const leat_region *region, uint64_t offset, uint64_t *length) {
    uint64_t size = 0;
    int result = leat__region_check_owner(region);
    if (result == LEAT_OK)
        result = file_size(region, &size);
    if (result != LEAT_OK)
        return result;
    size = visible(region, size);
    if (offset >= size || *length > size - offset)
        return leat__fail(LEAT_ERANGE, 0, "%llu bytes from byte %llu on of %llu",
                          (unsigned long long)*length, (unsigned long long)offset,
                          (unsigned long long)size);
    if (*length == 0)
        *length = size - offset;
    return LEAT_OK;
}

/* --- Growing ---------------------------------------------------------------------------------- */

/* A named region's open file belongs to this handle alone, so its locks are the handle's own. Other
 * regions' open files can be shared. */
static int grow_file(leat_region *region, uint64_t size) {
    if (region->access != LEAT_READ_WRITE)
        return leat__fail(LEAT_EACCES, 0,
                          "it has to grow to %llu bytes, and was not opened for writing",
                          (unsigned long long)size);
    leat__file file = region->object.resource.file;
    leat__file own =
        region->backing == LEAT_BACKING_NAME ? LEAT__NO_FILE : leat__os_file_reopen(file, true);
    if (own == LEAT__NO_FILE && region->object.shares)
        return leat__fail(LEAT_EACCES, 0,
                          "the system does not let this user open the file again, so that growing "
                          "cannot be locked");
    leat__file locked = own != LEAT__NO_FILE ? own : file;
    int result = leat__object_lock(locked, LEAT__LOCK_GROW);
    if (result == LEAT_EBUSY)
        result = leat__fail(LEAT_EBUSY, 0,
                            "another process has been growing it for a second (stopped?)");
    if (result == LEAT__ONLY_READERS) /* a reader's lock does not prevent growing */
        result = LEAT_OK;
    if (result == LEAT_OK)
        result = leat__os_file_grow(locked, size);
    (void)leat__os_lock(locked, LEAT__LOCK_GROW, LEAT__UNLOCKED);
    leat__os_file_close(own);
    return result == LEAT_OK ? file_size(region, &region->object.size) : result;
}

int leat_region_grow(leat_region *region, uint64_t size) {
    uint64_t actual = 0;
    struct leat__failure before;
    leat__failure_keep(&before);
    int result = region != NULL && size > 0
                     ? leat__region_check_owner(region)
                     : leat__fail(LEAT_EINVAL, 0, "no region, or a size of 0");
    if (region == NULL || result != LEAT_OK)
        return result;
    result = file_size(region, &actual);
    if (result == LEAT_OK && actual < size)
        result = grow_file(region, size);
    if (result == LEAT_OK && region->limit != 0 && region->limit < size)
        region->limit = size;
    if (result == LEAT_OK && region->view != NULL)
        result = leat_region_refresh(region);
    return result == LEAT_OK ? leat__failure_settle(&before, LEAT_OK)
                             : leat__fail_about(result, "region", region->name);
}

int leat_region_refresh(leat_region *region) {
    uint64_t size = 0;
    int result = leat__region_check_owner(region);
    if (result == LEAT_OK && region->view == NULL)
        result = leat__fail(LEAT_ESTATE, 0, "the handle's view was detached");
    if (result == LEAT_OK)
        result = file_size(region, &size);
    if (result != LEAT_OK)
        return result;
    if (visible(region, size) < region->size)
        return leat__fail(LEAT_ESIZE, 0, "another program has shortened it from %llu to %llu bytes",
                          (unsigned long long)region->size, (unsigned long long)size);
    region->object.size = size;
    if (visible(region, size) == region->size)
        return LEAT_OK;
    struct leat__failure before;
    leat__failure_keep(&before);
    result = leat__view_extend(region->view, region->object.resource.file, visible(region, size));
    if (result == LEAT_OK)
        region->size = visible(region, size);
    return leat__failure_settle(&before, result);
}

/* --- Size policies ---------------------------------------------------------------------------- */

static int fail_size(uint64_t actual, const char *relation, uint64_t wanted) {
    return leat__fail(LEAT_ESIZE, 0, "it has %llu bytes, %s%llu wanted", (unsigned long long)actual,
                      relation, (unsigned long long)wanted);
}

/* With these two policies the size of a new object is compared. */
static uint64_t size_to_compare(const leat_region *region, uint64_t wanted) {
    return wanted == 0 && region->backing == LEAT_BACKING_NAME ? LEAT_REGION_SIZE_DEFAULT : wanted;
}

int leat__region_choose_size(leat_region *region, uint64_t wanted, leat_size_policy policy) {
    struct leat__object *object = &region->object;
    bool grows = policy == LEAT_SIZE_GROW || policy == LEAT_SIZE_FIT;
    bool clips = policy == LEAT_SIZE_CLIP || policy == LEAT_SIZE_FIT;
    if (object->created) {
        region->size = object->size;
        return LEAT_OK;
    }
    if (object->size == 0 && (region->backing == LEAT_BACKING_NAME || !grows || wanted == 0))
        return leat__fail(LEAT_ESIZE, 0,
                          region->backing == LEAT_BACKING_NAME
                              ? "it has no bytes; its creator has not given it a size yet"
                              : "the file has no bytes");
    if (policy == LEAT_SIZE_EXACT && object->size != size_to_compare(region, wanted))
        return fail_size(object->size, "", size_to_compare(region, wanted));
    if (policy == LEAT_SIZE_AT_LEAST && object->size < size_to_compare(region, wanted))
        return fail_size(object->size, "at least ", size_to_compare(region, wanted));
    if (policy == LEAT_SIZE_CLIP && object->size < wanted)
        return fail_size(object->size, "at least ", wanted);
    if (grows && object->size < wanted) {
        int result = grow_file(region, wanted);
        if (result != LEAT_OK)
            return result;
    }
    region->limit = clips ? wanted : 0;
    region->size = visible(region, object->size);
    return LEAT_OK;
}

/* --- Flushing --------------------------------------------------------------------------------- */

/* Through the handle's view the pages can be chosen; otherwise the whole file is flushed. */
static int flush_durably(const leat_region *region, uint64_t offset, uint64_t length) {
    const struct leat__view *view = region->view;
    uint64_t page = leat__os_page_size(), first = offset / page * page,
             end = leat__view_pages(offset + length);
    if (view != NULL && view->access != LEAT_COPY_ON_WRITE && end <= view->mapped_size &&
        leat__os_flush_view(view->address + first, end - first))
        return LEAT_OK;
    return leat__os_file_flush(region->object.resource.file);
}

int leat_region_flush(const leat_region *region, uint64_t offset, uint64_t length, leat_flush how) {
    if (region == NULL || (unsigned)how > LEAT_FLUSH_DURABLE)
        return leat__fail(LEAT_EINVAL, 0, "no region, or a way of flushing that has no meaning");
    int result = leat__region_range(region, offset, &length);
    if (result == LEAT_OK)
        result = how == LEAT_FLUSH_DURABLE
                     ? flush_durably(region, offset, length)
                     : leat__os_file_flush_start(region->object.resource.file, offset, length);
    return result == LEAT_OK ? LEAT_OK : leat__fail_about(result, "region", region->name);
}
