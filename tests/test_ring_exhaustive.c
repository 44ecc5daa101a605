/* test_ring_exhaustive.c - the ring's two halves (channels/ring.h) in one process, on memory between guard pages.
 *
 * First through every sequence of a few operations, up to a depth, from starting points all around the ring, against a model
 * that is nothing but a queue; after each operation the ring's invariants I1 and I2 are looked at word for word, and each
 * sequence ends with everything being received and the longest message still finding room. LEAT_RING_DEPTH=n goes deeper:
 * each step more takes 21 times as long.
 *
 * Then with hostile words: everything that a peer may write, replaced by values at the boundaries and by random ones
 * (LEAT_TEST_SEED). Whatever is found there, the result is a code that the function may give, and nothing outside the ring
 * is touched.
 *
 * LEAT_RING_ONLY=pattern runs the tests whose name matches (* and ?). */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "channel_pair.h"
#include "channels/ring.h"

#define CAPACITY ((uint64_t)4096)
#define MAX_MESSAGE (CAPACITY / 2 - 64 - 8)
#define QUEUE 1024 /* more than ever are in the ring at once */

/* --- The memory --------------------------------------------------------------------------------------------------- */

static struct leat__ring_memory memory;

/* Each part between pages that nobody may touch. The ring ends with its page, so that one byte behind it is already outside. */
static void *guarded_pages(size_t size) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *all = mmap(NULL, size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(all, MAP_FAILED);
    assert_int_equal(mprotect(all + page, size, PROT_READ | PROT_WRITE), 0);
    return all + page;
}

static void give_back(void *part, size_t size) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    munmap((unsigned char *)part - page, size + 2 * page);
}

static int make_memory(void **state) {
    (void)state;
    memory = (struct leat__ring_memory){
        .sender = guarded_pages(LEAT__PAGE),
        .receiver = guarded_pages(LEAT__PAGE),
        .ring = guarded_pages(CAPACITY),
        .capacity = CAPACITY,
    };
    return 0;
}

static int drop_memory(void **state) {
    (void)state;
    give_back(memory.sender, LEAT__PAGE);
    give_back(memory.receiver, LEAT__PAGE);
    give_back(memory.ring, CAPACITY);
    return 0;
}

/* --- A ring, and what should be in it ----------------------------------------------------------------------------- */

struct entry {
    enum leat__record_type type;
    uint64_t length;
};

static struct leat__ring_sender tx;
static struct leat__ring_receiver rx;
static struct entry queue[QUEUE];
static uint64_t first, last; /* numbers of the oldest entry and of the next one */

/* What one side's operation can change, for going back. */
struct snapshot {
    unsigned char words[2][256], ring[CAPACITY];
    struct leat__ring_sender tx;
    struct leat__ring_receiver rx;
    uint64_t first, last;
};

static void save(struct snapshot *snapshot) {
    memcpy(snapshot->words[0], memory.sender, sizeof snapshot->words[0]);
    memcpy(snapshot->words[1], memory.receiver, sizeof snapshot->words[1]);
    memcpy(snapshot->ring, memory.ring, CAPACITY);
    snapshot->tx = tx;
    snapshot->rx = rx;
    snapshot->first = first;
    snapshot->last = last;
}

static void restore(const struct snapshot *snapshot) {
    memcpy(memory.sender, snapshot->words[0], sizeof snapshot->words[0]);
    memcpy(memory.receiver, snapshot->words[1], sizeof snapshot->words[1]);
    memcpy(memory.ring, snapshot->ring, CAPACITY);
    tx = snapshot->tx;
    rx = snapshot->rx;
    first = snapshot->first;
    last = snapshot->last;
}

static unsigned char byte_of(uint64_t number) {
    return (unsigned char)(number * 7 | 1); /* never zero: what is not wiped shows */
}

static void start_ring(void) {
    memset(memory.sender, 0, LEAT__PAGE);
    memset(memory.receiver, 0, LEAT__PAGE);
    memset(memory.ring, 0, CAPACITY);
    leat__store_relaxed32(&memory.sender->opened, 1);
    first = last = 0;
    assert_ok(leat__ring_sender_recover(&tx, &memory));
    assert_ok(leat__ring_receiver_recover(&rx, &memory));
}

/* --- Operations --------------------------------------------------------------------------------------------------- */

/* Whether there must be room behind the staged end, found by trying every place. */
static bool fits(uint64_t length) {
    uint64_t slot = leat__slot_size(length), start = tx.lane.position + tx.staged, alignment = slot < 64 ? slot : 64;
    while (start % alignment != 0 || start / CAPACITY != (start + slot - 1) / CAPACITY)
        start += 16;
    return start + slot <= leat__load_relaxed64(&memory.receiver->released) + CAPACITY - 64;
}

