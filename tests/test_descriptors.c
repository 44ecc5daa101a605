/* test_descriptors.c - no descriptor that the library keeps has a number below 3, whichever of the
 * standard streams are closed when it is made. So a program never prints into an object, or reads
 * from one. Descriptors that the library gives to programs are above 2 too. */
#include "handles.h"
#include "harness.h"
#include "leat/remote.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define SUBSETS 8 /* of the three streams, as bits */

static void close_streams(unsigned subset) {
    for (int stream = 0; stream < 3; stream++)
        if ((subset & 1u << stream) != 0)
            close(stream);
}

/* In a child, which reports the error by its exit code: it may have no stream to print to. */
static int count_taken(unsigned subset) {
    int taken = 0;
    for (int stream = 0; stream < 3; stream++)
        taken += (subset & 1u << stream) != 0 && fcntl(stream, F_GETFD) >= 0;
    return taken;
}

/* A program that ignores the state of its streams. */
static void print_something(void) {
    static const char text[] = "this is printed, over and over, and should be nobody's header\n";
    for (int stream = 0; stream < 3; stream++)
        for (int i = 0; i < 20; i++) {
            ssize_t ignored = write(stream, text, sizeof text - 1);
            (void)ignored;
        }
}

struct plan {
    unsigned subset;
    int (*run)(void);
    int socket, file; /* made before the streams are closed */
};

enum { FINE = 0, TAKEN = 1, FAILED = 2, DAMAGED = 3, CODE = 100 }; /* CODE: and minus the code */

static struct plan *current;

static int run_plan(void *context) {
    struct plan *plan = context;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int stream = 0; stream < 3; stream++)
        dup2(null, stream); /* streams that stay open print to /dev/null */
    close(null);
    current = plan;
    close_streams(plan->subset);
    return plan->run();
}

