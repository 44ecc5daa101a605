/* harness.h - measures transports against each other on a machine whose speed changes by itself.
 *
 * The two processes of a cell are pinned to one CPU each. A virtual machine's CPUs may be
 * neighbours that share a cache at one moment and far apart the next, and the same program then
 * differs by a factor of ten. So a ping-pong of one cache line before and after each cell tells its
 * placement:
 *
 *     near   both probes under NEAR_LIMIT_NS            far   both at or above it
 *
 * and a cell with one of each is dropped and repeated, as is one in which another program took more
 * than 3 % of a CPU. Figures are compared only within a placement. Transports are interleaved (A B
 * C A B C ...), the result is the median of the rounds with minimum and maximum.
 *
 * harness.c runs all cells, cell.c one of them; machine.c has the CPUs, clocks and the probe,
 * plan.c what is to be measured and what came of it. */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include "histogram.h"
#include "transport.h"

#define NEAR_LIMIT_NS 200.0
#define HANG_SECONDS 30u /* for plan.hang_s */
#define TRANSPORTS_MAX 64u
#define SIZES_MAX 16u
#define LEVELS_MAX 16u
#define ROUNDS_MAX 64u
#define EXIT_SKIP 77 /* "skip" for ctest */

enum placement {
    NEAR,
    FAR,
    ONE_CPU, /* no distance: both processes share it, because that was asked for */
    PLACED,
    MIXED = PLACED, /* dropped: it changed during the cell */
    DISTURBED,      /* dropped: another program had the CPU, or the cell was too short to count */
    UNWANTED,       /* not measured: the other placement was asked for */
    PLACEMENTS
};
#define ANY_PLACEMENT PLACEMENTS
extern const char *const placement_names[PLACEMENTS];

enum experiment {
    RATE,       /* as many messages a second as go through */
    ROUND_TRIP, /* one message at a time, there and back */
    WAKEUP,     /* the same with a pause between, so that whoever sleeps is asleep */
    OPEN_LOOP,  /* one way, at fixed rates: the levels of the plan */
    EXPERIMENTS
};
extern const char *const experiment_names[EXPERIMENTS];

/* What to measure: each transport with each size at each level. */
struct plan {
    enum experiment experiment;
    const struct transport *transports[TRANSPORTS_MAX];
    size_t transport_count;
    size_t sizes[SIZES_MAX];
    size_t size_count;
    uint64_t levels[LEVELS_MAX];
    size_t level_count; /* 0 for the experiments that have none */
    size_t capacity;
    /* attempts: how often a cell that was dropped is measured again, in each round */
    unsigned rounds, attempts;
    uint64_t duration_ns;
    uint64_t pause_ns; /* of WAKEUP */
    /* NEAR, FAR or ANY_PLACEMENT: wait for it, until give_up_ns (of now_ns) */
    enum placement wanted;
    uint64_t give_up_ns;
    uint64_t stop_ns; /* begin no cell after that (of now_ns); 0: do them all */
    unsigned hang_s;  /* how long beyond its duration a cell may take before it counts as hanging */
    bool list;        /* a line on standard error for each cell measured */
};

/* A size at a level: what a transport is measured with, and the column of a table. */
struct column {
    size_t size;
    uint64_t level; /* 0 when there are none */
};
size_t plan_columns(const struct plan *plan);
struct column plan_column(const struct plan *plan, size_t index);

/* What one process did during one cell. */
struct usage {
    uint64_t wall_ns, cpu_ns;
    uint64_t delay_ns;   /* ready to run, while the CPU ran something else */
    uint64_t helpers_ns; /* CPU time of the process's other threads: some libraries have them */
    uint64_t switches;   /* voluntary context switches */
};

enum percentile { P50, P90, P99, P999, P9999, HIGHEST, PERCENTILES };
extern const char *const percentile_names[PERCENTILES]; /* "p50", ... "max" */
extern const double percentile_parts[PERCENTILES];

/* One measurement of one cell. */
struct sample {
    double rate; /* RATE: million messages a second; OPEN_LOOP: messages a second */
    /* ns: of a round trip or of one way. Negative when there were too few values to tell */
    double percentile[PERCENTILES];
    double probe_ns; /* median of a cache line's round trips, mean of before and after;
                                negative: none */
    /* CPU time of the sender of OPEN_LOOP that went into waiting until messages were due */
    uint64_t idle_ns;
    /* by role: the asker of a round trip is the sender */
    struct usage usage[2];
    struct counters side[2]; /* of the one link, or the asker's and answerer's sums over both */
};

struct cell {
    unsigned count[PLACED]; /* by placement */
    struct sample samples[PLACED][ROUNDS_MAX];
    struct histogram *all[PLACED]; /* every time that was measured, of all its samples, or NULL */
};

struct results {
    struct cell *cells; /* [transport][column] */
    size_t cell_count;
    unsigned tally[PLACEMENTS];
    unsigned not_begun; /* cells after plan.stop_ns */
};

/* Prepares this process: pins it to cpus[0] (peers go to cpus[1]; -1, -1 chooses the first two it
 * may use) and maps what is shared. Exits with EXIT_SKIP when there is only one CPU; exits with 1
 * when anything else fails. */
void harness_start(int cpus[2], size_t capacity);

/* Before harness_start: puts both processes on one CPU, the first. No cell has a probe then, and
 * there may be only one CPU. */
void harness_one_cpu(void);

/* Before harness_start: all has to work, and figures mean nothing (--smoke). Polling sleeps in
 * between, warming up is short, and a disturbed cell counts. */
void harness_polite(void);

/* The signal that asked to end (SIGINT, SIGTERM or SIGHUP), 0 when none did. The cell at hand is
 * finished, and no other begins. A second signal breaks it off: its links are destroyed, so that
 * nothing is left behind, and the process ends by the signal. A third ends it at once. */
int harness_signal(void);

/* Measures all of it. Exits with 1 when a transport loses, tears or refuses a message, or hangs. */
void harness_run(const struct plan *plan, struct results *results);

void results_free(struct results *results);
const struct cell *results_cell(const struct plan *plan, const struct results *results,
                                size_t transport, size_t column);

/* What makes ns of the values of an experiment's histograms. */
double histogram_unit(const struct plan *plan);

/* One number of each sample of a cell; those that are negative do not count. */
typedef double (*sample_value)(const struct sample *sample);
struct spread {
    unsigned count;
    double median, min, max;
};
struct spread cell_spread(const struct cell *cell, enum placement placement, sample_value value);
struct spread cell_percentile(const struct cell *cell, enum placement placement,
                              enum percentile which);
struct spread spread_of(double *values, unsigned count); /* sorts them */

void counters_add(struct counters *to, const struct counters *more);

/* "64", "mix", "small" or "bimodal" as a size; 0 or -1. And back; and for people: "64 B", or
 * "mix 16-2047 B". */
int size_parse(const char *text, size_t *size);
const char *size_word(size_t size, char text[32]);
const char *size_name(size_t size, char text[32]);

/* A column for people, with its level: "64 B, 10000 messages/s". */
const char *column_name(const struct plan *plan, size_t index, char text[64]);

#endif
