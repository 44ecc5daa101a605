/* loops.h - the two experiments, as loops around a transport's calls.
 *
 * Rate: one process sends as fast as it can for a while, the other receives and checks; the receiver's clock counts.
 * Round trip: one asks, the other answers; the asker's clock counts.
 *
 * Every message carries its serial number in the first and, from 16 bytes on, in the last eight bytes; the receiver checks
 * both and the length, and the last message carries STOP. Whoever finds the queue full or empty waits in wait_a_moment,
 * the same for every transport (unless its calls wait by themselves).
 *
 * The loops are inlined with the calls of one transport (a constant `struct calls`): leat_send is called as an application
 * calls it, a header-only queue is compiled into the loop. With a `struct calls` known only at run time, they call through
 * its pointers. Usable from C and C++. */
#ifndef BENCH_LOOPS_H
#define BENCH_LOOPS_H

#include "clock.h"
#include "transport.h"

#include <string.h>

#define LENGTHS 4096u /* lengths are drawn beforehand and repeat after so many messages */
#define WARM_UP 16384u /* least messages before the rate counts, so that caches, pages and predictors are warm */
#define WARM_UP_TRIPS 4096u
#define CLOCK_EVERY 256u /* messages between two looks at the clock */
#define BATCH 16u
#define STOP UINT64_MAX

/* One cell, as either process sees it. */
struct run {
    uint64_t duration_ns;
    uint64_t warm_up; /* messages before the rate counts */
    const uint16_t *lengths;
    unsigned char *buffer; /* of this process, for BATCH messages */
    size_t buffer_size;
    uint64_t *failed; /* shared: one side has given up */
    uint64_t count, elapsed_ns; /* results of rate_receive */
    uint32_t *samples;          /* results of trip_ask, in ticks */
    size_t sample_count, sample_max;
};

/* 0 = done, 1 = full or empty, -1 = failed for good. */
struct calls {
    int (*send)(void *link, const void *message, size_t size);
    int (*receive)(void *link, void *buffer, size_t capacity, size_t *size);
    void (*flush)(void *link); /* sends what `send` has withheld; NULL when it never does */
};

ALWAYS_INLINE int wait_a_moment(const struct run *run)
{
    relax();
    return __atomic_load_n(run->failed, __ATOMIC_RELAXED) ? -1 : 0;
}

ALWAYS_INLINE void stamp(unsigned char *message, size_t size, uint64_t serial)
{
    memcpy(message, &serial, 8);
    if (size >= 16) /* shorter ones have no room for two */
        memcpy(message + size - 8, &serial, 8);
}

ALWAYS_INLINE int stamped(const unsigned char *message, size_t size, uint64_t serial)
{
    uint64_t first, last = serial;
    memcpy(&first, message, 8);
    if (size >= 16)
        memcpy(&last, message + size - 8, 8);
    return first == serial && last == serial;
}

ALWAYS_INLINE int send_one(const struct run *run, const struct calls *calls, void *link, const void *message, size_t size)
{
    int result;
    while ((result = calls->send(link, message, size)) > 0)
        if (wait_a_moment(run) != 0)
            return -1;
    return result;
}

ALWAYS_INLINE int receive_one(const struct run *run, const struct calls *calls, void *link, size_t *size)
{
    int result;
    while ((result = calls->receive(link, run->buffer, run->buffer_size, size)) > 0)
        if (wait_a_moment(run) != 0)
            return -1;
    return result;
}

/* Starts the receiver's clock once it is warm, and says at which message. */
ALWAYS_INLINE void start_clock(const struct run *run, uint64_t serial, uint64_t *first, uint64_t *start)
{
    if (*start == 0 && serial >= run->warm_up) {
        *first = serial;
        *start = now_ns();
    }
}

ALWAYS_INLINE void stop_clock(struct run *run, uint64_t serial, uint64_t first, uint64_t start)
{
    run->count = start != 0 ? serial - first : 0;
    run->elapsed_ns = start != 0 ? now_ns() - start : 0;
}

