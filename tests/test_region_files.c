/* test_region_files.c - files as regions: by path and by descriptor, new ones and existing ones,
 * sizes, access, exclusive use, flushing. On a disk ($TMPDIR, else /tmp) unless a test says
 * otherwise. */
#include "handles.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define PAGE 4096
#define MIB (1 << 20)
#define SKIPPED 77

static char directory[200];

/* A path in a directory of this test program. Static storage, a few at a time. */
static const char *path_of(const char *name) {
    static char paths[4][300];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static const char *file_of(const char *name, size_t size) {
    const char *path = path_of(name);
    int file = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(write(file, "f", 1), 1);
    close(file);
    return path;
}

static off_t size_of(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 ? status.st_size : -1;
}

/* --- Ways in ---------------------------------------------------------------------------------- */

/* W32-33. */
static void new_file_is_whole_reserved_and_stays(void **state) {
    (void)state;
    const char *path = path_of("new");
    leat_region *region = NULL, *second = NULL;
    struct stat status;
    assert_leat(file_region(&region, path, LEAT_OPEN, 0, NULL), LEAT_ENOENT);
    assert_leat(file_region(&region, path, LEAT_CREATE, 0, NULL), LEAT_ESIZE);
    assert_leat(file_region(&region, path, LEAT_OPEN_OR_CREATE, 0, NULL), LEAT_ESIZE);
    assert_int_equal(size_of(path), -1);
    assert_ok(
        file_region(&region, path, LEAT_CREATE, 5000, &(leat_region_options){.permissions = 0640}));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, 5000);
    assert_int_equal(status.st_mode & 07777, 0640);
    assert_true(status.st_blocks * 512 >= 5000);
    assert_true(region_details(region).created &&
                region_details(region).backing == LEAT_BACKING_FILE);
    assert_string_equal(region_details(region).name, path);
    assert_int_equal(leat_region_size(region), 5000);
    assert_false(region_details(region).sealed);
    assert_leat(file_region(&second, path, LEAT_CREATE, 5000, NULL), LEAT_EEXIST);
    /* the policy is to adopt */
    assert_ok(file_region(&second, path, LEAT_OPEN_OR_CREATE, 9000, NULL));
    assert_true(!region_details(second).created && leat_region_size(second) == 5000);
    strcpy(leat_region_data(region), "coherent"); /* W32-33 */
    assert_string_equal(leat_region_data(second), "coherent");
    char read_back[9];
    int file = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(file, read_back, 9, 0), 9);
    assert_string_equal(read_back, "coherent");
    close(file);
    leat_region_close(region);
    leat_region_close(second);
    assert_int_equal(size_of(path), 5000); /* leat never removes it */
    unlink(path);
}

/* W32-02, W32-05: the exact size of the file, and no empty ones. */
static void file_is_seen_whole_and_exactly(void **state) {
    (void)state;
    const char *path = file_of("whole", 36), *empty = file_of("empty", 0);
    leat_region *region = NULL;
    assert_ok(file_region(&region, path, LEAT_OPEN, 0, NULL));
    assert_int_equal(leat_region_size(region), 36);
    assert_int_equal(region_details(region).mapped_size, PAGE);
    assert_int_equal(((char *)leat_region_data(region))[35], 'f');
    leat_region_close(region);
    region = NULL;
    assert_leat(file_region(&region, empty, LEAT_OPEN, 0, NULL), LEAT_ESIZE);
    assert_leat(file_region(&region, empty, LEAT_OPEN, 100, NULL), LEAT_ESIZE);
    assert_leat(file_region(&region, empty, LEAT_OPEN, 0,
                            &(leat_region_options){.size_policy = LEAT_SIZE_GROW}),
                LEAT_ESIZE);
    assert_null(region);
    assert_ok(file_region(&region, empty, LEAT_OPEN, 100,
                          &(leat_region_options){.size_policy = LEAT_SIZE_FIT}));
    assert_int_equal(leat_region_size(region), 100);
    assert_int_equal(size_of(empty), 100);
    leat_region_close(region);
    unlink(path), unlink(empty);
}

/* W32-03 and the size policies: a larger request extends, a smaller one is a shorter view; only on
 * request. */
