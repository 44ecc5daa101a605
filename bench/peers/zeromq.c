/* zeromq.c - ZeroMQ, PUSH to PULL over ipc://.
 *
 * As its manual and guide have it: one context in each process, made after the fork; one I/O
 * thread, enough for a gigabyte a second; PUSH and PULL for one direction; the high-water marks
 * left at 1000 messages on each side, as they count messages and not bytes and what is queued is
 * what it can batch. zmq_send and zmq_recv copy.
 *
 * The I/O thread inherits the one CPU of its process. */
#include "kernel.h"
#include "loops.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

struct zeromq_link {
    char *path;
    void *memory; /* shared: to meet */
    int flags;    /* of each call */
    void *context, *socket;
};

static void *zeromq_create(const struct setup *setup) {
    struct zeromq_link *link = calloc(1, sizeof *link);
    if (link == NULL || (link->path = private_path()) == NULL) {
        free(link);
        return NULL;
    }
    link->memory = setup->memory;
    link->flags = setup->transport->sleeps ? 0 : ZMQ_DONTWAIT;
    return link;
}

static void zeromq_destroy(void *handle) {
    struct zeromq_link *link = handle;
    private_path_free(link->path);
    free(link);
}

static int outcome(const char *call, int result) {
    if (result >= 0)
        return 0;
    if (zmq_errno() == EAGAIN || zmq_errno() == EINTR)
        return 1;
    fprintf(stderr, "\n%s: %s\n", call, zmq_strerror(zmq_errno()));
    return -1;
}

static int meet(struct zeromq_link *link, enum role role) {
    char url[64];
    snprintf(url, sizeof url, "ipc://%s", link->path);
    if (role == SENDER)
        return meeting_wait(link->memory) != 0
                   ? -1
                   : outcome("zmq_connect", zmq_connect(link->socket, url));
    if (outcome("zmq_bind", zmq_bind(link->socket, url)) != 0)
        return -1;
    meeting_announce(link->memory);
    return 0;
}

static int zeromq_open(void *handle, enum role role) {
    struct zeromq_link *link = handle;
    link->context = zmq_ctx_new();
    link->socket = link->context != NULL
                       ? zmq_socket(link->context, role == SENDER ? ZMQ_PUSH : ZMQ_PULL)
                       : NULL;
    return link->socket != NULL ? meet(link, role) : outcome("zmq_socket", -1);
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

static const struct calls calls = {zeromq_send, zeromq_receive};
DEFINE_LOOPS(zeromq, calls)

#define ZEROMQ                                                                                     \
    .threads = true, .create = zeromq_create, .open = zeromq_open, .close = zeromq_close,          \
    .destroy = zeromq_destroy, LOOPS(zeromq)

const struct transport transport_zeromq = {
    .name = "zeromq", .about = "ZeroMQ PUSH, PULL over ipc://, polled", ZEROMQ};
const struct transport transport_zeromq_wait = {
    .name = "zeromq_wait", .about = "the same, blocking", .sleeps = true, ZEROMQ};
