/* lib/sync/lock.c - see lib/sync/lock.h. */
#include "lib/sync/lock.h"

#include "lib/base/fail.h"
#include "lib/wake/wait.h"

#define PARTICIPANT_BITS 16
#define JOIN_NS UINT64_C(1000000000)
#define TRIES_PER_CLOCK 16

static uint64_t next_owner(uint64_t owner, unsigned participant) {
    return ((owner >> PARTICIPANT_BITS) + 1) << PARTICIPANT_BITS | participant;
}

/* LEAT_OK, LEAT_EBUSY, or an error. */
static int try_participant(const struct leat__lock *lock, leat__file file, unsigned participant) {
    int result = leat__os_lock(file, LEAT__LOCK_PARTICIPANTS + participant, LEAT__EXCLUSIVE);
    /* no other handle can store this number: we hold its byte */
    if (result != LEAT_OK ||
        leat__lock_participant(leat__load_acquire64(&lock->owner)) != participant)
        return result;
    result = leat__os_lock(file, LEAT__LOCK_PARTICIPANTS + participant, LEAT__UNLOCKED);
    return result == LEAT_OK ? LEAT_EBUSY : result;
}

int leat__lock_join(const struct leat__lock *lock, leat__file file,
                    bool (*seems_taken)(const void *context, unsigned participant),
                    const void *context, unsigned *participant) {
    uint64_t give_up_ns = leat__os_now() + JOIN_NS;
    unsigned start = leat__os_random() % LEAT__PARTICIPANTS_MAX, tried = 0;
    for (int pass = 0; pass < 2; pass++)
        for (unsigned i = 0; i < LEAT__PARTICIPANTS_MAX; i++) {
            unsigned candidate = (start + i) % LEAT__PARTICIPANTS_MAX + 1;
            if (seems_taken(context, candidate) != (pass > 0))
                continue;
            int result = try_participant(lock, file, candidate);
            if (result == LEAT_OK)
                *participant = candidate;
            if (result != LEAT_EBUSY)
                return result;
            if (++tried % TRIES_PER_CLOCK == 0 && leat__os_now() >= give_up_ns)
                return leat__fail(LEAT_EBUSY, 0, "no free place was found in a second");
        }
    return leat__fail(LEAT_EBUSY, 0, "all %d places are taken", LEAT__PARTICIPANTS_MAX);
}

bool leat__lock_holder_died(leat__file file, unsigned holder, unsigned own) {
    return holder == own || holder > LEAT__PARTICIPANTS_MAX ||
           leat__os_locked(file, LEAT__LOCK_PARTICIPANTS + holder, 1) == LEAT__NO;
}

int leat__lock_try(struct leat__lock *lock, leat__file file, unsigned participant, bool probe) {
    uint64_t owner = leat__load_acquire64(&lock->owner); /* [L1] what the last holder wrote */
    unsigned holder = leat__lock_participant(owner);
    if (holder != 0 && !(probe && leat__lock_holder_died(file, holder, participant)))
        return LEAT_EBUSY;
    if (!leat__compare_exchange64(&lock->owner, owner, next_owner(owner, participant))) /* [L1] */
        return LEAT_EBUSY;
    return holder == 0 ? LEAT_OK : LEAT__LOCK_INHERITED;
}

/* A participant that waits for the lock. */
struct acquisition {
    struct leat__lock *lock;
    leat__file file;
    unsigned participant;
    int result; /* of the last try */
    bool armed; /* it was armed: it may have consumed the only wake */
    uint32_t wake_count;
};

static void try(struct acquisition *waiter, bool probe) {
    waiter->result = leat__lock_try(waiter->lock, waiter->file, waiter->participant, probe);
}

static bool is_acquired(void *context) {
    struct acquisition *waiter = context;
    if (waiter->result == LEAT_EBUSY)
        try(waiter, false);
    return waiter->result != LEAT_EBUSY;
}

static int ask_about_holder(void *context, uint64_t now_ns, bool last, uint64_t *again_ns) {
    (void)last;
    try(context, true);
    *again_ns = now_ns + LEAT__SLICE_NS;
    return LEAT_OK;
}

static void arm(void *context) {
    struct acquisition *waiter = context;
    waiter->armed = true;
    waiter->wake_count = leat__load_acquire32(&waiter->lock->wake_count);
    leat__store_relaxed32(&waiter->lock->contended, 1);
    leat__fence_full(); /* [L3] `contended` before the poll, pairs with [L4] */
}

static int sleep_until(void *context, uint64_t now_ns, uint64_t until_ns) {
    struct acquisition *waiter = context;
    (void)now_ns;
    return leat__os_wait(&waiter->lock->wake_count, waiter->wake_count, until_ns);
}

/* Other waiters may still sleep, and the holder's release must wake one of them. If this waiter has
 * the lock, that is its own release. */
static void pass_wake_on(struct acquisition *waiter) {
    leat__store_relaxed32(&waiter->lock->contended, 1);
    if (waiter->result != LEAT_EBUSY)
        return;
    leat__fence_full(); /* [L3] before the last try, which finds a lock that is free by now */
    try(waiter, false);
}

static int wait_for_lock(struct acquisition *waiter, uint64_t deadline_ns, bool interruptible) {
    static const struct leat__wait_kind kind = {
        .ready = is_acquired, .ask = ask_about_holder, .arm = arm, .sleep = sleep_until};
    struct leat__spin spin = {.ns = LEAT__LOCK_SPIN_NS};
    struct leat__wait wait = {
        .kind = &kind,
        .context = waiter,
        .spin = &spin,
        .ask_at_ns = leat__os_now() + LEAT__SLICE_NS,
        .deadline_ns = deadline_ns,
        .interruptible = interruptible,
    };
    int result = leat__wait(&wait);
    if (waiter->armed)
        pass_wake_on(waiter);
    return waiter->result != LEAT_EBUSY ? waiter->result : result;
}

int leat__lock_acquire(struct leat__lock *lock, leat__file file, unsigned participant,
                       uint64_t deadline_ns, bool interruptible) {
    struct acquisition waiter = {.lock = lock, .file = file, .participant = participant};
    try(&waiter, leat__lock_participant(leat__load_relaxed64(&lock->owner)) == participant);
    if (waiter.result == LEAT_EBUSY && deadline_ns != LEAT_NOW)
        return wait_for_lock(&waiter, deadline_ns, interruptible);
    if (waiter.result == LEAT_EBUSY)
        try(&waiter, true);
    return waiter.result == LEAT_EBUSY ? LEAT_EAGAIN : waiter.result;
}

void leat__lock_release(struct leat__lock *lock) {
    /* our lock: no other participant changes the word while we live */
    uint64_t owner = leat__load_relaxed64(&lock->owner);
    /* [L2] everything written under the lock; [L4] */
    (void)leat__exchange64(&lock->owner, owner >> PARTICIPANT_BITS << PARTICIPANT_BITS);
    leat__lock_wake(lock, false);
}

void leat__lock_wake(struct leat__lock *lock, bool all) {
    /* [L4] */
    if (leat__load_total32(&lock->contended) == 0 || leat__exchange32(&lock->contended, 0) == 0)
        return;
    leat__increment32(&lock->wake_count); /* another release may wake at the same moment */
    leat__os_wake(&lock->wake_count, all);
}
