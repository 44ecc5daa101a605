/* report.c - tables; see report.h. */
#include "report.h"
#include "channels/queue/processor.h"
#include "loops.h"
#include "realtime.h"

#include <stdlib.h>
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

/* --- Numbers of a sample ---------------------------------------------------------------------- */

double sample_rate(const struct sample *sample) {
    return sample->rate;
}
double sample_probe(const struct sample *sample) {
    return sample->probe_ns;
}

/* The number that a cell is compared by. */
static struct spread main_spread(const struct plan *plan, const struct cell *cell,
                                 enum placement placement) {
    return plan->experiment == RATE ? cell_spread(cell, placement, sample_rate)
                                    : cell_percentile(cell, placement, P50);
}

static void add_sample(struct sample *sum, const struct sample *more) {
    sum->idle_ns += more->idle_ns;
    for (int role = SENDER; role <= RECEIVER; role++) {
        sum->usage[role].wall_ns += more->usage[role].wall_ns;
        sum->usage[role].cpu_ns += more->usage[role].cpu_ns;
        sum->usage[role].switches += more->usage[role].switches;
        counters_add(&sum->side[role], &more->side[role]);
    }
}

struct sample cell_sum(const struct cell *cell, enum placement placement) {
    struct sample sum = {0};
    for (unsigned i = 0; i < cell->count[placement]; i++)
        add_sample(&sum, &cell->samples[placement][i]);
    return sum;
}

/* The mean over the cells of a placement of their median probes: how near "near" was. 0 when there
 * were none. */
static double probe_mean(const struct results *results, enum placement placement) {
    double sum = 0;
    unsigned count = 0;
    for (size_t i = 0; i < results->cell_count; i++) {
        struct spread spread = cell_spread(&results->cells[i], placement, sample_probe);
        if (spread.count != 0) {
            sum += spread.median;
            count++;
        }
    }
    return count ? sum / count : 0;
}

static bool placement_seen(const struct results *results, enum placement placement) {
    for (size_t i = 0; i < results->cell_count; i++)
        if (results->cells[i].count[placement] != 0)
            return true;
    return false;
}

/* --- Tables ----------------------------------------------------------------------------------- */

/* The first column: as wide as the longest name. */
static void print_name(FILE *out, const struct plan *plan, const char *name) {
    size_t width = 8;
    for (size_t t = 0; t < plan->transport_count; t++)
        if (strlen(plan->transports[t]->name) > width)
            width = strlen(plan->transports[t]->name);
    fprintf(out, "%-*s", (int)width, name);
}

static void print_heading(FILE *out, const struct plan *plan, int width) {
    print_name(out, plan, "");
    for (size_t c = 0; c < plan_columns(plan); c++) {
        char text[64];
        fprintf(out, " | %-*s", width, column_name(plan, c, text));
    }
    fprintf(out, "\n");
}

static void rate_table(FILE *out, const struct plan *plan, const struct results *results,
                       enum placement placement) {
    print_heading(out, plan, 21);
    for (size_t t = 0; t < plan->transport_count; t++) {
        print_name(out, plan, plan->transports[t]->name);
        for (size_t c = 0; c < plan_columns(plan); c++) {
            char text[64] = "-";
            struct spread rate =
                cell_spread(results_cell(plan, results, t, c), placement, sample_rate);
            if (rate.count != 0)
                snprintf(text, sizeof text, "%.3g [%.3g..%.3g] %u", rate.median, rate.min, rate.max,
                         rate.count);
            fprintf(out, " | %-21s", text);
        }
        fprintf(out, "\n");
    }
}

static double per_message(uint64_t events, uint64_t messages) {
    return messages == 0 ? 0 : (double)events / (double)messages;
}

/* What a row of percentiles cost, all its cells together. The sender of an open loop has not spent
 * the time it waited in. */
static void print_costs(FILE *out, const struct sample *sum) {
    const struct usage *use = sum->usage;
    uint64_t sending = use[SENDER].cpu_ns > sum->idle_ns ? use[SENDER].cpu_ns - sum->idle_ns : 0;
    fprintf(out, " | %6.2f | %6.3f + %6.3f | %6llu + %6llu", (double)use[SENDER].wall_ns / 1e9,
            (double)sending / 1e9, (double)use[RECEIVER].cpu_ns / 1e9,
            (unsigned long long)use[SENDER].switches, (unsigned long long)use[RECEIVER].switches);
    const struct counters *tx = &sum->side[SENDER], *rx = &sum->side[RECEIVER];
    if (rx->messages != 0)
        fprintf(out, " | %8.3g + %-8.3g", per_message(tx->wake_calls, rx->messages),
                per_message(rx->wake_calls, rx->messages));
}

