/* leat/channel.h - messages from one process to another through shared memory.
 *
 * A channel is a named queue in shared memory. One handle opens it as a sender, another one as a
 * receiver, in any order, in any two processes or threads. Every message is received once, whole,
 * and in the order of sending. A send or receive that neither waits nor wakes its peer takes a few
 * dozen instructions and no system call. A call that has to wait polls for a short time and then
 * sleeps.
 *
 *     leat_sender *tx;
 *     if (leat_sender_open(&tx, "telemetry", NULL) != LEAT_OK)
 *         ...
 *     leat_send(tx, &frame, sizeof frame, LEAT_FOREVER);
 *     ...
 *     leat_sender_close(tx);
 *
 *     leat_receiver *rx;
 *     if (leat_receiver_open(&rx, "telemetry", NULL) != LEAT_OK)
 *         ...
 *     while (leat_recv(rx, buffer, sizeof buffer, &size, LEAT_FOREVER) == LEAT_OK)
 *         ...
 *     leat_receiver_close(rx);
 *
 * Caveats
 *   - A channel is removed when its last user closes it or dies, and its undelivered messages with
 *     it. A sender whose last messages matter calls leat_sender_drain before it closes, or uses a
 *     channel that was created persistent.
 *   - A channel has one sender and one receiver at a time; a second open is LEAT_EBUSY. Several
 *     senders are possible if each of them sets `many_senders`.
 *   - The largest message, leat_sender_max_message, is a bit less than half the capacity.
 *   - leat_peek returns memory that the sender's process can still write to. With an untrusted
 *     sender, use leat_recv and validate the copy.
 *   - A message that leat_recv has returned is out of the channel: if the receiver then dies, it is
 *     lost with it. A receiver that must not lose messages uses leat_peek, and leat_release when it
 *     has processed them; after a death its successor may process a message again.
 *   - Of many senders, one that is stopped in the middle of sending, or that holds a reservation,
 *     keeps the others waiting until it continues or dies.
 *   - Any process that may open the channel can fill it, empty it or close it
 *     (docs/failure-model.md).
 *
 * Deadlines, scopes and modes are explained in leat/base.h; names, permissions and lifetimes in
 * leat/object.h; errors in leat/error.h.
 *
 * Events report that the peer closed, died or came back. (They have nothing to do with leat_event.)
 *   LEAT_ECLOSED    the peer closed its handle
 *   LEAT_EPEERDIED  the peer's process ended without closing
 *   LEAT_EPEERBACK  after one of these: a new peer has opened the channel
 * With many senders, the receiver gets an event when the last of them closes or dies, and when the
 * first one opens again. The first arrival of a peer is not an event: see leat_sender_wait_peer.
 *
 * A waiting receiver gets an event within 100 ms, after all messages that were sent before it. So
 * between the messages of a sender and those of its successor there is the event that ended the
 * former. A receiver that restarts begins with the first message that its predecessor did not
 * release, and gets the events that its predecessor did not reach.
 *
 * A sender gets no event while there is room: its messages are queued for the next receiver. It
 * gets the event, within 100 ms, when it waits for room or in leat_sender_drain, or at any time
 * from leat_sender_peer_event.
 *
 * Each event is returned once (again after leat_unpeek); the next call waits on. A call with
 * LEAT_NOW also returns events, up to 100 ms late. Neither spin_us nor the number of senders delays
 * events. If the system does not answer whether the peer lives, the call asks again: a failed
 * question is never taken for a death.
 *
 * Memory order. Sending a message happens before receiving it, also for other shared memory that
 * was written before the send. Releasing a message happens before the sender uses its room again.
 *
 * Cancellation. A call is a cancellation point while it waits (deferred cancellation, within 100
 * ms), and not otherwise. A cancelled call has sent and received nothing (leat_send_many: *sent
 * messages) and holds no lock. The handle stays usable: a cleanup handler may use it or close it.
 *
 * Threads. A handle belongs to one thread at a time, also for closing it. Different handles are
 * independent. Fork: with a parent's handle, every function that returns a code returns
 * LEAT_EFORKED in the child. The child does not keep the handles open; it closes them to free
 * their memory. Signals: no function may be called from a signal handler. A wait continues after a
 * signal unless `interruptible` is set. Progress: with one sender and one receiver, calls that do
 * not wait for the peer are wait-free. Many senders share a lock that survives the death of its
 * holder. Batching: if several receive calls in a row found a single message each, one that finds
 * none may pause for 1.6 microseconds, also with LEAT_NOW, so that several messages gather; not
 * with LEAT_SPIN_NONE.
 */
