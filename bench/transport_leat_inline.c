/* transport_leat_inline.c - leat/inline.h: the calls for one message compiled into the loop, as the
 * other rings are. For the usual sizes the compiler knows the size, as it does with their slots;
 * otherwise it does not. */
#include "leat_link.h"

#include <leat/inline.h>

/* leat_send_inline without the look whether the receiver sleeps: what that look costs. Nothing
 * would wake a receiver that fell asleep before the end of its slice, so its link spins. */
ALWAYS_INLINE int send_deaf(leat_sender *sender, const void *message, size_t size,
                            uint64_t deadline_ns) {
    if (!leat__lane_send((leat_lane *)(void *)sender, message, size))
        return leat_send(sender, message, size, deadline_ns);
    return LEAT_OK;
}

/* In place: written once where it will stay, and read once where it is, as leat_place does. */
ALWAYS_INLINE int send_place(leat_sender *sender, const void *message, size_t size,
                             uint64_t deadline_ns) {
    void *place;
    int code = leat_reserve_inline(sender, size, &place, deadline_ns);
    if (code != LEAT_OK)
        return code;
    leat__copy_for(sender, place, message, size);
    return leat_commit_inline(sender, size);
}

/* A reader that knows the size checks it once, and then reads as much. */
ALWAYS_INLINE int receive_place(leat_receiver *receiver, void *buffer, size_t capacity,
                                size_t *size, uint64_t deadline_ns) {
    leat_message message;
    int code = leat_peek_inline(receiver, &message, deadline_ns);
    if (code != LEAT_OK)
        return code;
    *size = message.size;
    if (message.size == capacity)
        leat__copy_for(receiver, buffer, message.data, capacity);
    else
        leat__copy_for(receiver, buffer, message.data, message.size);
    return leat_release_inline(receiver);
}

#define DEFINE_SIZE(name_, size_, capacity_, send_, receive_)                                      \
    ALWAYS_INLINE int send_##name_(void *sender, const void *message, size_t size) {               \
        (void)size;                                                                                \
        return outcome(#send_, send_(sender, message, size_, LEAT_FOREVER));                       \
    }                                                                                              \
                                                                                                   \
    ALWAYS_INLINE int receive_##name_(void *receiver, void *buffer, size_t capacity,               \
                                      size_t *size) {                                              \
        (void)capacity;                                                                            \
        return outcome(#receive_, receive_(receiver, buffer, capacity_, size, LEAT_FOREVER));      \
    }                                                                                              \
                                                                                                   \
    DEFINE_LOOPS(name_, send_##name_, receive_##name_)

/* By copy and in place. */
#define DEFINE_BOTH(name_, size_, capacity_)                                                       \
    DEFINE_SIZE(name_, size_, capacity_, leat_send_inline, leat_recv_inline)                       \
    DEFINE_SIZE(place_##name_, size_, capacity_, send_place, receive_place)

#define DEFINE_KNOWN(size_) DEFINE_BOTH(of_##size_, size_, size_)
#define EACH_KNOWN_SIZE(X) X(16) X(32) EACH_SIZE(X)

EACH_KNOWN_SIZE(DEFINE_KNOWN)
DEFINE_BOTH(any, size, capacity)
DEFINE_SIZE(deaf_8, 8, 8, send_deaf, leat_recv_inline)
DEFINE_SIZE(deaf_64, 64, 64, send_deaf, leat_recv_inline)

#define COPY(size_) {size_, 0, &of_##size_##_loops, NULL},
#define PLACE(size_) {size_, 0, &place_of_##size_##_loops, NULL},
static const struct sized copies[] = {EACH_KNOWN_SIZE(COPY){ANY_SIZE, 0, &any_loops, NULL}};
static const struct sized places[] = {EACH_KNOWN_SIZE(PLACE){ANY_SIZE, 0, &place_any_loops, NULL}};
static const struct sized deaf[] = {
    {8, 0, &deaf_8_loops, NULL}, {64, 0, &deaf_64_loops, NULL}, {0, 0, NULL, NULL}};

static void *handle_of(void *handle, enum role role) {
    struct leat_link *link = handle;
    return role == SENDER ? (void *)link->sender : (void *)link->receiver;
}

static bool deaf_create(void *link, const struct setup *setup) {
    ((struct leat_link *)link)->options.spin_us = LEAT_SPIN_FOREVER;
    return leat_link_create(link, setup);
}

#define INLINE CHANNEL, .end = handle_of
TRANSPORT(leat_inline, "leat_send_inline, leat_recv_inline, with leat's own waiting", INLINE,
          .sleeps = true, .create = leat_link_create, .sized = copies)
TRANSPORT(leat_place_inline, "leat_place_wait by leat/inline.h", INLINE, .sleeps = true,
          .create = leat_link_create, .sized = places)
TRANSPORT(leat_deaf, "leat_inline that does not look for sleepers; 8 or 64 B", INLINE,
          .create = deaf_create, .sized = deaf)
