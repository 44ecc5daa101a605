/* test_opening.c - opening in odd surroundings: umasks, directories that lack bits or are open to
 * others, a LEAT_DIR without meaning, scopes without meaning; a user id, an environment or a root
 * directory that changes between open and close; many processes, many handles and many foreign
 * locks at once; a fork beside a long creation. */
#include "handles.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define USER 64921

/* --- Directories ------------------------------------------------------------------------------ */

struct place {
    char directory[200];
    mode_t mask;
    bool as_user; /* else as the user that runs the test */
};

static void become(uid_t user) {
    if (setgroups(0, NULL) != 0 || setgid(user) != 0 || setuid(user) != 0)
        harness_fail("cannot become user %u", (unsigned)user);
}

/* A directory of its own for a test, which user `user` may write to. */
static const char *make_parent(uid_t user) {
    static char path[128];
    snprintf(path, sizeof path, "/dev/shm/%s", harness_global("parent"));
    assert_int_equal(mkdir(path, 0700), 0);
    if (geteuid() == 0)
        assert_int_equal(chown(path, user, user), 0);
    return path;
}

static void expect_mode(const char *path, mode_t mode) {
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    if ((status.st_mode & 07777) != mode)
        harness_fail("%s has mode %04o instead of %04o", path, (unsigned)status.st_mode & 07777,
                     (unsigned)mode);
}

static int open_all_kinds(void *context) {
    struct place *place = context;
    leat_region *region;
    leat_sender *sender;
    leat_mutex *mutex;
    leat_waitset *wake_count;
    if (place->as_user)
        become(USER);
    assert_int_equal(setenv("LEAT_DIR", place->directory, 1), 0);
    umask(place->mask);
    for (int round = 0; round < 2; round++) {
        assert_ok(
            create_region(&region, "region", 100, &(leat_region_options){.permissions = 0640}));
        assert_ok(leat_sender_open(&sender, "channel", NULL));
        assert_ok(leat_mutex_open(&mutex, "mutex", NULL));
        assert_ok(leat_waitset_open(&wake_count));
        expect_mode(place->directory, 0700);
        leat_object_info info;
        assert_ok(leat_stat("region", LEAT_LOCAL, &info));
        assert_int_equal(info.permissions, 0640);
        leat_waitset_close(wake_count);
        leat_mutex_close(mutex);
        leat_sender_close(sender);
        leat_region_close(region);
        umask(022);
    }
    assert_ok(leat_gc(LEAT_LOCAL, NULL, NULL));
    return 0;
}

static void any_umask_makes_a_directory_that_works(void **state) {
    (void)state;
    static const mode_t masks[] = {0177, 0377, 0777, 0077, 0000};
    const char *parent = make_parent(USER);
    struct place place = {.as_user = geteuid() == 0};
    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        place.mask = masks[i];
        snprintf(place.directory, sizeof place.directory, "%s/%o", parent, (unsigned)masks[i]);
        harness_wait_ok(harness_spawn(open_all_kinds, &place));
        assert_int_equal(rmdir(place.directory), 0);
    }
    assert_int_equal(rmdir(parent), 0);
}

static void directory_of_ones_own_that_lacks_bits_is_repaired(void **state) {
    (void)state;
    static const mode_t modes[] = {0600, 0500, 0000, 0100};
    const char *parent = make_parent(USER);
    struct place place = {.as_user = geteuid() == 0, .mask = 022};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        snprintf(place.directory, sizeof place.directory, "%s/repaired", parent);
        assert_int_equal(mkdir(place.directory, 0700), 0);
        if (place.as_user)
            assert_int_equal(chown(place.directory, USER, USER), 0);
        assert_int_equal(chmod(place.directory, modes[i]), 0);
        harness_wait_ok(harness_spawn(open_all_kinds, &place));
        assert_int_equal(rmdir(place.directory), 0);
    }
    assert_int_equal(rmdir(parent), 0);
}

