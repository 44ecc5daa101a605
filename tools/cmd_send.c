/* cmd_send.c - `leat send`: standard input to messages of a channel.
 *
 * Guarantees: the messages one after another are exactly the input (framing.h). It ends with 0 only
 * when a receiver has released all of them (or, with --keep, when all of them are in the persistent
 * channel). When it ends otherwise it reports how much was not delivered. Input is read only as
 * fast as the receiver takes it.
 *
 * States: waiting for a receiver -> sending -> draining -> over. When the receiver leaves, it waits
 * again, if the options ask for that, or else ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "arguments.h"
#include "sending.h"
#include "signals.h"

#define BATCH 4096
#define PIPE_BYTES (1 << 20) /* fewer switches between this program and the one before */

/* --- Sending ---------------------------------------------------------------------------------- */

static int send_batch(struct sending *sending, const leat_message *messages, size_t count) {
    size_t done = 0;
    while (done < count) {
        size_t sent = 0;
        uint64_t deadline = sending->keep ? leat_in_ms(100) : LEAT_FOREVER;
        int code = leat_send_many(sending->sender, messages + done, count - done, &sent, deadline);
        for (size_t end = done + sent; done < end; done++)
            sending->bytes += messages[done].size;
        sending->messages += sent;
        int end = code == LEAT_OK ? END_OK : sending_on_event(sending, code);
        if (end != END_OK)
            return end;
    }
    return END_OK;
}

static int fail_long_line(const struct sending *sending) {
    uint64_t length = sending->framing.scanned - sending->framing.start;
    return fail_target(&sending->target, END_FAILED,
                       "line %llu has %llu bytes or more, %llu is the most a message can have in "
                       "it (%s); it must be created "
                       "with --capacity %llu or more.",
                       (unsigned long long)sending->messages + 1, (unsigned long long)length,
                       (unsigned long long)sending->framing.max_message,
                       leat_error_name(LEAT_EMSGSIZE),
                       (unsigned long long)sending_capacity_for(length));
}

static int read_input(struct framing *framing) {
    struct pollfd input = {STDIN_FILENO, POLLIN, 0};
    for (;;) {
        if (signals_seen() != 0)
            return END_BY_SIGNAL + signals_seen();
        int error = framing_fill(framing, STDIN_FILENO);
        if (error == 0)
            return END_OK;
        if (error == EAGAIN) /* another program has made the terminal or pipe non-blocking */
            poll(&input, 1, -1);
        else if (error != EINTR)
            return fail_system("standard input", error);
    }
}

static int send_input(struct sending *sending) {
    static leat_message messages[BATCH];
    int end = END_OK;
    while (end == END_OK && !sending->framing.input_ended) {
        size_t count;
        end = read_input(&sending->framing);
        if (end == END_OK)
            end = sending_poll(sending);
        while (end == END_OK && (count = framing_cut(&sending->framing, messages, BATCH)) > 0)
            end = send_batch(sending, messages, count);
        if (end == END_OK && sending->framing.too_long)
            end = fail_long_line(sending);
        progress_update(&sending->progress, sending->bytes, sending->messages);
    }
    return end;
}

/* Waits until everything is delivered; a persistent channel needs no receiver for that. */
static int drain(struct sending *sending) {
    int code, end = END_OK;
    if (sending->keep)
        return END_OK;
    while (end == END_OK && (code = leat_sender_drain(sending->sender, LEAT_FOREVER)) != LEAT_OK)
        end = sending_on_event(sending, code);
    return end;
}

static void show_figures(const struct sending *sending, int end) {
    leat_statistics statistics;
    json_t *object = json_object();
    json_add_name(object, sending->target.name);
    json_object_set_new(object, "command", json_string("send"));
    json_object_set_new(object, "scope", json_string(scope_name(sending->target.scope)));
    json_object_set_new(object, "exit_code", json_integer(end));
    json_object_set_new(object, "messages", json_count(sending->messages));
    json_object_set_new(object, "bytes", json_count(sending->bytes));
    json_object_set_new(object, "seconds",
                        json_real((double)(leat_now() - sending->start_ns) / 1e9));
    leat_sender_statistics(sending->sender, &statistics);
    json_object_set_new(object, "channel", json_of_statistics(&statistics));
    json_write(object, stderr, true);
}

