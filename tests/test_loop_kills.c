/* test_loop_kills.c - event loops whose peers are killed, replaced, or stopped at random moments,
 * under flow and asleep:
 *   - a receiver is killed: its successor begins with the first message that was not released, so
 *     there are repeats and no gaps; the sender, in a libuv loop or a wait set, gets an event for
 *     each death and for each successor, and sends everything that it had queued;
 *   - a sender is killed: everything that it had sent is received, and the receiver gets the same
 *     events, in order with the messages;
 *   - either is stopped and continued: nothing is lost, no death is reported, no process sleeps
 *     without end;
 *   - processes that post to a semaphore, processes that take from it in loops, and owners of a
 *     mutex are killed: no count is lost except those that a killed process had taken, loops are
 *     woken for what is left, and one of them gets the event that the owner died.
 * LEAT_KILLS is the number of kills (10) in each test, LEAT_TEST_ONLY="*semaphore*" selects tests.
 * The time until an event is reported is printed and not judged; an event that is not reported
 * within ten seconds is a failure. */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <leat/waitset.h>

#include "handles.h"
#include "loop_sides.h"
#include "uv_loop.h"

#define LIMIT_S 3000 /* for thousands of kills; a hang is noticed by those who await something */
#define TEN_SECONDS_NS UINT64_C(10000000000)

static long kills_wanted(void) {
    return harness_setting("LEAT_KILLS", 10);
}

static void pause_up_to(uint64_t *random, unsigned microseconds) {
    /* the random moment: not a synchronisation */
    usleep((useconds_t)(harness_random(random) % microseconds));
}

/* The number of messages received or counts taken: processes that wait for more are woken. */
static void require_progress(const _Atomic uint64_t *done) {
    uint64_t before = *done, limit = harness_now() + TEN_SECONDS_NS * harness_patience();
    while (*done == before) {
        if (harness_now() > limit)
            harness_fail("nothing has come for ten seconds");
        usleep(50);
    }
}

/* --- The time until an event is reported ------------------------------------------------------ */

struct times {
    uint64_t *values;
    size_t count;
};

static struct times new_times(void) {
    return (struct times){calloc((size_t)kills_wanted() + 1, sizeof(uint64_t)), 0};
}

