/* fault_ops_channel.c - operations on channels. See fault.h. */
#include "fault_ops.h"
#include "handles.h"

#include <string.h>
#include <time.h>

#define PEER_UNKNOWN 4 /* LEAT_PEER_UNKNOWN: the kernel could not be asked */

/* Of the process that runs: none of these is shared. */
static leat_sender *sender;
static leat_receiver *receiver;
static leat_peer peer;
static leat_channel_info info;
static char bytes[2048];
static const leat_channel_options small = {.capacity = LEAT_CAPACITY_MIN},
                                  many = {.capacity = LEAT_CAPACITY_MIN, .many_senders = true},
                                  kept = {.capacity = LEAT_CAPACITY_MIN, .persistent = true};

static void forget(void) {
    sender = UNTOUCHED;
    receiver = UNTOUCHED;
}

static void close_all(void) {
    leat_sender_close(sender != UNTOUCHED ? sender : NULL);
    leat_receiver_close(receiver != UNTOUCHED ? receiver : NULL);
    sender = NULL;
    receiver = NULL;
}

/* --- The bystander's handles, and its checks -------------------------------------------------- */

static void hold_receiver(void) {
    fault_ready(leat_receiver_open(&receiver, NAME, &small));
    fault_remember();
}

static void hold_sender(void) {
    fault_ready(leat_sender_open(&sender, NAME, &small));
    fault_remember();
}

static void hold_many(void) {
    fault_ready(leat_sender_open(&sender, NAME, &many));
    fault_remember();
}

static void hold_pair(void) {
    hold_sender();
    fault_ready(leat_receiver_open(&receiver, NAME, &small));
}

/* Everything that is there; the worker lives all the time, so a death is a false one. */
static void take_all(void) {
    size_t size;
    for (int i = 0, code = LEAT_OK; i < 4096 && code != LEAT_EAGAIN; i++) {
        code = leat_recv(receiver, bytes, sizeof bytes, &size, LEAT_NOW);
        if (code == LEAT_EPEERDIED)
            fault_found(FAULT_CALLED_DEAD, "the receiver is told of a sender's death");
        else if (code != LEAT_OK && code != LEAT_ECLOSED && code != LEAT_EPEERBACK &&
                 code != LEAT_EAGAIN)
            fault_found(FAULT_HELD_UP, "leat_recv gives %s", leat_error_name(code));
        if (code == LEAT_ECORRUPT || code == LEAT_EFORKED)
            return;
    }
}

/* A message from a new sender to the bystander. */
static void receive_from_new(const leat_channel_options *options) {
    leat_sender *second;
    char got[64];
    size_t size = 0;
    take_all();
    if (!fault_expect(FAULT_HELD_UP, leat_sender_open(&second, NAME, options), LEAT_OK))
        return;
    fault_expect(FAULT_HELD_UP, leat_send(second, "good", 5, LEAT_NOW), LEAT_OK);
    int code = LEAT_EPEERBACK;
    for (int i = 0; i < 4 && (code == LEAT_EPEERBACK || code == LEAT_ECLOSED); i++)
        code = leat_recv(receiver, got, sizeof got, &size, LEAT_NOW);
    if (code != LEAT_OK || size != 5 || strcmp(got, "good") != 0)
        fault_found(code == LEAT_EPEERDIED ? FAULT_CALLED_DEAD : FAULT_HELD_UP,
                    "a message does not come: %s", leat_error_name(code));
    leat_sender_close(second);
}

/* The bystander receives. `has`: the worker is its sender now. */
static void look_as_receiver(bool has, const leat_channel_options *options) {
    leat_sender *second;
    fault_check_same();
    if (!has) {
        receive_from_new(options);
        return;
    }
    take_all();
    leat_peer found = leat_receiver_peer(receiver);
    if (found != LEAT_PEER_PRESENT)
        fault_found(FAULT_CALLED_DEAD, "leat_receiver_peer gives %d", (int)found);
    if (fault_expect(FAULT_TWO_HOLDERS, leat_sender_open(&second, NAME, &small), LEAT_EBUSY))
        return;
    leat_sender_close(second);
}

