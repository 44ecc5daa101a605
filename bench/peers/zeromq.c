/* zeromq.c - ZeroMQ, PUSH to PULL over ipc://.
 *
 * As its manual and guide have it: one context in each process, made after the fork; one I/O
 * thread, enough for a gigabyte a second; PUSH and PULL for one direction; the high-water marks
 * left at 1000 messages on each side, as they count messages and not bytes and what is queued is
 * what it can batch. zmq_send and zmq_recv copy.
 *
 * The I/O thread inherits the one CPU of its process. */
#include "kernel.h"

#include <errno.h>
#include <stdio.h>
#include <zmq.h>

struct zeromq_link {
    struct ipc_link ipc;
    int flags; /* of each call */
    void *context, *socket;
};

static int outcome(const char *call, int result) {
    if (result >= 0)
        return 0;
    if (zmq_errno() == EAGAIN || zmq_errno() == EINTR)
        return 1;
    fprintf(stderr, "\n%s: %s\n", call, zmq_strerror(zmq_errno()));
    return -1;
}

static int listens(void *link, const char *url) {
    return outcome("zmq_bind", zmq_bind(((struct zeromq_link *)link)->socket, url));
}

static int dials(void *link, const char *url) {
    return outcome("zmq_connect", zmq_connect(((struct zeromq_link *)link)->socket, url));
}

static int zeromq_open(void *handle, enum role role) {
    struct zeromq_link *link = handle;
    link->flags = link->ipc.polled ? ZMQ_DONTWAIT : 0;
    link->context = zmq_ctx_new();
    link->socket = link->context != NULL
                       ? zmq_socket(link->context, role == SENDER ? ZMQ_PUSH : ZMQ_PULL)
                       : NULL;
    return link->socket != NULL ? ipc_meet(&link->ipc, role, listens, dials)
                                : outcome("zmq_socket", -1);
}

static void zeromq_close(void *handle, enum role role, struct counters *counters) {
    struct zeromq_link *link = handle;
    (void)role, (void)counters;
    zmq_close(link->socket);
    zmq_ctx_term(link->context);
}

static int zeromq_send(void *handle, const void *message, size_t size) {
    struct zeromq_link *link = handle;
    return outcome("zmq_send", zmq_send(link->socket, message, size, link->flags));
}

static int zeromq_receive(void *handle, void *buffer, size_t capacity, size_t *size) {
    struct zeromq_link *link = handle;
    int got = zmq_recv(link->socket, buffer, capacity, link->flags);
    *size = got > 0 ? (size_t)got : 0;
    return outcome("zmq_recv", got);
}

DEFINE_LOOPS(zeromq, zeromq_send, zeromq_receive)

#define ZEROMQ                                                                                     \
    .threads = true, .link_size = sizeof(struct zeromq_link), .create = ipc_create,                \
    .open = zeromq_open, .close = zeromq_close, .destroy = ipc_destroy, .loops = &zeromq_loops
TRANSPORT(zeromq, "ZeroMQ PUSH, PULL over ipc://, polled", ZEROMQ)
TRANSPORT(zeromq_wait, "the same, blocking", .sleeps = true, ZEROMQ)
