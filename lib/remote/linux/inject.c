/* lib/remote/linux/inject.c - a session: one thread of another process runs system calls of ours,
 * and goes on as if nothing had been.
 *
 * Guarantee. When a session ends, the thread has the registers, the signal mask and the pending
 * signals that it would have had; a system call that the stop interrupted is restarted by the
 * kernel's own rules; a process that was stopped stays stopped. No byte of the target that it uses
 * itself is written: neither code nor stack.
 *
 * How. PTRACE_SEIZE and PTRACE_INTERRUPT stop the thread where the kernel looks for signals (a stop
 * "in delivery"). There its registers tell of the interrupted system call by a number and an
 * internal result (-ERESTARTSYS and the like), on which the kernel acts when it goes on from such a
 * stop. From others it does so only by the way (6.18: letting go of a thread sends it through
 * delivery). So:
 *
 *     1  at the first stop in delivery, registers and mask are saved. All signals are blocked but
 *        SIGSYS, so that they queue up, with all that belongs to them, instead of being delivered
 *        on top of foreign registers. (SIGSYS: the kernel resets the handler of a blocked signal
 *        that a seccomp filter raises.)
 *     2  for each call: registers that say "in no system call, about to make this one" at an
 *        instruction found in the target, PTRACE_SYSCALL to the call's entry, PTRACE_SYSCALL to its
 *        exit.
 *     3  PTRACE_INTERRUPT again before the thread can leave the kernel: another stop in delivery.
 *        Registers and mask are put back there, and the kernel is let go on: it restarts what was
 *        interrupted, and delivers what has queued up. (Where registers do not tell of the
 *        interrupted call, the thread has entered that again before: inject_arm64.c.)
 *
 * What comes in between. SIGSTOP cannot be blocked: it is passed on, the process's other threads
 * stop, this one runs our calls all the same and stops when it is let go, because the kernel
 * remembers. SIGKILL, or another thread's execve, ends the thread: every request may find it gone.
 * A restartable sequence is noted by the kernel in the thread's memory, and that note dropped when
 * the thread runs elsewhere: it is put back, so that the sequence is restarted as after any other
 * preemption.
 *
 * Stops are learnt of by looking, not by a blocking wait, which another thread of this process that
 * waits for any child could rob of its news. Death is only looked at, so that the host's own child
 * stays the host's to reap.
 *
 * Crash points. If this process dies, the kernel lets the thread run on with the registers of that
 * moment: before step 2 and after step 3 these are its own, and nothing was lost; in between they
 * are ours, and the target most likely crashes. PTRACE_O_EXITKILL, which would make that certain,
 * is not set. Signals wait here meanwhile, so only SIGKILL, a fault or another thread can do it. */
#include "lib/remote/linux/inject.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fail.h"

#define CHOICES 10 /* threads may end between being chosen and being stopped */
#define PATIENCE_NS UINT64_C(10000000000) /* for a thread to get its turn to run */
/* looks have sched_yield in between so long; most stops come within a few. Measured by time: a
 * yield may take a scheduler's round */
#define YIELD_NS 1000000
#define DOUBT_NS 200000
#define PAUSE_NS 100000
#define LOOKS_FOR_END 2000 /* with a pause each */
#define MASK_SIZE ((void *)(uintptr_t)sizeof(uint64_t))
#define SIGNAL_BIT(number) (UINT64_C(1) << ((number)-1))

/* Of the kernel's interface; older system headers do not have them. */
#define REQUEST_RSEQ 0x420f
#define REQUEST_SYSEMU 31
struct rseq_configuration {
    uint64_t address;
    uint32_t size, signature, flags, padding;
};
#define RSEQ_CRITICAL 8 /* the offset of rseq_cs in struct rseq */

/* Not by the C library's function, whose enumeration lacks some requests. */
static long request(int what, pid_t thread, void *address, void *data) {
    return syscall(SYS_ptrace, (long)what, (long)thread, address, data);
}

/* --- Stops ------------------------------------------------------------------------------------ */

enum stop { STOP_EVENT, STOP_CALL, STOP_SIGNAL, STOP_GONE, STOP_LATE };

