/* test_command_pipe.c - `leat send` and `leat recv`: bytes come out as they went in, whatever the
 * framing and the capacity; and each way in which either peer can leave, or fail to come, has the
 * outcome that docs/command.md describes. */
#include "harness.h"

#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct harness_output result;

static const char *leat_program(void) {
    return harness_program("LEAT_COMMAND", NULL);
}

#define leat(...) harness_run_command(&result, HARNESS_ARGV(leat_program(), __VA_ARGS__), NULL, 0)
#define leat_with_input(input, ...)                                                                \
    harness_run_command(&result, HARNESS_ARGV(leat_program(), __VA_ARGS__), input, strlen(input))
#define start(in, out, err, ...)                                                                   \
    harness_start_command(HARNESS_ARGV(leat_program(), __VA_ARGS__), in, out, err)

static void expect_at(int line, int exit_code, const char *output, const char *in_error) {
    if (result.exit_code != exit_code || strcmp(result.out, output) != 0 ||
        strstr(result.err, in_error) == NULL)
        harness_fail_at(
            __FILE__, line,
            "exit code %d (signal %d); wanted %d, output \"%s\", errors with \"%s\"\n%s%s",
            result.exit_code, result.term_signal, exit_code, output, in_error, result.out,
            result.err);
}

/* Exit code, the whole output, something that stands in the errors. */
#define expect(exit_code, output, in_error) expect_at(__LINE__, exit_code, output, in_error)

/* $1 is the command, $2 a file, $3 and $4 the options of send and recv. */
static const char transfer[] =
    "\"$1\" recv pipe --wait 20 $4 & \"$1\" send pipe --wait 20 $3 <\"$2\"; sent=$?\n"
    "wait $!; echo \"send $sent recv $?\" >&2";

/* Everything that comes out of recv when the file goes into send. */
static void expect_same(const char *path, const char *send_options, const char *recv_options,
                        const void *bytes, size_t size) {
    harness_run_command(
        &result,
        HARNESS_ARGV("sh", "-c", transfer, "sh", leat_program(), path, send_options, recv_options),
        NULL, 0);
    if (strcmp(result.err, "send 0 recv 0\n") != 0)
        harness_fail("send %s, recv %s: %s", send_options, recv_options, result.err);
    if (result.out_size != size || memcmp(result.out, bytes, size) != 0)
        harness_fail("send %s, recv %s: %zu bytes went in, %zu came out, or others", send_options,
                     recv_options, size, result.out_size);
    assert_int_equal(harness_names_left(), 0);
}

static const char *temporary_file(const void *bytes, size_t size) {
    static char path[64];
    strcpy(path, "/tmp/leat-test-pipe-XXXXXX");
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, bytes, size), size);
    close(file);
    return path;
}

/* --- Bytes ------------------------------------------------------------------------------------ */

static void random_bytes_come_out_as_they_went_in(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"--capacity 4K", "--capacity 4K"},
        {"--capacity 64K", "--capacity 64K"},
        {"--capacity 16M", "--capacity 16M"},
        {"--frame 1", ""},
        {"--frame 1 --capacity 4K", "--capacity 4K"},
        {"--frame 7", "--raw"},
        {"--frame 65536", ""},
        {"--frame 1976 --capacity 4K", "--capacity 4K"},
        {"--frame 100000", ""},
        {"--lines", "--lines"},
        {"--lines", "--raw"},
        {"--many", ""},
    };
    enum { SIZE = 3000017 };
    uint64_t random = harness_seed();
    char *bytes = malloc(SIZE);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (char)harness_random(&random);
    const char *path = temporary_file(bytes, SIZE);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_same(path, cases[i][0], cases[i][1], bytes, SIZE);
    unlink(path);
    free(bytes);
}

static void text_comes_out_as_lines_exactly(void **state) {
    (void)state;
    static const char *const texts[] = {"",
                                        "\n",
                                        "\n\n\n",
                                        "one\n",
                                        "only",
                                        "one\ntwo\nthree\n",
                                        "one\n\ntwo without end",
                                        "\r\nx\r\n",
                                        "a\0b\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *path = temporary_file(texts[i], strlen(texts[i]));
        expect_same(path, "--lines", "--lines", texts[i], strlen(texts[i]));
        unlink(path);
    }
}

static void source_file_comes_out_exactly(void **state) {
    (void)state;
    char *text = malloc(1 << 20);
    FILE *file = fopen(__FILE__, "r");
    if (file == NULL) {
        free(text);
        skip();
    }
    size_t size = fread(text, 1, 1 << 20, file);
    fclose(file);
    expect_same(__FILE__, "--lines", "--lines", text, size);
    expect_same(__FILE__, "--lines --capacity 4K", "--capacity 4K", text, size);
    free(text);
}