static void directory_open_to_others_is_refused_and_not_changed(void **state) {
    (void)state;
    static const mode_t modes[] = {0755, 0770, 0701, 0710, 0777, 01777, 0604};
    char path[200];
    leat_region *region;
    leat_object_info info;
    snprintf(path, sizeof path, "%s/open", harness_directory());
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(setenv("LEAT_DIR", path, 1), 0);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        assert_int_equal(chmod(path, modes[i]), 0);
        assert_leat(open_or_create_region(&region, "x", 100, NULL), LEAT_EUNTRUSTED);
        assert_leat(leat_stat("x", LEAT_LOCAL, &info), LEAT_EUNTRUSTED);
        assert_leat(leat_gc(LEAT_LOCAL, NULL, NULL), LEAT_EUNTRUSTED);
        expect_mode(path, modes[i]);
    }
    assert_int_equal(setenv("LEAT_DIR", harness_directory(), 1), 0);
    assert_int_equal(rmdir(path), 0);
}

/* Every function that opens the directory returns this code. */
static void expect_everywhere(int code) {
    leat_region *region;
    leat_sender *sender;
    leat_mutex *mutex;
    leat_object_info info;
    assert_leat(open_or_create_region(&region, "x", 100, NULL), code);
    assert_leat(create_region(&region, "x", 100, NULL), code);
    assert_leat(leat_sender_open(&sender, "x", NULL), code);
    assert_leat(leat_mutex_open(&mutex, "x", NULL), code);
    assert_leat(leat_stat("x", LEAT_LOCAL, &info), code);
    assert_leat(leat_unlink("x", LEAT_LOCAL), code);
    assert_leat(leat_gc(LEAT_LOCAL, NULL, NULL), code);
}

static void leat_dir_without_meaning_is_refused(void **state) {
    (void)state;
    static char path[10000];
    snprintf(path, sizeof path, "%s", harness_directory());
    while (strlen(path) < 5000)
        strcat(path, "/.");
    /* cut at 4,095 bytes it would be the test's own directory */
    assert_int_equal(setenv("LEAT_DIR", path, 1), 0);
    expect_everywhere(LEAT_EINVAL);
    assert_int_equal(setenv("LEAT_DIR", "relative/directory", 1), 0);
    expect_everywhere(LEAT_EINVAL);
    snprintf(path, sizeof path, "%s/no-parent/directory", harness_directory());
    assert_int_equal(setenv("LEAT_DIR", path, 1), 0);
    expect_everywhere(LEAT_ESYSTEM);
    if (strstr(leat_error_detail(), "no-parent") == NULL)
        harness_fail("the directory is not named: %s", leat_error_detail());
    assert_int_equal(setenv("LEAT_DIR", "/dev/null", 1), 0);
    expect_everywhere(LEAT_EUNTRUSTED);
    assert_int_equal(setenv("LEAT_DIR", harness_directory(), 1), 0);
    assert_int_equal(harness_names_left(), 0);
}

static void expect_detail(const char *words) {
    if (strstr(leat_error_detail(), words) == NULL)
        harness_fail("the detail lacks '%s': %s", words, leat_error_detail());
}

/* Longer than a message; the system's limit for one part is 255 bytes. */
static void leat_dir_that_is_long_is_explained_by_its_cause(void **state) {
    (void)state;
    leat_region *region;
    char path[2000];
    size_t length = (size_t)snprintf(path, sizeof path, "%s/", harness_directory());
    memset(path + length, 'a', 256);
    path[length + 256] = 0;
    assert_int_equal(setenv("LEAT_DIR", path, 1), 0);
    expect_everywhere(LEAT_EINVAL);
    expect_detail("LEAT_DIR");
    for (size_t at = length; at < 1500; at++)
        path[at] = at % 100 == 99 ? '/' : 'a';
    path[1500] = 0;
    assert_int_equal(setenv("LEAT_DIR", path, 1), 0);
    assert_leat(create_region(&region, "x", 100, NULL), LEAT_ESYSTEM);
    expect_detail("is missing");
    expect_detail("LEAT_DIR");
    assert_int_equal(setenv("LEAT_DIR", harness_directory(), 1), 0);
}

/* Not there yet, it is as one without the slash: nothing is alive there, and the first user makes
 * it. */
