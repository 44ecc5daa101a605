/* send_receiver.c - `leat send` and the receiver: opens the channel, waits for a receiver, and
 * handles its leaving.
 *
 * Guarantees: without --wait and --keep nothing is touched unless a receiver is there. When a
 * receiver has left for good the message reports how much it did not take.
 */
#include "figures.h"
#include "sending.h"
#include "signals.h"

/* period in which a sender that is not waiting polls its receiver */
#define POLL_NS 100000000U
#define RECORD_OVERHEAD 72 /* leat_sender_max_message: capacity / 2 - 72 */

uint64_t sending_capacity_for(uint64_t message) {
    uint64_t capacity = LEAT_CAPACITY_MIN;
    while (capacity < LEAT_CAPACITY_MAX && capacity / 2 - RECORD_OVERHEAD < message)
        capacity *= 2;
    return capacity / 2 - RECORD_OVERHEAD < message ? 0 : capacity;
}

/* --- When the receiver is not there ----------------------------------------------------------- */

static int fail_undelivered(const struct sending *sending, int code) {
    leat_channel_info info;
    struct figure count;
    uint64_t lost = sending->unsent_bytes + (sending->framing.end - sending->framing.start);
    if (leat_channel_stat(sending->target.name, sending->target.scope, &info) == LEAT_OK) {
        leat_statistics sent;
        leat_sender_statistics(sending->sender, &sent);
        uint64_t queued = sent.bytes > info.received.bytes ? sent.bytes - info.received.bytes : 0;
        lost += queued < sending->bytes ? queued : sending->bytes;
    }
    bool died = code == LEAT_EPEERDIED;
    return fail_target(&sending->target, died ? END_PEER_DIED : END_FAILED,
                       "the receiver%s (%s); %s%s bytes that were read were not delivered, nor the "
                       "rest of the input. %s",
                       died ? "'s process died" : " closed", leat_error_name(code),
                       died ? "up to " : "", figure_count(&count, lost),
                       died ? "With --wait SECONDS send waits for its successor, which gets them."
                            : "With --follow send waits for the next receiver, which gets them.");
}

/* Waits for a receiver until the deadline. LEAT_EINTR only when the command should end. */
static int await_receiver(struct sending *sending, uint64_t deadline_ns) {
    for (;;) {
        int code = leat_sender_wait_peer(sending->sender, deadline_ns);
        if (code == LEAT_EINTR && signals_seen() == 0)
            continue;
        /* An event of an earlier receiver; what counts is whether a receiver is there. */
        if (code != LEAT_ECLOSED && code != LEAT_EPEERDIED && code != LEAT_EPEERBACK)
            return code;
    }
}

static int end_of(struct sending *sending, int code) {
    progress_clear(&sending->progress);
    return code == LEAT_EINTR ? END_BY_SIGNAL + signals_seen()
                              : fail_leat(&sending->target, code, NULL);
}

/* The receiver has gone. END_OK: there is another one. */
static int on_receiver_gone(struct sending *sending, int code) {
    if (leat_sender_peer(sending->sender) == LEAT_PEER_PRESENT)
        return END_OK;
    progress_clear(&sending->progress);
    bool died = code == LEAT_EPEERDIED;
    if (!sending->follow && !(died && sending->has_wait))
        return fail_undelivered(sending, code);
    note_target(&sending->target, "the receiver%s; waiting for %s",
                died ? "'s process died" : " closed", died ? "its successor" : "the next one");
    uint64_t deadline = sending->follow ? LEAT_FOREVER : leat_in_ns(sending->wait_ns);
    int waited = await_receiver(sending, deadline);
    if (waited == LEAT_ETIMEDOUT || waited == LEAT_EAGAIN)
        return fail_undelivered(sending, code);
    if (waited != LEAT_OK)
        return end_of(sending, waited);
    note_target(&sending->target, "a new receiver has come; going on");
    return END_OK;
}

/* A persistent channel has been full for a while. END_OK: try again. */
static int on_kept_full(struct sending *sending) {
    if (leat_sender_peer(sending->sender) == LEAT_PEER_PRESENT)
        return END_OK;
    bool waits = sending->follow || sending->has_wait;
    if (waits) {
        int code =
            await_receiver(sending, sending->follow ? LEAT_FOREVER : leat_in_ns(sending->wait_ns));
        if (code == LEAT_OK)
            return END_OK;
        if (code != LEAT_ETIMEDOUT && code != LEAT_EAGAIN)
            return end_of(sending, code);
    }
    struct figure count;
    progress_clear(&sending->progress);
    return fail_target(&sending->target, waits ? END_TIMED_OUT : END_NO_OBJECT,
                       "full, and %s; %s bytes of the input were kept in it. Start 'leat recv', or "
                       "give it more --capacity "
                       "when it is created.",
                       waits ? "no receiver came in time" : "there is no receiver",
                       figure_count(&count, sending->bytes));
}

