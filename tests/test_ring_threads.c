/* test_ring_threads.c - the ring between two threads on one mapping, so that the thread sanitizer
 * sees both roles (two mappings of one page are different memory to it, and between processes it
 * sees nothing): every byte that crosses must be ordered by the header's commit or by the hand-back
 * of lines. Also threads that open and close handles of their own at the same time. */
#include "handles.h"
#include "harness.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "channels/queue/ring.h"
#include "stream.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define MESSAGES 75000u
#else
#define MESSAGES 500000u
#endif

struct ring {
    struct leat__ring_memory memory;
    uint64_t seed, max;
    bool batches;
};

static struct ring new_ring(uint64_t capacity, bool batches,
                            const struct leat__processor *processor) {
    struct ring ring = {.seed = harness_seed() + capacity, .batches = batches};
    ring.memory.sender = aligned_alloc(LEAT__PAGE, LEAT__PAGE);
    ring.memory.receiver = aligned_alloc(LEAT__PAGE, LEAT__PAGE);
    ring.memory.ring = aligned_alloc(LEAT__PAGE, capacity);
    ring.memory.capacity = capacity;
    ring.memory.processor = processor;
    ring.max = leat__max_message(capacity) < 500 ? leat__max_message(capacity) : 500;
    memset(ring.memory.sender, 0, LEAT__PAGE);
    memset(ring.memory.receiver, 0, LEAT__PAGE);
    memset(ring.memory.ring, 0, capacity);
    return ring;
}

static void free_ring(struct ring *ring) {
    free(ring->memory.sender);
    free(ring->memory.receiver);
    free(ring->memory.ring);
}

static void *send_all(void *context) {
    const struct ring *ring = context;
    struct leat__ring_sender sender;
    if (leat__ring_sender_recover(&sender, &ring->memory) != LEAT_OK)
        abort();
    for (uint64_t sequence = 0; sequence < MESSAGES;) {
        size_t size = stream_size(ring->seed, sequence, ring->max);
        void *payload;
        if (leat__ring_reserve(&sender, size, &payload) != LEAT_OK) {
            leat__ring_publish(&sender);
            sched_yield();
            continue;
        }
        stream_fill(payload, sequence, size);
        leat__ring_stage(&sender, size);
        sequence++;
        if (!ring->batches || sequence % 7 == 0)
            leat__ring_publish(&sender);
    }
    leat__ring_publish(&sender);
    return NULL;
}

static void *receive_all(void *context) {
    const struct ring *ring = context;
    struct leat__ring_receiver receiver;
    struct leat__record record;
    if (leat__ring_receiver_recover(&receiver, &ring->memory) != LEAT_OK)
        abort();
    uint64_t at = receiver.lane.position;
    for (uint64_t sequence = 0; sequence < MESSAGES;) {
        int result = leat__ring_poll(&receiver, at, &record);
        if (result == LEAT_EAGAIN) {
            leat__ring_release(&receiver, at);
            sched_yield();
            continue;
        }
        bool message = result == LEAT_OK && record.type == LEAT__MESSAGE;
        if (result != LEAT_OK ||
            (message && (record.length != stream_size(ring->seed, sequence, ring->max) ||
                         !stream_holds(record.payload, sequence, (size_t)record.length))))
            return (void *)(uintptr_t) "a message is not what was sent";
        sequence += message;
        at = record.end;
        if (!ring->batches || sequence % 5 == 0)
            leat__ring_release(&receiver, at);
    }
    return NULL;
}

static void run_on(uint64_t capacity, bool batches, const struct leat__processor *processor) {
    struct ring ring = new_ring(capacity, batches, processor);
    pthread_t sender, receiver;
    void *complaint = NULL;
    assert_int_equal(pthread_create(&receiver, NULL, receive_all, &ring), 0);
    assert_int_equal(pthread_create(&sender, NULL, send_all, &ring), 0);
    pthread_join(sender, NULL);
    pthread_join(receiver, &complaint);
    free_ring(&ring);
    if (complaint != NULL)
        harness_fail("%s", (const char *)complaint);
}

static void run(uint64_t capacity, bool batches) {
    static const struct leat__processor wiping = {.wipe = 128}, fetching = {.fetch = true};
    run_on(capacity, batches, &wiping);
    run_on(capacity, batches, &fetching);
}

static void messages_cross_between_threads_one_by_one(void **state) {
    (void)state;
    run(4096, false);
    run(65536, false);
}

static void messages_cross_between_threads_in_batches(void **state) {
    (void)state;
    run(4096, true);
    run(65536, true);
}

/* --- Handles ---------------------------------------------------------------------------------- */

static void *open_and_close(void *context) {
    for (int i = 0; i < 300; i++) {
        leat_region *region = NULL;
        leat_sender *sender = NULL;
        if (open_or_create_region(&region, "threads", 0, NULL) != LEAT_OK)
            return (void *)(uintptr_t) "a region";
        int result = leat_sender_open(&sender, "threads-channel", NULL);
        if (result != LEAT_OK && result != LEAT_EBUSY)
            return (void *)(uintptr_t) "a sender";
        if (i % 50 == 0 && leat_gc(LEAT_LOCAL, NULL, NULL) != LEAT_OK)
            return (void *)(uintptr_t) "a collection";
        leat_sender_close(sender);
        leat_region_close(region);
    }
    (void)context;
    return NULL;
}

static void threads_open_and_close_handles_of_their_own(void **state) {
    (void)state;
    pthread_t threads[4];
    void *complaint = NULL;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, open_and_close, NULL), 0);
    for (int i = 0; i < 4; i++) {
        void *one;
        pthread_join(threads[i], &one);
        complaint = one != NULL ? one : complaint;
    }
    if (complaint != NULL)
        harness_fail("%s failed: %s", (const char *)complaint, leat_error_detail());
    assert_int_equal(harness_names_left(), 0);
}

#define EXCHANGED 50000u

static void *exchange(void *context) {
    leat_receiver *rx = context;
    uint32_t got;
    size_t size;
    for (uint32_t i = 0; i < EXCHANGED; i++)
        if (leat_recv(rx, &got, sizeof got, &size, leat_in_ms(20000)) != LEAT_OK || got != i)
            return (void *)(uintptr_t) "receiving";
    return NULL;
}

static void two_threads_talk_through_a_channel(void **state) {
    (void)state;
    leat_sender *tx;
    leat_receiver *rx;
    pthread_t thread;
    void *complaint;
    assert_ok(leat_sender_open(&tx, "talk", &(leat_channel_options){.capacity = 4096}));
    assert_ok(leat_receiver_open(&rx, "talk", NULL));
    assert_int_equal(pthread_create(&thread, NULL, exchange, rx), 0);
    for (uint32_t i = 0; i < EXCHANGED; i++)
        assert_ok(leat_send(tx, &i, sizeof i, leat_in_ms(20000)));
    pthread_join(thread, &complaint);
    assert_null(complaint);
    leat_sender_close(tx);
    leat_receiver_close(rx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST_WITHIN(messages_cross_between_threads_one_by_one, 300),
        HARNESS_TEST_WITHIN(messages_cross_between_threads_in_batches, 300),
        HARNESS_TEST(threads_open_and_close_handles_of_their_own),
        HARNESS_TEST(two_threads_talk_through_a_channel),
    };
    return HARNESS_MAIN("ring_threads", tests);
}
