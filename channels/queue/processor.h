/* channels/queue/processor.h - what is best on one family of processors and not on another, as
 * figures.
 *
 * A handle takes them when it is opened. They change how fast messages go, not what is delivered,
 * so that two sides of a channel may differ. docs/decisions/0007-policies.md and 0016-free-space.md
 * have the measurements.
 */
#ifndef LEAT_CHANNELS_PROCESSOR_H
#define LEAT_CHANNELS_PROCESSOR_H

#include <stdbool.h>
#include <stdint.h>

struct leat__processor {
    uint32_t wipe;  /* bytes: a receiver wipes slots up to this size whole, longer ones at each
                         line's start; 0: those of less than a line alone */
    uint32_t piece; /* bytes: longer messages are copied in pieces of that size; 0: whole */
    bool fetch;     /* a sender fetches lines for writing two records ahead */
    /* a sender of slots of two lines looks at the lines ahead where its receiver is far */
    bool probes;
    const char *name; /* of the row: "AMD Zen 5", "unknown" */
};

/* The row of the processor that this runs on. Asks the processor at the first call only. Never
 * NULL; static storage. Any thread may call it. */
const struct leat__processor *leat__processor(void);

/* The row for a vendor, as the processor spells it, a family and a model. */
const struct leat__processor *leat__processor_of(const char *vendor, unsigned family,
                                                 unsigned model);

#endif
