/* lib/sync/sync.h - what mutexes, events and semaphores have in common: one word that says all, and
 * a way to wait for it to change.
 *
 * The object is a file of one page and a table: the header, the *word* (a struct leat__lock: 64
 * bits of state, a wake count, whether a thread may be sleeping), and for each participant the
 * process that took it, for people.
 *
 *     mutex       generation << 16 | holder (lib/sync/lock.h)
 *                 with priority inheritance 0: the kernel has its own word (lib/sync/sync_pi.c)
 *     event       pulses << 32 | claims << 18 | token << 17 | set << 16 | committer
 *     semaphore   count << 32 | claims << 18 | committer
 *
 * Holder and committer are numbers of participants.
 *
 * Every change is one compare-and-exchange of that word: so there is no moment in which a death can
 * leave it half changed. The *committer* is a waiter for all of several objects that has found all
 * of them to be had, and is taking them: it first puts its slot into each word (a *claim*), which
 * changes nothing else and keeps other waiters out; when all claims stand at one moment, all are
 * taken as of that moment, and it ends its claims one by one; else it takes its slot out again. If
 * it dies meanwhile, others find its slot's byte free and take the slot out for it; what it had not
 * taken is as it was. `claims` counts the claims, so that one who found a committer dead cannot
 * take out the claim of a later one that was given the same slot.
 *
 * A committer is done within a microsecond, or has been stopped, or its slot was put there by
 * something else. A waiter that meets a claim waits for its end, within its deadline. Changes
 * outside of waits have no deadline and do not depend on committers:
 *
 *   - set, reset and pulse of an event take the claim out. What they leave does not depend on what
 *     was there before: so the word is right whether the event counts as taken just before that
 *     change or was not taken at all. Which of both the committer decides by a second look at all
 *     claims after the last one [L8]: if one is gone, the event was not taken, and it claims it
 *     again or gives up. If one goes after that look, the event was taken before.
 *   - release adds to a semaphore's count and leaves the claim, which cannot become wrong by that.
 *     The committer ends its claim by a compare-and-exchange of what the word is then.
 *
 * A compare-and-exchange that fails means that another thread got on. One that fails a million
 * times in a row means that something other than leat writes to the word: calls without a deadline
 * return LEAT_ECORRUPT.
 *
 * Waiting is the loop of lib/wake/wait.h: armed with `contended`, asleep on the wake count; whoever
 * changes the word reads `contended`, and wakes. A waiter for several objects arms each and sleeps
 * on several wake counts at once. One wake-up serves one sleeper; so a waiter that leaves, or needs
 * something else as well, passes on the wake of what can be had and it does not take. A waiter for
 * all sleeps on those only that cannot be had: else two such waiters would pass a wake to and fro.
 */
#ifndef LEAT_LIB_SYNC_H
#define LEAT_LIB_SYNC_H

#include "leat/sync.h"
#include "lib/object/kept.h"
#include "lib/object/object.h"
#include "lib/sync/lock.h"

#define LEAT__SYNC_SET (UINT64_C(1) << 16)
/* of a pulse with automatic reset: for one who waited when it was given */
#define LEAT__SYNC_TOKEN (UINT64_C(1) << 17)
#define LEAT__SYNC_ONE (UINT64_C(1) << 32)   /* one pulse, one of a semaphore's count */
#define LEAT__SYNC_CLAIM (UINT64_C(1) << 18) /* one claim; they begin again at 2^14 */
#define LEAT__SYNC_CLAIMS (LEAT__SYNC_ONE - LEAT__SYNC_CLAIM)
#define LEAT__SYNC_TRIES 1000000 /* compare-and-exchanges in a row that other threads may win */

/* Indices of leat__header.parameters. */
enum {
    LEAT__SYNC_MANUAL = 0,
    LEAT__SYNC_MAXIMUM = 0,
    LEAT__SYNC_PI = 0,
    LEAT__SYNC_THREAD_SPACE = 1
};

/* One who waits in an event loop. */
struct leat__listener {
    leat__u32 participant; /* of its handle; 0: free */
    uint32_t reserved;
    leat__u64 notify, token; /* what to drop where */
};

#define LEAT__LISTENERS 64
/* a byte that is always 0: touched in the file to wake a loop that cannot be rung */
#define LEAT__SYNC_TOUCHED 4095

struct leat__sync_page {
    unsigned char header[256];
    struct leat__lock word;
    leat__u32 lost; /* mutex: 1 when it was given up */
    /* mutex: not 0 from when its owner's death was noticed, or it was closed while held, until an
     * owner who was told unlocks */
    leat__u32 abandoned;
    /* mutex with priority inheritance: the kernel's word, and a turn (lib/sync/sync_pi.c) */
    leat__u64 pi;
    leat__u64 listening; /* a bit for each listener that has announced itself */
    unsigned char apart[512 - 256 - sizeof(struct leat__lock) - 24];
    struct leat__listener listeners[LEAT__LISTENERS];
    unsigned char rest[4096 - 512 - LEAT__LISTENERS * sizeof(struct leat__listener)];
    /* by slot: who took it last, for people; with priority inheritance: the thread that tries or
     * holds */
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
    bool initially;    /* a new mutex is locked before anybody sees it */
    bool recursive;    /* mutex */
    bool pi;           /* mutex */
    bool manual;       /* event */
    uint32_t maximum;  /* semaphore */
    uint32_t depth;    /* mutex: how often this handle holds it */
    unsigned listener; /* its place among the listeners, from 1 on; 0: none */
    uint32_t thread;   /* mutex with priority inheritance: which thread locked it */
    uint32_t pulses;   /* event, while waiting: how many there had been when the wait began */
    /* event, while waiting: pulses are not for this wait, which is for all of several */
    bool unpulsed;
};

