/* cmd_recv.c - `leat recv`: messages of a channel to standard output.
 *
 * Guarantees: a message is released, that is, gone from the channel, only after the system has
 * taken all of its bytes; so whatever ends this command, the next receiver continues at the first
 * message that was not written whole. Everything that a sender sent before it closed or died is
 * delivered before that is reported.
 *
 * States: waiting for a sender -> receiving -> over. With --follow the end of a stream leads back
 * to waiting.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "arguments.h"
#include "figures.h"
#include "output.h"
#include "signals.h"

#define BATCH 4096
/* written and released at once, so that the sender gets room early */
#define FLUSH_BYTES ((uint64_t)256 << 10)
#define PIPE_BYTES (1 << 20)

struct receiving {
    struct target target;
    leat_channel_options options;
    uint64_t wait_ns;
    uint64_t limit; /* messages */
    bool has_wait, follow, lines, raw, json;

    leat_receiver *receiver;
    struct progress progress;
    uint64_t messages, bytes; /* written and released */
    uint64_t start_ns;
    /* --lines. Text from `send --lines` can lack a newline only at the very end, where none may be
     * added. So the first missing newline is written when another message follows, and from then on
     * they are added at once. */
    bool newline_owed, sender_has_none;
};

static struct output output;

/* --- Writing ---------------------------------------------------------------------------------- */

static int add_message(struct receiving *receiving, const leat_message *message) {
    int error = 0;
    if (!receiving->lines)
        return output_add(&output, message->data, message->size);
    const char *bytes = message->data;
    bool terminated = message->size > 0 && bytes[message->size - 1] == '\n';
    if (receiving->newline_owed) {
        receiving->newline_owed = false;
        receiving->sender_has_none = true;
        error = output_add(&output, "\n", 1);
    }
    if (error == 0)
        error = output_add(&output, message->data, message->size);
    if (error != 0 || terminated)
        return error;
    receiving->newline_owed = !receiving->sender_has_none;
    return receiving->sender_has_none ? output_add(&output, "\n", 1) : 0;
}

static int end_of_output(int error) {
    if (error == EPIPE)
        return END_BY_SIGNAL + SIGPIPE; /* quietly, as the standard tools */
    return error == EINTR ? END_BY_SIGNAL + signals_seen() : fail_system("standard output", error);
}

static int release(struct receiving *receiving, const leat_message *messages, size_t count) {
    for (size_t i = 0; i < count; i++)
        receiving->bytes += messages[i].size;
    receiving->messages += count;
    int code = count == 0 ? LEAT_OK : leat_release(receiving->receiver, count);
    return code == LEAT_OK ? END_OK : fail_leat(&receiving->target, code, NULL);
}

/* Writes the messages and releases each after it was written, also when writing ends early. */
static int deliver(struct receiving *receiving, const leat_message *messages, size_t count) {
    static uint64_t ends[BATCH]; /* where in the output each message ends */
    size_t added = 0, released = 0;
    int error = 0;
    while (error == 0 && released < count) {
        while (error == 0 && added < count && output.added - output.written < FLUSH_BYTES) {
            error = add_message(receiving, &messages[added]);
            ends[added] = output.added;
            added += error == 0;
        }
        if (error == 0)
            error = output_flush(&output);
        size_t out = released;
        while (out < added && ends[out] <= output.written)
            out++;
        int end = release(receiving, messages + released, out - released);
        if (end != END_OK)
            return end;
        released = out;
        progress_update(&receiving->progress, receiving->bytes, receiving->messages);
    }
    return error == 0 ? END_OK : end_of_output(error);
}

static int write_owed_newline(struct receiving *receiving) {
    if (!receiving->newline_owed)
        return END_OK;
    receiving->newline_owed = false;
    int error = output_add(&output, "\n", 1);
    error = error == 0 ? output_flush(&output) : error;
    return error == 0 ? END_OK : end_of_output(error);
}

/* --- Receiving -------------------------------------------------------------------------------- */

enum { GO_ON = -1 };

/* The first poll found nothing. A persistent channel without a sender would block without end;
 * --wait and --follow ask for that. */
