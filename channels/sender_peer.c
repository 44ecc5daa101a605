/* channels/sender_peer.c - a sender's coming and going, and what it knows of the receiver (leat/channel.h).
 *
 * A stream is delimited in the ring itself: the sender that comes when nobody is there writes an open mark, the last one to leave
 * in order writes an end mark. So the receiver sees the end exactly behind the last message, and an open mark without an end
 * before it tells it that the stream before was cut off. `opened` and `closed` in the page say the same for those who cannot read
 * the ring. With many senders, the first to come and the last to go do this; SETUP keeps comings and goings apart.
 */
#include <stdlib.h>

#include "channels/sender.h"
#include "lib/fail.h"

/* --- Coming ----------------------------------------------------------------------------------------------------------- */

int leat__sender_open_mark(leat_sender *sender) {
    const struct leat__role_page *own = sender->side.own;
    uint64_t opened = leat__load_relaxed32(&own->opened), closed = leat__load_relaxed32(&own->closed);
    int result = leat__ring_mark(&sender->ring, LEAT__OPEN_MARK, opened | closed << 32);
    sender->opened_at = sender->ring.lane.position;
    sender->owes_open_mark = result == LEAT_EAGAIN;
    return result;
}

/* Takes the role's lock. *first: nobody else has it. */
static int take_role(leat_sender *sender, bool *first) {
    leat__file file = sender->side.object.resource.file;
    int result = leat__os_lock(file, LEAT__LOCK_SENDER, LEAT__EXCLUSIVE);
    *first = result == LEAT_OK;
    if (result == LEAT_EBUSY && sender->many)
        result = leat__os_lock(file, LEAT__LOCK_SENDER, LEAT__SHARED);
    if (result == LEAT_EBUSY)
        return leat__fail(LEAT_EBUSY, 0, sender->many ? "it has a sender that does not share" : "it has a sender");
    return result;
}

/* Nobody was there: repair what a predecessor left, and begin a stream. */
static int begin_stream(leat_sender *sender) {
    struct leat__role_page *own = sender->side.own;
    uint64_t turn = leat__load_relaxed64(&own->lock.owner) >> 16;
    leat__store_relaxed64(&own->lock.owner, turn << 16); /* a dead predecessor may still be noted as its holder */
    leat__store_relaxed32(&own->waiting, 0);
    leat__store_relaxed32(&own->hot, 0);
    leat__store_relaxed32(&own->loops, 0);
    leat__store_relaxed64(&own->doorbell, 0); /* many senders in loops have none: the file is touched for them */
    int result = leat__ring_sender_recover(&sender->ring, &sender->side.memory);
    if (result != LEAT_OK)
        return result;
    leat__store_relaxed32(&own->many, sender->many);
    leat__store_release32(&own->opened, leat__load_relaxed32(&own->opened) + 1);
    result = leat__sender_open_mark(sender);
    return result == LEAT_EAGAIN ? LEAT_OK : result;
}

static int attach(struct leat__side *side) {
    leat_sender *sender = leat__sender_of(side);
    leat__file file = side->object.resource.file;
    bool first = false;
    int result = take_role(sender, &first);
    if (result == LEAT_OK && sender->many)
        result = leat__lock_take_slot(&side->own->lock, file, &sender->slot);
    if (result != LEAT_OK)
        return result;
    sender->ring = (struct leat__ring_sender){.lane = leat__lane(&side->memory, side->own), .memory = side->memory};
    if (first)
        result = begin_stream(sender);
    if (result == LEAT_OK && sender->many && first)
        result = leat__os_lock(file, LEAT__LOCK_SENDER, LEAT__SHARED);
    if (result != LEAT_OK)
        return result;
    side->announces = !sender->many;
    sender->may_be_hot = !sender->many && leat__os_barrier_register();
    side->peer_seen = leat__load_acquire32(&side->peer->opened);
    if (side->peer_seen != leat__load_acquire32(&side->peer->closed))
        side->peer_state = LEAT_PEER_PRESENT;
    leat__side_ring(side); /* a receiver that waits for a sender */
    return LEAT_OK;
}

int leat_sender_open(leat_sender **out, const char *name, const leat_channel_options *options) {
    leat_sender *sender = out != NULL ? calloc(1, sizeof *sender) : NULL;
    if (sender == NULL)
        return leat__fail_about(leat__fail(out == NULL ? LEAT_EINVAL : LEAT_ENOMEM, 0, "no handle"), "channel", name);
    sender->many = options != NULL && options->many_senders;
    int result = leat__side_open(&sender->side, &sender->ring.lane, name, options, LEAT__LOCK_SENDER, attach);
    if (result == LEAT_OK)
        *out = sender;
    else
        free(sender);
    return result;
}

