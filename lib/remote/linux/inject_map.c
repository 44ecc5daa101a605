/* lib/remote/linux/inject_map.c - what another process is made to do so that a file is mapped
 * there, or unmapped. See inject.h.
 *
 *     1  mmap    a page of scratch for what the calls read and write. The thread's stack is not
 *                used for that: in a program whose stacks are small and lie side by side, what is
 *                below one belongs to another that runs meanwhile.
 *     2  openat  of /proc/<this process>/fd/<the file>, if that path is the same file in the
 *                target's view of the file system; where it is not, or the target may not open it
 *                (another user, another container), instead
 *        socketpair, recvmsg  this process takes a copy of one end (pidfd_getfd) and sends the file
 *                through it
 *     3  mmap    the file
 *     4  close, munmap  of what was made on the way
 *
 * In the target nothing is left but the view. The file goes there by a description of its own,
 * which holds no lock: a mapping keeps its description alive, and the target must not count as a
 * user of the object.
 *
 * If this process is killed between two steps and the target survives that (inject.c), the page, or
 * up to three descriptors marked close-on-exec, stay there. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/remote/linux/inject.h"

#ifndef SYS_mmap /* 32-bit systems, where nothing of this is run */
#define SYS_mmap SYS_mmap2
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

#define THREAD_NOT_PROCESS O_EXCL /* PIDFD_THREAD, Linux 6.9 */
#define SCRATCH_SIZE 4096
#define PATH_SIZE 64

/* The scratch page. Pointers in it are the target's. */
struct scratch {
    char path[PATH_SIZE];
    int32_t ends[2];
    struct msghdr message;
    struct iovec vector;
    _Alignas(16) unsigned char control[64];
    char byte;
};

_Static_assert(sizeof(struct scratch) <= SCRATCH_SIZE, "the scratch page holds it all");
_Static_assert(CMSG_SPACE(sizeof(int)) <= sizeof((struct scratch){0}.control),
               "a message with one descriptor fits");

struct errand {
    struct leat__session session;
    uint64_t scratch; /* addresses and descriptors of the target; 0 and -1 where there is none */
    int file;
    int ends[2];
};

/* Moves a descriptor above the standard streams, for what is printed would go into it. Takes and
 * returns errors too. */
static int above_streams(int descriptor) {
    if (descriptor < 0 || descriptor > STDERR_FILENO)
        return descriptor;
    int raised = fcntl(descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1), error = errno;
    close(descriptor);
    errno = error;
    return raised;
}

/* --- One call --------------------------------------------------------------------------------- */

static int fail_there(const struct errand *errand, const char *what, int error) {
    pid_t process = errand->session.process;
    if (errand->session.filtered && (error == EPERM || error == ENOSYS || error == EACCES))
        return leat__fail(LEAT_ENOTSUP, error,
                          "process %d: %s failed there (%s): its seccomp filter refuses it",
                          process, what, strerror(error));
    return leat__fail_system(error, "process %d: %s failed there (%s)", process, what,
                             strerror(error));
}

