/* test_command_users.c - the users of an object, as `leat ls` and `leat info` show them: how many
 * handles are open, and which processes have its file open or mapped. The real command inspects
 * real processes. */
#include "command.h"
#include "handles.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static pid_t holder_of(const char *name, int *out) {
    pid_t holder =
        harness_start_command(HARNESS_ARGV(leat_program(), "create", name, "8K"), NULL, out, NULL);
    harness_read_until(*out, "created");
    return holder;
}

/* Of the object in the last output of `leat info --json`; -1 when the number is not known. */
static long long users_of(const char *name) {
    leat("info", name, "--json");
    json_t *info = parsed();
    const json_t *users = json_object_get(info, "users");
    long long count = json_is_null(users) ? -1 : number_of(info, "users");
    assert_int_equal(truth_of(info, "in_use"), count != 0);
    json_decref(info);
    return count;
}

/* The entry of a process, a new reference; NULL when it is not listed. */
static json_t *entry_of(const json_t *info, pid_t pid) {
    const json_t *processes = json_object_get(info, "processes");
    assert_true(json_is_array(processes));
    for (size_t i = 0; i < json_array_size(processes); i++)
        if (number_of(json_array_get(processes, i), "process") == pid)
            return json_incref(json_array_get(processes, i));
    return NULL;
}

static void objects_of_every_kind_report_their_users(void **state) {
    (void)state;
    leat_region *regions[3];
    leat_sender *sender;
    leat_receiver *receiver;
    leat_mutex *mutex;
    leat_event *events[2];
    leat_semaphore *semaphore;
    for (int i = 0; i < 3; i++)
        assert_ok(open_or_create_region(&regions[i], "r", 0, NULL));
    assert_ok(leat_sender_open(&sender, "c", NULL));
    assert_ok(leat_receiver_open(&receiver, "c", NULL));
    assert_ok(leat_mutex_open(&mutex, "m", NULL));
    for (int i = 0; i < 2; i++)
        assert_ok(leat_event_open(&events[i], "e", NULL));
    assert_ok(leat_semaphore_open(&semaphore, "s", 0, 1, NULL));
    assert_int_equal(users_of("r"), 3);
    assert_int_equal(users_of("c"), 2);
    assert_int_equal(users_of("m"), 1);
    assert_int_equal(users_of("e"), 2);
    assert_int_equal(users_of("s"), 1);
    leat("ls", "--local", "--json");
    json_t *list = parsed();
    static const long long wanted[] = {2, 2, 1, 3, 1}; /* c e m r s */
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(number_of(json_array_get(list, i), "users"), wanted[i]);
    json_decref(list);
    leat("ls", "--local");
    expect(0, "KIND      SCOPE          SIZE USERS LIFE      OWNER", "");
    expect(0, "region    local          4096     3 used    ", "");
    for (int i = 0; i < 3; i++)
        leat_region_close(regions[i]);
    leat_sender_close(sender);
    leat_receiver_close(receiver);
    leat_mutex_close(mutex);
    for (int i = 0; i < 2; i++)
        leat_event_close(events[i]);
    leat_semaphore_close(semaphore);
}

static void killed_processes_are_no_users_and_kept_objects_need_none(void **state) {
    (void)state;
    leat_region *region;
    int out;
    pid_t holder = holder_of("r", &out);
    assert_int_equal(users_of("r"), 1);
    assert_ok(open_region(&region, "r", 0, NULL));
    assert_int_equal(users_of("r"), 2);
    leat("info", "r");
    expect(0, "\n  users        2\n", "");
    harness_kill(holder);
    close(out);
    assert_int_equal(users_of("r"), 1);
    leat_region_close(region);
    assert_int_equal(harness_names_left(), 0);

    leat("create", "kept", "8K", "--keep");
    assert_int_equal(users_of("kept"), 0);
    leat("info", "kept");
    expect(0, "\n  users        none\n", "");
    leat("ls", "--local");
    expect(0, "8192     0 kept    ", "");
    leat("rm", "kept");
    holder = holder_of("left", &out);
    harness_kill(holder);
    close(out);
    leat("ls", "--local");
    expect(0, "8192     0 over    ", "");
    leat("gc", "--local");
    assert_int_equal(harness_names_left(), 0);
}