static enum stop stop_of(int status, int *signal_number) {
    *signal_number = status & 0x7f;
    if (status >> 8 == PTRACE_EVENT_STOP)
        return STOP_EVENT;
    return status == (SIGTRAP | 0x80) ? STOP_CALL : STOP_SIGNAL;
}

/* One look for news. */
static bool look(const struct leat__session *session, enum stop *stop, int *signal_number) {
    siginfo_t news = {0};
    if (waitid(P_PID, (id_t)session->thread, &news,
               WSTOPPED | WEXITED | WNOWAIT | WNOHANG | __WALL) != 0) {
        *stop = STOP_GONE;
        return errno == ECHILD;
    }
    if (news.si_pid == 0)
        return false;
    *stop = news.si_code == CLD_TRAPPED ? stop_of(news.si_status, signal_number) : STOP_GONE;
    if (*stop != STOP_GONE)
        waitid(P_PID, (id_t)session->thread, &news, WSTOPPED | WNOHANG | __WALL);
    return true;
}

/* For when there has been no news for a while: it may have gone to somebody else's wait, or the
 * first thread of a process may have ended before the others, of which no news comes. */
static bool doubt(const struct leat__session *session, enum stop *stop, int *signal_number) {
    siginfo_t cause;
    if (request(PTRACE_GETSIGINFO, session->thread, NULL, &cause) == 0) {
        bool ours = cause.si_code >> 8 == PTRACE_EVENT_STOP || cause.si_code == (SIGTRAP | 0x80);
        *stop = stop_of(ours ? cause.si_code : cause.si_signo, signal_number);
        return true;
    }
    *stop = STOP_GONE;
    return leat__target_thread_gone(session->process, session->thread);
}

/* Waits for the next stop; the signal that belongs to it goes out. */
static enum stop await(struct leat__session *session, uint64_t deadline_ns, int *signal_number) {
    enum stop stop;
    uint64_t began_ns = leat_now(), doubt_ns = began_ns + DOUBT_NS;
    while (!look(session, &stop, signal_number)) {
        uint64_t now_ns = leat_now();
        if (now_ns >= doubt_ns) {
            if (doubt(session, &stop, signal_number))
                break;
            doubt_ns = now_ns + DOUBT_NS;
        }
        if (now_ns >= deadline_ns)
            return STOP_LATE;
        if (now_ns - began_ns < YIELD_NS)
            sched_yield();
        else
            nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    }
    session->gone = stop == STOP_GONE;
    session->in_delivery = stop == STOP_EVENT || stop == STOP_SIGNAL;
    return stop;
}

static int fail_for_end(struct leat__session *session) {
    session->gone = true;
    return leat__fail(
        LEAT_ENOENT, ESRCH, "process %d ended or executed another program meanwhile%s",
        session->process,
        session->filtered ? "; perhaps its seccomp filter ended it because of the call" : "");
}

int leat__session_confirm(struct leat__session *session, int result) {
    siginfo_t cause;
    if (result == LEAT_OK || session->gone ||
        request(PTRACE_GETSIGINFO, session->thread, NULL, &cause) == 0)
        return result;
    return fail_for_end(session);
}

/* Lets the thread go on to its next stop. */
static int resume(struct leat__session *session, int how, int signal_number) {
    session->in_delivery = false;
    if (request(how, session->thread, NULL, (void *)(intptr_t)signal_number) != 0)
        return fail_for_end(session);
    return LEAT_OK;
}

/* What is to be done with a signal that was not blocked: SIGSTOP takes its course, SIGSYS from
 * somebody waits for the end. */
static int pass_on(struct leat__session *session, int signal_number) {
    if (signal_number == SIGSTOP)
        return SIGSTOP;
    session->held = signal_number;
    return 0;
}

/* --- Beginning -------------------------------------------------------------------------------- */

static int seize(struct leat__session *session) {
    struct leat__candidate chosen;
    int error = ESRCH;
    for (int i = 0; i < CHOICES && error == ESRCH; i++) {
        int result = leat__target_choose(session->process, &chosen);
        if (result != LEAT_OK)
            return result;
        error = request(PTRACE_SEIZE, chosen.thread, NULL,
                        (void *)(uintptr_t)PTRACE_O_TRACESYSGOOD) == 0
                    ? 0
                    : errno;
        if (error == EPERM && leat__target_thread_gone(session->process, chosen.thread))
            error = ESRCH; /* as the kernel refuses one that has just ended */
    }
    if (error != 0)
        return leat__target_refused(session->process, chosen.thread, error);
    session->thread = chosen.thread;
    session->interrupted = chosen.call;
    session->gone = false;
    return LEAT_OK;
}

