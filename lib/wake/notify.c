/* lib/wake/notify.c - see lib/wake/notify.h. */
#include "lib/wake/notify.h"

#include "lib/base/fail.h"

/* The socket of the loop that was woken last stays open. */
static void open_socket(struct leat__object *object, uint64_t notify) {
    struct leat__resource *resource = &object->resource;
    leat__file directory;
    struct leat__failure before; /* without the socket the file is touched */
    leat__failure_keep(&before);
    leat__os_file_close(resource->notify);
    resource->notify = LEAT__NO_FILE;
    if (leat__os_directory_open(LEAT_LOCAL, false, &directory) == LEAT_OK) {
        resource->notify = leat__os_notify_open(directory, notify);
        leat__os_directory_close(directory);
    }
    object->notify = notify;
    leat__failure_restore(&before);
}

static bool send_token(struct leat__object *object, const struct leat__sleeper *sleeper) {
    if (sleeper->notify != object->notify)
        open_socket(object, sleeper->notify);
    leat__file socket = object->resource.notify;
    return socket != LEAT__NO_FILE && leat__os_notify_send(socket, sleeper->token);
}

static bool touch_file(leat__file file, enum leat__touch touch, uint64_t offset) {
    unsigned char byte = 0;
    struct leat__failure before;
    leat__failure_keep(&before);
    int result = touch == LEAT__TOUCH_READ ? leat__os_file_read(file, 0, &byte, 1)
                                           : leat__os_file_touch(file, offset);
    leat__failure_restore(&before);
    return result == LEAT_OK;
}

bool leat__wake(struct leat__object *object, const struct leat__sleeper *sleepers, size_t count,
                enum leat__touch touch, uint64_t offset) {
    bool unreached = false;
    for (size_t i = 0; i < count; i++) {
        if (sleepers[i].place == LEAT__ON_WORD)
            leat__os_wake(sleepers[i].word, false);
        else if (sleepers[i].place == LEAT__ON_WATCH || !send_token(object, &sleepers[i]))
            unreached = true;
    }
    return !unreached || touch_file(object->resource.file, touch, offset);
}
