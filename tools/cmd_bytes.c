/* cmd_bytes.c - `leat read` and `leat write`: the bytes of a region, or of a file as one, to
 * standard output, and from standard input.
 *
 * The system copies straight between the shared memory and the file or pipe. If another process
 * shortens the object's file meanwhile, the copy fails with a message; it never ends in SIGBUS.
 * Bytes that other processes write at the same time can be seen half-written: a region synchronises
 * nothing.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "arguments.h"
#include "figures.h"
#include "names.h"
#include "signals.h"

#define STEP_BYTES ((uint64_t)1 << 20) /* small enough that Ctrl-C is noticed soon */

struct request {
    struct target target;
    uint64_t offset, length;
    uint64_t create_size; /* 0: the region must exist */
    uint32_t permissions;
    bool has_length, global, file, grow;
};

static const char *range_text(const struct request *request) {
    static char text[96];
    if (request->has_length)
        snprintf(text, sizeof text, "%llu bytes from offset %llu on do not lie inside it",
                 (unsigned long long)request->length, (unsigned long long)request->offset);
    else
        snprintf(text, sizeof text, "offset %llu does not lie inside it",
                 (unsigned long long)request->offset);
    return text;
}

/* Checks the range, and fills in a length that was not given. */
static int check_range(struct request *request, uint64_t size) {
    uint64_t rest = request->offset <= size ? size - request->offset : 0;
    if (request->offset > size || (request->has_length && request->length > rest))
        return fail_target(&request->target, END_FAILED, "%s (%s); it has %llu bytes.",
                           range_text(request), leat_error_name(LEAT_ERANGE),
                           (unsigned long long)size);
    if (!request->has_length)
        request->length = rest;
    return END_OK;
}

static int fail_copy(const struct request *request, const char *stream, int system_error) {
    if (system_error == EFAULT)
        return fail_target(
            &request->target, END_FAILED,
            "the object became shorter while it was open: another program has cut its file.");
    return fail_system(stream, system_error);
}

static int copy_out(const struct request *request, const char *bytes, struct progress *progress) {
    uint64_t done = 0;
    for (; done < request->length; progress_update(progress, done, 0)) {
        if (signals_seen() != 0)
            return END_BY_SIGNAL + signals_seen();
        uint64_t rest = request->length - done;
        ssize_t written =
            write(STDOUT_FILENO, bytes + done, (size_t)(rest < STEP_BYTES ? rest : STEP_BYTES));
        if (written >= 0)
            done += (uint64_t)written;
        else if (errno == EPIPE)
            return END_BY_SIGNAL + SIGPIPE; /* quietly, as the standard tools */
        else if (errno != EINTR)
            return fail_copy(request, "standard output", errno);
    }
    progress_finish(progress, done, 0);
    return END_OK;
}

