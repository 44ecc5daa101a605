/* leat/channel.h - messages from one process to another through shared memory.
 *
 * A channel is a named queue. One side opens it as a sender, the other as a receiver, in any order.
 * Every message that was sent is received once, whole, in order. A call without a waiting peer is a
 * few dozen instructions and no system call; a call that has to wait spins briefly and then sleeps,
 * using no CPU.
 *
 *     leat_sender *tx;                                           leat_receiver *rx;
 *     if (leat_sender_open(&tx, "telemetry", NULL) != LEAT_OK)   if (leat_receiver_open(&rx, "telemetry", NULL) != LEAT_OK)
 *         ...                                                        ...
 *     leat_send(tx, &frame, sizeof frame, LEAT_FOREVER);         while (leat_recv(rx, buffer, sizeof buffer, &size,
 *     ...                                                                         LEAT_FOREVER) == LEAT_OK)
 *     leat_sender_close(tx);                                         ...
 *                                                                leat_receiver_close(rx);
 *
 * Caveats first.
 *   - A channel dies with its last user, and undelivered messages with it: a sender that must not
 *     lose its tail calls leat_sender_drain before closing, or asks for a persistent channel.
 *   - One sender and one receiver at a time; another one is LEAT_EBUSY. Many senders are possible
 *     if each of them asks.
 *   - A message is at most leat_sender_max_message bytes: a bit less than half the capacity.
 *   - In-place receiving (leat_peek) hands out memory that the sender's process can still write to.
 *     Against a peer that is not trusted, use leat_recv and validate the copy.
 *   - Any process that may open the channel can fill it, empty it or close it; see
 *     docs/failure-model.md.
 *
 * When the peer goes. A waiting call is told within 100 ms, after everything that was sent has been
 * delivered:
 *   LEAT_ECLOSED    the other side closed. For a receiver this is the end of the stream.
 *   LEAT_EPEERDIED  the other side's process ended without closing.
 *   LEAT_EPEERBACK  after one of these: a new peer has come.
 * Each is returned once; the next call waits for what comes next. A receiver that restarts goes on
 * at the first message that its predecessor did not release; a sender that restarts continues the
 * same stream. A sender is told only when there is no room (or in leat_sender_drain): while there
 * is room, messages queue up for a receiver to come. Who polls with LEAT_NOW and never waits is
 * told too, up to 100 ms later.
 *
 * That is so whatever a handle's spin, and for each of many senders that wait for room or for their
 * turn. A receiver that takes over is told of each change of stream in its place between the
 * messages: what its predecessor did not pass comes to the successor. A question that the system
 * cannot answer is asked again: it is never taken for a death.
 *
 * Cancellation: a call that waits is a cancellation point while it does so (deferred; within 100
 * ms). A thread that is cancelled there has sent and received nothing by that call, has given up
 * its turn, and leaves the handle as it was: a cleanup handler may use or close it. The other calls
 * are no cancellation points.
 *
 * Thread safety: a handle belongs to one thread at a time; different handles are independent, also
 * within one process. Fork: a child cannot use its parent's handles (LEAT_EFORKED) and does not
 * keep them alive; it should close them to free their memory. Signals: nothing here may be called
 * from a handler; waits go on after a signal unless `interruptible` is set. Progress: without
 * waiting, one sender and one receiver are wait-free; many senders take turns under a lock that
 * survives the death of its holder. A receive call that finds nothing when messages have been
 * coming one by one at full speed may pause for about a microsecond, also with LEAT_NOW, so that
 * several gather; not with a negative spin_us.
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

/* What a side does while it waits, in a call or in an event loop (leat/waitset.h). The other side
 * neither knows nor cares. */
typedef enum leat_waiting {
    /* looks for as long as that has paid lately, at most spin_us, then sleeps; in a loop it looks
     * once in each turn */
    LEAT_WAITING_ADAPTIVE = 0,
    /* sleeps at once: no processor time, and a system call by the other side for each sleep */
    LEAT_WAITING_SLEEP = 1,
    /* never sleeps, but lets other threads run: takes what processor time is left over, wakes
     * nobody */
    LEAT_WAITING_YIELD = 2,
    /* never sleeps: takes a whole processor, and is there the soonest. In a loop as YIELD, once in
     * each turn */
    LEAT_WAITING_SPIN = 3,
} leat_waiting;

/* All zero is the sensible default: local, open or create, 256 KiB, one sender, dies with its last
 * user, for this user alone, spins adaptively before it sleeps. */
