/* test_waitset_many.c - one of many senders in an event loop: it is woken for room, for another
 * sender's release of the lock, for a holder's death and for events of the receiver; and no sender
 * misses a wake-up because another one overwrote the ticket that they share. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "channel_pair.h"
#include "channels/queue/sender.h"
#include "waitset_loop.h"

static const leat_channel_options many = {
    .many_senders = true, .capacity = LEAT_CAPACITY_MIN, .spin_us = LEAT_SPIN_NONE};

/* A sender in a wait set, and what a receiver of the channel does in another process. */
struct fixture {
    leat_waitset *waitset;
    leat_sender *sender;
    leat_receiver *receiver;
};

static struct fixture begin(void) {
    struct fixture fixture = {.waitset = open_waitset(),
                              .receiver = open_receiver("shared", &many)};
    fixture.sender = open_sender("shared", &many);
    assert_ok(leat_waitset_add_sender(fixture.waitset, fixture.sender, fixture.sender));
    assert_ptr_equal(next_ready(fixture.waitset), NULL);
    assert_false(is_readable(fixture.waitset, 0));
    return fixture;
}

static void end(const struct fixture *fixture) {
    leat_sender_close(fixture->sender);
    leat_receiver_close(fixture->receiver);
    leat_waitset_close(fixture->waitset);
    assert_int_equal(harness_names_left(), 0);
}

/* Wants room when there is none, and sleeps. */
static void want_in_vain(const struct fixture *fixture, size_t size) {
    assert_ok(leat_waitset_want_room(fixture->sender, size));
    assert_ptr_equal(next_ready(fixture->waitset), NULL);
    assert_false(is_readable(fixture->waitset, 0));
}

/* --- Room ------------------------------------------------------------------------------------- */

static void sender_is_ready_for_room_once(void **state) {
    (void)state;
    struct fixture fixture = begin();
    fill_up(fixture.sender, 40);
    want_in_vain(&fixture, 40);
    empty_out(fixture.receiver);
    assert_true(is_readable(fixture.waitset, 5000));
    assert_ptr_equal(next_ready(fixture.waitset), fixture.sender);
    assert_ptr_equal(next_ready(fixture.waitset), NULL);
    assert_false(is_readable(fixture.waitset, 20));
    end(&fixture);
}

/* All of them are woken, and each that finds nothing arms again. */
static void senders_that_wait_are_all_ready(void **state) {
    (void)state;
    struct fixture fixture = begin(), other = {open_waitset(), open_sender("shared", &many), NULL};
    assert_ok(leat_waitset_add_sender(other.waitset, other.sender, other.sender));
    fill_up(fixture.sender, 40);
    for (int round = 0; round < 3; round++) {
        want_in_vain(&other, 40);
        want_in_vain(&fixture, 40);
        empty_out(fixture.receiver);
        assert_ptr_equal(next_named(fixture.waitset), fixture.sender);
        assert_ptr_equal(next_named(other.waitset), other.sender);
        assert_true(fill_up(round % 2 == 0 ? other.sender : fixture.sender, 40) > 1);
    }
    leat_sender_close(other.sender);
    leat_waitset_close(other.waitset);
    end(&fixture);
}

/* A loop that wakes up leaves the ticket, which by then may be another sender's. */
static void loop_that_wakes_up_takes_no_ticket_back(void **state) {
    (void)state;
    struct fixture fixture = begin(), other = {open_waitset(), open_sender("shared", &many), NULL};
    assert_ok(leat_waitset_add_sender(other.waitset, other.sender, other.sender));
    fill_up(fixture.sender, 40);
    want_in_vain(&other, 40);
    want_in_vain(&fixture, 40);
    assert_ok(leat_waitset_want_room(fixture.sender, 41)); /* wakes it up */
    empty_out(fixture.receiver);
    assert_ptr_equal(next_named(other.waitset), other.sender);
    leat_sender_close(other.sender);
    leat_waitset_close(other.waitset);
    end(&fixture);
}

/* --- Senders that want no room ---------------------------------------------------------------- */

enum { OTHERS = 4 };

static void open_others(struct fixture others[OTHERS]) {
    for (int i = 0; i < OTHERS; i++) {
        others[i] = (struct fixture){open_waitset(), open_sender("shared", &many), NULL};
        assert_ok(leat_waitset_add_sender(others[i].waitset, others[i].sender, others[i].sender));
    }
}

static void close_others(const struct fixture others[OTHERS]) {
    for (int i = 0; i < OTHERS; i++) {
        leat_sender_close(others[i].sender);
        leat_waitset_close(others[i].waitset);
    }
}

