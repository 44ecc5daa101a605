/* cmd_region.c - `leat create`, `leat grow` and `leat rm`: the life of a region, and the end of any
 * object.
 *
 * A region dies with its last user, and a command that has ended is no user. So `create` either
 * makes a persistent region and ends (--keep), or stays and holds it. An object that exists is
 * never changed by `create`. What is asked of the memory (--huge, --prefault, --lock) and refused
 * is told and fails nothing: the region is there.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common.h"
#include "figures.h"
#include "memory.h"
#include "names.h"
#include "signals.h"

/* --- create ----------------------------------------------------------------------------------- */

static const char create_help[] =
    "Usage: leat create NAME [SIZE] [--keep] [--type NAME:SIZE:VERSION] [--huge]\n"
    "                   [--prefault] [--lock] [--permissions OCTAL] [--global]\n"
    "                   [--json]\n"
    "\n"
    "Creates a region of SIZE bytes (if not given: that of the type, else 4096), all\n"
    "zero. It is an error if the name is taken.\n"
    "\n"
    "A region dies with its last user. So without --keep the command stays in the\n"
    "foreground and holds the region until Ctrl-C or SIGTERM (exit code 0); if other\n"
    "processes still use the region then, it stays until the last of them has closed\n"
    "it. With --keep the region is persistent: the command ends at once, and the\n"
    "region stays until 'leat rm' or the next boot.\n"
    "\n"
    "  --keep               create a persistent region and end\n"
    "  --type NAME:SIZE:VERSION\n"
    "                       record what the bytes are, for example frame:256:1:\n"
    "                       programs that ask for another type are refused\n"
    "  --permissions OCTAL  who may open it, for example 640; default 600, this user\n"
    "                       alone\n"
    "  --global             for the whole machine: /dev/shm/NAME, also for programs\n"
    "                       that use shm_open\n"
    "  --json               print the new object as JSON, as soon as it is there\n"
    "\n"
    "Of its memory, with word of what came of it; a refusal is no failure:\n"
    "  --huge               make it of huge pages\n"
    "  --prefault           have it in memory at once, not at the first touch\n"
    "  --lock               keep it in memory, never swapped out, while this command\n"
    "                       holds it (not with --keep)\n";

enum {
    OPTION_KEEP = 'k',
    OPTION_TYPE = 't',
    OPTION_HUGE = 'H',
    OPTION_PREFAULT = 'F',
    OPTION_LOCK = 'L',
    OPTION_FILE = 'f'
};

struct creation {
    struct target target;
    uint64_t size;
    leat_region_options options;
    leat_type type; /* that of the options, if given */
    char type_name[LEAT_TYPE_NAME_MAX + 1];
    struct memory memory;
    bool global, json, help;
};

static int show_created(const struct creation *creation, const leat_region *region) {
    leat_object_info info;
    if (creation->json) {
        int code = leat_stat(creation->target.name, creation->target.scope, &info);
        if (code != LEAT_OK)
            return fail_leat(&creation->target, code, NULL);
        json_t *object = json_of_object(&info);
        json_object_set_new(object, "type", json_of_type(&creation->type));
        json_object_set_new(object, "memory", json_of_memory(&creation->memory));
        json_write(object, stdout, false);
        return END_OK;
    }
    struct shown_name name;
    struct figure size;
    printf("created %s%s region '%s' of %s bytes\n",
           creation->options.persistent ? "persistent " : "", scope_name(creation->target.scope),
           name_show(&name, creation->target.name), figure_count(&size, leat_region_size(region)));
    memory_show(&creation->memory);
    fflush(stdout);
    return END_OK;
}

/* Ends at the signal with 0: here it is not an interruption but the way in which the command is
 * meant to end. */
static int hold(const struct creation *creation) {
    if (isatty(STDERR_FILENO))
        note_target(&creation->target,
                    "held until Ctrl-C (with --keep it would stay without this command)");
    while (signals_seen() == 0)
        pause();
    return END_OK;
}

static int create(struct creation *creation) {
    leat_region *region;
    signals_catch();
    creation->options.mode = LEAT_CREATE;
    int code = leat_region_open(&region, creation->target.name, creation->size, &creation->options);
    if (code != LEAT_OK)
        return fail_leat(&creation->target, code,
                         code == LEAT_EEXIST
                             ? "choose another name, or remove the object with 'leat rm'"
                             : NULL);
    if (memory_wanted(&creation->memory))
        memory_ask(&creation->memory, leat_region_data(region));
    int end = show_created(creation, region);
    if (end == END_OK && !creation->options.persistent)
        end = hold(creation);
    leat_region_close(region);
    return end;
}

