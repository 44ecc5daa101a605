/* framing.c - see framing.h. */
#include "framing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The size of one read. Measured from 32 to 256 KiB with channels of 64 KiB to 4 MiB: no
 * difference, but a single read much larger than the ring makes sender and receiver alternate. */
#define READ_BYTES ((size_t)64 << 10)

bool framing_open(struct framing *framing, enum framing_mode mode, size_t frame_size,
                  size_t max_message) {
    *framing = (struct framing){
        .mode = mode, .frame_size = frame_size, .max_message = max_message, .size = READ_BYTES};
    if (mode == FRAMING_CHUNKS)
        framing->frame_size = max_message < READ_BYTES ? max_message : READ_BYTES;
    else if (mode == FRAMING_FRAMES && frame_size > READ_BYTES)
        framing->size = frame_size;
    framing->buffer = malloc(framing->size);
    return framing->buffer != NULL;
}

void framing_close(struct framing *framing) {
    free(framing->buffer);
    framing->buffer = NULL;
}

/* Makes room behind the buffered bytes: moves the incomplete message to the front, or, for lines
 * that fill the buffer, allocates a larger one. */
static bool make_room(struct framing *framing) {
    if (framing->start > 0) {
        memmove(framing->buffer, framing->buffer + framing->start, framing->end - framing->start);
        framing->end -= framing->start;
        framing->scanned -= framing->scanned < framing->start ? framing->scanned : framing->start;
        framing->start = 0;
    }
    if (framing->end < framing->size)
        return true;
    char *larger = realloc(framing->buffer, 2 * framing->size);
    if (larger == NULL)
        return false;
    framing->buffer = larger;
    framing->size *= 2;
    return true;
}

int framing_fill(struct framing *framing, int descriptor) {
    if (!make_room(framing))
        return ENOMEM;
    ssize_t got = read(descriptor, framing->buffer + framing->end, framing->size - framing->end);
    if (got < 0)
        return errno;
    framing->input_ended = got == 0;
    framing->end += (size_t)got;
    return 0;
}

/* Length of the message at start, 0 when it is not complete. */
static size_t next_line(struct framing *framing) {
    if (framing->scanned < framing->start)
        framing->scanned = framing->start;
    const char *from = framing->buffer + framing->scanned;
    const char *newline = memchr(from, '\n', framing->end - framing->scanned);
    if (newline != NULL)
        framing->scanned = (size_t)(newline - framing->buffer) + 1;
    else
        framing->scanned = framing->end;
    size_t length = framing->scanned - framing->start;
    framing->too_long = length > framing->max_message;
    return framing->too_long || (newline == NULL && !framing->input_ended) ? 0 : length;
}

static size_t next_length(struct framing *framing) {
    size_t rest = framing->end - framing->start;
    switch (framing->mode) {
    case FRAMING_FRAMES:
        return rest >= framing->frame_size ? framing->frame_size : framing->input_ended ? rest : 0;
    case FRAMING_LINES:
        return rest == 0 ? 0 : next_line(framing);
    case FRAMING_CHUNKS:
        break;
    }
    return rest < framing->frame_size ? rest : framing->frame_size;
}

size_t framing_cut(struct framing *framing, leat_message *messages, size_t max) {
    size_t count = 0, length;
    while (count < max && (length = next_length(framing)) > 0) {
        messages[count++] = (leat_message){framing->buffer + framing->start, length};
        framing->start += length;
    }
    return count;
}
