/* command.h - running the real `leat` command, and looking at what it printed. */
#ifndef LEAT_TESTS_COMMAND_H
#define LEAT_TESTS_COMMAND_H

#include <jansson.h>
#include <string.h>

#include "harness.h"

static struct harness_output result;

static inline const char *leat_program(void) {
    return harness_program("LEAT_COMMAND", NULL);
}

#define leat(...) harness_run_command(&result, HARNESS_ARGV(leat_program(), __VA_ARGS__), NULL, 0)

static inline void expect_at(int line, int exit_code, const char *in_output, const char *in_error) {
    if (result.exit_code != exit_code || strstr(result.out, in_output) == NULL ||
        strstr(result.err, in_error) == NULL)
        harness_fail_at(
            __FILE__, line,
            "exit code %d (signal %d); wanted %d, output with \"%s\", errors with \"%s\"\n%s%s",
            result.exit_code, result.term_signal, exit_code, in_output, in_error, result.out,
            result.err);
}

/* Exit code, something that stands in the output, something that stands in the errors. */
#define expect(exit_code, in_output, in_error) expect_at(__LINE__, exit_code, in_output, in_error)

/* A failure is one line (usage errors: two) that starts with the command, and nothing on standard
 * output. */
#define expect_failure(exit_code, in_error)                                                        \
    do {                                                                                           \
        expect(exit_code, "", in_error);                                                           \
        assert_string_equal(result.out, "");                                                       \
        assert_ptr_equal(strstr(result.err, "leat: "), result.err);                                \
        if (exit_code != 2)                                                                        \
            assert_ptr_equal(strchr(result.err, '\n'), result.err + result.err_size - 1);          \
    } while (0)

static inline json_t *parsed(void) {
    json_error_t error;
    json_t *value = json_loadb(result.out, result.out_size, 0, &error);
    if (value == NULL)
        harness_fail("no JSON: %s\n%s", error.text, result.out);
    return value;
}

static inline const char *text_of(const json_t *object, const char *member) {
    const json_t *value = json_object_get(object, member);
    if (!json_is_string(value))
        harness_fail("no text '%s' in %s", member, result.out);
    return json_string_value(value);
}

static inline long long number_of(const json_t *object, const char *member) {
    const json_t *value = json_object_get(object, member);
    if (!json_is_integer(value))
        harness_fail("no number '%s' in %s", member, result.out);
    return json_integer_value(value);
}

static inline bool truth_of(const json_t *object, const char *member) {
    const json_t *value = json_object_get(object, member);
    if (!json_is_boolean(value))
        harness_fail("no boolean '%s' in %s", member, result.out);
    return json_is_true(value);
}

static inline void run_shell(const char *script) {
    harness_run_command(&result, HARNESS_ARGV("sh", "-c", script, "sh", leat_program()), NULL, 0);
}

#endif
