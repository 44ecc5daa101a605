/* lib/os/linux/fork.c - the list of what this process's handles own, and what becomes of it in a forked child.
 *
 * A child inherits open files, and with them the locks by which the kernel knows who is alive; left alone it would keep a dead
 * parent's channel "alive" for as long as it runs, and could act as a second sender. So a child gives everything up at once.
 * Children made by raw clone() or _Fork() run no handlers: docs/failure-model.md says so. */
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/os.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct leat__resource *first;
static _Thread_local uint32_t thread; /* its number, or 0: not asked yet. Asking takes longer than locking a mutex */

static void before_fork(void) {
    pthread_mutex_lock(&mutex);
}

static void after_fork_in_parent(void) {
    pthread_mutex_unlock(&mutex);
}

void leat__os_resource_init(struct leat__resource *resource) {
    *resource = (struct leat__resource){.file = LEAT__NO_FILE, .watch = LEAT__NO_FILE, .bell = LEAT__NO_FILE,
                                        .poll = LEAT__NO_FILE, .timer = LEAT__NO_FILE};
}

static void close_all(struct leat__resource *resource) {
    leat__file *const files[] = {&resource->file, &resource->watch, &resource->bell, &resource->poll, &resource->timer};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        leat__os_file_close(*files[i]);
        *files[i] = LEAT__NO_FILE;
    }
}

static void after_fork_in_child(void) {
    thread = 0;
    for (struct leat__resource *resource = first; resource != NULL; resource = resource->next) {
        resource->forked = true;
        if (resource->allowance != NULL)
            *resource->allowance = 0;
        close_all(resource);
        /* Zeros of the child's own in the same place, in one step: a handle finds an empty ring there and no fault. */
        if (resource->memory != NULL)
            (void)mmap(resource->memory, (size_t)resource->memory_size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    }
    pthread_mutex_unlock(&mutex);
}

static void install(void) {
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

uint32_t leat__os_thread(void) {
    if (thread == 0)
        thread = (uint32_t)syscall(SYS_gettid);
    return thread;
}

void leat__os_fork_hold(void) {
    pthread_once(&once, install);
    pthread_mutex_lock(&mutex);
}

void leat__os_fork_release(void) {
    pthread_mutex_unlock(&mutex);
}

void leat__os_resource_add(struct leat__resource *resource) {
    resource->previous = NULL;
    resource->next = first;
    if (first != NULL)
        first->previous = resource;
    first = resource;
}

void leat__os_resource_remove(struct leat__resource *resource) {
    if (resource->previous != NULL)
        resource->previous->next = resource->next;
    else
        first = resource->next;
    if (resource->next != NULL)
        resource->next->previous = resource->previous;
}
