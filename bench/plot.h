/* plot.h - results as a picture, made by gnuplot. */
#ifndef BENCH_PLOT_H
#define BENCH_PLOT_H

#include "trial.h"

/* Before hours of measuring: is there a gnuplot, and does the path end in .svg or .png? 0, or -1
 * having said what to do. */
int plot_check(const char *path);

/* Throughput by size, latencies by percentile; of the placement that has more cells. 0, or -1 having
 * said why on standard error. */
int plot_write(const char *path, const struct results *results);

#endif
