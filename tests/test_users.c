/* test_users.c - what users may do with each other's objects: which users may open, use, heal and
 * remove, for each scope, mode and kind; a user that may only read and locks every byte of a file;
 * a publisher that may not write to its own region; users of user namespaces and of fakeroot. Run
 * as "test_users markdown" it prints the table of rights. All but the last need root, and are
 * skipped without. */
#include "handles.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define GROUP 64930

static const struct user {
    uid_t user;
    gid_t group;
} users[] = {{64921, GROUP}, {64922, GROUP}, {64923, 64923}};

enum { OWNER, MEMBER, OTHER, USERS };

static void need_root(void) {
    if (geteuid() != 0)
        skip();
}

static void become(int who) {
    gid_t group = users[who].group;
    if (setgroups(1, &group) != 0 || setgid(group) != 0 || setuid(users[who].user) != 0)
        harness_fail("cannot become user %u", (unsigned)users[who].user);
}

/* --- The table -------------------------------------------------------------------------------- */

enum right {
    READ = 1,   /* opens a living region for reading */
    USE = 2,    /* opens a living object, and uses it */
    HEAL = 4,   /* opens or creates where killed processes of the owner left an object behind */
    REMOVE = 8, /* leat_unlink of a living object; leat_gc of one that was left behind */
};

#define NOTHING 0u
#define REVIVE ((unsigned)HEAL | REMOVE)
#define REGION_ALL ((unsigned)READ | USE | HEAL | REMOVE)
#define ALL ((unsigned)USE | HEAL | REMOVE)

static const struct row {
    unsigned mode;
    unsigned region[USERS], others[USERS]; /* of a region; of a mutex or a channel */
} rows[] = {
    {0600, {REGION_ALL, NOTHING, NOTHING}, {ALL, NOTHING, NOTHING}},
    {0660, {REGION_ALL, READ | USE | HEAL, NOTHING}, {ALL, USE | HEAL, NOTHING}},
    {0666, {REGION_ALL, READ | USE | HEAL, READ | USE | HEAL}, {ALL, USE | HEAL, USE | HEAL}},
    {0644, {REGION_ALL, READ, READ}, {ALL, NOTHING, NOTHING}},
    {0444, {READ | REVIVE, READ, READ}, {REVIVE, NOTHING, NOTHING}},
    /* asked for as 0111: 0 is the default */
    {0000, {REVIVE, NOTHING, NOTHING}, {REVIVE, NOTHING, NOTHING}},
};

#define ROWS (sizeof rows / sizeof rows[0])

static void print_cell(unsigned rights) {
    static const char *const words[] = {"read", "use", "heal", "remove"};
    const char *comma = "";
    printf(" ");
    for (unsigned i = 0; i < 4; i++)
        if ((rights & 1u << i) != 0) {
            printf("%s%s", comma, words[i]);
            comma = ", ";
        }
    printf("%s |", rights == 0 ? "-" : "");
}

