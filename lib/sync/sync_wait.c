/* lib/sync/sync_wait.c - waiting for one or for all of several objects (leat/sync.h); the protocol
 * is in lib/sync/sync.h. */
#include "lib/base/fail.h"
#include "lib/sync/sync.h"
#include "lib/wake/wait.h"

#define CONFIRMATIONS 8
/* the first pause while the kernel passes the mutex on; each further one is twice as long */
#define HAND_OVER_NS UINT64_C(50000)
#define PAUSE_MOST_NS UINT64_C(10000000)

struct wait {
    leat_waitable *const *objects;
    size_t count;
    bool all;
    size_t index;      /* wait_any: of the object that was taken */
    int result;        /* of the last try to take them */
    bool armed;        /* it was armed: it may have consumed wakes */
    bool asked;        /* the kernel was asked about owners and committers */
    uint64_t pause_ns; /* a mutex that inherits priorities: the next pause; 0: the first */
    uint32_t wake_counts[LEAT_WAIT_MAX];
};

/* --- All of them ------------------------------------------------------------------------------ */

static bool is_before(const leat_waitable *one, const leat_waitable *other) {
    const struct leat__object *left = &one->object, *right = &other->object;
    return left->device != right->device ? left->device < right->device
                                         : left->header.inode < right->header.inode;
}

static bool is_same(const leat_waitable *one, const leat_waitable *other) {
    return !is_before(one, other) && !is_before(other, one);
}

/* All waiters commit in this order, whatever order the caller gave, so that no two committers wait
 * for each other. */
static void sort_by_file(leat_waitable *sorted[], size_t count) {
    for (size_t i = 1; i < count; i++)
        for (size_t j = i; j > 0 && is_before(sorted[j], sorted[j - 1]); j--) {
            leat_waitable *swapped = sorted[j];
            sorted[j] = sorted[j - 1];
            sorted[j - 1] = swapped;
        }
}

/* Claims an object without taking anything of it yet; a mutex can only be locked. */
static int claim(leat_waitable *object, bool probe) {
    if (object->kind == LEAT_KIND_MUTEX)
        return leat__sync_take(object, probe);
    int result = leat__sync_claim(object);
    if (result == LEAT_EBUSY && probe)
        leat__sync_heal(object);
    return result;
}

/* Whether our claim is still in the word; a mutex that we have locked stays claimed. [L8] after the
 * last claim. */
static bool is_claimed(const leat_waitable *object) {
    return object->kind == LEAT_KIND_MUTEX ||
           leat__lock_participant(leat__load_total64(&object->page->word.owner)) ==
               object->participant;
}

/* The word after the end of our claim. */
static uint64_t settled(const leat_waitable *object, uint64_t word, bool take) {
    word &= ~UINT64_C(0xFFFF);
    if (take && object->kind == LEAT_KIND_SEMAPHORE)
        return word - LEAT__SYNC_ONE;
    return take && !object->manual ? word & ~LEAT__SYNC_SET : word;
}

/* Ends a claim, and takes the object or not. A claim that is no longer there was ended by the
 * change that took it out. */
static void settle(leat_waitable *object, bool take) {
    if (object->kind == LEAT_KIND_MUTEX) {
        if (!take)
            leat__sync_unlock(object); /* if its owner died, `abandoned` stays for the next owner */
        return;
    }
    for (unsigned turns = 0; turns < LEAT__SYNC_TRIES && is_claimed(object); turns++) {
        uint64_t word = leat__load_relaxed64(&object->page->word.owner);
        if (leat__lock_participant(word) != object->participant ||
            !leat__compare_exchange64(&object->page->word.owner, word, settled(object, word, take)))
            continue;
        /* a thread that found the claim may sleep because of it */
        leat__sync_wake(object, false);
        return;
    }
}

/* After the last claim: checks that all claims stand at one moment. A claim that was taken out of
 * its event meanwhile is made again, and is the last one then. */
static int confirm(leat_waitable *const sorted[], size_t count) {
    size_t last = count - 1;
    for (unsigned turns = 0; turns < CONFIRMATIONS; turns++) {
        size_t i = 0;
        while (i < count && (i == last || is_claimed(sorted[i])))
            i++;
        if (i == count)
            return LEAT_OK;
        int result = claim(sorted[i], false);
        if (result != LEAT_OK)
            return result;
        last = i;
    }
    return LEAT_EBUSY;
}

/* Claims all and takes them, or none. */
static int take_all(const struct wait *wait, bool probe) {
    leat_waitable *sorted[LEAT_WAIT_MAX];
    for (size_t i = 0; i < wait->count; i++)
        sorted[i] = wait->objects[i];
    sort_by_file(sorted, wait->count);
    int result = LEAT_OK;
    bool owner_died = false;
    size_t claimed = 0;
    for (; claimed < wait->count; claimed++) {
        result = claim(sorted[claimed], probe);
        owner_died = owner_died || result == LEAT_EOWNERDEAD;
        if (result != LEAT_OK && result != LEAT_EOWNERDEAD)
            break;
    }
    if (claimed == wait->count)
        result = confirm(sorted, claimed);
    bool complete = claimed == wait->count && result == LEAT_OK;
    while (claimed-- > 0)
        settle(sorted[claimed], complete);
    if (!complete)
        return result;
    return owner_died ? LEAT_EOWNERDEAD : LEAT_OK;
}

