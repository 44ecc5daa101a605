/* loop.h - what the parts of `leat bench loop` share: channels in event loops (leat/uv.h) beside
 * eventfds, named pipes and libuv's own pipes in the same loops. A way leaves its figures in
 * told->figures, in the order of its part's. */
#ifndef BENCH_LOOP_H
#define BENCH_LOOP_H

#include "machine.h"
#include "peers/kernel.h"

#include <leat/uv.h>

#define CHANNELS_MAX 1000u
#define MESSAGE 64u /* bytes of each */

/* One side of a trial, in a loop. A process has one at a time. */
struct side {
    struct trial *trial;
    uv_loop_t loop; /* counts its turns in told->turns */
    uv_check_t turns;
    leat_uv_receiver_t receivers[CHANNELS_MAX];
    uint64_t serial;  /* of the next message */
    uint64_t calls;   /* of callbacks, by those who count them */
    bool over, wrong; /* it has had the last message; something failed */
};
extern struct side side;

/* Empties the side, and makes its loop. */
void side_start(struct trial *trial);

/* A receiver for each channel of the way, from number `first` on. `held`: its messages are released
 * by the callback. 0, or -1 having said why. */
int side_receive(unsigned first, unsigned count, const leat_channel_options *options,
                 leat_uv_message_cb on_message, bool held);

/* From a callback: ends the loop, as it has done its work or as something is wrong. */
void side_stop(bool wrong);

/* Runs the side from the meeting to the end, once all is open, and closes the loop. `first` is
 * called when the loop may begin, `note` when it has ended and figures can be left; or NULL.
 * 0, or -1 when anything was wrong. */
int side_run(int (*first)(void), void (*note)(void));

/* Senders for all channels of the way, without a loop; the same in each process that has them. */
extern leat_sender *senders[CHANNELS_MAX];
int senders_open(const struct trial *trial, const leat_channel_options *options);
void senders_close(const struct trial *trial);

/* Prepares a stream between the two sides. */
int stream_prepare(struct trial *trial);

/* Takes over the descriptor of this side of a stream, as a pipe that libuv closes. */
int pipe_take(struct trial *trial, uv_pipe_t *pipe);

/* Of a stream there and back: leaves one end to each process, so that either notices the other's
 * death. */
void trial_keep_end(struct trial *trial);

/* Writes to an eventfd, or one byte or more to a pipe, for a loop that polls it. */
int wake_descriptor(int descriptor);

/* Polls a descriptor in the loop. */
int side_poll(uv_poll_t *poll, int descriptor, uv_poll_cb on_readable);

/* Says what failed. -1; 0 of 0. */
int check_uv(const char *call, int code);

/* CPU time of both sides, microseconds. */
double cpu_us(const struct trial *trial);

#endif
