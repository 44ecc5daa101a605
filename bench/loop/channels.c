/* channels.c - many channels in one loop, a loop that idles, and a timer beside a flood. The parent
 * has the senders, and no loop. */
#include "loop.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#define CAPACITY 4096u   /* of each channel: a thousand of them are only to be there */
#define PAUSE_NS 200000u /* between messages: long enough for the loop to sleep */
#define SETTLE_NS 200000000u
#define PAUSED_LEAST 20u   /* messages, however short the trial */
#define NOWHERE UINT32_MAX /* the channel of the last message */

/* Context: which channel gets the next message; of a timer, what its channel does. */
enum { ANY, SAME, QUIET, FLOODED };

struct content {
    uint64_t serial, sent_ns;
    uint32_t channel, padding[9];
    uint64_t serial_again;
};
_Static_assert(sizeof(struct content) == MESSAGE, "");

static leat_sender *senders[CHANNELS_MAX];

/* The child's. */
static struct intake {
    struct trial *trial;
    uv_loop_t loop;
    uv_check_t turns;
    uv_timer_t timer;
    uv_poll_t poll;
    leat_uv_receiver_t receivers[CHANNELS_MAX];
    uint64_t serial, calls, turns_before, calls_before, first_ns, last_ns;
    struct usage usage;
    bool over, wrong, counts; /* counts: the warming up is over */
    struct histogram *times;
} intake;

static leat_channel_options channel_options(const struct trial *trial) {
    bool many = trial->way->context < QUIET; /* asleep at once: what is counted are wake-ups */
    return (leat_channel_options){.capacity = many ? CAPACITY : LEAT_CAPACITY_DEFAULT,
                                  .waiting = many ? LEAT_WAITING_SLEEP : LEAT_WAITING_ADAPTIVE};
}

static void sleep_ns(uint64_t ns) {
    const struct timespec time = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    nanosleep(&time, NULL);
}

/* A thousand channels need as many descriptors, and their senders twice as many. */
static void allow_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* --- The loop --------------------------------------------------------------------------------- */

static void start_counting(void) {
    intake.counts = true;
    intake.turns_before = intake.trial->told->turns[RECEIVER];
    intake.calls_before = intake.calls;
    usage_add(&intake.usage, UINT64_MAX);
}

static void finish(bool wrong) {
    intake.wrong = intake.wrong || wrong;
    intake.over = true;
    uv_stop(&intake.loop);
}

static void hear(const struct content *content, uint32_t channel) {
    uint64_t now = now_ns();
    if (content->channel == NOWHERE) {
        finish(false);
        return;
    }
    if (content->serial != intake.serial || content->serial_again != intake.serial ||
        content->channel != channel) {
        finish(true);
        return;
    }
    intake.serial++;
    /* each channel has been rung for */
    if (intake.serial > intake.trial->way->channels + PAUSED_LEAST) {
        if (!intake.counts)
            start_counting();
        else
            histogram_add(intake.times, now - content->sent_ns);
    }
    __atomic_store_n(&intake.trial->told->received, intake.serial, __ATOMIC_RELEASE);
}

static void on_content(leat_uv_receiver_t *receiver, const leat_message *message) {
    intake.calls++;
    if (message->size == MESSAGE)
        hear(message->data, (uint32_t)(receiver - intake.receivers));
    else
        finish(true);
}

static void on_peer(leat_uv_receiver_t *receiver, leat_peer peer, int status) {
    (void)receiver;
    intake.calls++;
    if (status != 0 || (peer == LEAT_PEER_DIED && !intake.over))
        finish(true);
}

static int open_receivers(struct trial *trial, leat_uv_message_cb on_message) {
    const leat_channel_options options = channel_options(trial);
    int code = 0;
    for (unsigned i = 0; i < trial->way->channels && code == 0; i++) {
        char name[64];
        trial_channel(trial, i, name);
        code = leat_uv_receiver_open(&intake.loop, &intake.receivers[i], name, &options);
        if (code == 0)
            code = leat_uv_receiver_start(&intake.receivers[i], on_message, on_peer);
    }
    return code == 0 ? 0 : complain_uv("leat_uv_receiver_open", code);
}

static int open_loop(struct trial *trial, leat_uv_message_cb on_message) {
    memset(&intake, 0, sizeof intake);
    intake.trial = trial;
    intake.times = must_allocate(1, sizeof *intake.times);
    allow_descriptors();
    uv_loop_init(&intake.loop);
    turns_count(&intake.turns, &intake.loop, &trial->told->turns[RECEIVER]);
    return open_receivers(trial, on_message);
}

