/* lib/os/linux/descriptor.c - files of programs: by path, by descriptor, over a socket; and memory
 * without a name.
 *
 * The library's open file is never that of a descriptor which a program passes in or gets, where
 * the system permits opening the file again: locks belong to open files, and would otherwise be
 * shared with every process that has a copy of the descriptor. Where the system does not permit it,
 * locks that the shared open file already has are another handle's, and stay as they are. Every
 * descriptor made here is closed on exec, except those that are made to be inherited.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "lib/base/fail.h"
#include "lib/os/linux/calls.h"
#include "lib/os/linux/space.h"
#include "lib/os/linux/timespec.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#endif

/* --- By path ---------------------------------------------------------------------------------- */

int leat__os_path_directory(const char *path, leat__file *directory, const char **file_name) {
    char parent[4096];
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - path);
    if (length >= sizeof parent)
        return leat__fail_system(ENAMETOOLONG, "the path has %zu bytes", strlen(path));
    memcpy(parent, path, length);
    parent[length] = 0;
    leat__file opened = leat__linux_open_plain(AT_FDCWD,
                                               slash == NULL ? "."
                                               : length == 0 ? "/"
                                                             : parent,
                                               O_RDONLY | O_DIRECTORY);
    if (opened < 0)
        return leat__fail_system(errno, "cannot open the directory of the file");
    *directory = opened;
    *file_name = slash == NULL ? path : slash + 1;
    return LEAT_OK;
}

static int check_regular(leat__file file) {
    struct stat status;
    if (fstat(file, &status) != 0)
        return leat__fail_system(errno, "cannot get the file's status");
    if (!S_ISREG(status.st_mode))
        return leat__fail(LEAT_EKIND, 0, "it is a %s, not a regular file",
                          S_ISDIR(status.st_mode)    ? "directory"
                          : S_ISFIFO(status.st_mode) ? "pipe"
                          : S_ISSOCK(status.st_mode) ? "socket"
                                                     : "device or the like");
    return LEAT_OK;
}

int leat__os_path_open(const char *path, bool writable, leat__file *file) {
    leat__file opened = leat__linux_openat(
        AT_FDCWD, path, (writable ? O_RDWR : O_RDONLY) | O_NONBLOCK | O_NOCTTY, 0);
    if (opened < 0 && (errno == EISDIR || errno == ENXIO || errno == ENODEV))
        return leat__fail(LEAT_EKIND, errno, "it is not a regular file");
    if (opened < 0)
        return leat__fail_system(errno, writable ? "cannot open for reading and writing"
                                                 : "cannot open for reading");
    int result = check_regular(opened);
    if (result == LEAT_OK)
        *file = opened;
    else
        leat__os_file_close(opened);
    return result;
}

int leat__os_file_create_visible(leat__file directory, const char *file_name, uint32_t permissions,
                                 uint64_t size, leat__file *file) {
    leat__file made = leat__linux_openat(directory, file_name, O_CREAT | O_EXCL | O_RDWR, 0600);
    if (made < 0)
        return leat__fail_system(errno, "cannot create the file");
    int result = leat__os_file_permit(made, permissions, false);
    if (result == LEAT_OK)
        result = leat__linux_reserve(made, size);
    if (result != LEAT_OK) {
        (void)unlinkat(directory, file_name, 0);
        leat__os_file_close(made);
    } else
        *file = made;
    return result;
}

/* --- Without a name --------------------------------------------------------------------------- */

int leat__os_file_create_anonymous(uint32_t permissions, uint64_t size, leat__file *file) {
    leat__file made = leat__linux_memfd("leat", MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (made < 0 && errno == EINVAL)
        made = leat__linux_memfd("leat", MFD_ALLOW_SEALING);
    if (made < 0)
        return leat__fail_system(errno, "cannot create memory without a name");
    int result = leat__os_file_permit(made, permissions, false);
    if (result == LEAT_OK)
        result = leat__linux_reserve(made, size);
    if (result == LEAT_OK && fcntl(made, F_ADD_SEALS, F_SEAL_SHRINK) != 0)
        result = leat__fail_system(errno, "cannot seal the memory");
    if (result == LEAT_OK)
        *file = made;
    else
        leat__os_file_close(made);
    return result;
}

bool leat__os_file_sealed(leat__file file) {
    int seals = fcntl(file, F_GET_SEALS);
    return seals >= 0 && (seals & F_SEAL_SHRINK) != 0;
}

/* --- By descriptor ---------------------------------------------------------------------------- */

static int check_mode(int descriptor, bool writable) {
    int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0)
        return leat__fail(LEAT_EINVAL, errno, "descriptor %d is not open", descriptor);
    int result = (flags & O_PATH) != 0 ? LEAT_OK : check_regular(descriptor);
    if (result != LEAT_OK)
        return result;
    if ((flags & O_PATH) != 0 || (flags & O_ACCMODE) == O_WRONLY)
        return leat__fail(LEAT_EACCES, 0, "descriptor %d is not open for reading", descriptor);
    if (writable && (flags & O_ACCMODE) != O_RDWR)
        return leat__fail(LEAT_EACCES, 0, "descriptor %d is not open for writing", descriptor);
    return LEAT_OK;
}

