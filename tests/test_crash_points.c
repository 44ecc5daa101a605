/* test_crash_points.c - kill -9 at every point of every operation where it makes a difference
 * (tests/crash_step.h lists them). Survivors and successors find everything as promised
 * (tests/crash_round.h has the promises):
 *   - what was committed is intact, in order, once; what was in flight is there whole or not at
 *     all, a batch as a whole;
 *   - the survivor gets one event, in time; it never hangs and never gets LEAT_ECORRUPT;
 *   - a successor takes the role over and traffic goes on, several times round the ring;
 *   - no name is left.
 * LEAT_CRASH_ONLY=word runs the operations whose name contains the word. tests/model/mutate.sh
 * proves that it notices: it breaks the library in one line and requires that this fails. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "channel_pair.h"
#include "channels/queue/sender.h"
#include "crash_round.h"
#include "crash_wait.h"
#include "handles.h"
#include "stream.h"

/* rounds mostly wait for slices to end, unless each step takes its time */
#define WORKERS (HARNESS_SANITIZED ? 3 : 6)

/* --- Sending ---------------------------------------------------------------------------------- */

static void perform_send(struct crash_round *round) {
    crash_send(round, round->tx, round->operation->built);
}

/* Opens the fast path (leat/inline.h) for what follows: a call on the slow path does so. */
static void open_fast_path(struct crash_round *round) {
    void *place;
    leat__sender_flush(round->tx); /* so that the next one is an eighth of the ring away */
    assert_ok(leat__ring_refresh(&round->tx->ring));
    assert_ok(leat_reserve(round->tx, 8, &place, LEAT_NOW));
    leat_abort(round->tx);
    assert_true(round->tx->ring.lane.fast_limit > round->tx->ring.lane.position);
}

/* And without a fence. */
static void prepare_hot(struct crash_round *round) {
    leat__sender_heat_up(round->tx);
    assert_true(round->tx->hot);
    open_fast_path(round);
    assert_true(round->tx->ring.lane.fast_limit >=
                round->tx->ring.lane.position + leat__slot_size(round->operation->sizes[0]));
}

static unsigned char batch_bytes[CRASH_FLYING_MAX][2048];
static leat_message batch[CRASH_FLYING_MAX];

static void prepare_batch(struct crash_round *round) {
    for (unsigned i = 0; i < round->operation->flying; i++) {
        uint64_t number = round->operation->built + i;
        batch[i] = (leat_message){batch_bytes[i], crash_size(round, number)};
        stream_fill(batch_bytes[i], number, batch[i].size);
    }
    open_fast_path(round);
}

static void perform_send_many(struct crash_round *round) {
    size_t sent;
    assert_ok(leat_send_many(round->tx, batch, round->operation->flying, &sent, LEAT_NOW));
    assert_int_equal(sent, round->operation->flying);
}

/* More than is committed is reserved, and written to the last byte. */
static void *reserve_and_write(struct crash_round *round) {
    void *place;
    assert_ok(leat_reserve(round->tx, 1000, &place, LEAT_NOW));
    memset(place, 0xA5, 1000);
    return place;
}

static void perform_commit_shorter(struct crash_round *round) {
    void *place = reserve_and_write(round);
    size_t size = crash_size(round, round->operation->built);
    stream_fill(place, round->operation->built, size);
    assert_ok(leat_commit(round->tx, size));
}

static void perform_abort(struct crash_round *round) {
    reserve_and_write(round);
    leat_abort(round->tx);
}

/* The ring is full: the sender arms, sleeps and gives up. */
static void perform_wait_for_room(struct crash_round *round) {
    char bytes[500] = "";
    assert_leat(leat_send(round->tx, bytes, sizeof bytes, leat_in_ms(3)), LEAT_ETIMEDOUT);
}

/* --- Receiving -------------------------------------------------------------------------------- */

static void perform_recv(struct crash_round *round) {
    crash_receive(round, round->rx, round->operation->taken);
}

static void perform_recv_many(struct crash_round *round) {
    static unsigned char buffer[4096];
    leat_message messages[CRASH_FLYING_MAX];
    size_t amount;
    assert_ok(leat_recv_many(round->rx, buffer, sizeof buffer, messages, round->operation->flying,
                             &amount, LEAT_NOW));
    assert_int_equal(amount, round->operation->flying);
}

