/* fault_run.c - runs an operation again and again, each time with another fault, and keeps the
 * findings. See fault.h. */
#include "fault_ops.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOW_NS UINT64_C(6000000000) /* much longer than any deadline here */
#define USES_MAX 32
#define USES_QUICK 6
#define USES_THOROUGH 6   /* of later uses the first error alone, once: they repeat a loop */
#define ERRORS_FOR_GOOD 2 /* so many also from a later use on; from the first use on, all */
/* so many of a use behind the second: the code behind most uses is the same */
#define ERRORS_LATER 3
#define CANCELS_MAX 100 /* later calls repeat a loop */
#define SET_UP_FAILED 97

/* Shared by the three processes of a run. */
struct world {
    harness_word stage, worker, bystander, words[4];
    harness_word tracee, cancel;
    bool cancels; /* the worker makes the call in a thread that can be cancelled */
    int code;
    int error;           /* of the call that fails first */
    bool keeps_mappings; /* the plan makes munmap fail: then mappings must stay */
    _Atomic uint32_t found;
    struct {
        enum fault_verdict verdict;
        char text[FAULT_TEXT];
    } findings[16];
};

static struct world *world;
uint64_t fault_limit_ns = UINT64_C(30000000000);

/* --- For the operations ----------------------------------------------------------------------- */

const char *fault_verdict_name(enum fault_verdict verdict) {
    static const char *const names[FAULT_VERDICTS] = {
        [FAULT_SET_UP] = "SET-UP",           [FAULT_HANG] = "HANGS",
        [FAULT_CRASH] = "CRASHES",           [FAULT_CODE] = "WRONG CODE",
        [FAULT_OUTPUT] = "RESULT CHANGED",   [FAULT_DESCRIPTOR] = "DESCRIPTOR LEFT",
        [FAULT_LOW] = "LOW DESCRIPTOR",      [FAULT_MAPPING] = "MAPPING LEFT",
        [FAULT_NAME] = "NAME LEFT",          [FAULT_TWO_HOLDERS] = "TWO HOLDERS",
        [FAULT_CALLED_DEAD] = "CALLED DEAD", [FAULT_NO_CAUSE] = "NO CAUSE",
        [FAULT_HELD_UP] = "HELD UP",         [FAULT_REPLACED] = "REPLACED",
        [FAULT_LEFT_ERROR] = "ERROR LEFT",
    };
    return names[verdict];
}

void fault_found(enum fault_verdict verdict, const char *format, ...) {
    uint32_t place = atomic_fetch_add(&world->found, 1);
    if (place >= sizeof world->findings / sizeof world->findings[0])
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(world->findings[place].text, FAULT_TEXT, format, arguments);
    va_end(arguments);
    world->findings[place].verdict = verdict;
}

bool fault_expect_code(enum fault_verdict verdict, int got, int wanted, const char *call) {
    if (got != wanted)
        fault_found(verdict, "%.90s gives %s", call, leat_error_name(got));
    return got == wanted;
}

void fault_ready_code(int got, const char *call) {
    if (got == LEAT_OK)
        return;
    fault_found(FAULT_SET_UP, "%.60s gives %s: %.60s", call, leat_error_name(got),
                leat_error_detail());
    _exit(SET_UP_FAILED);
}

harness_word *fault_word(unsigned index) {
    return &world->words[index];
}

int fault_error(void) {
    return world->error;
}

/* --- Steps ------------------------------------------------------------------------------------ */

static void sleep_on(harness_word *word, uint32_t seen, long nanoseconds) {
    struct timespec rest = {0, nanoseconds};
    syscall(SYS_futex, word, FUTEX_WAIT, seen, &rest, NULL, 0);
}

/* By the worker and the bystander; the lane ends them if it lasts. */
static void await_stage(uint32_t stage) {
    for (uint32_t seen; (seen = atomic_load(&world->stage)) < stage;)
        sleep_on(&world->stage, seen, 500000000);
}

