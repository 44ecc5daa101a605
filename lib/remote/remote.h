/* lib/remote/remote.h - what remote.c asks of the operating system. leat/remote.h has the promises,
 * docs/map-into.md the steps.
 *
 * Functions return LEAT_OK or an error code and have then recorded the failure (lib/base/fail.h).
 * The thread is not cancelled inside. */
#ifndef LEAT_LIB_REMOTE_H
#define LEAT_LIB_REMOTE_H

#include "leat/region.h"

/* One view in another process, with what it takes to know it again. */
struct leat__remote_view {
    int process;
    /* the process's start: with its number, no other process's. Unit and origin are the system's */
    uint64_t started;
    uint64_t address;
    uint64_t size;          /* bytes, whole pages */
    uint64_t device, inode; /* of the mapped file, as the system's list of mappings gives them */
};

/* Maps the whole region into the process, writable if the handle is. */
int leat__remote_map(const leat_region *region, int process, struct leat__remote_view *view);

/* Takes it out again. LEAT_EINVAL when something else is mapped there by now. */
int leat__remote_unmap(const struct leat__remote_view *view);

/* LEAT_OK while the view's process lives. LEAT_ENOENT, which is not recorded: it is gone, and its
 * number may be another's. */
int leat__remote_lives(const struct leat__remote_view *view);

#endif
