/* opening.c - see opening.h. */
#include "opening.h"
#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <leat/leat.h>
#include <mqueue.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE ((size_t)LEAT_CAPACITY_DEFAULT) /* of everything that has one */

enum step { CREATE, ATTACH, CLOSE, CLOSE_LAST, STEPS };
static const char *const step_names[STEPS] = {"create", "attach", "close", "close_last"};

/* Does one step of one way; 0, or -1 with errno or leat's error set. Steps come in order, again and
 * again. */
struct mode {
    const char *name, *about;
    int (*steps[STEPS])(void);
};

static char name[64]; /* of what is opened; with a slash before it for shm_open and mq_open */

/* --- leat ------------------------------------------------------------------------------------- */

static leat_sender *sender;
static leat_receiver *receiver;
static leat_region *regions[2];

static int told(const char *call, int code) {
    if (code != LEAT_OK)
        fprintf(stderr, "%s: %s %s\n", call, leat_error_name(code), leat_error_detail());
    return code == LEAT_OK ? 0 : -1;
}

static int channel_create(void) {
    return told("leat_sender_open", leat_sender_open(&sender, name + 1, NULL));
}
static int channel_attach(void) {
    return told("leat_receiver_open", leat_receiver_open(&receiver, name + 1, NULL));
}
static int channel_close(void) {
    return leat_receiver_close(receiver), 0;
}
static int channel_close_last(void) {
    return leat_sender_close(sender), 0;
}
static int region_create(void) {
    return told("leat_region_open", leat_region_open(&regions[0], name + 1, SIZE, NULL));
}
static int region_attach(void) {
    return told("leat_region_open", leat_region_open(&regions[1], name + 1, 0, NULL));
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

static const struct mode ways[] = {
    {"leat_channel",
     "leat_sender_open, leat_receiver_open and their close, 256 KiB, its memory reserved",
     {channel_create, channel_attach, channel_close, channel_close_last}},
    {"leat_region",
     "leat_region_open twice, leat_region_close, 256 KiB, its memory reserved",
     {region_create, region_attach, region_close, region_close_last}},
    {"shm_open",
     "with ftruncate and mmap, 256 KiB, its memory not reserved; shm_unlink by the last",
     {shm_create, shm_attach, shm_close, shm_close_last}},
    {"posix_mq",
     "mq_open, mq_close; mq_unlink by the last",
     {mq_create, mq_attach, mq_detach, mq_close_last}},
};
#define WAYS (sizeof ways / sizeof *ways)

/* --- Measuring -------------------------------------------------------------------------------- */

static int measure(uint32_t *times[WAYS][STEPS], unsigned repetition) {
    for (size_t mode = 0; mode < WAYS; mode++)
        for (int step = 0; step < STEPS; step++) {
            uint64_t start = now_ns();
            if (ways[mode].steps[step]() != 0) {
                fprintf(stderr, "leat bench open: %s, step %s failed (%s)\n", ways[mode].name,
                        step_names[step], strerror(errno));
                return 1;
            }
            times[mode][step][repetition] = (uint32_t)(now_ns() - start);
        }
    return 0;
}

static int compare(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Nearest rank, of sorted times, in microseconds. */
static double percentile(const uint32_t *times, unsigned count, double part) {
    unsigned rank = (unsigned)(part * count);
    return times[rank < count ? rank : count - 1] / 1e3;
}

/* --- Showing ---------------------------------------------------------------------------------- */

static void show_text(FILE *out, uint32_t *times[WAYS][STEPS], unsigned count) {
    fprintf(out, "\nopen, %u times each, taking turns: us, p50 / p99\n%-12s", count, "");
    for (int step = 0; step < STEPS; step++)
        fprintf(out, " | %-15s", step_names[step]);
    for (size_t mode = 0; mode < WAYS; mode++) {
        fprintf(out, "\n%-12s", ways[mode].name);
        for (int step = 0; step < STEPS; step++)
            fprintf(out, " | %6.1f / %6.1f", percentile(times[mode][step], count, 0.5),
                    percentile(times[mode][step], count, 0.99));
    }
    fprintf(out, "\n\n");
    for (size_t mode = 0; mode < WAYS; mode++)
        fprintf(out, "%-12s   %s\n", ways[mode].name, ways[mode].about);
    fprintf(out, "\n");
}

static void show_json(FILE *out, uint32_t *times[WAYS][STEPS], unsigned count) {
    fprintf(out, "\n    {\"experiment\": \"open\", \"repetitions\": %u,\n     \"results\": [",
            count);
    for (size_t mode = 0; mode < WAYS; mode++) {
        fprintf(out, "%s\n      {\"way\": \"%s\"", mode == 0 ? "" : ",", ways[mode].name);
        for (int step = 0; step < STEPS; step++)
            fprintf(out,
                    ", \"%s_us\": {\"median\": %.3f, \"min\": %.3f, \"p99\": %.3f, \"max\": %.3f}",
                    step_names[step], percentile(times[mode][step], count, 0.5),
                    times[mode][step][0] / 1e3, percentile(times[mode][step], count, 0.99),
                    times[mode][step][count - 1] / 1e3);
        fprintf(out, "}");
    }
    fprintf(out, "]");
}

int opening_run(FILE *out, unsigned repetitions, const struct opening_scale *scale, bool json) {
    static uint32_t *times[WAYS][STEPS];
    uint32_t *all = calloc(WAYS * STEPS * repetitions, sizeof *all);
    int wrong = all == NULL;
    snprintf(name, sizeof name, "/leat_bench_open-%ld", (long)getpid());
    for (size_t i = 0; i < WAYS * STEPS; i++)
        times[i / STEPS][i % STEPS] = all + i * repetitions;
    for (unsigned repetition = 0; wrong == 0 && repetition < repetitions; repetition++)
        wrong = measure(times, repetition);
    for (size_t i = 0; wrong == 0 && i < WAYS * STEPS; i++)
        qsort(times[i / STEPS][i % STEPS], repetitions, sizeof *all, compare);
    if (wrong == 0 && json)
        show_json(out, times, repetitions);
    else if (wrong == 0)
        show_text(out, times, repetitions);
    free(all);
    if (wrong == 0)
        wrong = opening_many_run(out, scale, json);
    if (wrong == 0 && json)
        fprintf(out, "}");
    return wrong;
}
