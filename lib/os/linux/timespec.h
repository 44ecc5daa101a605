/* lib/os/linux/timespec.h - nanoseconds as a struct timespec. */
#ifndef LEAT_LIB_OS_LINUX_TIMESPEC_H
#define LEAT_LIB_OS_LINUX_TIMESPEC_H

#include <stdint.h>
#include <time.h>

static inline struct timespec leat__timespec_of(uint64_t ns) {
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000u),
                             .tv_nsec = (long)(ns % 1000000000u)};
}

#endif
