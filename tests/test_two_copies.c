/* test_two_copies.c - a process that has two copies of the library: libleat.a linked into the
 * program, libleat.so used by a plug-in. The program exports the static copy's functions, as the
 * linker does for all that a library on its command line could want, so that the dynamic linker
 * could bind calls of the shared copy to the static one. Each copy keeps to itself all the same. */
#include <signal.h>

#include "handles.h"
#include "harness.h"
#include "two_copies.h"

static leat_region *own, *plugins;

static bool signals_are_open(void) {
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    return sigisemptyset(&now);
}

/* Its signals are the parent's, and it has neither region. */
static int child(void *context) {
    (void)context;
    if (!signals_are_open())
        return 1;
    if (leat_region_grow(own, 8192) != LEAT_EFORKED || plugin_grow(plugins) != LEAT_EFORKED)
        return 2;
    leat_region_close(own);
    plugin_close(plugins);
    return 0;
}

static void fork_leaves_both_copies_whole(void **state) {
    (void)state;
    assert_ok(create_region(&own, "r", 4096, NULL));
    assert_ok(plugin_open(&plugins, "r", 4096));
    *(int *)leat_region_data(own) = 7;
    assert_int_equal(*(int *)plugin_data(plugins), 7);
    for (int i = 0; i < 3; i++) {
        harness_wait_exit(harness_spawn(child, NULL), 0);
        assert_true(signals_are_open());
    }
    assert_int_equal(*(int *)plugin_data(plugins), 7);
    leat_region_close(own);
    plugin_close(plugins);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(fork_leaves_both_copies_whole),
    };
    return HARNESS_MAIN("two_copies", tests);
}
