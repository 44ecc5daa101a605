/* test_command.c - `leat` as people and programs use it: what it prints, as text and as JSON, and
 * its exit codes. The real command runs in processes of its own. Channels from the shell are in
 * test_command_pipe.c. */
#include "command.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <leat/waitset.h>

/* --- Help and usage --------------------------------------------------------------------------- */

static void every_command_explains_itself(void **state) {
    (void)state;
    static const char *const names[] = {
        "ls", "info", "top",  "send",  "recv", "create", "read", "write", "grow",  "map-into",
        "rm", "gc",   "demo", "bench", "run",  "wait",   "set",  "reset", "pulse", "release"};
    leat("--help");
    expect(0, "Usage: leat COMMAND", "");
    expect(0, "Exit codes:", "");
    const char *overview = result.out;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char usage[40], entry[40];
        snprintf(usage, sizeof usage, "Usage: leat %s", names[i]);
        snprintf(entry, sizeof entry, "\n  %-8s ", names[i]);
        assert_non_null(strstr(overview, entry));
        leat(names[i], "--help");
        expect(0, usage, "");
        const char *help = result.out;
        leat("help", names[i]);
        assert_string_equal(result.out, help);
        for (const char *line = help; *line != 0; line = strchr(line, '\n') + 1)
            assert_true(strcspn(line, "\n") <= 80);
    }
    leat("--version");
    expect(0, "leat " LEAT_VERSION_STRING "\n", "");
}

static void wrong_usage_is_refused(void **state) {
    (void)state;
    leat("frobnicate");
    expect_failure(2, "no command 'frobnicate'");
    leat("help", "frobnicate");
    expect_failure(2, "no command 'frobnicate'");
    leat("ls", "--frobnicate");
    expect_failure(2, "leat: ls: --frobnicate: there is no such option");
    leat("ls", "name");
    expect_failure(2, "leat info NAME");
    leat("info");
    expect_failure(2, "NAME");
    leat("info", "a", "b");
    expect_failure(2, "'b'");
    leat("create", "a", "12Q");
    expect_failure(2, "'12Q'");
    leat("create", "a", "0");
    expect_failure(2, "'0'");
    leat("create", "a", "--permissions", "999");
    expect_failure(2, "octal");
    leat("send", "a", "--lines", "--frame", "3");
    expect_failure(2, "exclude");
    leat("send", "a", "--frame", "0");
    expect_failure(2, "--frame");
    leat("recv", "a", "--wait", "-1");
    expect_failure(2, "--wait: '-1'");
    leat("recv", "a", "--count", "many");
    expect_failure(2, "--count: 'many'");
    leat("read", "a", "--offset", "x");
    expect_failure(2, "--offset: 'x'");
    leat("rm");
    expect_failure(2, "NAME");
    leat("demo", "--seconds", "soon");
    expect_failure(2, "--seconds: 'soon'");
    leat("bench");
    expect_failure(2, "leat: bench: WHAT is missing");
    harness_run_command(&result, HARNESS_ARGV(leat_program()), NULL, 0);
    expect(2, "", "Usage: leat COMMAND");
    assert_int_equal(harness_names_left(), 0);
}

/* --- Regions ---------------------------------------------------------------------------------- */

static void region_is_created_written_read_and_removed(void **state) {
    (void)state;
    leat("create", "board", "64K", "--keep");
    expect(0, "created persistent local region 'board' of 65,536 bytes\n", "");
    leat("create", "board", "64K", "--keep");
    expect_failure(1, "LEAT_EEXIST");
    harness_run_command(&result, HARNESS_ARGV(leat_program(), "write", "board", "--offset", "10"),
                        "hello\0there", 11);
    expect(0, "", "");
    leat("read", "board", "--offset", "8", "--length", "15");
    assert_int_equal(result.out_size, 15);
    assert_memory_equal(result.out, "\0\0hello\0there\0\0", 15);
    leat("read", "board");
    assert_int_equal(result.out_size, 65536);
    leat("rm", "board");
    expect(0, "", "");
    leat("rm", "board");
    expect_failure(3, "LEAT_ENOENT");
    assert_int_equal(harness_names_left(), 0);
}

