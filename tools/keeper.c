/* keeper.c - see keeper.h. */
#include "keeper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

#define OUT_OF_THE_WAY 100 /* scripts use low descriptors for themselves: `exec 3>file` */
#define LEAVING_MS 20
#define RELEASE 'r'

/* A copy of this process that keeps everything: fork handlers would take the mutex away from it. */
static pid_t copy_process(void) {
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
    return _Fork();
#elif defined(SYS_fork)
    return (pid_t)syscall(SYS_fork);
#else
    return (pid_t)syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);
#endif
}

/* --- In the keeper ---------------------------------------------------------------------------- */

/* Out of reach of what is meant for the command and its terminal, and in nobody's way. */
static void withdraw(void) {
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGALRM};
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_IGN);
    setsid();
    prctl(PR_SET_NAME, "mutex-keeper");
    (void)!chdir("/");
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int stream = 0; nothing >= 0 && stream <= 2; stream++)
        dup2(nothing, stream);
}

/* Returns what was read, 0 at the end. */
static size_t read_some(int descriptor, void *buffer, size_t size) {
    ssize_t got;
    do
        got = read(descriptor, buffer, size);
    while (got < 0 && errno == EINTR);
    return got > 0 ? (size_t)got : 0;
}

static void await_end_of(int descriptor) {
    char ignored[64];
    while (read_some(descriptor, ignored, sizeof ignored) > 0)
        continue;
}

static void await_command(int command) {
    struct pollfd ended = {.fd = command, .events = POLLIN};
    while (poll(&ended, 1, -1) < 0 && errno == EINTR)
        continue;
}

/* Ends with everything that the process holds: then the next one that locks the mutex gets LEAT_EOWNERDEAD. */
static _Noreturn void keep(const struct keeper *keeper, int control) {
    pid_t command;
    char order = 0;
    withdraw();
    if (read_some(control, &command, sizeof command) != sizeof command)
        _exit(0); /* leat ended; a command that it may have started holds the mutex itself */
    int watched = (int)syscall(SYS_pidfd_open, command, 0); /* Linux 5.3; else the command's descriptors have to do */
    if (read_some(control, &order, 1) == 1 && order == RELEASE) {
        await_end_of(keeper->alive[0]);
        (void)!leat_mutex_unlock(keeper->mutex);
        leat_mutex_close(keeper->mutex);
    } else if (watched >= 0)
        await_command(watched);
    _exit(0);
}

/* --- In leat ---------------------------------------------------------------------------------- */

/* Duplicates a descriptor for programs that this one starts. */
static int inheritable(int descriptor) {
    int copy = fcntl(descriptor, F_DUPFD, OUT_OF_THE_WAY);
    return copy >= 0 ? copy : fcntl(descriptor, F_DUPFD, 3);
}

/* Which of this process's descriptors are the handle's: those of the object's file. */
static void find_descriptors(struct keeper *keeper) {
    int given, found[4], count = 0;
    struct stat object, other;
    if (leat_sync_descriptor(leat_mutex_waitable(keeper->mutex), false, &given) != LEAT_OK)
        return; /* without /proc the keeper has to do */
    bool known = fstat(given, &object) == 0;
    close(given);
    DIR *directory = known ? opendir("/proc/self/fd") : NULL;
    if (directory == NULL)
        return;
    for (struct dirent *entry; count < 4 && (entry = readdir(directory)) != NULL;) {
        int descriptor = atoi(entry->d_name); /* 0 for "." and "..": not the object's file */
        if (fstat(descriptor, &other) == 0 && other.st_dev == object.st_dev && other.st_ino == object.st_ino)
            found[count++] = descriptor;
    }
    closedir(directory);
    for (int i = 0; i < count; i++)
        keeper->descriptors[i] = inheritable(found[i]);
}

/* A pipe that tells when the last process that inherited its write end has gone. */
static bool prepare_pipe(struct keeper *keeper) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    keeper->alive[0] = ends[0];
    keeper->alive[1] = inheritable(ends[1]);
    close(ends[1]);
    return keeper->alive[1] >= 0;
}

static void close_one(int *descriptor) {
    if (*descriptor >= 0)
        close(*descriptor);
    *descriptor = -1;
}

static void close_inherited(struct keeper *keeper) {
    close_one(&keeper->alive[1]);
    for (size_t i = 0; i < sizeof keeper->descriptors / sizeof *keeper->descriptors; i++)
        close_one(&keeper->descriptors[i]);
}

static bool fail(struct keeper *keeper, int error) {
    close_inherited(keeper);
    close_one(&keeper->alive[0]);
    close_one(&keeper->control);
    errno = error;
    return false;
}

bool keeper_start(struct keeper *keeper, leat_mutex *mutex, bool inherit) {
    int control[2];
    *keeper = (struct keeper){mutex, 0, -1, {-1, -1}, {-1, -1, -1, -1}};
    if ((inherit && !prepare_pipe(keeper)) || pipe2(control, O_CLOEXEC) != 0)
        return fail(keeper, errno);
    keeper->control = control[1];
    keeper->process = copy_process();
    if (keeper->process == 0) {
        close(control[1]);
        close_one(&keeper->alive[1]);
        keep(keeper, control[0]);
    }
    int error = errno;
    close(control[0]);
    if (keeper->process < 0)
        return fail(keeper, error);
    if (inherit)
        find_descriptors(keeper);
    return true;
}

void keeper_watch(struct keeper *keeper, pid_t command) {
    (void)!write(keeper->control, &command, sizeof command); /* a keeper that is gone cannot be helped */
    close_inherited(keeper);
}

bool keeper_left_behind(const struct keeper *keeper) {
    struct pollfd left = {.fd = keeper->alive[0], .events = POLLIN};
    int ready = 0;
    if (keeper->alive[0] < 0)
        return false;
    for (int tries = 0; tries < LEAVING_MS && (ready & POLLHUP) == 0; tries++) /* a signal may end one early */
        ready = poll(&left, 1, 1) > 0 ? left.revents : 0;
    return (ready & POLLHUP) == 0;
}

void keeper_end(struct keeper *keeper) {
    kill(keeper->process, SIGKILL); /* also one that is stopped */
    while (waitpid(keeper->process, NULL, 0) < 0 && errno == EINTR)
        continue;
    close_one(&keeper->alive[0]);
    close_one(&keeper->control);
}

void keeper_hand_over(struct keeper *keeper, bool release) {
    char order = RELEASE;
    if (release)
        (void)!write(keeper->control, &order, 1); /* without a keeper it is as by death */
    close_one(&keeper->control);
}
