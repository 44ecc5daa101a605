/* test_region_again.c - many handles of one process on one object. From the third on they are
 * mapped through a descriptor that is kept (lib/os/linux/memory.c), which must not show, be left
 * behind or reach a child. */
#include "handles.h"
#include "harness.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define HANDLES 5
#define SIZE 8192
#define SKIPPED 77

static ino_t inode_of(const char *name) {
    struct stat status;
    char path[300];
    snprintf(path, sizeof path, "%s/%s", harness_directory(), name);
    assert_int_equal(stat(path, &status), 0);
    return status.st_ino;
}

static unsigned mappings_of(ino_t inode) {
    char line[512];
    unsigned found = 0;
    unsigned long long mapped;
    FILE *maps = fopen("/proc/self/maps", "r");
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps) != NULL)
        found += sscanf(line, "%*s %*s %*s %*s %llu", &mapped) == 1 && mapped == inode;
    fclose(maps);
    return found;
}

static void open_all(leat_region *regions[HANDLES], const char *name, leat_access access) {
    for (int i = 0; i < HANDLES; i++)
        assert_ok(open_region(&regions[i], name, 0, &(leat_region_options){.access = access}));
}

static void close_all(leat_region *regions[HANDLES]) {
    for (int i = 0; i < HANDLES; i++)
        leat_region_close(regions[i]);
}

static void each_handle_sees_the_same_bytes(void **state) {
    (void)state;
    leat_region *owner, *regions[HANDLES];
    assert_ok(create_region(&owner, "region", SIZE, NULL));
    open_all(regions, "region", LEAT_READ_WRITE);
    for (int i = 0; i < HANDLES; i++)
        memset((char *)leat_region_data(regions[i]) + SIZE - HANDLES + i, 'a' + i, 1);
    assert_memory_equal((char *)leat_region_data(owner) + SIZE - HANDLES, "abcde", HANDLES);
    close_all(regions);
    leat_region_close(owner);
}

static void mappings_go_with_the_last_handle_whatever_the_order(void **state) {
    (void)state;
    leat_region *owner, *regions[HANDLES], *other;
    assert_ok(create_region(&other, "other", SIZE, NULL));
    for (int round = 0; round < 2; round++) {
        assert_ok(create_region(&owner, "region", SIZE, NULL));
        ino_t inode = inode_of("region");
        assert_int_equal(mappings_of(inode), 1);
        open_all(regions, "region", LEAT_READ_WRITE);
        assert_int_equal(mappings_of(inode), HANDLES + 1);
        if (round == 0)
            leat_region_close(owner);
        close_all(regions);
        if (round == 1)
            leat_region_close(owner);
        assert_int_equal(mappings_of(inode), 0);
    }
    leat_region_close(other);
}

static void mappings_go_though_another_object_came_in_between(void **state) {
    (void)state;
    leat_region *first[HANDLES], *second[HANDLES], *owners[2];
    assert_ok(create_region(&owners[0], "first", SIZE, NULL));
    assert_ok(create_region(&owners[1], "second", SIZE, NULL));
    ino_t inodes[] = {inode_of("first"), inode_of("second")};
    open_all(first, "first", LEAT_READ_WRITE);
    open_all(second, "second", LEAT_READ_WRITE);
    leat_region_close(owners[0]);
    close_all(first);
    assert_int_equal(mappings_of(inodes[0]), 0);
    leat_region_close(owners[1]);
    close_all(second);
    assert_int_equal(mappings_of(inodes[1]), 0);
}

static int count_in_child(void *inode) {
    return (int)mappings_of(*(ino_t *)inode);
}

static void child_has_none_of_them(void **state) {
    (void)state;
    leat_mutex *mutexes[HANDLES];
    for (int i = 0; i < HANDLES; i++)
        assert_ok(leat_mutex_open(&mutexes[i], "mutex", NULL));
    ino_t inode = inode_of("mutex");
    assert_int_equal(mappings_of(inode), HANDLES);
    harness_wait_exit(harness_spawn(count_in_child, &inode), 0);
    for (int i = 0; i < HANDLES; i++)
        leat_mutex_close(mutexes[i]);
    assert_int_equal(mappings_of(inode), 0);
}

static int write_through(void *region) {
    memset(leat_region_data(region), 1, 1);
    return 0;
}

