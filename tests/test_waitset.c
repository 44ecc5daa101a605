/* test_waitset.c - channels in an event loop, with plain poll: one descriptor, level-triggered,
 * silent while nothing is ready; it returns the ready members, and nothing is lost between polling
 * and sleeping. Each test really sleeps in the kernel. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel_pair.h"
#include "waitset_loop.h"

static void receive_all(leat_receiver *receiver, uint32_t *next) {
    uint32_t value;
    size_t size;
    int result;
    while ((result = leat_recv(receiver, &value, sizeof value, &size, LEAT_NOW)) == LEAT_OK) {
        assert_int_equal(size, sizeof value);
        assert_int_equal(value, (*next)++);
    }
    if (result != LEAT_ECLOSED) /* the sender may have gone behind its last message */
        assert_leat(result, LEAT_EAGAIN);
}

/* --- One channel ------------------------------------------------------------------------------ */

static void waitset_is_woken_once_for_many_messages(void **state) {
    (void)state;
    leat_waitset *waitset = open_waitset();
    leat_receiver *receiver = open_receiver("one", &sleeps);
    leat_sender *sender = open_sender("one", &sleeps);
    uint32_t received = 0;
    assert_ok(leat_waitset_add_receiver(waitset, receiver, receiver));
    assert_true(is_readable(waitset, 0)); /* it has to be polled once */
    settle(waitset, receiver);
    for (uint32_t value = 0; value < 100; value++)
        assert_ok(leat_send(sender, &value, sizeof value, LEAT_NOW));
    assert_true(is_readable(waitset, 5000));
    assert_int_equal(wake_calls(sender), 1);
    leat_channel_info info;
    assert_ok(leat_channel_stat("one", LEAT_LOCAL, &info));
    assert_int_equal(info.sent.wake_calls, 1); /* seen from outside at once */
    assert_true(is_readable(waitset, 0));      /* level-triggered: until it is polled */
    assert_ptr_equal(next_ready(waitset), receiver);
    assert_ptr_equal(next_ready(waitset), receiver); /* it was not received yet */
    for (uint32_t value = 100; value < 200; value++) /* the receiver is awake: no wakes */
        assert_ok(leat_send(sender, &value, sizeof value, LEAT_NOW));
    assert_int_equal(wake_calls(sender), 1);
    receive_all(receiver, &received);
    assert_int_equal(received, 200);
    assert_ptr_equal(next_ready(waitset), NULL);
    assert_false(is_readable(waitset, 0));
    assert_int_equal(statistics_of(waitset).armed, 2);
    leat_sender_close(sender);
    leat_receiver_close(receiver);
    assert_int_equal(statistics_of(waitset).channels, 0);
    leat_waitset_close(waitset);
    assert_int_equal(harness_names_left(), 0);
}

static void loop_that_stops_early_is_woken_again(void **state) {
    (void)state;
    leat_waitset *waitset = open_waitset();
    struct pair pair = {open_sender("again", &sleeps), open_receiver("again", &sleeps)};
    assert_ok(leat_waitset_add_receiver(waitset, pair.rx, pair.rx));
    settle(waitset, pair.rx);
    assert_ok(leat_send(pair.tx, "x", 1, LEAT_NOW));
    assert_true(is_readable(waitset, 5000));
    assert_ptr_equal(next_ready(waitset), pair.rx);
    leat_waitset_again(waitset); /* the message stays where it is */
    leat_waitset_again(waitset);
    assert_true(is_readable(waitset, 0));
    assert_ptr_equal(next_ready(waitset), pair.rx);
    char byte;
    size_t size;
    assert_ok(leat_recv(pair.rx, &byte, 1, &size, LEAT_NOW));
    assert_ptr_equal(next_ready(waitset), NULL);
    assert_false(is_readable(waitset, 0));
    leat_sender_close(pair.tx);
    leat_receiver_close(pair.rx);
    leat_waitset_close(waitset);
}

