/* test_channel_presence.c - a peer's death is reported although another process is stopped inside
 * the call that opens the same role, wherever it is stopped; and no live peer is reported dead
 * meanwhile. A process is stopped after each lock that it takes or gives up, one after another. */
#include <stdlib.h>
#include <sys/wait.h>

#include "channel_pair.h"
#include "channels/queue/receiver.h"
#include "channels/queue/sender.h"
#include "unanswered.h"

static const leat_channel_options one, shared = {.many_senders = true};

struct scene {
    harness_word ready;
    const leat_channel_options *options;
    bool receives; /* the role that has the two processes */
};

static int have_the_role(void *context) {
    struct scene *scene = context;
    if (scene->receives)
        (void)open_receiver("stopped", scene->options);
    else
        send_text(open_sender("stopped", scene->options), "x");
    harness_set(&scene->ready, 1);
    pause();
    return 0;
}

static int open_and_stay(void *context) {
    struct scene *scene = context;
    leat_sender *tx;
    leat_receiver *rx;
    int result = scene->receives ? leat_receiver_open(&rx, "stopped", scene->options)
                                 : leat_sender_open(&tx, "stopped", scene->options);
    answers->stops_after = 0;
    harness_set(&scene->ready, 2);
    pause();
    return result;
}

/* Opens, and stops after the n-th lock; false: there was no n-th lock. */
static bool opens_and_stops(struct scene *scene, int n, pid_t *pid) {
    answers->stops_after = n;
    *pid = harness_spawn(open_and_stay, scene);
    for (;;) { /* each pass: it neither stopped nor finished */
        int status;
        if (waitpid(*pid, &status, WUNTRACED | WNOHANG) == *pid)
            return WIFSTOPPED(status);
        if (scene->ready == 2)
            return false;
        usleep(1000);
    }
}

/* --- The senders ------------------------------------------------------------------------------ */

static void require_no_death(leat_receiver *rx) {
    char byte;
    size_t size;
    int result = leat_recv(rx, &byte, 1, &size, leat_in_ms(1)); /* asks before it gives up */
    if (result == LEAT_EPEERDIED || leat_receiver_peer(rx) == LEAT_PEER_DIED)
        harness_fail("a sender that lives is called dead");
}

static bool sender_dies_beside_one_that_stops(const leat_channel_options *options, int n) {
    struct scene *scene = harness_shared(sizeof *scene);
    scene->options = options;
    leat_channel_info info;
    leat_receiver *rx = open_receiver("stopped", options);
    pid_t first = harness_spawn(have_the_role, scene), second;
    harness_await(&scene->ready, 1);
    expect_text(rx, "x");
    bool stops = opens_and_stops(scene, n, &second);
    require_no_death(rx);
    harness_kill(first);
    if (stops) {
        expect_news(rx, LEAT_EPEERDIED, LATER);
        assert_ok(leat_channel_stat("stopped", LEAT_LOCAL, &info));
        assert_int_equal(info.sender, LEAT_PEER_DIED);
        assert_int_equal(leat_receiver_peer(rx), LEAT_PEER_DIED);
    }
    harness_kill(second);
    leat_receiver_close(rx);
    return stops;
}

static void senders_death_is_not_hidden_by_an_opener_that_stops(void **state) {
    (void)state;
    begin_answers();
    int n = 1;
    while (sender_dies_beside_one_that_stops(&one, n))
        n++;
    assert_true(n > 1);
    for (n = 1; sender_dies_beside_one_that_stops(&shared, n);)
        n++;
    assert_true(n > 1);
}

/* The dead peer's successor is reported as such when it goes on, and only then. */
static bool successor_stops(const leat_channel_options *options, int n) {
    struct scene *scene = harness_shared(sizeof *scene);
    scene->options = options;
    leat_receiver *rx = open_receiver("stopped", options);
    pid_t first = harness_spawn(have_the_role, scene), second;
    harness_await(&scene->ready, 1);
    expect_text(rx, "x");
    harness_kill(first);
    bool stops = opens_and_stops(scene, n, &second);
    expect_news(rx, LEAT_EPEERDIED, LATER);
    if (stops) {
        expect_news(rx, LEAT_ETIMEDOUT, leat_in_ms(1));
        harness_continue(second);
    }
    expect_news(rx, LEAT_EPEERBACK, LATER);
    expect_news(rx, LEAT_ETIMEDOUT, leat_in_ms(1));
    assert_int_equal(leat_receiver_peer(rx), LEAT_PEER_PRESENT);
    harness_kill(second);
    expect_news(rx, LEAT_EPEERDIED, LATER);
    leat_receiver_close(rx);
    return stops;
}

static void senders_death_is_not_hidden_by_its_successor_that_stops(void **state) {
    (void)state;
    begin_answers();
    int n = 1;
    while (successor_stops(&one, n))
        n++;
    assert_true(n > 1);
    for (n = 1; successor_stops(&shared, n);)
        n++;
    assert_true(n > 1);
}

