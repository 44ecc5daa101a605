/* rates.c - 64-byte messages into a loop, as fast as they go. The receiver's clock counts, once it
 * is warm. */
#include "loop.h"

#include <errno.h>
#include <unistd.h>

#define ROOM 65536u /* what libuv suggests to read at once */

enum { PLAIN, LOOPS, HELD };

/* What a side has besides. */
static struct {
    uint64_t first, start_ns;
    uv_pipe_t pipe;
    uv_write_t request;
    bool writing;
    size_t got; /* of the buffer: the beginning of a message */
    unsigned char buffer[ROOM];
} own;

/* --- What all do ------------------------------------------------------------------------------ */

static void start(struct trial *trial) {
    memset(&own, 0, sizeof own);
    side_start(trial);
}

/* One message; false ends it all. */
ALWAYS_INLINE bool take(const unsigned char *message) {
    if (__builtin_expect(stamped(message, MESSAGE, side.serial), 1)) {
        if (__builtin_expect(side.serial++ == WARM_UP, 0)) {
            own.first = side.serial;
            own.start_ns = now_ns();
        }
        return true;
    }
    side.over = stamped(message, MESSAGE, STOP);
    side.wrong = !side.over;
    return false;
}

/* By the receiver, when its loop has ended. */
static void note_received(void) {
    side.trial->told->count = side.serial - own.first;
    side.trial->told->elapsed_ns = now_ns() - own.start_ns;
}

/* Sends until the time is over, and then STOP. */
ALWAYS_INLINE int send_all(struct trial *trial, int (*send)(const unsigned char *message)) {
    unsigned char message[MESSAGE] = {0};
    uint64_t end = now_ns() + trial->duration_ns;
    for (uint64_t serial = 0;; serial++) {
        bool last = serial % CLOCK_EVERY == 0 && serial > 2 * WARM_UP && now_ns() >= end;
        stamp(message, MESSAGE, last ? STOP : serial);
        if (send(message) != 0)
            return -1;
        if (last)
            return 0;
    }
}

/* By the sender, when both have done. */
static void note_figures(const struct trial *trial) {
    struct told *told = trial->told;
    double count = (double)told->count, turns = (double)told->turns[RECEIVER];
    told->figures[0] = count * 1e3 / (double)told->elapsed_ns;
    told->figures[1] = told->sent > 0 ? (double)told->wakes * 1e6 / (double)told->sent : UNKNOWN;
    told->figures[2] = turns > 0 ? turns * 1e6 / (count + WARM_UP) : UNKNOWN;
    told->figures[3] = cpu_us(trial) * 1e3 / (count + WARM_UP);
}

/* --- leat ------------------------------------------------------------------------------------- */

ALWAYS_INLINE int send_by_leat(const unsigned char *message) {
    int code = leat_send(senders[0], message, MESSAGE, LEAT_FOREVER);
    return __builtin_expect(code == LEAT_OK, 1) ? 0 : check_leat("leat_send", code);
}

static int leat_sends(struct trial *trial) {
    leat_statistics statistics;
    if (senders_open(trial, NULL) != 0 || trial_begin(trial) != 0 ||
        send_all(trial, send_by_leat) != 0)
        return -1;
    leat_sender_statistics(senders[0], &statistics);
    trial->told->wakes = statistics.wake_calls;
    trial->told->sent = statistics.messages;
    if (trial_end(trial) != 0)
        return -1;
    senders_close(trial);
    note_figures(trial);
    return 0;
}

static void on_message(leat_uv_receiver_t *receiver, const leat_message *message) {
    (void)receiver;
    if (message->size == MESSAGE && take(message->data))
        return;
    side.wrong = side.wrong || message->size != MESSAGE;
    uv_stop(&side.loop);
}

/* The shortest time that a message can be held. */
static void on_held(leat_uv_receiver_t *receiver, const leat_message *message) {
    on_message(receiver, message);
    if (check_uv("leat_uv_receiver_release", leat_uv_receiver_release(receiver, 1)) != 0)
        side_stop(true);
}

static int work_leat_uv(struct trial *trial) {
    bool held = trial->way->context == HELD;
    if (trial->role == SENDER)
        return leat_sends(trial);
    start(trial);
    return side_receive(0, 1, NULL, held ? on_held : on_message, held) == 0
               ? side_run(NULL, note_received)
               : -1;
}

/* Without a loop: what stands in for it is idle. */
static int work_leat_recv(struct trial *trial) {
    char name[64];
    leat_receiver *receiver;
    if (trial->role == SENDER)
        return leat_sends(trial);
    start(trial);
    trial_channel(trial, 0, name);
    int code = leat_receiver_open(&receiver, name, NULL);
    if (check_leat("leat_receiver_open", code) != 0 || trial_begin(trial) != 0)
        return -1;
    size_t size = 0;
    do
        code = leat_recv(receiver, own.buffer, sizeof own.buffer, &size, LEAT_FOREVER);
    while (code == LEAT_OK && size == MESSAGE && take(own.buffer));
    note_received();
    if (side.wrong || !side.over || trial_end(trial) != 0)
        return -1;
    leat_receiver_close(receiver);
    return 0;
}

