/* lib/remote/linux/target.c - what /proc tells of a process that is to be traced. See inject.h.
 *
 * What is read here may be out of date when it is used: it decides only whom to try, and how to put
 * a refusal into words. What must be certain is asked of a thread that has been stopped.
 *
 * A process or thread has gone when /proc has no entry for it (ENOENT) or none to read from
 * (ESRCH). Any other failure to read is no answer, and is reported as what it is. */
#include <ctype.h>
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/remote/linux/inject.h"

#define STATUS_SIZE 8192
#define KERNEL_THREAD UINT64_C(0x00200000) /* PF_KTHREAD in the flags of /proc/<pid>/stat */
/* a filter may answer EINTR for ever: then it is an error like others */
#define INTERRUPTIONS 100
#define FIELD_FLAGS 9
#define FIELD_STARTED 22

/* --- Small files ------------------------------------------------------------------------------ */

/* Reads a small file whole: 0, or an error and "". ESRCH when it is empty. */
static int read_small(const char *path, char *text, size_t size) {
    size_t length = 0;
    text[0] = 0;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return errno;
    int error = 0, interruptions = 0;
    for (ssize_t got = 1; got != 0 && error == 0 && length < size - 1;) {
        got = read(file, text + length, size - 1 - length);
        length += got > 0 ? (size_t)got : 0;
        bool again = got < 0 && errno == EINTR && ++interruptions < INTERRUPTIONS;
        error = got < 0 && !again ? errno : 0;
    }
    close(file);
    text[error == 0 ? length : 0] = 0;
    return error != 0 ? error : length == 0 ? ESRCH : 0;
}

static bool is_absence(int error) {
    return error == ENOENT || error == ESRCH;
}

static int read_status(pid_t process, pid_t thread, char text[STATUS_SIZE]) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/status", process, thread);
    return read_small(path, text, STATUS_SIZE);
}

/* What follows the key in a status file, "" when it is not there. The first line is a name, in
 * which newlines are escaped. */
static const char *field(const char *status, const char *key) {
    for (const char *line = strchr(status, '\n'); line != NULL; line = strchr(line + 1, '\n'))
        if (strncmp(line + 1, key, strlen(key)) == 0) {
            const char *value = line + 1 + strlen(key);
            while (*value == ' ' || *value == '\t')
                value++;
            return value;
        }
    return "";
}

/* A numbered field of /proc/<pid>/stat; the second, the name in brackets, may contain anything.
 * Returns an error as read_small. */
static int stat_field(pid_t process, int number, uint64_t *value) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", process);
    int error = read_small(path, text, sizeof text);
    const char *at = error == 0 ? strrchr(text, ')') : NULL;
    for (int i = 2; at != NULL && i < number; i++)
        at = strchr(at + 1, ' ');
    *value = at == NULL ? 0 : strtoull(at, NULL, 10);
    return error;
}

/* The name of a process for messages. */
static const char *name_of(pid_t process, char name[64]) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/comm", process);
    if (read_small(path, name, 64) != 0)
        snprintf(name, 64, "?");
    name[strcspn(name, "\n")] = 0;
    return name;
}

/* --- Who it is -------------------------------------------------------------------------------- */

static bool has_ended(char state) {
    return state == 'Z' || state == 'X' || state == 'x';
}

/* Whether any of its threads lives: the first may have ended and be kept for the others. */
static bool all_ended(pid_t process) {
    struct leat__candidate chosen;
    return leat__target_choose(process, &chosen) == LEAT_ENOENT;
}

/* After an error at an entry of the process's in /proc. */
static int fail_for_absence(pid_t process, int error) {
    if (!is_absence(error) && error != EACCES && error != EPERM)
        return leat__fail_system(error, "/proc/%d cannot be read", process);
    if (kill(process, 0) != 0 && errno == ESRCH)
        return leat__fail(LEAT_ENOENT, ESRCH, "there is no process %d", process);
    if (access("/proc/self/status", R_OK) != 0)
        return errno == ENOENT
                   ? leat__fail(LEAT_ENOTSUP, errno,
                                "/proc is not mounted, and mapping into a process needs it")
                   : leat__fail_system(errno, "/proc cannot be read");
    return leat__fail(LEAT_EACCES, EACCES, "process %d is hidden from this user in /proc (hidepid)",
                      process);
}

