/* channels/waitset/member.h - one channel, mutex, event or semaphore in a wait set
 * (channels/waitset/waitset.h): what it waits for, and how it is armed.
 *
 * Polling reads shared memory only; the kernel is asked whether the peer lives when `asks` is set.
 * Arming is what a thread does before it sleeps (channels/queue/role.h, lib/sync/sync.h), followed
 * by another poll.
 *
 * A sender that wants no room is there for events only. Its ticket records that, so the receiver
 * does not wake it each time the ring runs empty.
 *
 * One of many senders shares the senders' page with the others, and may write there only while it
 * holds the senders' lock. It arms with a ticket without a notify socket: the receiver touches the
 * file, and the loops of all senders poll. The ticket stays when the loop wakes up, because it may
 * belong to another sender by then; that costs one touch at most. The loop has to poll with the
 * lock too, and cannot wait for it:
 *
 *     a loop                                         the holder of the lock
 *       try the lock; not taken within 20 us:          before it sleeps, if a loop is armed:
 *         loops = 1                                      loops = 1 (it overwrites the ticket)
 *         full fence              [M1] pairs [M2]      release: sequentially consistent exchange
 *         try the lock; busy: done                     loops set? clear it, and touch the file
 *       with the lock: arm, fence, poll; release
 *
 * So the holder that keeps a loop from polling makes it poll afterwards. If the holder is killed
 * before, the kernel reports the closed file.
 */
#ifndef LEAT_CHANNELS_WAITSET_MEMBER_H
#define LEAT_CHANNELS_WAITSET_MEMBER_H

#include "channels/queue/role.h"
#include "leat/waitset.h"
#include "lib/sync/sync.h"

#define LEAT__RECHECKS 3 /* questions about the peer after a file was closed */

struct leat__member {
    struct leat_waitset *waitset;
    struct leat__object *object;
    struct leat__role *role; /* this or waitable, not both */
    leat_waitable *waitable;
    bool receives; /* the role is a receiver */
    bool many;     /* one of many senders */
    void *data;
    bool wants_room; /* a sender: it waits for room for a message of this many bytes */
    size_t room;
    bool armed;
    bool met;        /* a sender: it was ready once for its first receiver, which is no event */
    bool asks;       /* the next poll asks the kernel about the peer */
    bool unanswered; /* a waitable: the kernel did not answer the last question about its holder */
    unsigned rechecks; /* how many are still to come */
    uint64_t recheck_at_ns;
    bool active; /* it was ready, or wants room: the next message may come soon */
    /* when it was first polled in vain since then, and when it was armed; 0: not yet */
    uint64_t idle_since_ns, armed_at_ns;
    int watch_number;
    uint32_t place;
    /* in the list of the ready; both NULL and not the first: not in it */
    struct leat__member *next, *previous;
    struct leat__member *next_watched; /* in the same bucket */
    struct leat__member *next_suspect; /* in the list of members to poll again */
    bool suspect;
};

/* Stores in shared memory which notify socket to use, and with which token. */
int leat__member_set_notify(struct leat__member *member, uint64_t waitset, uint64_t token);

/* Stores that there is no notify socket: peers touch the file instead. */
void leat__member_do_without_notify(struct leat__member *member);

/* From now on the sender also waits for room for a message of so many bytes. */
void leat__member_want_room(struct leat__member *member, size_t size);

/* Polls: whether the member is ready. Being ready fulfils a wish for room. */
bool leat__member_is_ready(struct leat__member *member);

/* Arms the member, then polls. If it is ready, disarms it again. */
bool leat__member_arm_and_poll(struct leat__member *member);

/* After a poll in vain: whether the loop's next iteration polls it again, without arming it. */
bool leat__member_stays_awake(struct leat__member *member);

/* Whether the last question to the kernel got no answer, so that it must be asked again. */
bool leat__member_is_unanswered(const struct leat__member *member);

/* Takes the ticket back, where it may. */
void leat__member_disarm(struct leat__member *member);

#endif
