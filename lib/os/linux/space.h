/* lib/os/linux/space.h - memory and disk space that is reserved before it is promised. */
#ifndef LEAT_LIB_OS_LINUX_SPACE_H
#define LEAT_LIB_OS_LINUX_SPACE_H

#include "lib/os/os.h"

/* Gives a new, empty file this size, reserved and zero. LEAT_ENOSPC with the figures. */
int leat__linux_reserve(leat__file file, uint64_t size);

/* Where the figures come from. */
struct leat__linux_sources {
    const char *proc, *cgroups; /* where /proc and /sys/fs/cgroup are */
    uint64_t free;              /* bytes of memory that are certainly free in the machine */
};

/* Whether so many bytes of memory can be had, by what the machine and the memory cgroups of this
 * process have left. If not, the figures are why. */
bool leat__linux_has_room(const struct leat__linux_sources *sources, uint64_t wanted, char *figures,
                          size_t size);

#endif
