/* report.c - see report.h. JSON is printed by hand: nothing in it needs escaping but the machine's name. */
#include "report.h"
#include "loops.h"

#include <stdlib.h>
#include <sys/utsname.h>

/* --- The machine -------------------------------------------------------------------------------------------------- */

/* The processor's name, without characters that JSON would have to escape. */
static void cpu_model(char text[128])
{
    char line[256];
    strcpy(text, "unknown CPU");
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "model name", 10) == 0 && strstr(line, ": ") != NULL) {
            snprintf(text, 128, "%.127s", strstr(line, ": ") + 2);
            text[strcspn(text, "\n\"\\")] = '\0';
            break;
        }
    if (file != NULL)
        fclose(file);
}

static double load_average(void)
{
    double load = -1;
    return getloadavg(&load, 1) == 1 ? load : -1;
}

void report_machine(FILE *out, const int cpus[2])
{
    char model[128];
    struct utsname system;
    cpu_model(model);
    uname(&system);
    fprintf(out, "%s, %s %s %s, compiler %s; sender on CPU %d, receiver on CPU %d; load average at the start %.2f\n", model,
            system.sysname, system.release, system.machine, __VERSION__, cpus[0], cpus[1], load_average());
}

/* --- Numbers of a sample ------------------------------------------------------------------------------------------ */

static double rate_of(const struct sample *sample) { return sample->rate; }
static double p50_of(const struct sample *sample) { return sample->p50; }
static double p99_of(const struct sample *sample) { return sample->p99; }
static double p999_of(const struct sample *sample) { return sample->p999; }
static double probe_of(const struct sample *sample) { return sample->probe_ns; }

/* What each side of a cell's samples did, added to sum. */
static void add_cell(struct sample *sum, const struct cell *cell, enum placement placement)
{
    for (unsigned i = 0; i < cell->count[placement]; i++)
        for (int role = SENDER; role <= RECEIVER; role++) {
            const struct usage *usage = &cell->samples[placement][i].usage[role];
            sum->usage[role].wall_ns += usage->wall_ns;
            sum->usage[role].cpu_ns += usage->cpu_ns;
            sum->usage[role].switches += usage->switches;
            counters_add(&sum->side[role], &cell->samples[placement][i].side[role]);
        }
}

/* The mean over the cells of a placement of their median probes: how near "near" was. 0 when there were none. */
static double probe_mean(const struct plan *plan, const struct results *results, enum placement placement)
{
    double sum = 0;
    unsigned count = 0;
    for (size_t i = 0; i < plan->transport_count * plan->size_count; i++) {
        struct spread spread = cell_spread(&results->cells[i], placement, probe_of);
        if (spread.count != 0) {
            sum += spread.median;
            count++;
        }
    }
    return count ? sum / count : 0;
}

/* --- Tables ------------------------------------------------------------------------------------------------------- */

static void print_cell(FILE *out, const struct plan *plan, const struct cell *cell, enum placement placement)
{
    char text[64] = "-";
    struct spread rate = cell_spread(cell, placement, plan->experiment == RATE ? rate_of : p50_of);
    if (rate.count != 0 && plan->experiment == RATE)
        snprintf(text, sizeof text, "%.3g [%.3g..%.3g] %u", rate.median, rate.min, rate.max, rate.count);
    else if (rate.count != 0)
        snprintf(text, sizeof text, "%.0f [%.0f..%.0f] / %.0f / %.0f  %u", rate.median, rate.min, rate.max,
                 cell_spread(cell, placement, p99_of).median, cell_spread(cell, placement, p999_of).median, rate.count);
    fprintf(out, plan->experiment == RATE ? " | %-21s" : " | %-34s", text);
}

static void print_heading(FILE *out, const struct plan *plan, int width)
{
    fprintf(out, "%-15s", "");
    for (size_t s = 0; s < plan->size_count; s++) {
        char text[32];
        fprintf(out, " | %-*s", width, size_name(plan->sizes[s], text));
    }
    fprintf(out, "\n");
}

