/* test_ring_exhaustive.c - the ring's two halves through every sequence of a few operations, up to
 * a depth, from starting points all around the ring, against a model that is nothing but a queue
 * (ring_pair.h). Everything in free space, and all that is sent, are words that look like the
 * header that is expected at their place. A third of the walks are without wiping; a third with, in
 * a ring as it was made; a third with, behind two laps.
 *
 * After each operation the ring's invariants are checked, and at the end of each sequence
 * everything is received and the longest message still finds room. LEAT_RING_DEPTH=n goes deeper:
 * each step more takes 22 times as long. */
#include <string.h>

#include "ring_pair.h"

/* --- Operations ------------------------------------------------------------------------------- */

/* The fast path, up to the fast limit. */
static unsigned send_fast(uint64_t length) {
    unsigned char bytes[MAX_MESSAGE];
    unsigned count = 0;
    for (;; count++) {
        fill(bytes, tx.lane.position + LEAT__RECORD_HEADER, length, last, false);
        if (!leat__lane_send(&tx.lane, bytes, length))
            return count;
        queue[last++ % QUEUE] = (struct entry){LEAT__MESSAGE, length};
    }
}

/* The fast path, or the slow path beyond it; with `most` bytes up to the fast limit. */
static void send_small(uint64_t length, uint64_t most) {
    uint64_t lap_end = leat__ring_lap_end(&memory, tx.lane.position),
             limit = tx.limit < lap_end ? tx.limit : lap_end;
    tx.lane.fast_limit = leat__ring_probe_ahead(&tx, limit);
    if (tx.lane.fast_limit > tx.lane.position + most)
        tx.lane.fast_limit = tx.lane.position + most;
    if (send_fast(length) == 0)
        send(length);
}

static void send_small_8(void) {
    send_small(8, 16);
}

static void send_small_100(void) {
    send_small(100, 128);
}

static void send_many_small(void) {
    send_small(100, CAPACITY);
}

static void commit_less(void) {
    if (stage(300, 9))
        leat__ring_publish(&tx);
}

static void reserve_and_forget(void) {
    void *payload;
    if (leat__ring_reserve(&tx, 500, &payload) == LEAT_OK)
        fill(payload, place_of(payload), 500, 0, true);
    leat__ring_forget(&tx);
}

static void mark(void) {
    int result =
        leat__ring_mark(&tx, LEAT__OPEN_MARK, byte_of(last) * UINT64_C(0x0101010101010101));
    if (result == LEAT_OK)
        queue[last++ % QUEUE] = (struct entry){LEAT__OPEN_MARK, 8};
    else
        assert_leat(result, LEAT_EAGAIN);
}

static void replace_sender(void) {
    uint64_t position = tx.lane.position;
    assert_ok(leat__ring_sender_recover(&tx, &memory));
    assert_int_equal(tx.lane.position, position);
}

/* A sender that dies with three messages staged and nothing published, and had reserved more. */
static void die_while_staging(void) {
    uint64_t before = last;
    bool room = stage(8, 8) && stage(500, 500) && stage(500, 120);
    (void)room;
    last = before;
    replace_sender();
}

/* A sender that dies between the commit and noting it. */
static void die_before_noting(void) {
    uint64_t noted = tx.lane.position;
    send(100);
    leat__store_relaxed64(&memory.sender->position, noted);
    replace_sender();
}

static void replace_receiver(void) {
    uint64_t position = rx.lane.position;
    assert_ok(leat__ring_receiver_recover(&rx, &memory));
    assert_int_equal(rx.lane.position, position);
}

/* The fast path: a message is received as it would be by the slow path, or nothing happens. */
static void receive_small(void) {
    unsigned char bytes[MAX_MESSAGE];
    struct leat__record record = {.type = LEAT__MESSAGE, .payload = bytes};
    struct leat__record there;
    int result = leat__ring_poll(&rx, rx.lane.position, &there);
    bool fits = result == LEAT_OK && there.type == LEAT__MESSAGE && there.length <= MAX_MESSAGE;
    size_t size = 0;
    rx.lane.fast_limit = leat__ring_lap_end(&memory, rx.lane.position);
    assert_int_equal(leat__lane_receive(&rx.lane, bytes, sizeof bytes, &size), fits);
    if (!fits)
        return;
    record.length = size;
    record.end = rx.lane.position;
    check_record(&record, first++);
}

/* A receiver that dies after noting its position, in the middle of wiping. */
static void die_while_releasing(void) {
    struct leat__record record;
    if (leat__ring_poll(&rx, rx.lane.position, &record) != LEAT_OK || record.type != LEAT__MESSAGE)
        return;
    uint64_t released = leat__load_relaxed64(&memory.receiver->released), word = 0;
    uint64_t line = (record.end & ~(uint64_t)63) - 64; /* the last line left, if any was */
    if (record.end / 64 > rx.lane.position / 64)
        word = leat__load_relaxed64(leat__word_at(&memory, line));
    leat__ring_release(&rx, record.end);
    if (word != 0)
        leat__store_relaxed64(leat__word_at(&memory, line), word);
    leat__store_relaxed64(&memory.receiver->released, released);
    first++;
    replace_receiver();
}

