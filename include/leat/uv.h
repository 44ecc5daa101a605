/* leat/uv.h - channels, events, semaphores and mutexes in libuv loops.
 *
 *     leat_uv_receiver_t receiver;
 *     leat_uv_receiver_open(loop, &receiver, "telemetry", NULL);
 *     leat_uv_receiver_start(&receiver, on_message, on_peer);
 *     uv_run(loop, UV_RUN_DEFAULT);
 *
 *     void on_message(leat_uv_receiver_t *receiver, const leat_message *message) { ... }
 *
 * A library of its own: link leat_uv and leat. It works with libuv 1.44 and later.
 *
 * Handles. A leat_uv_handle_t works as a uv_handle_t does, and is not one. Each kind of handle has
 * it as its member `handle`. The program provides the memory of handles and requests. A handle's
 * memory is in use from init or open until its close callback, a request's until its callback.
 *
 * Active and referenced. A handle is active between start and stop; a sender also while requests
 * are queued. uv_run continues while a handle is active and referenced. leat_uv_ref and
 * leat_uv_unref are for leat's handles what uv_ref and uv_unref are for libuv's.
 *
 * Results. A function that can fail returns 0 or a negative UV_ code; statuses that callbacks get
 * are of the same kind. After a failed call leat_error_last returns leat's own code and
 * leat_error_detail the details.
 *
 * Callbacks come from uv_run, never from inside a function that the program calls. (leat_uv_close
 * has the one exception.) All functions may be called in callbacks; a handle may be closed in its
 * own callback.
 *
 * Cost. A loop polls two descriptors for all its channels together (leat/waitset.h). An idle
 * channel costs nothing. When channels are ready, the loop works on them in turn for about 200
 * microseconds; then timers and other handles are served. How a channel waits is its option
 * spin_us. By default the loop polls on after a message, without sleeping, for as long as that has
 * spared sleeps lately and at most 50 microseconds. With LEAT_SPIN_NONE it sleeps at once.
 *
 * Blocking. Opening and closing make system calls. They wait, for up to a second, while another
 * process is stopped in the middle of opening or closing the same channel. Nothing else blocks.
 *
 * Threads. As in libuv: a loop and its handles belong to one thread. Fork: not supported
 * (uv_loop_fork).
 *
 * The end of a program. Close leat's handles with leat_uv_close, and libuv's with uv_close:
 *
 *     leat_uv_walk(loop, close_leat, NULL);     calls leat_uv_close(handle, NULL)
 *     uv_walk(loop, close_uv, NULL);            calls uv_close(handle, NULL), unless uv_is_closing
 *     uv_run(loop, UV_RUN_DEFAULT);
 *     uv_loop_close(loop);
 *
 * libuv's handles inside leat_uv. While a loop has leat handles, uv_walk also meets two uv_poll_t
 * and one uv_idle_t that leat_uv allocated, and those that it is closing. Their `data` is private.
 * The program may close the three with uv_close; it must not free them. This cuts the loop's leat
 * handles off: they are inactive; a turn that is running ends after the current handle's batch of
 * at most 64 messages; then nothing is called back before leat_uv_close. Functions that start or
 * send return UV_EINVAL. leat_uv_close is still needed for each handle, and may be called before,
 * after or in the callbacks of uv_close, and after uv_loop_close. When it has closed the last leat
 * handle, the three may be gone: a close callback must not use its uv_handle_t after that. Leat
 * handles that are made later in the same loop work.
 *
 * Growth. The structures have a reserve, so that later versions of leat_uv can add members without
 * changing the size: compiled programs stay compatible. Programs do not touch the reserve.
 */
#ifndef LEAT_UV_H
#define LEAT_UV_H

#include <uv.h>

#include "leat/channel.h"
#include "leat/sync.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct leat_uv_handle_s leat_uv_handle_t;
typedef struct leat_uv_receiver_s leat_uv_receiver_t;
typedef struct leat_uv_sender_s leat_uv_sender_t;
typedef struct leat_uv_send_s leat_uv_send_t;
typedef struct leat_uv_waiter_s leat_uv_waiter_t;

/* Converts one of leat's codes to a UV_ code: LEAT_EAGAIN to UV_EAGAIN, LEAT_ECLOSED to UV_EOF,
 * LEAT_EPEERDIED to UV_ECONNRESET, and so on. Several of leat's codes share a UV_ code.
 * Returns 0 for LEAT_OK, UV_UNKNOWN for LEAT_ESYSTEM and for what is no code.
 * If a function failed with a code other than leat_uv_error(leat_error_last()), libuv failed. */
