/* loop_sides.c - see loop_sides.h. */
#include "loop_sides.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <leat/waitset.h>

#include "stream.h"
#include "uv_loop.h"

#define NAME "loops"
#define SLOTS 16
#define STRETCH 64 /* so many messages are sent in one way, then as many in the other */
#define DROP 8     /* messages of one tick */

struct loop_board *loop_board;

static const leat_channel_options options = {.capacity = LOOP_CAPACITY};

static size_t size_of(uint64_t number) {
    /* with its number in it */
    return 8 + stream_size(loop_board->seed, number, LOOP_MESSAGE_MAX - 8);
}

static size_t fill(unsigned char *bytes, uint64_t number) {
    size_t size = size_of(number);
    stream_fill(bytes, number, size);
    return size;
}

static void note(struct loop_told *told, leat_peer peer) {
    if (peer == LEAT_PEER_DIED)
        told->died_at_ns = harness_now();
    if (told->came - told->died != (peer == LEAT_PEER_DIED))
        harness_fail("told that the peer %s, after %u that came and %u that died",
                     peer == LEAT_PEER_DIED ? "died" : "came", told->came, told->died);
    harness_increment(peer == LEAT_PEER_DIED ? &told->died : &told->came);
}

/* As the channel's own calls report it: the first peer's arrival is no event. */
static void note_event(struct loop_told *told, int event) {
    if (event == LEAT_EPEERDIED && told->came == 0)
        note(told, LEAT_PEER_PRESENT);
    if (event == LEAT_EPEERDIED || event == LEAT_EPEERBACK)
        note(told, event == LEAT_EPEERDIED ? LEAT_PEER_DIED : LEAT_PEER_PRESENT);
    else
        assert_ok(event);
}

static bool next_ready(leat_waitset *waitset) {
    void *data;
    int result = leat_waitset_next(waitset, &data);
    if (result != LEAT_OK)
        assert_leat(result, LEAT_EAGAIN);
    return result == LEAT_OK;
}

/* --- Sending ---------------------------------------------------------------------------------- */

/* A request, and the memory of its message. */
struct slot {
    leat_uv_send_t request;
    unsigned char bytes[LOOP_MESSAGE_MAX];
    uint64_t number;
    bool queued;
};

static struct {
    leat_uv_sender_t handle;
    struct slot slots[SLOTS];
    uv_timer_t tick;
    uint64_t next;
    uint32_t pace;
    bool finishing;
} tx;

static void begin_sending(void) {
    loop_board->sender_told = (struct loop_told){0};
    loop_board->attempted = loop_board->committed = tx.next = loop_board->handed;
    tx.pace = loop_board->pace;
}

static void note_sent(uint64_t number) {
    /* a request is reported later than a message behind it that was sent without one */
    if (loop_board->committed <= number)
        loop_board->committed = number + 1;
}

/* It has a receiver, whose arrival was reported, unless it is the first. */
static bool should_end(const leat_sender *sender) {
    const struct loop_told *told = &loop_board->sender_told;
    return loop_board->ending != 0 && told->came >= told->died + (told->died != 0) &&
           leat_sender_peer(sender) == LEAT_PEER_PRESENT;
}

static void produce(void);

static void on_sent(leat_uv_send_t *request, int status) {
    struct slot *slot = request->data;
    assert_uv(status);
    slot->queued = false;
    note_sent(slot->number);
    if (tx.pace == LOOP_FLOOD)
        produce();
}

/* False: there is no free request; on_sent follows. */
static bool queue_next(void) {
    struct slot *slot = tx.slots;
    while (slot < tx.slots + SLOTS && slot->queued)
        slot++;
    if (slot == tx.slots + SLOTS)
        return false;
    slot->queued = true;
    slot->number = tx.next++;
    slot->request.data = slot;
    loop_board->attempted = tx.next;
    assert_uv(leat_uv_send(&slot->request, &tx.handle, slot->bytes, fill(slot->bytes, slot->number),
                           on_sent));
    return true;
}

/* False: there is no room; on_writable follows. */
static bool try_next(void) {
    unsigned char bytes[LOOP_MESSAGE_MAX];
    loop_board->attempted = tx.next + 1;
    int result = leat_uv_try_send(&tx.handle, bytes, fill(bytes, tx.next));
    if (result == UV_EAGAIN)
        return false;
    assert_uv(result);
    note_sent(tx.next++);
    return true;
}

