/* fan_out_tcp.c - a TCP server that gives every connected client the messages of a channel.
 *
 *     fan_out_tcp telemetry                       prints "listening on 127.0.0.1:41873"
 *     fan_out_tcp --port 5000 --lines telemetry   each message as a line: nc 127.0.0.1 5000
 *
 * Guarantees. A client gets every message that is received after it was accepted, whole and in
 * order: its length in 4 bytes, little-endian, then its bytes; with --lines its bytes and a
 * newline. The connection may end inside a message: that one does not count.
 *
 * Clients never hold up the sender. What a client has not taken waits for it, up to --limit bytes
 * and one batch (64 KiB, or one larger message). Beyond that it is disconnected: what it got has no
 * gaps. With --skip it stays, and misses whole messages until it has caught up. At most --clients
 * are there at a time; one more is disconnected at once.
 *
 * Clients come and go, and so does the sender: the stream goes on with its successor. SIGINT and
 * SIGTERM end the server in order: it leaves the channel, clients get what already waits for them
 * (within a second; a second signal: at once), and the exit status is 0.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common_uv.h"
#include "fan_out_clients.h"

#define BATCH_BYTES 65536
#define LAST_CHANCE_MS 1000

static const char *name;
static bool lines;
static struct clients_settings settings = {.host = "127.0.0.1", .limit = 1 << 20, .most = 100};

static uv_loop_t loop;
static leat_uv_receiver_t receiver;
static uv_prepare_t before_sleep;

static struct batch *batch; /* being filled, or NULL */
static uint64_t messages;
static bool ending;
static int exit_status;

/* --- Batches ---------------------------------------------------------------------------------- */

/* A batch is what one turn of the loop has received, so that a flood costs a client one write for
 * hundreds of messages, and a single message does not wait: whatever a loop does, its prepare hooks
 * are called before it sleeps. */
static void flush(void) {
    struct batch *full = batch;
    if (full == NULL)
        return;
    batch = NULL;
    struct batch *fitted = realloc(full, sizeof *full + full->size);
    full = fitted != NULL ? fitted : full;
    clients_give(full);
    clients_drop_batch(full);
}

static void flush_before_sleep(uv_prepare_t *handle) {
    (void)handle;
    flush();
}

static bool make_room(size_t size) {
    if (batch != NULL && batch->room - batch->size < size)
        flush();
    if (batch != NULL)
        return true;
    size_t room = size > BATCH_BYTES ? size : BATCH_BYTES;
    batch = malloc(sizeof *batch + room);
    if (batch != NULL)
        *batch = (struct batch){.holders = 1, .room = room};
    return batch != NULL;
}

static void append(const void *data, size_t size) {
    if (size > 0)
        memcpy(batch->data + batch->size, data, size);
    batch->size += size;
}

/* --- The channel and the end ------------------------------------------------------------------ */

static void end(int status) {
    exit_status = status != 0 ? status : exit_status;
    if (ending) {
        clients_disconnect_all();
        return;
    }
    ending = true;
    flush();
    leat_uv_close(&receiver.handle, NULL);
    clients_finish(LAST_CHANCE_MS);
}

static void on_signal(void) {
    end(0);
}

static void on_message(leat_uv_receiver_t *handle, const leat_message *message) {
    (void)handle;
    messages++;
    if (clients_counts().connected == 0)
        return;
    if (!make_room(message->size + 4)) {
        complain("pass on a message of channel", name, "out of memory",
                 "lower --limit or --clients");
        end(EXIT_FAILED);
        return;
    }
    for (int shift = 0; shift < 32 && !lines; shift += 8)
        append(&(unsigned char){(unsigned char)(message->size >> shift)}, 1);
    append(message->data, message->size);
    if (lines)
        append("\n", 1);
    batch->messages++;
}

static void on_peer(leat_uv_receiver_t *handle, leat_peer peer, int status) {
    (void)handle;
    if (status != 0) {
        complain("receive from channel", name, uv_strerror(status),
                 "end its users and remove it ('leat rm')");
        end(EXIT_FAILED);
        return;
    }
    tell_of_peer(name, "sender", peer);
}

/* --- The beginning ---------------------------------------------------------------------------- */

/* The hook does not keep the loop running: what it is for does. */
static bool begin(void) {
    uv_prepare_init(&loop, &before_sleep);
    uv_prepare_start(&before_sleep, flush_before_sleep);
    uv_unref((uv_handle_t *)&before_sleep);
    settings.before_join = flush; /* a batch is for those who were there when it was begun */
    if (!catch_signals(&loop, on_signal) || !open_receiver(&loop, &receiver, name, NULL))
        return false;
    int result = leat_uv_receiver_start(&receiver, on_message, on_peer);
    if (result != 0)
        complain_uv("wait for channel", name, result);
    return result == 0 && clients_listen(&loop, &settings);
}

static bool read_options(int argc, char **argv) {
    static const struct option options[] = {{"port", required_argument, NULL, 'p'},
                                            {"host", required_argument, NULL, 'h'},
                                            {"limit", required_argument, NULL, 'l'},
                                            {"clients", required_argument, NULL, 'c'},
                                            {"lines", no_argument, NULL, 'n'},
                                            {"skip", no_argument, NULL, 's'},
                                            {NULL, 0, NULL, 0}};
    bool good = true;
    for (int option; good && (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (option) {
        case 'p':
            good = read_number("port", optarg, 0, 65535, &settings.port);
            break;
        case 'h':
            settings.host = optarg;
            break;
        case 'l':
            good = read_number("limit", optarg, 0, (uint64_t)1 << 40, &settings.limit);
            break;
        case 'c':
            good = read_number("clients", optarg, 1, 1000000, &settings.most);
            break;
        case 'n':
            lines = true;
            break;
        case 's':
            settings.skip = true;
            break;
        default:
            good = false;
        }
    if (good && optind == argc - 1) {
        name = argv[optind];
        return true;
    }
    fprintf(stderr,
            "usage: %s [--port N] [--host ADDRESS] [--lines] [--limit BYTES] [--clients N] "
            "[--skip] CHANNEL\n",
            argv[0]);
    return false;
}

int main(int argc, char **argv) {
    if (!read_options(argc, argv))
        return EXIT_USAGE;
    uv_loop_init(&loop);
    bool begun = begin();
    if (begun)
        uv_run(&loop, UV_RUN_DEFAULT);
    close_loop(&loop);
    struct clients_counts counts = clients_counts();
    if (begun)
        fprintf(stderr,
                "%s: %" PRIu64 " messages received, %" PRIu64 " clients dropped, %" PRIu64
                " messages skipped\n",
                name, messages, counts.dropped, counts.skipped);
    return begun ? exit_status : EXIT_FAILED;
}
