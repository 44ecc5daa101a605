/* test_command_bench.c - `leat bench`, through the real command: it runs and prints what was asked
 * for, at whatever speed; and it leaves no channel behind, however it ends. */
#include "command.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* A copy of the command in a directory without benchmarks. */
static void a_missing_benchmark_program_is_told(void **state) {
    (void)state;
    run_shell("d=$(mktemp -d) && mkdir $d/bin && cp \"$1\" $d/bin/leat && cd $d &&\n"
              "LD_LIBRARY_PATH=$(dirname \"$1\")/.. ./bin/leat bench throughput; s=$?; rm -r $d; "
              "exit $s");
    expect_failure(1, "leat: bench: the benchmark program is neither '");
    expect_failure(1, "LEAT_BUILD_BENCH=ON");
}

/* Skipped where the benchmarks were not built, or there is one CPU only. */
static bool bench_runs(void) {
    leat("bench", "throughput", "--smoke", "--transports", "leat,pipe", "--json");
    return result.exit_code != 77 && strstr(result.err, "the benchmark program is neither") == NULL;
}

static void benchmarks_run_and_tell_what_they_are_told(void **state) {
    (void)state;
    static const char *const words[] = {"latency", "wakeup", "paced", "open", "sync", "limits"};
    if (!bench_runs())
        skip();
    expect(0, "\"experiment\": \"throughput\"", "");
    json_t *value = parsed();
    assert_string_equal(text_of(value, "library"), LEAT_VERSION_STRING);
    assert_int_equal(json_array_size(json_object_get(value, "command")), 6);
    json_decref(value);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i], "limits") == 0 || strcmp(words[i], "open") == 0 ||
            strcmp(words[i], "sync") == 0)
            leat("bench", words[i], "--smoke", "--json");
        else
            leat("bench", words[i], "--smoke", "--json", "--transports", "leat,leat_wait");
        expect(0, words[i], "");
        json_decref(parsed());
        leat("bench", words[i], "--help");
        expect(0, "Usage: leat bench ", "");
    }
    assert_int_equal(harness_names_left(), 0);
}

static void a_mode_chooses_the_transports(void **state) {
    (void)state;
    static const struct {
        const char *mode, *has, *has_not;
    } cases[] = {{"poll", "\"leat\"", "leat_wait"},
                 {"wait", "leat_wait", "\"leat\""},
                 {"uv", "raw_epoll", "leat_wait"}};
    if (!bench_runs())
        skip();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        leat("bench", "wakeup", "--smoke", "--json", "--mode", cases[i].mode);
        expect(0, "\"experiment\": \"wakeup\"", "");
        const char *results = strstr(result.out, "\"experiments\"");
        assert_non_null(results);
        assert_non_null(strstr(results, cases[i].has));
        assert_null(strstr(results, cases[i].has_not));
    }
    assert_int_equal(harness_names_left(), 0);
}

/* Where the user may have the priority, the figures say that they were measured with it. */
static void bench_measures_at_real_time_priority(void **state) {
    (void)state;
    if (!bench_runs())
        skip();
    leat("bench", "throughput", "--smoke", "--realtime", "--json", "-t", "leat_wait", "-s", "64");
    if (result.exit_code != 0) {
        expect_failure(1, "--realtime: this user may not have real-time priority 11");
        return;
    }
    json_t *value = parsed();
    assert_true(json_is_true(json_object_get(json_object_get(value, "machine"), "realtime")));
    json_decref(value);
    leat("bench", "throughput", "--realtime", "-d", "2", "-t", "leat_wait", "-s", "64", "-r", "1");
    if (result.exit_code != 0) /* the kernel may have no limit for real-time processes */
        expect_failure(2, "--realtime: in cells longer than 0.5 s the kernel takes the CPU away");
}

static void bench_without_real_time_priority_is_told(void **state) {
    (void)state;
    if (!bench_runs())
        skip();
    run_shell("nobody() { prlimit --rtprio=0 setpriv --reuid=65534 --clear-groups \"$@\"; }\n"
              "nobody \"$1\" --help >/dev/null 2>&1 || exit 99\n"
              "nobody \"$1\" bench latency --realtime");
    if (result.exit_code == 99) /* no such tools, or no right to become another user */
        skip();
    expect_failure(1, "raise the limit RLIMIT_RTPRIO");
}