static void look_after_sender_open(enum fault_moment moment, int code) {
    look_as_receiver(moment == FAULT_WORKER_HAS && code == LEAT_OK, &small);
}

static void look_at_sender(enum fault_moment moment, int code) {
    (void)code;
    look_as_receiver(moment == FAULT_WORKER_HAS, &small);
}

static void look_at_no_sender(enum fault_moment moment, int code) {
    (void)moment, (void)code;
    look_as_receiver(false, &small);
}

/* The bystander sends. `has`: the worker is its receiver now. */
static void look_as_sender(bool has) {
    leat_receiver *second;
    size_t size = 0;
    fault_check_same();
    leat_peer found = leat_sender_peer(sender);
    if (has ? found != LEAT_PEER_PRESENT : found == LEAT_PEER_DIED)
        fault_found(FAULT_CALLED_DEAD, "leat_sender_peer gives %d", (int)found);
    int code = leat_receiver_open(&second, NAME, &small);
    if (code != (has ? LEAT_EBUSY : LEAT_OK))
        fault_found(has ? FAULT_TWO_HOLDERS : FAULT_HELD_UP, "another receiver gets %s",
                    leat_error_name(code));
    if (code != LEAT_OK)
        return;
    while (leat_recv(second, bytes, sizeof bytes, &size, LEAT_NOW) == LEAT_OK)
        ;
    fault_expect(FAULT_HELD_UP, leat_send(sender, "good", 5, LEAT_NOW), LEAT_OK);
    if (leat_recv(second, bytes, sizeof bytes, &size, AMPLE) != LEAT_OK || size != 5)
        fault_found(FAULT_HELD_UP, "a message does not come");
    leat_receiver_close(second);
}

static void look_after_receiver_open(enum fault_moment moment, int code) {
    look_as_sender(moment == FAULT_WORKER_HAS && code == LEAT_OK);
}

static void look_at_receiver(enum fault_moment moment, int code) {
    (void)code;
    look_as_sender(moment == FAULT_WORKER_HAS);
}

static void look_at_no_receiver(enum fault_moment moment, int code) {
    (void)moment, (void)code;
    look_as_sender(false);
}

/* The bystander has both roles. */
static void look_at_pair(enum fault_moment moment, int code) {
    (void)moment, (void)code;
    leat_sender *second;
    leat_receiver *third;
    size_t size = 0;
    fault_check_same();
    take_all();
    if (leat_sender_open(&second, NAME, &small) != LEAT_EBUSY ||
        leat_receiver_open(&third, NAME, &small) != LEAT_EBUSY)
        fault_found(FAULT_TWO_HOLDERS, "a role that is taken can be had");
    fault_expect(FAULT_HELD_UP, leat_send(sender, "good", 5, LEAT_NOW), LEAT_OK);
    fault_expect(FAULT_HELD_UP, leat_recv(receiver, bytes, sizeof bytes, &size, AMPLE), LEAT_OK);
    if (leat_receiver_peer(receiver) != LEAT_PEER_PRESENT ||
        leat_sender_peer(sender) != LEAT_PEER_PRESENT)
        fault_found(FAULT_CALLED_DEAD, "a role that is taken looks free");
}

/* Nobody has it now, or the worker alone. */
static void use_new(bool worker_has) {
    leat_receiver *second;
    if (!fault_expect(FAULT_HELD_UP, leat_receiver_open(&second, NAME, &small), LEAT_OK))
        return;
    if (receiver_created(second) == worker_has)
        fault_found(FAULT_REPLACED, worker_has ? "another process does not find it"
                                               : "another process finds a dead one");
    receiver = second;
    fault_remember();
    look_as_receiver(worker_has, &small);
    leat_receiver_close(second);
    receiver = NULL;
}

static void look_at_new(enum fault_moment moment, int code) {
    use_new(moment == FAULT_WORKER_HAS && code == LEAT_OK);
}

static void look_at_none(enum fault_moment moment, int code) {
    (void)moment, (void)code;
    use_new(false);
}

