/* leat/sync.h - mutexes, events and semaphores between processes, by name or without one, and
 * waiting for one of several or for all of them.
 *
 *     leat_mutex *mutex;                                            leat_event *ready;
 *     if (leat_mutex_open(&mutex, "scoreboard", NULL) != LEAT_OK)   leat_event_open(&ready, "ready", NULL);
 *         ...                                                       leat_event_set(ready);        one program
 *     int code = leat_mutex_lock(mutex, LEAT_FOREVER);              leat_wait(leat_event_waitable(ready), LEAT_FOREVER);
 *     if (code == LEAT_OK || code == LEAT_EOWNERDEAD) {                                           another
 *         ...
 *         leat_mutex_unlock(mutex);
 *     }
 *
 * Death. All of them survive the death of any user at any point. A mutex whose owner's process
 * ended, or whose owner closed the handle, goes to the next one who waits, who is told
 * (LEAT_EOWNERDEAD); to the next one who opens it, if the process that ended was its last user.
 * Such a mutex stays until an owner that was told of the death has unlocked it, also when it was to
 * die with its last user. Counts and signals are single words: never half changed, never given back
 * by a death. A waiter looks by itself after 50 ms at first, then every 100 ms: that is the longest
 * that a death delays it.
 *
 * Peers that are stopped, or lie. Changes (leat_event_set, _reset, _pulse, leat_semaphore_release)
 * depend on no other process: they return at once, also when one is stopped in the middle of
 * leat_wait_all or writes nonsense (LEAT_ECORRUPT when the object can no longer be changed). Waits
 * end by their deadline whatever the object holds. A process that is stopped in the microsecond in
 * which leat_wait_all takes a semaphore or an event keeps other waiters out until it goes on; an
 * event, until it is set again.
 *
 * When the system does not answer whether a holder lives (it has no memory for the question, or a
 * filter refuses it), the holder counts as alive: a lock call asks again, and ends with
 * LEAT_ETIMEDOUT or LEAT_EAGAIN.
 *
 * Order. Whoever looks first has it: newcomers may overtake those who wait. Of several who sleep
 * the one with the highest real-time priority is woken first; among those without, no order is
 * promised. A mutex with priority inheritance is handed over in order of priority and then of
 * arrival, where a waiter counts as newly arrived every 100 ms, when it has looked whether the
 * holder lives.
 *
 * Who. A handle is what owns a mutex and what waits: it belongs to one thread at a time. Threads
 * that share an object open a handle each. Fork: a child cannot use its parent's handles
 * (LEAT_EFORKED). Signals: nothing here may be called from a handler; waits go on after one unless
 * `interruptible` is set. Cancellation: a thread that waits here for longer than a moment acts on
 * pthread_cancel within about 100 ms, holding nothing that it waits for; what could have been its,
 * others get. No other
 * call is a cancellation point; the handle stays open, and its owner closes it in a cleanup
 * handler. Names, scopes and lifetimes are those of all objects (leat/object.h); what has no name
 * lives as long as a handle or a descriptor of it.
 */
#ifndef LEAT_SYNC_H
#define LEAT_SYNC_H

#include "leat/object.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct leat_mutex leat_mutex;
typedef struct leat_event leat_event;
typedef struct leat_semaphore leat_semaphore;
typedef struct leat_waitable leat_waitable; /* any of the three */

/* What all three have in common. All zero is the sensible default: local, open or create, dies with
 * its last user, for this user alone. */
typedef struct leat_sync_options {
    leat_scope scope;
    leat_mode mode;
    bool persistent; /* when created: stays until leat_unlink */
    bool anonymous;  /* the object has no name: the name is NULL, and the object always created */
    bool interruptible; /* waits end with LEAT_EINTR when a signal handler ran */
    bool recursive;     /* mutex: locking what this handle holds counts, instead of LEAT_ESTATE */
    /* event, when created: stays set until it is reset; otherwise one waiter takes it */
    bool manual_reset;
    bool initially;        /* when created. Mutex: held by this handle; event: set */
    bool inherit_priority; /* mutex, when created: see below */
    /* when created: rwxrwxrwx bits; 0 means 0600. All users need read and write permission: of
     * owner, group and others, who is not given w is not given r (leat/object.h) */
    uint32_t permissions;
    uint64_t reserved[4]; /* zero */
} leat_sync_options;

/* What all three `open` functions do: open the object, or create it, as options->mode says (NULL:
 * the defaults). LEAT_ENOENT, LEAT_EEXIST, LEAT_EKIND when the name belongs to another kind of
 * object, LEAT_ENAME, also when the name is NULL, LEAT_ENOSPC, LEAT_EACCES, LEAT_EUNTRUSTED,
 * LEAT_EVERSION, LEAT_ECORRUPT, LEAT_EINVAL, LEAT_EBUSY when it has 4095 handles, LEAT_ELIMIT,
 * LEAT_ENOMEM.
 *
 * `open_descriptor` opens what is behind a descriptor that leat_sync_descriptor gave; the
 * descriptor stays the caller's and may be closed. Of the options, `interruptible` and `recursive`
 * count. LEAT_EKIND when it is something else, LEAT_EACCES where this user may not open the file
 * again (`permissions` decide that), or there is no /proc. Such a handle is a user like any other:
 * the name goes with the last of them. */

