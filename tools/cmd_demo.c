/* cmd_demo.c - `leat demo`: leat at work, between two processes, in a few seconds.
 *
 * States: live run -> full-speed run -> summary. Whatever ends it early (Ctrl-C, a producer that
 * was killed, an error), the producer is ended, both channels are closed, and the summary of what
 * was done is still printed. At the end the demo searches for objects with its name and reports
 * them. Each demo has channel names of its own: several demos can run at once.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "arguments.h"
#include "demo.h"
#include "figures.h"
#include "names.h"
#include "signals.h"

#define LIVE_CAPACITY ((uint64_t)256 << 10)
#define SPEED_CAPACITY ((uint64_t)1 << 20)
#define START_MS 10000 /* a producer that has not opened the channel by then will not */

struct demo {
    char prefix[48], live_name[64], speed_name[64];
    bool json, plain;
    uint64_t live_ns, speed_ns;
    enum demo_style style;
    struct demo_run live, speed;
    struct histogram latency;
    bool live_done, speed_done;
    size_t left_behind;
};

/* --- One run ---------------------------------------------------------------------------------- */

static int await_producer(struct demo_run *run) {
    uint64_t deadline = leat_in_ms(START_MS);
    for (;;) {
        int code = leat_receiver_wait_peer(run->receiver, deadline);
        bool over = false;
        if (code == LEAT_OK)
            return END_OK;
        if (signals_seen() != 0)
            return END_BY_SIGNAL + signals_seen();
        if (code == LEAT_ECLOSED)
            return END_OK; /* the producer has come, sent and left already */
        int end = demo_on_event(run, code, &over);
        if (end != END_OK)
            return end;
    }
}

static int start_and_receive(struct demo *demo, struct demo_run *run, const char *what) {
    run->producer = demo_start(what, run->target.name, run->duration);
    if (run->producer < 0) {
        demo_screen_close(demo->style);
        return fail_system("starting the producer process", errno);
    }
    int end = await_producer(run);
    if (end == END_OK)
        end = run == &demo->live ? demo_live(run, &demo->latency) : demo_speed(run);
    int producer_end = demo_finish(run->producer, end != END_OK);
    if (end != END_OK || producer_end == END_OK)
        return end;
    if (signals_seen() != 0) /* Ctrl-C goes to both, and the producer may be the first to notice */
        return END_BY_SIGNAL + signals_seen();
    demo_screen_close(demo->style);
    return fail_target(&run->target, END_FAILED, "the producer process failed (exit code %d).",
                       producer_end);
}

static int run_one(struct demo *demo, struct demo_run *run, const char *what, uint64_t capacity) {
    leat_channel_options options = {
        .mode = LEAT_CREATE, .capacity = capacity, .interruptible = true};
    run->style = demo->style;
    int code = leat_receiver_open(&run->receiver, run->target.name, &options);
    if (code != LEAT_OK) {
        demo_screen_close(demo->style);
        return fail_leat(&run->target, code, NULL);
    }
    int end = start_and_receive(demo, run, what);
    leat_receiver_close(run->receiver);
    return end;
}

static int run_both(struct demo *demo) {
    demo->live.duration = (double)demo->live_ns / 1e9;
    demo->speed.duration = (double)demo->speed_ns / 1e9;
    if (demo->style == DEMO_PLAIN)
        printf("Live: another process publishes this machine's counters %d times a second.\n",
               DEMO_FRAMES_PER_SECOND);
    int end = run_one(demo, &demo->live, "frames", LIVE_CAPACITY);
    demo->live_done = end == END_OK;
    if (end != END_OK)
        return end;
    if (demo->style == DEMO_PLAIN)
        printf("Full speed: messages of %d to %d bytes, every byte checked.\n", DEMO_MESSAGE_MIN,
               DEMO_MESSAGE_MAX);
    end = run_one(demo, &demo->speed, "speed", SPEED_CAPACITY);
    demo->speed_done = end == END_OK;
    return end;
}

/* --- Afterwards ------------------------------------------------------------------------------- */

