/* channels.c - many channels in one loop, a loop that idles, and a timer beside a flood. The parent
 * has the senders, and no loop. */
#include "loop.h"

#include <sys/eventfd.h>
#include <unistd.h>

#define CAPACITY 4096u   /* of each channel: a thousand of them are only to be there */
#define PAUSE_NS 200000u /* between messages: long enough for the loop to sleep */
#define SETTLE_NS 200000000u
#define PAUSED_LEAST 20u   /* messages, however short the trial */
#define NOWHERE UINT32_MAX /* the channel of the last message */

/* Context: which channel gets the next message, or none, as the message is in memory and only woken
 * for; of a timer, what its channel does. */
enum { ANY, SAME, POSTED, QUIET, FLOODED };

struct content {
    uint64_t serial, sent_ns;
    uint32_t channel, padding[9];
    uint64_t serial_again;
};
_Static_assert(sizeof(struct content) == MESSAGE, "");

/* What the child's side has besides. */
static struct {
    uv_timer_t timer;
    uv_poll_t poll;
    uint64_t turns_before, calls_before, first_ns, last_ns;
    struct usage usage;
    bool counts; /* the warming up is over */
} own;

static leat_channel_options channel_options(const struct trial *trial) {
    bool many = trial->way->context < QUIET; /* asleep at once: what is counted are wake-ups */
    return (leat_channel_options){.capacity = many ? CAPACITY : LEAT_CAPACITY_DEFAULT,
                                  .spin_us = many ? LEAT_SPIN_NONE : 0};
}

/* --- The loop --------------------------------------------------------------------------------- */

static void start_counting(void) {
    own.counts = true;
    own.turns_before = side.trial->told->turns[RECEIVER];
    own.calls_before = side.calls;
    usage_add(&own.usage, UINT64_MAX);
}

static bool is_right(const struct content *content, uint32_t channel) {
    return content->serial == side.serial && content->serial_again == side.serial &&
           content->channel == channel;
}

static void hear(const struct content *content, uint32_t channel) {
    uint64_t now = now_ns();
    if (content->channel == NOWHERE || !is_right(content, channel)) {
        side_stop(content->channel != NOWHERE);
        return;
    }
    side.serial++;
    /* each channel has been sent to */
    if (side.serial > side.trial->way->channels + PAUSED_LEAST) {
        if (!own.counts)
            start_counting();
        else
            histogram_add(side.trial->times, now - content->sent_ns);
    }
    __atomic_store_n(&side.trial->told->received, side.serial, __ATOMIC_RELEASE);
}

static void on_content(leat_uv_receiver_t *receiver, const leat_message *message) {
    side.calls++;
    if (message->size == MESSAGE)
        hear(message->data, (uint32_t)(receiver - side.receivers));
    else
        side_stop(true);
}

/* The message that an eventfd stands for: what it takes to wake a loop at all. */
static struct content *posted;

static void on_posted(uv_poll_t *poll, int status, int events) {
    uint64_t count;
    (void)poll, (void)status, (void)events;
    side.calls++;
    if (read(side.trial->fd[THERE][RECEIVER], &count, sizeof count) == (ssize_t)sizeof count)
        hear(posted, 0);
}

static int open_loop(struct trial *trial, leat_uv_message_cb on_message) {
    const leat_channel_options options = channel_options(trial);
    memset(&own, 0, sizeof own);
    side_start(trial);
    if (trial->way->context == POSTED)
        return side_poll(&own.poll, trial->fd[THERE][RECEIVER], on_posted);
    return side_receive(0, trial->way->channels, &options, on_message, false);
}

/* --- The senders ------------------------------------------------------------------------------ */

static int open_senders(const struct trial *trial) {
    const leat_channel_options options = channel_options(trial);
    return senders_open(trial, &options);
}

static int send_to(const struct trial *trial, uint32_t channel, uint64_t serial, uint64_t sent_ns) {
    const struct content content = {
        .serial = serial, .sent_ns = sent_ns, .channel = channel, .serial_again = serial};
    if (trial->way->context == POSTED) {
        *posted = content;
        return wake_descriptor(trial->fd[THERE][RECEIVER]);
    }
    return check_leat("leat_send", leat_send(senders[channel == NOWHERE ? 0 : channel], &content,
                                             sizeof content, LEAT_FOREVER));
}

/* The last message, which ends the child's loop. */
static int send_end(struct trial *trial, uint64_t serial) {
    if (send_to(trial, NOWHERE, serial, 0) != 0 || trial_end(trial) != 0)
        return -1;
    senders_close(trial);
    return 0;
}

