/* histogram.c - see histogram.h. */
#include "histogram.h"

#include <stddef.h>

#define STEPS ((uint64_t)1 << HISTOGRAM_STEP_BITS)
#define VALUE_MAX (((uint64_t)1 << HISTOGRAM_VALUE_BITS) - 1)

/* Values below 2 * STEPS have a bucket each; above, the top HISTOGRAM_STEP_BITS + 1 bits choose
 * one. */
static size_t bucket_of(uint64_t value) {
    if (value < 2 * STEPS)
        return (size_t)value;
    unsigned shift = 63U - (unsigned)__builtin_clzll(value) - HISTOGRAM_STEP_BITS;
    return (size_t)(shift * STEPS + (value >> shift));
}

/* The largest value that falls into the bucket. */
static uint64_t end_of(size_t bucket) {
    if (bucket < 2 * STEPS)
        return bucket;
    unsigned shift = (unsigned)(bucket / STEPS) - 1;
    return ((bucket % STEPS + STEPS + 1) << shift) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t value) {
    if (histogram->count == 0 || value < histogram->smallest)
        histogram->smallest = value;
    if (value > histogram->largest)
        histogram->largest = value;
    histogram->count++;
    histogram->sum += value;
    histogram->buckets[bucket_of(value < VALUE_MAX ? value : VALUE_MAX)]++;
}

uint64_t histogram_quantile(const struct histogram *histogram, double quantile) {
    if (histogram->count == 0)
        return 0;
    double exact = quantile * (double)histogram->count;
    uint64_t rank = (uint64_t)exact;
    rank += (double)rank < exact; /* round up */
    if (rank == 0)
        rank = 1;
    uint64_t below = 0;
    for (size_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        below += histogram->buckets[bucket];
        if (below >= rank) {
            /* The last bucket that is not empty ends at the largest value, not beyond it. */
            uint64_t value = end_of(bucket);
            return value < histogram->largest ? value : histogram->largest;
        }
    }
    return histogram->largest;
}

double histogram_mean(const struct histogram *histogram) {
    return histogram->count == 0 ? 0 : (double)histogram->sum / (double)histogram->count;
}