static int print_markdown(void) {
    printf("| permissions | kind | owner | group | others |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < ROWS; i++)
        for (int region = 1; region >= 0; region--) {
            printf("| `%04o` | %s |", rows[i].mode, region ? "region" : "mutex, channel");
            for (int who = 0; who < USERS; who++)
                print_cell(region ? rows[i].region[who] : rows[i].others[who]);
            printf("\n");
        }
    return 0;
}

struct cell {
    leat_scope scope;
    leat_kind kind;
    unsigned mode;
    int who;
    char name[64], directory[128];
    harness_word ready, rights, leave;
    _Atomic int code;  /* of the last refusal */
    harness_word gone; /* what unlink and gc have done */
};

static uint32_t permissions_of(const struct cell *cell) {
    return cell->mode != 0 ? cell->mode : 0111;
}

/* Opens, or closes again. */
struct handle {
    leat_region *region;
    leat_mutex *mutex;
    leat_receiver *receiver;
    leat_sender *sender;
};

static int open_handle(const struct cell *cell, leat_mode mode, struct handle *handle) {
    leat_region_options region = {.scope = cell->scope, .permissions = permissions_of(cell)};
    leat_sync_options sync = {
        .scope = cell->scope, .permissions = permissions_of(cell), .mode = mode};
    leat_channel_options channel = {
        .scope = cell->scope, .permissions = permissions_of(cell), .mode = mode};
    memset(handle, 0, sizeof *handle);
    if (cell->kind == LEAT_KIND_MUTEX)
        return leat_mutex_open(&handle->mutex, cell->name, &sync);
    if (cell->kind == LEAT_KIND_CHANNEL)
        return cell->who == OWNER && mode == LEAT_CREATE
                   ? leat_sender_open(&handle->sender, cell->name, &channel)
                   : leat_receiver_open(&handle->receiver, cell->name, &channel);
    return mode == LEAT_CREATE ? create_region(&handle->region, cell->name, 4096, &region)
           : mode == LEAT_OPEN ? open_region(&handle->region, cell->name, 4096, &region)
                               : open_or_create_region(&handle->region, cell->name, 4096, &region);
}

static void close_handle(struct handle *handle) {
    leat_region_close(handle->region);
    leat_mutex_close(handle->mutex);
    leat_receiver_close(handle->receiver);
    leat_sender_close(handle->sender);
}

static void use_handle(struct handle *handle) {
    char text[8];
    size_t size;
    if (handle->region != NULL)
        assert_ok(leat_region_write(handle->region, 0, "x", 1));
    if (handle->mutex != NULL) {
        int result = leat_mutex_lock(handle->mutex, leat_in_ms(10000));
        assert_true(result == LEAT_OK || result == LEAT_EOWNERDEAD);
        assert_ok(leat_mutex_unlock(handle->mutex));
    }
    if (handle->receiver != NULL) {
        assert_ok(leat_recv(handle->receiver, text, sizeof text, &size, leat_in_ms(10000)));
        assert_int_equal(size, 5);
    }
}

static int create_and_stay(void *context) {
    struct cell *cell = context;
    struct handle handle;
    become(OWNER);
    assert_int_equal(setenv("LEAT_DIR", cell->directory, 1), 0);
    cell->who = OWNER; /* in memory that is shared: set again below */
    assert_ok(open_handle(cell, LEAT_CREATE, &handle));
    if (handle.sender != NULL)
        for (int i = 0; i < USERS; i++)
            assert_ok(leat_send(handle.sender, "hello", 5, LEAT_NOW));
    harness_increment(&cell->ready);
    harness_await(&cell->leave, 1); /* it is killed before */
    return 0;
}

static pid_t start_creator(struct cell *cell) {
    atomic_store(&cell->ready, 0);
    pid_t creator = harness_spawn(create_and_stay, cell);
    harness_await(&cell->ready, 1);
    return creator;
}

static int as_user(struct cell *cell) {
    become(cell->who);
    return setenv("LEAT_DIR", cell->directory, 1);
}

static void note(struct cell *cell, int result, enum right right) {
    if (result == LEAT_OK)
        atomic_fetch_or(&cell->rights, right);
    else
        atomic_store(&cell->code, result);
}

/* A refusal is LEAT_EACCES, and no other error. */
static void check_refusal(const struct cell *cell, int result) {
    bool meant = result == LEAT_OK || result == LEAT_EACCES ||
                 (cell->scope == LEAT_LOCAL && result == LEAT_EUNTRUSTED);
    if (!meant)
        harness_fail("refused as %s: %s", leat_error_name(result), leat_error_detail());
}

static int try_living(void *context) {
    struct cell *cell = context;
    struct handle handle;
    assert_int_equal(as_user(cell), 0);
    leat_region_options reading = {.scope = cell->scope, .access = LEAT_READ_ONLY};
    leat_region *region = NULL;
    if (cell->kind == LEAT_KIND_REGION) {
        int result = open_region(&region, cell->name, 0, &reading);
        check_refusal(cell, result);
        note(cell, result, READ);
        leat_region_close(region);
    }
    int result = open_handle(cell, LEAT_OPEN, &handle);
    check_refusal(cell, result);
    note(cell, result, USE);
    if (result == LEAT_OK)
        use_handle(&handle);
    close_handle(&handle);
    return 0;
}

static int try_unlink(void *context) {
    struct cell *cell = context;
    assert_int_equal(as_user(cell), 0);
    int result = leat_unlink(cell->name, cell->scope);
    check_refusal(cell, result);
    harness_set(&cell->gone, result == LEAT_OK);
    return 0;
}

static int try_gc(void *context) {
    struct cell *cell = context;
    leat_object_info info;
    assert_int_equal(as_user(cell), 0);
    check_refusal(cell, leat_gc(cell->scope, NULL, NULL));
    if (cell->who == OWNER)
        assert_leat(leat_stat(cell->name, cell->scope, &info), LEAT_ENOENT);
    return 0;
}

static int try_to_heal(void *context) {
    struct cell *cell = context;
    struct handle handle;
    assert_int_equal(as_user(cell), 0);
    uint64_t start = harness_now();
    int result = open_handle(cell, LEAT_OPEN_OR_CREATE, &handle);
    if (result == LEAT_EACCES && cell->scope == LEAT_GLOBAL &&
        harness_now() - start > UINT64_C(10000000000))
        harness_fail("refused after seconds");
    check_refusal(cell, result);
    note(cell, result, HEAL);
    if (handle.receiver == NULL) /* whose sender is dead */
        use_handle(&handle);
    close_handle(&handle);
    return 0;
}

static bool is_there(const struct cell *cell) {
    char path[256];
    struct stat status;
    snprintf(path, sizeof path, "%s/%s", cell->scope == LEAT_GLOBAL ? "/dev/shm" : cell->directory,
             cell->name);
    return stat(path, &status) == 0;
}

static void forget(const struct cell *cell) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", cell->scope == LEAT_GLOBAL ? "/dev/shm" : cell->directory,
             cell->name);
    unlink(path);
}