#define CALL(errand, result, name, ...)                                                            \
    call(errand, result, #name, SYS_##name, (const uint64_t[6]){__VA_ARGS__})

/* Has the target make a call; an error of the call itself is a failure as well. */
static int call(struct errand *errand, int64_t *value, const char *what, long number,
                const uint64_t arguments[6]) {
    int64_t got = 0;
    int result = leat__session_call(&errand->session, &got, number, arguments);
    if (result != LEAT_OK)
        return result;
    if (got < 0 && got > -4096)
        return fail_there(errand, what, (int)-got);
    *value = got;
    return LEAT_OK;
}

/* A descriptor as the 32 bits, extended as the target's own compiler would, of a number that is an
 * int there. */
#define FD(number) ((uint64_t)(int64_t)(number))
#define IN_SCRATCH(errand, member) ((errand)->scratch + offsetof(struct scratch, member))

/* --- Errands ---------------------------------------------------------------------------------- */

/* Stops the process and has it make the scratch page. */
static int errand_begin(struct errand *errand, pid_t process) {
    *errand = (struct errand){.file = -1, .ends = {-1, -1}};
    int result = leat__session_begin(&errand->session, process);
    if (result != LEAT_OK)
        return result;
    int64_t scratch = 0;
    result = CALL(errand, &scratch, mmap, 0, SCRATCH_SIZE, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, FD(-1), 0);
    if (result == LEAT_OK)
        errand->scratch = (uint64_t)scratch;
    else
        leat__session_end(&errand->session);
    return result;
}

static void close_there(struct errand *errand, int *descriptor) {
    int64_t ignored;
    if (*descriptor >= 0 && !errand->session.gone)
        (void)leat__session_call(&errand->session, &ignored, SYS_close,
                                 (const uint64_t[6]){FD(*descriptor)});
    *descriptor = -1;
}

/* Removes what was made on the way, and lets the process go. What fails here records nothing over
 * an earlier failure, unless the process ends just now. */
static void errand_end(struct errand *errand) {
    int64_t ignored;
    close_there(errand, &errand->file);
    close_there(errand, &errand->ends[0]);
    close_there(errand, &errand->ends[1]);
    if (errand->scratch != 0 && !errand->session.gone)
        (void)leat__session_call(&errand->session, &ignored, SYS_munmap,
                                 (const uint64_t[6]){errand->scratch, SCRATCH_SIZE});
    leat__session_end(&errand->session);
}

/* --- Getting the file there ------------------------------------------------------------------- */

static bool is_file(const char *path, int file) {
    struct stat there, here;
    return stat(path, &there) == 0 && fstat(file, &here) == 0 && there.st_dev == here.st_dev &&
           there.st_ino == here.st_ino;
}

/* By a path in /proc. That it leads to the file in the target's view is found out from here, so
 * that nothing else is opened there. */
static int open_there(struct errand *errand, int file, bool writable) {
    char path[PATH_SIZE] = "", seen_from_here[2 * PATH_SIZE];
    int64_t opened = -1;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", getpid(), file);
    snprintf(seen_from_here, sizeof seen_from_here, "/proc/%d/root%s", errand->session.thread,
             path);
    if (!is_file(seen_from_here, file))
        return leat__fail(LEAT_ENOENT, 0, "process %d does not see this one's /proc",
                          errand->session.process);
    int result =
        leat__target_write(errand->session.thread, IN_SCRATCH(errand, path), path, sizeof path);
    if (result == LEAT_OK)
        result = CALL(errand, &opened, openat, FD(AT_FDCWD), IN_SCRATCH(errand, path),
                      (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC, 0);
    if (result == LEAT_OK)
        errand->file = (int)opened;
    return result;
}

static int send_file(int end, int file) {
    _Alignas(struct cmsghdr) unsigned char control[CMSG_SPACE(sizeof file)] = {0};
    struct iovec vector = {.iov_base = (char[]){0}, .iov_len = 1};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof file), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(header), &file, sizeof file);
    if (sendmsg(end, &message, MSG_DONTWAIT | MSG_NOSIGNAL) != 1)
        return leat__fail_system(errno, "cannot send the file");
    return LEAT_OK;
}

/* Sends the file through a copy of the end of a pair of sockets that was made there. */
static int send_there(struct errand *errand, int file) {
    pid_t process = errand->session.process, thread = errand->session.thread;
    int handle = (int)syscall(SYS_pidfd_open, thread, thread == process ? 0 : THREAD_NOT_PROCESS);
    if (handle < 0)
        handle = (int)syscall(SYS_pidfd_open, process, 0);
    int end =
        handle < 0 ? -1 : above_streams((int)syscall(SYS_pidfd_getfd, handle, errand->ends[1], 0));
    int result =
        end < 0 ? leat__fail_system(
                      errno, "cannot share a descriptor with process %d (pidfd_getfd, Linux 5.6)",
                      process)
                : send_file(end, file);
    if (end >= 0)
        close(end);
    if (handle >= 0)
        close(handle);
    return result;
}

