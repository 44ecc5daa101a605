/* plan.c - what is to be measured, its names, and the numbers that come of it; see harness.h. */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

const char *const placement_names[PLACEMENTS] = {"near",  "far",       "one-cpu",
                                                 "mixed", "disturbed", "unwanted"};
const char *const experiment_names[EXPERIMENTS] = {"throughput", "latency", "wakeup", "paced"};
const char *const percentile_names[PERCENTILES] = {"p50", "p90", "p99", "p99.9", "p99.99", "max"};
const double percentile_parts[PERCENTILES] = {0.5, 0.9, 0.99, 0.999, 0.9999, 1};

/* --- Columns ---------------------------------------------------------------------------------- */

size_t plan_columns(const struct plan *plan) {
    return plan->size_count * (plan->level_count != 0 ? plan->level_count : 1);
}

struct column plan_column(const struct plan *plan, size_t index) {
    if (plan->level_count == 0)
        return (struct column){plan->sizes[index], 0};
    return (struct column){plan->sizes[index / plan->level_count],
                           plan->levels[index % plan->level_count]};
}

/* The sizes that are no number of bytes. */
static const struct {
    const char *word, *name;
} varying[] = {
    [SIZE_MIX] = {"mix", "mix 16-2047 B"},
    [SIZE_SMALL_MIX] = {"small", "mix 8-64 B"},
    [SIZE_BIMODAL] = {"bimodal", "bimodal 24, 3072 B"},
};
#define VARYING (sizeof varying / sizeof *varying)

const char *size_word(size_t size, char text[32]) {
    if (size < VARYING)
        return varying[size].word;
    snprintf(text, 32, "%zu", size);
    return text;
}

const char *size_name(size_t size, char text[32]) {
    if (size < VARYING)
        return varying[size].name;
    snprintf(text, 32, "%zu B", size);
    return text;
}

const char *column_name(const struct plan *plan, size_t index, char text[64]) {
    struct column column = plan_column(plan, index);
    char size[32];
    const char *name = size_name(column.size, size);
    unsigned long long level = column.level;
    if (plan->experiment == OPEN_LOOP)
        snprintf(text, 64, "%s, %llu messages/s", name, level);
    else
        snprintf(text, 64, "%s", name);
    return text;
}

int size_parse(const char *text, size_t *size) {
    for (size_t i = 0; i < VARYING; i++)
        if (strcmp(text, varying[i].word) == 0) {
            *size = i;
            return 0;
        }
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || value < SIZE_MIN || value > SIZE_MAX_FIXED)
        return -1;
    *size = value;
    return 0;
}

/* --- Numbers ---------------------------------------------------------------------------------- */

static int compare_double(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct spread spread_of(double *values, unsigned count) {
    struct spread spread = {.count = count};
    if (count == 0)
        return spread;
    qsort(values, count, sizeof *values, compare_double);
    spread.median = (values[(count - 1) / 2] + values[count / 2]) / 2;
    spread.min = values[0];
    spread.max = values[count - 1];
    return spread;
}

struct spread cell_spread(const struct cell *cell, enum placement placement, sample_value value) {
    double values[ROUNDS_MAX];
    unsigned count = 0;
    for (unsigned i = 0; i < cell->count[placement]; i++) {
        double one = value(&cell->samples[placement][i]);
        if (one >= 0)
            values[count++] = one;
    }
    return spread_of(values, count);
}

struct spread cell_percentile(const struct cell *cell, enum placement placement,
                              enum percentile which) {
    double values[ROUNDS_MAX];
    unsigned count = 0;
    for (unsigned i = 0; i < cell->count[placement]; i++) {
        double one = cell->samples[placement][i].percentile[which];
        if (one >= 0)
            values[count++] = one;
    }
    return spread_of(values, count);
}

void counters_add(struct counters *to, const struct counters *more) {
    to->messages += more->messages;
    to->stalls += more->stalls;
    to->sleeps += more->sleeps;
    to->wake_calls += more->wake_calls;
    to->backoffs += more->backoffs;
}

const struct cell *results_cell(const struct plan *plan, const struct results *results,
                                size_t transport, size_t column) {
    return &results->cells[transport * plan_columns(plan) + column];
}
