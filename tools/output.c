/* output.c - see output.h. */
#include "output.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "signals.h"

void output_open(struct output *output, int descriptor) {
    output->descriptor = descriptor;
    output->added = output->written = 0;
    output->staged = output->count = 0;
    output->open_tail = false;
}

/* Takes the written bytes off the front of the parts; returns how many parts are done. */
static size_t advance(struct output *output, size_t first, size_t written) {
    output->written += written;
    while (first < output->count && written >= output->parts[first].iov_len)
        written -= output->parts[first++].iov_len;
    if (first < output->count) {
        output->parts[first].iov_base = (char *)output->parts[first].iov_base + written;
        output->parts[first].iov_len -= written;
    }
    return first;
}

int output_flush(struct output *output) {
    size_t first = 0;
    while (first < output->count) {
        ssize_t written =
            writev(output->descriptor, output->parts + first, (int)(output->count - first));
        if (written >= 0)
            first = advance(output, first, (size_t)written);
        else if (errno == EAGAIN) /* another program has made the terminal or pipe non-blocking */
            poll(&(struct pollfd){output->descriptor, POLLOUT, 0}, 1, -1);
        else if (errno != EINTR)
            return errno;
        if (first < output->count && signals_seen() != 0)
            return EINTR;
    }
    output->count = output->staged = 0;
    output->open_tail = false;
    return 0;
}

static void add_part(struct output *output, const void *data, size_t size) {
    /* iovec serves reading and writing and so has no const; writev only reads. */
    union {
        const void *read;
        void *both;
    } address = {.read = data};
    output->parts[output->count++] = (struct iovec){address.both, size};
}

int output_add(struct output *output, const void *data, size_t size) {
    bool direct = size >= OUTPUT_DIRECT;
    if (size == 0)
        return 0;
    if (output->count == OUTPUT_PARTS || (!direct && output->staged + size > OUTPUT_STAGING)) {
        int error = output_flush(output);
        if (error != 0)
            return error;
    }
    output->added += size;
    if (direct) {
        add_part(output, data, size);
        output->open_tail = false;
        return 0;
    }
    char *to = output->staging + output->staged;
    memcpy(to, data, size);
    output->staged += size;
    if (output->open_tail)
        output->parts[output->count - 1].iov_len += size;
    else
        add_part(output, to, size);
    output->open_tail = true;
    return 0;
}
