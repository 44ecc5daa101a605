/* cmd_bench.c - `leat bench`: becomes the benchmark program, which is a program of its own so that
 * the command does not need the libraries that it compares leat with.
 *
 * The command searches for the program relative to this executable only: where it is installed,
 * then where a build tree has it. So a tree that was moved finds its own program.
 */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "arguments.h"

/* The directory of this executable. */
static bool own_directory(char directory[PATH_MAX]) {
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0)
        return false;
    path[length] = 0;
    strcpy(directory, dirname(path));
    return true;
}

static char **words; /* the benchmark and its options */

static const struct argument arguments[] = {
    {.value = "WHAT [OPTION...]", .rest = &words},
    HELP_OPTION,
};

static int run(void) {
    static const char *const places[] = {LEAT_BENCH_FROM_BIN, "../bench/leat-bench"};
    char directory[PATH_MAX], tried[2][PATH_MAX + 64], title[] = "leat: bench";
    char **argv = words - 1; /* from the word before, which becomes the program's name */
    if (!own_directory(directory))
        return fail_system("/proc/self/exe, to find the benchmark program", errno);
    argv[0] = title;
    for (size_t i = 0; i < 2; i++) {
        snprintf(tried[i], sizeof tried[i], "%s/%s", directory, places[i]);
        execv(tried[i], argv);
        if (errno != ENOENT && errno != ENOTDIR)
            return fail_system(tried[i], errno);
    }
    fprintf(stderr,
            "leat: bench: the benchmark program is neither '%s' nor '%s'. Install it with leat's "
            "benchmarks, or build leat with -DLEAT_BUILD_BENCH=ON.\n",
            tried[0], tried[1]);
    return END_FAILED;
}

const struct command command_bench = {
    .name = "bench",
    .summary = "measure channels beside other transports",
    .about = "Measures channels beside other ways to carry messages from one process to\n"
             "another, on this machine, in the same run. WHAT is one of\n"
             "\n"
             "  throughput  messages a second, as fast as they can\n"
             "  latency     round trips, one message at a time: percentiles\n"
             "  wakeup      round trips after a pause, when the other side really sleeps\n"
             "  paced       one way at fixed rates, without coordinated omission\n"
             "  open        creating, attaching, closing\n"
             "  sync        mutexes, events, semaphores: locking, and waking a sleeper\n"
             "  loop        channels in libuv loops: round trips, waiting, rates, idling\n"
             "  limits      what the machine itself can do between two processes\n"
             "\n"
             "Each takes under 30 seconds; --full takes as long as reliable figures need.\n"
             "'leat bench WHAT --help' lists its options and transports, among them --json,\n"
             "--plot FILE.svg and --hdr FILE. It needs two CPUs: close other busy programs.\n",
    .notes = "Exit codes: 0 done; 1 a message was lost, torn or refused, something hung, or\n"
             "the benchmark program is not installed; 2 wrong usage; 77 fewer than two CPUs.\n",
    .arguments = arguments,
    .passes_on = true,
    .run = run,
};