static int check_tracer(pid_t process, const char *status) {
    pid_t tracer = (pid_t)strtol(field(status, "TracerPid:"), NULL, 10);
    char name[64];
    if (tracer == 0 || tracer == gettid())
        return LEAT_OK;
    return leat__fail(LEAT_EBUSY, EPERM, "process %d is already traced, by process %d (%s)",
                      process, tracer, name_of(tracer, name));
}

/* Of the program, not of the code that a thread happens to run: registers tell that later.
 * Unreadable is left to ptrace. */
static int check_bits(pid_t process) {
    char path[64], head[EI_NIDENT + 1];
    snprintf(path, sizeof path, "/proc/%d/exe", process);
    if (read_small(path, head, sizeof head) == 0 && memcmp(head, ELFMAG, SELFMAG) == 0 &&
        head[EI_CLASS] != ELFCLASS64)
        return leat__fail(LEAT_ENOTSUP, 0, "process %d is a 32-bit program", process);
    return LEAT_OK;
}

int leat__target_check(pid_t process, bool *own) {
    char status[STATUS_SIZE];
    uint64_t flags = 0;
    int error = read_status(process, process, status);
    if (error != 0)
        return fail_for_absence(process, error);
    pid_t group = (pid_t)strtol(field(status, "Tgid:"), NULL, 10);
    *own = group == getpid();
    if (group != process)
        return leat__fail(LEAT_EINVAL, 0, "%d is a thread of process %d", process, group);
    if (*own)
        return LEAT_OK;
    error = stat_field(process, FIELD_FLAGS, &flags);
    if (error != 0)
        return fail_for_absence(process, error);
    if ((flags & KERNEL_THREAD) != 0)
        return leat__fail(LEAT_ENOTSUP, EPERM,
                          "process %d is a thread of the kernel and has no memory of its own",
                          process);
    if (has_ended(*field(status, "State:")) && all_ended(process))
        return leat__fail(LEAT_ENOENT, ESRCH,
                          "process %d has ended and waits for its parent to notice (a zombie)",
                          process);
    int result = check_tracer(process, status);
    return result == LEAT_OK ? check_bits(process) : result;
}

int leat__target_started(pid_t process, uint64_t *started) {
    int error = stat_field(process, FIELD_STARTED, started);
    return error == 0          ? LEAT_OK
           : is_absence(error) ? LEAT_ENOENT
                               : leat__fail_system(error, "/proc/%d/stat cannot be read", process);
}

bool leat__target_thread_gone(pid_t process, pid_t thread) {
    char status[STATUS_SIZE];
    int error = read_status(process, thread, status);
    return is_absence(error) || (error == 0 && has_ended(*field(status, "State:")));
}

bool leat__target_signals(pid_t process, pid_t thread, const char *key, uint64_t *signals) {
    char status[STATUS_SIZE];
    int error = read_status(process, thread, status);
    *signals = error == 0 ? strtoull(field(status, key), NULL, 16) : 0;
    return error == 0;
}

int leat__target_seccomp(pid_t process, pid_t thread, enum leat__seccomp *seccomp) {
    char status[STATUS_SIZE];
    int error = read_status(process, thread, status);
    if (error != 0)
        return fail_for_absence(process, error);
    long mode = strtol(field(status, "Seccomp:"), NULL, 10);
    *seccomp = mode == 1   ? LEAT__SECCOMP_STRICT
               : mode == 2 ? LEAT__SECCOMP_FILTER
                           : LEAT__SECCOMP_NONE;
    return LEAT_OK;
}

bool leat__target_may_be_child(pid_t process) {
    char status[STATUS_SIZE];
    int error = read_status(process, process, status);
    if (error != 0)
        return !is_absence(error);
    return strtol(field(status, "PPid:"), NULL, 10) == getpid();
}

/* --- Why it is refused ------------------------------------------------------------------------ */

static const char *yama_says(void) {
    char text[16];
    if (read_small("/proc/sys/kernel/yama/ptrace_scope", text, sizeof text) != 0)
        return NULL;
    switch (text[0]) {
    case '1':
        return "kernel.yama.ptrace_scope is 1: only an ancestor of the process may, or whom it "
               "names by PR_SET_PTRACER, "
               "or who has CAP_SYS_PTRACE";
    case '2':
        return "kernel.yama.ptrace_scope is 2: only who has CAP_SYS_PTRACE may";
    case '3':
        return "kernel.yama.ptrace_scope is 3: nobody may until the system is restarted";
    default:
        return NULL;
    }
}

