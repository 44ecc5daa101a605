/* test_command_map_into.c - `leat map-into` with real processes that know nothing of leat: the view
 * appears in them, is the region, and is gone afterwards; they live on. */
#include "command.h"
#include "handles.h"
#include "remote_target.h"

#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A program that sleeps. Skips the test where the command may not trace it: they are siblings. */
static pid_t sleeper(void) {
    pid_t pid = harness_start_command(HARNESS_ARGV("sleep", "60"), NULL, NULL, NULL);
    char number[16];
    snprintf(number, sizeof number, "%d", (int)pid);
    while (!target_status_says(pid, "Name:\tsleep")) /* not yet executed */
        sched_yield();
    harness_await_asleep(pid);
    leat("map-into", number, "probe", "--create", "--keep");
    if (result.exit_code != 0) {
        harness_kill(pid);
        if (strstr(result.err, "LEAT_EACCES") == NULL && strstr(result.err, "LEAT_ENOTSUP") == NULL)
            harness_fail("%s", result.err);
        assert_null(strchr(result.out, '\n'));
        assert_int_equal(harness_names_left(), 0); /* nothing is left of what failed */
        print_message("the command may not trace processes here (container, or "
                      "kernel.yama.ptrace_scope): skipped\n");
        skip();
    }
    leat("rm", "probe");
    return pid;
}

/* Starts `leat map-into PID NAME --json` with an option, and gives the address that it prints. */
static pid_t start_mapping(pid_t pid, const char *name, const char *option, int *out,
                           uint64_t *address) {
    char number[16];
    snprintf(number, sizeof number, "%d", (int)pid);
    pid_t command = harness_start_command(
        HARNESS_ARGV(leat_program(), "map-into", number, name, "--json", option), NULL, out, NULL);
    json_t *mapping = json_loads(harness_read_until(*out, "\n}\n"), 0, NULL);
    assert_non_null(mapping);
    assert_int_equal(number_of(mapping, "process"), pid);
    *address = strtoull(text_of(mapping, "address"), NULL, 16);
    assert_true(*address != 0);
    json_decref(mapping);
    return command;
}

static void view_is_there_while_the_command_stays(void **state) {
    (void)state;
    pid_t pid = sleeper();
    leat_region *region;
    uint64_t address;
    int out;
    char text[6];
    assert_ok(create_region(&region, "counters", 10000, NULL));
    pid_t command = start_mapping(pid, "counters", NULL, &out, &address);
    assert_string_equal(target_permissions(pid, address), "rw-s");
    strcpy((char *)leat_region_data(region) + 9000, "hello");
    target_peek(pid, address + 9000, text, sizeof text);
    assert_string_equal(text, "hello");
    leat("info", "counters", "--json"); /* the process has it mapped, and no handle */
    json_t *info = parsed();
    assert_int_equal(number_of(info, "users"), 2);
    assert_int_equal(json_array_size(json_object_get(info, "processes")), 3);
    json_decref(info);
    kill(command, SIGINT);
    harness_wait_exit(command, 0);
    close(out);
    assert_string_equal(target_permissions(pid, address), "");
    assert_null(strstr(target_maps(pid), "counters"));
    harness_await_asleep(pid);
    leat_region_close(region);
    harness_kill(pid);
}

static void view_can_be_read_only(void **state) {
    (void)state;
    pid_t pid = sleeper();
    uint64_t address;
    int out;
    leat("create", "board", "4K", "--keep");
    pid_t command = start_mapping(pid, "board", "--read-only", &out, &address);
    assert_string_equal(target_permissions(pid, address), "r--s");
    kill(command, SIGTERM);
    harness_wait_exit(command, 0);
    close(out);
    leat("rm", "board");
    harness_kill(pid);
}

static void map_into_creates_a_region_that_dies_with_it(void **state) {
    (void)state;
    pid_t pid = sleeper();
    uint64_t address;
    int out;
    pid_t command = start_mapping(pid, "made", "--create", &out, &address);
    leat("info", "made");
    expect(0, "size         4,096 bytes", "");
    expect(0, "(sleep): mapped\n", "");
    kill(command, SIGTERM);
    harness_wait_exit(command, 0);
    close(out);
    assert_int_equal(harness_names_left(), 0);
    harness_kill(pid);
}

