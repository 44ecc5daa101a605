/* harness_process.c - starting, stopping, killing and awaiting real processes within time limits.
 * See harness.h. */
#include "harness_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WAIT_LIMIT_MS 60000     /* ends a hang, and does not judge */
#define COMMAND_LIMIT_MS 120000 /* ends a hang; beside ten busy processes a bench takes a minute */

/* --- The register of children, for the watchdog ----------------------------------------------- */

static volatile pid_t children[256];

void harness_children_add(pid_t pid) {
    for (size_t i = 0; i < sizeof children / sizeof children[0]; i++)
        if (children[i] == 0) {
            children[i] = pid;
            return;
        }
}

void harness_children_remove(pid_t pid) {
    for (size_t i = 0; i < sizeof children / sizeof children[0]; i++)
        if (children[i] == pid)
            children[i] = 0;
}

void harness_children_forget(void) {
    for (size_t i = 0; i < sizeof children / sizeof children[0]; i++)
        children[i] = 0;
}

void harness_children_kill(void) {
    for (size_t i = 0; i < sizeof children / sizeof children[0]; i++)
        if (children[i] != 0)
            kill(children[i], SIGKILL);
}

/* --- Starting --------------------------------------------------------------------------------- */

/* Prepares a child: assertions abort it (they cannot jump to the runner, which is the parent's),
 * signals have their default effect again (cmocka catches some), and it ends when its parent
 * ends. */
static void become_child(pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    harness_children_forget();
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    static const int caught[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGSYS, SIGALRM, SIGABRT};
    for (size_t i = 0; i < sizeof caught / sizeof caught[0]; i++)
        signal(caught[i], SIG_DFL);
}

static pid_t fork_child(void) {
    fflush(NULL);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0)
        harness_fail("fork: %s", strerror(errno));
    if (pid == 0)
        become_child(parent);
    else
        harness_children_add(pid);
    return pid;
}

pid_t harness_spawn(int (*run)(void *context), void *context) {
    pid_t pid = fork_child();
    if (pid != 0)
        return pid;
    int value = run(context);
    fflush(NULL);
    _exit(value);
}

/* --- Waiting ---------------------------------------------------------------------------------- */

/* Whether it ended within the limit; does not reap it. */
static bool ends_within(pid_t pid, unsigned milliseconds) {
    int process = (int)syscall(SYS_pidfd_open, pid, 0);
    if (process < 0)
        harness_fail("process %d is not there to be waited for: %s", (int)pid, strerror(errno));
    uint64_t limit = harness_now() + (uint64_t)milliseconds * 1000000u;
    int ready = 0;
    for (uint64_t now; ready <= 0 && (now = harness_now()) < limit;) {
        struct pollfd wait = {.fd = process, .events = POLLIN};
        ready = poll(&wait, 1, (int)((limit - now) / 1000000u) + 1);
    }
    close(process);
    return ready > 0;
}

static int reap(pid_t pid) {
    int status = -1;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            harness_fail("waitpid(%d): %s", (int)pid, strerror(errno));
    harness_children_remove(pid);
    return status;
}

int harness_wait_within(pid_t pid, unsigned milliseconds) {
    if (ends_within(pid, milliseconds * harness_patience()))
        return reap(pid);
    kill(pid, SIGKILL);
    reap(pid);
    harness_fail("process %d still ran after %u ms", (int)pid, milliseconds * harness_patience());
}

int harness_wait(pid_t pid) {
    return harness_wait_within(pid, WAIT_LIMIT_MS);
}

void harness_wait_ok(pid_t pid) {
    harness_wait_exit(pid, 0);
}

void harness_wait_exit(pid_t pid, int value) {
    int status = harness_wait(pid);
    if (WIFSIGNALED(status))
        harness_fail("process %d was ended by signal %d (%s)", (int)pid, WTERMSIG(status),
                     strsignal(WTERMSIG(status)));
    if (WEXITSTATUS(status) != value)
        harness_fail("process %d exited with %d instead of %d", (int)pid, WEXITSTATUS(status),
                     value);
}

