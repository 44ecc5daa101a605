/* report.c - tables; see report.h. */
#include "report.h"
#include "channels/queue/processor.h"
#include "machine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

/* --- The machine ------------------------------------------------------------------------------ */

/* What a line of /proc/cpuinfo says, if it is that one: without characters that JSON would have to
 * escape. */
static bool cpu_line(const char *line, const char *key, char text[64]) {
    size_t length = strlen(key);
    const char *value = strstr(line, ": ");
    if (strncmp(line, key, length) != 0 || (line[length] != '\t' && line[length] != ':') ||
        value == NULL)
        return false;
    snprintf(text, 64, "%.63s", value + 2);
    text[strcspn(text, "\n\"\\")] = '\0';
    return true;
}

/* The processor's name, and its family, as marketing gives several the same name. */
void cpu_model(char text[128]) {
    char line[256] = "", name[64] = "unknown CPU", family[64] = "", model[64] = "";
    FILE *file = fopen("/proc/cpuinfo", "r");
    /* the first processor's part */
    while (file != NULL && line[0] != '\n' && fgets(line, sizeof line, file) != NULL)
        (void)(cpu_line(line, "model name", name) || cpu_line(line, "cpu family", family) ||
               cpu_line(line, "model", model));
    if (file != NULL)
        fclose(file);
    snprintf(text, 128, family[0] != '\0' ? "%.60s (family %.10s, model %.10s)" : "%.60s", name,
             family, model);
}

static double load_average(void) {
    double load = -1;
    return getloadavg(&load, 1) == 1 ? load : -1;
}

void machine_name(char text[256]) {
    char model[128];
    struct utsname system;
    cpu_model(model);
    uname(&system);
    snprintf(text, 256, "%s, %.20s %.60s %.30s", model, system.sysname, system.release,
             system.machine);
}

void report_machine(FILE *out, const int cpus[2]) {
    char name[256];
    machine_name(name);
    fprintf(out, "%s, in leat's table '%s', compiler %s; ", name, leat__processor()->name,
            __VERSION__);
    fprintf(out, "sender on CPU %d, receiver on CPU %d%s; ", cpus[0], cpus[1],
            realtime_is_on() ? ", at real-time priority" : "");
    fprintf(out, "load average at the start %.2f\n", load_average());
}

/* --- Tables ----------------------------------------------------------------------------------- */

/* The first column: as wide as the longest name. */
static void print_name(FILE *out, const struct part *part, const char *name) {
    size_t width = 8;
    for (size_t way = 0; way < part->way_count; way++)
        if (strlen(part->ways[way].name) > width)
            width = strlen(part->ways[way].name);
    fprintf(out, "%-*s", (int)width, name);
}

static void print_spread(FILE *out, struct spread spread, int width) {
    char text[64] = "-";
    if (spread.count == 1)
        snprintf(text, sizeof text, "%.4g", spread.median);
    else if (spread.count != 0)
        snprintf(text, sizeof text, "%.4g [%.4g..%.4g] %u", spread.median, spread.min, spread.max,
                 spread.count);
    fprintf(out, " | %-*s", width, text);
}

/* A row for each way, with its first figure, or that over the yardstick's, in each column. */
static void print_columns(FILE *out, const struct results *results, size_t at,
                          enum placement placement, bool ratios) {
    const struct part *part = results->plan->parts[at];
    char text[64];
    print_name(out, part, "");
    for (size_t c = 0; c < plan_columns(results->plan); c++)
        fprintf(out, " | %-24s", column_name(results->plan, c, text));
    for (size_t way = 0; way < part->way_count; way++) {
        fprintf(out, "\n");
        print_name(out, part, part->ways[way].name);
        for (size_t c = 0; c < plan_columns(results->plan); c++) {
            const struct cell *cell = results_cell(results, at, c, way);
            const struct cell *other = results_cell(results, at, c, ratios ? part->yardstick : way);
            print_spread(
                out, ratios ? cell_ratio(cell, other, placement) : cell_spread(cell, placement, 0),
                24);
        }
    }
    fprintf(out, "\n");
}

/* The sums of a way over columns from..to. */
static void print_sums(FILE *out, const struct results *results, size_t at, size_t way,
                       enum placement placement, size_t from, size_t to) {
    const struct part *part = results->plan->parts[at];
    for (size_t i = 0; i < figure_count(part); i++) {
        double sum = 0;
        if (!part->figures[i].sum || part->figures[i].head == NULL)
            continue;
        for (size_t c = from; c < to; c++)
            sum += cell_sum(results_cell(results, at, c, way), placement, i);
        int width = (int)strlen(part->figures[i].head);
        fprintf(out, " | %*.*g", width < 8 ? 8 : width, sum < 1e4 ? 4 : 7, sum);
    }
}

static void print_sum_heads(FILE *out, const struct part *part) {
    for (size_t i = 0; i < figure_count(part); i++)
        if (part->figures[i].sum && part->figures[i].head != NULL)
            fprintf(out, " | %8s", part->figures[i].head);
    fprintf(out, "\n");
}