static bool has_ended(pid_t pid) {
    siginfo_t information = {0};
    return waitid(P_PID, (id_t)pid, &information, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           information.si_pid == pid;
}

/* By the lane. False: the process ended before, or it took too long. */
static bool await_step(harness_word *word, uint32_t value, pid_t pid, const char *what) {
    uint64_t limit = harness_now() + fault_limit_ns * harness_patience();
    for (uint32_t seen; (seen = atomic_load(word)) < value;) {
        if (harness_now() > limit) {
            fault_found(FAULT_HANG, "%s", what);
            return false;
        }
        if (has_ended(pid))
            return atomic_load(word) >= value;
        sleep_on(word, seen, 20000000);
    }
    return true;
}

/* --- A process's resources -------------------------------------------------------------------- */

#define DESCRIPTORS 128

struct belongings {
    bool open[DESCRIPTORS];
    unsigned mappings;
};

/* Mappings of the local directory's files and of memory without a name. */
static unsigned count_mappings(void) {
    unsigned count = 0;
    char line[1024];
    const char *directory = getenv("LEAT_DIR");
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
        count += strstr(line, directory) != NULL || strstr(line, "/memfd:leat") != NULL;
    if (maps != NULL)
        fclose(maps);
    return count;
}

static void take_stock(struct belongings *now) {
    for (int i = 0; i < DESCRIPTORS; i++)
        now->open[i] = fcntl(i, F_GETFD) >= 0;
    now->mappings = count_mappings();
}

static void name_descriptor(int descriptor, char *text, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, text, size - 1);
    text[length > 0 ? length : 0] = '\0';
    const char *rest = strrchr(text, '/');
    if (rest != NULL)
        memmove(text, rest + 1, strlen(rest + 1) + 1);
    text[strcspn(text, "0123456789#")] = '\0'; /* numbers differ from run to run */
}

static void compare_stock(const struct belongings *before) {
    struct belongings now;
    char name[128];
    take_stock(&now);
    for (int i = 0; i < DESCRIPTORS; i++) {
        if (now.open[i] && !before->open[i]) {
            name_descriptor(i, name, sizeof name);
            fault_found(FAULT_DESCRIPTOR, "of '%s'", name);
        } else if (!now.open[i] && before->open[i]) {
            fault_found(FAULT_DESCRIPTOR, "one that was not its own was closed");
        }
    }
    if (now.mappings > before->mappings && !world->keeps_mappings)
        fault_found(FAULT_MAPPING, "%u more than before", now.mappings - before->mappings);
}

static void check_low_descriptors(const struct belongings *before) {
    for (int i = 0; i < 3; i++)
        if (!before->open[i] && fcntl(i, F_GETFD) >= 0)
            fault_found(FAULT_LOW, "descriptor %d", i);
}

/* --- The processes ---------------------------------------------------------------------------- */

static void run_bystander(const struct fault_operation *operation) {
    if (operation->hold != NULL)
        operation->hold();
    harness_set(&world->bystander, 1);
    await_stage(1);
    if (operation->look != NULL)
        operation->look(FAULT_WORKER_HAS, world->code);
    harness_set(&world->bystander, 2);
    await_stage(3);
    if (operation->look != NULL)
        operation->look(FAULT_WORKER_LEFT, world->code);
    harness_set(&world->bystander, 3);
    await_stage(5);
    if (operation->leave != NULL)
        operation->leave();
    fault_expect(FAULT_HELD_UP, leat_gc(LEAT_LOCAL, NULL, NULL), LEAT_OK);
    _exit(0);
}

struct work {
    const struct fault_operation *operation;
    struct belongings before;
};

static void get_ready(struct work *work) {
    for (int i = 0; i < 3; i++)
        if ((work->operation->closed >> i & 1) != 0)
            close(i);
    take_stock(&work->before);
    if (work->operation->prepare != NULL)
        work->operation->prepare();
}

/* A failure to be recorded before the call. One that succeeds, or returns an event, keeps it. */
static void leave_older_failure(char detail[FAULT_TEXT]) {
    (void)!leat_mutex_open(NULL, "older", NULL);
    snprintf(detail, FAULT_TEXT, "%s", leat_error_detail());
}

static void check_record(int code, const char *older) {
    bool failed = code != LEAT_OK && code != LEAT_EAGAIN && code != LEAT_ETIMEDOUT &&
                  code != LEAT_ECLOSED && code != LEAT_EPEERDIED && code != LEAT_EPEERBACK;
    if (!failed && strcmp(leat_error_detail(), older) != 0)
        fault_found(FAULT_LEFT_ERROR, "%s (%s)", leat_error_name(leat_error_last()),
                    leat_error_detail());
}