void harness_wait_signal(pid_t pid, int signal_number) {
    int status = harness_wait(pid);
    if (!WIFSIGNALED(status))
        harness_fail("process %d exited with %d instead of ending by signal %d", (int)pid,
                     WEXITSTATUS(status), signal_number);
    assert_int_equal(WTERMSIG(status), signal_number);
}

void harness_wait_adopted(void) {
    uint64_t limit = harness_now() + (uint64_t)WAIT_LIMIT_MS * 1000000u * harness_patience();
    while (waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD) {
        if (harness_now() > limit)
            harness_fail("an adopted process does not end");
        /* between two looks; nothing relies on its length */
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
}

void harness_kill(pid_t pid) {
    kill(pid, SIGKILL);
    reap(pid);
}

void harness_stop(pid_t pid) {
    int status = 0;
    kill(pid, SIGSTOP);
    while (waitpid(pid, &status, WUNTRACED) < 0)
        if (errno != EINTR)
            harness_fail("waitpid(%d): %s", (int)pid, strerror(errno));
    if (!WIFSTOPPED(status)) {
        harness_children_remove(pid);
        harness_fail("process %d ended instead of stopping", (int)pid);
    }
}

void harness_continue(pid_t pid) {
    kill(pid, SIGCONT);
}

/* --- Looking at a process --------------------------------------------------------------------- */

/* The fields of /proc/<pid>/stat behind the name: state, then numbers. */
static bool read_stat(pid_t pid, char *state, unsigned long long *ticks) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    const char *fields = strrchr(text, ')');
    unsigned long long user = 0, system = 0;
    if (fields == NULL || sscanf(fields + 2, "%c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu %llu",
                                 state, &user, &system) != 3)
        return false;
    *ticks = user + system;
    return true;
}

void harness_await_asleep(pid_t pid) {
    uint64_t limit = harness_now() + (uint64_t)WAIT_LIMIT_MS * 1000000u * harness_patience();
    char state = '?';
    unsigned long long ticks;
    while (read_stat(pid, &state, &ticks) && state != 'S') {
        if (harness_now() > limit || state == 'Z')
            harness_fail("process %d does not fall asleep: its state is %c", (int)pid, state);
        /* between two looks; nothing relies on its length */
        nanosleep(&(struct timespec){0, 100000}, NULL);
    }
}

uint64_t harness_cpu_time(pid_t pid) {
    clockid_t clock;
    struct timespec used;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
        harness_fail("no CPU time of process %d", (int)pid);
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

/* --- Commands --------------------------------------------------------------------------------- */

/* Gives one end of a new pipe to the parent, and notes the other for the child. */
static void pipe_for(int *parents_end, int *childs_end, bool child_reads) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        harness_fail("pipe: %s", strerror(errno));
    *parents_end = ends[child_reads ? 1 : 0];
    *childs_end = ends[child_reads ? 0 : 1];
}