/* Own process, another one, and one that has a view and no handle. */
static void info_lists_the_processes(void **state) {
    (void)state;
    leat_region *region;
    int out;
    pid_t holder = holder_of("r", &out);
    assert_ok(open_region(&region, "r", 0, NULL));
    leat("info", "r", "--json");
    json_t *info = parsed(), *own = entry_of(info, getpid()), *other = entry_of(info, holder);
    assert_int_equal(json_array_size(json_object_get(info, "processes")), 2);
    assert_int_equal(number_of(own, "descriptors"), 1);
    assert_true(truth_of(own, "mapped"));
    assert_string_equal(text_of(other, "command"), "leat");
    assert_int_equal(number_of(other, "descriptors"), 1);
    assert_true(truth_of(other, "mapped"));
    json_decref(own);
    json_decref(other);
    json_decref(info);
    char line[64];
    snprintf(line, sizeof line, "%d (leat): 1 descriptor, mapped\n", (int)holder);
    leat("info", "r");
    expect(0, line, "");

    void *view = leat_region_detach_view(region);
    leat_region_close(region);
    leat("info", "r", "--json");
    info = parsed();
    own = entry_of(info, getpid());
    assert_int_equal(number_of(info, "users"), 1);
    assert_int_equal(number_of(own, "descriptors"), 0);
    assert_true(truth_of(own, "mapped"));
    json_decref(own);
    json_decref(info);
    assert_ok(leat_view_unmap(view));
    kill(holder, SIGTERM);
    harness_wait_exit(holder, 0);
    close(out);
}

/* The count needs no right to inspect the processes; the list of processes does. */
static void process_that_may_not_be_inspected_is_reported(void **state) {
    (void)state;
    if (geteuid() != 0 ||
        system("setpriv --reuid=65534 --clear-groups true >/dev/null 2>&1") != 0) {
        print_message("becoming another user takes root and setpriv: skipped\n");
        skip();
    }
    const char *name = harness_global("shown");
    leat_region *region;
    leat_region_options options = {.scope = LEAT_GLOBAL, .permissions = 0644};
    assert_ok(create_region(&region, name, 0, &options));
    char *program = realpath(leat_program(), NULL), script[1200];
    snprintf(script, sizeof script,
             "exec setpriv --reuid=65534 --clear-groups '%s' info --global '%s' \"$@\"", program,
             name);
    harness_run_command(&result, HARNESS_ARGV("sh", "-c", script, "sh", "--json"), NULL, 0);
    if (result.exit_code == 126 || result.exit_code == 127)
        result.exit_code = 77; /* the build is out of the other user's reach */
    else {
        json_t *info = parsed();
        assert_int_equal(number_of(info, "users"), 1);
        assert_int_equal(json_array_size(json_object_get(info, "processes")), 0);
        assert_true(number_of(info, "processes_denied") > 0);
        json_decref(info);
        harness_run_command(&result, HARNESS_ARGV("sh", "-c", script, "sh"), NULL, 0);
        expect(0, "perhaps more: ", "");
    }
    free(program);
    leat_region_close(region);
    if (result.exit_code == 77)
        skip();
}

/* A handle of a process in a list of processes of its own is counted, and said to be out of
 * sight. */
static void users_that_proc_does_not_show_are_reported(void **state) {
    (void)state;
    if (system("unshare --pid --fork --mount-proc true >/dev/null 2>&1") != 0) {
        print_message("a list of processes of its own is not to be had: skipped\n");
        skip();
    }
    leat_region *region;
    assert_ok(create_region(&region, "r", 0, NULL));
    run_shell("exec unshare --pid --fork --mount-proc \"$1\" info r");
    expect(0, "\n  users        1\n", "");
    expect(0, "out of sight", "");
    leat_region_close(region);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(objects_of_every_kind_report_their_users),
        HARNESS_TEST(killed_processes_are_no_users_and_kept_objects_need_none),
        HARNESS_TEST(info_lists_the_processes),
        HARNESS_TEST(process_that_may_not_be_inspected_is_reported),
        HARNESS_TEST(users_that_proc_does_not_show_are_reported),
    };
    return HARNESS_MAIN("command_users", tests);
}
