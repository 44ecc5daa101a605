/* leat/uv.h - channels, events, semaphores and mutexes as libuv handles.
 *
 *     leat_uv_receiver_t receiver;
 *     leat_uv_receiver_open(loop, &receiver, "telemetry", NULL);
 *     leat_uv_receiver_start(&receiver, on_message, on_peer);            void on_message(leat_uv_receiver_t *receiver,
 *     uv_run(loop, UV_RUN_DEFAULT);                                                      const leat_message *message) { ... }
 *
 * A library of its own: link leat_uv and leat. Works with libuv 1.44 and later.
 *
 * As libuv has it. Memory for handles and requests is the caller's, from init or open until the
 * close callback or the request's. A handle is a libuv handle, its member `uv` (first, so that a
 * pointer may be cast to uv_handle_t *): uv_ref, uv_unref, uv_is_active, uv_is_closing, uv.data and
 * uv_walk do what they always do; only uv_close is replaced by leat_uv_close, which takes any
 * handle. A handle is active, and keeps the loop running, between start and stop; a sender also
 * while sends are queued. Functions return 0 or a negative UV_ code; leat_error_last gives leat's
 * own behind it, leat_error_detail says more. Everything may be called inside callbacks, closing
 * the handle that calls included. Nothing is called from inside the functions that the program
 * calls, only from uv_run.
 *
 * One wake source for each loop. However many channels a loop has, it polls the same two
 * descriptors (leat/waitset.h); an idle channel costs it nothing. A loop that has something to do
 * works for about 200 microseconds on its channels, each in turn, and then lets timers and
 * everything else have theirs. How a channel waits is its `waiting` option: by default, after it
 * had something the loop turns without sleeping for as long as that has paid lately, at most the
 * channel's spin_us; with LEAT_WAITING_SLEEP it sleeps at once.
 *
 * uv_walk also meets the handles that a loop's channels share. leat_uv_close does nothing to them:
 * they go with the last channel.
 *
 * Blocking: opening and closing are system calls, and wait for up to a second while another process
 * is stopped in the middle of opening or closing the same channel. Nothing else waits.
 *
 * Thread safety: that of libuv: everything belongs to the loop's thread. Fork: not supported
 * (uv_loop_fork), as for the channels.
 */
#ifndef LEAT_UV_H
#define LEAT_UV_H

#include <uv.h>

#include "leat/channel.h"
#include "leat/sync.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct leat_uv_receiver_s leat_uv_receiver_t;
typedef struct leat_uv_sender_s leat_uv_sender_t;
typedef struct leat_uv_send_s leat_uv_send_t;
typedef struct leat_uv_waiter_s leat_uv_waiter_t;

/* The UV_ code for one of leat's: LEAT_EAGAIN is UV_EAGAIN, LEAT_ECLOSED is UV_EOF, LEAT_EPEERDIED
 * is UV_ECONNRESET, and so on. Several have the same: which one it was, leat_error_last says; if
 * leat_uv_error(leat_error_last()) is not the code that came back, libuv itself failed. */
LEAT_API int leat_uv_error(int leat_code);

/* Closes any handle: a receiver, a sender, a waiter, or one of libuv's own. `callback` (may be
 * NULL) is called by the loop afterwards. For a handle that is closing already, and for those that
 * a loop's channels share, nothing. */
LEAT_API void leat_uv_close(uv_handle_t *handle, uv_close_cb callback);

/* --- Receiving -------------------------------------------------------------------------------- */

/* A message, in place: it is in the channel, and its memory valid, until the callback returns; then
 * it is released. Of a receiver that holds its messages: until leat_uv_receiver_release. */
typedef void (*leat_uv_message_cb)(leat_uv_receiver_t *receiver, const leat_message *message);

/* The memory for a message of so many bytes; base NULL: none, and UV_ENOBUFS. */
typedef void (*leat_uv_alloc_cb)(leat_uv_receiver_t *receiver, size_t size, uv_buf_t *buffer);

/* A message by copy, in memory that the alloc callback gave and that is the program's from now on:
 * size bytes. Negative: UV_ENOBUFS, the message stays in the channel and the handle is stopped. */
typedef void (*leat_uv_copy_cb)(leat_uv_receiver_t *receiver, ssize_t size, const uv_buf_t *buffer);

/* The sender came (LEAT_PEER_PRESENT), closed or died, in order with its messages, and each that
 * left had come; status 0. A status other than 0: the channel cannot be used any more (UV_EIO: the
 * sender wrote what no correct sender writes), and the handle is stopped. News that a stopped
 * handle could not tell is told first after the next start. */
typedef void (*leat_uv_peer_cb)(leat_uv_receiver_t *receiver, leat_peer peer, int status);

/* Of no concern to programs. */
struct leat_uv_member {
    void (*work)(struct leat_uv_member *member);
    void (*tell)(struct leat_uv_member *member);
    void (*close)(uv_handle_t *handle, uv_close_cb callback);
    struct leat_uv_loop *shared;
    struct leat_uv_member *next_report;
    bool telling;
};

