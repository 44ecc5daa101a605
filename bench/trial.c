/* trial.c - all trials of a plan, in turn; see trial.h. */
#include "machine.h"

#include <leat/leat.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WOKEN_NS 2000u /* seen with nothing else running: 1000 to 2500 */

int check_leat(const char *call, int code) {
    if (code == LEAT_OK)
        return 0;
    fprintf(stderr, "\n%s: %s %s\n", call, leat_error_name(code), leat_error_detail());
    return -1;
}

void trial_channel(const struct trial *trial, unsigned number, char name[64]) {
    snprintf(name, 64, "%s-%u", trial->name, number);
}

/* --- The meetings ----------------------------------------------------------------------------- */

static int await(const uint64_t *word) {
    return machine.one_cpu ? sleep_until(word, 1) : probe_wait(word, 1);
}

/* One of the two probes, by either side. Its round trip is negative where there is no distance. */
static int probe(struct trial *trial, unsigned which) {
    double *ns = &trial->told->probes[which];
    if (machine.one_cpu)
        return *ns = -1, 0;
    if (trial->role == RECEIVER)
        return probe_answer(&trial->serial);
    expect_within(LATE_NS); /* of the harness: the watchdog ends what a way does */
    *ns = probe_ask(&trial->serial);
    __atomic_store_n(&machine.control->deadline_ns, 0, __ATOMIC_RELAXED);
    return *ns <= 0 ? -1 : 0;
}

static void refuse_unwanted(struct trial *trial) {
    enum placement wanted = trial->plan->wanted;
    double ns = trial->told->probes[0];
    trial->told->unwanted =
        wanted != ANY_PLACEMENT && !machine.one_cpu && (ns < NEAR_LIMIT_NS ? NEAR : FAR) != wanted;
    if (trial->told->unwanted)
        trial->duration_ns = 0;
}

int trial_begin(struct trial *trial) {
    struct control *control = machine.control;
    if (trial->part->alone)
        return 0;
    if (trial->role == RECEIVER) {
        __atomic_store_n(&control->ready, 1, __ATOMIC_RELEASE);
        if (probe(trial, 0) != 0)
            return -1;
        usage_add(&trial->told->usage[RECEIVER], UINT64_MAX);
        return await(&control->go);
    }
    if (await(&control->ready) != 0 || probe(trial, 0) != 0)
        return -1;
    refuse_unwanted(trial);
    usage_add(&trial->told->usage[SENDER], UINT64_MAX);
    __atomic_store_n(&control->go, 1, __ATOMIC_RELEASE);
    return 0;
}

int trial_end(struct trial *trial) {
    struct control *control = machine.control;
    if (trial->part->alone)
        return 0;
    usage_add(&trial->told->usage[trial->role], 1);
    if (trial->role == RECEIVER)
        __atomic_store_n(&control->done, 1, __ATOMIC_RELEASE);
    return await(&control->done) != 0 ? -1 : probe(trial, 1);
}

/* --- What came of it -------------------------------------------------------------------------- */

/* A process that spins must have had all the CPU time there was; one that sleeps must not have
 * waited for the CPU, but for the time until its CPU has woken too: that is part of what is
 * measured, and happens ten thousands of times a second. Its own threads may delay it. */
static bool was_late(const struct usage *usage, enum care care) {
    uint64_t excused_ns = usage->helpers_ns + usage->switches * WOKEN_NS;
    uint64_t lost_ns = usage->delay_ns > excused_ns ? usage->delay_ns - excused_ns : 0;
    if (care == SPINS)
        lost_ns = usage->wall_ns > usage->cpu_ns ? usage->wall_ns - usage->cpu_ns : 0;
    return care != SHARES && lost_ns * 100 > usage->wall_ns * 3;
}

/* Of two on one CPU, each is kept waiting while the other runs, and by others besides. */
static bool was_late_beside(const struct usage *usage, const struct usage *other) {
    uint64_t delay_ns = usage->delay_ns;
    return delay_ns > other->cpu_ns && (delay_ns - other->cpu_ns) * 100 > usage->wall_ns * 3;
}