/* So that it fits into a terminal, whatever transports this build has. */
static void the_help_of_benchmarks_has_80_columns(void **state) {
    (void)state;
    static const char *const words[] = {"throughput", "latency", "wakeup", "paced",
                                        "open",       "sync",    "loop",   "limits"};
    if (!bench_runs())
        skip();
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        leat("bench", words[i], "--help");
        expect(0, "Usage: leat bench ", "");
        for (const char *line = result.out; *line != 0; line = strchr(line, '\n') + 1)
            assert_true(strcspn(line, "\n") <= 80);
    }
}

/* Skipped where leat_uv was not built: that is said. */
static void the_benchmark_of_loops_runs_all_its_parts(void **state) {
    (void)state;
    static const char *const parts[] = {"trips", "waiting", "rates", "channels", "idle", "timer"};
    if (!bench_runs())
        skip();
    leat("bench", "loop", "--smoke", "--json");
    if (strstr(result.err, "loop: built without libuv") != NULL)
        skip();
    expect(0, "\"experiment\": \"loop\"", "");
    json_decref(parsed());
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        leat("bench", "loop", "--smoke", "--parts", parts[i]);
        expect(0, "trials: ", "");
    }
    leat("bench", "loop", "--parts", "trips,spirals");
    expect_failure(2, "--parts: 'trips,spirals' is not trips,waiting,rates,");
    assert_int_equal(harness_names_left(), 0);
}

static void wrong_benchmarks_are_told_apart(void **state) {
    (void)state;
    if (!bench_runs())
        skip();
    leat("bench", "everything");
    expect_failure(2, "leat: bench: there is no benchmark 'everything'");
    leat("bench", "throughput", "--transports", "pigeon");
    expect_failure(2, "leat: bench throughput: unknown transport 'pigeon'");
    leat("bench", "latency", "--mode", "sonar");
    expect_failure(2, "--mode: 'sonar' is not one of poll, wait, uv");
    leat("bench", "latency", "--mode", "poll", "--transports", "leat");
    expect_failure(2, "--mode: it excludes --transports");
    leat("bench", "loop", "--mode", "uv");
    expect_failure(2, "--mode: unknown option");
    leat("bench", "throughput", "--sizes", "7");
    expect_failure(2, "bad size '7'");
    leat("bench", "throughput", "--rate", "7");
    expect_failure(2, "--rate: unknown option");
    leat("bench", "limits", "--sizes", "8");
    expect_failure(2, "--sizes: unknown option");
    leat("bench", "open", "--transports", "leat");
    expect_failure(2, "--transports: unknown option");
    leat("bench", "open", "--realtime");
    expect_failure(2, "--realtime: unknown option");
    leat("bench", "throughput", "--one-cpu");
    expect_failure(2, "--one-cpu: unknown option");
    leat("bench", "latency", "--one-cpu", "--want", "near");
    expect_failure(2, "--one-cpu: it excludes --want");
    leat("bench", "latency", "--capacity", "5000");
    expect_failure(2, "5000 bytes is not a power of two");
    leat("bench", "fanout");
    expect_failure(2, "leat: bench: there is no benchmark 'fanout'");
    leat("bench", "latency", "--frobnicate");
    expect_failure(2, "--frobnicate: unknown option");
    leat("bench", "latency", "--plot", "picture.doc");
    expect_failure(1, "ends in .svg or .png");
    run_shell("PATH=/nowhere \"$1\" bench latency --plot picture.svg");
    expect_failure(1, "install it (Debian: gnuplot-nox)");
}

/* Some child of the process, 0 when there is none: the field behind the state in stat is the
 * parent's number. */
static pid_t child_of(pid_t parent) {
    DIR *processes = opendir("/proc");
    struct dirent *entry;
    pid_t found = 0;
    while (found == 0 && (entry = readdir(processes)) != NULL) {
        char path[300], line[512] = "";
        int its_parent = 0;
        snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        FILE *file = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' ? fopen(path, "r") : NULL;
        if (file == NULL)
            continue;
        if (fgets(line, sizeof line, file) != NULL && strrchr(line, ')') != NULL &&
            sscanf(strrchr(line, ')'), ") %*c %d", &its_parent) == 1 && its_parent == parent)
            found = atoi(entry->d_name);
        fclose(file);
    }
    closedir(processes);
    return found;
}

