/* test_channel_fuzz.c - channels at random, by their public calls, with roles that die and return.
 *
 * Guarantees: each message that was sent arrives once, whole and in order; nothing else arrives.
 * Free space and payloads are full of words that look like headers of this lap and of the next
 * ones. Senders send by copy, in batches and by reservation, and die between any two calls, with
 * the lock, with a reservation, while staging, and between a commit and noting it. The receiver
 * copies, peeks and releases, and dies between any two calls, with peeked messages, and while
 * wiping. Each handle takes a processor's row at random; at times a sender takes the receiver to be
 * far away.
 *
 * All of it is one thread, and a handle dies as its process would: its locks go, its words stay. So
 * a run repeats with LEAT_TEST_SEED, except for what depends on the time. LEAT_FUZZ_STEPS=n goes
 * longer than the default (and LEAT_TEST_PATIENCE=n allows for it). */
#include <stdlib.h>
#include <string.h>

#include "channel_pair.h"
#include "channels/queue/receiver.h"
#include "channels/queue/sender.h"
#include "leat/inline.h"

#define CAPACITY ((uint64_t)4096)
#define LONGEST (CAPACITY / 2 - LEAT__LINE - LEAT__RECORD_HEADER)
#define SENDERS 3
#define BATCH 16
#define QUEUE 512    /* more than ever are in the ring at once */
#define STEPS 200000 /* of each test */
#define ROUND_STEPS 10000
#define FAR_AWAY_NS 900

/* With any of the first two a receiver wipes, and so comes to promise it
 * (channels/queue/processor.h). */
static const struct leat__processor rows[] = {{.wipe = 128},
                                              {.wipe = 512, .piece = 1984},
                                              {.fetch = true},
                                              {.wipe = 64, .piece = 100},
                                              {.wipe = 4096}};
#define WIPING_ROWS 2
#define ROWS (sizeof rows / sizeof rows[0])

struct message {
    size_t size;
    unsigned char bytes[LONGEST];
};

/* One of the senders, and its reservation. */
struct sending {
    leat_sender *handle;
    unsigned char *reserved;
    uint64_t place; /* the position of the reserved bytes */
    size_t size;
};

struct sender_operation {
    const char *name;
    void (*run)(struct sending *tx);
};

struct receiver_operation {
    const char *name;
    void (*run)(void);
};

static struct {
    uint64_t random, step;
    uint64_t first, last; /* numbers of the oldest message not released and of the next one sent */
    uint64_t peeked;      /* how many behind the oldest were handed out in place */
    const char *operation;
    size_t rows;      /* how many of them are taken */
    unsigned senders; /* how many share the channel */
    bool calm;        /* handles seldom end, so that a receiver comes to promise that it wiped */
    struct sending sending[SENDERS];
    leat_receiver *receiver;
    struct message queue[QUEUE];
    uint64_t promised, early; /* senders' steps that had a promise; of those, that probe early */
} fuzz;

/* --- Random choices --------------------------------------------------------------------------- */

static uint64_t below(uint64_t limit) {
    return harness_random(&fuzz.random) % limit;
}

static bool one_in(uint64_t times) {
    return below(times) == 0;
}

static bool side_ends(void) {
    return one_in(fuzz.calm ? 100 : 3);
}

/* Message sizes, most of them near those at which slots change their size. */
static size_t some_size(void) {
    switch (below(10)) {
    case 0:
        return below(9);
    case 1:
        return 9 + below(16);
    case 2:
    case 3:
        return 25 + below(32);
    case 4:
    case 5:
    case 6:
        return 57 + below(64);
    case 7:
        return below(600);
    case 8:
        return below(LONGEST + 1);
    default:
        return LONGEST - below(3);
    }
}

enum content {
    HEADERS_OF_THIS_LAP,
    HEADERS_OF_THE_NEXT,
    HEADERS_OF_THE_ONE_AFTER,
    NO_HEADERS,
    MIXED,
};

static uint64_t some_word(uint64_t place, enum content content) {
    if (content == NO_HEADERS)
        return one_in(3) ? 0 : harness_random(&fuzz.random);
    uint64_t type = one_in(8) ? 1 + below(4) : LEAT__MESSAGE;
    uint64_t position = (place & ~(uint64_t)15) + (uint64_t)content * CAPACITY;
    return leat__record_header(position, (enum leat__record_type)type, below(one_in(2) ? 9 : 60));
}

