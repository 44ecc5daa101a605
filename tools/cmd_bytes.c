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

#include "common.h"
#include "figures.h"
#include "names.h"
#include "signals.h"

#define STEP_BYTES ((uint64_t)1 << 20) /* small enough that Ctrl-C is noticed soon */

enum {
    OPTION_OFFSET = 'o',
    OPTION_LENGTH = 'n',
    OPTION_CREATE = 'c',
    OPTION_GROW = 'G',
    OPTION_FILE = 'f'
};

struct request {
    struct target target;
    uint64_t offset, length;
    bool has_length, help;
    uint64_t create_size; /* 0: the region must exist */
    uint32_t permissions;
    bool global, file, grow;
};

static const char read_help[] =
    "Usage: leat read NAME [--offset BYTES] [--length BYTES] [--global | --file]\n"
    "\n"
    "Writes the bytes of a region to standard output, as they are. Opens it\n"
    "read-only.\n"
    "\n"
    "  --offset BYTES  where to begin; default 0\n"
    "  --length BYTES  how many; default: up to the end\n"
    "  --global        the machine's region of that name, also one that another\n"
    "                  program made with shm_open\n"
    "  --file          NAME is the path of a file\n"
    "\n"
    "It is an error (and nothing is written) if the range does not lie inside the\n"
    "region.\n";

static const char write_help[] =
    "Usage: leat write NAME [--offset BYTES] [--length BYTES]\n"
    "                  [--create SIZE [--grow]] [--permissions OCTAL]\n"
    "                  [--global | --file]\n"
    "\n"
    "Copies standard input into a region.\n"
    "\n"
    "  --offset BYTES  where to begin; default 0\n"
    "  --length BYTES  how many bytes to take at most; default: all that comes\n"
    "  --create SIZE   create the region if it is not there, persistent as with\n"
    "                  'leat create --keep'; one that is there stays as it is\n"
    "  --grow          then a smaller one grows to SIZE\n"
    "  --permissions OCTAL\n"
    "                  of the region, if this creates it; default 600\n"
    "  --global        the machine's region of that name\n"
    "  --file          NAME is the path of a file\n"
    "\n"
    "Input that is shorter than the range leaves the rest of the region as it was.\n"
    "Input that is longer than the region's rest is an error: what fits has been\n"
    "written then.\n";

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

/* Checks the range, and fills in the length that was left open. */
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

static int parse(struct request *request, const struct option *options, int argc, char **argv) {
    int option;
    while ((option = getopt_long(argc, argv, "hgo:n:", options, NULL)) != -1) {
        bool good = true;
        if (option == OPTION_HELP)
            return request->help = true, END_OK;
        else if (option == OPTION_GLOBAL)
            request->global = true;
        else if (option == OPTION_FILE)
            request->file = true;
        else if (option == OPTION_GROW)
            request->grow = true;
        else if (option == OPTION_OFFSET)
            good = size_option("offset", optarg, &request->offset);
        else if (option == OPTION_LENGTH)
            good = request->has_length = size_option("length", optarg, &request->length);
        else if (option == OPTION_CREATE)
            good = size_option("create", optarg, &request->create_size);
        else if (option == OPTION_PERMISSIONS)
            good = permissions_option(optarg, &request->permissions);
        else
            return fail_usage(NULL);
        if (!good)
            return END_USAGE;
        if (option == OPTION_CREATE && request->create_size == 0)
            return fail_usage("--create: a region has at least one byte");
    }
    if (request->grow && request->create_size == 0)
        return fail_usage("--grow: to what size? --create SIZE");
    if (!target_from_arguments(&request->target, "region", request->global, argc, argv) ||
        (request->file && !target_is_file(&request->target, request->global)))
        return END_USAGE;
    return END_OK;
}

#define RANGE_OPTIONS                                                                              \
    {"help", no_argument, NULL, OPTION_HELP}, SCOPE_OPTION,                                        \
        {"offset", required_argument, NULL, OPTION_OFFSET},                                        \
        {"length", required_argument, NULL, OPTION_LENGTH}, {                                      \
        "file", no_argument, NULL, OPTION_FILE                                                     \
    }

/* What there is to do when it could not be opened; NULL: the library's advice. */
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

static int run_read(int argc, char **argv) {
    static const struct option options[] = {RANGE_OPTIONS, {0}};
    struct request request = {0};
    leat_region *region;
    struct progress progress;
    int end = parse(&request, options, argc, argv);
    if (end != END_OK)
        return end;
    if (request.help)
        return fputs(read_help, stdout), END_OK;
    signals_catch();
    end = open_to_read(&request, &region);
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

static int run_write(int argc, char **argv) {
    static const struct option options[] = {RANGE_OPTIONS,
                                            {"create", required_argument, NULL, OPTION_CREATE},
                                            {"grow", no_argument, NULL, OPTION_GROW},
                                            CREATION_OPTION,
                                            {0}};
    struct request request = {0};
    leat_region *region;
    struct progress progress;
    int end = parse(&request, options, argc, argv);
    if (end != END_OK)
        return end;
    if (request.help)
        return fputs(write_help, stdout), END_OK;
    signals_catch();
    end = open_to_write(&request, &region);
    if (end != END_OK)
        return end;
    end = check_range(&request, leat_region_size(region));
    progress_start(&progress, STDIN_FILENO);
    if (end == END_OK)
        end = copy_in(&request, (char *)leat_region_data(region) + request.offset, &progress);
    leat_region_close(region);
    return end;
}

const struct command command_read = {"read", "write a region's bytes to standard output", read_help,
                                     run_read};
const struct command command_write = {"write", "copy standard input into a region", write_help,
                                      run_write};