static bool was_disturbed(const struct trial *trial) {
    const struct usage *usage = trial->told->usage;
    if (machine.one_cpu)
        return was_late_beside(&usage[SENDER], &usage[RECEIVER]) ||
               was_late_beside(&usage[RECEIVER], &usage[SENDER]);
    return was_late(&usage[SENDER], trial->care[SENDER]) ||
           was_late(&usage[RECEIVER], trial->care[RECEIVER]);
}

static enum placement classify(const struct trial *trial) {
    const struct told *told = trial->told;
    if (trial->part->alone)
        return ONE_CPU;
    if (told->unwanted)
        return UNWANTED;
    if ((told->too_little || was_disturbed(trial)) && !machine.polite)
        return DISTURBED;
    if (machine.one_cpu)
        return ONE_CPU;
    bool before_near = told->probes[0] < NEAR_LIMIT_NS,
         after_near = told->probes[1] < NEAR_LIMIT_NS;
    return before_near != after_near && !machine.polite ? MIXED : before_near ? NEAR : FAR;
}

/* --- One trial -------------------------------------------------------------------------------- */

/* What is there only when a process was killed. */
static void clear_up(struct trial *trial) {
    char name[64];
    for (int i = 0; i < 4; i++)
        if (trial->fd[i / 2][i % 2] >= 0)
            close(trial->fd[i / 2][i % 2]);
    for (unsigned i = 0; i < trial->way->channels; i++) {
        trial_channel(trial, i, name);
        int code = leat_unlink(name, LEAT_LOCAL);
        if (code != LEAT_ENOENT)
            (void)check_leat("leat_unlink", code);
    }
}

static void start(struct trial *trial) {
    static unsigned serial;
    const struct plan *plan = trial->plan;
    char text[64];
    trial->duration_ns = plan->duration_ns != 0
                             ? plan->duration_ns
                             : (uint64_t)(trial->part->seconds[plan->length] * 1e9);
    if (!trial->part->sleeps)
        trial->duration_ns = realtime_shorten(trial->duration_ns);
    snprintf(trial->name, sizeof trial->name, "leat_bench-%ld-%u", (long)getpid(), serial++);
    snprintf(machine.doing, sizeof machine.doing, "%s, %s%s", trial->way->name, trial->part->name,
             plan->size_count == 0 ? "" : ", ");
    size_t length = strlen(machine.doing);
    struct column column = trial->column;
    if (plan->size_count != 0)
        snprintf(machine.doing + length, sizeof machine.doing - length, "%s",
                 size_name(column.size, text));
    control_reset();
    memset(trial->told, 0, sizeof *trial->told);
    *trial->times = (struct histogram){0};
    size_draw(column.size, machine.lengths, LENGTHS);
    fflush(NULL);
    watch_for(plan->hang_s + trial->duration_ns / 1000000000u);
}

/* What became of it; PLACEMENTS: the way does not go with the column. */
static enum placement run_trial(struct trial *trial) {
    const struct way *way = trial->way;
    uint64_t began_ns = now_ns();
    start(trial);
    int result = way->prepare != NULL ? way->prepare(trial) : 0;
    bool skipped = result > 0;
    if (result == 0 && !trial->part->alone && in_new_child(machine.cpus[1])) {
        trial->role = RECEIVER;
        end_child(way->work(trial));
    }
    trial->role = SENDER;
    if (result == 0)
        result = way->work(trial);
    if (!skipped)
        result |= collect_children(result != 0);
    if (way->finish != NULL && !skipped)
        way->finish(trial, result == 0);
    watch_for(0);
    clear_up(trial);
    realtime_rest(began_ns);
    if (skipped || (result == 0 && trial->told->does_not_fit))
        return PLACEMENTS;
    if (result != 0 && machine.control->state == LATE)
        return DISTURBED;
    if (result != 0)
        message_lost();
    return classify(trial);
}

/* --- All of them ------------------------------------------------------------------------------ */

static void list_trial(const struct trial *trial, enum placement placement) {
    fprintf(stderr, "%s, %s:", machine.doing, placement_names[placement]);
    for (size_t i = 0; i < figure_count(trial->part); i++)
        if (trial->part->figures[i].head != NULL)
            fprintf(stderr, " %s %.4g;", trial->part->figures[i].head, trial->told->figures[i]);
    fprintf(stderr, "\n");
}

