/* opening.h - what it costs to create a channel, to attach to it, to close it, and to close it as
 * the last user; and the same for what else two processes can meet at. All in one process: the
 * calls do not depend on who makes them. */
#ifndef BENCH_OPENING_H
#define BENCH_OPENING_H

#include "opening_many.h"

#define OPENINGS_MAX 100000u

/* Repeats everything so often, the ways taking turns, and prints tables, or a JSON experiment, with
 * what opening_many.h adds. 0, or 1 having said why not. */
int opening_run(FILE *out, unsigned repetitions, const struct opening_scale *scale, bool json);

#endif
