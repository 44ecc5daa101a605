/* lib/sync/lock.c - see lib/sync/lock.h. */
#include "lib/sync/lock.h"

#include "lib/base/fail.h"

#define PARTICIPANT_BITS 16
#define JOIN_NS UINT64_C(1000000000)
#define TRIES_PER_CLOCK 16
/* a holder is done within a microsecond or has been stopped: about the cost of one sleep */
#define SPINS 200

static uint64_t next_owner(uint64_t owner, unsigned participant) {
    return ((owner >> PARTICIPANT_BITS) + 1) << PARTICIPANT_BITS | participant;
}

/* LEAT_OK, LEAT_EBUSY, or an error. */
static int try_participant(const struct leat__lock *lock, leat__file file, unsigned participant) {
    int result = leat__os_lock(file, LEAT__LOCK_PARTICIPANTS + participant, LEAT__EXCLUSIVE);
    /* nobody else can change that: the byte is ours */
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

/* Announce, look again, sleep; then look once more, and from *probe_at_ns on ask about the holder.
 * By the clock: a waiter that is woken often asks too. */
static int sleep_and_try(struct leat__lock *lock, leat__file file, unsigned participant,
                         uint64_t deadline_ns, uint64_t *probe_at_ns) {
    uint32_t wake_count = leat__load_acquire32(&lock->wake_count);
    leat__store_relaxed32(&lock->contended, 1);
    leat__fence_full(); /* [L3] announcement before the look, pairs with [L4] */
    int result = leat__lock_try(lock, file, participant, false);
    if (result != LEAT_EBUSY)
        return result;
    int slept = leat__os_wait(&lock->wake_count, wake_count,
                              *probe_at_ns < deadline_ns ? *probe_at_ns : deadline_ns);
    uint64_t now = leat__os_now();
    bool probe = now >= *probe_at_ns;
    if (probe)
        *probe_at_ns = now + LEAT__LOCK_SLICE_NS;
    result = leat__lock_try(lock, file, participant, probe);
    if (result != LEAT_EBUSY)
        /* others may still sleep: our release has to look after them */
        leat__store_relaxed32(&lock->contended, 1);
    return result == LEAT_EBUSY && slept == LEAT_EINTR ? LEAT_EINTR : result;
}

/* Who leaves without the lock may have been given the one wake that there was: the holder's release
 * has to look after the others. */
static void pass_wake_on(struct leat__lock *lock) {
    leat__store_relaxed32(&lock->contended, 1);
    /* [L3] before the last look: a lock that was released meanwhile is found free */
    leat__fence_full();
}

int leat__lock_acquire(struct leat__lock *lock, leat__file file, unsigned participant,
                       uint64_t deadline_ns, bool interruptible) {
    int result =
        leat__lock_try(lock, file, participant,
                       leat__lock_participant(leat__load_relaxed64(&lock->owner)) == participant);
    for (int spin = 0; result == LEAT_EBUSY && spin < SPINS && deadline_ns != LEAT_NOW; spin++) {
        leat__pause();
        result = leat__lock_try(lock, file, participant, false);
    }
    uint64_t probe_at_ns = 0;
    while (result == LEAT_EBUSY) {
        uint64_t now = leat__os_now();
        if (now >= deadline_ns) {
            if (deadline_ns != LEAT_NOW)
                pass_wake_on(lock);
            result = leat__lock_try(lock, file, participant, true);
            return result != LEAT_EBUSY      ? result
                   : deadline_ns == LEAT_NOW ? LEAT_EAGAIN
                                             : LEAT_ETIMEDOUT;
        }
        if (probe_at_ns == 0)
            probe_at_ns = now + LEAT__LOCK_SLICE_NS;
        result = sleep_and_try(lock, file, participant, deadline_ns, &probe_at_ns);
        if (result == LEAT_EINTR && !interruptible)
            result = LEAT_EBUSY;
    }
    return result;
}

void leat__lock_release(struct leat__lock *lock) {
    /* ours: nobody else changes it while we live */
    uint64_t owner = leat__load_relaxed64(&lock->owner);
    /* [L2] everything written under the lock; [L4] */
    (void)leat__exchange64(&lock->owner, owner >> PARTICIPANT_BITS << PARTICIPANT_BITS);
    leat__lock_wake(lock, false);
}

void leat__lock_wake(struct leat__lock *lock, bool all) {
    /* [L4] */
    if (leat__load_total32(&lock->contended) == 0 || leat__exchange32(&lock->contended, 0) == 0)
        return;
    leat__increment32(&lock->wake_count); /* another release may ring at the same moment */
    leat__os_wake(&lock->wake_count, all);
}
