/* test_region.c - regions in one process: the three modes of opening, sizes and size policies,
 * access, the end of a region, views that outlive their handle, list and stat. Tests with several
 * processes are in test_region_processes.c, other programs' files in test_hostile_object.c. */
#include "handles.h"
#include "harness.h"
#include "leat/remote.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static leat_region *created(const char *name, uint64_t size) {
    leat_region *region = NULL;
    assert_ok(create_region(&region, name, size, NULL));
    assert_non_null(region);
    return region;
}

static leat_region *opened(const char *name) {
    leat_region *region = NULL;
    assert_ok(open_region(&region, name, 0, NULL));
    return region;
}

static bool exists(const char *name) {
    leat_object_info info;
    int result = leat_stat(name, LEAT_LOCAL, &info);
    if (result != LEAT_ENOENT)
        assert_ok(result);
    return result == LEAT_OK;
}

static bool all_zero(const void *data, size_t size) {
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

/* --- Ways in ---------------------------------------------------------------------------------- */

/* GD-15, RS-02. */
static void create_succeeds_once_and_changes_nothing_the_second_time(void **state) {
    (void)state;
    leat_region *first = created("once", 100), *second = NULL;
    memset(leat_region_data(first), 7, 100);
    assert_true(region_details(first).created);
    assert_leat(create_region(&second, "once", 200, NULL), LEAT_EEXIST);
    assert_null(second);
    assert_int_equal(((char *)leat_region_data(first))[99], 7);
    assert_int_equal(leat_region_size(first), 100);
    leat_region_close(first);
    leat_region_close(created("once", 0)); /* the name is free again */
}

/* GD-32, RT-11, W32-N5, RS-02. */
static void open_needs_an_existing_region(void **state) {
    (void)state;
    leat_region *region = NULL;
    assert_leat(open_region(&region, "absent", 0, NULL), LEAT_ENOENT);
    assert_null(region);
    leat_region *creator = created("present", 50);
    region = opened("present");
    assert_false(region_details(region).created);
    assert_int_equal(leat_region_size(region), 50);
    leat_region_close(region);
    leat_region_close(creator);
}

/* CE-04, CE-18, RT-01, RT-08, W32-N3, W32-N4, RS-02, RS-08. */
static void open_or_create_reports_which_it_did(void **state) {
    (void)state;
    leat_region *first, *second;
    assert_ok(open_or_create_region(&first, "either", 77, NULL));
    assert_ok(open_or_create_region(&second, "either", 99, NULL));
    assert_true(region_details(first).created);
    assert_false(region_details(second).created);
    assert_int_equal(leat_region_size(second), 77);
    leat_region_close(first);
    leat_region_close(second);
}

/* RT-05, W32-N2. */
static void names_are_case_sensitive(void **state) {
    (void)state;
    leat_region *lower = created("case", 0), *upper = created("Case", 0);
    *(int *)leat_region_data(lower) = 1;
    assert_int_equal(*(int *)leat_region_data(upper), 0);
    leat_region_close(lower);
    leat_region_close(upper);
}

/* GD-45. */
static void close_of_nothing_is_allowed(void **state) {
    (void)state;
    leat_region_close(NULL);
}

/* --- Sizes ------------------------------------------------------------------------------------ */

/* CE-01, CE-23, GD-19, GD-20, RT-14, W32-05, W32-07. */
static void size_is_exact_and_the_mapping_whole_pages_of_zeros(void **state) {
    (void)state;
    static const uint64_t sizes[][3] = {{0, 4096, 4096},
                                        {1, 1, 4096},
                                        {4096, 4096, 4096},
                                        {4097, 4097, 8192},
                                        {100000, 100000, 102400}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        leat_region *region = created("sized", sizes[i][0]);
        leat_object_info info;
        assert_int_equal(leat_region_size(region), sizes[i][1]);
        assert_int_equal(region_details(region).mapped_size, sizes[i][2]);
        assert_true(all_zero(leat_region_data(region), sizes[i][2]));
        assert_int_equal((uintptr_t)leat_region_data(region) % 4096, 0);
        assert_ok(leat_stat("sized", LEAT_LOCAL, &info));
        assert_int_equal(info.size, sizes[i][1]);
        leat_region_close(region);
    }
}

/* W32-12. */
static void memory_is_reserved_when_the_region_is_created(void **state) {
    (void)state;
    leat_region *region = created("reserved", 1 << 20);
    char path[300];
    struct stat status;
    snprintf(path, sizeof path, "%s/reserved", harness_directory());
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, 1 << 20);
    assert_true(status.st_blocks * 512 >= 1 << 20);
    leat_region_close(region);
}

