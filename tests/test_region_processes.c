/* test_region_processes.c - regions between processes: which handles keep a region alive, what a
 * killed process leaves behind and how it heals, what a forked or exec'd child inherits, and races
 * of many processes for one name. */
#include "handles.h"
#include "harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/os/os.h"

extern char **environ;

/* LEAT_OK when it is alive; leat_stat still finds a name that killed processes left behind, but
 * here it counts as absent. */
static int look(const char *name) {
    leat_object_info info;
    int result = leat_stat(name, LEAT_LOCAL, &info);
    return result == LEAT_OK && !info.in_use && !info.persistent ? LEAT_ENOENT : result;
}

/* Shared by parent and children, without leat. */
struct board {
    harness_word ready, go;
    _Atomic uint32_t created, opened, refused, rounds;
};

/* --- Whose life keeps a region alive ---------------------------------------------------------- */

static int hold_until_told(void *context) {
    struct board *board = context;
    leat_region *region;
    assert_ok(open_or_create_region(&region, "held", 100, NULL));
    ++*(char *)leat_region_data(region);
    harness_increment(&board->ready);
    harness_await(&board->go, 1);
    leat_region_close(region);
    return 0;
}

/* CE-07. */
static void region_lives_while_any_process_has_it(void **state) {
    (void)state;
    struct board *board = harness_shared(sizeof *board);
    leat_region *region;
    assert_ok(create_region(&region, "held", 100, NULL));
    pid_t child = harness_spawn(hold_until_told, board);
    harness_await(&board->ready, 1);
    assert_int_equal(*(char *)leat_region_data(region), 1);
    leat_region_close(region);
    assert_ok(look("held"));
    harness_set(&board->go, 1);
    harness_wait_ok(child);
    assert_leat(look("held"), LEAT_ENOENT);
    assert_int_equal(harness_names_left(), 0);
}

static void count_object(const leat_object_info *info, void *context) {
    assert_string_equal(info->name, "held");
    ++*(int *)context;
}

/* Leaves the name behind as only killed processes can. */
static void kill_all_users(void) {
    struct board *board = harness_shared(sizeof *board);
    pid_t one = harness_spawn(hold_until_told, board), two = harness_spawn(hold_until_told, board);
    harness_await(&board->ready, 2);
    harness_kill(one);
    assert_ok(look("held"));
    harness_kill(two);
}

/* CE-17, RT-13. */
static void region_is_gone_when_all_users_were_killed(void **state) {
    (void)state;
    leat_region *region = NULL;
    int removed = 0;
    kill_all_users();
    assert_leat(look("held"), LEAT_ENOENT);
    assert_leat(open_region(&region, "held", 0, NULL), LEAT_ENOENT);
    assert_ok(leat_gc(LEAT_LOCAL, count_object, &removed));
    assert_true(removed <= 1); /* 0 when the open has removed it already */
    assert_int_equal(harness_names_left(), 0);
}

static void garbage_collection_removes_what_killed_processes_left(void **state) {
    (void)state;
    int removed = 0;
    kill_all_users();
    assert_int_equal(harness_names_left(), 1);
    assert_ok(leat_gc(LEAT_LOCAL, count_object, &removed));
    assert_int_equal(removed, 1);
    assert_int_equal(harness_names_left(), 0);
}

static void next_open_or_create_after_a_kill_gives_a_new_zeroed_region(void **state) {
    (void)state;
    leat_region *region;
    kill_all_users();
    assert_ok(open_or_create_region(&region, "held", 200, NULL));
    assert_true(region_details(region).created);
    assert_int_equal(leat_region_size(region), 200);
    assert_int_equal(*(char *)leat_region_data(region), 0);
    leat_region_close(region);
    kill_all_users();
    assert_ok(create_region(&region, "held", 300, NULL));
    assert_int_equal(leat_region_size(region), 300);
    leat_region_close(region);
    assert_int_equal(harness_names_left(), 0);
}