static void run_as(struct cell *cell, int who, int (*run)(void *context)) {
    cell->who = who;
    harness_wait_ok(harness_spawn(run, cell));
}

/* What each of the three may do; [who]. */
static void find_rights(struct cell *cell, unsigned rights[USERS]) {
    for (int who = OTHER; who >= OWNER; who--) { /* the owner last: it removes */
        pid_t creator = start_creator(cell);
        atomic_store(&cell->rights, 0);
        run_as(cell, who, try_living);
        run_as(cell, who, try_unlink);
        bool unlinked = atomic_load(&cell->gone) != 0;
        assert_true(is_there(cell) == !unlinked);
        harness_kill(creator);
        forget(cell);
        harness_kill(start_creator(cell));
        run_as(cell, who, try_gc);
        bool collected = !is_there(cell);
        if (unlinked != collected)
            harness_fail("user %d: unlink %d, gc %d", who, unlinked, collected);
        forget(cell);
        harness_kill(start_creator(cell));
        run_as(cell, who, try_to_heal);
        forget(cell);
        rights[who] = atomic_load(&cell->rights) | (unlinked ? (unsigned)REMOVE : 0);
    }
}

static void check_row(struct cell *cell, const struct row *row) {
    unsigned rights[USERS];
    cell->mode = row->mode;
    find_rights(cell, rights);
    for (int who = 0; who < USERS; who++) {
        unsigned wanted = cell->kind == LEAT_KIND_REGION ? row->region[who] : row->others[who];
        if (cell->scope == LEAT_LOCAL && who != OWNER)
            wanted = NOTHING; /* it is the owner's directory */
        if (rights[who] != wanted)
            harness_fail("%s, mode %04o, user %d: rights %x instead of %x (last refusal: %s)",
                         leat_kind_name(cell->kind), row->mode, who, rights[who], wanted,
                         leat_error_name(atomic_load(&cell->code)));
    }
}