static void size_policy_is_compared_with_what_is_there(void **state) {
    (void)state;
    static const struct {
        leat_size_policy policy;
        uint64_t size;
        int result;
    } cases[] = {
        {LEAT_SIZE_ADOPT, 1, LEAT_OK},          {LEAT_SIZE_ADOPT, 5001, LEAT_OK},
        {LEAT_SIZE_AT_LEAST, 4999, LEAT_OK},    {LEAT_SIZE_AT_LEAST, 5000, LEAT_OK},
        {LEAT_SIZE_AT_LEAST, 5001, LEAT_ESIZE}, {LEAT_SIZE_EXACT, 5000, LEAT_OK},
        {LEAT_SIZE_EXACT, 4999, LEAT_ESIZE},    {LEAT_SIZE_EXACT, 5001, LEAT_ESIZE},
    };
    leat_region *there = created("policy", 5000);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        leat_region_options options = {.size_policy = cases[i].policy};
        for (int either = 0; either < 2; either++) {
            leat_region *region = NULL;
            assert_leat(either ? open_or_create_region(&region, "policy", cases[i].size, &options)
                               : open_region(&region, "policy", cases[i].size, &options),
                        cases[i].result);
            assert_true(region == NULL || leat_region_size(region) == 5000);
            leat_region_close(region);
        }
    }
    assert_true(exists("policy"));
    leat_region_close(there);
}

/* CE-21, GD-17. */
static void absurd_size_is_an_error(void **state) {
    (void)state;
    static const uint64_t sizes[] = {UINT64_MAX, UINT64_MAX - 4095, (uint64_t)1 << 63,
                                     (uint64_t)1 << 60, (uint64_t)1 << 46};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        leat_region *region = NULL;
        int result = create_region(&region, "absurd", sizes[i], NULL);
        if (result != LEAT_EINVAL && result != LEAT_ENOSPC && result != LEAT_ENOMEM)
            harness_fail("a region of %#llx bytes: %s", (unsigned long long)sizes[i],
                         leat_error_name(result));
        assert_null(region);
        assert_false(exists("absurd"));
    }
}

/* --- Access ----------------------------------------------------------------------------------- */

/* RT-12. */
static void two_handles_see_the_same_bytes_at_two_addresses(void **state) {
    (void)state;
    leat_region *one = created("coherent", 0), *two = opened("coherent");
    volatile char *a = leat_region_data(one), *b = leat_region_data(two);
    assert_true(a != b);
    a[17] = 42;
    assert_int_equal(b[17], 42);
    b[4095] = 43;
    assert_int_equal(a[4095], 43);
    leat_region_close(one);
    leat_region_close(two);
}

