/* report.h - results as tables for people (report.c) and as JSON for programs (json.c). */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "trial.h"

#include <stdio.h>

/* The machine, the CPUs in use and what else runs: the figures mean nothing without. */
void report_machine(FILE *out, const int cpus[2]);

/* A table for each part in each placement that was seen, and how many trials were dropped. */
void report_results(FILE *out, const struct results *results);

/* The processor's name; and that with the system, for people. */
void cpu_model(char text[128]);
void machine_name(char text[256]);

/* {"machine": {...}, "experiments": [{..., "results": [{...}, ...]}]}. 0, or -1 when the output did
 * not take it. */
struct json_run {
    const char *library; /* its version */
    int argc;
    char **argv;
    const int *cpus;
};
int json_write(FILE *out, const struct json_run *run, const struct results *results);

#endif