/* --- Opening and closing ---------------------------------------------------------------------- */

static int open_sender(void) {
    return leat_sender_open(&sender, NAME, &small);
}

static int open_receiver(void) {
    return leat_receiver_open(&receiver, NAME, &small);
}

static int open_many(void) {
    return leat_sender_open(&sender, NAME, &many);
}

static void judge_sender(int code) {
    fault_judge_pointer(code, sender);
    if (code == LEAT_OK && sender_created(sender))
        fault_found(FAULT_REPLACED, "it was there, and is created");
}

static void judge_new_sender(int code) {
    fault_judge_pointer(code, sender);
    if (code == LEAT_OK && !sender_created(sender))
        fault_found(FAULT_REPLACED, "it is new, and is not created");
}

static void judge_receiver(int code) {
    fault_judge_pointer(code, receiver);
    if (code == LEAT_OK && receiver_created(receiver))
        fault_found(FAULT_REPLACED, "it was there, and is created");
}

static void send_and_die(void) {
    leat_sender *dying;
    fault_ready(leat_sender_open(&dying, NAME, &small));
    fault_ready(leat_send(dying, "last", 5, LEAT_NOW));
}

static void leave_stale(void) {
    fault_die_after(send_and_die);
}

static void join_as_sender(void) {
    fault_ready(leat_sender_open(&sender, NAME, &small));
}

static void join_as_receiver(void) {
    fault_ready(leat_receiver_open(&receiver, NAME, &small));
}

static int close_both(void) {
    close_all();
    return LEAT_OK;
}

/* --- Waiting ---------------------------------------------------------------------------------- */

static void fill(void) {
    while (leat_send(sender, bytes, 1000, LEAT_NOW) == LEAT_OK)
        ;
}

static void join_and_fill(void) {
    join_as_sender();
    fill();
}

static void join_and_send(void) {
    join_as_sender();
    fault_ready(leat_send(sender, "one", 4, LEAT_NOW));
}

static int send_one(void) {
    return leat_send(sender, bytes, 1000, SHORT);
}

static int send_at_once(void) {
    return leat_send(sender, bytes, 8, LEAT_NOW);
}

static int receive_one(void) {
    size_t size;
    return leat_recv(receiver, bytes, sizeof bytes, &size, SHORT);
}

static int drain(void) {
    return leat_sender_drain(sender, SHORT);
}

static int sender_wait_peer(void) {
    return leat_sender_wait_peer(sender, SHORT);
}

static int receiver_wait_peer(void) {
    return leat_receiver_wait_peer(receiver, SHORT);
}

static int sender_news(void) {
    return leat_sender_peer_event(sender);
}

static int ask_for_receiver(void) {
    peer = leat_sender_peer(sender);
    return LEAT_OK;
}

static int ask_for_sender(void) {
    peer = leat_receiver_peer(receiver);
    return LEAT_OK;
}

static void judge_peer(int code) {
    (void)code;
    if (peer != LEAT_PEER_PRESENT && (int)peer != PEER_UNKNOWN)
        fault_found(FAULT_CALLED_DEAD, "the peer is %d", (int)peer);
}

/* --- A waiter --------------------------------------------------------------------------------- */

static void pause_ms(long milliseconds) {
    nanosleep(&(struct timespec){0, milliseconds * 1000000}, NULL);
}

static int receive_elsewhere(void) {
    leat_receiver *waiting;
    char got[64];
    size_t size;
    int code = leat_receiver_open(&waiting, NAME, &small);
    if (code != LEAT_OK)
        return code;
    harness_set(fault_word(0), 1);
    code = leat_recv(waiting, got, sizeof got, &size, AMPLE);
    leat_receiver_close(waiting);
    return code;
}

static void hold_waiting_receiver(void) {
    fault_meanwhile(receive_elsewhere);
    harness_await(fault_word(0), 1);
    fault_remember();
}

static void hold_long_waiting_receiver(void) {
    hold_waiting_receiver();
    pause_ms(120); /* it sleeps on its watch by now */
}

