/* test_command_top.c - `leat top`: what it prints of real senders and receivers, and what it does
 * on a terminal, which is a pseudo-terminal with the test at its other end. */
#include "command.h"
#include "handles.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

/* --- Traffic ---------------------------------------------------------------------------------- */

struct traffic {
    harness_word stop, sent;
    pid_t sender, receiver;
};

static int send_until_stopped(void *context) {
    struct traffic *traffic = context;
    leat_sender *sender;
    char message[1000] = {0};
    assert_ok(leat_sender_open(&sender, "busy", NULL));
    while (atomic_load(&traffic->stop) == 0) {
        assert_ok(leat_send(sender, message, sizeof message, LEAT_FOREVER));
        harness_increment(&traffic->sent);
        usleep(500);
    }
    leat_sender_close(sender);
    return 0;
}

static int receive_to_the_end(void *context) {
    (void)context;
    leat_receiver *receiver;
    char message[1000];
    size_t size;
    int code;
    assert_ok(leat_receiver_open(&receiver, "busy", NULL));
    while ((code = leat_recv(receiver, message, sizeof message, &size, LEAT_FOREVER)) == LEAT_OK)
        assert_int_equal(size, sizeof message);
    assert_leat(code, LEAT_ECLOSED);
    leat_receiver_close(receiver);
    return 0;
}

static struct traffic *start_traffic(void) {
    struct traffic *traffic = harness_shared(sizeof *traffic);
    traffic->receiver = harness_spawn(receive_to_the_end, traffic);
    traffic->sender = harness_spawn(send_until_stopped, traffic);
    harness_await(&traffic->sent, 10);
    return traffic;
}

static void stop_traffic(struct traffic *traffic) {
    harness_set(&traffic->stop, 1);
    harness_wait_ok(traffic->sender);
    harness_wait_ok(traffic->receiver);
}

/* --- Batch ------------------------------------------------------------------------------------ */

/* Of line `number` (from 0) of the last output; a new reference. */
static json_t *refresh(size_t number) {
    const char *line = result.out;
    json_error_t error;
    for (size_t i = 0; i < number; i++) {
        line = strchr(line, '\n');
        assert_non_null(line++);
    }
    json_t *value = json_loadb(line, strcspn(line, "\n"), 0, &error);
    if (value == NULL)
        harness_fail("no JSON: %s\n%s", error.text, line);
    return value;
}

static const json_t *object_called(const json_t *shown, const char *name) {
    const json_t *objects = json_object_get(shown, "objects");
    for (size_t i = 0; i < json_array_size(objects); i++)
        if (strcmp(text_of(json_array_get(objects, i), "name"), name) == 0)
            return json_array_get(objects, i);
    harness_fail("no '%s' in %s", name, result.out);
}

static double rate_of(const json_t *object, const char *member) {
    const json_t *value = json_object_get(object, member);
    if (!json_is_real(value))
        harness_fail("no rate '%s' in %s", member, result.out);
    return json_real_value(value);
}

