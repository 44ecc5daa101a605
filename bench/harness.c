/* harness.c - see harness.h. */
#include "harness.h"
#include "loops.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROBE_TRIPS 20000u
#define SAMPLES_MAX 4000000u
#define BUFFER_SIZE (BATCH * SIZE_MAX_FIXED)
#define EXIT_SKIP 77

const char *const placement_names[PLACEMENTS] = { "near", "far", "mixed", "disturbed", "unwanted" };

/* Shared by the two processes of a cell; zeroed before each. Each word that is polled has a page of its own. */
struct control {
    _Alignas(4096) uint64_t ping;
    _Alignas(4096) uint64_t pong;
    _Alignas(4096) uint64_t go;     /* the probe is over, start */
    _Alignas(4096) uint64_t failed; /* one side has given up */
    _Alignas(4096) uint64_t child_finished;
    uint64_t count, elapsed_ns;
    struct usage usage;
    struct counters counters[2]; /* by link */
};

static struct {
    struct control *control;
    unsigned char *memory[2];
    size_t memory_size; /* of each */
    int cpus[2];
    double ticks_per_ns;
    uint32_t *samples, *probe;
    unsigned char *buffer;
    uint16_t lengths[LENGTHS];
    char doing[96]; /* for the watchdog */
} harness;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* --- Numbers ------------------------------------------------------------------------------------------------------ */

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static int compare_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of sorted ticks, in ns. */
static double percentile_ns(const uint32_t *sorted, size_t count, double part)
{
    return count == 0 ? 0 : (double)sorted[(size_t)((double)(count - 1) * part)] / harness.ticks_per_ns;
}

struct spread cell_spread(const struct cell *cell, enum placement placement, sample_value value)
{
    struct spread spread = { .count = cell->count[placement] };
    double values[ROUNDS_MAX];
    if (spread.count == 0)
        return spread;
    for (unsigned i = 0; i < spread.count; i++)
        values[i] = value(&cell->samples[placement][i]);
    qsort(values, spread.count, sizeof *values, compare_double);
    spread.median = (values[(spread.count - 1) / 2] + values[spread.count / 2]) / 2;
    spread.min = values[0];
    spread.max = values[spread.count - 1];
    return spread;
}

void counters_add(struct counters *to, const struct counters *more)
{
    to->messages += more->messages;
    to->stalls += more->stalls;
    to->sleeps += more->sleeps;
    to->doorbells += more->doorbells;
    to->backoffs += more->backoffs;
}

int size_parse(const char *text, size_t *size)
{
    if (strcmp(text, "mix") == 0) {
        *size = SIZE_MIX;
        return 0;
    }
    if (strcmp(text, "small") == 0) {
        *size = SIZE_SMALL_MIX;
        return 0;
    }
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || value < SIZE_MIN || value > SIZE_MAX_FIXED)
        return -1;
    *size = value;
    return 0;
}

const char *size_name(size_t size, char text[32])
{
    if (size == SIZE_MIX)
        return "mix 16-2047 B";
    if (size == SIZE_SMALL_MIX)
        return "mix 8-64 B";
    snprintf(text, 32, "%zu B", size);
    return text;
}

static void fill_lengths(size_t size)
{
    uint64_t x = 88172645463325252u;
    for (size_t i = 0; i < LENGTHS; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        harness.lengths[i] = (uint16_t)(size > SIZE_SMALL_MIX    ? size
                                        : size == SIZE_SMALL_MIX ? 8 + x % 57
                                                                 : 16 + x % 2032);
    }
}

/* --- Clocks, CPUs, memory ----------------------------------------------------------------------------------------- */

static void calibrate(void)
{
    uint64_t t0 = ticks(), n0 = now_ns();
    while (now_ns() - n0 < 20000000)
        ;
    harness.ticks_per_ns = (double)(ticks() - t0) / (double)(now_ns() - n0);
}

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        die("sched_setaffinity");
}

static void choose_cpus(int cpus[2])
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        die("sched_getaffinity");
    int found = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++)
        if (CPU_ISSET((size_t)cpu, &set))
            cpus[found++] = cpu;
    if (found < 2) {
        fprintf(stderr, "this needs two CPUs\n");
        exit(EXIT_SKIP);
    }
}

/* How long this process was ready to run and did not, since it began; 0 where the kernel does not tell. */
static uint64_t run_delay_ns(void)
{
    unsigned long long run = 0, delay = 0;
    FILE *file = fopen("/proc/self/schedstat", "r");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%llu %llu", &run, &delay) != 2)
        delay = 0;
    fclose(file);
    return delay;
}

