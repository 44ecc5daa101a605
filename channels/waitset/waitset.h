/* channels/waitset/waitset.h - channels that wait in an event loop (leat/waitset.h).
 *
 * A wait set is a notify socket (lib/os/os.h) and a watch on the files of all its channels, behind
 * one descriptor. Each channel in it is a *member*, in one of two states:
 *
 *     armed   its ticket is stored as in channels/queue/role.h, with LEAT__LOOPS;
 *             it was polled since, and was not ready
 *     ready   in the list of ready members; not armed
 *
 *     ready -> armed    leat_waitset_next polled it in vain, armed it, fenced, and polled again
 *     armed -> ready    its token arrived, its file was touched or closed, or a call on its handle
 *                       waited by itself
 *
 * So the ring alone holds what is waited for; a token means only "poll". A token too many costs one
 * poll, and a forged one costs what it cost the forger. There is no token too few as long as the
 * peer lives: a member arms as a sleeping thread does, with the same proof (tests/model/sleep.pml).
 * If the peer dies before it wakes the member, the kernel's report of a closed file takes the
 * token's place. The report comes shortly *before* the kernel drops the locks of the dead process.
 * So a channel whose file was closed is polled again a few times, at growing intervals up to 50 ms.
 * A poll at which the kernel does not answer does not count: it is repeated every 50 ms until there
 * is an answer.
 *
 * The notify socket's name can be removed or given to something else. The watch reports that; then
 * all channels store that there is no notify socket, and are polled. A datagram that is no token,
 * or a token that cannot be read, also makes the loop poll all of them.
 *
 * A token is the member's place in a table and the generation of that place, so that a token under
 * way to a member that was removed means nothing.
 */
#ifndef LEAT_CHANNELS_WAITSET_WAITSET_H
#define LEAT_CHANNELS_WAITSET_WAITSET_H

#include "leat/waitset.h"

struct leat__member;

/* Removes the member; its handle is about to close. */
void leat__waitset_forget(struct leat__member *member);

/* Makes the member ready: a call on its handle waited by itself, and disarmed it. */
void leat__waitset_disarmed(struct leat__member *member);

#endif
