/* test_sync.c - mutexes, events, semaphores, and waiting for several: what each call does and
 * refuses, with two handles in one process or a child that waits. Deaths are in test_sync_kills.c.
 * Identifiers such as W32-46 are those of docs/conformance.md. */
#include <leat/sync.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "channel_pair.h"
#include "handles.h"

static leat_mutex *open_mutex(const char *name, const leat_sync_options *options) {
    leat_mutex *mutex = NULL;
    assert_ok(leat_mutex_open(&mutex, name, options));
    return mutex;
}

static leat_event *open_event(const char *name, const leat_sync_options *options) {
    leat_event *event = NULL;
    assert_ok(leat_event_open(&event, name, options));
    return event;
}

static leat_semaphore *open_semaphore(const char *name, uint32_t initial, uint32_t maximum) {
    leat_semaphore *semaphore = NULL;
    assert_ok(leat_semaphore_open(&semaphore, name, initial, maximum, NULL));
    return semaphore;
}

#define E(event) leat_event_waitable(event)
#define M(mutex) leat_mutex_waitable(mutex)
#define S(semaphore) leat_semaphore_waitable(semaphore)

/* --- Mutex ------------------------------------------------------------------------------------ */

static void mutex_is_held_by_one_handle_at_a_time(void **state) {
    (void)state;
    leat_mutex *one = open_mutex("held", NULL), *other = open_mutex("held", NULL);
    assert_true(mutex_created(one));
    assert_false(mutex_created(other));
    assert_ok(leat_mutex_lock(one, LEAT_NOW));
    assert_leat(leat_mutex_lock(other, LEAT_NOW), LEAT_EAGAIN);
    assert_leat(leat_mutex_lock(other, SOON), LEAT_ETIMEDOUT);
    assert_leat(leat_mutex_unlock(other), LEAT_ENOTOWNER); /* W32-41, RT-24 */
    assert_leat(leat_mutex_lock(one, LEAT_FOREVER), LEAT_ESTATE);
    assert_ok(leat_mutex_unlock(one));
    assert_leat(leat_mutex_unlock(one), LEAT_ENOTOWNER);
    assert_ok(leat_mutex_lock(other, LEAT_FOREVER));
    assert_ok(leat_mutex_unlock(other));
    leat_mutex_close(one);
    leat_mutex_close(other);
    assert_int_equal(harness_names_left(), 0);
}

static void recursive_mutex_is_unlocked_as_often_as_it_was_locked(void **state) { /* W32-40 */
    (void)state;
    leat_sync_options options = {.recursive = true};
    leat_mutex *one = open_mutex("recursive", &options), *other = open_mutex("recursive", NULL);
    for (int i = 0; i < 3; i++)
        assert_ok(leat_mutex_lock(one, LEAT_NOW));
    assert_ok(leat_wait(M(one), LEAT_NOW));
    for (int i = 0; i < 4; i++) {
        assert_leat(leat_mutex_lock(other, LEAT_NOW), LEAT_EAGAIN);
        assert_ok(leat_mutex_unlock(one));
    }
    assert_ok(leat_mutex_lock(other, LEAT_NOW));
    assert_ok(leat_mutex_unlock(other));
    leat_mutex_close(other);
    leat_mutex_close(one);
}

static void
mutex_can_be_held_from_the_start_by_its_creator_alone(void **state) { /* RT-20, W32-44 */
    (void)state;
    leat_sync_options options = {.initially = true};
    leat_mutex *one = open_mutex("initially", &options), *other = open_mutex("initially", &options);
    assert_leat(leat_mutex_unlock(other), LEAT_ENOTOWNER);
    assert_leat(leat_mutex_lock(other, LEAT_NOW), LEAT_EAGAIN);
    assert_ok(leat_mutex_unlock(one));
    assert_ok(leat_mutex_lock(other, LEAT_NOW));
    assert_ok(leat_mutex_unlock(other));
    leat_mutex_close(one);
    leat_mutex_close(other);
}

static void mutex_closed_while_held_is_reported_to_the_next_owner(void **state) { /* W32-43 */
    (void)state;
    leat_mutex *one = open_mutex("left", NULL), *other = open_mutex("left", NULL);
    assert_ok(leat_mutex_lock(one, LEAT_NOW));
    leat_mutex_close(one);
    one = open_mutex("left", NULL);
    assert_leat(leat_mutex_lock(other, LATER), LEAT_EOWNERDEAD);
    assert_leat(leat_mutex_lock(one, LEAT_NOW), LEAT_EAGAIN); /* it is locked all the same */
    assert_ok(leat_mutex_unlock(other));
    assert_ok(leat_mutex_lock(one, LEAT_NOW)); /* healthy again */
    assert_ok(leat_mutex_unlock(one));
    leat_mutex_close(one);
    leat_mutex_close(other);
}