static void perform_peek_and_release(struct crash_round *round) {
    leat_message messages[CRASH_FLYING_MAX];
    size_t amount;
    assert_ok(leat_peek_many(round->rx, messages, CRASH_FLYING_MAX, &amount, LEAT_NOW));
    assert_true(amount > round->operation->flying);
    assert_ok(leat_release(round->rx, round->operation->flying));
}

static void perform_peek_only(struct crash_round *round) {
    leat_message message;
    assert_ok(leat_peek(round->rx, &message, LEAT_NOW));
}

/* Takes everything there is, before it stops; then finds nothing, sleeps and gives up. */
static void perform_wait_for_message(struct crash_round *round) {
    expect_news(round->rx, LEAT_ETIMEDOUT, leat_in_ms(3));
}

/* --- Coming and leaving ----------------------------------------------------------------------- */

static void perform_sender_open(struct crash_round *round) {
    leat_channel_options options = crash_options(round);
    round->tx = open_sender(round->name, &options);
}

static void perform_sender_close(struct crash_round *round) {
    leat_sender_close(round->tx);
}

static void perform_receiver_open(struct crash_round *round) {
    leat_channel_options options = crash_options(round);
    round->rx = open_receiver(round->name, &options);
}

static void perform_receiver_close(struct crash_round *round) {
    leat_receiver_close(round->rx);
}

static void prepare_lonely_sender(struct crash_round *round) {
    perform_sender_open(round);
    crash_send(round, round->tx, 0);
}

/* A sender that dies with a message begun, whose bytes cover the starts of many lines. */
static int die_in_the_middle_of_sending(void *context) {
    struct crash_round *round = context;
    perform_sender_open(round);
    for (uint64_t number = 0; number < round->operation->built; number++)
        crash_send(round, round->tx, number);
    reserve_and_write(round);
    raise(SIGKILL);
    return 0;
}

/* A receiver that dies with peeked messages. */
static int die_in_the_middle_of_receiving(void *context) {
    struct crash_round *round = context;
    leat_message message;
    perform_receiver_open(round);
    for (uint64_t number = 0; number < round->operation->taken; number++)
        crash_receive(round, round->rx, number);
    assert_ok(leat_peek(round->rx, &message, LATER));
    raise(SIGKILL);
    return 0;
}

static leat_channel_options persistent_options(void) {
    return (leat_channel_options){
        .capacity = CRASH_CAPACITY, .persistent = true, .spin_us = LEAT_SPIN_NONE};
}

static void perform_create_persistent(struct crash_round *round) {
    leat_channel_options options = persistent_options();
    round->tx = open_sender(round->name, &options);
}

/* It is there or not; when it is, it works, and stays. */
static void check_persistent(struct crash_round *round) {
    leat_channel_options options = persistent_options();
    leat_sender *tx = open_sender(round->name, &options);
    leat_receiver *rx = open_receiver(round->name, &options);
    for (uint64_t number = 0; number < CRASH_LAPS; number++) {
        unsigned char byte = (unsigned char)number, got = 0;
        size_t size;
        assert_ok(leat_send(tx, &byte, 1, LEAT_NOW));
        int result = leat_recv(rx, &got, 1, &size, LATER);
        if (number == 0 && result == LEAT_EPEERDIED) { /* the dead process had begun a stream */
            assert_leat(leat_recv(rx, &got, 1, &size, LATER), LEAT_EPEERBACK);
            result = leat_recv(rx, &got, 1, &size, LATER);
        }
        assert_ok(result);
        assert_int_equal(got, byte);
    }
    leat_sender_close(tx);
    leat_receiver_close(rx);
    assert_ok(leat_unlink(round->name, LEAT_LOCAL));
}

/* --- Many senders ----------------------------------------------------------------------------- */

static void prepare_turn(struct crash_round *round) {
    void *place;
    assert_ok(leat_reserve(round->tx, 1000, &place, LEAT_NOW));
    stream_fill(place, round->operation->built, crash_size(round, round->operation->built));
}

static void perform_commit(struct crash_round *round) {
    assert_ok(leat_commit(round->tx, crash_size(round, round->operation->built)));
}

/* --- In event loops --------------------------------------------------------------------------- */

/* Arms there, sleeps, and gives up. */
static void perform_wait_for_message_in_a_loop(struct crash_round *round) {
    unsigned char byte;
    size_t size;
    assert_leat(crash_recv(round, &byte, 1, &size, leat_in_ms(3)), LEAT_ETIMEDOUT);
}

