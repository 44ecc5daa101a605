/* uv_pipe.c - libuv's pipe, which is a Unix stream socket, in an event loop on each side.
 *
 * As its manual has it: uv_try_write first and a write request only for what did not go at once;
 * reading is started once, the callbacks collect all there is (libuv suggests 64 KiB), and messages
 * are taken out of that before the loop runs again. Each message has its length in front, and
 * counts as sent when its last byte was written. */
#include "kernel.h"

#include <stdio.h>
#include <sys/socket.h>
#include <uv.h>

struct uv_link {
    struct fd_link ends; /* the sockets, and the frames received */
    uv_loop_t loop;
    uv_pipe_t pipe;
    uv_write_t request;
    bool writing;
    int failed; /* what a callback was told */
};

static int complain(const char *call, int code) {
    fprintf(stderr, "\n%s: %s\n", call, uv_strerror(code));
    return -1;
}

static void on_room_wanted(uv_handle_t *handle, size_t suggested, uv_buf_t *to) {
    struct uv_link *link = handle->data;
    size_t room;
    (void)suggested;
    unsigned char *space = frames_space(&link->ends.frames, &room);
    *to = uv_buf_init((char *)space, (unsigned)room);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *from) {
    struct uv_link *link = stream->data;
    (void)from;
    if (got >= 0)
        link->ends.frames.end += (size_t)got;
    else if (got != UV_ENOBUFS) /* which only means that the frames have to be taken first */
        link->failed = (int)got;
}

static void on_written(uv_write_t *request, int status) {
    struct uv_link *link = request->handle->data;
    link->writing = false;
    link->failed = status;
}

static int pipe_open(void *handle, enum role role) {
    struct uv_link *link = handle;
    fd_link_open(&link->ends, role);
    int code = uv_loop_init(&link->loop);
    if (code != 0)
        return complain("uv_loop_init", code);
    uv_pipe_init(&link->loop, &link->pipe, 0);
    link->pipe.data = link;
    code = uv_pipe_open(&link->pipe, link->ends.fd[role]);
    if (code != 0)
        return complain("uv_pipe_open", code);
    link->ends.fd[role] = -1; /* libuv closes it */
    code =
        role == RECEIVER ? uv_read_start((uv_stream_t *)&link->pipe, on_room_wanted, on_read) : 0;
    return code == 0 ? 0 : complain("uv_read_start", code);
}

static void pipe_close(void *handle, enum role role, struct counters *counters) {
    struct uv_link *link = handle;
    (void)role, (void)counters;
    uv_close((uv_handle_t *)&link->pipe, NULL);
    uv_run(&link->loop, UV_RUN_DEFAULT);
    uv_loop_close(&link->loop);
}

/* What did not go at once is written by the loop; the caller's message stays where it is until
 * then. */
static int write_in_loop(struct uv_link *link, const uv_buf_t *parts, unsigned count) {
    int code = uv_write(&link->request, (uv_stream_t *)&link->pipe, parts, count, on_written);
    if (code != 0)
        return complain("uv_write", code);
    link->writing = true;
    while (link->writing)
        uv_run(&link->loop, UV_RUN_ONCE);
    return link->failed == 0 ? 0 : complain("uv_write", link->failed);
}

static int pipe_send(void *handle, const void *message, size_t size) {
    struct uv_link *link = handle;
    uint32_t length = (uint32_t)size;
    uv_buf_t parts[2] = {uv_buf_init((char *)&length, sizeof length),
                         uv_buf_init((char *)(uintptr_t)message, (unsigned)size)};
    int done = uv_try_write((uv_stream_t *)&link->pipe, parts, 2);
    if (done < 0 && done != UV_EAGAIN)
        return complain("uv_try_write", done);
    size_t out = done > 0 ? (size_t)done : 0;
    for (unsigned i = 0; i < 2; i++) {
        size_t part = out < parts[i].len ? out : parts[i].len;
        parts[i].base += part;
        parts[i].len -= part;
        out -= part;
    }
    if (parts[1].len == 0)
        return 0;
    return parts[0].len != 0 ? write_in_loop(link, parts, 2) : write_in_loop(link, parts + 1, 1);
}

static int pipe_receive(void *handle, void *buffer, size_t capacity, size_t *size) {
    struct uv_link *link = handle;
    int result;
    while ((result = frames_take(&link->ends.frames, buffer, capacity, size)) > 0) {
        if (link->failed != 0)
            return complain("uv_read", link->failed);
        uv_run(&link->loop, UV_RUN_ONCE);
    }
    return result;
}

DEFINE_LOOPS(pipe, pipe_send, pipe_receive)
TRANSPORT(uv_pipe, "libuv's uv_pipe_t, a loop on each side", .sleeps = true,
          .link_size = sizeof(struct uv_link), .create = stream_create, .open = pipe_open,
          .close = pipe_close, .destroy = fd_link_close, .loops = &pipe_loops)
