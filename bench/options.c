/* options.c - see options.h. */
#include "options.h"
#include "../tools/arguments.h"
#include "machine.h"
#include "report.h"

#include <errno.h>
#include <leat/leat.h>
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
#define NOT_GIVEN UINT64_MAX

/* Those that sleep: one that spins keeps the only CPU from the other side until the scheduler takes
 * it away. */
#define ONE_CPU_TRANSPORTS "leat_inline,leat_wait,raw_futex,raw_eventfd,pipe_wait"

#define REFUSE(...) exit(fail_usage(__VA_ARGS__))

static struct options o = {.capacity = LEAT_CAPACITY_DEFAULT,
                           .seconds_ns = NOT_GIVEN,
                           .patience_ns = NOT_GIVEN,
                           .pause_ns = 200000,
                           .mode = -1,
                           .wanted = -1,
                           .cpus = {-1, -1}};

/* --- Values ----------------------------------------------------------------------------------- */

static const struct mode {
    const char *name, *transports; /* as of a subcommand */
    bool sleeping;
} modes[] = {
    {"poll", "leat,leat_many,leat_place,boost,rings,pipe", false},
    {"wait", "leat_wait,leat_many_wait,leat_place_wait,rings,kernel", true},
    {"uv", "leat_uv,uv_pipe,raw_epoll", true},
    {NULL, NULL, false},
};

static const char *mode_names(int number) {
    return modes[number].name;
}

static const char *placements_to_want(int number) {
    return number < PLACED - 1 ? placement_names[number] : NULL;
}

static const char *take_cpus(const char *value) {
    char rest;
    bool good = sscanf(value, "%d,%d%c", &o.cpus[0], &o.cpus[1], &rest) == 2 && o.cpus[0] >= 0 &&
                o.cpus[1] >= 0 && o.cpus[0] < 1024 && o.cpus[1] < 1024 && o.cpus[0] != o.cpus[1];
    return good ? NULL : "two numbers of CPUs, such as 0,1";
}

/* Whether a list with commas has that name, of so many characters. */
static bool list_has(const char *list, const char *name, size_t length) {
    for (const char *at = list; *at != '\0'; at += strcspn(at, ","), at += *at == ',')
        if (strcspn(at, ",") == length && strncmp(at, name, length) == 0)
            return true;
    return false;
}

static char part_names[128];

static const char *take_parts(const char *value) {
    for (const char *at = value; *at != '\0'; at += strcspn(at, ","), at += *at == ',')
        if (!list_has(part_names, at, strcspn(at, ",")))
            return part_names;
    o.parts = value;
    return *value != '\0' ? NULL : part_names;
}

/* --- Rows ------------------------------------------------------------------------------------- */

/* What a subcommand must have for a row to go with it. */
enum {
    ALL = 0,
    TRANSPORTS = 1,
    LEVELS = 2,
    PAUSES = 4,
    TRIPS = 8,
    TIMES = 16,
    PARTS = 32,
    PREEMPTS = 64,
};

static unsigned features_of(const struct subcommand *sub) {
    bool parts = sub->parts != NULL && sub->parts[0] != NULL && sub->parts[1] != NULL;
    return (sub->parts == NULL ? TRANSPORTS : 0u) | (sub->levels != NULL ? LEVELS : 0u) |
           (sub->experiment == WAKEUP ? PAUSES : 0u) |
           (sub->experiment == ROUND_TRIP ? TRIPS : 0u) | (sub->experiment != RATE ? TIMES : 0u) |
           (parts ? PARTS : 0u) | (!sub->ordinary ? PREEMPTS : 0u);
}

/* In each, %s stands for what the subcommand has. */
#define TRANSPORTS_HELP "of those below, groups, or all (%s)"
#define SIZES_HELP                                                                                 \
    "bytes, mix (16 to 2047), small (8 to 64) or bimodal (nine of ten 24, the tenth 3072) (%s)"
static char transports_help[160], sizes_help[160], levels_help[80], seconds_help[80],
    parts_help[160];