/* The receiver chooses each time how it waits. */
static int send_when_asleep(void *context) {
    pid_t parent = *(pid_t *)context;
    leat_sender *sender = open_sender("both-ways", &sleeps);
    for (uint32_t value = 0; value < 6; value++) {
        harness_await_asleep(parent);
        assert_ok(leat_send(sender, &value, sizeof value, LEAT_NOW));
        while (leat_sender_drain(sender, LEAT_FOREVER) != LEAT_OK)
            ;
    }
    leat_sender_close(sender);
    return 0;
}

static void channel_in_a_waitset_can_be_waited_for_in_a_call_too(void **state) {
    (void)state;
    leat_waitset *waitset = open_waitset();
    leat_receiver *receiver = open_receiver("both-ways", &sleeps);
    assert_ok(leat_waitset_add_receiver(waitset, receiver, receiver));
    pid_t parent = getpid(), child = harness_spawn(send_when_asleep, &parent);
    for (uint32_t expected = 0; expected < 6; expected++) {
        uint32_t value = 99;
        size_t size;
        int result = LEAT_EAGAIN;
        if (expected % 2 == 0) {
            while (result == LEAT_EAGAIN) {
                if (next_ready(waitset) == NULL)
                    assert_true(is_readable(waitset, 5000));
                result = leat_recv(receiver, &value, sizeof value, &size, LEAT_NOW);
            }
        } else {
            assert_ptr_equal(next_ready(waitset), NULL); /* armed: the call overwrites the ticket */
            result = leat_recv(receiver, &value, sizeof value, &size, LATER);
        }
        assert_ok(result);
        assert_int_equal(value, expected);
    }
    harness_wait_ok(child);
    /* a message's once, however it waited; and the sender's coming */
    assert_in_range(wakes_of_receiver(receiver), 1, 7);
    leat_receiver_close(receiver);
    leat_waitset_close(waitset);
}

/* --- Many ------------------------------------------------------------------------------------- */

enum { CHANNELS = 100 };

static void members_with_messages_are_returned_in_rotation(void **state) {
    (void)state;
    leat_waitset *waitset = open_waitset();
    leat_channel_options small = {.capacity = LEAT_CAPACITY_MIN, .spin_us = LEAT_SPIN_NONE};
    struct pair pairs[CHANNELS];
    char name[24];
    for (int i = 0; i < CHANNELS; i++) {
        snprintf(name, sizeof name, "many-%d", i);
        pairs[i] = (struct pair){open_sender(name, &small), open_receiver(name, &small)};
        assert_ok(leat_waitset_add_receiver(waitset, pairs[i].rx, &pairs[i]));
        settle(waitset, pairs[i].rx);
    }
    assert_int_equal(statistics_of(waitset).armed, CHANNELS);
    for (int i = 0; i < 3; i++)
        for (int which = 7; which < CHANNELS; which += 31)
            assert_ok(leat_send(pairs[which].tx, "x", 1, LEAT_NOW));
    assert_true(is_readable(waitset, 5000));
    char byte;
    size_t size;
    for (int i = 0; i < 3; i++)
        for (int which = 7; which < CHANNELS; which += 31) {
            struct pair *pair = next_ready(waitset);
            assert_ptr_equal(pair, &pairs[which]);
            assert_ok(leat_recv(pair->rx, &byte, 1, &size, LEAT_NOW));
        }
    assert_ptr_equal(next_ready(waitset), NULL);
    /* idle ones are not touched */
    assert_int_equal(statistics_of(waitset).armed, CHANNELS + 3);
    leat_waitset_remove_receiver(pairs[3].rx);
    /* the kernel's notice that the file is no longer watched is taken */
    assert_ptr_equal(next_ready(waitset), NULL);
    assert_ok(leat_send(pairs[3].tx, "x", 1, LEAT_NOW));
    assert_false(is_readable(waitset, 20));
    assert_ok(leat_waitset_add_receiver(waitset, pairs[3].rx, &pairs[3]));
    assert_ptr_equal(next_ready(waitset), &pairs[3]);
    leat_waitset_close(waitset); /* with all of them in it */
    for (int i = 0; i < CHANNELS; i++) {
        leat_sender_close(pairs[i].tx);
        leat_receiver_close(pairs[i].rx);
    }
    assert_int_equal(harness_names_left(), 0);
}

