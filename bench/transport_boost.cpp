// transport_boost.cpp - boost::lockfree::spsc_queue in the shared mapping. The slot has the size of
// the message, known at compile time, and slots together hold the capacity asked for: the best case
// for a fixed-slot ring. Messages of mixed sizes get slots that hold the longest of them and copy
// only what they hold.

#include "loops.h"

#include <boost/lockfree/spsc_queue.hpp>
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

// The loops around a queue, inlined into them or called once per message.
struct loops {
    void (*construct)(void *memory);
    int (*rate_send)(struct run *, void *);
    int (*rate_receive)(struct run *, void *);
    int (*trip_ask)(struct run *, void *, void *);
    int (*trip_answer)(struct run *, void *, void *);
};

template <class Queue> struct inlined {
    static int send(void *link, const void *message, size_t size) {
        return Queue::send(link, message, size);
    }
    static int receive(void *link, void *buffer, size_t capacity, size_t *size) {
        return Queue::receive(link, buffer, capacity, size);
    }
};

template <class Queue> struct called {
    NOINLINE int send(void *link, const void *message, size_t size) {
        return Queue::send(link, message, size);
    }
    NOINLINE int receive(void *link, void *buffer, size_t capacity, size_t *size) {
        return Queue::receive(link, buffer, capacity, size);
    }
};

template <class Queue, template <class> class Way> struct around {
    static constexpr struct calls calls = {Way<Queue>::send, Way<Queue>::receive, nullptr};

    static void construct(void *memory) {
        new (memory) typename Queue::queue;
    }
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
    static constexpr loops all = {construct, rate_send, rate_receive, trip_ask, trip_answer};
};

template <size_t Capacity, template <class> class Way> const loops *find_size(size_t size) {
    switch (size) {
    case SIZE_MIX:
        return &around<mixed_queue<2048, Capacity>, Way>::all;
    case SIZE_BIMODAL:
        return &around<mixed_queue<3072, Capacity>, Way>::all;
    case 8:
        return &around<fixed_queue<8, Capacity>, Way>::all;
    case 16:
        return &around<fixed_queue<16, Capacity>, Way>::all;
    case 32:
        return &around<fixed_queue<32, Capacity>, Way>::all;
    case 56:
        return &around<fixed_queue<56, Capacity>, Way>::all;
    case 64:
        return &around<fixed_queue<64, Capacity>, Way>::all;
    case 96:
        return &around<fixed_queue<96, Capacity>, Way>::all;
    case 200:
        return &around<fixed_queue<200, Capacity>, Way>::all;
    case 256:
        return &around<fixed_queue<256, Capacity>, Way>::all;
    case 1024:
        return &around<fixed_queue<1024, Capacity>, Way>::all;
    case 4096:
        return &around<fixed_queue<4096, Capacity>, Way>::all;
    case 12000:
        return &around<fixed_queue<12000, Capacity>, Way>::all;
    default:
        return nullptr;
    }
}

template <template <class> class Way> const loops *find(size_t size, size_t capacity) {
    switch (capacity) {
    case 65536:
        return find_size<65536, Way>(size);
    case 262144:
        return find_size<262144, Way>(size);
    case 1048576:
        return find_size<1048576, Way>(size);
    default:
        return nullptr;
    }
}

struct boost_link {
    const loops *around;
    void *queue;
};

template <template <class> class Way> void *boost_create(const struct setup *setup) {
    const loops *around = find<Way>(setup->size, setup->capacity);
    if (around == nullptr)
        return nullptr;
    around->construct(setup->memory);
    return new boost_link{around, setup->memory};
}

void boost_destroy(void *handle) {
    delete static_cast<boost_link *>(handle);
}

int boost_rate_send(struct run *run, void *handle) {
    boost_link *link = static_cast<boost_link *>(handle);
    return link->around->rate_send(run, link->queue);
}

int boost_rate_receive(struct run *run, void *handle) {
    boost_link *link = static_cast<boost_link *>(handle);
    return link->around->rate_receive(run, link->queue);
}

int boost_trip_ask(struct run *run, void *to, void *from) {
    boost_link *link = static_cast<boost_link *>(to);
    return link->around->trip_ask(run, link->queue, static_cast<boost_link *>(from)->queue);
}

int boost_trip_answer(struct run *run, void *from, void *to) {
    boost_link *link = static_cast<boost_link *>(from);
    return link->around->trip_answer(run, link->queue, static_cast<boost_link *>(to)->queue);
}

} // namespace

extern "C" {

const struct transport transport_boost = {"boost",
                                          "boost::lockfree::spsc_queue, inlined into the loop",
                                          false,
                                          nullptr,
                                          boost_create<inlined>,
                                          nullptr,
                                          nullptr,
                                          boost_destroy,
                                          boost_rate_send,
                                          boost_rate_receive,
                                          boost_trip_ask,
                                          boost_trip_answer,
                                          0,
                                          false,
                                          false};

const struct transport transport_boost_call = {"boost_call",
                                               "the same behind a function call per message",
                                               false,
                                               nullptr,
                                               boost_create<called>,
                                               nullptr,
                                               nullptr,
                                               boost_destroy,
                                               boost_rate_send,
                                               boost_rate_receive,
                                               boost_trip_ask,
                                               boost_trip_answer,
                                               0,
                                               false,
                                               false};

} // extern "C"
