/* fault_trace.c - follows a process through a call and lets some of its system calls fail. See
 * fault.h.
 *
 * A call that is to fail is given a number that the kernel does not know, so that it does nothing,
 * and the error as its result. A close is done all the same: its descriptor is gone, whatever it
 * returns. */
#include "fault.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define MARK 0x6c656174ul     /* no operation of prctl(2) */
#define CALLS_MAX 200000      /* more is no bounded number of tries */
#define INTERRUPTIONS_MAX 100 /* in a row: signals come to an end */

/* The kernel's struct ptrace_syscall_info, which C libraries call by different names. */
struct call_info {
    uint8_t op, padding[3];
    uint32_t arch;
    uint64_t instruction_pointer, stack_pointer;
    struct {
        uint64_t nr, args[6];
    } entry;
};

#define GET_CALL_INFO 0x420e /* PTRACE_GET_SYSCALL_INFO, Linux 5.3 */
#define IS_ENTRY 1
#define IS_EXIT 2

/* --- The worker ------------------------------------------------------------------------------- */

void fault_trace_begin(harness_word *tracee) {
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(99);
    harness_set(tracee, (uint32_t)gettid());
    raise(SIGSTOP);
}

void fault_trace_end(void) {
    syscall(SYS_prctl, MARK, 0, 0, 0, 0);
}

/* --- Registers -------------------------------------------------------------------------------- */

#if defined(__x86_64__)
static void give_up_call(pid_t pid) {
    ptrace(PTRACE_POKEUSER, pid, (void *)offsetof(struct user_regs_struct, orig_rax), (void *)-1L);
}

static void set_result(pid_t pid, long value) {
    ptrace(PTRACE_POKEUSER, pid, (void *)offsetof(struct user_regs_struct, rax), (void *)value);
}
#elif defined(__aarch64__)
static void give_up_call(pid_t pid) {
    int number = -1;
    struct iovec part = {&number, sizeof number};
    ptrace(PTRACE_SETREGSET, pid, (void *)0x404, &part); /* NT_ARM_SYSTEM_CALL */
}

static void set_result(pid_t pid, long value) {
    struct user_regs_struct registers;
    struct iovec all = {&registers, sizeof registers};
    ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &all);
    registers.regs[0] = (unsigned long long)value;
    ptrace(PTRACE_SETREGSET, pid, (void *)NT_PRSTATUS, &all);
}
#endif

#if defined(__x86_64__) || defined(__aarch64__)

bool fault_possible(void) {
    pid_t pid = fork();
    if (pid == 0)
        _exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 0 : 1);
    int status = 1;
    waitpid(pid, &status, 0);
    return status == 0;
}

/* --- The lane --------------------------------------------------------------------------------- */

static volatile sig_atomic_t late;

static void on_alarm(int signal_number) {
    (void)signal_number;
    late = 1;
}

/* Interrupts waitpid once the time is over, and again in case that came between two of them. */
static void set_alarm(uint64_t limit_ns) {
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval timer = {
        .it_interval = {0, 100000},
        .it_value = {(time_t)(limit_ns / 1000000000u), (long)(limit_ns % 1000000000u / 1000)}};
    if (limit_ns == 0)
        timer = (struct itimerval){0};
    late = 0;
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}

/* The type of the lock that fcntl is asked for. */
static int lock_type(pid_t pid, const struct call_info *info) {
    if (info->entry.nr != SYS_fcntl || info->entry.args[1] != F_OFD_SETLK)
        return -1;
    errno = 0;
    long word = ptrace(PTRACE_PEEKDATA, pid, (void *)(uintptr_t)info->entry.args[2], NULL);
    _Static_assert(offsetof(struct flock, l_type) == 0, "in the word's first two bytes");
    return errno == 0 ? (short)word : -1;
}

/* The blow that this use of a call gets, or NULL. */
static const struct fault_blow *blow_for(const struct fault_plan *plan, int kind,
                                         struct fault_trace *trace) {
    for (int i = 0; i < 2; i++) {
        const struct fault_blow *blow = &plan->blows[i];
        unsigned use = trace->uses[kind];
        bool first = use == blow->n, later = blow->always && use > blow->n;
        if (kind != blow->kind || (!first && !later))
            continue;
        if (blow->error == EINTR && trace->hits[i] >= INTERRUPTIONS_MAX)
            continue;
        trace->hits[i]++;
        return blow;
    }
    return NULL;
}

