/* open.c - what it costs to create a channel, to attach to it, to close it, and to close it as the
 * last user, beside what else two processes can meet at; and whether it stays as cheap: with many
 * handles of one object, when many processes open it at the same moment, and after many handles one
 * after another, of which nothing may be left. In one process, but for those: the calls do not
 * depend on who makes them. */
#include "machine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <leat/leat.h>
#include <mqueue.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE ((size_t)LEAT_CAPACITY_DEFAULT) /* of everything that has one */
#define MARKS 4
#define SAMPLES 21u /* at each mark */
#define PROCESSES_MOST 1000u

static const unsigned marks[MARKS] = {1, 100, 1000, 4000};

/* Of each length. most_s: for all handles of a kind, and for all turns of a kind; what does not fit
 * is left out. */
static const struct scale {
    unsigned repetitions, handles, processes, turns;
    double most_s;
} scales[] = {
    [SMOKE] = {20, 100, 20, 100, 5},
    [QUICK] = {700, 4000, 400, 100000, 3},
    [FULL] = {3000, 4000, 400, 100000, 600},
};

/* What processes share that open at once. */
struct gate {
    pthread_barrier_t barrier;        /* of all of them, and of the parent */
    uint64_t took_ns[PROCESSES_MOST]; /* 0: refused */
};

static char name[64]; /* of what is opened; with a slash before it for shm_open and mq_open */

static const struct scale *scale_of(const struct trial *trial) {
    return &scales[trial->plan->length];
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int prepare(struct trial *trial) {
    snprintf(name, sizeof name, "/%s", trial->name);
    allow_descriptors();
    return 0;
}

/* --- Steps ------------------------------------------------------------------------------------ */

static leat_sender *sender;
static leat_receiver *receiver;
static leat_region *regions[2];
static int files[2];
static void *maps[2];
static mqd_t queues[2];

/* A step of a way; and one that cannot fail. */
#define STEP(name_, call)                                                                          \
    static int name_(void) {                                                                       \
        return call;                                                                               \
    }
#define LEAT_STEP(name_, call) STEP(name_, check_leat(#call, call))
#define SURE_STEP(name_, call) STEP(name_, (call, 0))

LEAT_STEP(channel_create, leat_sender_open(&sender, name + 1, NULL))
LEAT_STEP(channel_attach, leat_receiver_open(&receiver, name + 1, NULL))
SURE_STEP(channel_close, leat_receiver_close(receiver))
SURE_STEP(channel_close_last, leat_sender_close(sender))
LEAT_STEP(region_create, leat_region_open(&regions[0], name + 1, SIZE, NULL))
LEAT_STEP(region_attach, leat_region_open(&regions[1], name + 1, 0, NULL))
SURE_STEP(region_close, leat_region_close(regions[1]))
SURE_STEP(region_close_last, leat_region_close(regions[0]))

static int shm_attach_as(int which, int flags) {
    files[which] = shm_open(name, O_RDWR | flags, 0600);
    if (files[which] < 0 || (flags != 0 && ftruncate(files[which], (off_t)SIZE) != 0))
        return -1;
    maps[which] = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, files[which], 0);
    return maps[which] == MAP_FAILED ? -1 : 0;
}
STEP(shm_create, shm_attach_as(0, O_CREAT | O_EXCL))
STEP(shm_attach, shm_attach_as(1, 0))
STEP(shm_close, munmap(maps[1], SIZE) | close(files[1]))
STEP(shm_close_last, munmap(maps[0], SIZE) | close(files[0]) | shm_unlink(name))

static int mq_open_as(int which, int flags) {
    queues[which] = mq_open(name, O_RDWR | flags, 0600, NULL);
    return queues[which] == (mqd_t)-1 ? -1 : 0;
}
STEP(mq_create, mq_open_as(0, O_CREAT | O_EXCL))
STEP(mq_attach, mq_open_as(1, 0))
STEP(mq_detach, mq_close(queues[1]))
STEP(mq_close_last, mq_close(queues[0]) | mq_unlink(name))

/* To create, attach, close, and close as the last user. */
struct steps {
    int (*step[4])(void);
};

