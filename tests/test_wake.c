/* test_wake.c - the loop in which everything waits (lib/wake/wait.h), with a wait that records its
 * calls. */
#include <string.h>

#include "harness.h"
#include "lib/wake/wait.h"

#define MS UINT64_C(1000000)

/* Each call is a letter: p poll, s asks_now, k ask the kernel, l the same before it gives up, a
 * arm, z sleep, d disarm. Polls in a row are one letter. */
struct script {
    char calls[64];
    size_t count;
    const char *ready_after; /* ready from when the calls end like this; NULL: never */
    bool ready;
    uint64_t slice_ns;
    bool asks_now;
    int event; /* what asking returns */
    int slept; /* what sleeping returns */
    uint64_t until_ns;
};

static void note(struct script *script, char call) {
    bool again = call == 'p' && script->count > 0 && script->calls[script->count - 1] == 'p';
    if (!again && script->count + 1 < sizeof script->calls)
        script->calls[script->count++] = call;
}

static bool is_ready(void *context) {
    struct script *script = context;
    size_t length = script->ready_after != NULL ? strlen(script->ready_after) : 0;
    bool ends = length > 0 && script->count >= length &&
                memcmp(script->calls + script->count - length, script->ready_after, length) == 0;
    script->ready = script->ready || ends;
    note(script, 'p');
    return script->ready;
}

static bool asks_now(void *context) {
    struct script *script = context;
    note(script, 's');
    return script->asks_now;
}

static int ask(void *context, uint64_t now_ns, bool last, uint64_t *again_ns) {
    struct script *script = context;
    note(script, last ? 'l' : 'k');
    *again_ns = now_ns + script->slice_ns;
    return script->event;
}

static void arm(void *context) {
    note(context, 'a');
}

static int sleep_until(void *context, uint64_t now_ns, uint64_t until_ns) {
    struct script *script = context;
    (void)now_ns;
    note(script, 'z');
    script->until_ns = until_ns;
    leat__os_sleep(until_ns);
    return script->slept;
}

static void disarm(void *context) {
    note(context, 'd');
}

static int wait_for(struct script *script, struct leat__spin *spin, uint64_t ask_at_ns,
                    uint64_t deadline_ns) {
    static const struct leat__wait_kind kind = {.ready = is_ready,
                                                .ask = ask,
                                                .arm = arm,
                                                .sleep = sleep_until,
                                                .disarm = disarm},
                                        stirring = {.ready = is_ready,
                                                    .asks_now = asks_now,
                                                    .ask = ask,
                                                    .arm = arm,
                                                    .sleep = sleep_until,
                                                    .disarm = disarm};
    struct leat__spin none = {0};
    struct leat__wait wait = {
        .kind = script->asks_now ? &stirring : &kind,
        .context = script,
        .spin = spin != NULL ? spin : &none,
        .ask_at_ns = ask_at_ns,
        .deadline_ns = deadline_ns,
        .interruptible = true,
    };
    return leat__wait(&wait);
}

static void a_sleep_is_armed_and_polled_for_first(void **state) {
    struct script script = {.ready_after = "kpapzd", .slice_ns = MS};
    (void)state;
    assert_int_equal(wait_for(&script, NULL, 0, LEAT_FOREVER), LEAT_OK);
    assert_string_equal(script.calls, "kpapzdp");
}

static void what_came_before_the_sleep_ends_it(void **state) {
    struct script script = {.ready_after = "a", .slice_ns = MS};
    (void)state;
    assert_int_equal(wait_for(&script, NULL, 0, LEAT_FOREVER), LEAT_OK);
    assert_string_equal(script.calls, "kpapdp");
}

static void a_spin_that_pays_asks_nothing(void **state) {
    struct script script = {.ready_after = "p", .slice_ns = MS};
    struct leat__spin spin = {.ns = MS};
    (void)state;
    assert_int_equal(wait_for(&script, &spin, 0, LEAT_FOREVER), LEAT_OK);
    assert_string_equal(script.calls, "p");
}

static void a_long_spin_is_cut_by_questions(void **state) {
    struct script script = {.ready_after = "pk", .slice_ns = LEAT__SLICE_NS};
    struct leat__spin spin = {.ns = 1000 * LEAT__SLICE_NS};
    (void)state;
    uint64_t began = leat__os_now();
    assert_int_equal(wait_for(&script, &spin, began + LEAT__SLICE_NS, LEAT_FOREVER), LEAT_OK);
    assert_string_equal(script.calls, "pkp");
    assert_true(leat__os_now() - began < 100 * LEAT__SLICE_NS);
}

static void the_kernel_is_asked_once_in_a_slice_and_before_giving_up(void **state) {
    struct script script = {.slice_ns = 1000000 * MS};
    (void)state;
    uint64_t deadline = leat__os_now() + 300 * MS;
    assert_int_equal(wait_for(&script, NULL, 0, deadline), LEAT_ETIMEDOUT);
    assert_string_equal(script.calls, "kpapzdplp");
    assert_int_equal(script.until_ns, deadline);
}

static void a_sleep_ends_when_the_next_question_is_due(void **state) {
    struct script script = {.ready_after = "zdpk", .slice_ns = MS};
    (void)state;
    uint64_t due = leat__os_now() + 300 * MS;
    assert_int_equal(wait_for(&script, NULL, due, LEAT_FOREVER), LEAT_OK);
    assert_string_equal(script.calls, "papzdpkp");
    assert_int_equal(script.until_ns, due);
}

static void a_wait_that_stirs_asks_at_once(void **state) {
    struct script script = {.asks_now = true, .event = LEAT_EPEERDIED, .slice_ns = MS};
    (void)state;
    assert_int_equal(wait_for(&script, NULL, UINT64_MAX, LEAT_FOREVER), LEAT_EPEERDIED);
    assert_string_equal(script.calls, "sk");
}

static void a_signal_ends_it_disarmed(void **state) {
    struct script script = {.slept = LEAT_EINTR, .slice_ns = MS};
    (void)state;
    assert_int_equal(wait_for(&script, NULL, 0, LEAT_FOREVER), LEAT_EINTR);
    assert_string_equal(script.calls, "kpapzdp");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(a_sleep_is_armed_and_polled_for_first),
        HARNESS_TEST(what_came_before_the_sleep_ends_it),
        HARNESS_TEST(a_spin_that_pays_asks_nothing),
        HARNESS_TEST(a_long_spin_is_cut_by_questions),
        HARNESS_TEST(the_kernel_is_asked_once_in_a_slice_and_before_giving_up),
        HARNESS_TEST(a_sleep_ends_when_the_next_question_is_due),
        HARNESS_TEST(a_wait_that_stirs_asks_at_once),
        HARNESS_TEST(a_signal_ends_it_disarmed),
    };
    return HARNESS_MAIN("wake", tests);
}
