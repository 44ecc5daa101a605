/* echo_pair.c - two processes, two libuv loops, two channels: one sends, the other sends it back,
 * and the first measures how long that took.
 *
 *     echo_pair --count 100000 --size 64
 *     round trip of 64 B, 1 in flight, 100000 messages: p50 6.9 us, p99 28.1 us, max 4295.8 us;
 *     100760 messages/s
 *
 * It starts the second process itself, as `echo_pair --answer NAME`, and ends when every message is
 * back; as many as a tenth of --count, at most 1000, go before those that are counted. --window:
 * messages in flight.
 *
 * Guarantees. Every answer is checked to be the next one. Each side notices the other's death: the
 * answering one then ends, the measuring one says so and exits with 1, as after SIGINT and SIGTERM.
 * No queue grows without limit: the answering side stops receiving while 64 answers wait for room.
 * What is measured includes a loop that sleeps and is woken, when the other side takes longer than
 * it likes to stay awake.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common_uv.h"

#define QUEUE_MOST 64

static uint64_t count = 100000, size = 64, window = 1, warm_up;
static const char *answer_for;
static char there[64], back[64];

static uv_loop_t loop;
static leat_uv_receiver_t in;
static leat_uv_sender_t out;
static uv_process_t other;
static int exit_status;

static void close_both(void) {
    leat_uv_close(&in.handle, NULL);
    leat_uv_close(&out.handle, NULL);
}

static void interrupt(void) {
    exit_status = answer_for == NULL ? EXIT_FAILED : 0;
    close_both();
}

static void fail(const char *what, const char *channel, int status) {
    complain_uv(what, channel, status);
    exit_status = EXIT_FAILED;
    close_both();
}

static bool open_both(const char *from, const char *to, leat_uv_message_cb on_message,
                      leat_uv_peer_cb on_peer) {
    leat_channel_options options = {.capacity =
                                        4 * size > LEAT_CAPACITY_DEFAULT ? 4 * size + 4096 : 0};
    if (!open_receiver(&loop, &in, from, &options) || !open_sender(&loop, &out, to, &options))
        return false;
    int result = leat_uv_receiver_start(&in, on_message, on_peer);
    if (result != 0)
        complain_uv("wait for channel", from, result);
    return result == 0;
}

/* --- The answering side ----------------------------------------------------------------------- */

struct answer {
    leat_uv_send_t request;
    char bytes[];
};

static unsigned answers_waiting;

static void on_message(leat_uv_receiver_t *receiver, const leat_message *message);
static void on_asker(leat_uv_receiver_t *receiver, leat_peer peer, int status);

static void on_answered(leat_uv_send_t *request, int status) {
    (void)status; /* cancelled: it is closed */
    free(request->data);
    if (--answers_waiting > 0 || leat_uv_is_closing(&in.handle))
        return;
    int result = leat_uv_receiver_start(&in, on_message, on_asker);
    if (result != 0 && result != UV_EALREADY)
        fail("wait for channel", there, result);
}

/* The message is in the channel until the callback returns; what cannot be sent at once has to be
 * copied. */
static void answer_later(const leat_message *message) {
    struct answer *answer = malloc(sizeof *answer + message->size);
    int result = UV_ENOMEM;
    if (answer != NULL) {
        answer->request.data = answer;
        memcpy(answer->bytes, message->data, message->size);
        result = leat_uv_send(&answer->request, &out, answer->bytes, message->size, on_answered);
    }
    if (result != 0) {
        free(answer);
        fail("answer on channel", back, result);
    } else if (++answers_waiting == QUEUE_MOST) {
        leat_uv_receiver_stop(&in);
    }
}

static void on_message(leat_uv_receiver_t *receiver, const leat_message *message) {
    (void)receiver;
    int result = leat_uv_try_send(&out, message->data, message->size);
    if (result == UV_EAGAIN)
        answer_later(message);
    else if (result != 0)
        fail("answer on channel", back, result);
}

static void on_asker(leat_uv_receiver_t *receiver, leat_peer peer, int status) {
    (void)receiver;
    if (status != 0)
        fail("receive from channel", there, status);
    else if (peer != LEAT_PEER_PRESENT)
        close_both();
}

/* --- The measuring side ----------------------------------------------------------------------- */

static char *question;
static uint64_t *times_ns; /* when it was sent; then how long it took */
static uint64_t sent, answered, began_ns;

static void send_next(void) {
    if (sent == warm_up)
        began_ns = uv_hrtime();
    memcpy(question, &sent, sizeof sent);
    times_ns[sent] = uv_hrtime();
    int result = leat_uv_try_send(&out, question, size);
    if (result == 0)
        sent++;
    else if (result != UV_EAGAIN) /* else: on_room */
        fail("send to channel", there, result);
}

static void send_more(void) {
    uint64_t before;
    do {
        before = sent;
        if (sent < warm_up + count && sent - answered < window)
            send_next();
    } while (sent != before);
}

static void on_room(leat_uv_sender_t *sender) {
    (void)sender;
    send_more();
}

static int compare(const void *one, const void *other_one) {
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other_one;
    return (a > b) - (a < b);
}

