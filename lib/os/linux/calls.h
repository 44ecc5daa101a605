/* lib/os/linux/calls.h - how lib/os/linux makes the system calls that need care.
 *
 * Descriptors. Every descriptor made here is closed on exec and has a number above 2: a program
 * that runs with its standard streams closed would otherwise print into an object. The functions
 * that make an *owned* descriptor also put it on the list that a forked child closes (fork.c), in
 * one step that no fork can divide. A descriptor that carries a lock is always owned.
 *
 * Cancellation. Several of these calls are cancellation points of POSIX. A thread that was
 * cancelled in one of them would leave locks held and descriptors open, so they run with
 * cancellation disabled. The only place where a thread of leat acts on a cancellation is
 * leat__os_cancellation_point.
 *
 * The functions return what the system call returns, with errno. */
#ifndef LEAT_LIB_OS_LINUX_CALLS_H
#define LEAT_LIB_OS_LINUX_CALLS_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/os/os.h"

/* Whether a call that failed is made again because a signal interrupted it; `interrupted` counts
 * from 0. A filter may always return EINTR: then it is an error like others. */
#define LEAT__INTERRUPTIONS 100
static inline bool leat__linux_again(unsigned *interrupted) {
    return errno == EINTR && ++*interrupted < LEAT__INTERRUPTIONS;
}

/* Owned descriptors; -1 and errno. */
int leat__linux_openat(int directory, const char *path, int flags, mode_t mode);
int leat__linux_duplicate(int descriptor, int least);
int leat__linux_memfd(const char *name, unsigned flags);
int leat__linux_inotify(int flags);
int leat__linux_epoll(void);
int leat__linux_timer(void);
int leat__linux_event(void);
int leat__linux_socket(int domain, int type);

/* The two ends of a pipe, neither of which blocks; owned. False when there is none. */
bool leat__linux_pipe(int ends[2]);

/* A descriptor that is not owned: it carries no lock, or is the caller's. */
int leat__linux_open_plain(int directory, const char *path, int flags);

/* The same for reading, as the C library's streams. Closed by fclose, closedir. NULL and errno. */
FILE *leat__linux_open_text(const char *path);
DIR *leat__linux_open_names(int directory, const char *path);

/* Moves a descriptor above the standard streams. Takes and returns errors too. */
int leat__linux_raise(int descriptor);

/* The path of an entry of the calling thread's in /proc, and that of a descriptor: both also where
 * the process's first thread has ended. They return `path`. */
#define LEAT__PROC_PATH 64
const char *leat__linux_proc(char path[LEAT__PROC_PATH], const char *entry);
const char *leat__linux_proc_descriptor(char path[LEAT__PROC_PATH], int descriptor);

/* Takes a descriptor off the list; returns whether it was on it. */
bool leat__linux_disown(int descriptor);

/* Opens a file again for reading and writing, whatever its permissions, if it is a temporary object
 * of this user: adds the owner's bits for that moment. A crash in between leaves them. -1. */
int leat__linux_open_permitted(int file);

/* fsetxattr(2), also where the permissions of a file of this user's forbid it for the moment. */
int leat__linux_set_attribute(int file, const char *name, const void *value, size_t size);

/* The extended attribute for leat__os_file_note_write. */
#define LEAT__NOTE "user.leat.type"

/* The kernel's own fstat(2), whatever is preloaded (fakeroot). */
int leat__linux_status(int directory, const char *path, int flags, struct stat *status);

/* A copy of the call's result, errno included, made while the thread cannot be cancelled. */
#define LEAT__UNCANCELLED(type, name, parameters, call)                                            \
    static inline type leat__linux_##name parameters {                                             \
        int before;                                                                                \
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);                                   \
        type returned = call;                                                                      \
        pthread_setcancelstate(before, NULL);                                                      \
        return returned;                                                                           \
    }

LEAT__UNCANCELLED(int, close, (int file), close(file))
LEAT__UNCANCELLED(int, control, (int file, int command, void *argument),
                  fcntl(file, command, argument))
LEAT__UNCANCELLED(ssize_t, read, (int file, void *buffer, size_t size), read(file, buffer, size))
LEAT__UNCANCELLED(ssize_t, write, (int file, const void *data, size_t size),
                  write(file, data, size))
LEAT__UNCANCELLED(ssize_t, pread, (int file, void *buffer, size_t size, off_t at),
                  pread(file, buffer, size, at))
LEAT__UNCANCELLED(ssize_t, pwrite, (int file, const void *data, size_t size, off_t at),
                  pwrite(file, data, size, at))
LEAT__UNCANCELLED(int, fallocate, (int file, int mode, off_t at, off_t size),
                  fallocate(file, mode, at, size))
LEAT__UNCANCELLED(int, posix_fallocate, (int file, off_t at, off_t size),
                  posix_fallocate(file, at, size))
LEAT__UNCANCELLED(int, fdatasync, (int file), fdatasync(file))
LEAT__UNCANCELLED(int, sync_file_range, (int file, off_t at, off_t size),
                  sync_file_range(file, at, size, SYNC_FILE_RANGE_WRITE))
LEAT__UNCANCELLED(int, msync, (void *address, size_t size), msync(address, size, MS_SYNC))
LEAT__UNCANCELLED(int, poll, (struct pollfd * files, nfds_t count, const struct timespec *limit),
                  ppoll(files, count, limit, NULL))
LEAT__UNCANCELLED(ssize_t, sendmsg, (int file, const struct msghdr *message, int flags),
                  sendmsg(file, message, flags))
LEAT__UNCANCELLED(ssize_t, recvmsg, (int file, struct msghdr *message, int flags),
                  recvmsg(file, message, flags))
LEAT__UNCANCELLED(int, connect, (int file, const struct sockaddr *address, socklen_t size),
                  connect(file, address, size))
LEAT__UNCANCELLED(ssize_t, send, (int file, const void *data, size_t size, int flags),
                  send(file, data, size, flags))
LEAT__UNCANCELLED(int, recvmmsg, (int file, struct mmsghdr *messages, unsigned count, int flags),
                  recvmmsg(file, messages, count, flags, NULL))
LEAT__UNCANCELLED(int, sleep_until, (const struct timespec *until),
                  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, until, NULL))
LEAT__UNCANCELLED(int, take_signal, (const sigset_t *set),
                  sigtimedwait(set, NULL, &(const struct timespec){0, 0}))
LEAT__UNCANCELLED(ssize_t, getrandom, (void *buffer, size_t size, unsigned flags),
                  getrandom(buffer, size, flags))

#endif
