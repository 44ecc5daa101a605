/* transport.h - what the harness knows of a way to carry messages from one process to another.
 *
 * One cell of a table goes: create (still one process) - fork - open in each process, in its role -
 * the loops of an experiment, one in each process - close in each process - destroy. A round trip
 * uses two links, one for each direction. Usable from C and C++.
 */
#ifndef BENCH_TRANSPORT_H
#define BENCH_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SIZE_MIX 0u       /* as a size: 16 to 2047 bytes, evenly spread */
#define SIZE_SMALL_MIX 1u /* as a size: 8 to 64 bytes, evenly spread */
#define SIZE_BIMODAL 2u   /* as a size: nine of ten messages 24 bytes, the tenth 3072 */
#define SIZE_MIN 8u       /* a message carries its serial number */
#define SIZE_MAX_FIXED 32768u

/* Of the messages of that size: whether they differ, the longest, and their mean. */
bool size_varies(size_t size);
size_t size_longest(size_t size);
size_t size_mean(size_t size);
/* Their lengths, in a pseudo-random order that is always the same. */
void size_draw(size_t size, uint16_t *lengths, size_t count);

enum role { SENDER, RECEIVER };

struct run;
struct transport;

struct setup {
    const struct transport *transport;
    size_t size;     /* of each message, in bytes: one of those above or SIZE_MIN..SIZE_MAX_FIXED */
    size_t capacity; /* bytes of queue to have */
    void *memory;    /* zeroed, shared by both processes, page aligned; each link has its own */
    size_t memory_size; /* at least 2 * capacity + 64 KiB */
};

/* What one side of one link counted, as far as its transport does. */
struct counters {
    uint64_t messages;
    uint64_t stalls;     /* calls that found the queue full or empty */
    uint64_t sleeps;     /* waits that went to sleep */
    uint64_t wake_calls; /* system calls made to wake the other side */
};

/* The experiments, see loops.h. 0, or -1 when a message was lost, torn or refused. The rate_ loops
 * serve the open loop too: those of loops.h see in the run which is meant. One that knows nothing
 * of a rate leaves run->timed as it is, and its cells stay empty. */
struct loops {
    int (*rate_send)(struct run *run, void *end);
    int (*rate_receive)(struct run *run, void *end);
    int (*trip_ask)(struct run *run, void *to, void *from);
    int (*trip_answer)(struct run *run, void *from, void *to);
};

/* Loops that are compiled for one size of messages, and for one capacity unless it is 0. */
struct sized {
    size_t size, capacity;
    const struct loops *loops;
    bool (*create)(void *link, const struct setup *setup); /* NULL: that of the transport */
};
#define ANY_SIZE SIZE_MAX /* as a size of the last of them: all others */

struct transport {
    const char *name, *about;
    bool sleeps;      /* its calls wait and may sleep: little CPU time is no sign of disturbance */
    bool polls;       /* in spite of `sleeps`: only a lock in its calls sleeps */
    bool threads;     /* has threads of its own: it is not measured at real-time priority */
    unsigned senders; /* in `throughput`, when there are several: they may share a CPU; else 0 */

    size_t link_size; /* of what the harness allocates for a link; 0: a link is its shared memory */
    /* Before the processes part, with a zeroed link. False, and there is nothing to destroy, when
     * it cannot carry such messages: the cell stays empty. */
    bool (*create)(void *link, const struct setup *setup);
    /* After they parted. 0, or -1 having said why on standard error. NULL, as for the others:
     * there is nothing to do. */
    int (*open)(void *link, enum role role);
    /* What the loops are given in that role. NULL: the link. */
    void *(*end)(void *link, enum role role);
    void (*close)(void *link, enum role role, struct counters *counters);
    /* In the parent, after close; also when open failed. */
    void (*destroy)(void *link);

    const struct loops *loops;
    const struct sized *sized; /* instead, ended by a size without loops: no other is carried */
};

/* Defines one. Those that a program has are listed in transports.h. */
#define TRANSPORT(name_, about_, ...)                                                              \
    const struct transport transport_##name_ = {.name = #name_, .about = (about_), __VA_ARGS__};

#ifdef __cplusplus
}
#endif
#endif
