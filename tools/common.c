/* common.c - see common.h. */
#include "common.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
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

/* The library's details can start with the object's name, which stands in the message already. */
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

/* For events of the peer the library's details are those of an earlier failure. For an object that
 * does not exist, or does, the details would only repeat the message. */
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
    /* Copied first: the search in the other scope below may overwrite them. */
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
    va_start(arguments, format);
    begin_message(NULL);
    end_message(format, arguments);
    va_end(arguments);
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

struct target target_named(const char *kind, const char *name, bool global) {
    return (struct target){kind, name, scope_of_name(name, global ? LEAT_GLOBAL : LEAT_LOCAL)};
}

struct target target_of_file(const char *path) {
    return (struct target){"file", path, SCOPE_OF_FILES};
}
