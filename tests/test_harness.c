/* test_harness.c - the harness notices the errors that it is made for.
 *
 * Each bad test below does one thing that a test must not do. It runs in a program of its own (this
 * one, started again with its name) and has to fail there with the right complaint; a good test has
 * to pass, so that "fails" is no constant. */
#include "harness_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- The bad tests ---------------------------------------------------------------------------- */

static void bad_leaves_a_descriptor(void **state) {
    (void)state;
    assert_true(open("/dev/null", O_RDONLY) >= 0);
}

static void bad_closes_a_foreign_descriptor(void **state) {
    (void)state;
    close(STDIN_FILENO);
}

static void create_file(const char *path) {
    int descriptor = open(path, O_CREAT | O_RDWR | O_EXCL, 0600);
    assert_true(descriptor >= 0);
    assert_int_equal(ftruncate(descriptor, 4096), 0);
    close(descriptor);
}

static void bad_leaves_a_local_name(void **state) {
    (void)state;
    char path[256];
    snprintf(path, sizeof path, "%s/forgotten", harness_directory());
    create_file(path);
}

static void bad_leaves_a_global_name(void **state) {
    (void)state;
    char path[256];
    snprintf(path, sizeof path, "/dev/shm/%s", harness_global("forgotten"));
    create_file(path);
}

static void bad_leaves_a_mapping(void **state) {
    (void)state;
    char path[256];
    snprintf(path, sizeof path, "%s/mapped", harness_directory());
    create_file(path);
    int descriptor = open(path, O_RDWR);
    assert_true(mmap(NULL, 4096, PROT_READ, MAP_SHARED, descriptor, 0) != MAP_FAILED);
    close(descriptor);
    unlink(path);
}

static int wait_for_ever(void *context) {
    (void)context;
    while (pause() != 0)
        ;
    return 0;
}

static void bad_leaves_a_child(void **state) {
    (void)state;
    harness_spawn(wait_for_ever, NULL);
}

static int exit_at_once(void *context) {
    (void)context;
    return 0;
}

static void bad_leaves_a_zombie(void **state) {
    (void)state;
    /* the harness can tell the two apart */
    harness_await_asleep(harness_spawn(wait_for_ever, NULL));
    harness_spawn(exit_at_once, NULL);
}

static int leave_a_grandchild(void *context) {
    if (fork() == 0)
        wait_for_ever(context);
    return 0;
}

static void bad_leaves_a_grandchild(void **state) {
    (void)state;
    harness_wait_ok(harness_spawn(leave_a_grandchild, NULL));
}

static void bad_hangs(void **state) {
    (void)state;
    harness_spawn(wait_for_ever, NULL);
    wait_for_ever(NULL);
}

static void bad_waits_for_a_child_that_hangs(void **state) {
    (void)state;
    harness_wait_within(harness_spawn(wait_for_ever, NULL), 50);
}

static int fail_an_assertion(void *context) {
    (void)context;
    assert_int_equal(1, 2);
    return 0;
}

static void bad_child_fails_an_assertion(void **state) {
    (void)state;
    harness_wait_ok(harness_spawn(fail_an_assertion, NULL));
}

static int crash(void *context) {
    (void)context;
    *(volatile int *)harness_shared(4096) = 1;
    raise(SIGSEGV);
    return 0;
}

static void bad_child_crashes(void **state) {
    (void)state;
    harness_wait_ok(harness_spawn(crash, NULL));
}

static void bad_awaits_a_word_that_nobody_sets(void **state) {
    (void)state;
    harness_await_limit_ms = 100;
    harness_await(harness_shared(4096), 1);
}

static void bad_gets_another_code(void **state) {
    (void)state;
    assert_leat(LEAT_OK, LEAT_ENOENT);
}

static void bad_ends_the_program(void **state) {
    (void)state;
    create_file("/dev/shm/leat-test-never"); /* not ours to leave: removed here, before the end */
    unlink("/dev/shm/leat-test-never");
    bad_leaves_a_local_name(state);
    signal(SIGKILL, SIG_DFL);
    raise(SIGKILL);
}

static int good_child(void *context) {
    harness_word *words = context;
    harness_set(&words[0], 1);
    harness_await(&words[1], 1);
    return 7;
}

