/* channels/queue/ring.c - what both halves of the ring share (channels/queue/ring.h). */
#include "channels/queue/ring.h"

const uint32_t leat__lane_always[1] = {1};

bool leat__record_decode(const struct leat__ring_memory *memory, uint64_t position, uint64_t header,
                         struct leat__record *record) {
    uint64_t length = header & UINT32_MAX, slot = leat__slot_size(length);
    enum leat__record_type type = (enum leat__record_type)(header >> 56);
    if (header != leat__record_header(position, type, length))
        return false;
    switch (type) {
    case LEAT__MESSAGE:
        if (length > leat__max_message(memory->capacity))
            return false;
        break;
    case LEAT__PAD:
        slot = length + LEAT__RECORD_HEADER;
        if (slot % LEAT__SMALLEST_SLOT != 0)
            return false;
        break;
    case LEAT__OPEN_MARK:
    case LEAT__END_MARK:
        if (length != 8)
            return false;
        break;
    default:
        return false;
    }
    uint64_t place = position & (memory->capacity - 1);
    if (place + slot > memory->capacity)
        return false;
    if (type != LEAT__PAD && !leat__slot_fits(position, slot))
        return false;
    *record = (struct leat__record){.type = type,
                                    .payload = memory->ring + place + LEAT__RECORD_HEADER,
                                    .length = length,
                                    .end = position + slot};
    return true;
}
