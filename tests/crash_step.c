/* crash_step.c - see crash_step.h. */
#include "crash_step.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SYSCALL_INSTRUCTION 0x050f /* two bytes: 0f 05 */
#define IMAGES_MAX 4096
#define STEPS_MAX 20000000

bool crash_can_step(void) {
#if defined(__x86_64__)
    return true;
#else
    return false;
#endif
}

void crash_stop_here(void) {
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        harness_fail("cannot be traced: %s", strerror(errno));
    raise(SIGSTOP);
}

static int await_stop(pid_t victim) {
    int status = 0;
    while (waitpid(victim, &status, __WALL) < 0)
        if (errno != EINTR)
            harness_fail("waitpid(%d): %s", (int)victim, strerror(errno));
    if (!WIFSTOPPED(status))
        harness_fail("the victim ended by itself (status %#x)", (unsigned)status);
    return WSTOPSIG(status);
}

void crash_await_stop(pid_t victim) {
    int signal_number = await_stop(victim);
    if (signal_number != SIGSTOP)
        harness_fail("the victim was stopped by signal %d before its operation", signal_number);
}

/* --- Looking at the file ---------------------------------------------------------------------- */

/* The shared bytes, mapped from the moment that they have a name; and copies of what they have
 * been. */
struct watch {
    const char *path;
    unsigned char *bytes, *last;
    size_t size;
    ino_t inode;
    bool named;
    uint64_t seen[IMAGES_MAX];
    unsigned images;
};

static uint64_t hash(const struct watch *watch) { /* FNV-1a over words */
    uint64_t value = watch->named ? 0xcbf29ce484222325u : 1;
    for (size_t i = 0; i + 8 <= watch->size; i += 8) {
        uint64_t word;
        memcpy(&word, watch->last + i, 8);
        value = (value ^ word) * 0x100000001b3u;
        value ^= value >> 29;
    }
    return value;
}

static void note_image(struct watch *watch) {
    uint64_t value = hash(watch);
    for (unsigned i = 0; i < watch->images; i++)
        if (watch->seen[i] == value)
            return;
    if (watch->images == IMAGES_MAX)
        harness_fail("more than %d images", IMAGES_MAX);
    watch->seen[watch->images++] = value;
}

static void forget(struct watch *watch) {
    if (watch->bytes != NULL)
        munmap(watch->bytes, watch->size);
    free(watch->last);
    watch->bytes = watch->last = NULL;
    watch->size = 0;
}

/* After a system call: the name may have come, gone, or be another file's. A file that has lost its
 * name stays mapped. */
static void look_at_name(struct watch *watch) {
    struct stat status;
    watch->named = stat(watch->path, &status) == 0;
    if (!watch->named || (watch->bytes != NULL && status.st_ino == watch->inode))
        return;
    forget(watch);
    int file = open(watch->path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &status) != 0)
        harness_fail("%s: %s", watch->path, strerror(errno));
    watch->size = (size_t)status.st_size;
    watch->inode = status.st_ino;
    watch->bytes = mmap(NULL, watch->size, PROT_READ, MAP_SHARED, file, 0);
    watch->last = malloc(watch->size);
    if (watch->bytes == MAP_FAILED || watch->last == NULL)
        abort();
    memcpy(watch->last, watch->bytes, watch->size);
    close(file);
}

static bool changed(struct watch *watch) {
    if (watch->bytes == NULL || memcmp(watch->bytes, watch->last, watch->size) == 0)
        return false;
    memcpy(watch->last, watch->bytes, watch->size);
    return true;
}

/* --- Stepping --------------------------------------------------------------------------------- */

/* Replaces the C library's function, for this program and the library in it. That function reads a
 * page of the kernel, and begins anew when the kernel has written there meanwhile, at each tick. On
 * a busy machine two ticks are too close for a victim that is stepped, and it would never end. */
int clock_gettime(clockid_t clock, struct timespec *time) {
    return (int)syscall(SYS_clock_gettime, clock, time);
}

/* A system call that counts. How often the clock is read varies, and changes nothing. */
static bool at_system_call(pid_t victim) {
#if defined(__x86_64__)
    long place = ptrace(PTRACE_PEEKUSER, victim, (void *)offsetof(struct user, regs.rip), NULL);
    if ((ptrace(PTRACE_PEEKTEXT, victim, (void *)place, NULL) & 0xffff) != SYSCALL_INSTRUCTION)
        return false;
    return ptrace(PTRACE_PEEKUSER, victim, (void *)offsetof(struct user, regs.rax), NULL) !=
           SYS_clock_gettime;
#else
    (void)victim;
    return false;
#endif
}

/* One instruction. Signals other than the one that ends a step are passed on. */
static void step(pid_t victim) {
    for (int pass_on = 0;;) {
        if (ptrace(PTRACE_SINGLESTEP, victim, NULL, (void *)(intptr_t)pass_on) != 0)
            harness_fail("cannot step: %s", strerror(errno));
        pass_on = await_stop(victim);
        if (pass_on == SIGTRAP)
            return;
        if (pass_on == SIGABRT || pass_on == SIGSEGV || pass_on == SIGBUS)
            harness_fail("the victim failed by itself (signal %d)", pass_on);
    }
}

bool crash_step(pid_t victim, const harness_word *phase, const char *path, unsigned kill_at,
                struct crash_survey *survey) {
    static struct watch watch;
    watch = (struct watch){.path = path};
    struct crash_survey found = {0};
    look_at_name(&watch);
    note_image(&watch);
    while (atomic_load(phase) == CRASH_BEFORE)
        step(victim);
    while (found.events < kill_at && atomic_load(phase) == CRASH_DURING) {
        bool call = at_system_call(victim);
        step(victim);
        if (++found.steps > STEPS_MAX)
            harness_fail("the operation does not end");
        if (call)
            look_at_name(&watch);
        bool wrote = changed(&watch);
        if (call || wrote) {
            found.events++;
            found.calls += call;
            note_image(&watch);
        }
    }
    bool before_the_end = atomic_load(phase) == CRASH_DURING;
    found.images = watch.images;
    forget(&watch);
    harness_kill(victim);
    if (survey != NULL)
        *survey = found;
    return before_the_end;
}
