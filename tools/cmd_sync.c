/* cmd_sync.c - mutexes, events and semaphores from the shell: `leat wait`, `set`, `reset`, `pulse`,
 * `release`.
 *
 * Guarantees: nothing is left behind by any of them, killed or not.
 */
#include <stdio.h>

#include "signals.h"
#include "taking.h"

enum { OPTION_TIMEOUT = 't', OPTION_CREATE = 'c', OPTION_MANUAL = 'M' };

static const char wait_help[] =
    "Usage: leat wait NAME [--timeout SECONDS] [--create [--manual]] [--global]\n"
    "\n"
    "Waits until an event is set, a semaphore has a count or a mutex is free. Takes\n"
    "the signal of an event that resets itself, or one of the count; a mutex is let\n"
    "go again at once.\n"
    "\n"
    "  --timeout SECONDS  wait so long; without, for ever; 0 only looks\n"
    "  --create           create an event of that name if there is nothing\n"
    "  --manual           one that stays set until it is reset\n"
    "  --global           the machine's object of that name, not this user's\n"
    "\n"
    "Exit codes: 0 it came; 3 there is no such object; 4 it did not come in time;\n"
    "else as 'leat --help' says.\n";

#define CHANGE_HELP(usage, text)                                                                   \
    "Usage: leat " usage " [--global]\n"                                                           \
    "\n" text "\n"                                                                                 \
    "  --global  the machine's object of that name, not this user's\n"

static const char set_help[] =
    CHANGE_HELP("set NAME", "Sets an event: all who wait go on, or one, if it resets itself.\n");
static const char reset_help[] = CHANGE_HELP(
    "reset NAME", "Resets an event; or makes a mutex usable again that was given up as lost.\n");
static const char pulse_help[] = CHANGE_HELP(
    "pulse NAME", "Lets those go on who wait for an event at this moment, and leaves it reset.\n");
static const char release_help[] =
    CHANGE_HELP("release NAME [AMOUNT]", "Adds to a semaphore's count; without AMOUNT, 1.\n");

/* --- The object of a name --------------------------------------------------------------------- */

struct object {
    leat_kind kind;
    leat_mutex *mutex;
    leat_event *event;
    leat_semaphore *semaphore;
};

/* Of whatever kind it is. */
static int open_existing(struct object *object, const struct target *target) {
    leat_sync_options options = {.scope = target->scope, .mode = LEAT_OPEN, .interruptible = true};
    leat_object_info info;
    int code = leat_stat(target->name, target->scope, &info);
    if (code != LEAT_OK)
        return code;
    object->kind = info.kind;
    if (info.kind == LEAT_KIND_MUTEX)
        return leat_mutex_open(&object->mutex, target->name, &options);
    if (info.kind == LEAT_KIND_SEMAPHORE)
        return leat_semaphore_open(&object->semaphore, target->name, 0, 1, &options);
    object->kind = LEAT_KIND_EVENT; /* or the library says what it is instead */
    return leat_event_open(&object->event, target->name, &options);
}

static void close_object(const struct object *object) {
    leat_mutex_close(object->mutex);
    leat_event_close(object->event);
    leat_semaphore_close(object->semaphore);
}

static leat_waitable *waitable_of(const struct object *object) {
    return object->mutex != NULL       ? leat_mutex_waitable(object->mutex)
           : object->semaphore != NULL ? leat_semaphore_waitable(object->semaphore)
                                       : leat_event_waitable(object->event);
}

int end_of_wait(const struct target *target, int code) {
    if (code == LEAT_OK)
        return END_OK;
    if (code == LEAT_EOWNERDEAD) {
        note_target(target, "its last holder died while it held it");
        return END_OK;
    }
    if (code == LEAT_EINTR && signals_seen() != 0)
        return END_BY_SIGNAL + signals_seen();
    if (code == LEAT_EAGAIN || code == LEAT_ETIMEDOUT)
        return fail_target(target, END_TIMED_OUT, "not to be had in time");
    return fail_leat(target, code, NULL);
}

/* --- leat wait -------------------------------------------------------------------------------- */

struct waiting {
    struct target target;
    uint64_t timeout_ns;
    bool create, manual;
};

static int wait_for(const struct waiting *waiting) {
    struct object object = {0};
    leat_sync_options created = {
        .scope = waiting->target.scope, .interruptible = true, .manual_reset = waiting->manual};
    signals_catch();
    int code = open_existing(&object, &waiting->target);
    if (code == LEAT_ENOENT && waiting->create)
        code = leat_event_open(&object.event, waiting->target.name, &created);
    if (code != LEAT_OK)
        return fail_leat(&waiting->target, code,
                         code == LEAT_ENOENT ? "create it with --create, or start who does" : NULL);
    int end = end_of_wait(&waiting->target,
                          leat_wait(waitable_of(&object), deadline_after(waiting->timeout_ns)));
    if (end == END_OK && object.mutex != NULL)
        (void)!leat_mutex_unlock(object.mutex);
    close_object(&object);
    return end;
}

