/* channels/queue/receiver_open.c - opens and closes receivers (leat/channel.h). */
#include <stdlib.h>

#include "channels/queue/presence.h"
#include "channels/queue/receiver.h"
#include "lib/base/fail.h"

static int take_place(struct leat__role *role) {
    role->object.place = LEAT__LOCK_RECEIVER;
    int result = leat__os_lock(role->object.resource.file, LEAT__LOCK_RECEIVER, LEAT__EXCLUSIVE);
    return result == LEAT_EBUSY ? leat__fail(LEAT_EBUSY, 0, "it has a receiver") : result;
}

static int attach(struct leat__role *role) {
    leat_receiver *receiver = leat__receiver_of(role);
    int result = leat__ring_receiver_recover(&receiver->ring, &role->memory);
    if (result != LEAT_OK)
        return result;
    receiver->suspension = LEAT__SUSPENSION_MIN;
    leat__store_relaxed32(&role->own->waiting, 0);
    leat__store_relaxed32(&role->own->plain, !leat__os_barrier_works());
    uint32_t opened = leat__load_relaxed32(&role->own->opened) + 1;
    leat__receiver_begin_life(role->object.resource.file, role->own, opened);
    leat__store_release32(&role->own->opened, opened);
    leat__receiver_begin(receiver);
    leat__role_wake(role); /* a sender that waits for a receiver */
    /* a sender in a loop that cannot arm because another sender has the lock */
    if (leat__load_relaxed32(&role->peer->many) != 0)
        leat__role_touch_senders(role);
    return LEAT_OK;
}

int leat_receiver_open(leat_receiver **receiver, const char *name,
                       const leat_channel_options *options) {
    leat_receiver *made = receiver != NULL ? calloc(1, sizeof *made) : NULL;
    if (made == NULL)
        return leat__fail_about(
            leat__fail(receiver == NULL ? LEAT_EINVAL : LEAT_ENOMEM, 0, "no handle"), "channel",
            name);
    static const struct leat__role_kind kind = {.take_place = take_place, .attach = attach};
    int result = leat__role_open(&made->role, &made->ring.lane, name, options, &kind);
    if (result == LEAT_OK)
        *receiver = made;
    else
        free(made);
    return result;
}

void leat_receiver_close(leat_receiver *receiver) {
    if (receiver == NULL)
        return;
    struct leat__role *role = &receiver->role;
    if (!role->object.resource.forked) {
        leat__role_flush(role);
        leat__store_release32(&role->own->closed, leat__load_relaxed32(&role->own->opened));
        leat__role_wake(role);
    }
    leat__role_close(role);
    free(receiver);
}
