/* kernel.c - see kernel.h; and the transports that are nothing but file descriptors: pipes and Unix
 * sockets.
 *
 * unix(7): only the sender's buffer limits how much is under way, so SO_SNDBUF is set to the
 * capacity asked for and SO_RCVBUF left alone. The kernel doubles it and charges its own
 * bookkeeping to it, several hundred bytes for each message. */
#include "kernel.h"

#include <dlfcn.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

int try_again_or_fail(const char *call) {
    if (errno == EAGAIN || errno == EINTR)
        return 1;
    fprintf(stderr, "\n%s: %s\n", call, strerror(errno));
    return -1;
}

/* --- A name to meet at ------------------------------------------------------------------------ */

#define DIRECTORY "/tmp/leat_bench-XXXXXX" /* short: a socket's name has 107 bytes */
#define PEER "/peer"
#define MEETING_MS 5000u

char *private_path(void) {
    char directory[] = DIRECTORY;
    char *path = malloc(sizeof DIRECTORY PEER);
    if (path == NULL || mkdtemp(directory) == NULL) {
        perror("mkdtemp");
        free(path);
        return NULL;
    }
    snprintf(path, sizeof DIRECTORY PEER, "%s" PEER, directory);
    return path;
}

void private_path_free(char *path) {
    unlink(path); /* whoever bound to it may have done so */
    path[sizeof DIRECTORY - 1] = '\0';
    if (rmdir(path) != 0)
        perror(path);
    free(path);
}

bool ipc_create(void *handle, const struct setup *setup) {
    struct ipc_link *link = handle;
    size_t messages = setup->capacity / size_mean(setup->size);
    *link = (struct ipc_link){private_path(), setup->memory, !setup->transport->sleeps,
                              messages < 1 ? 1 : (int)messages};
    return link->path != NULL;
}

void ipc_destroy(void *handle) {
    private_path_free(((struct ipc_link *)handle)->path);
}

int ipc_meet(struct ipc_link *link, enum role role, int (*listens)(void *link, const char *url),
             int (*dials)(void *link, const char *url)) {
    uint32_t *listening = link->memory;
    char url[64];
    snprintf(url, sizeof url, "ipc://%s", link->path);
    if (role == RECEIVER) {
        int result = listens(link, url);
        __atomic_store_n(listening, result == 0, __ATOMIC_RELEASE);
        return result;
    }
    for (unsigned i = 0; i < MEETING_MS; i++) {
        if (__atomic_load_n(listening, __ATOMIC_ACQUIRE))
            return dials(link, url);
        usleep(1000);
    }
    fprintf(stderr, "\nthe receiver cannot be reached\n");
    return -1;
}

/* --- A library that does not survive a fork --------------------------------------------------- */

int library_load(struct library *library) {
    if (library->users++ != 0)
        return 0;
    library->handle = dlopen(library->path, RTLD_NOW | RTLD_LOCAL);
    bool complete = library->handle != NULL;
    for (size_t i = 0; complete && library->names[i] != NULL; i++)
        complete = (library->functions[i] = dlsym(library->handle, library->names[i])) != NULL;
    if (!complete)
        fprintf(stderr, "\n%s\n", dlerror());
    return complete ? 1 : -1;
}

void library_unload(struct library *library, void (*end)(void)) {
    if (--library->users != 0)
        return;
    end();
    dlclose(library->handle);
    if (dlopen(library->path, RTLD_NOW | RTLD_NOLOAD) != NULL)
        fprintf(stderr, "\n%s stays loaded: the next cell will fail\n", library->path);
}

/* --- Messages in a stream of bytes ------------------------------------------------------------ */

unsigned char *frames_space(struct frames *frames, size_t *room) {
    size_t left = frames->end - frames->start;
    if (frames->start != 0) /* mostly nothing is left, otherwise part of one message */
        memmove(frames->bytes, frames->bytes + frames->start, left);
    frames->start = 0;
    frames->end = left;
    *room = sizeof frames->bytes - left;
    return frames->bytes + left;
}