LEAT_API int leat_uv_error(int leat_code);

/* --- Every handle ----------------------------------------------------------------------------- */

struct leat_uv_handle_s {
    void *data;                    /* the program's; leat_uv never changes it */
    uv_loop_t *loop;               /* read-only */
    struct leat_uv_member *member; /* private */
    void *reserved[4];
};

typedef void (*leat_uv_close_cb)(leat_uv_handle_t *handle);
typedef void (*leat_uv_walk_cb)(leat_uv_handle_t *handle, void *context);

/* Closes the handle of a receiver, a sender or a waiter, and stops it first. Then the loop calls
 * `callback` (may be NULL); from there on the memory is the program's again.
 * Receivers: the memory of messages becomes invalid when this returns, or, in a callback of the
 * handle, when that callback returns. Held messages are not released.
 * Senders: what is queued is cancelled; its callbacks precede `callback`.
 * Waiters: the object stays open, and is the program's to close.
 * Does nothing if the handle is closing or closed, or if its init or open failed.
 * Exception: if the program has closed libuv's handles inside leat_uv, and libuv is done with them,
 * the loop may be gone. Then the callbacks are called before this returns. */
LEAT_API void leat_uv_close(leat_uv_handle_t *handle, leat_uv_close_cb callback);

/* Returns 1 from leat_uv_close on, and if init or open failed. Else 0. */
LEAT_API int leat_uv_is_closing(const leat_uv_handle_t *handle);

/* Returns 1 between start and stop, and for a sender with queued requests. Else 0. */
LEAT_API int leat_uv_is_active(const leat_uv_handle_t *handle);

/* An active handle keeps uv_run going if it is referenced, as handles are from the beginning. Both
 * may be repeated: the last call counts. */
LEAT_API void leat_uv_ref(leat_uv_handle_t *handle);
LEAT_API void leat_uv_unref(leat_uv_handle_t *handle);
LEAT_API int leat_uv_has_ref(const leat_uv_handle_t *handle);

/* Calls `callback` for each of the loop's leat handles that is not closing, before it returns. The
 * callback may open and close handles, but not call leat_uv_walk. */
LEAT_API void leat_uv_walk(uv_loop_t *loop, leat_uv_walk_cb callback, void *context);

/* --- Receiving -------------------------------------------------------------------------------- */

/* Gets a message in place: its bytes are in the channel, and valid until the callback returns. Then
 * the message is released. With leat_uv_receiver_start_held it is valid until it is released by
 * leat_uv_receiver_release. */
typedef void (*leat_uv_message_cb)(leat_uv_receiver_t *receiver, const leat_message *message);

/* Provides memory for a message of `size` bytes. Without memory, leave base NULL: then the copy
 * callback gets UV_ENOBUFS. */
typedef void (*leat_uv_alloc_cb)(leat_uv_receiver_t *receiver, size_t size, uv_buf_t *buffer);

/* Gets a copy of a message of `size` bytes, in the memory from the alloc callback, which is the
 * program's again. size is UV_ENOBUFS if there was no memory, or too little: then the message is
 * still in the channel, and the receiver is stopped. */
typedef void (*leat_uv_copy_cb)(leat_uv_receiver_t *receiver, ssize_t size, const uv_buf_t *buffer);

/* Reports that a sender came (LEAT_PEER_PRESENT), closed or died, in order with its messages;
 * status is 0. Each close or death is preceded by a coming. An event that finds the receiver
 * stopped is reported first after the next start.
 * status other than 0: the channel is unusable, and the receiver is stopped. UV_EIO: the sender
 * wrote what no correct sender writes. */
typedef void (*leat_uv_peer_cb)(leat_uv_receiver_t *receiver, leat_peer peer, int status);

struct leat_uv_receiver_s {
    leat_uv_handle_t handle;
};

/* Opens the channel `name` as its receiver, and makes the handle.
 * Errors: those of leat_receiver_open, converted; UV_ENOMEM, UV_EMFILE. */
LEAT_API LEAT_CHECKED int leat_uv_receiver_open(uv_loop_t *loop, leat_uv_receiver_t *receiver,
                                                const char *name,
                                                const leat_channel_options *options);

/* Makes the handle for a channel that is open. On success leat_uv_close closes the channel; on
 * failure it stays the program's. Errors: UV_EINVAL, UV_ENOMEM, UV_EMFILE. */
LEAT_API LEAT_CHECKED int leat_uv_receiver_init(uv_loop_t *loop, leat_uv_receiver_t *receiver,
                                                leat_receiver *channel);

