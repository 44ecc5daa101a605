/* channel_pair.h - both ends of one channel in one process, and the shortest way to say what they
 * do. */
#ifndef LEAT_TESTS_CHANNEL_PAIR_H
#define LEAT_TESTS_CHANNEL_PAIR_H

#include <string.h>

#include "harness.h"

#define SOON leat_in_ms(30)                         /* a deadline that is expected to pass */
#define LATER leat_in_ms(5000 * harness_patience()) /* one that is not */

struct pair {
    leat_sender *tx;
    leat_receiver *rx;
};

static inline leat_sender *open_sender(const char *name, const leat_channel_options *options) {
    leat_sender *sender = NULL;
    assert_ok(leat_sender_open(&sender, name, options));
    return sender;
}

static inline leat_receiver *open_receiver(const char *name, const leat_channel_options *options) {
    leat_receiver *receiver = NULL;
    assert_ok(leat_receiver_open(&receiver, name, options));
    return receiver;
}

static inline struct pair open_pair(const char *name, uint64_t capacity) {
    leat_channel_options options = {.capacity = capacity};
    return (struct pair){open_sender(name, &options), open_receiver(name, &options)};
}

static inline void close_pair(struct pair *pair) {
    leat_sender_close(pair->tx);
    leat_receiver_close(pair->rx);
}

#define send_text(tx, text) assert_ok(leat_send(tx, text, strlen(text), LEAT_NOW))

/* Receives by copy and compares. */
#define expect_text(rx, text)                                                                      \
    do {                                                                                           \
        char got_[256] = "";                                                                       \
        size_t size_ = 0;                                                                          \
        assert_ok(leat_recv(rx, got_, sizeof got_ - 1, &size_, LATER));                            \
        got_[size_] = '\0';                                                                        \
        assert_string_equal(got_, text);                                                           \
    } while (0)

/* Receiving gives this code instead of a message. */
#define expect_news(rx, code, deadline)                                                            \
    do {                                                                                           \
        char got_[8];                                                                              \
        size_t size_ = 12345;                                                                      \
        assert_leat(leat_recv(rx, got_, sizeof got_, &size_, deadline), code);                     \
        assert_int_equal(size_, 12345);                                                            \
    } while (0)

/* Sends messages of `size` bytes until there is no room; gives how many went in. With `news`, what
 * the last try gave instead of LEAT_EAGAIN is noted there: a try that finds no room is told of the
 * receiver as a wait is. */
static inline size_t fill_up_noting(leat_sender *tx, size_t size, int *event) {
    static const char zeros[70000];
    size_t count = 0;
    int result;
    while ((result = leat_send(tx, zeros, size, LEAT_NOW)) == LEAT_OK)
        count++;
    if (event != NULL)
        *event = result;
    else
        assert_leat(result, LEAT_EAGAIN);
    return count;
}

static inline size_t fill_up(leat_sender *tx, size_t size) {
    return fill_up_noting(tx, size, NULL);
}

/* Fills the ring and waits; gives what the sender is told about its receiver, by whichever call,
 * and how many went in. */
static inline int fill_up_until_told(leat_sender *tx, size_t *count) {
    static const char message[100];
    int event;
    size_t filled = fill_up_noting(tx, sizeof message, &event);
    if (count != NULL)
        *count = filled;
    return event != LEAT_EAGAIN ? event : leat_send(tx, message, sizeof message, LATER);
}

/* Receives until there is nothing; gives how many came. */
static inline size_t empty_out(leat_receiver *rx) {
    static char buffer[70000];
    size_t size, count = 0;
    int result;
    while ((result = leat_recv(rx, buffer, sizeof buffer, &size, LEAT_NOW)) == LEAT_OK)
        count++;
    assert_leat(result, LEAT_EAGAIN);
    return count;
}

/* For harness_spawn: sends without end to the channel "flood", until the word is not 0. */
static inline int flood(void *context) {
    harness_word *stop = context;
    leat_sender *sender = open_sender("flood", NULL);
    char message[64] = "flood";
    while (atomic_load(stop) == 0) {
        int result = leat_send(sender, message, sizeof message, leat_in_ms(100));
        assert_true(result == LEAT_OK || result == LEAT_ETIMEDOUT || result == LEAT_ECLOSED);
    }
    leat_sender_close(sender);
    return 0;
}

#endif
