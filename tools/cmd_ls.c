/* cmd_ls.c - `leat ls`: a list of objects.
 *
 * It reads without becoming a user: listing changes no object's life. There is one line for each
 * object, in the order of the names; the name comes last, so that any name leaves the columns
 * before it in place.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "arguments.h"
#include "figures.h"
#include "names.h"

struct listing {
    bool all;
    json_t *json; /* NULL: text */
    size_t count;
};

static const char *role(leat_peer peer) {
    return peer == LEAT_PEER_PRESENT ? "yes" : peer_name(peer);
}

static const char *life(const leat_object_info *info) {
    return info->damaged      ? "damaged"
           : info->persistent ? "kept"
           : info->in_use     ? "used"
           : info->abandoned  ? "abandoned"
                              : "over";
}

static const char *users(const leat_object_info *info, char text[32]) {
    snprintf(text, 32, "%u", info->users);
    return text;
}

/* The state of a mutex, event or semaphore, in a word; NULL for other kinds, or if it cannot be
 * read. */
static const char *state(const leat_object_info *info, char text[32]) {
    leat_sync_info sync;
    if (info->damaged || info->kind == LEAT_KIND_REGION || info->kind == LEAT_KIND_CHANNEL ||
        leat_sync_stat(info->name, info->scope, &sync) != LEAT_OK)
        return NULL;
    if (sync.kind == LEAT_KIND_MUTEX)
        return sync.lost ? "lost" : sync.held ? "held" : sync.abandoned ? "abandoned" : "free";
    if (sync.kind == LEAT_KIND_EVENT)
        return sync.set ? "set" : "not set";
    snprintf(text, 32, "%u/%u", sync.count, sync.maximum);
    return text;
}

static void show_text(struct listing *listing, const leat_object_info *info,
                      const leat_channel_info *channel) {
    struct shown_name name;
    char room[32], count[32];
    const char *word = state(info, room);
    struct figure user;
    char permissions[10];
    if (listing->count == 0)
        printf("%-9s %-6s %12s %5s %-9s %-10s %-9s  %-7s %-8s %-9s %s\n", "KIND", "SCOPE", "SIZE",
               "USERS", "LIFE", "OWNER", "ACCESS", "SENDER", "RECEIVER", "STATE", "NAME");
    printf("%-9s %-6s %12llu %5s %-9s %-10s %-9s  %-7s %-8s %-9s %s\n", leat_kind_name(info->kind),
           scope_name(info->scope), (unsigned long long)info->size, users(info, count), life(info),
           figure_user(&user, info->owner), figure_permissions(permissions, info->permissions),
           channel == NULL ? "-" : role(channel->sender),
           channel == NULL ? "-" : role(channel->receiver), word != NULL ? word : "-",
           name_show(&name, info->name));
}

static void show_json(struct listing *listing, const leat_object_info *info,
                      const leat_channel_info *channel) {
    char room[32];
    const char *word = state(info, room);
    json_t *object = json_of_object(info);
    json_object_set_new(object, "state", word != NULL ? json_string(word) : json_null());
    json_object_set_new(object, "sender",
                        channel == NULL ? json_null() : json_string(peer_name(channel->sender)));
    json_object_set_new(object, "receiver",
                        channel == NULL ? json_null() : json_string(peer_name(channel->receiver)));
    json_array_append_new(listing->json, object);
}

static int show(const leat_object_info *info, void *context) {
    struct listing *listing = context;
    leat_channel_info channel;
    if (perhaps_foreign(info) && !listing->all)
        return 0;
    /* A channel can have gone, or forbid reading: then its roles are not known. */
    bool known = info->kind == LEAT_KIND_CHANNEL && !info->damaged &&
                 leat_channel_stat(info->name, info->scope, &channel) == LEAT_OK;
    if (listing->json != NULL)
        show_json(listing, info, known ? &channel : NULL);
    else
        show_text(listing, info, known ? &channel : NULL);
    listing->count++;
    return 0;
}

static int list(struct listing *listing, bool local, bool global) {
    int code = LEAT_OK;
    leat_scope scope = LEAT_LOCAL;
    if (local)
        code = leat_list(LEAT_LOCAL, show, listing);
    if (code == LEAT_OK && global) {
        scope = LEAT_GLOBAL;
        code = leat_list(LEAT_GLOBAL, show, listing);
    }
    if (code == LEAT_OK)
        return END_OK;
    struct target directory = {
        "directory of", scope == LEAT_LOCAL ? "local objects" : "global objects", LEAT_LOCAL};
    return fail_leat(&directory, code, NULL);
}

static bool local, global, json;
static struct listing listing;

static const struct argument arguments[] = {
    {OPTION("local", 'l', NULL, "only local objects"), .flag = &local},
    {OPTION("global", 'g', NULL, "only global objects"), .flag = &global},
    {OPTION("all", 'a', NULL,
            "also global shared memory that no process uses through leat: objects that other "
            "programs made with shm_open, and regions made with --keep"),
     .flag = &listing.all},
    JSON_OPTION(&json, "an array of objects, with exact names in \"name_hex\""),
    HELP_OPTION,
};

static int run(void) {
    listing.json = json ? json_array() : NULL;
    int end = list(&listing, local || !global, global || !local);
    if (json)
        json_write(listing.json, stdout, false);
    else if (end == END_OK && listing.count == 0 && isatty(STDOUT_FILENO))
        puts(listing.all ? "There are no objects."
                         : "There are no objects. ('leat ls --all' shows foreign ones too.)");
    return end;
}

const struct command command_ls = {
    .name = "ls",
    .summary = "list objects",
    .about = "Lists this user's local objects and leat's own global ones.\n",
    .notes =
        "Columns: kind; scope; size in bytes of memory; number of open handles, in all\n"
        "processes (\"some\" where that cannot be counted); life; owner; permissions; for\n"
        "channels whether a sender and a receiver are there; state of mutexes, events and\n"
        "semaphores (their count and its maximum); name, with backslashes and bytes that\n"
        "cannot be shown written as the shell takes them in $'...': \\\\ and \\x0a.\n"
        "\n"
        "Life: \"used\" ends with its last user; \"kept\" stays until 'leat rm'; \"over\" was\n"
        "left behind by killed processes, 'leat gc' removes it; or \"damaged\".\n",
    .arguments = arguments,
    .instead = "'leat info NAME' shows one object",
    .run = run,
};
