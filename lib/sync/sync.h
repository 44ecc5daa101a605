/* lib/sync/sync.h - what mutexes, events and semaphores have in common: one word that holds their
 * whole state, and a wait for it to change.
 *
 * The object is a file of one page and a table. The page has the header and the *word* (a struct
 * leat__lock: 64 bits of state, a wake count, whether a thread may be sleeping). The table has, for
 * each participant, the process that took it; only people read that.
 *
 *     mutex       generation << 16 | holder (lib/sync/lock.h)
 *                 with priority inheritance 0: the kernel has its own word (lib/sync/sync_pi.c)
 *     event       pulses << 32 | claims << 18 | token << 17 | set << 16 | committer
 *     semaphore   count << 32 | claims << 18 | committer
 *
 * Holder and committer are numbers of participants.
 *
 * Every change is one compare-and-exchange of that word, so a death cannot leave it half changed.
 *
 * The *committer* is a waiter for all of several objects that has found all of them available, and
 * is taking them. First it puts its participant into each word (a *claim*), which changes nothing
 * else and keeps other waiters out. If all claims stand at one moment, all objects are taken as of
 * that moment, and the committer ends its claims one by one. Otherwise it takes its participant out
 * again. If it dies meanwhile, other handles find its byte free and take the participant out; what
 * it had not taken is unchanged. `claims` counts the claims. So a handle that found a committer
 * dead cannot take out a later claim, by a committer that was given the same participant.
 *
 * A committer is done within a microsecond, or it was stopped, or something other than leat wrote
 * the participant. A waiter that finds a claim waits for its end, within its deadline. Changes
 * outside of waits have no deadline, and do not depend on committers:
 *
 *   - set, reset and pulse of an event take the claim out. The word that they leave does not depend
 *     on the word before. So it is right in both cases: the event was taken just before the change,
 *     or it was not taken at all. The committer decides which: it reads all claims again after the
 *     last one [L8]. If a claim is gone, the event was not taken, and the committer claims it again
 *     or gives up. If a claim goes after that reading, the event was taken before the change.
 *   - release adds to a semaphore's count and leaves the claim, which stays valid. The committer
 *     ends its claim by a compare-and-exchange of the word as it is then.
 *
 * If a compare-and-exchange fails, another thread has made progress. If it fails a million times in
 * a row, something other than leat writes to the word: calls without a deadline return
 * LEAT_ECORRUPT.
 *
 * Waiting is the loop of lib/wake/wait.h. A waiter arms with `contended` and sleeps on the wake
 * count; a thread that changes the word reads `contended`, and wakes. A waiter for several objects
 * arms each, and sleeps on several wake counts at once. One wake-up serves one sleeper. So a waiter
 * that leaves, or needs other objects too, passes on the wake of an available object that it does
 * not take. wait_all sleeps only on unavailable objects; otherwise two such waiters would pass one
 * wake-up back and forth.
 */
#ifndef LEAT_LIB_SYNC_H
#define LEAT_LIB_SYNC_H

#include "leat/sync.h"
#include "lib/object/kept.h"
#include "lib/object/object.h"
#include "lib/sync/lock.h"

#define LEAT__SYNC_SET (UINT64_C(1) << 16)
/* of a pulse with automatic reset: for one waiter that waited at that moment */
#define LEAT__SYNC_TOKEN (UINT64_C(1) << 17)
#define LEAT__SYNC_ONE (UINT64_C(1) << 32)   /* one pulse, one of a semaphore's count */
#define LEAT__SYNC_CLAIM (UINT64_C(1) << 18) /* one claim; the number wraps at 2^14 */
#define LEAT__SYNC_CLAIMS (LEAT__SYNC_ONE - LEAT__SYNC_CLAIM)
#define LEAT__SYNC_TRIES 1000000 /* compare-and-exchanges in a row that other threads may win */

/* Indices of leat__header.parameters. */
enum {
    LEAT__SYNC_MANUAL = 0,
    LEAT__SYNC_MAXIMUM = 0,
    LEAT__SYNC_PI = 0,
    LEAT__SYNC_THREAD_SPACE = 1
};