static void leat_dir_with_slashes_behind_it_is_made_by_its_first_user(void **state) {
    (void)state;
    static const char *const endings[] = {"", "/", "//"};
    char path[200];
    leat_region *region;
    leat_object_info info;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        snprintf(path, sizeof path, "%s/later%s", harness_directory(), endings[i]);
        assert_int_equal(setenv("LEAT_DIR", path, 1), 0);
        assert_leat(open_region(&region, "x", 0, NULL), LEAT_ENOENT);
        assert_leat(leat_stat("x", LEAT_LOCAL, &info), LEAT_ENOENT);
        assert_leat(leat_unlink("x", LEAT_LOCAL), LEAT_ENOENT);
        assert_ok(leat_gc(LEAT_LOCAL, NULL, NULL));
        assert_ok(create_region(&region, "x", 100, NULL));
        leat_region_close(region);
        assert_int_equal(rmdir(path), 0);
    }
    snprintf(path, sizeof path, "%s/no-parent/directory/", harness_directory());
    assert_int_equal(setenv("LEAT_DIR", path, 1), 0);
    expect_everywhere(LEAT_ESYSTEM);
    expect_detail("no-parent is missing");
    assert_int_equal(setenv("LEAT_DIR", harness_directory(), 1), 0);
}

static int no_visit(const leat_object_info *info, void *context) {
    (void)context;
    harness_fail("%s is listed", info->name);
}

static void expect_no_such_scope(leat_scope scope, const char *name) {
    leat_region_options region_options = {.scope = scope};
    leat_channel_options channel_options = {.scope = scope};
    leat_sync_options sync_options = {.scope = scope};
    leat_region *region;
    leat_sender *sender;
    leat_receiver *receiver;
    leat_mutex *mutex;
    leat_event *event;
    leat_semaphore *semaphore;
    leat_object_info info;
    leat_channel_info channel;
    leat_sync_info sync;
    leat_type type;
    assert_leat(create_region(&region, name, 100, &region_options), LEAT_EINVAL);
    assert_leat(open_region(&region, name, 100, &region_options), LEAT_EINVAL);
    assert_leat(open_or_create_region(&region, name, 100, &region_options), LEAT_EINVAL);
    assert_leat(file_region(&region, "/dev/shm/none", LEAT_OPEN, 100, &region_options),
                LEAT_EINVAL);
    assert_leat(leat_region_open_descriptor(&region, 0, 100, &region_options), LEAT_EINVAL);
    assert_leat(receive_region(&region, 0, 100, &region_options, LEAT_NOW), LEAT_EINVAL);
    assert_leat(stat_region_type(name, scope, &type), LEAT_EINVAL);
    assert_leat(leat_sender_open(&sender, name, &channel_options), LEAT_EINVAL);
    assert_leat(leat_receiver_open(&receiver, name, &channel_options), LEAT_EINVAL);
    assert_leat(leat_channel_stat(name, scope, &channel), LEAT_EINVAL);
    assert_leat(leat_mutex_open(&mutex, name, &sync_options), LEAT_EINVAL);
    assert_leat(leat_event_open(&event, name, &sync_options), LEAT_EINVAL);
    assert_leat(leat_semaphore_open(&semaphore, name, 0, 1, &sync_options), LEAT_EINVAL);
    assert_leat(leat_mutex_open_descriptor(&mutex, 0, &sync_options), LEAT_EINVAL);
    assert_leat(receive_mutex(&mutex, 0, &sync_options, LEAT_NOW), LEAT_EINVAL);
    assert_leat(leat_sync_stat(name, scope, &sync), LEAT_EINVAL);
    assert_leat(leat_stat(name, scope, &info), LEAT_EINVAL);
    assert_leat(leat_unlink(name, scope), LEAT_EINVAL);
    assert_leat(leat_list(scope, no_visit, NULL), LEAT_EINVAL);
    assert_leat(leat_gc(scope, NULL, NULL), LEAT_EINVAL);
}

static void scope_without_meaning_is_refused_everywhere(void **state) {
    (void)state;
    static const int scopes[] = {77, 2, -1};
    for (size_t i = 0; i < sizeof scopes / sizeof scopes[0]; i++) {
        expect_no_such_scope((leat_scope)scopes[i], "x");
        /* though the name has a scope of its own */
        expect_no_such_scope((leat_scope)scopes[i], "Local\\x");
    }
}

/* --- Between open and close ------------------------------------------------------------------- */

struct opened {
    leat_region *region, *reader;
    leat_sender *sender;
    leat_mutex *mutex;
    leat_waitset *wake_count;
};

static void open_some(struct opened *opened) {
    leat_region_options reading = {.access = LEAT_READ_ONLY};
    assert_ok(create_region(&opened->region, "region", 100, NULL));
    assert_ok(open_region(&opened->reader, "region", 100, &reading));
    assert_ok(leat_sender_open(&opened->sender, "channel", NULL));
    assert_ok(leat_mutex_open(&opened->mutex, "mutex", NULL));
    assert_ok(leat_waitset_open(&opened->wake_count));
}

