/* test_sync_pi.c - mutexes with priority inheritance: priority is lent and respected, threads own
 * them, and deaths of threads and processes are noticed, even when another thread was given the
 * dead thread's number since. Random kills: test_sync_kills.c. */
#include <leat/sync.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel_pair.h"
#include "handles.h"
#include "lib/sync/sync.h"

#define M(mutex) leat_mutex_waitable(mutex)

static const leat_sync_options inheriting = {.inherit_priority = true};

static leat_mutex *open_mutex(const char *name) {
    leat_mutex *mutex = NULL;
    assert_ok(leat_mutex_open(&mutex, name, &inheriting));
    return mutex;
}

static leat_sync_info info_of(leat_mutex *mutex) {
    leat_sync_info info;
    assert_ok(leat_waitable_info(M(mutex), &info));
    return info;
}

/* --- Priority --------------------------------------------------------------------------------- */

static void require_real_time(void) {
    struct sched_param priority = {.sched_priority = 1};
    int old = sched_getscheduler(0);
    if (sched_setscheduler(0, SCHED_FIFO, &priority) != 0) {
        print_message("real-time priorities are not permitted here: skipped\n");
        skip();
    }
    priority.sched_priority = 0;
    assert_int_equal(sched_setscheduler(0, old, &priority), 0);
}

/* As the kernel schedules it at this moment: 20 is the ordinary one, -1 - n that of real-time
 * priority n. proc(5), /proc/PID/stat, field 18. */
static int priority_of(pid_t process) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)process);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = 0;
    char *field = strrchr(text, ')') + 1;
    for (int i = 3; i < 18; i++)
        field = strchr(field + 1, ' ');
    return atoi(field);
}

enum sort { INHERITING, PLAIN, COUNT };

struct course {
    const char *name;
    enum sort sort; /* two sorts of mutexes, or a semaphore */
    int priority;   /* of a waiter; 0: ordinary */
    harness_word *ready, *go;
    _Atomic uint32_t *served; /* how many were */
    uint32_t place;           /* which one this process was */
};

static int hold(void *context) {
    struct course *course = context;
    leat_mutex *mutex = NULL;
    assert_ok(
        leat_mutex_open(&mutex, course->name, course->sort == INHERITING ? &inheriting : NULL));
    assert_ok(leat_mutex_lock(mutex, LEAT_NOW));
    harness_set(course->ready, 1);
    harness_await(course->go, 1);
    assert_ok(leat_mutex_unlock(mutex));
    harness_set(course->ready, 2);
    harness_await(course->go, 2);
    leat_mutex_close(mutex);
    return 0;
}

static int wait_in_turn(void *context) {
    struct course *course = context;
    struct sched_param priority = {.sched_priority = course->priority};
    leat_mutex *mutex = NULL;
    leat_semaphore *semaphore = NULL;
    if (course->sort == COUNT)
        assert_ok(leat_semaphore_open(&semaphore, course->name, 0, 100, NULL));
    else
        assert_ok(
            leat_mutex_open(&mutex, course->name, course->sort == INHERITING ? &inheriting : NULL));
    if (course->priority > 0)
        assert_int_equal(sched_setscheduler(0, SCHED_FIFO, &priority), 0);
    harness_increment(course->ready);
    assert_ok(leat_wait(semaphore != NULL ? leat_semaphore_waitable(semaphore) : M(mutex), LATER));
    course->place = ++*course->served;
    if (mutex != NULL)
        assert_ok(leat_mutex_unlock(mutex));
    leat_mutex_close(mutex);
    leat_semaphore_close(semaphore);
    return 0;
}

/* Checks the holder's priority while a thread of real-time priority 7 waits for it, and that it has
 * its own priority again afterwards. */
static int lent_priority(enum sort sort) {
    struct course *course = harness_shared(sizeof *course);
    harness_word *words = harness_shared(4 * sizeof *words);
    int own = priority_of(getpid()); /* 20, or what nice(1) has made of it */
    *course = (struct course){
        sort == PLAIN ? "lends-not" : "lends", sort, 7, &words[0], &words[1], &words[3], 0};
    pid_t holder = harness_spawn(hold, course);
    harness_await(&words[0], 1);
    assert_int_equal(priority_of(holder), own);
    struct course *waiting = harness_shared(sizeof *waiting);
    *waiting = *course;
    waiting->ready = &words[2];
    pid_t waiter = harness_spawn(wait_in_turn, waiting);
    harness_await(&words[2], 1);
    harness_await_asleep(waiter);
    int lent = priority_of(holder);
    harness_set(&words[1], 1);
    harness_await(&words[0], 2);
    assert_int_equal(priority_of(holder), own);
    harness_set(&words[1], 2);
    harness_wait_ok(waiter);
    harness_wait_ok(holder);
    return lent;
}