static const struct row {
    unsigned needs;
    struct argument argument;
} rows[] = {
    {TRANSPORTS, {OPTION("transports", 't', "LIST", transports_help), .text = &o.transports}},
    {TRANSPORTS,
     {OPTION("mode", 'm', "MODE",
             "those of one way to wait: poll (never sleeps), wait (sleeps in a call) or uv (in a "
             "libuv loop)"),
      .choice = &o.mode, .choices = mode_names, .excludes = "transports"}},
    {TRANSPORTS, {OPTION("sizes", 's', "LIST", sizes_help), .text = &o.sizes}},
    {TRANSPORTS,
     {OPTION("capacity", 'c', "BYTES", "of a queue, a power of two, K and M understood (256K)"),
      .size = &o.capacity, .min = 4096, .max = 1 << 28}},
    {TRANSPORTS,
     {OPTION("seconds", 'd', "SECONDS", seconds_help), .duration = &o.seconds_ns, .min = 1000000,
      .max = 3600000000000}},
    {TRANSPORTS, {OPTION("against", 'b', "NAME", "show ratios to this one"), .text = &o.against}},
    {LEVELS, {OPTION("rate", 0, "LIST", levels_help), .text = &o.levels}},
    {PAUSES,
     {OPTION("pause", 0, "SECONDS", "before each round trip (0.0002)"), .duration = &o.pause_ns,
      .min = 1000, .max = 10000000000}},
    {TRIPS,
     {OPTION("one-cpu", 0, NULL, "both processes on one CPU, the first"), .flag = &o.one_cpu,
      .excludes = "want"}},
    {TIMES,
     {OPTION("hdr", 0, "FILE",
             "all times, in HdrHistogram's text format; with several transports or sizes, each to "
             "a file of its own"),
      .text = &o.hdr}},
    {PARTS, {OPTION("parts", 0, "LIST", parts_help), .take = take_parts}},
    {TRANSPORTS,
     {OPTION("plot", 0, "FILE", "a picture, .svg or .png; needs gnuplot"), .text = &o.plot}},
    {ALL,
     {OPTION("rounds", 'r', "N", "cells of each kind (--quick: 3; --full: 7)"), .count = &o.rounds,
      .min = 1, .max = ROUNDS_MAX}},
    {ALL,
     {OPTION("want", 'w', "PLACEMENT", "near or far: wait until the CPUs are so placed"),
      .choice = &o.wanted, .choices = placements_to_want}},
    {ALL,
     {OPTION("patience", 'p', "SECONDS", "how long to wait for it in all (--full: 300)"),
      .duration = &o.patience_ns, .max = 1000000000000000}},
    {ALL,
     {OPTION("attempts", 'a', "N", "per cell, when disturbed (--quick: 3; --full: 20)"),
      .count = &o.attempts, .min = 1, .max = 1000}},
    {ALL, {OPTION("cpus", 'C', "A,B", "sender and receiver (the first two)"), .take = take_cpus}},
    {ALL, {OPTION("json", 'j', NULL, "instead of tables"), .flag = &o.json}},
    {ALL, {OPTION("list", 'l', NULL, "every cell, on standard error"), .flag = &o.list}},
    {ALL,
     {OPTION("quick", 0, NULL,
             "under 30 seconds in all; the default, unless --seconds, --rounds, --attempts or "
             "--patience is given"),
      .flag = &o.quick, .excludes = "full"}},
    {ALL, {OPTION("full", 0, NULL, "as long as it takes for figures to rely on"), .flag = &o.full}},
    {ALL,
     {OPTION("smoke", 0, NULL, "a second: that it works; the figures mean nothing"),
      .flag = &o.smoke}},
    {PREEMPTS,
     {OPTION("realtime", 0, NULL,
             "at SCHED_FIFO priority, where the user may: other programs disturb nothing; cells of "
             "0.5 s at most"),
      .flag = &o.realtime}},
    {ALL, HELP_OPTION},
};
#define ROWS (sizeof rows / sizeof *rows)

/* The rows that go with the subcommand. */
static const struct argument *table_of(const struct subcommand *sub) {
    static struct argument table[ROWS];
    unsigned features = features_of(sub);
    size_t count = 0;
    for (size_t i = 0; i < ROWS; i++)
        if ((rows[i].needs & ~features) == 0)
            table[count++] = rows[i].argument;
    for (const struct part *const *part = sub->parts; part != NULL && *part != NULL; part++)
        snprintf(part_names + strlen(part_names), sizeof part_names - strlen(part_names), "%s%s",
                 part == sub->parts ? "" : ",", (*part)->name);
    if (sub->parts == NULL) {
        snprintf(transports_help, sizeof transports_help, TRANSPORTS_HELP, sub->transports);
        snprintf(sizes_help, sizeof sizes_help, SIZES_HELP, sub->sizes);
    }
    if (sub->levels != NULL)
        snprintf(levels_help, sizeof levels_help, "messages a second (%s)", sub->levels);
    snprintf(seconds_help, sizeof seconds_help, "of each cell (--quick: at most %g; --full: %g)",
             sub->quick_s, sub->full_s);
    snprintf(parts_help, sizeof parts_help, "only these (%s)", part_names);
    return table;
}

