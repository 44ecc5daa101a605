/* lib/wake/notify.h - wakes a sleeper, in the way that its place of sleep needs: the one place that
 * decides.
 *
 *     sleeper                        sleeps on                         is woken by
 *     a thread                       a word of the object's memory     a futex call
 *     a thread after a first slice   a watch of the object's file      a touch of the file
 *     an event loop                  its wait set                      a token to the wait set's
 *                                                                      notify socket
 *
 * Watches, touches, sockets and tokens are those of lib/os/os.h. A wait set also watches the file.
 * So a loop is woken by a touch if its socket cannot be reached from this process: the loop belongs
 * to another user or runs in another container, or its socket is full. One touch wakes all watches
 * of the file.
 */
#ifndef LEAT_LIB_WAKE_NOTIFY_H
#define LEAT_LIB_WAKE_NOTIFY_H

#include "lib/object/object.h"

enum leat__sleep_place { LEAT__ON_WORD, LEAT__ON_WATCH, LEAT__IN_LOOP };

struct leat__sleeper {
    enum leat__sleep_place place;
    const leat__u32 *word; /* LEAT__ON_WORD: one thread there is woken */
    uint64_t notify;       /* LEAT__IN_LOOP: the number of its notify socket, and its token */
    uint64_t token;
};

/* Wakes each sleeper of the object. Returns false if one could not be reached: a later change has
 * to try again. touch: the kind that their watches report. For LEAT__TOUCH_WRITE, `offset` is that
 * of a byte that is always 0: a touch writes the 0 again. */
bool leat__wake(struct leat__object *object, const struct leat__sleeper *sleepers, size_t count,
                enum leat__touch touch, uint64_t offset);

#endif
