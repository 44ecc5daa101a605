/* test_sync_kills.c - processes that share a mutex, a semaphore and events are killed at random
 * moments and replaced: never two holders, never a count lost or invented, never a waiter that
 * hangs. LEAT_KILLS says how many are killed (with LEAT_SLOW=1: 10,000). */
#include <leat/sync.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "channel_pair.h"
#include "handles.h"
#include "lib/sync/sync.h"

#define PROCESSES 4
#define PATIENCE_MS (10000 * harness_patience())

/* Shared by the parent and its children. */
struct arena {
    harness_word stop;
    _Atomic uint32_t kills;         /* so far: shows a process that it was disturbed */
    _Atomic uint32_t inside;        /* the holder of the mutex */
    _Atomic uint64_t first, second; /* counted up together under the mutex */
    _Atomic uint64_t rounds;        /* of any process: shows progress */
    _Atomic uint64_t recovered, violations;
    _Atomic uint64_t posted, taken; /* by calls that returned */
    /* in the middle of a call that may or may not have had its effect when it is killed */
    _Atomic uint32_t busy[PROCESSES];
};

struct role {
    struct arena *arena;
    unsigned number;
    uint64_t seed;
    bool inherit_priority; /* the mutex does */
    int (*run)(const struct role *role);
};

static unsigned kills_wanted(void) {
    return (unsigned)harness_setting("LEAT_KILLS",
                                     harness_setting("LEAT_SLOW", 0) != 0 ? 10000 : 200);
}

static int run_role(void *context) {
    const struct role *role = context;
    return role->run(role);
}

static void require_progress(struct arena *arena, uint64_t before) {
    for (unsigned waited = 0; arena->rounds == before; waited++) {
        if (waited > PATIENCE_MS)
            harness_fail("nothing has happened for %u ms", PATIENCE_MS);
        usleep(1000);
    }
}

/* Kills and replaces at random, and checks progress in between. `lost` is called for a process that
 * was killed in the middle of a call. */
static void kill_and_replace(struct arena *arena, struct role roles[PROCESSES],
                             void (*lost)(unsigned number)) {
    pid_t processes[PROCESSES];
    uint64_t random = harness_seed();
    for (unsigned i = 0; i < PROCESSES; i++)
        processes[i] = harness_spawn(run_role, &roles[i]);
    for (unsigned kills = kills_wanted(); kills > 0; kills--) {
        unsigned victim = (unsigned)(harness_random(&random) % PROCESSES);
        usleep((useconds_t)(harness_random(&random) % 1500));
        harness_kill(processes[victim]);
        arena->kills++;
        if (lost != NULL && atomic_exchange(&arena->busy[victim], 0) != 0)
            lost(victim);
        roles[victim].seed = harness_random(&random);
        processes[victim] = harness_spawn(run_role, &roles[victim]);
        if (kills % 50 == 0)
            require_progress(arena, arena->rounds);
    }
    require_progress(arena, arena->rounds);
    harness_set(&arena->stop, 1);
    for (unsigned i = 0; i < PROCESSES; i++)
        harness_wait_exit(processes[i], 0);
    assert_int_equal(arena->violations, 0);
}

/* --- Mutex ------------------------------------------------------------------------------------ */

static void repair(struct arena *arena) {
    arena->inside = 0;
    arena->second = arena->first;
    arena->recovered++;
}

static void work_inside(struct arena *arena, uint64_t *random) {
    if (atomic_exchange(&arena->inside, (uint32_t)getpid()) != 0 || arena->first != arena->second)
        arena->violations++;
    arena->first++;
    for (uint64_t turns = harness_random(random) % 200; turns > 0; turns--)
        leat_now();
    arena->second++;
    if (atomic_exchange(&arena->inside, 0) != (uint32_t)getpid())
        arena->violations++;
}

