/* channels/uv/sender.c - senders as libuv handles (leat/uv.h).
 *
 * Requests wait in a queue until there is room, and then in another until the loop can tell of
 * them: never from inside the call that made them. A sender is in the wait set from its making, so
 * that it can wait for room at any time. */
#include <string.h>

#include "channels/uv/loop.h"

static leat_uv_sender_t *of_member(struct leat_uv_member *member) {
    return (leat_uv_sender_t *)((char *)member - offsetof(leat_uv_sender_t, member));
}

static bool is_closing(const leat_uv_sender_t *sender) {
    return uv_is_closing((const uv_handle_t *)&sender->uv) != 0;
}

static void update_active(leat_uv_sender_t *sender) {
    if (!is_closing(sender))
        leat__uv_set_active(&sender->uv,
                            sender->started || sender->queue != NULL || sender->done != NULL);
}

/* --- Queues ----------------------------------------------------------------------------------- */

static void finish_request(leat_uv_sender_t *sender, leat_uv_send_t *request, int status) {
    request->status = status;
    request->next = NULL;
    leat__uv_report_later(&sender->member);
    *sender->done_end = request;
    sender->done_end = &request->next;
}

static leat_uv_send_t *take_first(leat_uv_sender_t *sender) {
    leat_uv_send_t *request = sender->queue;
    sender->queue = request->next;
    if (sender->queue == NULL)
        sender->queue_end = &sender->queue;
    sender->queued -= request->size;
    return request;
}

static void cancel_all(leat_uv_sender_t *sender) {
    while (sender->queue != NULL)
        finish_request(sender, take_first(sender), UV_ECANCELED);
}

static bool is_event(int result) {
    return result == LEAT_ECLOSED || result == LEAT_EPEERDIED || result == LEAT_EPEERBACK;
}

/* They come in turn, and are told in turn. Of more than two, the last: a receiver that came and
 * went in between is left out. */
static void note_event(leat_uv_sender_t *sender, int event) {
    bool second = sender->event[0] != LEAT_OK && sender->event[1] == LEAT_OK;
    leat__uv_report_later(&sender->member);
    if (!second)
        sender->event[0] = sender->event[1] = LEAT_OK;
    sender->event[second] = event;
}

/* Cannot fail: the sender is in the wait set, and the message fits. */
static void want_room(leat_uv_sender_t *sender, size_t size) {
    int asked = leat_waitset_want_room(sender->channel, size);
    (void)asked;
}

/* Sends what there is room for, but no more than a batch: then others have their turn, and the
 * wait set names the sender again, for there is room. */
static void flush(leat_uv_sender_t *sender) {
    for (unsigned sent = 0; sender->queue != NULL; sent++) {
        const leat_uv_send_t *request = sender->queue;
        if (sent == LEAT__UV_BATCH) {
            want_room(sender, request->size);
            break;
        }
        int result = leat_send(sender->channel, request->message, request->size, LEAT_NOW);
        if (result == LEAT_EAGAIN) {
            want_room(sender, request->size);
            break;
        }
        if (is_event(result)) {
            note_event(sender, result);
            continue;
        }
        finish_request(sender, take_first(sender), leat_uv_error(result));
    }
}

static void tell(leat_uv_sender_t *sender, leat_peer peer) {
    if (sender->on_peer != NULL && sender->started)
        sender->on_peer(sender, peer, 0);
}

/* `met`: the program knows of the receiver that is there. */
static void report_one(leat_uv_sender_t *sender, int event) {
    if (event == LEAT_OK)
        return;
    if (!sender->met) { /* it came, or came and went before anybody looked */
        sender->met = sender->started;
        tell(sender, LEAT_PEER_PRESENT);
    }
    if (event == LEAT_EPEERBACK)
        return;
    sender->met = false;
    if (sender->finishing && !is_closing(sender))
        cancel_all(sender);
    tell(sender, event == LEAT_ECLOSED ? LEAT_PEER_CLOSED : LEAT_PEER_DIED);
}

static void report_event(leat_uv_sender_t *sender) {
    const int event[2] = {sender->event[0], sender->event[1]};
    sender->event[0] = sender->event[1] = LEAT_OK;
    report_one(sender, event[0]);
    report_one(sender, event[1]);
}

/* That the first receiver has come is no news for those who wait for room; here it is. */
static void meet(leat_uv_sender_t *sender) {
    if (!sender->started || sender->met || leat_sender_peer(sender->channel) != LEAT_PEER_PRESENT)
        return;
    sender->met = true;
    tell(sender, LEAT_PEER_PRESENT);
}

static void close_if_finished(leat_uv_sender_t *sender) {
    if (sender->finishing && sender->queue == NULL && !is_closing(sender))
        leat_uv_sender_close(sender, sender->closed);
}

/* The callbacks may close the sender, or send again. */
static void report_done(struct leat_uv_member *member) {
    leat_uv_sender_t *sender = of_member(member);
    leat_uv_send_t *request = sender->done;
    sender->done = NULL;
    sender->done_end = &sender->done;
    while (request != NULL) {
        leat_uv_send_t *next = request->next; /* the request's memory is the caller's again */
        if (request->callback != NULL)
            request->callback(request, request->status);
        request = next;
    }
    report_event(sender);
    if (is_closing(sender))
        return;
    meet(sender);
    close_if_finished(sender);
    update_active(sender);
}

/* --- What the wait set says ------------------------------------------------------------------- */

static void poll_for_events(leat_uv_sender_t *sender) {
    int event = leat_sender_peer_event(sender->channel);
    if (is_event(event))
        note_event(sender, event);
    else
        meet(sender);
}

