/* lib/sync/sync_pi.c - mutexes with priority inheritance (leat/sync.h, lib/sync/sync.h).
 *
 * Their lock is the kernel's (lib/os/os.h): a word that contains the number of the *thread* that
 * holds it. The kernel knows whether that thread is alive, except for one case: the number can have
 * been given to another thread since, which knows nothing of the mutex, and all users would wait
 * for that thread without end. So each handle *vouches* for its thread while the thread tries or
 * holds: it stores the thread's number in its place of the table. If no live handle vouches for the
 * thread in the word, the owner is dead.
 *
 *     pi = generation << 32 | the kernel's word
 *
 * The generation grows with every vouching, before that handle can have the mutex.
 *
 * A dead owner's word is taken over in two steps. A compare-and-exchange replaces the number by
 * OWNER_DIED, which the kernel itself writes for a robust lock. Then the thread asks the kernel for
 * the mutex, as for any other. Why that is sound (tests/model/pi.pml):
 *
 *   - The owner cannot release between the reading of the places and the exchange, and then lock
 *     again: to lock it must vouch, which changes the generation. A generation that changes with
 *     the release is not enough: a thread that read the word between that change and the unlocking
 *     in the kernel would take the mutex from an owner that came back.
 *   - leat never contradicts the kernel. The kernel overwrites the word with the number of the
 *     sleeper that it serves. It can have sleepers that leat does not know of: for a thread that
 *     died after the kernel was asked about it, or for an unrelated thread, if the owner died and
 *     its number was given away between a sleeper's reading of the places and its sleep. So the
 *     kernel decides which thread gets a dead owner's mutex: one of the sleepers, if there are any,
 *     or no thread before their slices are over.
 *   - No thread goes to sleep for a thread that is not vouched for (a waiter reads the places
 *     first, in lib/sync/sync_wait.c), so such slices end.
 *   - The kernel serves threads that slept for a thread that ended. When a process ends, its places
 *     vouch longer than its threads live: the kernel takes its memory, and with it these locks,
 *     before its files. And a thread can end alone. So the kernel is also asked about a thread that
 *     is vouched for.
 *
 * Crash points. Killed between vouching and locking: nothing was locked. Between unlocking and
 * withdrawing: the participant's lock goes with the process. Waiting in the kernel: the kernel
 * takes the thread out of its queue. Between the two steps of taking over: the next thread that
 * asks gets the mutex, and LEAT_EOWNERDEAD.
 */
#include "lib/base/fail.h"
#include "lib/sync/sync.h"

#define VOUCHERS 64
#define TURN (UINT64_C(1) << 32)

static uint64_t load(const leat_waitable *object) {
    return leat__load_acquire64(&object->page->pi);
}

static uint32_t thread_in(uint64_t word) {
    return (uint32_t)word & LEAT__PI_THREAD;
}

static bool is_free(uint64_t word) {
    return (uint32_t)word == 0;
}

/* The kernel's half of the word. */
static leat__u32 *kernels(leat_waitable *object) {
    return (leat__u32 *)&object->page->pi;
}

static void vouch(leat_waitable *object, uint32_t thread) {
    /* [P1] before the word has the number, and as long as it has it */
    leat__store_release32(&object->page->processes[object->participant], thread);
}

/* Whether another handle vouches for the thread. LEAT__YES also when too many places have its
 * number. */
static enum leat__answer ask_vouchers(const leat_waitable *object, uint32_t thread) {
    const struct leat__sync_page *page = object->page;
    leat__file file = object->object.resource.file;
    unsigned asked = 0;
    for (unsigned participant = 1; participant <= LEAT__PARTICIPANTS_MAX && thread != 0;
         participant++) {
        if (leat__load_acquire32(&page->processes[participant]) != thread) /* [P1] */
            continue;
        if (++asked > VOUCHERS)
            return LEAT__YES;
        enum leat__answer answer = leat__os_locked(file, LEAT__LOCK_PARTICIPANTS + participant, 1);
        if (answer != LEAT__NO)
            return answer;
    }
    return LEAT__NO;
}

/* Whether another handle vouches for the thread. True also while the system does not answer, or
 * when more places have the number than threads can have left it in: without certainty no owner is
 * dead. */
static bool vouched_for(const leat_waitable *object, uint32_t thread) {
    return ask_vouchers(object, thread) != LEAT__NO;
}

/* The kernel gave us the mutex: LEAT__LOCK_INHERITED if its owner had died. */
static int given(leat_waitable *object) {
    uint64_t word = leat__remove_bits64(&object->page->pi, LEAT__PI_OWNER_DIED);
    return (word & LEAT__PI_OWNER_DIED) != 0 ? LEAT__LOCK_INHERITED : LEAT_OK;
}

/* After vouching, before the kernel can give us the mutex. */
static void begin_locked(leat_waitable *object) {
    (void)leat__add64(&object->page->pi, TURN); /* [P2] */
}

