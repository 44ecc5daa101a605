/* leat_link.h - a channel as a link of the harness: what all of leat's transports have in
 * common. */
#ifndef BENCH_LEAT_LINK_H
#define BENCH_LEAT_LINK_H

#include "loops.h"

#include <leat/leat.h>

struct leat_link {
    char name[64];
    leat_channel_options options;
    const struct transport *of_size; /* inline: the loops compiled for the size */
    unsigned senders;                /* of many: how many there are, and where they meet */
    struct meeting *meeting;
    leat_sender *sender;     /* in the process that sends */
    leat_receiver *receiver; /* in the one that receives */
};

#define CHANNEL                                                                                    \
    .create = leat_link_create, .open = leat_link_open, .close = leat_link_close,                  \
    .destroy = leat_link_destroy

void *leat_link_create(const struct setup *setup);
int leat_link_open(void *link, enum role role);
void leat_link_close(void *link, enum role role, struct counters *counters);
/* and its name, which is still there when a process was killed or gave up */
void leat_link_destroy(void *link);

/* Says which call failed and why. -1. */
int leat_link_complain(const char *call, int code) __attribute__((noinline, cold));

/* A result of leat as one of struct calls. */
ALWAYS_INLINE int outcome(const char *call, int code) {
    if (__builtin_expect(code == LEAT_OK, 1))
        return 0;
    return code == LEAT_EAGAIN ? 1 : leat_link_complain(call, code);
}

#endif
