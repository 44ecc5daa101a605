/* test_uv.c - channels as libuv handles (leat/uv.h), in real loops, with the other end in a process of its own or in the same loop. Each test
 * ends with uv_loop_close, which finds nothing left; the harness looks for descriptors and names. */
#include <leat/uv.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "channel_pair.h"

#define assert_uv(call) assert_int_equal((call), 0)

static uv_loop_t loop;

static void begin(void) {
    assert_uv(uv_loop_init(&loop));
}

/* Runs what is left, and requires that nothing is. */
static void end(void) {
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_uv(uv_loop_close(&loop));
}

static unsigned closed;

static void count_closed(uv_handle_t *handle) {
    (void)handle;
    closed++;
}

/* A loop that does not end in time is a failure that says so. */
static void too_late(uv_timer_t *timer) {
    harness_fail("%s does not come", (const char *)timer->data);
}

static uv_timer_t guard;

static void within_seconds(const char *what) {
    assert_uv(uv_timer_init(&loop, &guard));
    guard.data = (void *)(uintptr_t)what;
    uv_unref((uv_handle_t *)&guard);
    assert_uv(uv_timer_start(&guard, too_late, 10000 * harness_patience(), 0));
}

/* --- Receiving -------------------------------------------------------------------------------------------------------------- */

struct seen {
    uint32_t next;      /* the message that is expected */
    uint32_t last;      /* after which the handle is closed, or stopped */
    unsigned came, went, died, wrong;
    bool stops;
};

static void on_message(leat_uv_receiver_t *receiver, const leat_message *message) {
    struct seen *seen = receiver->uv.data;
    assert_int_equal(message->size, sizeof seen->next);
    assert_memory_equal(message->data, &seen->next, sizeof seen->next);
    if (++seen->next != seen->last)
        return;
    if (seen->stops)
        leat_uv_receiver_stop(receiver);
    else
        leat_uv_receiver_close(receiver, count_closed);
}

static void on_peer(leat_uv_receiver_t *receiver, leat_peer peer, int status) {
    struct seen *seen = receiver->uv.data;
    seen->came += peer == LEAT_PEER_PRESENT;
    seen->went += peer == LEAT_PEER_CLOSED;
    seen->died += peer == LEAT_PEER_DIED;
    seen->wrong += status != 0;
    if (peer == LEAT_PEER_DIED || peer == LEAT_PEER_CLOSED)
        leat_uv_receiver_close(receiver, count_closed);
}

static void open_started(leat_uv_receiver_t *receiver, const char *name, struct seen *seen) {
    assert_uv(leat_uv_receiver_open(&loop, receiver, name, NULL));
    receiver->uv.data = seen;
    assert_false(uv_is_active((uv_handle_t *)&receiver->uv));
    assert_uv(leat_uv_receiver_start(receiver, on_message, on_peer));
    assert_true(uv_is_active((uv_handle_t *)&receiver->uv));
    assert_int_equal(leat_uv_receiver_start(receiver, on_message, on_peer), UV_EALREADY);
}

struct stream {
    const char *name;
    uint32_t from, to;
    uint64_t pause_ns;
    bool dies;
};

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

