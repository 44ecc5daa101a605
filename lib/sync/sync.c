/* lib/sync/sync.c - what mutexes, events and semaphores do (leat/sync.h); opening is in
 * lib/sync/sync_open.c, waiting in lib/sync/sync_wait.c, taking in lib/sync/sync_word.c. */
#include "lib/sync/sync.h"
#include "lib/base/fail.h"

/* The result of a change outside of waits when other changes were always faster. */
static int fail_restless(void) {
    return leat__fail(LEAT_ECORRUPT, 0, "its word changes without end");
}

/* --- Mutex ------------------------------------------------------------------------------------ */

/* Handles of all kinds have the same structure. */
static leat_waitable *of_mutex(const leat_mutex *mutex) {
    return (leat_waitable *)(uintptr_t)mutex;
}

int leat_mutex_open(leat_mutex **mutex, const char *name, const leat_sync_options *options) {
    bool pi = options != NULL && options->inherit_priority;
    const struct leat__sync_setup setup = {
        .kind = LEAT_KIND_MUTEX,
        .parameters = {pi, pi ? leat__os_thread_space() : 0},
    };
    return leat__sync_open((leat_waitable **)mutex, name, options, &setup);
}

int leat_mutex_open_descriptor(leat_mutex **mutex, int descriptor,
                               const leat_sync_options *options) {
    return leat__sync_open_descriptor((leat_waitable **)mutex, descriptor, options,
                                      LEAT_KIND_MUTEX);
}

void leat_mutex_close(leat_mutex *mutex) {
    leat__sync_close(of_mutex(mutex));
}

int leat_mutex_lock(leat_mutex *mutex, uint64_t deadline_ns) {
    leat_waitable *object = of_mutex(mutex);
    int result = leat__sync_check(object);
    if (result != LEAT_OK)
        return result;
    if (object->depth == 0) {
        result = leat__sync_take(object, false);
        if (result != LEAT_EBUSY)
            return result;
    }
    return leat_wait(object, deadline_ns);
}

static int check_owner(leat_waitable *object) {
    int result = leat__sync_check(object);
    if (result == LEAT_OK && object->pi && leat__pi_elsewhere(object))
        return leat__fail(LEAT_ENOTOWNER, 0, "thread %u has locked it, and has to unlock it",
                          object->thread);
    return result == LEAT_OK && object->depth == 0
               ? leat__fail(LEAT_ENOTOWNER, 0, "this handle has not locked it")
               : result;
}

int leat_mutex_unlock(leat_mutex *mutex) {
    leat_waitable *object = of_mutex(mutex);
    int result = check_owner(object);
    if (result != LEAT_OK)
        return result;
    if (object->depth > 1) {
        object->depth--;
        return LEAT_OK;
    }
    if (leat__load_relaxed32(&object->page->abandoned) != 0)
        leat__store_relaxed32(&object->page->abandoned, 0);
    if (!object->pi) {
        leat__sync_unlock(object);
        return LEAT_OK;
    }
    result = leat__pi_unlock(object);
    if (result == LEAT_OK || result == LEAT_ECORRUPT)
        object->depth = 0;
    return result;
}

int leat_mutex_give_up(leat_mutex *mutex) {
    leat_waitable *object = of_mutex(mutex);
    int result = check_owner(object);
    if (result != LEAT_OK)
        return result;
    leat__store_release32(&object->page->lost, 1);
    leat__store_relaxed32(&object->page->abandoned, 0);
    leat__sync_unlock(object);
    /* all sleepers must wake up and get LEAT_ELOST, not one */
    leat__store_relaxed32(&object->page->word.contended, 1);
    leat__sync_wake(object, true);
    return LEAT_OK;
}

int leat_mutex_reset(leat_mutex *mutex) {
    leat_waitable *object = of_mutex(mutex);
    int result = leat__sync_check(object);
    if (result == LEAT_OK && leat__exchange32(&object->page->lost, 0) == 0)
        return leat__fail(LEAT_ESTATE, 0, "it is not lost");
    return result;
}

leat_waitable *leat_mutex_waitable(leat_mutex *mutex) {
    return of_mutex(mutex);
}

/* --- Event ------------------------------------------------------------------------------------ */

static leat_waitable *of_event(const leat_event *event) {
    return (leat_waitable *)(uintptr_t)event;
}

int leat_event_open(leat_event **event, const char *name, const leat_sync_options *options) {
    const struct leat__sync_setup setup = {
        .kind = LEAT_KIND_EVENT,
        .parameters = {options != NULL && options->manual_reset},
        .word = options != NULL && options->initially ? LEAT__SYNC_SET : 0,
    };
    return leat__sync_open((leat_waitable **)event, name, options, &setup);
}

