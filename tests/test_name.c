/* test_name.c - names and the file names that stand for them: every name has one file name and
 * every file name one name (shown exhaustively for short ones made of the awkward characters), most
 * names are their own file name, and the limits of length hold. The last tests say the same through
 * the public interface. */
#include "handles.h"
#include "harness.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/name.h"

static const char alphabet[] = "%25FE./a";
#define LETTERS (sizeof alphabet - 1)
#define LENGTH_MAX 6

/* Calls check for each string of 1 to LENGTH_MAX letters. */
static void for_each_string(void (*check)(const char *string)) {
    size_t total = 1;
    for (size_t length = 1; length <= LENGTH_MAX; length++) {
        total *= LETTERS;
        for (size_t number = 0; number < total; number++) {
            char string[LENGTH_MAX + 1] = "";
            for (size_t i = 0, rest = number; i < length; i++, rest /= LETTERS)
                string[i] = alphabet[rest % LETTERS];
            check(string);
        }
    }
}

static bool can_be_a_file(const char *string) {
    return strchr(string, '/') == NULL && strcmp(string, ".") != 0 && strcmp(string, "..") != 0;
}

static void check_name(const char *name) {
    char file_name[LEAT__FILE_NAME_SIZE] = "", back[LEAT__FILE_NAME_SIZE] = "";
    int encoded = leat__name_encode(name, file_name);
    int decoded = leat__name_decode(file_name, back);
    if (encoded != LEAT_OK || decoded != LEAT_OK || !can_be_a_file(file_name) ||
        strcmp(back, name) != 0)
        harness_fail("name %s became file %s became name %s", name, file_name, back);
}

static void check_file_name(const char *file_name) {
    char name[LEAT__FILE_NAME_SIZE] = "", back[LEAT__FILE_NAME_SIZE] = "";
    if (!can_be_a_file(file_name))
        return;
    int decoded = leat__name_decode(file_name, name);
    int encoded = leat__name_encode(name, back);
    if (decoded != LEAT_OK || encoded != LEAT_OK || strcmp(back, file_name) != 0)
        harness_fail("file %s became name %s became file %s", file_name, name, back);
}

static void every_name_comes_back_from_its_file_name(void **state) {
    (void)state;
    for_each_string(check_name);
}

static void every_file_name_comes_back_from_its_name(void **state) {
    (void)state;
    for_each_string(check_file_name);
}

static void the_two_dots_written_as_escapes_come_back_too(void **state) {
    (void)state;
    static const char *const names[] = {
        "%2E%2E", "%252E%2E", "%252E%252E", "%2E%252E", "%25252E%2E", "..%2E", "%2E.", "%2F%2F",
        "%252F",  "%25252F",  "%2525252F",  "../..",    "/",          "//",    "./"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        check_name(names[i]);
        check_file_name(names[i]);
    }
}

/* CE-08. */
static void an_ordinary_name_is_its_own_file_name(void **state) {
    (void)state;
    static const char *const names[] = {
        "telemetry", "a b", "100%", "%",       "%%", "%2",          "%20",      "%2e", "%2f",
        ".hidden",   "a.",  "...",  "Ünïcödé", "\n", "back\\slash", "\xff\x01", "CON", "psm_1234"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char file_name[LEAT__FILE_NAME_SIZE];
        assert_ok(leat__name_encode(names[i], file_name));
        assert_string_equal(file_name, names[i]);
    }
}

static void what_cannot_be_a_file_name_is_escaped(void **state) {
    (void)state;
    static const char *const pairs[][2] = {{"/", "%2F"},     {"a/b", "a%2Fb"}, {".", "%2E"},
                                           {"..", "%2E%2E"}, {"%2F", "%252F"}, {"%2E", "%252E"}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char file_name[LEAT__FILE_NAME_SIZE];
        assert_ok(leat__name_encode(pairs[i][0], file_name));
        assert_string_equal(file_name, pairs[i][1]);
    }
}

/* CE-09, RT-05, W32-N8. */
static void the_limit_is_255_bytes_after_encoding(void **state) {
    (void)state;
    char name[400], file_name[LEAT__FILE_NAME_SIZE];
    memset(name, 'x', sizeof name);
    name[255] = '\0';
    assert_ok(leat__name_encode(name, file_name));
    check_name(name);
    name[0] = '/';
    assert_leat(leat__name_encode(name, file_name), LEAT_ENAME);
    name[253] = '\0';
    assert_ok(leat__name_encode(name, file_name));
    assert_int_equal(strlen(file_name), 255);
    check_name(name);
    memset(name, 'x', sizeof name);
    name[256] = '\0';
    assert_leat(leat__name_encode(name, file_name), LEAT_ENAME);
    assert_leat(leat__name_encode("", file_name), LEAT_ENAME);
}

/* --- Through the public interface ------------------------------------------------------------- */

