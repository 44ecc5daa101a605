/* handover.h - how fast one process can hand records to another through a ring, and what helps: a
 * part of `limits`.
 *
 * Records of one size in a ring of 64 KiB; each begins with a word that says that it is complete,
 * on a line of its own (so there is nothing here of a library's work but the copies). A processor
 * family has one of two walls: the sender's wait for lines that the receiver has only read, which
 * the receiver's wiping takes away, or the sender's wait for the ownership of one line after the
 * other, which fetching ahead takes away. */
#ifndef BENCH_HANDOVER_H
#define BENCH_HANDOVER_H

#include <stddef.h>
#include <stdint.h>

enum handover_way {
    PLAIN,
    WIPE,  /* the receiver zeroes the first word of each line that it has read */
    AHEAD, /* the sender fetches the record after next for writing */
    WIPE_AHEAD,
    HANDOVER_WAYS
};
#define HANDOVER_SIZES 4u
extern const size_t handover_sizes[HANDOVER_SIZES];
extern const char *const handover_names[HANDOVER_WAYS]; /* "plain", ... */
extern const char *const handover_texts[HANDOVER_WAYS];

#define HANDOVER_RING ((size_t)64 << 10)

/* Shared by the two processes. */
struct handover {
    _Alignas(4096) uint64_t released;
    _Alignas(4096) unsigned char ring[HANDOVER_RING];
};

/* By the two processes, with the same size and way. Millions of records a second, 0 when the other
 * process failed or was late, or a record was wrong. handover_receive: 0 or -1. Before, the caller
 * zeroes all that is shared. */
double handover_send(struct handover *shared, size_t size, enum handover_way mode);
int handover_receive(struct handover *shared, size_t size, enum handover_way mode);

#endif
