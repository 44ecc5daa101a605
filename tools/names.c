/* names.c - see names.h. */
#include "names.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Unicode 15, table 3-7: the second bytes that are allowed after each first byte exclude overlong
 * forms, surrogates and code points beyond U+10FFFF. */
size_t utf8_length(const char *text) {
    const unsigned char *bytes = (const unsigned char *)text;
    unsigned char first = bytes[0], low = 0x80, high = 0xbf;
    size_t length;
    if (first == 0)
        return 0;
    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first <= 0xdf)
        length = 2;
    else if (first >= 0xe0 && first <= 0xef)
        length = 3;
    else if (first >= 0xf0 && first <= 0xf4)
        length = 4;
    else
        return 0;
    if (first == 0xe0)
        low = 0xa0;
    else if (first == 0xed)
        high = 0x9f;
    else if (first == 0xf0)
        low = 0x90;
    else if (first == 0xf4)
        high = 0x8f;
    if (bytes[1] < low || bytes[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if (bytes[i] < 0x80 || bytes[i] > 0xbf)
            return 0;
    return length;
}

bool utf8_valid(const char *text) {
    size_t length;
    while (*text != 0) {
        length = utf8_length(text);
        if (length == 0)
            return false;
        text += length;
    }
    return true;
}

static uint32_t code_point(const char *text, size_t length) {
    const unsigned char *bytes = (const unsigned char *)text;
    uint32_t point = length == 1 ? bytes[0] : bytes[0] & (0x7fU >> length);
    for (size_t i = 1; i < length; i++)
        point = point << 6 | (bytes[i] & 0x3f);
    return point;
}

/* Whether a terminal shows the character as itself: no controls (C0, DEL, C1), line or paragraph
 * separators, and no character that changes the direction of the text around it. */
static bool harmless(uint32_t point) {
    return point >= 0x20 && !(point >= 0x7f && point < 0xa0) && point != 0x061c &&
           point != 0xfeff && !(point >= 0x200b && point <= 0x200f) &&
           !(point >= 0x2028 && point <= 0x202e) && !(point >= 0x2060 && point <= 0x206f);
}

static const char *show(char *out, size_t size, const char *text) {
    size_t used = 0;
    while (*text != 0) {
        char piece[17];
        size_t length = utf8_length(text);
        if (*text == '\\')
            strcpy(piece, "\\\\");
        else if (length != 0 && harmless(code_point(text, length)))
            snprintf(piece, sizeof piece, "%.*s", (int)length, text);
        else {
            length = length == 0 ? 1 : length;
            for (size_t i = 0; i < length; i++)
                snprintf(piece + 4 * i, sizeof piece - 4 * i, "\\x%02x", (unsigned char)text[i]);
        }
        if (used + strlen(piece) + sizeof "..." > size) {
            strcpy(out + used, "...");
            return out;
        }
        strcpy(out + used, piece);
        used += strlen(piece);
        text += length;
    }
    out[used] = 0;
    return out;
}

const char *name_show(struct shown_name *shown, const char *name) {
    return show(shown->text, sizeof shown->text, name);
}

const char *text_show(struct shown_text *shown, const char *text) {
    return show(shown->text, sizeof shown->text, text);
}
