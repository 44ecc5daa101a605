/* channels/uv/loop.h - what leat's handles in one libuv loop share (leat/uv.h). Private.
 *
 * A *member* is the private half of a program's handle: a receiver, a sender or a waiter. It is
 * allocated when the handle is made, and freed before the handle's close callback.
 *
 * A *shared loop* is made with a loop's first member and ends with its last. It has a wait set and
 * three libuv handles: `wakes` and `rest` poll the wait set's two descriptors; `busy`, an idle
 * handle, keeps the loop from sleeping while there is more to do than one turn allows. The three
 * are unreferenced, except that `wakes` is referenced while a member is active and referenced: this
 * is how leat's handles keep a loop running.
 *
 * The program can close the three: uv_walk shows them. The shared loop is then *cut*: nothing is
 * received, sent or taken there any more, and its members wait for leat_uv_close. So the three are
 * freed when libuv is done with them, whoever closed them. While libuv is not done with all of
 * them, the uv_loop_t must exist, and closing ends in it, by a fresh libuv handle that is closed as
 * soon as it is made. Afterwards the uv_loop_t may be gone; then leat_uv_close does not touch it.
 * docs/decisions/0020-uv-close.md has the reasons.
 */
#ifndef LEAT_CHANNELS_UV_LOOP_H
#define LEAT_CHANNELS_UV_LOOP_H

#include "leat/uv.h"
#include "leat/waitset.h"

/* The most messages that a member receives, or sends from its queue, before others are served. */
#define LEAT__UV_BATCH 64

struct leat_uv_member;

/* What a kind of handle does. `work` and `report` are called from the loop; the program's callbacks
 * in them may close any handle, this one included. */
struct leat_uv_operations {
    /* The wait set reports the member: receive, send or take, within the budget. */
    void (*work)(struct leat_uv_member *member);
    /* Calls back for results and events from outside of `work` (leat__uv_report_later). */
    void (*report)(struct leat_uv_member *member);
    /* Leaves the channel or object. Calls nothing back. */
    void (*close)(struct leat_uv_member *member);
    /* The last callbacks before the close callback. May be NULL. */
    void (*closed)(struct leat_uv_member *member);
};

/* The private structures of receivers, senders and waiters begin with this one. */
struct leat_uv_member {
    const struct leat_uv_operations *operations;
    leat_uv_handle_t *handle; /* the program's half */
    struct leat_uv_loop *shared;
    struct leat_uv_member *next, **link; /* the members that are not closing */
    struct leat_uv_member *next_report;
    leat_uv_close_cb on_closed;
    uv_idle_t end; /* made and closed by leat_uv_close, to be called back by the loop */
    bool active, referenced, closing, reporting;
};

struct leat_uv_loop {
    uv_loop_t *loop;
    leat_waitset *waitset;
    uv_poll_t wakes, rest;
    uv_idle_t busy;
    uv_idle_t end; /* made and closed when the last member leaves */
    struct leat_uv_member *members, *walk_next;
    unsigned holding; /* members that are active and referenced */
    /* members that have something to report, the earliest first */
    struct leat_uv_member *reporting, **reporting_end;
    struct leat_uv_loop *next;
};

/* Makes a member of `size` bytes, zero behind the common part, and connects it with the handle. The
 * member is inactive and referenced. On failure handle->member is NULL. UV_ENOMEM, UV_EMFILE, and
 * what libuv reports. */
int leat__uv_join(uv_loop_t *loop, leat_uv_handle_t *handle, size_t size,
                  const struct leat_uv_operations *operations);

/* Undoes leat__uv_join, for an init that failed. */
void leat__uv_undo_join(struct leat_uv_member *member);

/* The handle's member, or NULL if the handle was never made, is closing or is closed. */
struct leat_uv_member *leat__uv_member(const leat_uv_handle_t *handle);

/* The same, and NULL also if the program has closed libuv's handles under it. */
struct leat_uv_member *leat__uv_usable(const leat_uv_handle_t *handle);

/* An active member keeps the loop running, if it is referenced. */
void leat__uv_set_active(struct leat_uv_member *member, bool active);

/* Makes the loop poll the wait set in its next iteration. */
void leat__uv_hurry(struct leat_uv_loop *shared);

/* Makes the loop call the member's `report`: in its next iteration, if not in this one. */
void leat__uv_report_later(struct leat_uv_member *member);

#endif
