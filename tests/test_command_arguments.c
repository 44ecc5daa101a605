/* test_command_arguments.c - the arguments of `leat`: what is parsed is what help lists, and a
 * wrong argument is refused with what is allowed. With the tables of all commands, and the real
 * command in processes of its own. */
#include "command.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "top.h"

/* --- Help and parser -------------------------------------------------------------------------- */

#define NAMES_MAX 100

struct names {
    char list[NAMES_MAX][32];
    size_t count;
};

static bool has_name(const struct names *names, const char *name) {
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->list[i], name) == 0)
            return true;
    return false;
}

/* An abbreviation of a listed option is an option too. */
static bool abbreviates(const struct names *names, const char *name) {
    for (size_t i = 0; i < names->count; i++)
        if (strncmp(names->list[i], name, strlen(name)) == 0)
            return true;
    return false;
}

static void add_name(struct names *names, const char *name, size_t length) {
    char copy[32];
    assert_true(length < sizeof copy && names->count < NAMES_MAX);
    snprintf(copy, sizeof copy, "%.*s", (int)length, name);
    if (!has_name(names, copy))
        strcpy(names->list[names->count++], copy);
}

/* The options of the help text: lines that begin with "  -x, --name" or "      --name". */
static void options_of_help(struct names *names, const char *command) {
    leat("help", command);
    expect(0, "Usage: leat ", "");
    for (const char *line = result.out; *line != 0; line = strchr(line, '\n') + 1) {
        bool entry = strncmp(line, "      --", 8) == 0 ||
                     (strncmp(line, "  -", 3) == 0 && strncmp(line + 4, ", --", 4) == 0);
        if (entry)
            add_name(names, line + 8, strcspn(line + 8, " \n"));
    }
}

static void options_of_tables(struct names *names) {
    for (size_t i = 0; commands[i] != NULL; i++)
        for (const struct argument *row = commands[i]->arguments;; row++) {
            if (row->name != NULL)
                add_name(names, row->name, strlen(row->name));
            if (row->name != NULL && strcmp(row->name, "help") == 0)
                break;
        }
}

/* Whether the command's parser knows the option. Another, unknown one stands behind it, so that no
 * command gets further. */
static bool is_parsed(const struct command *command, const char *option) {
    char first[64], unknown[] = "--frobnicate", title[] = "leat", wanted[128];
    char *argv[] = {title, first, unknown, NULL}, *message = NULL;
    size_t length;
    FILE *terminal = stderr;
    snprintf(first, sizeof first, "--%s=", option);
    snprintf(wanted, sizeof wanted, "leat: %s: %s: unknown option", command->name, first);
    optind = 0; /* getopt begins anew */
    message_command(command->name);
    stderr = open_memstream(&message, &length);
    assert_non_null(stderr);
    int end = arguments_parse(command, 3, argv);
    fclose(stderr);
    stderr = terminal;
    bool parsed = strncmp(message, wanted, strlen(wanted)) != 0;
    free(message);
    assert_int_equal(end, END_USAGE);
    return parsed;
}

static void help_lists_exactly_the_options_that_are_parsed(void **state) {
    (void)state;
    struct names all = {.count = 0};
    options_of_tables(&all);
    assert_true(all.count > 20);
    for (size_t i = 0; commands[i] != NULL; i++) {
        struct names listed = {.count = 0};
        if (commands[i]->summary == NULL)
            continue;
        options_of_help(&listed, commands[i]->name);
        assert_true(has_name(&listed, "help"));
        for (size_t j = 0; j < all.count; j++)
            if (is_parsed(commands[i], all.list[j]) != abbreviates(&listed, all.list[j]))
                harness_fail("leat %s --%s: help and parser disagree", commands[i]->name,
                             all.list[j]);
    }
}

static void tables_fit_into_the_parser(void **state) {
    (void)state;
    for (size_t i = 0; commands[i] != NULL; i++) {
        const struct argument *row = commands[i]->arguments;
        while (row->name == NULL || strcmp(row->name, "help") != 0)
            row++;
        if (row - commands[i]->arguments >= ARGUMENTS_MAX)
            harness_fail("leat %s has more than %d rows", commands[i]->name, ARGUMENTS_MAX);
    }
}

/* --- Wrong values ----------------------------------------------------------------------------- */

static void wrong_values_of_every_option_are_refused(void **state) {
    (void)state;
    size_t checked = 0;
    for (size_t i = 0; commands[i] != NULL; i++) {
        const struct argument *row = commands[i]->arguments;
        for (; row->name == NULL || strcmp(row->name, "help") != 0; row++) {
            struct allowed allowed;
            char option[40], message[512];
            if (row->name == NULL || row->flag != NULL ||
                arguments_allowed(&allowed, row) == NULL || row->text != NULL)
                continue;
            snprintf(option, sizeof option, "--%s", row->name);
            snprintf(message, sizeof message,
                     "leat: %s: %s: '?' is not %s\nleat: %s: try 'leat %s --help'\n",
                     commands[i]->name, option, allowed.text, commands[i]->name, commands[i]->name);
            leat(commands[i]->name, option, "?");
            expect_failure(2, "leat: ");
            assert_string_equal(result.err, message);
            checked++;
        }
    }
    assert_true(checked > 15);
}

