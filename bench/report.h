/* report.h - results as tables for people (report.c) and as JSON for programs (json.c). */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "harness.h"
#include "machine_limits.h"

#include <stdio.h>

/* The machine, the CPUs in use and what else runs: the figures mean nothing without. */
void report_machine(FILE *out, const int cpus[2]);

/* One table for each placement that was seen. Throughput: a row for each transport, a column for
 * each size. All others: a table for each column, with a row of percentiles and costs for each
 * transport. */
void report_table(FILE *out, const struct plan *plan, const struct results *results);

/* How many times as fast as that transport each other one is, by medians. Nothing when it was not
 * measured. */
void report_ratios(FILE *out, const struct plan *plan, const struct results *results,
                   const char *against);

/* CPU time, sleeps and wait sets of each transport, all sizes together. */
void report_costs(FILE *out, const struct plan *plan, const struct results *results);

/* How many cells were measured and how many dropped. */
void report_tally(FILE *out, const struct results *results);

void report_limits(FILE *out, const struct limits *limits);

/* What each side of a cell's samples did, all together. */
struct sample cell_sum(const struct cell *cell, enum placement placement);
double sample_rate(const struct sample *sample);
double sample_probe(const struct sample *sample);

/* The processor's name; and that with the system, for people. */
void cpu_model(char text[128]);
void machine_name(char text[256]);

/* {"machine": {...}, "experiments": [{...}, ...]}: call json_begin, json_experiment or json_limits
 * for each, json_end. */
struct json_run {
    const char *library; /* its version */
    int argc;
    char **argv;
    const int *cpus;
};
void json_begin(FILE *out, const struct json_run *run);
void json_experiment(FILE *out, const struct plan *plan, const struct results *results, bool first);
void json_limits(FILE *out, const struct limits *limits, bool first);
void json_end(FILE *out);

#endif