static void join_and_rest(void) {
    join_as_sender();
    fault_await_asleep();
}

static void look_at_waiting_receiver(enum fault_moment moment, int code) {
    if (moment == FAULT_WORKER_HAS)
        fault_check_same();
    if (moment == FAULT_WORKER_HAS && code == LEAT_OK) {
        int got = fault_meanwhile_result();
        if (got != LEAT_OK)
            fault_found(got == LEAT_EPEERDIED ? FAULT_CALLED_DEAD : FAULT_HELD_UP,
                        "the waiting receiver gets %s", leat_error_name(got));
    } else if (moment == FAULT_WORKER_LEFT && code != LEAT_OK) {
        int got = fault_meanwhile_result();
        if (got != LEAT_ECLOSED)
            fault_found(FAULT_CALLED_DEAD, "the sender closes, and the receiver gets %s",
                        leat_error_name(got));
    }
}

/* The worker's call closes its sender. */
static void look_at_told_receiver(enum fault_moment moment, int code) {
    (void)code;
    if (moment != FAULT_WORKER_HAS)
        return;
    int got = fault_meanwhile_result();
    if (got != LEAT_ECLOSED)
        fault_found(got == LEAT_EPEERDIED ? FAULT_CALLED_DEAD : FAULT_HELD_UP,
                    "the waiting receiver gets %s", leat_error_name(got));
}

static int send_elsewhere(void) {
    leat_sender *waiting;
    int code = leat_sender_open(&waiting, NAME, &small);
    if (code != LEAT_OK)
        return code;
    while (leat_send(waiting, bytes, 300, LEAT_NOW) == LEAT_OK)
        ;
    harness_set(fault_word(0), 1);
    harness_await(fault_word(0), 2); /* the receiver is there */
    code = leat_send(waiting, bytes, 300, AMPLE);
    leat_sender_close(waiting);
    return code;
}

static void hold_waiting_sender(void) {
    fault_meanwhile(send_elsewhere);
    harness_await(fault_word(0), 1);
    fault_remember();
}

static void join_as_releaser(void) {
    leat_message messages[16];
    size_t count;
    join_as_receiver();
    harness_set(fault_word(0), 2);
    fault_await_asleep();
    fault_ready(leat_peek_many(receiver, messages, 16, &count, LEAT_NOW));
    harness_set(fault_word(1), (uint32_t)count);
}

static int release_all(void) {
    return leat_release(receiver, atomic_load(fault_word(1)));
}

static void look_at_waiting_sender(enum fault_moment moment, int code) {
    if (moment == FAULT_WORKER_HAS)
        fault_check_same();
    if (moment != FAULT_WORKER_HAS || code != LEAT_OK)
        return;
    int got = fault_meanwhile_result();
    if (got != LEAT_OK)
        fault_found(got == LEAT_EPEERDIED ? FAULT_CALLED_DEAD : FAULT_HELD_UP,
                    "the waiting sender gets %s", leat_error_name(got));
}

/* --- Many senders ----------------------------------------------------------------------------- */

static void hold_reservation(void) {
    void *room;
    hold_many();
    fault_ready(leat_receiver_open(&receiver, NAME, &small));
    fault_ready(leat_reserve(sender, 64, &room, LEAT_NOW));
}

static void look_at_reservation(enum fault_moment moment, int code) {
    (void)code;
    void *room;
    fault_check_same();
    memcpy(bytes, "good", 5);
    fault_expect(FAULT_CALLED_DEAD, leat_commit(sender, 5), LEAT_OK);
    take_all();
    fault_expect(FAULT_HELD_UP, leat_reserve(sender, 64, &room, LEAT_NOW), LEAT_OK);
    if (moment == FAULT_WORKER_LEFT)
        leat_abort(sender);
}

static void join_many(void) {
    fault_ready(leat_sender_open(&sender, NAME, &many));
}