static int make_call(const struct fault_operation *operation) {
    char older[FAULT_TEXT];
    leave_older_failure(older);
    fault_trace_begin(&world->tracee);
    uint64_t began = harness_now();
    int code = operation->act();
    fault_trace_end();
    check_record(code, older);
    if (operation->waits && harness_now() - began > SLOW_NS * harness_patience())
        fault_found(FAULT_HANG, "the call overruns its deadline by seconds");
    return code;
}

static void finish_work(const struct work *work, int code) {
    const struct fault_operation *operation = work->operation;
    world->code = code;
    check_low_descriptors(&work->before);
    if (operation->judge != NULL)
        operation->judge(code);
    harness_set(&world->worker, 1);
    await_stage(2);
    if (operation->finish != NULL)
        operation->finish();
    compare_stock(&work->before);
    harness_set(&world->worker, 2);
    await_stage(4);
    _exit(0);
}

/* Everything in one thread, as a mutex may be its own. It can be cancelled in the call alone. */
static void *work_in_thread(void *context) {
    struct work *work = context;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    get_ready(work);
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    int code = make_call(work->operation);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    finish_work(work, code);
    return NULL;
}

static void *cancel_when_told(void *context) {
    while (atomic_load(&world->cancel) != FAULT_CANCEL)
        sleep_on(&world->cancel, 0, 500000000);
    pthread_cancel(*(pthread_t *)context);
    harness_set(&world->cancel, FAULT_CANCEL_SENT);
    return NULL;
}

static void run_worker(const struct fault_operation *operation) {
    struct work work = {.operation = operation};
    pthread_t thread, other;
    if (!world->cancels) {
        get_ready(&work);
        finish_work(&work, make_call(operation));
    }
    if (pthread_create(&thread, NULL, work_in_thread, &work) != 0 ||
        pthread_create(&other, NULL, cancel_when_told, &thread) != 0 ||
        pthread_join(thread, NULL) != 0)
        _exit(SET_UP_FAILED);
    finish_work(&work, FAULT_CANCELLED);
}

static pid_t start(const struct fault_operation *operation,
                   void (*run)(const struct fault_operation *operation)) {
    pid_t pid = fork();
    if (pid < 0)
        harness_fail("fork: %s", strerror(errno));
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGALRM, SIG_DFL);
    run(operation);
    _exit(0);
}

/* Ends it, if it has not ended, and reports the cause of its death. */
static void end(pid_t pid, const char *what, bool in_time) {
    int status;
    if (!in_time)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (in_time && WIFSIGNALED(status))
        fault_found(FAULT_CRASH, "%s, signal %s", what, strsignal(WTERMSIG(status)));
    else if (in_time && WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != SET_UP_FAILED)
        fault_found(FAULT_CRASH, "%s exits with %d", what, WEXITSTATUS(status));
}

/* --- One run ---------------------------------------------------------------------------------- */

static void empty_directory(bool report) {
    const char *path = getenv("LEAT_DIR");
    DIR *directory = opendir(path);
    if (directory == NULL)
        harness_fail("%s: %s", path, strerror(errno));
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        char name[64];
        snprintf(name, sizeof name, "%.60s", entry->d_name);
        if (strncmp(name, ".leat-", 6) == 0)
            name[strcspn(name, "0123456789")] = '\0';
        if (report)
            fault_found(FAULT_NAME, "'%s'", name);
        unlinkat(dirfd(directory), entry->d_name, 0);
    }
    closedir(directory);
}

static void last_calls(const struct fault_trace *trace, char *text, size_t size) {
    unsigned first = trace->calls > 6 ? trace->calls - 6 : 0;
    text[0] = '\0';
    for (unsigned i = first; i < trace->calls; i++) {
        size_t length = strlen(text);
        snprintf(text + length, size - length, " %s",
                 fault_kind_at(trace->order[i % FAULT_TRACE_MAX])->name);
    }
}

/* The steps between the worker's call and its end; false when one of the two processes did not
 * reach a step. */
static bool step_through(pid_t worker, pid_t bystander) {
    if (!await_step(&world->worker, 1, worker, "judging"))
        return false;
    harness_set(&world->stage, 1);
    if (!await_step(&world->bystander, 2, bystander, "the bystander, while the worker has it"))
        return false;
    harness_set(&world->stage, 2);
    if (!await_step(&world->worker, 2, worker, "closing"))
        return false;
    harness_set(&world->stage, 3);
    return await_step(&world->bystander, 3, bystander, "the bystander, once the worker has left");
}

