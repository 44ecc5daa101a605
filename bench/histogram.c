/* histogram.c - see histogram.h. From 2048 on each doubling of the value has 1024 buckets. */
#include "histogram.h"

#include <math.h>
#include <string.h>

static size_t bucket_of(uint32_t value) {
    if (value < HISTOGRAM_EXACT)
        return value;
    unsigned shift = 21 - (unsigned)__builtin_clz(value); /* 1 for 2048 to 4095 */
    return HISTOGRAM_EXACT + (size_t)(shift - 1) * 1024 + ((value >> shift) - 1024);
}

/* The largest value of that bucket. */
static uint32_t top_of(size_t bucket) {
    if (bucket < HISTOGRAM_EXACT)
        return (uint32_t)bucket;
    unsigned shift = (unsigned)((bucket - HISTOGRAM_EXACT) / 1024) + 1;
    uint64_t above = ((bucket - HISTOGRAM_EXACT) % 1024 + 1024 + 1) << shift;
    return (uint32_t)(above - 1);
}

void histogram_clear(struct histogram *histogram) {
    memset(histogram, 0, sizeof *histogram);
    histogram->smallest = UINT32_MAX;
}

void histogram_add(struct histogram *histogram, uint32_t value) {
    histogram->count++;
    histogram->sum += value;
    histogram->buckets[bucket_of(value)]++;
    if (value < histogram->smallest)
        histogram->smallest = value;
    if (value > histogram->largest)
        histogram->largest = value;
}

void histogram_merge(struct histogram *to, const struct histogram *more) {
    to->count += more->count;
    to->sum += more->sum;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        to->buckets[i] += more->buckets[i];
    if (more->smallest < to->smallest)
        to->smallest = more->smallest;
    if (more->largest > to->largest)
        to->largest = more->largest;
}

/* How many values a quantile must not be exceeded by: at least one. */
static uint64_t rank_of(uint64_t count, double part) {
    /* 0.999 * 1000 is 999, whatever floating point makes of it */
    double rank = ceil(part * (double)count - 1e-6);
    return rank < 1 ? 1 : rank > (double)count ? count : (uint64_t)rank;
}

/* The value of that rank; *below becomes the number of values that do not exceed it. */
static uint32_t value_at(const struct histogram *histogram, uint64_t rank, uint64_t *below) {
    uint64_t seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen >= rank) {
            *below = seen;
            return top_of(i) < histogram->largest ? top_of(i) : histogram->largest;
        }
    }
    *below = histogram->count;
    return histogram->largest;
}

uint32_t histogram_quantile(const struct histogram *histogram, double part) {
    uint64_t below;
    return histogram->count == 0 ? 0 : value_at(histogram, rank_of(histogram->count, part), &below);
}

static double deviation(const struct histogram *histogram, double mean) {
    double squares = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        double distance = (double)top_of(i) - mean;
        squares += distance * distance * (double)histogram->buckets[i];
    }
    return sqrt(squares / (double)histogram->count);
}

void histogram_write_hdr(const struct histogram *histogram, double unit, FILE *out) {
    double mean = histogram->count == 0 ? 0 : (double)histogram->sum / (double)histogram->count;
    fprintf(out, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount",
            "1/(1-Percentile)");
    uint64_t below = 0;
    /* Five lines for each halving of what is left: 0, 10 %, ... 50 %, 55 %, ... 75 %, ... until all
     * values are below. */
    for (double left = 1; below < histogram->count; left /= 2)
        for (int step = 0; step < 5 && below < histogram->count; step++) {
            double part = 1 - left + left / 2 * step / 5;
            uint32_t value = value_at(histogram, rank_of(histogram->count, part), &below);
            if (below < histogram->count)
                fprintf(out, "%12.3f %14.12f %10llu %14.2f\n", value * unit, part,
                        (unsigned long long)below, 1 / (1 - part));
        }
    fprintf(out, "%12.3f %14.12f %10llu\n", histogram->largest * unit, 1.0,
            (unsigned long long)histogram->count);
    fprintf(out, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n", mean * unit,
            histogram->count == 0 ? 0 : deviation(histogram, mean) * unit);
    fprintf(out, "#[Max     = %12.3f, Total count    = %12llu]\n", histogram->largest * unit,
            (unsigned long long)histogram->count);
    fprintf(out, "#[Buckets = %12u, SubBuckets     = %12u]\n", 22u, HISTOGRAM_EXACT);
}
