/* test_hostile_waitset.c - what other programs and hostile peers can do to a loop that waits with a
 * wait set: any bytes sent to its socket, its socket's name taken away or given to something else,
 * any value in the words that hold the socket's number, locks on any byte. No honest sender's
 * message is missed, no call is without end. LEAT_TEST_SEED repeats a run. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "channel_pair.h"
#include "channels/queue/receiver.h"
#include "channels/queue/sender.h"
#include "waitset_loop.h"

static uint64_t random_state;

static uint64_t any(void) {
    return harness_random(&random_state);
}

/* --- Notify sockets, from outside ------------------------------------------------------------- */

/* The path of the only notify socket, or an empty text; returns their number. */
static unsigned find_notify(char path[300]) {
    unsigned count = 0;
    DIR *list = opendir(harness_directory());
    assert_non_null(list);
    path[0] = 0;
    for (struct dirent *entry; (entry = readdir(list)) != NULL;)
        if (strncmp(entry->d_name, ".leat-notify-", 13) == 0 && ++count == 1)
            snprintf(path, 300, "%.200s/%.64s", harness_directory(), entry->d_name);
    closedir(list);
    return count;
}

static int connect_to(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_true(strlen(path) < sizeof address.sun_path);
    strcpy(address.sun_path, path);
    int made = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(made, (struct sockaddr *)&address, sizeof address), 0);
    return made;
}

static int bind_at(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    int made = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(made, (struct sockaddr *)&address, sizeof address), 0);
    return made;
}

/* --- A loop with a receiver, and its honest sender -------------------------------------------- */

struct loop {
    leat_waitset *waitset;
    struct pair pair;
    char notify_path[300];
};

static struct loop open_loop(const char *name) {
    struct loop loop = {.waitset = open_waitset(),
                        .pair = {open_sender(name, &sleeps), open_receiver(name, &sleeps)}};
    assert_ok(leat_waitset_add_receiver(loop.waitset, loop.pair.rx, loop.pair.rx));
    settle(loop.waitset, loop.pair.rx);
    assert_int_equal(find_notify(loop.notify_path), 1);
    return loop;
}

static void close_loop(struct loop *loop) {
    close_pair(&loop->pair);
    leat_waitset_close(loop->waitset);
    assert_int_equal(find_notify(loop->notify_path), 0);
}

/* Sends one, and requires that the loop finds it. */
static void require_message(struct loop *loop) {
    send_text(loop->pair.tx, "x");
    char byte;
    size_t size;
    int result;
    do {
        assert_ptr_equal(next_named(loop->waitset), loop->pair.rx);
        result = leat_recv(loop->pair.rx, &byte, 1, &size, LEAT_NOW);
    } while (result == LEAT_EAGAIN);
    assert_leat(result, LEAT_OK);
}

/* As often as it takes to fall asleep. */
static void go_to_sleep(struct loop *loop) {
    while (is_readable(loop->waitset, 0))
        take_marks(loop->waitset, loop->pair.rx);
}

/* --- Any bytes -------------------------------------------------------------------------------- */

static void drop_anything(int wake_count) {
    char bytes[64];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)any();
    for (unsigned count = (unsigned)(any() % 20); count > 0; count--) {
        uint64_t near = any() % 4 << 32 | any() % 20; /* tokens that there are, were, or will be */
        if (any() % 2 == 0)
            (void)send(wake_count, &near, sizeof near, MSG_DONTWAIT);
        else
            (void)send(wake_count, bytes, any() % sizeof bytes, MSG_DONTWAIT);
    }
}

static void bytes_of_strangers_in_a_socket_hide_no_message(void **state) {
    (void)state;
    random_state = harness_seed();
    struct loop loop = open_loop("bytes");
    int wake_count = connect_to(loop.notify_path);
    for (int round = 0; round < 3000; round++) {
        drop_anything(wake_count);
        if (any() % 2 == 0)
            go_to_sleep(&loop);
        require_message(&loop);
    }
    go_to_sleep(&loop); /* which ends */
    close(wake_count);
    close_loop(&loop);
}

