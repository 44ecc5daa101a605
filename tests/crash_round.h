/* crash_round.h - one round of the crash test: a state is built, a victim is killed in the middle
 * of one operation, and those who are left, and those who come after it, must find everything as
 * leat/channel.h promises.
 *
 * All messages of a round are one stream: number n has a size and bytes that follow from n
 * (tests/stream.h), so everybody knows what must come. The first `built` messages are there before
 * the operation; of these `taken` have been received. An operation that sends, sends the `flying`
 * messages behind them; one that receives, takes the next `flying` of them. What goes on
 * afterwards, several times round the ring, has the numbers from LAPS_START on.
 */
#ifndef LEAT_TESTS_CRASH_ROUND_H
#define LEAT_TESTS_CRASH_ROUND_H

#include "crash_step.h"
#include "leat/waitset.h"

#define CRASH_CAPACITY 4096
#define CRASH_LAPS 120 /* messages of up to 300 bytes: five times round the ring */
#define CRASH_LAPS_START 1000
#define CRASH_FLYING_MAX 16
#define CRASH_BUILT_SIZE 56 /* a line each */

/* Who is left beside the victim. */
enum crash_survivor {
    CRASH_RECEIVER,  /* a receiver; the victim is, or was to be, a sender */
    CRASH_SENDER,    /* a sender; the victim is, or was to be, a receiver */
    CRASH_CO_SENDER, /* a receiver, and another of many senders */
    CRASH_NOBODY,
};

struct crash_round;

struct crash_operation {
    const char *name;
    enum crash_survivor survivor;
    /* In the victim. Without `opens` it gets its handle, and builds, before it stops. */
    void (*prepare)(struct crash_round *round);
    void (*perform)(struct crash_round *round);
    /* In a process of its own that is killed before the victim starts. */
    int (*predecessor)(void *round);
    /* Where nobody is left: what must be true afterwards. */
    void (*check)(struct crash_round *round);
    unsigned built, taken, flying;
    size_t sizes[CRASH_FLYING_MAX]; /* of the flying messages */
    bool opens;                     /* the operation itself gets the handle */
    bool asleep; /* the survivor sleeps in a call, or its loop, when the victim acts */
    bool loops;  /* the survivor waits in an event loop; of many senders the other sender does */
    bool late;   /* a surviving receiver looks only after a successor has come */
    bool closes; /* the survivor may be told LEAT_ECLOSED */
    bool unreported; /* the survivor may have nothing to be told: it did not know the victim */
};

struct crash_board {
    harness_word phase, survivor_ready, victim_ready, killed, told, successor_ready, all_sent;
    _Atomic uint64_t killed_at;
    _Atomic int event;     /* what the survivor was told */
    _Atomic uint64_t next; /* number of the next message to come, as the survivor has it */
    bool survived;         /* the victim had finished its operation */
};

struct crash_round {
    const struct crash_operation *operation;
    struct crash_board *board;
    char name[32], path[160];
    leat_sender *tx;
    leat_receiver *rx;
    leat_region *region;
    leat_waitset *waitset; /* of who waits in an event loop, else NULL */
};

/* One round with the victim killed behind its event number `kill_at`; true when that was before the
 * operation's end. Runs in a process of its own: fails by abort. */
bool crash_round_run(struct crash_round *round, unsigned kill_at, struct crash_survey *survey);

/* For the operations. */
size_t crash_size(const struct crash_round *round, uint64_t number);
void crash_send(struct crash_round *round, leat_sender *tx, uint64_t number);
/* Receives one message, which must be this one. */
void crash_receive(struct crash_round *round, leat_receiver *rx, uint64_t number);
/* Whether a message is this one. */
bool crash_is(const struct crash_round *round, const leat_message *message, uint64_t number);
leat_channel_options crash_options(const struct crash_round *round);
/* Everything works for new users, and nothing is left when they have gone. */
void crash_check_fresh(struct crash_round *round);

#endif