static int wait_for_lost(void *context) {
    harness_word *ready = context;
    leat_mutex *mutex = open_mutex("given-up", NULL);
    harness_set(ready, 1);
    assert_leat(leat_mutex_lock(mutex, LATER), LEAT_ELOST);
    leat_mutex_close(mutex);
    return 0;
}

static void mutex_that_is_given_up_stays_lost_until_it_is_reset(void **state) {
    (void)state;
    harness_word *ready = harness_shared(sizeof *ready);
    leat_mutex *one = open_mutex("given-up", NULL), *other = open_mutex("given-up", NULL);
    assert_leat(leat_mutex_give_up(one), LEAT_ENOTOWNER);
    assert_leat(leat_mutex_reset(one), LEAT_ESTATE);
    assert_ok(leat_mutex_lock(one, LEAT_NOW));
    pid_t waiter = harness_spawn(wait_for_lost, ready);
    harness_await(ready, 1);
    usleep(20000);
    assert_ok(leat_mutex_give_up(one));
    harness_wait_ok(waiter);
    assert_leat(leat_mutex_lock(other, LEAT_FOREVER), LEAT_ELOST);
    assert_leat(leat_mutex_lock(one, LEAT_FOREVER), LEAT_ELOST);
    assert_ok(leat_mutex_reset(other));
    assert_ok(leat_mutex_lock(one, LEAT_NOW));
    assert_ok(leat_mutex_unlock(one));
    leat_mutex_close(one);
    leat_mutex_close(other);
}

/* --- Event ------------------------------------------------------------------------------------ */

static void automatic_event_lets_one_waiter_go_on_for_each_set(void **state) { /* W32-46 */
    (void)state;
    leat_event *one = open_event("automatic", NULL), *other = open_event("automatic", NULL);
    assert_leat(leat_wait(E(one), LEAT_NOW), LEAT_EAGAIN);
    assert_ok(leat_event_set(one));
    assert_ok(leat_event_set(other)); /* several sets before a wait are one */
    assert_true(event_is_set(other));
    assert_ok(leat_wait(E(other), LEAT_FOREVER));
    assert_leat(leat_wait(E(one), SOON), LEAT_ETIMEDOUT);
    assert_ok(leat_event_set(one));
    assert_ok(leat_event_reset(other));
    assert_leat(leat_wait(E(one), LEAT_NOW), LEAT_EAGAIN);
    leat_event_close(one);
    leat_event_close(other);
}

static void manual_event_stays_set_until_it_is_reset(void **state) { /* W32-46, RT-30 */
    (void)state;
    leat_sync_options options = {.manual_reset = true, .initially = true};
    /* which keeps its kind */
    leat_event *one = open_event("manual", &options), *other = open_event("manual", NULL);
    for (int i = 0; i < 3; i++)
        assert_ok(leat_wait(E(other), LEAT_NOW));
    assert_ok(leat_event_reset(other));
    assert_leat(leat_wait(E(one), LEAT_NOW), LEAT_EAGAIN);
    leat_event_close(one);
    leat_event_close(other);
}

struct waiters {
    harness_word ready, woken;
};

static int wait_for_pulse(void *context) {
    struct waiters *waiters = context;
    leat_event *event = open_event("pulsed", NULL);
    harness_increment(&waiters->ready);
    int result = leat_wait(E(event), leat_in_ms(600));
    assert_true(result == LEAT_OK || result == LEAT_ETIMEDOUT);
    if (result == LEAT_OK)
        harness_increment(&waiters->woken);
    leat_event_close(event);
    return 0;
}

/* How many of three waiters one pulse lets go on. */
static unsigned pulse_three(leat_event *event) {
    struct waiters *waiters = harness_shared(sizeof *waiters);
    pid_t children[3];
    for (int i = 0; i < 3; i++)
        children[i] = harness_spawn(wait_for_pulse, waiters);
    harness_await(&waiters->ready, 3);
    for (int i = 0; i < 3; i++)
        harness_await_asleep(children[i]);
    assert_ok(leat_event_pulse(event));
    for (int i = 0; i < 3; i++)
        harness_wait_ok(children[i]);
    return waiters->woken;
}

