/* transport_leat_inline.c - leat/inline.h: the calls for one message compiled into the loop, as the
 * other rings are. For the usual sizes the compiler knows the size, as it does with their slots;
 * otherwise it does not. */
#include "leat_link.h"
#include "transport_leat.h"

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
    static const struct calls calls_##name_ = {send_##name_, receive_##name_};                     \
    DEFINE_LOOPS(of_##name_, calls_##name_)                                                        \
    static const struct transport transport_##name_ = {LOOPS(of_##name_)};

/* By copy and in place. */
#define DEFINE_BOTH(name_, size_, capacity_)                                                       \
    DEFINE_SIZE(name_, size_, capacity_, leat_send_inline, leat_recv_inline)                       \
    DEFINE_SIZE(place_##name_, size_, capacity_, send_place, receive_place)

DEFINE_BOTH(any, size, capacity)
DEFINE_BOTH(8, 8, 8)
DEFINE_BOTH(16, 16, 16)
DEFINE_BOTH(32, 32, 32)
DEFINE_BOTH(64, 64, 64)
DEFINE_BOTH(256, 256, 256)
DEFINE_BOTH(1024, 1024, 1024)
DEFINE_BOTH(4096, 4096, 4096)
DEFINE_BOTH(12000, 12000, 12000)
DEFINE_SIZE(deaf_8, 8, 8, send_deaf, leat_recv_inline)
DEFINE_SIZE(deaf_64, 64, 64, send_deaf, leat_recv_inline)

static const struct {
    size_t size; /* 0: any other */
    const struct transport *copy, *place;
} sizes[] = {
    {8, &transport_8, &transport_place_8},
    {16, &transport_16, &transport_place_16},
    {32, &transport_32, &transport_place_32},
    {64, &transport_64, &transport_place_64},
    {256, &transport_256, &transport_place_256},
    {1024, &transport_1024, &transport_place_1024},
    {4096, &transport_4096, &transport_place_4096},
    {12000, &transport_12000, &transport_place_12000},
    {0, &transport_any, &transport_place_any},
};

static const struct transport *find_size(size_t size, bool in_place) {
    size_t i = 0;
    while (sizes[i].size != size && sizes[i].size != 0)
        i++;
    return in_place ? sizes[i].place : sizes[i].copy;
}

static void *create(const struct setup *setup, bool in_place) {
    struct leat_link *link = leat_link_create(setup);
    if (link != NULL)
        link->of_size = find_size(setup->size, in_place);
    return link;
}

static void *inline_create(const struct setup *setup) {
    return create(setup, false);
}

static void *place_create(const struct setup *setup) {
    return create(setup, true);
}

static void *deaf_create(const struct setup *setup) {
    struct leat_link *link = setup->size == 8 || setup->size == 64 ? leat_link_create(setup) : NULL;
    if (link == NULL)
        return NULL;
    link->options.spin_us = LEAT_SPIN_FOREVER;
    link->of_size = setup->size == 8 ? &transport_deaf_8 : &transport_deaf_64;
    return link;
}

/* The loops of a size are given the handle itself. */
static int inline_rate_send(struct run *run, void *handle) {
    struct leat_link *link = handle;
    return link->of_size->rate_send(run, link->sender);
}

static int inline_rate_receive(struct run *run, void *handle) {
    struct leat_link *link = handle;
    return link->of_size->rate_receive(run, link->receiver);
}

static int inline_trip_ask(struct run *run, void *to, void *from) {
    struct leat_link *link = to, *back = from;
    return link->of_size->trip_ask(run, link->sender, back->receiver);
}

static int inline_trip_answer(struct run *run, void *from, void *to) {
    struct leat_link *link = from, *back = to;
    return link->of_size->trip_answer(run, link->receiver, back->sender);
}

const struct transport transport_leat_inline = {
    .name = "leat_inline",
    .about = "leat_send_inline, leat_recv_inline, with leat's own waiting",
    .sleeps = true,
    .create = inline_create,
    .open = leat_link_open,
    .close = leat_link_close,
    .destroy = leat_link_destroy,
    LOOPS(inline)};

const struct transport transport_leat_place_inline = {.name = "leat_place_inline",
                                                      .about = "leat_place_wait by leat/inline.h",
                                                      .sleeps = true,
                                                      .create = place_create,
                                                      .open = leat_link_open,
                                                      .close = leat_link_close,
                                                      .destroy = leat_link_destroy,
                                                      LOOPS(inline)};

const struct transport transport_leat_deaf = {
    .name = "leat_deaf",
    .about = "leat_inline that does not look for sleepers; 8 or 64 B",
    .create = deaf_create,
    .open = leat_link_open,
    .close = leat_link_close,
    .destroy = leat_link_destroy,
    LOOPS(inline)};
