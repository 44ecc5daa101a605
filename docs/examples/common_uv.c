/* common_uv.c - see common_uv.h. */
#include "common_uv.h"

#include <signal.h>
#include <stdio.h>

void complain_uv(const char *what, const char *name, int status) {
    int code = leat_error_last();
    if (leat_uv_error(code) == status)
        complain_leat(what, name, code);
    else
        complain(what, name, uv_strerror(status), "");
}

bool open_receiver(uv_loop_t *loop, leat_uv_receiver_t *receiver, const char *name,
                   const leat_channel_options *options) {
    int result = leat_uv_receiver_open(loop, receiver, name, options);
    if (result != 0)
        complain_uv("receive from channel", name, result);
    return result == 0;
}

bool open_sender(uv_loop_t *loop, leat_uv_sender_t *sender, const char *name,
                 const leat_channel_options *options) {
    int result = leat_uv_sender_open(loop, sender, name, options);
    if (result != 0)
        complain_uv("send to channel", name, result);
    return result == 0;
}

void tell_of_peer(const char *name, const char *who, leat_peer peer) {
    fprintf(stderr, "%s: the %s %s\n", name, who,
            peer == LEAT_PEER_PRESENT  ? "is there"
            : peer == LEAT_PEER_CLOSED ? "has closed"
                                       : "died");
}

static void (*end)(void);

static void on_signal(uv_signal_t *handle, int number) {
    (void)handle, (void)number;
    end();
}

bool catch_signals(uv_loop_t *loop, void (*on_end)(void)) {
    static uv_signal_t handles[2];
    static const int numbers[2] = {SIGINT, SIGTERM};
    signal(SIGPIPE, SIG_IGN);
    end = on_end;
    for (int i = 0; i < 2; i++) {
        uv_signal_init(loop, &handles[i]);
        uv_unref((uv_handle_t *)&handles[i]);
        int result = uv_signal_start(&handles[i], on_signal, numbers[i]);
        if (result != 0) {
            complain("listen for signal", numbers[i] == SIGINT ? "SIGINT" : "SIGTERM",
                     uv_strerror(result), "");
            return false;
        }
    }
    return true;
}

static void close_leat(leat_uv_handle_t *handle, void *context) {
    (void)context;
    leat_uv_close(handle, NULL);
}

static void close_uv(uv_handle_t *handle, void *context) {
    (void)context;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

void close_loop(uv_loop_t *loop) {
    leat_uv_walk(loop, close_leat, NULL); /* first: uv_walk meets handles of leat_uv too */
    uv_walk(loop, close_uv, NULL);
    uv_run(loop, UV_RUN_DEFAULT);
    uv_loop_close(loop);
}
