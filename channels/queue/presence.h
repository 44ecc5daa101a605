/* channels/queue/presence.h - whether a channel's sender or receiver lives.
 *
 * A process that opens a channel takes a lock before it has a role, and can be stopped there. So a
 * lock alone does not show a live peer: it would hide the death of a predecessor for as long as the
 * stopped process holds it.
 *
 * Senders. A sender lives while its participant byte is locked and its bit is set in `present`. The
 * exception is a sender that `coming` records: it is about to begin the stream after the one that
 * the question is about.
 *
 *     a sender comes, inside the gate                the question
 *       no sender lives: it begins a stream            v = opened                       acquire
 *         coming = opened + 1, participant             which bytes are locked?          the kernel
 *         its bit in `present`          release        their bits in `present`          acquire
 *         opened + 1                    release        coming
 *       a sender lives: it joins                       no locked byte has its bit: read the bits
 *         its bit in `present`                         once more
 *         full fence                    [G1]
 *         does a sender still live? else it begins a stream
 *
 * At no store of a sender that comes is the stream of a live sender reported dead, and at none is
 * the death of a stream's senders hidden (tests/model/presence.pml). A sender that joins counts
 * from its bit on. The others may have died by then, and the joining sender may be about to begin a
 * stream; that is two steps later. It may also set its bit after the question has read the bits,
 * and the others may die before the question reaches their locks. Then the bits have changed, and
 * the question is repeated.
 *
 * The usual price is one question to the kernel. Where it finds a locked byte without a bit, there
 * are at most 64 more questions in each of four rounds.
 *
 * Receivers. The lock of the role keeps other receivers out. Besides it, each receiver has a lock
 * for its own life: one of two bytes, chosen by whether its number is even or odd. It takes that
 * byte before it raises `opened`, so the next receiver does not hold its predecessor's byte.
 * `lives` records which numbers had such a lock. A receiver that could not get the byte (another
 * program has it) relies on the lock of the role alone, as receivers of earlier versions do. */
#ifndef LEAT_CHANNELS_PRESENCE_H
#define LEAT_CHANNELS_PRESENCE_H

#include "channels/queue/wire.h"

/* Whether a sender of stream number `opened` lives, or the receiver of that number: a number that
 * was read from the page, and is not closed. `page` is the senders' or the receiver's page: mapped,
 * or a copy that is no older than `opened`. */
enum leat__answer leat__senders_live(leat__file file, const struct leat__role_page *page,
                                     uint32_t opened);
enum leat__answer leat__receiver_lives(leat__file file, const struct leat__role_page *page,
                                       uint32_t opened);

/* Takes the life lock of the receiver that comes, before it raises `opened` to this number. */
void leat__receiver_begin_life(leat__file file, struct leat__role_page *own, uint32_t opened);

#endif
