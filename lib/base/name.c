/* lib/base/name.c - see lib/base/name.h. */
#include "lib/base/name.h"

#include <string.h>

#include "lib/base/fail.h"

/* The length of "%", any number of "25", and the tail, at the start of the text; 0 when it does not
 * start so. */
static size_t escape_length(const char *text, const char *tail) {
    size_t length = 1;
    if (text[0] != '%')
        return 0;
    while (strncmp(text + length, "25", 2) == 0)
        length += 2;
    return strncmp(text + length, tail, strlen(tail)) == 0 ? length + strlen(tail) : 0;
}

/* "." and ".." mean something else to the system, but only as the whole of a file name. */
static bool is_escaped_dots(const char *text) {
    return text[0] == '%' &&
           (text[escape_length(text, "2E")] == 0 || text[escape_length(text, "2E%2E")] == 0);
}

static int append(char file_name[LEAT__FILE_NAME_SIZE], size_t *length, const char *bytes,
                  size_t count) {
    if (*length + count > LEAT_NAME_MAX)
        return leat__fail(LEAT_ENAME, 0, "longer than %d bytes after encoding", LEAT_NAME_MAX);
    memcpy(file_name + *length, bytes, count);
    *length += count;
    file_name[*length] = 0;
    return LEAT_OK;
}

int leat__name_encode(const char *name, char file_name[LEAT__FILE_NAME_SIZE]) {
    size_t length = 0;
    if (name == NULL || name[0] == 0)
        return leat__fail(LEAT_ENAME, 0, "the name is empty");
    if (strcmp(name, ".") == 0)
        return append(file_name, &length, "%2E", 3);
    if (strcmp(name, "..") == 0)
        return append(file_name, &length, "%2E%2E", 6);
    int result = LEAT_OK;
    bool dots = is_escaped_dots(name);
    for (const char *from = name; *from != 0 && result == LEAT_OK; from++) {
        if (*from == '/')
            result = append(file_name, &length, "%2F", 3);
        else if (escape_length(from, "2F") > 0 || (dots && from == name))
            result = append(file_name, &length, "%25", 3);
        else
            result = append(file_name, &length, from, 1);
    }
    return result;
}

int leat__name_decode(const char *file_name, char name[LEAT__FILE_NAME_SIZE]) {
    size_t length = 0;
    if (strlen(file_name) > LEAT_NAME_MAX || file_name[0] == 0)
        return leat__fail(LEAT_ENAME, 0, "not a file name");
    if (strcmp(file_name, "%2E") == 0 || strcmp(file_name, "%2E%2E") == 0) {
        strcpy(name, strlen(file_name) == 3 ? "." : "..");
        return LEAT_OK;
    }
    bool dots = is_escaped_dots(file_name);
    for (const char *from = file_name; *from != 0; from++) {
        bool slash = strncmp(from, "%2F", 3) == 0;
        bool shorten = !slash && (escape_length(from, "2F") > 0 || (dots && from == file_name));
        name[length++] = slash ? '/' : *from;
        from += slash || shorten ? 2 : 0;
    }
    name[length] = 0;
    return LEAT_OK;
}

const char *leat__name_scope(const char *name, leat_scope *scope) {
    static const char local[] = "Local\\", global[] = "Global\\";
    if (name == NULL)
        return name;
    if (strncmp(name, local, sizeof local - 1) == 0) {
        *scope = LEAT_LOCAL;
        return name + sizeof local - 1;
    }
    if (strncmp(name, global, sizeof global - 1) == 0) {
        *scope = LEAT_GLOBAL;
        return name + sizeof global - 1;
    }
    return name;
}
