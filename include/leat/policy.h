/* leat/policy.h - what is best on one processor and not on another, as figures: for how long to spin, to nap, and what to wipe.
 *
 * A channel gets its policy when it is created, and all its users follow it: what the options give; else $LEAT_POLICY; else the
 * table's row for this processor; else a default. None of it changes what is delivered, only how fast and at what cost.
 * leat_policy_measure, and 'leat calibrate', find out what is best here; 'leat info' shows what a channel has.
 *
 * Thread safety: all functions may be called from any thread.
 */
#ifndef LEAT_POLICY_H
#define LEAT_POLICY_H

#include "leat/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum leat_policy_source {
    LEAT_POLICY_DEFAULT = 0,     /* the processor is in no table */
    LEAT_POLICY_TABLE = 1,       /* measured on this family of processors by leat's makers */
    LEAT_POLICY_ENVIRONMENT = 2, /* $LEAT_POLICY */
    LEAT_POLICY_GIVEN = 3,       /* by the program that created the channel */
    LEAT_POLICY_MEASURED = 4,    /* by leat_policy_measure */
} leat_policy_source;

typedef struct leat_policy {
    uint32_t spin_ns;    /* a wait spins for at most so long before it sleeps, and less where that does not pay. 0: sleeps at once.
                            The spin_us of a handle's options goes before it */
    uint32_t nap_ns;     /* a receiver that finds message after message as soon as it looks stops looking for so long, that several
                            can gather. 0: never. Not for handles that do not spin */
    uint32_t wipe_bytes; /* a message that occupies up to so much of the ring is wiped whole when it is released, of longer ones a
                            word for each cache line */
    leat_policy_source source;
} leat_policy;

/* More than these is LEAT_EINVAL. */
#define LEAT_POLICY_SPIN_MAX UINT32_C(1000000000)
#define LEAT_POLICY_NAP_MAX UINT32_C(1000000)
#define LEAT_POLICY_WIPE_MAX UINT32_C(65536)

/* What a channel gets that is created without a policy. LEAT_EINVAL when $LEAT_POLICY is wrong. The variable is
 * ignored in a process with raised privileges. */
LEAT_API LEAT_CHECKED int leat_policy_choose(leat_policy *policy);

/* Reads "spin=50000,nap=1600,wipe=512": nanoseconds and bytes, any of the three in any order; what is not named stays as it is.
 * LEAT_EINVAL, with what is wrong in the detail, and nothing is changed. */
LEAT_API LEAT_CHECKED int leat_policy_parse(leat_policy *policy, const char *text);

/* "table" for LEAT_POLICY_TABLE and so on. Never NULL; static storage. */
LEAT_API const char *leat_policy_source_name(leat_policy_source source);

/* What leat_policy_measure has come to. */
typedef struct leat_policy_trial {
    leat_policy policy;
    double rate;     /* of this policy, messages a second against those of the policy that was chosen before: mean over several
                        sizes, of medians. 0: not known yet, this only tells of progress */
    double progress; /* 0 to 1 */
} leat_policy_trial;

/* Measures which policy is best on this machine, between two threads, for about budget_ns: half a second is useful, three are
 * better. Starts from leat_policy_choose, and departs from it only for a gain of 3 %. Calls trial, if not NULL, every few milliseconds, on
 * another thread while this one waits; it goes on while that gives true, else LEAT_EINTR.
 * LEAT_ENOTSUP on a single processor; LEAT_ENOSPC, LEAT_ELIMIT, LEAT_ENOMEM. Uses the name leat-calibrate-<pid>. */
LEAT_API LEAT_CHECKED int leat_policy_measure(leat_policy *policy, uint64_t budget_ns,
                                              bool (*trial)(void *context, const leat_policy_trial *trial), void *context);

#ifdef __cplusplus
}
#endif
#endif