/* Whether all of the process's user and group ids are ours, as ptrace demands. */
static bool same_user(const char *status, unsigned *owner) {
    unsigned user[3] = {0}, group[3] = {0};
    sscanf(field(status, "Uid:"), "%u %u %u", &user[0], &user[1], &user[2]);
    sscanf(field(status, "Gid:"), "%u %u %u", &group[0], &group[1], &group[2]);
    bool same = true;
    for (int i = 0; i < 3; i++)
        same = same && user[i] == getuid() && group[i] == getgid();
    *owner = user[1];
    return same;
}

int leat__target_refused(pid_t process, pid_t thread, int error) {
    char status[STATUS_SIZE];
    unsigned owner = 0;
    int unread = error == ESRCH ? ESRCH : read_status(process, thread, status);
    if (is_absence(unread))
        return leat__fail(LEAT_ENOENT, ESRCH, "process %d has ended", process);
    if (unread != 0)
        return leat__fail_system(error, "process %d cannot be traced", process);
    int result = check_tracer(process, status);
    if (result != LEAT_OK)
        return result;
    if (error != EPERM && error != EACCES)
        return leat__fail_system(error, "process %d cannot be traced", process);
    if (!same_user(status, &owner))
        return leat__fail(LEAT_EACCES, error,
                          "process %d runs as user %u, this one as user %u: it takes the same user "
                          "and group, or CAP_SYS_PTRACE",
                          process, owner, (unsigned)geteuid());
    const char *yama = yama_says();
    if (yama != NULL)
        return leat__fail(LEAT_EACCES, error, "process %d: %s", process, yama);
    return leat__fail(LEAT_EACCES, error,
                      "process %d has rights that this one lacks, or has made itself untraceable "
                      "(PR_SET_DUMPABLE), or a policy of the "
                      "system (seccomp, LSM) forbids ptrace: it takes CAP_SYS_PTRACE",
                      process);
}

/* --- Which thread --------------------------------------------------------------------------------
 *
 * Best is one that sleeps in a call that the kernel restarts: it is stopped at once, wherever it
 * runs next, and is in no restartable sequence. Then one that runs. Then one in a call that any
 * stop makes fail with EINTR, as SIGSTOP and SIGCONT do. */

enum rank { SLEEPING, RUNNING, SLEEPING_UNRESTARTED, NOT_TO_BE_STOPPED, NOT_KNOWN, ENDED };

static bool is_never_restarted(long call) {
    switch (call) {
#ifdef SYS_epoll_wait
    case SYS_epoll_wait:
#endif
#ifdef SYS_epoll_pwait2
    case SYS_epoll_pwait2:
#endif
#ifdef SYS_semtimedop
    case SYS_semtimedop:
#endif
#ifdef SYS_semop
    case SYS_semop:
#endif
#ifdef SYS_io_uring_enter
    case SYS_io_uring_enter:
#endif
    case SYS_epoll_pwait:
    case SYS_rt_sigtimedwait:
    case SYS_io_getevents:
        return true;
    default:
        return false;
    }
}

/* *error: why it is not known. */
static enum rank rank_of(pid_t process, pid_t thread, long *call, int *error) {
    char status[STATUS_SIZE], path[64], text[256];
    *call = -1;
    int unread = read_status(process, thread, status);
    if (unread != 0 && !is_absence(unread)) {
        *error = unread;
        return NOT_KNOWN;
    }
    char state = *field(status, "State:");
    if (unread != 0 || has_ended(state))
        return ENDED;
    snprintf(path, sizeof path, "/proc/%d/task/%d/syscall", process, thread);
    if (read_small(path, text, sizeof text) == 0 && isdigit((unsigned char)text[0]))
        *call = strtol(text, NULL, 10); /* "running" when it is, or no right to see it */
    if (state == 'D')
        return NOT_TO_BE_STOPPED;
    if (state == 'R')
        return RUNNING;
    return is_never_restarted(*call) ? SLEEPING_UNRESTARTED : SLEEPING;
}

