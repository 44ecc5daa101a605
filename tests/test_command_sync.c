/* test_command_sync.c - mutexes, events and semaphores through the real `leat` command: wait, set,
 * reset, pulse, release, info. */
#include "command.h"
#include "handles.h"

static void events_and_semaphores_work_from_the_shell(void **state) {
    (void)state;
    leat_event *event = NULL;
    leat_semaphore *semaphore = NULL;
    assert_ok(leat_event_open(&event, "e", NULL));
    assert_ok(leat_semaphore_open(&semaphore, "s", 1, 3, NULL));
    leat("wait", "e", "--timeout", "0");
    expect_failure(4, "not available in time");
    leat("set", "e");
    expect(0, "", "");
    leat("info", "e");
    expect(0, "state        set\n", "");
    leat("ls");
    expect(0, " set       e\n", "");
    expect(0, " 1/3       s\n", "");
    leat("wait", "e", "--timeout", "10");
    expect(0, "", "");
    assert_false(event_is_set(event));
    leat("set", "e");
    leat("reset", "e");
    assert_false(event_is_set(event));
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
    expect_failure(1, "of kind semaphore has no such change");
    leat("release", "e");
    expect_failure(1, "of kind event has no such change");
    leat("release", "s", "x");
    expect_failure(2, "AMOUNT");
    leat("set", "nobody");
    expect_failure(3, "LEAT_ENOENT");
    leat("wait", "created", "--create", "--manual", "--timeout", "0.05");
    expect_failure(4, "not available in time");
    leat_event_close(event);
    leat_semaphore_close(semaphore);
    assert_int_equal(harness_names_left(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(events_and_semaphores_work_from_the_shell),
    };
    return HARNESS_MAIN("command_sync", tests);
}