void report_table(FILE *out, const struct plan *plan, const struct results *results)
{
    for (enum placement placement = NEAR; placement <= FAR; placement++) {
        double probe = probe_mean(plan, results, placement);
        if (probe <= 0)
            continue;
        fprintf(out, "\n%s (a cache line's round trip: %.0f ns), queue of %zu KiB: %s\n", placement_names[placement], probe,
                plan->capacity / 1024,
                plan->experiment == RATE ? "million messages/s, median [min..max] cells"
                                         : "round trip in ns, p50 [min..max] / p99 / p99.9  cells");
        print_heading(out, plan, plan->experiment == RATE ? 21 : 34);
        for (size_t t = 0; t < plan->transport_count; t++) {
            fprintf(out, "%-15s", plan->transports[t]->name);
            for (size_t s = 0; s < plan->size_count; s++)
                print_cell(out, plan, results_cell(plan, results, t, s), placement);
            fprintf(out, "\n");
        }
    }
}

/* Where that transport is in the plan, or transport_count. */
static size_t find_row(const struct plan *plan, const char *name)
{
    size_t t = 0;
    while (t < plan->transport_count && strcmp(plan->transports[t]->name, name) != 0)
        t++;
    return t;
}

void report_ratios(FILE *out, const struct plan *plan, const struct results *results, const char *against)
{
    size_t base = find_row(plan, against);
    sample_value value = plan->experiment == RATE ? rate_of : p50_of;
    for (enum placement placement = NEAR; placement <= FAR && base < plan->transport_count; placement++) {
        if (probe_mean(plan, results, placement) <= 0)
            continue;
        fprintf(out, "\n%s: %s %s, by medians\n", placement_names[placement],
                plan->experiment == RATE ? "messages/s, times those of" : "p50, times that of", against);
        print_heading(out, plan, 8);
        for (size_t t = 0; t < plan->transport_count; t++) {
            if (t == base)
                continue;
            fprintf(out, "%-15s", plan->transports[t]->name);
            for (size_t s = 0; s < plan->size_count; s++) {
                struct spread mine = cell_spread(results_cell(plan, results, t, s), placement, value);
                struct spread theirs = cell_spread(results_cell(plan, results, base, s), placement, value);
                char text[32] = "-";
                if (mine.count != 0 && theirs.count != 0)
                    snprintf(text, sizeof text, "%.2f", mine.median / theirs.median);
                fprintf(out, " | %-8s", text);
            }
            fprintf(out, "\n");
        }
    }
}

static double per_million(uint64_t events, uint64_t messages)
{
    return messages == 0 ? 0 : (double)events * 1e6 / (double)messages;
}

void report_costs(FILE *out, const struct plan *plan, const struct results *results)
{
    for (enum placement placement = NEAR; placement <= FAR; placement++) {
        if (probe_mean(plan, results, placement) <= 0)
            continue;
        fprintf(out, "\n%s, %s, all sizes: sender + receiver\n", placement_names[placement],
                plan->experiment == RATE ? "throughput" : "round trips");
        fprintf(out, "%-15s | wall s | CPU s         | switches | messages   | doorbells/M   | sleeps/M      | stalls/M\n",
                "");
        for (size_t t = 0; t < plan->transport_count; t++) {
            struct sample sum = { 0 };
            for (size_t s = 0; s < plan->size_count; s++)
                add_cell(&sum, results_cell(plan, results, t, s), placement);
            const struct usage *use = sum.usage;
            const struct counters *tx = &sum.side[SENDER], *rx = &sum.side[RECEIVER];
            fprintf(out, "%-15s | %6.2f | %5.2f + %5.2f | %8llu", plan->transports[t]->name,
                    (double)use[SENDER].wall_ns / 1e9, (double)use[SENDER].cpu_ns / 1e9, (double)use[RECEIVER].cpu_ns / 1e9,
                    (unsigned long long)(use[SENDER].switches + use[RECEIVER].switches));
            if (rx->messages != 0)
                fprintf(out, " | %10llu | %5.3g + %5.3g | %5.3g + %5.3g | %5.3g + %5.3g", (unsigned long long)rx->messages,
                        per_million(tx->doorbells, rx->messages), per_million(rx->doorbells, rx->messages),
                        per_million(tx->sleeps, rx->messages), per_million(rx->sleeps, rx->messages),
                        per_million(tx->stalls, rx->messages), per_million(rx->stalls, rx->messages));
            fprintf(out, "\n");
        }
    }
}

