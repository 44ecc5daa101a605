/* channels/policy_measure.c - leat_policy_measure: tries policies on a real channel between two threads and keeps what is fastest.
 *
 * One figure after the other, the others held: first what to wipe, then how long to nap. All candidates take turns, round by round, so
 * that a machine that changes its mind meanwhile changes it for all; medians count. The spin follows from how long a wake-up takes: who
 * spins for as long as a sleep would cost, both sides counted, never pays more than twice what knowing the future would.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "channels/policy.h"
#include "leat/channel.h"
#include "leat/object.h"
#include "lib/fail.h"
#include "lib/os.h"

#define CANDIDATES 6
#define SIZES 4
#define ROUNDS 5
#define STEPS 2        /* figures that are found by comparing */
#define WAKES 200      /* round trips between sleepers */
#define LEAST_GAIN 1.03
#define SPIN_NS_LEAST 5000
#define SPIN_NS_MOST 200000

/* Messages whose slots are a quarter of a line, two lines, and seven. */
static const size_t sizes[SIZES] = {8, 64, 100, 400};

/* --- One run between two threads --------------------------------------------------------------------------------------- */

struct run {
    char name[48];
    leat_channel_options options;
    size_t size;
    uint64_t duration_ns;
    int processor;     /* the thread's */
    uint64_t received; /* by the thread, until the end of the stream */
    uint64_t took_ns;
    int result; /* the thread's */
};

static void *receive_all(void *context) {
    struct run *run = context;
    leat_receiver *rx;
    unsigned char buffer[1024];
    size_t size;
    leat__os_keep_on(run->processor);
    run->result = leat_receiver_open(&rx, run->name, &run->options);
    if (run->result != LEAT_OK)
        return NULL;
    uint64_t began = 0;
    while ((run->result = leat_recv(rx, buffer, sizeof buffer, &size, LEAT_FOREVER)) == LEAT_OK) {
        if (run->received++ == 0)
            began = leat__os_now();
    }
    run->took_ns = leat__os_now() - began;
    run->result = run->result == LEAT_ECLOSED ? LEAT_OK : run->result;
    leat_receiver_close(rx);
    return NULL;
}

static int send_for_a_while(leat_sender *tx, const struct run *run) {
    static const unsigned char bytes[1024];
    int result = leat_sender_wait_peer(tx, leat_in_ms(1000));
    uint64_t end = leat__os_now() + run->duration_ns;
    while (result == LEAT_OK && leat__os_now() < end)
        for (int i = 0; i < 64 && result == LEAT_OK; i++)
            result = leat_send(tx, bytes, run->size, LEAT_FOREVER);
    return result;
}

/* Messages a second. */
static int measure_rate(const leat_policy *policy, size_t size, uint64_t duration_ns, int processor, double *rate) {
    struct run run = {.options = {.policy = policy}, .size = size, .duration_ns = duration_ns, .processor = processor};
    snprintf(run.name, sizeof run.name, "leat-calibrate-%ld", (long)getpid());
    leat_sender *tx;
    pthread_t thread;
    int result = leat_sender_open(&tx, run.name, &run.options);
    if (result != LEAT_OK)
        return result;
    if (pthread_create(&thread, NULL, receive_all, &run) != 0) {
        leat_sender_close(tx);
        return leat__fail(LEAT_ELIMIT, 0, "no thread to measure with");
    }
    result = send_for_a_while(tx, &run);
    leat_sender_close(tx); /* ends the stream, and so the thread */
    pthread_join(thread, NULL);
    result = run.result != LEAT_OK ? run.result : result;
    *rate = run.took_ns > 0 ? (double)run.received * 1e9 / (double)run.took_ns : 0;
    return result;
}

/* --- Comparing ---------------------------------------------------------------------------------------------------------- */

