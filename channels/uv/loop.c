/* channels/uv/loop.c - see channels/uv/loop.h. */
#include "channels/uv/loop.h"

#include <pthread.h>
#include <stdlib.h>

#define TURN_NS 200000 /* how long a loop works on its channels before others have their turn */
#define NEVER_MS (UINT64_MAX / 2) /* a timer that only makes its handle active */

/* Of all loops of the process: each is one thread's, the list everybody's. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct leat_uv_loop *loops;

int leat_uv_error(int code) {
    static const struct {
        int leat, uv;
    } codes[] = {
        {LEAT_OK, 0},
        {LEAT_EINVAL, UV_EINVAL},
        {LEAT_ENAME, UV_EINVAL},
        {LEAT_ENOENT, UV_ENOENT},
        {LEAT_EEXIST, UV_EEXIST},
        {LEAT_EKIND, UV_EINVAL},
        {LEAT_EACCES, UV_EACCES},
        {LEAT_EUNTRUSTED, UV_EPERM},
        {LEAT_ENOSPC, UV_ENOSPC},
        {LEAT_ENOMEM, UV_ENOMEM},
        {LEAT_ELIMIT, UV_EMFILE},
        {LEAT_EBUSY, UV_EBUSY},
        {LEAT_EAGAIN, UV_EAGAIN},
        {LEAT_ETIMEDOUT, UV_ETIMEDOUT},
        {LEAT_ECLOSED, UV_EOF},
        {LEAT_EPEERDIED, UV_ECONNRESET},
        {LEAT_EMSGSIZE, UV_EMSGSIZE},
        {LEAT_ECORRUPT, UV_EIO},
        {LEAT_EVERSION, UV_ENOTSUP},
        {LEAT_EFORKED, UV_EINVAL},
        {LEAT_ESTATE, UV_EALREADY},
        {LEAT_ENOTSUP, UV_ENOTSUP},
    };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].leat == code)
            return codes[i].uv;
    return UV_UNKNOWN;
}

/* --- Turns ------------------------------------------------------------------------------------ */

/* Those who are told send again, and can be done at once: so not until nobody is left, but as long
 * as a turn lasts. */
static void report_all(struct leat_uv_loop *shared, uint64_t end) {
    while (shared->telling != NULL) {
        struct leat_uv_member *member = shared->telling;
        leat__uv_leave_reporting(member);
        member->tell(member);
        if (uv_hrtime() >= end)
            return;
    }
}

static void take_lock(struct leat_uv_loop *shared) {
    uint64_t end = uv_hrtime() + TURN_NS;
    void *data;
    int result = LEAT_OK;
    report_all(shared, end);
    while (shared->channels > 0 &&
           (result = leat_waitset_next(shared->waitset, &data)) == LEAT_OK) {
        struct leat_uv_member *member = data;
        member->work(member);
        if (uv_hrtime() >= end)
            break;
    }
    if (shared->channels == 0)
        return;
    if (result == LEAT_OK || shared->telling != NULL)
        leat__uv_hurry(shared);
    else
        uv_idle_stop(&shared->busy);
}

static void on_readable(uv_poll_t *poll, int status, int events) {
    (void)status, (void)events;
    take_lock(poll->data);
}

static void on_idle(uv_idle_t *idle) {
    take_lock(idle->data);
}

void leat__uv_hurry(struct leat_uv_loop *shared) {
    (void)uv_idle_start(&shared->busy, on_idle); /* already started: nothing */
}

void leat__uv_report_later(struct leat_uv_member *member) {
    struct leat_uv_loop *shared = member->shared;
    if (!member->telling) {
        member->telling = true;
        member->next_report = NULL;
        *shared->reporting_end = member;
        shared->reporting_end = &member->next_report;
    }
    leat__uv_hurry(shared);
}

void leat__uv_leave_reporting(struct leat_uv_member *member) {
    struct leat_uv_loop *shared = member->shared;
    struct leat_uv_member **link = &shared->telling;
    if (!member->telling)
        return;
    while (*link != member)
        link = &(*link)->next_report;
    *link = member->next_report;
    if (*link == NULL)
        shared->reporting_end = link;
    member->telling = false;
}

/* --- Coming and going ------------------------------------------------------------------------- */

static void forget(struct leat_uv_loop *shared) {
    pthread_mutex_lock(&mutex);
    struct leat_uv_loop **link = &loops;
    while (*link != shared)
        link = &(*link)->next;
    *link = shared->next;
    pthread_mutex_unlock(&mutex);
}

static void on_closed(uv_handle_t *handle) {
    struct leat_uv_loop *shared = handle->data;
    if (--shared->open > 0)
        return;
    leat_waitset_close(shared->waitset); /* not before libuv has let go of its descriptors */
    free(shared);
}