static void keep(struct cell *cell, const struct trial *trial, unsigned round,
                 enum placement placement) {
    struct measured *one = &cell->trials[cell->count++];
    one->round = round;
    one->placement = placement;
    one->probe_ns = (trial->told->probes[0] + trial->told->probes[1]) / 2;
    memcpy(one->figures, trial->told->figures, sizeof one->figures);
    if (trial->times->count == 0)
        return;
    if (cell->all[placement] == NULL)
        cell->all[placement] = must_allocate(1, sizeof *trial->times);
    histogram_merge(cell->all[placement], trial->times);
}

static bool is_over(const struct plan *plan) {
    return harness_signal() != 0 || (plan->stop_ns != 0 && now_ns() > plan->stop_ns);
}

/* One round of one cell: until it was measured undisturbed, or has been tried often enough. */
static void measure(struct results *results, struct cell *cell, unsigned round,
                    const struct trial *model) {
    const struct plan *plan = results->plan;
    for (unsigned attempt = 0; attempt < plan->attempts;) {
        struct trial trial = *model;
        if (harness_signal() != 0 || (attempt > 0 && is_over(plan)))
            return;
        enum placement placement = run_trial(&trial);
        if (placement == PLACEMENTS)
            return;
        results->tally[placement]++;
        if (placement == UNWANTED && now_ns() < plan->give_up_ns) {
            usleep(100000); /* idle CPUs are what the host moves */
            continue;
        }
        if (plan->list)
            list_trial(&trial, placement);
        if (placement < PLACED) {
            keep(cell, &trial, round, placement);
            return;
        }
        usleep(20000); /* what disturbed may be over by then */
        attempt++;
    }
}

static void show_progress(const struct plan *plan, unsigned round, const struct trial *trial) {
    static const char *const clear = "\r\033[K";
    if (plan->list || !isatty(STDERR_FILENO))
        return;
    fputs(clear, stderr);
    if (trial != NULL)
        fprintf(stderr, "%s: round %u of %u (%s, %s)", plan->name, round + 1, plan->rounds,
                trial->part->name, trial->way->name);
}

/* Each way once, unless it is time to end. Each round begins with another: what comes first may
 * find other weather. */
static void run_column(struct results *results, size_t part, size_t column, unsigned round,
                       struct trial *trial) {
    const struct plan *plan = results->plan;
    trial->part = plan->parts[part];
    trial->column = plan_column(plan, column);
    for (size_t i = 0; i < trial->part->way_count; i++) {
        size_t way = (i + round) % trial->part->way_count;
        trial->way = &trial->part->ways[way];
        if (is_over(plan)) {
            results->not_begun++;
            continue;
        }
        show_progress(plan, round, trial);
        measure(results, (struct cell *)(uintptr_t)results_cell(results, part, column, way), round,
                trial);
    }
}

void trials_run(const struct plan *plan, struct results *results) {
    size_t columns = plan_columns(plan);
    struct trial trial = {.plan = plan,
                          .fd = {{-1, -1}, {-1, -1}},
                          .times = must_allocate(1, sizeof *trial.times),
                          .told = map_shared(sizeof *trial.told)};
    *results = (struct results){.plan = plan, .cell_count = plan->part_count * columns * WAYS_MAX};
    results->cells = must_allocate(results->cell_count, sizeof(struct cell));
    for (unsigned round = 0; round < plan->rounds; round++)
        for (size_t part = 0; part < plan->part_count; part++)
            for (size_t column = 0; column < columns; column++)
                if (round == 0 || !plan->parts[part]->once)
                    run_column(results, part, column, round, &trial);
    show_progress(plan, 0, NULL);
    free(trial.times);
}

void results_free(struct results *results) {
    for (size_t i = 0; i < results->cell_count; i++)
        for (int placement = NEAR; placement < PLACED; placement++)
            free(results->cells[i].all[placement]);
    free(results->cells);
    results->cells = NULL;
}
