/* soak_sync.c - see soak.h: the roles with mutexes, semaphores, events and regions. */
#include <stdio.h>
#include <string.h>

#include "handles.h"
#include "soak.h"

static bool goes_on(struct soak_role *role) {
    return !role->stop && !soak->over && leat_now() < role->until;
}

static uint64_t some_deadline(struct soak_role *role) {
    uint64_t random = soak_random(&role->random);
    return random % 4 == 0
               ? LEAT_NOW
               : leat_in_ms(random % 4 == 1 ? 1 + (random >> 8) % 20 : 20 + (random >> 8) % 600);
}

static leat_sync_options options_of(bool global, bool persistent) {
    return (leat_sync_options){
        .scope = soak_scope(global), .persistent = persistent, .permissions = global ? 0666 : 0600};
}

bool soak_open_mutex(struct soak_role *role, struct soak_mutex *mutex) {
    char name[96];
    leat_sync_options options = options_of(mutex->global, mutex->persistent);
    options.inherit_priority = mutex->inherit;
    const char *word = soak_name(name, mutex->word, mutex->global);
    return soak_opened("leat_mutex_open", word,
                       SOAK_CALL(role, 0, leat_mutex_open(&role->mutex, word, &options)));
}

bool soak_open_semaphore(struct soak_role *role, struct soak_semaphore *semaphore) {
    char name[96];
    leat_sync_options options = options_of(semaphore->global, true);
    const char *word = soak_name(name, semaphore->word, semaphore->global);
    int code = SOAK_CALL(
        role, 0, leat_semaphore_open(&role->semaphore, word, 0, LEAT_SEMAPHORE_MAX, &options));
    return soak_opened("leat_semaphore_open", word, code);
}

bool soak_open_event(struct soak_role *role, unsigned which) {
    leat_sync_options options = options_of(false, true);
    const char *word = soak->events[which].word;
    int code = SOAK_CALL(role, 0, leat_event_open(&role->events[which], word, &options));
    return soak_opened("leat_event_open", word, code);
}

static void judge(const char *call, const char *word, int code) {
    if (code != LEAT_OK && code != LEAT_EOWNERDEAD && code != LEAT_EAGAIN && code != LEAT_ETIMEDOUT)
        soak_unexpected(call, word, code);
}

/* --- Mutexes ---------------------------------------------------------------------------------- */

static struct soak_mutex *some_mutex(struct soak_role *role) {
    return &soak->mutexes[role->foreign ? SOAK_MUTEXES - 1
                                        : soak_random(&role->random) % SOAK_MUTEXES];
}

static void unlock(struct soak_role *role) {
    struct soak_mutex *mutex = role->held;
    soak_unlocking(role);
    int code = SOAK_CALL(role, 0, leat_mutex_unlock(role->mutex));
    if (code != LEAT_OK)
        soak_unexpected("leat_mutex_unlock", mutex->word, code);
}

void soak_lock(struct soak_role *role) {
    struct soak_mutex *mutex = some_mutex(role);
    if (!soak_open_mutex(role, mutex))
        return;
    while (goes_on(role)) {
        uint64_t deadline = some_deadline(role);
        int code = SOAK_WAIT(role, deadline, leat_mutex_lock(role->mutex, deadline));
        judge("leat_mutex_lock", mutex->word, code);
        if (code == LEAT_OK || code == LEAT_EOWNERDEAD) {
            soak_locked(role, mutex, code);
            if (soak_chance(&role->random, 200))
                return; /* closes while it holds the mutex: the next owner gets LEAT_EOWNERDEAD */
            unlock(role);
        } else if (soak->fault == SOAK_HOLD && soak_chance(&role->random, 10)) {
            soak_locked(role, mutex, LEAT_OK); /* planted: without the lock */
            soak_unlocking(role);
        }
        if (soak_chance(&role->random, 200))
            soak_fork(role);
        if (soak_chance(&role->random, 2))
            soak_sleep_us(soak_random(&role->random) % 1000);
    }
}

/* --- Semaphores ------------------------------------------------------------------------------- */

static unsigned some_semaphore(struct soak_role *role) {
    return role->foreign ? SOAK_SEMAPHORES - 1
                         : (unsigned)(soak_random(&role->random) % SOAK_SEMAPHORES);
}

static void post(struct soak_role *role, unsigned which) {
    struct soak_semaphore *semaphore = &soak->semaphores[which];
    role->thread->posting = 1u << which;
    int code = SOAK_CALL(role, 0, leat_semaphore_release(role->semaphore, 1, NULL));
    semaphore->posted += code == LEAT_OK;
    role->thread->posting = 0;
    if (code != LEAT_OK)
        soak_unexpected("leat_semaphore_release", semaphore->word, code);
}

static void took(unsigned which, int code) {
    bool planted = soak->fault == SOAK_COUNT && soak->semaphores[which].taken % 100 == 99;
    soak->semaphores[which].taken += code == LEAT_OK ? 1 + planted : 0;
    soak->counts.takes += code == LEAT_OK;
}

void soak_post(struct soak_role *role) {
    unsigned which = some_semaphore(role);
    if (!soak_open_semaphore(role, &soak->semaphores[which]))
        return;
    while (goes_on(role)) {
        post(role, which);
        soak_sleep_us(soak_random(&role->random) % 4000);
    }
}

