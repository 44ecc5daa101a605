/* rings.c - see rings.h. */
#include "rings.h"

#include <stdlib.h>

const struct transport *const peers_rings[] = {
#ifdef BENCH_HAVE_BOOST
    &transport_boost,
#endif
#ifdef BENCH_HAVE_CK_RING
    &transport_ck_ring,
#endif
#ifdef BENCH_HAVE_RWQUEUE
    &transport_rwqueue,
#endif
#ifdef BENCH_HAVE_BOOST_MQ
    &transport_boost_mq,
#endif
#ifdef BENCH_HAVE_LIBQB
    &transport_libqb,
#endif
    NULL};

struct sized_link *sized_link(const struct transport *of_size, void *queue) {
    struct sized_link *link = malloc(sizeof *link);
    if (link != NULL)
        *link = (struct sized_link){of_size, queue};
    return link;
}

int sized_rate_send(struct run *run, void *handle) {
    struct sized_link *link = handle;
    return link->of_size->rate_send(run, link->queue);
}

int sized_rate_receive(struct run *run, void *handle) {
    struct sized_link *link = handle;
    return link->of_size->rate_receive(run, link->queue);
}

int sized_trip_ask(struct run *run, void *to, void *from) {
    struct sized_link *link = to, *back = from;
    return link->of_size->trip_ask(run, link->queue, back->queue);
}

int sized_trip_answer(struct run *run, void *from, void *to) {
    struct sized_link *link = from, *back = to;
    return link->of_size->trip_answer(run, link->queue, back->queue);
}
