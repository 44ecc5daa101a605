/* uv_loop.h - what the tests of leat_uv share: a loop that is closed with nothing left, and a limit
 * on how long it runs. */
#ifndef LEAT_TESTS_UV_LOOP_H
#define LEAT_TESTS_UV_LOOP_H

#include <leat/uv.h>

#include "channel_pair.h"

#define assert_uv(call) assert_int_equal((call), 0)

static uv_loop_t loop;

static inline void begin(void) {
    assert_uv(uv_loop_init(&loop));
}

/* Runs what is left, and requires that nothing is. */
static inline void end(void) {
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_uv(uv_loop_close(&loop));
}

static unsigned closed;

static inline void count_closed(leat_uv_handle_t *handle) {
    (void)handle;
    closed++;
}

/* A loop that does not end in time is a failure that says so. */
static inline void too_late(uv_timer_t *timer) {
    harness_fail("%s does not come", (const char *)timer->data);
}

static uv_timer_t guard;

static inline void within_seconds(const char *what) {
    assert_uv(uv_timer_init(&loop, &guard));
    guard.data = (void *)(uintptr_t)what;
    uv_unref((uv_handle_t *)&guard);
    assert_uv(uv_timer_start(&guard, too_late, 10000 * harness_patience(), 0));
}

/* Turns until the loop would sleep, even if nothing but the guard keeps it. */
static inline void turn_until_quiet(void) {
    uv_ref((uv_handle_t *)&guard);
    do
        uv_run(&loop, UV_RUN_NOWAIT);
    while (uv_backend_timeout(&loop) == 0);
    uv_unref((uv_handle_t *)&guard);
}

struct stream {
    const char *name;
    uint32_t from, to;
    uint64_t pause_ns;
    bool dies;
};

#endif
