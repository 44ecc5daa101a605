/* lib/wake/spin.h - polling for a while before a sleep, for as long as that has paid.
 *
 * A spin saves the waiter a sleep, and the peer a system call, if what is awaited comes during it.
 * So spins get longer after a spin that paid, or after a sleep that a spin within the limit would
 * have saved; and shorter after a sleep that no spin would have saved.
 *
 * A spin can also keep the peer from publishing: when waiter and peer share one CPU, however many
 * CPUs the machine has. There the peer runs as soon as the waiter sleeps. A spin *hindered* the
 * peer if it lasted longer than the peer then took to publish, once the waiter slept. A few such
 * spins in a row suspend spinning for 32 waits. Each further suspension is four times as long,
 * until a spin pays. A thread that is restricted to one CPU starts with spinning suspended; its
 * peer may be on another CPU, so it tries later. A spin that ends because this thread was
 * preempted, while the peer ran, has not paid.
 */
#ifndef LEAT_LIB_WAKE_SPIN_H
#define LEAT_LIB_WAKE_SPIN_H

#include "lib/os/os.h"

/* All zero: no spin. With `ns` alone: spins of that length, which do not adapt. */
struct leat__spin {
    uint64_t ns;         /* the next spin: from 1 us to the maximum; 0 while suspended */
    uint64_t ns_max;     /* the longest */
    uint64_t began_ns;   /* the present wait */
    uint64_t spun_ns;    /* in the present wait, before its first sleep */
    uint64_t polls;      /* of the last spin, those that found nothing */
    unsigned hindering;  /* spins that hindered the peer, since the last one that paid */
    uint32_t suspended;  /* waits to come that do not spin */
    uint32_t suspension; /* how many that will be the next time */
};

/* Spins of at most ns_max, which adapt. */
void leat__spin_adapt(struct leat__spin *spin, uint64_t ns_max);

/* A wait begins. */
static inline void leat__spin_begin(struct leat__spin *spin, uint64_t now_ns) {
    spin->began_ns = now_ns;
    spin->spun_ns = spin->ns;
}

/* Polls until `ready` or until_ns; whether it is ready. *now_ns: the time, before and after. */
bool leat__spin(struct leat__spin *spin, bool (*ready)(void *context), void *context,
                uint64_t *now_ns, uint64_t until_ns);

/* Instead of a sleep, for waits that never sleep: the same, and lets other threads run if it is to
 * yield. */
bool leat__spin_on(struct leat__spin *spin, bool (*ready)(void *context), void *context,
                   uint64_t now_ns, uint64_t until_ns, bool yields);

/* A sleep that began at slept_ns is over. What was waited for came at came_ns. */
void leat__spin_slept(struct leat__spin *spin, uint64_t slept_ns, uint64_t came_ns);

/* A wait that began at began_ns is over, in a caller's own loop. Its sleep began at slept_ns, and
 * what was waited for came at came_ns; slept_ns 0: it had no sleep. */
void leat__spin_learn(struct leat__spin *spin, uint64_t began_ns, uint64_t slept_ns,
                      uint64_t came_ns);

#endif
