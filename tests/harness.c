/* harness.c - runs the tests and checks what each of them leaves behind. See harness.h.
 *
 * Three processes deep: the supervisor (owns the directory, removes it at the end), the group (runs
 * the tests one after another), and the tests' children. The group is a child subreaper, so a
 * process that a child started and left behind becomes the group's child and is found by the
 * inspection.
 */
#include "channels/queue/processor.h"
#include "harness_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

unsigned harness_await_limit_ms = 10000;

/* A list of lines: the descriptors, names or mappings of one moment. */
struct lines {
    char **line;
    size_t count;
};

static struct {
    char directory[64];                        /* "/dev/shm/leat-test-<pid>" */
    const char *prefix;                        /* its last component */
    struct lines descriptors, names, mappings; /* before the running test */
    const struct harness_test *test;
    void *shared[32];
    size_t shared_size[32];
    size_t shared_count;
    char *kept[256];
    size_t kept_count;
} harness;

/* --- The processor ---------------------------------------------------------------------------- */

const struct leat__processor *__real_leat__processor(void);
const struct leat__processor *__wrap_leat__processor(void);

const struct leat__processor *harness_processor;

/* The linker puts this in place of the library's function, in the tests that are linked with it. A
 * test's own row, or LEAT_TEST_PROCESSOR=wiping or =fetching, makes the library behave as on
 * another processor. */
const struct leat__processor *__wrap_leat__processor(void) {
    static const struct leat__processor wiping = {.wipe = 128, .piece = 1984},
                                        fetching = {.fetch = true};
    const char *wanted = getenv("LEAT_TEST_PROCESSOR");
    if (harness_processor != NULL)
        return harness_processor;
    if (wanted == NULL)
        return __real_leat__processor();
    if (strcmp(wanted, "wiping") != 0 && strcmp(wanted, "fetching") != 0)
        abort();
    return strcmp(wanted, "wiping") == 0 ? &wiping : &fetching;
}

/* --- Snapshots -------------------------------------------------------------------------------- */

static void lines_add(struct lines *lines, const char *text) {
    char **grown = realloc(lines->line, (lines->count + 1) * sizeof *grown);
    char *copy = strdup(text);
    if (grown == NULL || copy == NULL)
        abort();
    grown[lines->count++] = copy;
    lines->line = grown;
}

static void lines_clear(struct lines *lines) {
    for (size_t i = 0; i < lines->count; i++)
        free(lines->line[i]);
    free(lines->line);
    *lines = (struct lines){0};
}

static bool lines_hold(const struct lines *lines, const char *text) {
    for (size_t i = 0; i < lines->count; i++)
        if (strcmp(lines->line[i], text) == 0)
            return true;
    return false;
}

static struct lines descriptors_now(void) {
    struct lines lines = {0};
    DIR *directory = opendir("/proc/self/fd");
    if (directory == NULL)
        abort();
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] == '.' || atoi(entry->d_name) == dirfd(directory))
            continue;
        char target[512], text[800];
        ssize_t length = readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1);
        target[length < 0 ? 0 : length] = '\0';
        snprintf(text, sizeof text, "%s -> %s", entry->d_name, target);
        lines_add(&lines, text);
    }
    closedir(directory);
    return lines;
}

static void add_names(struct lines *lines, const char *path, const char *prefix) {
    DIR *directory = opendir(path);
    if (directory == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        bool dots = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
        bool own = prefix == NULL || strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
        if (dots || !own || strcmp(entry->d_name, harness.prefix) == 0)
            continue;
        char text[600];
        snprintf(text, sizeof text, "%s/%s", path, entry->d_name);
        lines_add(lines, text);
    }
    closedir(directory);
}

static struct lines names_now(void) {
    struct lines lines = {0};
    add_names(&lines, harness.directory, NULL);
    add_names(&lines, "/dev/shm", harness.prefix);
    return lines;
}

static struct lines mappings_now(void) {
    struct lines lines = {0};
    FILE *maps = fopen("/proc/self/maps", "re");
    if (maps == NULL)
        abort();
    char text[8192];
    while (fgets(text, sizeof text, maps) != NULL) {
        text[strcspn(text, "\n")] = '\0';
        if (strstr(text, " /dev/shm/") != NULL)
            lines_add(&lines, text);
    }
    fclose(maps);
    return lines;
}

size_t harness_names_left(void) {
    struct lines lines = {0};
    add_names(&lines, harness.directory, NULL);
    size_t count = lines.count;
    lines_clear(&lines);
    return count;
}

/* --- Inspection ------------------------------------------------------------------------------- */

static int complain_about_new(const char *what, const struct lines *before,
                              const struct lines *after) {
    int complaints = 0;
    for (size_t i = 0; i < after->count; i++)
        if (!lines_hold(before, after->line[i])) {
            print_error("%s: left behind: %s %s\n", harness.test->name, what, after->line[i]);
            complaints++;
        }
    return complaints;
}

