/* test_examples_log.c - docs/examples/log_files does what its first comment says: files that fill
 * up and rotate, kills, and disks that are full. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "examples.h"

/* --- log_files -------------------------------------------------------------------------------- */

static char *log_directory(void) {
    static char path[64];
    strcpy(path, "/tmp/leat-test-log-XXXXXX");
    assert_non_null(mkdtemp(path));
    return path;
}

static const char *log_file(const char *directory, unsigned number) {
    static char path[256];
    snprintf(path, sizeof path, "%s/log.%06u", directory, number);
    return path;
}

static const char *log_prefix(const char *directory) {
    static char path[128];
    snprintf(path, sizeof path, "%s/log", directory);
    return path;
}

/* What the files hold. `repeats`: how often a file began with messages that the one before had
 * too. */
struct logged {
    uint32_t next;
    unsigned files, repeats, torn;
    uint64_t largest;
};

static void read_log(const char *path, struct logged *logged) {
    FILE *file = fopen(path, "rb");
    static char body[65536];
    unsigned char length[4];
    bool first = true;
    uint64_t bytes = 0;
    while (fread(length, 1, 4, file) == 4) {
        size_t size = length[0] | (size_t)length[1] << 8 | (size_t)length[2] << 16;
        uint32_t number;
        if (fread(body, 1, size, file) < size)
            break;
        memcpy(&number, body, sizeof number);
        logged->repeats += first && number < logged->next;
        if (number != logged->next && !(first && number < logged->next))
            harness_fail("%s: message %u where %u should be", path, number, logged->next);
        logged->next = number + 1;
        bytes += 4 + size;
        first = false;
    }
    logged->torn += (uint64_t)lseek(fileno(file), 0, SEEK_END) != bytes;
    logged->largest = bytes > logged->largest ? bytes : logged->largest;
    logged->files++;
    fclose(file);
}

static struct logged read_logs(const char *directory) {
    struct logged logged = {0};
    while (access(log_file(directory, logged.files + 1), F_OK) == 0)
        read_log(log_file(directory, logged.files + 1), &logged);
    return logged;
}

static void remove_logs(const char *directory) {
    for (unsigned number = 1; unlink(log_file(directory, number)) == 0; number++)
        ;
    assert_int_equal(rmdir(directory), 0);
}

static void logs_rotate_and_end_with_the_sender(void **state) {
    (void)state;
    char *directory = log_directory();
    leat_sender *sender = open_sender("rotate", NULL);
    /* the second does not touch the first one's files */
    for (unsigned round = 0; round < 2; round++) {
        pid_t pid = start(NULL, NULL, "log_files", "--rotate", "5000", "--fsync", "--until-closed",
                          "rotate", log_prefix(directory));
        /* else the channel could end with the sender */
        assert_ok(leat_sender_wait_peer(sender, LATER));
        for (uint32_t number = 0; number < 500; number++)
            send_number(sender, number + 500 * round, number == 250 ? 20000 : 100);
        leat_sender_close(sender);
        harness_wait_ok(pid);
        sender = round == 0 ? open_sender("rotate", NULL) : NULL;
    }
    struct logged logged = read_logs(directory);
    assert_int_equal(logged.next, 1000);
    assert_true(logged.repeats == 0 && logged.torn == 0);
    assert_true(logged.files >= 23 && logged.largest == 20004);
    struct stat status;
    for (unsigned number = 1; number <= logged.files; number++) {
        assert_int_equal(stat(log_file(directory, number), &status), 0);
        assert_true(status.st_size <= 5000 || status.st_size == 20004);
    }
    remove_logs(directory);
    assert_int_equal(harness_names_left(), 0);
}

static void a_killed_logger_loses_nothing(void **state) {
    (void)state;
    char *directory = log_directory();
    struct burst burst = {"killed", 0, 300000, false};
    /* the channel is small */
    leat_sender *keeper = open_sender("killed", &(leat_channel_options){.capacity = 65536});
    leat_sender_close(keeper);
    pid_t sender = harness_spawn(send_burst, &burst);
    struct stat status;
    for (unsigned round = 1; round <= 8; round++) {
        pid_t pid = start(NULL, NULL, "log_files", "killed", log_prefix(directory));
        while (stat(log_file(directory, round), &status) != 0 || status.st_size < 20000)
            usleep(100);
        harness_kill(pid);
    }
    pid_t last = start(NULL, NULL, "log_files", "--until-closed", "killed", log_prefix(directory));
    harness_wait_ok(sender);
    harness_wait_ok(last);
    struct logged logged = read_logs(directory);
    assert_int_equal(logged.next, 300000);
    assert_int_equal(logged.files, 9);
    assert_ok(leat_gc(LEAT_LOCAL, NULL, NULL)); /* the wait sets of the killed */
    print_message("%u of 8 kills repeated messages, %u left one torn\n", logged.repeats,
                  logged.torn);
    remove_logs(directory);
}

