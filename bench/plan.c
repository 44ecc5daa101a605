/* plan.c - what is to be measured, its names, and the numbers that come of it; see trial.h. */
#include "trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const placement_names[PLACEMENTS] = {"near",  "far",       "one-cpu",
                                                 "mixed", "disturbed", "unwanted"};
const char *const experiment_names[EXPERIMENTS] = {"throughput", "latency", "wakeup", "paced"};

/* --- Columns ---------------------------------------------------------------------------------- */

size_t plan_columns(const struct plan *plan) {
    size_t sizes = plan->size_count != 0 ? plan->size_count : 1;
    return sizes * (plan->level_count != 0 ? plan->level_count : 1);
}

struct column plan_column(const struct plan *plan, size_t index) {
    if (plan->level_count == 0)
        return (struct column){plan->sizes[index], 0};
    return (struct column){plan->sizes[index / plan->level_count],
                           plan->levels[index % plan->level_count]};
}

/* The sizes that are no number of bytes. Lengths are spread evenly between two; or, of ten, nine
 * are the one and the tenth the other. */
static const struct {
    const char *word, *name;
    size_t shortest, longest, mean;
    bool ten;
} varying[] = {
    [SIZE_MIX] = {"mix", "mix 16-2047 B", 16, 2047, 1031, false},
    [SIZE_SMALL_MIX] = {"small", "mix 8-64 B", 8, 64, 36, false},
    [SIZE_BIMODAL] = {"bimodal", "bimodal 24, 3072 B", 24, 3072, 329, true},
};
#define VARYING (sizeof varying / sizeof *varying)

bool size_varies(size_t size) {
    return size < VARYING;
}

size_t size_longest(size_t size) {
    return size < VARYING ? varying[size].longest : size;
}

size_t size_mean(size_t size) {
    return size < VARYING ? varying[size].mean : size;
}

static size_t length_of(size_t size, uint64_t random) {
    if (size >= VARYING)
        return size;
    size_t shortest = varying[size].shortest, longest = varying[size].longest;
    if (varying[size].ten)
        return random % 10 == 0 ? longest : shortest;
    return shortest + random % (longest - shortest + 1);
}

void size_draw(size_t size, uint16_t *lengths, size_t count) {
    uint64_t x = 88172645463325252u;
    for (size_t i = 0; i < count; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        lengths[i] = (uint16_t)length_of(size, x);
    }
}

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
    if (plan->size_count == 0)
        return "";
    if (level != 0)
        snprintf(text, 64, "%.30s, %llu messages/s", name, level);
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

const struct cell *results_cell(const struct results *results, size_t part, size_t column,
                                size_t way) {
    return &results->cells[(part * plan_columns(results->plan) + column) * WAYS_MAX + way];
}

unsigned cell_count(const struct cell *cell, enum placement placement) {
    unsigned count = 0;
    for (unsigned i = 0; i < cell->count; i++)
        count += cell->trials[i].placement == placement;
    return count;
}

bool part_seen(const struct results *results, size_t part, size_t column,
               enum placement placement) {
    for (size_t way = 0; way < results->plan->parts[part]->way_count; way++)
        if (cell_count(results_cell(results, part, column, way), placement) != 0)
            return true;
    return false;
}

/* The known values of a placement; figure FIGURES_MAX is the probe. */
static struct spread spread_in(const struct cell *cell, enum placement placement, size_t figure) {
    double values[ROUNDS_MAX];
    unsigned count = 0;
    for (unsigned i = 0; i < cell->count; i++) {
        const struct measured *one = &cell->trials[i];
        double value = figure == FIGURES_MAX ? one->probe_ns : one->figures[figure];
        if (one->placement == placement && value >= 0)
            values[count++] = value;
    }
    return spread_of(values, count);
}

struct spread cell_spread(const struct cell *cell, enum placement placement, size_t figure) {
    return spread_in(cell, placement, figure);
}

struct spread cell_probe(const struct cell *cell, enum placement placement) {
    return spread_in(cell, placement, FIGURES_MAX);
}

struct spread cell_ratio(const struct cell *cell, const struct cell *yardstick,
                         enum placement placement) {
    double values[ROUNDS_MAX];
    unsigned count = 0;
    for (unsigned i = 0; i < cell->count; i++)
        for (unsigned k = 0; k < yardstick->count; k++) {
            const struct measured *own = &cell->trials[i], *other = &yardstick->trials[k];
            if (own->round == other->round && own->placement == placement &&
                other->placement == placement && own->figures[0] >= 0 && other->figures[0] > 0)
                values[count++] = own->figures[0] / other->figures[0];
        }
    return spread_of(values, count);
}

double cell_sum(const struct cell *cell, enum placement placement, size_t figure) {
    double sum = 0;
    for (unsigned i = 0; i < cell->count; i++)
        if (cell->trials[i].placement == placement && cell->trials[i].figures[figure] > 0)
            sum += cell->trials[i].figures[figure];
    return sum;
}

size_t figure_count(const struct part *part) {
    size_t count = 0;
    while (count < FIGURES_MAX && part->figures[count].json != NULL)
        count++;
    return count;
}

double quantile_us(const struct histogram *times, double part) {
    return (double)histogram_quantile(times, part) / 1e3;
}
