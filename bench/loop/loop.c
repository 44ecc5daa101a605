/* loop.c - what the parts of `leat bench loop` share; see loop.h. */
#include "loop.h"
#include "machine.h"

#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

int complain_uv(const char *call, int code) {
    fprintf(stderr, "\n%s: %s (%s)\n", call, uv_strerror(code), leat_error_detail());
    return -1;
}

void trial_keep_end(struct trial *trial) {
    int *other = &trial->fd[THERE][trial->role == SENDER ? RECEIVER : SENDER];
    close(*other);
    *other = -1;
}

double cpu_us(const struct trial *trial) {
    return (double)(trial->told->usage[SENDER].cpu_ns + trial->told->usage[RECEIVER].cpu_ns) / 1e3;
}

static void on_turn(uv_check_t *check) {
    ++*(uint64_t *)check->data;
}

void turns_count(uv_check_t *check, uv_loop_t *loop, uint64_t *count) {
    uv_check_init(loop, check); /* these cannot fail */
    uv_check_start(check, on_turn);
    uv_unref((uv_handle_t *)check);
    check->data = count;
}

static void on_exit_of_child(uv_poll_t *poll, int status, int events) {
    (void)status, (void)events;
    uv_stop(poll->loop);
}

void stop_with_child(uv_poll_t *poll, uv_loop_t *loop, int *descriptor) {
    *descriptor = (int)syscall(SYS_pidfd_open, machine.child[0], 0);
    if (*descriptor < 0 || uv_poll_init(loop, poll, *descriptor) != 0)
        return; /* where there is no such thing, the watchdog ends what hangs */
    uv_poll_start(poll, UV_READABLE, on_exit_of_child);
    uv_unref((uv_handle_t *)poll);
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

int loop_end(uv_loop_t *loop) {
    leat_uv_walk(loop, close_leat, NULL);
    uv_walk(loop, close_uv, NULL);
    uv_run(loop, UV_RUN_DEFAULT);
    int code = uv_loop_close(loop);
    return code == 0 ? 0 : complain_uv("uv_loop_close", code);
}
