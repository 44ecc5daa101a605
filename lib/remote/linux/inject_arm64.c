/* lib/remote/linux/inject_arm64.c - registers on arm64. See inject.h.
 *
 * Differences from x86-64. The kernel winds an interrupted system call back *before* it looks for
 * signals: in a stop in delivery the program counter stands at the svc instruction and x0 is the
 * first argument again. Only the kernel remembers, as long as the thread stays in that stop, that
 * the call was interrupted: what a signal does to it, and how much of a time limit is left. So the
 * thread is made to enter the call that it was seen in once more, and its result is set to that of
 * an interrupted one. (At the exit: some kernels take what x0 is set to at the entry for the first
 * argument.) Calls that fail with EINTR at any stop do so here: their first argument is not to be
 * had any more. A system call ends streaming mode and drops what the vector registers hold beyond
 * 128 bits: these are saved and put back. */
#include "lib/remote/linux/inject.h"

#if defined(__aarch64__) && defined(__LP64__)

#include <asm/ptrace.h>
#include <elf.h>
#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#include "lib/base/fail.h"

const unsigned char leat__instruction[] = {0x01, 0x00, 0x00, 0xd4}; /* svc #0 */
const size_t leat__instruction_size = sizeof leat__instruction, leat__instruction_alignment = 4;
const bool leat__inject_possible = true;

/* Of the kernel's interface; older system headers do not have them all. */
#define SET_SYSTEM_CALL 0x404
#define SET_SVE 0x405
#define SET_STREAMING_SVE 0x40b
/* in pstate: set after an indirect branch, which must end at a landing pad */
#define BRANCH_TYPE UINT64_C(0xc00)
struct vectors_header {
    uint32_t size, max_size;
    uint16_t length, max_length, flags, reserved;
};
#define VECTORS_LIVE 1 /* in flags: there is more than 128 bits of each */

/* Results of interrupted calls, which no program sees. A signal without a handler restarts them
 * all. */
#define RESTART_AS_HANDLER_SAYS 512 /* ERESTARTSYS: SA_RESTART, or EINTR */
#define RESTART_ALWAYS 513          /* ERESTARTNOINTR */
#define RESTART_WITHOUT_HANDLER 514 /* ERESTARTNOHAND: otherwise EINTR */
#define RESTART_COUNTING 516 /* ERESTART_RESTARTBLOCK: the same, and goes on with its time limit */

_Static_assert(sizeof(struct user_pt_regs) <= sizeof((struct leat__registers){0}.bytes),
               "registers fit");

static int get_set(pid_t thread, int kind, void *bytes, size_t *size) {
    struct iovec place = {.iov_base = bytes, .iov_len = *size};
    if (ptrace(PTRACE_GETREGSET, thread, (void *)(uintptr_t)kind, &place) != 0)
        return leat__fail_system(errno, "cannot read the registers of thread %d", thread);
    *size = place.iov_len;
    return LEAT_OK;
}

static int set_set(pid_t thread, int kind, void *bytes, size_t size) {
    struct iovec place = {.iov_base = bytes, .iov_len = size};
    if (ptrace(PTRACE_SETREGSET, thread, (void *)(uintptr_t)kind, &place) != 0)
        return leat__fail_system(errno, "cannot set the registers of thread %d", thread);
    return LEAT_OK;
}

/* Sets the registers, and that the thread is in no system call which the kernel would restart. */
static int set(pid_t thread, struct user_pt_regs *registers) {
    int none = -1;
    int result = set_set(thread, SET_SYSTEM_CALL, &none, sizeof none);
    return result == LEAT_OK ? set_set(thread, NT_PRSTATUS, registers, sizeof *registers) : result;
}

/* Saves one of the two sets of vector registers, if it is the one in use and longer than what calls
 * keep. */
static int save_vectors(pid_t thread, int kind, struct leat__registers *saved) {
    struct vectors_header header;
    size_t size = sizeof header;
    struct iovec place = {.iov_base = &header, .iov_len = size};
    if (ptrace(PTRACE_GETREGSET, thread, (void *)(uintptr_t)kind, &place) != 0 ||
        place.iov_len < sizeof header || (header.flags & VECTORS_LIVE) == 0 ||
        saved->vectors != NULL)
        return LEAT_OK;
    saved->vectors = malloc(header.size);
    if (saved->vectors == NULL)
        return leat__fail(LEAT_ENOMEM, 0, "no memory for the vector registers of thread %d",
                          thread);
    saved->vectors_size = header.size;
    saved->vectors_kind = kind;
    return get_set(thread, kind, saved->vectors, &saved->vectors_size);
}

