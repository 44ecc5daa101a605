/* crash_wait.h - sending and receiving as a survivor of the crash test does: in a call that waits,
 * or in an event loop of its own. */
#ifndef LEAT_TESTS_CRASH_WAIT_H
#define LEAT_TESTS_CRASH_WAIT_H

#include <poll.h>
#include <stdlib.h>

#include "crash_round.h"
#include "leat/waitset.h"

/* Puts what the round has opened into a wait set, if its survivors, or its victim, wait in
 * loops. */
static inline void crash_enter_loop(struct crash_round *round) {
    assert_ok(leat_waitset_open(&round->waitset));
    if (round->rx != NULL)
        assert_ok(leat_waitset_add_receiver(round->waitset, round->rx, round));
    else
        assert_ok(leat_waitset_add_sender(round->waitset, round->tx, round));
}

static inline void crash_leave_loop(struct crash_round *round) {
    leat_waitset_close(round->waitset);
    round->waitset = NULL;
}

/* Until a member is ready: true. Or the time is over. */
static inline bool crash_wait_in_loop(struct crash_round *round, uint64_t deadline_ns) {
    struct pollfd ready = {.fd = leat_waitset_descriptor(round->waitset), .events = POLLIN};
    for (;;) {
        void *data;
        int result = leat_waitset_next(round->waitset, &data);
        if (result == LEAT_OK)
            return true;
        assert_leat(result, LEAT_EAGAIN);
        uint64_t now = harness_now();
        if (now >= deadline_ns)
            return false;
        (void)poll(&ready, 1, (int)((deadline_ns - now) / 1000000 + 1));
    }
}

static inline int crash_recv(struct crash_round *round, void *bytes, size_t capacity, size_t *size,
                             uint64_t deadline_ns) {
    if (round->waitset == NULL)
        return leat_recv(round->rx, bytes, capacity, size, deadline_ns);
    for (;;) {
        int result = leat_recv(round->rx, bytes, capacity, size, LEAT_NOW);
        if (result != LEAT_EAGAIN)
            return result;
        if (!crash_wait_in_loop(round, deadline_ns))
            return LEAT_ETIMEDOUT;
    }
}

static inline int crash_try_send(struct crash_round *round, const void *bytes, size_t size,
                                 uint64_t deadline_ns) {
    if (round->waitset == NULL)
        return leat_send(round->tx, bytes, size, deadline_ns);
    for (;;) {
        int result = leat_send(round->tx, bytes, size, LEAT_NOW);
        if (result != LEAT_EAGAIN)
            return result;
        assert_ok(leat_waitset_want_room(round->tx, size));
        if (!crash_wait_in_loop(round, deadline_ns))
            return LEAT_ETIMEDOUT;
    }
}

#endif
