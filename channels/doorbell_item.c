/* channels/doorbell_item.c - see channels/doorbell_item.h. */
#include "channels/doorbell_item.h"

#include "channels/receiver.h"
#include "channels/sender.h"

/* another sender's turn is over by then, unless it waits for room or was stopped */
#define TURN_WITHIN_NS 20000

int leat__item_say_where(struct leat__item *item, uint64_t doorbell, uint64_t token) {
    if (item->waitable != NULL)
        return leat__sync_listen(item->waitable, doorbell, token);
    if (item->many)
        return LEAT_OK; /* the file is touched */
    leat__store_relaxed64(&item->side->own->doorbell, doorbell);
    leat__store_relaxed64(&item->side->own->token, token);
    return LEAT_OK;
}

void leat__item_do_without_bell(struct leat__item *item) {
    if (item->waitable != NULL)
        leat__sync_listen_elsewhere(item->waitable, 0);
    else if (!item->many)
        leat__store_relaxed64(&item->side->own->doorbell, 0);
}

void leat__item_wake(struct leat__item *item) {
    if (item->waitable != NULL)
        leat__sync_awake(item->waitable);
    else if (!item->many)
        leat__side_awake(item->side);
}

/* --- Looking ---------------------------------------------------------------------------------- */

/* In its turn, if it is one of many. */
static bool has_room(struct leat__item *item) {
    if (!item->wants_room || !leat__ring_has_room(&leat__sender_of(item->side)->ring, item->room))
        return false;
    item->wants_room = false; /* told of once; news leaves the wish as it is */
    return true;
}

static bool has_news(struct leat__item *item) {
    struct leat__side *side = item->side;
    bool told = leat__side_page_has_news(side);
    if ((!told && !item->asks) || !leat__side_has_news(side))
        return false;
    side->next_probe_ns = 1; /* the next call tells of it, even with LEAT_NOW */
    return true;
}

/* A sender's first receiver is no news, but whoever has a sender in a loop wants to know of it:
 * named for it once. */
static bool meets(struct leat__item *item) {
    const struct leat__side *side = item->side;
    if (item->receives || item->met || side->peer_state != LEAT_PEER_NONE ||
        leat__load_acquire32(&side->peer->opened) == side->peer_seen)
        return false;
    item->met = true;
    return true;
}

static bool has_message(const struct leat__item *item) {
    const struct leat__ring_receiver *ring = &leat__receiver_of(item->side)->ring;
    return leat__ring_has(ring, ring->lane.position);
}

/* LEAT_OK: it has the turn. LEAT_EAGAIN: another sender has it. Else there is an error, which the
 * next call will report. */
static int take_turn(struct leat__item *item, uint64_t within_ns, bool *taken) {
    leat_sender *sender = leat__sender_of(item->side);
    *taken = !sender->has_turn;
    int result =
        leat__sender_take_turn(sender, within_ns == 0 ? LEAT_NOW : leat__os_now() + within_ns);
    *taken = *taken && result == LEAT_OK;
    return result == LEAT_ETIMEDOUT || result == LEAT_EINTR ? LEAT_EAGAIN : result;
}

/* There is an error: whoever wants room finds out by trying, and is told to once. To the others it
 * means nothing, for good. */
static bool gives_up_wish(struct leat__item *item) {
    bool wanted = item->wants_room;
    item->wants_room = false;
    return wanted;
}

static void end_turn(struct leat__item *item, bool taken) {
    if (taken) /* else a reservation goes on */
        leat__sender_end_turn(leat__sender_of(item->side));
}

/* One of many senders, without announcing. */
static bool finds_room_in_turn(struct leat__item *item) {
    bool taken;
    if (!item->wants_room)
        return false;
    int result = take_turn(item, 0, &taken);
    bool room = result == LEAT_OK ? has_room(item) : result != LEAT_EAGAIN && gives_up_wish(item);
    end_turn(item, taken);
    return room;
}

/* The next thing may come soon. */
static void begin_anew(struct leat__item *item) {
    item->idle_since_ns = item->armed_at_ns = 0;
    item->active = true;
}

