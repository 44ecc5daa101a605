/* channels/queue/sender.c - sending: leat_send, leat_send_many, leat_reserve and what follows it
 * (leat/channel.h).
 *
 * Each call takes the lock (many senders only), makes room, writes, publishes, wakes the receiver
 * if it sleeps, and releases the lock. The ring (channels/queue/ring.h) does the writing; this file
 * decides when to wait and what to report.
 */
#include "channels/queue/sender.h"

#include <string.h>

#include "lib/base/fail.h"

#define RARELY(condition) __builtin_expect((condition) != 0, 0)
#define OUT_OF_LINE __attribute__((noinline))
#define COPIED_WITHOUT_CALL LEAT__LINE
#define LINGER_POLLS 64
#define LINGER_PAUSES 16

void leat__sender_heat_up(leat_sender *sender) {
    if (sender->hot || !sender->may_be_hot)
        return;
    sender->hot = true;
    sender->ring.lane.waiting = (const uint32_t *)(const void *)&sender->role.peer->waiting;
    leat__store_release32(&sender->role.own->hot, 1);
    /* [S4] a receiver that arms from here on sees `hot`; the ticket of one that armed before is
     * seen */
    leat__fence_full();
}

void leat__sender_cool_down(leat_sender *sender) {
    if (!sender->hot)
        return;
    sender->hot = false;
    sender->ring.lane.waiting = leat__lane_always;
    leat__store_release32(&sender->role.own->hot, 0);
}

void leat__sender_flush(leat_sender *sender) {
    struct leat__role *role = &sender->role;
    leat__role_flush(role);
    if (sender->ring.high_water > leat__load_relaxed64(&role->own->counters.high_water))
        leat__store_relaxed64(&role->own->counters.high_water, sender->ring.high_water);
    sender->next_flush = sender->ring.lane.position + role->memory.capacity / 8;
}

/* --- The lock of many senders ----------------------------------------------------------------- */

static int begin_locked(leat_sender *sender, int acquired) {
    sender->has_lock = sender->role.arms = true;
    int result = acquired == LEAT__LOCK_INHERITED
                     ? leat__ring_sender_recover(&sender->ring, &sender->role.memory)
                     : leat__ring_sender_resume(&sender->ring);
    if (result != LEAT_OK)
        leat__sender_unlock(sender);
    return result;
}

int leat__sender_lock(leat_sender *sender, uint64_t deadline_ns) {
    if (!sender->many || sender->has_lock)
        return LEAT_OK;
    struct leat__role *role = &sender->role;
    int result = leat__lock_acquire(&role->own->lock, role->object.resource.file,
                                    sender->participant, deadline_ns, role->interruptible);
    return result < LEAT_OK ? result : begin_locked(sender, result);
}

/* Whether a message of the wanted length would fit behind the other senders' messages, as far as
 * that is known without the lock. */
static bool would_have_room(struct leat__role *role) {
    return leat__ring_seems_to_have_room(&role->memory, leat__sender_of(role)->wanted);
}

static const struct leat__role_wait room_without_lock = {would_have_room, true, NULL};

static int poll_for_lock(leat_sender *sender) {
    int result = leat__sender_lock(sender, LEAT_NOW), reported = LEAT_OK;
    if (result == LEAT_EAGAIN)
        reported = leat__role_event_for_poller(&sender->role, &room_without_lock);
    return reported != LEAT_OK ? reported : result;
}

/* Waits while another sender has the lock. That sender may itself wait for room. So this sender
 * asks about the receiver too, once in a slice, and returns an event if there is no room. */
static OUT_OF_LINE int wait_for_lock(leat_sender *sender, uint64_t deadline_ns) {
    struct leat__role *role = &sender->role;
    int result;
    do { /* waits: each pass is a slice */
        uint64_t now = leat__os_now();
        bool over = now >= deadline_ns;
        leat__role_cancellation_point(role);
        int reported = leat__role_event_in_time(role, &room_without_lock, now, over);
        if (reported != LEAT_OK)
            return reported;
        result = leat__sender_lock(sender, role->next_probe_ns < deadline_ns ? role->next_probe_ns
                                                                             : deadline_ns);
        if (over)
            return result;
    } while (result == LEAT_ETIMEDOUT);
    return result;
}