static void messages_without_newlines_become_lines(void **state) {
    (void)state;
    leat_sender *sender;
    leat_channel_options options = {.persistent = true};
    assert_ok(leat_sender_open(&sender, "c", &options));
    static const char *const words[] = {"first", "second\n", "", "third"};
    for (size_t i = 0; i < 4; i++)
        assert_ok(leat_send(sender, words[i], strlen(words[i]), LEAT_NOW));
    leat_sender_close(sender);
    leat("recv", "c", "--lines", "--count", "1");
    expect(0, "first\n", "");
    leat("recv", "c", "--lines");
    expect(0, "second\n\nthird\n", "");
    assert_ok(leat_unlink("c", LEAT_LOCAL));
}

static void message_too_large_reports_the_capacity_needed(void **state) {
    (void)state;
    char line[3000];
    pid_t receiver =
        start(NULL, NULL, NULL, "recv", "small", "--wait", "20", "--capacity", "4K", "--follow");
    leat_with_input("x", "send", "small", "--wait", "20", "--frame", "1977", "--capacity", "4K");
    expect(1, "", "--capacity 8192 or more");
    assert_non_null(strstr(result.err, "LEAT_EMSGSIZE"));
    memset(line, 'x', sizeof line);
    strcpy(line, "ok\n");
    line[3] = 'x';
    line[sizeof line - 1] = 0;
    leat_with_input(line, "send", "small", "--wait", "20", "--lines");
    expect(1, "", "line 2 has 2996 bytes");
    leat_with_input("x", "send", "small", "--frame", "5G");
    expect(1, "", "more than any channel takes");
    leat_with_input("x", "send", "small", "--capacity", "1M");
    expect(0, "", "--capacity changes nothing");
    kill(receiver, SIGTERM);
    harness_wait_signal(receiver, SIGTERM);
}

/* --- Who must be there ------------------------------------------------------------------------ */

static void missing_peer_is_reported_at_once(void **state) {
    (void)state;
    leat("send", "nobody");
    expect(3, "", "--wait");
    leat("recv", "nobody");
    expect(3, "", "--wait");
    uint64_t before = harness_now();
    leat("send", "nobody", "--wait", "0.3");
    expect(4, "", "no receiver came in time");
    leat("recv", "nobody", "--wait", "0.3");
    expect(4, "", "no sender came in time");
    assert_true(harness_now() - before >= 600000000u);
    leat_sender *sender;
    assert_ok(leat_sender_open(&sender, "half", NULL));
    leat("send", "half");
    expect(3, "", "no receiver is there");
    leat_sender_close(sender);
    assert_int_equal(harness_names_left(), 0);
}

static void second_sender_and_receiver_are_refused(void **state) {
    (void)state;
    leat_sender *sender;
    leat_receiver *receiver;
    assert_ok(leat_sender_open(&sender, "taken", NULL));
    assert_ok(leat_receiver_open(&receiver, "taken", NULL));
    leat("send", "taken");
    expect(1, "", "--many");
    leat("recv", "taken");
    expect(1, "", "LEAT_EBUSY");
    leat_sender_close(sender);
    leat_receiver_close(receiver);
}

static void persistent_channel_holds_messages_until_they_are_received(void **state) {
    (void)state;
    char *flood = malloc(10000);
    leat_with_input("one\n", "send", "kept", "--keep", "--capacity", "4K");
    expect(0, "", "");
    leat_with_input("two\n", "send", "kept", "--keep");
    expect(0, "", "");
    leat("recv", "kept", "--follow", "--count", "2");
    expect(0, "one\ntwo\n", "");
    leat("recv", "kept");
    expect(0, "", ""); /* the end of the second stream was not reported yet */
    leat("recv", "kept");
    expect(3, "", "there is no sender");
    memset(flood, 'x', 9999);
    flood[9999] = 0;
    leat_with_input(flood, "send", "kept", "--keep");
    expect(3, "", "full, and there is no receiver");
    leat_with_input(flood, "send", "kept", "--keep", "--wait", "0.2");
    expect(4, "", "full, and no receiver came");
    leat("rm", "kept");
    expect(0, "", "");
    assert_int_equal(harness_names_left(), 0);
    free(flood);
}

static void keep_needs_a_persistent_channel(void **state) {
    (void)state;
    leat_receiver *receiver;
    assert_ok(leat_receiver_open(&receiver, "passing", NULL));
    leat_with_input("x", "send", "passing", "--keep");
    expect(1, "", "not persistent");
    leat_receiver_close(receiver);
}

