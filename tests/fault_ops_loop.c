/* fault_ops_loop.c - operations of event loops: the wait set and what is in it. See fault.h. */
#include "fault_ops.h"

#include <poll.h>
#include <string.h>

/* Of the process that runs: none of these is shared. */
static leat_waitset *waitset;
static leat_receiver *receiver;
static leat_sender *sender;
static leat_event *event;
static void *found;
static const leat_channel_options small = {.capacity = LEAT_CAPACITY_MIN},
                                  sleeps = {.capacity = LEAT_CAPACITY_MIN,
                                            .spin_us = LEAT_SPIN_NONE};

static void close_all(void) {
    leat_receiver_close(receiver);
    leat_sender_close(sender);
    leat_event_close(event);
    leat_waitset_close(waitset != UNTOUCHED ? waitset : NULL);
    waitset = NULL;
    receiver = NULL;
    sender = NULL;
    event = NULL;
}

static void forget(void) {
    waitset = UNTOUCHED;
}

static int open_waitset(void) {
    return leat_waitset_open(&waitset);
}

static void judge_waitset(int code) {
    fault_judge_pointer(code, waitset);
}

static int close_waitset(void) {
    leat_waitset_close(waitset);
    waitset = NULL;
    return LEAT_OK;
}

/* --- The bystander ---------------------------------------------------------------------------- */

static void hold_sender(void) {
    fault_ready(leat_sender_open(&sender, NAME, &small));
    fault_remember();
}

static void hold_receiver(void) {
    fault_ready(leat_receiver_open(&receiver, NAME, &small));
    fault_remember();
}

static void look_as_sender(enum fault_moment moment, int code) {
    (void)code;
    leat_receiver *second;
    fault_check_same();
    leat_peer peer = leat_sender_peer(sender);
    if (moment == FAULT_WORKER_HAS && peer != LEAT_PEER_PRESENT)
        fault_found(FAULT_CALLED_DEAD, "leat_sender_peer gives %d", (int)peer);
    int got = leat_receiver_open(&second, NAME, &small);
    if (got != (moment == FAULT_WORKER_HAS ? LEAT_EBUSY : LEAT_OK))
        fault_found(moment == FAULT_WORKER_HAS ? FAULT_TWO_HOLDERS : FAULT_HELD_UP,
                    "another receiver gets %s", leat_error_name(got));
    if (got == LEAT_OK)
        leat_receiver_close(second);
}

static void look_as_receiver(enum fault_moment moment, int code) {
    (void)code;
    leat_sender *second;
    fault_check_same();
    leat_peer peer = leat_receiver_peer(receiver);
    if (moment == FAULT_WORKER_HAS && peer != LEAT_PEER_PRESENT)
        fault_found(FAULT_CALLED_DEAD, "leat_receiver_peer gives %d", (int)peer);
    int got = leat_sender_open(&second, NAME, &small);
    if (got != (moment == FAULT_WORKER_HAS ? LEAT_EBUSY : LEAT_OK))
        fault_found(moment == FAULT_WORKER_HAS ? FAULT_TWO_HOLDERS : FAULT_HELD_UP,
                    "another sender gets %s", leat_error_name(got));
    if (got == LEAT_OK)
        leat_sender_close(second);
}

/* --- Adding ----------------------------------------------------------------------------------- */

static void prepare_receiver(void) {
    fault_ready(leat_waitset_open(&waitset));
    fault_ready(leat_receiver_open(&receiver, NAME, &sleeps));
}

static void prepare_sender(void) {
    fault_ready(leat_waitset_open(&waitset));
    fault_ready(leat_sender_open(&sender, NAME, &sleeps));
}

static void prepare_event(void) {
    fault_ready(leat_waitset_open(&waitset));
    fault_ready(leat_event_open(&event, "event", NULL));
}

static int add_receiver(void) {
    return leat_waitset_add_receiver(waitset, receiver, receiver);
}

static int add_sender(void) {
    return leat_waitset_add_sender(waitset, sender, sender);
}