/* Bytes that will lie at the place, or lie there: each word is dangerous where it lies. */
static void fill(void *bytes, uint64_t place, size_t size, enum content content) {
    for (size_t i = 0; i < size; i += 8) {
        enum content now = content == MIXED ? (enum content)below(MIXED) : content;
        uint64_t word = some_word(place + i, now);
        memcpy((unsigned char *)bytes + i, &word, size - i < 8 ? size - i : 8);
    }
}

/* Where a message's payload is if its slot comes behind the position. */
static uint64_t place_behind(uint64_t position, size_t size) {
    uint64_t slot = leat__slot_size(size), alignment = leat__slot_alignment(slot);
    uint64_t start = (position + alignment - 1) & ~(alignment - 1);
    if ((start & (CAPACITY - 1)) + slot > CAPACITY)
        start = (start + CAPACITY - 1) & ~(CAPACITY - 1);
    return start + LEAT__RECORD_HEADER;
}

/* A message that goes out and is in the ring a lap later, still. */
static void fill_message(void *bytes, uint64_t position, size_t size) {
    fill(bytes, place_behind(position, size), size, one_in(2) ? HEADERS_OF_THE_NEXT : MIXED);
}

/* --- The expected content of the channel ------------------------------------------------------ */

static void fail_here(const char *what, uint64_t got, uint64_t wanted) {
    harness_fail("LEAT_TEST_SEED=%llu, step %llu, %u senders, %s: %s: %llu, wanted %llu",
                 (unsigned long long)harness_seed(), (unsigned long long)fuzz.step, fuzz.senders,
                 fuzz.operation, what, (unsigned long long)got, (unsigned long long)wanted);
}

static void must(int result) {
    if (result == LEAT_OK)
        return;
    print_error("%s: %s\n", leat_error_name(result), leat_error_detail());
    fail_here("a call's result, below zero", (uint64_t) - (int64_t)result, LEAT_OK);
}

/* Whether it succeeded; if not, there was no room or no message, or an event of the peer. */
static bool done(int result) {
    bool expected = result == LEAT_EAGAIN || result == LEAT_ECLOSED || result == LEAT_EPEERDIED ||
                    result == LEAT_EPEERBACK;
    if (!expected)
        must(result);
    return result == LEAT_OK;
}

static void push(const void *bytes, size_t size) {
    if (fuzz.last - fuzz.first >= QUEUE)
        fail_here("messages in the ring", fuzz.last - fuzz.first, QUEUE);
    struct message *message = &fuzz.queue[fuzz.last++ % QUEUE];
    message->size = size;
    memcpy(message->bytes, bytes, size);
}

static void expect(uint64_t number, const void *bytes, size_t size) {
    const struct message *message = &fuzz.queue[number % QUEUE];
    if (number >= fuzz.last)
        fail_here("a message that nobody sent", number, fuzz.last);
    if (size != message->size)
        fail_here("size", size, message->size);
    for (size_t i = 0; i < size; i++)
        if (((const unsigned char *)bytes)[i] != message->bytes[i])
            fail_here("another message's byte, at", i, size);
}

static void expect_released(const leat_message *messages, size_t count) {
    for (size_t i = 0; i < count; i++)
        expect(fuzz.first++, messages[i].data, messages[i].size);
}

static void expect_peeked(const leat_message *messages, size_t count) {
    for (size_t i = 0; i < count; i++)
        expect(fuzz.first + fuzz.peeked++, messages[i].data, messages[i].size);
}

/* Whether messages came; if none is there, none may be missing. */
static bool came(int result) {
    if (result == LEAT_EAGAIN && fuzz.first + fuzz.peeked != fuzz.last)
        fail_here("lost", fuzz.first + fuzz.peeked, fuzz.last);
    return done(result);
}

/* --- Coming and leaving ----------------------------------------------------------------------- */

static leat_channel_options options(void) {
    return (leat_channel_options){
        .capacity = CAPACITY, .persistent = true, .spin_us = LEAT_SPIN_NONE};
}

static void take_some_row(void) {
    harness_processor = &rows[below(fuzz.rows)];
}

static void come_as_sender(struct sending *tx) {
    leat_channel_options wanted = options();
    wanted.many_senders = fuzz.senders > 1;
    take_some_row();
    *tx = (struct sending){.handle = NULL};
    must(leat_sender_open(&tx->handle, "fuzz", &wanted));
}