static void perform_wait_for_room_in_a_loop(struct crash_round *round) {
    char bytes[500] = "";
    assert_leat(crash_try_send(round, bytes, sizeof bytes, leat_in_ms(3)), LEAT_ETIMEDOUT);
}

/* --- Regions ---------------------------------------------------------------------------------- */

static void perform_region_create(struct crash_round *round) {
    assert_ok(create_region(&round->region, round->name, CRASH_CAPACITY, NULL));
}

static void perform_region_close(struct crash_round *round) {
    leat_region_close(round->region);
}

static void check_region(struct crash_round *round) {
    leat_region *region;
    /* the dead process's object is stale */
    assert_ok(create_region(&region, round->name, CRASH_CAPACITY, NULL));
    for (size_t i = 0; i < CRASH_CAPACITY; i++)
        assert_int_equal(((char *)leat_region_data(region))[i], 0);
    leat_region_close(region);
}

/* --- The table -------------------------------------------------------------------------------- */

#define SENDING .survivor = CRASH_RECEIVER
#define RECEIVING .survivor = CRASH_SENDER
#define SHARING .survivor = CRASH_CO_SENDER
#define ALONE .survivor = CRASH_NOBODY
#define BATCH                                                                                      \
    .prepare = prepare_batch, .perform = perform_send_many, .flying = 6,                           \
    .sizes = {8, 24, 100, 9, 300, 56}