static void check_table(leat_scope scope) {
    static const leat_kind kinds[] = {LEAT_KIND_REGION, LEAT_KIND_MUTEX, LEAT_KIND_CHANNEL};
    need_root();
    struct cell *cell = harness_shared(sizeof *cell);
    cell->scope = scope;
    snprintf(cell->name, sizeof cell->name, "%s", harness_global("right"));
    snprintf(cell->directory, sizeof cell->directory, "/dev/shm/%s", harness_global("directory"));
    assert_int_equal(mkdir(cell->directory, 0700), 0);
    assert_int_equal(chown(cell->directory, users[OWNER].user, users[OWNER].group), 0);
    for (size_t kind = 0; kind < 3; kind++)
        for (size_t i = 0; i < ROWS; i++) {
            cell->kind = kinds[kind];
            check_row(cell, &rows[i]);
        }
    assert_int_equal(rmdir(cell->directory), 0);
}

static void rights_in_the_global_scope_are_those_of_the_table(void **state) {
    (void)state;
    check_table(LEAT_GLOBAL);
}

static void rights_in_the_local_scope_are_the_owners_alone(void **state) {
    (void)state;
    check_table(LEAT_LOCAL);
}

/* --- Users that may only read ----------------------------------------------------------------- */

static const char *global_path(const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "/dev/shm/%s", name);
    return path;
}

static uint32_t mode_of(const char *name) {
    leat_object_info info;
    assert_ok(leat_stat(name, LEAT_GLOBAL, &info));
    return info.permissions;
}

static void a_permission_to_read_alone_is_left_out_where_all_users_write(void **state) {
    (void)state;
    static const struct {
        uint32_t asked, given;
    } modes[] = {{0644, 0600}, {0664, 0660}, {0640, 0600}, {0622, 0622},
                 {0646, 0606}, {0777, 0777}, {0666, 0666}, {0444, 0}};
    const char *name = harness_global("stripped");
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        leat_sync_options sync = {.scope = LEAT_GLOBAL, .permissions = modes[i].asked};
        leat_channel_options channel = {.scope = LEAT_GLOBAL, .permissions = modes[i].asked};
        leat_mutex *mutex;
        leat_event *event;
        leat_semaphore *semaphore;
        leat_sender *sender;
        leat_region *region;
        assert_ok(leat_mutex_open(&mutex, name, &sync));
        assert_int_equal(mode_of(name), modes[i].given);
        leat_mutex_close(mutex);
        assert_ok(leat_event_open(&event, name, &sync));
        assert_int_equal(mode_of(name), modes[i].given);
        leat_event_close(event);
        assert_ok(leat_semaphore_open(&semaphore, name, 0, 1, &sync));
        assert_int_equal(mode_of(name), modes[i].given);
        leat_semaphore_close(semaphore);
        assert_ok(leat_sender_open(&sender, name, &channel));
        assert_int_equal(mode_of(name), modes[i].given);
        leat_sender_close(sender);
        assert_ok(create_region(
            &region, name, 0,
            &(leat_region_options){.scope = LEAT_GLOBAL, .permissions = modes[i].asked}));
        assert_int_equal(mode_of(name), modes[i].asked);
        leat_region_close(region);
    }
}

struct siege {
    char name[64];
    harness_word ready, done;
};

#define KEPT_OUT 3

/* Takes a shared lock on every byte there is, with a descriptor for reading, and keeps it. */
static int besiege(void *context) {
    struct siege *siege = context;
    become(OTHER);
    int file = open(global_path(siege->name), O_RDONLY | O_CLOEXEC);
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    if (file < 0)
        return errno == EACCES ? KEPT_OUT : 1;
    if (fcntl(file, F_OFD_SETLK, &lock) != 0)
        return 1;
    harness_set(&siege->ready, 1);
    harness_await(&siege->done, 1);
    close(file);
    return 0;
}