/* Without a column of its own: all figures of each way. */
static void print_figures(FILE *out, const struct results *results, size_t at, size_t column,
                          enum placement placement) {
    const struct part *part = results->plan->parts[at];
    bool compared = part->yardstick < part->way_count && part->way_count > 1;
    print_name(out, part, "");
    for (size_t i = 0; i < figure_count(part); i++)
        if (!part->figures[i].sum && part->figures[i].head != NULL)
            fprintf(out, " | %-24s", part->figures[i].head);
    if (compared)
        fprintf(out, " | against %-16s", part->ways[part->yardstick].name);
    print_sum_heads(out, part);
    for (size_t way = 0; way < part->way_count; way++) {
        const struct cell *cell = results_cell(results, at, column, way);
        print_name(out, part, part->ways[way].name);
        for (size_t i = 0; i < figure_count(part); i++)
            if (!part->figures[i].sum && part->figures[i].head != NULL)
                print_spread(out, cell_spread(cell, placement, i), 24);
        if (compared)
            print_spread(
                out,
                cell_ratio(cell, results_cell(results, at, column, part->yardstick), placement),
                24);
        print_sums(out, results, at, way, placement, column, column + 1);
        fprintf(out, "\n");
    }
}

/* One way with many figures: a line for each. */
static void print_lines(FILE *out, const struct results *results, size_t at,
                        enum placement placement) {
    const struct part *part = results->plan->parts[at];
    double medians[FIGURES_MAX];
    for (size_t i = 0; i < figure_count(part); i++) {
        struct spread spread = cell_spread(results_cell(results, at, 0, 0), placement, i);
        medians[i] = spread.median;
        fprintf(out, "%-56s", part->figures[i].head);
        print_spread(out, spread, 0);
        fprintf(out, "\n");
    }
    if (part->remark != NULL)
        part->remark(out, part, medians);
}

/* The mean of the median probes: how near "near" was. */
static double probe_mean(const struct results *results, size_t at, enum placement placement) {
    double sum = 0;
    unsigned count = 0;
    for (size_t c = 0; c < plan_columns(results->plan); c++)
        for (size_t way = 0; way < results->plan->parts[at]->way_count; way++) {
            struct spread spread = cell_probe(results_cell(results, at, c, way), placement);
            sum += spread.count != 0 ? spread.median : 0;
            count += spread.count != 0;
        }
    return count != 0 ? sum / count : 0;
}

static void print_costs(FILE *out, const struct results *results, size_t at,
                        enum placement placement) {
    const struct part *part = results->plan->parts[at];
    fprintf(out, "\n%s, %s, all columns together\n", part->name, placement_names[placement]);
    print_name(out, part, "");
    print_sum_heads(out, part);
    for (size_t way = 0; way < part->way_count; way++) {
        print_name(out, part, part->ways[way].name);
        print_sums(out, results, at, way, placement, 0, plan_columns(results->plan));
        fprintf(out, "\n");
    }
}

/* What is compared by its first figure has the columns beside each other; else each has a table. */
static void print_part(FILE *out, const struct results *results, size_t at,
                       enum placement placement) {
    const struct part *part = results->plan->parts[at];
    bool beside = part->figures[1].sum, lines = part->way_count == 1 && figure_count(part) > 8;
    char text[64];
    fprintf(out, "\n%s: %s", part->name, part->title);
    if (!part->alone)
        fprintf(out, ", %s%s", placement_names[placement], realtime_is_on() ? ", real-time" : "");
    if (probe_mean(results, at, placement) > 0)
        fprintf(out, " (a cache line's round trip: %.0f ns)", probe_mean(results, at, placement));
    fprintf(out, ": median [lowest..highest] rounds\n");
    if (lines)
        print_lines(out, results, at, placement);
    else if (beside)
        print_columns(out, results, at, placement, false);
    for (size_t c = 0; c < plan_columns(results->plan) && !beside && !lines; c++)
        if (part_seen(results, at, c, placement)) {
            fprintf(out, "%s\n", column_name(results->plan, c, text));
            print_figures(out, results, at, c, placement);
        }
    if (beside && part->yardstick < part->way_count) {
        fprintf(out, "\ntimes that of %s\n", part->ways[part->yardstick].name);
        print_columns(out, results, at, placement, true);
    }
    if (beside)
        print_costs(out, results, at, placement);
    if (part->goal != NULL)
        fprintf(out, "goal: %s\n", part->goal);
}

static bool seen(const struct results *results, size_t part, enum placement placement) {
    for (size_t c = 0; c < plan_columns(results->plan); c++)
        if (part_seen(results, part, c, placement))
            return true;
    return false;
}

void report_results(FILE *out, const struct results *results) {
    const struct plan *plan = results->plan;
    const unsigned *tally = results->tally;
    for (size_t part = 0; part < plan->part_count; part++)
        for (enum placement placement = NEAR; placement < PLACED; placement++)
            if (seen(results, part, placement))
                print_part(out, results, part, placement);
    fprintf(out, "\n");
    for (size_t part = 0; part < plan->part_count && plan->size_count == 0; part++)
        for (size_t way = 0; way < plan->parts[part]->way_count; way++)
            fprintf(out, "%-9s %-16s %s\n", plan->parts[part]->name,
                    plan->parts[part]->ways[way].name, plan->parts[part]->ways[way].about);
    fprintf(out, "\ntrials: %u near, %u far, %u on one CPU; ", tally[NEAR], tally[FAR],
            tally[ONE_CPU]);
    fprintf(out, "dropped: %u mixed, %u disturbed, %u of the unwanted placement\n", tally[MIXED],
            tally[DISTURBED], tally[UNWANTED]);
    if (results->not_begun != 0)
        fprintf(out,
                harness_signal() != 0
                    ? "interrupted before %u more trials\n"
                    : "the time was up before %u more trials; --full runs them all\n",
                results->not_begun);
    if (plan->stop_ns != 0)
        fprintf(out, "--quick: %u rounds; take figures to rely on from --full\n", plan->rounds);
}
