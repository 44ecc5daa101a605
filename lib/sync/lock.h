/* lib/sync/lock.h - a lock in shared memory that survives the death of its holder.
 *
 * It is no robust pthread mutex: that has a layout of one libc and bitness, its owner is a thread
 * id that means nothing in another pid namespace, and it has a history of bugs
 * (docs/decisions/0003-senders-lock.md). Here a *participant* is a handle that holds one byte of
 * the object's file locked in the kernel for as long as it lives. The lock word contains the
 * participant's number, so that a waiter can ask the kernel whether the holder lives.
 *
 *     owner = generation << 16 | participant      participant 0: free
 *
 * The generation grows with every acquisition: a waiter that found the holder dead cannot take the
 * lock from a later holder with the same number.
 *
 * acquire  free: one compare-and-exchange to (generation + 1, own participant).
 *          held: the loop of lib/wake/wait.h; armed with `contended`, asleep on `wake_count`. The
 *          kernel is asked about the holder. A dead holder's lock is taken over by the same
 *          compare-and-exchange: then the result is LEAT__LOCK_INHERITED, and the caller repairs
 *          what the dead holder may have left half done.
 * release  exchange for (generation, 0), and wake one waiter if `contended` was set.
 *
 * Crash points. The holder is killed: a waiter takes the lock over, within one slice. The holder is
 * killed between its release and the wake: the sleeper sees the free lock when its slice ends. A
 * sleeper is killed: at worst there is one wake too many. Waiters are not served in order.
 */
#ifndef LEAT_LIB_LOCK_H
#define LEAT_LIB_LOCK_H

#include "lib/os/os.h"

struct leat__lock {
    leat__u64 owner;      /* generation << 16 | participant */
    leat__u32 wake_count; /* counts wakes; sleepers wait on it */
    leat__u32 contended;  /* 1: a thread may be sleeping */
};

/* A holder releases within a microsecond, or has been stopped. The spin takes about as long as one
 * sleep costs. */
#define LEAT__LOCK_SPIN_NS UINT64_C(4000)
#define LEAT__LOCK_INHERITED 1 /* acquired, from a holder that died */
#define LEAT__PARTICIPANTS_MAX 4095
#define LEAT__LOCK_PARTICIPANTS 64 /* lock bytes: that and participant, exclusive by its handle */

/* Takes a free participant number of the file, 1 to LEAT__PARTICIPANTS_MAX, by locking its byte
 * until the file is closed. Numbers that seem taken by shared memory are tried last: that saves
 * tries, and decides nothing. The number in the lock word is not taken: that holder died, and other
 * participants must be able to see it. LEAT_EBUSY when all numbers are taken, or none was found in
 * a second. */
int leat__lock_join(const struct leat__lock *lock, leat__file file,
                    bool (*seems_taken)(const void *context, unsigned participant),
                    const void *context, unsigned *participant);

/* Takes the lock if it is free or, with `probe`, if its holder is dead. LEAT_OK,
 * LEAT__LOCK_INHERITED, LEAT_EBUSY. */
int leat__lock_try(struct leat__lock *lock, leat__file file, unsigned participant, bool probe);

/* Whether no live handle holds the holder's byte. True for `own`: that number in the word can only
 * be a predecessor's. False also when the kernel does not answer: without an answer no holder is
 * dead. */
bool leat__lock_holder_died(leat__file file, unsigned holder, unsigned own);

/* Wakes one sleeper, or all, if there may be any. Call it after the exchange or
 * compare-and-exchange that stored what they wait for. `contended` is loaded in one order with that
 * exchange, as with a full fence between them, at half the price. */
void leat__lock_wake(struct leat__lock *lock, bool all);

/* The participant in a lock word. */
static inline unsigned leat__lock_participant(uint64_t owner) {
    return (unsigned)(owner & 0xFFFF);
}

/* LEAT_OK, LEAT__LOCK_INHERITED, LEAT_EAGAIN, LEAT_ETIMEDOUT; LEAT_EINTR if interruptible and a
 * signal handler ran. Not recursive. */
int leat__lock_acquire(struct leat__lock *lock, leat__file file, unsigned participant,
                       uint64_t deadline_ns, bool interruptible);
void leat__lock_release(struct leat__lock *lock);

#endif