static void waiter_lends_its_priority(void **state) {
    (void)state;
    require_real_time();
    assert_int_equal(lent_priority(INHERITING), -1 - 7);
    assert_int_equal(lent_priority(PLAIN), priority_of(getpid()));
    assert_int_equal(harness_names_left(), 0);
}

enum { WAITERS = 6 };

/* Starts waiters of these priorities one after another, when each of them sleeps. */
static void start_waiters(pid_t waiters[WAITERS], struct course courses[WAITERS], const char *name,
                          enum sort sort, const int priorities[WAITERS]) {
    harness_word *ready = harness_shared(sizeof *ready);
    _Atomic uint32_t *served = harness_shared(sizeof *served);
    for (uint32_t i = 0; i < WAITERS; i++) {
        courses[i] = (struct course){name, sort, priorities[i], ready, NULL, served, 0};
        waiters[i] = harness_spawn(wait_in_turn, &courses[i]);
        harness_await(ready, i + 1);
        harness_await_asleep(waiters[i]);
    }
}

/* Whether each waiter was served before all of lower priority. A waiter that asked just then
 * whether the holder lives may be later. */
static bool served_by_priority(leat_mutex *mutex) {
    static const int priorities[WAITERS] = {3, 0, 5, 3, 0, 9};
    struct course *courses = harness_shared(WAITERS * sizeof *courses);
    pid_t waiters[WAITERS];
    bool in_order = true;
    assert_ok(leat_mutex_lock(mutex, LEAT_NOW));
    start_waiters(waiters, courses, "in-turn", INHERITING, priorities);
    assert_ok(leat_mutex_unlock(mutex));
    for (uint32_t i = 0; i < WAITERS; i++)
        harness_wait_ok(waiters[i]);
    for (uint32_t i = 0; i < WAITERS; i++)
        for (uint32_t j = 0; j < WAITERS; j++)
            in_order =
                in_order && (priorities[i] <= priorities[j] || courses[i].place < courses[j].place);
    return in_order;
}

static void waiter_of_the_highest_priority_is_served_first(void **state) { /* RT-22 */
    (void)state;
    require_real_time();
    leat_mutex *mutex = open_mutex("in-turn");
    bool in_order = false;
    for (int i = 0; i < 5 && !in_order; i++)
        in_order = served_by_priority(mutex);
    assert_true(in_order);
    leat_mutex_close(mutex);
}

/* Whether the counts went to the waiters in the order of their priorities. A waiter that polled
 * just then may have been faster. */
static bool woken_by_priority(leat_semaphore *semaphore) {
    static const int priorities[WAITERS] = {2, 4, 1, 6, 3, 5};
    struct course *courses = harness_shared(WAITERS * sizeof *courses);
    pid_t waiters[WAITERS];
    bool in_order = true;
    start_waiters(waiters, courses, "woken", COUNT, priorities);
    for (uint32_t i = 0; i < WAITERS; i++) {
        assert_ok(leat_semaphore_release(semaphore, 1, NULL));
        while (*courses[0].served <= i)
            usleep(100);
    }
    for (uint32_t i = 0; i < WAITERS; i++) {
        harness_wait_ok(waiters[i]);
        in_order = in_order && courses[i].place == (uint32_t)(WAITERS + 1 - priorities[i]);
    }
    return in_order;
}

static void sleepers_are_woken_by_priority(void **state) {
    (void)state;
    require_real_time();
    leat_semaphore *semaphore = NULL;
    assert_ok(leat_semaphore_open(&semaphore, "woken", 0, 100, NULL));
    bool in_order = false;
    for (int i = 0; i < 5 && !in_order; i++)
        in_order = woken_by_priority(semaphore);
    assert_true(in_order);
    leat_semaphore_close(semaphore);
}

/* --- Threads ---------------------------------------------------------------------------------- */

static void *lock_and_end(void *mutex) {
    assert_ok(leat_mutex_lock(mutex, LEAT_NOW));
    return NULL;
}

