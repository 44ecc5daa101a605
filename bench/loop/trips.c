/* trips.c - round trips from one loop to another: the next message is sent from the callback that
 * the one before has called. The loops of "leat_uv" look for a while before they sleep, as by
 * default; those of all others sleep as soon as they have sent.
 *
 * leat_uv and uv_pipe carry 64 bytes, checked at both ends. The others are nothing but a wake-up,
 * with the serial number in a word of shared memory: what it takes to wake a loop at all. */
#include "loop.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WARM_UP_TURNS 200u

enum { EVENTFD, FIFO }; /* context of the bare ones */

/* What a side has besides. */
static struct {
    uv_poll_t child;
    int child_fd;
    uint64_t end_ns, before_ns;
    int (*say)(uint64_t serial); /* to the other side */
    uv_poll_t poll;
    uv_pipe_t pipe;
    leat_uv_sender_t sender;
    unsigned char message[MESSAGE], buffer[MESSAGE];
    size_t got; /* of the buffer */
} own;

static enum direction ours(void) {
    return side.trial->role == SENDER ? THERE : BACK;
}
static enum direction theirs(void) {
    return side.trial->role == SENDER ? BACK : THERE;
}

/* --- What all do ------------------------------------------------------------------------------ */

static int ask_first(void) {
    own.before_ns = now_ns();
    own.end_ns = own.before_ns + side.trial->duration_ns;
    return side.trial->role == SENDER ? own.say(side.serial) : 0;
}

static void ask_again(void) {
    uint64_t now = now_ns();
    if (side.serial > WARM_UP_TURNS)
        histogram_add(side.trial->times, now - own.before_ns);
    own.before_ns = now;
    side.over = now >= own.end_ns && side.serial > 2 * WARM_UP_TURNS;
    side.wrong = own.say(side.over ? STOP : side.serial) != 0;
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
        side.wrong = own.say(serial) != 0;
    }
    if (side.over || side.wrong)
        uv_stop(&side.loop);
}

static void on_exit_of_child(uv_poll_t *poll, int status, int events) {
    (void)status, (void)events;
    uv_stop(poll->loop);
}

/* The parent's loop stops when the child has ended, which it does first only when something is
 * wrong. Where the kernel has no such descriptor, the watchdog ends what hangs. */
static void start(struct trial *trial, int (*say)(uint64_t serial)) {
    memset(&own, 0, sizeof own);
    own.say = say;
    side_start(trial);
    if (trial->role == RECEIVER)
        return;
    own.child_fd = (int)syscall(SYS_pidfd_open, machine.child[0], 0);
    if (own.child_fd >= 0 && side_poll(&own.child, own.child_fd, on_exit_of_child) == 0)
        uv_unref((uv_handle_t *)&own.child);
}

/* From the meeting to the end, once everything is open. */
static int run(struct trial *trial) {
    struct told *told = trial->told;
    if (side_run(ask_first, NULL) != 0)
        return -1;
    double trips = (double)side.serial; /* those that warm up included */
    if (trial->role == RECEIVER)
        return 0;
    close(own.child_fd);
    told->figures[0] = quantile_us(trial->times, 0.5);
    told->figures[1] = quantile_us(trial->times, 0.99);
    told->figures[2] = cpu_us(trial) / trips;
    told->figures[3] = (double)told->turns[RECEIVER] / trips;
    return 0;
}

/* --- Bare wake-ups ---------------------------------------------------------------------------- */

static int wake(uint64_t serial) {
    __atomic_store_n(&side.trial->told->word[ours()], serial, __ATOMIC_RELEASE);
    return wake_descriptor(side.trial->fd[ours()][SENDER]);
}

static void on_woken(uv_poll_t *poll, int status, int events) {
    uint64_t count;
    (void)poll, (void)status, (void)events;
    if (read(side.trial->fd[theirs()][RECEIVER], &count, sizeof count) == (ssize_t)sizeof count)
        hear(__atomic_load_n(&side.trial->told->word[theirs()], __ATOMIC_ACQUIRE));
}

/* A descriptor for each end, so that each can be closed. */
static int prepare_bare(struct trial *trial) {
    int *fd = trial->fd[0];
    char *path;
    for (int i = 0; i < 4 && trial->way->context == EVENTFD; i++)
        fd[i] = i % 2 == 0 ? eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) : dup(fd[i - 1]);
    for (int i = 0; i < 4 && trial->way->context == FIFO; i += 2) {
        if ((path = private_path()) == NULL || mkfifo(path, 0600) != 0)
            return perror("mkfifo"), -1;
        fd[i] = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
        fd[i + 1] = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
        private_path_free(path);
    }
    return fd[3] < 0 ? (perror("eventfd or open"), -1) : 0;
}

