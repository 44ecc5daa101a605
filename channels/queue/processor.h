/* channels/queue/processor.h - the figures that are best on one family of processors and not on
 * another.
 *
 * A handle takes them when it is opened. They change how fast messages go, not what is delivered,
 * so the sender and the receiver of a channel may differ. docs/decisions/0007-policies.md and
 * 0016-free-space.md have the measurements.
 */
#ifndef LEAT_CHANNELS_PROCESSOR_H
#define LEAT_CHANNELS_PROCESSOR_H

#include <stdbool.h>
#include <stdint.h>

struct leat__processor {
    /* bytes: a receiver wipes slots up to this size whole, and of longer ones the first word of
     * each line; 0: it wipes only slots shorter than a line */
    uint32_t wipe;
    uint32_t piece; /* bytes: longer messages are copied in pieces of this size; 0: whole */
    bool fetch;     /* a sender fetches lines for writing two records ahead */
    /* a sender of slots of two lines probes the lines ahead when its receiver is far away */
    bool probes;
    const char *name; /* of the row: "AMD Zen 5", "unknown" */
};

/* The row of this machine's processor. Reads the processor's identity at the first call only. Never
 * NULL; static storage. Any thread may call it. */
const struct leat__processor *leat__processor(void);

/* The row for a vendor (spelled as the processor spells it), a family and a model. */
const struct leat__processor *leat__processor_of(const char *vendor, unsigned family,
                                                 unsigned model);

#endif
