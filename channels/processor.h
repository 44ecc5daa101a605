/* channels/processor.h - what handing lines of memory over costs on this processor, and so which
 * side touches them early. Nothing depends on it but speed.
 *
 * Private. Thread-safe. docs/decisions/0016-free-space.md has the measurements. */
#ifndef LEAT_CHANNELS_PROCESSOR_H
#define LEAT_CHANNELS_PROCESSOR_H

#include <stdint.h>

struct leat__processor {
    uint32_t wipe;  /* bytes: a receiver wipes slots up to this size whole, longer ones at each
                       line's start; 0: it wipes nothing */
    uint32_t fetch; /* bytes: a sender fetches the lines of slots longer than this for writing two
                       records ahead; 0: it does not */
    const char *name;
};

/* The row of the processor at hand. Asks it once in a process. */
const struct leat__processor *leat__processor(void);

#endif
