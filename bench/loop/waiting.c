/* waiting.c - what each way of waiting costs, in a loop and in calls: messages at a steady pace,
 * first 20 microseconds apart, then a millisecond. The parent sends, by the clock and awake; the
 * child waits. */
#include "loop.h"

#include <stdlib.h>
#include <time.h>

#define PACES 2u
#define WARM_UP_MESSAGES 10u /* of each pace: so long the spin adapts */

static const uint64_t gaps_ns[PACES] = {20000, 1000000};

enum { CALLS = 0, LOOP = 8 }; /* context: one of these, and a leat_waiting */

struct content {
    uint64_t serial, sent_ns;
    uint32_t pace, nth; /* of the pace; pace PACES: the end */
    unsigned char rest[MESSAGE - 24];
};
_Static_assert(sizeof(struct content) == MESSAGE, "");

/* The child's. */
static struct intake {
    struct trial *trial;
    uv_loop_t loop;
    uv_check_t turns;
    leat_uv_receiver_t receiver;
    uint64_t serial;
    bool over, wrong;
    struct {
        struct histogram times;
        uint64_t wall_ns, cpu_ns; /* when it began, then how long it took */
    } pace[PACES];
} * intake;

/* --- The child -------------------------------------------------------------------------------- */

static uint64_t own_cpu_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void end_pace(uint32_t pace, uint64_t now) {
    intake->pace[pace].wall_ns = now - intake->pace[pace].wall_ns;
    intake->pace[pace].cpu_ns = own_cpu_ns() - intake->pace[pace].cpu_ns;
}

/* False ends it all. */
static bool hear(const void *message, size_t size) {
    uint64_t now = now_ns();
    const struct content *content = message;
    intake->wrong = size != MESSAGE || content->serial != intake->serial++ || content->pace > PACES;
    if (intake->wrong)
        return false;
    if (content->nth == 0 && content->pace > 0)
        end_pace(content->pace - 1, now);
    if (content->pace == PACES) {
        intake->over = true;
        return false;
    }
    if (content->nth == WARM_UP_MESSAGES) {
        intake->pace[content->pace].wall_ns = now;
        intake->pace[content->pace].cpu_ns = own_cpu_ns();
    } else if (content->nth > WARM_UP_MESSAGES) {
        histogram_add(&intake->pace[content->pace].times, now - content->sent_ns);
    }
    return true;
}

static void note_figures(void) {
    struct told *told = intake->trial->told;
    for (unsigned i = 0; i < PACES; i++) {
        told->figures[3 * i] = quantile_us(&intake->pace[i].times, 0.5);
        told->figures[3 * i + 1] =
            (double)intake->pace[i].cpu_ns * 100 / (double)intake->pace[i].wall_ns;
    }
}

static void on_message(leat_uv_receiver_t *receiver, const leat_message *message) {
    (void)receiver;
    if (!hear(message->data, message->size))
        uv_stop(&intake->loop);
}

static void on_peer(leat_uv_receiver_t *receiver, leat_peer peer, int status) {
    (void)receiver;
    intake->wrong = intake->wrong || status != 0 || (peer == LEAT_PEER_DIED && !intake->over);
    if (intake->wrong)
        uv_stop(&intake->loop);
}

static leat_channel_options options_of(const struct trial *trial) {
    return (leat_channel_options){.waiting = (leat_waiting)(trial->way->context & ~LOOP)};
}

static int wait_in_loop(const char *name, const leat_channel_options *options) {
    uv_loop_init(&intake->loop);
    int code = leat_uv_receiver_open(&intake->loop, &intake->receiver, name, options);
    if (code == 0)
        code = leat_uv_receiver_start(&intake->receiver, on_message, on_peer);
    if (code != 0)
        return complain_uv("leat_uv_receiver_open", code);
    if (trial_begin(intake->trial) != 0)
        return -1;
    uv_run(&intake->loop, UV_RUN_DEFAULT);
    note_figures();
    return intake->wrong || !intake->over || trial_end(intake->trial) != 0
               ? -1
               : loop_end(&intake->loop);
}

static int wait_in_calls(const char *name, const leat_channel_options *options) {
    leat_receiver *receiver;
    struct content content;
    size_t size = 0;
    int code = leat_receiver_open(&receiver, name, options);
    if (code != LEAT_OK)
        return check_leat("leat_receiver_open", code);
    if (trial_begin(intake->trial) != 0)
        return -1;
    do
        code = leat_recv(receiver, &content, sizeof content, &size, LEAT_FOREVER);
    while (code == LEAT_OK && hear(&content, size));
    note_figures();
    if (intake->wrong || !intake->over || trial_end(intake->trial) != 0)
        return -1;
    leat_receiver_close(receiver);
    return 0;
}