static void ranges_are_checked(void **state) {
    (void)state;
    leat("create", "r", "100", "--keep");
    leat("read", "r", "--offset", "100");
    expect(0, "", "");
    assert_int_equal(result.out_size, 0);
    leat("read", "r", "--offset", "101");
    expect_failure(1, "LEAT_ERANGE");
    leat("read", "r", "--offset", "50", "--length", "51");
    expect_failure(1, "51 bytes from offset 50 on");
    leat("read", "r", "--offset", "18446744073709551615", "--length", "2");
    expect_failure(1, "LEAT_ERANGE");
    harness_run_command(&result, HARNESS_ARGV(leat_program(), "write", "r", "--offset", "98"),
                        "abc", 3);
    expect_failure(1, "longer than the 2 bytes");
    leat("read", "r", "--offset", "98");
    assert_string_equal(result.out, "ab");
    harness_run_command(&result, HARNESS_ARGV(leat_program(), "write", "r", "--length", "2"), "xyz",
                        3);
    expect(0, "", "");
    leat("read", "r", "--length", "3");
    assert_memory_equal(result.out, "xy\0", 3);
    leat("rm", "r");
}

static void write_can_create(void **state) {
    (void)state;
    harness_run_command(&result, HARNESS_ARGV(leat_program(), "write", "w"), "abc", 3);
    expect_failure(3, "--create");
    harness_run_command(&result, HARNESS_ARGV(leat_program(), "write", "w", "--create", "5"), "abc",
                        3);
    expect(0, "", "");
    harness_run_command(&result, HARNESS_ARGV(leat_program(), "write", "w", "--create", "500"), "A",
                        1);
    expect(0, "", "");
    leat("read", "w");
    assert_int_equal(result.out_size, 5);
    assert_memory_equal(result.out, "Abc\0\0", 5);
    leat("rm", "w");
}

static void region_without_keep_lives_with_the_command(void **state) {
    (void)state;
    int out;
    pid_t holder = harness_start_command(
        HARNESS_ARGV(leat_program(), "create", "held", "4K", "--json"), NULL, &out, NULL);
    harness_read_until(out, "}");
    leat("info", "held", "--json");
    json_t *info = parsed();
    assert_true(truth_of(info, "in_use"));
    assert_false(truth_of(info, "persistent"));
    json_decref(info);
    kill(holder, SIGTERM);
    harness_wait_exit(holder, 0);
    close(out);
    leat("info", "held");
    expect_failure(3, "LEAT_ENOENT");
    assert_int_equal(harness_names_left(), 0);
}

static void full_memory_is_reported_with_figures(void **state) {
    (void)state;
    leat("create", "huge", "1000T");
    expect_failure(1, "LEAT_ENOSPC");
    assert_non_null(strstr(result.err, "1099511627776000"));
}

/* --- Looking ---------------------------------------------------------------------------------- */

static void ls_shows_objects_and_who_is_there(void **state) {
    (void)state;
    leat_sender *sender;
    leat("ls", "--local"); /* other programs may have global objects */
    expect(0, "", "");
    assert_string_equal(result.out, ""); /* nothing, and no terminal to say so to */
    leat("ls", "--json", "--local");
    json_t *list = parsed();
    assert_int_equal(json_array_size(list), 0);
    json_decref(list);

    assert_ok(leat_sender_open(&sender, "telemetry", NULL));
    leat("create", "board", "100", "--keep", "--permissions", "640");
    leat("ls", "--local");
    expect(0, "KIND", "");
    assert_non_null(strstr(result.out, "rw-r-----  -       -        -         board\n"));
    assert_non_null(strstr(result.out, "yes     none     -         telemetry\n"));
    assert_true(strstr(result.out, "board\n") < strstr(result.out, "telemetry\n"));
    leat("ls", "--json", "--local");
    list = parsed();
    assert_int_equal(json_array_size(list), 2);
    const json_t *board = json_array_get(list, 0), *channel = json_array_get(list, 1);
    assert_string_equal(text_of(board, "name"), "board");
    assert_string_equal(text_of(board, "kind"), "region");
    assert_string_equal(text_of(board, "scope"), "local");
    assert_string_equal(text_of(board, "permissions"), "0640");
    assert_int_equal(number_of(board, "size_bytes"), 100);
    assert_int_equal(number_of(board, "owner_id"), geteuid());
    assert_true(truth_of(board, "persistent"));
    assert_true(json_is_null(json_object_get(board, "sender")));
    assert_string_equal(text_of(channel, "kind"), "channel");
    assert_string_equal(text_of(channel, "sender"), "present");
    assert_string_equal(text_of(channel, "receiver"), "none");
    assert_true(truth_of(channel, "in_use"));
    json_decref(list);
    leat_sender_close(sender);
    leat("rm", "board");
}

