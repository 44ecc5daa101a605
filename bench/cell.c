/* cell.c - one cell, measured once; see machine.h.
 *
 * The parent sends and asks, a child receives and answers. Order of events, in both:
 * open, probe, experiment, probe, close. A side that fails sets control->state, which every loop
 * polls. */
#include "machine.h"
#include "realtime.h"

struct links {
    const struct transport *transport;
    enum experiment experiment;
    unsigned count;
    void *link[2]; /* link[1] of a round trip goes in the direction of the answer */
};

static bool goes_both_ways(enum experiment experiment) {
    return experiment == ROUND_TRIP || experiment == WAKEUP;
}

/* --- Links ------------------------------------------------------------------------------------ */

/* side: SENDER for the parent, RECEIVER for the child. */
static enum role role_at(const struct links *links, unsigned i, enum role side) {
    bool answers = i == 1 && goes_both_ways(links->experiment);
    return answers ? (side == SENDER ? RECEIVER : SENDER) : side;
}

static int links_open(const struct links *links, enum role side) {
    for (unsigned i = 0; i < links->count && links->transport->open != NULL; i++)
        if (links->transport->open(links->link[i], role_at(links, i, side)) != 0)
            return -1;
    return 0;
}

static void links_close(const struct links *links, enum role side, struct counters *sum) {
    for (unsigned i = 0; i < links->count && links->transport->close != NULL; i++) {
        struct counters counters = {0};
        links->transport->close(links->link[i], role_at(links, i, side), &counters);
        counters_add(sum, &counters);
    }
}

static void links_destroy(const struct links *links) {
    for (unsigned i = 0; i < links->count; i++)
        if (links->link[i] != NULL)
            links->transport->destroy(links->link[i]);
}

/* At real-time priority a process keeps its own threads from its CPU for as long as it does not
 * sleep, and on one CPU the other side too; the harness itself spins while it probes. */
static bool starves(const struct transport *transport) {
    bool spins = !transport->sleeps || transport->polls;
    return realtime_is_on() && (transport->threads || (machine.one_cpu && spins));
}

/* 0, or -1 when the transport does not carry such messages. */
static int links_create(struct links *links, const struct plan *plan,
                        const struct transport *transport, struct column column) {
    *links = (struct links){.transport = transport, .experiment = plan->experiment};
    if (starves(transport))
        return -1;
    links->count = goes_both_ways(plan->experiment) ? 2 : 1;
    for (unsigned i = 0; i < links->count; i++) {
        struct setup setup = {transport, column.size, plan->capacity, link_memory(i),
                              machine.memory_size};
        links->link[i] = transport->create(&setup);
        if (links->link[i] == NULL) {
            links_destroy(links);
            return -1;
        }
    }
    return 0;
}

/* --- The processes ---------------------------------------------------------------------------- */

static struct run new_run(const struct plan *plan, struct column column) {
    /* Twice around a queue of small messages, or its first touches are measured; yet a slow
     * transport must get there. */
    uint64_t warm_up = plan->capacity / 8;
    warm_up = warm_up < WARM_UP ? WARM_UP : warm_up < 8 * WARM_UP ? warm_up : 8 * WARM_UP;
    return (struct run){.warm_up = scaled((unsigned)warm_up),
                        .warm_up_trips =
                            plan->experiment == WAKEUP ? WARM_UP_PAUSED : scaled(WARM_UP_TRIPS),
                        .lengths = machine.lengths,
                        .buffer = machine.buffer,
                        .buffer_size = BUFFER_SIZE,
                        .state = &machine.control->state,
                        .samples = machine.samples,
                        .sample_max = SAMPLES_MAX,
                        .duration_ns = plan->duration_ns,
                        .rate = column.level,
                        .pause_ns = plan->experiment == WAKEUP ? plan->pause_ns : 0};
}

/* Waits until the word has that value: asleep where others have to run on this CPU meanwhile. */
static int await(const uint64_t *word, uint64_t value) {
    const struct timespec moment = {0, 100000};
    if (!machine.one_cpu)
        return probe_wait(word, value);
    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value) {
        if (__atomic_load_n(&machine.control->state, __ATOMIC_RELAXED) > POLITE)
            return -1;
        nanosleep(&moment, NULL);
    }
    return 0;
}