static bool stage(uint64_t reserved, uint64_t length) {
    void *payload;
    bool room = fits(reserved);
    int result = leat__ring_reserve(&tx, reserved, &payload);
    assert_leat(result, room ? LEAT_OK : LEAT_EAGAIN);
    if (result != LEAT_OK)
        return false;
    assert_int_equal((uintptr_t)payload % 8, 0);
    memset(payload, 0xFF, reserved);
    memset(payload, byte_of(last), length);
    leat__ring_stage(&tx, length);
    queue[last++ % QUEUE] = (struct entry){LEAT__MESSAGE, length};
    return true;
}

static void send(uint64_t length) {
    if (stage(length, length))
        leat__ring_publish(&tx);
}

/* The short way, or the long one where that is closed. */
static void send_small(uint64_t length) {
    unsigned char bytes[MAX_MESSAGE];
    uint64_t lap_end = leat__ring_lap_end(&memory, tx.lane.position);
    tx.lane.window = tx.limit < lap_end ? tx.limit : lap_end;
    memset(bytes, byte_of(last), length);
    if (leat__lane_send(&tx.lane, bytes, length))
        queue[last++ % QUEUE] = (struct entry){LEAT__MESSAGE, length};
    else
        send(length);
}

static void send_small_8(void) {
    send_small(8);
}

static void send_small_100(void) {
    send_small(100);
}

static void send_batch(void) {
    bool room = stage(8, 8) && stage(56, 56) && stage(24, 24) && stage(0, 0) && stage(300, 300);
    (void)room;
    leat__ring_publish(&tx);
}

static void commit_less(void) {
    if (stage(300, 9))
        leat__ring_publish(&tx);
}

static void reserve_and_forget(void) {
    void *payload;
    if (leat__ring_reserve(&tx, 500, &payload) == LEAT_OK)
        memset(payload, 0xFF, 500);
    leat__ring_forget(&tx);
}