static void percentile_row(FILE *out, const struct plan *plan, const struct cell *cell,
                           enum placement placement) {
    for (enum percentile which = P50; which < PERCENTILES; which++) {
        struct spread spread = cell_percentile(cell, placement, which);
        char text[48] = "-";
        if (spread.count != 0 && which == P50)
            snprintf(text, sizeof text, "%.0f [%.0f..%.0f]", spread.median, spread.min, spread.max);
        else if (spread.count != 0)
            snprintf(text, sizeof text, "%.0f", spread.median);
        fprintf(out, which == P50 ? " | %-24s" : " | %8s", text);
    }
    fprintf(out, " | %5u", cell->count[placement]);
    if (plan->experiment == OPEN_LOOP)
        fprintf(out, " | %10.0f", cell_spread(cell, placement, sample_rate).median);
    struct sample sum = cell_sum(cell, placement);
    print_costs(out, &sum);
    fprintf(out, "\n");
}

static void percentile_table(FILE *out, const struct plan *plan, const struct results *results,
                             enum placement placement, size_t column) {
    char text[64];
    fprintf(out, "\n%s\n", column_name(plan, column, text));
    print_name(out, plan, "");
    fprintf(out, " | %-24s", "p50 [min..max]");
    for (enum percentile which = P90; which < PERCENTILES; which++)
        fprintf(out, " | %8s", percentile_names[which]);
    fprintf(out, " | cells%s | wall s | CPU s           | switches        | wakes/message\n",
            plan->experiment == OPEN_LOOP ? " | achieved/s" : "");
    for (size_t t = 0; t < plan->transport_count; t++) {
        const struct cell *cell = results_cell(plan, results, t, column);
        print_name(out, plan, plan->transports[t]->name);
        if (cell->count[placement] != 0)
            percentile_row(out, plan, cell, placement);
        else
            fprintf(out, " | -\n");
    }
}

static bool column_seen(const struct plan *plan, const struct results *results,
                        enum placement placement, size_t column) {
    for (size_t t = 0; t < plan->transport_count; t++)
        if (results_cell(plan, results, t, column)->count[placement] != 0)
            return true;
    return false;
}

static const char *const units[EXPERIMENTS] = {
    "million messages/s, median [min..max] cells",
    "round trip in ns, medians of the cells; costs of the side that asks + that answers",
    "round trip in ns with a pause before each, medians of the cells; costs of the side that asks "
    "+ that answers",
    "one way in ns from when a message was due, medians of the cells; costs of sender + receiver",
};

void report_table(FILE *out, const struct plan *plan, const struct results *results) {
    for (enum placement placement = NEAR; placement < PLACED; placement++) {
        char distance[64] = "";
        if (!placement_seen(results, placement))
            continue;
        if (placement != ONE_CPU)
            snprintf(distance, sizeof distance, " (a cache line's round trip: %.0f ns)",
                     probe_mean(results, placement));
        fprintf(out, "\n%s, %s%s%s, queue of %zu KiB: %s\n", experiment_names[plan->experiment],
                placement_names[placement], distance, realtime_is_on() ? ", real-time" : "",
                plan->capacity / 1024, units[plan->experiment]);
        if (plan->experiment == RATE)
            rate_table(out, plan, results, placement);
        for (size_t c = 0; c < plan_columns(plan) && plan->experiment != RATE; c++)
            if (column_seen(plan, results, placement, c))
                percentile_table(out, plan, results, placement, c);
    }
}

/* Where that transport is in the plan, or transport_count. */
static size_t find_row(const struct plan *plan, const char *name) {
    size_t t = 0;
    while (t < plan->transport_count && strcmp(plan->transports[t]->name, name) != 0)
        t++;
    return t;
}

void report_ratios(FILE *out, const struct plan *plan, const struct results *results,
                   const char *against) {
    size_t base = find_row(plan, against);
    for (enum placement placement = NEAR; placement < PLACED && base < plan->transport_count;
         placement++) {
        if (!placement_seen(results, placement))
            continue;
        fprintf(out, "\n%s, %s: %s %s, by medians\n", experiment_names[plan->experiment],
                placement_names[placement],
                plan->experiment == RATE ? "messages/s, times those of" : "p50, times that of",
                against);
        print_heading(out, plan, 8);
        for (size_t t = 0; t < plan->transport_count; t++) {
            if (t == base)
                continue;
            print_name(out, plan, plan->transports[t]->name);
            for (size_t c = 0; c < plan_columns(plan); c++) {
                struct spread mine =
                    main_spread(plan, results_cell(plan, results, t, c), placement);
                struct spread theirs =
                    main_spread(plan, results_cell(plan, results, base, c), placement);
                char text[64] = "-";
                if (mine.count != 0 && theirs.count != 0)
                    snprintf(text, sizeof text, "%.2f", mine.median / theirs.median);
                char heading[64];
                int width = (int)strlen(column_name(plan, c, heading));
                fprintf(out, " | %-*s", width < 8 ? 8 : width, text);
            }
            fprintf(out, "\n");
        }
    }
}

