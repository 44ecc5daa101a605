/* test_uv.c - receivers and waiters as libuv handles (leat/uv.h), in real loops, with the other end
 * in a process of its own or in the same loop. Each test ends with uv_loop_close, which finds
 * nothing left; the harness looks for descriptors and names. Receivers that hold messages:
 * test_uv_held.c; senders: test_uv_send.c. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "handles.h"
#include "uv_loop.h"

/* --- Receiving -------------------------------------------------------------------------------- */

struct seen {
    uint32_t next; /* the message that is expected */
    uint32_t last; /* after which the handle is closed, or stopped */
    unsigned came, went, died, wrong;
    bool stops;
};

static void on_message(leat_uv_receiver_t *receiver, const leat_message *message) {
    struct seen *seen = receiver->handle.data;
    assert_int_equal(message->size, sizeof seen->next);
    assert_memory_equal(message->data, &seen->next, sizeof seen->next);
    if (++seen->next != seen->last)
        return;
    if (seen->stops)
        leat_uv_receiver_stop(receiver);
    else
        leat_uv_close(&receiver->handle, count_closed);
}

static void on_peer(leat_uv_receiver_t *receiver, leat_peer peer, int status) {
    struct seen *seen = receiver->handle.data;
    seen->came += peer == LEAT_PEER_PRESENT;
    seen->went += peer == LEAT_PEER_CLOSED;
    seen->died += peer == LEAT_PEER_DIED;
    seen->wrong += status != 0;
    if (peer == LEAT_PEER_DIED || peer == LEAT_PEER_CLOSED)
        leat_uv_close(&receiver->handle, count_closed);
}

static void open_started(leat_uv_receiver_t *receiver, const char *name, struct seen *seen) {
    assert_uv(leat_uv_receiver_open(&loop, receiver, name, NULL));
    receiver->handle.data = seen;
    assert_false(leat_uv_is_active(&receiver->handle));
    assert_uv(leat_uv_receiver_start(receiver, on_message, on_peer));
    assert_true(leat_uv_is_active(&receiver->handle));
    assert_int_equal(leat_uv_receiver_start(receiver, on_message, on_peer), UV_EALREADY);
}

static int send_stream(void *context) {
    const struct stream *stream = context;
    leat_sender *sender = open_sender(stream->name, NULL);
    for (uint32_t value = stream->from; value < stream->to; value++) {
        assert_ok(leat_send(sender, &value, sizeof value, LATER));
        if (stream->pause_ns > 0)
            nanosleep(&(struct timespec){0, (long)stream->pause_ns}, NULL);
    }
    if (stream->dies)
        raise(SIGKILL);
    assert_ok(leat_sender_drain(sender, LATER));
    leat_sender_close(sender);
    return 0;
}

static void receiver_gets_messages_in_order_and_then_the_end(void **state) {
    (void)state;
    struct stream stream = {"stream", 0, 100000, 0, false};
    struct seen seen = {0};
    leat_uv_receiver_t receiver;
    closed = 0;
    begin();
    open_started(&receiver, "stream", &seen);
    within_seconds("the end of the stream");
    pid_t child = harness_spawn(send_stream, &stream);
    uv_run(&loop, UV_RUN_DEFAULT); /* until the receiver has closed itself */
    harness_wait_ok(child);
    assert_int_equal(seen.next, 100000);
    assert_true(seen.came == 1 && seen.went == 1 && seen.died == 0 && seen.wrong == 0);
    uv_close((uv_handle_t *)&guard, NULL);
    end();
    assert_int_equal(closed, 1);
    assert_int_equal(harness_names_left(), 0);
}

static void death_is_reported_after_what_was_sent(void **state) {
    (void)state;
    struct stream stream = {"dies", 0, 1000, 0, true};
    struct seen seen = {0};
    leat_uv_receiver_t receiver;
    begin();
    open_started(&receiver, "dies", &seen);
    within_seconds("the news of the death");
    pid_t child = harness_spawn(send_stream, &stream);
    uv_run(&loop, UV_RUN_DEFAULT);
    harness_wait_signal(child, SIGKILL);
    assert_int_equal(seen.next, 1000);
    assert_true(seen.came == 1 && seen.died == 1 && seen.went == 0);
    uv_close((uv_handle_t *)&guard, NULL);
    end();
}

