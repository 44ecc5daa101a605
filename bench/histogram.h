/* histogram.h - counts of times, in memory that does not grow with their number.
 *
 * Guarantees: values below 2048 are kept exactly, all others to one part in 1024; a quantile is
 * never below the true one (nearest rank: the smallest value that at least that part of all values
 * do not exceed) and at most 0.1 % above it; the smallest and the largest value are exact. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define HISTOGRAM_EXACT 2048u
#define HISTOGRAM_BUCKETS (HISTOGRAM_EXACT + 21u * 1024u) /* for all values of 32 bits */

struct histogram {
    uint64_t count, sum;
    uint32_t smallest, largest;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_clear(struct histogram *histogram);
void histogram_add(struct histogram *histogram, uint32_t value);
void histogram_merge(struct histogram *to, const struct histogram *more);

/* part from 0 to 1. 0 when there are no values. */
uint32_t histogram_quantile(const struct histogram *histogram, double part);

/* The percentile distribution as the text that plotters of HdrHistogram's output read: value,
 * percentile, count up to it, 1 / (1 - percentile), and three lines about the whole. A value is
 * multiplied by unit, which makes it nanoseconds. */
void histogram_write_hdr(const struct histogram *histogram, double unit, FILE *out);

#endif
