/* machine.c - see machine.h. */
#include "machine.h"
#include "../tools/common.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define BREAK_OFF_SECONDS 2u /* for a cell that hangs even when its children are dead */

struct machine machine;

void die(const char *what) {
    exit(fail_system(what, errno));
}

/* --- CPUs and clocks -------------------------------------------------------------------------- */

static void calibrate(void) {
    uint64_t t0 = ticks(), n0 = now_ns();
    while (now_ns() - n0 < 20000000)
        ;
    machine.ticks_per_ns = (double)(ticks() - t0) / (double)(now_ns() - n0);
}

static int pin_process(pid_t process, int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    return sched_setaffinity(process, sizeof set, &set);
}

void pin(int cpu) {
    if (pin_process(0, cpu) != 0) {
        char text[64];
        snprintf(text, sizeof text, "this process may not run on CPU %d: sched_setaffinity", cpu);
        die(text);
    }
}

/* Before the process is pinned. */
static void find_cpus(int cpus[2]) {
    cpu_set_t set;
    int found = cpus[0] < 0 ? 0 : 2;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        die("sched_getaffinity");
    for (int cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++)
        if (CPU_ISSET((size_t)cpu, &set))
            cpus[found++] = cpu;
    if (found < (machine.one_cpu ? 1 : 2))
        exit(fail_target(NULL, EXIT_SKIP,
                         "this needs two CPUs, and the process may use only one; see taskset(1)"));
    if (machine.one_cpu)
        cpus[1] = cpus[0];
    for (int cpu = 0; cpu < CPU_SETSIZE && machine.other_count < CHILDREN_MAX; cpu++)
        if (CPU_ISSET((size_t)cpu, &set) && cpu != cpus[0] && cpu != cpus[1])
            machine.others[machine.other_count++] = cpu;
    memcpy(machine.cpus, cpus, sizeof machine.cpus);
}

int machine_other_cpu(unsigned n) {
    return n <= machine.other_count ? machine.others[n - 1] : machine.cpus[0];
}

long long number_in(const char *path, unsigned n, long long otherwise) {
    long long number = otherwise;
    FILE *file = fopen(path, "r");
    for (unsigned i = 0; i <= n && file != NULL; i++)
        if (fscanf(file, "%lld", &number) != 1)
            number = otherwise;
    if (file != NULL)
        fclose(file);
    return number;
}

void allow_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

void usage_add(struct usage *usage, uint64_t sign) {
    struct rusage self;
    getrusage(RUSAGE_SELF, &self);
    uint64_t cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    /* how long it was ready to run and did not; 0 where the kernel does not tell */
    usage->delay_ns += sign * (uint64_t)number_in("/proc/self/schedstat", 1, 0);
    usage->switches += sign * (uint64_t)self.ru_nvcsw;
    usage->cpu_ns += sign * cpu_ns;
    usage->helpers_ns += sign * (cpu_ns - clock_ns(CLOCK_THREAD_CPUTIME_ID));
    usage->wall_ns += sign * now_ns();
}

/* --- Real time -------------------------------------------------------------------------------- */

#define PRIORITY 10 /* of a child; its parent's is the next above */
#define REST_MIN_NS UINT64_C(20000000)
#define REST_PART 8u /* of a cell's time; the kernel wants a twentieth of every second */
#define RUNTIME "/proc/sys/kernel/sched_rt_runtime_us"

static bool real_time;

void realtime_start(void) {
    const struct sched_param parameter = {.sched_priority = PRIORITY + 1};
    if (sched_setscheduler(0, SCHED_FIFO, &parameter) != 0)
        exit(fail_target(
            NULL, 1,
            "--realtime: this user may not have real-time priority %d: %s. Run it as root "
            "or with CAP_SYS_NICE, or raise the limit RLIMIT_RTPRIO (ulimit -r; rtprio in "
            "limits.conf); in a control group, cpu.rt_runtime_us must not be 0",
            PRIORITY + 1, strerror(errno)));
    real_time = true;
}

static int realtime_child(pid_t child, bool same_cpu) {
    const struct sched_param fifo = {.sched_priority = PRIORITY + same_cpu};
    return real_time ? sched_setscheduler(child, SCHED_FIFO, &fifo) : 0;
}

bool realtime_is_on(void) {
    return real_time;
}

uint64_t realtime_shorten(uint64_t duration_ns) {
    bool limited = real_time && number_in(RUNTIME, 0, 950000) >= 0;
    return limited && duration_ns > REALTIME_CELL_NS ? REALTIME_CELL_NS : duration_ns;
}

