/* transport_leat.c - leat's channel, through its public functions: polled with LEAT_NOW in the loop
 * that all transports share, and with LEAT_FOREVER, so that leat spins, sleeps and wakes as it does
 * for an application. The loops for batches are here, as no other transport has such calls; they
 * stamp, check and wait as those of loops.h do. */
#include "leat_link.h"

#include <leat/inline.h>

#include <stdio.h>
#include <unistd.h>

bool leat_link_create(void *handle, const struct setup *setup) {
    static unsigned serial;
    struct leat_link *link = handle;
    snprintf(link->name, sizeof link->name, "leat_bench-%ld-%u", (long)getpid(), serial++);
    link->options.capacity = setup->capacity;
    return size_longest(setup->size) <= setup->capacity / 2 - 72;
}

int leat_link_complain(const char *call, int code) {
    fprintf(stderr, "\n%s: %s (%s) %s\n", call, leat_error_name(code), leat_error_cause(code),
            leat_error_detail());
    return -1;
}

int leat_link_open(void *handle, enum role role) {
    struct leat_link *link = handle;
    int code = role == SENDER ? leat_sender_open(&link->sender, link->name, &link->options)
                              : leat_receiver_open(&link->receiver, link->name, &link->options);
    return code == LEAT_OK ? 0 : leat_link_complain("open", code);
}

struct counters leat_counters(const leat_sender *sender, const leat_receiver *receiver) {
    leat_statistics statistics;
    if (sender != NULL)
        leat_sender_statistics(sender, &statistics);
    else
        leat_receiver_statistics(receiver, &statistics);
    return (struct counters){.messages = statistics.messages,
                             .stalls = statistics.stalls,
                             .sleeps = statistics.sleeps,
                             .wake_calls = statistics.wake_calls};
}

void leat_link_close(void *handle, enum role role, struct counters *counters) {
    struct leat_link *link = handle;
    *counters = leat_counters(link->sender, link->receiver);
    if (role == SENDER)
        leat_sender_close(link->sender);
    else
        leat_receiver_close(link->receiver);
}

void leat_link_destroy(void *handle) {
    struct leat_link *link = handle;
    int code = leat_unlink(link->name, link->options.scope);
    if (code != LEAT_OK && code != LEAT_ENOENT)
        leat_link_complain("leat_unlink", code);
}

/* --- One call per message --------------------------------------------------------------------- */

DEFINE_COPY(now, LEAT_NOW)
DEFINE_COPY(wait, LEAT_FOREVER)
DEFINE_LOOPS(now, now_send, now_receive)
DEFINE_LOOPS(wait, wait_send, wait_receive)

/* --- Batches ---------------------------------------------------------------------------------- */

/* A batch's messages lie one behind the other, both where they are made and where they are
 * received. A batch is no larger than this, or it would leave the cache next to the core, in which
 * the one message of the other loops stays. */
#define BATCH_BYTES ((size_t)16 << 10)

/* Sends all of the batch, in as many calls as it takes. */
ALWAYS_INLINE int send_batch(const struct run *run, leat_sender *sender,
                             const leat_message *messages, size_t count, uint64_t deadline_ns) {
    for (size_t done = 0; done < count;) {
        size_t sent = 0;
        int result = outcome("leat_send_many", leat_send_many(sender, messages + done, count - done,
                                                              &sent, deadline_ns));
        done += sent;
        if (result < 0 || (result > 0 && wait_a_moment(run) != 0))
            return -1;
    }
    return 0;
}

/* Room for one message at least. */
ALWAYS_INLINE size_t batch_bytes(const struct run *run) {
    return run->lengths[0] > BATCH_BYTES ? run->lengths[0] : BATCH_BYTES;
}

ALWAYS_INLINE int receive_batch(const struct run *run, leat_receiver *receiver,
                                leat_message *messages, size_t *count, uint64_t deadline_ns) {
    int result;
    while ((result =
                outcome("leat_recv_many", leat_recv_many(receiver, run->buffer, batch_bytes(run),
                                                         messages, BATCH, count, deadline_ns))) > 0)
        if (wait_a_moment(run) != 0)
            return -1;
    return result;
}

/* Makes the next messages: BATCH of them, or fewer that take BATCH_BYTES. Returns how many. */
ALWAYS_INLINE size_t make_batch(const struct run *run, leat_message *messages, uint64_t serial) {
    unsigned char *at = run->buffer;
    size_t count = 0;
    for (; count < BATCH; count++, serial++) {
        size_t size = run->lengths[serial % LENGTHS];
        if (count != 0 && (size_t)(at - run->buffer) + size > BATCH_BYTES)
            break;
        stamp(at, size, serial);
        messages[count] = (leat_message){at, size};
        at += (size + 7) & ~(size_t)7;
    }
    return count;
}

ALWAYS_INLINE int batch_send_loop(const struct run *run, struct leat_link *link,
                                  uint64_t deadline_ns) {
    const struct run r = *run;
    uint64_t end = now_ns() + r.duration_ns, serial = 0, look = CLOCK_EVERY;
    for (bool last = false; !last;) {
        leat_message messages[BATCH];
        size_t count = make_batch(&r, messages, serial);
        serial += count;
        if (serial >= look) {
            look = serial + CLOCK_EVERY;
            last = now_ns() >= end;
        }
        if (last)
            stamp((unsigned char *)(uintptr_t)messages[count - 1].data, messages[count - 1].size,
                  STOP);
        if (send_batch(&r, link->sender, messages, count, deadline_ns) != 0)
            return -1;
    }
    return 0;
}