static int send_side(const struct links *links, struct run *run) {
    if (goes_both_ways(links->experiment))
        return links->transport->trip_ask(run, links->link[0], links->link[1]);
    return links->transport->rate_send(run, links->link[0]);
}

static int receive_side(const struct links *links, struct run *run) {
    if (goes_both_ways(links->experiment))
        return links->transport->trip_answer(run, links->link[0], links->link[1]);
    return links->transport->rate_receive(run, links->link[0]);
}

/* One of the two probes of a cell, by the parent: its round trip, negative where there is no
 * distance. */
static int probe(uint64_t *serial, double *ns) {
    *ns = machine.one_cpu ? -1 : probe_ask(serial);
    return *ns == 0 ? -1 : 0;
}

static int answer_probe(uint64_t *serial) {
    return machine.one_cpu ? 0 : probe_answer(serial);
}

/* The receiving, answering process, except for its end. */
static int child_work(const struct links *links, struct run *run) {
    struct control *control = machine.control;
    uint64_t serial = 0;
    if (links_open(links, RECEIVER) != 0)
        return -1;
    __atomic_store_n(&control->ready, 1, __ATOMIC_RELEASE);
    if (answer_probe(&serial) != 0)
        return -1;
    usage_add(&control->usage, UINT64_MAX);
    if (await(&control->go, 1) != 0)
        return -1;
    int result = receive_side(links, run);
    usage_add(&control->usage, 1);
    control->count = run->count;
    control->elapsed_ns = run->elapsed_ns;
    control->sample_count = run->sample_count;
    __atomic_store_n(&control->received, 1, __ATOMIC_RELEASE);
    if (result != 0 || await(&control->received, 2) != 0 || answer_probe(&serial) != 0)
        return -1;
    links_close(links, RECEIVER, &control->side);
    return 0;
}

/* The sending, asking process. 0 or -1; the two probes in probes[]. */
static int parent_work(const struct links *links, struct run *run, const struct plan *plan,
                       struct sample *sample, double probes[2], bool *unwanted) {
    struct control *control = machine.control;
    uint64_t serial = 0;
    expect_within(LATE_NS); /* of the harness: what the transport does has the watchdog */
    if (links_open(links, SENDER) != 0 || await(&control->ready, 1) != 0 ||
        probe(&serial, &probes[0]) != 0)
        return -1;
    *unwanted = plan->wanted != ANY_PLACEMENT && !machine.one_cpu &&
                (probes[0] < NEAR_LIMIT_NS ? NEAR : FAR) != plan->wanted;
    if (*unwanted)
        run->duration_ns = 0;
    __atomic_store_n(&control->deadline_ns, 0, __ATOMIC_RELAXED);
    usage_add(&sample->usage[SENDER], UINT64_MAX);
    __atomic_store_n(&control->go, 1, __ATOMIC_RELEASE);
    int result = send_side(links, run);
    usage_add(&sample->usage[SENDER], 1);
    if (result != 0 || await(&control->received, 1) != 0)
        return -1;
    expect_within(LATE_NS);
    __atomic_store_n(&control->received, 2, __ATOMIC_RELEASE);
    if (probe(&serial, &probes[1]) != 0)
        return -1;
    links_close(links, SENDER, &sample->side[SENDER]);
    return 0;
}

/* --- What came of it -------------------------------------------------------------------------- */

static void take_times(const struct plan *plan, const struct run *run, struct histogram *times) {
    size_t count =
        plan->experiment == OPEN_LOOP ? machine.control->sample_count : run->sample_count;
    for (size_t i = 0; i < count; i++)
        histogram_add(times, machine.samples[i]);
}

/* A percentile that not even one value lies beyond says nothing. */
static void take_percentiles(struct sample *sample, const struct histogram *times, double unit) {
    for (int i = P50; i < PERCENTILES; i++) {
        double beyond = (1 - percentile_parts[i]) * (double)times->count;
        bool known = i == HIGHEST ? times->count > 0 : beyond > 0.999;
        sample->percentile[i] = known ? histogram_quantile(times, percentile_parts[i]) * unit : -1;
    }
}

