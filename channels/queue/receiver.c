/* channels/queue/receiver.c - receiving: leat_recv, leat_recv_many, leat_peek, leat_peek_more,
 * leat_release (leat/channel.h).
 *
 * The lane's position is the *head*: the oldest record neither released nor held. Pads and marks
 * are handled when they are at the head; a mark's event is returned before anything behind it.
 * Peeking reads on from the head without moving it.
 *
 * leat_peek_more moves the head over the messages that it returns. From then until their release
 * they are *held*: before the head, and not released. So everything that waits for a record at the
 * head, a wait set included, waits for what comes behind them. Shared memory does not record that:
 * to the sender they are not released, and a successor begins with them.
 *
 * Streams. Each stream begins with an open mark and, if it was closed, ends with an end mark; the
 * death of a stream shows only in the next stream's open mark. So the events between two records
 * follow from the marks before them, and a receiver that begins in the middle must know the last
 * mark that its predecessors released. They note it in their page, with the position behind it,
 * before they release it. There are two notes, written alternately: a receiver that is killed
 * between the note and the release leaves a note that is ahead of the position, and the other note
 * counts. A receiver that begins behind an open mark reports the end of that stream, whether its
 * predecessor got that event or not. Behind an end mark there is nothing to report.
 */
#include "channels/queue/receiver.h"

#include <string.h>

#include "lib/base/fail.h"

#define COPIED_WITHOUT_CALL LEAT__LINE
#define RARELY(condition) __builtin_expect((condition) != 0, 0)

/* The nap (nap_if_it_pays): figures from docs/decisions/0001-record-layout.md. Its length: fewer
 * messages gather in a shorter nap, hardly more in a longer one
 * (docs/decisions/0007-policies.md). */
#define NAP_NS UINT64_C(1600)
#define NAP_PAUSES 4 /* between readings of the clock */
#define QUICK_FINDS 4
#define WORTHWHILE_BURST 3
#define SUSPENSION_MAX 4096

/* --- Releasing -------------------------------------------------------------------------------- */

/* Updates the counters and wakes senders that wait for room. Called every eighth of the ring, and
 * whenever the ring is empty. */
static void check_in(leat_receiver *receiver) {
    leat__role_flush(&receiver->role);
    leat__role_wake_for_room(&receiver->role);
    receiver->next_check_in = receiver->ring.lane.position + receiver->role.memory.capacity / 8;
}

static void release_to(leat_receiver *receiver, uint64_t end) {
    leat__ring_release(&receiver->ring, end);
    if (RARELY(end >= receiver->next_check_in))
        check_in(receiver);
}

/* Passes a pad or a mark. Behind held messages it is released together with them. */
static void pass(leat_receiver *receiver, uint64_t end) {
    if (RARELY(receiver->ring.held > 0))
        leat__ring_hold(&receiver->ring, end);
    else
        release_to(receiver, end);
}

/* Notes the last mark before `end`, which is about to be released. After a kill at any store one of
 * the two notes is right. */
static void note_mark(leat_receiver *receiver, uint64_t mark, uint64_t end) {
    if (mark == receiver->noted)
        return;
    struct leat__noted_mark *note = &receiver->role.own->marks[receiver->note ^= 1];
    leat__store_release64(&note->end, UINT64_MAX);
    leat__store_release64(&note->says, mark);
    leat__store_release64(&note->end, end);
    receiver->noted = mark;
}

static void pass_mark(leat_receiver *receiver, uint64_t mark, uint64_t end) {
    receiver->stream = mark;
    if (receiver->ring.held == 0)
        note_mark(receiver, mark, end);
    pass(receiver, end);
}

static void count_message(leat_receiver *receiver, uint64_t bytes) {
    receiver->ring.lane.messages++;
    receiver->ring.lane.bytes += bytes;
}

/* --- The head of the queue -------------------------------------------------------------------- */

static void greet(leat_receiver *receiver, uint32_t opened) {
    receiver->role.peer_state = LEAT_PEER_PRESENT;
    receiver->role.peer_seen = opened;
}