static bool hung(void) {
    for (uint32_t i = 0; i < atomic_load(&world->found) && i < 16; i++)
        if (world->findings[i].verdict == FAULT_HANG)
            return true;
    return false;
}

static bool fails(const struct fault_plan *plan, const char *name) {
    for (int i = 0; i < 2; i++)
        if (plan->blows[i].kind >= 0 &&
            strcmp(fault_kind_at((size_t)plan->blows[i].kind)->name, name) == 0)
            return true;
    return false;
}

static void run_once(const struct fault_operation *operation, const struct fault_plan *plan,
                     struct fault_trace *trace) {
    memset(world, 0, sizeof *world);
    world->error = plan->blows[0].kind >= 0 ? plan->blows[0].error : 0;
    world->keeps_mappings = fails(plan, "munmap");
    world->cancels = plan->cancel_at > 0;
    memset(trace, 0, sizeof *trace);
    pid_t bystander = start(operation, run_bystander);
    bool going = await_step(&world->bystander, 1, bystander, "the bystander's set-up");
    if (!going) {
        end(bystander, "the bystander", !hung());
        return;
    }
    pid_t worker = start(operation, run_worker);
    if (await_step(&world->tracee, 1, worker, "the worker's set-up"))
        fault_trace_follow((pid_t)atomic_load(&world->tracee), plan,
                           fault_limit_ns * harness_patience(), trace);
    if (trace->overran) {
        char text[FAULT_TEXT];
        last_calls(trace, text, sizeof text);
        fault_found(FAULT_HANG, "the call:%.150s", text);
    }
    going = !trace->overran && !trace->ended && step_through(worker, bystander);
    harness_set(&world->stage, 4);
    if (trace->ended && WIFSIGNALED(trace->status))
        fault_found(FAULT_CRASH, "the call, signal %s", strsignal(WTERMSIG(trace->status)));
    else if (trace->ended && WEXITSTATUS(trace->status) != SET_UP_FAILED)
        fault_found(FAULT_CRASH, "the call exits with %d", WEXITSTATUS(trace->status));
    if (!trace->ended)
        end(worker, "the worker", !hung());
    harness_set(&world->stage, 5);
    end(bystander, "the bystander", !hung());
    empty_directory(going && !hung());
}

/* --- Judging the code ------------------------------------------------------------------------- */

/* Codes that mean that the system refused. */
static bool is_refusal(int code) {
    static const int refusals[] = {LEAT_EACCES, LEAT_ENOSPC,  LEAT_ENOMEM,
                                   LEAT_ELIMIT, LEAT_ENOTSUP, LEAT_ESYSTEM};
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        if (refusals[i] == code)
            return true;
    return false;
}

/* Codes that mean what this error means. */
static bool is_meaning(int error, int code) {
    switch (code) {
    case LEAT_ENOENT:
        return error == ENOENT || error == ESRCH;
    case LEAT_EEXIST:
        return error == EEXIST;
    case LEAT_ECLOSED:
        return error == EPIPE || error == ECONNRESET;
    case LEAT_EBUSY:
        return error == EAGAIN || error == EBUSY || error == EEXIST || error == ENOENT ||
               error == EACCES;
    default:
        return false;
    }
}

static bool is_documented(const struct fault_operation *operation, const struct fault_plan *plan,
                          int code) {
    for (size_t i = 0; i < 8 && operation->codes[i] != 0; i++)
        if (operation->codes[i] == code)
            return true;
    if (code == LEAT_OK)
        return true;
    for (int i = 0; i < 2; i++)
        if (plan->blows[i].kind >= 0 &&
            (is_refusal(code) || is_meaning(plan->blows[i].error, code)))
            return true;
    return false;
}

static void judge_code(const struct fault_operation *operation, const struct fault_plan *plan,
                       const struct fault_trace *trace) {
    if (trace->overran || trace->ended || trace->unwound || trace->calls == 0)
        return;
    if (world->code == LEAT_OK && operation->never_ok)
        fault_found(FAULT_NO_CAUSE, "it gives LEAT_OK");
    if (!is_documented(operation, plan, world->code))
        fault_found(FAULT_CODE, "%s", leat_error_name(world->code));
    if (trace->unknown >= 0)
        fault_found(FAULT_SET_UP, "system call %ld is in no table", trace->unknown);
}