static void come_as_receiver(void) {
    leat_channel_options wanted = options();
    take_some_row();
    fuzz.peeked = 0;
    must(leat_receiver_open(&fuzz.receiver, "fuzz", &wanted));
}

/* The locks go with the descriptors, and the pages stay as they are. */
static void kill_sender(struct sending *tx) {
    leat__role_close(&tx->handle->role);
    free(tx->handle);
    *tx = (struct sending){.handle = NULL};
}

static void kill_receiver(void) {
    leat__role_close(&fuzz.receiver->role);
    free(fuzz.receiver);
    fuzz.receiver = NULL;
    fuzz.peeked = 0;
}

/* --- Sending ---------------------------------------------------------------------------------- */

static uint64_t position_of(const struct sending *tx) {
    return leat__load_relaxed64(&tx->handle->role.own->position);
}

/* The position of bytes that the sender is about to write. */
static uint64_t place_of(const leat_sender *sender, const void *bytes) {
    uint64_t offset = (uint64_t)((const unsigned char *)bytes - sender->ring.memory.ring);
    uint64_t position = sender->ring.lane.position;
    return position + ((offset - position) & (CAPACITY - 1));
}

static void send_several_of_a_size(struct sending *tx) {
    unsigned char bytes[LONGEST];
    size_t size = some_size();
    bool sent = true;
    for (uint64_t left = 1 + below(6); sent && left > 0; left--) {
        fill_message(bytes, position_of(tx), size);
        sent = done(one_in(2) ? leat_send(tx->handle, bytes, size, LEAT_NOW)
                              : leat_send_inline(tx->handle, bytes, size, LEAT_NOW));
        if (sent)
            push(bytes, size);
    }
}

static void send_batch(struct sending *tx) {
    static unsigned char bytes[BATCH][LONGEST + 1];
    leat_message messages[BATCH];
    size_t count = 1 + below(BATCH), sent = 0, same = some_size();
    uint64_t position = position_of(tx);
    bool equal = one_in(2), too_long = one_in(8);
    for (size_t i = 0; i < count; i++) {
        size_t size = equal ? same : some_size();
        fill_message(bytes[i], position, size);
        position = place_behind(position, size) - LEAT__RECORD_HEADER + leat__slot_size(size);
        messages[i] = (leat_message){bytes[i], size};
    }
    if (too_long)
        messages[below(count)].size = LONGEST + 1;
    int result = leat_send_many(tx->handle, messages, count, &sent, LEAT_NOW);
    if (result != LEAT_EMSGSIZE || !too_long)
        (void)done(result);
    for (size_t i = 0; i < sent; i++)
        push(messages[i].data, messages[i].size);
}

static void reserve(struct sending *tx) {
    void *bytes;
    size_t size = some_size();
    if (!done(leat_reserve(tx->handle, size, &bytes, LEAT_NOW)))
        return;
    tx->reserved = bytes;
    tx->place = place_of(tx->handle, bytes);
    tx->size = size;
}

static void close_sender(struct sending *tx) {
    if (!side_ends())
        return;
    leat_sender_close(tx->handle);
    tx->handle = NULL;
}

static void die(struct sending *tx) {
    if (side_ends())
        kill_sender(tx);
}

/* Reserves by the ring itself, and writes there; false if there is no room. */
static bool write_ahead(leat_sender *sender, size_t size, enum content content) {
    void *bytes;
    bool room = done(leat__ring_reserve(&sender->ring, size, &bytes));
    if (room)
        fill(bytes, place_of(sender, bytes), size, content);
    return room;
}

static void die_while_staging(struct sending *tx) {
    if (!side_ends() || !done(leat__sender_lock(tx->handle, LEAT_NOW)))
        return;
    for (uint64_t left = 1 + below(5); left > 0; left--) {
        size_t size = some_size();
        if (!write_ahead(tx->handle, size, one_in(3) ? MIXED : HEADERS_OF_THIS_LAP))
            break;
        if (left > 1 || one_in(2))
            leat__ring_stage(&tx->handle->ring, one_in(2) ? size : size / 2);
    }
    kill_sender(tx);
}

static void receive_one(void);