/* Waits, for as long as it takes: only a stopped thread can be let go of. Signals that were on
 * their way are delivered first. */
static int stop(struct leat__session *session) {
    if (request(PTRACE_INTERRUPT, session->thread, NULL, NULL) != 0)
        return fail_for_end(session);
    for (;;) {
        int signal_number, result;
        switch (await(session, LEAT_FOREVER, &signal_number)) {
        case STOP_EVENT:
            return LEAT_OK;
        case STOP_GONE:
            return fail_for_end(session);
        case STOP_SIGNAL:
            result = resume(session, PTRACE_CONT, signal_number);
            break;
        default:
            result = resume(session, PTRACE_CONT, 0);
            break;
        }
        if (result != LEAT_OK)
            return result;
    }
}

struct search {
    pid_t thread;
    bool in_vdso;
    uint64_t found;
};

/* Looks for the bytes of the instruction, in pieces that overlap. Where they stand does not matter:
 * at that address they are it. */
static int search_mapping(const struct leat__mapping *mapping, void *context) {
    struct search *search = context;
    unsigned char code[4096];
    if (!mapping->executable || !mapping->readable || mapping->vdso != search->in_vdso)
        return 0;
    for (uint64_t at = mapping->start; at < mapping->end;
         at += sizeof code - leat__instruction_alignment * leat__instruction_size) {
        size_t size = mapping->end - at < sizeof code ? (size_t)(mapping->end - at) : sizeof code;
        if (leat__target_read(search->thread, at, code, size) != LEAT_OK)
            return 0;
        for (size_t i = 0; i + leat__instruction_size <= size; i += leat__instruction_alignment)
            if (memcmp(code + i, leat__instruction, leat__instruction_size) == 0) {
                search->found = at + i;
                return 1;
            }
    }
    return 0;
}

static int find_instruction(struct leat__session *session) {
    struct search search = {.thread = session->thread, .in_vdso = true};
    int result = leat__target_mappings(session->thread, search_mapping, &search);
    search.in_vdso = false; /* a kernel may be told to have none; then the C library has one */
    if (result == 0)
        result = leat__target_mappings(session->thread, search_mapping, &search);
    if (result < 0)
        return result;
    if (result == 0)
        return leat__fail(LEAT_ENOTSUP, 0,
                          "no system call instruction is in the code of process %d",
                          session->process);
    session->instruction = search.found;
    return LEAT_OK;
}

/* Notes the restartable sequence that the thread is in, if any; kernels before 5.13 do not tell. */
static void note_critical(struct leat__session *session) {
    struct rseq_configuration rseq = {0};
    if (request(REQUEST_RSEQ, session->thread, (void *)(uintptr_t)sizeof rseq, &rseq) <= 0 ||
        rseq.address == 0)
        return;
    if (leat__target_read(session->thread, rseq.address + RSEQ_CRITICAL, &session->critical,
                          sizeof session->critical) == LEAT_OK)
        session->critical_at = rseq.address + RSEQ_CRITICAL;
}

/* Filters can only be tried; strict mode is known to kill whoever makes calls like ours. */
static int check_seccomp(struct leat__session *session) {
    enum leat__seccomp mode = LEAT__SECCOMP_NONE;
    int result = leat__target_seccomp(session->process, session->thread, &mode);
    if (result != LEAT_OK)
        return result;
    session->filtered = mode == LEAT__SECCOMP_FILTER;
    if (mode == LEAT__SECCOMP_STRICT)
        return leat__fail(
            LEAT_ENOTSUP, 0,
            "process %d is in strict seccomp mode: any call but read and write would kill it",
            session->process);
    return LEAT_OK;
}

