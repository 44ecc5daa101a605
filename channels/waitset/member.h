/* channels/waitset/member.h - one channel, mutex, event or semaphore in a wait set
 * (channels/waitset/waitset.h): what it waits for, and how it says so.
 *
 * Looking asks shared memory only, the kernel (does the peer live?) when the member is to ask.
 * Announcing is that of a thread that goes to sleep (channels/queue/role.h, lib/sync/sync.h),
 * followed by a look.
 *
 * A sender that wants no room is there for news only, and says so in its ticket: the receiver does
 * not ring it whenever the ring runs empty.
 *
 * One of many senders shares the senders' page with the others, and may write there in its turn
 * only. Its announcement is the page's ticket without a wait set: the receiver touches the file,
 * and the loops of all senders look. What is announced stays when it wakes up, for it may be
 * another one's by then; that costs a touch at most. It has to look in its turn as well, and cannot
 * wait for that:
 *
 *     a loop                                              whoever has the turn
 *       take the turn; not within 20 us:                    before it sleeps, if a loop is announced: loops = 1 (the
 *         loops = 1                                            ticket is overwritten)
 *         full fence                       [M1] pairs [M2]  end the turn: sequentially consistent exchange
 *         take the turn; not: somebody has it               loops? set it to 0, and touch the file
 *       in the turn: announce, fence, look; end the turn
 *
 * So whoever keeps a loop from looking has it look afterwards; if it is killed before, the kernel
 * reports the closed file.
 */
#ifndef LEAT_CHANNELS_WAITSET_MEMBER_H
#define LEAT_CHANNELS_WAITSET_MEMBER_H

#include "channels/queue/role.h"
#include "leat/waitset.h"
#include "lib/sync/sync.h"

#define LEAT__RECHECKS 3 /* at the peer, after a file was closed */

struct leat__member {
    struct leat_waitset *waitset;
    struct leat__object *object;
    struct leat__role *role; /* one of these two */
    leat_waitable *waitable;
    bool receives; /* the side */
    bool many;     /* one of many senders */
    void *data;
    bool wants_room; /* a sender: for so many bytes */
    size_t room;
    bool armed;
    bool met;        /* a sender: it was named for its first receiver, of which there is no news */
    bool asks;       /* the next look asks the kernel about the peer */
    bool unanswered; /* a waitable: it was asked about its holder last, and did not answer */
    unsigned rechecks; /* how many are still to come */
    uint64_t recheck_at_ns;
    bool active; /* something was there, or is wanted: the next may come soon */
    /* since then: when it was looked at in vain for the first time, and announced; 0: not yet */
    uint64_t idle_since_ns, armed_at_ns;
    int watch_number;
    uint32_t place;
    /* in the list of the ready; both NULL and not the first: not in it */
    struct leat__member *next, *previous;
    struct leat__member *next_watched; /* in the same bucket */
    struct leat__member *next_suspect; /* in the list of those to be looked at again */
    bool suspect;
};

/* Says in shared memory where to ring. */
int leat__member_set_notify(struct leat__member *member, uint64_t waitset, uint64_t token);

/* Says that there is none: its file has to be touched. */
void leat__member_do_without_notify(struct leat__member *member);

/* A sender's: from now on it waits for room for a message of so many bytes too. */
void leat__member_want_room(struct leat__member *member, size_t size);

/* Whether there is something to do. A wish for room is fulfilled by that. */
bool leat__member_is_ready(struct leat__member *member);

/* The same after announcing it, for somebody who sleeps otherwise: then the announcement is taken
 * back. */
bool leat__member_arm_and_poll(struct leat__member *member);

/* After a look in vain: whether it is looked at in the next turn, too, without being announced. */
bool leat__member_stays_awake(struct leat__member *member);

/* Whether the last question to the kernel got no answer: it is to be asked again. */
bool leat__member_is_unanswered(const struct leat__member *member);

/* It is not announced any more. */
void leat__member_disarm(struct leat__member *member);

#endif