static int note_name(const leat_object_info *info, void *context) {
    strcpy(context, info->name);
    return 0;
}

static void an_object_is_listed_under_the_name_it_was_given(void **state) {
    (void)state;
    char longest[256];
    memset(longest, 'n', 255);
    longest[255] = '\0';
    const char *const names[] = {"a",   "two\nlines", "a/b/c",    ".", "..",  "%2F",  "%2E",
                                 "%25", " ",          "\xff\xfe", "~", "-rf", longest};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        leat_region *region;
        leat_object_info info;
        char listed[256] = "";
        assert_ok(create_region(&region, names[i], 10, NULL));
        assert_ok(leat_list(LEAT_LOCAL, note_name, listed));
        assert_string_equal(listed, names[i]);
        assert_ok(leat_stat(names[i], LEAT_LOCAL, &info));
        assert_string_equal(info.name, names[i]);
        leat_region_close(region);
        assert_leat(leat_stat(names[i], LEAT_LOCAL, &info), LEAT_ENOENT);
    }
}

/* GD-10, GD-30. */
static void a_name_that_is_empty_or_too_long_is_refused_everywhere(void **state) {
    (void)state;
    char long_name[301];
    memset(long_name, 'n', 300);
    long_name[300] = '\0';
    const char *const names[] = {"", long_name, "Local\\", "Global\\"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        leat_region *region;
        leat_sender *sender;
        leat_receiver *receiver;
        leat_object_info info;
        leat_channel_info channel;
        assert_leat(create_region(&region, names[i], 0, NULL), LEAT_ENAME);
        assert_leat(open_region(&region, names[i], 0, NULL), LEAT_ENAME);
        assert_leat(open_or_create_region(&region, names[i], 0, NULL), LEAT_ENAME);
        assert_leat(leat_sender_open(&sender, names[i], NULL), LEAT_ENAME);
        assert_leat(leat_receiver_open(&receiver, names[i], NULL), LEAT_ENAME);
        assert_leat(leat_stat(names[i], LEAT_LOCAL, &info), LEAT_ENAME);
        assert_leat(leat_unlink(names[i], LEAT_LOCAL), LEAT_ENAME);
        assert_leat(leat_channel_stat(names[i], LEAT_LOCAL, &channel), LEAT_ENAME);
    }
}

/* CE-08, W32-N6. */
static void a_prefix_chooses_the_scope_whatever_the_options_say(void **state) {
    (void)state;
    char name[200], path[200];
    leat_region *region;
    leat_object_info info;
    snprintf(name, sizeof name, "Global\\%s", harness_global("prefix"));
    snprintf(path, sizeof path, "/dev/shm/%s", harness_global("prefix"));
    assert_ok(create_region(&region, name, 0, &(leat_region_options){.scope = LEAT_LOCAL}));
    assert_int_equal(access(path, F_OK), 0);
    assert_ok(leat_stat(harness_global("prefix"), LEAT_GLOBAL, &info));
    assert_string_equal(info.name, harness_global("prefix"));
    assert_int_equal(info.scope, LEAT_GLOBAL);
    leat_region_close(region);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_ok(
        create_region(&region, "Local\\prefix", 0, &(leat_region_options){.scope = LEAT_GLOBAL}));
    assert_ok(leat_stat("prefix", LEAT_LOCAL, &info));
    assert_int_equal(info.scope, LEAT_LOCAL);
    leat_region_close(region);
}

/* W32-N6. */
static void prefixes_are_case_sensitive_and_taken_off_once(void **state) {
    (void)state;
    static const char *const pairs[][2] = {
        {"local\\x", "local\\x"}, {"Local\\Local\\x", "Local\\x"}, {"Localx", "Localx"}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        leat_region *region;
        char listed[256] = "";
        assert_ok(create_region(&region, pairs[i][0], 0, NULL));
        assert_ok(leat_list(LEAT_LOCAL, note_name, listed));
        assert_string_equal(listed, pairs[i][1]);
        leat_region_close(region);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(every_name_comes_back_from_its_file_name),
        HARNESS_TEST(every_file_name_comes_back_from_its_name),
        HARNESS_TEST(the_two_dots_written_as_escapes_come_back_too),
        HARNESS_TEST(an_ordinary_name_is_its_own_file_name),
        HARNESS_TEST(what_cannot_be_a_file_name_is_escaped),
        HARNESS_TEST(the_limit_is_255_bytes_after_encoding),
        HARNESS_TEST(an_object_is_listed_under_the_name_it_was_given),
        HARNESS_TEST(a_name_that_is_empty_or_too_long_is_refused_everywhere),
        HARNESS_TEST(a_prefix_chooses_the_scope_whatever_the_options_say),
        HARNESS_TEST(prefixes_are_case_sensitive_and_taken_off_once),
    };
    return HARNESS_MAIN("name", tests);
}
