/* test_hostile_sync.c - a peer that has a mutex, an event or a semaphore open for writing and does
 * anything with it: any value in any word of the page, at rest and while others work; claims that
 * never end; locks on any byte of the file.
 *
 * Whatever it does, each call of an honest handle returns a code that the function may return. A
 * call without a deadline ends within BOUND_NS, a call with a deadline not later than that after
 * it; nothing crashes, and objects that the peer does not touch work as before. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "channel_pair.h"
#include "handles.h"
#include "lib/sync/sync.h"

#define BOUND_NS (UINT64_C(2000000000) * harness_patience())
#define LOCK_BASE ((off_t)1 << 62)

enum sort { MUTEX, INHERITING, AUTOMATIC, MANUAL, SEMAPHORE, SORTS };
static const char *const names[SORTS] = {"h-mutex", "h-inheriting", "h-automatic", "h-manual",
                                         "h-semaphore"};

static leat_waitable *objects[SORTS];
static uint64_t random_state;

static void open_objects(void) {
    const leat_sync_options inheriting = {.inherit_priority = true},
                            manual = {.manual_reset = true};
    leat_mutex *mutex = NULL;
    leat_event *event = NULL;
    leat_semaphore *semaphore = NULL;
    for (int sort = MUTEX; sort <= INHERITING; sort++) {
        assert_ok(leat_mutex_open(&mutex, names[sort], sort == INHERITING ? &inheriting : NULL));
        objects[sort] = leat_mutex_waitable(mutex);
    }
    for (enum sort sort = AUTOMATIC; sort <= MANUAL; sort++) {
        assert_ok(leat_event_open(&event, names[sort], sort == MANUAL ? &manual : NULL));
        objects[sort] = leat_event_waitable(event);
    }
    assert_ok(leat_semaphore_open(&semaphore, names[SEMAPHORE], 1, 10, NULL));
    objects[SEMAPHORE] = leat_semaphore_waitable(semaphore);
}

/* Handles of all kinds have the same structure. */
#define AS(type, sort) ((type *)(void *)objects[sort])

static void close_objects(void) {
    leat_mutex_close(AS(leat_mutex, MUTEX));
    leat_mutex_close(AS(leat_mutex, INHERITING));
    leat_event_close(AS(leat_event, AUTOMATIC));
    leat_event_close(AS(leat_event, MANUAL));
    leat_semaphore_close(AS(leat_semaphore, SEMAPHORE));
    /* what was given up, or held by a dead one, stays */
    for (enum sort sort = 0; sort < SORTS; sort++)
        (void)!leat_unlink(names[sort], LEAT_LOCAL);
}

static int open_file(enum sort sort, int flags) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", harness_directory(), names[sort]);
    int file = open(path, flags | O_CLOEXEC);
    assert_true(file >= 0);
    return file;
}

/* --- An honest handle ------------------------------------------------------------------------- */

static uint64_t started;

static void begin(void) {
    started = harness_now();
}

/* Checks that a call returned in time, with a code that mutexes, events and semaphores have for
 * what happens here. */
static int require(int result, const char *what) {
    static const int codes[] = {LEAT_OK,         LEAT_EAGAIN,    LEAT_ETIMEDOUT,
                                LEAT_EOWNERDEAD, LEAT_ELOST,     LEAT_ECORRUPT,
                                LEAT_ESTATE,     LEAT_EOVERFLOW, LEAT_ENOTOWNER};
    if (harness_now() - started > BOUND_NS)
        harness_fail("%s took %llu ms", what,
                     (unsigned long long)((harness_now() - started) / 1000000));
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (result == codes[i])
            return result;
    harness_fail("%s gave %s", what, leat_error_name(result));
}

#define REQUIRE(call) (begin(), require((call), #call))

static void let_go(leat_mutex *mutex, int result) {
    if (result == LEAT_OK)
        REQUIRE(leat_mutex_unlock(mutex));
    else if (result == LEAT_EOWNERDEAD)
        REQUIRE(leat_mutex_give_up(mutex));
    if (result == LEAT_EOWNERDEAD || result == LEAT_ELOST)
        REQUIRE(leat_mutex_reset(mutex));
}