static void names_are_shown_safely_and_given_exactly(void **state) {
    (void)state;
    static const char odd[] = "a/b\n\x1b[31m\xff\\";
    leat("create", odd, "1", "--keep");
    expect(0, "'a/b\\x0a\\x1b[31m\\xff\\\\'", "");
    leat("ls", "--local");
    expect(0, " a/b\\x0a\\x1b[31m\\xff\\\\\n", "");
    leat("ls", "--local", "--json");
    json_t *list = parsed();
    assert_string_equal(text_of(json_array_get(list, 0), "name_hex"), "612f620a1b5b33316dff5c");
    json_decref(list);
    leat("create", odd, "1", "--keep");
    expect_failure(1, "'a/b\\x0a\\x1b[31m\\xff\\\\'");
    leat("rm", odd);
    expect(0, "", "");
    leat("create", "\xc3\xbc\n", "1", "--keep", "--json");
    json_t *object = parsed();
    assert_string_equal(text_of(object, "name"), "\xc3\xbc\n"); /* UTF-8: the name itself */
    json_decref(object);
    leat("rm", "\xc3\xbc\n");
    expect(0, "", "");
    char name[301];
    memset(name, 'n', 300);
    name[300] = 0;
    leat("create", name);
    expect_failure(1, "LEAT_ENAME");
    leat("create", "");
    expect_failure(1, "LEAT_ENAME");
    assert_int_equal(harness_names_left(), 0);
}

static void info_shows_everything_about_a_channel(void **state) {
    (void)state;
    leat_sender *sender;
    leat_receiver *receiver;
    leat_channel_options options = {.capacity = 65536};
    assert_ok(leat_sender_open(&sender, "t", &options));
    assert_ok(leat_receiver_open(&receiver, "t", NULL));
    assert_ok(leat_send(sender, "hello", 5, LEAT_NOW));
    leat_receiver_close(receiver);
    leat("info", "t");
    expect(0, "local channel 't'\n", "");
    expect(0, "capacity     65,536 bytes (64.0 KiB)\n", "");
    expect(0, "sender       present\n", "");
    expect(0, "receiver     closed\n", "");
    leat("info", "t", "--json");
    json_t *info = parsed();
    const json_t *channel = json_object_get(info, "channel");
    assert_int_equal(number_of(channel, "capacity_bytes"), 65536);
    assert_int_equal(number_of(channel, "max_message_bytes"), leat_sender_max_message(sender));
    assert_true(number_of(channel, "backlog_bytes") > 0);
    assert_string_equal(text_of(channel, "sender"), "present");
    assert_string_equal(text_of(channel, "receiver"), "closed");
    assert_true(json_is_integer(json_object_get(json_object_get(channel, "sent"), "messages")));
    assert_true(
        json_is_integer(json_object_get(json_object_get(channel, "received"), "wake_calls")));
    json_decref(info);
    leat_sender_close(sender);
}

static void missing_object_is_reported_with_its_scope(void **state) {
    (void)state;
    const char *global = harness_global("board");
    leat("info", "nobody");
    expect_failure(3, "'nobody'");
    leat("create", global, "1", "--keep", "--global");
    expect(0, "persistent global region", "");
    leat("info", global);
    expect_failure(3, "use --global");
    leat("info", global, "--global");
    expect(0, "global region", "");
    char prefixed[300];
    snprintf(prefixed, sizeof prefixed, "Global\\%s", global);
    leat("read", prefixed);
    expect(0, "", "");
    assert_int_equal(result.out_size, 1);
    leat("rm", prefixed, "--json");
    json_t *removed = parsed();
    assert_string_equal(text_of(json_array_get(json_object_get(removed, "removed"), 0), "scope"),
                        "global");
    json_decref(removed);
    leat("rm", global, "--global");
    expect_failure(3, "global object");
}

