/* crash_round.c - see crash_round.h. */
#include "crash_round.h"
#include "handles.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "channel_pair.h"
#include "crash_wait.h"
#include "stream.h"

#define TOLD_MS 5000 /* a slice, of 50 ms, and the delay of a busy machine: it ends */
#define FAR_AWAY_MS 60000
/* for survivors that may get no event: the call asks the kernel before it gives up */
#define UNTOLD_MS 250
#define MESSAGE_MAX 2048

/* --- The stream ------------------------------------------------------------------------------- */

size_t crash_size(const struct crash_round *round, uint64_t number) {
    const struct crash_operation *operation = round->operation;
    bool sends = operation->survivor == CRASH_RECEIVER || operation->survivor == CRASH_CO_SENDER;
    uint64_t first_flying = sends ? operation->built : operation->taken;
    if (number >= first_flying && number < first_flying + operation->flying &&
        operation->sizes[number - first_flying] > 0)
        return operation->sizes[number - first_flying];
    return number < CRASH_LAPS_START ? CRASH_BUILT_SIZE : stream_size(7, number, 300);
}

bool crash_is(const struct crash_round *round, const leat_message *message, uint64_t number) {
    return message->size == crash_size(round, number) &&
           stream_holds(message->data, number, message->size);
}

void crash_send(struct crash_round *round, leat_sender *tx, uint64_t number) {
    unsigned char bytes[MESSAGE_MAX];
    size_t size = crash_size(round, number);
    stream_fill(bytes, number, size);
    assert_ok(leat_send(tx, bytes, size, LATER));
}

void crash_receive(struct crash_round *round, leat_receiver *rx, uint64_t number) {
    unsigned char bytes[MESSAGE_MAX];
    leat_message message = {bytes, 0};
    assert_ok(leat_recv(rx, bytes, sizeof bytes, &message.size, LATER));
    if (!crash_is(round, &message, number))
        harness_fail("a message of %zu bytes that is not number %llu", message.size,
                     (unsigned long long)number);
}

leat_channel_options crash_options(const struct crash_round *round) {
    return (leat_channel_options){.capacity = CRASH_CAPACITY,
                                  .many_senders = round->operation->survivor == CRASH_CO_SENDER,
                                  .spin_us = LEAT_SPIN_NONE};
}

static leat_sender *new_sender(struct crash_round *round) {
    leat_channel_options options = crash_options(round);
    return open_sender(round->name, &options);
}

static leat_receiver *new_receiver(struct crash_round *round) {
    leat_channel_options options = crash_options(round);
    return open_receiver(round->name, &options);
}

/* --- Bounds ----------------------------------------------------------------------------------- */

static uint64_t after_the_kill(const struct crash_round *round, unsigned ms) {
    return atomic_load(&round->board->killed_at) + (uint64_t)ms * 1000000u * harness_patience();
}

static uint64_t told_limit(const struct crash_round *round) {
    return after_the_kill(round, TOLD_MS);
}

static void tell(struct crash_round *round, int event) {
    const struct crash_operation *operation = round->operation;
    uint64_t now = harness_now();
    /* a survivor that slept may get the event before the killer has noted the time */
    harness_await(&round->board->killed, 1);
    bool allowed = event == LEAT_EPEERDIED || (event == LEAT_ECLOSED && operation->closes) ||
                   (event == LEAT_ETIMEDOUT && operation->unreported);
    if (!allowed)
        assert_leat(event, LEAT_EPEERDIED);
    if (event != LEAT_ETIMEDOUT && now > told_limit(round))
        harness_fail("told %s only after %.0f ms", leat_error_name(event),
                     (double)(now - round->board->killed_at) / 1e6);
    round->board->event = event;
    harness_set(&round->board->told, 1);
}

/* --- A receiver that survives a sender -------------------------------------------------------- */

/* The deadline of a wait that begins before the kill is far away: until then the victim makes
 * thousands of single steps. Afterwards it is the bound itself. */
static uint64_t deadline(const struct crash_round *round) {
    unsigned ms = round->operation->unreported ? UNTOLD_MS : TOLD_MS;
    return atomic_load(&round->board->killed) == 0 ? leat_in_ms(FAR_AWAY_MS * harness_patience())
                                                   : after_the_kill(round, ms);
}