int leat_event_open_descriptor(leat_event **event, int descriptor,
                               const leat_sync_options *options) {
    return leat__sync_open_descriptor((leat_waitable **)event, descriptor, options,
                                      LEAT_KIND_EVENT);
}

void leat_event_close(leat_event *event) {
    leat__sync_close(of_event(event));
}

enum change { SET, RESET, PULSE };

/* The change takes a claim out: its committer notices that, or has taken the event before this
 * change (lib/sync/sync.h). */
static uint64_t changed(const leat_waitable *object, uint64_t word, enum change change) {
    word &= ~UINT64_C(0xFFFF);
    switch (change) {
    case SET:
        return word | LEAT__SYNC_SET;
    case RESET:
        return word & ~LEAT__SYNC_SET;
    default:
        return ((word & ~LEAT__SYNC_SET) | (object->manual ? 0 : LEAT__SYNC_TOKEN)) +
               LEAT__SYNC_ONE;
    }
}

static int change_event(leat_event *event, enum change change) {
    leat_waitable *object = of_event(event);
    int result = leat__sync_check(object);
    if (result != LEAT_OK)
        return result;
    for (unsigned turns = 0; turns < LEAT__SYNC_TRIES; turns++) {
        uint64_t word = leat__load_relaxed64(&object->page->word.owner),
                 next = changed(object, word, change);
        /* [L5] also when nothing changes; [L8] */
        if (!leat__compare_exchange64(&object->page->word.owner, word, next))
            continue;
        if (change != RESET)
            leat__sync_wake(object, object->manual);
        return LEAT_OK;
    }
    return fail_restless();
}

int leat_event_set(leat_event *event) {
    return change_event(event, SET);
}

int leat_event_reset(leat_event *event) {
    return change_event(event, RESET);
}

int leat_event_pulse(leat_event *event) {
    return change_event(event, PULSE);
}

leat_waitable *leat_event_waitable(leat_event *event) {
    return of_event(event);
}

/* --- Semaphore -------------------------------------------------------------------------------- */

static leat_waitable *of_semaphore(const leat_semaphore *semaphore) {
    return (leat_waitable *)(uintptr_t)semaphore;
}

int leat_semaphore_open(leat_semaphore **semaphore, const char *name, uint32_t initial,
                        uint32_t maximum, const leat_sync_options *options) {
    const struct leat__sync_setup setup = {
        .kind = LEAT_KIND_SEMAPHORE,
        .parameters = {maximum},
        .word = initial * LEAT__SYNC_ONE,
    };
    if (maximum == 0 || maximum > LEAT_SEMAPHORE_MAX || initial > maximum)
        return leat__fail_about(
            leat__fail(LEAT_EINVAL, 0, "initially %u of at most %u", initial, maximum), "semaphore",
            name);
    return leat__sync_open((leat_waitable **)semaphore, name, options, &setup);
}

int leat_semaphore_open_descriptor(leat_semaphore **semaphore, int descriptor,
                                   const leat_sync_options *options) {
    return leat__sync_open_descriptor((leat_waitable **)semaphore, descriptor, options,
                                      LEAT_KIND_SEMAPHORE);
}

void leat_semaphore_close(leat_semaphore *semaphore) {
    leat__sync_close(of_semaphore(semaphore));
}

int leat_semaphore_release(leat_semaphore *semaphore, uint32_t amount, uint32_t *previous) {
    leat_waitable *object = of_semaphore(semaphore);
    int result = leat__sync_check(object);
    if (result == LEAT_OK && amount == 0)
        result = leat__fail(LEAT_EINVAL, 0, "nothing to release");
    if (result != LEAT_OK)
        return result;
    for (unsigned turns = 0; turns < LEAT__SYNC_TRIES; turns++) {
        /* a claim stays */
        uint64_t word = leat__load_relaxed64(&object->page->word.owner), count = word >> 32;
        if (count > object->maximum)
            return leat__fail(LEAT_ECORRUPT, 0, "a count of %llu, at most %u",
                              (unsigned long long)count, object->maximum);
        if (amount > object->maximum - count)
            return leat__fail(LEAT_EOVERFLOW, 0, "%llu and %u more, at most %u",
                              (unsigned long long)count, amount, object->maximum);
        if (!leat__compare_exchange64(&object->page->word.owner, word,
                                      word + amount * LEAT__SYNC_ONE))
            continue;
        if (previous != NULL)
            *previous = (uint32_t)count;
        leat__sync_wake(object, amount > 1);
        return LEAT_OK;
    }
    return fail_restless();
}

leat_waitable *leat_semaphore_waitable(leat_semaphore *semaphore) {
    return of_semaphore(semaphore);
}
