/* machine_limits.h - what the machine itself can do between two pinned processes: no transport can
 * be faster.
 *
 * Each round is bracketed by the probe, as a cell is, and goes to its placement or is dropped. */
#ifndef BENCH_MACHINE_LIMITS_H
#define BENCH_MACHINE_LIMITS_H

#include "handover.h"
#include "harness.h"

enum limit {
    PING_PAUSE,    /* round trip of a line, pausing in the loop that waits */
    PING_BARE,     /* the same without the pause */
    PING_PAYLOAD,  /* a line of payload and a line that says it is there, both ways */
    PULL,          /* reading lines that the other process has just written */
    REWRITE_READ,  /* writing lines again that the other process has only read */
    REWRITE_DIRTY, /* writing lines again of which the other process has written 8 bytes each */
    REWRITE_AHEAD, /* writing lines that were only read, fetched for writing some lines ahead: the
                      best distance */
    AHEAD_LINES,   /* that distance */
    COPY_NEAR,     /* memcpy in one process, both blocks in the cache next to it */
    COPY_FAR,      /* memcpy in one process, far more than the caches hold */
    HANDOVER,      /* records through a ring: for each size, HANDOVER_WAYS of them */
    LIMITS = HANDOVER + HANDOVER_SIZES * HANDOVER_WAYS
};
/* For programs, with the unit ("ping_bare_ns"), and for people. */
const char *limit_name(unsigned which, char text[64]);
const char *limit_text(unsigned which, char text[64]);
const char *limit_unit(unsigned which);

struct limits {
    size_t block;      /* bytes of the lines that go back and forth */
    unsigned count[2]; /* rounds, by placement */
    double values[2][LIMITS][ROUNDS_MAX];
    double probes[2][ROUNDS_MAX];
    unsigned tally[PLACEMENTS];
};

/* Of the plan: rounds, attempts, wanted, give_up_ns, stop_ns, hang_s, list. Exits with 1 when the
 * other process fails. */
void limits_run(const struct plan *plan, struct limits *limits);

struct spread limit_spread(const struct limits *limits, enum placement placement, unsigned which);

/* The way to hand records over that is best by the geometric mean over the sizes; plain unless
 * another is 5 % better. times[]: how many times as fast as plain it is at each size. */
enum handover_way limits_best(const struct limits *limits, enum placement placement,
                              double times[HANDOVER_SIZES]);
struct spread limit_probe(const struct limits *limits, enum placement placement);

#endif