static void size_policy_decides_about_files_too(void **state) {
    (void)state;
    static const struct {
        leat_size_policy policy;
        uint64_t size;
        int result;
        uint64_t seen, file;
    } cases[] = {
        {LEAT_SIZE_ADOPT, 9000, LEAT_OK, 6000, 6000},
        {LEAT_SIZE_AT_LEAST, 6001, LEAT_ESIZE, 0, 6000},
        {LEAT_SIZE_EXACT, 6000, LEAT_OK, 6000, 6000},
        {LEAT_SIZE_CLIP, 100, LEAT_OK, 100, 6000},
        {LEAT_SIZE_CLIP, 6001, LEAT_ESIZE, 0, 6000},
        {LEAT_SIZE_GROW, 100, LEAT_OK, 6000, 6000},
        {LEAT_SIZE_GROW, 20001, LEAT_OK, 20001, 20001},
        {LEAT_SIZE_FIT, 100, LEAT_OK, 100, 6000},
        {LEAT_SIZE_FIT, 0, LEAT_OK, 6000, 6000},
        {LEAT_SIZE_FIT, 20001, LEAT_OK, 20001, 20001},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int by_descriptor = 0; by_descriptor < 2; by_descriptor++) {
            const char *path = file_of("sized", 6000);
            leat_region *region = NULL;
            leat_region_options options = {.size_policy = cases[i].policy};
            int file = open(path, O_RDWR | O_CLOEXEC);
            assert_leat(by_descriptor
                            ? leat_region_open_descriptor(&region, file, cases[i].size, &options)
                            : file_region(&region, path, LEAT_OPEN, cases[i].size, &options),
                        cases[i].result);
            assert_int_equal(size_of(path), cases[i].file);
            if (region != NULL) {
                assert_int_equal(leat_region_size(region), cases[i].seen);
                char *data = leat_region_data(region);
                assert_int_equal(data[cases[i].seen - 1], cases[i].seen > 6000 ? 0 : 'f');
            }
            leat_region_close(region);
            close(file);
            unlink(path);
        }
}

static void path_of_no_file_is_refused(void **state) {
    (void)state;
    leat_region *region = NULL;
    leat_receiver *receiver;
    const char *pipe = path_of("pipe");
    char channel[300];
    assert_int_equal(mkfifo(pipe, 0600), 0);
    assert_ok(leat_receiver_open(&receiver, "channel", NULL));
    snprintf(channel, sizeof channel, "%s/channel", harness_directory());
    static const leat_region_options read_only = {.access = LEAT_READ_ONLY};
    assert_leat(file_region(&region, pipe, LEAT_OPEN, 0, NULL), LEAT_EKIND);
    assert_leat(file_region(&region, pipe, LEAT_OPEN, 0, &read_only), LEAT_EKIND);
    assert_leat(file_region(&region, directory, LEAT_OPEN, 0, NULL), LEAT_EKIND);
    assert_leat(file_region(&region, directory, LEAT_OPEN, 0, &read_only), LEAT_EKIND);
    assert_leat(file_region(&region, "/dev/null", LEAT_OPEN, 0, NULL), LEAT_EKIND);
    assert_leat(file_region(&region, channel, LEAT_OPEN, 0, NULL), LEAT_EKIND);
    assert_leat(file_region(&region, "", LEAT_OPEN, 0, NULL), LEAT_EINVAL);
    assert_leat(file_region(&region, NULL, LEAT_OPEN, 0, NULL), LEAT_EINVAL);
    assert_leat(file_region(&region, "x", (leat_mode)9, 0, NULL), LEAT_EINVAL);
    assert_leat(file_region(&region, path_of("no/such"), LEAT_CREATE, 10, NULL), LEAT_ENOENT);
    assert_null(region);
    leat_receiver_close(receiver);
    unlink(pipe);
}

/* So large that making it again and again would take minutes. */
#define LARGE (UINT64_C(64) * MIB)

static void link_to_nothing_is_refused_at_once(void **state) {
    (void)state;
    leat_region *region = NULL;
    const char *link = path_of("link"), *target = path_of("target");
    static const char *const targets[] = {"target", "./target", "no/such/directory",
                                          "/proc/self/no/such"};
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        assert_int_equal(symlink(targets[i], link), 0);
        assert_leat(file_region(&region, link, LEAT_OPEN_OR_CREATE, LARGE, NULL), LEAT_EUNTRUSTED);
        assert_non_null(strstr(leat_error_detail(), "symbolic link"));
        assert_leat(file_region(&region, link, LEAT_OPEN, LARGE, NULL), LEAT_ENOENT);
        assert_leat(file_region(&region, link, LEAT_CREATE, LARGE, NULL), LEAT_EEXIST);
        unlink(link);
    }
    assert_int_equal(access(target, F_OK), -1);
    assert_null(region);
}

