/* kernel.c - see kernel.h. */
#include "kernel.h"
#include "loops.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

const struct transport *const peers_kernel[] = {
    &transport_pipe_wait,
    &transport_unix_stream,
    &transport_unix_stream_wait,
    &transport_unix_seqpacket,
    &transport_unix_seqpacket_wait,
    &transport_posix_mq,
    &transport_posix_mq_wait,
    &transport_raw_futex,
    &transport_raw_eventfd,
    &transport_raw_epoll,
#ifdef BENCH_HAVE_ZEROMQ
    &transport_zeromq,
    &transport_zeromq_wait,
#endif
#ifdef BENCH_HAVE_NNG
    &transport_nng,
    &transport_nng_wait,
#endif
#ifdef BENCH_HAVE_UV
    &transport_uv_pipe,
#endif
#ifdef BENCH_HAVE_ICEORYX
    &transport_iceoryx,
#endif
    NULL,
};

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

void meeting_announce(void *memory) {
    __atomic_store_n((uint32_t *)memory, 1, __ATOMIC_RELEASE);
}

int meeting_wait(const void *memory) {
    for (unsigned i = 0; i < MEETING_MS; i++) {
        if (__atomic_load_n((const uint32_t *)memory, __ATOMIC_ACQUIRE))
            return 0;
        usleep(1000);
    }
    fprintf(stderr, "\nthe receiver cannot be reached\n");
    return -1;
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

void fd_link_free(void *handle) {
    struct fd_link *link = handle;
    close_end(link, SENDER);
    close_end(link, RECEIVER);
    free(link);
}

void *fd_link_new(const int fd[2], const struct setup *setup) {
    struct fd_link *link = calloc(1, sizeof *link);
    if (link == NULL) {
        perror("calloc");
        close(fd[SENDER]);
        close(fd[RECEIVER]);
        return NULL;
    }
    link->fixed = size_varies(setup->size) ? 0 : setup->size;
    for (int role = SENDER; role <= RECEIVER; role++) {
        link->fd[role] = fd[role];
        int flags = fcntl(fd[role], F_GETFL) & ~O_NONBLOCK;
        (void)fcntl(fd[role], F_SETFL, setup->transport->sleeps ? flags : flags | O_NONBLOCK);
    }
    return link;
}

int fd_link_open(void *handle, enum role role) {
    close_end(handle, role == SENDER ? RECEIVER : SENDER);
    return 0;
}

int try_again_or_fail(const char *call) {
    if (errno == EAGAIN || errno == EINTR)
        return 1;
    fprintf(stderr, "\n%s: %s\n", call, strerror(errno));
    return -1;
}

int packet_send(void *handle, const void *message, size_t size) {
    struct fd_link *link = handle;
    return write(link->fd[SENDER], message, size) == (ssize_t)size ? 0 : try_again_or_fail("write");
}

int packet_receive(void *handle, void *buffer, size_t capacity, size_t *size) {
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

int stream_send(void *handle, const void *message, size_t size) {
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

int stream_receive(void *handle, void *buffer, size_t capacity, size_t *size) {
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

/* --- A pipe that blocks ----------------------------------------------------------------------- */

static void *pipe_create(const struct setup *setup) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        perror("pipe2");
        return NULL;
    }
    (void)fcntl(ends[1], F_SETPIPE_SZ, (int)setup->capacity); /* as far as the system lets us */
    return fd_link_new((const int[2]){[SENDER] = ends[1], [RECEIVER] = ends[0]}, setup);
}

static const struct calls pipe_calls = {stream_send, stream_receive};
DEFINE_LOOPS(pipe, pipe_calls)

const struct transport transport_pipe_wait = {.name = "pipe_wait",
                                              .about = "a pipe, blocking",
                                              .sleeps = true,
                                              .create = pipe_create,
                                              .open = fd_link_open,
                                              .destroy = fd_link_free,
                                              LOOPS(pipe)};
