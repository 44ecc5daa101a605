/* test_harness.c - must-fail cases: proves that the harness notices a transport that loses, tears,
 * repeats or refuses a message, crashes or hangs, and that it passes one that does none of this;
 * that a stall shows in the open loop and a loop without pauses does not pass for wake-ups. No
 * figures. */
#include "machine.h"
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* the message at which it shows: every experiment here has more, on a busy machine too */
#define FAULT_AT 20u
#define STALL_AT 100u
#define STALL_NS 30000000

enum fault { NONE, LOSES, TEARS, REPEATS, REFUSES, CRASHES, HANGS, FAULTS, STALLS };
static const char *const fault_names[FAULTS] = {"works",   "loses",   "tears", "repeats",
                                                "refuses", "crashes", "hangs"};
static enum fault fault;

/* A mailbox for one message of 64 bytes. */
struct mailbox {
    _Alignas(64) uint64_t full;
    _Alignas(64) unsigned char message[64];
};

static int mailbox_send(void *link, const void *message, size_t size) {
    static unsigned serial;
    struct mailbox *box = link;
    if (__atomic_load_n(&box->full, __ATOMIC_ACQUIRE))
        return 1;
    bool now = ++serial == FAULT_AT;
    if (now && fault == LOSES)
        return 0;
    if (now && fault == REFUSES)
        return -1;
    if (now && fault == REPEATS)
        serial--, message = box->message;
    memmove(box->message, message, size);
    if (now && fault == TEARS)
        box->message[size - 1] ^= 1;
    __atomic_store_n(&box->full, 1, __ATOMIC_RELEASE);
    return 0;
}

static int mailbox_receive(void *link, void *buffer, size_t capacity, size_t *size) {
    static unsigned serial;
    struct mailbox *box = link;
    (void)capacity;
    if (!__atomic_load_n(&box->full, __ATOMIC_ACQUIRE))
        return 1;
    bool now = ++serial == FAULT_AT;
    if (now && fault == CRASHES)
        abort();
    while (now && fault == HANGS)
        pause();
    if (serial == STALL_AT && fault == STALLS)
        nanosleep(&(struct timespec){0, STALL_NS}, NULL);
    *size = sizeof box->message;
    memcpy(buffer, box->message, sizeof box->message);
    __atomic_store_n(&box->full, 0, __ATOMIC_RELEASE);
    return 0;
}

DEFINE_LOOPS(mailbox, mailbox_send, mailbox_receive)
static TRANSPORT(mailbox, "", .loops = &mailbox_loops)

    /* A round trip that takes no notice of the pause between trips. */
    static int hasty_trip_ask(struct run *run, void *to, void *from) {
    run->pause_ns = 0;
    return mailbox_trip_ask(run, to, from);
}
static const struct loops hasty_loops = {NULL, NULL, hasty_trip_ask, mailbox_trip_answer};
static TRANSPORT(hasty, "", .sleeps = true, .loops = &hasty_loops)

    static const struct plan basic_plan = {.name = "harness",
                                           .part_count = 1,
                                           .sizes = {64},
                                           .size_count = 1,
                                           .capacity = 4096,
                                           .rounds = 1,
                                           .attempts = 1,
                                           .duration_ns = 5000000,
                                           .wanted = ANY_PLACEMENT,
                                           .hang_s = 2};

static struct plan plan_of(enum experiment experiment, const struct transport *transport) {
    static struct way ways[EXPERIMENTS][1];
    static struct part parts[EXPERIMENTS];
    struct plan plan = basic_plan;
    if (fault == NONE) /* beside busy programs it may take long */
        plan.hang_s = HANG_SECONDS;
    parts[experiment] = cell_part(experiment, &transport, 1, ways[experiment]);
    plan.parts[0] = &parts[experiment];
    if (experiment == WAKEUP) {
        plan.pause_ns = 1000;
    } else if (experiment == OPEN_LOOP) {
        plan.level_count = 1;
        plan.levels[0] = 100000;
        plan.duration_ns = 200000000; /* others may have the CPU for most of it */
    }
    return plan;
}

/* Runs a plan as a program of its own would; its exit status: 1 too when `judge` says that the
 * results are wrong. */
static int status_of(struct plan plan, bool (*judge)(const struct results *results)) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit no_core = {0, 0};
        int cpus[2] = {-1, -1};
        struct results results;
        setrlimit(RLIMIT_CORE, &no_core);
        if (judge == NULL) /* what has to work or to fail, not how fast */
            machine.polite = true;
        harness_start(cpus, plan.capacity);
        trials_run(&plan, &results);
        bool good = judge == NULL || judge(&results);
        results_free(&results);
        exit(!good);
    }
    int status = -1;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* 0 as it should be, 1 not; no second CPU ends the test. */
