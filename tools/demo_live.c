/* demo_live.c - the demo's first run: receives the frames with this machine's counters, measures
 * the latency of each, and shows both.
 *
 * A frame is copied out of the channel and checked before anything in it is believed.
 */
#include <string.h>

#include "demo.h"
#include "signals.h"

/* --- For both runs ---------------------------------------------------------------------------- */

void demo_count_wakes(struct demo_run *run) {
    leat_channel_info info;
    if (leat_channel_stat(run->target.name, run->target.scope, &info) != LEAT_OK)
        return;
    run->sent = info.sent.messages;
    run->wake_calls = info.sent.wake_calls;
}

struct demo_view demo_view(struct demo_run *run, uint64_t now) {
    double interval = (double)(now - run->shown_ns) / 1e9;
    demo_count_wakes(run);
    struct demo_view view = {
        .channel = run->target.name,
        .producer = run->producer,
        .elapsed = (double)(now - run->first_ns) / 1e9,
        .duration = run->duration,
        .messages_per_second = (double)(run->messages - run->shown_messages) / interval,
        .bytes_per_second = (double)(run->bytes - run->shown_bytes) / interval,
        .messages = run->messages,
        .bytes = run->bytes,
        .lost = run->lost,
        .wakes_per_message = demo_wakes_per_message(run),
    };
    run->shown_ns = now;
    run->shown_messages = run->messages;
    run->shown_bytes = run->bytes;
    return view;
}

double demo_seconds(const struct demo_run *run) {
    return (double)(run->last_ns - run->first_ns) / 1e9;
}

double demo_wakes_per_message(const struct demo_run *run) {
    return run->sent == 0 ? -1 : (double)run->wake_calls / (double)run->sent;
}

int demo_on_event(struct demo_run *run, int code, bool *over) {
    switch (code) {
    case LEAT_ECLOSED:
        *over = true;
        return END_OK;
    case LEAT_EPEERBACK:
        return END_OK;
    case LEAT_EINTR:
        return signals_seen() == 0 ? END_OK : END_BY_SIGNAL + signals_seen();
    default:
        demo_screen_close(run->style);
        return fail_leat(&run->target, code,
                         code == LEAT_EPEERDIED ? "something has killed the producer: try again"
                                                : NULL);
    }
}

/* --- Live ------------------------------------------------------------------------------------- */

struct live {
    struct demo_run *run;
    struct histogram *latency;
    struct demo_frame frame, shown; /* the newest, and that which was shown last */
    uint64_t next_sequence;
};

static void take(struct live *live, size_t size, uint64_t now) {
    struct demo_run *run = live->run;
    const struct demo_frame *frame = &live->frame;
    bool good = size == sizeof *frame && frame->magic == DEMO_FRAME_MAGIC &&
                frame->size == sizeof *frame && frame->sequence >= live->next_sequence;
    if (run->messages == 0)
        run->first_ns = now;
    run->last_ns = now;
    run->messages++;
    run->bytes += size;
    if (!good) {
        run->damaged++;
        return;
    }
    run->lost += frame->sequence - live->next_sequence;
    live->next_sequence = frame->sequence + 1;
    histogram_add(live->latency, now > frame->sent_ns ? now - frame->sent_ns : 0);
}

static void show(struct live *live, uint64_t now) {
    struct demo_view view = demo_view(live->run, now);
    view.frame = &live->frame;
    view.frame_before = &live->shown;
    view.latency = live->latency;
    demo_screen_live(live->run->style, &view);
    live->shown = live->frame;
}

/* Receiving and showing share this one thread, as they would in a small tool; the latencies include
 * the cost of showing. */
int demo_live(struct demo_run *run, struct histogram *latency) {
    static struct live live;
    uint64_t period = demo_screen_period_ns(run->style), next_view = leat_now() + period;
    bool over = false;
    int end = END_OK;
    live = (struct live){.run = run, .latency = latency};
    while (end == END_OK && !over) {
        struct demo_frame frame;
        size_t size;
        int code = leat_recv(run->receiver, &frame, sizeof frame, &size, next_view);
        uint64_t now = leat_now();
        if (signals_seen() != 0)
            end = END_BY_SIGNAL + signals_seen();
        else if (code == LEAT_OK) {
            if (run->messages == 0) {
                live.shown = frame;
                run->shown_ns = now;
            }
            live.frame = frame;
            take(&live, size, now);
        } else if (code != LEAT_ETIMEDOUT && code != LEAT_EAGAIN)
            end = demo_on_event(run, code, &over);
        if (now >= next_view && end == END_OK) {
            if (run->messages > 0 && now > run->shown_ns)
                show(&live, now);
            next_view = now + period;
        }
    }
    demo_count_wakes(run);
    return end;
}
