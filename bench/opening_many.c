/* opening_many.c - see opening_many.h.
 *
 * The n-th handle: n - 1 are open; one more is opened and closed some times, and the median is
 * taken. At once: processes that sleep over a pipe open the object when it is closed, keep the
 * handle until all have one, and close. In turn: opened and closed; then there must be no more
 * descriptors and mappings than before, and no name. */
#include "opening_many.h"
#include "clock.h"
#include "machine.h"

#include <dirent.h>
#include <leat/leat.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAMPLES 21u /* at each mark */
#define PROCESSES_MOST 1000u
#define MARKS 4
#define PATIENCE_MS 20000

static const unsigned marks[MARKS] = {1, 100, 1000, 4000};

struct kind {
    const char *name, *about;
    int (*open)(void **handle);
    void (*close)(void *handle);
};

struct figures {
    double open_us[MARKS], close_us[MARKS]; /* negative: not reached */
    unsigned opened, refused;               /* at once */
    double median_ms, slowest_ms;
    unsigned turns;
    double turn_us;
    int descriptors_left, mappings_left, names_left;
};

/* What processes share that open at once. */
struct gate {
    /* pipes: a byte of each process twice, before and after; closed to let them go on */
    int arrived[2], go[2], end[2];
    uint64_t took_ns[PROCESSES_MOST]; /* 0: refused */
};

static char name[64];
static struct figures figures[3];

/* --- Kinds ------------------------------------------------------------------------------------ */

static int region_open(void **handle) {
    return leat_region_open((leat_region **)handle, name, 4096, NULL);
}

static int mutex_open(void **handle) {
    return leat_mutex_open((leat_mutex **)handle, name, NULL);
}

static int sender_open(void **handle) {
    const leat_channel_options many = {.many_senders = true};
    return leat_sender_open((leat_sender **)handle, name, &many);
}

static void region_close(void *handle) {
    leat_region_close(handle);
}
static void mutex_close(void *handle) {
    leat_mutex_close(handle);
}
static void sender_close(void *handle) {
    leat_sender_close(handle);
}

static const struct kind kinds[] = {
    {"region", "leat_region_open, 4 KiB", region_open, region_close},
    {"mutex", "leat_mutex_open", mutex_open, mutex_close},
    {"sender", "leat_sender_open, many senders of one channel", sender_open, sender_close},
};
#define KINDS (sizeof kinds / sizeof *kinds)

static int fail(const struct kind *kind, int code) {
    fprintf(stderr, "leat bench open: %s: %s %s\n", kind->about, leat_error_name(code),
            leat_error_detail());
    return 1;
}

static uint64_t end_of(const struct opening_scale *scale) {
    return now_ns() + (uint64_t)(scale->most_s * 1e9);
}

/* --- The n-th handle -------------------------------------------------------------------------- */

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int measure_mark(const struct kind *kind, struct figures *f, int mark) {
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
    f->open_us[mark] = (double)opened[SAMPLES / 2] / 1e3;
    f->close_us[mark] = (double)closed[SAMPLES / 2] / 1e3;
    return LEAT_OK;
}

/* Opens more and more, until all are open, the descriptors are used up, or it has taken too
 * long. */
static int grow(const struct kind *kind, struct figures *f, void **handles,
                const struct opening_scale *scale, unsigned *count) {
    uint64_t end = end_of(scale);
    for (int mark = 0; mark < MARKS && marks[mark] <= scale->handles; mark++) {
        int code = LEAT_OK;
        while (code == LEAT_OK && *count < marks[mark] - 1 && now_ns() < end)
            if ((code = kind->open(&handles[*count])) == LEAT_OK)
                ++*count;
        if (code == LEAT_OK && *count == marks[mark] - 1)
            code = measure_mark(kind, f, mark);
        if (code != LEAT_OK)
            return code == LEAT_ELIMIT || code == LEAT_EBUSY ? 0 : fail(kind, code);
    }
    return 0;
}

static int measure_handles(const struct kind *kind, struct figures *f,
                           const struct opening_scale *scale) {
    void **handles = calloc(scale->handles, sizeof *handles);
    unsigned count = 0;
    for (int mark = 0; mark < MARKS; mark++)
        f->open_us[mark] = f->close_us[mark] = -1;
    if (handles == NULL)
        return 1;
    int wrong = grow(kind, f, handles, scale, &count);
    while (count > 0)
        kind->close(handles[--count]);
    free(handles);
    return wrong;
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

static int measure_at_once(const struct kind *kind, struct figures *f, unsigned processes) {
    struct gate *gate = map_shared(sizeof *gate);
    pid_t pids[PROCESSES_MOST];
    if (!make_pipes(gate)) {
        perror("leat bench open: pipe");
        return 1;
    }
    unsigned started = start_processes(kind, gate, pids, processes);
    bool complete = started == processes && let_them_open(gate, processes);
    end_processes(gate, pids, started, complete);
    qsort(gate->took_ns, processes, sizeof *gate->took_ns, compare);
    for (unsigned i = 0; i < processes; i++)
        gate->took_ns[i] != 0 ? f->opened++ : f->refused++;
    f->slowest_ms = (double)gate->took_ns[processes - 1] / 1e6;
    f->median_ms = (double)gate->took_ns[f->refused + f->opened / 2 - (f->opened == 0)] / 1e6;
    munmap(gate, sizeof *gate);
    if (!complete)
        fprintf(stderr, "leat bench open: only %u processes could be had, or some of them died\n",
                started);
    return !complete;
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
            return fail(kind, code);
        kind->close(handle);
    }
    return 0;
}