/* Starts to receive in place. on_peer may be NULL.
 * Errors: UV_EALREADY when started; UV_EINVAL without on_message or when closing; UV_EBUSY while
 * messages are held. */
LEAT_API LEAT_CHECKED int leat_uv_receiver_start(leat_uv_receiver_t *receiver,
                                                 leat_uv_message_cb on_message,
                                                 leat_uv_peer_cb on_peer);

/* Starts to receive by copy, as uv_read_start does. on_peer may be NULL.
 * Errors: as leat_uv_receiver_start. */
LEAT_API LEAT_CHECKED int leat_uv_receiver_start_copy(leat_uv_receiver_t *receiver,
                                                      leat_uv_alloc_cb on_alloc,
                                                      leat_uv_copy_cb on_copy,
                                                      leat_uv_peer_cb on_peer);

/* Starts to receive in place and to *hold*: a message stays valid until the program releases it,
 * also after its callback. So uv_write or uv_fs_write can write it without a copy, and the
 * request's callback releases it.
 * Meanwhile further messages arrive, as many as the channel has room for; then the sender waits.
 * Events of the sender are reported when the messages before them were delivered, released or not.
 * If the process dies, or closes the handle, its successor receives what was not released.
 * Errors: as leat_uv_receiver_start, but it may be called while messages are held. The messages
 * behind them come next. */
LEAT_API LEAT_CHECKED int leat_uv_receiver_start_held(leat_uv_receiver_t *receiver,
                                                      leat_uv_message_cb on_message,
                                                      leat_uv_peer_cb on_peer);

/* Releases the oldest `count` held messages, and wakes a sender that waits for room. May be called
 * in the message's own callback, and while stopped.
 * Errors: UV_EINVAL when fewer are held or when closing; UV_EIO when the sender has changed them:
 * then none is released, and on_peer gets UV_EIO too. */
LEAT_API LEAT_CHECKED int leat_uv_receiver_release(leat_uv_receiver_t *receiver, size_t count);

/* Returns the number of messages that are held; 0 when closing. */
LEAT_API size_t leat_uv_receiver_held(const leat_uv_receiver_t *receiver);

/* Stops receiving: no callback after this. Messages that were not delivered stay in the channel,
 * held messages stay held. Does nothing if the receiver is not started. */
LEAT_API void leat_uv_receiver_stop(leat_uv_receiver_t *receiver);

/* Sets how many messages are delivered before another channel of the loop has its turn: 1 to 64, at
 * first 64. Errors: UV_EINVAL. */
LEAT_API LEAT_CHECKED int leat_uv_receiver_set_budget(leat_uv_receiver_t *receiver,
                                                      unsigned messages);

/* Returns the channel, for queries; while the handle is stopped and holds nothing, also for
 * receiving by calls. NULL when closing. */
LEAT_API leat_receiver *leat_uv_receiver_channel(const leat_uv_receiver_t *receiver);

/* --- Sending ---------------------------------------------------------------------------------- */

/* Reports the end of a request. status 0: the message is in the channel. UV_ECANCELED: the handle
 * was closed first. Else the reason why it could not be sent. */
typedef void (*leat_uv_send_cb)(leat_uv_send_t *request, int status);

/* Reports that there is room again, after leat_uv_try_send returned UV_EAGAIN. If the sender was
 * stopped meanwhile, this is reported after the next start.
 * The receiver makes room known when an eighth of the channel has become free, and when the channel
 * is empty. With many senders, another one may have taken the room. Then the next leat_uv_try_send
 * returns UV_EAGAIN, and another callback follows. */
typedef void (*leat_uv_writable_cb)(leat_uv_sender_t *sender);

/* Reports that the receiver came, closed or died. status is 0: errors of the channel are reported
 * by the sends. */
typedef void (*leat_uv_sender_peer_cb)(leat_uv_sender_t *sender, leat_peer peer, int status);

struct leat_uv_send_s {
    void *data;               /* the program's */
    leat_uv_sender_t *sender; /* read-only */
    leat_uv_send_cb callback; /* private, as all that follows */
    const void *message;
    size_t size;
    int status;
    leat_uv_send_t *next;
    void *reserved[4];
};

struct leat_uv_sender_s {
    leat_uv_handle_t handle;
};

/* Opens the channel `name` as its sender, and makes the handle.
 * Errors: those of leat_sender_open, converted; UV_ENOMEM, UV_EMFILE. */
