/* lib/remote/remote.c - regions in other processes (leat/remote.h), and the list of what this
 * process mapped there.
 *
 * The list makes unmapping safe: only an address that this process itself got from a mapping is
 * ever unmapped, and only while the system's own list of mappings shows the same file there. An
 * entry goes when its view is unmapped or its process is found gone. So the list has no entries but
 * mapped views, and views of processes that ended since the last call. */
#include "leat/remote.h"

#include <stdlib.h>

#include "lib/base/fail.h"
#include "lib/os/os.h"
#include "lib/remote/remote.h"

struct remote {
    struct leat__remote_view view;
    struct remote *next;
};

/* guarded by leat__os_fork_hold, so that a child inherits it whole */
static struct remote *remotes;

static void add(struct remote *remote) {
    leat__os_fork_hold();
    remote->next = remotes;
    remotes = remote;
    leat__os_fork_release();
}

/* Takes out the view that was mapped at the address. If two processes had the number one after the
 * other, the later one is meant. */
static struct remote *take(int process, uint64_t address) {
    leat__os_fork_hold();
    struct remote **link = &remotes, *found;
    while (*link != NULL && ((*link)->view.process != process || (*link)->view.address != address))
        link = &(*link)->next;
    found = *link;
    if (found != NULL)
        *link = found->next;
    leat__os_fork_release();
    return found;
}

static bool copy_entry(size_t index, struct leat__remote_view *view) {
    leat__os_fork_hold();
    struct remote *remote = remotes;
    while (remote != NULL && index-- > 0)
        remote = remote->next;
    if (remote != NULL)
        *view = remote->view;
    leat__os_fork_release();
    return remote != NULL;
}

static void forget(const struct leat__remote_view *view) {
    leat__os_fork_hold();
    struct remote **link = &remotes, *found;
    while (*link != NULL &&
           ((*link)->view.process != view->process || (*link)->view.address != view->address ||
            (*link)->view.started != view->started))
        link = &(*link)->next;
    found = *link;
    if (found != NULL)
        *link = found->next;
    leat__os_fork_release();
    free(found);
}

/* Asks the system without holding. Entries that another thread adds or takes meanwhile may be
 * missed. */
static void forget_the_gone(void) {
    struct leat__remote_view view;
    for (size_t index = 0; copy_entry(index, &view);) {
        if (leat__remote_lives(&view) == LEAT_ENOENT)
            forget(&view);
        else
            index++;
    }
}

static int check_arguments(int process, const uint64_t *address) {
    if (process <= 0 || address == NULL)
        return leat__fail(LEAT_EINVAL, 0,
                          "%d is no process's number, or there is no place for the address",
                          process);
    return LEAT_OK;
}

static int check_handle(const leat_region *region) {
    if (region == NULL)
        return leat__fail(LEAT_EINVAL, 0, "region is NULL");
    if (leat_region_data(region) == NULL)
        return leat__fail(LEAT_ESTATE, 0, "the handle's view was detached");
    leat_region_details details;
    int result = leat_region_info(region, &details);
    if (result == LEAT_OK && details.access == LEAT_COPY_ON_WRITE)
        return leat__fail(LEAT_EACCES, 0,
                          "what this handle sees is a copy of its own: there is nothing to share");
    return result;
}

int leat_region_map_into(const leat_region *region, int process, uint64_t *address) {
    int result = check_arguments(process, address);
    if (result == LEAT_OK)
        result = check_handle(region);
    if (result != LEAT_OK)
        return result;
    struct leat__failure before;
    leat__failure_keep(&before);
    forget_the_gone();
    struct remote *remote = calloc(1, sizeof *remote);
    if (remote == NULL)
        return leat__fail(LEAT_ENOMEM, 0, "no memory for the view's entry");
    result = leat__remote_map(region, process, &remote->view);
    if (result != LEAT_OK) {
        free(remote);
        return result;
    }
    *address = remote->view.address;
    add(remote);
    return leat__failure_settle(&before, LEAT_OK);
}

int leat_region_open_into(leat_region **region, const char *name, uint64_t size,
                          const leat_region_options *options, int process, uint64_t *address) {
    leat_region *opened;
    if (region == NULL)
        return leat__fail(LEAT_EINVAL, 0, "there is no place for the handle");
    int result = check_arguments(process, address);
    if (result == LEAT_OK)
        result = leat_region_open(&opened, name, size, options);
    if (result != LEAT_OK)
        return result;
    result = leat_region_map_into(opened, process, address);
    if (result == LEAT_OK) {
        *region = opened;
        return LEAT_OK;
    }
    leat_region_close(opened);
    return leat__fail_about(result, "region", name);
}

int leat_region_unmap_from(int process, uint64_t address) {
    struct remote *remote = take(process, address);
    if (remote == NULL)
        return leat__fail(LEAT_EINVAL, 0, "this process mapped nothing at %#llx of process %d",
                          (unsigned long long)address, process);
    struct leat__failure before;
    leat__failure_keep(&before);
    int result = leat__remote_unmap(&remote->view);
    bool known_gone = result == LEAT_OK || result == LEAT_EINVAL || result == LEAT_ENOENT;
    if (known_gone)
        free(remote);
    else
        add(remote); /* try again later */
    return leat__failure_settle(&before, result);
}
