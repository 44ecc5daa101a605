/* channels/queue/sender_peer.c - opens and closes senders, and reports the receiver
 * (leat/channel.h).
 *
 * Marks in the ring delimit a stream. A sender that comes when no sender is there writes an open
 * mark; the last one to close writes an end mark. So the receiver sees the end exactly behind the
 * last message. An open mark without an end mark before it means that the stream before was cut
 * off. `opened` and `closed` in the page record the same for readers that cannot read the ring.
 * With many senders, the first to come and the last to close do this.
 *
 * Senders come and leave through the *gate*, a lock in their page (lib/sync/lock.h), one at a time.
 * `present` has a bit for each participant that came and has not closed; a sender whose byte is
 * free in the kernel has died. A stream is open while `opened` and `closed` differ. A sender that
 * comes, and finds it open and no sender alive, begins the next stream. channels/queue/presence.h
 * has the order of its stores.
 */
#include <stdlib.h>

#include "channels/queue/sender.h"
#include "lib/base/fail.h"

/* --- The gate: one sender comes or leaves at a time ------------------------------------------- */

static bool is_present(const leat_sender *sender, unsigned participant) {
    return (leat__load_relaxed64(&sender->role.own->present[participant / 64]) >> participant % 64 &
            1) != 0;
}

static bool seems_taken(const void *context, unsigned participant) {
    return is_present(context, participant);
}

/* Inside the gate. */
static void set_present(leat_sender *sender, unsigned participant, bool member) {
    leat__u64 *word = &sender->role.own->present[participant / 64];
    uint64_t bit = UINT64_C(1) << participant % 64, bits = leat__load_relaxed64(word);
    leat__store_release64(word, member ? bits | bit : bits & ~bit);
}

static int enter_gate(leat_sender *sender) {
    struct leat__role *role = &sender->role;
    int result = leat__lock_acquire(&role->own->gate, role->object.resource.file,
                                    sender->participant, leat_in_ms(1000), false);
    if (result == LEAT_ETIMEDOUT)
        return leat__fail(LEAT_EBUSY, 0,
                          "another sender has been coming or going for a second (stopped?)");
    /* everything that a sender which died inside has left is checked again */
    return result >= LEAT_OK ? LEAT_OK : result;
}

static void leave_gate(leat_sender *sender) {
    leat__lock_release(&sender->role.own->gate);
}

/* Inside the gate: whether another sender is there. Takes the bits of dead senders out. */
static enum leat__answer has_others(leat_sender *sender) {
    leat__file file = sender->role.object.resource.file;
    for (unsigned participant = 1; participant <= LEAT__PARTICIPANTS_MAX; participant++) {
        if (participant % 64 == 0 &&
            leat__load_relaxed64(&sender->role.own->present[participant / 64]) == 0)
            participant += 63; /* none of these */
        else if (participant != sender->participant && is_present(sender, participant)) {
            enum leat__answer lives =
                leat__os_locked(file, LEAT__LOCK_PARTICIPANTS + participant, 1);
            if (lives != LEAT__NO)
                return lives;
            set_present(sender, participant, false);
        }
    }
    return LEAT__NO;
}

/* No sender was there: repairs what a predecessor left, and begins a stream. */
static int begin_stream(leat_sender *sender) {
    struct leat__role_page *own = sender->role.own;
    uint64_t generation = leat__load_relaxed64(&own->lock.owner) >> 16;
    /* a dead predecessor may still be noted as its holder */
    leat__store_relaxed64(&own->lock.owner, generation << 16);
    leat__store_relaxed32(&own->waiting, 0);
    leat__store_relaxed32(&own->hot, 0);
    leat__store_relaxed32(&own->loops, 0);
    /* many senders in loops have none: the file is touched for them */
    leat__store_relaxed64(&own->notify, 0);
    int result = leat__ring_sender_recover(&sender->ring, &sender->role.memory);
    if (result != LEAT_OK)
        return result;
    leat__store_relaxed32(&own->many, sender->many);
    uint32_t opened = leat__load_relaxed32(&own->opened) + 1;
    leat__store_relaxed64(&own->coming, leat__coming(opened, sender->participant));
    set_present(sender, sender->participant, true);
    leat__store_release32(&own->opened, opened);
    result = leat__sender_open_mark(sender);
    return result == LEAT_EAGAIN ? LEAT_OK : result;
}

