/* leat/sync.h - mutexes, events and semaphores between processes, with or without a name; waiting
 * for one of several objects or for all of them.
 *
 *     leat_mutex *mutex;
 *     if (leat_mutex_open(&mutex, "scoreboard", NULL) != LEAT_OK)
 *         ...
 *     int code = leat_mutex_lock(mutex, LEAT_FOREVER);
 *     if (code == LEAT_OK || code == LEAT_EOWNERDEAD) {
 *         ...
 *         leat_mutex_unlock(mutex);
 *     }
 *
 *     leat_event *ready;
 *     leat_event_open(&ready, "ready", NULL);
 *     leat_event_set(ready);                                     one process
 *     leat_wait(leat_event_waitable(ready), LEAT_FOREVER);       another process
 *
 * Deadlines, scopes and modes are explained in leat/base.h; names, permissions and lifetimes in
 * leat/object.h. An anonymous object lives as long as a handle or a descriptor of it.
 *
 * Death. Every object stays usable when a user dies, at any point. If a mutex's owner dies, or
 * closes its handle, the next owner gets the mutex with LEAT_EOWNERDEAD: a present waiter, or the
 * next handle that locks it. Such an *abandoned* mutex is not removed with its last user. It stays
 * until an owner that got LEAT_EOWNERDEAD has unlocked it. A semaphore's count and an event's state
 * are single words, so a death never leaves them half changed. What the dead process had taken is
 * not given back. If a process dies between changing an object and waking a waiter, the waiter
 * recovers by polling, after 50 ms and then every 100 ms.
 *
 * Peers that are stopped, or hostile. leat_event_set, _reset, _pulse and leat_semaphore_release
 * depend on no other process: they return at once, even if a process is stopped in the middle of
 * leat_wait_all. If a hostile process changes the object without end, they return LEAT_ECORRUPT.
 * Waits end by their deadline whatever the object contains. If a process is stopped in the
 * microsecond in which leat_wait_all takes a semaphore or an event, other waiters do not get that
 * object until the process continues or dies; an event also when it is set, reset or pulsed.
 *
 * If the system does not answer whether an owner lives (out of memory, or a seccomp filter forbids
 * the system call), the owner counts as alive. The lock call keeps asking until its deadline.
 *
 * Order. The first handle that polls a free object takes it, so newcomers may overtake waiters. Of
 * several sleeping threads the one with the highest real-time priority is woken first; among equal
 * ones there is no promised order. A mutex with priority inheritance goes to its waiters by
 * priority, then by arrival. Every 100 ms a waiter leaves that queue for a moment, to check whether
 * the owner lives, and then counts as a new arrival.
 *
 * Memory order. Unlocking a mutex happens before the next lock, setting or pulsing an event before
 * the wait that it ends, releasing a semaphore's unit before the wait that takes it.
 *
 * Threads. Handles, not threads, own mutexes and wait (exception: `inherit_priority`). A handle
 * belongs to one thread at a time, also for closing it; threads that share an object open a handle
 * each. Fork: with a parent's handle, every function that returns a code returns LEAT_EFORKED in
 * the child. Signals: no function may be called from a signal handler; waits continue after a
 * signal unless `interruptible` is set. Cancellation: a thread that waits here acts on
 * pthread_cancel within about 100 ms and takes nothing; the objects go to other waiters. The handle
 * stays open; a cleanup handler may close it. A call that does not wait is not a cancellation
 * point.
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

/* Options of all three. All zero is a sensible default: local scope, opened or created, removed
 * with its last user, accessible to this user id alone. An existing object keeps what applies when
 * it is created. */
