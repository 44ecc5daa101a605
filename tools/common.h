/* common.h - what all commands of `leat` share: exit codes, messages, arguments.
 *
 * Guarantees: every failure is one line on standard error with the command that failed, the object,
 * the cause and the remedy; bytes of names never reach a terminal unescaped; the exit code is the
 * kind of failure.
 */
#ifndef LEAT_TOOLS_COMMON_H
#define LEAT_TOOLS_COMMON_H

#include <stdbool.h>

#include "leat/leat.h"

/* How a command ended; the same list stands in `leat --help` and docs/command.md. From
 * END_BY_SIGNAL on: the number of the signal that ended it is added, and main ends the process by
 * that signal, after everything was put in order. */
enum {
    END_OK = 0,
    END_FAILED = 1,
    END_USAGE = 2,
    END_NO_OBJECT = 3,
    END_TIMED_OUT = 4,
    END_PEER_DIED = 5,
    END_BY_SIGNAL = 128,
};

struct argument;

struct command {
    const char *name;
    const char *summary;              /* one line; NULL for commands that only leat itself starts */
    const char *about;                /* help: what it does, above the options */
    const char *notes;                /* help: what to know besides, below them; may be NULL */
    const struct argument *arguments; /* ends with HELP_OPTION */
    const char *instead;              /* hint at a superfluous argument; may be NULL */
    bool passes_on;   /* the first operand ends the options: the rest is passed on */
    int (*run)(void); /* after the arguments were stored; gives the exit code */
};

extern const struct command *const commands[]; /* NULL ends */

/* NULL: there is none of that name. */
const struct command *command_named(const char *name);

extern const struct command command_ls, command_info, command_top, command_send, command_recv,
    command_create, command_read, command_write, command_grow, command_map_into, command_rm,
    command_gc, command_run, command_wait, command_set, command_reset, command_pulse,
    command_release, command_demo, command_demo_producer, command_bench;

/* What a command works on. */
struct target {
    const char *kind; /* "channel", "region", "object" */
    const char *name; /* as the user typed it */
    leat_scope scope; /* where it lives: a prefix of the name decides, else the option */
};

/* The scope of a file, whose name is a path. The library knows no such scope. */
#define SCOPE_OF_FILES ((leat_scope)(LEAT_GLOBAL + 1))

/* --- Messages: each gives the exit code that goes with it ------------------------------------- */

/* Which command the messages are about. */
void message_command(const char *name);

/* A leat call on the target gave this code. remedy: what the user should do, NULL for the library's
 * advice. */
int fail_leat(const struct target *target, int code, const char *remedy);

/* Something else is wrong with the target. */
int fail_target(const struct target *target, int exit_code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A system call failed on something that is no object, for example "standard input". */
int fail_system(const char *what, int system_error);

/* An argument is wrong. A second line points at --help. */
int fail_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A report that is no failure, on standard error. */
void note_target(const struct target *target, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* --- Arguments -------------------------------------------------------------------------------- */

/* What a command works on. A prefix of the name decides on its scope, else --global. */
struct target target_named(const char *kind, const char *name, bool global);

/* A file: the name is a path. */
struct target target_of_file(const char *path);

/* The scope in which the library will search for the name. */
leat_scope scope_of_name(const char *name, leat_scope otherwise);
const char *scope_name(leat_scope scope);

/* A global region has no header that names its creator. A region that is in use through leat, or
 * dies with its last user, must be leat's; for others it is not known. */
bool perhaps_foreign(const leat_object_info *info);

#endif