/* Figures: of each step the median and, behind all of them, the 99th percentile; microseconds. */
static int work_steps(struct trial *trial) {
    unsigned count = scale_of(trial)->repetitions;
    const struct steps *steps = trial->way->of;
    uint64_t *times = must_allocate(4 * count, sizeof *times);
    for (unsigned i = 0; i < 4 * count; i++) {
        uint64_t start = now_ns();
        if (steps->step[i % 4]() != 0) {
            fprintf(stderr, "open: %s, step %u: %s\n", trial->way->name, i % 4, strerror(errno));
            return -1;
        }
        times[i % 4 * count + i / 4] = now_ns() - start;
    }
    for (unsigned step = 0; step < 4; step++) {
        qsort(times + step * count, count, sizeof *times, compare);
        trial->told->figures[step] = (double)times[step * count + count / 2] / 1e3;
        trial->told->figures[4 + step] = (double)times[step * count + count * 99 / 100] / 1e3;
    }
    free(times);
    return 0;
}

#define STEPS(name, about, ...)                                                                    \
    WAY(name, about, .prepare = prepare, .work = work_steps,                                       \
        .of = &(const struct steps){{__VA_ARGS__}})
static const struct way step_ways[] = {
    STEPS("leat_channel", "leat_sender_open, leat_receiver_open, their close, 256 KiB, reserved",
          channel_create, channel_attach, channel_close, channel_close_last),
    STEPS("leat_region", "leat_region_open, _open, _close, 256 KiB, its memory reserved",
          region_create, region_attach, region_close, region_close_last),
    STEPS("shm_open", "with ftruncate and mmap, 256 KiB, not reserved; shm_unlink by the last",
          shm_create, shm_attach, shm_close, shm_close_last),
    STEPS("posix_mq", "mq_open, mq_close; mq_unlink by the last", mq_create, mq_attach, mq_detach,
          mq_close_last),
};

const struct part part_open = {
    .name = "open",
    .title = "Creating, attaching to, closing, and closing as the last user",
    WAYS(step_ways),
    .yardstick = NO_YARDSTICK,
    .figures = {FIGURE("create, us", "create_us"), FIGURE("attach, us", "attach_us"),
                FIGURE("close, us", "close_us"), FIGURE("close by the last, us", "close_last_us"),
                FIGURE("p99: create", "create_p99_us"), FIGURE("attach", "attach_p99_us"),
                FIGURE("close", "close_p99_us"), FIGURE("close by the last", "close_last_p99_us")},
    .alone = true,
};

/* --- Many ------------------------------------------------------------------------------------- */

struct kind {
    const char *about;
    int (*open)(void **handle);
    void (*close)(void *handle);
};

static int region_open(void **handle) {
    return leat_region_open((leat_region **)handle, name + 1, 4096, NULL);
}
static void region_close_one(void *handle) {
    leat_region_close(handle);
}

static int mutex_open(void **handle) {
    return leat_mutex_open((leat_mutex **)handle, name + 1, NULL);
}
static void mutex_close(void *handle) {
    leat_mutex_close(handle);
}

static int many_sender_open(void **handle) {
    const leat_channel_options many = {.many_senders = true};
    return leat_sender_open((leat_sender **)handle, name + 1, &many);
}
static void sender_close(void *handle) {
    leat_sender_close(handle);
}

static const struct kind a_region = {"leat_region_open", region_open, region_close_one};
static const struct kind a_mutex = {"leat_mutex_open", mutex_open, mutex_close};
static const struct kind a_sender = {"leat_sender_open", many_sender_open, sender_close};

/* The part of those three. */
#define KIND_WAY(name, about, work_, kind)                                                         \
    WAY(name, about, .prepare = prepare, .work = work_, .of = &(kind))
#define MANY(ways, work, name_, ...)                                                               \
    static const struct way ways[] = {                                                             \
        KIND_WAY("region", "leat_region_open, 4 KiB", work, a_region),                             \
        KIND_WAY("mutex", "leat_mutex_open", work, a_mutex),                                       \
        KIND_WAY("sender", "leat_sender_open, many senders of one channel", work, a_sender)};      \
    const struct part part_open_##ways = {.name = name_,                                           \
                                          WAYS(ways),                                              \
                                          .yardstick = NO_YARDSTICK,                               \
                                          .alone = true,                                           \
                                          .once = true,                                            \
                                          __VA_ARGS__};

