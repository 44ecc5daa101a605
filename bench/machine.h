/* machine.h - what the parts of the harness share: the CPUs, clocks, memory, and the probe of the
 * CPUs' distance. */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include "loops.h"
#include "trial.h"

#define PROBE_TRIPS 20000u
#define SAMPLES_MAX 4000000u
#define CHILDREN_MAX 8u
#define BUFFER_SIZE (BATCH * SIZE_MAX_FIXED)

/* Shared by the processes of a cell; zeroed before each. Each word that is polled has a page of its
 * own. */
struct control {
    _Alignas(4096) uint64_t ping;
    _Alignas(4096) uint64_t pong;
    _Alignas(4096) uint64_t go;    /* the probe is over, start */
    _Alignas(4096) uint64_t state; /* see enum state */
    uint64_t deadline_ns;          /* for waits of the harness itself, of now_ns; 0: none */
    _Alignas(4096) uint64_t ready; /* the child has opened its links */
    _Alignas(4096) uint64_t done;  /* the child has everything */
};

struct machine {
    struct control *control;
    unsigned char *memory[2];
    size_t memory_size; /* of each */
    int cpus[2];
    int others[CHILDREN_MAX]; /* CPUs besides */
    unsigned other_count;
    /* To be set before harness_start. one_cpu: both processes are on one CPU, the first; no trial
     * has a probe then, and there may be only one CPU. polite: all has to work, and figures mean
     * nothing (--smoke); polling sleeps in between, warming up is short, and a disturbed trial
     * counts. */
    bool one_cpu, polite;
    double ticks_per_ns;
    uint32_t *samples, *probe;
    unsigned char *buffer;
    uint16_t lengths[LENGTHS];
    char doing[128];         /* for messages and the watchdog */
    int child[CHILDREN_MAX]; /* process numbers, of the cell at hand */
    unsigned children;
};
extern struct machine machine;

void die(const char *what) __attribute__((noreturn)); /* with what errno says */
/* or torn, or refused, in the cell at hand, or it was broken off */
void message_lost(void) __attribute__((noreturn));
void pin(int cpu);
/* As many as this user may have: a thousand channels need as many, and their senders twice that. */
void allow_descriptors(void);
/* The n-th number, from 0, in a file of one line; `otherwise` where there is none. */
long long number_in(const char *path, unsigned n, long long otherwise);
void *map_shared(size_t size);
void *must_allocate(size_t count, size_t size);

/* Memory for the link of that number, zeroed. */
void *link_memory(unsigned number);

/* Adds what this process did since the beginning; called with the opposite sign at start and
 * end. */
void usage_add(struct usage *usage, uint64_t sign);

/* Ends the program if it takes longer; 0: no more. */
void watch_for(uint64_t seconds);

/* Before each cell: all that its processes share is zero, but for the state. */
void control_reset(void);

/* So many repetitions, or few where figures mean nothing. */
unsigned scaled(unsigned count);

/* Sorts. */
double median_ns(uint32_t *ticks, size_t count);

/* A wait that ends: wait_patiently is -1 when the other process failed, or when the deadline has
 * passed, which it then tells the other one. */
struct patience {
    unsigned spins;
};
#define SPINS_BETWEEN_CLOCKS 65536u /* some milliseconds */
int look_at_deadline(void);

static inline int wait_patiently(struct patience *patience) {
    relax();
    uint64_t state = __atomic_load_n(&machine.control->state, __ATOMIC_RELAXED);
    if (__builtin_expect(state != RUNNING, 0) && give_way(state) != 0)
        return -1;
    return ++patience->spins % SPINS_BETWEEN_CLOCKS == 0 ? look_at_deadline() : 0;
}

/* Waits until the other process stores value. -1: it failed and never will, or was late. */
int probe_wait(const uint64_t *word, uint64_t value);

/* The same asleep, until the word has at least that value: the other side needs this CPU. */
int sleep_until(const uint64_t *word, uint64_t least);

/* What waits from now on have as their deadline. */
#define LATE_NS UINT64_C(5000000000)
void expect_within(uint64_t ns);

/* Median round trip of a cache line in ns, 0 when the other process failed. *serial goes on from
 * probe to probe. */
double probe_ask(uint64_t *serial);
int probe_answer(uint64_t *serial);

/* Starts a child of a cell, pinned to that CPU: true in the child, which ends with end_child. One
 * that crashes or fails sets control->state, which every loop looks at. */
bool in_new_child(int cpu);

/* The n-th CPU, from 1, besides the two that this process may use; where there are not so many,
 * that of the parent. */
int machine_other_cpu(unsigned n);
void end_child(int result) __attribute__((noreturn));

/* Waits for all of them; give_up: ends them. 0 when all ended well. */
int collect_children(bool give_up);

/* --- Real time -------------------------------------------------------------------------------- */

/* The process that sends has a priority above those that receive, each on a CPU of its own; two
 * that share a CPU have the same, or one would preempt the other whenever it is woken. The kernel
 * takes a CPU away from real-time processes that leave nothing to others, usually for 50 ms of
 * every second (sched_rt_runtime_us). No cell is so long that this meets it, because there is a
 * rest behind each cell. */
#define REALTIME_CELL_NS UINT64_C(500000000) /* the longest cell whose processes do not sleep */

/* Gives this process its priority, and from then on its children theirs. Exits with 1, having said
 * what is missing, where the user may not have it. */
void realtime_start(void);

bool realtime_is_on(void);

/* A cell's duration, shortened to REALTIME_CELL_NS where the kernel would take the CPU away. */
uint64_t realtime_shorten(uint64_t duration_ns);

/* Leaves the CPU to others for as long as the kernel wants, after a cell that began then (of
 * now_ns). */
void realtime_rest(uint64_t began_ns);

#endif
