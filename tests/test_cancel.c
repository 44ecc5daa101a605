/* test_cancel.c - threads that are cancelled where they call the library: with a cancellation
 * pending before each public function that makes system calls, and at random moments while objects
 * are opened, grown, shared, listed, removed and closed. Afterwards no descriptor, name, lock or
 * mapping is left, and other threads open, close and fork. */
#include "handles.h"
#include "remote_target.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- Afterwards ------------------------------------------------------------------------------- */

static int count_descriptors(void) {
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

/* Checks that nothing stays locked inside: everything works in another thread, and in a child. */
static void expect_all_well(void) {
    leat_region *region;
    leat_sender *sender;
    leat_mutex *mutex;
    assert_ok(open_or_create_region(&region, "well", 100, NULL));
    assert_ok(leat_sender_open(&sender, "well-channel", NULL));
    assert_ok(leat_mutex_open(&mutex, "well-mutex", NULL));
    pid_t child = fork();
    if (child == 0) {
        leat_region *own;
        int result = open_region(&own, "well", 0, NULL);
        if (result == LEAT_OK)
            leat_region_close(own);
        _exit(result == LEAT_OK ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    leat_mutex_close(mutex);
    leat_sender_close(sender);
    leat_region_close(region);
}

/* --- Pending before a call -------------------------------------------------------------------- */

/* The objects that the functions under test use and make: closed by the main thread afterwards. */
static struct {
    leat_region *region, *made;
    leat_sender *sender, *made_sender;
    leat_receiver *receiver, *made_receiver;
    leat_mutex *mutex, *made_mutex;
    leat_event *made_event;
    leat_semaphore *made_semaphore;
    leat_waitset *waitset, *made_waitset;
    int sockets[2], descriptor, received;
    char path[300], large_path[300];
    pid_t target;
    uint64_t address; /* where the region is mapped there */
} with;

#define LARGE (UINT64_C(2) << 20) /* from here on sizes are compared with the free memory */

/* Not used for the waits that docs call cancellation points. */
#define CALLS(X)                                                                                   \
    X(create_region(&with.made, "made", 4096, NULL))                                               \
    X(create_region(&with.made, NULL, 4096, NULL))                                                 \
    X(open_region(&with.made, "region", 0, NULL))                                                  \
    X(open_region(&with.made, "region", 0, &(leat_region_options){.access = LEAT_READ_ONLY}))      \
    X(open_or_create_region(&with.made, "made", 4096, NULL))                                       \
    X(open_or_create_region(&with.made, "region", 8192,                                            \
                            &(leat_region_options){.size_policy = LEAT_SIZE_GROW}))                \
    X(file_region(&with.made, with.path, LEAT_OPEN_OR_CREATE, 4096, NULL))                         \
    X(leat_region_open_descriptor(&with.made, with.descriptor, 0, NULL))                           \
    X(leat_descriptor_send(with.sockets[0], with.descriptor, LEAT_NOW))                            \
    X(leat_descriptor_receive(with.sockets[1], &with.received, LEAT_NOW))                          \
    X(leat_region_grow(with.region, 20000))                                                        \
    X(create_region(&with.made, "made", LARGE, NULL))                                              \
    X(create_region(&with.made, NULL, LARGE, NULL))                                                \
    X(file_region(&with.made, with.large_path, LEAT_OPEN_OR_CREATE, LARGE, NULL))                  \
    X(leat_sender_open(&with.made_sender, "made", &(leat_channel_options){.capacity = LARGE}))     \
    X(leat_region_grow(with.region, LARGE))                                                        \
    X(leat_region_map_into(with.region, with.target, &with.address))                               \
    X(leat_region_unmap_from(with.target, with.address))                                           \
    X(leat_region_refresh(with.region))                                                            \
    X(leat_region_flush(with.region, 0, 0, LEAT_FLUSH_DURABLE))                                    \
    X(region_type(with.region, &(leat_type){0}))                                                   \
    X(stat_region_type("region", LEAT_LOCAL, &(leat_type){0}))                                     \
    X(leat_stat("region", LEAT_LOCAL, &(leat_object_info){0}))                                     \
    X(leat_stat("nothing", LEAT_LOCAL, &(leat_object_info){0}))                                    \
    X(leat_list(LEAT_LOCAL, visit, NULL))                                                          \
    X(leat_gc(LEAT_LOCAL, NULL, NULL))                                                             \
    X(leat_unlink("removed", LEAT_LOCAL))                                                          \
    X(leat_sender_open(&with.made_sender, "made", NULL))                                           \
    X(leat_receiver_open(&with.made_receiver, "made", NULL))                                       \
    X(leat_sender_open(&with.made_sender, "channel", NULL))                                        \
    X(leat_channel_stat("channel", LEAT_LOCAL, &(leat_channel_info){0}))                           \
    X(leat_send(with.sender, "hello", 5, LEAT_NOW))                                                \
    X(leat_mutex_open(&with.made_mutex, "mutex", NULL))                                            \
    X(leat_mutex_open(&with.made_mutex, "made", NULL))                                             \
    X(leat_mutex_open(&with.made_mutex, NULL, &without_name))                                      \
    X(leat_event_open(&with.made_event, "made", NULL))                                             \
    X(leat_semaphore_open(&with.made_semaphore, "made", 0, 1, NULL))                               \
    X(leat_mutex_lock(with.mutex, LEAT_NOW))                                                       \
    X(leat_mutex_unlock(with.mutex))                                                               \
    X(leat_sync_stat("mutex", LEAT_LOCAL, &(leat_sync_info){0}))                                   \
    X(leat_waitset_open(&with.made_waitset))                                                       \
    X(leat_waitset_add_receiver(with.waitset, with.receiver, &with))                               \
    X(leat_waitset_next(with.waitset, &(void *){0}))

static int visit(const leat_object_info *info, void *context) {
    (void)info;
    (void)context;
    pthread_testcancel(); /* as printf is */
    return 0;
}

static void close_made(void) {
    leat_region_close(with.made);
    leat_sender_close(with.made_sender);
    leat_receiver_close(with.made_receiver);
    leat_mutex_close(with.made_mutex);
    leat_event_close(with.made_event);
    leat_semaphore_close(with.made_semaphore);
    leat_waitset_close(with.made_waitset);
    if (with.received > 0)
        close(with.received);
    with.received = 0;
    with.made = NULL;
    with.made_sender = NULL;
    with.made_receiver = NULL;
    with.made_mutex = NULL;
    with.made_event = NULL;
    with.made_semaphore = NULL;
    with.made_waitset = NULL;
}

static _Atomic int returned; /* the call's result; 1: it did not return */

#define NO_CALL 2

/* *text: what it is. NO_CALL: the list is shorter. */
static int run_call(unsigned number, const char **text) {
    unsigned at = 0;
#define CASE(call)                                                                                 \
    if (at++ == number) {                                                                          \
        *text = #call;                                                                             \
        return call;                                                                               \
    }
    CALLS(CASE)
#undef CASE
    return NO_CALL;
}

struct pending {
    unsigned number;
    const char *text;
};

static void *call_while_cancelled(void *context) {
    struct pending *pending = context;
    pthread_cancel(pthread_self());
    int result = run_call(pending->number, &pending->text);
    atomic_store(&returned, result);
    return NULL;
}

static void prepare(void) {
    leat_region *region;
    snprintf(with.path, sizeof with.path, "%s/file", harness_directory());
    snprintf(with.large_path, sizeof with.large_path, "%s/large", harness_directory());
    with.target = target_pausing();
    assert_ok(create_region(&with.region, "region", 4096, NULL));
    assert_ok(leat_region_descriptor(with.region, LEAT_READ_WRITE, false, &with.descriptor));
    assert_ok(leat_receiver_open(&with.receiver, "channel", NULL));
    assert_ok(leat_sender_open(&with.sender, "channel-to-fill", NULL));
    assert_ok(leat_mutex_open(&with.mutex, "mutex", NULL));
    assert_ok(leat_waitset_open(&with.waitset));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, with.sockets), 0);
    assert_ok(create_region(&region, "removed", 100, &(leat_region_options){.persistent = true}));
    leat_region_close(region);
}

static void finish(void) {
    leat_region_close(with.region);
    leat_receiver_close(with.receiver);
    leat_sender_close(with.sender);
    leat_mutex_close(with.mutex);
    leat_waitset_close(with.waitset);
    close(with.sockets[0]);
    close(with.sockets[1]);
    close(with.descriptor);
    unlink(with.path);
    unlink(with.large_path);
    (void)!leat_unlink("removed", LEAT_LOCAL);
    harness_kill(with.target);
}

static void pending_cancellation_is_acted_on_in_no_call(void **state) {
    (void)state;
    prepare();
    for (unsigned number = 0;; number++) {
        struct pending pending = {.number = number};
        pthread_t thread;
        int before = count_descriptors();
        atomic_store(&returned, 1);
        assert_int_equal(pthread_create(&thread, NULL, call_while_cancelled, &pending), 0);
        pthread_join(thread, NULL);
        if (atomic_load(&returned) == NO_CALL)
            break;
        if (atomic_load(&returned) == 1)
            harness_fail("cancelled inside of %s", pending.text);
        close_made();
        int after = count_descriptors();
        /* the first use of a handle may make one descriptor that it keeps */
        if (after > before + 1)
            harness_fail("%d descriptors more after %s", after - before, pending.text);
        expect_all_well();
    }
    finish();
    assert_int_equal(harness_names_left(), 0);
}

static void *close_while_cancelled(void *context) {
    (void)context;
    pthread_cancel(pthread_self());
    close_made();
    atomic_store(&returned, 0);
    return NULL;
}

static void handles_are_closed_whole_though_a_cancellation_is_pending(void **state) {
    (void)state;
    pthread_t thread;
    assert_ok(create_region(&with.made, "made", 4096, NULL));
    assert_ok(leat_sender_open(&with.made_sender, "made-channel", NULL));
    assert_ok(leat_receiver_open(&with.made_receiver, "made-channel", NULL));
    assert_ok(leat_mutex_open(&with.made_mutex, "made-mutex", NULL));
    assert_ok(leat_event_open(&with.made_event, "made-event", NULL));
    assert_ok(leat_semaphore_open(&with.made_semaphore, "made-semaphore", 0, 1, NULL));
    assert_ok(leat_waitset_open(&with.made_waitset));
    assert_ok(leat_waitset_add_receiver(with.made_waitset, with.made_receiver, NULL));
    atomic_store(&returned, 1);
    assert_int_equal(pthread_create(&thread, NULL, close_while_cancelled, NULL), 0);
    pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&returned), 0);
    expect_all_well();
    assert_int_equal(harness_names_left(), 0);
}