/* Both are reported, in this order, however late the loop polls. */
static void sender_that_left_is_reported_to_have_come(void **state) {
    (void)state;
    struct stream dying = {"brief", 0, 3, 0, true}, empty = {"brief", 3, 3, 0, true};
    struct seen seen = {0};
    leat_uv_receiver_t receiver;
    begin();
    for (int i = 0; i < 2; i++) {
        seen = (struct seen){.next = seen.next};
        open_started(&receiver, "brief", &seen);
        harness_wait_signal(harness_spawn(send_stream, i == 0 ? &dying : &empty), SIGKILL);
        within_seconds("the news of the death");
        uv_run(&loop, UV_RUN_DEFAULT);
        assert_true(seen.came == 1 && seen.died == 1 && seen.went == 0 && seen.next == 3);
        uv_close((uv_handle_t *)&guard, NULL);
        assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    }
    end();
}

/* The program has received from the channel by calls: for the handle the first sender is one that
 * came back. */
static void returning_sender_is_reported_once(void **state) {
    (void)state;
    struct seen seen = {0};
    leat_uv_receiver_t receiver;
    begin();
    leat_receiver *channel = open_receiver("back", NULL);
    leat_sender_close(open_sender("back", NULL));
    expect_news(channel, LEAT_ECLOSED, LATER);
    assert_uv(leat_uv_receiver_init(&loop, &receiver, channel));
    receiver.handle.data = &seen;
    assert_uv(leat_uv_receiver_start(&receiver, on_message, on_peer));
    within_seconds("the sender");
    turn_until_quiet();
    assert_true(seen.came == 0 && seen.went == 0);
    leat_sender *sender = open_sender("back", NULL);
    while (seen.came == 0)
        uv_run(&loop, UV_RUN_ONCE);
    turn_until_quiet();
    assert_true(seen.came == 1 && seen.went == 0 && seen.wrong == 0);
    leat_sender_close(sender);
    while (seen.went == 0)
        uv_run(&loop, UV_RUN_ONCE); /* and it closes itself */
    assert_int_equal(seen.came, 1);
    uv_close((uv_handle_t *)&guard, NULL);
    end();
}

/* Stopping in the middle of a batch leaves the rest where it is; closing inside the callback
 * too. */
static void receiver_stops_and_closes_inside_its_callback(void **state) {
    (void)state;
    struct seen seen = {.last = 10, .stops = true};
    leat_uv_receiver_t receiver;
    begin();
    open_started(&receiver, "inside", &seen);
    leat_sender *sender = open_sender("inside", NULL);
    for (uint32_t value = 0; value < 100; value++)
        assert_ok(leat_send(sender, &value, sizeof value, LEAT_NOW));
    uv_run(&loop, UV_RUN_DEFAULT); /* nothing is active any more */
    assert_int_equal(seen.next, 10);
    assert_false(leat_uv_is_active(&receiver.handle));
    uint32_t value;
    size_t size;
    /* by hand meanwhile */
    assert_ok(
        leat_recv(leat_uv_receiver_channel(&receiver), &value, sizeof value, &size, LEAT_NOW));
    assert_int_equal(value, seen.next++);
    seen.stops = false;
    seen.last = 20;
    assert_uv(leat_uv_receiver_start(&receiver, on_message, on_peer));
    closed = 0;
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(seen.next, 20);
    assert_int_equal(closed, 1);
    end();
    leat_receiver *successor = open_receiver("inside", NULL); /* the rest is still there */
    assert_ok(leat_recv(successor, &value, sizeof value, &size, LEAT_NOW));
    assert_int_equal(value, 20);
    leat_receiver_close(successor);
    leat_sender_close(sender);
}

static void give_memory(leat_uv_receiver_t *receiver, size_t size, uv_buf_t *buffer) {
    struct seen *seen = receiver->handle.data;
    if (seen->next == 5 && seen->stops)
        return; /* none today */
    *buffer = uv_buf_init(malloc(size), (unsigned)size);
}

static void on_copy(leat_uv_receiver_t *receiver, ssize_t size, const uv_buf_t *buffer) {
    struct seen *seen = receiver->handle.data;
    if (size < 0) {
        assert_int_equal(size, UV_ENOBUFS);
        seen->wrong++;
        seen->stops = false;
        return;
    }
    assert_memory_equal(buffer->base, &seen->next, sizeof seen->next);
    free(buffer->base);
    if (++seen->next == seen->last)
        leat_uv_close(&receiver->handle, NULL);
}