static int run_loop(void) {
    uv_run(&intake.loop, UV_RUN_DEFAULT);
    return intake.wrong || !intake.over ? -1 : 0;
}

static int close_loop(void) {
    free(intake.times);
    return loop_end(&intake.loop);
}

/* --- The senders ------------------------------------------------------------------------------ */

static int open_senders(const struct trial *trial) {
    const leat_channel_options options = channel_options(trial);
    allow_descriptors();
    for (unsigned i = 0; i < trial->way->channels; i++) {
        char name[64];
        trial_channel(trial, i, name);
        int code = leat_sender_open(&senders[i], name, &options);
        if (code != LEAT_OK)
            return check_leat("leat_sender_open", code);
    }
    return 0;
}

static void close_senders(const struct trial *trial) {
    for (unsigned i = 0; i < trial->way->channels; i++)
        leat_sender_close(senders[i]);
}

static int send_to(uint32_t channel, uint64_t serial, uint64_t sent_ns) {
    struct content content = {
        .serial = serial, .sent_ns = sent_ns, .channel = channel, .serial_again = serial};
    int code = leat_send(senders[channel == NOWHERE ? 0 : channel], &content, sizeof content,
                         LEAT_FOREVER);
    return code == LEAT_OK ? 0 : check_leat("leat_send", code);
}

/* Sends to that channel and waits until the loop has it. */
static int deliver(const struct trial *trial, uint32_t channel, uint64_t *serial) {
    return send_to(channel, (*serial)++, now_ns()) != 0
               ? -1
               : probe_wait(&trial->told->received, *serial);
}

/* A sender finds its receiver's loop when it rings for the first time. */
static int warm_up(const struct trial *trial, uint64_t *serial) {
    for (unsigned i = 0; i < trial->way->channels; i++)
        if (deliver(trial, i, serial) != 0)
            return -1;
    return 0;
}

/* --- One message on one of many --------------------------------------------------------------- */

/* Of the child. */
static void note_arrivals(void) {
    struct told *told = intake.trial->told;
    double count = (double)intake.times->count + 1; /* the last message, which ends it, too */
    usage_add(&intake.usage, 1);
    told->figures[0] = quantile_us(intake.times, 0.5);
    told->figures[1] = quantile_us(intake.times, 0.99);
    told->figures[2] = (double)(told->turns[RECEIVER] - intake.turns_before) / count;
    told->figures[3] = (double)(intake.calls - intake.calls_before) / count;
    told->figures[4] = (double)intake.usage.switches / count;
    told->figures[5] = (double)intake.usage.cpu_ns / 1e3 / count;
}

static int hear_arrivals(struct trial *trial) {
    if (open_loop(trial, on_content) != 0 || trial_begin(trial) != 0 || run_loop() != 0)
        return -1;
    note_arrivals();
    return trial_end(trial) != 0 ? -1 : close_loop();
}

static int send_arrivals(struct trial *trial) {
    uint64_t serial = 0, random = 88172645463325252u;
    if (open_senders(trial) != 0 || trial_begin(trial) != 0 || warm_up(trial, &serial) != 0)
        return -1;
    uint64_t end = now_ns() + trial->duration_ns, least = serial + 4 * PAUSED_LEAST;
    while (serial < least || now_ns() < end) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        uint32_t channel =
            trial->way->context == SAME ? 0 : (uint32_t)(random % trial->way->channels);
        sleep_ns(PAUSE_NS);
        if (deliver(trial, channel, &serial) != 0)
            return -1;
    }
    if (send_to(NOWHERE, serial, 0) != 0 || trial_end(trial) != 0)
        return -1;
    close_senders(trial);
    return 0;
}

static int work_arrivals(struct trial *trial) {
    return trial->role == SENDER ? send_arrivals(trial) : hear_arrivals(trial);
}

/* What it takes to wake a loop at all: an eventfd, with the same content in memory. */
static struct content *posted;

static int prepare_eventfd(struct trial *trial) {
    if (posted == NULL)
        posted = map_shared(sizeof *posted);
    trial->fd[THERE][RECEIVER] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return trial->fd[THERE][RECEIVER] < 0 ? (perror("eventfd"), -1) : 0;
}

static void on_woken(uv_poll_t *poll, int status, int events) {
    uint64_t count;
    (void)poll, (void)status, (void)events;
    intake.calls++;
    if (read(intake.trial->fd[THERE][RECEIVER], &count, sizeof count) == (ssize_t)sizeof count)
        hear(posted, 0);
}