/* Receives what the victim may have sent, up to the event. */
static void receive_the_rest(struct crash_round *round, uint64_t *next) {
    unsigned char bytes[MESSAGE_MAX];
    leat_message message = {bytes, 0};
    for (;;) {
        int result = crash_recv(round, bytes, sizeof bytes, &message.size, deadline(round));
        if (result == LEAT_EPEERBACK && round->operation->opens)
            continue;
        if (result != LEAT_OK) {
            tell(round, result);
            return;
        }
        if (!crash_is(round, &message, *next))
            harness_fail("a message of %zu bytes that is not number %llu", message.size,
                         (unsigned long long)*next);
        ++*next;
    }
}

/* The messages that the victim was sending are there as a whole or not at all; all of them if the
 * call had returned. */
static void check_flying(const struct crash_round *round, uint64_t next) {
    const struct crash_operation *operation = round->operation;
    bool all = next == operation->built + operation->flying, none = next == operation->built;
    if (!all && (!none || round->board->survived))
        harness_fail("%llu messages have arrived of %u and %u in flight", (unsigned long long)next,
                     operation->built, operation->flying);
}

static void receive_laps(struct crash_round *round, leat_receiver *rx, uint64_t from) {
    for (uint64_t number = from; number < CRASH_LAPS_START + CRASH_LAPS; number++)
        crash_receive(round, rx, number);
    expect_news(rx, LEAT_ECLOSED, LATER);
    expect_news(rx, LEAT_EAGAIN, LEAT_NOW);
}

static int survive_as_receiver(void *context) {
    struct crash_round *round = context;
    uint64_t next = round->operation->taken;
    round->rx = new_receiver(round);
    harness_set(&round->board->survivor_ready, 1);
    harness_await(&round->board->victim_ready, 1);
    for (uint64_t number = 0; number < round->operation->taken; number++)
        crash_receive(round, round->rx, number);
    if (round->operation->predecessor != NULL)
        expect_news(round->rx, LEAT_EPEERDIED, LATER);
    if (round->operation->loops)
        crash_enter_loop(round);
    harness_set(&round->board->survivor_ready, 2);
    if (round->operation->late)
        harness_await(&round->board->successor_ready, 1);
    else if (!round->operation->asleep)
        harness_await(&round->board->killed, 1);
    receive_the_rest(round, &next);
    crash_leave_loop(round);
    check_flying(round, next);
    harness_await(&round->board->successor_ready, 1);
    if (round->board->event != LEAT_ETIMEDOUT || round->operation->predecessor != NULL)
        expect_news(round->rx, LEAT_EPEERBACK, LATER);
    receive_laps(round, round->rx, CRASH_LAPS_START);
    leat_receiver_close(round->rx);
    return 0;
}

/* --- A receiver and another sender that survive one of many ----------------------------------- */

static int survive_as_receiver_of_many(void *context) {
    struct crash_round *round = context;
    const struct crash_operation *operation = round->operation;
    unsigned char bytes[MESSAGE_MAX];
    leat_message message = {bytes, 0};
    uint64_t next = operation->taken;
    round->rx = new_receiver(round);
    harness_set(&round->board->survivor_ready, 1);
    harness_await(&round->board->victim_ready, 1);
    for (uint64_t number = 0; number < operation->taken; number++)
        crash_receive(round, round->rx, number);
    harness_set(&round->board->survivor_ready, 2);
    harness_await(&round->board->killed, 1);
    for (;;) {
        assert_ok(leat_recv(round->rx, bytes, sizeof bytes, &message.size, LATER));
        if (crash_is(round, &message, CRASH_LAPS_START))
            break;
        if (!crash_is(round, &message, next++))
            harness_fail("a message of %zu bytes that nobody sent", message.size);
    }
    check_flying(round, next);
    receive_laps(round, round->rx, CRASH_LAPS_START + 1);
    leat_receiver_close(round->rx);
    return 0;
}

static void send_first(struct crash_round *round) {
    unsigned char bytes[MESSAGE_MAX];
    size_t size = crash_size(round, CRASH_LAPS_START);
    stream_fill(bytes, CRASH_LAPS_START, size);
    assert_ok(crash_try_send(round, bytes, size, LATER));
}

