/* trial.h - the one frame of all measurements, on a machine whose speed changes by itself.
 *
 * A *part* of a benchmark compares *ways* by *figures*, in each *column* (a size of messages at a
 * rate) where there are several. A *trial* is one way in one column, once, between two processes
 * that are pinned to a CPU each: the parent asks or sends, a child answers or receives. Both open
 * what they need, meet (trial_begin: the probe; from there on CPU time counts), do their work, meet
 * again (trial_end) and close. What all trials of a way in a column found is a *cell*.
 *
 * A virtual machine's CPUs may be neighbours that share a cache at one moment and far apart the
 * next, and the same program then differs by a factor of ten. So a ping-pong of one cache line
 * before and after tells the placement:
 *
 *     near   both probes under NEAR_LIMIT_NS            far   both at or above it
 *
 * A trial with one of each is dropped and repeated, as is one in which another program took more
 * than 3 % of a CPU. Figures are compared only within a placement. Ways take turns (A B C A B C
 * ...); what is shown is the median of the rounds with minimum and maximum.
 *
 * trial.c runs all trials; machine.c has the CPUs, clocks and the probe, plan.c columns and
 * numbers. */
#ifndef BENCH_TRIAL_H
#define BENCH_TRIAL_H

#include "../tools/histogram.h"
#include "transport.h"

#include <stdio.h>

#define NEAR_LIMIT_NS 200.0
#define HANG_SECONDS 150u /* for plan.hang_s */
#define WAYS_MAX 64u
#define PARTS_MAX 8u
#define SIZES_MAX 16u
#define LEVELS_MAX 16u
#define ROUNDS_MAX 64u
#define FIGURES_MAX 28u
#define EXIT_SKIP 77 /* "skip" for ctest */
#define UNKNOWN (-1.0)

enum placement {
    NEAR,
    FAR,
    ONE_CPU, /* no distance: both processes share it, or there is only one */
    PLACED,
    MIXED = PLACED, /* dropped: it changed during the trial */
    DISTURBED,      /* dropped: another program had the CPU, or the trial was too short to count */
    UNWANTED,       /* not measured: the other placement was asked for */
    PLACEMENTS
};
#define ANY_PLACEMENT PLACEMENTS
extern const char *const placement_names[PLACEMENTS];

enum experiment {
    RATE,       /* as many messages a second as go through */
    ROUND_TRIP, /* one message at a time, there and back */
    WAKEUP,     /* the same with a pause between, so that a side that sleeps is asleep */
    OPEN_LOOP,  /* one way, at fixed rates: the levels of the plan */
    EXPERIMENTS
};
extern const char *const experiment_names[EXPERIMENTS];

struct trial;

struct figure {
    const char *head; /* for people, with the unit; NULL: not in tables */
    const char *json; /* for programs; `sender.cpu_s` is a member of the object `sender` */
    bool sum;         /* of all rounds, and not their median */
};
#define FIGURE(head_, json_)                                                                       \
    { (head_), (json_), false }
#define SUM(head_, json_)                                                                          \
    { (head_), (json_), true }

struct way {
    const char *name, *about;
    unsigned channels; /* of leat's, numbered; none that was left over stays behind */
    /* Before the processes part: 0; -1 having said why; 1: it does not go with this column. Or
     * NULL. */
    int (*prepare)(struct trial *trial);
    /* In each process; 0, or -1 having said why, or when a message was wrong. */
    int (*work)(struct trial *trial);
    int context;    /* the way's own */
    const void *of; /* and that too; of an experiment, its transport */
    /* By the parent, also when it failed; or NULL. */
    void (*finish)(struct trial *trial, bool good);
};

/* How the lists of ways and parts begin. */
#define WAY(name_, about_, ...)                                                                    \
    { .name = (name_), .about = (about_), __VA_ARGS__ }
