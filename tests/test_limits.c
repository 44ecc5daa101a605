/* test_limits.c - the machine or the process runs out of something: shared memory, file size,
 * descriptors, address space. Each is a documented error with figures in its detail, no signal, and
 * nothing left behind. Every test does it in a child, because limits cannot be given back. */
#include "handles.h"
#include "harness.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "leat/view.h"

#define SKIPPED 77

#define MIB ((uint64_t)1 << 20)

static void limit_to(int resource, rlim_t value) {
    struct rlimit limit = {value, value};
    assert_int_equal(setrlimit((__rlimit_resource_t)resource, &limit), 0);
}

static size_t files_in(const char *directory) {
    char command[512];
    struct harness_output output;
    snprintf(command, sizeof command, "ls -A %s | wc -l", directory);
    harness_run_command(&output, HARNESS_ARGV("sh", "-c", command), NULL, 0);
    return (size_t)atoi(output.out);
}

/* Regions that are too large fail with the code and figures; regions that fit succeed before and
 * after. */
static void expect_space(const char *name, leat_scope scope, const char *figure) {
    leat_region *region = NULL;
    leat_sender *sender = NULL;
    leat_receiver *receiver = NULL;
    leat_region_options options = {.scope = scope};
    leat_channel_options channel_options = {.scope = scope, .capacity = 4 * MIB};
    for (int round = 0; round < 2; round++) {
        assert_leat(create_region(&region, name, 2 * MIB, &options), LEAT_ENOSPC);
        assert_non_null(strstr(leat_error_detail(), "2097152"));
        assert_non_null(strstr(leat_error_detail(), figure));
        assert_leat(open_or_create_region(&region, name, 2 * MIB, &options), LEAT_ENOSPC);
        assert_leat(leat_sender_open(&sender, name, &channel_options), LEAT_ENOSPC);
        assert_leat(leat_receiver_open(&receiver, name, &channel_options), LEAT_ENOSPC);
        assert_leat(open_region(&region, name, 0, &options), LEAT_ENOENT);
        assert_ok(create_region(&region, name, MIB / 2, &options));
        memset(leat_region_data(region), 1, MIB / 2); /* reserved: no SIGBUS */
        leat_region_close(region);
        region = NULL;
    }
}

/* --- A small tmpfs ---------------------------------------------------------------------------- */

/* Mounts one in a namespace of this process's own; false where that is not permitted. */
static bool mount_small_tmpfs(const char *path) {
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return false;
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", path, "tmpfs", MS_NOSUID, "size=1m,mode=0700") == 0;
}

static int fill_a_small_tmpfs(void *context) {
    (void)context;
    char path[300];
    snprintf(path, sizeof path, "%s/small", harness_directory());
    if (mkdir(path, 0700) != 0 || !mount_small_tmpfs(path))
        return SKIPPED;
    setenv("LEAT_DIR", path, 1);
    expect_space("large", LEAT_LOCAL, "1048576");
    assert_int_equal(files_in(path), 0);
    return 0;
}

static int fill_a_small_global_scope(void *context) {
    (void)context;
    if (!mount_small_tmpfs("/dev/shm"))
        return SKIPPED;
    expect_space("large", LEAT_GLOBAL, "1048576");
    assert_int_equal(files_in("/dev/shm"), 0);
    return 0;
}

/* One that fits while another one is there takes what the other left. */
static int share_a_small_tmpfs(void *context) {
    (void)context;
    char path[300];
    snprintf(path, sizeof path, "%s/small", harness_directory());
    if (mkdir(path, 0700) != 0 || !mount_small_tmpfs(path))
        return SKIPPED;
    setenv("LEAT_DIR", path, 1);
    leat_region *first, *second = NULL;
    assert_ok(create_region(&first, "first", MIB * 3 / 4, NULL));
    assert_leat(create_region(&second, "second", MIB / 2, NULL), LEAT_ENOSPC);
    memset(leat_region_data(first), 1, MIB * 3 / 4);
    leat_region_close(first);
    assert_ok(create_region(&second, "second", MIB / 2, NULL));
    leat_region_close(second);
    return 0;
}

static void run_or_skip(int (*run)(void *)) {
    char path[300];
    int status = harness_wait(harness_spawn(run, NULL));
    snprintf(path, sizeof path, "%s/small", harness_directory());
    rmdir(path);
    if (status == SKIPPED << 8) {
        print_message("no tmpfs can be mounted here: skipped\n");
        skip();
    }
    assert_int_equal(status, 0);
}

/* GD-16, GD-18, RT-09, W32-12. */
static void a_full_tmpfs_is_an_error_with_figures(void **state) {
    (void)state;
    run_or_skip(fill_a_small_tmpfs);
}

static void a_full_global_scope_is_an_error_with_figures(void **state) {
    (void)state;
    run_or_skip(fill_a_small_global_scope);
}

static void what_others_left_of_a_tmpfs_can_be_had(void **state) {
    (void)state;
    run_or_skip(share_a_small_tmpfs);
}

/* --- Limits of the process -------------------------------------------------------------------- */

static int create_with_limited_file_size(void *context) {
    (void)context;
    limit_to(RLIMIT_FSIZE, MIB);
    expect_space("large", LEAT_LOCAL, "1048576");
    return 0;
}

static void a_limit_of_file_size_is_an_error_and_no_signal(void **state) {
    (void)state;
    harness_wait_ok(harness_spawn(create_with_limited_file_size, NULL));
    assert_int_equal(harness_names_left(), 0);
}

