/* lib/wake/wait.c - see lib/wake/wait.h. */
#include "lib/wake/wait.h"

#include "leat/error.h"

static uint64_t earlier(uint64_t one_ns, uint64_t other_ns) {
    return one_ns < other_ns ? one_ns : other_ns;
}

static bool is_ready(const struct leat__wait *wait) {
    return wait->kind->ready(wait->context);
}

/* An event, or LEAT_OK. */
static int ask(struct leat__wait *wait, uint64_t now_ns, bool last) {
    const struct leat__wait_kind *kind = wait->kind;
    bool asks_now = kind->asks_now != NULL && kind->asks_now(wait->context);
    if (!asks_now && !last && now_ns < wait->ask_at_ns)
        return LEAT_OK;
    return kind->ask(wait->context, now_ns, last, &wait->ask_at_ns);
}

/* Before a spin or a sleep. LEAT_EBUSY: it may begin. */
static int check(struct leat__wait *wait, uint64_t now_ns) {
    bool last = now_ns >= wait->deadline_ns;
    if (wait->kind->leave != NULL)
        leat__os_cancellation_point(wait->kind->leave, wait->context);
    int event = ask(wait, now_ns, last);
    if (event != LEAT_OK)
        return event;
    return is_ready(wait) ? LEAT_OK : last ? LEAT_ETIMEDOUT : LEAT_EBUSY;
}

/* At most a slice. LEAT_OK: ready. LEAT_EBUSY. */
static int spin(const struct leat__wait *wait, uint64_t *now_ns, uint64_t end_ns) {
    uint64_t until = earlier(end_ns, earlier(*now_ns + LEAT__SLICE_NS, wait->deadline_ns));
    return leat__spin(wait->spin, wait->kind->ready, wait->context, now_ns, until) ? LEAT_OK
                                                                                   : LEAT_EBUSY;
}

/* At most a slice. LEAT_OK: ready. LEAT_EBUSY, LEAT_EINTR. */
static int sleep_once(const struct leat__wait *wait, uint64_t *now_ns) {
    const struct leat__wait_kind *kind = wait->kind;
    int slept = LEAT_OK;
    if (kind->arm != NULL)
        kind->arm(wait->context);
    if (!is_ready(wait))
        slept = kind->sleep(wait->context, *now_ns, earlier(wait->ask_at_ns, wait->deadline_ns));
    if (kind->disarm != NULL)
        kind->disarm(wait->context);
    if (is_ready(wait))
        return LEAT_OK;
    *now_ns = leat__os_now();
    return slept == LEAT_EINTR && wait->interruptible ? LEAT_EINTR : LEAT_EBUSY;
}

int leat__wait(struct leat__wait *wait) {
    uint64_t now = leat__os_now(), spin_end = now + wait->spin->ns;
    leat__spin_begin(wait->spin, now);
    int result = now < spin_end ? spin(wait, &now, spin_end) : LEAT_EBUSY;
    while (result == LEAT_EBUSY) { /* each pass is a spin or a sleep, of at most a slice */
        result = check(wait, now);
        if (result == LEAT_EBUSY)
            result = now < spin_end ? spin(wait, &now, spin_end) : sleep_once(wait, &now);
    }
    return result;
}