int leat__registers_save(pid_t thread, struct leat__registers *saved) {
    struct user_pt_regs registers;
    size_t size = sizeof registers;
    int result = get_set(thread, NT_PRSTATUS, &registers, &size);
    if (result == LEAT_OK && size != sizeof registers)
        result = leat__fail(LEAT_ENOTSUP, 0, "thread %d runs 32-bit code", thread);
    if (result == LEAT_OK)
        result = save_vectors(thread, SET_STREAMING_SVE, saved);
    if (result == LEAT_OK)
        result = save_vectors(thread, SET_SVE, saved);
    if (result == LEAT_OK)
        memcpy(saved->bytes, &registers, sizeof registers);
    else
        leat__registers_free(saved);
    return result;
}

int leat__registers_call(pid_t thread, const struct leat__registers *saved, uint64_t instruction,
                         long number, const uint64_t arguments[6]) {
    struct user_pt_regs registers;
    memcpy(&registers, saved->bytes, sizeof registers);
    for (int i = 0; i < 6; i++)
        registers.regs[i] = arguments[i];
    registers.regs[8] = (uint64_t)number;
    registers.pc = instruction;
    registers.pstate &= ~BRANCH_TYPE;
    return set(thread, &registers);
}

int leat__registers_result(pid_t thread, int64_t *result) {
    struct user_pt_regs registers;
    size_t size = sizeof registers;
    int error = get_set(thread, NT_PRSTATUS, &registers, &size);
    if (error == LEAT_OK)
        *result = (int64_t)registers.regs[0];
    return error;
}

int64_t leat__registers_refusal(long number, const uint64_t arguments[6]) {
    (void)number;
    return (int64_t)arguments[0];
}

int leat__registers_restore(pid_t thread, const struct leat__registers *saved, bool undisturbed) {
    struct user_pt_regs registers;
    (void)undisturbed;
    memcpy(&registers, saved->bytes, sizeof registers);
    int result = set(thread, &registers);
    if (result == LEAT_OK && saved->vectors != NULL)
        result = set_set(thread, saved->vectors_kind, saved->vectors, saved->vectors_size);
    return result;
}

bool leat__registers_stand_before(pid_t thread, const struct leat__registers *saved, long call) {
    struct user_pt_regs registers;
    unsigned char code[sizeof leat__instruction];
    memcpy(&registers, saved->bytes, sizeof registers);
    return call >= 0 && registers.regs[8] == (uint64_t)call &&
           leat__target_read(thread, registers.pc, code, sizeof code) == LEAT_OK &&
           memcmp(code, leat__instruction, sizeof code) == 0;
}

/* The kernel's internal result of the call when a signal interrupts it: what differs is what
 * follows a signal that has a handler. */
static int result_when_interrupted(const struct user_pt_regs *registers) {
    int operation;
    switch (registers->regs[8]) {
    case SYS_nanosleep:
    case SYS_restart_syscall: /* one of these, interrupted before */
        return RESTART_COUNTING;
    case SYS_clock_nanosleep:
        return (registers->regs[1] & TIMER_ABSTIME) == 0 ? RESTART_COUNTING
                                                         : RESTART_WITHOUT_HANDLER;
    case SYS_futex:
        operation = (int)registers->regs[1] & FUTEX_CMD_MASK;
        if (operation != FUTEX_WAIT && operation != FUTEX_WAIT_BITSET)
            return RESTART_ALWAYS;
        return registers->regs[3] != 0 ? RESTART_COUNTING : RESTART_AS_HANDLER_SAYS;
    case SYS_ppoll:
    case SYS_pselect6:
    case SYS_rt_sigsuspend:
    case SYS_msgrcv:
    case SYS_msgsnd:
        return RESTART_WITHOUT_HANDLER;
    default:
        return RESTART_AS_HANDLER_SAYS;
    }
}

int leat__registers_interrupt(pid_t thread, const struct leat__registers *saved) {
    struct user_pt_regs before, registers;
    size_t size = sizeof registers;
    memcpy(&before, saved->bytes, sizeof before);
    int result = get_set(thread, NT_PRSTATUS, &registers, &size);
    registers.regs[0] = (uint64_t) - (int64_t)result_when_interrupted(&before);
    return result == LEAT_OK ? set_set(thread, NT_PRSTATUS, &registers, sizeof registers) : result;
}

void leat__registers_free(struct leat__registers *saved) {
    free(saved->vectors);
    saved->vectors = NULL;
}

#endif
