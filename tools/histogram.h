/* histogram.h - a distribution of durations in bounded memory.
 *
 * Values from 0 to 2^40 - 1 nanoseconds (18 minutes; larger ones are counted as that) fall into
 * buckets of equal width within each power of two: 1024 of them, so that a quantile is exact below
 * 2048, never below the true one, and at most 0.1 % above it. Smallest, largest and mean are exact.
 * (The log-linear scheme of Gil Tene's HdrHistogram.)
 */
#ifndef LEAT_TOOLS_HISTOGRAM_H
#define LEAT_TOOLS_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_VALUE_BITS 40
#define HISTOGRAM_STEP_BITS 10
#define HISTOGRAM_STEPS ((uint64_t)1 << HISTOGRAM_STEP_BITS)
#define HISTOGRAM_EXACT (2 * HISTOGRAM_STEPS) /* below, each value has a bucket */
#define HISTOGRAM_BUCKETS ((HISTOGRAM_VALUE_BITS - HISTOGRAM_STEP_BITS + 1) << HISTOGRAM_STEP_BITS)

/* All zero is an empty histogram. */
struct histogram {
    uint64_t count, smallest, largest, sum;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);
void histogram_merge(struct histogram *to, const struct histogram *more);

/* The smallest value v, rounded up to its bucket's end, such that at least `quantile` (0 to 1) of
 * all values are at most v: the nearest-rank definition. 0 when empty. */
uint64_t histogram_quantile(const struct histogram *histogram, double quantile);

/* The same; *below becomes the number of values in that bucket and all buckets before it. */
uint64_t histogram_reach(const struct histogram *histogram, double quantile, uint64_t *below);

double histogram_mean(const struct histogram *histogram);

/* The largest value that falls into the bucket. */
uint64_t histogram_end_of(size_t bucket);

#endif
