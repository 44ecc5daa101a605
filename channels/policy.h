/* channels/policy.h - what channels/policy.c has for the rest of the library. */
#ifndef LEAT_CHANNELS_POLICY_H
#define LEAT_CHANNELS_POLICY_H

#include "leat/policy.h"

/* Whether all of it is within its limits. LEAT_EINVAL. */
int leat__policy_check(const leat_policy *policy);

#endif
