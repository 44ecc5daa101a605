/* lib/wake/spin.c - see lib/wake/spin.h. */
#include "lib/wake/spin.h"

#define SPIN_NS_MIN UINT64_C(1000)
#define POLLS_PER_CLOCK 32            /* reading the clock costs as much as a few polls */
#define PREEMPTED_NS UINT64_C(200000) /* POLLS_PER_CLOCK polls take a few microseconds */
#define HINDERING_MAX 4
#define SUSPENSION_MIN UINT32_C(32)
#define SUSPENSION_MAX UINT32_C(2048)

static void suspend(struct leat__spin *spin) {
    spin->suspended = spin->suspension;
    spin->suspension = spin->suspension < SUSPENSION_MAX ? spin->suspension * 4 : SUSPENSION_MAX;
    spin->hindering = 0;
    spin->ns = 0;
}

void leat__spin_adapt(struct leat__spin *spin, uint64_t ns_max) {
    *spin = (struct leat__spin){.ns = ns_max, .ns_max = ns_max, .suspension = SUSPENSION_MIN};
    if (ns_max > 0 && leat__os_has_one_processor())
        suspend(spin);
}

/* Times 4, or half. */
static void adapt(struct leat__spin *spin, bool longer) {
    uint64_t next = longer ? spin->ns * 4 : spin->ns / 2;
    if (next < SPIN_NS_MIN)
        next = SPIN_NS_MIN;
    spin->ns = next < spin->ns_max ? next : spin->ns_max;
}

static void paid(struct leat__spin *spin) {
    spin->hindering = 0;
    spin->suspension = SUSPENSION_MIN;
    adapt(spin, true);
}

static void hindered(struct leat__spin *spin) {
    if (++spin->hindering >= HINDERING_MAX)
        suspend(spin);
}

void leat__spin_slept(struct leat__spin *spin, uint64_t slept_ns, uint64_t came_ns) {
    uint64_t spun = spin->spun_ns;
    spin->spun_ns = 0; /* the wait may have further sleeps */
    if (spin->ns_max == 0)
        return;
    if (spin->suspended > 0) {
        if (--spin->suspended == 0)
            spin->ns = spin->ns_max < SPIN_NS_MIN ? spin->ns_max : SPIN_NS_MIN;
        return;
    }
    adapt(spin, came_ns - spin->began_ns < spin->ns_max);
    if (came_ns - slept_ns < spun)
        hindered(spin);
}

void leat__spin_learn(struct leat__spin *spin, uint64_t began_ns, uint64_t slept_ns,
                      uint64_t came_ns) {
    spin->began_ns = began_ns;
    /* unless it was preempted */
    spin->spun_ns = slept_ns - began_ns < spin->ns ? slept_ns - began_ns : spin->ns;
    if (slept_ns != 0)
        leat__spin_slept(spin, slept_ns, came_ns);
    else if (spin->ns > 0)
        paid(spin);
}

/* A poll found it ready. clocked_ns: the last reading of the clock, at most a few polls ago, unless
 * the thread was preempted. */
static void end_spin(struct leat__spin *spin, uint64_t clocked_ns) {
    if (spin->polls >= POLLS_PER_CLOCK && leat__os_now() - clocked_ns > PREEMPTED_NS)
        hindered(spin);
    else
        paid(spin);
}

bool leat__spin(struct leat__spin *spin, bool (*ready)(void *context), void *context,
                uint64_t *now_ns, uint64_t until_ns) {
    spin->polls = 0;
    do {
        for (int polls = 0; polls < POLLS_PER_CLOCK; polls++, spin->polls++) {
            leat__pause();
            if (ready(context)) {
                end_spin(spin, *now_ns);
                return true;
            }
        }
        *now_ns = leat__os_now();
    } while (*now_ns < until_ns);
    return false;
}

bool leat__spin_on(struct leat__spin *spin, bool (*ready)(void *context), void *context,
                   uint64_t now_ns, uint64_t until_ns, bool yields) {
    do {
        for (int polls = 0; polls < POLLS_PER_CLOCK; polls++) {
            leat__pause();
            if (!ready(context))
                continue;
            if (yields) /* the spin before did not yield */
                leat__spin_slept(spin, now_ns, leat__os_now());
            return true;
        }
        if (yields)
            leat__os_yield();
    } while (leat__os_now() < until_ns);
    return false;
}