static const struct crash_operation operations[] = {
    {"send 16", SENDING, .perform = perform_send, .built = 5, .taken = 2, .flying = 1,
     .sizes = {8}},
    {"hot: send 16", SENDING, .prepare = prepare_hot, .perform = perform_send, .built = 5,
     .taken = 2, .flying = 1, .sizes = {8}},
    {"hot: send lines", SENDING, .prepare = prepare_hot, .perform = perform_send, .built = 70,
     .taken = 65, .flying = 1, .sizes = {300}},
    {"hot: send to a sleeper", SENDING, .prepare = prepare_hot, .perform = perform_send, .built = 3,
     .taken = 3, .flying = 1, .sizes = {24}, .asleep = true},
    {"send 16, seen late", SENDING, .perform = perform_send, .built = 5, .taken = 2, .flying = 1,
     .sizes = {8}, .late = true},
    {"send 32", SENDING, .perform = perform_send, .built = 5, .taken = 2, .flying = 1,
     .sizes = {24}},
    {"send lines", SENDING, .perform = perform_send, .built = 5, .taken = 5, .flying = 1,
     .sizes = {500}},
    {"send lines, seen late", SENDING, .perform = perform_send, .built = 5, .taken = 2, .flying = 1,
     .sizes = {500}, .late = true},
    {"send long", SENDING, .perform = perform_send, .built = 5, .taken = 2, .flying = 1,
     .sizes = {900}},
    {"send over used lines", SENDING, .perform = perform_send, .built = 70, .taken = 70,
     .flying = 1, .sizes = {500}},
    {"send with a pad before the end", SENDING, .perform = perform_send, .built = 59, .taken = 55,
     .flying = 1, .sizes = {500}},
    {"send a batch", SENDING, BATCH, .built = 60, .taken = 60},
    {"send a batch, seen late", SENDING, BATCH, .built = 20, .taken = 20, .late = true},
    {"send a long batch", SENDING, .prepare = prepare_batch, .perform = perform_send_many,
     .built = 60, .taken = 60, .flying = 4, .sizes = {600, 8, 100, 700}},
    {"reserve and commit less", SENDING, .perform = perform_commit_shorter, .built = 5, .taken = 2,
     .flying = 1, .sizes = {30}},
    {"reserve and abort", SENDING, .perform = perform_abort, .built = 5, .taken = 2},
    {"send to a sleeper", SENDING, .perform = perform_send, .built = 3, .taken = 3, .flying = 1,
     .sizes = {24}, .asleep = true},
    {"wait for room", SENDING, .perform = perform_wait_for_room, .built = 60},

    {"recv", RECEIVING, .perform = perform_recv, .built = 20, .taken = 3, .flying = 1},
    {"recv lines", RECEIVING, .perform = perform_recv, .built = 20, .taken = 3, .flying = 1,
     .sizes = {500}},
    {"recv long", RECEIVING, .perform = perform_recv, .built = 20, .taken = 3, .flying = 1,
     .sizes = {900}},
    {"recv a batch", RECEIVING, .perform = perform_recv_many, .built = 20, .taken = 3, .flying = 5,
     .sizes = {8, 24, 100, 0, 300}},
    {"recv with a sleeping sender", RECEIVING, .perform = perform_recv_many, .built = 20,
     .taken = 1, .flying = 12, .asleep = true},
    {"peek and release", RECEIVING, .perform = perform_peek_and_release, .built = 20, .taken = 1,
     .flying = 4, .sizes = {9, 100, 16, 200}},
    {"peek", RECEIVING, .perform = perform_peek_only, .built = 20, .taken = 1},
    {"wait for a message", RECEIVING, .perform = perform_wait_for_message, .built = 3, .taken = 3},

    {"sender open", SENDING, .perform = perform_sender_open, .opens = true, .unreported = true},
    {"sender open after a crash", SENDING, .perform = perform_sender_open,
     .predecessor = die_in_the_middle_of_sending, .built = 5, .taken = 5, .opens = true,
     .unreported = true},
    {"sender close", SENDING, .perform = perform_sender_close, .built = 5, .taken = 2,
     .closes = true},
    {"sender close in a reservation", SENDING, .prepare = prepare_turn,
     .perform = perform_sender_close, .built = 5, .taken = 2, .closes = true},
    {"sender close as the last user", ALONE, .prepare = prepare_lonely_sender,
     .perform = perform_sender_close, .check = crash_check_fresh},
    {"receiver open", RECEIVING, .perform = perform_receiver_open, .built = 20, .opens = true,
     .unreported = true},
    {"receiver open after a crash", RECEIVING, .perform = perform_receiver_open,
     .predecessor = die_in_the_middle_of_receiving, .built = 20, .taken = 4, .opens = true,
     .unreported = true},
    {"receiver close", RECEIVING, .perform = perform_receiver_close, .built = 20, .taken = 3,
     .closes = true},
    {"receiver close as the last user", ALONE, .prepare = perform_receiver_open,
     .perform = perform_receiver_close, .check = crash_check_fresh},
    {"create as sender", ALONE, .perform = perform_sender_open, .check = crash_check_fresh},
    {"create as receiver", ALONE, .perform = perform_receiver_open, .check = crash_check_fresh},
    {"create to stay", ALONE, .perform = perform_create_persistent, .check = check_persistent},

    {"many: send", SHARING, .perform = perform_send, .built = 5, .taken = 2, .flying = 1,
     .sizes = {300}},
    {"many: commit while another waits", SHARING, .prepare = prepare_turn,
     .perform = perform_commit, .built = 5, .taken = 2, .flying = 1, .sizes = {30}, .asleep = true},
    {"many: open beside another", SHARING, .perform = perform_sender_open, .opens = true},
    {"many: close beside another", SHARING, .perform = perform_sender_close, .built = 5,
     .taken = 2},

    {"loop: send 16", SENDING, .perform = perform_send, .built = 5, .taken = 2, .flying = 1,
     .sizes = {8}, .loops = true},
    {"loop: send to a sleeper", SENDING, .perform = perform_send, .built = 3, .taken = 3,
     .flying = 1, .sizes = {24}, .asleep = true, .loops = true},
    {"loop: hot: send to a sleeper", SENDING, .prepare = prepare_hot, .perform = perform_send,
     .built = 3, .taken = 3, .flying = 1, .sizes = {24}, .asleep = true, .loops = true},
    {"loop: sender close", SENDING, .perform = perform_sender_close, .built = 3, .taken = 3,
     .closes = true, .asleep = true, .loops = true},
    {"loop: recv with a sleeping sender", RECEIVING, .perform = perform_recv_many, .built = 20,
     .taken = 1, .flying = 12, .asleep = true, .loops = true},
    {"loop: receiver close", RECEIVING, .perform = perform_receiver_close, .built = 20, .taken = 3,
     .closes = true, .asleep = true, .loops = true},
    {"loop: wait for a message", RECEIVING, .prepare = crash_enter_loop,
     .perform = perform_wait_for_message_in_a_loop, .built = 3, .taken = 3},
    {"loop: wait for room", SENDING, .prepare = crash_enter_loop,
     .perform = perform_wait_for_room_in_a_loop, .built = 60},
    {"loop: many: send", SHARING, .perform = perform_send, .built = 5, .taken = 2, .flying = 1,
     .sizes = {300}, .loops = true},
    {"loop: many: commit while another waits", SHARING, .prepare = prepare_turn,
     .perform = perform_commit, .built = 5, .taken = 2, .flying = 1, .sizes = {30}, .asleep = true,
     .loops = true},
    {"loop: many: wait for room", SHARING, .prepare = crash_enter_loop,
     .perform = perform_wait_for_room_in_a_loop, .built = 60, .loops = true},

    {"region create", ALONE, .perform = perform_region_create, .check = check_region},
    {"region close as the last user", ALONE, .prepare = perform_region_create,
     .perform = perform_region_close, .check = check_region},
};

