/* fault_ops_sync.c - operations on mutexes, events and semaphores. See fault.h. */
#include "fault_ops.h"
#include "handles.h"

#include <unistd.h>

/* Of the process that runs: none of these is shared. */
static leat_mutex *mutex, *extra;
static leat_event *event, *event2;
static leat_semaphore *semaphore;
static int descriptor = -1;
static leat_sync_info info;
static const leat_sync_options plain, inheriting = {.inherit_priority = true},
                                      existing = {.mode = LEAT_OPEN};

static void close_all(void) {
    leat_mutex_close(mutex != UNTOUCHED ? mutex : NULL);
    leat_mutex_close(extra);
    leat_event_close(event != UNTOUCHED ? event : NULL);
    leat_event_close(event2);
    leat_semaphore_close(semaphore != UNTOUCHED ? semaphore : NULL);
    if (descriptor >= 0)
        close(descriptor);
}

/* --- Opening a mutex -------------------------------------------------------------------------- */

static void hold_mutex(void) {
    fault_ready(leat_mutex_open(&mutex, NAME, &plain));
    fault_ready(leat_mutex_lock(mutex, LEAT_NOW));
    fault_remember();
}

/* The bystander holds it: no other process gets it, and its name stays. */
static void look_at_held(enum fault_moment moment, int code) {
    (void)moment, (void)code;
    leat_mutex *second;
    fault_check_same();
    if (!fault_expect(FAULT_HELD_UP, leat_mutex_open(&second, NAME, &existing), LEAT_OK))
        return;
    fault_expect(FAULT_TWO_HOLDERS, leat_mutex_lock(second, LEAT_NOW), LEAT_EAGAIN);
    fault_expect(FAULT_CALLED_DEAD, leat_mutex_unlock(mutex), LEAT_OK);
    if (fault_expect(FAULT_HELD_UP, leat_mutex_lock(second, AMPLE), LEAT_OK))
        fault_expect(FAULT_HELD_UP, leat_mutex_unlock(second), LEAT_OK);
    fault_expect(FAULT_HELD_UP, leat_mutex_lock(mutex, AMPLE), LEAT_OK);
    leat_mutex_close(second);
}

static void forget(void) {
    mutex = UNTOUCHED;
    event = UNTOUCHED;
    semaphore = UNTOUCHED;
}

static int open_mutex(void) {
    return leat_mutex_open(&mutex, NAME, &plain);
}

static int open_inheriting(void) {
    return leat_mutex_open(&mutex, NAME, &inheriting);
}

static void judge_joined(int code) {
    fault_judge_pointer(code, mutex);
    if (code == LEAT_OK && mutex_created(mutex))
        fault_found(FAULT_REPLACED, "it was there, and is created");
}

static void judge_made(int code) {
    fault_judge_pointer(code, mutex);
    if (code == LEAT_OK && !mutex_created(mutex))
        fault_found(FAULT_REPLACED, "it is new, and is not created");
}

/* No process holds it: another process gets it at once. */
static void use_mutex(const leat_sync_options *options, bool there) {
    leat_mutex *second;
    if (!fault_expect(FAULT_HELD_UP, leat_mutex_open(&second, NAME, options), LEAT_OK))
        return;
    if (mutex_created(second) == there)
        fault_found(FAULT_REPLACED, there ? "another process does not find it"
                                          : "another process finds a dead one");
    if (fault_expect(FAULT_HELD_UP, leat_mutex_lock(second, AMPLE), LEAT_OK))
        fault_expect(FAULT_HELD_UP, leat_mutex_unlock(second), LEAT_OK);
    leat_mutex_close(second);
}

static void look_at_new(enum fault_moment moment, int code) {
    use_mutex(&plain, moment == FAULT_WORKER_HAS && code == LEAT_OK);
}

static void look_at_inheriting(enum fault_moment moment, int code) {
    use_mutex(&inheriting, moment == FAULT_WORKER_HAS && code == LEAT_OK);
}