/* Whether the open file has locks. Unknown without /proc. */
static enum leat__answer has_locks(leat__file file) {
    char path[LEAT__PROC_PATH], entry[32], line[128];
    snprintf(entry, sizeof entry, "fdinfo/%d", file);
    int cancel = leat__os_cancellation_hold();
    FILE *info = leat__linux_open_text(leat__linux_proc(path, entry));
    enum leat__answer answer = info != NULL ? LEAT__NO : LEAT__UNKNOWN;
    while (answer == LEAT__NO && fgets(line, sizeof line, info) != NULL)
        if (strncmp(line, "lock:", 5) == 0)
            answer = LEAT__YES;
    if (answer == LEAT__NO && ferror(info) != 0)
        answer = LEAT__UNKNOWN;
    if (info != NULL)
        fclose(info);
    leat__os_cancellation_release(cancel);
    return answer;
}

int leat__os_descriptor_take(int descriptor, bool writable, bool *shared, leat__file *file) {
    bool may_share = shared != NULL;
    int result = check_mode(descriptor, writable);
    if (result != LEAT_OK)
        return result;
    leat__file own = leat__os_file_reopen(descriptor, writable);
    if (own == LEAT__NO_FILE && errno != EMFILE && errno != ENFILE && !may_share)
        return leat__fail(LEAT_EACCES, errno,
                          "the system does not let this user open the file again");
    bool again = own != LEAT__NO_FILE;
    if (!again && (errno == EMFILE || errno == ENFILE))
        return leat__fail_system(errno, "no further descriptor");
    if (!again)
        own = leat__linux_duplicate(descriptor, STDERR_FILENO + 1);
    if (own < 0)
        return leat__fail_system(errno, "cannot duplicate descriptor %d", descriptor);
    if (may_share)
        *shared = !again && has_locks(own) != LEAT__NO;
    *file = own;
    return LEAT_OK;
}

int leat__os_descriptor_give(leat__file file, bool writable, bool inherited, bool may_share,
                             int *descriptor) {
    int given = leat__os_file_reopen(file, writable);
    if (given == LEAT__NO_FILE && errno != EMFILE && errno != ENFILE) {
        if (!may_share || (fcntl(file, F_GETFL) & O_ACCMODE) != (writable ? O_RDWR : O_RDONLY))
            return leat__fail(LEAT_EACCES, EACCES,
                              "the system does not let this user open the file again");
        given = leat__linux_duplicate(file, STDERR_FILENO + 1);
    }
    if (given < 0)
        return leat__fail_system(errno, "no further descriptor");
    if (inherited && fcntl(given, F_SETFD, 0) != 0) {
        int error = errno;
        leat__os_file_close(given);
        return leat__fail_system(error, "cannot make the descriptor inheritable");
    }
    (void)leat__linux_disown(given); /* it is the caller's from now on */
    *descriptor = given;
    return LEAT_OK;
}

/* --- Over a socket ---------------------------------------------------------------------------- */

/* Other sockets would drop the descriptor without an error. */
static int check_socket(int descriptor) {
    int domain = 0;
    socklen_t size = sizeof domain;
    if (getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0) {
        if (errno == EBADF || errno == ENOTSOCK)
            return leat__fail(LEAT_EINVAL, errno, "descriptor %d is no socket", descriptor);
        return leat__fail_system(errno, "cannot ask what socket descriptor %d is", descriptor);
    }
    if (domain != AF_UNIX)
        return leat__fail(LEAT_EINVAL, 0, "descriptor %d is not a unix socket", descriptor);
    return LEAT_OK;
}

#define SLICE_NS UINT64_C(100000000) /* a cancelled thread sleeps no longer */

static void leave_nothing(void *context) {
    (void)context;
}

/* Sleeps for at most a slice. The thread can be cancelled after it. */
static int wait_for(int descriptor, short events, uint64_t deadline_ns) {
    if (deadline_ns == LEAT_NOW)
        return LEAT_EAGAIN;
    uint64_t now = leat__os_now();
    if (now >= deadline_ns)
        return LEAT_ETIMEDOUT;
    uint64_t rest = deadline_ns - now;
    struct timespec limit = leat__timespec_of(rest < SLICE_NS ? rest : SLICE_NS);
    struct pollfd wait = {.fd = descriptor, .events = events};
    if (leat__linux_poll(&wait, 1, &limit) < 0 && errno != EINTR)
        return leat__fail_system(errno, "cannot wait for the socket");
    leat__os_cancellation_point(leave_nothing, NULL);
    return LEAT_OK;
}

