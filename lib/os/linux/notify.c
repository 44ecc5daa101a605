/* lib/os/linux/notify.c - notify sockets: datagram sockets that receive tokens, for threads that
 * wait in poll or epoll.
 *
 * A notify socket is in the local directory, because other processes have to find it by its name
 * (an eventfd has none). It is no named pipe: from a pipe another process can read tokens away, or
 * write a byte that shifts all tokens behind it. Only its owner reads from a socket, and a datagram
 * arrives whole. A peer that cannot send to it (it is full, has another name, belongs to another
 * user) touches the object's file.
 *
 * A dead owner's socket refuses connections: so sockets that killed processes left behind are
 * recognised without a lock. A sweep that finds a socket between its making and its binding takes
 * its owner for dead and removes the name. The owner notices that it has lost its name, and tries
 * another name or goes on without one.
 *
 * The paths of sockets have 107 bytes at most, and lead through /proc to the directory's
 * descriptor. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <sys/un.h>

#include "lib/base/fail.h"
#include "lib/os/linux/calls.h"
#include "lib/os/linux/timespec.h"

#define PREFIX ".leat-notify-"
#define NAME_SIZE 32
#define NUMBERS_TRIED 16

static void name_of(uint64_t number, char name[NAME_SIZE]) {
    snprintf(name, NAME_SIZE, PREFIX "%016llx", (unsigned long long)number);
}

static struct sockaddr_un address_of(leat__file directory, const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/thread-self/fd/%d/%s", directory,
             name);
    return address;
}

static leat__file make_socket(void) {
    return leat__linux_socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK);
}

/* --- Owners ----------------------------------------------------------------------------------- */

/* Whether the name belongs to this notify socket; LEAT__NO: to something else or nothing. */
static enum leat__answer names(leat__file directory, const char *name,
                               const struct leat__notify *notify) {
    struct stat status;
    if (leat__linux_status(directory, name, AT_SYMLINK_NOFOLLOW, &status) != 0)
        return errno == ENOENT ? LEAT__NO : LEAT__UNKNOWN;
    return status.st_ino == notify->inode && status.st_dev == notify->device ? LEAT__YES : LEAT__NO;
}

/* The mode of a socket's name is what fchmod gave the socket, without what the umask forbids. */
static int permit(leat__file directory, const char *name, struct leat__notify *notify) {
    struct stat status;
    if (fchmodat(directory, name, 0600, 0) != 0 ||
        leat__linux_status(directory, name, AT_SYMLINK_NOFOLLOW, &status) != 0)
        return errno;
    notify->device = status.st_dev;
    notify->inode = status.st_ino;
    return 0;
}

/* 0 or an error; EADDRINUSE: the number is taken. */
static int give_name(leat__file directory, struct leat__notify *notify) {
    char name[NAME_SIZE];
    if (leat__linux_getrandom(&notify->number, sizeof notify->number, GRND_NONBLOCK) !=
        (ssize_t)sizeof notify->number)
        notify->number = leat__os_now() * UINT64_C(0x9e3779b97f4a7c15) + leat__os_process();
    notify->number |= notify->number == 0;
    name_of(notify->number, name);
    struct sockaddr_un address = address_of(directory, name);
    if (fchmod(notify->file, 0600) != 0 ||
        bind(notify->file, (const struct sockaddr *)&address, sizeof address) != 0)
        return errno;
    int error = permit(directory, name, notify);
    if (error != 0)
        (void)unlinkat(directory, name, 0);
    return error;
}

/* Sockets are forbidden to the process, or not possible in the directory, or there is no /proc:
 * then peers touch files. */
static bool does_without(bool has_socket, int error) {
    return error == EPERM || error == EOPNOTSUPP || error == ENOENT || error == ENOSYS ||
           error == EAFNOSUPPORT || error == EPROTONOSUPPORT || (error == EACCES && !has_socket);
}

int leat__os_notify_create(leat__file directory, struct leat__notify *notify) {
    int error = EADDRINUSE;
    bool has_socket = true;
    for (int tries = 0; tries < NUMBERS_TRIED && error == EADDRINUSE; tries++) {
        notify->file = make_socket();
        has_socket = notify->file >= 0;
        error = has_socket ? give_name(directory, notify) : errno;
        if (error == 0)
            return LEAT_OK;
        leat__os_file_close(notify->file);
    }
    *notify = (struct leat__notify){.file = LEAT__NO_FILE};
    return does_without(has_socket, error)
               ? LEAT_OK
               : leat__fail_system(error, "cannot make a socket to be woken by");
}

bool leat__os_notify_watch(leat__file directory, const struct leat__notify *notify,
                           leat__file watch, int *number) {
    char name[NAME_SIZE];
    name_of(notify->number, name);
    struct sockaddr_un address = address_of(directory, name);
    *number = inotify_add_watch(watch, address.sun_path,
                                IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF | IN_DONT_FOLLOW);
    return *number >= 0;
}