/* --- Mutex ------------------------------------------------------------------------------------ */

/* With `inherit_priority` a waiter lends its priority to the thread that holds the mutex, so that a
 * thread of middling priority cannot keep both from running. Then a mutex belongs to the *thread*
 * that locked it, which alone can unlock it (others: LEAT_ENOTOWNER) and whose end is a death like
 * a process's. Priority is lent by leat_mutex_lock and leat_wait, not while waiting for several,
 * nor by an interruptible handle. Locking what another handle of the same thread holds is
 * LEAT_ESTATE. All users must be in one pid namespace. LEAT_ENOTSUP where that is not so, or cannot
 * be known (no /proc), or the system has no such locks. */
LEAT_API LEAT_CHECKED int leat_mutex_open(leat_mutex **mutex, const char *name,
                                          const leat_sync_options *options);
LEAT_API LEAT_CHECKED int leat_mutex_open_descriptor(leat_mutex **mutex, int descriptor,
                                                     const leat_sync_options *options);

/* Leaves. A mutex that the handle still holds is left as by death: the next one is told. NULL is
 * allowed. (One with priority inheritance that another thread holds through this handle stays that
 * thread's, and the handle open.) */
LEAT_API void leat_mutex_close(leat_mutex *mutex);

/* Locks. LEAT_OK, or LEAT_EOWNERDEAD: locked all the same, but the last owner died, and what it
 * protected may be half changed: repair it, then unlock as usual; or leat_mutex_give_up. Not
 * locked: LEAT_EAGAIN (deadline LEAT_NOW), LEAT_ETIMEDOUT, LEAT_EINTR, LEAT_ELOST, LEAT_ESTATE when
 * this handle holds it and is not recursive. */
LEAT_API LEAT_CHECKED int leat_mutex_lock(leat_mutex *mutex, uint64_t deadline_ns);

/* Unlocks; as often as it was locked, with a recursive handle. LEAT_ENOTOWNER when this handle does
 * not hold it: nothing changes. One with priority inheritance: LEAT_ECORRUPT when its memory names
 * another owner; LEAT_ESYSTEM and the like when the system does not release it: the handle still
 * holds it, and unlocking can be tried again. */
LEAT_API LEAT_CHECKED int leat_mutex_unlock(leat_mutex *mutex);

/* Unlocks and declares lost what it protects: every lock is LEAT_ELOST from now on, for those who
 * wait too. LEAT_ENOTOWNER. */
LEAT_API LEAT_CHECKED int leat_mutex_give_up(leat_mutex *mutex);

/* Makes a lost mutex usable again, once what it protects has been made anew. LEAT_ESTATE when it is
 * not lost. */
LEAT_API LEAT_CHECKED int leat_mutex_reset(leat_mutex *mutex);

LEAT_API leat_waitable *leat_mutex_waitable(leat_mutex *mutex);

/* --- Event ------------------------------------------------------------------------------------ */

/* An existing event keeps its kind of reset and its state. */
LEAT_API LEAT_CHECKED int leat_event_open(leat_event **event, const char *name,
                                          const leat_sync_options *options);
LEAT_API LEAT_CHECKED int leat_event_open_descriptor(leat_event **event, int descriptor,
                                                     const leat_sync_options *options);
LEAT_API void leat_event_close(leat_event *event);

/* Sets it. Manual reset: all who wait go on, and all who come, until it is reset. Automatic: one
 * goes on, now or later, and takes the signal; setting what is set changes nothing.
 * LEAT_EFORKED. */
LEAT_API LEAT_CHECKED int leat_event_set(leat_event *event);

/* Takes the signal away. LEAT_EFORKED, and LEAT_ECORRUPT as the other two. */
LEAT_API LEAT_CHECKED int leat_event_reset(leat_event *event);

/* Lets those go on who wait at this moment (automatic: one of them), and leaves it reset. Pulses
 * that follow each other before the one who was let go has woken may count as one. Of wait calls
 * for all of several, none. LEAT_EFORKED. */
LEAT_API LEAT_CHECKED int leat_event_pulse(leat_event *event);

LEAT_API leat_waitable *leat_event_waitable(leat_event *event);

/* --- Semaphore -------------------------------------------------------------------------------- */

#define LEAT_SEMAPHORE_MAX UINT32_C(0x7fffffff)

/* initial from 0 to maximum, maximum from 1 to LEAT_SEMAPHORE_MAX, else LEAT_EINVAL; an existing
 * semaphore keeps its own. */