static void stopped_user_keeps_its_region(void **state) {
    (void)state;
    struct board *board = harness_shared(sizeof *board);
    pid_t child = harness_spawn(hold_until_told, board);
    int removed = 0;
    harness_await(&board->ready, 1);
    harness_stop(child);
    assert_ok(leat_gc(LEAT_LOCAL, count_object, &removed));
    assert_int_equal(removed, 0);
    assert_ok(look("held"));
    harness_continue(child);
    harness_set(&board->go, 1);
    harness_wait_ok(child);
}

/* --- What children inherit -------------------------------------------------------------------- */

struct inherited {
    struct board board;
    leat_region *region;
};

static int use_the_parents_handle(void *context) {
    struct inherited *inherited = context;
    char byte = 0;
    assert_leat(leat_region_read(inherited->region, 0, &byte, 1), LEAT_EFORKED);
    assert_leat(leat_region_write(inherited->region, 0, "y", 1), LEAT_EFORKED);
    assert_null(leat_region_detach_view(inherited->region));
    /* the view is memory like any other */
    assert_int_equal(*(char *)leat_region_data(inherited->region), 'x');
    harness_set(&inherited->board.ready, 1);
    harness_await(&inherited->board.go, 1);
    assert_int_equal(*(char *)leat_region_data(inherited->region), 'x');
    leat_region_close(inherited->region);
    return 0;
}

static void forked_child_can_neither_use_nor_keep_alive_its_parents_region(void **state) {
    (void)state;
    struct inherited *inherited = harness_shared(sizeof *inherited);
    assert_ok(create_region(&inherited->region, "parental", 0, NULL));
    assert_ok(leat_region_write(inherited->region, 0, "x", 1));
    pid_t child = harness_spawn(use_the_parents_handle, inherited);
    harness_await(&inherited->board.ready, 1);
    leat_region_close(inherited->region);
    assert_leat(look("parental"), LEAT_ENOENT); /* the child lives, and sees the view */
    leat_region *own;
    uint64_t start = harness_now();
    assert_ok(create_region(&own, "parental", 0, NULL));
    leat_region_close(own);
    assert_true(harness_now() - start < 500000000); /* nor does it hold anybody up */
    harness_set(&inherited->board.go, 1);
    harness_wait_ok(child);
    assert_int_equal(harness_names_left(), 0);
}

static int hold_the_view(void *context) {
    struct inherited *inherited = context;
    harness_set(&inherited->board.ready, 1);
    harness_await(&inherited->board.go, 1);
    return 0;
}

static void inherited_view_does_not_stand_in_the_way_of_other_users(void **state) {
    (void)state;
    struct inherited *inherited = harness_shared(sizeof *inherited);
    leat_region *other, *third;
    assert_ok(create_region(&inherited->region, "parental", 0, NULL));
    pid_t child = harness_spawn(hold_the_view, inherited);
    harness_await(&inherited->board.ready, 1);
    assert_ok(open_region(&other, "parental", 0, NULL));
    leat_region_close(inherited->region);
    uint64_t start = harness_now();
    assert_ok(open_region(&third, "parental", 0, NULL));
    leat_region_close(third);
    leat_region_close(other);
    assert_true(harness_now() - start < 500000000);
    assert_int_equal(harness_names_left(), 0);
    harness_set(&inherited->board.go, 1);
    harness_wait_ok(child);
}

static int close_the_parents_handle(void *context) {
    struct inherited *inherited = context;
    leat_region_close(inherited->region);
    assert_ok(look("parental"));
    leat_region *own;
    assert_ok(open_region(&own, "parental", 0, NULL));
    leat_region_close(own);
    return 0;
}

static void close_of_the_handle_in_a_child_does_not_end_the_region(void **state) {
    (void)state;
    struct inherited *inherited = harness_shared(sizeof *inherited);
    assert_ok(create_region(&inherited->region, "parental", 0, NULL));
    harness_wait_ok(harness_spawn(close_the_parents_handle, inherited));
    assert_ok(look("parental"));
    assert_ok(leat_region_write(inherited->region, 0, "x", 1));
    leat_region_close(inherited->region);
}

