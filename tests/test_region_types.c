/* test_region_types.c - the type recorded with a region, in each of the places that a region can
 * be: recorded when it is created, compared when it is opened, and both reported when they
 * differ. */
#include "handles.h"
#include "harness.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static const leat_type frame = {"telemetry.frame", 64, 3};
static const leat_region_options typed = {.type = &frame};

/* Where a kernel or a file system has no attributes, typed regions are LEAT_ENOTSUP, and there is
 * nothing to test. */
static void skip_without_attributes(void) {
    leat_region *region;
    int result = create_region(&region, "attributes", 0, &typed);
    if (result == LEAT_ENOTSUP)
        skip();
    assert_ok(result);
    leat_region_close(region);
}

static int note_of(const char *name, const char *note) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", harness_directory(), name);
    return setxattr(path, "user.leat.type", note, strlen(note), 0);
}

/* RS-01, RS-02, RS-08: the size is that of the type; the same type opens it. */
static void type_is_recorded_and_found_again(void **state) {
    (void)state;
    skip_without_attributes();
    leat_region *region, *second, *untyped;
    leat_type type = {0};
    assert_ok(create_region(&region, "typed", 0, &typed));
    assert_int_equal(leat_region_size(region), 64);
    assert_ok(open_region(&second, "typed", 0, &typed));
    assert_ok(region_type(second, &type));
    assert_string_equal(type.name, "telemetry.frame");
    assert_true(type.size == 64 && type.version == 3);
    leat_region_close(second);
    assert_ok(open_or_create_region(&second, "typed", 0, &typed));
    assert_ok(open_region(&untyped, "typed", 0, NULL)); /* compares no type */
    leat_region_close(untyped);
    leat_region_close(second);
    leat_region_close(region);
    assert_int_equal(harness_names_left(), 0); /* nothing beside the region that could stay */
}

/* RS-04. */
static void type_that_differs_is_refused_and_both_are_reported(void **state) {
    (void)state;
    skip_without_attributes();
    static const leat_type others[] = {{"telemetry.state", 64, 3}, {"telemetry.frame", 32, 3},
                                       {"telemetry.frame", 64, 4}, {"Telemetry.frame", 64, 3},
                                       {"telemetry", 64, 3},       {"telemetry.frame2", 64, 3}};
    leat_region *region, *other = NULL;
    assert_ok(create_region(&region, "typed", 4096, &typed));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        char wanted[100];
        leat_region_options options = {.type = &others[i]};
        assert_leat(open_region(&other, "typed", 0, &options), LEAT_ETYPE);
        snprintf(wanted, sizeof wanted, "'%s' version %u of %u bytes wanted", others[i].name,
                 others[i].version, (unsigned)others[i].size);
        assert_non_null(
            strstr(leat_error_detail(), "it holds 'telemetry.frame' version 3 of 64 bytes"));
        assert_non_null(strstr(leat_error_detail(), wanted));
        assert_leat(open_or_create_region(&other, "typed", 0, &options), LEAT_ETYPE);
    }
    assert_null(other);
    leat_region_close(region);
    assert_ok(create_region(&region, "untyped", 4096, NULL));
    assert_leat(open_region(&other, "untyped", 0, &typed), LEAT_ETYPE);
    assert_non_null(strstr(leat_error_detail(), "no type is recorded"));
    leat_type type = {"x", 1, 1};
    assert_ok(region_type(region, &type));
    assert_null(type.name);
    leat_region_close(region);
}

static void type_travels_with_the_memory(void **state) {
    (void)state;
    skip_without_attributes();
    leat_region *region, *other = NULL;
    leat_type another = {"other", 64, 3}, type;
    leat_region_options wrong = {.type = &another};
    int descriptor;
    assert_ok(create_region(&region, NULL, 0, &typed)); /* anonymous */
    assert_ok(leat_region_descriptor(region, LEAT_READ_WRITE, false, &descriptor));
    leat_region_close(region);
    assert_leat(leat_region_open_descriptor(&other, descriptor, 0, &wrong), LEAT_ETYPE);
    assert_ok(leat_region_open_descriptor(&other, descriptor, 0, &typed));
    assert_ok(region_type(other, &type));
    assert_string_equal(type.name, "telemetry.frame");
    close(descriptor);
    leat_region_close(other);

    char path[] = "/tmp/leat-type-XXXXXX"; /* a file */
    close(mkstemp(path));
    unlink(path);
    int result = file_region(&region, path, LEAT_CREATE, 100, &typed);
    if (result != LEAT_ENOTSUP) {
        assert_ok(result);
        leat_region_close(region);
        other = NULL;
        assert_leat(file_region(&other, path, LEAT_OPEN, 0, &wrong), LEAT_ETYPE);
        assert_ok(file_region(&other, path, LEAT_OPEN, 0, &typed));
        leat_region_close(other);
    }
    unlink(path);
}

