/* rates.c - 64-byte messages into a loop, as fast as they go. The receiver's clock counts, once it
 * is warm. */
#include "loop.h"

#include "peers/kernel.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define ROOM 65536u /* what libuv suggests to read at once */

enum { PLAIN, LOOPS, HELD };

static struct intake {
    struct trial *trial;
    uv_loop_t loop;
    uv_check_t turns;
    uint64_t serial, first, start_ns;
    bool over, wrong;
    leat_uv_receiver_t receiver;
    uv_pipe_t pipe;
    uv_write_t request;
    bool writing;
    size_t got; /* of the buffer: the beginning of a message */
    unsigned char buffer[ROOM];
} intake;

/* --- What all do ------------------------------------------------------------------------------ */

/* One message; false ends it all. */
ALWAYS_INLINE bool take(const unsigned char *message) {
    if (__builtin_expect(stamped(message, MESSAGE, intake.serial), 1)) {
        if (__builtin_expect(intake.serial++ == WARM_UP, 0)) {
            intake.first = intake.serial;
            intake.start_ns = now_ns();
        }
        return true;
    }
    intake.over = stamped(message, MESSAGE, STOP);
    intake.wrong = !intake.over;
    return false;
}

static void note_received(void) {
    struct told *told = intake.trial->told;
    told->count = intake.serial - intake.first;
    told->elapsed_ns = now_ns() - intake.start_ns;
}

/* The receiver's loop, from the meeting to the end. */
static int receive_in_loop(void) {
    turns_count(&intake.turns, &intake.loop, &intake.trial->told->turns[RECEIVER]);
    if (trial_begin(intake.trial) != 0)
        return -1;
    uv_run(&intake.loop, UV_RUN_DEFAULT);
    note_received();
    return intake.wrong || !intake.over || trial_end(intake.trial) != 0 ? -1
                                                                        : loop_end(&intake.loop);
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
            break;
    }
    return 0;
}

/* Of the sender, when both have done. */
static void note_figures(const struct trial *trial) {
    struct told *told = trial->told;
    double count = (double)told->count;
    told->figures[0] = count * 1e3 / (double)told->elapsed_ns;
    told->figures[1] = told->sent > 0 ? (double)told->rings * 1e6 / (double)told->sent : UNKNOWN;
    told->figures[2] = told->turns[RECEIVER] > 0
                           ? (double)told->turns[RECEIVER] * 1e6 / (count + WARM_UP)
                           : UNKNOWN;
    told->figures[3] = cpu_us(trial) * 1e3 / (count + WARM_UP);
}

/* --- leat ------------------------------------------------------------------------------------- */

static leat_sender *sender;

ALWAYS_INLINE int send_by_leat(const unsigned char *message) {
    int code = leat_send(sender, message, MESSAGE, LEAT_FOREVER);
    return __builtin_expect(code == LEAT_OK, 1) ? 0 : check_leat("leat_send", code);
}

static int leat_sends(struct trial *trial) {
    char name[64];
    leat_statistics statistics;
    trial_channel(trial, 0, name);
    int code = leat_sender_open(&sender, name, NULL);
    if (code != LEAT_OK)
        return check_leat("leat_sender_open", code);
    if (trial_begin(trial) != 0 || send_all(trial, send_by_leat) != 0)
        return -1;
    leat_sender_statistics(sender, &statistics);
    trial->told->rings = statistics.wake_calls;
    trial->told->sent = statistics.messages;
    if (trial_end(trial) != 0)
        return -1;
    leat_sender_close(sender);
    note_figures(trial);
    return 0;
}

static void on_message(leat_uv_receiver_t *receiver, const leat_message *message) {
    (void)receiver;
    if (message->size == MESSAGE && take(message->data))
        return;
    intake.wrong = intake.wrong || message->size != MESSAGE;
    uv_stop(&intake.loop);
}

/* The shortest time that a message can be held. */
static void on_held(leat_uv_receiver_t *receiver, const leat_message *message) {
    on_message(receiver, message);
    int code = leat_uv_receiver_release(receiver, 1);
    if (code != 0) {
        complain_uv("leat_uv_receiver_release", code);
        intake.wrong = true;
        uv_stop(&intake.loop);
    }
}

static void on_peer(leat_uv_receiver_t *receiver, leat_peer peer, int status) {
    (void)receiver;
    intake.wrong = intake.wrong || status != 0 || (peer == LEAT_PEER_DIED && !intake.over);
    if (intake.wrong)
        uv_stop(&intake.loop);
}

static int work_leat_uv(struct trial *trial) {
    char name[64];
    if (trial->role == SENDER)
        return leat_sends(trial);
    memset(&intake, 0, sizeof intake);
    intake.trial = trial;
    uv_loop_init(&intake.loop);
    trial_channel(trial, 0, name);
    int code = leat_uv_receiver_open(&intake.loop, &intake.receiver, name, NULL);
    if (code == 0)
        code = trial->way->context == HELD
                   ? leat_uv_receiver_start_held(&intake.receiver, on_held, on_peer)
                   : leat_uv_receiver_start(&intake.receiver, on_message, on_peer);
    return code == 0 ? receive_in_loop() : complain_uv("leat_uv_receiver_open", code);
}

