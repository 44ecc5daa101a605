/* options.h - the command line of the benchmark program, made into a plan, by the rows and messages
 * of the command (tools/arguments.h). What the user got wrong ends the process with status 2 and a
 * line on standard error that says what. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include "trial.h"

/* Transports; NULL among them stands for one that this build lacks. Those of a group with a name
 * can be asked for all together by it. */
struct group {
    const char *name;
    const struct transport *const *transports;
    size_t count;
};

/* What `leat bench WORD` does. */
struct subcommand {
    const char *word, *about;
    const struct part *const *parts; /* ended by NULL; or NULL: an experiment with transports */
    enum experiment experiment;
    const char *transports;     /* the usual ones; a group there stands for those of it that fit */
    const char *against;        /* what the others are shown against, usually; or NULL */
    const char *sizes, *levels; /* the usual ones */
    const char *smoke_levels;   /* few, when it only has to work */
    double quick_s, full_s;     /* of each trial: at most, when in a hurry, and when not */
    bool sleeping;              /* of a group, only transports that sleep */
    bool ordinary;              /* not at real-time priority */
};

struct options {
    const struct subcommand *subcommand;
    const char *transports; /* NULL: the usual ones */
    const char *sizes, *levels, *parts, *against, *hdr, *plot;
    uint64_t capacity, pause_ns, rounds, attempts; /* the last two: 0, not given */
    uint64_t seconds_ns, patience_ns;              /* UINT64_MAX: not given */
    int mode;   /* of waiting, whose transports are the usual ones then; -1: none */
    int wanted; /* near or far; -1: either */
    int cpus[2];
    bool json, list, quick, full, smoke, realtime, one_cpu;
};

/* Both lists end with an element of zeros. Ends the process when help was all that was wanted. */
const struct options *options_parse(int argc, char **argv, const struct subcommand *subcommands,
                                    const struct group *groups);

/* What they ask for, from now on. */
void options_plan(const struct group *groups, struct plan *plan);

#endif
