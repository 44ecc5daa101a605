/* test_map_into_filters.c - mapping into processes whose system calls are filtered (seccomp): a
 * filter's refusal is reported, and the target goes on, unless its filter kills it. */
#include "remote_target.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOBODY 65534

struct filtered {
    harness_word ready, handled, stop;
    uint32_t action;
    int calls[2];
};

static struct filtered *filtered; /* of the child whose handler it is */

static void note_refusal(int signal_number) {
    (void)signal_number;
    harness_increment(&filtered->handled);
}

static void install_filter(uint32_t action, const int calls[2]) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)calls[0], 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)calls[1], 0, 1),
        BPF_STMT(BPF_RET | BPF_K, action),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        harness_fail("seccomp: %s", strerror(errno));
}

/* Works until asked to stop; then its own forbidden call must still reach its handler. */
static int work_under_a_filter(void *context) {
    filtered = context;
    signal(SIGSYS, note_refusal);
    install_filter(filtered->action, filtered->calls);
    harness_set(&filtered->ready, 1);
    while (atomic_load(&filtered->stop) == 0)
        usleep(100);
    if (filtered->action == SECCOMP_RET_TRAP) {
        if (atomic_load(&filtered->handled) != 0)
            return 1; /* the refusals of the foreign calls were not its own */
        syscall(filtered->calls[0], -1, 0, 0, 0, 0, 0);
        return atomic_load(&filtered->handled) == 1 ? 0 : 2;
    }
    return 0;
}

static void a_filter_that_refuses_is_reported_and_the_target_goes_on(void **state) {
    (void)state;
    target_need_ptrace();
    static const struct {
        uint32_t action;
        int calls[2];
        int result;
        const char *words;
    } cases[] = {
        /* handed over instead */
        {SECCOMP_RET_ERRNO | EPERM, {SYS_openat, SYS_openat}, LEAT_OK, ""},
        {SECCOMP_RET_TRAP, {SYS_openat, SYS_openat}, LEAT_OK, ""},
        {SECCOMP_RET_ERRNO | ENOSYS,
         {SYS_socketpair, SYS_openat},
         LEAT_ENOTSUP,
         "seccomp filter refuses"},
        {SECCOMP_RET_ERRNO | EPERM, {SYS_mmap, SYS_mmap}, LEAT_ENOTSUP, "seccomp filter refuses"},
        {SECCOMP_RET_TRAP, {SYS_mmap, SYS_mmap}, LEAT_ENOTSUP, "SIGSYS"},
        {SECCOMP_RET_TRAP, {SYS_socketpair, SYS_openat}, LEAT_ENOTSUP, "SIGSYS"},
    };
    leat_region *region = target_region(0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct filtered *shared = harness_shared(sizeof *shared);
        shared->action = cases[i].action;
        memcpy(shared->calls, cases[i].calls, sizeof shared->calls);
        pid_t pid = harness_spawn(work_under_a_filter, shared);
        harness_await(&shared->ready, 1);
        char *before = target_maps(pid);
        for (int round = 0; round < 20; round++) {
            if (cases[i].result == LEAT_OK)
                target_map_and_unmap(region, pid);
            else
                target_assert_refused(region, pid, cases[i].result, cases[i].words);
        }
        assert_string_equal(target_maps(pid), before);
        harness_set(&shared->stop, 1);
        harness_wait_ok(pid);
    }
    leat_region_close(region);
}

static void a_filter_that_kills_is_reported_as_the_likely_cause(void **state) {
    (void)state;
    target_need_ptrace();
    leat_region *region = target_region(0);
    struct filtered *shared = harness_shared(sizeof *shared);
    shared->action = SECCOMP_RET_KILL_PROCESS;
    shared->calls[0] = shared->calls[1] = SYS_mmap;
    pid_t pid = harness_spawn(work_under_a_filter, shared);
    harness_await(&shared->ready, 1);
    target_assert_refused(region, pid, LEAT_ENOENT, "seccomp");
    harness_wait_signal(pid, SIGSYS);
    leat_region_close(region);
}

static int read_strictly(void *context) {
    harness_set(context, 1);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
        return 1;
    for (;;)
        syscall(SYS_read, -1, NULL, 0);
    return 0;
}

static void strict_mode_is_refused_and_the_target_goes_on(void **state) {
    (void)state;
    harness_word *ready = harness_shared(sizeof *ready);
    leat_region *region = target_region(0);
    pid_t pid = harness_spawn(read_strictly, ready);
    harness_await(ready, 1);
    while (!target_status_says(pid, "\nSeccomp:\t1"))
        sched_yield();
    for (int i = 0; i < 20; i++)
        target_assert_refused(region, pid, LEAT_ENOTSUP, "strict");
    assert_int_not_equal(target_state(pid), 'Z');
    harness_kill(pid);
    leat_region_close(region);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(a_filter_that_refuses_is_reported_and_the_target_goes_on),
        HARNESS_TEST(a_filter_that_kills_is_reported_as_the_likely_cause),
        HARNESS_TEST(strict_mode_is_refused_and_the_target_goes_on),
    };
    return HARNESS_MAIN("map_into_filters", tests);
}
