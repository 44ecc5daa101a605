/* lib/os/linux/bell.c - bells: named pipes into which tokens are dropped, for those who wait in poll or epoll.
 *
 * A pipe and no eventfd, because others have to find it by its name. Everybody opens it for reading too: then a write never raises SIGPIPE,
 * whoever has left. Its owner holds a lock on it for as long as it lives, so that what killed processes left behind is known. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "lib/fail.h"
#include "lib/os/linux/calls.h"
#include "lib/os/linux/timespec.h"

#define PREFIX ".leat-bell-"
#define NAME_SIZE 32

static void name_of(uint64_t number, char name[NAME_SIZE]) {
    snprintf(name, NAME_SIZE, PREFIX "%016llx", (unsigned long long)number);
}

static leat__file open_pipe(leat__file directory, const char *name) {
    struct stat status;
    leat__file opened = leat__linux_openat(directory, name, O_RDWR | O_NONBLOCK | O_NOFOLLOW, 0);
    if (opened >= 0 && (fstat(opened, &status) != 0 || !S_ISFIFO(status.st_mode))) {
        leat__os_file_close(opened);
        return LEAT__NO_FILE;
    }
    return opened >= 0 ? opened : LEAT__NO_FILE;
}

/* Whether it is ours for good: leat__os_bell_sweep can have taken it for a dead one's before it was locked. */
static bool lock_pipe(leat__file file) {
    struct stat status;
    return leat__os_lock(file, LEAT__LOCK_USE, LEAT__EXCLUSIVE) == LEAT_OK && fstat(file, &status) == 0 && status.st_nlink > 0;
}

int leat__os_bell_create(leat__file directory, uint64_t *number, leat__file *bell) {
    for (;;) { /* each turn: the number was taken, or the pipe was swept away at once */
        char name[NAME_SIZE];
        if (leat__linux_getrandom(number, sizeof *number, 0) != (ssize_t)sizeof *number)
            return leat__fail_system(errno, "no random number");
        name_of(*number, name);
        if (mkfifoat(directory, name, 0600) != 0 && errno != EEXIST)
            return leat__fail_system(errno, "cannot make the pipe %s", name);
        *bell = open_pipe(directory, name);
        if (*bell != LEAT__NO_FILE && lock_pipe(*bell))
            return LEAT_OK;
        int error = errno;
        leat__os_file_close(*bell);
        if (*bell == LEAT__NO_FILE && error != ENOENT)
            return leat__fail_system(error, "cannot open the pipe %s", name);
    }
}

void leat__os_bell_remove(leat__file directory, uint64_t number) {
    char name[NAME_SIZE];
    name_of(number, name);
    (void)unlinkat(directory, name, 0);
}

leat__file leat__os_bell_open(leat__file directory, uint64_t number) {
    char name[NAME_SIZE];
    name_of(number, name);
    return open_pipe(directory, name);
}

bool leat__os_bell_ring(leat__file bell, uint64_t token) {
    ssize_t written;
    do
        written = leat__linux_write(bell, &token, sizeof token); /* all or nothing: less than PIPE_BUF */
    while (written < 0 && errno == EINTR);
    return written == (ssize_t)sizeof token;
}

size_t leat__os_bell_take(leat__file bell, uint64_t tokens[], size_t max) {
    ssize_t size = leat__linux_read(bell, tokens, max * sizeof *tokens);
    return size > 0 ? (size_t)size / sizeof *tokens : 0;
}

bool leat__os_bell_sweep(leat__file directory, const char *file_name, struct leat__file_status *status) {
    if (strncmp(file_name, PREFIX, strlen(PREFIX)) != 0)
        return false;
    leat__file file = open_pipe(directory, file_name);
    bool swept = file != LEAT__NO_FILE && lock_pipe(file) && leat__os_file_status(file, status) == LEAT_OK &&
                 unlinkat(directory, file_name, 0) == 0;
    leat__os_file_close(file);
    return swept;
}

/* --- Several descriptors as one ---------------------------------------------------------------------------------------- */

int leat__os_poll_open(const leat__file files[], size_t count, leat__file *poll) {
    leat__file made = leat__linux_epoll();
    if (made < 0)
        return leat__fail_system(errno, "cannot make a descriptor to poll");
    for (size_t i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN};
        if (epoll_ctl(made, EPOLL_CTL_ADD, files[i], &event) != 0) {
            int error = errno;
            leat__os_file_close(made);
            return leat__fail_system(error, "cannot poll a descriptor");
        }
    }
    *poll = made;
    return LEAT_OK;
}

int leat__os_timer_open(leat__file *timer) {
    leat__file made = leat__linux_timer();
    if (made < 0)
        return leat__fail_system(errno, "cannot make a timer");
    *timer = made;
    return LEAT_OK;
}

void leat__os_timer_set(leat__file timer, uint64_t at_ns) {
    struct itimerspec when = {.it_value = leat__timespec_of(at_ns)};
    (void)timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}
