/* channels/uv/loop.c - see channels/uv/loop.h. */
#include "channels/uv/loop.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define TURN_NS 200000 /* how long leat's handles work before the loop's other handles */

/* The bit of uv_handle_t.flags that libuv sets when it is done with a handle, just before the close
 * callback. libuv does not publish it. Every version of libuv 1 has it; where one has not,
 * tests/test_uv_close.c fails. */
#define DONE_FLAG 0x2u

/* The shared loops of the process. Each belongs to one thread, the list to all. */
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
        {LEAT_ESIZE, UV_EINVAL},
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
        {LEAT_EPEERBACK, UV_EAGAIN},
        {LEAT_EMSGSIZE, UV_EMSGSIZE},
        {LEAT_ECORRUPT, UV_EIO},
        {LEAT_EVERSION, UV_ENOTSUP},
        {LEAT_EFORKED, UV_EINVAL},
        {LEAT_EINTR, UV_EINTR},
        {LEAT_ESTATE, UV_EALREADY},
        {LEAT_ERANGE, UV_ERANGE},
        {LEAT_ENOTSUP, UV_ENOTSUP},
        {LEAT_ESYSTEM, UV_UNKNOWN},
        {LEAT_EOWNERDEAD, UV_ECONNRESET},
        {LEAT_ELOST, UV_EIO},
        {LEAT_ENOTOWNER, UV_EPERM},
        {LEAT_EOVERFLOW, UV_EOVERFLOW},
        {LEAT_EADDRESS, UV_EADDRNOTAVAIL},
        {LEAT_ETYPE, UV_EINVAL},
    };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].leat == code)
            return codes[i].uv;
    return UV_UNKNOWN;
}

/* --- The three handles ------------------------------------------------------------------------ */

enum { HANDLES = 3 };

static uv_handle_t *handle_at(const struct leat_uv_loop *shared, int index) {
    const void *const handles[HANDLES] = {&shared->busy, &shared->wakes, &shared->rest};
    return (uv_handle_t *)(uintptr_t)handles[index];
}

/* Not made yet counts as done. */
static bool is_done(const uv_handle_t *handle) {
    return handle->loop == NULL || (handle->flags & DONE_FLAG) != 0;
}

static bool all_done(const struct leat_uv_loop *shared) {
    for (int i = 0; i < HANDLES; i++)
        if (!is_done(handle_at(shared, i)))
            return false;
    return true;
}

/* While there are members, only the program closes one of the three. */
static bool is_cut(const struct leat_uv_loop *shared) {
    for (int i = 0; i < HANDLES; i++)
        if (uv_is_closing(handle_at(shared, i)))
            return true;
    return false;
}

static void close_handles(struct leat_uv_loop *shared) {
    for (int i = 0; i < HANDLES; i++) {
        uv_handle_t *handle = handle_at(shared, i);
        if (handle->loop != NULL && !uv_is_closing(handle))
            uv_close(handle, NULL);
    }
}

/* Calls back in the loop's closing phase. uv_walk shows `end` to the program only as closing. */
static void call_in_loop(uv_loop_t *loop, uv_idle_t *end, void *data, uv_close_cb callback) {
    (void)uv_idle_init(loop, end); /* cannot fail */
    end->data = data;
    uv_close((uv_handle_t *)end, callback);
}

static void free_shared(struct leat_uv_loop *shared) {
    leat_waitset_close(shared->waitset); /* not before libuv has let go of its descriptors */
    free(shared);
}

/* libuv ends handles in an order of its own, and those that the program closed report nothing. */
static void on_end(uv_handle_t *end) {
    struct leat_uv_loop *shared = end->data;
    if (all_done(shared))
        free_shared(shared);
    else
        call_in_loop(shared->loop, &shared->end, shared, on_end);
}

/* `end` before the others: libuv calls back for the latest first, so that one round is enough. */
static void end_in_loop(struct leat_uv_loop *shared) {
    call_in_loop(shared->loop, &shared->end, shared, on_end);
    close_handles(shared);
}

/* --- Turns ------------------------------------------------------------------------------------ */

static void leave_reporting(struct leat_uv_member *member) {
    struct leat_uv_loop *shared = member->shared;
    struct leat_uv_member **link = &shared->reporting;
    if (!member->reporting)
        return;
    while (*link != member)
        link = &(*link)->next_report;
    *link = member->next_report;
    if (*link == NULL)
        shared->reporting_end = link;
    member->reporting = false;
}

