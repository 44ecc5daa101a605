/* common.c - see common.h. */
#include "common.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"

static const char *current_command; /* NULL: none yet */

void message_command(const char *name) {
    current_command = name;
}

/* --- Messages --------------------------------------------------------------------------------- */

static void begin_message(const struct target *target) {
    /* The progress line, if there is one, stands in the way. */
    fflush(stdout);
    fputs("leat: ", stderr);
    if (current_command != NULL)
        fprintf(stderr, "%s: ", current_command);
    if (target != NULL) {
        struct shown_name shown;
        fprintf(stderr, "%s%s '%s': ", target->scope == LEAT_GLOBAL ? "global " : "", target->kind,
                name_show(&shown, target->name));
    }
}

static int exit_code_of(int code) {
    switch (code) {
    case LEAT_OK:
        return END_OK;
    case LEAT_ENOENT:
        return END_NO_OBJECT;
    case LEAT_ETIMEDOUT:
        return END_TIMED_OUT;
    case LEAT_EPEERDIED:
        return END_PEER_DIED;
    default:
        return END_FAILED;
    }
}

/* The library's details can start with the object's name, which the message has said already. */
static const char *detail_without_object(const char *detail) {
    static const char *const kinds[] = {"channel '", "region '",    "object '", "mutex '",
                                        "event '",   "semaphore '", "file '"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strncmp(detail, kinds[i], strlen(kinds[i])) == 0) {
            const char *end = strstr(detail, "': ");
            return end == NULL ? detail : end + 3;
        }
    return detail;
}

/* A frequent slip: the object is there, in the other scope. */
static const char *other_scope_remedy(const struct target *target) {
    leat_object_info info;
    leat_scope other = target->scope == LEAT_GLOBAL ? LEAT_LOCAL : LEAT_GLOBAL;
    if (target->scope == SCOPE_OF_FILES || scope_of_name(target->name, other) != other ||
        leat_stat(target->name, other, &info) != LEAT_OK)
        return NULL;
    return other == LEAT_GLOBAL ? "a global object of that name exists: use --global"
                                : "a local object of that name exists: leave out --global";
}

/* News about the other side: the library's details are then those of an earlier failure. And that
 * something does not exist, or does, needs no second and third way of saying so. */
static bool speaks_for_itself(int code, int system_error) {
    switch (code) {
    case LEAT_EAGAIN:
    case LEAT_ETIMEDOUT:
    case LEAT_ECLOSED:
    case LEAT_EPEERDIED:
    case LEAT_EPEERBACK:
    case LEAT_EINTR:
        return true;
    case LEAT_ENOENT:
        return system_error == ENOENT || system_error == 0;
    case LEAT_EEXIST:
        return system_error == EEXIST || system_error == 0;
    default:
        return false;
    }
}

int fail_leat(const struct target *target, int code, const char *remedy) {
    struct shown_text detail;
    /* Copied first: looking into the other scope below may overwrite them. */
    text_show(&detail, detail_without_object(leat_error_detail()));
    int system_error = leat_system_error();
    const char *hint = code == LEAT_ENOENT ? other_scope_remedy(target) : NULL;
    if (hint == NULL)
        hint = remedy != NULL ? remedy : leat_error_remedy(code);
    begin_message(target);
    fprintf(stderr, "%s (%s)", leat_error_cause(code), leat_error_name(code));
    if (!speaks_for_itself(code, system_error)) {
        if (detail.text[0] != 0)
            fprintf(stderr, "; %s", detail.text);
        if (system_error != 0)
            fprintf(stderr, "; %s", strerror(system_error));
    }
    fputc('.', stderr);
    if (hint[0] != 0)
        fprintf(stderr, " %c%s.", toupper((unsigned char)hint[0]), hint + 1);
    fputc('\n', stderr);
    return exit_code_of(code);
}

