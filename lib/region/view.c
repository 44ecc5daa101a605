/* lib/region/view.c - see lib/region/view.h, leat/view.h. A short list under the process's own
 * lock: views are few and come and go rarely. */
#include "lib/region/view.h"

#include <stdlib.h>

#include "leat/view.h"
#include "lib/base/fail.h"

static struct leat__view *views;

uint64_t leat__view_pages(uint64_t size) {
    uint64_t page = leat__os_page_size();
    return (size + page - 1) / page * page;
}

int leat__view_make(leat__file file, uint64_t offset, uint64_t size, leat_access access, void *at,
                    bool detached, struct leat__view **view) {
    void *address = NULL;
    uint64_t note = 0;
    struct leat__view *made = malloc(sizeof *made);
    if (made == NULL)
        return leat__fail(LEAT_ENOMEM, 0, "no memory for the view's description");
    bool plain = offset == 0 && at == NULL && access != LEAT_COPY_ON_WRITE && !detached;
    int result = plain ? leat__os_map(file, size, access == LEAT_READ_WRITE, &address, &note)
                       : leat__os_map_view(file, offset, size, access, at, &address);
    if (result != LEAT_OK) {
        free(made);
        return result;
    }
    leat__os_fork_hold();
    *made = (struct leat__view){.address = address,
                                .size = size,
                                .mapped_size = leat__view_pages(size),
                                .offset = offset,
                                .access = access,
                                .detached = detached,
                                .note = note,
                                .next = views};
    views = made;
    leat__os_fork_release();
    *view = made;
    return LEAT_OK;
}

/* If parts of a mapping are locked or advised differently, the system sees several mappings, and
 * does not extend them. A shared mapping is made anew then. Private copies would be lost. */
static int move(struct leat__view *view, leat__file file, uint64_t size, void **address) {
    int result = leat__os_remap(view->address, view->mapped_size, leat__view_pages(size), address);
    if (result != LEAT_ESTATE || view->access == LEAT_COPY_ON_WRITE)
        return result;
    result = leat__os_map_view(file, view->offset, size, view->access, NULL, address);
    if (result == LEAT_OK) {
        leat__os_unmap(view->address, view->mapped_size, view->note);
        view->note = 0;
    }
    return result;
}

int leat__view_extend(struct leat__view *view, leat__file file, uint64_t size) {
    void *address = view->address;
    int result =
        leat__view_pages(size) == view->mapped_size ? LEAT_OK : move(view, file, size, &address);
    if (result != LEAT_OK)
        return result;
    leat__os_fork_hold();
    view->address = address;
    view->size = size;
    view->mapped_size = leat__view_pages(size);
    leat__os_fork_release();
    return LEAT_OK;
}

void leat__view_detach(struct leat__view *view) {
    leat__os_fork_hold();
    view->detached = true;
    leat__os_fork_release();
}

/* --- Finding ---------------------------------------------------------------------------------- */

/* While holding. The link to the view that contains the address; the end of the list when there is
 * none. */
static struct leat__view **link_of(const char *address) {
    struct leat__view **link = &views;
    while (*link != NULL &&
           !(address >= (*link)->address && address < (*link)->address + (*link)->mapped_size))
        link = &(*link)->next;
    return link;
}

bool leat__view_at(const void *address, struct leat__view *found) {
    leat__os_fork_hold();
    struct leat__view *view = *link_of(address);
    *found = view != NULL ? *view : (struct leat__view){0};
    leat__os_fork_release();
    return view != NULL;
}

/* Takes the view off the list if it is detached, or not, as asked. */
static struct leat__view *take(const char *address, bool detached) {
    leat__os_fork_hold();
    struct leat__view **link = link_of(address), *found = *link;
    if (found != NULL && found->detached == detached)
        *link = found->next;
    else
        found = NULL;
    leat__os_fork_release();
    return found;
}

static void unmap(struct leat__view *view) {
    leat__os_unmap(view->address, view->mapped_size, view->note);
    free(view);
}

void leat__view_end(struct leat__view *view) {
    if (view != NULL && take(view->address, false) == view)
        unmap(view);
}

int leat_view_unmap(const void *address) {
    struct leat__view *view = take(address, true);
    if (view == NULL)
        return leat__fail(LEAT_EINVAL, 0, "no detached view at %p", (void *)(uintptr_t)address);
    unmap(view);
    return LEAT_OK;
}

int leat_view_find(const void *address, leat_view_info *info) {
    struct leat__view view;
    if (info == NULL || !leat__view_at(address, &view))
        return leat__fail(LEAT_EINVAL, 0, "no view at %p", (void *)(uintptr_t)address);
    *info = (leat_view_info){
        .address = view.address,
        .size = view.size,
        .mapped_size = view.mapped_size,
        .offset = view.offset,
        .access = view.access,
        .detached = view.detached,
    };
    return LEAT_OK;
}