static void wrong_kinds_are_refused(void **state) {
    (void)state;
    leat_sender *sender;
    assert_ok(leat_sender_open(&sender, "c", NULL));
    leat("read", "c");
    expect_failure(1, "LEAT_EKIND");
    leat_sender_close(sender);
    leat("create", "r", "--keep");
    leat("recv", "r");
    expect_failure(1, "LEAT_EKIND");
    leat("send", "r", "--wait", "1");
    expect_failure(1, "LEAT_EKIND");
    leat("rm", "r");
}

static void foreign_objects_are_listed_on_request(void **state) {
    (void)state;
    const char *name = harness_global("foreign");
    char path[300];
    snprintf(path, sizeof path, "/%s", name);
    int file = shm_open(path, O_CREAT | O_RDWR | O_EXCL, 0600);
    assert_true(file >= 0);
    assert_int_equal(ftruncate(file, 12345), 0);
    close(file);
    leat("ls", "--global");
    bool by_default = strstr(result.out, name) != NULL;
    leat("ls", "--global", "--all");
    bool on_request = strstr(result.out, name) != NULL;
    leat("info", name, "--global", "--json");
    shm_unlink(path);
    assert_false(by_default);
    assert_true(on_request);
    json_t *info = parsed();
    assert_string_equal(text_of(info, "kind"), "region");
    assert_int_equal(number_of(info, "size_bytes"), 12345);
    assert_true(truth_of(info, "persistent"));
    assert_false(truth_of(info, "in_use"));
    json_decref(info);
}

/* --- Cleaning up ------------------------------------------------------------------------------ */

static void gc_removes_what_the_killed_left_behind(void **state) {
    (void)state;
    int out;
    leat("create", "kept", "--keep");
    leat("gc", "--local");
    expect(0, "Nothing was left behind.\n", "");
    for (int json = 0; json < 2; json++) {
        pid_t holder = harness_start_command(HARNESS_ARGV(leat_program(), "create", "orphan", "8K"),
                                             NULL, &out, NULL);
        harness_read_until(out, "created");
        leat("gc", "--local");
        expect(0, "Nothing was left behind.\n", ""); /* in use */
        harness_kill(holder);
        close(out);
        leat("info", "orphan");
        expect(0, "'leat gc' removes it", "");
        leat("gc", "--local", json ? "--json" : "--local");
        if (json) {
            json_t *object = parsed();
            const json_t *removed = json_object_get(object, "removed");
            assert_int_equal(json_array_size(removed), 1);
            assert_string_equal(text_of(json_array_get(removed, 0), "name"), "orphan");
            assert_int_equal(number_of(object, "removed_bytes"), 8192);
            json_decref(object);
        } else
            expect(0, "removed local region 'orphan'\n", "");
        leat("info", "orphan");
        expect_failure(3, "LEAT_ENOENT");
    }
    leat("rm", "kept", "nothing", "--json");
    expect(3, "\"kept\"", "'nothing'");
    assert_int_equal(harness_names_left(), 0);
}

static int leave_a_waitset(void *context) {
    (void)context;
    leat_waitset *waitset;
    assert_ok(leat_waitset_open(&waitset));
    raise(SIGKILL);
    return 1;
}