static int prepare(struct leat__session *session) {
    int result = check_seccomp(session);
    if (result == LEAT_OK)
        result = find_instruction(session);
    if (result == LEAT_OK)
        result = leat__registers_save(session->thread, &session->registers);
    if (result != LEAT_OK)
        return result;
    note_critical(session);
    if (request(PTRACE_GETSIGMASK, session->thread, MASK_SIZE, &session->target_mask) != 0)
        return fail_for_end(session);
    uint64_t mask = session->target_mask | ~SIGNAL_BIT(SIGSYS);
    if (request(PTRACE_SETSIGMASK, session->thread, MASK_SIZE, &mask) != 0)
        return fail_for_end(session);
    session->altered = true;
    return LEAT_OK;
}

int leat__session_begin(struct leat__session *session, pid_t process) {
    sigset_t all;
    memset(session, 0, sizeof *session);
    session->process = process;
    session->gone = true; /* so far there is nothing to let go of */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &session->own_mask);
    int result = seize(session);
    if (result == LEAT_OK)
        result = stop(session);
    if (result == LEAT_OK)
        result = leat__session_confirm(session, prepare(session));
    if (result != LEAT_OK)
        leat__session_end(session);
    return result;
}

/* --- Calls ------------------------------------------------------------------------------------ */

static int fail_for_filter(struct leat__session *session) {
    return leat__fail(
        LEAT_ENOTSUP, ENOSYS,
        "process %d may not make the calls that this takes: a seccomp filter, or whoever else "
        "intercepts its system calls, raises SIGSYS",
        session->process);
}

/* Whether the thread is at the delivery of a SIGSYS that a refused call has raised, not somebody's
 * kill. */
static bool raised_by_call(const struct leat__session *session, int signal_number) {
    siginfo_t cause;
    return signal_number == SIGSYS &&
           request(PTRACE_GETSIGINFO, session->thread, NULL, &cause) == 0 && cause.si_code > 0;
}

/* After a call that a filter has skipped, the SIGSYS is on its way: meets it, so that it goes no
 * further. */
static int meet_refusal(struct leat__session *session) {
    for (int pass = 0;;) {
        int signal_number, result = resume(session, PTRACE_CONT, pass);
        if (result != LEAT_OK)
            return result;
        enum stop stop = await(session, LEAT_FOREVER, &signal_number);
        if (stop == STOP_GONE)
            return fail_for_end(session);
        if (stop == STOP_SIGNAL && raised_by_call(session, signal_number))
            return fail_for_filter(session);
        pass = stop == STOP_SIGNAL ? pass_on(session, signal_number) : 0;
    }
}

/* At the call's exit. What a filter's SIGSYS leaves where the result should be, few calls could
 * have as one. */
static int finish(struct leat__session *session, long number, const uint64_t arguments[6],
                  int64_t *result) {
    if (leat__registers_result(session->thread, result) != LEAT_OK)
        return fail_for_end(session);
    uint64_t pending;
    if (*result == leat__registers_refusal(number, arguments) &&
        leat__target_signals(session->process, session->thread, "SigPnd:", &pending) &&
        (pending & SIGNAL_BIT(SIGSYS)) != 0)
        return meet_refusal(session);
    return LEAT_OK;
}

int leat__session_call(struct leat__session *session, int64_t *result, long number,
                       const uint64_t arguments[6]) {
    bool entered = false, late = false;
    if (leat__registers_call(session->thread, &session->registers, session->instruction, number,
                             arguments) != LEAT_OK)
        return fail_for_end(session);
    uint64_t deadline_ns = leat_now() + PATIENCE_NS;
    for (int pass = 0;;) {
        int signal_number;
        if (!late && resume(session, PTRACE_SYSCALL, pass) != LEAT_OK)
            return LEAT_ENOENT;
        pass = 0;
        switch (await(session, entered || late ? LEAT_FOREVER : deadline_ns, &signal_number)) {
        case STOP_CALL:
            if (entered)
                return finish(session, number, arguments, result);
            entered = true;
            late = false;
            break;
        case STOP_SIGNAL:
            if (raised_by_call(session, signal_number))
                return fail_for_filter(session);
            pass = pass_on(session, signal_number);
            late = false;
            break;
        case STOP_EVENT: /* the process was stopped or continued; or we have lost patience */
            session->frozen = late;
            if (late)
                return leat__fail(
                    LEAT_ETIMEDOUT, 0,
                    "process %d does not get to run: it is frozen, or the machine is overloaded",
                    session->process);
            break;
        case STOP_LATE: /* the call has not begun: take it back */
            late = request(PTRACE_INTERRUPT, session->thread, NULL, NULL) == 0;
            break;
        case STOP_GONE:
            return fail_for_end(session);
        }
    }
}

