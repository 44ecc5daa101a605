/* harness.c - all cells of a plan; see harness.h. */
#include "machine.h"
#include "realtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

double histogram_unit(const struct plan *plan) {
    return plan->experiment == OPEN_LOOP ? 1 : 1 / machine.ticks_per_ns;
}

static void list_sample(const struct plan *plan, const struct sample *sample,
                        enum placement placement) {
    fprintf(stderr, "%s, %s:", machine.doing, placement_names[placement]);
    if (plan->experiment == RATE)
        fprintf(stderr, " %.2f M/s, backed off %llu times\n", sample->rate,
                (unsigned long long)sample->side[RECEIVER].backoffs);
    else
        fprintf(stderr, " p50 %.0f ns, max %.0f ns\n", sample->percentile[P50],
                sample->percentile[HIGHEST]);
}

/* One cell, once, watched. */
static int run_once(const struct plan *plan, const struct transport *transport, size_t column,
                    struct sample *sample, struct histogram *times, enum placement *placement) {
    char text[64];
    snprintf(machine.doing, sizeof machine.doing, "%s, %s, %s", transport->name,
             experiment_names[plan->experiment], column_name(plan, column, text));
    control_reset();
    *sample = (struct sample){0};
    histogram_clear(times);
    fill_lengths(plan_column(plan, column).size);
    fflush(NULL);
    watch_for(plan->hang_s + plan->duration_ns / 1000000000u);
    uint64_t began_ns = now_ns();
    int result = run_cell(plan, transport, plan_column(plan, column), sample, times, placement);
    watch_for(0);
    realtime_rest(began_ns);
    return result;
}

static void keep(struct cell *cell, const struct sample *sample, const struct histogram *times,
                 enum placement placement) {
    if (cell->count[placement] == ROUNDS_MAX)
        return;
    cell->samples[placement][cell->count[placement]++] = *sample;
    if (times->count == 0)
        return;
    if (cell->all[placement] == NULL) {
        cell->all[placement] = must_allocate(1, sizeof *times);
        histogram_clear(cell->all[placement]);
    }
    histogram_merge(cell->all[placement], times);
}

/* One round of one cell: until it was measured undisturbed, or has been tried often enough. */
static void measure(const struct plan *plan, struct results *results, size_t t, size_t column) {
    static struct histogram times;
    struct cell *cell = &results->cells[t * plan_columns(plan) + column];
    for (unsigned attempt = 0; attempt < plan->attempts;) {
        struct sample sample;
        enum placement placement;
        if (harness_signal() != 0 ||
            (attempt > 0 && plan->stop_ns != 0 && now_ns() > plan->stop_ns))
            return;
        if (run_once(plan, plan->transports[t], column, &sample, &times, &placement) != 0)
            return;
        results->tally[placement]++;
        if (placement == UNWANTED && now_ns() < plan->give_up_ns) {
            usleep(100000); /* idle CPUs are what the host moves */
            continue;
        }
        if (plan->list)
            list_sample(plan, &sample, placement);
        if (placement >= PLACED)
            usleep(20000); /* whoever disturbed may be done by then */
        if (placement < PLACED) {
            keep(cell, &sample, &times, placement);
            return;
        }
        attempt++;
    }
}

static void show_progress(const struct plan *plan, size_t done, size_t column, size_t t,
                          uint64_t began_ns) {
    size_t all = plan->rounds * plan_columns(plan) * plan->transport_count;
    char text[64], left[48] = "";
    if (plan->list || !isatty(STDERR_FILENO))
        return;
    if (done > 0)
        snprintf(left, sizeof left, ", about %.0f s left",
                 (double)(now_ns() - began_ns) / 1e9 / (double)done * (double)(all - done));
    fprintf(stderr, "\r\033[K%s: cell %zu of %zu (%s, %s)%s", experiment_names[plan->experiment],
            done + 1, all, plan->transports[t]->name, column_name(plan, column, text), left);
}

void harness_run(const struct plan *plan, struct results *results) {
    size_t columns = plan_columns(plan), done = 0;
    uint64_t began_ns = now_ns();
    *results = (struct results){.cell_count = plan->transport_count * columns};
    results->cells = must_allocate(results->cell_count, sizeof(struct cell));
    for (unsigned round = 0; round < plan->rounds; round++)
        for (size_t column = 0; column < columns; column++)
            for (size_t t = 0; t < plan->transport_count; t++, done++) {
                if (harness_signal() != 0 || (plan->stop_ns != 0 && now_ns() > plan->stop_ns)) {
                    results->not_begun++;
                    continue;
                }
                show_progress(plan, done, column, t, began_ns);
                measure(plan, results, t, column);
            }
    if (!plan->list && isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
}

void results_free(struct results *results) {
    for (size_t i = 0; i < results->cell_count; i++)
        for (int placement = NEAR; placement < PLACED; placement++)
            free(results->cells[i].all[placement]);
    free(results->cells);
    results->cells = NULL;
}