static void report(void) {
    uint64_t *counted = times_ns + warm_up;
    double seconds = (double)(uv_hrtime() - began_ns) / 1e9;
    qsort(counted, count, sizeof *counted, compare);
    printf("round trip of %" PRIu64 " B, %" PRIu64 " in flight, %" PRIu64
           " messages: p50 %.1f us, p99 %.1f us, max %.1f us; "
           "%.0f messages/s\n",
           size, window, count, (double)counted[(count - 1) / 2] / 1e3,
           (double)counted[(count - 1) * 99 / 100] / 1e3, (double)counted[count - 1] / 1e3,
           (double)count / seconds);
}

static void on_answer(leat_uv_receiver_t *receiver, const leat_message *message) {
    (void)receiver;
    uint64_t number = UINT64_MAX;
    if (message->size == size)
        memcpy(&number, message->data, sizeof number);
    if (number != answered) {
        complain("measure with", back, "the answer is not to the question",
                 "is another program using the channel?");
        exit_status = EXIT_FAILED;
        close_both();
        return;
    }
    times_ns[number] = uv_hrtime() - times_ns[number];
    if (++answered < warm_up + count) {
        send_more();
        return;
    }
    report();
    close_both(); /* the other process sees it, and ends */
}

static void on_answerer(leat_uv_receiver_t *receiver, leat_peer peer, int status) {
    (void)receiver;
    if (peer == LEAT_PEER_PRESENT || answered == warm_up + count)
        return;
    complain("measure with", back,
             status != 0 ? uv_strerror(status) : "the answering process has gone",
             "start it again");
    exit_status = EXIT_FAILED;
    close_both();
}

static void on_exit_of_other(uv_process_t *process, int64_t status, int signal_number) {
    uv_close((uv_handle_t *)process, NULL);
    if ((status == 0 && signal_number == 0) || exit_status != 0)
        return;
    complain("measure with", back, "the answering process failed", "see its message above");
    exit_status = EXIT_FAILED;
    close_both();
}

static bool start_other(char *program) {
    char number[24];
    snprintf(number, sizeof number, "%" PRIu64, size);
    char *arguments[] = {program, (char[]){"--answer"}, there, (char[]){"--size"}, number, NULL};
    uv_stdio_container_t streams[3] = {
        {.flags = UV_IGNORE}, {.flags = UV_IGNORE}, {.flags = UV_INHERIT_FD, .data.fd = 2}};
    uv_process_options_t options = {.file = "/proc/self/exe",
                                    .args = arguments,
                                    .exit_cb = on_exit_of_other,
                                    .stdio = streams,
                                    .stdio_count = 3};
    int result = uv_spawn(&loop, &other, &options);
    if (result != 0)
        complain("start the answering process", program, uv_strerror(result), "");
    return result == 0;
}

static bool begin_measuring(char *program) {
    question = calloc(1, size);
    times_ns = calloc(warm_up + count, sizeof *times_ns);
    if (question == NULL || times_ns == NULL) {
        complain("measure", program, "out of memory", "lower --count");
        return false;
    }
    if (!open_both(back, there, on_answer, on_answerer))
        return false;
    int result = leat_uv_sender_start(&out, on_room, NULL);
    if (result != 0)
        complain_uv("wait for channel", there, result);
    if (result != 0 || !start_other(program))
        return false;
    send_more(); /* what is sent waits for whoever comes */
    return true;
}

/* --- Both ------------------------------------------------------------------------------------- */

static bool read_options(int argc, char **argv) {
    static const struct option options[] = {{"count", required_argument, NULL, 'c'},
                                            {"size", required_argument, NULL, 's'},
                                            {"window", required_argument, NULL, 'w'},
                                            {"answer", required_argument, NULL, 'a'},
                                            {NULL, 0, NULL, 0}};
    bool good = true;
    for (int option; good && (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (option) {
        case 'c':
            good = read_number("count", optarg, 1, 100000000, &count);
            break;
        case 's':
            good = read_number("size", optarg, 8, 1 << 20, &size);
            break;
        case 'w':
            good = read_number("window", optarg, 1, 100000000, &window);
            break;
        case 'a':
            answer_for = optarg;
            break;
        default:
            good = false;
        }
    if (good && optind == argc)
        return true;
    fprintf(stderr, "usage: %s [--count N] [--size BYTES] [--window N]\n", argv[0]);
    return false;
}

static void name_channels(void) {
    if (answer_for != NULL)
        snprintf(there, sizeof there, "%s", answer_for);
    else
        snprintf(there, sizeof there, "echo-pair-%ld", (long)getpid());
    snprintf(back, sizeof back, "%.58s-back", there);
}

int main(int argc, char **argv) {
    if (!read_options(argc, argv))
        return EXIT_USAGE;
    name_channels();
    warm_up = count / 10 < 1000 ? count / 10 : 1000;
    uv_loop_init(&loop);
    if (catch_signals(&loop, interrupt) &&
        (answer_for != NULL ? open_both(there, back, on_message, on_asker)
                            : begin_measuring(argv[0])))
        uv_run(&loop, UV_RUN_DEFAULT);
    else
        exit_status = EXIT_FAILED;
    close_loop(&loop);
    free(question);
    free(times_ns);
    return exit_status;
}