static void messages_come_in_order_and_the_end_behind_them(void **state) {
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

static void a_death_is_told_behind_what_was_sent(void **state) {
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

/* Both are told, in this order, however late the loop looks. */
static void a_sender_that_has_gone_had_come(void **state) {
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

/* Stopping in the middle of a batch leaves the rest where it is; closing inside the callback too. */
static void stopping_and_closing_inside_the_callback(void **state) {
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
    assert_false(uv_is_active((uv_handle_t *)&receiver.uv));
    uint32_t value;
    size_t size;
    assert_ok(leat_recv(leat_uv_receiver_channel(&receiver), &value, sizeof value, &size, LEAT_NOW)); /* by hand meanwhile */
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
    struct seen *seen = receiver->uv.data;
    if (seen->next == 5 && seen->stops)
        return; /* none today */
    *buffer = uv_buf_init(malloc(size), (unsigned)size);
}

static void on_copy(leat_uv_receiver_t *receiver, ssize_t size, const uv_buf_t *buffer) {
    struct seen *seen = receiver->uv.data;
    if (size < 0) {
        assert_int_equal(size, UV_ENOBUFS);
        seen->wrong++;
        seen->stops = false;
        return;
    }
    assert_memory_equal(buffer->base, &seen->next, sizeof seen->next);
    free(buffer->base);
    if (++seen->next == seen->last)
        leat_uv_receiver_close(receiver, NULL);
}

static void messages_are_handed_over_by_copy(void **state) {
    (void)state;
    struct seen seen = {.last = 8, .stops = true};
    leat_uv_receiver_t receiver;
    begin();
    leat_sender *sender = open_sender("copies", NULL);
    assert_uv(leat_uv_receiver_open(&loop, &receiver, "copies", NULL));
    receiver.uv.data = &seen;
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

/* --- Many ------------------------------------------------------------------------------------------------------------------------ */

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
    struct one_of_many *one = receiver->uv.data;
    assert_int_equal(message->size, 1);
    one->messages++;
}

static void close_it(uv_handle_t *handle, void *context) {
    (void)context;
    leat_uv_close(handle, NULL);
}

static void of_a_thousand_channels_only_the_one_with_a_message_costs(void **state) {
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
        many[i].receiver.uv.data = &many[i];
        assert_uv(leat_uv_receiver_start(&many[i].receiver, count_message, NULL));
        many[i].sender = open_sender(name, &small);
    }
    assert_uv(uv_check_init(&loop, &check));
    uv_unref((uv_handle_t *)&check);
    assert_uv(uv_check_start(&check, count_turn));
    while (uv_run(&loop, UV_RUN_NOWAIT), uv_backend_timeout(&loop) == 0)
        ; /* until all have been looked at and announced */
    turns = 0;
    assert_ok(leat_send(many[777].sender, "x", 1, LEAT_NOW));
    uv_run(&loop, UV_RUN_ONCE); /* sleeps, and is woken */
    while (uv_backend_timeout(&loop) == 0)
        uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(turns, 1);
    for (int i = 0; i < CHANNELS; i++)
        assert_int_equal(many[i].messages, i == 777);
    uv_walk(&loop, close_it, NULL); /* the way in which programs end a loop */
    end();
    for (int i = 0; i < CHANNELS; i++)
        leat_sender_close(many[i].sender);
    assert_int_equal(harness_names_left(), 0);
}

/* --- Fairness -------------------------------------------------------------------------------------------------------------------- */

struct flood {
    leat_uv_receiver_t receiver;
    uv_timer_t every_ms, end;
    unsigned ticks;
    uint64_t messages;
};

static int flood(void *context) {
    harness_word *stop = context;
    leat_sender *sender = open_sender("flood", NULL);
    char message[64] = "flood";
    while (atomic_load(stop) == 0) {
        int result = leat_send(sender, message, sizeof message, leat_in_ms(100));
        assert_true(result == LEAT_OK || result == LEAT_ETIMEDOUT || result == LEAT_ECLOSED);
    }
    leat_sender_close(sender);
    return 0;
}

static void count_flood(leat_uv_receiver_t *receiver, const leat_message *message) {
    (void)message;
    ((struct flood *)receiver->uv.data)->messages++;
}

static void on_tick(uv_timer_t *timer) {
    ((struct flood *)timer->data)->ticks++;
}

static void on_end(uv_timer_t *timer) {
    struct flood *flooded = timer->data;
    leat_uv_receiver_close(&flooded->receiver, NULL);
    uv_close((uv_handle_t *)&flooded->every_ms, NULL);
    uv_close((uv_handle_t *)&flooded->end, NULL);
}

/* How close the timer comes to its period is a bench's to say; that it gets its turns at all is this test's. */
static void a_flooded_loop_has_time_for_others(void **state) {
    (void)state;
    harness_word *stop = harness_shared(sizeof *stop);
    struct flood flooded = {0};
    begin();
    assert_uv(leat_uv_receiver_open(&loop, &flooded.receiver, "flood", NULL));
    flooded.receiver.uv.data = flooded.every_ms.data = flooded.end.data = &flooded;
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
    print_message("in a second: %u ticks of 1 ms, %llu messages\n", flooded.ticks, (unsigned long long)flooded.messages);
    assert_true(flooded.ticks > 100);
    assert_true(flooded.messages > 10000);
}

/* --- Sending ------------------------------------------------------------------------------------------------------------------------ */

enum { REQUESTS = 2000 };

struct sending {
    leat_uv_sender_t sender;
    leat_uv_send_t requests[REQUESTS];
    uint32_t values[REQUESTS];
    unsigned done, cancelled, writable, came, died;
    bool inside; /* a function of the library, which must not call back */
};

static void on_sent(leat_uv_send_t *request, int status) {
    struct sending *sending = request->data;
    assert_false(sending->inside);
    if (status == UV_ECANCELED)
        sending->cancelled++;
    else {
        assert_int_equal(status, 0);
        assert_ptr_equal(request, &sending->requests[sending->done]); /* in order */
        sending->done++;
    }
}

static struct sending *open_sending(const char *name) {
    struct sending *sending = harness_shared(sizeof *sending);
    leat_channel_options small = {.capacity = LEAT_CAPACITY_MIN};
    assert_uv(leat_uv_sender_open(&loop, &sending->sender, name, &small));
    sending->sender.uv.data = sending;
    return sending;
}

static int send_request(struct sending *sending, uint32_t number) {
    sending->values[number] = number;
    sending->requests[number].data = sending;
    sending->inside = true;
    int result = leat_uv_send(&sending->requests[number], &sending->sender, &sending->values[number], sizeof sending->values[number],
                              on_sent);
    sending->inside = false;
    return result;
}

static int receive_numbers(void *context) {
    const struct stream *stream = context;
    leat_receiver *receiver = open_receiver(stream->name, NULL);
    for (uint32_t expected = stream->from; expected < stream->to; expected++) {
        uint32_t value;
        size_t size;
        assert_ok(leat_recv(receiver, &value, sizeof value, &size, LATER));
        assert_int_equal(value, expected);
    }
    if (stream->dies)
        raise(SIGKILL);
    leat_receiver_close(receiver);
    return 0;
}

static void what_is_queued_is_sent_in_order_and_flushed_on_finish(void **state) {
    (void)state;
    struct stream stream = {"queue", 0, REQUESTS, 0, false};
    begin();
    struct sending *sending = open_sending("queue");
    for (uint32_t i = 0; i < REQUESTS; i++)
        assert_uv(send_request(sending, i));
    assert_true(leat_uv_sender_queue_size(&sending->sender) > 0); /* more than the channel holds */
    assert_int_equal(sending->done, 0);
    pid_t child = harness_spawn(receive_numbers, &stream);
    closed = 0;
    leat_uv_sender_finish(&sending->sender, count_closed);
    assert_int_equal(send_request(sending, 0), UV_EINVAL);
    within_seconds("the last request");
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(sending->done, REQUESTS);
    assert_int_equal(closed, 1);
    harness_wait_ok(child);
    uv_close((uv_handle_t *)&guard, NULL);
    end();
    assert_int_equal(harness_names_left(), 0);
}

static void closing_cancels_what_is_queued(void **state) {
    (void)state;
    begin();
    struct sending *sending = open_sending("cancel");
    leat_uv_sender_set_high_water(&sending->sender, 400);
    uint32_t accepted = 0;
    while (accepted < REQUESTS && send_request(sending, accepted) == 0)
        accepted++;
    assert_in_range(leat_uv_sender_queue_size(&sending->sender), 397, 400);
    assert_int_equal(send_request(sending, accepted), UV_ENOBUFS);
    assert_int_equal(leat_uv_try_send(&sending->sender, "x", 1), UV_EAGAIN);
    closed = 0;
    leat_uv_sender_close(&sending->sender, count_closed);
    assert_int_equal(sending->cancelled, 0); /* not from inside */
    end();
    assert_int_equal(closed, 1);
    assert_int_equal(sending->cancelled, 100);
    assert_int_equal(sending->done + sending->cancelled, accepted);
}

static void on_writable(leat_uv_sender_t *sender) {
    struct sending *sending = sender->uv.data;
    sending->writable++;
    assert_uv(leat_uv_try_send(sender, "x", 1));
}

static void on_receiver(leat_uv_sender_t *sender, leat_peer peer, int status) {
    struct sending *sending = sender->uv.data;
    assert_int_equal(status, 0);
    sending->came += peer == LEAT_PEER_PRESENT;
    sending->died += peer == LEAT_PEER_DIED;
    if (peer == LEAT_PEER_DIED)
        leat_uv_sender_close(sender, NULL);
}

static int take_one_and_die(void *context) {
    harness_word *go = context;
    leat_receiver *receiver = open_receiver("room", NULL);
    char bytes[2048];
    size_t size;
    for (int i = 0; i < 3; i++)
        assert_ok(leat_recv(receiver, bytes, sizeof bytes, &size, LATER));
    harness_await(go, 1);
    raise(SIGKILL);
    return 1;
}

static void room_and_the_receiver_are_told_of(void **state) {
    (void)state;
    harness_word *go = harness_shared(sizeof *go);
    char message[1000] = {0};
    begin();
    struct sending *sending = open_sending("room");
    assert_int_equal(leat_uv_try_send(&sending->sender, message, 1 << 20), UV_EMSGSIZE);
    while (leat_uv_try_send(&sending->sender, message, sizeof message) == 0)
        ;
    assert_uv(leat_uv_sender_start(&sending->sender, on_writable, on_receiver));
    assert_int_equal(leat_uv_sender_start(&sending->sender, on_writable, on_receiver), UV_EALREADY);
    pid_t child = harness_spawn(take_one_and_die, go);
    within_seconds("room");
    while (sending->writable == 0)
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(sending->came, 1);
    harness_set(go, 1);
    uv_run(&loop, UV_RUN_DEFAULT); /* until its death is told, and the sender closes itself */
    assert_int_equal(sending->died, 1);
    harness_wait_signal(child, SIGKILL);
    uv_close((uv_handle_t *)&guard, NULL);
    end();
}

static void note_death(leat_uv_sender_t *sender, leat_peer peer, int status) {
    struct sending *sending = sender->uv.data;
    assert_int_equal(status, 0);
    sending->came += peer == LEAT_PEER_PRESENT;
    sending->died += peer == LEAT_PEER_DIED;
}

static int open_and_die(void *context) {
    open_receiver(context, NULL);
    raise(SIGKILL);
    return 1;
}

/* Whether the receiver goes after the call or has gone before it. */
static void finish_without_a_receiver(const char *name, bool gone_before) {
    begin();
    struct sending *sending = open_sending(name);
    uint32_t accepted = 0;
    do
        assert_uv(send_request(sending, accepted++));
    while (leat_uv_sender_queue_size(&sending->sender) < 400);
    assert_uv(leat_uv_sender_start(&sending->sender, NULL, note_death));
    within_seconds("the end of a sender without receiver");
    closed = 0;
    if (!gone_before)
        leat_uv_sender_finish(&sending->sender, count_closed);
    pid_t child = harness_spawn(open_and_die, (void *)(uintptr_t)name);
    harness_wait_signal(child, SIGKILL);
    while (gone_before && sending->died == 0)
        uv_run(&loop, UV_RUN_ONCE);
    if (gone_before)
        leat_uv_sender_finish(&sending->sender, count_closed);
    assert_int_equal(sending->cancelled, 0); /* not from inside */
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(closed, 1);
    assert_true(!gone_before || (sending->came == 1 && sending->died == 1)); /* in this order, however late the loop looks */
    assert_int_equal(sending->cancelled, 100);
    assert_int_equal(sending->done + sending->cancelled, accepted);
    uv_close((uv_handle_t *)&guard, NULL);
    end();
}

static void finishing_ends_when_the_receiver_goes(void **state) {
    (void)state;
    finish_without_a_receiver("goes", false);
}

static void finishing_ends_when_the_receiver_has_gone(void **state) {
    (void)state;
    finish_without_a_receiver("gone", true);
}

/* A sender that answers each callback with another message. */
struct repeating {
    leat_uv_sender_t sender;
    leat_uv_send_t request;
    leat_receiver *receiver; /* takes each message at once, if there is one */
    unsigned done, most, gone;
    char message[1000];
};

static void send_again(leat_uv_send_t *request, int status) {
    struct repeating *repeating = request->data;
    char bytes[sizeof repeating->message];
    size_t size;
    if (uv_is_closing((uv_handle_t *)&repeating->sender))
        return;
    assert_uv(status);
    if (repeating->receiver != NULL)
        assert_ok(leat_recv(repeating->receiver, bytes, sizeof bytes, &size, LEAT_NOW));
    if (++repeating->done == repeating->most)
        leat_uv_sender_close(&repeating->sender, NULL);
    else
        assert_uv(leat_uv_send(request, &repeating->sender, repeating->message, sizeof repeating->message, send_again));
}

static void on_gone(leat_uv_sender_t *sender, leat_peer peer, int status) {
    struct repeating *repeating = sender->uv.data;
    assert_int_equal(status, 0);
    repeating->gone += peer == LEAT_PEER_CLOSED;
}

static void open_repeating(struct repeating *repeating, const char *name) {
    *repeating = (struct repeating){.most = UINT32_MAX};
    assert_uv(leat_uv_sender_open(&loop, &repeating->sender, name, &(leat_channel_options){.capacity = LEAT_CAPACITY_MIN}));
    repeating->sender.uv.data = repeating;
    repeating->request.data = repeating;
    assert_uv(leat_uv_sender_start(&repeating->sender, NULL, on_gone));
}

static void a_request_made_while_news_is_told_is_told_of_too(void **state) {
    (void)state;
    static struct repeating repeating;
    char bytes[1000];
    size_t size;
    begin();
    open_repeating(&repeating, "news");
    leat_receiver *receiver = open_receiver("news", NULL);
    for (int i = 0; i < 3; i++)
        uv_run(&loop, UV_RUN_NOWAIT); /* the receiver is met */
    unsigned sent = 0;
    while (leat_uv_try_send(&repeating.sender, repeating.message, sizeof repeating.message) == 0)
        sent++;
    assert_uv(leat_uv_send(&repeating.request, &repeating.sender, repeating.message, sizeof repeating.message, send_again));
    for (; sent > 0; sent--)
        assert_ok(leat_recv(receiver, bytes, sizeof bytes, &size, LEAT_NOW));
    leat_receiver_close(receiver); /* room, and news, in one turn */
    within_seconds("the callback of a request made in a callback");
    repeating.most = 2;
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(repeating.done, 2);
    assert_int_equal(repeating.gone, 1);
    uv_close((uv_handle_t *)&guard, NULL);
    end();
}

static void stop_repeating(uv_timer_t *timer) {
    struct repeating *repeating = timer->data;
    if (++repeating->gone < 10)
        return;
    leat_uv_sender_close(&repeating->sender, NULL);
    uv_close((uv_handle_t *)timer, NULL);
}

/* The harness's limit ends it otherwise. */
static void a_sender_that_always_has_more_leaves_the_loop_time_for_others(void **state) {
    (void)state;
    static struct repeating repeating;
    uv_timer_t timer;
    begin();
    open_repeating(&repeating, "more");
    repeating.receiver = open_receiver("more", NULL);
    timer.data = &repeating;
    assert_uv(uv_timer_init(&loop, &timer));
    assert_uv(uv_timer_start(&timer, stop_repeating, 1, 1));
    assert_uv(leat_uv_send(&repeating.request, &repeating.sender, repeating.message, sizeof repeating.message, send_again));
    end();
    assert_int_equal(repeating.gone, 10);
    leat_receiver_close(repeating.receiver);
}

static void a_sender_that_starts_late_is_told_of_the_receiver_that_is_there(void **state) {
    (void)state;
    begin();
    struct sending *sending = open_sending("late");
    leat_receiver *receiver = open_receiver("late", NULL);
    for (int i = 0; i < 3; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
    assert_uv(leat_uv_sender_start(&sending->sender, NULL, on_receiver));
    within_seconds("the receiver");
    while (sending->came == 0)
        uv_run(&loop, UV_RUN_ONCE);
    leat_uv_sender_stop(&sending->sender);
    assert_uv(leat_uv_sender_start(&sending->sender, NULL, on_receiver));
    for (int i = 0; i < 3; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(sending->came, 1); /* once */
    leat_uv_sender_close(&sending->sender, NULL);
    uv_close((uv_handle_t *)&guard, NULL);
    end();
    leat_receiver_close(receiver);
}

/* Both ends in one loop: an echo that is as long as it is told to be. */
struct echo {
    leat_uv_receiver_t in;
    leat_uv_sender_t out;
    uint32_t rounds;
    struct echo *other;
};

static void on_echo(leat_uv_receiver_t *receiver, const leat_message *message) {
    struct echo *echo = receiver->uv.data;
    uint32_t value;
    memcpy(&value, message->data, sizeof value);
    if (++value < echo->rounds) {
        assert_uv(leat_uv_try_send(&echo->out, &value, sizeof value));
        return;
    }
    for (int i = 0; i < 2; i++, echo = echo->other) {
        leat_uv_receiver_close(&echo->in, NULL);
        leat_uv_sender_close(&echo->out, NULL);
    }
}

static void both_ends_may_be_in_one_loop(void **state) {
    (void)state;
    struct echo ends[2];
    begin();
    for (int i = 0; i < 2; i++) {
        ends[i].rounds = 10000;
        ends[i].other = &ends[!i];
        assert_uv(leat_uv_receiver_open(&loop, &ends[i].in, i == 0 ? "there" : "back", NULL));
        assert_uv(leat_uv_sender_open(&loop, &ends[i].out, i == 0 ? "back" : "there", NULL));
        ends[i].in.uv.data = &ends[i];
        assert_uv(leat_uv_receiver_start(&ends[i].in, on_echo, NULL));
    }
    uint32_t first = 0;
    assert_uv(leat_uv_try_send(&ends[0].out, &first, sizeof first));
    within_seconds("the last echo");
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&guard, NULL);
    end();
    assert_int_equal(harness_names_left(), 0);
}

/* --- Events, semaphores, mutexes --------------------------------------------------------------------------------------------------- */

struct waiting {
    leat_uv_waiter_t waiters[3]; /* event reset by hand, semaphore, mutex */
    leat_event *event;
    leat_semaphore *semaphore;
    leat_mutex *mutex;
    unsigned set, counted, locked, orphaned;
};

static void on_taken(leat_uv_waiter_t *waiter, int status) {
    struct waiting *waiting = waiter->uv.data;
    waiting->set += waiter == &waiting->waiters[0];
    waiting->counted += waiter == &waiting->waiters[1];
    waiting->locked += waiter == &waiting->waiters[2];
    waiting->orphaned += status == LEAT_EOWNERDEAD;
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

static void events_semaphores_and_mutexes_are_taken(void **state) {
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
    leat_waitable *objects[] = {leat_event_waitable(waiting.event), leat_semaphore_waitable(waiting.semaphore),
                                leat_mutex_waitable(waiting.mutex)};
    for (int i = 0; i < 3; i++) {
        assert_uv(leat_uv_waiter_init(&loop, &waiting.waiters[i], objects[i]));
        waiting.waiters[i].uv.data = &waiting;
        assert_uv(leat_uv_waiter_start(&waiting.waiters[i], on_taken));
        assert_int_equal(leat_uv_waiter_start(&waiting.waiters[i], on_taken), UV_EALREADY);
    }
    within_seconds("the last of them");
    harness_set(ready, 2);
    uv_run(&loop, UV_RUN_DEFAULT); /* until all have stopped */
    harness_wait_signal(child, SIGKILL);
    assert_true(waiting.set == 1 && waiting.counted == 5 && waiting.locked == 1 && waiting.orphaned == 1);
    assert_true(leat_event_is_set(waiting.event));
    for (int i = 0; i < 3; i++)
        leat_uv_close((uv_handle_t *)&waiting.waiters[i], NULL);
    uv_close((uv_handle_t *)&guard, NULL);
    end();
    assert_ok(leat_mutex_unlock(waiting.mutex));
    leat_event_close(waiting.event);
    leat_semaphore_close(waiting.semaphore);
    leat_mutex_close(waiting.mutex);
    assert_int_equal(harness_names_left(), 0);
}

/* --- Conventions -------------------------------------------------------------------------------------------------------------------- */

static void references_and_errors_are_libuvs(void **state) {
    (void)state;
    struct seen seen = {0};
    leat_uv_receiver_t receiver, second;
    leat_uv_sender_t sender;
    begin();
    assert_int_equal(leat_uv_receiver_open(&loop, &receiver, "", NULL), UV_EINVAL);
    assert_int_equal(leat_uv_receiver_open(&loop, &receiver, "none", &(leat_channel_options){.way = LEAT_OPEN}), UV_ENOENT);
    assert_int_equal(leat_uv_sender_open(&loop, &sender, "many", &(leat_channel_options){.many_senders = true}), UV_ENOTSUP);
    open_started(&receiver, "refs", &seen);
    assert_int_equal(leat_uv_receiver_open(&loop, &second, "refs", NULL), UV_EBUSY);
    assert_int_equal(leat_uv_receiver_set_budget(&receiver, 0), UV_EINVAL);
    assert_uv(leat_uv_receiver_set_budget(&receiver, 1));
    assert_true(uv_has_ref((uv_handle_t *)&receiver));
    uv_unref((uv_handle_t *)&receiver);
    uv_run(&loop, UV_RUN_DEFAULT); /* nothing holds it */
    uv_ref((uv_handle_t *)&receiver);
    assert_int_equal(uv_run(&loop, UV_RUN_NOWAIT), 1);
    assert_int_equal(leat_uv_error(LEAT_EPEERDIED), UV_ECONNRESET);
    assert_int_equal(leat_uv_error(12345), UV_UNKNOWN);
    closed = 0;
    leat_uv_close((uv_handle_t *)&receiver, count_closed);
    leat_uv_close((uv_handle_t *)&receiver, count_closed); /* closing already */
    assert_int_equal(leat_uv_receiver_start(&receiver, on_message, on_peer), UV_EINVAL);
    end();
    assert_int_equal(closed, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(messages_come_in_order_and_the_end_behind_them),
        HARNESS_TEST(a_death_is_told_behind_what_was_sent),
        HARNESS_TEST(a_sender_that_has_gone_had_come),
        HARNESS_TEST(stopping_and_closing_inside_the_callback),
        HARNESS_TEST(messages_are_handed_over_by_copy),
        HARNESS_TEST(of_a_thousand_channels_only_the_one_with_a_message_costs),
        HARNESS_TEST(a_flooded_loop_has_time_for_others),
        HARNESS_TEST(what_is_queued_is_sent_in_order_and_flushed_on_finish),
        HARNESS_TEST(closing_cancels_what_is_queued),
        HARNESS_TEST(room_and_the_receiver_are_told_of),
        HARNESS_TEST(finishing_ends_when_the_receiver_goes),
        HARNESS_TEST(finishing_ends_when_the_receiver_has_gone),
        HARNESS_TEST(a_request_made_while_news_is_told_is_told_of_too),
        HARNESS_TEST(a_sender_that_always_has_more_leaves_the_loop_time_for_others),
        HARNESS_TEST(a_sender_that_starts_late_is_told_of_the_receiver_that_is_there),
        HARNESS_TEST(both_ends_may_be_in_one_loop),
        HARNESS_TEST(events_semaphores_and_mutexes_are_taken),
        HARNESS_TEST(references_and_errors_are_libuvs),
    };
    begin(); /* the first loop of a process opens a pipe that stays */
    end();
    return HARNESS_MAIN("uv", tests);
}
