/* log_files.c - writes the messages of a channel to files, in order, and starts a new file when one
 * is full.
 *
 *     log_files --rotate 100000000 --fsync telemetry /var/log/game/telemetry
 *         writes telemetry.000001, telemetry.000002, ...
 *
 * A file holds whole messages: the length in 4 bytes, little-endian, then the bytes; with --lines
 * the bytes and a newline. It is at most --rotate bytes long, unless one message alone is longer.
 * Existing files are never touched.
 *
 * Guarantees. A message leaves the channel after it was written (with --fsync: after it is on the
 * disk), not before. So a logger that is killed loses nothing as long as somebody keeps the channel
 * open: the next logger goes on where it was, in a new file. Messages of the last batch (at most
 * 256) may then be in both files, and the old file may end inside a message; that one is whole in
 * the new file.
 *
 * Back-pressure. Messages are held in the channel and written straight from there, one batch at a
 * time; up to 256 that come meanwhile are the next one. What comes faster than the disk takes it
 * waits in the channel; when that is full (--capacity, if the logger creates it), the sender waits,
 * or is told.
 *
 * A full disk, or any other failure to write, is told once, and tried again every --retry
 * milliseconds. SIGINT and SIGTERM, and with --until-closed the sender's close, end the logger in
 * order: what is being written is finished, and before the sender's close everything; the rest
 * stays in the channel. If it cannot be finished, the file is cut back to the batches that are
 * whole, and the exit status is 1.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common_uv.h"
#include "log_writer.h"

static const char *name;
static uint64_t capacity;
static bool until_closed;

static uv_loop_t loop;
static leat_uv_receiver_t receiver;
static leat_message held[WRITER_MESSAGES]; /* first those that are being written */
static size_t held_count;
static uint64_t messages_written;
static bool writing, closed, ending;
static int exit_status;

/* --- The end ---------------------------------------------------------------------------------- */

static void finish(void) {
    ending = true;
    leat_uv_close(&receiver.handle, NULL); /* what is held stays in the channel */
    if (!writer_close())
        exit_status = EXIT_FAILED;
}

static void end(void) {
    if (ending)
        return;
    ending = true;
    leat_uv_receiver_stop(&receiver);
    if (!writer_finish()) /* else: on_written, or on_given_up */
        finish();
}

static void fail(void) {
    exit_status = EXIT_FAILED;
    end();
}

/* --- The channel ------------------------------------------------------------------------------ */

static void write_held(void) {
    if (writing || held_count == 0)
        return;
    writing = true;
    writer_write(held, held_count);
}

/* A message is held until it is written. When there is no place for another one, the rest waits in
 * the channel. */
static void on_message(leat_uv_receiver_t *handle, const leat_message *message) {
    held[held_count++] = *message;
    if (held_count == WRITER_MESSAGES)
        leat_uv_receiver_stop(handle);
    write_held();
}

/* Comes behind the last message, which may still have to be written. */
static void on_peer(leat_uv_receiver_t *handle, leat_peer peer, int status) {
    if (status != 0) {
        complain_uv("receive from channel", name, status);
        fail();
        return;
    }
    tell_of_peer(name, "sender", peer);
    closed = peer == LEAT_PEER_CLOSED && until_closed;
    if (closed && held_count == 0)
        end();
    else if (closed)
        leat_uv_receiver_stop(handle);
}

static void receive(void) {
    if (closed || leat_uv_is_active(&receiver.handle))
        return;
    int result = leat_uv_receiver_start_held(&receiver, on_message, on_peer);
    if (result == 0)
        return;
    complain_uv("wait for channel", name, result);
    fail();
}

static void on_written(size_t count) {
    int result = leat_uv_receiver_release(&receiver, count);
    if (result != 0) {
        complain_uv("release messages of channel", name, result);
        exit_status = EXIT_FAILED;
    }
    messages_written += count;
    held_count -= count;
    memmove(held, held + count, held_count * sizeof *held);
    writing = false;
    if (result != 0 || ending || (closed && held_count == 0)) {
        finish();
        return;
    }
    write_held();
    receive();
}

/* --- The beginning ---------------------------------------------------------------------------- */

static struct writer_settings settings = {.rotate_bytes = (uint64_t)64 << 20,
                                          .retry_ms = 1000,
                                          .on_written = on_written,
                                          .on_given_up = finish};

static bool read_options(int argc, char **argv) {
    static const struct option options[] = {{"rotate", required_argument, NULL, 'r'},
                                            {"capacity", required_argument, NULL, 'c'},
                                            {"retry", required_argument, NULL, 't'},
                                            {"lines", no_argument, NULL, 'n'},
                                            {"fsync", no_argument, NULL, 'f'},
                                            {"until-closed", no_argument, NULL, 'u'},
                                            {NULL, 0, NULL, 0}};
    bool good = true;
    for (int option; good && (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (option) {
        case 'r':
            good = read_number("rotate", optarg, 1, INT64_MAX, &settings.rotate_bytes);
            break;
        case 'c':
            good = read_number("capacity", optarg, 1, LEAT_CAPACITY_MAX, &capacity);
            break;
        case 't':
            good = read_number("retry", optarg, 1, 3600000, &settings.retry_ms);
            break;
        case 'n':
            settings.lines = true;
            break;
        case 'f':
            settings.sync = true;
            break;
        case 'u':
            until_closed = true;
            break;
        default:
            good = false;
        }
    if (good && optind == argc - 2) {
        name = argv[optind];
        settings.prefix = argv[optind + 1];
        return true;
    }
    fprintf(stderr,
            "usage: %s [--rotate BYTES] [--capacity BYTES] [--fsync] [--lines] [--retry MS] "
            "[--until-closed] CHANNEL PREFIX\n",
            argv[0]);
    return false;
}

int main(int argc, char **argv) {
    if (!read_options(argc, argv))
        return EXIT_USAGE;
    leat_channel_options options = {.capacity = capacity};
    uv_loop_init(&loop);
    bool begun = catch_signals(&loop, end) && open_receiver(&loop, &receiver, name, &options) &&
                 writer_open(&loop, &settings);
    if (begun) {
        receive();
        uv_run(&loop, UV_RUN_DEFAULT);
        fprintf(stderr, "%s: %" PRIu64 " messages written\n", name, messages_written);
    }
    close_loop(&loop);
    return begun ? exit_status : EXIT_FAILED;
}