static int report_end(leat_receiver *receiver, bool in_order) {
    receiver->role.peer_state = in_order ? LEAT_PEER_CLOSED : LEAT_PEER_DIED;
    return in_order ? LEAT_ECLOSED : LEAT_EPEERDIED;
}

/* An open mark at the head. If there was no end mark before it, the stream before was cut off (or
 * its end mark found no room), and that event is returned first. */
static int pass_open_mark(leat_receiver *receiver, uint64_t payload, uint64_t end) {
    leat_peer before = receiver->role.peer_state;
    uint32_t opened = (uint32_t)payload, closed_before = (uint32_t)(payload >> 32);
    if (before == LEAT_PEER_PRESENT && opened != receiver->role.peer_seen)
        return report_end(receiver, closed_before == opened - 1);
    pass_mark(receiver, opened | LEAT__NOTED_OPEN, end);
    greet(receiver, opened);
    return before == LEAT_PEER_CLOSED || before == LEAT_PEER_DIED ? LEAT_EPEERBACK : LEAT_OK;
}

static int pass_end_mark(leat_receiver *receiver, uint64_t payload, uint64_t end) {
    pass_mark(receiver, (uint32_t)payload | LEAT__NOTED_END, end);
    receiver->role.peer_seen = (uint32_t)payload;
    return report_end(receiver, true);
}

/* A message from a sender whose open mark this receiver has not read: a predecessor passed the mark
 * and noted nothing. */
static int meet_sender(leat_receiver *receiver) {
    leat_peer before = receiver->role.peer_state;
    greet(receiver, leat__load_acquire32(&receiver->role.peer->opened));
    return before == LEAT_PEER_NONE ? LEAT_OK : LEAT_EPEERBACK;
}

/* Passes pads and marks up to the first message. LEAT_EAGAIN: there is none. Bounded: each step
 * passes a record, and after a whole ring without a message it returns. */
static int find_message(leat_receiver *receiver, struct leat__record *record) {
    uint64_t stop = receiver->ring.lane.position + receiver->role.memory.capacity;
    while (receiver->ring.lane.position < stop) {
        int result = leat__ring_poll(&receiver->ring, receiver->ring.lane.position, record);
        if (result != LEAT_OK)
            return result;
        if (__builtin_expect(record->type == LEAT__MESSAGE, 1))
            return RARELY(receiver->role.peer_state != LEAT_PEER_PRESENT) ? meet_sender(receiver)
                                                                          : LEAT_OK;
        uint64_t mark = 0;
        if (record->type == LEAT__PAD)
            pass(receiver, record->end);
        else
            memcpy(&mark, record->payload, sizeof mark);
        if (record->type == LEAT__OPEN_MARK)
            result = pass_open_mark(receiver, mark, record->end);
        if (record->type == LEAT__END_MARK)
            result = pass_end_mark(receiver, mark, record->end);
        if (result != LEAT_OK)
            return result;
    }
    return LEAT_EAGAIN;
}

static bool has_record(struct leat__role *role) {
    const leat_receiver *receiver = leat__receiver_of(role);
    return leat__ring_has(&receiver->ring, receiver->ring.lane.position);
}

static void nap(void) {
    uint64_t end = leat__os_now() + NAP_NS;
    do
        for (int pauses = 0; pauses < NAP_PAUSES; pauses++)
            leat__pause();
    while (leat__os_now() < end);
}

/* When each message is found after a poll or two, sender and receiver move in lock-step, and each
 * message costs the transfer of a line in both directions. A short nap lets a few messages gather,
 * so that a transfer serves several. The receiver naps only where a burst followed the nap before.
 * Otherwise it suspends naps for longer and longer, so that an exchange of single messages is not
 * delayed. Called when the ring has become empty. */