void report_tally(FILE *out, const struct results *results)
{
    const unsigned *tally = results->tally;
    fprintf(out, "\ncells: %u near, %u far; dropped: %u mixed, %u disturbed, %u of the unwanted placement\n", tally[NEAR],
            tally[FAR], tally[MIXED], tally[DISTURBED], tally[UNWANTED]);
}

/* --- JSON --------------------------------------------------------------------------------------------------------- */

void json_begin(FILE *out, const int cpus[2])
{
    char model[128];
    struct utsname system;
    cpu_model(model);
    uname(&system);
    fprintf(out, "{\n  \"machine\": {\"cpu\": \"%s\", \"system\": \"%s %s\", \"architecture\": \"%s\", "
                 "\"cpus\": [%d, %d]},\n",
            model, system.sysname, system.release, system.machine, cpus[0], cpus[1]);
    fprintf(out, "  \"experiments\": [");
}

static void json_spread(FILE *out, const char *name, struct spread spread)
{
    fprintf(out, ", \"%s\": {\"median\": %.4g, \"min\": %.4g, \"max\": %.4g}", name, spread.median, spread.min, spread.max);
}

static void json_side(FILE *out, const char *name, const struct usage *usage, const struct counters *counters)
{
    fprintf(out, ",\n       \"%s\": {\"wall_s\": %.4f, \"cpu_s\": %.4f, \"switches\": %llu, \"messages\": %llu, "
                 "\"stalls\": %llu, \"sleeps\": %llu, \"doorbells\": %llu}",
            name, (double)usage->wall_ns / 1e9, (double)usage->cpu_ns / 1e9, (unsigned long long)usage->switches,
            (unsigned long long)counters->messages, (unsigned long long)counters->stalls,
            (unsigned long long)counters->sleeps, (unsigned long long)counters->doorbells);
}

static void json_cell(FILE *out, const struct plan *plan, const struct cell *cell, size_t t, size_t s,
                      enum placement placement)
{
    char text[32];
    fprintf(out, "      {\"transport\": \"%s\", \"size\": \"%s\", \"placement\": \"%s\", \"cells\": %u",
            plan->transports[t]->name, size_name(plan->sizes[s], text), placement_names[placement],
            cell->count[placement]);
    if (plan->experiment == RATE) {
        json_spread(out, "million_per_s", cell_spread(cell, placement, rate_of));
    } else {
        json_spread(out, "p50_ns", cell_spread(cell, placement, p50_of));
        json_spread(out, "p99_ns", cell_spread(cell, placement, p99_of));
        json_spread(out, "p99.9_ns", cell_spread(cell, placement, p999_of));
    }
    json_spread(out, "probe_ns", cell_spread(cell, placement, probe_of));
    struct sample sum = { 0 };
    add_cell(&sum, cell, placement);
    json_side(out, "sender", &sum.usage[SENDER], &sum.side[SENDER]);
    json_side(out, "receiver", &sum.usage[RECEIVER], &sum.side[RECEIVER]);
    fprintf(out, "}");
}

void json_experiment(FILE *out, const struct plan *plan, const struct results *results, bool first)
{
    const unsigned *tally = results->tally;
    fprintf(out, "%s\n    {\"experiment\": \"%s\", \"capacity\": %zu, \"rounds\": %u, \"cell_s\": %.3f,\n", first ? "" : ",",
            plan->experiment == RATE ? "throughput" : "round_trip", plan->capacity, plan->rounds,
            (double)plan->duration_ns / 1e9);
    fprintf(out, "     \"dropped\": {\"mixed\": %u, \"disturbed\": %u, \"unwanted\": %u},\n     \"results\": [", tally[MIXED],
            tally[DISTURBED], tally[UNWANTED]);
    const char *separator = "\n";
    for (size_t s = 0; s < plan->size_count; s++)
        for (size_t t = 0; t < plan->transport_count; t++)
            for (enum placement placement = NEAR; placement <= FAR; placement++) {
                const struct cell *cell = results_cell(plan, results, t, s);
                if (cell->count[placement] == 0)
                    continue;
                fputs(separator, out);
                separator = ",\n";
                json_cell(out, plan, cell, t, s, placement);
            }
    fprintf(out, "]}");
}

void json_end(FILE *out)
{
    fprintf(out, "\n  ]\n}\n");
}