static void gc_reports_removed_waitsets(void **state) {
    (void)state;
    int out;
    for (int count = 1; count <= 2; count++) {
        for (int i = 0; i < count; i++)
            harness_wait_signal(harness_spawn(leave_a_waitset, NULL), SIGKILL);
        leat("gc", "--local");
        expect(0, "removed local wait set '.leat-notify-", "");
        expect(0, count == 1 ? "\n1 wait set removed.\n" : "\n2 wait sets removed.\n", "");
        assert_null(strstr(result.out, "object"));
        assert_null(strstr(result.out, "Nothing"));
    }
    pid_t holder = harness_start_command(HARNESS_ARGV(leat_program(), "create", "orphan", "8K"),
                                         NULL, &out, NULL);
    harness_read_until(out, "created");
    harness_kill(holder);
    close(out);
    harness_wait_signal(harness_spawn(leave_a_waitset, NULL), SIGKILL);
    leat("gc", "--local", "--json");
    json_t *object = parsed();
    const json_t *removed = json_object_get(object, "removed");
    assert_int_equal(json_array_size(removed), 2);
    assert_string_equal(text_of(json_array_get(removed, 0), "kind"), "wait set");
    assert_int_equal(number_of(json_array_get(removed, 0), "size_bytes"), 0);
    assert_string_equal(text_of(json_array_get(removed, 1), "kind"), "region");
    assert_int_equal(number_of(object, "removed_bytes"), 8192);
    json_decref(object);
    assert_int_equal(harness_names_left(), 0);
    leat("gc", "--local");
    expect(0, "Nothing was left behind.\n", "");
}

/* --- Standard streams ------------------------------------------------------------------------- */

/* The creator's options count for all users; a command that finds an existing object changes
 * nothing. */
static void permissions_are_those_that_the_creator_asks_for(void **state) {
    (void)state;
    const char *channel = harness_global("team"), *region = harness_global("board");
    leat("send", channel, "--global", "--permissions", "666", "--keep");
    expect(0, "", "");
    leat("recv", channel, "--global", "--permissions", "600", "--wait", "0");
    expect(0, "", ""); /* the end of an empty stream */
    leat("info", channel, "--global", "--json");
    json_t *info = parsed();
    assert_string_equal(text_of(info, "permissions"), "0666");
    json_decref(info);
    leat("write", region, "--global", "--create", "100", "--permissions", "644");
    expect(0, "", "");
    leat("info", region, "--global", "--json");
    info = parsed();
    assert_string_equal(text_of(info, "permissions"), "0644");
    json_decref(info);
    leat("rm", channel, region, "--global");
    expect(0, "", "");
    leat("send", "c", "--keep", "--permissions", "888");
    expect_failure(2, "octal");
    leat("recv", "c", "--wait", "0", "--permissions", "1777");
    expect_failure(2, "octal");
    assert_int_equal(harness_names_left(), 0);
}

/* util-linux's script gives the command a terminal, where there are any to be had. */
static void read_and_write_show_progress_on_a_terminal(void **state) {
    (void)state;
    if (system("script -qec true /dev/null >/dev/null 2>&1 </dev/null") != 0)
        skip();
    leat("create", "r", "100K", "--keep");
    run_shell("script -qec \"'$1' read r >/dev/null\" /dev/null");
    expect(0, "100 KiB  ", "");
    run_shell("script -qec \"head -c 70000 /dev/zero | '$1' write r\" /dev/null");
    expect(0, "68.4 KiB  ", "");
    assert_null(strstr(result.out, "messages"));
    leat("rm", "r");
}

static void output_that_cannot_be_written_is_a_failure(void **state) {
    (void)state;
    leat("create", "r", "1M", "--keep");
    run_shell("\"$1\" ls --local >/dev/full");
    expect_failure(1, "leat: ls: standard output: ");
    run_shell("\"$1\" read r >/dev/full");
    expect_failure(1, "leat: read: standard output: ");
    run_shell("\"$1\" ls --local >&-");
    expect_failure(1, "leat: ls: standard output: ");
    /* nothing went into the region itself */
    run_shell("\"$1\" read r >&-; exec \"$1\" read r --length 4");
    expect(0, "", "standard output");
    assert_memory_equal(result.out, "\0\0\0\0", 4);
    run_shell("\"$1\" write r <&-");
    expect_failure(1, "leat: write: standard input: ");
    run_shell("{ \"$1\" read r; echo $? >&2; } | head -c 1");
    expect(0, "", "141\n");
    assert_string_equal(result.err, "141\n");
    leat("rm", "r");
}

/* --- The demo --------------------------------------------------------------------------------- */

