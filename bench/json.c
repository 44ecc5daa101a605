/* json.c - results as JSON; see report.h. Printed by hand: only the command line needs escaping. */
#include "loops.h"
#include "realtime.h"
#include "report.h"

#include <sys/utsname.h>

/* Bytes that are no ASCII text become \u00XX, so that the result is valid whatever the shell
 * gave. */
static void json_text(FILE *out, const char *text) {
    fputc('"', out);
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c < 0x20 || c >= 0x7f)
            fprintf(out, "\\u%04x", c);
        else
            fputc(c, out);
    }
    fputc('"', out);
}

void json_begin(FILE *out, const struct json_run *run) {
    char model[128], date[32];
    struct utsname system;
    time_t now = time(NULL);
    cpu_model(model);
    uname(&system);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
    fprintf(out, "{\n  \"date\": \"%s\",\n  \"library\": \"%s\",\n  \"command\": [", date,
            run->library);
    for (int i = 0; i < run->argc; i++) {
        fputs(i == 0 ? "" : ", ", out);
        json_text(out, run->argv[i]);
    }
    fprintf(out, "],\n  \"machine\": {\"host\": ");
    json_text(out, system.nodename);
    fprintf(out, ", \"cpu\": ");
    json_text(out, model);
    fprintf(out,
            ", \"system\": \"%s %s\", \"architecture\": \"%s\", \"compiler\": ", system.sysname,
            system.release, system.machine);
    json_text(out, __VERSION__);
    fprintf(out, ", \"cpus\": [%d, %d], \"realtime\": %s},\n  \"experiments\": [", run->cpus[0],
            run->cpus[1], realtime_is_on() ? "true" : "false");
}

static void json_spread(FILE *out, const char *name, struct spread spread) {
    if (spread.count == 0)
        fprintf(out, ", \"%s\": null", name);
    else
        fprintf(out, ", \"%s\": {\"median\": %.6g, \"min\": %.6g, \"max\": %.6g}", name,
                spread.median, spread.min, spread.max);
}

static void json_side(FILE *out, const char *name, const struct usage *usage,
                      const struct counters *counters) {
    fprintf(out,
            ",\n       \"%s\": {\"wall_s\": %.4f, \"cpu_s\": %.4f, \"switches\": %llu, "
            "\"messages\": %llu, "
            "\"stalls\": %llu, \"sleeps\": %llu, \"wake_calls\": %llu}",
            name, (double)usage->wall_ns / 1e9, (double)usage->cpu_ns / 1e9,
            (unsigned long long)usage->switches, (unsigned long long)counters->messages,
            (unsigned long long)counters->stalls, (unsigned long long)counters->sleeps,
            (unsigned long long)counters->wake_calls);
}

static void json_percentiles(FILE *out, const struct cell *cell, enum placement placement) {
    for (enum percentile which = P50; which < PERCENTILES; which++) {
        char name[16];
        snprintf(name, sizeof name, "%s_ns", percentile_names[which]);
        json_spread(out, name, cell_percentile(cell, placement, which));
    }
    fprintf(out, ", \"times\": %llu",
            (unsigned long long)(cell->all[placement] != NULL ? cell->all[placement]->count : 0));
}

static void json_cell(FILE *out, const struct plan *plan, const struct cell *cell, size_t t,
                      size_t c, enum placement placement) {
    char text[32];
    struct column column = plan_column(plan, c);
    struct sample sum = cell_sum(cell, placement);
    fprintf(out,
            "      {\"transport\": \"%s\", \"size\": \"%s\", \"placement\": \"%s\", \"cells\": %u",
            plan->transports[t]->name, size_name(column.size, text), placement_names[placement],
            cell->count[placement]);
    if (plan->experiment == OPEN_LOOP) {
        fprintf(out, ", \"rate\": %llu, \"waited_s\": %.4f", (unsigned long long)column.level,
                (double)sum.idle_ns / 1e9);
        json_spread(out, "achieved", cell_spread(cell, placement, sample_rate));
    }
    if (plan->experiment == RATE)
        json_spread(out, "million_per_s", cell_spread(cell, placement, sample_rate));
    else
        json_percentiles(out, cell, placement);
    json_spread(out, "probe_ns", cell_spread(cell, placement, sample_probe));
    json_side(out, "sender", &sum.usage[SENDER], &sum.side[SENDER]);
    json_side(out, "receiver", &sum.usage[RECEIVER], &sum.side[RECEIVER]);
    fprintf(out, "}");
}

static void json_dropped(FILE *out, const unsigned tally[PLACEMENTS], unsigned not_begun) {
    fprintf(out,
            "\"dropped\": {\"mixed\": %u, \"disturbed\": %u, \"unwanted\": %u}, \"not_begun\": %u",
            tally[MIXED], tally[DISTURBED], tally[UNWANTED], not_begun);
}

void json_experiment(FILE *out, const struct plan *plan, const struct results *results,
                     bool first) {
    fprintf(out,
            "%s\n    {\"experiment\": \"%s\", \"capacity\": %zu, \"rounds\": %u, \"cell_s\": %.3f, "
            "\"pause_s\": %.6f,\n     ",
            first ? "" : ",", experiment_names[plan->experiment], plan->capacity, plan->rounds,
            (double)plan->duration_ns / 1e9,
            plan->experiment == WAKEUP ? (double)plan->pause_ns / 1e9 : 0);
    json_dropped(out, results->tally, results->not_begun);
    fprintf(out, ",\n     \"results\": [");
    const char *separator = "\n";
    for (size_t c = 0; c < plan_columns(plan); c++)
        for (size_t t = 0; t < plan->transport_count; t++)
            for (enum placement placement = NEAR; placement < PLACED; placement++) {
                const struct cell *cell = results_cell(plan, results, t, c);
                if (cell->count[placement] == 0)
                    continue;
                fputs(separator, out);
                separator = ",\n";
                json_cell(out, plan, cell, t, c, placement);
            }
    fprintf(out, "]}");
}

void json_limits(FILE *out, const struct limits *limits, bool first) {
    fprintf(out, "%s\n    {\"experiment\": \"limits\", \"block\": %zu,\n     ", first ? "" : ",",
            limits->block);
    json_dropped(out, limits->tally, 0);
    fprintf(out, ",\n     \"results\": [");
    const char *separator = "\n";
    for (enum placement placement = NEAR; placement <= FAR; placement++) {
        if (limits->count[placement] == 0)
            continue;
        fprintf(out, "%s      {\"placement\": \"%s\", \"rounds\": %u", separator,
                placement_names[placement], limits->count[placement]);
        separator = ",\n";
        for (unsigned which = 0; which < LIMITS; which++) {
            char text[64];
            json_spread(out, limit_name(which, text), limit_spread(limits, placement, which));
        }
        json_spread(out, "probe_ns", limit_probe(limits, placement));
        double times[HANDOVER_SIZES];
        fprintf(out, ", \"best\": \"%s\"}", handover_names[limits_best(limits, placement, times)]);
    }
    fprintf(out, "]}");
}

void json_end(FILE *out) {
    fprintf(out, "\n  ]\n}\n");
}