static void receiver_gets_messages_by_copy(void **state) {
    (void)state;
    struct seen seen = {.last = 8, .stops = true};
    leat_uv_receiver_t receiver;
    begin();
    leat_sender *sender = open_sender("copies", NULL);
    assert_uv(leat_uv_receiver_open(&loop, &receiver, "copies", NULL));
    receiver.handle.data = &seen;
    assert_int_equal(leat_uv_receiver_start_copy(&receiver, NULL, on_copy, NULL), UV_EINVAL);
    assert_uv(leat_uv_receiver_start_copy(&receiver, give_memory, on_copy, NULL));
    for (uint32_t value = 0; value < 8; value++)
        assert_ok(leat_send(sender, &value, sizeof value, LEAT_NOW));
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(seen.wrong == 1 && seen.next == 5); /* without memory it stops, and loses nothing */
    assert_uv(leat_uv_receiver_start_copy(&receiver, give_memory, on_copy, NULL));
    end();
    assert_int_equal(seen.next, 8);
    leat_sender_close(sender);
}

/* --- Many ------------------------------------------------------------------------------------- */

enum { CHANNELS = 1000 };

struct one_of_many {
    leat_uv_receiver_t receiver;
    leat_sender *sender;
    unsigned messages;
};

static unsigned turns;

static void count_turn(uv_check_t *check) {
    (void)check;
    turns++;
}

static void count_message(leat_uv_receiver_t *receiver, const leat_message *message) {
    struct one_of_many *one = receiver->handle.data;
    assert_int_equal(message->size, 1);
    one->messages++;
}

static void close_it(leat_uv_handle_t *handle, void *context) {
    (void)context;
    leat_uv_close(handle, NULL);
}

static void idle_channels_cost_the_loop_nothing(void **state) {
    (void)state;
    static struct one_of_many many[CHANNELS];
    leat_channel_options small = {.capacity = LEAT_CAPACITY_MIN};
    uv_check_t check;
    begin();
    for (int i = 0; i < CHANNELS; i++) {
        char name[24];
        snprintf(name, sizeof name, "m%d", i);
        many[i] = (struct one_of_many){0};
        assert_uv(leat_uv_receiver_open(&loop, &many[i].receiver, name, &small));
        many[i].receiver.handle.data = &many[i];
        assert_uv(leat_uv_receiver_start(&many[i].receiver, count_message, NULL));
        many[i].sender = open_sender(name, &small);
    }
    assert_uv(uv_check_init(&loop, &check));
    uv_unref((uv_handle_t *)&check);
    assert_uv(uv_check_start(&check, count_turn));
    /* files were closed: the last poll that is due after that comes 50 ms later */
    for (int i = 0; i < 4; i++) {
        while (uv_run(&loop, UV_RUN_NOWAIT), uv_backend_timeout(&loop) == 0)
            ; /* until all were polled and are armed */
        usleep(40000);
    }
    turns = 0;
    assert_ok(leat_send(many[777].sender, "x", 1, LEAT_NOW));
    uv_run(&loop, UV_RUN_ONCE); /* sleeps, and is woken */
    while (uv_backend_timeout(&loop) == 0)
        uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(turns, 1);
    for (int i = 0; i < CHANNELS; i++)
        assert_int_equal(many[i].messages, i == 777);
    leat_uv_walk(&loop, close_it, NULL); /* the way in which programs end a loop */
    uv_close((uv_handle_t *)&check, NULL);
    end();
    for (int i = 0; i < CHANNELS; i++)
        leat_sender_close(many[i].sender);
    assert_int_equal(harness_names_left(), 0);
}

/* --- Fairness --------------------------------------------------------------------------------- */

struct flood {
    leat_uv_receiver_t receiver;
    uv_timer_t every_ms, end;
    unsigned ticks;
    uint64_t messages;
};

static void count_flood(leat_uv_receiver_t *receiver, const leat_message *message) {
    (void)message;
    ((struct flood *)receiver->handle.data)->messages++;
}

static void on_tick(uv_timer_t *timer) {
    ((struct flood *)timer->data)->ticks++;
}

static void on_end(uv_timer_t *timer) {
    struct flood *flooded = timer->data;
    leat_uv_close(&flooded->receiver.handle, NULL);
    uv_close((uv_handle_t *)&flooded->every_ms, NULL);
    uv_close((uv_handle_t *)&flooded->end, NULL);
}