/* --- When the peer leaves --------------------------------------------------------------------- */

/* The receiver is stopped first, so that something is left that it did not take: if it had taken
 * all, nothing would be lost, and there would be nothing to report. */
static void send_reports_the_death_of_the_receiver(void **state) {
    (void)state;
    int in, out, err;
    pid_t receiver = start(NULL, &out, NULL, "recv", "c", "--wait", "20");
    pid_t sender = start(&in, NULL, &err, "send", "c", "--wait", "0.3");
    assert_int_equal(write(in, "hello", 5), 5);
    harness_read_until(out, "hello");
    harness_await_asleep(receiver); /* it has released what it wrote */
    harness_stop(receiver);
    assert_int_equal(write(in, "again", 5), 5);
    close(in);
    harness_kill(receiver);
    harness_read_until(err, "waiting for its successor");
    harness_read_until(err, "died (LEAT_EPEERDIED)");
    harness_wait_exit(sender, 5);
    close(out);
    close(err);
    assert_int_equal(harness_names_left(), 0);
}

static void send_that_does_not_wait_notices_death_soon(void **state) {
    (void)state;
    int in, out, err;
    pid_t receiver = start(NULL, &out, NULL, "recv", "c", "--wait", "20", "--follow");
    leat_with_input("ready", "send", "c", "--wait", "20");
    harness_read_until(out, "ready");
    pid_t sender = start(&in, NULL, &err, "send", "c");
    assert_int_equal(write(in, "more", 4), 4);
    harness_read_until(out, "more");
    harness_await_asleep(receiver); /* it has released what it wrote */
    harness_stop(receiver);
    assert_int_equal(write(in, "rest", 4), 4);
    close(in);
    harness_await_asleep(sender);
    uint64_t before = harness_now();
    harness_kill(receiver);
    harness_read_until(err, "up to 4 bytes that were read were not delivered");
    assert_true(harness_now() - before < 200000000u * harness_patience());
    harness_wait_exit(sender, 5);
    close(out);
    close(err);
}

static void successor_of_a_dead_receiver_gets_the_rest(void **state) {
    (void)state;
    int in, out, err;
    pid_t receiver = start(NULL, &out, NULL, "recv", "c", "--wait", "20");
    pid_t sender = start(&in, NULL, &err, "send", "c", "--wait", "20", "--lines");
    assert_int_equal(write(in, "one\n", 4), 4);
    harness_read_until(out, "one\n");
    harness_await_asleep(receiver); /* it has released what it wrote */
    harness_stop(receiver);
    assert_int_equal(write(in, "two\n", 4), 4);
    close(in);
    harness_await_asleep(sender);
    harness_kill(receiver);
    close(out);
    harness_read_until(err, "waiting for its successor");
    leat("recv", "c");
    /* What the dead one had written and perhaps not released may come again, whole. */
    if (strcmp(result.out, "two\n") != 0 && strcmp(result.out, "one\ntwo\n") != 0)
        harness_fail("the successor got: %s", result.out);
    harness_wait_exit(sender, 0);
    close(err);
}

static void recv_reports_the_death_of_the_sender_after_all_it_sent(void **state) {
    (void)state;
    int in, out, err;
    pid_t receiver = start(NULL, &out, &err, "recv", "c", "--wait", "20");
    pid_t sender = start(&in, NULL, NULL, "send", "c", "--wait", "20");
    assert_int_equal(write(in, "last words", 10), 10);
    harness_read_until(out, "last words");
    harness_kill(sender);
    close(in);
    harness_read_until(err, "LEAT_EPEERDIED");
    harness_wait_exit(receiver, 5);
    close(out);
    close(err);
    leat("gc", "--local");
    assert_int_equal(harness_names_left(), 0);
}

static void send_reports_a_receiver_that_closes_early(void **state) {
    (void)state;
    int out;
    pid_t receiver = start(NULL, &out, NULL, "recv", "c", "--wait", "20", "--count", "1");
    leat_with_input("one\ntwo\nthree\n", "send", "c", "--wait", "20", "--lines");
    expect(1, "", "LEAT_ECLOSED");
    expect(1, "", " 10 bytes that were read were not delivered");
    harness_wait_exit(receiver, 0);
    close(out);
    assert_int_equal(harness_names_left(), 0);
}

