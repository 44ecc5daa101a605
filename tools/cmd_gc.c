/* cmd_gc.c - `leat gc`: removes what killed processes left behind.
 *
 * It touches only objects that no process holds, that are not persistent, and that this user may
 * remove, and wait sets that no process holds. Kernel locks decide, never age. So it can be run at
 * any time, any number of times.
 */
#include <stdio.h>

#include "arguments.h"
#include "figures.h"
#include "names.h"

struct removal {
    json_t *objects;                 /* NULL: text */
    uint64_t count, waitsets, bytes; /* count: of objects, without wait sets */
};

static void removed(const leat_object_info *info, void *context) {
    struct removal *removal = context;
    if (info->kind == LEAT_KIND_WAITSET)
        removal->waitsets++;
    else
        removal->count++;
    removal->bytes += info->size;
    if (removal->objects != NULL) {
        json_array_append_new(removal->objects, json_of_object(info));
        return;
    }
    struct shown_name name;
    printf("removed %s %s '%s'\n", scope_name(info->scope), leat_kind_name(info->kind),
           name_show(&name, info->name));
}

static int collect(struct removal *removal, leat_scope scope) {
    int code = leat_gc(scope, removed, removal);
    struct target directory = {
        "directory of", scope == LEAT_LOCAL ? "local objects" : "global objects", LEAT_LOCAL};
    return code == LEAT_OK ? END_OK : fail_leat(&directory, code, NULL);
}

static void show_json(const struct removal *removal) {
    json_t *object = json_object();
    json_object_set_new(object, "removed", removal->objects);
    json_object_set_new(object, "removed_bytes", json_count(removal->bytes));
    json_write(object, stdout, false);
}

static void show_sum(const struct removal *removal) {
    struct figure count, bytes;
    if (removal->count == 0 && removal->waitsets == 0)
        puts("Nothing was left behind.");
    if (removal->count > 0)
        printf("%s object%s removed, %s free.\n", figure_count(&count, removal->count),
               removal->count == 1 ? "" : "s", figure_bytes(&bytes, removal->bytes));
    if (removal->waitsets > 0)
        printf("%s wait set%s removed.\n", figure_count(&count, removal->waitsets),
               removal->waitsets == 1 ? "" : "s");
}

static bool local, global, json;

static const struct argument arguments[] = {
    {OPTION("local", 'l', NULL, "only local objects"), .flag = &local},
    {OPTION("global", 'g', NULL, "only global objects"), .flag = &global},
    JSON_OPTION(&json, "{\"removed\": [objects, and those of kind \"wait set\"], "
                       "\"removed_bytes\": number}"),
    HELP_OPTION,
};

static int run(void) {
    struct removal removal = {.objects = json ? json_array() : NULL};
    int end = END_OK;
    if (local || !global)
        end = collect(&removal, LEAT_LOCAL);
    if (global || !local) {
        int second = collect(&removal, LEAT_GLOBAL);
        end = end == END_OK ? second : end;
    }
    if (json)
        show_json(&removal);
    else
        show_sum(&removal);
    return end;
}

const struct command command_gc = {
    .name = "gc",
    .summary = "remove what killed processes left behind",
    .about = "Removes this user's objects that killed processes left behind (as root: every\n"
             "user's in the global scope), and lists them; also the wait sets of their event\n"
             "loops: sockets without content. Objects in use and persistent objects are never\n"
             "touched. Without an option: in both scopes.\n",
    .arguments = arguments,
    .instead = "'leat rm NAME' removes one object",
    .run = run,
};
