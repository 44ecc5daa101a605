/* soak_channel.c - see soak.h: the roles in channels. All of them note on the board before and
 * after each call what a kill in it may leave undecided. */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "soak.h"

static uint64_t some_deadline(struct soak_role *role) {
    switch (soak_random(&role->random) % 4) {
    case 0:
        return LEAT_NOW;
    case 1:
        return leat_in_ms(1 + soak_random(&role->random) % 20);
    default:
        return leat_in_ms(50 + soak_random(&role->random) % 900);
    }
}

static int32_t some_spin(struct soak_role *role) {
    static const int32_t all[] = {0,
                                  0,
                                  0,
                                  LEAT_SPIN_NONE,
                                  LEAT_SPIN_NONE,
                                  LEAT_SPIN_NONE,
                                  LEAT_SPIN_YIELD,
                                  LEAT_SPIN_FOREVER,
                                  2000};
    return all[soak_random(&role->random) % (sizeof all / sizeof all[0])];
}

static bool goes_on(struct soak_role *role) {
    return !role->stop && !soak->over && leat_now() < role->until;
}

static leat_channel_options options_of(struct soak_role *role) {
    return (leat_channel_options){.scope = soak_scope(role->stream->global),
                                  .capacity = 16384,
                                  .many_senders = role->stream->many,
                                  .persistent = role->stream->persistent,
                                  .spin_us = some_spin(role),
                                  .permissions = role->stream->global ? 0666 : 0600};
}

/* Chooses one; a doomed worker opens nothing any more, because its kill has been counted. */
static void choose_stream(struct soak_role *role, _Atomic uint32_t *where) {
    uint32_t which =
        role->foreign ? SOAK_STREAMS - 1 : (uint32_t)(soak_random(&role->random) % SOAK_STREAMS);
    role->stream = &soak->streams[which];
    *where = which + 1;
    while (role->worker->doomed)
        soak_sleep_us(1000);
}

/* Notes a result of a call that is no failure. */
static void judge(struct soak_role *role, const char *call, int code, struct soak_side *peer,
                  uint64_t since) {
    if (code == LEAT_EPEERDIED)
        soak_told_of_death(role, peer, since);
    else if (code != LEAT_OK && code != LEAT_EAGAIN && code != LEAT_ETIMEDOUT &&
             code != LEAT_ECLOSED && code != LEAT_EPEERBACK)
        soak_unexpected(call, role->stream->word, code);
}

/* --- Sending ---------------------------------------------------------------------------------- */

struct batch {
    leat_message messages[SOAK_BATCH];
    unsigned char bytes[SOAK_BATCH][SOAK_MESSAGE_MAX];
};

static bool open_sender(struct soak_role *role) {
    char name[96];
    leat_channel_options options = options_of(role);
    const char *word = soak_name(name, role->stream->word, role->stream->global);
    if (!soak_opened("leat_sender_open", word,
                     SOAK_CALL(role, 0, leat_sender_open(&role->tx, word, &options))))
        return false;
    uint64_t record = ++soak->records_used;
    if (record >= SOAK_RECORDS)
        return false;
    role->record = &soak->records[record];
    role->record->stream = (uint32_t)(role->stream - soak->streams);
    role->record->owner = soak_opening(role);
    role->deaths_told = 0;
    role->deaths_before = role->stream->receiver.kills;
    if (!role->stream->many)
        role->stream->sender.owner = role->record->owner;
    return true;
}

static uint32_t record_number(const struct soak_role *role) {
    return (uint32_t)(role->record - soak->records);
}

static size_t some_size(struct soak_role *role) {
    uint64_t random = soak_random(&role->random);
    return 32 + (size_t)(random % 16 == 0 ? (random >> 8) % (SOAK_MESSAGE_MAX - 31)
                                          : (random >> 8) % 200);
}

