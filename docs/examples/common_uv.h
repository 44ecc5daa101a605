/* common_uv.h - what the examples with libuv have in common: opening with full error messages,
 * signals, and the end of a loop. */
#ifndef LEAT_EXAMPLES_COMMON_UV_H
#define LEAT_EXAMPLES_COMMON_UV_H

#include <leat/uv.h>
#include <stdbool.h>

#include "common.h"

/* leat_uv_receiver_open and leat_uv_sender_open. False, with a complaint. */
bool open_receiver(uv_loop_t *loop, leat_uv_receiver_t *receiver, const char *name,
                   const leat_channel_options *options);
bool open_sender(uv_loop_t *loop, leat_uv_sender_t *sender, const char *name,
                 const leat_channel_options *options);

/* Complains that channel `name` gave this UV_ code: with leat's own code, which says more, or, if
 * it was libuv that failed, with libuv's word for it. */
void complain_uv(const char *what, const char *name, int status);

/* Says on standard error that the other side came, closed or died. */
void tell_of_peer(const char *name, const char *who, leat_peer peer);

/* SIGINT and SIGTERM call `on_end` from the loop, and do not keep it running. SIGPIPE is ignored.
 * False, with a complaint. */
bool catch_signals(uv_loop_t *loop, void (*on_end)(void));

/* Closes every handle that is left, runs the loop until they are closed, and closes it. */
void close_loop(uv_loop_t *loop);

#endif
