/* cmd_gc.c - `leat gc`: removes what killed processes left behind.
 *
 * Only objects that no process holds, that were not meant to stay, and that this user may remove
 * are touched, and wait sets that no process holds; kernel locks decide, never age. So it can be
 * run at any time, any number of times.
 */
#include <stdio.h>

#include "common.h"
#include "figures.h"
#include "names.h"

static const char help[] =
    "Usage: leat gc [--local | --global] [--json]\n"
    "\n"
    "Removes this user's objects that killed processes left behind (as root: in the\n"
    "global scope everybody's), and says which; also the wait sets of their event\n"
    "loops: sockets without content. What is in use, and persistent objects,\n"
    "are never touched. Without an option: in both scopes.\n"
    "\n"
    "  --local   only local objects\n"
    "  --global  only global objects\n"
    "  --json    {\"removed\": [objects, and what is of kind \"wait set\"],\n"
    "            \"removed_bytes\": number}\n";

enum { OPTION_LOCAL = 'l' };

struct removal {
    json_t *objects;                 /* NULL: text */
    uint64_t count, waitsets, bytes; /* count: of objects, which wait sets are none of */
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
    json_object_set_new(object, "removed_bytes", json_integer((json_int_t)removal->bytes));
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

static int run(int argc, char **argv) {
    static const struct option options[] = {
        COMMON_OPTIONS, SCOPE_OPTION, {"local", no_argument, NULL, OPTION_LOCAL}, {0}};
    bool local = false, global = false, json = false;
    int option, end = END_OK;
    while ((option = getopt_long(argc, argv, "hjgl", options, NULL)) != -1) {
        if (option == OPTION_HELP)
            return fputs(help, stdout), END_OK;
        else if (option == OPTION_JSON)
            json = true;
        else if (option == OPTION_GLOBAL)
            global = true;
        else if (option == OPTION_LOCAL)
            local = true;
        else
            return fail_usage(NULL);
    }
    if (optind < argc)
        return fail_usage("unexpected argument; to remove one object use 'leat rm NAME'");
    struct removal removal = {.objects = json ? json_array() : NULL};
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

const struct command command_gc = {"gc", "remove what killed processes left behind", help, run};
