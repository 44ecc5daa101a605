/* lib/os/linux/room.c - checks whether memory is available before it is taken: the kernel does not
 * refuse too large a request, it kills (lib/os/linux/space.h).
 *
 * No request that the kernel could satisfy is refused: everything that the machine or a memory
 * cgroup could free at most counts as free, all of its file cache and all swap. A request between
 * that and what the kernel frees in fact still ends in the OOM killer, and so do requests of
 * several processes at the same moment. A file that cannot be read sets no limit.
 *
 * The thread cannot be cancelled here, and needs no more than some KiB of its stack: files are read
 * line by line, and there is one buffer for the path of the directory.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/os/linux/calls.h"
#include "lib/os/linux/space.h"

#define UNLIMITED (UINT64_C(1) << 60) /* larger values mean the same */
/* the kernel needs so much more for each page, to find it: 576 bytes for 64 pages */
#define INDEX_SHARE 512
#define PATH_SIZE 4300

/* The least that was found, and where. */
struct room {
    const char *proc, *cgroups;
    uint64_t wanted, bytes; /* UINT64_MAX: enough everywhere */
    char *figures;
    size_t figures_size;
    /* of the present group; behind it, for a moment, a file's name */
    char path[PATH_SIZE];
    size_t length;
};

/* The names of files in one version of control groups. */
struct generation {
    const char *limit, *used, *swap_limit, *swap_used;
    bool swap_includes_memory;
    const char *reclaimable[3]; /* lines of memory.stat that may be freed */
    /* and those in use; the rest of `used` is charged in advance, and is freed first */
    const char *accounted[3];
    const char *kernel; /* a file that counts as both, or NULL */
};

static const struct generation first = {"memory.limit_in_bytes",
                                        "memory.usage_in_bytes",
                                        "memory.memsw.limit_in_bytes",
                                        "memory.memsw.usage_in_bytes",
                                        true,
                                        {"total_active_file", "total_inactive_file", NULL},
                                        {"total_rss", "total_cache", NULL},
                                        "memory.kmem.usage_in_bytes"};
static const struct generation second = {"memory.max",
                                         "memory.current",
                                         "memory.swap.max",
                                         "memory.swap.current",
                                         false,
                                         {"active_file", "inactive_file", "slab_reclaimable"},
                                         {"anon", "file", "kernel"},
                                         NULL};

/* --- Reading ---------------------------------------------------------------------------------- */

/* A file that is read line by line. */
struct lines {
    FILE *stream;
    char *text; /* the line, without its end */
    size_t size;
};

static bool lines_open(struct lines *lines, const char *path) {
    *lines = (struct lines){.stream = leat__linux_open_text(path)};
    return lines->stream != NULL;
}

static bool lines_next(struct lines *lines) {
    ssize_t length = getline(&lines->text, &lines->size, lines->stream);
    if (length > 0 && lines->text[length - 1] == '\n')
        lines->text[length - 1] = 0;
    return length > 0;
}

/* False when reading has failed. */
static bool lines_close(struct lines *lines) {
    bool whole = ferror(lines->stream) == 0;
    fclose(lines->stream);
    free(lines->text);
    return whole;
}

static bool parse(const char *text, uint64_t *value) {
    char *end;
    errno = 0;
    *value = strncmp(text, "max", 3) == 0 ? UINT64_MAX : strtoull(text, &end, 10);
    return *value == UINT64_MAX || (end != text && errno == 0);
}

/* Puts a file's name behind the directory in room->path; the caller takes it away again. */
static bool set_file(struct room *room, const char *name) {
    size_t rest = sizeof room->path - room->length;
    return (size_t)snprintf(room->path + room->length, rest, "/%s", name) < rest;
}

static bool lines_of(struct room *room, const char *name, struct lines *lines) {
    bool opened = set_file(room, name) && lines_open(lines, room->path);
    room->path[room->length] = 0;
    return opened;
}

static bool read_number(struct room *room, const char *name, uint64_t *value) {
    struct lines lines;
    if (!lines_of(room, name, &lines))
        return false;
    bool found = lines_next(&lines) && parse(lines.text, value);
    return lines_close(&lines) && found;
}