static int on_empty(const struct receiving *receiving) {
    if (receiving->has_wait || receiving->follow ||
        leat_receiver_peer(receiving->receiver) == LEAT_PEER_PRESENT)
        return GO_ON;
    return fail_target(&receiving->target, END_NO_OBJECT,
                       "it is empty, and there is no sender. Start 'leat send' first, or receive "
                       "with --wait SECONDS.");
}

/* Handles a result of leat_peek_many other than LEAT_OK: GO_ON, or how the command ends. */
static int on_event(struct receiving *receiving, int code) {
    bool fresh = receiving->has_wait && receiving->messages == 0;
    switch (code) {
    case LEAT_EPEERBACK:
        return GO_ON;
    case LEAT_EINTR:
        return signals_seen() == 0 ? GO_ON : END_BY_SIGNAL + signals_seen();
    case LEAT_EAGAIN:
        return on_empty(receiving);
    case LEAT_ECLOSED:
    case LEAT_EPEERDIED:
        receiving->newline_owed = receiving->sender_has_none = false;
        /* An event of an earlier sender: --wait is about a sender that is there now. */
        if (fresh && leat_receiver_peer(receiving->receiver) == LEAT_PEER_PRESENT)
            return GO_ON;
        break;
    default:
        progress_clear(&receiving->progress);
        return fail_leat(&receiving->target, code, NULL);
    }
    if (code == LEAT_ECLOSED)
        return receiving->follow ? GO_ON : END_OK;
    progress_clear(&receiving->progress);
    if (receiving->follow) {
        note_target(&receiving->target, "the sender's process died; waiting for the next one");
        return GO_ON;
    }
    return fail_target(&receiving->target, END_PEER_DIED,
                       "the sender's process died (LEAT_EPEERDIED); everything it had sent was "
                       "written. With --follow recv "
                       "waits for its successor.");
}

static int receive(struct receiving *receiving) {
    static leat_message messages[BATCH];
    uint64_t deadline = LEAT_NOW;
    int end = GO_ON;
    while (end == GO_ON) {
        size_t count = 0, max = BATCH;
        if (signals_seen() != 0)
            return END_BY_SIGNAL + signals_seen();
        if (receiving->limit - receiving->messages < max)
            max = (size_t)(receiving->limit - receiving->messages);
        if (max == 0)
            return write_owed_newline(receiving);
        int code = leat_peek_many(receiving->receiver, messages, max, &count, deadline);
        deadline = LEAT_FOREVER;
        if (code != LEAT_OK)
            end = on_event(receiving, code);
        else if ((end = deliver(receiving, messages, count)) == END_OK)
            end = GO_ON;
    }
    return end;
}

/* --- Opening ---------------------------------------------------------------------------------- */

static int await_sender(struct receiving *receiving) {
    uint64_t deadline = leat_in_ns(receiving->wait_ns);
    for (;;) {
        int code = leat_receiver_wait_peer(receiving->receiver, deadline);
        switch (code) {
        case LEAT_OK:
            return END_OK;
        case LEAT_EINTR:
            if (signals_seen() != 0)
                return END_BY_SIGNAL + signals_seen();
            break;
        case LEAT_ECLOSED:
        case LEAT_EPEERDIED:
        case LEAT_EPEERBACK:
            break; /* events of earlier senders; what counts is whether a sender is there */
        case LEAT_ETIMEDOUT:
        case LEAT_EAGAIN:
            return fail_target(&receiving->target, END_TIMED_OUT,
                               "no sender came in time. Start 'leat send', or wait longer.");
        default:
            return fail_leat(&receiving->target, code, NULL);
        }
    }
}

static int open_channel(struct receiving *receiving) {
    leat_channel_info info;
    struct figure size;
    const struct target *target = &receiving->target;
    receiving->options.mode = receiving->has_wait ? LEAT_OPEN_OR_CREATE : LEAT_OPEN;
    receiving->options.interruptible = true;
    int code = leat_receiver_open(&receiving->receiver, target->name, &receiving->options);
    if (code != LEAT_OK)
        return fail_leat(
            target, code,
            code == LEAT_ENOENT
                ? "start 'leat send NAME --wait SECONDS' first, or receive with --wait SECONDS"
            : code == LEAT_EBUSY ? "it has a receiver, and can have only one: end that one first"
                                 : NULL);
    if (receiving->options.capacity != 0 &&
        leat_receiver_info(receiving->receiver, &info) == LEAT_OK && !info.created &&
        info.capacity < receiving->options.capacity)
        note_target(target, "it exists already, with a capacity of %s; --capacity changes nothing",
                    figure_bytes(&size, info.capacity));
    return receiving->has_wait ? await_sender(receiving) : END_OK;
}

