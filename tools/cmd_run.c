/* cmd_run.c - `leat run`: a command that holds a mutex.
 *
 * Guarantees: the mutex is held while the command runs, and while processes run that the command has left behind, whichever
 * process of `leat` is killed (keeper.h). It is free again when they have ended. When the command or `leat` was ended
 * by a signal, the next one that locks the mutex gets LEAT_EOWNERDEAD.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keeper.h"
#include "signals.h"
#include "taking.h"

enum { OPTION_MUTEX = 'm', OPTION_TIMEOUT = 't', OPTION_COMMAND_ONLY = 'o' };

#define CANNOT_RUN 126
#define NOT_FOUND 127

static const char help[] =
    "Usage: leat run --with-mutex NAME [--timeout SECONDS] [--command-only]\n"
    "                [--global] [--] COMMAND...\n"
    "\n"
    "Runs a command while it holds a mutex, which it creates if need be: of all that\n"
    "are started so with the same name one runs at a time. The mutex stays held until\n"
    "the command has ended, also if leat itself is killed, and until the processes\n"
    "have ended that the command left behind. A message on standard error reports\n"
    "that a signal ended the last command, or leat, while it held the mutex.\n"
    "\n"
    "  --with-mutex NAME  which\n"
    "  --timeout SECONDS  wait so long for it; without, for ever\n"
    "  --command-only     release it when the command ends, whatever it left behind\n"
    "  --global           the machine's mutex of that name, not this user's\n"
    "\n"
    "Exit codes: the command's own, 128 + number if a signal ended it; 4 the mutex\n"
    "was not to be had in time; 126 and 127 the command cannot be run, or is not\n"
    "there; else as 'leat --help' says.\n";

struct run {
    struct target target;
    uint64_t timeout_ns;
    bool command_only;
    bool by_thread; /* the mutex belongs to the thread that locked it (priority inheritance) */
    char **command;
    leat_mutex *mutex;
    struct keeper keeper;
};

static struct run run; /* the mutex is left open when the keeper takes it over */

/* --- The command ------------------------------------------------------------------------------ */

/* A mutex with priority inheritance is free when leat's thread has ended, so that the command must not go on. */
static void end_with_parent(pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(CANNOT_RUN);
}

/* In the child: becomes the command. What went wrong goes through the pipe. */
static void become(char **command, int told) {
    signal(SIGPIPE, SIG_DFL);
    execvp(command[0], command);
    int error = errno;
    (void)!write(told, &error, sizeof error);
    _exit(error == ENOENT ? NOT_FOUND : CANNOT_RUN);
}

/* Starts the command; *error is the reason why it could not be executed. */
static pid_t start(int *error) {
    int told[2];
    if (pipe2(told, O_CLOEXEC) != 0)
        return -1;
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        if (run.by_thread)
            end_with_parent(parent);
        become(run.command, told[1]);
    }
    int reason = errno;
    close(told[1]);
    if (child > 0 && !run.by_thread)
        keeper_watch(&run.keeper, child);
    ssize_t heard = 0;
    do
        heard = child > 0 ? read(told[0], error, sizeof *error) : 0;
    while (heard < 0 && errno == EINTR); /* a signal in between is the business of await */
    close(told[0]);
    errno = reason;
    return child;
}

/* Waits for the command, whatever signals come: those of the terminal reach it too, the others are handed on. */
static int await(pid_t child) {
    int status, handed_on = 0;
    while (waitpid(child, &status, 0) < 0) {
        if (signals_seen() != 0 && signals_seen() != SIGINT && !handed_on)
            handed_on = kill(child, signals_seen()) == 0;
    }
    return WIFSIGNALED(status) ? END_BY_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

static int run_command(bool *by_signal) {
    int error = 0;
    pid_t child = start(&error);
    if (child < 0)
        return fail_system("a process for the command", errno);
    int end = await(child);
    *by_signal = end > END_BY_SIGNAL;
    if (error != 0)
        fail_system(run.command[0], error);
    return end;
}

/* --- The mutex -------------------------------------------------------------------------------- */

/* Closing a mutex that is held leaves it as by death. */
/* After a signal the handle is left to the end of this process: then the next one is told, also if nobody else has the mutex. */
static void give_back(bool by_signal) {
    if (by_signal)
        return;
    (void)!leat_mutex_unlock(run.mutex);
    leat_mutex_close(run.mutex);
}

static int run_by_thread(void) {
    bool by_signal = false;
    int end = run_command(&by_signal);
    give_back(by_signal);
    return end;
}

static int run_kept(void) {
    bool by_signal = false;
    if (!keeper_start(&run.keeper, run.mutex, !run.command_only)) {
        int error = errno;
        give_back(false);
        return fail_system("a process that keeps the mutex", error);
    }
    int end = run_command(&by_signal);
    if (keeper_left_behind(&run.keeper)) {
        note_target(&run.target, "held on by processes that the command has left behind, until they end");
        keeper_hand_over(&run.keeper, !by_signal);
    } else {
        keeper_end(&run.keeper);
        give_back(by_signal);
    }
    return end;
}

static int run_locked(void) {
    leat_sync_info info;
    run.by_thread = leat_sync_info_get(leat_mutex_waitable(run.mutex), &info) == LEAT_OK && info.inherits_priority;
    return run.by_thread ? run_by_thread() : run_kept();
}

static int lock_and_run(void) {
    leat_sync_options options = {.scope = run.target.scope, .interruptible = true};
    signals_catch();
    int code = leat_mutex_open(&run.mutex, run.target.name, &options);
    if (code != LEAT_OK)
        return fail_leat(&run.target, code, NULL);
    int end = end_of_wait(&run.target, leat_mutex_lock(run.mutex, deadline_after(run.timeout_ns)));
    if (end == END_OK)
        return run_locked();
    leat_mutex_close(run.mutex);
    return end;
}

/* --- Arguments -------------------------------------------------------------------------------- */

static int take_option(int option, bool *global) {
    switch (option) {
    case OPTION_GLOBAL:
        *global = true;
        return END_OK;
    case OPTION_MUTEX:
        run.target.name = optarg;
        return END_OK;
    case OPTION_COMMAND_ONLY:
        run.command_only = true;
        return END_OK;
    case OPTION_TIMEOUT:
        return seconds_option("timeout", optarg, &run.timeout_ns) ? END_OK : END_USAGE;
    default:
        return fail_usage(NULL);
    }
}

static int run_run(int argc, char **argv) {
    static const struct option options[] = {COMMON_OPTIONS,
                                            SCOPE_OPTION,
                                            {"with-mutex", required_argument, NULL, OPTION_MUTEX},
                                            {"timeout", required_argument, NULL, OPTION_TIMEOUT},
                                            {"command-only", no_argument, NULL, OPTION_COMMAND_ONLY},
                                            {0}};
    run = (struct run){.target = {.kind = "mutex"}, .timeout_ns = UINT64_MAX};
    bool global = false;
    int option;
    while ((option = getopt_long(argc, argv, "+hgom:t:", options, NULL)) != -1) {
        if (option == OPTION_HELP)
            return fputs(help, stdout), END_OK;
        if (take_option(option, &global) != END_OK)
            return END_USAGE;
    }
    if (run.target.name == NULL)
        return fail_usage("which mutex? --with-mutex NAME");
    if (optind == argc)
        return fail_usage("which command?");
    run.target.scope = scope_of_name(run.target.name, global ? LEAT_GLOBAL : LEAT_LOCAL);
    run.command = argv + optind;
    return lock_and_run();
}

const struct command command_run = {"run", "run a command while holding a mutex", help, run_run};
