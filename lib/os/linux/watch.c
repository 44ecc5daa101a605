/* lib/os/linux/watch.c - watches: the kernel reports that a process touched or closed a file
 * (inotify).
 *
 * The watch is on the inode, so it works across containers that share the file system, and needs no
 * file beside the object. It is added through /proc/thread-self/fd, because the name may belong to
 * another object by now. Notices stay in the descriptor until they are cleared: nothing that
 * happens between a poll and a sleep is lost. */
#include <errno.h>
#include <stdio.h>
#include <sys/inotify.h>

#include "lib/base/fail.h"
#include "lib/os/linux/calls.h"

/* The kernel takes 8 to 20 ms, more on a busy machine, to release a watch. When a process is
 * killed, its descriptors are closed one after another, from the highest number down. So the file
 * gets a higher number than the watch: the file's locks, by which peers see the death, do not wait
 * for the watch. (The kernel does not promise this order; without it the death is reported
 * late.) */
static void raise_above(leat__file *file, leat__file watch) {
    leat__file higher = *file < watch ? leat__linux_duplicate(*file, watch + 1) : -1;
    if (higher >= 0) {
        leat__os_file_close(*file);
        *file = higher;
    }
}

/* Two limits have the same error: a descriptor of another kind shows which it was. */
static int fail_to_open(int error) {
    leat__file other = error == EMFILE ? leat__linux_event() : LEAT__NO_FILE;
    if (other < 0)
        return leat__fail_system(error, "cannot make a watch");
    leat__os_file_close(other);
    return leat__fail_system(error,
                             "this user has no further watch (fs.inotify.max_user_instances)");
}

int leat__os_watch_open_many(leat__file *watch) {
    leat__file made = leat__linux_inotify(IN_NONBLOCK);
    if (made < 0)
        return fail_to_open(errno);
    *watch = made;
    return LEAT_OK;
}

static int fail_to_add(int error) {
    if (error == ENOSPC)
        return leat__fail(LEAT_ELIMIT, error,
                          "this user can watch no further file (fs.inotify.max_user_watches)");
    if (error == ENOENT)
        return leat__fail(LEAT_ENOTSUP, error, "files are watched by way of /proc: not there");
    return leat__fail_system(error, "cannot watch the file");
}

int leat__os_watch_add(leat__file watch, leat__file *file, enum leat__touch touch, int *number) {
    char self[64];
    snprintf(self, sizeof self, "/proc/thread-self/fd/%d", *file);
    uint32_t events = IN_CLOSE_WRITE | (touch == LEAT__TOUCH_READ ? IN_ACCESS : IN_MODIFY);
    *number = inotify_add_watch(watch, self, events | IN_MASK_ADD);
    if (*number < 0)
        return fail_to_add(errno);
    raise_above(file, watch);
    return LEAT_OK;
}

void leat__os_watch_remove(leat__file watch, int number) {
    (void)inotify_rm_watch(watch, number);
}

static struct leat__notice notice_of(const struct inotify_event *event) {
    bool lost = (event->mask & IN_Q_OVERFLOW) != 0;
    return (struct leat__notice){
        .number = lost ? -1 : event->wd,
        .closed = lost || (event->mask & IN_CLOSE_WRITE) != 0,
        .touch = (event->mask & IN_ACCESS) != 0 ? LEAT__TOUCH_READ : LEAT__TOUCH_WRITE,
    };
}

/* Where reading fails for no known reason, notices may be lost. */
size_t leat__os_watch_take(leat__file watch, struct leat__notice notices[], size_t max) {
    /* notices of an open file have no names */
    _Alignas(struct inotify_event) char events[64 * sizeof(struct inotify_event)];
    size_t count = 0, room = max < 64 ? max : 64;
    unsigned interrupted = 0;
    while (count == 0) { /* each pass: a signal came, or files were removed from the watch */
        ssize_t size = leat__linux_read(watch, events, room * sizeof(struct inotify_event));
        if (size < 0 && leat__linux_again(&interrupted))
            continue;
        if (size < 0 && errno != EAGAIN)
            notices[count++] = (struct leat__notice){.number = -1, .closed = true};
        if (size <= 0)
            break;
        for (ssize_t at = 0; at < size;) {
            const struct inotify_event *event = (const void *)(events + at);
            if ((event->mask & IN_IGNORED) == 0)
                notices[count++] = notice_of(event);
            at += (ssize_t)(sizeof *event + event->len);
        }
    }
    return count;
}