/* Not where a mark is to come first: its position would be forgotten too. */
static void die_before_noting(struct sending *tx) {
    leat_sender *sender = tx->handle;
    bool owes = sender->owes_open_mark || leat__load_relaxed32(&sender->role.own->owed) != 0;
    if (owes || !side_ends() || !done(leat__sender_lock(sender, LEAT_NOW)))
        return;
    size_t size = some_size();
    uint64_t noted = sender->ring.lane.position;
    const unsigned char *ring = sender->ring.memory.ring;
    if (write_ahead(sender, size, HEADERS_OF_THE_NEXT)) {
        push(ring + (place_behind(noted, size) & (CAPACITY - 1)), size);
        leat__ring_stage(&sender->ring, size);
        leat__ring_publish(&sender->ring);
        leat__store_relaxed64(&sender->role.own->position, noted);
        if (fuzz.receiver != NULL && fuzz.peeked == 0 && one_in(2))
            receive_one();
    }
    kill_sender(tx);
}

static void ask(struct sending *tx) {
    leat_statistics statistics;
    leat_sender_statistics(tx->handle, &statistics);
    (void)done(leat_sender_drain(tx->handle, LEAT_NOW));
}

/* As if it had measured that. */
static void be_far_away(struct sending *tx) {
    tx->handle->ring.distance_ns = one_in(4) ? 0 : FAR_AWAY_NS;
}

/* Free space gets headers of this lap, the message those of the next. */
static void finish_reservation(struct sending *tx) {
    size_t size = one_in(2) ? tx->size : below(tx->size + 1);
    unsigned char bytes[8] = {0}, *reserved = tx->reserved;
    fill(reserved, tx->place, tx->size, one_in(2) ? HEADERS_OF_THIS_LAP : MIXED);
    if (one_in(8) && leat_send(tx->handle, bytes, sizeof bytes, LEAT_NOW) != LEAT_ESTATE)
        fail_here("sent while a reservation is open", 1, 0);
    tx->reserved = NULL;
    if (one_in(6)) {
        leat_abort(tx->handle);
    } else if (one_in(6) && side_ends()) {
        kill_sender(tx);
    } else {
        fill(reserved, tx->place, size, one_in(2) ? HEADERS_OF_THE_NEXT : MIXED);
        push(reserved, size);
        must(leat_commit(tx->handle, size));
    }
}

static void count_step(const struct leat__ring_sender *ring) {
    bool early = ring->last_slot == 2 * LEAT__LINE && ring->distance_ns == FAR_AWAY_NS;
    fuzz.promised += ring->promised;
    fuzz.early += ring->promised && early;
}

