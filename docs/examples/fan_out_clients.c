/* fan_out_clients.c - see fan_out_clients.h. */
#include "fan_out_clients.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "common.h"

struct client {
    uv_tcp_t tcp;
    uv_shutdown_t shutdown;
    size_t waiting; /* bytes, and what keeping them takes */
    LIST_ENTRY(client) entry;
};

struct write {
    uv_write_t uv;
    struct batch *batch;
};

static struct clients_settings settings;
static struct clients_counts counts;
static LIST_HEAD(, client) clients = LIST_HEAD_INITIALIZER(clients);
static uv_tcp_t listener;
static uv_timer_t last_chance;

/* --- Going ------------------------------------------------------------------------------------ */

static void on_closed(uv_handle_t *handle) {
    free(handle->data);
    if (--counts.connected == 0)
        uv_timer_stop(&last_chance);
}

static void disconnect(struct client *client) {
    if (uv_is_closing((uv_handle_t *)&client->tcp))
        return;
    LIST_REMOVE(client, entry);
    uv_close((uv_handle_t *)&client->tcp, on_closed); /* cancels what is being written */
}

void clients_disconnect_all(void) {
    while (!LIST_EMPTY(&clients))
        disconnect(LIST_FIRST(&clients));
}

static void on_last_chance(uv_timer_t *timer) {
    (void)timer;
    clients_disconnect_all();
}

static void on_shut_down(uv_shutdown_t *request, int status) {
    (void)status;
    disconnect(request->handle->data);
}

void clients_finish(unsigned milliseconds) {
    uv_close((uv_handle_t *)&listener, NULL);
    if (counts.connected > 0)
        uv_timer_start(&last_chance, on_last_chance, milliseconds, 0);
    for (struct client *client = LIST_FIRST(&clients), *next; client != NULL; client = next) {
        next = LIST_NEXT(client, entry);
        if (uv_shutdown(&client->shutdown, (uv_stream_t *)&client->tcp, on_shut_down) != 0)
            disconnect(client);
    }
}

/* --- Writing ---------------------------------------------------------------------------------- */

void clients_drop_batch(struct batch *batch) {
    if (--batch->holders == 0)
        free(batch);
}

static void on_written(uv_write_t *uv, int status) {
    struct write *write = (struct write *)uv;
    struct client *client = uv->handle->data;
    client->waiting -= write->batch->size + sizeof *write;
    clients_drop_batch(write->batch);
    free(write);
    if (status != 0)
        disconnect(client); /* it has gone, or is going already */
}

static bool start_to_write(struct client *client, struct batch *batch) {
    struct write *write = malloc(sizeof *write);
    if (write == NULL)
        return false;
    uv_buf_t buffer = uv_buf_init(batch->data, (unsigned)batch->size);
    write->batch = batch;
    if (uv_write(&write->uv, (uv_stream_t *)&client->tcp, &buffer, 1, on_written) != 0) {
        free(write);
        return false;
    }
    batch->holders++;
    client->waiting += batch->size + sizeof *write;
    return true;
}

void clients_give(struct batch *batch) {
    for (struct client *client = LIST_FIRST(&clients), *next; client != NULL; client = next) {
        next = LIST_NEXT(client, entry);
        bool slow = client->waiting > settings.limit;
        if (slow && settings.skip) {
            counts.skipped += batch->messages;
        } else if (slow || !start_to_write(client, batch)) {
            counts.dropped++;
            disconnect(client);
        }
    }
}

/* --- Coming ----------------------------------------------------------------------------------- */

/* What a client says is of no interest; that it has gone is. */
static void give_memory(uv_handle_t *handle, size_t size, uv_buf_t *buffer) {
    static char waste[4096];
    (void)handle, (void)size;
    *buffer = uv_buf_init(waste, sizeof waste);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
    (void)buffer;
    if (count < 0)
        disconnect(stream->data);
}

static void on_connection(uv_stream_t *stream, int status) {
    struct client *client = status == 0 ? calloc(1, sizeof *client) : NULL;
    if (client == NULL) {
        complain("accept a client on", settings.host,
                 status == 0 ? "out of memory" : uv_strerror(status), "lower --clients");
        return;
    }
    settings.before_join();
    uv_tcp_init(stream->loop, &client->tcp);
    client->tcp.data = client;
    LIST_INSERT_HEAD(&clients, client, entry);
    counts.connected++;
    uv_stream_t *tcp = (uv_stream_t *)&client->tcp;
    if (uv_accept(stream, tcp) != 0 || counts.connected > settings.most ||
        uv_read_start(tcp, give_memory, on_read) != 0)
        disconnect(client);
    else
        uv_tcp_nodelay(&client->tcp, 1);
}

static int bind_and_listen(struct sockaddr_storage *address) {
    int size = sizeof *address;
    int result = uv_ip4_addr(settings.host, (int)settings.port, (struct sockaddr_in *)address);
    if (result != 0)
        result = uv_ip6_addr(settings.host, (int)settings.port, (struct sockaddr_in6 *)address);
    if (result == 0)
        result = uv_tcp_bind(&listener, (const struct sockaddr *)address, 0);
    if (result == 0)
        result = uv_listen((uv_stream_t *)&listener, 128, on_connection);
    return result != 0 ? result : uv_tcp_getsockname(&listener, (struct sockaddr *)address, &size);
}

bool clients_listen(uv_loop_t *loop, const struct clients_settings *wanted) {
    struct sockaddr_storage address;
    char place[300];
    settings = *wanted;
    uv_timer_init(loop, &last_chance);
    uv_tcp_init(loop, &listener);
    int result = bind_and_listen(&address);
    if (result != 0) {
        snprintf(place, sizeof place, "%s port %" PRIu64, settings.host, settings.port);
        complain("listen on", place, uv_strerror(result),
                 "choose another --port, or an address of this machine (--host)");
        return false;
    }
    /* in6: same place */
    printf("listening on %s:%d\n", settings.host,
           ntohs(((const struct sockaddr_in *)&address)->sin_port));
    fflush(stdout);
    return true;
}

struct clients_counts clients_counts(void) {
    return counts;
}