/* Until there is nothing left to poll. A channel whose file was closed is polled for a while; no
 * member is ready because of that. */
static void expect_silence(leat_waitset *waitset) {
    do
        assert_ptr_equal(next_ready(waitset), NULL);
    while (is_readable(waitset, 100));
}

/* One sends, and each time the receiver makes room, which does not concern the others. */
static void expect_others_sleep(leat_receiver *receiver, leat_sender *sender,
                                const struct fixture others[OTHERS]) {
    uint64_t wakes_before[OTHERS];
    for (int i = 0; i < OTHERS; i++) {
        expect_silence(others[i].waitset);
        wakes_before[i] = statistics_of(others[i].waitset).wakes;
    }
    for (int round = 0; round < 50; round++) {
        assert_true(fill_up(sender, 40) > 1);
        empty_out(receiver);
        for (int i = 0; i < OTHERS; i++)
            assert_false(is_readable(others[i].waitset, 0));
    }
    for (int i = 0; i < OTHERS; i++) {
        assert_ptr_equal(next_ready(others[i].waitset), NULL);
        assert_int_equal(statistics_of(others[i].waitset).wakes, wakes_before[i]);
    }
}

static void room_wakes_no_sender_that_wants_none(void **state) {
    (void)state;
    struct fixture fixture = begin(), others[OTHERS];
    open_others(others);
    expect_others_sleep(fixture.receiver, fixture.sender, others);
    close_others(others);
    end(&fixture);
}

/* All share one ticket. Once the wish is fulfilled, room wakes no sender again. */
static void sender_that_wants_no_room_hides_none_that_does(void **state) {
    (void)state;
    struct fixture fixture = begin(), others[OTHERS];
    open_others(others);
    for (int i = 0; i < OTHERS; i++)
        expect_silence(others[i].waitset);
    fill_up(fixture.sender, 40);
    want_in_vain(&fixture, 40);
    struct fixture last = {open_waitset(), open_sender("shared", &many), NULL};
    assert_ok(leat_waitset_add_sender(last.waitset, last.sender, last.sender));
    assert_ptr_equal(next_ready(last.waitset), NULL);
    empty_out(fixture.receiver);
    assert_ptr_equal(next_named(fixture.waitset), fixture.sender);
    expect_silence(fixture.waitset);
    leat_sender_close(last.sender);
    leat_waitset_close(last.waitset);
    expect_others_sleep(fixture.receiver, fixture.sender, others);
    close_others(others);
    end(&fixture);
}

/* --- A corrupt page --------------------------------------------------------------------------- */

/* Writes what no correct sender writes, found with the next lock. */
static void corrupt_senders_page(const struct fixture *fixture) {
    leat__store_relaxed64(&fixture->sender->role.own->position, 7);
}

static void corrupt_page_is_no_event_for_senders_that_want_no_room(void **state) {
    (void)state;
    struct fixture fixture = begin();
    leat_sender *other = open_sender("shared", &many);
    expect_silence(fixture.waitset);
    corrupt_senders_page(&fixture);
    leat_sender_close(other);
    assert_true(is_readable(fixture.waitset, 5000)); /* its closing causes a poll */
    expect_silence(fixture.waitset);
    leat_receiver_close(fixture.receiver); /* which is reported nevertheless */
    assert_ptr_equal(next_named(fixture.waitset), fixture.sender);
    assert_leat(leat_sender_peer_event(fixture.sender), LEAT_ECLOSED);
    expect_silence(fixture.waitset);
    fixture.receiver = NULL;
    end(&fixture);
}

static void sender_that_wants_room_is_ready_once_when_the_page_is_corrupt(void **state) {
    (void)state;
    struct fixture fixture = begin();
    fill_up(fixture.sender, 40);
    want_in_vain(&fixture, 40);
    corrupt_senders_page(&fixture);
    empty_out(fixture.receiver);
    assert_ptr_equal(next_named(fixture.waitset), fixture.sender);
    expect_silence(fixture.waitset);
    assert_leat(leat_send(fixture.sender, "x", 1, LEAT_NOW), LEAT_ECORRUPT);
    expect_silence(fixture.waitset);
    assert_ok(leat_waitset_want_room(fixture.sender, 1)); /* a second wish makes it ready again */
    assert_ptr_equal(next_named(fixture.waitset), fixture.sender);
    expect_silence(fixture.waitset);
    end(&fixture);
}

/* --- Another sender has the lock -------------------------------------------------------------- */