/* The first turns may leave what is made once for a process. */
static int measure_turns(const struct kind *kind, struct figures *f,
                         const struct opening_scale *scale) {
    leat_object_info info;
    int wrong = take_turns(kind, 10, UINT64_MAX, &f->turns);
    int descriptors = count_descriptors(), mappings = count_mappings();
    uint64_t start = now_ns();
    wrong |= take_turns(kind, scale->turns, end_of(scale), &f->turns);
    f->turn_us = (double)(now_ns() - start) / 1e3 / f->turns;
    f->descriptors_left = count_descriptors() - descriptors;
    f->mappings_left = count_mappings() - mappings;
    f->names_left = leat_stat(name, LEAT_LOCAL, &info) == LEAT_OK;
    /* malloc may map a little */
    if (f->descriptors_left <= 0 && f->mappings_left < 10 && f->names_left == 0)
        return wrong;
    fprintf(stderr, "leat bench open: %s: %u in turn left %d descriptors, %d mappings, %d names\n",
            kind->about, f->turns, f->descriptors_left, f->mappings_left, f->names_left);
    return 1;
}

/* --- Showing ---------------------------------------------------------------------------------- */

static void show_value(FILE *out, double value) {
    value < 0 ? fprintf(out, " %9s", "-") : fprintf(out, " %9.1f", value);
}

static void show_text(FILE *out, const struct opening_scale *scale) {
    fprintf(
        out,
        "the n-th handle of one object: us, medians\n%-12s |%10u%10u%10u%10u | close the same\n",
        "open", marks[0], marks[1], marks[2], marks[3]);
    for (size_t i = 0; i < KINDS; i++) {
        fprintf(out, "%-12s |", kinds[i].name);
        for (int mark = 0; mark < MARKS; mark++)
            show_value(out, figures[i].open_us[mark]);
        fprintf(out, " |");
        for (int mark = 0; mark < MARKS; mark++)
            show_value(out, figures[i].close_us[mark]);
        fprintf(out, "\n");
    }
    fprintf(out,
            "\n%u processes open one object at once; handles opened (each makes the object) and "
            "closed in turn\n",
            scale->processes);
    for (size_t i = 0; i < KINDS; i++) {
        const struct figures *f = &figures[i];
        fprintf(out,
                "%-12s | %u opened, %u refused, median %.1f ms, slowest %.1f ms | %u in turn, %.1f "
                "us each, left: nothing\n",
                kinds[i].name, f->opened, f->refused, f->median_ms, f->slowest_ms, f->turns,
                f->turn_us);
    }
    fprintf(out, "\n");
    for (size_t i = 0; i < KINDS; i++)
        fprintf(out, "%-12s   %s\n", kinds[i].name, kinds[i].about);
}

static void show_json_values(FILE *out, const char *member, const double values[MARKS]) {
    fprintf(out, ", \"%s\": {", member);
    for (int mark = 0; mark < MARKS; mark++) {
        fprintf(out, "%s\"%u\": ", mark == 0 ? "" : ", ", marks[mark]);
        values[mark] < 0 ? fprintf(out, "null") : fprintf(out, "%.3f", values[mark]);
    }
    fprintf(out, "}");
}

static void show_json(FILE *out, const struct opening_scale *scale) {
    fprintf(out, ",\n     \"processes\": %u, \"many\": [", scale->processes);
    for (size_t i = 0; i < KINDS; i++) {
        const struct figures *f = &figures[i];
        fprintf(out, "%s\n      {\"kind\": \"%s\"", i == 0 ? "" : ",", kinds[i].name);
        show_json_values(out, "open_nth_us", f->open_us);
        show_json_values(out, "close_nth_us", f->close_us);
        fprintf(out,
                ", \"at_once\": {\"opened\": %u, \"refused\": %u, \"median_ms\": %.3f, "
                "\"slowest_ms\": %.3f}",
                f->opened, f->refused, f->median_ms, f->slowest_ms);
        fprintf(out,
                ", \"turns\": %u, \"turn_us\": %.3f, \"descriptors_left\": %d, \"mappings_left\": "
                "%d, \"names_left\": %d}",
                f->turns, f->turn_us, f->descriptors_left, f->mappings_left, f->names_left);
    }
    fprintf(out, "]");
}

int opening_many_run(FILE *out, const struct opening_scale *scale, bool json) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    snprintf(name, sizeof name, "leat_bench_many-%ld", (long)getpid());
    int wrong = 0;
    for (size_t i = 0; wrong == 0 && i < KINDS; i++) {
        wrong = measure_handles(&kinds[i], &figures[i], scale);
        if (wrong == 0)
            wrong = measure_at_once(&kinds[i], &figures[i], scale->processes);
        if (wrong == 0)
            wrong = measure_turns(&kinds[i], &figures[i], scale);
    }
    if (wrong == 0)
        json ? show_json(out, scale) : show_text(out, scale);
    return wrong;
}