/* Adds what this process did since the beginning; called with the opposite sign at start and end. */
static void usage_add(struct usage *usage, uint64_t sign)
{
    struct rusage self;
    struct timespec cpu;
    getrusage(RUSAGE_SELF, &self);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    usage->delay_ns += sign * run_delay_ns();
    usage->switches += sign * (uint64_t)self.ru_nvcsw;
    usage->cpu_ns += sign * ((uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec);
    usage->wall_ns += sign * now_ns();
}

static void *map_shared(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (p == MAP_FAILED)
        die("mmap");
    return p;
}

static void *must_allocate(size_t count, size_t size)
{
    void *p = calloc(count, size);
    if (p == NULL)
        die("calloc");
    return p;
}

/* A cell that hangs or whose peer crashed must not leave the other process spinning. */
static void on_alarm(int signal)
{
    (void)signal;
    static const char text[] = " hangs: given up\n";
    ssize_t ignored = write(STDERR_FILENO, harness.doing, strlen(harness.doing));
    ignored = write(STDERR_FILENO, text, sizeof text - 1);
    (void)ignored;
    _exit(1);
}

static void on_child(int signal)
{
    (void)signal;
    if (!__atomic_load_n(&harness.control->child_finished, __ATOMIC_RELAXED))
        __atomic_store_n(&harness.control->failed, 1, __ATOMIC_RELAXED);
}

static void watch_for(uint64_t seconds)
{
    struct itimerval timer = { .it_value = { .tv_sec = (time_t)seconds } };
    setitimer(ITIMER_REAL, &timer, NULL);
}

void harness_start(int cpus[2], size_t capacity)
{
    if (cpus[0] < 0)
        choose_cpus(cpus);
    harness.cpus[0] = cpus[0];
    harness.cpus[1] = cpus[1];
    pin(cpus[0]);
    calibrate();
    harness.control = map_shared(sizeof *harness.control);
    harness.memory_size = 2 * capacity + ((size_t)64 << 10);
    for (int i = 0; i < 2; i++)
        harness.memory[i] = map_shared(harness.memory_size);
    /* Shared only so that fork leaves them writable: a page fault for every thousand samples would be the p99.9. */
    harness.samples = map_shared(SAMPLES_MAX * sizeof *harness.samples);
    harness.probe = map_shared(PROBE_TRIPS * sizeof *harness.probe);
    harness.buffer = aligned_alloc(4096, BUFFER_SIZE);
    if (harness.buffer == NULL)
        die("aligned_alloc");
    memset(harness.buffer, 0x5a, BUFFER_SIZE);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGALRM, on_alarm);
    struct sigaction action = { .sa_handler = on_child, .sa_flags = SA_RESTART | SA_NOCLDSTOP };
    sigaction(SIGCHLD, &action, NULL);
}

/* --- The probe ---------------------------------------------------------------------------------------------------- */

/* Waits until the other process stores value. -1: it failed and never will. */
static int probe_wait(const uint64_t *word, uint64_t value)
{
    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value) {
        relax();
        if (__atomic_load_n(&harness.control->failed, __ATOMIC_RELAXED))
            return -1;
    }
    return 0;
}

/* Median round trip of a cache line in ns, 0 when the other process failed. */
static double probe_ask(uint64_t *serial)
{
    for (size_t i = 0; i < PROBE_TRIPS; i++) {
        uint64_t t0 = ticks(), value = ++*serial;
        __atomic_store_n(&harness.control->ping, value, __ATOMIC_RELEASE);
        if (probe_wait(&harness.control->pong, value) != 0)
            return 0;
        harness.probe[i] = (uint32_t)(ticks() - t0);
    }
    qsort(harness.probe, PROBE_TRIPS, sizeof *harness.probe, compare_u32);
    return percentile_ns(harness.probe, PROBE_TRIPS, 0.5);
}

static int probe_answer(uint64_t *serial)
{
    for (size_t i = 0; i < PROBE_TRIPS; i++) {
        uint64_t value = ++*serial;
        if (probe_wait(&harness.control->ping, value) != 0)
            return -1;
        __atomic_store_n(&harness.control->pong, value, __ATOMIC_RELEASE);
    }
    return 0;
}

/* --- One cell ----------------------------------------------------------------------------------------------------- */

/* The links of a cell: links[1] only for round trips, in the direction of the answer. */
struct links {
    const struct transport *transport;
    enum experiment experiment;
    void *link[2];
};

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
    int count = plan->experiment == ROUND_TRIP ? 2 : 1;
    for (int i = 0; i < count; i++) {
        struct setup setup = { transport, size, plan->capacity, harness.memory[i], harness.memory_size };
        memset(harness.memory[i], 0, harness.memory_size);
        links->link[i] = transport->create(&setup);
        if (links->link[i] == NULL) {
            links_destroy(links);
            return -1;
        }
    }
    return 0;
}

