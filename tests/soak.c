/* soak.c - leat under random use for as long as asked: workers in random roles are killed, stopped,
 * forked and cancelled, and nothing may be lost, doubled, hung, leaked or misjudged. soak.h lists
 * what is recorded and judged.
 *
 *     soak [--verbose] MINUTES        the seed is printed; LEAT_TEST_SEED chooses it
 *
 * In rounds: objects are made, workers are disturbed, then asked to leave; then the account of
 * every stream, mutex and semaphore is checked, and nothing may be left. Ends after the round with
 * the first finding. LEAT_SOAK_BREAK=lose|double|hold|leak|hang|dead|count plants a fault: then
 * there must be findings. Exit status: 0 nothing was found, 1 findings, 2 usage. The supervisor
 * itself opens no object of leat. As root, two further users share the global objects. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "soak.h"

#define ROUND_NS UINT64_C(12000000000)
#define BOUND_NS UINT64_C(2000000000) /* that a call may take beyond its deadline */
#define SUSPECT_NS UINT64_C(300000000)
#define PROGRESS_NS UINT64_C(10000000000)
#define SLOW_VICTIMS 3 /* the first workers are seldom killed: leaks show in those that live */

static struct {
    uint64_t random, end, next_progress;
    bool verbose;
} run;

static volatile sig_atomic_t interrupted;

/* --- The board -------------------------------------------------------------------------------- */

static const struct soak_stream streams[SOAK_STREAMS] = {
    {.word = "single-a", .persistent = true},
    {.word = "single-b", .persistent = true},
    {.word = "brief"},
    {.word = "many", .persistent = true, .many = true},
    {.word = "shared", .persistent = true, .many = true, .global = true},
};
static const struct soak_mutex mutexes[SOAK_MUTEXES] = {
    {.word = "mutex", .persistent = true},
    {.word = "mutex-brief"},
    {.word = "mutex-inherit", .persistent = true, .inherit = true},
    {.word = "mutex-shared", .persistent = true, .global = true},
};
static const struct soak_semaphore semaphores[SOAK_SEMAPHORES] = {
    {.word = "semaphore"}, {.word = "semaphore-shared", .global = true}};
static const struct soak_event events[SOAK_EVENTS] = {{.word = "event-a"}, {.word = "event-b"}};

static void new_round(void) {
    memcpy((void *)soak->streams, streams, sizeof streams);
    memcpy((void *)soak->mutexes, mutexes, sizeof mutexes);
    memcpy((void *)soak->semaphores, semaphores, sizeof semaphores);
    memcpy((void *)soak->events, events, sizeof events);
    memset((void *)soak->records, 0, ((size_t)soak->records_used + 1) * sizeof *soak->records);
    soak->records_used = 0;
    soak->over = false;
}

static enum soak_fault planted_fault(void) {
    static const char *const words[] = {"",     "lose", "double", "hold",
                                        "leak", "hang", "dead",   "count"};
    const char *wanted = getenv("LEAT_SOAK_BREAK");
    for (size_t i = 0; wanted != NULL && i < sizeof words / sizeof *words; i++)
        if (strcmp(wanted, words[i]) == 0)
            return (enum soak_fault)i;
    if (wanted == NULL)
        return SOAK_SOUND;
    (void)fprintf(
        stderr,
        "soak: LEAT_SOAK_BREAK=%s is no fault: lose, double, hold, leak, hang, dead, count\n",
        wanted);
    exit(2);
}

static void make_directories(void) {
    (void)snprintf(soak->base, sizeof soak->base, "/dev/shm/soak-XXXXXX");
    if (mkdtemp(soak->base) == NULL || chmod(soak->base, 0711) != 0) {
        perror("soak: /dev/shm");
        exit(1);
    }
    for (unsigned i = 0; i < 3; i++) {
        char path[96];
        (void)snprintf(path, sizeof path, "%s/%u", soak->base, i);
        if (mkdir(path, 0700) != 0 ||
            (soak->uids[i] != geteuid() && chown(path, soak->uids[i], soak->uids[i]) != 0)) {
            perror("soak: a local directory");
            exit(1);
        }
    }
}

