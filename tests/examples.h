/* examples.h - what the tests of the programs in docs/examples share: starting them, and senders
 * for them. LEAT_EXAMPLES is the directory in which they are. */
#ifndef LEAT_TESTS_EXAMPLES_H
#define LEAT_TESTS_EXAMPLES_H

#include <signal.h>
#include <stdio.h>

#include "channel_pair.h"

static inline const char *example(const char *name) {
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", harness_program("LEAT_EXAMPLES", NULL), name);
    return path;
}

#define start(out, err, name, ...)                                                                 \
    harness_start_command(HARNESS_ARGV(example(name), __VA_ARGS__), NULL, out, err)

static inline void expect_failure(int exit_code, const char *text, const char *const *argv) {
    struct harness_output output;
    harness_run_command(&output, argv, NULL, 0);
    assert_int_equal(output.exit_code, exit_code);
    if (strstr(output.err, text) == NULL)
        harness_fail("no \"%s\" in: %s", text, output.err);
}

static inline void end_in_order(pid_t pid) {
    assert_int_equal(kill(pid, SIGTERM), 0);
    harness_wait_ok(pid);
}

static inline void send_number(leat_sender *sender, uint32_t number, size_t size) {
    static char message[65536];
    memcpy(message, &number, sizeof number);
    int result = leat_send(sender, message, size, LATER);
    /* an event; nothing was sent */
    while (result == LEAT_EPEERBACK || result == LEAT_EPEERDIED || result == LEAT_ECLOSED)
        result = leat_send(sender, message, size, LATER);
    assert_ok(result);
}

struct burst {
    const char *channel;
    uint32_t from, to;
    bool dies;
};

static inline int send_burst(void *context) {
    const struct burst *burst = context;
    leat_sender *sender = open_sender(burst->channel, NULL);
    for (uint32_t number = burst->from; number < burst->to; number++)
        send_number(sender, number, 100);
    if (burst->dies)
        raise(SIGKILL);
    leat_sender_close(sender);
    return 0;
}

#endif