static uint64_t end_of(const struct trial *trial) {
    return now_ns() + (uint64_t)(scale_of(trial)->most_s * 1e9);
}

/* --- The n-th handle -------------------------------------------------------------------------- */

static int measure_mark(const struct kind *kind, double *figures, int mark) {
    uint64_t opened[SAMPLES], closed[SAMPLES];
    for (unsigned i = 0; i < SAMPLES; i++) {
        void *handle;
        uint64_t start = now_ns();
        int code = kind->open(&handle);
        if (code != LEAT_OK)
            return code;
        uint64_t between = now_ns();
        kind->close(handle);
        opened[i] = between - start;
        closed[i] = now_ns() - between;
    }
    qsort(opened, SAMPLES, sizeof *opened, compare);
    qsort(closed, SAMPLES, sizeof *closed, compare);
    figures[mark] = (double)opened[SAMPLES / 2] / 1e3;
    figures[MARKS + mark] = (double)closed[SAMPLES / 2] / 1e3;
    return LEAT_OK;
}

/* Opens more and more, until all are open, the descriptors are used up, or it has taken too
 * long. */
static int grow(const struct trial *trial, const struct kind *kind, void **handles,
                unsigned *count) {
    uint64_t end = end_of(trial);
    for (int mark = 0; mark < MARKS && marks[mark] <= scale_of(trial)->handles; mark++) {
        int code = LEAT_OK;
        while (code == LEAT_OK && *count < marks[mark] - 1 && now_ns() < end)
            if ((code = kind->open(&handles[*count])) == LEAT_OK)
                ++*count;
        if (code == LEAT_OK && *count == marks[mark] - 1)
            code = measure_mark(kind, trial->told->figures, mark);
        if (code != LEAT_OK)
            return code == LEAT_ELIMIT || code == LEAT_EBUSY ? 0 : check_leat(kind->about, code);
    }
    return 0;
}

static int work_handles(struct trial *trial) {
    const struct kind *kind = trial->way->of;
    void **handles = must_allocate(scale_of(trial)->handles, sizeof *handles);
    unsigned count = 0;
    for (int i = 0; i < 2 * MARKS; i++)
        trial->told->figures[i] = UNKNOWN;
    int result = grow(trial, kind, handles, &count);
    while (count > 0)
        kind->close(handles[--count]);
    free(handles);
    return result;
}

MANY(nth, work_handles, "handles", .title = "The n-th handle of one object",
     .figures = {FIGURE("open the 1st, us", "open_1_us"), FIGURE("100th", "open_100_us"),
                 FIGURE("1000th", "open_1000_us"), FIGURE("4000th", "open_4000_us"),
                 FIGURE("close the 1st, us", "close_1_us"), FIGURE("100th", "close_100_us"),
                 FIGURE("1000th", "close_1000_us"), FIGURE("4000th", "close_4000_us")})

/* --- At once ---------------------------------------------------------------------------------- */

/* One process of many. The harness has bound it to one processor; it uses all. If the parent dies,
 * nobody else opens the barrier. They sleep at it: processes that looked again and again would take
 * the processors away from those that open. */
static _Noreturn void open_at_once(const struct kind *kind, struct gate *gate, unsigned number) {
    void *handle = NULL;
    cpu_set_t all;
    memset(&all, 0xff, sizeof all);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)sched_setaffinity(0, sizeof all, &all);
    pthread_barrier_wait(&gate->barrier);
    uint64_t start = now_ns();
    int code = kind->open(&handle);
    gate->took_ns[number] = code == LEAT_OK ? now_ns() - start : 0;
    pthread_barrier_wait(&gate->barrier); /* all have it */
    if (code == LEAT_OK)
        kind->close(handle);
    _exit(0);
}

/* Starts them, lets them open, and collects them. How many there were. */
static unsigned run_processes(const struct kind *kind, struct gate *gate, unsigned processes) {
    pid_t pids[PROCESSES_MOST];
    unsigned started = 0, ended = 0;
    for (; started < processes && (pids[started] = fork()) >= 0; started++)
        if (pids[started] == 0)
            open_at_once(kind, gate, started);
    for (int i = 0; i < 2 && started == processes; i++)
        pthread_barrier_wait(&gate->barrier);
    for (unsigned i = 0; i < started; i++) {
        int status;
        if (started < processes)
            kill(pids[i], SIGKILL);
        ended += waitpid(pids[i], &status, 0) == pids[i] && status == 0;
    }
    return ended;
}