typedef struct leat_sync_options {
    leat_scope scope;
    leat_mode mode;
    bool persistent; /* when created: stays until leat_unlink */
    bool anonymous;  /* without a name: the name must be NULL, and the object is always created */
    /* A wait returns LEAT_EINTR when a signal handler interrupts its sleep. In a wait for several
     * objects, one such handle suffices. */
    bool interruptible;
    /* Mutex: this handle may lock the mutex while it holds it, and must unlock it as many times.
     * Otherwise locking it again is LEAT_ESTATE. */
    bool recursive;
    bool manual_reset; /* event, when created: stays set until reset; else one waiter takes it */
    /* When created: a mutex is held by this handle, an event is set. leat_sync_info.created tells
     * whether this open created it. */
    bool initially;
    bool inherit_priority; /* mutex, when created: see below */
    /* When created: rwxrwxrwx bits. 0: 0600. All users need read and write permission, so a class
     * of users (owner, group, others) without w gets no r either (leat/object.h). */
    uint32_t permissions;
    uint64_t reserved[4]; /* zero */
} leat_sync_options;

/* The three `open` functions open or create an object as options->mode says (options NULL: the
 * defaults). They return LEAT_OK; LEAT_ENOENT or LEAT_EEXIST depending on the mode; LEAT_EKIND if
 * the name belongs to an object of another kind; LEAT_ENAME, also if the name is NULL; LEAT_ENOSPC,
 * LEAT_EACCES, LEAT_EUNTRUSTED, LEAT_EVERSION, LEAT_ECORRUPT, LEAT_EINVAL; LEAT_EBUSY if the object
 * has 4095 handles; LEAT_ELIMIT, LEAT_ENOMEM.
 *
 * The `open_descriptor` functions open the object of a descriptor from leat_sync_descriptor. The
 * descriptor stays the caller's and may be closed. Of the options they use `interruptible` and
 * `recursive`. The handle is a user like any other: the name is removed with the last of them. They
 * return LEAT_EKIND if the descriptor is of something else; LEAT_EACCES if this user may not open
 * the file again (by its permissions), or there is no /proc; otherwise as `open`.
 *
 * The `close` functions take NULL. */

/* --- Mutex ------------------------------------------------------------------------------------ */

/* Opens a mutex. With `inherit_priority` a waiter lends its priority to the thread that holds the
 * mutex, so that a thread of medium priority cannot keep both from running. Such a mutex belongs
 * to the *thread* that locked it: only that thread can unlock it (others: LEAT_ENOTOWNER), and the
 * thread's end counts as a death. leat_mutex_lock and leat_wait lend priority; waits for several
 * objects and interruptible handles do not. Locking a mutex that the thread holds through another
 * handle is LEAT_ESTATE. All users must be in one pid namespace; LEAT_ENOTSUP if they are not, if
 * that is unknown (no /proc), or if the system has no such locks. */
LEAT_API LEAT_CHECKED int leat_mutex_open(leat_mutex **mutex, const char *name,
                                          const leat_sync_options *options);
LEAT_API LEAT_CHECKED int leat_mutex_open_descriptor(leat_mutex **mutex, int descriptor,
                                                     const leat_sync_options *options);

/* Closes the handle. A mutex that it holds is abandoned: the next owner gets LEAT_EOWNERDEAD.
 * (Exception: with priority inheritance, if another thread holds the mutex through this handle,
 * nothing changes; call it again when that thread has unlocked.) */
LEAT_API void leat_mutex_close(leat_mutex *mutex);

/* Locks the mutex; waits until the deadline. Locked: LEAT_OK; or LEAT_EOWNERDEAD: the last owner
 * died, and the data that the mutex protects may be half changed. Repair the data and unlock as
 * usual, or call leat_mutex_give_up. Not locked: LEAT_EAGAIN (deadline LEAT_NOW), LEAT_ETIMEDOUT,
 * LEAT_EINTR; LEAT_ELOST after leat_mutex_give_up; LEAT_ESTATE if this handle holds it and is not
 * recursive. */
LEAT_API LEAT_CHECKED int leat_mutex_lock(leat_mutex *mutex, uint64_t deadline_ns);

/* Unlocks the mutex; a recursive handle as often as it locked it. Returns LEAT_OK; LEAT_ENOTOWNER
 * if this handle does not hold it (nothing changes). With priority inheritance also LEAT_ECORRUPT
 * if the mutex's memory names another owner, and LEAT_ESYSTEM or similar if the system does not
 * release it: the handle still holds it, and the call can be repeated. */