/* --- Peers ------------------------------------------------------------------------------------ */

static int send_and_wait(void *context) {
    harness_word *ready = context;
    leat_sender *sender = open_sender("peers", &sleeps);
    assert_ok(leat_send(sender, "x", 1, LEAT_NOW));
    harness_set(ready, 1);
    pause();
    return 1;
}

static int send_and_close(void *context) {
    (void)context;
    leat_sender *sender = open_sender("peers", &sleeps);
    assert_ok(leat_send(sender, "y", 1, LEAT_NOW));
    leat_sender_close(sender);
    return 0;
}

/* The next result for the receiver, after a sleep until the wait set is readable. */
static int next_told(leat_waitset *waitset, leat_receiver *receiver, char *byte) {
    size_t size;
    for (;;) {
        while (next_ready(waitset) != NULL) {
            int result = leat_recv(receiver, byte, 1, &size, LEAT_NOW);
            if (result != LEAT_EAGAIN)
                return result;
        }
        if (!is_readable(waitset, 5000))
            return LEAT_ETIMEDOUT;
    }
}

static void end_of_the_sender_is_reported(void **state) {
    (void)state;
    harness_word *ready = harness_shared(sizeof *ready);
    leat_waitset *waitset = open_waitset();
    leat_receiver *receiver = open_receiver("peers", &sleeps);
    char byte = 0;
    assert_ok(leat_waitset_add_receiver(waitset, receiver, receiver));
    assert_ptr_equal(next_ready(waitset), NULL);
    for (long round = 0; round < harness_setting("LEAT_KILLS", 10); round++) {
        pid_t killed = harness_spawn(send_and_wait, ready);
        if (round > 0)
            assert_leat(next_told(waitset, receiver, &byte), LEAT_EPEERBACK);
        assert_ok(next_told(waitset, receiver, &byte));
        assert_int_equal(byte, 'x');
        assert_ptr_equal(next_ready(waitset), NULL);
        uint64_t before = harness_now();
        harness_kill(killed);
        assert_leat(next_told(waitset, receiver, &byte), LEAT_EPEERDIED);
        if (round == 0)
            print_message("told of the death after %.1f ms\n",
                          (double)(harness_now() - before) / 1e6);
        pid_t closes = harness_spawn(send_and_close, NULL);
        assert_leat(next_told(waitset, receiver, &byte), LEAT_EPEERBACK);
        assert_ok(next_told(waitset, receiver, &byte));
        assert_leat(next_told(waitset, receiver, &byte), LEAT_ECLOSED);
        harness_wait_ok(closes);
    }
    assert_ptr_equal(next_ready(waitset), NULL);
    leat_receiver_close(receiver);
    leat_waitset_close(waitset);
}

static int receive_slowly(void *context) {
    harness_word *words = context;
    leat_receiver *receiver = open_receiver("room", NULL);
    harness_set(&words[0], 1);
    harness_await(&words[1], 1);
    uint64_t value, size_sum = 0;
    for (int i = 0; i < 1000; i++) {
        size_t size;
        assert_ok(leat_recv(receiver, &value, sizeof value, &size, LATER));
        assert_int_equal(value, (uint64_t)i);
        size_sum += size;
    }
    assert_int_equal(size_sum, 8000);
    pause();
    return 1;
}