static int inspect_descriptors(void) {
    struct lines now = descriptors_now();
    int complaints = complain_about_new("descriptor", &harness.descriptors, &now);
    for (size_t i = 0; i < harness.descriptors.count; i++)
        if (!lines_hold(&now, harness.descriptors.line[i])) {
            print_error("%s: closed a descriptor that was not its own: %s\n", harness.test->name,
                        harness.descriptors.line[i]);
            complaints++;
        }
    for (size_t i = 0; i < now.count; i++)
        if (!lines_hold(&harness.descriptors, now.line[i]))
            close(atoi(now.line[i])); /* so that the next test is not blamed */
    lines_clear(&now);
    return complaints;
}

static int inspect_names(void) {
    struct lines now = names_now();
    int complaints = complain_about_new("name", &harness.names, &now);
    for (size_t i = 0; i < now.count; i++)
        if (!lines_hold(&harness.names, now.line[i]) && unlink(now.line[i]) != 0)
            rmdir(now.line[i]);
    lines_clear(&now);
    return complaints;
}

static int inspect_mappings(void) {
    struct lines now = mappings_now();
    int complaints = complain_about_new("mapping", &harness.mappings, &now);
    for (size_t i = 0; i < now.count; i++) {
        unsigned long long start = 0, end = 0;
        if (!lines_hold(&harness.mappings, now.line[i]) &&
            sscanf(now.line[i], "%llx-%llx", &start, &end) == 2)
            munmap((void *)(uintptr_t)start, (size_t)(end - start));
    }
    lines_clear(&now);
    return complaints;
}

/* Kills and reaps the children that the kernel lists; returns how many there were. Complains if a
 * test is to blame. */
static int end_listed_children(const char *blamed) {
    char path[64], list[4096];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "re");
    size_t length = file == NULL ? 0 : fread(list, 1, sizeof list - 1, file);
    if (file != NULL)
        fclose(file);
    list[length] = '\0';
    int count = 0;
    for (char *rest, *word = strtok_r(list, " \n", &rest); word != NULL;
         word = strtok_r(NULL, " \n", &rest)) {
        if (blamed != NULL)
            print_error("%s: left behind: process %s\n", blamed, word);
        kill((pid_t)atoi(word), SIGKILL);
        waitpid((pid_t)atoi(word), NULL, 0);
        count++;
    }
    return count;
}

/* Ends whatever is still a child, until there is none: as parents go, the processes they left
 * behind become ours. */
static int inspect_children(void) {
    int complaints = 0;
    while (waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD) {
        int ended = end_listed_children(harness.test->name);
        /* one that had ended already, or that /proc does not list */
        complaints += ended > 0 ? ended : 1;
        if (ended == 0) {
            print_error("%s: left behind: a process that nobody waited for\n", harness.test->name);
            harness_children_kill();
        }
    }
    harness_children_forget();
    return complaints;
}

/* --- One test --------------------------------------------------------------------------------- */

/* The watchdog. Only async-signal-safe calls. */
static void on_alarm(int signal_number) {
    (void)signal_number;
    static const char text[] = ": still running after its time limit: ended by the harness\n";
    ssize_t ignored = write(STDERR_FILENO, harness.test->name, strlen(harness.test->name));
    ignored = write(STDERR_FILENO, text, sizeof text - 1);
    (void)ignored;
    harness_children_kill();
    _exit(1);
}

int harness_setup(void **state) {
    harness.test = *state;
    harness_processor = NULL;
    harness.descriptors = descriptors_now();
    harness.names = names_now();
    harness.mappings = mappings_now();
    signal(SIGALRM, on_alarm);
    alarm(harness.test->limit_s * harness_patience());
    return 0;
}

int harness_teardown(void **state) {
    (void)state;
    /* the inspection waits for processes to end */
    alarm(HARNESS_LIMIT_DEFAULT_S * harness_patience());
    int complaints = inspect_children(); /* first: they may hold names */
    for (size_t i = 0; i < harness.kept_count; i++)
        free(harness.kept[i]);
    for (size_t i = 0; i < harness.shared_count; i++)
        munmap(harness.shared[i], harness.shared_size[i]);
    harness.kept_count = harness.shared_count = 0;
    complaints += inspect_descriptors() + inspect_mappings() + inspect_names();
    lines_clear(&harness.descriptors);
    lines_clear(&harness.names);
    lines_clear(&harness.mappings);
    alarm(0);
    return complaints == 0 ? 0 : -1;
}

/* --- The group -------------------------------------------------------------------------------- */

const char *harness_directory(void) {
    return harness.directory;
}

const char *harness_global(const char *word) {
    static char names[8][128];
    static size_t next;
    char *name = names[next++ % 8];
    snprintf(name, sizeof names[0], "%s-%s", harness.prefix, word);
    return name;
}

static void make_directory(void) {
    for (int attempt = 0; attempt < 100; attempt++) {
        snprintf(harness.directory, sizeof harness.directory, "/dev/shm/leat-test-%d-%d",
                 (int)getpid(), attempt);
        harness.prefix = harness.directory + strlen("/dev/shm/");
        if (mkdir(harness.directory, 0700) == 0) {
            setenv("LEAT_DIR", harness.directory, 1);
            return;
        }
    }
    perror(harness.directory);
    exit(1);
}