static void look_at_none(enum fault_moment moment, int code) {
    (void)moment, (void)code;
    use_mutex(&plain, false);
}

static void make_and_die(void) {
    fault_ready(leat_mutex_open(&mutex, NAME, &plain));
}

static void leave_stale(void) {
    fault_die_after(make_and_die);
}

/* --- Locking ---------------------------------------------------------------------------------- */

static void hold_free(void) {
    fault_ready(leat_mutex_open(&mutex, NAME, &plain));
    fault_remember();
}

static void hold_free_inheriting(void) {
    fault_ready(leat_mutex_open(&mutex, NAME, &inheriting));
    fault_remember();
}

static void hold_inheriting(void) {
    hold_free_inheriting();
    fault_ready(leat_mutex_lock(mutex, LEAT_NOW));
}

static void join(void) {
    fault_ready(leat_mutex_open(&mutex, NAME, &existing));
}

static void join_and_lock(void) {
    join();
    fault_ready(leat_mutex_lock(mutex, LEAT_NOW));
}

static int lock_mutex(void) {
    return leat_mutex_lock(mutex, SHORT);
}

static int try_mutex(void) {
    return leat_mutex_lock(mutex, LEAT_NOW);
}

static int unlock_mutex(void) {
    return leat_mutex_unlock(mutex);
}

static int close_mutex(void) {
    leat_mutex_close(mutex);
    mutex = NULL;
    return LEAT_OK;
}

static int give_up_mutex(void) {
    return leat_mutex_give_up(mutex);
}

/* The worker has it if its call succeeded; otherwise no process has it. */
static void look_at_free(enum fault_moment moment, int code) {
    fault_check_same();
    if (moment == FAULT_WORKER_HAS && code == LEAT_OK) {
        fault_expect(FAULT_TWO_HOLDERS, leat_mutex_lock(mutex, LEAT_NOW), LEAT_EAGAIN);
        return;
    }
    int wanted = moment == FAULT_WORKER_LEFT && code == LEAT_OK ? LEAT_EOWNERDEAD : LEAT_OK;
    int got = leat_mutex_lock(mutex, AMPLE);
    if (got != wanted)
        fault_found(got == LEAT_EOWNERDEAD ? FAULT_CALLED_DEAD : FAULT_HELD_UP,
                    "the next lock gives %s", leat_error_name(got));
    if (got == LEAT_OK || got == LEAT_EOWNERDEAD)
        fault_expect(FAULT_HELD_UP, leat_mutex_unlock(mutex), LEAT_OK);
}

static void lock_and_die(void) {
    leat_mutex *dying;
    fault_ready(leat_mutex_open(&dying, NAME, &existing));
    fault_ready(leat_mutex_lock(dying, LEAT_NOW));
}

static void hold_abandoned(void) {
    hold_free();
    fault_die_after(lock_and_die);
}

static void hold_abandoned_inheriting(void) {
    hold_free_inheriting();
    fault_die_after(lock_and_die);
}

static void judge_abandoned(int code) {
    if (code == LEAT_OK)
        fault_found(FAULT_NO_CAUSE, "the death of the last owner is not reported");
}

static void look_at_abandoned(enum fault_moment moment, int code) {
    fault_check_same();
    if (moment == FAULT_WORKER_HAS && code == LEAT_EOWNERDEAD)
        fault_expect(FAULT_TWO_HOLDERS, leat_mutex_lock(mutex, LEAT_NOW), LEAT_EAGAIN);
    else if (moment == FAULT_WORKER_LEFT &&
             fault_expect(FAULT_NO_CAUSE, leat_mutex_lock(mutex, AMPLE), LEAT_EOWNERDEAD))
        fault_expect(FAULT_HELD_UP, leat_mutex_unlock(mutex), LEAT_OK);
}

/* --- Unlocking for a waiter ------------------------------------------------------------------- */