static void link_to_a_file_is_followed(void **state) {
    (void)state;
    leat_region *region;
    const char *target = file_of("target", 100), *link = path_of("link"),
               *second = path_of("second");
    assert_int_equal(symlink("target", link), 0);
    assert_int_equal(symlink("link", second), 0);
    assert_ok(file_region(&region, second, LEAT_OPEN_OR_CREATE, 0, NULL));
    assert_int_equal(leat_region_size(region), 100);
    leat_region_close(region);
    region = NULL;
    assert_leat(file_region(&region, second, LEAT_CREATE, 64, NULL), LEAT_EEXIST);
    assert_null(region);
    unlink(second);
    unlink(link);
    unlink(target);
}

static void links_that_lead_to_no_file_are_refused(void **state) {
    (void)state;
    leat_region *region = NULL;
    char loop[300], other[300], there[300], file[300];
    snprintf(loop, sizeof loop, "%s", path_of("loop"));
    snprintf(other, sizeof other, "%s", path_of("other"));
    snprintf(there, sizeof there, "%s", path_of("there"));
    snprintf(file, sizeof file, "%s", file_of("file", 1));
    assert_int_equal(symlink("other", loop), 0);
    assert_int_equal(symlink("loop", other), 0);
    assert_int_equal(symlink(directory, there), 0);
    for (int mode = LEAT_OPEN_OR_CREATE; mode <= LEAT_OPEN; mode++) {
        int wanted = mode == LEAT_CREATE ? LEAT_EEXIST : LEAT_EUNTRUSTED;
        assert_leat(file_region(&region, loop, (leat_mode)mode, LARGE, NULL), wanted);
        wanted = mode == LEAT_CREATE ? LEAT_EEXIST : LEAT_EKIND;
        assert_leat(file_region(&region, there, (leat_mode)mode, LARGE, NULL), wanted);
        assert_leat(file_region(&region, directory, (leat_mode)mode, LARGE, NULL), wanted);
        assert_leat(file_region(&region, path_of("no/such"), (leat_mode)mode, LARGE, NULL),
                    LEAT_ENOENT);
        assert_leat(file_region(&region, path_of("file/below"), (leat_mode)mode, LARGE, NULL),
                    LEAT_EUNTRUSTED);
    }
    assert_null(region);
    unlink(loop);
    unlink(other);
    unlink(there);
    unlink(file);
}

struct churn {
    harness_word ready, stop;
};

static int make_and_remove(void *context) {
    struct churn *churn = context;
    const char *path = path_of("churn");
    while (churn->stop == 0) {
        int file = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
        if (file < 0 || write(file, "x", 1) != 1 || close(file) != 0)
            return 1;
        unlink(path);
        if (churn->ready == 0)
            harness_set(&churn->ready, 1);
    }
    return 0;
}

/* Sometimes it is there and empty, sometimes it is not there: each answer is right, and each comes
 * soon. */
static void file_that_comes_and_goes_is_opened_or_made(void **state) {
    (void)state;
    struct churn *churn = harness_shared(sizeof *churn);
    pid_t pid = harness_spawn(make_and_remove, churn);
    harness_await(&churn->ready, 1);
    for (int i = 0; i < 50; i++) {
        leat_region *region;
        int result = file_region(&region, path_of("churn"), LEAT_OPEN_OR_CREATE, MIB, NULL);
        if (result == LEAT_OK)
            leat_region_close(region);
        assert_true(result == LEAT_OK || result == LEAT_ESIZE || result == LEAT_EBUSY);
    }
    harness_set(&churn->stop, 1);
    harness_wait_ok(pid);
    unlink(path_of("churn"));
}

/* --- Access ----------------------------------------------------------------------------------- */

/* W32-08, W32-03: a file that may only be read is mapped for reading or for private copies, and
 * does not grow. */
