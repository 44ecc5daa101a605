/* test_waitset_sync.c - mutexes, events and semaphores in an event loop, with plain poll: signals,
 * counts and unlocks of another process are reported, deaths too, and nothing is lost or taken
 * twice among several loops and threads. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "channel_pair.h"
#include "handles.h"
#include "waitset_loop.h"

#define E(event) leat_event_waitable(event)
#define M(mutex) leat_mutex_waitable(mutex)
#define S(semaphore) leat_semaphore_waitable(semaphore)

struct three {
    leat_mutex *mutex;
    leat_event *event;
    leat_semaphore *semaphore;
};

static struct three open_three(bool inherit) {
    struct three three = {NULL, NULL, NULL};
    leat_sync_options options = {.inherit_priority = inherit};
    assert_ok(leat_mutex_open(&three.mutex, "m", &options));
    assert_ok(leat_event_open(&three.event, "e", NULL));
    assert_ok(leat_semaphore_open(&three.semaphore, "s", 0, 100, NULL));
    return three;
}

static void close_three(struct three *three) {
    leat_mutex_close(three->mutex);
    leat_event_close(three->event);
    leat_semaphore_close(three->semaphore);
}

static void add_three(leat_waitset *waitset, struct three *three) {
    assert_ok(leat_waitset_add_waitable(waitset, M(three->mutex), &three->mutex));
    assert_ok(leat_waitset_add_waitable(waitset, E(three->event), &three->event));
    assert_ok(leat_waitset_add_waitable(waitset, S(three->semaphore), &three->semaphore));
}

/* Posts one after another, each when the one before has been taken. */
static int give(void *context) {
    harness_word *words = context;
    struct three three = open_three(words[3] != 0);
    assert_ok(leat_mutex_lock(three.mutex, LATER));
    harness_set(&words[0], 1);
    harness_await(&words[1], 1);
    assert_ok(leat_event_set(three.event));
    harness_await(&words[1], 2);
    assert_ok(leat_semaphore_release(three.semaphore, 3, NULL));
    harness_await(&words[1], 3);
    assert_ok(leat_mutex_unlock(three.mutex));
    harness_await(&words[1], 4);
    assert_ok(leat_mutex_lock(three.mutex, LATER));
    harness_set(&words[0], 2);
    harness_await(&words[1], 5);
    raise(SIGKILL);
    return 1;
}

static void what_is_given_and_who_dies(bool inherit) {
    harness_word *words = harness_shared(4 * sizeof *words);
    leat_waitset *waitset = open_waitset();
    struct three three = open_three(inherit);
    words[3] = inherit;
    pid_t child = harness_spawn(give, words);
    harness_await(&words[0], 1);
    add_three(waitset, &three);
    assert_ptr_equal(next_ready(waitset), NULL);
    assert_false(is_readable(waitset, 0));
    harness_set(&words[1], 1);
    assert_ptr_equal(next_named(waitset), &three.event);
    assert_ptr_equal(next_ready(waitset), &three.event); /* until it is taken */
    assert_ok(leat_wait(E(three.event), LEAT_NOW));
    assert_ptr_equal(next_ready(waitset), NULL);
    harness_set(&words[1], 2);
    for (int i = 0; i < 3; i++) {
        assert_ptr_equal(next_named(waitset), &three.semaphore);
        assert_ok(leat_wait(S(three.semaphore), LEAT_NOW));
    }
    assert_ptr_equal(next_ready(waitset), NULL);
    harness_set(&words[1], 3);
    assert_ptr_equal(next_named(waitset), &three.mutex);
    assert_ok(leat_wait(M(three.mutex), LEAT_NOW));
    assert_ptr_equal(next_ready(waitset), NULL); /* held by ourselves */
    assert_ok(leat_mutex_unlock(three.mutex));
    /* it could be taken again, so it is removed for now */
    assert_ptr_equal(next_named(waitset), &three.mutex);
    leat_waitset_remove_waitable(M(three.mutex));
    harness_set(&words[1], 4);
    harness_await(&words[0], 2);
    assert_ok(leat_waitset_add_waitable(waitset, M(three.mutex), &three.mutex));
    assert_ptr_equal(next_ready(waitset), NULL);
    harness_set(&words[1], 5);
    assert_ptr_equal(next_named(waitset), &three.mutex); /* its owner died */
    assert_leat(leat_wait(M(three.mutex), LEAT_NOW), LEAT_EOWNERDEAD);
    harness_wait_signal(child, SIGKILL);
    assert_ok(leat_mutex_unlock(three.mutex));
    close_three(&three);
    leat_waitset_close(waitset);
    assert_int_equal(harness_names_left(), 0);
}

