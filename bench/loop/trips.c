/* trips.c - round trips from one loop to another: the next message is sent from the callback that
 * the one before has called. The loops of "leat_uv" look for a while before they sleep, as by
 * default; those of all others sleep as soon as they have sent.
 *
 * leat_uv and uv_pipe carry 64 bytes, checked at both ends. The others are nothing but a wake-up,
 * with the serial number in a word of shared memory: what it takes to wake a loop at all. */
#include "loop.h"

#include "peers/kernel.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define WARM_UP_TURNS 200u

enum { EVENTFD, FIFO }; /* context of the bare ones */

/* One side. A process has one at a time. */
static struct side {
    struct trial *trial;
    uv_loop_t loop;
    uv_check_t turns;
    uv_poll_t child;
    int child_fd;
    struct histogram *times;
    uint64_t serial, end_ns, before_ns;
    bool over, wrong;
    int (*say)(uint64_t serial); /* to the other side */
    union {
        uv_poll_t poll;
        uv_pipe_t pipe;
        struct {
            leat_uv_receiver_t receiver;
            leat_uv_sender_t sender;
        } leat;
    } on;
    unsigned char message[MESSAGE], buffer[MESSAGE];
    size_t got; /* of the buffer */
} side;

static enum direction ours(void) {
    return side.trial->role == SENDER ? THERE : BACK;
}
static enum direction theirs(void) {
    return side.trial->role == SENDER ? BACK : THERE;
}

/* --- What all do ------------------------------------------------------------------------------ */

static void ask_again(void) {
    uint64_t now = now_ns();
    if (side.serial > WARM_UP_TURNS)
        histogram_add(side.times, now - side.before_ns);
    side.before_ns = now;
    side.over = now >= side.end_ns && side.serial > 2 * WARM_UP_TURNS;
    side.wrong = side.say(side.over ? STOP : side.serial) != 0;
}

/* A message has come. */
static void hear(uint64_t serial) {
    if (side.trial->role == RECEIVER && serial == STOP) {
        side.over = true;
    } else if (serial != side.serial++) {
        side.wrong = true;
    } else if (side.trial->role == SENDER) {
        ask_again();
    } else {
        side.wrong = side.say(serial) != 0;
    }
    if (side.over || side.wrong)
        uv_stop(&side.loop);
}

static void start(struct trial *trial, int (*say)(uint64_t serial)) {
    memset(&side, 0, sizeof side);
    side.trial = trial;
    side.say = say;
    side.times = must_allocate(1, sizeof *side.times);
    uv_loop_init(&side.loop);
    side.child_fd = -1;
    if (trial->role == SENDER)
        stop_with_child(&side.child, &side.loop, &side.child_fd);
    turns_count(&side.turns, &side.loop, &trial->told->turns[trial->role]);
}

static void note_figures(void) {
    struct told *told = side.trial->told;
    double trips = (double)side.serial; /* those that warm up included */
    told->figures[0] = quantile_us(side.times, 0.5);
    told->figures[1] = quantile_us(side.times, 0.99);
    told->figures[2] = cpu_us(side.trial) / trips;
    told->figures[3] = (double)told->turns[RECEIVER] / trips;
}

static int finish(int result) {
    free(side.times);
    result |= loop_end(&side.loop);
    if (side.child_fd >= 0)
        close(side.child_fd);
    return result;
}

/* From the meeting to the end, once everything is open. */
static int run(struct trial *trial) {
    if (trial_begin(trial) != 0)
        return -1;
    side.end_ns = now_ns() + trial->duration_ns;
    side.before_ns = now_ns();
    if (trial->role == SENDER && side.say(side.serial) != 0)
        return -1;
    uv_run(&side.loop, UV_RUN_DEFAULT);
    if (side.wrong || !side.over || trial_end(trial) != 0)
        return -1;
    if (trial->role == SENDER)
        note_figures();
    return 0;
}

static int go(void) {
    return finish(run(side.trial));
}

/* --- Bare wake-ups ---------------------------------------------------------------------------- */

static int wake(uint64_t serial) {
    const uint64_t one = 1;
    __atomic_store_n(&side.trial->told->word[ours()], serial, __ATOMIC_RELEASE);
    return write(side.trial->fd[ours()][SENDER], &one, sizeof one) == (ssize_t)sizeof one
               ? 0
               : (perror("write"), -1);
}

static void on_woken(uv_poll_t *poll, int status, int events) {
    uint64_t count;
    (void)poll, (void)status, (void)events;
    if (read(side.trial->fd[theirs()][RECEIVER], &count, sizeof count) == (ssize_t)sizeof count)
        hear(__atomic_load_n(&side.trial->told->word[theirs()], __ATOMIC_ACQUIRE));
}

static int prepare_eventfds(struct trial *trial) {
    for (int direction = THERE; direction <= BACK; direction++)
        /* the same for both ends: a descriptor each, so that each can be closed */
        for (int end = 0; end < 2; end++)
            trial->fd[direction][end] =
                end == 0 ? eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) : dup(trial->fd[direction][0]);
    return trial->fd[BACK][1] < 0 ? (perror("eventfd"), -1) : 0;
}

static int prepare_fifo(struct trial *trial, enum direction direction) {
    char *path = private_path();
    if (path == NULL || mkfifo(path, 0600) != 0)
        return perror("mkfifo"), -1;
    for (int end = 0; end < 2; end++)
        trial->fd[direction][end] = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    private_path_free(path);
    return trial->fd[direction][1] < 0 ? (perror("open"), -1) : 0;
}

static int prepare_bare(struct trial *trial) {
    if (trial->way->context == EVENTFD)
        return prepare_eventfds(trial);
    return prepare_fifo(trial, THERE) != 0 ? -1 : prepare_fifo(trial, BACK);
}