/* Takes the mutex over from its owner, if the owner is dead. */
static int inherit(leat_waitable *object) {
    uint64_t word = load(object);
    int result = LEAT_ENOENT;
    if (thread_in(word) == 0 || vouched_for(object, thread_in(word))) {
        /* [P2] as begin_locked */
        if (!leat__compare_exchange64(&object->page->pi, word, word + TURN))
            return LEAT_EBUSY;
        word += TURN;
        result = leat__os_pi_try(kernels(object));
    }
    if (result == LEAT_ENOENT) {
        uint64_t seen = load(object); /* the question may have set a flag */
        uint64_t next = ((seen + TURN) & ~(uint64_t)LEAT__PI_THREAD) | LEAT__PI_OWNER_DIED;
        /* [P2] */
        if ((seen | LEAT__PI_WAITERS) != (word | LEAT__PI_WAITERS) ||
            !leat__compare_exchange64(&object->page->pi, seen, next))
            return LEAT_EBUSY;
        result = leat__os_pi_try(kernels(object));
    }
    return result == LEAT_OK ? given(object) : LEAT_EBUSY;
}

enum leat__answer leat__pi_orphaned(const leat_waitable *object) {
    uint64_t word = load(object);
    enum leat__answer answer = is_free(word) ? LEAT__YES : ask_vouchers(object, thread_in(word));
    return answer == LEAT__UNKNOWN ? LEAT__UNKNOWN : answer == LEAT__NO ? LEAT__YES : LEAT__NO;
}

bool leat__pi_available(const leat_waitable *object) {
    return is_free(load(object));
}

int leat__pi_try(leat_waitable *object, bool probe) {
    uint32_t own = leat__os_thread();
    uint64_t word = load(object);
    int result = LEAT_EBUSY;
    if (!probe && !is_free(word))
        return result;
    vouch(object, own);
    /* [P2] */
    if (is_free(word) && leat__compare_exchange64(&object->page->pi, word, (word + TURN) | own))
        result = LEAT_OK;
    else if (probe)
        result = inherit(object);
    if (result == LEAT_EBUSY)
        vouch(object, 0);
    else
        object->thread = own;
    return result;
}

enum leat__pi_holder leat__pi_holder(const leat_waitable *object) {
    uint64_t word = load(object);
    return is_free(word)                          ? LEAT__PI_NONE
           : vouched_for(object, thread_in(word)) ? LEAT__PI_ALIVE
                                                  : LEAT__PI_DEAD;
}

int leat__pi_sleep(leat_waitable *object, uint64_t until_ns) {
    uint32_t own = leat__os_thread();
    vouch(object, own);
    begin_locked(object);
    int result = leat__os_pi_lock(kernels(object), until_ns);
    if (result == LEAT_OK) {
        object->thread = own;
        return given(object);
    }
    bool twice = result == LEAT_ESTATE && vouched_for(object, own);
    vouch(object, 0);
    if (result == LEAT_ESTATE)
        return twice ? leat__fail(LEAT_ESTATE, 0, "another handle of this thread holds it")
                     : LEAT_ENOENT;
    return result;
}

/* A flag in the word means that a thread may sleep in the kernel. */
static int let_go(leat_waitable *object) {
    /* each repetition: another thread has changed the generation */
    for (unsigned turns = 0; turns < LEAT__SYNC_TRIES; turns++) {
        uint64_t word = load(object);
        if ((uint32_t)word != object->thread)
            break;
        if (leat__compare_exchange64(&object->page->pi, word, word - object->thread)) /* [P2] */
            return LEAT_OK;
    }
    return leat__os_pi_unlock(kernels(object));
}

static void withdraw(leat_waitable *object) {
    vouch(object, 0);
    leat__sync_wake(object, false); /* threads that wait for several objects, and loops */
}

int leat__pi_unlock(leat_waitable *object) {
    int result = let_go(object);
    if (result == LEAT_OK || result == LEAT_ECORRUPT) /* in both cases it is no longer held */
        withdraw(object);
    return result;
}

/* If the kernel does not release it, other threads find that no handle vouches for this thread, as
 * after its death. */
void leat__pi_release(leat_waitable *object) {
    (void)let_go(object);
    withdraw(object);
}

/* Only the kernel knows whether the thread lives: a thread that has been joined can still be found
 * by its number. */
static bool lives(leat_waitable *object) {
    if (thread_in(load(object)) != object->thread)
        return false;
    int result = leat__os_pi_try(kernels(object));
    if (result == LEAT_OK) { /* it became free at this moment */
        object->thread = leat__os_thread();
        if (given(object) == LEAT__LOCK_INHERITED)
            leat__store_relaxed32(&object->page->abandoned, LEAT__ABANDONED_BY_DEATH);
        (void)let_go(object);
    }
    return result != LEAT_OK && result != LEAT_ENOENT; /* without an answer it counts as alive */
}

bool leat__pi_elsewhere(leat_waitable *object) {
    if (object->depth == 0 || object->thread == leat__os_thread())
        return false;
    if (lives(object))
        return true;
    object->depth = 0; /* it ended; the next thread that asks gets the mutex */
    return false;
}

int leat__pi_check(const struct leat__header *header) {
    if (!leat__os_pi_works())
        return leat__fail(LEAT_ENOTSUP, 0, "this system has no locks with priority inheritance");
    uint64_t space = leat__os_thread_space();
    if (space == 0) /* two unknown namespaces may differ */
        return leat__fail(
            LEAT_ENOTSUP, 0,
            "it inherits priorities, and without /proc this process cannot tell its pid namespace");
    if (header->parameters[LEAT__SYNC_THREAD_SPACE] != space)
        return leat__fail(LEAT_ENOTSUP, 0,
                          "it inherits priorities, and was made in another pid namespace");
    return LEAT_OK;
}
