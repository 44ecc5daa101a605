/* results.h - the figures of `leat bench loop`, and how they are shown. */
#ifndef BENCH_LOOP_RESULTS_H
#define BENCH_LOOP_RESULTS_H

#include "trial.h"

#define PARTS 6u

struct loop_results {
    /* by placement; only where there is one of that round */
    double figures[PARTS][WAYS_MAX][2][FIGURES_MAX][ROUNDS_MAX];
    bool has[PARTS][WAYS_MAX][2][ROUNDS_MAX];
    unsigned count[PARTS][WAYS_MAX][2];
    unsigned tally[PLACEMENTS], not_begun;
};

extern const struct part *const loop_parts[PARTS];

void loop_show_text(FILE *out, const struct loop_results *results);
void loop_show_json(FILE *out, const struct plan *plan, const struct loop_results *results);

#endif
