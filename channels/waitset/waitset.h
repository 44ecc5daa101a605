/* channels/waitset/waitset.h - channels that wait in an event loop (leat/waitset.h).
 *
 * A wait set is a notify socket (lib/os/os.h) and a watch on the files of all its channels, behind
 * one descriptor. Each channel in it is an *member*, which is in one of two states:
 *
 *     armed   announced as in channels/queue/role.h, with a ticket that says LEAT__LOOPS, and looked at since: there was nothing
 *     ready   in the list; not announced
 *
 *     ready -> armed    leat_waitset_next looked, found nothing, announced, fenced, and looked again
 *     armed -> ready    its token came, its file was touched or closed by somebody, or a call on the handle waited by itself
 *
 * So what is waited for is only ever in the ring; a token says nothing but "look". One too many
 * costs a look, and forged ones cost what they cost the forger. One too few cannot be, as long as
 * the peer lives: the announcement is that of a sleeping thread, with its proof
 * (tests/model/sleep.pml). Where the peer dies before it rings, the kernel's word that a file was
 * closed takes its place. It comes shortly *before* the dead one's locks are dropped: so a channel
 * whose file was closed is looked at again a few times, at growing intervals up to 50 ms. A look at
 * which the kernel does not answer is none of these: it is repeated every 50 ms until there is an
 * answer.
 *
 * The notify socket's name can be removed or given to something else: the watch reports that, and
 * all channels then say that there is no notify socket, and are looked at. What is no token, and
 * tokens that cannot be read, have all of them looked at too.
 *
 * Tokens are the member's place in a table and that place's generation, so that one that was under
 * way when its member went means nothing.
 */
#ifndef LEAT_CHANNELS_WAITSET_WAITSET_H
#define LEAT_CHANNELS_WAITSET_WAITSET_H

#include "leat/waitset.h"

struct leat__member;

/* The handle is about to close. */
void leat__waitset_forget(struct leat__member *member);

/* Its handle has waited by itself: it is no longer announced. */
void leat__waitset_disarmed(struct leat__member *member);

#endif