static void persistent_region_keeps_its_type(void **state) {
    (void)state;
    skip_without_attributes();
    leat_region *region = NULL;
    leat_type another = {"other", 64, 3};
    assert_ok(create_region(&region, "lasting", 0,
                            &(leat_region_options){.type = &frame, .persistent = true}));
    assert_ok(leat_region_grow(region, 10000));
    leat_region_close(region);
    region = NULL;
    assert_leat(open_region(&region, "lasting", 0, &(leat_region_options){.type = &another}),
                LEAT_ETYPE);
    assert_ok(open_region(&region, "lasting", 0,
                          &(leat_region_options){.type = &frame, .access = LEAT_READ_ONLY}));
    leat_region_close(region);
    assert_ok(leat_unlink("lasting", LEAT_LOCAL));
}

/* RS-08: what is smaller than the type is not opened as one. */
static void region_holds_at_least_one_of_its_type(void **state) {
    (void)state;
    skip_without_attributes();
    leat_region *region = NULL, *other = NULL;
    assert_leat(create_region(&region, "small", 63, &typed), LEAT_EINVAL);
    assert_leat(open_or_create_region(&region, "small", 63, &typed), LEAT_EINVAL);
    assert_null(region);
    assert_ok(create_region(&region, "small", 63, NULL));
    /* by a program that lies */
    assert_int_equal(note_of("small", "leat1 3 64 telemetry.frame"), 0);
    assert_leat(open_region(&other, "small", 0, &typed), LEAT_ESIZE);
    assert_null(other);
    leat_region_close(region);
}

static void type_must_have_a_proper_name(void **state) {
    (void)state;
    char longest[LEAT_TYPE_NAME_MAX + 2];
    memset(longest, 'n', sizeof longest);
    longest[LEAT_TYPE_NAME_MAX + 1] = 0;
    const char *const names[] = {NULL, "", "new\nline", "\x7f", longest};
    leat_region *region = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        leat_type type = {names[i], 8, 1};
        assert_leat(create_region(&region, "improper", 0, &(leat_region_options){.type = &type}),
                    LEAT_EINVAL);
    }
    assert_null(region);
    skip_without_attributes();
    longest[LEAT_TYPE_NAME_MAX] = 0;
    /* the longest note there is; no region is that large */
    leat_type type = {longest, UINT64_MAX, UINT32_MAX};
    assert_leat(create_region(&region, "long", 4096, &(leat_region_options){.type = &type}),
                LEAT_EINVAL);
    type.size = 8;
    assert_ok(create_region(&region, "long", 4096, &(leat_region_options){.type = &type}));
    leat_type found;
    assert_ok(region_type(region, &found));
    assert_string_equal(found.name, longest);
    assert_ok(stat_region_type("long", LEAT_LOCAL, &found));
    assert_string_equal(found.name, longest);
    assert_true(found.version == UINT32_MAX);
    leat_region_close(region);
}

/* Opening what killed processes left behind would remove it. */
static void type_is_read_without_opening_the_region(void **state) {
    (void)state;
    skip_without_attributes();
    leat_region *region;
    leat_sender *sender;
    leat_type type = {0};
    leat_region_options kept = {.type = &frame, .persistent = true};
    assert_leat(stat_region_type("kept", LEAT_LOCAL, &type), LEAT_ENOENT);
    assert_ok(create_region(&region, "kept", 0, &kept));
    leat_region_close(region);
    assert_ok(stat_region_type("kept", LEAT_LOCAL, &type));
    assert_string_equal(type.name, frame.name);
    assert_true(type.size == frame.size && type.version == frame.version);
    assert_leat(leat_region_stat("kept", LEAT_LOCAL, NULL), LEAT_EINVAL);
    assert_ok(leat_unlink("kept", LEAT_LOCAL));
    assert_ok(create_region(&region, "plain", 0, NULL));
    assert_ok(stat_region_type("plain", LEAT_LOCAL, &type));
    assert_null(type.name);
    leat_region_close(region);
    assert_ok(leat_sender_open(&sender, "channel", NULL));
    assert_leat(stat_region_type("channel", LEAT_LOCAL, &type), LEAT_EKIND);
    leat_sender_close(sender);
}