static void show_figures(const struct receiving *receiving, int end) {
    leat_statistics statistics;
    json_t *object = json_object();
    json_add_name(object, receiving->target.name);
    json_object_set_new(object, "command", json_string("recv"));
    json_object_set_new(object, "scope", json_string(scope_name(receiving->target.scope)));
    json_object_set_new(object, "exit_code", json_integer(end));
    json_object_set_new(object, "messages", json_count(receiving->messages));
    json_object_set_new(object, "bytes", json_count(receiving->bytes));
    json_object_set_new(object, "seconds",
                        json_real((double)(leat_now() - receiving->start_ns) / 1e9));
    leat_receiver_statistics(receiving->receiver, &statistics);
    json_object_set_new(object, "channel", json_of_statistics(&statistics));
    json_write(object, stderr, true);
}

static int receive_all(struct receiving *receiving) {
    signals_catch();
    int end = open_channel(receiving);
    if (end == END_OK) {
        /* fewer switches between this program and the next one */
        fcntl(STDOUT_FILENO, F_SETPIPE_SZ, PIPE_BYTES);
        output_open(&output, STDOUT_FILENO);
        receiving->start_ns = leat_now();
        progress_start(&receiving->progress, STDOUT_FILENO);
        end = receive(receiving);
        progress_finish(&receiving->progress, receiving->bytes, receiving->messages);
        if (receiving->json)
            show_figures(receiving, end);
    }
    leat_receiver_close(receiving->receiver);
    return end;
}

/* --- Arguments -------------------------------------------------------------------------------- */

static bool global;
static struct receiving receiving = {.limit = UINT64_MAX};

static const struct argument arguments[] = {
    {.value = "NAME", .text = &receiving.target.name},
    {OPTION("raw", 0, NULL,
            "write the bytes of the messages and nothing between them; this is the default"),
     .flag = &receiving.raw, .excludes = "lines"},
    {OPTION("lines", 0, NULL,
            "write each message on a line of its own: a newline follows each message that does "
            "not end with one, except the last of a stream if all others had theirs (so text "
            "from 'send --lines' comes out exactly, even if its last line has no newline)"),
     .flag = &receiving.lines},
    {OPTION("count", 'n', "N", "end after N messages; later ones stay for the next receiver"),
     .count = &receiving.limit},
    {OPTION("wait", 0, "SECONDS",
            "create the channel if it is missing, and wait up to SECONDS for a sender"),
     .duration = &receiving.wait_ns, .given = &receiving.has_wait},
    {OPTION("follow", 0, NULL,
            "do not end with the stream: wait without limit for the next sender"),
     .flag = &receiving.follow},
    {OPTION("capacity", 0, "BYTES", "of the channel, if this creates it; default 256K"),
     .size = &receiving.options.capacity},
    GLOBAL_OPTION(&global, "channel"),
    PERMISSIONS_OPTION(&receiving.options.permissions,
                       "of the channel, if this creates it: 660, for example, for users of one "
                       "group, with --global; default 600. Both sides need to read and to write"),
    JSON_OPTION(&receiving.json,
                "at the end print figures as one line of JSON, the last one on standard error"),
    HELP_OPTION,
};

static int run(void) {
    receiving.target = target_named("channel", receiving.target.name, global);
    receiving.options.scope = receiving.target.scope;
    return receive_all(&receiving);
}

const struct command command_recv = {
    .name = "recv",
    .summary = "write a channel's messages to standard output",
    .about = "Writes the messages of a channel to standard output until the sender closes. A\n"
             "message leaves the channel only after it was written: an interrupted recv can\n"
             "be started again and goes on.\n",
    .notes = "Exit codes: 0 end of the stream, or --count reached; 1 failed; 2 wrong usage; 3\n"
             "no such channel, or it is empty and has no sender (see --wait); 4 no sender\n"
             "came in time; 5 the sender died, after all that it had sent was written.\n",
    .arguments = arguments,
    .run = run,
};