/* --- Any of them ------------------------------------------------------------------------------ */

static int take_any(struct wait *wait, bool probe) {
    for (size_t i = 0; i < wait->count; i++) {
        int result = leat__sync_take(wait->objects[i], probe);
        if (result == LEAT_EBUSY)
            continue;
        wait->index = i;
        return result;
    }
    return LEAT_EBUSY;
}

/* --- Waiting ---------------------------------------------------------------------------------- */

static int take(struct wait *wait, bool probe) {
    if (!wait->all)
        return take_any(wait, probe);
    for (size_t i = 0; i < wait->count && !probe; i++)
        if (!leat__sync_available(wait->objects[i]))
            return LEAT_EBUSY;
    return take_all(wait, probe);
}

static bool is_taken(void *context) {
    struct wait *wait = context;
    if (wait->result == LEAT_EBUSY)
        wait->result = take(wait, false);
    return wait->result != LEAT_EBUSY;
}

/* The first slice is shorter: a holder releases soon, or is dead. */
static int ask_about_owners(void *context, uint64_t now_ns, bool last, uint64_t *again_ns) {
    struct wait *wait = context;
    (void)last;
    wait->result = take(wait, true);
    *again_ns = now_ns + (wait->asked ? LEAT__SYNC_SLICE_NS : LEAT__SLICE_NS);
    wait->asked = true;
    return LEAT_OK;
}

static void arm(void *context) {
    struct wait *wait = context;
    for (size_t i = 0; i < wait->count; i++) {
        struct leat__lock *word = &wait->objects[i]->page->word;
        wait->wake_counts[i] = leat__load_acquire32(&word->wake_count);
        leat__store_relaxed32(&word->contended, 1);
    }
    wait->armed = true;
    leat__fence_full(); /* [L3] each `contended` before the poll, pairs with [L4] */
}

/* Sleeps until one of the objects changes. wait_all passes on the wakes of available objects, which
 * alone are not enough, and sleeps on the others. */
static int sleep_until(void *context, uint64_t now_ns, uint64_t until_ns) {
    const struct wait *wait = context;
    const leat__u32 *words[LEAT_WAIT_MAX];
    uint32_t wake_counts[LEAT_WAIT_MAX];
    size_t count = 0;
    (void)now_ns;
    for (size_t i = 0; i < wait->count; i++) {
        leat_waitable *object = wait->objects[i];
        if (wait->all && leat__sync_available(object)) {
            leat__sync_wake(object, false);
            continue;
        }
        words[count] = &object->page->word.wake_count;
        wake_counts[count++] = wait->wake_counts[i];
    }
    return count > 0 ? leat__os_wait_any(words, wake_counts, count, until_ns) : LEAT_OK;
}

/* A wake serves one sleeper. A waiter that leaves may have consumed a wake that another waiter
 * needs: of an object that is still available, or is available again. */
static void pass_on(const struct wait *wait, bool served) {
    for (size_t i = 0; i < wait->count && wait->armed; i++) {
        leat_waitable *object = wait->objects[i];
        leat__store_relaxed32(&object->page->word.contended, 1); /* other waiters may still sleep */
        leat__fence_full(); /* [L3] before the last poll: a later change wakes them */
        bool took = served && (wait->all || i == wait->index) && object->kind == LEAT_KIND_MUTEX;
        if (!took && leat__sync_available(object))
            leat__sync_wake(object, false);
    }
}

/* A cancelled thread calls this last. It has claimed and taken nothing. */
static void leave(void *context) {
    pass_on(context, false);
}

static const struct leat__wait_kind ordinary = {
    .ready = is_taken, .ask = ask_about_owners, .arm = arm, .sleep = sleep_until, .leave = leave};

/* --- For one mutex that inherits priorities --------------------------------------------------- */

/* The kernel is passing the mutex on just now, or has not given a dead owner's mutex to any thread
 * yet. Each pause is longer than the one before. */
static void pause_a_little(struct wait *wait, uint64_t now_ns, uint64_t until_ns) {
    uint64_t pause_ns = wait->pause_ns != 0 ? wait->pause_ns : HAND_OVER_NS;
    wait->pause_ns = pause_ns < PAUSE_MOST_NS ? 2 * pause_ns : pause_ns;
    leat__os_sleep(until_ns - now_ns > pause_ns ? now_ns + pause_ns : until_ns);
}

/* Sleeps in the kernel, which serves its sleepers without being armed. Lends the holder this
 * thread's priority, if the holder is vouched for (lib/sync/sync_pi.c). */
