/* transport_leat_uv.c - leat's channel in a libuv loop on each side, as libuv's own pipe is in
 * peers/uv_pipe.c.
 *
 * A message is handed over by a callback, in place. In a round trip there is one at a time: the
 * callback copies it to whoever waits for it around uv_run. As fast as they can, the callback
 * itself counts and checks. */
#include "leat_link.h"

#include <leat/uv.h>
#include <stdio.h>

struct uv_link {
    struct leat_link channel;
    uv_loop_t loop;
    leat_uv_sender_t sender;
    leat_uv_receiver_t receiver;
    bool failed;
    unsigned char *buffer; /* where the next message goes; NULL: nobody waits for one */
    size_t capacity, size;
    struct run *run; /* at full rate */
    uint64_t serial, first, start;
    bool over;
};

static int complain(const char *call, int code) {
    fprintf(stderr, "\n%s: %s %s\n", call, uv_strerror(code), leat_error_detail());
    return -1;
}

/* --- Receiving -------------------------------------------------------------------------------- */

static void give(struct uv_link *link, const leat_message *message) {
    link->failed = link->buffer == NULL || message->size > link->capacity;
    if (!link->failed)
        memcpy(link->buffer, message->data, message->size);
    link->size = message->size;
    link->buffer = NULL;
}

static void count(struct uv_link *link, const leat_message *message) {
    const unsigned char *data = message->data;
    bool right = message->size == link->run->lengths[link->serial % LENGTHS];
    if (right && stamped(data, message->size, link->serial)) {
        start_clock(link->run, link->serial++, &link->first, &link->start);
        return;
    }
    link->over = right && stamped(data, message->size, STOP);
    link->failed = !link->over;
    uv_stop(&link->loop);
}

static void on_message(leat_uv_receiver_t *receiver, const leat_message *message) {
    struct uv_link *link = receiver->handle.data;
    if (link->run != NULL)
        count(link, message);
    else
        give(link, message);
}

/* That the sender has closed is in order when it has sent everything; whoever waits for more is
 * told. */
static void on_peer(leat_uv_receiver_t *receiver, leat_peer peer, int status) {
    struct uv_link *link = receiver->handle.data;
    link->failed = link->failed || status != 0 || peer == LEAT_PEER_DIED ||
                   (peer == LEAT_PEER_CLOSED && link->buffer != NULL);
    if (link->failed)
        uv_stop(&link->loop);
}

static int receive(void *handle, void *buffer, size_t capacity, size_t *size) {
    struct uv_link *link = handle;
    link->buffer = buffer;
    link->capacity = capacity;
    while (link->buffer != NULL && !link->failed)
        uv_run(&link->loop, UV_RUN_ONCE);
    *size = link->size;
    return link->failed ? -1 : 0;
}

static int uv_rate_receive(struct run *run, void *handle) {
    struct uv_link *link = handle;
    link->run = run;
    while (!link->over && !link->failed)
        uv_run(&link->loop, UV_RUN_DEFAULT);
    stop_clock(run, link->serial, link->first, link->start);
    return link->failed ? -1 : 0;
}

/* --- Sending ---------------------------------------------------------------------------------- */

static void on_receiver(leat_uv_sender_t *sender, leat_peer peer, int status) {
    struct uv_link *link = sender->handle.data;
    link->failed = link->failed || status != 0 || peer != LEAT_PEER_PRESENT;
}

static int send_message(void *handle, const void *message, size_t size) {
    struct uv_link *link = handle;
    int code;
    while ((code = leat_uv_try_send(&link->sender, message, size)) == UV_EAGAIN && !link->failed)
        uv_run(&link->loop, UV_RUN_ONCE); /* until there is room, or nobody to make it */
    return code == 0 ? 0 : complain("leat_uv_try_send", code);
}

DEFINE_TRIPS(uv, send_message, receive)

/* It knows nothing of rates: their cells stay empty. */
static int uv_rate_send(struct run *run, void *link) {
    struct run unpaced = *run;
    unpaced.rate = 0;
    return rate_send_loop(&unpaced, &uv_trip_calls, link);
}

/* --- Opening and closing ---------------------------------------------------------------------- */

static int open_link(void *handle, enum role role) {
    struct uv_link *link = handle;
    int code = uv_loop_init(&link->loop);
    if (code == 0 && role == SENDER) {
        code = leat_uv_sender_open(&link->loop, &link->sender, link->channel.name,
                                   &link->channel.options);
        link->sender.handle.data = link;
        if (code == 0)
            code = leat_uv_sender_start(&link->sender, NULL, on_receiver);
    } else if (code == 0) {
        code = leat_uv_receiver_open(&link->loop, &link->receiver, link->channel.name,
                                     &link->channel.options);
        if (code == 0) {
            link->receiver.handle.data = link;
            code = leat_uv_receiver_start(&link->receiver, on_message, on_peer);
        }
    }
    return code == 0 ? 0 : complain("open", code);
}

static void close_link(void *handle, enum role role, struct counters *counters) {
    struct uv_link *link = handle;
    *counters = role == SENDER ? leat_counters(leat_uv_sender_channel(&link->sender), NULL)
                               : leat_counters(NULL, leat_uv_receiver_channel(&link->receiver));
    leat_uv_close(role == SENDER ? &link->sender.handle : &link->receiver.handle, NULL);
    uv_run(&link->loop, UV_RUN_DEFAULT);
    uv_loop_close(&link->loop);
}

LIST_LOOPS(uv)
TRANSPORT(leat_uv, "leat in libuv loops (leat/uv.h), one on each side, in place", .sleeps = true,
          .link_size = sizeof(struct uv_link), .create = leat_link_create, .open = open_link,
          .close = close_link, .destroy = leat_link_destroy, .loops = &uv_loops)
