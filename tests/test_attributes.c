/* test_attributes.c - the attribute that marks a temporary file, where the system fails to read it.
 * An error does not mean "no attribute": an object that killed processes left is not taken for
 * alive, and a file of another program is not removed. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "channel_pair.h"
#include "handles.h"

/* From now on this process gets the error for fgetxattr. */
static void refuse(int error) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fgetxattr, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
    assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static const int errors[] = {EIO, ENOMEM, EPERM};

#define ERRORS (sizeof errors / sizeof errors[0])

static void path_of(const char *name, char path[300]) {
    snprintf(path, 300, "%s/%s", harness_directory(), name);
}

static bool has_attributes(void) {
    leat_region *region;
    char path[300];
    path_of("probe", path);
    assert_ok(create_region(&region, "probe", 100, NULL));
    bool has = getxattr(path, "user.leat.temporary", NULL, 0) >= 0;
    leat_region_close(region);
    return has;
}

/* --- Objects that killed processes left ------------------------------------------------------- */

static int leave_behind(void *context) {
    leat_region *region;
    leat_sender *sender = open_sender("channel", NULL);
    (void)context;
    assert_ok(leat_send(sender, "old", 4, LEAT_NOW));
    assert_ok(create_region(&region, "region", 4096, NULL));
    _exit(0);
}

static int use_in_vain(void *context) {
    leat_receiver *receiver = NULL;
    leat_region *region = NULL;
    leat_object_info info;
    refuse(*(const int *)context);
    assert_int_not_equal(leat_receiver_open(&receiver, "channel", NULL), LEAT_OK);
    assert_int_not_equal(leat_error_cause(leat_error_last())[0], 0);
    assert_int_not_equal(open_region(&region, "region", 0, NULL), LEAT_OK);
    assert_int_not_equal(open_or_create_region(&region, "region", 100, NULL), LEAT_OK);
    assert_int_not_equal(leat_stat("region", LEAT_LOCAL, &info), LEAT_OK);
    assert_null(receiver);
    assert_null(region);
    return 0;
}

/* chmod clears the sticky bit, which also marks the file. */
static void what_killed_processes_left_is_not_alive_because_the_mark_cannot_be_read(void **state) {
    (void)state;
    char path[300];
    leat_region *region;
    if (!has_attributes())
        skip();
    for (size_t i = 0; i < 2 * ERRORS; i++) {
        int error = errors[i % ERRORS];
        harness_wait_ok(harness_spawn(leave_behind, NULL));
        path_of("channel", path);
        if (i < ERRORS)
            assert_int_equal(chmod(path, 0600), 0);
        path_of("region", path);
        if (i < ERRORS)
            assert_int_equal(chmod(path, 0600), 0);
        harness_wait_ok(harness_spawn(use_in_vain, &error));
        leat_receiver *receiver = open_receiver("channel", NULL);
        assert_true(receiver_created(receiver));
        leat_receiver_close(receiver);
        assert_leat(open_region(&region, "region", 0, NULL), LEAT_ENOENT);
        assert_int_equal(harness_names_left(), 0);
    }
}

/* --- Files of another program ----------------------------------------------------------------- */

static int collect_in_vain(void *context) {
    leat_region *region = NULL;
    refuse(*(const int *)context);
    (void)!leat_gc(LEAT_LOCAL, NULL, NULL);
    assert_int_not_equal(open_region(&region, "foreign", 0, NULL), LEAT_OK);
    return 0;
}

static void file_of_another_program_is_not_removed_because_the_mark_cannot_be_read(void **state) {
    (void)state;
    char path[300];
    leat_region *region;
    if (!has_attributes())
        skip();
    path_of("foreign", path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fputs("content", file), 1);
    fclose(file);
    assert_int_equal(chmod(path, 01600), 0);
    for (size_t i = 0; i < ERRORS; i++) {
        int error = errors[i];
        harness_wait_ok(harness_spawn(collect_in_vain, &error));
    }
    assert_ok(open_region(&region, "foreign", 0, NULL));
    assert_memory_equal(leat_region_data(region), "content", 7);
    leat_region_close(region);
    assert_int_equal(unlink(path), 0);
}

/* --- Where there are no attributes ------------------------------------------------------------ */

static int live_without(void *context) {
    leat_region *region;
    refuse(*(const int *)context);
    assert_leat(open_region(&region, "region", 0, NULL), LEAT_ENOENT);
    assert_ok(create_region(&region, "region", 4096, NULL));
    leat_region_close(region);
    assert_ok(leat_gc(LEAT_LOCAL, NULL, NULL));
    return 0;
}

static void sticky_bit_has_to_do_where_there_are_no_attributes(void **state) {
    (void)state;
    static int none[] = {EOPNOTSUPP, ENOSYS};
    for (size_t i = 0; i < 2; i++) {
        harness_wait_ok(harness_spawn(leave_behind, NULL));
        harness_wait_ok(harness_spawn(live_without, &none[i]));
        assert_int_equal(harness_names_left(), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(what_killed_processes_left_is_not_alive_because_the_mark_cannot_be_read),
        HARNESS_TEST(file_of_another_program_is_not_removed_because_the_mark_cannot_be_read),
        HARNESS_TEST(sticky_bit_has_to_do_where_there_are_no_attributes),
    };
    return HARNESS_MAIN("attributes", tests);
}