static void sender_is_ready_for_room_and_for_events_of_the_receiver(void **state) {
    (void)state;
    harness_word *words = harness_shared(2 * sizeof *words);
    leat_channel_options small = {.capacity = LEAT_CAPACITY_MIN, .spin_us = LEAT_SPIN_NONE};
    leat_waitset *waitset = open_waitset();
    leat_sender *sender = open_sender("room", &small);
    assert_leat(leat_waitset_want_room(sender, 8), LEAT_ESTATE);
    assert_ok(leat_waitset_add_sender(waitset, sender, sender));
    assert_leat(leat_waitset_want_room(sender, 1 << 20), LEAT_EMSGSIZE);
    assert_ptr_equal(next_ready(waitset), NULL); /* there is room, but the sender wants none */
    pid_t child = harness_spawn(receive_slowly, words);
    harness_await(&words[0], 1);
    assert_ptr_equal(next_named(waitset), sender);
    /* the first one is no event, but the member is ready for it, once */
    assert_ok(leat_sender_peer_event(sender));
    assert_int_equal(leat_sender_peer(sender), LEAT_PEER_PRESENT);
    assert_ptr_equal(next_ready(waitset), NULL);
    unsigned stalls = 0;
    for (uint64_t value = 0; value < 1000;) {
        int result = leat_send(sender, &value, sizeof value, LEAT_NOW);
        value += result == LEAT_OK;
        if (result == LEAT_OK)
            continue;
        assert_leat(result, LEAT_EAGAIN);
        stalls++;
        assert_ok(leat_waitset_want_room(sender, sizeof value));
        harness_set(&words[1], 1);
        while (next_ready(waitset) == NULL)
            assert_true(is_readable(waitset, 5000));
    }
    assert_true(stalls > 0);
    assert_ok(leat_sender_drain(sender, LATER));
    assert_ptr_equal(next_ready(waitset), NULL);
    uint64_t filler = 0;
    while (leat_send(sender, &filler, sizeof filler, LEAT_NOW) == LEAT_OK)
        ;
    /* is still wanted after what comes next */
    assert_ok(leat_waitset_want_room(sender, sizeof filler));
    harness_kill(child);
    while (next_ready(waitset) == NULL)
        assert_true(is_readable(waitset, 5000));
    assert_leat(leat_sender_peer_event(sender), LEAT_EPEERDIED);
    assert_ok(leat_sender_peer_event(sender));
    assert_ptr_equal(next_ready(waitset), NULL);
    leat_receiver *successor = open_receiver("room", &sleeps);
    while (next_ready(waitset) == NULL)
        assert_true(is_readable(waitset, 5000));
    assert_leat(leat_sender_peer_event(sender), LEAT_EPEERBACK);
    assert_ptr_equal(next_ready(waitset), NULL);
    size_t size;
    while (leat_recv(successor, &filler, sizeof filler, &size, LEAT_NOW) == LEAT_OK)
        ;
    assert_ptr_equal(next_ready(waitset), sender); /* now there is room */
    assert_ptr_equal(next_ready(waitset), NULL);   /* and it was wanted once */
    leat_receiver_close(successor);
    leat_sender_close(sender);
    leat_waitset_close(waitset);
}

/* A sender that is in a loop for events of its receiver, and has all the room it wants. */
static void sender_that_wants_no_room_is_not_woken_for_any(void **state) {
    (void)state;
    leat_waitset *waitset = open_waitset();
    struct pair pair = {.rx = open_receiver("no-room", NULL)};
    pair.tx = open_sender("no-room", &sleeps);
    leat_statistics statistics;
    assert_ok(leat_waitset_add_sender(waitset, pair.tx, pair.tx));
    assert_ptr_equal(next_ready(waitset), NULL);
    for (int i = 0; i < 100; i++) {
        send_text(pair.tx, "x");
        expect_text(pair.rx, "x");
        assert_int_equal(empty_out(pair.rx), 0);
        assert_false(is_readable(waitset, 0));
    }
    leat_receiver_statistics(pair.rx, &statistics);
    assert_int_equal(statistics.wake_calls, 0);
    leat_receiver_close(pair.rx);
    assert_ptr_equal(next_named(waitset), pair.tx);
    assert_leat(leat_sender_peer_event(pair.tx), LEAT_ECLOSED);
    leat_sender_close(pair.tx);
    leat_waitset_close(waitset);
}