/* After the range is full: is there more input? */
static int check_input_ended(const struct request *request) {
    char extra;
    ssize_t got;
    if (request->has_length)
        return END_OK; /* --length asked to take no more */
    do {
        if (signals_seen() != 0)
            return END_BY_SIGNAL + signals_seen();
        got = read(STDIN_FILENO, &extra, 1);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return fail_system("standard input", errno);
    if (got > 0)
        return fail_target(&request->target, END_FAILED,
                           "the input is longer than the %llu bytes from offset %llu to the end; "
                           "these were written.",
                           (unsigned long long)request->length,
                           (unsigned long long)request->offset);
    return END_OK;
}

static int copy_in(const struct request *request, char *bytes, struct progress *progress) {
    uint64_t done = 0;
    for (bool ended = false; !ended && done < request->length; progress_update(progress, done, 0)) {
        if (signals_seen() != 0)
            return END_BY_SIGNAL + signals_seen();
        uint64_t rest = request->length - done;
        ssize_t got =
            read(STDIN_FILENO, bytes + done, (size_t)(rest < STEP_BYTES ? rest : STEP_BYTES));
        if (got >= 0)
            done += (uint64_t)got;
        else if (errno != EINTR)
            return fail_copy(request, "standard input", errno);
        ended = got == 0;
    }
    progress_finish(progress, done, 0);
    return done < request->length ? END_OK : check_input_ended(request);
}

/* The remedy when the object could not be opened; NULL: the library's advice. */
static const char *remedy(const struct request *request, int code, const char *when_absent) {
    if (code == LEAT_ENOENT)
        return request->file
                   ? "check the path, or create the file with 'leat write --file --create SIZE'"
                   : when_absent;
    return code == LEAT_ESIZE && request->file
               ? "an empty file has nothing to map: 'leat grow --file' makes it larger"
               : NULL;
}

static int open_to_read(const struct request *request, leat_region **region) {
    leat_region_options how = {.scope = request->file ? LEAT_LOCAL : request->target.scope,
                               .mode = LEAT_OPEN,
                               .access = LEAT_READ_ONLY};
    int code = request->file ? leat_region_file(region, request->target.name, 0, &how)
                             : leat_region_open(region, request->target.name, 0, &how);
    return code == LEAT_OK ? END_OK
                           : fail_leat(&request->target, code,
                                       remedy(request, code, "'leat ls' shows what there is"));
}

static int open_to_write(const struct request *request, leat_region **region) {
    leat_region_options how = {.scope = request->file ? LEAT_LOCAL : request->target.scope,
                               .mode = request->create_size != 0 ? LEAT_OPEN_OR_CREATE : LEAT_OPEN,
                               .size_policy = request->grow ? LEAT_SIZE_GROW : LEAT_SIZE_ADOPT,
                               .persistent = !request->file, /* every file is */
                               .permissions = request->permissions};
    const char *name = request->target.name;
    int code = request->file ? leat_region_file(region, name, request->create_size, &how)
                             : leat_region_open(region, name, request->create_size, &how);
    return code == LEAT_OK
               ? END_OK
               : fail_leat(&request->target, code,
                           remedy(request, code, "create it first, or use --create SIZE"));
}

/* --- Arguments -------------------------------------------------------------------------------- */

static struct request request;

/* What `read` and `write` have in common. */
#define NAME_ROW                                                                                   \
    { .value = "NAME", .text = &request.target.name }
#define OFFSET_ROW                                                                                 \
    { OPTION("offset", 'o', "BYTES", "where to begin; default 0"), .size = &request.offset }
#define LENGTH_ROW(text)                                                                           \
    { OPTION("length", 'n', "BYTES", text), .size = &request.length, .given = &request.has_length }
#define FILE_ROW                                                                                   \
    {                                                                                              \
        OPTION("file", 0, NULL, "NAME is the path of a file"), .flag = &request.file,              \
                                                               .excludes = "global"                \
    }

static void choose_target(void) {
    const char *name = request.target.name;
    request.target =
        request.file ? target_of_file(name) : target_named("region", name, request.global);
}

static const struct argument read_arguments[] = {
    NAME_ROW,
    OFFSET_ROW,
    LENGTH_ROW("how many; default: up to the end"),
    GLOBAL_OPTION(&request.global, "region"),
    FILE_ROW,
    HELP_OPTION,
};

static int run_read(void) {
    leat_region *region;
    struct progress progress;
    choose_target();
    signals_catch();
    int end = open_to_read(&request, &region);
    if (end != END_OK)
        return end;
    end = check_range(&request, leat_region_size(region));
    progress_start(&progress, STDOUT_FILENO);
    if (end == END_OK)
        end =
            copy_out(&request, (const char *)leat_region_data(region) + request.offset, &progress);
    leat_region_close(region);
    return end;
}

static const struct argument write_arguments[] = {
    NAME_ROW,
    OFFSET_ROW,
    LENGTH_ROW("how many bytes to take at most; default: all of the input"),
    {OPTION("create", 0, "SIZE",
            "create the region if it is missing, persistent as with 'leat create --keep'; an "
            "existing region stays as it is"),
     .size = &request.create_size, .min = 1},
    {OPTION("grow", 0, NULL, "grow an existing region that is smaller to SIZE"),
     .flag = &request.grow, .needs = "create"},
    PERMISSIONS_OPTION(&request.permissions, "of the region, if this creates it; default 600"),
    GLOBAL_OPTION(&request.global, "region"),
    FILE_ROW,
    HELP_OPTION,
};

static int run_write(void) {
    leat_region *region;
    struct progress progress;
    choose_target();
    signals_catch();
    int end = open_to_write(&request, &region);
    if (end != END_OK)
        return end;
    end = check_range(&request, leat_region_size(region));
    progress_start(&progress, STDIN_FILENO);
    if (end == END_OK)
        end = copy_in(&request, (char *)leat_region_data(region) + request.offset, &progress);
    leat_region_close(region);
    return end;
}

const struct command command_read = {
    .name = "read",
    .summary = "write a region's bytes to standard output",
    .about = "Writes the bytes of a region to standard output, as they are. Opens it\n"
             "read-only.\n",
    .notes = "A range that does not lie inside the region is an error, and nothing is written.\n",
    .arguments = read_arguments,
    .run = run_read,
};
const struct command command_write = {
    .name = "write",
    .summary = "copy standard input into a region",
    .about = "Copies standard input into a region.\n",
    .notes = "Input shorter than the range leaves the rest of the region as it was. Input\n"
             "longer than the rest of the region is an error, after what fits was written.\n",
    .arguments = write_arguments,
    .run = run_write,
};
