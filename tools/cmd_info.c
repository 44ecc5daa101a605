/* cmd_info.c - `leat info`: everything that can be known about one object from outside.
 *
 * It reads without becoming a user. The figures of a busy channel are a snapshot, and behind by at
 * most an eighth of its ring. The processes that have the object come from /proc, which shows those
 * that this user may inspect.
 */
#include <stdio.h>

#include "arguments.h"
#include "figures.h"
#include "info.h"
#include "names.h"
#include "users.h"

static void line(FILE *out, const char *label, const char *value) {
    fprintf(out, "  %-12s %s\n", label, value);
}

static void size_line(FILE *out, const char *label, uint64_t bytes) {
    struct figure exact, rounded;
    fprintf(out, "  %-12s %s bytes", label, figure_count(&exact, bytes));
    if (bytes >= 1024)
        fprintf(out, " (%s)", figure_bytes(&rounded, bytes));
    fputc('\n', out);
}

static void show_users(FILE *out, const leat_object_info *info) {
    struct figure count;
    line(out, "users", info->users == 0 ? "none" : figure_count(&count, info->users));
}

static void show_object(FILE *out, const leat_object_info *info) {
    struct shown_name name;
    struct figure user;
    char permissions[10];
    fprintf(out, "%s %s '%s'%s\n", scope_name(info->scope), leat_kind_name(info->kind),
            name_show(&name, info->name),
            info->damaged ? ", damaged: its header fails its checksum" : "");
    size_line(out, "size", info->size);
    fprintf(out, "  %-12s %s (%u)\n", "owner", figure_user(&user, info->owner), info->owner);
    fprintf(out, "  %-12s %s (%04o)\n", "access",
            figure_permissions(permissions, info->permissions), info->permissions & 0777);
    show_users(out, info);
    line(out, "lifetime",
         info->persistent  ? "persistent: stays until 'leat rm'"
         : info->in_use    ? "ends with its last user"
         : info->abandoned ? "stays until a next owner learns of the last owner's death"
                           : "over: its users were killed, 'leat gc' removes it");
}

static void show_type(FILE *out, const leat_type *type) {
    struct shown_text name;
    if (type->name != NULL)
        fprintf(out, "  %-12s '%s', version %u, of %llu bytes\n", "type",
                text_show(&name, type->name), type->version, (unsigned long long)type->size);
}

static void statistics_row(FILE *out, const char *label, uint64_t sent, uint64_t received) {
    struct figure left, right;
    fprintf(out, "  %-20s %20s %20s\n", label, figure_count(&left, sent),
            figure_count(&right, received));
}

static const char *mean_wake(struct figure *figure, const leat_statistics *statistics) {
    return statistics->wakes == 0
               ? "-"
               : figure_duration(figure, statistics->wake_ns / statistics->wakes);
}

static void wakes_rows(FILE *out, const leat_channel_info *info) {
    struct figure left, right;
    statistics_row(out, "wake-ups", info->sent.wakes, info->received.wakes);
    fprintf(out, "  %-20s %20s %20s\n", "mean wake-up", mean_wake(&left, &info->sent),
            mean_wake(&right, &info->received));
}

static void show_channel(FILE *out, const leat_channel_info *info) {
    size_line(out, "capacity", info->capacity);
    size_line(out, "max message", info->max_message);
    size_line(out, "backlog", info->backlog_bytes);
    fprintf(out, "  %-12s %s%s\n", "sender", peer_name(info->sender),
            info->many_senders ? " (many allowed)" : "");
    line(out, "receiver", peer_name(info->receiver));
    fprintf(out, "  %-20s %20s %20s\n", "since creation", "sent", "received");
    statistics_row(out, "messages", info->sent.messages, info->received.messages);
    statistics_row(out, "bytes", info->sent.bytes, info->received.bytes);
    statistics_row(out, "stalls", info->sent.stalls, info->received.stalls);
    statistics_row(out, "sleeps", info->sent.sleeps, info->received.sleeps);
    statistics_row(out, "wake calls", info->sent.wake_calls, info->received.wake_calls);
    statistics_row(out, "wake calls saved", info->sent.wake_calls_saved,
                   info->received.wake_calls_saved);
    statistics_row(out, "high water, bytes", info->sent.high_water_bytes,
                   info->received.high_water_bytes);
    wakes_rows(out, info);
}

static void show_sync(FILE *out, const leat_sync_info *info) {
    fprintf(out, "  %-12s %u\n", "handles", info->handles);
    if (info->kind == LEAT_KIND_MUTEX) {
        line(out, "state",
             info->lost        ? "lost: until 'leat reset'"
             : info->held      ? "held"
             : info->abandoned ? "abandoned: its holder died"
                               : "free");
        if (info->held)
            fprintf(out, "  %-12s %s %u\n", "holder",
                    info->inherits_priority ? "thread" : "process", info->holder);
        line(out, "priority",
             info->inherits_priority ? "inherited by its holder" : "not inherited");
    } else if (info->kind == LEAT_KIND_EVENT) {
        line(out, "state", info->set ? "set" : "not set");
        line(out, "reset", info->manual_reset ? "manual" : "automatic");
    } else {
        fprintf(out, "  %-12s %u of at most %u\n", "count", info->count, info->maximum);
    }
}