static void committed(struct soak_role *role, uint64_t count) {
    role->record->committed += count;
    role->stream->committed += count;
    role->record->attempted = role->record->committed;
    if (soak->fault == SOAK_LOSE && count > 0 && soak_chance(&role->random, 200)) {
        role->record->attempted++; /* planted: one that was never sent counts as sent */
        role->record->committed++;
        role->stream->committed++;
    }
}

static int send_one(struct soak_role *role, struct batch *batch, uint64_t deadline) {
    size_t size = some_size(role);
    soak_fill(batch->bytes[0], size, role->record->stream, record_number(role),
              role->record->committed);
    role->record->attempted++;
    role->in_send = true;
    int code = SOAK_WAIT(role, deadline, leat_send(role->tx, batch->bytes[0], size, deadline));
    role->in_send = false;
    if (code == LEAT_OK && soak->fault == SOAK_DOUBLE && soak_chance(&role->random, 200))
        (void)!leat_send(role->tx, batch->bytes[0], size, LEAT_NOW); /* planted */
    committed(role, code == LEAT_OK);
    return code;
}

static int send_batch(struct soak_role *role, struct batch *batch, uint64_t deadline) {
    size_t count = 1 + (size_t)(soak_random(&role->random) % SOAK_BATCH), sent = 0;
    for (size_t i = 0; i < count; i++) {
        batch->messages[i] = (leat_message){batch->bytes[i], some_size(role)};
        soak_fill(batch->bytes[i], batch->messages[i].size, role->record->stream,
                  record_number(role), role->record->committed + i);
    }
    role->record->attempted += count;
    int code = SOAK_WAIT(role, deadline,
                         leat_send_many(role->tx, batch->messages, count, &sent, deadline));
    committed(role, sent);
    return code;
}

static int send_in_place(struct soak_role *role, uint64_t deadline) {
    size_t size = some_size(role);
    void *to;
    role->in_send = true;
    int code = SOAK_WAIT(role, deadline, leat_reserve(role->tx, SOAK_MESSAGE_MAX, &to, deadline));
    role->in_send = false;
    if (code != LEAT_OK)
        return code;
    soak_fill(to, size, role->record->stream, record_number(role), role->record->committed);
    if (soak_chance(&role->random, 8)) {
        leat_abort(role->tx);
        return LEAT_OK;
    }
    role->record->attempted++;
    int result = SOAK_CALL(role, 0, leat_commit(role->tx, size));
    if (result != LEAT_OK)
        soak_unexpected("leat_commit", role->stream->word, result);
    committed(role, result == LEAT_OK);
    return result;
}

static int send_some(struct soak_role *role, struct batch *batch, uint64_t deadline) {
    switch (soak_random(&role->random) % 3) {
    case 0:
        return send_batch(role, batch, deadline);
    case 1:
        return send_in_place(role, deadline);
    default:
        return send_one(role, batch, deadline);
    }
}

static void ask_for_receiver(struct soak_role *role) {
    struct soak_side *side = &role->stream->receiver;
    soak_id owner = side->owner;
    int peer = SOAK_CALL(role, 0, (int)leat_sender_peer(role->tx));
    if (peer != LEAT_PEER_PRESENT && peer != LEAT_PEER_UNKNOWN && soak_alive(owner) &&
        side->owner == owner)
        SOAK_FIND("stream '%s': misjudged: its receiver lives, and its sender sees %d",
                  role->stream->word, peer);
}

void soak_send(struct soak_role *role) {
    struct batch batch;
    choose_stream(role, &role->thread->sending);
    if (!open_sender(role))
        return;
    while (goes_on(role)) {
        uint64_t deadline = some_deadline(role), since = leat_now();
        judge(role, "a send", send_some(role, &batch, deadline), &role->stream->receiver, since);
        if (soak_chance(&role->random, 30))
            ask_for_receiver(role);
        if (soak_chance(&role->random, 3000))
            soak_fork(role);
        if (soak_chance(&role->random, 20))
            soak_sleep_us(soak_random(&role->random) % 3000);
    }
    if (soak_chance(&role->random, 4)) {
        uint64_t deadline = leat_in_ms(100), since = leat_now();
        int code = SOAK_WAIT(role, deadline, leat_sender_drain(role->tx, deadline));
        judge(role, "leat_sender_drain", code, &role->stream->receiver, since);
    }
}

