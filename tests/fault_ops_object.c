/* fault_ops_object.c - operations on objects from outside: stat, list, unlink, gc. See fault.h. */
#include "fault_ops.h"
#include "handles.h"

#include <errno.h>
#include <string.h>

/* Of the process that runs: none of these is shared. */
static leat_region *region;
static leat_mutex *mutex;
static leat_sender *sender;
static leat_object_info info;
static unsigned seen, seen_unused;

static void hold(void) {
    fault_ready(create_region(&region, NAME, 4096, NULL));
    fault_ready(leat_mutex_open(&mutex, "mutex", NULL));
    fault_ready(leat_sender_open(&sender, "channel", NULL));
    fault_remember();
}

static void leave(void) {
    leat_region_close(region);
    leat_mutex_close(mutex);
    leat_sender_close(sender);
}

static void make_and_die(void) {
    leat_region *dying;
    fault_ready(create_region(&dying, "dead", 4096, NULL));
}

static void hold_beside_dead(void) {
    hold();
    fault_die_after(make_and_die);
}

static void check_name(const char *name) {
    if (leat_stat(name, LEAT_LOCAL, &info) != LEAT_OK)
        fault_found(FAULT_REPLACED, "the %s is gone", name);
}

static void look(enum fault_moment moment, int code) {
    (void)moment, (void)code;
    leat_region *second;
    leat_mutex *third;
    leat_receiver *receiver;
    fault_check_same();
    check_name("mutex");
    check_name("channel");
    if (fault_expect(FAULT_HELD_UP, open_region(&second, NAME, 0, NULL), LEAT_OK))
        leat_region_close(second);
    if (fault_expect(FAULT_HELD_UP, leat_mutex_open(&third, "mutex", NULL), LEAT_OK))
        leat_mutex_close(third);
    if (fault_expect(FAULT_HELD_UP, leat_receiver_open(&receiver, "channel", NULL), LEAT_OK))
        leat_receiver_close(receiver);
}

static void look_and_make_anew(enum fault_moment moment, int code) {
    leat_region *second;
    look(moment, code);
    if (!fault_expect(FAULT_HELD_UP, open_or_create_region(&second, "dead", 0, NULL), LEAT_OK))
        return;
    if (!region_details(second).created)
        fault_found(FAULT_REPLACED, "a dead one is opened");
    leat_region_close(second);
}

static void look_at_unlinked(enum fault_moment moment, int code) {
    (void)moment;
    int wanted = code == LEAT_OK ? LEAT_ENOENT : LEAT_OK;
    fault_expect(FAULT_REPLACED, leat_stat(NAME, LEAT_LOCAL, &info), wanted);
}

/* --- The calls -------------------------------------------------------------------------------- */

static int stat_object(void) {
    return leat_stat(NAME, LEAT_LOCAL, &info);
}

static void judge_stat(int code) {
    if (code == LEAT_OK && (!info.in_use || info.users == 0))
        fault_found(FAULT_CALLED_DEAD, "in use: %d, users: %u", info.in_use, info.users);
    if (code == LEAT_OK && info.damaged)
        fault_found(FAULT_CODE, "it is called damaged");
}

static int visit(const leat_object_info *object, void *context) {
    (void)context;
    seen++;
    seen_unused += !object->in_use;
    return 0;
}

static int list_objects(void) {
    return leat_list(LEAT_LOCAL, visit, NULL);
}

static void judge_list(int code) {
    if (seen_unused > 0)
        fault_found(FAULT_CALLED_DEAD, "it lists %u of 3 as unused", seen_unused);
    bool passed_over = fault_error() == EACCES ||
                       fault_error() == ENOENT; /* not readable for this user, or gone */
    if (code == LEAT_OK && seen < 3 && !passed_over)
        fault_found(FAULT_NO_CAUSE, "it lists %u of 3 and reports success", seen);
}

static void visit_removed(const leat_object_info *object, void *context) {
    (void)context;
    if (strcmp(object->name, "dead") != 0)
        fault_found(FAULT_CALLED_DEAD, "it removes what lives");
}

static int collect(void) {
    return leat_gc(LEAT_LOCAL, visit_removed, NULL);
}

static int unlink_object(void) {
    return leat_unlink(NAME, LEAT_LOCAL);
}

const struct fault_operation fault_object_operations[] = {
    {.name = "leat_stat",
     .hold = hold,
     .look = look,
     .leave = leave,
     .act = stat_object,
     .judge = judge_stat},
    {.name = "leat_list",
     .hold = hold,
     .look = look,
     .leave = leave,
     .act = list_objects,
     .judge = judge_list},
    {.name = "leat_gc",
     .hold = hold_beside_dead,
     .look = look_and_make_anew,
     .leave = leave,
     .act = collect},
    {.name = "leat_unlink",
     .hold = hold,
     .look = look_at_unlinked,
     .leave = leave,
     .act = unlink_object},
    {0},
};
