/* transport_pipe.c - a pipe that is polled: neither side ever sleeps, like the other transports. */
#include "loops.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct pipe_link {
    int read_fd, write_fd;
    size_t size; /* 0: packets */
};

static void *pipe_create(const struct setup *setup) {
    if (size_longest(setup->size) > PIPE_BUF) /* larger writes can be partial */
        return NULL;
    struct pipe_link *link = malloc(sizeof *link);
    int fd[2];
    bool packets = size_varies(setup->size);
    if (link == NULL || pipe2(fd, O_NONBLOCK | (packets ? O_DIRECT : 0)) != 0) {
        perror("pipe2");
        free(link);
        return NULL;
    }
    (void)fcntl(fd[1], F_SETPIPE_SZ, (int)setup->capacity); /* as far as the system lets us */
    *link = (struct pipe_link){fd[0], fd[1], packets ? 0 : setup->size};
    return link;
}

static void pipe_destroy(void *handle) {
    struct pipe_link *link = handle;
    close(link->read_fd);
    close(link->write_fd);
    free(link);
}

static int pipe_send(void *handle, const void *message, size_t size) {
    struct pipe_link *link = handle;
    return write(link->write_fd, message, size) == (ssize_t)size ? 0 : 1;
}

static int pipe_receive(void *handle, void *buffer, size_t capacity, size_t *size) {
    struct pipe_link *link = handle;
    size_t want = link->size ? link->size : capacity, done = 0;
    do {
        ssize_t got = read(link->read_fd, (char *)buffer + done, want - done);
        if (got > 0)
            done += (size_t)got;
        else if (done == 0)
            return 1;
    } while (link->size && done < want);
    *size = done;
    return 0;
}

static const struct calls pipe_calls = {pipe_send, pipe_receive};
DEFINE_LOOPS(pipe, pipe_calls)

const struct transport transport_pipe = {.name = "pipe",
                                         .about = "a pipe, polled",
                                         .create = pipe_create,
                                         .destroy = pipe_destroy,
                                         LOOPS(pipe)};
