/* test_region_share.c - regions without a name, and regions that travel by descriptor: taken from
 * one, given away, sent over a socket, inherited by a program that is started. The program that is
 * started is this one, with an argument. */
#include "handles.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define PAGE 4096

static const leat_region_options read_only = {.access = LEAT_READ_ONLY};
static const leat_region_options copy_on_write = {.access = LEAT_COPY_ON_WRITE};

static leat_region *anonymous(uint64_t size) {
    leat_region *region = NULL;
    assert_ok(create_region(&region, NULL, size, NULL));
    return region;
}

static int descriptor_of(const leat_region *region, leat_access access) {
    int descriptor = -1;
    assert_ok(leat_region_descriptor(region, access, false, &descriptor));
    assert_int_equal(fcntl(descriptor, F_GETFD), FD_CLOEXEC);
    return descriptor;
}

/* --- Without a name --------------------------------------------------------------------------- */

/* RT-04, W32-01, W32-07: no name, zero-filled, of the size asked for. */
static void region_without_a_name_is_reserved_zeroed_and_sealed(void **state) {
    (void)state;
    leat_region *region = anonymous(10 * PAGE + 7);
    struct stat status;
    assert_int_equal(leat_region_size(region), 10 * PAGE + 7);
    assert_int_equal(region_details(region).mapped_size, 11 * PAGE);
    assert_int_equal(region_details(region).backing, LEAT_BACKING_ANONYMOUS);
    assert_string_equal(region_details(region).name, "");
    assert_true(region_details(region).created && region_details(region).sealed);
    for (int i = 0; i < 11 * PAGE; i++)
        assert_int_equal(((char *)leat_region_data(region))[i], 0);
    int descriptor = descriptor_of(region, LEAT_READ_WRITE);
    assert_int_equal(fstat(descriptor, &status), 0);
    assert_true(status.st_blocks * 512 >= 11 * PAGE);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(ftruncate(descriptor, PAGE), -1); /* no process can shorten it: no SIGBUS */
    assert_int_equal(errno, EPERM);
    close(descriptor);
    leat_region_close(region);
    region = anonymous(0);
    assert_int_equal(leat_region_size(region), LEAT_REGION_SIZE_DEFAULT);
    leat_region_close(region);
    assert_int_equal(harness_names_left(), 0);
}

/* W32-N5: only creating goes without a name. */
static void region_without_a_name_cannot_be_opened_by_one(void **state) {
    (void)state;
    leat_region *region = NULL, *second = NULL;
    assert_leat(open_region(&region, NULL, 0, NULL), LEAT_ENAME);
    assert_ok(open_or_create_region(&region, NULL, 0, NULL));
    assert_ok(open_or_create_region(&second, NULL, 0, NULL));
    *(char *)leat_region_data(region) = 1;
    assert_int_equal(*(char *)leat_region_data(second), 0); /* another one each time */
    leat_region_close(region);
    leat_region_close(second);
    region = NULL;
    assert_leat(create_region(&region, NULL, 0, &(leat_region_options){.persistent = true}),
                LEAT_EINVAL);
    assert_leat(create_region(&region, NULL, 0, &(leat_region_options){.exclusive = true}),
                LEAT_EINVAL);
    assert_leat(create_region(&region, NULL, UINT64_MAX, NULL), LEAT_ENOSPC);
    assert_null(region);
}

static void anonymous_region_may_be_read_only_or_copied(void **state) {
    (void)state;
    leat_region *region;
    assert_ok(create_region(&region, NULL, 0, &copy_on_write));
    int descriptor = -1;
    assert_leat(leat_region_descriptor(region, LEAT_READ_WRITE, false, &descriptor), LEAT_EACCES);
    assert_leat(leat_region_descriptor(region, LEAT_COPY_ON_WRITE, false, &descriptor),
                LEAT_EINVAL);
    assert_int_equal(descriptor, -1);
    *(char *)leat_region_data(region) = 1;
    char byte = 9;
    descriptor = descriptor_of(region, LEAT_READ_ONLY);
    assert_int_equal(pread(descriptor, &byte, 1, 0), 1);
    assert_int_equal(byte, 0);
    close(descriptor);
    leat_region_close(region);
}

