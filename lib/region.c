/* lib/region.c - regions: objects whose file is nothing but their bytes (leat/region.h). */
#include "leat/region.h"

#include <stdlib.h>
#include <string.h>

#include "lib/fail.h"
#include "lib/object.h"
#include "lib/view.h"

struct leat_region {
    struct leat__object object;
    char *data; /* not the resource's memory: a forked child may keep seeing it */
    leat_access access;
};

static int check_size(uint64_t actual, uint64_t wanted, leat_size_policy policy) {
    if (actual == 0)
        return leat__fail(LEAT_ESIZE, 0, "it has no bytes; its creator has not given it a size yet");
    if ((policy == LEAT_SIZE_EXACT && actual != wanted) || (policy == LEAT_SIZE_AT_LEAST && actual < wanted))
        return leat__fail(LEAT_ESIZE, 0, "it has %llu bytes, %s%llu wanted", (unsigned long long)actual,
                          policy == LEAT_SIZE_EXACT ? "" : "at least ", (unsigned long long)wanted);
    return LEAT_OK;
}

static int attach(leat_region *region, uint64_t size, leat_size_policy policy) {
    struct leat__object *object = &region->object;
    int result = object->created ? LEAT_OK : check_size(object->size, size, policy);
    void *data = NULL;
    if (result == LEAT_OK)
        result = leat__os_map(object->resource.file, object->size, region->access == LEAT_READ_WRITE, &data);
    if (result != LEAT_OK) {
        leat__object_close(object);
        return result;
    }
    region->data = data;
    leat__object_settle(object);
    return LEAT_OK;
}

static int open_region(leat_region **out, const char *name, uint64_t size, const leat_region_options *options,
                       leat_way way) {
    static const leat_region_options defaults;
    if (options == NULL)
        options = &defaults;
    leat_scope scope = options->scope;
    name = leat__name_scope(name, &scope);
    if (out == NULL || options->access > LEAT_READ_ONLY || options->size_policy > LEAT_SIZE_EXACT ||
        scope > LEAT_GLOBAL || (options->permissions & ~UINT32_C(0777)) != 0)
        return leat__fail_about(leat__fail(LEAT_EINVAL, 0, "an option has no meaning"), "region", name);
    leat_region *region = calloc(1, sizeof *region);
    if (region == NULL)
        return leat__fail_about(leat__fail(LEAT_ENOMEM, 0, "no memory for the handle"), "region", name);
    struct leat__object_request request = {
        .name = name,
        .scope = scope,
        .kind = LEAT_KIND_REGION,
        .way = way,
        .writable = options->access == LEAT_READ_WRITE,
        .persistent = options->persistent,
        .permissions = options->permissions,
        .size = size != 0 ? size : LEAT_REGION_SIZE_DEFAULT,
    };
    region->access = options->access;
    int result = leat__object_open(&region->object, &request);
    if (result == LEAT_OK)
        result = attach(region, request.size, options->size_policy);
    if (result != LEAT_OK) {
        free(region);
        return leat__fail_about(result, "region", name);
    }
    *out = region;
    return LEAT_OK;
}

int leat_region_create(leat_region **region, const char *name, uint64_t size, const leat_region_options *options) {
    return open_region(region, name, size, options, LEAT_CREATE);
}

int leat_region_open(leat_region **region, const char *name, uint64_t size, const leat_region_options *options) {
    return open_region(region, name, size, options, LEAT_OPEN);
}

int leat_region_open_or_create(leat_region **region, const char *name, uint64_t size,
                               const leat_region_options *options) {
    return open_region(region, name, size, options, LEAT_OPEN_OR_CREATE);
}

void leat_region_close(leat_region *region) {
    if (region == NULL)
        return;
    if (region->data != NULL)
        leat__os_unmap(region->data, leat_region_mapped_size(region));
    leat__object_close(&region->object);
    free(region);
}

void *leat_region_data(const leat_region *region) {
    return region->data;
}

uint64_t leat_region_size(const leat_region *region) {
    return region->object.size;
}

uint64_t leat_region_mapped_size(const leat_region *region) {
    uint64_t page = leat__os_page_size();
    return (region->object.size + page - 1) / page * page;
}

bool leat_region_created(const leat_region *region) {
    return region->object.created;
}

static int check_range(const leat_region *region, uint64_t offset, size_t length) {
    if (region->object.resource.forked)
        return leat__fail(LEAT_EFORKED, 0, "region of the parent process");
    if (region->data == NULL)
        return leat__fail(LEAT_ESTATE, 0, "the handle's view was detached");
    uint64_t size = region->object.size;
    if (offset > size || length > size - offset)
        return leat__fail(LEAT_ERANGE, 0, "bytes %llu to %llu of %llu", (unsigned long long)offset,
                          (unsigned long long)(offset + length), (unsigned long long)size);
    return LEAT_OK;
}

int leat_region_read(const leat_region *region, uint64_t offset, void *buffer, size_t length) {
    int result = check_range(region, offset, length);
    if (result == LEAT_OK && length > 0)
        memcpy(buffer, region->data + offset, length);
    return result;
}

int leat_region_write(leat_region *region, uint64_t offset, const void *data, size_t length) {
    int result = check_range(region, offset, length);
    if (result == LEAT_OK && region->access == LEAT_READ_ONLY)
        result = leat__fail(LEAT_EACCES, 0, "the region was opened read-only");
    if (result == LEAT_OK && length > 0)
        memcpy(region->data + offset, data, length);
    return result;
}

void *leat_region_detach_view(leat_region *region) {
    char *data = region->data;
    if (region->object.resource.forked || data == NULL || !leat__view_keep(data, leat_region_mapped_size(region)))
        return NULL;
    region->data = NULL;
    return data;
}
