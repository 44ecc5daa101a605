/* test_policy.c - which policy a channel gets, what is refused, and that measuring one leaves nothing behind. */
#include <sched.h>
#include <stdlib.h>

#include "channel_pair.h"

static leat_policy policy_of(const char *name) {
    leat_channel_info info;
    assert_ok(leat_channel_info_read(name, LEAT_LOCAL, &info));
    return info.policy;
}

static void assert_policy(leat_policy policy, uint32_t spin_ns, uint32_t nap_ns, uint32_t wipe_bytes,
                          leat_policy_source source) {
    assert_int_equal(policy.spin_ns, spin_ns);
    assert_int_equal(policy.nap_ns, nap_ns);
    assert_int_equal(policy.wipe_bytes, wipe_bytes);
    assert_int_equal(policy.source, source);
}

static void a_channel_gets_what_is_known_of_the_processor(void **state) {
    (void)state;
    leat_policy chosen;
    assert_ok(leat_policy_choose(&chosen));
    assert_true(chosen.source == LEAT_POLICY_TABLE || chosen.source == LEAT_POLICY_DEFAULT);
    struct pair pair = open_pair("usual", 0);
    assert_policy(policy_of("usual"), chosen.spin_ns, chosen.nap_ns, chosen.wipe_bytes, chosen.source);
    close_pair(&pair);
}

static void the_environment_goes_before_the_table_and_the_creator_before_both(void **state) {
    (void)state;
    leat_policy chosen, given = {1, 2, 3, LEAT_POLICY_GIVEN};
    assert_ok(leat_policy_choose(&chosen));
    setenv("LEAT_POLICY", "wipe=192", 1);
    leat_sender *tx = open_sender("environment", NULL);
    leat_channel_options options = {.policy = &given};
    leat_receiver *rx = open_receiver("environment", &options); /* which exists: its policy stays */
    leat_sender *other = open_sender("given", &options);
    unsetenv("LEAT_POLICY");
    assert_policy(policy_of("environment"), chosen.spin_ns, chosen.nap_ns, 192, LEAT_POLICY_ENVIRONMENT);
    assert_policy(policy_of("given"), 1, 2, 3, LEAT_POLICY_GIVEN);
    leat_sender_close(tx);
    leat_receiver_close(rx);
    leat_sender_close(other);
}

static void every_policy_carries_every_message(void **state) {
    (void)state;
    static const leat_policy policies[] = {{0, 0, 0, 0}, {1000, 100, 64, 0}, {5000, 1000, 65536, 0}};
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
        leat_channel_options options = {.capacity = 4096, .policy = &policies[i]};
        struct pair pair = {open_sender("carried", &options), open_receiver("carried", &options)};
        for (size_t size = 0; size <= leat_sender_max_message(pair.tx); size += 1 + size / 16) {
            unsigned char sent[2048], got[2048];
            size_t length;
            memset(sent, (int)size | 1, size);
            assert_ok(leat_send(pair.tx, sent, size, LEAT_NOW));
            assert_ok(leat_recv(pair.rx, got, sizeof got, &length, LEAT_NOW));
            assert_int_equal(length, size);
            assert_memory_equal(got, sent, size);
        }
        expect_news(pair.rx, LEAT_EAGAIN, LEAT_NOW);
        expect_news(pair.rx, LEAT_ETIMEDOUT, leat_in_ms(2));
        close_pair(&pair);
    }
}

static void text_is_read_or_refused(void **state) {
    (void)state;
    static const char *const wrong[] = {"",        "spin",        "spin=",      "spin=-1",         "nap=1us",        "wipe=0x40",
                                        "=1",      "spin=1,",     ",spin=1",    "spin=1000000001", "nap=1000001",    "wipe=65537",
                                        "spin= 1", "spin=1;nap=", "SPIN=1",     "spin=1,dance=2",  "spin=4294967297", "wipe=99999999999999999999"};
    leat_policy policy = {1, 2, 3, LEAT_POLICY_MEASURED};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_leat(leat_policy_parse(&policy, wrong[i]), LEAT_EINVAL);
    assert_leat(leat_policy_parse(NULL, "spin=1"), LEAT_EINVAL);
    assert_leat(leat_policy_parse(&policy, NULL), LEAT_EINVAL);
    assert_policy(policy, 1, 2, 3, LEAT_POLICY_MEASURED);
    assert_ok(leat_policy_parse(&policy, "nap=1000000"));
    assert_policy(policy, 1, 1000000, 3, LEAT_POLICY_MEASURED);
    assert_ok(leat_policy_parse(&policy, "wipe=65536,spin=0,nap=0,spin=1000000000"));
    assert_policy(policy, 1000000000, 0, 65536, LEAT_POLICY_MEASURED);
    assert_string_equal(leat_policy_source_name(LEAT_POLICY_MEASURED), "measured");
    assert_string_equal(leat_policy_source_name((leat_policy_source)99), "?");
}

