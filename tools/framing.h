/* framing.h - cuts a stream of bytes into messages.
 *
 * Guarantees: the messages one after another are exactly the bytes read, whatever the mode and
 * however the reads fall; a message is handed out as soon as it is complete; none is longer than
 * max_message.
 *
 *     while (framing_fill(&framing, STDIN_FILENO) ...)
 *         while ((count = framing_cut(&framing, messages, max)) > 0)
 *             send them; they are valid until the next fill
 */
#ifndef LEAT_TOOLS_FRAMING_H
#define LEAT_TOOLS_FRAMING_H

#include "leat/leat.h"

enum framing_mode {
    FRAMING_CHUNKS, /* what each read gave, at most 64 KiB; frame_size means nothing */
    FRAMING_FRAMES, /* frame_size bytes; the last may be shorter */
    FRAMING_LINES,  /* a line with its newline; the last may lack it */
};

struct framing {
    enum framing_mode mode;
    size_t frame_size;
    size_t max_message;
    char *buffer;
    size_t size;    /* of the buffer */
    size_t start;   /* first byte that was not handed out */
    size_t end;     /* first byte that was not read */
    size_t scanned; /* lines: no newline lies in [start, scanned) */
    bool input_ended;
    bool too_long; /* lines: the line at start is longer than max_message */
};

/* False when memory is short. */
bool framing_open(struct framing *framing, enum framing_mode mode, size_t frame_size,
                  size_t max_message);
void framing_close(struct framing *framing);

/* Reads once, up to what fits. 0, or the system's error number (EINTR after a signal, ENOMEM). */
int framing_fill(struct framing *framing, int descriptor);

/* Hands out up to max complete messages. 0: more must be read first, or too_long, or the end. */
size_t framing_cut(struct framing *framing, leat_message *messages, size_t max);

#endif
