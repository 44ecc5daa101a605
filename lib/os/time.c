/* lib/os/time.c - deadlines: absolute monotonic nanoseconds that saturate at LEAT_FOREVER. */
#include "leat/base.h"
#include "lib/os/os.h"

const char *leat_version(void) {
    return LEAT_VERSION_STRING;
}

uint64_t leat_now(void) {
    return leat__os_now();
}

uint64_t leat_in_ns(uint64_t nanoseconds) {
    uint64_t deadline;
    return __builtin_add_overflow(leat__os_now(), nanoseconds, &deadline) ? LEAT_FOREVER : deadline;
}