static void objects_given_by_others_and_deaths_are_reported(void **state) {
    (void)state;
    what_is_given_and_who_dies(false);
}

static void mutex_with_priority_inheritance_is_reported_too(void **state) {
    (void)state;
    what_is_given_and_who_dies(true);
}

/* --- Several ---------------------------------------------------------------------------------- */

struct contest {
    harness_word ready, taken[4];
    _Atomic uint32_t all;
};

struct contestant {
    struct contest *contest;
    unsigned number;
    uint32_t wanted;
};

/* Takes counts from a loop (even numbers), or blocked (odd ones), until all have been taken. */
static int take_counts(void *context) {
    struct contestant *self = context;
    struct contest *contest = self->contest;
    leat_waitset *waitset = open_waitset();
    leat_semaphore *semaphore = NULL;
    assert_ok(leat_semaphore_open(&semaphore, "contest", 0, 1000, NULL));
    if (self->number % 2 == 0)
        assert_ok(leat_waitset_add_waitable(waitset, S(semaphore), semaphore));
    harness_increment(&contest->ready);
    while (contest->all < self->wanted) {
        int result = LEAT_EAGAIN;
        if (self->number % 2 != 0)
            result = leat_wait(S(semaphore), leat_in_ms(20));
        else if (next_ready(waitset) != NULL)
            result = leat_wait(S(semaphore), LEAT_NOW);
        else
            (void)is_readable(waitset, 20); /* perhaps the last has been taken meanwhile */
        if (result == LEAT_OK) {
            contest->taken[self->number]++;
            contest->all++;
        }
    }
    leat_semaphore_close(semaphore);
    leat_waitset_close(waitset);
    return 0;
}

static void loops_and_threads_take_each_count_once(void **state) {
    (void)state;
    enum { COUNTS = 20000 };
    struct contest *contest = harness_shared(sizeof *contest);
    struct contestant *contestants = harness_shared(4 * sizeof *contestants);
    leat_semaphore *semaphore = NULL;
    pid_t children[4];
    assert_ok(leat_semaphore_open(&semaphore, "contest", 0, 1000, NULL));
    for (unsigned i = 0; i < 4; i++) {
        contestants[i] = (struct contestant){contest, i, COUNTS};
        children[i] = harness_spawn(take_counts, &contestants[i]);
    }
    harness_await(&contest->ready, 4);
    for (unsigned given = 0; given < COUNTS;) {
        int result = leat_semaphore_release(semaphore, 1 + given % 3, NULL);
        if (result == LEAT_OK)
            given += 1 + given % 3;
        else
            usleep(100);
        if (given % 50 == 0)
            usleep(200); /* so that they fall asleep in between */
    }
    for (unsigned i = 0; i < 4; i++)
        harness_wait_ok(children[i]);
    uint32_t sum = 0;
    for (unsigned i = 0; i < 4; i++)
        sum += contest->taken[i];
    print_message("taken in loops %u and %u, blocked %u and %u\n", contest->taken[0],
                  contest->taken[2], contest->taken[1], contest->taken[3]);
    assert_int_equal(sum, contest->all);
    assert_in_range(sum + semaphore_count(semaphore), COUNTS, COUNTS + 3);
    leat_semaphore_close(semaphore);
    assert_int_equal(harness_names_left(), 0);
}

