/* test_sync_abandoned.c - a mutex whose owner was killed as its last user: the name stays, whatever
 * is tried with it, until an owner has got LEAT_EOWNERDEAD and has unlocked it. */
#include <leat/leat.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "handles.h"
#include "harness.h"

#define NAME "abandoned"

static const leat_sync_options existing = {.mode = LEAT_OPEN}, exclusive = {.mode = LEAT_CREATE};

static int lock_and_die(void *context) {
    const leat_sync_options *options = context;
    leat_mutex *mutex;
    assert_ok(leat_mutex_open(&mutex, NAME, options));
    assert_ok(leat_mutex_lock(mutex, LEAT_NOW));
    kill(getpid(), SIGKILL);
    return 1;
}

static void abandon(const leat_sync_options *options) {
    (void)harness_wait(harness_spawn(lock_and_die, (void *)(uintptr_t)options));
}

/* And ends it: the next owner gets no LEAT_EOWNERDEAD. */
static void expect_next_is_told(void) {
    leat_mutex *mutex;
    assert_ok(leat_mutex_open(&mutex, NAME, NULL));
    assert_false(mutex_created(mutex));
    assert_leat(leat_mutex_lock(mutex, LEAT_NOW), LEAT_EOWNERDEAD);
    assert_ok(leat_mutex_unlock(mutex));
    leat_mutex_close(mutex);
    assert_int_equal(harness_names_left(), 0);
}

static void mutex_is_kept_when_opened_as_another_kind(void **state) {
    (void)state;
    leat_region *region;
    leat_event *event;
    leat_semaphore *semaphore;
    leat_sender *sender;
    leat_receiver *receiver;
    leat_region_options reading = {.access = LEAT_READ_ONLY};
    abandon(NULL);
    uint64_t start = harness_now();
    assert_leat(open_region(&region, NAME, 0, NULL), LEAT_EKIND);
    assert_leat(open_region(&region, NAME, 0, &reading), LEAT_EKIND);
    assert_leat(open_or_create_region(&region, NAME, 100, NULL), LEAT_EKIND);
    assert_leat(leat_event_open(&event, NAME, NULL), LEAT_EKIND);
    assert_leat(leat_semaphore_open(&semaphore, NAME, 0, 1, NULL), LEAT_EKIND);
    assert_leat(leat_sender_open(&sender, NAME, NULL), LEAT_EKIND);
    assert_leat(leat_receiver_open(&receiver, NAME, NULL), LEAT_EKIND);
    /* no open waited for anybody */
    assert_true(harness_now() - start < 900000000u * harness_patience());
    expect_next_is_told();
}

static void mutex_is_kept_when_a_new_one_is_asked_for(void **state) {
    (void)state;
    leat_mutex *mutex;
    abandon(NULL);
    assert_leat(leat_mutex_open(&mutex, NAME, &exclusive), LEAT_EEXIST);
    assert_ok(leat_gc(LEAT_LOCAL, NULL, NULL));
    expect_next_is_told();
}

static void mutex_is_kept_when_a_wait_for_all_was_in_vain(void **state) {
    (void)state;
    /* which of the two is claimed first */
    for (int event_first = 0; event_first < 2; event_first++) {
        leat_event *event;
        leat_mutex *mutex;
        if (event_first)
            assert_ok(leat_event_open(&event, "never-set", NULL));
        abandon(NULL);
        if (!event_first)
            assert_ok(leat_event_open(&event, "never-set", NULL));
        assert_ok(leat_mutex_open(&mutex, NAME, &existing));
        leat_waitable *both[2] = {leat_mutex_waitable(mutex), leat_event_waitable(event)};
        assert_leat(leat_wait_all(both, 2, leat_in_ms(60)), LEAT_ETIMEDOUT);
        leat_mutex_close(mutex);
        leat_event_close(event);
        expect_next_is_told();
    }
}