static void channel_that_never_sleeps_keeps_the_loop_awake(void **state) {
    (void)state;
    harness_word *ready = harness_shared(sizeof *ready);
    leat_waitset *waitset = open_waitset();
    leat_receiver *receiver =
        open_receiver("peers", &(leat_channel_options){.spin_us = LEAT_SPIN_FOREVER});
    struct pair other = {open_sender("sleeps", &sleeps), open_receiver("sleeps", &sleeps)};
    char byte = 0;
    assert_ok(leat_waitset_add_receiver(waitset, receiver, receiver));
    assert_ok(leat_waitset_add_receiver(waitset, other.rx, other.rx));
    for (int i = 0; i < 100; i++) {
        size_t size;
        void *data = next_ready(waitset);
        if (data != NULL) /* what a sender's coming leaves */
            assert_leat(leat_recv(data, &byte, 1, &size, LEAT_NOW), LEAT_EAGAIN);
        else
            assert_true(is_readable(waitset, 0));
    }
    assert_ok(leat_send(other.tx, "x", 1, LEAT_NOW));
    assert_int_equal(wake_calls(other.tx), 1); /* it sleeps all the same */
    assert_ptr_equal(next_ready(waitset), other.rx);
    leat_sender_close(other.tx);
    leat_receiver_close(other.rx);
    pid_t killed = harness_spawn(send_and_wait, ready);
    assert_ok(next_told(waitset, receiver, &byte));
    harness_kill(killed);
    assert_leat(next_told(waitset, receiver, &byte), LEAT_EPEERDIED);
    leat_receiver_close(receiver);
    leat_waitset_close(waitset);
}

/* --- Nothing is lost -------------------------------------------------------------------------- */

static int send_at_the_edge(void *context) {
    leat_sender *sender = open_sender("edge", &sleeps);
    uint32_t messages = *(uint32_t *)context;
    uint64_t random = 7;
    for (uint32_t value = 0; value < messages; value++) {
        for (uint64_t pause = harness_random(&random) % 400; pause > 0; pause--)
            __asm__ volatile("");
        assert_ok(leat_send(sender, &value, sizeof value, LATER));
    }
    assert_ok(leat_sender_drain(sender, LATER));
    leat_sender_close(sender);
    return 0;
}

/* The sender's pauses are about as long as it takes to arm and poll: a wake that is forgotten
 * would be a poll without end. */
static void wake_is_not_lost_at_the_edge_of_sleep(void **state) {
    (void)state;
    uint32_t messages = (uint32_t)harness_setting("LEAT_MESSAGES", 300000), next = 0;
    leat_waitset *waitset = open_waitset();
    leat_receiver *receiver = open_receiver("edge", &sleeps);
    assert_ok(leat_waitset_add_receiver(waitset, receiver, receiver));
    pid_t child = harness_spawn(send_at_the_edge, &messages);
    while (next < messages) {
        while (next_ready(waitset) != NULL && next < messages)
            receive_all(receiver, &next);
        if (next < messages && !is_readable(waitset, 5000))
            harness_fail("message %u does not come", next);
    }
    harness_wait_ok(child);
    leat_waitset_statistics statistics = statistics_of(waitset);
    print_message("%u messages, %llu wakes, armed %llu times\n", messages,
                  (unsigned long long)statistics.wakes, (unsigned long long)statistics.armed);
    leat_receiver_close(receiver);
    leat_waitset_close(waitset);
}