static void set_largest_file(pid_t pid, rlim_t bytes) {
    struct rlimit limit;
    assert_int_equal(prlimit(pid, RLIMIT_FSIZE, NULL, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(prlimit(pid, RLIMIT_FSIZE, &limit, NULL), 0);
}

/* Until the channel has no room: there is no receiver. */
static void fill(leat_sender *sender, uint32_t *next) {
    char message[100] = {0};
    int result;
    do {
        memcpy(message, next, sizeof *next);
        result = leat_send(sender, message, sizeof message, leat_in_ms(200));
        *next += result == LEAT_OK;
    } while (result == LEAT_OK || result == LEAT_EPEERBACK || result == LEAT_EPEERDIED);
    assert_leat(result, LEAT_ETIMEDOUT);
}

static void a_full_disk_holds_the_sender_up_and_loses_nothing(void **state) {
    (void)state;
    char *directory = log_directory();
    uint32_t next = 0;
    int err;
    leat_sender *sender = open_sender("full", &(leat_channel_options){.capacity = 16384});
    pid_t pid = start(NULL, &err, "log_files", "--retry", "10", "full", log_prefix(directory));
    harness_read_until(err, "the sender is there");
    set_largest_file(pid, 5000);
    fill(sender, &next);
    harness_read_until(err, "cannot write to ");
    /* stopped in the middle of a message, and of a batch */
    assert_int_equal(read_logs(directory).torn, 1);
    set_largest_file(pid, RLIM_INFINITY); /* there is room again */
    for (uint32_t to = next + 1000; next < to; next++)
        send_number(sender, next, 100);
    assert_ok(leat_sender_drain(sender, LATER));
    struct logged logged = read_logs(directory);
    assert_true(logged.next == next && logged.torn == 0 && logged.repeats == 0);

    set_largest_file(pid, (rlim_t)104 * next + 50); /* full again, and now it is asked to end */
    fill(sender, &next);
    harness_read_until(err, "cannot write to ");
    kill(pid, SIGTERM);
    harness_wait_exit(pid, 1);
    close(err);
    assert_int_equal(read_logs(directory).torn, 0); /* cut back */
    pid = start(NULL, &err, "log_files", "full", log_prefix(directory));
    assert_ok(leat_sender_wait_peer(sender, LATER));
    for (int result = LEAT_EPEERBACK; result != LEAT_OK;)
        result = leat_sender_drain(sender, LATER); /* after the event */
    end_in_order(pid);
    close(err);
    leat_sender_close(sender);
    logged = read_logs(directory);
    assert_true(logged.next == next && logged.torn == 0 && logged.repeats == 0);
    remove_logs(directory);
}

static const char in_64_kilobytes[] =
    "mount -t tmpfs -o size=64k none \"$1\" || exit 77; head -c 40000 /dev/zero >\"$1/filler\"\n"
    "exec \"$2\" --retry 10 space \"$1/log\"";

/* A real file system that is full, where the system lets us mount one. */
static void a_full_file_system_is_told_and_waited_for(void **state) {
    (void)state;
    char *directory = log_directory(), inside[128], filler[160];
    struct harness_output output;
    harness_run_command(
        &output, HARNESS_ARGV("unshare", "-m", "mount", "-t", "tmpfs", "none", directory), NULL, 0);
    if (output.exit_code != 0) {
        rmdir(directory);
        print_message("no file system may be mounted here: %s", output.err);
        skip();
    }
    int err;
    uint32_t next = 0;
    leat_sender *sender = open_sender("space", &(leat_channel_options){.capacity = 8192});
    pid_t pid = harness_start_command(HARNESS_ARGV("unshare", "-m", "sh", "-c", in_64_kilobytes,
                                                   "sh", directory, example("log_files")),
                                      NULL, NULL, &err);
    harness_read_until(err, "the sender is there");
    fill(sender, &next);
    harness_read_until(err, "no space left on device; make room");
    snprintf(inside, sizeof inside, "/proc/%d/root%s", (int)pid, directory);
    snprintf(filler, sizeof filler, "%s/filler", inside);
    assert_int_equal(unlink(filler), 0);
    for (uint32_t to = next + 100; next < to; next++)
        send_number(sender, next, 100);
    assert_ok(leat_sender_drain(sender, LATER));
    struct logged logged = read_logs(inside);
    assert_true(logged.next == next && logged.torn == 0 && logged.repeats == 0);
    end_in_order(pid);
    close(err);
    leat_sender_close(sender);
    assert_int_equal(rmdir(directory), 0);
}

static void a_logger_says_what_is_wrong(void **state) {
    (void)state;
    expect_failure(
        1, "cannot create '/nowhere/log.000001': no such file or directory; make its directory",
        HARNESS_ARGV(example("log_files"), "x", "/nowhere/log"));
    expect_failure(1, "cannot receive from channel ''",
                   HARNESS_ARGV(example("log_files"), "", "/tmp/log"));
    expect_failure(2, "--rotate takes",
                   HARNESS_ARGV(example("log_files"), "--rotate", "0", "x", "/tmp/log"));
    expect_failure(2, "usage: ", HARNESS_ARGV(example("log_files"), "x"));
    assert_int_equal(harness_names_left(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(logs_rotate_and_end_with_the_sender),
        HARNESS_TEST(a_killed_logger_loses_nothing),
        HARNESS_TEST(a_full_disk_holds_the_sender_up_and_loses_nothing),
        HARNESS_TEST(a_full_file_system_is_told_and_waited_for),
        HARNESS_TEST(a_logger_says_what_is_wrong),
    };
    return HARNESS_MAIN("examples_log", tests);
}