#ifndef LEAT_CHANNEL_H
#define LEAT_CHANNEL_H

#include "leat/object.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct leat_sender leat_sender;
typedef struct leat_receiver leat_receiver;

#define LEAT_CAPACITY_DEFAULT ((uint64_t)256 << 10)
#define LEAT_CAPACITY_MIN ((uint64_t)4 << 10)
#define LEAT_CAPACITY_MAX ((uint64_t)4 << 30)

/* leat_channel_options.spin_us: how a handle waits, in calls and in event loops (leat/waitset.h).
 * A positive value is the longest time, in microseconds, for which a wait polls before the thread
 * sleeps; 0 is the default, 50. Within that limit the time adapts: it grows while polling avoids
 * sleeps and shrinks while it does not. An event loop does not block during that time: it keeps
 * turning, and polls the channel once in each turn. The peer needs no matching setting. */
#define LEAT_SPIN_NONE (-1) /* sleep at once: least processor time; the peer has to wake it */
/* Never sleep, and yield the processor to other threads between polls. In a loop the same as
 * LEAT_SPIN_FOREVER. */
#define LEAT_SPIN_YIELD (-2)
#define LEAT_SPIN_FOREVER (-3) /* never sleep: lowest latency; occupies a processor */

/* All zero is a sensible default: local scope, opened or created, 256 KiB, one sender, removed with
 * its last user, accessible to this user id alone, spinning at most 50 us before it sleeps. An
 * existing channel keeps what applies when it is created. */
typedef struct leat_channel_options {
    leat_scope scope;
    leat_mode mode;
    /* When created: the ring's size in bytes, rounded up to a power of two and to
     * LEAT_CAPACITY_MIN. 0: LEAT_CAPACITY_DEFAULT. Above LEAT_CAPACITY_MAX: LEAT_EINVAL. */
    uint64_t capacity;
    bool many_senders; /* senders: share the role with other senders that set this */
    bool persistent;   /* when created: stays, with its backlog, until leat_unlink */
    /* A wait returns LEAT_EINTR when a signal handler interrupts its sleep. A handler that runs
     * while the call does not sleep goes unnoticed: so wait with short deadlines, and check a flag
     * of your own each time the call returns. Without effect on handles that never sleep. */
    bool interruptible;
    int32_t spin_us; /* microseconds, 0, or a LEAT_SPIN_ constant; below them: LEAT_EINVAL */
    /* When created: rwxrwxrwx bits. 0: 0600. Both roles need read and write permission, so a class
     * of users (owner, group, others) without w gets no r either (leat/object.h). */
    uint32_t permissions;
    uint64_t reserved[4]; /* zero */
} leat_channel_options;

/* A message in memory: an argument of leat_send_many, a result of the receive calls. */
typedef struct leat_message {
    const void *data; /* 8-byte aligned when received in place */
    size_t size;      /* bytes, 0 is allowed */
} leat_message;

typedef enum leat_peer {
    LEAT_PEER_NONE = 0,    /* none has opened the channel yet */
    LEAT_PEER_PRESENT = 1, /* it has the channel open; its process may be stopped */
    LEAT_PEER_CLOSED = 2,  /* the last one closed its handle */
    LEAT_PEER_DIED = 3,    /* the last one's process ended without closing */
    LEAT_PEER_UNKNOWN = 4, /* the system did not answer: ask again */
} leat_peer;

/* Counters of one role since the channel was created, across restarts. A handle updates them when
 * it waits, at least once for every eighth of the ring, and when it closes; a sender also when it
 * wakes its peer. After a kill they lack what came since. */