static void good_does_all_that_and_cleans_up(void **state) {
    harness_word *words = harness_shared(4096);
    pid_t child = harness_spawn(good_child, words);
    harness_await(&words[0], 1);
    harness_await_asleep(child);
    harness_stop(child);
    harness_continue(child);
    harness_set(&words[1], 1);
    harness_wait_exit(child, 7);
    child = harness_spawn(wait_for_ever, NULL);
    harness_kill(child);
    bad_leaves_a_local_name(state);
    char path[256];
    snprintf(path, sizeof path, "%s/forgotten", harness_directory());
    unlink(path);
}

/* --- The tests of them ------------------------------------------------------------------------ */

static const struct bad {
    struct CMUnitTest test;
    const char *complaint; /* NULL: it passes */
} cases[] = {
#define BAD(function, limit_s, complaint)                                                          \
    { HARNESS_TEST_WITHIN(function, limit_s), complaint }
    BAD(bad_leaves_a_descriptor, 20, "left behind: descriptor"),
    BAD(bad_closes_a_foreign_descriptor, 20, "closed a descriptor that was not its own"),
    BAD(bad_leaves_a_local_name, 20, "left behind: name"),
    BAD(bad_leaves_a_global_name, 20, "left behind: name"),
    BAD(bad_leaves_a_mapping, 20, "left behind: mapping"),
    BAD(bad_leaves_a_child, 20, "left behind: process"),
    BAD(bad_leaves_a_zombie, 20, "left behind: process"),
    BAD(bad_leaves_a_grandchild, 20, "left behind: process"),
    BAD(bad_hangs, 1, "still running after its time limit"),
    BAD(bad_waits_for_a_child_that_hangs, 20, "still ran after"),
    BAD(bad_child_fails_an_assertion, 20, "was ended by signal 6"),
    BAD(bad_child_crashes, 20, "was ended by signal 11"),
    BAD(bad_awaits_a_word_that_nobody_sets, 20, "a shared word stayed at 0"),
    BAD(bad_gets_another_code, 20, "gave LEAT_OK instead of LEAT_ENOENT"),
    BAD(bad_ends_the_program, 20, "was killed by signal 9"),
    BAD(good_does_all_that_and_cleans_up, 20, NULL),
};

static void run_case(const struct bad *bad) {
    struct harness_output output;
    harness_run_command(&output, HARNESS_ARGV("/proc/self/exe", bad->test.name), NULL, 0);
    if (output.exit_code != (bad->complaint == NULL ? 0 : 1))
        harness_fail("%s exited with %d; it said: %s%s", bad->test.name, output.exit_code,
                     output.out, output.err);
    if (bad->complaint != NULL && strstr(output.err, bad->complaint) == NULL)
        harness_fail("%s complained otherwise: %s%s", bad->test.name, output.out, output.err);
}

static void what_a_test_leaves_behind_is_noticed(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (cases[i].complaint != NULL)
            run_case(&cases[i]);
}

static void a_test_that_cleans_up_passes(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (cases[i].complaint == NULL)
            run_case(&cases[i]);
}

static void the_output_of_a_command_is_collected(void **state) {
    (void)state;
    struct harness_output output;
    static const char input[] = "one\ntwo\n";
    harness_run_command(&output, HARNESS_ARGV("sh", "-c", "cat; echo three >&2; exit 3"), input,
                        sizeof input - 1);
    assert_string_equal(output.out, input);
    assert_string_equal(output.err, "three\n");
    assert_int_equal(output.exit_code, 3);
    harness_run_command(&output, HARNESS_ARGV("sh", "-c", "kill -TERM $$"), NULL, 0);
    assert_int_equal(output.term_signal, 15);
}

static void a_command_in_the_background_can_be_watched(void **state) {
    (void)state;
    int in, out;
    pid_t cat = harness_start_command(HARNESS_ARGV("cat"), &in, &out, NULL);
    assert_int_equal(write(in, "hello\n", 6), 6);
    assert_string_equal(harness_read_until(out, "hello\n"), "hello\n");
    close(in);
    harness_wait_ok(cat);
    close(out);
}

int main(int argc, char **argv) {
    for (size_t i = 0; argc == 2 && i < sizeof cases / sizeof cases[0]; i++)
        if (strcmp(argv[1], cases[i].test.name) == 0)
            return harness_main("bad", &cases[i].test, 1);
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(what_a_test_leaves_behind_is_noticed),
        HARNESS_TEST(a_test_that_cleans_up_passes),
        HARNESS_TEST(the_output_of_a_command_is_collected),
        HARNESS_TEST(a_command_in_the_background_can_be_watched),
    };
    return HARNESS_MAIN("harness", tests);
}