/* --- Receiving -------------------------------------------------------------------------------- */

static bool open_receiver(struct soak_role *role) {
    char name[96];
    leat_channel_options options = options_of(role);
    const char *word = soak_name(name, role->stream->word, role->stream->global);
    if (!soak_opened("leat_receiver_open", word,
                     SOAK_CALL(role, 0, leat_receiver_open(&role->rx, word, &options))))
        return false;
    soak_taking_over(role);
    role->deaths_before = 0;
    role->stream->receiver.owner = soak_opening(role);
    return true;
}

static int receive_copy(struct soak_role *role, uint64_t deadline) {
    unsigned char bytes[SOAK_MESSAGE_MAX];
    size_t size = 0;
    role->stream->copying = 1;
    int code = SOAK_WAIT(role, deadline, leat_recv(role->rx, bytes, sizeof bytes, &size, deadline));
    if (code == LEAT_OK)
        soak_received(role, bytes, size);
    role->stream->copying = 0;
    return code;
}

static int receive_copies(struct soak_role *role, uint64_t deadline) {
    _Alignas(8) unsigned char bytes[4 * SOAK_MESSAGE_MAX];
    leat_message messages[SOAK_BATCH];
    size_t count = 0;
    role->stream->copying = SOAK_BATCH;
    int code = SOAK_WAIT(
        role, deadline,
        leat_recv_many(role->rx, bytes, sizeof bytes, messages, SOAK_BATCH, &count, deadline));
    for (size_t i = 0; code == LEAT_OK && i < count; i++) {
        role->stream->copying = count - i;
        soak_received(role, messages[i].data, messages[i].size);
    }
    role->stream->copying = 0;
    return code;
}

static void release(struct soak_role *role, const leat_message *messages, size_t count) {
    role->stream->showing = count;
    for (size_t i = 0; i < count; i++)
        soak_received(role, messages[i].data, messages[i].size);
    if (soak_chance(&role->random, 50))
        soak_sleep_us(500); /* a kill here shows them again */
    int code = SOAK_CALL(role, 0, leat_release(role->rx, count));
    role->stream->showing = 0;
    if (code != LEAT_OK)
        soak_unexpected("leat_release", role->stream->word, code);
}

static int receive_in_place(struct soak_role *role, uint64_t deadline) {
    leat_message messages[SOAK_BATCH];
    size_t count = 0, more = 0;
    int code = SOAK_WAIT(role, deadline,
                         leat_peek_many(role->rx, messages, SOAK_BATCH / 2, &count, deadline));
    if (code != LEAT_OK)
        return code;
    if (soak_chance(&role->random, 4)) {
        leat_unpeek(role->rx);
        return LEAT_OK;
    }
    if (soak_chance(&role->random, 2) && role->stream->persistent) {
        int result = SOAK_CALL(
            role, 0,
            leat_peek_more(role->rx, messages + count, SOAK_BATCH - count, &more, LEAT_NOW));
        judge(role, "leat_peek_more", result, &role->stream->sender, leat_now());
        count += result == LEAT_OK ? more : 0;
    }
    release(role, messages, count);
    return LEAT_OK;
}

/* Receives by copy only in streams of one sender: there the successor's first message shows what a
 * kill took. */
static int receive_some(struct soak_role *role, uint64_t deadline) {
    switch (role->stream->many ? 2 : soak_random(&role->random) % 3) {
    case 0:
        return receive_copy(role, deadline);
    case 1:
        return receive_copies(role, deadline);
    default:
        return receive_in_place(role, deadline);
    }
}