static void a_wrong_policy_creates_nothing(void **state) {
    (void)state;
    leat_policy given = {LEAT_POLICY_SPIN_MAX + 1, 0, 0, LEAT_POLICY_GIVEN};
    leat_channel_options options = {.policy = &given};
    leat_sender *tx = NULL;
    assert_leat(leat_sender_open(&tx, "wrong", &options), LEAT_EINVAL);
    setenv("LEAT_POLICY", "spin=soon", 1);
    assert_leat(leat_sender_open(&tx, "wrong", NULL), LEAT_EINVAL);
    assert_non_null(strstr(leat_error_detail(), "LEAT_POLICY"));
    assert_non_null(strstr(leat_error_detail(), "'soon' is no whole number"));
    unsetenv("LEAT_POLICY");
    assert_null(tx);
    assert_int_equal(harness_names_left(), 0);
}

/* --- Measuring ------------------------------------------------------------------------------------------------------ */

struct calls {
    unsigned trials, all, give_up_at;
    double progress;
};

static bool count_trials(void *context, const leat_policy_trial *trial) {
    struct calls *calls = context;
    assert_true(trial->progress >= calls->progress && trial->progress <= 1);
    calls->progress = trial->progress;
    calls->trials += trial->rate > 0;
    return ++calls->all != calls->give_up_at;
}

static bool on_one_processor(void) {
    cpu_set_t allowed;
    return sched_getaffinity(0, sizeof allowed, &allowed) == 0 && CPU_COUNT(&allowed) < 2;
}

static void measuring_gives_a_policy_and_moves_nobody(void **state) {
    (void)state;
    cpu_set_t before, after;
    leat_policy policy = {0};
    struct calls calls = {0};
    if (on_one_processor()) {
        assert_leat(leat_policy_measure(&policy, 200000000, count_trials, &calls), LEAT_ENOTSUP);
        return;
    }
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    assert_ok(leat_policy_measure(&policy, 200000000, count_trials, &calls));
    assert_int_equal(sched_getaffinity(0, sizeof after, &after), 0);
    assert_true(CPU_EQUAL(&before, &after));
    assert_int_equal(policy.source, LEAT_POLICY_MEASURED);
    assert_in_range(policy.spin_ns, 5000, 200000);
    assert_true(calls.trials >= 9 && calls.progress > 0.99);
    leat_channel_options options = {.policy = &policy};
    leat_sender *tx = open_sender("measured", &options); /* it is one that a channel takes */
    leat_sender_close(tx);
    assert_int_equal(harness_names_left(), 0);
}

static void measuring_can_be_given_up(void **state) {
    (void)state;
    leat_policy policy = {1, 2, 3, LEAT_POLICY_GIVEN};
    struct calls calls = {.give_up_at = 5};
    if (on_one_processor())
        skip();
    assert_leat(leat_policy_measure(&policy, UINT64_C(60000000000), count_trials, &calls), LEAT_EINTR);
    assert_policy(policy, 1, 2, 3, LEAT_POLICY_GIVEN);
    assert_int_equal(harness_names_left(), 0);
    assert_leat(leat_policy_measure(NULL, 1, NULL, NULL), LEAT_EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(a_channel_gets_what_is_known_of_the_processor),
        HARNESS_TEST(the_environment_goes_before_the_table_and_the_creator_before_both),
        HARNESS_TEST(every_policy_carries_every_message),
        HARNESS_TEST(text_is_read_or_refused),
        HARNESS_TEST(a_wrong_policy_creates_nothing),
        HARNESS_TEST(measuring_gives_a_policy_and_moves_nobody),
        HARNESS_TEST(measuring_can_be_given_up),
    };
    unsetenv("LEAT_POLICY");
    return HARNESS_MAIN("policy", tests);
}