LEAT_API LEAT_CHECKED int leat_mutex_unlock(leat_mutex *mutex);

/* Unlocks the mutex and declares its data lost: every lock, also of present waiters, returns
 * LEAT_ELOST from now on. Returns LEAT_OK, LEAT_ENOTOWNER. */
LEAT_API LEAT_CHECKED int leat_mutex_give_up(leat_mutex *mutex);

/* Makes a lost mutex usable again; it is free then. Call it when the mutex's data is whole again.
 * Returns LEAT_OK; LEAT_ESTATE if it is not lost. */
LEAT_API LEAT_CHECKED int leat_mutex_reset(leat_mutex *mutex);

/* The mutex as an argument of leat_wait and its relatives; valid until the handle is closed. */
LEAT_API leat_waitable *leat_mutex_waitable(leat_mutex *mutex);

/* --- Event ------------------------------------------------------------------------------------ */

/* Opens an event. An existing event keeps its kind of reset and its state. */
LEAT_API LEAT_CHECKED int leat_event_open(leat_event **event, const char *name,
                                          const leat_sync_options *options);
LEAT_API LEAT_CHECKED int leat_event_open_descriptor(leat_event **event, int descriptor,
                                                     const leat_sync_options *options);
LEAT_API void leat_event_close(leat_event *event);

/* Sets the event. Manual reset: all present and later waiters continue until it is reset. Automatic
 * reset: one waiter, present or later, continues and resets it; setting a set event changes
 * nothing. Returns LEAT_OK, LEAT_EFORKED, LEAT_ECORRUPT. */
LEAT_API LEAT_CHECKED int leat_event_set(leat_event *event);

/* Resets the event. Returns LEAT_OK, LEAT_EFORKED, LEAT_ECORRUPT. */
LEAT_API LEAT_CHECKED int leat_event_reset(leat_event *event);

/* Lets the present waiters continue (automatic reset: one of them) and leaves the event reset.
 * leat_wait_all is not released by a pulse. Pulses in quick succession may count as one, if the
 * released thread has not run yet. Returns LEAT_OK, LEAT_EFORKED, LEAT_ECORRUPT. */
LEAT_API LEAT_CHECKED int leat_event_pulse(leat_event *event);

LEAT_API leat_waitable *leat_event_waitable(leat_event *event);

/* --- Semaphore -------------------------------------------------------------------------------- */

#define LEAT_SEMAPHORE_MAX UINT32_C(0x7fffffff)

/* Opens a semaphore. `maximum` is 1 to LEAT_SEMAPHORE_MAX, `initial` 0 to maximum; else
 * LEAT_EINVAL. An existing semaphore keeps its count and its maximum. */
LEAT_API LEAT_CHECKED int leat_semaphore_open(leat_semaphore **semaphore, const char *name,
                                              uint32_t initial, uint32_t maximum,
                                              const leat_sync_options *options);
LEAT_API LEAT_CHECKED int leat_semaphore_open_descriptor(leat_semaphore **semaphore, int descriptor,
                                                         const leat_sync_options *options);
LEAT_API void leat_semaphore_close(leat_semaphore *semaphore);

/* Adds `amount` (at least 1, else LEAT_EINVAL) to the count; *previous (may be NULL) is the count
 * before. Returns LEAT_OK; LEAT_EOVERFLOW if the count would exceed the maximum (nothing changes);
 * LEAT_ECORRUPT if the count already exceeds the maximum; LEAT_EFORKED. A unit that a leat_wait_all
 * has not quite taken is still part of the count. */
LEAT_API LEAT_CHECKED int leat_semaphore_release(leat_semaphore *semaphore, uint32_t amount,
                                                 uint32_t *previous);

LEAT_API leat_waitable *leat_semaphore_waitable(leat_semaphore *semaphore);

/* --- Waiting ---------------------------------------------------------------------------------- */

#define LEAT_WAIT_MAX 64

