/* hdr.h - every time of an experiment as percentile distributions in files, for plotters of
 * HdrHistogram's text format. */
#ifndef BENCH_HDR_H
#define BENCH_HDR_H

#include "trial.h"

#include <stdio.h>

/* One distribution goes to that path. Of several, each goes to a path of its own, with transport,
 * size, level and placement before the extension: out.hgrm becomes out-leat-64-near.hgrm. Says
 * which on standard error. 0, or -1 having said why. */
int hdr_write(const char *path, const struct results *results);

/* One distribution as that text: value, percentile, count up to it, 1 / (1 - percentile), and three
 * lines about the whole. A value is multiplied by unit, which makes it nanoseconds. */
void hdr_write_text(const struct histogram *histogram, double unit, FILE *out);

#endif
