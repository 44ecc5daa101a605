/* clock.h - time; to pause and to fetch, what a loop asks of the processor. Usable from C, C++. */
#ifndef BENCH_CLOCK_H
#define BENCH_CLOCK_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE void relax(void) {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

/* Asks for a line's ownership without waiting for it. __builtin_prefetch asks only to read where
 * the compiler was not told of the processor. */
ALWAYS_INLINE void fetch_for_writing(const void *at) {
#if defined(__x86_64__)
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)at));
#else
    __builtin_prefetch(at, 1);
#endif
}

ALWAYS_INLINE uint64_t clock_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

ALWAYS_INLINE uint64_t now_ns(void) {
    return clock_ns(CLOCK_MONOTONIC);
}

static inline void sleep_ns(uint64_t ns) {
    const struct timespec time = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    nanosleep(&time, NULL);
}

/* The cheapest clock there is, in units of its own: machine.c knows how many make a nanosecond. */
ALWAYS_INLINE uint64_t ticks(void) {
#if defined(__x86_64__)
    return __rdtsc();
#else
    return now_ns();
#endif
}

#endif
