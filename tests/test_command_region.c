/* test_command_region.c - what the `leat` command does with regions beyond creating, reading and
 * writing them (test_command.c): types, requests about their memory, growing, and files as regions.
 * The real command runs in processes of its own. */
#include "command.h"
#include "handles.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* --- Types ------------------------------------------------------------------------------------ */

static void skip_without_types(void) {
    leat("create", "probe", "--keep", "--type", "probe:1:1");
    if (result.exit_code == 1 && strstr(result.err, "LEAT_ENOTSUP") != NULL) {
        print_message("no extended attributes here (Linux before 6.6): skipped\n");
        skip();
    }
    leat("rm", "probe");
    expect(0, "", "");
}

static void type_is_recorded_shown_and_checked(void **state) {
    (void)state;
    skip_without_types();
    leat_region *region = NULL;
    leat_type right = {"telemetry:frame", 256, 3}, wrong = {"telemetry:frame", 256, 4};
    leat("create", "typed", "--keep", "--type", "telemetry:frame:256:3");
    expect(0, "created persistent local region 'typed' of 256 bytes\n", ""); /* the type's size */
    assert_leat(open_region(&region, "typed", 0, &(leat_region_options){.type = &wrong}),
                LEAT_ETYPE);
    assert_ok(open_region(&region, "typed", 0, &(leat_region_options){.type = &right}));
    leat_region_close(region);
    leat("info", "typed");
    expect(0, "type         'telemetry:frame', version 3, of 256 bytes\n", "");
    leat("info", "typed", "--json");
    json_t *info = parsed();
    const json_t *type = json_object_get(info, "type");
    assert_string_equal(text_of(type, "name"), "telemetry:frame");
    assert_int_equal(number_of(type, "size_bytes"), 256);
    assert_int_equal(number_of(type, "version"), 3);
    json_decref(info);
    char path[4200];
    snprintf(path, sizeof path, "%s/typed", harness_directory());
    assert_int_equal(setxattr(path, "user.leat.type", "garbage", 7, 0), 0);
    leat("info", "typed"); /* what can be shown is */
    expect(1, "size         256 bytes", "object 'typed': ");
    expect(1, "", "LEAT_ECORRUPT");
    leat("rm", "typed");
    leat("create", "x", "100", "--keep", "--type", "x:101:1");
    expect_failure(1, "a region of 100 bytes, and a type of 101");
    assert_int_equal(harness_names_left(), 0);
}

static void region_without_a_type_shows_none(void **state) {
    (void)state;
    leat("create", "plain", "--keep", "--json");
    json_t *object = parsed();
    assert_true(json_is_null(json_object_get(object, "type")));
    assert_true(json_is_null(json_object_get(object, "memory")));
    json_decref(object);
    leat("info", "plain");
    expect(0, "persistent", "");
    assert_null(strstr(result.out, "type"));
    leat("info", "plain", "--json");
    object = parsed();
    assert_true(json_is_null(json_object_get(object, "type")));
    json_decref(object);
    leat("rm", "plain");
}

static void wrong_types_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "", "a", "a:1", ":1:1", "a:1:", "a::1", "a:x:1", "a:1:x", "a:1:4294967296", "a:1:-1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char wanted[64];
        leat("create", "r", "--keep", "--type", bad[i]);
        snprintf(wanted, sizeof wanted, "--type: '%s' is not NAME:SIZE:VERSION", bad[i]);
        expect_failure(2, wanted);
    }
    char name[200];
    memset(name, 'n', sizeof name);
    strcpy(name + 128, ":1:1"); /* one byte too long */
    leat("create", "r", "--keep", "--type", name);
    expect_failure(2, "--type");
    leat("create", "r", "--keep", "--type", "a\nb:1:1");
    expect_failure(1, "control character");
    assert_int_equal(harness_names_left(), 0);
}

/* --- Memory ----------------------------------------------------------------------------------- */

static void outcome_of_memory_requests_is_reported(void **state) {
    (void)state;
    int out;
    pid_t holder = harness_start_command(
        HARNESS_ARGV(leat_program(), "create", "m", "64K", "--prefault", "--huge", "--json"), NULL,
        &out, NULL);
    char *text = harness_read_until(out, "\n}\n");
    json_t *object = json_loads(text, 0, NULL);
    const json_t *memory = json_object_get(object, "memory");
    assert_true(json_is_true(json_object_get(json_object_get(memory, "prefault"), "done")));
    assert_true(json_is_null(json_object_get(json_object_get(memory, "prefault"), "error")));
    /* no huge page fits into 64 KiB */
    assert_true(json_is_false(json_object_get(json_object_get(memory, "huge"), "done")));
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(memory, "huge"), "error")),
        "LEAT_ERANGE");
    assert_true(json_is_null(json_object_get(memory, "lock"))); /* not asked for */
    assert_int_equal(json_integer_value(json_object_get(memory, "resident_bytes")), 65536);
    assert_int_equal(json_integer_value(json_object_get(memory, "present_bytes")), 65536);
    assert_int_equal(json_integer_value(json_object_get(memory, "huge_bytes")), 0);
    json_decref(object);
    kill(holder, SIGTERM);
    harness_wait_exit(holder, 0);
    close(out);
    leat("create", "m", "64K", "--keep", "--prefault", "--huge");
    expect(0, "\n  huge         refused: ", "");
    expect(0, "(LEAT_ERANGE)", "");
    expect(0,
           "\n  prefault     done\n  now          64.0 KiB in memory, 64.0 KiB mapped here, 0 B "
           "locked, 0 B in huge pages\n",
           "");
    leat("rm", "m");
    leat("create", "m", "--keep", "--lock");
    expect_failure(2, "--keep: it excludes --lock");
    assert_int_equal(harness_names_left(), 0);
}

