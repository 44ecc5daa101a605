/* lib/remote/linux/inject_x86_64.c - registers on x86-64. See inject.h.
 *
 * The kernel keeps the number of the interrupted system call in orig_rax and decides by it, and by
 * rax, whether to restart. -1 there says "in none", so our own calls are never taken for something
 * to restart; putting back the original brings the decision back. No system call touches
 * floating-point or vector registers here. */
#include "lib/remote/linux/inject.h"

#if defined(__x86_64__) && defined(__LP64__)

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>

#include "lib/base/fail.h"

const unsigned char leat__instruction[] = {0x0f, 0x05}; /* syscall */
const size_t leat__instruction_size = sizeof leat__instruction, leat__instruction_alignment = 1;
const bool leat__inject_possible = true;

_Static_assert(sizeof(struct user_regs_struct) <= sizeof((struct leat__registers){0}.bytes),
               "registers fit");

static int get(pid_t thread, struct user_regs_struct *registers, size_t *size) {
    struct iovec place = {.iov_base = registers, .iov_len = sizeof *registers};
    if (ptrace(PTRACE_GETREGSET, thread, (void *)(uintptr_t)NT_PRSTATUS, &place) != 0)
        return leat__fail_system(errno, "cannot read the registers of thread %d", thread);
    *size = place.iov_len;
    return LEAT_OK;
}

static int set(pid_t thread, struct user_regs_struct *registers) {
    struct iovec place = {.iov_base = registers, .iov_len = sizeof *registers};
    if (ptrace(PTRACE_SETREGSET, thread, (void *)(uintptr_t)NT_PRSTATUS, &place) != 0)
        return leat__fail_system(errno, "cannot set the registers of thread %d", thread);
    return LEAT_OK;
}

/* A thread in 32-bit code has a shorter set of registers. */
int leat__registers_save(pid_t thread, struct leat__registers *saved) {
    struct user_regs_struct registers;
    size_t size = 0;
    int result = get(thread, &registers, &size);
    if (result == LEAT_OK && size != sizeof registers)
        result = leat__fail(LEAT_ENOTSUP, 0, "thread %d runs 32-bit code", thread);
    if (result == LEAT_OK)
        memcpy(saved->bytes, &registers, sizeof registers);
    return result;
}

int leat__registers_call(pid_t thread, const struct leat__registers *saved, uint64_t instruction,
                         long number, const uint64_t arguments[6]) {
    struct user_regs_struct registers;
    memcpy(&registers, saved->bytes, sizeof registers);
    registers.orig_rax = UINT64_MAX;
    registers.rax = (uint64_t)number;
    registers.rip = instruction;
    registers.rdi = arguments[0];
    registers.rsi = arguments[1];
    registers.rdx = arguments[2];
    registers.r10 = arguments[3];
    registers.r8 = arguments[4];
    registers.r9 = arguments[5];
    return set(thread, &registers);
}

int leat__registers_result(pid_t thread, int64_t *result) {
    struct user_regs_struct registers;
    size_t size = 0;
    int error = get(thread, &registers, &size);
    if (error == LEAT_OK)
        *result = (int64_t)registers.rax;
    return error;
}

int64_t leat__registers_refusal(long number, const uint64_t arguments[6]) {
    (void)arguments;
    return number;
}

/* Calls that fail with EINTR at any stop, although nobody has sent a signal, and lose nothing by
 * being made again: those without a time limit. */
static bool can_be_made_again(const struct user_regs_struct *registers) {
    switch (registers->orig_rax) {
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
        return (int32_t)registers->r10 < 0;
#ifdef SYS_epoll_pwait2
    case SYS_epoll_pwait2:
#endif
    case SYS_semtimedop:
        return registers->r10 == 0;
    case SYS_semop:
        return true;
    case SYS_rt_sigtimedwait:
        return registers->rdx == 0;
    default:
        return false;
    }
}

int leat__registers_restore(pid_t thread, const struct leat__registers *saved, bool undisturbed) {
    struct user_regs_struct registers;
    memcpy(&registers, saved->bytes, sizeof registers);
    if (undisturbed && (int64_t)registers.rax == -EINTR && can_be_made_again(&registers)) {
        registers.rax = registers.orig_rax;
        registers.orig_rax = UINT64_MAX;
        registers.rip -= leat__instruction_size;
    }
    return set(thread, &registers);
}

/* orig_rax and rax tell of it. */
bool leat__registers_stand_before(pid_t thread, const struct leat__registers *saved, long call) {
    (void)thread, (void)saved, (void)call;
    return false;
}

int leat__registers_interrupt(pid_t thread, const struct leat__registers *saved) {
    (void)thread, (void)saved;
    return LEAT_OK;
}

void leat__registers_free(struct leat__registers *saved) {
    (void)saved;
}

#endif
