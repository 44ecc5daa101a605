/* leat_bench.c - leat's channel beside other ways to carry messages between two processes: what
 * `leat bench` runs. See README.md.
 *
 * Guarantees: exit status 0 only when every message of every cell was right and all of the output
 * was taken. */
#include "../tools/common.h"
#include "machine.h"
#include "options.h"
#include "report.h"
#include "transports.h"

#include <errno.h>
#include <leat/leat.h>
#include <signal.h>
#include <stdlib.h>

#define LIST(name) &transport_##name
static const struct transport *const usual[] = {USUAL_TRANSPORTS(LIST)};
static const struct transport *const rings[] = {RING_TRANSPORTS(LIST)};
static const struct transport *const kernel[] = {KERNEL_TRANSPORTS(LIST)};
static const struct group groups[] = {
    {NULL, usual, sizeof usual / sizeof *usual},
    {"rings", rings, sizeof rings / sizeof *rings},
    {"kernel", kernel, sizeof kernel / sizeof *kernel},
    {NULL, NULL, 0},
};

static const struct part *const opening[] = {&part_open, &part_open_nth, &part_open_at_once,
                                             &part_open_in_turn, NULL};
static const struct part *const locking[] = {&part_sync, NULL};
static const struct part *const limits[] = {&part_limits, NULL};
static const struct part *const loops[] = {&part_trips, &part_waiting, &part_rates, &part_channels,
                                           &part_idle,  &part_timer,   NULL};

#define SUBCOMMAND(word_, about_, ...)                                                             \
    { .word = (word_), .about = (about_), __VA_ARGS__ }
static const struct subcommand subcommands[] = {
    SUBCOMMAND("throughput", "messages a second from one process to another, as fast as they can",
               .experiment = RATE, .quick_s = 0.15, .full_s = 0.15, .against = "boost",
               .transports = "leat,leat_wait,leat_many,leat_place,boost,rings,pipe",
               .sizes = "8,64,256,1024,4096,mix"),
    SUBCOMMAND("latency", "round trips, one message at a time: percentiles",
               .experiment = ROUND_TRIP, .quick_s = 0.3, .full_s = 0.3, .against = "boost",
               .transports = "leat,leat_wait,leat_place,boost,rings,pipe", .sizes = "8,64,256"),
    SUBCOMMAND("wakeup",
               "round trips after a pause, when the other side really sleeps: percentiles,\n"
               "CPU time, system calls to wake, context switches\n"
               "In libuv loops: --mode uv; more about loops: the benchmark 'loop'",
               .experiment = WAKEUP, .quick_s = 0.5, .full_s = 1, .sleeping = true,
               .transports = "leat_wait,leat_place_wait,leat_uv,rings,kernel", .sizes = "64"),
    SUBCOMMAND("paced",
               "one way at fixed rates: how long after a message was due it arrived\n"
               "(no coordinated omission), and what each side spends",
               .experiment = OPEN_LOOP, .quick_s = 1, .full_s = 2, .sizes = "64",
               .levels = "1000,10000,100000,1000000", .smoke_levels = "1000,100000",
               .transports = "leat,leat_wait,boost,kernel,pipe"),
    SUBCOMMAND("open",
               "what creating, attaching to, closing and removing a channel costs, beside a\n"
               "region, shm_open and a POSIX message queue; the n-th handle of one object, 400\n"
               "processes that open one at once, 100,000 handles in turn (without --full as many\n"
               "as there is time for); no placement",
               .parts = opening, .ordinary = true),
    SUBCOMMAND("sync",
               "mutexes, events and semaphores: locking when nobody else wants to, and waking\n"
               "a sleeper, beside pthread mutexes and a bare futex",
               .parts = locking),
    SUBCOMMAND("loop",
               "channels in libuv loops: round trips, ways of waiting, messages a second, a\n"
               "thousand channels in one loop, idling, timers beside a flood; beside eventfds,\n"
               "named pipes and libuv's own pipes",
               .parts = loops),
    SUBCOMMAND("limits",
               "what the machine itself can do between two processes: lines there and back,\n"
               "reading and rewriting each other's lines, memcpy, records through a ring",
               .parts = limits),
    {.word = NULL},
};

static int show(const struct options *o, const struct json_run *run,
                const struct results *results) {
    int wrong = 0;
    if (o->json)
        wrong |= json_write(stdout, run, results);
    else
        report_results(stdout, results);
    if (o->hdr != NULL)
        wrong |= hdr_write(o->hdr, results);
    if (o->plot != NULL)
        wrong |= plot_write(o->plot, results);
    return wrong != 0;
}

int main(int argc, char **argv) {
    struct plan plan;
    struct results results;
    int cpus[2];
    struct json_run run = {LEAT_VERSION_STRING, argc, must_allocate((size_t)argc + 1, sizeof *argv),
                           cpus};
    memcpy(run.argv, argv, (size_t)argc * sizeof *argv); /* parsing reorders argv */
    const struct options *o = options_parse(argc, argv, subcommands, groups);
    memcpy(cpus, o->cpus, sizeof cpus);
    if (o->realtime)
        realtime_start();
    options_plan(groups, &plan);
    machine.polite = o->smoke;
    machine.one_cpu = o->one_cpu;
    harness_start(cpus, plan.capacity);
    if (plan.part_count == 0)
        return fail_target(NULL, 1, "built without libuv (LEAT_BUILD_UV)");
    if (!o->json)
        report_machine(stdout, cpus);
    trials_run(&plan, &results);
    int status = show(o, &run, &results);
    results_free(&results);
    free(run.argv);
    if (fflush(stdout) != 0 || ferror(stdout))
        return fail_system("standard output", errno);
    if (harness_signal() != 0) { /* what was measured until then has been shown */
        signal(harness_signal(), SIG_DFL);
        raise(harness_signal());
    }
    return status;
}
