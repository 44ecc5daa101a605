/* demo_producer.c - the demo's producer process.
 *
 * "frames" behaves as a game does that publishes its telemetry: a thousand times a second, at fixed
 * times, it writes a frame in place and commits it, and never waits for the receiver; a frame that
 * finds no room is dropped, which shows in the sequence numbers after it. "speed" sends as fast as
 * the receiver lets it.
 *
 * It ends when its time is over, on a signal, when the receiver leaves, and when its parent ends.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "arguments.h"
#include "demo.h"
#include "signals.h"

#define TICK_NS (1000000000U / DEMO_FRAMES_PER_SECOND)
#define REFRESH_TICKS 10 /* each source in /proc is read every so many frames */

/* --- frames ----------------------------------------------------------------------------------- */

static void sleep_until(uint64_t time_ns) {
    struct timespec time = {(time_t)(time_ns / 1000000000U), (long)(time_ns % 1000000000U)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
}

/* Spread over the ticks, so that no frame has to wait for all three files to be read. */
static void refresh(struct proc_reader *reader, uint64_t tick, struct proc_counters *counters) {
    static const uint64_t turn[PROC_SOURCES] = {0, 3, 6};
    for (size_t source = 0; source < PROC_SOURCES; source++)
        if (tick == 0 || tick % REFRESH_TICKS == turn[source])
            proc_refresh(reader, (enum proc_source)source, counters);
}

/* Writes the frame where it will be read, and notes the time last. */
static int publish(leat_sender *sender, const struct demo_frame *frame) {
    void *place;
    int code = leat_reserve(sender, sizeof *frame, &place, LEAT_NOW);
    if (code != LEAT_OK)
        return code;
    memcpy(place, frame, sizeof *frame);
    uint64_t now = leat_now();
    memcpy((char *)place + offsetof(struct demo_frame, sent_ns), &now, sizeof now);
    return leat_commit(sender, sizeof *frame);
}

static int produce_frames(const struct target *target, leat_sender *sender, uint64_t end_ns) {
    static struct demo_frame frame = {.magic = DEMO_FRAME_MAGIC, .size = sizeof frame};
    struct proc_reader reader;
    if (!proc_open(&reader))
        return fail_system("memory for the counters", ENOMEM);
    frame.ticks_per_second = (uint32_t)sysconf(_SC_CLK_TCK);
    int code = LEAT_OK;
    for (uint64_t next = leat_now(); next < end_ns && signals_seen() == 0; next += TICK_NS) {
        sleep_until(next);
        uint64_t missed = (leat_now() - next) / TICK_NS;
        if (signals_seen() != 0)
            break;
        frame.late_ticks += missed;
        next += missed * TICK_NS;
        refresh(&reader, frame.sequence, &frame.counters);
        code = publish(sender, &frame);
        frame.sequence++;
        if (code != LEAT_OK && code != LEAT_EAGAIN && code != LEAT_EPEERBACK)
            break;
        code = LEAT_OK;
    }
    proc_close(&reader);
    return code == LEAT_OK ? END_OK : fail_leat(target, code, NULL);
}

/* --- speed ------------------------------------------------------------------------------------ */

static int produce_speed(const struct target *target, leat_sender *sender, uint64_t end_ns) {
    uint64_t sequence = 0;
    for (;;) {
        void *place;
        /* Asking for the time costs as much as a message. */
        if (sequence % 64 == 0 && (leat_now() >= end_ns || signals_seen() != 0))
            return END_OK;
        size_t size = demo_message_size(sequence);
        int code = leat_reserve(sender, size, &place, LEAT_FOREVER);
        if (code == LEAT_EINTR && signals_seen() == 0)
            continue;
        if (code == LEAT_OK) {
            demo_message_fill(place, sequence++);
            code = leat_commit(sender, size);
        }
        if (code == LEAT_ECLOSED || code == LEAT_EINTR)
            return END_OK; /* the demo was interrupted */
        if (code != LEAT_OK && code != LEAT_EPEERBACK)
            return fail_leat(target, code, NULL);
    }
}

/* --- Both ------------------------------------------------------------------------------------- */

/* The last messages must be received too, but the producer must not hang without a receiver. */
static int drain(const struct target *target, leat_sender *sender) {
    uint64_t deadline = leat_in_ms(2000);
    int code;
    do
        code = leat_sender_drain(sender, deadline);
    while (code == LEAT_EINTR && signals_seen() == 0);
    bool interrupted = code == LEAT_EINTR || code == LEAT_ECLOSED || code == LEAT_EPEERDIED ||
                       code == LEAT_EPEERBACK;
    return code == LEAT_OK || interrupted ? END_OK : fail_leat(target, code, NULL);
}

static int produce(const char *run, const struct target *target, uint64_t duration_ns) {
    leat_sender *sender;
    leat_channel_options options = {.mode = LEAT_OPEN, .interruptible = true};
    int code = leat_sender_open(&sender, target->name, &options);
    if (code != LEAT_OK)
        return fail_leat(target, code, NULL);
    uint64_t end_ns = leat_in_ns(duration_ns);
    int end = strcmp(run, "frames") == 0 ? produce_frames(target, sender, end_ns)
                                         : produce_speed(target, sender, end_ns);
    if (end == END_OK)
        end = drain(target, sender);
    leat_sender_close(sender);
    return end;
}

static const char *frames_or_speed, *channel;
static uint64_t duration, parent;

static const struct argument arguments[] = {
    {.value = "RUN", .text = &frames_or_speed},
    {.value = "CHANNEL", .text = &channel},
    {.value = "SECONDS", .duration = &duration},
    {.value = "PARENT", .count = &parent},
    HELP_OPTION,
};

static int run(void) {
    /* If the demo is killed, no process is left to stop this one. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    prctl(PR_SET_NAME, "leat-producer"); /* for ps and top; otherwise "exe" */
    signals_catch();
    if (getppid() != (pid_t)parent)
        return END_FAILED;
    return produce(frames_or_speed, &(struct target){"channel", channel, LEAT_LOCAL}, duration);
}

const struct command command_demo_producer = {
    .name = "demo-producer",
    .about = "The producer process of 'leat demo', which starts it.\n",
    .arguments = arguments,
    .run = run,
};
