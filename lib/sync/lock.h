/* lib/sync/lock.h - a lock in shared memory that survives the death of its holder.
 *
 * Why not a robust pthread mutex: its layout belongs to one libc and bitness, its owner is a thread
 * id that means nothing in another pid namespace, and it has a history of bugs
 * (docs/decisions/0003-senders-lock.md). Here a *participant* is a handle with a
 * byte of the object's file, which it holds locked in the kernel for as long as it lives. The lock
 * word holds the participant's number, so that a waiter can ask the kernel whether the holder lives.
 *
 *     owner = generation << 16 | participant      participant 0: free
 *
 * The generation grows with every acquisition: a waiter that found the holder dead cannot take the
 * lock from a later holder with the same number.
 *
 * acquire  free: one compare-and-exchange to (generation + 1, own participant).
 *          held: the loop of lib/wake/wait.h; armed with `contended`, asleep on `wake_count`. The
 *          kernel is asked about the holder. A dead holder's lock is taken over by the same
 *          compare-and-exchange: then the result is LEAT__LOCK_INHERITED, and the caller
 *          repairs what the dead one may have left half done.
 * release  exchange for (generation, 0), and wake one if `contended` was set.
 *
 * Crash points. Holder killed: taken over, within one slice. Killed between its release and the
 * wake: the sleeper sees the free lock when its slice ends. A sleeper killed: at worst one wake too
 * many. Waiters are not served in order.
 */
#ifndef LEAT_LIB_LOCK_H
#define LEAT_LIB_LOCK_H

#include "lib/os/os.h"

struct leat__lock {
    leat__u64 owner;      /* turn << 16 | slot */
    leat__u32 wake_count; /* counts wakes; sleepers wait on it */
    leat__u32 contended;  /* 1: somebody may be sleeping */
};

/* A holder is done within a microsecond, or has been stopped: about the cost of one sleep. */
#define LEAT__LOCK_SPIN_NS UINT64_C(4000)
#define LEAT__LOCK_INHERITED 1 /* acquired, from a holder that died */
#define LEAT__PARTICIPANTS_MAX 4095

/* Takes a free slot of the file: 1 to LEAT__PARTICIPANTS_MAX, by locking its byte, until the file
 * is closed. Those that shared memory says are taken are tried last: its word saves tries, and
 * decides nothing. Not one that the lock names as its holder's: that one died, and must be seen to
 * have. LEAT_EBUSY when all are taken, or none was found in a second. */
int leat__lock_join(const struct leat__lock *lock, leat__file file,
                    bool (*seems_taken)(const void *context, unsigned participant),
                    const void *context, unsigned *participant);

/* One look: takes the lock if it is free or, when asked to probe, if its holder is dead. LEAT_OK,
 * LEAT__LOCK_INHERITED, LEAT_EBUSY. */
int leat__lock_try(struct leat__lock *lock, leat__file file, unsigned participant, bool probe);

/* Whether the holder's slot is held by nobody who lives, own's apart, which can only be a
 * predecessor's. False also when the kernel cannot be asked: nobody is called dead for that. */
bool leat__lock_holder_died(leat__file file, unsigned holder, unsigned own);

/* Wakes one sleeper, or all, if there may be any. After what they wait for was stored by an
 * exchange or a compare-and-exchange: the look for sleepers is in one order with that, as a full
 * fence between them would make it, at half the price. */
void leat__lock_wake(struct leat__lock *lock, bool all);

/* The slot in a lock word. */
static inline unsigned leat__lock_participant(uint64_t owner) {
    return (unsigned)(owner & 0xFFFF);
}

/* LEAT_OK, LEAT__LOCK_INHERITED, LEAT_EAGAIN, LEAT_ETIMEDOUT; LEAT_EINTR if interruptible and a
 * signal handler ran. Not recursive. */
int leat__lock_acquire(struct leat__lock *lock, leat__file file, unsigned participant,
                       uint64_t deadline_ns, bool interruptible);
void leat__lock_release(struct leat__lock *lock);

#endif
