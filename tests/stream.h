/* stream.h - streams of messages that can be checked: the size and the bytes of each message follow
 * from a seed and its sequence number, so a receiver knows what must come without being told. Sizes
 * are mixed: many small, some of any size, the extremes. */
#ifndef LEAT_TESTS_STREAM_H
#define LEAT_TESTS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The size of a message, 0 to max. */
size_t stream_size(uint64_t seed, uint64_t sequence, size_t max);

/* Writes a message's bytes. Those of 8 bytes and more start with the sequence number. */
void stream_fill(void *bytes, uint64_t sequence, size_t size);

/* Whether these are a message's bytes. */
bool stream_holds(const void *bytes, uint64_t sequence, size_t size);

#endif