/* --- Keeping findings ------------------------------------------------------------------------- */

static void describe(const struct fault_plan *plan, char *call, size_t call_size, char *how,
                     size_t how_size) {
    snprintf(call, call_size, "-");
    snprintf(how, how_size, "-");
    if (plan->cancel_at > 0) {
        snprintf(call, call_size, "cancel");
        snprintf(how, how_size, "before call %u", plan->cancel_at);
    }
    for (int i = 0; i < 2; i++) {
        const struct fault_blow *blow = &plan->blows[i];
        if (blow->kind < 0)
            continue;
        size_t c = i == 0 ? 0 : strlen(call), h = i == 0 ? 0 : strlen(how);
        snprintf(call + c, call_size - c, "%s%s", i == 0 ? "" : " & ",
                 fault_kind_at((size_t)blow->kind)->name);
        snprintf(how + h, how_size - h, "%s%s@%u%s", i == 0 ? "" : "&",
                 fault_error_name(blow->error), blow->n, blow->always ? "+" : "");
    }
}

static struct fault_finding *find(struct fault_result *result, enum fault_verdict verdict,
                                  const char *call, const char *text, bool make) {
    for (unsigned i = 0; i < result->count; i++) {
        struct fault_finding *finding = &result->findings[i];
        if (finding->verdict == verdict && strcmp(finding->call, call) == 0 &&
            strcmp(finding->text, text) == 0)
            return finding;
    }
    if (!make)
        return NULL;
    if (result->count == FAULT_FINDINGS_MAX) {
        result->dropped++;
        return NULL;
    }
    struct fault_finding *made = &result->findings[result->count++];
    *made = (struct fault_finding){.verdict = verdict};
    strcpy(made->call, call);
    strcpy(made->text, text);
    return made;
}

static void keep_findings(const struct fault_plan *plan, struct fault_result *result) {
    char call[40], how[64];
    describe(plan, call, sizeof call, how, sizeof how);
    uint32_t count = atomic_load(&world->found);
    for (uint32_t i = 0; i < count && i < 16; i++) {
        if (find(result, world->findings[i].verdict, "-", world->findings[i].text, false) != NULL &&
            plan->blows[0].kind >= 0)
            continue; /* it is so without a fault */
        struct fault_finding *finding =
            find(result, world->findings[i].verdict, call, world->findings[i].text, true);
        if (finding == NULL)
            continue;
        finding->runs++;
        size_t length = strlen(finding->plans);
        if (length + strlen(how) + 2 < sizeof finding->plans)
            snprintf(finding->plans + length, sizeof finding->plans - length, "%s%s",
                     length == 0 ? "" : " ", how);
    }
}

static void count_blows(const struct fault_plan *plan, struct fault_result *result) {
    result->runs++;
    result->doubles += plan->blows[1].kind >= 0;
    for (int i = 0; i < 2; i++) {
        const struct fault_blow *blow = &plan->blows[i];
        if (blow->kind < 0)
            continue;
        result->kinds[blow->kind / 64] |= UINT64_C(1) << blow->kind % 64;
        result->errors[blow->error / 64 % 4] |= UINT64_C(1) << blow->error % 64;
    }
}

/* --- All runs --------------------------------------------------------------------------------- */

struct campaign {
    const struct fault_operation *operation;
    struct fault_result *result;
    enum fault_depth depth;
    unsigned base[FAULT_KINDS_MAX];               /* uses without a fault */
    bool tried[FAULT_KINDS_MAX][FAULT_KINDS_MAX]; /* as a second fault */
    struct fault_trace trace;                     /* of the last run */
};

static const struct fault_blow no_blow = {.kind = -1};

static void run_plan(struct campaign *campaign, const struct fault_plan *plan) {
    run_once(campaign->operation, plan, &campaign->trace);
    judge_code(campaign->operation, plan, &campaign->trace);
    if (atomic_load(&world->found) > 0)
        keep_findings(plan, campaign->result);
}