static int expect_status(const char *what, const char *experiment, int status, int expected) {
    if (status == EXIT_SKIP)
        exit(EXIT_SKIP);
    printf("%s: %s, %s: exit status %d\n", status == expected ? "ok" : "WRONG", what, experiment,
           status);
    return status != expected;
}

static int test_faults(void) {
    int wrong = 0;
    for (fault = NONE; fault < FAULTS; fault++)
        for (enum experiment experiment = RATE; experiment < EXPERIMENTS; experiment++) {
            char what[64];
            snprintf(what, sizeof what, "a transport that %s", fault_names[fault]);
            wrong += expect_status(what, experiment_names[experiment],
                                   status_of(plan_of(experiment, &transport_mailbox), NULL),
                                   fault != NONE);
        }
    return wrong;
}

/* --- The open loop and wake-ups --------------------------------------------------------------- */

/* Of the messages that were due while nobody received, most waited longer than a third of that
 * time. Where every attempt was disturbed there is nothing to judge. */
static bool stall_shows(const struct results *results) {
    for (int placement = NEAR; placement <= FAR; placement++) {
        const struct histogram *all = results->cells[0].all[placement];
        uint64_t late = 0;
        for (uint64_t i = 0; all != NULL && i < all->count; i++)
            late += histogram_quantile(all, (double)(i + 1) / (double)all->count) > STALL_NS / 3;
        if (all != NULL && late < 150)
            return false;
    }
    return true;
}

static bool nothing_measured(const struct results *results) {
    return results->tally[NEAR] + results->tally[FAR] == 0;
}

static int test_honesty(void) {
    struct transport sleeper = transport_mailbox;
    sleeper.sleeps = true; /* a stall is no disturbance */
    struct plan open = plan_of(OPEN_LOOP, &sleeper), wakeup = plan_of(WAKEUP, &transport_hasty);
    open.hang_s = wakeup.hang_s = HANG_SECONDS;
    open.levels[0] = 10000;
    /* the first tenth does not count, and the stall begins after 10 ms */
    open.duration_ns = 90000000;
    open.attempts = 5;
    wakeup.pause_ns = 1000000;
    fault = STALLS;
    int wrong = expect_status("a stall shows in every message that was due", "open",
                              status_of(open, stall_shows), 0);
    fault = NONE;
    return wrong + expect_status("round trips without pauses do not count", "wakeup",
                                 status_of(wakeup, nothing_measured), 0);
}

/* --- Numbers ---------------------------------------------------------------------------------- */

/* The distribution as text: percentiles and counts rise, and the last line has all. */
static int test_distribution(void) {
    static struct histogram histogram;
    char *text = NULL;
    size_t size = 0, lines = 0;
    double value, part, last_value = 0, last_part = -1;
    unsigned long long below, last_below = 0;
    for (uint64_t i = 1; i <= 10000; i++)
        histogram_add(&histogram, i);
    FILE *out = open_memstream(&text, &size);
    hdr_write_text(&histogram, 0.5, out);
    fclose(out);
    bool good =
        strncmp(text, "       Value     Percentile TotalCount 1/(1-Percentile)\n\n", 57) == 0;
    for (char *at = strchr(text, '\n') + 2; good && *at != '#';
         at = strchr(at, '\n') + 1, lines++) {
        good = sscanf(at, "%lf %lf %llu", &value, &part, &below) == 3 && value >= last_value &&
               part > last_part && below >= last_below && value >= 0.5 * part * 10000 - 1e-6 &&
               value <= 0.5 * 1.001 * (part * 10000 + 1);
        last_value = value, last_part = part, last_below = below;
    }
    good = good && lines > 50 && last_part >= 1 && last_below == 10000 && last_value >= 5000 &&
           last_value <= 5000 && strstr(text, "#[Mean    =     2500.") != NULL &&
           strstr(text, "Total count    =        10000]") != NULL;
    printf("%s: the percentile distribution as text\n", good ? "ok" : "WRONG");
    free(text);
    return !good;
}

/* No error adds up, and no two messages change places. */
static int test_schedule(void) {
    static const uint64_t rates[] = {1, 3, 1000, 999983, 1000000, 100000000};
    int wrong = 0;
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        uint64_t rate = rates[i];
        wrong += due_ns(rate, 0) != 0 || due_ns(rate, rate) != 1000000000 ||
                 due_ns(rate, 86400 * rate) != 86400000000000;
        for (uint64_t serial = 0; serial < 100000; serial++) {
            uint64_t gap = due_ns(rate, serial + 1) - due_ns(rate, serial),
                     even = 1000000000 / rate;
            wrong += gap != even && gap != even + 1;
        }
    }
    printf("%s: the schedule of the open loop\n", wrong == 0 ? "ok" : "WRONG");
    return wrong;
}

int main(void) {
    int wrong = test_distribution() + test_schedule() + test_honesty() + test_faults();
    return wrong != 0;
}