static void pulse_lets_waiters_go_on(void **state) { /* RT-30 */
    (void)state;
    leat_sync_options manual = {.manual_reset = true};
    leat_event *event = open_event("pulsed", NULL);
    assert_ok(leat_event_pulse(event)); /* no thread waits: the pulse has no effect */
    assert_leat(leat_wait(E(event), LEAT_NOW), LEAT_EAGAIN);
    assert_int_equal(pulse_three(event), 1);
    assert_leat(leat_wait(E(event), SOON), LEAT_ETIMEDOUT);
    leat_event_close(event);
    event = open_event("pulsed", &manual);
    assert_int_equal(pulse_three(event), 3);
    assert_ok(leat_event_set(event));
    assert_ok(leat_event_pulse(event)); /* leaves it reset */
    assert_leat(leat_wait(E(event), LEAT_NOW), LEAT_EAGAIN);
    leat_event_close(event);
}

static int wait_for_pulse_and_more(void *context) {
    struct waiters *waiters = context;
    leat_event *event = open_event("pulsed-all", NULL);
    leat_semaphore *semaphore = open_semaphore("pulsed-s", 1, 1);
    leat_waitable *all[] = {E(event), S(semaphore)};
    harness_increment(&waiters->ready);
    assert_leat(leat_wait_all(all, 2, leat_in_ms(600)), LEAT_ETIMEDOUT);
    leat_event_close(event);
    leat_semaphore_close(semaphore);
    return 0;
}

static void pulse_lets_no_wait_for_all_go_on(void **state) {
    (void)state;
    for (int manual = 0; manual < 2; manual++) {
        struct waiters *waiters = harness_shared(sizeof *waiters);
        leat_sync_options options = {.manual_reset = manual != 0};
        leat_event *event = open_event("pulsed-all", &options);
        leat_semaphore *semaphore = open_semaphore("pulsed-s", 1, 1);
        pid_t child = harness_spawn(wait_for_pulse_and_more, waiters);
        harness_await(&waiters->ready, 1);
        harness_await_asleep(child);
        assert_ok(leat_event_pulse(event));
        harness_wait_ok(child);
        assert_int_equal(semaphore_count(semaphore), 1);
        leat_event_close(event);
        leat_semaphore_close(semaphore);
    }
}

/* --- Semaphore -------------------------------------------------------------------------------- */

static void semaphore_counts_within_its_bounds(void **state) { /* W32-47, RT-31 */
    (void)state;
    /* which keeps its own */
    leat_semaphore *one = open_semaphore("counted", 2, 3), *other = open_semaphore("counted", 1, 9);
    uint32_t previous = 99;
    assert_int_equal(semaphore_count(other), 2);
    assert_int_equal(semaphore_maximum(other), 3);
    assert_leat(leat_semaphore_release(one, 2, &previous), LEAT_EOVERFLOW);
    assert_leat(leat_semaphore_release(one, UINT32_MAX, &previous), LEAT_EOVERFLOW);
    assert_leat(leat_semaphore_release(one, 0, &previous), LEAT_EINVAL);
    assert_int_equal(previous, 99);
    assert_ok(leat_semaphore_release(other, 1, &previous));
    assert_int_equal(previous, 2);
    for (int i = 0; i < 3; i++)
        assert_ok(leat_wait(S(i % 2 == 0 ? one : other), LEAT_NOW));
    assert_leat(leat_wait(S(one), LEAT_NOW), LEAT_EAGAIN);
    assert_leat(leat_wait(S(one), SOON), LEAT_ETIMEDOUT);
    assert_ok(leat_semaphore_release(one, 3, NULL));
    leat_semaphore_close(one); /* counts are not given back */
    assert_int_equal(semaphore_count(other), 3);
    leat_semaphore_close(other);
    leat_semaphore *none = NULL;
    assert_leat(leat_semaphore_open(&none, "none", 0, 0, NULL), LEAT_EINVAL);
    assert_leat(leat_semaphore_open(&none, "none", 2, 1, NULL), LEAT_EINVAL);
    assert_leat(leat_semaphore_open(&none, "none", 0, LEAT_SEMAPHORE_MAX + 1u, NULL), LEAT_EINVAL);
    assert_null(none);
    assert_int_equal(harness_names_left(), 0);
}