typedef struct leat_channel_options {
    leat_scope scope;
    leat_mode mode;
    /* when created: bytes of ring, rounded up to a power of two and to LEAT_CAPACITY_MIN; 0 means
     * the default; more than LEAT_CAPACITY_MAX is LEAT_EINVAL */
    uint64_t capacity;
    bool many_senders; /* senders: share the channel with others that ask for the same */
    bool persistent;   /* when created: stays, with its backlog, until leat_unlink */
    /* waits end with LEAT_EINTR when a signal handler interrupts their sleep. A handler that runs
     * in the moment between two sleeps is not noticed: give a deadline too, and look at your flag
     * after it */
    bool interruptible;
    int32_t spin_us; /* longest spin before sleeping, in microseconds; 0 = 50, negative = none */
    /* when created: rwxrwxrwx bits; 0 means 0600. Both roles need read and write permission: of
     * owner, group and others, who is not given w is not given r (leat/object.h) */
    uint32_t permissions;
    /* this handle's; those that never sleep do not notice interruptions either */
    leat_waiting waiting;
    uint64_t reserved[4]; /* zero */
} leat_channel_options;

/* A message in memory: what leat_send_many takes and the receiving batch calls give. */
typedef struct leat_message {
    const void *data; /* 8-byte aligned when received in place */
    size_t size;      /* bytes, 0 is allowed */
} leat_message;

typedef enum leat_peer {
    LEAT_PEER_NONE = 0,    /* nobody came yet */
    LEAT_PEER_PRESENT = 1, /* there is one (perhaps stopped: that is not death) */
    LEAT_PEER_CLOSED = 2,  /* there was one, and it closed */
    LEAT_PEER_DIED = 3,    /* there was one, and its process ended without closing */
    /* the system cannot say now whether the one that came is there still: ask again */
    LEAT_PEER_UNKNOWN = 4,
} leat_peer;

/* What one role has done since the channel was created, restarts included. Counters are brought up
 * to date whenever the role waits, a sender also when it rings, at least every eighth of the ring,
 * and at close; after a kill they can be behind by that much. */
typedef struct leat_statistics {
    uint64_t messages;
    uint64_t bytes;            /* of payload */
    uint64_t stalls;           /* calls that found the ring full (sender) or empty (receiver) */
    uint64_t sleeps;           /* of those, how often the thread had to sleep */
    uint64_t wake_calls;       /* system calls made to wake the other side */
    uint64_t wake_calls_saved; /* sender: messages after which nobody had to be woken */
    /* most bytes seen occupied in the ring, looked at whenever a stall or an eighth of the ring
     * brings the two sides' positions together */
    uint64_t high_water_bytes;
    /* sleeps, of a thread or of an event loop, that ended because the other side rang; 0: nothing
     * was measured */
    uint64_t wakes;
    /* of all these together: from when the other side rang until this one was awake, nanoseconds.
     * It includes what the other side's system call and the scheduler took, and in a loop what it
     * did before it came to leat_waitset_next. wake_ns / wakes is the mean */
    uint64_t wake_ns;
    uint64_t reserved[4]; /* zero */
} leat_statistics;

/* --- Sending ---------------------------------------------------------------------------------- */

/* Opens the channel as sender. LEAT_EBUSY when it has one already (or, asking for many senders,
 * when it has one that did not ask), LEAT_ENOENT or LEAT_EEXIST by options->way, LEAT_EKIND,
 * LEAT_ENAME, LEAT_ENOSPC, LEAT_EACCES, LEAT_EUNTRUSTED, LEAT_EVERSION, LEAT_ECORRUPT. Existing
 * channels keep their capacity. */
LEAT_API LEAT_CHECKED int leat_sender_open(leat_sender **sender, const char *name,
                                           const leat_channel_options *options);

/* Ends the stream (the receiver sees LEAT_ECLOSED after the backlog) and leaves. An open
 * reservation is aborted. Messages that nobody has received stay for a receiver that is there or
 * comes while anybody has the channel open. NULL is allowed. */
LEAT_API void leat_sender_close(leat_sender *sender);

/* Sends one message: size bytes at data (data may be NULL when size is 0). Waits for room until the
 * deadline (the receiver wakes it whenever an eighth of the ring has come free, and when the ring
 * is empty): LEAT_EAGAIN (deadline LEAT_NOW) or LEAT_ETIMEDOUT when there is none. LEAT_EMSGSIZE
 * when it can never fit. LEAT_ECLOSED, LEAT_EPEERDIED, LEAT_EPEERBACK only while waiting for room.
 * LEAT_ESTATE with an open reservation. In all these cases nothing was sent. */