/* GD-40, GD-42, GD-43. */
static void read_and_write_stay_inside_the_region(void **state) {
    (void)state;
    leat_region *region = created("bounds", 10);
    char buffer[16] = "";
    assert_ok(leat_region_write(region, 3, "abc", 3));
    assert_ok(leat_region_read(region, 2, buffer, 5));
    assert_memory_equal(buffer, "\0abc\0", 5);
    assert_ok(leat_region_write(region, 9, "z", 1));
    assert_ok(leat_region_read(region, 10, buffer, 0));
    assert_ok(leat_region_read(region, 0, buffer, 10));
    static const struct {
        uint64_t offset;
        size_t length;
    } outside[] = {{0, 11},         {10, 1},         {9, 2},        {11, 0},
                   {UINT64_MAX, 1}, {UINT64_MAX, 0}, {1, SIZE_MAX}, {UINT64_MAX, SIZE_MAX}};
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        memset(buffer, 'x', sizeof buffer);
        assert_leat(leat_region_read(region, outside[i].offset, buffer, outside[i].length),
                    LEAT_ERANGE);
        assert_int_equal(buffer[0], 'x');
        assert_leat(leat_region_write(region, outside[i].offset, buffer, outside[i].length),
                    LEAT_ERANGE);
    }
    assert_ok(leat_region_read(region, 0, buffer, 10));
    assert_memory_equal(buffer, "\0\0\0abc\0\0\0z", 10);
    leat_region_close(region);
}

static const leat_region_options read_only = {.access = LEAT_READ_ONLY};

/* GD-42. */
static void read_only_handle_reads_and_does_not_write(void **state) {
    (void)state;
    leat_region *writer = created("readonly", 0), *reader = NULL;
    char byte = 0;
    assert_ok(open_region(&reader, "readonly", 0, &read_only));
    assert_ok(leat_region_write(writer, 5, "q", 1));
    assert_ok(leat_region_read(reader, 5, &byte, 1));
    assert_int_equal(byte, 'q');
    assert_leat(leat_region_write(reader, 5, "w", 1), LEAT_EACCES);
    assert_int_equal(*((char *)leat_region_data(writer) + 5), 'q');
    leat_region_close(writer);
    assert_true(exists("readonly")); /* a reader is a user */
    leat_region_close(reader);
    assert_false(exists("readonly"));
}

static int write_through_a_read_only_view(void *context) {
    (void)context;
    leat_region *reader;
    assert_ok(open_region(&reader, "faulty", 0, &read_only));
    *(volatile char *)leat_region_data(reader) = 1;
    return 0;
}

static void write_through_a_read_only_view_is_a_segmentation_fault(void **state) {
    (void)state;
    leat_region *region = created("faulty", 0);
    harness_wait_signal(harness_spawn(write_through_a_read_only_view, NULL), 11);
    assert_int_equal(*(char *)leat_region_data(region), 0);
    leat_region_close(region);
}

/* GD-18, W32-09. */
static void permissions_are_exact_whatever_the_umask(void **state) {
    (void)state;
    static const uint32_t wanted[][2] = {{0, 0600}, {0640, 0640}, {0666, 0666}, {0600, 0600}};
    mode_t before = umask(077);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        leat_region *region;
        leat_object_info info;
        assert_ok(
            create_region(&region, "mode", 0, &(leat_region_options){.permissions = wanted[i][0]}));
        assert_ok(leat_stat("mode", LEAT_LOCAL, &info));
        assert_int_equal(info.permissions, wanted[i][1]);
        assert_int_equal(info.owner, geteuid());
        leat_region_close(region);
    }
    umask(before);
}

/* --- The end of a region ---------------------------------------------------------------------- */

/* CE-17, GD-48, RT-13, W32-N10. */
static void region_dies_with_its_last_handle(void **state) {
    (void)state;
    leat_region *first = created("mortal", 0), *second = opened("mortal"), *third = NULL;
    leat_region_close(first);
    assert_true(exists("mortal"));
    third = opened("mortal");
    leat_region_close(second);
    assert_true(exists("mortal"));
    leat_region_close(third);
    assert_false(exists("mortal"));
    assert_int_equal(harness_names_left(), 0);
}