static int remove_directory(void) {
    struct lines left = names_now();
    for (size_t i = 0; i < left.count; i++)
        if (unlink(left.line[i]) != 0)
            rmdir(left.line[i]);
    lines_clear(&left);
    if (rmdir(harness.directory) == 0)
        return 0;
    fprintf(stderr, "%s: %s\n", harness.directory, strerror(errno));
    return 1;
}

static int run_group(const char *group, const struct CMUnitTest *tests, size_t count) {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    setvbuf(stdout, NULL, _IOLBF, 0); /* nothing buffered that a fork could write twice */
    return _cmocka_run_group_tests(group, tests, count, NULL, NULL) == 0 ? 0 : 1;
}

static volatile pid_t group_process;

/* An interrupted supervisor ends the group and then cleans up as always. */
static void on_interrupt(int signal_number) {
    (void)signal_number;
    kill(group_process, SIGKILL);
}

int harness_main(const char *group, const struct CMUnitTest *tests, size_t count) {
    make_directory();
    cmocka_set_test_filter(getenv("LEAT_TEST_ONLY"));
    int result = 1;
    if (getenv("LEAT_TEST_NO_FORK") != NULL) {
        result = run_group(group, tests, count);
        return remove_directory() | result;
    }
    fflush(NULL);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid_t supervisor = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        exit(getppid() == supervisor ? run_group(group, tests, count) : 1);
    }
    int status = -1;
    group_process = pid;
    for (int i = 0; pid > 0 && i < 3; i++)
        signal((int[]){SIGINT, SIGTERM, SIGHUP}[i], on_interrupt);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (pid > 0 && WIFSIGNALED(status))
        fprintf(stderr, "%s: the test program was killed by signal %d (%s)\n", group,
                WTERMSIG(status), strsignal(WTERMSIG(status)));
    /* what a group that died early left to us */
    while (waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD)
        end_listed_children(NULL);
    if (WIFEXITED(status))
        result = WEXITSTATUS(status);
    return remove_directory() | result;
}

/* --- Assertions, time, shared memory ---------------------------------------------------------- */

void harness_assert_code(int got, int wanted, const char *call, const char *file, int line) {
    if (got == wanted)
        return;
    int system_error = leat_system_error();
    harness_fail_at(file, line, "%s gave %s instead of %s (detail: \"%s\", system error: %s)", call,
                    leat_error_name(got), leat_error_name(wanted), leat_error_detail(),
                    system_error == 0 ? "none" : strerror(system_error));
}

void harness_fail_at(const char *file, int line, const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    print_error("%s: %s\n", harness.test == NULL ? "?" : harness.test->name, text);
    _fail(file, line);
    abort();
}

uint64_t harness_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

long harness_setting(const char *variable, long otherwise) {
    const char *text = getenv(variable);
    return text == NULL || *text == '\0' ? otherwise : strtol(text, NULL, 0);
}

unsigned harness_patience(void) {
    long factor = harness_setting("LEAT_TEST_PATIENCE", 1);
    return factor < 1 ? 1 : (unsigned)factor;
}

uint64_t harness_seed(void) {
    static uint64_t seed;
    if (seed == 0) {
        seed = (uint64_t)harness_setting("LEAT_TEST_SEED", (long)(harness_now() % 1000000007u)) |
               1u << 30;
        print_message("seed: LEAT_TEST_SEED=%llu\n", (unsigned long long)seed);
    }
    return seed;
}

uint64_t harness_random(uint64_t *state) { /* splitmix64, Steele, Lea and Flood 2014 */
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void *harness_shared(size_t size) {
    size_t slot = harness.shared_count;
    if (slot == sizeof harness.shared / sizeof harness.shared[0])
        abort();
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        harness_fail("no shared memory for the test itself: %s", strerror(errno));
    harness.shared[slot] = memory;
    harness.shared_size[slot] = size;
    harness.shared_count++;
    return memory;
}

char *harness_keep(char *allocated) {
    if (allocated == NULL || harness.kept_count == sizeof harness.kept / sizeof harness.kept[0])
        abort();
    return harness.kept[harness.kept_count++] = allocated;
}

void harness_set(harness_word *word, uint32_t value) {
    atomic_store(word, value);
    syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

uint32_t harness_increment(harness_word *word) {
    uint32_t value = atomic_fetch_add(word, 1) + 1;
    syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
    return value;
}

void harness_await(harness_word *word, uint32_t value) {
    uint64_t limit =
        harness_now() + (uint64_t)harness_await_limit_ms * 1000000u * harness_patience();
    for (uint32_t seen; (seen = atomic_load(word)) < value;) {
        uint64_t now = harness_now();
        if (now >= limit)
            harness_fail("a shared word stayed at %u, awaited was %u", seen, value);
        struct timespec rest = {(time_t)((limit - now) / 1000000000u),
                                (long)((limit - now) % 1000000000u)};
        syscall(SYS_futex, word, FUTEX_WAIT, seen, &rest, NULL, 0);
    }
}
