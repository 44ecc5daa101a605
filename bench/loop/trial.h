/* trial.h - what the parts of `leat bench loop` share.
 *
 * A *part* compares *ways*; a *trial* is one way, once, between two processes that are pinned to a
 * CPU each: the parent asks or sends, a child answers or receives. Both open what they need, meet
 * (trial_begin: the probe, and from there on CPU time counts), do their work, meet again
 * (trial_end) and close. A way leaves its figures in told->figures, in the order of its part's
 * headings. */
#ifndef BENCH_LOOP_TRIAL_H
#define BENCH_LOOP_TRIAL_H

#include "loop.h"
#include "machine.h"

#include <leat/uv.h>

#define FIGURES_MAX 6u
#define WAYS_MAX 7u
#define CHANNELS_MAX 1000u
#define MESSAGE 64u /* bytes of each */
#define UNKNOWN (-1.0)

/* What the two processes tell each other. Zeroed before each trial. */
struct told {
    double figures[FIGURES_MAX], probes[2];
    struct usage usage[2]; /* by role */
    uint64_t count, elapsed_ns;
    uint64_t rings, sent;           /* of a sender of leat's */
    _Alignas(64) uint64_t turns[2]; /* of the loops, by role */
    _Alignas(64) uint64_t ready, go;
    _Alignas(64) uint64_t word[2]; /* by direction */
    _Alignas(64) uint64_t received;
};

enum direction { THERE, BACK };

struct trial {
    const struct mode *mode;
    enum role role;
    uint64_t duration_ns;
    char name[48];   /* how names of channels begin */
    int fd[2][2];    /* by direction, and role of who uses it; -1: none */
    uint64_t serial; /* of the probe */
    struct told *told;
};

struct mode {
    const char *name, *about;
    unsigned channels; /* of leat's, numbered; none that was left over stays behind */
    int (*prepare)(struct trial *trial); /* before the processes part: makes fd[][]; may be NULL */
    /* in each; 0, or -1 having said why, or when a message was wrong */
    int (*work)(struct trial *trial);
    int context; /* the way's own */
};

struct heading {
    const char *head, *json; /* for people and for programs, both with the unit */
};

struct part {
    const char *name, *title;
    const struct mode *ways;
    size_t way_count;
    size_t yardstick; /* the way whose first figure the others' are shown against */
    const char *goal;
    struct heading headings[FIGURES_MAX];
    double seconds[3]; /* of a trial, by length */
};

extern const struct part part_trips, part_waiting, part_rates, part_channels, part_idle, part_timer;

int trial_begin(struct trial *trial);
int trial_end(struct trial *trial);
void trial_channel(const struct trial *trial, unsigned number, char name[64]);

/* Of a stream there and back: leaves one end to each process, so that either notices the other's
 * death. */
void trial_keep_end(struct trial *trial);

/* Says what failed. -1. */
int complain_leat(const char *call, int code);
int complain_uv(const char *call, int code);

/* Counts the turns of a loop there. */
void turns_count(uv_check_t *check, uv_loop_t *loop, uint64_t *count);

/* Stops the parent's loop when the child has ended, which it does first only when something is
 * wrong. The descriptor is to be closed after the loop. */
void stop_with_child(uv_poll_t *poll, uv_loop_t *loop, int *descriptor);

/* Closes all handles of a loop, and the loop. */
int loop_end(uv_loop_t *loop);

/* CPU time of both sides, microseconds. */
double cpu_us(const struct trial *trial);

#endif
