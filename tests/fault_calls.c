/* fault_calls.c - the system calls that leat and the C library under it make, and how each can
 * fail. See fault.h.
 *
 * An error is listed here when the kernel's own code, a file system, a security module, a memory
 * cgroup, a sandbox or a signal can return it for a correct call. Errors that only a wrong argument
 * causes (EBADF, EFAULT) are not listed. */
#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#define ANY -1, 0, 0
#define IS(argument, value) argument, UINT64_MAX, value
#define HAS(argument, bits) argument, bits, bits
#define OPERATION(code) 1, 127, code

#if defined(__SANITIZE_ADDRESS__) ||                                                               \
    defined(__SANITIZE_THREAD__) /* whose own memory is not ours to refuse */
#define OF_PROGRAM(...)                                                                            \
    { 0 }
#else
#define OF_PROGRAM(...)                                                                            \
    { __VA_ARGS__ }
#endif

#define TMPFILE_BIT ((uint64_t)O_TMPFILE & ~(uint64_t)O_DIRECTORY)
#define LOCK_KIND(type) (UINT64_C(1) << 32 | (uint64_t)(type))

static const struct fault_kind kinds[] = {
    {"openat(O_TMPFILE)",
     SYS_openat,
     HAS(2, TMPFILE_BIT),
     {ENOMEM, EMFILE, ENOSPC, EOPNOTSUPP, EACCES, EINTR, EROFS},
     false},
    {"openat(O_CREAT)",
     SYS_openat,
     HAS(2, O_CREAT),
     {ENOMEM, EMFILE, ENOSPC, EEXIST, EACCES, EINTR},
     false},
    {"openat", SYS_openat, ANY, {ENOMEM, EMFILE, EACCES, ENOENT, EINTR, ENFILE, EIO}, false},
    {"mkdirat", SYS_mkdirat, ANY, {ENOMEM, ENOSPC, EACCES, EROFS}, false},
    {"mknodat", SYS_mknodat, ANY, {ENOMEM, ENOSPC, EACCES, EROFS, EEXIST}, false},
    {"fstat", SYS_newfstatat, HAS(3, AT_EMPTY_PATH), {ENOMEM, EIO}, false},
    {"stat", SYS_newfstatat, ANY, {ENOMEM, EIO, EACCES, ENOENT}, false},
    {"fstat", SYS_fstat, ANY, {ENOMEM, EIO}, false},
    {"statx(descriptor)", SYS_statx, HAS(2, AT_EMPTY_PATH), {ENOMEM, EIO, ENOSYS, EPERM}, false},
    {"statx", SYS_statx, ANY, {ENOMEM, EIO, EACCES, ENOSYS, ENOENT}, false},
    {"fstatfs", SYS_fstatfs, ANY, {ENOMEM, EIO, ENOSYS}, false},
    {"statfs", SYS_statfs, ANY, {ENOMEM, EIO, EACCES}, false},
    {"fcntl(F_OFD_SETLK, unlock)",
     SYS_fcntl,
     IS(1, LOCK_KIND(F_UNLCK)),
     {ENOLCK, ENOMEM, EINTR},
     false},
    {"fcntl(F_OFD_SETLK)",
     SYS_fcntl,
     IS(1, F_OFD_SETLK),
     {ENOLCK, ENOMEM, EINTR, EACCES}, /* EAGAIN is an answer: another one holds it */
     false},
    {"fcntl(F_OFD_GETLK)", SYS_fcntl, IS(1, F_OFD_GETLK), {ENOMEM, EINTR, ENOLCK, EACCES}, false},
    {"fcntl(F_DUPFD)", SYS_fcntl, IS(1, F_DUPFD_CLOEXEC), {EMFILE, ENOMEM}, false},
    {"fcntl(F_DUPFD)", SYS_fcntl, IS(1, F_DUPFD), {EMFILE, ENOMEM}, false},
    {"fcntl(F_ADD_SEALS)", SYS_fcntl, IS(1, F_ADD_SEALS), {EPERM, EBUSY, ENOMEM}, false},
    {"fcntl(F_GET_SEALS)", SYS_fcntl, IS(1, F_GET_SEALS), {EINVAL}, false},
    {"fcntl", SYS_fcntl, ANY, {0}, false},
    {"dup", SYS_dup, ANY, {EMFILE}, false},
    {"dup3", SYS_dup3, ANY, {EMFILE, EBUSY, EINTR}, false},
    {"close", SYS_close, ANY, {EINTR, EIO}, true},
    {"mmap(anonymous)", SYS_mmap, HAS(3, MAP_ANONYMOUS), OF_PROGRAM(ENOMEM, EAGAIN), false},
    {"mmap", SYS_mmap, ANY, {ENOMEM, EAGAIN, ENFILE, EACCES, EPERM}, false},
    {"munmap", SYS_munmap, ANY, OF_PROGRAM(ENOMEM), false},
    {"mremap", SYS_mremap, ANY, {ENOMEM, EAGAIN, EFAULT}, false},
    {"mprotect", SYS_mprotect, ANY, {ENOMEM, EACCES}, false},
    {"madvise", SYS_madvise, ANY, OF_PROGRAM(ENOMEM, EAGAIN, EINVAL, EINTR, EBUSY, EIO), false},
    {"mincore", SYS_mincore, ANY, {ENOMEM, EAGAIN}, false},
    {"mlock", SYS_mlock, ANY, {ENOMEM, EPERM, EAGAIN}, false},
    {"munlock", SYS_munlock, ANY, {ENOMEM, EPERM}, false},
    {"msync", SYS_msync, ANY, {EIO, ENOMEM, EBUSY}, false},
    {"brk", SYS_brk, ANY, {0}, false}, /* gives no error: what it refuses, mmap is asked for next */
    {"memfd_create", SYS_memfd_create, ANY, {ENOMEM, EMFILE, ENFILE, ENOSYS, EACCES}, false},
    {"fallocate", SYS_fallocate, ANY, {ENOSPC, EINTR, EOPNOTSUPP, ENOMEM, EIO}, false},
    {"ftruncate", SYS_ftruncate, ANY, {ENOSPC, EINTR, EPERM, EIO, EFBIG}, false},
    {"pread", SYS_pread64, ANY, {EIO, EINTR, ENOMEM}, false},
    {"pwrite", SYS_pwrite64, ANY, {EIO, EINTR, ENOSPC, ENOMEM}, false},
    {"read", SYS_read, ANY, {EIO, EINTR, EAGAIN, ENOMEM}, false},
    {"write", SYS_write, ANY, {EAGAIN, EINTR, EIO, ENOMEM}, false},
    {"writev", SYS_writev, ANY, {EIO, EINTR}, false},
    {"lseek", SYS_lseek, ANY, {0}, false},
    {"getdents", SYS_getdents64, ANY, {EIO, ENOENT, ENOMEM, EINTR}, false},
    {"linkat", SYS_linkat, ANY, {ENOMEM, ENOENT, ENOSPC, EEXIST, EPERM, EACCES, EIO}, false},
    {"unlinkat", SYS_unlinkat, ANY, {ENOMEM, EACCES, EBUSY, EROFS, EIO, ENOENT}, false},
    {"fchmod", SYS_fchmod, ANY, {EPERM, EIO, EROFS}, false},
    {"fchmodat", SYS_fchmodat, ANY, {EPERM, EIO, EROFS, ENOENT}, false},
    {"fchown", SYS_fchown, ANY, {EPERM, EIO}, false},
    {"utimensat", SYS_utimensat, ANY, {EPERM, EIO}, false},
    {"flock", SYS_flock, ANY, {ENOLCK, EAGAIN, EINTR}, false},
    {"fsync", SYS_fsync, ANY, {EIO, ENOSPC, EINTR}, false},
    {"fdatasync", SYS_fdatasync, ANY, {EIO, ENOSPC, EINTR}, false},
    {"sync_file_range", SYS_sync_file_range, ANY, {EIO, ENOMEM, ENOSYS}, false},
    {"fsetxattr", SYS_fsetxattr, ANY, {ENOMEM, ENOSPC, EOPNOTSUPP, EPERM, EIO}, false},
    {"fgetxattr", SYS_fgetxattr, ANY, {ENOMEM, EIO, EACCES, ENOSYS}, false},
    {"getxattr", SYS_getxattr, ANY, {ENOMEM, EIO, EACCES, ENOSYS}, false},
    {"fremovexattr", SYS_fremovexattr, ANY, {ENOMEM, EIO, EROFS, ENOSYS}, false},
    {"readlinkat", SYS_readlinkat, ANY, {ENOMEM, EACCES, ENOENT}, false},
    {"faccessat", SYS_faccessat, ANY, {ENOMEM, EACCES, EIO}, false},
    {"futex(private)",
     SYS_futex,
     HAS(1, FUTEX_PRIVATE_FLAG),
     {0},
     false}, /* the C library's, which aborts */
    {"futex(WAIT)",
     SYS_futex,
     OPERATION(FUTEX_WAIT_BITSET),
     {EINTR, EAGAIN, ENOMEM, ETIMEDOUT, EPERM},
     false},
    {"futex(WAIT)",
     SYS_futex,
     OPERATION(FUTEX_WAIT),
     {EINTR, EAGAIN, ENOMEM, ETIMEDOUT, EPERM},
     false},
    {"futex(WAKE)", SYS_futex, OPERATION(FUTEX_WAKE), {ENOMEM, EPERM}, false},
    {"futex(LOCK_PI2)",
     SYS_futex,
     OPERATION(13),
     {ENOSYS, EAGAIN, EINTR, ENOMEM, EPERM, EINVAL},
     false},
    {"futex(LOCK_PI)",
     SYS_futex,
     OPERATION(FUTEX_LOCK_PI),
     {ENOMEM, EAGAIN, EINTR, ENOSYS, EPERM, EINVAL},
     false},
    {"futex(TRYLOCK_PI)",
     SYS_futex,
     OPERATION(FUTEX_TRYLOCK_PI),
     {ENOMEM, EAGAIN, ENOSYS, EPERM, EINVAL},
     false},
    {"futex(UNLOCK_PI)", SYS_futex, OPERATION(FUTEX_UNLOCK_PI), {EINVAL, EPERM}, false},
#ifdef SYS_futex_waitv
    {"futex_waitv", SYS_futex_waitv, ANY, {ENOSYS, EPERM, EINTR, EAGAIN, ENOMEM, ETIMEDOUT}, false},
#endif
    {"inotify_init", SYS_inotify_init1, ANY, {EMFILE, ENFILE, ENOMEM}, false},
    {"inotify_add_watch", SYS_inotify_add_watch, ANY, {ENOSPC, ENOMEM, EACCES, ENOENT}, false},
    {"inotify_rm_watch", SYS_inotify_rm_watch, ANY, {EINVAL}, false},
    {"epoll_create", SYS_epoll_create1, ANY, {EMFILE, ENFILE, ENOMEM}, false},
    {"epoll_ctl", SYS_epoll_ctl, ANY, {ENOMEM, ENOSPC}, false},
    {"epoll_pwait", SYS_epoll_pwait, ANY, {EINTR}, false},
    {"eventfd", SYS_eventfd2, ANY, {EMFILE, ENFILE, ENOMEM}, false},
    {"timerfd_create", SYS_timerfd_create, ANY, {EMFILE, ENFILE, ENOMEM}, false},
    {"timerfd_settime", SYS_timerfd_settime, ANY, {ENOMEM}, false},
    {"ppoll", SYS_ppoll, ANY, {EINTR, ENOMEM}, false},
    {"membarrier", SYS_membarrier, ANY, {EPERM, ENOSYS, ENOMEM}, false},
    {"getrandom", SYS_getrandom, ANY, {EINTR, ENOSYS, EAGAIN}, false},
    {"process_vm_readv", SYS_process_vm_readv, ANY, {EPERM, ENOSYS, ENOMEM}, false},
    {"process_vm_writev", SYS_process_vm_writev, ANY, {EPERM, ENOSYS, ENOMEM}, false},
    {"clock_nanosleep", SYS_clock_nanosleep, ANY, {EINTR}, false},
    {"clock_gettime", SYS_clock_gettime, ANY, {0}, false},
    {"sched_getaffinity", SYS_sched_getaffinity, ANY, {EPERM, ENOMEM}, false},
    {"sched_yield", SYS_sched_yield, ANY, {0}, false},
    {"prlimit", SYS_prlimit64, ANY, {EPERM}, false},
    {"ioctl", SYS_ioctl, ANY, {ENOTTY, EPERM}, false},
    {"sendmsg", SYS_sendmsg, ANY, {EAGAIN, EINTR, ENOBUFS, ENOMEM, EPIPE, ETOOMANYREFS}, false},
    {"recvmsg", SYS_recvmsg, ANY, {EAGAIN, EINTR, ENOMEM, ECONNRESET}, false},
    {"sendto", SYS_sendto, ANY, {EAGAIN, EINTR, ECONNREFUSED, ENOBUFS, ENOMEM, EPERM}, false},
    {"recvfrom", SYS_recvfrom, ANY, {EAGAIN, EINTR, ENOMEM, EPERM}, false},
    {"recvmmsg", SYS_recvmmsg, ANY, {EAGAIN, EINTR, ENOMEM, EPERM}, false},
    {"bind", SYS_bind, ANY, {ENOMEM, EADDRINUSE, ENOSPC, EACCES, ENOENT, EROFS}, false},
    {"connect", SYS_connect, ANY, {ENOMEM, EAGAIN, EACCES, EINTR, ENOENT, EPERM}, false},
    {"getsockopt", SYS_getsockopt, ANY, {ENOMEM, EPERM}, false},
    {"setsockopt", SYS_setsockopt, ANY, {ENOMEM}, false},
    {"getsockname", SYS_getsockname, ANY, {ENOMEM}, false},
    {"socket", SYS_socket, ANY, {EMFILE, ENFILE, ENOMEM, EACCES, EAFNOSUPPORT}, false},
    {"socketpair", SYS_socketpair, ANY, {EMFILE, ENFILE, ENOMEM}, false},
    {"pipe2", SYS_pipe2, ANY, {EMFILE, ENFILE, ENOMEM}, false},
    {"pidfd_open", SYS_pidfd_open, ANY, {EMFILE, ENOMEM, ENOSYS, EPERM}, false},
#ifdef SYS_pidfd_getfd
    {"pidfd_getfd", SYS_pidfd_getfd, ANY, {EPERM, EMFILE, ENOSYS}, false},
#endif
    {"kcmp", SYS_kcmp, ANY, {EPERM, ENOSYS}, false},
    {"prctl", SYS_prctl, ANY, {EPERM}, false},
    {"ptrace(SEIZE)", SYS_ptrace, IS(0, 0x4206), {EPERM, ESRCH}, false},
    {"ptrace",
     SYS_ptrace,
     ANY,
     {0},
     false}, /* of a thread that is stopped: fails if it was killed, and not before */
    {"wait4", SYS_wait4, ANY, {EINTR}, false},
    {"waitid", SYS_waitid, ANY, {EINTR}, false},
    {"tgkill", SYS_tgkill, ANY, {0}, false},
    {"kill", SYS_kill, ANY, {0}, false},
    {"clone", SYS_clone, ANY, {EAGAIN, ENOMEM}, false},
#ifdef SYS_clone3
    {"clone3", SYS_clone3, ANY, {ENOSYS, EAGAIN, ENOMEM}, false},
#endif
    {"setfsuid", SYS_setfsuid, ANY, {0}, false},
#ifdef SYS_open
    {"open", SYS_open, ANY, {ENOMEM, EMFILE, EACCES, ENOENT, EINTR, ENFILE, EIO}, false},
    {"stat", SYS_stat, ANY, {ENOMEM, EIO, EACCES, ENOENT}, false},
    {"stat", SYS_lstat, ANY, {ENOMEM, EIO, EACCES, ENOENT}, false},
    {"mkdirat", SYS_mkdir, ANY, {ENOMEM, ENOSPC, EACCES, EROFS}, false},
    {"unlinkat", SYS_unlink, ANY, {ENOMEM, EACCES, EBUSY, EROFS, EIO, ENOENT}, false},
    {"fchmodat", SYS_chmod, ANY, {EPERM, EIO, EROFS, ENOENT}, false},
    {"readlinkat", SYS_readlink, ANY, {ENOMEM, EACCES, ENOENT}, false},
    {"faccessat", SYS_access, ANY, {ENOMEM, EACCES, EIO}, false},
    {"ppoll", SYS_poll, ANY, {EINTR, ENOMEM}, false},
    {"dup", SYS_dup2, ANY, {EMFILE}, false},
    {"epoll_pwait", SYS_epoll_wait, ANY, {EINTR}, false},
#endif
    /* These cannot fail. */
    {"getpid", SYS_getpid, ANY, {0}, false},
    {"gettid", SYS_gettid, ANY, {0}, false},
    {"getppid", SYS_getppid, ANY, {0}, false},
    {"geteuid", SYS_geteuid, ANY, {0}, false},
    {"getuid", SYS_getuid, ANY, {0}, false},
    {"getegid", SYS_getegid, ANY, {0}, false},
    {"getgid", SYS_getgid, ANY, {0}, false},
    {"getresuid", SYS_getresuid, ANY, {0}, false},
    {"getresgid", SYS_getresgid, ANY, {0}, false},
    {"getgroups", SYS_getgroups, ANY, {0}, false},
    {"capget", SYS_capget, ANY, {0}, false},
    {"set_robust_list", SYS_set_robust_list, ANY, {0}, false},
    {"sched_getscheduler", SYS_sched_getscheduler, ANY, {0}, false},
    {"rt_sigprocmask", SYS_rt_sigprocmask, ANY, {0}, false},
    {"rt_sigpending", SYS_rt_sigpending, ANY, {0}, false},
    {"rt_sigtimedwait", SYS_rt_sigtimedwait, ANY, {EAGAIN, EINTR}, false},
    {"rt_sigaction", SYS_rt_sigaction, ANY, {0}, false},
    {"rt_sigreturn", SYS_rt_sigreturn, ANY, {0}, false},
    {"restart_syscall", SYS_restart_syscall, ANY, {0}, false},
    {"getcpu", SYS_getcpu, ANY, {0}, false},
    {"sysinfo", SYS_sysinfo, ANY, {0}, false},
    {"uname", SYS_uname, ANY, {0}, false},
    {"fadvise", SYS_fadvise64, ANY, {0}, false},
    {"exit_group", SYS_exit_group, ANY, {0}, false},
};

size_t fault_kind_count(void) {
    _Static_assert(sizeof kinds / sizeof kinds[0] < FAULT_KINDS_MAX, "order[] has bytes");
    return sizeof kinds / sizeof kinds[0];
}

const struct fault_kind *fault_kind_at(size_t index) {
    return &kinds[index];
}

static uint64_t argument_of(const struct fault_kind *kind, const uint64_t arguments[6], int type) {
    bool unlocks = kind->number == SYS_fcntl && arguments[1] == F_OFD_SETLK && type == F_UNLCK;
    if (unlocks && kind->value == LOCK_KIND(F_UNLCK))
        return LOCK_KIND(F_UNLCK);
    return arguments[kind->argument];
}

int fault_kind_of(long number, const uint64_t arguments[6], int type) {
    for (size_t i = 0; i < fault_kind_count(); i++) {
        const struct fault_kind *kind = &kinds[i];
        if (kind->number != number)
            continue;
        if (kind->argument < 0 || (argument_of(kind, arguments, type) & kind->mask) == kind->value)
            return (int)i;
    }
    return -1;
}

const char *fault_error_name(int error) {
    const char *name = strerrorname_np(error);
    return name != NULL ? name : "?";
}
