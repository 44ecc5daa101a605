/* channels/uv/receiver.c - receivers as libuv handles (leat/uv.h). */
#include "channels/uv/loop.h"
#include "leat/inline.h"

struct receiver {
    struct leat_uv_member member; /* first */
    leat_receiver *channel;
    leat_uv_message_cb on_message;
    leat_uv_alloc_cb on_alloc;
    leat_uv_copy_cb on_copy;
    leat_uv_peer_cb on_peer;
    size_t held;
    unsigned budget;
    int event; /* not reported yet */
    bool started, working, met, holds;
};

static struct receiver *of_member(struct leat_uv_member *member) {
    return (struct receiver *)member;
}

static struct receiver *get(const leat_uv_receiver_t *handle) {
    return handle == NULL ? NULL : of_member(leat__uv_member(&handle->handle));
}

static leat_uv_receiver_t *handle_of(const struct receiver *receiver) {
    return (leat_uv_receiver_t *)receiver->member.handle;
}

static void stop(struct receiver *receiver) {
    if (!receiver->started)
        return;
    leat_waitset_remove_receiver(receiver->channel);
    receiver->started = false;
    leat__uv_set_active(&receiver->member, false);
}

/* --- Delivery --------------------------------------------------------------------------------- */

/* Whether the message was delivered. */
static bool deliver(struct receiver *receiver, const leat_message *message) {
    if (receiver->on_message != NULL) {
        receiver->on_message(handle_of(receiver), message);
        return true;
    }
    uv_buf_t buffer = {0};
    receiver->on_alloc(handle_of(receiver), message->size, &buffer);
    if (!receiver->started)
        return false;
    if (buffer.base == NULL || buffer.len < message->size) {
        stop(receiver);
        receiver->on_copy(handle_of(receiver), UV_ENOBUFS, &buffer);
        return false;
    }
    leat__copy_for(receiver->channel, buffer.base, message->data, message->size);
    receiver->on_copy(handle_of(receiver), (ssize_t)message->size, &buffer);
    return true;
}

static void report_peer(struct receiver *receiver, leat_peer peer) {
    if (receiver->on_peer != NULL && receiver->started)
        receiver->on_peer(handle_of(receiver), peer, 0);
}

/* The channel does not report the first sender's coming; leat_uv does. A sender that sent something
 * or left had come, even if it left before the loop polled. The channel reports returning senders
 * itself. */
static void meet(struct receiver *receiver, int result) {
    bool came = result == LEAT_OK || result == LEAT_ECLOSED || result == LEAT_EPEERDIED;
    if (receiver->met || !receiver->started || result == LEAT_EPEERBACK)
        return;
    if (!came && leat_receiver_peer(receiver->channel) != LEAT_PEER_PRESENT)
        return;
    receiver->met = true;
    report_peer(receiver, LEAT_PEER_PRESENT);
}

/* The channel reports an event once. If a callback has stopped the handle, the event is kept. */
static void report_result(struct receiver *receiver, int result) {
    if (result == LEAT_EAGAIN)
        return;
    if (!receiver->started) {
        receiver->event = result;
        return;
    }
    switch (result) {
    case LEAT_EPEERBACK:
        receiver->met = true;
        report_peer(receiver, LEAT_PEER_PRESENT);
        return;
    case LEAT_ECLOSED:
    case LEAT_EPEERDIED:
        report_peer(receiver, result == LEAT_ECLOSED ? LEAT_PEER_CLOSED : LEAT_PEER_DIED);
        return;
    default:
        stop(receiver);
        if (receiver->on_peer != NULL)
            receiver->on_peer(handle_of(receiver), LEAT_PEER_NONE, leat_uv_error(result));
    }
}

/* After a start, or a release that failed. */
static void report_kept(struct leat_uv_member *member) {
    struct receiver *receiver = of_member(member);
    int event = receiver->event;
    if (event == LEAT_OK || !receiver->started)
        return;
    receiver->event = LEAT_OK;
    report_result(receiver, event);
}

static void deliver_batch(struct receiver *receiver) {
    leat_message messages[LEAT__UV_BATCH];
    size_t count = 0, done = 0;
    int result = leat_peek_many(receiver->channel, messages, receiver->budget, &count, LEAT_NOW);
    meet(receiver, result);
    if (result != LEAT_OK) {
        report_result(receiver, result);
        count = 0;
    }
    while (done < count && receiver->started && !receiver->holds &&
           deliver(receiver, &messages[done]))
        done++;
    /* the sender changed what it had sent */
    if (done > 0 && leat_release(receiver->channel, done) != LEAT_OK)
        report_result(receiver, LEAT_ECORRUPT);
    leat_unpeek(receiver->channel);
}

/* One message at a time: if a callback stops the handle, no message has been peeked that was not
 * delivered. One exception: the first sender's coming is reported before its first message, which
 * has been peeked; nothing is held then, so that leat_unpeek can give it back. */
static void deliver_held(struct receiver *receiver) {
    for (unsigned i = 0; i < receiver->budget && receiver->started && receiver->holds; i++) {
        leat_message message;
        size_t count;
        int result = leat_peek_more(receiver->channel, &message, 1, &count, LEAT_NOW);
        meet(receiver, result);
        if (result != LEAT_OK) {
            report_result(receiver, result);
            return;
        }
        if (!receiver->started || !receiver->holds) {
            leat_unpeek(receiver->channel);
            return;
        }
        receiver->held++;
        receiver->on_message(handle_of(receiver), &message);
    }
}

