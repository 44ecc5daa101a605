/* loop.c - all trials of all parts, in turn; see loop.h and trial.h. */
#include "options.h"
#include "realtime.h"
#include "results.h"

#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WOKEN_NS 2000u /* seen with nothing else running: 1000 to 2500 */

const struct part *const loop_parts[PARTS] = {&part_trips,    &part_waiting, &part_rates,
                                              &part_channels, &part_idle,    &part_timer};

/* --- What trials share ------------------------------------------------------------------------ */

int complain_leat(const char *call, int code) {
    fprintf(stderr, "\n%s: %s %s\n", call, leat_error_name(code), leat_error_detail());
    return -1;
}

int complain_uv(const char *call, int code) {
    fprintf(stderr, "\n%s: %s (%s)\n", call, uv_strerror(code), leat_error_detail());
    return -1;
}

void trial_channel(const struct trial *trial, unsigned number, char name[64]) {
    snprintf(name, 64, "%s-%u", trial->name, number);
}

void trial_keep_end(struct trial *trial) {
    int *other = &trial->fd[THERE][trial->role == SENDER ? RECEIVER : SENDER];
    close(*other);
    *other = -1;
}

int trial_begin(struct trial *trial) {
    struct told *told = trial->told;
    if (trial->role == SENDER) {
        if (probe_wait(&told->ready, 1) != 0 ||
            (told->probes[0] = probe_ask(&trial->serial)) <= 0 || probe_wait(&told->go, 1) != 0)
            return -1;
        usage_add(&told->usage[SENDER], UINT64_MAX);
        return 0;
    }
    __atomic_store_n(&told->ready, 1, __ATOMIC_RELEASE);
    if (probe_answer(&trial->serial) != 0)
        return -1;
    usage_add(&told->usage[RECEIVER], UINT64_MAX);
    __atomic_store_n(&told->go, 1, __ATOMIC_RELEASE);
    return 0;
}

int trial_end(struct trial *trial) {
    struct told *told = trial->told;
    usage_add(&told->usage[trial->role], 1);
    if (trial->role == RECEIVER)
        return probe_answer(&trial->serial);
    return (told->probes[1] = probe_ask(&trial->serial)) <= 0 ? -1 : 0;
}

double cpu_us(const struct trial *trial) {
    return (double)(trial->told->usage[SENDER].cpu_ns + trial->told->usage[RECEIVER].cpu_ns) / 1e3;
}

static void on_turn(uv_check_t *check) {
    ++*(uint64_t *)check->data;
}

void turns_count(uv_check_t *check, uv_loop_t *loop, uint64_t *count) {
    uv_check_init(loop, check); /* these cannot fail */
    uv_check_start(check, on_turn);
    uv_unref((uv_handle_t *)check);
    check->data = count;
}

static void on_exit_of_child(uv_poll_t *poll, int status, int events) {
    (void)status, (void)events;
    uv_stop(poll->loop);
}

void stop_with_child(uv_poll_t *poll, uv_loop_t *loop, int *descriptor) {
    *descriptor = (int)syscall(SYS_pidfd_open, machine.child[0], 0);
    if (*descriptor < 0 || uv_poll_init(loop, poll, *descriptor) != 0)
        return; /* where there is no such thing, the watchdog ends what hangs */
    uv_poll_start(poll, UV_READABLE, on_exit_of_child);
    uv_unref((uv_handle_t *)poll);
}

static void close_one(uv_handle_t *handle, void *unused) {
    (void)unused;
    leat_uv_close(handle, NULL);
}

int loop_end(uv_loop_t *loop) {
    uv_walk(loop, close_one, NULL);
    uv_run(loop, UV_RUN_DEFAULT);
    int code = uv_loop_close(loop);
    return code == 0 ? 0 : complain_uv("uv_loop_close", code);
}

/* --- One trial -------------------------------------------------------------------------------- */

static void close_all(struct trial *trial) {
    for (int i = 0; i < 4; i++)
        if (trial->fd[i / 2][i % 2] >= 0)
            close(trial->fd[i / 2][i % 2]);
}

/* What is there only when a process was killed. */
static void remove_names(const struct trial *trial) {
    char name[64];
    for (unsigned i = 0; i < trial->mode->channels; i++) {
        trial_channel(trial, i, name);
        int code = leat_unlink(name, LEAT_LOCAL);
        if (code != LEAT_OK && code != LEAT_ENOENT)
            complain_leat("leat_unlink", code);
    }
}

/* Whoever is woken counts as kept waiting until its CPU has woken too. That is part of what is
 * measured here, and happens ten thousands of times a second. */
static bool was_disturbed(struct usage usage) {
    uint64_t woken_ns = usage.switches * WOKEN_NS;
    usage.delay_ns -= usage.delay_ns < woken_ns ? usage.delay_ns : woken_ns;
    return was_late(&usage, true);
}