static int use_a_read_only_file(void *context) {
    const char *path = context;
    if (geteuid() == 0 && (setgid(64917) != 0 || setuid(64917) != 0))
        return 1;
    leat_region *region = NULL;
    leat_region_options options = {.access = LEAT_READ_WRITE};
    assert_leat(file_region(&region, path, LEAT_OPEN, 0, &options), LEAT_EACCES);
    options.access = LEAT_COPY_ON_WRITE;
    assert_ok(file_region(&region, path, LEAT_OPEN, 0, &options));
    memset(leat_region_data(region), 'c', 100);
    leat_region_close(region);
    options = (leat_region_options){.access = LEAT_READ_ONLY, .size_policy = LEAT_SIZE_GROW};
    region = NULL;
    assert_leat(file_region(&region, path, LEAT_OPEN, 101, &options), LEAT_EACCES);
    assert_ok(file_region(&region, path, LEAT_OPEN, 100, &options));
    assert_leat(leat_region_grow(region, 101), LEAT_EACCES);
    assert_leat(leat_region_write(region, 0, "x", 1), LEAT_EACCES);
    leat_region_close(region);
    region = NULL;
    options = (leat_region_options){.access = LEAT_READ_ONLY, .exclusive = true};
    assert_leat(file_region(&region, path, LEAT_OPEN, 0, &options), LEAT_EACCES);
    return 0;
}

/* W32-03, W32-08. */
static void read_only_file_is_read_or_copied(void **state) {
    (void)state;
    const char *path = file_of("readonly", 100);
    chmod(path, 0444);
    chmod(directory, 0755);
    harness_wait_ok(harness_spawn(use_a_read_only_file, (void *)(uintptr_t)path));
    char bytes[101] = "";
    int file = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(file, bytes, 101), 100);
    assert_int_equal(strspn(bytes, "f"), 100);
    close(file);
    unlink(path);
}

/* --- Exclusive use ---------------------------------------------------------------------------- */

static int hold_exclusively(void *context) {
    leat_region *region;
    harness_word *ready = context;
    assert_ok(file_region(&region, path_of("exclusive"), LEAT_OPEN, 0,
                          &(leat_region_options){.exclusive = true}));
    harness_set(ready, 1);
    pause();
    return 0;
}

static void exclusive_handle_excludes_others_until_it_closes(void **state) {
    (void)state;
    const char *path = file_of("exclusive", 100);
    static const leat_region_options exclusive = {.exclusive = true};
    leat_region *region = NULL, *other = NULL;
    int file = open(path, O_RDWR | O_CLOEXEC);
    assert_ok(file_region(&region, path, LEAT_OPEN, 0, &exclusive));
    assert_leat(file_region(&other, path, LEAT_OPEN, 0, &exclusive), LEAT_EBUSY);
    assert_leat(file_region(&other, path, LEAT_OPEN, 0, NULL), LEAT_EBUSY);
    assert_leat(leat_region_open_descriptor(&other, file, 0, NULL), LEAT_EBUSY);
    void *view;
    assert_ok(leat_view_map(region, 0, 0, NULL, LEAT_READ_WRITE, &view));
    leat_region_close(region);
    assert_ok(leat_region_open_descriptor(&region, file, 0, &exclusive)); /* a view is no user */
    assert_leat(file_region(&other, path, LEAT_OPEN, 0, NULL), LEAT_EBUSY);
    leat_region_close(region);
    assert_ok(leat_view_unmap(view));
    assert_ok(file_region(&region, path, LEAT_OPEN, 0, NULL));
    assert_ok(file_region(&other, path, LEAT_OPEN, 0, NULL));
    leat_region *third = NULL;
    assert_leat(file_region(&third, path, LEAT_OPEN, 0, &exclusive), LEAT_EBUSY);
    leat_region_close(region);
    leat_region_close(other);
    close(file);
    /* However the holder ends. */
    harness_word *ready = harness_shared(sizeof *ready);
    pid_t child = harness_spawn(hold_exclusively, ready);
    harness_await(ready, 1);
    assert_leat(file_region(&third, path, LEAT_OPEN, 0, NULL), LEAT_EBUSY);
    assert_null(third);
    harness_kill(child);
    assert_ok(file_region(&third, path, LEAT_OPEN, 0, &exclusive));
    leat_region_close(third);
    /* for files alone */
    assert_leat(create_region(&third, "named", 0, &exclusive), LEAT_EINVAL);
    unlink(path);
}

/* --- Flushing --------------------------------------------------------------------------------- */