static void close_some(struct opened *opened) {
    leat_region_close(opened->region);
    leat_region_close(opened->reader); /* the last one may only read */
    leat_sender_close(opened->sender);
    leat_mutex_close(opened->mutex);
    leat_waitset_close(opened->wake_count);
}

static void leat_dir_may_change_between_open_and_close(void **state) {
    (void)state;
    struct opened opened;
    char other[200];
    snprintf(other, sizeof other, "%s/other", harness_directory());
    open_some(&opened);
    assert_int_equal(setenv("LEAT_DIR", other, 1), 0);
    close_some(&opened);
    unsetenv("LEAT_DIR");
    assert_int_equal(setenv("LEAT_DIR", harness_directory(), 1), 0);
    assert_int_equal(harness_names_left(), 0);
}

static int open_as_user_close_as_root(void *context) {
    struct opened opened;
    assert_int_equal(setenv("LEAT_DIR", context, 1), 0);
    assert_int_equal(seteuid(USER), 0);
    open_some(&opened);
    assert_int_equal(seteuid(0), 0);
    close_some(&opened);
    return 0;
}

static int open_as_root_close_as_user(void *context) {
    struct opened opened;
    assert_int_equal(setenv("LEAT_DIR", context, 1), 0);
    open_some(&opened);
    assert_int_equal(seteuid(USER), 0);
    close_some(&opened);
    assert_int_equal(seteuid(0), 0);
    return 0;
}

static void effective_user_may_change_between_open_and_close(void **state) {
    (void)state;
    if (geteuid() != 0)
        skip();
    const char *parent = make_parent(USER);
    harness_wait_ok(harness_spawn(open_as_user_close_as_root, (void *)(uintptr_t)parent));
    assert_int_equal(rmdir(parent), 0); /* nothing is left in it */
}

/* The system lets a user without rights in the directory remove nothing: what stays is stale, and
 * goes later. */
static void name_left_by_dropped_privileges_is_healed(void **state) {
    (void)state;
    if (geteuid() != 0)
        skip();
    harness_wait_ok(
        harness_spawn(open_as_root_close_as_user, (void *)(uintptr_t)harness_directory()));
    assert_ok(leat_gc(LEAT_LOCAL, NULL, NULL));
    assert_int_equal(harness_names_left(), 0);
}

static int change_root_before_close(void *context) {
    struct opened opened;
    open_some(&opened);
    if (chroot(context) != 0 || chdir("/") != 0)
        return 77;
    close_some(&opened);
    return 0;
}

static void root_directory_may_change_between_open_and_close(void **state) {
    (void)state;
    char empty[200];
    snprintf(empty, sizeof empty, "/dev/shm/%s", harness_global("empty"));
    assert_int_equal(mkdir(empty, 0700), 0);
    int status = harness_wait(harness_spawn(change_root_before_close, empty));
    assert_int_equal(rmdir(empty), 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
    assert_int_equal(harness_names_left(), 0);
}

/* --- Many ------------------------------------------------------------------------------------- */

struct herd {
    harness_word ready, go, done;
    _Atomic uint32_t left;
};

static int open_with_the_herd(void *context) {
    struct herd *herd = context;
    leat_region *region;
    leat_mutex *mutex;
    leat_sender *sender;
    harness_increment(&herd->ready);
    harness_await(&herd->go, 1);
    assert_ok(open_or_create_region(&region, "region", 4096, NULL));
    assert_ok(leat_mutex_open(&mutex, "mutex", NULL));
    assert_ok(leat_sender_open(&sender, "channel", &(leat_channel_options){.many_senders = true}));
    assert_ok(leat_send(sender, "x", 1, leat_in_ms(20000)));
    harness_increment(&herd->done);
    harness_await(&herd->go, 2);
    leat_sender_close(sender);
    leat_mutex_close(mutex);
    leat_region_close(region);
    return 0;
}

static void hundred_processes_open_one_object_at_once(void **state) {
    (void)state;
    enum { PROCESSES = 100 };
    struct herd *herd = harness_shared(sizeof *herd);
    pid_t children[PROCESSES];
    for (int i = 0; i < PROCESSES; i++)
        children[i] = harness_spawn(open_with_the_herd, herd);
    harness_await(&herd->ready, PROCESSES);
    harness_set(&herd->go, 1);
    harness_await(&herd->done, PROCESSES);
    leat_object_info info;
    assert_ok(leat_stat("region", LEAT_LOCAL, &info));
    assert_int_equal(info.users, PROCESSES);
    harness_set(&herd->go, 2);
    for (int i = 0; i < PROCESSES; i++)
        assert_int_equal(harness_wait_within(children[i], 60000), 0);
    assert_int_equal(harness_names_left(), 0);
}

#define HANDLES 1000

static bool permit_descriptors(rlim_t count) {
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < count)
        limit.rlim_cur = limit.rlim_max < count ? limit.rlim_max : count;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return limit.rlim_cur >= count;
}

