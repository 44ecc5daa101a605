/* posix_mq.c - a POSIX message queue.
 *
 * mq_overview(7): a queue is as long as its creator asks, up to msg_max messages of msgsize_max
 * bytes, 10 and 8192 as a rule. The superuser may exceed both; we do not, so that the figures are
 * those that any user gets. */
#include "kernel.h"
#include "machine.h"

#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <unistd.h>

#define LIMITS "/proc/sys/fs/mqueue/"

struct mq_link {
    mqd_t queue[2]; /* by role, as each end's flags are its own */
};

/* 0, or -1 when messages are too large for any queue. */
static int choose_length(const struct setup *setup, struct mq_attr *attributes) {
    size_t size = size_longest(setup->size);
    long wanted = (long)(setup->capacity / size),
         longest = (long)number_in(LIMITS "msg_max", 0, 10);
    attributes->mq_msgsize = (long)size;
    attributes->mq_maxmsg = wanted < 1 ? 1 : wanted < longest ? wanted : longest;
    return attributes->mq_msgsize <= number_in(LIMITS "msgsize_max", 0, 8192) ? 0 : -1;
}

static void mq_destroy(void *handle) {
    struct mq_link *link = handle;
    for (int role = SENDER; role <= RECEIVER; role++)
        if (link->queue[role] != (mqd_t)-1)
            mq_close(link->queue[role]);
}

static bool mq_create(void *handle, const struct setup *setup) {
    struct mq_link *link = handle;
    static unsigned serial;
    char name[64];
    int flags = O_CLOEXEC | (setup->transport->sleeps ? 0 : O_NONBLOCK);
    struct mq_attr attributes = {0};
    if (choose_length(setup, &attributes) != 0)
        return false;
    snprintf(name, sizeof name, "/leat_bench-%ld-%u", (long)getpid(), serial++);
    link->queue[SENDER] = mq_open(name, O_WRONLY | O_CREAT | O_EXCL | flags, 0600, &attributes);
    link->queue[RECEIVER] = mq_open(name, O_RDONLY | flags);
    if (link->queue[SENDER] != (mqd_t)-1)
        mq_unlink(name); /* both ends are open: the name has served */
    if (link->queue[SENDER] != (mqd_t)-1 && link->queue[RECEIVER] != (mqd_t)-1)
        return true;
    perror("mq_open");
    mq_destroy(link);
    return false;
}

static int mq_send_one(void *handle, const void *message, size_t size) {
    struct mq_link *link = handle;
    return mq_send(link->queue[SENDER], message, size, 0) == 0 ? 0 : try_again_or_fail("mq_send");
}

static int mq_receive_one(void *handle, void *buffer, size_t capacity, size_t *size) {
    struct mq_link *link = handle;
    ssize_t got = mq_receive(link->queue[RECEIVER], buffer, capacity, NULL);
    *size = got > 0 ? (size_t)got : 0;
    return got >= 0 ? 0 : try_again_or_fail("mq_receive");
}

DEFINE_LOOPS(mq, mq_send_one, mq_receive_one)

#define QUEUE                                                                                      \
    .link_size = sizeof(struct mq_link), .create = mq_create, .destroy = mq_destroy,               \
    .loops = &mq_loops
TRANSPORT(posix_mq, "a POSIX message queue, polled", QUEUE)
TRANSPORT(posix_mq_wait, "the same, blocking", .sleeps = true, QUEUE)