int frames_take(struct frames *frames, void *buffer, size_t capacity, size_t *size) {
    uint32_t length;
    size_t there = frames->end - frames->start;
    if (there < sizeof length)
        return 1;
    memcpy(&length, frames->bytes + frames->start, sizeof length);
    if (length > capacity)
        return -1;
    if (there - sizeof length < length)
        return 1;
    memcpy(buffer, frames->bytes + frames->start + sizeof length, length);
    frames->start += sizeof length + length;
    *size = length;
    return 0;
}

/* --- File descriptors ------------------------------------------------------------------------- */

static void close_end(struct fd_link *link, enum role role) {
    if (link->fd[role] >= 0)
        close(link->fd[role]);
    link->fd[role] = -1;
}

void fd_link_close(void *link) {
    close_end(link, SENDER);
    close_end(link, RECEIVER);
}

/* The descriptors are there; makes them block or not. */
static bool prepare(struct fd_link *link, const struct setup *setup) {
    link->fixed = size_varies(setup->size) ? 0 : setup->size;
    for (int role = SENDER; role <= RECEIVER; role++) {
        int flags = fcntl(link->fd[role], F_GETFL) & ~O_NONBLOCK;
        (void)fcntl(link->fd[role], F_SETFL, setup->transport->sleeps ? flags : flags | O_NONBLOCK);
    }
    return true;
}

int fd_link_open(void *handle, enum role role) {
    close_end(handle, role == SENDER ? RECEIVER : SENDER);
    return 0;
}

static int packet_send(void *handle, const void *message, size_t size) {
    struct fd_link *link = handle;
    return write(link->fd[SENDER], message, size) == (ssize_t)size ? 0 : try_again_or_fail("write");
}

static int packet_receive(void *handle, void *buffer, size_t capacity, size_t *size) {
    struct fd_link *link = handle;
    ssize_t got = read(link->fd[RECEIVER], buffer, capacity);
    *size = got > 0 ? (size_t)got : 0;
    return got > 0 ? 0 : got == 0 ? -1 : try_again_or_fail("read");
}

/* Writes bytes whose beginning is out already, so that there is no way back. */
static int write_rest(int fd, const unsigned char *bytes, size_t size) {
    while (size > 0) {
        ssize_t done = write(fd, bytes, size);
        if (done < 0 && try_again_or_fail("write") < 0)
            return -1;
        if (done > 0) {
            bytes += done;
            size -= (size_t)done;
        } else {
            relax();
        }
    }
    return 0;
}

static int frame_send(struct fd_link *link, const void *message, size_t size) {
    uint32_t length = (uint32_t)size;
    /* writev does not write to what it is given, but struct iovec cannot say so. */
    struct iovec parts[2] = {{&length, sizeof length}, {(void *)(uintptr_t)message, size}};
    ssize_t done = writev(link->fd[SENDER], parts, 2);
    if (done < 0)
        return try_again_or_fail("writev");
    size_t out = (size_t)done;
    if (out < sizeof length) {
        if (write_rest(link->fd[SENDER], (unsigned char *)&length + out, sizeof length - out) != 0)
            return -1;
        out = sizeof length;
    }
    out -= sizeof length;
    return write_rest(link->fd[SENDER], (const unsigned char *)message + out, size - out);
}

static int stream_send(void *handle, const void *message, size_t size) {
    struct fd_link *link = handle;
    if (!link->fixed)
        return frame_send(link, message, size);
    ssize_t done = write(link->fd[SENDER], message, size);
    if (done < 0)
        return try_again_or_fail("write");
    return write_rest(link->fd[SENDER], (const unsigned char *)message + done, size - (size_t)done);
}

/* One read takes all there is, or room for: the usual way to read messages of any size. */
static int frame_receive(struct fd_link *link, void *buffer, size_t capacity, size_t *size) {
    int result;
    while ((result = frames_take(&link->frames, buffer, capacity, size)) > 0) {
        size_t room;
        unsigned char *to = frames_space(&link->frames, &room);
        ssize_t got = read(link->fd[RECEIVER], to, room);
        if (got <= 0)
            return got == 0 ? -1 : try_again_or_fail("read");
        link->frames.end += (size_t)got;
    }
    return result;
}

