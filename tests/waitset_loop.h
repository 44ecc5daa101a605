/* waitset_loop.h - the shortest event loop: a wait set, poll, and its ready members. */
#ifndef LEAT_TESTS_WAITSET_LOOP_H
#define LEAT_TESTS_WAITSET_LOOP_H

#include <poll.h>

#include "harness.h"
#include "leat/waitset.h"

static inline leat_waitset *open_waitset(void) {
    leat_waitset *waitset = NULL;
    assert_ok(leat_waitset_open(&waitset));
    return waitset;
}

/* Sleeps until the descriptor is readable. */
static inline bool is_readable(const leat_waitset *waitset, int milliseconds) {
    struct pollfd ready = {.fd = leat_waitset_descriptor(waitset), .events = POLLIN};
    int count;
    while ((count = poll(&ready, 1, milliseconds * (int)harness_patience())) < 0)
        ;
    return count == 1 && (ready.revents & POLLIN) != 0;
}

/* The next ready member, or NULL. */
static inline void *next_ready(leat_waitset *waitset) {
    void *data = NULL;
    int result = leat_waitset_next(waitset, &data);
    if (result != LEAT_OK)
        assert_leat(result, LEAT_EAGAIN);
    return result == LEAT_OK ? data : NULL;
}

/* Sleeps until a member is ready, and counts how often it woke up for that. */
static inline void *next_named_within(leat_waitset *waitset, int milliseconds, uint32_t *wakes) {
    void *data;
    for (; (data = next_ready(waitset)) == NULL; ++*wakes)
        if (!is_readable(waitset, milliseconds))
            harness_fail("the wait set does not become readable");
    return data;
}

static inline void *next_named(leat_waitset *waitset) {
    uint32_t wakes = 0;
    return next_named_within(waitset, 10000, &wakes);
}

static inline leat_waitset_statistics statistics_of(const leat_waitset *waitset) {
    leat_waitset_statistics statistics;
    leat_waitset_info(waitset, &statistics);
    return statistics;
}

/* Those that do not look for a while before they sleep: so that what the wait set does is known. */
static const leat_channel_options sleeps __attribute__((unused)) = {.spin_us = LEAT_SPIN_NONE};

/* Takes what a sender's coming leaves in the channel. */
static inline void take_marks(leat_waitset *waitset, leat_receiver *receiver) {
    char byte;
    size_t size;
    while (next_ready(waitset) != NULL)
        assert_leat(leat_recv(receiver, &byte, 1, &size, LEAT_NOW), LEAT_EAGAIN);
}

/* Then nothing waits. */
static inline void settle(leat_waitset *waitset, leat_receiver *receiver) {
    take_marks(waitset, receiver);
    assert_false(is_readable(waitset, 0));
}

/* The limit of the time is only against nonsense. */
static inline uint64_t check_wakes(const leat_statistics *statistics) {
    assert_true(statistics->wakes > 0 ? statistics->wake_ns > 0 : statistics->wake_ns == 0);
    assert_true(statistics->wake_ns <= statistics->wakes * UINT64_C(60000000000));
    return statistics->wakes;
}

static inline uint64_t wakes_of_receiver(leat_receiver *receiver) {
    leat_statistics statistics;
    leat_receiver_statistics(receiver, &statistics);
    return check_wakes(&statistics);
}

static inline uint64_t wakes_of_sender(leat_sender *sender) {
    leat_statistics statistics;
    leat_sender_statistics(sender, &statistics);
    return check_wakes(&statistics);
}

static inline uint64_t wake_calls(leat_sender *sender) {
    leat_statistics statistics;
    leat_sender_statistics(sender, &statistics);
    return statistics.wake_calls;
}

#endif