/* GD-46, GD-47. */
static void persistent_region_stays_until_it_is_unlinked(void **state) {
    (void)state;
    leat_region *region;
    leat_object_info info;
    assert_ok(create_region(&region, "lasting", 10, &(leat_region_options){.persistent = true}));
    assert_ok(leat_region_write(region, 0, "keep", 4));
    leat_region_close(region);
    assert_ok(leat_gc(LEAT_LOCAL, NULL, NULL));
    assert_ok(leat_stat("lasting", LEAT_LOCAL, &info));
    assert_true(info.persistent && !info.in_use);
    assert_leat(create_region(&region, "lasting", 10, NULL), LEAT_EEXIST);
    region = opened("lasting"); /* asking for no persistence does not take it away */
    assert_memory_equal(leat_region_data(region), "keep", 4);
    leat_region_close(region);
    assert_true(exists("lasting"));
    assert_ok(leat_unlink("lasting", LEAT_LOCAL));
    assert_leat(leat_unlink("lasting", LEAT_LOCAL), LEAT_ENOENT);
    assert_false(exists("lasting"));
}

/* GD-47. */
static void unlink_frees_the_name_and_disturbs_no_user(void **state) {
    (void)state;
    leat_region *old = created("renewed", 10), *partner = opened("renewed");
    assert_ok(leat_unlink("renewed", LEAT_LOCAL));
    assert_false(exists("renewed"));
    leat_region *new = created("renewed", 20);
    assert_ok(leat_region_write(old, 0, "old", 3));
    assert_memory_equal(leat_region_data(partner), "old", 3);
    assert_int_equal(*(char *)leat_region_data(new), 0);
    leat_region_close(old);
    leat_region_close(partner);
    assert_true(exists("renewed")); /* closing the old one does not take the new one's name */
    leat_region_close(new);
    assert_false(exists("renewed"));
}

/* CE-18, W32-27. */
static void detached_view_outlives_its_handle_and_not_the_name(void **state) {
    (void)state;
    leat_region *region = created("viewed", 6000), *other = NULL;
    char *view = leat_region_detach_view(region);
    assert_non_null(view);
    memset(view, 9, 6000);
    leat_region_close(region);
    assert_false(exists("viewed"));
    assert_leat(open_region(&other, "viewed", 0, NULL), LEAT_ENOENT);
    other = created("viewed", 6000);
    assert_true(all_zero(leat_region_data(other), 6000)); /* an unrelated one */
    *(char *)leat_region_data(other) = 1;
    assert_int_equal(view[0], 9);
    assert_int_equal(view[5999], 9);
    assert_ok(leat_view_unmap(view + 5000));
    assert_leat(leat_view_unmap(view), LEAT_EINVAL);
    leat_region_close(other);
}

static void detached_view_does_not_stand_in_the_way_of_other_users(void **state) {
    (void)state;
    leat_region *one = created("shared", 0), *two = opened("shared"), *three;
    char *view = leat_region_detach_view(one);
    leat_region_close(one);
    uint64_t start = harness_now();
    three = opened("shared");
    view[7] = 7;
    assert_int_equal(((char *)leat_region_data(three))[7], 7);
    leat_region_close(two);
    leat_region_close(three);
    assert_true(harness_now() - start < 500000000); /* no call had to wait for a lock */
    assert_false(exists("shared"));
    assert_ok(leat_view_unmap(view));
}

static void view_that_was_not_detached_cannot_be_unmapped(void **state) {
    (void)state;
    leat_region *region = created("attached", 0);
    int local = 0;
    assert_leat(leat_view_unmap(leat_region_data(region)), LEAT_EINVAL);
    assert_leat(leat_view_unmap(&local), LEAT_EINVAL);
    assert_leat(leat_view_unmap(NULL), LEAT_EINVAL);
    assert_ok(leat_region_write(region, 0, "x", 1));
    leat_region_close(region);
}

/* --- From outside ----------------------------------------------------------------------------- */

struct seen {
    char text[200];
    int stop_after;
};

static int note(const leat_object_info *info, void *context) {
    struct seen *seen = context;
    strcat(strcat(seen->text, info->name), " ");
    return --seen->stop_after == 0 ? 42 : 0;
}