static void nap_if_it_pays(leat_receiver *receiver) {
    /* since the last check-in: since the ring was empty, or for an eighth of the ring */
    uint64_t burst = receiver->ring.lane.messages;
    bool quick = receiver->polls <= 2;
    receiver->polls = 0;
    receiver->quick_finds = quick || receiver->quick_finds < 0 ? receiver->quick_finds + 1 : 0;
    if (receiver->napped && burst < WORTHWHILE_BURST) {
        receiver->suspension =
            receiver->suspension < SUSPENSION_MAX ? receiver->suspension * 2 : SUSPENSION_MAX;
        receiver->quick_finds = -receiver->suspension;
    } else if (receiver->napped) {
        receiver->suspension = LEAT__SUSPENSION_MIN;
    }
    receiver->napped = receiver->quick_finds >= QUICK_FINDS;
    if (receiver->napped)
        nap();
}

static int check_committed(struct leat__role *role) {
    return leat__ring_check_committed(&leat__receiver_of(role)->ring);
}

static int wait_for_message(leat_receiver *receiver, struct leat__record *record,
                            uint64_t deadline_ns) {
    static const struct leat__role_wait arrival = {has_record, true, check_committed};
    if (deadline_ns == LEAT_NOW && receiver->role.object.member != NULL &&
        check_committed(&receiver->role) != LEAT_OK)
        return LEAT_ECORRUPT; /* a loop that is not woken again would never report it */
    if (receiver->ring.lane.messages > 0 && receiver->role.spin.ns > 0)
        nap_if_it_pays(receiver);
    for (;;) {
        check_in(receiver);
        receiver->role.spin.polls = 1; /* the count of a wait that does not spin */
        int result = leat__role_wait(&receiver->role, &arrival, deadline_ns);
        receiver->polls += receiver->role.spin.polls;
        if (result != LEAT_OK)
            return result;
        result = find_message(receiver, record);
        if (result != LEAT_EAGAIN)
            return result;
        /* It was a pad or a mark without an event: wait on. A hostile sender can send these without
         * end, so the deadline is checked here. */
        if (deadline_ns == LEAT_NOW || leat__os_now() >= deadline_ns)
            return deadline_ns == LEAT_NOW ? LEAT_EAGAIN : LEAT_ETIMEDOUT;
    }
}

/* Finds the oldest message, and waits for it until the deadline. */
static int first_message(leat_receiver *receiver, struct leat__record *record,
                         uint64_t deadline_ns) {
    int result = find_message(receiver, record);
    return RARELY(result == LEAT_EAGAIN) ? wait_for_message(receiver, record, deadline_ns) : result;
}

/* The message at or behind a position; any other record than a pad ends a batch. */
static bool next_message(leat_receiver *receiver, uint64_t position, struct leat__record *record) {
    while (leat__ring_poll(&receiver->ring, position, record) == LEAT_OK) {
        if (record->type != LEAT__PAD)
            return record->type == LEAT__MESSAGE;
        position = record->end;
    }
    return false;
}

/* Moves a message that was peeked on the fast path to the slow path. */
static void take_peeked(leat_receiver *receiver) {
    leat_lane *lane = &receiver->ring.lane;
    if (lane->kept == 0)
        return;
    receiver->peeked = 1;
    receiver->peeked_bytes = lane->open_size;
    receiver->peeked_end = lane->position + lane->open_slot;
    lane->kept = 0;
}

/* Every call of the slow path begins with this. */
static int check(leat_receiver *receiver, bool copying) {
    if (RARELY(receiver->role.object.resource.forked))
        return leat__role_fail_forked();
    take_peeked(receiver);
    if (RARELY(receiver->ring.corrupt))
        return leat__fail(LEAT_ECORRUPT, 0, "the sender wrote what no correct sender writes");
    if (RARELY(copying && receiver->peeked > 0))
        return leat__fail(LEAT_ESTATE, 0, "%zu messages are peeked at and not released",
                          receiver->peeked);
    return LEAT_OK;
}

static int check_batch(leat_receiver *receiver, size_t max, bool copying) {
    int result = check(receiver, copying);
    return result == LEAT_OK && max == 0 ? leat__fail(LEAT_EINVAL, 0, "room for no message")
                                         : result;
}

/* --- By copy ---------------------------------------------------------------------------------- */