/* A process of its own, so that it can be stopped like the sender. */
static int receive_in_a_loop(void *context) {
    uint32_t messages = *(uint32_t *)context, next = 0;
    leat_waitset *waitset = open_waitset();
    leat_receiver *receiver = open_receiver("edge", &sleeps);
    assert_ok(leat_waitset_add_receiver(waitset, receiver, receiver));
    while (next < messages) {
        while (next_ready(waitset) != NULL && next < messages)
            receive_all(receiver, &next);
        if (next < messages && !is_readable(waitset, 10000))
            harness_fail("message %u does not come", next);
    }
    leat_receiver_close(receiver);
    leat_waitset_close(waitset);
    return 0;
}

/* A sender is stopped anywhere, between publishing and waking too, and continued: every message
 * comes, and no wake is lost. */
static void stop_of_either_peer_loses_nothing(void **state) {
    (void)state;
    uint32_t *messages = harness_shared(sizeof *messages);
    *messages = (uint32_t)harness_setting("LEAT_MESSAGES", 300000);
    uint64_t random = harness_seed();
    pid_t sides[2] = {harness_spawn(send_at_the_edge, messages),
                      harness_spawn(receive_in_a_loop, messages)};
    unsigned stops = 0;
    for (bool over = false; !over; stops++) {
        pid_t side = sides[harness_random(&random) % 2];
        kill(side, SIGSTOP); /* whether or not it has ended: it was not reaped yet */
        usleep((useconds_t)(harness_random(&random) % 300));
        kill(side, SIGCONT);
        usleep((useconds_t)(harness_random(&random) % 2000));
        siginfo_t info = {0};
        over = waitid(P_PID, (id_t)sides[1], &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
               info.si_pid == sides[1];
    }
    harness_wait_ok(sides[1]);
    harness_wait_ok(sides[0]);
    print_message("%u messages, stopped %u times\n", *messages, stops);
    assert_int_equal(harness_names_left(), 0);
}

/* Another user's sender, or one in another container, does not find the socket: it touches the
 * file. */
static int send_from_elsewhere(void *context) {
    pid_t parent = *(pid_t *)context;
    char other[] = "/tmp/leat-elsewhere-XXXXXX";
    assert_non_null(mkdtemp(other));
    assert_int_equal(setenv("LEAT_DIR", other, 1), 0); /* first: a new sender wakes */
    leat_sender *sender =
        open_sender(harness_global("elsewhere"), &(leat_channel_options){.scope = LEAT_GLOBAL});
    for (uint32_t value = 0; value < 20; value++) {
        harness_await_asleep(parent);
        assert_ok(leat_send(sender, &value, sizeof value, LATER));
        assert_ok(leat_sender_drain(sender, LATER));
    }
    leat_sender_close(sender);
    rmdir(other);
    return 0;
}

static void peer_that_does_not_find_the_socket_touches_the_file(void **state) {
    (void)state;
    leat_waitset *waitset = open_waitset();
    leat_receiver *receiver =
        open_receiver(harness_global("elsewhere"),
                      &(leat_channel_options){.scope = LEAT_GLOBAL, .spin_us = LEAT_SPIN_NONE});
    uint32_t next = 0;
    assert_ok(leat_waitset_add_receiver(waitset, receiver, receiver));
    pid_t parent = getpid(), child = harness_spawn(send_from_elsewhere, &parent);
    while (next < 20) {
        while (next_ready(waitset) != NULL && next < 20)
            receive_all(receiver, &next);
        if (next < 20)
            assert_true(is_readable(waitset, 5000));
    }
    harness_wait_ok(child);
    assert_true(wakes_of_receiver(receiver) > 0); /* a touch is a wake too */
    leat_receiver_close(receiver);
    leat_waitset_close(waitset);
}

/* --- Mistakes and ends ------------------------------------------------------------------------ */

static int leave_a_notify_socket(void *context) {
    (void)context;
    (void)open_waitset();
    raise(SIGKILL);
    return 1;
}

static void note_removed(const leat_object_info *info, void *context) {
    leat_object_info *removed = context;
    assert_int_equal(removed->kind, 0); /* there is one */
    *removed = *info;
}

static void sockets_of_killed_processes_are_removed(void **state) {
    (void)state;
    leat_waitset *alive = open_waitset();
    harness_wait_signal(harness_spawn(leave_a_notify_socket, NULL), SIGKILL);
    assert_int_equal(harness_names_left(), 2);
    leat_object_info removed = {0};
    assert_ok(leat_gc(LEAT_LOCAL, note_removed, &removed));
    assert_int_equal(harness_names_left(), 1);
    assert_ptr_equal(strstr(removed.name, ".leat-notify-"), removed.name);
    assert_true(removed.kind == LEAT_KIND_WAITSET && removed.scope == LEAT_LOCAL &&
                removed.owner == geteuid() && removed.size == 0);
    assert_string_equal(leat_kind_name(removed.kind), "wait set");
    leat_waitset_close(alive);
    assert_int_equal(harness_names_left(), 0);
}

static int use_in_child(void *context) {
    leat_waitset *waitset = context;
    void *data;
    assert_leat(leat_waitset_next(waitset, &data), LEAT_EFORKED);
    assert_int_equal(leat_waitset_descriptor(waitset), -1);
    leat_waitset_again(waitset);
    leat_waitset_close(waitset);
    return 0;
}

static void wrong_use_is_refused(void **state) {
    (void)state;
    leat_waitset *waitset = open_waitset(), *other = open_waitset();
    struct pair pair = {open_sender("wrong", &sleeps), open_receiver("wrong", &sleeps)};
    void *data;
    assert_leat(leat_waitset_open(NULL), LEAT_EINVAL);
    assert_leat(leat_waitset_next(NULL, &data), LEAT_EINVAL);
    assert_leat(leat_waitset_next(waitset, NULL), LEAT_EINVAL);
    assert_leat(leat_waitset_add_receiver(waitset, NULL, NULL), LEAT_EINVAL);
    assert_leat(leat_waitset_add_sender(NULL, pair.tx, NULL), LEAT_EINVAL);
    assert_ok(leat_waitset_add_receiver(waitset, pair.rx, pair.rx));
    assert_leat(leat_waitset_add_receiver(other, pair.rx, pair.rx), LEAT_ESTATE);
    assert_ok(leat_waitset_add_sender(waitset, pair.tx, pair.tx)); /* both ends of one channel */
    settle(waitset, pair.rx);
    assert_ok(leat_send(pair.tx, "x", 1, LEAT_NOW));
    assert_ptr_equal(next_ready(waitset), pair.rx);
    harness_wait_ok(harness_spawn(use_in_child, waitset));
    assert_ptr_equal(next_ready(waitset), pair.rx);
    leat_sender_close(pair.tx);
    leat_receiver_close(pair.rx);
    leat_waitset_close(waitset);
    leat_waitset_close(other);
    leat_waitset_close(NULL);
    assert_int_equal(harness_names_left(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(waitset_is_woken_once_for_many_messages),
        HARNESS_TEST(loop_that_stops_early_is_woken_again),
        HARNESS_TEST(channel_in_a_waitset_can_be_waited_for_in_a_call_too),
        HARNESS_TEST(members_with_messages_are_returned_in_rotation),
        HARNESS_TEST_WITHIN(end_of_the_sender_is_reported, 600),
        HARNESS_TEST(sender_is_ready_for_room_and_for_events_of_the_receiver),
        HARNESS_TEST(sender_that_wants_no_room_is_not_woken_for_any),
        HARNESS_TEST(channel_that_never_sleeps_keeps_the_loop_awake),
        HARNESS_TEST_WITHIN(wake_is_not_lost_at_the_edge_of_sleep, 1200),
        HARNESS_TEST_WITHIN(stop_of_either_peer_loses_nothing, 1200),
        HARNESS_TEST(peer_that_does_not_find_the_socket_touches_the_file),
        HARNESS_TEST(sockets_of_killed_processes_are_removed),
        HARNESS_TEST(wrong_use_is_refused),
    };
    return HARNESS_MAIN("waitset", tests);
}