static int survive_as_co_sender(void *context) {
    struct crash_round *round = context;
    round->tx = new_sender(round);
    harness_set(&round->board->survivor_ready, 3);
    if (!round->operation->asleep)
        harness_await(&round->board->killed, 1);
    if (round->operation->loops)
        crash_enter_loop(round);
    send_first(round);
    crash_leave_loop(round);
    if (round->board->killed_at != 0 && harness_now() > told_limit(round))
        harness_fail("it took %.0f ms to get the turn",
                     (double)(harness_now() - round->board->killed_at) / 1e6);
    for (uint64_t number = 1; number < CRASH_LAPS; number++)
        crash_send(round, round->tx, CRASH_LAPS_START + number);
    leat_sender_close(round->tx);
    return 0;
}

/* --- A sender that survives a receiver -------------------------------------------------------- */

/* Sends until it gets the event; the ring fills up. */
static void send_until_told(struct crash_round *round, uint64_t *next) {
    unsigned char bytes[MESSAGE_MAX];
    for (;;) {
        size_t size = crash_size(round, *next);
        stream_fill(bytes, *next, size);
        int result = crash_try_send(round, bytes, size, deadline(round));
        if (result != LEAT_OK) {
            round->board->next = *next;
            tell(round, result);
            return;
        }
        ++*next;
    }
}

/* A successor can make some room by ending what its predecessor had begun. */
static void await_successor(struct crash_round *round, uint64_t *next) {
    unsigned char bytes[MESSAGE_MAX];
    int result;
    do {
        size_t size = crash_size(round, *next);
        stream_fill(bytes, *next, size);
        result = leat_send(round->tx, bytes, size, LATER);
        *next += result == LEAT_OK;
    } while (result == LEAT_OK);
    assert_leat(result, LEAT_EPEERBACK);
    round->board->next = *next;
}

static int survive_as_sender(void *context) {
    struct crash_round *round = context;
    uint64_t next = 0;
    round->tx = new_sender(round);
    harness_set(&round->board->survivor_ready, 1);
    while (next < round->operation->built)
        crash_send(round, round->tx, next++);
    if (round->operation->loops)
        crash_enter_loop(round);
    harness_set(&round->board->survivor_ready, 2);
    if (!round->operation->asleep)
        harness_await(&round->board->killed, 1);
    send_until_told(round, &next);
    crash_leave_loop(round);
    harness_await(&round->board->successor_ready, 1);
    /* the ring is nearly full: it has to wait, and gets the event */
    if (round->board->event != LEAT_ETIMEDOUT)
        await_successor(round, &next);
    harness_set(&round->board->told, 2);
    for (uint64_t number = 0; number < CRASH_LAPS; number++)
        crash_send(round, round->tx, CRASH_LAPS_START + number);
    leat_sender_close(round->tx);
    return 0;
}

/* The successor gets all messages that were not released, and the new ones. */
static void succeed_as_receiver(struct crash_round *round) {
    const struct crash_operation *operation = round->operation;
    leat_message message;
    leat_receiver *rx = new_receiver(round);
    harness_set(&round->board->successor_ready, 1);
    harness_await(&round->board->told, 2);
    assert_ok(leat_peek(rx, &message, LATER));
    uint64_t first = operation->taken, taken = first + operation->flying;
    if (operation->flying > 0 && crash_is(round, &message, taken))
        first = taken;
    else if (round->board->survived && operation->flying > 0)
        harness_fail("a message that was released has come again");
    if (!crash_is(round, &message, first))
        harness_fail("a message of %zu bytes that is not number %llu", message.size,
                     (unsigned long long)first);
    assert_ok(leat_release(rx, 1));
    for (uint64_t number = first + 1; number < round->board->next; number++)
        crash_receive(round, rx, number);
    receive_laps(round, rx, CRASH_LAPS_START);
    leat_receiver_close(rx);
}

static void succeed_as_sender(struct crash_round *round) {
    leat_sender *tx = new_sender(round);
    harness_set(&round->board->successor_ready, 1);
    for (uint64_t number = 0; number < CRASH_LAPS; number++)
        crash_send(round, tx, CRASH_LAPS_START + number);
    leat_sender_close(tx);
}

/* --- The victim ------------------------------------------------------------------------------- */

/* Gets the victim's handle and does its part of the building. */
static void build(struct crash_round *round) {
    const struct crash_operation *operation = round->operation;
    if (operation->survivor == CRASH_SENDER) {
        round->rx = new_receiver(round);
        harness_set(&round->board->victim_ready, 1);
        for (uint64_t number = 0; number < operation->taken; number++)
            crash_receive(round, round->rx, number);
    } else {
        round->tx = new_sender(round);
        harness_set(&round->board->victim_ready, 1);
        for (uint64_t number = 0; number < operation->built; number++)
            crash_send(round, round->tx, number);
    }
}