/* Sends to that channel and waits until the loop has it. */
static int deliver(const struct trial *trial, uint32_t channel, uint64_t *serial) {
    return send_to(trial, channel, (*serial)++, now_ns()) != 0
               ? -1
               : probe_wait(&trial->told->received, *serial);
}

/* A sender finds its receiver's loop when it wakes it for the first time. */
static int warm_up(const struct trial *trial, uint64_t *serial) {
    for (unsigned i = 0; i < trial->way->channels; i++)
        if (deliver(trial, i, serial) != 0)
            return -1;
    return 0;
}

/* --- One message on one of many --------------------------------------------------------------- */

/* Of the child. */
static void note_arrivals(void) {
    struct told *told = side.trial->told;
    double count = (double)side.trial->times->count + 1; /* the last message, which ends it, too */
    usage_add(&own.usage, 1);
    told->figures[0] = quantile_us(side.trial->times, 0.5);
    told->figures[1] = quantile_us(side.trial->times, 0.99);
    told->figures[2] = (double)(told->turns[RECEIVER] - own.turns_before) / count;
    told->figures[3] = (double)(side.calls - own.calls_before) / count;
    told->figures[4] = (double)own.usage.switches / count;
    told->figures[5] = (double)own.usage.cpu_ns / 1e3 / count;
}

static int send_arrivals(struct trial *trial) {
    uint64_t serial = 0, random = 88172645463325252u;
    if (open_senders(trial) != 0 || trial_begin(trial) != 0 || warm_up(trial, &serial) != 0)
        return -1;
    uint64_t end = now_ns() + trial->duration_ns, least = serial + 4 * PAUSED_LEAST;
    while (serial < least || now_ns() < end) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        uint32_t channel =
            trial->way->context == ANY ? (uint32_t)(random % trial->way->channels) : 0;
        sleep_ns(PAUSE_NS);
        if (deliver(trial, channel, &serial) != 0)
            return -1;
    }
    return send_end(trial, serial);
}

static int work_arrivals(struct trial *trial) {
    if (trial->role == SENDER)
        return send_arrivals(trial);
    return open_loop(trial, on_content) == 0 ? side_run(NULL, note_arrivals) : -1;
}

static int prepare_eventfd(struct trial *trial) {
    if (posted == NULL)
        posted = map_shared(sizeof *posted);
    trial->fd[THERE][RECEIVER] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return trial->fd[THERE][RECEIVER] < 0 ? (perror("eventfd"), -1) : 0;
}

static const struct way arrivals[] = {
    WAY("1", "one channel of 4 KiB", .channels = 1, .work = work_arrivals),
    WAY("10", "ten channels of 4 KiB, the message on any of them", .channels = 10,
        .work = work_arrivals),
    WAY("1000", "a thousand channels of 4 KiB, the message on any of them", .channels = 1000,
        .work = work_arrivals),
    WAY("1000_same", "the same, the message always on the same one", .channels = 1000,
        .work = work_arrivals, .context = SAME),
    WAY("eventfd", "no channel: a bare uv_poll on an eventfd", .prepare = prepare_eventfd,
        .work = work_arrivals, .context = POSTED),
};

const struct part part_channels = {
    .name = "channels",
    .title = "One message every 200 us, on one of so many channels of a loop that sleeps",
    WAYS(arrivals),
    .goal = "1000 as 1",
    .figures = {FIGURE("send to callback p50, us", "p50_us"), FIGURE("p99, us", "p99_us"),
                FIGURE("turns a message", "turns"), FIGURE("callbacks a message", "callbacks"),
                FIGURE("wake-ups a message", "wakeups"), FIGURE("CPU us a message", "cpu_us")},
    .seconds = {0.01, 0.2, 0.5},
};

/* --- Idling ----------------------------------------------------------------------------------- */

struct observed {
    uint64_t run_ns, switches, turns;
};