static int wait_for_mutex(void) {
    leat_mutex *waiting;
    int code = leat_mutex_open(&waiting, NAME, &existing);
    if (code != LEAT_OK)
        return code;
    harness_set(fault_word(0), 1);
    harness_await(fault_word(0), 2); /* the worker has it */
    code = leat_mutex_lock(waiting, AMPLE);
    if (code == LEAT_OK)
        code = leat_mutex_unlock(waiting);
    leat_mutex_close(waiting);
    return code;
}

static void hold_with_waiter(void) {
    hold_free();
    fault_meanwhile(wait_for_mutex);
    harness_await(fault_word(0), 1);
}

static void hold_inheriting_with_waiter(void) {
    hold_free_inheriting();
    fault_meanwhile(wait_for_mutex);
    harness_await(fault_word(0), 1);
}

static void lock_for_waiter(void) {
    join_and_lock();
    harness_set(fault_word(0), 2);
    fault_await_asleep();
}

static void look_at_waiter(enum fault_moment moment, int code) {
    fault_check_same();
    if (moment == FAULT_WORKER_HAS)
        return;
    int got = fault_meanwhile_result();
    if (code == LEAT_OK && got != LEAT_OK)
        fault_found(FAULT_HELD_UP, "the waiter gets %s", leat_error_name(got));
    else if (code != LEAT_OK && got != LEAT_OK && got != LEAT_EOWNERDEAD)
        fault_found(FAULT_HELD_UP, "after a failed unlock and close the waiter gets %s",
                    leat_error_name(got));
}

static void look_at_closed(enum fault_moment moment, int code) {
    (void)code;
    fault_check_same();
    int got = moment == FAULT_WORKER_HAS ? LEAT_EOWNERDEAD : LEAT_OK;
    if (fault_expect(FAULT_HELD_UP, leat_mutex_lock(mutex, AMPLE), got))
        fault_expect(FAULT_HELD_UP, leat_mutex_unlock(mutex), LEAT_OK);
}

static void look_at_lost(enum fault_moment moment, int code) {
    (void)moment;
    fault_check_same();
    if (code == LEAT_OK)
        fault_expect(FAULT_HELD_UP, leat_mutex_lock(mutex, LEAT_NOW), LEAT_ELOST);
}

/* --- Events and semaphores -------------------------------------------------------------------- */

static void hold_event(void) {
    fault_ready(leat_event_open(&event, NAME, NULL));
    fault_remember();
}

static int open_event(void) {
    return leat_event_open(&event, NAME, NULL);
}

static void judge_event(int code) {
    fault_judge_pointer(code, event);
    if (code == LEAT_OK && event_created(event))
        fault_found(FAULT_REPLACED, "it was there, and is created");
    if (code == LEAT_OK && event_is_set(event))
        fault_found(FAULT_NO_CAUSE, "it is set");
}

static void join_event(void) {
    fault_ready(leat_event_open(&event, NAME, &existing));
}

static int wait_for_event(void) {
    return leat_wait(leat_event_waitable(event), SHORT);
}

static int set_event(void) {
    return leat_event_set(event);
}

static int reset_event(void) {
    return leat_event_reset(event);
}

static int pulse_event(void) {
    return leat_event_pulse(event);
}

static void look_at_event(enum fault_moment moment, int code) {
    (void)moment, (void)code;
    fault_check_same();
    fault_expect(FAULT_HELD_UP, leat_event_set(event), LEAT_OK);
    fault_expect(FAULT_HELD_UP, leat_wait(leat_event_waitable(event), LEAT_NOW), LEAT_OK);
    fault_expect(FAULT_NO_CAUSE, leat_wait(leat_event_waitable(event), LEAT_NOW), LEAT_EAGAIN);
}

static int wait_and_exit(void) {
    leat_event *waiting;
    int code = leat_event_open(&waiting, NAME, &existing);
    if (code != LEAT_OK)
        return code;
    harness_set(fault_word(0), 1);
    code = leat_wait(leat_event_waitable(waiting), AMPLE);
    leat_event_close(waiting);
    return code;
}

