/* nng.c - nng, pair0 over ipc://.
 *
 * pair0 is its pattern for exactly two. By its manual, a socket's buffers count messages, 8192 at
 * most: those of sender and receiver get as many as the capacity holds. nng_send and nng_recv
 * without NNG_FLAG_ALLOC copy.
 *
 * A process that has used nng once cannot fork: the child would panic, as nng says of itself. The
 * harness forks again and again, so the library is loaded when a link is opened and unloaded, with
 * all that it remembers, when the last is closed. Its threads inherit the one CPU of their
 * process. */
#include "kernel.h"

#include <nng/nng.h>
#include <stdio.h>

#define BUFFER_MAX 8192

struct nng_link {
    struct ipc_link ipc;
    int flags; /* of each call */
    nng_socket socket;
};

/* What is used of the library while it is loaded. */
#define NNG_FUNCTIONS(X)                                                                           \
    X(int, pair0_open, (nng_socket *))                                                             \
    X(int, socket_set_int, (nng_socket, const char *, int))                                        \
    X(int, listen, (nng_socket, const char *, nng_listener *, int))                                \
    X(int, dial, (nng_socket, const char *, nng_dialer *, int))                                    \
    X(int, send, (nng_socket, void *, size_t, int))                                                \
    X(int, recv, (nng_socket, void *, size_t *, int))                                              \
    X(int, close, (nng_socket))                                                                    \
    X(void, fini, (void))                                                                          \
    X(const char *, strerror, (int))

#define DECLARE(type, name, arguments) type(*name) arguments;
#define NAME(type, name, arguments) "nng_" #name,
static struct { NNG_FUNCTIONS(DECLARE) } nng;
static const char *const names[] = {NNG_FUNCTIONS(NAME) NULL};
static struct library library = {BENCH_LIBRARY, names, (void **)(void *)&nng, NULL, 0};

static int outcome(const char *call, int result) {
    if (result == 0)
        return 0;
    if (result == NNG_EAGAIN || result == NNG_EINTR)
        return 1;
    fprintf(stderr, "\n%s: %s\n", call, nng.strerror(result));
    return -1;
}

static int listens(void *link, const char *url) {
    return outcome("nng_listen", nng.listen(((struct nng_link *)link)->socket, url, NULL, 0));
}

/* Waits until the connection is there. */
static int dials(void *link, const char *url) {
    return outcome("nng_dial", nng.dial(((struct nng_link *)link)->socket, url, NULL, 0));
}

static int nng_open(void *handle, enum role role) {
    struct nng_link *link = handle;
    link->flags = link->ipc.polled ? NNG_FLAG_NONBLOCK : 0;
    const char *option = role == SENDER ? NNG_OPT_SENDBUF : NNG_OPT_RECVBUF;
    int messages = link->ipc.messages < BUFFER_MAX ? link->ipc.messages : BUFFER_MAX;
    if (library_load(&library) < 0 ||
        outcome("nng_pair0_open", nng.pair0_open(&link->socket)) != 0 ||
        outcome(option, nng.socket_set_int(link->socket, option, messages)) != 0)
        return -1;
    return ipc_meet(&link->ipc, role, listens, dials);
}

static void nng_close_link(void *handle, enum role role, struct counters *counters) {
    struct nng_link *link = handle;
    (void)role, (void)counters;
    nng.close(link->socket);
    library_unload(&library, nng.fini);
}

static int message_send(void *handle, const void *message, size_t size) {
    struct nng_link *link = handle;
    /* Without NNG_FLAG_ALLOC it only reads the message, though it does not say so. */
    return outcome("nng_send",
                   nng.send(link->socket, (void *)(uintptr_t)message, size, link->flags));
}

static int message_receive(void *handle, void *buffer, size_t capacity, size_t *size) {
    struct nng_link *link = handle;
    *size = capacity;
    return outcome("nng_recv", nng.recv(link->socket, buffer, size, link->flags));
}

DEFINE_LOOPS(nng, message_send, message_receive)

#define NNG                                                                                        \
    .threads = true, .link_size = sizeof(struct nng_link), .create = ipc_create, .open = nng_open, \
    .close = nng_close_link, .destroy = ipc_destroy, .loops = &nng_loops
TRANSPORT(nng, "nng pair0 over ipc://, polled", NNG)
TRANSPORT(nng_wait, "the same, blocking", .sleeps = true, NNG)