static void access_is_that_of_each_handle(void **state) {
    (void)state;
    leat_region *owner, *readers[HANDLES], *writers[HANDLES];
    assert_ok(create_region(&owner, "region", SIZE, NULL));
    open_all(writers, "region", LEAT_READ_WRITE);
    open_all(readers, "region", LEAT_READ_ONLY);
    for (int i = 0; i < HANDLES; i++) {
        harness_wait_ok(harness_spawn(write_through, writers[i]));
        harness_wait_signal(harness_spawn(write_through, readers[i]), SIGSEGV);
    }
    close_all(readers);
    close_all(writers);
    leat_region_close(owner);
}

static void handle_opened_after_growing_sees_the_whole(void **state) {
    (void)state;
    leat_region *owner, *regions[HANDLES], *late;
    assert_ok(create_region(&owner, "region", SIZE, NULL));
    open_all(regions, "region", LEAT_READ_WRITE);
    assert_ok(leat_region_grow(owner, 4 * SIZE));
    memcpy((char *)leat_region_data(owner) + 4 * SIZE - 4, "end", 4);
    assert_ok(open_region(&late, "region", 0, NULL));
    assert_int_equal(leat_region_size(late), 4 * SIZE);
    assert_string_equal((char *)leat_region_data(late) + 4 * SIZE - 4, "end");
    leat_region_close(late);
    close_all(regions);
    leat_region_close(owner);
}

static void locked_memory_is_that_of_one_handle(void **state) {
    (void)state;
    leat_region *owner, *regions[HANDLES], *late;
    leat_residency residency;
    assert_ok(create_region(&owner, "region", SIZE, NULL));
    open_all(regions, "region", LEAT_READ_WRITE);
    for (int i = 0; i < HANDLES; i++)
        assert_ok(leat_view_lock(leat_region_data(regions[i]), 0));
    assert_ok(open_region(&late, "region", 0, NULL));
    assert_ok(leat_view_residency(leat_region_data(late), 0, &residency));
    assert_int_equal(residency.locked, 0);
    leat_region_close(late);
    close_all(regions);
    leat_region_close(owner);
}

static unsigned long locked_kib(const void *address) {
    leat_residency residency;
    assert_ok(leat_view_residency(address, 0, &residency));
    return (unsigned long)(residency.locked / 1024);
}

/* As a program at real-time priority asks for. In a process of its own, for it cannot be taken back
 * for those to come. */
static int lock_all_to_come(void *context) {
    leat_region *regions[HANDLES];
    open_all(regions, context, LEAT_READ_WRITE);
    if (mlockall(MCL_FUTURE) != 0)
        _exit(SKIPPED); /* RLIMIT_MEMLOCK */
    leat_region *late;
    assert_ok(open_region(&late, context, 0, NULL));
    assert_int_equal(locked_kib(leat_region_data(late)), SIZE / 1024);
    assert_int_equal(locked_kib(leat_region_data(regions[HANDLES - 1])), 0);
    munlockall();
    leat_region_close(late);
    close_all(regions);
    return 0;
}

static void memory_is_locked_as_the_process_asks_for(void **state) {
    (void)state;
    leat_region *owner;
#ifdef __SANITIZE_ADDRESS__
    skip(); /* its mlockall does nothing */
#endif
    assert_ok(create_region(&owner, "region", SIZE, NULL));
    int status = harness_wait(harness_spawn(lock_all_to_come, (void *)(uintptr_t) "region"));
    leat_region_close(owner);
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
        skip();
    assert_int_equal(status, 0);
}

/* One mapping is noted, and no descriptor is kept yet. */
static int open_in_child(void *name) {
    leat_event *event;
    ino_t inode = inode_of(name);
    for (int i = 0; i < 2; i++) {
        assert_ok(leat_event_open(&event, name, NULL));
        leat_event_close(event);
    }
    return (int)mappings_of(inode);
}

static void child_begins_anew(void **state) {
    (void)state;
    leat_event *first, *second;
    assert_ok(leat_event_open(&first, "event", NULL));
    assert_ok(leat_event_open(&second, "event", NULL));
    harness_wait_exit(harness_spawn(open_in_child, (void *)(uintptr_t) "event"), 0);
    leat_event_close(first);
    leat_event_close(second);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(each_handle_sees_the_same_bytes),
        HARNESS_TEST(mappings_go_with_the_last_handle_whatever_the_order),
        HARNESS_TEST(mappings_go_though_another_object_came_in_between),
        HARNESS_TEST(child_has_none_of_them),
        HARNESS_TEST(access_is_that_of_each_handle),
        HARNESS_TEST(handle_opened_after_growing_sees_the_whole),
        HARNESS_TEST(locked_memory_is_that_of_one_handle),
        HARNESS_TEST(memory_is_locked_as_the_process_asks_for),
        HARNESS_TEST(child_begins_anew),
    };
    return HARNESS_MAIN("region_again", tests);
}