static void make_board(void) {
    const char *seed = getenv("LEAT_TEST_SEED");
    soak = mmap(NULL, sizeof *soak, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (soak == MAP_FAILED) {
        perror("soak: memory");
        exit(1);
    }
    soak->started = leat_now();
    soak->seed = seed != NULL ? strtoull(seed, NULL, 0) : soak->started ^ (uint64_t)getpid() << 32;
    soak->fault = planted_fault();
    soak->users = geteuid() == 0;
    soak->uids[0] = geteuid();
    for (unsigned i = 1; i < 3; i++)
        soak->uids[i] = soak->users ? 54320 + i : geteuid();
    (void)snprintf(soak->prefix, sizeof soak->prefix, "soak-%d-", (int)getpid());
    run.random = soak->seed;
    make_directories();
}

/* --- Processes -------------------------------------------------------------------------------- */

static void start_worker(unsigned slot) {
    struct soak_worker *worker = &soak->workers[slot];
    uint64_t number = ++soak->numbers;
    unsigned user = soak->users && slot + 2 >= SOAK_WORKERS ? slot + 3 - SOAK_WORKERS : 0;
    bool whole = soak_chance(&run.random, 2);
    memset((void *)worker, 0, sizeof *worker);
    worker->number = number;
    pid_t pid = fork();
    if (pid == 0)
        soak_work(slot, number, (uid_t)user, whole);
    if (pid < 0) {
        perror("soak: fork");
        exit(1);
    }
    worker->pid = pid;
}

static void forget_owner(soak_word *owner, uint64_t number) {
    uint64_t value = *owner;
    if ((value >> 8 & UINT32_MAX) == number)
        (void)atomic_compare_exchange_strong(owner, &value, 0);
}

/* The calls whose effect the kill left open. */
static void reckon(struct soak_worker *worker) {
    for (unsigned i = 0; i < SOAK_THREADS; i++) {
        for (unsigned s = 0; s < SOAK_SEMAPHORES; s++) {
            soak->semaphores[s].perhaps_taken += worker->threads[i].taking >> s & 1;
            soak->semaphores[s].perhaps_posted += worker->threads[i].posting >> s & 1;
        }
    }
    for (unsigned i = 0; i < SOAK_STREAMS; i++) {
        forget_owner(&soak->streams[i].sender.owner, worker->number);
        forget_owner(&soak->streams[i].receiver.owner, worker->number);
    }
}

static void ended(pid_t pid, int status) {
    bool expected = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    for (unsigned i = 0; i < SOAK_WORKERS; i++) {
        struct soak_worker *worker = &soak->workers[i];
        if (worker->pid != pid)
            continue;
        expected =
            expected || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && worker->doomed);
        worker->doomed = true;
        reckon(worker);
        worker->pid = 0;
    }
    if (!expected)
        SOAK_FIND("process %d ended with status 0x%x", (int)pid, (unsigned)status);
}

/* Workers, and the children of workers that have ended. */
static bool reap(void) {
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        ended(pid, status);
    return pid == 0;
}

/* --- Disturbing ------------------------------------------------------------------------------- */

static void kill_worker(struct soak_worker *worker) {
    if (worker->doomed)
        return;
    soak_doom(worker);
    (void)kill(worker->pid, SIGKILL);
    soak->counts.kills++;
}

static void stop_worker(struct soak_worker *worker) {
    uint64_t random = soak_random(&run.random);
    if (worker->stopped)
        return;
    worker->stopped = true;
    worker->stopped_at = leat_now();
    worker->continue_at = leat_in_ms(random % 20 == 0 ? 1300 : (random >> 8) % 250);
    (void)kill(worker->pid, SIGSTOP);
    soak->counts.stops++;
}