static int be_the_victim(void *context) {
    struct crash_round *round = context;
    const struct crash_operation *operation = round->operation;
    if (!operation->opens && operation->survivor != CRASH_NOBODY)
        build(round);
    harness_set(&round->board->victim_ready, 1);
    if (operation->survivor != CRASH_NOBODY)
        harness_await(&round->board->survivor_ready,
                      operation->survivor == CRASH_CO_SENDER && !operation->asleep ? 3 : 2);
    if (operation->prepare != NULL)
        operation->prepare(round);
    harness_set(&round->board->victim_ready, 2);
    crash_stop_here();
    atomic_store(&round->board->phase, CRASH_DURING);
    operation->perform(round);
    atomic_store(&round->board->phase, CRASH_BEHIND);
    while (pause() < 0)
        ;
    return 1;
}

/* --- The round -------------------------------------------------------------------------------- */

static pid_t start(int (*run)(void *), struct crash_round *round, harness_word *word,
                   uint32_t value) {
    pid_t pid = harness_spawn(run, round);
    harness_await(word, value);
    return pid;
}

static void run_predecessor(struct crash_round *round) {
    pid_t pid = harness_spawn(round->operation->predecessor, round);
    harness_wait_signal(pid, SIGKILL);
}

/* Steps and kills, when the processes that shall sleep are asleep. */
static bool kill_the_victim(struct crash_round *round, pid_t victim, pid_t sleeper,
                            unsigned kill_at, struct crash_survey *survey) {
    if (round->operation->asleep)
        harness_await_asleep(sleeper);
    bool before = crash_step(victim, &round->board->phase, round->path, kill_at, survey);
    round->board->survived = !before;
    round->board->killed_at = harness_now();
    harness_set(&round->board->killed, 1);
    return before;
}

bool crash_round_run(struct crash_round *round, unsigned kill_at, struct crash_survey *survey) {
    static int (*const survivors[])(void *) = {
        [CRASH_RECEIVER] = survive_as_receiver,
        [CRASH_SENDER] = survive_as_sender,
        [CRASH_CO_SENDER] = survive_as_receiver_of_many,
    };
    const struct crash_operation *operation = round->operation;
    struct crash_board *board = round->board;
    memset(board, 0, sizeof *board);
    pid_t survivor = 0, co_sender = 0;
    if (operation->survivor != CRASH_NOBODY)
        survivor = start(survivors[operation->survivor], round, &board->survivor_ready, 1);
    if (operation->predecessor != NULL)
        run_predecessor(round);
    pid_t victim = start(be_the_victim, round, &board->victim_ready, 1);
    if (operation->survivor == CRASH_CO_SENDER) {
        harness_await(&board->survivor_ready, 2);
        if (operation->asleep)
            harness_await(&board->victim_ready, 2);
        co_sender = start(survive_as_co_sender, round, &board->survivor_ready, 3);
    }
    crash_await_stop(victim);
    bool before =
        kill_the_victim(round, victim, co_sender != 0 ? co_sender : survivor, kill_at, survey);
    if (survivor != 0 && co_sender == 0 && !operation->late)
        harness_await(&board->told, 1);
    if (operation->survivor == CRASH_RECEIVER)
        succeed_as_sender(round);
    else if (operation->survivor == CRASH_SENDER)
        succeed_as_receiver(round);
    else if (operation->survivor == CRASH_NOBODY)
        operation->check(round);
    if (co_sender != 0)
        harness_wait_ok(co_sender);
    if (survivor != 0)
        harness_wait_ok(survivor);
    if (access(round->path, F_OK) == 0)
        harness_fail("the name %s is left", round->name);
    return before;
}

void crash_check_fresh(struct crash_round *round) {
    leat_receiver *rx = new_receiver(round);
    assert_true(receiver_created(rx));
    leat_sender *tx = new_sender(round);
    for (uint64_t number = 0; number < CRASH_LAPS; number++) {
        crash_send(round, tx, number);
        crash_receive(round, rx, number);
    }
    leat_sender_close(tx);
    expect_news(rx, LEAT_ECLOSED, LATER);
    leat_receiver_close(rx);
}
