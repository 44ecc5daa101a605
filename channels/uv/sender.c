/* channels/uv/sender.c - senders as libuv handles (leat/uv.h).
 *
 * Requests wait in a queue until there is room, and then in another until the loop calls back:
 * never inside the call that made them. A sender joins the wait set in its init, so that it can
 * wait for room at any time. */
#include "channels/uv/loop.h"

struct sender {
    struct leat_uv_member member; /* first */
    leat_sender *channel;
    leat_uv_close_cb on_finished; /* while finishing */
    leat_uv_writable_cb on_writable;
    leat_uv_sender_peer_cb on_peer;
    leat_uv_send_t *queue, **queue_end; /* not sent yet */
    leat_uv_send_t *done, **done_end;   /* not reported yet */
    size_t queued, high_water;
    size_t wanted; /* while wants_room: the size that leat_uv_try_send found no room for */
    int event[2];  /* the receiver's, not reported yet, in this order */
    bool started, wants_room, met, finishing;
};

static struct sender *of_member(struct leat_uv_member *member) {
    return (struct sender *)member;
}

static struct sender *get(const leat_uv_sender_t *handle) {
    return of_member(leat__uv_member(&handle->handle));
}

/* NULL also while finishing: then nothing more is accepted. */
static struct sender *get_to_send(const leat_uv_sender_t *handle) {
    struct sender *sender = of_member(leat__uv_usable(&handle->handle));
    return sender == NULL || sender->finishing ? NULL : sender;
}

static leat_uv_sender_t *handle_of(const struct sender *sender) {
    return (leat_uv_sender_t *)sender->member.handle;
}

static void update_active(struct sender *sender) {
    if (!sender->member.closing)
        leat__uv_set_active(&sender->member,
                            sender->started || sender->queue != NULL || sender->done != NULL);
}

/* --- Queues ----------------------------------------------------------------------------------- */

static void finish_request(struct sender *sender, leat_uv_send_t *request, int status) {
    request->status = status;
    request->next = NULL;
    *sender->done_end = request;
    sender->done_end = &request->next;
}

static leat_uv_send_t *take_first(struct sender *sender) {
    leat_uv_send_t *request = sender->queue;
    sender->queue = request->next;
    if (sender->queue == NULL)
        sender->queue_end = &sender->queue;
    sender->queued -= request->size;
    return request;
}

static void cancel_all(struct sender *sender) {
    while (sender->queue != NULL)
        finish_request(sender, take_first(sender), UV_ECANCELED);
}

static bool is_event(int result) {
    return result == LEAT_ECLOSED || result == LEAT_EPEERDIED || result == LEAT_EPEERBACK;
}

/* Events are reported in order. Of more than two, only the last: a receiver that came and
 * went in between is left out. */
static void note_event(struct sender *sender, int event) {
    bool second = sender->event[0] != LEAT_OK && sender->event[1] == LEAT_OK;
    leat__uv_report_later(&sender->member);
    if (!second)
        sender->event[0] = sender->event[1] = LEAT_OK;
    sender->event[second] = event;
}

/* Cannot fail: the sender is in the wait set, and the message fits. */
static void want_room(struct sender *sender, size_t size) {
    int asked = leat_waitset_want_room(sender->channel, size);
    (void)asked;
}

/* Sends what there is room for, but no more than a batch: then others have their turn, and the
 * wait set reports the sender again, as there is room. */
static void flush(struct sender *sender) {
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
        leat__uv_report_later(&sender->member);
    }
}

static void report_peer(struct sender *sender, leat_peer peer) {
    if (sender->on_peer != NULL && sender->started)
        sender->on_peer(handle_of(sender), peer, 0);
}

/* `met`: the program knows of the receiver that is there. */
static void report_one(struct sender *sender, int event) {
    if (event == LEAT_OK)
        return;
    if (!sender->met) { /* it came, or came and went before the loop polled */
        sender->met = sender->started;
        report_peer(sender, LEAT_PEER_PRESENT);
    }
    if (event == LEAT_EPEERBACK)
        return;
    sender->met = false;
    if (sender->finishing && !sender->member.closing)
        cancel_all(sender);
    report_peer(sender, event == LEAT_ECLOSED ? LEAT_PEER_CLOSED : LEAT_PEER_DIED);
}

static void report_event(struct sender *sender) {
    const int event[2] = {sender->event[0], sender->event[1]};
    sender->event[0] = sender->event[1] = LEAT_OK;
    report_one(sender, event[0]);
    report_one(sender, event[1]);
}

/* The channel does not report the first receiver's coming; leat_uv does. */
static void meet(struct sender *sender) {
    if (!sender->started || sender->met || leat_sender_peer(sender->channel) != LEAT_PEER_PRESENT)
        return;
    sender->met = true;
    report_peer(sender, LEAT_PEER_PRESENT);
}

static void close_if_finished(struct sender *sender) {
    if (sender->finishing && sender->queue == NULL && !sender->member.closing)
        leat_uv_close(sender->member.handle, sender->on_finished);
}

/* The callbacks may close the sender, or send again. */
static void report_requests(struct leat_uv_member *member) {
    struct sender *sender = of_member(member);
    leat_uv_send_t *request = sender->done;
    sender->done = NULL;
    sender->done_end = &sender->done;
    while (request != NULL) {
        leat_uv_send_t *next = request->next; /* the request's memory is the program's again */
        if (request->callback != NULL)
            request->callback(request, request->status);
        request = next;
    }
}