static void objects_are_listed_in_the_order_of_their_names(void **state) {
    (void)state;
    static const char *const names[] = {"pear", "Zebra", "apple", "a/z", "a.z"};
    leat_region *regions[5];
    for (int i = 0; i < 5; i++)
        regions[i] = created(names[i], 0);
    struct seen seen = {0};
    assert_ok(leat_list(LEAT_LOCAL, note, &seen));
    assert_string_equal(seen.text, "Zebra a.z a/z apple pear ");
    seen = (struct seen){.stop_after = 2};
    assert_int_equal(leat_list(LEAT_LOCAL, note, &seen), 42);
    assert_string_equal(seen.text, "Zebra a.z ");
    for (int i = 0; i < 5; i++)
        leat_region_close(regions[i]);
    seen = (struct seen){0};
    assert_ok(leat_list(LEAT_LOCAL, note, &seen));
    assert_string_equal(seen.text, "");
}

static void inspection_reports_what_a_region_is_and_uses_nothing(void **state) {
    (void)state;
    leat_region *region = created("looked", 123);
    leat_object_info info;
    memset(&info, 0xff, sizeof info);
    assert_ok(leat_stat("looked", LEAT_LOCAL, &info));
    assert_string_equal(info.name, "looked");
    assert_int_equal(info.kind, LEAT_KIND_REGION);
    assert_string_equal(leat_kind_name(info.kind), "region");
    assert_int_equal(info.size, 123);
    assert_true(info.in_use && !info.persistent && !info.damaged && info.scope == LEAT_LOCAL);
    leat_region_close(region);
    assert_leat(leat_stat("looked", LEAT_LOCAL, &info), LEAT_ENOENT);
    assert_string_equal(leat_kind_name((leat_kind)99), "unknown");
}

static void count_object(const leat_object_info *info, void *context) {
    (void)info;
    ++*(int *)context;
}

static void garbage_collection_touches_nothing_that_is_in_use(void **state) {
    (void)state;
    leat_region *region = created("alive", 0);
    int removed = 0;
    assert_ok(leat_gc(LEAT_LOCAL, count_object, &removed));
    assert_int_equal(removed, 0);
    assert_true(exists("alive"));
    leat_region_close(region);
    assert_ok(leat_gc(LEAT_LOCAL, count_object, &removed));
    assert_int_equal(removed, 0);
}

/* CE-07, GD-31, RT-07. */
static void scopes_do_not_mix(void **state) {
    (void)state;
    const char *name = harness_global("scoped");
    leat_region *local = created(name, 10), *global;
    assert_ok(create_region(&global, name, 20, &(leat_region_options){.scope = LEAT_GLOBAL}));
    leat_object_info info;
    assert_ok(leat_stat(name, LEAT_GLOBAL, &info));
    assert_int_equal(info.size, 20);
    leat_region_close(global);
    assert_leat(leat_stat(name, LEAT_GLOBAL, &info), LEAT_ENOENT);
    assert_true(exists(name));
    leat_region_close(local);
}