LEAT_API LEAT_CHECKED int leat_send(leat_sender *sender, const void *data, size_t size,
                                    uint64_t deadline_ns);

/* Sends several messages and rings at most once for each ringful: cheaper than one by one, and no
 * message of the batch is seen before all of the batch that fits is written. *sent is how many went
 * out, on failure too. As leat_send. */
LEAT_API LEAT_CHECKED int leat_send_many(leat_sender *sender, const leat_message *messages,
                                         size_t count, size_t *sent, uint64_t deadline_ns);

/* In place: makes room for a message of up to size bytes and gives its address (8-byte aligned).
 * Write the message there, then commit as many bytes as it became, or abort. One reservation at a
 * time. Errors as leat_send. With many senders the others wait until the reservation ends. */
LEAT_API LEAT_CHECKED int leat_reserve(leat_sender *sender, size_t size, void **data,
                                       uint64_t deadline_ns);

/* Sends the reserved message with its final size, at most what was reserved (else LEAT_EINVAL,
 * still reserved). LEAT_ESTATE without a reservation. Never waits. */
LEAT_API LEAT_CHECKED int leat_commit(leat_sender *sender, size_t size);

/* Gives the reservation up: as if it had never been made. Without one, does nothing. */
LEAT_API void leat_abort(leat_sender *sender);

/* Wakes the receiver if it sleeps. Everything that sends does so by itself; leat/inline.h needs
 * it. */
LEAT_API void leat_sender_wake(leat_sender *sender);

/* Waits until the receiver has released everything sent so far. LEAT_ECLOSED or LEAT_EPEERDIED when
 * it leaves before (its successor can still take the rest), LEAT_ETIMEDOUT, LEAT_EAGAIN. */
LEAT_API LEAT_CHECKED int leat_sender_drain(leat_sender *sender, uint64_t deadline_ns);

/* Waits until a receiver is there for certain; LEAT_OK at once if one is. LEAT_ETIMEDOUT,
 * LEAT_EAGAIN. */
LEAT_API LEAT_CHECKED int leat_sender_wait_peer(leat_sender *sender, uint64_t deadline_ns);

/* What leat_send would tell of the receiver if it had to wait: LEAT_ECLOSED, LEAT_EPEERDIED,
 * LEAT_EPEERBACK, each once; LEAT_OK when there is no news. Never waits; a system call. */
LEAT_API LEAT_CHECKED int leat_sender_peer_event(leat_sender *sender);

/* Whether a receiver is there, as the kernel knows it: a system call. */
LEAT_API leat_peer leat_sender_peer(const leat_sender *sender);

/* The largest message in bytes: capacity / 2 - 72. */
LEAT_API size_t leat_sender_max_message(const leat_sender *sender);

/* What the senders of the channel have done so far, this handle's last message included. */
LEAT_API void leat_sender_statistics(const leat_sender *sender, leat_statistics *statistics);

/* --- Receiving -------------------------------------------------------------------------------- */

/* Opens the channel as receiver. LEAT_EBUSY when it has one already; otherwise as
 * leat_sender_open. */
LEAT_API LEAT_CHECKED int leat_receiver_open(leat_receiver **receiver, const char *name,
                                             const leat_channel_options *options);

/* Leaves. Messages peeked at and not released stay in the channel for the next receiver. NULL is
 * allowed. */
LEAT_API void leat_receiver_close(leat_receiver *receiver);

/* Receives one message by copy: *size bytes into buffer. LEAT_EMSGSIZE when it is longer than
 * `capacity` bytes: *size says how long, the message stays. LEAT_EAGAIN, LEAT_ETIMEDOUT,
 * LEAT_ECLOSED, LEAT_EPEERDIED, LEAT_EPEERBACK, LEAT_EINTR as described above; LEAT_ECORRUPT, from
 * then on for ever, when the sender wrote what no correct sender writes. LEAT_ESTATE while messages
 * are peeked at and not released. */
LEAT_API LEAT_CHECKED int leat_recv(leat_receiver *receiver, void *buffer, size_t capacity,
                                    size_t *size, uint64_t deadline_ns);