static void *use_from_another_thread(void *mutex) {
    assert_leat(leat_mutex_unlock(mutex), LEAT_ENOTOWNER);
    assert_leat(leat_mutex_give_up(mutex), LEAT_ENOTOWNER);
    assert_leat(leat_mutex_lock(mutex, LEAT_NOW), LEAT_ESTATE);
    assert_leat(leat_wait(M(mutex), LEAT_NOW), LEAT_ESTATE);
    return NULL;
}

static void in_a_thread(void *(*run)(void *context), void *context) {
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run, context), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void mutex_is_unlocked_by_the_thread_that_locked_it(void **state) { /* W32-40, W32-41 */
    (void)state;
    leat_sync_options options = {.inherit_priority = true, .recursive = true};
    leat_mutex *one = NULL, *other = open_mutex("threads");
    assert_ok(leat_mutex_open(&one, "threads", &options));
    assert_ok(leat_mutex_lock(one, LEAT_NOW));
    assert_ok(leat_mutex_lock(one, LEAT_NOW));
    assert_leat(leat_mutex_lock(other, LEAT_NOW), LEAT_EAGAIN);
    assert_leat(leat_mutex_lock(other, LATER), LEAT_ESTATE); /* it would wait for itself */
    assert_leat(leat_mutex_unlock(other), LEAT_ENOTOWNER);
    in_a_thread(use_from_another_thread, one);
    assert_ok(leat_mutex_unlock(one));
    assert_leat(leat_mutex_lock(other, LEAT_NOW), LEAT_EAGAIN);
    assert_ok(leat_mutex_unlock(one));
    assert_ok(leat_mutex_lock(other, LEAT_NOW));
    assert_ok(leat_mutex_unlock(other));
    leat_mutex_close(one);
    leat_mutex_close(other);
    assert_int_equal(harness_names_left(), 0);
}

static void end_of_a_thread_is_reported(void **state) { /* W32-43, RT-23 */
    (void)state;
    leat_mutex *one = open_mutex("ends"), *other = open_mutex("ends");
    in_a_thread(lock_and_end, one);
    assert_leat(leat_mutex_lock(other, LATER), LEAT_EOWNERDEAD);
    assert_leat(leat_mutex_unlock(one), LEAT_ENOTOWNER); /* it went with the thread */
    assert_ok(leat_mutex_unlock(other));
    in_a_thread(lock_and_end, one);
    assert_leat(leat_mutex_lock(one, LATER), LEAT_EOWNERDEAD); /* through the same handle, too */
    assert_ok(leat_mutex_unlock(one));
    assert_ok(leat_mutex_lock(other, LEAT_NOW));
    assert_ok(leat_mutex_unlock(other));
    in_a_thread(lock_and_end, one);
    leat_mutex_close(one);
    assert_leat(leat_mutex_lock(other, LATER), LEAT_EOWNERDEAD);
    assert_ok(leat_mutex_unlock(other));
    leat_mutex_close(other);
    assert_int_equal(harness_names_left(), 0);
}

struct meeting {
    leat_mutex *mutex;
    harness_word *words;
};

static void *lock_and_end_when_told(void *context) {
    struct meeting *meeting = context;
    assert_ok(leat_mutex_lock(meeting->mutex, LEAT_NOW));
    harness_set(&meeting->words[0], 1);
    harness_await(&meeting->words[1], 1);
    return NULL;
}

static int wait_for_heritage(void *context) {
    harness_word *ready = context;
    leat_mutex *mutex = open_mutex("heritage");
    harness_set(ready, 1);
    assert_leat(leat_mutex_lock(mutex, LATER), LEAT_EOWNERDEAD);
    assert_ok(leat_mutex_unlock(mutex));
    assert_ok(leat_mutex_lock(mutex, LEAT_NOW)); /* healthy again */
    assert_ok(leat_mutex_unlock(mutex));
    leat_mutex_close(mutex);
    return 0;
}

static void sleeper_gets_the_mutex_when_the_thread_ends(void **state) {
    (void)state;
    harness_word *words = harness_shared(3 * sizeof *words);
    struct meeting meeting = {open_mutex("heritage"), words};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, lock_and_end_when_told, &meeting), 0);
    harness_await(&words[0], 1);
    pid_t waiter = harness_spawn(wait_for_heritage, &words[2]);
    harness_await(&words[2], 1);
    harness_await_asleep(waiter);
    harness_set(&words[1], 1);
    pthread_join(thread, NULL);
    harness_wait_ok(waiter);
    leat_mutex_close(meeting.mutex);
}