static int hear_eventfd(struct trial *trial) {
    if (open_loop(trial, on_content) != 0)
        return -1;
    int code = uv_poll_init(&intake.loop, &intake.poll, trial->fd[THERE][RECEIVER]);
    if (code == 0)
        code = uv_poll_start(&intake.poll, UV_READABLE, on_woken);
    if (code != 0)
        return complain_uv("uv_poll", code);
    if (trial_begin(trial) != 0 || run_loop() != 0)
        return -1;
    note_arrivals();
    return trial_end(trial) != 0 ? -1 : close_loop();
}

static int post(const struct trial *trial, uint32_t channel, uint64_t serial) {
    const uint64_t one = 1;
    *posted = (struct content){
        .serial = serial, .sent_ns = now_ns(), .channel = channel, .serial_again = serial};
    return write(trial->fd[THERE][RECEIVER], &one, sizeof one) == (ssize_t)sizeof one
               ? 0
               : (perror("write"), -1);
}

static int work_eventfd(struct trial *trial) {
    uint64_t serial = 0;
    if (trial->role == RECEIVER)
        return hear_eventfd(trial);
    if (trial_begin(trial) != 0)
        return -1;
    for (uint64_t end = now_ns() + trial->duration_ns; serial < 4 * PAUSED_LEAST || now_ns() < end;
         serial++) {
        sleep_ns(PAUSE_NS);
        if (post(trial, 0, serial) != 0 || probe_wait(&trial->told->received, serial + 1) != 0)
            return -1;
    }
    sleep_ns(PAUSE_NS);
    return post(trial, NOWHERE, serial) != 0 ? -1 : trial_end(trial);
}

static const struct way arrivals[] = {
    {"1", "one channel of 4 KiB", 1, NULL, work_arrivals, ANY, NULL, NULL},
    {"10", "ten channels of 4 KiB, the message on any of them", 10, NULL, work_arrivals, ANY, NULL,
     NULL},
    {"1000", "a thousand channels of 4 KiB, the message on any of them", 1000, NULL, work_arrivals,
     ANY, NULL, NULL},
    {"1000_same", "the same, the message always on the same one", 1000, NULL, work_arrivals, SAME,
     NULL, NULL},
    {"eventfd", "no channel: a bare uv_poll on an eventfd", 0, prepare_eventfd, work_eventfd, ANY,
     NULL, NULL},
};

const struct part part_channels = {
    .name = "channels",
    .title = "One message every 200 us, on one of so many channels of a loop that sleeps",
    .ways = arrivals,
    .way_count = sizeof arrivals / sizeof *arrivals,
    .yardstick = 0,
    .goal = "1000 as 1",
    .figures = {{"send to callback p50, us", "p50_us", false},
                {"p99, us", "p99_us", false},
                {"turns a message", "turns", false},
                {"callbacks a message", "callbacks", false},
                {"wake-ups a message", "wakeups", false},
                {"CPU us a message", "cpu_us", false}},
    .seconds = {0.01, 0.2, 0.5},
};

/* --- Idling ----------------------------------------------------------------------------------- */

struct observed {
    uint64_t run_ns, switches, turns;
};

/* What the kernel knows of the child, which is not woken for it. */
static int observe(const struct trial *trial, struct observed *observed) {
    char path[64], line[256];
    unsigned long long value = 0;
    snprintf(path, sizeof path, "/proc/%d/schedstat", machine.child[0]);
    FILE *file = fopen(path, "r");
    int found = file != NULL ? fscanf(file, "%llu", &value) : 0;
    if (file != NULL)
        fclose(file);
    observed->run_ns = value;
    observed->turns = __atomic_load_n(&trial->told->turns[RECEIVER], __ATOMIC_RELAXED);
    snprintf(path, sizeof path, "/proc/%d/status", machine.child[0]);
    if (found != 1 || (file = fopen(path, "r")) == NULL)
        return perror(path), -1;
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "voluntary_ctxt_switches: %llu", &value) == 1)
            observed->switches = value;
    fclose(file);
    return 0;
}

static int watch_idling(struct trial *trial) {
    struct observed before = {0}, after = {0};
    uint64_t serial = 0;
    if (open_senders(trial) != 0 || trial_begin(trial) != 0 || warm_up(trial, &serial) != 0)
        return -1;
    sleep_ns(SETTLE_NS);
    if (observe(trial, &before) != 0)
        return -1;
    sleep_ns(trial->duration_ns);
    if (observe(trial, &after) != 0 || send_to(NOWHERE, serial, 0) != 0 || trial_end(trial) != 0)
        return -1;
    close_senders(trial);
    trial->told->figures[0] = (double)(after.turns - before.turns);
    trial->told->figures[1] = (double)(after.switches - before.switches);
    trial->told->figures[2] = (double)(after.run_ns - before.run_ns) / 1e3;
    trial->told->figures[3] = (double)trial->duration_ns / 1e9;
    return 0;
}

