/* test_command_bench.c - `leat bench`, through the real command: that it runs and says what it was told, never how fast. */
#include "command.h"

/* A copy of the command in a directory without benchmarks. */
static void a_missing_benchmark_program_is_told(void **state) {
    (void)state;
    run_shell("d=$(mktemp -d) && mkdir $d/bin && cp \"$1\" $d/bin/leat && cd $d &&\n"
              "LD_LIBRARY_PATH=$(dirname \"$1\")/.. ./bin/leat bench throughput; s=$?; rm -r $d; exit $s");
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
    static const char *const words[] = {"latency", "wakeup", "paced", "fanout", "open", "limits"};
    if (!bench_runs())
        skip();
    expect(0, "\"experiment\": \"throughput\"", "");
    json_t *value = parsed();
    assert_string_equal(text_of(value, "library"), LEAT_VERSION_STRING);
    assert_int_equal(json_array_size(json_object_get(value, "command")), 6);
    json_decref(value);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i], "limits") == 0 || strcmp(words[i], "open") == 0)
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

static void wrong_benchmarks_are_told_apart(void **state) {
    (void)state;
    if (!bench_runs())
        skip();
    leat("bench", "everything");
    expect_failure(2, "leat: bench: there is no benchmark 'everything'");
    leat("bench", "throughput", "--transports", "pigeon");
    expect_failure(2, "leat: bench: unknown transport 'pigeon'");
    leat("bench", "throughput", "--sizes", "7");
    expect_failure(2, "bad size '7'");
    leat("bench", "throughput", "--rate", "7");
    expect_failure(2, "an option that does not go with 'throughput'");
    leat("bench", "limits", "--sizes", "8");
    expect_failure(2, "an option that does not go with 'limits'");
    leat("bench", "open", "--transports", "leat");
    expect_failure(2, "an option that does not go with 'open'");
    leat("bench", "latency", "--capacity", "5000");
    expect_failure(2, "5000 bytes is not a power of two");
    leat("bench", "fanout", "--receivers", "65");
    expect_failure(2, "bad number of receivers '65'");
    leat("bench", "latency", "--frobnicate");
    expect_failure(2, "leat: bench: unrecognized option '--frobnicate'");
    leat("bench", "latency", "--plot", "picture.doc");
    expect_failure(1, "ends in .svg or .png");
    run_shell("PATH=/nowhere \"$1\" bench latency --plot picture.svg");
    expect_failure(1, "install it (Debian: gnuplot-nox)");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(a_missing_benchmark_program_is_told),
        HARNESS_TEST_WITHIN(benchmarks_run_and_tell_what_they_are_told, 90),
        HARNESS_TEST_WITHIN(wrong_benchmarks_are_told_apart, 90),
    };
    return HARNESS_MAIN("command_bench", tests);
}