static void loop_polls_after_another_sender_releases_the_lock(void **state) {
    (void)state;
    struct fixture fixture = begin();
    leat_sender *holder = open_sender("shared", &many);
    void *place;
    for (int round = 0; round < 2; round++) {
        assert_ok(leat_reserve(holder, 8, &place, LEAT_NOW));
        assert_leat(leat_send(fixture.sender, "x", 1, LEAT_NOW), LEAT_EAGAIN);
        want_in_vain(&fixture, 1); /* there is room, but another sender has the lock */
        if (round == 0)
            leat_abort(holder);
        else
            assert_ok(leat_commit(holder, 8));
        assert_true(is_readable(fixture.waitset, 5000));
        assert_ptr_equal(next_ready(fixture.waitset), fixture.sender);
        assert_ok(leat_send(fixture.sender, "x", 1, LEAT_NOW));
    }
    leat_sender_close(holder);
    end(&fixture);
}

/* It has the lock itself: polling must not release it. */
static void reservation_of_its_own_lasts(void **state) {
    (void)state;
    struct fixture fixture = begin();
    leat_sender *other = open_sender("shared", &many);
    void *place;
    assert_ok(leat_reserve(fixture.sender, 8, &place, LEAT_NOW));
    assert_ok(leat_waitset_want_room(fixture.sender, 8));
    assert_ptr_equal(next_ready(fixture.waitset), fixture.sender); /* there is room besides */
    assert_ptr_equal(next_ready(fixture.waitset), NULL);
    assert_leat(leat_send(other, "x", 1, LEAT_NOW), LEAT_EAGAIN);
    assert_ok(leat_commit(fixture.sender, 8));
    assert_ok(leat_send(other, "x", 1, LEAT_NOW));
    leat_sender_close(other);
    end(&fixture);
}

static int send_blocked(void *context) {
    harness_word *steps = context;
    leat_sender *sender = open_sender("shared", &many);
    static const char message[40];
    harness_set(&steps[0], 1);
    assert_ok(leat_send(sender, message, sizeof message, LATER));
    harness_await(&steps[1], 1); /* its going would be noticed */
    leat_sender_close(sender);
    return 0;
}

/* Both want room. One waits with the lock, in a call, and has overwritten the other's ticket: the
 * sender that is served first wakes the other. */
static void sender_that_sleeps_with_the_lock_hides_no_loop(void **state) {
    (void)state;
    harness_word *steps = harness_shared(2 * sizeof *steps);
    struct fixture fixture = begin();
    fill_up(fixture.sender, 40);
    want_in_vain(&fixture, 40);
    pid_t child = harness_spawn(send_blocked, steps);
    harness_await(&steps[0], 1);
    harness_await_asleep(child);
    assert_ptr_equal(next_ready(fixture.waitset), NULL); /* its coming was noticed */
    empty_out(fixture.receiver);
    assert_ptr_equal(next_named(fixture.waitset), fixture.sender);
    harness_set(&steps[1], 1);
    harness_wait_ok(child);
    assert_ok(leat_send(fixture.sender, "x", 1, LEAT_NOW));
    end(&fixture);
}

/* --- Deaths ----------------------------------------------------------------------------------- */

static int hold_the_turn(void *context) {
    harness_word *holds = context;
    leat_sender *sender = open_sender("shared", &many);
    void *place;
    assert_ok(leat_reserve(sender, 8, &place, LATER));
    harness_increment(holds);
    pause();
    return 1;
}

static void lock_of_a_dead_holder_is_inherited(void **state) {
    (void)state;
    struct fixture fixture = begin();
    harness_word *holds = harness_shared(sizeof *holds); /* how many have held it so far */
    uint64_t longest = 0;
    for (uint32_t round = 0; round < harness_setting("LEAT_KILLS", 10); round++) {
        pid_t holder = harness_spawn(hold_the_turn, holds);
        harness_await(holds, round + 1);
        assert_ok(leat_waitset_want_room(fixture.sender, 1));
        assert_ptr_equal(next_ready(fixture.waitset), NULL);
        uint64_t start = harness_now();
        harness_kill(holder);
        assert_ptr_equal(next_named(fixture.waitset), fixture.sender);
        uint64_t took = harness_now() - start;
        longest = took > longest ? took : longest;
        assert_ok(leat_send(fixture.sender, "x", 1, LEAT_NOW));
        assert_int_equal(empty_out(fixture.receiver), 1);
    }
    print_message("told of a dead holder after %.1f ms at most\n", (double)longest / 1e6);
    end(&fixture);
}