/* --- All sequences ---------------------------------------------------------------------------- */

static void receive_one(void) {
    receive(1);
}

static void receive_three(void) {
    receive(3);
}

static void (*const others[])(void) = {
    send_batch,          commit_less,  reserve_and_forget, mark,
    die_while_staging,   receive_one,  receive_three,      die_before_noting,
    die_while_releasing, send_small_8, send_small_100,     send_many_small,
    receive_small,
};
#define OPERATIONS (SIZES + sizeof others / sizeof others[0])

static void operate(size_t operation) {
    if (operation < SIZES)
        send(sizes[operation]);
    else
        others[operation - SIZES]();
}

static void check_invariants(void) {
    uint64_t handed = leat__load_relaxed64(&memory.receiver->released),
             released = handed & ~LEAT__WIPED;
    uint64_t end = released + CAPACITY, line = tx.lane.position / 64 * 64 + 64;
    assert_int_equal(leat__load_relaxed64(&memory.sender->position), tx.lane.position);
    assert_int_equal(leat__load_relaxed64(&memory.receiver->position), rx.lane.position);
    assert_true(released <= rx.lane.position && rx.lane.position <= tx.lane.position &&
                tx.lane.position < end);
    assert_int_equal(released, rx.lane.position / 64 * 64);
    /* I1 */
    assert_false(leat__is_header(leat__load_relaxed64(leat__word_at(&memory, tx.lane.position)),
                                 tx.lane.position));
    for (line = line < tx.written ? (tx.written + 63) / 64 * 64 : line;
         handed % 2 != 0 && line < end; line += 64)
        assert_int_equal(leat__load_relaxed64(leat__word_at(&memory, line)), 0); /* the promise */
}

/* Everything comes out, and then the longest message goes in. */
static void check_end(void) {
    while (receive(1) > 0)
        ;
    assert_int_equal(first, last);
    send(MAX_MESSAGE);
    assert_int_equal(receive(1), 1);
    check_invariants();
}

static uint64_t nodes;

static void descend(long depth) {
    static struct snapshot snapshots[16];
    struct snapshot *here = &snapshots[depth];
    save(here);
    for (size_t operation = 0; operation < OPERATIONS; operation++) {
        operate(operation);
        check_invariants();
        nodes++;
        if (depth > 1)
            descend(depth - 1);
        else
            check_end();
        restore(here);
    }
}

static void every_sequence_of_operations_keeps_the_queue(void **state) {
    (void)state;
    static const uint64_t places[] = {
        0, 16, 48, 2048, 2064, CAPACITY - 64, CAPACITY - 32, 3 * CAPACITY - 16};
    long depth = harness_setting("LEAT_RING_DEPTH", 4);
    assert_in_range(depth, 1, 15);
    nodes = 0;
    unsigned promised = 0;
    for (size_t i = 0; i < 3 * sizeof places / sizeof places[0]; i++) {
        uint64_t place = places[i / 3];
        memory.processor = i % 3 == 0 ? &fetching : &wiping;
        untouched = i % 3 == 1;
        start_at(i % 3 == 2 ? place + 2 * CAPACITY : place, (i + i / 3) % 2 != 0);
        promised += leat__load_relaxed64(&memory.receiver->released) % 2 != 0;
        descend(depth);
    }
    assert_int_equal(promised, 2 * sizeof places / sizeof places[0]); /* by all that wipe */
    print_message("%llu states\n", (unsigned long long)nodes);
}

/* Marks until no more fit, behind as many messages as fit: the word behind them is still no header,
 * and a receiver that peeks at everything before it releases anything finds the end there. */
static void a_ring_full_of_marks_is_received_at_one_go(void **state) {
    (void)state;
    for (uint64_t place = 0; place < 64; place += 16) {
        start_at(place, true);
        for (unsigned marks = 0; marks < 8; marks++) {
            mark();
            check_invariants();
        }
        replace_sender();
        receive(QUEUE);
        assert_int_equal(first, last);
        check_end();
    }
}

/* A long walk at random goes where no short sequence comes. */
static void a_long_walk_keeps_the_queue(void **state) {
    (void)state;
    uint64_t random = harness_seed();
    for (int step = 0; step < 1000000; step++) {
        if (step % 500000 == 0) {
            memory.processor = step == 0 ? &fetching : &wiping;
            start_ring();
        }
        size_t operation = harness_random(&random) % (OPERATIONS + 6);
        if (operation < OPERATIONS)
            operate(operation);
        else
            receive((unsigned)operation);
        check_invariants();
    }
    check_end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RING_TEST(every_sequence_of_operations_keeps_the_queue, 120),
        RING_TEST(a_ring_full_of_marks_is_received_at_one_go, 30),
        RING_TEST(a_long_walk_keeps_the_queue, 30),
    };
    return HARNESS_MAIN("ring_exhaustive", tests);
}