static void kept_view_stays_and_its_region_too(void **state) {
    (void)state;
    pid_t pid = sleeper();
    char number[16], text[4];
    unsigned long long address;
    snprintf(number, sizeof number, "%d", (int)pid);
    leat("map-into", number, "kept", "8K", "--create", "--keep");
    expect(0, "mapped local region 'kept' of 8,192 bytes into process ", "");
    assert_int_equal(sscanf(strstr(result.out, " at "), " at %llx\n", &address), 1);
    assert_string_equal(target_permissions(pid, address), "rw-s");
    run_shell("printf abc | \"$1\" write kept --offset 5000");
    target_peek(pid, address + 5000, text, sizeof text);
    assert_string_equal(text, "abc");
    leat("info", "kept");
    expect(0, "users        none\n", "");
    expect(0, "(sleep): mapped\n", "");
    leat("rm", "kept");
    harness_kill(pid);
}

static void map_into_reports_the_end_of_the_process(void **state) {
    (void)state;
    pid_t pid = sleeper();
    uint64_t address;
    int out;
    pid_t command = start_mapping(pid, "made", "--create", &out, &address);
    harness_kill(pid);
    harness_wait_exit(command, 5);
    close(out);
    assert_int_equal(harness_names_left(), 0);
}

static void map_into_reports_a_view_that_is_gone(void **state) {
    (void)state;
    harness_kill(sleeper()); /* skips where it must */
    uint64_t address;
    int in, out;
    pid_t pid = harness_start_command(HARNESS_ARGV("sh", "-c", "read line; exec sleep 60"), &in,
                                      NULL, NULL);
    while (!target_status_says(pid, "Name:\tsh"))
        sched_yield();
    harness_await_asleep(pid);
    pid_t command = start_mapping(pid, "made", "--create", &out, &address);
    close(in); /* it executes the other program, and the view is gone */
    while (!target_status_says(pid, "Name:\tsleep"))
        sched_yield();
    kill(command, SIGTERM);
    harness_wait_exit(command, 1);
    close(out);
    assert_int_equal(harness_names_left(), 0);
    harness_kill(pid);
}

static void processes_that_are_no_targets_are_refused_clearly(void **state) {
    (void)state;
    leat("map-into", "2147483647", "r", "--create", "--keep");
    expect_failure(3, "region 'r': not mapped: there is no process 2147483647 (LEAT_ENOENT).");
    pid_t pid = harness_start_command(HARNESS_ARGV("sleep", "60"), NULL, NULL, NULL);
    char number[16];
    snprintf(number, sizeof number, "%d", (int)pid);
    leat("map-into", number, "nothing");
    expect_failure(3, "use --create");
    leat("map-into", number, "r", "10");
    expect_failure(2, "SIZE: it needs --create");
    leat("map-into", number, "r", "0", "--create");
    expect_failure(2, "'0'");
    leat("map-into", "0", "r");
    expect_failure(2, "PID: '0'");
    leat("map-into", "x", "r");
    expect_failure(2, "PID: 'x'");
    leat("map-into");
    expect_failure(2, "PID");
    leat("map-into", number);
    expect_failure(2, "NAME");
    harness_kill(pid);
    assert_int_equal(harness_names_left(), 0);
}

/* The command runs as nobody, the process as root. */
static void missing_right_to_map_is_reported(void **state) {
    (void)state;
    if (geteuid() != 0 ||
        system("setpriv --reuid=65534 --clear-groups true >/dev/null 2>&1") != 0) {
        print_message("becoming another user takes root and setpriv: skipped\n");
        skip();
    }
    const char *name = harness_global("board");
    char script[PATH_MAX + 300], *program = realpath(leat_program(), NULL);
    snprintf(
        script, sizeof script,
        "exec setpriv --reuid=65534 --clear-groups '%s' map-into %d %s --global --create --keep",
        program, (int)getpid(), name);
    harness_run_command(&result, HARNESS_ARGV("sh", "-c", script), NULL, 0);
    free(program);
    if (result.exit_code == 126 || result.exit_code == 127)
        skip(); /* the build is out of the other user's reach */
    expect_failure(1, "not mapped: process ");
    expect(1, "",
           "runs as user 0, this one as user 65534: it takes the same user and group, or "
           "CAP_SYS_PTRACE (LEAT_EACCES).");
    leat("info", name, "--global");
    expect_failure(3, "LEAT_ENOENT"); /* nothing is left */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(view_is_there_while_the_command_stays),
        HARNESS_TEST(view_can_be_read_only),
        HARNESS_TEST(map_into_creates_a_region_that_dies_with_it),
        HARNESS_TEST(kept_view_stays_and_its_region_too),
        HARNESS_TEST(map_into_reports_the_end_of_the_process),
        HARNESS_TEST(map_into_reports_a_view_that_is_gone),
        HARNESS_TEST(processes_that_are_no_targets_are_refused_clearly),
        HARNESS_TEST(missing_right_to_map_is_reported),
    };
    return HARNESS_MAIN("command_map_into", tests);
}
