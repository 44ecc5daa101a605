/* test_uv_held.c - receivers as libuv handles that hold their messages
 * (leat_uv_receiver_start_held), in real loops, with the other end in a process of its own or in
 * the same loop; and events that find the handle stopped. The rest is in test_uv.c. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "channels/queue/receiver.h"
#include "channels/uv/loop.h"
#include "stream.h"
#include "uv_loop.h"

/* with its header a message takes one line of the ring, wherever that is: as much room as a release
 * of one makes */
enum { SIZE = 56, MOST = 5000 };

/* What a receiver got: messages, all of them until they are released, and events. */
struct story {
    leat_message messages[MOST];
    uint32_t first, next; /* of those that are held */
    uint32_t stop_at, close_at;
    unsigned came, went, died;
    int status;
    bool stops_when_it_comes, closes_when_it_goes;
};

static struct story story;
static leat_uv_receiver_t receiver;

static void send_one(leat_sender *sender, uint32_t number) {
    char message[SIZE] = {0};
    memcpy(message, &number, sizeof number);
    assert_ok(leat_send(sender, message, sizeof message, LATER));
}

/* Each held message is as it was when it was delivered. */
static void expect_whole(void) {
    for (uint32_t number = story.first; number < story.next; number++) {
        assert_int_equal(story.messages[number].size, SIZE);
        assert_memory_equal(story.messages[number].data, &number, sizeof number);
    }
    assert_int_equal(leat_uv_receiver_held(&receiver), story.next - story.first);
}

static void release(uint32_t count) {
    expect_whole();
    assert_uv(leat_uv_receiver_release(&receiver, count));
    story.first += count;
    expect_whole();
}

static void on_message(leat_uv_receiver_t *handle, const leat_message *message) {
    assert_memory_equal(message->data, &story.next, sizeof story.next);
    story.messages[story.next++] = *message;
    if (story.next == story.stop_at)
        leat_uv_receiver_stop(handle);
    if (story.next == story.close_at)
        leat_uv_close(&handle->handle, count_closed);
}

static void on_peer(leat_uv_receiver_t *handle, leat_peer peer, int status) {
    story.came += peer == LEAT_PEER_PRESENT;
    story.went += peer == LEAT_PEER_CLOSED;
    story.died += peer == LEAT_PEER_DIED;
    story.status = status;
    if (peer == LEAT_PEER_PRESENT && story.stops_when_it_comes)
        leat_uv_receiver_stop(handle);
    if ((peer == LEAT_PEER_CLOSED || peer == LEAT_PEER_DIED) && story.closes_when_it_goes)
        leat_uv_close(&handle->handle, count_closed);
}

static void start(void) {
    assert_uv(leat_uv_receiver_start_held(&receiver, on_message, on_peer));
}

static void begin_story(const char *name, uint64_t capacity) {
    begin();
    story = (struct story){0};
    closed = 0;
    within_seconds("what the test waits for");
    assert_uv(leat_uv_receiver_open(&loop, &receiver, name,
                                    &(leat_channel_options){.capacity = capacity}));
    start();
}

static void end_story(void) {
    leat_uv_close(&receiver.handle, NULL);
    uv_close((uv_handle_t *)&guard, NULL);
    end();
}

/* Runs until the loop would sleep, or end; returns how many iterations that took. A loop that spins
 * is a failure. */
static unsigned settle(void) {
    unsigned turns = 0;
    while (++turns, uv_run(&loop, UV_RUN_NOWAIT) != 0 && uv_backend_timeout(&loop) == 0)
        if (turns > 10000)
            harness_fail("the loop does not come to rest");
    return turns;
}

static void run_until(const uint32_t *what, uint32_t value) {
    while (*what < value)
        uv_run(&loop, UV_RUN_ONCE);
}

static int send_and_go(void *context) {
    const struct stream *stream = context;
    leat_sender *sender = open_sender(stream->name, NULL);
    for (uint32_t number = stream->from; number < stream->to; number++)
        send_one(sender, number);
    if (stream->dies)
        raise(SIGKILL);
    leat_sender_close(sender);
    return 0;
}

/* --- Holding ---------------------------------------------------------------------------------- */