/* --- From a descriptor ------------------------------------------------------------------------ */

static void region_from_a_descriptor_is_the_same_memory(void **state) {
    (void)state;
    leat_region *region = anonymous(3 * PAGE + 1), *other = NULL;
    int descriptor = descriptor_of(region, LEAT_READ_WRITE);
    assert_ok(leat_region_open_descriptor(&other, descriptor, 0, NULL));
    close(descriptor); /* the handle has its own */
    assert_int_equal(leat_region_size(other), 3 * PAGE + 1);
    assert_int_equal(region_details(other).backing, LEAT_BACKING_DESCRIPTOR);
    assert_true(region_details(other).sealed && !region_details(other).created);
    assert_ok(leat_region_write(region, 3 * PAGE, "z", 1));
    assert_int_equal(((char *)leat_region_data(other))[3 * PAGE], 'z');
    leat_region_close(region);
    assert_ok(leat_region_write(other, 0, "still", 5));
    void *view;
    assert_ok(leat_view_map(other, PAGE, PAGE, NULL, LEAT_READ_WRITE, &view));
    leat_region_close(other);
    memset(view, 1, PAGE);
    assert_ok(leat_view_unmap(view));
}

/* W32-21, W32-22: what the descriptor permits. W32-08. */
static void descriptors_mode_decides_about_access(void **state) {
    (void)state;
    leat_region *region = anonymous(PAGE);
    int descriptors[4] = {descriptor_of(region, LEAT_READ_WRITE),
                          descriptor_of(region, LEAT_READ_ONLY)};
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptors[0]);
    descriptors[2] = open(path, O_WRONLY | O_CLOEXEC);
    descriptors[3] = open(path, O_PATH | O_CLOEXEC);
    for (int i = 0; i < 4; i++)
        for (int access = LEAT_READ_WRITE; access <= LEAT_COPY_ON_WRITE; access++) {
            leat_region *opened = NULL;
            bool permitted = i == 0 || (i == 1 && access != LEAT_READ_WRITE);
            assert_leat(
                leat_region_open_descriptor(&opened, descriptors[i], 0,
                                            &(leat_region_options){.access = (leat_access)access}),
                permitted ? LEAT_OK : LEAT_EACCES);
            if (permitted && access == LEAT_READ_ONLY)
                assert_leat(leat_region_write(opened, 0, "x", 1), LEAT_EACCES);
            leat_region_close(opened);
        }
    for (int i = 0; i < 4; i++)
        close(descriptors[i]);
    leat_region_close(region);
}

static void descriptor_of_no_memory_is_refused(void **state) {
    (void)state;
    leat_region *region = NULL;
    leat_sender *sender;
    int pipes[2], sockets[2], empty = memfd_create("empty", MFD_CLOEXEC);
    char path[300];
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    assert_ok(leat_sender_open(&sender, "channel", NULL));
    snprintf(path, sizeof path, "%s/channel", harness_directory());
    int channel = open(path, O_RDWR | O_CLOEXEC),
        directory = open(harness_directory(), O_RDONLY | O_DIRECTORY | O_CLOEXEC),
        device = open("/dev/null", O_RDWR | O_CLOEXEC);
    const int strangers[] = {pipes[0], pipes[1], sockets[0], directory, device, channel};
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        assert_leat(leat_region_open_descriptor(&region, strangers[i], 0, &read_only), LEAT_EKIND);
        assert_leat(leat_region_open_descriptor(&region, strangers[i], 0, NULL), LEAT_EKIND);
    }
    assert_leat(leat_region_open_descriptor(&region, empty, 0, NULL), LEAT_ESIZE);
    close(empty);
    assert_leat(leat_region_open_descriptor(&region, empty, 0, NULL), LEAT_EINVAL); /* closed */
    assert_leat(leat_region_open_descriptor(&region, -1, 0, NULL), LEAT_EINVAL);
    assert_leat(leat_region_open_descriptor(NULL, pipes[0], 0, NULL), LEAT_EINVAL);
    assert_null(region);
    leat_sender_close(sender);
    for (int i = 0; i < 2; i++)
        close(pipes[i]), close(sockets[i]);
    close(channel), close(directory), close(device);
}