/* --- Several ---------------------------------------------------------------------------------- */

static void wait_any_takes_the_first_that_is_ready(void **state) { /* W32-49 */
    (void)state;
    leat_mutex *mutex = open_mutex("any-m", NULL), *other = open_mutex("any-m", NULL);
    leat_event *event = open_event("any-e", NULL);
    leat_semaphore *semaphore = open_semaphore("any-s", 1, 2);
    leat_waitable *all[] = {E(event), S(semaphore), M(mutex)};
    size_t index = 99;
    assert_ok(leat_wait_any(all, 3, &index, LEAT_FOREVER));
    assert_int_equal(index, 1);
    assert_ok(leat_wait_any(all, 3, &index, LEAT_NOW));
    assert_int_equal(index, 2);
    /* it holds the mutex already */
    assert_leat(leat_wait_any(all, 3, &index, LEAT_NOW), LEAT_ESTATE);
    assert_leat(leat_wait_any(all, 2, &index, LEAT_NOW), LEAT_EAGAIN);
    assert_leat(leat_wait_any(all, 2, &index, SOON), LEAT_ETIMEDOUT);
    assert_ok(leat_semaphore_release(semaphore, 2, NULL));
    assert_ok(leat_event_set(event));
    assert_ok(leat_wait_any(all, 2, &index, LEAT_NOW));
    assert_int_equal(index, 0);
    assert_int_equal(semaphore_count(semaphore), 2);
    assert_ok(leat_mutex_unlock(mutex));
    assert_ok(leat_mutex_lock(other, LEAT_NOW));
    leat_mutex_close(other);
    assert_leat(leat_wait_any(all + 2, 1, &index, LEAT_NOW), LEAT_EOWNERDEAD);
    assert_int_equal(index, 0);
    leat_mutex_close(mutex);
    leat_event_close(event);
    leat_semaphore_close(semaphore);
}

static void wait_all_takes_none_before_the_last_is_ready(void **state) { /* W32-49 */
    (void)state;
    leat_mutex *mutex = open_mutex("all-m", NULL), *other = open_mutex("all-m", NULL);
    leat_event *event = open_event("all-e", NULL);
    leat_semaphore *semaphore = open_semaphore("all-s", 1, 2);
    leat_waitable *all[] = {S(semaphore), E(event), M(mutex)};
    assert_ok(leat_mutex_lock(other, LEAT_NOW));
    assert_leat(leat_wait_all(all, 3, LEAT_NOW), LEAT_EAGAIN);
    assert_ok(leat_event_set(event));
    assert_leat(leat_wait_all(all, 3, SOON), LEAT_ETIMEDOUT);
    assert_int_equal(semaphore_count(semaphore), 1);
    assert_true(event_is_set(event));
    assert_ok(leat_mutex_unlock(other));
    assert_ok(leat_wait_all(all, 3, LEAT_NOW));
    assert_int_equal(semaphore_count(semaphore), 0);
    assert_false(event_is_set(event));
    assert_leat(leat_mutex_lock(other, LEAT_NOW), LEAT_EAGAIN);
    assert_leat(leat_wait_all(all, 3, LEAT_NOW), LEAT_EINVAL); /* it holds the mutex */
    assert_ok(leat_mutex_unlock(mutex));
    /* An owner's death is reported when all are taken, not before: a try in vain does not use it
     * up. */
    assert_ok(leat_mutex_lock(other, LEAT_NOW));
    leat_mutex_close(other);
    assert_leat(leat_wait_all(all, 3, LEAT_NOW), LEAT_EAGAIN);
    assert_ok(leat_event_set(event));
    assert_ok(leat_semaphore_release(semaphore, 1, NULL));
    assert_leat(leat_wait_all(all, 3, LEAT_NOW), LEAT_EOWNERDEAD);
    leat_mutex_close(mutex);
    leat_event_close(event);
    leat_semaphore_close(semaphore);
}

static int give_one_after_another(void *context) {
    (void)context;
    leat_event *event = open_event("late-e", NULL);
    leat_semaphore *semaphore = open_semaphore("late-s", 0, 1);
    usleep(30000);
    assert_ok(leat_event_set(event));
    usleep(30000);
    assert_ok(leat_semaphore_release(semaphore, 1, NULL));
    leat_event_close(event);
    leat_semaphore_close(semaphore);
    return 0;
}

