/* lib/region/view.h - all views of this process, found by any address inside them.
 *
 * A view is on the list from its mapping to its unmapping. The view of a handle is removed by that
 * handle; a detached view is removed by leat_view_unmap. leat__os_fork_hold guards the list, so
 * that a child inherits it whole.
 */
#ifndef LEAT_LIB_VIEW_H
#define LEAT_LIB_VIEW_H

#include "leat/base.h"
#include "lib/os/os.h"

struct leat__view {
    char *address;
    uint64_t size;        /* bytes of the region */
    uint64_t mapped_size; /* whole pages */
    uint64_t offset;      /* in the region */
    leat_access access;
    bool detached;
    uint64_t note; /* the number that leat__os_map gave, or 0 */
    struct leat__view *next;
};

/* Rounds a size up to whole pages. */
uint64_t leat__view_pages(uint64_t size);

/* Maps a range of the file and puts the view on the list. */
int leat__view_make(leat__file file, uint64_t offset, uint64_t size, leat_access access, void *at,
                    bool detached, struct leat__view **view);

/* Extends a view that begins at offset 0; it may move. */
int leat__view_extend(struct leat__view *view, leat__file file, uint64_t size);

/* Detaches the view: leat_view_unmap ends it from now on. */
void leat__view_detach(struct leat__view *view);

/* Unmaps a view that is not detached. NULL is allowed. */
void leat__view_end(struct leat__view *view);

/* Copies the view that contains the address to *found. False, and *found cleared, when there is
 * none. */
bool leat__view_at(const void *address, struct leat__view *found);

#endif
