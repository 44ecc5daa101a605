/* channels/uv/waiter.c - events, semaphores and mutexes as libuv handles (leat/uv.h). */
#include "channels/uv/loop.h"

struct waiter {
    struct leat_uv_member member; /* first */
    leat_waitable *object;
    leat_uv_taken_cb on_taken;
    bool started, once;
};

static struct waiter *of_member(struct leat_uv_member *member) {
    return (struct waiter *)member;
}

static void stop(struct waiter *waiter) {
    if (!waiter->started)
        return;
    leat_waitset_remove_waitable(waiter->object);
    waiter->started = false;
    leat__uv_set_active(&waiter->member, false);
}

static void work(struct leat_uv_member *member) {
    struct waiter *waiter = of_member(member);
    int result = leat_wait(waiter->object, LEAT_NOW);
    if (result == LEAT_EAGAIN) /* another thread or process was faster */
        return;
    if ((result != LEAT_OK && result != LEAT_EOWNERDEAD) || waiter->once)
        stop(waiter);
    waiter->on_taken((leat_uv_waiter_t *)member->handle, leat_uv_error(result));
}

static void leave_object(struct leat_uv_member *member) {
    stop(of_member(member));
}

static const struct leat_uv_operations operations = {
    .work = work,
    .close = leave_object,
};

int leat_uv_waiter_init(uv_loop_t *loop, leat_uv_waiter_t *handle, leat_waitable *object) {
    if (loop == NULL || handle == NULL || object == NULL)
        return UV_EINVAL;
    leat_sync_info info;
    handle->handle.member = NULL;
    int result = leat_waitable_info(object, &info);
    if (result != LEAT_OK)
        return leat_uv_error(result);
    result = leat__uv_join(loop, &handle->handle, sizeof(struct waiter), &operations);
    if (result != 0)
        return result;
    struct waiter *waiter = of_member(handle->handle.member);
    waiter->object = object;
    /* can be taken again at once, or must not be taken twice */
    waiter->once = info.manual_reset || info.kind == LEAT_KIND_MUTEX;
    return 0;
}

int leat_uv_waiter_start(leat_uv_waiter_t *handle, leat_uv_taken_cb on_taken) {
    if (handle == NULL || on_taken == NULL)
        return UV_EINVAL;
    struct waiter *waiter = of_member(leat__uv_usable(&handle->handle));
    if (waiter == NULL)
        return UV_EINVAL;
    if (waiter->started)
        return UV_EALREADY;
    struct leat_uv_loop *shared = waiter->member.shared;
    int result = leat_waitset_add_waitable(shared->waitset, waiter->object, waiter);
    if (result != LEAT_OK)
        return leat_uv_error(result);
    waiter->on_taken = on_taken;
    waiter->started = true;
    leat__uv_set_active(&waiter->member, true);
    leat__uv_hurry(shared);
    return 0;
}

void leat_uv_waiter_stop(leat_uv_waiter_t *handle) {
    struct leat_uv_member *member = leat__uv_member(&handle->handle);
    if (member != NULL)
        stop(of_member(member));
}