LEAT_API LEAT_CHECKED int leat_uv_sender_open(uv_loop_t *loop, leat_uv_sender_t *sender,
                                              const char *name,
                                              const leat_channel_options *options);

/* Makes the handle for a channel that is open. On success leat_uv_close closes the channel; on
 * failure it stays the program's. Errors: UV_EINVAL, UV_ENOMEM, UV_EMFILE; UV_EALREADY when the
 * channel is in a wait set. */
LEAT_API LEAT_CHECKED int leat_uv_sender_init(uv_loop_t *loop, leat_uv_sender_t *sender,
                                              leat_sender *channel);

/* Starts to report room and the receiver; a receiver that is there already is reported too. Either
 * callback may be NULL. Sending does not need this.
 * Errors: UV_EALREADY when started; UV_EINVAL when closing. */
LEAT_API LEAT_CHECKED int leat_uv_sender_start(leat_uv_sender_t *sender,
                                               leat_uv_writable_cb on_writable,
                                               leat_uv_sender_peer_cb on_peer);

/* Stops the reports. Requests that are queued are sent nevertheless. */
LEAT_API void leat_uv_sender_stop(leat_uv_sender_t *sender);

/* Sends a message of `size` bytes now, or not at all.
 * Errors: UV_EAGAIN when there is no room or requests are queued; UV_EMSGSIZE; UV_EINVAL when
 * closing. */
LEAT_API LEAT_CHECKED int leat_uv_try_send(leat_uv_sender_t *sender, const void *message,
                                           size_t size);

/* Sends a message of `size` bytes now, or as soon as there is room; requests are sent in order. The
 * message's memory must stay unchanged until `callback` (may be NULL).
 * Errors, without a callback: UV_ENOBUFS when requests are queued and this one would exceed the
 * high-water mark; UV_EMSGSIZE; UV_EINVAL when closing. */
LEAT_API LEAT_CHECKED int leat_uv_send(leat_uv_send_t *request, leat_uv_sender_t *sender,
                                       const void *message, size_t size, leat_uv_send_cb callback);

/* Returns the number of bytes that are queued. */
LEAT_API size_t leat_uv_sender_queue_size(const leat_uv_sender_t *sender);

/* Sets the high-water mark, in bytes: the most that leat_uv_send queues. 0, as at first: no
 * limit. */
LEAT_API void leat_uv_sender_set_high_water(leat_uv_sender_t *sender, size_t bytes);

/* Returns the channel, for queries. NULL when closing. */
LEAT_API leat_sender *leat_uv_sender_channel(const leat_uv_sender_t *sender);

/* Closes the handle, as leat_uv_close does, when everything that is queued has been sent. If the
 * receiver closes or dies first, what is queued is cancelled. leat_uv_close ends the wait. */
LEAT_API void leat_uv_sender_finish(leat_uv_sender_t *sender, leat_uv_close_cb callback);

/* --- Waiting for events, semaphores and mutexes ----------------------------------------------- */

/* Reports that the object was taken, as by leat_wait: the event's signal, one of the semaphore's
 * count, or the mutex. status 0: taken. UV_ECONNRESET: a mutex was taken whose owner died
 * (LEAT_EOWNERDEAD). Else it was not taken, and the waiter is stopped; UV_EIO: what a mutex
 * protects was given up as lost (LEAT_ELOST). */
typedef void (*leat_uv_taken_cb)(leat_uv_waiter_t *waiter, int status);

struct leat_uv_waiter_s {
    leat_uv_handle_t handle;
};

/* Makes the handle for an object that is open. The object stays the program's, which closes it
 * after the handle. Errors: UV_EINVAL, UV_ENOMEM, UV_EMFILE. */
LEAT_API LEAT_CHECKED int leat_uv_waiter_init(uv_loop_t *loop, leat_uv_waiter_t *waiter,
                                              leat_waitable *object);

/* Takes the object each time that this is possible, and calls back each time, in turn with the
 * loop's other handles. A mutex and a manual-reset event are taken once: the waiter is stopped
 * before the callback.
 * Errors: UV_EALREADY when started; UV_EINVAL when closing; UV_EBUSY when 64 loops wait for the
 * object. */
LEAT_API LEAT_CHECKED int leat_uv_waiter_start(leat_uv_waiter_t *waiter, leat_uv_taken_cb on_taken);

/* Stops waiting: no callback after this. Does nothing if the waiter is not started. */
LEAT_API void leat_uv_waiter_stop(leat_uv_waiter_t *waiter);

#ifdef __cplusplus
}
#endif
#endif