static void report(struct leat_uv_member *member) {
    struct sender *sender = of_member(member);
    report_requests(member);
    report_event(sender);
    if (member->closing)
        return;
    meet(sender);
    close_if_finished(sender);
    update_active(sender);
}

/* --- Turns ------------------------------------------------------------------------------------ */

static void poll_for_events(struct sender *sender) {
    int event = leat_sender_peer_event(sender->channel);
    if (is_event(event))
        note_event(sender, event);
    else
        meet(sender);
}

static void work(struct leat_uv_member *member) {
    struct sender *sender = of_member(member);
    poll_for_events(sender);
    if (sender->member.closing)
        return;
    flush(sender);
    /* a stopped one's wish waits for the next start */
    if (sender->wants_room && sender->queue == NULL && sender->started) {
        sender->wants_room = false;
        if (sender->on_writable != NULL)
            sender->on_writable(handle_of(sender));
    }
    close_if_finished(sender);
    update_active(sender);
}

/* --- Sending ---------------------------------------------------------------------------------- */

int leat_uv_try_send(leat_uv_sender_t *handle, const void *message, size_t size) {
    struct sender *sender = get_to_send(handle);
    if (sender == NULL)
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

int leat_uv_send(leat_uv_send_t *request, leat_uv_sender_t *handle, const void *message,
                 size_t size, leat_uv_send_cb callback) {
    struct sender *sender = get_to_send(handle);
    if (request == NULL || sender == NULL)
        return UV_EINVAL;
    if (size > leat_sender_max_message(sender->channel))
        return UV_EMSGSIZE;
    if (sender->high_water != 0 && sender->queue != NULL &&
        sender->queued + size > sender->high_water)
        return UV_ENOBUFS;
    *request = (leat_uv_send_t){.data = request->data,
                                .sender = handle,
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

size_t leat_uv_sender_queue_size(const leat_uv_sender_t *handle) {
    const struct sender *sender = get(handle);
    return sender == NULL ? 0 : sender->queued;
}

void leat_uv_sender_set_high_water(leat_uv_sender_t *handle, size_t bytes) {
    struct sender *sender = get(handle);
    if (sender != NULL)
        sender->high_water = bytes;
}

leat_sender *leat_uv_sender_channel(const leat_uv_sender_t *handle) {
    const struct sender *sender = get(handle);
    return sender == NULL ? NULL : sender->channel;
}

/* --- Life ------------------------------------------------------------------------------------- */

static void close_channel(struct leat_uv_member *member) {
    struct sender *sender = of_member(member);
    cancel_all(sender);
    sender->started = false;
    leat_sender_close(sender->channel);
}

static const struct leat_uv_operations operations = {
    .work = work,
    .report = report,
    .close = close_channel,
    .closed = report_requests,
};

int leat_uv_sender_init(uv_loop_t *loop, leat_uv_sender_t *handle, leat_sender *channel) {
    if (loop == NULL || handle == NULL || channel == NULL)
        return UV_EINVAL;
    int result = leat__uv_join(loop, &handle->handle, sizeof(struct sender), &operations);
    if (result != 0)
        return result;
    struct sender *sender = get(handle);
    result = leat_waitset_add_sender(sender->member.shared->waitset, channel, sender);
    if (result != LEAT_OK) {
        leat__uv_undo_join(&sender->member);
        return leat_uv_error(result);
    }
    sender->channel = channel;
    sender->queue_end = &sender->queue;
    sender->done_end = &sender->done;
    return 0;
}

int leat_uv_sender_open(uv_loop_t *loop, leat_uv_sender_t *handle, const char *name,
                        const leat_channel_options *options) {
    leat_sender *channel;
    if (handle == NULL)
        return UV_EINVAL;
    handle->handle.member = NULL;
    int result = leat_sender_open(&channel, name, options);
    if (result != LEAT_OK)
        return leat_uv_error(result);
    result = leat_uv_sender_init(loop, handle, channel);
    if (result != 0)
        leat_sender_close(channel);
    return result;
}

int leat_uv_sender_start(leat_uv_sender_t *handle, leat_uv_writable_cb on_writable,
                         leat_uv_sender_peer_cb on_peer) {
    struct sender *sender = of_member(leat__uv_usable(&handle->handle));
    if (sender == NULL)
        return UV_EINVAL;
    if (sender->started)
        return UV_EALREADY;
    sender->on_writable = on_writable;
    sender->on_peer = on_peer;
    sender->started = true;
    update_active(sender);
    leat__uv_report_later(&sender->member); /* a receiver that is there */
    if (sender->wants_room && sender->queue == NULL)
        want_room(sender, sender->wanted); /* the room may have come meanwhile */
    return 0;
}

void leat_uv_sender_stop(leat_uv_sender_t *handle) {
    struct sender *sender = get(handle);
    if (sender == NULL)
        return;
    sender->started = false;
    update_active(sender);
}

/* Whether what is queued can never be sent: there may be no further event that ends the wait. */
static bool is_stuck(const struct sender *sender) {
    if (leat__uv_usable(sender->member.handle) == NULL)
        return true;
    leat_peer peer = sender->queue != NULL ? leat_sender_peer(sender->channel) : LEAT_PEER_NONE;
    return peer == LEAT_PEER_CLOSED || peer == LEAT_PEER_DIED;
}

void leat_uv_sender_finish(leat_uv_sender_t *handle, leat_uv_close_cb callback) {
    struct sender *sender = get(handle);
    if (sender == NULL || sender->finishing)
        return;
    sender->finishing = true;
    sender->on_finished = callback;
    if (sender->queue == NULL || is_stuck(sender))
        leat_uv_close(&handle->handle, callback);
}
