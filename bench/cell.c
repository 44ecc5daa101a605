/* cell.c - a trial of a transport in an experiment: what is sent and asked by the parent, received
 * and answered by the child. */
#include "machine.h"

#include <stdlib.h>

/* The links of a trial: set before the processes part. */
static struct links {
    const struct transport *transport;
    enum experiment experiment;
    const struct loops *loops;
    unsigned count;
    void *link[2]; /* link[1] of a round trip goes in the direction of the answer */
    struct run run;
} links;

static bool goes_both_ways(void) {
    return links.experiment == ROUND_TRIP || links.experiment == WAKEUP;
}

/* --- Links ------------------------------------------------------------------------------------ */

static enum role role_at(unsigned i, enum role side) {
    bool answers = i == 1 && goes_both_ways();
    return answers ? (side == SENDER ? RECEIVER : SENDER) : side;
}

/* What the loops are given. */
static void *end_at(unsigned i, enum role side) {
    return links.transport->end != NULL ? links.transport->end(links.link[i], role_at(i, side))
                                        : links.link[i];
}

static int links_open(enum role side) {
    for (unsigned i = 0; i < links.count && links.transport->open != NULL; i++)
        if (links.transport->open(links.link[i], role_at(i, side)) != 0)
            return -1;
    return 0;
}

static void links_close(enum role side, struct counters *sum) {
    for (unsigned i = 0; i < links.count && links.transport->close != NULL; i++) {
        struct counters more = {0};
        links.transport->close(links.link[i], role_at(i, side), &more);
        sum->messages += more.messages;
        sum->stalls += more.stalls;
        sum->sleeps += more.sleeps;
        sum->wake_calls += more.wake_calls;
    }
}

static void links_destroy(void) {
    for (unsigned i = 0; i < links.count && links.link[i] != NULL; i++) {
        if (links.transport->destroy != NULL)
            links.transport->destroy(links.link[i]);
        if (links.transport->link_size != 0)
            free(links.link[i]);
    }
}

/* At real-time priority a process keeps its own threads from its CPU for as long as it does not
 * sleep, and on one CPU the other side too; the harness itself spins while it probes. */
static bool starves(const struct transport *transport) {
    bool spins = !transport->sleeps || transport->polls;
    return realtime_is_on() && (transport->threads || (machine.one_cpu && spins));
}

static struct run new_run(const struct trial *trial) {
    const struct plan *plan = trial->plan;
    bool pauses = links.experiment == WAKEUP;
    /* Twice around a queue of small messages, or its first touches are measured; yet a slow
     * transport must get there. */
    uint64_t warm_up = plan->capacity / 8;
    warm_up = warm_up < WARM_UP ? WARM_UP : warm_up < 8 * WARM_UP ? warm_up : 8 * WARM_UP;
    return (struct run){.warm_up = scaled((unsigned)warm_up),
                        .warm_up_trips = pauses ? WARM_UP_PAUSED : scaled(WARM_UP_TRIPS),
                        .lengths = machine.lengths,
                        .buffer = machine.buffer,
                        .buffer_size = BUFFER_SIZE,
                        .state = &machine.control->state,
                        .samples = machine.samples,
                        .sample_max = SAMPLES_MAX,
                        .rate = trial->column.level,
                        .pause_ns = pauses ? plan->pause_ns : 0};
}

/* NULL: its loops are for all sizes. */
static const struct sized *find_sized(const struct transport *transport,
                                      const struct trial *trial) {
    const struct sized *sized = transport->sized;
    while (sized != NULL && sized->loops != NULL && sized->size != ANY_SIZE &&
           (sized->size != trial->column.size ||
            (sized->capacity != 0 && sized->capacity != trial->plan->capacity)))
        sized++;
    return sized;
}

/* NULL: it cannot carry such messages. */
static void *new_link(const struct trial *trial, const struct sized *sized, unsigned number) {
    const struct transport *transport = trial->way->of;
    const struct setup setup = {transport, trial->column.size, trial->plan->capacity,
                                link_memory(number), machine.memory_size};
    bool (*create)(void *, const struct setup *) =
        sized != NULL && sized->create != NULL ? sized->create : transport->create;
    size_t size = transport->link_size;
    void *link = size != 0 ? must_allocate(1, size) : setup.memory;
    if (create == NULL || create(link, &setup))
        return link;
    if (size != 0)
        free(link);
    return NULL;
}