/* its rounds: each single step is two system calls, and a sanitizer triples their number */
#define WORKER_MS 400000

/* --- All rounds of an operation --------------------------------------------------------------- */

struct worker {
    struct crash_round round;
    unsigned first, points;
    unsigned running; /* the point of the current round, for the message */
};

static struct worker *current;

static void say_where(int signal_number) {
    char text[200];
    int length = snprintf(text, sizeof text, "in the round \"%s\", killed behind event %u of %u\n",
                          current->round.operation->name, current->running, current->points - 1);
    ssize_t ignored = write(STDERR_FILENO, text, (size_t)length);
    (void)ignored;
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static int work(void *context) {
    struct worker *worker = current = context;
    signal(SIGABRT, say_where);
    for (worker->running = worker->first; worker->running < worker->points;
         worker->running += WORKERS)
        crash_round_run(&worker->round, worker->running, NULL);
    return 0;
}

static int survey(void *context) {
    struct crash_survey *found = context;
    signal(SIGABRT, say_where);
    crash_round_run(&current->round, UINT32_MAX, found);
    return 0;
}

static struct worker new_worker(const struct crash_operation *operation, struct crash_board *board,
                                unsigned number) {
    struct worker worker = {.round = {.operation = operation, .board = board}, .first = number};
    snprintf(worker.round.name, sizeof worker.round.name, "crash%u", number);
    snprintf(worker.round.path, sizeof worker.round.path, "%s/%s", harness_directory(),
             worker.round.name);
    return worker;
}

static void run_operation(const struct crash_operation *operation, struct crash_board *boards,
                          struct crash_survey *found) {
    uint64_t started = harness_now();
    struct worker workers[WORKERS];
    pid_t pids[WORKERS];
    workers[0] = new_worker(operation, &boards[0], 0);
    current = &workers[0];
    harness_wait_ok(harness_spawn(survey, found));
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = new_worker(operation, &boards[i], i);
        workers[i].points = found->events + 1;
        pids[i] = harness_spawn(work, &workers[i]);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        int status = harness_wait_within(pids[i], WORKER_MS);
        if (status != 0)
            harness_fail("\"%s\" does not survive every kill", operation->name);
    }
    print_message("%-34s %4u kills, %4u images, %3u system calls, %6u steps, %4.1f s\n",
                  operation->name, found->events + 1, found->images, found->calls, found->steps,
                  (double)(harness_now() - started) / 1e9);
}

static void kill_at_any_point_harms_nobody(void **state) {
    (void)state;
    if (!crash_can_step())
        skip();
    const char *only = getenv("LEAT_CRASH_ONLY");
    struct crash_board *boards = harness_shared(WORKERS * sizeof *boards);
    struct crash_survey *found = harness_shared(sizeof *found);
    unsigned kills = 0, images = 0, count = 0;
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        if (only != NULL && strstr(operations[i].name, only) == NULL)
            continue;
        run_operation(&operations[i], boards, found);
        kills += found->events + 1;
        images += found->images;
        count++;
    }
    assert_true(count > 0);
    assert_ok(leat_gc(LEAT_LOCAL, NULL, NULL)); /* victims' wait sets */
    assert_int_equal(harness_names_left(), 0);
    print_message("%u operations, %u kills, %u images\n", count, kills, images);
}

int main(void) {
    if (HARNESS_SANITIZED) /* a round of an opening is up to 70,000 steps */
        setenv("LEAT_TEST_PATIENCE", "6", 0);
    const struct CMUnitTest tests[] = {
        HARNESS_TEST_WITHIN(kill_at_any_point_harms_nobody, 880),
    };
    return HARNESS_MAIN("crash_points", tests);
}
