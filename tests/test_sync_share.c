/* test_sync_share.c - mutexes, events and semaphores without a name, and those that travel by
 * descriptor: taken from one, sent over a socket, inherited by a program that is started. The
 * program that is started is this one, with an argument. */
#include <fcntl.h>
#include <leat/sync.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel_pair.h"
#include "handles.h"

#define E(event) leat_event_waitable(event)
#define M(mutex) leat_mutex_waitable(mutex)
#define S(semaphore) leat_semaphore_waitable(semaphore)

static int descriptor_of(const leat_waitable *object) {
    int descriptor = -1;
    assert_ok(leat_sync_descriptor(object, false, &descriptor));
    assert_int_equal(fcntl(descriptor, F_GETFD), FD_CLOEXEC);
    return descriptor;
}

struct three {
    leat_mutex *mutex;
    leat_event *event;
    leat_semaphore *semaphore;
};

static struct three make_three(void) {
    struct three three = {NULL, NULL, NULL};
    leat_sync_options manual = {.manual_reset = true, .anonymous = true};
    assert_ok(leat_mutex_open(&three.mutex, NULL, &without_name));
    assert_ok(leat_event_open(&three.event, NULL, &manual));
    assert_ok(leat_semaphore_open(&three.semaphore, NULL, 2, 5, &without_name));
    return three;
}

static void close_three(struct three *three) {
    leat_mutex_close(three->mutex);
    leat_event_close(three->event);
    leat_semaphore_close(three->semaphore);
}

static struct three again(const struct three *three) {
    struct three other = {NULL, NULL, NULL};
    int descriptors[] = {descriptor_of(M(three->mutex)), descriptor_of(E(three->event)),
                         descriptor_of(S(three->semaphore))};
    assert_ok(leat_mutex_open_descriptor(&other.mutex, descriptors[0], NULL));
    assert_ok(leat_event_open_descriptor(&other.event, descriptors[1], NULL));
    assert_ok(leat_semaphore_open_descriptor(&other.semaphore, descriptors[2], NULL));
    for (int i = 0; i < 3; i++)
        close(descriptors[i]);
    return other;
}

static void object_without_a_name_is_shared_by_its_descriptor(void **state) {
    (void)state;
    struct three one = make_three(), other = again(&one);
    assert_int_equal(harness_names_left(), 0);
    assert_true(mutex_created(one.mutex) && event_created(one.event) &&
                semaphore_created(one.semaphore));
    assert_false(mutex_created(other.mutex) || event_created(other.event) ||
                 semaphore_created(other.semaphore));
    assert_ok(leat_mutex_lock(one.mutex, LEAT_NOW));
    assert_leat(leat_mutex_lock(other.mutex, LEAT_NOW), LEAT_EAGAIN);
    leat_sync_info info;
    assert_ok(leat_waitable_info(M(other.mutex), &info));
    assert_true(info.held && info.holder == (uint32_t)getpid() && info.handles == 2);
    assert_ok(leat_waitable_info(M(one.mutex), &info));
    assert_true(info.held && info.handles == 2);
    assert_ok(leat_event_set(other.event));
    assert_ok(leat_wait(E(one.event), LEAT_NOW));
    assert_ok(leat_waitable_info(E(one.event), &info));
    assert_true(info.kind == LEAT_KIND_EVENT && info.manual_reset && info.set);
    assert_int_equal(semaphore_maximum(other.semaphore), 5);
    assert_ok(leat_wait(S(other.semaphore), LEAT_NOW));
    assert_int_equal(semaphore_count(one.semaphore), 1);
    close_three(&one); /* it lives as long as one handle */
    assert_leat(leat_mutex_lock(other.mutex, LEAT_NOW), LEAT_EOWNERDEAD);
    leat_waitable *all[] = {M(other.mutex), E(other.event), S(other.semaphore)};
    assert_ok(leat_mutex_unlock(other.mutex));
    assert_ok(leat_wait_all(all, 3, LEAT_NOW));
    assert_int_equal(semaphore_count(other.semaphore), 0);
    close_three(&other);
}

