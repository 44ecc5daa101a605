/* lib/region/region_type.c - the type recorded with a region (leat/region.h): a note beside the
 * bytes, "leat1 VERSION SIZE NAME", in the file's extended attribute user.leat.type. Why there:
 * docs/decisions/0009-typed-regions.md.
 *
 * The note is written before the file has a name, and never changed. A user that may write to the
 * file may change it too: it protects from mistakes, not from attacks. What is read is checked like
 * any untrusted bytes.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/region/region.h"

#define NOTE_SIZE (sizeof "leat1 4294967295 18446744073709551615 " + LEAT_TYPE_NAME_MAX)

struct recorded {
    char name[LEAT_TYPE_NAME_MAX + 1];
    uint64_t size;
    uint32_t version;
};

int leat__type_check(const leat_type *type) {
    size_t length = type->name == NULL ? 0 : strlen(type->name);
    if (length == 0 || length > LEAT_TYPE_NAME_MAX)
        return leat__fail(LEAT_EINVAL, 0, "the name of a type has 1 to %d bytes, this one %zu",
                          LEAT_TYPE_NAME_MAX, length);
    for (const char *byte = type->name; *byte != 0; byte++)
        if ((unsigned char)*byte < 0x20 || *byte == 0x7f)
            return leat__fail(LEAT_EINVAL, 0, "the name of a type holds a control character");
    return LEAT_OK;
}

static void write_text(char note[NOTE_SIZE], const leat_type *type) {
    snprintf(note, NOTE_SIZE, "leat1 %" PRIu32 " %" PRIu64 " %s", type->version, type->size,
             type->name);
}

int leat__type_record(leat__file file, const void *type) {
    char note[NOTE_SIZE];
    write_text(note, type);
    return leat__os_file_note_write(file, note);
}

/* LEAT_ENOENT, which is not recorded, when there is none. */
static int read_note(leat__file file, struct recorded *recorded) {
    char note[NOTE_SIZE];
    int read = 0;
    int result = leat__os_file_note_read(file, note, sizeof note);
    if (result != LEAT_OK)
        return result;
    int found = sscanf(note, "leat1 %10" SCNu32 " %20" SCNu64 "%n", &recorded->version,
                       &recorded->size, &read);
    /* one blank; further blanks belong to the name */
    bool separated = found == 2 && note[read] == ' ';
    snprintf(recorded->name, sizeof recorded->name, "%s", separated ? note + read + 1 : "");
    leat_type type = {recorded->name, recorded->size, recorded->version};
    char again[NOTE_SIZE];
    /* overflow, signs and blanks make the text differ from what leat writes */
    write_text(again, &type);
    if (!separated || strcmp(note, again) != 0 || leat__type_check(&type) != LEAT_OK)
        return leat__fail(LEAT_ECORRUPT, 0,
                          "the type recorded with it is in no form that this library knows");
    return LEAT_OK;
}

int leat__type_compare(leat__file file, const leat_type *wanted) {
    struct recorded there;
    int result = read_note(file, &there);
    if (result == LEAT_ENOENT)
        return leat__fail(LEAT_ETYPE, 0,
                          "no type is recorded with it, '%s' version %" PRIu32 " of %" PRIu64
                          " bytes wanted",
                          wanted->name, wanted->version, wanted->size);
    if (result != LEAT_OK)
        return result;
    if (strcmp(there.name, wanted->name) != 0 || there.size != wanted->size ||
        there.version != wanted->version)
        return leat__fail(LEAT_ETYPE, 0,
                          "it holds '%s' version %" PRIu32 " of %" PRIu64
                          " bytes, '%s' version %" PRIu32 " of %" PRIu64 " bytes wanted",
                          there.name, there.version, there.size, wanted->name, wanted->version,
                          wanted->size);
    return LEAT_OK;
}

/* A file without a note, or on a file system without notes, has no type. */
int leat__type_read(leat__file file, leat_type *type) {
    static _Thread_local struct recorded there;
    int result = read_note(file, &there);
    if (result == LEAT_OK)
        *type = (leat_type){there.name, there.size, there.version};
    else if (result == LEAT_ENOENT || result == LEAT_ENOTSUP)
        *type = (leat_type){NULL, 0, 0};
    else
        return result;
    return LEAT_OK;
}
