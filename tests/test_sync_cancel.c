/* test_sync_cancel.c - threads that are cancelled while they wait for mutexes, events and
 * semaphores: they end soon, and no object that they had taken, or were about to take, is lost. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "channel_pair.h"
#include "handles.h"

#define PATIENCE_S (10 * (time_t)harness_patience())

static void join_cancelled(pthread_t thread) {
    struct timespec until;
    void *result = NULL;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    if (pthread_timedjoin_np(thread, &result, &until) != 0)
        harness_fail("a thread that was cancelled still waits");
    assert_ptr_equal(result, PTHREAD_CANCELED);
}

/* --- One that waits --------------------------------------------------------------------------- */

struct waiting {
    leat_waitable *objects[2];
    size_t count;
    bool all;
    harness_word ready;
};

static void *wait_for_ever(void *context) {
    struct waiting *waiting = context;
    harness_set(&waiting->ready, 1);
    if (waiting->count == 1)
        (void)!leat_wait(waiting->objects[0], LEAT_FOREVER);
    else if (waiting->all)
        (void)!leat_wait_all(waiting->objects, 2, LEAT_FOREVER);
    else
        (void)!leat_wait_any(waiting->objects, 2, NULL, LEAT_FOREVER);
    return NULL;
}

static void cancel_one(struct waiting *waiting) {
    pthread_t thread;
    waiting->ready = 0;
    assert_int_equal(pthread_create(&thread, NULL, wait_for_ever, waiting), 0);
    harness_await(&waiting->ready, 1);
    usleep(20000);
    assert_int_equal(pthread_cancel(thread), 0);
    join_cancelled(thread);
}

static void wait_of_each_kind_can_be_cancelled(void **state) {
    (void)state;
    for (int inherits = 0; inherits < 2; inherits++) {
        const leat_sync_options options = {.inherit_priority = inherits != 0};
        leat_mutex *mutex = NULL, *held = NULL;
        leat_event *event = NULL;
        assert_ok(leat_mutex_open(&held, "cancelled-m", &options));
        assert_ok(leat_mutex_open(&mutex, "cancelled-m", NULL));
        assert_ok(leat_event_open(&event, "cancelled-e", NULL));
        assert_ok(leat_mutex_lock(held, LEAT_NOW));
        cancel_one(&(struct waiting){.objects = {leat_mutex_waitable(mutex)}, .count = 1});
        cancel_one(&(struct waiting){.objects = {leat_event_waitable(event)}, .count = 1});
        cancel_one(&(struct waiting){
            .objects = {leat_mutex_waitable(mutex), leat_event_waitable(event)}, .count = 2});
        cancel_one(
            &(struct waiting){.objects = {leat_mutex_waitable(mutex), leat_event_waitable(event)},
                              .count = 2,
                              .all = true});
        assert_ok(leat_mutex_unlock(held));
        assert_ok(leat_mutex_lock(mutex, LATER));
        assert_ok(leat_mutex_unlock(mutex));
        leat_mutex_close(held);
        leat_mutex_close(mutex);
        leat_event_close(event);
    }
    assert_int_equal(harness_names_left(), 0);
}

/* --- Many, at random -------------------------------------------------------------------------- */

#define WORKERS 4
#define COUNTS 2

static struct {
    _Atomic uint32_t stop, inside, violations;
    _Atomic uint64_t rounds;
} arena;

struct worker {
    bool inherits;
    leat_mutex *mutex, *other;
    leat_semaphore *semaphore, *second;
};

static void close_handles(void *context) {
    struct worker *worker = context;
    leat_mutex_close(worker->mutex);
    leat_mutex_close(worker->other);
    leat_semaphore_close(worker->semaphore);
    leat_semaphore_close(worker->second);
}

static void open_handles(struct worker *worker) {
    const leat_sync_options options = {.inherit_priority = worker->inherits};
    assert_ok(leat_mutex_open(&worker->mutex, "many-m", &options));
    assert_ok(leat_mutex_open(&worker->other, "many-o", NULL));
    assert_ok(leat_semaphore_open(&worker->semaphore, "many-s", COUNTS, COUNTS, NULL));
    assert_ok(leat_semaphore_open(&worker->second, "many-t", COUNTS, COUNTS, NULL));
}

static void note(bool good) {
    if (!good)
        arena.violations++;
}