static void held_messages_stay_whole_while_others_come(void **state) {
    (void)state;
    struct stream stream = {.name = "stay", .to = 3000};
    begin_story("stay", 0);
    pid_t child = harness_spawn(send_and_go, &stream);
    run_until(&story.next, 3000); /* many iterations of the loop */
    harness_wait_ok(child);
    expect_whole();
    assert_int_equal(leat_uv_receiver_release(&receiver, 3001), UV_EINVAL);
    expect_whole();
    release(0);
    while (story.first < 2900)
        release(100);
    struct stream more = {.name = "stay", .from = 3000, .to = 4000};
    child = harness_spawn(send_and_go, &more);
    run_until(&story.next, 4000);
    harness_wait_ok(child);
    release(1100);
    assert_int_equal(leat_uv_receiver_release(&receiver, 1), UV_EINVAL);
    leat_statistics statistics;
    leat_receiver_statistics(leat_uv_receiver_channel(&receiver), &statistics);
    assert_true(statistics.messages == 4000 && statistics.bytes == 4000 * SIZE);
    end_story();
    assert_int_equal(harness_names_left(), 0);
}

/* An event that was reported while messages are held is reported to the next receiver too, until
 * they are released. */
static void events_come_after_messages_that_are_still_held(void **state) {
    (void)state;
    begin_story("news", 0);
    for (uint32_t round = 0; round < 6; round++) {
        struct stream stream = {
            .name = "news", .from = 100 * round, .to = 100 * round + 100, .dies = round % 2 == 0};
        pid_t child = harness_spawn(send_and_go, &stream);
        if (stream.dies) {
            run_until(&story.died, round / 2 + 1);
            harness_wait_signal(child, SIGKILL);
        } else {
            run_until(&story.went, round / 2 + 1);
            harness_wait_ok(child);
        }
        assert_int_equal(story.next, stream.to);
        assert_int_equal(story.came, round + 1);
    }
    expect_whole(); /* also those whose sender was killed */
    while (story.first < story.next)
        release(story.first % 7 < story.next - story.first ? story.first % 7 + 1 : 1);
    settle();
    assert_true(story.came == 6 && story.went == 3 && story.died == 3 && story.status == 0);
    end_story();
}

static void on_message_release(leat_uv_receiver_t *handle, const leat_message *message) {
    on_message(handle, message);
    if (story.next % 3 == 0)
        release(3); /* itself included */
}

static uv_timer_t releasing;

static void on_timer_release(uv_timer_t *timer) {
    (void)timer;
    release(story.next - story.first);
}

static void held_messages_are_released_in_any_callback(void **state) {
    (void)state;
    begin_story("anywhere", 0);
    leat_uv_receiver_stop(&receiver);
    assert_uv(leat_uv_receiver_start_held(&receiver, on_message_release, on_peer));
    leat_sender *sender = open_sender("anywhere", NULL);
    for (uint32_t number = 0; number < 500; number++)
        send_one(sender, number);
    settle();
    assert_true(story.next == 500 && story.first == 498);
    assert_uv(uv_timer_init(&loop, &releasing));
    assert_uv(uv_timer_start(&releasing, on_timer_release, 0, 0));
    settle();
    assert_int_equal(story.first, 500);
    assert_ok(leat_sender_drain(sender, LEAT_NOW)); /* the sender knows */
    uv_close((uv_handle_t *)&releasing, NULL);
    leat_sender_close(sender);
    end_story();
}

/* --- Room ------------------------------------------------------------------------------------- */

static uint64_t times_named(void) {
    leat_waitset_statistics statistics;
    leat_waitset_info(receiver.handle.member->shared->waitset, &statistics);
    return statistics.ready;
}

/* The channel is full of what is held: the sender waits, and the loop sleeps, with nothing that
 * would wake it. */
static void full_channel_of_held_messages_costs_the_loop_nothing(void **state) {
    (void)state;
    struct stream stream = {.name = "brim", .to = 100};
    begin_story("brim", LEAT_CAPACITY_MIN);
    pid_t child = harness_spawn(send_and_go, &stream);
    run_until(&story.next, 60); /* of 64 lines; some are taken by marks */
    harness_await_asleep(child);
    settle();
    const uint32_t all = story.next;
    const uint64_t named = times_named();
    for (int i = 0; i < 100; i++)
        assert_int_equal(settle(), 1); /* no iteration leads to another one */
    assert_int_equal(times_named(), named);
    assert_int_equal(story.next, all);
    release(1);
    run_until(&story.next, all + 1);
    release(all);
    run_until(&story.went, 1);
    harness_wait_ok(child);
    assert_int_equal(story.next, 100);
    expect_whole();
    end_story();
}

static void count_sent(leat_uv_send_t *request, int status) {
    assert_uv(status);
    ++*(uint32_t *)request->data;
}