/* What an error of the socket means; LEAT_OK: try again. */
static int after_error(int error, int descriptor, short events, uint64_t deadline_ns) {
    switch (error) {
    case EINTR: /* by a filter: the calls do not wait */
    case EAGAIN:
        return wait_for(descriptor, events, deadline_ns);
    case EPIPE:
    case ECONNRESET:
    case ECONNREFUSED:
        return LEAT_ECLOSED;
    case ENOTCONN:
    case EDESTADDRREQ:
    case EINVAL:
        return leat__fail(LEAT_EINVAL, error, "the socket is not connected");
    case ETOOMANYREFS:
    case ENOBUFS:
        return leat__fail(LEAT_ELIMIT, error,
                          "too many descriptors are under way between processes");
    default:
        return leat__fail_system(error, "the socket cannot be used");
    }
}

int leat__os_descriptor_send(int socket, int descriptor, uint64_t deadline_ns) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    memset(&control, 0, sizeof control);
    char byte = 'R';
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    control.header = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(&control.header), &descriptor, sizeof descriptor);
    int result = check_socket(socket);
    while (result == LEAT_OK) {
        if (leat__linux_sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
            return LEAT_OK;
        result = after_error(errno, socket, POLLOUT, deadline_ns);
    }
    return result;
}

/* Keeps the first of the descriptors that came, and closes the others; returns how many came. */
static size_t take_first(struct msghdr *message, int *first) {
    size_t count = 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL;
         part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        size_t here = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < here; i++, count++) {
            int descriptor;
            memcpy(&descriptor, CMSG_DATA(part) + i * sizeof descriptor, sizeof descriptor);
            if (count == 0)
                *first = leat__linux_raise(descriptor);
            else
                leat__linux_close(descriptor);
        }
    }
    return count;
}

static int examine(ssize_t got, struct msghdr *message, int *descriptor) {
    int first = LEAT__NO_FILE;
    size_t count = take_first(message, &first);
    bool more = (message->msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0;
    if (got == 1 && count == 1 && !more) {
        *descriptor = first;
        return LEAT_OK;
    }
    leat__os_file_close(first);
    if (got == 0)
        return LEAT_ECLOSED;
    if (count == 0 && (message->msg_flags & MSG_CTRUNC) != 0)
        return leat__fail(LEAT_ELIMIT, EMFILE,
                          "no further descriptor: the one that was sent is lost");
    if (count == 0 && !more)
        return leat__fail(LEAT_EKIND, 0, "a message without a descriptor came, not a region");
    return leat__fail(LEAT_EKIND, 0,
                      "a message with more than one byte and one descriptor came, not a region");
}

int leat__os_descriptor_receive(int socket, int *descriptor, uint64_t deadline_ns) {
    int result = check_socket(socket);
    while (result == LEAT_OK) {
        union {
            struct cmsghdr header;
            char bytes[CMSG_SPACE(4 * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
        } control;
        char byte;
        struct iovec data = {&byte, 1};
        struct msghdr message = {.msg_iov = &data,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof control};
        ssize_t got = leat__linux_recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (got >= 0)
            return examine(got, &message, descriptor);
        result = after_error(errno, socket, POLLIN, deadline_ns);
    }
    return result;
}

/* --- Flushing and notes ----------------------------------------------------------------------- */

int leat__os_file_flush_start(leat__file file, uint64_t offset, uint64_t size) {
    if (leat__linux_sync_file_range(file, (off_t)offset, (off_t)size) != 0)
        return leat__fail_system(errno, "cannot start writing");
    return LEAT_OK;
}

int leat__os_file_flush(leat__file file) {
    unsigned interrupted = 0;
    while (leat__linux_fdatasync(file) != 0)
        if (!leat__linux_again(&interrupted))
            return leat__fail_system(errno, "cannot write to the disk");
    return LEAT_OK;
}

int leat__os_file_note_write(leat__file file, const char *text) {
    if (leat__linux_set_attribute(file, LEAT__NOTE, text, strlen(text)) == 0)
        return LEAT_OK;
    return leat__fail_system(errno, "cannot record the type as an extended attribute");
}

int leat__os_file_note_read(leat__file file, char *text, size_t size) {
    ssize_t length = fgetxattr(file, LEAT__NOTE, text, size - 1);
    if (length < 0 && errno == ENODATA)
        return LEAT_ENOENT; /* not recorded: there is no note */
    if (length < 0 && errno == ERANGE)
        return leat__fail(LEAT_ECORRUPT, ERANGE, "the type recorded with the object is too long");
    /* a filter; a file system without attributes is EOPNOTSUPP */
    if (length < 0 && errno == ENOSYS)
        return leat__fail(LEAT_EACCES, ENOSYS, "this process may not read extended attributes");
    if (length < 0)
        return leat__fail_system(errno, "cannot read the type's extended attribute");
    text[length] = 0;
    return LEAT_OK;
}