/* Opens the fast path for messages (leat/inline.h). */
static void open_fast_path(leat_receiver *receiver) {
    struct leat__ring_receiver *ring = &receiver->ring;
    bool slow = receiver->peeked > 0 || ring->lane.kept != 0 ||
                receiver->role.peer_state != LEAT_PEER_PRESENT || ring->corrupt;
    uint64_t limit = leat__ring_lap_end(&ring->memory, ring->lane.position);
    slow = slow || receiver->next_check_in == 0; /* nothing has been released yet */
    limit = receiver->next_check_in <= limit ? receiver->next_check_in - 1 : limit;
    ring->lane.fast_limit = slow ? 0 : limit;
}

/* The slow path; out of line, so that the fast path needs no stack. */
static __attribute__((noinline)) int receive(leat_receiver *receiver, void *buffer, size_t capacity,
                                             size_t *size, uint64_t deadline_ns) {
    struct leat__record record;
    int result = check(receiver, true);
    if (result == LEAT_OK)
        result = first_message(receiver, &record, deadline_ns);
    if (result == LEAT_OK) {
        *size = (size_t)record.length;
        if (record.length > capacity)
            result = leat__fail(LEAT_EMSGSIZE, 0, "%llu bytes have arrived, the buffer holds %zu",
                                (unsigned long long)record.length, capacity);
    }
    if (result == LEAT_OK) {
        leat__copy(buffer, record.payload, (size_t)record.length, SIZE_MAX,
                   receiver->ring.lane.piece);
        count_message(receiver, record.length);
        release_to(receiver, record.end);
    }
    if (!receiver->role.object.resource.forked)
        open_fast_path(receiver);
    return result;
}

/* The fast path of messages longer than a line; out of line for the same reason. */
static __attribute__((noinline)) int receive_lines(leat_receiver *receiver, void *buffer,
                                                   size_t capacity, size_t *size,
                                                   uint64_t deadline_ns) {
    if (RARELY(!leat__lane_receive(&receiver->ring.lane, buffer, capacity, size)))
        return receive(receiver, buffer, capacity, size, deadline_ns);
    return LEAT_OK;
}

int leat_recv(leat_receiver *receiver, void *buffer, size_t capacity, size_t *size,
              uint64_t deadline_ns) {
    size_t at_once = capacity < COPIED_WITHOUT_CALL ? capacity : COPIED_WITHOUT_CALL;
    if (RARELY(!leat__lane_receive(&receiver->ring.lane, buffer, at_once, size)))
        return receive_lines(receiver, buffer, capacity, size, deadline_ns);
    return LEAT_OK;
}

/* A caller's room for messages, and the messages in it. */
struct batch {
    unsigned char *buffer;
    size_t capacity; /* the rest of the buffer, bytes */
    leat_message *messages;
    size_t max, done;
    uint64_t end; /* position behind them: they are released together */
};

/* Adds a message whose bytes are in the buffer; the next one is aligned to 8 bytes. */
static inline void note(struct batch *batch, size_t size) {
    batch->messages[batch->done++] = (leat_message){batch->buffer, size};
    size_t taken = (size + 7) & ~(size_t)7;
    taken = taken < batch->capacity ? taken : batch->capacity;
    batch->buffer += taken;
    batch->capacity -= taken;
}

/* Takes the messages behind the batch's end on the fast path, as far as they fit. Works on copies,
 * so that all stays in registers. */
static void take_fast(leat_receiver *receiver, struct batch *into) {
    const leat_lane lane = receiver->ring.lane;
    struct batch batch = *into;
    uint64_t bytes = 0;
    while (batch.done < batch.max) {
        const uint64_t *record = leat__lane_at(&lane, batch.end);
        const uint64_t length = leat__lane_poll(record, batch.end), slot = leat__slot_size(length);
        if (length > lane.max || length > batch.capacity ||
            !leat__lane_goes(&lane, batch.end, slot))
            break;
        leat__copy(batch.buffer, record + 1, (size_t)length, SIZE_MAX, lane.piece);
        note(&batch, (size_t)length);
        bytes += length;
        batch.end += slot;
    }
    receiver->ring.lane.messages += batch.done;
    receiver->ring.lane.bytes += bytes;
    *into = batch;
}

