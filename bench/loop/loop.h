/* loop.h - what the parts of `leat bench loop` share: channels in event loops (leat/uv.h) beside
 * eventfds, named pipes and libuv's own pipes in the same loops. A way leaves its figures in
 * told->figures, in the order of its part's. */
#ifndef BENCH_LOOP_H
#define BENCH_LOOP_H

#include "machine.h"
#include "parts.h"

#include <leat/uv.h>

#define CHANNELS_MAX 1000u
#define MESSAGE 64u /* bytes of each */

/* Of a stream there and back: leaves one end to each process, so that either notices the other's
 * death. */
void trial_keep_end(struct trial *trial);

/* Says what failed. -1. */
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