static int count_left_behind(const leat_object_info *info, void *context) {
    struct demo *demo = context;
    struct shown_name name;
    if (strncmp(info->name, demo->prefix, strlen(demo->prefix)) != 0)
        return 0;
    demo->left_behind++;
    fprintf(stderr, "leat: demo: left behind: %s '%s'\n", leat_kind_name(info->kind),
            name_show(&name, info->name));
    return 0;
}

static int look_for_remains(struct demo *demo) {
    struct target all = {"directory of", "local objects", LEAT_LOCAL};
    int code = leat_list(LEAT_LOCAL, count_left_behind, demo);
    if (code != LEAT_OK)
        return fail_leat(&all, code, NULL);
    return demo->left_behind == 0 ? END_OK : END_FAILED;
}

static int check_counts(const struct demo *demo) {
    const struct demo_run *runs[] = {&demo->live, &demo->speed};
    for (size_t i = 0; i < 2; i++)
        if (runs[i]->damaged > 0 || runs[i]->sent != runs[i]->messages)
            return fail_target(&runs[i]->target, END_FAILED,
                               "%llu messages were sent, %llu received, %llu of them damaged.",
                               (unsigned long long)runs[i]->sent,
                               (unsigned long long)runs[i]->messages,
                               (unsigned long long)runs[i]->damaged);
    return END_OK;
}

static void summary_text(const struct demo *demo, int end) {
    const struct demo_run *live = &demo->live, *speed = &demo->speed;
    struct figure a, b, c, d, e, f;
    puts(end > END_BY_SIGNAL ? "\nInterrupted. Until then:"
         : end != END_OK     ? "\nFailed. Until then:"
                             : "\nSummary");
    printf("  Live        %s frames of %zu bytes in %.1f s, %llu lost; %.2f wakes per message\n",
           figure_count(&a, live->messages), sizeof(struct demo_frame), demo_seconds(live),
           (unsigned long long)live->lost, live->sent == 0 ? 0 : demo_wakes_per_message(live));
    printf("  Latency     one way p50 %s, p90 %s, p99 %s, p99.9 %s, max %s\n",
           figure_duration(&a, histogram_quantile(&demo->latency, 0.5)),
           figure_duration(&b, histogram_quantile(&demo->latency, 0.9)),
           figure_duration(&c, histogram_quantile(&demo->latency, 0.99)),
           figure_duration(&d, histogram_quantile(&demo->latency, 0.999)),
           figure_duration(&e, demo->latency.largest));
    if (speed->messages > 0) {
        double seconds = demo_seconds(speed);
        printf("  Full speed  %s messages of %d to %d bytes in %.1f s: %s, %s\n",
               figure_count(&a, speed->messages), DEMO_MESSAGE_MIN, DEMO_MESSAGE_MAX, seconds,
               figure_decimal(&c, (double)speed->messages / seconds, " messages/s"),
               figure_decimal(&d, (double)speed->bytes / seconds, "B/s"));
        printf("              %s; %.6f wakes per message\n",
               speed->damaged == 0 ? "every byte of every message was right"
                                   : "a message was DAMAGED",
               demo_wakes_per_message(speed));
    }
    printf("  Left behind %s\n",
           demo->left_behind == 0 ? "nothing" : figure_count(&f, demo->left_behind));
}

static json_t *json_of_run(const struct demo_run *run, bool done) {
    double seconds = demo_seconds(run);
    json_t *object = json_object();
    json_object_set_new(object, "complete", json_boolean(done));
    json_object_set_new(object, "messages", json_count(run->messages));
    json_object_set_new(object, "bytes", json_count(run->bytes));
    json_object_set_new(object, "seconds", json_real(seconds));
    json_object_set_new(object, "messages_per_second",
                        json_real(seconds > 0 ? (double)run->messages / seconds : 0));
    json_object_set_new(object, "bytes_per_second",
                        json_real(seconds > 0 ? (double)run->bytes / seconds : 0));
    json_object_set_new(object, "lost", json_count(run->lost));
    json_object_set_new(object, "damaged", json_count(run->damaged));
    json_object_set_new(object, "sent", json_count(run->sent));
    json_object_set_new(object, "wake_calls", json_count(run->wake_calls));
    json_object_set_new(object, "wakes_per_message",
                        run->sent == 0 ? json_null() : json_real(demo_wakes_per_message(run)));
    return object;
}