typedef struct leat_statistics {
    uint64_t messages;
    uint64_t bytes;            /* of payload */
    uint64_t stalls;           /* calls that found the ring full (sender) or empty (receiver) */
    uint64_t sleeps;           /* stalls in which the thread had to sleep */
    uint64_t wake_calls;       /* system calls made to wake the peer */
    uint64_t wake_calls_saved; /* sender: messages after which the peer needed no wake-up */
    /* The largest number of occupied bytes that the role has seen. It looks at every stall and
     * after every eighth of the ring. */
    uint64_t high_water_bytes;
    uint64_t wakes; /* sleeps, of a thread or a loop, that the peer ended; 0: none was measured */
    /* The sum, over `wakes`, of the nanoseconds from the peer's wake-up until the woken thread ran.
     * It includes the peer's system call, the scheduling delay and, in a loop, the work before
     * leat_waitset_next. The mean is wake_ns / wakes. */
    uint64_t wake_ns;
    uint64_t reserved[4]; /* zero */
} leat_statistics;

/* --- Sending ---------------------------------------------------------------------------------- */

/* Opens the channel as a sender; options may be NULL. An existing channel keeps its capacity.
 * Returns LEAT_OK; LEAT_EBUSY if the channel has a sender and the two do not both ask for
 * many_senders; LEAT_ENOENT or LEAT_EEXIST depending on options->mode; LEAT_EKIND, LEAT_ENAME,
 * LEAT_ENOSPC, LEAT_EACCES, LEAT_EUNTRUSTED, LEAT_EVERSION, LEAT_ECORRUPT, LEAT_EINVAL,
 * LEAT_ENOMEM, LEAT_ELIMIT. */
LEAT_API LEAT_CHECKED int leat_sender_open(leat_sender **sender, const char *name,
                                           const leat_channel_options *options);

/* Closes the sender and aborts its reservation; does not wait for the receiver. The receiver gets
 * LEAT_ECLOSED after the backlog, which stays in the channel while any handle is open. NULL is
 * allowed. */
LEAT_API void leat_sender_close(leat_sender *sender);

/* Sends a message of size bytes; data may be NULL if size is 0. Waits for room until the deadline.
 * (The receiver wakes the sender for every eighth of the ring that becomes free, and when the ring
 * is empty.)
 * Returns LEAT_OK; LEAT_EAGAIN (deadline LEAT_NOW) or LEAT_ETIMEDOUT if there is no room;
 * LEAT_EMSGSIZE if the message can never fit; an event while it waits for room: LEAT_ECLOSED,
 * LEAT_EPEERDIED, LEAT_EPEERBACK; LEAT_EINTR; LEAT_ESTATE during a reservation. Unless it returns
 * LEAT_OK, nothing was sent. */
LEAT_API LEAT_CHECKED int leat_send(leat_sender *sender, const void *data, size_t size,
                                    uint64_t deadline_ns);

/* Sends several messages, cheaper than single calls. As many of them as fit into the ring become
 * visible to the receiver at once, and it is woken at most once for each such group. *sent is the
 * number of messages sent, also on failure. Returns as leat_send. */
LEAT_API LEAT_CHECKED int leat_send_many(leat_sender *sender, const leat_message *messages,
                                         size_t count, size_t *sent, uint64_t deadline_ns);

/* Sending in place, first step: reserves room for a message of up to size bytes and returns its
 * address, 8-byte aligned, in *data. The caller writes the message there and calls leat_commit or
 * leat_abort. A sender has one reservation at a time; with many senders, the other senders wait
 * until it ends. Returns as leat_send. */
LEAT_API LEAT_CHECKED int leat_reserve(leat_sender *sender, size_t size, void **data,
                                       uint64_t deadline_ns);

/* Second step: sends the first size bytes of the reservation. Never waits. Returns LEAT_OK;
 * LEAT_EINVAL if size is more than was reserved (the reservation stays); LEAT_ESTATE without a
 * reservation. */