static void work(struct leat_uv_member *member) {
    struct receiver *receiver = of_member(member);
    receiver->working = true;
    report_kept(member);
    if (receiver->started && receiver->holds)
        deliver_held(receiver);
    else if (receiver->started)
        deliver_batch(receiver);
    receiver->working = false;
    if (receiver->member.closing)
        leat_receiver_close(receiver->channel);
}

/* --- Life ------------------------------------------------------------------------------------- */

/* In a callback the message is still in use: then `work` closes the channel. */
static void close_channel(struct leat_uv_member *member) {
    struct receiver *receiver = of_member(member);
    stop(receiver);
    if (!receiver->working)
        leat_receiver_close(receiver->channel);
}

static const struct leat_uv_operations operations = {
    .work = work,
    .report = report_kept,
    .close = close_channel,
};

int leat_uv_receiver_init(uv_loop_t *loop, leat_uv_receiver_t *handle, leat_receiver *channel) {
    if (loop == NULL || handle == NULL || channel == NULL)
        return UV_EINVAL;
    int result = leat__uv_join(loop, &handle->handle, sizeof(struct receiver), &operations);
    if (result != 0)
        return result;
    struct receiver *receiver = get(handle);
    receiver->channel = channel;
    receiver->budget = LEAT__UV_BATCH;
    return 0;
}

int leat_uv_receiver_open(uv_loop_t *loop, leat_uv_receiver_t *handle, const char *name,
                          const leat_channel_options *options) {
    leat_receiver *channel;
    if (handle == NULL)
        return UV_EINVAL;
    handle->handle.member = NULL;
    int result = leat_receiver_open(&channel, name, options);
    if (result != LEAT_OK)
        return leat_uv_error(result);
    result = leat_uv_receiver_init(loop, handle, channel);
    if (result != 0)
        leat_receiver_close(channel);
    return result;
}

/* What to receive by: on_message, or on_alloc and on_copy. */
struct way {
    leat_uv_message_cb on_message;
    leat_uv_alloc_cb on_alloc;
    leat_uv_copy_cb on_copy;
    bool holds;
};

static int check_start(const leat_uv_receiver_t *handle, const struct way *way) {
    const struct receiver *receiver = get(handle);
    bool complete = way->on_message != NULL || (way->on_alloc != NULL && way->on_copy != NULL);
    if (receiver == NULL || !complete || leat__uv_usable(&handle->handle) == NULL)
        return UV_EINVAL;
    if (receiver->started)
        return UV_EALREADY;
    return receiver->held > 0 && !way->holds ? UV_EBUSY : 0;
}

static int start(leat_uv_receiver_t *handle, struct way way, leat_uv_peer_cb on_peer) {
    int result = check_start(handle, &way);
    if (result != 0)
        return result;
    struct receiver *receiver = get(handle);
    struct leat_uv_loop *shared = receiver->member.shared;
    result = leat_waitset_add_receiver(shared->waitset, receiver->channel, receiver);
    if (result != LEAT_OK)
        return leat_uv_error(result);
    receiver->on_message = way.on_message;
    receiver->on_alloc = way.on_alloc;
    receiver->on_copy = way.on_copy;
    receiver->holds = way.holds;
    receiver->on_peer = on_peer;
    receiver->started = true;
    leat__uv_set_active(&receiver->member, true);
    leat__uv_hurry(shared);
    if (receiver->event != LEAT_OK)
        leat__uv_report_later(&receiver->member);
    return 0;
}

int leat_uv_receiver_start(leat_uv_receiver_t *handle, leat_uv_message_cb on_message,
                           leat_uv_peer_cb on_peer) {
    return start(handle, (struct way){.on_message = on_message}, on_peer);
}

int leat_uv_receiver_start_held(leat_uv_receiver_t *handle, leat_uv_message_cb on_message,
                                leat_uv_peer_cb on_peer) {
    return start(handle, (struct way){.on_message = on_message, .holds = true}, on_peer);
}

int leat_uv_receiver_start_copy(leat_uv_receiver_t *handle, leat_uv_alloc_cb on_alloc,
                                leat_uv_copy_cb on_copy, leat_uv_peer_cb on_peer) {
    return start(handle, (struct way){.on_alloc = on_alloc, .on_copy = on_copy}, on_peer);
}

void leat_uv_receiver_stop(leat_uv_receiver_t *handle) {
    struct receiver *receiver = get(handle);
    if (receiver != NULL)
        stop(receiver);
}

int leat_uv_receiver_release(leat_uv_receiver_t *handle, size_t count) {
    struct receiver *receiver = get(handle);
    if (receiver == NULL || count > receiver->held)
        return UV_EINVAL;
    int result = leat_release(receiver->channel, count);
    if (result == LEAT_OK) {
        receiver->held -= count;
        return 0;
    }
    receiver->event = result;
    leat__uv_report_later(&receiver->member);
    return leat_uv_error(result);
}

size_t leat_uv_receiver_held(const leat_uv_receiver_t *handle) {
    const struct receiver *receiver = get(handle);
    return receiver == NULL ? 0 : receiver->held;
}

int leat_uv_receiver_set_budget(leat_uv_receiver_t *handle, unsigned messages) {
    struct receiver *receiver = get(handle);
    if (receiver == NULL || messages == 0 || messages > LEAT__UV_BATCH)
        return UV_EINVAL;
    receiver->budget = messages;
    return 0;
}

leat_receiver *leat_uv_receiver_channel(const leat_uv_receiver_t *handle) {
    const struct receiver *receiver = get(handle);
    return receiver == NULL ? NULL : receiver->channel;
}
