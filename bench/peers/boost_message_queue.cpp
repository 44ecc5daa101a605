// boost_message_queue.cpp - boost::interprocess::message_queue, opened by name in each process.
//
// What its documentation advises, and what is done here: one process creates the queue and fixes
// how many messages it holds and how long one may be, after removing what an earlier run left under
// that name; the others open it by name; messages are plain bytes. All have one priority, for which
// the queue needs no search. A receiver's buffer has room for the longest message. Slots together
// hold the capacity asked for; messages of mixed sizes get slots that hold the longest of them.
//
// try_send and try_receive do not wait for the queue, but they do wait for its lock, and sleep if
// the other side has it.

#include "../loops.h"
#include "../transports.h"

#include <boost/interprocess/ipc/message_queue.hpp>
#include <cstdio>
#include <memory>
#include <new>
#include <unistd.h>

namespace {

namespace ipc = boost::interprocess;

struct mq_link {
    char name[48];
    unsigned *opened; // in shared memory: by how many processes
    std::unique_ptr<ipc::message_queue> queue;
};

int say(const char *doing, const mq_link *link, const std::exception &error) {
    fprintf(stderr, "boost_mq: %s %s: %s\n", doing, link->name, error.what());
    return -1;
}

bool mq_create(void *handle, const struct setup *setup) {
    static unsigned serial;
    size_t size = size_longest(setup->size), count = setup->capacity / size;
    if (count == 0)
        return false;
    mq_link *link = new (handle) mq_link{{}, static_cast<unsigned *>(setup->memory), nullptr};
    snprintf(link->name, sizeof link->name, "leat_bench.%ld.%u", static_cast<long>(getpid()),
             serial++);
    try {
        ipc::message_queue::remove(link->name);
        ipc::message_queue created(ipc::create_only, link->name, count, size);
    } catch (const std::exception &error) {
        return say("create", link, error) == 0;
    }
    return true;
}

// Whoever comes second removes the name, so that a run that is interrupted leaves nothing behind.
int mq_open(void *handle, enum role) {
    mq_link *link = static_cast<mq_link *>(handle);
    try {
        link->queue.reset(new ipc::message_queue(ipc::open_only, link->name));
    } catch (const std::exception &error) {
        return say("open", link, error);
    }
    if (__atomic_add_fetch(link->opened, 1, __ATOMIC_RELAXED) == 2)
        ipc::message_queue::remove(link->name);
    return 0;
}

void mq_destroy(void *handle) {
    mq_link *link = static_cast<mq_link *>(handle);
    ipc::message_queue::remove(link->name); // unless both have opened it
    link->~mq_link();
}

int mq_send(void *handle, const void *message, size_t size) {
    const mq_link *link = static_cast<mq_link *>(handle);
    try {
        return link->queue->try_send(message, size, 0) ? 0 : 1;
    } catch (const std::exception &error) {
        return say("send", link, error);
    }
}

int mq_receive(void *handle, void *buffer, size_t capacity, size_t *size) {
    const mq_link *link = static_cast<mq_link *>(handle);
    unsigned priority;
    ipc::message_queue::size_type received;
    try {
        if (!link->queue->try_receive(buffer, capacity, received, priority))
            return 1;
    } catch (const std::exception &error) {
        return say("receive", link, error);
    }
    *size = received;
    return 0;
}

DEFINE_LOOPS(mq, mq_send, mq_receive)

} // namespace

TRANSPORT(boost_mq, "boost message_queue, polled; its lock may sleep", .sleeps = true,
          .polls = true, .link_size = sizeof(mq_link), .create = mq_create, .open = mq_open,
          .destroy = mq_destroy, .loops = &mq_loops)
