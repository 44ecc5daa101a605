/* report.h - results as tables for people and as JSON for programs. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "harness.h"

#include <stdio.h>

/* The machine, the CPUs in use and what else runs: the figures mean nothing without. */
void report_machine(FILE *out, const int cpus[2]);

/* One table for each placement that was seen: a row for each transport, a column for each size. */
void report_table(FILE *out, const struct plan *plan, const struct results *results);

/* How many times as fast as that transport each other one is, by medians. Nothing when it was not measured. */
void report_ratios(FILE *out, const struct plan *plan, const struct results *results, const char *against);

/* CPU time, sleeps and doorbells of each transport, all sizes together. */
void report_costs(FILE *out, const struct plan *plan, const struct results *results);

/* How many cells were measured and how many dropped. */
void report_tally(FILE *out, const struct results *results);

/* {"machine": {...}, "experiments": [{...}, ...]}: call json_begin, json_experiment for each, json_end. */
void json_begin(FILE *out, const int cpus[2]);
void json_experiment(FILE *out, const struct plan *plan, const struct results *results, bool first);
void json_end(FILE *out);

#endif