static int hold_and_let_go(const struct role *role) {
    struct arena *arena = role->arena;
    leat_mutex *mutex = NULL;
    uint64_t random = role->seed;
    leat_sync_options options = {.inherit_priority = role->inherit_priority};
    assert_ok(leat_mutex_open(&mutex, "killed-m", &options));
    while (arena->stop == 0) {
        int result = leat_mutex_lock(mutex, leat_in_ms(PATIENCE_MS));
        if (result == LEAT_EOWNERDEAD)
            repair(arena);
        else
            assert_ok(result);
        work_inside(arena, &random);
        arena->rounds++;
        assert_ok(leat_mutex_unlock(mutex));
    }
    leat_mutex_close(mutex);
    return 0;
}

static void kill_holders(bool inherit_priority) {
    struct arena *arena = harness_shared(sizeof *arena);
    struct role roles[PROCESSES];
    leat_mutex *mutex = NULL;
    leat_sync_options options = {.inherit_priority = inherit_priority};
    /* so that it lives on when all are killed */
    assert_ok(leat_mutex_open(&mutex, "killed-m", &options));
    for (unsigned i = 0; i < PROCESSES; i++)
        roles[i] = (struct role){arena, i, i, inherit_priority, hold_and_let_go};
    kill_and_replace(arena, roles, NULL);
    print_message("%u kills, %llu of them while holding, %llu rounds\n", arena->kills,
                  (unsigned long long)arena->recovered, (unsigned long long)arena->rounds);
    assert_true(arena->recovered > 0);
    int result = leat_mutex_lock(mutex, leat_in_ms(PATIENCE_MS));
    assert_true(result == LEAT_OK || result == LEAT_EOWNERDEAD);
    assert_ok(leat_mutex_unlock(mutex));
    leat_mutex_close(mutex);
    assert_int_equal(harness_names_left(), 0);
}

static void mutex_has_one_holder_whichever_process_is_killed(void **state) {
    (void)state;
    kill_holders(false);
}

static void
mutex_with_priority_inheritance_has_one_holder_whichever_process_is_killed(void **state) {
    (void)state;
    kill_holders(true);
}

/* --- Semaphore -------------------------------------------------------------------------------- */

static unsigned maybe_posted, maybe_taken; /* by those that were killed in the middle */

static void count_lost(unsigned number) {
    if (number % 2 == 0)
        maybe_posted++;
    else
        maybe_taken++;
}

static int post_or_take(const struct role *role) {
    struct arena *arena = role->arena;
    leat_semaphore *semaphore = NULL;
    assert_ok(leat_semaphore_open(&semaphore, "killed-s", 0, 1000, NULL));
    while (arena->stop == 0) {
        arena->busy[role->number] = 1;
        int result = role->number % 2 == 0
                         ? leat_semaphore_release(semaphore, 1, NULL)
                         : leat_wait(leat_semaphore_waitable(semaphore), leat_in_ms(20));
        if (result == LEAT_OK)
            *(role->number % 2 == 0 ? &arena->posted : &arena->taken) += 1;
        else if (result != LEAT_EOVERFLOW && result != LEAT_ETIMEDOUT)
            assert_ok(result);
        arena->busy[role->number] = 0;
        arena->rounds++;
    }
    leat_semaphore_close(semaphore);
    return 0;
}

static void semaphore_loses_and_invents_nothing(void **state) {
    (void)state;
    struct arena *arena = harness_shared(sizeof *arena);
    struct role roles[PROCESSES];
    leat_semaphore *semaphore = NULL;
    assert_ok(leat_semaphore_open(&semaphore, "killed-s", 0, 1000, NULL));
    maybe_posted = maybe_taken = 0;
    for (unsigned i = 0; i < PROCESSES; i++)
        roles[i] = (struct role){arena, i, i, false, post_or_take};
    kill_and_replace(arena, roles, count_lost);
    uint64_t count = semaphore_count(semaphore), posted = arena->posted, taken = arena->taken;
    print_message("%u kills, %llu posted (+ %u?), %llu taken (+ %u?), %llu left\n", arena->kills,
                  (unsigned long long)posted, maybe_posted, (unsigned long long)taken, maybe_taken,
                  (unsigned long long)count);
    assert_true(taken + count <= posted + maybe_posted);
    assert_true(taken + maybe_taken + count >= posted);
    for (; count > 0; count--)
        assert_ok(leat_wait(leat_semaphore_waitable(semaphore), LEAT_NOW));
    assert_leat(leat_wait(leat_semaphore_waitable(semaphore), LEAT_NOW), LEAT_EAGAIN);
    leat_semaphore_close(semaphore);
    assert_int_equal(harness_names_left(), 0);
}

