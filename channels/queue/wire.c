/* channels/queue/wire.c - makes and checks a channel's header. Behind it a new channel is all
 * zeros. */
#include "channels/queue/wire.h"

#include "lib/base/fail.h"

int leat__wire_initialise(leat__file file, const void *capacity) {
    const uint64_t parameters[6] = {
        [LEAT__CAPACITY] = *(const uint64_t *)capacity,
        [LEAT__SENDER_OFFSET] = LEAT__SENDER_PAGE,
        [LEAT__RECEIVER_OFFSET] = LEAT__RECEIVER_PAGE,
        [LEAT__RING_OFFSET] = LEAT__RING,
    };
    return leat__header_write(file, LEAT_KIND_CHANNEL, parameters);
}

int leat__wire_validate(const struct leat__header *header, uint64_t *capacity_found) {
    const uint64_t *parameters = header->parameters, capacity = parameters[LEAT__CAPACITY];
    if (capacity < LEAT_CAPACITY_MIN || capacity > LEAT_CAPACITY_MAX ||
        (capacity & (capacity - 1)) != 0 || parameters[LEAT__SENDER_OFFSET] != LEAT__SENDER_PAGE ||
        parameters[LEAT__RECEIVER_OFFSET] != LEAT__RECEIVER_PAGE ||
        parameters[LEAT__RING_OFFSET] != LEAT__RING ||
        header->object_size != leat__wire_file_size(capacity))
        return leat__fail(LEAT_ECORRUPT, 0, "the header describes a ring that cannot be");
    *capacity_found = capacity;
    return LEAT_OK;
}