static void reader_that_locks_all_holds_up_no_writer_of_a_region(void **state) {
    (void)state;
    need_root();
    struct siege *siege = harness_shared(sizeof *siege);
    leat_region_options options = {
        .scope = LEAT_GLOBAL, .permissions = 0644, .size_policy = LEAT_SIZE_GROW};
    leat_region_options reading = {.scope = LEAT_GLOBAL, .access = LEAT_READ_ONLY};
    leat_region *region, *second, *third;
    leat_object_info info;
    snprintf(siege->name, sizeof siege->name, "%s", harness_global("besieged"));
    assert_ok(create_region(&region, siege->name, 4096, &options));
    pid_t reader = harness_spawn(besiege, siege);
    harness_await(&siege->ready, 1);
    uint64_t start = harness_now();
    assert_ok(leat_region_grow(region, 10000));
    assert_ok(open_or_create_region(&second, siege->name, 20000, &options));
    assert_ok(open_region(&third, siege->name, 0, &reading));
    assert_ok(leat_region_refresh(region));
    assert_int_equal(leat_region_size(region), 20000);
    assert_ok(leat_region_write(second, 19999, "x", 1));
    assert_ok(leat_stat(siege->name, LEAT_GLOBAL, &info));
    leat_region_close(third);
    leat_region_close(second);
    leat_region_close(region);
    assert_ok(leat_stat(siege->name, LEAT_GLOBAL, &info));
    assert_true(info.in_use); /* as it is with any user */
    assert_ok(leat_unlink(siege->name, LEAT_GLOBAL));
    assert_true(harness_now() - start < UINT64_C(8000000000));
    assert_ok(create_region(&region, siege->name, 4096, &options));
    leat_region_close(region);
    harness_set(&siege->done, 1);
    harness_wait_ok(reader);
}

static int make_and_die(void *context) {
    const struct siege *siege = context;
    leat_region_options options = {.scope = LEAT_GLOBAL, .permissions = 0644};
    leat_region *region;
    become(OWNER);
    assert_ok(create_region(&region, siege->name, 4096, &options));
    kill(getpid(), SIGKILL);
    return 1;
}

static int open_for_reading(void *context) {
    const struct siege *siege = context;
    leat_region_options reading = {.scope = LEAT_GLOBAL, .access = LEAT_READ_ONLY};
    leat_region *region;
    become(OWNER);
    int result = open_region(&region, siege->name, 0, &reading);
    if (result == LEAT_OK)
        leat_region_close(region);
    return result == LEAT_OK ? 0 : 1; /* it counts as in use */
}

static void reader_that_locks_all_keeps_no_reader_out(void **state) {
    (void)state;
    need_root();
    struct siege *siege = harness_shared(sizeof *siege);
    snprintf(siege->name, sizeof siege->name, "%s", harness_global("besieged"));
    (void)harness_wait(harness_spawn(make_and_die, siege));
    pid_t reader = harness_spawn(besiege, siege);
    harness_await(&siege->ready, 1);
    harness_wait_ok(harness_spawn(open_for_reading, siege));
    assert_ok(leat_unlink(siege->name, LEAT_GLOBAL));
    harness_set(&siege->done, 1);
    harness_wait_ok(reader);
}

static void reader_cannot_come_near_a_mutex_or_a_channel(void **state) {
    (void)state;
    need_root();
    struct siege *siege = harness_shared(sizeof *siege);
    leat_mutex *mutex;
    leat_sender *sender;
    leat_receiver *receiver;
    snprintf(siege->name, sizeof siege->name, "%s", harness_global("besieged"));
    assert_ok(leat_mutex_open(&mutex, siege->name,
                              &(leat_sync_options){.scope = LEAT_GLOBAL, .permissions = 0644}));
    harness_wait_exit(harness_spawn(besiege, siege), KEPT_OUT);
    leat_mutex_close(mutex);
    leat_channel_options options = {.scope = LEAT_GLOBAL, .permissions = 0644};
    assert_ok(leat_sender_open(&sender, siege->name, &options));
    harness_wait_exit(harness_spawn(besiege, siege), KEPT_OUT);
    assert_ok(leat_receiver_open(&receiver, siege->name, &options));
    leat_sender_close(sender);
    leat_receiver_close(receiver);
}

