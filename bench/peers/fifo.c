/* fifo.c - a named FIFO, and a pipe that blocks. They are one object to the kernel; the names show
 * whether that holds.
 *
 * pipe(7) says that writes up to PIPE_BUF are not mixed with others', which matters to many senders
 * only, and has one knob, F_SETPIPE_SZ: it gets the capacity asked for, as far as the system lets
 * us. */
#include "kernel.h"
#include "loops.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* The reader first and without waiting, as either end's open waits for the other. */
static int open_fifo(const char *path, int fd[2]) {
    if (mkfifo(path, 0600) != 0)
        return -1;
    fd[RECEIVER] = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd[RECEIVER] < 0)
        return -1;
    fd[SENDER] = open(path, O_WRONLY | O_CLOEXEC);
    if (fd[SENDER] >= 0)
        return 0;
    close(fd[RECEIVER]);
    return -1;
}

static void *link_of(const int fd[2], const struct setup *setup) {
    (void)fcntl(fd[SENDER], F_SETPIPE_SZ, (int)setup->capacity);
    return fd_link_new(fd, setup);
}

static void *fifo_create(const struct setup *setup) {
    int fd[2];
    char *path = private_path();
    if (path == NULL)
        return NULL;
    int result = open_fifo(path, fd);
    if (result != 0)
        perror("FIFO");
    private_path_free(path); /* both ends are open: the name has served */
    return result == 0 ? link_of(fd, setup) : NULL;
}

static void *pipe_create(const struct setup *setup) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        perror("pipe2");
        return NULL;
    }
    return link_of((const int[2]){[SENDER] = ends[1], [RECEIVER] = ends[0]}, setup);
}

static const struct calls calls = {stream_send, stream_receive, NULL};
DEFINE_LOOPS(stream, calls)

#define STREAM .open = fd_link_open, .destroy = fd_link_free, LOOPS(stream)

const struct transport transport_fifo = {
    .name = "fifo", .about = "a named FIFO, polled", .create = fifo_create, STREAM};
const struct transport transport_fifo_wait = {.name = "fifo_wait",
                                              .about = "the same, blocking",
                                              .sleeps = true,
                                              .create = fifo_create,
                                              STREAM};
const struct transport transport_pipe_wait = {.name = "pipe_wait",
                                              .about = "a pipe, blocking",
                                              .sleeps = true,
                                              .create = pipe_create,
                                              STREAM};