/* Has another thread of the worker cancel the one that is about to make a call. */
static void cancel(harness_word *word) {
    harness_set(word, FAULT_CANCEL);
    while (atomic_load(word) == FAULT_CANCEL && !late)
        syscall(SYS_futex, word, FUTEX_WAIT, FAULT_CANCEL, NULL, NULL, 0);
}

/* Its exit code distinguishes a cancelled thread from a process that ended. */
static bool has_unwound(int status, const struct fault_plan *plan) {
    return plan->cancel_at > 0 && atomic_load(plan->cancel) == FAULT_CANCEL_SENT &&
           WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* A call begins. True when the traced part is over. */
static bool enter(pid_t pid, const struct call_info *info, const struct fault_plan *plan,
                  int *error, struct fault_trace *trace) {
    if (info->entry.nr == SYS_prctl && info->entry.args[0] == MARK)
        return true;
    uint64_t arguments[6];
    memcpy(arguments, info->entry.args, sizeof arguments);
    int kind = fault_kind_of((long)info->entry.nr, arguments, lock_type(pid, info));
    *error = 0;
    if (kind < 0) {
        trace->unknown = (long)info->entry.nr;
        return false;
    }
    trace->order[trace->calls++ % FAULT_TRACE_MAX] = (uint8_t)kind;
    trace->uses[kind]++;
    if (trace->calls == plan->cancel_at)
        cancel(plan->cancel);
    const struct fault_blow *blow = blow_for(plan, kind, trace);
    if (blow != NULL) {
        *error = blow->error;
        if (!fault_kind_at((size_t)kind)->happens)
            give_up_call(pid);
    }
    return false;
}

/* One stop of the worker; true: over. */
static bool stop(pid_t pid, int status, const struct fault_plan *plan, int *error,
                 int *signal_number, struct fault_trace *trace) {
    struct call_info info;
    *signal_number = 0;
    if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
        *signal_number = WSTOPSIG(status);
        return false;
    }
    if (ptrace(GET_CALL_INFO, pid, (void *)sizeof info, &info) <= 0)
        return false;
    if (info.op == IS_ENTRY)
        return enter(pid, &info, plan, error, trace);
    if (info.op == IS_EXIT && *error != 0)
        set_result(pid, -*error);
    return false;
}

static void follow(pid_t pid, const struct fault_plan *plan, struct fault_trace *trace) {
    int status, error = 0, signal_number = 0;
    for (bool first = true;; first = false) {
        pid_t got = waitpid(pid, &status, __WALL);
        if (got < 0 && errno == EINTR && !late)
            continue;
        trace->overran = got < 0 || trace->calls > CALLS_MAX;
        trace->ended = got == pid && !WIFSTOPPED(status);
        trace->status = status;
        trace->unwound = trace->ended && has_unwound(status, plan);
        trace->ended = trace->ended && !trace->unwound;
        if (trace->overran || trace->ended || trace->unwound)
            return;
        if (first)
            ptrace(PTRACE_SETOPTIONS, pid, NULL,
                   (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL));
        else if (stop(pid, status, plan, &error, &signal_number, trace))
            break;
        ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(long)signal_number);
    }
    ptrace(PTRACE_DETACH, pid, NULL, NULL);
}

void fault_trace_follow(pid_t tracee, const struct fault_plan *plan, uint64_t limit_ns,
                        struct fault_trace *trace) {
    memset(trace, 0, sizeof *trace);
    trace->unknown = -1;
    set_alarm(limit_ns);
    follow(tracee, plan, trace);
    set_alarm(0);
}

#else /* another processor: nothing is traced */

bool fault_possible(void) {
    return false;
}

void fault_trace_follow(pid_t tracee, const struct fault_plan *plan, uint64_t limit_ns,
                        struct fault_trace *trace) {
    (void)tracee, (void)plan, (void)limit_ns, (void)trace;
}

#endif
