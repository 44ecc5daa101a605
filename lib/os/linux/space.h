/* lib/os/linux/space.h - memory and disk space that is reserved before it is promised. */
#ifndef LEAT_LIB_OS_LINUX_SPACE_H
#define LEAT_LIB_OS_LINUX_SPACE_H

#include "lib/os.h"

/* Gives a new, empty file this size, reserved and zero. LEAT_ENOSPC with the figures. */
int leat__linux_reserve(leat__file file, uint64_t size);

#endif
