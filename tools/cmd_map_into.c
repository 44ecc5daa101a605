/* cmd_map_into.c - `leat map-into`: a region in the memory of a process that does not use leat.
 *
 * Only the process that mapped a view can take it out (leat/remote.h). So the command stays, holds
 * the region, and takes the view out when it is asked to end; or it leaves the view there for good
 * (--keep), with the region persistent if this created it: a view keeps the memory, not the name.
 * When the process ends first, the view is gone with it, and the command reports that.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arguments.h"
#include "figures.h"
#include "leat/remote.h"
#include "names.h"
#include "signals.h"

#define POLL_MS 250 /* period for checking the process, where the system has no event for its end */

struct mapping {
    struct target target;
    leat_region_options options;
    uint64_t size;
    int process;
    uint64_t address; /* in that process */
    bool create, keep, global, json, read_only;
};

/* --- Mapping ---------------------------------------------------------------------------------- */

/* The library's details describe the process; the causes of its codes are about objects. */
static int fail_process(const struct mapping *mapping, const char *what, int code) {
    struct shown_text detail;
    const char *remedy = code == LEAT_EACCES  ? " Run this with that right, as root for example."
                         : code == LEAT_EBUSY ? " End the debugger first."
                         : code == LEAT_EAGAIN || code == LEAT_ETIMEDOUT ? " Try again later."
                                                                         : "";
    text_show(&detail, leat_error_detail());
    return fail_target(&mapping->target, code == LEAT_ENOENT ? END_NO_OBJECT : END_FAILED,
                       "%s: %s (%s).%s", what, detail.text, leat_error_name(code), remedy);
}

static int open_region(const struct mapping *mapping, leat_region **region) {
    leat_region_options how = mapping->options;
    how.mode = mapping->create ? LEAT_OPEN_OR_CREATE : LEAT_OPEN;
    int code =
        leat_region_open(region, mapping->target.name, mapping->create ? mapping->size : 0, &how);
    if (code == LEAT_OK)
        return END_OK;
    return fail_leat(&mapping->target, code,
                     code == LEAT_ENOENT ? "create it first, or use --create" : NULL);
}

static bool is_new(const leat_region *region) {
    leat_region_details details;
    return leat_region_info(region, &details) == LEAT_OK && details.created;
}

static void show_mapped(const struct mapping *mapping, const leat_region *region) {
    struct shown_name name;
    struct figure size;
    char address[20];
    bool read_only = mapping->options.access == LEAT_READ_ONLY;
    snprintf(address, sizeof address, "0x%" PRIx64, mapping->address);
    if (mapping->json) {
        json_t *object = json_object();
        json_add_name(object, mapping->target.name);
        json_object_set_new(object, "scope", json_string(scope_name(mapping->target.scope)));
        json_object_set_new(object, "process", json_integer(mapping->process));
        json_object_set_new(object, "address", json_string(address));
        json_object_set_new(object, "size_bytes", json_count(leat_region_size(region)));
        json_object_set_new(object, "read_only", json_boolean(read_only));
        json_object_set_new(object, "created", json_boolean(is_new(region)));
        json_write(object, stdout, false);
    } else
        printf("mapped %s region '%s' of %s bytes into process %d at %s%s\n",
               scope_name(mapping->target.scope), name_show(&name, mapping->target.name),
               figure_count(&size, leat_region_size(region)), mapping->process, address,
               read_only ? ", read-only" : "");
    fflush(stdout);
}

/* --- Staying ---------------------------------------------------------------------------------- */

/* Waits for a signal, or for the process to end. */
static void stay(const struct mapping *mapping) {
    struct pollfd end = {.fd = (int)syscall(SYS_pidfd_open, mapping->process, 0), .events = POLLIN};
    if (isatty(STDERR_FILENO))
        note_target(&mapping->target,
                    "mapped until Ctrl-C (with --keep it would stay without this command)");
    while (signals_seen() == 0 && end.revents == 0 &&
           (kill(mapping->process, 0) == 0 || errno != ESRCH))
        (void)poll(&end, 1, end.fd < 0 ? POLL_MS : -1);
    if (end.fd >= 0)
        close(end.fd);
}

/* Ends with 0 at the signal, as `leat create` does: the command is meant to end in this way. */
static int take_out(const struct mapping *mapping) {
    int code = leat_region_unmap_from(mapping->process, mapping->address);
    if (code == LEAT_OK)
        return END_OK;
    if (code == LEAT_ENOENT)
        return fail_target(&mapping->target, END_PEER_DIED,
                           "process %d has ended, and the view with it.", mapping->process);
    if (code == LEAT_EINVAL)
        return fail_target(&mapping->target, END_FAILED,
                           "process %d no longer has the view: it unmapped it, or executes another "
                           "program. Nothing was changed.",
                           mapping->process);
    return fail_process(mapping, "the view is still mapped there", code);
}

static int map(struct mapping *mapping) {
    leat_region *region;
    signals_catch();
    int end = open_region(mapping, &region);
    if (end != END_OK)
        return end;
    int code = leat_region_map_into(region, mapping->process, &mapping->address);
    if (code != LEAT_OK) {
        end = fail_process(mapping, "not mapped", code);
        if (is_new(region) && mapping->options.persistent)
            (void)!leat_unlink(mapping->target.name, mapping->target.scope); /* all or nothing */
    } else {
        show_mapped(mapping, region);
        if (!mapping->keep) {
            stay(mapping);
            end = take_out(mapping);
        }
    }
    leat_region_close(region);
    return end;
}

/* --- Arguments -------------------------------------------------------------------------------- */

static struct mapping mapping;
static uint64_t pid;

static const struct argument arguments[] = {
    {.value = "PID", .count = &pid, .min = 1, .max = INT_MAX},
    {.value = "NAME", .text = &mapping.target.name},
    {.value = "SIZE", .size = &mapping.size, .min = 1, .optional = true, .needs = "create"},
    {OPTION("create", 'c', NULL,
            "create the region, of SIZE bytes (default 4096), if it is missing"),
     .flag = &mapping.create},
    {OPTION("read-only", 0, NULL, "the process can read it and not write"),
     .flag = &mapping.read_only},
    {OPTION("keep", 'k', NULL,
            "end at once and leave the view there for as long as the process runs this program; "
            "a region that this creates is persistent then"),
     .flag = &mapping.keep},
    PERMISSIONS_OPTION(&mapping.options.permissions,
                       "of the region, if this creates it; default 600"),
    GLOBAL_OPTION(&mapping.global, "region"),
    JSON_OPTION(&mapping.json, "{\"process\", \"address\", \"size_bytes\", ...}"),
    HELP_OPTION,
};

static int run(void) {
    mapping.process = (int)pid;
    mapping.target = target_named("region", mapping.target.name, mapping.global);
    mapping.options.scope = mapping.target.scope;
    mapping.options.persistent = mapping.create && mapping.keep;
    if (mapping.read_only)
        mapping.options.access = LEAT_READ_ONLY;
    return map(&mapping);
}

const struct command command_map_into = {
    .name = "map-into",
    .summary = "map a region into another process",
    .about = "Maps a region into another process, as a debugger would, and prints the address\n"
             "at which the process sees it. Stays until Ctrl-C or SIGTERM, then takes the\n"
             "view out again (exit code 0). When the process ends first: exit code 5.\n",
    .notes = "It takes the right that a debugger needs: the same user, or CAP_SYS_PTRACE, and\n"
             "nothing in kernel.yama.ptrace_scope against it. The process is stopped for less\n"
             "than a millisecond; it must be a 64-bit process.\n",
    .arguments = arguments,
    .run = run,
};
