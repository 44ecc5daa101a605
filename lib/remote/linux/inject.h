/* lib/remote/linux/inject.h - running system calls in another process, in three layers.
 *
 *     target.c        what /proc tells of a process: may it be traced, by which thread, what is
 *                     mapped where
 *     inject.c        a session: one thread is stopped, runs system calls of our choice, and goes
 *                     on as if nothing had been
 *     inject_map.c    what is run there to map a file, and to unmap it
 *     inject_<cpu>.c  registers
 *
 * The essay on why a session leaves no trace is in inject.c. Everything returns LEAT_OK or a
 * recorded failure. */
#ifndef LEAT_LIB_REMOTE_LINUX_INJECT_H
#define LEAT_LIB_REMOTE_LINUX_INJECT_H

#include <signal.h>
#include <stdio.h>
#include <sys/types.h>

#include "leat/error.h"
#include "lib/remote/remote.h"

/* --- target.c --------------------------------------------------------------------------------- */

/* Whether a process can be a target at all, before it is touched. *own: it is this process.
 * LEAT_ENOENT, LEAT_EINVAL, LEAT_ENOTSUP, LEAT_EBUSY, LEAT_EACCES. */
int leat__target_check(pid_t process, bool *own);

/* The start of a process, in clock ticks since boot. LEAT_ENOENT when there is no such process, or
 * an error. */
int leat__target_started(pid_t process, uint64_t *started);

/* A thread to stop, and the system call it sleeps in (-1: none, or not known). */
struct leat__candidate {
    pid_t thread;
    long call;
};

/* The thread to which a stop matters least. LEAT_ENOENT, LEAT_EAGAIN. */
int leat__target_choose(pid_t process, struct leat__candidate *chosen);

/* Turns the refusal of ptrace into words. */
int leat__target_refused(pid_t process, pid_t thread, int error);

/* How a thread's system calls are restricted; certain only while it is stopped. */
enum leat__seccomp { LEAT__SECCOMP_NONE, LEAT__SECCOMP_STRICT, LEAT__SECCOMP_FILTER };
int leat__target_seccomp(pid_t process, pid_t thread, enum leat__seccomp *seccomp);

/* Whether the thread has ended, or is ending, for certain. */
bool leat__target_thread_gone(pid_t process, pid_t thread);

/* A set of signals from the thread's status: "SigPnd:", "ShdPnd:", "SigBlk:"; bit n - 1 is signal
 * n. False, and none, when it cannot be read. */
bool leat__target_signals(pid_t process, pid_t thread, const char *key, uint64_t *signals);

/* Whether the process is a child of this one; true also when that cannot be known. */
bool leat__target_may_be_child(pid_t process);

/* One line of a process's list of mappings. */
struct leat__mapping {
    uint64_t start, end, offset, device, inode;
    bool readable, executable, shared, vdso;
};

/* The memory of a process, reached through one of its threads: the first may have ended, and has
 * none then. */

/* Calls visit for each mapping until it returns non-zero; returns that, 0, or an error. */
int leat__target_mappings(pid_t thread,
                          int (*visit)(const struct leat__mapping *mapping, void *context),
                          void *context);

/* Copies bytes out of or into it. */
int leat__target_read(pid_t thread, uint64_t address, void *buffer, size_t size);
int leat__target_write(pid_t thread, uint64_t address, const void *data, size_t size);

/* --- inject_<cpu>.c --------------------------------------------------------------------------- */

/* A stopped thread's registers as ptrace gives them; large enough for any processor here. */
struct leat__registers {
    _Alignas(16) unsigned char bytes[512];
    void *vectors; /* what a system call would spoil besides, or NULL; allocated */
    size_t vectors_size;
    int vectors_kind;
};

/* The bytes of the instruction that makes a system call, and what their address must be a multiple
 * of. */
extern const unsigned char leat__instruction[];
extern const size_t leat__instruction_size, leat__instruction_alignment;

/* Whether there is an implementation for this processor. */
extern const bool leat__inject_possible;

/* Reads a stopped thread's registers. LEAT_ENOTSUP when it runs 32-bit code. */
int leat__registers_save(pid_t thread, struct leat__registers *saved);

/* Makes the thread run one system call, from the instruction at the address, when it goes on. The
 * rest is as saved. */
int leat__registers_call(pid_t thread, const struct leat__registers *saved, uint64_t instruction,
                         long number, const uint64_t arguments[6]);

/* The call's result, once it is done: -errno or a value. */
int leat__registers_result(pid_t thread, int64_t *result);

/* What stands there instead when a filter has raised SIGSYS: the kernel puts back what the register
 * held before the call. */
int64_t leat__registers_refusal(long number, const uint64_t arguments[6]);

/* Puts back what was saved. An interrupted call that the kernel never restarts is made again, if
 * `undisturbed` and if that can be had. */
int leat__registers_restore(pid_t thread, const struct leat__registers *saved, bool undisturbed);

/* Whether what was saved stands before the call that the thread was seen in before the stop (or
 * -1), and tells the kernel nothing of its having been interrupted; then, at the exit when the
 * thread has entered that call again: says that it was interrupted. */
bool leat__registers_stand_before(pid_t thread, const struct leat__registers *saved, long call);
int leat__registers_interrupt(pid_t thread, const struct leat__registers *saved);

/* Frees what saving allocated. */
void leat__registers_free(struct leat__registers *saved);

/* --- inject.c --------------------------------------------------------------------------------- */

struct leat__session {
    pid_t process, thread;
    long interrupted;     /* the system call it was in, or -1 */
    uint64_t instruction; /* where in the target a system call can be made */
    uint64_t target_mask; /* of the thread, as it was */
    uint64_t critical;    /* its restartable sequence, or 0 */
    uint64_t critical_at; /* where that stands, or 0 */
    int held;             /* a signal to be sent again at the end, or 0 */
    bool altered;         /* registers and mask are ours */
    bool frozen;          /* does not get to run: nothing more can be asked of it */
    bool entered;         /* its own call again: its registers are the kernel's to put right */
    /* stopped where signals are delivered, so that calls are restarted from here */
    bool in_delivery;
    /* ended, executed another program, or was never stopped: there is nothing to let go of */
    bool gone;
    bool filtered; /* by seccomp */
    struct leat__registers registers;
    sigset_t own_mask; /* of the calling thread here */
};

/* Stops a thread of the process and makes it ready for calls. On failure nothing is left to be
 * ended. */
int leat__session_begin(struct leat__session *session, pid_t process);

/* Runs one system call there. LEAT_OK and its result, which may be -errno; otherwise the call was
 * not made. */
int leat__session_call(struct leat__session *session, int64_t *result, long number,
                       const uint64_t arguments[6]);

/* What a failure is due to: LEAT_ENOENT if the thread has ended meanwhile, for then nothing of it
 * can be read; else the result. */
int leat__session_confirm(struct leat__session *session, int result);

/* Puts everything back and lets go. */
void leat__session_end(struct leat__session *session);

#endif