/* NAME:SIZE:VERSION; the name may hold colons itself. */
static bool type_option(struct creation *creation, const char *text) {
    char number[32];
    uint64_t version = 0;
    const char *last = strrchr(text, ':'), *middle = last;
    while (middle != NULL && middle > text && *--middle != ':')
        ;
    bool good = last != NULL && *middle == ':' && middle > text &&
                (size_t)(middle - text) <= LEAT_TYPE_NAME_MAX &&
                (size_t)(last - middle) <= sizeof number && parse_count(last + 1, &version) &&
                version <= UINT32_MAX;
    if (good) {
        snprintf(creation->type_name, sizeof creation->type_name, "%.*s", (int)(middle - text),
                 text);
        snprintf(number, sizeof number, "%.*s", (int)(last - middle - 1), middle + 1);
        good = parse_size(number, &creation->type.size);
    }
    if (!good) {
        struct shown_text shown;
        fail_usage("--type: '%s' is not NAME:SIZE:VERSION such as telemetry.frame:256:1",
                   text_show(&shown, text));
        return false;
    }
    creation->type.name = creation->type_name;
    creation->type.version = (uint32_t)version;
    creation->options.type = &creation->type;
    return true;
}

static int create_option(struct creation *creation, int option) {
    switch (option) {
    case OPTION_HELP:
        creation->help = true;
        return END_OK;
    case OPTION_JSON:
        creation->json = true;
        return END_OK;
    case OPTION_GLOBAL:
        creation->global = true;
        return END_OK;
    case OPTION_KEEP:
        creation->options.persistent = true;
        return END_OK;
    case OPTION_HUGE:
        creation->memory.requests[MEMORY_HUGE].wanted = true;
        return END_OK;
    case OPTION_PREFAULT:
        creation->memory.requests[MEMORY_PREFAULT].wanted = true;
        return END_OK;
    case OPTION_LOCK:
        creation->memory.requests[MEMORY_LOCK].wanted = true;
        return END_OK;
    case OPTION_TYPE:
        return type_option(creation, optarg) ? END_OK : END_USAGE;
    case OPTION_PERMISSIONS:
        return permissions_option(optarg, &creation->options.permissions) ? END_OK : END_USAGE;
    default:
        return fail_usage(NULL);
    }
}

static bool size_argument(const char *text, uint64_t *size) {
    if (parse_size(text, size) && *size != 0)
        return true;
    struct shown_text shown;
    fail_usage("SIZE: '%s' is not a number of bytes such as 4096, 64K or 64MiB",
               text_show(&shown, text));
    return false;
}

static int run_create(int argc, char **argv) {
    static const struct option options[] = {COMMON_OPTIONS,
                                            SCOPE_OPTION,
                                            {"keep", no_argument, NULL, OPTION_KEEP},
                                            {"type", required_argument, NULL, OPTION_TYPE},
                                            {"huge", no_argument, NULL, OPTION_HUGE},
                                            {"prefault", no_argument, NULL, OPTION_PREFAULT},
                                            {"lock", no_argument, NULL, OPTION_LOCK},
                                            CREATION_OPTION,
                                            {0}};
    struct creation creation = {0};
    int option, end = END_OK;
    while (end == END_OK && !creation.help &&
           (option = getopt_long(argc, argv, "hjgkp:t:", options, NULL)) != -1)
        end = create_option(&creation, option);
    if (creation.help)
        return fputs(create_help, stdout), END_OK;
    if (end != END_OK)
        return end;
    if (creation.options.persistent && creation.memory.requests[MEMORY_LOCK].wanted)
        return fail_usage("--lock lasts as long as the command: leave out --keep");
    if (argc - optind == 2 && !size_argument(argv[--argc], &creation.size))
        return END_USAGE;
    if (!target_from_arguments(&creation.target, "region", creation.global, argc, argv))
        return END_USAGE;
    creation.options.scope = creation.target.scope;
    return create(&creation);
}

const struct command command_create = {"create", "create a region of shared memory", create_help,
                                       run_create};