static void look_at_many(enum fault_moment moment, int code) {
    (void)moment, (void)code;
    leat_sender *second;
    fault_check_same();
    if (fault_expect(FAULT_HELD_UP, leat_sender_open(&second, NAME, &many), LEAT_OK)) {
        fault_expect(FAULT_HELD_UP, leat_send(second, "good", 5, LEAT_NOW), LEAT_OK);
        leat_sender_close(second);
    }
    if (leat_sender_open(&second, NAME, &small) != LEAT_EBUSY)
        fault_found(FAULT_TWO_HOLDERS, "one sender alone comes in besides many");
}

/* --- Deaths ----------------------------------------------------------------------------------- */

static void make_kept_and_die(void) {
    leat_sender *dying;
    fault_ready(leat_sender_open(&dying, NAME, &kept));
}

static void hold_dead_sender(void) {
    fault_die_after(make_kept_and_die);
}

static void judge_death(int code) {
    if (code == LEAT_OK || code == LEAT_ECLOSED || code == LEAT_EPEERBACK)
        fault_found(FAULT_NO_CAUSE, "the sender died, and it gives %s", leat_error_name(code));
}

static void remove_kept(void) {
    fault_expect(FAULT_HELD_UP, leat_unlink(NAME, LEAT_LOCAL), LEAT_OK);
}

/* --- From outside ----------------------------------------------------------------------------- */

static int read_info(void) {
    return leat_channel_stat(NAME, LEAT_LOCAL, &info);
}

static void judge_info(int code) {
    bool sees_sender = info.sender == LEAT_PEER_PRESENT || (int)info.sender == PEER_UNKNOWN;
    bool sees_receiver = info.receiver == LEAT_PEER_PRESENT || (int)info.receiver == PEER_UNKNOWN;
    if (code == LEAT_OK && !(sees_sender && sees_receiver))
        fault_found(FAULT_CALLED_DEAD, "sender %d, receiver %d", (int)info.sender,
                    (int)info.receiver);
}

#define BOTH(held, looks) .hold = held, .look = looks, .leave = close_all
#define WAITS .codes = {LEAT_ETIMEDOUT}, .never_ok = true, .waits = true

