/* arguments.h - the arguments of a command: one table, from which they are parsed and explained.
 *
 * Guarantees: `--help` lists exactly the options that are parsed, because both read the same rows.
 * A wrong argument is one message of one form (the argument, what is wrong, what is allowed), and
 * nothing was done yet. Scanning is getopt_long's: long options can be abbreviated and can stand
 * after operands, and `--` ends the options.
 */
#ifndef LEAT_TOOLS_ARGUMENTS_H
#define LEAT_TOOLS_ARGUMENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common.h"

#define ARGUMENTS_MAX 32 /* rows of a table */

/* A row: an option when it has a name, else an operand. Operands stand in their order. The pointer
 * that is set is where the value goes, and thereby the kind of the argument. */
struct argument {
    const char *name;  /* of the option, without dashes */
    char letter;       /* its short form; 0: none */
    const char *value; /* what help and messages call the value: "SECONDS" */
    const char *help;  /* options only */

    bool *flag;                         /* takes no value */
    uint64_t *count;                    /* a whole number */
    uint64_t *size;                     /* bytes: 65536, 64K, 64KiB, 64kB, up to T */
    uint64_t *duration;                 /* seconds; stored in nanoseconds, UINT64_MAX: forever */
    uint32_t *permissions;              /* octal */
    int *choice;                        /* the number of one of the choices */
    const char *(*choices)(int number); /* NULL after the last */
    const char **text;                  /* any, of at most max bytes */
    const char *(*take)(const char *value); /* NULL: taken; else what is allowed */
    char ***rest;                           /* the last operand: this argument and all after it */

    uint64_t min, max;    /* of a count, size or duration; max 0: no limit */
    bool *given;          /* set when the argument is there; may be NULL */
    bool required;        /* options; operands are required unless they are optional */
    bool optional;        /* operands */
    const char *needs;    /* the option without which this argument makes no sense */
    const char *excludes; /* the option with which it makes none */
};

/* How an option's row begins: {OPTION("wait", 'w', "SECONDS", "..."), .duration = ...}. */
#define OPTION(long_name, short_name, of_value, text)                                              \
    .name = (long_name), .letter = (short_name), .value = (of_value), .help = (text)

/* The options of many commands. The row of --help ends a table. */
#define HELP_OPTION                                                                                \
    { OPTION("help", 'h', NULL, "show this help and end") }
#define JSON_OPTION(where, text)                                                                   \
    { OPTION("json", 'j', NULL, text), .flag = (where) }
#define PERMISSIONS_OPTION(where, text)                                                            \
    { OPTION("permissions", 0, "OCTAL", text), .permissions = (where) }
#define GLOBAL_OPTION(where, what)                                                                 \
    {                                                                                              \
        OPTION("global", 'g', NULL, "the machine's " what " of that name, not this user's"),       \
            .flag = (where)                                                                        \
    }

enum { ARGUMENTS_GOOD = -1 };

/* Stores the arguments. ARGUMENTS_GOOD, or how the command ends: help was asked for and printed, or
 * an argument is wrong and reported. argv[0] is the command. */
int arguments_parse(const struct command *command, int argc, char **argv);

/* What `leat help COMMAND` prints. */
void arguments_help(const struct command *command, FILE *out);

/* What values of its kind are allowed: "a number of bytes such as ...". NULL: any. */
struct allowed {
    char text[256];
};
const char *arguments_allowed(struct allowed *allowed, const struct argument *row);

/* A whole number; "65536", "64K", "64KiB" (1024) or "64kB" (1000), up to T; "10", "0.5" or
 * "forever", as a duration in nanoseconds (UINT64_MAX: for ever). */
bool parse_count(const char *text, uint64_t *count);
bool parse_size(const char *text, uint64_t *bytes);
bool parse_seconds(const char *text, uint64_t *duration_ns);

#endif