/* A sender that waits in a loop polls for room only when it is woken. */
static int send_as_there_is_room(void *context) {
    (void)context;
    static char messages[2000][SIZE];
    static leat_uv_send_t requests[2000];
    leat_uv_sender_t sender;
    uint32_t sent = 0;
    uv_loop_t own; /* the other one is the parent's */
    assert_uv(uv_loop_init(&own));
    assert_uv(leat_uv_sender_open(&own, &sender, "wakes", NULL));
    for (uint32_t number = 0; number < 2000; number++) {
        memcpy(messages[number], &number, sizeof number);
        requests[number].data = &sent;
        assert_uv(leat_uv_send(&requests[number], &sender, messages[number], SIZE, count_sent));
    }
    leat_uv_sender_finish(&sender, NULL);
    uv_run(&own, UV_RUN_DEFAULT);
    assert_uv(uv_loop_close(&own));
    return sent == 2000 ? 0 : 1;
}

/* Before the loop sleeps: everything was delivered, and the sender has no room. */
static void release_one(uv_prepare_t *prepare) {
    (void)prepare;
    if (uv_backend_timeout(&loop) != 0 && story.first < story.next)
        release(1);
}

static void release_wakes_a_sender_that_waits_for_room(void **state) {
    (void)state;
    uv_prepare_t prepare;
    begin_story("wakes", LEAT_CAPACITY_MIN);
    assert_uv(uv_prepare_init(&loop, &prepare));
    assert_uv(uv_prepare_start(&prepare, release_one));
    pid_t child = harness_spawn(send_as_there_is_room, NULL);
    run_until(&story.next, 2000);
    harness_wait_ok(child);
    uv_close((uv_handle_t *)&prepare, NULL);
    end_story();
}

/* --- Stopping, closing ------------------------------------------------------------------------ */

static void no_memory(leat_uv_receiver_t *handle, size_t size, uv_buf_t *buffer) {
    (void)handle, (void)size, (void)buffer;
}

static void no_copy(leat_uv_receiver_t *handle, ssize_t size, const uv_buf_t *buffer) {
    (void)handle, (void)size, (void)buffer;
}

static void held_messages_stay_held_over_a_stop(void **state) {
    (void)state;
    begin_story("stop", 0);
    leat_sender *sender = open_sender("stop", NULL);
    for (uint32_t number = 0; number < 200; number++)
        send_one(sender, number);
    story.stop_at = 10;
    uv_run(&loop, UV_RUN_DEFAULT); /* nothing is active any more */
    assert_int_equal(story.next, 10);
    release(4); /* while stopped */
    assert_int_equal(leat_uv_receiver_start(&receiver, on_message, on_peer), UV_EBUSY);
    assert_int_equal(leat_uv_receiver_start_copy(&receiver, no_memory, no_copy, on_peer), UV_EBUSY);
    start();
    assert_int_equal(leat_uv_receiver_start_held(&receiver, on_message, on_peer), UV_EALREADY);
    settle();
    assert_int_equal(story.next, 200); /* it went on behind those that are held */
    release(196);
    leat_uv_receiver_stop(&receiver);
    /* in place, as ever: released after the callback */
    assert_uv(leat_uv_receiver_start(&receiver, on_message, on_peer));
    send_one(sender, 200);
    settle();
    assert_int_equal(story.next, 201);
    assert_int_equal(leat_uv_receiver_held(&receiver), 0);
    assert_int_equal(leat_uv_receiver_release(&receiver, 1), UV_EINVAL);
    assert_ok(leat_sender_drain(sender, LEAT_NOW));
    leat_sender_close(sender);
    end_story();
}

/* After a callback has changed how messages are received, no message is delivered in the old
 * way. */
static void on_message_hold(leat_uv_receiver_t *handle, const leat_message *message) {
    on_message(handle, message);
    story.first = story.next; /* it is released when this returns */
    leat_uv_receiver_stop(handle);
    start();
}

static void receiver_can_change_how_it_receives_inside_its_callback(void **state) {
    (void)state;
    begin_story("change", 0);
    leat_uv_receiver_stop(&receiver);
    assert_uv(leat_uv_receiver_start(&receiver, on_message_hold, on_peer));
    leat_sender *sender = open_sender("change", NULL);
    for (uint32_t number = 0; number < 20; number++)
        send_one(sender, number);
    settle();
    assert_true(story.next == 20 && story.first == 1);
    expect_whole();
    assert_leat(leat_sender_drain(sender, LEAT_NOW), LEAT_EAGAIN);
    release(19);
    assert_ok(leat_sender_drain(sender, LEAT_NOW));
    leat_sender_close(sender);
    end_story();
}

