// readerwriterqueue.cpp - moodycamel::ReaderWriterQueue in the shared mapping.
//
// What its documentation advises, and what is done here: construct it with the number of elements
// to have room for, which is allocated at once, with the default size of a block; then only calls
// named try_, which never allocate and fail when it is full. It may hold a little more than was
// asked for.
//
// The queue allocates with std::malloc. Its header is included with that name standing for
// memory_for_queue() below, which takes from the shared memory while a queue is constructed and has
// nothing at any other time. The queue's own code is unchanged, its pointers are good in both
// processes since both map the memory at one address, and its atomics need no lock. Its destructor
// would free only that memory and is not run.
//
// The circular buffer of the same library is not here: it always counts with semaphores private to
// one process.
//
// Each size has a queue of its own, inlined into the loop. Messages of mixed sizes get slots that
// hold the longest of them, are constructed in place (try_emplace), and copied out as they are
// taken; only what they hold is copied.

#include "inlined.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <new>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace {

// What the queue under construction may allocate from.
struct {
    char *next;
    std::size_t left;
} arena;

const std::size_t cache_line = 64;

// On a cache line of its own: the queue aligns its counters only among themselves.
void *memory_for_queue(std::size_t size) {
    size = (size + cache_line - 1) / cache_line * cache_line;
    if (size > arena.left)
        return nullptr;
    void *memory = arena.next;
    arena.next += size;
    arena.left -= size;
    return memory;
}

} // namespace

// Within moodycamel, std::malloc means this one: a name declared in a namespace hides what `using
// namespace` brings in.
namespace moodycamel {
namespace std {
using namespace ::std;
[[maybe_unused]] static void *malloc(size_t size) {
    return memory_for_queue(size);
}
[[maybe_unused]] static void free(void *) {
}
} // namespace std
} // namespace moodycamel

#include <readerwriterqueue.h>

namespace {

template <size_t Size> struct fixed {
    typedef fixed_slot<Size> slot;
    typedef moodycamel::ReaderWriterQueue<slot> queue;
    static const size_t counts_for = Size;

    ALWAYS_INLINE int send(void *link, const void *message, size_t) {
        return static_cast<queue *>(link)->try_enqueue(*static_cast<const slot *>(message)) ? 0 : 1;
    }

    ALWAYS_INLINE int receive(void *link, void *buffer, size_t, size_t *size) {
        *size = Size;
        return static_cast<queue *>(link)->try_dequeue(*static_cast<slot *>(buffer)) ? 0 : 1;
    }
};

template <size_t Longest> struct mixed {
    struct slot {
        size_t size;
        char bytes[Longest];
        slot(const void *message, size_t size_) : size(size_) {
            memcpy(bytes, message, size_);
        }
    };
    typedef moodycamel::ReaderWriterQueue<slot> queue;
    static const size_t counts_for = Longest;

    // What try_dequeue() assigns a slot to.
    struct target {
        void *buffer;
        size_t *size;
        void operator=(slot &&from) {
            *size = from.size;
            memcpy(buffer, from.bytes, from.size);
        }
    };

    ALWAYS_INLINE int send(void *link, const void *message, size_t size) {
        return static_cast<queue *>(link)->try_emplace(message, size) ? 0 : 1;
    }

    ALWAYS_INLINE int receive(void *link, void *buffer, size_t, size_t *size) {
        target to = {buffer, size};
        return static_cast<queue *>(link)->try_dequeue(to) ? 0 : 1;
    }
};

// In the shared memory: the queue, then its blocks. One element less than the capacity has room
// for, since each block keeps one free and is a power of two long.
template <class Kind> bool create(void *link, const struct setup *setup) {
    typedef typename Kind::queue queue;
    size_t count = setup->capacity / Kind::counts_for;
    if (count < 2)
        return false;
    arena = {static_cast<char *>(link), setup->memory_size};
    bool fits = true;
    try {
        new (memory_for_queue(sizeof(queue))) queue(count - 1);
    } catch (const std::bad_alloc &) {
        fits = false; // its blocks do not
    }
    arena = {nullptr, 0};
    return fits;
}

template <class Kind> constexpr struct sized of(size_t size) {
    return {size, 0, &around<Kind>::loops, create<Kind>};
}

#define FIXED(size) of<fixed<size>>(size),
const struct sized sizes[] = {
    EACH_SIZE(FIXED) of<mixed<MIXED_MAX>>(SIZE_MIX), of<mixed<BIMODAL_MAX>>(SIZE_BIMODAL), {}};

} // namespace

TRANSPORT(rwqueue, "moodycamel::ReaderWriterQueue, inlined", .sized = sizes)