#define WAYS(ways_) .ways = (ways_), .way_count = sizeof(ways_) / sizeof *(ways_)
#define NO_YARDSTICK SIZE_MAX

enum length { SMOKE, QUICK, FULL, LENGTHS_OF_TRIALS };

struct part {
    const char *name, *title;
    const struct way *ways;
    size_t way_count;
    size_t yardstick; /* the way that the others' first figure is shown against; NO_YARDSTICK */
    const char *goal; /* or NULL */
    struct figure figures[FIGURES_MAX];
    double seconds[LENGTHS_OF_TRIALS]; /* of a trial */
    bool alone;                        /* one process: no child, no probe */
    bool once;                         /* in the first round only */
    bool sleeps; /* the kernel lets it have all its time at real-time priority */
    void (*remark)(FILE *out, const struct part *part, const double *medians); /* or NULL */
};

/* Those that are no experiments with transports. Those of loops are there where libuv is. */
extern const struct part part_open, part_open_nth, part_open_at_once, part_open_in_turn;
extern const struct part part_sync, part_limits;
#define WHERE_UV_IS __attribute__((weak))
extern const struct part part_trips WHERE_UV_IS, part_waiting WHERE_UV_IS, part_rates WHERE_UV_IS,
    part_channels WHERE_UV_IS, part_idle WHERE_UV_IS, part_timer WHERE_UV_IS;

/* A size at a level: the column of a table. */
struct column {
    size_t size;
    uint64_t level; /* messages a second; 0 when there are none */
};

/* What to measure: each part, each of its ways in each column. */
struct plan {
    const char *name; /* of the benchmark */
    const struct part *parts[PARTS_MAX];
    size_t part_count;
    size_t sizes[SIZES_MAX];
    size_t size_count; /* 0: one column without a size */
    uint64_t levels[LEVELS_MAX];
    size_t level_count; /* 0 for the experiments that have none */
    size_t capacity;
    /* attempts: how often a trial that was dropped is repeated, in each round */
    unsigned rounds, attempts;
    enum length length;
    uint64_t duration_ns; /* of each trial; 0: the part's own */
    uint64_t pause_ns;    /* of WAKEUP */
    /* NEAR, FAR or ANY_PLACEMENT: wait for it, until give_up_ns (of now_ns) */
    enum placement wanted;
    uint64_t give_up_ns;
    uint64_t stop_ns; /* begin no trial after that (of now_ns); 0: do them all */
    unsigned hang_s; /* how long beyond its duration a trial may take before it counts as hanging */
    bool list;       /* a line on standard error for each trial */
};
size_t plan_columns(const struct plan *plan);
struct column plan_column(const struct plan *plan, size_t index);

/* What one process did during one trial. */
struct usage {
    uint64_t wall_ns, cpu_ns;
    uint64_t delay_ns;   /* ready to run, while the CPU ran something else */
    uint64_t helpers_ns; /* CPU time of the process's other threads: some libraries have them */
    uint64_t switches;   /* voluntary context switches */
};

/* How the CPU time of a side tells that another program disturbed it. */
enum care {
    SLEEPS, /* it must not have waited for the CPU */
    SPINS,  /* it must have had all the CPU time there was */
    SHARES, /* not at all */
};

enum direction { THERE, BACK };

/* What the two processes share. Zeroed before each trial. */
struct told {
    double figures[FIGURES_MAX], probes[2];
    struct usage usage[2]; /* by role */
    struct counters counters[2];
    bool unwanted;     /* the placement: what was measured does not count */
    bool too_little;   /* what was measured is too little to count */
    bool does_not_fit; /* the way does not go with the column, as only its work could tell */
    uint64_t count, elapsed_ns;
    uint64_t wakes, sent;           /* of a sender of leat's */
    _Alignas(64) uint64_t turns[2]; /* of event loops, by role */
    _Alignas(64) uint64_t word[2];  /* by direction */
    _Alignas(64) uint64_t received;
};