/* As docs/command.md has them. */
static void messages_report_what_each_kind_allows(void **state) {
    (void)state;
    leat("recv", "a", "--count", "-1");
    expect_failure(2, "leat: recv: --count: '-1' is not a whole number\n");
    leat("top", "--count", "0");
    expect_failure(2, "leat: top: --count: '0' is not a whole number, 1 or more\n");
    leat("map-into", "0", "a");
    expect_failure(2, "leat: map-into: PID: '0' is not a whole number, 1 to 2147483647\n");
    leat("send", "a", "--capacity", "1Q");
    expect_failure(2, "leat: send: --capacity: '1Q' is not a number of bytes such as 65536, 64K "
                      "or 64MiB\n");
    leat("grow", "a", "0");
    expect_failure(2, "leat: grow: SIZE: '0' is not a number of bytes such as 65536, 64K or 64MiB, "
                      "1 or more\n");
    leat("recv", "a", "--wait", "soon");
    expect_failure(2, "leat: recv: --wait: 'soon' is not a number of seconds such as 10 or 0.5, or "
                      "'forever'\n");
    leat("top", "--delay", "forever");
    expect_failure(2, "leat: top: --delay: 'forever' is not a number of seconds, 0.1 to 86400\n");
    leat("create", "a", "--permissions", "1777");
    expect_failure(2, "leat: create: --permissions: '1777' is not an octal number from 001 to 777, "
                      "such as 640\n");
    leat("create", "a", "--permissions", "0");
    expect_failure(2, "--permissions: '0' is not");
    leat("top", "--sort", "nonesuch");
    expect_failure(2, "leat: top: --sort: 'nonesuch' is not one of KIND, SCOPE, USERS, MSG/S, ");
    leat("create", "a", "--type", "frame:256");
    expect_failure(2, "leat: create: --type: 'frame:256' is not NAME:SIZE:VERSION such as "
                      "telemetry.frame:256:1\n");
    char long_text[300];
    memset(long_text, 'x', sizeof long_text);
    long_text[sizeof long_text - 1] = 0;
    leat("top", "--filter", long_text);
    expect_failure(2, " is not a text of at most 255 bytes\n");
}

/* --- Options ---------------------------------------------------------------------------------- */

static void unknown_option_suggests_the_nearest(void **state) {
    (void)state;
    leat("ls", "--globl");
    expect_failure(2, "leat: ls: --globl: unknown option; the nearest is --global\n");
    leat("send", "a", "--liens=x");
    expect_failure(2, "--liens=x: unknown option; the nearest is --lines\n");
    leat("info", "--hlep");
    expect_failure(2, "the nearest is --help\n");
    leat("ls", "--frobnicate");
    expect_failure(2, "leat: ls: --frobnicate: unknown option\n");
    leat("ls", "-z");
    expect_failure(2, "leat: ls: -z: unknown option\n");
    leat("send", "a", "--f");
    expect_failure(2, "leat: send: --f: this can mean --frame, --follow\n");
}

static void options_are_complete(void **state) {
    (void)state;
    leat("recv", "a", "--wait");
    expect_failure(2, "leat: recv: --wait: SECONDS is missing\n");
    leat("recv", "a", "-n");
    expect_failure(2, "leat: recv: --count: N is missing\n");
    leat("ls", "--all=yes");
    expect_failure(2, "leat: ls: --all: it takes no value\n");
    leat("run", "true");
    expect_failure(2, "leat: run: --with-mutex NAME is missing\n");
    leat("run", "--with-mutex", "a");
    expect_failure(2, "leat: run: COMMAND is missing\n");
}

static void options_that_contradict_are_refused(void **state) {
    (void)state;
    leat("recv", "a", "--raw", "--lines");
    expect_failure(2, "leat: recv: --raw: it excludes --lines\n");
    leat("recv", "a", "--lines", "--raw");
    expect_failure(2, "leat: recv: --raw: it excludes --lines\n");
    leat("create", "a", "--lock", "--keep");
    expect_failure(2, "leat: create: --keep: it excludes --lock\n");
    leat("write", "a", "--grow");
    expect_failure(2, "leat: write: --grow: it needs --create\n");
    leat("map-into", "1", "a", "4K");
    expect_failure(2, "leat: map-into: SIZE: it needs --create\n");
}

static void options_are_scanned_as_by_getopt(void **state) {
    (void)state;
    leat("ls", "--loc", "--js");
    expect(0, "[]", "");
    leat("ls", "-laj");
    expect(0, "[]", "");
    leat("recv", "a", "-hj");
    expect(0, "Usage: leat recv NAME", "");
    leat("info", "nothing", "--json");
    expect_failure(3, "'nothing'");
    leat("info", "--", "--json");
    expect_failure(3, "object '--json'");
    leat("wait", "--time=0", "nothing");
    expect_failure(3, "'nothing'");
    leat("run", "-mm", "sh", "-c", "exit 7");
    expect(7, "", "");
}