static void use_mutex(leat_mutex *mutex) {
    let_go(mutex, REQUIRE(leat_mutex_lock(mutex, LEAT_NOW)));
    let_go(mutex, REQUIRE(leat_mutex_lock(mutex, leat_in_ms(2))));
}

static void use_event(leat_event *event) {
    REQUIRE(leat_event_set(event));
    REQUIRE(leat_wait(leat_event_waitable(event), LEAT_NOW));
    REQUIRE(leat_event_reset(event));
    REQUIRE(leat_wait(leat_event_waitable(event), leat_in_ms(2)));
    REQUIRE(leat_event_pulse(event));
    (void)event_is_set(event);
}

static void use_semaphore(leat_semaphore *semaphore) {
    uint32_t previous;
    REQUIRE(leat_semaphore_release(semaphore, 1, &previous));
    REQUIRE(leat_wait(leat_semaphore_waitable(semaphore), LEAT_NOW));
    REQUIRE(leat_wait(leat_semaphore_waitable(semaphore), leat_in_ms(2)));
    (void)semaphore_count(semaphore);
}

static void use(enum sort sort) {
    if (sort == MUTEX || sort == INHERITING)
        use_mutex(AS(leat_mutex, sort));
    else if (sort == SEMAPHORE)
        use_semaphore(AS(leat_semaphore, sort));
    else
        use_event(AS(leat_event, sort));
}

/* In a loop's list of listeners, and read from outside. */
static void listen_and_look(enum sort sort) {
    leat_sync_info info;
    leat_waitable *object = objects[sort];
    REQUIRE(leat_waitable_info(object, &info));
    begin();
    if (leat__sync_listen(object, 1, 2) == LEAT_OK) {
        leat__sync_arm(object);
        (void)leat__sync_obtainable(object, true);
        leat__sync_notify_all(object);
        leat__sync_listen_no_more(object);
    }
    require(LEAT_OK, "listening");
}

static void use_several(void) {
    size_t index = 0;
    int result = REQUIRE(leat_wait_any(objects, SORTS, &index, leat_in_ms(2)));
    if (index <= INHERITING &&
        (result == LEAT_OK || result == LEAT_EOWNERDEAD || result == LEAT_ELOST))
        let_go(AS(leat_mutex, index), result);
    result = REQUIRE(leat_wait_all(objects, SORTS, leat_in_ms(2)));
    if (result == LEAT_OK || result == LEAT_EOWNERDEAD)
        for (int sort = MUTEX; sort <= INHERITING; sort++)
            let_go(AS(leat_mutex, sort), LEAT_OK);
}

/* What is not touched by anybody works as it should. */
static void require_honesty(void) {
    leat_mutex *mutex = NULL;
    leat_event *event = NULL;
    leat_semaphore *semaphore = NULL;
    assert_ok(leat_mutex_open(&mutex, "honest-m", NULL));
    assert_ok(leat_event_open(&event, "honest-e", NULL));
    assert_ok(leat_semaphore_open(&semaphore, "honest-s", 1, 2, NULL));
    leat_waitable *all[] = {leat_mutex_waitable(mutex), leat_event_waitable(event),
                            leat_semaphore_waitable(semaphore)};
    assert_leat(leat_wait_all(all, 3, SOON), LEAT_ETIMEDOUT);
    assert_ok(leat_event_set(event));
    assert_ok(leat_wait_all(all, 3, LATER));
    assert_ok(leat_mutex_unlock(mutex));
    leat_mutex_close(mutex);
    leat_event_close(event);
    leat_semaphore_close(semaphore);
}

/* --- Any value in any word -------------------------------------------------------------------- */