static int send_all(struct sending *sending) {
    signals_catch();
    int end = sending_open(sending);
    if (end == END_OK && !framing_open(&sending->framing, sending->mode, sending->frame_size,
                                       leat_sender_max_message(sending->sender)))
        end = fail_system("memory for messages", ENOMEM);
    if (end == END_OK) {
        fcntl(STDIN_FILENO, F_SETPIPE_SZ, PIPE_BYTES);
        sending->start_ns = leat_now();
        progress_start(&sending->progress, STDIN_FILENO);
        end = send_input(sending);
        if (end == END_OK)
            end = drain(sending);
        progress_finish(&sending->progress, sending->bytes, sending->messages);
        if (sending->json)
            show_figures(sending, end);
    }
    framing_close(&sending->framing);
    leat_sender_close(sending->sender);
    return end;
}

/* --- Arguments -------------------------------------------------------------------------------- */

static bool global;
static struct sending sending;

static const struct argument arguments[] = {
    {.value = "NAME", .text = &sending.target.name},
    {OPTION("lines", 0, NULL, "each line is a message, its newline included"),
     .flag = &sending.lines, .excludes = "frame"},
    {OPTION("frame", 0, "BYTES",
            "each BYTES bytes are a message; the last may be shorter. (Without --lines and "
            "--frame: what each read returns is a message, at most 64 KiB)"),
     .size = &sending.frame_size, .min = 1},
    {OPTION("wait", 0, "SECONDS",
            "create the channel if it is missing, and wait up to SECONDS for a receiver; if the "
            "receiver's process dies, wait up to SECONDS for its successor, which gets the rest"),
     .duration = &sending.wait_ns, .given = &sending.has_wait},
    {OPTION("follow", 0, NULL,
            "wait without limit for the next receiver, whether the last one died or closed"),
     .flag = &sending.follow},
    {OPTION("capacity", 0, "BYTES",
            "of the channel, if this creates it; default 256K. A message is at most half of it "
            "less 72 bytes"),
     .size = &sending.options.capacity},
    {OPTION("many", 0, NULL, "share the channel with other senders that use --many too"),
     .flag = &sending.options.many_senders},
    {OPTION("keep", 0, NULL,
            "put the messages into a persistent channel, which is created if it is missing, for "
            "a receiver that comes later; 'leat rm' removes it"),
     .flag = &sending.keep},
    GLOBAL_OPTION(&global, "channel"),
    PERMISSIONS_OPTION(&sending.options.permissions,
                       "of the channel, if this creates it: 660, for example, for users of one "
                       "group, with --global; default 600. Both sides need to read and to write"),
    JSON_OPTION(&sending.json,
                "at the end print figures as one line of JSON, the last one on standard error"),
    HELP_OPTION,
};

static int run(void) {
    sending.mode = sending.lines             ? FRAMING_LINES
                   : sending.frame_size != 0 ? FRAMING_FRAMES
                                             : FRAMING_CHUNKS;
    sending.target = target_named("channel", sending.target.name, global);
    sending.options.scope = sending.target.scope;
    return send_all(&sending);
}

const struct command command_send = {
    .name = "send",
    .summary = "send standard input through a channel",
    .about = "Sends standard input through a channel. Ends when the receiver has taken all of\n"
             "it. The messages one after another are exactly the input.\n",
    .notes = "Exit codes: 0 all delivered; 1 failed, or the receiver closed early; 2 wrong\n"
             "usage; 3 no receiver is there (see --wait); 4 no receiver came in time; 5 the\n"
             "receiver died, and no successor came in time.\n",
    .arguments = arguments,
    .run = run,
};
