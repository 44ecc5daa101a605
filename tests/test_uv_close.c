/* test_uv_close.c - the ends of leat's handles in libuv loops (leat/uv.h): by leat_uv_close, and by
 * a program that closes whatever uv_walk shows. Each test has a loop with a receiver, a sender with
 * queued requests and a waiter. The loop is allocated, so that the address sanitizer finds each use
 * of one that is gone; the harness finds descriptors and names that are left. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "uv_loop.h"

enum { KINDS = 3, REQUESTS = 40 };

/* --- A loop with every kind of handle --------------------------------------------------------- */

struct bundle {
    uv_loop_t *loop;
    leat_uv_receiver_t *receiver;
    leat_uv_sender_t *sender;
    leat_uv_waiter_t *waiter;
    leat_uv_handle_t *handles[KINDS];
    leat_sender *to_receiver;
    leat_semaphore *semaphore;
    leat_uv_send_t requests[REQUESTS];
    unsigned received, taken, sent, cancelled, closed;
};

static struct bundle bundle;

static void on_message(leat_uv_receiver_t *receiver, const leat_message *message) {
    (void)receiver, (void)message;
    bundle.received++;
}

static void on_taken(leat_uv_waiter_t *waiter, int status) {
    (void)waiter;
    assert_uv(status);
    bundle.taken++;
}

static void on_sent(leat_uv_send_t *request, int status) {
    (void)request;
    bundle.sent += status == 0;
    bundle.cancelled += status == UV_ECANCELED;
}

/* The memory is the program's again: it is freed at once. */
static void on_closed(leat_uv_handle_t *handle) {
    assert_true(leat_uv_is_closing(handle));
    for (int i = 0; i < KINDS; i++)
        if (bundle.handles[i] == handle)
            bundle.handles[i] = NULL;
    bundle.closed++;
    free(handle);
}

static void *allocate(size_t size) {
    void *memory = malloc(size);
    assert_non_null(memory);
    memset(memory, 0xa5, size); /* init must not depend on what is there */
    return memory;
}

static void open_all(void) {
    const leat_channel_options small = {.capacity = LEAT_CAPACITY_MIN};
    bundle.receiver = allocate(sizeof *bundle.receiver);
    bundle.sender = allocate(sizeof *bundle.sender);
    bundle.waiter = allocate(sizeof *bundle.waiter);
    assert_ok(leat_semaphore_open(&bundle.semaphore, "close-semaphore", 0, 10, NULL));
    assert_uv(leat_uv_receiver_open(bundle.loop, bundle.receiver, "close-in", NULL));
    assert_uv(leat_uv_sender_open(bundle.loop, bundle.sender, "close-out", &small));
    assert_uv(
        leat_uv_waiter_init(bundle.loop, bundle.waiter, leat_semaphore_waitable(bundle.semaphore)));
    bundle.handles[0] = &bundle.receiver->handle;
    bundle.handles[1] = &bundle.sender->handle;
    bundle.handles[2] = &bundle.waiter->handle;
    bundle.to_receiver = open_sender("close-in", NULL);
}

static void start_all(void) {
    static const char message[100];
    assert_uv(leat_uv_receiver_start(bundle.receiver, on_message, NULL));
    assert_uv(leat_uv_sender_start(bundle.sender, NULL, NULL));
    assert_uv(leat_uv_waiter_start(bundle.waiter, on_taken));
    for (int i = 0; i < REQUESTS; i++)
        assert_uv(
            leat_uv_send(&bundle.requests[i], bundle.sender, message, sizeof message, on_sent));
    assert_true(leat_uv_sender_queue_size(bundle.sender) > 0);
}

/* One message and one count: each handle works. */
static void use_all(void) {
    const unsigned received = bundle.received, taken = bundle.taken;
    assert_ok(leat_send(bundle.to_receiver, "x", 1, LEAT_NOW));
    assert_ok(leat_semaphore_release(bundle.semaphore, 1, NULL));
    while (bundle.received == received || bundle.taken == taken)
        uv_run(bundle.loop, UV_RUN_ONCE);
    assert_true(bundle.received == received + 1 && bundle.taken == taken + 1);
}

