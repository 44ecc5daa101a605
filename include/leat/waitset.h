/* leat/waitset.h - many channels, events, semaphores and mutexes in one event loop: a descriptor
 * that becomes readable when there is something to do.
 *
 *     leat_waitset *waitset;    a descriptor for poll, epoll, select or any loop: level-triggered,
 *     leat_waitset_open(&waitset);                      one for any number of channels
 *     leat_waitset_add_receiver(waitset, rx, rx);
 *     epoll_ctl(loop, EPOLL_CTL_ADD, leat_waitset_descriptor(waitset), &event);
 *     ...
 *     void *channel;            whenever it is readable, and before the loop first sleeps
 *     while (leat_waitset_next(waitset, &channel) == LEAT_OK)
 *         leat_recv(channel, buffer, sizeof buffer, &size, LEAT_NOW) ...
 *
 * leat_waitset_next returns the ready members in rotation, as long as there are any. When it
 * returns LEAT_EAGAIN, every member was polled and is armed, so that its peer will wake it, or the
 * descriptor stays readable: then, and only then, the loop may sleep. A loop that stops before
 * that, to serve its other work, calls leat_waitset_again: then the descriptor stays readable.
 *
 * What it costs. Nothing while the loop has something to do: peers wake only a member that is
 * armed, and once. Neither memory nor time depends on idle members. A wake-up sends eight bytes to
 * a socket, which the peer finds in the user's local directory. Where the peer cannot find it (it
 * belongs to another user, runs in another container, the name was removed, sockets are forbidden),
 * it reads or writes the object's file, which the kernel reports; that takes 10 % longer. Bytes
 * that other programs send to the socket cost one poll of all channels.
 *
 * What it takes: seven descriptors (one of them shared by all handles of the process that use the
 * local directory), an inotify instance of its own and a watch for each channel. A user has 128
 * instances by default (fs.inotify.max_user_instances). Threads that wait in calls share one
 * instance for each process.
 *
 * Before it sleeps. How a channel waits is its option spin_us, as in calls. By default, after the
 * channel was ready, the descriptor stays readable for as long as polling has spared sleeps lately,
 * at most 50 microseconds or spin_us; meanwhile the loop runs and serves everything else. With
 * LEAT_SPIN_NONE the member is armed at once. With LEAT_SPIN_FOREVER or LEAT_SPIN_YIELD the
 * descriptor stays readable: the loop polls the channel in every iteration and occupies a
 * processor.
 *
 * Peers. A channel is also ready when its peer came, closed or died. For a receiver, the next
 * leat_recv or leat_peek with LEAT_NOW returns that event. For a sender, leat_sender_peer_event
 * returns it; a send that finds room does not, and the sender stays ready until the event was
 * returned. Deaths are noticed by the kernel's report of a closed file, without a timer. A peer
 * that is *stopped* between publishing and waking wakes when it goes on.
 *
 * Blocking calls on a channel that is in a wait set are allowed, also from elsewhere in the
 * program, as long as one thread at a time uses the handle and the wait set. The receiver chooses
 * each time how it waits, and the sender does not know.
 *
 * Thread safety: a wait set and its members belong to one thread at a time. Fork: a child cannot
 * use its parent's (LEAT_EFORKED); it should close it, after the handles in it. Signals: no
 * function here may be called from a handler. Blocking: no function here waits, but
 * leat_waitset_close can take some milliseconds in the kernel, in which no other call waits for it.
 */
#ifndef LEAT_WAITSET_H
#define LEAT_WAITSET_H

#include "leat/channel.h"
#include "leat/sync.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct leat_waitset leat_waitset;

/* Makes a wait set without members. LEAT_ENOMEM, LEAT_ELIMIT (descriptors, or inotify instances:
 * the detail names the limit), LEAT_EACCES and LEAT_EUNTRUSTED when the local directory cannot be
 * used. */
LEAT_API LEAT_CHECKED int leat_waitset_open(leat_waitset **waitset);

