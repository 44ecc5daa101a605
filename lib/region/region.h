/* lib/region/region.h - what the parts of the region's implementation share.
 *
 * Every region's handle is an object (lib/object/object.h): a file that is registered for forks.
 * Only the object of a named region takes part in the life of a name. The others hold
 * LEAT__LOCK_USE. They are closed in the same way, which removes no name, because they are not
 * temporary.
 *
 *     region.c        named and anonymous regions; options, queries, reading and writing
 *     region_file.c   files and descriptors
 *     region_size.c   size policies, growing, refreshing, flushing
 *     region_type.c   the type recorded with a region
 *     region_view.c   further views
 */
#ifndef LEAT_LIB_REGION_H
#define LEAT_LIB_REGION_H

#include "leat/region.h"
#include "lib/base/fail.h"
#include "lib/object/object.h"
#include "lib/region/view.h"

/* lock bytes */
#define LEAT__LOCK_GROW 1 /* exclusive while the object's file is extended */
#define LEAT__LOCK_USE 4  /* files and descriptors: shared by every handle, or exclusive by one */

struct leat_region {
    struct leat__object object;
    /* NULL once detached. Not the resource's memory: a forked child keeps its view */
    struct leat__view *view;
    uint64_t size;  /* what the handle sees; object.size is the file's when last read */
    uint64_t limit; /* of a clipped handle: it never sees more. 0: none */
    leat_access access;
    leat_backing backing;
    bool exclusive; /* a file or a descriptor that no other handle may use */
    char *name;     /* as given, without a scope prefix; a path; or "" */
};

/* The caller's options, or the defaults for NULL. LEAT_EINVAL when one has no meaning. */
int leat__region_options(const leat_region_options **options);

/* Makes a handle that has no file yet. leat__region_free frees it; once it is attached,
 * leat_region_close does. */
int leat__region_new(leat_region **region, const leat_region_options *options, leat_backing backing,
                     const char *name);
void leat__region_free(leat_region *region);

/* Gives an open file to the handle, and registers it for forks. */
void leat__region_adopt(leat_region *region, leat__file file, uint64_t size, bool created);

/* Chooses by the policy how much the handle sees, checks the type, and maps. The caller closes the
 * object when this fails. */
int leat__region_attach(leat_region *region, uint64_t size, const leat_region_options *options);

/* The size of a new region for a size argument. LEAT_EINVAL when the type does not fit into it. */
int leat__region_new_size(uint64_t *size, const leat_region_options *options);

/* Checks that a range lies inside what the handle sees now. A length of 0 becomes the length of the
 * rest. LEAT_ERANGE, LEAT_EFORKED. */
int leat__region_range(const leat_region *region, uint64_t offset, uint64_t *length);

/* LEAT_EINVAL for NULL, LEAT_EFORKED when the handle belongs to the parent process. */
static inline int leat__region_check_owner(const leat_region *region) {
    if (region == NULL)
        return leat__fail(LEAT_EINVAL, 0, "region is NULL");
    return region->object.resource.forked
               ? leat__fail(LEAT_EFORKED, 0, "region of the parent process")
               : LEAT_OK;
}

/* Sets region->size and region->limit by the size policy; grows the file if the policy asks for
 * that. */
int leat__region_choose_size(leat_region *region, uint64_t wanted, leat_size_policy policy);

/* LEAT_EINVAL when the type is not valid. */
int leat__type_check(const leat_type *type);

/* Records a type with a file; fits leat__object_request.initialise (context: the leat_type). */
int leat__type_record(leat__file file, const void *type);

/* The type recorded with the file; a name of NULL when none is. The name is valid until the calling
 * thread's next call. LEAT_ECORRUPT. */
int leat__type_read(leat__file file, leat_type *type);

/* LEAT_ETYPE unless this type is recorded with the file. */
int leat__type_compare(leat__file file, const leat_type *wanted);

#endif
