/* test_uv_send.c - senders as libuv handles (leat/uv.h): queues, back-pressure, the receiver's
 * coming and leaving, stops and starts, and both ends in one loop. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "channels/queue/receiver.h"
#include "uv_loop.h"

/* --- Sending ---------------------------------------------------------------------------------- */

enum { REQUESTS = 2000 };

struct sending {
    leat_uv_sender_t sender;
    leat_uv_send_t requests[REQUESTS];
    uint32_t values[REQUESTS];
    unsigned done, cancelled, writable, came, went, died;
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
    sending->sender.handle.data = sending;
    return sending;
}

static int send_request(struct sending *sending, uint32_t number) {
    sending->values[number] = number;
    sending->requests[number].data = sending;
    sending->inside = true;
    int result = leat_uv_send(&sending->requests[number], &sending->sender,
                              &sending->values[number], sizeof sending->values[number], on_sent);
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

static void queued_requests_are_sent_in_order_before_finish_closes(void **state) {
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

/* Two loops' senders and one that waits in calls share a small channel. */
struct shared_channel {
    harness_word here;
};

static int send_numbers_with_others(void *context) {
    struct shared_channel *shared = context;
    leat_channel_options options = {.capacity = LEAT_CAPACITY_MIN, .many_senders = true};
    begin();
    struct sending *sending = harness_shared(sizeof *sending);
    assert_uv(leat_uv_sender_open(&loop, &sending->sender, "others", &options));
    sending->sender.handle.data = sending;
    harness_increment(&shared->here);
    for (uint32_t i = 0; i < REQUESTS; i++)
        assert_uv(send_request(sending, i));
    leat_uv_sender_finish(&sending->sender, NULL);
    within_seconds("the last request");
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(sending->done, REQUESTS);
    uv_close((uv_handle_t *)&guard, NULL);
    end();
    return 0;
}

static int call_with_others(void *context) {
    struct shared_channel *shared = context;
    leat_sender *sender = open_sender("others", &(leat_channel_options){.many_senders = true});
    harness_increment(&shared->here);
    for (uint32_t i = 0; i < REQUESTS; i++)
        assert_ok(leat_send(sender, &i, sizeof i, LATER));
    leat_sender_close(sender);
    return 0;
}

static void many_senders_queue_as_one_does(void **state) {
    (void)state;
    struct shared_channel *shared = harness_shared(sizeof *shared);
    leat_receiver *receiver =
        open_receiver("others", &(leat_channel_options){.capacity = LEAT_CAPACITY_MIN});
    pid_t children[] = {harness_spawn(send_numbers_with_others, shared),
                        harness_spawn(send_numbers_with_others, shared),
                        harness_spawn(call_with_others, shared)};
    harness_await(&shared->here, 3); /* so that the stream ends once */
    uint64_t count = 0, sum = 0;
    uint32_t value;
    size_t size;
    int result;
    for (; (result = leat_recv(receiver, &value, sizeof value, &size, LATER)) == LEAT_OK; count++)
        sum += value;
    assert_leat(result, LEAT_ECLOSED);
    assert_int_equal(count, 3 * REQUESTS);
    assert_int_equal(sum, 3 * (uint64_t)REQUESTS * (REQUESTS - 1) / 2);
    for (size_t i = 0; i < sizeof children / sizeof *children; i++)
        harness_wait_ok(children[i]);
    leat_receiver_close(receiver);
}

static void close_cancels_queued_requests(void **state) {
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
    leat_uv_close(&sending->sender.handle, count_closed);
    assert_int_equal(sending->cancelled, 0); /* not from inside */
    end();
    assert_int_equal(closed, 1);
    assert_int_equal(sending->cancelled, 100);
    assert_int_equal(sending->done + sending->cancelled, accepted);
}

static void count_corrupt(leat_uv_send_t *request, int status) {
    assert_int_equal(status, UV_EIO);
    ++*(unsigned *)request->data;
}

static void requests_in_a_corrupt_channel_end_with_uv_eio(void **state) {
    (void)state;
    static const char message[1000];
    unsigned corrupt = 0;
    leat_uv_send_t request = {.data = &corrupt};
    begin();
    struct sending *sending = open_sending("corrupt");
    leat_receiver *receiver = open_receiver("corrupt", NULL);
    while (leat_uv_try_send(&sending->sender, message, sizeof message) == 0)
        ;
    leat__store_relaxed64(&receiver->ring.memory.receiver->released, 7); /* inside a record */
    assert_uv(leat_uv_send(&request, &sending->sender, message, sizeof message, count_corrupt));
    assert_int_equal(corrupt, 0); /* not from inside */
    within_seconds("the request's callback");
    while (corrupt == 0)
        uv_run(&loop, UV_RUN_ONCE);
    leat_uv_close(&sending->sender.handle, NULL);
    uv_close((uv_handle_t *)&guard, NULL);
    end();
    leat_receiver_close(receiver);
}

static void on_writable(leat_uv_sender_t *sender) {
    struct sending *sending = sender->handle.data;
    sending->writable++;
    assert_uv(leat_uv_try_send(sender, "x", 1));
}

static void on_receiver(leat_uv_sender_t *sender, leat_peer peer, int status) {
    struct sending *sending = sender->handle.data;
    assert_int_equal(status, 0);
    sending->came += peer == LEAT_PEER_PRESENT;
    sending->died += peer == LEAT_PEER_DIED;
    if (peer == LEAT_PEER_DIED)
        leat_uv_close(&sender->handle, NULL);
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

static void sender_reports_room_and_the_receiver(void **state) {
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
    uv_run(&loop, UV_RUN_DEFAULT); /* until its death is reported, and the sender closes itself */
    assert_int_equal(sending->died, 1);
    harness_wait_signal(child, SIGKILL);
    uv_close((uv_handle_t *)&guard, NULL);
    end();
}

static void note_receiver(leat_uv_sender_t *sender, leat_peer peer, int status) {
    struct sending *sending = sender->handle.data;
    assert_int_equal(status, 0);
    sending->came += peer == LEAT_PEER_PRESENT;
    sending->went += peer == LEAT_PEER_CLOSED;
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
    assert_uv(leat_uv_sender_start(&sending->sender, NULL, note_receiver));
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
    /* in this order, however late the loop polls */
    assert_true(!gone_before || (sending->came == 1 && sending->died == 1));
    assert_int_equal(sending->cancelled, 100);
    assert_int_equal(sending->done + sending->cancelled, accepted);
    uv_close((uv_handle_t *)&guard, NULL);
    end();
}

static void finish_ends_when_the_receiver_goes(void **state) {
    (void)state;
    finish_without_a_receiver("goes", false);
}

static void finish_ends_when_the_receiver_has_gone(void **state) {
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
    if (leat_uv_is_closing(&repeating->sender.handle))
        return;
    assert_uv(status);
    if (repeating->receiver != NULL)
        assert_ok(leat_recv(repeating->receiver, bytes, sizeof bytes, &size, LEAT_NOW));
    if (++repeating->done == repeating->most)
        leat_uv_close(&repeating->sender.handle, NULL);
    else
        assert_uv(leat_uv_send(request, &repeating->sender, repeating->message,
                               sizeof repeating->message, send_again));
}

static void on_gone(leat_uv_sender_t *sender, leat_peer peer, int status) {
    struct repeating *repeating = sender->handle.data;
    assert_int_equal(status, 0);
    repeating->gone += peer == LEAT_PEER_CLOSED;
}

static void open_repeating(struct repeating *repeating, const char *name) {
    *repeating = (struct repeating){.most = UINT32_MAX};
    assert_uv(leat_uv_sender_open(&loop, &repeating->sender, name,
                                  &(leat_channel_options){.capacity = LEAT_CAPACITY_MIN}));
    repeating->sender.handle.data = repeating;
    repeating->request.data = repeating;
    assert_uv(leat_uv_sender_start(&repeating->sender, NULL, on_gone));
}

static void request_made_in_a_callback_is_reported(void **state) {
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
    assert_uv(leat_uv_send(&repeating.request, &repeating.sender, repeating.message,
                           sizeof repeating.message, send_again));
    for (; sent > 0; sent--)
        assert_ok(leat_recv(receiver, bytes, sizeof bytes, &size, LEAT_NOW));
    leat_receiver_close(receiver); /* room, and an event, in one iteration */
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
    leat_uv_close(&repeating->sender.handle, NULL);
    uv_close((uv_handle_t *)timer, NULL);
}

/* The harness's limit ends it otherwise. */
static void busy_sender_leaves_the_loop_time_for_others(void **state) {
    (void)state;
    static struct repeating repeating;
    uv_timer_t timer;
    begin();
    open_repeating(&repeating, "more");
    repeating.receiver = open_receiver("more", NULL);
    timer.data = &repeating;
    assert_uv(uv_timer_init(&loop, &timer));
    assert_uv(uv_timer_start(&timer, stop_repeating, 1, 1));
    assert_uv(leat_uv_send(&repeating.request, &repeating.sender, repeating.message,
                           sizeof repeating.message, send_again));
    end();
    assert_int_equal(repeating.gone, 10);
    leat_receiver_close(repeating.receiver);
}

static void late_start_reports_the_receiver_that_is_there(void **state) {
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
    leat_uv_close(&sending->sender.handle, NULL);
    uv_close((uv_handle_t *)&guard, NULL);
    end();
    leat_receiver_close(receiver);
}

/* --- Starting again --------------------------------------------------------------------------- */

static void turn_until(const unsigned *count, unsigned value) {
    while (*count < value)
        uv_run(&loop, UV_RUN_ONCE);
}

static void end_sending(struct sending *sending, leat_receiver *receiver) {
    leat_uv_close(&sending->sender.handle, NULL);
    uv_close((uv_handle_t *)&guard, NULL);
    end();
    leat_receiver_close(receiver);
    assert_int_equal(harness_names_left(), 0);
}

static void receiver_that_came_during_a_stop_is_reported_after_the_start(void **state) {
    (void)state;
    begin();
    struct sending *sending = open_sending("again");
    leat_receiver *receiver = NULL;
    within_seconds("the receiver");
    for (unsigned round = 1; round <= 3; round++) {
        assert_uv(leat_uv_sender_start(&sending->sender, on_writable, note_receiver));
        /* the first comes meanwhile */
        receiver = receiver != NULL ? receiver : open_receiver("again", NULL);
        turn_until(&sending->came, round);
        turn_until_quiet();
        leat_receiver_close(receiver);
        turn_until(&sending->went, round);
        turn_until_quiet();
        assert_true(sending->came == round && sending->went == round && sending->died == 0);
        leat_uv_sender_stop(&sending->sender);
        receiver = open_receiver("again", NULL);
        turn_until_quiet();
        assert_int_equal(sending->came, round);
    }
    end_sending(sending, receiver);
}

static void room_that_came_during_a_stop_is_reported_after_the_start(void **state) {
    (void)state;
    static const char message[100];
    begin();
    struct sending *sending = open_sending("stops");
    leat_receiver *receiver = open_receiver("stops", NULL);
    within_seconds("room");
    for (unsigned round = 1; round <= 3; round++) { /* the first time it has not been started yet */
        while (leat_uv_try_send(&sending->sender, message, sizeof message) == 0)
            ;
        leat_uv_sender_stop(&sending->sender);
        turn_until_quiet();
        empty_out(receiver);
        turn_until_quiet();
        assert_int_equal(sending->writable, round - 1);
        assert_uv(leat_uv_sender_start(&sending->sender, on_writable, NULL));
        turn_until(&sending->writable, round);
        turn_until_quiet();
        assert_int_equal(sending->writable, round); /* once */
    }
    end_sending(sending, receiver);
}

/* --- Both ends in one loop -------------------------------------------------------------------- */

/* A long queue that there is room for, and a receiver that must not wait for all of it. */
struct neighbours {
    struct sending *sending;
    leat_receiver *taker; /* of the sends */
    leat_uv_receiver_t receiver;
    size_t sent_before, messages;
};

static void look_what_was_sent(leat_uv_receiver_t *receiver, const leat_message *message) {
    struct neighbours *neighbours = receiver->handle.data;
    (void)message;
    if (neighbours->messages++ == 0)
        neighbours->sent_before = empty_out(neighbours->taker);
}

static void queue_sends_that_have_room(struct neighbours *neighbours) {
    for (uint32_t i = 0; leat_uv_sender_queue_size(&neighbours->sending->sender) < 150 * sizeof i;
         i++)
        assert_uv(send_request(neighbours->sending, i));
    assert_true(empty_out(neighbours->taker) > 128);
}

static void long_queue_does_not_keep_others_waiting(void **state) {
    (void)state;
    struct neighbours neighbours = {0};
    begin();
    neighbours.sending = open_sending("queued");
    neighbours.taker = open_receiver("queued", NULL);
    assert_uv(leat_uv_receiver_open(&loop, &neighbours.receiver, "neighbour", NULL));
    neighbours.receiver.handle.data = &neighbours;
    assert_uv(leat_uv_receiver_start(&neighbours.receiver, look_what_was_sent, NULL));
    leat_sender *sender = open_sender("neighbour", NULL);
    queue_sends_that_have_room(&neighbours);
    for (int i = 0; i < 10; i++)
        assert_ok(leat_send(sender, "x", 1, LEAT_NOW));
    within_seconds("the last request");
    while (neighbours.messages < 10 || leat_uv_sender_queue_size(&neighbours.sending->sender) > 0)
        uv_run(&loop, UV_RUN_ONCE);
    assert_in_range(neighbours.sent_before, 1, 64); /* the sender was there first */
    leat_uv_close(&neighbours.receiver.handle, NULL);
    leat_sender_close(sender);
    end_sending(neighbours.sending, neighbours.taker);
}

/* An echo of a given length. */
struct echo {
    leat_uv_receiver_t in;
    leat_uv_sender_t out;
    uint32_t rounds;
    struct echo *other;
};

static void on_echo(leat_uv_receiver_t *receiver, const leat_message *message) {
    struct echo *echo = receiver->handle.data;
    uint32_t value;
    memcpy(&value, message->data, sizeof value);
    if (++value < echo->rounds) {
        assert_uv(leat_uv_try_send(&echo->out, &value, sizeof value));
        return;
    }
    for (int i = 0; i < 2; i++, echo = echo->other) {
        leat_uv_close(&echo->in.handle, NULL);
        leat_uv_close(&echo->out.handle, NULL);
    }
}

static void sender_and_receiver_may_share_a_loop(void **state) {
    (void)state;
    struct echo ends[2];
    begin();
    for (int i = 0; i < 2; i++) {
        ends[i].rounds = 10000;
        ends[i].other = &ends[!i];
        assert_uv(leat_uv_receiver_open(&loop, &ends[i].in, i == 0 ? "there" : "back", NULL));
        assert_uv(leat_uv_sender_open(&loop, &ends[i].out, i == 0 ? "back" : "there", NULL));
        ends[i].in.handle.data = &ends[i];
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

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(queued_requests_are_sent_in_order_before_finish_closes),
        HARNESS_TEST(many_senders_queue_as_one_does),
        HARNESS_TEST(close_cancels_queued_requests),
        HARNESS_TEST(requests_in_a_corrupt_channel_end_with_uv_eio),
        HARNESS_TEST(sender_reports_room_and_the_receiver),
        HARNESS_TEST(finish_ends_when_the_receiver_goes),
        HARNESS_TEST(finish_ends_when_the_receiver_has_gone),
        HARNESS_TEST(request_made_in_a_callback_is_reported),
        HARNESS_TEST(busy_sender_leaves_the_loop_time_for_others),
        HARNESS_TEST(late_start_reports_the_receiver_that_is_there),
        HARNESS_TEST(receiver_that_came_during_a_stop_is_reported_after_the_start),
        HARNESS_TEST(room_that_came_during_a_stop_is_reported_after_the_start),
        HARNESS_TEST(long_queue_does_not_keep_others_waiting),
        HARNESS_TEST(sender_and_receiver_may_share_a_loop),
    };
    begin(); /* the first loop of a process opens a pipe that stays */
    end();
    return HARNESS_MAIN("uv_send", tests);
}