static int work_bare(struct trial *trial) {
    start(trial, wake);
    int code = uv_poll_init(&side.loop, &side.on.poll, trial->fd[theirs()][RECEIVER]);
    if (code == 0)
        code = uv_poll_start(&side.on.poll, UV_READABLE, on_woken);
    return code == 0 ? go() : complain_uv("uv_poll", code);
}

/* --- libuv's pipe ----------------------------------------------------------------------------- */

static int prepare_pipe(struct trial *trial) {
    int fd[2];
    if (unix_connect(SOCK_STREAM, LEAT_CAPACITY_DEFAULT, fd) != 0)
        return -1;
    trial->fd[THERE][SENDER] = fd[SENDER];
    trial->fd[THERE][RECEIVER] = fd[RECEIVER];
    return 0;
}

static int say_by_pipe(uint64_t serial) {
    uv_buf_t buffer = uv_buf_init((char *)side.message, MESSAGE);
    stamp(side.message, MESSAGE, serial);
    /* one message in a buffer of thousands: all of it */
    int written = uv_try_write((uv_stream_t *)&side.on.pipe, &buffer, 1);
    return written == MESSAGE ? 0 : complain_uv("uv_try_write", written < 0 ? written : UV_EAGAIN);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *room) {
    (void)handle, (void)suggested;
    *room = uv_buf_init((char *)side.buffer + side.got, (unsigned)(MESSAGE - side.got));
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *room) {
    (void)stream, (void)room;
    if (size < 0) {
        side.wrong = !side.over;
        uv_stop(&side.loop);
        return;
    }
    side.got += (size_t)size;
    if (side.got < MESSAGE)
        return;
    uint64_t serial;
    memcpy(&serial, side.buffer, sizeof serial);
    side.got = 0;
    hear(stamped(side.buffer, MESSAGE, serial) ? serial : STOP - 1);
}

static int work_pipe(struct trial *trial) {
    trial_keep_end(trial);
    start(trial, say_by_pipe);
    uv_pipe_init(&side.loop, &side.on.pipe, 0);
    int code = uv_pipe_open(&side.on.pipe, trial->fd[THERE][trial->role]);
    if (code == 0) {
        trial->fd[THERE][trial->role] = -1; /* libuv closes it */
        code = uv_read_start((uv_stream_t *)&side.on.pipe, on_room, on_read);
    }
    return code == 0 ? go() : complain_uv("uv_pipe_open", code);
}

/* --- leat_uv ---------------------------------------------------------------------------------- */

static int say_by_leat(uint64_t serial) {
    stamp(side.message, MESSAGE, serial);
    int code = leat_uv_try_send(&side.on.leat.sender, side.message, MESSAGE);
    return code == 0 ? 0 : complain_uv("leat_uv_try_send", code);
}

static void on_message(leat_uv_receiver_t *receiver, const leat_message *message) {
    uint64_t serial = STOP - 1; /* which is wrong */
    (void)receiver;
    if (message->size == MESSAGE)
        memcpy(&serial, message->data, sizeof serial);
    hear(message->size == MESSAGE && stamped(message->data, MESSAGE, serial) ? serial : STOP - 1);
}

static void on_peer(leat_uv_receiver_t *receiver, leat_peer peer, int status) {
    (void)receiver;
    if (peer == LEAT_PEER_PRESENT && status == 0)
        return;
    side.wrong = !side.over;
    uv_stop(&side.loop);
}

static int work_leat(struct trial *trial) {
    char to[64], from[64];
    const leat_channel_options options = {.waiting = (leat_waiting)trial->way->context};
    start(trial, say_by_leat);
    trial_channel(trial, ours(), to);
    trial_channel(trial, theirs(), from);
    int code = leat_uv_sender_open(&side.loop, &side.on.leat.sender, to, &options);
    if (code == 0)
        code = leat_uv_receiver_open(&side.loop, &side.on.leat.receiver, from, &options);
    if (code == 0)
        code = leat_uv_receiver_start(&side.on.leat.receiver, on_message, on_peer);
    return code == 0 ? go() : complain_uv("leat_uv", code);
}

/* ---------------------------------------------------------------------------------------------- */

static const struct way ways[] = {
    {"leat_uv", "a receiver and a sender in each loop, in place, answered by leat_uv_try_send", 2,
     NULL, work_leat, LEAT_WAITING_ADAPTIVE, NULL, NULL},
    {"leat_uv_sleep", "the same; sleeps at once, as the others do", 2, NULL, work_leat,
     LEAT_WAITING_SLEEP, NULL, NULL},
    {"eventfd", "a bare uv_poll on an eventfd, a serial number in shared memory", 0, prepare_bare,
     work_bare, EVENTFD, NULL, NULL},
    {"fifo", "the same with named pipes", 0, prepare_bare, work_bare, FIFO, NULL, NULL},
    {"uv_pipe", "a uv_pipe_t in each loop, answered by uv_try_write", 0, prepare_pipe, work_pipe, 0,
     NULL, NULL},
};

const struct part part_trips = {
    .name = "trips",
    .title = "Round trips between two loops",
    .ways = ways,
    .way_count = sizeof ways / sizeof *ways,
    .yardstick = 2,
    .goal = "leat_uv, and leat_uv_sleep, at most 1.05 of the eventfd",
    .figures = {{"p50, us", "p50_us", false},
                {"p99, us", "p99_us", false},
                {"CPU us a trip, both", "cpu_us", false},
                {"turns a trip, answerer", "turns", false}},
    .seconds = {0.01, 0.1, 0.3},
};
