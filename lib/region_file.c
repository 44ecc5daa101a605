/* lib/region_file.c - files and descriptors as regions (leat/region.h).
 *
 * A new file is born whole, like an object: made without a name, reserved, typed, then linked to its path, so that a full
 * disk or a crash leaves nothing. Every handle holds LEAT__LOCK_USE shared, an exclusive one alone: the kernel drops it
 * however the process ends.
 */
#include <string.h>

#include "lib/fail.h"
#include "lib/region.h"

/* Not an error code of the interface: the file came or went in the meantime. */
#define TRY_AGAIN 1
#define ATTEMPTS 1000

/* A file system without locks is good enough for those who do not ask for any. */
static int take_use(leat__file file, const leat_region_options *options) {
    if (options->exclusive && options->access != LEAT_READ_WRITE)
        return leat__fail(LEAT_EACCES, 0, "exclusive use needs a file that is open for writing");
    int result = leat__os_lock(file, LEAT__LOCK_USE, options->exclusive ? LEAT__EXCLUSIVE : LEAT__SHARED);
    if (result == LEAT_EBUSY)
        return leat__fail(LEAT_EBUSY, 0, options->exclusive ? "somebody uses the file" : "somebody uses the file exclusively");
    return options->exclusive ? result : LEAT_OK;
}

/* What an existing file must be. */
static int examine(leat__file file, const leat_region_options *options, uint64_t *size) {
    struct leat__file_status status;
    leat_kind kind;
    int result = leat__os_file_status(file, &status);
    if (result != LEAT_OK)
        return result;
    *size = status.size;
    result = leat__header_read(file, &status, &kind, NULL);
    if (kind != LEAT_KIND_REGION)
        return leat__fail(LEAT_EKIND, 0, "it is a %s", leat_kind_name(kind));
    return result == LEAT_OK ? take_use(file, options) : result;
}

/* --- By path ------------------------------------------------------------------------------------------------------------- */

static int open_existing(leat_region *region, const leat_region_options *options) {
    leat__file file;
    uint64_t size = 0;
    int result = leat__os_path_open(region->name, options->access == LEAT_READ_WRITE, &file);
    if (result != LEAT_OK)
        return result;
    result = examine(file, options, &size);
    if (result == LEAT_OK)
        leat__region_adopt(region, file, size, false);
    else
        leat__os_file_close(file);
    return result;
}

static int publish(leat__file directory, leat__file file, const char *file_name, const leat_region_options *options) {
    int result = options->type != NULL ? leat__type_record(file, options->type) : LEAT_OK;
    if (result == LEAT_OK)
        result = take_use(file, options);
    return result == LEAT_OK ? leat__os_file_publish(directory, file, file_name) : result;
}

/* Where files without a name cannot be made, it is visible before it is complete. */
static int create_visible(leat__file directory, const char *file_name, uint64_t size, const leat_region_options *options,
                          leat__file *file) {
    int result = leat__os_file_create_visible(directory, file_name, options->permissions != 0 ? options->permissions : 0600,
                                              size, file);
    if (result != LEAT_OK)
        return result;
    if (options->type != NULL)
        result = leat__type_record(*file, options->type);
    if (result == LEAT_OK)
        result = take_use(*file, options);
    if (result != LEAT_OK) {
        (void)leat__os_name_remove(directory, file_name);
        leat__os_file_close(*file);
    }
    return result;
}

static int create_new(leat_region *region, uint64_t size, const leat_region_options *options) {
    leat__file directory, file;
    const char *file_name;
    int result = leat__os_path_directory(region->name, &directory, &file_name);
    if (result != LEAT_OK)
        return result;
    result = leat__os_file_create(directory, options->permissions != 0 ? options->permissions : 0600, false, size, &file);
    if (result == LEAT_OK) {
        result = publish(directory, file, file_name, options);
        if (result != LEAT_OK)
            leat__os_file_close(file);
    } else if (result == LEAT_ENOTSUP)
        result = create_visible(directory, file_name, size, options, &file);
    leat__os_file_close(directory);
    if (result == LEAT_OK)
        leat__region_adopt(region, file, size, true);
    return result == LEAT_EEXIST ? TRY_AGAIN : result;
}