static void work(struct leat_uv_member *member) {
    leat_uv_sender_t *sender = of_member(member);
    poll_for_events(sender);
    if (is_closing(sender))
        return;
    flush(sender);
    /* a stopped one's wish waits for the next start */
    if (sender->wants_room && sender->queue == NULL && sender->started) {
        sender->wants_room = false;
        if (sender->on_writable != NULL)
            sender->on_writable(sender);
    }
    close_if_finished(sender);
    update_active(sender);
}

/* --- Sending ---------------------------------------------------------------------------------- */

int leat_uv_try_send(leat_uv_sender_t *sender, const void *message, size_t size) {
    if (is_closing(sender) || sender->finishing)
        return UV_EINVAL;
    int result =
        sender->queue != NULL ? LEAT_EAGAIN : leat_send(sender->channel, message, size, LEAT_NOW);
    if (result == LEAT_OK)
        return 0;
    if (is_event(result))
        note_event(sender, result);
    else if (result != LEAT_EAGAIN)
        return leat_uv_error(result);
    sender->wants_room = true;
    sender->wanted = size;
    if (sender->queue == NULL)
        want_room(sender, size);
    return UV_EAGAIN;
}

int leat_uv_send(leat_uv_send_t *request, leat_uv_sender_t *sender, const void *message,
                 size_t size, leat_uv_send_cb callback) {
    if (request == NULL || is_closing(sender) || sender->finishing)
        return UV_EINVAL;
    if (size > leat_sender_max_message(sender->channel))
        return UV_EMSGSIZE;
    if (sender->high_water != 0 && sender->queue != NULL &&
        sender->queued + size > sender->high_water)
        return UV_ENOBUFS;
    *request = (leat_uv_send_t){.data = request->data,
                                .sender = sender,
                                .callback = callback,
                                .message = message,
                                .size = size};
    bool first = sender->queue == NULL;
    *sender->queue_end = request;
    sender->queue_end = &request->next;
    sender->queued += size;
    if (first)
        flush(sender);
    update_active(sender);
    return 0;
}

size_t leat_uv_sender_queue_size(const leat_uv_sender_t *sender) {
    return sender->queued;
}

void leat_uv_sender_set_high_water(leat_uv_sender_t *sender, size_t bytes) {
    sender->high_water = bytes;
}

leat_sender *leat_uv_sender_channel(const leat_uv_sender_t *sender) {
    return sender->channel;
}

/* --- Life ------------------------------------------------------------------------------------- */

static void close_any(uv_handle_t *handle, uv_close_cb callback) {
    leat_uv_sender_close((leat_uv_sender_t *)handle, callback);
}

int leat_uv_sender_init(uv_loop_t *loop, leat_uv_sender_t *sender, leat_sender *channel) {
    if (loop == NULL || sender == NULL || channel == NULL)
        return UV_EINVAL;
    memset(sender, 0, sizeof *sender);
    int result = leat__uv_share(loop, &sender->member.shared);
    if (result != 0)
        return result;
    result = leat_waitset_add_sender(sender->member.shared->waitset, channel, &sender->member);
    if (result != LEAT_OK) {
        leat__uv_give_back(sender->member.shared);
        return leat_uv_error(result);
    }
    leat__uv_join(&sender->uv, &sender->member, close_any);
    sender->member.work = work;
    sender->member.tell = report_done;
    sender->channel = channel;
    sender->queue_end = &sender->queue;
    sender->done_end = &sender->done;
    return 0;
}

int leat_uv_sender_open(uv_loop_t *loop, leat_uv_sender_t *sender, const char *name,
                        const leat_channel_options *options) {
    leat_sender *channel;
    int result = leat_sender_open(&channel, name, options);
    if (result != LEAT_OK)
        return leat_uv_error(result);
    result = leat_uv_sender_init(loop, sender, channel);
    if (result != 0)
        leat_sender_close(channel);
    return result;
}

int leat_uv_sender_start(leat_uv_sender_t *sender, leat_uv_writable_cb on_writable,
                         leat_uv_sender_peer_cb on_peer) {
    if (is_closing(sender))
        return UV_EINVAL;
    if (sender->started)
        return UV_EALREADY;
    sender->on_writable = on_writable;
    sender->on_peer = on_peer;
    sender->started = true;
    update_active(sender);
    leat__uv_report_later(&sender->member); /* of a receiver that is there */
    if (sender->wants_room && sender->queue == NULL)
        want_room(sender, sender->wanted); /* it can have come meanwhile */
    return 0;
}

void leat_uv_sender_stop(leat_uv_sender_t *sender) {
    sender->started = false;
    update_active(sender);
}

/* libuv is done with the handle: the last requests are told of, then the caller's callback is
 * called. */
static void on_closed(uv_handle_t *handle) {
    leat_uv_sender_t *sender = (leat_uv_sender_t *)handle;
    report_done(&sender->member);
    if (sender->closed != NULL)
        sender->closed(handle);
}

void leat_uv_sender_close(leat_uv_sender_t *sender, uv_close_cb callback) {
    if (is_closing(sender))
        return;
    cancel_all(sender);
    leat__uv_leave_reporting(&sender->member); /* on_closed tells of its requests */
    sender->started = false;
    sender->closed = callback;
    leat_sender_close(sender->channel);
    leat__uv_leave(&sender->uv, &sender->member, on_closed);
}

void leat_uv_sender_finish(leat_uv_sender_t *sender, uv_close_cb callback) {
    if (is_closing(sender) || sender->finishing)
        return;
    leat_peer peer = sender->queue != NULL ? leat_sender_peer(sender->channel) : LEAT_PEER_NONE;
    sender->finishing = true;
    sender->closed = callback;
    /* of that there may be no further news */
    if (peer == LEAT_PEER_CLOSED || peer == LEAT_PEER_DIED)
        cancel_all(sender);
    close_if_finished(sender);
}
