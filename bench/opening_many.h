/* opening_many.h - whether opening stays as cheap as the first time: the n-th handle of one object,
 * many processes that open one object at the same moment, and many handles one after another, after
 * which nothing may be left. */
#ifndef BENCH_OPENING_MANY_H
#define BENCH_OPENING_MANY_H

#include <stdbool.h>
#include <stdio.h>

struct opening_scale {
    unsigned handles;   /* open at the same time */
    unsigned processes; /* that open at the same moment */
    unsigned turns;     /* of opening and closing */
    /* for all handles of a kind, and for all turns of a kind: what does not fit is left out */
    double most_s;
};

/* Prints tables, or members of a JSON object, each with a comma before it. 0; or 1 having said what
 * failed, or what was left. */
int opening_many_run(FILE *out, const struct opening_scale *scale, bool json);

#endif
