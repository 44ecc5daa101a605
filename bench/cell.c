/* cell.c - one cell of two processes, measured once; see machine.h.
 *
 * The parent sends and asks, the child receives and answers. Order of events, in both: open, probe, experiment, probe,
 * close. Whoever fails says so in control->failed, which every loop looks at. */
#include "machine.h"

/* The links of a cell: links[1] only for round trips, in the direction of the answer. */
struct links {
    const struct transport *transport;
    enum experiment experiment;
    void *link[2];
};

static bool goes_both_ways(enum experiment experiment) { return experiment == ROUND_TRIP || experiment == WAKEUP; }

static int links_open(const struct links *links, enum role role)
{
    if (links->transport->open == NULL)
        return 0;
    if (links->transport->open(links->link[0], role) != 0)
        return -1;
    return links->link[1] == NULL ? 0 : links->transport->open(links->link[1], role == SENDER ? RECEIVER : SENDER);
}

static void links_close(const struct links *links, enum role role, struct counters counters[2])
{
    if (links->transport->close == NULL)
        return;
    links->transport->close(links->link[0], role, &counters[0]);
    if (links->link[1] != NULL)
        links->transport->close(links->link[1], role == SENDER ? RECEIVER : SENDER, &counters[1]);
}

static void links_destroy(const struct links *links)
{
    for (int i = 0; i < 2; i++)
        if (links->link[i] != NULL)
            links->transport->destroy(links->link[i]);
}

/* 0, or -1 when the transport does not carry such messages. */
static int links_create(struct links *links, const struct plan *plan, const struct transport *transport, size_t size)
{
    *links = (struct links){ .transport = transport, .experiment = plan->experiment };
    for (unsigned i = 0; i < (goes_both_ways(plan->experiment) ? 2 : 1); i++) {
        struct setup setup = { transport, size, plan->capacity, link_memory(i), machine.memory_size, 1 };
        links->link[i] = transport->create(&setup);
        if (links->link[i] == NULL) {
            links_destroy(links);
            return -1;
        }
    }
    return 0;
}

struct run new_run(const struct plan *plan)
{
    /* Twice around a queue of small messages, or its first touches are measured; yet a slow transport must get
     * there. */
    uint64_t warm_up = plan->capacity / 8;
    warm_up = warm_up < WARM_UP ? WARM_UP : warm_up < 8 * WARM_UP ? warm_up : 8 * WARM_UP;
    return (struct run){ .warm_up = warm_up, .lengths = machine.lengths, .buffer = machine.buffer,
                         .buffer_size = BUFFER_SIZE, .failed = &machine.control->failed, .samples = machine.samples,
                         .sample_max = SAMPLES_MAX, .duration_ns = plan->duration_ns };
}

static int send_side(const struct links *links, struct run *run)
{
    const struct transport *transport = links->transport;
    if (links->experiment == RATE || links->experiment == OPEN_LOOP)
        return transport->rate_send(run, links->link[0]);
    return transport->trip_ask(run, links->link[0], links->link[1]);
}

static int receive_side(const struct links *links, struct run *run)
{
    const struct transport *transport = links->transport;
    if (links->experiment == RATE || links->experiment == OPEN_LOOP)
        return transport->rate_receive(run, links->link[0]);
    return transport->trip_answer(run, links->link[0], links->link[1]);
}

/* The receiving, answering process, except for its end. */
static int child_work(const struct links *links, struct run *run)
{
    struct control *control = machine.control;
    uint64_t serial = 0;
    if (links_open(links, RECEIVER) != 0 || probe_answer(&serial) != 0)
        return -1;
    usage_add(&control->usage, UINT64_MAX);
    if (probe_wait(&control->go, 1) != 0)
        return -1;
    int result = receive_side(links, run);
    usage_add(&control->usage, 1);
    control->count = run->count;
    control->elapsed_ns = run->elapsed_ns;
    control->sample_count = run->sample_count;
    if (result != 0 || probe_answer(&serial) != 0)
        return -1;
    links_close(links, RECEIVER, control->counters);
    return 0;
}

/* The sending, asking process. 0 or -1; the two probes in probes[]. */
static int parent_work(const struct links *links, struct run *run, const struct plan *plan, struct sample *sample,
                       double probes[2], bool *unwanted)
{
    struct control *control = machine.control;
    uint64_t serial = 0;
    if (links_open(links, SENDER) != 0 || (probes[0] = probe_ask(&serial)) <= 0)
        return -1;
    *unwanted = plan->wanted != ANY_PLACEMENT && (probes[0] < NEAR_LIMIT_NS ? NEAR : FAR) != plan->wanted;
    if (*unwanted)
        run->duration_ns = 0;
    usage_add(&sample->usage[SENDER], UINT64_MAX);
    __atomic_store_n(&control->go, 1, __ATOMIC_RELEASE);
    int result = send_side(links, run);
    usage_add(&sample->usage[SENDER], 1);
    if (result != 0 || (probes[1] = probe_ask(&serial)) <= 0)
        return -1;
    struct counters counters[2] = { { 0 } };
    links_close(links, SENDER, counters);
    counters_add(&sample->side[SENDER], &counters[0]);
    counters_add(&sample->side[SENDER], &counters[1]);
    return 0;
}