/* Takes the lock to send a message of that size. Also returns the events that a call which waits
 * for room returns. */
static int lock_to_send(leat_sender *sender, size_t size, uint64_t deadline_ns) {
    struct leat__role *role = &sender->role;
    if (!sender->many || sender->has_lock)
        return LEAT_OK;
    bool own =
        leat__lock_participant(leat__load_relaxed64(&role->own->lock.owner)) == sender->participant;
    int result =
        leat__lock_try(&role->own->lock, role->object.resource.file, sender->participant, own);
    if (__builtin_expect(result >= LEAT_OK, 1))
        return begin_locked(sender, result);
    sender->wanted = size;
    if (result != LEAT_EBUSY)
        return result;
    return deadline_ns == LEAT_NOW ? poll_for_lock(sender) : wait_for_lock(sender, deadline_ns);
}

void leat__sender_unlock(leat_sender *sender) {
    if (!sender->has_lock)
        return;
    leat__sender_flush(sender);
    sender->has_lock = sender->role.arms = false;
    leat__lock_release(&sender->role.own->lock);
    leat__u32 *loops = &sender->role.own->loops;
    /* [M2] after the exchange that released the lock */
    if (leat__load_total32(loops) != 0 && leat__exchange32(loops, 0) != 0)
        leat__role_touch_senders(&sender->role);
}

/* --- Room ------------------------------------------------------------------------------------- */

static bool has_room(struct leat__role *role) {
    leat_sender *sender = leat__sender_of(role);
    return leat__ring_has_room(&sender->ring, sender->wanted);
}

/* The thread is cancelled. An open reservation keeps the lock. */
static void give_up_lock(struct leat__role *role) {
    leat_sender *sender = leat__sender_of(role);
    if (!sender->reserving)
        leat__sender_unlock(sender);
}

static int wait_for_room(leat_sender *sender, size_t size, uint64_t deadline_ns) {
    static const struct leat__role_wait room = {has_room, true, NULL};
    sender->wanted = size;
    sender->role.leave = give_up_lock;
    return leat__role_wait(&sender->role, &room, deadline_ns);
}

/* In a ring that is nearly full the sender would follow the receiver record by record, and each
 * step would cost both of them the transfer of a line. If a quarter of the ring becomes free first,
 * one transfer serves many records. The sender lingers only while the receiver makes progress, and
 * not longer than a spin. */
static void linger(leat_sender *sender) {
    uint64_t enough = sender->role.memory.capacity / 4, seen = sender->ring.released;
    for (int polls = 0;
         polls < LINGER_POLLS &&
         sender->ring.limit - sender->ring.lane.position - sender->ring.staged < enough;
         polls++) {
        for (int pauses = 0; pauses < LINGER_PAUSES; pauses++)
            leat__pause();
        if (leat__ring_refresh(&sender->ring) != LEAT_OK ||
            (polls % 8 == 7 && sender->ring.released == seen))
            return;
        if (polls % 8 == 7)
            seen = sender->ring.released;
    }
}

int leat__sender_open_mark(leat_sender *sender) {
    struct leat__role_page *own = sender->role.own;
    uint64_t opened = leat__load_relaxed32(&own->opened),
             closed = leat__load_relaxed32(&own->closed);
    int result = leat__ring_mark(&sender->ring, LEAT__OPEN_MARK, opened | closed << 32);
    sender->opened_at = sender->ring.lane.position;
    sender->owes_open_mark = result == LEAT_EAGAIN;
    leat__store_relaxed32(&own->owed, result == LEAT_EAGAIN ? (uint32_t)opened : 0);
    return result;
}

void leat__sender_pay_open_mark(leat_sender *sender) {
    sender->owes_open_mark = false; /* another sender may have written it */
    if (leat__load_relaxed32(&sender->role.own->owed) != 0)
        (void)leat__sender_open_mark(sender);
}

/* Reserves again after reading the receiver's progress. An open mark that found no room goes before
 * the stream's first message. With many senders any of them may send that message: all of them came
 * to a full ring, so each of them must check for the mark. */
