/* options.h - the command line of the benchmark program, made into a plan. What the user got wrong
 * ends the process with status 2 and a line on standard error that says what. */
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

struct options;

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
    const char *program;    /* how messages begin */
    const char *transports; /* NULL: the usual ones */
    const char *mode;       /* of waiting, whose transports are the usual ones then; or NULL */
    const char *sizes, *levels, *parts, *against, *hdr, *plot;
    size_t capacity;
    double seconds, patience_s, pause_s; /* negative: not given */
    unsigned rounds, attempts;           /* 0: not given */
    enum placement wanted;
    int cpus[2];
    bool json, list, full, smoke, realtime, one_cpu;
};

/* groups: ended by one without transports. */
void options_parse(struct options *options, int argc, char **argv,
                   const struct subcommand *subcommands, const struct group *groups);

/* What they ask for, from now on. */
void options_plan(const struct options *options, const struct group *groups, struct plan *plan);

#endif
