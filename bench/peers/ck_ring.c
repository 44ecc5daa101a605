/* ck_ring.c - Concurrency Kit's ck_ring between one sender and one receiver, in the shared mapping.
 *
 * What its manual advises, and what is done here: the calls for one producer and one consumer
 * (`spsc`), which need no atomic read-modify-write; messages kept by value, through the typed
 * functions that CK_RING_PROTOTYPE makes, where the plain ones keep pointers; as many slots as a
 * power of two says, at least four, of which one always stays free. The ring and its slots are
 * given separately, so that the two can lie in memory that several address spaces share.
 *
 * Each size has a ring of its own, inlined into the loop. Messages of mixed sizes get slots that
 * hold the longest: the sender fills its slot in place (reserve, commit) with only what the message
 * holds; the receiver has no such call and copies the whole slot, straight into the buffer it was
 * given. */
#include "rings.h"

#include <ck_ring.h>
#include <stdlib.h>

/* At the start of the shared memory. The slots begin on a cache line of their own. */
struct ring {
    struct ck_ring ck;
    _Alignas(CK_MD_CACHELINE) unsigned char slots[];
};

#define DEFINE_SIZE(bytes_)                                                                        \
    struct message_##bytes_ {                                                                      \
        unsigned char bytes[bytes_];                                                               \
    };                                                                                             \
    CK_RING_PROTOTYPE(of_##bytes_, message_##bytes_)                                               \
                                                                                                   \
    ALWAYS_INLINE int send_##bytes_(void *queue, const void *message, size_t size) {               \
        struct ring *ring = queue;                                                                 \
        (void)size;                                                                                \
        return CK_RING_ENQUEUE_SPSC(of_##bytes_, &ring->ck, (void *)ring->slots,                   \
                                    writable(message))                                             \
                   ? 0                                                                             \
                   : 1;                                                                            \
    }                                                                                              \
                                                                                                   \
    ALWAYS_INLINE int receive_##bytes_(void *queue, void *buffer, size_t capacity, size_t *size) { \
        struct ring *ring = queue;                                                                 \
        (void)capacity;                                                                            \
        *size = bytes_;                                                                            \
        return CK_RING_DEQUEUE_SPSC(of_##bytes_, &ring->ck, (void *)ring->slots, buffer) ? 0 : 1;  \
    }                                                                                              \
                                                                                                   \
    static const struct calls calls_##bytes_ = {send_##bytes_, receive_##bytes_};                  \
    DEFINE_LOOPS(ck_##bytes_, calls_##bytes_)                                                      \
    static const struct transport ck_##bytes_ = {.name = "ck_ring", LOOPS(ck_##bytes_)};

/* ck_ring only reads the message, but its typed function does not say so. */
static inline void *writable(const void *message) {
    return (void *)(uintptr_t)message;
}

DEFINE_SIZE(8)
DEFINE_SIZE(64)
DEFINE_SIZE(256)
DEFINE_SIZE(1024)
DEFINE_SIZE(4096)
DEFINE_SIZE(12000)

/* The size comes last, so that a whole slot can be received where the message is wanted. */
#define DEFINE_MIXED(kind_, longest_)                                                              \
    struct kind_ {                                                                                 \
        unsigned char bytes[longest_];                                                             \
        size_t size;                                                                               \
    };                                                                                             \
    CK_RING_PROTOTYPE(of_##kind_, kind_)                                                           \
                                                                                                   \
    static int send_##kind_(void *queue, const void *message, size_t size) {                       \
        struct ring *ring = queue;                                                                 \
        struct kind_ *slot =                                                                       \
            ck_ring_enqueue_reserve_spsc_of_##kind_(&ring->ck, (void *)ring->slots);               \
        if (slot == NULL)                                                                          \
            return 1;                                                                              \
        memcpy(slot->bytes, message, size);                                                        \
        slot->size = size;                                                                         \
        ck_ring_enqueue_commit_spsc(&ring->ck);                                                    \
        return 0;                                                                                  \
    }                                                                                              \
                                                                                                   \
    static int receive_##kind_(void *queue, void *buffer, size_t capacity, size_t *size) {         \
        struct ring *ring = queue;                                                                 \
        struct kind_ *slot = buffer;                                                               \
        if (capacity < sizeof *slot)                                                               \
            return -1;                                                                             \
        if (!CK_RING_DEQUEUE_SPSC(of_##kind_, &ring->ck, (void *)ring->slots, slot))               \
            return 1;                                                                              \
        *size = slot->size;                                                                        \
        return 0;                                                                                  \
    }                                                                                              \
                                                                                                   \
    static const struct calls calls_##kind_ = {send_##kind_, receive_##kind_};                     \
    DEFINE_LOOPS(ck_##kind_, calls_##kind_)                                                        \
    static const struct transport ck_##kind_ = {.name = "ck_ring", LOOPS(ck_##kind_)};

DEFINE_MIXED(mixed, MIXED_MAX)
DEFINE_MIXED(bimodal, BIMODAL_MAX)

static const struct transport *find_size(size_t size) {
    switch (size) {
    case SIZE_MIX:
        return &ck_mixed;
    case SIZE_BIMODAL:
        return &ck_bimodal;
    case 8:
        return &ck_8;
    case 64:
        return &ck_64;
    case 256:
        return &ck_256;
    case 1024:
        return &ck_1024;
    case 4096:
        return &ck_4096;
    case 12000:
        return &ck_12000;
    default:
        return NULL;
    }
}

/* As many slots as the capacity has room for and as are a power of two. Mixed slots are a few bytes
 * longer than what they count for here: otherwise a power of two of them would hold only half the
 * capacity. */
static void *ck_create(const struct setup *setup) {
    const struct transport *of_size = find_size(setup->size);
    size_t longest = setup->size == SIZE_MIX ? MIXED_MAX : size_longest(setup->size);
    size_t room = setup->capacity / longest, count = 4;
    if (of_size == NULL || room < count)
        return NULL;
    while (2 * count <= room)
        count *= 2;
    struct ring *ring = setup->memory;
    ck_ring_init(&ring->ck, (unsigned)count);
    return sized_link(of_size, ring);
}

const struct transport transport_ck_ring = {.name = "ck_ring",
                                            .about = "Concurrency Kit's ck_ring, by value, inlined",
                                            .create = ck_create,
                                            .destroy = free,
                                            LOOPS(sized)};