int sending_on_event(struct sending *sending, int code) {
    switch (code) {
    case LEAT_EPEERBACK:
        return END_OK;
    case LEAT_EINTR:
        return signals_seen() == 0 ? END_OK : END_BY_SIGNAL + signals_seen();
    case LEAT_ECLOSED:
    case LEAT_EPEERDIED:
        return sending->keep ? END_OK : on_receiver_gone(sending, code);
    case LEAT_ETIMEDOUT:
    case LEAT_EAGAIN:
        return on_kept_full(sending);
    default:
        return end_of(sending, code);
    }
}

int sending_poll(struct sending *sending) {
    uint64_t now = leat_now();
    if (sending->keep || now < sending->next_poll_ns)
        return END_OK;
    sending->next_poll_ns = now + POLL_NS;
    switch (leat_sender_peer(sending->sender)) {
    case LEAT_PEER_CLOSED:
        return on_receiver_gone(sending, LEAT_ECLOSED);
    case LEAT_PEER_DIED:
        return on_receiver_gone(sending, LEAT_EPEERDIED);
    case LEAT_PEER_NONE:
    case LEAT_PEER_PRESENT:
    case LEAT_PEER_UNKNOWN:
        break;
    }
    return END_OK;
}

/* --- Opening ---------------------------------------------------------------------------------- */

/* Without --wait and --keep a receiver must be there before anything is touched. */
static int require_receiver(const struct sending *sending) {
    static const char remedy[] =
        "start 'leat recv NAME --wait SECONDS' first, or send with --wait SECONDS";
    leat_channel_info info;
    int code = leat_channel_stat(sending->target.name, sending->target.scope, &info);
    if (code != LEAT_OK)
        return fail_leat(&sending->target, code, code == LEAT_ENOENT ? remedy : NULL);
    if (info.receiver == LEAT_PEER_PRESENT)
        return END_OK;
    return fail_target(&sending->target, END_NO_OBJECT, "no receiver is there. S%s.", remedy + 1);
}

static int check_channel(struct sending *sending) {
    leat_channel_info channel;
    leat_object_info object;
    struct figure size;
    uint64_t max = leat_sender_max_message(sending->sender);
    if (sending->frame_size > max) {
        uint64_t capacity = sending_capacity_for(sending->frame_size);
        if (capacity == 0)
            return fail_target(&sending->target, END_FAILED,
                               "--frame %llu is more than any channel takes (%llu bytes).",
                               (unsigned long long)sending->frame_size,
                               (unsigned long long)LEAT_CAPACITY_MAX / 2 - RECORD_OVERHEAD);
        return fail_target(&sending->target, END_FAILED,
                           "--frame %llu is more than the %llu bytes a message can have in it "
                           "(%s); it must be created "
                           "with --capacity %llu or more.",
                           (unsigned long long)sending->frame_size, (unsigned long long)max,
                           leat_error_name(LEAT_EMSGSIZE), (unsigned long long)capacity);
    }
    if (sending->keep &&
        leat_stat(sending->target.name, sending->target.scope, &object) == LEAT_OK &&
        !object.persistent)
        return fail_target(&sending->target, END_FAILED,
                           "it exists and is not persistent, so that it cannot keep messages. "
                           "Leave out --keep, or choose "
                           "another name.");
    if (sending->options.capacity != 0 && leat_sender_info(sending->sender, &channel) == LEAT_OK &&
        !channel.created && channel.capacity < sending->options.capacity)
        note_target(&sending->target,
                    "it exists already, with a capacity of %s; --capacity changes nothing",
                    figure_bytes(&size, channel.capacity));
    return END_OK;
}

int sending_open(struct sending *sending) {
    bool may_create = sending->has_wait || sending->keep;
    int end = may_create ? END_OK : require_receiver(sending);
    if (end != END_OK)
        return end;
    sending->options.mode = may_create ? LEAT_OPEN_OR_CREATE : LEAT_OPEN;
    sending->options.interruptible = true;
    sending->options.persistent = sending->keep;
    int code = leat_sender_open(&sending->sender, sending->target.name, &sending->options);
    if (code != LEAT_OK)
        return fail_leat(
            &sending->target, code,
            code == LEAT_EBUSY
                ? "it has a sender: wait until that sender ends, or give all senders --many"
                : NULL);
    end = check_channel(sending);
    if (end != END_OK || sending->keep || !sending->has_wait)
        return end;
    code = await_receiver(sending, leat_in_ns(sending->wait_ns));
    if (code == LEAT_ETIMEDOUT || code == LEAT_EAGAIN)
        return fail_target(&sending->target, END_TIMED_OUT,
                           "no receiver came in time. Start 'leat recv', or wait longer.");
    return code == LEAT_OK ? END_OK : end_of(sending, code);
}