/* Takes the messages that the fast path does not. */
static void take_all(leat_receiver *receiver, struct batch *batch, struct leat__record *record) {
    while (batch->done < batch->max && record->length <= batch->capacity) {
        leat__copy(batch->buffer, record->payload, (size_t)record->length, SIZE_MAX,
                   receiver->ring.lane.piece);
        note(batch, (size_t)record->length);
        count_message(receiver, record->length);
        batch->end = record->end;
        if (!next_message(receiver, batch->end, record))
            break;
    }
}

int leat_recv_many(leat_receiver *receiver, void *buffer, size_t capacity, leat_message *messages,
                   size_t max, size_t *count, uint64_t deadline_ns) {
    struct batch batch = {buffer, capacity, messages, max, 0, receiver->ring.lane.position};
    struct leat__record record;
    take_fast(receiver, &batch);
    if (batch.done == 0) {
        int result = check_batch(receiver, max, true);
        if (result == LEAT_OK)
            result = first_message(receiver, &record, deadline_ns);
        receiver->ring.lane.fast_limit = 0; /* its premises may have changed */
        if (result != LEAT_OK)
            return result;
        take_all(receiver, &batch, &record);
    } else if (batch.done < max && next_message(receiver, batch.end, &record)) {
        take_all(receiver, &batch, &record);
    }
    if (batch.done > 0)
        release_to(receiver, batch.end);
    open_fast_path(receiver);
    if (batch.done == 0) {
        messages[0] = (leat_message){NULL, (size_t)record.length};
        return leat__fail(LEAT_EMSGSIZE, 0, "%llu bytes have arrived, the buffer holds %zu",
                          (unsigned long long)record.length, capacity);
    }
    *count = batch.done;
    return LEAT_OK;
}

/* --- In place --------------------------------------------------------------------------------- */

/* Adds a peeked message to those delivered from the head on. */
static void hand_out(leat_receiver *receiver, leat_message *messages, const void *data, size_t size,
                     uint64_t end) {
    messages[receiver->peeked++] = (leat_message){data, size};
    receiver->peeked_bytes += size;
    receiver->peeked_end = end;
}

static void hand_out_fast(leat_receiver *receiver, leat_message *messages, size_t max) {
    const leat_lane *lane = &receiver->ring.lane;
    while (receiver->peeked < max) {
        uint64_t start = receiver->peeked_end;
        const uint64_t *record = leat__lane_at(lane, start);
        uint64_t length = leat__lane_poll(record, start), slot = leat__slot_size(length);
        if (length > lane->max || !leat__lane_goes(lane, start, slot))
            break;
        hand_out(receiver, messages, record + 1, (size_t)length, start + slot);
    }
}

static void hand_out_from(leat_receiver *receiver, leat_message *messages, size_t max,
                          struct leat__record *record) {
    do
        hand_out(receiver, messages, record->payload, (size_t)record->length, record->end);
    while (receiver->peeked < max && next_message(receiver, record->end, record));
}

/* Goes back to the oldest message. The next check-in was due at a position further on, so it is
 * made here. */
static void recheck(leat_receiver *receiver) {
    receiver->peeked = 0;
    receiver->peeked_bytes = 0;
    if (receiver->ring.held == 0)
        return;
    leat__ring_unhold(&receiver->ring);
    receiver->stream = receiver->oldest_stream;
    receiver->role.peer_state = receiver->oldest_state;
    receiver->role.peer_seen = receiver->oldest_seen;
    check_in(receiver);
}

int leat_peek_many(leat_receiver *receiver, leat_message *messages, size_t max, size_t *count,
                   uint64_t deadline_ns) {
    struct leat__record record;
    int result = check_batch(receiver, max, false);
    if (RARELY(result != LEAT_OK))
        return result;
    recheck(receiver);
    receiver->peeked_end = receiver->ring.lane.position;
    hand_out_fast(receiver, messages, max);
    if (receiver->peeked == 0)
        result = first_message(receiver, &record, deadline_ns);
    else if (receiver->peeked == max || !next_message(receiver, receiver->peeked_end, &record))
        max = receiver->peeked;
    if (result == LEAT_OK && receiver->peeked < max)
        hand_out_from(receiver, messages, max, &record);
    open_fast_path(receiver); /* this closes it while a message is peeked */
    if (result == LEAT_OK)
        *count = receiver->peeked;
    return result;
}

