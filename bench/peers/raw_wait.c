/* raw_wait.c - the least that it takes to wake another process: the yardstick for blocking round
 * trips.
 *
 * A message is its serial number and size in two words of shared memory; the receiver makes up the
 * rest. Whoever waits goes to sleep at once, and whoever sends wakes at once. There is room for one
 * message: round trips need no more, and for the rate the receiver acknowledges each by waking the
 * sender. Nobody here notices when the other process dies; the harness's watchdog does. */
#include "kernel.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

enum direction { MESSAGE, ACKNOWLEDGEMENT };

struct shared {
    struct {
        _Alignas(64) uint32_t posted; /* counts wake-ups; the word of the futex */
    } wakes[2];
    _Alignas(64) uint64_t serial;
    uint64_t size;
};

struct raw_link {
    struct shared *shared; /* in setup.memory */
    uint32_t heard[2];     /* wake-ups that this process has seen; by direction, as all here */
    int event[2], epoll[2];
};

/* A mechanism wakes the other side, and waits: it sleeps at most once, and returns 0, or 1 to try
 * again. */

/* --- Futex ------------------------------------------------------------------------------------ */

static int futex_wake(struct raw_link *link, enum direction direction) {
    uint32_t *posted = &link->shared->wakes[direction].posted;
    __atomic_store_n(posted, *posted + 1, __ATOMIC_RELEASE);
    return syscall(SYS_futex, posted, FUTEX_WAKE, 1, NULL, NULL, 0) < 0
               ? try_again_or_fail("FUTEX_WAKE")
               : 0;
}

static int futex_wait(struct raw_link *link, enum direction direction) {
    uint32_t *posted = &link->shared->wakes[direction].posted;
    if (__atomic_load_n(posted, __ATOMIC_ACQUIRE) == link->heard[direction]) {
        if (syscall(SYS_futex, posted, FUTEX_WAIT, link->heard[direction], NULL, NULL, 0) != 0)
            return try_again_or_fail("FUTEX_WAIT");
        if (__atomic_load_n(posted, __ATOMIC_ACQUIRE) == link->heard[direction])
            return 1;
    }
    link->heard[direction]++;
    return 0;
}

/* --- eventfd ---------------------------------------------------------------------------------- */

static int event_wake(struct raw_link *link, enum direction direction) {
    uint64_t one = 1;
    return write(link->event[direction], &one, sizeof one) == sizeof one
               ? 0
               : try_again_or_fail("write");
}

static int event_wait(struct raw_link *link, enum direction direction) {
    uint64_t count;
    return read(link->event[direction], &count, sizeof count) == sizeof count
               ? 0
               : try_again_or_fail("read");
}

/* Edge-triggered, so that each write is an event of its own and nothing has to be read: epoll(7)
 * offers no less. */
static int epoll_wait_once(struct raw_link *link, enum direction direction) {
    struct epoll_event event;
    int count = epoll_wait(link->epoll[direction], &event, 1, -1);
    return count == 1 ? 0 : try_again_or_fail("epoll_wait");
}

/* --- Links ------------------------------------------------------------------------------------ */

static int make_event(struct raw_link *link, enum direction direction) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    link->event[direction] = eventfd(0, EFD_CLOEXEC);
    link->epoll[direction] = epoll_create1(EPOLL_CLOEXEC);
    if (link->event[direction] < 0 || link->epoll[direction] < 0)
        return -1;
    return epoll_ctl(link->epoll[direction], EPOLL_CTL_ADD, link->event[direction], &event);
}

static void raw_destroy(void *handle) {
    struct raw_link *link = handle;
    for (int direction = MESSAGE; direction <= ACKNOWLEDGEMENT; direction++) {
        close(link->event[direction]);
        close(link->epoll[direction]);
    }
}

static bool raw_create(void *handle, const struct setup *setup) {
    struct raw_link *link = handle;
    link->shared = setup->memory;
    return (make_event(link, MESSAGE) == 0 && make_event(link, ACKNOWLEDGEMENT) == 0) ||
           (perror("eventfd"), false);
}

ALWAYS_INLINE void put(struct raw_link *link, const void *message, size_t size) {
    memcpy(&link->shared->serial, message, sizeof link->shared->serial);
    link->shared->size = size;
}

ALWAYS_INLINE void take(struct raw_link *link, void *buffer, size_t *size) {
    *size = link->shared->size;
    stamp(buffer, *size, link->shared->serial);
}

/* The transport of a mechanism. At full rate each message is acknowledged; only an interruption
 * delays that. */
#define DEFINE_RAW(name, about, wake, wait)                                                        \
    static int name##_send(void *link, const void *message, size_t size) {                         \
        put(link, message, size);                                                                  \
        return wake(link, MESSAGE);                                                                \
    }                                                                                              \
    static int name##_receive(void *link, void *buffer, size_t capacity, size_t *size) {           \
        (void)capacity;                                                                            \
        int result = wait(link, MESSAGE);                                                          \
        return result == 0 ? (take(link, buffer, size), 0) : result;                               \
    }                                                                                              \
    static int name##_send_acknowledged(void *link, const void *message, size_t size) {            \
        int result = name##_send(link, message, size);                                             \
        while (result == 0 && (result = wait(link, ACKNOWLEDGEMENT)) > 0)                          \
            result = 0;                                                                            \
        return result;                                                                             \
    }                                                                                              \
    static int name##_receive_acknowledging(void *link, void *buffer, size_t capacity,             \
                                            size_t *size) {                                        \
        int result = name##_receive(link, buffer, capacity, size);                                 \
        return result == 0 ? wake(link, ACKNOWLEDGEMENT) : result;                                 \
    }                                                                                              \
    DEFINE_TRIPS(name, name##_send, name##_receive)                                                \
    DEFINE_RATES(name, name##_send_acknowledged, name##_receive_acknowledging)                     \
    LIST_LOOPS(name)                                                                               \
    TRANSPORT(raw_##name, "only a wake-up: " about, .sleeps = true,                                \
              .link_size = sizeof(struct raw_link), .create = raw_create, .destroy = raw_destroy,  \
              .loops = &name##_loops)

DEFINE_RAW(futex, "FUTEX_WAKE, FUTEX_WAIT", futex_wake, futex_wait)
DEFINE_RAW(eventfd, "an eventfd, blocking read", event_wake, event_wait)
DEFINE_RAW(epoll, "an eventfd, epoll_wait", event_wake, epoll_wait_once)
