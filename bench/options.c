/* options.c - see options.h. */
#include "options.h"
#include "clock.h"
#include "plot.h"
#include "realtime.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define QUICK_S 20.0      /* for all cells, when in a hurry... */
#define QUICK_STOP_S 25.0 /* ...and no cell begins after */
#define CELL_OVERHEAD_S 0.035
#define QUICK_ROUNDS 3u
#define QUICK_ATTEMPTS 3u
#define FULL_ROUNDS 7u
#define FULL_ATTEMPTS 20u
#define FULL_PATIENCE_S 300.0

/* Those that sleep: who spins keeps the only CPU from the other side until the scheduler takes it
 * away. */
#define ONE_CPU_TRANSPORTS "leat_inline,leat_wait,raw_futex,raw_eventfd,pipe_wait"

static const char *program, *usage; /* how messages begin, and what the user types */

static void refuse(const char *what, const char *value) {
    fprintf(stderr, "%s: %s '%s'; see --help\n", program, what, value);
    exit(2);
}

/* --- Help ------------------------------------------------------------------------------------- */

static void help_options(FILE *out, const struct subcommand *sub) {
    if (sub->parts == NULL)
        fprintf(out,
                "  -t, --transports LIST   of those below, groups, or all\n"
                "                          (%s)\n"
                "  -m, --mode MODE         those of one way to wait: poll (never sleeps), wait\n"
                "                          (sleeps in a call) or uv (in a libuv loop)\n"
                "  -s, --sizes LIST        bytes, mix (16 to 2047), small (8 to 64) or bimodal\n"
                "                          (nine of ten 24, the tenth 3072)\n"
                "                          (%s)\n"
                "  -c, --capacity BYTES    of a queue, a power of two, K and M understood (256K)\n"
                "  -d, --seconds SECONDS   of each cell (--quick: at most %g; --full: %g)\n"
                "  -b, --against NAME      show ratios to this one\n",
                sub->transports, sub->sizes, sub->quick_s, sub->full_s);
    if (sub->levels != NULL)
        fprintf(out, "      --rate LIST         messages a second (%s)\n", sub->levels);
    if (sub->experiment == WAKEUP && sub->parts == NULL)
        fprintf(out, "      --pause SECONDS     before each round trip (0.0002)\n");
    if (sub->experiment == ROUND_TRIP)
        fprintf(out, "      --one-cpu           both processes on one CPU, the first\n");
    if (sub->experiment != RATE)
        fprintf(out,
                "      --hdr FILE          all times, in HdrHistogram's text format; with several\n"
                "                          transports or sizes, each to a file of its own\n");
    if (sub->parts != NULL && sub->parts[1] != NULL) {
        fprintf(out, "      --parts LIST        only these (");
        for (const struct part *const *part = sub->parts; *part != NULL; part++)
            fprintf(out, "%s%s", part == sub->parts ? "" : ",", (*part)->name);
        fprintf(out, ")\n");
    }
    if (sub->parts == NULL)
        fprintf(out, "      --plot FILE         a picture, .svg or .png; needs gnuplot\n");
    fprintf(out,
            "  -r, --rounds N          cells of each kind (--quick: %u; --full: %u)\n"
            "  -w, --want PLACEMENT    near or far: wait until the CPUs are so placed\n"
            "  -p, --patience SECONDS  how long to wait for it in all (--full: %g)\n"
            "  -a, --attempts N        per cell, when disturbed (--quick: %u; --full: %u)\n"
            "  -C, --cpus A,B          sender and receiver (the first two)\n"
            "  -j, --json              instead of tables\n"
            "  -l, --list              every cell, on standard error\n"
            "      --quick             under 30 seconds in all; the default, unless\n"
            "                          --seconds, --rounds, --attempts or --patience is given\n"
            "      --full              as long as it takes for figures to rely on\n"
            "      --smoke             a second: that it works; the figures mean nothing\n"
            "%s"
            "  -h, --help\n",
            QUICK_ROUNDS, FULL_ROUNDS, FULL_PATIENCE_S, QUICK_ATTEMPTS, FULL_ATTEMPTS,
            sub->ordinary
                ? ""
                : "      --realtime          at SCHED_FIFO priority, where the user may: other\n"
                  "                          programs disturb nothing; cells of 0.5 s at most\n");
}

