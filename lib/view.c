/* lib/view.c - see lib/view.h. A short list under the process's own lock: views are few and come and go rarely. */
#include "lib/view.h"

#include <stdlib.h>

#include "leat/region.h"
#include "lib/fail.h"
#include "lib/os.h"

struct view {
    char *address;
    uint64_t size;
    struct view *next;
};

static struct view *views; /* guarded by leat__os_fork_hold, so that a child inherits it whole */

bool leat__view_keep(void *address, uint64_t mapped_size) {
    struct view *view = malloc(sizeof *view);
    if (view == NULL)
        return false;
    leat__os_fork_hold();
    *view = (struct view){.address = address, .size = mapped_size, .next = views};
    views = view;
    leat__os_fork_release();
    return true;
}

static struct view *take(const char *address) {
    leat__os_fork_hold();
    struct view **link = &views, *found;
    while (*link != NULL && !(address >= (*link)->address && address < (*link)->address + (*link)->size))
        link = &(*link)->next;
    found = *link;
    if (found != NULL)
        *link = found->next;
    leat__os_fork_release();
    return found;
}

int leat_view_unmap(const void *address) {
    struct view *view = take(address);
    if (view == NULL)
        return leat__fail(LEAT_EINVAL, 0, "no detached view at %p", (void *)(uintptr_t)address);
    leat__os_unmap(view->address, view->size);
    free(view);
    return LEAT_OK;
}
