/* lib/base/error.c - the texts of the error codes, and what is known about each thread's last
 * failure (lib/base/fail.h). */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/fail.h"

static _Thread_local struct leat__failure last;

struct text {
    const char *name, *cause, *remedy;
};

static struct text text_of(int code) {
    switch (code) {
    case LEAT_OK:
        return (struct text){"LEAT_OK", "no error", ""};
#define LEAT_ERROR_TEXT(symbol, number, because, help)                                             \
    case symbol:                                                                                   \
        return (struct text){#symbol, because, help};
        LEAT_ERRORS(LEAT_ERROR_TEXT)
#undef LEAT_ERROR_TEXT
    default:
        return (struct text){"LEAT_E?", "unknown error code", ""};
    }
}

const char *leat_error_name(int code) {
    return text_of(code).name;
}

const char *leat_error_cause(int code) {
    return text_of(code).cause;
}

const char *leat_error_remedy(int code) {
    return text_of(code).remedy;
}

int leat_error_last(void) {
    return last.code;
}

int leat_system_error(void) {
    return last.system_error;
}

const char *leat_error_detail(void) {
    return last.detail;
}

static void record(int code, int system_error, const char *format, va_list arguments) {
    last.code = code;
    last.system_error = system_error;
    vsnprintf(last.detail, sizeof last.detail, format, arguments);
}

int leat__fail(int code, int system_error, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    record(code, system_error, format, arguments);
    va_end(arguments);
    return code;
}

static void copy(struct leat__failure *to, const struct leat__failure *from) {
    to->code = from->code;
    to->system_error = from->system_error;
    strcpy(to->detail, from->detail);
}

void leat__failure_keep(struct leat__failure *kept) {
    copy(kept, &last);
}

void leat__failure_restore(const struct leat__failure *kept) {
    copy(&last, kept);
}

static int code_of(int system_error) {
    switch (system_error) {
    case ENOENT:
        return LEAT_ENOENT;
    case EEXIST:
        return LEAT_EEXIST;
    case EACCES:
    case EPERM:
    case EROFS:
        return LEAT_EACCES;
    case ELOOP:
    case ENOTDIR:
    case EISDIR:
    case ENXIO: /* a FIFO or socket where a file should be */
    case ENODEV:
        return LEAT_EUNTRUSTED;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return LEAT_ENOSPC;
    case ENOMEM:
        return LEAT_ENOMEM;
    case EMFILE:
    case ENFILE:
    case ENOLCK:
        return LEAT_ELIMIT;
    case ENAMETOOLONG:
        return LEAT_ENAME;
    case ENOSYS:
    case EOPNOTSUPP:
        return LEAT_ENOTSUP;
    default:
        return LEAT_ESYSTEM;
    }
}

int leat__fail_system(int system_error, const char *format, ...) {
    va_list arguments;
    int code = code_of(system_error);
    va_start(arguments, format);
    record(code, system_error, format, arguments);
    va_end(arguments);
    return code;
}

/* Appends the name to text at *length, control bytes as \xHH, as far as it fits. */
static void append_name(char *text, size_t size, size_t *length, const char *name) {
    for (const unsigned char *byte = (const unsigned char *)name; *byte != 0 && *length + 5 < size;
         byte++) {
        if (*byte < 0x20 || *byte == 0x7f)
            *length += (size_t)snprintf(text + *length, size - *length, "\\x%02X", *byte);
        else
            text[(*length)++] = (char)*byte;
    }
    text[*length] = 0;
}

int leat__fail_about(int code, const char *kind, const char *name) {
    char text[LEAT__DETAIL_SIZE];
    size_t length = (size_t)snprintf(text, sizeof text, "%s '", kind);
    append_name(text, sizeof text / 2, &length, name == NULL ? "" : name);
    snprintf(text + length, sizeof text - length, "'%s%.200s", last.detail[0] == 0 ? "" : ": ",
             last.detail);
    memcpy(last.detail, text, sizeof last.detail);
    last.code = code;
    return code;
}