static void begin_all(void) {
    bundle = (struct bundle){.loop = allocate(sizeof *bundle.loop)};
    assert_uv(uv_loop_init(bundle.loop));
    open_all();
    start_all();
    use_all();
    for (int i = 0; i < KINDS; i++)
        assert_true(leat_uv_is_active(bundle.handles[i]));
}

static void on_last_timer(uv_timer_t *timer) {
    uv_close((uv_handle_t *)timer, NULL);
}

/* Runs the loop at least once, with everything that libuv has in it. */
static void end_loop(void) {
    uv_timer_t timer;
    assert_uv(uv_timer_init(bundle.loop, &timer));
    assert_uv(uv_timer_start(&timer, on_last_timer, 1, 0));
    assert_int_equal(uv_run(bundle.loop, UV_RUN_DEFAULT), 0);
    assert_uv(uv_loop_close(bundle.loop));
    free(bundle.loop);
    bundle.loop = NULL;
}

/* Every handle called back, once, and every request. */
static void end_all(void) {
    assert_int_equal(bundle.closed, KINDS);
    assert_int_equal(bundle.sent + bundle.cancelled, REQUESTS);
    leat_sender_close(bundle.to_receiver);
    leat_semaphore_close(bundle.semaphore);
    assert_int_equal(harness_names_left(), 0);
}

/* --- Who closes, and when --------------------------------------------------------------------- */

static void close_leat(leat_uv_handle_t *handle, void *context) {
    (void)context;
    leat_uv_close(handle, on_closed);
}

