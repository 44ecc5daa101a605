/* loop_sides.h - senders and receivers that live in event loops, as processes that can be killed,
 * stopped and replaced at any moment.
 *
 * There is one channel and one stream: message n has a size and bytes that follow from n
 * (tests/stream.h). What each side has done is on a board that all processes share, so that a
 * successor knows what its predecessor left, and the parent what everybody was told. A side fails
 * by abort when a message is missing, changed or comes again although it was released, and when
 * events of its peer does not take turns.
 *
 * Nothing here looks at a clock or the board in order to go on, except the ticks of a sender that
 * trickles: who sleeps is woken by its loop's descriptor or not at all.
 */
#ifndef LEAT_TESTS_LOOP_SIDES_H
#define LEAT_TESTS_LOOP_SIDES_H

#include "harness.h"

#define LOOP_CAPACITY 8192
#define LOOP_MESSAGE_MAX 600

enum loop_pace {
    LOOP_FLOOD,   /* as much as there is room for: who sleeps is the sender */
    LOOP_TRICKLE, /* a few messages each millisecond: both sleep in between */
    LOOP_QUIET,   /* nothing: both sleep */
    LOOP_PACES
};

/* What a side was told of its peers: they came, and died, in turn. */
struct loop_told {
    harness_word came, died;
    _Atomic uint64_t died_at_ns;
};

struct loop_board {
    harness_word sender_ready, receiver_ready;
    harness_word ending;        /* a sender with a receiver closes, in order */
    _Atomic uint32_t pace;      /* of a sender that starts, or whose receiver comes */
    _Atomic uint64_t attempted; /* messages below it may have been sent */
    _Atomic uint64_t committed; /* messages below it were */
    _Atomic uint64_t released;  /* messages below it were released by a receiver */
    _Atomic uint64_t handed;    /* messages below it were handed to a receiver */
    _Atomic uint64_t repeated;
    struct loop_told sender_told, receiver_told;
    uint64_t seed;
};

/* Of the test that runs; set before the first process starts. */
extern struct loop_board *loop_board;

/* For harness_spawn. A sender goes on at `handed`: all that was sent before has been received. A
 * receiver must be given the first message that was not released. Both end with 0 when `ending` was
 * set: the sender as soon as it has a receiver, the receiver behind the last message. */
int loop_send_uv(void *context);
int loop_send_waitset(void *context);
int loop_receive_uv(void *context);
int loop_receive_waitset(void *context);

#endif
