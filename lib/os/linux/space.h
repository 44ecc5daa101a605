/* lib/os/linux/space.h - memory and disk space that is reserved before it is promised. */
#ifndef LEAT_LIB_OS_LINUX_SPACE_H
#define LEAT_LIB_OS_LINUX_SPACE_H

#include "lib/os/os.h"

/* Gives a new, empty file this size, reserved and zero. LEAT_ENOSPC with the figures. */
int leat__linux_reserve(leat__file file, uint64_t size);

/* The sources of the figures. */
struct leat__linux_sources {
    const char *proc, *cgroups; /* where /proc and /sys/fs/cgroup are */
    uint64_t free;              /* bytes of memory that are certainly free in the machine */
};

/* Whether so many bytes of memory are available in the machine and in the memory cgroups of this
 * process. If not, the detail has the figures. */
bool leat__linux_has_room(const struct leat__linux_sources *sources, uint64_t wanted, char *figures,
                          size_t size);

#endif
