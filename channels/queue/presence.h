/* channels/queue/presence.h - whether a channel's sender or receiver lives.
 *
 * A process that opens a channel takes a lock before it has a role, and can be stopped there. So a
 * lock alone is no peer that lives: it would hide a predecessor's death for as long as its process
 * stands still.
 *
 * Senders. One lives while a slot is locked and its bit is set in `members`, unless `coming` says
 * that the slot's sender is about to begin the stream after the one that is asked about.
 *
 *     a sender comes, inside the gate                the question
 *       no member lives: it begins a stream            v = opened                   acquire
 *         coming = opened + 1, slot                    which slots are locked?      the kernel
 *         its bit in members            release        their bits in members        acquire
 *         opened + 1                    release        coming
 *       a member lives: it joins                       none is a member's: the bits once more
 *         its bit in members
 *         full fence                    [G1]
 *         a member still lives? else it begins a stream
 *
 * At no store of a sender that comes is a stream called dead that lives, and at none is a dead
 * one's death hidden (tests/model/presence.pml). One that joins counts from its bit on, although
 * the others may have died and it is about to begin a stream: that is two steps later. It may set
 * its bit after the bits were read, and the others die before the question about them: then the
 * bits have changed, and the question is asked anew.
 *
 * One question to the kernel is the rule. Where it finds a lock that is no member's, there are at
 * most 64 more for each of four looks.
 *
 * Receivers. Besides the role's lock, which keeps others out, each one has a lock for its life: of
 * two bytes the one for its number, even or odd. It takes it before it raises `opened`, and so the
 * next receiver does not hold its predecessor's. `lives` says which number had one: a receiver that
 * could not have the byte (a stranger has it) does with the role's lock alone, as those of earlier
 * versions do. */
#ifndef LEAT_CHANNELS_PRESENCE_H
#define LEAT_CHANNELS_PRESENCE_H

#include "channels/queue/wire.h"

/* Whether anybody is there of the stream, or the receiver, that `opened` numbers: as the page had
 * it, and not closed. `page` is the senders' or the receiver's; mapped, or a copy that is no older
 * than `opened`. */
enum leat__answer leat__senders_live(leat__file file, const struct leat__role_page *page,
                                     uint32_t opened);
enum leat__answer leat__receiver_lives(leat__file file, const struct leat__role_page *page,
                                       uint32_t opened);

/* For the receiver that comes, before it raises `opened` to this. */
void leat__receiver_begin_life(leat__file file, struct leat__role_page *own, uint32_t opened);

#endif