static void successor_gets_what_was_held_and_not_released(void **state) {
    (void)state;
    begin_story("again", 0);
    leat_sender *sender = open_sender("again", NULL);
    for (uint32_t number = 0; number < 100; number++)
        send_one(sender, number);
    story.stop_at = 50;
    uv_run(&loop, UV_RUN_DEFAULT);
    release(20);
    story.close_at = 60;
    story.stop_at = 0;
    start();
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(closed, 1); /* it closed itself inside the callback */
    end_story();
    assert_true(leat_uv_receiver_held(&receiver) == 0 &&
                leat_uv_receiver_release(&receiver, 1) == UV_EINVAL);
    begin_story("again", 0);
    story.first = story.next = 20;
    settle();
    assert_int_equal(story.next, 100);
    release(80);
    leat_sender_close(sender);
    end_story();
}

/* --- Senders that do what no correct sender does ---------------------------------------------- */

static void corrupt(uint64_t position) {
    const leat_receiver *channel = leat_uv_receiver_channel(&receiver);
    leat__store_release64(leat__word_at(&channel->ring.memory, position),
                          leat__record_header(position, (enum leat__record_type)9, 3));
}

static void corrupt_channel_is_reported_and_held_messages_stay_readable(void **state) {
    (void)state;
    begin_story("corrupt", 0);
    leat_sender *sender = open_sender("corrupt", NULL);
    for (uint32_t number = 0; number < 10; number++)
        send_one(sender, number);
    settle();
    uint64_t behind = leat_uv_receiver_channel(&receiver)->ring.lane.position;
    send_one(sender, 10);
    corrupt(behind);
    settle();
    assert_int_equal(story.status, UV_EIO);
    assert_false(leat_uv_is_active(&receiver.handle));
    expect_whole();
    assert_int_equal(leat_uv_receiver_release(&receiver, 1), UV_EIO);
    expect_whole();
    assert_int_equal(story.next, 10);
    leat_sender_close(sender);
    end_story();
}

static void release_reports_a_sender_that_changed_held_messages(void **state) {
    (void)state;
    begin_story("changed", 0);
    leat_sender *sender = open_sender("changed", NULL);
    for (uint32_t number = 0; number < 10; number++)
        send_one(sender, number);
    settle();
    corrupt(leat__ring_oldest(&leat_uv_receiver_channel(&receiver)->ring) + 64);
    assert_int_equal(leat_uv_receiver_release(&receiver, 5), UV_EIO);
    assert_int_equal(leat_error_last(), LEAT_ECORRUPT);
    assert_int_equal(leat_uv_receiver_held(&receiver), 10);
    assert_int_equal(story.status, 0); /* no callback comes from inside the call */
    uv_run(&loop, UV_RUN_DEFAULT);     /* which ends, for the handle is stopped */
    assert_int_equal(story.status, UV_EIO);
    leat_sender_close(sender);
    end_story();
}

/* --- News for a handle that is stopped -------------------------------------------------------- */

/* One poll finds the sender's coming and its end. The first is reported, and stops the handle: the
 * second is reported after the next start. */
static void event_that_finds_the_handle_stopped_is_reported_after_the_next_start(void **state) {
    (void)state;
    for (int mode = 0; mode < 4; mode++) {
        struct stream empty = {.name = "missed", .dies = mode % 2 == 0};
        begin_story("missed", 0);
        leat_uv_receiver_stop(&receiver);
        int (*start_in_a_way)(leat_uv_receiver_t *, leat_uv_message_cb, leat_uv_peer_cb) =
            mode < 2 ? leat_uv_receiver_start : leat_uv_receiver_start_held;
        pid_t child = harness_spawn(send_and_go, &empty);
        if (empty.dies)
            harness_wait_signal(child, SIGKILL);
        else
            harness_wait_ok(child);
        story.stops_when_it_comes = true;
        assert_uv(start_in_a_way(&receiver, on_message, on_peer));
        uv_run(&loop, UV_RUN_DEFAULT); /* until the handle is stopped */
        assert_true(story.came == 1 && story.went == 0 && story.died == 0);
        story.closes_when_it_goes = true;
        assert_uv(start_in_a_way(&receiver, on_message, on_peer));
        uv_run(&loop, UV_RUN_DEFAULT); /* until it is closed */
        assert_true(story.came == 1 && story.died == empty.dies && story.went == !empty.dies);
        end_story();
    }
}

/* The first sender's coming is reported before its first message. If the handle is stopped in
 * between, that message is not held, and comes after the next start. */
