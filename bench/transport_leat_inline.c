/* transport_leat_inline.c - leat/inline.h: leat_send and leat_recv compiled into the loop, as the other rings are. For the usual sizes the
 * compiler knows the size, as it does with their slots; otherwise it does not. */
#include "leat_link.h"
#include "transport_leat.h"

#include <leat/inline.h>

/* leat_send_inline without the look whether the receiver sleeps: what that look costs. Nothing would wake a receiver that fell asleep
 * before the end of its slice, so its link spins. */
ALWAYS_INLINE int send_deaf(leat_sender *sender, const void *message, size_t size, uint64_t deadline_ns)
{
    if (!leat__lane_send((leat_lane *)(void *)sender, message, size))
        return leat_send(sender, message, size, deadline_ns);
    return LEAT_OK;
}

#define DEFINE_SIZE(name_, size_, capacity_, call_)                                                                   \
    ALWAYS_INLINE int send_##name_(void *sender, const void *message, size_t size)                                    \
    {                                                                                                                 \
        (void)size;                                                                                                   \
        return outcome(#call_, call_(sender, message, size_, LEAT_FOREVER));                                          \
    }                                                                                                                 \
                                                                                                                      \
    ALWAYS_INLINE int receive_##name_(void *receiver, void *buffer, size_t capacity, size_t *size)                    \
    {                                                                                                                 \
        (void)capacity;                                                                                               \
        return outcome("leat_recv_inline", leat_recv_inline(receiver, buffer, capacity_, size, LEAT_FOREVER));        \
    }                                                                                                                 \
                                                                                                                      \
    static const struct calls calls_##name_ = { send_##name_, receive_##name_, NULL };                                \
    DEFINE_LOOPS(of_##name_, calls_##name_)                                                                           \
    static const struct transport transport_##name_ = { LOOPS(of_##name_), FAN(of_##name_) };

DEFINE_SIZE(any, size, capacity, leat_send_inline)
DEFINE_SIZE(8, 8, 8, leat_send_inline)
DEFINE_SIZE(16, 16, 16, leat_send_inline)
DEFINE_SIZE(32, 32, 32, leat_send_inline)
DEFINE_SIZE(64, 64, 64, leat_send_inline)
DEFINE_SIZE(256, 256, 256, leat_send_inline)
DEFINE_SIZE(1024, 1024, 1024, leat_send_inline)
DEFINE_SIZE(4096, 4096, 4096, leat_send_inline)
DEFINE_SIZE(12000, 12000, 12000, leat_send_inline)
DEFINE_SIZE(deaf_8, 8, 8, send_deaf)
DEFINE_SIZE(deaf_64, 64, 64, send_deaf)

static const struct transport *find_size(size_t size)
{
    switch (size) {
    case 8: return &transport_8;
    case 16: return &transport_16;
    case 32: return &transport_32;
    case 64: return &transport_64;
    case 256: return &transport_256;
    case 1024: return &transport_1024;
    case 4096: return &transport_4096;
    case 12000: return &transport_12000;
    default: return &transport_any;
    }
}

static void *inline_create(const struct setup *setup)
{
    struct leat_link *link = leat_link_create(setup);
    if (link != NULL)
        link->of_size = find_size(setup->size);
    return link;
}

static void *deaf_create(const struct setup *setup)
{
    struct leat_link *link = setup->size == 8 || setup->size == 64 ? leat_link_create(setup) : NULL;
    if (link == NULL)
        return NULL;
    link->options.waiting = LEAT_WAITING_SPIN;
    link->of_size = setup->size == 8 ? &transport_deaf_8 : &transport_deaf_64;
    return link;
}

/* The loops of a size are given the handle itself. */
static int inline_rate_send(struct run *run, void *handle)
{
    struct leat_link *link = handle;
    return link->of_size->rate_send(run, link->sender);
}

static int inline_rate_receive(struct run *run, void *handle)
{
    struct leat_link *link = handle;
    return link->of_size->rate_receive(run, link->receiver);
}

static int inline_trip_ask(struct run *run, void *to, void *from)
{
    struct leat_link *link = to, *back = from;
    return link->of_size->trip_ask(run, link->sender, back->receiver);
}

static int inline_trip_answer(struct run *run, void *from, void *to)
{
    struct leat_link *link = from, *back = to;
    return link->of_size->trip_answer(run, link->receiver, back->sender);
}

static int inline_fan_send(struct run *run, void *const *links, size_t count)
{
    void *senders[RECEIVERS_MAX];
    for (size_t i = 0; i < count; i++)
        senders[i] = ((struct leat_link *)links[i])->sender;
    const struct transport *of_size = count > 0 ? ((struct leat_link *)links[0])->of_size : &transport_any;
    return of_size->fan_send(run, senders, count);
}

const struct transport transport_leat_inline = {
    .name = "leat_inline",
    .about = "leat_send_inline, leat_recv_inline, with leat's own waiting",
    .sleeps = true,
    .create = inline_create,
    .open = leat_link_open,
    .close = leat_link_close,
    .destroy = leat_link_destroy,
    LOOPS(inline),
    FAN(inline)
};

const struct transport transport_leat_deaf = {
    .name = "leat_deaf",
    .about = "leat_inline that does not look for sleepers; 8 or 64 B",
    .create = deaf_create,
    .open = leat_link_open,
    .close = leat_link_close,
    .destroy = leat_link_destroy,
    LOOPS(inline),
    FAN(inline)
};
