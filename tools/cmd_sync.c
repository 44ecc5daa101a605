/* cmd_sync.c - mutexes, events and semaphores from the shell: `leat wait`, `set`, `reset`, `pulse`,
 * `release`.
 *
 * Guarantees: none of them leaves anything behind, killed or not.
 */
#include <stdio.h>

#include "arguments.h"
#include "signals.h"
#include "taking.h"

/* --- The object of a name --------------------------------------------------------------------- */

struct object {
    leat_kind kind;
    leat_mutex *mutex;
    leat_event *event;
    leat_semaphore *semaphore;
};

/* Opens the object, whatever its kind. */
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
    object->kind = LEAT_KIND_EVENT; /* for other kinds the library reports the error */
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
        return fail_target(target, END_TIMED_OUT, "not available in time");
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
        return fail_leat(
            &waiting->target, code,
            code == LEAT_ENOENT ? "create it with --create, or start the program that does" : NULL);
    int end = end_of_wait(&waiting->target,
                          leat_wait(waitable_of(&object), deadline_after(waiting->timeout_ns)));
    if (end == END_OK && object.mutex != NULL)
        (void)!leat_mutex_unlock(object.mutex);
    close_object(&object);
    return end;
}

static struct waiting waiting = {.timeout_ns = UINT64_MAX};
static bool wait_global;

static const struct argument wait_arguments[] = {
    {.value = "NAME", .text = &waiting.target.name},
    {OPTION("timeout", 't', "SECONDS", "wait up to SECONDS; default forever; 0 polls once"),
     .duration = &waiting.timeout_ns},
    {OPTION("create", 0, NULL, "create an event of that name if there is no object"),
     .flag = &waiting.create},
    {OPTION("manual", 0, NULL, "create an event that stays set until it is reset"),
     .flag = &waiting.manual},
    GLOBAL_OPTION(&wait_global, "object"),
    HELP_OPTION,
};

static int run_wait(void) {
    waiting.target = target_named("object", waiting.target.name, wait_global);
    return wait_for(&waiting);
}

const struct command command_wait = {
    .name = "wait",
    .summary = "wait for an event, a semaphore or a mutex",
    .about = "Waits until an event is set, a semaphore has a count or a mutex is free. Takes\n"
             "the signal of an event that resets itself, or 1 from the count; a mutex is\n"
             "unlocked again at once.\n",
    .notes = "Exit codes: 0 it came; 3 there is no such object; 4 it did not come in time;\n"
             "else as in 'leat --help'.\n",
    .arguments = wait_arguments,
    .run = run_wait,
};

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
        end = fail_target(target, END_FAILED, "an object of kind %s has no such change",
                          leat_kind_name(object.kind));
    else if (code != LEAT_OK)
        end = fail_leat(target, code, NULL);
    close_object(&object);
    return end;
}

static struct {
    const char *name;
    uint64_t amount;
    bool global;
} changing = {.amount = 1};

static const struct argument change_arguments[] = {
    {.value = "NAME", .text = &changing.name},
    GLOBAL_OPTION(&changing.global, "object"),
    HELP_OPTION,
};

static const struct argument release_arguments[] = {
    {.value = "NAME", .text = &changing.name},
    {.value = "AMOUNT",
     .count = &changing.amount,
     .min = 1,
     .max = LEAT_SEMAPHORE_MAX,
     .optional = true},
    GLOBAL_OPTION(&changing.global, "object"),
    HELP_OPTION,
};

static int run_change(enum change what) {
    struct target target = target_named("object", changing.name, changing.global);
    return change(&target, what, (uint32_t)changing.amount);
}

static int run_set(void) {
    return run_change(SET);
}

static int run_reset(void) {
    return run_change(RESET);
}

static int run_pulse(void) {
    return run_change(PULSE);
}

static int run_release(void) {
    return run_change(RELEASE);
}

const struct command command_set = {
    .name = "set",
    .summary = "set an event",
    .about = "Sets an event: all waiters go on, or one waiter if the event resets itself.\n",
    .arguments = change_arguments,
    .run = run_set,
};
const struct command command_reset = {
    .name = "reset",
    .summary = "reset an event, or a lost mutex",
    .about = "Resets an event; or makes a mutex usable again that was declared lost.\n",
    .arguments = change_arguments,
    .run = run_reset,
};
const struct command command_pulse = {
    .name = "pulse",
    .summary = "wake those that wait for an event now",
    .about = "Wakes the waiters that an event has at this moment, and leaves it reset.\n",
    .arguments = change_arguments,
    .run = run_pulse,
};
const struct command command_release = {
    .name = "release",
    .summary = "add to a semaphore's count",
    .about = "Adds AMOUNT (default 1) to a semaphore's count.\n",
    .arguments = release_arguments,
    .run = run_release,
};
