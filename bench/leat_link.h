/* leat_link.h - a channel as a link of the harness, with default options but for the capacity: what
 * all of leat's transports have in common. */
#ifndef BENCH_LEAT_LINK_H
#define BENCH_LEAT_LINK_H

#include "loops.h"
#include "transports.h"

#include <leat/leat.h>

struct leat_link {
    char name[64];
    leat_channel_options options;
    unsigned senders; /* of many: how many there are, and where they meet */
    struct meeting *meeting;
    leat_sender *sender;     /* in the process that sends */
    leat_receiver *receiver; /* in the one that receives */
};

/* `.create` is that too, unless a transport has more to prepare. Destroying removes the name as
 * well, which is still there when a process was killed or gave up. */
#define CHANNEL                                                                                    \
    .link_size = sizeof(struct leat_link), .open = leat_link_open, .close = leat_link_close,       \
    .destroy = leat_link_destroy

bool leat_link_create(void *link, const struct setup *setup);
int leat_link_open(void *link, enum role role);
void leat_link_close(void *link, enum role role, struct counters *counters);
void leat_link_destroy(void *link);
struct counters leat_counters(const leat_sender *sender, const leat_receiver *receiver);

/* Says which call failed and why. -1. */
int leat_link_complain(const char *call, int code) __attribute__((noinline, cold));

/* A result of leat as one of struct calls. */
ALWAYS_INLINE int outcome(const char *call, int code) {
    if (__builtin_expect(code == LEAT_OK, 1))
        return 0;
    return code == LEAT_EAGAIN ? 1 : leat_link_complain(call, code);
}

/* leat_send and leat_recv as struct calls, which wait until then. */
#define DEFINE_COPY(name, deadline_ns)                                                             \
    static int name##_send(void *link, const void *message, size_t size) {                         \
        return outcome("leat_send",                                                                \
                       leat_send(((struct leat_link *)link)->sender, message, size, deadline_ns)); \
    }                                                                                              \
    static int name##_receive(void *link, void *buffer, size_t capacity, size_t *size) {           \
        return outcome("leat_recv", leat_recv(((struct leat_link *)link)->receiver, buffer,        \
                                              capacity, size, deadline_ns));                       \
    }

#endif
