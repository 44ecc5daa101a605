/* log_files.c - writes the messages of a channel to files, in order, and starts a new file when one is full.
 *
 *     log_files --rotate 100000000 --fsync telemetry /var/log/game/telemetry      telemetry.000001, telemetry.000002, ...
 *
 * A file holds whole messages: the length in 4 bytes, little-endian, then the bytes; with --lines the bytes and a newline. It is at most
 * --rotate bytes long, unless one message alone is longer. Existing files are never touched.
 *
 * Guarantees. A message leaves the channel after it was written (with --fsync: after it is on the disk), not before. So a logger that is
 * killed loses nothing as long as somebody keeps the channel open: the next logger goes on where it was, in a new file. Messages of the last batch
 * (at most 256) may then be in both files, and the old file may end inside a message; that one is whole in the new file.
 *
 * Back-pressure. One batch is written at a time, straight from the channel's memory, and nothing is received meanwhile. What comes faster
 * than the disk takes it waits in the channel; when that is full (--capacity, if the logger creates it), the sender waits, or is told.
 *
 * A full disk, or any other failure to write, is told once, and tried again every --retry milliseconds. SIGINT and SIGTERM, and with
 * --until-closed the sender's close, end the logger in order: what is being written is finished, the rest stays in the channel. If it cannot be
 * finished, the file is cut back to the batches that are whole, and the exit status is 1.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "common_uv.h"
#include "log_writer.h"

static const char *name;
static uint64_t capacity;
static bool until_closed;

static uv_loop_t loop;
static leat_uv_receiver_t receiver;
static uv_idle_t ready; /* something waits in the channel */
static leat_message batch[WRITER_MESSAGES];
static uint64_t messages_written;
static bool ending;
static int exit_status;

/* --- The end ---------------------------------------------------------------------------------------------------------------- */

static void finish(void) {
    uv_idle_stop(&ready);
    leat_uv_receiver_close(&receiver, NULL); /* what was peeked at and not released stays */
    if (!writer_close())
        exit_status = EXIT_FAILED;
}

static void fail(void) {
    exit_status = EXIT_FAILED;
    ending = true;
    finish();
}

static void end(void) {
    if (ending)
        return;
    ending = true;
    if (!writer_finish()) /* else: on_written, or on_given_up */
        finish();
}

/* --- The channel ------------------------------------------------------------------------------------------------------------ */

/* The handle is used to wait only. It is given no memory for the first message, and so leaves it in the channel and stops. What is then peeked
 * at by hand can be released whenever the program likes; not from inside the callback, where the handle still holds it, but from the loop. */
static void give_no_memory(leat_uv_receiver_t *handle, size_t size, uv_buf_t *buffer) {
    (void)handle, (void)size, (void)buffer;
}

static void take(void);

static void on_ready(uv_idle_t *idle) {
    uv_idle_stop(idle);
    take();
}

static void on_waiting(leat_uv_receiver_t *handle, ssize_t size, const uv_buf_t *buffer) {
    (void)handle, (void)size, (void)buffer; /* UV_ENOBUFS */
    if (!ending)
        uv_idle_start(&ready, on_ready);
}

static void tell(leat_peer peer) {
    tell_of_peer(name, "sender", peer);
    if (peer == LEAT_PEER_CLOSED && until_closed)
        end();
}

static void on_peer(leat_uv_receiver_t *handle, leat_peer peer, int status) {
    (void)handle;
    if (status == 0) {
        tell(peer);
        return;
    }
    complain_uv("receive from channel", name, status);
    fail();
}

static void wait_for_messages(void) {
    int result = leat_uv_receiver_start_copy(&receiver, give_no_memory, on_waiting, on_peer);
    if (result == 0)
        return;
    complain_uv("wait for channel", name, result);
    fail();
}

/* Between two batches: with the handle stopped and nothing peeked at. */
static void take(void) {
    size_t count = 0;
    leat_receiver *channel = leat_uv_receiver_channel(&receiver);
    switch (leat_peek_many(channel, batch, WRITER_MESSAGES, &count, LEAT_NOW)) {
    case LEAT_OK: writer_write(batch, count); break;
    case LEAT_ECLOSED: tell(LEAT_PEER_CLOSED); break;
    case LEAT_EPEERDIED: tell(LEAT_PEER_DIED); break;
    case LEAT_EPEERBACK: tell(LEAT_PEER_PRESENT); break;
    default: break; /* nothing; or what the handle will tell */
    }
    if (count == 0 && !ending)
        wait_for_messages();
}

static void on_written(size_t count) {
    leat_receiver *channel = leat_uv_receiver_channel(&receiver);
    int result = leat_release(channel, count);
    leat_unpeek(channel); /* the next batch may begin with what did not fit into the file */
    messages_written += count;
    if (result != LEAT_OK) {
        complain_leat("release messages of channel", name, result);
        fail();
    } else if (ending) {
        finish();
    } else {
        take();
    }
}

/* --- The beginning ---------------------------------------------------------------------------------------------------------- */

static struct writer_settings settings = {
    .rotate_bytes = (uint64_t)64 << 20, .retry_ms = 1000, .on_written = on_written, .on_given_up = finish};

static bool read_options(int argc, char **argv) {
    static const struct option options[] = {{"rotate", required_argument, NULL, 'r'}, {"capacity", required_argument, NULL, 'c'},
                                            {"retry", required_argument, NULL, 't'},  {"lines", no_argument, NULL, 'n'},
                                            {"fsync", no_argument, NULL, 'f'},        {"until-closed", no_argument, NULL, 'u'},
                                            {NULL, 0, NULL, 0}};
    bool good = true;
    for (int option; good && (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (option) {
        case 'r': good = read_number("rotate", optarg, 1, INT64_MAX, &settings.rotate_bytes); break;
        case 'c': good = read_number("capacity", optarg, 1, LEAT_CAPACITY_MAX, &capacity); break;
        case 't': good = read_number("retry", optarg, 1, 3600000, &settings.retry_ms); break;
        case 'n': settings.lines = true; break;
        case 'f': settings.sync = true; break;
        case 'u': until_closed = true; break;
        default: good = false;
        }
    if (good && optind == argc - 2) {
        name = argv[optind];
        settings.prefix = argv[optind + 1];
        return true;
    }
    fprintf(stderr, "usage: %s [--rotate BYTES] [--capacity BYTES] [--fsync] [--lines] [--retry MS] [--until-closed] CHANNEL PREFIX\n",
            argv[0]);
    return false;
}

int main(int argc, char **argv) {
    if (!read_options(argc, argv))
        return EXIT_USAGE;
    leat_channel_options options = {.capacity = capacity};
    uv_loop_init(&loop);
    uv_idle_init(&loop, &ready);
    bool begun = catch_signals(&loop, end) && open_receiver(&loop, &receiver, name, &options) && writer_open(&loop, &settings);
    if (begun) {
        wait_for_messages();
        uv_run(&loop, UV_RUN_DEFAULT);
        fprintf(stderr, "%s: %" PRIu64 " messages written\n", name, messages_written);
    }
    close_loop(&loop);
    return begun ? exit_status : EXIT_FAILED;
}
