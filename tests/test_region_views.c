/* test_region_views.c - views: several of one region, at offsets and addresses, read-only and
 * copy-on-write, beyond the end of their handle; and the memory behind them: prefaulted, locked,
 * huge, and the figures about it. */
#include "handles.h"
#include "harness.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/os/os.h"

#define PAGE ((uint64_t)4096)
#define MIB ((uint64_t)1 << 20)

static leat_region *created(const char *name, uint64_t size) {
    leat_region *region = NULL;
    assert_ok(create_region(&region, name, size, NULL));
    return region;
}

static char *mapped(const leat_region *region, uint64_t offset, uint64_t length,
                    leat_access access) {
    void *view = NULL;
    assert_ok(leat_view_map(region, offset, length, NULL, access, &view));
    return view;
}

/* --- Where and how long ----------------------------------------------------------------------- */

/* W32-24, CE-16, RT-12: a further view each time, at another address, all coherent. W32-33. */
static void several_views_of_one_region_show_the_same_bytes(void **state) {
    (void)state;
    leat_region *region = created("many", 4 * PAGE);
    char *whole = leat_region_data(region), *one = mapped(region, 0, 0, LEAT_READ_WRITE),
         *two = mapped(region, PAGE, PAGE, LEAT_READ_ONLY);
    assert_true(whole != one && one != two);
    whole[PAGE + 5] = 5;
    assert_int_equal(one[PAGE + 5], 5);
    assert_int_equal(two[5], 5);
    one[PAGE + 6] = 6;
    assert_int_equal(two[6], 6);
    assert_ok(leat_view_unmap(one));
    assert_ok(leat_view_unmap(two));
    leat_region_close(region);
}

/* W32-23: length 0 is to the end; all bytes must be inside; the offset aligned (here to pages, not
 * to 64 KiB). W32-06, W32-24. */