static void note_transports(FILE *out, const struct group *groups) {
    fprintf(out, "transports:\n");
    for (const struct group *group = groups; group->transports != NULL; group++)
        for (size_t i = 0; i < group->count; i++) {
            const struct transport *transport = group->transports[i];
            if (transport == NULL)
                continue;
            fprintf(out, "  %-16s %s", transport->name, transport->about);
            fprintf(out, group->name != NULL ? " (group %s)\n" : "\n", group->name);
        }
    fputc('\n', out);
}

static const struct subcommand *find_subcommand(const char *word,
                                                const struct subcommand *subcommands) {
    message_command("bench"); /* whose help lists them */
    if (word == NULL)
        REFUSE("WHAT is missing");
    while (subcommands->word != NULL && strcmp(subcommands->word, word) != 0)
        subcommands++;
    if (subcommands->word == NULL)
        REFUSE("there is no benchmark '%s'", word);
    return subcommands;
}

const struct options *options_parse(int argc, char **argv, const struct subcommand *subcommands,
                                    const struct group *groups) {
    static char name[32], about[512];
    char *notes = NULL;
    size_t size = 0;
    const struct subcommand *sub = o.subcommand =
        find_subcommand(argc < 2 ? NULL : argv[1], subcommands);
    FILE *out = open_memstream(&notes, &size);
    if (out == NULL)
        exit(fail_system("memory", ENOMEM));
    if (sub->parts == NULL)
        note_transports(out, groups);
    fprintf(out, "Exit codes: 0 done; 1 a message was lost, torn or refused, a cell hung, or\n"
                 "output failed; 2 wrong usage; 77 fewer than two CPUs.\n");
    fclose(out);
    snprintf(name, sizeof name, "bench %s", sub->word);
    snprintf(about, sizeof about, "%s\n", sub->about);
    const struct command command = {
        .name = name, .about = about, .notes = notes, .arguments = table_of(sub)};
    message_command(name);
    int end = arguments_parse(&command, argc - 1, argv + 1);
    free(notes);
    if (end != ARGUMENTS_GOOD)
        exit(end);
    if ((o.capacity & (o.capacity - 1)) != 0)
        REFUSE("the capacity of %llu bytes is not a power of two", (unsigned long long)o.capacity);
    if (o.plot != NULL && plot_check(o.plot) != 0)
        exit(END_FAILED);
    return &o;
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
        for (size_t i = 0; i < group->count; i++) {
            const struct transport *transport = group->transports[i];
            bool named = transport != NULL && strcmp(transport->name, name) == 0;
            if (named || (whole && transport != NULL && (!sleeping || transport->sleeps)))
                plan_transport(transport);
            known = known || named;
        }
    }
    return known;
}

/* Peers that this build lacks are passed over when nobody asked for them by name. */
static void plan_transports(const struct group *groups) {
    const struct mode *mode = o.mode >= 0 ? &modes[o.mode] : NULL;
    const char *usual = mode != NULL ? mode->transports
                        : o.smoke    ? "all"
                        : o.one_cpu  ? ONE_CPU_TRANSPORTS
                                     : o.subcommand->transports;
    const char *list = o.transports != NULL ? o.transports : usual;
    bool sleeping = o.transports == NULL &&
                    (mode != NULL ? mode->sleeping : o.one_cpu || o.subcommand->sleeping);
    char *copy = strdup(list), *rest = NULL;
    for (char *name = strtok_r(copy, ",", &rest); name != NULL; name = strtok_r(NULL, ",", &rest))
        if (!plan_name(groups, name, sleeping) && o.transports != NULL)
            REFUSE("unknown transport '%s'", name);
    free(copy);
    if (chosen_count == 0)
        REFUSE("no transport in '%s'", list);
}

static bool plan_size(struct plan *plan, const char *text) {
    return plan->size_count < SIZES_MAX && size_parse(text, &plan->sizes[plan->size_count++]) == 0;
}

static bool plan_level(struct plan *plan, const char *text) {
    return plan->level_count < LEVELS_MAX && parse_count(text, &plan->levels[plan->level_count]) &&
           plan->levels[plan->level_count] >= 1 && plan->levels[plan->level_count++] <= 100000000;
}

static void plan_list(struct plan *plan, const char *list, const char *what,
                      bool (*add)(struct plan *plan, const char *text)) {
    char *copy = strdup(list), *rest = NULL, *text = strtok_r(copy, ",", &rest);
    if (text == NULL)
        REFUSE("no %s in '%s'", what, list);
    for (; text != NULL; text = strtok_r(NULL, ",", &rest))
        if (!add(plan, text))
            REFUSE("bad %s '%s'", what, text);
    free(copy);
}