static int receive_and_judge(struct soak_role *role, uint64_t deadline) {
    bool pending = soak_pending(role->stream);
    uint64_t since = leat_now();
    int code = receive_some(role, deadline);
    if (code == LEAT_OK && soak->fault == SOAK_DEAD && soak_chance(&role->random, 100))
        code = LEAT_EPEERDIED; /* planted */
    if (pending && (code == LEAT_EAGAIN || code == LEAT_ETIMEDOUT))
        SOAK_FIND("stream '%s': missed: %s with %lld messages in the channel", role->stream->word,
                  leat_error_name(code),
                  (long long)(role->stream->committed - role->stream->received));
    judge(role, "a receive", code, &role->stream->sender, since);
    return code;
}

static void ask_for_sender(struct soak_role *role) {
    struct soak_side *side = &role->stream->sender;
    soak_id owner = side->owner;
    int peer = SOAK_CALL(role, 0, (int)leat_receiver_peer(role->rx));
    if (peer != LEAT_PEER_PRESENT && peer != LEAT_PEER_UNKNOWN && soak_alive(owner) &&
        side->owner == owner)
        SOAK_FIND("stream '%s': misjudged: its sender lives, and its receiver sees %d",
                  role->stream->word, peer);
}

/* With a wait set: receives from all ready members, then sleeps; the sleep must not miss
 * messages. */
static void turn(struct soak_role *role) {
    void *data;
    int code;
    while ((code = SOAK_CALL(role, 0, leat_waitset_next(role->waitset, &data))) == LEAT_OK)
        if (receive_and_judge(role, LEAT_NOW) == LEAT_EAGAIN || !goes_on(role))
            break;
    if (code != LEAT_EAGAIN) {
        if (code != LEAT_OK)
            soak_unexpected("leat_waitset_next", role->stream->word, code);
        return;
    }
    bool pending = soak_pending(role->stream);
    struct pollfd poll_for = {leat_waitset_descriptor(role->waitset), POLLIN, 0};
    if (poll(&poll_for, 1, 100) == 0 && pending && poll(&poll_for, 1, 0) == 0)
        SOAK_FIND("stream '%s': missed: a loop slept over messages", role->stream->word);
}

static bool open_notify(struct soak_role *role) {
    int code = SOAK_CALL(role, 0, leat_waitset_open(&role->waitset));
    if (code == LEAT_OK)
        code = SOAK_CALL(role, 0, leat_waitset_add_receiver(role->waitset, role->rx, role->rx));
    if (code != LEAT_OK)
        soak_unexpected("a wait set", role->stream->word, code);
    return code == LEAT_OK;
}

void soak_receive(struct soak_role *role) {
    choose_stream(role, &role->thread->receiving);
    if (!open_receiver(role))
        return;
    bool loop = soak_chance(&role->random, 4) && open_notify(role);
    while (goes_on(role)) {
        if (loop)
            turn(role);
        else
            (void)receive_and_judge(role, some_deadline(role));
        if (soak_chance(&role->random, 30))
            ask_for_sender(role);
        if (soak_chance(&role->random, 3000))
            soak_fork(role);
        if (soak_chance(&role->random, 100))
            soak_sleep_us(soak_random(&role->random) % 3000);
    }
}

/* The auditor receives everything that is left. */
void soak_drain(struct soak_role *role, struct soak_stream *stream) {
    int code = LEAT_OK;
    role->stream = stream;
    if (!open_receiver(role)) {
        SOAK_FIND("stream '%s': nobody is left, and the role of the receiver cannot be had",
                  stream->word);
        return;
    }
    for (unsigned event = 0; code != LEAT_EAGAIN && event < 100000; event += code != LEAT_OK) {
        code = receive_in_place(role, LEAT_NOW);
        judge(role, "a receive", code, &stream->sender, leat_now());
    }
    soak_settle_stream(stream);
    soak_close(role);
}

/* --- Looking ---------------------------------------------------------------------------------- */