static uint64_t hostile_value(unsigned choice) {
    const uint64_t values[] = {0,
                               1,
                               2,
                               3,
                               64,
                               0xFFE,
                               LEAT__PARTICIPANTS_MAX,
                               LEAT__PARTICIPANTS_MAX + 1,
                               0xFFFF,
                               LEAT__SYNC_SET,
                               LEAT__SYNC_SET | 1,
                               LEAT__SYNC_SET | 2,
                               LEAT__SYNC_TOKEN | 2,
                               LEAT__SYNC_CLAIMS,
                               LEAT__SYNC_ONE,
                               9 * LEAT__SYNC_ONE | 1,
                               10 * LEAT__SYNC_ONE,
                               11 * LEAT__SYNC_ONE,
                               UINT64_C(0x80000000) << 32,
                               UINT64_MAX,
                               UINT64_MAX - 1,
                               INT64_MAX,
                               UINT64_C(1) << 63,
                               LEAT__PI_WAITERS,
                               LEAT__PI_OWNER_DIED,
                               LEAT__PI_THREAD,
                               (uint64_t)getpid(),
                               (uint64_t)getpid() | LEAT__PI_WAITERS,
                               (uint64_t)getppid(),
                               2 | LEAT__PI_WAITERS};
    const unsigned count = sizeof values / sizeof values[0];
    if (choice < count)
        return values[choice];
    uint64_t random = harness_random(&random_state);
    return choice % 2 == 0
               ? random
               : random &
                     (harness_random(&random_state) % 2 == 0 ? 0xFF0F0003 : UINT64_C(0xF000F0001));
}
#define VALUES 34

/* Where: the words, a listener, the places of the first two handles. */
static const size_t places[] = {offsetof(struct leat__sync_page, word.owner),
                                offsetof(struct leat__sync_page, word.wake_count),
                                offsetof(struct leat__sync_page, lost),
                                offsetof(struct leat__sync_page, pi),
                                offsetof(struct leat__sync_page, listening),
                                offsetof(struct leat__sync_page, listeners),
                                offsetof(struct leat__sync_page, listeners) + 8,
                                offsetof(struct leat__sync_page, processes)};

static void any_value_in_any_word_is_survived(void **state) {
    (void)state;
    random_state = harness_seed();
    open_objects();
    for (enum sort sort = 0; sort < SORTS; sort++)
        for (size_t place = 0; place < sizeof places / sizeof places[0]; place++)
            for (unsigned choice = 0; choice < VALUES; choice++) {
                unsigned char *page = (unsigned char *)objects[sort]->page,
                              saved[sizeof(struct leat__sync_page)];
                uint64_t value = hostile_value(choice);
                memcpy(saved, page, sizeof saved);
                memcpy(page + places[place], &value, sizeof value);
                use(sort);
                listen_and_look(sort);
                if (choice % 4 == 0)
                    use_several();
                memcpy(page + 256, saved + 256, sizeof saved - 256);
            }
    require_honesty();
    close_objects();
}

/* --- While others work ------------------------------------------------------------------------ */