static void end_message(const char *format, va_list arguments) {
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

int fail_target(const struct target *target, int exit_code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    begin_message(target);
    end_message(format, arguments);
    va_end(arguments);
    return exit_code;
}

void note_target(const struct target *target, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    begin_message(target);
    end_message(format, arguments);
    va_end(arguments);
}

int fail_system(const char *what, int system_error) {
    begin_message(NULL);
    fprintf(stderr, "%s: %s.\n", what, strerror(system_error));
    return END_FAILED;
}

int fail_usage(const char *format, ...) {
    va_list arguments;
    if (format != NULL) {
        va_start(arguments, format);
        begin_message(NULL);
        end_message(format, arguments);
        va_end(arguments);
    }
    fprintf(stderr, "leat: %s: try 'leat %s --help'\n", current_command, current_command);
    return END_USAGE;
}

/* --- Arguments -------------------------------------------------------------------------------- */

leat_scope scope_of_name(const char *name, leat_scope otherwise) {
    if (strncmp(name, "Global\\", 7) == 0)
        return LEAT_GLOBAL;
    return strncmp(name, "Local\\", 6) == 0 ? LEAT_LOCAL : otherwise;
}

const char *scope_name(leat_scope scope) {
    return scope == LEAT_GLOBAL ? "global" : "local";
}

bool perhaps_foreign(const leat_object_info *info) {
    return info->scope == LEAT_GLOBAL && info->kind == LEAT_KIND_REGION && info->persistent &&
           !info->in_use;
}

bool target_from_arguments(struct target *target, const char *kind, bool global, int argc,
                           char **argv) {
    if (optind >= argc) {
        fail_usage("the NAME of the %s is missing", kind);
        return false;
    }
    if (optind + 1 < argc) {
        struct shown_text shown;
        fail_usage("unexpected argument '%s'", text_show(&shown, argv[optind + 1]));
        return false;
    }
    *target = (struct target){kind, argv[optind],
                              scope_of_name(argv[optind], global ? LEAT_GLOBAL : LEAT_LOCAL)};
    return true;
}

bool target_is_file(struct target *target, bool global) {
    if (global) {
        fail_usage("--file and --global exclude each other: a file's name is its path");
        return false;
    }
    *target = (struct target){"file", target->name, SCOPE_OF_FILES};
    return true;
}

bool parse_count(const char *text, uint64_t *count) {
    char *end;
    if (!isdigit((unsigned char)text[0])) /* strtoull would take "-1" and " 1" */
        return false;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || *end != 0)
        return false;
    *count = value;
    return true;
}

/* What the letters after a number multiply it with; 0 when they mean nothing. */
static uint64_t unit_of(const char *letters) {
    static const char prefixes[] = "KMGT";
    if (letters[0] == 0 || strcmp(letters, "B") == 0)
        return 1;
    const char *prefix = strchr(prefixes, toupper((unsigned char)letters[0]));
    if (prefix == NULL)
        return 0;
    bool binary =
        letters[1] == 0 || strcmp(letters + 1, "iB") == 0 || strcmp(letters + 1, "i") == 0;
    if (!binary && strcmp(letters + 1, "B") != 0)
        return 0;
    uint64_t unit = 1;
    for (const char *step = prefixes; step <= prefix; step++)
        unit *= binary ? 1024 : 1000;
    return unit;
}

bool parse_size(const char *text, uint64_t *bytes) {
    char *letters;
    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    unsigned long long value = strtoull(text, &letters, 10);
    uint64_t unit = unit_of(letters);
    if (errno != 0 || unit == 0 || value > UINT64_MAX / unit)
        return false;
    *bytes = value * unit;
    return true;
}

bool parse_seconds(const char *text, uint64_t *duration_ns) {
    char *end;
    if (strcmp(text, "forever") == 0) {
        *duration_ns = UINT64_MAX;
        return true;
    }
    if (!isdigit((unsigned char)text[0]) && text[0] != '.')
        return false;
    double seconds = strtod(text, &end);
    if (end == text || *end != 0 || !(seconds >= 0))
        return false;
    *duration_ns = seconds >= 1e9 ? UINT64_MAX : (uint64_t)(seconds * 1e9);
    return true;
}

static bool option_value(bool good, const char *option, const char *text, const char *wanted) {
    struct shown_text shown;
    if (!good)
        fail_usage("--%s: '%s' is not %s", option, text_show(&shown, text), wanted);
    return good;
}

bool size_option(const char *option, const char *text, uint64_t *bytes) {
    return option_value(parse_size(text, bytes), option, text,
                        "a number of bytes such as 65536, 64K or 64MiB");
}

bool seconds_option(const char *option, const char *text, uint64_t *duration_ns) {
    return option_value(parse_seconds(text, duration_ns), option, text,
                        "a number of seconds such as 10 or 0.5, or 'forever'");
}

bool count_option(const char *option, const char *text, uint64_t *count) {
    return option_value(parse_count(text, count), option, text, "a whole number");
}

bool permissions_option(const char *text, uint32_t *permissions) {
    uint32_t value = 0;
    size_t digits = 0;
    for (; text[digits] >= '0' && text[digits] <= '7' && digits < 5; digits++)
        value = value * 8 + (uint32_t)(text[digits] - '0');
    if (digits == 0 || text[digits] != 0 || value == 0 || value > 0777) {
        fail_usage("--permissions: wanted is an octal number from 001 to 777, such as 640");
        return false;
    }
    *permissions = value;
    return true;
}
