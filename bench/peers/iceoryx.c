/* iceoryx.c - iceoryx, publisher to subscriber by its binding for C.
 *
 * As its manual has it: the daemon iox-roudi keeps the memory and introduces the processes to each
 * other; a message is written into a chunk that the publisher lends and read from the chunk that
 * the subscriber takes. For equal work it is copied into the one and out of the other. None is
 * lost: a publisher waits while the subscriber's queue is full. The queue gets as many messages as
 * the capacity holds, 256 at most, and fewer than the daemon's default memory pools have chunks of
 * that size. Those pools hold messages up to 4 MiB, more than any of the harness.
 *
 * Where no daemon answers, the first link of a process starts one and the last ends it. A process
 * of its own keeps it, which ends it also when the program dies, however that happens, and removes
 * what the daemon and killed processes leave. A publisher waits for a subscriber that was killed,
 * too, so a thread looks now and then whether the cell has failed.
 *
 * A process has one runtime for as long as the library is loaded, and a forked child has its
 * parent's. The harness forks again and again, so the library is loaded when a link is opened and
 * unloaded when the last is closed. Its threads, and the daemon's, inherit the one CPU of their
 * process. */
#include "kernel.h"
#include "machine.h"

#include <errno.h>
#include <grp.h>
#include <iceoryx_binding_c/api.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_MS 10000u     /* for the daemon, and for the other side */
#define QUEUE_MAX 256u     /* of iceoryx */
#define SMALL_CHUNK 16384u /* there are 1000 chunks of this size, and 200 of the next */
#define QUEUE_MAX_LARGE 128u
#define GUARD_US 50000u /* between two looks whether the cell has failed */
#define DAEMON_SOCKET "/tmp/roudi"

struct iceoryx_link {
    pid_t creator;
    char instance[32];
    uint64_t queue; /* messages */
    size_t fixed;   /* the size of each message; 0 when they differ */
    bool open;      /* in this process */
    enum role role;
    iox_pub_t publisher;
    iox_sub_t subscriber;
    iox_pub_storage_t publisher_storage;
    iox_sub_storage_t subscriber_storage;
    pthread_t guard; /* of a publisher */
    bool guarded, ended;
};

/* Whether it was reached in time. */
static bool wait_until(bool (*reached)(const void *), const void *of) {
    for (unsigned i = 0; i < WAIT_MS; i++) {
        if (reached(of))
            return true;
        usleep(1000);
    }
    return false;
}

/* --- Names ------------------------------------------------------------------------------------ */

#define NAME_SIZE 40

/* Of the process that created the link and of the one that it forked. */
static void process_name(pid_t creator, bool child, char name[NAME_SIZE]) {
    snprintf(name, NAME_SIZE, "leat_bench-%d-%s", (int)creator, child ? "child" : "parent");
}

/* What processes left that did not end well. */
static void remove_names(pid_t creator) {
    for (int i = 0; i < 4; i++) {
        char name[NAME_SIZE], path[NAME_SIZE + 16];
        process_name(creator, i / 2 != 0, name);
        snprintf(path, sizeof path, "/tmp/%s%s", name, i % 2 != 0 ? ".lock" : "");
        unlink(path);
    }
}

/* --- The daemon ------------------------------------------------------------------------------- */

static struct {
    pid_t keeper; /* 0: a daemon was there */
    unsigned users;
} roudi;

static bool roudi_answers(const void *ignored) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = DAEMON_SOCKET};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    (void)ignored;
    bool answers = fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0)
        close(fd);
    return answers;
}

/* The keeper of the daemon: starts it, ends it on SIGTERM, and clears up. The daemon that is told
 * to end aborts when a process has died that used it, and leaves what it made: its memory has the
 * name of its group, $1. One that could not start, beside another, has nothing to clear up.
 * Monitoring is off: it would take a process that had no CPU for a moment for dead. */
static const char keeper[] =
    "exec 2>/dev/null; trap 'kill $d; over=1' TERM\n"
    "\"$0\" -m off -k 1 </dev/null >/dev/null 2>&1 & d=$!\n"
    "[ -z \"$over\" ] || kill $d\n"
    "wait $d; s=$?\n"
    "if [ $s -ge 128 ] && ! wait $d; then rm -f \"/dev/shm/$1\" /dev/shm/iceoryx_mgmt "
    "/tmp/iox-unique-roudi.lock " DAEMON_SOCKET " " DAEMON_SOCKET ".lock; fi\n"
    "rm -f /tmp/leat_bench-$2-*";