/* What a kind of object is when it is created. */
struct leat__sync_setup {
    leat_kind kind;
    uint64_t parameters[2];
    uint64_t word;
};

/* How long a sleep may last, after the first slice. Then the waiter asks about holders and
 * committers, and acts on a cancellation: neither wakes a sleeper. It costs ten wake-ups a second;
 * a longer slice would hide a death, or a cancelled thread, for as long. */
#define LEAT__SYNC_SLICE_NS UINT64_C(100000000)

/* Opens or creates by name, or opens what is behind a descriptor. */
int leat__sync_open(leat_waitable **out, const char *name, const leat_sync_options *options,
                    const struct leat__sync_setup *setup);
int leat__sync_open_descriptor(leat_waitable **out, int descriptor,
                               const leat_sync_options *options, leat_kind kind);
void leat__sync_close(leat_waitable *object);

/* LEAT_EINVAL for NULL, LEAT_EFORKED. */
int leat__sync_check(const leat_waitable *object);

/* Whether the object could be taken now. Changes nothing. */
bool leat__sync_available(const leat_waitable *object);

/* Puts the caller's slot into the word of an event or semaphore that can be taken, which keeps all
 * others out. LEAT_OK, LEAT_EBUSY. */
int leat__sync_claim(leat_waitable *object);

/* Takes it if it can be taken; asks the kernel about a dead holder or committer if told to probe.
 * LEAT_OK, LEAT_EOWNERDEAD, LEAT_ELOST, LEAT_EBUSY. */
int leat__sync_take(leat_waitable *object, bool probe);

/* What there is to do once a mutex's lock is ours: LEAT_OK, LEAT_EOWNERDEAD; LEAT_ELOST, and it is
 * released. */
int leat__sync_locked(leat_waitable *object, int result);

/* Gives up a mutex's lock. */
void leat__sync_unlock(leat_waitable *object);

/* Rings all loops that have announced themselves. */
void leat__sync_notify_all(leat_waitable *object);

static inline void leat__sync_notify(leat_waitable *object) {
    if (__builtin_expect(leat__load_total64(&object->page->listening) != 0, 0)) /* [L6] */
        leat__sync_notify_all(object);
}

/* Takes the slot of a committer that died out of the word of an event or semaphore. */
void leat__sync_heal(leat_waitable *object);

/* Tells those who wait that the word has changed, by an exchange or compare-and-exchange just
 * before: threads, and loops. */
static inline void leat__sync_wake(leat_waitable *object, bool all) {
    leat__lock_wake(&object->page->word, all);
    leat__sync_notify(object);
}

/* --- Waiting in an event loop: lib/sync/sync_listen.c ----------------------------------------- */

/* Takes a place among the listeners. LEAT_EBUSY when all are taken by handles that live. */
int leat__sync_listen(leat_waitable *object, uint64_t notify, uint64_t token);
/* Has it ring there from now on. */
void leat__sync_listen_elsewhere(leat_waitable *object, uint64_t notify);
void leat__sync_listen_no_more(leat_waitable *object);

/* Says that this listener is to be rung; or not. The first is followed by a full fence and a
 * look. */
void leat__sync_arm(leat_waitable *object);
void leat__sync_disarm(leat_waitable *object);

/* Whether leat_wait with LEAT_NOW would get it, as far as can be seen without trying; asks the
 * kernel about dead owners and committers if told to. LEAT__UNKNOWN: it did not answer. */
enum leat__answer leat__sync_obtainable(leat_waitable *object, bool ask);

/* --- Mutexes with priority inheritance: lib/sync/sync_pi.c ------------------------------------ */

/* As leat__lock_try, leat__lock_release. */
int leat__pi_try(leat_waitable *object, bool probe);
void leat__pi_release(leat_waitable *object);

/* The same, if the kernel does it: after an error other than LEAT_ECORRUPT the thread still has
 * it. */
int leat__pi_unlock(leat_waitable *object);

bool leat__pi_available(const leat_waitable *object);

/* Whose it is. Without an answer from the kernel, somebody's who lives. */
enum leat__pi_holder { LEAT__PI_NONE, LEAT__PI_ALIVE, LEAT__PI_DEAD };
enum leat__pi_holder leat__pi_holder(const leat_waitable *object);

/* Sleeps until it has the lock, or a slice is over. LEAT_OK, LEAT__LOCK_INHERITED, LEAT_ENOENT: its
 * holder is gone, or what leat__os_pi_lock returned. */
int leat__pi_sleep(leat_waitable *object, uint64_t until_ns);

/* Whether it names a thread that nobody alive vouches for. LEAT__UNKNOWN: no
 * answer from the kernel. */
enum leat__answer leat__pi_orphaned(const leat_waitable *object);

/* Whether another thread, which lives, has locked it through this handle. */
bool leat__pi_elsewhere(leat_waitable *object);

/* LEAT_ENOTSUP where such a mutex cannot be used. */
int leat__pi_check(const struct leat__header *header);

#endif