/* --- Ending ----------------------------------------------------------------------------------- */

/* Where registers do not tell the kernel of the interrupted call, the thread enters and leaves it
 * again; without making it, for PTRACE_SYSEMU has the kernel skip it, before filters see it. */
static void enter_again(struct leat__session *session) {
    if (!leat__registers_stand_before(session->thread, &session->registers, session->interrupted) ||
        leat__registers_restore(session->thread, &session->registers, false) != LEAT_OK)
        return;
    for (int calls = 0, pass = 0; calls < 2;) {
        int signal_number;
        if (resume(session, calls == 0 ? REQUEST_SYSEMU : PTRACE_SYSCALL, pass) != LEAT_OK)
            return;
        enum stop stop = await(session, LEAT_FOREVER, &signal_number);
        if (stop == STOP_GONE)
            return;
        pass = stop == STOP_SIGNAL ? pass_on(session, signal_number) : 0;
        calls += stop == STOP_CALL;
    }
    session->entered = leat__registers_interrupt(session->thread, &session->registers) == LEAT_OK;
}

/* From the exit of a call to a stop in delivery; a signal met there goes out, to be delivered when
 * the thread is let go. */
static void return_to_delivery(struct leat__session *session, int *signal_number) {
    *signal_number = 0;
    if (request(PTRACE_INTERRUPT, session->thread, NULL, NULL) != 0)
        session->gone = true;
    while (!session->gone && !session->in_delivery) {
        if (resume(session, PTRACE_CONT, 0) == LEAT_OK &&
            await(session, LEAT_FOREVER, signal_number) != STOP_SIGNAL)
            *signal_number = 0;
    }
}

/* No signal has queued up that the thread would be told of by an interrupted call. */
static bool undisturbed(const struct leat__session *session) {
    uint64_t own, shared;
    return leat__target_signals(session->process, session->thread, "SigPnd:", &own) &&
           leat__target_signals(session->process, session->thread, "ShdPnd:", &shared) &&
           ((own | shared) & ~session->target_mask) == 0;
}

static void put_back(struct leat__session *session) {
    if (session->critical_at != 0 && session->critical != 0)
        (void)leat__target_write(session->thread, session->critical_at, &session->critical,
                                 sizeof session->critical);
    if (!session->entered)
        (void)leat__registers_restore(session->thread, &session->registers, undisturbed(session));
    request(PTRACE_SETSIGMASK, session->thread, MASK_SIZE, &session->target_mask);
}

/* A traced thread that ended waits for its tracer to take note; but a child's end is its parent's
 * to note, and that we may be. Either way it has ended when this returns, so that the next look at
 * it finds neither a living process nor one that is still traced. */
static void take_note_of_end(const struct leat__session *session) {
    bool own_child =
        session->thread == session->process && leat__target_may_be_child(session->process);
    int how = WEXITED | WNOHANG | __WALL | (own_child ? WNOWAIT : 0);
    for (unsigned looks = 0; session->thread != 0 && looks < LOOKS_FOR_END; looks++) {
        siginfo_t end = {0};
        if (waitid(P_PID, (id_t)session->thread, &end, how) != 0 || end.si_pid != 0)
            return;
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    }
}

void leat__session_end(struct leat__session *session) {
    int signal_number = 0;
    if (!session->gone && session->altered && !session->frozen)
        enter_again(session);
    if (!session->gone && !session->in_delivery)
        return_to_delivery(session, &signal_number);
    if (!session->gone && session->altered)
        put_back(session);
    if (!session->gone &&
        request(PTRACE_DETACH, session->thread, NULL, (void *)(intptr_t)signal_number) != 0)
        session->gone = true;
    if (session->gone)
        take_note_of_end(session);
    else if (session->held != 0)
        syscall(SYS_tgkill, session->process, session->thread, session->held);
    leat__registers_free(&session->registers);
    pthread_sigmask(SIG_SETMASK, &session->own_mask, NULL);
}