/* The memory of a named region can be given away; the name is not kept alive by that (W32-27). */
static void named_regions_descriptor_keeps_memory_and_no_name(void **state) {
    (void)state;
    leat_region *named, *other = NULL;
    leat_object_info info;
    assert_ok(create_region(&named, "given", PAGE, NULL));
    int descriptor = descriptor_of(named, LEAT_READ_WRITE);
    assert_ok(leat_region_open_descriptor(&other, descriptor, 0, NULL));
    assert_false(region_details(other).sealed); /* a named file cannot be */
    assert_ok(leat_region_write(other, 0, "memory", 7));
    leat_region_close(named);
    assert_leat(leat_stat("given", LEAT_LOCAL, &info), LEAT_ENOENT);
    assert_memory_equal(leat_region_data(other), "memory", 7);
    leat_region_close(other);
    close(descriptor);
}

/* --- Inherited -------------------------------------------------------------------------------- */

/* In the program that was started. */
static int run_inherited(int descriptor, int not_inherited) {
    leat_region *region;
    if (fcntl(not_inherited, F_GETFD) != -1 ||
        leat_region_open_descriptor(&region, descriptor, 0, NULL) != LEAT_OK)
        return 2;
    int found = strcmp(leat_region_data(region), "for the child");
    strcpy(leat_region_data(region), "from the child");
    leat_region_close(region);
    return found == 0 ? 0 : 3;
}

static int start_this_program(void *context) {
    leat_region *region = anonymous(PAGE);
    int *numbers = context, closed = descriptor_of(region, LEAT_READ_WRITE);
    char first[20], second[20];
    snprintf(first, sizeof first, "%d", numbers[0]);
    snprintf(second, sizeof second, "%d", closed);
    execl("/proc/self/exe", "test_region_share", first, second, (char *)NULL);
    return 4;
}

/* W32-09. */
static void started_program_inherits_the_descriptor_made_for_it(void **state) {
    (void)state;
    leat_region *region = anonymous(PAGE);
    int descriptor = -1;
    assert_ok(leat_region_descriptor(region, LEAT_READ_WRITE, true, &descriptor));
    assert_int_equal(fcntl(descriptor, F_GETFD), 0);
    strcpy(leat_region_data(region), "for the child");
    harness_wait_ok(harness_spawn(start_this_program, &descriptor));
    assert_string_equal(leat_region_data(region), "from the child");
    close(descriptor);
    leat_region_close(region);
}

/* --- Over a socket ---------------------------------------------------------------------------- */

static int receive_and_answer(void *context) {
    int socket = *(int *)context;
    leat_region *region = NULL, *only_read = NULL;
    assert_ok(receive_region(&region, socket, 0, NULL, LEAT_FOREVER));
    assert_string_equal(leat_region_data(region), "sent");
    strcpy(leat_region_data(region), "answered");
    /* sent as read-only */
    assert_leat(receive_region(&only_read, socket, 0, NULL, LEAT_FOREVER), LEAT_EACCES);
    assert_ok(receive_region(&only_read, socket, 0, &read_only, LEAT_FOREVER));
    assert_string_equal(leat_region_data(only_read), "answered");
    leat_region_close(only_read);
    leat_region_close(region);
    return 0;
}

