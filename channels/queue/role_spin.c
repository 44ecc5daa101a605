/* channels/queue/role_spin.c - how long a side looks before it sleeps (channels/queue/role.h).
 *
 * A spin spares a sleep, and the peer a system call, if the peer provides what is waited for
 * meanwhile. So spins get longer after one that paid, or a sleep that a spin within the limit would
 * have spared; and shorter after one that no spin would have.
 *
 * That lets a side spin in vain for ever where a spin is the reason why the peer provides nothing:
 * on one processor, which both share, whatever the number of processors of the machine. There the
 * peer provides it as soon as this side sleeps. A spin is in *vain* if it took longer than the peer
 * did once this side slept. A few of those in a row, without one that paid, suspend spinning: for
 * 32 waits, then four times as many each time, until a spin pays. A thread that may run on one
 * processor only begins suspended; its peer may be on another one, so it tries later. A spin that
 * ends because this thread was preempted, and the peer ran meanwhile, has not paid.
 */
#include "channels/queue/role.h"

#define SPIN_NS_MIN UINT64_C(1000)
#define LOOKS_PER_CLOCK 32            /* reading the clock costs as much as a few looks */
#define PREEMPTED_NS UINT64_C(200000) /* so many looks take a few microseconds */
#define VAIN_MAX 4
#define SUSPENSION_MIN UINT32_C(32)
#define SUSPENSION_MAX UINT32_C(2048)

static void suspend(struct leat__role *role) {
    role->suspended = role->suspension;
    role->suspension = role->suspension < SUSPENSION_MAX ? role->suspension * 4 : SUSPENSION_MAX;
    role->vain = 0;
    role->spin_ns = 0;
}

void leat__role_begin_spinning(struct leat__role *role) {
    role->spin_ns = role->spin_ns_max;
    role->suspension = SUSPENSION_MIN;
    if (role->spin_ns > 0 && leat__os_has_one_processor())
        suspend(role);
}

static void adapt(struct leat__role *role, bool longer) {
    uint64_t next = longer ? role->spin_ns * 4 : role->spin_ns / 2;
    if (next < SPIN_NS_MIN)
        next = SPIN_NS_MIN;
    role->spin_ns = next < role->spin_ns_max ? next : role->spin_ns_max;
}

static void spin_paid(struct leat__role *role) {
    role->vain = 0;
    role->suspension = SUSPENSION_MIN;
    adapt(role, true);
}

static void spin_was_in_vain(struct leat__role *role) {
    if (++role->vain >= VAIN_MAX)
        suspend(role);
}

/* After the spin, which ended at slept_ns, the peer took until came_ns to provide what was waited
 * for. */
static void learn(struct leat__role *role, uint64_t slept_ns, uint64_t came_ns) {
    uint64_t spun = role->spun_ns;
    role->spun_ns = 0; /* the wait may have further sleeps */
    if (role->suspended > 0) {
        if (--role->suspended == 0)
            role->spin_ns = role->spin_ns_max < SPIN_NS_MIN ? role->spin_ns_max : SPIN_NS_MIN;
        return;
    }
    adapt(role, came_ns - role->wait_began_ns < role->spin_ns_max);
    if (came_ns - slept_ns < spun)
        spin_was_in_vain(role);
}

/* Until the peer rang, for being woken takes as long again. */
void leat__role_learn_from_sleep(struct leat__role *role, uint64_t slept_ns, uint64_t awake_ns) {
    uint64_t woken = role->spin_ns_max > 0 ? leat__role_woken_between(role, slept_ns, awake_ns) : 0;
    if (role->spin_ns_max > 0)
        learn(role, slept_ns, woken != 0 ? woken : awake_ns);
}

void leat__role_learn(struct leat__role *role, uint64_t began_ns, uint64_t slept_ns) {
    role->wait_began_ns = began_ns;
    /* unless it was preempted */
    role->spun_ns = slept_ns - began_ns < role->spin_ns ? slept_ns - began_ns : role->spin_ns;
    if (slept_ns != 0)
        leat__role_learn_from_sleep(role, slept_ns, leat__os_now());
    else if (role->spin_ns > 0)
        spin_paid(role);
}

/* It ended while looking. `clocked_ns`: the last look at the clock, at most a few looks ago, unless
 * the thread was preempted. */
static void end_spin(struct leat__role *role, uint64_t clocked_ns) {
    if (role->polls >= LOOKS_PER_CLOCK && leat__os_now() - clocked_ns > PREEMPTED_NS)
        spin_was_in_vain(role);
    else
        spin_paid(role);
}

int leat__role_spin(struct leat__role *role, const struct leat__wait *wait, uint64_t *now_ns,
                    uint64_t deadline_ns) {
    /* or less, where the deadline comes first: then nothing is learnt */
    role->spun_ns = role->spin_ns;
    if (role->spin_ns == 0)
        return LEAT_EAGAIN;
    uint64_t began = *now_ns, end = began + role->spin_ns;
    end = end < deadline_ns ? end : deadline_ns;
    role->polls = 0;
    do {
        for (int polls = 0; polls < LOOKS_PER_CLOCK; polls++, role->polls++) {
            leat__pause();
            if (wait->ready(role)) {
                end_spin(role, *now_ns);
                return LEAT_OK;
            }
        }
        *now_ns = leat__os_now();
        int reported = LEAT_OK;
        if (*now_ns - began >= LEAT__SLICE_NS) {
            leat__role_cancellation_point(role);
            reported = leat__role_event_in_time(role, wait, *now_ns, false);
        }
        if (reported != LEAT_OK)
            return reported;
    } while (*now_ns < end);
    return LEAT_EAGAIN;
}

int leat__role_stay_awake(struct leat__role *role, const struct leat__wait *wait, uint64_t now_ns,
                          uint64_t until_ns) {
    bool yields = role->waiting == LEAT_WAITING_YIELD;
    do {
        for (int polls = 0; polls < LOOKS_PER_CLOCK; polls++) {
            leat__pause();
            if (!wait->ready(role))
                continue;
            if (yields && role->spin_ns_max > 0) /* the spin before did without yielding */
                learn(role, now_ns, leat__os_now());
            return LEAT_OK;
        }
        if (yields)
            leat__os_yield();
    } while (leat__os_now() < until_ns);
    return LEAT_ETIMEDOUT;
}