struct leat_uv_receiver_s {
    uv_timer_t uv; /* public; the rest is not */
    struct leat_uv_member member;
    leat_receiver *channel;
    leat_uv_message_cb on_message;
    leat_uv_alloc_cb on_alloc;
    leat_uv_copy_cb on_copy;
    leat_uv_peer_cb on_peer;
    size_t held;
    unsigned budget;
    int event; /* that the program has not been told of */
    bool started, working, met, holds;
};

/* Opens the channel as its receiver and makes the handle. What leat_receiver_open refuses, and
 * UV_ENOMEM, UV_EMFILE. */
LEAT_API LEAT_CHECKED int leat_uv_receiver_open(uv_loop_t *loop, leat_uv_receiver_t *receiver,
                                                const char *name,
                                                const leat_channel_options *options);

/* The same with a channel that is open, and is the handle's from now on; unless this fails. */
LEAT_API LEAT_CHECKED int leat_uv_receiver_init(uv_loop_t *loop, leat_uv_receiver_t *receiver,
                                                leat_receiver *channel);

/* Starts to receive in place. on_peer may be NULL. UV_EALREADY when started, UV_EINVAL without
 * on_message or when closing, UV_EBUSY while messages are held. */
LEAT_API LEAT_CHECKED int leat_uv_receiver_start(leat_uv_receiver_t *receiver,
                                                 leat_uv_message_cb on_message,
                                                 leat_uv_peer_cb on_peer);

/* Starts to receive by copy, as uv_read_start does. */
LEAT_API LEAT_CHECKED int leat_uv_receiver_start_copy(leat_uv_receiver_t *receiver,
                                                      leat_uv_alloc_cb on_alloc,
                                                      leat_uv_copy_cb on_copy,
                                                      leat_uv_peer_cb on_peer);

/* Starts to receive in place and to *hold*: a message's memory stays valid, in later turns too,
 * until the program releases it. So it can be given to uv_write or uv_fs_write, and released in
 * that request's callback, without a copy. Others are handed over meanwhile, as many as the channel
 * has room for, with no other limit: then the sender waits. News of the sender comes after the
 * messages before it were handed over, released or not. What is not released when the process dies
 * or closes the handle is handed to its successor. As leat_uv_receiver_start, but also while
 * messages are held: then those behind them come next. */
LEAT_API LEAT_CHECKED int leat_uv_receiver_start_held(leat_uv_receiver_t *receiver,
                                                      leat_uv_message_cb on_message,
                                                      leat_uv_peer_cb on_peer);

/* Releases the oldest `count` of the messages that are held: in any callback, that of the message
 * itself included, and also while stopped. Wakes a sender that waits for room. UV_EINVAL when fewer
 * are held or when closing; UV_EIO, of which on_peer is told too, when the sender has changed them:
 * then none is released. */
LEAT_API LEAT_CHECKED int leat_uv_receiver_release(leat_uv_receiver_t *receiver, size_t count);

/* How many messages were handed over to be held and are not released. */
LEAT_API size_t leat_uv_receiver_held(const leat_uv_receiver_t *receiver);

/* No callback after this; what was not handed over stays in the channel, what is held stays held.
 * Nothing if it is not started. */
LEAT_API void leat_uv_receiver_stop(leat_uv_receiver_t *receiver);

/* How many messages at most are handed over before another channel of the loop has its turn: 1 to
 * 64 (else UV_EINVAL), at first 64. */
LEAT_API LEAT_CHECKED int leat_uv_receiver_set_budget(leat_uv_receiver_t *receiver,
                                                      unsigned messages);

/* The channel, to ask it questions, or to receive from it by calls while the handle is stopped and
 * holds nothing. */
LEAT_API leat_receiver *leat_uv_receiver_channel(const leat_uv_receiver_t *receiver);

/* Stops, leaves the channel, and calls `callback` (may be NULL) from the loop. The memory of
 * messages is gone when this returns (in a callback of the handle: when that returns), so nothing
 * may be reading it. What is held is not released. */
LEAT_API void leat_uv_receiver_close(leat_uv_receiver_t *receiver, uv_close_cb callback);

/* --- Sending ---------------------------------------------------------------------------------- */

/* 0: it is in the channel. UV_ECANCELED: the handle was closed before that. Else why it could not
 * be sent. */
typedef void (*leat_uv_send_cb)(leat_uv_send_t *request, int status);

/* There is room again, after leat_uv_try_send had said UV_EAGAIN; if that was while stopped, after
 * the next start. The receiver says so whenever an eighth of the ring has come free, and when it is
 * empty. It can have been taken by another of many senders, or be news that came instead: then the
 * next try says UV_EAGAIN, and there will be another callback. */
typedef void (*leat_uv_writable_cb)(leat_uv_sender_t *sender);

/* The receiver came, closed or died. status is 0: what makes a channel unusable is told by the
 * sends. */
typedef void (*leat_uv_sender_peer_cb)(leat_uv_sender_t *sender, leat_peer peer, int status);