static void mutex_is_kept_when_an_owner_that_was_told_does_not_unlock(void **state) {
    (void)state;
    leat_mutex *mutex;
    abandon(NULL);
    assert_ok(leat_mutex_open(&mutex, NAME, NULL));
    assert_leat(leat_mutex_lock(mutex, LEAT_NOW), LEAT_EOWNERDEAD);
    leat_mutex_close(mutex);
    expect_next_is_told();
}

static void mutex_is_kept_when_a_handle_by_descriptor_closes_last(void **state) {
    (void)state;
    leat_mutex *mutex, *received;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    abandon(NULL);
    assert_ok(leat_mutex_open(&mutex, NAME, &existing));
    assert_ok(send_waitable(leat_mutex_waitable(mutex), pair[0], LEAT_NOW));
    assert_ok(receive_mutex(&received, pair[1], NULL, leat_in_ms(5000)));
    leat_mutex_close(mutex);
    leat_mutex_close(received);
    close(pair[0]);
    close(pair[1]);
    expect_next_is_told();
}

static void mutex_that_nobody_may_open_is_not_kept(void **state) {
    (void)state;
    leat_mutex *mutex;
    const leat_sync_options sealed = {.permissions = 0444};
    abandon(&sealed);
    assert_ok(leat_mutex_open(&mutex, NAME, NULL));
    assert_true(mutex_created(mutex));
    leat_mutex_close(mutex);
    assert_int_equal(harness_names_left(), 0);
}

static int give_up_and_die(void *context) {
    leat_mutex *mutex;
    (void)context;
    assert_ok(leat_mutex_open(&mutex, NAME, NULL));
    assert_ok(leat_mutex_lock(mutex, LEAT_NOW));
    assert_ok(leat_mutex_give_up(mutex));
    kill(getpid(), SIGKILL);
    return 1;
}

/* An open that fails is no user that closes. */
static void lost_mutex_is_kept_when_an_open_fails(void **state) {
    (void)state;
    leat_sender *sender;
    leat_mutex *mutex;
    (void)harness_wait(harness_spawn(give_up_and_die, NULL));
    assert_leat(leat_sender_open(&sender, NAME, NULL), LEAT_EKIND);
    assert_leat(leat_mutex_open(&mutex, NAME, &exclusive), LEAT_EEXIST);
    assert_ok(leat_mutex_open(&mutex, NAME, NULL));
    assert_leat(leat_mutex_lock(mutex, LEAT_NOW), LEAT_ELOST);
    leat_mutex_close(mutex);
    assert_int_equal(harness_names_left(), 0);
}

/* Its last user knew. */
static void mutex_that_is_closed_while_held_goes_with_its_last_user(void **state) {
    (void)state;
    leat_mutex *mutex;
    assert_ok(leat_mutex_open(&mutex, NAME, NULL));
    assert_ok(leat_mutex_lock(mutex, LEAT_NOW));
    leat_mutex_close(mutex);
    assert_int_equal(harness_names_left(), 0);
}

static void abandoned_mutex_is_shown_as_such(void **state) {
    (void)state;
    leat_object_info info;
    abandon(NULL);
    assert_ok(leat_stat(NAME, LEAT_LOCAL, &info));
    assert_false(info.in_use);
    assert_true(info.abandoned);
    expect_next_is_told();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(mutex_is_kept_when_opened_as_another_kind),
        HARNESS_TEST(mutex_is_kept_when_a_new_one_is_asked_for),
        HARNESS_TEST(mutex_is_kept_when_a_wait_for_all_was_in_vain),
        HARNESS_TEST(mutex_is_kept_when_an_owner_that_was_told_does_not_unlock),
        HARNESS_TEST(mutex_is_kept_when_a_handle_by_descriptor_closes_last),
        HARNESS_TEST(mutex_that_nobody_may_open_is_not_kept),
        HARNESS_TEST(lost_mutex_is_kept_when_an_open_fails),
        HARNESS_TEST(mutex_that_is_closed_while_held_goes_with_its_last_user),
        HARNESS_TEST(abandoned_mutex_is_shown_as_such),
    };
    return HARNESS_MAIN("sync_abandoned", tests);
}
