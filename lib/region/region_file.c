/* lib/region/region_file.c - files and descriptors as regions (leat/region.h).
 *
 * A new file is born whole, like an object: made without a name, reserved, typed, then linked to
 * its path, so that a full disk or a crash leaves nothing. Every handle holds LEAT__LOCK_USE
 * shared, an exclusive handle holds it exclusively: the kernel drops the lock however the process
 * ends. Nothing slow runs while forks are held up. Reserving, which is costly, is done once,
 * however often other processes make and remove the file meanwhile.
 */
#include <string.h>

#include "lib/base/fail.h"
#include "lib/region/region.h"

/* Not an error code of the interface: the file came or went in the meantime. */
#define TRY_AGAIN 1
#define ATTEMPTS 1000

/* A file system without locks is good enough for a handle that does not ask for exclusive use: no
 * process can have the file exclusively there. A failure to lock is another case, and an error. */
static int take_use(leat__file file, bool shares, const leat_region_options *options) {
    if (shares) /* then a lock would be another handle's, or change it */
        return !options->exclusive
                   ? LEAT_OK
                   : leat__fail(LEAT_EACCES, 0,
                                "the system does not let this user open the file again, "
                                "so that exclusive use cannot be had");
    if (options->exclusive && options->access != LEAT_READ_WRITE)
        return leat__fail(LEAT_EACCES, 0, "exclusive use needs a file that is open for writing");
    int result =
        leat__os_lock(file, LEAT__LOCK_USE, options->exclusive ? LEAT__EXCLUSIVE : LEAT__SHARED);
    if (result == LEAT_EBUSY)
        return leat__fail(LEAT_EBUSY, 0,
                          options->exclusive ? "somebody uses the file"
                                             : "somebody uses the file exclusively");
    return result == LEAT_ENOTSUP && !options->exclusive ? LEAT_OK : result;
}

/* Checks an existing file. */
static int examine(leat__file file, bool shares, const leat_region_options *options,
                   uint64_t *size) {
    struct leat__file_status status;
    int result = leat__os_file_status_plain(file, &status);
    if (result != LEAT_OK)
        return result;
    *size = status.size;
    result = leat__header_read_as(file, &status, LEAT_KIND_REGION, NULL);
    return result == LEAT_OK ? take_use(file, shares, options) : result;
}

/* --- By path ---------------------------------------------------------------------------------- */

static int open_existing(leat_region *region, const leat_region_options *options) {
    leat__file file;
    uint64_t size = 0;
    int result = leat__os_path_open(region->name, options->access == LEAT_READ_WRITE, &file);
    if (result == LEAT_OK) {
        result = examine(file, false, options, &size);
        if (result == LEAT_OK)
            leat__region_adopt(region, file, size, false);
        else
            leat__os_file_close(file);
    }
    return result;
}

static uint32_t permissions_of(const leat_region_options *options) {
    return options->permissions != 0 ? options->permissions : 0600;
}

/* Completes a new file before other processes may see it. */
static int complete(leat__file file, const leat_region_options *options) {
    int result = options->type != NULL ? leat__type_record(file, options->type) : LEAT_OK;
    return result == LEAT_OK ? take_use(file, false, options) : result;
}

/* Makes a file without a name, once, however many tries it takes to name it. */
static int make(leat__file directory, uint64_t size, const leat_region_options *options,
                leat__file *made) {
    leat__file file;
    if (*made != LEAT__NO_FILE)
        return LEAT_OK;
    int result = leat__os_file_create(directory, permissions_of(options), false, size, &file);
    if (result != LEAT_OK)
        return result;
    result = complete(file, options);
    if (result == LEAT_OK)
        *made = file;
    else
        leat__os_file_close(file);
    return result;
}

/* Where files without a name cannot be made, the file is visible before it is complete. */
static int make_visible(leat__file directory, const char *file_name, uint64_t size,
                        const leat_region_options *options, leat__file *file) {
    int result =
        leat__os_file_create_visible(directory, file_name, permissions_of(options), size, file);
    if (result != LEAT_OK)
        return result;
    result = complete(*file, options);
    if (result != LEAT_OK) {
        (void)leat__os_name_remove(directory, file_name);
        leat__os_file_close(*file);
    }
    return result;
}

/* Before anything is made: LEAT_OK when nothing has the name. If the path cannot be opened but the
 * name exists, it is a symbolic link that leads to nothing, and each further try would find it. */
static int check_free(leat__file directory, const char *file_name, leat_mode mode) {
    leat__file there;
    int result = leat__os_file_open(directory, file_name, false, &there);
    if (result == LEAT_OK) {
        leat__os_file_close(there);
        return LEAT_EEXIST;
    }
    if (result == LEAT_EUNTRUSTED && mode == LEAT_OPEN_OR_CREATE)
        return leat__fail(LEAT_EUNTRUSTED, 0, "a symbolic link stands there that leads to nothing");
    struct leat__file_status status;
    /* making the file finds all other errors */
    bool refused = result == LEAT_EUNTRUSTED || result == LEAT_EACCES;
    return refused && leat__os_name_status(directory, file_name, &status) == LEAT_OK ? LEAT_EEXIST
                                                                                     : LEAT_OK;
}

/* Makes a file of that name. Its memory is reserved without holding up forks. *made: a file that is
 * not used yet. */