/* The number in a line that starts with the word. */
static bool number_behind(const char *line, const char *word, uint64_t *value) {
    size_t length = strlen(word);
    if (strncmp(line, word, length) != 0 || (line[length] != ' ' && line[length] != ':'))
        return false;
    line += length + 1;
    return parse(line + strspn(line, " "), value);
}

/* The numbers behind words at the start of lines; 0 for missing words. The words end at NULL. */
static bool read_words(struct room *room, const char *name, const char *const words[],
                       uint64_t values[]) {
    struct lines lines;
    uint64_t value;
    for (size_t i = 0; words[i] != NULL; i++)
        values[i] = 0;
    if (!lines_of(room, name, &lines))
        return false;
    while (lines_next(&lines))
        for (size_t i = 0; words[i] != NULL; i++)
            if (number_behind(lines.text, words[i], &value))
                values[i] = value;
    return lines_close(&lines);
}

static void set_directory(struct room *room, const char *path) {
    room->length = (size_t)snprintf(room->path, sizeof room->path, "%s", path);
}

static uint64_t difference(uint64_t more, uint64_t less) {
    return more > less ? more - less : 0;
}

static uint64_t smaller(uint64_t one, uint64_t other) {
    return one < other ? one : other;
}

/* --- The machine ------------------------------------------------------------------------------ */

enum { FREE, ACTIVE, INACTIVE, KERNEL, SLAB, SWAP, MACHINE_WORDS };

/* Of `proc`; leaves the group's path as it is. */
static bool read_machine(const struct room *room, uint64_t values[MACHINE_WORDS]) {
    static const char *const words[] = {"MemFree",      "Active(file)", "Inactive(file)",
                                        "KReclaimable", "SReclaimable", "SwapFree"};
    char path[300];
    struct lines lines;
    bool known = false;
    memset(values, 0, MACHINE_WORDS * sizeof *values);
    if ((size_t)snprintf(path, sizeof path, "%s/meminfo", room->proc) >= sizeof path ||
        !lines_open(&lines, path))
        return false;
    while (lines_next(&lines))
        for (size_t i = 0; i < MACHINE_WORDS; i++)
            if (number_behind(lines.text, words[i], &values[i]))
                known = known || i == FREE;
    return lines_close(&lines) && known;
}

static uint64_t machine(const struct room *room, uint64_t *swap) {
    uint64_t values[MACHINE_WORDS];
    *swap = UNLIMITED;
    if (!read_machine(room, values))
        return UNLIMITED;
    uint64_t kernel = values[KERNEL] != 0 ? values[KERNEL] : values[SLAB];
    *swap = values[SWAP] * 1024;
    return (values[FREE] + values[ACTIVE] + values[INACTIVE] + kernel) * 1024 + *swap;
}

/* --- Control groups --------------------------------------------------------------------------- */

/* The most that the group could free of its memory. */
static uint64_t reclaimable(struct room *room, const struct generation *generation, uint64_t used) {
    const char *const freed[] = {generation->reclaimable[0], generation->reclaimable[1],
                                 generation->reclaimable[2], NULL};
    const char *const taken[] = {generation->accounted[0], generation->accounted[1],
                                 generation->accounted[2], NULL};
    uint64_t can_go[3] = {0}, counted[3] = {0}, kernel = 0;
    if (!read_words(room, "memory.stat", freed, can_go) ||
        !read_words(room, "memory.stat", taken, counted))
        return used;
    if (generation->kernel != NULL && !read_number(room, generation->kernel, &kernel))
        kernel = 0;
    uint64_t ahead = difference(used, counted[0] + counted[1] + counted[2] + kernel);
    return smaller(used, can_go[0] + can_go[1] + can_go[2] + kernel + ahead);
}

/* With what the group may have swapped. */
static uint64_t with_swap(struct room *room, const struct generation *generation, uint64_t bytes,
                          uint64_t freed, uint64_t swap) {
    uint64_t limit, used;
    bool limited = read_number(room, generation->swap_limit, &limit) &&
                   read_number(room, generation->swap_used, &used);
    if (!limited)
        return bytes + swap;
    if (generation->swap_includes_memory)
        return smaller(bytes + swap, difference(limit, used) + freed);
    return bytes + smaller(swap, difference(limit, used));
}

