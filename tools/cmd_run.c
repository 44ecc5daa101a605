/* cmd_run.c - `leat run`: a command that holds a mutex.
 *
 * Guarantees: the mutex is held while the command runs, and while processes run that the command
 * has left behind, whichever process of `leat` is killed (keeper.h; the keeper is the only holder
 * of a mutex with priority inheritance). It is free again when they have ended. When a signal ended
 * the command or `leat`, the next owner gets LEAT_EOWNERDEAD. A command that cannot be started
 * leaves no trace. Signals that were ignored when leat was started are ignored in the command too.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arguments.h"
#include "keeper.h"
#include "signals.h"
#include "taking.h"

#define CANNOT_RUN 126
#define NOT_FOUND 127
#define SLICE_MS                                                                                   \
    100 /* longest delay of a signal that comes between a poll and the sleep after it */

struct run {
    struct target target;
    uint64_t timeout_ns;
    bool command_only;
    char **command;
    leat_mutex *mutex;
    struct keeper keeper;
};

static struct run run = {.timeout_ns =
                             UINT64_MAX}; /* the mutex is left open when the keeper takes it over */

/* --- Signals ---------------------------------------------------------------------------------- */

/* The signals whose handling this process changes; the command gets the handling that leat had. */
static struct {
    int number;
    bool ignored;
} given[] = {{SIGCHLD, false}, {SIGPIPE, false}, {SIGALRM, false}};

#define GIVEN (sizeof given / sizeof *given)

static void on_child(int signal_number) {
    (void)signal_number; /* it only interrupts */
}

/* With SIGCHLD ignored the system would not keep the end of a child for this process. */
static void take_signals(void) {
    struct sigaction action;
    for (size_t i = 0; i < GIVEN; i++)
        given[i].ignored =
            sigaction(given[i].number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
    sigaction(SIGCHLD, &(struct sigaction){.sa_handler = on_child}, NULL);
    signals_catch();
}

static void return_signals(void) {
    for (size_t i = 0; i < GIVEN; i++)
        signal(given[i].number, given[i].ignored ? SIG_IGN : SIG_DFL);
}

/* --- The command ------------------------------------------------------------------------------ */

/* How the command ended. */
struct outcome {
    int end;
    bool started;
    bool by_signal; /* or unknown: the next owner gets LEAT_EOWNERDEAD */
};

/* In the child: becomes the command. An error is sent through the pipe. */
static void become(char **command, int report) {
    return_signals();
    execvp(command[0], command);
    int error = errno;
    (void)!write(report, &error, sizeof error);
    _exit(error == ENOENT ? NOT_FOUND : CANNOT_RUN);
}

/* Starts the command; *error is the reason why it could not be executed. */
static pid_t start(int *error) {
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0)
        return -1;
    pid_t child = fork();
    if (child == 0)
        become(run.command, report[1]);
    int reason = errno;
    close(report[1]);
    if (child > 0)
        keeper_watch(&run.keeper, child);
    ssize_t got = 0;
    do
        got = child > 0 ? read(report[0], error, sizeof *error) : 0;
    while (got < 0 && errno == EINTR); /* await handles a signal that comes in between */
    close(report[0]);
    errno = reason;
    return child;
}

/* The command's end; 0: not yet. A keeper that owns the mutex is watched meanwhile. */
static pid_t await_once(pid_t child, int *status, bool watches) {
    if (!watches)
        return waitpid(child, status, 0);
    pid_t ended = waitpid(child, status, WNOHANG);
    if (ended == 0)
        (void)keeper_is_gone(&run.keeper, SLICE_MS);
    return ended;
}

/* The mutex is free when the keeper that owned it has ended: the command must not go on. */
static bool kill_without_keeper(pid_t child) {
    if (!run.keeper.owns || !keeper_is_gone(&run.keeper, 0) || kill(child, SIGKILL) != 0)
        return false;
    note_target(&run.target, "not held any more, its keeper was killed: the command is killed too");
    return true;
}

/* Waits for the command, whatever signals come: the terminal's signals reach the command too, the
 * others are passed on. */
