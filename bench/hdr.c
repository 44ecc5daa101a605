/* hdr.c - see report.h. */
#include "../tools/common.h"
#include "report.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define PATH_SIZE 4096u

static double deviation(const struct histogram *histogram, double mean) {
    double squares = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        double distance = (double)histogram_end_of(i) - mean;
        squares += distance * distance * (double)histogram->buckets[i];
    }
    return histogram->count == 0 ? 0 : sqrt(squares / (double)histogram->count);
}

void hdr_write_text(const struct histogram *histogram, double unit, FILE *out) {
    double mean = histogram_mean(histogram), largest = (double)histogram->largest * unit;
    unsigned long long count = histogram->count;
    uint64_t below = 0;
    fprintf(out, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount",
            "1/(1-Percentile)");
    /* Five lines for each halving of what is left: 0, 10 %, ... 50 %, 55 %, ... 75 %, ... until all
     * values are below. */
    for (double left = 1; below < count; left /= 2)
        for (int step = 0; step < 5 && below < count; step++) {
            double part = 1 - left + left / 2 * step / 5;
            double value = (double)histogram_reach(histogram, part, &below) * unit;
            if (below < count)
                fprintf(out, "%12.3f %14.12f %10llu %14.2f\n", value, part,
                        (unsigned long long)below, 1 / (1 - part));
        }
    fprintf(out, "%12.3f %14.12f %10llu\n", largest, 1.0, count);
    fprintf(out, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n", mean * unit,
            deviation(histogram, mean) * unit);
    fprintf(out, "#[Max     = %12.3f, Total count    = %12llu]\n", largest, count);
    fprintf(out, "#[Buckets = %12u, SubBuckets     = %12u]\n",
            HISTOGRAM_VALUE_BITS - HISTOGRAM_STEP_BITS + 1, (unsigned)HISTOGRAM_EXACT);
}

static size_t count_distributions(const struct results *results) {
    size_t count = 0;
    for (size_t i = 0; i < results->cell_count; i++)
        for (enum placement placement = NEAR; placement < PLACED; placement++)
            count += results->cells[i].all[placement] != NULL;
    return count;
}

static void name_file(char path[PATH_SIZE], const char *given, const struct plan *plan, size_t t,
                      size_t c, enum placement placement) {
    const char *slash = strrchr(given, '/'), *dot = strrchr(given, '.');
    if (dot == NULL || (slash != NULL && dot < slash))
        dot = given + strlen(given);
    struct column column = plan_column(plan, c);
    char text[32], level[32] = "";
    const char *size = size_word(column.size, text);
    if (plan->level_count != 0)
        snprintf(level, sizeof level, "-%llups", (unsigned long long)column.level);
    snprintf(path, PATH_SIZE, "%.*s-%s-%s%s-%s%s", (int)(dot - given), given,
             plan->parts[0]->ways[t].name, size, level, placement_names[placement], dot);
}

static int write_one(const char *path, const struct histogram *histogram, double unit) {
    FILE *file = fopen(path, "w");
    if (file != NULL)
        hdr_write_text(histogram, unit, file);
    bool bad = file != NULL && ferror(file);
    if (file == NULL || fclose(file) != 0 || bad)
        return fail_target(NULL, -1, "--hdr: the distribution could not be written to '%s': %s",
                           path, strerror(errno));
    fprintf(stderr, "wrote %s: %llu times, in ns\n", path, (unsigned long long)histogram->count);
    return 0;
}

int hdr_write(const char *given, const struct results *results) {
    const struct plan *plan = results->plan;
    size_t count = count_distributions(results);
    if (count == 0)
        return fail_target(NULL, -1,
                           "--hdr: no cell was measured undisturbed, so there is nothing to write "
                           "to '%s'",
                           given);
    char path[PATH_SIZE];
    for (size_t t = 0; t < plan->parts[0]->way_count; t++)
        for (size_t c = 0; c < plan_columns(plan); c++)
            for (enum placement placement = NEAR; placement < PLACED; placement++) {
                const struct histogram *all = results_cell(results, 0, c, t)->all[placement];
                if (all == NULL)
                    continue;
                name_file(path, given, plan, t, c, placement);
                if (write_one(count == 1 ? given : path, all,
                              histogram_unit((enum experiment)plan->parts[0]->ways[0].context)) !=
                    0)
                    return -1;
            }
    return 0;
}
