/* lib/os/time.c - deadlines: absolute monotonic nanoseconds that saturate at "for ever". */
#include "leat/base.h"
#include "lib/os/os.h"

const char *leat_version(void) {
    return LEAT_VERSION_STRING;
}

uint64_t leat_now(void) {
    return leat__os_now();
}

/* now + amount * unit, LEAT_FOREVER where that does not fit. */
static uint64_t ahead(uint64_t amount, uint64_t unit) {
    uint64_t distance, deadline;
    if (__builtin_mul_overflow(amount, unit, &distance) ||
        __builtin_add_overflow(leat__os_now(), distance, &deadline))
        return LEAT_FOREVER;
    return deadline;
}

uint64_t leat_in_ns(uint64_t nanoseconds) {
    return ahead(nanoseconds, 1);
}

uint64_t leat_in_us(uint64_t microseconds) {
    return ahead(microseconds, 1000);
}

uint64_t leat_in_ms(uint64_t milliseconds) {
    return ahead(milliseconds, 1000 * 1000);
}