static int receive_there(struct errand *errand) {
    pid_t thread = errand->session.thread;
    int64_t got;
    struct scratch scratch = {
        .message = {.msg_iov = (void *)(uintptr_t)IN_SCRATCH(errand, vector),
                    .msg_iovlen = 1,
                    .msg_control = (void *)(uintptr_t)IN_SCRATCH(errand, control),
                    .msg_controllen = CMSG_SPACE(sizeof(int))},
        .vector = {.iov_base = (void *)(uintptr_t)IN_SCRATCH(errand, byte), .iov_len = 1},
    };
    int result = leat__target_write(thread, errand->scratch, &scratch, sizeof scratch);
    if (result == LEAT_OK)
        result = CALL(errand, &got, recvmsg, FD(errand->ends[0]), IN_SCRATCH(errand, message),
                      MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (result == LEAT_OK)
        result = leat__target_read(thread, errand->scratch, &scratch, sizeof scratch);
    if (result != LEAT_OK)
        return result;
    /* no room for one more descriptor */
    if (scratch.message.msg_controllen < CMSG_LEN(sizeof(int)))
        return fail_there(errand, "recvmsg", EMFILE);
    int received;
    memcpy(&received, scratch.control + CMSG_LEN(0), sizeof received);
    errand->file = received;
    return LEAT_OK;
}

static int pass_there(struct errand *errand, int file) {
    int64_t ignored;
    int result = CALL(errand, &ignored, socketpair, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0,
                      IN_SCRATCH(errand, ends));
    if (result == LEAT_OK)
        result = leat__target_read(errand->session.thread, IN_SCRATCH(errand, ends), errand->ends,
                                   sizeof errand->ends);
    if (result == LEAT_OK)
        result = send_there(errand, file);
    return result == LEAT_OK ? receive_there(errand) : result;
}

static int map_there(struct errand *errand, int file, bool writable,
                     struct leat__remote_view *view) {
    char opened[PATH_SIZE];
    int64_t address = 0;
    int result = open_there(errand, file, writable);
    if (result != LEAT_OK && !errand->session.gone)
        result = pass_there(errand, file);
    if (result != LEAT_OK)
        return result;
    snprintf(opened, sizeof opened, "/proc/%d/fd/%d", errand->session.thread, errand->file);
    if (!is_file(opened, file))
        return leat__fail(LEAT_ESYSTEM, 0,
                          "another file than the region's was opened in process %d",
                          errand->session.process);
    result =
        CALL(errand, &address, mmap, 0, view->size,
             (uint64_t)(PROT_READ | (writable ? PROT_WRITE : 0)), MAP_SHARED, FD(errand->file), 0);
    if (result == LEAT_OK)
        view->address = (uint64_t)address;
    return result;
}

/* --- What the file is called in a list of mappings -------------------------------------------- */

static int identify(const struct leat__mapping *mapping, void *context) {
    struct leat__remote_view *view = context;
    if (view->address < mapping->start || view->address >= mapping->end)
        return 0;
    view->device = mapping->device;
    view->inode = mapping->inode;
    return 1;
}

struct check {
    const struct leat__remote_view *view;
    uint64_t next; /* so far, all from the view's start to here is the view */
};

static int check_mapping(const struct leat__mapping *mapping, void *context) {
    struct check *check = context;
    const struct leat__remote_view *view = check->view;
    if (mapping->end <= check->next || mapping->start > check->next ||
        check->next >= view->address + view->size)
        return 0;
    uint64_t offset = mapping->offset + (check->next - mapping->start);
    if (mapping->shared && mapping->device == view->device && mapping->inode == view->inode &&
        offset == check->next - view->address)
        check->next = mapping->end;
    return 0;
}

/* Whether all of the view is still what it was, in the process of the thread. */
static int check_view(const struct leat__remote_view *view, pid_t thread) {
    struct check check = {.view = view, .next = view->address};
    int result = leat__target_mappings(thread, check_mapping, &check);
    if (result == LEAT_OK && check.next < view->address + view->size)
        return leat__fail(LEAT_EINVAL, 0, "what process %d has at %#llx is not the region any more",
                          view->process, (unsigned long long)view->address);
    return result;
}

/* --- Mapping ---------------------------------------------------------------------------------- */

/* What is to be mapped. */
struct source {
    int file;
    const void *here; /* a view of it in this process */
    uint64_t size;
    bool writable;
};

static int note_start(struct leat__remote_view *view) {
    int result = leat__target_started(view->process, &view->started);
    return result == LEAT_ENOENT ? leat__fail(result, ESRCH, "process %d has ended", view->process)
                                 : result;
}

static int map_into_other(const struct source *source, struct leat__remote_view *view) {
    struct errand errand;
    int result = errand_begin(&errand, view->process);
    if (result != LEAT_OK)
        return result;
    result = note_start(view);
    if (result == LEAT_OK)
        result = map_there(&errand, source->file, source->writable, view);
    result = leat__session_confirm(&errand.session, result);
    errand_end(&errand);
    return result;
}

static int map_into_own(const struct source *source, struct leat__remote_view *view) {
    int result = note_start(view);
    if (result != LEAT_OK)
        return result;
    void *mapped = mmap(NULL, source->size, PROT_READ | (source->writable ? PROT_WRITE : 0),
                        MAP_SHARED, source->file, 0);
    if (mapped == MAP_FAILED)
        return leat__fail_system(errno, "cannot map %llu bytes", (unsigned long long)source->size);
    view->address = (uintptr_t)mapped;
    return LEAT_OK;
}

static int map(const struct source *source, int process, struct leat__remote_view *view) {
    bool own;
    int result = leat__target_check(process, &own);
    struct leat__remote_view made = {
        .process = process, .address = (uintptr_t)source->here, .size = source->size};
    if (result == LEAT_OK && !own && !leat__inject_possible)
        result = leat__fail(
            LEAT_ENOTSUP, 0,
            "this build of leat cannot map into other processes: its processor is not supported");
    if (result == LEAT_OK)
        result = leat__target_mappings(gettid(), identify, &made);
    if (result < 0)
        return result;
    result = own ? map_into_own(source, &made) : map_into_other(source, &made);
    if (result == LEAT_OK)
        *view = made;
    return result;
}

/* The region's file by a description of its own, which holds no lock. It is opened once more,
 * because what the region gives can be the open file of its handle. */
static int open_source(const leat_region *region, struct source *source) {
    char path[PATH_SIZE];
    int given, flags = source->writable ? O_RDWR : O_RDONLY;
    int result = leat_region_descriptor(region, source->writable ? LEAT_READ_WRITE : LEAT_READ_ONLY,
                                        false, &given);
    if (result != LEAT_OK)
        return result;
    snprintf(path, sizeof path, "/proc/thread-self/fd/%d", given);
    source->file = above_streams(open(path, flags | O_CLOEXEC));
    if (source->file < 0)
        result = leat__fail_system(errno, "cannot open the region's file once more");
    close(given);
    return result;
}

static int map_region(const leat_region *region, int process, struct leat__remote_view *view) {
    leat_region_details details;
    int result = leat_region_info(region, &details);
    if (result != LEAT_OK)
        return result;
    struct source source = {.here = leat_region_data(region),
                            .size = details.mapped_size,
                            .writable = details.access == LEAT_READ_WRITE};
    result = open_source(region, &source);
    if (result != LEAT_OK)
        return result;
    result = map(&source, process, view);
    close(source.file);
    return result;
}

/* --- Unmapping -------------------------------------------------------------------------------- */

static int unmap_from_other(const struct leat__remote_view *view) {
    struct errand errand = {.file = -1, .ends = {-1, -1}};
    int64_t ignored;
    int result = leat__session_begin(&errand.session, view->process);
    if (result != LEAT_OK)
        return result;
    result = check_view(view, errand.session.thread); /* now that it cannot end unnoticed */
    if (result == LEAT_OK)
        result = CALL(&errand, &ignored, munmap, view->address, view->size);
    result = leat__session_confirm(&errand.session, result);
    errand_end(&errand);
    return result;
}

static int lives(const struct leat__remote_view *view) {
    uint64_t started;
    int result = leat__target_started(view->process, &started);
    return result == LEAT_OK && started != view->started ? LEAT_ENOENT : result;
}

static int unmap(const struct leat__remote_view *view) {
    bool own;
    int result = lives(view);
    if (result == LEAT_ENOENT)
        return leat__fail(LEAT_ENOENT, ESRCH, "process %d has ended", view->process);
    if (result == LEAT_OK)
        result = leat__target_check(view->process, &own);
    if (result == LEAT_OK && !own)
        return unmap_from_other(view);
    if (result == LEAT_OK)
        result = check_view(view, gettid());
    if (result == LEAT_OK)
        munmap((void *)(uintptr_t)view->address, view->size);
    return result;
}

/* --- The contract of lib/remote/remote.h ------------------------------------------------------ */

int leat__remote_map(const leat_region *region, int process, struct leat__remote_view *view) {
    int cancel;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    int result = map_region(region, process, view);
    pthread_setcancelstate(cancel, NULL);
    return result;
}

int leat__remote_unmap(const struct leat__remote_view *view) {
    int cancel;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    int result = unmap(view);
    pthread_setcancelstate(cancel, NULL);
    return result;
}

int leat__remote_lives(const struct leat__remote_view *view) {
    int cancel;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    int result = lives(view);
    pthread_setcancelstate(cancel, NULL);
    return result;
}