/* The asker of a wake-up sleeps in between, whatever its transport does; several senders share a
 * CPU. */
static int prepare(struct trial *trial) {
    const struct transport *transport = trial->way->of;
    enum experiment experiment = (enum experiment)trial->way->context;
    links = (struct links){.transport = transport, .experiment = experiment};
    if (starves(transport))
        return 1;
    links.count = goes_both_ways() ? 2 : 1;
    const struct sized *sized = find_sized(transport, trial);
    links.loops = sized != NULL ? sized->loops : transport->loops;
    for (unsigned i = 0; i < links.count; i++)
        if (links.loops == NULL || (links.link[i] = new_link(trial, sized, i)) == NULL)
            return links_destroy(), 1;
    links.run = new_run(trial);
    trial->care[RECEIVER] = transport->sleeps ? SLEEPS : SPINS;
    trial->care[SENDER] = experiment == RATE && transport->senders > 1 ? SHARES
                          : experiment == WAKEUP                       ? SLEEPS
                                                                       : trial->care[RECEIVER];
    return 0;
}

/* --- The processes ---------------------------------------------------------------------------- */

/* Sends or asks in the one role, receives or answers in the other. */
static int run_loop(enum role side) {
    const struct loops *loops = links.loops;
    void *there = end_at(0, side), *back = goes_both_ways() ? end_at(1, side) : NULL;
    if (goes_both_ways())
        return (side == SENDER ? loops->trip_ask : loops->trip_answer)(&links.run, there, back);
    return (side == SENDER ? loops->rate_send : loops->rate_receive)(&links.run, there);
}

static int work(struct trial *trial) {
    struct run *run = &links.run;
    if (links_open(trial->role) != 0 || trial_begin(trial) != 0)
        return -1;
    run->duration_ns = trial->duration_ns;
    if (run_loop(trial->role) != 0)
        return -1;
    if (trial->role == RECEIVER) {
        trial->told->count = run->count;
        trial->told->elapsed_ns = run->elapsed_ns;
        trial->told->received = run->sample_count;
    }
    if (trial_end(trial) != 0)
        return -1;
    links_close(trial->role, &trial->told->counters[trial->role]);
    return 0;
}

/* --- Figures ---------------------------------------------------------------------------------- */

#define PERCENTILES 6u
static const double percentile_parts[PERCENTILES] = {0.5, 0.9, 0.99, 0.999, 0.9999, 1};

#define COSTS                                                                                      \
    SUM("wall s", "sender.wall_s"), SUM("CPU s, sender", "sender.cpu_s"),                          \
        SUM("receiver", "receiver.cpu_s"), SUM("switches, sender", "sender.switches"),             \
        SUM("receiver", "receiver.switches"), SUM("messages", "receiver.messages"),                \
        SUM("wakes, sender", "sender.wake_calls"), SUM("receiver", "receiver.wake_calls"),         \
        SUM("sleeps, sender", "sender.sleeps"), SUM("receiver", "receiver.sleeps"),                \
        SUM("stalls, sender", "sender.stalls"), SUM("receiver", "receiver.stalls"),                \
        SUM(NULL, "receiver.wall_s"), SUM(NULL, "sender.messages")
#define TIMES                                                                                      \
    FIGURE("p50, ns", "p50_ns"), FIGURE("p90", "p90_ns"), FIGURE("p99", "p99_ns"),                 \
        FIGURE("p99.9", "p99.9_ns"), FIGURE("p99.99", "p99.99_ns"), FIGURE("max", "max_ns"),       \
        SUM(NULL, "times"), SUM(NULL, "waited_s")

static const struct part parts[EXPERIMENTS] = {
    [RATE] = {.title = "Messages a second, millions",
              .figures = {FIGURE("million messages/s", "million_per_s"), COSTS}},
    [ROUND_TRIP] = {.title = "Round trips", .figures = {TIMES, COSTS}},
    [WAKEUP] = {.title = "Round trips with a pause before each", .figures = {TIMES, COSTS}},
    [OPEN_LOOP] = {.title = "One way, from when a message was due",
                   .figures = {TIMES, COSTS, FIGURE("achieved/s", "achieved")}},
};
#define ACHIEVED 22u /* of OPEN_LOOP, behind the others */