/* Any user that may write to the file can write the note: it is untrusted. */
static void note_that_leat_did_not_write_is_corrupt(void **state) {
    (void)state;
    skip_without_attributes();
    static const char *const notes[] = {"",
                                        "x",
                                        "leat1",
                                        "leat1 3 64",
                                        "leat1 3 64 ",
                                        "leat2 3 64 name",
                                        "leat1 -3x 64 name",
                                        "leat1 3 64 na\nme",
                                        "leat1 99999999999 64 name"};
    leat_region *region, *other = NULL;
    leat_type type = {"untouched", 0, 0};
    assert_ok(create_region(&region, "noted", 64, NULL));
    for (size_t i = 0; i < sizeof notes / sizeof notes[0]; i++) {
        assert_int_equal(note_of("noted", notes[i]), 0);
        assert_leat(open_region(&other, "noted", 0, &typed), LEAT_ECORRUPT);
        assert_leat(region_type(region, &type), LEAT_ECORRUPT);
        assert_leat(stat_region_type("noted", LEAT_LOCAL, &type), LEAT_ECORRUPT);
        assert_string_equal(type.name, "untouched");
    }
    char endless[2000];
    memset(endless, 'e', sizeof endless - 1);
    endless[sizeof endless - 1] = 0;
    assert_int_equal(note_of("noted", endless), 0);
    assert_leat(open_region(&other, "noted", 0, &typed), LEAT_ECORRUPT);
    assert_null(other);
    leat_region_close(region);
}

static void name_of_a_type_comes_back_byte_for_byte(void **state) {
    (void)state;
    skip_without_attributes();
    char longest[LEAT_TYPE_NAME_MAX + 1] = "";
    memset(longest, 'x', LEAT_TYPE_NAME_MAX);
    const char *const names[] = {" frame", "  frame", "frame ",   " ",        "   ",
                                 "a b",    "7",       " 7",       "-1",       "a'b",
                                 "%s%n",   "\x80",    "\xc3\xa4", "\xff\xfe", longest};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        leat_type type = {names[i], UINT64_C(4096), UINT32_MAX}, back, read;
        leat_region_options options = {.type = &type};
        leat_region *region, *second;
        assert_ok(create_region(&region, "exact", 0, &options));
        assert_ok(open_region(&second, "exact", 0, &options));
        assert_ok(region_type(second, &back));
        assert_string_equal(back.name, names[i]);
        assert_ok(stat_region_type("exact", LEAT_LOCAL, &read));
        assert_string_equal(read.name, names[i]);
        leat_region_close(second);
        leat_region_close(region);
    }
}

static void names_of_types_that_differ_in_a_blank_are_different(void **state) {
    (void)state;
    skip_without_attributes();
    static const char *const others[] = {" frame", "frame ", "frame  ", "fr ame"};
    leat_type type = {"frame", 8, 1}, other = type;
    leat_region_options options = {.type = &type}, wanted = {.type = &other};
    leat_region *region, *second = NULL;
    assert_ok(create_region(&region, "blank", 0, &options));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        other.name = others[i];
        assert_leat(open_region(&second, "blank", 0, &wanted), LEAT_ETYPE);
    }
    assert_null(second);
    leat_region_close(region);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(type_is_recorded_and_found_again),
        HARNESS_TEST(type_that_differs_is_refused_and_both_are_reported),
        HARNESS_TEST(type_travels_with_the_memory),
        HARNESS_TEST(persistent_region_keeps_its_type),
        HARNESS_TEST(region_holds_at_least_one_of_its_type),
        HARNESS_TEST(type_must_have_a_proper_name),
        HARNESS_TEST(type_is_read_without_opening_the_region),
        HARNESS_TEST(name_of_a_type_comes_back_byte_for_byte),
        HARNESS_TEST(names_of_types_that_differ_in_a_blank_are_different),
        HARNESS_TEST(note_that_leat_did_not_write_is_corrupt),
    };
    return HARNESS_MAIN("region_types", tests);
}