/* --- Left behind ------------------------------------------------------------------------------ */

static int publish_and_fork(void *context) {
    struct cell *cell = context;
    leat_region *region;
    assert_int_equal(setenv("LEAT_DIR", cell->directory, 1), 0);
    become(OWNER);
    assert_ok(create_region(&region, "published", 4096,
                            &(leat_region_options){.permissions = permissions_of(cell)}));
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, 0);
        harness_increment(&cell->ready);
        for (;;)
            pause();
    }
    pause();
    return 0;
}

static int expect_published_stale(void *context) {
    struct cell *cell = context;
    leat_object_info info;
    leat_region *region;
    struct stat status;
    char path[256];
    assert_int_equal(as_user(cell), 0);
    snprintf(path, sizeof path, "%s/published", cell->directory);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, permissions_of(cell));
    if ((permissions_of(cell) & 0400) != 0) {
        assert_ok(leat_stat("published", LEAT_LOCAL, &info));
        assert_false(info.in_use);
    }
    assert_ok(create_region(&region, "published", 4096,
                            &(leat_region_options){.permissions = permissions_of(cell)}));
    leat_region_close(region);
    assert_leat(leat_stat("published", LEAT_LOCAL, &info), LEAT_ENOENT);
    return 0;
}

static void forked_child_does_not_keep_a_region_whatever_its_mode(void **state) {
    (void)state;
    static const unsigned modes[] = {0444, 0400, 0200, 0000, 0600};
    need_root();
    struct cell *cell = harness_shared(sizeof *cell);
    snprintf(cell->directory, sizeof cell->directory, "/dev/shm/%s", harness_global("directory"));
    assert_int_equal(mkdir(cell->directory, 0700), 0);
    assert_int_equal(chown(cell->directory, users[OWNER].user, users[OWNER].group), 0);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        cell->mode = modes[i];
        atomic_store(&cell->ready, 0);
        pid_t publisher = harness_spawn(publish_and_fork, cell);
        harness_await(&cell->ready, 1);
        harness_kill(publisher);
        run_as(cell, OWNER, expect_published_stale);
        int status;
        pid_t orphan = 0;
        char children[64], list[256] = "";
        snprintf(children, sizeof children, "/proc/self/task/%d/children", (int)getpid());
        FILE *file = fopen(children, "re");
        if (file != NULL && fgets(list, sizeof list, file) != NULL)
            orphan = (pid_t)atoi(list);
        if (file != NULL)
            fclose(file);
        assert_true(orphan > 0);
        kill(orphan, SIGKILL);
        assert_int_equal(waitpid(orphan, &status, 0), orphan);
    }
    assert_int_equal(rmdir(cell->directory), 0);
}

static int publish_typed(void *context) {
    struct cell *cell = context;
    leat_type type = {"tests.typed", 8, 1}, found;
    leat_region *region;
    become(OWNER);
    umask((mode_t)cell->mode);
    leat_region_options options = {.scope = LEAT_GLOBAL, .permissions = 0444, .type = &type};
    int result = create_region(&region, cell->name, 4096, &options);
    if (result == LEAT_ENOTSUP)
        return 77;
    assert_ok(result);
    assert_ok(region_type(region, &found));
    assert_string_equal(found.name, "tests.typed");
    assert_int_equal(mode_of(cell->name), 0444);
    leat_region_close(region);
    return 0;
}

static void region_that_its_owner_may_not_write_has_a_type(void **state) {
    (void)state;
    static const unsigned masks[] = {022, 0777};
    need_root();
    struct cell *cell = harness_shared(sizeof *cell);
    snprintf(cell->name, sizeof cell->name, "%s", harness_global("typed"));
    for (size_t i = 0; i < 2; i++) {
        cell->mode = masks[i];
        int status = harness_wait(harness_spawn(publish_typed, cell));
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
            skip();
        assert_int_equal(status, 0);
    }
}