static int stream_receive(void *handle, void *buffer, size_t capacity, size_t *size) {
    struct fd_link *link = handle;
    if (!link->fixed)
        return frame_receive(link, buffer, capacity, size);
    for (size_t done = 0; done < link->fixed;) {
        ssize_t got = read(link->fd[RECEIVER], (unsigned char *)buffer + done, link->fixed - done);
        if (got > 0)
            done += (size_t)got;
        else if (got == 0 || try_again_or_fail("read") < 0)
            return -1;
        else if (done == 0)
            return 1;
    }
    *size = link->fixed;
    return 0;
}

/* --- Transports ------------------------------------------------------------------------------- */

/* One that is polled has packets where lengths differ: a write is whole, and so is what is read. */
static bool pipe_create(void *handle, const struct setup *setup) {
    struct fd_link *link = handle;
    bool polled = !setup->transport->sleeps, packets = polled && size_varies(setup->size);
    int ends[2];
    if (polled && size_longest(setup->size) > PIPE_BUF) /* larger writes can be partial */
        return false;
    if (pipe2(ends, O_CLOEXEC | (packets ? O_DIRECT : 0)) != 0)
        return perror("pipe2"), false;
    link->fd[SENDER] = ends[1];
    link->fd[RECEIVER] = ends[0];
    (void)fcntl(ends[1], F_SETPIPE_SZ, (int)setup->capacity); /* as far as the system lets us */
    return prepare(link, setup);
}

int unix_connect(int type, size_t capacity, int fd[2]) {
    int size = (int)capacity;
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fd) != 0)
        return perror("socketpair"), -1;
    (void)setsockopt(fd[SENDER], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    return 0;
}

static bool unix_create(struct fd_link *link, int type, const struct setup *setup) {
    return size_longest(setup->size) <= setup->capacity / 2 && /* a packet must fit the buffer */
           unix_connect(type, setup->capacity, link->fd) == 0 && prepare(link, setup);
}

bool stream_create(void *link, const struct setup *setup) {
    return unix_create(link, SOCK_STREAM, setup);
}

static bool seqpacket_create(void *link, const struct setup *setup) {
    return unix_create(link, SOCK_SEQPACKET, setup);
}

static int polled_pipe_receive(void *link, void *buffer, size_t capacity, size_t *size) {
    return ((struct fd_link *)link)->fixed ? stream_receive(link, buffer, capacity, size)
                                           : packet_receive(link, buffer, capacity, size);
}

DEFINE_LOOPS(stream, stream_send, stream_receive)
DEFINE_LOOPS(packet, packet_send, packet_receive)
DEFINE_LOOPS(polled_pipe, packet_send, polled_pipe_receive)

#define DESCRIPTORS                                                                                \
    .link_size = sizeof(struct fd_link), .open = fd_link_open, .destroy = fd_link_close
#define STREAM DESCRIPTORS, .create = stream_create, .loops = &stream_loops
#define SEQPACKET DESCRIPTORS, .create = seqpacket_create, .loops = &packet_loops

TRANSPORT(pipe, "a pipe, polled", DESCRIPTORS, .create = pipe_create, .loops = &polled_pipe_loops)
TRANSPORT(pipe_wait, "a pipe, blocking", DESCRIPTORS, .sleeps = true, .create = pipe_create,
          .loops = &stream_loops)
TRANSPORT(unix_stream, "a Unix stream socket, polled", STREAM)
TRANSPORT(unix_stream_wait, "the same, blocking", .sleeps = true, STREAM)
TRANSPORT(unix_seqpacket, "a Unix seqpacket socket, polled", SEQPACKET)
TRANSPORT(unix_seqpacket_wait, "the same, blocking", .sleeps = true, SEQPACKET)