/* Every public function that takes a handle; nothing crashes, and nothing is opened or made. */
static void region_of_null_is_an_error(void **state) {
    (void)state;
    char byte = 0;
    int descriptor = -1;
    leat_type type;
    void *view;
    static const leat_region_options persistent = {.persistent = true};
    uint64_t address = 0;
    leat_region *region = NULL;
    assert_leat(leat_region_read(NULL, 0, &byte, 1), LEAT_EINVAL);
    assert_leat(leat_region_write(NULL, 0, &byte, 1), LEAT_EINVAL);
    assert_leat(leat_region_grow(NULL, 1), LEAT_EINVAL);
    assert_leat(leat_region_refresh(NULL), LEAT_EINVAL);
    assert_leat(leat_region_flush(NULL, 0, 0, LEAT_FLUSH_DURABLE), LEAT_EINVAL);
    assert_leat(region_type(NULL, &type), LEAT_EINVAL);
    assert_leat(leat_region_descriptor(NULL, LEAT_READ_ONLY, false, &descriptor), LEAT_EINVAL);
    assert_leat(send_region(NULL, LEAT_READ_ONLY, 0, LEAT_NOW), LEAT_EINVAL);
    assert_leat(leat_view_map(NULL, 0, 0, NULL, LEAT_READ_ONLY, &view), LEAT_EINVAL);
    assert_leat(leat_region_map_into(NULL, getpid(), &address), LEAT_EINVAL);
    assert_leat(create_region(NULL, "null", 1, NULL), LEAT_EINVAL);
    assert_leat(leat_region_open_into(NULL, "null", 1, &persistent, getpid(), &address),
                LEAT_EINVAL);
    assert_leat(leat_region_open_into(&region, "null", 1, &persistent, getpid(), NULL),
                LEAT_EINVAL);
    assert_leat(leat_region_open_into(&region, "null", 1, &persistent, 0, &address), LEAT_EINVAL);
    assert_leat(leat_region_unmap_from(getpid(), 0), LEAT_EINVAL);
    assert_leat(leat_region_stat("null", LEAT_LOCAL, NULL), LEAT_EINVAL);
    assert_leat(stat_region_type(NULL, LEAT_LOCAL, &type), LEAT_ENAME);
    assert_null(region);
    assert_null(leat_region_data(NULL));
    assert_null(leat_region_detach_view(NULL));
    leat_region_details details;
    assert_int_equal(leat_region_size(NULL), 0);
    assert_leat(leat_region_info(NULL, &details), LEAT_EINVAL);
    leat_region_close(NULL);
    assert_int_equal(harness_names_left(), 0);
}

static void bytes_at_null_are_an_error(void **state) {
    (void)state;
    leat_region *region;
    assert_ok(create_region(&region, NULL, 10, NULL));
    assert_leat(leat_region_read(region, 0, NULL, 1), LEAT_EINVAL);
    assert_leat(leat_region_write(region, 0, NULL, 1), LEAT_EINVAL);
    assert_ok(leat_region_read(region, 10, NULL, 0));
    assert_ok(leat_region_write(region, 10, NULL, 0));
    leat_region_close(region);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(region_of_null_is_an_error),
        HARNESS_TEST(bytes_at_null_are_an_error),
        HARNESS_TEST(create_succeeds_once_and_changes_nothing_the_second_time),
        HARNESS_TEST(open_needs_an_existing_region),
        HARNESS_TEST(open_or_create_reports_which_it_did),
        HARNESS_TEST(names_are_case_sensitive),
        HARNESS_TEST(close_of_nothing_is_allowed),
        HARNESS_TEST(size_is_exact_and_the_mapping_whole_pages_of_zeros),
        HARNESS_TEST(memory_is_reserved_when_the_region_is_created),
        HARNESS_TEST(size_policy_is_compared_with_what_is_there),
        HARNESS_TEST(absurd_size_is_an_error),
        HARNESS_TEST(two_handles_see_the_same_bytes_at_two_addresses),
        HARNESS_TEST(read_and_write_stay_inside_the_region),
        HARNESS_TEST(read_only_handle_reads_and_does_not_write),
        HARNESS_TEST(write_through_a_read_only_view_is_a_segmentation_fault),
        HARNESS_TEST(permissions_are_exact_whatever_the_umask),
        HARNESS_TEST(region_dies_with_its_last_handle),
        HARNESS_TEST(persistent_region_stays_until_it_is_unlinked),
        HARNESS_TEST(unlink_frees_the_name_and_disturbs_no_user),
        HARNESS_TEST(detached_view_outlives_its_handle_and_not_the_name),
        HARNESS_TEST(detached_view_does_not_stand_in_the_way_of_other_users),
        HARNESS_TEST(view_that_was_not_detached_cannot_be_unmapped),
        HARNESS_TEST(objects_are_listed_in_the_order_of_their_names),
        HARNESS_TEST(inspection_reports_what_a_region_is_and_uses_nothing),
        HARNESS_TEST(garbage_collection_touches_nothing_that_is_in_use),
        HARNESS_TEST(scopes_do_not_mix),
    };
    return HARNESS_MAIN("region", tests);
}