/* W32-29: any range, whole pages or not; what is flushed is on the file's disk. */
static void changes_are_flushed(void **state) {
    (void)state;
    const char *path = path_of("flushed");
    leat_region *region, *named, *copy;
    assert_ok(file_region(&region, path, LEAT_CREATE, 10 * PAGE + 5, NULL));
    static const struct {
        uint64_t offset, length;
        int result;
    } cases[] = {{0, 0, LEAT_OK},
                 {1, 1, LEAT_OK},
                 {PAGE + 7, 2 * PAGE, LEAT_OK},
                 {10 * PAGE, 5, LEAT_OK},
                 {10 * PAGE, 6, LEAT_ERANGE},
                 {10 * PAGE + 5, 0, LEAT_ERANGE},
                 {UINT64_MAX, 2, LEAT_ERANGE}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int how = LEAT_FLUSH_START; how <= LEAT_FLUSH_DURABLE; how++) {
            memset(leat_region_data(region), (int)i, 10 * PAGE + 5);
            assert_leat(
                leat_region_flush(region, cases[i].offset, cases[i].length, (leat_flush)how),
                cases[i].result);
        }
    assert_leat(leat_region_flush(region, 0, 0, (leat_flush)2), LEAT_EINVAL);
    /* Without the handle's view; of private copies; of memory that has no disk. */
    void *view = leat_region_detach_view(region);
    *(char *)view = 1;
    assert_ok(leat_region_flush(region, 0, 0, LEAT_FLUSH_DURABLE));
    assert_ok(file_region(&copy, path, LEAT_OPEN, 0,
                          &(leat_region_options){.access = LEAT_COPY_ON_WRITE}));
    assert_ok(leat_region_flush(copy, 0, 0, LEAT_FLUSH_DURABLE));
    assert_ok(create_region(&named, "memory", PAGE, NULL));
    assert_ok(leat_region_flush(named, 0, 0, LEAT_FLUSH_START));
    assert_ok(leat_region_flush(named, 0, 0, LEAT_FLUSH_DURABLE));
    leat_region_close(named);
    leat_region_close(copy);
    leat_region_close(region);
    assert_ok(leat_view_unmap(view));
    unlink(path);
}

/* What a file has dirty in memory, as the kernel counts it in the mapping. */
static unsigned long dirty_kib(const void *address) {
    char line[512];
    unsigned long long from, to;
    unsigned long dirty = 0, here = 0, kib;
    FILE *smaps = fopen("/proc/self/smaps", "re");
    while (smaps != NULL && fgets(line, sizeof line, smaps) != NULL) {
        if (sscanf(line, "%llx-%llx", &from, &to) == 2)
            here = from <= (uintptr_t)address && (uintptr_t)address < to;
        else if (here && (sscanf(line, "Shared_Dirty: %lu", &kib) == 1 ||
                          sscanf(line, "Private_Dirty: %lu", &kib) == 1))
            dirty += kib;
    }
    fclose(smaps);
    return dirty;
}

/* Where the directory has no disk below it, everything stays dirty. */
static void skip_in_memory(void) {
    struct statfs system;
    assert_int_equal(statfs(directory, &system), 0);
    if (system.f_type == TMPFS_MAGIC || system.f_type == RAMFS_MAGIC) {
        print_message("%s is in memory (TMPDIR): skipped\n", directory);
        skip();
    }
}

/* W32-29. */
static void durable_flush_leaves_nothing_dirty(void **state) {
    (void)state;
    const char *path = path_of("dirty");
    leat_region *region;
    skip_in_memory();
    assert_ok(file_region(&region, path, LEAT_CREATE, MIB, NULL));
    memset(leat_region_data(region), 1, MIB);
    assert_true(dirty_kib(leat_region_data(region)) > 0);
    assert_ok(leat_region_flush(region, 0, 0, LEAT_FLUSH_DURABLE));
    assert_int_equal(dirty_kib(leat_region_data(region)), 0);
    leat_region_close(region);
    unlink(path);
}

/* --- A full disk ------------------------------------------------------------------------------ */

static int fill_a_small_file_system(void *context) {
    const char *path = context;
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", path, "tmpfs", MS_NOSUID, "size=1m,mode=0700") != 0)
        return SKIPPED;
    char file[300];
    snprintf(file, sizeof file, "%s/file", path);
    leat_region *region = NULL;
    static const leat_region_options grow = {.size_policy = LEAT_SIZE_GROW};
    assert_leat(file_region(&region, file, LEAT_CREATE, 2 * MIB, NULL), LEAT_ENOSPC);
    assert_non_null(strstr(leat_error_detail(), "2097152"));
    assert_int_equal(size_of(file), -1); /* nothing is left */
    assert_ok(file_region(&region, file, LEAT_CREATE, MIB / 2, NULL));
    leat_region *second = NULL;
    assert_leat(file_region(&second, file, LEAT_OPEN, 2 * MIB, &grow), LEAT_ENOSPC);
    assert_null(second);
    assert_leat(leat_region_grow(region, 2 * MIB), LEAT_ENOSPC);
    assert_int_equal(size_of(file), MIB / 2);
    assert_int_equal(leat_region_size(region), MIB / 2);
    assert_ok(leat_region_grow(region, MIB * 3 / 4)); /* what failed has taken nothing away */
    memset(leat_region_data(region), 1, MIB * 3 / 4);
    leat_region_close(region);
    return 0;
}

