/* lib/os/linux/watch.c - watches: the kernel's word that somebody touched a file or let go of it (inotify).
 *
 * The watch is on the inode, so it works across containers that share the file system, and needs no file beside the object. It is
 * put on through /proc/self/fd, because the name may belong to another object by now. What is noticed stays in the descriptor until
 * it is cleared: nothing that happens between a look and a sleep is lost. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "lib/os.h"

/* Dissolving a watch takes the kernel 8 to 20 ms, more on a busy machine. When a process is killed its descriptors are let go of one
 * after another, from the highest number down: so that the file's locks, by which others see the death, do not wait for that, the
 * file gets a higher number than the watch. (The order is the kernel's habit, not a promise; without it others are told late.) */
static void raise_above(leat__file *file, leat__file watch) {
    leat__file higher = *file < watch ? fcntl(*file, F_DUPFD_CLOEXEC, watch + 1) : -1;
    if (higher >= 0) {
        close(*file);
        *file = higher;
    }
}

leat__file leat__os_watch_open(leat__file *file, enum leat__touch touch) {
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", *file);
    leat__file watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    uint32_t events = IN_CLOSE_WRITE | (touch == LEAT__TOUCH_READ ? IN_ACCESS : IN_MODIFY);
    if (watch >= 0 && inotify_add_watch(watch, self, events) < 0) {
        close(watch);
        return LEAT__NO_FILE;
    }
    if (watch >= 0)
        raise_above(file, watch);
    return watch;
}

bool leat__os_watch_clear(leat__file watch) {
    _Alignas(struct inotify_event) char events[64 * sizeof(struct inotify_event)]; /* an open file's have no names */
    bool closed = false;
    for (ssize_t size; (size = read(watch, events, sizeof events)) > 0;)
        for (ssize_t at = 0; at < size;) {
            const struct inotify_event *event = (const void *)(events + at);
            closed = closed || (event->mask & (IN_CLOSE_WRITE | IN_Q_OVERFLOW)) != 0;
            at += (ssize_t)(sizeof *event + event->len);
        }
    return closed;
}