/* What the kernel knows of the child, which is not woken for it. */
static int observe(const struct trial *trial, struct observed *observed) {
    char path[64], line[256];
    unsigned long long value;
    snprintf(path, sizeof path, "/proc/%d/schedstat", machine.child[0]);
    observed->run_ns = (uint64_t)number_in(path, 0, 0);
    observed->turns = __atomic_load_n(&trial->told->turns[RECEIVER], __ATOMIC_RELAXED);
    snprintf(path, sizeof path, "/proc/%d/status", machine.child[0]);
    FILE *file = fopen(path, "r");
    if (file == NULL || observed->run_ns == 0)
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
    if (observe(trial, &after) != 0 || send_end(trial, serial) != 0)
        return -1;
    trial->told->figures[0] = (double)(after.turns - before.turns);
    trial->told->figures[1] = (double)(after.switches - before.switches);
    trial->told->figures[2] = (double)(after.run_ns - before.run_ns) / 1e3;
    trial->told->figures[3] = (double)trial->duration_ns / 1e9;
    return 0;
}

static int work_idle(struct trial *trial) {
    if (trial->role == SENDER)
        return watch_idling(trial);
    return open_loop(trial, on_content) == 0 ? side_run(NULL, NULL) : -1;
}

static const struct way idlers[] = {
    WAY("1000", "a thousand channels whose senders are there and silent", .channels = 1000,
        .work = work_idle),
};

const struct part part_idle = {
    .name = "idle",
    .title = "A loop with a thousand idle channels",
    .sleeps = true,
    WAYS(idlers),
    .goal = "0, 0, 0",
    .figures = {FIGURE("turns", "turns"), FIGURE("wake-ups", "wakeups"), FIGURE("CPU us", "cpu_us"),
                FIGURE("in seconds", "seconds")},
    .seconds = {0.02, 1, 10},
};

/* --- A timer beside a flood ------------------------------------------------------------------- */

static void on_tick(uv_timer_t *timer) {
    uint64_t now = now_ns();
    (void)timer;
    if (own.first_ns == 0)
        own.first_ns = now;
    else
        histogram_add(side.trial->times, now - own.last_ns);
    own.last_ns = now;
}

static void on_flood(leat_uv_receiver_t *receiver, const leat_message *message) {
    struct content content = {.channel = 0};
    if (message->size == MESSAGE)
        memcpy(&content, message->data, MESSAGE);
    if (message->size != MESSAGE || content.channel == NOWHERE ||
        !is_right(&content, (uint32_t)(receiver - side.receivers)))
        side_stop(content.channel != NOWHERE);
    else
        side.serial++;
}

static void note_ticks(void) {
    const struct histogram *times = side.trial->times;
    double *figures = side.trial->told->figures,
           seconds = (double)(own.last_ns - own.first_ns) / 1e9;
    figures[0] = seconds > 0 ? (double)times->count / seconds : 0;
    figures[1] = quantile_us(times, 0.5);
    figures[2] = quantile_us(times, 0.99);
    figures[3] = quantile_us(times, 1);
    figures[4] = seconds > 0 ? (double)side.serial / 1e6 / seconds : 0;
}

static int tick(struct trial *trial) {
    if (open_loop(trial, on_flood) != 0)
        return -1;
    uv_timer_init(&side.loop, &own.timer);
    return check_uv("uv_timer_start", uv_timer_start(&own.timer, on_tick, 1, 1)) == 0
               ? side_run(NULL, note_ticks)
               : -1;
}

static int flood(struct trial *trial) {
    uint64_t serial = 0;
    if (open_senders(trial) != 0 || trial_begin(trial) != 0)
        return -1;
    uint64_t end = now_ns() + trial->duration_ns;
    if (trial->way->context == QUIET)
        sleep_ns(trial->duration_ns);
    while (trial->way->context == FLOODED && (serial % CLOCK_EVERY != 0 || now_ns() < end))
        if (send_to(trial, 0, serial++, 0) != 0)
            return -1;
    return send_end(trial, serial);
}

static int work_timer(struct trial *trial) {
    return trial->role == SENDER ? flood(trial) : tick(trial);
}

static const struct way timers[] = {
    WAY("quiet", "a timer due every millisecond, and a channel that is silent", .channels = 1,
        .work = work_timer, .context = QUIET),
    WAY("flooded", "the same, and leat_send as fast as it goes", .channels = 1, .work = work_timer,
        .context = FLOODED),
};

const struct part part_timer = {
    .name = "timer",
    .title = "A timer due every millisecond",
    WAYS(timers),
    .goal = "flooded within 0.2 of quiet",
    .figures = {FIGURE("ticks/s", "ticks_per_s"), FIGURE("between ticks p50, us", "p50_us"),
                FIGURE("p99, us", "p99_us"), FIGURE("most, us", "max_us"),
                FIGURE("million messages/s", "messages_per_us")},
    .seconds = {0.05, 0.5, 2},
};
