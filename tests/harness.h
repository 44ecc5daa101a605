/* harness.h - what every test of leat stands on.
 *
 * A test program is one cmocka group, run by harness_main in a process of its own under a
 * supervisor that cleans up whatever way that process ends. Each test gets
 *   - a private local directory (LEAT_DIR is set, mode 0700), and a prefix for global names that
 *     nobody else uses;
 *   - a time limit: a test that hangs ends the program with a message that names the test;
 *   - an inspection afterwards: a descriptor, a child process, a name or a mapping of /dev/shm that
 *     was not there before the test is a failure, reported with what it is. tests/test_harness.c
 *     proves that each of these is noticed.
 *
 *     static void a_message_arrives(void **state) { ... }
 *
 *     int main(void)
 *     {
 *         const struct CMUnitTest tests[] = {
 *             HARNESS_TEST(message_arrives),
 *             HARNESS_TEST_WITHIN(slow_message_arrives, 60),
 *         };
 *         return HARNESS_MAIN("channel", tests);
 *     }
 *
 * Child processes are forked, not exec'd (except by harness_run_command and harness_start_command).
 * All assertions, cmocka's and assert_leat, work in a child as well: they end it with SIGABRT,
 * which fails the harness_wait_ok of the parent. A child dies with its parent. Processes
 * synchronise through words in memory from harness_shared, never by sleeping.
 *
 * Thread safety: none, except harness_set, harness_await and harness_now. LEAT_TEST_PATIENCE=n
 * multiplies all time limits (for valgrind and the like); LEAT_TEST_ONLY=pattern runs the tests
 * whose name matches (* and ?); LEAT_TEST_NO_FORK=1 leaves the supervisor out, for a debugger. / */
#ifndef LEAT_TESTS_HARNESS_H
#define LEAT_TESTS_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

#include "leat/leat.h"

/* --- Running ---------------------------------------------------------------------------------- */

struct harness_test {
    const char *name;
    unsigned limit_s;
};

/* Address sanitizer loses track of a stack whose thread is cancelled inside a system call, and
 * wants to be the first library. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HARNESS_SANITIZED true
#else
#define HARNESS_SANITIZED false
#endif

#define HARNESS_LIMIT_DEFAULT_S 120 /* ends a hang, and does not judge */