/* Inside the gate: joins the open stream. LEAT__NO: its last member died meanwhile, and the stream
 * is over. */
static enum leat__answer join_stream(leat_sender *sender) {
    set_present(sender, sender->participant, true);
    leat__fence_full(); /* [G1] the bit before the question: so there is a member at every moment */
    return has_others(sender);
}

static int take_place(struct leat__role *role) {
    leat_sender *sender = leat__sender_of(role);
    int result = leat__lock_join(&role->own->lock, role->object.resource.file, seems_taken, sender,
                                 &sender->participant);
    role->object.place = LEAT__LOCK_PARTICIPANTS + sender->participant;
    return result;
}

/* Inside the gate: begins a stream, or joins those that share one. */
static int join(leat_sender *sender) {
    const struct leat__role_page *own = sender->role.own;
    bool open = leat__load_relaxed32(&own->opened) != leat__load_relaxed32(&own->closed);
    enum leat__answer others = has_others(sender);
    if (others == LEAT__YES && (!sender->many || leat__load_relaxed32(&own->many) == 0))
        return leat__fail(LEAT_EBUSY, 0,
                          sender->many ? "it has a sender that does not share" : "it has a sender");
    if (others == LEAT__YES && open)
        others = join_stream(sender);
    if (others == LEAT__YES && open)
        return LEAT_OK;
    set_present(sender, sender->participant,
                false); /* a bit of the stream that is over, or a predecessor's */
    if (others == LEAT__UNKNOWN)
        return leat__fail(LEAT_ESYSTEM, 0, "the system does not say whether it has a sender");
    int result = begin_stream(sender);
    if (result != LEAT_OK)
        set_present(sender, sender->participant, false);
    return result;
}

static int attach(struct leat__role *role) {
    leat_sender *sender = leat__sender_of(role);
    sender->ring = (struct leat__ring_sender){.lane = leat__lane(&role->memory, role->own),
                                              .memory = role->memory};
    int result = enter_gate(sender);
    if (result == LEAT_OK) {
        result = join(sender);
        leave_gate(sender);
    }
    if (result != LEAT_OK)
        return result;
    role->arms = !sender->many;
    sender->may_be_hot = !sender->many && leat__os_barrier_register();
    role->peer_seen = leat__load_acquire32(&role->peer->opened);
    if (role->peer_seen != leat__load_acquire32(&role->peer->closed))
        role->peer_state = LEAT_PEER_PRESENT;
    leat__role_wake(role); /* a receiver that waits for a sender */
    return LEAT_OK;
}

int leat_sender_open(leat_sender **sender, const char *name, const leat_channel_options *options) {
    leat_sender *made = sender != NULL ? calloc(1, sizeof *made) : NULL;
    if (made == NULL)
        return leat__fail_about(
            leat__fail(sender == NULL ? LEAT_EINVAL : LEAT_ENOMEM, 0, "no handle"), "channel",
            name);
    made->many = options != NULL && options->many_senders;
    static const struct leat__role_kind kind = {
        .sends = true, .take_place = take_place, .attach = attach};
    int result = leat__role_open(&made->role, &made->ring.lane, name, options, &kind);
    if (result == LEAT_OK)
        *sender = made;
    else
        free(made);
    return result;
}

/* --- Closing ---------------------------------------------------------------------------------- */

/* Inside the gate: whether this is the last sender. If so, it goes on in the ring where the last
 * holder of the lock stopped, however that holder ended. */
static bool is_last(leat_sender *sender) {
    sender->role.interruptible = false; /* else a signal would make the close look like a death */
    return !sender->many || (has_others(sender) == LEAT__NO &&
                             leat__sender_lock(sender, leat_in_ms(1000)) == LEAT_OK);
}