/* Root may lock what it likes, unless it gives up that right. */
static void refused_lock_fails_nothing(void **state) {
    (void)state;
    bool root = geteuid() == 0;
    if (system("ulimit -l 0") != 0 ||
        (root && system("setpriv --bounding-set -ipc_lock true >/dev/null 2>&1") != 0))
        skip();
    const char *script = root ? "ulimit -l 0; exec setpriv --bounding-set -ipc_lock \"$@\""
                              : "ulimit -l 0; exec \"$@\"";
    int out;
    pid_t holder = harness_start_command(
        HARNESS_ARGV("sh", "-c", script, "sh", leat_program(), "create", "m", "64K", "--lock"),
        NULL, &out, NULL);
    const char *text = harness_read_until(out, "in huge pages\n");
    assert_non_null(
        strstr(text, "created local region 'm' of 65,536 bytes\n  lock         refused: "));
    assert_non_null(strstr(text, "(LEAT_ELIMIT)"));
    assert_non_null(strstr(text, "RLIMIT_MEMLOCK"));
    assert_non_null(strstr(text, " 0 B locked, "));
    kill(holder, SIGTERM);
    harness_wait_exit(holder, 0);
    close(out);
    assert_int_equal(harness_names_left(), 0);
}

/* --- Growing ---------------------------------------------------------------------------------- */

static void grow_reports_the_size_before_and_after(void **state) {
    (void)state;
    run_shell("printf abc | \"$1\" write g --create 4K");
    leat("grow", "g", "64K");
    expect(0, "region 'g' grew from 4,096 to 65,536 bytes\n", "");
    leat("grow", "g", "10");
    expect(0, "region 'g' has 65,536 bytes already\n", "");
    leat("grow", "g", "100000", "--json");
    json_t *object = parsed();
    assert_string_equal(text_of(object, "name"), "g");
    assert_int_equal(number_of(object, "previous_size_bytes"), 65536);
    assert_int_equal(number_of(object, "size_bytes"), 100000);
    json_decref(object);
    leat("read", "g");
    assert_int_equal(result.out_size, 100000);
    assert_memory_equal(result.out, "abc\0", 4);
    leat("grow", "g", "1000T");
    expect_failure(1, "LEAT_ENOSPC");
    leat("info", "g");
    expect(0, "size         100,000 bytes", "");
    leat("rm", "g");
    leat("grow", "g", "1M");
    expect_failure(3, "Create it first");
    leat("grow", "g");
    expect_failure(2, "SIZE");
    leat("grow", "g", "0");
    expect_failure(2, "'0'");
    leat("grow", "g", "1", "--file", "--global");
    expect_failure(2, "exclude");
    assert_int_equal(harness_names_left(), 0);
}

static void open_handles_stay_valid_while_a_region_grows(void **state) {
    (void)state;
    leat_region *region;
    assert_ok(create_region(&region, "g", 4096, NULL));
    leat("grow", "g", "8K");
    expect(0, "from 4,096 to 8,192", "");
    assert_int_equal(leat_region_size(region), 4096);
    assert_ok(leat_region_refresh(region));
    assert_int_equal(leat_region_size(region), 8192);
    leat_region_close(region);
}

/* --- Files ------------------------------------------------------------------------------------ */

#define write_file(path, text, ...)                                                                \
    harness_run_command(&result,                                                                   \
                        HARNESS_ARGV(leat_program(), "write", "--file", path, __VA_ARGS__), text,  \
                        strlen(text))

static void files_are_read_and_written_by_their_path(void **state) {
    (void)state;
    char directory[] = "/tmp/leat-files-XXXXXX", path[64];
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/board", directory);
    leat("read", path, "--file");
    expect_failure(3, "file '/tmp/leat-files-");
    assert_non_null(strstr(result.err, "write --file --create SIZE"));
    write_file(path, "abc", "--create", "10", "--permissions", "640");
    expect(0, "", "");
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, 10);
    assert_int_equal(status.st_mode & 0777, 0640);
    write_file(path, "xyz", "--create", "100", "--offset", "8");
    expect_failure(1, "longer than the 2 bytes"); /* one that is there stays as it is */
    write_file(path, "xyz", "--create", "20", "--grow", "--offset", "8");
    expect(0, "", "");
    leat("read", path, "--file");
    assert_int_equal(result.out_size, 20);
    assert_memory_equal(result.out, "abc\0\0\0\0\0xyz\0", 12);
    leat("grow", path, "30", "--file");
    expect(0, "' grew from 20 to 30 bytes\n", "");
    assert_int_equal(truncate(path, 0), 0);
    leat("read", path, "--file");
    expect_failure(1, "An empty file");
    leat("grow", "--file", path, "5");
    expect(0, "' grew from 0 to 5 bytes\n", "");
    leat("write", path, "--file", "--grow");
    expect_failure(2, "--grow: it needs --create");
    leat("read", path, "--file", "--global");
    expect_failure(2, "exclude");
    leat("read", directory, "--file");
    expect_failure(1, "LEAT_EKIND");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0);
    assert_int_equal(harness_names_left(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(type_is_recorded_shown_and_checked),
        HARNESS_TEST(region_without_a_type_shows_none),
        HARNESS_TEST(wrong_types_are_refused),
        HARNESS_TEST(outcome_of_memory_requests_is_reported),
        HARNESS_TEST(refused_lock_fails_nothing),
        HARNESS_TEST(grow_reports_the_size_before_and_after),
        HARNESS_TEST(open_handles_stay_valid_while_a_region_grows),
        HARNESS_TEST(files_are_read_and_written_by_their_path),
    };
    return HARNESS_MAIN("command_region", tests);
}
