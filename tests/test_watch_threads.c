/* test_watch_threads.c - the threads of a process that sleep for long share one inotify instance
 * (lib/os/linux/watch_wait.c): each is woken by its own notices, whichever of them leads. */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "channel_pair.h"
#include "channels/queue/receiver.h"
#include "channels/queue/sender.h"

enum { THREADS = 100, FILES = 4 };

static const leat_channel_options least = {.capacity = LEAT_CAPACITY_MIN,
                                           .spin_us = LEAT_SPIN_NONE};

/* How many inotify instances this process has. */
static unsigned count_instances(void) {
    char path[300], target[64];
    unsigned count = 0;
    DIR *list = opendir("/proc/self/fd");
    for (struct dirent *entry; list != NULL && (entry = readdir(list)) != NULL;) {
        snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
        ssize_t length = readlink(path, target, sizeof target - 1);
        target[length > 0 ? length : 0] = 0;
        count += strcmp(target, "anon_inode:inotify") == 0;
    }
    closedir(list);
    return count;
}

/* --- Receivers, each in a thread -------------------------------------------------------------- */

struct sleeper {
    leat_sender *tx;
    leat_receiver *rx;
    pthread_t thread;
    harness_word got;
    int ended; /* with this code */
};

static void *receive_all(void *context) {
    struct sleeper *sleeper = context;
    char byte;
    size_t size;
    do {
        sleeper->ended = leat_recv(sleeper->rx, &byte, 1, &size, LEAT_FOREVER);
        if (sleeper->ended == LEAT_OK)
            harness_increment(&sleeper->got);
    } while (sleeper->ended == LEAT_OK);
    leat_receiver_close(sleeper->rx);
    return NULL;
}

static void start_threads(struct sleeper sleepers[THREADS], const char *prefix) {
    for (int i = 0; i < THREADS; i++) {
        char name[40];
        snprintf(name, sizeof name, "%s-%d", prefix, i);
        sleepers[i] =
            (struct sleeper){.tx = open_sender(name, &least), .rx = open_receiver(name, &least)};
        assert_int_equal(pthread_create(&sleepers[i].thread, NULL, receive_all, &sleepers[i]), 0);
    }
}

static void await_watches(struct sleeper sleepers[THREADS]) {
    for (int i = 0; i < THREADS; i++)
        while ((leat__load_relaxed32(&sleepers[i].tx->role.peer->waiting) & LEAT__WATCHES) == 0)
            usleep(1000);
}

static void end_threads(struct sleeper sleepers[THREADS]) {
    for (int i = 0; i < THREADS; i++) {
        leat_sender_close(sleepers[i].tx);
        assert_int_equal(pthread_join(sleepers[i].thread, NULL), 0);
        assert_int_equal(sleepers[i].ended, LEAT_ECLOSED);
    }
}

static void inotify_instance_is_shared_by_a_hundred_sleepers(void **state) {
    (void)state;
    static struct sleeper sleepers[THREADS];
    start_threads(sleepers, "share");
    await_watches(sleepers);
    assert_int_equal(count_instances(), 1);
    end_threads(sleepers);
    assert_int_equal(count_instances(), 0);
}

static void do_nothing(int signal_number) {
    (void)signal_number;
}

/* Some at once, after pauses in which all of them fall asleep or some do. Signals make leaders
 * leave. */
static void sleeper_misses_no_message(void **state) {
    (void)state;
    static struct sleeper sleepers[THREADS];
    uint32_t sent[THREADS] = {0};
    unsigned seed = 1, rounds = harness_setting("LEAT_SLOW", 0) != 0 ? 2000 : 100;
    assert_int_not_equal(signal(SIGUSR1, do_nothing), SIG_ERR);
    start_threads(sleepers, "miss");
    await_watches(sleepers);
    for (unsigned round = 0; round < rounds; round++) {
        usleep(round % 8 == 0 ? 200000 : (unsigned)rand_r(&seed) % 3000);
        for (int i = rand_r(&seed) % 3 == 0 ? rand_r(&seed) % THREADS : 1; i > 0; i--) {
            int which = rand_r(&seed) % THREADS;
            send_text(sleepers[which].tx, "x");
            sent[which]++;
            if (rand_r(&seed) % 4 == 0)
                pthread_kill(sleepers[rand_r(&seed) % THREADS].thread, SIGUSR1);
        }
        for (int i = 0; i < THREADS; i++)
            harness_await(&sleepers[i].got, sent[i]);
    }
    end_threads(sleepers);
}

/* --- Deaths ----------------------------------------------------------------------------------- */