/* Receives as many whole messages as are there and fit, at most max of them, waiting only for the
 * first. The bytes go one after another into the buffer (each message 8-byte aligned if the buffer
 * is), messages[i] says where. *count is at least 1 on LEAT_OK. When the first message does not
 * fit: LEAT_EMSGSIZE, messages[0].size says how long it is. Else as leat_recv. */
LEAT_API LEAT_CHECKED int leat_recv_many(leat_receiver *receiver, void *buffer, size_t capacity,
                                         leat_message *messages, size_t max, size_t *count,
                                         uint64_t deadline_ns);

/* In place: the oldest message that was not released, without copying it. The memory is valid, and
 * the message stays in the channel, until leat_release; peeking again before that gives the same
 * message. As leat_recv. */
LEAT_API LEAT_CHECKED int leat_peek(leat_receiver *receiver, leat_message *message,
                                    uint64_t deadline_ns);

/* The oldest messages that were not released, as many as are there, at most max, waiting only for
 * the first. */
LEAT_API LEAT_CHECKED int leat_peek_many(leat_receiver *receiver, leat_message *messages,
                                         size_t max, size_t *count, uint64_t deadline_ns);

/* Peeks further: the messages behind those that are peeked at, as many as are there, at most max,
 * waiting only for the first. All of them stay valid, and in the channel, until they are released:
 * as many as it has room for, with no other limit. News of the sender comes in its place among
 * them, and a wait set names the channel when something comes behind them. leat_peek and
 * leat_peek_many begin with the oldest again. As leat_recv. */
LEAT_API LEAT_CHECKED int leat_peek_more(leat_receiver *receiver, leat_message *messages,
                                         size_t max, size_t *count, uint64_t deadline_ns);

/* Releases the oldest `count` of the messages peeked at: they are delivered for good and their
 * memory goes back to the sender. LEAT_ESTATE when fewer are peeked at, LEAT_ECORRUPT when the
 * sender has changed them (none is released). */
LEAT_API LEAT_CHECKED int leat_release(leat_receiver *receiver, size_t count);

/* As if nothing had been peeked at: what was handed out and not released stays in the channel and
 * may be received in any way. News that came between messages of leat_peek_more is told again. */
LEAT_API void leat_unpeek(leat_receiver *receiver);

/* Waits until a sender is there for certain, or messages are; LEAT_OK at once if so.
 * LEAT_ETIMEDOUT, LEAT_EAGAIN. */
LEAT_API LEAT_CHECKED int leat_receiver_wait_peer(leat_receiver *receiver, uint64_t deadline_ns);

/* Whether a sender is there, as the kernel knows it: a system call. */
LEAT_API leat_peer leat_receiver_peer(const leat_receiver *receiver);

/* The largest message that can arrive, in bytes. */
LEAT_API size_t leat_receiver_max_message(const leat_receiver *receiver);

/* What the receivers of the channel have done so far, this handle's last message included. */
LEAT_API void leat_receiver_statistics(const leat_receiver *receiver, leat_statistics *statistics);

/* --- State ------------------------------------------------------------------------------------ */

typedef struct leat_channel_info {
    uint64_t capacity;      /* bytes of ring */
    uint64_t max_message;   /* bytes */
    uint64_t backlog_bytes; /* occupied in the ring, headers and padding included; a snapshot */
    bool created;           /* this handle's open created the channel */
    bool many_senders;      /* the sender or senders that are there share the channel */
    leat_peer sender;
    leat_peer receiver;
    leat_statistics sent;
    leat_statistics received;
    uint64_t reserved[4]; /* zero */
} leat_channel_info;

/* Describes the channel of an open handle. LEAT_ESYSTEM when the system cannot say whether the peer
 * is there; LEAT_ENOMEM, LEAT_EFORKED, LEAT_EINVAL. */
LEAT_API LEAT_CHECKED int leat_sender_info(const leat_sender *sender, leat_channel_info *info);
LEAT_API LEAT_CHECKED int leat_receiver_info(const leat_receiver *receiver,
                                             leat_channel_info *info);

/* The same of a channel by its name, without taking a role, without becoming a user and without
 * mapping it; sender and receiver notice nothing. LEAT_ENOENT, LEAT_EKIND, LEAT_EACCES,
 * LEAT_EUNTRUSTED, LEAT_EVERSION, LEAT_ECORRUPT, LEAT_ENAME; and as above. */
LEAT_API LEAT_CHECKED int leat_channel_stat(const char *name, leat_scope scope,
                                            leat_channel_info *info);

#ifdef __cplusplus
}
#endif
#endif
