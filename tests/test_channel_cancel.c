/* test_channel_cancel.c - threads that are cancelled inside a call: nothing is lost or doubled, the
 * senders' lock is released, and the handle still works, in the thread's own cleanup handler and in
 * another thread. */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "channel_pair.h"

#define ROUNDS 300
#define SENDERS 3

static const leat_channel_options small = {.capacity = 4096};
static const leat_channel_options many = {.capacity = 4096, .many_senders = true};

/* One end, used by one thread after another. */
struct end {
    leat_sender *tx;
    leat_receiver *rx;
    uint64_t next[SENDERS]; /* the number of the next message, of each sender */
    unsigned self;
    bool cleaned; /* the cleanup handler of the last thread has run, and could use the handle */
};

struct numbered {
    uint64_t sender, number;
    char rest[200];
};

static void use_sender(void *context) {
    struct end *end = context;
    int result = leat_sender_drain(end->tx, LEAT_NOW); /* whatever it gives */
    end->cleaned = result != LEAT_EINVAL;
}

static void use_receiver(void *context) {
    struct end *end = context;
    leat_message message;
    int result = leat_peek(end->rx, &message, LEAT_NOW);
    leat_unpeek(end->rx);
    end->cleaned = result != LEAT_EINVAL;
}

static void *send_on(void *context) {
    struct end *end = context;
    struct numbered message = {.sender = end->self};
    pthread_cleanup_push(use_sender, end);
    for (;;) {
        message.number = end->next[0];
        if (leat_send(end->tx, &message, sizeof message, LEAT_FOREVER) == LEAT_OK)
            end->next[0]++;
        pthread_testcancel();
    }
    pthread_cleanup_pop(0);
    return NULL;
}

static void *receive_on(void *context) {
    struct end *end = context;
    struct numbered message;
    size_t size;
    pthread_cleanup_push(use_receiver, end);
    for (;;) {
        if (leat_recv(end->rx, &message, sizeof message, &size, LEAT_FOREVER) == LEAT_OK) {
            if (size != sizeof message || message.sender >= SENDERS ||
                message.number != end->next[message.sender])
                abort();
            end->next[message.sender]++;
        }
        pthread_testcancel();
    }
    pthread_cleanup_pop(0);
    return NULL;
}

static pthread_t start(void *(*run)(void *), struct end *end) {
    pthread_t thread;
    end->cleaned = false;
    assert_int_equal(pthread_create(&thread, NULL, run, end), 0);
    return thread;
}

static void cancel(pthread_t thread, const struct end *end) {
    void *result;
    assert_int_equal(pthread_cancel(thread), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, PTHREAD_CANCELED);
    assert_true(end->cleaned);
}

/* Receives what is still in the ring after all threads have ended. */
static void expect_rest(struct end *receiver, const struct end senders[], unsigned count) {
    struct numbered message;
    size_t size;
    while (leat_recv(receiver->rx, &message, sizeof message, &size, LEAT_NOW) == LEAT_OK) {
        assert_int_equal(message.number, receiver->next[message.sender]);
        receiver->next[message.sender]++;
    }
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(receiver->next[i], senders[i].next[0]);
}

static void stream_with_cancels(const leat_channel_options *options, unsigned count) {
    struct end senders[SENDERS] = {0}, receiver = {.rx = open_receiver("cancel", options)};
    pthread_t sending[SENDERS], receiving = start(receive_on, &receiver);
    uint64_t random = harness_seed();
    for (unsigned i = 0; i < count; i++) {
        senders[i] = (struct end){.tx = open_sender("cancel", options), .self = i};
        sending[i] = start(send_on, &senders[i]);
    }
    for (int round = 0; round < ROUNDS; round++) {
        unsigned victim = (unsigned)(harness_random(&random) % (count + 1));
        usleep((useconds_t)(harness_random(&random) % 2000)); /* the random moment */
        if (victim == count) {
            cancel(receiving, &receiver);
            usleep((useconds_t)(harness_random(&random) % 1000)); /* the senders come to wait */
            receiving = start(receive_on, &receiver);
        } else {
            cancel(sending[victim], &senders[victim]);
            usleep((useconds_t)(harness_random(&random) % 1000));
            sending[victim] = start(send_on, &senders[victim]);
        }
    }
    for (unsigned i = 0; i < count; i++)
        cancel(sending[i], &senders[i]);
    cancel(receiving, &receiver);
    expect_rest(&receiver, senders, count);
    for (unsigned i = 0; i < count; i++)
        leat_sender_close(senders[i].tx);
    leat_receiver_close(receiver.rx);
}

