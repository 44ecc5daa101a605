/* test_command_run.c - `leat run` through the real command: the mutex is held as long as the
 * command runs, whichever process is killed. */
#include "command.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DIED "its last holder died while it held it"
#define TOO_LATE "not available in time"

/* --- The guarded command ---------------------------------------------------------------------- */

/* A command that is inside until its input ends. */
struct inside {
    pid_t leat;
    int in, out;
    pid_t other; /* the number that it wrote before, if any */
};

#define ENTER(...) enter(HARNESS_ARGV(leat_program(), "run", "--with-mutex", "m", __VA_ARGS__))

static struct inside enter(const char *const *argv) {
    struct inside inside;
    inside.leat = harness_start_command(argv, &inside.in, &inside.out, NULL);
    inside.other = atoi(harness_read_until(inside.out, "in\n"));
    return inside;
}

static void let_go(const struct inside *inside) {
    close(inside->in);
    close(inside->out);
}

/* So that the mutex is there whether or not anybody has it open. */
static void make_mutex(bool inherit_priority) {
    leat_mutex *mutex = NULL;
    leat_sync_options options = {.persistent = true, .inherit_priority = inherit_priority};
    assert_ok(leat_mutex_open(&mutex, "m", &options));
    leat_mutex_close(mutex);
}

static void expect_held(void) {
    leat("run", "--with-mutex", "m", "--timeout", "0.2", "echo", "second");
    expect_failure(4, TOO_LATE);
}

static void expect_free(const char *event) {
    leat("run", "--with-mutex", "m", "--timeout", "20", "echo", "now");
    expect(0, "now\n", event);
    leat("run", "--with-mutex", "m", "--timeout", "20", "echo", "again");
    expect(0, "again\n", "");
    assert_string_equal(result.err, "");
}

static bool is_child_of(const char *process, pid_t parent) {
    char path[300], line[512] = "";
    int number = 0;
    snprintf(path, sizeof path, "/proc/%s/stat", process);
    FILE *file = fopen(path, "r");
    bool read = file != NULL && fgets(line, sizeof line, file) != NULL;
    if (file != NULL)
        fclose(file);
    const char *name = strstr(line, "(mutex-keeper) ");
    return read && name != NULL && sscanf(name, "(mutex-keeper) %*c %d", &number) == 1 &&
           number == parent;
}

/* The process that keeps the mutex for this `leat run`. */
static pid_t keeper_of(pid_t leat) {
    DIR *directory = opendir("/proc");
    pid_t found = 0;
    for (struct dirent *entry; found == 0 && (entry = readdir(directory)) != NULL;)
        if (isdigit((unsigned char)entry->d_name[0]) && is_child_of(entry->d_name, leat))
            found = atoi(entry->d_name);
    closedir(directory);
    assert_int_not_equal(found, 0);
    return found;
}

/* --- As before -------------------------------------------------------------------------------- */

static void run_holds_a_mutex_while_the_command_runs(void **state) {
    (void)state;
    const char *program = leat_program();
    char script[2 * PATH_MAX + 100];
    snprintf(script, sizeof script,
             "'%s' info m; '%s' run --with-mutex m --timeout 0.05 true; exit $((10 + $?))", program,
             program);
    leat("run", "--with-mutex", "m", "--", "sh", "-c", script);
    expect(14, "state        held\n", TOO_LATE);
    leat("run", "--with-mutex", "m", "no-such-command");
    expect(127, "", "no-such-command: No such file or directory");
    leat("run", "--with-mutex", "m", "/");
    expect(126, "", "Permission denied");
    leat("run", "true");
    expect_failure(2, "--with-mutex NAME is missing");
    leat("run", "--with-mutex", "m");
    expect_failure(2, "leat: run: COMMAND is missing");
    assert_int_equal(harness_names_left(), 0);
}

static void run_passes_its_input_and_ends_as_the_command_does(void **state) {
    (void)state;
    harness_run_command(
        &result,
        HARNESS_ARGV(leat_program(), "run", "--with-mutex", "m", "sh", "-c", "cat; exit 7"), "abc",
        3);
    expect(7, "abc", "");
    assert_string_equal(result.err, "");
    assert_int_equal(harness_names_left(), 0);
}

static void run_hands_a_signal_on_to_its_command(void **state) {
    (void)state;
    make_mutex(false);
    struct inside inside = ENTER("sh", "-c", "echo in; exec sleep 1000");
    kill(inside.leat, SIGTERM);
    harness_wait_signal(inside.leat, SIGTERM);
    let_go(&inside);
    expect_free(DIED);
    assert_ok(leat_unlink("m", LEAT_LOCAL));
}

