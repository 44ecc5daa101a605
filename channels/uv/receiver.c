/* channels/uv/receiver.c - receivers as libuv handles (leat/uv.h). */
#include <string.h>

#include "channels/uv/loop.h"
#include "leat/inline.h"

static leat_uv_receiver_t *of_member(struct leat_uv_member *member) {
    return (leat_uv_receiver_t *)((char *)member - offsetof(leat_uv_receiver_t, member));
}

static bool is_closing(const leat_uv_receiver_t *receiver) {
    return uv_is_closing((const uv_handle_t *)&receiver->uv) != 0;
}

/* --- Handing over ----------------------------------------------------------------------------- */

/* Whether the message was handed over. */
static bool hand_over(leat_uv_receiver_t *receiver, const leat_message *message) {
    if (receiver->on_message != NULL) {
        receiver->on_message(receiver, message);
        return true;
    }
    uv_buf_t buffer = {0};
    receiver->on_alloc(receiver, message->size, &buffer);
    if (!receiver->started)
        return false;
    if (buffer.base == NULL || buffer.len < message->size) {
        leat_uv_receiver_stop(receiver);
        receiver->on_copy(receiver, UV_ENOBUFS, &buffer);
        return false;
    }
    leat__copy_for(receiver->channel, buffer.base, message->data, message->size);
    receiver->on_copy(receiver, (ssize_t)message->size, &buffer);
    return true;
}

static void tell(leat_uv_receiver_t *receiver, leat_peer peer, int status) {
    if (receiver->on_peer != NULL && receiver->started)
        receiver->on_peer(receiver, peer, status);
}

/* That the first sender has come is no news for those who wait for messages; here it is. Who sent
 * something, or left, had come, even if it was gone before anybody looked. That one has come back
 * is news, which is told as such. */
static void meet(leat_uv_receiver_t *receiver, int result) {
    bool came = result == LEAT_OK || result == LEAT_ECLOSED || result == LEAT_EPEERDIED;
    if (receiver->met || !receiver->started || result == LEAT_EPEERBACK)
        return;
    if (!came && leat_receiver_peer(receiver->channel) != LEAT_PEER_PRESENT)
        return;
    receiver->met = true;
    tell(receiver, LEAT_PEER_PRESENT, 0);
}

/* Of news that comes while a callback has stopped the handle, the channel would not tell again: it
 * is kept. */
static void report_result(leat_uv_receiver_t *receiver, int result) {
    if (result == LEAT_EAGAIN)
        return;
    if (!receiver->started) {
        receiver->event = result;
        return;
    }
    switch (result) {
    case LEAT_EPEERBACK:
        receiver->met = true;
        tell(receiver, LEAT_PEER_PRESENT, 0);
        return;
    case LEAT_ECLOSED:
    case LEAT_EPEERDIED:
        tell(receiver, result == LEAT_ECLOSED ? LEAT_PEER_CLOSED : LEAT_PEER_DIED, 0);
        return;
    default:
        leat_uv_receiver_stop(receiver);
        if (receiver->on_peer != NULL)
            receiver->on_peer(receiver, LEAT_PEER_NONE, leat_uv_error(result));
    }
}

/* After a start, or a release that failed. */
static void report_kept(struct leat_uv_member *member) {
    leat_uv_receiver_t *receiver = of_member(member);
    int event = receiver->event;
    if (event == LEAT_OK || !receiver->started)
        return;
    receiver->event = LEAT_OK;
    report_result(receiver, event);
}

static void hand_over_batch(leat_uv_receiver_t *receiver) {
    leat_message messages[LEAT__UV_BATCH];
    size_t count = 0, done = 0;
    int result = leat_peek_many(receiver->channel, messages, receiver->budget, &count, LEAT_NOW);
    meet(receiver, result);
    if (result != LEAT_OK) {
        report_result(receiver, result);
        count = 0;
    }
    while (done < count && receiver->started && !receiver->holds &&
           hand_over(receiver, &messages[done]))
        done++;
    /* the sender changed what it had sent */
    if (done > 0 && leat_release(receiver->channel, done) != LEAT_OK)
        report_result(receiver, LEAT_ECORRUPT);
    leat_unpeek(receiver->channel);
}

/* One by one, so that what was looked at and what was handed over are the same when a callback
 * stops the handle. The one exception is the first sender's coming, which is told before its first
 * message: then nothing is held. */
static void hand_over_held(leat_uv_receiver_t *receiver) {
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
        receiver->on_message(receiver, &message);
    }
}

static void work(struct leat_uv_member *member) {
    leat_uv_receiver_t *receiver = of_member(member);
    receiver->working = true;
    report_kept(member);
    if (receiver->started && receiver->holds)
        hand_over_held(receiver);
    else if (receiver->started)
        hand_over_batch(receiver);
    receiver->working = false;
    if (is_closing(receiver))
        leat_receiver_close(receiver->channel);
}