static int receive_and_use(void *context) {
    int socket = *(int *)context;
    struct three three;
    assert_ok(receive_mutex(&three.mutex, socket, NULL, LATER));
    assert_ok(receive_event(&three.event, socket, NULL, LATER));
    assert_ok(receive_semaphore(&three.semaphore, socket, NULL, LATER));
    assert_ok(leat_wait(S(three.semaphore), LATER)); /* all are taken: one comes back */
    assert_leat(leat_mutex_lock(three.mutex, LEAT_NOW), LEAT_EAGAIN);
    assert_ok(leat_event_set(three.event));
    assert_ok(leat_mutex_lock(three.mutex, LATER));
    raise(SIGKILL);
    return 1;
}

static void objects_travel_over_a_socket(void **state) {
    (void)state;
    int sockets[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    /* before they exist: it inherits nothing */
    pid_t child = harness_spawn(receive_and_use, &sockets[1]);
    struct three three = make_three();
    assert_ok(leat_mutex_lock(three.mutex, LEAT_NOW));
    assert_ok(leat_wait(S(three.semaphore), LEAT_NOW));
    assert_ok(leat_wait(S(three.semaphore), LEAT_NOW));
    assert_ok(send_waitable(M(three.mutex), sockets[0], LATER));
    assert_ok(send_waitable(E(three.event), sockets[0], LATER));
    assert_ok(send_waitable(S(three.semaphore), sockets[0], LATER));
    assert_ok(leat_semaphore_release(three.semaphore, 1, NULL));
    assert_ok(leat_wait(E(three.event), LATER));
    assert_ok(leat_mutex_unlock(three.mutex));
    harness_wait_signal(child, SIGKILL);
    assert_leat(leat_mutex_lock(three.mutex, LATER), LEAT_EOWNERDEAD);
    assert_ok(leat_mutex_unlock(three.mutex));
    close_three(&three);
    close(sockets[0]), close(sockets[1]);
}

/* What the started program does. */
static int use_inherited(int descriptor) {
    leat_event *event = NULL;
    int result = leat_event_open_descriptor(&event, descriptor, NULL);
    if (result == LEAT_OK)
        result = leat_event_set(event);
    leat_event_close(event);
    return result == LEAT_OK ? 0 : 3;
}

static int start_this_program(void *context) {
    char number[20];
    snprintf(number, sizeof number, "%d", *(int *)context);
    execl("/proc/self/exe", "test_sync_share", number, (char *)NULL);
    return 4;
}

static void started_program_inherits_the_descriptor_made_for_it(void **state) {
    (void)state;
    leat_event *event = NULL;
    int descriptor = -1;
    assert_ok(leat_event_open(&event, NULL, &without_name));
    assert_ok(leat_sync_descriptor(E(event), true, &descriptor));
    assert_int_equal(fcntl(descriptor, F_GETFD), 0);
    harness_wait_ok(harness_spawn(start_this_program, &descriptor));
    assert_ok(leat_wait(E(event), LEAT_NOW));
    close(descriptor);
    leat_event_close(event);
}

/* A handle by descriptor is a user like any other: the name goes with the last of them. */
static void object_with_a_name_can_be_passed_too(void **state) {
    (void)state;
    leat_semaphore *named = NULL, *other = NULL, *later = NULL;
    assert_ok(leat_semaphore_open(&named, "handed", 1, 1, NULL));
    int descriptor = descriptor_of(S(named));
    assert_ok(leat_semaphore_open_descriptor(&other, descriptor, NULL));
    assert_ok(leat_wait(S(other), LEAT_NOW));
    assert_leat(leat_wait(S(named), LEAT_NOW), LEAT_EAGAIN);
    leat_semaphore_close(named);
    assert_ok(leat_semaphore_open(&later, "handed", 1, 1, NULL));
    assert_false(semaphore_created(later));
    assert_leat(leat_wait(S(later), LEAT_NOW), LEAT_EAGAIN);
    close(descriptor);
    leat_semaphore_close(later);
    assert_int_equal(harness_names_left(), 1);
    leat_semaphore_close(other);
    assert_int_equal(harness_names_left(), 0);
}

static void descriptor_of_another_object_is_refused(void **state) {
    (void)state;
    struct three three = make_three(), none = {NULL, NULL, NULL};
    leat_sync_options persistent = {.anonymous = true, .persistent = true},
                      existing = {.anonymous = true, .mode = LEAT_OPEN};
    assert_leat(leat_event_open(&none.event, NULL, &persistent), LEAT_EINVAL);
    assert_leat(leat_event_open(&none.event, NULL, &existing), LEAT_EINVAL);
    assert_leat(leat_event_open(&none.event, "named", &without_name), LEAT_EINVAL);
    assert_leat(leat_event_open(&none.event, NULL, NULL), LEAT_ENAME);
    assert_leat(leat_event_open_descriptor(NULL, 0, NULL), LEAT_EINVAL);
    int event = descriptor_of(E(three.event)), empty = memfd_create("empty", MFD_CLOEXEC),
        null = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_leat(leat_mutex_open_descriptor(&none.mutex, event, NULL), LEAT_EKIND);
    assert_leat(leat_semaphore_open_descriptor(&none.semaphore, event, NULL), LEAT_EKIND);
    assert_leat(leat_event_open_descriptor(&none.event, empty, NULL), LEAT_EKIND);
    assert_leat(leat_event_open_descriptor(&none.event, null, NULL), LEAT_EKIND);
    assert_leat(leat_event_open_descriptor(&none.event, -1, NULL), LEAT_EINVAL);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", event);
    int only_read = open(path, O_RDONLY | O_CLOEXEC);
    assert_leat(leat_event_open_descriptor(&none.event, only_read, NULL), LEAT_EACCES);
    assert_leat(leat_sync_descriptor(NULL, false, &event), LEAT_EINVAL);
    assert_leat(leat_sync_descriptor(E(three.event), false, NULL), LEAT_EINVAL);
    close(event), close(empty), close(null), close(only_read);
    close_three(&three);
}

/* Takes an object for one of another kind; the error comes after the descriptor left the socket. */
static void object_of_the_wrong_kind_in_a_socket_is_refused(void **state) {
    (void)state;
    int sockets[2];
    struct three three = make_three(), none = {NULL, NULL, NULL};
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
    assert_ok(send_waitable(E(three.event), sockets[0], LEAT_NOW));
    assert_leat(receive_mutex(&none.mutex, sockets[1], NULL, LEAT_NOW), LEAT_EKIND);
    assert_leat(receive_mutex(&none.mutex, sockets[1], NULL, SOON), LEAT_ETIMEDOUT);
    close(sockets[0]);
    assert_leat(receive_mutex(&none.mutex, sockets[1], NULL, LEAT_FOREVER), LEAT_ECLOSED);
    assert_leat(send_waitable(M(three.mutex), sockets[1], LEAT_FOREVER), LEAT_ECLOSED);
    close(sockets[1]);
    close_three(&three);
}

int main(int argc, char **argv) {
    if (argc > 1)
        return use_inherited(atoi(argv[1]));
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(object_without_a_name_is_shared_by_its_descriptor),
        HARNESS_TEST(objects_travel_over_a_socket),
        HARNESS_TEST(started_program_inherits_the_descriptor_made_for_it),
        HARNESS_TEST(object_with_a_name_can_be_passed_too),
        HARNESS_TEST(descriptor_of_another_object_is_refused),
        HARNESS_TEST(object_of_the_wrong_kind_in_a_socket_is_refused),
    };
    return HARNESS_MAIN("sync_share", tests);
}