static void json_has_rates_and_peers(void **state) {
    (void)state;
    struct traffic *traffic = start_traffic();
    leat_receiver *lonely;
    assert_ok(leat_receiver_open(&lonely, "lonely", NULL));
    leat("top", "--local", "--json", "-n", "3", "-d", "0.3");
    expect(0, "", "");
    for (size_t i = 0; i < 3; i++) {
        json_t *shown = refresh(i);
        const json_t *busy = object_called(shown, "busy"), *rates = json_object_get(busy, "rates");
        const json_t *channel = json_object_get(busy, "channel"),
                     *totals = json_object_get(shown, "totals");
        /* the fastest comes first */
        assert_string_equal(text_of(json_array_get(json_object_get(shown, "objects"), 0), "name"),
                            "busy");
        assert_true(rate_of(rates, "messages_per_second") > 10);
        assert_true(rate_of(rates, "bytes_per_second") >
                    900 * rate_of(rates, "messages_per_second"));
        assert_true(rate_of(rates, "sleeps_per_second") >= 0 &&
                    rate_of(rates, "stalls_per_second") >= 0);
        assert_true(rate_of(rates, "seconds") > 0.2);
        assert_true(rate_of(rates, "wake_ns_mean") > 0 && rate_of(rates, "wake_ns_mean") < 60e9);
        assert_true(number_of(json_object_get(channel, "received"), "wakes") > 0);
        assert_string_equal(text_of(channel, "sender"), "present");
        assert_string_equal(text_of(channel, "receiver"), "present");
        assert_int_equal(number_of(busy, "users"), 2); /* leat top is none */
        assert_true(number_of(busy, "inode") > 0 && !truth_of(busy, "new"));
        assert_true(json_is_null(json_object_get(busy, "error")));
        assert_true(rate_of(totals, "messages_per_second") >=
                    rate_of(rates, "messages_per_second"));
        assert_int_equal(number_of(totals, "channels"), 2);
        assert_int_equal(number_of(totals, "busy"), 1);
        assert_true(number_of(shown, "cost_ns") > 0 && number_of(shown, "time_unix_ns") > 0);
        assert_string_equal(
            text_of(json_object_get(object_called(shown, "lonely"), "channel"), "sender"), "none");
        json_decref(shown);
    }
    leat("top", "--local", "--json", "-n", "1", "-d", "0.2", "--sort", "wake", "--filter",
         "lonely");
    json_t *shown = refresh(0);
    assert_true(json_is_null(
        json_object_get(json_object_get(object_called(shown, "lonely"), "rates"), "wake_ns_mean")));
    json_decref(shown);
    leat("top", "-n", "1", "-d", "0.2", "--filter", "BUS");
    expect(0, "SCOPE  USERS   MSG/S      B/S  BACKLOG FULL", "");
    expect(0, " yes    yes      busy\n", "");
    assert_null(strstr(result.out, "lonely"));
    leat_receiver_close(lonely);
    stop_traffic(traffic);
    assert_int_equal(harness_names_left(), 0);
}

/* One leat top sees a channel, another of the same name, and none; and the last user's leaving ends
 * each, for it is no user. */
static void top_marks_objects_that_go_and_come_back(void **state) {
    (void)state;
    leat_sender *sender;
    int out;
    assert_ok(leat_sender_open(&sender, "c", NULL));
    pid_t top = harness_start_command(
        HARNESS_ARGV(leat_program(), "top", "--local", "--json", "-d", "0.1"), NULL, &out, NULL);
    const char *first = harness_read_until(out, "\"objects\":[{\"name\":\"c\"");
    assert_null(strstr(first, "\"new\":true"));
    harness_read_until(out, "\"rates\":{");
    leat_sender_close(sender);
    assert_int_equal(harness_names_left(), 0);
    assert_ok(leat_sender_open(&sender, "c", NULL));
    harness_read_until(out, "\"new\":true");
    harness_read_until(out, "\"new\":false");
    leat_sender_close(sender);
    harness_read_until(out, "\"objects\":[]");
    kill(top, SIGTERM);
    harness_wait_signal(top, SIGTERM);
    close(out);
}

/* What `leat info` shows of both roles, while they wake each other and after. */
static void info_reports_how_long_wake_ups_took(void **state) {
    (void)state;
    struct traffic *traffic = start_traffic();
    leat("info", "busy", "--json");
    json_t *info = parsed();
    const json_t *sent = json_object_get(json_object_get(info, "channel"), "sent");
    const json_t *received = json_object_get(json_object_get(info, "channel"), "received");
    long long wakes = number_of(received, "wakes"), wake_ns = number_of(received, "wake_ns");
    assert_true(wakes > 0 && wake_ns > 0);
    assert_int_equal(number_of(received, "wake_ns_mean"), wake_ns / wakes);
    assert_int_equal(number_of(sent, "wakes"), 0); /* there was always room */
    assert_true(json_is_null(json_object_get(sent, "wake_ns_mean")));
    json_decref(info);
    leat("info", "busy");
    expect(0, "  wake-ups                                0 ", "");
    expect(0, "  mean wake-up                            - ", "");
    const char *line = strstr(result.out, "  mean wake-up ");
    assert_int_equal(line[strcspn(line, "\n") - 1], 's'); /* the receiver's, in us or ms */
    stop_traffic(traffic);
}

