/* lib/os/linux/watch_wait.c - threads that sleep until the kernel reports that a file was touched
 * or closed.
 *
 * A user has 128 inotify instances, so a process has one, for all of its threads. One of the
 * threads that sleep is the *leader*: it sleeps on the instance. The others sleep on a futex of
 * their own. The leader takes what the kernel reports, notes it at each watch that it concerns, and
 * wakes the threads that sleep there. A leader that stops sleeping, for whatever reason, makes
 * another sleeper the leader.
 *
 *     noted    bits of `state`: what was reported since the watch was cleared
 *     leads    a bit of `state`: this thread is the leader
 *
 * All of this changes under the process's fork lock only; the futex reads `state` without it. So
 * nothing is lost between a read of `state` and the sleep: a change before the sleep keeps the
 * kernel from putting the thread to sleep. What is reported while no thread sleeps stays in the
 * instance until the next one comes.
 *
 * A leader that is killed alone does not exist. One that is cancelled leaves by leave_hub, as every
 * sleeper does; threads are cancelled in the system call that sleeps, and nowhere else.
 *
 * A forked child has no instance: the descriptor is closed there, and the first use begins anew.
 * Watches of the parent are recognised by their epoch, and are of no concern to the child.
 *
 * The instance is made for the first watch and closed with the last. */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>

#include "leat/error.h"
#include "lib/base/fail.h"
#include "lib/os/linux/calls.h"
#include "lib/os/linux/timespec.h"

#define TOUCHED UINT32_C(1)
#define CLOSED UINT32_C(2)
#define NOTED (TOUCHED | CLOSED)
#define LEADS UINT32_C(4)

#define BUCKETS 256u             /* by the file's number in the instance */
#define AT_ONCE 64               /* notices taken from the kernel by one call */
#define CALLS_MOST 512           /* of these: more than the kernel keeps for an instance */
#define NAP_NS UINT64_C(2000000) /* where the system call that sleeps fails for no known reason */

/* Under the fork lock. */
static struct {
    struct leat__resource resource; /* file: the instance */
    bool open;
    uint32_t epoch;
    unsigned count;
    struct leat__watch *buckets[BUCKETS];
    struct leat__watch *asleep; /* the leader is one of them */
    struct leat__watch *leader;
} hub;

/* --- Notes ------------------------------------------------------------------------------------ */