static void message_behind_an_event_that_stops_the_handle_is_not_lost(void **state) {
    (void)state;
    begin_story("behind", 0);
    leat_sender *sender = open_sender("behind", NULL);
    for (uint32_t number = 0; number < 3; number++)
        send_one(sender, number);
    story.stops_when_it_comes = true;
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(story.came == 1 && story.next == 0);
    expect_whole();
    start();
    settle();
    assert_int_equal(story.next, 3);
    release(3);
    assert_int_equal(story.came, 1);
    leat_sender_close(sender);
    end_story();
}

/* --- Without a copy --------------------------------------------------------------------------- */

enum { PASSED_ON = 3000 };

struct passing {
    uv_write_t request;
    unsigned char length[4];
};

static uv_pipe_t onward;

static void on_passed(uv_write_t *request, int status) {
    assert_uv(status);
    assert_uv(leat_uv_receiver_release(&receiver, 1)); /* requests end in order */
    free(request);
    if (++story.first == PASSED_ON)
        uv_close((uv_handle_t *)&onward, NULL);
}

static void pass_on(leat_uv_receiver_t *handle, const leat_message *message) {
    (void)handle;
    struct passing *passing = malloc(sizeof *passing);
    assert_non_null(passing);
    for (int i = 0; i < 4; i++)
        passing->length[i] = (unsigned char)(message->size >> (8 * i));
    const uv_buf_t parts[] = {
        uv_buf_init((char *)passing->length, 4),
        uv_buf_init((char *)(uintptr_t)message->data, (unsigned)message->size)};
    assert_uv(uv_write(&passing->request, (uv_stream_t *)&onward, parts, 2, on_passed));
}

static int send_sizes(void *context) {
    static unsigned char bytes[3000];
    leat_sender *sender = open_sender(context, NULL);
    for (uint64_t number = 0; number < PASSED_ON; number++) {
        size_t size = stream_size(1, number, sizeof bytes);
        stream_fill(bytes, number, size);
        assert_ok(leat_send(sender, bytes, size, LATER));
    }
    leat_sender_close(sender);
    return 0;
}

static int ends[2];

static int read_sizes(void *context) {
    static unsigned char bytes[3000];
    unsigned char length[4];
    (void)context;
    close(ends[1]);
    FILE *file = fdopen(ends[0], "r");
    for (uint64_t number = 0; number < PASSED_ON; number++) {
        assert_int_equal(fread(length, 1, 4, file), 4);
        size_t size = length[0] | (size_t)length[1] << 8;
        assert_int_equal(size, stream_size(1, number, sizeof bytes));
        assert_int_equal(fread(bytes, 1, size, file), size);
        assert_true(stream_holds(bytes, number, size));
    }
    fclose(file);
    return 0;
}

/* The channel's memory goes straight into a pipe that is slower than the channel. */
static void held_messages_are_written_from_the_channels_memory(void **state) {
    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t reader = harness_spawn(read_sizes, NULL);
    close(ends[0]);
    begin_story("onward", 8192);
    leat_uv_receiver_stop(&receiver);
    assert_uv(uv_pipe_init(&loop, &onward, 0));
    assert_uv(uv_pipe_open(&onward, ends[1]));
    story.closes_when_it_goes = false;
    assert_uv(leat_uv_receiver_start_held(&receiver, pass_on, on_peer));
    pid_t child = harness_spawn(send_sizes, "onward");
    run_until(&story.first, PASSED_ON);
    harness_wait_ok(child);
    harness_wait_ok(reader);
    assert_int_equal(leat_uv_receiver_held(&receiver), 0);
    end_story();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(held_messages_stay_whole_while_others_come),
        HARNESS_TEST(events_come_after_messages_that_are_still_held),
        HARNESS_TEST(held_messages_are_released_in_any_callback),
        HARNESS_TEST(full_channel_of_held_messages_costs_the_loop_nothing),
        HARNESS_TEST(release_wakes_a_sender_that_waits_for_room),
        HARNESS_TEST(held_messages_stay_held_over_a_stop),
        HARNESS_TEST(receiver_can_change_how_it_receives_inside_its_callback),
        HARNESS_TEST(successor_gets_what_was_held_and_not_released),
        HARNESS_TEST(corrupt_channel_is_reported_and_held_messages_stay_readable),
        HARNESS_TEST(release_reports_a_sender_that_changed_held_messages),
        HARNESS_TEST(event_that_finds_the_handle_stopped_is_reported_after_the_next_start),
        HARNESS_TEST(message_behind_an_event_that_stops_the_handle_is_not_lost),
        HARNESS_TEST(held_messages_are_written_from_the_channels_memory),
    };
    begin(); /* the first loop of a process opens a pipe that stays */
    end();
    return HARNESS_MAIN("uv_held", tests);
}