/* A process that opens a region, forks a child which only waits, and then waits itself. */
static int open_and_fork(void *context) {
    struct inherited *inherited = context;
    leat_sender *sender;
    leat_receiver *receiver;
    assert_ok(create_region(&inherited->region, "parental", 0, NULL));
    assert_ok(leat_sender_open(&sender, "parental-sent", NULL));
    assert_ok(leat_receiver_open(&receiver, "parental-received", NULL));
    pid_t child = fork(); /* not harness_spawn: this one has to outlive its parent */
    if (child == 0) {
        inherited->board.created = (uint32_t)getpid();
        /* by the child: before it runs it has had no chance to let go */
        harness_set(&inherited->board.ready, 1);
        harness_await(&inherited->board.go, 1);
        _exit(*(char *)leat_region_data(inherited->region));
    }
    harness_await(&inherited->board.go, 2);
    return 0;
}

static void child_that_outlives_its_killed_parent_keeps_nothing_alive(void **state) {
    (void)state;
    struct inherited *inherited = harness_shared(sizeof *inherited);
    pid_t parent = harness_spawn(open_and_fork, inherited);
    harness_await(&inherited->board.ready, 1);
    assert_ok(look("parental"));
    harness_kill(parent);
    assert_leat(look("parental"), LEAT_ENOENT);
    assert_leat(look("parental-sent"), LEAT_ENOENT);
    assert_leat(look("parental-received"), LEAT_ENOENT);
    assert_ok(leat_gc(LEAT_LOCAL, NULL, NULL));
    assert_int_equal(harness_names_left(), 0);
    harness_set(&inherited->board.go, 1);
    harness_wait_ok((pid_t)inherited->board.created); /* ours now: the harness adopts orphans */
}

/* posix_spawn does not run the handlers of pthread_atfork: only close-on-exec protects here.
 * W32-09. */