static void mutex_of_another_thread_stays_when_its_handle_is_closed(void **state) { /* W32-42 */
    (void)state;
    harness_word *words = harness_shared(2 * sizeof *words);
    struct meeting meeting = {open_mutex("kept"), words};
    leat_mutex *other = open_mutex("kept");
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, lock_and_end_when_told, &meeting), 0);
    harness_await(&words[0], 1);
    leat_mutex_close(meeting.mutex); /* has no effect */
    assert_leat(leat_mutex_lock(other, SOON), LEAT_ETIMEDOUT);
    harness_set(&words[1], 1);
    pthread_join(thread, NULL);
    assert_leat(leat_mutex_lock(other, LATER), LEAT_EOWNERDEAD);
    assert_ok(leat_mutex_unlock(other));
    leat_mutex_close(other);
    leat_mutex_close(meeting.mutex); /* the handle was still there */
    assert_int_equal(harness_names_left(), 0);
}

/* --- Processes -------------------------------------------------------------------------------- */

static int lock_and_wait_for_the_end(void *ready) {
    leat_mutex *mutex = open_mutex("dies");
    assert_ok(leat_mutex_lock(mutex, LEAT_NOW));
    harness_set(ready, 1);
    pause();
    return 1;
}

static int wait_for_the_dead(void *context) {
    harness_word *ready = context;
    leat_mutex *mutex = open_mutex("dies");
    harness_set(ready, 1);
    assert_leat(leat_mutex_lock(mutex, LATER), LEAT_EOWNERDEAD);
    assert_ok(leat_mutex_unlock(mutex));
    leat_mutex_close(mutex);
    return 0;
}

static pid_t start_holder(void) {
    harness_word *ready = harness_shared(sizeof *ready);
    pid_t holder = harness_spawn(lock_and_wait_for_the_end, ready);
    harness_await(ready, 1);
    return holder;
}

static void death_of_a_process_is_reported(void **state) {
    (void)state;
    leat_mutex *mutex = open_mutex("dies");
    pid_t holder = start_holder();
    leat_sync_info info = info_of(mutex);
    assert_true(info.inherits_priority && info.held && !info.abandoned &&
                info.holder == (uint32_t)holder && info.handles == 2);
    assert_leat(leat_mutex_lock(mutex, SOON), LEAT_ETIMEDOUT);
    harness_kill(holder);
    assert_ok(leat_sync_stat("dies", LEAT_LOCAL, &info));
    assert_true(info.abandoned && !info.held && info.handles == 1);
    assert_leat(leat_mutex_lock(mutex, LEAT_NOW), LEAT_EOWNERDEAD);
    assert_ok(leat_mutex_unlock(mutex));
    assert_int_equal(info_of(mutex).holder, 0);

    holder = start_holder(); /* with one who sleeps */
    harness_word *ready = harness_shared(sizeof *ready);
    pid_t waiter = harness_spawn(wait_for_the_dead, ready);
    harness_await(ready, 1);
    harness_await_asleep(waiter);
    harness_kill(holder);
    harness_wait_ok(waiter);
    assert_ok(leat_mutex_lock(mutex, LEAT_NOW));
    assert_ok(leat_mutex_unlock(mutex));
    leat_mutex_close(mutex);
    assert_int_equal(harness_names_left(), 0);
}

static int sleep_on(void *context) {
    (void)context;
    return pause();
}

/* As after a death, when the thread's number was given to another thread since: to an unrelated
 * thread, and to our own. */
static void thread_number_that_was_reused_deceives_no_waiter(void **state) {
    (void)state;
    leat_mutex *mutex = open_mutex("reused");
    leat_waitable *inside = M(mutex);
    pid_t stranger = harness_spawn(sleep_on, NULL);
    const uint32_t words[] = {(uint32_t)stranger,  (uint32_t)stranger | LEAT__PI_WAITERS,
                              (uint32_t)getpid(),  (uint32_t)getpid() | LEAT__PI_WAITERS,
                              LEAT__PI_OWNER_DIED, LEAT__PI_OWNER_DIED | LEAT__PI_WAITERS};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        leat__store_relaxed64(&inside->page->pi, words[i]);
        assert_leat(leat_mutex_lock(mutex, LATER), LEAT_EOWNERDEAD);
        assert_ok(leat_mutex_unlock(mutex));
        assert_int_equal((uint32_t)leat__load_relaxed64(&inside->page->pi), 0);
    }
    harness_kill(stranger);
    leat_mutex_close(mutex);
}