/* Asks and is answered, one by loop, one blocked: a wake that is lost ends it. */
static int answer(void *context) {
    uint32_t rounds = *(uint32_t *)context;
    leat_event *ask = NULL, *answered = NULL;
    assert_ok(leat_event_open(&ask, "ask", NULL));
    assert_ok(leat_event_open(&answered, "answered", NULL));
    for (uint32_t i = 0; i < rounds; i++) {
        assert_ok(leat_wait(E(ask), LATER));
        assert_ok(leat_event_set(answered));
    }
    leat_event_close(ask);
    leat_event_close(answered);
    return 0;
}

static void set_is_not_lost_at_the_edge_of_sleep(void **state) {
    (void)state;
    uint32_t rounds = (uint32_t)harness_setting("LEAT_MESSAGES", 20000);
    leat_waitset *waitset = open_waitset();
    leat_event *ask = NULL, *answered = NULL;
    uint64_t random = harness_seed();
    assert_ok(leat_event_open(&ask, "ask", NULL));
    assert_ok(leat_event_open(&answered, "answered", NULL));
    assert_ok(leat_waitset_add_waitable(waitset, E(answered), answered));
    pid_t child = harness_spawn(answer, &rounds);
    for (uint32_t i = 0; i < rounds; i++) {
        assert_ok(leat_event_set(ask));
        for (uint64_t pause = harness_random(&random) % 2000; pause > 0; pause--)
            __asm__ volatile("");
        assert_ptr_equal(next_named(waitset), answered);
        assert_ok(leat_wait(E(answered), LEAT_NOW));
    }
    harness_wait_ok(child);
    leat_event_close(ask);
    leat_event_close(answered);
    leat_waitset_close(waitset);
}

static void loops_are_limited_for_each_object(void **state) {
    (void)state;
    enum { LOOPS = 64 };
    leat_waitset *waitset = open_waitset();
    leat_event *events[LOOPS + 1];
    leat_sync_options manual = {.manual_reset = true};
    for (int i = 0; i <= LOOPS; i++)
        assert_ok(leat_event_open(&events[i], "crowd", &manual));
    for (int i = 0; i < LOOPS; i++)
        assert_ok(leat_waitset_add_waitable(waitset, E(events[i]), events[i]));
    assert_leat(leat_waitset_add_waitable(waitset, E(events[LOOPS]), NULL), LEAT_EBUSY);
    assert_leat(leat_waitset_add_waitable(waitset, E(events[0]), NULL), LEAT_ESTATE);
    assert_leat(leat_waitset_add_waitable(waitset, NULL, NULL), LEAT_EINVAL);
    assert_ptr_equal(next_ready(waitset), NULL);
    assert_ok(leat_event_set(events[LOOPS])); /* one that does not listen */
    for (int i = 0; i < 2 * LOOPS; i++)
        assert_non_null(next_named(waitset)); /* all of them, in rotation, as long as it is set */
    assert_ok(leat_event_reset(events[3]));
    assert_ptr_equal(next_ready(waitset), NULL);
    assert_ok(leat_event_pulse(events[3]));
    assert_ptr_equal(next_ready(waitset), NULL); /* a pulse is only for present waiters */
    leat_event_close(events[7]);                 /* makes room */
    assert_ok(leat_waitset_add_waitable(waitset, E(events[LOOPS]), events[LOOPS]));
    for (int i = 0; i <= LOOPS; i++)
        if (i != 7)
            leat_event_close(events[i]);
    leat_waitset_close(waitset);
    assert_int_equal(harness_names_left(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(objects_given_by_others_and_deaths_are_reported),
        HARNESS_TEST(mutex_with_priority_inheritance_is_reported_too),
        HARNESS_TEST_WITHIN(loops_and_threads_take_each_count_once, 300),
        HARNESS_TEST_WITHIN(set_is_not_lost_at_the_edge_of_sleep, 1200),
        HARNESS_TEST(loops_are_limited_for_each_object),
    };
    return HARNESS_MAIN("waitset_sync", tests);
}