/* The six orders. */
static void close_in_order(unsigned order) {
    static const unsigned char orders[6][KINDS] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                                   {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    leat_uv_handle_t *handles[KINDS];
    memcpy(handles, bundle.handles, sizeof handles);
    for (int i = 0; i < KINDS; i++)
        if (handles[orders[order][i]] != NULL)
            leat_uv_close(handles[orders[order][i]], on_closed);
}

static uv_close_cb plain_callback;

static void close_plainly(uv_handle_t *handle, void *context) {
    (void)context;
    if (!uv_is_closing(handle))
        uv_close(handle, plain_callback);
}

static void walk_plainly(uv_close_cb callback) {
    plain_callback = callback;
    uv_walk(bundle.loop, close_plainly, NULL);
}

static void leat_uv_close_ends_every_kind_in_every_order(void **state) {
    (void)state;
    for (unsigned order = 0; order < 6; order++) {
        begin_all();
        close_in_order(order);
        close_in_order(order);                                 /* closing already: nothing */
        assert_int_equal(bundle.closed + bundle.cancelled, 0); /* not from inside */
        for (int i = 0; i < KINDS; i++)
            assert_true(leat_uv_is_closing(bundle.handles[i]) &&
                        !leat_uv_is_active(bundle.handles[i]));
        end_loop();
        end_all();
    }
}

/* libuv is done with all that leat closes in one pass, as with its own handles. */
static void leat_uv_close_needs_one_turn_of_the_loop(void **state) {
    (void)state;
    begin_all();
    leat_uv_walk(bundle.loop, close_leat, NULL);
    assert_int_equal(uv_run(bundle.loop, UV_RUN_NOWAIT), 0);
    assert_int_equal(bundle.closed, KINDS);
    end_loop();
    end_all();
}

static void uv_walk_before_leat_uv_close_is_safe(void **state) {
    (void)state;
    for (unsigned order = 0; order < 6; order++) {
        begin_all();
        walk_plainly(NULL);
        close_in_order(order);
        assert_int_equal(bundle.closed, 0); /* the loop is there to call back */
        end_loop();
        end_all();
    }
}

static void uv_walk_after_leat_uv_close_is_safe(void **state) {
    (void)state;
    for (unsigned order = 0; order < 6; order++) {
        begin_all();
        close_in_order(order);
        walk_plainly(NULL);
        end_loop();
        end_all();
    }
}

/* The loop has been closed and freed: what would touch it is found. */
static void leat_uv_close_after_the_loop_is_gone_is_safe(void **state) {
    (void)state;
    for (unsigned order = 0; order < 6; order++) {
        begin_all();
        walk_plainly(NULL);
        end_loop();
        assert_int_equal(bundle.closed, 0);
        close_in_order(order);
        end_all();
    }
}

static unsigned plainly_closed;

static void close_one_more(uv_handle_t *handle) {
    assert_non_null(handle->loop);
    if (plainly_closed < KINDS)
        leat_uv_close(bundle.handles[plainly_closed], on_closed);
    plainly_closed++;
}

static void close_everything(uv_handle_t *handle) {
    (void)handle;
    plainly_closed++;
    close_in_order(0);
}

static void leat_uv_close_in_the_callback_of_a_plain_close_is_safe(void **state) {
    (void)state;
    static const uv_close_cb callbacks[] = {close_one_more, close_everything};
    for (int i = 0; i < 2; i++) {
        begin_all();
        plainly_closed = 0;
        walk_plainly(callbacks[i]);
        end_loop();
        assert_int_equal(plainly_closed, 3); /* two polls, one idle handle */
        end_all();
    }
}

/* Some before the walk, some after it, some when the loop is gone. */
static void leat_uv_close_may_be_spread_over_time(void **state) {
    (void)state;
    for (int first = 0; first < KINDS; first++) {
        begin_all();
        leat_uv_close(bundle.handles[first], on_closed);
        walk_plainly(NULL);
        leat_uv_close(bundle.handles[(first + 1) % KINDS], on_closed);
        end_loop();
        assert_int_equal(bundle.closed, 2);
        leat_uv_close(bundle.handles[(first + 2) % KINDS], on_closed);
        end_all();
    }
}

/* --- A loop that was cut ---------------------------------------------------------------------- */

static void functions_report_that_the_program_closed_libuvs_handles(void **state) {
    (void)state;
    leat_uv_send_t request;
    begin_all();
    walk_plainly(NULL);
    for (int i = 0; i < KINDS; i++)
        assert_true(!leat_uv_is_active(bundle.handles[i]) &&
                    !leat_uv_is_closing(bundle.handles[i]));
    leat_uv_unref(bundle.handles[0]);
    leat_uv_ref(bundle.handles[0]);
    assert_true(leat_uv_has_ref(bundle.handles[0]));
    leat_uv_receiver_stop(bundle.receiver);
    leat_uv_sender_stop(bundle.sender);
    leat_uv_waiter_stop(bundle.waiter);
    assert_int_equal(leat_uv_receiver_start(bundle.receiver, on_message, NULL), UV_EINVAL);
    assert_int_equal(leat_uv_sender_start(bundle.sender, NULL, NULL), UV_EINVAL);
    assert_int_equal(leat_uv_waiter_start(bundle.waiter, on_taken), UV_EINVAL);
    assert_int_equal(leat_uv_try_send(bundle.sender, "x", 1), UV_EINVAL);
    assert_int_equal(leat_uv_send(&request, bundle.sender, "x", 1, NULL), UV_EINVAL);
    leat_uv_sender_finish(bundle.sender, on_closed); /* cannot be sent: closes */
    assert_true(leat_uv_is_closing(bundle.handles[1]));
    close_in_order(0);
    end_loop();
    end_all();
}

static uv_handle_type only_type;

static void close_of_type(uv_handle_t *handle, void *context) {
    (void)context;
    if (handle->type == only_type && !uv_is_closing(handle))
        uv_close(handle, NULL);
}

/* The rest of the three is closed in the loop's next iteration, or by leat_uv_close. */
static void closing_some_of_libuvs_handles_is_safe(void **state) {
    (void)state;
    static const uv_handle_type types[] = {UV_POLL, UV_IDLE};
    for (int i = 0; i < 4; i++) {
        begin_all();
        only_type = types[i % 2];
        uv_walk(bundle.loop, close_of_type, NULL);
        if (i >= 2) {
            assert_ok(leat_send(bundle.to_receiver, "x", 1, LEAT_NOW));
            uv_run(bundle.loop, UV_RUN_NOWAIT);
            assert_int_equal(bundle.received, 1); /* nothing more */
        }
        close_in_order(0);
        end_loop();
        end_all();
    }
}

static void walk_on_message(leat_uv_receiver_t *receiver, const leat_message *message) {
    on_message(receiver, message);
    if (bundle.received == 2)
        walk_plainly(NULL);
}

/* A callback cuts the loop: its batch ends, and the second of two does not begin. */
static void uv_walk_inside_a_callback_is_safe(void **state) {
    (void)state;
    begin_all();
    leat_uv_receiver_stop(bundle.receiver);
    assert_uv(leat_uv_receiver_set_budget(bundle.receiver, 4));
    assert_uv(leat_uv_receiver_start(bundle.receiver, walk_on_message, NULL));
    for (int i = 0; i < 20; i++)
        assert_ok(leat_send(bundle.to_receiver, "x", 1, LEAT_NOW));
    assert_int_equal(uv_run(bundle.loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(bundle.received, 1 + 4);
    close_in_order(0);
    end_loop();
    end_all();
}

static void walk_on_peer(leat_uv_sender_t *sender, leat_peer peer, int status) {
    (void)sender, (void)peer;
    assert_uv(status);
    walk_plainly(NULL);
}

/* There is room for what is queued, which is sent: its callbacks come with the close. */
static void uv_walk_inside_a_senders_callback_is_safe(void **state) {
    (void)state;
    begin_all();
    leat_uv_sender_stop(bundle.sender);
    assert_uv(leat_uv_sender_start(bundle.sender, NULL, walk_on_peer));
    use_all(); /* whole iterations, so that the next one finds the receiver */
    leat_receiver *receiver = open_receiver("close-out", NULL);
    assert_true(empty_out(receiver) > 0);
    assert_int_equal(uv_run(bundle.loop, UV_RUN_DEFAULT), 0);
    const unsigned sent = bundle.sent;
    close_in_order(0);
    end_loop();
    assert_true(bundle.sent > sent);
    leat_receiver_close(receiver);
    end_all();
}

static void handles_made_after_a_cut_work(void **state) {
    (void)state;
    leat_uv_receiver_t fresh;
    begin_all();
    walk_plainly(NULL);
    assert_uv(leat_uv_receiver_open(bundle.loop, &fresh, "close-fresh", NULL));
    assert_uv(leat_uv_receiver_start(&fresh, on_message, NULL));
    leat_sender *sender = open_sender("close-fresh", NULL);
    assert_ok(leat_send(sender, "x", 1, LEAT_NOW));
    while (bundle.received == 1)
        uv_run(bundle.loop, UV_RUN_ONCE);
    close_in_order(0);
    leat_uv_close(&fresh.handle, NULL);
    end_loop();
    leat_sender_close(sender);
    end_all();
}

/* --- libuv ------------------------------------------------------------------------------------ */

static void count_handle(uv_handle_t *handle, void *context) {
    assert_false(uv_is_closing(handle));
    assert_true(handle->type == UV_POLL || handle->type == UV_IDLE);
    ++*(unsigned *)context;
}

static void count_leat_handle(leat_uv_handle_t *handle, void *context) {
    assert_ptr_equal(handle->loop, bundle.loop);
    ++*(unsigned *)context;
}

/* As the header says, however many handles the program has. */
static void uv_walk_meets_three_handles_and_leat_uv_walk_leats(void **state) {
    (void)state;
    unsigned count = 0, leat = 0;
    begin_all();
    uv_walk(bundle.loop, count_handle, &count);
    leat_uv_walk(bundle.loop, count_leat_handle, &leat);
    assert_true(count == 3 && leat == KINDS);
    leat_uv_close(bundle.handles[1], on_closed);
    leat_uv_walk(bundle.loop, count_leat_handle, &leat);
    assert_int_equal(leat, 2 * KINDS - 1);
    close_in_order(0);
    leat_uv_walk(bundle.loop, count_leat_handle, &leat);
    assert_int_equal(leat, 2 * KINDS - 1);
    end_loop();
    end_all();
}

static void close_all_but_itself(leat_uv_handle_t *handle, void *context) {
    ++*(unsigned *)context;
    for (int i = 0; i < KINDS; i++)
        if (bundle.handles[i] != handle)
            leat_uv_close(bundle.handles[i], on_closed);
}

static void leat_uv_walk_allows_to_close_any_handle(void **state) {
    (void)state;
    unsigned count = 0;
    begin_all();
    leat_uv_walk(bundle.loop, close_all_but_itself, &count);
    assert_int_equal(count, 1);
    close_in_order(0);
    end_loop();
    end_all();
}

/* leat_uv sees by this bit of the flags that libuv is done with a handle. */
static void libuv_marks_a_handle_that_it_is_done_with(void **state) {
    (void)state;
    static const unsigned done = 0x2u;
    uv_idle_t idle;
    begin();
    assert_uv(uv_idle_init(&loop, &idle));
    assert_int_equal(idle.flags & done, 0);
    uv_close((uv_handle_t *)&idle, NULL);
    assert_int_equal(idle.flags & done, 0);
    end();
    assert_int_equal(idle.flags & done, done);
}

static void references_keep_the_loop_running_while_one_is_active(void **state) {
    (void)state;
    begin_all();
    for (int i = 0; i < KINDS; i++) {
        assert_int_equal(uv_run(bundle.loop, UV_RUN_NOWAIT), 1);
        leat_uv_unref(bundle.handles[i]);
        leat_uv_unref(bundle.handles[i]); /* the last call counts */
        assert_false(leat_uv_has_ref(bundle.handles[i]));
        assert_true(leat_uv_is_active(bundle.handles[i]));
    }
    assert_int_equal(uv_run(bundle.loop, UV_RUN_NOWAIT), 0);
    leat_uv_ref(bundle.handles[2]);
    assert_int_equal(uv_run(bundle.loop, UV_RUN_NOWAIT), 1);
    leat_uv_waiter_stop(bundle.waiter);
    assert_int_equal(uv_run(bundle.loop, UV_RUN_NOWAIT), 0);
    close_in_order(0);
    end_loop();
    end_all();
}

static void handles_that_failed_to_open_need_no_close(void **state) {
    (void)state;
    leat_uv_receiver_t receiver;
    leat_uv_sender_t sender;
    leat_uv_waiter_t waiter;
    begin();
    assert_int_equal(leat_uv_receiver_open(&loop, &receiver, "", NULL), UV_EINVAL);
    assert_int_equal(leat_uv_sender_open(&loop, &sender, "", NULL), UV_EINVAL);
    assert_int_equal(leat_uv_waiter_init(&loop, &waiter, NULL), UV_EINVAL);
    assert_true(leat_uv_is_closing(&receiver.handle) && leat_uv_is_closing(&sender.handle));
    leat_uv_close(&receiver.handle, count_closed);
    leat_uv_close(&sender.handle, count_closed);
    end();
    assert_int_equal(closed, 0);
}

/* libuv is not compiled with the sanitizer, which does not see what libuv does with memory that is
 * free. Overwritten, it makes libuv fail. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);

const char *__asan_default_options(void) {
    return "max_free_fill_size=65536:free_fill_byte=165";
}

int main(void) {
    mallopt(M_PERTURB, 165); /* the same without the sanitizer */
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(leat_uv_close_ends_every_kind_in_every_order),
        HARNESS_TEST(leat_uv_close_needs_one_turn_of_the_loop),
        HARNESS_TEST(uv_walk_before_leat_uv_close_is_safe),
        HARNESS_TEST(uv_walk_after_leat_uv_close_is_safe),
        HARNESS_TEST(leat_uv_close_after_the_loop_is_gone_is_safe),
        HARNESS_TEST(leat_uv_close_in_the_callback_of_a_plain_close_is_safe),
        HARNESS_TEST(leat_uv_close_may_be_spread_over_time),
        HARNESS_TEST(functions_report_that_the_program_closed_libuvs_handles),
        HARNESS_TEST(closing_some_of_libuvs_handles_is_safe),
        HARNESS_TEST(uv_walk_inside_a_callback_is_safe),
        HARNESS_TEST(uv_walk_inside_a_senders_callback_is_safe),
        HARNESS_TEST(handles_made_after_a_cut_work),
        HARNESS_TEST(uv_walk_meets_three_handles_and_leat_uv_walk_leats),
        HARNESS_TEST(leat_uv_walk_allows_to_close_any_handle),
        HARNESS_TEST(libuv_marks_a_handle_that_it_is_done_with),
        HARNESS_TEST(references_keep_the_loop_running_while_one_is_active),
        HARNESS_TEST(handles_that_failed_to_open_need_no_close),
    };
    begin(); /* the first loop of a process opens a pipe that stays */
    end();
    return HARNESS_MAIN("uv_close", tests);
}