static void take_costs(const struct trial *trial, double *to) {
    const struct usage *use = trial->told->usage;
    const struct counters *tx = &trial->told->counters[SENDER],
                          *rx = &trial->told->counters[RECEIVER];
    const double costs[] = {(double)use[SENDER].wall_ns / 1e9,
                            (double)use[SENDER].cpu_ns / 1e9,
                            (double)use[RECEIVER].cpu_ns / 1e9,
                            (double)use[SENDER].switches,
                            (double)use[RECEIVER].switches,
                            (double)rx->messages,
                            (double)tx->wake_calls,
                            (double)rx->wake_calls,
                            (double)tx->sleeps,
                            (double)rx->sleeps,
                            (double)tx->stalls,
                            (double)rx->stalls,
                            (double)use[RECEIVER].wall_ns / 1e9,
                            (double)tx->messages};
    memcpy(to, costs, sizeof costs);
}

/* A percentile that not even one value lies beyond is unknown. */
static void take_times(const struct trial *trial, double *to) {
    const struct histogram *times = trial->times;
    size_t count = links.experiment == OPEN_LOOP ? trial->told->received : links.run.sample_count;
    for (size_t i = 0; i < count; i++)
        histogram_add(trial->times, machine.samples[i]);
    for (unsigned i = 0; i < PERCENTILES; i++) {
        double part = percentile_parts[i], beyond = (1 - part) * (double)times->count;
        bool known = part < 1 ? beyond > 0.999 : times->count > 0;
        to[i] = known ? (double)histogram_quantile(times, part) * histogram_unit(links.experiment)
                      : UNKNOWN;
    }
    to[PERCENTILES] = (double)times->count;
    to[PERCENTILES + 1] = (double)links.run.idle_ns / 1e9;
}

/* A transport whose loop ignores the pause would pass its busy round trips off as wake-ups. */
static bool kept_pauses(const struct trial *trial) {
    return links.experiment != WAKEUP ||
           trial->times->count * trial->plan->pause_ns <= trial->told->usage[SENDER].wall_ns;
}

static void take_figures(struct trial *trial) {
    struct told *told = trial->told;
    double *figures = told->figures;
    if (links.experiment == RATE) {
        figures[0] =
            told->elapsed_ns != 0 ? (double)told->count * 1e3 / (double)told->elapsed_ns : UNKNOWN;
        told->too_little = figures[0] <= 0;
        take_costs(trial, figures + 1);
        return;
    }
    take_times(trial, figures);
    take_costs(trial, figures + PERCENTILES + 2);
    told->too_little = trial->times->count == 0 || !kept_pauses(trial);
    if (links.experiment == OPEN_LOOP)
        figures[ACHIEVED] = links.run.elapsed_ns != 0
                                ? (double)links.run.count * 1e9 / (double)links.run.elapsed_ns
                                : UNKNOWN;
}

static void finish(struct trial *trial, bool good) {
    links_destroy();
    if (good)
        take_figures(trial);
    if (good && links.experiment == OPEN_LOOP && !links.run.timed)
        trial->told->does_not_fit = true;
}

double histogram_unit(enum experiment experiment) {
    return experiment == OPEN_LOOP ? 1 : 1 / machine.ticks_per_ns;
}

struct part cell_part(enum experiment experiment, const struct transport *const *transports,
                      size_t count, struct way *ways) {
    struct part part = parts[experiment];
    part.name = experiment_names[experiment];
    part.ways = ways;
    part.way_count = count;
    part.yardstick = NO_YARDSTICK;
    part.sleeps = experiment == WAKEUP;
    for (size_t i = 0; i < count; i++)
        ways[i] = (struct way){.name = transports[i]->name,
                               .about = transports[i]->about,
                               .prepare = prepare,
                               .work = work,
                               .finish = finish,
                               .context = (int)experiment,
                               .of = transports[i]};
    return part;
}