static int add_event(void) {
    return leat_waitset_add_waitable(waitset, leat_event_waitable(event), event);
}

/* Whether it was added or not, the handle works. */
static void judge_receiver(int code) {
    size_t size;
    char bytes[64];
    (void)code;
    fault_expect(FAULT_NO_CAUSE, leat_recv(receiver, bytes, sizeof bytes, &size, LEAT_NOW),
                 LEAT_EAGAIN);
}

static void judge_event(int code) {
    (void)code;
    fault_expect(FAULT_NO_CAUSE, leat_wait(leat_event_waitable(event), LEAT_NOW), LEAT_EAGAIN);
}

static int remove_receiver(void) {
    leat_waitset_remove_receiver(receiver);
    return LEAT_OK;
}

static int close_receiver(void) {
    leat_receiver_close(receiver);
    receiver = NULL;
    return LEAT_OK;
}

/* --- Turning ---------------------------------------------------------------------------------- */

/* Until nothing is ready: every member is armed. */
static void come_to_rest(void) {
    for (int i = 0; i < 1000; i++)
        if (leat_waitset_next(waitset, &found) == LEAT_EAGAIN)
            break;
    found = UNTOUCHED;
}

static void join_receiver(void) {
    prepare_receiver();
    fault_ready(add_receiver());
}

static void rest_with_receiver(void) {
    join_receiver();
    come_to_rest();
}

static void rest_with_sender(void) {
    prepare_sender();
    fault_ready(add_sender());
    come_to_rest();
}

static void rest_with_event(void) {
    prepare_event();
    fault_ready(add_event());
    come_to_rest();
}

static void rest_with_event_set(void) {
    rest_with_event();
    fault_ready(leat_event_set(event));
}

static int next(void) {
    return leat_waitset_next(waitset, &found);
}

static void judge_nothing(int code) {
    if (code != LEAT_OK && found != UNTOUCHED)
        fault_found(FAULT_OUTPUT, "it fails and sets the pointer");
}

static int want_room(void) {
    return leat_waitset_want_room(sender, 100);
}

static int again(void) {
    leat_waitset_again(waitset);
    return LEAT_OK;
}

/* A loop that sleeps although a member is ready would never wake up: the descriptor must be
 * readable soon. */
static void judge_wakes(int code) {
    struct pollfd ready = {.fd = leat_waitset_descriptor(waitset), .events = POLLIN};
    if (code == LEAT_OK && found != UNTOUCHED)
        return; /* it returns the ready member */
    if (poll(&ready, 1, 5000) <= 0)
        fault_found(FAULT_HELD_UP, "something waits, and the descriptor does not tell");
}

/* --- Being woken ------------------------------------------------------------------------------ */

static int turn_elsewhere(void) {
    leat_waitset *turning;
    leat_receiver *waiting;
    char bytes[64];
    size_t size;
    if (leat_waitset_open(&turning) != LEAT_OK ||
        leat_receiver_open(&waiting, NAME, &sleeps) != LEAT_OK ||
        leat_waitset_add_receiver(turning, waiting, waiting) != LEAT_OK)
        return LEAT_ESTATE;
    int code = LEAT_EAGAIN;
    struct pollfd ready = {.fd = leat_waitset_descriptor(turning), .events = POLLIN};
    for (int turn = 0; turn < 100 && code == LEAT_EAGAIN; turn++) {
        while (leat_waitset_next(turning, &found) == LEAT_OK && code != LEAT_OK) {
            code = leat_recv(waiting, bytes, sizeof bytes, &size, LEAT_NOW);
            code = code == LEAT_OK || code == LEAT_EAGAIN || code == LEAT_EPEERDIED ? code
                                                                                    : LEAT_EAGAIN;
        }
        harness_set(fault_word(0), 1);
        if (code == LEAT_EAGAIN && poll(&ready, 1, 5000) <= 0)
            code = LEAT_ETIMEDOUT;
    }
    leat_receiver_close(waiting);
    leat_waitset_close(turning);
    return code;
}

