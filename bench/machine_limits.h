/* machine_limits.h - what the machine itself can do between two pinned processes: no transport can be faster.
 *
 * Each round is bracketed by the probe, as a cell is, and goes to its placement or is dropped. */
#ifndef BENCH_MACHINE_LIMITS_H
#define BENCH_MACHINE_LIMITS_H

#include "harness.h"

enum limit {
    PING_PAUSE,   /* round trip of a line, pausing in the loop that waits */
    PING_BARE,    /* the same without the pause */
    PING_PAYLOAD, /* a line of payload and a line that says it is there, both ways */
    PULL,         /* reading lines that the other process has just written */
    REWRITE_READ, /* writing lines again that the other process has only read */
    REWRITE_DIRTY, /* writing lines again of which the other process has written 8 bytes each */
    COPY_NEAR,    /* memcpy in one process, both blocks in the cache next to it */
    COPY_FAR,     /* memcpy in one process, far more than the caches hold */
    LIMITS
};
extern const char *const limit_names[LIMITS];
extern const char *const limit_texts[LIMITS];
extern const char *const limit_units[LIMITS]; /* "ns" or "GB/s" */

struct limits {
    size_t block; /* bytes of the lines that go back and forth */
    unsigned count[2]; /* rounds, by placement */
    double values[2][LIMITS][ROUNDS_MAX];
    double probes[2][ROUNDS_MAX];
    unsigned tally[PLACEMENTS];
};

/* Of the plan: rounds, attempts, wanted, give_up_ns, stop_ns, hang_s, list. Exits with 1 when the other process
 * fails. */
void limits_run(const struct plan *plan, struct limits *limits);

struct spread limit_spread(const struct limits *limits, enum placement placement, enum limit which);
struct spread limit_probe(const struct limits *limits, enum placement placement);

#endif
