// boost_queue.cpp - boost::lockfree::spsc_queue in the shared mapping. The slot has the size of
// the message, known at compile time, and slots together hold the capacity asked for: the best case
// for a fixed-slot ring. Messages of mixed sizes get slots that hold the longest of them and copy
// only what they hold.

#include "rings.h"

#include <boost/lockfree/spsc_queue.hpp>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

template <size_t Size> struct fixed_slot { char bytes[Size]; };

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

// The loops around a queue, which is inlined into them.
template <class Queue> struct around {
    static constexpr struct calls calls = {Queue::send, Queue::receive};

    static int rate_send(struct run *run, void *link) {
        return rate_send_loop(run, &calls, link);
    }
    static int rate_receive(struct run *run, void *link) {
        return rate_receive_loop(run, &calls, link);
    }
    static int trip_ask(struct run *run, void *to, void *from) {
        return trip_ask_loop(run, &calls, to, from);
    }
    static int trip_answer(struct run *run, void *from, void *to) {
        return trip_answer_loop(run, &calls, from, to);
    }
    static void *create(const struct setup *setup) {
        static const struct transport of_size = {.name = "boost",
                                                 .rate_send = rate_send,
                                                 .rate_receive = rate_receive,
                                                 .trip_ask = trip_ask,
                                                 .trip_answer = trip_answer};
        return sized_link(&of_size, new (setup->memory) typename Queue::queue);
    }
};

template <size_t Capacity> void *create_size(const struct setup *setup) {
    switch (setup->size) {
    case SIZE_MIX:
        return around<mixed_queue<MIXED_MAX, Capacity>>::create(setup);
    case SIZE_BIMODAL:
        return around<mixed_queue<BIMODAL_MAX, Capacity>>::create(setup);
    case 8:
        return around<fixed_queue<8, Capacity>>::create(setup);
    case 64:
        return around<fixed_queue<64, Capacity>>::create(setup);
    case 256:
        return around<fixed_queue<256, Capacity>>::create(setup);
    case 1024:
        return around<fixed_queue<1024, Capacity>>::create(setup);
    case 4096:
        return around<fixed_queue<4096, Capacity>>::create(setup);
    case 12000:
        return around<fixed_queue<12000, Capacity>>::create(setup);
    default:
        return nullptr;
    }
}

void *create(const struct setup *setup) {
    switch (setup->capacity) {
    case 65536:
        return create_size<65536>(setup);
    case 262144:
        return create_size<262144>(setup);
    case 1048576:
        return create_size<1048576>(setup);
    default:
        return nullptr;
    }
}

} // namespace

extern "C" const struct transport transport_boost = {.name = "boost",
                                                     .about =
                                                         "boost::lockfree::spsc_queue, inlined",
                                                     .create = create,
                                                     .destroy = free,
                                                     LOOPS(sized)};