LEAT_API LEAT_CHECKED int leat_commit(leat_sender *sender, size_t size);

/* Drops the reservation, if there is one. The receiver sees nothing of it. */
LEAT_API void leat_abort(leat_sender *sender);

/* Wakes the receiver if it sleeps. Only leat/inline.h needs it: the functions that send wake the
 * receiver themselves. */
LEAT_API void leat_sender_wake(leat_sender *sender);

/* Waits until a receiver has released every message that this handle sent. Returns LEAT_OK; an
 * event if the receiver closes or dies before that (its successor can still receive the rest):
 * LEAT_ECLOSED, LEAT_EPEERDIED, LEAT_EPEERBACK; LEAT_ETIMEDOUT, LEAT_EAGAIN, LEAT_EINTR. */
LEAT_API LEAT_CHECKED int leat_sender_drain(leat_sender *sender, uint64_t deadline_ns);

/* Waits until a receiver has the channel open. Returns LEAT_OK (at once if it has); LEAT_ETIMEDOUT,
 * LEAT_EAGAIN, LEAT_EINTR. */
LEAT_API LEAT_CHECKED int leat_sender_wait_peer(leat_sender *sender, uint64_t deadline_ns);

/* Returns the receiver's event that a waiting leat_send would return, once: LEAT_ECLOSED,
 * LEAT_EPEERDIED, LEAT_EPEERBACK; or LEAT_OK if there is none. Never waits; costs a system call. */
LEAT_API LEAT_CHECKED int leat_sender_peer_event(leat_sender *sender);

/* Whether a receiver has the channel open, by the kernel's answer; costs a system call. */
LEAT_API leat_peer leat_sender_peer(const leat_sender *sender);

/* The largest message in bytes: capacity / 2 - 72. */
LEAT_API size_t leat_sender_max_message(const leat_sender *sender);

/* The counters of all senders of the channel so far: exact for this handle, as of their last update
 * for others (see leat_statistics). */
LEAT_API void leat_sender_statistics(const leat_sender *sender, leat_statistics *statistics);

/* --- Receiving -------------------------------------------------------------------------------- */

/* Opens the channel as its receiver; options may be NULL. Returns LEAT_EBUSY if it has a receiver;
 * otherwise as leat_sender_open. */
LEAT_API LEAT_CHECKED int leat_receiver_open(leat_receiver **receiver, const char *name,
                                             const leat_channel_options *options);

/* Closes the receiver. Messages that were not released stay in the channel for the next receiver.
 * NULL is allowed. */
LEAT_API void leat_receiver_close(leat_receiver *receiver);

/* Receives a message by copy: *size bytes into buffer. Waits for it until the deadline.
 * Returns LEAT_OK; LEAT_EMSGSIZE if it is larger than `capacity` bytes: *size is its size, and it
 * stays in the channel; LEAT_EAGAIN (deadline LEAT_NOW), LEAT_ETIMEDOUT; LEAT_ECLOSED,
 * LEAT_EPEERDIED, LEAT_EPEERBACK; LEAT_EINTR; LEAT_ESTATE while peeked messages are not released;
 * LEAT_ECORRUPT if a sender wrote what no correct sender writes: then every further receive call
 * returns it, and the channel is usable again only after leat_unlink, under a new open. */
LEAT_API LEAT_CHECKED int leat_recv(leat_receiver *receiver, void *buffer, size_t capacity,
                                    size_t *size, uint64_t deadline_ns);

/* Receives, by copy, as many whole messages as are there and fit, at most max; waits only for the
 * first. The messages lie in the buffer one after another, each padded to 8 bytes;
 * messages[i] has the address and the size of message i. *count is at least 1 on LEAT_OK. On
 * LEAT_EMSGSIZE messages[0].size is the size of the first message. Otherwise returns as
 * leat_recv. */
LEAT_API LEAT_CHECKED int leat_recv_many(leat_receiver *receiver, void *buffer, size_t capacity,
                                         leat_message *messages, size_t max, size_t *count,
                                         uint64_t deadline_ns);