struct trial {
    const struct plan *plan;
    const struct part *part;
    const struct way *way;
    struct column column;
    enum role role;
    uint64_t duration_ns;
    enum care care[2];       /* by role */
    char name[48];           /* how names of channels begin */
    int fd[2][2];            /* by direction, and role of who uses it; -1: none */
    uint64_t serial;         /* of the probe */
    struct histogram *times; /* the parent's, of every time that was measured */
    struct told *told;
};

/* The two meetings of a trial, by both processes. 0, or -1 when the other failed. */
int trial_begin(struct trial *trial);
int trial_end(struct trial *trial);
void trial_channel(const struct trial *trial, unsigned number, char name[64]);

/* Says which call of leat's failed, and how. -1; 0 of LEAT_OK. */
int check_leat(const char *call, int code);

/* Counts and figures of one trial, and every time of all trials of a placement. */
struct cell {
    unsigned count;
    struct measured {
        unsigned round;
        enum placement placement;
        double figures[FIGURES_MAX]; /* negative: unknown */
        double probe_ns;
    } trials[ROUNDS_MAX];
    struct histogram *all[PLACED]; /* or NULL */
};

struct results {
    const struct plan *plan;
    struct cell *cells; /* [part][column][way] */
    size_t cell_count;
    unsigned tally[PLACEMENTS];
    unsigned not_begun; /* trials after plan.stop_ns */
};

/* Prepares this process: pins it to cpus[0] (children go to cpus[1]; -1, -1 chooses the first two
 * it may use) and maps what is shared. Exits with EXIT_SKIP when there is only one CPU; exits with
 * 1 when anything else fails. */
void harness_start(int cpus[2], size_t capacity);

/* The signal that asked to end (SIGINT, SIGTERM or SIGHUP), 0 when none did. The trial at hand is
 * finished, and no other begins. A second signal breaks it off: its links are destroyed, so that
 * nothing is left behind, and the process ends by the signal. A third ends it at once. */
int harness_signal(void);

/* Runs all trials. Exits with 1 when one loses, tears or refuses a message, fails or hangs. */
void trials_run(const struct plan *plan, struct results *results);
void results_free(struct results *results);

const struct cell *results_cell(const struct results *results, size_t part, size_t column,
                                size_t way);
unsigned cell_count(const struct cell *cell, enum placement placement);
bool part_seen(const struct results *results, size_t part, size_t column, enum placement placement);

/* Of one figure of a cell; unknown values do not count. cell_ratio: over the yardstick's of the
 * same round, a second before or after: what changes more slowly does not matter. */
struct spread {
    unsigned count;
    double median, min, max;
};
struct spread cell_spread(const struct cell *cell, enum placement placement, size_t figure);
struct spread cell_probe(const struct cell *cell, enum placement placement);
struct spread cell_ratio(const struct cell *cell, const struct cell *yardstick,
                         enum placement placement);
double cell_sum(const struct cell *cell, enum placement placement, size_t figure);
struct spread spread_of(double *values, unsigned count); /* sorts them */
size_t figure_count(const struct part *part);

/* Of times in nanoseconds, in microseconds. */
double quantile_us(const struct histogram *times, double part);

/* What makes ns of the values of an experiment's histograms. */
double histogram_unit(enum experiment experiment);

/* The part of an experiment with these transports, whose ways are in ways[WAYS_MAX]. */
struct part cell_part(enum experiment experiment, const struct transport *const *transports,
                      size_t count, struct way *ways);

/* "64", "mix", "small" or "bimodal" as a size; 0 or -1. And back; and for people: "64 B", or
 * "mix 16-2047 B". */
int size_parse(const char *text, size_t *size);
const char *size_word(size_t size, char text[32]);
const char *size_name(size_t size, char text[32]);

/* A column for people, with its level: "64 B, 10000 messages/s"; "" where there is only one. */
const char *column_name(const struct plan *plan, size_t index, char text[64]);

#endif
