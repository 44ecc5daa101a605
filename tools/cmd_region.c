/* cmd_region.c - `leat create`, `leat grow` and `leat rm`: the life of a region, and the end of any
 * object.
 *
 * A region dies with its last user, and a command that has ended is no user. So `create` either
 * makes a persistent region and ends (--keep), or stays and holds it. An object that exists is
 * never changed by `create`. A request about the memory (--huge, --prefault, --lock) that is
 * refused is reported and fails nothing: the region is there.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "arguments.h"
#include "figures.h"
#include "memory.h"
#include "names.h"
#include "signals.h"

/* --- create ----------------------------------------------------------------------------------- */

struct creation {
    struct target target;
    uint64_t size;
    leat_region_options options;
    leat_type type; /* that of the options, if given */
    char type_name[LEAT_TYPE_NAME_MAX + 1];
    struct memory memory;
    bool global, json;
};

static struct creation creation;

static int show_created(const leat_region *region) {
    leat_object_info info;
    if (creation.json) {
        int code = leat_stat(creation.target.name, creation.target.scope, &info);
        if (code != LEAT_OK)
            return fail_leat(&creation.target, code, NULL);
        json_t *object = json_of_object(&info);
        json_object_set_new(object, "type", json_of_type(&creation.type));
        json_object_set_new(object, "memory", json_of_memory(&creation.memory));
        json_write(object, stdout, false);
        return END_OK;
    }
    struct shown_name name;
    struct figure size;
    printf("created %s%s region '%s' of %s bytes\n",
           creation.options.persistent ? "persistent " : "", scope_name(creation.target.scope),
           name_show(&name, creation.target.name), figure_count(&size, leat_region_size(region)));
    memory_show(&creation.memory);
    fflush(stdout);
    return END_OK;
}

/* Ends at the signal with 0: the command is meant to end in this way. */
static int hold(void) {
    if (isatty(STDERR_FILENO))
        note_target(&creation.target,
                    "held until Ctrl-C (with --keep it would stay without this command)");
    while (signals_seen() == 0)
        pause();
    return END_OK;
}

static int create(void) {
    leat_region *region;
    signals_catch();
    creation.options.mode = LEAT_CREATE;
    int code = leat_region_open(&region, creation.target.name, creation.size, &creation.options);
    if (code != LEAT_OK)
        return fail_leat(&creation.target, code,
                         code == LEAT_EEXIST
                             ? "choose another name, or remove the object with 'leat rm'"
                             : NULL);
    if (memory_wanted(&creation.memory))
        memory_ask(&creation.memory, leat_region_data(region));
    int end = show_created(region);
    if (end == END_OK && !creation.options.persistent)
        end = hold();
    leat_region_close(region);
    return end;
}

/* NAME:SIZE:VERSION; the name may hold colons itself. */
static const char *take_type(const char *text) {
    static const char allowed[] = "NAME:SIZE:VERSION such as telemetry.frame:256:1";
    char number[32];
    uint64_t version = 0;
    const char *last = strrchr(text, ':'), *middle = last;
    while (middle != NULL && middle > text && *--middle != ':')
        ;
    if (last == NULL || *middle != ':' || middle == text ||
        (size_t)(middle - text) > LEAT_TYPE_NAME_MAX || (size_t)(last - middle) > sizeof number ||
        !parse_count(last + 1, &version) || version > UINT32_MAX)
        return allowed;
    snprintf(creation.type_name, sizeof creation.type_name, "%.*s", (int)(middle - text), text);
    snprintf(number, sizeof number, "%.*s", (int)(last - middle - 1), middle + 1);
    if (!parse_size(number, &creation.type.size))
        return allowed;
    creation.type.name = creation.type_name;
    creation.type.version = (uint32_t)version;
    creation.options.type = &creation.type;
    return NULL;
}

#define MEMORY_OPTION(word, request, text)                                                         \
    { OPTION(word, 0, NULL, text), .flag = &creation.memory.requests[request].wanted }

static const struct argument create_arguments[] = {
    {.value = "NAME", .text = &creation.target.name},
    {.value = "SIZE", .size = &creation.size, .min = 1, .optional = true},
    {OPTION("keep", 'k', NULL, "create a persistent region and end"),
     .flag = &creation.options.persistent, .excludes = "lock"},
    {OPTION("type", 't', "NAME:SIZE:VERSION",
            "record what the bytes are, for example frame:256:1: programs that ask for another "
            "type are refused"),
     .take = take_type},
    MEMORY_OPTION("huge", MEMORY_HUGE, "make it of huge pages"),
    MEMORY_OPTION("prefault", MEMORY_PREFAULT,
                  "have it in memory at once, not at the first access"),
    MEMORY_OPTION("lock", MEMORY_LOCK,
                  "keep it in memory, never swapped out, while this command holds it"),
    {OPTION("permissions", 'p', "OCTAL",
            "the users that may open it, for example 640; default 600, this user alone"),
     .permissions = &creation.options.permissions},
    {OPTION("global", 'g', NULL,
            "for the whole machine: /dev/shm/NAME, also for programs that use shm_open"),
     .flag = &creation.global},
    JSON_OPTION(&creation.json, "print the new object as JSON, as soon as it is there"),
    HELP_OPTION,
};