/* --- Going ------------------------------------------------------------------------------------------------------------ */

/* Whether this is the last sender; if so, the ring is taken up where the last turn ended, however that ended. */
static bool is_last(leat_sender *sender, bool settled) {
    if (!sender->many)
        return true;
    if (!settled || leat__os_lock(sender->side.object.resource.file, LEAT__LOCK_SENDER, LEAT__EXCLUSIVE) != LEAT_OK)
        return false;
    return leat__sender_take_turn(sender, leat_in_ms(1000)) == LEAT_OK;
}

static void end_stream(leat_sender *sender) {
    struct leat__role_page *own = sender->side.own;
    uint32_t opened = leat__load_relaxed32(&own->opened);
    if (sender->owes_open_mark)
        (void)leat__sender_open_mark(sender);
    /* No room even in the line kept for marks: then marks are all that came since the ring was full, and `closed` has to do. */
    (void)leat__ring_mark(&sender->ring, LEAT__END_MARK, opened);
    leat__store_release32(&own->closed, opened);
}

static void leave(leat_sender *sender) {
    leat_abort(sender);
    leat__sender_cool_down(sender);
    bool settled = leat__object_unsettle(&sender->side.object);
    if (is_last(sender, settled))
        end_stream(sender);
    if (!sender->many || sender->has_turn)
        leat__sender_flush(sender);
    leat__side_ring(&sender->side);
    leat__sender_end_turn(sender);
}

void leat_sender_close(leat_sender *sender) {
    if (sender == NULL)
        return;
    if (!sender->side.object.resource.forked && !sender->ring.corrupt)
        leave(sender);
    leat__side_close(&sender->side);
    free(sender);
}

/* --- The receiver as this sender knows it ----------------------------------------------------------------------------- */

static bool receiver_is_there(struct leat__side *side) {
    return leat__side_peer(side) == LEAT_PEER_PRESENT;
}

int leat_sender_wait_peer(leat_sender *sender, uint64_t deadline_ns) {
    static const struct leat__wait arrival = {receiver_is_there, false};
    struct leat__side *side = &sender->side;
    if (side->object.resource.forked)
        return leat__side_fail_forked();
    int result = leat__side_wait(side, &arrival, deadline_ns);
    if (result == LEAT_OK) {
        side->peer_state = LEAT_PEER_PRESENT;
        side->peer_seen = leat__load_acquire32(&side->peer->opened);
    }
    return result;
}

static bool never(struct leat__side *side) {
    (void)side;
    return false;
}

int leat_sender_news(leat_sender *sender) {
    static const struct leat__wait nothing = {never, true};
    if (sender->side.object.resource.forked)
        return leat__side_fail_forked();
    return leat__side_tell_news(&sender->side, &nothing);
}

leat_peer leat_sender_peer(const leat_sender *sender) {
    return sender->side.object.resource.forked ? LEAT_PEER_NONE : leat__side_peer(&sender->side);
}

/* --- Draining --------------------------------------------------------------------------------------------------------- */

static bool is_drained(struct leat__side *side) {
    const leat_sender *sender = leat__sender_of(side);
    uint64_t consumed = leat__load_acquire64(&side->peer->position), position = sender->ring.lane.position;
    uint64_t sent_to = sender->many || position == sender->opened_at ? sender->sent_to : position;
    return consumed - sent_to <= UINT64_MAX / 2;
}

int leat_sender_drain(leat_sender *sender, uint64_t deadline_ns) {
    static const struct leat__wait drained = {is_drained, true};
    if (sender->side.object.resource.forked)
        return leat__side_fail_forked();
    return leat__side_wait(&sender->side, &drained, deadline_ns);
}

/* --- Questions -------------------------------------------------------------------------------------------------------- */

size_t leat_sender_max_message(const leat_sender *sender) {
    return (size_t)leat__max_message(sender->side.memory.capacity);
}

bool leat_sender_created(const leat_sender *sender) {
    return sender->side.object.created;
}

void leat_sender_statistics(const leat_sender *sender, leat_statistics *statistics) {
    *statistics = (leat_statistics){0};
    if (sender->side.object.resource.forked)
        return;
    leat__side_statistics(&sender->side, statistics);
    uint64_t occupied = sender->ring.lane.position - leat__load_relaxed64(&sender->side.peer->released);
    if (statistics->high_water_bytes < sender->ring.high_water)
        statistics->high_water_bytes = sender->ring.high_water;
    if (occupied <= sender->side.memory.capacity && statistics->high_water_bytes < occupied)
        statistics->high_water_bytes = occupied;
}