static int reserve_behind_mark(leat_sender *sender, size_t size, void **payload) {
    if (leat__load_relaxed32(&sender->role.own->owed) != 0) {
        leat__ring_forget(&sender->ring);
        leat__sender_pay_open_mark(sender);
    }
    return leat__ring_reserve(&sender->ring, size, payload);
}

/* Reserves, waiting until the deadline. What is staged stays staged. */
static int reserve(leat_sender *sender, size_t size, void **payload, uint64_t deadline_ns) {
    if (RARELY(sender->owes_open_mark))
        /* if there is still no room for the mark, there is none for a message either */
        leat__sender_pay_open_mark(sender);
    uint64_t released = sender->ring.released;
    int result = leat__ring_reserve(&sender->ring, size, payload);
    bool came_to_limit = result != LEAT_OK || sender->ring.released != released;
    if (RARELY(came_to_limit) && leat__load_relaxed32(&sender->role.own->owed) != 0)
        result = reserve_behind_mark(sender, size, payload);
    if (RARELY(came_to_limit) && deadline_ns != LEAT_NOW && sender->role.spin.ns > 0) {
        linger(sender);
        if (result == LEAT_EAGAIN)
            result = reserve_behind_mark(sender, size, payload);
    }
    if (RARELY(result == LEAT_EAGAIN)) {
        result = wait_for_room(sender, size, deadline_ns);
        if (result == LEAT_OK)
            result = reserve_behind_mark(sender, size, payload);
    }
    return result;
}

size_t leat_sender_max_message(const leat_sender *sender) {
    return (size_t)leat__max_message(sender->role.memory.capacity);
}

static int fail_too_long(const leat_sender *sender, size_t size) {
    uint64_t capacity = LEAT_CAPACITY_MIN;
    while (capacity <= LEAT_CAPACITY_MAX && leat__max_message(capacity) < size)
        capacity *= 2;
    if (capacity > LEAT_CAPACITY_MAX)
        return leat__fail(LEAT_EMSGSIZE, 0, "%zu bytes, more than any channel can carry", size);
    return leat__fail(LEAT_EMSGSIZE, 0, "%zu bytes, at most %zu; a capacity of %llu would do", size,
                      leat_sender_max_message(sender), (unsigned long long)capacity);
}

/* Whether a message is reserved and not committed. */
static bool reserves(const leat_sender *sender) {
    return sender->reserving || sender->ring.lane.kept != 0;
}

/* Moves a reservation to the slow path. */
static void take_reservation(leat_sender *sender) {
    leat_lane *lane = &sender->ring.lane;
    if (lane->kept == 0)
        return;
    leat__ring_note_written(&sender->ring, lane->position + lane->open_slot);
    lane->kept = 0;
    sender->reserving = true;
}

/* Opens the fast path for messages (leat/inline.h). */
static void open_fast_path(leat_sender *sender) {
    struct leat__ring_sender *ring = &sender->ring;
    bool slow = sender->many || reserves(sender) || sender->owes_open_mark || ring->corrupt;
    uint64_t limit = leat__ring_lap_end(&ring->memory, ring->lane.position);
    limit = ring->limit < limit ? ring->limit : limit;
    /* nothing has been published yet: the slow path reads what the fast path relies on */
    slow = slow || sender->next_flush == 0;
    limit = sender->next_flush <= limit ? sender->next_flush - 1 : limit;
    ring->lane.fast_limit = slow ? 0 : leat__ring_probe_ahead(ring, limit);
}

static int check(const leat_sender *sender, size_t size) {
    if (RARELY(sender->role.object.resource.forked))
        return leat__role_fail_forked();
    if (RARELY(reserves(sender)))
        return leat__fail(LEAT_ESTATE, 0, "a reservation is open: commit or abort it first");
    if (RARELY(size > leat__max_message(sender->role.memory.capacity)))
        return fail_too_long(sender, size);
    return LEAT_OK;
}

/* --- Sending ---------------------------------------------------------------------------------- */

void leat_sender_wake(leat_sender *sender) {
    if (sender->role.object.resource.forked)
        return;
    leat__sender_cool_down(sender);
    uint64_t woken = sender->role.tally.wake_calls;
    leat__role_wake(&sender->role);
    /* after a system call, which costs more: readers from outside see a slow stream's wake-ups */
    if (RARELY(sender->role.tally.wake_calls != woken))
        leat__sender_flush(sender);
}