bool leat__os_notify_is_found(leat__file directory, const struct leat__notify *notify) {
    char name[NAME_SIZE];
    name_of(notify->number, name);
    return names(directory, name, notify) == LEAT__YES;
}

void leat__os_notify_remove(leat__file directory, const struct leat__notify *notify) {
    char name[NAME_SIZE];
    name_of(notify->number, name);
    if (notify->file != LEAT__NO_FILE && names(directory, name, notify) != LEAT__NO)
        (void)unlinkat(directory, name, 0);
}

/* A datagram of another size counts as an unknown token. */
size_t leat__os_notify_take(leat__file notify, uint64_t tokens[LEAT__TOKENS]) {
    struct {
        uint64_t token;
        char more;
    } data[LEAT__TOKENS];
    struct iovec places[LEAT__TOKENS];
    struct mmsghdr messages[LEAT__TOKENS] = {0};
    for (unsigned i = 0; i < LEAT__TOKENS; i++) {
        places[i] = (struct iovec){&data[i], sizeof data[i].token + 1};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &places[i], .msg_iovlen = 1};
    }
    int count = leat__linux_recvmmsg(notify, messages, LEAT__TOKENS, MSG_DONTWAIT);
    for (int i = 0; i < count; i++)
        tokens[i] = messages[i].msg_len == sizeof data[i].token ? data[i].token : LEAT__NO_TOKEN;
    if (count >= 0)
        return (size_t)count;
    tokens[0] = LEAT__NO_TOKEN; /* what could not be read may have been anything */
    return errno != EAGAIN && errno != EINTR;
}

/* --- Others ----------------------------------------------------------------------------------- */

leat__file leat__os_notify_open(leat__file directory, uint64_t number) {
    char name[NAME_SIZE];
    name_of(number, name);
    struct sockaddr_un address = address_of(directory, name);
    leat__file made = make_socket();
    if (made < 0)
        return LEAT__NO_FILE;
    if (leat__linux_connect(made, (const struct sockaddr *)&address, sizeof address) == 0)
        return made;
    leat__os_file_close(made);
    return LEAT__NO_FILE;
}

bool leat__os_notify_send(leat__file notify, uint64_t token) {
    ssize_t sent;
    unsigned interrupted = 0;
    do
        sent = leat__linux_send(notify, &token, sizeof token, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && leat__linux_again(&interrupted));
    return sent == (ssize_t)sizeof token;
}

/* Whether the socket's owner is dead for certain. */
static bool is_abandoned(leat__file directory, const char *file_name) {
    struct sockaddr_un address = address_of(directory, file_name);
    leat__file probe = make_socket();
    if (probe < 0)
        return false;
    bool refused =
        leat__linux_connect(probe, (const struct sockaddr *)&address, sizeof address) != 0 &&
        errno == ECONNREFUSED;
    leat__os_file_close(probe);
    return refused;
}

bool leat__os_notify_sweep(leat__file directory, const char *file_name,
                           struct leat__file_status *status) {
    struct stat raw;
    if (strncmp(file_name, PREFIX, strlen(PREFIX)) != 0 || strlen(file_name) >= NAME_SIZE ||
        leat__linux_status(directory, file_name, AT_SYMLINK_NOFOLLOW, &raw) != 0 ||
        !S_ISSOCK(raw.st_mode) || !is_abandoned(directory, file_name))
        return false;
    *status = (struct leat__file_status){
        .device = raw.st_dev,
        .inode = raw.st_ino,
        .owner = (uint32_t)raw.st_uid,
        .permissions = (uint32_t)raw.st_mode & 0777,
    };
    return unlinkat(directory, file_name, 0) == 0;
}

/* --- Several descriptors as one --------------------------------------------------------------- */

int leat__os_poll_open(const leat__file files[], size_t count, leat__file *poll) {
    leat__file made = leat__linux_epoll();
    if (made < 0)
        return leat__fail_system(errno, "cannot make a descriptor to poll");
    for (size_t i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN};
        if (files[i] != LEAT__NO_FILE && epoll_ctl(made, EPOLL_CTL_ADD, files[i], &event) != 0) {
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

bool leat__os_timer_set(leat__file timer, uint64_t at_ns) {
    struct itimerspec when = {.it_value = leat__timespec_of(at_ns)};
    return timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL) == 0;
}

int leat__os_flag_open(leat__file *flag) {
    leat__file made = leat__linux_event();
    if (made < 0)
        return leat__fail_system(errno, "cannot make a descriptor to poll");
    *flag = made;
    return LEAT_OK;
}

bool leat__os_flag_raise(leat__file flag) {
    const uint64_t one = 1;
    ssize_t written;
    unsigned interrupted = 0;
    do
        written = leat__linux_write(flag, &one, sizeof one);
    while (written < 0 && leat__linux_again(&interrupted));
    return written == (ssize_t)sizeof one;
}

void leat__os_flag_lower(leat__file flag) {
    uint64_t count;
    unsigned interrupted = 0;
    while (leat__linux_read(flag, &count, sizeof count) < 0 && leat__linux_again(&interrupted))
        ;
}
