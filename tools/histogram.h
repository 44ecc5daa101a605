/* histogram.h - a distribution of durations in bounded memory.
 *
 * Values from 0 to 2^40 - 1 nanoseconds (18 minutes; larger ones are counted as that) fall into
 * buckets of equal width within each power of two: 64 of them, so that a quantile is at most 1/64 =
 * 1.6 % above the true one, and exact below 128 ns. Smallest, largest and mean are exact. (The
 * log-linear scheme of Gil Tene's HdrHistogram.)
 */
#ifndef LEAT_TOOLS_HISTOGRAM_H
#define LEAT_TOOLS_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_VALUE_BITS 40
#define HISTOGRAM_STEP_BITS 6
#define HISTOGRAM_BUCKETS ((HISTOGRAM_VALUE_BITS - HISTOGRAM_STEP_BITS + 1) << HISTOGRAM_STEP_BITS)

/* All zero is an empty histogram. */
struct histogram {
    uint64_t count, smallest, largest, sum;
    uint32_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);

/* The smallest value v, rounded up to its bucket's end, such that at least `quantile` (0 < quantile
 * <= 1) of all values are at most v: the nearest-rank definition. 0 when empty. */
uint64_t histogram_quantile(const struct histogram *histogram, double quantile);

double histogram_mean(const struct histogram *histogram);

#endif