#define HARNESS_TEST_WITHIN(function, seconds)                                                     \
    cmocka_unit_test_prestate_setup_teardown(function, harness_setup, harness_teardown,            \
                                             (&(struct harness_test){#function, seconds}))
#define HARNESS_TEST(function) HARNESS_TEST_WITHIN(function, HARNESS_LIMIT_DEFAULT_S)

/* Runs the tests; the value is main's: 0, or 1 when anything failed. */
#define HARNESS_MAIN(group, tests) harness_main(group, tests, sizeof(tests) / sizeof(tests)[0])
int harness_main(const char *group, const struct CMUnitTest *tests, size_t count);

/* Used by the macros. */
int harness_setup(void **state);
int harness_teardown(void **state);

/* --- Assertions ------------------------------------------------------------------------------- */

/* Requires that a leat call gives the code; says which one it gave instead, with detail. Works in a
 * child too. */
#define assert_leat(call, code) harness_assert_code((call), (code), #call, __FILE__, __LINE__)
#define assert_ok(call) assert_leat(call, LEAT_OK)
void harness_assert_code(int got, int wanted, const char *call, const char *file, int line);

/* Fails with a formatted message. */
#define harness_fail(...) harness_fail_at(__FILE__, __LINE__, __VA_ARGS__)
void harness_fail_at(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4), noreturn));

/* --- The processor ---------------------------------------------------------------------------- */

/* The row (channels/queue/processor.h) that handles take which are opened from here on. NULL, as it
 * is when a test begins: that of the processor at hand. */
extern const struct leat__processor *harness_processor;

/* --- Names ------------------------------------------------------------------------------------ */

/* The private local directory, without a slash at the end. */
const char *harness_directory(void);

/* A global name that is this test program's: "leat-test-<pid>-<word>". Static storage, a few at a
 * time. */
const char *harness_global(const char *word);

/* How many files are in the private directory. */
size_t harness_names_left(void);

/* --- Time ------------------------------------------------------------------------------------- */

uint64_t harness_now(void); /* CLOCK_MONOTONIC in nanoseconds, without the library */
unsigned harness_patience(void);
uint64_t harness_seed(void); /* LEAT_TEST_SEED, or a new one; printed when first asked for */
uint64_t harness_random(uint64_t *state); /* splitmix64 */
/* an environment variable as a number */
long harness_setting(const char *variable, long otherwise);

/* --- Shared words ----------------------------------------------------------------------------- */

/* Zeroed memory that children share with the parent. Freed after the test. */
void *harness_shared(size_t size);

typedef _Atomic uint32_t harness_word;

/* Stores and wakes whoever awaits. */
void harness_set(harness_word *word, uint32_t value);
/* Adds one and wakes; gives the new value. */
uint32_t harness_increment(harness_word *word);
/* Waits until the word is at least `value`; fails after ten seconds. */
void harness_await(harness_word *word, uint32_t value);

/* --- Processes -------------------------------------------------------------------------------- */

/* Forks a process that runs `run` and exits with its value. The child starts with default signal
 * handling. */
pid_t harness_spawn(int (*run)(void *context), void *context);

/* Waits for the child's end and gives waitpid's status; a child that still runs after the limit is
 * killed, and the test fails. */
int harness_wait_within(pid_t pid, unsigned milliseconds);
int harness_wait(pid_t pid); /* ten seconds */

/* Requires that it exits with 0 / with this value / by this signal. */
void harness_wait_ok(pid_t pid);
void harness_wait_exit(pid_t pid, int value);
void harness_wait_signal(pid_t pid, int signal_number);

void harness_kill(pid_t pid);     /* SIGKILL; and waits for the end */
void harness_stop(pid_t pid);     /* SIGSTOP; returns when it has stopped */
void harness_continue(pid_t pid); /* SIGCONT */

/* Waits until no child is left, for programs that start helpers which outlive them for a moment
 * (the harness adopts orphans). Fails after ten seconds. */
void harness_wait_adopted(void);

/* Waits until the process sleeps in the kernel. Say with harness_set that it is about to do so,
 * first. */
void harness_await_asleep(pid_t pid);

/* User and system time that the process has used so far, in nanoseconds. */
uint64_t harness_cpu_time(pid_t pid);

/* --- Commands --------------------------------------------------------------------------------- */

struct harness_output {
    int status;      /* as from waitpid */
    int exit_code;   /* -1 when it did not exit */
    int term_signal; /* 0 when it did */
    char *out;       /* NUL-terminated besides; freed after the test */
    size_t out_size;
    char *err;
    size_t err_size;
};

/* Runs a program to its end (argv[0] is looked up in PATH) with `input` at its standard input
 * (NULL: empty). Kills it after two minutes, and fails. */
void harness_run_command(struct harness_output *output, const char *const *argv, const void *input,
                         size_t input_size);
#define HARNESS_ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Starts a program in the background. Each of the three pointers, where not NULL, gets the parent's
 * end of a pipe (close it); a standard stream without one is /dev/null (input) or the parent's own.
 * Wait with the functions above. */
pid_t harness_start_command(const char *const *argv, int *in, int *out, int *err);

/* Reads from a descriptor until the text appears; fails after ten seconds or at the end of file.
 * Gives everything read, freed after the test. */
char *harness_read_until(int descriptor, const char *text);

/* The path of a program of this build: value of the environment variable that ctest sets
 * (LEAT_COMMAND, ...), else `otherwise`, else skips the test. */
const char *harness_program(const char *variable, const char *otherwise);

#endif