/* --- Killed ----------------------------------------------------------------------------------- */

static const char stays[] = "echo in; read line; exit 0";

static void mutex_of_a_command_outlives_leat(void **state) {
    (void)state;
    make_mutex(false);
    struct inside inside = ENTER("sh", "-c", stays);
    leat("info", "m", "--json");
    json_t *info = parsed();
    assert_true(truth_of(json_object_get(info, "mutex"), "held"));
    assert_int_equal(number_of(json_object_get(info, "mutex"), "holder"), inside.leat);
    json_decref(info);
    harness_kill(inside.leat);
    expect_held();
    let_go(&inside);
    harness_wait_adopted(); /* no process waits, or has it open */
    expect_free(DIED);
    assert_ok(leat_unlink("m", LEAT_LOCAL));
}

static void mutex_of_a_command_outlives_all_processes_of_leat(void **state) {
    (void)state;
    make_mutex(false);
    struct inside inside = ENTER("sh", "-c", stays);
    pid_t keeper = keeper_of(inside.leat);
    kill(keeper, SIGKILL);
    harness_kill(inside.leat);
    expect_held();
    let_go(&inside);
    harness_wait_adopted();
    expect_free(DIED);
    assert_ok(leat_unlink("m", LEAT_LOCAL));
}

static void mutex_of_a_command_without_descriptors_outlives_leat(void **state) {
    (void)state;
    static const char closes[] =
        "for fd in /proc/self/fd/*; do fd=${fd##*/}; "
        "if [ $fd -gt 2 ]; then eval \"exec $fd>&-\"; fi; done; echo in; read line; exit 0";
    if (access("/bin/bash", X_OK) != 0)
        skip();
    make_mutex(false);
    struct inside inside = ENTER("/bin/bash", "-c", closes);
    harness_kill(inside.leat);
    expect_held();
    let_go(&inside);
    harness_wait_adopted();
    expect_free(DIED);
    assert_ok(leat_unlink("m", LEAT_LOCAL));
}

static void run_goes_on_when_its_keeper_is_killed(void **state) {
    (void)state;
    struct inside inside = ENTER("sh", "-c", stays);
    kill(keeper_of(inside.leat), SIGKILL);
    expect_held();
    let_go(&inside);
    harness_wait_exit(inside.leat, 0);
    assert_int_equal(harness_names_left(), 0);
}

static int lead_a_group(void *context) {
    char *const *argv = context;
    setpgid(0, 0);
    execv(argv[0], argv);
    return 1;
}

static void death_of_the_whole_group_is_reported(void **state) {
    (void)state;
    make_mutex(false);
    int ready[2];
    char byte, script[60];
    assert_int_equal(pipe(ready), 0);
    snprintf(script, sizeof script, "echo in >&%d; exec sleep 1000", ready[1]);
    const char *const *argv =
        HARNESS_ARGV(leat_program(), "run", "--with-mutex", "m", "sh", "-c", script);
    pid_t group = harness_spawn(lead_a_group, (void *)(uintptr_t)argv);
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    kill(-group, SIGKILL);
    harness_wait_signal(group, SIGKILL);
    close(ready[0]);
    harness_wait_adopted();
    expect_free(DIED);
    assert_ok(leat_unlink("m", LEAT_LOCAL));
}

static void death_of_the_command_is_reported(void **state) {
    (void)state;
    make_mutex(false);
    leat("run", "--with-mutex", "m", "sh", "-c", "kill -9 $$");
    assert_int_equal(result.term_signal, SIGKILL);
    expect_free(DIED);
    leat("run", "--with-mutex", "m", "false"); /* a failure is no death */
    expect(1, "", "");
    expect_free("");
    assert_ok(leat_unlink("m", LEAT_LOCAL));
}

/* --- With priority inheritance ---------------------------------------------------------------- */

/* The command goes on, and what it has started too. */
static const char starts_another[] = "sh -c 'echo in; read line; exit 0'; exit 0";

static void inheriting_mutex_of_a_command_outlives_leat(void **state) {
    (void)state;
    make_mutex(true);
    struct inside inside = ENTER("sh", "-c", starts_another);
    expect_held();
    harness_kill(inside.leat);
    expect_held();
    let_go(&inside);
    harness_wait_adopted();
    expect_free(DIED);
    assert_ok(leat_unlink("m", LEAT_LOCAL));
}

