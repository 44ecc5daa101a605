/* open.c - what it costs to create a channel, to attach to it, to close it, and to close it as the
 * last user, beside what else two processes can meet at; and whether it stays as cheap: with many
 * handles of one object, when many processes open it at the same moment, and after many handles one
 * after another, of which nothing may be left. In one process, but for those: the calls do not
 * depend on who makes them. */
#include "machine.h"
#include "parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <leat/leat.h>
#include <mqueue.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE ((size_t)LEAT_CAPACITY_DEFAULT) /* of everything that has one */
#define MARKS 4
#define SAMPLES 21u /* at each mark */
#define PROCESSES_MOST 1000u
#define PATIENCE_MS 20000

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
    /* pipes: a byte of each process twice, before and after; closed to let them go on */
    int arrived[2], go[2], end[2];
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
    struct rlimit files;
    snprintf(name, sizeof name, "/%s", trial->name);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    return 0;
}

/* --- leat ------------------------------------------------------------------------------------- */

static leat_sender *sender;
static leat_receiver *receiver;
static leat_region *regions[2];

static int channel_create(void) {
    return check_leat("leat_sender_open", leat_sender_open(&sender, name + 1, NULL));
}
static int channel_attach(void) {
    return check_leat("leat_receiver_open", leat_receiver_open(&receiver, name + 1, NULL));
}
static int channel_close(void) {
    return leat_receiver_close(receiver), 0;
}
static int channel_close_last(void) {
    return leat_sender_close(sender), 0;
}
static int region_create(void) {
    return check_leat("leat_region_open", leat_region_open(&regions[0], name + 1, SIZE, NULL));
}
static int region_attach(void) {
    return check_leat("leat_region_open", leat_region_open(&regions[1], name + 1, 0, NULL));
}
static int region_close(void) {
    return leat_region_close(regions[1]), 0;
}
static int region_close_last(void) {
    return leat_region_close(regions[0]), 0;
}

/* --- Others ----------------------------------------------------------------------------------- */

static int files[2];
static void *maps[2];
static mqd_t queues[2];

static int shm_attach_as(int which, int flags) {
    files[which] = shm_open(name, O_RDWR | flags, 0600);
    if (files[which] < 0 || (flags != 0 && ftruncate(files[which], (off_t)SIZE) != 0))
        return -1;
    maps[which] = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, files[which], 0);
    return maps[which] == MAP_FAILED ? -1 : 0;
}

static int shm_create(void) {
    return shm_attach_as(0, O_CREAT | O_EXCL);
}
static int shm_attach(void) {
    return shm_attach_as(1, 0);
}
static int shm_close(void) {
    return munmap(maps[1], SIZE) | close(files[1]);
}
static int shm_close_last(void) {
    return munmap(maps[0], SIZE) | close(files[0]) | shm_unlink(name);
}

static int mq_create(void) {
    return (queues[0] = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, NULL)) == (mqd_t)-1 ? -1 : 0;
}
static int mq_attach(void) {
    return (queues[1] = mq_open(name, O_RDWR)) == (mqd_t)-1 ? -1 : 0;
}
static int mq_detach(void) {
    return mq_close(queues[1]);
}
static int mq_close_last(void) {
    return mq_close(queues[0]) | mq_unlink(name);
}

static int (*const steps[][4])(void) = {
    {channel_create, channel_attach, channel_close, channel_close_last},
    {region_create, region_attach, region_close, region_close_last},
    {shm_create, shm_attach, shm_close, shm_close_last},
    {mq_create, mq_attach, mq_detach, mq_close_last},
};

