/* channels/wire.c - making and checking a channel's header. A new channel is all zeros behind it. */
#include "channels/wire.h"

#include "channels/policy.h"
#include "lib/fail.h"

int leat__wire_initialise(leat__file file, const void *context) {
    const struct leat__channel_setup *setup = context;
    const leat_policy *policy = &setup->policy;
    const uint64_t parameters[6] = {
        [LEAT__CAPACITY] = setup->capacity,
        [LEAT__SENDER_OFFSET] = LEAT__SENDER_PAGE,
        [LEAT__RECEIVER_OFFSET] = LEAT__RECEIVER_PAGE,
        [LEAT__RING_OFFSET] = LEAT__RING,
        [LEAT__SPIN_AND_NAP] = policy->spin_ns | (uint64_t)policy->nap_ns << 32,
        [LEAT__WIPE_AND_SOURCE] = policy->wipe_bytes | (uint64_t)policy->source << 32,
    };
    return leat__header_write(file, LEAT_KIND_CHANNEL, parameters);
}

int leat__wire_validate(const struct leat__header *header, struct leat__channel_setup *setup) {
    const uint64_t *parameters = header->parameters, capacity = parameters[LEAT__CAPACITY];
    if (capacity < LEAT_CAPACITY_MIN || capacity > LEAT_CAPACITY_MAX || (capacity & (capacity - 1)) != 0 ||
        parameters[LEAT__SENDER_OFFSET] != LEAT__SENDER_PAGE || parameters[LEAT__RECEIVER_OFFSET] != LEAT__RECEIVER_PAGE ||
        parameters[LEAT__RING_OFFSET] != LEAT__RING || header->object_size != leat__wire_file_size(capacity))
        return leat__fail(LEAT_ECORRUPT, 0, "the header describes a ring that cannot be");
    *setup = (struct leat__channel_setup){
        .capacity = capacity,
        .policy = {.spin_ns = (uint32_t)parameters[LEAT__SPIN_AND_NAP],
                   .nap_ns = (uint32_t)(parameters[LEAT__SPIN_AND_NAP] >> 32),
                   .wipe_bytes = (uint32_t)parameters[LEAT__WIPE_AND_SOURCE],
                   .source = (leat_policy_source)(parameters[LEAT__WIPE_AND_SOURCE] >> 32)},
    };
    if (leat__policy_check(&setup->policy) != LEAT_OK)
        return leat__fail(LEAT_ECORRUPT, 0, "the header describes a policy that cannot be");
    return LEAT_OK;
}