static void await(pid_t child, struct outcome *outcome) {
    int status;
    bool handed_on = false, killed = false;
    pid_t ended;
    do {
        killed = killed || kill_without_keeper(child);
        if (signals_seen() != 0 && signals_seen() != SIGINT && !handed_on)
            handed_on = kill(child, signals_seen()) == 0;
        ended = await_once(child, &status, run.keeper.owns && !killed);
    } while (ended == 0 || (ended < 0 && errno == EINTR));
    outcome->by_signal = ended < 0 || WIFSIGNALED(status);
    if (ended < 0)
        outcome->end = fail_system("the command's end", errno);
    else
        outcome->end = WIFSIGNALED(status) ? END_BY_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

static struct outcome run_command(void) {
    int error = 0;
    struct outcome outcome = {0};
    pid_t child = start(&error);
    outcome.started = child > 0;
    if (!outcome.started) {
        outcome.end = fail_system("a process for the command", errno);
        return outcome;
    }
    await(child, &outcome);
    if (error != 0)
        fail_system(run.command[0], error);
    return outcome;
}

/* --- The mutex -------------------------------------------------------------------------------- */

/* After a signal the handle stays open until this process ends: then the next owner gets
 * LEAT_EOWNERDEAD, even if no other process has the mutex open. */
static void give_back(bool by_signal) {
    if (by_signal)
        return;
    if (!run.keeper.owns)
        (void)!leat_mutex_unlock(run.mutex);
    leat_mutex_close(run.mutex);
}

static int run_kept(void) {
    struct outcome outcome = run_command();
    if (!outcome.started)
        keeper_dismiss(&run.keeper);
    else if (keeper_left_behind(&run.keeper)) {
        note_target(&run.target,
                    "held on by processes that the command has left behind, until they end");
        keeper_hand_over(&run.keeper, !outcome.by_signal);
        return outcome.end;
    } else
        keeper_end(&run.keeper, !outcome.by_signal);
    give_back(outcome.by_signal);
    return outcome.end;
}

static int lock(leat_mutex *mutex) {
    return end_of_wait(&run.target, leat_mutex_lock(mutex, deadline_after(run.timeout_ns)));
}

static const leat_sync_options *sync_options(void) {
    static leat_sync_options options;
    options = (leat_sync_options){.scope = run.target.scope, .interruptible = true};
    return &options;
}

/* In the keeper, by a handle of its own. */
static int lock_in_keeper(struct keeper *keeper, void *context) {
    (void)context;
    int code = leat_mutex_open(&keeper->mutex, run.target.name, sync_options());
    return code == LEAT_OK ? lock(keeper->mutex) : fail_leat(&run.target, code, NULL);
}

static int run_owned(void) {
    int end = keeper_start_owner(&run.keeper, lock_in_keeper, NULL, !run.command_only);
    if (end == END_OK)
        return run_kept();
    int error = errno;
    leat_mutex_close(run.mutex);
    if (end > END_BY_SIGNAL && signals_seen() != 0)
        return END_BY_SIGNAL + signals_seen();
    return end > 0 ? end : fail_system("a process that keeps the mutex", error);
}

static int run_locked(void) {
    if (keeper_start(&run.keeper, run.mutex, !run.command_only))
        return run_kept();
    int error = errno;
    give_back(false);
    return fail_system("a process that keeps the mutex", error);
}

static int lock_and_run(void) {
    leat_sync_info info;
    take_signals();
    int code = leat_mutex_open(&run.mutex, run.target.name, sync_options());
    if (code == LEAT_OK)
        code = leat_waitable_info(leat_mutex_waitable(run.mutex), &info);
    if (code != LEAT_OK) {
        leat_mutex_close(run.mutex);
        return fail_leat(&run.target, code, NULL);
    }
    if (info.inherits_priority)
        return run_owned();
    int end = lock(run.mutex);
    if (end == END_OK)
        return run_locked();
    leat_mutex_close(run.mutex);
    return end;
}

/* --- Arguments -------------------------------------------------------------------------------- */

static bool global;

static const struct argument arguments[] = {
    {OPTION("with-mutex", 'm', "NAME", "the mutex, which is created if it is missing"),
     .text = &run.target.name, .required = true},
    {OPTION("timeout", 't', "SECONDS", "wait up to SECONDS for the mutex; default forever"),
     .duration = &run.timeout_ns},
    {OPTION("command-only", 'o', NULL, "release it when the command ends, whatever it left behind"),
     .flag = &run.command_only},
    GLOBAL_OPTION(&global, "mutex"),
    {.value = "COMMAND...", .rest = &run.command},
    HELP_OPTION,
};

static int run_run(void) {
    run.target = target_named("mutex", run.target.name, global);
    return lock_and_run();
}

const struct command command_run = {
    .name = "run",
    .summary = "run a command while holding a mutex",
    .about = "Runs a command while it holds a mutex: of all commands that are started so with\n"
             "the same name, one runs at a time. The mutex stays held until the command has\n"
             "ended, even if leat itself is killed, and until the processes have ended that\n"
             "the command left behind. A message on standard error reports that a signal\n"
             "ended the last command, or leat, while it held the mutex.\n"
             "\n"
             "A mutex with priority inheritance is held by a process of leat with the name\n"
             "'mutex-keeper': if that process is killed, the mutex is free, and leat kills the\n"
             "command, but not the processes that the command has started.\n",
    .notes = "Exit codes: the command's own, 128 + number if a signal ended it; 4 the mutex\n"
             "was not free in time; 126 the command cannot be run, 127 there is no such\n"
             "command; else as in 'leat --help'.\n",
    .arguments = arguments,
    .passes_on = true,
    .run = run_run,
};