/* The receiving, answering process, except for its end. */
static int child_work(const struct links *links, struct run *run)
{
    struct control *control = harness.control;
    uint64_t serial = 0;
    if (links_open(links, RECEIVER) != 0 || probe_answer(&serial) != 0)
        return -1;
    usage_add(&control->usage, UINT64_MAX);
    if (probe_wait(&control->go, 1) != 0)
        return -1;
    int result = links->experiment == RATE ? links->transport->rate_receive(run, links->link[0])
                                           : links->transport->trip_answer(run, links->link[0], links->link[1]);
    usage_add(&control->usage, 1);
    control->count = run->count;
    control->elapsed_ns = run->elapsed_ns;
    if (result != 0 || probe_answer(&serial) != 0)
        return -1;
    links_close(links, RECEIVER, control->counters);
    return 0;
}

static void run_child(const struct links *links, struct run *run)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pin(harness.cpus[1]);
    int result = child_work(links, run);
    if (result != 0)
        __atomic_store_n(&harness.control->failed, 1, __ATOMIC_RELAXED);
    else
        __atomic_store_n(&harness.control->child_finished, 1, __ATOMIC_RELAXED);
    _exit(result != 0);
}

/* The sending, asking process. 0 or -1; the two probes in probes[]. */
static int parent_work(const struct links *links, struct run *run, const struct plan *plan, struct sample *sample,
                       double probes[2], bool *unwanted)
{
    struct control *control = harness.control;
    uint64_t serial = 0;
    if (links_open(links, SENDER) != 0 || (probes[0] = probe_ask(&serial)) <= 0)
        return -1;
    *unwanted = plan->wanted != ANY_PLACEMENT && (probes[0] < NEAR_LIMIT_NS ? NEAR : FAR) != plan->wanted;
    run->duration_ns = *unwanted ? 0 : plan->duration_ns;
    usage_add(&sample->usage[SENDER], UINT64_MAX);
    __atomic_store_n(&control->go, 1, __ATOMIC_RELEASE);
    int result = links->experiment == RATE ? links->transport->rate_send(run, links->link[0])
                                           : links->transport->trip_ask(run, links->link[0], links->link[1]);
    usage_add(&sample->usage[SENDER], 1);
    if (result != 0 || (probes[1] = probe_ask(&serial)) <= 0)
        return -1;
    struct counters counters[2] = { { 0 } };
    links_close(links, SENDER, counters);
    counters_add(&sample->side[SENDER], &counters[0]);
    counters_add(&sample->side[SENDER], &counters[1]);
    return 0;
}

static void take_results(struct sample *sample, struct run *run, enum experiment experiment)
{
    const struct control *control = harness.control;
    sample->usage[RECEIVER] = control->usage;
    counters_add(&sample->side[RECEIVER], &control->counters[0]);
    counters_add(&sample->side[RECEIVER], &control->counters[1]);
    if (experiment == RATE) {
        if (control->elapsed_ns != 0)
            sample->rate = (double)control->count * 1e3 / (double)control->elapsed_ns;
        return;
    }
    qsort(run->samples, run->sample_count, sizeof *run->samples, compare_u32);
    sample->p50 = percentile_ns(run->samples, run->sample_count, 0.5);
    sample->p99 = percentile_ns(run->samples, run->sample_count, 0.99);
    sample->p999 = percentile_ns(run->samples, run->sample_count, 0.999);
}

/* Did another program run on our CPUs? A process that spins must have had all the CPU time there was; one that sleeps must
 * not have waited for the CPU. */
static bool disturbed(const struct sample *sample, bool sleeps)
{
    for (int role = SENDER; role <= RECEIVER; role++) {
        const struct usage *usage = &sample->usage[role];
        uint64_t lost_ns = sleeps                            ? usage->delay_ns
                           : usage->wall_ns > usage->cpu_ns ? usage->wall_ns - usage->cpu_ns
                                                             : 0;
        if (lost_ns * 100 > usage->wall_ns * 3)
            return true;
    }
    return false;
}

static enum placement classify(const struct sample *sample, const struct transport *transport, const double probes[2],
                               bool unwanted)
{
    if (unwanted)
        return UNWANTED;
    if (disturbed(sample, transport->sleeps) || (sample->rate <= 0 && sample->p50 <= 0))
        return DISTURBED;
    bool before_near = probes[0] < NEAR_LIMIT_NS, after_near = probes[1] < NEAR_LIMIT_NS;
    return before_near != after_near ? MIXED : before_near ? NEAR : FAR;
}