/* A benchmark measures how exact the timer is; this test only checks that it fires. */
static void flooded_loop_has_time_for_others(void **state) {
    (void)state;
    harness_word *stop = harness_shared(sizeof *stop);
    struct flood flooded = {0};
    begin();
    assert_uv(leat_uv_receiver_open(&loop, &flooded.receiver, "flood", NULL));
    flooded.receiver.handle.data = flooded.every_ms.data = flooded.end.data = &flooded;
    assert_uv(leat_uv_receiver_start(&flooded.receiver, count_flood, NULL));
    uv_timer_init(&loop, &flooded.every_ms);
    uv_timer_init(&loop, &flooded.end);
    flooded.every_ms.data = flooded.end.data = &flooded;
    uv_timer_start(&flooded.every_ms, on_tick, 1, 1);
    uv_timer_start(&flooded.end, on_end, 1000, 0);
    pid_t child = harness_spawn(flood, stop);
    uv_run(&loop, UV_RUN_DEFAULT);
    harness_set(stop, 1);
    harness_wait_ok(child);
    end();
    print_message("in a second: %u ticks of 1 ms, %llu messages\n", flooded.ticks,
                  (unsigned long long)flooded.messages);
    assert_true(flooded.ticks > 100);
    assert_true(flooded.messages > 10000);
}

/* --- Events, semaphores, mutexes -------------------------------------------------------------- */

struct waiting {
    leat_uv_waiter_t waiters[3]; /* manual-reset event, semaphore, mutex */
    leat_event *event;
    leat_semaphore *semaphore;
    leat_mutex *mutex;
    unsigned set, counted, locked, orphaned;
};

static void on_taken(leat_uv_waiter_t *waiter, int status) {
    struct waiting *waiting = waiter->handle.data;
    waiting->set += waiter == &waiting->waiters[0];
    waiting->counted += waiter == &waiting->waiters[1];
    waiting->locked += waiter == &waiting->waiters[2];
    waiting->orphaned += status == UV_ECONNRESET;
    if (waiting->counted == 5)
        leat_uv_waiter_stop(&waiting->waiters[1]);
}

static int give_and_die(void *context) {
    harness_word *ready = context;
    leat_event *event = NULL;
    leat_semaphore *semaphore = NULL;
    leat_mutex *mutex = NULL;
    assert_ok(leat_event_open(&event, "uv-e", NULL));
    assert_ok(leat_semaphore_open(&semaphore, "uv-s", 0, 10, NULL));
    assert_ok(leat_mutex_open(&mutex, "uv-m", NULL));
    assert_ok(leat_mutex_lock(mutex, LATER));
    harness_set(ready, 1);
    harness_await(ready, 2);
    assert_ok(leat_event_set(event));
    assert_ok(leat_semaphore_release(semaphore, 5, NULL));
    raise(SIGKILL);
    return 1;
}

static void waiters_take_events_semaphores_and_mutexes(void **state) {
    (void)state;
    harness_word *ready = harness_shared(sizeof *ready);
    struct waiting waiting = {0};
    leat_sync_options manual = {.manual_reset = true};
    begin();
    assert_ok(leat_event_open(&waiting.event, "uv-e", &manual));
    assert_ok(leat_semaphore_open(&waiting.semaphore, "uv-s", 0, 10, NULL));
    assert_ok(leat_mutex_open(&waiting.mutex, "uv-m", NULL));
    pid_t child = harness_spawn(give_and_die, ready);
    harness_await(ready, 1);
    leat_waitable *objects[] = {leat_event_waitable(waiting.event),
                                leat_semaphore_waitable(waiting.semaphore),
                                leat_mutex_waitable(waiting.mutex)};
    for (int i = 0; i < 3; i++) {
        assert_uv(leat_uv_waiter_init(&loop, &waiting.waiters[i], objects[i]));
        waiting.waiters[i].handle.data = &waiting;
        assert_uv(leat_uv_waiter_start(&waiting.waiters[i], on_taken));
        assert_int_equal(leat_uv_waiter_start(&waiting.waiters[i], on_taken), UV_EALREADY);
    }
    within_seconds("the last of them");
    harness_set(ready, 2);
    uv_run(&loop, UV_RUN_DEFAULT); /* until all have stopped */
    harness_wait_signal(child, SIGKILL);
    assert_true(waiting.set == 1 && waiting.counted == 5 && waiting.locked == 1 &&
                waiting.orphaned == 1);
    assert_true(event_is_set(waiting.event));
    for (int i = 0; i < 3; i++)
        leat_uv_close(&waiting.waiters[i].handle, NULL);
    uv_close((uv_handle_t *)&guard, NULL);
    end();
    assert_ok(leat_mutex_unlock(waiting.mutex));
    leat_event_close(waiting.event);
    leat_semaphore_close(waiting.semaphore);
    leat_mutex_close(waiting.mutex);
    assert_int_equal(harness_names_left(), 0);
}

static void on_mutex(leat_uv_waiter_t *waiter, int status) {
    *(int *)waiter->handle.data = status;
}