static void hold_event_with_waiter(void) {
    hold_event();
    fault_meanwhile(wait_and_exit);
    harness_await(fault_word(0), 1);
    fault_await_asleep();
}

static void look_at_event_waiter(enum fault_moment moment, int code) {
    fault_check_same();
    if (moment == FAULT_WORKER_HAS)
        return;
    if (code != LEAT_OK)
        (void)!leat_event_set(event);
    int got = fault_meanwhile_result();
    if (got != LEAT_OK)
        fault_found(FAULT_HELD_UP, "the waiter gets %s", leat_error_name(got));
}

static void hold_semaphore(void) {
    fault_ready(leat_semaphore_open(&semaphore, NAME, 0, 10, NULL));
    fault_remember();
}

static int open_semaphore(void) {
    return leat_semaphore_open(&semaphore, NAME, 5, 10, NULL);
}

static void judge_semaphore(int code) {
    fault_judge_pointer(code, semaphore);
    if (code == LEAT_OK && (semaphore_created(semaphore) || semaphore_count(semaphore) != 0))
        fault_found(FAULT_REPLACED, "it was there, and is created");
}

static void join_semaphore(void) {
    fault_ready(leat_semaphore_open(&semaphore, NAME, 0, 10, &existing));
}

static int wait_for_semaphore(void) {
    return leat_wait(leat_semaphore_waitable(semaphore), SHORT);
}

static int release_semaphore(void) {
    return leat_semaphore_release(semaphore, 2, NULL);
}

static void look_at_semaphore(enum fault_moment moment, int code) {
    (void)moment, (void)code;
    fault_check_same();
    if (semaphore_count(semaphore) != 0)
        fault_found(FAULT_NO_CAUSE, "its count is %u", semaphore_count(semaphore));
    fault_expect(FAULT_HELD_UP, leat_semaphore_release(semaphore, 1, NULL), LEAT_OK);
    fault_expect(FAULT_HELD_UP, leat_wait(leat_semaphore_waitable(semaphore), LEAT_NOW), LEAT_OK);
}

static void look_at_released(enum fault_moment moment, int code) {
    (void)moment;
    fault_check_same();
    if (semaphore_count(semaphore) != (code == LEAT_OK ? 2 : 0))
        fault_found(FAULT_NO_CAUSE, "its count is %u", semaphore_count(semaphore));
}

/* --- Several at once -------------------------------------------------------------------------- */

/* The mutex belongs to the bystander; both events stay unset. */
static void join_several(void) {
    join();
    fault_ready(leat_event_open(&event, NULL, &without_name));
    fault_ready(leat_event_open(&event2, NULL, &without_name));
}

static int wait_any(void) {
    leat_waitable *all[] = {leat_event_waitable(event), leat_mutex_waitable(mutex),
                            leat_event_waitable(event2)};
    return leat_wait_any(all, 3, NULL, SHORT);
}

static int wait_all(void) {
    leat_waitable *all[] = {leat_event_waitable(event), leat_mutex_waitable(mutex),
                            leat_event_waitable(event2)};
    return leat_wait_all(all, 3, SHORT);
}

static void join_several_set(void) {
    join_several();
    fault_ready(leat_event_set(event));
}

static void judge_all(int code) {
    if (code != LEAT_OK && !event_is_set(event))
        fault_found(FAULT_NO_CAUSE, "it takes one of them and fails");
}

/* --- Descriptors, and reading from outside ---------------------------------------------------- */

static int give_descriptor(void) {
    return leat_sync_descriptor(leat_mutex_waitable(mutex), false, &descriptor);
}

static void judge_descriptor(int code) {
    if ((descriptor >= 0) != (code == LEAT_OK))
        fault_found(FAULT_OUTPUT, "the descriptor does not go with the code");
}

