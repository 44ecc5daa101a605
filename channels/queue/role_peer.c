/* channels/queue/role_peer.c - the peer: whether it is there, and its events, each reported once
 * (channels/queue/role.h). */
#include "channels/queue/presence.h"
#include "channels/queue/role.h"

static enum leat__answer peer_lives(const struct leat__role *role, uint32_t opened) {
    leat__file file = role->object.resource.file;
    return role->kind->sends ? leat__receiver_lives(file, role->peer, opened)
                             : leat__senders_live(file, role->peer, opened);
}

leat_peer leat__role_peer(const struct leat__role *role) {
    uint32_t opened = leat__load_acquire32(&role->peer->opened),
             closed = leat__load_acquire32(&role->peer->closed);
    if (opened == closed)
        return opened == 0 ? LEAT_PEER_NONE : LEAT_PEER_CLOSED;
    enum leat__answer lives = peer_lives(role, opened);
    if (lives != LEAT__NO)
        return lives == LEAT__YES ? LEAT_PEER_PRESENT : LEAT_PEER_UNKNOWN;
    bool left = leat__load_acquire32(&role->peer->closed) == opened; /* meanwhile */
    return left ? LEAT_PEER_CLOSED : LEAT_PEER_DIED;
}

bool leat__role_finds_peer(struct leat__role *role) {
    leat_peer peer = leat__role_peer(role);
    role->unanswered = peer == LEAT_PEER_UNKNOWN;
    return peer == LEAT_PEER_PRESENT;
}

/* An event of the peer, and the role's knowledge of the peer after the event was reported. */
struct event {
    int code;        /* LEAT_OK: no event */
    bool unanswered; /* the kernel does not answer whether the peer lives: no event for now */
    leat_peer state;
    uint32_t seen;
};

/* Each event once. A peer that came and went unseen is reported in two steps. */
static struct event consider(const struct leat__role *role) {
    struct event event = {LEAT_OK, false, role->peer_state, role->peer_seen};
    uint32_t opened = leat__load_acquire32(&role->peer->opened);
    bool open = opened != leat__load_acquire32(&role->peer->closed);
    enum leat__answer answer = open ? peer_lives(role, opened) : LEAT__NO;
    bool lives = answer == LEAT__YES;
    /* after the question to the kernel: the peer can have closed and left meanwhile */
    uint32_t closed = leat__load_acquire32(&role->peer->closed);
    event.unanswered = answer == LEAT__UNKNOWN;
    if (event.unanswered)
        return event;
    /* the first peer's arrival is no event, but its end is one */
    if (event.state == LEAT_PEER_NONE && opened != event.seen) {
        event.state = LEAT_PEER_PRESENT;
        event.seen = opened;
    }
    bool came = opened != event.seen;
    if (event.state == LEAT_PEER_PRESENT && (came || !lives)) {
        /* of several that came and went, the last one is reported */
        event.seen = came && lives ? opened - 1 : opened;
        event.state = closed == event.seen ? LEAT_PEER_CLOSED : LEAT_PEER_DIED;
        event.code = event.state == LEAT_PEER_CLOSED ? LEAT_ECLOSED : LEAT_EPEERDIED;
    } else if (event.state != LEAT_PEER_PRESENT && came) {
        event = (struct event){LEAT_EPEERBACK, false, LEAT_PEER_PRESENT, opened};
    }
    return event;
}

bool leat__role_has_event(struct leat__role *role) {
    struct event event = consider(role);
    role->unanswered = event.unanswered;
    return event.code != LEAT_OK;
}

/* LEAT_OK, or an event. The role polls again after the question to the kernel, because the peer can
 * have published and died in between: being ready goes before the event. */
int leat__role_report_event(struct leat__role *role, const struct leat__role_wait *wait) {
    if (!wait->reports)
        return LEAT_OK;
    struct event event = consider(role);
    role->unanswered = event.unanswered;
    if (wait->ready(role))
        return LEAT_OK;
    int checked = wait->check != NULL ? wait->check(role) : LEAT_OK;
    if (checked != LEAT_OK)
        return checked;
    role->peer_state = event.state;
    role->peer_seen = event.seen;
    return event.code;
}

/* For callers that poll and never wait: asking the kernel each time would cost more than the
 * polling. */
int leat__role_event_for_poller(struct leat__role *role, const struct leat__role_wait *wait) {
    uint64_t now = leat__os_now(), due = role->next_probe_ns;
    if (now < due)
        return LEAT_OK;
    role->next_probe_ns = now + LEAT__SLICE_NS;
    return due == 0 ? LEAT_OK : leat__role_report_event(role, wait);
}

bool leat__role_page_has_event(const struct leat__role *role) {
    return leat__load_acquire32(&role->peer->opened) != role->peer_seen ||
           (role->peer_state == LEAT_PEER_PRESENT &&
            leat__load_acquire32(&role->peer->closed) == role->peer_seen);
}

/* For callers that wait: asks the kernel once in a slice, and once more before a call gives up. */
int leat__role_event_in_time(struct leat__role *role, const struct leat__role_wait *wait,
                             uint64_t now_ns, bool gives_up) {
    if (!wait->reports ||
        (now_ns < role->next_probe_ns && !gives_up && !leat__role_page_has_event(role)))
        return LEAT_OK;
    role->next_probe_ns = now_ns + LEAT__SLICE_NS;
    return leat__role_report_event(role, wait);
}

/* When the peer woke this role, if that was between these two times; else 0. The time that the peer
 * stored counts only if it is possible. */
static uint64_t woken_between(const struct leat__role *role, uint64_t slept_ns, uint64_t awake_ns) {
    uint64_t woken = leat__load_relaxed64(&role->peer->woken_at);
    return woken >= slept_ns && woken <= awake_ns ? woken : 0;
}

uint64_t leat__role_came_between(const struct leat__role *role, uint64_t slept_ns,
                                 uint64_t awake_ns) {
    uint64_t woken = woken_between(role, slept_ns, awake_ns);
    return woken != 0 ? woken : awake_ns; /* the sleeper takes as long as the waking peer */
}

void leat__role_count_wake(struct leat__role *role, uint64_t slept_ns, uint64_t awake_ns) {
    uint64_t woken = woken_between(role, slept_ns, awake_ns);
    if (woken == 0)
        return;
    role->tally.wakes++;
    role->tally.wake_ns += awake_ns - woken;
}