ALWAYS_INLINE int rate_send_loop(struct run *run, const struct calls *calls, void *link)
{
    const struct run r = *run;
    uint64_t end = now_ns() + r.duration_ns;
    for (uint64_t serial = 0;; serial++) {
        size_t size = r.lengths[serial % LENGTHS];
        int last = serial % CLOCK_EVERY == CLOCK_EVERY - 1 && now_ns() >= end;
        stamp(r.buffer, size, last ? STOP : serial);
        if (send_one(&r, calls, link, r.buffer, size) != 0)
            return -1;
        if (last)
            break;
    }
    if (calls->flush)
        calls->flush(link);
    return 0;
}

ALWAYS_INLINE int rate_receive_loop(struct run *run, const struct calls *calls, void *link)
{
    const struct run r = *run;
    uint64_t serial, first = 0, start = 0;
    for (serial = 0;; serial++) {
        size_t size = 0, expected = r.lengths[serial % LENGTHS];
        if (receive_one(&r, calls, link, &size) != 0 || size != expected)
            return -1;
        if (!stamped(r.buffer, size, serial)) {
            if (!stamped(r.buffer, size, STOP))
                return -1;
            break;
        }
        start_clock(&r, serial, &first, &start);
    }
    stop_clock(run, serial, first, start);
    return 0;
}

ALWAYS_INLINE int trip_ask_loop(struct run *run, const struct calls *calls, void *to, void *from)
{
    const struct run r = *run;
    uint64_t end = now_ns() + r.duration_ns, before = 0;
    size_t count = 0;
    for (uint64_t serial = 0;; serial++) {
        size_t got = 0, size = r.lengths[serial % LENGTHS];
        int last = serial % CLOCK_EVERY == CLOCK_EVERY - 1 && now_ns() >= end;
        stamp(r.buffer, size, last ? STOP : serial);
        if (serial % CLOCK_EVERY == 0)
            before = ticks();
        if (send_one(&r, calls, to, r.buffer, size) != 0)
            return -1;
        if (calls->flush)
            calls->flush(to);
        if (last)
            break;
        if (receive_one(&r, calls, from, &got) != 0 || got != size || !stamped(r.buffer, size, serial))
            return -1;
        uint64_t after = ticks();
        if (serial >= WARM_UP_TRIPS && count < r.sample_max)
            r.samples[count++] = (uint32_t)(after - before);
        before = after;
    }
    run->sample_count = count;
    return 0;
}

ALWAYS_INLINE int trip_answer_loop(struct run *run, const struct calls *calls, void *from, void *to)
{
    const struct run r = *run;
    for (uint64_t serial = 0;; serial++) {
        size_t size = 0;
        if (receive_one(&r, calls, from, &size) != 0 || size != r.lengths[serial % LENGTHS])
            return -1;
        if (stamped(r.buffer, size, STOP))
            return 0;
        if (!stamped(r.buffer, size, serial) || send_one(&r, calls, to, r.buffer, size) != 0)
            return -1;
        if (calls->flush)
            calls->flush(to);
    }
}

/* Defines name_rate_send and so on around the constant `struct calls` at hand; LOOPS lists them for a struct transport. */
#define DEFINE_RATES(name, calls)                                                                                     \
    static int name##_rate_send(struct run *run, void *link) { return rate_send_loop(run, &calls, link); }            \
    static int name##_rate_receive(struct run *run, void *link) { return rate_receive_loop(run, &calls, link); }
#define DEFINE_TRIPS(name, calls)                                                                                     \
    static int name##_trip_ask(struct run *run, void *to, void *from)                                                 \
    {                                                                                                                 \
        return trip_ask_loop(run, &calls, to, from);                                                                  \
    }                                                                                                                 \
    static int name##_trip_answer(struct run *run, void *from, void *to)                                              \
    {                                                                                                                 \
        return trip_answer_loop(run, &calls, from, to);                                                               \
    }
#define DEFINE_LOOPS(name, calls) DEFINE_RATES(name, calls) DEFINE_TRIPS(name, calls)
#define LOOPS(name)                                                                                                   \
    .rate_send = name##_rate_send, .rate_receive = name##_rate_receive, .trip_ask = name##_trip_ask,                  \
    .trip_answer = name##_trip_answer

#endif