static void join_with_descriptor(void) {
    join();
    fault_ready(leat_sync_descriptor(leat_mutex_waitable(mutex), false, &descriptor));
    extra = mutex;
    mutex = UNTOUCHED;
}

static int open_descriptor(void) {
    return leat_mutex_open_descriptor(&mutex, descriptor, NULL);
}

static void judge_pointer(int code) {
    fault_judge_pointer(code, mutex);
}

static void join_event_with_descriptor(void) {
    join_event();
    fault_ready(leat_sync_descriptor(leat_event_waitable(event), false, &descriptor));
    event2 = event;
    event = UNTOUCHED;
}

static int open_event_descriptor(void) {
    return leat_event_open_descriptor(&event, descriptor, NULL);
}

static void join_semaphore_with_descriptor(void) {
    join_semaphore();
    fault_ready(leat_sync_descriptor(leat_semaphore_waitable(semaphore), false, &descriptor));
    leat_semaphore_close(semaphore);
    semaphore = UNTOUCHED;
}

static int open_semaphore_descriptor(void) {
    return leat_semaphore_open_descriptor(&semaphore, descriptor, NULL);
}

static void join_lost(void) {
    join_and_lock();
    fault_ready(leat_mutex_give_up(mutex));
}

static int reset_mutex(void) {
    return leat_mutex_reset(mutex);
}

static void look_at_reset(enum fault_moment moment, int code) {
    (void)moment;
    fault_check_same();
    if (code == LEAT_OK && fault_expect(FAULT_HELD_UP, leat_mutex_lock(mutex, AMPLE), LEAT_OK))
        fault_expect(FAULT_HELD_UP, leat_mutex_unlock(mutex), LEAT_OK);
}

static int read_info(void) {
    return leat_sync_stat(NAME, LEAT_LOCAL, &info);
}

static int get_info(void) {
    return leat_waitable_info(leat_mutex_waitable(mutex), &info);
}

static void judge_info(int code) {
    if (code != LEAT_OK)
        return;
    if (!info.held || info.abandoned || info.lost)
        fault_found(FAULT_CALLED_DEAD, "held %d, abandoned %d, lost %d", info.held, info.abandoned,
                    info.lost);
    if (info.handles == 0)
        fault_found(FAULT_CALLED_DEAD, "no handles");
}