static void waits_for_several_are_woken(void **state) {
    (void)state;
    leat_event *event = open_event("late-e", NULL);
    leat_semaphore *semaphore = open_semaphore("late-s", 0, 1);
    leat_waitable *all[] = {S(semaphore), E(event)};
    for (int round = 0; round < 3; round++) {
        pid_t giver = harness_spawn(give_one_after_another, NULL);
        assert_ok(leat_wait_all(all, 2, LATER));
        harness_wait_ok(giver);
        giver = harness_spawn(give_one_after_another, NULL);
        size_t index = 99;
        assert_ok(leat_wait_any(all, 2, &index, LATER));
        assert_int_equal(index, 1);
        assert_ok(leat_wait_any(all, 2, &index, LATER));
        assert_int_equal(index, 0);
        harness_wait_ok(giver);
    }
    leat_event_close(event);
    leat_semaphore_close(semaphore);
}

static void wrong_arguments_are_refused(void **state) {
    (void)state;
    leat_event *events[LEAT_WAIT_MAX + 1];
    leat_waitable *all[LEAT_WAIT_MAX + 1];
    for (int i = 0; i <= LEAT_WAIT_MAX; i++) {
        char name[24];
        snprintf(name, sizeof name, "many-%d", i);
        events[i] = open_event(name, NULL);
        all[i] = E(events[i]);
    }
    size_t index = 99;
    assert_ok(leat_event_set(events[LEAT_WAIT_MAX - 1]));
    assert_ok(leat_wait_any(all, LEAT_WAIT_MAX, &index, LEAT_NOW));
    assert_int_equal(index, LEAT_WAIT_MAX - 1);
    assert_leat(leat_wait_any(all, LEAT_WAIT_MAX, &index, SOON), LEAT_ETIMEDOUT);
    assert_leat(leat_wait_any(all, LEAT_WAIT_MAX + 1, &index, LEAT_NOW), LEAT_EINVAL);
    assert_leat(leat_wait_any(all, 0, &index, LEAT_NOW), LEAT_EINVAL);
    assert_leat(leat_wait_any(NULL, 1, &index, LEAT_NOW), LEAT_EINVAL);
    all[1] = all[0];
    assert_leat(leat_wait_any(all, 2, &index, LEAT_NOW), LEAT_EINVAL); /* no duplicates */
    leat_event *again = open_event("many-0", NULL);
    all[1] = E(again);
    assert_leat(leat_wait_all(all, 2, LEAT_NOW), LEAT_EINVAL);
    all[1] = NULL;
    assert_leat(leat_wait_any(all, 2, &index, LEAT_NOW), LEAT_EINVAL);
    assert_leat(leat_wait(NULL, LEAT_NOW), LEAT_EINVAL);
    leat_event_close(again);
    for (int i = 0; i <= LEAT_WAIT_MAX; i++)
        leat_event_close(events[i]);
}

/* --- As objects ------------------------------------------------------------------------------- */

static void name_belongs_to_one_kind(void **state) { /* RT-06, W32-N1 */
    (void)state;
    leat_mutex *mutex = open_mutex("one-kind", NULL);
    leat_event *event = NULL;
    leat_semaphore *semaphore = NULL;
    leat_sender *sender = NULL;
    assert_leat(leat_event_open(&event, "one-kind", NULL), LEAT_EKIND);
    assert_leat(leat_semaphore_open(&semaphore, "one-kind", 0, 1, NULL), LEAT_EKIND);
    assert_leat(leat_sender_open(&sender, "one-kind", NULL), LEAT_EKIND);
    assert_ok(leat_mutex_lock(mutex, LEAT_NOW)); /* unharmed */
    leat_mutex_close(mutex);
    leat_sync_options options = {.mode = LEAT_OPEN};
    assert_leat(leat_event_open(&event, "one-kind", &options), LEAT_ENOENT); /* W32-N10 */
    options.mode = LEAT_CREATE;
    event = open_event("one-kind", &options);
    assert_leat(leat_event_open(&event, "one-kind", &options), LEAT_EEXIST);
    leat_event_close(event);
}

