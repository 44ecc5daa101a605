/* transports.h - the transports of `leat bench`, in the order of tables, in groups that options can
 * name. One whose library was not found when the build was configured is not there: a weak
 * reference. */
#ifndef BENCH_TRANSPORTS_H
#define BENCH_TRANSPORTS_H

#include "transport.h"

#define USUAL_TRANSPORTS(X)                                                                        \
    X(leat), X(leat_wait), X(leat_many), X(leat_many_wait), X(leat_place), X(leat_place_wait),     \
        X(leat_inline), X(leat_place_inline), X(leat_deaf), X(leat_senders2), X(leat_senders4),    \
        X(leat_uv), X(pipe)

/* Each ring is configured as its own documentation advises, in one way only. */
#define RING_TRANSPORTS(X) X(boost), X(ck_ring), X(rwqueue), X(boost_mq), X(libqb)

/* Messages or wake-ups go through the kernel. A name without `_wait` is polled: its calls never
 * block and are repeated in the loop that all polled transports share. With `_wait` (and for raw_*
 * and uv_pipe) the calls block, as in an application that leaves the CPU to others. */
#define KERNEL_TRANSPORTS(X)                                                                       \
    X(pipe_wait), X(unix_stream), X(unix_stream_wait), X(unix_seqpacket), X(unix_seqpacket_wait),  \
        X(posix_mq), X(posix_mq_wait), X(raw_futex), X(raw_eventfd), X(raw_epoll), X(zeromq),      \
        X(zeromq_wait), X(nng), X(nng_wait), X(uv_pipe), X(iceoryx)

#define WEAK(name) transport_##name __attribute__((weak))

#ifdef __cplusplus
extern "C" {
#endif
extern const struct transport USUAL_TRANSPORTS(WEAK), RING_TRANSPORTS(WEAK),
    KERNEL_TRANSPORTS(WEAK);
#ifdef __cplusplus
}
#endif
#endif