static void socket_full_of_a_strangers_tokens_hides_no_message(void **state) {
    (void)state;
    struct loop loop = open_loop("full");
    int wake_count = connect_to(loop.notify_path);
    uint64_t token = 0;
    while (send(wake_count, &token, sizeof token, MSG_DONTWAIT) == sizeof token)
        token++;
    require_message(&loop);
    go_to_sleep(&loop);
    require_message(&loop);
    close(wake_count);
    close_loop(&loop);
}

/* Another program cannot take the loop's tokens, and the mode lets no other user send. */
static void socket_is_read_by_its_owner_alone(void **state) {
    (void)state;
    struct loop loop = open_loop("read");
    struct stat status;
    assert_int_equal(stat(loop.notify_path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(open(loop.notify_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), -1);
    require_message(&loop);
    close_loop(&loop);
}

static void socket_does_not_depend_on_the_umask(void **state) {
    (void)state;
    static const mode_t masks[] = {0, 0177, 0277, 0777};
    for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
        struct stat status;
        mode_t before = umask(masks[i]);
        leat_waitset *waitset = open_waitset();
        umask(before);
        char path[300];
        assert_int_equal(find_notify(path), 1);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0600);
        leat_waitset_close(waitset);
    }
}

/* More channels at once than a socket has room for: the others touch their files. */
static void tokens_beyond_what_a_socket_holds_are_all_noticed(void **state) {
    (void)state;
    enum { MANY = 600 };
    static struct pair pairs[MANY];
    static bool found[MANY];
    leat_waitset *waitset = open_waitset();
    leat_channel_options least = {.capacity = LEAT_CAPACITY_MIN, .spin_us = LEAT_SPIN_NONE};
    char name[24], byte;
    size_t size;
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "many-%d", i);
        pairs[i] = (struct pair){open_sender(name, &least), open_receiver(name, &least)};
        assert_ok(leat_waitset_add_receiver(waitset, pairs[i].rx, &pairs[i]));
    }
    for (struct pair *pair; (pair = next_ready(waitset)) != NULL;) /* the senders' coming */
        assert_leat(leat_recv(pair->rx, &byte, 1, &size, LEAT_NOW), LEAT_EAGAIN);
    for (int i = 0; i < MANY; i++)
        send_text(pairs[i].tx, "x");
    for (int left = MANY; left > 0;) {
        struct pair *pair = next_named(waitset);
        if (leat_recv(pair->rx, &byte, 1, &size, LEAT_NOW) != LEAT_OK)
            continue;
        assert_false(found[pair - pairs]);
        found[pair - pairs] = true;
        left--;
    }
    for (int i = 0; i < MANY; i++)
        close_pair(&pairs[i]);
    leat_waitset_close(waitset);
}

/* --- The name --------------------------------------------------------------------------------- */

enum { REMOVED, RENAMED, BY_SOCKET, BY_PIPE, BY_FILE, BY_DIRECTORY, ENDS };

static int replace(const char *path, int how) {
    char other[320];
    snprintf(other, sizeof other, "%s-other", path);
    assert_int_equal(how == RENAMED ? rename(path, other) : unlink(path), 0);
    if (how == BY_SOCKET)
        return bind_at(path);
    if (how == BY_PIPE)
        assert_int_equal(mkfifo(path, 0600), 0);
    if (how == BY_FILE)
        return open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (how == BY_DIRECTORY)
        assert_int_equal(mkdir(path, 0700), 0);
    return -1;
}

static void clear_away(const char *path) {
    char other[320];
    snprintf(other, sizeof other, "%s-other", path);
    (void)unlink(path);
    (void)rmdir(path);
    (void)unlink(other);
}

/* Noticed while the loop sleeps; by a sender that has opened the socket before, and by one that
 * searches for it afterwards. */
