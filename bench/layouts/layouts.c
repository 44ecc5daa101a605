/* layouts.c - measures candidate record layouts of the one-writer one-reader ring (protocol.h) on
 * the bench's harness.
 *
 *   leat_bench_layouts -m rate -v a,b,c,d,e1,boost -s 8,64,1024,mix -c 65536 -r 5 -t 150
 */
#include "harness.h"
#include "report.h"
#include "variants.h"

#include <stdlib.h>
#include <unistd.h>

/* --- A variant as a transport ----------------------------------------------------------------- */

struct layout_link {
    const struct calls *calls;
    struct sender tx;
    struct receiver rx;
};

static void *layout_create(const struct setup *setup) {
    const struct variant *variant = setup->transport->context;
    struct layout_link *link = malloc(sizeof *link);
    if (link == NULL || sizeof(struct pages) + setup->capacity > setup->memory_size) {
        free(link);
        return NULL;
    }
    struct pages *pages = setup->memory;
    *link = (struct layout_link){
        .calls = &variant->calls,
        .tx = {.pages = pages, .capacity = setup->capacity, .limit = setup->capacity - LINE},
        .rx = {.pages = pages, .capacity = setup->capacity, .penalty = 32},
    };
    return link;
}

static void layout_close(void *handle, enum role role, struct counters *counters) {
    struct layout_link *link = handle;
    *counters = (struct counters){.backoffs = role == RECEIVER ? link->rx.naps : 0,
                                  .wake_calls = link->tx.wake_calls};
}

static int layout_rate_send(struct run *run, void *handle) {
    struct layout_link *link = handle;
    return rate_send_loop(run, link->calls, &link->tx);
}

static int layout_rate_receive(struct run *run, void *handle) {
    struct layout_link *link = handle;
    return rate_receive_loop(run, link->calls, &link->rx);
}

static int layout_trip_ask(struct run *run, void *to, void *from) {
    struct layout_link *out = to, *in = from;
    return trip_ask_loop(run, out->calls, &out->tx, &in->rx);
}

static int layout_trip_answer(struct run *run, void *from, void *to) {
    struct layout_link *in = from, *out = to;
    return trip_answer_loop(run, in->calls, &in->rx, &out->tx);
}

static struct transport variant_transport(const struct variant *variant) {
    return (struct transport){.name = variant->name,
                              .about = variant->about,
                              .context = variant,
                              .create = layout_create,
                              .close = layout_close,
                              .destroy = free,
                              LOOPS(layout)};
}

/* --- The program ------------------------------------------------------------------------------ */

static struct transport transports[TRANSPORTS_MAX];

static void usage(void) {
    fprintf(stderr, "usage: leat_bench_layouts [-m rate|trip] [-v names] [-s sizes] [-c capacity] "
                    "[-r rounds] [-t ms] "
                    "[-w near|far [-g seconds]] [-a attempts] [-l]\n");
    for (const struct variant *v = variants; v->name; v++)
        fprintf(stderr, "  %-6s %s\n", v->name, v->about);
    exit(2);
}

/* By name: a variant, or a peer. Each takes a row of transports[]. */
static const struct transport *make_transport(const char *name, size_t row) {
    for (const struct variant *v = variants; v->name; v++)
        if (strcmp(v->name, name) == 0) {
            transports[row] = variant_transport(v);
            return &transports[row];
        }
    if (strcmp(name, "pipe") == 0)
        return &transport_pipe;
#ifdef BENCH_BOOST
    if (strcmp(name, "boost") == 0) { /* a call per message, like the variants */
        transports[row] = transport_boost_call;
        transports[row].name = "boost";
        return &transports[row];
    }
#endif
    fprintf(stderr, "no variant or peer '%s'\n", name);
    usage();
    return NULL;
}

static void plan_lists(struct plan *plan, const char *variant_list, const char *size_list) {
    char *names = strdup(variant_list), *sizes = strdup(size_list), *rest = NULL;
    for (char *t = strtok_r(names, ",", &rest); t && plan->transport_count < TRANSPORTS_MAX;
         t = strtok_r(NULL, ",", &rest)) {
        plan->transports[plan->transport_count] = make_transport(t, plan->transport_count);
        plan->transport_count++;
    }
    for (char *t = strtok_r(sizes, ",", &rest); t && plan->size_count < SIZES_MAX;
         t = strtok_r(NULL, ",", &rest))
        if (size_parse(t, &plan->sizes[plan->size_count++]) != 0)
            usage();
    free(names);
    free(sizes);
}

static void parse(struct plan *plan, int argc, char **argv) {
    const char *variant_list = "a,b,c,d,e1,e2,e3,e23,pipe", *size_list = "8,64,256,1024,mix";
    for (int c; (c = getopt(argc, argv, "m:v:s:c:r:t:w:g:a:l")) != -1;) {
        switch (c) {
        case 'm':
            plan->experiment = strcmp(optarg, "trip") == 0 ? ROUND_TRIP : RATE;
            break;
        case 'v':
            variant_list = optarg;
            break;
        case 's':
            size_list = optarg;
            break;
        case 'c':
            plan->capacity = strtoul(optarg, NULL, 0);
            break;
        case 'r':
            plan->rounds = (unsigned)strtoul(optarg, NULL, 0);
            break;
        case 't':
            plan->duration_ns = strtoul(optarg, NULL, 0) * 1000000;
            break;
        case 'w':
            plan->wanted = strcmp(optarg, "far") == 0 ? FAR : NEAR;
            break;
        case 'g':
            plan->give_up_ns = now_ns() + strtoul(optarg, NULL, 0) * 1000000000;
            break;
        case 'a':
            plan->attempts = (unsigned)strtoul(optarg, NULL, 0);
            break;
        case 'l':
            plan->list = true;
            break;
        default:
            usage();
        }
    }
    plan_lists(plan, variant_list, size_list);
}

int main(int argc, char **argv) {
    struct plan plan = {.rounds = 5,
                        .attempts = 3,
                        .duration_ns = 150000000,
                        .capacity = 65536,
                        .wanted = ANY_PLACEMENT,
                        .hang_s = HANG_SECONDS};
    int cpus[2] = {-1, -1};
    parse(&plan, argc, argv);
    harness_start(cpus, plan.capacity);
    struct results results;
    report_machine(stdout, cpus);
    harness_run(&plan, &results);
    report_table(stdout, &plan, &results);
    report_tally(stdout, &results);
    results_free(&results);
    return 0;
}