/* Figures: of each step the median and, behind all of them, the 99th percentile; microseconds. */
static int work_steps(struct trial *trial) {
    unsigned count = scale_of(trial)->repetitions;
    uint64_t *times = must_allocate(4 * count, sizeof *times);
    for (unsigned i = 0; i < 4 * count; i++) {
        uint64_t start = now_ns();
        if (steps[trial->way->context][i % 4]() != 0) {
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

#define STEPS(name_, about_, context_)                                                             \
    { .name = name_, .about = about_, .prepare = prepare, .work = work_steps, .context = context_ }
static const struct way step_ways[] = {
    STEPS("leat_channel", "leat_sender_open, leat_receiver_open, their close, 256 KiB, reserved",
          0),
    STEPS("leat_region", "leat_region_open, _open, _close, 256 KiB, its memory reserved", 1),
    STEPS("shm_open", "with ftruncate and mmap, 256 KiB, not reserved; shm_unlink by the last", 2),
    STEPS("posix_mq", "mq_open, mq_close; mq_unlink by the last", 3),
};

const struct part part_open = {
    .name = "open",
    .title = "Creating, attaching to, closing, and closing as the last user",
    .ways = step_ways,
    .way_count = 4,
    .yardstick = 4,
    .figures = {{"create, us", "create_us", false},
                {"attach, us", "attach_us", false},
                {"close, us", "close_us", false},
                {"close by the last, us", "close_last_us", false},
                {"p99: create", "create_p99_us", false},
                {"attach", "attach_p99_us", false},
                {"close", "close_p99_us", false},
                {"close by the last", "close_last_p99_us", false}},
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

static int mutex_open(void **handle) {
    return leat_mutex_open((leat_mutex **)handle, name + 1, NULL);
}

static int many_sender_open(void **handle) {
    const leat_channel_options many = {.many_senders = true};
    return leat_sender_open((leat_sender **)handle, name + 1, &many);
}

static void region_close_one(void *handle) {
    leat_region_close(handle);
}
static void mutex_close(void *handle) {
    leat_mutex_close(handle);
}
static void sender_close(void *handle) {
    leat_sender_close(handle);
}

static const struct kind kinds[] = {
    {"leat_region_open", region_open, region_close_one},
    {"leat_mutex_open", mutex_open, mutex_close},
    {"leat_sender_open", many_sender_open, sender_close},
};

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
    const struct kind *kind = &kinds[trial->way->context];
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

/* --- At once ---------------------------------------------------------------------------------- */

/* Ends when all write ends of the pipe are closed. Processes that looked again and again would take
 * the processors away from those that open. */
static void await_end(const int pipe[2]) {
    char byte;
    while (read(pipe[0], &byte, 1) > 0)
        continue;
}

/* Until `count` processes have written a byte to the pipe. False: none has for so long that some
 * must have died. */
static bool await_bytes(const int pipe[2], unsigned count) {
    char byte;
    struct pollfd readable = {.fd = pipe[0], .events = POLLIN};
    while (count > 0 && poll(&readable, 1, PATIENCE_MS) == 1 && read(pipe[0], &byte, 1) == 1)
        count--;
    return count == 0;
}

static void write_byte(const int pipe[2]) {
    if (write(pipe[1], "", 1) != 1)
        _exit(1);
}

/* The process was bound to one processor by the harness. */
static void use_all_processors(void) {
    cpu_set_t all;
    memset(&all, 0xff, sizeof all);
    (void)sched_setaffinity(0, sizeof all, &all);
}

static _Noreturn void open_at_once(const struct kind *kind, struct gate *gate, unsigned number) {
    void *handle = NULL;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody else would open the gate */
    use_all_processors();
    close(gate->go[1]);
    close(gate->end[1]);
    write_byte(gate->arrived);
    await_end(gate->go);
    uint64_t start = now_ns();
    int code = kind->open(&handle);
    gate->took_ns[number] = code == LEAT_OK ? now_ns() - start : 0;
    write_byte(gate->arrived);
    await_end(gate->end);
    if (code == LEAT_OK)
        kind->close(handle);
    _exit(0);
}

static unsigned start_processes(const struct kind *kind, struct gate *gate, pid_t *pids,
                                unsigned processes) {
    unsigned started = 0;
    for (; started < processes; started++) {
        pids[started] = fork();
        if (pids[started] == 0)
            open_at_once(kind, gate, started);
        if (pids[started] < 0)
            break;
    }
    return started;
}

static bool make_pipes(struct gate *gate) {
    return pipe(gate->arrived) == 0 && pipe(gate->go) == 0 && pipe(gate->end) == 0;
}

static bool let_them_open(struct gate *gate, unsigned processes) {
    bool arrived = await_bytes(gate->arrived, processes);
    close(gate->go[1]);
    gate->go[1] = -1;
    return arrived && await_bytes(gate->arrived, processes);
}

/* They end by themselves once `end` is closed, or are killed. */
static void end_processes(struct gate *gate, const pid_t *pids, unsigned started, bool complete) {
    if (gate->go[1] >= 0)
        close(gate->go[1]);
    close(gate->end[1]);
    for (unsigned i = 0; i < started; i++) {
        if (!complete)
            kill(pids[i], SIGKILL);
        (void)waitpid(pids[i], NULL, 0);
    }
    close(gate->go[0]);
    close(gate->end[0]);
    close(gate->arrived[0]);
    close(gate->arrived[1]);
}

static int work_at_once(struct trial *trial) {
    unsigned processes = scale_of(trial)->processes, refused = 0;
    struct gate *gate = map_shared(sizeof *gate);
    double *figures = trial->told->figures;
    pid_t pids[PROCESSES_MOST];
    if (!make_pipes(gate))
        return perror("open: pipe"), -1;
    unsigned started = start_processes(&kinds[trial->way->context], gate, pids, processes);
    bool complete = started == processes && let_them_open(gate, processes);
    end_processes(gate, pids, started, complete);
    qsort(gate->took_ns, processes, sizeof *gate->took_ns, compare);
    while (refused < processes && gate->took_ns[refused] == 0)
        refused++;
    unsigned opened = processes - refused;
    figures[0] = opened;
    figures[1] = refused;
    figures[2] = (double)gate->took_ns[refused + opened / 2 - (opened == 0)] / 1e6;
    figures[3] = (double)gate->took_ns[processes - 1] / 1e6;
    munmap(gate, sizeof *gate);
    if (!complete)
        fprintf(stderr, "open: only %u processes could be had, or some of them died\n", started);
    return complete ? 0 : -1;
}

/* --- In turn ---------------------------------------------------------------------------------- */

static int count_descriptors(void) {
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (directory != NULL && readdir(directory) != NULL)
        count++;
    if (directory != NULL)
        closedir(directory);
    return count;
}

static int count_mappings(void) {
    int count = 0, letter;
    FILE *file = fopen("/proc/self/maps", "r");
    while (file != NULL && (letter = getc(file)) != EOF)
        count += letter == '\n';
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
    const struct kind *kind = &kinds[trial->way->context];
    leat_object_info info;
    unsigned taken;
    if (take_turns(kind, 10, UINT64_MAX, &taken) != 0)
        return -1;
    int descriptors = count_descriptors(), mappings = count_mappings();
    uint64_t start = now_ns();
    int result = take_turns(kind, scale_of(trial)->turns, end_of(trial), &taken);
    trial->told->figures[0] = taken;
    trial->told->figures[1] = (double)(now_ns() - start) / 1e3 / taken;
    descriptors = count_descriptors() - descriptors;
    mappings = count_mappings() - mappings;
    bool left = leat_stat(name + 1, LEAT_LOCAL, &info) == LEAT_OK;
    if (descriptors <= 0 && mappings < 10 && !left)
        return result;
    fprintf(stderr, "open: %s: %u in turn left %d descriptors, %d mappings, %d names\n",
            kind->about, taken, descriptors, mappings, (int)left);
    return -1;
}

/* --- Their parts ------------------------------------------------------------------------------ */

#define KINDS(work_)                                                                               \
    {.name = "region",                                                                             \
     .about = "leat_region_open, 4 KiB",                                                           \
     .prepare = prepare,                                                                           \
     .work = work_,                                                                                \
     .context = 0},                                                                                \
        {.name = "mutex",                                                                          \
         .about = "leat_mutex_open",                                                               \
         .prepare = prepare,                                                                       \
         .work = work_,                                                                            \
         .context = 1},                                                                            \
    {                                                                                              \
        .name = "sender", .about = "leat_sender_open, many senders of one channel",                \
        .prepare = prepare, .work = work_, .context = 2                                            \
    }
#define MANY(ways_) .ways = ways_, .way_count = 3, .yardstick = 3, .alone = true, .once = true

static const struct way handle_ways[] = {KINDS(work_handles)};
const struct part part_open_nth = {
    .name = "handles",
    MANY(handle_ways),
    .title = "The n-th handle of one object",
    .figures = {{"open the 1st, us", "open_1_us", false},
                {"100th", "open_100_us", false},
                {"1000th", "open_1000_us", false},
                {"4000th", "open_4000_us", false},
                {"close the 1st, us", "close_1_us", false},
                {"100th", "close_100_us", false},
                {"1000th", "close_1000_us", false},
                {"4000th", "close_4000_us", false}},
};

static const struct way once_ways[] = {KINDS(work_at_once)};
const struct part part_open_at_once = {
    .name = "at_once",
    MANY(once_ways),
    .title = "400 processes (--smoke: 20) open one object at the same moment",
    .figures = {{"opened", "opened", false},
                {"refused", "refused", false},
                {"median, ms", "median_ms", false},
                {"slowest, ms", "slowest_ms", false}},
};

static const struct way turn_ways[] = {KINDS(work_turns)};
const struct part part_open_in_turn = {
    .name = "in_turn",
    MANY(turn_ways),
    .title = "Handles opened (each makes the object) and closed in turn; nothing is left",
    .figures = {{"handles", "turns", false}, {"us each", "turn_us", false}},
};