static void continue_workers(bool all) {
    for (unsigned i = 0; i < SOAK_WORKERS; i++) {
        struct soak_worker *worker = &soak->workers[i];
        if (worker->pid == 0 || !worker->stopped || (!all && leat_now() < worker->continue_at))
            continue;
        (void)kill(worker->pid, SIGCONT);
        worker->stopped_ns += leat_now() - worker->stopped_at;
        worker->stopped = false;
    }
}

static uint64_t later(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

/* A worker that may hang is left alone until that is known. */
static bool suspect(const struct soak_worker *worker) {
    uint64_t now = leat_now();
    for (unsigned i = 0; i < SOAK_THREADS; i++) {
        const struct soak_thread *thread = &worker->threads[i];
        if (thread->call != NULL && now > later(thread->since, thread->deadline) + SUSPECT_NS)
            return true;
    }
    return false;
}

static void disturb(void) {
    struct soak_worker *worker = &soak->workers[soak_random(&run.random) % SOAK_WORKERS];
    if (worker->pid == 0 || suspect(worker))
        return;
    switch (soak_random(&run.random) % 5) {
    case 0:
    case 1:
        if (worker >= &soak->workers[SLOW_VICTIMS] || soak_chance(&run.random, 40))
            kill_worker(worker);
        break;
    case 2:
    case 3:
        stop_worker(worker);
        break;
    default:
        (void)kill(worker->pid, SIGUSR1);
    }
}

/* --- The watch over calls --------------------------------------------------------------------- */

static char state_of(const struct soak_worker *worker, const struct soak_thread *thread) {
    char path[80], state = '?';
    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/stat", (int)worker->pid, (int)thread->tid);
    FILE *file = fopen(path, "re");
    if (file != NULL && fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
        state = '?';
    if (file != NULL)
        (void)fclose(file);
    return state;
}

static void report_hung(struct soak_worker *worker, const struct soak_thread *thread,
                        uint64_t due) {
    uint64_t now = leat_now();
    SOAK_FIND("hung: thread %d of process %d has been in %s for %.1f s, %.1f s longer than it may "
              "(state %c)",
              (int)thread->tid, (int)worker->pid, thread->call, (double)(now - thread->since) / 1e9,
              (double)(now - due) / 1e9, state_of(worker, thread));
    if (getenv("LEAT_SOAK_HOLD") != NULL)
        (void)pause(); /* for a debugger */
    worker->ignored = true;
    kill_worker(worker);
}

/* A thread hangs if it is beyond its time, and asleep at every check for half a second. A thread
 * that waits for a processor, or for another thread of its worker, has more time. */
static void watch_thread(struct soak_worker *worker, struct soak_thread *thread, uint64_t bound) {
    const char *call = thread->call;
    uint64_t since = thread->since, deadline = thread->deadline, now = leat_now();
    if (call == NULL || thread->call != call || thread->since != since || worker->ignored)
        return;
    if (thread->seen != since) {
        thread->seen = since;
        thread->stopped_ns = worker->stopped_ns;
    }
    uint64_t due = later(since, deadline) + bound + worker->stopped_ns - thread->stopped_ns;
    char state = now > due ? state_of(worker, thread) : 'R';
    bool waits = thread == &worker->threads[SOAK_THREADS];
    thread->asleep = !waits && (state == 'S' || state == 'D') ? thread->asleep + 1 : 0;
    if (now <= due || thread->since != since || thread->call == NULL)
        return;
    if (thread->asleep > 20 || now > due + 5 * BOUND_NS * soak_patience())
        report_hung(worker, thread, due);
}

static void watch(void) {
    uint64_t bound = soak_patience() > 1 ? 2 * BOUND_NS : BOUND_NS;
    for (unsigned i = 0; i < SOAK_WORKERS; i++) {
        struct soak_worker *worker = &soak->workers[i];
        for (unsigned t = 0;
             t <= SOAK_THREADS && worker->pid != 0 && !worker->stopped && !worker->doomed; t++)
            watch_thread(worker, &worker->threads[t], bound);
    }
}

/* --- Rounds ----------------------------------------------------------------------------------- */

static unsigned long long number(uint64_t value) {
    return (unsigned long long)value;
}

static void progress(const char *end) {
    const struct soak_counts *counts = &soak->counts;
    (void)fprintf(stderr,
                  "soak: %.0f s, %llu kills, %llu stops, %llu cancels, %llu forks, %llu messages, "
                  "%llu locks, %llu opens, "
                  "%u findings%s\n",
                  (double)(leat_now() - soak->started) / 1e9, number(counts->kills),
                  number(counts->stops), number(counts->cancels),
                  number(counts->forks + counts->handler_forks), number(counts->messages),
                  number(counts->locks), number(counts->opens), (unsigned)soak->findings, end);
}

static void show_progress(void) {
    if (!run.verbose || leat_now() < run.next_progress)
        return;
    run.next_progress = leat_now() + PROGRESS_NS;
    progress("");
}

/* Runs one step in a process of its own. */
static void run_apart(void (*step)(void), const char *what) {
    soak->workers[SOAK_WORKERS].number = ++soak->numbers;
    pid_t pid = fork();
    if (pid == 0) {
        step();
        exit(0);
    }
    uint64_t until = leat_in_ms(30000 * (uint64_t)soak_patience());
    int status = 0;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (leat_now() > until) {
            const char *call = soak->workers[SOAK_WORKERS].threads[0].call;
            SOAK_FIND("hung: %s, in %s", what, call != NULL ? call : "no call");
            (void)kill(pid, SIGKILL);
            (void)waitpid(pid, &status, 0);
            return;
        }
        soak_sleep_us(2000);
    }
    if (status != 0)
        SOAK_FIND("%s ended with status 0x%x", what, (unsigned)status);
}

static void disturbed(uint64_t until) {
    while (leat_now() < until && !interrupted && soak->findings == 0) {
        for (unsigned i = 0; i < SOAK_WORKERS; i++)
            if (soak->workers[i].pid == 0)
                start_worker(i);
        disturb();
        soak_sleep_us(soak_random(&run.random) % 50000);
        continue_workers(false);
        (void)reap();
        watch();
        show_progress();
    }
}

static bool anybody(void) {
    for (unsigned i = 0; i < SOAK_WORKERS; i++)
        if (soak->workers[i].pid != 0)
            return true;
    return false;
}

static void end_workers(void) {
    soak->over = true;
    uint64_t until = leat_in_ms(15000 * (uint64_t)soak_patience());
    while (anybody() && leat_now() < until) {
        continue_workers(true);
        (void)reap();
        watch();
        soak_sleep_us(2000);
    }
    for (unsigned i = 0; i < SOAK_WORKERS; i++) {
        if (soak->workers[i].pid == 0)
            continue;
        SOAK_FIND("hung: process %d does not end", (int)soak->workers[i].pid);
        kill_worker(&soak->workers[i]);
    }
    until = leat_in_ms(10000 * (uint64_t)soak_patience());
    while (reap() && leat_now() < until)
        soak_sleep_us(2000);
    if (reap())
        SOAK_FIND("a process is left");
}

static void collect_of_user(unsigned user) {
    soak_become(user, true);
    int code = leat_gc(LEAT_LOCAL, NULL, NULL);
    if (code != LEAT_OK)
        soak_unexpected("leat_gc", "", code);
}

static void collect_of_first(void) {
    collect_of_user(1);
}

static void collect_of_second(void) {
    collect_of_user(2);
}

/* No file is left, whatever its name. */
static void inspect_directory(const char *path, const char *prefix) {
    DIR *directory = opendir(path);
    const struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
            SOAK_FIND("leaked: %s/%s is left", path, entry->d_name);
    if (directory != NULL)
        (void)closedir(directory);
}

static void one_round(void) {
    uint64_t until = leat_now() + ROUND_NS;
    new_round();
    run_apart(soak_make_objects, "making the objects");
    disturbed(until < run.end ? until : run.end);
    end_workers();
    run_apart(soak_audit, "the reckoning");
    run_apart(collect_of_first, "leat_gc of the first user");
    run_apart(collect_of_second, "leat_gc of the second user");
    for (unsigned i = 0; i < 3; i++) {
        char path[96];
        (void)snprintf(path, sizeof path, "%s/%u", soak->base, i);
        inspect_directory(path, "");
    }
    inspect_directory("/dev/shm", soak->prefix);
}

/* --- The end ---------------------------------------------------------------------------------- */

static void remove_files(const char *path, const char *prefix) {
    DIR *directory = opendir(path);
    const struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL)
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 && entry->d_name[0] != '.')
            (void)unlinkat(dirfd(directory), entry->d_name, 0);
    if (directory != NULL)
        (void)closedir(directory);
}