static void add_time(struct times *times, uint64_t from_ns, uint64_t to_ns) {
    times->values[times->count++] = to_ns > from_ns ? to_ns - from_ns : 0;
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void report_times(struct times *times, const char *what) {
    size_t count = times->count;
    if (count > 0) {
        qsort(times->values, count, sizeof *times->values, compare);
        print_message("%s after %.1f ms (median), %.1f ms (99%%), %.1f ms (longest)\n", what,
                      (double)times->values[count / 2] / 1e6,
                      (double)times->values[count * 99 / 100] / 1e6,
                      (double)times->values[count - 1] / 1e6);
    }
    free(times->values);
}

/* The sockets of wait sets whose owners were killed are all that may be left. */
static void require_nothing_left(void) {
    assert_ok(leat_gc(LEAT_LOCAL, NULL, NULL));
    assert_int_equal(harness_names_left(), 0);
}

/* --- A peer is killed ------------------------------------------------------------------------- */

typedef int (*run_function)(void *context);

static pid_t start(run_function run, harness_word *ready) {
    *ready = 0;
    pid_t pid = harness_spawn(run, NULL);
    harness_await(ready, 1);
    return pid;
}

struct hunt {
    run_function survivor, victims[2]; /* alternately */
    bool kill_senders;
    pid_t survivor_pid, victim_pid;
};

/* Everything that a killed sender had sent was received when its death is reported: its successor
 * goes on behind that. */
static void settle(void) {
    uint64_t handed = loop_board->handed;
    if (handed < loop_board->committed || handed > loop_board->attempted)
        harness_fail("%llu messages sent, perhaps %llu, but %llu received",
                     (unsigned long long)loop_board->committed,
                     (unsigned long long)loop_board->attempted, (unsigned long long)handed);
}

static struct loop_told *told_by(const struct hunt *hunt) {
    return hunt->kill_senders ? &loop_board->receiver_told : &loop_board->sender_told;
}

/* Each comes at a pace of its own: what the one before left to do is of another. */
static void start_victim(struct hunt *hunt, uint32_t round) {
    loop_board->pace = (round + round / LOOP_PACES) % LOOP_PACES;
    hunt->victim_pid =
        start(hunt->victims[round % 2],
              hunt->kill_senders ? &loop_board->sender_ready : &loop_board->receiver_ready);
}

static void kill_victim(struct hunt *hunt) {
    harness_kill(hunt->victim_pid);
    hunt->victim_pid = 0;
}

/* The survivor polls at every moment. This function and the next two return when it could know of
 * the death. */
static uint64_t kill_seen(struct hunt *hunt, uint32_t round, uint64_t *random) {
    if (hunt->victim_pid == 0)
        start_victim(hunt, round);
    if (round % 5 == 4 && loop_board->pace != LOOP_QUIET)
        require_progress(&loop_board->handed);
    pause_up_to(random, 3000);
    uint64_t now = harness_now();
    kill_victim(hunt);
    return now;
}

/* It polls when the victim has come and died. */
static uint64_t kill_unseen(struct hunt *hunt, uint32_t round) {
    harness_stop(hunt->survivor_pid);
    start_victim(hunt, round);
    kill_victim(hunt);
    harness_continue(hunt->survivor_pid);
    return harness_now();
}

/* It polls when the victim has died and the next one has come. It knows the victim: a peer that
 * came, left and was replaced between two polls is not reported. */
static uint64_t replace_unseen(struct hunt *hunt, uint32_t round, uint64_t *random) {
    start_victim(hunt, round);
    harness_await(&told_by(hunt)->came, round + 1);
    pause_up_to(random, 3000);
    harness_stop(hunt->survivor_pid);
    kill_victim(hunt);
    start_victim(hunt, round + 1);
    harness_continue(hunt->survivor_pid);
    return harness_now();
}

static void kill_one_after_another(struct hunt *hunt, struct times *times) {
    uint64_t random = loop_board->seed;
    uint32_t kills = (uint32_t)kills_wanted();
    for (uint32_t round = 0; round < kills; round++) {
        uint64_t since;
        if (round % 4 == 3)
            since = kill_unseen(hunt, round);
        /* which go on where the receiver is */
        else if (round % 4 == 1 && round + 1 < kills && !hunt->kill_senders)
            since = replace_unseen(hunt, round, &random);
        else
            since = kill_seen(hunt, round, &random);
        harness_await(&told_by(hunt)->died, round + 1);
        add_time(times, since, told_by(hunt)->died_at_ns);
        if (hunt->kill_senders)
            settle();
    }
}

/* The last of the victims lives, and both processes come to their end. */
static void end_in_order(const struct hunt *hunt) {
    harness_set(&loop_board->ending, 1);
    pid_t last = harness_spawn(hunt->victims[0], NULL);
    harness_wait_ok(hunt->survivor_pid);
    harness_wait_ok(last);
    assert_int_equal(loop_board->handed, loop_board->committed);
}

static void new_board(void) {
    loop_board = harness_shared(sizeof *loop_board);
    loop_board->seed = harness_seed();
}

static void hunt_down(struct hunt *hunt) {
    struct times times = new_times();
    new_board();
    hunt->survivor_pid = start(hunt->survivor, hunt->kill_senders ? &loop_board->receiver_ready
                                                                  : &loop_board->sender_ready);
    kill_one_after_another(hunt, &times);
    end_in_order(hunt);
    print_message("%ld kills, %llu messages, %llu of them again\n", kills_wanted(),
                  (unsigned long long)loop_board->handed, (unsigned long long)loop_board->repeated);
    report_times(&times, "told of a death");
    assert_int_equal(told_by(hunt)->died, kills_wanted());
    assert_int_equal(told_by(hunt)->came, kills_wanted() + 1);
    require_nothing_left();
}

static void receivers_are_killed_and_their_sender_is_in_a_libuv_loop(void **state) {
    (void)state;
    hunt_down(&(struct hunt){.survivor = loop_send_uv,
                             .victims = {loop_receive_uv, loop_receive_waitset}});
}

static void receivers_are_killed_and_their_sender_is_in_a_waitset(void **state) {
    (void)state;
    hunt_down(&(struct hunt){.survivor = loop_send_waitset,
                             .victims = {loop_receive_uv, loop_receive_waitset}});
}

static void senders_are_killed_and_their_receiver_is_in_a_libuv_loop(void **state) {
    (void)state;
    hunt_down(&(struct hunt){.survivor = loop_receive_uv,
                             .victims = {loop_send_uv, loop_send_waitset},
                             .kill_senders = true});
}

static void senders_are_killed_and_their_receiver_is_in_a_waitset(void **state) {
    (void)state;
    hunt_down(&(struct hunt){.survivor = loop_receive_waitset,
                             .victims = {loop_send_uv, loop_send_waitset},
                             .kill_senders = true});
}

/* --- A peer is stopped ------------------------------------------------------------------------ */

static void stop_and_continue(const pid_t sides[2], unsigned longest_stop_us) {
    uint64_t random = loop_board->seed;
    long stops = 10 * kills_wanted();
    for (long stop = 0; stop < stops; stop++) {
        pid_t side = sides[harness_random(&random) % 2];
        harness_stop(side);
        pause_up_to(&random, longest_stop_us);
        harness_continue(side);
        pause_up_to(&random, 2000);
        if (stop % 10 == 9)
            require_progress(&loop_board->handed);
    }
}

static void stop_either(run_function send, run_function receive, enum loop_pace pace) {
    new_board();
    loop_board->pace = pace;
    const pid_t sides[2] = {start(send, &loop_board->sender_ready),
                            start(receive, &loop_board->receiver_ready)};
    stop_and_continue(sides, 500);
    harness_set(&loop_board->ending, 1);
    harness_wait_ok(sides[0]);
    harness_wait_ok(sides[1]);
    assert_int_equal(loop_board->handed, loop_board->committed);
    assert_int_equal(loop_board->sender_told.died + loop_board->receiver_told.died, 0);
    print_message("%ld stops, %llu messages\n", 10 * kills_wanted(),
                  (unsigned long long)loop_board->handed);
    require_nothing_left();
}

static void either_side_is_stopped_under_flow_and_nothing_is_lost(void **state) {
    (void)state;
    stop_either(loop_send_uv, loop_receive_uv, LOOP_FLOOD);
    stop_either(loop_send_waitset, loop_receive_waitset, LOOP_FLOOD);
}

static void either_side_is_stopped_between_sleeps_and_nobody_sleeps_for_ever(void **state) {
    (void)state;
    stop_either(loop_send_uv, loop_receive_waitset, LOOP_TRICKLE);
    stop_either(loop_send_waitset, loop_receive_uv, LOOP_TRICKLE);
}

/* --- A semaphore ------------------------------------------------------------------------------ */

enum { POSTER, TAKER_UV, TAKER_WAITSET, PARTIES };
enum { MOST_AT_ONCE = 3 };

static struct counts {
    harness_word ready[PARTIES];
    _Atomic uint64_t posted, taken; /* of calls that returned */
    _Atomic uint32_t posting;       /* by the call that the poster is in */
    uint64_t seed;
} * counts;

static leat_semaphore *open_posts(void) {
    leat_semaphore *semaphore = NULL;
    assert_ok(leat_semaphore_open(&semaphore, "posts", 0, 1000, NULL));
    return semaphore;
}

static int post(void *context) {
    (void)context;
    leat_semaphore *semaphore = open_posts();
    uint64_t random = counts->seed ^ (uint64_t)getpid();
    harness_set(&counts->ready[POSTER], 1);
    for (;;) {
        uint32_t amount = 1 + (uint32_t)(harness_random(&random) % MOST_AT_ONCE);
        counts->posting = amount;
        int result = leat_semaphore_release(semaphore, amount, NULL);
        if (result == LEAT_OK)
            counts->posted += amount;
        else
            assert_leat(result, LEAT_EOVERFLOW);
        counts->posting = 0;
        if (harness_random(&random) % 4 == 0 || result != LEAT_OK)
            pause_up_to(&random, 300); /* so that the takers fall asleep */
    }
    return 1;
}

static void on_count(leat_uv_waiter_t *waiter, int status) {
    (void)waiter;
    assert_uv(status);
    counts->taken++;
}

static int take_in_uv(void *context) {
    (void)context;
    leat_uv_waiter_t waiter;
    begin();
    assert_uv(leat_uv_waiter_init(&loop, &waiter, leat_semaphore_waitable(open_posts())));
    assert_uv(leat_uv_waiter_start(&waiter, on_count));
    harness_set(&counts->ready[TAKER_UV], 1);
    end();
    return 1;
}

static int take_in_waitset(void *context) {
    (void)context;
    leat_semaphore *semaphore = open_posts();
    leat_waitset *waitset = NULL;
    assert_ok(leat_waitset_open(&waitset));
    assert_ok(leat_waitset_add_waitable(waitset, leat_semaphore_waitable(semaphore), semaphore));
    struct pollfd ready = {.fd = leat_waitset_descriptor(waitset), .events = POLLIN};
    harness_set(&counts->ready[TAKER_WAITSET], 1);
    for (;;) {
        void *data;
        int result = leat_waitset_next(waitset, &data);
        if (result == LEAT_OK)
            result = leat_wait(leat_semaphore_waitable(semaphore), LEAT_NOW);
        else
            assert_int_equal(poll(&ready, 1, -1), 1);
        counts->taken += result == LEAT_OK;
        if (result != LEAT_OK)
            assert_leat(result, LEAT_EAGAIN); /* nothing, or the other one was faster */
    }
    return 1;
}

static const run_function parties[PARTIES] = {post, take_in_uv, take_in_waitset};

/* No process posts any more: the takers are asleep or awake, and must take what is left. */
static uint64_t await_empty(const leat_semaphore *semaphore) {
    uint64_t limit = harness_now() + TEN_SECONDS_NS * harness_patience();
    while (semaphore_count(semaphore) > 0) {
        if (harness_now() > limit)
            harness_fail("%u counts are left, and those who wait for them are not woken",
                         semaphore_count(semaphore));
        usleep(100);
    }
    return harness_now();
}

/* One of the three, at random: gives how many of the poster's counts are in doubt. */
static uint32_t kill_a_party(pid_t pids[PARTIES], unsigned victim, const leat_semaphore *semaphore,
                             struct times *times) {
    uint64_t before = harness_now();
    harness_kill(pids[victim]);
    uint32_t doubtful = victim == POSTER ? counts->posting : 0;
    if (victim == POSTER)
        add_time(times, before, await_empty(semaphore));
    counts->posting = victim == POSTER ? 0 : (uint32_t)counts->posting;
    pids[victim] = start(parties[victim], &counts->ready[victim]);
    return doubtful;
}

static void semaphore_loses_no_count_and_wakes_loops_for_what_is_left(void **state) {
    (void)state;
    struct times times = new_times();
    leat_semaphore *semaphore = open_posts();
    pid_t pids[PARTIES];
    counts = harness_shared(sizeof *counts);
    uint64_t random = counts->seed = harness_seed(), maybe_posted = 0, maybe_taken = 0;
    for (unsigned i = 0; i < PARTIES; i++)
        pids[i] = start(parties[i], &counts->ready[i]);
    for (long kills = 0; kills < kills_wanted(); kills++) {
        unsigned victim = (unsigned)(harness_random(&random) % PARTIES);
        require_progress(&counts->taken);
        pause_up_to(&random, 3000);
        maybe_posted += kill_a_party(pids, victim, semaphore, &times);
        maybe_taken += victim != POSTER; /* one, and not yet noted */
    }
    harness_kill(pids[POSTER]);
    maybe_posted += counts->posting;
    await_empty(semaphore);
    harness_kill(pids[TAKER_UV]);
    harness_kill(pids[TAKER_WAITSET]);
    maybe_taken += 2;
    print_message("%ld kills, %llu posted (+ %llu?), %llu taken (+ %llu?)\n", kills_wanted(),
                  (unsigned long long)counts->posted, (unsigned long long)maybe_posted,
                  (unsigned long long)counts->taken, (unsigned long long)maybe_taken);
    report_times(&times, "all taken that a killed one had posted");
    assert_true(counts->taken <= counts->posted + maybe_posted);
    assert_true(counts->taken + maybe_taken >= counts->posted);
    leat_semaphore_close(semaphore);
    require_nothing_left();
}

/* --- A mutex ---------------------------------------------------------------------------------- */

static struct owners {
    harness_word owner_ready, waiter_ready;
    harness_word taken, orphaned; /* by the waiter */
    _Atomic uint64_t orphaned_at_ns;
    bool inherit_priority;
} * owners;

static leat_mutex *waiters_mutex;
static uv_timer_t rest;

static leat_mutex *open_owned(void) {
    leat_mutex *mutex = NULL;
    assert_ok(leat_mutex_open(&mutex, "owned",
                              &(leat_sync_options){.inherit_priority = owners->inherit_priority}));
    return mutex;
}

/* Holds it until it is killed. */
static int hold(void *context) {
    (void)context;
    assert_ok(leat_mutex_lock(open_owned(), LATER));
    harness_set(&owners->owner_ready, 1);
    for (;;)
        pause();
    return 1;
}

static int hold_now_and_then(void *context) {
    (void)context;
    leat_mutex *mutex = open_owned();
    uint64_t random = (uint64_t)getpid();
    harness_set(&owners->owner_ready, 1);
    for (;;) {
        assert_ok(leat_mutex_lock(mutex, LATER));
        pause_up_to(&random, 200);
        assert_ok(leat_mutex_unlock(mutex));
        pause_up_to(&random, 200);
    }
    return 1;
}

static void on_mutex(leat_uv_waiter_t *waiter, int status);

static void wait_again(uv_timer_t *timer) {
    assert_uv(leat_uv_waiter_start(timer->data, on_mutex));
}

/* It has to be waited for again each time; a moment later, so that others can have it. */
static void on_mutex(leat_uv_waiter_t *waiter, int status) {
    (void)waiter;
    if (status == UV_ECONNRESET) {
        owners->orphaned_at_ns = harness_now();
        harness_increment(&owners->orphaned);
    } else {
        assert_uv(status);
    }
    assert_ok(leat_mutex_unlock(waiters_mutex));
    harness_increment(&owners->taken);
    assert_uv(uv_timer_start(&rest, wait_again, 1, 0));
}

static int wait_in_uv(void *context) {
    (void)context;
    leat_uv_waiter_t waiter;
    begin();
    waiters_mutex = open_owned();
    assert_uv(uv_timer_init(&loop, &rest));
    rest.data = &waiter;
    assert_uv(leat_uv_waiter_init(&loop, &waiter, leat_mutex_waitable(waiters_mutex)));
    assert_uv(leat_uv_waiter_start(&waiter, on_mutex));
    harness_set(&owners->waiter_ready, 1);
    end();
    return 1;
}

/* In every other round an owner that holds it for sure is killed, in the others one that may. */
static void kill_owners(bool inherit_priority) {
    struct times times = new_times();
    owners = harness_shared(sizeof *owners);
    owners->inherit_priority = inherit_priority;
    leat_mutex *mutex = open_owned(); /* so that it lives on when all are killed */
    uint64_t random = harness_seed();
    pid_t waiter = start(wait_in_uv, &owners->waiter_ready);
    for (long kills = 0; kills < kills_wanted(); kills++) {
        bool holds = kills % 2 == 0;
        pid_t owner = start(holds ? hold : hold_now_and_then, &owners->owner_ready);
        pause_up_to(&random, 3000);
        uint32_t taken = owners->taken, orphaned = owners->orphaned;
        uint64_t before = harness_now();
        harness_kill(owner);
        harness_await(holds ? &owners->orphaned : &owners->taken, holds ? orphaned + 1 : taken + 2);
        if (holds)
            add_time(&times, before, owners->orphaned_at_ns);
    }
    print_message("%ld kills, taken %u times, %u times from a dead owner\n", kills_wanted(),
                  owners->taken, owners->orphaned);
    report_times(&times, "told that the owner died");
    harness_kill(waiter);
    int code = leat_mutex_lock(mutex, LATER); /* a killed waiter's mutex stays until then */
    assert_true(code == LEAT_OK || code == LEAT_EOWNERDEAD);
    assert_ok(leat_mutex_unlock(mutex));
    leat_mutex_close(mutex);
    require_nothing_left();
}

static void loop_reports_that_the_owner_of_a_mutex_was_killed(void **state) {
    (void)state;
    kill_owners(false);
}

static void
a_loop_is_told_that_the_owner_of_a_mutex_with_priority_inheritance_was_killed(void **state) {
    (void)state;
    kill_owners(true);
}

int main(void) {
    print_message("with libuv %s\n", uv_version_string()); /* scripts/libuv-newer reads it */
    const struct CMUnitTest tests[] = {
        HARNESS_TEST_WITHIN(receivers_are_killed_and_their_sender_is_in_a_libuv_loop, LIMIT_S),
        HARNESS_TEST_WITHIN(receivers_are_killed_and_their_sender_is_in_a_waitset, LIMIT_S),
        HARNESS_TEST_WITHIN(senders_are_killed_and_their_receiver_is_in_a_libuv_loop, LIMIT_S),
        HARNESS_TEST_WITHIN(senders_are_killed_and_their_receiver_is_in_a_waitset, LIMIT_S),
        HARNESS_TEST_WITHIN(either_side_is_stopped_under_flow_and_nothing_is_lost, LIMIT_S),
        HARNESS_TEST_WITHIN(either_side_is_stopped_between_sleeps_and_nobody_sleeps_for_ever,
                            LIMIT_S),
        HARNESS_TEST_WITHIN(semaphore_loses_no_count_and_wakes_loops_for_what_is_left, LIMIT_S),
        HARNESS_TEST_WITHIN(loop_reports_that_the_owner_of_a_mutex_was_killed, LIMIT_S),
        HARNESS_TEST_WITHIN(
            a_loop_is_told_that_the_owner_of_a_mutex_with_priority_inheritance_was_killed, LIMIT_S),
    };
    return HARNESS_MAIN("loop_kills", tests);
}