static void mark(void) {
    int result = leat__ring_mark(&tx, LEAT__OPEN_MARK, byte_of(last) * UINT64_C(0x0101010101010101));
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

/* A sender that dies with three messages staged and nothing published. */
static void die_while_staging(void) {
    uint64_t before = last;
    bool room = stage(8, 8) && stage(500, 500) && stage(120, 120);
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

static void check_record(const struct leat__record *record, uint64_t number) {
    const struct entry *expected = &queue[number % QUEUE];
    assert_int_equal(record->type, expected->type);
    assert_int_equal(record->length, expected->length);
    for (uint64_t i = 0; i < record->length; i += i + 8 < record->length ? 8 : 1)
        assert_int_equal(record->payload[i], byte_of(number));
}

/* Looks at up to `max` records and releases them together; gives how many there were. */
static unsigned receive(unsigned max) {
    unsigned count = 0;
    uint64_t position = rx.lane.position;
    struct leat__record record;
    int result = LEAT_OK;
    while (count < max && (result = leat__ring_look(&rx, position, &record)) == LEAT_OK) {
        position = record.end;
        if (record.type == LEAT__PAD)
            continue;
        assert_true(first + count < last);
        check_record(&record, first + count);
        count++;
    }
    if (result != LEAT_OK) {
        assert_leat(result, LEAT_EAGAIN);
        assert_int_equal(first + count, last);
    }
    first += count;
    leat__ring_release(&rx, position);
    return count;
}

/* The short way: a message is received as it would be by the long one, or nothing happens. */
static void receive_small(void) {
    unsigned char bytes[MAX_MESSAGE];
    struct leat__record record = {.type = LEAT__MESSAGE, .payload = bytes};
    struct leat__record there;
    int result = leat__ring_look(&rx, rx.lane.position, &there);
    bool fits = result == LEAT_OK && there.type == LEAT__MESSAGE && there.length <= MAX_MESSAGE;
    size_t size = 0;
    rx.lane.window = leat__ring_lap_end(&memory, rx.lane.position);
    assert_int_equal(leat__lane_receive(&rx.lane, bytes, sizeof bytes, &size), fits);
    if (!fits)
        return;
    record.length = size;
    check_record(&record, first++);
}

/* A receiver that dies after noting its position, in the middle of wiping. */
static void die_while_releasing(void) {
    struct leat__record record;
    if (leat__ring_look(&rx, rx.lane.position, &record) != LEAT_OK || record.type != LEAT__MESSAGE)
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

/* --- All sequences ------------------------------------------------------------------------------------------------ */

static const uint64_t sizes[] = {0, 8, 9, 24, 25, 56, 57, 120, MAX_MESSAGE};
#define SIZES (sizeof sizes / sizeof sizes[0])

static void receive_one(void) {
    receive(1);
}

static void receive_three(void) {
    receive(3);
}

static void (*const others[])(void) = {
    send_batch,  commit_less,      reserve_and_forget, mark,          die_while_staging,
    receive_one, receive_three,    die_before_noting,  die_while_releasing, send_small_8, send_small_100, receive_small,
};
#define OPERATIONS (SIZES + sizeof others / sizeof others[0])

static void operate(size_t operation) {
    if (operation < SIZES)
        send(sizes[operation]);
    else
        others[operation - SIZES]();
}

static void check_invariants(void) {
    uint64_t released = leat__load_relaxed64(&memory.receiver->released), end = released + CAPACITY;
    assert_int_equal(leat__load_relaxed64(&memory.sender->position), tx.lane.position);
    assert_int_equal(leat__load_relaxed64(&memory.receiver->position), rx.lane.position);
    assert_true(released <= rx.lane.position && rx.lane.position <= tx.lane.position && tx.lane.position < end);
    assert_int_equal(released, rx.lane.position / 64 * 64);
    assert_int_equal(leat__load_relaxed64(leat__word_at(&memory, tx.lane.position)), 0); /* I1 */
    for (uint64_t line = tx.lane.position / 64 * 64 + 64; line < end; line += 64)
        assert_int_equal(leat__load_relaxed64(leat__word_at(&memory, line)), 0); /* I2 */
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

/* Brings the write position to a place, with everything received, or with as much as fits left in the ring. */
static void start_at(uint64_t place, bool full) {
    start_ring();
    while (tx.lane.position < place) {
        send(tx.lane.position % 64 == 0 && tx.lane.position + 64 <= place ? 56 : 8);
        receive(2);
    }
    assert_int_equal(tx.lane.position, place);
    while (full && fits(56))
        send(56);
}

static void every_sequence_of_operations_keeps_the_queue(void **state) {
    (void)state;
    static const uint64_t places[] = {0, 16, 48, 2048, 2064, CAPACITY - 64, CAPACITY - 32, 3 * CAPACITY - 16};
    long depth = harness_setting("LEAT_RING_DEPTH", 4);
    assert_in_range(depth, 1, 15);
    nodes = 0;
    for (size_t i = 0; i < 2 * sizeof places / sizeof places[0]; i++) {
        start_at(places[i / 2], i % 2 != 0);
        descend(depth);
    }
    print_message("%llu states\n", (unsigned long long)nodes);
}

/* Marks until no more go in, on top of as many messages as go in: still the place behind them is free, and tells a receiver that
 * looks at everything before it releases anything where the end is. */
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
    start_ring();
    for (int step = 0; step < 1000000; step++) {
        size_t operation = harness_random(&random) % (OPERATIONS + 6);
        if (operation < OPERATIONS)
            operate(operation);
        else
            receive((unsigned)operation);
        check_invariants();
    }
    check_end();
}

/* --- Hostile words ------------------------------------------------------------------------------------------------ */

static uint64_t random_state;

/* Values that something could go wrong with, near a word's true value and at the ends of the range; then random ones. */
static uint64_t hostile_value(unsigned choice, uint64_t truth) {
    static const uint64_t offsets[] = {0, 1, 7, 8, 15, 16, 32, 63, 64, 128, CAPACITY - 64, CAPACITY - 16, CAPACITY - 8,
                                       CAPACITY - 1, CAPACITY, CAPACITY + 16, CAPACITY + 64, 2 * CAPACITY};
    static const uint64_t ends[] = {0, 1, 16, 64, UINT32_MAX, UINT64_C(1) << 32, INT64_MAX, UINT64_C(1) << 63,
                                    UINT64_MAX, UINT64_MAX - 15, UINT64_MAX - 63, UINT64_MAX - CAPACITY + 1};
    const unsigned near_ones = sizeof offsets / sizeof offsets[0], far_ones = sizeof ends / sizeof ends[0];
    if (choice < 2 * near_ones)
        return choice % 2 ? truth + offsets[choice / 2] : truth - offsets[choice / 2];
    if (choice < 2 * near_ones + far_ones)
        return ends[choice - 2 * near_ones];
    uint64_t random = harness_random(&random_state);
    return choice % 2 ? random : truth + random % (4 * CAPACITY);
}
#define HOSTILE_VALUES 120

static void require_one_of(int result, const char *what) {
    if (result != LEAT_OK && result != LEAT_EAGAIN && result != LEAT_ECORRUPT)
        harness_fail("%s gave %s", what, leat_error_name(result));
}

/* Whatever a receiver is shown, it stays inside the ring and comes to an end. */
static void receive_whatever_there_is(void) {
    struct leat__record record;
    static volatile unsigned char sum;
    int result = LEAT_OK;
    for (unsigned steps = 0; result == LEAT_OK; steps++) {
        assert_true(steps <= CAPACITY / 16);
        result = leat__ring_look(&rx, rx.lane.position, &record);
        require_one_of(result, "look");
        if (result != LEAT_OK)
            break;
        assert_true(record.payload >= memory.ring && record.length <= CAPACITY &&
                    record.payload + record.length <= memory.ring + CAPACITY);
        assert_true(record.end > rx.lane.position && record.end - rx.lane.position <= CAPACITY);
        for (uint64_t i = 0; i < record.length; i++)
            sum = (unsigned char)(sum + record.payload[i]);
        leat__ring_release(&rx, record.end);
    }
}

static void send_whatever_fits(void) {
    void *payload;
    for (size_t i = 0; i < SIZES; i++) {
        int result = leat__ring_reserve(&tx, sizes[i], &payload);
        require_one_of(result, "reserve");
        if (result != LEAT_OK)
            continue;
        assert_true((unsigned char *)payload >= memory.ring &&
                    (unsigned char *)payload + sizes[i] <= memory.ring + CAPACITY);
        memset(payload, 0xFF, sizes[i]);
        leat__ring_stage(&tx, sizes[i] / 2);
        if (i % 3 == 0)
            leat__ring_forget(&tx);
        leat__ring_publish(&tx);
        require_one_of(leat__ring_mark(&tx, LEAT__END_MARK, 1), "mark");
    }
    require_one_of(leat__ring_refresh(&tx), "refresh");
}

/* A ring in the middle of its life: some received, some not. */
static void start_used_ring(unsigned variant) {
    static const uint64_t places[] = {0, 16, CAPACITY - 64, CAPACITY + 2000};
    start_at(places[variant % 4], variant >= 4);
    if (variant < 4)
        send_batch();
    receive(1);
}

static void hostile_header_words_are_refused(void **state) {
    (void)state;
    static const uint64_t lengths[] = {0, 7, 8, 9, 24, 40, 56, 57, MAX_MESSAGE, MAX_MESSAGE + 1, CAPACITY - 16, CAPACITY - 8,
                                       CAPACITY, CAPACITY + 8, UINT32_MAX, UINT32_MAX - 7, UINT32_MAX - 15};
    random_state = harness_seed();
    for (unsigned variant = 0; variant < 8; variant++) {
        struct snapshot before;
        start_used_ring(variant);
        save(&before);
        for (unsigned type = 0; type < 256; type++)
            for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
                for (unsigned tag = 0; tag < 4; tag++) {
                    uint64_t claimed = rx.lane.position + (tag == 1 ? 16 : tag == 2 ? CAPACITY : 0);
                    uint64_t word = leat__record_header(claimed, (enum leat__record_type)type, lengths[i]);
                    leat__store_relaxed64(leat__word_at(&memory, rx.lane.position), word ^ (tag == 3 ? harness_random(&random_state) : 0));
                    receive_whatever_there_is();
                    restore(&before);
                }
    }
}

static void a_ring_full_of_noise_is_refused(void **state) {
    (void)state;
    random_state = harness_seed();
    start_used_ring(3);
    struct snapshot before;
    save(&before);
    for (int round = 0; round < 20000; round++) {
        for (uint64_t position = 0; position < CAPACITY; position += 16) { /* headers that could stand there, most of them */
            uint64_t random = harness_random(&random_state), at = rx.lane.position / CAPACITY * CAPACITY + position;
            at += at < rx.lane.position ? CAPACITY : 0;
            uint64_t word = leat__record_header(at, (enum leat__record_type)(random % 5), random >> 32 & 0xff & ~(random >> 8 & 7));
            leat__store_relaxed64(leat__word_at(&memory, position), random % 64 == 63 ? random : word);
        }
        receive_whatever_there_is();
        rx.corrupt = false;
        require_one_of(leat__ring_sender_recover(&tx, &memory), "recover");
        if (!tx.corrupt)
            send_whatever_fits();
        restore(&before);
    }
}

/* Puts each hostile value into the word and calls. */
static void with_hostile(leat__u64 *word, void (*call)(void)) {
    for (unsigned variant = 0; variant < 8; variant++) {
        struct snapshot before;
        start_used_ring(variant);
        save(&before);
        uint64_t truth = leat__load_relaxed64(word);
        for (unsigned choice = 0; choice < HOSTILE_VALUES; choice++) {
            leat__store_relaxed64(word, hostile_value(choice, truth));
            call();
            restore(&before);
        }
    }
}

static void recover_sender(void) {
    int result = leat__ring_sender_recover(&tx, &memory);
    require_one_of(result, "recover");
    if (result == LEAT_OK)
        send_whatever_fits();
}

static void recover_receiver(void) {
    int result = leat__ring_receiver_recover(&rx, &memory);
    require_one_of(result, "recover");
    if (result == LEAT_OK)
        receive_whatever_there_is();
}

static void resume_sender(void) {
    int result = leat__ring_sender_resume(&tx);
    require_one_of(result, "resume");
    if (result == LEAT_OK)
        send_whatever_fits();
}

static void hostile_positions_are_refused(void **state) {
    (void)state;
    random_state = harness_seed();
    with_hostile(&memory.receiver->released, send_whatever_fits);
    with_hostile(&memory.receiver->position, send_whatever_fits);
    with_hostile(&memory.receiver->released, recover_sender);
    with_hostile(&memory.receiver->position, recover_sender);
    with_hostile(&memory.sender->position, recover_sender);
    with_hostile(&memory.sender->position, resume_sender);
    with_hostile(&memory.sender->position, receive_whatever_there_is);
    with_hostile(&memory.receiver->position, recover_receiver);
    with_hostile(&memory.receiver->released, recover_receiver);
}

/* --- Words that change while they are looked at ------------------------------------------------------------------- */

static atomic_bool scribbling;

static void *scribble(void *context) {
    uint64_t state = *(uint64_t *)context, truth = leat__load_relaxed64(&memory.receiver->position);
    while (atomic_load(&scribbling)) {
        uint64_t random = harness_random(&state);
        leat__store_relaxed64(&memory.receiver->position, truth);
        leat__store_relaxed64(&memory.receiver->position, hostile_value((unsigned)(random % 36), truth));
        if (random % 8 == 0)
            leat__store_relaxed64(&memory.receiver->released, hostile_value((unsigned)(random >> 8) % 36, truth / 64 * 64));
        leat__store_relaxed64(&memory.receiver->released, truth / 64 * 64);
    }
    return NULL;
}

/* A receiver that rewrites its positions all the time: each of them is checked in the copy that is used. */
static void positions_that_keep_changing_do_no_harm(void **state) {
    (void)state;
    static const uint64_t places[] = {0, 64, 2000, CAPACITY - 64, CAPACITY - 16};
    random_state = harness_seed();
    uint64_t end = harness_now() + 3000000000u;
    for (unsigned round = 0; harness_now() < end; round++) {
        pthread_t thread;
        start_at(places[round % 5], false);
        struct snapshot before;
        save(&before);
        atomic_store(&scribbling, true);
        assert_int_equal(pthread_create(&thread, NULL, scribble, &random_state), 0);
        for (int i = 0; i < 20000; i++) {
            recover_sender();
            memcpy(memory.sender, before.words[0], sizeof before.words[0]);
            memcpy(memory.ring, before.ring, CAPACITY);
        }
        atomic_store(&scribbling, false);
        pthread_join(thread, NULL);
    }
}

#define RING_TEST(function, seconds)                                                                                  \
    cmocka_unit_test_prestate_setup_teardown(function, set_up, tear_down, (&(struct harness_test){#function, seconds}))

static int set_up(void **state) {
    return harness_setup(state) | make_memory(state);
}

static int tear_down(void **state) {
    return drop_memory(state) | harness_teardown(state);
}

int main(void) {
    cmocka_set_test_filter(getenv("LEAT_RING_ONLY"));
    const struct CMUnitTest tests[] = {
        RING_TEST(every_sequence_of_operations_keeps_the_queue, 120),
        RING_TEST(a_ring_full_of_marks_is_received_at_one_go, 30),
        RING_TEST(a_long_walk_keeps_the_queue, 30),
        RING_TEST(hostile_header_words_are_refused, 30),
        RING_TEST(a_ring_full_of_noise_is_refused, 60),
        RING_TEST(hostile_positions_are_refused, 30),
        RING_TEST(positions_that_keep_changing_do_no_harm, 30),
    };
    return HARNESS_MAIN("ring_exhaustive", tests);
}