static void clean_up(void) {
    for (unsigned i = 0; i < 3; i++) {
        char path[96];
        (void)snprintf(path, sizeof path, "%s/%u", soak->base, i);
        remove_files(path, "");
        (void)rmdir(path);
    }
    (void)rmdir(soak->base);
    remove_files("/dev/shm", soak->prefix);
}

static void summarise(void) {
    const struct soak_counts *counts = &soak->counts;
    progress(soak->findings == 0 ? ": nothing was found" : "");
    (void)fprintf(stderr,
                  "soak: %llu processes, %llu ended in order, %llu without closing; %llu forks in "
                  "a signal handler; %llu takes, "
                  "%llu sets, %llu roles busy\n"
                  "soak: undecided by kills: %llu messages taken with a receiver, %llu shown "
                  "again; %llu owners of mutexes died; "
                  "%llu names collected\n"
                  "soak: %llu deaths reported, after 1 ms: %llu, 10 ms: %llu, 60 ms: %llu, 100 ms: "
                  "%llu, 500 ms: %llu, later: %llu; "
                  "the slowest after %.1f ms\n",
                  number(soak->numbers), number(counts->exits), number(counts->abandonments),
                  number(counts->handler_forks), number(counts->takes), number(counts->sets),
                  number(counts->busy), number(counts->perhaps_taken), number(counts->shown_again),
                  number(counts->owner_deaths), number(counts->gcs), number(counts->deaths),
                  number(counts->told[0]), number(counts->told[1]), number(counts->told[2]),
                  number(counts->told[3]), number(counts->told[4]), number(counts->told[5]),
                  (double)counts->told_longest / 1e6);
    if (soak->findings != 0)
        (void)fprintf(stderr, "soak: FAILED: LEAT_TEST_SEED=%llu\n", number(soak->seed));
}