/* --- Events, and several at once -------------------------------------------------------------- */

/* Two pairs; each asks with one event and is answered with another. If a process gets no answer
 * although none was killed, a wake-up was lost. */
static int ask_or_answer(const struct role *role) {
    struct arena *arena = role->arena;
    bool asks = role->number % 2 == 0;
    char name[2][40];
    leat_event *events[2] = {NULL, NULL};
    for (int i = 0; i < 2; i++) {
        snprintf(name[i], sizeof name[i], "killed-%u-%d", role->number / 2, i);
        assert_ok(leat_event_open(&events[i], name[i], NULL));
    }
    while (arena->stop == 0) {
        uint32_t kills = arena->kills;
        if (asks)
            assert_ok(leat_event_set(events[0]));
        leat_waitable *awaited = leat_event_waitable(events[asks ? 1 : 0]);
        int result = LEAT_ETIMEDOUT;
        for (unsigned i = 0;
             i < 200 * harness_patience() && result == LEAT_ETIMEDOUT && arena->stop == 0; i++) {
            result = leat_wait(awaited, leat_in_ms(50));
            if (arena->kills != kills)
                break;
        }
        if (result == LEAT_ETIMEDOUT && arena->kills == kills && arena->stop == 0)
            arena->violations++;
        if (result == LEAT_OK && !asks)
            assert_ok(leat_event_set(events[1]));
        arena->rounds++;
    }
    leat_event_close(events[0]);
    leat_event_close(events[1]);
    return 0;
}

static void events_forget_no_waiter(void **state) {
    (void)state;
    struct arena *arena = harness_shared(sizeof *arena);
    struct role roles[PROCESSES];
    for (unsigned i = 0; i < PROCESSES; i++)
        roles[i] = (struct role){arena, i, i, false, ask_or_answer};
    kill_and_replace(arena, roles, NULL);
    print_message("%u kills, %llu rounds\n", arena->kills, (unsigned long long)arena->rounds);
    harness_wait_adopted();
    assert_ok(leat_gc(LEAT_LOCAL, NULL, NULL));
    assert_int_equal(harness_names_left(), 0);
}

/* Dinner: each needs two of four mutexes and one of very many counts, all at once. */
static int dine(const struct role *role) {
    struct arena *arena = role->arena;
    leat_mutex *forks[2] = {NULL, NULL};
    leat_semaphore *seats = NULL;
    char name[2][40];
    for (unsigned i = 0; i < 2; i++) {
        snprintf(name[i], sizeof name[i], "fork-%u", (role->number + i) % PROCESSES);
        assert_ok(leat_mutex_open(&forks[i], name[i], NULL));
    }
    assert_ok(leat_semaphore_open(&seats, "seats", LEAT_SEMAPHORE_MAX, LEAT_SEMAPHORE_MAX, NULL));
    leat_waitable *all[] = {leat_mutex_waitable(forks[0]), leat_semaphore_waitable(seats),
                            leat_mutex_waitable(forks[1])};
    while (arena->stop == 0) {
        int result = leat_wait_all(all, 3, leat_in_ms(PATIENCE_MS));
        if (result != LEAT_EOWNERDEAD)
            assert_ok(result);
        arena->rounds++;
        assert_ok(leat_mutex_unlock(forks[0]));
        assert_ok(leat_mutex_unlock(forks[1]));
    }
    leat_mutex_close(forks[0]);
    leat_mutex_close(forks[1]);
    leat_semaphore_close(seats);
    return 0;
}

