/* lib/region/region.c - named and anonymous regions, queries, reading and writing (leat/region.h,
 * lib/region/region.h). */
#include "lib/region/region.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"

/* --- Handles ---------------------------------------------------------------------------------- */

int leat__region_options(const leat_region_options **options) {
    static const leat_region_options defaults;
    if (*options == NULL)
        *options = &defaults;
    const leat_region_options *given = *options;
    int result =
        leat__object_check_options(given->mode, given->scope, given->permissions, given->reserved);
    if (result != LEAT_OK)
        return result;
    if ((unsigned)given->access > LEAT_COPY_ON_WRITE ||
        (unsigned)given->size_policy > LEAT_SIZE_FIT)
        return leat__fail(LEAT_EINVAL, 0, "an option has no meaning");
    return given->type == NULL ? LEAT_OK : leat__type_check(given->type);
}

int leat__region_new(leat_region **region, const leat_region_options *options, leat_backing backing,
                     const char *name) {
    leat_region *made = calloc(1, sizeof *made);
    char *copy = strdup(name != NULL ? name : "");
    if (made == NULL || copy == NULL) {
        free(made);
        free(copy);
        return leat__fail(LEAT_ENOMEM, 0, "no memory for the handle");
    }
    leat__os_resource_init(&made->object.resource);
    made->access = options->access;
    made->backing = backing;
    made->name = copy;
    *region = made;
    return LEAT_OK;
}

void leat__region_free(leat_region *region) {
    free(region->name);
    free(region);
}

void leat__region_adopt(leat_region *region, leat__file file, uint64_t size, bool created) {
    struct leat__object *object = &region->object;
    object->resource.file = file;
    object->directory = LEAT__NO_FILE;
    object->size = size;
    object->writable = region->access == LEAT_READ_WRITE;
    object->created = created;
    leat__os_resource_add(&object->resource);
}

int leat__region_attach(leat_region *region, uint64_t size, const leat_region_options *options) {
    leat__file file = region->object.resource.file;
    const leat_type *type = region->object.created ? NULL : options->type;
    int result = type != NULL ? leat__type_compare(file, type) : LEAT_OK;
    if (result == LEAT_OK)
        result = leat__region_choose_size(region, size, options->size_policy);
    if (result == LEAT_OK && type != NULL && region->size < type->size)
        result = leat__fail(LEAT_ESIZE, 0, "%llu bytes can be seen, the type has %llu",
                            (unsigned long long)region->size, (unsigned long long)type->size);
    if (result == LEAT_OK)
        result = leat__view_make(file, 0, region->size, region->access, NULL, false, &region->view);
    return result;
}

int leat__region_new_size(uint64_t *size, const leat_region_options *options) {
    const leat_type *type = options->type;
    if (*size == 0)
        *size = type != NULL && type->size > 0 ? type->size : LEAT_REGION_SIZE_DEFAULT;
    if (type != NULL && *size < type->size)
        return leat__fail(LEAT_EINVAL, 0, "a region of %llu bytes, and a type of %llu",
                          (unsigned long long)*size, (unsigned long long)type->size);
    return LEAT_OK;
}

/* --- By name, or without one ------------------------------------------------------------------ */

static int open_object(leat_region *region, const char *name, leat_scope scope, uint64_t size,
                       const leat_region_options *options) {
    struct leat__object_request request = {
        .name = name,
        .anonymous = options->anonymous,
        .scope = scope,
        .kind = LEAT_KIND_REGION,
        .mode = options->mode,
        .writable = options->access == LEAT_READ_WRITE,
        .persistent = options->persistent,
        .permissions = options->permissions,
        .size = size,
        .initialise = options->type != NULL ? leat__type_record : NULL,
        .context = options->type,
    };
    int result =
        options->mode != LEAT_OPEN ? leat__region_new_size(&request.size, options) : LEAT_OK;
    if (result == LEAT_OK)
        result = leat__object_open(&region->object, &request);
    if (result != LEAT_OK)
        return result;
    result = leat__region_attach(region, size, options);
    if (result != LEAT_OK)
        leat__object_close(&region->object);
    return result;
}