static void look_at_channel(struct soak_role *role, struct soak_stream *stream) {
    char name[96];
    leat_channel_info info;
    soak_id sender = stream->sender.owner, receiver = stream->receiver.owner;
    const char *word = soak_name(name, stream->word, stream->global);
    int code = SOAK_CALL(role, 0, leat_channel_stat(word, soak_scope(stream->global), &info));
    if (code == LEAT_ENOENT && !stream->persistent && !soak_alive(sender) && !soak_alive(receiver))
        return;
    if (code != LEAT_OK && (code != LEAT_ENOENT ||
                            (stream->sender.owner == sender && stream->receiver.owner == receiver)))
        soak_unexpected("leat_channel_stat", word, code);
    if (code != LEAT_OK)
        return;
    if (soak_alive(sender) && stream->sender.owner == sender && info.sender != LEAT_PEER_PRESENT &&
        info.sender != LEAT_PEER_UNKNOWN)
        SOAK_FIND("stream '%s': misjudged: its sender lives, and is shown as %d", stream->word,
                  (int)info.sender);
    if (soak_alive(receiver) && stream->receiver.owner == receiver &&
        info.receiver != LEAT_PEER_PRESENT && info.receiver != LEAT_PEER_UNKNOWN)
        SOAK_FIND("stream '%s': misjudged: its receiver lives, and is shown as %d", stream->word,
                  (int)info.receiver);
}

static int count_object(const leat_object_info *info, void *context) {
    (void)info;
    ++*(unsigned *)context;
    return 0;
}

static void note_removed(const leat_object_info *info, void *context) {
    (void)context;
    soak->counts.gcs++;
    for (unsigned i = 0; i < SOAK_STREAMS; i++)
        if (soak->streams[i].persistent && strcmp(soak->streams[i].word, info->name) == 0)
            SOAK_FIND("leat_gc removed the persistent '%s'", info->name);
}

static void look_at_mutex(struct soak_role *role, struct soak_mutex *mutex) {
    char name[96];
    leat_sync_info info;
    soak_id holder = mutex->holder;
    const char *word = soak_name(name, mutex->word, mutex->global);
    int code = SOAK_CALL(role, 0, leat_sync_stat(word, soak_scope(mutex->global), &info));
    if (code != LEAT_OK && (code != LEAT_ENOENT || mutex->persistent))
        soak_unexpected("leat_sync_stat", word, code);
    if (code == LEAT_OK && soak_alive(holder) && mutex->holder == holder && !info.held)
        SOAK_FIND("mutex '%s': misjudged: its holder %llx lives, and is not shown (holder %u, %u "
                  "handles, abandoned %d)",
                  mutex->word, (unsigned long long)holder, (unsigned)info.holder,
                  (unsigned)info.handles, info.abandoned);
}

void soak_look(struct soak_role *role) {
    while (goes_on(role)) {
        unsigned count = 0;
        bool global = role->foreign || soak_chance(&role->random, 4);
        struct soak_stream *stream =
            &soak->streams[role->foreign ? SOAK_STREAMS - 1
                                         : soak_random(&role->random) % SOAK_STREAMS];
        look_at_channel(role, stream);
        struct soak_mutex *mutex = &soak->mutexes[soak_random(&role->random) % SOAK_MUTEXES];
        if (!role->foreign || mutex->global)
            look_at_mutex(role, mutex);
        int code = global ? SOAK_CALL(role, 0, leat_list(LEAT_GLOBAL, count_object, &count))
                          : SOAK_CALL(role, 0, leat_list(LEAT_LOCAL, count_object, &count));
        if (code != LEAT_OK)
            soak_unexpected("leat_list", "", code);
        if (soak_chance(&role->random, 4)) {
            code = SOAK_CALL(role, 0, leat_gc(LEAT_LOCAL, note_removed, NULL));
            if (code != LEAT_OK)
                soak_unexpected("leat_gc", "", code);
        }
        soak_sleep_us(soak_random(&role->random) % 20000);
    }
}
