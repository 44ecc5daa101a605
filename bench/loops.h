/* loops.h - the experiments, as loops around a transport's calls.
 *
 * Rate: one process sends as fast as it can for a while, the other receives and checks; the
 * receiver's clock counts. Round trip: one asks, the other answers; the asker's clock counts. With
 * a pause between trips, both sides are asleep when one begins, if the transport sleeps at all.
 * Timed: messages are due at fixed times, whatever became of those before, and one that could not
 * be sent in time counts from when it was due. Its stamp is that time instead of a serial number.
 *
 * Every message carries its serial number in the first and, from 16 bytes on, in the last eight
 * bytes; the receiver checks both and the length, and the last message carries STOP. Whoever finds
 * the queue full or empty waits in wait_a_moment, the same for every transport (unless its calls
 * wait by themselves).
 *
 * The loops are inlined with the calls of one transport (a constant `struct calls`): leat_send is
 * called as an application calls it, a header-only queue is compiled into the loop. With a `struct
 * calls` known only at run time, they call through its pointers. Usable from C and C++. */
#ifndef BENCH_LOOPS_H
#define BENCH_LOOPS_H

#include "transport.h"

#include <string.h>
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

#define LENGTHS 4096u /* lengths are drawn beforehand and repeat after so many messages */
/* least messages before the rate counts, so that caches, pages and predictors are warm */
#define WARM_UP 16384u
#define WARM_UP_TRIPS 4096u
#define WARM_UP_PAUSED 8u
#define PAUSED_MIN 32u   /* least round trips with pauses: on a busy machine each may take long */
#define CLOCK_EVERY 256u /* messages between two looks at the clock */
#define BATCH 16u
#define STOP UINT64_MAX

/* One cell, as either process sees it. */
struct run {
    uint64_t duration_ns;
    uint64_t warm_up;       /* messages before the rate counts */
    uint64_t warm_up_trips; /* round trips before they count */
    const uint16_t *lengths;
    unsigned char *buffer; /* of this process, for BATCH messages */
    size_t buffer_size;
    uint64_t *state;            /* shared: see enum state */
    uint64_t count, elapsed_ns; /* results of a receiver without, and of a sender with a rate */
    /* results: trip_ask in ticks, a timed receiver in ns */
    uint32_t *samples;
    size_t sample_count, sample_max;
    uint64_t pause_ns; /* between round trips; 0: none */
    uint64_t rate;     /* of the timed loops: messages a second; 0: as fast as it can */
    uint64_t idle_ns;  /* result of a timed sender: spent waiting until a message was due */
    int timed;         /* result of a timed sender: the rate was kept to */
};

/* 0 = done, 1 = full or empty, -1 = failed for good. */
struct calls {
    int (*send)(void *link, const void *message, size_t size);
    int (*receive)(void *link, void *buffer, size_t capacity, size_t *size);
};

/* What the two processes of a cell share about its course. */
enum state {
    RUNNING,
    POLITE, /* the same where figures mean nothing: polling gives the CPU to others */
    WRONG,  /* a side has given up */
    LATE,   /* that too, only because the CPUs were not to be had before the deadline */
};

/* What polling does in a state other than RUNNING. The scheduler prefers a process that has slept,
 * so a cell ends soon beside many busy processes. -1: a side has failed. */
__attribute__((noinline, cold, unused)) static int give_way(uint64_t state) {
    if (state > POLITE)
        return -1;
    sleep_ns(20000);
    return 0;
}

ALWAYS_INLINE int wait_a_moment(const struct run *run) {
    relax();
    uint64_t state = __atomic_load_n(run->state, __ATOMIC_RELAXED);
    return __builtin_expect(state == RUNNING, 1) ? 0 : give_way(state);
}

ALWAYS_INLINE void stamp(unsigned char *message, size_t size, uint64_t serial) {
    memcpy(message, &serial, 8);
    if (size >= 16) /* shorter ones have no room for two */
        memcpy(message + size - 8, &serial, 8);
}

ALWAYS_INLINE int stamped(const unsigned char *message, size_t size, uint64_t serial) {
    uint64_t first, last = serial;
    memcpy(&first, message, 8);
    if (size >= 16)
        memcpy(&last, message + size - 8, 8);
    return first == serial && last == serial;
}