/* True when the fault happened. */
static bool strike(struct campaign *campaign, struct fault_blow first, struct fault_blow second) {
    struct fault_plan plan = {.blows = {first, second}};
    run_plan(campaign, &plan);
    bool happened = (first.kind < 0 || campaign->trace.hits[0] > 0) &&
                    (second.kind < 0 || campaign->trace.hits[1] > 0);
    if (happened && first.kind >= 0)
        count_blows(&plan, campaign->result);
    return happened;
}

/* Also makes calls fail, one kind after another, that only this run made. */
static void strike_behind(struct campaign *campaign, struct fault_blow first) {
    struct fault_trace seen = campaign->trace;
    for (int kind = 0; kind < (int)fault_kind_count(); kind++) {
        const int *errors = fault_kind_at((size_t)kind)->errors;
        bool is_new = seen.uses[kind] > 0 && campaign->base[kind] == 0;
        if (!is_new || campaign->tried[first.kind][kind])
            continue;
        campaign->tried[first.kind][kind] = true;
        for (int i = 0; i < 2 && errors[i] != 0; i++)
            for (unsigned n = 1; n <= seen.uses[kind] && n <= 3; n++)
                (void)strike(campaign, first, (struct fault_blow){kind, n, errors[i], true});
    }
}

/* The n-th use of a kind fails; false when there is no such use. */
static bool strike_use(struct campaign *campaign, int kind, unsigned n) {
    const int *errors = fault_kind_at((size_t)kind)->errors;
    bool brief = campaign->depth == FAULT_QUICK || n > USES_THOROUGH;
    size_t most = brief ? 1 : n > 2 ? ERRORS_LATER : FAULT_ERRORS_MAX;
    bool reached = false;
    for (size_t i = 0; i < most && errors[i] != 0; i++) {
        struct fault_blow blow = {kind, n, errors[i], false};
        bool happened = strike(campaign, blow, no_blow);
        if (!happened && i == 0 && n <= campaign->base[kind])
            happened = strike(campaign, blow, no_blow); /* what a run does depends on time, too */
        if (!happened && i == 0)
            return false;
        reached = true;
        if (brief)
            continue;
        unsigned uses = campaign->trace.uses[kind];
        strike_behind(campaign, blow);
        if (uses > n && (n == 1 || i < ERRORS_FOR_GOOD)) {
            blow.always = true;
            (void)strike(campaign, blow, no_blow);
        }
    }
    return reached;
}

/* Cancelled at the n-th call of all; false when there is none. */
static bool cancel_at(struct campaign *campaign, unsigned n) {
    struct fault_plan plan = {{no_blow, no_blow}, n, &world->cancel};
    run_plan(campaign, &plan);
    if (campaign->trace.calls < n)
        return false;
    campaign->result->cancels++;
    campaign->result->unwound += campaign->trace.unwound;
    return true;
}

static void run_clean(struct campaign *campaign) {
    (void)strike(campaign, no_blow, no_blow);
    if (campaign->trace.calls > campaign->result->calls)
        campaign->result->calls = campaign->trace.calls;
    for (size_t i = 0; i < fault_kind_count(); i++)
        if (campaign->trace.uses[i] > campaign->base[i])
            campaign->base[i] = campaign->trace.uses[i];
}

void fault_run(const struct fault_operation *operation, enum fault_depth depth,
               struct fault_result *result) {
    static struct campaign campaign;
    uint64_t began = harness_now();
    memset(&campaign, 0, sizeof campaign);
    campaign.operation = operation;
    campaign.result = result;
    campaign.depth = depth;
    if (world == NULL)
        world =
            mmap(NULL, sizeof *world, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (world == MAP_FAILED)
        harness_fail("no memory for the lane");
    empty_directory(false);
    for (int i = 0; i < 2; i++)
        run_clean(&campaign);
    unsigned most = depth == FAULT_QUICK ? USES_QUICK : USES_MAX;
    for (int kind = 0; kind < (int)fault_kind_count(); kind++)
        for (unsigned n = 1; campaign.base[kind] > 0 && n <= most; n++)
            if (!strike_use(&campaign, kind, n))
                break;
    for (unsigned n = 1; n <= (depth == FAULT_QUICK ? USES_QUICK : CANCELS_MAX); n++)
        if (!cancel_at(&campaign, n))
            break;
    result->time_ns = harness_now() - began;
}