static int work_bare(struct trial *trial) {
    start(trial, wake);
    return side_poll(&own.poll, trial->fd[theirs()][RECEIVER], on_woken) == 0 ? run(trial) : -1;
}

/* --- libuv's pipe ----------------------------------------------------------------------------- */

static int say_by_pipe(uint64_t serial) {
    uv_buf_t buffer = uv_buf_init((char *)own.message, MESSAGE);
    stamp(own.message, MESSAGE, serial);
    /* one message in a buffer of thousands: all of it */
    int written = uv_try_write((uv_stream_t *)&own.pipe, &buffer, 1);
    return written == MESSAGE ? 0 : check_uv("uv_try_write", written < 0 ? written : UV_EAGAIN);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *room) {
    (void)handle, (void)suggested;
    *room = uv_buf_init((char *)own.buffer + own.got, (unsigned)(MESSAGE - own.got));
}

static void hear_message(const unsigned char *message) {
    uint64_t serial;
    memcpy(&serial, message, sizeof serial);
    hear(stamped(message, MESSAGE, serial) ? serial : STOP - 1 /* which is wrong */);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *room) {
    (void)stream, (void)room;
    if (size < 0) {
        side_stop(!side.over);
        return;
    }
    own.got += (size_t)size;
    if (own.got < MESSAGE)
        return;
    own.got = 0;
    hear_message(own.buffer);
}

static int work_pipe(struct trial *trial) {
    trial_keep_end(trial);
    start(trial, say_by_pipe);
    if (pipe_take(trial, &own.pipe) != 0)
        return -1;
    int code = uv_read_start((uv_stream_t *)&own.pipe, on_room, on_read);
    return check_uv("uv_read_start", code) == 0 ? run(trial) : -1;
}

/* --- leat_uv ---------------------------------------------------------------------------------- */

static int say_by_leat(uint64_t serial) {
    stamp(own.message, MESSAGE, serial);
    return check_uv("leat_uv_try_send", leat_uv_try_send(&own.sender, own.message, MESSAGE));
}

static void on_message(leat_uv_receiver_t *receiver, const leat_message *message) {
    (void)receiver;
    if (message->size == MESSAGE)
        hear_message(message->data);
    else
        side_stop(true);
}

static int work_leat(struct trial *trial) {
    char to[64];
    const leat_channel_options options = {.spin_us = trial->way->context};
    start(trial, say_by_leat);
    trial_channel(trial, ours(), to);
    int code = leat_uv_sender_open(&side.loop, &own.sender, to, &options);
    if (check_uv("leat_uv_sender_open", code) != 0 ||
        side_receive(theirs(), 1, &options, on_message, false) != 0)
        return -1;
    return run(trial);
}

/* ---------------------------------------------------------------------------------------------- */

static const struct way ways[] = {
    WAY("leat_uv", "a receiver and a sender in each loop, in place, answered by leat_uv_try_send",
        .channels = 2, .work = work_leat),
    WAY("leat_uv_sleep", "the same; sleeps at once, as the others do", .channels = 2,
        .work = work_leat, .context = LEAT_SPIN_NONE),
    WAY("eventfd", "a bare uv_poll on an eventfd, a serial number in shared memory",
        .prepare = prepare_bare, .work = work_bare, .context = EVENTFD),
    WAY("fifo", "the same with named pipes", .prepare = prepare_bare, .work = work_bare,
        .context = FIFO),
    WAY("uv_pipe", "a uv_pipe_t in each loop, answered by uv_try_write", .prepare = stream_prepare,
        .work = work_pipe),
};

const struct part part_trips = {
    .name = "trips",
    .title = "Round trips between two loops",
    WAYS(ways),
    .yardstick = 2,
    .goal = "leat_uv, and leat_uv_sleep, at most 1.05 of the eventfd",
    .figures = {FIGURE("p50, us", "p50_us"), FIGURE("p99, us", "p99_us"),
                FIGURE("CPU us a trip, both", "cpu_us"), FIGURE("turns a trip, answerer", "turns")},
    .seconds = {0.01, 0.1, 0.3},
};