static void note_oldest(leat_receiver *receiver) {
    if (receiver->ring.held > 0)
        return;
    receiver->oldest_state = receiver->role.peer_state;
    receiver->oldest_seen = receiver->role.peer_seen;
    receiver->oldest_stream = receiver->stream;
}

/* Delivers and holds messages from the head on; the head moves behind them. */
static size_t hold_from(leat_receiver *receiver, leat_message *messages, size_t max,
                        struct leat__record *record) {
    size_t done = 0;
    note_oldest(receiver);
    do {
        messages[done++] = (leat_message){record->payload, (size_t)record->length};
        receiver->peeked_bytes += record->length;
        leat__ring_hold(&receiver->ring, record->end);
    } while (done < max && next_message(receiver, record->end, record));
    receiver->peeked += done;
    return done;
}

int leat_peek_more(leat_receiver *receiver, leat_message *messages, size_t max, size_t *count,
                   uint64_t deadline_ns) {
    struct leat__record record;
    int result = check_batch(receiver, max, false);
    if (result != LEAT_OK)
        return result;
    if (receiver->peeked > 0 && receiver->ring.held == 0) { /* peeked without moving the head */
        note_oldest(receiver);
        leat__ring_hold(&receiver->ring, receiver->peeked_end);
    }
    receiver->ring.lane.fast_limit = 0;
    result = first_message(receiver, &record, deadline_ns);
    if (result == LEAT_OK)
        *count = hold_from(receiver, messages, max, &record);
    receiver->peeked_end = receiver->ring.lane.position; /* with the marks that were passed */
    open_fast_path(receiver);
    return result;
}

int leat_peek(leat_receiver *receiver, leat_message *message, uint64_t deadline_ns) {
    size_t amount;
    if (RARELY(!leat__lane_peek(&receiver->ring.lane, message)))
        return leat_peek_many(receiver, message, 1, &amount, deadline_ns);
    return LEAT_OK;
}

/* A mark is released with the messages around it: then its event belongs to what was known before
 * the oldest message that stays. A death has no mark of its own, only the next sender's. */
static void pass_oldest(leat_receiver *receiver, const struct leat__record *record) {
    uint64_t mark;
    memcpy(&mark, record->payload, sizeof mark);
    receiver->oldest_seen = (uint32_t)mark;
    receiver->oldest_state = record->type == LEAT__OPEN_MARK ? LEAT_PEER_PRESENT : LEAT_PEER_CLOSED;
    receiver->oldest_stream =
        (uint32_t)mark | (record->type == LEAT__OPEN_MARK ? LEAT__NOTED_OPEN : LEAT__NOTED_END);
}

/* Finds the end of the first `amount` peeked messages by walking over them again: their headers are
 * still there. Between held messages there are marks, whose events were reported. */
static int end_of(leat_receiver *receiver, size_t amount, uint64_t *end, uint64_t *bytes) {
    struct leat__record record;
    *end = leat__ring_oldest(&receiver->ring);
    *bytes = 0;
    while (amount > 0) {
        if (leat__ring_poll(&receiver->ring, *end, &record) != LEAT_OK ||
            record.end > receiver->peeked_end) {
            receiver->ring.corrupt = true;
            return leat__fail(LEAT_ECORRUPT, 0, "the sender changed messages that it had sent");
        }
        *end = record.end;
        if (record.type == LEAT__OPEN_MARK || record.type == LEAT__END_MARK)
            pass_oldest(receiver, &record);
        if (record.type != LEAT__MESSAGE)
            continue;
        *bytes += record.length;
        amount--;
    }
    return LEAT_OK;
}