/* --- A table of every kind -------------------------------------------------------------------- */

static bool flag, wait_given;
static uint64_t count, size, duration;
static uint32_t permissions;
static int choice;
static const char *text, *name;
static char **rest;

static const struct argument every_kind[] = {
    {OPTION("flag", 'f', NULL, "a flag"), .flag = &flag},
    {OPTION("count", 'c', "N", "a count"), .count = &count, .min = 2, .max = 9},
    {OPTION("size", 0, "BYTES", "a size"), .size = &size},
    {OPTION("wait", 0, "SECONDS", "a duration"), .duration = &duration, .given = &wait_given},
    {OPTION("permissions", 0, "OCTAL", "permissions"), .permissions = &permissions},
    {OPTION("sort", 0, "COLUMN", "a choice"), .choice = &choice, .choices = top_column_title},
    {OPTION("text", 0, "TEXT", "a text"), .text = &text, .max = 3},
    {.value = "NAME", .text = &name},
    {.value = "MORE...", .rest = &rest, .optional = true},
    HELP_OPTION,
};

static const struct command test_command = {
    .name = "test", .about = "Tests.\n", .arguments = every_kind};

static int parse(char **arguments) {
    int argc = 0;
    char *argv[16] = {"test"};
    while (arguments[argc] != NULL) {
        argv[argc + 1] = arguments[argc];
        argc++;
    }
    optind = 0; /* getopt begins anew */
    message_command("test");
    return arguments_parse(&test_command, argc + 1, argv);
}

#define PARSE(...) parse((char *[]){__VA_ARGS__, NULL})

static void values_of_each_kind_are_stored(void **state) {
    (void)state;
    assert_int_equal(PARSE("n"), ARGUMENTS_GOOD);
    assert_string_equal(name, "n");
    assert_true(!flag && !wait_given && *rest == NULL);
    assert_int_equal(PARSE("n", "m", "-f", "o", "--count", "9", "--size", "64K", "--wait=1.5",
                           "--permissions", "0640", "--sort", "wakes/s", "--text", "abc"),
                     ARGUMENTS_GOOD);
    assert_true(flag && wait_given);
    assert_int_equal(count, 9);
    assert_int_equal(size, 65536);
    assert_int_equal(duration, 1500000000u);
    assert_int_equal(permissions, 0640);
    assert_int_equal(choice, TOP_WAKES);
    assert_string_equal(text, "abc");
    assert_int_equal(PARSE("n", "--sort", "wake", "--count", "2"), ARGUMENTS_GOOD);
    assert_int_equal(choice, TOP_WAKE);
    assert_int_equal(PARSE("n", "--count", "10"), END_USAGE);
    assert_int_equal(PARSE("n", "-c1"), END_USAGE);
    assert_int_equal(count, 2);
    assert_int_equal(PARSE("n", "--text", "abcd"), END_USAGE);
    assert_int_equal(PARSE("n", "--sort", "nonesuch"), END_USAGE);
    assert_string_equal(text, "abc");
}

static void help_is_wrapped_at_80_columns(void **state) {
    (void)state;
    static bool unused;
    static const struct argument arguments[] = {
        {OPTION("an-option-longer-than-the-column", 0, "VALUE", "on a line of its own"),
         .text = &text},
        {OPTION("words", 'w', NULL,
                "words words words words words words words words words words words words ends"),
         .flag = &unused},
        HELP_OPTION,
    };
    static const struct command command = {
        .name = "test", .about = "Tests.\n", .notes = "Notes.\n", .arguments = arguments};
    char *help = NULL;
    size_t length;
    FILE *out = open_memstream(&help, &length);
    assert_non_null(out);
    arguments_help(&command, out);
    fclose(out);
    assert_string_equal(
        help, "Usage: leat test [OPTION...]\n\nTests.\n\n"
              "      --an-option-longer-than-the-column VALUE\n"
              "               on a line of its own\n"
              "  -w, --words  words words words words words words words words words words words\n"
              "               words ends\n"
              "  -h, --help   show this help and end\n\nNotes.\n");
    free(help);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST_WITHIN(help_lists_exactly_the_options_that_are_parsed, 300),
        HARNESS_TEST(tables_fit_into_the_parser),
        HARNESS_TEST(wrong_values_of_every_option_are_refused),
        HARNESS_TEST(messages_report_what_each_kind_allows),
        HARNESS_TEST(unknown_option_suggests_the_nearest),
        HARNESS_TEST(options_are_complete),
        HARNESS_TEST(options_that_contradict_are_refused),
        HARNESS_TEST(options_are_scanned_as_by_getopt),
        HARNESS_TEST(values_of_each_kind_are_stored),
        HARNESS_TEST(help_is_wrapped_at_80_columns),
    };
    return HARNESS_MAIN("command_arguments", tests);
}
