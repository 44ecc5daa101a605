/* channels/doorbell_item.h - one channel, mutex, event or semaphore in a doorbell
 * (channels/doorbell.h): what it waits for, and how it says so.
 *
 * Looking asks shared memory only, the kernel (does the peer live?) when the item is to ask.
 * Announcing is that of a thread that goes to sleep (channels/side.h, lib/sync.h), followed by a
 * look.
 *
 * A sender that wants no room is there for news only, and says so in its ticket: the receiver does
 * not ring it whenever the ring runs empty.
 *
 * One of many senders shares the senders' page with the others, and may write there in its turn
 * only. Its announcement is the page's ticket without a doorbell: the receiver touches the file,
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
#ifndef LEAT_CHANNELS_DOORBELL_ITEM_H
#define LEAT_CHANNELS_DOORBELL_ITEM_H

#include "channels/side.h"
#include "leat/doorbell.h"
#include "lib/sync.h"

#define LEAT__LOOKS 3 /* at the peer, after a file was closed */

struct leat__item {
    struct leat_doorbell *doorbell;
    struct leat__object *object;
    struct leat__side *side; /* one of these two */
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
    unsigned looks;  /* how many are still to come */
    uint64_t look_at_ns;
    bool active; /* something was there, or is wanted: the next may come soon */
    /* since then: when it was looked at in vain for the first time, and announced; 0: not yet */
    uint64_t idle_since_ns, armed_at_ns;
    int watch_number;
    uint32_t place;
    /* in the list of the ready; both NULL and not the first: not in it */
    struct leat__item *next, *previous;
    struct leat__item *next_watched; /* in the same bucket */
    struct leat__item *next_suspect; /* in the list of those to be looked at again */
    bool suspect;
};

/* Says in shared memory where to ring. */
int leat__item_say_where(struct leat__item *item, uint64_t doorbell, uint64_t token);

/* Says that there is none: its file has to be touched. */
void leat__item_do_without_bell(struct leat__item *item);

/* A sender's: from now on it waits for room for a message of so many bytes too. */
void leat__item_want_room(struct leat__item *item, size_t size);

/* Whether there is something to do. A wish for room is fulfilled by that. */
bool leat__item_has_something(struct leat__item *item);

/* The same after announcing it, for somebody who sleeps otherwise: then the announcement is taken
 * back. */
bool leat__item_announce_and_look(struct leat__item *item);

/* After a look in vain: whether it is looked at in the next turn, too, without being announced. */
bool leat__item_stays_awake(struct leat__item *item);

/* Whether the last question to the kernel got no answer: it is to be asked again. */
bool leat__item_is_unanswered(const struct leat__item *item);

/* It is not announced any more. */
void leat__item_wake(struct leat__item *item);

#endif