/* Holds the senders of the others' channels, and sleeps on as many channels of its own. */
static int sleep_with_many(void *context) {
    harness_word *ready = context;
    static leat_sender *senders[THREADS];
    static struct sleeper sleepers[THREADS];
    char name[40];
    for (int i = 0; i < THREADS; i++) {
        snprintf(name, sizeof name, "told-%d", i);
        senders[i] = open_sender(name, &least);
    }
    start_threads(sleepers, "own");
    await_watches(sleepers);
    harness_set(ready, 1);
    pause();
    leat_sender_close(senders[0]);
    return 1;
}

static void *expect_death(void *context) {
    struct sleeper *sleeper = context;
    char byte;
    size_t size;
    sleeper->ended = leat_recv(sleeper->rx, &byte, 1, &size, LEAT_FOREVER);
    harness_set(&sleeper->got, (uint32_t)(harness_now() / 1000));
    leat_receiver_close(sleeper->rx);
    return NULL;
}

static int by_time(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

static void peers_of_a_killed_process_with_many_sleepers_all_learn_of_it(void **state) {
    (void)state;
    harness_word *ready = harness_shared(sizeof *ready);
    static struct sleeper sleepers[THREADS];
    uint32_t told_us[THREADS];
    pid_t pid = harness_spawn(sleep_with_many, ready);
    harness_await(ready, 1);
    for (int i = 0; i < THREADS; i++) {
        char name[40];
        snprintf(name, sizeof name, "told-%d", i);
        sleepers[i] = (struct sleeper){.rx = open_receiver(name, &least)};
        assert_int_equal(pthread_create(&sleepers[i].thread, NULL, expect_death, &sleepers[i]), 0);
    }
    usleep(600000);
    uint32_t now = (uint32_t)(harness_now() / 1000);
    harness_kill(pid);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(sleepers[i].thread, NULL), 0);
        assert_int_equal(sleepers[i].ended, LEAT_EPEERDIED);
        told_us[i] = sleepers[i].got - now;
    }
    qsort(told_us, THREADS, sizeof *told_us, by_time);
    print_message("told after %.1f ms, half of them after %.1f, the last after %.1f\n",
                  told_us[0] / 1e3, told_us[THREADS / 2] / 1e3, told_us[THREADS - 1] / 1e3);
    assert_ok(leat_gc(LEAT_LOCAL, NULL, NULL)); /* the dead one's own channels */
}

/* --- The watches themselves ------------------------------------------------------------------- */

struct watched {
    leat__file file;
    struct leat__watch watch;
    pthread_t thread;
    harness_word woken, left;
    int result;
};