/* Makes each single descriptor, one after another, unavailable. */
static int open_with_limited_descriptors(void *context) {
    const char *kind = context;
    close(open("/dev/null", O_RDONLY | O_CLOEXEC));
    int failures = 0, result = LEAT_ELIMIT;
    for (rlim_t limit = 3; result == LEAT_ELIMIT && limit < 40; limit++) {
        struct rlimit soft = {limit, 1024};
        leat_region *region = NULL;
        leat_sender *sender = NULL;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &soft), 0);
        result = kind[0] == 'r' ? open_or_create_region(&region, "few", 0, NULL)
                                : leat_sender_open(&sender, "few", NULL);
        failures += result == LEAT_ELIMIT;
        leat_region_close(region);
        leat_sender_close(sender);
    }
    assert_ok(result);
    assert_true(failures > 0);
    return 0;
}

/* GD-16, RS-06. */
static void running_out_of_descriptors_is_an_error_at_every_step(void **state) {
    (void)state;
    harness_wait_ok(harness_spawn(open_with_limited_descriptors, (char[]){"region"}));
    assert_int_equal(harness_names_left(), 0);
    harness_wait_ok(harness_spawn(open_with_limited_descriptors, (char[]){"channel"}));
    assert_int_equal(harness_names_left(), 0);
}

/* The handle that is open when descriptors run out closes properly, and its name goes. */
static int close_with_limited_descriptors(void *context) {
    (void)context;
    leat_region *region;
    struct rlimit none = {0, 1024};
    assert_ok(create_region(&region, "closing", 0, NULL));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    leat_region_close(region);
    return 0;
}

static void closing_without_descriptors_leaves_nothing_that_does_not_heal(void **state) {
    (void)state;
    harness_wait_ok(harness_spawn(close_with_limited_descriptors, NULL));
    leat_region *region = NULL;
    assert_leat(open_region(&region, "closing", 0, NULL), LEAT_ENOENT);
    assert_ok(leat_gc(LEAT_LOCAL, NULL, NULL));
    assert_int_equal(harness_names_left(), 0);
}

#if defined(__has_feature) /* clang's way of saying it */
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

static int map_with_limited_address_space(void *context) {
    (void)context;
    limit_to(RLIMIT_AS, 300 * MIB);
    leat_region *region = NULL;
    leat_receiver *receiver = NULL;
    assert_leat(create_region(&region, "wide", 350 * MIB, NULL), LEAT_ENOMEM);
    assert_int_equal(harness_names_left(), 0);
    assert_leat(
        leat_receiver_open(&receiver, "wide", &(leat_channel_options){.capacity = 512 * MIB}),
        LEAT_ENOMEM);
    assert_int_equal(harness_names_left(), 0);
    return 0;
}

static void running_out_of_address_space_is_an_error(void **state) {
    (void)state;
    if (SANITIZED) /* whose shadow is larger than any limit */
        skip();
    struct harness_output output;
    harness_run_command(
        &output, HARNESS_ARGV("sh", "-c", "df -k --output=avail /dev/shm | tail -1"), NULL, 0);
    if (atol(output.out) < 1200000)
        skip(); /* the memory itself must be there */
    harness_wait_ok(harness_spawn(map_with_limited_address_space, NULL));
    assert_int_equal(harness_names_left(), 0);
}

/* A view that was made through the handle's own open file would keep its locks in a forked
 * child. */
static int map_without_descriptors(void *context) {
    leat_region *region;
    void *view = NULL;
    harness_word *words = context;
    assert_ok(create_region(&region, "mapped", 4096, NULL));
    struct rlimit none = {0, 0}, before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_leat(leat_view_map(region, 0, 0, NULL, LEAT_READ_WRITE, &view), LEAT_ELIMIT);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_ok(leat_view_map(region, 0, 0, NULL, LEAT_READ_WRITE, &view));
    if (fork() == 0) {
        harness_set(&words[0], 1);
        harness_await(&words[1], 1);
        _exit(0);
    }
    for (;;)
        pause();
}

static void view_without_a_descriptor_of_its_own_is_refused(void **state) {
    (void)state;
    leat_object_info info;
    harness_word *words = harness_shared(2 * sizeof *words);
    pid_t process = harness_spawn(map_without_descriptors, words);
    harness_await(&words[0], 1);
    harness_kill(process);
    assert_ok(leat_stat("mapped", LEAT_LOCAL, &info));
    assert_false(info.in_use);
    harness_set(&words[1], 1);
    harness_wait_adopted();
    assert_ok(leat_gc(LEAT_LOCAL, NULL, NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(a_full_tmpfs_is_an_error_with_figures),
        HARNESS_TEST(a_full_global_scope_is_an_error_with_figures),
        HARNESS_TEST(what_others_left_of_a_tmpfs_can_be_had),
        HARNESS_TEST(a_limit_of_file_size_is_an_error_and_no_signal),
        HARNESS_TEST(running_out_of_descriptors_is_an_error_at_every_step),
        HARNESS_TEST(closing_without_descriptors_leaves_nothing_that_does_not_heal),
        HARNESS_TEST(running_out_of_address_space_is_an_error),
        HARNESS_TEST(view_without_a_descriptor_of_its_own_is_refused),
    };
    return HARNESS_MAIN("limits", tests);
}