static void demo_works_and_leaves_nothing(void **state) {
    (void)state;
    leat("demo", "--seconds", "1", "--speed-seconds", "0.5", "--json");
    expect(0, "\"left_behind\": 0", "");
    json_t *summary = parsed();
    const json_t *live = json_object_get(summary, "live"),
                 *speed = json_object_get(summary, "full_speed");
    const json_t *latency = json_object_get(live, "latency_ns");
    assert_int_equal(number_of(summary, "exit_code"), 0);
    assert_true(truth_of(live, "complete") && truth_of(speed, "complete"));
    /* 1000, on a machine that is not too busy */
    assert_in_range(number_of(live, "messages"), 100, 1001);
    assert_int_equal(number_of(live, "messages"), number_of(live, "sent"));
    assert_int_equal(number_of(live, "damaged") + number_of(speed, "damaged"), 0);
    assert_int_equal(number_of(speed, "messages"), number_of(speed, "sent"));
    assert_true(number_of(speed, "messages") > 10000);
    assert_true(number_of(latency, "min") <= number_of(latency, "p50"));
    assert_true(number_of(latency, "p50") <= number_of(latency, "p99.9"));
    assert_true(number_of(latency, "p99.9") <= number_of(latency, "max"));
    json_decref(summary);
    assert_int_equal(harness_names_left(), 0);
}

static void demo_shows_lines_without_a_terminal(void **state) {
    (void)state;
    leat("demo", "--seconds", "1.5", "--speed-seconds", "0.2");
    expect(0, "frames/s", "");
    expect(0, "Summary\n", "");
    expect(0, "every byte of every message was right", "");
    expect(0, "Left behind nothing\n", "");
    assert_null(strchr(result.out, '\x1b'));
}

static void interrupted_demo_leaves_nothing(void **state) {
    (void)state;
    static const char *const texts[] = {"Live:", "frames/s", "Full speed:"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int out;
        pid_t demo = harness_start_command(
            HARNESS_ARGV(leat_program(), "demo", "--seconds", "1.2", "--speed-seconds", "60"), NULL,
            &out, NULL);
        harness_read_until(out, texts[i]);
        kill(demo, SIGINT);
        harness_read_until(out, "Left behind nothing");
        harness_wait_signal(demo, SIGINT);
        close(out);
        assert_int_equal(harness_names_left(), 0);
    }
}

static void demos_can_run_side_by_side(void **state) {
    (void)state;
    run_shell("\"$1\" demo --seconds 0.5 --speed-seconds 0.3 --json >/dev/null & first=$!\n"
              "\"$1\" demo --seconds 0.5 --speed-seconds 0.3 --json >/dev/null & second=$!\n"
              "wait $first && wait $second && echo both");
    expect(0, "both\n", "");
    assert_int_equal(harness_names_left(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(every_command_explains_itself),
        HARNESS_TEST(wrong_usage_is_refused),
        HARNESS_TEST(region_is_created_written_read_and_removed),
        HARNESS_TEST(ranges_are_checked),
        HARNESS_TEST(write_can_create),
        HARNESS_TEST(region_without_keep_lives_with_the_command),
        HARNESS_TEST(full_memory_is_reported_with_figures),
        HARNESS_TEST(ls_shows_objects_and_who_is_there),
        HARNESS_TEST(names_are_shown_safely_and_given_exactly),
        HARNESS_TEST(info_shows_everything_about_a_channel),
        HARNESS_TEST(missing_object_is_reported_with_its_scope),
        HARNESS_TEST(wrong_kinds_are_refused),
        HARNESS_TEST(foreign_objects_are_listed_on_request),
        HARNESS_TEST(gc_removes_what_the_killed_left_behind),
        HARNESS_TEST(gc_reports_removed_waitsets),
        HARNESS_TEST(permissions_are_those_that_the_creator_asks_for),
        HARNESS_TEST(read_and_write_show_progress_on_a_terminal),
        HARNESS_TEST(output_that_cannot_be_written_is_a_failure),
        HARNESS_TEST(demo_works_and_leaves_nothing),
        HARNESS_TEST(demo_shows_lines_without_a_terminal),
        HARNESS_TEST(interrupted_demo_leaves_nothing),
        HARNESS_TEST(demos_can_run_side_by_side),
    };
    return HARNESS_MAIN("command", tests);
}