static void socket_that_loses_its_name_hides_no_message(void **state) {
    (void)state;
    for (int how = REMOVED; how < ENDS; how++)
        for (int woken_before = 0; woken_before < 2; woken_before++) {
            struct loop loop = open_loop("name");
            if (woken_before)
                require_message(&loop);
            go_to_sleep(&loop);
            int stranger = replace(loop.notify_path, how);
            assert_true(is_readable(loop.waitset, 5000));
            go_to_sleep(&loop);
            for (int i = 0; i < 3; i++) {
                require_message(&loop);
                go_to_sleep(&loop);
            }
            close_pair(&loop.pair);
            leat_waitset_close(loop.waitset);
            assert_int_equal(access(loop.notify_path, F_OK) == 0,
                             how > RENAMED); /* what is not its own stays */
            close(stranger);
            clear_away(loop.notify_path);
        }
}

/* The sender sends to another program's socket, and the loop finds the message all the same. */
static void token_that_a_stranger_gets_hides_no_message(void **state) {
    (void)state;
    struct loop loop = open_loop("gets");
    int stranger = replace(loop.notify_path, BY_SOCKET);
    uint64_t token = 0;
    send_text(loop.pair.tx, "x");
    assert_int_equal(recv(stranger, &token, sizeof token, MSG_DONTWAIT), sizeof token);
    assert_int_not_equal(token, 0);
    char byte;
    size_t size;
    assert_ptr_equal(next_named(loop.waitset), loop.pair.rx);
    assert_ok(leat_recv(loop.pair.rx, &byte, 1, &size, LEAT_NOW));
    go_to_sleep(&loop);
    require_message(&loop);
    assert_int_equal(recv(stranger, &token, sizeof token, MSG_DONTWAIT), -1);
    close_pair(&loop.pair);
    leat_waitset_close(loop.waitset);
    close(stranger);
    clear_away(loop.notify_path);
}

static void event_is_noticed_without_a_socket(void **state) {
    (void)state;
    leat_waitset *waitset = open_waitset();
    leat_event *event;
    assert_ok(leat_event_open(&event, "event", NULL));
    assert_ok(leat_waitset_add_waitable(waitset, leat_event_waitable(event), event));
    assert_null(next_ready(waitset));
    char path[300];
    assert_int_equal(find_notify(path), 1);
    clear_away(path);
    for (int i = 0; i < 3; i++) {
        while (is_readable(waitset, 0))
            assert_null(next_ready(waitset));
        assert_ok(leat_event_set(event));
        assert_ptr_equal(next_named(waitset), event);
        assert_ok(leat_wait(leat_event_waitable(event), LEAT_NOW));
    }
    leat_event_close(event);
    leat_waitset_close(waitset);
}

/* --- Where sockets are not possible ----------------------------------------------------------- */

static void forbid_sockets(int error) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ((unsigned)error & SECCOMP_RET_DATA)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static int wait_without_sockets(void *context) {
    forbid_sockets(*(int *)context);
    struct loop loop = {
        .waitset = open_waitset(),
        .pair = {open_sender("without", &sleeps), open_receiver("without", &sleeps)}};
    assert_ok(leat_waitset_add_receiver(loop.waitset, loop.pair.rx, loop.pair.rx));
    for (int i = 0; i < 3; i++) {
        go_to_sleep(&loop);
        require_message(&loop);
    }
    close_loop(&loop);
    return 0;
}

static void process_without_sockets_waits_all_the_same(void **state) {
    (void)state;
    static const int errors[] = {EPERM, EACCES, EAFNOSUPPORT};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        harness_wait_ok(harness_spawn(wait_without_sockets, (void *)(uintptr_t)&errors[i]));
}

static int open_without_memory(void *context) {
    (void)context;
    leat_waitset *waitset;
    char path[300];
    forbid_sockets(ENOBUFS);
    int result = leat_waitset_open(&waitset);
    assert_true(result != LEAT_OK && result != LEAT_ENOTSUP);
    assert_int_equal(find_notify(path), 0);
    return 0;
}