static int make_named(leat__file directory, const char *file_name, uint64_t size,
                      const leat_region_options *options, leat__file *made, leat__file *file) {
    int result = make(directory, size, options, made);
    if (result == LEAT_ENOTSUP)
        return make_visible(directory, file_name, size, options, file);
    if (result == LEAT_OK)
        result = leat__os_file_publish(directory, *made, file_name);
    if (result == LEAT_OK) {
        *file = *made;
        *made = LEAT__NO_FILE;
    }
    return result;
}

static int create_new(leat_region *region, uint64_t size, const leat_region_options *options,
                      leat__file *made) {
    leat__file directory, file;
    const char *file_name;
    int result = leat__os_path_directory(region->name, &directory, &file_name);
    if (result != LEAT_OK)
        return result;
    result = check_free(directory, file_name, options->mode);
    if (result == LEAT_OK)
        result = make_named(directory, file_name, size, options, made, &file);
    leat__os_file_close(directory);
    if (result == LEAT_OK)
        leat__region_adopt(region, file, size, true);
    return result == LEAT_EEXIST ? TRY_AGAIN : result;
}

static int attempt(leat_region *region, uint64_t size, const leat_region_options *options,
                   leat__file *made) {
    leat_mode mode = options->mode;
    int result = mode == LEAT_CREATE ? LEAT_ENOENT : open_existing(region, options);
    if (result == LEAT_ENOENT && mode != LEAT_OPEN)
        result = size > 0 ? create_new(region, size, options, made)
                          : leat__fail(LEAT_ESIZE, 0, "a new file of 0 bytes was asked for");
    if (result == TRY_AGAIN && mode == LEAT_CREATE)
        return leat__fail(LEAT_EEXIST, 0, "the file exists");
    return result;
}

/* Tries again while other processes make and remove the file; the file that one try made serves the
 * next. */
static int open_or_create(leat_region *region, uint64_t size, const leat_region_options *options) {
    leat__file made = LEAT__NO_FILE;
    int result = TRY_AGAIN;
    for (int i = 0; result == TRY_AGAIN && i < ATTEMPTS; i++)
        result = attempt(region, size, options, &made);
    leat__os_file_close(made);
    return result != TRY_AGAIN ? result : leat__fail(LEAT_EBUSY, 0, "the file comes and goes");
}

/* Attaches the opened file, or releases everything. */
static int finish(leat_region **out, leat_region *region, int result, uint64_t size,
                  const leat_region_options *options) {
    region->exclusive = options->exclusive;
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

int leat_region_file(leat_region **region, const char *path, uint64_t size,
                     const leat_region_options *options) {
    leat_region *made = NULL;
    struct leat__failure before;
    leat__failure_keep(&before);
    int result = leat__region_options(&options);
    if (result == LEAT_OK && (region == NULL || path == NULL || path[0] == 0 ||
                              options->persistent || options->anonymous))
        result = leat__fail(LEAT_EINVAL, 0,
                            "no path or no place for the handle, or an option that is for names");
    if (result == LEAT_OK && options->mode != LEAT_OPEN && size > 0)
        result = leat__region_new_size(&size, options);
    if (result == LEAT_OK)
        result = leat__region_new(&made, options, LEAT_BACKING_FILE, path);
    if (result != LEAT_OK)
        return leat__fail_about(result, "file", path);
    result = finish(region, made, open_or_create(made, size, options), size, options);
    return leat__failure_settle(&before, result);
}

/* --- By descriptor ---------------------------------------------------------------------------- */

int leat_region_open_descriptor(leat_region **region, int descriptor, uint64_t size,
                                const leat_region_options *options) {
    leat_region *made = NULL;
    leat__file file;
    uint64_t actual = 0;
    bool shares = false;
    int result = leat__region_options(&options);
    if (result == LEAT_OK && (region == NULL || options->persistent || options->anonymous))
        result =
            leat__fail(LEAT_EINVAL, 0, "no place for the handle, or an option that is for names");
    if (result == LEAT_OK)
        result = leat__region_new(&made, options, LEAT_BACKING_DESCRIPTOR, NULL);
    if (result != LEAT_OK)
        return result;
    result =
        leat__os_descriptor_take(descriptor, options->access == LEAT_READ_WRITE, &shares, &file);
    if (result == LEAT_OK) {
        result = examine(file, shares, options, &actual);
        if (result == LEAT_OK) {
            leat__region_adopt(made, file, actual, false);
            made->object.shares = shares;
        } else
            leat__os_file_close(file);
    }
    return finish(region, made, result, size, options);
}

int leat_region_descriptor(const leat_region *region, leat_access access, bool inherited,
                           int *descriptor) {
    if (region == NULL || descriptor == NULL || (unsigned)access > LEAT_READ_ONLY)
        return leat__fail(
            LEAT_EINVAL, 0,
            "no region, no place for the descriptor, or an access that a descriptor does not have");
    int result = leat__region_check_owner(region);
    if (result == LEAT_OK && access == LEAT_READ_WRITE && region->access != LEAT_READ_WRITE)
        result = leat__fail(LEAT_EACCES, 0, "the region was not opened for writing");
    if (result == LEAT_OK)
        result = leat__os_descriptor_give(
            region->object.resource.file, access == LEAT_READ_WRITE, inherited,
            region->backing != LEAT_BACKING_NAME && !region->exclusive, descriptor);
    return result == LEAT_OK ? LEAT_OK : leat__fail_about(result, "region", region->name);
}
