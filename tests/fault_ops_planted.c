/* fault_ops_planted.c - operations that go wrong in different ways when a system call of theirs
 * fails: they show that the harness notices. See fault.h. */
#include "fault_ops.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/fail.h"

static leat_mutex *mutex;
static int kept = -1;
static bool calls_dead;
static const leat_sync_options plain, existing = {.mode = LEAT_OPEN};

/* The system call that fails. */
static bool refused(void) {
    int before;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (file >= 0)
        close(file);
    pthread_setcancelstate(before, NULL);
    return file < 0;
}

static void path_of(const char *name, char path[512]) {
    snprintf(path, 512, "%s/%s", getenv("LEAT_DIR"), name);
}

static void hold(void) {
    fault_ready(leat_mutex_open(&mutex, NAME, &plain));
    fault_remember();
}

static void leave(void) {
    leat_mutex_close(mutex);
}

static void look(enum fault_moment moment, int code) {
    (void)moment, (void)code;
    leat_mutex *second;
    fault_check_same();
    if (fault_expect(FAULT_HELD_UP, leat_mutex_open(&second, NAME, &existing), LEAT_OK))
        leat_mutex_close(second);
}

/* The worker really has what its call returned. */
static void look_at_lock(enum fault_moment moment, int code) {
    if (moment != FAULT_WORKER_HAS)
        return;
    if (code == LEAT_OK)
        fault_expect(FAULT_TWO_HOLDERS, leat_mutex_lock(mutex, LEAT_NOW), LEAT_EAGAIN);
    else if (fault_expect(FAULT_HELD_UP, leat_mutex_lock(mutex, LEAT_NOW), LEAT_OK))
        fault_expect(FAULT_HELD_UP, leat_mutex_unlock(mutex), LEAT_OK);
}

static void join(void) {
    fault_ready(leat_mutex_open(&mutex, NAME, &existing));
}

static void close_kept(void) {
    if (kept >= 0)
        close(kept);
}

static int good(void) {
    return refused() ? LEAT_ELIMIT : LEAT_OK;
}

static int try_again(void) {
    for (int i = 0; i < 50; i++)
        if (!refused())
            return LEAT_OK;
    return LEAT_ELIMIT;
}

static int hang_for_ever(void) {
    bool was = refused();
    do
        usleep(1000);
    while (was);
    return LEAT_OK;
}

static int crash(void) {
    if (refused())
        raise(SIGKILL);
    return LEAT_OK;
}

static int give_other_code(void) {
    return refused() ? LEAT_EPEERDIED : LEAT_OK;
}

static int give_no_code(void) {
    return refused() ? -99 : LEAT_OK;
}

static void forget(void) {
    mutex = UNTOUCHED;
}

static int set_pointer(void) {
    mutex = NULL;
    return good();
}

static void judge_pointer(int code) {
    if (code != LEAT_OK)
        fault_judge_pointer(code, mutex);
}

static int leave_descriptor(void) {
    return refused() ? (void)dup(1), LEAT_ELIMIT : LEAT_OK;
}

static int close_others(void) {
    return refused() ? (void)close(2), LEAT_ELIMIT : LEAT_OK;
}

static int take_low_descriptor(void) {
    if (refused())
        kept = dup(1);
    return LEAT_OK;
}

/* Above the first that is free, and still a standard stream's. */
static int take_second_low_descriptor(void) {
    if (refused())
        kept = fcntl(2, F_DUPFD, 1);
    return LEAT_OK;
}

static int leave_mapping(void) {
    char path[512];
    path_of(NAME, path);
    if (!refused())
        return LEAT_OK;
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0) == MAP_FAILED)
        _exit(97);
    close(file);
    return LEAT_ENOMEM;
}

static int leave_name(void) {
    char path[512];
    path_of("left", path);
    return refused()   ? (void)close(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)),
           LEAT_ENOMEM : LEAT_OK;
}