static void inheriting_mutex_is_released_or_left_as_by_death_as_others_are(void **state) {
    (void)state;
    make_mutex(true);
    leat("run", "--with-mutex", "m", "sh", "-c", "exit 7");
    expect(7, "", "");
    expect_free("");
    leat("run", "--with-mutex", "m", "sh", "-c", "kill -9 $$");
    assert_int_equal(result.term_signal, SIGKILL);
    expect_free(DIED);
    leat("run", "--with-mutex", "m", "sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!");
    expect(0, "", "held on by processes that the command has left behind");
    pid_t left = atoi(result.out);
    expect_held();
    harness_kill(left);
    expect_free("");
    leat("run", "--with-mutex", "m", "--command-only", "sh", "-c",
         "sleep 1000 >/dev/null 2>&1 & echo $!");
    expect(0, "", "");
    left = atoi(result.out);
    expect_free("");
    harness_kill(left);
    harness_wait_adopted();
    assert_ok(leat_unlink("m", LEAT_LOCAL));
}

static void command_is_killed_with_the_keeper_that_owned_its_mutex(void **state) {
    (void)state;
    make_mutex(true);
    struct inside inside = ENTER("sh", "-c", "echo in; exec sleep 1000");
    kill(keeper_of(inside.leat), SIGKILL);
    harness_wait_signal(inside.leat, SIGKILL);
    let_go(&inside);
    harness_wait_adopted();
    expect_free(DIED);
    assert_ok(leat_unlink("m", LEAT_LOCAL));
}

static void signal_ends_the_wait_for_an_inheriting_mutex(void **state) {
    (void)state;
    make_mutex(true);
    struct inside inside = ENTER("sh", "-c", stays);
    int out;
    pid_t waiting = harness_start_command(
        HARNESS_ARGV(leat_program(), "run", "--with-mutex", "m", "echo", "second"), NULL, &out,
        NULL);
    usleep(200000); /* until it waits, mostly */
    kill(waiting, SIGTERM);
    harness_wait_signal(waiting, SIGTERM);
    close(out);
    let_go(&inside);
    harness_wait_exit(inside.leat, 0);
    harness_wait_adopted();
    expect_free("");
    assert_ok(leat_unlink("m", LEAT_LOCAL));
}

/* --- Odd surroundings ------------------------------------------------------------------------- */

static void run_by_shell(const char *script) {
    harness_run_command(&result, HARNESS_ARGV("sh", "-c", script, leat_program()), NULL, 0);
}

/* `leat run` that was started with a signal ignored, of a command that writes which signals it
 * ignores. */
struct ignoring {
    int signal;
    const char *program;
    char path[200];
};

static int run_ignoring(void *context) {
    const struct ignoring *ignoring = context;
    if (ignoring->signal != 0)
        signal(ignoring->signal, SIG_IGN);
    if (freopen(ignoring->path, "w", stdout) == NULL)
        return 1;
    execl(ignoring->program, "leat", "run", "--with-mutex", "m", "grep", "SigIgn",
          "/proc/self/status", (char *)NULL);
    return 1;
}

static uint64_t signals_ignored_by_a_command(int signal) {
    char line[100];
    struct ignoring ignoring = {.signal = signal, .program = leat_program()};
    snprintf(ignoring.path, sizeof ignoring.path, "%s/output", harness_directory());
    harness_wait_ok(harness_spawn(run_ignoring, &ignoring));
    FILE *file = fopen(ignoring.path, "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    fclose(file);
    unlink(ignoring.path);
    return strtoull(line + strlen("SigIgn:"), NULL, 16);
}

/* It never ended with SIGCHLD ignored. The command gets the signal as leat got it. */
static void run_ends_with_signals_ignored_and_hands_that_on(void **state) {
    (void)state;
    static const int signals[] = {SIGCHLD, SIGPIPE, SIGALRM};
    for (int inherit = 0; inherit < 2; inherit++) {
        make_mutex(inherit != 0);
        uint64_t usual = signals_ignored_by_a_command(0);
        for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
            uint64_t bit = UINT64_C(1) << (signals[i] - 1);
            assert_int_equal(usual & bit, 0);
            assert_int_equal(signals_ignored_by_a_command(signals[i]), usual | bit);
        }
        expect_free("");
        assert_ok(leat_unlink("m", LEAT_LOCAL));
    }
}

/* Either it runs, or nothing has happened: the mutex is free, and no owner died. */
static void run_without_descriptors_leaves_the_mutex_in_order(void **state) {
    (void)state;
    char script[100];
    for (int inherit = 0; inherit < 2; inherit++) {
        make_mutex(inherit != 0);
        for (int limit = 4; limit < 24; limit++) {
            snprintf(script, sizeof script, "ulimit -n %d; exec \"$0\" run --with-mutex m echo in",
                     limit);
            run_by_shell(script);
            if (strstr(result.err, "left behind") != NULL || strstr(result.err, "died") != NULL)
                harness_fail("with %d descriptors: %s", limit, result.err);
            assert_int_equal(result.exit_code == 0, strcmp(result.out, "in\n") == 0);
            harness_wait_adopted();
            expect_free("");
        }
        assert_ok(leat_unlink("m", LEAT_LOCAL));
    }
}