static void socket_that_cannot_be_made_is_an_error_at_once(void **state) {
    (void)state;
    harness_wait_ok(harness_spawn(open_without_memory, NULL));
}

static void limit_descriptors(rlim_t limit) {
    struct rlimit limits;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limits), 0);
    limits.rlim_cur = limit;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limits), 0);
}

static int lowest_free(void) {
    int lowest = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(lowest);
    return lowest;
}

static int open_and_close_at_the_limit(void *context) {
    (void)context;
    char path[300];
    int opened = 0;
    leat_waitset *waitset;
    for (int limit = lowest_free(); opened < 3; limit++) {
        limit_descriptors((rlim_t)limit);
        int result = leat_waitset_open(&waitset);
        if (result == LEAT_OK)
            leat_waitset_close(waitset);
        else
            assert_leat(result, LEAT_ELIMIT);
        opened += result == LEAT_OK;
        limit_descriptors(1024);
        assert_int_equal(find_notify(path), 0);
    }
    waitset = open_waitset();
    limit_descriptors(0);
    leat_waitset_close(waitset);
    limit_descriptors(1024);
    assert_int_equal(find_notify(path), 0);
    return 0;
}

static void socket_is_not_left_at_the_limit_of_descriptors(void **state) {
    (void)state;
    harness_wait_ok(harness_spawn(open_and_close_at_the_limit, NULL));
}

static int close_elsewhere(void *context) {
    (void)context;
    char path[300];
    leat_waitset *waitset = open_waitset();
    char before[300];
    snprintf(before, sizeof before, "%s", harness_directory());
    assert_int_equal(setenv("LEAT_DIR", "/nonexistent", 1), 0);
    leat_waitset_close(waitset);
    assert_int_equal(setenv("LEAT_DIR", before, 1), 0);
    assert_int_equal(find_notify(path), 0);
    return 0;
}

static void waitset_that_is_closed_elsewhere_leaves_no_socket(void **state) {
    (void)state;
    harness_wait_ok(harness_spawn(close_elsewhere, NULL));
}

/* --- Hostile peers ---------------------------------------------------------------------------- */

/* The receiver's page as a hostile receiver writes it: the socket, the token, and how it
 * sleeps. */
static void write_anything(struct leat__role_page *page, uint64_t notify_number) {
    static const uint32_t flags[] = {0, LEAT__WATCHES, LEAT__WATCHES | LEAT__LOOPS, LEAT__LOOPS,
                                     LEAT__WATCHES | LEAT__LOOPS | LEAT__EVENTS_ONLY};
    leat__store_relaxed64(&page->notify, any() % 2 == 0 ? notify_number : any());
    leat__store_relaxed64(&page->token, any() % 2 == 0 ? any() % 4 << 32 | any() % 20 : any());
    leat__store_relaxed32(&page->waiting, (uint32_t)(any() % LEAT__TICKETS) | flags[any() % 5]);
    leat__store_relaxed32(&page->loops, (uint32_t)any());
    leat__store_relaxed32(&page->woken, (uint32_t)any());
}

/* A sender to a hostile receiver notifies the socket that it finds there: that of an honest loop
 * too. */
static void value_in_the_words_of_a_socket_hides_no_message(void **state) {
    (void)state;
    random_state = harness_seed();
    struct loop loop = open_loop("honest");
    struct pair hostile = {open_sender("hostile", &sleeps), open_receiver("hostile", &sleeps)};
    uint64_t number = strtoull(strrchr(loop.notify_path, '-') + 1, NULL, 16);
    char byte;
    size_t size;
    for (int round = 0; round < 2000; round++) {
        write_anything(hostile.rx->role.own, number);
        (void)!leat_send(hostile.tx, "y", 1, LEAT_NOW);
        (void)!leat_recv(hostile.rx, &byte, 1, &size, LEAT_NOW);
        if (any() % 4 == 0)
            go_to_sleep(&loop);
        require_message(&loop);
    }
    close_pair(&hostile);
    close_loop(&loop);
}