static inline void wake_receiver(leat_sender *sender) {
    if (RARELY(leat__lane_must_wake(&sender->ring.lane)))
        leat_sender_wake(sender);
}

/* An eighth of the ring has been sent. */
static OUT_OF_LINE void end_period(leat_sender *sender) {
    if (leat__load_relaxed32(&sender->role.peer->plain) != 0)
        leat__sender_cool_down(sender);
    else if (sender->role.tally.wake_calls == 0)
        leat__sender_heat_up(sender);
    leat__sender_flush(sender);
}

static inline void after_commit(leat_sender *sender) {
    sender->sent_to = sender->ring.lane.position;
    wake_receiver(sender);
    if (RARELY(sender->ring.lane.position >= sender->next_flush))
        end_period(sender);
}

static void publish(leat_sender *sender) {
    leat__ring_publish(&sender->ring);
    after_commit(sender);
}

static void count_message(leat_sender *sender, uint64_t bytes) {
    sender->ring.lane.messages++;
    sender->ring.lane.bytes += bytes;
}

/* The slow path; out of line, so that the fast path needs no stack. */
static OUT_OF_LINE int send(leat_sender *sender, const void *data, size_t size,
                            uint64_t deadline_ns) {
    void *payload;
    int result = check(sender, size);
    if (RARELY(result != LEAT_OK))
        return result;
    if (RARELY(sender->many) && (result = lock_to_send(sender, size, deadline_ns)) != LEAT_OK)
        return result;
    result = reserve(sender, size, &payload, deadline_ns);
    if (result == LEAT_OK) {
        leat__copy(payload, data, size, SIZE_MAX, sender->ring.lane.piece);
        leat__ring_stage(&sender->ring, size);
        count_message(sender, size);
        publish(sender);
    }
    if (RARELY(sender->many))
        leat__sender_unlock(sender);
    open_fast_path(sender);
    return result;
}

/* The fast path of messages longer than a line; out of line for the same reason. */
static OUT_OF_LINE int send_lines(leat_sender *sender, const void *data, size_t size,
                                  uint64_t deadline_ns) {
    if (RARELY(!leat__lane_send(&sender->ring.lane, data, size)))
        return send(sender, data, size, deadline_ns);
    wake_receiver(sender);
    return LEAT_OK;
}

int leat_send(leat_sender *sender, const void *data, size_t size, uint64_t deadline_ns) {
    if (size > COPIED_WITHOUT_CALL)
        return send_lines(sender, data, size, deadline_ns);
    if (RARELY(!leat__lane_send(&sender->ring.lane, data, size)))
        return send(sender, data, size, deadline_ns);
    wake_receiver(sender);
    return LEAT_OK;
}

/* Stages as many of the messages as the fast path takes. Works on copies of what does not change,
 * so that it stays in registers. */
static size_t stage_fast(leat_sender *sender, const leat_message *messages, size_t amount) {
    struct leat__ring_sender *ring = &sender->ring;
    const leat_lane lane = ring->lane;
    uint64_t at = lane.position + ring->staged, bytes = 0, first_header = ring->first_header;
    size_t done = 0;
    for (; done < amount; done++) {
        const size_t size = messages[done].size;
        const uint64_t slot = leat__slot_size(size),
                       header = leat__record_header(at, LEAT__MESSAGE, size);
        if (RARELY(size > lane.max || !leat__lane_goes(&lane, at, slot)))
            break;
        uint64_t *record = leat__lane_at(&lane, at);
        leat__lane_fetch(&lane, at, slot);
        leat__copy(record + 1, messages[done].data, size, SIZE_MAX, lane.piece);
        if (at == lane.position)
            first_header = header;
        else
            __atomic_store_n(record, header, __ATOMIC_RELAXED);
        at += slot;
        bytes += size;
    }
    ring->first_header = first_header;
    ring->staged = at - lane.position;
    ring->lane.messages += done;
    ring->lane.bytes += bytes;
    return done;
}