static int wait(struct trial *trial) {
    char name[64];
    const leat_channel_options options = options_of(trial);
    intake = must_allocate(1, sizeof *intake);
    memset(intake, 0, sizeof *intake);
    intake->trial = trial;
    trial_channel(trial, 0, name);
    int result = (trial->way->context & LOOP) != 0 ? wait_in_loop(name, &options)
                                                   : wait_in_calls(name, &options);
    free(intake);
    return result;
}

/* --- The parent ------------------------------------------------------------------------------- */

static int send_content(leat_sender *sender, struct content *content) {
    content->sent_ns = now_ns();
    int code = leat_send(sender, content, sizeof *content, LEAT_FOREVER);
    content->serial++;
    content->nth++;
    return code == LEAT_OK ? 0 : check_leat("leat_send", code);
}

static uint64_t woken_so_far(const leat_sender *sender) {
    leat_statistics statistics;
    leat_sender_statistics(sender, &statistics);
    return statistics.wake_calls;
}

/* By the clock, and not from message to message: so that the pace is the same however long a call
 * takes. */
static int send_at_a_pace(leat_sender *sender, const struct trial *trial, struct content *content) {
    uint64_t due = now_ns(), end = due + trial->duration_ns / PACES, rung = woken_so_far(sender);
    for (content->nth = 0; due < end || content->nth < 2 * WARM_UP_MESSAGES;
         due += gaps_ns[content->pace]) {
        while (now_ns() < due)
            ;
        if (send_content(sender, content) != 0)
            return -1;
    }
    trial->told->figures[3 * content->pace + 2] =
        (double)(woken_so_far(sender) - rung) / (double)content->nth;
    return 0;
}

static int work(struct trial *trial) {
    char name[64];
    leat_sender *sender;
    struct content content = {.serial = 0};
    if (trial->role == RECEIVER)
        return wait(trial);
    trial_channel(trial, 0, name);
    int code = leat_sender_open(&sender, name, NULL);
    if (code != LEAT_OK)
        return check_leat("leat_sender_open", code);
    if (trial_begin(trial) != 0)
        return -1;
    for (; content.pace < PACES; content.pace++)
        if (send_at_a_pace(sender, trial, &content) != 0)
            return -1;
    content.nth = 0;
    if (send_content(sender, &content) != 0 || trial_end(trial) != 0)
        return -1;
    leat_sender_close(sender);
    return 0;
}

/* ---------------------------------------------------------------------------------------------- */

static const struct way ways[] = {
    {"loop_adaptive", "leat_uv; looks for as long as that has paid, then sleeps: the default", 1,
     NULL, work, LOOP | LEAT_WAITING_ADAPTIVE, NULL, NULL},
    {"loop_sleep", "leat_uv; sleeps at once", 1, NULL, work, LOOP | LEAT_WAITING_SLEEP, NULL, NULL},
    {"loop_awake", "leat_uv; never sleeps: the loop turns (YIELD and SPIN are one there)", 1, NULL,
     work, LOOP | LEAT_WAITING_YIELD, NULL, NULL},
    {"call_adaptive", "leat_recv; the default", 1, NULL, work, CALLS | LEAT_WAITING_ADAPTIVE, NULL,
     NULL},
    {"call_sleep", "leat_recv; sleeps at once", 1, NULL, work, CALLS | LEAT_WAITING_SLEEP, NULL,
     NULL},
    {"call_yield", "leat_recv; never sleeps, lets others run", 1, NULL, work,
     CALLS | LEAT_WAITING_YIELD, NULL, NULL},
    {"call_spin", "leat_recv; never sleeps", 1, NULL, work, CALLS | LEAT_WAITING_SPIN, NULL, NULL},
};

const struct part part_waiting = {
    .name = "waiting",
    .title = "Ways of waiting, for messages 20 us apart and a millisecond apart",
    .ways = ways,
    .way_count = sizeof ways / sizeof *ways,
    .yardstick = 1,
    .goal = "none: what each costs",
    .figures = {{"20 us: p50 us", "p50_us_at_20us", false},
                {"CPU %, waiter", "cpu_percent_at_20us", false},
                {"wakes a message", "wakes_at_20us", false},
                {"1 ms: p50 us", "p50_us_at_1ms", false},
                {"CPU %, waiter", "cpu_percent_at_1ms", false},
                {"wakes a message", "wakes_at_1ms", false}},
    .seconds = {0.05, 0.3, 1.0},
};