/* A handle that waits in an event loop. */
struct leat__listener {
    leat__u32 participant; /* of the handle; 0: free */
    uint32_t reserved;
    leat__u64 notify, token; /* which token to send to which socket */
};

#define LEAT__LISTENERS 64
/* a byte that is always 0: touched to wake a loop whose notify socket cannot be used */
#define LEAT__SYNC_TOUCHED 4095

struct leat__sync_page {
    unsigned char header[256];
    struct leat__lock word;
    leat__u32 lost; /* mutex: 1 when it was given up */
    /* mutex: not 0 from when its owner's death was noticed, or it was closed while held, until an
     * owner that got LEAT_EOWNERDEAD unlocks */
    leat__u32 abandoned;
    /* mutex with priority inheritance: the kernel's word, and a generation (lib/sync/sync_pi.c) */
    leat__u64 pi;
    leat__u64 listening; /* a bit for each listener that is armed */
    unsigned char apart[512 - 256 - sizeof(struct leat__lock) - 24];
    struct leat__listener listeners[LEAT__LISTENERS];
    unsigned char rest[4096 - 512 - LEAT__LISTENERS * sizeof(struct leat__listener)];
    /* by participant: the process that took it last, for people; with priority inheritance: the
     * thread that tries or holds */
    leat__u32 processes[LEAT__PARTICIPANTS_MAX + 1];
};

_Static_assert(sizeof(struct leat__sync_page) == 4096 + 4 * 4096, "a page and a table");
_Static_assert(offsetof(struct leat__sync_page, word) == 256, "the word has a line of its own");
_Static_assert(sizeof(struct leat__sync_page) == LEAT__MUTEX_FILE_SIZE, "as kept.h says");
_Static_assert(offsetof(struct leat__sync_page, word) == LEAT__MUTEX_WORDS, "as kept.h says");
_Static_assert(offsetof(struct leat__sync_page, abandoned) - LEAT__MUTEX_WORDS ==
                   offsetof(struct leat__mutex_words, abandoned),
               "as kept.h says");
_Static_assert(offsetof(struct leat__sync_page, pi) - LEAT__MUTEX_WORDS ==
                   offsetof(struct leat__mutex_words, pi),
               "as kept.h says");
_Static_assert(LEAT__SYNC_PI == LEAT__MUTEX_PI, "as kept.h says");
_Static_assert(offsetof(struct leat__sync_page, listeners) == 512, "as docs/wire-format.md says");

struct leat_waitable {
    struct leat__object object;
    struct leat__sync_page *page;
    leat_kind kind;
    unsigned participant;
    bool interruptible;
    bool initially;    /* a new mutex is locked before other processes see it */
    bool recursive;    /* mutex */
    bool pi;           /* mutex */
    bool manual;       /* event */
    uint32_t maximum;  /* semaphore */
    uint32_t depth;    /* mutex: how often this handle holds it */
    unsigned listener; /* its place among the listeners, 1 or more; 0: none */
    uint32_t thread;   /* mutex with priority inheritance: the thread that locked it */
    uint32_t pulses;   /* event, while waiting: the number of pulses when the wait began */
    /* event, while waiting: pulses do not count for this wait, which is for all of several */
    bool unpulsed;
};

/* The state of a new object. */
struct leat__sync_setup {
    leat_kind kind;
    uint64_t parameters[2];
    uint64_t word;
};

/* How long a sleep may last, after the first slice. Then the waiter asks about holders and
 * committers, and acts on a cancellation: neither of these wakes a sleeper. The price is ten
 * wake-ups a second; a longer slice would delay a death's report, or a cancellation, for as
 * long. */
#define LEAT__SYNC_SLICE_NS UINT64_C(100000000)

/* Opens or creates by name, or opens the object behind a descriptor. */
int leat__sync_open(leat_waitable **out, const char *name, const leat_sync_options *options,
                    const struct leat__sync_setup *setup);
int leat__sync_open_descriptor(leat_waitable **out, int descriptor,
                               const leat_sync_options *options, leat_kind kind);
void leat__sync_close(leat_waitable *object);

/* LEAT_EINVAL for NULL, LEAT_EFORKED. */
int leat__sync_check(const leat_waitable *object);