static int idle(struct trial *trial) {
    if (open_loop(trial, on_content) != 0 || trial_begin(trial) != 0 || run_loop() != 0 ||
        trial_end(trial) != 0)
        return -1;
    return close_loop();
}

static int work_idle(struct trial *trial) {
    return trial->role == SENDER ? watch_idling(trial) : idle(trial);
}

static const struct way idlers[] = {
    {"1000", "a thousand channels whose senders are there and silent", 1000, NULL, work_idle, ANY,
     NULL, NULL},
};

const struct part part_idle = {
    .name = "idle",
    .title = "A loop with a thousand idle channels",
    .sleeps = true,
    .ways = idlers,
    .way_count = 1,
    .yardstick = 0,
    .goal = "0, 0, 0",
    .figures = {{"turns", "turns", false},
                {"wake-ups", "wakeups", false},
                {"CPU us", "cpu_us", false},
                {"in seconds", "seconds", false}},
    .seconds = {0.02, 1, 10},
};

/* --- A timer beside a flood ------------------------------------------------------------------- */

static void on_tick(uv_timer_t *timer) {
    uint64_t now = now_ns();
    (void)timer;
    if (intake.first_ns == 0)
        intake.first_ns = now;
    else
        histogram_add(intake.times, now - intake.last_ns);
    intake.last_ns = now;
}

static void on_flood(leat_uv_receiver_t *receiver, const leat_message *message) {
    struct content content;
    if (message->size != MESSAGE) {
        finish(true);
        return;
    }
    memcpy(&content, message->data, MESSAGE);
    if (content.channel == NOWHERE)
        finish(false);
    else if (content.serial != intake.serial++ || content.serial_again != content.serial ||
             receiver != intake.receivers)
        finish(true);
}

static void note_ticks(void) {
    double *figures = intake.trial->told->figures,
           seconds = (double)(intake.last_ns - intake.first_ns) / 1e9;
    figures[0] = seconds > 0 ? (double)intake.times->count / seconds : 0;
    figures[1] = quantile_us(intake.times, 0.5);
    figures[2] = quantile_us(intake.times, 0.99);
    figures[3] = quantile_us(intake.times, 1);
    figures[4] = seconds > 0 ? (double)intake.serial / 1e6 / seconds : 0;
}

static int tick(struct trial *trial) {
    if (open_loop(trial, on_flood) != 0)
        return -1;
    uv_timer_init(&intake.loop, &intake.timer);
    int code = uv_timer_start(&intake.timer, on_tick, 1, 1);
    if (code != 0)
        return complain_uv("uv_timer_start", code);
    if (trial_begin(trial) != 0 || run_loop() != 0)
        return -1;
    note_ticks();
    return trial_end(trial) != 0 ? -1 : close_loop();
}

static int flood(struct trial *trial) {
    uint64_t serial = 0;
    if (open_senders(trial) != 0 || trial_begin(trial) != 0)
        return -1;
    uint64_t end = now_ns() + trial->duration_ns;
    if (trial->way->context == QUIET)
        sleep_ns(trial->duration_ns);
    while (trial->way->context == FLOODED && (serial % CLOCK_EVERY != 0 || now_ns() < end))
        if (send_to(0, serial++, 0) != 0)
            return -1;
    if (send_to(NOWHERE, serial, 0) != 0 || trial_end(trial) != 0)
        return -1;
    close_senders(trial);
    return 0;
}

static int work_timer(struct trial *trial) {
    return trial->role == SENDER ? flood(trial) : tick(trial);
}

static const struct way timers[] = {
    {"quiet", "a timer due every millisecond, and a channel that is silent", 1, NULL, work_timer,
     QUIET, NULL, NULL},
    {"flooded", "the same, and leat_send as fast as it goes", 1, NULL, work_timer, FLOODED, NULL,
     NULL},
};

const struct part part_timer = {
    .name = "timer",
    .title = "A timer due every millisecond",
    .ways = timers,
    .way_count = 2,
    .yardstick = 0,
    .goal = "flooded within 0.2 of quiet",
    .figures = {{"ticks/s", "ticks_per_s", false},
                {"between ticks p50, us", "p50_us", false},
                {"p99, us", "p99_us", false},
                {"most, us", "max_us", false},
                {"million messages/s", "messages_per_us", false}},
    .seconds = {0.05, 0.5, 2},
};