static void help(FILE *out, const struct subcommand *sub, const struct group *groups) {
    fprintf(out, "Usage: %s %s [OPTION...]\n\n%s\n\n", usage, sub->word, sub->about);
    help_options(out, sub);
    if (sub->parts == NULL)
        fprintf(out, "\ntransports:\n");
    for (const struct group *group = groups; group->transports != NULL && sub->parts == NULL;
         group++)
        for (const struct transport *const *at = group->transports;
             at < group->transports + group->count; at++)
            if (*at != NULL)
                fprintf(out, "  %-16s %s%s%s%s\n", (*at)->name, (*at)->about,
                        group->name != NULL ? " (group " : "",
                        group->name != NULL ? group->name : "", group->name != NULL ? ")" : "");
    fprintf(out, "\nExit codes: 0 done; 1 a message was lost, torn or refused, a cell hung, or\n"
                 "output failed; 2 wrong usage; 77 fewer than two CPUs.\n");
}

static void overview(FILE *out, const struct subcommand *subcommands) {
    fprintf(out, "Usage: %s WHAT [OPTION...]\n\n", usage);
    for (const struct subcommand *sub = subcommands; sub->word != NULL; sub++)
        fprintf(out, "  %-11s %.*s\n", sub->word, (int)strcspn(sub->about, "\n"), sub->about);
    fprintf(out, "\n'%s WHAT --help' explains each.\n", usage);
}

/* --- Options ---------------------------------------------------------------------------------- */