static void other_kinds_are_shown_on_request(void **state) {
    (void)state;
    leat_mutex *mutex;
    leat_semaphore *semaphore;
    leat_region *region;
    char holder[40];
    assert_ok(leat_mutex_open(&mutex, "m", &(leat_sync_options){.initially = true}));
    assert_ok(leat_semaphore_open(&semaphore, "s", 2, 5, NULL));
    assert_ok(open_or_create_region(&region, "r", 8192, NULL));
    leat("top", "--local", "-n", "1", "-d", "0.1");
    expect(0, "0 channels", "");
    assert_null(strstr(result.out, "mutex"));
    leat("top", "--local", "--others", "-n", "1", "-d", "0.1", "--sort", "name");
    snprintf(holder, sizeof holder, "held by process %d ", (int)getpid());
    expect(0, holder, "");
    expect(0, "count 2 of 5", "");
    leat("top", "--local", "-o", "-n", "1", "-d", "0.1", "--sort", "name", "--json");
    json_t *shown = refresh(0);
    assert_int_equal(number_of(json_object_get(object_called(shown, "s"), "semaphore"), "count"),
                     2);
    assert_true(truth_of(json_object_get(object_called(shown, "m"), "mutex"), "held"));
    assert_true(json_is_null(json_object_get(object_called(shown, "r"), "rates")));
    assert_string_equal(text_of(json_array_get(json_object_get(shown, "objects"), 0), "name"), "m");
    json_decref(shown);
    leat_mutex_close(mutex);
    leat_semaphore_close(semaphore);
    leat_region_close(region);
}

