/* lib/sync/sync_word.c - takes a mutex, an event or a semaphore without waiting; checks whether it
 * could be taken (lib/sync/sync.h). */
#include "lib/base/fail.h"
#include "lib/sync/sync.h"

int leat__sync_check(const leat_waitable *object) {
    if (object == NULL)
        return leat__fail(LEAT_EINVAL, 0, "no object");
    return object->object.resource.forked
               ? leat__fail(LEAT_EFORKED, 0, "opened by the parent process")
               : LEAT_OK;
}

void leat__sync_heal(leat_waitable *object) {
    uint64_t word = leat__load_acquire64(&object->page->word.owner);
    if (leat__lock_participant(word) != 0 &&
        leat__lock_holder_died(object->object.resource.file, leat__lock_participant(word),
                               object->participant) &&
        leat__compare_exchange64(&object->page->word.owner, word, word & ~UINT64_C(0xFFFF)))
        leat__sync_wake(object, false); /* other waiters may sleep because of the claim */
}

/* The word of an event or semaphore after a waiter has taken it; false when there is nothing to
 * take. */
static bool taken(const leat_waitable *object, uint64_t word, uint64_t *next) {
    uint32_t upper = (uint32_t)(word >> 32);
    *next = word;
    if (object->kind == LEAT_KIND_SEMAPHORE) {
        *next = word - LEAT__SYNC_ONE;
        return upper > 0;
    }
    bool pulsed = upper != object->pulses && !object->unpulsed;
    if ((word & LEAT__SYNC_SET) != 0) {
        *next = object->manual ? word : word & ~LEAT__SYNC_SET;
        return true;
    }
    if (object->manual)
        return pulsed;
    *next = word & ~LEAT__SYNC_TOKEN;
    return pulsed && (word & LEAT__SYNC_TOKEN) != 0;
}

bool leat__sync_available(const leat_waitable *object) {
    uint64_t word = leat__load_acquire64(&object->page->word.owner), next;
    if (object->kind == LEAT_KIND_MUTEX)
        return (object->pi ? leat__pi_available(object) : leat__lock_participant(word) == 0) ||
               leat__load_relaxed32(&object->page->lost) != 0;
    /* a committer may be dead: this does not show it */
    return leat__lock_participant(word) == 0 && taken(object, word, &next);
}

int leat__sync_claim(leat_waitable *object) {
    uint64_t word = leat__load_acquire64(&object->page->word.owner), next;
    /* the very word that is exchanged, read once */
    if (leat__lock_participant(word) != 0 || !taken(object, word, &next))
        return LEAT_EBUSY;
    next = (word & ~LEAT__SYNC_CLAIMS) | ((word + LEAT__SYNC_CLAIM) & LEAT__SYNC_CLAIMS) |
           object->participant;
    return leat__compare_exchange64(&object->page->word.owner, word, next) ? LEAT_OK : LEAT_EBUSY;
}

int leat__sync_locked(leat_waitable *object, int result) {
    struct leat__sync_page *page = object->page;
    if (result == LEAT__LOCK_INHERITED)
        leat__store_relaxed32(&page->abandoned, LEAT__ABANDONED_BY_DEATH);
    if (leat__load_acquire32(&page->lost) != 0) { /* given up between the check and the lock */
        leat__sync_unlock(object);
        return LEAT_ELOST;
    }
    object->depth = 1;
    return leat__load_relaxed32(&page->abandoned) == 0 ? LEAT_OK : LEAT_EOWNERDEAD;
}

void leat__sync_unlock(leat_waitable *object) {
    object->depth = 0;
    if (object->pi) {
        leat__pi_release(object);
        return;
    }
    leat__lock_release(&object->page->word);
    leat__sync_notify(object);
}

static int take_mutex(leat_waitable *object, bool probe) {
    struct leat__sync_page *page = object->page;
    if (object->depth > 0) {
        object->depth++;
        return LEAT_OK;
    }
    if (leat__load_acquire32(&page->lost) != 0)
        return LEAT_ELOST;
    int result = object->pi ? leat__pi_try(object, probe)
                            : leat__lock_try(&page->word, object->object.resource.file,
                                             object->participant, probe);
    return result == LEAT_EBUSY ? result : leat__sync_locked(object, result);
}

int leat__sync_take(leat_waitable *object, bool probe) {
    if (object->kind == LEAT_KIND_MUTEX)
        return take_mutex(object, probe);
    for (unsigned turns = 0; turns < LEAT__SYNC_TRIES; turns++) {
        uint64_t word = leat__load_acquire64(&object->page->word.owner), next;
        if (leat__lock_participant(word) != 0) {
            if (probe)
                leat__sync_heal(object);
            return LEAT_EBUSY;
        }
        if (!taken(object, word, &next))
            return LEAT_EBUSY;
        if (next == word || leat__compare_exchange64(&object->page->word.owner, word, next))
            return LEAT_OK;
    }
    return LEAT_EBUSY;
}

/* Whether the word has a participant whose handle is dead. */
static enum leat__answer is_left(const leat_waitable *object) {
    unsigned holder = leat__lock_participant(leat__load_acquire64(&object->page->word.owner));
    if (holder == 0 || object->depth > 0)
        return LEAT__NO;
    if (holder == object->participant || holder > LEAT__PARTICIPANTS_MAX)
        return LEAT__YES; /* a dead predecessor's, or no participant's */
    leat__file file = object->object.resource.file;
    enum leat__answer lives = leat__os_locked(file, LEAT__LOCK_PARTICIPANTS + holder, 1);
    return lives == LEAT__UNKNOWN ? LEAT__UNKNOWN : lives == LEAT__NO ? LEAT__YES : LEAT__NO;
}

enum leat__answer leat__sync_obtainable(leat_waitable *object, bool ask) {
    object->unpulsed = true; /* a pulse is for threads that wait at that moment */
    if (leat__sync_available(object))
        return LEAT__YES;
    if (!ask)
        return LEAT__NO;
    if (object->kind == LEAT_KIND_MUTEX)
        return object->pi ? leat__pi_orphaned(object) : is_left(object);
    enum leat__answer left = is_left(object); /* by a committer */
    if (left == LEAT__UNKNOWN)
        return LEAT__UNKNOWN;
    if (left == LEAT__YES)
        leat__sync_heal(object);
    return leat__sync_available(object) ? LEAT__YES : LEAT__NO;
}
