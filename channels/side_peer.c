/* channels/side_peer.c - the peer: whether it is there, and what there is to tell about it, once
 * each (channels/side.h). */
#include "channels/presence.h"
#include "channels/side.h"

static enum leat__answer peer_lives(const struct leat__side *side, uint32_t opened) {
    leat__file file = side->object.resource.file;
    return side->role->sends ? leat__receiver_lives(file, side->peer, opened)
                             : leat__senders_live(file, side->peer, opened);
}

leat_peer leat__side_peer(const struct leat__side *side) {
    uint32_t opened = leat__load_acquire32(&side->peer->opened),
             closed = leat__load_acquire32(&side->peer->closed);
    if (opened == closed)
        return opened == 0 ? LEAT_PEER_NONE : LEAT_PEER_CLOSED;
    enum leat__answer lives = peer_lives(side, opened);
    if (lives != LEAT__NO)
        return lives == LEAT__YES ? LEAT_PEER_PRESENT : LEAT_PEER_UNKNOWN;
    bool left = leat__load_acquire32(&side->peer->closed) == opened; /* meanwhile */
    return left ? LEAT_PEER_CLOSED : LEAT_PEER_DIED;
}

bool leat__side_finds_peer(struct leat__side *side) {
    leat_peer peer = leat__side_peer(side);
    side->unanswered = peer == LEAT_PEER_UNKNOWN;
    return peer == LEAT_PEER_PRESENT;
}

/* What there is to tell about the peer, and what it is known as once that is told. */
struct news {
    int code;        /* LEAT_OK: nothing */
    bool unanswered; /* the kernel does not say whether the peer lives: nothing for now */
    leat_peer state;
    uint32_t seen;
};

/* Each event once. A peer that came and went unseen is told of in two steps. */
static struct news consider(const struct leat__side *side) {
    struct news news = {LEAT_OK, false, side->peer_state, side->peer_seen};
    uint32_t opened = leat__load_acquire32(&side->peer->opened);
    bool open = opened != leat__load_acquire32(&side->peer->closed);
    enum leat__answer answer = open ? peer_lives(side, opened) : LEAT__NO;
    bool lives = answer == LEAT__YES;
    /* after the kernel: it can have closed and left meanwhile */
    uint32_t closed = leat__load_acquire32(&side->peer->closed);
    news.unanswered = answer == LEAT__UNKNOWN;
    if (news.unanswered)
        return news;
    /* the first one is no news, but its end is */
    if (news.state == LEAT_PEER_NONE && opened != news.seen) {
        news.state = LEAT_PEER_PRESENT;
        news.seen = opened;
    }
    bool came = opened != news.seen;
    if (news.state == LEAT_PEER_PRESENT && (came || !lives)) {
        /* of several that came and went, the last */
        news.seen = came && lives ? opened - 1 : opened;
        news.state = closed == news.seen ? LEAT_PEER_CLOSED : LEAT_PEER_DIED;
        news.code = news.state == LEAT_PEER_CLOSED ? LEAT_ECLOSED : LEAT_EPEERDIED;
    } else if (news.state != LEAT_PEER_PRESENT && came) {
        news = (struct news){LEAT_EPEERBACK, false, LEAT_PEER_PRESENT, opened};
    }
    return news;
}

bool leat__side_has_news(struct leat__side *side) {
    struct news news = consider(side);
    side->unanswered = news.unanswered;
    return news.code != LEAT_OK;
}

/* LEAT_OK, or what the caller has to be told. What it waits for is looked at again after the kernel
 * was asked, because the peer can have provided it and died in between: that goes first. */
int leat__side_tell_news(struct leat__side *side, const struct leat__wait *wait) {
    if (!wait->tells)
        return LEAT_OK;
    struct news news = consider(side);
    side->unanswered = news.unanswered;
    if (wait->ready(side))
        return LEAT_OK;
    int checked = wait->check != NULL ? wait->check(side) : LEAT_OK;
    if (checked != LEAT_OK)
        return checked;
    side->peer_state = news.state;
    side->peer_seen = news.seen;
    return news.code;
}

/* For callers that poll and never wait: asking the kernel each time would cost more than the
 * polling. */
int leat__side_news_for_poller(struct leat__side *side, const struct leat__wait *wait) {
    uint64_t now = leat__os_now(), due = side->next_probe_ns;
    if (now < due)
        return LEAT_OK;
    side->next_probe_ns = now + LEAT__SLICE_NS;
    return due == 0 ? LEAT_OK : leat__side_tell_news(side, wait);
}

bool leat__side_page_has_news(const struct leat__side *side) {
    return leat__load_acquire32(&side->peer->opened) != side->peer_seen ||
           (side->peer_state == LEAT_PEER_PRESENT &&
            leat__load_acquire32(&side->peer->closed) == side->peer_seen);
}

/* For callers that wait: the kernel is asked once in a slice, and once more before a call gives
 * up. */
int leat__side_news_in_time(struct leat__side *side, const struct leat__wait *wait, uint64_t now_ns,
                            bool gives_up) {
    if (!wait->tells ||
        (now_ns < side->next_probe_ns && !gives_up && !leat__side_page_has_news(side)))
        return LEAT_OK;
    side->next_probe_ns = now_ns + LEAT__SLICE_NS;
    return leat__side_tell_news(side, wait);
}

/* When the peer rang, if that was between these two; else 0. Its word for it is taken only where it
 * can be true. */
uint64_t leat__side_rung_between(const struct leat__side *side, uint64_t slept_ns,
                                 uint64_t awake_ns) {
    uint64_t rung = leat__load_relaxed64(&side->peer->rung_at);
    return rung >= slept_ns && rung <= awake_ns ? rung : 0;
}

void leat__side_count_wake(struct leat__side *side, uint64_t slept_ns, uint64_t awake_ns) {
    uint64_t rung = leat__side_rung_between(side, slept_ns, awake_ns);
    if (rung == 0)
        return;
    side->tally.wakes++;
    side->tally.wake_ns += awake_ns - rung;
}