static int compare_doubles(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

static double median(double *values, size_t count) {
    qsort(values, count, sizeof *values, compare_doubles);
    return values[count / 2];
}

struct comparison {
    leat_policy policies[CANDIDATES]; /* the first is the one to beat */
    size_t count;
    double rates[CANDIDATES][SIZES][ROUNDS];
};

/* The mean over the sizes of what a candidate reaches against the first. */
static double advantage(struct comparison *comparison, size_t candidate) {
    double ratios = 0;
    for (size_t size = 0; size < SIZES; size++)
        ratios += median(comparison->rates[candidate][size], ROUNDS) / median(comparison->rates[0][size], ROUNDS);
    return ratios / SIZES;
}

/* All of leat_policy_measure. */
struct task {
    leat_policy *policy;
    uint64_t budget_ns;
    bool (*trial)(void *context, const leat_policy_trial *trial);
    void *context;
    double progress;           /* of the steps that are over */
    int processors[2];         /* of the two sides */
    int result;
    char detail[256];
};

/* part: of the present step. LEAT_EINTR when the caller has had enough. */
static int report(const struct task *task, const leat_policy *policy, double rate, double part) {
    const leat_policy_trial trial = {*policy, rate, task->progress + part / STEPS};
    bool go_on = task->trial == NULL || task->trial(task->context, &trial);
    return go_on ? LEAT_OK : leat__fail(LEAT_EINTR, 0, "given up after %.0f %%", 100 * trial.progress);
}

static int run_all(const struct task *task, struct comparison *comparison) {
    size_t runs = comparison->count * SIZES * ROUNDS, done = 0;
    uint64_t duration_ns = task->budget_ns / STEPS / runs;
    for (size_t round = 0; round < ROUNDS; round++)
        for (size_t size = 0; size < SIZES; size++)
            for (size_t i = 0; i < comparison->count; i++) {
                const leat_policy *policy = &comparison->policies[i];
                int result = measure_rate(policy, sizes[size], duration_ns, task->processors[1], &comparison->rates[i][size][round]);
                if (result == LEAT_OK)
                    result = report(task, policy, 0, (double)++done / (double)runs);
                if (result != LEAT_OK)
                    return result;
            }
    return LEAT_OK;
}

/* Compares the policy with the others that have these values in one field, and takes over the best. */
static int choose(struct task *task, leat_policy *policy, size_t field, const uint32_t values[], size_t count) {
    struct comparison comparison = {.policies = {*policy}, .count = 1};
    uint32_t present;
    memcpy(&present, (char *)policy + field, sizeof present);
    for (size_t i = 0; i < count && comparison.count < CANDIDATES; i++) {
        if (values[i] == present)
            continue;
        leat_policy *candidate = &comparison.policies[comparison.count++];
        *candidate = *policy;
        memcpy((char *)candidate + field, &values[i], sizeof values[i]);
    }
    int result = run_all(task, &comparison);
    double best = LEAST_GAIN;
    for (size_t i = 0; i < comparison.count && result == LEAT_OK; i++) {
        double rate = advantage(&comparison, i);
        result = report(task, &comparison.policies[i], rate, 1);
        if (rate > best) {
            best = rate;
            *policy = comparison.policies[i];
        }
    }
    task->progress += 1.0 / STEPS;
    return result;
}

/* --- Waking ------------------------------------------------------------------------------------------------------------- */

static void *answer_all(void *context) {
    struct run *run = context;
    leat_receiver *rx;
    leat_sender *tx = NULL;
    unsigned char byte;
    size_t size;
    leat__os_keep_on(run->processor);
    run->result = leat_receiver_open(&rx, run->name, &run->options);
    if (run->result != LEAT_OK)
        return NULL;
    strcat(run->name, "-back");
    run->result = leat_sender_open(&tx, run->name, &run->options);
    while (run->result == LEAT_OK && (run->result = leat_recv(rx, &byte, 1, &size, LEAT_FOREVER)) == LEAT_OK)
        run->result = leat_send(tx, &byte, size, LEAT_FOREVER);
    run->result = run->result == LEAT_ECLOSED ? LEAT_OK : run->result;
    leat_sender_close(tx);
    leat_receiver_close(rx);
    return NULL;
}

static int ask(leat_sender *tx, leat_receiver *rx, double *trip_ns) {
    double trips[WAKES] = {0};
    int result = leat_sender_wait_peer(tx, leat_in_ms(1000));
    for (size_t i = 0; i < WAKES && result == LEAT_OK; i++) {
        unsigned char byte = 0;
        size_t size;
        uint64_t began = leat__os_now();
        result = leat_send(tx, &byte, 1, LEAT_FOREVER);
        if (result == LEAT_OK)
            result = leat_recv(rx, &byte, 1, &size, leat_in_ms(1000));
        trips[i] = (double)(leat__os_now() - began);
    }
    *trip_ns = median(trips, WAKES);
    return result;
}

/* A round trip between two sides that sleep at once is two wake-ups. */
static int measure_wake(const leat_policy *policy, int processor, double *wake_ns) {
    struct run run = {.options = {.policy = policy, .spin_us = -1}, .processor = processor};
    char back[64];
    snprintf(run.name, sizeof run.name, "leat-calibrate-%ld", (long)getpid());
    snprintf(back, sizeof back, "%s-back", run.name);
    leat_sender *tx = NULL;
    leat_receiver *rx = NULL;
    pthread_t thread;
    int result = leat_sender_open(&tx, run.name, &run.options);
    if (result == LEAT_OK)
        result = leat_receiver_open(&rx, back, &run.options);
    if (result == LEAT_OK && pthread_create(&thread, NULL, answer_all, &run) != 0)
        result = leat__fail(LEAT_ELIMIT, 0, "no thread to measure with");
    else if (result == LEAT_OK) {
        double trip_ns = 0;
        result = ask(tx, rx, &trip_ns);
        *wake_ns = trip_ns / 2;
        leat_sender_close(tx);
        tx = NULL;
        pthread_join(thread, NULL);
        result = run.result != LEAT_OK ? run.result : result;
    }
    leat_sender_close(tx);
    leat_receiver_close(rx);
    return result;
}

/* --- All of it ---------------------------------------------------------------------------------------------------------- */

static int measure(struct task *task, leat_policy *found) {
    static const uint32_t wipes[] = {0, 128, 256, 512, 2048}, naps[] = {0, 400, 800, 1600, 4000};
    double wake_ns = 0;
    int result = leat_policy_choose(found);
    if (result == LEAT_OK)
        result = measure_wake(found, task->processors[1], &wake_ns);
    if (result != LEAT_OK)
        return result;
    double spin_ns = 2 * wake_ns;
    found->spin_ns = spin_ns < SPIN_NS_LEAST ? SPIN_NS_LEAST : spin_ns > SPIN_NS_MOST ? SPIN_NS_MOST : (uint32_t)spin_ns;
    found->source = LEAT_POLICY_MEASURED;
    result = report(task, found, 1, 0);
    if (result == LEAT_OK)
        result = choose(task, found, offsetof(leat_policy, wipe_bytes), wipes, sizeof wipes / sizeof wipes[0]);
    if (result == LEAT_OK)
        result = choose(task, found, offsetof(leat_policy, nap_ns), naps, sizeof naps / sizeof naps[0]);
    return result;
}

/* A thread of its own, so that the caller's is not moved. */
static void *run_task(void *context) {
    struct task *task = context;
    leat_policy found;
    leat__os_keep_on(task->processors[0]);
    task->result = measure(task, &found);
    if (task->result == LEAT_OK)
        *task->policy = found;
    else
        snprintf(task->detail, sizeof task->detail, "%s", leat_error_detail());
    return NULL;
}

int leat_policy_measure(leat_policy *policy, uint64_t budget_ns,
                        bool (*trial)(void *context, const leat_policy_trial *trial), void *context) {
    struct task task = {.policy = policy, .budget_ns = budget_ns, .trial = trial, .context = context};
    pthread_t thread;
    if (policy == NULL)
        return leat__fail(LEAT_EINVAL, 0, "no policy");
    if (!leat__os_processors(&task.processors[0], &task.processors[1]))
        return leat__fail(LEAT_ENOTSUP, 0, "on a single processor there is nothing to choose");
    if (pthread_create(&thread, NULL, run_task, &task) != 0)
        return leat__fail(LEAT_ELIMIT, 0, "no thread to measure with");
    int cancel = leat__os_cancellation_hold();
    pthread_join(thread, NULL);
    leat__os_cancellation_release(cancel);
    return task.result == LEAT_OK ? LEAT_OK : leat__fail(task.result, 0, "%s", task.detail);
}
