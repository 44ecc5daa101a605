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
#include "../loops.h"
#include "../transports.h"

#include <ck_ring.h>

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
    DEFINE_LOOPS(ck_##bytes_, send_##bytes_, receive_##bytes_)

/* ck_ring only reads the message, but its typed function does not say so. */
static inline void *writable(const void *message) {
    return (void *)(uintptr_t)message;
}

EACH_SIZE(DEFINE_SIZE)

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
    DEFINE_LOOPS(ck_##kind_, send_##kind_, receive_##kind_)

DEFINE_MIXED(mixed, MIXED_MAX)
DEFINE_MIXED(bimodal, BIMODAL_MAX)

/* As many slots as the capacity has room for and as are a power of two. Mixed slots are a few bytes
 * longer than what they count for here: otherwise a power of two of them would hold only half the
 * capacity. */
static bool ck_create(void *link, const struct setup *setup) {
    struct ring *ring = link;
    size_t longest = setup->size == SIZE_MIX ? MIXED_MAX : size_longest(setup->size);
    size_t room = setup->capacity / longest, count = 4;
    if (room < count)
        return false;
    while (2 * count <= room)
        count *= 2;
    ck_ring_init(&ring->ck, (unsigned)count);
    return true;
}

#define SIZED(bytes_) {bytes_, 0, &ck_##bytes_##_loops, NULL},
static const struct sized sizes[] = {EACH_SIZE(SIZED){SIZE_MIX, 0, &ck_mixed_loops, NULL},
                                     {SIZE_BIMODAL, 0, &ck_bimodal_loops, NULL},
                                     {0, 0, NULL, NULL}};

TRANSPORT(ck_ring, "Concurrency Kit's ck_ring, by value, inlined", .create = ck_create,
          .sized = sizes)
