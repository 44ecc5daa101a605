/* channels/side_spin.c - how long a side looks before it sleeps (channels/side.h).
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
#include "channels/side.h"

#define SPIN_NS_MIN UINT64_C(1000)
#define LOOKS_PER_CLOCK 32            /* reading the clock costs as much as a few looks */
#define PREEMPTED_NS UINT64_C(200000) /* so many looks take a few microseconds */
#define VAIN_MAX 4
#define SUSPENSION_MIN UINT32_C(32)
#define SUSPENSION_MAX UINT32_C(2048)

static void suspend(struct leat__side *side) {
    side->suspended = side->suspension;
    side->suspension = side->suspension < SUSPENSION_MAX ? side->suspension * 4 : SUSPENSION_MAX;
    side->vain = 0;
    side->spin_ns = 0;
}

void leat__side_begin_spinning(struct leat__side *side) {
    side->spin_ns = side->spin_ns_max;
    side->suspension = SUSPENSION_MIN;
    if (side->spin_ns > 0 && leat__os_has_one_processor())
        suspend(side);
}

static void adapt(struct leat__side *side, bool longer) {
    uint64_t next = longer ? side->spin_ns * 4 : side->spin_ns / 2;
    if (next < SPIN_NS_MIN)
        next = SPIN_NS_MIN;
    side->spin_ns = next < side->spin_ns_max ? next : side->spin_ns_max;
}

static void spin_paid(struct leat__side *side) {
    side->vain = 0;
    side->suspension = SUSPENSION_MIN;
    adapt(side, true);
}

static void spin_was_in_vain(struct leat__side *side) {
    if (++side->vain >= VAIN_MAX)
        suspend(side);
}

/* After the spin, which ended at slept_ns, the peer took until came_ns to provide what was waited
 * for. */
static void learn(struct leat__side *side, uint64_t slept_ns, uint64_t came_ns) {
    uint64_t spun = side->spun_ns;
    side->spun_ns = 0; /* the wait may have further sleeps */
    if (side->suspended > 0) {
        if (--side->suspended == 0)
            side->spin_ns = side->spin_ns_max < SPIN_NS_MIN ? side->spin_ns_max : SPIN_NS_MIN;
        return;
    }
    adapt(side, came_ns - side->wait_began_ns < side->spin_ns_max);
    if (came_ns - slept_ns < spun)
        spin_was_in_vain(side);
}

/* Until the peer rang, for being woken takes as long again. */
void leat__side_learn_from_sleep(struct leat__side *side, uint64_t slept_ns, uint64_t awake_ns) {
    uint64_t rung = side->spin_ns_max > 0 ? leat__side_rung_between(side, slept_ns, awake_ns) : 0;
    if (side->spin_ns_max > 0)
        learn(side, slept_ns, rung != 0 ? rung : awake_ns);
}

void leat__side_learn(struct leat__side *side, uint64_t began_ns, uint64_t slept_ns) {
    side->wait_began_ns = began_ns;
    /* unless it was preempted */
    side->spun_ns = slept_ns - began_ns < side->spin_ns ? slept_ns - began_ns : side->spin_ns;
    if (slept_ns != 0)
        leat__side_learn_from_sleep(side, slept_ns, leat__os_now());
    else if (side->spin_ns > 0)
        spin_paid(side);
}

/* It ended while looking. `clocked_ns`: the last look at the clock, at most a few looks ago, unless
 * the thread was preempted. */
static void end_spin(struct leat__side *side, uint64_t clocked_ns) {
    if (side->looks >= LOOKS_PER_CLOCK && leat__os_now() - clocked_ns > PREEMPTED_NS)
        spin_was_in_vain(side);
    else
        spin_paid(side);
}

int leat__side_spin(struct leat__side *side, const struct leat__wait *wait, uint64_t *now_ns,
                    uint64_t deadline_ns) {
    /* or less, where the deadline comes first: then nothing is learnt */
    side->spun_ns = side->spin_ns;
    if (side->spin_ns == 0)
        return LEAT_EAGAIN;
    uint64_t began = *now_ns, end = began + side->spin_ns;
    end = end < deadline_ns ? end : deadline_ns;
    side->looks = 0;
    do {
        for (int looks = 0; looks < LOOKS_PER_CLOCK; looks++, side->looks++) {
            leat__pause();
            if (wait->ready(side)) {
                end_spin(side, *now_ns);
                return LEAT_OK;
            }
        }
        *now_ns = leat__os_now();
        int told = LEAT_OK;
        if (*now_ns - began >= LEAT__SLICE_NS) {
            leat__side_cancellation_point(side);
            told = leat__side_news_in_time(side, wait, *now_ns, false);
        }
        if (told != LEAT_OK)
            return told;
    } while (*now_ns < end);
    return LEAT_EAGAIN;
}

int leat__side_stay_awake(struct leat__side *side, const struct leat__wait *wait, uint64_t now_ns,
                          uint64_t until_ns) {
    bool yields = side->waiting == LEAT_WAITING_YIELD;
    do {
        for (int looks = 0; looks < LOOKS_PER_CLOCK; looks++) {
            leat__pause();
            if (!wait->ready(side))
                continue;
            if (yields && side->spin_ns_max > 0) /* the spin before did without yielding */
                learn(side, now_ns, leat__os_now());
            return LEAT_OK;
        }
        if (yields)
            leat__os_yield();
    } while (leat__os_now() < until_ns);
    return LEAT_ETIMEDOUT;
}