void realtime_rest(uint64_t began_ns) {
    uint64_t rest_ns = (now_ns() - began_ns) / REST_PART;
    if (!real_time)
        return;
    sleep_ns(rest_ns < REST_MIN_NS ? REST_MIN_NS : rest_ns);
}

/* --- Memory ----------------------------------------------------------------------------------- */

void *map_shared(size_t size) {
    void *p =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (p == MAP_FAILED)
        die("mmap");
    return p;
}

void *must_allocate(size_t count, size_t size) {
    void *p = calloc(count, size);
    if (p == NULL)
        die("calloc");
    return p;
}

void *link_memory(unsigned number) {
    if (machine.memory[number] == NULL)
        machine.memory[number] = map_shared(machine.memory_size);
    return memset(machine.memory[number], 0, machine.memory_size);
}

/* --- The watchdog ----------------------------------------------------------------------------- */

/* Unless a side has failed already. */
static void fail_as(uint64_t failure) {
    uint64_t state = __atomic_load_n(&machine.control->state, __ATOMIC_RELAXED);
    while (state <= POLITE &&
           !__atomic_compare_exchange_n(&machine.control->state, &state, failure, false,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        continue;
}

/* Breaks off the cell at hand, from a signal handler too: its children are killed, and this
 * process's loops and calls come to an end because of it. So the cell fails as if a child had
 * crashed, and its links are destroyed. */
static void break_off(void) {
    for (unsigned i = 0; i < machine.children; i++)
        if (machine.child[i] > 0)
            kill(machine.child[i], SIGKILL);
    fail_as(WRONG);
}

static volatile sig_atomic_t given_up;

/* A cell that hangs or whose peer crashed must not leave the other process spinning. */
static void on_alarm(int signal) {
    (void)signal;
    if (given_up)
        _exit(1);
    const char *const parts[] = {"leat: ", machine.doing, " hangs: given up\n"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (write(STDERR_FILENO, parts[i], strlen(parts[i])) < 0)
            break;
    given_up = 1;
    break_off();
    alarm(BREAK_OFF_SECONDS);
}

/* Some child has ended. If it did not end well, whoever spins must learn of it. */
static void on_child(int signal) {
    (void)signal;
    int saved = errno;
    for (unsigned i = 0; i < machine.children; i++) {
        siginfo_t info = {0};
        if (waitid(P_PID, (id_t)machine.child[i], &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
            info.si_pid != 0 && (info.si_code != CLD_EXITED || info.si_status != 0))
            fail_as(WRONG);
    }
    errno = saved;
}

static volatile sig_atomic_t asked_to_end, times_asked;
static const int ends[] = {SIGINT, SIGTERM, SIGHUP};

static void on_end(int number) {
    if (asked_to_end == 0)
        asked_to_end = number;
    if (++times_asked == 2)
        break_off();
    if (times_asked > 2) {
        signal(number, SIG_DFL);
        raise(number); /* when this returns */
    }
}

int harness_signal(void) {
    return asked_to_end;
}

void message_lost(void) {
    if (times_asked > 1) {
        signal(asked_to_end, SIG_DFL);
        raise(asked_to_end);
    }
    if (!given_up)
        fail_target(NULL, 1, "%s: a message was lost, torn or refused", machine.doing);
    exit(1);
}

void watch_for(uint64_t seconds) {
    struct itimerval timer = {.it_value = {.tv_sec = (time_t)seconds}};
    setitimer(ITIMER_REAL, &timer, NULL);
}

/* --- Children --------------------------------------------------------------------------------- */

/* By the parent: a child of the same real-time priority would not get the parent's CPU to move
 * itself away from it. */
static void place_child(pid_t child, int cpu) {
    if (pin_process(child, cpu) == 0 && realtime_child(child, cpu == machine.cpus[0]) == 0)
        return;
    int problem = errno;
    break_off();
    errno = problem;
    die("the CPU or the priority of a child");
}

bool in_new_child(int cpu) {
    sigset_t handled, before;
    sigemptyset(&handled);
    sigaddset(&handled, SIGCHLD);
    sigaddset(&handled, SIGALRM);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        sigaddset(&handled, ends[i]);
    /* the handlers must find the number of a child from its first moment */
    sigprocmask(SIG_BLOCK, &handled, &before);
    pid_t child = fork();
    if (child < 0)
        die("fork");
    if (child > 0)
        machine.child[machine.children++] = child;
    for (size_t i = 0; child == 0 && i < sizeof ends / sizeof *ends; i++)
        signal(ends[i], SIG_IGN); /* they go to all of the group, and the parent decides */
    if (child == 0)
        machine.children = 0;
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (child > 0)
        place_child(child, cpu);
    else
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return child == 0;
}

void end_child(int result) {
    if (result != 0)
        fail_as(WRONG);
    _exit(result != 0);
}

int collect_children(bool give_up) {
    int wrong = 0;
    if (give_up) /* some of them may wait for messages that nobody sends any more */
        break_off();
    for (unsigned i = 0; i < machine.children; i++) {
        int status = 0;
        while (waitpid(machine.child[i], &status, 0) < 0 && errno == EINTR)
            ;
        machine.child[i] = 0; /* no longer its number */
        wrong |= status;
    }
    machine.children = 0;
    return wrong;
}

unsigned scaled(unsigned count) {
    return machine.polite ? count / 100 + 1 : count;
}

void control_reset(void) {
    memset(machine.control, 0, sizeof *machine.control);
    machine.control->state = machine.polite ? POLITE : RUNNING;
}

void harness_start(int cpus[2], size_t capacity) {
    find_cpus(cpus);
    pin(cpus[1]); /* only to learn now whether that works */
    pin(cpus[0]);
    calibrate();
    machine.control = map_shared(sizeof *machine.control);
    control_reset();
    machine.memory_size = 2 * capacity + ((size_t)64 << 10);
    /* Shared so that fork leaves them writable: a page fault for every thousand samples would be
     * the p99.9. */
    machine.samples = map_shared(SAMPLES_MAX * sizeof *machine.samples);
    machine.probe = map_shared(PROBE_TRIPS * sizeof *machine.probe);
    machine.buffer = aligned_alloc(4096, BUFFER_SIZE);
    if (machine.buffer == NULL)
        die("aligned_alloc");
    memset(machine.buffer, 0x5a, BUFFER_SIZE);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGALRM, on_alarm);
    struct sigaction action = {.sa_handler = on_child, .sa_flags = SA_RESTART | SA_NOCLDSTOP};
    sigaction(SIGCHLD, &action, NULL);
    action = (struct sigaction){.sa_handler = on_end, .sa_flags = SA_RESTART};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        sigaction(ends[i], &action, NULL);
}

/* --- The probe -------------------------------------------------------------------------------- */

static int compare_u32(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

double median_ns(uint32_t *ticks_taken, size_t count) {
    qsort(ticks_taken, count, sizeof *ticks_taken, compare_u32);
    return count == 0 ? 0 : (double)ticks_taken[(count - 1) / 2] / machine.ticks_per_ns;
}

void expect_within(uint64_t ns) {
    machine.control->deadline_ns = now_ns() + ns * (machine.polite ? 12 : 1);
}

int look_at_deadline(void) {
    uint64_t deadline_ns = __atomic_load_n(&machine.control->deadline_ns, __ATOMIC_RELAXED);
    if (deadline_ns == 0 || now_ns() < deadline_ns)
        return 0;
    fail_as(LATE);
    return -1;
}

int probe_wait(const uint64_t *word, uint64_t value) {
    struct patience patience = {0};
    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value)
        if (wait_patiently(&patience) != 0)
            return -1;
    return 0;
}

int sleep_until(const uint64_t *word, uint64_t least) {
    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) < least) {
        if (__atomic_load_n(&machine.control->state, __ATOMIC_RELAXED) > POLITE)
            return -1;
        sleep_ns(50000);
    }
    return 0;
}

double probe_ask(uint64_t *serial) {
    for (size_t i = 0; i < scaled(PROBE_TRIPS); i++) {
        uint64_t t0 = ticks(), value = ++*serial;
        __atomic_store_n(&machine.control->ping, value, __ATOMIC_RELEASE);
        if (probe_wait(&machine.control->pong, value) != 0)
            return 0;
        machine.probe[i] = (uint32_t)(ticks() - t0);
    }
    return median_ns(machine.probe, scaled(PROBE_TRIPS));
}

int probe_answer(uint64_t *serial) {
    for (size_t i = 0; i < scaled(PROBE_TRIPS); i++) {
        uint64_t value = ++*serial;
        if (probe_wait(&machine.control->ping, value) != 0)
            return -1;
        __atomic_store_n(&machine.control->pong, value, __ATOMIC_RELEASE);
    }
    return 0;
}