struct leat_uv_send_s {
    void *data; /* public; the rest is not */
    leat_uv_sender_t *sender;
    leat_uv_send_cb callback;
    const void *message;
    size_t size;
    int status;
    leat_uv_send_t *next;
};

struct leat_uv_sender_s {
    uv_timer_t uv; /* public; the rest is not */
    struct leat_uv_member member;
    leat_sender *channel;
    uv_close_cb closed;
    leat_uv_writable_cb on_writable;
    leat_uv_sender_peer_cb on_peer;
    leat_uv_send_t *queue, **queue_end; /* not sent yet */
    leat_uv_send_t *done, **done_end;   /* to be told of */
    size_t queued, high_water;
    size_t wanted; /* while wants_room: what leat_uv_try_send had no room for */
    int event[2];  /* of the receiver, to be told of, in this order */
    bool started, wants_room, met, finishing;
};

/* Opens the channel as its sender and makes the handle. What leat_sender_open refuses, and
 * UV_ENOMEM, UV_EMFILE. */
LEAT_API LEAT_CHECKED int leat_uv_sender_open(uv_loop_t *loop, leat_uv_sender_t *sender,
                                              const char *name,
                                              const leat_channel_options *options);

/* The same with a channel that is open, and is the handle's from now on; unless this fails. */
LEAT_API LEAT_CHECKED int leat_uv_sender_init(uv_loop_t *loop, leat_uv_sender_t *sender,
                                              leat_sender *channel);

/* From now on tells of room and of the receiver, also of one that is there already; either may be
 * NULL. UV_EALREADY, UV_EINVAL when closing. Sending does not need it. */
LEAT_API LEAT_CHECKED int leat_uv_sender_start(leat_uv_sender_t *sender,
                                               leat_uv_writable_cb on_writable,
                                               leat_uv_sender_peer_cb on_peer);
LEAT_API void leat_uv_sender_stop(leat_uv_sender_t *sender);

/* Sends now, or not at all: UV_EAGAIN when there is no room or others are queued, UV_EMSGSIZE. */
LEAT_API LEAT_CHECKED int leat_uv_try_send(leat_uv_sender_t *sender, const void *message,
                                           size_t size);

/* Sends now or as soon as there is room, in order. The message's memory must stay as it is until
 * `callback` (may be NULL) is called. UV_ENOBUFS when the messages that are queued would pass the
 * high-water mark, UV_EMSGSIZE, UV_EINVAL when closing: then there is no callback. */
LEAT_API LEAT_CHECKED int leat_uv_send(leat_uv_send_t *request, leat_uv_sender_t *sender,
                                       const void *message, size_t size, leat_uv_send_cb callback);

/* Bytes that are queued, and at how many more are refused: at first, and for 0, never. */
LEAT_API size_t leat_uv_sender_queue_size(const leat_uv_sender_t *sender);
LEAT_API void leat_uv_sender_set_high_water(leat_uv_sender_t *sender, size_t bytes);

/* The channel, to ask it questions. */
LEAT_API leat_sender *leat_uv_sender_channel(const leat_uv_sender_t *sender);

/* Closes at once; what is queued is cancelled. */
LEAT_API void leat_uv_sender_close(leat_uv_sender_t *sender, uv_close_cb callback);

/* Closes once what is queued has been sent, or can not be because the receiver has gone: that is
 * cancelled. */
LEAT_API void leat_uv_sender_finish(leat_uv_sender_t *sender, uv_close_cb callback);

/* --- Waiting for events, semaphores and mutexes ----------------------------------------------- */

/* It has been taken, as by leat_wait: the event's signal, one of the semaphore's count, the mutex.
 * status is one of leat's codes: LEAT_OK; LEAT_EOWNERDEAD, taken as well; LEAT_ELOST, not taken,
 * and the handle is stopped. */
typedef void (*leat_uv_taken_cb)(leat_uv_waiter_t *waiter, int status);

struct leat_uv_waiter_s {
    uv_timer_t uv; /* public; the rest is not */
    struct leat_uv_member member;
    leat_waitable *object;
    leat_uv_taken_cb on_taken;
    bool started, once;
};

/* Makes a handle for an object that is open, and stays the program's: close the handle first. */
LEAT_API LEAT_CHECKED int leat_uv_waiter_init(uv_loop_t *loop, leat_uv_waiter_t *waiter,
                                              leat_waitable *object);

/* Takes it whenever it can be had, and calls back each time, in turn with the loop's other
 * channels. A mutex is taken once, and an event that is reset by hand, which would be there again
 * at once, is told of once: the handle is stopped before the callback. UV_EALREADY, UV_EINVAL when
 * closing, UV_EBUSY when 64 loops wait for it. */
LEAT_API LEAT_CHECKED int leat_uv_waiter_start(leat_uv_waiter_t *waiter, leat_uv_taken_cb on_taken);
LEAT_API void leat_uv_waiter_stop(leat_uv_waiter_t *waiter);
LEAT_API void leat_uv_waiter_close(leat_uv_waiter_t *waiter, uv_close_cb callback);

#ifdef __cplusplus
}
#endif
#endif
