/* test_object_users.c - how many handles of an object are open (leat/object.h): in one process and
 * in several, after kills, among many objects, and while others come and leave. */
#include "handles.h"
#include "harness.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static leat_object_info look(const char *name) {
    leat_object_info info;
    assert_ok(leat_stat(name, LEAT_LOCAL, &info));
    assert_true(info.in_use == (info.users != 0));
    return info;
}

static void expect_users(const char *name, uint32_t users) {
    leat_object_info info = look(name);
    if (info.users != users)
        harness_fail("'%s' has %u users instead of %u", name, info.users, users);
}

static leat_region *opened(const char *name) {
    leat_region *region;
    assert_ok(open_or_create_region(&region, name, 0, NULL));
    return region;
}

/* --- One process ------------------------------------------------------------------------------ */

static void each_handle_of_a_region_is_one_user(void **state) {
    (void)state;
    leat_region *regions[5];
    for (uint32_t i = 0; i < 5; i++) {
        leat_region_options options = {.access = i % 2 == 0 ? LEAT_READ_WRITE : LEAT_READ_ONLY};
        assert_ok(open_or_create_region(&regions[i], "r", 0, &options));
        expect_users("r", i + 1);
    }
    for (uint32_t i = 4; i > 0; i--) {
        leat_region_close(regions[i]);
        expect_users("r", i);
    }
    leat_region_close(regions[0]);
}

/* The locks of a channel's ends lie beside the one that is counted: the kernel makes one range of
 * them. */
static void the_ends_of_a_channel_are_users(void **state) {
    (void)state;
    leat_channel_options many = {.many_senders = true};
    leat_sender *senders[3];
    leat_receiver *receiver;
    for (uint32_t i = 0; i < 3; i++) {
        assert_ok(leat_sender_open(&senders[i], "c", &many));
        expect_users("c", i + 1);
    }
    assert_ok(leat_receiver_open(&receiver, "c", NULL));
    expect_users("c", 4);
    leat_sender_close(senders[1]);
    expect_users("c", 3);
    leat_receiver_close(receiver);
    leat_sender_close(senders[0]);
    leat_sender_close(senders[2]);
}

static void mutexes_events_and_semaphores_have_users_too(void **state) {
    (void)state;
    leat_mutex *mutexes[2];
    leat_event *event;
    leat_semaphore *semaphores[3];
    for (int i = 0; i < 2; i++)
        assert_ok(leat_mutex_open(&mutexes[i], "m", NULL));
    assert_ok(leat_mutex_lock(mutexes[0], LEAT_NOW));
    assert_ok(leat_event_open(&event, "e", NULL));
    for (int i = 0; i < 3; i++)
        assert_ok(leat_semaphore_open(&semaphores[i], "s", 0, 1, NULL));
    expect_users("m", 2);
    expect_users("e", 1);
    expect_users("s", 3);
    assert_ok(leat_mutex_unlock(mutexes[0]));
    for (int i = 0; i < 2; i++)
        leat_mutex_close(mutexes[i]);
    leat_event_close(event);
    for (int i = 0; i < 3; i++)
        leat_semaphore_close(semaphores[i]);
}

static void a_persistent_object_can_be_without_users(void **state) {
    (void)state;
    leat_region *region;
    assert_ok(create_region(&region, "kept", 0, &(leat_region_options){.persistent = true}));
    expect_users("kept", 1);
    leat_region_close(region);
    expect_users("kept", 0);
    assert_ok(leat_unlink("kept", LEAT_LOCAL));
}

/* Views, descriptors and children are no handles. */
static void what_is_no_handle_is_not_counted(void **state) {
    (void)state;
    leat_region *region = opened("r");
    int descriptor;
    void *view;
    assert_ok(leat_region_descriptor(region, LEAT_READ_WRITE, false, &descriptor));
    assert_ok(leat_view_map(region, 0, 0, NULL, LEAT_READ_WRITE, &view));
    expect_users("r", 1);
    assert_ok(leat_view_unmap(view));
    close(descriptor);
    leat_region_close(region);
}

static int note(const leat_object_info *info, void *context) {
    uint32_t *users = context, number;
    assert_int_equal(sscanf(info->name, "n%u", &number), 1);
    users[number] = info->users;
    return 0;
}