/* The group in room->path. */
static void look_at_group(struct room *room, const struct generation *generation) {
    uint64_t limit, used, swap, need = room->wanted + room->wanted / INDEX_SHARE;
    if (!read_number(room, generation->limit, &limit) || limit >= UNLIMITED ||
        !read_number(room, generation->used, &used) || difference(limit, used) >= need)
        return;
    uint64_t freed = reclaimable(room, generation, used);
    (void)machine(room, &swap);
    uint64_t bytes = with_swap(room, generation, difference(limit, used) + freed, freed, swap);
    if (bytes >= need || bytes >= room->bytes)
        return;
    room->bytes = bytes;
    snprintf(room->figures, room->figures_size,
             "%" PRIu64 " can be had in the memory cgroup %.200s (limit %" PRIu64 ", used %" PRIu64
             ")",
             bytes, room->path + strlen(room->cgroups), limit, used);
}

/* The group and all groups around it. In a container the path may exist for the host only: then the
 * root of the mounted file system is this group. */
static void look_at_groups(struct room *room, const struct generation *generation, const char *root,
                           const char *path) {
    int length = snprintf(room->path, sizeof room->path, "%s%s%s", room->cgroups, root, path);
    if ((size_t)length >= sizeof room->path)
        return;
    size_t shortest = strlen(room->cgroups) + strlen(root);
    for (char *slash = room->path + length;
         slash != NULL && (size_t)(slash - room->path) >= shortest;
         slash = strrchr(room->path, '/')) {
        *slash = 0;
        room->length = (size_t)(slash - room->path);
        look_at_group(room, generation);
    }
}

/* Whether "a,memory,b" holds it. */
static bool has_memory(const char *controllers) {
    for (const char *word = controllers; word != NULL; word = strchr(word, ',')) {
        word += *word == ',';
        if (strncmp(word, "memory", 6) == 0 && (word[6] == ',' || word[6] == 0))
            return true;
    }
    return false;
}

/* A line of /proc/<thread>/cgroup: NUMBER:CONTROLLERS:PATH. */
static void look_at_line(struct room *room, char *line) {
    char *controllers = strchr(line, ':'),
         *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    if (path == NULL)
        return;
    *path++ = 0;
    controllers++;
    if (strcmp(path, "/") == 0)
        path++;
    if (has_memory(controllers))
        look_at_groups(room, &first, "/memory", path);
    if (*controllers != 0)
        return;
    look_at_groups(room, &second, "", path);
    look_at_groups(room, &second, "/unified", path);
}

/* The thread's own entry: if the process's first thread has ended, "self" shows no group. */
static bool open_groups(struct room *room, struct lines *lines) {
    set_directory(room, room->proc);
    return lines_of(room, "thread-self/cgroup", lines) || lines_of(room, "self/cgroup", lines);
}

static bool has_room(struct room *room, uint64_t free) {
    struct lines lines;
    uint64_t swap;
    uint64_t bytes = free >= room->wanted ? room->wanted : machine(room, &swap);
    if (bytes < room->wanted) {
        room->bytes = bytes;
        snprintf(room->figures, room->figures_size, "%" PRIu64 " of memory and swap can be had",
                 bytes);
    }
    if (open_groups(room, &lines)) {
        while (lines_next(&lines))
            look_at_line(room, lines.text);
        (void)lines_close(&lines);
    }
    return room->bytes == UINT64_MAX;
}

bool leat__linux_has_room(const struct leat__linux_sources *sources, uint64_t wanted, char *figures,
                          size_t size) {
    struct room room = {.proc = sources->proc,
                        .cgroups = sources->cgroups,
                        .wanted = wanted,
                        .bytes = UINT64_MAX,
                        .figures = figures,
                        .figures_size = size};
    int cancel = leat__os_cancellation_hold();
    bool has = has_room(&room, sources->free);
    leat__os_cancellation_release(cancel);
    return has;
}