ALWAYS_INLINE int send_one(const struct run *run, const struct calls *calls, void *link,
                           const void *message, size_t size) {
    int result;
    while ((result = calls->send(link, message, size)) > 0)
        if (wait_a_moment(run) != 0)
            return -1;
    return result;
}

ALWAYS_INLINE int receive_one(const struct run *run, const struct calls *calls, void *link,
                              size_t *size) {
    int result;
    while ((result = calls->receive(link, run->buffer, run->buffer_size, size)) > 0)
        if (wait_a_moment(run) != 0)
            return -1;
    return result;
}

/* Starts the receiver's clock once it is warm, and says at which message. */
ALWAYS_INLINE void start_clock(const struct run *run, uint64_t serial, uint64_t *first,
                               uint64_t *start) {
    if (*start == 0 && serial >= run->warm_up) {
        *first = serial;
        *start = now_ns();
    }
}

ALWAYS_INLINE void stop_clock(struct run *run, uint64_t serial, uint64_t first, uint64_t start) {
    run->count = start != 0 ? serial - first : 0;
    run->elapsed_ns = start != 0 ? now_ns() - start : 0;
}

/* Is this round trip the last? Looks at the clock now and then; when there is a pause anyhow,
 * always but for the first. */
ALWAYS_INLINE int trips_end(const struct run *run, uint64_t serial, uint64_t end) {
    int look = run->pause_ns != 0 ? serial >= PAUSED_MIN : serial % CLOCK_EVERY == CLOCK_EVERY - 1;
    return look && now_ns() >= end;
}

/* A trip's clock starts where that of the trip before stopped, unless there was something in
 * between. */
ALWAYS_INLINE uint64_t trip_start(const struct run *run, uint64_t serial, uint64_t before) {
    if (run->pause_ns != 0)
        sleep_ns(run->pause_ns);
    return serial % CLOCK_EVERY == 0 || run->pause_ns != 0 ? ticks() : before;
}

ALWAYS_INLINE int trip_ask_loop(struct run *run, const struct calls *calls, void *to, void *from) {
    const struct run r = *run;
    uint64_t end = now_ns() + r.duration_ns, before = 0;
    size_t count = 0;
    for (uint64_t serial = 0;; serial++) {
        size_t got = 0, size = r.lengths[serial % LENGTHS];
        int last = trips_end(&r, serial, end);
        stamp(r.buffer, size, last ? STOP : serial);
        before = trip_start(&r, serial, before);
        if (send_one(&r, calls, to, r.buffer, size) != 0)
            return -1;
        if (last)
            break;
        if (receive_one(&r, calls, from, &got) != 0 || got != size ||
            !stamped(r.buffer, size, serial))
            return -1;
        uint64_t after = ticks();
        if (serial >= r.warm_up_trips && count < r.sample_max)
            r.samples[count++] = (uint32_t)(after - before);
        before = after;
    }
    run->sample_count = count;
    return 0;
}

ALWAYS_INLINE int trip_answer_loop(struct run *run, const struct calls *calls, void *from,
                                   void *to) {
    const struct run r = *run;
    for (uint64_t serial = 0;; serial++) {
        size_t size = 0;
        if (receive_one(&r, calls, from, &size) != 0 || size != r.lengths[serial % LENGTHS])
            return -1;
        if (stamped(r.buffer, size, STOP))
            return 0;
        if (!stamped(r.buffer, size, serial) || send_one(&r, calls, to, r.buffer, size) != 0)
            return -1;
    }
}

/* When a message is due, in ns from the start: no error adds up, however long it goes on. */
ALWAYS_INLINE uint64_t due_ns(uint64_t rate, uint64_t serial) {
    return serial / rate * 1000000000u + serial % rate * 1000000000u / rate;
}

/* Waits, without sleeping, which would be late; *now is the time after it. -1: the other side has
 * failed. */
ALWAYS_INLINE int wait_until_due(struct run *run, uint64_t due, uint64_t *now) {
    uint64_t before = *now;
    if (before >= due)
        return 0;
    while ((*now = now_ns()) < due)
        if (wait_a_moment(run) != 0)
            return -1;
    run->idle_ns += *now - before;
    return 0;
}