int leat__target_choose(pid_t process, struct leat__candidate *chosen) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", process);
    DIR *threads = opendir(path);
    if (threads == NULL)
        return fail_for_absence(process, errno);
    enum rank best = ENDED;
    int error = 0;
    for (struct dirent *entry; best != SLEEPING && (errno = 0, entry = readdir(threads)) != NULL;) {
        long call = -1;
        pid_t thread = (pid_t)strtol(entry->d_name, NULL, 10); /* 0 for "." and ".." */
        enum rank rank = thread > 0 ? rank_of(process, thread, &call, &error) : ENDED;
        if (rank < best) {
            best = rank;
            *chosen = (struct leat__candidate){.thread = thread, .call = call};
        }
    }
    if (best != SLEEPING && errno != 0 && !is_absence(errno))
        error = errno; /* there may be others */
    closedir(threads);
    if (best >= NOT_KNOWN && error != 0)
        return leat__fail_system(error, "the threads of process %d cannot be read", process);
    if (best == ENDED)
        return leat__fail(LEAT_ENOENT, ESRCH, "process %d has ended", process);
    if (best == NOT_TO_BE_STOPPED)
        return leat__fail(LEAT_EAGAIN, 0,
                          "every thread of process %d is in uninterruptible sleep (state D)",
                          process);
    return LEAT_OK;
}

/* --- Memory ----------------------------------------------------------------------------------- */

static bool parse_mapping(const char *line, struct leat__mapping *mapping) {
    char permissions[5];
    unsigned major_number, minor_number;
    int path_at = 0;
    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 " %n",
               &mapping->start, &mapping->end, permissions, &mapping->offset, &major_number,
               &minor_number, &mapping->inode, &path_at) < 7)
        return false;
    mapping->device = makedev(major_number, minor_number);
    mapping->readable = permissions[0] == 'r';
    mapping->executable = permissions[2] == 'x';
    mapping->shared = permissions[3] == 's';
    mapping->vdso = path_at > 0 && strncmp(line + path_at, "[vdso]", 6) == 0;
    return true;
}

int leat__target_mappings(pid_t thread,
                          int (*visit)(const struct leat__mapping *mapping, void *context),
                          void *context) {
    char path[64], *line = NULL;
    size_t size = 0;
    int result = 0;
    snprintf(path, sizeof path, "/proc/%d/maps", thread);
    FILE *maps = fopen(path, "re");
    if (maps == NULL && (is_absence(errno) || errno == EACCES || errno == EPERM))
        return leat__target_refused(thread, thread, errno == ENOENT ? ESRCH : errno);
    if (maps == NULL)
        return leat__fail_system(errno, "the mappings of thread %d cannot be read", thread);
    errno = 0;
    for (struct leat__mapping mapping; result == 0 && getline(&line, &size, maps) > 0; errno = 0)
        if (parse_mapping(line, &mapping))
            result = visit(&mapping, context);
    int error = errno;
    if (result == 0 && (ferror(maps) || error == ENOMEM))
        result = error == ESRCH
                     ? leat__fail(LEAT_ENOENT, error, "thread %d ended meanwhile", thread)
                     : leat__fail_system(error, "the mappings of thread %d cannot be read", thread);
    free(line);
    fclose(maps);
    return result;
}

static int transferred(pid_t thread, ssize_t got, size_t size) {
    if (got == (ssize_t)size)
        return LEAT_OK;
    int error = got < 0 ? errno : EFAULT;
    if (error == ESRCH)
        return leat__fail(LEAT_ENOENT, error, "thread %d ended meanwhile", thread);
    return leat__fail_system(error, "the memory of thread %d cannot be reached", thread);
}

int leat__target_read(pid_t thread, uint64_t address, void *buffer, size_t size) {
    struct iovec here = {.iov_base = buffer, .iov_len = size},
                 there = {.iov_base = (void *)(uintptr_t)address, .iov_len = size};
    return transferred(thread, process_vm_readv(thread, &here, 1, &there, 1, 0), size);
}

int leat__target_write(pid_t thread, uint64_t address, const void *data, size_t size) {
    struct iovec here = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    struct iovec there = {.iov_base = (void *)(uintptr_t)address, .iov_len = size};
    return transferred(thread, process_vm_writev(thread, &here, 1, &there, 1, 0), size);
}
