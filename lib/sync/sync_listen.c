/* lib/sync/sync_listen.c - mutexes, events and semaphores in an event loop (leat/waitset.h,
 * lib/sync/sync.h).
 *
 * A loop arms with a bit in `listening`. A thread that changes the word takes all bits, and wakes
 * the loop of each. So every loop polls, and one of them gets the object: a wake only means "poll".
 * Besides, one waiting thread is woken, as without loops. The first that polls gets the object, and
 * the others arm again.
 *
 * Crash points. Killed between the change and the wake: the kernel reports the closed file, and all
 * loops poll. A listener is killed: its bit costs one useless wake, and its place goes to the next
 * listener that finds its participant's byte free.
 */
#include "lib/base/fail.h"
#include "lib/sync/sync.h"
#include "lib/wake/notify.h"

static uint64_t bit_of(unsigned listener) {
    return UINT64_C(1) << (listener - 1);
}

int leat__sync_listen(leat_waitable *object, uint64_t notify, uint64_t token) {
    for (unsigned i = 0; i < LEAT__LISTENERS; i++) {
        struct leat__listener *listener = &object->page->listeners[i];
        uint32_t owner = leat__load_acquire32(&listener->participant);
        if (owner != 0 &&
            !leat__lock_holder_died(object->object.resource.file, owner, object->participant))
            continue;
        if (!leat__compare_exchange32(&listener->participant, owner, object->participant))
            continue;
        leat__store_relaxed64(&listener->notify, notify);
        leat__store_relaxed64(&listener->token, token);
        object->listener = i + 1;
        return LEAT_OK;
    }
    return leat__fail(LEAT_EBUSY, 0, "%d event loops wait for it already", LEAT__LISTENERS);
}

void leat__sync_listen_elsewhere(leat_waitable *object, uint64_t notify) {
    leat__store_relaxed64(&object->page->listeners[object->listener - 1].notify, notify);
}

void leat__sync_listen_no_more(leat_waitable *object) {
    leat__sync_disarm(object);
    leat__store_release32(&object->page->listeners[object->listener - 1].participant, 0);
    object->listener = 0;
}

void leat__sync_arm(leat_waitable *object) {
    /* [L7] the place before the bit; the bit before the poll */
    leat__add_bits64(&object->page->listening, bit_of(object->listener));
}

void leat__sync_disarm(leat_waitable *object) {
    leat__remove_bits64(&object->page->listening, bit_of(object->listener));
}

void leat__sync_notify_all(leat_waitable *object) {
    uint64_t bits = leat__exchange64(&object->page->listening, 0);
    struct leat__sleeper loops[LEAT__LISTENERS];
    size_t count = 0;
    for (unsigned i = 0; i < LEAT__LISTENERS; i++) {
        const struct leat__listener *listener = &object->page->listeners[i];
        if ((bits & bit_of(i + 1)) != 0)
            loops[count++] =
                (struct leat__sleeper){.place = LEAT__IN_LOOP,
                                       .notify = leat__load_relaxed64(&listener->notify),
                                       .token = leat__load_relaxed64(&listener->token)};
    }
    if (!leat__wake(&object->object, loops, count, LEAT__TOUCH_WRITE, LEAT__SYNC_TOUCHED))
        leat__add_bits64(&object->page->listening, bits); /* the next change tries again */
}