/* --- Life ------------------------------------------------------------------------------------- */

static void close_any(uv_handle_t *handle, uv_close_cb callback) {
    leat_uv_receiver_close((leat_uv_receiver_t *)handle, callback);
}

int leat_uv_receiver_init(uv_loop_t *loop, leat_uv_receiver_t *receiver, leat_receiver *channel) {
    if (loop == NULL || receiver == NULL || channel == NULL)
        return UV_EINVAL;
    memset(receiver, 0, sizeof *receiver);
    int result = leat__uv_share(loop, &receiver->member.shared);
    if (result != 0)
        return result;
    leat__uv_join(&receiver->uv, &receiver->member, close_any);
    receiver->member.work = work;
    receiver->member.tell = report_kept;
    receiver->channel = channel;
    receiver->budget = LEAT__UV_BATCH;
    return 0;
}

int leat_uv_receiver_open(uv_loop_t *loop, leat_uv_receiver_t *receiver, const char *name,
                          const leat_channel_options *options) {
    leat_receiver *channel;
    int result = leat_receiver_open(&channel, name, options);
    if (result != LEAT_OK)
        return leat_uv_error(result);
    result = leat_uv_receiver_init(loop, receiver, channel);
    if (result != 0)
        leat_receiver_close(channel);
    return result;
}

static int start(leat_uv_receiver_t *receiver, leat_uv_peer_cb on_peer) {
    int result = leat_waitset_add_receiver(receiver->member.shared->waitset, receiver->channel,
                                           &receiver->member);
    if (result != LEAT_OK)
        return leat_uv_error(result);
    receiver->on_peer = on_peer;
    receiver->started = true;
    leat__uv_set_active(&receiver->uv, true);
    leat__uv_hurry(receiver->member.shared);
    if (receiver->event != LEAT_OK)
        leat__uv_report_later(&receiver->member);
    return 0;
}

static int check_start(const leat_uv_receiver_t *receiver, bool callbacks, bool holds) {
    if (receiver == NULL || !callbacks || is_closing(receiver))
        return UV_EINVAL;
    if (receiver->started)
        return UV_EALREADY;
    return receiver->held > 0 && !holds ? UV_EBUSY : 0;
}

static int start_in_place(leat_uv_receiver_t *receiver, leat_uv_message_cb on_message,
                          leat_uv_peer_cb on_peer, bool holds) {
    int result = check_start(receiver, on_message != NULL, holds);
    if (result != 0)
        return result;
    receiver->on_message = on_message;
    receiver->holds = holds;
    return start(receiver, on_peer);
}

int leat_uv_receiver_start(leat_uv_receiver_t *receiver, leat_uv_message_cb on_message,
                           leat_uv_peer_cb on_peer) {
    return start_in_place(receiver, on_message, on_peer, false);
}

int leat_uv_receiver_start_held(leat_uv_receiver_t *receiver, leat_uv_message_cb on_message,
                                leat_uv_peer_cb on_peer) {
    return start_in_place(receiver, on_message, on_peer, true);
}

int leat_uv_receiver_start_copy(leat_uv_receiver_t *receiver, leat_uv_alloc_cb on_alloc,
                                leat_uv_copy_cb on_copy, leat_uv_peer_cb on_peer) {
    int result = check_start(receiver, on_alloc != NULL && on_copy != NULL, false);
    if (result != 0)
        return result;
    receiver->holds = false;
    receiver->on_message = NULL;
    receiver->on_alloc = on_alloc;
    receiver->on_copy = on_copy;
    return start(receiver, on_peer);
}

void leat_uv_receiver_stop(leat_uv_receiver_t *receiver) {
    if (!receiver->started)
        return;
    leat_waitset_remove_receiver(receiver->channel);
    receiver->started = false;
    leat__uv_set_active(&receiver->uv, false);
}

int leat_uv_receiver_release(leat_uv_receiver_t *receiver, size_t count) {
    if (is_closing(receiver) || count > receiver->held)
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

size_t leat_uv_receiver_held(const leat_uv_receiver_t *receiver) {
    return receiver->held;
}

int leat_uv_receiver_set_budget(leat_uv_receiver_t *receiver, unsigned messages) {
    if (messages == 0 || messages > LEAT__UV_BATCH)
        return UV_EINVAL;
    receiver->budget = messages;
    return 0;
}

leat_receiver *leat_uv_receiver_channel(const leat_uv_receiver_t *receiver) {
    return receiver->channel;
}

void leat_uv_receiver_close(leat_uv_receiver_t *receiver, uv_close_cb callback) {
    if (is_closing(receiver))
        return;
    leat_uv_receiver_stop(receiver);
    leat__uv_leave_reporting(&receiver->member);
    leat__uv_leave(&receiver->uv, &receiver->member, callback);
    receiver->held = 0;
    if (!receiver->working) /* else the message that is being handled is still in the channel */
        leat_receiver_close(receiver->channel);
}
