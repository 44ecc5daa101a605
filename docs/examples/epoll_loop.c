/* epoll_loop.c - several channels, a timer and signals in one epoll loop, without libuv: the recipe
 * of docs/event-loops.md.
 *
 *     epoll_loop engine tyres weather        every second, and at the end: messages of each channel
 *     epoll_loop --print --period 5000 log   also every message, as "log: ..." with a newline
 *
 * Guarantees. Every message of every channel is counted once, in order. A channel that is flooded
 * holds up neither the others, nor the timer, nor a signal, for longer than --budget messages
 * (default 1000): after so many the loop asks the others. The process sleeps in epoll_wait, and
 * nowhere else; idle channels cost nothing. Senders may come, go and be killed at any time. SIGINT
 * and SIGTERM end it in order, with the exit status 0.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <leat/waitset.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common.h"

#define AT_ONCE 64 /* messages from one channel before the next one has its turn */

enum source { CHANNELS, TIMER, SIGNALS, SOURCES };

struct input {
    const char *name;
    leat_receiver *receiver;
    uint64_t messages, bytes;
};

static struct input *inputs;
static int input_count;
static leat_waitset *waitset;
static uint64_t budget = 1000, period_ms = 1000;
static bool print, ending;
static int exit_status;

static int epoll = -1, timer = -1, signals = -1;

static void end_with_complaint(const char *what, const char *object) {
    complain(what, object, strerror(errno), "");
    exit_status = EXIT_FAILED;
    ending = true;
}

/* --- Channels --------------------------------------------------------------------------------- */

static void use(struct input *input, const leat_message *message) {
    input->messages++;
    input->bytes += message->size;
    if (!print)
        return;
    printf("%s: ", input->name);
    fwrite(message->data, 1, message->size, stdout);
    putchar('\n');
}

/* What the channel has, up to `most`; how many that were. Any result but these ends the channel's
 * use, not the program. */
static size_t receive(struct input *input, size_t most) {
    leat_message messages[AT_ONCE];
    size_t count = 0;
    int result = leat_peek_many(input->receiver, messages, most < AT_ONCE ? most : AT_ONCE, &count,
                                LEAT_NOW);
    if (result == LEAT_OK) {
        for (size_t i = 0; i < count; i++)
            use(input, &messages[i]);
        result = leat_release(input->receiver, count);
    }
    switch (result) {
    case LEAT_OK:
    case LEAT_EAGAIN:
        break;
    case LEAT_ECLOSED:
        fprintf(stderr, "%s: the sender has closed\n", input->name);
        break;
    case LEAT_EPEERDIED:
        fprintf(stderr, "%s: the sender died\n", input->name);
        break;
    case LEAT_EPEERBACK:
        fprintf(stderr, "%s: the sender is there again\n", input->name);
        break;
    default:
        complain_leat("receive from channel", input->name, result);
        exit_status = EXIT_FAILED;
        leat_waitset_remove_receiver(input->receiver); /* else it would be ready for ever */
    }
    return count;
}

/* The recipe. leat_waitset_next has to be called until no member is ready: then every member is
 * armed, and the loop may sleep. A loop that stops before that keeps the descriptor readable. */
static void serve_channels(void) {
    for (uint64_t taken = 0; taken < budget;) {
        void *ready;
        if (leat_waitset_next(waitset, &ready) != LEAT_OK)
            return;
        size_t count = receive(ready, budget - taken);
        taken += count > 0 ? count : 1; /* events of a sender count too */
    }
    leat_waitset_again(waitset);
}

/* --- The others ------------------------------------------------------------------------------- */

static void report(void) {
    for (int i = 0; i < input_count; i++)
        printf("%s: %" PRIu64 " messages, %" PRIu64 " bytes\n", inputs[i].name, inputs[i].messages,
               inputs[i].bytes);
}

static void on_timer(void) {
    uint64_t expirations;
    if (read(timer, &expirations, sizeof expirations) == (ssize_t)sizeof expirations)
        report();
}