static void top_shows_a_damaged_channel_as_such(void **state) {
    (void)state;
    char path[200];
    leat_sender *sender;
    assert_ok(leat_sender_open(&sender, "c", &(leat_channel_options){.persistent = true}));
    leat_sender_close(sender);
    snprintf(path, sizeof path, "%s/c", harness_directory());
    int file = open(path, O_RDWR | O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(pwrite(file, "\xff\xff\xff\xff", 4, 40), 4);
    close(file);
    leat("top", "--local", "-n", "1", "-d", "0.1");
    expect(0, "damaged: its header fails its checksum", "");
    leat("top", "--local", "-n", "1", "-d", "0.1", "--json");
    json_t *shown = refresh(0);
    assert_string_equal(text_of(object_called(shown, "c"), "error"), "LEAT_ECORRUPT");
    assert_true(json_is_null(json_object_get(object_called(shown, "c"), "channel")));
    json_decref(shown);
    assert_ok(leat_unlink("c", LEAT_LOCAL));
}

static void unreadable_objects_are_passed_over(void **state) {
    (void)state;
    const char *name = harness_global("closed"), *program = leat_program();
    char script[1000];
    leat_sender *sender;
    if (geteuid() != 0 ||
        system("setpriv --reuid=65534 --clear-groups true >/dev/null 2>&1") != 0) {
        print_message("needs root and setpriv: skipped\n");
        skip();
    }
    assert_ok(leat_sender_open(&sender, name, &(leat_channel_options){.scope = LEAT_GLOBAL}));
    snprintf(
        script, sizeof script,
        "exec setpriv --reuid=65534 --clear-groups '%s' top --global --filter '%s' -n 1 -d 0.1",
        program, name);
    run_shell(script);
    if (result.exit_code == 126 || result.exit_code == 127) {
        leat_sender_close(sender);
        skip(); /* the build tree is closed to others */
    }
    expect(0, "0 channels", "");
    assert_null(strstr(result.out, name));
    leat_sender_close(sender);
}

static void top_fails_when_a_directory_cannot_be_listed(void **state) {
    (void)state;
    run_shell("LEAT_DIR=/dev/null exec \"$1\" top -n 1 -d 0.1");
    expect_failure(1, "leat: top: directory of 'local objects': ");
}

static void wrong_usage_of_top_is_refused(void **state) {
    (void)state;
    leat("top", "-d", "0");
    expect_failure(2, "--delay");
    leat("top", "-d", "forever");
    expect_failure(2, "--delay");
    leat("top", "-n", "0");
    expect_failure(2, "--count");
    leat("top", "--sort", "beauty");
    expect_failure(2, "--sort: 'beauty' is not one of KIND, SCOPE");
    leat("top", "name");
    expect_failure(2, "--filter TEXT");
}

static void top_ends_by_a_closed_pipe_and_ctrl_c(void **state) {
    (void)state;
    int out;
    pid_t top =
        harness_start_command(HARNESS_ARGV(leat_program(), "top", "-d", "0.1"), NULL, &out, NULL);
    harness_read_until(out, "channel");
    close(out);
    harness_wait_signal(top, SIGPIPE);
    top = harness_start_command(HARNESS_ARGV(leat_program(), "top", "--local", "-d", "3600"), NULL,
                                &out, NULL);
    harness_await_asleep(top);
    kill(top, SIGINT);
    harness_wait_signal(top, SIGINT);
    close(out);
}

/* --- On a terminal ---------------------------------------------------------------------------- */

struct terminal {
    int master, slave;
    char path[64];
    const char *type, *program;
    const char *const *arguments;
    struct termios before;
    pid_t top;
};

static int run_on_terminal(void *context) {
    const struct terminal *terminal = context;
    setsid();
    int tty = open(terminal->path, O_RDWR);
    if (tty < 0 || ioctl(tty, TIOCSCTTY, 0) != 0)
        return 99;
    for (int i = 0; i < 3; i++)
        dup2(tty, i);
    setenv("TERM", terminal->type, 1);
    setenv("LC_ALL", "C.UTF-8", 1);
    unsetenv("CMOCKA_TEST_ABORT");
    execv(terminal->program, (char *const *)(uintptr_t)terminal->arguments);
    return 98;
}

static void resize(const struct terminal *terminal, unsigned short columns, unsigned short rows) {
    assert_int_equal(
        ioctl(terminal->master, TIOCSWINSZ, &(struct winsize){.ws_row = rows, .ws_col = columns}),
        0);
}

static void open_terminal(struct terminal *terminal, const char *type) {
    terminal->type = type;
    terminal->program = leat_program();
    terminal->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (terminal->master < 0 || grantpt(terminal->master) != 0 || unlockpt(terminal->master) != 0 ||
        ptsname_r(terminal->master, terminal->path, sizeof terminal->path) != 0) {
        close(terminal->master);
        print_message("there are no pseudo-terminals: skipped\n");
        skip();
    }
    resize(terminal, 132, 24);
    /* so that its settings outlive leat top */
    terminal->slave = open(terminal->path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(terminal->slave >= 0);
    assert_int_equal(tcgetattr(terminal->slave, &terminal->before), 0);
    /* nothing moves but by keys */
    terminal->arguments = HARNESS_ARGV("leat", "top", "--local", "-d", "600");
    terminal->top = harness_spawn(run_on_terminal, terminal);
}

static void see(const struct terminal *terminal, const char *text) {
    harness_read_until(terminal->master, text);
}

/* Types the keys, has everything drawn again, and waits for what must then be on the screen. */
static void type(const struct terminal *terminal, const char *keys, const char *text) {
    assert_int_equal(write(terminal->master, keys, strlen(keys)), strlen(keys));
    assert_int_equal(write(terminal->master, "\f", 1), 1);
    see(terminal, text);
}

static void expect_restored(const struct terminal *terminal) {
    struct termios now;
    assert_int_equal(tcgetattr(terminal->slave, &now), 0);
    assert_int_equal(now.c_lflag, terminal->before.c_lflag);
    assert_int_equal(now.c_iflag, terminal->before.c_iflag);
    assert_int_equal(now.c_oflag, terminal->before.c_oflag);
}

static void close_terminal(struct terminal *terminal) {
    close(terminal->slave);
    close(terminal->master);
}

/* As xterm sends them to a program that asked for its keypad. */
#define DOWN "\033OB"
#define HOME "\033OH"
#define END "\033OF"
#define PAGE_DOWN "\033[6~"
#define LEAVES_FULL_SCREEN "\033[?1049l"

static void keys_do_what_help_describes(void **state) {
    (void)state;
    struct terminal terminal;
    leat_sender *alpha, *beta;
    leat_event *event;
    open_terminal(&terminal, "xterm");
    assert_ok(leat_sender_open(&alpha, "alpha", NULL));
    assert_ok(leat_sender_open(&beta, "b\xc3\xa9ta\n", NULL));
    assert_ok(leat_event_open(&event, "signal", NULL));
    see(&terminal, "leat top");
    type(&terminal, " ", "alpha");
    type(&terminal, "", "b\xc3\xa9ta\\x0a");
    type(&terminal, "", "by MSG/S");
    type(&terminal, ">", "by B/S");
    type(&terminal, "<<", "by USERS");
    /* neither kinds nor scopes are shown, and before the first comes the last */
    type(&terminal, "<", "by NAME");
    type(&terminal, "R", ", reversed");
    type(&terminal, "o", "not set, automatic reset");
    type(&terminal, "o", "by NAME");
    type(&terminal, "?", "what the receiver took");
    type(&terminal, "q", "by NAME"); /* back, not out */
    type(&terminal, "/", "Part of the name:");
    type(&terminal, "ALPx\177", "1 of 2 with 'ALP' in the name");
    type(&terminal, "\r", "filter"); /* the keys stand there again */
    type(&terminal, "\r", "max message");
    type(&terminal, "q", "1 of 2 with");
    type(&terminal, "/\033", "b\xc3\xa9ta");
    type(&terminal, "s0.01\r", "is not a number of seconds");
    type(&terminal, "d0.2\r", "every 200 ms");
    type(&terminal, DOWN PAGE_DOWN HOME END "kj\r", "max message");
    type(&terminal, "\033", "by NAME");
    assert_int_equal(write(terminal.master, "q", 1), 1);
    see(&terminal, LEAVES_FULL_SCREEN);
    harness_wait_ok(terminal.top);
    expect_restored(&terminal);
    leat_sender_close(alpha);
    leat_sender_close(beta);
    leat_event_close(event);
    assert_int_equal(harness_names_left(), 0);
    close_terminal(&terminal);
}

static void top_drops_an_error_when_its_cause_is_gone(void **state) {
    (void)state;
    struct terminal terminal;
    leat_sender *sender;
    assert_ok(leat_sender_open(&sender, "c", NULL));
    open_terminal(&terminal, "xterm");
    type(&terminal, "d0.1\r", "every 100 ms");
    assert_int_equal(chmod(harness_directory(), 0777), 0);
    see(&terminal, "(LEAT_EUNTRUSTED)");
    assert_int_equal(chmod(harness_directory(), 0700), 0);
    type(&terminal, "\r", "max message"); /* what was seen last can still be looked at */
    assert_ok(leat_unlink("c", LEAT_LOCAL));
    see(&terminal, "is gone");
    type(&terminal, "q", "There are no channels.");
    assert_int_equal(write(terminal.master, "q", 1), 1);
    see(&terminal, LEAVES_FULL_SCREEN);
    harness_wait_ok(terminal.top);
    leat_sender_close(sender);
    close_terminal(&terminal);
}

static void top_fits_a_window_of_any_size(void **state) {
    (void)state;
    static const unsigned short sizes[][2] = {{20, 6}, {3, 2}, {1, 1}, {500, 3}, {10, 40}};
    struct terminal terminal;
    leat_sender *sender;
    assert_ok(leat_sender_open(&sender, "c", NULL));
    open_terminal(&terminal, "xterm");
    see(&terminal, "WAKES/S SLEEPS/S STALLS/S    WAKE SENDER RECEIVER NAME");
    resize(&terminal, 80, 12);
    see(&terminal, "BACKLOG FULL    WAKE SENDER RECEIVER NAME");
    resize(&terminal, 60, 12);
    see(&terminal, "BACKLOG SENDER RECEIVER NAME"); /* without any key */
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        resize(&terminal, sizes[i][0], sizes[i][1]);
        type(&terminal, "", "\033[H");
        harness_await_asleep(terminal.top); /* it has seen the new size */
        type(&terminal, "h" DOWN "q\r" PAGE_DOWN "q" DOWN "/c\033", "\033[H");
    }
    resize(&terminal, 100, 20);
    type(&terminal, "", "RECEIVER");
    assert_int_equal(write(terminal.master, "q", 1), 1);
    see(&terminal, LEAVES_FULL_SCREEN);
    harness_wait_ok(terminal.top);
    expect_restored(&terminal);
    leat_sender_close(sender);
    close_terminal(&terminal);
}

static void signals_give_the_terminal_back(void **state) {
    (void)state;
    static const int signals[] = {SIGINT, SIGTERM};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        struct terminal terminal;
        open_terminal(&terminal, "xterm");
        see(&terminal, "There are no channels.");
        if (signals[i] == SIGINT)
            assert_int_equal(write(terminal.master, "\003", 1), 1);
        else
            kill(terminal.top, signals[i]);
        see(&terminal, LEAVES_FULL_SCREEN);
        harness_wait_signal(terminal.top, signals[i]);
        expect_restored(&terminal);
        close_terminal(&terminal);
    }
}