static int attempt(leat_region *region, leat_way way, uint64_t size, const leat_region_options *options) {
    leat__os_fork_hold();
    int result = way == LEAT_CREATE ? LEAT_ENOENT : open_existing(region, options);
    if (result == LEAT_ENOENT && way != LEAT_OPEN)
        result = size > 0 ? create_new(region, size, options) : leat__fail(LEAT_ESIZE, 0, "a new file of 0 bytes was asked for");
    leat__os_fork_release();
    if (result == TRY_AGAIN && way == LEAT_CREATE)
        return leat__fail(LEAT_EEXIST, 0, "the file exists");
    return result;
}

/* Attaches what was opened, or gives everything back. */
static int finish(leat_region **out, leat_region *region, int result, uint64_t size, const leat_region_options *options) {
    if (result == LEAT_OK) {
        result = leat__region_attach(region, size, options);
        if (result != LEAT_OK)
            leat__object_close(&region->object);
    }
    if (result != LEAT_OK) {
        leat__fail_about(result, "file", region->name);
        leat__region_free(region);
        return result;
    }
    *out = region;
    return LEAT_OK;
}

int leat_region_file(leat_region **out, const char *path, leat_way way, uint64_t size,
                     const leat_region_options *options) {
    leat_region *region = NULL;
    int result = leat__region_options(&options);
    if (result == LEAT_OK && (out == NULL || path == NULL || path[0] == 0 || (unsigned)way > LEAT_OPEN || options->persistent))
        result = leat__fail(LEAT_EINVAL, 0, "no path or no place for the handle, or an option that is for names");
    if (result == LEAT_OK && way != LEAT_OPEN && size > 0)
        result = leat__region_new_size(&size, options);
    if (result == LEAT_OK)
        result = leat__region_new(&region, options, LEAT_BACKING_FILE, path);
    if (result != LEAT_OK)
        return leat__fail_about(result, "file", path);
    for (int i = 0; i == 0 || (result == TRY_AGAIN && i < ATTEMPTS); i++)
        result = attempt(region, way, size, options);
    if (result == TRY_AGAIN)
        result = leat__fail(LEAT_EBUSY, 0, "the file comes and goes");
    return finish(out, region, result, size, options);
}

/* --- By descriptor --------------------------------------------------------------------------------------------------------- */

int leat_region_open_descriptor(leat_region **out, int descriptor, uint64_t size, const leat_region_options *options) {
    leat_region *region = NULL;
    leat__file file;
    uint64_t actual = 0;
    int result = leat__region_options(&options);
    if (result == LEAT_OK && (out == NULL || options->persistent))
        result = leat__fail(LEAT_EINVAL, 0, "no place for the handle, or an option that is for names");
    if (result == LEAT_OK)
        result = leat__region_new(&region, options, LEAT_BACKING_DESCRIPTOR, NULL);
    if (result != LEAT_OK)
        return result;
    leat__os_fork_hold();
    result = leat__os_descriptor_take(descriptor, options->access == LEAT_READ_WRITE, true, &file);
    if (result == LEAT_OK) {
        result = examine(file, options, &actual);
        if (result == LEAT_OK)
            leat__region_adopt(region, file, actual, false);
        else
            leat__os_file_close(file);
    }
    leat__os_fork_release();
    return finish(out, region, result, size, options);
}

int leat_region_descriptor(const leat_region *region, leat_access access, bool inherited, int *descriptor) {
    if (region == NULL || descriptor == NULL || (unsigned)access > LEAT_READ_ONLY)
        return leat__fail(LEAT_EINVAL, 0, "no region, no place for the descriptor, or an access that a descriptor does not have");
    int result = leat__region_check_owner(region);
    if (result == LEAT_OK && access == LEAT_READ_WRITE && region->access != LEAT_READ_WRITE)
        result = leat__fail(LEAT_EACCES, 0, "the region was not opened for writing");
    if (result == LEAT_OK)
        result = leat__os_descriptor_give(region->object.resource.file, access == LEAT_READ_WRITE, inherited,
                                          region->backing != LEAT_BACKING_NAME, descriptor);
    return result == LEAT_OK ? LEAT_OK : leat__fail_about(result, "region", region->name);
}