void soak_take(struct soak_role *role) {
    unsigned which = some_semaphore(role);
    if (!soak_open_semaphore(role, &soak->semaphores[which]))
        return;
    while (goes_on(role)) {
        uint64_t deadline = some_deadline(role);
        role->thread->taking = 1u << which;
        int code = SOAK_WAIT(role, deadline,
                             leat_wait(leat_semaphore_waitable(role->semaphore), deadline));
        took(which, code);
        role->thread->taking = 0;
        judge("leat_wait", soak->semaphores[which].word, code);
        if (soak_chance(&role->random, 4))
            soak_sleep_us(soak_random(&role->random) % 2000);
    }
}

/* --- Events ----------------------------------------------------------------------------------- */

static void set_event(struct soak_role *role, unsigned which) {
    soak->events[which].sets++;
    soak->counts.sets++;
    int code = SOAK_CALL(role, 0, leat_event_set(role->events[which]));
    if (code != LEAT_OK)
        soak_unexpected("leat_event_set", soak->events[which].word, code);
}

static void took_event(unsigned which) {
    uint64_t taken = ++soak->events[which].taken, sets = soak->events[which].sets;
    if (taken > sets)
        SOAK_FIND("event '%s': doubled: taken %llu times, set %llu times", soak->events[which].word,
                  (unsigned long long)taken, (unsigned long long)sets);
}

void soak_ping(struct soak_role *role) {
    unsigned mine = soak_chance(&role->random, 2), other = 1 - mine;
    if (!soak_open_event(role, 0) || !soak_open_event(role, 1))
        return;
    while (goes_on(role)) {
        uint64_t deadline = leat_in_ms(1 + soak_random(&role->random) % 100);
        set_event(role, other);
        int code =
            SOAK_WAIT(role, deadline, leat_wait(leat_event_waitable(role->events[mine]), deadline));
        judge("leat_wait", soak->events[mine].word, code);
        if (code == LEAT_OK)
            took_event(mine);
        soak_sleep_us(soak_random(&role->random) % 1000);
    }
}

/* --- Several ---------------------------------------------------------------------------------- */

static void took_one(struct soak_role *role, size_t index, int code) {
    if (index == 0) {
        soak_locked(role, &soak->mutexes[0], code);
        unlock(role);
    } else if (index == 1)
        took(0, code);
    else
        took_event(0);
}

static void wait_once(struct soak_role *role, leat_waitable *const *objects, bool all) {
    uint64_t deadline = some_deadline(role);
    size_t index = 0;
    role->thread->taking = 1;
    int code = all ? SOAK_WAIT(role, deadline, leat_wait_all(objects, 3, deadline))
                   : SOAK_WAIT(role, deadline, leat_wait_any(objects, 3, &index, deadline));
    judge("a wait for several", "", code);
    bool got = code == LEAT_OK || code == LEAT_EOWNERDEAD;
    if (got && (all || index == 1))
        took(0, LEAT_OK);
    role->thread->taking = 0;
    if (got && all)
        took_event(0);
    if (got && (all || index != 1))
        took_one(role, index, code);
}

void soak_wait_for_several(struct soak_role *role) {
    bool all = soak_chance(&role->random, 2);
    if (!soak_open_mutex(role, &soak->mutexes[0]) ||
        !soak_open_semaphore(role, &soak->semaphores[0]) || !soak_open_event(role, 0))
        return;
    leat_waitable *const objects[] = {leat_mutex_waitable(role->mutex),
                                      leat_semaphore_waitable(role->semaphore),
                                      leat_event_waitable(role->events[0])};
    while (goes_on(role)) {
        wait_once(role, objects, all);
        soak_sleep_us(soak_random(&role->random) % 2000);
    }
}

/* --- Regions ---------------------------------------------------------------------------------- */

#define MARK UINT64_C(0x6b616f732d736973)

static void check_region(struct soak_role *role) {
    uint64_t *words = leat_region_data(role->region), count = leat_region_size(role->region) / 8;
    for (uint64_t i = 0; i < count; i += 64) {
        uint64_t word = __atomic_load_n(&words[i], __ATOMIC_RELAXED);
        if (word != 0 && word != MARK + i)
            SOAK_FIND("region: byte %llu holds what nobody wrote: %llx", (unsigned long long)i * 8,
                      (unsigned long long)word);
        __atomic_store_n(&words[i], MARK + i, __ATOMIC_RELAXED);
    }
}

void soak_grow(struct soak_role *role) {
    leat_region_options options = {.size_policy = LEAT_SIZE_GROW};
    while (goes_on(role)) {
        uint64_t size = 4096 + soak_random(&role->random) % 60000;
        int code =
            SOAK_CALL(role, 0, open_or_create_region(&role->region, "soak-region", size, &options));
        if (!soak_opened("leat_region_open_or_create", "soak-region", code))
            continue;
        check_region(role);
        code = SOAK_CALL(role, 0,
                         leat_region_grow(role->region, size + soak_random(&role->random) % 60000));
        if (code != LEAT_OK && code != LEAT_EBUSY)
            soak_unexpected("leat_region_grow", "soak-region", code);
        check_region(role);
        soak_sleep_us(soak_random(&role->random) % 2000);
        SOAK_DO(role, leat_region_close(role->region));
        role->region = NULL;
        soak_sleep_us(soak_random(&role->random) % 5000);
    }
}