static json_t *json_of_latency(const struct histogram *latency) {
    static const struct {
        const char *name;
        double quantile;
    } members[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}};
    json_t *object = json_object();
    json_object_set_new(object, "count", json_count(latency->count));
    json_object_set_new(object, "min", json_count(latency->smallest));
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        json_object_set_new(object, members[i].name,
                            json_count(histogram_quantile(latency, members[i].quantile)));
    json_object_set_new(object, "max", json_count(latency->largest));
    json_object_set_new(object, "mean", json_real(histogram_mean(latency)));
    return object;
}

static void summary_json(const struct demo *demo, int end) {
    json_t *object = json_object(), *live = json_of_run(&demo->live, demo->live_done);
    json_object_set_new(live, "latency_ns", json_of_latency(&demo->latency));
    json_object_set_new(object, "exit_code", json_integer(end));
    json_object_set_new(object, "interrupted", json_boolean(end > END_BY_SIGNAL));
    json_object_set_new(object, "live", live);
    json_object_set_new(object, "full_speed", json_of_run(&demo->speed, demo->speed_done));
    json_object_set_new(object, "left_behind", json_count(demo->left_behind));
    json_write(object, stdout, false);
}

/* --- Arguments and order of events ------------------------------------------------------------ */

/* Process numbers can repeat where containers share /dev/shm; the random part does not. */
static void choose_names(struct demo *demo) {
    unsigned random = 0;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        random = (unsigned)leat_now();
    snprintf(demo->prefix, sizeof demo->prefix, "leat-demo-%d-%08x-", (int)getpid(), random);
    snprintf(demo->live_name, sizeof demo->live_name, "%slive", demo->prefix);
    snprintf(demo->speed_name, sizeof demo->speed_name, "%sspeed", demo->prefix);
    demo->live.target = (struct target){"channel", demo->live_name, LEAT_LOCAL};
    demo->speed.target = (struct target){"channel", demo->speed_name, LEAT_LOCAL};
}

static struct demo demo = {.live_ns = 5000000000U, .speed_ns = 3000000000U};

static const struct argument arguments[] = {
    {OPTION("seconds", 0, "SECONDS", "length of the live run; default 5"),
     .duration = &demo.live_ns},
    {OPTION("speed-seconds", 0, "SECONDS", "length of the full-speed run; default 3"),
     .duration = &demo.speed_ns},
    {OPTION("plain", 0, NULL, "lines instead of a screen, also on a terminal"),
     .flag = &demo.plain},
    JSON_OPTION(&demo.json, "only the summary, as JSON"),
    HELP_OPTION,
};

static int run(void) {
    choose_names(&demo);
    signals_catch();
    bool terminal = isatty(STDOUT_FILENO);
    demo.style = demo_screen_open(demo.json                 ? DEMO_SILENT
                                  : terminal && !demo.plain ? DEMO_SCREEN
                                                            : DEMO_PLAIN);
    int end = run_both(&demo);
    demo_screen_close(demo.style);
    if (end == END_OK)
        end = check_counts(&demo);
    int remains = look_for_remains(&demo);
    end = end == END_OK ? remains : end;
    if (demo.json)
        summary_json(&demo, end);
    else
        summary_text(&demo, end);
    return end;
}

const struct command command_demo = {
    .name = "demo",
    .summary = "see it work: live counters, then full speed",
    .about = "Shows a channel at work between two processes. First the producer publishes\n"
             "this machine's live counters from /proc, a thousand frames a second, and the\n"
             "receiver shows them, how long each frame took, and how often the receiver was\n"
             "woken. Then messages of 16 to 2047 bytes pass at full speed, and every byte is\n"
             "checked. At the end nothing is left behind.\n",
    .notes = "Exit codes: 0 all was well; 1 failed, or a message was damaged, or something\n"
             "was left behind; 5 the producer was killed. Ctrl-C ends it in good order, as\n"
             "the signal does (130 in the shell).\n",
    .arguments = arguments,
    .run = run,
};
