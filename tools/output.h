/* output.h - many small and large pieces to one descriptor with few system calls.
 *
 * Small pieces are collected in a buffer, large ones are written from where they lie: these must
 * stay valid until the next output_flush has succeeded. `added` and `written` count bytes since
 * output_open, so that the caller knows after a failure which pieces are out.
 */
#ifndef LEAT_TOOLS_OUTPUT_H
#define LEAT_TOOLS_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define OUTPUT_PARTS 256
#define OUTPUT_STAGING ((size_t)256 << 10)
#define OUTPUT_DIRECT ((size_t)2 << 10) /* from this size on a piece is not copied */

struct output {
    int descriptor;
    uint64_t added, written;
    size_t staged;  /* bytes in staging */
    size_t count;   /* of parts */
    bool open_tail; /* the last part is the end of staging and can grow */
    struct iovec parts[OUTPUT_PARTS];
    char staging[OUTPUT_STAGING];
};

void output_open(struct output *output, int descriptor);

/* 0, or the system's error number: EINTR when a signal asks the command to end, EPIPE when
 * the reader has gone. */
int output_add(struct output *output, const void *data, size_t size);
int output_flush(struct output *output);

#endif