/* How long a cell may take so that all of them fit into the time. */
static double quick_cell_s(const struct subcommand *sub, const struct plan *plan) {
    double cells = (double)(chosen_count * plan_columns(plan) * plan->rounds), shortest = 0.02;
    double fair = cells > 0 ? QUICK_S / cells - CELL_OVERHEAD_S : sub->quick_s;
    return fair < shortest ? shortest : fair > sub->quick_s ? sub->quick_s : fair;
}

/* A length that was asked for is not changed behind the user's back. */
static void shorten_cells(struct plan *plan) {
    uint64_t allowed_ns = realtime_shorten(plan->duration_ns);
    if (allowed_ns != plan->duration_ns && o.seconds_ns != NOT_GIVEN)
        REFUSE("--realtime: in cells longer than %g s the kernel takes the CPU away for some time; "
               "choose shorter --seconds, or none, or switch that off: "
               "sysctl kernel.sched_rt_runtime_us=-1",
               (double)allowed_ns / 1e9);
    plan->duration_ns = allowed_ns;
}

/* Everything about time. In a hurry, the most that all may take is fixed and the cells share it. */
static void plan_time(struct plan *plan) {
    const struct subcommand *sub = o.subcommand;
    bool hurry = !o.full && !o.smoke && o.seconds_ns == NOT_GIVEN && o.rounds == 0 &&
                 o.attempts == 0 && o.patience_ns == NOT_GIVEN;
    double patience_s = o.patience_ns != NOT_GIVEN ? (double)o.patience_ns / 1e9
                        : hurry                    ? QUICK_STOP_S
                                                   : FULL_PATIENCE_S;
    plan->length = o.smoke ? SMOKE : o.full ? FULL : QUICK;
    plan->rounds = o.rounds != 0 ? (unsigned)o.rounds
                                 : (const unsigned[]){1, QUICK_ROUNDS, FULL_ROUNDS}[plan->length];
    plan->attempts = o.attempts != 0
                         ? (unsigned)o.attempts
                         : (const unsigned[]){1, QUICK_ATTEMPTS, FULL_ATTEMPTS}[plan->length];
    if (sub->parts == NULL) {
        double seconds = o.smoke ? 0.01 : o.full ? sub->full_s : quick_cell_s(sub, plan);
        plan->duration_ns = o.seconds_ns != NOT_GIVEN ? o.seconds_ns : (uint64_t)(seconds * 1e9);
        plan->pause_ns = sub->experiment == WAKEUP ? o.pause_ns : 0;
    }
    if (sub->experiment != WAKEUP) /* which sleeps most of the time */
        shorten_cells(plan);
    plan->give_up_ns = now_ns() + (uint64_t)(patience_s * 1e9);
    plan->stop_ns = hurry ? now_ns() + (uint64_t)(QUICK_STOP_S * 1e9) : 0;
}

/* Of an experiment, with the transports that were chosen. */
static void plan_experiment(const struct group *groups, struct plan *plan) {
    static struct way ways[WAYS_MAX];
    static struct part part;
    const struct subcommand *sub = o.subcommand;
    const char *against = o.against != NULL ? o.against : sub->against;
    const char *smoke_sizes = sub->experiment == RATE ? "64,mix,bimodal" : "8,mix";
    plan_transports(groups);
    part = cell_part(sub->experiment, chosen, chosen_count, ways);
    for (size_t i = 0; i < chosen_count && against != NULL; i++)
        if (strcmp(ways[i].name, against) == 0)
            part.yardstick = i;
    plan->parts[plan->part_count++] = &part;
    plan_list(plan,
              o.sizes != NULL ? o.sizes
              : o.smoke       ? smoke_sizes
                              : sub->sizes,
              "size", plan_size);
    if (sub->levels != NULL)
        plan_list(plan,
                  o.levels != NULL ? o.levels
                  : o.smoke        ? sub->smoke_levels
                                   : sub->levels,
                  "rate", plan_level);
}

void options_plan(const struct group *groups, struct plan *plan) {
    const struct subcommand *sub = o.subcommand;
    *plan = (struct plan){.name = sub->word,
                          .capacity = o.capacity,
                          .wanted = o.wanted < 0 ? ANY_PLACEMENT : (enum placement)o.wanted,
                          .hang_s = HANG_SECONDS,
                          .list = o.list};
    if (sub->parts == NULL)
        plan_experiment(groups, plan);
    for (const struct part *const *part = sub->parts; part != NULL && *part != NULL; part++)
        if (o.parts == NULL || list_has(o.parts, (*part)->name, strlen((*part)->name)))
            plan->parts[plan->part_count++] = *part;
    plan_time(plan);
}