static void for_all_subsets(int (*run)(void)) {
    static const char *const meanings[] = {"fine", "took the number of a stream", "failed",
                                           "was damaged by what was printed"};
    for (unsigned subset = 0; subset < SUBSETS; subset++) {
        struct plan plan = {.subset = subset, .run = run, .socket = -1, .file = -1};
        int pair[2];
        char path[300];
        snprintf(path, sizeof path, "%s/plain", harness_directory());
        plan.file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(ftruncate(plan.file, 4096), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        leat_region *region;
        assert_ok(create_region(&region, NULL, 4096, NULL));
        assert_ok(send_region(region, LEAT_READ_WRITE, pair[0], LEAT_NOW));
        leat_region_close(region);
        leat_mutex *mutex;
        assert_ok(leat_mutex_open(&mutex, NULL, &without_name));
        assert_ok(send_waitable(leat_mutex_waitable(mutex), pair[0], LEAT_NOW));
        leat_mutex_close(mutex);
        plan.socket = pair[1];
        int status = harness_wait(harness_spawn(run_plan, &plan));
        int code = status >= 0 && (status & 0x7f) == 0 ? status >> 8 & 0xff : FAILED;
        if (code >= CODE)
            harness_fail("closed streams %u%u%u: %s", subset & 1u, subset >> 1 & 1u,
                         subset >> 2 & 1u, leat_error_name(CODE - code));
        if (code != FINE)
            harness_fail("closed streams %u%u%u: the handle %s", subset & 1u, subset >> 1 & 1u,
                         subset >> 2 & 1u, meanings[code <= DAMAGED ? code : FAILED]);
        close(pair[0]);
        close(pair[1]);
        close(plan.file);
        unlink(path);
    }
}

/* --- Channels, sync objects and regions ------------------------------------------------------- */

static int hold_channel(void) {
    leat_sender *sender;
    leat_receiver *receiver;
    leat_channel_info info;
    char text[8];
    size_t size;
    if (leat_sender_open(&sender, "channel", NULL) != LEAT_OK ||
        leat_receiver_open(&receiver, "channel", NULL) != LEAT_OK)
        return FAILED;
    if (count_taken(current->subset) != 0)
        return TAKEN;
    print_something();
    if (leat_channel_stat("channel", LEAT_LOCAL, &info) != LEAT_OK ||
        leat_send(sender, "hello", 5, LEAT_NOW) != LEAT_OK ||
        leat_recv(receiver, text, sizeof text, &size, LEAT_NOW) != LEAT_OK ||
        memcmp(text, "hello", 5) != 0)
        return DAMAGED;
    leat_sender_close(sender);
    leat_receiver_close(receiver);
    return FINE;
}

static void channel_takes_no_number_of_a_stream(void **state) {
    (void)state;
    for_all_subsets(hold_channel);
}

static int hold_sync_objects(void) {
    leat_mutex *mutex;
    leat_event *event;
    leat_semaphore *semaphore;
    if (leat_mutex_open(&mutex, "mutex", NULL) != LEAT_OK ||
        leat_event_open(&event, NULL, &without_name) != LEAT_OK ||
        leat_semaphore_open(&semaphore, "semaphore", 1, 2, NULL) != LEAT_OK)
        return FAILED;
    if (count_taken(current->subset) != 0)
        return TAKEN;
    print_something();
    leat_sync_info info;
    if (leat_sync_stat("mutex", LEAT_LOCAL, &info) != LEAT_OK ||
        leat_mutex_lock(mutex, LEAT_NOW) != LEAT_OK || leat_mutex_unlock(mutex) != LEAT_OK ||
        leat_wait(leat_semaphore_waitable(semaphore), LEAT_NOW) != LEAT_OK)
        return DAMAGED;
    leat_mutex_close(mutex);
    leat_event_close(event);
    leat_semaphore_close(semaphore);
    return FINE;
}

static void sync_objects_take_no_number_of_a_stream(void **state) {
    (void)state;
    for_all_subsets(hold_sync_objects);
}

static bool is_clean(const leat_region *region) {
    const char *bytes = leat_region_data(region);
    for (uint64_t i = 0; i < leat_region_size(region); i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

static int hold_regions(void) {
    leat_region *regions[6];
    leat_mutex *mutex;
    char path[300];
    snprintf(path, sizeof path, "%s/made", harness_directory());
    leat_region_options reading = {.access = LEAT_READ_ONLY};
    if (create_region(&regions[0], "region", 4096, NULL) != LEAT_OK ||
        open_region(&regions[1], "region", 0, &reading) != LEAT_OK ||
        create_region(&regions[2], NULL, 4096, NULL) != LEAT_OK ||
        file_region(&regions[3], path, LEAT_CREATE, 4096, NULL) != LEAT_OK ||
        leat_region_open_descriptor(&regions[4], current->file, 0, NULL) != LEAT_OK ||
        receive_region(&regions[5], current->socket, 0, NULL, LEAT_NOW) != LEAT_OK ||
        receive_mutex(&mutex, current->socket, NULL, LEAT_NOW) != LEAT_OK)
        return FAILED;
    if (count_taken(current->subset) != 0)
        return TAKEN;
    print_something();
    for (int i = 0; i < 6; i++) {
        if (!is_clean(regions[i]))
            return DAMAGED;
        leat_region_close(regions[i]);
    }
    leat_mutex_close(mutex);
    unlink(path);
    return FINE;
}

static void regions_of_each_origin_take_no_number_of_a_stream(void **state) {
    (void)state;
    for_all_subsets(hold_regions);
}

static int get_descriptors(void) {
    leat_region *region;
    leat_mutex *mutex;
    int given[3] = {-1, -1, -1};
    if (create_region(&region, "region", 4096, NULL) != LEAT_OK ||
        leat_mutex_open(&mutex, "mutex", NULL) != LEAT_OK ||
        leat_region_descriptor(region, LEAT_READ_WRITE, false, &given[0]) != LEAT_OK ||
        leat_region_descriptor(region, LEAT_READ_ONLY, true, &given[1]) != LEAT_OK ||
        leat_sync_descriptor(leat_mutex_waitable(mutex), false, &given[2]) != LEAT_OK)
        return FAILED;
    if (count_taken(current->subset) != 0)
        return TAKEN;
    for (int i = 0; i < 3; i++)
        close(given[i]);
    leat_region_close(region);
    leat_mutex_close(mutex);
    return FINE;
}

static void descriptors_that_are_given_out_are_above_the_streams(void **state) {
    (void)state;
    for_all_subsets(get_descriptors);
}

/* The limit at which so many numbers above the streams are free. What runs the test may have left
 * descriptors open, in any places. */
static rlim_t limit_for(unsigned room) {
    rlim_t limit = STDERR_FILENO + 1;
    for (; room > 0; limit++)
        room -= fcntl((int)limit, F_GETFD) < 0;
    return limit;
}

static int map_into_itself(unsigned room, int expected) {
    leat_region *region;
    uint64_t address;
    struct rlimit limit;
    if (create_region(&region, NULL, 4096, NULL) != LEAT_OK)
        return FAILED;
    getrlimit(RLIMIT_NOFILE, &limit);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit_for(room);
    setrlimit(RLIMIT_NOFILE, &limit);
    int code = leat_region_map_into(region, getpid(), &address);
    limit.rlim_cur = before;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (code == LEAT_OK && leat_region_unmap_from(getpid(), address) != LEAT_OK)
        return FAILED;
    leat_region_close(region);
    return code == expected ? FINE : CODE - code;
}

/* Mapping takes two descriptors of the region's memory. Where only one is free above the streams,
 * the other could only be a stream's. */
static int map_with_room_for_one(void) {
    return map_into_itself(1, LEAT_ELIMIT);
}

static int map_with_room_for_two(void) {
    return map_into_itself(2, LEAT_OK);
}

static void mapping_into_a_process_takes_no_number_of_a_stream(void **state) {
    (void)state;
    for_all_subsets(map_with_room_for_one);
    for_all_subsets(map_with_room_for_two);
}

/* --- Waiting ---------------------------------------------------------------------------------- */

static void *send_late(void *context) {
    usleep(200000); /* by then the receiver has made what it sleeps on */
    return (void *)(intptr_t)leat_send(context, "hello", 5, LEAT_NOW);
}

static int sleep_for_a_message(void) {
    leat_sender *sender;
    leat_receiver *receiver;
    leat_channel_options asleep = {.spin_us = LEAT_SPIN_NONE};
    char text[8];
    size_t size;
    pthread_t thread;
    if (leat_sender_open(&sender, "channel", NULL) != LEAT_OK ||
        leat_receiver_open(&receiver, "channel", &asleep) != LEAT_OK ||
        pthread_create(&thread, NULL, send_late, sender) != 0)
        return FAILED;
    if (leat_recv(receiver, text, sizeof text, &size, leat_in_ms(20000)) != LEAT_OK)
        return FAILED;
    pthread_join(thread, NULL);
    int taken = count_taken(current->subset);
    print_something();
    if (taken != 0)
        return TAKEN;
    if (leat_recv(receiver, text, sizeof text, &size, leat_in_ms(300)) != LEAT_ETIMEDOUT)
        return DAMAGED;
    if (count_taken(current->subset) != 0)
        return TAKEN;
    leat_sender_close(sender);
    leat_receiver_close(receiver);
    return FINE;
}

static void sleeping_receiver_takes_no_number_of_a_stream(void **state) {
    (void)state;
    for_all_subsets(sleep_for_a_message);
}

static int hold_wait_set(void) {
    leat_waitset *waitset;
    leat_sender *sender;
    leat_receiver *receiver;
    leat_mutex *mutex;
    void *data;
    char text[8];
    size_t size;
    if (leat_waitset_open(&waitset) != LEAT_OK ||
        leat_sender_open(&sender, "channel", NULL) != LEAT_OK ||
        leat_receiver_open(&receiver, "channel", NULL) != LEAT_OK ||
        leat_mutex_open(&mutex, "mutex", NULL) != LEAT_OK ||
        leat_waitset_add_receiver(waitset, receiver, receiver) != LEAT_OK ||
        leat_waitset_add_sender(waitset, sender, sender) != LEAT_OK ||
        leat_waitset_add_waitable(waitset, leat_mutex_waitable(mutex), mutex) != LEAT_OK)
        return FAILED;
    for (int i = 0; i < 10 && leat_waitset_next(waitset, &data) == LEAT_OK; i++)
        if (data == mutex)
            leat_waitset_remove_waitable(leat_mutex_waitable(mutex));
    if (leat_waitset_descriptor(waitset) < 3 || count_taken(current->subset) != 0)
        return TAKEN;
    print_something();
    if (leat_send(sender, "hello", 5, LEAT_NOW) != LEAT_OK)
        return FAILED;
    if (count_taken(current->subset) != 0) /* the sender's means to wake */
        return TAKEN;
    while (leat_waitset_next(waitset, &data) == LEAT_OK && data != receiver)
        ;
    if (leat_recv(receiver, text, sizeof text, &size, LEAT_NOW) != LEAT_OK)
        return DAMAGED;
    leat_sender_close(sender);
    leat_receiver_close(receiver);
    leat_mutex_close(mutex);
    leat_waitset_close(waitset);
    return FINE;
}

static void wait_set_takes_no_number_of_a_stream(void **state) {
    (void)state;
    for_all_subsets(hold_wait_set);
}

/* --- Looking ---------------------------------------------------------------------------------- */

static int print_while_listed(const leat_object_info *info, void *context) {
    (void)context;
    (void)info;
    int taken = count_taken(current->subset);
    print_something();
    return taken != 0 ? TAKEN : 0;
}

static void print_while_collected(const leat_object_info *info, void *context) {
    *(int *)context = print_while_listed(info, NULL);
}

static int look_around(void) {
    leat_region *region, *second;
    int collected = 0;
    if (create_region(&region, "region", 4096, NULL) != LEAT_OK ||
        create_region(&second, "second", 4096, NULL) != LEAT_OK)
        return FAILED;
    int listed = leat_list(LEAT_LOCAL, print_while_listed, NULL);
    if (leat_gc(LEAT_LOCAL, print_while_collected, &collected) != LEAT_OK)
        return FAILED;
    if (!is_clean(region) || !is_clean(second))
        return DAMAGED;
    leat_region_close(region);
    leat_region_close(second);
    return listed != 0 ? listed : collected;
}

static void what_a_visitor_prints_reaches_no_object(void **state) {
    (void)state;
    for_all_subsets(look_around);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(channel_takes_no_number_of_a_stream),
        HARNESS_TEST(sync_objects_take_no_number_of_a_stream),
        HARNESS_TEST(regions_of_each_origin_take_no_number_of_a_stream),
        HARNESS_TEST(descriptors_that_are_given_out_are_above_the_streams),
        HARNESS_TEST(mapping_into_a_process_takes_no_number_of_a_stream),
        HARNESS_TEST(sleeping_receiver_takes_no_number_of_a_stream),
        HARNESS_TEST(wait_set_takes_no_number_of_a_stream),
        HARNESS_TEST(what_a_visitor_prints_reaches_no_object),
    };
    return HARNESS_MAIN("descriptors", tests);
}