/* W32-03, W32-12, RT-09: the code, the figures, and nothing changed. */
static void full_disk_is_an_error_and_changes_nothing(void **state) {
    (void)state;
    const char *path = path_of("small");
    assert_int_equal(mkdir(path, 0700), 0);
    int status = harness_wait(harness_spawn(fill_a_small_file_system, (void *)(uintptr_t)path));
    rmdir(path);
    if (status == SKIPPED << 8)
        skip();
    assert_int_equal(status, 0);
}

static int extend_beyond_the_limit(void *context) {
    struct rlimit limit = {MIB, MIB};
    leat_region *region = NULL;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 1;
    assert_ok(file_region(&region, context, LEAT_OPEN, 0, NULL));
    assert_leat(leat_region_grow(region, MIB + 1), LEAT_ENOSPC); /* and no SIGXFSZ */
    assert_leat(leat_region_grow(region, UINT64_MAX), LEAT_ENOSPC);
    leat_region_close(region);
    return 0;
}

static void limit_of_file_size_is_an_error_and_no_signal(void **state) {
    (void)state;
    const char *path = file_of("limited", 100);
    harness_wait_ok(harness_spawn(extend_beyond_the_limit, (void *)(uintptr_t)path));
    assert_int_equal(size_of(path), 100);
    unlink(path);
}

/* --- Several processes ------------------------------------------------------------------------ */

#define RACERS 16

struct race {
    harness_word ready, go;
    _Atomic uint32_t created;
};

static int race_to_create(void *context) {
    struct race *race = context;
    leat_region *region;
    harness_increment(&race->ready);
    harness_await(&race->go, 1);
    assert_ok(file_region(&region, path_of("race"), LEAT_OPEN_OR_CREATE, 64, NULL));
    atomic_fetch_add(&race->created, region_details(region).created ? 1 : 0);
    assert_int_equal(leat_region_size(region), 64); /* never seen half made */
    leat_region_close(region);
    return 0;
}

static void file_is_created_by_one_of_many_that_open_or_create_it(void **state) {
    (void)state;
    struct race *race = harness_shared(sizeof *race);
    pid_t pids[RACERS];
    for (int i = 0; i < RACERS; i++)
        pids[i] = harness_spawn(race_to_create, race);
    harness_await(&race->ready, RACERS);
    harness_set(&race->go, 1);
    for (int i = 0; i < RACERS; i++)
        harness_wait_ok(pids[i]);
    assert_int_equal(race->created, 1);
    unlink(path_of("race"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(new_file_is_whole_reserved_and_stays),
        HARNESS_TEST(file_is_seen_whole_and_exactly),
        HARNESS_TEST(size_policy_decides_about_files_too),
        HARNESS_TEST(path_of_no_file_is_refused),
        HARNESS_TEST(link_to_nothing_is_refused_at_once),
        HARNESS_TEST(link_to_a_file_is_followed),
        HARNESS_TEST(links_that_lead_to_no_file_are_refused),
        HARNESS_TEST(file_that_comes_and_goes_is_opened_or_made),
        HARNESS_TEST(read_only_file_is_read_or_copied),
        HARNESS_TEST(exclusive_handle_excludes_others_until_it_closes),
        HARNESS_TEST(changes_are_flushed),
        HARNESS_TEST(durable_flush_leaves_nothing_dirty),
        HARNESS_TEST(full_disk_is_an_error_and_changes_nothing),
        HARNESS_TEST(limit_of_file_size_is_an_error_and_no_signal),
        HARNESS_TEST(file_is_created_by_one_of_many_that_open_or_create_it),
    };
    const char *parent = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%s/leat-files-XXXXXX",
             parent != NULL && parent[0] != 0 ? parent : "/tmp");
    if (mkdtemp(directory) == NULL) {
        perror(directory);
        return 1;
    }
    int result = HARNESS_MAIN("region_files", tests);
    if (rmdir(directory) != 0) {
        perror(directory); /* a file was left behind */
        return 1;
    }
    return result;
}