static void interrupt(int signal_number) {
    (void)signal_number;
    interrupted = 1;
}

static int usage(void) {
    (void)fprintf(stderr, "usage: soak [--verbose] MINUTES\n");
    return 2;
}

int main(int argc, char **argv) {
    char *end = NULL;
    run.verbose = isatty(STDERR_FILENO) == 1;
    if (argc == 3 && strcmp(argv[1], "--verbose") == 0)
        run.verbose = true;
    else if (argc != 2)
        return usage();
    double minutes = strtod(argv[argc - 1], &end);
    if (end == argv[argc - 1] || *end != '\0' || !(minutes > 0) || minutes > 100000)
        return usage();
    make_board();
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGINT, interrupt);
    (void)signal(SIGTERM, interrupt);
    sigset_t set; /* in workers too, until they have a handler */
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGUSR1);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    (void)fprintf(stderr, "soak: seed %llu, %g minutes, %d workers%s\n", number(soak->seed),
                  minutes, SOAK_WORKERS, soak->users ? ", three users" : "");
    run.end = leat_now() + (uint64_t)(minutes * 60e9);
    run.next_progress = leat_now() + PROGRESS_NS;
    while (leat_now() < run.end && !interrupted && soak->findings == 0)
        one_round();
    summarise();
    clean_up();
    return soak->findings == 0 ? 0 : 1;
}