static void close_shared(struct leat_uv_loop *shared) {
    forget(shared);
    uv_close((uv_handle_t *)&shared->rings, on_closed);
    uv_close((uv_handle_t *)&shared->rest, on_closed);
    uv_close((uv_handle_t *)&shared->busy, on_closed);
}

static struct leat_uv_loop *find(uv_loop_t *loop) {
    pthread_mutex_lock(&mutex);
    struct leat_uv_loop *shared = loops;
    while (shared != NULL && shared->loop != loop)
        shared = shared->next;
    pthread_mutex_unlock(&mutex);
    return shared;
}

static int poll_descriptor(struct leat_uv_loop *shared, uv_poll_t *poll, int descriptor) {
    int result = uv_poll_init(shared->loop, poll, descriptor);
    if (result != 0)
        return result;
    shared->open++;
    poll->data = shared;
    uv_unref((uv_handle_t *)poll);
    return uv_poll_start(poll, UV_READABLE, on_readable);
}

static int start_shared(struct leat_uv_loop *shared) {
    int descriptors[2];
    leat_waitset_descriptors(shared->waitset, descriptors);
    uv_idle_init(shared->loop, &shared->busy); /* cannot fail */
    shared->busy.data = shared;
    shared->open = 1;
    uv_unref((uv_handle_t *)&shared->busy);
    int result = poll_descriptor(shared, &shared->rings, descriptors[0]);
    if (result == 0)
        result = poll_descriptor(shared, &shared->rest, descriptors[1]);
    return result;
}

/* What was begun is ended by the loop, as everything that libuv knows of. */
static void abandon(struct leat_uv_loop *shared) {
    uv_handle_t *const handles[] = {(uv_handle_t *)&shared->busy, (uv_handle_t *)&shared->rings,
                                    (uv_handle_t *)&shared->rest};
    for (unsigned i = shared->open; i > 0; i--)
        uv_close(handles[i - 1], on_closed);
}

static int make_shared(uv_loop_t *loop, struct leat_uv_loop **made) {
    struct leat_uv_loop *shared = calloc(1, sizeof *shared);
    if (shared == NULL)
        return UV_ENOMEM;
    shared->loop = loop;
    shared->reporting_end = &shared->telling;
    int result = leat_waitset_open(&shared->waitset);
    if (result != LEAT_OK) {
        free(shared);
        return leat_uv_error(result);
    }
    result = start_shared(shared);
    if (result != 0) {
        abandon(shared);
        return result;
    }
    pthread_mutex_lock(&mutex);
    shared->next = loops;
    loops = shared;
    pthread_mutex_unlock(&mutex);
    *made = shared;
    return 0;
}

int leat__uv_share(uv_loop_t *loop, struct leat_uv_loop **shared) {
    *shared = find(loop);
    return *shared == NULL ? make_shared(loop, shared) : 0;
}

void leat__uv_give_back(struct leat_uv_loop *shared) {
    if (shared->channels == 0)
        close_shared(shared);
}

/* Never called: by it leat's handles are known. */
static void mark(uv_timer_t *uv) {
    (void)uv;
}

void leat__uv_join(uv_timer_t *uv, struct leat_uv_member *member,
                   void (*close)(uv_handle_t *handle, uv_close_cb callback)) {
    (void)uv_timer_init(member->shared->loop, uv); /* cannot fail */
    uv->timer_cb = mark;
    member->close = close;
    member->shared->channels++;
}

void leat__uv_leave(uv_timer_t *uv, struct leat_uv_member *member, uv_close_cb closed) {
    uv_close((uv_handle_t *)uv, closed);
    member->shared->channels--;
    leat__uv_give_back(member->shared);
}

void leat__uv_set_active(uv_timer_t *uv, bool active) {
    if (active)
        (void)uv_timer_start(uv, uv->timer_cb, NEVER_MS, 0);
    else
        (void)uv_timer_stop(uv);
}

/* --- Closing anything ------------------------------------------------------------------------- */

static bool is_shared(const uv_handle_t *handle) {
    bool found = false;
    pthread_mutex_lock(&mutex);
    for (struct leat_uv_loop *shared = loops; shared != NULL && !found; shared = shared->next)
        found = handle == (const uv_handle_t *)&shared->rings ||
                handle == (const uv_handle_t *)&shared->rest ||
                handle == (const uv_handle_t *)&shared->busy;
    pthread_mutex_unlock(&mutex);
    return found;
}

void leat_uv_close(uv_handle_t *handle, uv_close_cb callback) {
    if (uv_is_closing(handle) || is_shared(handle))
        return;
    if (handle->type == UV_TIMER && ((uv_timer_t *)handle)->timer_cb == mark)
        ((struct leat_uv_any *)handle)->member.close(handle, callback);
    else
        uv_close(handle, callback);
}