/* Nothing is held wherever it waits: so whatever is missing at the end was lost by a wait. */
static void go_round(struct worker *worker) {
    leat_waitable *all[] = {leat_semaphore_waitable(worker->second),
                            leat_mutex_waitable(worker->other),
                            leat_semaphore_waitable(worker->semaphore)};
    size_t index = 0;
    note(leat_mutex_lock(worker->mutex, LEAT_FOREVER) == LEAT_OK);
    note(arena.inside++ == 0);
    note(--arena.inside == 0);
    note(leat_mutex_unlock(worker->mutex) == LEAT_OK);
    note(leat_wait(all[0], LEAT_FOREVER) == LEAT_OK);
    note(leat_semaphore_release(worker->second, 1, NULL) == LEAT_OK);
    note(leat_wait_all(all, 3, LEAT_FOREVER) == LEAT_OK);
    note(leat_mutex_unlock(worker->other) == LEAT_OK);
    note(leat_semaphore_release(worker->semaphore, 1, NULL) == LEAT_OK);
    note(leat_semaphore_release(worker->second, 1, NULL) == LEAT_OK);
    note(leat_wait_any(all, 3, &index, LEAT_FOREVER) == LEAT_OK);
    note((index == 1 ? leat_mutex_unlock(worker->other)
                     : leat_semaphore_release(index == 0 ? worker->second : worker->semaphore, 1,
                                              NULL)) == LEAT_OK);
    arena.rounds++;
}

static void *work(void *context) {
    struct worker worker = {.inherits = *(const bool *)context};
    int before;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    open_handles(&worker);
    pthread_cleanup_push(close_handles, &worker);
    pthread_setcancelstate(before, NULL);
    while (arena.stop == 0)
        go_round(&worker);
    pthread_cleanup_pop(1);
    return NULL;
}

/* A thread that is not cancelled in time ends when it is asked to stop. */
static void cancel_some(pthread_t threads[WORKERS], const bool *inherits, unsigned cancels) {
    uint64_t random = harness_seed();
    while (cancels-- > 0) {
        pthread_t *victim = &threads[harness_random(&random) % WORKERS];
        usleep((useconds_t)(harness_random(&random) % 3000));
        assert_int_equal(pthread_cancel(*victim), 0);
        join_cancelled(*victim);
        assert_int_equal(pthread_create(victim, NULL, work, (void *)(uintptr_t)inherits), 0);
    }
}

static void require_all_there(struct worker *own) {
    assert_int_equal(semaphore_count(own->semaphore), COUNTS);
    assert_int_equal(semaphore_count(own->second), COUNTS);
    assert_ok(leat_mutex_lock(own->mutex, LEAT_NOW));
    assert_ok(leat_mutex_unlock(own->mutex));
    assert_ok(leat_mutex_lock(own->other, LEAT_NOW));
    assert_ok(leat_mutex_unlock(own->other));
}

static void cancel_at_random(bool inherits) {
    struct worker own = {.inherits = inherits};
    pthread_t threads[WORKERS];
    arena.stop = arena.inside = arena.violations = 0;
    arena.rounds = 0;
    open_handles(&own);
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, &inherits), 0);
    cancel_some(threads, &inherits, (unsigned)harness_setting("LEAT_CANCELS", 100));
    uint64_t before = arena.rounds,
             end = harness_now() + (uint64_t)PATIENCE_S * UINT64_C(1000000000);
    while (arena.rounds < before + 10 && harness_now() < end)
        usleep(1000);
    assert_true(arena.rounds >= before + 10);
    arena.stop = 1;
    for (int i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(arena.violations, 0);
    require_all_there(&own);
    close_handles(&own);
    assert_int_equal(harness_names_left(), 0);
}

static void cancelled_waiters_lose_nothing(void **state) {
    (void)state;
    cancel_at_random(false);
}

static void cancelled_waiters_for_a_mutex_that_inherits_lose_nothing(void **state) {
    (void)state;
    cancel_at_random(true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST_WITHIN(wait_of_each_kind_can_be_cancelled, 300),
        HARNESS_TEST_WITHIN(cancelled_waiters_lose_nothing, 300),
        HARNESS_TEST_WITHIN(cancelled_waiters_for_a_mutex_that_inherits_lose_nothing, 300),
    };
    return HARNESS_MAIN("sync_cancel", tests);
}