/* A thread that read the table before the number was given away, and sleeps for the unrelated
 * thread by now. */
static int sleep_for_a_stranger(void *context) {
    harness_word *words = context;
    leat_mutex *mutex = open_mutex("strange");
    harness_set(&words[0], 1);
    assert_ok(
        leat__os_pi_lock((leat__u32 *)&M(mutex)->page->pi, leat__os_now() + UINT64_C(20000000000)));
    harness_set(&words[0], 2);
    harness_await(&words[1], 1);
    assert_ok(leat__os_pi_unlock((leat__u32 *)&M(mutex)->page->pi));
    leat_mutex_close(mutex);
    return 0;
}

static void sleeper_for_a_stranger_has_the_mutex_alone(void **state) {
    (void)state;
    harness_word *words = harness_shared(2 * sizeof *words);
    leat_mutex *mutex = open_mutex("strange");
    pid_t stranger = harness_spawn(sleep_on, NULL);
    leat__store_relaxed64(&M(mutex)->page->pi, (uint32_t)stranger);
    pid_t sleeper = harness_spawn(sleep_for_a_stranger, words);
    harness_await(&words[0], 1);
    harness_await_asleep(sleeper);
    /* else the kernel would pass on the mutex that we hold */
    assert_leat(leat_mutex_lock(mutex, SOON), LEAT_ETIMEDOUT);
    harness_kill(stranger);
    harness_await(&words[0], 2);
    assert_int_equal((uint32_t)leat__load_relaxed64(&M(mutex)->page->pi) & LEAT__PI_THREAD,
                     sleeper);
    /* and gets LEAT_EOWNERDEAD */
    assert_true((leat__load_relaxed64(&M(mutex)->page->pi) & LEAT__PI_OWNER_DIED) != 0);
    harness_set(&words[1], 1);
    harness_wait_ok(sleeper);
    assert_ok(leat_mutex_lock(mutex, LATER));
    assert_ok(leat_mutex_unlock(mutex));
    leat_mutex_close(mutex);
    assert_int_equal(harness_names_left(), 0);
}

static int open_elsewhere(void *context) {
    (void)context;
    if (unshare(CLONE_NEWPID) != 0)
        return 77;
    pid_t inner = fork();
    if (inner == 0) {
        leat_mutex *mutex = NULL;
        int result = leat_mutex_open(&mutex, "elsewhere", NULL);
        _exit(result == LEAT_ENOTSUP ? 0 : 1);
    }
    int status = -1;
    waitpid(inner, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}

static void thread_numbers_of_another_namespace_are_refused(void **state) {
    (void)state;
    leat_mutex *mutex = open_mutex("elsewhere");
    int status = harness_wait(harness_spawn(open_elsewhere, NULL));
    leat_mutex_close(mutex);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        print_message("pid namespaces are not permitted here: skipped\n");
        skip();
    }
    assert_int_equal(status, 0);
}

/* --- The rest is as with others --------------------------------------------------------------- */

static int want_several(void *context) {
    struct meeting *meeting = context;
    leat_mutex *mutex = open_mutex("several");
    leat_event *event = NULL;
    assert_ok(leat_event_open(&event, "several-e", NULL));
    leat_waitable *both[] = {leat_event_waitable(event), M(mutex)};
    size_t index = 7;
    harness_set(&meeting->words[0], 1);
    assert_ok(leat_wait_any(both, 2, &index, LATER));
    assert_int_equal(index, 1);
    assert_ok(leat_mutex_unlock(mutex));
    harness_set(&meeting->words[0], 2);
    harness_await(&meeting->words[1], 1);
    assert_leat(leat_wait_all(both, 2, LATER), LEAT_EOWNERDEAD);
    assert_ok(leat_mutex_unlock(mutex));
    leat_mutex_close(mutex);
    leat_event_close(event);
    return 0;
}