static int run_wait(int argc, char **argv) {
    static const struct option options[] = {COMMON_OPTIONS,
                                            SCOPE_OPTION,
                                            {"timeout", required_argument, NULL, OPTION_TIMEOUT},
                                            {"create", no_argument, NULL, OPTION_CREATE},
                                            {"manual", no_argument, NULL, OPTION_MANUAL},
                                            {0}};
    struct waiting waiting = {.timeout_ns = UINT64_MAX};
    bool global = false;
    int option;
    while ((option = getopt_long(argc, argv, "hgt:", options, NULL)) != -1) {
        if (option == OPTION_HELP)
            return fputs(wait_help, stdout), END_OK;
        else if (option == OPTION_GLOBAL)
            global = true;
        else if (option == OPTION_CREATE)
            waiting.create = true;
        else if (option == OPTION_MANUAL)
            waiting.manual = true;
        else if (option != OPTION_TIMEOUT)
            return fail_usage(NULL);
        else if (!seconds_option("timeout", optarg, &waiting.timeout_ns))
            return END_USAGE;
    }
    if (!target_from_arguments(&waiting.target, "object", global, argc, argv))
        return END_USAGE;
    return wait_for(&waiting);
}

/* --- leat set, reset, pulse, release ---------------------------------------------------------- */

enum change { SET, RESET, PULSE, RELEASE };

static int change(const struct target *target, enum change what, uint32_t amount) {
    struct object object = {0};
    int code = open_existing(&object, target);
    if (code == LEAT_OK && what == RELEASE)
        code = object.semaphore != NULL ? leat_semaphore_release(object.semaphore, amount, NULL)
                                        : LEAT_EKIND;
    else if (code == LEAT_OK && what == RESET && object.mutex != NULL)
        code = leat_mutex_reset(object.mutex);
    else if (code == LEAT_OK)
        code = object.event == NULL ? LEAT_EKIND
               : what == SET        ? leat_event_set(object.event)
               : what == RESET      ? leat_event_reset(object.event)
                                    : leat_event_pulse(object.event);
    int end = END_OK;
    if (code == LEAT_EKIND && object.kind != 0 &&
        (object.mutex != NULL || object.event != NULL || object.semaphore != NULL))
        end = fail_target(target, END_FAILED, "there is no such change for a thing of its kind: %s",
                          leat_kind_name(object.kind));
    else if (code != LEAT_OK)
        end = fail_leat(target, code, NULL);
    close_object(&object);
    return end;
}

static int run_change(int argc, char **argv, enum change what, const char *help) {
    static const struct option options[] = {COMMON_OPTIONS, SCOPE_OPTION, {0}};
    struct target target;
    uint64_t amount = 1;
    bool global = false;
    int option;
    while ((option = getopt_long(argc, argv, "hg", options, NULL)) != -1) {
        if (option == OPTION_HELP)
            return fputs(help, stdout), END_OK;
        if (option != OPTION_GLOBAL)
            return fail_usage(NULL);
        global = true;
    }
    if (what == RELEASE && argc - optind == 2 &&
        (!parse_count(argv[--argc], &amount) || amount == 0 || amount > LEAT_SEMAPHORE_MAX))
        return fail_usage("AMOUNT: wanted is a whole number from 1 on");
    if (!target_from_arguments(&target, "object", global, argc, argv))
        return END_USAGE;
    return change(&target, what, (uint32_t)amount);
}

static int run_set(int argc, char **argv) {
    return run_change(argc, argv, SET, set_help);
}

static int run_reset(int argc, char **argv) {
    return run_change(argc, argv, RESET, reset_help);
}

static int run_pulse(int argc, char **argv) {
    return run_change(argc, argv, PULSE, pulse_help);
}

static int run_release(int argc, char **argv) {
    return run_change(argc, argv, RELEASE, release_help);
}

const struct command command_wait = {"wait", "wait for an event, a semaphore or a mutex", wait_help,
                                     run_wait};
const struct command command_set = {"set", "set an event", set_help, run_set};
const struct command command_reset = {"reset", "reset an event, or a lost mutex", reset_help,
                                      run_reset};
const struct command command_pulse = {"pulse", "let those go on who wait for an event", pulse_help,
                                      run_pulse};
const struct command command_release = {"release", "add to a semaphore's count", release_help,
                                        run_release};