static int work_leat_recv(struct trial *trial) {
    char name[64];
    leat_receiver *receiver;
    if (trial->role == SENDER)
        return leat_sends(trial);
    memset(&intake, 0, sizeof intake);
    intake.trial = trial;
    trial_channel(trial, 0, name);
    int code = leat_receiver_open(&receiver, name, NULL);
    if (code != LEAT_OK)
        return check_leat("leat_receiver_open", code);
    if (trial_begin(trial) != 0)
        return -1;
    size_t size = 0;
    do
        code = leat_recv(receiver, intake.buffer, sizeof intake.buffer, &size, LEAT_FOREVER);
    while (code == LEAT_OK && size == MESSAGE && take(intake.buffer));
    note_received();
    if (intake.wrong || !intake.over || trial_end(trial) != 0)
        return -1;
    leat_receiver_close(receiver);
    return 0;
}

/* --- libuv's pipe ----------------------------------------------------------------------------- */

static int prepare_pipe(struct trial *trial) {
    return unix_connect(SOCK_STREAM, LEAT_CAPACITY_DEFAULT, trial->fd[THERE]);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *room) {
    (void)handle, (void)suggested;
    *room = uv_buf_init((char *)intake.buffer + intake.got, (unsigned)(ROOM - intake.got));
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *room) {
    size_t at = 0;
    (void)stream, (void)room;
    intake.wrong = size < 0;
    intake.got += size > 0 ? (size_t)size : 0;
    while (at + MESSAGE <= intake.got && take(intake.buffer + at))
        at += MESSAGE;
    intake.got -= at;
    memmove(intake.buffer, intake.buffer + at, intake.got);
    if (intake.over || intake.wrong)
        uv_stop(&intake.loop);
}

/* Takes over the descriptor of this side. */
static int open_pipe(struct trial *trial) {
    memset(&intake, 0, sizeof intake);
    intake.trial = trial;
    uv_loop_init(&intake.loop);
    uv_pipe_init(&intake.loop, &intake.pipe, 0);
    int code = uv_pipe_open(&intake.pipe, trial->fd[THERE][trial->role]);
    if (code == 0)
        trial->fd[THERE][trial->role] = -1;
    return code == 0 ? 0 : complain_uv("uv_pipe_open", code);
}

static void on_written(uv_write_t *request, int status) {
    (void)request;
    intake.writing = false;
    intake.wrong = status != 0;
}

/* What does not go at once goes when there is room: the message stays where it is meanwhile. */
static int send_by_pipe(const unsigned char *message) {
    uv_buf_t rest = uv_buf_init((char *)(uintptr_t)message, MESSAGE);
    int done = uv_try_write((uv_stream_t *)&intake.pipe, &rest, 1);
    if (done == MESSAGE)
        return 0;
    if (done < 0 && done != UV_EAGAIN)
        return complain_uv("uv_try_write", done);
    rest.base += done > 0 ? done : 0;
    rest.len -= done > 0 ? (size_t)done : 0;
    int code = uv_write(&intake.request, (uv_stream_t *)&intake.pipe, &rest, 1, on_written);
    for (intake.writing = code == 0;
         intake.writing && __atomic_load_n(&machine.control->state, __ATOMIC_RELAXED) <= POLITE;)
        uv_run(&intake.loop, UV_RUN_ONCE);
    return code != 0 || intake.wrong || intake.writing ? complain_uv("uv_write", code) : 0;
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

static int pipe_sends(struct trial *trial) {
    bool loops = trial->way->context == LOOPS;
    peer_fd = trial->fd[THERE][SENDER];
    if (loops && open_pipe(trial) != 0)
        return -1;
    if (trial_begin(trial) != 0 || send_all(trial, loops ? send_by_pipe : send_by_write) != 0 ||
        trial_end(trial) != 0)
        return -1;
    note_figures(trial);
    return loops ? loop_end(&intake.loop) : 0;
}

static int work_pipe(struct trial *trial) {
    trial_keep_end(trial);
    if (trial->role == SENDER)
        return pipe_sends(trial);
    if (open_pipe(trial) != 0)
        return -1;
    int code = uv_read_start((uv_stream_t *)&intake.pipe, on_room, on_read);
    return code == 0 ? receive_in_loop() : complain_uv("uv_read_start", code);
}

/* ---------------------------------------------------------------------------------------------- */

static const struct way ways[] = {
    {"leat_uv", "leat_send into a receiver in a loop, in place", 1, NULL, work_leat_uv, 0, NULL,
     NULL},
    {"leat_uv_held", "the same with messages that are held, and released in their callback", 1,
     NULL, work_leat_uv, HELD, NULL, NULL},
    {"leat_recv", "leat_send and leat_recv, both waiting: no loop", 1, NULL, work_leat_recv, 0,
     NULL, NULL},
    {"uv_pipe", "write(2) of each message into a uv_pipe_t, whose callback gets up to 64 KiB", 0,
     prepare_pipe, work_pipe, PLAIN, NULL, NULL},
    {"uv_pipe_loops",
     "the same, sent by a uv_pipe_t in a loop: uv_try_write, uv_write for what did not go", 0,
     prepare_pipe, work_pipe, LOOPS, NULL, NULL},
};

const struct part part_rates = {
    .name = "rates",
    .title = "Messages of 64 bytes into a loop",
    .ways = ways,
    .way_count = sizeof ways / sizeof *ways,
    .yardstick = 3,
    .goal = "leat_uv at least 50 of uv_pipe; fewer than 1000 wakes a million",
    .figures = {{"million messages/s", "messages_per_us", false},
                {"wakes a million", "wakes_per_million", false},
                {"loop turns a million", "turns_per_million", false},
                {"CPU ns a message, both", "cpu_ns", false}},
    .seconds = {0.01, 0.1, 0.3},
};