struct bench {
    pid_t program, receiver;
    int out, err;
};

/* What is measured, and one option more. */
static const char *const cells[][4] = {
    {"throughput", "leat", "--sizes", "64"},     {"throughput", "leat_wait", "--sizes", "mix"},
    {"latency", "leat_wait", "--sizes", "64"},   {"latency", "leat_place", "--sizes", "64"},
    {"paced", "leat_wait", "--rate", "1000"},    {"throughput", "leat_many_wait", "--sizes", "8"},
    {"paced", "leat_inline", "--rate", "10000"},
};
#define CELLS (sizeof cells / sizeof cells[0])

/* In the middle of a cell of so many seconds: there are two processes and a channel. */
static struct bench start_cell(const char *const cell[4], const char *seconds) {
    struct bench bench;
    bench.program = harness_start_command(
        HARNESS_ARGV(leat_program(), "bench", cell[0], "--transports", cell[1], cell[2], cell[3],
                     "--seconds", seconds, "--rounds", "1", "--attempts", "1"),
        NULL, &bench.out, &bench.err);
    uint64_t limit = harness_now() + UINT64_C(10000000000) * harness_patience();
    while ((bench.receiver = child_of(bench.program)) == 0 || harness_names_left() == 0) {
        assert_true(harness_now() < limit);
        usleep(1000);
    }
    /* messages flow then, more often than not; what follows must hold at any other moment too */
    usleep(50000);
    return bench;
}

static void nothing_is_left(const struct bench *bench) {
    close(bench->out);
    close(bench->err);
    assert_int_equal(harness_names_left(), 0);
}

static void a_benchmark_whose_process_is_killed_leaves_nothing(void **state) {
    (void)state;
    if (!bench_runs())
        skip();
    for (size_t i = 0; i < CELLS; i++) {
        struct bench bench = start_cell(cells[i], "20");
        assert_int_equal(kill(bench.receiver, SIGKILL), 0);
        harness_wait_exit(bench.program, 1);
        nothing_is_left(&bench);
    }
}

static void an_interrupted_benchmark_leaves_nothing(void **state) {
    (void)state;
    if (!bench_runs())
        skip();
    struct bench bench = start_cell(cells[0], "1");
    assert_int_equal(kill(bench.program, SIGINT), 0); /* the cell is finished */
    harness_wait_signal(bench.program, SIGINT);
    nothing_is_left(&bench);
    for (size_t i = 0; i < CELLS; i++) {
        bench = start_cell(cells[i], "20");
        assert_int_equal(kill(bench.program, SIGINT), 0);
        /* a second one breaks it off; another, or they might merge */
        assert_int_equal(kill(bench.program, SIGTERM), 0);
        int status = harness_wait(bench.program);
        assert_true(WIFSIGNALED(status) &&
                    (WTERMSIG(status) == SIGINT || WTERMSIG(status) == SIGTERM));
        nothing_is_left(&bench);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(a_missing_benchmark_program_is_told),
        HARNESS_TEST_WITHIN(benchmarks_run_and_tell_what_they_are_told, 400),
        HARNESS_TEST_WITHIN(a_mode_chooses_the_transports, 400),
        HARNESS_TEST_WITHIN(bench_measures_at_real_time_priority, 400),
        HARNESS_TEST_WITHIN(bench_without_real_time_priority_is_told, 400),
        HARNESS_TEST(the_help_of_benchmarks_has_80_columns),
        HARNESS_TEST_WITHIN(the_benchmark_of_loops_runs_all_its_parts, 400),
        HARNESS_TEST_WITHIN(wrong_benchmarks_are_told_apart, 400),
        HARNESS_TEST_WITHIN(a_benchmark_whose_process_is_killed_leaves_nothing, 300),
        HARNESS_TEST_WITHIN(an_interrupted_benchmark_leaves_nothing, 300),
    };
    return HARNESS_MAIN("command_bench", tests);
}
