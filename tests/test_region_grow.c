/* test_region_grow.c - regions that grow: by the size policy of an open and explicitly, with other
 * processes' views in place, many at once, and what must not happen: shrinking, old bytes behind
 * the end, a changed size after a failure. */
#include "handles.h"
#include "harness.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "lib/os/os.h"

#define PAGE 4096

static leat_region *created(const char *name, uint64_t size) {
    leat_region *region = NULL;
    assert_ok(create_region(&region, name, size, NULL));
    return region;
}

static uint64_t size_of(const char *name) {
    leat_object_info info;
    assert_ok(leat_stat(name, LEAT_LOCAL, &info));
    return info.size;
}

static const char *path_of(const char *name) {
    static char path[300];
    snprintf(path, sizeof path, "%s/%s", harness_directory(), name);
    return path;
}

/* --- Size policies ---------------------------------------------------------------------------- */

/* RT-10, GD-34, GD-35, W32-04, CE-05: keep (adopt), fail (at least), grow, clip, and RTX's both
 * ways (fit). */
static void policy_decides_when_the_object_exists(void **state) {
    (void)state;
    static const struct {
        leat_size_policy policy;
        uint64_t size;
        int result;
        uint64_t seen, object;
    } cases[] = {
        {LEAT_SIZE_ADOPT, 9000, LEAT_OK, 5000, 5000},
        {LEAT_SIZE_ADOPT, 10, LEAT_OK, 5000, 5000},
        {LEAT_SIZE_AT_LEAST, 9000, LEAT_ESIZE, 0, 5000},
        {LEAT_SIZE_AT_LEAST, 10, LEAT_OK, 5000, 5000},
        {LEAT_SIZE_GROW, 9000, LEAT_OK, 9000, 9000},
        {LEAT_SIZE_GROW, 10, LEAT_OK, 5000, 5000},
        {LEAT_SIZE_GROW, 0, LEAT_OK, 5000, 5000},
        {LEAT_SIZE_CLIP, 9000, LEAT_ESIZE, 0, 5000},
        {LEAT_SIZE_CLIP, 10, LEAT_OK, 10, 5000},
        {LEAT_SIZE_CLIP, 0, LEAT_OK, 5000, 5000},
        {LEAT_SIZE_FIT, 9000, LEAT_OK, 9000, 9000},
        {LEAT_SIZE_FIT, 10, LEAT_OK, 10, 5000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int either = 0; either < 2; either++) {
            leat_region *there = created("policy", 5000), *region = NULL;
            leat_region_options options = {.size_policy = cases[i].policy};
            memset(leat_region_data(there), 7, 5000);
            assert_leat(either ? open_or_create_region(&region, "policy", cases[i].size, &options)
                               : open_region(&region, "policy", cases[i].size, &options),
                        cases[i].result);
            assert_int_equal(size_of("policy"), cases[i].object);
            if (region != NULL) {
                char byte = 1;
                assert_int_equal(leat_region_size(region), cases[i].seen);
                assert_int_equal(region_details(region).mapped_size,
                                 (cases[i].seen + PAGE - 1) / PAGE * PAGE);
                assert_ok(leat_region_read(region, cases[i].seen - 1, &byte, 1));
                assert_int_equal(byte, cases[i].seen > 5000 ? 0 : 7);
                assert_leat(leat_region_read(region, cases[i].seen, &byte, 1), LEAT_ERANGE);
            }
            leat_region_close(region);
            leat_region_close(there);
        }
}

/* GD-14. */
static void new_region_has_the_size_asked_for_whatever_the_policy(void **state) {
    (void)state;
    for (int policy = LEAT_SIZE_ADOPT; policy <= LEAT_SIZE_FIT; policy++) {
        leat_region *region;
        assert_ok(
            open_or_create_region(&region, "fresh", 5000,
                                  &(leat_region_options){.size_policy = (leat_size_policy)policy}));
        assert_true(region_details(region).created && leat_region_size(region) == 5000);
        leat_region_close(region);
    }
    leat_region *region = NULL;
    assert_leat(create_region(&region, "fresh", 0,
                              &(leat_region_options){.size_policy = (leat_size_policy)6}),
                LEAT_EINVAL);
    assert_null(region);
}

static void region_that_may_not_be_written_does_not_grow(void **state) {
    (void)state;
    leat_region *there = created("readers", 5000), *region = NULL;
    for (int access = LEAT_READ_ONLY; access <= LEAT_COPY_ON_WRITE; access++) {
        leat_region_options options = {.access = (leat_access)access,
                                       .size_policy = LEAT_SIZE_GROW};
        assert_leat(open_region(&region, "readers", 9000, &options), LEAT_EACCES);
        assert_null(region);
        assert_ok(open_region(&region, "readers", 5000, &options));
        assert_leat(leat_region_grow(region, 9000), LEAT_EACCES);
        assert_ok(leat_region_grow(region, 5000)); /* nothing to do */
        leat_region_close(region);
        region = NULL;
    }
    assert_int_equal(size_of("readers"), 5000);
    leat_region_close(there);
}

/* A clipped handle sees no more than it asked for, by whatever way; growing is asking for more. */
static void clipped_handle_stays_clipped(void **state) {
    (void)state;
    leat_region *there = created("clipped", 3 * PAGE), *region;
    void *view = NULL;
    assert_ok(open_region(&region, "clipped", PAGE + 10,
                          &(leat_region_options){.size_policy = LEAT_SIZE_CLIP}));
    assert_leat(leat_view_map(region, PAGE, 11, NULL, LEAT_READ_WRITE, &view), LEAT_ERANGE);
    assert_ok(leat_view_map(region, PAGE, 0, NULL, LEAT_READ_WRITE, &view));
    leat_view_info info;
    assert_ok(leat_view_find(view, &info));
    assert_int_equal(info.size, 10);
    assert_ok(leat_view_unmap(view));
    assert_ok(leat_region_grow(there, 5 * PAGE));
    assert_ok(leat_region_refresh(region));
    assert_int_equal(leat_region_size(region), PAGE + 10);
    assert_ok(leat_region_grow(region, 2 * PAGE));
    assert_int_equal(leat_region_size(region), 2 * PAGE);
    assert_int_equal(size_of("clipped"), 5 * PAGE);
    leat_region_close(region);
    leat_region_close(there);
}

/* --- Growing ---------------------------------------------------------------------------------- */

struct board {
    harness_word ready, go;
    _Atomic uint64_t largest;
};

static int watch_it_grow(void *context) {
    struct board *board = context;
    leat_region *region;
    assert_ok(open_region(&region, "growing", 0, NULL));
    char *data = leat_region_data(region);
    void *view;
    assert_ok(leat_view_map(region, PAGE, PAGE, NULL, LEAT_READ_WRITE, &view));
    harness_set(&board->ready, 1);
    harness_await(&board->go, 1); /* it has grown */
    assert_int_equal(leat_region_size(region), 2 * PAGE);
    assert_int_equal(data[0], 'a'); /* the old views are as they were */
    ((char *)view)[0] = 'v';
    void *further;
    /* without refreshing */
    assert_ok(leat_view_map(region, 99 * PAGE, 0, NULL, LEAT_READ_ONLY, &further));
    assert_int_equal(((char *)further)[0], 'z');
    assert_ok(leat_region_refresh(region));
    assert_int_equal(leat_region_size(region), 100 * PAGE);
    assert_int_equal(((char *)leat_region_data(region))[99 * PAGE], 'z');
    assert_int_equal(((char *)leat_region_data(region))[PAGE], 'v');
    assert_ok(leat_view_unmap(further));
    assert_ok(leat_view_unmap(view));
    leat_region_close(region);
    return 0;
}

/* W32-11. */
static void views_of_others_stay_and_may_be_refreshed(void **state) {
    (void)state;
    struct board *board = harness_shared(sizeof *board);
    leat_region *region = created("growing", 2 * PAGE);
    struct stat status;
    *(char *)leat_region_data(region) = 'a';
    pid_t child = harness_spawn(watch_it_grow, board);
    harness_await(&board->ready, 1);
    assert_ok(leat_region_grow(region, 100 * PAGE));
    assert_int_equal(leat_region_size(region), 100 * PAGE);
    char *data = leat_region_data(region);
    assert_int_equal(data[0], 'a');
    data[99 * PAGE] = 'z';
    assert_int_equal(stat(path_of("growing"), &status), 0);
    assert_true(status.st_blocks * 512 >= 100 * PAGE); /* reserved */
    harness_set(&board->go, 1);
    harness_wait_ok(child);
    assert_int_equal(data[PAGE], 'v');
    leat_region_close(region);
    assert_int_equal(harness_names_left(), 0);
}

static void region_never_shrinks(void **state) {
    (void)state;
    leat_region *region = created("never", 3 * PAGE);
    assert_ok(leat_region_grow(region, PAGE));
    assert_int_equal(leat_region_size(region), 3 * PAGE);
    assert_leat(leat_region_grow(region, 0), LEAT_EINVAL);
    assert_leat(leat_region_grow(NULL, 10), LEAT_EINVAL);
    assert_int_equal(size_of("never"), 3 * PAGE);
    leat_region_close(region);
}

/* Views are whole pages: what a program wrote behind the end must not be there when the end
 * moves. */
static void bytes_written_behind_the_end_do_not_appear(void **state) {
    (void)state;
    static const char *const names[] = {"tail", NULL};
    for (int i = 0; i < 2; i++) {
        leat_region *region = created(names[i], 100);
        memset(leat_region_data(region), 'x', PAGE);
        assert_ok(leat_region_grow(region, 200));
        for (int at = 0; at < 200; at++)
            assert_int_equal(((char *)leat_region_data(region))[at], at < 100 ? 'x' : 0);
        memset(leat_region_data(region), 'y', PAGE);
        assert_ok(leat_region_grow(region, 3 * PAGE));
        for (int at = 0; at < 3 * PAGE; at++)
            assert_int_equal(((char *)leat_region_data(region))[at], at < 200 ? 'y' : 0);
        leat_region_close(region);
    }
}

static void anonymous_regions_grow_and_stay_sealed(void **state) {
    (void)state;
    leat_region *region = created(NULL, PAGE), *other;
    int descriptor;
    assert_ok(leat_region_descriptor(region, LEAT_READ_WRITE, false, &descriptor));
    assert_ok(leat_region_open_descriptor(&other, descriptor, 0, NULL));
    assert_ok(leat_region_grow(other, 8 * PAGE));
    ((char *)leat_region_data(other))[7 * PAGE] = 7;
    assert_int_equal(leat_region_size(region), PAGE);
    assert_ok(leat_region_refresh(region));
    assert_int_equal(((char *)leat_region_data(region))[7 * PAGE], 7);
    assert_int_equal(ftruncate(descriptor, PAGE), -1);
    assert_int_equal(fcntl(descriptor, F_ADD_SEALS, F_SEAL_GROW), 0); /* growing is forbidden */
    assert_leat(leat_region_grow(region, 9 * PAGE), LEAT_EACCES);
    assert_int_equal(leat_region_size(region), 8 * PAGE);
    close(descriptor);
    leat_region_close(other);
    leat_region_close(region);
}

/* --- The handle's own view -------------------------------------------------------------------- */

static void view_that_cannot_be_extended_in_place_moves(void **state) {
    (void)state;
    leat_region *region = created("moving", PAGE);
    char *before = leat_region_data(region);
    *before = 'm';
    /* Something stands behind it. */
    void *neighbour = mmap(before + PAGE, PAGE, PROT_NONE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    assert_ok(leat_region_grow(region, 50 * PAGE));
    char *after = leat_region_data(region);
    assert_true(after != before);
    assert_int_equal(*after, 'm');
    after[50 * PAGE - 1] = 1;
    leat_view_info info;
    assert_ok(leat_view_find(after + 49 * PAGE, &info));
    assert_int_equal(info.size, 50 * PAGE);
    assert_leat(leat_view_find(before, &info), LEAT_EINVAL);
    if (neighbour != MAP_FAILED)
        munmap(neighbour, PAGE);
    leat_region_close(region);
}

/* The system splits a mapping of which a part is locked, and extends no pieces. */
static void view_in_pieces_is_extended_too(void **state) {
    (void)state;
    leat_region *region = created("pieces", 4 * PAGE), *copy;
    char *data = leat_region_data(region);
    data[3 * PAGE] = 3;
    if (leat_view_lock(data + PAGE, PAGE) != LEAT_OK) {
        leat_region_close(region);
        skip();
    }
    assert_ok(
        open_region(&copy, "pieces", 0, &(leat_region_options){.access = LEAT_COPY_ON_WRITE}));
    *(char *)leat_region_data(copy) = 'c';
    assert_ok(leat_view_lock((char *)leat_region_data(copy) + PAGE, PAGE));
    assert_ok(leat_region_grow(region, 20 * PAGE));
    assert_int_equal(((char *)leat_region_data(region))[3 * PAGE], 3);
    ((char *)leat_region_data(region))[20 * PAGE - 1] = 9;
    assert_leat(leat_region_refresh(copy), LEAT_ESTATE); /* its copies would be lost */
    assert_true(*(char *)leat_region_data(copy) == 'c' && leat_region_size(copy) == 4 * PAGE);
    assert_ok(leat_view_unlock(leat_region_data(copy), 0)); /* whole again */
    assert_ok(leat_region_refresh(copy));
    assert_true(*(char *)leat_region_data(copy) == 'c' && leat_region_size(copy) == 20 * PAGE);
    assert_int_equal(((char *)leat_region_data(copy))[20 * PAGE - 1], 9);
    leat_region_close(copy);
    leat_region_close(region);
}

/* W32-25. */
static void refresh_reports_what_cannot_be(void **state) {
    (void)state;
    leat_region *region = created("odd", 2 * PAGE);
    assert_ok(leat_region_refresh(region)); /* nothing has changed */
    assert_int_equal(truncate(path_of("odd"), PAGE), 0);
    assert_leat(leat_region_refresh(region), LEAT_ESIZE);
    assert_int_equal(leat_region_size(region), 2 * PAGE);
    *(char *)leat_region_data(region) = 1;
    /* an error, and no SIGBUS */
    assert_leat(leat_view_prefault(leat_region_data(region), 0), LEAT_ESIZE);
    assert_int_equal(truncate(path_of("odd"), 2 * PAGE), 0);
    void *view = leat_region_detach_view(region);
    assert_leat(leat_region_refresh(region), LEAT_ESTATE);
    assert_ok(leat_region_grow(region, 3 * PAGE)); /* the object grows all the same */
    assert_int_equal(size_of("odd"), 3 * PAGE);
    void *further;
    assert_ok(leat_view_map(region, 2 * PAGE, 0, NULL, LEAT_READ_WRITE, &further));
    assert_ok(leat_view_unmap(further));
    assert_ok(leat_view_unmap(view));
    leat_region_close(region);
}

/* --- Many at once ----------------------------------------------------------------------------- */

#define GROWERS 6
#define STEPS 60

/* Each grows by uneven steps and marks its own bytes; no process may ever see less than was
 * promised. */
static int grow_by_steps(void *context) {
    struct board *board = context;
    uint64_t random = (uint64_t)getpid() * 2654435761u;
    leat_region *region;
    uint32_t number = harness_increment(&board->ready);
    harness_await(&board->go, 1);
    assert_ok(open_or_create_region(&region, "race", GROWERS,
                                    &(leat_region_options){.size_policy = LEAT_SIZE_GROW}));
    for (int i = 0; i < STEPS; i++) {
        uint64_t wanted = leat_region_size(region) + harness_random(&random) % 9000 + 1;
        assert_ok(leat_region_grow(region, wanted));
        assert_true(leat_region_size(region) >= wanted);
        uint64_t largest = atomic_load(&board->largest);
        while (largest < wanted && !atomic_compare_exchange_weak(&board->largest, &largest, wanted))
            ;
        ((_Atomic unsigned char *)leat_region_data(region))[number - 1]++;
    }
    leat_region_close(region);
    return 0;
}

static void growers_at_once_lose_nothing(void **state) {
    (void)state;
    struct board *board = harness_shared(sizeof *board);
    leat_region *region = created("race", GROWERS);
    pid_t pids[GROWERS];
    for (int i = 0; i < GROWERS; i++)
        pids[i] = harness_spawn(grow_by_steps, board);
    harness_await(&board->ready, GROWERS);
    harness_set(&board->go, 1);
    for (int i = 0; i < GROWERS; i++)
        harness_wait_ok(pids[i]);
    assert_ok(leat_region_refresh(region));
    assert_int_equal(leat_region_size(region), board->largest);
    for (int i = 0; i < GROWERS; i++)
        assert_int_equal(((unsigned char *)leat_region_data(region))[i], STEPS);
    leat_region_close(region);
}

static int grow_until_killed(void *context) {
    (void)context;
    leat_region *region;
    assert_ok(open_region(&region, "killed", 0, NULL));
    while (leat_region_size(region) < 1 << 30)
        assert_ok(leat_region_grow(region, leat_region_size(region) + 5000));
    return 1;
}

static void grower_may_be_killed_at_any_moment(void **state) {
    (void)state;
    uint64_t random = harness_seed();
    leat_region *region = created("killed", 100);
    for (int round = 0; round < 30; round++) {
        uint64_t before = leat_region_size(region);
        pid_t child = harness_spawn(grow_until_killed, NULL);
        /* the random moment: not a synchronisation */
        usleep((useconds_t)(harness_random(&random) % 5000));
        harness_kill(child);
        assert_ok(leat_region_grow(region, before + 1)); /* no lock is left behind */
        assert_true(leat_region_size(region) > before);
        for (uint64_t at = before; at < leat_region_size(region); at++)
            assert_int_equal(((char *)leat_region_data(region))[at], 0);
    }
    leat_region_close(region);
}

static void ignore(int signal_number) {
    (void)signal_number;
}

static int grow_under_signals(void *context) {
    (void)context;
    struct sigaction action = {.sa_handler = ignore};
    struct itimerval often = {{0, 200}, {0, 200}};
    leat_region *region = created("interrupted", PAGE);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    for (uint64_t mib = 1; mib <= 64; mib *= 2) {
        assert_ok(leat_region_grow(region, mib << 20));
        assert_ok(leat_view_prefault(leat_region_data(region), 0));
    }
    leat_region_close(region);
    return 0;
}

static void signals_do_not_disturb_growing(void **state) {
    (void)state;
    harness_wait_ok(harness_spawn(grow_under_signals, NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(policy_decides_when_the_object_exists),
        HARNESS_TEST(new_region_has_the_size_asked_for_whatever_the_policy),
        HARNESS_TEST(region_that_may_not_be_written_does_not_grow),
        HARNESS_TEST(clipped_handle_stays_clipped),
        HARNESS_TEST(views_of_others_stay_and_may_be_refreshed),
        HARNESS_TEST(region_never_shrinks),
        HARNESS_TEST(bytes_written_behind_the_end_do_not_appear),
        HARNESS_TEST(anonymous_regions_grow_and_stay_sealed),
        HARNESS_TEST(view_that_cannot_be_extended_in_place_moves),
        HARNESS_TEST(view_in_pieces_is_extended_too),
        HARNESS_TEST(refresh_reports_what_cannot_be),
        HARNESS_TEST(growers_at_once_lose_nothing),
        HARNESS_TEST(grower_may_be_killed_at_any_moment),
        HARNESS_TEST(signals_do_not_disturb_growing),
    };
    return HARNESS_MAIN("region_grow", tests);
}