/* Removes all members, and closes. NULL is allowed. */
LEAT_API void leat_waitset_close(leat_waitset *waitset);

/* The descriptor. It belongs to the wait set: poll it for reading, and do nothing else with it. -1
 * in a forked child. */
LEAT_API int leat_waitset_descriptor(const leat_waitset *waitset);

/* Two descriptors to poll instead of one. Saves the nested epoll, about 1 us. [0] wake-ups, [1]
 * peer death and timers. Both are -1 in a forked child. */
LEAT_API void leat_waitset_descriptors(const leat_waitset *waitset, int descriptors[2]);

/* Adds a channel; leat_waitset_next returns `data`. The receiver is ready when there is a message
 * or an event of the sender. Closing it removes it. LEAT_ESTATE when it is in a wait set already,
 * LEAT_EFORKED, LEAT_ENOMEM, LEAT_ELIMIT (fs.inotify.max_user_watches), LEAT_ENOTSUP (there is no
 * /proc), LEAT_EINVAL, or the system's error for the watch. */
LEAT_API LEAT_CHECKED int leat_waitset_add_receiver(leat_waitset *waitset, leat_receiver *receiver,
                                                    void *data);

/* The same for a sender. It is ready when there is an event of the receiver, its first arrival
 * included (leat_sender_peer), and, once for each leat_waitset_want_room, when there is room. With
 * many senders, all senders of a channel that wait in loops are woken together, and again when a
 * sender releases the lock that kept them from polling: their loops may find nothing ready.
 * leat_waitset_next may wait 20 microseconds for another sender's lock. */
LEAT_API LEAT_CHECKED int leat_waitset_add_sender(leat_waitset *waitset, leat_sender *sender,
                                                  void *data);

/* The same for a mutex, an event or a semaphore. It is ready as long as leat_wait with LEAT_NOW
 * would take it: so take it, or remove it. A pulse is for threads that wait at that moment, not for
 * loops. LEAT_EBUSY when 64 loops wait for it already. */
LEAT_API LEAT_CHECKED int leat_waitset_add_waitable(leat_waitset *waitset, leat_waitable *waitable,
                                                    void *data);

/* The sender becomes ready when a message of so many bytes can be sent: at once if there is room,
 * else when the receiver has made room. The receiver reports room whenever an eighth of the ring
 * has come free and whenever the ring is empty. LEAT_ESTATE when it is in no wait set,
 * LEAT_EMSGSIZE. */
LEAT_API LEAT_CHECKED int leat_waitset_want_room(leat_sender *sender, size_t size);

/* Removes the handle from its wait set; no effect if it is in none. Allowed between two calls of
 * leat_waitset_next. */
LEAT_API void leat_waitset_remove_receiver(leat_receiver *receiver);
LEAT_API void leat_waitset_remove_sender(leat_sender *sender);
LEAT_API void leat_waitset_remove_waitable(leat_waitable *waitable);

/* The next ready member. LEAT_EAGAIN: none is ready; all are armed, and the descriptor becomes
 * readable for the next one. LEAT_EFORKED. */
LEAT_API LEAT_CHECKED int leat_waitset_next(leat_waitset *waitset, void **data);

/* Makes the descriptor readable: there is more to do, later. */
LEAT_API void leat_waitset_again(leat_waitset *waitset);

typedef struct leat_waitset_statistics {
    uint64_t channels;    /* members at the moment */
    uint64_t wakes;       /* tokens and touches taken from the kernel */
    uint64_t ready;       /* times that leat_waitset_next returned a member */
    uint64_t armed;       /* times that a member was armed */
    uint64_t reserved[4]; /* zero */
} leat_waitset_statistics;

/* What the wait set has done since it was opened. */
LEAT_API void leat_waitset_info(const leat_waitset *waitset, leat_waitset_statistics *statistics);

#ifdef __cplusplus
}
#endif
#endif
