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
#include "loops.h"

#include <dlfcn.h>
#include <nng/nng.h>
#include <stdio.h>
#include <stdlib.h>

#define BUFFER_MAX 8192u

struct nng_link {
    char *path;
    void *memory; /* shared: to meet */
    int flags;    /* of each call */
    int buffer;   /* messages */
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

static struct {
    void *handle;
    unsigned users;
#define DECLARE(type, name, arguments) type(*name) arguments;
    NNG_FUNCTIONS(DECLARE)
} library;

static int library_load(void) {
    if (library.users++ != 0)
        return 0;
    library.handle = dlopen(BENCH_NNG_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    bool complete = library.handle != NULL;
#define FIND(type, name, arguments)                                                                \
    complete = complete && (*(void **)&library.name = dlsym(library.handle, "nng_" #name)) != NULL;
    NNG_FUNCTIONS(FIND)
    if (!complete)
        fprintf(stderr, "\n%s\n", dlerror());
    return complete ? 0 : -1;
}

static void library_unload(void) {
    if (--library.users != 0)
        return;
    library.fini();
    dlclose(library.handle);
    if (dlopen(BENCH_NNG_LIBRARY, RTLD_NOW | RTLD_NOLOAD) != NULL)
        fprintf(stderr, "\n" BENCH_NNG_LIBRARY " stays loaded: the next fork will fail\n");
}

static void *nng_create(const struct setup *setup) {
    size_t messages = setup->capacity / size_mean(setup->size);
    struct nng_link *link = calloc(1, sizeof *link);
    if (link == NULL || (link->path = private_path()) == NULL) {
        free(link);
        return NULL;
    }
    link->memory = setup->memory;
    link->flags = setup->transport->sleeps ? 0 : NNG_FLAG_NONBLOCK;
    link->buffer = messages < 1 ? 1 : messages < BUFFER_MAX ? (int)messages : (int)BUFFER_MAX;
    return link;
}

static void nng_destroy(void *handle) {
    struct nng_link *link = handle;
    private_path_free(link->path);
    free(link);
}

static int outcome(const char *call, int result) {
    if (result == 0)
        return 0;
    if (result == NNG_EAGAIN || result == NNG_EINTR)
        return 1;
    fprintf(stderr, "\n%s: %s\n", call, library.strerror(result));
    return -1;
}

/* Dialing waits until the connection is there. */
static int meet(struct nng_link *link, enum role role) {
    char url[64];
    snprintf(url, sizeof url, "ipc://%s", link->path);
    if (role == SENDER)
        return meeting_wait(link->memory) != 0
                   ? -1
                   : outcome("nng_dial", library.dial(link->socket, url, NULL, 0));
    if (outcome("nng_listen", library.listen(link->socket, url, NULL, 0)) != 0)
        return -1;
    meeting_announce(link->memory);
    return 0;
}

static int nng_open(void *handle, enum role role) {
    struct nng_link *link = handle;
    const char *option = role == SENDER ? NNG_OPT_SENDBUF : NNG_OPT_RECVBUF;
    if (library_load() != 0 || outcome("nng_pair0_open", library.pair0_open(&link->socket)) != 0 ||
        outcome(option, library.socket_set_int(link->socket, option, link->buffer)) != 0)
        return -1;
    return meet(link, role);
}

static void nng_close_link(void *handle, enum role role, struct counters *counters) {
    struct nng_link *link = handle;
    (void)role, (void)counters;
    library.close(link->socket);
    library_unload();
}

static int message_send(void *handle, const void *message, size_t size) {
    struct nng_link *link = handle;
    /* Without NNG_FLAG_ALLOC it only reads the message, though it does not say so. */
    return outcome("nng_send",
                   library.send(link->socket, (void *)(uintptr_t)message, size, link->flags));
}

static int message_receive(void *handle, void *buffer, size_t capacity, size_t *size) {
    struct nng_link *link = handle;
    *size = capacity;
    return outcome("nng_recv", library.recv(link->socket, buffer, size, link->flags));
}

static const struct calls calls = {message_send, message_receive};
DEFINE_LOOPS(nng, calls)

#define NNG                                                                                        \
    .threads = true, .create = nng_create, .open = nng_open, .close = nng_close_link,              \
    .destroy = nng_destroy, LOOPS(nng)

const struct transport transport_nng = {
    .name = "nng", .about = "nng pair0 over ipc://, polled", NNG};
const struct transport transport_nng_wait = {
    .name = "nng_wait", .about = "the same, blocking", .sleeps = true, NNG};
