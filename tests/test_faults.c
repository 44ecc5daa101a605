/* test_faults.c - every system call of every public operation fails, at each of its uses, with each
 * plausible error; see fault.h.
 *
 * LEAT_FAULTS=quick: each use once, with its first error. LEAT_FAULTS_ONLY=text: operations whose
 * names contain the text. LEAT_FAULTS_LANES=n: so many operations at once; most of their time is
 * waiting for deadlines. */
#include "fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LANES_MAX 32
#define OPERATIONS_MAX 200

/* Findings that are known: parts of an operation's name, of a verdict and of a system call; "" is
 * in all. With the reason. */
static struct {
    const char *operation, *verdict, *call;
    bool found;
} known[] = {
    {"a loop sleeps", "HELD UP", "sendto & pread",
     false}, /* neither way to wake it works: the next message tries again */
};

struct job {
    const struct fault_operation *operation;
    struct fault_result result;
};

struct jobs {
    enum fault_depth depth;
    _Atomic uint32_t next;
    uint32_t count;
    struct job job[OPERATIONS_MAX];
};

static struct jobs *jobs;

static void add(const struct fault_operation *operations) {
    const char *only = getenv("LEAT_FAULTS_ONLY");
    for (; operations->name != NULL; operations++)
        if (only == NULL || strstr(operations->name, only) != NULL)
            jobs->job[jobs->count++].operation = operations;
}

/* A lane has a directory of its own and takes one operation after another. */
static int run_lane(void *context) {
    char path[256];
    snprintf(path, sizeof path, "%s/lane-%d", harness_directory(), (int)getpid());
    (void)context;
    if (mkdir(path, 0700) != 0 || setenv("LEAT_DIR", path, 1) != 0)
        return 1;
    for (uint32_t next; (next = atomic_fetch_add(&jobs->next, 1)) < jobs->count;)
        fault_run(jobs->job[next].operation, jobs->depth, &jobs->job[next].result);
    return rmdir(path) == 0 ? 0 : 1;
}

static void run_lanes(void) {
    long lanes = harness_setting("LEAT_FAULTS_LANES", 8);
    pid_t pids[LANES_MAX];
    for (long i = 0; i < lanes && i < LANES_MAX; i++)
        pids[i] = harness_spawn(run_lane, NULL);
    for (long i = 0; i < lanes && i < LANES_MAX; i++)
        if (harness_wait_within(pids[i], 3600u * 1000u) != 0)
            harness_fail("a lane ended before its work was done");
}

/* --- The report ------------------------------------------------------------------------------- */

static bool matches(const char *pattern, const char *text) {
    return strstr(text, pattern) != NULL;
}

static bool is_known(const char *operation, const struct fault_finding *finding) {
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (matches(known[i].operation, operation) && matches(known[i].call, finding->call) &&
            matches(known[i].verdict, fault_verdict_name(finding->verdict)))
            return known[i].found = true;
    return false;
}

/* The number of findings that are not known. */
static unsigned report(const struct job *job) {
    unsigned event = 0;
    const struct fault_result *result = &job->result;
    if (getenv("LEAT_FAULTS_VERBOSE") != NULL)
        print_message("%-50s %3u calls %5u runs %4u double %5u ms\n", job->operation->name,
                      result->calls, result->runs, result->doubles,
                      (unsigned)(result->time_ns / 1000000u));
    for (unsigned i = 0; i < result->count; i++) {
        const struct fault_finding *finding = &result->findings[i];
        bool is_new = !is_known(job->operation->name, finding);
        event += is_new;
        print_error("%s%s | %s | %s | %s | %u runs: %s\n",
                    is_new ? "" : "known: ", fault_verdict_name(finding->verdict),
                    job->operation->name, finding->call, finding->text, finding->runs,
                    finding->plans);
    }
    if (result->dropped > 0)
        print_error("%s: and %u more\n", job->operation->name, result->dropped);
    return event;
}

struct group {
    enum fault_verdict verdict;
    const char *call;
    unsigned operations;
    char names[200];
};

static void add_to_group(struct group groups[], size_t *count, size_t max, const char *operation,
                         const struct fault_finding *finding) {
    size_t i = 0;
    while (i < *count &&
           (groups[i].verdict != finding->verdict || strcmp(groups[i].call, finding->call) != 0))
        i++;
    if (i == max)
        return;
    if (i == *count) {
        groups[i] = (struct group){.verdict = finding->verdict, .call = finding->call};
        ++*count;
    }
    size_t length = strlen(groups[i].names);
    if (strstr(groups[i].names, operation) != NULL)
        return;
    groups[i].operations++;
    if (length + strlen(operation) + 3 < sizeof groups[i].names)
        snprintf(groups[i].names + length, sizeof groups[i].names - length, "%s%s",
                 length == 0 ? "" : "; ", operation);
}

