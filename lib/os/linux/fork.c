/* lib/os/linux/fork.c - what this process's handles own, and how a forked child gives it up.
 *
 * A child inherits open files, and with them the locks by which the kernel knows which handles
 * live. It would keep a dead parent's channel "alive" for as long as it runs, and could act as a
 * second sender. So a child gives everything up at once.
 *
 * Descriptors are put on a list by the functions that make them (lib/os/linux/calls.h): each is on
 * it from the moment it exists. One lock guards this list and the list of handles; it is the
 * innermost lock of the process. A thread that holds it waits for no other. It is held for a few
 * instructions and one fast system call, and for longer while a watch is begun, or its notices are
 * taken and distributed. While a thread holds it, its signals wait and it cannot be cancelled: so a
 * handler may fork, and a cancelled thread leaves nothing locked.
 *
 * The fork handlers are registered when the library is loaded, before any handler that could use
 * the library. A handler that was registered even earlier may still use it: the forking thread has
 * the lock already, and in the child the first call of the library gives everything up.
 *
 * Children made by raw clone(), vfork(), posix_spawn() or _Fork() run no handlers:
 * docs/failure-model.md has the consequences. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "lib/os/linux/calls.h"

/* --- The lock --------------------------------------------------------------------------------- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct {
    sigset_t signals;
    int cancel;
} before; /* of the thread that holds the mutex */
static _Thread_local unsigned depth;
/* the process that this thread is forking, from the first handler to the last; or 0 */
static _Thread_local pid_t forking;
/* its number, or 0: not read yet. Reading it takes longer than locking a mutex */
static _Thread_local uint32_t thread;

static void give_up(void);

static void lock(void) {
    int cancel;
    sigset_t all, signals;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &signals);
    pthread_mutex_lock(&mutex);
    before.signals = signals;
    before.cancel = cancel;
}

static void unlock(void) {
    int cancel = before.cancel;
    sigset_t signals = before.signals;
    pthread_mutex_unlock(&mutex);
    pthread_sigmask(SIG_SETMASK, &signals, NULL);
    pthread_setcancelstate(cancel, NULL);
}

void leat__os_fork_hold(void) {
    if (forking != 0 && forking != getpid())
        give_up();
    if (depth == 0) /* counted after locking: a handler that forks before must take the lock */
        lock();
    depth++;
}

void leat__os_fork_release(void) {
    if (--depth == 0)
        unlock();
}

/* --- Descriptors ------------------------------------------------------------------------------ */

#define WORD_BITS 64
#define WORDS_MIN 64 /* 4,096 descriptors without an allocation */

static uint64_t few[WORDS_MIN], *owned = few; /* a bit for each number */
static size_t words = WORDS_MIN;

static int make_room(size_t word) {
    size_t more = words;
    while (more <= word)
        more *= 2;
    uint64_t *grown = calloc(more, sizeof *grown);
    if (grown == NULL)
        return -1;
    memcpy(grown, owned, words * sizeof *owned);
    if (owned != few)
        free(owned);
    owned = grown;
    words = more;
    return 0;
}

int leat__linux_raise(int descriptor) {
    if (descriptor < 0 || descriptor > STDERR_FILENO)
        return descriptor;
    int raised = fcntl(descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1), error = errno;
    leat__linux_close(descriptor);
    errno = error;
    return raised;
}

/* While holding. */
static int own(int descriptor) {
    int raised = leat__linux_raise(descriptor);
    if (raised < 0)
        return -1;
    size_t word = (size_t)raised / WORD_BITS;
    if (word >= words && make_room(word) != 0) {
        leat__linux_close(raised);
        errno = ENOMEM;
        return -1;
    }
    owned[word] |= UINT64_C(1) << raised % WORD_BITS;
    return raised;
}

#define OWNED(call)                                                                                \
    leat__os_fork_hold();                                                                          \
    int made = own(call), error = errno;                                                           \
    leat__os_fork_release();                                                                       \
    errno = error;                                                                                 \
    return made

int leat__linux_openat(int directory, const char *path, int flags, mode_t mode) {
    OWNED(openat(directory, path, flags | O_CLOEXEC, mode));
}

int leat__linux_duplicate(int descriptor, int least) {
    OWNED(fcntl(descriptor, F_DUPFD_CLOEXEC, least));
}

int leat__linux_memfd(const char *name, unsigned flags) {
    OWNED(memfd_create(name, flags | MFD_CLOEXEC));
}

int leat__linux_inotify(int flags) {
    OWNED(inotify_init1(flags | IN_CLOEXEC));
}

int leat__linux_epoll(void) {
    OWNED(epoll_create1(EPOLL_CLOEXEC));
}