/* --- While it waits for a socket -------------------------------------------------------------- */

#define TRANSFERS(X)                                                                               \
    X(leat_descriptor_receive(with.sockets[1], &with.received, LEAT_FOREVER))                      \
    X(leat_descriptor_send(with.sockets[0], with.descriptor, LEAT_FOREVER))

/* Until it fails, as it does when the other end is closed, or is cancelled. */
static void *transfer_for_ever(void *context) {
    struct pending *pending = context;
    unsigned at = 0;
    int result = LEAT_OK;
    while (result == LEAT_OK) {
        at = 0;
        result = NO_CALL;
#define CASE(call)                                                                                 \
    if (at++ == pending->number) {                                                                 \
        pending->text = #call;                                                                     \
        result = call;                                                                             \
    }
        TRANSFERS(CASE)
#undef CASE
    }
    atomic_store(&returned, result);
    return NULL;
}

static void transfer_without_a_deadline_is_cancelled(void **state) {
    (void)state;
    void *end;
    prepare();
    for (unsigned number = 0;; number++) {
        struct pending pending = {.number = number};
        pthread_t thread;
        close(with.sockets[0]);
        close(with.sockets[1]);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, with.sockets), 0);
        atomic_store(&returned, 1);
        int before = count_descriptors();
        assert_int_equal(pthread_create(&thread, NULL, transfer_for_ever, &pending), 0);
        usleep(150000); /* until it waits, mostly */
        pthread_cancel(thread);
        assert_int_equal(pthread_join(thread, &end), 0);
        if (atomic_load(&returned) == NO_CALL)
            break;
        if (end != PTHREAD_CANCELED)
            harness_fail("%s gives %s", pending.text, leat_error_name(atomic_load(&returned)));
        int after = count_descriptors();
        if (after != before)
            harness_fail("%d descriptors more after %s", after - before, pending.text);
        expect_all_well();
    }
    finish();
    assert_int_equal(harness_names_left(), 0);
}