/* Whether the object could be taken now. Changes nothing. */
bool leat__sync_available(const leat_waitable *object);

/* Puts the caller's participant into the word of an event or semaphore that can be taken, which
 * keeps all other handles out. LEAT_OK, LEAT_EBUSY. */
int leat__sync_claim(leat_waitable *object);

/* Takes the object if it can be taken. With `probe`, asks the kernel whether the holder or
 * committer is dead. LEAT_OK, LEAT_EOWNERDEAD, LEAT_ELOST, LEAT_EBUSY. */
int leat__sync_take(leat_waitable *object, bool probe);

/* Completes the taking of a mutex whose lock the caller has. LEAT_OK, LEAT_EOWNERDEAD; LEAT_ELOST:
 * then the lock is released. */
int leat__sync_locked(leat_waitable *object, int result);

/* Releases a mutex's lock. */
void leat__sync_unlock(leat_waitable *object);

/* Wakes all loops that are armed. */
void leat__sync_notify_all(leat_waitable *object);

static inline void leat__sync_notify(leat_waitable *object) {
    if (__builtin_expect(leat__load_total64(&object->page->listening) != 0, 0)) /* [L6] */
        leat__sync_notify_all(object);
}

/* Takes the participant of a dead committer out of the word of an event or semaphore. */
void leat__sync_heal(leat_waitable *object);

/* Wakes threads and loops that wait. Call it right after the exchange or compare-and-exchange that
 * changed the word. */
static inline void leat__sync_wake(leat_waitable *object, bool all) {
    leat__lock_wake(&object->page->word, all);
    leat__sync_notify(object);
}

/* --- Waiting in an event loop: lib/sync/sync_listen.c ----------------------------------------- */

/* Takes a place among the listeners. LEAT_EBUSY when live handles have all places. */
int leat__sync_listen(leat_waitable *object, uint64_t notify, uint64_t token);
/* Changes the notify socket to which the token is sent. */
void leat__sync_listen_elsewhere(leat_waitable *object, uint64_t notify);
void leat__sync_listen_no_more(leat_waitable *object);

/* Arms or disarms this listener. After arming, the caller executes a full fence and polls. */
void leat__sync_arm(leat_waitable *object);
void leat__sync_disarm(leat_waitable *object);

/* Whether leat_wait with LEAT_NOW would take the object, as far as can be known without trying.
 * With `ask`, asks the kernel about dead owners and committers. LEAT__UNKNOWN: the kernel did not
 * answer. */
enum leat__answer leat__sync_obtainable(leat_waitable *object, bool ask);

/* --- Mutexes with priority inheritance: lib/sync/sync_pi.c ------------------------------------ */

/* As leat__lock_try, leat__lock_release. */
int leat__pi_try(leat_waitable *object, bool probe);
void leat__pi_release(leat_waitable *object);

/* Releases, and returns the kernel's error: after one other than LEAT_ECORRUPT the thread still has
 * the mutex. */
int leat__pi_unlock(leat_waitable *object);

bool leat__pi_available(const leat_waitable *object);

/* Whether the mutex has a holder, and whether the holder lives. Without an answer from the kernel
 * the holder counts as alive. */
enum leat__pi_holder { LEAT__PI_NONE, LEAT__PI_ALIVE, LEAT__PI_DEAD };
enum leat__pi_holder leat__pi_holder(const leat_waitable *object);

/* Sleeps until the thread has the lock, or until_ns. LEAT_OK, LEAT__LOCK_INHERITED, LEAT_ENOENT:
 * the holder is gone; or another result of leat__os_pi_lock. */
int leat__pi_sleep(leat_waitable *object, uint64_t until_ns);

/* Whether the mutex is held by a thread for which no live handle vouches. LEAT__UNKNOWN: no answer
 * from the kernel. */
enum leat__answer leat__pi_orphaned(const leat_waitable *object);

/* Whether another live thread has locked the mutex through this handle. */
bool leat__pi_elsewhere(leat_waitable *object);

/* LEAT_ENOTSUP where such a mutex cannot be used. */
int leat__pi_check(const struct leat__header *header);

#endif