int leat__linux_timer(void) {
    OWNED(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
}

int leat__linux_event(void) {
    OWNED(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

int leat__linux_socket(int domain, int type) {
    OWNED(socket(domain, type | SOCK_CLOEXEC, 0));
}

bool leat__linux_pipe(int ends[2]) {
    int made[2] = {-1, -1};
    leat__os_fork_hold();
    int failed = pipe2(made, O_CLOEXEC | O_NONBLOCK);
    for (int i = 0; i < 2; i++)
        ends[i] = own(made[i]);
    leat__os_fork_release();
    if (failed == 0 && ends[0] >= 0 && ends[1] >= 0)
        return true;
    leat__os_file_close(ends[0]);
    leat__os_file_close(ends[1]);
    return false;
}

int leat__linux_open_plain(int directory, const char *path, int flags) {
    int cancel;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    int opened = leat__linux_raise(openat(directory, path, flags | O_CLOEXEC));
    pthread_setcancelstate(cancel, NULL);
    return opened;
}

/* fdopen and fdopendir take the descriptor over, or fail. */
static void close_after(int file) {
    int error = errno;
    if (file >= 0)
        leat__linux_close(file);
    errno = error;
}

FILE *leat__linux_open_text(const char *path) {
    int file = leat__linux_open_plain(AT_FDCWD, path, O_RDONLY | O_NOCTTY);
    FILE *text = file >= 0 ? fdopen(file, "r") : NULL;
    if (text == NULL)
        close_after(file);
    return text;
}

DIR *leat__linux_open_names(int directory, const char *path) {
    int file = leat__linux_open_plain(directory, path, O_RDONLY | O_DIRECTORY);
    DIR *names = file >= 0 ? fdopendir(file) : NULL;
    if (names == NULL)
        close_after(file);
    return names;
}

bool leat__linux_disown(int descriptor) {
    size_t word = (size_t)descriptor / WORD_BITS;
    uint64_t bit = UINT64_C(1) << descriptor % WORD_BITS;
    leat__os_fork_hold();
    bool was = word < words && (owned[word] & bit) != 0;
    if (was)
        owned[word] &= ~bit;
    leat__os_fork_release();
    return was;
}

/* A fork in between leaves a descriptor in the child that is on no list; its locks, if it had any,
 * were given up before. */
void leat__os_file_close(leat__file file) {
    if (file == LEAT__NO_FILE)
        return;
    (void)leat__linux_disown(file);
    leat__linux_close(file);
}

/* --- Handles ---------------------------------------------------------------------------------- */

static struct leat__resource *first;

void leat__os_resource_init(struct leat__resource *resource) {
    *resource = (struct leat__resource){.file = LEAT__NO_FILE,
                                        .watch = LEAT__NO_FILE,
                                        .notify = LEAT__NO_FILE,
                                        .poll = LEAT__NO_FILE,
                                        .timer = LEAT__NO_FILE};
}

void leat__os_resource_add(struct leat__resource *resource) {
    leat__os_fork_hold();
    resource->previous = NULL;
    resource->next = first;
    if (first != NULL)
        first->previous = resource;
    first = resource;
    leat__os_fork_release();
}

void leat__os_resource_remove(struct leat__resource *resource) {
    leat__os_fork_hold();
    if (resource->previous != NULL)
        resource->previous->next = resource->next;
    else if (first == resource)
        first = resource->next;
    if (resource->next != NULL)
        resource->next->previous = resource->previous;
    resource->next = resource->previous = NULL;
    leat__os_fork_release();
}

/* --- Fork ------------------------------------------------------------------------------------- */

static void close_owned(void) {
    for (size_t word = 0; word < words; word++)
        for (; owned[word] != 0; owned[word] &= owned[word] - 1)
            leat__linux_close((int)word * WORD_BITS + __builtin_ctzll(owned[word]));
}

static void give_up_handle(struct leat__resource *resource) {
    resource->forked = true;
    for (int i = 0; i < 2; i++)
        if (resource->allowances[i] != NULL)
            *resource->allowances[i] = 0;
    resource->file = resource->watch = resource->notify = resource->poll = resource->timer =
        LEAT__NO_FILE;
    /* Zeros of the child's own in the same place, in one step: a handle finds an empty ring there
     * and no fault. */
    if (resource->memory != NULL)
        (void)mmap(resource->memory, (size_t)resource->memory_size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

static void before_fork(void) {
    leat__os_fork_hold();
    forking = getpid();
}

/* In the child, once. */
static void give_up(void) {
    forking = 0;
    thread = 0;
    close_owned();
    for (struct leat__resource *resource = first; resource != NULL; resource = resource->next)
        give_up_handle(resource);
    leat__os_fork_release();
}

static void after_fork_in_parent(void) {
    forking = 0;
    leat__os_fork_release();
}

static void after_fork_in_child(void) {
    if (forking != 0)
        give_up();
}

__attribute__((constructor)) static void install(void) {
    (void)pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

uint32_t leat__os_thread(void) {
    if (thread == 0)
        thread = (uint32_t)syscall(SYS_gettid);
    return thread;
}

int leat__os_cancellation_hold(void) {
    int state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    return state;
}

void leat__os_cancellation_release(int state) {
    pthread_setcancelstate(state, NULL);
}

void leat__os_cancellation_point(void (*leave)(void *context), void *context) {
    pthread_cleanup_push(leave, context);
    pthread_testcancel();
    pthread_cleanup_pop(0);
}