static void end_stream(leat_sender *sender) {
    struct leat__role_page *own = sender->role.own;
    uint32_t opened = leat__load_relaxed32(&own->opened);
    leat__sender_pay_open_mark(sender);
    /* If there is no room even in the line reserved for marks, only marks were written since the
     * ring was full, and `closed` is enough. */
    (void)leat__ring_mark(&sender->ring, LEAT__END_MARK, opened);
    leat__store_release32(&own->closed, opened);
}

static void leave(leat_sender *sender) {
    leat_abort(sender);
    leat__sender_cool_down(sender);
    bool entered = enter_gate(sender) == LEAT_OK;
    if (entered ? is_last(sender) : !sender->many) /* the only sender always ends its stream */
        end_stream(sender);
    if (!sender->many || sender->has_lock)
        leat__sender_flush(sender);
    leat__role_wake(&sender->role);
    leat__sender_unlock(sender);
    if (!entered)
        return;
    set_present(sender, sender->participant, false);
    leave_gate(sender);
}

void leat_sender_close(leat_sender *sender) {
    if (sender == NULL)
        return;
    if (!sender->role.object.resource.forked && !sender->ring.corrupt)
        leave(sender);
    leat__role_close(&sender->role);
    free(sender);
}

/* --- The receiver ----------------------------------------------------------------------------- */

static bool receiver_is_there(struct leat__role *role) {
    return leat__role_finds_peer(role);
}

int leat_sender_wait_peer(leat_sender *sender, uint64_t deadline_ns) {
    static const struct leat__role_wait arrival = {receiver_is_there, false, NULL};
    struct leat__role *role = &sender->role;
    if (role->object.resource.forked)
        return leat__role_fail_forked();
    int result = leat__role_wait(role, &arrival, deadline_ns);
    if (result == LEAT_OK) {
        role->peer_state = LEAT_PEER_PRESENT;
        role->peer_seen = leat__load_acquire32(&role->peer->opened);
    }
    return result;
}

static bool never(struct leat__role *role) {
    (void)role;
    return false;
}

int leat_sender_peer_event(leat_sender *sender) {
    static const struct leat__role_wait nothing = {never, true, NULL};
    if (sender->role.object.resource.forked)
        return leat__role_fail_forked();
    return leat__role_report_event(&sender->role, &nothing);
}

leat_peer leat_sender_peer(const leat_sender *sender) {
    return sender->role.object.resource.forked ? LEAT_PEER_NONE : leat__role_peer(&sender->role);
}

/* --- Draining --------------------------------------------------------------------------------- */

static bool is_drained(struct leat__role *role) {
    const leat_sender *sender = leat__sender_of(role);
    uint64_t consumed = leat__load_acquire64(&role->peer->position),
             position = sender->ring.lane.position;
    uint64_t sent_to = sender->many || position == sender->opened_at ? sender->sent_to : position;
    return consumed - sent_to <= UINT64_MAX / 2;
}

int leat_sender_drain(leat_sender *sender, uint64_t deadline_ns) {
    static const struct leat__role_wait drained = {is_drained, true, NULL};
    if (sender->role.object.resource.forked)
        return leat__role_fail_forked();
    return leat__role_wait(&sender->role, &drained, deadline_ns);
}

/* --- Queries ---------------------------------------------------------------------------------- */

void leat_sender_statistics(const leat_sender *sender, leat_statistics *statistics) {
    *statistics = (leat_statistics){0};
    if (sender->role.object.resource.forked)
        return;
    leat__role_statistics(&sender->role, statistics);
    uint64_t occupied = sender->ring.lane.position - leat__ring_released(sender->role.peer);
    if (statistics->high_water_bytes < sender->ring.high_water)
        statistics->high_water_bytes = sender->ring.high_water;
    if (occupied <= sender->role.memory.capacity && statistics->high_water_bytes < occupied)
        statistics->high_water_bytes = occupied;
}