static void region_travels_over_a_socket(void **state) {
    (void)state;
    static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};
    for (int i = 0; i < 3; i++) {
        int sockets[2];
        assert_int_equal(socketpair(AF_UNIX, types[i] | SOCK_CLOEXEC, 0, sockets), 0);
        pid_t child = harness_spawn(receive_and_answer, &sockets[1]);
        leat_region *region = anonymous(2 * PAGE);
        strcpy(leat_region_data(region), "sent");
        assert_ok(send_region(region, LEAT_READ_WRITE, sockets[0], LEAT_FOREVER));
        assert_ok(send_region(region, LEAT_READ_ONLY, sockets[0], LEAT_FOREVER));
        assert_ok(send_region(region, LEAT_READ_ONLY, sockets[0], LEAT_FOREVER));
        harness_wait_ok(child);
        assert_string_equal(leat_region_data(region), "answered");
        leat_region_close(region);
        close(sockets[0]), close(sockets[1]);
    }
}

/* Sends so many descriptors of /dev/null with so many bytes, as a careless or hostile program
 * would. */
static void send_raw(int socket, size_t descriptors, size_t bytes) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(16 * sizeof(int))];
    } control;
    memset(&control, 0, sizeof control);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct iovec data = {"abcdefgh", bytes};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
    if (descriptors > 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(descriptors * sizeof(int));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(descriptors * sizeof(int));
        for (size_t i = 0; i < descriptors; i++)
            memcpy(CMSG_DATA(&control.header) + i * sizeof null, &null, sizeof null);
    }
    assert_int_equal(sendmsg(socket, &message, MSG_NOSIGNAL), bytes);
    close(null);
}

/* Whatever is refused leaves no descriptor behind: the harness looks. */
static void message_that_is_not_one_region_is_refused(void **state) {
    (void)state;
    int sockets[2];
    leat_region *region = NULL;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
    static const size_t counts[] = {0, 1, 2, 4, 5, 16};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        send_raw(sockets[0], counts[i], 1); /* one is right, but /dev/null is no memory */
        assert_leat(receive_region(&region, sockets[1], 0, NULL, LEAT_NOW), LEAT_EKIND);
    }
    send_raw(sockets[0], 1, 2);
    assert_leat(receive_region(&region, sockets[1], 0, NULL, LEAT_NOW), LEAT_EKIND);
    assert_leat(leat_descriptor_receive(sockets[1], NULL, LEAT_NOW), LEAT_EINVAL);
    assert_leat(receive_region(&region, sockets[1], 0, NULL, LEAT_NOW), LEAT_EAGAIN);
    assert_leat(receive_region(&region, sockets[1], 0, NULL, leat_in_ms(20)), LEAT_ETIMEDOUT);
    close(sockets[0]);
    assert_leat(receive_region(&region, sockets[1], 0, NULL, LEAT_FOREVER), LEAT_ECLOSED);
    close(sockets[1]);
    assert_null(region);
}

static void socket_that_cannot_carry_a_region_is_an_error(void **state) {
    (void)state;
    leat_region *region = anonymous(PAGE), *received = NULL;
    int sockets[2], internet = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                    alone = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int wrong[] = {internet, alone, -1};
    for (int i = 0; i < 3; i++) {
        assert_leat(send_region(region, LEAT_READ_WRITE, wrong[i], LEAT_NOW), LEAT_EINVAL);
        assert_leat(receive_region(&received, wrong[i], 0, NULL, LEAT_NOW), LEAT_EINVAL);
    }
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    int result = LEAT_OK; /* no process reads: it fills up */
    for (int i = 0; i < 100000 && result == LEAT_OK; i++)
        result = send_region(region, LEAT_READ_WRITE, sockets[0], LEAT_NOW);
    assert_true(result == LEAT_EAGAIN || result == LEAT_ELIMIT);
    if (result == LEAT_EAGAIN)
        assert_leat(send_region(region, LEAT_READ_WRITE, sockets[0], leat_in_ms(20)),
                    LEAT_ETIMEDOUT);
    close(sockets[1]);
    /* and no SIGPIPE */
    assert_leat(send_region(region, LEAT_READ_WRITE, sockets[0], LEAT_FOREVER), LEAT_ECLOSED);
    close(sockets[0]), close(internet), close(alone);
    leat_region_close(region);
}

