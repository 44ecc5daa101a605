/* hdr.h - every time of an experiment as percentile distributions in files, for plotters of
 * HdrHistogram's text format. */
#ifndef BENCH_HDR_H
#define BENCH_HDR_H

#include "trial.h"

/* One distribution goes to that path. Of several, each goes to a path of its own, with transport,
 * size, level and placement before the extension: out.hgrm becomes out-leat-64-near.hgrm. Says
 * which on standard error. 0, or -1 having said why. */
int hdr_write(const char *path, const struct results *results);

#endif