/* --- grow ------------------------------------------------------------------------------------- */

static const char grow_help[] =
    "Usage: leat grow NAME SIZE [--global | --file] [--json]\n"
    "\n"
    "Grows a region to SIZE bytes; what is added is reserved, and zero. One that is\n"
    "as large already stays as it is: a region never shrinks. Processes that have it\n"
    "open go on with what they see, until they refresh their handle.\n"
    "\n"
    "  --global  the machine's region of that name, not this user's\n"
    "  --file    NAME is the path of a file\n"
    "  --json    with members \"size_bytes\" and \"previous_size_bytes\"\n";

static void show_grown(const struct target *target, uint64_t before, uint64_t after, bool json) {
    struct shown_name name;
    struct figure old, new;
    if (json) {
        json_t *object = json_object();
        json_add_name(object, target->name);
        json_object_set_new(object, "size_bytes", json_integer((json_int_t)after));
        json_object_set_new(object, "previous_size_bytes", json_integer((json_int_t)before));
        json_write(object, stdout, false);
    } else if (after == before)
        printf("%s '%s' has %s bytes already\n", target->kind, name_show(&name, target->name),
               figure_count(&old, before));
    else
        printf("%s '%s' grew from %s to %s bytes\n", target->kind, name_show(&name, target->name),
               figure_count(&old, before), figure_count(&new, after));
}

/* Also says how large it was. A file of no bytes is no region before it has grown. */
static int open_to_grow(const struct target *target, uint64_t size, leat_region **region,
                        uint64_t *before) {
    bool file = target->scope == SCOPE_OF_FILES;
    leat_region_options options = {.scope = file ? LEAT_LOCAL : target->scope, .mode = LEAT_OPEN};
    int code = file ? leat_region_file(region, target->name, 0, &options)
                    : leat_region_open(region, target->name, 0, &options);
    if (code == LEAT_OK)
        *before = leat_region_size(*region);
    if (code != LEAT_ESIZE || !file)
        return code;
    *before = 0;
    options.size_policy = LEAT_SIZE_GROW;
    return leat_region_file(region, target->name, size, &options);
}

static int grow(const struct target *target, uint64_t size, bool json) {
    leat_region *region;
    uint64_t before;
    int code = open_to_grow(target, size, &region, &before);
    if (code != LEAT_OK)
        return fail_leat(target, code,
                         code == LEAT_ENOENT ? "create it first: there must be something to grow"
                                             : NULL);
    code = leat_region_grow(region, size);
    int end = code == LEAT_OK ? END_OK : fail_leat(target, code, NULL);
    if (end == END_OK)
        show_grown(target, before, leat_region_size(region), json);
    leat_region_close(region);
    return end;
}

static int run_grow(int argc, char **argv) {
    static const struct option options[] = {
        COMMON_OPTIONS, SCOPE_OPTION, {"file", no_argument, NULL, OPTION_FILE}, {0}};
    struct target target;
    uint64_t size;
    bool global = false, file = false, json = false;
    int option;
    while ((option = getopt_long(argc, argv, "hjg", options, NULL)) != -1) {
        if (option == OPTION_HELP)
            return fputs(grow_help, stdout), END_OK;
        else if (option == OPTION_JSON)
            json = true;
        else if (option == OPTION_GLOBAL)
            global = true;
        else if (option == OPTION_FILE)
            file = true;
        else
            return fail_usage(NULL);
    }
    if (argc - optind < 2)
        return fail_usage("wanted are the NAME of the region and the SIZE it is to have");
    if (!size_argument(argv[--argc], &size) ||
        !target_from_arguments(&target, "region", global, argc, argv) ||
        (file && !target_is_file(&target, global)))
        return END_USAGE;
    return grow(&target, size, json);
}

const struct command command_grow = {"grow", "make a region larger", grow_help, run_grow};

/* --- rm --------------------------------------------------------------------------------------- */

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
        struct target target = {"object", argv[i],
                                scope_of_name(argv[i], global ? LEAT_GLOBAL : LEAT_LOCAL)};
        int one = remove_one(&target, objects);
        end = end == END_OK ? one : end;
    }
    if (json)
        json_write(json_pack("{s:o}", "removed", objects), stdout, false);
    return end;
}

const struct command command_rm = {"rm", "remove an object", rm_help, run_rm};