static void follow_continues_with_the_next_peer(void **state) {
    (void)state;
    int in, out, err;
    pid_t receiver = start(NULL, &out, &err, "recv", "c", "--wait", "20", "--follow");
    leat_with_input("one", "send", "c", "--wait", "20");
    leat_with_input("two", "send", "c");
    pid_t killed = start(&in, NULL, NULL, "send", "c");
    assert_int_equal(write(in, "three", 5), 5);
    harness_read_until(out, "three");
    harness_kill(killed);
    close(in);
    harness_read_until(err, "waiting for the next one");
    leat_with_input("four", "send", "c");
    expect(0, "", "");
    harness_read_until(out, "four");
    kill(receiver, SIGINT);
    harness_wait_signal(receiver, SIGINT);
    close(out);
    close(err);

    pid_t sender = start(&in, NULL, NULL, "send", "c", "--wait", "20", "--follow", "--lines");
    assert_int_equal(write(in, "1\n2\n3\n", 6), 6);
    close(in);
    leat("recv", "c", "--wait", "20", "--count", "1");
    expect(0, "1\n", "");
    leat("recv", "c", "--wait", "20");
    expect(0, "2\n3\n", "");
    harness_wait_exit(sender, 0);
    assert_int_equal(harness_names_left(), 0);
}

static void many_senders_share_a_channel(void **state) {
    (void)state;
    static const char script[] =
        "\"$1\" recv c --wait 20 --follow --count 15000 >\"$2\" & r=$!\n"
        "for i in 1 2 3; do\n"
        "  seq -f \"$i-%g\" 5000 | \"$1\" send c --many --wait 20 --lines & s=\"$s $!\"\n"
        "done\n"
        "for p in $s; do wait $p || echo send $?; done; wait $r || echo recv $?\n"
        "for i in 1 2 3; do grep -c \"^$i-\" \"$2\"; done; sort -u \"$2\" | wc -l";
    const char *path = temporary_file("", 0);
    harness_run_command(&result, HARNESS_ARGV("sh", "-c", script, "sh", leat_program(), path), NULL,
                        0);
    unlink(path);
    expect(0, "5000\n5000\n5000\n15000\n", "");
}

/* --- Signals and closed pipes ----------------------------------------------------------------- */

static void signals_end_a_waiting_command_at_once(void **state) {
    (void)state;
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    int in, out;
    for (size_t i = 0; i < 3; i++) {
        pid_t receiver = start(NULL, &out, NULL, "recv", "c", "--wait", "forever");
        harness_await_asleep(receiver);
        kill(receiver, numbers[i]);
        harness_wait_signal(receiver, numbers[i]);
        close(out);
        pid_t sender = start(&in, NULL, NULL, "send", "c", "--wait", "forever");
        harness_await_asleep(sender);
        kill(sender, numbers[i]);
        harness_wait_signal(sender, numbers[i]);
        close(in);
        assert_int_equal(harness_names_left(), 0);
    }
}

/* It is interrupted while it waits for room in the pipe: the next one goes on at the first message
 * that is not in the pipe. */
static void interrupted_recv_loses_nothing(void **state) {
    (void)state;
    enum { MESSAGES = 40, SIZE = 65536 };
    static char block[SIZE], all[MESSAGES * SIZE + 1];
    leat_sender *sender;
    int out;
    size_t size = 0;
    leat_channel_options options = {.capacity = 8 << 20, .persistent = true};
    assert_ok(leat_sender_open(&sender, "c", &options));
    for (int i = 0; i < MESSAGES; i++) {
        memset(block, '0' + i, SIZE);
        assert_ok(leat_send(sender, block, SIZE, LEAT_NOW));
    }
    leat_sender_close(sender);
    pid_t receiver = start(NULL, &out, NULL, "recv", "c");
    harness_await_asleep(receiver);
    kill(receiver, SIGINT);
    harness_wait_signal(receiver, SIGINT);
    for (ssize_t got; (got = read(out, all + size, sizeof all - size)) > 0;)
        size += (size_t)got;
    close(out);
    assert_in_range(size, 1, (MESSAGES - 1) * SIZE);
    size_t whole = size / SIZE;
    leat("recv", "c");
    assert_int_equal(result.exit_code, 0);
    assert_int_equal(result.out_size, (MESSAGES - whole) * SIZE);
    for (size_t i = 0; i < result.out_size; i++)
        if (result.out[i] != (char)('0' + whole + i / SIZE))
            harness_fail("byte %zu belongs to another message", i);
    assert_ok(leat_unlink("c", LEAT_LOCAL));
}