/* Makes each single descriptor, one after another, unavailable. */
static int share_with_few_descriptors(void *context) {
    (void)context;
    int sockets[2], open_end = 0, succeeded = 0;
    leat_region *region = anonymous(PAGE);
    int descriptor = descriptor_of(region, LEAT_READ_WRITE);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
    while (fcntl(open_end, F_GETFD) != -1 || open_end <= sockets[1])
        open_end++;
    for (int room = 0; room < 6; room++) {
        leat_region *made = NULL, *taken = NULL, *received = NULL;
        struct rlimit limit = {(rlim_t)(open_end + room), 1024};
        assert_ok(send_region(region, LEAT_READ_WRITE, sockets[0], LEAT_NOW));
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        const int results[] = {
            create_region(&made, NULL, PAGE, NULL),
            leat_region_open_descriptor(&taken, descriptor, 0, NULL),
            receive_region(&received, sockets[1], 0, NULL, LEAT_NOW),
            send_region(region, LEAT_READ_WRITE, sockets[0], LEAT_NOW),
        };
        limit.rlim_cur = 1024;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        for (int i = 0; i < 4; i++) {
            assert_true(results[i] == LEAT_OK || results[i] == LEAT_ELIMIT);
            succeeded += results[i] == LEAT_OK;
        }
        assert_true(room > 0 || succeeded == 0);
        leat_region_close(made), leat_region_close(taken), leat_region_close(received);
        while (receive_region(&received, sockets[1], 0, NULL, LEAT_NOW) == LEAT_OK)
            leat_region_close(received);
        assert_int_equal(fcntl(open_end, F_GETFD), -1); /* nothing is left open */
    }
    assert_true(succeeded >= 4);
    return 0;
}

static void lack_of_descriptors_is_an_error_at_every_step(void **state) {
    (void)state;
    harness_wait_ok(harness_spawn(share_with_few_descriptors, NULL));
}

static void ignore(int signal_number) {
    (void)signal_number;
}

struct interrupted {
    int socket;
    harness_word ready;
};

static int receive_under_signals(void *context) {
    struct interrupted *shared = context;
    struct sigaction action = {.sa_handler = ignore}; /* without SA_RESTART */
    struct itimerval often = {{0, 2000}, {0, 2000}};
    leat_region *region = NULL;
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    harness_set(&shared->ready, 1);
    assert_ok(receive_region(&region, shared->socket, 0, NULL, LEAT_FOREVER));
    leat_region_close(region);
    return 0;
}

static void signals_do_not_end_the_waiting(void **state) {
    (void)state;
    int sockets[2];
    struct interrupted *shared = harness_shared(sizeof *shared);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    shared->socket = sockets[1];
    pid_t child = harness_spawn(receive_under_signals, shared);
    harness_await(&shared->ready, 1);
    usleep(50000); /* so that some signals arrive: not a synchronisation */
    leat_region *region = anonymous(PAGE);
    assert_ok(send_region(region, LEAT_READ_WRITE, sockets[0], LEAT_FOREVER));
    harness_wait_ok(child);
    leat_region_close(region);
    close(sockets[0]), close(sockets[1]);
}

/* Only a descriptor is left, under way in a socket; its sender is dead. */
static int send_and_die(void *context) {
    leat_region *region = anonymous(PAGE);
    strcpy(leat_region_data(region), "legacy");
    assert_ok(send_region(region, LEAT_READ_WRITE, *(int *)context, LEAT_NOW));
    raise(SIGKILL);
    return 1;
}

