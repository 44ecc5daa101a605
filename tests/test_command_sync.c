/* test_command_sync.c - mutexes, events and semaphores through the real `leat` command: run, wait, set, reset, pulse, release, info. */
#include "command.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

static void run_holds_a_mutex_while_the_command_runs(void **state) {
    (void)state;
    const char *program = leat_program();
    char script[2 * PATH_MAX + 100];
    snprintf(script, sizeof script, "'%s' info m; '%s' run --with-mutex m --timeout 0.05 true; exit $((10 + $?))", program, program);
    leat("run", "--with-mutex", "m", "--", "sh", "-c", script);
    expect(14, "state        held\n", "not to be had in time");
    leat("run", "--with-mutex", "m", "no-such-command");
    expect(127, "", "no-such-command: No such file or directory");
    leat("run", "--with-mutex", "m", "/");
    expect(126, "", "Permission denied");
    leat("run", "true");
    expect_failure(2, "which mutex? --with-mutex NAME");
    leat("run", "--with-mutex", "m");
    expect_failure(2, "which command?");
    assert_int_equal(harness_names_left(), 0);
}

static void run_says_when_the_last_holder_died(void **state) {
    (void)state;
    leat_mutex *kept = NULL;
    assert_ok(leat_mutex_open(&kept, "m", NULL));
    int out;
    pid_t holder = harness_start_command(HARNESS_ARGV(leat_program(), "run", "--with-mutex", "m", "sh", "-c", "echo in; exec sleep 5"),
                                         NULL, &out, NULL);
    harness_read_until(out, "in");
    leat("info", "m", "--json");
    json_t *info = parsed();
    assert_true(truth_of(json_object_get(info, "mutex"), "held"));
    assert_int_equal(number_of(json_object_get(info, "mutex"), "holder"), holder);
    json_decref(info);
    harness_kill(holder); /* its command goes on by itself */
    leat("run", "--with-mutex", "m", "--timeout", "10", "echo", "now");
    expect(0, "now\n", "its last holder died while it held it");
    leat("run", "--with-mutex", "m", "--timeout", "10", "echo", "again");
    expect(0, "again\n", "");
    assert_string_equal(result.err, "");
    close(out);
    leat_mutex_close(kept);
    harness_wait_adopted();
}

static void events_and_semaphores_from_the_shell(void **state) {
    (void)state;
    leat_event *event = NULL;
    leat_semaphore *semaphore = NULL;
    assert_ok(leat_event_open(&event, "e", NULL));
    assert_ok(leat_semaphore_open(&semaphore, "s", 1, 3, NULL));
    leat("wait", "e", "--timeout", "0");
    expect_failure(4, "not to be had in time");
    leat("set", "e");
    expect(0, "", "");
    leat("info", "e");
    expect(0, "state        set\n", "");
    leat("ls");
    expect(0, " set       e\n", "");
    expect(0, " 1/3       s\n", "");
    leat("wait", "e", "--timeout", "10");
    expect(0, "", "");
    assert_false(leat_event_is_set(event));
    leat("set", "e");
    leat("reset", "e");
    assert_false(leat_event_is_set(event));
    leat("pulse", "e");
    expect(0, "", "");
    leat("wait", "s");
    expect(0, "", "");
    leat("release", "s", "3");
    leat("info", "s");
    expect(0, "count        3 of at most 3\n", "");
    leat("release", "s");
    expect_failure(1, "LEAT_EOVERFLOW");
    leat("set", "s");
    expect_failure(1, "of its kind: semaphore");
    leat("release", "e");
    expect_failure(1, "of its kind: event");
    leat("release", "s", "x");
    expect_failure(2, "AMOUNT");
    leat("set", "nobody");
    expect_failure(3, "LEAT_ENOENT");
    leat("wait", "created", "--create", "--manual", "--timeout", "0.05");
    expect_failure(4, "not to be had in time");
    leat_event_close(event);
    leat_semaphore_close(semaphore);
    assert_int_equal(harness_names_left(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(run_holds_a_mutex_while_the_command_runs),
        HARNESS_TEST(run_says_when_the_last_holder_died),
        HARNESS_TEST(events_and_semaphores_from_the_shell),
    };
    return HARNESS_MAIN("command_sync", tests);
}