static void recv_ends_quietly_by_a_closed_pipe(void **state) {
    (void)state;
    leat_sender *sender;
    int out, err;
    assert_ok(leat_sender_open(&sender, "c", NULL));
    pid_t receiver = start(NULL, &out, &err, "recv", "c");
    assert_ok(leat_send(sender, "one", 3, LEAT_NOW));
    harness_read_until(out, "one");
    close(out);
    assert_ok(leat_send(sender, "two", 3, LEAT_NOW));
    harness_wait_signal(receiver, SIGPIPE);
    char byte;
    assert_int_equal(read(err, &byte, 1), 0); /* said nothing */
    close(err);
    leat("recv", "c", "--count", "1"); /* what could not be written is still there */
    expect(0, "two", "");
    leat_sender_close(sender);
}

static void recv_loses_nothing_on_a_full_disk(void **state) {
    (void)state;
    leat_sender *sender;
    assert_ok(leat_sender_open(&sender, "c", NULL));
    assert_ok(leat_send(sender, "precious", 8, LEAT_NOW));
    harness_run_command(&result,
                        HARNESS_ARGV("sh", "-c", "\"$1\" recv c >/dev/full", "sh", leat_program()),
                        NULL, 0);
    expect(1, "", "leat: recv: standard output: ");
    leat("recv", "c", "--count", "1");
    expect(0, "precious", "");
    leat_sender_close(sender);
}

/* --- Figures ---------------------------------------------------------------------------------- */

static json_t *last_line_of(const char *text) {
    const char *line = text;
    for (const char *end; (end = strchr(line, '\n')) != NULL && end[1] != 0;)
        line = end + 1;
    json_t *object = json_loads(line, 0, NULL);
    if (object == NULL)
        harness_fail("the last line is no JSON: %s", text);
    return object;
}

static void expect_number(const json_t *object, const char *member, long long number) {
    const json_t *value = json_object_get(object, member);
    if (!json_is_integer(value) || json_integer_value(value) != number)
        harness_fail("\"%s\" is %lld, not %lld", member, json_integer_value(value), number);
}

static void send_and_recv_print_figures(void **state) {
    (void)state;
    int out, err;
    pid_t receiver = start(NULL, &out, &err, "recv", "c", "--wait", "20", "--json");
    leat_with_input("a\nbb\nccc\n", "send", "c", "--wait", "20", "--lines", "--json");
    expect(0, "", "");
    json_t *sent = last_line_of(result.err);
    char *text = harness_read_until(err, "}}\n");
    json_t *received = last_line_of(text);
    assert_string_equal(json_string_value(json_object_get(sent, "command")), "send");
    assert_string_equal(json_string_value(json_object_get(received, "command")), "recv");
    expect_number(sent, "messages", 3);
    expect_number(sent, "bytes", 9);
    expect_number(sent, "exit_code", 0);
    expect_number(received, "messages", 3);
    expect_number(received, "bytes", 9);
    expect_number(json_object_get(sent, "channel"), "messages", 3);
    json_decref(sent);
    json_decref(received);
    harness_wait_exit(receiver, 0);
    close(out);
    close(err);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST_WITHIN(random_bytes_come_out_as_they_went_in, 300),
        HARNESS_TEST(text_comes_out_as_lines_exactly),
        HARNESS_TEST(source_file_comes_out_exactly),
        HARNESS_TEST(messages_without_newlines_become_lines),
        HARNESS_TEST(message_too_large_reports_the_capacity_needed),
        HARNESS_TEST(missing_peer_is_reported_at_once),
        HARNESS_TEST(second_sender_and_receiver_are_refused),
        HARNESS_TEST(persistent_channel_holds_messages_until_they_are_received),
        HARNESS_TEST(keep_needs_a_persistent_channel),
        HARNESS_TEST(send_reports_the_death_of_the_receiver),
        HARNESS_TEST(send_that_does_not_wait_notices_death_soon),
        HARNESS_TEST(successor_of_a_dead_receiver_gets_the_rest),
        HARNESS_TEST(recv_reports_the_death_of_the_sender_after_all_it_sent),
        HARNESS_TEST(send_reports_a_receiver_that_closes_early),
        HARNESS_TEST(follow_continues_with_the_next_peer),
        HARNESS_TEST(many_senders_share_a_channel),
        HARNESS_TEST(signals_end_a_waiting_command_at_once),
        HARNESS_TEST(interrupted_recv_loses_nothing),
        HARNESS_TEST(recv_ends_quietly_by_a_closed_pipe),
        HARNESS_TEST(recv_loses_nothing_on_a_full_disk),
        HARNESS_TEST(send_and_recv_print_figures),
    };
    return HARNESS_MAIN("command pipe", tests);
}
