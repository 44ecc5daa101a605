/* loop.c - what the parts of `leat bench loop` share; see loop.h. */
#include "loop.h"

#include <sys/socket.h>
#include <unistd.h>

struct side side;
leat_sender *senders[CHANNELS_MAX];

int check_uv(const char *call, int code) {
    if (code == 0)
        return 0;
    fprintf(stderr, "\n%s: %s (%s)\n", call, uv_strerror(code), leat_error_detail());
    return -1;
}

double cpu_us(const struct trial *trial) {
    return (double)(trial->told->usage[SENDER].cpu_ns + trial->told->usage[RECEIVER].cpu_ns) / 1e3;
}

/* --- Descriptors ------------------------------------------------------------------------------ */

int stream_prepare(struct trial *trial) {
    return unix_connect(SOCK_STREAM, LEAT_CAPACITY_DEFAULT, trial->fd[THERE]);
}

void trial_keep_end(struct trial *trial) {
    int *other = &trial->fd[THERE][trial->role == SENDER ? RECEIVER : SENDER];
    close(*other);
    *other = -1;
}

int pipe_take(struct trial *trial, uv_pipe_t *pipe) {
    uv_pipe_init(&side.loop, pipe, 0);
    int code = uv_pipe_open(pipe, trial->fd[THERE][trial->role]);
    if (code == 0)
        trial->fd[THERE][trial->role] = -1;
    return check_uv("uv_pipe_open", code);
}

int wake_descriptor(int descriptor) {
    const uint64_t one = 1;
    return write(descriptor, &one, sizeof one) == (ssize_t)sizeof one ? 0 : (perror("write"), -1);
}

int side_poll(uv_poll_t *poll, int descriptor, uv_poll_cb on_readable) {
    int code = uv_poll_init(&side.loop, poll, descriptor);
    return check_uv("uv_poll", code != 0 ? code : uv_poll_start(poll, UV_READABLE, on_readable));
}

/* --- The side --------------------------------------------------------------------------------- */

static void on_turn(uv_check_t *check) {
    ++*(uint64_t *)check->data;
}

void side_start(struct trial *trial) {
    memset(&side, 0, sizeof side);
    side.trial = trial;
    uv_loop_init(&side.loop);
    uv_check_init(&side.loop, &side.turns); /* these cannot fail */
    uv_check_start(&side.turns, on_turn);
    uv_unref((uv_handle_t *)&side.turns);
    side.turns.data = &trial->told->turns[trial->role];
}

void side_stop(bool wrong) {
    side.wrong = side.wrong || wrong;
    side.over = true;
    uv_stop(&side.loop);
}

static void on_peer(leat_uv_receiver_t *receiver, leat_peer peer, int status) {
    (void)receiver;
    side.calls++;
    if (status != 0 || (peer == LEAT_PEER_DIED && !side.over))
        side_stop(true);
}

int side_receive(unsigned first, unsigned count, const leat_channel_options *options,
                 leat_uv_message_cb on_message, bool held) {
    int code = 0;
    allow_descriptors();
    for (unsigned i = 0; i < count && code == 0; i++) {
        char name[64];
        trial_channel(side.trial, first + i, name);
        code = leat_uv_receiver_open(&side.loop, &side.receivers[i], name, options);
        if (code == 0)
            code = (held ? leat_uv_receiver_start_held
                         : leat_uv_receiver_start)(&side.receivers[i], on_message, on_peer);
    }
    return check_uv("leat_uv_receiver_open", code);
}

static void close_leat(leat_uv_handle_t *handle, void *unused) {
    (void)unused;
    leat_uv_close(handle, NULL);
}

static void close_uv(uv_handle_t *handle, void *unused) {
    (void)unused;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

int side_run(int (*first)(void), void (*note)(void)) {
    if (trial_begin(side.trial) != 0 || (first != NULL && first() != 0))
        return -1;
    uv_run(&side.loop, UV_RUN_DEFAULT);
    if (note != NULL)
        note();
    if (side.wrong || !side.over || trial_end(side.trial) != 0)
        return -1;
    leat_uv_walk(&side.loop, close_leat, NULL);
    uv_walk(&side.loop, close_uv, NULL);
    uv_run(&side.loop, UV_RUN_DEFAULT);
    return check_uv("uv_loop_close", uv_loop_close(&side.loop));
}

/* --- Senders ---------------------------------------------------------------------------------- */

int senders_open(const struct trial *trial, const leat_channel_options *options) {
    int result = 0;
    allow_descriptors();
    for (unsigned i = 0; i < trial->way->channels && result == 0; i++) {
        char name[64];
        trial_channel(trial, i, name);
        result = check_leat("leat_sender_open", leat_sender_open(&senders[i], name, options));
    }
    return result;
}

void senders_close(const struct trial *trial) {
    for (unsigned i = 0; i < trial->way->channels; i++)
        leat_sender_close(senders[i]);
}
