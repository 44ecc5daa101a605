/* demo_speed.c - the demo's second run: receives at full speed, in place, and checks every byte of
 * every message.
 *
 * A message that is not exactly what its place in the stream demands ends the run with an error
 * that has its number.
 */
#include "demo.h"
#include "signals.h"

#define BATCH 256

struct speed {
    struct demo_run *run;
    uint64_t next_view;
};

static void show(struct demo_run *run, uint64_t now) {
    struct demo_view view = demo_view(run, now);
    demo_screen_speed(run->style, &view);
}

static int check(struct demo_run *run, const leat_message *messages, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!demo_message_check(messages[i].data, messages[i].size, run->messages)) {
            run->damaged++;
            demo_screen_close(run->style);
            return fail_target(&run->target, END_FAILED,
                               "message %llu (%zu bytes where %zu were sent) is not what was sent: "
                               "this is a bug in leat, or "
                               "broken memory.",
                               (unsigned long long)run->messages, messages[i].size,
                               demo_message_size(run->messages));
        }
        run->messages++;
        run->bytes += messages[i].size;
    }
    return END_OK;
}

static int take(struct speed *speed, const leat_message *messages, size_t count) {
    struct demo_run *run = speed->run;
    if (run->messages == 0)
        run->first_ns = run->shown_ns = leat_now();
    int end = check(run, messages, count);
    if (end != END_OK)
        return end;
    int code = leat_release(run->receiver, count);
    run->last_ns = leat_now();
    return code == LEAT_OK ? END_OK : fail_leat(&run->target, code, NULL);
}

int demo_speed(struct demo_run *run) {
    struct speed speed = {.run = run};
    uint64_t period = demo_screen_period_ns(run->style);
    bool over = false;
    int end = END_OK;
    speed.next_view = leat_now() + period;
    while (end == END_OK && !over) {
        leat_message messages[BATCH];
        size_t count;
        int code = leat_peek_many(run->receiver, messages, BATCH, &count, speed.next_view);
        if (signals_seen() != 0)
            end = END_BY_SIGNAL + signals_seen();
        else if (code == LEAT_OK)
            end = take(&speed, messages, count);
        else if (code != LEAT_ETIMEDOUT && code != LEAT_EAGAIN)
            end = demo_on_event(run, code, &over);
        uint64_t now = leat_now();
        if (now >= speed.next_view && end == END_OK) {
            if (run->messages > 0 && now > run->shown_ns)
                show(run, now);
            speed.next_view = now + period;
        }
    }
    demo_count_wakes(run);
    return end;
}
