/* histogram.c - see histogram.h. */
#include "histogram.h"

#define VALUE_MAX (((uint64_t)1 << HISTOGRAM_VALUE_BITS) - 1)

/* From HISTOGRAM_EXACT on, the top HISTOGRAM_STEP_BITS + 1 bits of a value choose its bucket. */
static size_t bucket_of(uint64_t value) {
    if (value < HISTOGRAM_EXACT)
        return (size_t)value;
    unsigned shift = 63U - (unsigned)__builtin_clzll(value) - HISTOGRAM_STEP_BITS;
    return (size_t)(shift * HISTOGRAM_STEPS + (value >> shift));
}

uint64_t histogram_end_of(size_t bucket) {
    if (bucket < HISTOGRAM_EXACT)
        return bucket;
    unsigned shift = (unsigned)(bucket / HISTOGRAM_STEPS) - 1;
    return ((bucket % HISTOGRAM_STEPS + HISTOGRAM_STEPS + 1) << shift) - 1;
}

static void note_extremes(struct histogram *histogram, uint64_t smallest, uint64_t largest) {
    if (histogram->count == 0 || smallest < histogram->smallest)
        histogram->smallest = smallest;
    if (largest > histogram->largest)
        histogram->largest = largest;
}

void histogram_add(struct histogram *histogram, uint64_t value) {
    note_extremes(histogram, value, value);
    histogram->count++;
    histogram->sum += value;
    histogram->buckets[bucket_of(value < VALUE_MAX ? value : VALUE_MAX)]++;
}

void histogram_merge(struct histogram *to, const struct histogram *more) {
    if (more->count == 0)
        return;
    note_extremes(to, more->smallest, more->largest);
    to->count += more->count;
    to->sum += more->sum;
    for (size_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++)
        to->buckets[bucket] += more->buckets[bucket];
}

/* How many values a quantile must not be exceeded by: at least one. 0.999 of 1000 is 999, whatever
 * floating point makes of it. */
static uint64_t rank_of(uint64_t count, double quantile) {
    double exact = quantile * (double)count - 1e-6;
    if (exact <= 1)
        return 1;
    uint64_t rank = (uint64_t)exact;
    rank += (double)rank < exact; /* round up */
    return rank < count ? rank : count;
}

uint64_t histogram_reach(const struct histogram *histogram, double quantile, uint64_t *below) {
    uint64_t rank = rank_of(histogram->count, quantile);
    *below = 0;
    for (size_t bucket = 0; bucket < HISTOGRAM_BUCKETS && histogram->count != 0; bucket++) {
        *below += histogram->buckets[bucket];
        if (*below >= rank) {
            /* The last bucket that is not empty ends at the largest value, not beyond it. */
            uint64_t value = histogram_end_of(bucket);
            return value < histogram->largest ? value : histogram->largest;
        }
    }
    return histogram->largest;
}

uint64_t histogram_quantile(const struct histogram *histogram, double quantile) {
    uint64_t below;
    return histogram_reach(histogram, quantile, &below);
}

double histogram_mean(const struct histogram *histogram) {
    return histogram->count == 0 ? 0 : (double)histogram->sum / (double)histogram->count;
}