pid_t harness_start_command(const char *const *argv, int *in, int *out, int *err) {
    int ends[3] = {-1, -1, -1};
    if (in != NULL)
        pipe_for(in, &ends[0], true);
    else
        ends[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (out != NULL)
        pipe_for(out, &ends[1], false);
    if (err != NULL)
        pipe_for(err, &ends[2], false);
    pid_t pid = fork_child();
    if (pid == 0) {
        for (int i = 0; i < 3; i++)
            if (ends[i] >= 0)
                dup2(ends[i], i); /* without close-on-exec, unlike the original */
        unsetenv("CMOCKA_TEST_ABORT");
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    for (int i = 0; i < 3; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    return pid;
}

struct collected {
    int descriptor;
    char *bytes;
    size_t size, capacity;
};

/* Reads what is there; closes at the end of file. */
static void collect(struct collected *stream) {
    if (stream->capacity - stream->size < 65537) {
        stream->capacity = stream->capacity * 2 + 131072;
        stream->bytes = realloc(stream->bytes, stream->capacity);
        if (stream->bytes == NULL)
            abort();
    }
    ssize_t got = read(stream->descriptor, stream->bytes + stream->size, 65536);
    if (got > 0)
        stream->size += (size_t)got;
    else if (got == 0 || errno != EINTR) {
        close(stream->descriptor);
        stream->descriptor = -1;
    }
    stream->bytes[stream->size] = '\0';
}

/* Writes some of the input; closes when all is written or no process reads. */
static void feed(int *descriptor, const char *input, size_t size, size_t *written) {
    ssize_t put = *written < size ? write(*descriptor, input + *written, size - *written) : 0;
    if (put > 0)
        *written += (size_t)put;
    if (*written == size || (put < 0 && errno != EAGAIN && errno != EINTR)) {
        close(*descriptor);
        *descriptor = -1;
    }
}

/* Moves bytes until both output streams ended; false when the limit came first. */
static bool converse(int in, const char *input, size_t size, struct collected *out,
                     struct collected *err) {
    uint64_t limit = harness_now() + (uint64_t)COMMAND_LIMIT_MS * 1000000u * harness_patience();
    size_t written = 0;
    fcntl(in, F_SETFL, O_NONBLOCK);
    feed(&in, input, size, &written);
    while ((out->descriptor >= 0 || err->descriptor >= 0) && harness_now() < limit) {
        struct pollfd wait[3] = {
            {in, POLLOUT, 0}, {out->descriptor, POLLIN, 0}, {err->descriptor, POLLIN, 0}};
        if (poll(wait, 3, 100) <= 0)
            continue;
        if (wait[0].revents != 0)
            feed(&in, input, size, &written);
        if (wait[1].revents != 0)
            collect(out);
        if (wait[2].revents != 0)
            collect(err);
    }
    bool ended = out->descriptor < 0 && err->descriptor < 0;
    for (int i = 0; i < 3; i++) {
        int left = i == 0 ? in : i == 1 ? out->descriptor : err->descriptor;
        if (left >= 0)
            close(left);
    }
    return ended;
}

void harness_run_command(struct harness_output *output, const char *const *argv, const void *input,
                         size_t input_size) {
    int in;
    struct collected out = {0}, err = {0};
    pid_t pid = harness_start_command(argv, &in, &out.descriptor, &err.descriptor);
    /* the program may end without reading its input */
    void (*before)(int) = signal(SIGPIPE, SIG_IGN);
    out.bytes = calloc(1, 1);
    err.bytes = calloc(1, 1);
    bool ended = converse(in, input, input_size, &out, &err);
    signal(SIGPIPE, before);
    output->out = harness_keep(out.bytes);
    output->out_size = out.size;
    output->err = harness_keep(err.bytes);
    output->err_size = err.size;
    if (!ended) {
        harness_kill(pid);
        harness_fail("%s still ran after %d s; it said: %s%s", argv[0], COMMAND_LIMIT_MS / 1000,
                     output->out, output->err);
    }
    output->status = harness_wait(pid);
    output->exit_code = WIFEXITED(output->status) ? WEXITSTATUS(output->status) : -1;
    output->term_signal = WIFSIGNALED(output->status) ? WTERMSIG(output->status) : 0;
}

char *harness_read_until(int descriptor, const char *text) {
    uint64_t limit = harness_now() + (uint64_t)WAIT_LIMIT_MS * 1000000u * harness_patience();
    size_t size = 0, capacity = 4096;
    char *bytes = calloc(1, capacity);
    while (bytes != NULL && strstr(bytes, text) == NULL) {
        struct pollfd wait = {descriptor, POLLIN, 0};
        int ready = poll(&wait, 1, 100);
        if (size + 2 > capacity)
            bytes = realloc(bytes, capacity *= 2);
        ssize_t got =
            ready > 0 && bytes != NULL ? read(descriptor, bytes + size, capacity - size - 1) : -1;
        if (got > 0)
            bytes[size += (size_t)got] = '\0';
        if (got == 0 || harness_now() > limit) {
            harness_keep(bytes);
            harness_fail("\"%s\" did not appear %s; there was: %s", text,
                         got == 0 ? "before the end" : "in time", bytes);
        }
    }
    return harness_keep(bytes);
}

const char *harness_program(const char *variable, const char *otherwise) {
    const char *path = getenv(variable);
    if (path == NULL || *path == '\0')
        path = otherwise;
    if (path == NULL) {
        print_message("%s is not set: skipped\n", variable);
        skip();
    }
    return path;
}