/* One line for each verdict and system call: what there is to mend. */
static void report_groups(void) {
    static struct group groups[200];
    size_t count = 0;
    for (uint32_t i = 0; i < jobs->count; i++)
        for (unsigned k = 0; k < jobs->job[i].result.count; k++)
            add_to_group(groups, &count, 200, jobs->job[i].operation->name,
                         &jobs->job[i].result.findings[k]);
    for (int verdict = 0; verdict < FAULT_VERDICTS; verdict++)
        for (size_t i = 0; i < count; i++)
            if ((int)groups[i].verdict == verdict)
                print_error("  %-15s %-28s %2u operations: %s\n",
                            fault_verdict_name(groups[i].verdict), groups[i].call,
                            groups[i].operations, groups[i].names);
}

static unsigned bits(const uint64_t words[4]) {
    unsigned count = 0;
    for (int i = 0; i < 4; i++)
        count += (unsigned)__builtin_popcountll(words[i]);
    return count;
}

static unsigned report_all(void) {
    unsigned event = 0, runs = 0, doubles = 0, calls = 0, cancels = 0, unwound = 0;
    uint64_t kinds[4] = {0}, errors[4] = {0};
    for (uint32_t i = 0; i < jobs->count; i++) {
        const struct fault_result *result = &jobs->job[i].result;
        event += report(&jobs->job[i]);
        runs += result->runs;
        doubles += result->doubles;
        cancels += result->cancels;
        unwound += result->unwound;
        calls += result->calls;
        for (int word = 0; word < 4; word++) {
            kinds[word] |= result->kinds[word];
            errors[word] |= result->errors[word];
        }
    }
    report_groups();
    for (size_t i = 0; jobs->depth == FAULT_FULL && i < sizeof known / sizeof known[0]; i++)
        if (!known[i].found)
            print_message("known, and not found: %s, %s, %s\n", known[i].operation,
                          known[i].verdict, known[i].call);
    print_message("faults: %u operations with %u system calls; %u kinds of calls failed with %u "
                  "errors in %u runs, %u of them with two; cancelled in %u runs, in %u of them at "
                  "once; %u findings\n",
                  jobs->count, calls, bits(kinds), bits(errors), runs, doubles, cancels, unwound,
                  event);
    return event;
}

/* --- Tests ------------------------------------------------------------------------------------ */

static void begin(void) {
    const char *depth = getenv("LEAT_FAULTS");
    if (!fault_possible()) {
        print_message("processes cannot be traced here: skipped\n");
        skip();
    }
    jobs = harness_shared(sizeof *jobs);
    jobs->depth = depth != NULL && strcmp(depth, "quick") == 0 ? FAULT_QUICK : FAULT_FULL;
}

static bool has_verdict(const struct fault_result *result, enum fault_verdict verdict) {
    for (unsigned i = 0; i < result->count; i++)
        if (result->findings[i].verdict == verdict)
            return true;
    return false;
}

/* The harness notices each kind of fault, and nothing where there is none. */
static void planted_faults_are_found(void **state) {
    (void)state;
    begin();
    fault_limit_ns = UINT64_C(4000000000);
    for (const struct fault_operation *each = fault_planted_operations; each->name != NULL; each++)
        jobs->job[jobs->count++].operation = each;
    run_lanes();
    fault_limit_ns = UINT64_C(30000000000);
    for (uint32_t i = 0; i < jobs->count; i++) {
        const struct fault_operation *operation = jobs->job[i].operation;
        const struct fault_result *result = &jobs->job[i].result;
        if (result->runs == 0)
            harness_fail("'%s' was not made to fail", operation->name);
        if (operation->planted == FAULT_SET_UP ? result->count > 0
                                               : !has_verdict(result, operation->planted))
            harness_fail("'%s' has %u findings, %s is not among them: %s", operation->name,
                         result->count, fault_verdict_name(operation->planted),
                         result->count > 0 ? result->findings[0].text : "");
        for (unsigned k = 0; k < result->count; k++)
            if (strcmp(result->findings[k].call, "-") == 0)
                harness_fail("'%s' is wrong without a fault: %s", operation->name,
                             result->findings[k].text);
    }
}

static void failing_system_calls_are_no_answers(void **state) {
    (void)state;
    begin();
    add(fault_channel_operations); /* those that take longest first */
    add(fault_sync_operations);
    add(fault_region_operations);
    add(fault_loop_operations);
    add(fault_object_operations);
    run_lanes();
    if (report_all() > 0)
        harness_fail("there are findings, see above");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST_WITHIN(planted_faults_are_found, 300),
        HARNESS_TEST_WITHIN(failing_system_calls_are_no_answers, 1500),
    };
    return HARNESS_MAIN("faults", tests);
}