const struct fault_operation fault_channel_operations[] = {
    {.name = "leat_sender_open, a receiver is there",
     BOTH(hold_receiver, look_after_sender_open),
     .prepare = forget,
     .act = open_sender,
     .judge = judge_sender,
     .finish = close_all},
    {.name = "leat_sender_open, descriptors 0 and 1 closed",
     BOTH(hold_receiver, look_after_sender_open),
     .prepare = forget,
     .act = open_sender,
     .judge = judge_sender,
     .finish = close_all,
     .closed = 3},
    {.name = "leat_sender_open, new",
     .look = look_at_new,
     .prepare = forget,
     .act = open_sender,
     .judge = judge_new_sender,
     .finish = close_all},
    {.name = "leat_sender_open, left by a dead process",
     .hold = leave_stale,
     .look = look_at_new,
     .prepare = forget,
     .act = open_sender,
     .judge = judge_new_sender,
     .finish = close_all},
    {.name = "leat_sender_open, taken",
     BOTH(hold_pair, look_at_pair),
     .prepare = forget,
     .act = open_sender,
     .judge = judge_sender,
     .finish = close_all,
     .codes = {LEAT_EBUSY},
     .never_ok = true},
    {.name = "leat_sender_open, many",
     BOTH(hold_many, look_at_many),
     .prepare = forget,
     .act = open_many,
     .judge = judge_sender,
     .finish = close_all},
    {.name = "leat_receiver_open, a sender is there",
     BOTH(hold_sender, look_after_receiver_open),
     .prepare = forget,
     .act = open_receiver,
     .judge = judge_receiver,
     .finish = close_all},
    {.name = "leat_receiver_open, taken",
     BOTH(hold_pair, look_at_pair),
     .prepare = forget,
     .act = open_receiver,
     .judge = judge_receiver,
     .finish = close_all,
     .codes = {LEAT_EBUSY},
     .never_ok = true},
    {.name = "leat_sender_close, a receiver is there",
     BOTH(hold_receiver, look_at_no_sender),
     .prepare = join_as_sender,
     .act = close_both},
    {.name = "leat_sender_close, a receiver waits",
     .hold = hold_long_waiting_receiver,
     .look = look_at_told_receiver,
     .prepare = join_and_rest,
     .act = close_both},
    {.name = "leat_sender_close, the last user",
     .look = look_at_none,
     .prepare = join_as_sender,
     .act = close_both},
    {.name = "leat_receiver_close, a sender is there",
     BOTH(hold_sender, look_at_no_receiver),
     .prepare = join_as_receiver,
     .act = close_both},
    {.name = "leat_send, full",
     BOTH(hold_receiver, look_at_sender),
     .prepare = join_and_fill,
     .act = send_one,
     .finish = close_all,
     WAITS},
    {.name = "leat_send, no receiver, full",
     .look = NULL,
     .prepare = join_and_fill,
     .act = send_one,
     .finish = close_all,
     WAITS},
    {.name = "leat_send, a receiver sleeps",
     .hold = hold_waiting_receiver,
     .look = look_at_waiting_receiver,
     .prepare = join_and_rest,
     .act = send_at_once,
     .finish = close_all},
    {.name = "leat_send, a receiver sleeps on its watch",
     .hold = hold_long_waiting_receiver,
     .look = look_at_waiting_receiver,
     .prepare = join_and_rest,
     .act = send_at_once,
     .finish = close_all},
    {.name = "leat_recv, empty",
     BOTH(hold_sender, look_at_receiver),
     .prepare = join_as_receiver,
     .act = receive_one,
     .finish = close_all,
     WAITS},
    {.name = "leat_recv, no sender",
     .prepare = join_as_receiver,
     .act = receive_one,
     .finish = close_all,
     WAITS},
    {.name = "leat_recv, the sender died",
     .hold = hold_dead_sender,
     .leave = remove_kept,
     .prepare = join_as_receiver,
     .act = receive_one,
     .judge = judge_death,
     .finish = close_all,
     .waits = true,
     .codes = {LEAT_EPEERDIED, LEAT_ETIMEDOUT}},
    {.name = "leat_release, a sender sleeps",
     .hold = hold_waiting_sender,
     .look = look_at_waiting_sender,
     .prepare = join_as_releaser,
     .act = release_all,
     .finish = close_all},
    {.name = "leat_sender_drain",
     BOTH(hold_receiver, look_at_sender),
     .prepare = join_and_send,
     .act = drain,
     .finish = close_all,
     WAITS},
    {.name = "leat_sender_wait_peer, none comes",
     .prepare = join_as_sender,
     .act = sender_wait_peer,
     .finish = close_all,
     WAITS},
    {.name = "leat_receiver_wait_peer, none comes",
     .prepare = join_as_receiver,
     .act = receiver_wait_peer,
     .finish = close_all,
     WAITS},
    {.name = "leat_sender_wait_peer, there",
     BOTH(hold_receiver, look_at_sender),
     .prepare = join_as_sender,
     .act = sender_wait_peer,
     .finish = close_all,
     .waits = true,
     .codes = {LEAT_ETIMEDOUT}},
    {.name = "leat_sender_peer_event",
     BOTH(hold_receiver, look_at_sender),
     .prepare = join_as_sender,
     .act = sender_news,
     .finish = close_all},
    {.name = "leat_sender_peer",
     BOTH(hold_receiver, look_at_sender),
     .prepare = join_as_sender,
     .act = ask_for_receiver,
     .judge = judge_peer,
     .finish = close_all},
    {.name = "leat_receiver_peer",
     BOTH(hold_sender, look_at_receiver),
     .prepare = join_as_receiver,
     .act = ask_for_sender,
     .judge = judge_peer,
     .finish = close_all},
    {.name = "leat_send, many, another has reserved",
     BOTH(hold_reservation, look_at_reservation),
     .prepare = join_many,
     .act = send_one,
     .finish = close_all,
     WAITS},
    {.name = "leat_channel_stat",
     BOTH(hold_pair, look_at_pair),
     .act = read_info,
     .judge = judge_info},
    {0},
};
