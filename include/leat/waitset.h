/* leat/waitset.h - many channels, events, semaphores and mutexes in one event loop: a descriptor
 * that becomes readable when there is something to do.
 *
 *     leat_waitset *waitset;                          a descriptor for poll, epoll, select or any loop: level-triggered, one for
 *     leat_waitset_open(&waitset);                    however many channels
 *     leat_waitset_add_receiver(waitset, rx, rx);
 *     epoll_ctl(loop, EPOLL_CTL_ADD, leat_waitset_descriptor(waitset), &event);
 *     ...
 *     void *channel;                                    whenever it is readable, and before the loop sleeps for the first time
 *     while (leat_waitset_next(waitset, &channel) == LEAT_OK)
 *         leat_recv(channel, buffer, sizeof buffer, &size, LEAT_NOW) ...
 *
 * leat_waitset_next names channels at which something waits, in turn, as long as there are any.
 * When it says LEAT_EAGAIN, every channel has been looked at and its peer knows that it will have
 * to ring, or the descriptor stays readable: then, and only then, the loop may sleep. Who leaves
 * off before, so that other parts of the loop get their turn, calls leat_waitset_again: then the
 * descriptor stays readable.
 *
 * What it costs. Nothing while the loop has something to do: peers ring only for a channel that was
 * announced, and once. Neither memory nor time depends on channels that are idle. Ringing sends
 * eight bytes to a socket, found in the user's local directory; where the peer cannot find it
 * (another user's, another container's, its name was removed, sockets are forbidden) it is a read
 * or a write of the object's file, which the kernel reports, and takes 10 % longer. Bytes that
 * strangers send to the socket cost one look at all channels.
 *
 * What it takes: seven descriptors (one of them shared by all handles of the process that use the
 * local directory), an inotify instance of its own and a watch for each channel. A user has 128
 * instances by default (fs.inotify.max_user_instances). Threads that wait in calls share one
 * instance for each process.
 *
 * Before it sleeps. How a channel waits is its `waiting` option, as in calls. ADAPTIVE, the
 * default: after it had something the descriptor stays readable for as long as looking has paid
 * lately, at most the channel's spin_us; meanwhile the loop turns, and serves everything else.
 * SLEEP: it is announced at once. Channels that never sleep (YIELD, SPIN) keep the descriptor
 * readable: the loop looks at them in every turn, and takes a processor.
 *
 * Peers. A channel is also named when its peer came, closed or died: the next leat_recv or
 * leat_peek with LEAT_NOW says so; of a sender leat_sender_peer_event, which is to be asked, for a
 * send that finds room says nothing, and the sender is named until somebody was told. Deaths are
 * noticed by the kernel's report of a closed file, with no timer running meanwhile. A peer that is
 * *stopped* between publishing and ringing rings when it goes on.
 *
 * Blocking calls on a channel that is in a wait set are allowed, also from elsewhere in the
 * program, as long as one thread at a time uses the handle and the wait set: the receiver decides
 * each time how it waits, and the sender does not know.
 *
 * Thread safety: a wait set and what was added to it belong to one thread at a time. Fork: a child
 * cannot use its parent's (LEAT_EFORKED); it should close it, after the handles in it. Signals:
 * nothing here may be called from a handler. Blocking: nothing here waits, but leat_waitset_close
 * can take some milliseconds in the kernel, in which no other call waits for it.
 */
#ifndef LEAT_WAITSET_H
#define LEAT_WAITSET_H

#include "leat/channel.h"
#include "leat/sync.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct leat_waitset leat_waitset;

/* A wait set without channels. LEAT_ENOMEM, LEAT_ELIMIT (descriptors, or inotify instances: the
 * detail names the limit), LEAT_EACCES and LEAT_EUNTRUSTED when the local directory cannot be
 * used. */
LEAT_API LEAT_CHECKED int leat_waitset_open(leat_waitset **waitset);

/* Forgets all that was added, and leaves. NULL is allowed. */
LEAT_API void leat_waitset_close(leat_waitset *waitset);

/* The descriptor. It stays the wait set's: poll it for reading, and do nothing else with it. -1 in
 * a forked child. */
LEAT_API int leat_waitset_descriptor(const leat_waitset *waitset);

/* The same as two, which a loop that can poll both is told of a microsecond earlier: [0] rings, [1]
 * everything else. Both are -1 in a forked child. */
LEAT_API void leat_waitset_descriptors(const leat_waitset *waitset, int descriptors[2]);

/* Adds a channel; leat_waitset_next gives `data` back. It will be named when there is a message or
 * news of the sender. Closing the receiver removes it. LEAT_ESTATE when it is in a wait set
 * already, LEAT_EFORKED, LEAT_ENOMEM, LEAT_ELIMIT (fs.inotify.max_user_watches), LEAT_ENOTSUP
 * (there is no /proc), LEAT_EINVAL, or what the system refuses the watch with. */
LEAT_API LEAT_CHECKED int leat_waitset_add_receiver(leat_waitset *waitset, leat_receiver *receiver,
                                                    void *data);

/* The same for a sender. It will be named when there is news of the receiver, of its first one too
 * (leat_sender_peer), and, once for each leat_waitset_want_room, when there is room. One of many
 * senders is named as well when another one's turn, which kept it from looking, is over; it may
 * find itself too late. All of a channel's senders in loops are woken together, and
 * leat_waitset_next may wait 20 microseconds for the turn of one that has just got it. */
LEAT_API LEAT_CHECKED int leat_waitset_add_sender(leat_waitset *waitset, leat_sender *sender,
                                                  void *data);

/* The same for a mutex, an event or a semaphore. It will be named as long as leat_wait with
 * LEAT_NOW would get it: so take it, or remove it. A pulse is for those who wait at that moment,
 * and not for loops. LEAT_EBUSY when 64 loops wait for it already. */
LEAT_API LEAT_CHECKED int leat_waitset_add_waitable(leat_waitset *waitset, leat_waitable *waitable,
                                                    void *data);

/* The sender will be named when a message of so many bytes can be sent: at once if that is so, else
 * when the receiver has made room and says so, as it does whenever an eighth of the ring has come
 * free and whenever the ring is empty. LEAT_ESTATE when it is in no waitset, LEAT_EMSGSIZE. */
LEAT_API LEAT_CHECKED int leat_waitset_want_room(leat_sender *sender, size_t size);

/* Out of whatever wait set they are in; nothing if in none. Also while leat_waitset_next is giving
 * out channels. */
LEAT_API void leat_waitset_remove_receiver(leat_receiver *receiver);
LEAT_API void leat_waitset_remove_sender(leat_sender *sender);
LEAT_API void leat_waitset_remove_waitable(leat_waitable *waitable);

/* The next channel at which something waits. LEAT_EAGAIN: none; all have been announced, and the
 * descriptor tells of the next one. LEAT_EFORKED. */
LEAT_API LEAT_CHECKED int leat_waitset_next(leat_waitset *waitset, void **data);

/* Makes the descriptor readable: there is more to do, later. */
LEAT_API void leat_waitset_again(leat_waitset *waitset);

typedef struct leat_waitset_statistics {
    uint64_t channels;    /* in it at the moment */
    uint64_t wakes;       /* tokens and touches taken from the kernel */
    uint64_t ready;       /* times that leat_waitset_next named a channel */
    uint64_t armed;       /* times that a channel was announced */
    uint64_t reserved[4]; /* zero */
} leat_waitset_statistics;

/* What the wait set has done since it was opened. */
LEAT_API void leat_waitset_info(const leat_waitset *waitset, leat_waitset_statistics *statistics);

#ifdef __cplusplus
}
#endif
#endif
