/* rings.h - rings and queues of other libraries, as transports.
 *
 * Each is configured as its own documentation advises, in one way only; every message is copied in
 * and copied out. Which are there depends on what was found when the build was configured, see
 * rings.cmake. Usable from C and C++. */
#ifndef BENCH_PEERS_RINGS_H
#define BENCH_PEERS_RINGS_H

#include "../loops.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Those compiled in, and NULL at the end. */
extern const struct transport *const peers_rings[];

extern const struct transport transport_boost;
extern const struct transport transport_ck_ring;
extern const struct transport transport_rwqueue;
extern const struct transport transport_boost_mq;
extern const struct transport transport_libqb;

/* The link of a transport whose slots have a size known at compile time. Each size has loops of its
 * own, inlined around the queue; `of_size` has no more than these. */
struct sized_link {
    const struct transport *of_size;
    void *queue; /* the link of `of_size` */
};

/* NULL when there is no memory for it. Destroyed with free(). */
struct sized_link *sized_link(const struct transport *of_size, void *queue);

/* LOOPS(sized): hand the whole experiment on to the loops of that size, so that it costs one call
 * per cell. */
int sized_rate_send(struct run *run, void *link);
int sized_rate_receive(struct run *run, void *link);
int sized_trip_ask(struct run *run, void *to, void *from);
int sized_trip_answer(struct run *run, void *from, void *to);

/* Slots for messages of differing sizes hold the longest of them. */
#define MIXED_MAX 2048u
#define BIMODAL_MAX 3072u

#ifdef __cplusplus
}
#endif
#endif