/* What else an object of its kind has. It is not known for an object that is damaged or cannot be
 * read. */
struct inside {
    leat_kind kind; /* 0: not known */
    leat_channel_info channel;
    leat_sync_info sync;
    leat_region_details region;
};

static int look_inside(const struct target *target, const leat_object_info *info,
                       struct inside *inside) {
    int code = LEAT_OK;
    *inside = (struct inside){0};
    if (info->damaged)
        return LEAT_OK;
    if (info->kind == LEAT_KIND_CHANNEL)
        code = leat_channel_stat(target->name, target->scope, &inside->channel);
    else if (info->kind == LEAT_KIND_REGION)
        code = leat_region_stat(target->name, target->scope, &inside->region);
    else
        code = leat_sync_stat(target->name, target->scope, &inside->sync);
    inside->kind = code == LEAT_OK ? info->kind : 0;
    return code;
}

static bool is_sync(leat_kind kind) {
    return kind == LEAT_KIND_MUTEX || kind == LEAT_KIND_EVENT || kind == LEAT_KIND_SEMAPHORE;
}

static void show_text(FILE *out, const leat_object_info *info, const struct users *users,
                      const struct inside *inside) {
    show_object(out, info);
    users_show(out, users, info);
    if (inside->kind == LEAT_KIND_CHANNEL)
        show_channel(out, &inside->channel);
    else if (inside->kind == LEAT_KIND_REGION)
        show_type(out, &inside->region.type);
    else if (is_sync(inside->kind))
        show_sync(out, &inside->sync);
}

static void show_json(const leat_object_info *info, const struct users *users,
                      const struct inside *inside) {
    json_t *object = json_of_object(info);
    json_object_set_new(object, "processes", json_of_users(users));
    json_object_set_new(object, "processes_denied",
                        users->known ? json_integer(users->denied) : json_null());
    json_object_set_new(object, "type",
                        inside->kind == LEAT_KIND_REGION ? json_of_type(&inside->region.type)
                                                         : json_null());
    json_object_set_new(object, "channel",
                        inside->kind == LEAT_KIND_CHANNEL ? json_of_channel(&inside->channel)
                                                          : json_null());
    if (is_sync(inside->kind))
        json_object_set_new(object, leat_kind_name(inside->kind), json_of_sync(&inside->sync));
    json_write(object, stdout, false);
}

struct findings {
    leat_object_info info;
    struct users users;
    struct inside inside;
};

/* Other than LEAT_OK: `found` is whether there is an object; then only its outside is known. */
static int find(const struct target *target, struct findings *findings, bool *found) {
    leat_object_info later;
    int code = leat_stat(target->name, target->scope, &findings->info);
    *found = code == LEAT_OK;
    if (code != LEAT_OK)
        return code;
    users_find(&findings->users, &findings->info);
    if (users_out_of_sight(&findings->users, &findings->info) &&
        leat_stat(target->name, target->scope, &later) == LEAT_OK &&
        later.users < findings->info.users)
        findings->info = later; /* a user has closed meanwhile, and is not hidden */
    return look_inside(target, &findings->info, &findings->inside);
}

int info_text(const struct target *target, FILE *out) {
    struct findings findings;
    bool found;
    int code = find(target, &findings, &found);
    if (found) {
        show_text(out, &findings.info, &findings.users, &findings.inside);
        users_forget(&findings.users);
    }
    return code;
}

static int show(const struct target *target, bool json) {
    struct findings findings;
    bool found;
    int code = find(target, &findings, &found);
    if (!found)
        return fail_leat(target, code, "'leat ls' shows what there is");
    if (json)
        show_json(&findings.info, &findings.users, &findings.inside);
    else
        show_text(stdout, &findings.info, &findings.users, &findings.inside);
    users_forget(&findings.users);
    return code == LEAT_OK ? END_OK : fail_leat(target, code, NULL);
}

static const char *name;
static bool global, json;

static const struct argument arguments[] = {
    {.value = "NAME", .text = &name},
    GLOBAL_OPTION(&global, "object"),
    JSON_OPTION(&json, "as one JSON object; with a member \"channel\", \"mutex\", \"event\" or "
                       "\"semaphore\" for such an object, \"type\" for a typed region"),
    HELP_OPTION,
};

static int run(void) {
    struct target target = target_named("object", name, global);
    return show(&target, json);
}

const struct command command_info = {
    .name = "info",
    .summary = "show everything about one object",
    .about = "Shows what is known about an object, without taking part in it: also how many\n"
             "handles are open, and which processes have its file open or mapped, as far as\n"
             "this user may inspect them.\n",
    .arguments = arguments,
    .run = run,
};
