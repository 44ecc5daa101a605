/* unix_socket.c - Unix domain sockets that met under a name in the file system: stream and
 * seqpacket.
 *
 * unix(7): only the sender's buffer limits how much is under way, so SO_SNDBUF is set to the
 * capacity asked for and SO_RCVBUF left alone. The kernel doubles it and charges its own
 * bookkeeping to it, several hundred bytes for each message. */
#include "kernel.h"
#include "loops.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int bound_socket(int type, const struct sockaddr_un *name) {
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (bind(fd, (const struct sockaddr *)name, sizeof *name) == 0 && listen(fd, 1) == 0)
        return fd;
    close(fd);
    return -1;
}

static int connected_socket(int type, const struct sockaddr_un *name) {
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)name, sizeof *name) == 0)
        return fd;
    close(fd);
    return -1;
}

/* A connection waits in the listener's queue until it is accepted, so that one process can do
 * both. */
static int connect_at(int type, const struct sockaddr_un *name, int fd[2]) {
    int bound = bound_socket(type, name);
    if (bound < 0)
        return -1;
    fd[SENDER] = connected_socket(type, name);
    if (fd[SENDER] < 0) {
        close(bound);
        return -1;
    }
    fd[RECEIVER] = accept4(bound, NULL, NULL, SOCK_CLOEXEC);
    close(bound);
    if (fd[RECEIVER] < 0)
        close(fd[SENDER]);
    return fd[RECEIVER] < 0 ? -1 : 0;
}

int unix_connect(int type, size_t capacity, int fd[2]) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int size = (int)capacity;
    char *path = private_path();
    if (path == NULL)
        return -1;
    snprintf(name.sun_path, sizeof name.sun_path, "%s", path);
    int result = connect_at(type, &name, fd);
    if (result != 0)
        perror("Unix socket");
    else
        (void)setsockopt(fd[SENDER], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    private_path_free(path);
    return result;
}

static void *create(int type, const struct setup *setup) {
    int fd[2];
    if (size_longest(setup->size) > setup->capacity / 2) /* a packet must fit the buffer */
        return NULL;
    return unix_connect(type, setup->capacity, fd) == 0 ? fd_link_new(fd, setup) : NULL;
}

static void *stream_create(const struct setup *setup) {
    return create(SOCK_STREAM, setup);
}
static void *seqpacket_create(const struct setup *setup) {
    return create(SOCK_SEQPACKET, setup);
}

static const struct calls stream_calls = {stream_send, stream_receive};
static const struct calls packet_calls = {packet_send, packet_receive};
DEFINE_LOOPS(stream, stream_calls)
DEFINE_LOOPS(packet, packet_calls)

#define STREAM .create = stream_create, .open = fd_link_open, .destroy = fd_link_free, LOOPS(stream)
#define SEQPACKET                                                                                  \
    .create = seqpacket_create, .open = fd_link_open, .destroy = fd_link_free, LOOPS(packet)

const struct transport transport_unix_stream = {
    .name = "unix_stream", .about = "a Unix stream socket, polled", STREAM};
const struct transport transport_unix_stream_wait = {
    .name = "unix_stream_wait", .about = "the same, blocking", .sleeps = true, STREAM};
const struct transport transport_unix_seqpacket = {
    .name = "unix_seqpacket", .about = "a Unix seqpacket socket, polled", SEQPACKET};
const struct transport transport_unix_seqpacket_wait = {
    .name = "unix_seqpacket_wait", .about = "the same, blocking", .sleeps = true, SEQPACKET};
