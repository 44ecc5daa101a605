/* report.h - results as tables for people (report.c), JSON for programs (json.c), pictures (plot.c)
 * and distributions (hdr.c). */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "trial.h"

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

/* Before hours of measuring: is there a gnuplot, and does the path end in .svg or .png? 0, or -1
 * having said what to do. */
int plot_check(const char *path);

/* Throughput by size, latencies by percentile; of the placement that has more cells. 0, or -1
 * having said why on standard error. */
int plot_write(const char *path, const struct results *results);

/* Every time of an experiment, for plotters of HdrHistogram's text format. One distribution goes to
 * that path. Of several, each goes to a path of its own, with transport, size, level and placement
 * before the extension: out.hgrm becomes out-leat-64-near.hgrm. Says which on standard error. 0, or
 * -1 having said why. */
int hdr_write(const char *path, const struct results *results);

/* One distribution as that text: value, percentile, count up to it, 1 / (1 - percentile), and three
 * lines about the whole. A value is multiplied by unit, which makes it nanoseconds. */
void hdr_write_text(const struct histogram *histogram, double unit, FILE *out);

#endif