static int hold_typed(void *context) {
    struct cell *cell = context;
    leat_region *region;
    leat_type type = {"tests.old", 8, 1};
    become(OWNER);
    int result = create_region(
        &region, cell->name, 4096,
        &(leat_region_options){.scope = LEAT_GLOBAL, .permissions = 0666, .type = &type});
    if (result == LEAT_ENOTSUP)
        return 77;
    assert_ok(result);
    harness_increment(&cell->ready);
    harness_await(&cell->leave, 1);
    return 0;
}

static int renew_typed(void *context) {
    struct cell *cell = context;
    leat_region *region;
    leat_type type;
    become(OTHER);
    leat_region_options options = {.scope = LEAT_GLOBAL, .permissions = 0666}, reading = options;
    reading.access = LEAT_READ_ONLY;
    /* at once, not LEAT_EBUSY */
    assert_leat(open_or_create_region(&region, cell->name, 4096, &reading), LEAT_EACCES);
    assert_leat(open_region(&region, cell->name, 4096, &reading), LEAT_ENOENT);
    /* smaller: views may be there still */
    assert_leat(create_region(&region, cell->name, 100, &options), LEAT_EACCES);
    assert_ok(create_region(&region, cell->name, 8192, &options));
    assert_true(region_details(region).created);
    assert_ok(region_type(region, &type));
    assert_null(type.name);
    leat_region_close(region);
    return 0;
}

static void region_of_another_user_is_made_anew_in_its_place(void **state) {
    (void)state;
    need_root();
    struct cell *cell = harness_shared(sizeof *cell);
    snprintf(cell->name, sizeof cell->name, "%s", harness_global("anew"));
    pid_t creator = harness_spawn(hold_typed, cell);
    harness_await(&cell->ready, 1);
    harness_kill(creator);
    run_as(cell, OTHER, renew_typed);
    assert_ok(leat_gc(LEAT_GLOBAL, NULL, NULL));
}

/* --- Users with another identity -------------------------------------------------------------- */

static int write_text(const char *path, const char *text) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t size = file < 0 ? -1 : write(file, text, strlen(text));
    close(file);
    return size == (ssize_t)strlen(text) ? 0 : -1;
}

#define NAME "leat-test-seeming"

static int create_local(void) {
    leat_region *region;
    unsetenv("LEAT_DIR");
    assert_ok(create_region(&region, NAME, 4096, &(leat_region_options){.persistent = true}));
    leat_region_close(region);
    return 0;
}

static int be_root_of_a_namespace(void *context) {
    (void)context;
    char map[64];
    become(OWNER);
    prctl(PR_SET_DUMPABLE, 1);
    snprintf(map, sizeof map, "0 %u 1", (unsigned)users[OWNER].user);
    if (unshare(CLONE_NEWUSER) != 0 || write_text("/proc/self/uid_map", map) != 0)
        return 77;
    assert_int_equal(geteuid(), 0);
    return create_local();
}

static int be_root_by_fakeroot(void *context) {
    become(OWNER);
    execlp("fakeroot", "fakeroot", (const char *)context, "create-local", (char *)NULL);
    return 77;
}

static void expect_own_directory(int (*run)(void *context), void *context) {
    need_root();
    char directory[64], path[128];
    struct stat status;
    snprintf(directory, sizeof directory, "/dev/shm/leat-%u", (unsigned)users[OWNER].user);
    snprintf(path, sizeof path, "%s/" NAME, directory);
    int ended = harness_wait(harness_spawn(run, context));
    harness_wait_adopted(); /* fakeroot's daemon ends a moment later */
    if (WIFEXITED(ended) && (WEXITSTATUS(ended) == 77 || WEXITSTATUS(ended) == 126))
        skip();
    bool there = stat(path, &status) == 0;
    unlink(path);
    rmdir(directory);
    assert_int_equal(ended, 0);
    assert_true(there);
    assert_int_equal(status.st_uid, users[OWNER].user);
}

