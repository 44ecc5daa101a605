/* loop.h - channels in event loops (leat/uv.h): round trips from loop to loop, messages into a
 * loop, many channels in one loop, a loop that idles, and what a flooded channel leaves to timers;
 * beside eventfds, named pipes and libuv's own pipes in the same loops, in one run. */
#ifndef BENCH_LOOP_H
#define BENCH_LOOP_H

#include "harness.h"

enum loop_length { LOOP_SMOKE, LOOP_QUICK, LOOP_FULL };

/* Of all parts, or of those in the list, with the rounds, attempts and placement of the plan.
 * Prints tables, or a JSON experiment. Ends the program with 1 when a message is lost or something
 * hangs. */
int loop_run(FILE *out, const struct plan *plan, const char *parts, enum loop_length length,
             bool json);

#endif
