/* test_limits_memory.c - a request for more memory than there is is refused before memory is taken:
 * by the machine's figures and by those of memory cgroups of both versions, invented and real. A
 * request that could be satisfied is never refused. */
#include "handles.h"
#include "harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "lib/os/linux/space.h"

#define SKIPPED 77
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define ABSURD (UINT64_C(1) << 45)

/* --- Made up ---------------------------------------------------------------------------------- */

static char tree[200];

/* A file in a tree of this test's own, and the directories above it. */
static void write_in(const char *name, const char *text) {
    char path[400];
    snprintf(path, sizeof path, "%s/%s", tree, name);
    for (char *slash = path + strlen(tree) + 1; (slash = strchr(slash, '/')) != NULL;
         *slash++ = '/') {
        *slash = 0;
        mkdir(path, 0700);
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void begin(void) {
    snprintf(tree, sizeof tree, "/tmp/leat-limits-XXXXXX");
    assert_non_null(mkdtemp(tree));
    write_in("proc/meminfo",
             "MemTotal: 9999999 kB\nMemFree: 1048576 kB\nMemAvailable: 1 kB\nActive(file): 512 kB\n"
             "Inactive(file): 512 kB\nSwapFree: 1024 kB\nKReclaimable: 2048 kB\nSReclaimable: 1024 "
             "kB\n");
}

static void end(void) {
    struct harness_output output;
    harness_run_command(&output, HARNESS_ARGV("rm", "-r", tree), NULL, 0);
    assert_int_equal(output.exit_code, 0);
}

static char figures[400];

static bool has_room(uint64_t wanted) {
    char proc[300], cgroups[300];
    snprintf(proc, sizeof proc, "%s/proc", tree);
    snprintf(cgroups, sizeof cgroups, "%s/cgroup", tree);
    struct leat__linux_sources sources = {proc, cgroups, 0};
    figures[0] = 0;
    return leat__linux_has_room(&sources, wanted, figures, sizeof figures);
}

/* What is free, what the file cache and the kernel could give, and swap. */
static void the_machine_sets_a_limit(void **state) {
    (void)state;
    begin();
    assert_true(has_room(GIB + 4 * MIB));
    assert_false(has_room(GIB + 4 * MIB + 1));
    assert_string_equal(figures, "1077936128 of memory and swap can be had");
    write_in("proc/meminfo", "MemFree: 1048576 kB\nSReclaimable: 1024 kB");
    assert_true(has_room(GIB + MIB));
    assert_false(has_room(GIB + MIB + 1));
    end();
}

static void what_cannot_be_read_sets_no_limit(void **state) {
    (void)state;
    begin();
    write_in("proc/meminfo", "");
    assert_true(has_room(ABSURD));
    write_in("proc/meminfo", "MemFree is not here\n");
    write_in("proc/self/cgroup", "nonsense\n:\n::\n0:\nmemory\n4:memory\n4:memory:\n0::/a\n");
    assert_true(has_room(ABSURD));
    write_in("cgroup/a/memory.max", "x\n");
    write_in("cgroup/a/memory.current", "0\n");
    assert_true(has_room(ABSURD));
    write_in("cgroup/a/memory.max", "1048576\n"); /* and nothing that says what could be freed */
    write_in("cgroup/a/memory.current", "1048576\n");
    assert_true(has_room(ABSURD)); /* nor what swap there is */
    write_in("proc/meminfo", "MemFree: 99999999999 kB\nSwapFree: 0 kB\n");
    assert_false(has_room(ABSURD));
    write_in("proc/self/cgroup", "4:memoryless,notmemory:/a\n");
    assert_true(has_room(ABSURD));
    end();
}

static void a_cgroup_of_the_second_generation_sets_a_limit(void **state) {
    (void)state;
    begin();
    write_in("proc/self/cgroup", "1:name=systemd:/x\n0::/above/inner\n");
    write_in("cgroup/above/inner/memory.max", "max\n");
    write_in("cgroup/above/inner/memory.current", "104857600\n");
    write_in("cgroup/above/memory.max", "209715200\n");
    write_in("cgroup/above/memory.current", "104857600\n");
    write_in("cgroup/above/memory.swap.max", "0\n");
    write_in("cgroup/above/memory.swap.current", "0\n");
    write_in("cgroup/above/memory.stat",
             "anon 94371840\nfile 10485760\nkernel 0\nactive_file 1048576\ninactive_file 2097152\n"
             "slab_reclaimable 1048576\n");
    /* 100 are free, 4 could be, and each page needs a little more */
    assert_true(has_room(100 * MIB));
    assert_true(has_room(103 * MIB));
    assert_false(has_room(104 * MIB));
    assert_non_null(strstr(
        figures,
        "109051904 can be had in the memory cgroup /above (limit 209715200, used 104857600)"));
    write_in("cgroup/above/memory.swap.max", "max\n"); /* the machine has 1 MiB of swap */
    assert_true(has_room(104 * MIB));
    assert_false(has_room(105 * MIB));
    write_in("cgroup/above/inner/memory.max", "105906176\n"); /* the least counts */
    write_in("cgroup/above/inner/memory.stat", "anon 104857600\n");
    assert_false(has_room(3 * MIB));
    assert_non_null(strstr(figures, "memory cgroup /above/inner"));
    assert_true(has_room(MIB));
    end();
}

static void a_cgroup_of_the_first_generation_sets_a_limit(void **state) {
    (void)state;
    begin();
    write_in("proc/self/cgroup", "5:cpu,memory:/job\n0::/\n");
    write_in("cgroup/memory/job/memory.limit_in_bytes", "209715200\n");
    write_in("cgroup/memory/job/memory.usage_in_bytes", "104857600\n");
    write_in("cgroup/memory/job/memory.stat",
             "cache 1\ntotal_cache 104857600\ntotal_rss 0\ntotal_active_file 1048576\n");
    assert_true(has_room(101 * MIB)); /* with the machine's swap */
    assert_false(has_room(102 * MIB));
    write_in("cgroup/memory/job/memory.memsw.limit_in_bytes", "209715200\n");
    write_in("cgroup/memory/job/memory.memsw.usage_in_bytes", "104857600\n");
    assert_true(has_room(100 * MIB));
    assert_false(has_room(101 * MIB));
    write_in("cgroup/memory/job/memory.limit_in_bytes", "9223372036854771712\n"); /* none */
    assert_true(has_room(GIB));
    end();
}

/* In a container the path can be the host's, and the root of what is mounted the group. */
static void a_cgroup_that_is_known_to_the_host_alone_is_found_at_the_root(void **state) {
    (void)state;
    begin();
    write_in("proc/self/cgroup", "0::/docker/0123\n");
    write_in("cgroup/memory.max", "1048576\n");
    write_in("cgroup/memory.current", "0\n");
    write_in("cgroup/memory.stat", "anon 0\n");
    assert_false(has_room(10 * MIB));
    assert_true(has_room(MIB));
    end();
}

/* --- On a small stack ------------------------------------------------------------------------- */

#define STACK_SIZE (32 << 10)

static void *create_large(void *context) {
    leat_region *region = NULL, *anonymous = NULL;
    int *result = context;
    *result = create_region(&region, "large", 2 * MIB, NULL);
    if (*result == LEAT_OK)
        *result = leat_region_grow(region, 4 * MIB);
    if (*result == LEAT_OK)
        *result = create_region(&anonymous, NULL, 2 * MIB, NULL);
    leat_region_close(region);
    leat_region_close(anonymous);
    return NULL;
}

static void a_large_region_is_created_on_a_small_stack(void **state) {
    (void)state;
    pthread_t thread;
    pthread_attr_t attributes;
    int result = 1;
    if (HARNESS_SANITIZED)
        skip();
    assert_int_equal(pthread_attr_init(&attributes), 0);
    if (pthread_attr_setstacksize(&attributes, STACK_SIZE) != 0)
        skip();
    assert_int_equal(pthread_create(&thread, &attributes, create_large, &result), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attributes);
    assert_int_equal(result, LEAT_OK);
}

/* --- Real ------------------------------------------------------------------------------------- */

/* Should it not be refused, this process is the one to be killed. */
static void be_the_victim(void) {
    FILE *file = fopen("/proc/self/oom_score_adj", "w");
    if (file != NULL) {
        fputs("1000", file);
        fclose(file);
    }
}

static int want_too_much(void *context) {
    (void)context;
    leat_region *region = NULL, *second = NULL;
    static const leat_region_options grows = {.size_policy = LEAT_SIZE_GROW};
    int descriptor;
    be_the_victim();
    assert_leat(create_region(&region, NULL, ABSURD, NULL), LEAT_ENOSPC);
    assert_non_null(strstr(leat_error_detail(), "35184372088832 bytes wanted"));
    assert_non_null(strstr(leat_error_detail(), "can be had"));
    assert_ok(create_region(&region, NULL, MIB, NULL));
    memset(leat_region_data(region), 'x', MIB);
    assert_leat(leat_region_grow(region, ABSURD), LEAT_ENOSPC);
    assert_int_equal(leat_region_size(region), MIB);
    assert_ok(leat_region_descriptor(region, LEAT_READ_WRITE, false, &descriptor));
    assert_leat(leat_region_open_descriptor(&second, descriptor, ABSURD, &grows), LEAT_ENOSPC);
    assert_null(second);
    close(descriptor);
    assert_ok(leat_region_grow(region, 4 * MIB));
    assert_int_equal(((char *)leat_region_data(region))[MIB - 1], 'x');
    leat_region_close(region);
    return 0;
}

static void an_anonymous_region_beyond_the_memory_is_refused(void **state) {
    (void)state;
    harness_wait_ok(harness_spawn(want_too_much, NULL));
}

static int fill_a_promising_file_system(void *context) {
    const char *path = context;
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", path, "tmpfs", MS_NOSUID, "size=64t,mode=0700") != 0)
        return SKIPPED;
    char file[300];
    snprintf(file, sizeof file, "%s/file", path);
    leat_region *region = NULL;
    be_the_victim();
    assert_leat(create_region(&region, "large", ABSURD, NULL), LEAT_ENOSPC);
    assert_non_null(strstr(leat_error_detail(), "can be had"));
    assert_leat(file_region(&region, file, LEAT_CREATE, ABSURD, NULL), LEAT_ENOSPC);
    assert_int_equal(access(file, F_OK), -1);
    assert_ok(create_region(&region, "large", 2 * MIB, NULL));
    assert_leat(leat_region_grow(region, ABSURD), LEAT_ENOSPC);
    leat_region_close(region);
    return 0;
}

static void a_file_system_that_promises_more_than_the_memory_is_not_believed(void **state) {
    (void)state;
    int status = harness_wait(
        harness_spawn(fill_a_promising_file_system, (void *)(uintptr_t)harness_directory()));
    if (status == SKIPPED << 8)
        skip();
    assert_int_equal(status, 0);
}

/* --- In a cgroup of 64 MiB -------------------------------------------------------------------- */

static bool write_to(const char *directory, const char *name, const char *text) {
    char path[400];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int file = open(path, O_WRONLY | O_CLOEXEC);
    bool good = file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text);
    if (file >= 0)
        close(file);
    return good;
}

/* More and more, until it is refused; never killed. */
static int fill_the_cgroup(void *context) {
    const char *group = context;
    leat_region *regions[100];
    int result = LEAT_OK, count = 0;
    if (!write_to(group, "cgroup.procs", "0"))
        return SKIPPED;
    assert_leat(create_region(&regions[0], NULL, 128 * MIB, NULL), LEAT_ENOSPC);
    assert_non_null(strstr(leat_error_detail(), "memory cgroup"));
    assert_leat(create_region(&regions[0], "named", 128 * MIB, NULL), LEAT_ENOSPC);
    assert_ok(create_region(&regions[0], NULL, 48 * MIB, NULL)); /* what fits is had */
    assert_leat(leat_region_grow(regions[0], 128 * MIB), LEAT_ENOSPC);
    leat_region_close(regions[0]);
    while (count < 100 && (result = create_region(&regions[count], NULL, MIB, NULL)) == LEAT_OK)
        count++;
    assert_int_equal(result, LEAT_ENOSPC);
    assert_in_range(count, 48, 64);
    while (count > 0)
        leat_region_close(regions[--count]);
    return 0;
}

static bool make_group(char *group, size_t size) {
    snprintf(group, size, "/sys/fs/cgroup/memory/leat-test-%d", (int)getpid());
    if (mkdir(group, 0700) == 0)
        return write_to(group, "memory.limit_in_bytes", "67108864");
    snprintf(group, size, "/sys/fs/cgroup/leat-test-%d", (int)getpid());
    return mkdir(group, 0700) == 0 && write_to(group, "memory.max", "67108864");
}

static void a_memory_cgroup_refuses_and_does_not_kill(void **state) {
    (void)state;
    char group[200];
    if (HARNESS_SANITIZED) /* whose own memory would be the cgroup's */
        skip();
    bool made = make_group(group, sizeof group);
    int status = made ? harness_wait(harness_spawn(fill_the_cgroup, group)) : SKIPPED << 8;
    for (int i = 0; i < 1000 && rmdir(group) != 0 && access(group, F_OK) == 0; i++)
        usleep(10000);
    if (status == SKIPPED << 8)
        skip();
    assert_int_equal(status, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(the_machine_sets_a_limit),
        HARNESS_TEST(what_cannot_be_read_sets_no_limit),
        HARNESS_TEST(a_cgroup_of_the_second_generation_sets_a_limit),
        HARNESS_TEST(a_cgroup_of_the_first_generation_sets_a_limit),
        HARNESS_TEST(a_cgroup_that_is_known_to_the_host_alone_is_found_at_the_root),
        HARNESS_TEST(a_large_region_is_created_on_a_small_stack),
        HARNESS_TEST(an_anonymous_region_beyond_the_memory_is_refused),
        HARNESS_TEST(a_file_system_that_promises_more_than_the_memory_is_not_believed),
        HARNESS_TEST(a_memory_cgroup_refuses_and_does_not_kill),
    };
    return HARNESS_MAIN("limits_memory", tests);
}