/* --- Left behind ------------------------------------------------------------------------------ */

static void processes_left_behind_hold_the_mutex(void **state) {
    (void)state;
    leat("run", "--with-mutex", "m", "sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!");
    expect(0, "", "held on by processes that the command has left behind");
    pid_t left = atoi(result.out);
    expect_held();
    harness_kill(left);
    leat("run", "--with-mutex", "m", "--timeout", "20", "echo", "now");
    expect(0, "now\n", "");
    assert_string_equal(result.err, ""); /* no owner died: the command ended by itself */
    harness_wait_adopted();
    assert_int_equal(harness_names_left(), 0);
}

static void processes_left_behind_do_not_count_with_command_only(void **state) {
    (void)state;
    leat("run", "--with-mutex", "m", "--command-only", "sh", "-c",
         "sleep 1000 >/dev/null 2>&1 & echo $!");
    expect(0, "", "");
    assert_string_equal(result.err, "");
    pid_t left = atoi(result.out);
    expect_free("");
    harness_kill(left);
    assert_int_equal(harness_names_left(), 0);
}

/* --- Processes left behind do not count ------------------------------------------------------- */

static void mutex_of_a_command_alone_outlives_all_processes_of_leat(void **state) {
    (void)state;
    make_mutex(false);
    struct inside inside = ENTER("--command-only", "sh", "-c", stays);
    pid_t keeper = keeper_of(inside.leat);
    kill(keeper, SIGKILL);
    harness_kill(inside.leat);
    expect_held();
    let_go(&inside);
    harness_wait_adopted();
    expect_free(DIED);
    assert_ok(leat_unlink("m", LEAT_LOCAL));
}

/* By a signal, and while leat was killed: what is left behind has the descriptors, and holds
 * nothing. */
static void command_alone_holds_the_mutex_however_it_ends(void **state) {
    (void)state;
    make_mutex(false);
    leat("run", "--with-mutex", "m", "--command-only", "sh", "-c",
         "sleep 1000 >/dev/null 2>&1 & echo $!; kill -9 $$");
    assert_int_equal(result.term_signal, SIGKILL);
    pid_t left = atoi(result.out);
    expect_free(DIED);
    harness_kill(left);
    struct inside inside =
        ENTER("--command-only", "sh", "-c",
              "sleep 1000 >/dev/null 2>&1 & echo $!; echo in; read line; exit 0");
    harness_kill(inside.leat);
    expect_held();
    let_go(&inside);
    expect_free(DIED);
    harness_kill(inside.other);
    harness_wait_adopted();
    assert_ok(leat_unlink("m", LEAT_LOCAL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(run_holds_a_mutex_while_the_command_runs),
        HARNESS_TEST(run_passes_its_input_and_ends_as_the_command_does),
        HARNESS_TEST(run_hands_a_signal_on_to_its_command),
        HARNESS_TEST(mutex_of_a_command_outlives_leat),
        HARNESS_TEST(mutex_of_a_command_outlives_all_processes_of_leat),
        HARNESS_TEST(mutex_of_a_command_without_descriptors_outlives_leat),
        HARNESS_TEST(run_goes_on_when_its_keeper_is_killed),
        HARNESS_TEST(death_of_the_whole_group_is_reported),
        HARNESS_TEST(death_of_the_command_is_reported),
        HARNESS_TEST(inheriting_mutex_of_a_command_outlives_leat),
        HARNESS_TEST(inheriting_mutex_is_released_or_left_as_by_death_as_others_are),
        HARNESS_TEST(command_is_killed_with_the_keeper_that_owned_its_mutex),
        HARNESS_TEST(signal_ends_the_wait_for_an_inheriting_mutex),
        HARNESS_TEST(run_ends_with_signals_ignored_and_hands_that_on),
        HARNESS_TEST_WITHIN(run_without_descriptors_leaves_the_mutex_in_order, 300),
        HARNESS_TEST(processes_left_behind_hold_the_mutex),
        HARNESS_TEST(processes_left_behind_do_not_count_with_command_only),
        HARNESS_TEST(mutex_of_a_command_alone_outlives_all_processes_of_leat),
        HARNESS_TEST(command_alone_holds_the_mutex_however_it_ends),
    };
    return HARNESS_MAIN("command_run", tests);
}