static void expect_handles(const char *name) {
    leat_object_info info;
    assert_ok(leat_stat(name, LEAT_LOCAL, &info));
    assert_true(info.in_use && info.users >= 100); /* beyond some hundred not all are counted */
}

static void thousand_handles_of_one_object_in_one_process(void **state) {
    (void)state;
    static leat_mutex *mutexes[HANDLES];
    static leat_region *regions[HANDLES];
    static leat_sender *senders[HANDLES];
    if (!permit_descriptors(3 * HANDLES))
        skip();
    for (int i = 0; i < HANDLES; i++)
        assert_ok(leat_mutex_open(&mutexes[i], "object", NULL));
    expect_handles("object");
    assert_ok(leat_mutex_lock(mutexes[HANDLES - 1], LEAT_NOW));
    assert_leat(leat_mutex_lock(mutexes[0], LEAT_NOW), LEAT_EAGAIN);
    assert_ok(leat_mutex_unlock(mutexes[HANDLES - 1]));
    for (int i = 0; i < HANDLES; i++)
        leat_mutex_close(mutexes[i]);
    for (int i = 0; i < HANDLES; i++)
        assert_ok(open_or_create_region(&regions[i], "object", 4096, NULL));
    expect_handles("object");
    for (int i = 0; i < HANDLES; i++)
        leat_region_close(regions[i]);
    for (int i = 0; i < HANDLES; i++)
        assert_ok(
            leat_sender_open(&senders[i], "object", &(leat_channel_options){.many_senders = true}));
    expect_handles("object");
    for (int i = 0; i < HANDLES; i++)
        leat_sender_close(senders[i]);
    assert_int_equal(harness_names_left(), 0);
}

/* Each of its own, so that the kernel keeps each: with a gap between any two. */
static void lock_bytes(int file, off_t start, int count) {
    for (int i = 0; i < count; i++) {
        struct flock lock = {
            .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = start + 2 * i, .l_len = 1};
        assert_int_equal(fcntl(file, F_OFD_SETLK, &lock), 0);
    }
}

static void thousands_of_foreign_locks_delay_nobody_for_long(void **state) {
    (void)state;
    static const off_t starts[] = {0, ((off_t)1 << 62) + 20000,
                                   ((off_t)1 << 62) + ((off_t)1 << 48)};
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        leat_region *region, *second;
        leat_object_info info;
        char path[300];
        assert_ok(create_region(&region, "region", 4096, NULL));
        snprintf(path, sizeof path, "%s/region", harness_directory());
        int file = open(path, O_RDWR | O_CLOEXEC);
        lock_bytes(file, starts[i], 3000);
        uint64_t start = harness_now();
        assert_ok(leat_stat("region", LEAT_LOCAL, &info));
        assert_true(info.in_use);
        assert_ok(leat_gc(LEAT_LOCAL, NULL, NULL));
        assert_ok(open_region(&second, "region", 0, NULL));
        leat_region_close(second);
        assert_ok(leat_stat("region", LEAT_LOCAL, &info));
        assert_true(harness_now() - start < UINT64_C(10000000000));
        leat_region_close(region);
        close(file);
        assert_ok(leat_gc(LEAT_LOCAL, NULL, NULL));
        assert_int_equal(harness_names_left(), 0);
    }
}

/* --- Beside a long creation ------------------------------------------------------------------- */

#define LARGE (UINT64_C(512) << 20)

static struct {
    _Atomic bool started, ended;
    int result;
    leat_region *region;
} creation;

