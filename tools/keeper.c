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

#include "signals.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

#define OUT_OF_THE_WAY 100 /* scripts use low descriptors for themselves: `exec 3>file` */
#define LEAVING_MS 20
#define RELEASE 'r'

/* Forks without fork handlers, which would take the mutex away from the child. */
static pid_t copy_process(void) {
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
    return _Fork();
#elif defined(SYS_fork)
    return (pid_t)syscall(SYS_fork);
#else
    return (pid_t)syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);
#endif
}

/* Both ends of the pipes between leat and the keeper. */
struct lines {
    int control[2], answer[2];
};

/* --- In the keeper ---------------------------------------------------------------------------- */

/* Makes signals for the command and its terminal not reach this process, which keeps no directory
 * busy. */
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

/* Returns the byte that was read, 0 at the end. */
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

/* Takes the locks off the open file that processes have inherited: as if all of them had ended. */
static void drop_locks(const struct keeper *keeper) {
    struct flock all = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    for (size_t i = 0; i < sizeof keeper->descriptors / sizeof *keeper->descriptors; i++)
        if (keeper->descriptors[i] >= 0)
            (void)fcntl(keeper->descriptors[i], F_OFD_SETLK, &all);
}

/* leat has ended: waits until no other process holds the mutex. Before Linux 5.3 the keeper cannot
 * wait for a command: then the command's descriptors hold the mutex, or the keeper waits for the
 * pipe where it owns the mutex. */
static void await_holders(const struct keeper *keeper, int watched, bool ended) {
    if (watched >= 0)
        await_command(watched);
    ended = ended || watched >= 0;
    if (keeper->counts || (keeper->owns && !ended))
        await_end_of(keeper->alive[0]);
    if (!keeper->counts && ended)
        drop_locks(keeper);
}

/* Ends the process while it holds the mutex: then the next owner gets LEAT_EOWNERDEAD. */
static _Noreturn void keep(const struct keeper *keeper, int control) {
    pid_t command = 0;
    char order = 0;
    bool has_command = read_some(control, &command, sizeof command) == sizeof command;
    /* Linux 5.3 */
    int watched = has_command && command > 0 ? (int)syscall(SYS_pidfd_open, command, 0) : -1;
    bool ended = has_command && watched < 0 && errno == ESRCH;
    if (has_command && read_some(control, &order, 1) == 1 && order == RELEASE) {
        if (keeper->counts)
            await_end_of(keeper->alive[0]);
        (void)!leat_mutex_unlock(keeper->mutex);
        leat_mutex_close(keeper->mutex);
    } else
        /* perhaps leat ended after it started a command, and before it reported that */
        await_holders(keeper, watched, ended);
    _exit(0);
}

/* The pipe stays open until the keeper ends; only its end is reported there afterwards. */
static _Noreturn void say_and_keep(const struct keeper *keeper, int end,
                                   const struct lines *lines) {
    bool sent = write(lines->answer[1], &end, sizeof end) == sizeof end;
    if (end != 0 || !sent)
        _exit(0);
    keep(keeper, lines->control[0]);
}

static _Noreturn void lock_and_keep(struct keeper *keeper, const struct lines *lines,
                                    int (*lock)(struct keeper *keeper, void *context),
                                    void *context) {
    setsid();
    int end = lock(keeper, context);
    fflush(stderr);
    withdraw();
    prctl(PR_SET_PDEATHSIG, 0);
    say_and_keep(keeper, end, lines);
}

/* --- In leat ---------------------------------------------------------------------------------- */

/* Duplicates a descriptor for programs that this one starts. */
static int inheritable(int descriptor) {
    int copy = fcntl(descriptor, F_DUPFD, OUT_OF_THE_WAY);
    return copy >= 0 ? copy : fcntl(descriptor, F_DUPFD, 3);
}

/* The object's file. False, and no error: it is not known, as without /proc. */
static bool identify(const struct keeper *keeper, struct stat *object, bool *failed) {
    int given, code = leat_sync_descriptor(leat_mutex_waitable(keeper->mutex), false, &given);
    *failed = code == LEAT_ELIMIT;
    if (*failed)
        errno = leat_system_error() != 0 ? leat_system_error() : EMFILE;
    if (code != LEAT_OK)
        return false;
    bool known = fstat(given, object) == 0;
    close(given);
    return known;
}

static int list_descriptors(DIR *directory, const struct stat *object, int found[], int room) {
    struct stat other;
    int count = 0;
    for (struct dirent *entry; count < room && (entry = readdir(directory)) != NULL;) {
        int descriptor = atoi(entry->d_name); /* 0 for "." and "..": not the object's file */
        if (fstat(descriptor, &other) == 0 && other.st_dev == object->st_dev &&
            other.st_ino == object->st_ino)
            found[count++] = descriptor;
    }
    return count;
}

/* Finds the handle's descriptors in this process: those of the object's file. Without /proc only
 * the keeper holds the mutex; a limit of the process is an error. */
static bool find_descriptors(struct keeper *keeper) {
    int found[4];
    struct stat object;
    bool failed;
    if (!identify(keeper, &object, &failed))
        return !failed;
    DIR *directory = opendir("/proc/self/fd");
    if (directory == NULL)
        return errno != EMFILE && errno != ENFILE && errno != ENOMEM;
    int count = list_descriptors(directory, &object, found, 4);
    closedir(directory);
    for (int i = 0; i < count; i++) {
        keeper->descriptors[i] = inheritable(found[i]);
        if (keeper->descriptors[i] < 0)
            return false;
    }
    return true;
}

/* A pipe that ends when the last process that inherited its write end has gone. */
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