static double per_million(uint64_t events, uint64_t messages) {
    return messages == 0 ? 0 : (double)events * 1e6 / (double)messages;
}

static void costs_row(FILE *out, const struct sample *sum) {
    const struct usage *use = sum->usage;
    const struct counters *tx = &sum->side[SENDER], *rx = &sum->side[RECEIVER];
    fprintf(out, " | %6.2f | %5.2f + %5.2f | %8llu", (double)use[SENDER].wall_ns / 1e9,
            (double)use[SENDER].cpu_ns / 1e9, (double)use[RECEIVER].cpu_ns / 1e9,
            (unsigned long long)(use[SENDER].switches + use[RECEIVER].switches));
    if (rx->messages != 0)
        fprintf(out, " | %10llu | %5.3g + %5.3g | %5.3g + %5.3g | %5.3g + %5.3g",
                (unsigned long long)rx->messages, per_million(tx->wake_calls, rx->messages),
                per_million(rx->wake_calls, rx->messages), per_million(tx->sleeps, rx->messages),
                per_million(rx->sleeps, rx->messages), per_million(tx->stalls, rx->messages),
                per_million(rx->stalls, rx->messages));
    fprintf(out, "\n");
}

void report_costs(FILE *out, const struct plan *plan, const struct results *results) {
    for (enum placement placement = NEAR; placement < PLACED; placement++) {
        if (!placement_seen(results, placement))
            continue;
        fprintf(out, "\n%s, %s, all sizes: sender + receiver\n", experiment_names[plan->experiment],
                placement_names[placement]);
        print_name(out, plan, "");
        fprintf(out, " | wall s | CPU s         | switches | messages   | wakes/M       | sleeps/M "
                     "     | stalls/M\n");
        for (size_t t = 0; t < plan->transport_count; t++) {
            struct sample sum = {0};
            for (size_t c = 0; c < plan_columns(plan); c++) {
                struct sample one = cell_sum(results_cell(plan, results, t, c), placement);
                add_sample(&sum, &one);
            }
            print_name(out, plan, plan->transports[t]->name);
            costs_row(out, &sum);
        }
    }
}

void report_tally(FILE *out, const struct results *results) {
    const unsigned *tally = results->tally;
    fprintf(out, "\ncells: %u near, %u far, %u on one CPU; ", tally[NEAR], tally[FAR],
            tally[ONE_CPU]);
    fprintf(out, "dropped: %u mixed, %u disturbed, %u of the unwanted placement\n", tally[MIXED],
            tally[DISTURBED], tally[UNWANTED]);
    if (results->not_begun != 0)
        fprintf(out,
                harness_signal() != 0
                    ? "interrupted before %u more cells\n"
                    : "the time was up before %u more cells; --full measures them all\n",
                results->not_begun);
}

/* Which way to hand records over is right for this processor. */
static void report_best(FILE *out, const struct limits *limits, enum placement placement) {
    double times[HANDOVER_SIZES];
    enum handover_way best = limits_best(limits, placement, times);
    fprintf(out, "best here, %s: %s", placement_names[placement], handover_texts[best]);
    for (unsigned i = 0; i < HANDOVER_SIZES && best != PLAIN; i++)
        fprintf(out, "%s%zu B %.2fx", i == 0 ? " (against plain: " : ", ", handover_sizes[i],
                times[i]);
    fprintf(out, best != PLAIN ? ")\n" : " (no other way is 5 %% better on average)\n");
}

void report_limits(FILE *out, const struct limits *limits) {
    for (enum placement placement = NEAR; placement <= FAR; placement++) {
        if (limits->count[placement] == 0)
            continue;
        fprintf(out,
                "\nlimits, %s (a cache line's round trip: %.0f ns), blocks of %zu KiB: "
                "median [min..max] of %u rounds\n",
                placement_names[placement], limit_probe(limits, placement).median,
                limits->block / 1024, limits->count[placement]);
        for (unsigned which = 0; which < LIMITS; which++) {
            char text[64];
            struct spread spread = limit_spread(limits, placement, which);
            if (which == HANDOVER)
                fprintf(out, "records handed over through a ring of %zu KiB\n",
                        HANDOVER_RING / 1024);
            fprintf(out, "%-50s | %6.1f [%.1f..%.1f] %s\n", limit_text(which, text), spread.median,
                    spread.min, spread.max, limit_unit(which));
        }
    }
    const unsigned *tally = limits->tally;
    fprintf(out,
            "\nrounds: %u near, %u far; dropped: %u mixed, %u disturbed, %u of the unwanted "
            "placement\n",
            tally[NEAR], tally[FAR], tally[MIXED], tally[DISTURBED], tally[UNWANTED]);
    for (enum placement placement = NEAR; placement <= FAR; placement++)
        if (limits->count[placement] != 0)
            report_best(out, limits, placement);
}
