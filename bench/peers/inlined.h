// inlined.h - queues of slots whose size the compiler knows, as templates: the loops of loops.h
// around a type with static send() and receive(), which are inlined.

#include "../loops.h"
#include "../transports.h"

#include <cstdlib>
#include <cstring>
#include <new>

template <size_t Size> struct fixed_slot { char bytes[Size]; };

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
    static constexpr struct loops loops = {rate_send, rate_receive, trip_ask, trip_answer};
};