/* --- libuv's pipe ----------------------------------------------------------------------------- */

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *room) {
    (void)handle, (void)suggested;
    *room = uv_buf_init((char *)own.buffer + own.got, (unsigned)(ROOM - own.got));
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *room) {
    size_t at = 0;
    (void)stream, (void)room;
    side.wrong = size < 0;
    own.got += size > 0 ? (size_t)size : 0;
    while (at + MESSAGE <= own.got && take(own.buffer + at))
        at += MESSAGE;
    own.got -= at;
    memmove(own.buffer, own.buffer + at, own.got);
    if (side.over || side.wrong)
        uv_stop(&side.loop);
}

static void on_written(uv_write_t *request, int status) {
    (void)request;
    own.writing = false;
    side.wrong = status != 0;
}

/* What does not go at once goes when there is room: the message stays where it is meanwhile. */
static int send_by_pipe(const unsigned char *message) {
    uv_buf_t rest = uv_buf_init((char *)(uintptr_t)message, MESSAGE);
    int done = uv_try_write((uv_stream_t *)&own.pipe, &rest, 1);
    if (done == MESSAGE)
        return 0;
    if (done < 0 && done != UV_EAGAIN)
        return check_uv("uv_try_write", done);
    rest.base += done > 0 ? done : 0;
    rest.len -= done > 0 ? (size_t)done : 0;
    int code = uv_write(&own.request, (uv_stream_t *)&own.pipe, &rest, 1, on_written);
    for (own.writing = code == 0;
         own.writing && __atomic_load_n(&machine.control->state, __ATOMIC_RELAXED) <= POLITE;)
        uv_run(&side.loop, UV_RUN_ONCE);
    return check_uv("uv_write", code == 0 && (side.wrong || own.writing) ? UV_ECANCELED : code);
}

static int peer_fd; /* of write(2), which blocks */

static int send_by_write(const unsigned char *message) {
    for (size_t done = 0; done < MESSAGE;) {
        ssize_t written = write(peer_fd, message + done, MESSAGE - done);
        if (written < 0 && errno != EINTR)
            return perror("write"), -1;
        done += written > 0 ? (size_t)written : 0;
    }
    return 0;
}

static int send_in_loop(void) {
    int result = send_all(side.trial, send_by_pipe);
    side_stop(result != 0);
    return result;
}

static int work_pipe(struct trial *trial) {
    bool loops = trial->role == RECEIVER || trial->way->context == LOOPS;
    trial_keep_end(trial);
    peer_fd = trial->fd[THERE][SENDER];
    if (loops) {
        start(trial);
        if (pipe_take(trial, &own.pipe) != 0)
            return -1;
    }
    if (trial->role == RECEIVER) {
        int code = uv_read_start((uv_stream_t *)&own.pipe, on_room, on_read);
        return check_uv("uv_read_start", code) == 0 ? side_run(NULL, note_received) : -1;
    }
    if (loops ? side_run(send_in_loop, NULL) != 0
              : trial_begin(trial) != 0 || send_all(trial, send_by_write) != 0 ||
                    trial_end(trial) != 0)
        return -1;
    note_figures(trial);
    return 0;
}

/* ---------------------------------------------------------------------------------------------- */

static const struct way ways[] = {
    WAY("leat_uv", "leat_send into a receiver in a loop, in place", .channels = 1,
        .work = work_leat_uv),
    WAY("leat_uv_held", "the same with messages that are held, and released in their callback",
        .channels = 1, .work = work_leat_uv, .context = HELD),
    WAY("leat_recv", "leat_send and leat_recv, both waiting: no loop", .channels = 1,
        .work = work_leat_recv),
    WAY("uv_pipe", "write(2) of each message into a uv_pipe_t, whose callback gets up to 64 KiB",
        .prepare = stream_prepare, .work = work_pipe, .context = PLAIN),
    WAY("uv_pipe_loops",
        "the same, sent by a uv_pipe_t in a loop: uv_try_write, uv_write for what did not go",
        .prepare = stream_prepare, .work = work_pipe, .context = LOOPS),
};

const struct part part_rates = {
    .name = "rates",
    .title = "Messages of 64 bytes into a loop",
    WAYS(ways),
    .yardstick = 3,
    .goal = "leat_uv at least 50 of uv_pipe; fewer than 1000 wakes a million",
    .figures = {FIGURE("million messages/s", "messages_per_us"),
                FIGURE("wakes a million", "wakes_per_million"),
                FIGURE("loop turns a million", "turns_per_million"),
                FIGURE("CPU ns a message, both", "cpu_ns")},
    .seconds = {0.01, 0.1, 0.3},
};