static int run_create(void) {
    creation.target = target_named("region", creation.target.name, creation.global);
    creation.options.scope = creation.target.scope;
    return create();
}

const struct command command_create = {
    .name = "create",
    .summary = "create a region of shared memory",
    .about = "Creates a region of SIZE bytes (default: that of the type, else 4096), all zero.\n"
             "It is an error if the name is taken.\n"
             "\n"
             "A region dies with its last user. So without --keep the command stays in the\n"
             "foreground and holds the region until Ctrl-C or SIGTERM (exit code 0); if other\n"
             "processes still use the region then, it stays until the last of them has closed\n"
             "it. With --keep the region is persistent: the command ends at once, and the\n"
             "region stays until 'leat rm' or the next boot.\n",
    .notes = "The command reports the outcome of --huge, --prefault and --lock; a refusal is\n"
             "no failure.\n",
    .arguments = create_arguments,
    .run = run_create,
};

/* --- grow ------------------------------------------------------------------------------------- */

static void show_grown(const struct target *target, uint64_t before, uint64_t after, bool json) {
    struct shown_name name;
    struct figure old, new;
    if (json) {
        json_t *object = json_object();
        json_add_name(object, target->name);
        json_object_set_new(object, "size_bytes", json_count(after));
        json_object_set_new(object, "previous_size_bytes", json_count(before));
        json_write(object, stdout, false);
    } else if (after == before)
        printf("%s '%s' has %s bytes already\n", target->kind, name_show(&name, target->name),
               figure_count(&old, before));
    else
        printf("%s '%s' grew from %s to %s bytes\n", target->kind, name_show(&name, target->name),
               figure_count(&old, before), figure_count(&new, after));
}

/* *before: its size. A file of no bytes is no region before it has grown. */
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

static struct {
    const char *name;
    uint64_t size;
    bool global, file, json;
} growth;

static const struct argument grow_arguments[] = {
    {.value = "NAME", .text = &growth.name},
    {.value = "SIZE", .size = &growth.size, .min = 1},
    GLOBAL_OPTION(&growth.global, "region"),
    {OPTION("file", 0, NULL, "NAME is the path of a file"), .flag = &growth.file,
     .excludes = "global"},
    JSON_OPTION(&growth.json, "with members \"size_bytes\" and \"previous_size_bytes\""),
    HELP_OPTION,
};

static int run_grow(void) {
    struct target target = growth.file ? target_of_file(growth.name)
                                       : target_named("region", growth.name, growth.global);
    return grow(&target, growth.size, growth.json);
}

const struct command command_grow = {
    .name = "grow",
    .summary = "make a region larger",
    .about = "Grows a region to SIZE bytes; the added bytes are reserved, and zero. A region\n"
             "of that size or more stays as it is: a region never shrinks. Processes that\n"
             "have it open keep what they see, until they refresh their handle.\n",
    .arguments = grow_arguments,
    .run = run_grow,
};

/* --- rm --------------------------------------------------------------------------------------- */

static int remove_one(const struct target *target, json_t *objects) {
    leat_object_info info;
    /* The kind is only for the report: a damaged object must be removable too. */
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

static struct {
    char **names;
    bool global, json;
} removal;

static const struct argument rm_arguments[] = {
    {.value = "NAME...", .rest = &removal.names},
    {OPTION("global", 'g', NULL, "the machine's objects of these names, not this user's"),
     .flag = &removal.global},
    JSON_OPTION(&removal.json, "{\"removed\": [objects as they were]}"),
    HELP_OPTION,
};

static int run_rm(void) {
    json_t *objects = removal.json ? json_array() : NULL;
    int end = END_OK;
    for (char **name = removal.names; *name != NULL; name++) {
        struct target target = target_named("object", *name, removal.global);
        int one = remove_one(&target, objects);
        end = end == END_OK ? one : end;
    }
    if (removal.json)
        json_write(json_pack("{s:o}", "removed", objects), stdout, false);
    return end;
}

const struct command command_rm = {
    .name = "rm",
    .summary = "remove an object",
    .about = "Removes the names of objects of any kind, in use or not. Processes that have an\n"
             "object open keep it and go on undisturbed; the name is free for a new object.\n",
    .notes = "When one of several names cannot be removed, the others still are; the exit\n"
             "code is that of the first failure.\n",
    .arguments = rm_arguments,
    .run = run_rm,
};
