/* fan_out_clients.h - the TCP side of fan_out_tcp.c: clients that come and go, and what waits for
 * each of them. One loop's, and one set for each process.
 *
 * A batch is written to all clients at once and is in memory once, until the last of them has taken
 * it. For one client at most `limit` bytes and one batch wait: who is slower is disconnected, or,
 * with `skip`, misses whole batches until it has caught up.
 */
#ifndef LEAT_EXAMPLES_FAN_OUT_CLIENTS_H
#define LEAT_EXAMPLES_FAN_OUT_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct batch {
    unsigned holders; /* free when none is left */
    uint64_t messages;
    size_t size, room;
    char data[];
};

struct clients_settings {
    const char *host;
    uint64_t port;  /* 0: any */
    uint64_t limit; /* bytes */
    uint64_t most;  /* clients; one more is disconnected */
    bool skip;
    void (*before_join)(void); /* called before a client is one */
};

struct clients_counts {
    uint64_t connected, dropped, skipped;
};

/* Prints "listening on ADDRESS:PORT". False, with a complaint, when it cannot. */
bool clients_listen(uv_loop_t *loop, const struct clients_settings *settings);

void clients_give(struct batch *batch);
void clients_drop_batch(struct batch *batch);

/* Accepts no more, lets clients have what waits for them for so long, and disconnects them. */
void clients_finish(unsigned milliseconds);
void clients_disconnect_all(void);

struct clients_counts clients_counts(void);

#endif