ALWAYS_INLINE int batch_receive_loop(struct run *run, struct leat_link *link,
                                     uint64_t deadline_ns) {
    const struct run r = *run;
    uint64_t serial = 0, first = 0, start = 0;
    for (;;) {
        leat_message messages[BATCH];
        size_t count = 0;
        if (receive_batch(&r, link->receiver, messages, &count, deadline_ns) != 0)
            return -1;
        for (size_t i = 0; i < count; i++, serial++) {
            if (messages[i].size != r.lengths[serial % LENGTHS])
                return -1;
            if (stamped(messages[i].data, messages[i].size, serial))
                continue;
            stop_clock(run, serial, first, start);
            return stamped(messages[i].data, messages[i].size, STOP) ? 0 : -1;
        }
        start_clock(&r, serial, &first, &start);
    }
}

/* A round trip has one message under way, a batch of one; and so has the open loop. */
#define DEFINE_BATCHES(name, deadline_ns)                                                          \
    static int name##_send(void *link, const void *message, size_t size) {                         \
        leat_message one = {message, size};                                                        \
        size_t sent;                                                                               \
        return outcome("leat_send_many", leat_send_many(((struct leat_link *)link)->sender, &one,  \
                                                        1, &sent, deadline_ns));                   \
    }                                                                                              \
    static int name##_receive(void *link, void *buffer, size_t capacity, size_t *size) {           \
        leat_message one = {NULL, 0};                                                              \
        size_t count;                                                                              \
        int result =                                                                               \
            outcome("leat_recv_many", leat_recv_many(((struct leat_link *)link)->receiver, buffer, \
                                                     capacity, &one, 1, &count, deadline_ns));     \
        *size = one.size;                                                                          \
        return result;                                                                             \
    }                                                                                              \
    DEFINE_TRIPS(name, name##_send, name##_receive)                                                \
    static int name##_rate_send(struct run *run, void *link) {                                     \
        return run->rate != 0 ? rate_send_loop(run, &name##_trip_calls, link)                      \
                              : batch_send_loop(run, link, deadline_ns);                           \
    }                                                                                              \
    static int name##_rate_receive(struct run *run, void *link) {                                  \
        return run->rate != 0 ? rate_receive_loop(run, &name##_trip_calls, link)                   \
                              : batch_receive_loop(run, link, deadline_ns);                        \
    }                                                                                              \
    LIST_LOOPS(name)

DEFINE_BATCHES(batch_now, LEAT_NOW)
DEFINE_BATCHES(batch_wait, LEAT_FOREVER)

/* --- In place --------------------------------------------------------------------------------- */

/* The sender writes the message where it will stay: once, from where those of all other transports
 * are copied, and in the way in which leat_send copies it: what is compared is the calls. */
ALWAYS_INLINE int place_send(void *handle, const void *message, size_t size, uint64_t deadline_ns) {
    struct leat_link *link = handle;
    void *data;
    int result = outcome("leat_reserve", leat_reserve(link->sender, size, &data, deadline_ns));
    if (result != 0)
        return result;
    leat__copy_for(link->sender, data, message, size);
    return outcome("leat_commit", leat_commit(link->sender, size));
}

/* The receiver reads all of the message where it is, once, as leat_recv does: a loop over its words
 * took up to 1.6 times as long as the copy out of the ring that it is compared with. */
ALWAYS_INLINE int place_receive(void *handle, void *buffer, size_t *size, uint64_t deadline_ns) {
    struct leat_link *link = handle;
    leat_message message;
    int result = outcome("leat_peek", leat_peek(link->receiver, &message, deadline_ns));
    if (result != 0)
        return result;
    const unsigned char *at = message.data;
    if (message.size < 8)
        return -1;
    *size = message.size;
    leat__copy_for(link->receiver, buffer, at, message.size);
    return outcome("leat_release", leat_release(link->receiver, 1));
}

#define DEFINE_PLACE(name, deadline_ns)                                                            \
    static int name##_send(void *link, const void *message, size_t size) {                         \
        return place_send(link, message, size, deadline_ns);                                       \
    }                                                                                              \
    static int name##_receive(void *link, void *buffer, size_t capacity, size_t *size) {           \
        (void)capacity; /* as large as the largest message */                                      \
        return place_receive(link, buffer, size, deadline_ns);                                     \
    }                                                                                              \
    DEFINE_LOOPS(name, name##_send, name##_receive)

DEFINE_PLACE(place_now, LEAT_NOW)
DEFINE_PLACE(place_wait, LEAT_FOREVER)

/* --- The transports --------------------------------------------------------------------------- */

#define LEAT(loops_) CHANNEL, .create = leat_link_create, .loops = &loops_
#define WAITING "the same, with leat's own waiting"

TRANSPORT(leat, "leat_send, leat_recv, polled", LEAT(now_loops))
TRANSPORT(leat_wait, WAITING, LEAT(wait_loops), .sleeps = true)
TRANSPORT(leat_many, "leat_send_many, leat_recv_many in batches of 16, polled",
          LEAT(batch_now_loops))
TRANSPORT(leat_many_wait, WAITING, LEAT(batch_wait_loops), .sleeps = true)
TRANSPORT(leat_place, "leat_reserve, leat_commit, leat_peek, leat_release, polled",
          LEAT(place_now_loops))
TRANSPORT(leat_place_wait, WAITING, LEAT(place_wait_loops), .sleeps = true)