#define OPERATION(function)                                                                        \
    { #function, function }

static void operate_sender(struct sending *tx) {
    static const struct sender_operation often[] = {OPERATION(send_several_of_a_size),
                                                    OPERATION(send_batch), OPERATION(reserve)};
    static const struct sender_operation seldom[] = {
        OPERATION(close_sender),      OPERATION(die), OPERATION(die_while_staging),
        OPERATION(die_before_noting), OPERATION(ask), OPERATION(be_far_away)};
    static const struct sender_operation come = OPERATION(come_as_sender),
                                         finish = OPERATION(finish_reservation);
    const struct sender_operation *operation =
        one_in(3) ? &seldom[below(sizeof seldom / sizeof seldom[0])]
                  : &often[below(sizeof often / sizeof often[0])];
    if (tx->handle == NULL)
        operation = &come;
    else if (tx->reserved != NULL)
        operation = &finish;
    fuzz.operation = operation->name;
    operation->run(tx);
    if (tx->handle != NULL)
        count_step(&tx->handle->ring);
}

/* --- Receiving -------------------------------------------------------------------------------- */

static unsigned char region[(LONGEST + 8) * BATCH];

static void receive_one(void) {
    size_t size = 0, space = one_in(4) ? 64 : LONGEST;
    int result = one_in(2) ? leat_recv(fuzz.receiver, region, space, &size, LEAT_NOW)
                           : leat_recv_inline(fuzz.receiver, region, space, &size, LEAT_NOW);
    bool too_long = fuzz.first < fuzz.last && fuzz.queue[fuzz.first % QUEUE].size > space;
    if (result == LEAT_EMSGSIZE && too_long)
        return;
    if (came(result))
        expect(fuzz.first++, region, size);
}

static void receive_several(void) {
    for (uint64_t left = 1 + below(8); left > 0; left--)
        receive_one();
}

static bool receive_batch_within(size_t space) {
    leat_message messages[BATCH];
    size_t count = 0;
    bool too_long = fuzz.first < fuzz.last && fuzz.queue[fuzz.first % QUEUE].size > space;
    int result =
        leat_recv_many(fuzz.receiver, region, space, messages, 1 + below(BATCH), &count, LEAT_NOW);
    if ((result == LEAT_EMSGSIZE && too_long) || !came(result))
        return false;
    expect_released(messages, count);
    return true;
}

static void receive_batch(void) {
    (void)receive_batch_within(one_in(2) ? sizeof region : 1 + below(3000));
}

static void peek_one(void) {
    leat_message message;
    if (came(leat_peek(fuzz.receiver, &message, LEAT_NOW)))
        expect_peeked(&message, 1);
}

static void peek_several(void) {
    leat_message messages[BATCH];
    size_t count = 0;
    if (came(leat_peek_many(fuzz.receiver, messages, 1 + below(BATCH), &count, LEAT_NOW)))
        expect_peeked(messages, count);
}

static void peek_more(void) {
    leat_message messages[BATCH];
    size_t count = 0;
    if (came(leat_peek_more(fuzz.receiver, messages, 1 + below(BATCH), &count, LEAT_NOW)))
        expect_peeked(messages, count);
}

static void release(void) {
    uint64_t count = one_in(2) ? fuzz.peeked : 1 + below(fuzz.peeked);
    must(leat_release(fuzz.receiver, count));
    fuzz.first += count;
    fuzz.peeked -= count;
}

static void unpeek(void) {
    leat_unpeek(fuzz.receiver);
    fuzz.peeked = 0;
}

static void close_receiver(void) {
    if (!side_ends())
        return;
    leat_receiver_close(fuzz.receiver);
    fuzz.receiver = NULL;
    fuzz.peeked = 0;
}

static void die_receiving(void) {
    if (side_ends())
        kill_receiver();
}

/* Some of the words are wiped, in any order, and the lines are not handed back. */
static void die_while_wiping(void) {
    static unsigned char before[CAPACITY];
    unsigned char *ring = fuzz.receiver->ring.memory.ring;
    leat__u64 *handed_back = &fuzz.receiver->role.own->released;
    uint64_t released = leat__load_relaxed64(handed_back), at = fuzz.receiver->ring.lane.position;
    if (!side_ends())
        return;
    memcpy(before, ring, CAPACITY);
    if (!receive_batch_within(sizeof region))
        return;
    for (; at < fuzz.receiver->ring.lane.position; at += 8)
        if (one_in(2))
            memcpy(ring + (at & (CAPACITY - 1)), before + (at & (CAPACITY - 1)), 8);
    leat__store_relaxed64(handed_back, released);
    kill_receiver();
}

static void operate_receiver(void) {
    static const struct receiver_operation idle[] = {
        OPERATION(receive_several), OPERATION(receive_several), OPERATION(receive_several),
        OPERATION(receive_batch),   OPERATION(receive_batch),   OPERATION(peek_one),
        OPERATION(peek_several),    OPERATION(peek_more),       OPERATION(die_while_wiping),
        OPERATION(close_receiver),  OPERATION(die_receiving)};
    static const struct receiver_operation holding[] = {
        OPERATION(release),   OPERATION(release), OPERATION(release),      OPERATION(peek_more),
        OPERATION(peek_more), OPERATION(unpeek),  OPERATION(die_receiving)};
    static const struct receiver_operation come = OPERATION(come_as_receiver);
    const struct receiver_operation *operation = &idle[below(sizeof idle / sizeof idle[0])];
    if (fuzz.receiver == NULL)
        operation = &come;
    else if (fuzz.peeked > 0)
        operation = &holding[below(sizeof holding / sizeof holding[0])];
    fuzz.operation = operation->name;
    operation->run();
}

/* --- Rounds ----------------------------------------------------------------------------------- */

/* As if the channel had been used up to there: both peers were killed with an empty ring. */
static void move_to(uint64_t position) {
    struct leat__role_page *page = fuzz.receiver->role.own;
    leat__store_relaxed64(&fuzz.sending[0].handle->role.own->position, position);
    leat__store_relaxed64(&page->position, position);
    leat__store_relaxed64(&page->released, position);
    for (int i = 0; i < 2; i++) {
        leat__store_relaxed64(&page->marks[i].end, 0);
        leat__store_relaxed64(&page->marks[i].says, 0);
    }
    memset(fuzz.receiver->ring.memory.ring, 0, CAPACITY);
    kill_sender(&fuzz.sending[0]);
    kill_receiver();
}

static void start_round(uint64_t round, unsigned senders, uint64_t position) {
    fuzz.senders = senders;
    fuzz.rows = round % 3 == 0 ? WIPING_ROWS : ROWS;
    fuzz.calm = round % 2 == 0;
    fuzz.first = fuzz.last = fuzz.peeked = 0;
    fuzz.operation = "start";
    memset(fuzz.sending, 0, sizeof fuzz.sending);
    come_as_sender(&fuzz.sending[0]);
    come_as_receiver();
    if (position > 0)
        move_to(position);
}

/* All handles close in order, and a receiver gets what is left. */
static void end_round(void) {
    fuzz.operation = "end";
    for (unsigned i = 0; i < fuzz.senders; i++) {
        struct sending *tx = &fuzz.sending[i];
        if (tx->handle != NULL && tx->reserved != NULL)
            leat_abort(tx->handle);
        if (tx->handle != NULL)
            leat_sender_close(tx->handle);
    }
    if (fuzz.receiver == NULL)
        come_as_receiver();
    unpeek();
    for (int events = 0; fuzz.first < fuzz.last && events < BATCH; events++)
        while (receive_batch_within(sizeof region))
            events = 0;
    if (fuzz.first != fuzz.last)
        fail_here("lost at the end", fuzz.first, fuzz.last);
    leat_receiver_close(fuzz.receiver);
    assert_ok(leat_unlink("fuzz", LEAT_LOCAL));
}

static bool somebody_is_there(void) {
    bool there = fuzz.receiver != NULL;
    for (unsigned i = 0; i < fuzz.senders; i++)
        there |= fuzz.sending[i].handle != NULL;
    return there;
}

/* Returns the position in the end. */
static uint64_t run_round(uint64_t round, unsigned senders, uint64_t position) {
    start_round(round, senders, position);
    for (int i = 0; i < ROUND_STEPS; i++, fuzz.step++) {
        if (!somebody_is_there())
            come_as_receiver();
        if (one_in(2))
            operate_sender(&fuzz.sending[below(senders)]);
        else
            operate_receiver();
    }
    if (fuzz.receiver == NULL)
        come_as_receiver();
    position = leat__load_relaxed64(&fuzz.receiver->role.own->position);
    end_round();
    return position;
}

static uint64_t begin_test(void) {
    long steps = harness_setting("LEAT_FUZZ_STEPS", STEPS);
    assert_true(steps >= STEPS);
    memset(&fuzz, 0, sizeof fuzz);
    fuzz.random = harness_seed();
    return (uint64_t)steps / ROUND_STEPS;
}

static void check_that_nothing_was_left_out(void) {
    print_message("%llu steps, promised %llu, early %llu\n", (unsigned long long)fuzz.step,
                  (unsigned long long)fuzz.promised, (unsigned long long)fuzz.early);
    assert_true(fuzz.promised > 0);
    assert_true(fuzz.early > 0);
}

static void messages_of_one_sender_arrive_once_and_in_order(void **state) {
    (void)state;
    uint64_t rounds = begin_test();
    for (uint64_t round = 0; round < rounds; round++)
        (void)run_round(round, 1, 0);
    check_that_nothing_was_left_out();
}

static void messages_of_several_senders_arrive_once_and_in_order(void **state) {
    (void)state;
    uint64_t rounds = begin_test();
    for (uint64_t round = 0; round < rounds; round++)
        (void)run_round(round, SENDERS, 0);
    check_that_nothing_was_left_out();
}

/* 2^28 is where a header's part of the position begins anew, 2^32 where half a word does. */
static void messages_arrive_where_parts_of_positions_begin_anew(void **state) {
    (void)state;
    uint64_t rounds = begin_test();
    for (uint64_t round = 0; round < rounds; round++) {
        uint64_t border = round % 4 < 2 ? UINT64_C(1) << 28 : UINT64_C(1) << 32;
        uint64_t start = border - (1 + below(64)) * CAPACITY;
        assert_true(run_round(round, round % 2 == 0 ? 1 : SENDERS, start) > border);
    }
    check_that_nothing_was_left_out();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST_WITHIN(messages_of_one_sender_arrive_once_and_in_order, 300),
        HARNESS_TEST_WITHIN(messages_of_several_senders_arrive_once_and_in_order, 300),
        HARNESS_TEST_WITHIN(messages_arrive_where_parts_of_positions_begin_anew, 300),
    };
    return HARNESS_MAIN("channel_fuzz", tests);
}