/* Inside the gate, at each of the stores of a sender that comes: made here by hand. */
static void sender_that_comes_is_of_its_own_stream_only(void **state) {
    (void)state;
    struct pair pair = open_pair("stores", LEAT_CAPACITY_MIN);
    struct leat__role_page *page = pair.tx->role.own;
    uint32_t opened = leat__load_relaxed32(&page->opened);
    unsigned slot = pair.tx->participant;
    expect_news(pair.rx, LEAT_ETIMEDOUT, leat_in_ms(1));
    leat__store_relaxed64(
        &page->coming,
        leat__coming(opened + 1, slot)); /* a successor that has not raised `opened` */
    expect_news(pair.rx, LEAT_EPEERDIED, leat_in_ms(1));
    leat__store_relaxed64(&page->coming, leat__coming(opened, slot));
    leat__store_relaxed64(&page->present[slot / 64], 0); /* a sender that has not set its bit */
    assert_int_equal(leat_receiver_peer(pair.rx), LEAT_PEER_DIED);
    leat__store_relaxed64(&page->present[slot / 64], UINT64_C(1) << slot % 64);
    assert_int_equal(leat_receiver_peer(pair.rx), LEAT_PEER_PRESENT);
    close_pair(&pair);
}

/* --- Many of them ----------------------------------------------------------------------------- */

#define CROWD 200

static int lock_many_slots(void *context) {
    harness_word *ready = context;
    leat_sender *tx[CROWD];
    for (int i = 0; i < CROWD; i++)
        tx[i] = open_sender("crowd", &shared);
    (void)tx;
    harness_set(ready, 1);
    pause();
    return 0;
}

static void last_of_many_senders_keeps_them_alive(void **state) {
    (void)state;
    harness_word *ready = harness_shared(sizeof *ready);
    leat_receiver *rx = open_receiver("crowd", &shared);
    pid_t crowd = harness_spawn(lock_many_slots, ready);
    harness_await(ready, 1);
    leat_sender *tx = open_sender("crowd", &shared);
    harness_kill(crowd);
    expect_news(rx, LEAT_ETIMEDOUT, leat_in_ms(1));
    assert_int_equal(leat_receiver_peer(rx), LEAT_PEER_PRESENT);
    struct leat__role_page *page = tx->role.own;
    leat__store_relaxed64(&page->present[tx->participant / 64],
                          0); /* as if it were opening still, beside members that are dead */
    expect_news(rx, LEAT_EPEERDIED, leat_in_ms(1));
    leat__store_relaxed64(&page->present[tx->participant / 64], UINT64_C(1)
                                                                    << tx->participant % 64);
    leat_sender_close(tx);
    leat_receiver_close(rx);
}

/* --- The receiver ----------------------------------------------------------------------------- */

static bool receiver_dies_beside_its_successor(int n) {
    struct scene *scene = harness_shared(sizeof *scene);
    scene->options = &one;
    scene->receives = true;
    leat_channel_info info;
    leat_sender *tx = open_sender("stopped", &one);
    pid_t first = harness_spawn(have_the_role, scene), second;
    harness_await(&scene->ready, 1);
    assert_ok(leat_sender_wait_peer(tx, LATER));
    assert_ok(leat_sender_peer_event(tx));
    harness_kill(first);
    bool stops = opens_and_stops(scene, n, &second);
    assert_leat(leat_sender_peer_event(tx), LEAT_EPEERDIED);
    if (stops) {
        assert_ok(leat_channel_stat("stopped", LEAT_LOCAL, &info));
        assert_int_equal(info.receiver, LEAT_PEER_DIED);
        harness_continue(second);
    }
    assert_ok(leat_sender_wait_peer(tx, LATER));
    assert_int_equal(leat_sender_peer(tx), LEAT_PEER_PRESENT);
    assert_ok(leat_sender_peer_event(tx));
    harness_kill(second);
    assert_leat(leat_sender_peer_event(tx), LEAT_EPEERDIED);
    leat_sender_close(tx);
    return stops;
}

static void receivers_death_is_not_hidden_by_its_successor_that_stops(void **state) {
    (void)state;
    begin_answers();
    int n = 1;
    while (receiver_dies_beside_its_successor(n))
        n++;
    assert_true(n > 1);
}

/* Another program has the receiver's life lock: then the role's lock counts, as in earlier
 * versions. */
static void receiver_without_a_life_lock_is_seen_all_the_same(void **state) {
    (void)state;
    leat_sender *tx = open_sender("no-life", &one);
    leat__file stranger = leat__os_file_reopen(tx->role.object.resource.file, true);
    assert_ok(leat__os_lock(stranger, LEAT__LOCK_LIFE, LEAT__EXCLUSIVE));
    assert_ok(leat__os_lock(stranger, LEAT__LOCK_LIFE + 1, LEAT__EXCLUSIVE));
    leat_receiver *rx = open_receiver("no-life", &one);
    assert_int_equal(leat_sender_peer(tx), LEAT_PEER_PRESENT);
    leat__os_unlock_all(rx->role.object.resource.file); /* as its death does */
    assert_int_equal(leat_sender_peer(tx), LEAT_PEER_DIED);
    leat__os_unlock_all(stranger);
    leat__os_file_close(stranger);
    leat_receiver_close(rx);
    leat_sender_close(tx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST_WITHIN(senders_death_is_not_hidden_by_an_opener_that_stops, 300),
        HARNESS_TEST_WITHIN(senders_death_is_not_hidden_by_its_successor_that_stops, 300),
        HARNESS_TEST(sender_that_comes_is_of_its_own_stream_only),
        HARNESS_TEST(last_of_many_senders_keeps_them_alive),
        HARNESS_TEST_WITHIN(receivers_death_is_not_hidden_by_its_successor_that_stops, 300),
        HARNESS_TEST(receiver_without_a_life_lock_is_seen_all_the_same),
    };
    return HARNESS_MAIN("channel_presence", tests);
}