LEAT_API LEAT_CHECKED int leat_semaphore_open(leat_semaphore **semaphore, const char *name,
                                              uint32_t initial, uint32_t maximum,
                                              const leat_sync_options *options);
LEAT_API LEAT_CHECKED int leat_semaphore_open_descriptor(leat_semaphore **semaphore, int descriptor,
                                                         const leat_sync_options *options);
LEAT_API void leat_semaphore_close(leat_semaphore *semaphore);

/* Adds `amount`, 1 or more (else LEAT_EINVAL), to the count; *previous (may be NULL) is what it
 * was. LEAT_EOVERFLOW when that would pass the maximum: nothing changes. One that leat_wait_all is
 * taking at this moment counts until it is taken. LEAT_ECORRUPT when the count has passed the
 * maximum already. LEAT_EFORKED. */
LEAT_API LEAT_CHECKED int leat_semaphore_release(leat_semaphore *semaphore, uint32_t amount,
                                                 uint32_t *previous);

LEAT_API leat_waitable *leat_semaphore_waitable(leat_semaphore *semaphore);

/* --- Waiting ---------------------------------------------------------------------------------- */

#define LEAT_WAIT_MAX 64

/* Waits until the object can be taken, and takes it: locks the mutex, takes the automatic event's
 * signal, or one of the semaphore's count. For a mutex the same as leat_mutex_lock. LEAT_EAGAIN,
 * LEAT_ETIMEDOUT, LEAT_EINTR, LEAT_EFORKED. */
LEAT_API LEAT_CHECKED int leat_wait(leat_waitable *object, uint64_t deadline_ns);

/* Waits until one of 1 to LEAT_WAIT_MAX different objects can be taken, and takes it: of several
 * the one with the lowest index. *index (may be NULL) says which, with LEAT_OK, LEAT_EOWNERDEAD
 * (taken) and LEAT_ELOST (not taken). LEAT_EINVAL for other counts, NULL, and handles that are
 * given twice. A mutex that its handle holds already is LEAT_ESTATE, unless it is recursive. */
LEAT_API LEAT_CHECKED int leat_wait_any(leat_waitable *const *objects, size_t count, size_t *index,
                                        uint64_t deadline_ns);

/* Waits until all of them can be taken, and takes them together: until then none. LEAT_EOWNERDEAD:
 * all were taken, and the owner of at least one mutex among them had died. Two handles of one
 * object are LEAT_EINVAL here, and so is a mutex that its handle holds. While others commit, a
 * mutex can look held for a moment that nobody will keep. */
LEAT_API LEAT_CHECKED int leat_wait_all(leat_waitable *const *objects, size_t count,
                                        uint64_t deadline_ns);

/* --- Handing over ----------------------------------------------------------------------------- */

/* A new descriptor of the object, to be closed by the caller. It is closed when the process starts
 * another program, unless `inherited`: then programs started while it is open have it under its
 * number. leat_descriptor_send passes it on. LEAT_EFORKED, LEAT_ELIMIT, LEAT_EACCES where there is
 * no /proc. */
LEAT_API LEAT_CHECKED int leat_sync_descriptor(const leat_waitable *object, bool inherited,
                                               int *descriptor);

/* --- State ------------------------------------------------------------------------------------ */

typedef struct leat_sync_info {
    leat_kind kind;
    uint32_t handles; /* open on it, at most 4095; a snapshot */
    bool created;     /* this handle's open created it */
    bool held;        /* mutex: its owner lives */
    bool
        abandoned; /* mutex: its owner died, and no owner that learnt of it has unlocked it since */
    bool lost;     /* mutex: given up */
    bool inherits_priority; /* mutex */
    bool manual_reset;      /* event */
    bool set;               /* event */
    /* mutex: the process that holds it or held it last, as it is numbered in its own namespace;
     * else 0. With priority inheritance the thread */
    uint32_t holder;
    uint32_t count;       /* semaphore */
    uint32_t maximum;     /* semaphore */
    uint64_t reserved[4]; /* zero */
} leat_sync_info;

/* Describes an open object. LEAT_ENOMEM, LEAT_EACCES or LEAT_ESYSTEM when the system does not
 * answer which handles live; LEAT_EFORKED, LEAT_EINVAL. */
LEAT_API LEAT_CHECKED int leat_waitable_info(const leat_waitable *object, leat_sync_info *info);

/* The same of a mutex, event or semaphore by its name, without becoming a user. LEAT_EKIND when it
 * is something else, LEAT_ENOENT, LEAT_EACCES, LEAT_EUNTRUSTED, LEAT_EVERSION, LEAT_ECORRUPT,
 * LEAT_ENAME; and as above. */
LEAT_API LEAT_CHECKED int leat_sync_stat(const char *name, leat_scope scope, leat_sync_info *info);

#ifdef __cplusplus
}
#endif
#endif
