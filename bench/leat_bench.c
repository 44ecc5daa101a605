/* leat_bench.c - leat's channel beside other ways to carry messages between two processes. See README.md. */
#include "harness.h"
#include "loops.h"
#include "report.h"
#include "transport_leat.h"

#include <getopt.h>
#include <leat/leat.h>
#include <stdlib.h>

static const struct transport *const known[] = {
    &transport_leat,
    &transport_leat_wait,
    &transport_leat_many,
    &transport_leat_many_wait,
    &transport_leat_place,
    &transport_leat_place_wait,
#ifdef BENCH_BOOST
    &transport_boost,
    &transport_boost_call,
#endif
    &transport_pipe,
};
#define KNOWN (sizeof known / sizeof *known)

static const char usual_transports[] = "leat,leat_wait,leat_many,leat_place,boost,pipe";
static const char usual_sizes[EXPERIMENTS][32] = { "8,64,256,1024,4096,mix", "8,64,256" };

struct options {
    const char *transports, *sizes, *against;
    size_t capacity;
    double seconds, patience_s;
    unsigned rounds, attempts;
    enum placement wanted;
    int cpus[2];
    bool experiments[EXPERIMENTS];
    bool json, list;
};

static void help(FILE *out)
{
    fprintf(out,
            "usage: leat_bench [options]\n"
            "Measures how many messages a second go from one process to another, and how long a round trip takes.\n"
            "\n"
            "  -x, --experiment WHICH  rate, trip or both (both)\n"
            "  -t, --transports LIST   of those below, or all (%s)\n"
            "  -s, --sizes LIST        bytes, mix (16 to 2047) or small (8 to 64) (rate: %s; trip: %s)\n"
            "  -c, --capacity BYTES    of the queue, a power of two, K and M understood (256K)\n"
            "                          boost: 64K, 256K and 1M only\n"
            "  -d, --seconds SECONDS   of each cell (0.15)\n"
            "  -r, --rounds N          cells of each kind (5)\n"
            "  -w, --want PLACEMENT    near or far: wait until the CPUs are so placed\n"
            "  -p, --patience SECONDS  how long to wait for it in all (120)\n"
            "  -a, --attempts N        per cell, when others disturb it (3)\n"
            "  -C, --cpus A,B          sender and receiver (the first two)\n"
            "  -b, --against NAME      show ratios to this one (boost)\n"
            "  -j, --json              instead of tables\n"
            "  -l, --list              every cell, on standard error\n"
            "      --smoke             two seconds: checks that it works, the figures mean nothing\n"
            "  -h, --help\n"
            "\n"
            "transports:\n",
            usual_transports, usual_sizes[RATE], usual_sizes[ROUND_TRIP]);
    for (size_t i = 0; i < KNOWN; i++)
        fprintf(out, "  %-16s %s\n", known[i]->name, known[i]->about);
    fprintf(out, "\nexit status: 0 done; 1 a message was lost, torn or refused, or a cell hung; 2 usage;\n"
                 "             77 fewer than two CPUs\n");
}

static void refuse(const char *what, const char *value)
{
    fprintf(stderr, "leat_bench: %s '%s'; see --help\n", what, value);
    exit(2);
}

static double number(const char *what, const char *text, double min, double max)
{
    char *end;
    double value = strtod(text, &end);
    if (end != text && (*end == 'K' || *end == 'k'))
        value *= 1024, end++;
    else if (end != text && *end == 'M')
        value *= 1024 * 1024, end++;
    if (end == text || *end != '\0' || !(value >= min && value <= max))
        refuse(what, text);
    return value;
}

static void set_experiment(struct options *o, const char *text)
{
    bool both = strcmp(text, "both") == 0;
    o->experiments[RATE] = both || strcmp(text, "rate") == 0;
    o->experiments[ROUND_TRIP] = both || strcmp(text, "trip") == 0;
    if (!o->experiments[RATE] && !o->experiments[ROUND_TRIP])
        refuse("unknown experiment", text);
}

static void set_smoke(struct options *o)
{
    o->transports = "all";
    o->sizes = "8,64,mix";
    o->seconds = 0.01;
    o->rounds = 1;
    o->attempts = 1;
}

static void set_option(struct options *o, int option, const char *value)
{
    switch (option) {
    case 'x': set_experiment(o, value); break;
    case 't': o->transports = value; break;
    case 's': o->sizes = value; break;
    case 'b': o->against = value; break;
    case 'c': o->capacity = (size_t)number("bad capacity", value, 4096, 1 << 28); break;
    case 'd': o->seconds = number("bad duration", value, 0.001, 3600); break;
    case 'r': o->rounds = (unsigned)number("bad number of rounds", value, 1, ROUNDS_MAX); break;
    case 'a': o->attempts = (unsigned)number("bad number of attempts", value, 1, 1000); break;
    case 'p': o->patience_s = number("bad patience", value, 0, 1e6); break;
    case 'w':
        o->wanted = strcmp(value, "near") == 0 ? NEAR : FAR;
        if (o->wanted == FAR && strcmp(value, "far") != 0)
            refuse("unknown placement", value);
        break;
    case 'C':
        if (sscanf(value, "%d,%d", &o->cpus[0], &o->cpus[1]) != 2 || o->cpus[0] < 0 || o->cpus[1] < 0 ||
            o->cpus[0] == o->cpus[1])
            refuse("bad CPUs", value);
        break;
    case 'j': o->json = true; break;
    case 'l': o->list = true; break;
    case 'S': set_smoke(o); break;
    case 'h': help(stdout); exit(0);
    default: fprintf(stderr, "leat_bench: see --help\n"); exit(2);
    }
}

