/* fanout.c - one cell with one sender and several receivers, measured once; see machine.h.
 *
 * What counts is the sender's time for a message to all of them, so it sends bursts that fit into the queues and then
 * waits, asleep, until all have received them. The receivers share one CPU, as there may be no more: their own speed is
 * not measured. The first of them, who is there even when none was asked for, answers the probes. */
#include "machine.h"

struct fan {
    const struct transport *transport;
    unsigned receivers, children, link_count;
    void *links[RECEIVERS_MAX];
};

static void fan_destroy(const struct fan *fan)
{
    for (unsigned i = 0; i < fan->link_count; i++)
        if (fan->links[i] != NULL)
            fan->transport->destroy(fan->links[i]);
}

static int fan_create(struct fan *fan, const struct plan *plan, const struct transport *transport, struct column column)
{
    *fan = (struct fan){ .transport = transport, .receivers = (unsigned)column.level };
    fan->children = fan->receivers == 0 ? 1 : fan->receivers;
    fan->link_count = transport->broadcast ? 1 : fan->receivers;
    for (unsigned i = 0; i < fan->link_count; i++) {
        struct setup setup = { transport, column.size, plan->capacity, link_memory(i), machine.memory_size,
                               transport->broadcast ? fan->receivers : 1 };
        fan->links[i] = transport->create(&setup);
        if (fan->links[i] == NULL) {
            fan_destroy(fan);
            return -1;
        }
    }
    return 0;
}

/* Sleeps until the word has that value at least. */
static int wait_asleep(const uint64_t *word, uint64_t value)
{
    const struct timespec moment = { 0, 100000 };
    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) < value) {
        if (__atomic_load_n(&machine.control->failed, __ATOMIC_RELAXED))
            return -1;
        nanosleep(&moment, NULL);
    }
    return 0;
}

static int child_work(const struct fan *fan, unsigned number, struct run *run)
{
    const struct transport *transport = fan->transport;
    struct control *control = machine.control;
    bool receives = number < fan->receivers;
    void *link = receives ? fan->links[transport->broadcast ? 0 : number] : NULL;
    uint64_t serial = 0;
    if (receives && transport->open != NULL && transport->open(link, RECEIVER) != 0)
        return -1;
    __atomic_fetch_add(&control->ready, 1, __ATOMIC_RELEASE);
    if (number == 0 && (wait_asleep(&control->ready, fan->children) != 0 || probe_answer(&serial) != 0))
        return -1;
    usage_add(&control->usages[number], UINT64_MAX);
    if (wait_asleep(&control->go, 1) != 0)
        return -1;
    run->progress = &control->progress[number * PROGRESS_STRIDE];
    int result = receives ? transport->rate_receive(run, link) : 0;
    usage_add(&control->usages[number], 1);
    __atomic_fetch_add(&control->received, 1, __ATOMIC_RELEASE);
    if (result != 0 || (number == 0 && (wait_asleep(&control->received, fan->children + 1) != 0 ||
                                        probe_answer(&serial) != 0)))
        return -1;
    if (receives && transport->close != NULL)
        transport->close(link, RECEIVER, &control->each[number]);
    return 0;
}

static int sender_open(const struct fan *fan)
{
    for (unsigned i = 0; i < fan->link_count && fan->transport->open != NULL; i++)
        if (fan->transport->open(fan->links[i], SENDER) != 0)
            return -1;
    return 0;
}

static void sender_close(const struct fan *fan, struct counters *sum)
{
    for (unsigned i = 0; i < fan->link_count && fan->transport->close != NULL; i++) {
        struct counters counters = { 0 };
        fan->transport->close(fan->links[i], SENDER, &counters);
        counters_add(sum, &counters);
    }
}

static int parent_work(const struct fan *fan, struct run *run, const struct plan *plan, struct sample *sample,
                       double probes[2], bool *unwanted)
{
    struct control *control = machine.control;
    uint64_t serial = 0;
    if (sender_open(fan) != 0 || wait_asleep(&control->ready, fan->children) != 0 ||
        (probes[0] = probe_ask(&serial)) <= 0)
        return -1;
    *unwanted = plan->wanted != ANY_PLACEMENT && (probes[0] < NEAR_LIMIT_NS ? NEAR : FAR) != plan->wanted;
    if (*unwanted)
        run->duration_ns = 0;
    usage_add(&sample->usage[SENDER], UINT64_MAX);
    __atomic_store_n(&control->go, 1, __ATOMIC_RELEASE);
    int result = fan->transport->fan_send(run, fan->links, fan->link_count);
    usage_add(&sample->usage[SENDER], 1);
    /* Only when nobody receives any more may the first of them answer, and it learns that from the parent's one
     * more. */
    if (result != 0 || wait_asleep(&control->received, fan->children) != 0)
        return -1;
    __atomic_fetch_add(&control->received, 1, __ATOMIC_RELEASE);
    if ((probes[1] = probe_ask(&serial)) <= 0)
        return -1;
    sender_close(fan, &sample->side[SENDER]);
    return 0;
}

/* Messages that certainly fit into the queue, whatever a transport adds to each. */
static uint64_t burst_of(size_t capacity, size_t size)
{
    size_t longest = size == SIZE_MIX ? 2047 : size == SIZE_SMALL_MIX ? 64 : size;
    uint64_t burst = capacity / 4 / (longest + 64);
    return burst < 1 ? 1 : burst > 1000 ? 1000 : burst;
}

static void take_results(const struct plan *plan, const struct fan *fan, struct sample *sample, const struct run *run,
                         struct histogram *times)
{
    for (unsigned i = 0; i < fan->receivers; i++) {
        const struct usage *one = &machine.control->usages[i];
        struct usage *sum = &sample->usage[RECEIVER];
        sum->wall_ns = one->wall_ns > sum->wall_ns ? one->wall_ns : sum->wall_ns;
        sum->cpu_ns += one->cpu_ns;
        sum->switches += one->switches;
        counters_add(&sample->side[RECEIVER], &machine.control->each[i]);
    }
    double unit = 1 / (machine.ticks_per_ns * (double)run->burst * histogram_unit(plan));
    for (size_t i = 0; i < run->sample_count; i++) {
        double value = machine.samples[i] * unit;
        histogram_add(times, value < UINT32_MAX ? (uint32_t)value : UINT32_MAX);
    }
    take_percentiles(sample, times, histogram_unit(plan));
}

int run_fan_out(const struct plan *plan, const struct transport *transport, struct column column, struct sample *sample,
                struct histogram *times, enum placement *placement)
{
    struct fan fan;
    if (transport->fan_send == NULL || fan_create(&fan, plan, transport, column) != 0)
        return -1;
    struct run run = new_run(plan);
    run.burst = burst_of(plan->capacity, column.size);
    run.progress = machine.control->progress;
    run.receivers = fan.receivers;
    for (unsigned i = 0; i < fan.children; i++)
        if (in_new_child())
            end_child(child_work(&fan, i, &run));
    double probes[2] = { 0, 0 };
    bool unwanted = false;
    int result = parent_work(&fan, &run, plan, sample, probes, &unwanted);
    int status = collect_children(result != 0);
    fan_destroy(&fan);
    if (result != 0 || status != 0)
        message_lost();
    take_results(plan, &fan, sample, &run, times);
    sample->probe_ns = (probes[0] + probes[1]) / 2;
    *placement = classify(probes, unwanted, was_late(&sample->usage[SENDER], true) || times->count == 0);
    return 0;
}