static void stream_whose_threads_are_cancelled_loses_and_doubles_nothing(void **state) {
    (void)state;
    stream_with_cancels(&small, 1);
}

static void stream_of_many_senders_whose_threads_are_cancelled_loses_nothing(void **state) {
    (void)state;
    stream_with_cancels(&many, SENDERS);
}

/* --- A thread that has slept for long --------------------------------------------------------- */

static void close_receiver(void *context) {
    struct end *end = context;
    leat_receiver_close(end->rx);
    end->cleaned = true;
}

static void *receive_for_ever(void *context) {
    struct end *end = context;
    char byte;
    size_t size;
    pthread_cleanup_push(close_receiver, end);
    (void)!leat_recv(end->rx, &byte, 1, &size, LEAT_FOREVER);
    pthread_cleanup_pop(0);
    return NULL;
}

static void cleanup_handler_closes_the_receiver_of_a_thread_that_slept_for_long(void **state) {
    (void)state;
    if (HARNESS_SANITIZED)
        skip();
    struct end receiver = {.rx = open_receiver("long", NULL)};
    leat_sender *tx = open_sender("long", NULL);
    pthread_t thread = start(receive_for_ever, &receiver);
    usleep(1200000); /* its slices are longer than a second by then */
    cancel(thread, &receiver);
    receiver.rx = open_receiver("long", NULL);
    send_text(tx, "on");
    expect_text(receiver.rx, "on");
    leat_receiver_close(receiver.rx);
    leat_sender_close(tx);
}

static void *send_into_full_ring(void *context) {
    static char zeros[1500];
    struct end *end = context;
    int result;
    while ((result = leat_send(end->tx, zeros, sizeof zeros, LEAT_FOREVER)) == LEAT_OK)
        ;
    return NULL;
}

static void cancelled_sender_gives_up_the_lock_and_its_place_in_the_queue(void **state) {
    (void)state;
    if (HARNESS_SANITIZED)
        skip();
    leat_receiver *rx = open_receiver("turn", &many);
    struct end one = {.tx = open_sender("turn", &many)}, two = {.tx = open_sender("turn", &many)};
    for (int round = 0; round < 3; round++) {
        pthread_t first, second;
        one.cleaned = two.cleaned = true; /* they have no handlers */
        assert_int_equal(pthread_create(&first, NULL, send_into_full_ring, &one), 0);
        assert_int_equal(pthread_create(&second, NULL, send_into_full_ring, &two), 0);
        usleep(100000 * (useconds_t)round + 20000);
        cancel(first, &one);
        cancel(second, &two);
        char buffer[1500];
        size_t size;
        while (leat_recv(rx, buffer, sizeof buffer, &size, LEAT_NOW) == LEAT_OK)
            ;
        assert_ok(leat_send(two.tx, "x", 1, LATER));
        assert_ok(leat_send(one.tx, "x", 1, LATER));
    }
    leat_sender_close(one.tx);
    leat_sender_close(two.tx);
    leat_receiver_close(rx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST_WITHIN(stream_whose_threads_are_cancelled_loses_and_doubles_nothing, 300),
        HARNESS_TEST_WITHIN(stream_of_many_senders_whose_threads_are_cancelled_loses_nothing, 300),
        HARNESS_TEST(cleanup_handler_closes_the_receiver_of_a_thread_that_slept_for_long),
        HARNESS_TEST(cancelled_sender_gives_up_the_lock_and_its_place_in_the_queue),
    };
    return HARNESS_MAIN("channel_cancel", tests);
}
