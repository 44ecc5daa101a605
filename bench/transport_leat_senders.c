/* transport_leat_senders.c - two or four senders, each a process, of one channel ("MPSC").
 *
 * In `throughput` the harness's sender starts the others, each with a handle and, where there are
 * enough, a CPU of its own; on two CPUs all senders share one. They begin together. Every message
 * says which sender's it is and its number among them: the receiver checks that each sender's come
 * in order, all of them, until that sender's last. It counts until the first of them ends. In all
 * other experiments there is one sender, of a channel that may have many. */
#include "leat_link.h"
#include "machine.h"

#include <sched.h>

#define SENDERS_MAX 4u
#define TURN_NS 1000000u /* about what the ordinary scheduler gives */
#define SENDER_SHIFT 56
#define LAST (((uint64_t)1 << SENDER_SHIFT) - 1)

/* In the memory of the link. */
struct meeting {
    uint64_t ready, done; /* senders besides the first */
    uint64_t end_ns;      /* they begin when this is known */
};

DEFINE_COPY(many, LEAT_FOREVER)
DEFINE_TRIPS(many, many_send, many_receive)

/* Real-time processes of one priority that share a CPU do not take turns by themselves. */
static void give_turn(uint64_t now, uint64_t *turn_end_ns) {
    if (!realtime_is_on() || machine_other_cpu(1) != machine.cpus[0] || now < *turn_end_ns)
        return;
    if (*turn_end_ns != 0)
        sched_yield();
    *turn_end_ns = now_ns() + TURN_NS;
}

static int send_as(const struct run *run, struct leat_link *link, uint64_t number,
                   uint64_t end_ns) {
    const struct run r = *run;
    uint64_t turn_end_ns = 0;
    for (uint64_t serial = 0;; serial++) {
        size_t size = r.lengths[serial % LENGTHS];
        bool last = false;
        if (serial % CLOCK_EVERY == CLOCK_EVERY - 1) {
            uint64_t now = now_ns();
            last = now >= end_ns;
            give_turn(now, &turn_end_ns);
        }
        stamp(r.buffer, size, number << SENDER_SHIFT | (last ? LAST : serial));
        if (send_one(&r, &many_trip_calls, link, r.buffer, size) != 0)
            return -1;
        if (last)
            return 0;
    }
}

/* One of the other senders, from its beginning to its end. */
static int send_besides(const struct run *run, struct leat_link *link, uint64_t number) {
    struct meeting *meeting = link->meeting;
    struct counters ignored;
    if (leat_link_open(link, SENDER) != 0)
        return -1;
    __atomic_fetch_add(&meeting->ready, 1, __ATOMIC_RELEASE);
    if (sleep_until(&meeting->end_ns, 1) != 0 || send_as(run, link, number, meeting->end_ns) != 0)
        return -1;
    leat_link_close(link, SENDER, &ignored);
    __atomic_fetch_add(&meeting->done, 1, __ATOMIC_RELEASE);
    return 0;
}

static int many_rate_send(struct run *run, void *handle) {
    struct leat_link *link = handle;
    struct meeting *meeting = link->meeting;
    unsigned others = link->senders - 1;
    if (run->rate != 0)
        return rate_send_loop(run, &many_trip_calls, link);
    for (unsigned i = 1; i <= others; i++)
        if (in_new_child(machine_other_cpu(i)))
            end_child(send_besides(run, link, i));
    if (sleep_until(&meeting->ready, others) != 0)
        return -1;
    uint64_t end_ns = now_ns() + run->duration_ns;
    __atomic_store_n(&meeting->end_ns, end_ns, __ATOMIC_RELEASE);
    if (send_as(run, link, 0, end_ns) != 0)
        return -1;
    return sleep_until(&meeting->done, others);
}

/* Checks one message against what is next from its sender: 0, 1 when it is that sender's last, -1
 * when it is wrong. */
ALWAYS_INLINE int check_one_of_many(const struct run *run, unsigned senders, size_t size,
                                    uint64_t next[SENDERS_MAX]) {
    uint64_t mark;
    memcpy(&mark, run->buffer, 8);
    uint64_t number = mark >> SENDER_SHIFT;
    if (number >= senders || size != run->lengths[next[number] % LENGTHS] ||
        !stamped(run->buffer, size, mark))
        return -1;
    if ((mark & LAST) == LAST)
        return 1;
    return (mark & LAST) == next[number]++ ? 0 : -1;
}

static int many_rate_receive(struct run *run, void *handle) {
    struct leat_link *link = handle;
    const struct run r = *run;
    uint64_t next[SENDERS_MAX] = {0}, first = 0, start = 0, serial = 0;
    if (run->rate != 0)
        return rate_receive_loop(run, &many_trip_calls, link);
    for (unsigned ended = 0; ended < link->senders; serial++) {
        size_t size = 0;
        if (receive_one(&r, &many_trip_calls, link, &size) != 0)
            return -1;
        int result = check_one_of_many(&r, link->senders, size, next);
        if (result < 0)
            return -1;
        if (result > 0 && ++ended == 1)
            stop_clock(run, serial, first, start);
        start_clock(&r, serial, &first, &start);
    }
    return 0;
}

static bool many_create(void *handle, const struct setup *setup) {
    struct leat_link *link = handle;
    link->options.many_senders = true;
    link->senders = setup->transport->senders;
    link->meeting = setup->memory;
    return leat_link_create(link, setup);
}

LIST_LOOPS(many)

#define MANY CHANNEL, .sleeps = true, .create = many_create, .loops = &many_loops
TRANSPORT(leat_senders2, "leat_wait from two processes into one channel", MANY, .senders = 2)
TRANSPORT(leat_senders4, "the same from four", MANY, .senders = 4)
