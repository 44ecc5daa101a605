// boost_queue.cpp - boost::lockfree::spsc_queue in the shared mapping. The slot has the size of
// the message, known at compile time, and slots together hold the capacity asked for: the best case
// for a fixed-slot ring. Messages of mixed sizes get slots that hold the longest of them and copy
// only what they hold.

#include "inlined.h"

#include <boost/lockfree/spsc_queue.hpp>

namespace {

// push() copies what it is given into the queue, and has no other way. What it is given here only
// says where the message is, so that the message itself is written once, as everywhere.
template <size_t Longest> struct mixed_slot {
    size_t size;
    const void *from; // of what is given to push(); a slot in the queue has the bytes
    char bytes[Longest];
    mixed_slot() : size(0), from(nullptr) {
    }
    mixed_slot(const mixed_slot &other) : size(other.size), from(nullptr) {
        memcpy(bytes, other.from, size);
    }
    mixed_slot &operator=(const mixed_slot &) = delete;
};

template <size_t Size, size_t Capacity> struct fixed_queue {
    typedef fixed_slot<Size> slot;
    typedef boost::lockfree::spsc_queue<slot, boost::lockfree::capacity<Capacity / Size>> queue;

    ALWAYS_INLINE int send(void *link, const void *message, size_t) {
        return static_cast<queue *>(link)->push(*static_cast<const slot *>(message)) ? 0 : 1;
    }

    ALWAYS_INLINE int receive(void *link, void *buffer, size_t, size_t *size) {
        *size = Size;
        return static_cast<queue *>(link)->pop(*static_cast<slot *>(buffer)) ? 0 : 1;
    }
};

// The receiver copies out of the slot through consume_one().
template <size_t Longest, size_t Capacity> struct mixed_queue {
    typedef mixed_slot<Longest> slot;
    typedef boost::lockfree::spsc_queue<slot, boost::lockfree::capacity<Capacity / sizeof(slot)>>
        queue;

    static slot outgoing;

    ALWAYS_INLINE int send(void *link, const void *message, size_t size) {
        outgoing.size = size;
        outgoing.from = message;
        return static_cast<queue *>(link)->push(outgoing) ? 0 : 1;
    }

    ALWAYS_INLINE int receive(void *link, void *buffer, size_t, size_t *size) {
        size_t found = static_cast<queue *>(link)->consume_one([=](const slot &message) {
            *size = message.size;
            memcpy(buffer, message.bytes, message.size);
        });
        return found ? 0 : 1;
    }
};
template <size_t Longest, size_t Capacity>
mixed_slot<Longest> mixed_queue<Longest, Capacity>::outgoing;

template <class Queue> bool create(void *link, const struct setup *) {
    new (link) typename Queue::queue;
    return true;
}

template <class Queue> constexpr struct sized of(size_t size, size_t capacity) {
    return {size, capacity, &around<Queue>::loops, create<Queue>};
}

#define FIXED(size) of<fixed_queue<size, CAPACITY>>(size, CAPACITY),
#define ALL_SIZES                                                                                  \
    EACH_SIZE(FIXED)                                                                               \
    of<mixed_queue<MIXED_MAX, CAPACITY>>(SIZE_MIX, CAPACITY),                                      \
        of<mixed_queue<BIMODAL_MAX, CAPACITY>>(SIZE_BIMODAL, CAPACITY)

const struct sized sizes[] = {
#define CAPACITY 65536
    ALL_SIZES,
#undef CAPACITY
#define CAPACITY 262144
    ALL_SIZES,
#undef CAPACITY
#define CAPACITY 1048576
    ALL_SIZES,
    {}};

} // namespace

TRANSPORT(boost, "boost::lockfree::spsc_queue, inlined", .sized = sizes)