static void end_of_the_receiver_is_reported(void **state) {
    (void)state;
    struct fixture fixture = begin();
    leat_receiver_close(fixture.receiver);
    assert_ptr_equal(next_named(fixture.waitset), fixture.sender);
    assert_leat(leat_sender_peer_event(fixture.sender), LEAT_ECLOSED);
    assert_ptr_equal(next_ready(fixture.waitset), NULL);
    fixture.receiver = open_receiver("shared", &many);
    assert_ptr_equal(next_named(fixture.waitset), fixture.sender);
    assert_leat(leat_sender_peer_event(fixture.sender), LEAT_EPEERBACK);
    assert_ptr_equal(next_ready(fixture.waitset), NULL);
    end(&fixture);
}

/* Then it cannot arm: a receiver that comes touches the file for all waiting senders. */
static void return_of_the_receiver_is_reported_while_another_has_the_lock(void **state) {
    (void)state;
    struct fixture fixture = begin();
    leat_sender *holder = open_sender("shared", &many);
    void *place;
    assert_ok(leat_reserve(holder, 8, &place, LEAT_NOW));
    for (int round = 0; round < 3; round++) {
        leat_receiver_close(fixture.receiver);
        assert_ptr_equal(next_named(fixture.waitset), fixture.sender);
        assert_leat(leat_sender_peer_event(fixture.sender), LEAT_ECLOSED);
        expect_silence(fixture.waitset);
        fixture.receiver = open_receiver("shared", &many);
        assert_ptr_equal(next_named(fixture.waitset), fixture.sender);
        assert_leat(leat_sender_peer_event(fixture.sender), LEAT_EPEERBACK);
        expect_silence(fixture.waitset);
    }
    leat_abort(holder);
    leat_sender_close(holder);
    end(&fixture);
}

/* --- Nothing is lost -------------------------------------------------------------------------- */

enum { SENDERS = 5 };

struct message {
    uint32_t sender, value;
};

struct crowd {
    uint32_t messages; /* of each */
    uint32_t loops;    /* so many of them wait in loops */
    harness_word here;
};

/* In a loop, or by calls that wait: each sends its messages, in a ring that is full most of the
 * time. */
static void send_all(struct crowd *crowd, uint32_t self, bool loops) {
    leat_waitset *waitset = open_waitset();
    leat_channel_options options = many;
    options.spin_us = self == 0 ? 0 : LEAT_SPIN_NONE;
    leat_sender *sender = open_sender("crowd", &options);
    if (loops)
        assert_ok(leat_waitset_add_sender(waitset, sender, sender));
    harness_increment(&crowd->here);
    for (struct message message = {.sender = self}; message.value < crowd->messages;) {
        int result = leat_send(sender, &message, sizeof message, loops ? LEAT_NOW : LATER);
        message.value += result == LEAT_OK;
        if (result == LEAT_OK)
            continue;
        if (!loops || (result != LEAT_EAGAIN && result != LEAT_EPEERDIED))
            harness_fail("sender %u: %s", self, leat_error_cause(result));
        assert_ok(leat_waitset_want_room(sender, sizeof message));
        (void)next_named(waitset);
    }
    leat_sender_close(sender);
    leat_waitset_close(waitset);
}

static int send_as_one_of_the_crowd(void *context) {
    struct crowd *crowd = context;
    send_all(crowd, crowd->here, crowd->here < crowd->loops);
    return 0;
}

static int send_without_end(void *context) {
    harness_word *about_to = context;
    leat_sender *sender = open_sender("crowd", &many);
    const struct message message = {SENDERS, 0};
    harness_increment(about_to);
    for (;;) {
        int result = leat_send(sender, &message, sizeof message, LATER);
        if (result == LEAT_EMSGSIZE)
            return 1;
    }
}

static void start(struct crowd *crowd, uint32_t senders, pid_t pids[]) {
    crowd->here = 0;
    for (uint32_t i = 0; i < senders; i++) {
        pids[i] = harness_spawn(send_as_one_of_the_crowd, crowd);
        harness_await(&crowd->here, i + 1);
    }
}

/* Takes some messages; returns how many of the crowd's own came. */
static uint32_t take_some(leat_receiver *receiver, uint32_t next[SENDERS], unsigned at_most) {
    uint32_t count = 0;
    for (struct message message; at_most > 0; at_most--) {
        size_t size;
        int result;
        while ((result = leat_recv(receiver, &message, sizeof message, &size, LATER)) ==
                   LEAT_ECLOSED ||
               result == LEAT_EPEERBACK)
            ; /* a round's last sender, and the next one's first */
        if (result != LEAT_OK)
            harness_fail("no message comes: all of them sleep");
        assert_int_equal(size, sizeof message);
        if (message.sender == SENDERS)
            continue;
        assert_true(message.sender < SENDERS);
        assert_int_equal(message.value, next[message.sender]++);
        count++;
    }
    return count;
}

