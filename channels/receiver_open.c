/* channels/receiver_open.c - a receiver's coming and going (leat/channel.h). */
#include <stdlib.h>

#include "channels/presence.h"
#include "channels/receiver.h"
#include "lib/base/fail.h"

static int take_place(struct leat__side *side) {
    side->object.place = LEAT__LOCK_RECEIVER;
    int result = leat__os_lock(side->object.resource.file, LEAT__LOCK_RECEIVER, LEAT__EXCLUSIVE);
    return result == LEAT_EBUSY ? leat__fail(LEAT_EBUSY, 0, "it has a receiver") : result;
}

static int attach(struct leat__side *side) {
    leat_receiver *receiver = leat__receiver_of(side);
    int result = leat__ring_receiver_recover(&receiver->ring, &side->memory);
    if (result != LEAT_OK)
        return result;
    receiver->suspension = LEAT__SUSPENSION_MIN;
    leat__store_relaxed32(&side->own->waiting, 0);
    leat__store_relaxed32(&side->own->plain, !leat__os_barrier_works());
    uint32_t opened = leat__load_relaxed32(&side->own->opened) + 1;
    leat__receiver_begin_life(side->object.resource.file, side->own, opened);
    leat__store_release32(&side->own->opened, opened);
    leat__receiver_begin(receiver);
    leat__side_ring(side); /* a sender that waits for a receiver */
    /* one in a loop whom another one's turn keeps from announcing itself */
    if (leat__load_relaxed32(&side->peer->many) != 0)
        leat__side_touch_senders(side);
    return LEAT_OK;
}

int leat_receiver_open(leat_receiver **out, const char *name, const leat_channel_options *options) {
    leat_receiver *receiver = out != NULL ? calloc(1, sizeof *receiver) : NULL;
    if (receiver == NULL)
        return leat__fail_about(leat__fail(out == NULL ? LEAT_EINVAL : LEAT_ENOMEM, 0, "no handle"),
                                "channel", name);
    static const struct leat__role role = {.take_place = take_place, .attach = attach};
    int result = leat__side_open(&receiver->side, &receiver->ring.lane, name, options, &role);
    if (result == LEAT_OK)
        *out = receiver;
    else
        free(receiver);
    return result;
}

void leat_receiver_close(leat_receiver *receiver) {
    if (receiver == NULL)
        return;
    struct leat__side *side = &receiver->side;
    if (!side->object.resource.forked) {
        leat__side_flush(side);
        leat__store_release32(&side->own->closed, leat__load_relaxed32(&side->own->opened));
        leat__side_ring(side);
    }
    leat__side_close(side);
    free(receiver);
}
