/* cmd_region.c - `leat create` and `leat rm`: the life of a region, and the end of any object.
 *
 * A region dies with its last user, and a command that has ended is no user. So `create` either makes a persistent region
 * and ends (--keep), or stays and holds it. An object that exists is never changed by `create`.
 */
#include <stdio.h>
#include <unistd.h>

#include "common.h"
#include "figures.h"
#include "names.h"
#include "signals.h"

/* --- create --------------------------------------------------------------------------------------------------------- */

static const char create_help[] =
    "Usage: leat create NAME [SIZE] [--keep] [--permissions OCTAL] [--global]\n"
    "                   [--json]\n"
    "\n"
    "Creates a region of SIZE bytes (4096 if not given), all zero. It is an error if\n"
    "the name is taken.\n"
    "\n"
    "A region dies with its last user. So without --keep the command stays in the\n"
    "foreground and holds the region until Ctrl-C or SIGTERM (exit code 0); if other\n"
    "processes still use the region then, it stays until the last of them has closed\n"
    "it. With --keep the region is persistent: the command ends at once, and the\n"
    "region stays until 'leat rm' or the next boot.\n"
    "\n"
    "  --keep               create a persistent region and end\n"
    "  --permissions OCTAL  who may open it, for example 640; default 600, this user\n"
    "                       alone\n"
    "  --global             for the whole machine: /dev/shm/NAME, also for programs\n"
    "                       that use shm_open\n"
    "  --json               print the new object as JSON, as soon as it is there\n";

enum { OPTION_KEEP = 'k' };

struct creation {
    struct target target;
    uint64_t size;
    leat_region_options options;
    bool json;
};

static int show_created(const struct creation *creation, const leat_region *region) {
    leat_object_info info;
    if (creation->json) {
        int code = leat_stat(creation->target.name, creation->target.scope, &info);
        if (code != LEAT_OK)
            return fail_leat(&creation->target, code, NULL);
        json_write(json_of_object(&info), stdout, false);
        return END_OK;
    }
    struct shown_name name;
    struct figure size;
    printf("created %s%s region '%s' of %s bytes\n", creation->options.persistent ? "persistent " : "",
           scope_name(creation->target.scope), name_show(&name, creation->target.name),
           figure_count(&size, leat_region_size(region)));
    fflush(stdout);
    return END_OK;
}

/* Ends at the signal with 0: here it is not an interruption but the way in which the command is meant to end. */
static int hold(const struct creation *creation) {
    if (isatty(STDERR_FILENO))
        note_target(&creation->target, "held until Ctrl-C (with --keep it would stay without this command)");
    while (signals_seen() == 0)
        pause();
    return END_OK;
}

static int create(const struct creation *creation) {
    leat_region *region;
    signals_catch();
    int code = leat_region_create(&region, creation->target.name, creation->size, &creation->options);
    if (code != LEAT_OK)
        return fail_leat(&creation->target, code,
                         code == LEAT_EEXIST ? "choose another name, or remove the object with 'leat rm'" : NULL);
    int end = show_created(creation, region);
    if (end == END_OK && !creation->options.persistent)
        end = hold(creation);
    leat_region_close(region);
    return end;
}

static int run_create(int argc, char **argv) {
    static const struct option options[] = {COMMON_OPTIONS,
                                            SCOPE_OPTION,
                                            {"keep", no_argument, NULL, OPTION_KEEP},
                                            CREATION_OPTION,
                                            {0}};
    struct creation creation = {0};
    bool global = false;
    int option;
    while ((option = getopt_long(argc, argv, "hjgkp:", options, NULL)) != -1) {
        if (option == OPTION_HELP)
            return fputs(create_help, stdout), END_OK;
        else if (option == OPTION_JSON)
            creation.json = true;
        else if (option == OPTION_GLOBAL)
            global = true;
        else if (option == OPTION_KEEP)
            creation.options.persistent = true;
        else if (option != OPTION_PERMISSIONS)
            return fail_usage(NULL);
        else if (!permissions_option(optarg, &creation.options.permissions))
            return END_USAGE;
    }
    if (argc - optind == 2) {
        const char *size = argv[--argc];
        if (!parse_size(size, &creation.size) || creation.size == 0) {
            struct shown_text shown;
            return fail_usage("SIZE: '%s' is not a number of bytes such as 4096, 64K or 64MiB", text_show(&shown, size));
        }
    }
    if (!target_from_arguments(&creation.target, "region", global, argc, argv))
        return END_USAGE;
    creation.options.scope = creation.target.scope;
    return create(&creation);
}

const struct command command_create = {"create", "create a region of shared memory", create_help, run_create};

/* --- rm ------------------------------------------------------------------------------------------------------------- */

static const char rm_help[] =
    "Usage: leat rm NAME... [--global] [--json]\n"
    "\n"
    "Removes the names of objects of any kind, in use or not. Processes that have an\n"
    "object open keep it and go on undisturbed; the name is free for a new object.\n"
    "\n"
    "  --global  the machine's objects of these names, not this user's\n"
    "  --json    {\"removed\": [objects as they were]}\n"
    "\n"
    "When one of several names cannot be removed, the others still are; the exit\n"
    "code is that of the first failure.\n";

static int remove_one(const struct target *target, json_t *objects) {
    leat_object_info info;
    /* What it was is only for the report: a damaged object must be removable too. */
    bool known = leat_stat(target->name, target->scope, &info) == LEAT_OK;
    int code = leat_unlink(target->name, target->scope);
    if (code != LEAT_OK)
        return fail_leat(target, code, "'leat ls' shows what there is");
    if (objects != NULL && known)
        json_array_append_new(objects, json_of_object(&info));
    else if (objects != NULL) {
        json_t *object = json_object();
        json_add_name(object, target->name);
        json_array_append_new(objects, object);
    }
    return END_OK;
}

static int run_rm(int argc, char **argv) {
    static const struct option options[] = {COMMON_OPTIONS, SCOPE_OPTION, {0}};
    bool global = false, json = false;
    int option, end = END_OK;
    while ((option = getopt_long(argc, argv, "hjg", options, NULL)) != -1) {
        if (option == OPTION_HELP)
            return fputs(rm_help, stdout), END_OK;
        else if (option == OPTION_JSON)
            json = true;
        else if (option == OPTION_GLOBAL)
            global = true;
        else
            return fail_usage(NULL);
    }
    if (optind >= argc)
        return fail_usage("the NAME of what to remove is missing");
    json_t *objects = json ? json_array() : NULL;
    for (int i = optind; i < argc; i++) {
        struct target target = {"object", argv[i], scope_of_name(argv[i], global ? LEAT_GLOBAL : LEAT_LOCAL)};
        int one = remove_one(&target, objects);
        end = end == END_OK ? one : end;
    }
    if (json)
        json_write(json_pack("{s:o}", "removed", objects), stdout, false);
    return end;
}

const struct command command_rm = {"rm", "remove an object", rm_help, run_rm};
