/* stream.c - see stream.h. */
#include "stream.h"

#include <string.h>

#include "harness.h"

#define BLOCK 4096

size_t stream_size(uint64_t seed, uint64_t sequence, size_t max) {
    uint64_t state = seed + sequence * 0x2545f4914f6cdd1du, random = harness_random(&state);
    size_t small = max < 300 ? max : 300;
    switch (random % 16) {
    case 0:
        return 0;
    case 1:
        return max;
    case 2:
    case 3:
        return (size_t)((random >> 8) % (max + 1));
    default:
        return (size_t)((random >> 8) % (small + 1));
    }
}

/* Bytes without a short period, twice in a row so that a block can start anywhere in the first. */
static const unsigned char *pattern(uint64_t sequence) {
    static unsigned char bytes[2 * BLOCK];
    if (bytes[0] == 0) {
        uint64_t state = 1;
        for (size_t i = 0; i < BLOCK; i++)
            /* never zero */
            bytes[i] = bytes[i + BLOCK] = (unsigned char)(harness_random(&state) | 1);
    }
    return bytes + sequence * 61 % BLOCK;
}

static size_t number_size(size_t size) {
    return size < 8 ? 0 : 8;
}

void stream_fill(void *bytes, uint64_t sequence, size_t size) {
    const unsigned char *from = pattern(sequence);
    size_t done = number_size(size);
    memcpy(bytes, &sequence, done);
    for (size_t part; done < size; done += part) {
        part = size - done < BLOCK ? size - done : BLOCK;
        memcpy((char *)bytes + done, from, part);
    }
}

bool stream_holds(const void *bytes, uint64_t sequence, size_t size) {
    const unsigned char *from = pattern(sequence);
    size_t done = number_size(size);
    bool same = memcmp(bytes, &sequence, done) == 0;
    for (size_t part; same && done < size; done += part) {
        part = size - done < BLOCK ? size - done : BLOCK;
        same = memcmp((const char *)bytes + done, from, part) == 0;
    }
    return same;
}