static void on_signal(void) {
    struct signalfd_siginfo info;
    if (read(signals, &info, sizeof info) == (ssize_t)sizeof info)
        ending = true;
}

/* --- The loop --------------------------------------------------------------------------------- */

static bool watch(int descriptor, enum source source, const char *what) {
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = source}; /* level-triggered */
    if (descriptor >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0)
        return true;
    end_with_complaint("wait for", what);
    return false;
}

static void run(void) {
    struct epoll_event events[SOURCES];
    while (!ending) {
        int count = epoll_wait(epoll, events, SOURCES, -1);
        if (count < 0 && errno != EINTR)
            end_with_complaint("wait in", "epoll");
        for (int i = 0; i < count && !ending; i++)
            switch (events[i].data.u32) {
            case CHANNELS:
                serve_channels();
                break;
            case TIMER:
                on_timer();
                break;
            case SIGNALS:
                on_signal();
                break;
            }
        fflush(stdout); /* before it sleeps */
    }
}

static bool open_input(struct input *input, const char *name) {
    *input = (struct input){.name = name};
    int result = leat_receiver_open(&input->receiver, name, NULL);
    if (result == LEAT_OK)
        result = leat_waitset_add_receiver(waitset, input->receiver, input);
    if (result != LEAT_OK)
        complain_leat("receive from channel", name, result);
    return result == LEAT_OK;
}

static bool open_channels(char **names) {
    int result = leat_waitset_open(&waitset);
    if (result != LEAT_OK) {
        complain_leat("wait for channels in", "epoll", result);
        return false;
    }
    for (int i = 0; i < input_count; i++)
        if (!open_input(&inputs[i], names[i]))
            return false;
    return true;
}

static bool open_others(void) {
    sigset_t wanted;
    struct timespec period = {(time_t)(period_ms / 1000), (long)(period_ms % 1000) * 1000000};
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGINT);
    sigaddset(&wanted, SIGTERM);
    sigprocmask(SIG_BLOCK, &wanted, NULL);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    signals = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    timerfd_settime(timer, 0, &(struct itimerspec){period, period}, NULL);
    return watch(signals, SIGNALS, "signals") && watch(timer, TIMER, "the timer") &&
           watch(leat_waitset_descriptor(waitset), CHANNELS, "channels");
}

static void close_all(void) {
    for (int i = 0; i < input_count; i++)
        /* NULL is allowed; this takes it out of the wait set */
        leat_receiver_close(inputs[i].receiver);
    leat_waitset_close(waitset);
    const int descriptors[] = {timer, signals, epoll};
    for (int i = 0; i < 3; i++)
        if (descriptors[i] >= 0)
            close(descriptors[i]);
    free(inputs);
}

static bool read_options(int argc, char **argv) {
    static const struct option options[] = {{"budget", required_argument, NULL, 'b'},
                                            {"period", required_argument, NULL, 'p'},
                                            {"print", no_argument, NULL, 'v'},
                                            {NULL, 0, NULL, 0}};
    bool good = true;
    for (int option; good && (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (option) {
        case 'b':
            good = read_number("budget", optarg, 1, UINT32_MAX, &budget);
            break;
        case 'p':
            good = read_number("period", optarg, 1, 86400000, &period_ms);
            break;
        case 'v':
            print = true;
            break;
        default:
            good = false;
        }
    input_count = argc - optind;
    if (good && input_count > 0)
        return true;
    fprintf(stderr, "usage: %s [--budget MESSAGES] [--period MS] [--print] CHANNEL...\n", argv[0]);
    return false;
}

int main(int argc, char **argv) {
    if (!read_options(argc, argv))
        return EXIT_USAGE;
    inputs = calloc((size_t)input_count, sizeof *inputs);
    bool begun = inputs != NULL && open_channels(argv + optind) && open_others();
    if (begun) {
        run();
        report();
    }
    close_all();
    return begun ? exit_status : EXIT_FAILED;
}
