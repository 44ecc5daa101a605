/* harness.h - measures transports against each other on a machine whose speed changes by itself.
 *
 * The two processes of a cell are pinned to one CPU each. A virtual machine's CPUs may be neighbours that share a cache at
 * one moment and far apart the next, and the same program then differs by a factor of ten. So a ping-pong of one cache line
 * before and after each cell tells its placement:
 *
 *     near   both probes under NEAR_LIMIT_NS            far   both at or above it
 *
 * and a cell with one of each is dropped and repeated, as is one in which another program took more than 3 % of a CPU.
 * Figures are compared only within a placement. Transports are interleaved (A B C A B C ...), the result is the median of
 * the rounds with minimum and maximum. */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include "transport.h"

#define NEAR_LIMIT_NS 200.0
#define HANG_SECONDS 30u /* for plan.hang_s */
#define TRANSPORTS_MAX 64u
#define SIZES_MAX 16u
#define ROUNDS_MAX 64u

enum placement {
    NEAR,
    FAR,
    MIXED,     /* dropped: it changed during the cell */
    DISTURBED, /* dropped: another program had the CPU, or the cell was too short to count */
    UNWANTED,  /* not measured: the other placement was asked for */
    PLACEMENTS
};
#define ANY_PLACEMENT PLACEMENTS
extern const char *const placement_names[PLACEMENTS];

enum experiment { RATE, ROUND_TRIP, EXPERIMENTS };

/* What to measure. */
struct plan {
    enum experiment experiment;
    const struct transport *transports[TRANSPORTS_MAX];
    size_t transport_count;
    size_t sizes[SIZES_MAX];
    size_t size_count;
    size_t capacity;
    unsigned rounds, attempts; /* attempts: how often a cell that was dropped is measured again, in each round */
    uint64_t duration_ns;
    enum placement wanted; /* NEAR, FAR or ANY_PLACEMENT: wait for it, until give_up_ns (of now_ns) */
    uint64_t give_up_ns;
    unsigned hang_s; /* how long beyond its duration a cell may take before it counts as hanging */
    bool list; /* a line on standard error for each cell measured */
};

/* What one process did during one cell. */
struct usage {
    uint64_t wall_ns, cpu_ns;
    uint64_t delay_ns; /* ready to run, while the CPU ran something else */
    uint64_t switches; /* voluntary context switches */
};

/* One measurement of one cell. */
struct sample {
    double rate;             /* million messages per second */
    double p50, p99, p999;   /* round trip in ns */
    double probe_ns;         /* median round trip of a cache line, mean of before and after */
    struct usage usage[2];   /* by role: the asker of a round trip counts as sender */
    struct counters side[2]; /* of the one link, or the asker's and answerer's sums over both */
};

struct cell {
    unsigned count[2]; /* by placement, NEAR or FAR */
    struct sample samples[2][ROUNDS_MAX];
};

struct results {
    struct cell *cells; /* [transport][size] */
    unsigned tally[PLACEMENTS];
};

/* Prepares this process: pins it to cpus[0] (peers go to cpus[1]; -1, -1 chooses the first two it may use) and maps what is
 * shared. Exits with 77, "skip" for ctest, when there is only one CPU; exits with 1 when anything else fails. */
void harness_start(int cpus[2], size_t capacity);

/* Measures all of it. Exits with 1 when a transport loses, tears or refuses a message, or hangs. */
void harness_run(const struct plan *plan, struct results *results);

void results_free(struct results *results);
const struct cell *results_cell(const struct plan *plan, const struct results *results, size_t transport, size_t size);

/* One number of each sample of a cell. */
typedef double (*sample_value)(const struct sample *sample);
struct spread {
    unsigned count;
    double median, min, max;
};
struct spread cell_spread(const struct cell *cell, enum placement placement, sample_value value);

void counters_add(struct counters *to, const struct counters *more);

/* "64", "mix" or "small" as a size; 0 or -1. And back, for people: "64 B", "mix 16-2047 B". */
int size_parse(const char *text, size_t *size);
const char *size_name(size_t size, char text[32]);

#endif