static void watch_file(struct watched *watched, int number) {
    char path[300];
    snprintf(path, sizeof path, "%s/watched-%d", harness_directory(), number);
    *watched = (struct watched){.file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
    assert_true(watched->file >= 0);
    assert_int_equal(unlink(path), 0);
    assert_true(leat__os_watch_begin(&watched->watch, &watched->file, LEAT__TOUCH_WRITE));
}

static void unwatch_file(struct watched *watched) {
    close(watched->file);
    leat__os_watch_end(&watched->watch);
}

static void touch(const struct watched *watched) {
    assert_int_equal(pwrite(watched->file, "x", 1, 0), 1);
}

static void note_left(void *context) {
    struct watched *watched = context;
    harness_increment(&watched->left);
}

static void *sleep_on_file(void *context) {
    struct watched *watched = context;
    do
        watched->result = leat__os_watch_wait(&watched->watch, LEAT_FOREVER, note_left, watched);
    while (watched->result == LEAT_EINTR);
    harness_set(&watched->woken, 1);
    return NULL;
}

static void start_sleeping(struct watched files[], int count) {
    for (int i = 0; i < count; i++) {
        watch_file(&files[i], i);
        assert_int_equal(pthread_create(&files[i].thread, NULL, sleep_on_file, &files[i]), 0);
        usleep(20000); /* so that the first leads */
    }
}

static void wake_and_join(struct watched *watched) {
    touch(watched);
    harness_await(&watched->woken, 1);
    assert_int_equal(pthread_join(watched->thread, NULL), 0);
    assert_int_equal(watched->result, LEAT_OK);
    assert_int_equal(watched->left, 0);
}

static void cancel_and_join(struct watched *watched) {
    void *result;
    assert_int_equal(pthread_cancel(watched->thread), 0);
    assert_int_equal(pthread_join(watched->thread, &result), 0);
    assert_ptr_equal(result, PTHREAD_CANCELED);
    assert_int_equal(watched->left, 1);
    assert_int_equal(watched->woken, 0);
}

/* The leader first, then one that only follows, then the new leader. */
static void cancelled_sleeper_leaves_the_others_a_leader(void **state) {
    (void)state;
    if (HARNESS_SANITIZED)
        skip();
    static struct watched files[FILES];
    start_sleeping(files, FILES);
    cancel_and_join(&files[0]);
    cancel_and_join(&files[1]);
    cancel_and_join(&files[3]);
    wake_and_join(&files[2]);
    for (int i = 0; i < FILES; i++)
        unwatch_file(&files[i]);
}

static void cancelled_sleeper_can_sleep_again_elsewhere(void **state) {
    (void)state;
    if (HARNESS_SANITIZED)
        skip();
    static struct watched files[1];
    start_sleeping(files, 1);
    cancel_and_join(&files[0]);
    touch(&files[0]); /* no thread sleeps */
    assert_leat(leat__os_watch_wait(&files[0].watch, LEAT_FOREVER, NULL, NULL), LEAT_OK);
    assert_false(leat__os_watch_clear(&files[0].watch));
    assert_leat(leat__os_watch_wait(&files[0].watch, SOON, NULL, NULL), LEAT_ETIMEDOUT);
    unwatch_file(&files[0]);
}

static void leader_that_leaves_in_time_appoints_another(void **state) {
    (void)state;
    static struct watched first, files[FILES];
    watch_file(&first, FILES);
    start_sleeping(files, FILES);
    for (int i = 0; i < FILES; i++)
        wake_and_join(&files[i]); /* each leads when the one before has left */
    assert_leat(leat__os_watch_wait(&first.watch, SOON, NULL, NULL), LEAT_ETIMEDOUT);
    for (int i = 0; i < FILES; i++)
        unwatch_file(&files[i]);
    unwatch_file(&first);
}

/* More than the kernel keeps: then each may have been concerned. */
static void lost_notices_wake_every_sleeper(void **state) {
    (void)state;
    static struct watched files[3];
    for (int i = 0; i < 3; i++)
        watch_file(&files[i], i);
    for (int i = 0; i < 20000; i++)
        touch(&files[i % 2]);
    assert_leat(leat__os_watch_wait(&files[2].watch, LEAT_FOREVER, NULL, NULL), LEAT_OK);
    assert_true(leat__os_watch_clear(&files[2].watch));
    for (int i = 0; i < 3; i++)
        unwatch_file(&files[i]);
}

/* The same inode twice, as a sender and a receiver of one process have it: each is woken by its own
 * kind of touch only. */
static void watches_of_one_file_are_distinguished(void **state) {
    (void)state;
    static struct watched write, read;
    watch_file(&write, 0);
    read.file = dup(write.file);
    assert_true(leat__os_watch_begin(&read.watch, &read.file, LEAT__TOUCH_READ));
    touch(&write);
    assert_leat(leat__os_watch_wait(&read.watch, SOON, NULL, NULL), LEAT_ETIMEDOUT);
    assert_leat(leat__os_watch_wait(&write.watch, LEAT_FOREVER, NULL, NULL), LEAT_OK);
    close(read.file);
    leat__os_watch_end(&read.watch);
    leat__os_watch_clear(&write.watch);
    touch(&write);
    assert_leat(leat__os_watch_wait(&write.watch, LEAT_FOREVER, NULL, NULL), LEAT_OK);
    unwatch_file(&write);
}

static int sleep_in_a_child(void *context) {
    struct watched *inherited = context, own;
    assert_int_equal(count_instances(), 0);
    assert_leat(leat__os_watch_wait(&inherited->watch, SOON, NULL, NULL),
                LEAT_OK); /* it is not the child's */
    leat__os_watch_end(&inherited->watch);
    watch_file(&own, FILES);
    assert_int_equal(count_instances(), 1);
    assert_leat(leat__os_watch_wait(&own.watch, SOON, NULL, NULL), LEAT_ETIMEDOUT);
    touch(&own);
    assert_leat(leat__os_watch_wait(&own.watch, LEAT_FOREVER, NULL, NULL), LEAT_OK);
    unwatch_file(&own);
    return 0;
}

static void forked_child_has_an_instance_of_its_own(void **state) {
    (void)state;
    static struct watched files[2];
    start_sleeping(files, 2);
    harness_wait_ok(harness_spawn(sleep_in_a_child, &files[0]));
    wake_and_join(&files[1]);
    wake_and_join(&files[0]);
    unwatch_file(&files[0]);
    unwatch_file(&files[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(inotify_instance_is_shared_by_a_hundred_sleepers),
        HARNESS_TEST_WITHIN(sleeper_misses_no_message, 300),
        HARNESS_TEST(peers_of_a_killed_process_with_many_sleepers_all_learn_of_it),
        HARNESS_TEST(cancelled_sleeper_leaves_the_others_a_leader),
        HARNESS_TEST(cancelled_sleeper_can_sleep_again_elsewhere),
        HARNESS_TEST(leader_that_leaves_in_time_appoints_another),
        HARNESS_TEST(lost_notices_wake_every_sleeper),
        HARNESS_TEST(watches_of_one_file_are_distinguished),
        HARNESS_TEST(forked_child_has_an_instance_of_its_own),
    };
    return HARNESS_MAIN("watch_threads", tests);
}