static void wake(struct leat__watch *watch) {
    syscall(SYS_futex, &watch->state.word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static uint32_t state_of(const struct leat__watch *watch) {
    return leat__load_acquire32(&watch->state);
}

static void note(struct leat__watch *watch, uint32_t bits) {
    uint32_t before = state_of(watch);
    leat__store_release32(&watch->state, before | bits);
    if (watch->sleeps && watch != hub.leader && (before | bits) != before)
        wake(watch);
}

static void note_everywhere(void) {
    for (unsigned bucket = 0; bucket < BUCKETS; bucket++)
        for (struct leat__watch *watch = hub.buckets[bucket]; watch != NULL; watch = watch->next)
            note(watch, NOTED);
}

static void note_one(const struct leat__notice *notice) {
    struct leat__watch *watch = hub.buckets[(unsigned)notice->number % BUCKETS];
    for (; watch != NULL; watch = watch->next)
        if (watch->number == notice->number && (notice->closed || notice->touch == watch->touch))
            note(watch, notice->closed ? CLOSED : TOUCHED);
}

static void take_notices(void) {
    struct leat__notice notices[AT_ONCE];
    size_t count = AT_ONCE;
    for (unsigned calls = 0; count > 0 && calls < CALLS_MOST; calls++) {
        count = leat__os_watch_take(hub.resource.file, notices, AT_ONCE);
        for (size_t i = 0; i < count; i++)
            if (notices[i].number < 0)
                note_everywhere();
            else
                note_one(&notices[i]);
    }
}

/* --- The instance ----------------------------------------------------------------------------- */

/* Holds, and makes sure that the instance is this process's. */
static void hold(void) {
    leat__os_fork_hold();
    if (!hub.open || !hub.resource.forked)
        return;
    leat__os_resource_remove(&hub.resource);
    hub.open = false;
    hub.epoch++;
    hub.count = 0;
    hub.asleep = hub.leader = NULL;
    for (unsigned bucket = 0; bucket < BUCKETS; bucket++)
        hub.buckets[bucket] = NULL;
}

static bool open_instance(void) {
    if (hub.open)
        return true;
    leat__os_resource_init(&hub.resource);
    hub.open = leat__os_watch_open_many(&hub.resource.file) == LEAT_OK;
    if (hub.open)
        leat__os_resource_add(&hub.resource);
    return hub.open;
}

/* If the instance has no watch any more, returns its descriptor; the caller closes it without
 * holding. The kernel takes up to 20 ms for that. */
static leat__file give_up_instance(void) {
    leat__file instance = hub.resource.file;
    if (!hub.open || hub.count > 0)
        return LEAT__NO_FILE;
    leat__os_resource_remove(&hub.resource);
    hub.open = false;
    hub.epoch++;
    return instance;
}

/* --- Watches ---------------------------------------------------------------------------------- */

static bool is_ours(const struct leat__watch *watch) {
    return watch->on && hub.open && watch->epoch == hub.epoch;
}

static bool begin(struct leat__watch *watch, leat__file *file) {
    if (!open_instance() ||
        leat__os_watch_add(hub.resource.file, file, watch->touch, &watch->number) != LEAT_OK)
        return false;
    struct leat__watch **bucket = &hub.buckets[(unsigned)watch->number % BUCKETS];
    watch->next = *bucket;
    *bucket = watch;
    watch->epoch = hub.epoch;
    hub.count++;
    return true;
}

bool leat__os_watch_begin(struct leat__watch *watch, leat__file *file, enum leat__touch touch) {
    *watch = (struct leat__watch){.touch = touch};
    struct leat__failure before; /* the waits work without a watch */
    leat__failure_keep(&before);
    hold();
    watch->on = begin(watch, file);
    leat__file unused = give_up_instance();
    leat__os_fork_release();
    leat__os_file_close(unused);
    leat__failure_restore(&before);
    return watch->on;
}

static void end(struct leat__watch *watch) {
    struct leat__watch **link = &hub.buckets[(unsigned)watch->number % BUCKETS];
    bool shared = false;
    for (struct leat__watch *other = *link; other != NULL; other = other->next)
        shared = shared || (other != watch && other->number == watch->number);
    while (*link != watch)
        link = &(*link)->next;
    *link = watch->next;
    if (!shared)
        leat__os_watch_remove(hub.resource.file, watch->number);
    hub.count--;
}

void leat__os_watch_end(struct leat__watch *watch) {
    if (!watch->on)
        return;
    hold();
    if (is_ours(watch))
        end(watch);
    watch->on = false;
    leat__file unused = give_up_instance();
    leat__os_fork_release();
    leat__os_file_close(unused);
}

/* Only the leader takes from the instance: if another thread did, the leader would go on
 * sleeping. */
bool leat__os_watch_clear(struct leat__watch *watch) {
    hold();
    if (is_ours(watch) && hub.leader == NULL)
        take_notices();
    uint32_t state = state_of(watch);
    leat__store_release32(&watch->state, state & ~NOTED);
    leat__os_fork_release();
    return (state & CLOSED) != 0;
}

/* --- Sleeping --------------------------------------------------------------------------------- */

static void lead(struct leat__watch *watch) {
    hub.leader = watch;
    if (watch != NULL)
        leat__store_release32(&watch->state, state_of(watch) | LEADS);
}

static void enter_hub(struct leat__watch *watch) {
    hold();
    watch->sleeps = is_ours(watch);
    if (watch->sleeps) {
        watch->next_asleep = hub.asleep;
        watch->previous_asleep = NULL;
        if (hub.asleep != NULL)
            hub.asleep->previous_asleep = watch;
        hub.asleep = watch;
        if (hub.leader == NULL)
            lead(watch);
    }
    leat__os_fork_release();
}

static void leave_hub(struct leat__watch *watch) {
    hold();
    if (watch->sleeps && is_ours(watch)) {
        if (watch->previous_asleep != NULL)
            watch->previous_asleep->next_asleep = watch->next_asleep;
        else
            hub.asleep = watch->next_asleep;
        if (watch->next_asleep != NULL)
            watch->next_asleep->previous_asleep = watch->previous_asleep;
        if (hub.leader == watch) {
            lead(hub.asleep);
            if (hub.asleep != NULL)
                wake(hub.asleep);
        }
    }
    watch->sleeps = false;
    leat__store_release32(&watch->state, state_of(watch) & ~LEADS);
    leat__os_fork_release();
}

static void look_at_instance(struct leat__watch *watch) {
    hold();
    if (is_ours(watch))
        take_notices();
    leat__os_fork_release();
}

/* What ended a sleep that the kernel reports as `failed`. An unknown error is no answer: then the
 * thread naps, and the caller polls. */
static int outcome(bool failed, int error, uint64_t deadline_ns) {
    if (!failed || error == EAGAIN)
        return LEAT_OK;
    if (error == EINTR)
        return LEAT_EINTR;
    if (error != ETIMEDOUT) {
        uint64_t now = leat__os_now();
        leat__os_sleep(now + NAP_NS < deadline_ns ? now + NAP_NS : deadline_ns);
    }
    return leat__os_now() >= deadline_ns ? LEAT_ETIMEDOUT : LEAT_OK;
}

static int sleep_on_instance(uint64_t deadline_ns) {
    struct pollfd ready = {.fd = hub.resource.file, .events = POLLIN};
    uint64_t now = leat__os_now();
    struct timespec left = leat__timespec_of(deadline_ns > now ? deadline_ns - now : 0);
    int count = ppoll(&ready, 1, deadline_ns == LEAT_FOREVER ? NULL : &left, NULL);
    return outcome(count <= 0, count == 0 ? ETIMEDOUT : errno, deadline_ns);
}

static int sleep_on_state(struct leat__watch *watch, uint64_t deadline_ns) {
    struct timespec deadline = leat__timespec_of(deadline_ns);
    long failed =
        syscall(SYS_futex, &watch->state.word, FUTEX_WAIT_BITSET_PRIVATE, 0,
                deadline_ns == LEAT_FOREVER ? NULL : &deadline, NULL, FUTEX_BITSET_MATCH_ANY);
    return outcome(failed != 0, errno, deadline_ns);
}

static int sleep_as_it_is(struct leat__watch *watch, uint32_t state, uint64_t deadline_ns) {
    return (state & LEADS) != 0 ? sleep_on_instance(deadline_ns)
                                : sleep_on_state(watch, deadline_ns);
}

struct sleeper {
    struct leat__watch *watch;
    void (*leave)(void *context);
    void *context;
};

static void leave_cancelled(void *context) {
    struct sleeper *sleeper = context;
    leave_hub(sleeper->watch);
    sleeper->leave(sleeper->context);
}

/* The type is asynchronous for the one system call, as in the C library's own cancellation
 * points. */
static int sleep_cancellable(struct sleeper *sleeper, uint32_t state, uint64_t deadline_ns) {
    int result, type;
    pthread_cleanup_push(leave_cancelled, sleeper);
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
    result = sleep_as_it_is(sleeper->watch, state, deadline_ns);
    pthread_setcanceltype(type, NULL);
    pthread_cleanup_pop(0);
    return result;
}

static int sleep_uncancelled(struct leat__watch *watch, uint32_t state, uint64_t deadline_ns) {
    int cancel;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    int result = sleep_as_it_is(watch, state, deadline_ns);
    pthread_setcancelstate(cancel, NULL);
    return result;
}

int leat__os_watch_wait(struct leat__watch *watch, uint64_t deadline_ns,
                        void (*leave)(void *context), void *context) {
    struct sleeper sleeper = {watch, leave, context};
    int result = LEAT_OK;
    enter_hub(watch);
    if (!watch->sleeps)
        return outcome(true, 0, deadline_ns);
    for (;;) { /* each pass: the leader got notices of other files, or this thread became leader */
        uint32_t state = state_of(watch);
        if ((state & NOTED) != 0)
            break;
        result = leave != NULL ? sleep_cancellable(&sleeper, state, deadline_ns)
                               : sleep_uncancelled(watch, state, deadline_ns);
        if ((state & LEADS) != 0)
            look_at_instance(watch);
        if (result != LEAT_OK)
            break;
    }
    bool noted = (state_of(watch) & NOTED) != 0;
    leave_hub(watch);
    return noted ? LEAT_OK : result;
}
