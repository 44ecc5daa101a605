/* test_examples.c - the programs in docs/examples do what their first comments promise: as
 * processes of their own, with clients over TCP, and with kills of each process. The logger:
 * test_examples_log.c. */
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "examples.h"

/* --- fan_out_tcp ------------------------------------------------------------------------------ */

struct server {
    pid_t pid;
    int out, err;
    uint16_t port;
};

static struct server start_server(const char *limit, const char *option, const char *channel) {
    struct server server;
    server.pid = start(&server.out, &server.err, "fan_out_tcp", "--limit", limit, option, channel);
    const char *text = strrchr(harness_read_until(server.out, "\n"), ':');
    assert_non_null(text);
    server.port = (uint16_t)atoi(text + 1);
    assert_true(server.port > 0);
    return server;
}

/* What it says at its end. */
static void end_server(struct server *server, const char *text) {
    end_in_order(server->pid);
    harness_read_until(server->err, text);
    close(server->out);
    close(server->err);
}

struct client {
    int socket;
    bool joined;
    uint32_t next; /* expected, once it has joined */
};

static struct client connect_client(const struct server *server, int receive_buffer) {
    struct client client = {.socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(server->port),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (receive_buffer > 0)
        setsockopt(client.socket, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    assert_int_equal(connect(client.socket, (struct sockaddr *)&address, sizeof address), 0);
    return client;
}

static bool is_readable(int descriptor, int milliseconds) {
    struct pollfd ready = {.fd = descriptor, .events = POLLIN};
    return poll(&ready, 1, milliseconds * (int)harness_patience()) == 1;
}

/* False at the end of the connection. */
static bool read_all(int socket, void *bytes, size_t size) {
    for (size_t got = 0; got < size;) {
        if (!is_readable(socket, 10000))
            harness_fail("nothing comes");
        ssize_t count = read(socket, (char *)bytes + got, size - got);
        if (count <= 0)
            return false;
        got += (size_t)count;
    }
    return true;
}

/* The next message's number, without looking at whether it was expected. */
static bool read_number(struct client *client, uint32_t *number, uint32_t *size) {
    static char body[65536];
    unsigned char length[4];
    if (!read_all(client->socket, length, 4))
        return false;
    *size = length[0] | (uint32_t)length[1] << 8 | (uint32_t)length[2] << 16 |
            (uint32_t)length[3] << 24;
    assert_in_range(*size, sizeof *number, sizeof body);
    if (!read_all(client->socket, body, *size))
        return false;
    memcpy(number, body, sizeof *number);
    return true;
}

static bool expect_next(struct client *client) {
    uint32_t number, size;
    if (!read_number(client, &number, &size))
        return false;
    assert_true(!client->joined || number == client->next);
    client->joined = true;
    client->next = number + 1;
    return true;
}

/* Sends until the client gets something: then it has been accepted. */
static void join(struct client *client, leat_sender *sender, uint32_t *next) {
    do
        send_number(sender, (*next)++, 8);
    while (!is_readable(client->socket, 10));
    assert_true(expect_next(client));
}

static void catch_up(struct client *client, uint32_t next) {
    while (client->next < next)
        assert_true(expect_next(client));
}

static void clients_and_senders_of_a_fan_out_come_and_go(void **state) {
    (void)state;
    struct server server = start_server("100000000", "--port=0", "fan");
    uint32_t next = 0;
    leat_sender *sender = open_sender("fan", NULL);
    struct client first = connect_client(&server, 0), second = connect_client(&server, 0), third;
    join(&first, sender, &next);
    join(&second, sender, &next);
    leat_sender_close(sender);
    struct burst burst = {"fan", next, next + 5000, true};
    harness_wait_signal(harness_spawn(send_burst, &burst), SIGKILL); /* the sender is killed */
    harness_read_until(server.err, "the sender died");
    next = burst.to;
    catch_up(&second, next);
    setsockopt(first.socket, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    close(first.socket); /* a client is gone with much unread: reset */
    sender = open_sender("fan", NULL);
    third = connect_client(&server, 0);
    join(&third, sender, &next);
    for (uint32_t to = next + 1000; next < to; next++)
        send_number(sender, next, next % 7 == 0 ? 60000 : 4);
    catch_up(&second, next);
    catch_up(&third, next);
    end_server(&server, "0 clients dropped");
    assert_false(expect_next(&second)); /* the end, and nothing more */
    assert_false(expect_next(&third));
    close(second.socket);
    close(third.socket);
    leat_sender_close(sender);
    assert_int_equal(harness_names_left(), 0);
}

static void what_gathered_while_a_fan_out_was_stopped_is_passed_on_at_once(void **state) {
    (void)state;
    struct server server = start_server("100000000", "--port=0", "gathered");
    uint32_t next = 0;
    leat_sender *sender = open_sender("gathered", NULL);
    struct client client = connect_client(&server, 0);
    join(&client, sender, &next);
    for (int round = 0; round < 5; round++) {
        assert_ok(leat_sender_drain(sender, LATER));
        harness_stop(server.pid);
        while (leat_send(sender, &next, sizeof next, LEAT_NOW) == LEAT_OK)
            next++;
        harness_continue(server.pid);
        catch_up(&client, next); /* with nothing else to wake it */
    }
    end_server(&server, "0 clients dropped");
    close(client.socket);
    leat_sender_close(sender);
}

/* One client does not read, another one does; 20 MB. Gives the slow one, and what comes next. */
static struct client flood_a_slow_client(struct server *server, leat_sender *sender,
                                         uint32_t *next) {
    struct client slow = connect_client(server, 4096), fast = connect_client(server, 0);
    join(&slow, sender, next);
    join(&fast, sender, next);
    for (int i = 0; i < 400; i++) {
        for (int j = 0; j < 50; j++)
            send_number(sender, (*next)++, 1000);
        catch_up(&fast, *next);
    }
    close(fast.socket);
    return slow;
}

static void a_slow_client_is_dropped_and_has_no_gaps(void **state) {
    (void)state;
    struct server server = start_server("100000", "--port=0", "slow");
    uint32_t next = 0;
    leat_sender *sender = open_sender("slow", NULL);
    struct client slow = flood_a_slow_client(&server, sender, &next);
    while (expect_next(&slow))
        ;
    assert_true(slow.next < next);
    close(slow.socket);
    end_server(&server, "1 clients dropped, 0 messages skipped");
    leat_sender_close(sender);
}

static void with_skip_a_slow_client_stays_and_misses_whole_messages(void **state) {
    (void)state;
    struct server server = start_server("100000", "--skip", "skip");
    uint32_t next = 0, number = 0, size = 0, gaps = 0;
    leat_sender *sender = open_sender("skip", NULL);
    struct client slow = flood_a_slow_client(&server, sender, &next);
    const uint32_t flooded = next;
    do {
        if (!is_readable(slow.socket, 10))
            send_number(sender, next++, 1000);
        assert_true(read_number(&slow, &number, &size));
        assert_true(number >= slow.next && (size == 1000 || size == 8));
        gaps += number > slow.next;
        slow.next = number + 1;
    } while (number < flooded);
    assert_true(gaps > 0);
    end_server(&server, "0 clients dropped");
    close(slow.socket);
    leat_sender_close(sender);
}

static void a_fan_out_ends_although_a_client_reads_nothing(void **state) {
    (void)state;
    struct server server = start_server("100000000", "--port=0", "stuck");
    uint32_t next = 0;
    leat_sender *sender = open_sender("stuck", NULL);
    struct client stuck = connect_client(&server, 4096);
    join(&stuck, sender, &next);
    for (int i = 0; i < 20000; i++)
        send_number(sender, next++, 1000);
    assert_ok(leat_sender_drain(sender, LATER));
    end_server(&server, "0 clients dropped");
    while (expect_next(&stuck)) /* what it got has no gaps */
        ;
    assert_true(stuck.next < next);
    close(stuck.socket);
    leat_sender_close(sender);
}

static void a_fan_out_says_what_is_wrong(void **state) {
    (void)state;
    struct server server = start_server("100000", "--lines", "wrong");
    char port[8];
    snprintf(port, sizeof port, "%u", server.port);
    expect_failure(1, "LEAT_EBUSY", HARNESS_ARGV(example("fan_out_tcp"), "wrong"));
    expect_failure(1, "cannot listen on '127.0.0.1 port",
                   HARNESS_ARGV(example("fan_out_tcp"), "--port", port, "other"));
    expect_failure(1, "cannot listen on 'nowhere port",
                   HARNESS_ARGV(example("fan_out_tcp"), "--host", "nowhere", "other"));
    expect_failure(2, "--port takes a number from 0 to 65535, not 'x'",
                   HARNESS_ARGV(example("fan_out_tcp"), "--port", "x", "other"));
    expect_failure(2, "usage: ", HARNESS_ARGV(example("fan_out_tcp")));
    leat_sender *sender = open_sender("wrong", NULL);
    struct client client = connect_client(&server, 0);
    do
        send_text(sender, "a line");
    while (!is_readable(client.socket, 10));
    char line[7];
    assert_true(read_all(client.socket, line, sizeof line));
    assert_memory_equal(line, "a line\n", sizeof line);
    end_server(&server, "0 clients dropped");
    close(client.socket);
    leat_sender_close(sender);
    assert_int_equal(harness_names_left(), 0);
}

/* --- echo_pair -------------------------------------------------------------------------------- */

static void an_echo_pair_measures_itself(void **state) {
    (void)state;
    struct harness_output output;
    harness_run_command(
        &output, HARNESS_ARGV(example("echo_pair"), "--count", "2000", "--size", "8"), NULL, 0);
    assert_int_equal(output.exit_code, 0);
    assert_non_null(strstr(output.out, "round trip of 8 B, 1 in flight, 2000 messages: p50 "));
    /* More in flight than the channel holds: the answers have to wait. */
    harness_run_command(&output,
                        HARNESS_ARGV(example("echo_pair"), "--count", "20000", "--size", "1000",
                                     "--window", "20000"),
                        NULL, 0);
    assert_int_equal(output.exit_code, 0);
    assert_non_null(strstr(output.out, " messages/s\n"));
    expect_failure(2, "--size takes", HARNESS_ARGV(example("echo_pair"), "--size", "1"));
    assert_int_equal(harness_names_left(), 0);
}

/* The process that it started, once it has. */
static pid_t child_of(pid_t pid) {
    char path[64];
    long child = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    for (uint64_t until = harness_now() + 10000000000u; child == 0 && harness_now() < until;
         usleep(1000)) {
        FILE *file = fopen(path, "r");
        if (file == NULL || fscanf(file, "%ld", &child) != 1)
            child = 0;
        if (file != NULL)
            fclose(file);
    }
    assert_true(child > 0);
    return (pid_t)child;
}

static void each_side_of_an_echo_pair_notices_the_others_death(void **state) {
    (void)state;
    int err;
    pid_t pid = start(NULL, &err, "echo_pair", "--count", "10000000");
    kill(child_of(pid), SIGKILL);
    harness_wait_exit(pid, 1);
    harness_read_until(err, "the answering process ");
    close(err);
    pid = start(NULL, NULL, "echo_pair", "--count", "10000000");
    leat_channel_info info;
    char name[64];
    snprintf(name, sizeof name, "echo-pair-%d", (int)pid);
    child_of(pid);
    while (leat_channel_stat(name, LEAT_LOCAL, &info) != LEAT_OK || info.received.messages == 0)
        usleep(1000);
    harness_kill(pid);
    harness_wait_adopted(); /* the other one ends by itself */
    assert_ok(leat_gc(LEAT_LOCAL, NULL, NULL));
}

/* --- epoll_loop ------------------------------------------------------------------------------- */

static void a_flooded_epoll_loop_serves_other_channels_the_timer_and_signals(void **state) {
    (void)state;
    int out, err;
    harness_word *stop = harness_shared(sizeof *stop);
    leat_sender *sender = open_sender("backlog", NULL);
    for (uint32_t number = 0; number < 1000; number++)
        send_number(sender, number, 8);
    pid_t pid = start(&out, &err, "epoll_loop", "--budget", "100", "--period", "20", "flood",
                      "quiet", "backlog");
    /* more than one budget, and nothing else to wake it */
    harness_read_until(out, "backlog: 1000 messages, 8000 bytes\n");
    pid_t flooding = harness_spawn(flood, stop);
    harness_read_until(out, "quiet: 0 messages, 0 bytes\n");
    struct burst burst = {"quiet", 0, 1000, true};
    harness_wait_signal(harness_spawn(send_burst, &burst), SIGKILL);
    harness_read_until(err, "quiet: the sender died");
    harness_read_until(out, "quiet: 1000 messages, 100000 bytes\n");
    burst.dies = false;
    harness_wait_ok(harness_spawn(send_burst, &burst));
    assert_non_null(strstr(harness_read_until(err, "quiet: the sender has closed"),
                           "quiet: the sender is there again"));
    harness_read_until(out, "quiet: 2000 messages, 200000 bytes\n");
    end_in_order(pid); /* in the middle of the flood */
    leat_sender_close(sender);
    harness_set(stop, 1);
    harness_wait_ok(flooding);
    close(out);
    close(err);
    assert_int_equal(harness_names_left(), 0);
}

static void an_epoll_loop_prints_what_comes_and_says_what_is_wrong(void **state) {
    (void)state;
    int out;
    leat_sender *sender = open_sender("print", NULL);
    send_text(sender, "one");
    send_text(sender, "two");
    pid_t pid = start(&out, NULL, "epoll_loop", "--print", "--period", "3600000", "other", "print");
    harness_read_until(out, "print: one\nprint: two\n");
    expect_failure(1, "LEAT_EBUSY", HARNESS_ARGV(example("epoll_loop"), "print"));
    expect_failure(2, "--budget takes", HARNESS_ARGV(example("epoll_loop"), "--budget", "0", "x"));
    expect_failure(2, "usage: ", HARNESS_ARGV(example("epoll_loop")));
    end_in_order(pid);
    harness_read_until(out, "print: 2 messages, 6 bytes\n");
    close(out);
    leat_sender_close(sender);
    assert_int_equal(harness_names_left(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(clients_and_senders_of_a_fan_out_come_and_go),
        HARNESS_TEST(what_gathered_while_a_fan_out_was_stopped_is_passed_on_at_once),
        HARNESS_TEST(a_slow_client_is_dropped_and_has_no_gaps),
        HARNESS_TEST(with_skip_a_slow_client_stays_and_misses_whole_messages),
        HARNESS_TEST(a_fan_out_ends_although_a_client_reads_nothing),
        HARNESS_TEST(a_fan_out_says_what_is_wrong),
        HARNESS_TEST(an_echo_pair_measures_itself),
        HARNESS_TEST(each_side_of_an_echo_pair_notices_the_others_death),
        HARNESS_TEST(a_flooded_epoll_loop_serves_other_channels_the_timer_and_signals),
        HARNESS_TEST(an_epoll_loop_prints_what_comes_and_says_what_is_wrong),
    };
    return HARNESS_MAIN("examples", tests);
}
