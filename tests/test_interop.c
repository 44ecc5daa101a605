/* test_interop.c - programs that know nothing of leat share Global regions with it, in both
 * directions: Python's multiprocessing.shared_memory (interop_python.py) and plain shm_open and
 * mmap (interop_shm.c). A region is a POSIX shared memory object and nothing else; leat never
 * removes an object that another program made. */
#include "handles.h"
#include "harness.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const leat_region_options global = {.scope = LEAT_GLOBAL};

/* The beginning of the other program's command line; from ctest's environment. */
struct stranger {
    const char *first, *second;
};

static struct stranger python(void) {
    struct stranger stranger = {harness_program("LEAT_PYTHON", NULL),
                                harness_program("LEAT_INTEROP_PYTHON", NULL)};
    return stranger;
}

static struct stranger c_program(void) {
    struct stranger stranger = {"env", harness_program("LEAT_INTEROP_SHM", NULL)};
    return stranger;
}

/* --- leat creates ----------------------------------------------------------------------------- */

static void let_a_stranger_open(struct stranger stranger) {
    static const uint64_t sizes[] = {4096, 100, 12345};
    for (size_t i = 0; i < 3; i++) {
        leat_region *region;
        struct harness_output output;
        char wanted[100];
        const char *name = harness_global("ours");
        assert_ok(create_region(&region, name, sizes[i], &global));
        assert_ok(leat_region_write(region, 0, "from leat", 10));
        harness_run_command(&output, HARNESS_ARGV(stranger.first, stranger.second, "open", name),
                            NULL, 0);
        snprintf(wanted, sizeof wanted, "%llu: from leat\ndone\n", (unsigned long long)sizes[i]);
        assert_string_equal(output.out, wanted);
        assert_string_equal(output.err, "");
        assert_int_equal(output.exit_code, 0);
        assert_string_equal((char *)leat_region_data(region) + 64, "from a stranger");
        leat_region_close(region);
        harness_run_command(&output, HARNESS_ARGV(stranger.first, stranger.second, "open", name),
                            NULL, 0);
        assert_int_not_equal(output.exit_code, 0); /* gone with its last user */
    }
    harness_wait_adopted(); /* Python's resource tracker is a process of its own */
}

/* GD-61. */
static void python_opens_a_region_of_leat(void **state) {
    (void)state;
    let_a_stranger_open(python());
}

static void a_c_program_opens_a_region_of_leat(void **state) {
    (void)state;
    let_a_stranger_open(c_program());
}

/* --- Another program creates ------------------------------------------------------------------ */

static void open_a_strangers(struct stranger stranger) {
    leat_region *region = NULL;
    leat_object_info info;
    int in, out;
    const char *name = harness_global("theirs");
    const char *const *argv = HARNESS_ARGV(stranger.first, stranger.second, "create", name, "5000");
    pid_t pid = harness_start_command(argv, &in, &out, NULL);
    harness_read_until(out, "ready 5000\n");
    assert_leat(create_region(&region, name, 0, &global), LEAT_EEXIST);
    assert_ok(open_or_create_region(&region, name, 0, &global));
    assert_false(region_details(region).created);
    assert_int_equal(leat_region_size(region), 5000);
    assert_string_equal(leat_region_data(region), "from a stranger");
    assert_ok(leat_region_write(region, 64, "from leat", 10));
    leat_region_close(region);
    assert_ok(leat_gc(LEAT_GLOBAL, NULL, NULL));
    /* still there: leat removes nothing that it did not make */
    assert_ok(leat_stat(name, LEAT_GLOBAL, &info));
    assert_true(info.persistent && info.kind == LEAT_KIND_REGION && info.size == 5000 &&
                !info.in_use);
    assert_int_equal(write(in, "\n", 1), 1);
    assert_string_equal(harness_read_until(out, "removed\n"), "from leat\nremoved\n");
    close(in);
    close(out);
    harness_wait_ok(pid);
    harness_wait_adopted();
    assert_leat(open_region(&region, name, 0, &global), LEAT_ENOENT);
}

/* GD-61. */
static void leat_opens_a_segment_of_python(void **state) {
    (void)state;
    open_a_strangers(python());
}

static void leat_opens_an_object_of_a_c_program(void **state) {
    (void)state;
    open_a_strangers(c_program());
}

/* GD-33. */
static void an_object_that_has_no_size_yet_is_said_to_be_unfit(void **state) {
    (void)state;
    char path[100];
    leat_region *region = NULL;
    leat_receiver *receiver = NULL;
    leat_channel_options channel = {.scope = LEAT_GLOBAL};
    snprintf(path, sizeof path, "/%s", harness_global("unsized"));
    int descriptor = shm_open(path, O_CREAT | O_EXCL | O_RDWR, 0600);
    assert_true(descriptor >= 0);
    assert_leat(open_region(&region, path + 1, 0, &global), LEAT_ESIZE);
    assert_leat(open_or_create_region(&region, path + 1, 0, &global), LEAT_ESIZE);
    assert_leat(leat_receiver_open(&receiver, path + 1, &channel), LEAT_EKIND);
    assert_int_equal(ftruncate(descriptor, 10), 0);
    assert_ok(open_region(&region, path + 1, 0, &global));
    assert_int_equal(leat_region_size(region), 10);
    leat_region_close(region);
    close(descriptor);
    assert_ok(leat_unlink(path + 1, LEAT_GLOBAL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(python_opens_a_region_of_leat),
        HARNESS_TEST(a_c_program_opens_a_region_of_leat),
        HARNESS_TEST(leat_opens_a_segment_of_python),
        HARNESS_TEST(leat_opens_an_object_of_a_c_program),
        HARNESS_TEST(an_object_that_has_no_size_yet_is_said_to_be_unfit),
    };
    return HARNESS_MAIN("interop", tests);
}
