/* lib/wake/notify.h - how a change reaches what sleeps for it: the one place that decides.
 *
 * What sleeps announces where it does:
 *
 *     a thread, on a word of the object's memory       a futex call wakes it
 *     a thread that has slept for long, on a watch     a touch of the object's file
 *     an event loop, on its wait set                   a token, to the wait set's notify socket
 *
 * A wait set also watches the file. So a loop is woken by a touch where its socket cannot be
 * reached from this process: the loop belongs to another user or runs in another container, or its
 * socket is full. One touch wakes all watches of the file.
 */
#ifndef LEAT_LIB_WAKE_NOTIFY_H
#define LEAT_LIB_WAKE_NOTIFY_H

#include "lib/object/object.h"

enum leat__bed { LEAT__ON_WORD, LEAT__ON_WATCH, LEAT__IN_LOOP };

struct leat__sleeper {
    enum leat__bed bed;
    const leat__u32 *word; /* LEAT__ON_WORD: one thread there is woken */
    uint64_t notify;       /* LEAT__IN_LOOP: the number of its notify socket, and its token */
    uint64_t token;
};

/* Wakes each sleeper of the object. False if one could not be reached: a later change has to try
 * again. touch: what their watches report; for LEAT__TOUCH_WRITE, `offset` is a byte that is
 * always 0. */
bool leat__wake(struct leat__object *object, const struct leat__sleeper *sleepers, size_t count,
                enum leat__touch touch, uint64_t offset);

#endif