/* A process of its own, so that all this happens also when its parent dies. */
static void keeper_run(pid_t parent) {
    char number[16];
    const struct group *group = getgrgid(getegid());
    snprintf(number, sizeof number, "%d", (int)parent);
    setsid(); /* Ctrl-C is for the harness, which finishes the cell at hand */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() == parent)
        execl("/bin/sh", "sh", "-c", keeper, BENCH_DAEMON, group != NULL ? group->gr_name : "none",
              number, (char *)NULL);
    _exit(127);
}

static void roudi_release(void) {
    if (--roudi.users != 0 || roudi.keeper == 0)
        return;
    kill(roudi.keeper, SIGTERM);
    while (waitpid(roudi.keeper, NULL, 0) < 0 && errno == EINTR)
        ;
    roudi.keeper = 0;
}

static bool roudi_is_decided(const void *ignored) {
    siginfo_t info = {0};
    return roudi_answers(ignored) ||
           (waitid(P_PID, (id_t)roudi.keeper, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
            info.si_pid != 0);
}

static int roudi_use(void) {
    pid_t parent = getpid();
    if (roudi.users++ != 0 || roudi_answers(NULL))
        return 0;
    roudi.keeper = fork();
    if (roudi.keeper == 0)
        keeper_run(parent);
    if (roudi.keeper > 0 && wait_until(roudi_is_decided, NULL) && roudi_answers(NULL))
        return 0;
    fprintf(stderr,
            "\niceoryx: " BENCH_DAEMON " was started, and does not answer at " DAEMON_SOCKET "\n");
    if (roudi.keeper < 0)
        roudi.keeper = 0;
    roudi_release();
    return -1;
}

/* --- The library ------------------------------------------------------------------------------ */

#define ICEORYX_FUNCTIONS(X)                                                                       \
    X(void, set_loglevel, (enum iox_LogLevel))                                                     \
    X(void, runtime_init, (const char *))                                                          \
    X(void, runtime_shutdown, (void))                                                              \
    X(void, pub_options_init, (iox_pub_options_t *))                                               \
    X(iox_pub_t, pub_init,                                                                         \
      (iox_pub_storage_t *, const char *, const char *, const char *, const iox_pub_options_t *))  \
    X(void, pub_deinit, (iox_pub_t))                                                               \
    X(enum iox_AllocationResult, pub_loan_chunk, (iox_pub_t, void **, uint32_t))                   \
    X(void, pub_publish_chunk, (iox_pub_t, void *))                                                \
    X(void, pub_stop_offer, (iox_pub_t))                                                           \
    X(bool, pub_has_subscribers, (iox_pub_t))                                                      \
    X(void, sub_options_init, (iox_sub_options_t *))                                               \
    X(iox_sub_t, sub_init,                                                                         \
      (iox_sub_storage_t *, const char *, const char *, const char *, const iox_sub_options_t *))  \
    X(void, sub_deinit, (iox_sub_t))                                                               \
    X(enum iox_ChunkReceiveResult, sub_take_chunk, (iox_sub_t, const void **))                     \
    X(void, sub_release_chunk, (iox_sub_t, const void *))

#define DECLARE(type, name, arguments) type(*name) arguments;
#define NAME(type, name, arguments) "iox_" #name,
static struct { ICEORYX_FUNCTIONS(DECLARE) } iox;
static const char *const names[] = {ICEORYX_FUNCTIONS(NAME) NULL};
static struct library library = {BENCH_LIBRARY, names, (void **)(void *)&iox, NULL, 0};

static int load(pid_t creator) {
    char name[NAME_SIZE];
    int loaded = library_load(&library);
    if (loaded > 0) {
        process_name(creator, getpid() != creator, name);
        iox.set_loglevel(Iceoryx_LogLevel_Warn);
        iox.runtime_init(name);
    }
    return loaded < 0 ? -1 : 0;
}

/* --- Links ------------------------------------------------------------------------------------ */

static bool iceoryx_create(void *handle, const struct setup *setup) {
    struct iceoryx_link *link = handle;
    static unsigned links;
    uint64_t messages = setup->capacity / size_mean(setup->size);
    uint64_t most = size_longest(setup->size) < SMALL_CHUNK ? QUEUE_MAX : QUEUE_MAX_LARGE;
    if (roudi_use() != 0)
        return false;
    link->creator = getpid();
    link->fixed = size_varies(setup->size) ? 0 : setup->size;
    link->queue = messages < 1 ? 1 : messages < most ? messages : most;
    snprintf(link->instance, sizeof link->instance, "%d-%u", (int)link->creator, links++);
    return true;
}

static bool has_subscriber(const void *handle) {
    return iox.pub_has_subscribers(((const struct iceoryx_link *)handle)->publisher);
}

/* Nobody is waited for once nothing is offered: the daemon sees to that. */
static void *guard_run(void *handle) {
    struct iceoryx_link *link = handle;
    while (!__atomic_load_n(&link->ended, __ATOMIC_RELAXED)) {
        usleep(GUARD_US);
        if (__atomic_load_n(&machine.control->state, __ATOMIC_RELAXED) > POLITE) {
            __atomic_store_n(&link->ended, true, __ATOMIC_RELAXED);
            iox.pub_stop_offer(link->publisher);
        }
    }
    return NULL;
}

static int publisher_open(struct iceoryx_link *link) {
    iox_pub_options_t options;
    iox.pub_options_init(&options);
    options.subscriberTooSlowPolicy = ConsumerTooSlowPolicy_WAIT_FOR_CONSUMER;
    link->publisher =
        iox.pub_init(&link->publisher_storage, "leat_bench", link->instance, "message", &options);
    link->guarded = pthread_create(&link->guard, NULL, guard_run, link) == 0;
    if (wait_until(has_subscriber, link))
        return 0;
    fprintf(stderr, "\nthe receiver cannot be reached\n");
    return -1;
}

static int subscriber_open(struct iceoryx_link *link) {
    iox_sub_options_t options;
    iox.sub_options_init(&options);
    options.queueCapacity = link->queue;
    options.queueFullPolicy = QueueFullPolicy_BLOCK_PRODUCER;
    link->subscriber =
        iox.sub_init(&link->subscriber_storage, "leat_bench", link->instance, "message", &options);
    return 0;
}

static int iceoryx_open(void *handle, enum role role) {
    struct iceoryx_link *link = handle;
    link->role = role;
    link->open = true;
    if (load(link->creator) != 0)
        return -1;
    return role == SENDER ? publisher_open(link) : subscriber_open(link);
}

static void iceoryx_close(void *handle, enum role role, struct counters *counters) {
    struct iceoryx_link *link = handle;
    (void)counters;
    __atomic_store_n(&link->ended, true, __ATOMIC_RELAXED);
    if (link->guarded)
        pthread_join(link->guard, NULL);
    if (role == SENDER && link->publisher != NULL)
        iox.pub_deinit(link->publisher);
    if (role == RECEIVER && link->subscriber != NULL)
        iox.sub_deinit(link->subscriber);
    link->open = false;
    library_unload(&library, iox.runtime_shutdown);
}

/* The daemon would send SIGTERM to a process that still uses it. */
static void iceoryx_destroy(void *handle) {
    struct iceoryx_link *link = handle;
    if (link->open)
        iceoryx_close(link, link->role, NULL);
    if (library.users == 0)
        remove_names(link->creator);
    roudi_release();
}

/* --- Messages --------------------------------------------------------------------------------- */

/* The binding for C does not know how long a message is: where lengths differ, each has its own
 * before it. */
#define LENGTH sizeof(uint64_t)

static int message_send(void *handle, const void *message, size_t size) {
    struct iceoryx_link *link = handle;
    uint64_t length = size;
    size_t offset = link->fixed ? 0 : LENGTH;
    void *chunk;
    enum iox_AllocationResult result =
        iox.pub_loan_chunk(link->publisher, &chunk, (uint32_t)(offset + size));
    if (result != AllocationResult_SUCCESS) {
        fprintf(stderr, "\niox_pub_loan_chunk: %d\n", (int)result);
        return -1;
    }
    memcpy(chunk, &length, offset);
    memcpy((unsigned char *)chunk + offset, message, size);
    iox.pub_publish_chunk(link->publisher, chunk);
    return __atomic_load_n(&link->ended, __ATOMIC_RELAXED) ? -1 : 0;
}

static int message_receive(void *handle, void *buffer, size_t capacity, size_t *size) {
    struct iceoryx_link *link = handle;
    uint64_t length = link->fixed;
    size_t offset = link->fixed ? 0 : LENGTH;
    const void *chunk;
    enum iox_ChunkReceiveResult result = iox.sub_take_chunk(link->subscriber, &chunk);
    if (result == ChunkReceiveResult_NO_CHUNK_AVAILABLE)
        return 1;
    if (result != ChunkReceiveResult_SUCCESS) {
        fprintf(stderr, "\niox_sub_take_chunk: %d\n", (int)result);
        return -1;
    }
    memcpy(&length, chunk, offset);
    bool fits = length <= capacity;
    if (fits)
        memcpy(buffer, (const unsigned char *)chunk + offset, length);
    iox.sub_release_chunk(link->subscriber, chunk);
    *size = length;
    return fits ? 0 : -1;
}

DEFINE_LOOPS(iceoryx, message_send, message_receive)
TRANSPORT(iceoryx, "publisher, subscriber and daemon, polled", .threads = true,
          .link_size = sizeof(struct iceoryx_link), .create = iceoryx_create, .open = iceoryx_open,
          .close = iceoryx_close, .destroy = iceoryx_destroy, .loops = &iceoryx_loops)