static void parse(struct options *o, int argc, char **argv)
{
    static const struct option names[] = {
        { "experiment", required_argument, NULL, 'x' }, { "transports", required_argument, NULL, 't' },
        { "sizes", required_argument, NULL, 's' },      { "capacity", required_argument, NULL, 'c' },
        { "seconds", required_argument, NULL, 'd' },    { "rounds", required_argument, NULL, 'r' },
        { "want", required_argument, NULL, 'w' },       { "patience", required_argument, NULL, 'p' },
        { "attempts", required_argument, NULL, 'a' },   { "cpus", required_argument, NULL, 'C' },
        { "against", required_argument, NULL, 'b' },    { "json", no_argument, NULL, 'j' },
        { "list", no_argument, NULL, 'l' },             { "smoke", no_argument, NULL, 'S' },
        { "help", no_argument, NULL, 'h' },             { NULL, 0, NULL, 0 },
    };
    for (int option; (option = getopt_long(argc, argv, "x:t:s:c:d:r:w:p:a:C:b:jlh", names, NULL)) != -1;)
        set_option(o, option, optarg);
    if (optind < argc)
        refuse("unexpected argument", argv[optind]);
    if ((o->capacity & (o->capacity - 1)) != 0)
        refuse("the capacity is not a power of two", "");
}

static const struct transport *find_transport(const char *name)
{
    for (size_t i = 0; i < KNOWN; i++)
        if (strcmp(known[i]->name, name) == 0)
            return known[i];
    return NULL;
}

/* Peers that this build lacks are passed over when nobody asked for them by name. */
static void plan_transports(struct plan *plan, const char *list)
{
    if (strcmp(list, "all") == 0) {
        for (size_t i = 0; i < KNOWN; i++)
            plan->transports[plan->transport_count++] = known[i];
        return;
    }
    char *copy = strdup(list), *rest = NULL;
    for (char *name = strtok_r(copy, ",", &rest); name != NULL; name = strtok_r(NULL, ",", &rest)) {
        const struct transport *transport = find_transport(name);
        if (transport == NULL && list != usual_transports)
            refuse("unknown transport", name);
        if (transport != NULL && plan->transport_count < TRANSPORTS_MAX)
            plan->transports[plan->transport_count++] = transport;
    }
    free(copy);
}

static void plan_sizes(struct plan *plan, const char *list)
{
    char *copy = strdup(list), *rest = NULL;
    for (char *text = strtok_r(copy, ",", &rest); text != NULL; text = strtok_r(NULL, ",", &rest)) {
        if (plan->size_count == SIZES_MAX || size_parse(text, &plan->sizes[plan->size_count]) != 0)
            refuse("bad size", text);
        plan->size_count++;
    }
    free(copy);
}

static void run_experiment(const struct options *o, enum experiment experiment, uint64_t give_up_ns, bool first)
{
    struct plan plan = { .experiment = experiment, .capacity = o->capacity, .rounds = o->rounds, .attempts = o->attempts,
                         .duration_ns = (uint64_t)(o->seconds * 1e9), .wanted = o->wanted, .give_up_ns = give_up_ns,
                         .hang_s = HANG_SECONDS, .list = o->list };
    plan_transports(&plan, o->transports);
    plan_sizes(&plan, o->sizes != NULL ? o->sizes : usual_sizes[experiment]);
    struct results results;
    harness_run(&plan, &results);
    if (o->json) {
        json_experiment(stdout, &plan, &results, first);
    } else {
        report_table(stdout, &plan, &results);
        report_ratios(stdout, &plan, &results, o->against);
        report_costs(stdout, &plan, &results);
        report_tally(stdout, &results);
    }
    results_free(&results);
}

int main(int argc, char **argv)
{
    struct options o = { .transports = usual_transports, .against = "boost", .capacity = LEAT_CAPACITY_DEFAULT,
                         .seconds = 0.15, .patience_s = 120, .rounds = 5, .attempts = 3, .wanted = ANY_PLACEMENT,
                         .cpus = { -1, -1 }, .experiments = { true, true } };
    parse(&o, argc, argv);
    harness_start(o.cpus, o.capacity);
    uint64_t give_up_ns = now_ns() + (uint64_t)(o.patience_s * 1e9);
    if (o.json)
        json_begin(stdout, o.cpus);
    else
        report_machine(stdout, o.cpus);
    bool first = true;
    for (enum experiment experiment = RATE; experiment < EXPERIMENTS; experiment++)
        if (o.experiments[experiment]) {
            run_experiment(&o, experiment, give_up_ns, first);
            first = false;
        }
    if (o.json)
        json_end(stdout);
    return 0;
}
