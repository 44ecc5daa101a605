/* lib/wake/wait.h - the one loop in which everything waits: senders and receivers, the senders'
 * lock, mutexes, events and semaphores.
 *
 *     waiter                                                  waker
 *       poll; then spin: poll repeatedly
 *       until it is ready, the deadline passes, or an event:
 *         if due, ask the kernel: does the peer live?           publish
 *         arm: read the wake count, then store that it sleeps
 *         full fence             [S1] [L3] pair [S2] [L4]       full fence
 *         poll                                                  armed? count a wake, and wake
 *         sleep while the wake count is the same, for a slice
 *         disarm
 *         poll
 *
 * Either the waiter sees what was published, or the waker sees that the waiter is armed: that is
 * the store-buffering pattern, and the two fences forbid the one bad outcome
 * (docs/memory-model.md has the labels in brackets). A wake between the poll and the sleep changes
 * the wake count, and the kernel does not put the waiter to sleep. Arming reads the count before it
 * stores that the waiter sleeps, so every wake for this sleep changes the count after it was read.
 * So no wake-up is lost as long as the waker lives. Each kind of wait has its own words in shared
 * memory, and its own model: tests/model/sleep.pml (channels), lock.pml (the lock), commit.pml
 * (wait any and all), pi.pml (mutexes with priority inheritance).
 *
 * A sleep lasts at most a *slice*: at first 50 ms, then what the kind of wait chooses. After it the
 * waiter polls again, and asks the kernel whether the peer, or the owner, is alive. That covers a
 * waker that was killed or stopped between publishing and waking. A wait that becomes ready in its
 * first slice asks nothing. A wait whose deadline passes asks before it gives up. A death is
 * reported within 100 ms.
 *
 * A thread is cancelled between two sleeps, when it is disarmed: then this loop calls `leave`,
 * which undoes the rest of the wait. Or it is cancelled inside the kind's `sleep`, if that is a
 * cancellation point: then `sleep` has to call `leave`.
 */
#ifndef LEAT_LIB_WAKE_WAIT_H
#define LEAT_LIB_WAKE_WAIT_H

#include "lib/wake/spin.h"

/* The first slice of each wait. */
#define LEAT__SLICE_NS UINT64_C(50000000)

/* The functions of one kind of wait; each gets the context of the wait. NULL: nothing to do. */
struct leat__wait_kind {
    /* Polls. Cheap: it is called in a spin. Once it was true it stays true during the wait. */
    bool (*ready)(void *context);
    /* May be NULL. Whether the kernel should be asked now, ahead of its time; called before each
     * sleep. */
    bool (*asks_now)(void *context);
    /* Asks the kernel; *again_ns: when to ask next; `last`: the wait is about to give up. Another
     * result than LEAT_OK is an event, which ends the wait. */
    int (*ask)(void *context, uint64_t now_ns, bool last, uint64_t *again_ns);
    /* Arms, and ends with the full fence. */
    void (*arm)(void *context);
    /* Sleeps. LEAT_EINTR: a signal handler ran. Other results do not matter. */
    int (*sleep)(void *context, uint64_t now_ns, uint64_t until_ns);
    void (*disarm)(void *context);
    /* Undoes the wait of a cancelled thread. NULL: the thread is not cancelled in this wait. */
    void (*leave)(void *context);
};

struct leat__wait {
    const struct leat__wait_kind *kind;
    void *context;
    struct leat__spin *spin;
    uint64_t ask_at_ns; /* when the kernel is to be asked first */
    uint64_t deadline_ns;
    bool interruptible;
};

/* Waits. Call it after a poll that found nothing. Returns LEAT_OK: ready; LEAT_ETIMEDOUT;
 * LEAT_EINTR if interruptible; or an event. */
int leat__wait(struct leat__wait *wait);

#endif