/* Waits until the object can be taken, and takes it: locks the mutex (as leat_mutex_lock), resets
 * an event with automatic reset, or takes one unit of the semaphore. Returns LEAT_OK, LEAT_EAGAIN,
 * LEAT_ETIMEDOUT, LEAT_EINTR, LEAT_EFORKED; for a mutex also as leat_mutex_lock. */
LEAT_API LEAT_CHECKED int leat_wait(leat_waitable *object, uint64_t deadline_ns);

/* Waits until one of the objects of `count` different handles can be taken, and takes it: of
 * several the one with the lowest index. count is 1 to LEAT_WAIT_MAX. *index (may be NULL) is the
 * object's index with LEAT_OK, LEAT_EOWNERDEAD (taken) and LEAT_ELOST (not taken). Returns
 * LEAT_EINVAL for another count, a NULL object or a handle that is given twice; LEAT_ESTATE for a
 * mutex whose handle holds it already and is not recursive; otherwise as leat_wait. */
LEAT_API LEAT_CHECKED int leat_wait_any(leat_waitable *const *objects, size_t count, size_t *index,
                                        uint64_t deadline_ns);

/* Waits until all of them can be taken, and takes them together; before that it takes none.
 * LEAT_EOWNERDEAD: all were taken, and the owner of at least one mutex had died; LEAT_ELOST: one
 * mutex is lost, none was taken. Returns LEAT_EINVAL also for two handles of one object and for a
 * mutex that its handle holds; otherwise as leat_wait_any. While another process's leat_wait_all
 * takes its objects, a mutex among them can seem held for a moment. */
LEAT_API LEAT_CHECKED int leat_wait_all(leat_waitable *const *objects, size_t count,
                                        uint64_t deadline_ns);

/* --- Handing over ----------------------------------------------------------------------------- */

/* Returns a new descriptor of the object in *descriptor; the caller closes it.
 * leat_descriptor_send passes it to another process. If `inherited`, it stays open across execve,
 * under its number; otherwise execve closes it. Returns LEAT_OK, LEAT_EFORKED,
 * LEAT_ELIMIT; LEAT_EACCES if there is no /proc. */
LEAT_API LEAT_CHECKED int leat_sync_descriptor(const leat_waitable *object, bool inherited,
                                               int *descriptor);

/* --- State ------------------------------------------------------------------------------------ */

typedef struct leat_sync_info {
    leat_kind kind;
    uint32_t handles; /* open handles in all processes, at most 4095; a snapshot */
    bool created;     /* this handle's open created the object */
    bool held;        /* mutex: it has an owner, which lives */
    bool abandoned;   /* mutex: its owner died; no owner that learnt of it has unlocked it since */
    bool lost;        /* mutex: leat_mutex_give_up */
    bool inherits_priority; /* mutex */
    bool manual_reset;      /* event */
    bool set;               /* event */
    /* Mutex: the present or last owner's process id, in its own pid namespace; with priority
     * inheritance its thread id. 0: none. */
    uint32_t holder;
    uint32_t count;       /* semaphore */
    uint32_t maximum;     /* semaphore */
    uint64_t reserved[4]; /* zero */
} leat_sync_info;

/* Describes the object of a handle. Returns LEAT_OK; LEAT_ENOMEM, LEAT_EACCES or LEAT_ESYSTEM if
 * the system does not answer which handles live; LEAT_EFORKED, LEAT_EINVAL. */
LEAT_API LEAT_CHECKED int leat_waitable_info(const leat_waitable *object, leat_sync_info *info);

/* Describes a mutex, an event or a semaphore by name; the caller does not become a user. Returns as
 * above; LEAT_EKIND for an object of another kind; LEAT_ENOENT, LEAT_EACCES, LEAT_EUNTRUSTED,
 * LEAT_EVERSION, LEAT_ECORRUPT, LEAT_ENAME. */
LEAT_API LEAT_CHECKED int leat_sync_stat(const char *name, leat_scope scope, leat_sync_info *info);

#ifdef __cplusplus
}
#endif
#endif