static void view_lies_inside_the_region(void **state) {
    (void)state;
    leat_region *region = created("inside", 3 * PAGE + 10);
    static const struct {
        uint64_t offset, length;
        int result;
        uint64_t size;
    } cases[] = {
        {0, 0, LEAT_OK, 3 * PAGE + 10},
        {3 * PAGE, 0, LEAT_OK, 10},
        {PAGE, 1, LEAT_OK, 1},
        {3 * PAGE, 10, LEAT_OK, 10},
        {3 * PAGE, 11, LEAT_ERANGE, 0},
        {0, 3 * PAGE + 11, LEAT_ERANGE, 0},
        {4 * PAGE, 0, LEAT_ERANGE, 0},
        {4 * PAGE, 1, LEAT_ERANGE, 0},
        {1, 1, LEAT_EINVAL, 0},
        {PAGE - 1, 0, LEAT_EINVAL, 0},
        {PAGE, UINT64_MAX, LEAT_ERANGE, 0},
        {UINT64_MAX - PAGE + 1, 2 * PAGE, LEAT_ERANGE, 0},
        {UINT64_MAX - PAGE + 1, 0, LEAT_ERANGE, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        void *view = NULL;
        assert_leat(
            leat_view_map(region, cases[i].offset, cases[i].length, NULL, LEAT_READ_WRITE, &view),
            cases[i].result);
        if (view == NULL)
            continue;
        leat_view_info info;
        assert_ok(leat_view_find((char *)view + cases[i].size - 1, &info));
        assert_ptr_equal(info.address, view);
        assert_int_equal(info.size, cases[i].size);
        /* W32-24: whole pages */
        assert_int_equal(info.mapped_size, (cases[i].size + PAGE - 1) / PAGE * PAGE);
        assert_int_equal(info.offset, cases[i].offset);
        assert_true(info.detached && info.access == LEAT_READ_WRITE);
        assert_ok(leat_view_unmap(view));
    }
    void *view = NULL;
    assert_leat(leat_view_map(region, 0, 0, NULL, (leat_access)3, &view), LEAT_EINVAL);
    assert_leat(leat_view_map(NULL, 0, 0, NULL, LEAT_READ_ONLY, &view), LEAT_EINVAL);
    assert_leat(leat_view_map(region, 0, 0, NULL, LEAT_READ_ONLY, NULL), LEAT_EINVAL);
    leat_region_close(region);
}

/* W32-30: at the address or not at all. */
static void view_is_where_it_was_asked_for_or_nowhere(void **state) {
    (void)state;
    leat_region *region = created("placed", 4 * PAGE);
    char *free_place = mmap(NULL, 8 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(free_place != MAP_FAILED);
    munmap(free_place, 8 * PAGE);
    void *view = NULL, *second = NULL;
    assert_ok(leat_view_map(region, PAGE, 2 * PAGE, free_place, LEAT_READ_WRITE, &view));
    assert_ptr_equal(view, free_place);
    memset(view, 7, 2 * PAGE);
    /* Taken, or taken in part: nothing happens to what is there. */
    assert_leat(leat_view_map(region, 0, PAGE, free_place, LEAT_READ_WRITE, &second),
                LEAT_EADDRESS);
    assert_leat(leat_view_map(region, 0, PAGE, free_place + PAGE, LEAT_READ_WRITE, &second),
                LEAT_EADDRESS);
    assert_null(second);
    assert_int_equal(free_place[2 * PAGE - 1], 7);
    /* Unaligned, forbidden, or no address at all. */
    assert_leat(leat_view_map(region, 0, PAGE, free_place + 4 * PAGE + 8, LEAT_READ_WRITE, &second),
                LEAT_EINVAL);
    assert_leat(leat_view_map(region, 0, PAGE, (void *)(uintptr_t)(UINTPTR_MAX - 2 * PAGE + 1),
                              LEAT_READ_WRITE, &second),
                LEAT_EADDRESS);
    assert_non_null(strstr(leat_error_detail(), "placed"));
    assert_null(second);
    /* right behind */
    assert_ok(leat_view_map(region, 0, PAGE, free_place + 2 * PAGE, LEAT_READ_ONLY, &second));
    assert_int_equal(((char *)second)[PAGE - 1], 0);
    assert_ok(leat_view_unmap(second));
    assert_ok(leat_view_unmap(view));
    leat_region_close(region);
}

/* W32-31: two views side by side make a buffer that wraps by itself. */
static void views_side_by_side_wrap(void **state) {
    (void)state;
    leat_region *region = created("wrap", PAGE);
    char *place = mmap(NULL, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(place, 2 * PAGE);
    void *first, *second;
    assert_ok(leat_view_map(region, 0, 0, place, LEAT_READ_WRITE, &first));
    assert_ok(leat_view_map(region, 0, 0, place + PAGE, LEAT_READ_WRITE, &second));
    memcpy(place + PAGE - 2, "wrap", 4);
    assert_memory_equal(place, "ap", 2);
    assert_ok(leat_view_unmap(first));
    assert_memory_equal(second, "ap", 2);
    assert_ok(leat_view_unmap(second));
    leat_region_close(region);
}

/* --- Until when ------------------------------------------------------------------------------- */

/* W32-27, W32-28: the memory lives as long as a handle or a view, the name as long as a handle.
 * GD-48. */
static void views_outlive_the_handle_and_not_the_name(void **state) {
    (void)state;
    leat_region *region = created("outlived", 2 * PAGE), *other = NULL;
    char *view = mapped(region, PAGE, 0, LEAT_READ_WRITE);
    view[0] = 1;
    leat_region_close(region);
    assert_int_equal(view[0], 1);
    assert_leat(open_region(&other, "outlived", 0, NULL), LEAT_ENOENT);
    other = created("outlived", 2 * PAGE);
    assert_int_equal(((char *)leat_region_data(other))[PAGE], 0); /* new, and unrelated */
    ((char *)leat_region_data(other))[PAGE] = 2;
    assert_int_equal(view[0], 1);
    leat_region_close(other);
    view[PAGE - 1] = 3;
    assert_ok(leat_view_unmap(view));
    assert_int_equal(harness_names_left(), 0);
}

/* W32-26: any address inside; none outside. CE-19 ignores the result. */
static void view_is_unmapped_by_any_address_inside(void **state) {
    (void)state;
    leat_region *region = created("anywhere", 3 * PAGE);
    static const uint64_t inside[] = {0, 100, PAGE, PAGE + 100, 3 * PAGE - 1};
    for (size_t i = 0; i < sizeof inside / sizeof inside[0]; i++) {
        char *view = mapped(region, 0, 0, LEAT_READ_WRITE);
        assert_ok(leat_view_unmap(view + inside[i]));
        assert_leat(leat_view_unmap(view), LEAT_EINVAL);
    }
    leat_view_info info;
    int local = 0;
    assert_leat(leat_view_unmap(&local), LEAT_EINVAL);
    assert_leat(leat_view_find(&local, &info), LEAT_EINVAL);
    assert_leat(leat_view_unmap(leat_region_data(region)), LEAT_EINVAL); /* the handle's own */
    assert_ok(leat_view_find(leat_region_data(region), &info));
    assert_true(!info.detached && info.offset == 0 && info.size == 3 * PAGE);
    leat_region_close(region);
}

/* --- What they permit ------------------------------------------------------------------------- */

/* W32-21, W32-22, RT-11: what the handle permits, its views permit. GD-36, RT-03, RT-14, W32-06,
 * RS-01. */
static void handle_decides_what_a_view_may_do(void **state) {
    (void)state;
    static const leat_access accesses[] = {LEAT_READ_WRITE, LEAT_READ_ONLY, LEAT_COPY_ON_WRITE};
    leat_region *creator = created("access", PAGE);
    for (int handle = 0; handle < 3; handle++) {
        leat_region *region;
        assert_ok(
            open_region(&region, "access", 0, &(leat_region_options){.access = accesses[handle]}));
        assert_int_equal(region_details(region).access, accesses[handle]);
        for (int view = 0; view < 3; view++) {
            void *address = NULL;
            bool permitted =
                accesses[handle] == LEAT_READ_WRITE || accesses[view] != LEAT_READ_WRITE;
            assert_leat(leat_view_map(region, 0, 0, NULL, accesses[view], &address),
                        permitted ? LEAT_OK : LEAT_EACCES);
            if (permitted)
                assert_ok(leat_view_unmap(address));
        }
        leat_region_close(region);
    }
    leat_region_close(creator);
}

static void private_copies_are_seen_by_their_handle_alone(void **state) {
    (void)state;
    leat_region *writer = created("private", 2 * PAGE), *copy, *second;
    static const leat_region_options copy_on_write = {.access = LEAT_COPY_ON_WRITE};
    assert_ok(open_region(&copy, "private", 0, &copy_on_write));
    assert_ok(open_region(&second, "private", 0, &copy_on_write));
    assert_ok(leat_region_write(writer, 0, "shared", 7));
    assert_memory_equal(leat_region_data(copy), "shared", 7);
    assert_ok(leat_region_write(copy, 0, "mine", 5));
    assert_memory_equal(leat_region_data(writer), "shared", 7);
    assert_memory_equal(leat_region_data(second), "shared", 7);
    /* a page that was copied follows no longer... */
    assert_ok(leat_region_write(writer, 0, "later", 6));
    assert_memory_equal(leat_region_data(copy), "mine", 5);
    assert_ok(leat_region_write(writer, PAGE, "later", 6)); /* ...others still do */
    assert_memory_equal((char *)leat_region_data(copy) + PAGE, "later", 6);
    char *view = mapped(writer, 0, 0, LEAT_COPY_ON_WRITE);
    view[0] = 'x';
    assert_memory_equal(leat_region_data(writer), "later", 6);
    assert_ok(leat_view_unmap(view));
    leat_region_close(second);
    leat_region_close(copy);
    leat_region_close(writer);
}

/* GD-36, W32-22: copy-on-write needs read permission alone. Root may do anything: then the test
 * runs as another user. */
static int copy_what_may_only_be_read(void *context) {
    const char *name = context;
    if (geteuid() == 0 && (setgid(64917) != 0 || setuid(64917) != 0))
        return 1;
    leat_region *region = NULL;
    leat_region_options options = {.scope = LEAT_GLOBAL};
    assert_leat(open_region(&region, name, 0, &options), LEAT_EACCES);
    options.access = LEAT_COPY_ON_WRITE;
    assert_ok(open_region(&region, name, 0, &options));
    *(char *)leat_region_data(region) = 'c';
    leat_region_close(region);
    return 0;
}

/* W32-22. */
static void read_permission_suffices_for_private_copies(void **state) {
    (void)state;
    leat_region *region;
    const char *name = harness_global("readable");
    assert_ok(create_region(&region, name, PAGE,
                            &(leat_region_options){.scope = LEAT_GLOBAL, .permissions = 0444}));
    char copy[100];
    snprintf(copy, sizeof copy, "%s", name);
    harness_wait_ok(harness_spawn(copy_what_may_only_be_read, copy));
    assert_int_equal(*(char *)leat_region_data(region), 0);
    leat_region_close(region);
}

/* W32-25, RT-11. */
static int write_to_a_read_only_view(void *context) {
    char *view = mapped(*(leat_region **)context, 0, 0, LEAT_READ_ONLY);
    *(volatile char *)view = 1;
    return 0;
}

static int write_in_a_process_of_its_own(void *context) {
    (void)context;
    leat_region *region;
    assert_ok(open_region(&region, "readonly", 0, NULL));
    return write_to_a_read_only_view(&region);
}

/* RT-11, W32-25. */
static void write_to_a_read_only_view_is_a_segmentation_fault(void **state) {
    (void)state;
    leat_region *region = created("readonly", PAGE);
    harness_wait_signal(harness_spawn(write_in_a_process_of_its_own, NULL), SIGSEGV);
    assert_int_equal(*(char *)leat_region_data(region), 0);
    leat_region_close(region);
}

/* --- Fork ------------------------------------------------------------------------------------- */

struct inherited {
    leat_region *region;
    char *view;
};

static int use_the_parents(void *context) {
    struct inherited *inherited = context;
    void *view = NULL;
    int descriptor = -1;
    leat_type type;
    assert_leat(leat_view_map(inherited->region, 0, 0, NULL, LEAT_READ_ONLY, &view), LEAT_EFORKED);
    assert_leat(leat_region_grow(inherited->region, 10 * PAGE), LEAT_EFORKED);
    assert_leat(leat_region_refresh(inherited->region), LEAT_EFORKED);
    assert_leat(leat_region_flush(inherited->region, 0, 0, LEAT_FLUSH_START), LEAT_EFORKED);
    assert_leat(leat_region_descriptor(inherited->region, LEAT_READ_ONLY, false, &descriptor),
                LEAT_EFORKED);
    assert_leat(region_type(inherited->region, &type), LEAT_EFORKED);
    leat_region_details details;
    assert_leat(leat_region_info(inherited->region, &details), LEAT_EFORKED);
    inherited->view[0] = 'c'; /* ordinary shared memory */
    leat_residency residency;
    assert_ok(leat_view_residency(inherited->view, 0, &residency));
    assert_ok(leat_view_unmap(inherited->view));
    leat_region_close(inherited->region);
    return 0;
}

static void child_has_its_parents_views_and_not_its_handles(void **state) {
    (void)state;
    struct inherited inherited = {.region = created("parental", PAGE)};
    inherited.view = mapped(inherited.region, 0, 0, LEAT_READ_WRITE);
    harness_wait_ok(harness_spawn(use_the_parents, &inherited));
    assert_int_equal(inherited.view[0], 'c');
    assert_ok(leat_view_unmap(inherited.view));
    leat_region_close(inherited.region);
}

/* --- The memory behind a view ----------------------------------------------------------------- */

static leat_residency residency_of(const void *address, uint64_t length) {
    leat_residency residency;
    assert_ok(leat_view_residency(address, length, &residency));
    return residency;
}

static void prefaulted_pages_are_present(void **state) {
    (void)state;
    leat_region *region = created("prefault", 8 * PAGE);
    char *data = leat_region_data(region);
    leat_residency before = residency_of(data, 0);
    assert_int_equal(before.size, 8 * PAGE);
    assert_int_equal(before.resident, 0); /* reserved, and never filled */
    assert_int_equal(before.present, 0);
    assert_ok(leat_view_prefault(data + PAGE + 1, PAGE)); /* touches two pages */
    assert_int_equal(residency_of(data, 0).present, 2 * PAGE);
    assert_int_equal(residency_of(data + PAGE, PAGE).present, PAGE);
    assert_ok(leat_view_prefault(data, 0));
    assert_int_equal(residency_of(data, 0).present, 8 * PAGE);
    assert_int_equal(residency_of(data, 0).resident, 8 * PAGE);
    for (int access = LEAT_READ_ONLY; access <= LEAT_COPY_ON_WRITE; access++) {
        char *view = mapped(region, 0, 0, (leat_access)access);
        assert_ok(leat_view_prefault(view, 0));
        assert_int_equal(residency_of(view, 0).present, 8 * PAGE);
        data[9] = (char)access; /* no private copy was made */
        assert_int_equal(view[9], access);
        assert_ok(leat_view_unmap(view));
    }
    leat_region_close(region);
}

/* What is done on kernels that cannot be asked: every page is touched, and nothing changes. */
static void touch_makes_pages_present_and_changes_nothing(void **state) {
    (void)state;
    leat_region *region = created("touched", 4 * PAGE);
    char *data = leat_region_data(region), *view = mapped(region, 0, 0, LEAT_READ_ONLY);
    data[PAGE] = 'x';
    leat__os_touch(data, 4 * PAGE, true);
    leat__os_touch(view, 4 * PAGE, false);
    assert_int_equal(residency_of(data, 0).present, 4 * PAGE);
    assert_int_equal(residency_of(view, 0).present, 4 * PAGE);
    assert_int_equal(data[PAGE], 'x');
    assert_ok(leat_view_unmap(view));
    leat_region_close(region);
}

/* RT-09. */
static void locked_pages_are_reported(void **state) {
    (void)state;
    leat_region *region = created("locked", 8 * PAGE);
    char *data = leat_region_data(region);
    assert_int_equal(residency_of(data, 0).locked, 0);
    int result = leat_view_lock(data + PAGE, 2 * PAGE);
    if (result == LEAT_ELIMIT) {
        leat_region_close(region);
        skip(); /* so small a limit that nothing can be shown; its error is shown below */
    }
    assert_ok(result);
    leat_residency residency = residency_of(data, 0);
    assert_int_equal(residency.locked, 2 * PAGE);
    assert_true(residency.present >= 2 * PAGE);
    assert_int_equal(residency_of(data + PAGE, PAGE).locked, PAGE);
    assert_ok(leat_view_unlock(data, 0));
    assert_int_equal(residency_of(data, 0).locked, 0);
    leat_region_close(region);
}

static int lock_more_than_permitted(void *context) {
    (void)context;
    struct rlimit limit = {PAGE, PAGE};
    leat_region *region = created("unlockable", 16 * PAGE);
    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 ||
        (geteuid() == 0 && (setgid(64917) != 0 || setuid(64917) != 0)))
        return 1;
    assert_leat(leat_view_lock(leat_region_data(region), 0), LEAT_ELIMIT);
    assert_non_null(strstr(leat_error_detail(), "65536"));
    assert_non_null(strstr(leat_error_detail(), "4096"));
    _exit(0); /* the name is in a directory that this user may not change */
}

static void lock_of_more_memory_than_permitted_is_an_error(void **state) {
    (void)state;
    harness_wait_ok(harness_spawn(lock_more_than_permitted, NULL));
    assert_ok(leat_gc(LEAT_LOCAL, NULL, NULL));
}

/* Huge pages are made and reported, or refused with an error. W32-10, W32-32. */
static void huge_pages_are_made_or_refused(void **state) {
    (void)state;
    leat_region *region = created("huge", 8 * MIB);
    void *view = NULL;
    char *place = mmap(NULL, 16 * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(place, 16 * MIB);
    place += (2 * MIB - (uintptr_t)place % (2 * MIB)) % (2 * MIB);
    assert_ok(leat_view_map(region, 0, 0, place, LEAT_READ_WRITE, &view));
    memset(view, 1, 8 * MIB);
    int result = leat_view_make_huge(view, 0);
    leat_residency residency = residency_of(view, 0);
    print_message("huge pages: %s, %llu bytes (%s)\n", leat_error_name(result),
                  (unsigned long long)residency.huge, result == LEAT_OK ? "" : leat_error_detail());
    if (result == LEAT_OK)
        assert_int_equal(residency.huge, 8 * MIB);
    else
        assert_true(result == LEAT_ENOTSUP || result == LEAT_ENOMEM);
    assert_int_equal(((char *)view)[8 * MIB - 1], 1);
    if (result != LEAT_ENOTSUP)
        assert_leat(leat_view_make_huge(view, MIB), LEAT_ERANGE);
    assert_ok(leat_view_unmap(view));
    leat_region_close(region);
}

static void ranges_must_lie_inside_a_view(void **state) {
    (void)state;
    leat_region *region = created("ranges", 2 * PAGE);
    char *data = leat_region_data(region);
    leat_residency residency = {.size = 1};
    int local = 0;
    assert_leat(leat_view_prefault(&local, 1), LEAT_EINVAL);
    assert_leat(leat_view_lock(&local, 1), LEAT_EINVAL);
    assert_leat(leat_view_unlock(&local, 1), LEAT_EINVAL);
    assert_leat(leat_view_make_huge(&local, 1), LEAT_EINVAL);
    assert_leat(leat_view_residency(&local, 1, &residency), LEAT_EINVAL);
    assert_leat(leat_view_residency(data + PAGE, PAGE + 1, &residency), LEAT_ERANGE);
    assert_leat(leat_view_prefault(data + PAGE, UINT64_MAX), LEAT_ERANGE);
    assert_leat(leat_view_residency(data, 0, NULL), LEAT_EINVAL);
    assert_int_equal(residency.size, 1); /* untouched on failure */
    leat_region_close(region);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(several_views_of_one_region_show_the_same_bytes),
        HARNESS_TEST(view_lies_inside_the_region),
        HARNESS_TEST(view_is_where_it_was_asked_for_or_nowhere),
        HARNESS_TEST(views_side_by_side_wrap),
        HARNESS_TEST(views_outlive_the_handle_and_not_the_name),
        HARNESS_TEST(view_is_unmapped_by_any_address_inside),
        HARNESS_TEST(handle_decides_what_a_view_may_do),
        HARNESS_TEST(private_copies_are_seen_by_their_handle_alone),
        HARNESS_TEST(read_permission_suffices_for_private_copies),
        HARNESS_TEST(write_to_a_read_only_view_is_a_segmentation_fault),
        HARNESS_TEST(child_has_its_parents_views_and_not_its_handles),
        HARNESS_TEST(prefaulted_pages_are_present),
        HARNESS_TEST(touch_makes_pages_present_and_changes_nothing),
        HARNESS_TEST(locked_pages_are_reported),
        HARNESS_TEST(lock_of_more_memory_than_permitted_is_an_error),
        HARNESS_TEST(huge_pages_are_made_or_refused),
        HARNESS_TEST(ranges_must_lie_inside_a_view),
    };
    return HARNESS_MAIN("region_views", tests);
}
