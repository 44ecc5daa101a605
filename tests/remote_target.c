/* remote_target.c - see remote_target.h. */
#include "remote_target.h"
#include "handles.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <unistd.h>

static int pause_for_ever(void *context) {
    harness_set(context, 1);
    for (;;)
        pause();
    return 0;
}

pid_t target_pausing(void) {
    harness_word *ready = harness_shared(sizeof *ready);
    pid_t pid = harness_spawn(pause_for_ever, ready);
    harness_await(ready, 1);
    harness_await_asleep(pid);
    return pid;
}

void target_need_ptrace(void) {
    pid_t pid = target_pausing();
    bool allowed = ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0; /* let go of when it is killed */
    harness_kill(pid);
    if (!allowed) {
        print_message("this process may not trace its children (container, or "
                      "kernel.yama.ptrace_scope): skipped\n");
        skip();
    }
}

static int open_of(pid_t pid, const char *what, int flags) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, what);
    int file = open(path, flags | O_CLOEXEC);
    if (file < 0)
        harness_fail("cannot open %s", path);
    return file;
}

/* Texts of a few moments, one after another. */
static char *read_of(pid_t pid, const char *what) {
    static char texts[4][1 << 17];
    static unsigned next;
    char *text = texts[next++ % 4];
    size_t size = 0;
    int file = open_of(pid, what, O_RDONLY);
    for (ssize_t got = 1; got > 0 && size<sizeof texts[0] - 1; size += got> 0 ? (size_t)got : 0)
        got = read(file, text + size, sizeof texts[0] - 1 - size);
    close(file);
    text[size] = 0;
    return text;
}

char *target_maps(pid_t pid) {
    return read_of(pid, "maps");
}

const char *target_permissions(pid_t pid, uint64_t address) {
    static char permissions[5];
    char start[32];
    snprintf(start, sizeof start, "\n%llx-", (unsigned long long)address);
    const char *line = strstr(target_maps(pid), start);
    permissions[0] = 0;
    if (line != NULL && sscanf(line, "%*s %4s", permissions) != 1)
        harness_fail("a line of maps without permissions: %s", line);
    return permissions;
}

char target_state(pid_t pid) {
    const char *end = strrchr(read_of(pid, "stat"), ')');
    return end == NULL ? '?' : end[2];
}

bool target_status_says(pid_t pid, const char *text) {
    return strstr(read_of(pid, "status"), text) != NULL;
}

void target_peek(pid_t pid, uint64_t address, void *buffer, size_t size) {
    int memory = open_of(pid, "mem", O_RDONLY);
    assert_int_equal(pread(memory, buffer, size, (off_t)address), size);
    close(memory);
}

void target_poke(pid_t pid, uint64_t address, const void *data, size_t size) {
    int memory = open_of(pid, "mem", O_WRONLY);
    assert_int_equal(pwrite(memory, data, size, (off_t)address), size);
    close(memory);
}

int target_descriptors(pid_t pid) {
    char path[64];
    int count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *files = opendir(path);
    assert_non_null(files);
    while (readdir(files) != NULL)
        count++;
    closedir(files);
    return count;
}

void target_map_and_unmap(leat_region *region, pid_t pid) {
    static uint32_t mark = 1;
    uint32_t seen, *here = leat_region_data(region);
    uint64_t address = 0;
    assert_ok(leat_region_map_into(region, pid, &address));
    *(volatile uint32_t *)here = ++mark;
    target_peek(pid, address, &seen, sizeof seen);
    assert_int_equal(seen, mark);
    ++mark;
    target_poke(pid, address, &mark, sizeof mark);
    assert_int_equal(*(volatile uint32_t *)here, mark);
    assert_ok(leat_region_unmap_from(pid, address));
    assert_string_equal(target_permissions(pid, address), "");
}

leat_region *target_region(uint64_t size) {
    leat_region *region;
    assert_ok(create_region(&region, "remote", size, NULL));
    return region;
}

void target_assert_refused(leat_region *region, pid_t pid, int code, const char *words) {
    uint64_t address = 4711;
    assert_leat(leat_region_map_into(region, pid, &address), code);
    assert_int_equal(address, 4711);
    if (strstr(leat_error_detail(), words) == NULL)
        harness_fail("\"%s\" is not in: %s", words, leat_error_detail());
}

/* --- A program that computes and checks its own results --------------------------------------- */

double target_sum(uint64_t seed) {
    double sum = 0, scale = 1;
    uint64_t x = seed;
    for (int i = 0; i < 2000; i++) {
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        scale = scale * 0.999 + (double)(x >> 40) * 1e-6;
        sum += scale / (double)(i + 1);
    }
    return sum;
}

void *target_work(void *context) {
    struct target_work *shared = context;
    harness_increment(&shared->ready);
    for (uint64_t seed = 1; atomic_load(&shared->stop) == 0; seed++) {
        volatile double first = target_sum(seed), second = target_sum(seed);
        if (first != second)
            harness_increment(&shared->wrong);
        atomic_fetch_add(&shared->done, 1);
    }
    return NULL;
}

/* The first thread is as busy as the rest, so that whichever is chosen is in the middle of
 * something. */
int target_compute(void *context) {
    pthread_t threads[TARGET_THREADS];
    for (int i = 1; i < TARGET_THREADS; i++)
        pthread_create(&threads[i], NULL, target_work, context);
    target_work(context);
    for (int i = 1; i < TARGET_THREADS; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