/* Writes until it is killed: mostly where it hurts. */
static int scribble(void *context) {
    harness_word *ready = context;
    unsigned char *pages[SORTS];
    for (enum sort sort = 0; sort < SORTS; sort++) {
        int file = open_file(sort, O_RDWR);
        pages[sort] =
            mmap(NULL, sizeof(struct leat__sync_page), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        assert_true(pages[sort] != MAP_FAILED);
        close(file);
    }
    harness_set(ready, 1);
    for (uint64_t random = harness_seed(); *ready != 2;) {
        uint64_t choice = harness_random(&random),
                 value = hostile_value((unsigned)(harness_random(&random) % VALUES));
        size_t place = choice % 16 < 8
                           ? places[choice % 8]
                           : 256 + choice % (sizeof(struct leat__sync_page) - 256) / 8 * 8;
        memcpy(pages[choice / 16 % SORTS] + place, &value, sizeof value);
    }
    return 0;
}

static void words_that_change_all_the_time_are_survived(void **state) {
    (void)state;
    harness_word *ready = harness_shared(sizeof *ready);
    random_state = harness_seed();
    open_objects();
    pid_t scribbler = harness_spawn(scribble, ready);
    harness_await(ready, 1);
    uint64_t end = harness_now() + UINT64_C(3000000000);
    for (unsigned turns = 0; harness_now() < end || turns < 20; turns++) {
        for (enum sort sort = 0; sort < SORTS; sort++) {
            use(sort);
            listen_and_look(sort);
        }
        use_several();
    }
    harness_kill(scribbler);
    require_honesty();
    close_objects();
}

/* --- Claims that do not end ------------------------------------------------------------------- */

static leat_waitable *open_again(enum sort sort) {
    leat_event *event = NULL;
    leat_semaphore *semaphore = NULL;
    if (sort == SEMAPHORE)
        assert_ok(leat_semaphore_open(&semaphore, names[sort], 1, 10, NULL));
    else
        assert_ok(leat_event_open(&event, names[sort], NULL));
    return sort == SEMAPHORE ? leat_semaphore_waitable(semaphore) : leat_event_waitable(event);
}

/* As a process that is stopped in the middle of leat_wait_all leaves it, or a hostile one. */
static leat_waitable *claim_and_stop(enum sort sort) {
    leat_waitable *stopped = open_again(sort);
    stopped->unpulsed = true;
    assert_ok(leat__sync_claim(stopped));
    assert_int_equal(leat__lock_participant(leat__load_relaxed64(&stopped->page->word.owner)),
                     stopped->participant);
    return stopped;
}

static void changes_of_an_event_do_not_wait_for_a_committer(void **state) {
    (void)state;
    open_objects();
    for (enum sort sort = AUTOMATIC; sort <= MANUAL; sort++)
        for (int change = 0; change < 3; change++) {
            leat_event *event = AS(leat_event, sort);
            assert_ok(leat_event_set(event));
            leat_waitable *stopped = claim_and_stop(sort);
            assert_leat(leat_wait(objects[sort], LEAT_NOW), LEAT_EAGAIN);
            assert_leat(leat_wait(objects[sort], SOON), LEAT_ETIMEDOUT);
            assert_ok(change == 0   ? leat_event_set(event)
                      : change == 1 ? leat_event_reset(event)
                                    : leat_event_pulse(event));
            assert_int_equal(event_is_set(event), change == 0);
            assert_leat(leat_wait(objects[sort], SOON), change == 0 ? LEAT_OK : LEAT_ETIMEDOUT);
            leat_event_close((leat_event *)(void *)stopped);
        }
    close_objects();
}

static void release_does_not_wait_for_a_committer(void **state) {
    (void)state;
    open_objects();
    leat_semaphore *semaphore = AS(leat_semaphore, SEMAPHORE);
    leat_waitable *stopped = claim_and_stop(SEMAPHORE);
    uint32_t previous = 99;
    assert_ok(leat_semaphore_release(semaphore, 2, &previous));
    assert_int_equal(previous, 1);
    /* the committer may have one of them */
    assert_leat(leat_wait(objects[SEMAPHORE], SOON), LEAT_ETIMEDOUT);
    leat_semaphore_close((leat_semaphore *)(void *)stopped); /* it had not */
    for (int i = 0; i < 3; i++)
        assert_ok(leat_wait(objects[SEMAPHORE], LATER));
    assert_leat(leat_wait(objects[SEMAPHORE], LEAT_NOW), LEAT_EAGAIN);
    close_objects();
}

/* --- Who waits for all is not deceived by changes in between ---------------------------------- */

struct both {
    harness_word stop;
    _Atomic uint32_t taken;
};

static int take_both(void *context) {
    struct both *both = context;
    leat_event *event = NULL;
    leat_semaphore *semaphore = NULL;
    assert_ok(leat_event_open(&event, names[AUTOMATIC], NULL));
    assert_ok(leat_semaphore_open(&semaphore, names[SEMAPHORE], 0, 10, NULL));
    leat_waitable *all[] = {leat_event_waitable(event), leat_semaphore_waitable(semaphore)};
    while (both->stop == 0)
        if (leat_wait_all(all, 2, LEAT_NOW) == LEAT_OK)
            both->taken++;
    leat_event_close(event);
    leat_semaphore_close(semaphore);
    return 0;
}

/* The event is reset whenever there is a count: no waiter can get both. */
static void objects_are_taken_all_at_one_moment_or_none(void **state) {
    (void)state;
    struct both *both = harness_shared(sizeof *both);
    open_objects(); /* the event first, and so it is claimed first */
    leat_event *event = AS(leat_event, AUTOMATIC);
    leat_semaphore *semaphore = AS(leat_semaphore, SEMAPHORE);
    assert_ok(leat_wait(objects[SEMAPHORE], LEAT_NOW));
    pid_t child = harness_spawn(take_both, both);
    uint64_t end = harness_now() + UINT64_C(2000000000);
    while (harness_now() < end && both->taken == 0) {
        assert_ok(leat_event_set(event));
        assert_ok(leat_event_reset(event));
        assert_ok(leat_semaphore_release(semaphore, 1, NULL));
        /* the child may hold a claim on it for a moment */
        assert_ok(leat_wait(objects[SEMAPHORE], LATER));
    }
    both->stop = 1;
    harness_wait_ok(child);
    assert_int_equal(both->taken, 0);
    close_objects();
}

/* --- Locks on any byte ------------------------------------------------------------------------ */

struct stranger {
    enum sort sort;
    int flags;
    short type;
    harness_word *ready;
};

/* Locks the free bytes of participants, and bytes beside them, each by itself. */
static int lock_bytes(void *context) {
    const struct stranger *stranger = context;
    int file = open_file(stranger->sort, stranger->flags);
    for (off_t byte = 0; byte < LEAT__LOCK_PARTICIPANTS + LEAT__PARTICIPANTS_MAX + 3; byte++) {
        struct flock lock = {.l_type = stranger->type,
                             .l_whence = SEEK_SET,
                             .l_start = LOCK_BASE + byte,
                             .l_len = 1};
        (void)!fcntl(file, F_OFD_SETLK, &lock);
    }
    harness_set(stranger->ready, 1);
    while (pause() != 0)
        continue;
    return 0;
}

static pid_t start_stranger(enum sort sort, bool writes) {
    struct stranger *stranger = harness_shared(sizeof *stranger);
    *stranger = (struct stranger){sort, writes ? O_RDWR : O_RDONLY, writes ? F_WRLCK : F_RDLCK,
                                  harness_shared(sizeof(harness_word))};
    pid_t child = harness_spawn(lock_bytes, stranger);
    harness_await(stranger->ready, 1);
    return child;
}

static void locks_of_strangers_end_no_call_late(void **state) {
    (void)state;
    open_objects();
    for (enum sort sort = 0; sort < SORTS; sort++)
        for (int writes = 0; writes < 2; writes++) {
            pid_t stranger = start_stranger(sort, writes != 0);
            use(sort);
            listen_and_look(sort);
            /* a participant whose byte the other program has locked */
            leat__store_relaxed64(&objects[sort]->page->word.owner, 77 | LEAT__SYNC_SET);
            if (sort == INHERITING)
                /* a thread that does not exist, in all places */
                for (unsigned slot = 1; slot <= LEAT__PARTICIPANTS_MAX; slot++)
                    leat__store_relaxed32(&objects[sort]->page->processes[slot], 0x3ffffff0);
            leat__store_relaxed64(&objects[sort]->page->pi, sort == INHERITING ? 0x3ffffff0 : 0);
            use(sort);
            listen_and_look(sort);
            use_several();
            harness_kill(stranger);
            use(sort);
        }
    require_honesty();
    close_objects();
}

static void reader_cannot_hide_a_death(void **state) {
    (void)state;
    open_objects();
    pid_t stranger = start_stranger(MUTEX, false);
    leat__store_relaxed64(&objects[MUTEX]->page->word.owner, 77); /* as one that died left it */
    assert_leat(leat_mutex_lock(AS(leat_mutex, MUTEX), LATER), LEAT_EOWNERDEAD);
    assert_ok(leat_mutex_unlock(AS(leat_mutex, MUTEX)));
    harness_kill(stranger);
    close_objects();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST_WITHIN(any_value_in_any_word_is_survived, 300),
        HARNESS_TEST_WITHIN(words_that_change_all_the_time_are_survived, 300),
        HARNESS_TEST(changes_of_an_event_do_not_wait_for_a_committer),
        HARNESS_TEST(release_does_not_wait_for_a_committer),
        HARNESS_TEST(objects_are_taken_all_at_one_moment_or_none),
        HARNESS_TEST_WITHIN(locks_of_strangers_end_no_call_late, 300),
        HARNESS_TEST(reader_cannot_hide_a_death),
    };
    return HARNESS_MAIN("hostile_sync", tests);
}