int leat_region_open(leat_region **region, const char *name, uint64_t size,
                     const leat_region_options *options) {
    leat_region *made = NULL;
    leat_scope scope = options != NULL ? options->scope : LEAT_LOCAL;
    name = leat__name_scope(name, &scope);
    int result = region != NULL ? leat__region_options(&options)
                                : leat__fail(LEAT_EINVAL, 0, "the place for the handle is NULL");
    if (result == LEAT_OK && (options->exclusive || (options->anonymous && options->persistent)))
        result = leat__fail(LEAT_EINVAL, 0, "exclusive is for files, persistent for names");
    if (result == LEAT_OK)
        result = leat__region_new(
            &made, options, options->anonymous ? LEAT_BACKING_ANONYMOUS : LEAT_BACKING_NAME, name);
    if (result != LEAT_OK)
        return leat__fail_about(result, "made", name);
    result = open_object(made, name, scope, size, options);
    if (result != LEAT_OK) {
        leat__region_free(made);
        return leat__fail_about(result, "made", name);
    }
    *region = made;
    return LEAT_OK;
}

void leat_region_close(leat_region *region) {
    if (region == NULL)
        return;
    leat__view_end(region->view);
    leat__object_close(&region->object);
    leat__region_free(region);
}

/* --- What a handle reports -------------------------------------------------------------------- */

void *leat_region_data(const leat_region *region) {
    return region != NULL && region->view != NULL ? region->view->address : NULL;
}

uint64_t leat_region_size(const leat_region *region) {
    return region != NULL ? region->size : 0;
}

int leat_region_info(const leat_region *region, leat_region_details *details) {
    if (details == NULL)
        return leat__fail(LEAT_EINVAL, 0, "details is NULL");
    int result = leat__region_check_owner(region);
    if (result != LEAT_OK)
        return result;
    leat__file file = region->object.resource.file;
    leat_region_details found = {
        .size = region->size,
        .mapped_size = leat__view_pages(region->size),
        .access = region->access,
        .backing = region->backing,
        .created = region->object.created,
        .sealed = leat__os_file_sealed(file),
        .name = region->name,
    };
    result = leat__type_read(file, &found.type);
    if (result != LEAT_OK)
        return leat__fail_about(result, "region", region->name);
    *details = found;
    return LEAT_OK;
}

static int inspect(leat__file file, leat_kind kind, const struct leat__header *header,
                   void *context) {
    (void)header;
    leat_region_details *details = context;
    struct leat__file_status status;
    if (kind != LEAT_KIND_REGION)
        return leat__fail(LEAT_EKIND, 0, "it is a %s", leat_kind_name(kind));
    int result = leat__os_file_status_plain(file, &status);
    if (result != LEAT_OK)
        return result;
    details->size = status.size;
    details->mapped_size = leat__view_pages(status.size);
    return leat__type_read(file, &details->type);
}

int leat_region_stat(const char *name, leat_scope scope, leat_region_details *details) {
    if (details == NULL)
        return leat__fail_about(leat__fail(LEAT_EINVAL, 0, "details is NULL"), "region", name);
    leat_scope own = scope; /* the prefix chooses it, and is no part of the name */
    leat_region_details found = {.name = leat__name_scope(name, &own)};
    int result = leat__object_inspect(name, scope, "region", inspect, &found);
    if (result == LEAT_OK)
        *details = found;
    return result;
}

/* --- Reading and writing ---------------------------------------------------------------------- */

static int check_range(const leat_region *region, uint64_t offset, const void *buffer,
                       size_t length) {
    int result = leat__region_check_owner(region);
    if (result == LEAT_OK && buffer == NULL && length > 0)
        result = leat__fail(LEAT_EINVAL, 0, "the bytes are at NULL");
    if (result != LEAT_OK)
        return result;
    if (region->view == NULL)
        return leat__fail(LEAT_ESTATE, 0, "the handle's view was detached");
    uint64_t size = region->size;
    if (offset > size || length > size - offset)
        return leat__fail(LEAT_ERANGE, 0, "bytes %llu to %llu of %llu", (unsigned long long)offset,
                          (unsigned long long)(offset + length), (unsigned long long)size);
    return LEAT_OK;
}

int leat_region_read(const leat_region *region, uint64_t offset, void *buffer, size_t length) {
    int result = check_range(region, offset, buffer, length);
    if (result == LEAT_OK && length > 0)
        memcpy(buffer, region->view->address + offset, length);
    return result;
}

int leat_region_write(leat_region *region, uint64_t offset, const void *data, size_t length) {
    int result = check_range(region, offset, data, length);
    if (result == LEAT_OK && region->access == LEAT_READ_ONLY)
        result = leat__fail(LEAT_EACCES, 0, "the region was opened read-only");
    if (result == LEAT_OK && length > 0)
        memcpy(region->view->address + offset, data, length);
    return result;
}

void *leat_region_detach_view(leat_region *region) {
    struct leat__view *view = region != NULL ? region->view : NULL;
    if (view == NULL || region->object.resource.forked)
        return NULL;
    leat__view_detach(view);
    region->view = NULL;
    return view->address;
}
