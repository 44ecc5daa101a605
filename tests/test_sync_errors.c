/* test_sync_errors.c - mutexes, events and semaphores where the system does not answer: a filter
 * refuses system calls, as those of containers do. An error is no signal, no death and no other
 * process's namespace. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel_pair.h"

#define LOW(argument) ((unsigned)offsetof(struct seccomp_data, args[argument]))

/* From now on this process gets the error for the call; of fcntl and futex, with this second
 * argument only (-1: any). */
static void refuse(int call, int argument, int error) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LOW(1)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)argument, 0, argument < 0 ? 0 : 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
    assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static leat_mutex *open_mutex(bool inherits) {
    const leat_sync_options options = {.inherit_priority = inherits};
    leat_mutex *mutex = NULL;
    assert_ok(leat_mutex_open(&mutex, inherits ? "errors-i" : "errors-m", &options));
    return mutex;
}

/* --- Sleeping --------------------------------------------------------------------------------- */

struct refusal {
    int call, argument, error;
};

/* Neither a signal nor a busy loop: the wait ends at its deadline, and by the event, and has not
 * occupied a processor. */
static int wait_without(void *context) {
    const struct refusal *refusal = context;
    const leat_sync_options options = {.interruptible = true, .anonymous = true};
    leat_event *events[2] = {NULL};
    leat_waitable *both[2];
    size_t index = 9;
    for (int i = 0; i < 2; i++) {
        assert_ok(leat_event_open(&events[i], NULL, &options));
        both[i] = leat_event_waitable(events[i]);
    }
    refuse(refusal->call, refusal->argument, refusal->error);
    assert_leat(leat_wait_any(both, 2, &index, leat_in_ms(300)), LEAT_ETIMEDOUT);
    assert_leat(leat_wait(both[0], leat_in_ms(300)), LEAT_ETIMEDOUT);
    assert_true(harness_cpu_time(getpid()) < UINT64_C(300000000));
    assert_ok(leat_event_set(events[1]));
    assert_ok(leat_wait_any(both, 2, &index, LATER));
    assert_int_equal(index, 1);
    for (int i = 0; i < 2; i++)
        leat_event_close(events[i]);
    return 0;
}

static void sleep_that_is_refused_is_no_signal(void **state) {
    (void)state;
    static const int errors[] = {EPERM, ENOSYS, EINVAL, ENOMEM, EACCES};
    struct refusal *refusal = harness_shared(sizeof *refusal);
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
#ifdef SYS_futex_waitv
        *refusal = (struct refusal){SYS_futex_waitv, -1, errors[i]};
        harness_wait_ok(harness_spawn(wait_without, refusal));
#endif
        *refusal = (struct refusal){SYS_futex, FUTEX_WAIT_BITSET, errors[i]};
        harness_wait_ok(harness_spawn(wait_without, refusal));
    }
}

/* --- Who lives -------------------------------------------------------------------------------- */

static int try_for_the_lock(void *context) {
    const struct refusal *refusal = context;
    leat_mutex *mutex = open_mutex(false), *inheriting = open_mutex(true);
    leat_sync_info info;
    refuse(refusal->call, refusal->argument, refusal->error);
    leat_mutex *both[] = {mutex, inheriting};
    for (int i = 0; i < 2; i++) {
        assert_leat(leat_mutex_lock(both[i], LEAT_NOW), LEAT_EAGAIN);
        assert_leat(leat_mutex_lock(both[i], leat_in_ms(200)), LEAT_ETIMEDOUT);
        if (refusal->call == SYS_fcntl)
            assert_int_not_equal(leat_waitable_info(leat_mutex_waitable(both[i]), &info), LEAT_OK);
    }
    _exit(0);
}

static void unanswered_question_makes_no_second_holder(void **state) {
    (void)state;
    static const struct refusal refusals[] = {
        {SYS_fcntl, F_OFD_GETLK, ENOMEM},      {SYS_fcntl, F_OFD_GETLK, EPERM},
        {SYS_fcntl, F_OFD_GETLK, EIO},         {SYS_futex, FUTEX_TRYLOCK_PI, EPERM},
        {SYS_futex, FUTEX_TRYLOCK_PI, ESRCH},  {SYS_futex, FUTEX_TRYLOCK_PI, ENOMEM},
        {SYS_futex, FUTEX_TRYLOCK_PI, ENOSYS}, {SYS_futex, FUTEX_TRYLOCK_PI, EINVAL},
        {SYS_futex, FUTEX_TRYLOCK_PI, EAGAIN},
    };
    leat_mutex *mutex = open_mutex(false), *inheriting = open_mutex(true);
    struct refusal *refusal = harness_shared(sizeof *refusal);
    assert_ok(leat_mutex_lock(mutex, LEAT_NOW));
    assert_ok(leat_mutex_lock(inheriting, LEAT_NOW));
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        *refusal = refusals[i];
        harness_wait_ok(harness_spawn(try_for_the_lock, refusal));
    }
    assert_ok(leat_mutex_unlock(mutex));
    assert_ok(leat_mutex_unlock(inheriting));
    leat_mutex_close(mutex);
    leat_mutex_close(inheriting);
}

/* --- Where threads are numbered --------------------------------------------------------------- */

static int open_without_proc(void *create) {
    const leat_sync_options options = {.inherit_priority = true,
                                       .mode = create != NULL ? LEAT_CREATE : LEAT_OPEN};
    leat_mutex *mutex = NULL;
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        umount2("/proc", MNT_DETACH) != 0)
        return 77;
    int result = leat_mutex_open(&mutex, create != NULL ? "no-proc" : "errors-i", &options);
    leat_mutex_close(mutex);
    return result == LEAT_ENOTSUP ? 0 : 1;
}

static void unknown_namespace_is_no_namespace_in_common(void **state) {
    (void)state;
    leat_mutex *mutex = open_mutex(true);
    for (int create = 0; create < 2; create++) {
        int status = harness_wait(harness_spawn(open_without_proc, create != 0 ? &create : NULL));
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
            leat_mutex_close(mutex);
            skip();
        }
        assert_int_equal(status, 0);
    }
    leat_mutex_close(mutex);
    assert_int_equal(harness_names_left(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST_WITHIN(sleep_that_is_refused_is_no_signal, 300),
        HARNESS_TEST_WITHIN(unanswered_question_makes_no_second_holder, 300),
        HARNESS_TEST(unknown_namespace_is_no_namespace_in_common),
    };
    return HARNESS_MAIN("sync_errors", tests);
}