/* A hostile sender of a channel in the loop changes all of its own words while the loop polls:
 * calls end, and the honest channel is served. */
static void hostile_peer_in_a_loop_holds_up_no_other(void **state) {
    (void)state;
    random_state = harness_seed();
    struct loop loop = open_loop("served");
    struct pair hostile = {open_sender("hostile", &sleeps), open_receiver("hostile", &sleeps)};
    assert_ok(leat_waitset_add_receiver(loop.waitset, hostile.rx, hostile.rx));
    char byte;
    size_t size;
    for (int round = 0; round < 2000; round++) {
        struct leat__role_page *page = hostile.tx->role.own;
        leat__u32 *const words[] = {&page->wake_count, &page->waiting, &page->woken, &page->opened,
                                    &page->closed,     &page->hot,     &page->plain};
        leat__store_relaxed32(words[any() % 7], (uint32_t)any());
        write_anything(page, any());
        send_text(loop.pair.tx, "x");
        for (bool got = false; !got;) {
            leat_receiver *receiver = next_named(loop.waitset);
            int result = leat_recv(receiver, &byte, 1, &size, LEAT_NOW);
            got = receiver == loop.pair.rx && result == LEAT_OK;
        }
    }
    leat_waitset_remove_receiver(hostile.rx);
    close_pair(&hostile);
    close_loop(&loop);
}

/* All lock bytes of the channel's file, and of everything else that has a name there. */
static int lock_everything(void *context) {
    harness_word *words = context;
    DIR *list = opendir(harness_directory());
    for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
        int file = openat(dirfd(list), entry->d_name, O_RDWR | O_CLOEXEC | O_NONBLOCK);
        struct flock lock = {
            .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)1 << 62, .l_len = 64};
        for (int i = 0; file >= 0 && i < 64; i++) { /* those that are free */
            lock.l_start = ((off_t)1 << 62) + i;
            lock.l_len = 1;
            (void)fcntl(file, F_OFD_SETLK, &lock);
        }
    }
    harness_set(&words[0], 1);
    harness_await(&words[1], 1);
    return 0;
}

static void locks_on_any_byte_hold_up_no_loop(void **state) {
    (void)state;
    harness_word *words = harness_shared(2 * sizeof *words);
    struct loop loop = open_loop("locks");
    pid_t pid = harness_spawn(lock_everything, words);
    harness_await(&words[0], 1);
    for (int i = 0; i < 100; i++) {
        go_to_sleep(&loop);
        require_message(&loop);
    }
    leat_waitset *another = open_waitset();
    leat_waitset_close(another);
    harness_set(&words[1], 1);
    harness_wait_ok(pid);
    close_loop(&loop);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(bytes_of_strangers_in_a_socket_hide_no_message),
        HARNESS_TEST(socket_full_of_a_strangers_tokens_hides_no_message),
        HARNESS_TEST(socket_is_read_by_its_owner_alone),
        HARNESS_TEST(socket_does_not_depend_on_the_umask),
        HARNESS_TEST(tokens_beyond_what_a_socket_holds_are_all_noticed),
        HARNESS_TEST(socket_that_loses_its_name_hides_no_message),
        HARNESS_TEST(token_that_a_stranger_gets_hides_no_message),
        HARNESS_TEST(event_is_noticed_without_a_socket),
        HARNESS_TEST(process_without_sockets_waits_all_the_same),
        HARNESS_TEST(socket_that_cannot_be_made_is_an_error_at_once),
        HARNESS_TEST(socket_is_not_left_at_the_limit_of_descriptors),
        HARNESS_TEST(waitset_that_is_closed_elsewhere_leaves_no_socket),
        HARNESS_TEST(value_in_the_words_of_a_socket_hides_no_message),
        HARNESS_TEST(hostile_peer_in_a_loop_holds_up_no_other),
        HARNESS_TEST(locks_on_any_byte_hold_up_no_loop),
    };
    return HARNESS_MAIN("hostile_waitset", tests);
}