/* A report can lead to another one, so the list may never become empty: a turn's length ends it. */
static void report_all(struct leat_uv_loop *shared, uint64_t end) {
    while (shared->reporting != NULL && !is_cut(shared)) {
        struct leat_uv_member *member = shared->reporting;
        leave_reporting(member);
        member->operations->report(member);
        if (uv_hrtime() >= end)
            return;
    }
}

static bool is_running(const struct leat_uv_loop *shared) {
    return shared->members != NULL && !is_cut(shared);
}

static void take_turn(struct leat_uv_loop *shared) {
    uint64_t end = uv_hrtime() + TURN_NS;
    void *data;
    int result = LEAT_OK;
    report_all(shared, end);
    while (is_running(shared) && (result = leat_waitset_next(shared->waitset, &data)) == LEAT_OK) {
        struct leat_uv_member *member = data;
        member->operations->work(member);
        if (uv_hrtime() >= end)
            break;
    }
    if (!is_running(shared))
        close_handles(shared); /* the rest of them */
    else if (result == LEAT_OK || shared->reporting != NULL)
        leat__uv_hurry(shared);
    else
        (void)uv_idle_stop(&shared->busy);
}

static void on_readable(uv_poll_t *poll, int status, int events) {
    (void)status, (void)events;
    take_turn(poll->data);
}

static void on_idle(uv_idle_t *idle) {
    take_turn(idle->data);
}

void leat__uv_hurry(struct leat_uv_loop *shared) {
    if (!uv_is_closing((uv_handle_t *)&shared->busy))
        (void)uv_idle_start(&shared->busy, on_idle); /* already started: nothing */
}

void leat__uv_report_later(struct leat_uv_member *member) {
    struct leat_uv_loop *shared = member->shared;
    if (!member->reporting) {
        member->reporting = true;
        member->next_report = NULL;
        *shared->reporting_end = member;
        shared->reporting_end = &member->next_report;
    }
    leat__uv_hurry(shared);
}

/* --- Shared loops ----------------------------------------------------------------------------- */

static void forget(struct leat_uv_loop *shared) {
    pthread_mutex_lock(&mutex);
    struct leat_uv_loop **link = &loops;
    while (*link != shared)
        link = &(*link)->next;
    *link = shared->next;
    pthread_mutex_unlock(&mutex);
}

/* One that is cut is as good as gone: its uv_loop_t may have been closed, and made anew. */
static struct leat_uv_loop *find(const uv_loop_t *loop) {
    pthread_mutex_lock(&mutex);
    struct leat_uv_loop *shared = loops;
    while (shared != NULL && (shared->loop != loop || is_cut(shared)))
        shared = shared->next;
    pthread_mutex_unlock(&mutex);
    return shared;
}

static int poll_descriptor(struct leat_uv_loop *shared, uv_poll_t *poll, int descriptor) {
    int result = uv_poll_init(shared->loop, poll, descriptor);
    if (result != 0)
        return result;
    poll->data = shared;
    uv_unref((uv_handle_t *)poll);
    return uv_poll_start(poll, UV_READABLE, on_readable);
}

static int make_handles(struct leat_uv_loop *shared) {
    int descriptors[2];
    leat_waitset_descriptors(shared->waitset, descriptors);
    (void)uv_idle_init(shared->loop, &shared->busy); /* cannot fail */
    shared->busy.data = shared;
    uv_unref((uv_handle_t *)&shared->busy);
    int result = poll_descriptor(shared, &shared->wakes, descriptors[0]);
    if (result == 0)
        result = poll_descriptor(shared, &shared->rest, descriptors[1]);
    return result;
}

static int make_shared(uv_loop_t *loop, struct leat_uv_loop **made) {
    struct leat_uv_loop *shared = calloc(1, sizeof *shared);
    if (shared == NULL)
        return UV_ENOMEM;
    shared->loop = loop;
    shared->reporting_end = &shared->reporting;
    int result = leat_waitset_open(&shared->waitset);
    if (result != LEAT_OK) {
        free(shared);
        return leat_uv_error(result);
    }
    result = make_handles(shared);
    if (result != 0) {
        end_in_loop(shared);
        return result;
    }
    pthread_mutex_lock(&mutex);
    shared->next = loops;
    loops = shared;
    pthread_mutex_unlock(&mutex);
    *made = shared;
    return 0;
}

/* --- Members ---------------------------------------------------------------------------------- */

static void enter(struct leat_uv_loop *shared, struct leat_uv_member *member) {
    member->shared = shared;
    member->next = shared->members;
    member->link = &shared->members;
    if (member->next != NULL)
        member->next->link = &member->next;
    shared->members = member;
}