ALWAYS_INLINE int send_stamped(const struct run *run, const struct calls *calls, void *link,
                               uint64_t serial, uint64_t mark) {
    size_t size = run->lengths[serial % LENGTHS];
    stamp(run->buffer, size, mark);
    return send_one(run, calls, link, run->buffer, size);
}

/* A sender that cannot keep up sends until the time is over, and its rate shows it. */
ALWAYS_INLINE int timed_send_loop(struct run *run, const struct calls *calls, void *link) {
    struct run r = *run;
    uint64_t start = now_ns(), end = start + r.duration_ns, now = start, serial = 0;
    for (;; serial++) {
        uint64_t due = start + due_ns(r.rate, serial);
        if (due >= end || now >= end)
            break;
        if (wait_until_due(&r, due, &now) != 0 || send_stamped(&r, calls, link, serial, due) != 0)
            return -1;
        now = now_ns();
    }
    run->count = serial;
    run->elapsed_ns = now >= end ? now - start : r.duration_ns;
    run->idle_ns = r.idle_ns;
    run->timed = 1;
    return send_stamped(&r, calls, link, serial, STOP);
}

ALWAYS_INLINE int timed_receive_loop(struct run *run, const struct calls *calls, void *link) {
    const struct run r = *run;
    uint64_t first = 0;
    size_t count = 0;
    for (uint64_t serial = 0;; serial++) {
        size_t size = 0;
        if (receive_one(&r, calls, link, &size) != 0 || size != r.lengths[serial % LENGTHS])
            return -1;
        uint64_t now = now_ns(), due;
        if (stamped(r.buffer, size, STOP))
            break;
        if (serial == 0)
            memcpy(&first, r.buffer, 8);
        due = first + due_ns(r.rate, serial);
        if (!stamped(r.buffer, size, due))
            return -1;
        /* the first tenth warms up */
        if (due - first >= r.duration_ns / 10 && count < r.sample_max)
            r.samples[count++] = now < due                ? 0
                                 : now - due > UINT32_MAX ? UINT32_MAX
                                                          : (uint32_t)(now - due);
    }
    run->sample_count = count;
    return 0;
}

/* What is sent and received as fast as it can be, unless the run has a rate. */
ALWAYS_INLINE int rate_send_loop(struct run *run, const struct calls *calls, void *link) {
    if (run->rate != 0)
        return timed_send_loop(run, calls, link);
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
    return 0;
}

ALWAYS_INLINE int rate_receive_loop(struct run *run, const struct calls *calls, void *link) {
    if (run->rate != 0)
        return timed_receive_loop(run, calls, link);
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

/* Define name_loops, a struct loops around two calls, which are inlined; or only a pair of it. */
#define DEFINE_RATES(name, send, receive)                                                          \
    static const struct calls name##_rate_calls = {send, receive};                                 \
    static int name##_rate_send(struct run *run, void *link) {                                     \
        return rate_send_loop(run, &name##_rate_calls, link);                                      \
    }                                                                                              \
    static int name##_rate_receive(struct run *run, void *link) {                                  \
        return rate_receive_loop(run, &name##_rate_calls, link);                                   \
    }
#define DEFINE_TRIPS(name, send, receive)                                                          \
    static const struct calls name##_trip_calls = {send, receive};                                 \
    static int name##_trip_ask(struct run *run, void *to, void *from) {                            \
        return trip_ask_loop(run, &name##_trip_calls, to, from);                                   \
    }                                                                                              \
    static int name##_trip_answer(struct run *run, void *from, void *to) {                         \
        return trip_answer_loop(run, &name##_trip_calls, from, to);                                \
    }
#define LIST_LOOPS(name)                                                                           \
    static const struct loops name##_loops = {name##_rate_send, name##_rate_receive,               \
                                              name##_trip_ask, name##_trip_answer};
#define DEFINE_LOOPS(name, send, receive)                                                          \
    DEFINE_RATES(name, send, receive)                                                              \
    DEFINE_TRIPS(name, send, receive)                                                              \
    LIST_LOOPS(name)

/* The sizes of slots that are compiled in; slots for messages of differing sizes hold the longest
 * of them. */
#define EACH_SIZE(X) X(8) X(64) X(256) X(1024) X(4096) X(12000)
#define MIXED_MAX 2048u
#define BIMODAL_MAX 3072u

#endif