const struct fault_operation fault_sync_operations[] = {
    {.name = "leat_mutex_open, held by another",
     .hold = hold_mutex,
     .look = look_at_held,
     .leave = close_all,
     .prepare = forget,
     .act = open_mutex,
     .judge = judge_joined,
     .finish = close_all},
    {.name = "leat_mutex_open, new",
     .look = look_at_new,
     .prepare = forget,
     .act = open_mutex,
     .judge = judge_made,
     .finish = close_all},
    {.name = "leat_mutex_open, left by a dead process",
     .hold = leave_stale,
     .look = look_at_new,
     .prepare = forget,
     .act = open_mutex,
     .judge = judge_made,
     .finish = close_all},
    {.name = "leat_mutex_open, descriptors 1 and 2 closed",
     .hold = hold_mutex,
     .look = look_at_held,
     .leave = close_all,
     .prepare = forget,
     .act = open_mutex,
     .judge = judge_joined,
     .finish = close_all,
     .closed = 6},
    {.name = "leat_mutex_open, inheriting",
     .look = look_at_inheriting,
     .prepare = forget,
     .act = open_inheriting,
     .judge = judge_made,
     .finish = close_all},
    {.name = "leat_mutex_lock, held by another",
     .hold = hold_mutex,
     .look = look_at_held,
     .leave = close_all,
     .prepare = join,
     .act = lock_mutex,
     .finish = close_all,
     .waits = true,
     .codes = {LEAT_ETIMEDOUT},
     .never_ok = true},
    {.name = "leat_mutex_lock, held by another, at once",
     .hold = hold_mutex,
     .look = look_at_held,
     .leave = close_all,
     .prepare = join,
     .act = try_mutex,
     .finish = close_all,
     .codes = {LEAT_EAGAIN},
     .never_ok = true},
    {.name = "leat_mutex_lock, free",
     .hold = hold_free,
     .look = look_at_free,
     .leave = close_all,
     .prepare = join,
     .act = lock_mutex,
     .finish = close_all,
     .waits = true,
     .codes = {LEAT_ETIMEDOUT}},
    {.name = "leat_mutex_lock, the owner died",
     .hold = hold_abandoned,
     .look = look_at_abandoned,
     .leave = close_all,
     .prepare = join,
     .act = lock_mutex,
     .judge = judge_abandoned,
     .finish = close_all,
     .waits = true,
     .codes = {LEAT_EOWNERDEAD, LEAT_ETIMEDOUT}},
    {.name = "leat_mutex_lock, inheriting, held by another",
     .hold = hold_inheriting,
     .look = look_at_held,
     .leave = close_all,
     .prepare = join,
     .act = lock_mutex,
     .finish = close_all,
     .waits = true,
     .codes = {LEAT_ETIMEDOUT},
     .never_ok = true},
    {.name = "leat_mutex_lock, inheriting, free",
     .hold = hold_free_inheriting,
     .look = look_at_free,
     .leave = close_all,
     .prepare = join,
     .act = lock_mutex,
     .finish = close_all,
     .waits = true,
     .codes = {LEAT_ETIMEDOUT}},
    {.name = "leat_mutex_lock, inheriting, the owner died",
     .hold = hold_abandoned_inheriting,
     .look = look_at_abandoned,
     .leave = close_all,
     .prepare = join,
     .act = lock_mutex,
     .judge = judge_abandoned,
     .finish = close_all,
     .waits = true,
     .codes = {LEAT_EOWNERDEAD, LEAT_ETIMEDOUT}},
    {.name = "leat_mutex_unlock, another waits",
     .hold = hold_with_waiter,
     .look = look_at_waiter,
     .leave = close_all,
     .prepare = lock_for_waiter,
     .act = unlock_mutex,
     .finish = close_all},
    {.name = "leat_mutex_unlock, inheriting, another waits",
     .hold = hold_inheriting_with_waiter,
     .look = look_at_waiter,
     .leave = close_all,
     .prepare = lock_for_waiter,
     .act = unlock_mutex,
     .finish = close_all},
    {.name = "leat_mutex_close, while it holds it",
     .hold = hold_free,
     .look = look_at_closed,
     .leave = close_all,
     .prepare = join_and_lock,
     .act = close_mutex},
    {.name = "leat_mutex_close, inheriting, while it holds it",
     .hold = hold_free_inheriting,
     .look = look_at_closed,
     .leave = close_all,
     .prepare = join_and_lock,
     .act = close_mutex},
    {.name = "leat_mutex_close, the last user",
     .look = look_at_none,
     .prepare = make_and_die,
     .act = close_mutex},
    {.name = "leat_mutex_give_up",
     .hold = hold_free,
     .look = look_at_lost,
     .leave = close_all,
     .prepare = join_and_lock,
     .act = give_up_mutex,
     .finish = close_all},
    {.name = "leat_event_open, in use",
     .hold = hold_event,
     .look = look_at_event,
     .leave = close_all,
     .prepare = forget,
     .act = open_event,
     .judge = judge_event,
     .finish = close_all},
    {.name = "leat_event_set, another waits",
     .hold = hold_event_with_waiter,
     .look = look_at_event_waiter,
     .leave = close_all,
     .prepare = join_event,
     .act = set_event,
     .finish = close_all},
    {.name = "leat_event_pulse, another waits",
     .hold = hold_event_with_waiter,
     .look = look_at_event_waiter,
     .leave = close_all,
     .prepare = join_event,
     .act = pulse_event,
     .finish = close_all},
    {.name = "leat_event_reset",
     .hold = hold_event,
     .look = look_at_event,
     .leave = close_all,
     .prepare = join_event,
     .act = reset_event,
     .finish = close_all},
    {.name = "leat_wait, for an event",
     .hold = hold_event,
     .look = look_at_event,
     .leave = close_all,
     .prepare = join_event,
     .act = wait_for_event,
     .finish = close_all,
     .waits = true,
     .codes = {LEAT_ETIMEDOUT},
     .never_ok = true},
    {.name = "leat_wait, for an event, descriptors 0 and 1 closed",
     .hold = hold_event,
     .look = look_at_event,
     .leave = close_all,
     .prepare = join_event,
     .act = wait_for_event,
     .finish = close_all,
     .waits = true,
     .codes = {LEAT_ETIMEDOUT},
     .never_ok = true,
     .closed = 3},
    {.name = "leat_semaphore_open, in use",
     .hold = hold_semaphore,
     .look = look_at_semaphore,
     .leave = close_all,
     .prepare = forget,
     .act = open_semaphore,
     .judge = judge_semaphore,
     .finish = close_all},
    {.name = "leat_wait, for a semaphore",
     .hold = hold_semaphore,
     .look = look_at_semaphore,
     .leave = close_all,
     .prepare = join_semaphore,
     .act = wait_for_semaphore,
     .finish = close_all,
     .waits = true,
     .codes = {LEAT_ETIMEDOUT},
     .never_ok = true},
    {.name = "leat_semaphore_release",
     .hold = hold_semaphore,
     .look = look_at_released,
     .leave = close_all,
     .prepare = join_semaphore,
     .act = release_semaphore,
     .finish = close_all},
    {.name = "leat_wait_any, none there",
     .hold = hold_mutex,
     .look = look_at_held,
     .leave = close_all,
     .prepare = join_several,
     .act = wait_any,
     .finish = close_all,
     .waits = true,
     .codes = {LEAT_ETIMEDOUT},
     .never_ok = true},
    {.name = "leat_wait_all, one there",
     .hold = hold_mutex,
     .look = look_at_held,
     .leave = close_all,
     .prepare = join_several_set,
     .act = wait_all,
     .judge = judge_all,
     .finish = close_all,
     .waits = true,
     .codes = {LEAT_ETIMEDOUT},
     .never_ok = true},
    {.name = "leat_sync_descriptor",
     .hold = hold_mutex,
     .look = look_at_held,
     .leave = close_all,
     .prepare = join,
     .act = give_descriptor,
     .judge = judge_descriptor,
     .finish = close_all},
    {.name = "leat_mutex_open_descriptor",
     .hold = hold_mutex,
     .look = look_at_held,
     .leave = close_all,
     .prepare = join_with_descriptor,
     .act = open_descriptor,
     .judge = judge_pointer,
     .finish = close_all},
    {.name = "leat_event_open_descriptor",
     .hold = hold_event,
     .look = look_at_event,
     .leave = close_all,
     .prepare = join_event_with_descriptor,
     .act = open_event_descriptor,
     .judge = judge_event,
     .finish = close_all},
    {.name = "leat_semaphore_open_descriptor",
     .hold = hold_semaphore,
     .look = look_at_semaphore,
     .leave = close_all,
     .prepare = join_semaphore_with_descriptor,
     .act = open_semaphore_descriptor,
     .judge = judge_semaphore,
     .finish = close_all},
    {.name = "leat_mutex_reset",
     .hold = hold_free,
     .look = look_at_reset,
     .leave = close_all,
     .prepare = join_lost,
     .act = reset_mutex,
     .finish = close_all},
    {.name = "leat_sync_stat, held",
     .hold = hold_mutex,
     .look = look_at_held,
     .leave = close_all,
     .act = read_info,
     .judge = judge_info},
    {.name = "leat_waitable_info, held",
     .hold = hold_mutex,
     .look = look_at_held,
     .leave = close_all,
     .prepare = join,
     .act = get_info,
     .judge = judge_info,
     .finish = close_all},
    {0},
};