static void hold_turning(void) {
    fault_meanwhile(turn_elsewhere);
    harness_await(fault_word(0), 1);
    fault_remember();
}

static void join_turning(void) {
    fault_ready(leat_sender_open(&sender, NAME, &small));
    fault_await_asleep();
}

static int send_one(void) {
    return leat_send(sender, "good", 5, LEAT_NOW);
}

static void look_at_turning(enum fault_moment moment, int code) {
    if (moment != FAULT_WORKER_HAS || code != LEAT_OK)
        return;
    int got = fault_meanwhile_result();
    if (got != LEAT_OK)
        fault_found(got == LEAT_EPEERDIED ? FAULT_CALLED_DEAD : FAULT_HELD_UP, "the loop gets %s",
                    leat_error_name(got));
}

#define AS_SENDER .hold = hold_sender, .look = look_as_sender, .leave = close_all
#define AS_RECEIVER .hold = hold_receiver, .look = look_as_receiver, .leave = close_all
#define QUIET .codes = {LEAT_EAGAIN}, .judge = judge_nothing, .finish = close_all

const struct fault_operation fault_loop_operations[] = {
    {.name = "leat_waitset_open",
     .prepare = forget,
     .act = open_waitset,
     .judge = judge_waitset,
     .finish = close_all},
    {.name = "leat_waitset_open, descriptors 0 and 2 closed",
     .prepare = forget,
     .act = open_waitset,
     .judge = judge_waitset,
     .finish = close_all,
     .closed = 5},
    {.name = "leat_waitset_close",
     AS_SENDER,
     .prepare = rest_with_receiver,
     .act = close_waitset,
     .finish = close_all},
    {.name = "leat_waitset_add_receiver",
     AS_SENDER,
     .prepare = prepare_receiver,
     .act = add_receiver,
     .judge = judge_receiver,
     .finish = close_all},
    {.name = "leat_waitset_add_sender",
     AS_RECEIVER,
     .prepare = prepare_sender,
     .act = add_sender,
     .finish = close_all},
    {.name = "leat_waitset_add_waitable",
     .prepare = prepare_event,
     .act = add_event,
     .judge = judge_event,
     .finish = close_all},
    {.name = "leat_waitset_remove_receiver",
     AS_SENDER,
     .prepare = rest_with_receiver,
     .act = remove_receiver,
     .judge = judge_receiver,
     .finish = close_all},
    {.name = "leat_receiver_close, in a loop",
     .prepare = rest_with_receiver,
     .act = close_receiver,
     .finish = close_all},
    {.name = "leat_waitset_next, first turn",
     AS_SENDER,
     .prepare = join_receiver,
     .act = next,
     .codes = {LEAT_EAGAIN},
     .finish = close_all},
    {.name = "leat_waitset_next, a receiver at rest",
     AS_SENDER,
     .prepare = rest_with_receiver,
     .act = next,
     QUIET},
    {.name = "leat_waitset_next, a sender at rest",
     AS_RECEIVER,
     .prepare = rest_with_sender,
     .act = next,
     QUIET},
    {.name = "leat_waitset_next, an event at rest",
     .prepare = rest_with_event,
     .act = next,
     QUIET,
     .never_ok = true},
    {.name = "leat_waitset_next, an event is set",
     .prepare = rest_with_event_set,
     .act = next,
     .judge = judge_wakes,
     .finish = close_all,
     .codes = {LEAT_EAGAIN}},
    {.name = "leat_waitset_want_room",
     AS_RECEIVER,
     .prepare = rest_with_sender,
     .act = want_room,
     .finish = close_all},
    {.name = "leat_waitset_again", .prepare = rest_with_event, .act = again, .finish = close_all},
    {.name = "leat_send, a loop sleeps",
     .hold = hold_turning,
     .look = look_at_turning,
     .prepare = join_turning,
     .act = send_one,
     .finish = close_all},
    {0},
};
