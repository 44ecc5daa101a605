/* cmd_info.c - `leat info`: everything that can be known about one object from outside.
 *
 * Looks without taking part; the figures of a busy channel are a snapshot, and behind by at most an eighth of its ring.
 */
#include <stdio.h>

#include "common.h"
#include "figures.h"
#include "names.h"

static const char help[] =
    "Usage: leat info NAME [--global] [--json]\n"
    "\n"
    "Shows what is known about an object, without taking part in it.\n"
    "\n"
    "  --global  the machine's object of that name, not this user's\n"
    "  --json    as one JSON object; for a channel with a member \"channel\", and so on\n"
    "            for mutexes, events and semaphores\n";

static void line(const char *label, const char *value) {
    printf("  %-12s %s\n", label, value);
}

static void size_line(const char *label, uint64_t bytes) {
    struct figure exact, rounded;
    printf("  %-12s %s bytes", label, figure_count(&exact, bytes));
    if (bytes >= 1024)
        printf(" (%s)", figure_bytes(&rounded, bytes));
    putchar('\n');
}

static void show_object(const leat_object_info *info) {
    struct shown_name name;
    struct figure user;
    char permissions[10];
    printf("%s %s '%s'%s\n", scope_name(info->scope), leat_kind_name(info->kind), name_show(&name, info->name),
           info->damaged ? ", damaged: its header fails its checksum" : "");
    size_line("size", info->size);
    printf("  %-12s %s (%u)\n", "owner", figure_user(&user, info->owner), info->owner);
    printf("  %-12s %s (%04o)\n", "access", figure_permissions(permissions, info->permissions), info->permissions & 0777);
    line("in use", info->in_use ? "yes" : "no");
    line("lifetime", info->persistent ? "persistent: stays until 'leat rm'"
         : info->in_use               ? "ends with its last user"
                                      : "over: its users were killed, 'leat gc' removes it");
}

static void statistics_row(const char *label, uint64_t sent, uint64_t received) {
    struct figure left, right;
    printf("  %-20s %20s %20s\n", label, figure_count(&left, sent), figure_count(&right, received));
}

static void show_policy(const leat_policy *policy) {
    static const char *const sources[] = {"default: this processor is in no table", "table: known of this family of processors",
                                          "environment: LEAT_POLICY", "given by its creator", "measured"};
    struct figure spin, nap;
    printf("  %-12s spin %s, nap %s, wipe up to %u bytes (%s)\n", "policy", figure_duration(&spin, policy->spin_ns),
           figure_duration(&nap, policy->nap_ns), policy->wipe_bytes, sources[policy->source]);
}

static void show_channel(const leat_channel_info *info) {
    size_line("capacity", info->capacity);
    size_line("max message", info->max_message);
    size_line("backlog", info->backlog_bytes);
    printf("  %-12s %s%s\n", "sender", peer_name(info->sender), info->many_senders ? " (many allowed)" : "");
    line("receiver", peer_name(info->receiver));
    show_policy(&info->policy);
    printf("  %-20s %20s %20s\n", "since creation", "sent", "received");
    statistics_row("messages", info->sent.messages, info->received.messages);
    statistics_row("bytes", info->sent.bytes, info->received.bytes);
    statistics_row("stalls", info->sent.stalls, info->received.stalls);
    statistics_row("sleeps", info->sent.sleeps, info->received.sleeps);
    statistics_row("doorbells rung", info->sent.doorbells_rung, info->received.doorbells_rung);
    statistics_row("doorbells saved", info->sent.doorbells_saved, info->received.doorbells_saved);
    statistics_row("high water, bytes", info->sent.high_water_bytes, info->received.high_water_bytes);
}

static void show_sync(const leat_sync_info *info) {
    printf("  %-12s %u\n", "handles", info->handles);
    if (info->kind == LEAT_KIND_MUTEX) {
        line("state", info->lost ? "lost: until 'leat reset'" : info->held ? "held" : info->abandoned ? "held by one who died" : "free");
        if (info->held)
            printf("  %-12s process %u\n", "holder", info->holder);
    } else if (info->kind == LEAT_KIND_EVENT) {
        line("state", info->set ? "set" : "not set");
        line("reset", info->manual_reset ? "manual" : "automatic");
    } else {
        printf("  %-12s %u of at most %u\n", "count", info->count, info->maximum);
    }
}

static bool is_sync(const leat_object_info *info) {
    return !info->damaged && (info->kind == LEAT_KIND_MUTEX || info->kind == LEAT_KIND_EVENT || info->kind == LEAT_KIND_SEMAPHORE);
}

static int show(const struct target *target, bool json) {
    leat_object_info info;
    leat_channel_info channel;
    leat_sync_info sync;
    int code = leat_stat(target->name, target->scope, &info);
    if (code != LEAT_OK)
        return fail_leat(target, code, "'leat ls' shows what there is");
    bool is_channel = info.kind == LEAT_KIND_CHANNEL && !info.damaged;
    /* A channel that cannot be read still has an outside: show that, then fail. */
    code = is_channel ? leat_channel_info_read(target->name, target->scope, &channel) : LEAT_OK;
    bool known = is_channel && code == LEAT_OK;
    if (is_sync(&info))
        code = leat_sync_info_read(target->name, target->scope, &sync);
    bool sync_known = is_sync(&info) && code == LEAT_OK;
    if (json) {
        json_t *object = json_of_object(&info);
        json_object_set_new(object, "channel", known ? json_of_channel(&channel) : json_null());
        if (sync_known)
            json_object_set_new(object, leat_kind_name(sync.kind), json_of_sync(&sync));
        json_write(object, stdout, false);
    } else {
        show_object(&info);
        if (known)
            show_channel(&channel);
        if (sync_known)
            show_sync(&sync);
    }
    return code == LEAT_OK ? END_OK : fail_leat(target, code, NULL);
}

static int run(int argc, char **argv) {
    static const struct option options[] = {COMMON_OPTIONS, SCOPE_OPTION, {0}};
    bool global = false, json = false;
    struct target target;
    int option;
    while ((option = getopt_long(argc, argv, "hjg", options, NULL)) != -1) {
        if (option == OPTION_HELP)
            return fputs(help, stdout), END_OK;
        else if (option == OPTION_JSON)
            json = true;
        else if (option == OPTION_GLOBAL)
            global = true;
        else
            return fail_usage(NULL);
    }
    if (!target_from_arguments(&target, "object", global, argc, argv))
        return END_USAGE;
    return show(&target, json);
}

const struct command command_info = {"info", "show everything about one object", help, run};