static void *create_large(void *context) {
    (void)context;
    atomic_store(&creation.started, true);
    creation.result = create_region(&creation.region, "large", LARGE, NULL);
    atomic_store(&creation.ended, true);
    return NULL;
}

/* Whether forks and opens came to their end while the large region was being made. */
static bool others_go_on_meanwhile(void) {
    pthread_t thread;
    unsigned forks = 0, opens = 0;
    atomic_store(&creation.started, false);
    atomic_store(&creation.ended, false);
    assert_int_equal(pthread_create(&thread, NULL, create_large, NULL), 0);
    while (!atomic_load(&creation.started))
        sched_yield();
    usleep(2000);
    while (!atomic_load(&creation.ended)) {
        leat_region *small;
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        forks += !atomic_load(&creation.ended);
        assert_int_equal(waitpid(child, NULL, 0), child);
        assert_ok(open_or_create_region(&small, "small", 0, NULL));
        leat_region_close(small);
        opens += !atomic_load(&creation.ended);
    }
    pthread_join(thread, NULL);
    assert_ok(creation.result);
    leat_region_close(creation.region);
    return forks >= 2 && opens >= 2;
}

static void fork_does_not_wait_for_a_large_creation(void **state) {
    (void)state;
    struct statvfs room;
    assert_int_equal(statvfs(harness_directory(), &room), 0);
    if ((uint64_t)room.f_bavail * room.f_frsize < 2 * LARGE)
        skip();
    for (int tries = 0; tries < 10; tries++) /* the scheduler decides which comes first */
        if (others_go_on_meanwhile())
            return;
    harness_fail("no fork returned before the creation ended");
}

/* --- A mutex that its creator holds from the start -------------------------------------------- */

#define CREATORS 4
#define CREATIONS 400

static int create_and_release(void *context) {
    const leat_sync_options options = {.initially = true};
    harness_word *created = context;
    for (unsigned i = 0; i < CREATIONS; i++) {
        leat_mutex *mutex;
        assert_ok(leat_mutex_open(&mutex, "held-by-its-creator", &options));
        bool mine = mutex_created(mutex);
        assert_leat(leat_mutex_unlock(mutex), mine ? LEAT_OK : LEAT_ENOTOWNER);
        atomic_fetch_add(created, mine);
        leat_mutex_close(mutex);
    }
    return 0;
}

/* Of several processes that create at the same moment only one gets the name, and the files of the
 * others do not count. */
static void mutex_is_held_from_the_start_by_its_creator_alone(void **state) {
    (void)state;
    harness_word *created = harness_shared(sizeof *created);
    pid_t creators[CREATORS];
    for (unsigned i = 0; i < CREATORS; i++)
        creators[i] = harness_spawn(create_and_release, created);
    for (unsigned i = 0; i < CREATORS; i++)
        harness_wait_ok(creators[i]);
    assert_true(atomic_load(created) > 0);
    assert_int_equal(harness_names_left(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(mutex_is_held_from_the_start_by_its_creator_alone),
        HARNESS_TEST(any_umask_makes_a_directory_that_works),
        HARNESS_TEST(directory_of_ones_own_that_lacks_bits_is_repaired),
        HARNESS_TEST(directory_open_to_others_is_refused_and_not_changed),
        HARNESS_TEST(leat_dir_without_meaning_is_refused),
        HARNESS_TEST(leat_dir_that_is_long_is_explained_by_its_cause),
        HARNESS_TEST(leat_dir_with_slashes_behind_it_is_made_by_its_first_user),
        HARNESS_TEST(scope_without_meaning_is_refused_everywhere),
        HARNESS_TEST(leat_dir_may_change_between_open_and_close),
        HARNESS_TEST(effective_user_may_change_between_open_and_close),
        HARNESS_TEST(name_left_by_dropped_privileges_is_healed),
        HARNESS_TEST(root_directory_may_change_between_open_and_close),
        HARNESS_TEST_WITHIN(hundred_processes_open_one_object_at_once, 300),
        HARNESS_TEST_WITHIN(thousand_handles_of_one_object_in_one_process, 300),
        HARNESS_TEST_WITHIN(thousands_of_foreign_locks_delay_nobody_for_long, 300),
        HARNESS_TEST_WITHIN(fork_does_not_wait_for_a_large_creation, 300),
    };
    return HARNESS_MAIN("opening", tests);
}