static enum placement run_trial(const struct plan *plan, const struct part *part,
                                const struct mode *mode, enum loop_length length,
                                struct told *told) {
    static unsigned serial;
    struct trial trial = {.mode = mode,
                          .duration_ns = (uint64_t)(part->seconds[length] * 1e9),
                          .fd = {{-1, -1}, {-1, -1}},
                          .told = told};
    uint64_t began_ns = now_ns();
    if (part != &part_idle) /* which sleeps */
        trial.duration_ns = realtime_shorten(trial.duration_ns);
    snprintf(trial.name, sizeof trial.name, "leat_bench_loop-%ld-%u", (long)getpid(), serial++);
    snprintf(machine.doing, sizeof machine.doing, "%s, %s", mode->name, part->name);
    control_reset();
    memset(told, 0, sizeof *told);
    fflush(NULL);
    watch_for(plan->hang_s + trial.duration_ns / 1000000000u);
    int wrong = mode->prepare != NULL ? mode->prepare(&trial) : 0;
    if (wrong == 0 && in_new_child()) {
        trial.role = RECEIVER;
        end_child(mode->work(&trial));
    }
    trial.role = SENDER;
    wrong = wrong != 0 || mode->work(&trial) != 0;
    wrong |= collect_children(wrong != 0);
    watch_for(0);
    realtime_rest(began_ns);
    close_all(&trial);
    remove_names(&trial);
    if (wrong != 0)
        message_lost();
    bool unwanted = plan->wanted != ANY_PLACEMENT &&
                    (told->probes[0] < NEAR_LIMIT_NS ? NEAR : FAR) != plan->wanted;
    return classify(told->probes, unwanted,
                    was_disturbed(told->usage[SENDER]) || was_disturbed(told->usage[RECEIVER]));
}

/* --- All of them ------------------------------------------------------------------------------ */

static void list_trial(const struct part *part, const struct told *told, enum placement placement) {
    fprintf(stderr, "%s, %s:", machine.doing, placement_names[placement]);
    for (size_t i = 0; i < FIGURES_MAX && part->headings[i].head != NULL; i++)
        fprintf(stderr, " %s %.4g", part->headings[i].head, told->figures[i]);
    fprintf(stderr, "\n");
}

static void keep(struct loop_results *results, size_t part, size_t mode, unsigned round,
                 enum placement placement, const struct told *told) {
    results->count[part][mode][placement]++;
    results->has[part][mode][placement][round] = true;
    for (size_t i = 0; i < FIGURES_MAX; i++)
        results->figures[part][mode][placement][i][round] = told->figures[i];
}

/* Until it was measured undisturbed, or has been tried often enough. */
static void measure(const struct plan *plan, struct loop_results *results, size_t part, size_t mode,
                    unsigned round, enum loop_length length, struct told *told) {
    for (unsigned attempt = 0; attempt < plan->attempts;) {
        if (harness_signal() != 0 ||
            (attempt > 0 && plan->stop_ns != 0 && now_ns() > plan->stop_ns))
            return;
        enum placement placement =
            run_trial(plan, loop_parts[part], &loop_parts[part]->ways[mode], length, told);
        results->tally[placement]++;
        if (plan->list)
            list_trial(loop_parts[part], told, placement);
        if (placement == UNWANTED && now_ns() < plan->give_up_ns) {
            usleep(100000); /* idle CPUs are what the host moves */
            continue;
        }
        if (placement <= FAR) {
            keep(results, part, mode, round, placement, told);
            return;
        }
        usleep(20000); /* whoever disturbed may be done by then */
        attempt++;
    }
}

/* Each way once, unless it is time to end. Each round begins with another: what comes first may
 * find other weather. */
static void run_part(const struct plan *plan, size_t at, unsigned round, enum loop_length length,
                     struct loop_results *results, struct told *told) {
    const struct part *part = loop_parts[at];
    for (size_t i = 0; i < part->way_count; i++) {
        size_t mode = (i + round) % part->way_count;
        if (harness_signal() != 0 || (plan->stop_ns != 0 && now_ns() > plan->stop_ns)) {
            results->not_begun++;
            continue;
        }
        if (!plan->list && isatty(STDERR_FILENO))
            fprintf(stderr, "\r\033[Kloop: round %u of %u (%s, %s)", round + 1, plan->rounds,
                    part->name, part->ways[mode].name);
        measure(plan, results, at, mode, round, length, told);
    }
}

int loop_run(FILE *out, const struct plan *plan, const char *parts, enum loop_length length,
             bool json) {
    struct loop_results *results = must_allocate(1, sizeof *results);
    struct told *told = map_shared(sizeof *told);
    for (unsigned round = 0; round < plan->rounds; round++)
        for (size_t at = 0; at < PARTS; at++)
            if (parts == NULL ||
                list_has(parts, loop_parts[at]->name, strlen(loop_parts[at]->name)))
                run_part(plan, at, round, length, results, told);
    if (!plan->list && isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
    if (json)
        loop_show_json(out, plan, results);
    else
        loop_show_text(out, results);
    free(results);
    return 0;
}