static void root_of_a_user_namespace_has_the_directory_of_its_outer_user(void **state) {
    (void)state;
    expect_own_directory(be_root_of_a_namespace, NULL);
}

#define UNMAPPED 65534 /* the number of all users that a namespace does not map */

static int be_nobody_of_a_namespace(void *context) {
    char own[200];
    leat_region *region;
    leat_object_info info;
    become(OWNER);
    prctl(PR_SET_DUMPABLE, 1);
    if (unshare(CLONE_NEWUSER) != 0 || geteuid() != UNMAPPED)
        return 77;
    unsetenv("LEAT_DIR");
    assert_leat(create_region(&region, NAME, 4096, NULL), LEAT_EACCES);
    assert_non_null(strstr(leat_error_detail(), "LEAT_DIR"));
    assert_leat(leat_stat(NAME, LEAT_LOCAL, &info), LEAT_EACCES);
    assert_leat(leat_gc(LEAT_LOCAL, NULL, NULL), LEAT_EACCES);
    snprintf(own, sizeof own, "%s/own", (const char *)context); /* the remedy */
    setenv("LEAT_DIR", own, 1);
    assert_ok(create_region(&region, NAME, 4096, NULL));
    leat_region_close(region);
    return 0;
}

static void user_without_a_number_outside_of_its_namespace_is_not_taken_for_another(void **state) {
    (void)state;
    need_root();
    struct stat status;
    char parent[100], own[110], others[64];
    snprintf(others, sizeof others, "/dev/shm/leat-%d", UNMAPPED);
    if (lstat(others, &status) == 0)
        skip(); /* that user has one */
    snprintf(parent, sizeof parent, "/dev/shm/%s", harness_global("parent"));
    snprintf(own, sizeof own, "%s/own", parent);
    assert_int_equal(mkdir(parent, 0700), 0);
    assert_int_equal(chown(parent, users[OWNER].user, users[OWNER].group), 0);
    int ended = harness_wait(harness_spawn(be_nobody_of_a_namespace, parent));
    bool taken = rmdir(others) == 0;
    (void)rmdir(own);
    assert_int_equal(rmdir(parent), 0);
    if (WIFEXITED(ended) && WEXITSTATUS(ended) == 77)
        skip();
    assert_int_equal(ended, 0);
    assert_false(taken);
}

static void user_under_fakeroot_has_its_own_directory(void **state) {
    (void)state;
    if (HARNESS_SANITIZED)
        skip();
    static char program[512];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    assert_true(length > 0);
    program[length] = 0;
    expect_own_directory(be_root_by_fakeroot, program);
}

int main(int count, char **arguments) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST_WITHIN(rights_in_the_global_scope_are_those_of_the_table, 300),
        HARNESS_TEST_WITHIN(rights_in_the_local_scope_are_the_owners_alone, 300),
        HARNESS_TEST(a_permission_to_read_alone_is_left_out_where_all_users_write),
        HARNESS_TEST(reader_that_locks_all_holds_up_no_writer_of_a_region),
        HARNESS_TEST(reader_that_locks_all_keeps_no_reader_out),
        HARNESS_TEST(reader_cannot_come_near_a_mutex_or_a_channel),
        HARNESS_TEST(forked_child_does_not_keep_a_region_whatever_its_mode),
        HARNESS_TEST(region_of_another_user_is_made_anew_in_its_place),
        HARNESS_TEST(region_that_its_owner_may_not_write_has_a_type),
        HARNESS_TEST(root_of_a_user_namespace_has_the_directory_of_its_outer_user),
        HARNESS_TEST(user_without_a_number_outside_of_its_namespace_is_not_taken_for_another),
        HARNESS_TEST(user_under_fakeroot_has_its_own_directory),
    };
    if (count == 2 && strcmp(arguments[1], "markdown") == 0)
        return print_markdown();
    if (count == 2 && strcmp(arguments[1], "create-local") == 0)
        return create_local();
    return HARNESS_MAIN("users", tests);
}