static void region_that_a_killed_process_has_sent_arrives(void **state) {
    (void)state;
    int sockets[2];
    leat_region *region = NULL;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    harness_wait_signal(harness_spawn(send_and_die, &sockets[0]), SIGKILL);
    assert_ok(receive_region(&region, sockets[1], 0, NULL, LEAT_NOW));
    assert_string_equal(leat_region_data(region), "legacy");
    leat_region_close(region);
    close(sockets[0]), close(sockets[1]);
}

/* --- Where files cannot be opened again ------------------------------------------------------- */

static int share_without_proc(void *context) {
    leat_region *first, *second = NULL, *third = NULL, *anonymous;
    const leat_region_options exclusive = {.exclusive = true};
    const char *path = context;
    int descriptor;
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        umount2("/proc", MNT_DETACH) != 0)
        return 77;
    assert_ok(file_region(&first, path, LEAT_CREATE, 4096, &exclusive));
    assert_leat(leat_region_descriptor(first, LEAT_READ_WRITE, false, &descriptor), LEAT_EACCES);
    leat_region_close(first);
    assert_ok(file_region(&first, path, LEAT_OPEN, 0, NULL));
    assert_ok(leat_region_descriptor(first, LEAT_READ_WRITE, false, &descriptor));
    assert_leat(leat_region_open_descriptor(&second, descriptor, 0, &exclusive), LEAT_EACCES);
    assert_ok(leat_region_open_descriptor(&second, descriptor, 0, NULL));
    assert_leat(leat_region_grow(second, 10000), LEAT_EACCES);
    leat_region_close(second);
    /* the first is there */
    assert_leat(file_region(&third, path, LEAT_OPEN, 0, &exclusive), LEAT_EBUSY);
    assert_ok(leat_region_grow(first, 10000));
    leat_region_close(first);
    close(descriptor);
    assert_ok(file_region(&third, path, LEAT_OPEN, 0, &exclusive));
    leat_region_close(third);
    assert_ok(create_region(&anonymous, NULL, 4096, NULL));
    assert_ok(leat_region_descriptor(anonymous, LEAT_READ_WRITE, false, &descriptor));
    assert_ok(leat_region_open_descriptor(&second, descriptor, 0, NULL));
    leat_region_close(second);
    leat_region_close(anonymous);
    return 0;
}

static void shared_open_file_keeps_the_locks_of_its_first_handle(void **state) {
    (void)state;
    char path[300];
    snprintf(path, sizeof path, "%s/file", harness_directory());
    int status = harness_wait(harness_spawn(share_without_proc, path));
    (void)unlink(path);
    if (status == 77 << 8)
        skip();
    assert_int_equal(status, 0);
}

int main(int argc, char **argv) {
    if (argc == 3)
        return run_inherited(atoi(argv[1]), atoi(argv[2]));
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(region_without_a_name_is_reserved_zeroed_and_sealed),
        HARNESS_TEST(region_without_a_name_cannot_be_opened_by_one),
        HARNESS_TEST(anonymous_region_may_be_read_only_or_copied),
        HARNESS_TEST(region_from_a_descriptor_is_the_same_memory),
        HARNESS_TEST(descriptors_mode_decides_about_access),
        HARNESS_TEST(descriptor_of_no_memory_is_refused),
        HARNESS_TEST(named_regions_descriptor_keeps_memory_and_no_name),
        HARNESS_TEST(started_program_inherits_the_descriptor_made_for_it),
        HARNESS_TEST(region_travels_over_a_socket),
        HARNESS_TEST(message_that_is_not_one_region_is_refused),
        HARNESS_TEST(socket_that_cannot_carry_a_region_is_an_error),
        HARNESS_TEST(lack_of_descriptors_is_an_error_at_every_step),
        HARNESS_TEST(signals_do_not_end_the_waiting),
        HARNESS_TEST(region_that_a_killed_process_has_sent_arrives),
        HARNESS_TEST(shared_open_file_keeps_the_locks_of_its_first_handle),
    };
    return HARNESS_MAIN("region_share", tests);
}
