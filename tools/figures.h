/* figures.h - numbers for people (1.4 GiB, 12,345) and for programs (JSON), and the progress line.
 *
 * JSON guarantees: object names are given as text ("name": the name itself if it is UTF-8, else
 * escaped as in names.h) and exactly ("name_hex"); figures carry their units in their names; what
 * is not known is null.
 */
#ifndef LEAT_TOOLS_FIGURES_H
#define LEAT_TOOLS_FIGURES_H

#include <jansson.h>
#include <stdio.h>

#include "leat/leat.h"

struct figure {
    char text[32];
};

/* 1536 -> "1.5 KiB". */
const char *figure_bytes(struct figure *figure, uint64_t bytes);
/* 1500000 -> "1.5 MB", for rates. */
const char *figure_decimal(struct figure *figure, double value, const char *unit);
/* 12345 -> "12,345". */
const char *figure_count(struct figure *figure, uint64_t count);
/* 1500 -> "1.5 us". */
const char *figure_duration(struct figure *figure, uint64_t nanoseconds);

/* 0640 -> "rw-r-----"; the buffer takes 10 bytes. */
const char *figure_permissions(char text[10], uint32_t permissions);

/* The user's name, or the number when no user has it. */
const char *figure_user(struct figure *figure, uint32_t user);

const char *peer_name(leat_peer peer);

/* --- JSON ------------------------------------------------------------------------------------- */

/* jansson's integers are signed; no figure here comes near the difference. */
json_t *json_count(uint64_t count);
/* Adds "name" and "name_hex". */
void json_add_name(json_t *object, const char *name);
json_t *json_of_object(const leat_object_info *info);
json_t *json_of_channel(const leat_channel_info *info);
json_t *json_of_statistics(const leat_statistics *statistics);
json_t *json_of_sync(const leat_sync_info *info);
/* null for a type without a name: none is recorded. */
json_t *json_of_type(const leat_type *type);

/* Writes the value and a newline, and frees it. Lines: all in one line, as the last line on
 * standard error is. */
void json_write(json_t *value, FILE *stream, bool one_line);

/* --- Progress --------------------------------------------------------------------------------- */

/* A line on standard error that shows bytes, rate and (if there are any) messages four times a
 * second. Nothing when standard error is no terminal, or when the bytes themselves come from or go
 * to one (`data` is the descriptor they take). */
struct progress {
    bool shown;
    uint64_t start_ns, next_ns;
};

void progress_start(struct progress *progress, int data);
void progress_update(struct progress *progress, uint64_t bytes, uint64_t messages);
/* Removes the line, so that a message can stand there. */
void progress_clear(struct progress *progress);
/* Leaves the final figures. */
void progress_finish(struct progress *progress, uint64_t bytes, uint64_t messages);

#endif