/* The last member ends the shared loop; `over`: there is no uv_loop_t to end it in. */
static void leave(struct leat_uv_member *member, bool over) {
    struct leat_uv_loop *shared = member->shared;
    *member->link = member->next;
    if (member->next != NULL)
        member->next->link = member->link;
    if (shared->walk_next == member)
        shared->walk_next = member->next;
    member->shared = NULL;
    if (shared->members != NULL)
        return;
    forget(shared);
    if (over)
        free_shared(shared);
    else
        end_in_loop(shared);
}

int leat__uv_join(uv_loop_t *loop, leat_uv_handle_t *handle, size_t size,
                  const struct leat_uv_operations *operations) {
    struct leat_uv_loop *shared = find(loop);
    struct leat_uv_member *member = calloc(1, size);
    int result = member == NULL ? UV_ENOMEM : shared == NULL ? make_shared(loop, &shared) : 0;
    memset(handle->reserved, 0, sizeof handle->reserved);
    handle->loop = loop;
    handle->member = NULL;
    if (result != 0) {
        free(member);
        return result;
    }
    member->operations = operations;
    member->handle = handle;
    member->referenced = true;
    enter(shared, member);
    handle->member = member;
    return 0;
}

void leat__uv_undo_join(struct leat_uv_member *member) {
    member->handle->member = NULL;
    leave(member, false);
    free(member);
}

struct leat_uv_member *leat__uv_member(const leat_uv_handle_t *handle) {
    return handle->member == NULL || handle->member->closing ? NULL : handle->member;
}

struct leat_uv_member *leat__uv_usable(const leat_uv_handle_t *handle) {
    struct leat_uv_member *member = leat__uv_member(handle);
    return member == NULL || is_cut(member->shared) ? NULL : member;
}

/* --- Active and referenced -------------------------------------------------------------------- */

static void hold(struct leat_uv_member *member, bool active, bool referenced) {
    struct leat_uv_loop *shared = member->shared;
    bool held = member->active && member->referenced;
    member->active = active;
    member->referenced = referenced;
    if (held == (active && referenced))
        return;
    if (held && --shared->holding == 0)
        uv_unref((uv_handle_t *)&shared->wakes);
    else if (!held && shared->holding++ == 0)
        uv_ref((uv_handle_t *)&shared->wakes);
}

void leat__uv_set_active(struct leat_uv_member *member, bool active) {
    hold(member, active, member->referenced);
}

int leat_uv_is_active(const leat_uv_handle_t *handle) {
    const struct leat_uv_member *member = leat__uv_usable(handle);
    return member != NULL && member->active;
}

void leat_uv_ref(leat_uv_handle_t *handle) {
    struct leat_uv_member *member = leat__uv_member(handle);
    if (member != NULL)
        hold(member, member->active, true);
}

void leat_uv_unref(leat_uv_handle_t *handle) {
    struct leat_uv_member *member = leat__uv_member(handle);
    if (member != NULL)
        hold(member, member->active, false);
}

int leat_uv_has_ref(const leat_uv_handle_t *handle) {
    const struct leat_uv_member *member = leat__uv_member(handle);
    return member != NULL && member->referenced;
}

/* --- All handles of a loop -------------------------------------------------------------------- */

void leat_uv_walk(uv_loop_t *loop, leat_uv_walk_cb callback, void *context) {
    struct leat_uv_loop *shared = find(loop);
    struct leat_uv_member *member = shared != NULL ? shared->members : NULL;
    for (; member != NULL; member = shared->walk_next) {
        shared->walk_next = member->next;
        callback(member->handle, context);
    }
}

/* --- Closing ---------------------------------------------------------------------------------- */

static void finish(struct leat_uv_member *member) {
    leat_uv_handle_t *handle = member->handle;
    leat_uv_close_cb on_closed = member->on_closed;
    if (member->operations->closed != NULL)
        member->operations->closed(member);
    free(member);
    handle->member = NULL;
    if (on_closed != NULL)
        on_closed(handle);
}

static void on_member_end(uv_handle_t *end) {
    finish(end->data);
}

int leat_uv_is_closing(const leat_uv_handle_t *handle) {
    return leat__uv_member(handle) == NULL;
}

void leat_uv_close(leat_uv_handle_t *handle, leat_uv_close_cb callback) {
    struct leat_uv_member *member = leat__uv_member(handle);
    if (member == NULL)
        return;
    bool over = all_done(member->shared);
    member->closing = true;
    member->on_closed = callback;
    member->operations->close(member);
    leat__uv_set_active(member, false);
    leave_reporting(member);
    if (!over)
        call_in_loop(member->shared->loop, &member->end, member, on_member_end);
    leave(member, over);
    if (over)
        finish(member);
}