static void started_program_inherits_no_descriptor(void **state) {
    (void)state;
    leat_region *region;
    leat_sender *sender;
    leat_receiver *receiver;
    int ends[2];
    assert_ok(create_region(&region, "exec-region", 0, NULL));
    assert_ok(leat_sender_open(&sender, "exec-channel", NULL));
    assert_ok(leat_receiver_open(&receiver, "exec-channel", NULL));
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    pid_t pid;
    char *argv[] = {(char[]){"ls"}, (char[]){"-l"}, (char[]){"/proc/self/fd/"}, NULL};
    assert_int_equal(posix_spawnp(&pid, "ls", &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    char *listed = harness_read_until(ends[0], "/proc/");
    close(ends[0]);
    harness_wait_ok(pid);
    assert_null(strstr(listed, "/dev/shm"));
    leat_region_close(region);
    leat_sender_close(sender);
    leat_receiver_close(receiver);
}

/* --- Others in the way ------------------------------------------------------------------------ */

static int leave_a_region_behind(void *context) {
    (void)context;
    leat_region *region;
    assert_ok(create_region(&region, "held", 0, NULL));
    _exit(0); /* without closing */
}

/* As a process that was stopped while it removes the name: it holds all locks. */
static int hold_all_locks(void *context) {
    struct board *board = context;
    char path[300];
    snprintf(path, sizeof path, "%s/held", harness_directory());
    int file = open(path, O_RDWR | O_CLOEXEC);
    assert_ok(leat__os_lock_all(file));
    harness_set(&board->ready, 1);
    harness_await(&board->go, 1);
    return 0;
}

static void
a_process_that_stops_while_removing_a_name_holds_others_up_for_a_second_at_most(void **state) {
    (void)state;
    struct board *board = harness_shared(sizeof *board);
    leat_region *other = NULL;
    harness_wait_ok(harness_spawn(leave_a_region_behind, NULL));
    pid_t child = harness_spawn(hold_all_locks, board);
    harness_await(&board->ready, 1);
    uint64_t start = harness_now();
    assert_leat(open_region(&other, "held", 0, NULL), LEAT_EBUSY);
    uint64_t took = harness_now() - start;
    assert_true(took >= 900000000 && took < 3000000000u * (uint64_t)harness_patience());
    assert_ok(leat_gc(LEAT_LOCAL, NULL, NULL));
    harness_set(&board->go, 1);
    harness_wait_ok(child);
    assert_leat(open_region(&other, "held", 0, NULL), LEAT_ENOENT);
    assert_int_equal(harness_names_left(), 0);
}

#define SOMEBODY 64917

static int use_the_usual_directory(void *context) {
    (void)context;
    unsetenv("LEAT_DIR");
    if (setgid(SOMEBODY) != 0 || setuid(SOMEBODY) != 0)
        return 1;
    leat_region *region;
    struct stat status;
    assert_ok(create_region(&region, "usual", 0, NULL));
    assert_int_equal(stat("/dev/shm/leat-64917", &status), 0);
    assert_true(status.st_uid == SOMEBODY && (status.st_mode & 07777) == 0700);
    assert_int_equal(access("/dev/shm/leat-64917/usual", F_OK), 0);
    leat_region_close(region);
    return rmdir("/dev/shm/leat-64917");
}

static void local_objects_live_in_a_directory_of_the_users_own(void **state) {
    (void)state;
    if (geteuid() != 0)
        skip(); /* as a user without other objects of leat */
    harness_wait_ok(harness_spawn(use_the_usual_directory, NULL));
}

/* --- Races for one name ----------------------------------------------------------------------- */

#define RACERS 64

static int race_to_create(void *context) {
    struct board *board = context;
    harness_increment(&board->ready);
    harness_await(&board->go, 1);
    leat_region *region;
    assert_ok(open_or_create_region(&region, "race", 64, NULL));
    atomic_fetch_add(region_details(region).created ? &board->created : &board->opened, 1);
    atomic_fetch_add((_Atomic uint32_t *)leat_region_data(region), 1);
    harness_increment(&board->rounds);
    harness_await(&board->go, 2); /* no process leaves before all have come */
    assert_int_equal(atomic_load((_Atomic uint32_t *)leat_region_data(region)), RACERS);
    leat_region_close(region);
    return 0;
}

static void region_is_created_by_exactly_one_of_64_processes_at_once(void **state) {
    (void)state;
    struct board *board = harness_shared(sizeof *board);
    pid_t pids[RACERS];
    for (int i = 0; i < RACERS; i++)
        pids[i] = harness_spawn(race_to_create, board);
    harness_await(&board->ready, RACERS);
    harness_set(&board->go, 1);
    harness_await(&board->rounds, RACERS);
    assert_int_equal(board->created, 1);
    assert_int_equal(board->opened, RACERS - 1);
    harness_set(&board->go, 2);
    for (int i = 0; i < RACERS; i++)
        harness_wait_ok(pids[i]);
    assert_int_equal(harness_names_left(), 0);
}

#define LOOPERS 5

/* Opens and closes one name in all three modes as fast as it can. Only the documented outcomes may
 * occur, and a creator sees zeros. */
static int open_and_close_for_a_second(void *context) {
    struct board *board = context;
    uint64_t random = (uint64_t)getpid() * 7919u, end = harness_now() + 1000000000u;
    while (harness_now() < end) {
        leat_region *region = NULL;
        unsigned mode = (unsigned)(harness_random(&random) % 3);
        int result = mode == 0   ? create_region(&region, "loop", 100, NULL)
                     : mode == 1 ? open_region(&region, "loop", 0, NULL)
                                 : open_or_create_region(&region, "loop", 100, NULL);
        atomic_fetch_add(&board->rounds, 1);
        if (result != LEAT_OK) {
            assert_leat(result, mode == 0 ? LEAT_EEXIST : mode == 1 ? LEAT_ENOENT : LEAT_OK);
            atomic_fetch_add(&board->refused, 1);
            continue;
        }
        atomic_fetch_add(region_details(region).created ? &board->created : &board->opened, 1);
        assert_int_equal(leat_region_size(region), 100);
        ((volatile char *)leat_region_data(region))[99] = 1;
        leat_region_close(region);
    }
    return 0;
}

static int collect_for_a_second(void *context) {
    (void)context;
    uint64_t end = harness_now() + 1000000000u;
    while (harness_now() < end)
        assert_ok(leat_gc(LEAT_LOCAL, NULL, NULL));
    return 0;
}

static void opens_and_closes_that_race_have_documented_outcomes_and_leave_nothing(void **state) {
    (void)state;
    struct board *board = harness_shared(sizeof *board);
    pid_t pids[LOOPERS + 1];
    for (int i = 0; i < LOOPERS; i++)
        pids[i] = harness_spawn(open_and_close_for_a_second, board);
    pids[LOOPERS] = harness_spawn(collect_for_a_second, NULL);
    for (int i = 0; i <= LOOPERS; i++)
        harness_wait_ok(pids[i]);
    print_message("%u rounds: %u created, %u opened, %u refused\n", board->rounds, board->created,
                  board->opened, board->refused);
    assert_true(board->created > 0 && board->opened > 0);
    assert_int_equal(harness_names_left(), 0);
}

static int open_and_close_until_killed(void *context) {
    leat_region *region = context;
    do {
        leat_region_close(region);
        assert_ok(open_or_create_region(&region, "killed", 100, NULL));
    } while (region != NULL);
    return 1;
}

static void kills_at_random_moments_leave_nothing_that_does_not_heal(void **state) {
    (void)state;
    uint64_t random = harness_seed();
    for (int round = 0; round < 100; round++) {
        pid_t one = harness_spawn(open_and_close_until_killed, NULL);
        pid_t two = harness_spawn(open_and_close_until_killed, NULL);
        /* the random moment: not a synchronisation */
        usleep((useconds_t)(harness_random(&random) % 4000));
        harness_kill(one);
        leat_region *region;
        assert_ok(open_or_create_region(&region, "killed", 100, NULL));
        harness_kill(two);
        leat_region_close(region);
        assert_leat(look("killed"), LEAT_ENOENT);
        assert_int_equal(harness_names_left(), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(region_lives_while_any_process_has_it),
        HARNESS_TEST(region_is_gone_when_all_users_were_killed),
        HARNESS_TEST(garbage_collection_removes_what_killed_processes_left),
        HARNESS_TEST(next_open_or_create_after_a_kill_gives_a_new_zeroed_region),
        HARNESS_TEST(stopped_user_keeps_its_region),
        HARNESS_TEST(forked_child_can_neither_use_nor_keep_alive_its_parents_region),
        HARNESS_TEST(inherited_view_does_not_stand_in_the_way_of_other_users),
        HARNESS_TEST(close_of_the_handle_in_a_child_does_not_end_the_region),
        HARNESS_TEST(child_that_outlives_its_killed_parent_keeps_nothing_alive),
        HARNESS_TEST(started_program_inherits_no_descriptor),
        HARNESS_TEST(
            a_process_that_stops_while_removing_a_name_holds_others_up_for_a_second_at_most),
        HARNESS_TEST(local_objects_live_in_a_directory_of_the_users_own),
        HARNESS_TEST(region_is_created_by_exactly_one_of_64_processes_at_once),
        HARNESS_TEST(opens_and_closes_that_race_have_documented_outcomes_and_leave_nothing),
        HARNESS_TEST(kills_at_random_moments_leave_nothing_that_does_not_heal),
    };
    return HARNESS_MAIN("region_processes", tests);
}
