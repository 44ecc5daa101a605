/* taking.h - what `leat run` and `leat wait` have in common: they wait for a mutex, an event or a
 * semaphore. */
#ifndef LEAT_TOOLS_TAKING_H
#define LEAT_TOOLS_TAKING_H

#include "common.h"

/* The deadline of --timeout; 0 polls once. */
static inline uint64_t deadline_after(uint64_t duration_ns) {
    return duration_ns == 0 ? LEAT_NOW : leat_in_ns(duration_ns);
}

/* The exit code for what a wait returned, after a message. END_OK: taken. */
int end_of_wait(const struct target *target, int code);

#endif