/* LEAT_ELOST: it was not taken, and the waiter is stopped. */
static void waiter_for_a_lost_mutex_is_stopped_with_uv_eio(void **state) {
    (void)state;
    leat_mutex *mutex = NULL;
    leat_uv_waiter_t waiter;
    int status = 1;
    begin();
    assert_ok(leat_mutex_open(&mutex, "uv-lost", NULL));
    assert_ok(leat_mutex_lock(mutex, LATER));
    assert_ok(leat_mutex_give_up(mutex));
    assert_uv(leat_uv_waiter_init(&loop, &waiter, leat_mutex_waitable(mutex)));
    waiter.handle.data = &status;
    assert_uv(leat_uv_waiter_start(&waiter, on_mutex));
    uv_run(&loop, UV_RUN_DEFAULT); /* until it is stopped */
    assert_int_equal(status, UV_EIO);
    leat_uv_close(&waiter.handle, NULL);
    end();
    leat_mutex_close(mutex);
}

/* --- Conventions ------------------------------------------------------------------------------ */

static void references_and_errors_are_libuvs(void **state) {
    (void)state;
    struct seen seen = {0};
    leat_uv_receiver_t receiver, second;
    leat_uv_sender_t sender;
    begin();
    assert_int_equal(leat_uv_receiver_open(&loop, &receiver, "", NULL), UV_EINVAL);
    assert_int_equal(leat_error_last(), LEAT_ENAME); /* leat's own code says more */
    assert_int_equal(
        leat_uv_receiver_open(&loop, &receiver, "none", &(leat_channel_options){.mode = LEAT_OPEN}),
        UV_ENOENT);
    assert_int_equal(
        leat_uv_sender_open(&loop, &sender, "none", &(leat_channel_options){.mode = LEAT_OPEN}),
        UV_ENOENT);
    assert_int_equal(leat_error_last(), LEAT_ENOENT);
    open_started(&receiver, "refs", &seen);
    assert_int_equal(leat_uv_receiver_open(&loop, &second, "refs", NULL), UV_EBUSY);
    assert_int_equal(leat_uv_receiver_set_budget(&receiver, 0), UV_EINVAL);
    assert_uv(leat_uv_receiver_set_budget(&receiver, 1));
    assert_true(leat_uv_has_ref(&receiver.handle));
    leat_uv_unref(&receiver.handle);
    uv_run(&loop, UV_RUN_DEFAULT); /* nothing holds it */
    leat_uv_ref(&receiver.handle);
    assert_int_equal(uv_run(&loop, UV_RUN_NOWAIT), 1);
    assert_int_equal(leat_uv_error(LEAT_EPEERDIED), UV_ECONNRESET);
    assert_int_equal(leat_uv_error(12345), UV_UNKNOWN);
    closed = 0;
    leat_uv_close(&receiver.handle, count_closed);
    leat_uv_close(&receiver.handle, count_closed); /* closing already */
    assert_int_equal(leat_uv_receiver_start(&receiver, on_message, on_peer), UV_EINVAL);
    end();
    assert_int_equal(closed, 1);
}

/* Only errors that leat itself does not know are UV_UNKNOWN. */
static void leat_uv_error_converts_every_code(void **state) {
    (void)state;
    static const int codes[] = {
#define CODE(name, number, cause, remedy) name,
        LEAT_ERRORS(CODE)
#undef CODE
    };
    assert_int_equal(leat_uv_error(LEAT_OK), 0);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        const int code = leat_uv_error(codes[i]);
        if (code >= 0 || (code == UV_UNKNOWN) != (codes[i] == LEAT_ESYSTEM))
            fail_msg("%s becomes %d", leat_error_name(codes[i]), code);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(receiver_gets_messages_in_order_and_then_the_end),
        HARNESS_TEST(death_is_reported_after_what_was_sent),
        HARNESS_TEST(sender_that_left_is_reported_to_have_come),
        HARNESS_TEST(returning_sender_is_reported_once),
        HARNESS_TEST(receiver_stops_and_closes_inside_its_callback),
        HARNESS_TEST(receiver_gets_messages_by_copy),
        HARNESS_TEST(idle_channels_cost_the_loop_nothing),
        HARNESS_TEST(flooded_loop_has_time_for_others),
        HARNESS_TEST(waiters_take_events_semaphores_and_mutexes),
        HARNESS_TEST(waiter_for_a_lost_mutex_is_stopped_with_uv_eio),
        HARNESS_TEST(references_and_errors_are_libuvs),
        HARNESS_TEST(leat_uv_error_converts_every_code),
    };
    begin(); /* the first loop of a process opens a pipe that stays */
    end();
    return HARNESS_MAIN("uv", tests);
}
