/* waiting.c - what each way of waiting costs, in a loop and in calls: messages at a steady pace,
 * first 20 microseconds apart, then a millisecond. The parent sends, by the clock and awake; the
 * child waits. */
#include "loop.h"

#define PACES 2u
#define WARM_UP_MESSAGES 10u /* of each pace: so long the spin adapts */

static const uint64_t gaps_ns[PACES] = {20000, 1000000};

enum { CALLS = 0, LOOP = 8 }; /* context: one of these, minus spin_us */

struct content {
    uint64_t serial, sent_ns;
    uint32_t pace, nth; /* of the pace; pace PACES: the end */
    unsigned char rest[MESSAGE - 24];
};
_Static_assert(sizeof(struct content) == MESSAGE, "");

/* --- The child -------------------------------------------------------------------------------- */

/* When the pace began to count. */
static uint64_t began_ns, began_cpu_ns;

/* Of one pace; the next one begins. */
static void note_pace(uint32_t pace, uint64_t now) {
    double *figures = side.trial->told->figures + 3 * pace;
    uint64_t cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - began_cpu_ns;
    figures[0] = quantile_us(side.trial->times, 0.5);
    figures[1] = (double)cpu_ns * 100 / (double)(now - began_ns);
    *side.trial->times = (struct histogram){0};
}

/* False ends it all. */
static bool hear(const void *message, size_t size) {
    uint64_t now = now_ns();
    const struct content *content = message;
    side.wrong = size != MESSAGE || content->serial != side.serial++ || content->pace > PACES;
    if (side.wrong)
        return false;
    if (content->nth == 0 && content->pace > 0)
        note_pace(content->pace - 1, now);
    side.over = content->pace == PACES;
    if (content->nth == WARM_UP_MESSAGES) {
        began_ns = now;
        began_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    } else if (content->nth > WARM_UP_MESSAGES) {
        histogram_add(side.trial->times, now - content->sent_ns);
    }
    return !side.over;
}

static void on_message(leat_uv_receiver_t *receiver, const leat_message *message) {
    (void)receiver;
    if (!hear(message->data, message->size))
        uv_stop(&side.loop);
}

static int wait_in_calls(struct trial *trial, const leat_channel_options *options) {
    char name[64];
    leat_receiver *receiver;
    struct content content;
    size_t size = 0;
    trial_channel(trial, 0, name);
    int code = leat_receiver_open(&receiver, name, options);
    if (check_leat("leat_receiver_open", code) != 0 || trial_begin(trial) != 0)
        return -1;
    do
        code = leat_recv(receiver, &content, sizeof content, &size, LEAT_FOREVER);
    while (code == LEAT_OK && hear(&content, size));
    if (side.wrong || !side.over || trial_end(trial) != 0)
        return -1;
    leat_receiver_close(receiver);
    return 0;
}

static int wait(struct trial *trial) {
    const leat_channel_options options = {.spin_us = -(trial->way->context & ~LOOP)};
    side_start(trial);
    if ((trial->way->context & LOOP) == 0)
        return wait_in_calls(trial, &options);
    return side_receive(0, 1, &options, on_message, false) == 0 ? side_run(NULL, NULL) : -1;
}

/* --- The parent ------------------------------------------------------------------------------- */

static int send_content(struct content *content) {
    content->sent_ns = now_ns();
    int code = leat_send(senders[0], content, sizeof *content, LEAT_FOREVER);
    content->serial++;
    content->nth++;
    return check_leat("leat_send", code);
}

static uint64_t woken_so_far(void) {
    leat_statistics statistics;
    leat_sender_statistics(senders[0], &statistics);
    return statistics.wake_calls;
}

/* By the clock, and not from message to message: so that the pace is the same however long a call
 * takes. */
static int send_at_a_pace(const struct trial *trial, struct content *content) {
    uint64_t due = now_ns(), end = due + trial->duration_ns / PACES, woken = woken_so_far();
    for (content->nth = 0; due < end || content->nth < 2 * WARM_UP_MESSAGES;
         due += gaps_ns[content->pace]) {
        while (now_ns() < due)
            ;
        if (send_content(content) != 0)
            return -1;
    }
    trial->told->figures[3 * content->pace + 2] =
        (double)(woken_so_far() - woken) / (double)content->nth;
    return 0;
}

static int work(struct trial *trial) {
    struct content content = {.serial = 0};
    if (trial->role == RECEIVER)
        return wait(trial);
    if (senders_open(trial, NULL) != 0 || trial_begin(trial) != 0)
        return -1;
    for (; content.pace < PACES; content.pace++)
        if (send_at_a_pace(trial, &content) != 0)
            return -1;
    content.nth = 0;
    if (send_content(&content) != 0 || trial_end(trial) != 0)
        return -1;
    senders_close(trial);
    return 0;
}

/* ---------------------------------------------------------------------------------------------- */

#define WAITS(name, about, context_)                                                               \
    WAY(name, about, .channels = 1, .work = work, .context = (context_))
static const struct way ways[] = {
    WAITS("loop_adaptive", "leat_uv; looks for as long as that has paid, then sleeps: the default",
          LOOP),
    WAITS("loop_sleep", "leat_uv; sleeps at once", LOOP - LEAT_SPIN_NONE),
    WAITS("loop_awake",
          "leat_uv; never sleeps: the loop turns (LEAT_SPIN_YIELD and _FOREVER are one there)",
          LOOP - LEAT_SPIN_YIELD),
    WAITS("call_adaptive", "leat_recv; the default", CALLS),
    WAITS("call_sleep", "leat_recv; sleeps at once", CALLS - LEAT_SPIN_NONE),
    WAITS("call_yield", "leat_recv; never sleeps, lets others run", CALLS - LEAT_SPIN_YIELD),
    WAITS("call_spin", "leat_recv; never sleeps", CALLS - LEAT_SPIN_FOREVER),
};

const struct part part_waiting = {
    .name = "waiting",
    .title = "Ways of waiting, for messages 20 us apart and a millisecond apart",
    WAYS(ways),
    .yardstick = 1,
    .goal = "none: what each costs",
    .figures = {FIGURE("20 us: p50 us", "p50_us_at_20us"),
                FIGURE("CPU %, waiter", "cpu_percent_at_20us"),
                FIGURE("wakes a message", "wakes_at_20us"), FIGURE("1 ms: p50 us", "p50_us_at_1ms"),
                FIGURE("CPU %, waiter", "cpu_percent_at_1ms"),
                FIGURE("wakes a message", "wakes_at_1ms")},
    .seconds = {0.05, 0.3, 1.0},
};