static void state_can_be_read_from_outside(void **state) {
    (void)state;
    leat_mutex *mutex = open_mutex("seen-m", NULL), *other = open_mutex("seen-m", NULL);
    leat_sync_info info;
    assert_ok(leat_mutex_lock(other, LEAT_NOW));
    assert_ok(leat_sync_stat("seen-m", LEAT_LOCAL, &info));
    assert_true(info.kind == LEAT_KIND_MUTEX && info.handles == 2 && info.held && !info.abandoned &&
                !info.lost);
    assert_int_equal(info.holder, getpid());
    assert_ok(leat_mutex_give_up(other));
    assert_ok(leat_sync_stat("seen-m", LEAT_LOCAL, &info));
    assert_true(info.lost && !info.held);
    leat_mutex_close(mutex);
    leat_mutex_close(other);
    leat_semaphore *semaphore = open_semaphore("seen-s", 2, 5);
    assert_ok(leat_sync_stat("seen-s", LEAT_LOCAL, &info));
    assert_true(info.kind == LEAT_KIND_SEMAPHORE && info.count == 2 && info.maximum == 5);
    leat_semaphore_close(semaphore);
    leat_sender *sender = open_sender("seen-c", NULL);
    assert_leat(leat_sync_stat("seen-c", LEAT_LOCAL, &info), LEAT_EKIND);
    leat_sender_close(sender);
    assert_leat(leat_sync_stat("seen-c", LEAT_LOCAL, &info), LEAT_ENOENT);
}

struct handles {
    leat_mutex *mutex;
    leat_event *event;
    leat_semaphore *semaphore;
};

static int use_in_child(void *context) {
    struct handles *handles = context;
    leat_waitable *both[] = {E(handles->event), S(handles->semaphore)};
    assert_leat(leat_mutex_lock(handles->mutex, LEAT_NOW), LEAT_EFORKED);
    assert_leat(leat_mutex_unlock(handles->mutex), LEAT_EFORKED);
    assert_leat(leat_event_set(handles->event), LEAT_EFORKED);
    assert_leat(leat_semaphore_release(handles->semaphore, 1, NULL), LEAT_EFORKED);
    assert_leat(leat_wait_any(both, 2, NULL, LEAT_NOW), LEAT_EFORKED);
    leat_mutex_close(handles->mutex);
    leat_event_close(handles->event);
    leat_semaphore_close(handles->semaphore);
    return 0;
}

static void forked_child_is_refused_and_harms_nothing(void **state) {
    (void)state;
    struct handles handles = {open_mutex("fork-m", NULL), open_event("fork-e", NULL),
                              open_semaphore("fork-s", 1, 1)};
    assert_ok(leat_mutex_lock(handles.mutex, LEAT_NOW));
    harness_wait_ok(harness_spawn(use_in_child, &handles));
    leat_mutex *other = open_mutex("fork-m", NULL);
    assert_leat(leat_mutex_lock(other, LEAT_NOW), LEAT_EAGAIN); /* still held by the parent */
    assert_ok(leat_mutex_unlock(handles.mutex));
    assert_ok(leat_wait(S(handles.semaphore), LEAT_NOW));
    leat_mutex_close(other);
    leat_mutex_close(handles.mutex);
    leat_event_close(handles.event);
    leat_semaphore_close(handles.semaphore);
    assert_int_equal(harness_names_left(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(mutex_is_held_by_one_handle_at_a_time),
        HARNESS_TEST(recursive_mutex_is_unlocked_as_often_as_it_was_locked),
        HARNESS_TEST(mutex_can_be_held_from_the_start_by_its_creator_alone),
        HARNESS_TEST(mutex_closed_while_held_is_reported_to_the_next_owner),
        HARNESS_TEST(mutex_that_is_given_up_stays_lost_until_it_is_reset),
        HARNESS_TEST(automatic_event_lets_one_waiter_go_on_for_each_set),
        HARNESS_TEST(manual_event_stays_set_until_it_is_reset),
        HARNESS_TEST(pulse_lets_waiters_go_on),
        HARNESS_TEST(pulse_lets_no_wait_for_all_go_on),
        HARNESS_TEST(semaphore_counts_within_its_bounds),
        HARNESS_TEST(wait_any_takes_the_first_that_is_ready),
        HARNESS_TEST(wait_all_takes_none_before_the_last_is_ready),
        HARNESS_TEST(waits_for_several_are_woken),
        HARNESS_TEST(wrong_arguments_are_refused),
        HARNESS_TEST(name_belongs_to_one_kind),
        HARNESS_TEST(state_can_be_read_from_outside),
        HARNESS_TEST(forked_child_is_refused_and_harms_nothing),
    };
    return HARNESS_MAIN("sync", tests);
}