static int lock_in_vain(void) {
    return refused() ? LEAT_OK : leat_mutex_lock(mutex, LEAT_NOW);
}

static int judge_dead(void) {
    calls_dead = refused();
    return LEAT_OK;
}

static void judge_life(int code) {
    (void)code;
    if (calls_dead)
        fault_found(FAULT_CALLED_DEAD, "the peer is dead");
}

static int wait_in_vain(void) {
    return refused() ? LEAT_OK : LEAT_ETIMEDOUT;
}

static int fail_and_keep_lock(void) {
    bool fails = refused();
    int result = leat_mutex_lock(mutex, LEAT_NOW);
    return fails ? LEAT_ENOMEM : result;
}

/* A thread that is cancelled while it opens never learns of the descriptor. */
static int open_and_be_cancelled(void) {
    return close(open("/dev/null", O_RDONLY | O_CLOEXEC)) == 0 ? LEAT_OK : LEAT_ELIMIT;
}

static int lock_and_be_cancelled(void) {
    int result = refused() ? LEAT_ELIMIT : leat_mutex_lock(mutex, LEAT_NOW);
    pthread_testcancel();
    return result;
}

static int remove_living(void) {
    char path[512];
    path_of(NAME, path);
    return refused() ? (void)unlink(path), LEAT_ENOMEM : LEAT_OK;
}

static int succeed_with_an_error(void) {
    return refused() ? (leat__fail(LEAT_ENOENT, 0, "inside"), LEAT_OK) : LEAT_OK;
}

#define PLANT(verdict, function)                                                                   \
    .name = #function, .hold = hold, .look = look, .leave = leave, .act = function,                \
    .planted = verdict

const struct fault_operation fault_planted_operations[] = {
    {PLANT(FAULT_SET_UP, good)},
    {PLANT(FAULT_SET_UP,
           try_again)}, /* what fails once is tried again: nothing is wrong with that */
    {PLANT(FAULT_HANG, hang_for_ever)},
    {PLANT(FAULT_CRASH, crash)},
    {PLANT(FAULT_CODE, give_other_code)},
    {PLANT(FAULT_CODE, give_no_code)},
    {PLANT(FAULT_OUTPUT, set_pointer), .prepare = forget, .judge = judge_pointer},
    {PLANT(FAULT_DESCRIPTOR, leave_descriptor)},
    {PLANT(FAULT_DESCRIPTOR, close_others)},
    {PLANT(FAULT_LOW, take_low_descriptor), .finish = close_kept, .closed = 1},
    {PLANT(FAULT_LOW, take_second_low_descriptor), .finish = close_kept, .closed = 3},
    {PLANT(FAULT_MAPPING, leave_mapping)},
    {PLANT(FAULT_NAME, leave_name)},
    {.name = "lock_in_vain",
     .hold = hold,
     .look = look_at_lock,
     .leave = leave,
     .prepare = join,
     .act = lock_in_vain,
     .finish = leave,
     .planted = FAULT_TWO_HOLDERS},
    {PLANT(FAULT_CALLED_DEAD, judge_dead), .judge = judge_life},
    {PLANT(FAULT_NO_CAUSE, wait_in_vain), .never_ok = true, .codes = {LEAT_ETIMEDOUT}},
    {.name = "fail_and_keep_lock",
     .hold = hold,
     .look = look_at_lock,
     .leave = leave,
     .prepare = join,
     .act = fail_and_keep_lock,
     .finish = leave,
     .planted = FAULT_HELD_UP},
    {PLANT(FAULT_DESCRIPTOR, open_and_be_cancelled)},
    {.name = "lock_and_be_cancelled",
     .hold = hold,
     .look = look_at_lock,
     .leave = leave,
     .prepare = join,
     .act = lock_and_be_cancelled,
     .finish = leave,
     .planted = FAULT_HELD_UP},
    {PLANT(FAULT_REPLACED, remove_living)},
    {PLANT(FAULT_LEFT_ERROR, succeed_with_an_error)},
    {0},
};