/* --- At random moments ------------------------------------------------------------------------ */

#define ROUNDS 600

/* The handles of the thread that is cancelled, in the order in which they were opened. Between two
 * calls nothing cancels it. */
struct worker {
    leat_region *region, *second;
    leat_sender *sender;
    leat_mutex *mutex;
    leat_waitset *waitset;
    int sockets[2], descriptors[2]; /* given and received; 0: none */
    unsigned seed;
    _Atomic unsigned steps;
};

/* close is a cancellation point of the C library, and may leave the descriptor open there. */
static void close_descriptors(struct worker *worker) {
    int before;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    for (int i = 0; i < 2; i++) {
        if (worker->descriptors[i] > 0)
            close(worker->descriptors[i]);
        worker->descriptors[i] = 0;
    }
    pthread_setcancelstate(before, NULL);
}

static void clean_up(void *context) {
    struct worker *worker = context;
    leat_region_close(worker->region);
    leat_region_close(worker->second);
    leat_sender_close(worker->sender);
    leat_mutex_close(worker->mutex);
    leat_waitset_close(worker->waitset);
    worker->region = worker->second = NULL;
    close_descriptors(worker);
    worker->sender = NULL;
    worker->mutex = NULL;
    worker->waitset = NULL;
}

static void open_and_close(struct worker *worker) {
    (void)!open_or_create_region(&worker->region, "random", 4096, NULL);
    (void)!leat_sender_open(&worker->sender, "random-channel",
                            &(leat_channel_options){.many_senders = true});
    (void)!leat_mutex_open(&worker->mutex, "random-mutex", NULL);
    clean_up(worker);
}