static void close_descriptors(struct keeper *keeper) {
    for (size_t i = 0; i < sizeof keeper->descriptors / sizeof *keeper->descriptors; i++)
        close_one(&keeper->descriptors[i]);
}

static bool fail(struct keeper *keeper, int error) {
    close_one(&keeper->alive[0]);
    close_one(&keeper->alive[1]);
    close_one(&keeper->control);
    close_one(&keeper->ended);
    close_descriptors(keeper);
    errno = error;
    return false;
}

static void begin(struct keeper *keeper, leat_mutex *mutex, bool counts, bool owns) {
    *keeper = (struct keeper){mutex, 0, counts, owns, -1, {-1, -1}, {-1, -1, -1, -1}, -1};
}

static void wait_for_end(const struct keeper *keeper) {
    while (waitpid(keeper->process, NULL, 0) < 0 && errno == EINTR)
        continue;
}

/* The result of the keeper's locking. Until then signals that end this process are passed on. */
static int hear(const struct keeper *keeper) {
    int end = 0;
    ssize_t got;
    while ((got = read(keeper->ended, &end, sizeof end)) < 0 && errno == EINTR)
        if (signals_seen() != 0)
            kill(keeper->process, SIGTERM);
    if (got == sizeof end)
        return end;
    errno = got < 0 ? errno : ECHILD;
    return -1;
}

static bool open_lines(struct keeper *keeper, struct lines *lines) {
    if (pipe2(lines->control, O_CLOEXEC) != 0)
        return false;
    keeper->control = lines->control[1];
    if (pipe2(lines->answer, O_CLOEXEC) == 0) {
        keeper->ended = lines->answer[0];
        return true;
    }
    int error = errno;
    close(lines->control[0]);
    errno = error;
    return false;
}

/* In the keeper: closes leat's descriptors. Until then the command would seem to have left
 * something behind. */
static void leave_to_leat(struct keeper *keeper, const struct lines *lines) {
    close(lines->control[1]);
    close(lines->answer[0]);
    close_one(&keeper->alive[1]);
}

/* In leat, after a fork: what the keeper reports first, an exit code; or -1 with errno. If it is
 * not 0, no keeper is left. */
static int begin_keeping(struct keeper *keeper, const struct lines *lines) {
    int error = errno;
    close(lines->control[0]);
    close(lines->answer[1]);
    errno = error;
    int end = keeper->process > 0 ? hear(keeper) : -1;
    if (end == 0)
        return 0;
    (void)fail(keeper, errno);
    error = errno;
    if (keeper->process > 0)
        wait_for_end(keeper);
    errno = error;
    return end;
}

bool keeper_start(struct keeper *keeper, leat_mutex *mutex, bool counts) {
    struct lines lines;
    begin(keeper, mutex, counts, false);
    if ((counts && !prepare_pipe(keeper)) || !find_descriptors(keeper) ||
        !open_lines(keeper, &lines))
        return fail(keeper, errno);
    keeper->process = copy_process();
    if (keeper->process == 0) {
        leave_to_leat(keeper, &lines);
        withdraw();
        say_and_keep(keeper, 0, &lines);
    }
    return begin_keeping(keeper, &lines) == 0;
}

int keeper_start_owner(struct keeper *keeper, int (*lock)(struct keeper *keeper, void *context),
                       void *context, bool counts) {
    struct lines lines;
    pid_t parent = getpid();
    begin(keeper, NULL, counts, true);
    if (!prepare_pipe(keeper) || !open_lines(keeper, &lines)) {
        (void)fail(keeper, errno);
        return -1;
    }
    keeper->process = fork();
    if (keeper->process == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* until it has the mutex */
        if (getppid() != parent)
            _exit(0);
        leave_to_leat(keeper, &lines);
        lock_and_keep(keeper, &lines, lock, context);
    }
    return begin_keeping(keeper, &lines);
}

bool keeper_is_gone(const struct keeper *keeper, int milliseconds) {
    struct pollfd end = {.fd = keeper->ended, .events = POLLIN};
    return poll(&end, 1, milliseconds) > 0;
}

void keeper_watch(struct keeper *keeper, pid_t command) {
    /* for a keeper that has ended there is no remedy */
    (void)!write(keeper->control, &command, sizeof command);
    close_one(&keeper->alive[1]);
}

void keeper_dismiss(struct keeper *keeper) {
    keeper_watch(keeper, 0);
    keeper_end(keeper, true);
}

bool keeper_left_behind(const struct keeper *keeper) {
    struct pollfd left = {.fd = keeper->alive[0], .events = POLLIN};
    int ready = 0;
    if (!keeper->counts)
        return false;
    /* a signal may end one early */
    for (int tries = 0; tries < LEAVING_MS && (ready & POLLHUP) == 0; tries++)
        ready = poll(&left, 1, 1) > 0 ? left.revents : 0;
    return (ready & POLLHUP) == 0;
}

static void send_order(struct keeper *keeper, bool release) {
    char order = RELEASE;
    if (release)
        (void)!write(keeper->control, &order, 1); /* without a keeper: as by death */
    close_one(&keeper->control);
}

void keeper_end(struct keeper *keeper, bool release) {
    if (keeper->owns && release) {
        send_order(keeper, true);
        kill(keeper->process, SIGCONT); /* also one that is stopped */
    } else
        kill(keeper->process, SIGKILL);
    wait_for_end(keeper);
    if (!keeper->owns && !release)
        drop_locks(keeper);
    close_one(&keeper->alive[0]);
    close_one(&keeper->control);
    close_one(&keeper->ended);
    close_descriptors(keeper);
}

void keeper_hand_over(struct keeper *keeper, bool release) {
    send_order(keeper, release);
}