static int work_at_once(struct trial *trial) {
    unsigned processes = scale_of(trial)->processes, refused = 0;
    struct gate *gate = map_shared(sizeof *gate);
    double *figures = trial->told->figures;
    pthread_barrierattr_t shared;
    if (pthread_barrierattr_init(&shared) != 0 ||
        pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED) != 0 ||
        pthread_barrier_init(&gate->barrier, &shared, processes + 1) != 0)
        return -1;
    unsigned ended = run_processes(trial->way->of, gate, processes);
    qsort(gate->took_ns, processes, sizeof *gate->took_ns, compare);
    while (refused < processes && gate->took_ns[refused] == 0)
        refused++;
    unsigned opened = processes - refused;
    figures[0] = opened;
    figures[1] = refused;
    figures[2] = (double)gate->took_ns[refused + opened / 2 - (opened == 0)] / 1e6;
    figures[3] = (double)gate->took_ns[processes - 1] / 1e6;
    munmap(gate, sizeof *gate);
    if (ended != processes)
        fprintf(stderr, "open: only %u processes could be had, or some of them died\n", ended);
    return ended == processes ? 0 : -1;
}

MANY(at_once, work_at_once, "at_once",
     .title = "400 processes (--smoke: 20) open one object at the same moment",
     .figures = {FIGURE("opened", "opened"), FIGURE("refused", "refused"),
                 FIGURE("median, ms", "median_ms"), FIGURE("slowest, ms", "slowest_ms")})

/* --- In turn ---------------------------------------------------------------------------------- */

/* Of /proc/self/fd or, with `lines`, of /proc/self/maps. */
static int count_entries(const char *path, bool lines) {
    int count = 0, letter;
    FILE *file = lines ? fopen(path, "r") : NULL;
    DIR *directory = lines ? NULL : opendir(path);
    while (directory != NULL && readdir(directory) != NULL)
        count++;
    while (file != NULL && (letter = getc(file)) != EOF)
        count += letter == '\n';
    if (directory != NULL)
        closedir(directory);
    if (file != NULL)
        fclose(file);
    return count;
}

static int take_turns(const struct kind *kind, unsigned turns, uint64_t end, unsigned *taken) {
    for (*taken = 0; *taken < turns && now_ns() < end; ++*taken) {
        void *handle;
        int code = kind->open(&handle);
        if (code != LEAT_OK)
            return check_leat(kind->about, code);
        kind->close(handle);
    }
    return 0;
}

/* The first turns may leave what is made once for a process, and malloc may map a little. */
static int work_turns(struct trial *trial) {
    const struct kind *kind = trial->way->of;
    leat_object_info info;
    unsigned taken;
    if (take_turns(kind, 10, UINT64_MAX, &taken) != 0)
        return -1;
    int descriptors = count_entries("/proc/self/fd", false),
        mappings = count_entries("/proc/self/maps", true);
    uint64_t start = now_ns();
    int result = take_turns(kind, scale_of(trial)->turns, end_of(trial), &taken);
    trial->told->figures[0] = taken;
    trial->told->figures[1] = (double)(now_ns() - start) / 1e3 / taken;
    descriptors = count_entries("/proc/self/fd", false) - descriptors;
    mappings = count_entries("/proc/self/maps", true) - mappings;
    bool left = leat_stat(name + 1, LEAT_LOCAL, &info) == LEAT_OK;
    if (descriptors <= 0 && mappings < 10 && !left)
        return result;
    fprintf(stderr, "open: %s: %u in turn left %d descriptors, %d mappings, %d names\n",
            kind->about, taken, descriptors, mappings, (int)left);
    return -1;
}

MANY(in_turn, work_turns, "in_turn",
     .title = "Handles opened (each makes the object) and closed in turn; nothing is left",
     .figures = {FIGURE("handles", "turns"), FIGURE("us each", "turn_us")})