static void learn(struct leat__item *item) {
    if (item->side != NULL && item->idle_since_ns != 0)
        leat__side_learn(item->side, item->idle_since_ns, item->armed_at_ns);
    begin_anew(item);
}

void leat__item_want_room(struct leat__item *item, size_t size) {
    item->wants_room = true;
    item->room = size;
    begin_anew(item);
}

static bool look(struct leat__item *item) {
    if (item->waitable != NULL) {
        enum leat__answer answer = leat__sync_obtainable(item->waitable, item->asks);
        item->unanswered = answer == LEAT__UNKNOWN;
        return answer == LEAT__YES;
    }
    if (item->receives ? has_message(item) : item->many ? finds_room_in_turn(item) : has_room(item))
        return true;
    return meets(item) || has_news(item);
}

bool leat__item_has_something(struct leat__item *item) {
    bool something = look(item);
    if (something)
        learn(item);
    return something;
}

bool leat__item_is_unanswered(const struct leat__item *item) {
    return item->side != NULL ? item->side->unanswered : item->unanswered;
}

bool leat__item_stays_awake(struct leat__item *item) {
    struct leat__side *side = item->side;
    if (side == NULL || leat__side_stays_awake(side))
        return side != NULL;
    if (side->spin_ns == 0 || !item->active || item->armed_at_ns != 0 ||
        (!item->receives && !item->wants_room))
        return false;
    uint64_t now = leat__os_now();
    if (item->idle_since_ns == 0)
        item->idle_since_ns = now;
    return now - item->idle_since_ns < side->spin_ns;
}

/* --- Announcing ------------------------------------------------------------------------------- */

/* Of many senders another one may want room, whose announcement this overwrites; unless it was rung
 * for: then that one looks again, and says so anew. */
static bool another_wants_room(const struct leat__item *item) {
    const struct leat__side *side = item->side;
    uint32_t ticket = leat__load_relaxed32(&side->own->waiting);
    return item->many && (ticket & LEAT__LOOPS) != 0 && (ticket & LEAT__NEWS) == 0 &&
           leat__load_acquire32(&side->peer->rung) != ticket; /* noted after the touch */
}

static void announce_side(struct leat__item *item) {
    bool news_only = !item->receives && !item->wants_room && !another_wants_room(item);
    leat__side_announce(item->side, LEAT__WATCHES | LEAT__LOOPS | (news_only ? LEAT__NEWS : 0));
    leat__fence_full(); /* [S1] the announcement before the look */
    if (!leat__side_cool_peer(item->side) && item->looks == 0)
        item->looks = 1;
}

/* One of many senders: announces and looks in its turn; or whoever has the turn will have it look
 * again. */
static bool announce_in_turn(struct leat__item *item) {
    bool taken;
    int result = take_turn(item, TURN_WITHIN_NS, &taken);
    if (result == LEAT_EAGAIN) {
        leat__store_relaxed32(&item->side->own->loops, 1);
        leat__fence_full(); /* [M1] the wish before the look at the lock */
        result = take_turn(item, 0, &taken);
    }
    if (result == LEAT_EAGAIN)
        return meets(item) || has_news(item);
    if (result != LEAT_OK)
        return gives_up_wish(item) || meets(item) || has_news(item);
    announce_side(item);
    bool something = has_room(item);
    end_turn(item, taken);
    return something || meets(item) || has_news(item);
}

static bool announce_and_look(struct leat__item *item) {
    if (item->many)
        return announce_in_turn(item);
    if (item->side != NULL) {
        announce_side(item);
        return look(item);
    }
    leat__sync_announce(item->waitable);
    leat__fence_full(); /* [L7] the announcement before the look */
    return look(item);
}

bool leat__item_announce_and_look(struct leat__item *item) {
    bool something = announce_and_look(item);
    if (something) {
        leat__item_wake(item);
        learn(item);
    } else if (item->idle_since_ns != 0 && item->armed_at_ns == 0)
        item->armed_at_ns = leat__os_now();
    return something;
}