static void mutex_is_taken_by_wait_any(void **state) {
    (void)state;
    struct meeting *meeting = harness_shared(sizeof *meeting);
    meeting->words = harness_shared(2 * sizeof *meeting->words);
    leat_mutex *mutex = open_mutex("several");
    leat_event *event = NULL;
    assert_ok(leat_event_open(&event, "several-e", NULL));
    assert_ok(leat_mutex_lock(mutex, LEAT_NOW));
    pid_t waiter = harness_spawn(want_several, meeting);
    harness_await(&meeting->words[0], 1);
    harness_await_asleep(waiter);
    assert_ok(leat_mutex_unlock(mutex)); /* of any */
    harness_await(&meeting->words[0], 2);
    assert_ok(leat_mutex_lock(mutex, LATER));
    harness_set(&meeting->words[1], 1);
    harness_await_asleep(waiter);
    assert_ok(leat_event_set(event)); /* of all: not yet */
    assert_true(event_is_set(event));
    leat_mutex_close(mutex); /* as by death */
    harness_wait_ok(waiter);
    leat_event_close(event);
    assert_int_equal(harness_names_left(), 0);
}

static int wait_for_lost(void *context) {
    harness_word *ready = context;
    leat_mutex *mutex = open_mutex("lost");
    harness_increment(ready);
    assert_leat(leat_mutex_lock(mutex, LATER), LEAT_ELOST);
    leat_mutex_close(mutex);
    return 0;
}

static void loss_is_reported_to_all_sleepers(void **state) {
    (void)state;
    harness_word *ready = harness_shared(sizeof *ready);
    leat_mutex *mutex = open_mutex("lost");
    pid_t waiters[3];
    assert_ok(leat_mutex_lock(mutex, LEAT_NOW));
    for (uint32_t i = 0; i < 3; i++) {
        waiters[i] = harness_spawn(wait_for_lost, ready);
        harness_await(ready, i + 1);
        harness_await_asleep(waiters[i]);
    }
    assert_ok(leat_mutex_give_up(mutex));
    for (int i = 0; i < 3; i++)
        harness_wait_ok(waiters[i]);
    assert_leat(leat_mutex_lock(mutex, LEAT_FOREVER), LEAT_ELOST);
    assert_ok(leat_mutex_reset(mutex));
    assert_ok(leat_mutex_lock(mutex, LEAT_NOW));
    leat_mutex_close(mutex);
}

static void do_nothing(int number) {
    (void)number;
}

static int wait_interruptibly(void *context) {
    harness_word *ready = context;
    struct sigaction action = {.sa_handler = do_nothing};
    sigaction(SIGUSR1, &action, NULL);
    leat_sync_options options = {.interruptible = true};
    leat_mutex *mutex = NULL;
    /* that it inherits, it knows from its creator */
    assert_ok(leat_mutex_open(&mutex, "interrupted", &options));
    harness_set(ready, 1);
    assert_leat(leat_mutex_lock(mutex, LATER), LEAT_EINTR);
    leat_mutex_close(mutex);
    return 0;
}

static void interruptible_handle_is_interrupted(void **state) {
    (void)state;
    harness_word *ready = harness_shared(sizeof *ready);
    leat_mutex *mutex = open_mutex("interrupted");
    assert_ok(leat_mutex_lock(mutex, LEAT_NOW));
    pid_t waiter = harness_spawn(wait_interruptibly, ready);
    harness_await(ready, 1);
    int status = -1;
    /* one may come between two sleeps */
    for (int i = 0; i < 1000 && waitpid(waiter, &status, WNOHANG) == 0; i++) {
        kill(waiter, SIGUSR1);
        usleep(10000);
    }
    assert_int_equal(status, 0);
    assert_ok(leat_mutex_unlock(mutex));
    leat_mutex_close(mutex);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(waiter_lends_its_priority),
        HARNESS_TEST(waiter_of_the_highest_priority_is_served_first),
        HARNESS_TEST(sleepers_are_woken_by_priority),
        HARNESS_TEST(mutex_is_unlocked_by_the_thread_that_locked_it),
        HARNESS_TEST(end_of_a_thread_is_reported),
        HARNESS_TEST(sleeper_gets_the_mutex_when_the_thread_ends),
        HARNESS_TEST(mutex_of_another_thread_stays_when_its_handle_is_closed),
        HARNESS_TEST(death_of_a_process_is_reported),
        HARNESS_TEST(thread_number_that_was_reused_deceives_no_waiter),
        HARNESS_TEST(sleeper_for_a_stranger_has_the_mutex_alone),
        HARNESS_TEST(thread_numbers_of_another_namespace_are_refused),
        HARNESS_TEST(mutex_is_taken_by_wait_any),
        HARNESS_TEST(loss_is_reported_to_all_sleepers),
        HARNESS_TEST(interruptible_handle_is_interrupted),
    };
    return HARNESS_MAIN("sync_pi", tests);
}