static void grow_and_share(struct worker *worker) {
    if (create_region(&worker->region, NULL, 4096, NULL) != LEAT_OK)
        return;
    (void)!leat_region_grow(worker->region, 30000);
    int *given = &worker->descriptors[0], *received = &worker->descriptors[1];
    if (leat_region_descriptor(worker->region, LEAT_READ_WRITE, false, given) == LEAT_OK &&
        leat_descriptor_send(worker->sockets[0], *given, LEAT_NOW) == LEAT_OK &&
        leat_descriptor_receive(worker->sockets[1], received, LEAT_NOW) == LEAT_OK)
        (void)!leat_region_open_descriptor(&worker->second, *received, 0, NULL);
    clean_up(worker);
}

static void look_and_collect(struct worker *worker) {
    leat_object_info info;
    (void)worker;
    (void)!leat_list(LEAT_LOCAL, visit, NULL);
    (void)!leat_gc(LEAT_LOCAL, NULL, NULL);
    (void)!leat_stat("random", LEAT_LOCAL, &info);
}

static void make_and_unlink(struct worker *worker) {
    leat_region_options kept = {.persistent = true, .access = LEAT_READ_WRITE};
    (void)!open_or_create_region(&worker->region, "random-kept", 4096, &kept);
    (void)!open_region(&worker->second, "random-kept", 0,
                       &(leat_region_options){.access = LEAT_READ_ONLY});
    clean_up(worker);
    (void)!leat_unlink("random-kept", LEAT_LOCAL);
}

static void make_a_wait_set(struct worker *worker) {
    if (leat_waitset_open(&worker->waitset) == LEAT_OK &&
        leat_mutex_open(&worker->mutex, "random-mutex", NULL) == LEAT_OK)
        (void)!leat_waitset_add_waitable(worker->waitset, leat_mutex_waitable(worker->mutex), NULL);
    clean_up(worker);
}

static void *work_until_cancelled(void *context) {
    static void (*const steps[])(struct worker * worker) = {
        open_and_close, grow_and_share, look_and_collect, make_and_unlink, make_a_wait_set};
    struct worker *worker = context;
    uint64_t random = worker->seed;
    pthread_cleanup_push(clean_up, worker);
    for (;;) {
        steps[harness_random(&random) % 5](worker);
        atomic_fetch_add(&worker->steps, 1);
        pthread_testcancel();
    }
    pthread_cleanup_pop(0);
    return NULL;
}

static int count_maps(void) {
    int count = 0;
    char line[1000];
    FILE *maps = fopen("/proc/self/maps", "re");
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps) != NULL)
        count += strstr(line, "random") != NULL || strstr(line, "memfd:leat") != NULL;
    fclose(maps);
    return count;
}

/* Some threads keep objects alive for the others, so that all paths are taken; forks in between
 * find nothing locked. */
static void cancellation_at_random_moments_leaves_nothing(void **state) {
    (void)state;
    uint64_t random = harness_seed();
    struct worker worker = {.sockets = {-1, -1}};
    unsigned steps = 0;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, worker.sockets), 0);
    expect_all_well();
    int before = count_descriptors();
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t thread;
        void *result;
        worker.seed = (unsigned)harness_random(&random);
        assert_int_equal(pthread_create(&thread, NULL, work_until_cancelled, &worker), 0);
        usleep((useconds_t)(harness_random(&random) % 1500));
        assert_int_equal(pthread_cancel(thread), 0);
        assert_int_equal(pthread_join(thread, &result), 0);
        assert_ptr_equal(result, PTHREAD_CANCELED);
        (void)!leat_unlink("random-kept", LEAT_LOCAL);
        int after = count_descriptors();
        if (after != before)
            harness_fail("round %d: %d descriptors instead of %d", round, after, before);
        assert_int_equal(count_maps(), 0);
        assert_int_equal(harness_names_left(), 0);
        if (round % 20 == 0)
            expect_all_well();
        steps = atomic_load(&worker.steps);
    }
    assert_true(steps > 0);
    close(worker.sockets[0]);
    close(worker.sockets[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(pending_cancellation_is_acted_on_in_no_call),
        HARNESS_TEST(transfer_without_a_deadline_is_cancelled),
        HARNESS_TEST(handles_are_closed_whole_though_a_cancellation_is_pending),
        HARNESS_TEST_WITHIN(cancellation_at_random_moments_leaves_nothing, 300),
    };
    return HARNESS_MAIN("cancel", tests);
}