static void a_listing_counts_the_users_of_all(void **state) {
    (void)state;
    enum { OBJECTS = 200 };
    static leat_region *first[OBJECTS], *second[OBJECTS];
    uint32_t users[OBJECTS];
    for (int i = 0; i < OBJECTS; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        first[i] = opened(name);
        second[i] = i % 3 == 0 ? opened(name) : NULL;
    }
    assert_ok(leat_list(LEAT_LOCAL, note, users));
    for (int i = 0; i < OBJECTS; i++) {
        assert_int_equal(users[i], i % 3 == 0 ? 2 : 1);
        leat_region_close(first[i]);
        leat_region_close(second[i]);
    }
}

/* --- Several processes ------------------------------------------------------------------------ */

struct board {
    harness_word ready, go, stop;
};

static int hold_two(void *context) {
    struct board *board = context;
    leat_region *one = opened("r"), *two = opened("r");
    harness_increment(&board->ready);
    harness_await(&board->go, 1);
    leat_region_close(one);
    leat_region_close(two);
    return 0;
}

static void users_of_all_processes_are_counted_and_the_killed_are_not(void **state) {
    (void)state;
    struct board *board = harness_shared(sizeof *board);
    pid_t children[3];
    for (int i = 0; i < 3; i++)
        children[i] = harness_spawn(hold_two, board);
    harness_await(&board->ready, 3);
    expect_users("r", 6);
    leat_region *region = opened("r");
    expect_users("r", 7);
    harness_kill(children[1]);
    expect_users("r", 5);
    leat_region_close(region);
    harness_kill(children[0]);
    harness_kill(children[2]);
    leat_object_info info = look("r"); /* left behind */
    assert_true(info.users == 0 && !info.persistent);
    assert_ok(leat_gc(LEAT_LOCAL, NULL, NULL));
    assert_leat(leat_stat("r", LEAT_LOCAL, &info), LEAT_ENOENT);
}

static int come_and_go(void *context) {
    struct board *board = context;
    char name[32];
    while (atomic_load(&board->stop) == 0) {
        leat_region *regions[8];
        for (int j = 0; j < 8; j++) {
            snprintf(name, sizeof name, "busy-%d-%d", (int)getpid(), j);
            /* of one file after another, and of the same */
            regions[j] = opened(j % 2 == 0 ? name : "others");
        }
        harness_set(&board->ready, 1);
        for (int j = 0; j < 8; j++)
            leat_region_close(regions[j]);
    }
    return 0;
}

/* The kernel's list of a file's locks is searched again and again while it changes. */
static void a_count_is_right_while_others_come_and_go(void **state) {
    (void)state;
    struct board *board = harness_shared(sizeof *board);
    leat_region *held[120], *others[120];
    for (int i = 0; i < 120; i++) {
        held[i] = opened("held");
        others[i] = opened("others");
    }
    pid_t children[2] = {harness_spawn(come_and_go, board), harness_spawn(come_and_go, board)};
    harness_await(&board->ready, 1);
    for (uint64_t end = harness_now() + 1000000000u; harness_now() < end;) {
        expect_users("held", 120);
        /* those that stay are counted, each once; the others as they are met */
        assert_true(look("others").users >= 120);
    }
    harness_set(&board->stop, 1);
    harness_wait_ok(children[0]);
    harness_wait_ok(children[1]);
    expect_users("others", 120);
    for (int i = 0; i < 120; i++) {
        leat_region_close(held[i]);
        leat_region_close(others[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(each_handle_of_a_region_is_one_user),
        HARNESS_TEST(the_ends_of_a_channel_are_users),
        HARNESS_TEST(mutexes_events_and_semaphores_have_users_too),
        HARNESS_TEST(a_persistent_object_can_be_without_users),
        HARNESS_TEST(what_is_no_handle_is_not_counted),
        HARNESS_TEST(a_listing_counts_the_users_of_all),
        HARNESS_TEST(users_of_all_processes_are_counted_and_the_killed_are_not),
        HARNESS_TEST(a_count_is_right_while_others_come_and_go),
    };
    return HARNESS_MAIN("object_users", tests);
}
