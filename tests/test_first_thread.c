/* test_first_thread.c - processes whose first thread has ended while others go on, as a main that
 * ends with pthread_exit leaves them: /proc/self leads nowhere there. What other processes see of
 * them is the same, and so is what they can do. */
#include "handles.h"
#include "harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "leat/view.h"

static void *run_alone(void *context) {
    char line[64];
    int (*run)(void) = *(int (**)(void))context;
    for (bool ended = false; !ended; usleep(1000)) {
        FILE *file = fopen("/proc/self/stat", "re");
        assert_non_null(file);
        assert_non_null(fgets(line, sizeof line, file));
        fclose(file);
        ended = strstr(line, ") Z ") != NULL;
    }
    _exit(run());
}

/* In a process of its own: runs it in a second thread, after the first has ended. */
static int end_first_thread(void *context) {
    static void *kept;
    pthread_t thread;
    kept = context;
    assert_int_equal(pthread_create(&thread, NULL, run_alone, &kept), 0);
    pthread_exit(NULL);
}

static pid_t spawn(int (*run)(void)) {
    return harness_spawn(end_first_thread, (void *)(uintptr_t)run);
}

/* --- Descriptors ------------------------------------------------------------------------------ */

static int give_and_ask(void) {
    leat_region *region, *anonymous;
    leat_mutex *mutex;
    leat_residency residency;
    int descriptor;
    assert_ok(create_region(&region, "region", 4096, NULL));
    memset(leat_region_data(region), 'x', 4096);
    assert_ok(leat_region_descriptor(region, LEAT_READ_WRITE, false, &descriptor));
    close(descriptor);
    assert_ok(leat_view_residency(leat_region_data(region), 0, &residency));
    assert_int_equal(residency.present, 4096);
    assert_ok(create_region(&anonymous, NULL, 4096, NULL));
    /* needs it opened again */
    assert_ok(leat_region_descriptor(anonymous, LEAT_READ_ONLY, false, &descriptor));
    close(descriptor);
    assert_ok(leat_mutex_open(&mutex, "mutex", NULL));
    assert_ok(leat_sync_descriptor(leat_mutex_waitable(mutex), false, &descriptor));
    close(descriptor);
    leat_mutex_close(mutex);
    leat_region_close(anonymous);
    leat_region_close(region);
    return 0;
}

static void descriptors_and_figures_are_had_without_the_first_thread(void **state) {
    (void)state;
    harness_wait_ok(spawn(give_and_ask));
    assert_int_equal(harness_names_left(), 0);
}

/* --- Locks ------------------------------------------------------------------------------------ */

static char path[300];

static int use_exclusively(void) {
    leat_region *first, *second;
    const leat_region_options exclusive = {.exclusive = true};
    int descriptor;
    assert_ok(file_region(&first, path, LEAT_OPEN_OR_CREATE, 4096, &exclusive));
    assert_ok(leat_region_descriptor(first, LEAT_READ_WRITE, false, &descriptor));
    assert_leat(leat_region_open_descriptor(&second, descriptor, 0, NULL), LEAT_EBUSY);
    assert_leat(file_region(&second, path, LEAT_OPEN, 0, &exclusive), LEAT_EBUSY);
    close(descriptor);
    leat_region_close(first);
    return 0;
}

static void exclusive_file_stays_exclusive_without_the_first_thread(void **state) {
    (void)state;
    snprintf(path, sizeof path, "%s/file", harness_directory());
    harness_wait_ok(spawn(use_exclusively));
    assert_int_equal(unlink(path), 0);
}

struct family {
    harness_word ready, leave;
};

static struct family *family;

static int publish_and_fork(void) {
    leat_region *region, *file;
    assert_ok(create_region(&region, "published", 4096, NULL));
    assert_ok(file_region(&file, path, LEAT_OPEN_OR_CREATE, 4096,
                          &(leat_region_options){.exclusive = true}));
    if (fork() == 0) {
        harness_set(&family->ready, 1);
        harness_await(&family->leave, 1);
        _exit(0);
    }
    for (;;)
        pause();
}

/* The child has the views, and nothing that keeps the region in use. */
static void
forked_child_keeps_nothing_in_use_for_a_killed_process_without_its_first_thread(void **state) {
    (void)state;
    leat_region *region;
    leat_object_info info;
    snprintf(path, sizeof path, "%s/file", harness_directory());
    family = harness_shared(sizeof *family);
    pid_t process = spawn(publish_and_fork);
    harness_await(&family->ready, 1);
    harness_kill(process);
    assert_ok(leat_stat("published", LEAT_LOCAL, &info));
    assert_false(info.in_use);
    assert_int_equal(info.users, 0);
    assert_ok(file_region(&region, path, LEAT_OPEN, 0, &(leat_region_options){.exclusive = true}));
    leat_region_close(region);
    assert_leat(open_region(&region, "published", 0, NULL), LEAT_ENOENT);
    harness_set(&family->leave, 1);
    harness_wait_adopted();
    assert_int_equal(unlink(path), 0);
    assert_int_equal(harness_names_left(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(descriptors_and_figures_are_had_without_the_first_thread),
        HARNESS_TEST(exclusive_file_stays_exclusive_without_the_first_thread),
        HARNESS_TEST(
            forked_child_keeps_nothing_in_use_for_a_killed_process_without_its_first_thread),
    };
    return HARNESS_MAIN("first_thread", tests);
}
