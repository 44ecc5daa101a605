/* cmd_recv.c - `leat recv`: messages of a channel to standard output.
 *
 * Guarantees: a message is released, that is, gone from the channel, only after the system has
 * taken all of its bytes; so whatever ends this command, the next receiver goes on at the first
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

#include "common.h"
#include "figures.h"
#include "output.h"
#include "signals.h"

#define BATCH 4096
/* written and released at once, so that the sender gets room early */
#define FLUSH_BYTES ((uint64_t)256 << 10)
#define PIPE_BYTES (1 << 20)

static const char help[] =
    "Usage: leat recv NAME [--raw | --lines] [OPTION...]\n"
    "\n"
    "Writes the messages of a channel to standard output until the sender closes. A\n"
    "message is gone from the channel only after it was written: a recv that was\n"
    "interrupted can be started again and goes on.\n"
    "\n"
    "  --raw             the bytes of the messages and nothing between them; this is\n"
    "                    the default\n"
    "  --lines           each message on a line of its own: a newline follows each\n"
    "                    that does not end with one, except the last of a stream if\n"
    "                    all others had theirs (so text from 'send --lines' comes\n"
    "                    out exactly, also when its last line has no newline)\n"
    "  --count N         end after N messages; those that follow stay for the next\n"
    "                    receiver\n"
    "  --wait SECONDS    create the channel if need be, and wait so long for a\n"
    "                    sender ('forever' is possible)\n"
    "  --follow          do not end with the stream: wait without limit for the next\n"
    "                    sender\n"
    "  --capacity BYTES  of the channel, if this creates it; default 256K\n"
    "  --global          the machine's channel of that name, not this user's\n"
    "  --permissions OCTAL\n"
    "                    of the channel, if this creates it: 660, for example, for\n"
    "                    users of one group, with --global; default 600. Both sides\n"
    "                    need to read and to write\n"
    "  --json            at the end print figures as one line of JSON, the last one\n"
    "                    on standard error\n"
    "\n"
    "Exit codes: 0 end of the stream, or --count reached; 1 failed; 2 wrong usage; 3\n"
    "no such channel, or nobody has sent anything into it (see --wait); 4 no sender\n"
    "came in time; 5 the sender died, after all that it had sent was written.\n";

enum {
    OPTION_LINES = 'l',
    OPTION_RAW = 'r',
    OPTION_COUNT = 'n',
    OPTION_WAIT = 'w',
    OPTION_FOLLOW = 'F',
    OPTION_CAPACITY = 'c'
};

struct receiving {
    struct target target;
    leat_channel_options options;
    uint64_t wait_ns;
    uint64_t limit; /* messages; 0: all */
    bool has_wait, follow, lines, raw, has_limit, json, help;

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

/* Nothing there at the first look. A persistent channel into which nobody sends would keep us
 * waiting for ever; who wants that says so. */
static int on_empty(const struct receiving *receiving) {
    if (receiving->has_wait || receiving->follow ||
        leat_receiver_peer(receiving->receiver) == LEAT_PEER_PRESENT)
        return GO_ON;
    return fail_target(
        &receiving->target, END_NO_OBJECT,
        "it is empty, and nobody sends. Start 'leat send' first, or receive with --wait SECONDS.");
}

/* What leat_peek_many gave, other than LEAT_OK: GO_ON, or how the command ends. */
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
        /* News about a sender from before this command: --wait is about one that is there now. */
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
        if (receiving->has_limit && receiving->limit - receiving->messages < max)
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
            break; /* about senders from before; what counts is whether there is one */
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
    json_object_set_new(object, "messages", json_integer((json_int_t)receiving->messages));
    json_object_set_new(object, "bytes", json_integer((json_int_t)receiving->bytes));
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
        /* fewer switches between us and the program after us */
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

static bool take_option(struct receiving *receiving, int option) {
    switch (option) {
    case OPTION_HELP:
        return receiving->help = true;
    case OPTION_JSON:
        return receiving->json = true;
    case OPTION_GLOBAL:
        receiving->options.scope = LEAT_GLOBAL;
        return true;
    case OPTION_PERMISSIONS:
        return permissions_option(optarg, &receiving->options.permissions);
    case OPTION_LINES:
        return receiving->lines = true;
    case OPTION_RAW:
        return receiving->raw = true;
    case OPTION_COUNT:
        return receiving->has_limit = count_option("count", optarg, &receiving->limit);
    case OPTION_WAIT:
        return receiving->has_wait = seconds_option("wait", optarg, &receiving->wait_ns);
    case OPTION_FOLLOW:
        return receiving->follow = true;
    case OPTION_CAPACITY:
        return size_option("capacity", optarg, &receiving->options.capacity);
    default:
        fail_usage(NULL);
        return false;
    }
}

static int run(int argc, char **argv) {
    static const struct option options[] = {COMMON_OPTIONS,
                                            SCOPE_OPTION,
                                            CREATION_OPTION,
                                            {"lines", no_argument, NULL, OPTION_LINES},
                                            {"raw", no_argument, NULL, OPTION_RAW},
                                            {"count", required_argument, NULL, OPTION_COUNT},
                                            {"wait", required_argument, NULL, OPTION_WAIT},
                                            {"follow", no_argument, NULL, OPTION_FOLLOW},
                                            {"capacity", required_argument, NULL, OPTION_CAPACITY},
                                            {0}};
    struct receiving receiving = {0};
    int option;
    while ((option = getopt_long(argc, argv, "hjgn:", options, NULL)) != -1) {
        if (!take_option(&receiving, option))
            return END_USAGE;
        if (receiving.help)
            return fputs(help, stdout), END_OK;
    }
    if (receiving.lines && receiving.raw)
        return fail_usage("--lines and --raw exclude each other");
    if (!target_from_arguments(&receiving.target, "channel", receiving.options.scope == LEAT_GLOBAL,
                               argc, argv))
        return END_USAGE;
    receiving.options.scope = receiving.target.scope;
    return receive_all(&receiving);
}

const struct command command_recv = {"recv", "write a channel's messages to standard output", help,
                                     run};
