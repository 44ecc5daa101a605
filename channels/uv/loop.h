/* channels/uv/loop.h - what the channels of one libuv loop share (leat/uv.h).
 *
 * A wait set, and three handles of libuv's: two that poll its descriptors, and one that is busy: an
 * idle handle, which keeps the loop from sleeping as long as there is more to do than one turn
 * allows. They are unreferenced, made with the first channel of a loop and closed with its last.
 *
 * An *item* is a receiver, a sender or a waiter in the wait set. `work` does what its wait set says
 * there is to do, within its budget. `tell` tells the program what became known outside of the
 * loop's turns (leat__uv_report_later). Both may close any handle, itself and the last one
 * included: so nothing here is freed before libuv calls back that it is closed.
 */
#ifndef LEAT_CHANNELS_UV_LOOP_H
#define LEAT_CHANNELS_UV_LOOP_H

#include "leat/uv.h"
#include "leat/waitset.h"

/* messages at most that a handle receives, or sends of its queue, before another one has its
 * turn */
#define LEAT__UV_BATCH 64

/* What all handles of leat's begin with. */
struct leat_uv_any {
    uv_timer_t uv;
    struct leat_uv_member member;
};

struct leat_uv_loop {
    uv_loop_t *loop;
    leat_waitset *waitset;
    uv_poll_t rings, rest;
    uv_idle_t busy;
    unsigned channels; /* that are not closed */
    unsigned open;     /* of the three handles */
    /* those that have something to tell, in the order in which they had it */
    struct leat_uv_member *telling, **reporting_end;
    struct leat_uv_loop *next;
};

/* What the loop's channels share, made if this is the first one; given back if nobody joins. */
int leat__uv_share(uv_loop_t *loop, struct leat_uv_loop **shared);
void leat__uv_give_back(struct leat_uv_loop *shared);

/* Makes the handle, whose first two members these are, part of its loop, item->shared. `close` is
 * what leat_uv_close does with it. Cannot fail. */
void leat__uv_join(uv_timer_t *uv, struct leat_uv_member *member,
                   void (*close)(uv_handle_t *handle, uv_close_cb callback));

/* Out of the loop: `closed` is called when libuv is done with the handle. The channel is closed by
 * the caller. */
void leat__uv_leave(uv_timer_t *uv, struct leat_uv_member *member, uv_close_cb closed);

/* Active, and referenced as the caller has it; or not. */
void leat__uv_set_active(uv_timer_t *uv, bool active);

/* Has the loop look at its channels in its next turn. */
void leat__uv_hurry(struct leat_uv_loop *shared);

/* The item has something to tell: in the loop's next turn, if not in this one. */
void leat__uv_report_later(struct leat_uv_member *member);

/* It tells no more. */
void leat__uv_leave_reporting(struct leat_uv_member *member);

#endif