static void top_ends_when_its_terminal_goes(void **state) {
    (void)state;
    struct terminal terminal;
    open_terminal(&terminal, "xterm");
    see(&terminal, "There are no channels.");
    close_terminal(&terminal);
    harness_wait_signal(terminal.top, SIGHUP);
}

static void unknown_terminal_gets_lines(void **state) {
    (void)state;
    struct terminal terminal;
    open_terminal(&terminal, "leat-no-such-terminal");
    harness_await_asleep(terminal.top);
    kill(terminal.top, SIGTERM);
    harness_wait_signal(terminal.top, SIGTERM);
    expect_restored(&terminal);
    close_terminal(&terminal);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(json_has_rates_and_peers),
        HARNESS_TEST(top_marks_objects_that_go_and_come_back),
        HARNESS_TEST(info_reports_how_long_wake_ups_took),
        HARNESS_TEST(other_kinds_are_shown_on_request),
        HARNESS_TEST(top_shows_a_damaged_channel_as_such),
        HARNESS_TEST(unreadable_objects_are_passed_over),
        HARNESS_TEST(top_fails_when_a_directory_cannot_be_listed),
        HARNESS_TEST(wrong_usage_of_top_is_refused),
        HARNESS_TEST(top_ends_by_a_closed_pipe_and_ctrl_c),
        HARNESS_TEST(keys_do_what_help_describes),
        HARNESS_TEST(top_drops_an_error_when_its_cause_is_gone),
        HARNESS_TEST(top_fits_a_window_of_any_size),
        HARNESS_TEST(signals_give_the_terminal_back),
        HARNESS_TEST(top_ends_when_its_terminal_goes),
        HARNESS_TEST(unknown_terminal_gets_lines),
    };
    return HARNESS_MAIN("command_top", tests);
}