static bool finish_if_ending(void) {
    if (!tx.finishing && should_end(leat_uv_sender_channel(&tx.handle))) {
        tx.finishing = true;
        uv_close((uv_handle_t *)&tx.tick, NULL);
        leat_uv_sender_finish(&tx.handle, NULL);
    }
    return tx.finishing;
}

/* A flood until the sender has to wait: a queued stretch always has a callback to come. */
static void produce(void) {
    uint64_t end = tx.pace == LOOP_FLOOD ? UINT64_MAX : tx.next + DROP;
    if (finish_if_ending())
        return;
    while (tx.next < end && (tx.next / STRETCH % 2 == 0 ? try_next() : queue_next()))
        ;
}

static void on_tick(uv_timer_t *timer) {
    (void)timer;
    produce();
}

static void on_writable(leat_uv_sender_t *sender) {
    (void)sender;
    if (tx.pace == LOOP_FLOOD)
        produce();
}

static void on_receiver(leat_uv_sender_t *sender, leat_peer peer, int status) {
    (void)sender;
    assert_uv(status);
    if (peer != LEAT_PEER_PRESENT && peer != LEAT_PEER_DIED)
        harness_fail("told of a receiver in state %d", (int)peer);
    note(&loop_board->sender_told, peer);
    if (peer == LEAT_PEER_DIED || finish_if_ending())
        return;
    tx.pace = loop_board->pace;
    if (tx.pace == LOOP_TRICKLE)
        assert_uv(uv_timer_start(&tx.tick, on_tick, 1, 1));
    else
        assert_uv(uv_timer_stop(&tx.tick));
    if (tx.pace == LOOP_FLOOD)
        produce();
}

int loop_send_uv(void *context) {
    (void)context;
    begin();
    begin_sending();
    assert_uv(leat_uv_sender_open(&loop, &tx.handle, NAME, &options));
    assert_uv(uv_timer_init(&loop, &tx.tick));
    assert_uv(leat_uv_sender_start(&tx.handle, on_writable, on_receiver));
    harness_set(&loop_board->sender_ready, 1);
    end();
    assert_int_equal(leat_uv_sender_queue_size(&tx.handle), 0);
    return 0;
}

/* False: there is no room; the wait set reports it later. */
static bool send_next(leat_sender *sender) {
    unsigned char bytes[LOOP_MESSAGE_MAX];
    size_t size = fill(bytes, tx.next);
    int result;
    loop_board->attempted = tx.next + 1;
    while ((result = leat_send(sender, bytes, size, LEAT_NOW)) != LEAT_OK) {
        if (result == LEAT_EAGAIN) {
            assert_ok(leat_waitset_want_room(sender, size));
            return false;
        }
        note_event(&loop_board->sender_told, result);
    }
    note_sent(tx.next++);
    return true;
}

/* How long the loop may sleep, as poll has it. It may have been woken before that. */
static int send_some(leat_sender *sender) {
    static uint64_t drop_at_ns;
    unsigned count = tx.pace == LOOP_FLOOD ? STRETCH : 0;
    if (tx.pace == LOOP_TRICKLE && harness_now() >= drop_at_ns) {
        drop_at_ns = harness_now() + 1000000;
        count = DROP;
    }
    for (; count > 0; count--)
        if (!send_next(sender))
            return -1;
    return tx.pace == LOOP_FLOOD ? 0 : tx.pace == LOOP_TRICKLE ? 1 : -1;
}

int loop_send_waitset(void *context) {
    (void)context;
    leat_waitset *waitset = NULL;
    begin_sending();
    leat_sender *sender = open_sender(NAME, &options);
    assert_ok(leat_waitset_open(&waitset));
    assert_ok(leat_waitset_add_sender(waitset, sender, sender));
    struct pollfd ready = {.fd = leat_waitset_descriptor(waitset), .events = POLLIN};
    harness_set(&loop_board->sender_ready, 1);
    for (;;) {
        while (next_ready(waitset)) {
            int event = leat_sender_peer_event(sender);
            note_event(&loop_board->sender_told, event);
            if (event == LEAT_EPEERBACK)
                tx.pace = loop_board->pace;
        }
        if (should_end(sender))
            break;
        int limit = send_some(sender);
        assert_true(poll(&ready, 1, limit) >= 0 || errno == EINTR);
    }
    leat_sender_close(sender);
    leat_waitset_close(waitset);
    return 0;
}

/* --- Receiving -------------------------------------------------------------------------------- */

static struct {
    leat_uv_receiver_t handle;
    uint64_t random;
    uint64_t first, next; /* messages, once there has been one */
    /* messages, by this process and, as the channel counts, by its predecessors */
    uint64_t released, before;
    bool began;
} rx;