static void wait_all_ends_whichever_process_is_killed(void **state) {
    (void)state;
    struct arena *arena = harness_shared(sizeof *arena);
    struct role roles[PROCESSES];
    leat_semaphore *seats = NULL;
    assert_ok(leat_semaphore_open(&seats, "seats", LEAT_SEMAPHORE_MAX, LEAT_SEMAPHORE_MAX, NULL));
    for (unsigned i = 0; i < PROCESSES; i++)
        roles[i] = (struct role){arena, i, i, false, dine};
    kill_and_replace(arena, roles, NULL);
    print_message("%u kills, %llu meals\n", arena->kills, (unsigned long long)arena->rounds);
    /* a killed process may have taken a seat without recording it */
    uint64_t eaten = LEAT_SEMAPHORE_MAX - semaphore_count(seats);
    assert_in_range(eaten, arena->rounds, arena->rounds + arena->kills);
    leat_semaphore_close(seats);
    assert_ok(leat_gc(LEAT_LOCAL, NULL, NULL));
    assert_int_equal(harness_names_left(), 0);
}

/* --- The next owner after all users have gone ------------------------------------------------- */

#define LAST "killed-last"

static int lock_and_wait_for_the_end(void *context) {
    const struct role *role = context;
    const leat_sync_options options = {.inherit_priority = role->inherit_priority,
                                       .persistent = true};
    leat_mutex *mutex = NULL;
    assert_ok(leat_mutex_open(&mutex, LAST, &options));
    assert_ok(leat_mutex_lock(mutex, LEAT_NOW));
    if (role->number == 1) { /* leaves it held */
        leat_mutex_close(mutex);
        return 0;
    }
    if (role->number == 2) {
        assert_ok(leat_mutex_give_up(mutex));
        leat_mutex_close(mutex);
        return 0;
    }
    kill(getpid(), SIGKILL);
    return 1;
}

static bool keeps(leat_mutex *mutex) {
    const leat_waitable *object = leat_mutex_waitable(mutex);
    return leat__object_keeps(object->object.resource.file, &object->object.header, false);
}

/* The last user is killed while it holds the mutex, ends while it holds it, or has given it up: the
 * next owner gets the code. */
static void end_of_the_last_user_is_reported_to_the_next(void **state) {
    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        struct role role = {.number = i % 3, .inherit_priority = i >= 3};
        int told = role.number == 2 ? LEAT_ELOST : LEAT_EOWNERDEAD;
        leat_mutex *mutex = NULL;
        (void)harness_wait(harness_spawn(lock_and_wait_for_the_end, &role));
        assert_ok(leat_mutex_open(&mutex, LAST, NULL));
        assert_false(mutex_created(mutex));
        assert_true(keeps(mutex));
        assert_leat(leat_mutex_lock(mutex, LATER), told);
        assert_true(keeps(mutex)); /* until it is repaired */
        assert_ok(told == LEAT_ELOST ? leat_mutex_reset(mutex) : leat_mutex_unlock(mutex));
        assert_false(keeps(mutex));
        assert_ok(leat_mutex_lock(mutex, LEAT_NOW));
        assert_ok(leat_mutex_unlock(mutex));
        leat_mutex_close(mutex);
        assert_ok(leat_unlink(LAST, LEAT_LOCAL));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(end_of_the_last_user_is_reported_to_the_next),
        HARNESS_TEST_WITHIN(mutex_has_one_holder_whichever_process_is_killed, 1200),
        HARNESS_TEST_WITHIN(
            mutex_with_priority_inheritance_has_one_holder_whichever_process_is_killed, 1200),
        HARNESS_TEST_WITHIN(semaphore_loses_and_invents_nothing, 600),
        HARNESS_TEST_WITHIN(events_forget_no_waiter, 600),
        HARNESS_TEST_WITHIN(wait_all_ends_whichever_process_is_killed, 1200),
    };
    return HARNESS_MAIN("sync_kills", tests);
}