static int sleep_inheriting(void *context, uint64_t now_ns, uint64_t until_ns) {
    struct wait *wait = context;
    leat_waitable *object = wait->objects[0];
    enum leat__pi_holder holder = leat__pi_holder(object);
    if (holder == LEAT__PI_NONE)
        return LEAT_OK;
    int result = holder == LEAT__PI_ALIVE ? leat__pi_sleep(object, until_ns) : LEAT_ENOENT;
    if (result == LEAT_OK || result == LEAT__LOCK_INHERITED)
        wait->result = leat__sync_locked(object, result);
    else if (result == LEAT_ESTATE)
        wait->result = result;
    else if (result == LEAT_ENOENT)
        wait->result = leat__sync_take(object, true);
    if (wait->result == LEAT_EBUSY && (result == LEAT_ENOENT || result == LEAT_EAGAIN))
        pause_a_little(wait, now_ns, until_ns);
    return LEAT_OK;
}

/* A cancelled thread leaves nothing behind: the kernel passes the mutex only to threads that are
 * asleep in it, and the thread is not vouched for between two sleeps. */
static const struct leat__wait_kind inheriting = {
    .ready = is_taken, .ask = ask_about_owners, .sleep = sleep_inheriting, .leave = leave};

/* --- The calls -------------------------------------------------------------------------------- */

static int check(const struct wait *wait) {
    if (wait->objects == NULL || wait->count == 0 || wait->count > LEAT_WAIT_MAX)
        return leat__fail(LEAT_EINVAL, 0, "%zu objects to wait for, from 1 to %d are possible",
                          wait->count, LEAT_WAIT_MAX);
    for (size_t i = 0; i < wait->count; i++) {
        leat_waitable *object = wait->objects[i];
        int result = leat__sync_check(object);
        if (result != LEAT_OK)
            return result;
        if (object->pi && leat__pi_elsewhere(object))
            return leat__fail(LEAT_ESTATE, 0,
                              "number %zu is a mutex that thread %u holds through this handle", i,
                              object->thread);
        for (size_t j = 0; j < i; j++)
            if (object == wait->objects[j] || (wait->all && is_same(object, wait->objects[j])))
                return leat__fail(LEAT_EINVAL, 0, "number %zu is number %zu again", i, j);
        if (object->depth > 0 && wait->all)
            return leat__fail(LEAT_EINVAL, 0,
                              "number %zu is a mutex that this handle holds already", i);
        if (object->depth > 0 && !object->recursive)
            return leat__fail(LEAT_ESTATE, 0,
                              "number %zu is a mutex that this handle holds already", i);
    }
    return LEAT_OK;
}

static int wait_until_taken(struct wait *wait, uint64_t deadline_ns) {
    bool interruptible = false;
    for (size_t i = 0; i < wait->count; i++)
        interruptible = interruptible || wait->objects[i]->interruptible;
    bool inherits = wait->count == 1 && wait->objects[0]->pi && !interruptible;
    struct leat__spin spin = {.ns = inherits ? 0 : LEAT__LOCK_SPIN_NS};
    struct leat__wait waiting = {
        .kind = inherits ? &inheriting : &ordinary,
        .context = wait,
        .spin = &spin,
        .ask_at_ns = inherits ? leat__os_now() + LEAT__SLICE_NS : 0, /* its sleep asks, too */
        .deadline_ns = deadline_ns,
        .interruptible = interruptible,
    };
    int result = leat__wait(&waiting);
    result = wait->result != LEAT_EBUSY ? wait->result : result;
    pass_on(wait, result == LEAT_OK || result == LEAT_EOWNERDEAD);
    return result;
}

static int perform(struct wait *wait, uint64_t deadline_ns) {
    int result = check(wait);
    if (result != LEAT_OK)
        return result;
    for (size_t i = 0; i < wait->count; i++) {
        wait->objects[i]->pulses =
            (uint32_t)(leat__load_acquire64(&wait->objects[i]->page->word.owner) >> 32);
        wait->objects[i]->unpulsed = wait->all;
    }
    wait->result = take(wait, false);
    if (wait->result == LEAT_EBUSY && deadline_ns == LEAT_NOW)
        wait->result = take(wait, true);
    if (wait->result != LEAT_EBUSY)
        return wait->result;
    if (deadline_ns == LEAT_NOW)
        return LEAT_EAGAIN;
    return wait_until_taken(wait, deadline_ns);
}

int leat_wait(leat_waitable *object, uint64_t deadline_ns) {
    struct wait wait = {.objects = &object, .count = 1};
    return perform(&wait, deadline_ns);
}

int leat_wait_any(leat_waitable *const *objects, size_t count, size_t *index,
                  uint64_t deadline_ns) {
    struct wait wait = {.objects = objects, .count = count};
    int result = perform(&wait, deadline_ns);
    if (index != NULL && (result == LEAT_OK || result == LEAT_EOWNERDEAD || result == LEAT_ELOST))
        *index = wait.index;
    return result;
}

int leat_wait_all(leat_waitable *const *objects, size_t count, uint64_t deadline_ns) {
    struct wait wait = {.objects = objects, .count = count, .all = true};
    return perform(&wait, deadline_ns);
}
