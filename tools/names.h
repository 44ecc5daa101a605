/* names.h - names of objects, which may hold any byte, for people and for JSON.
 *
 * Guarantees: what comes out is valid UTF-8, holds no control character and nothing that changes
 * the direction of text, and keeps different names different. A backslash, and every byte of what
 * is not shown as it is, is written as the shell's $'...' takes it: \\ and \x0a.
 */
#ifndef LEAT_TOOLS_NAMES_H
#define LEAT_TOOLS_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "leat/base.h"

struct shown_name {
    char text[4 * LEAT_NAME_MAX + 8]; /* longer ones, which no object can have, end in "..." */
};

struct shown_text {
    char text[2048];
};

/* Escapes into the buffer and gives it back. */
const char *name_show(struct shown_name *shown, const char *name);
const char *text_show(struct shown_text *shown, const char *text);

/* Bytes of the well-formed UTF-8 character at the start of text; 0 when there is none. */
size_t utf8_length(const char *text);
bool utf8_valid(const char *text);

#endif
