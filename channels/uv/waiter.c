/* channels/uv/waiter.c - events, semaphores and mutexes as libuv handles (leat/uv.h). */
#include <string.h>

#include "channels/uv/loop.h"

static leat_uv_waiter_t *of_member(struct leat_uv_member *member) {
    return (leat_uv_waiter_t *)((char *)member - offsetof(leat_uv_waiter_t, member));
}

static bool is_closing(const leat_uv_waiter_t *waiter) {
    return uv_is_closing((const uv_handle_t *)&waiter->uv) != 0;
}

static void work(struct leat_uv_member *member) {
    leat_uv_waiter_t *waiter = of_member(member);
    int result = leat_wait(waiter->object, LEAT_NOW);
    if (result == LEAT_EAGAIN) /* somebody was faster */
        return;
    if ((result != LEAT_OK && result != LEAT_EOWNERDEAD) || waiter->once)
        leat_uv_waiter_stop(waiter);
    waiter->on_taken(waiter, result);
}

static void close_any(uv_handle_t *handle, uv_close_cb callback) {
    leat_uv_waiter_close((leat_uv_waiter_t *)handle, callback);
}

int leat_uv_waiter_init(uv_loop_t *loop, leat_uv_waiter_t *waiter, leat_waitable *object) {
    if (loop == NULL || waiter == NULL || object == NULL)
        return UV_EINVAL;
    leat_sync_info info;
    memset(waiter, 0, sizeof *waiter);
    int result = leat_waitable_info(object, &info);
    if (result != LEAT_OK)
        return leat_uv_error(result);
    result = leat__uv_share(loop, &waiter->member.shared);
    if (result != 0)
        return result;
    leat__uv_join(&waiter->uv, &waiter->member, close_any);
    waiter->member.work = work;
    waiter->object = object;
    /* could be had again at once, or must not be had twice */
    waiter->once = info.manual_reset || info.kind == LEAT_KIND_MUTEX;
    return 0;
}

int leat_uv_waiter_start(leat_uv_waiter_t *waiter, leat_uv_taken_cb on_taken) {
    if (waiter == NULL || on_taken == NULL || is_closing(waiter))
        return UV_EINVAL;
    if (waiter->started)
        return UV_EALREADY;
    int result =
        leat_waitset_add_waitable(waiter->member.shared->waitset, waiter->object, &waiter->member);
    if (result != LEAT_OK)
        return leat_uv_error(result);
    waiter->on_taken = on_taken;
    waiter->started = true;
    leat__uv_set_active(&waiter->uv, true);
    leat__uv_hurry(waiter->member.shared);
    return 0;
}

void leat_uv_waiter_stop(leat_uv_waiter_t *waiter) {
    if (!waiter->started)
        return;
    leat_waitset_remove_waitable(waiter->object);
    waiter->started = false;
    leat__uv_set_active(&waiter->uv, false);
}

void leat_uv_waiter_close(leat_uv_waiter_t *waiter, uv_close_cb callback) {
    if (is_closing(waiter))
        return;
    leat_uv_waiter_stop(waiter);
    leat__uv_leave(&waiter->uv, &waiter->member, callback);
}