static void pass_the_time(uint64_t *random) {
    for (uint64_t pause = harness_random(random) % 20000; pause > 0; pause--)
        __asm__ volatile("");
}

/* In short rounds, of every composition: the wakes of other senders would hide a lost wake while
 * they still send. */
static void wake_is_not_lost_among_many_senders(void **state) {
    (void)state;
    struct crowd *crowd = harness_shared(sizeof *crowd);
    pid_t pids[SENDERS];
    uint64_t random = harness_seed();
    leat_receiver *receiver = open_receiver("crowd", &many);
    for (long round = 0; round < harness_setting("LEAT_ROUNDS", 60); round++) {
        uint32_t next[SENDERS] = {0}, senders = 1 + (uint32_t)(harness_random(&random) % SENDERS);
        crowd->messages = 1 + (uint32_t)(harness_random(&random) % 2000);
        crowd->loops = 1 + (uint32_t)(harness_random(&random) % senders);
        start(crowd, senders, pids);
        for (uint32_t left = senders * crowd->messages; left > 0;) {
            unsigned some = 1 + (unsigned)(harness_random(&random) % 200);
            left -= take_some(receiver, next, some < left ? some : left);
            pass_the_time(&random);
        }
        for (uint32_t i = 0; i < senders; i++)
            harness_wait_ok(pids[i]);
    }
    leat_receiver_close(receiver);
    assert_int_equal(harness_names_left(), 0);
}

/* One more sender is killed again and again, with the lock or without, asleep or not. */
static void killed_senders_harm_no_loop(void **state) {
    (void)state;
    struct crowd *crowd = harness_shared(sizeof *crowd);
    harness_word *about_to = harness_shared(sizeof *about_to);
    crowd->messages = UINT32_MAX;
    crowd->loops = SENDERS - 1;
    pid_t pids[SENDERS];
    uint32_t next[SENDERS] = {0};
    uint64_t random = harness_seed(), total = 0;
    leat_receiver *receiver = open_receiver("crowd", &many);
    start(crowd, SENDERS, pids);
    long kills = harness_setting("LEAT_KILLS", 20);
    for (long round = 0; round < kills; round++) {
        pid_t victim = harness_spawn(send_without_end, about_to);
        harness_await(about_to, (uint32_t)round + 1);
        for (uint64_t takes = harness_random(&random) % 30; takes > 0; takes--)
            total += take_some(receiver, next, 1 + (unsigned)(harness_random(&random) % 100));
        harness_kill(victim);
        /* more than the ring holds: so the living go on */
        total += take_some(receiver, next, 1000);
    }
    print_message("%ld kills, %llu messages of the others\n", kills, (unsigned long long)total);
    for (int i = 0; i < SENDERS; i++)
        harness_kill(pids[i]);
    leat_receiver_close(receiver);
    assert_ok(leat_gc(LEAT_LOCAL, NULL, NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(sender_is_ready_for_room_once),
        HARNESS_TEST(senders_that_wait_are_all_ready),
        HARNESS_TEST(loop_that_wakes_up_takes_no_ticket_back),
        HARNESS_TEST(room_wakes_no_sender_that_wants_none),
        HARNESS_TEST(sender_that_wants_no_room_hides_none_that_does),
        HARNESS_TEST(corrupt_page_is_no_event_for_senders_that_want_no_room),
        HARNESS_TEST(sender_that_wants_room_is_ready_once_when_the_page_is_corrupt),
        HARNESS_TEST(loop_polls_after_another_sender_releases_the_lock),
        HARNESS_TEST(reservation_of_its_own_lasts),
        HARNESS_TEST(sender_that_sleeps_with_the_lock_hides_no_loop),
        HARNESS_TEST_WITHIN(lock_of_a_dead_holder_is_inherited, 600),
        HARNESS_TEST(end_of_the_receiver_is_reported),
        HARNESS_TEST(return_of_the_receiver_is_reported_while_another_has_the_lock),
        HARNESS_TEST_WITHIN(wake_is_not_lost_among_many_senders, 1200),
        HARNESS_TEST_WITHIN(killed_senders_harm_no_loop, 1200),
    };
    return HARNESS_MAIN("waitset_many", tests);
}