/* A transport whose loop ignores the pause would pass its busy round trips off as wake-ups. */
static bool kept_pauses(const struct plan *plan, const struct sample *sample, uint64_t trips) {
    return plan->experiment != WAKEUP || trips * plan->pause_ns <= sample->usage[SENDER].wall_ns;
}

/* Whether there was enough to count. */
static bool take_results(const struct plan *plan, const struct run *run, struct sample *sample,
                         struct histogram *times) {
    const struct control *control = machine.control;
    sample->usage[RECEIVER] = control->usage;
    sample->side[RECEIVER] = control->side;
    if (plan->experiment == RATE) {
        if (control->elapsed_ns != 0)
            sample->rate = (double)control->count * 1e3 / (double)control->elapsed_ns;
        return sample->rate > 0;
    }
    if (plan->experiment == OPEN_LOOP && run->elapsed_ns != 0)
        sample->rate = (double)run->count * 1e9 / (double)run->elapsed_ns;
    sample->idle_ns = run->idle_ns;
    take_times(plan, run, times);
    take_percentiles(sample, times, histogram_unit(plan));
    return times->count > 0 && kept_pauses(plan, sample, times->count);
}

/* Did another program run on our CPU? A process that spins must have had all the CPU time there
 * was; one that sleeps must not have waited for the CPU. */
bool was_late(const struct usage *usage, bool sleeps) {
    /* its own threads may */
    uint64_t delay_ns =
        usage->delay_ns > usage->helpers_ns ? usage->delay_ns - usage->helpers_ns : 0;
    uint64_t lost_ns = sleeps                           ? delay_ns
                       : usage->wall_ns > usage->cpu_ns ? usage->wall_ns - usage->cpu_ns
                                                        : 0;
    return lost_ns * 100 > usage->wall_ns * 3;
}

/* Of two on one CPU, each is kept waiting while the other runs, and by others besides. */
static bool was_late_beside(const struct usage *usage, const struct usage *other) {
    uint64_t delay_ns = usage->delay_ns;
    return delay_ns > other->cpu_ns && (delay_ns - other->cpu_ns) * 100 > usage->wall_ns * 3;
}

/* The asker of a wake-up sleeps in between, whatever its transport does. */
static bool was_disturbed(const struct links *links, const struct sample *sample) {
    bool sleeps = links->transport->sleeps;
    const struct usage *usage = sample->usage;
    if (machine.one_cpu)
        return was_late_beside(&usage[SENDER], &usage[RECEIVER]) ||
               was_late_beside(&usage[RECEIVER], &usage[SENDER]);
    bool shared = links->experiment == RATE &&
                  links->transport->senders > 1; /* its CPU, with other senders */
    return (!shared && was_late(&sample->usage[SENDER], sleeps || links->experiment == WAKEUP)) ||
           was_late(&sample->usage[RECEIVER], sleeps);
}

enum placement classify(const double probes[2], bool unwanted, bool disturbed) {
    disturbed = disturbed && !machine.polite;
    if (unwanted || disturbed)
        return unwanted ? UNWANTED : DISTURBED;
    if (machine.one_cpu)
        return ONE_CPU;
    bool before_near = probes[0] < NEAR_LIMIT_NS, after_near = probes[1] < NEAR_LIMIT_NS;
    return before_near != after_near && !machine.polite ? MIXED : before_near ? NEAR : FAR;
}

int run_cell(const struct plan *plan, const struct transport *transport, struct column column,
             struct sample *sample, struct histogram *times, enum placement *placement) {
    struct links links;
    if (links_create(&links, plan, transport, column) != 0)
        return -1;
    struct run run = new_run(plan, column);
    if (in_new_child())
        end_child(child_work(&links, &run));
    double probes[2] = {0, 0};
    bool unwanted = false;
    int result = parent_work(&links, &run, plan, sample, probes, &unwanted);
    int status = collect_children(result != 0);
    links_destroy(&links);
    if ((result != 0 || status != 0) && was_too_late()) {
        *placement = DISTURBED;
        return 0;
    }
    if (result != 0 || status != 0)
        message_lost();
    if (plan->experiment == OPEN_LOOP && !run.timed)
        return -1;
    bool enough = take_results(plan, &run, sample, times);
    sample->probe_ns = (probes[0] + probes[1]) / 2;
    *placement = classify(probes, unwanted, was_disturbed(&links, sample) || !enough);
    return 0;
}