static __attribute__((noinline)) int release_slowly(leat_receiver *receiver, size_t amount) {
    int result = check(receiver, false);
    if (result == LEAT_OK && amount > receiver->peeked)
        result = leat__fail(LEAT_ESTATE, 0, "%zu to release, %zu are peeked at", amount,
                            receiver->peeked);
    uint64_t end = receiver->peeked_end, bytes = receiver->peeked_bytes;
    if (result == LEAT_OK && amount < receiver->peeked)
        result = end_of(receiver, amount, &end, &bytes);
    if (result != LEAT_OK || amount == 0)
        return result;
    receiver->peeked -= amount;
    receiver->peeked_bytes -= bytes;
    receiver->ring.lane.messages += amount;
    receiver->ring.lane.bytes += bytes;
    bool was_held = receiver->ring.held > 0;
    if (was_held) /* marks may be among them */
        note_mark(receiver,
                  end == receiver->peeked_end ? receiver->stream : receiver->oldest_stream, end);
    release_to(receiver, end);
    /* the ring may have been empty before: no later check-in would wake a sender that waits */
    if (was_held)
        check_in(receiver);
    open_fast_path(receiver);
    return LEAT_OK;
}

int leat_release(leat_receiver *receiver, size_t count) {
    if (RARELY(count != 1 || !leat__lane_release_open(&receiver->ring.lane)))
        return release_slowly(receiver, count);
    return LEAT_OK;
}

void leat_unpeek(leat_receiver *receiver) {
    if (receiver->role.object.resource.forked)
        return;
    take_peeked(receiver);
    if (receiver->peeked == 0)
        return;
    recheck(receiver);
    open_fast_path(receiver);
}

/* --- Where to begin --------------------------------------------------------------------------- */

/* The mark of the newer of the two notes, without notes that are ahead of the released position. */
static uint64_t read_note(leat_receiver *receiver) {
    const struct leat__noted_mark *marks = receiver->role.own->marks;
    uint64_t newest = 0, mark = 0;
    for (unsigned i = 0; i < 2; i++) {
        uint64_t end = leat__load_acquire64(&marks[i].end),
                 says = leat__load_acquire64(&marks[i].says);
        if (says == 0 || end > receiver->ring.lane.position || end < newest)
            continue;
        newest = end;
        mark = says;
        receiver->note = i;
    }
    return mark;
}

/* Behind an end mark, or before all marks, the first stream is no event. Where nothing was noted, a
 * sender that is there, or that died there, is an event. */
void leat__receiver_begin(leat_receiver *receiver) {
    struct leat__role *role = &receiver->role;
    receiver->stream = receiver->noted = read_note(receiver);
    role->peer_seen = (uint32_t)receiver->stream;
    if ((receiver->stream & LEAT__NOTED_OPEN) != 0)
        role->peer_state = LEAT_PEER_PRESENT;
    if (receiver->stream != 0)
        return;
    uint32_t opened = leat__load_acquire32(&role->peer->opened),
             closed = leat__load_acquire32(&role->peer->closed);
    role->peer_seen = opened == closed ? opened : opened - 1;
}

/* --- The sender, and queries ------------------------------------------------------------------ */

static bool sender_is_there(struct leat__role *role) {
    return has_record(role) || leat__role_finds_peer(role);
}

int leat_receiver_wait_peer(leat_receiver *receiver, uint64_t deadline_ns) {
    static const struct leat__role_wait arrival = {sender_is_there, false, NULL};
    int result = check(receiver, false);
    return result == LEAT_OK ? leat__role_wait(&receiver->role, &arrival, deadline_ns) : result;
}

leat_peer leat_receiver_peer(const leat_receiver *receiver) {
    return receiver->role.object.resource.forked ? LEAT_PEER_NONE
                                                 : leat__role_peer(&receiver->role);
}

size_t leat_receiver_max_message(const leat_receiver *receiver) {
    return (size_t)leat__max_message(receiver->role.memory.capacity);
}

void leat_receiver_statistics(const leat_receiver *receiver, leat_statistics *statistics) {
    *statistics = (leat_statistics){0};
    if (!receiver->role.object.resource.forked)
        leat__role_statistics(&receiver->role, statistics);
}