/* Twice around a queue of small messages, or its first touches are measured; yet a slow transport must get there in time. */
static uint64_t warm_up_for(size_t capacity)
{
    uint64_t twice_around = capacity / 8;
    return twice_around < WARM_UP ? WARM_UP : twice_around < 8 * WARM_UP ? twice_around : 8 * WARM_UP;
}

/* Measures one cell once. -1 when the transport does not carry such messages. */
static int run_cell(const struct plan *plan, const struct transport *transport, size_t size, struct sample *sample,
                    enum placement *placement)
{
    struct links links;
    char text[32];
    snprintf(harness.doing, sizeof harness.doing, "%s, %s, %s", transport->name,
             plan->experiment == RATE ? "rate" : "round trip", size_name(size, text));
    memset(harness.control, 0, sizeof *harness.control);
    if (links_create(&links, plan, transport, size) != 0)
        return -1;
    fill_lengths(size);
    struct run run = { .warm_up = warm_up_for(plan->capacity), .lengths = harness.lengths, .buffer = harness.buffer,
                       .buffer_size = BUFFER_SIZE, .failed = &harness.control->failed, .samples = harness.samples,
                       .sample_max = SAMPLES_MAX };
    *sample = (struct sample){ 0 };
    fflush(NULL);
    watch_for(plan->hang_s + plan->duration_ns / 1000000000u);
    pid_t child = fork();
    if (child < 0)
        die("fork");
    if (child == 0)
        run_child(&links, &run);

    double probes[2] = { 0, 0 };
    bool unwanted = false;
    int result = parent_work(&links, &run, plan, sample, probes, &unwanted), status = 0;
    if (result != 0)
        __atomic_store_n(&harness.control->failed, 1, __ATOMIC_RELAXED);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    watch_for(0);
    links_destroy(&links);
    if (result != 0 || status != 0) {
        fprintf(stderr, "%s: a message was lost, torn or refused\n", harness.doing);
        exit(1);
    }
    take_results(sample, &run, plan->experiment);
    sample->probe_ns = (probes[0] + probes[1]) / 2;
    *placement = classify(sample, transport, probes, unwanted);
    return 0;
}

/* --- All cells ---------------------------------------------------------------------------------------------------- */

static void list_sample(const struct plan *plan, const struct sample *sample, enum placement placement)
{
    if (plan->experiment == RATE)
        fprintf(stderr, "%s, %s: %.2f M/s, backed off %llu times\n", harness.doing, placement_names[placement],
                sample->rate, (unsigned long long)sample->side[RECEIVER].backoffs);
    else
        fprintf(stderr, "%s, %s: %.0f ns, p99.9 %.0f ns\n", harness.doing, placement_names[placement],
                sample->p50, sample->p999);
}

/* One round of one cell: until it was measured undisturbed, or has been tried often enough. */
static void measure(const struct plan *plan, struct results *results, size_t t, size_t s)
{
    struct cell *cell = &results->cells[t * plan->size_count + s];
    for (unsigned attempt = 0; attempt < plan->attempts;) {
        struct sample sample;
        enum placement placement;
        if (run_cell(plan, plan->transports[t], plan->sizes[s], &sample, &placement) != 0)
            return;
        results->tally[placement]++;
        if (placement == UNWANTED && now_ns() < plan->give_up_ns) {
            usleep(100000); /* idle CPUs are what the host moves */
            continue;
        }
        if (plan->list)
            list_sample(plan, &sample, placement);
        if (placement > FAR)
            usleep(20000); /* whoever disturbed may be done by then */
        if (placement <= FAR) {
            if (cell->count[placement] < ROUNDS_MAX)
                cell->samples[placement][cell->count[placement]++] = sample;
            return;
        }
        attempt++;
    }
}

static void show_progress(const struct plan *plan, unsigned round, size_t s, size_t t)
{
    char text[32];
    if (!plan->list && isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K%s: round %u of %u, %s, %s", plan->experiment == RATE ? "throughput" : "round trip",
                round + 1, plan->rounds, size_name(plan->sizes[s], text), plan->transports[t]->name);
}

void harness_run(const struct plan *plan, struct results *results)
{
    *results = (struct results){ .cells = must_allocate(plan->transport_count * plan->size_count, sizeof(struct cell)) };
    for (unsigned round = 0; round < plan->rounds; round++)
        for (size_t s = 0; s < plan->size_count; s++)
            for (size_t t = 0; t < plan->transport_count; t++) {
                show_progress(plan, round, s, t);
                measure(plan, results, t, s);
            }
    if (!plan->list && isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
}

const struct cell *results_cell(const struct plan *plan, const struct results *results, size_t transport, size_t size)
{
    return &results->cells[transport * plan->size_count + size];
}

void results_free(struct results *results)
{
    free(results->cells);
    results->cells = NULL;
}
