/* libqb_ring.c - libqb's ring buffer between two processes, without its semaphore.
 *
 * What its documentation advises, and what is done here: one process creates the ring, the other
 * opens it by name with the same size; one only writes and the other only reads (SHARED_PROCESS);
 * without OVERWRITE, a full ring refuses. NO_SEMAPHORE is for those who need no wait: no timeout is
 * kept, and both sides poll with atomic operations alone. Messages are of any length; each has a
 * header of eight bytes in the ring.
 *
 * Without its semaphore the reader takes a word 0xa1a1a1a1 where the next header would be for a
 * message, also when it is what an older message left there. Here only a message with that serial
 * number, the 2711724449th, holds it.
 *
 * The ring lives in two files of /dev/shm, mapped twice in a row. It is created and opened before
 * the processes part, and the creator's handle closed at once: that removes the files, while the
 * mapping of the other handle stays, in both processes. So a run that is interrupted leaves nothing
 * behind. */
#include "../loops.h"
#include "../transports.h"

#include <errno.h>
#include <qb/qbrb.h>
#include <stdio.h>
#include <unistd.h>

#define FLAGS (QB_RB_FLAG_SHARED_PROCESS | QB_RB_FLAG_NO_SEMAPHORE)
#define ROUNDING 64u /* libqb adds less than this and rounds up to whole pages */
#define HEADROOM 12u /* it wants so much room beside a message */

static bool qb_create(void *link, const struct setup *setup) {
    static unsigned serial;
    char name[48];
    size_t size = setup->capacity - ROUNDING;
    if (size_longest(setup->size) + HEADROOM > size)
        return false;
    snprintf(name, sizeof name, "leat_bench.%ld.%u", (long)getpid(), serial++);
    qb_ringbuffer_t *created = qb_rb_open(name, size, FLAGS | QB_RB_FLAG_CREATE, 0);
    qb_ringbuffer_t *ring = created != NULL ? qb_rb_open(name, size, FLAGS, 0) : NULL;
    if (ring == NULL)
        perror("libqb: qb_rb_open");
    qb_rb_close(created);
    *(qb_ringbuffer_t **)link = ring;
    return ring != NULL;
}

static void *qb_ring(void *link, enum role role) {
    (void)role;
    return *(qb_ringbuffer_t **)link;
}

static void qb_destroy(void *link) {
    qb_rb_close(qb_ring(link, SENDER));
}

static int qb_send(void *ring, const void *message, size_t size) {
    ssize_t sent = qb_rb_chunk_write(ring, message, size);
    return sent == (ssize_t)size ? 0 : sent == -EAGAIN ? 1 : -1;
}

static int qb_receive(void *ring, void *buffer, size_t capacity, size_t *size) {
    ssize_t got = qb_rb_chunk_read(ring, buffer, capacity, 0);
    if (got < 0)
        return got == -ETIMEDOUT ? 1 : -1;
    *size = (size_t)got;
    return 0;
}

DEFINE_LOOPS(qb, qb_send, qb_receive)
TRANSPORT(libqb, "libqb's ring buffer without semaphore, polled",
          .link_size = sizeof(qb_ringbuffer_t *), .create = qb_create, .end = qb_ring,
          .destroy = qb_destroy, .loops = &qb_loops)