/* A percentile that not even one value lies beyond says nothing. */
void take_percentiles(struct sample *sample, const struct histogram *times, double unit)
{
    for (int i = P50; i < PERCENTILES; i++) {
        double beyond = (1 - percentile_parts[i]) * (double)times->count;
        bool known = i == HIGHEST ? times->count > 0 : beyond > 0.999;
        sample->percentile[i] = known ? histogram_quantile(times, percentile_parts[i]) * unit : -1;
    }
}

/* A transport whose loop ignores the pause would pass its busy round trips off as wake-ups. */
static bool kept_pauses(const struct plan *plan, const struct sample *sample, size_t trips)
{
    return plan->experiment != WAKEUP || trips * plan->pause_ns <= sample->usage[SENDER].wall_ns;
}

/* Whether there was enough to count. */
static bool take_results(const struct plan *plan, struct sample *sample, const struct run *run, struct histogram *times)
{
    const struct control *control = machine.control;
    sample->usage[RECEIVER] = control->usage;
    counters_add(&sample->side[RECEIVER], &control->counters[0]);
    counters_add(&sample->side[RECEIVER], &control->counters[1]);
    if (plan->experiment == RATE) {
        if (control->elapsed_ns != 0)
            sample->rate = (double)control->count * 1e3 / (double)control->elapsed_ns;
        return sample->rate > 0;
    }
    if (plan->experiment == OPEN_LOOP && run->elapsed_ns != 0)
        sample->rate = (double)run->count * 1e9 / (double)run->elapsed_ns;
    sample->idle_ns = run->idle_ns;
    size_t count = plan->experiment == OPEN_LOOP ? control->sample_count : run->sample_count;
    for (size_t i = 0; i < count; i++)
        histogram_add(times, machine.samples[i]);
    take_percentiles(sample, times, histogram_unit(plan));
    return count > 0 && kept_pauses(plan, sample, count);
}

/* Did another program run on our CPU? A process that spins must have had all the CPU time there was; one that sleeps
 * must not have waited for the CPU. */
bool was_late(const struct usage *usage, bool sleeps)
{
    uint64_t delay_ns = usage->delay_ns > usage->helpers_ns ? usage->delay_ns - usage->helpers_ns : 0; /* its own threads may */
    uint64_t lost_ns = sleeps                            ? delay_ns
                       : usage->wall_ns > usage->cpu_ns ? usage->wall_ns - usage->cpu_ns
                                                         : 0;
    return lost_ns * 100 > usage->wall_ns * 3;
}

enum placement classify(const double probes[2], bool unwanted, bool disturbed)
{
    if (unwanted || disturbed)
        return unwanted ? UNWANTED : DISTURBED;
    bool before_near = probes[0] < NEAR_LIMIT_NS, after_near = probes[1] < NEAR_LIMIT_NS;
    return before_near != after_near ? MIXED : before_near ? NEAR : FAR;
}

int run_cell(const struct plan *plan, const struct transport *transport, struct column column, struct sample *sample,
             struct histogram *times, enum placement *placement)
{
    struct links links;
    if (links_create(&links, plan, transport, column.size) != 0)
        return -1;
    struct run run = new_run(plan);
    run.rate = column.level;
    run.pause_ns = plan->experiment == WAKEUP ? plan->pause_ns : 0;
    if (in_new_child())
        end_child(child_work(&links, &run));
    double probes[2] = { 0, 0 };
    bool unwanted = false;
    int result = parent_work(&links, &run, plan, sample, probes, &unwanted);
    int status = collect_children(result != 0);
    links_destroy(&links);
    if (result != 0 || status != 0)
        message_lost();
    if (plan->experiment == OPEN_LOOP && !run.timed)
        return -1;
    bool enough = take_results(plan, sample, &run, times);
    sample->probe_ns = (probes[0] + probes[1]) / 2;
    /* The asker of a wake-up sleeps between trips, whatever its transport does. */
    bool disturbed = was_late(&sample->usage[SENDER], transport->sleeps || plan->experiment == WAKEUP) ||
                     was_late(&sample->usage[RECEIVER], transport->sleeps);
    *placement = classify(probes, unwanted, disturbed || !enough);
    return 0;
}