static double number(const char *what, const char *text, double min, double max) {
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

enum {
    OPTION_QUICK = 256,
    OPTION_FULL,
    OPTION_SMOKE,
    OPTION_HDR,
    OPTION_PLOT,
    OPTION_PAUSE,
    OPTION_RATE,
    OPTION_PARTS,
    OPTION_REALTIME,
    OPTION_ONE_CPU
};

static void set_cpus(struct options *o, const char *value) {
    char rest;
    if (sscanf(value, "%d,%d%c", &o->cpus[0], &o->cpus[1], &rest) != 2 || o->cpus[0] < 0 ||
        o->cpus[1] < 0 || o->cpus[0] > 1023 || o->cpus[1] > 1023 || o->cpus[0] == o->cpus[1])
        refuse("bad CPUs", value);
}

/* Whether a list with commas has that name, of so many characters. */
static bool list_has(const char *list, const char *name, size_t length) {
    for (const char *at = list; *at != '\0'; at += strcspn(at, ","), at += *at == ',')
        if (strcspn(at, ",") == length && strncmp(at, name, length) == 0)
            return true;
    return false;
}

static bool has_part(const struct subcommand *sub, const char *name, size_t length) {
    for (const struct part *const *part = sub->parts; *part != NULL; part++)
        if (strlen((*part)->name) == length && strncmp((*part)->name, name, length) == 0)
            return true;
    return false;
}

static void set_parts(struct options *o, const char *value) {
    for (const char *at = value; *at != '\0'; at += strcspn(at, ","), at += *at == ',')
        if (!has_part(o->subcommand, at, strcspn(at, ",")))
            refuse("no such part", value);
    o->parts = value;
}

/* Those that only some subcommands have. */
static void set_special(struct options *o, int option, const char *value) {
    const struct subcommand *sub = o->subcommand;
    bool fits = option == OPTION_HDR        ? sub->experiment != RATE
                : option == OPTION_PLOT     ? sub->parts == NULL
                : option == OPTION_PAUSE    ? sub->experiment == WAKEUP
                : option == OPTION_PARTS    ? sub->parts != NULL && sub->parts[1] != NULL
                : option == OPTION_REALTIME ? !sub->ordinary
                : option == OPTION_ONE_CPU  ? sub->experiment == ROUND_TRIP
                                            : sub->experiment == OPEN_LOOP;
    if (!fits)
        refuse("an option that does not go with", sub->word);
    if (option == OPTION_HDR)
        o->hdr = value;
    else if (option == OPTION_PLOT)
        o->plot = value;
    else if (option == OPTION_PAUSE)
        o->pause_s = number("bad pause", value, 0.000001, 10);
    else if (option == OPTION_PARTS)
        set_parts(o, value);
    else if (option == OPTION_REALTIME)
        o->realtime = true;
    else if (option == OPTION_ONE_CPU)
        o->one_cpu = true;
    else
        o->levels = value;
}

static const struct mode {
    const char *name, *transports; /* as of a subcommand */
    bool sleeping;
} modes[] = {
    {"poll", "leat,leat_many,leat_place,boost,rings,pipe", false},
    {"wait", "leat_wait,leat_many_wait,leat_place_wait,rings,kernel", true},
    {"uv", "leat_uv,uv_pipe,raw_epoll", true},
    {NULL, NULL, false},
};

static const struct mode *find_mode(const char *name) {
    const struct mode *mode = modes;
    while (mode->name != NULL && strcmp(mode->name, name) != 0)
        mode++;
    if (mode->name == NULL)
        refuse("unknown mode", name);
    return mode;
}

static void set_option(struct options *o, int option, const char *value,
                       const struct group *groups) {
    if (o->subcommand->parts != NULL && option < OPTION_QUICK && strchr("tmscdb", option) != NULL)
        refuse("an option that does not go with", o->subcommand->word);
    switch (option) {
    case 't':
        o->transports = value;
        break;
    case 'm':
        o->mode = find_mode(value)->name;
        break;
    case 's':
        o->sizes = value;
        break;
    case 'b':
        o->against = value;
        break;
    case 'c':
        o->capacity = (size_t)number("bad capacity", value, 4096, 1 << 28);
        break;
    case 'd':
        o->seconds = number("bad duration", value, 0.001, 3600);
        break;
    case 'r':
        o->rounds = (unsigned)number("bad number of rounds", value, 1, ROUNDS_MAX);
        break;
    case 'a':
        o->attempts = (unsigned)number("bad number of attempts", value, 1, 1000);
        break;
    case 'p':
        o->patience_s = number("bad patience", value, 0, 1e6);
        break;
    case 'w':
        o->wanted = strcmp(value, "near") == 0 ? NEAR : FAR;
        if (o->wanted == FAR && strcmp(value, "far") != 0)
            refuse("unknown placement", value);
        break;
    case 'C':
        set_cpus(o, value);
        break;
    case 'j':
        o->json = true;
        break;
    case 'l':
        o->list = true;
        break;
    case OPTION_QUICK:
        o->full = false;
        break;
    case OPTION_FULL:
        o->full = true;
        break;
    case OPTION_SMOKE:
        o->smoke = true;
        break;
    case 'h':
        help(stdout, o->subcommand, groups);
        exit(0);
    case '?':
        fprintf(stderr, "%s: see '%s %s --help'\n", program, usage, o->subcommand->word);
        exit(2);
    default:
        set_special(o, option, value);
    }
}

static const struct subcommand *find_subcommand(int argc, char **argv,
                                                const struct subcommand *subcommands) {
    if (argc < 2) {
        overview(stderr, subcommands);
        exit(2);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        overview(stdout, subcommands);
        exit(0);
    }
    for (const struct subcommand *sub = subcommands; sub->word != NULL; sub++)
        if (strcmp(sub->word, argv[1]) == 0)
            return sub;
    refuse("there is no benchmark", argv[1]);
    return NULL;
}

static const struct option option_names[] = {
    {"transports", required_argument, NULL, 't'},
    {"mode", required_argument, NULL, 'm'},
    {"sizes", required_argument, NULL, 's'},
    {"capacity", required_argument, NULL, 'c'},
    {"seconds", required_argument, NULL, 'd'},
    {"rounds", required_argument, NULL, 'r'},
    {"want", required_argument, NULL, 'w'},
    {"patience", required_argument, NULL, 'p'},
    {"attempts", required_argument, NULL, 'a'},
    {"cpus", required_argument, NULL, 'C'},
    {"against", required_argument, NULL, 'b'},
    {"json", no_argument, NULL, 'j'},
    {"list", no_argument, NULL, 'l'},
    {"quick", no_argument, NULL, OPTION_QUICK},
    {"full", no_argument, NULL, OPTION_FULL},
    {"smoke", no_argument, NULL, OPTION_SMOKE},
    {"help", no_argument, NULL, 'h'},
    {"realtime", no_argument, NULL, OPTION_REALTIME},
    {"one-cpu", no_argument, NULL, OPTION_ONE_CPU},
    {"hdr", required_argument, NULL, OPTION_HDR},
    {"plot", required_argument, NULL, OPTION_PLOT},
    {"rate", required_argument, NULL, OPTION_RATE},
    {"pause", required_argument, NULL, OPTION_PAUSE},
    {"parts", required_argument, NULL, OPTION_PARTS},
    {NULL, 0, NULL, 0},
};

void options_parse(struct options *o, int argc, char **argv, const struct subcommand *subcommands,
                   const struct group *groups) {
    const char *slash = strrchr(argv[0], '/');
    program = o->program = slash != NULL ? slash + 1 : argv[0];
    usage = strcmp(program, "leat: bench") == 0 ? "leat bench" : program;
    o->subcommand = find_subcommand(argc, argv, subcommands);
    argv[1] = argv[0]; /* getopt's messages begin with it */
    for (int option; (option = getopt_long(argc - 1, argv + 1, "t:m:s:c:d:r:w:p:a:C:b:jlh",
                                           option_names, NULL)) != -1;)
        set_option(o, option, optarg, groups);
    if (optind < argc - 1)
        refuse("unexpected argument", argv[optind + 1]);
    if (o->mode != NULL && o->transports != NULL)
        refuse("--transports leaves no choice to the mode", o->mode);
    if (o->one_cpu && o->wanted != ANY_PLACEMENT)
        refuse("on one CPU there is no placement", o->wanted == NEAR ? "near" : "far");
    if ((o->capacity & (o->capacity - 1)) != 0) {
        fprintf(stderr, "%s: the capacity of %zu bytes is not a power of two\n", program,
                o->capacity);
        exit(2);
    }
    if (o->plot != NULL && plot_check(o->plot) != 0)
        exit(1);
}

/* --- The plan --------------------------------------------------------------------------------- */

/* The transports of the plan, as they are found. */
static const struct transport *chosen[WAYS_MAX];
static size_t chosen_count;

static void plan_transport(const struct transport *transport) {
    for (size_t i = 0; i < chosen_count; i++)
        if (chosen[i] == transport)
            return;
    if (chosen_count < WAYS_MAX)
        chosen[chosen_count++] = transport;
}

/* What that name stands for; false when this build has no such thing. */
static bool plan_name(const struct group *groups, const char *name, bool sleeping) {
    bool known = false, all = strcmp(name, "all") == 0;
    for (const struct group *group = groups; group->transports != NULL; group++) {
        bool whole = all || (group->name != NULL && strcmp(group->name, name) == 0);
        known = known || whole;
        for (const struct transport *const *at = group->transports;
             at < group->transports + group->count; at++) {
            if (*at == NULL)
                continue;
            bool named = strcmp((*at)->name, name) == 0;
            if (named || (whole && (!sleeping || (*at)->sleeps)))
                plan_transport(*at);
            known = known || named;
        }
    }
    return known;
}

/* Peers that this build lacks are passed over when nobody asked for them by name. */
static void plan_transports(const struct options *o, const struct group *groups) {
    const struct mode *mode = o->mode != NULL ? find_mode(o->mode) : NULL;
    const char *usual = mode != NULL ? mode->transports
                        : o->smoke   ? "all"
                        : o->one_cpu ? ONE_CPU_TRANSPORTS
                                     : o->subcommand->transports;
    const char *list = o->transports != NULL ? o->transports : usual;
    bool sleeping = o->transports == NULL &&
                    (mode != NULL ? mode->sleeping : o->one_cpu || o->subcommand->sleeping);
    char *copy = strdup(list), *rest = NULL;
    for (char *name = strtok_r(copy, ",", &rest); name != NULL; name = strtok_r(NULL, ",", &rest))
        if (!plan_name(groups, name, sleeping) && o->transports != NULL)
            refuse("unknown transport", name);
    free(copy);
    if (chosen_count == 0)
        refuse("no transport in", list);
}

static void plan_sizes(struct plan *plan, const char *list) {
    char *copy = strdup(list), *rest = NULL;
    for (char *text = strtok_r(copy, ",", &rest); text != NULL; text = strtok_r(NULL, ",", &rest)) {
        if (plan->size_count == SIZES_MAX || size_parse(text, &plan->sizes[plan->size_count]) != 0)
            refuse("bad size", text);
        plan->size_count++;
    }
    free(copy);
    if (plan->size_count == 0)
        refuse("no size in", list);
}

static void plan_levels(struct plan *plan, const char *list) {
    char *copy = strdup(list), *rest = NULL;
    for (char *text = strtok_r(copy, ",", &rest); text != NULL; text = strtok_r(NULL, ",", &rest)) {
        double value = number("bad rate", text, 1, 1e8);
        if (plan->level_count == LEVELS_MAX)
            refuse("too many values in", list);
        plan->levels[plan->level_count++] = (uint64_t)value;
    }
    free(copy);
    if (plan->level_count == 0)
        refuse("no value in", list);
}

/* How long a cell may take so that all of them fit into the time. */
static double quick_cell_s(const struct subcommand *sub, const struct plan *plan) {
    double cells = (double)(chosen_count * plan_columns(plan) * plan->rounds), shortest = 0.02;
    double fair = cells > 0 ? QUICK_S / cells - CELL_OVERHEAD_S : sub->quick_s;
    return fair < shortest ? shortest : fair > sub->quick_s ? sub->quick_s : fair;
}

/* A length that was asked for is not changed behind the user's back. */
static void shorten_cells(const struct options *o, struct plan *plan) {
    uint64_t allowed_ns = realtime_shorten(plan->duration_ns);
    if (allowed_ns != plan->duration_ns && o->seconds >= 0) {
        fprintf(stderr,
                "%s: --realtime: in cells longer than %g s the kernel takes the CPU away for some "
                "time; choose shorter --seconds, or none, or switch that off: "
                "sysctl kernel.sched_rt_runtime_us=-1\n",
                program, (double)allowed_ns / 1e9);
        exit(2);
    }
    plan->duration_ns = allowed_ns;
}

/* Everything about time. In a hurry, the most that all may take is fixed and the cells share it. */
static void plan_time(const struct options *o, struct plan *plan) {
    bool hurry = !o->full && !o->smoke && o->seconds < 0 && o->rounds == 0 && o->attempts == 0 &&
                 o->patience_s < 0;
    bool brief = !o->full; /* else also where no limit holds */
    double patience_s = o->patience_s >= 0 ? o->patience_s : hurry ? QUICK_STOP_S : FULL_PATIENCE_S;
    plan->rounds = o->rounds != 0 ? o->rounds : o->smoke ? 1 : brief ? QUICK_ROUNDS : FULL_ROUNDS;
    plan->attempts = o->attempts != 0 ? o->attempts
                     : o->smoke       ? 1
                     : brief          ? QUICK_ATTEMPTS
                                      : FULL_ATTEMPTS;
    double seconds = o->seconds >= 0 ? o->seconds
                     : o->smoke      ? 0.01
                     : o->full       ? o->subcommand->full_s
                                     : quick_cell_s(o->subcommand, plan);
    plan->length = o->smoke ? SMOKE : o->full ? FULL : QUICK;
    if (o->subcommand->parts == NULL)
        plan->duration_ns = (uint64_t)(seconds * 1e9);
    if (o->subcommand->experiment != WAKEUP) /* which sleeps most of the time */
        shorten_cells(o, plan);
    bool pauses = o->subcommand->parts == NULL && o->subcommand->experiment == WAKEUP;
    plan->pause_ns = pauses ? (uint64_t)(o->pause_s * 1e9) : 0;
    plan->give_up_ns = now_ns() + (uint64_t)(patience_s * 1e9);
    plan->stop_ns = hurry ? now_ns() + (uint64_t)(QUICK_STOP_S * 1e9) : 0;
}

/* Of an experiment, with the transports that were chosen. */
static void plan_experiment(const struct options *o, struct plan *plan) {
    static struct way ways[WAYS_MAX];
    static struct part part;
    const struct subcommand *sub = o->subcommand;
    const char *against = o->against != NULL ? o->against : sub->against;
    part = cell_part(sub->experiment, chosen, chosen_count, ways);
    for (size_t i = 0; i < chosen_count && against != NULL; i++)
        if (strcmp(ways[i].name, against) == 0)
            part.yardstick = i;
    plan->parts[0] = &part;
    plan->part_count = 1;
}

void options_plan(const struct options *o, const struct group *groups, struct plan *plan) {
    const struct subcommand *sub = o->subcommand;
    *plan = (struct plan){.name = sub->word,
                          .capacity = o->capacity,
                          .wanted = o->wanted,
                          .hang_s = HANG_SECONDS,
                          .list = o->list};
    const char *smoke_sizes = sub->experiment == RATE ? "64,mix,bimodal" : "8,mix";
    for (const struct part *const *part = sub->parts; part != NULL && *part != NULL; part++)
        if (o->parts == NULL || list_has(o->parts, (*part)->name, strlen((*part)->name)))
            plan->parts[plan->part_count++] = *part;
    if (sub->parts == NULL) {
        plan_transports(o, groups);
        plan_experiment(o, plan);
        plan_sizes(plan, o->sizes != NULL ? o->sizes : o->smoke ? smoke_sizes : sub->sizes);
        if (sub->levels != NULL)
            plan_levels(plan, o->levels != NULL ? o->levels
                              : o->smoke        ? sub->smoke_levels
                                                : sub->levels);
    }
    plan_time(o, plan);
}