static void begin_receiving(void) {
    loop_board->receiver_told = (struct loop_told){0};
    rx.random = loop_board->seed ^ (uint64_t)getpid();
}

/* A predecessor that was killed had released its last message or not: the channel shows which. */
static void begin_at(uint64_t number) {
    uint64_t released = loop_board->released, handed = loop_board->handed;
    if (number != released && number != handed)
        harness_fail("the first message of a receiver is number %llu; its predecessor had %llu "
                     "released, %llu seen",
                     (unsigned long long)number, (unsigned long long)released,
                     (unsigned long long)handed);
    loop_board->repeated += handed - number;
    rx.first = rx.next = number;
    rx.began = true;
}

/* A message, in place, and not released: a kill from here on repeats it. */
static void take(const leat_message *message) {
    uint64_t number;
    assert_true(message->size >= sizeof number);
    memcpy(&number, message->data, sizeof number);
    if (!rx.began)
        begin_at(number);
    if (number != rx.next++)
        harness_fail("message %llu came, awaited was %llu", (unsigned long long)number,
                     (unsigned long long)rx.next - 1);
    if (message->size != size_of(number) || !stream_holds(message->data, number, message->size))
        harness_fail("message %llu was changed", (unsigned long long)number);
    if (rx.first + rx.released > number)
        harness_fail("message %llu was released before it was seen", (unsigned long long)number);
    loop_board->released = rx.first + rx.released;
    loop_board->handed = number + 1;
    if (harness_random(&rx.random) % 64 == 0) /* so that the sender has to wait */
        usleep((useconds_t)(harness_random(&rx.random) % 300));
}

static uint64_t count_released(const leat_receiver *receiver) {
    leat_statistics statistics;
    leat_receiver_statistics(receiver, &statistics);
    return statistics.messages - rx.before;
}

static void on_message(leat_uv_receiver_t *receiver, const leat_message *message) {
    rx.released = count_released(leat_uv_receiver_channel(receiver));
    take(message);
}

static void on_sender(leat_uv_receiver_t *receiver, leat_peer peer, int status) {
    assert_uv(status);
    if (peer != LEAT_PEER_CLOSED)
        note(&loop_board->receiver_told, peer);
    else if (loop_board->ending != 0)
        leat_uv_close(&receiver->handle, NULL);
    else
        harness_fail("told that the sender closed");
}

int loop_receive_uv(void *context) {
    static const unsigned budgets[] = {1, 8, 64};
    (void)context;
    begin();
    begin_receiving();
    assert_uv(leat_uv_receiver_open(&loop, &rx.handle, NAME, &options));
    rx.before = count_released(leat_uv_receiver_channel(&rx.handle));
    assert_uv(leat_uv_receiver_set_budget(&rx.handle, budgets[harness_random(&rx.random) % 3]));
    assert_uv(leat_uv_receiver_start(&rx.handle, on_message, on_sender));
    harness_set(&loop_board->receiver_ready, 1);
    end();
    return 0;
}

/* What the ready channel has; false at the end of the stream. */
static bool receive_some(leat_receiver *receiver) {
    leat_message messages[8];
    size_t count = 0;
    int result =
        leat_peek_many(receiver, messages, 1 + harness_random(&rx.random) % 8, &count, LEAT_NOW);
    if (result == LEAT_ECLOSED && loop_board->ending != 0)
        return false;
    if (result != LEAT_OK && result != LEAT_EAGAIN)
        note_event(&loop_board->receiver_told, result);
    for (size_t i = 0; i < count; i++)
        take(&messages[i]);
    if (count > 0)
        assert_ok(leat_release(receiver, count));
    rx.released += count;
    return true;
}

int loop_receive_waitset(void *context) {
    (void)context;
    leat_waitset *waitset = NULL;
    begin_receiving();
    leat_receiver *receiver = open_receiver(NAME, &options);
    assert_ok(leat_waitset_open(&waitset));
    assert_ok(leat_waitset_add_receiver(waitset, receiver, receiver));
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, leat_waitset_descriptor(waitset), &event), 0);
    harness_set(&loop_board->receiver_ready, 1);
    for (bool goes_on = true; goes_on;) {
        while (goes_on && next_ready(waitset))
            goes_on = receive_some(receiver);
        if (goes_on)
            /* stopped and continued */
            assert_true(epoll_wait(epoll, &event, 1, -1) == 1 || errno == EINTR);
    }
    close(epoll);
    leat_receiver_close(receiver);
    leat_waitset_close(waitset);
    return 0;
}
