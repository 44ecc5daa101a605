/* transport_leat.h - leat's channel, through its public functions, with default options but for the
 * capacity. */
#ifndef BENCH_TRANSPORT_LEAT_H
#define BENCH_TRANSPORT_LEAT_H

#include "transport.h"

/* Polled with LEAT_NOW in the loop that all transports share. */
extern const struct transport transport_leat; /* leat_send, leat_recv: one call per message */
/* leat_send_many, leat_recv_many: batches of 16 */
extern const struct transport transport_leat_many;
/* written after leat_reserve, read after leat_peek, no copies */
extern const struct transport transport_leat_place;

/* The same with LEAT_FOREVER: leat spins, sleeps and rings as it does for an application. */
extern const struct transport transport_leat_wait;
extern const struct transport transport_leat_place_inline; /* leat_place by leat/inline.h */
extern const struct transport transport_leat_inline; /* leat/inline.h: compiled into the loop */
extern const struct transport transport_leat_deaf;   /* the same without sleep support */
extern const struct transport transport_leat_many_wait;
extern const struct transport transport_leat_place_wait;

/* Several senders, each a process, and one receiver. */
extern const struct transport transport_leat_senders2;
extern const struct transport transport_leat_senders4;

extern const struct transport transport_leat_uv; /* BENCH_LOOP: in a libuv loop on each side */

#endif