/* Receiving in place: returns the oldest message that was not released, without a copy. Its memory
 * is valid, and it stays in the channel, until leat_release; another leat_peek returns it again.
 * Returns as leat_recv. */
LEAT_API LEAT_CHECKED int leat_peek(leat_receiver *receiver, leat_message *message,
                                    uint64_t deadline_ns);

/* leat_peek for as many messages as are there, at most max; waits only for the first. */
LEAT_API LEAT_CHECKED int leat_peek_many(leat_receiver *receiver, leat_message *messages,
                                         size_t max, size_t *count, uint64_t deadline_ns);

/* Returns the messages behind those already peeked, as many as are there, at most max; waits only
 * for the first. All of them stay valid and in the channel until they are released; the channel's
 * room is the only limit. A call returns the messages before an event, and the next call returns
 * the event. A wait set reports the channel when messages come behind the peeked ones. leat_peek
 * and leat_peek_many begin with the oldest message again. Returns as leat_recv. */
LEAT_API LEAT_CHECKED int leat_peek_more(leat_receiver *receiver, leat_message *messages,
                                         size_t max, size_t *count, uint64_t deadline_ns);

/* Releases the oldest `count` peeked messages: they are delivered, and the sender can reuse their
 * memory. Returns LEAT_OK; LEAT_ESTATE if fewer are peeked; LEAT_ECORRUPT if the sender changed
 * their headers (none is released). */
LEAT_API LEAT_CHECKED int leat_release(leat_receiver *receiver, size_t count);

/* Forgets what was peeked and not released: it stays in the channel and can be received in any way.
 * Events between the messages of leat_peek_more are returned again. */
LEAT_API void leat_unpeek(leat_receiver *receiver);

/* Waits until a sender has the channel open, or a message is there. Returns LEAT_OK (at once if
 * so); LEAT_ETIMEDOUT, LEAT_EAGAIN, LEAT_EINTR. */
LEAT_API LEAT_CHECKED int leat_receiver_wait_peer(leat_receiver *receiver, uint64_t deadline_ns);

/* Whether a sender has the channel open, by the kernel's answer; costs a system call. */
LEAT_API leat_peer leat_receiver_peer(const leat_receiver *receiver);

/* The largest message that can arrive, in bytes. */
LEAT_API size_t leat_receiver_max_message(const leat_receiver *receiver);

/* The counters of all receivers of the channel so far, up to this handle's last message. */
LEAT_API void leat_receiver_statistics(const leat_receiver *receiver, leat_statistics *statistics);

/* --- State ------------------------------------------------------------------------------------ */

typedef struct leat_channel_info {
    uint64_t capacity;      /* the ring's size in bytes */
    uint64_t max_message;   /* bytes */
    uint64_t backlog_bytes; /* occupied in the ring, with headers and padding; a snapshot */
    bool created;           /* this handle's open created the channel */
    bool many_senders;      /* the present senders share the role */
    leat_peer sender;
    leat_peer receiver;
    leat_statistics sent;
    leat_statistics received;
    uint64_t reserved[4]; /* zero */
} leat_channel_info;

/* Describes the channel of a handle. Returns LEAT_OK; LEAT_ESYSTEM if the system does not answer
 * whether the peer is there; LEAT_ENOMEM, LEAT_EFORKED, LEAT_EINVAL. */
LEAT_API LEAT_CHECKED int leat_sender_info(const leat_sender *sender, leat_channel_info *info);
LEAT_API LEAT_CHECKED int leat_receiver_info(const leat_receiver *receiver,
                                             leat_channel_info *info);

/* Describes a channel by name. The caller takes no role and does not become a user; sender and
 * receiver are not disturbed. Returns as above; and LEAT_ENOENT, LEAT_EKIND, LEAT_EACCES,
 * LEAT_EUNTRUSTED, LEAT_EVERSION, LEAT_ECORRUPT, LEAT_ENAME. */
LEAT_API LEAT_CHECKED int leat_channel_stat(const char *name, leat_scope scope,
                                            leat_channel_info *info);

#ifdef __cplusplus
}
#endif
#endif
