/* lib/os/linux/room.c - whether memory can be had, before it is taken: the kernel does not refuse what is too much, it
 * kills (lib/os/linux/space.h).
 *
 * Nothing that could be had is refused: what the machine or a memory cgroup could free at most counts as free, all of its
 * file cache and all swap. What lies between that and what the kernel frees in fact still ends in the OOM killer, as does
 * what several processes reserve at the same moment. What cannot be read sets no limit.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/os/linux/space.h"

#define UNLIMITED (UINT64_C(1) << 60) /* what is above is a way of saying so */
#define INDEX_SHARE 512               /* of each page the kernel needs so much more, to find it: 576 bytes for 64 */

/* The least that was found, and where. */
struct room {
    const char *proc, *cgroups;
    uint64_t wanted, bytes; /* UINT64_MAX: enough everywhere */
    char *figures;
    size_t figures_size;
};

/* One generation of control groups: what its files are called. */
struct generation {
    const char *limit, *used, *swap_limit, *swap_used;
    bool swap_includes_memory;
    const char *reclaimable[3]; /* lines of memory.stat: what may be freed */
    const char *accounted[3];   /* and what is in use; the rest of `used` is charged in advance, and goes first */
    const char *kernel;         /* a file that counts as both, or NULL */
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

static bool read_text(const char *directory, const char *name, char *text, size_t size) {
    char path[4400];
    size_t length = 0;
    ssize_t got = -1;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", directory, name) >= sizeof path)
        return false;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (file < 0)
        return false;
    while (length < size - 1 && ((got = read(file, text + length, size - 1 - length)) > 0 || (got < 0 && errno == EINTR)))
        length += got > 0 ? (size_t)got : 0;
    close(file);
    text[length] = 0;
    return got >= 0;
}

static bool parse(const char *text, uint64_t *value) {
    char *end;
    errno = 0;
    *value = strncmp(text, "max", 3) == 0 ? UINT64_MAX : strtoull(text, &end, 10);
    return *value == UINT64_MAX || (end != text && errno == 0);
}

static bool read_number(const char *directory, const char *name, uint64_t *value) {
    char text[64];
    return read_text(directory, name, text, sizeof text) && parse(text, value);
}

/* The number behind a word at the start of a line; 0 when there is none. */
static uint64_t line_of(const char *text, const char *word) {
    size_t length = strlen(word);
    uint64_t value;
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += line != text;
        if (strncmp(line, word, length) == 0 && (line[length] == ' ' || line[length] == ':'))
            return parse(line + length + 1 + strspn(line + length + 1, " "), &value) ? value : 0;
    }
    return 0;
}

static uint64_t difference(uint64_t more, uint64_t less) {
    return more > less ? more - less : 0;
}

static uint64_t smaller(uint64_t one, uint64_t other) {
    return one < other ? one : other;
}

/* --- The machine ------------------------------------------------------------------------------ */

static uint64_t machine(const struct room *room, uint64_t *swap) {
    static const char *const parts[] = {"MemFree", "Active(file)", "Inactive(file)"};
    char text[8192];
    uint64_t kernel, sum = 0;
    *swap = UNLIMITED;
    if (!read_text(room->proc, "meminfo", text, sizeof text) || strstr(text, "MemFree:") == NULL)
        return UNLIMITED;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        sum += line_of(text, parts[i]);
    kernel = line_of(text, "KReclaimable");
    sum += kernel != 0 ? kernel : line_of(text, "SReclaimable");
    *swap = line_of(text, "SwapFree") * 1024;
    return sum * 1024 + *swap;
}

/* --- Control groups --------------------------------------------------------------------------- */

static uint64_t sum_of(const char *text, const char *const words[3]) {
    uint64_t sum = 0;
    for (size_t i = 0; i < 3 && words[i] != NULL; i++)
        sum += line_of(text, words[i]);
    return sum;
}

/* What of it the group could free at most. */
static uint64_t reclaimable(const struct generation *generation, const char *group, uint64_t used) {
    char text[8192];
    uint64_t kernel = 0;
    if (!read_text(group, "memory.stat", text, sizeof text))
        return used;
    if (generation->kernel != NULL)
        (void)read_number(group, generation->kernel, &kernel);
    uint64_t ahead = difference(used, sum_of(text, generation->accounted) + kernel);
    return smaller(used, sum_of(text, generation->reclaimable) + kernel + ahead);
}

/* With what the group may have swapped. */
static uint64_t with_swap(const struct generation *generation, const char *group, uint64_t bytes, uint64_t freed,
                          uint64_t swap) {
    uint64_t limit, used;
    bool limited = read_number(group, generation->swap_limit, &limit) && read_number(group, generation->swap_used, &used);
    if (!limited)
        return bytes + swap;
    if (generation->swap_includes_memory)
        return smaller(bytes + swap, difference(limit, used) + freed);
    return bytes + smaller(swap, difference(limit, used));
}

static void look_at_group(struct room *room, const struct generation *generation, const char *group) {
    uint64_t limit, used, swap, need = room->wanted + room->wanted / INDEX_SHARE;
    if (!read_number(group, generation->limit, &limit) || limit >= UNLIMITED ||
        !read_number(group, generation->used, &used) || difference(limit, used) >= need)
        return;
    uint64_t freed = reclaimable(generation, group, used);
    (void)machine(room, &swap);
    uint64_t bytes = with_swap(generation, group, difference(limit, used) + freed, freed, swap);
    if (bytes >= need || bytes >= room->bytes)
        return;
    room->bytes = bytes;
    snprintf(room->figures, room->figures_size, "%" PRIu64 " can be had in the memory cgroup %.200s (limit %" PRIu64
             ", used %" PRIu64 ")", bytes, group + strlen(room->cgroups), limit, used);
}

/* The group and all that it is in. In a container the path may be one that only the host sees: then the root of what is
 * mounted is this group. */
static void look_at_groups(struct room *room, const struct generation *generation, const char *root, const char *path) {
    char group[4200];
    if ((size_t)snprintf(group, sizeof group, "%s%s%s", room->cgroups, root, path) >= sizeof group)
        return;
    size_t shortest = strlen(room->cgroups) + strlen(root);
    for (char *slash = group + strlen(group); slash != NULL && (size_t)(slash - group) >= shortest;
         slash = strrchr(group, '/')) {
        *slash = 0;
        look_at_group(room, generation, group);
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

/* A line of /proc/self/cgroup: NUMBER:CONTROLLERS:PATH. */
static void look_at_line(struct room *room, char *line) {
    char *controllers = strchr(line, ':'), *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');
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

bool leat__linux_has_room(const struct leat__linux_sources *sources, uint64_t wanted, char *figures, size_t size) {
    char text[8192], *rest = NULL;
    uint64_t swap;
    struct room room = {sources->proc, sources->cgroups, wanted, UINT64_MAX, figures, size};
    uint64_t bytes = sources->free >= wanted ? wanted : machine(&room, &swap);
    if (bytes < wanted) {
        room.bytes = bytes;
        snprintf(figures, size, "%" PRIu64 " of memory and swap can be had", bytes);
    }
    if (read_text(room.proc, "self/cgroup", text, sizeof text))
        for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
            look_at_line(&room, line);
    return room.bytes == UINT64_MAX;
}