/* Stages as many of the messages as there is room for without waiting. */
static size_t stage_many(leat_sender *sender, const leat_message *messages, size_t amount) {
    size_t done = stage_fast(sender, messages, amount);
    for (void *payload; done < amount; done++) {
        size_t size = messages[done].size;
        if (size > sender->ring.lane.max ||
            leat__ring_reserve(&sender->ring, size, &payload) != LEAT_OK)
            break;
        leat__copy(payload, messages[done].data, size, SIZE_MAX, sender->ring.lane.piece);
        leat__ring_stage(&sender->ring, size);
        count_message(sender, size);
    }
    return done;
}

/* Sends the rest of a batch, or all of it, and waits for room. */
static OUT_OF_LINE int send_rest(leat_sender *sender, const leat_message *messages, size_t amount,
                                 size_t *done, uint64_t deadline_ns) {
    int result = check(sender, 0);
    if (result == LEAT_OK)
        result = lock_to_send(sender, *done < amount ? messages[*done].size : 0, deadline_ns);
    while (result == LEAT_OK && *done < amount) {
        void *payload;
        result = check(sender, messages[*done].size);
        /* waits for room for the first message; staging reserves again */
        if (result == LEAT_OK)
            result = reserve(sender, messages[*done].size, &payload, deadline_ns);
        if (result == LEAT_OK) {
            *done += stage_many(sender, messages + *done, amount - *done);
            publish(sender);
        }
    }
    if (sender->many && !reserves(sender))
        leat__sender_unlock(sender);
    if (!sender->role.object.resource.forked)
        open_fast_path(sender);
    return result;
}

int leat_send_many(leat_sender *sender, const leat_message *messages, size_t count, size_t *sent,
                   uint64_t deadline_ns) {
    int result = LEAT_OK;
    size_t done = 0;
    if (sender->ring.lane.fast_limit != 0 && (done = stage_many(sender, messages, count)) > 0)
        publish(sender);
    if (RARELY(done < count || sender->ring.lane.position >= sender->ring.lane.fast_limit))
        result = send_rest(sender, messages, count, &done, deadline_ns);
    if (sent != NULL)
        *sent = done;
    return result;
}

static OUT_OF_LINE int reserve_slowly(leat_sender *sender, size_t size, void **data,
                                      uint64_t deadline_ns) {
    int result = check(sender, size);
    if (result == LEAT_OK)
        result = lock_to_send(sender, size, deadline_ns);
    if (result != LEAT_OK)
        return result;
    result = reserve(sender, size, data, deadline_ns);
    sender->reserving = result == LEAT_OK;
    sender->ring.lane.open_size = size;
    if (result != LEAT_OK)
        leat__sender_unlock(sender);
    open_fast_path(sender);
    return result;
}

int leat_reserve(leat_sender *sender, size_t size, void **data, uint64_t deadline_ns) {
    if (RARELY(!leat__lane_reserve(&sender->ring.lane, size, data)))
        return reserve_slowly(sender, size, data, deadline_ns);
    return LEAT_OK;
}

static OUT_OF_LINE int commit_slowly(leat_sender *sender, size_t size) {
    if (sender->role.object.resource.forked)
        return leat__role_fail_forked();
    if (!reserves(sender))
        return leat__fail(LEAT_ESTATE, 0, "nothing is reserved");
    if (size > sender->ring.lane.open_size)
        return leat__fail(LEAT_EINVAL, 0, "%zu bytes to commit, %llu reserved", size,
                          (unsigned long long)sender->ring.lane.open_size);
    take_reservation(sender);
    leat__ring_stage(&sender->ring, size);
    count_message(sender, size);
    publish(sender);
    sender->reserving = false;
    leat__sender_unlock(sender);
    open_fast_path(sender);
    return LEAT_OK;
}

int leat_commit(leat_sender *sender, size_t size) {
    if (RARELY(!leat__lane_commit_open(&sender->ring.lane, size)))
        return commit_slowly(sender, size);
    wake_receiver(sender);
    return LEAT_OK;
}

void leat_abort(leat_sender *sender) {
    if (!reserves(sender) || sender->role.object.resource.forked)
        return;
    take_reservation(sender);
    leat__ring_forget(&sender->ring);
    sender->reserving = false;
    leat__sender_unlock(sender);
    open_fast_path(sender);
}
