/* machine_limits.c - see machine_limits.h. The two processes take turns by a flag each: control->ping is the parent's,
 * pong the child's. */
#include "machine_limits.h"
#include "machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TRIPS 20000u
#define TURNS 2000u
#define BLOCK ((size_t)64 << 10) /* fits into the cache next to a core */
#define FAR_BLOCK ((size_t)32 << 20)
#define LINE 64u
#define MESSAGE 1024u

const char *const limit_names[LIMITS] = { "ping_pause",   "ping_bare",     "ping_payload", "pull",
                                          "rewrite_read", "rewrite_dirty", "memcpy_cache", "memcpy_memory" };
const char *const limit_texts[LIMITS] = {
    "cache line there and back, pause in the loop",
    "cache line there and back, bare loop",
    "64 B payload line + flag line, there and back",
    "receiver reads lines the sender has written",
    "sender rewrites lines the receiver only read",
    "sender rewrites lines the receiver wrote 8 B of",
    "memcpy within one process, 64 KiB",
    "memcpy within one process, 32 MiB",
};
const char *const limit_units[LIMITS] = { "ns", "ns", "ns", "GB/s", "GB/s", "GB/s", "GB/s", "GB/s" };

/* Shared by the two processes. */
static unsigned char *block, *payload[2];

/* --- Ping-pong ---------------------------------------------------------------------------------------------------- */

static int wait_bare(const uint64_t *word, uint64_t value)
{
    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value)
        if (__builtin_expect(__atomic_load_n(&machine.control->failed, __ATOMIC_RELAXED) != 0, 0))
            return -1;
    return 0;
}

ALWAYS_INLINE int wait_turn(const uint64_t *word, uint64_t value, bool bare)
{
    return bare ? wait_bare(word, value) : probe_wait(word, value);
}

/* Half a trip: takes the payload that came, if any, and passes it on with the flag. */
ALWAYS_INLINE void pass_on(uint64_t *flag, uint64_t value, const unsigned char *from, unsigned char *to)
{
    if (from != NULL) {
        memcpy(machine.buffer, from, LINE);
        memcpy(to, machine.buffer, LINE);
    }
    __atomic_store_n(flag, value, __ATOMIC_RELEASE);
}

/* ns, 0 when the other process failed. */
static double ping(uint64_t *serial, bool bare, bool carries)
{
    struct control *control = machine.control;
    for (size_t i = 0; i < TRIPS; i++) {
        uint64_t start = ticks(), value = ++*serial;
        pass_on(&control->ping, value, carries ? payload[1] : NULL, payload[0]);
        if (wait_turn(&control->pong, value, bare) != 0)
            return 0;
        machine.probe[i] = (uint32_t)(ticks() - start);
    }
    return median_ns(machine.probe, TRIPS);
}

static int pong(uint64_t *serial, bool bare, bool carries)
{
    struct control *control = machine.control;
    for (size_t i = 0; i < TRIPS; i++) {
        uint64_t value = ++*serial;
        if (wait_turn(&control->ping, value, bare) != 0)
            return -1;
        pass_on(&control->pong, value, carries ? payload[0] : NULL, payload[1]);
    }
    return 0;
}

/* --- Lines back and forth ----------------------------------------------------------------------------------------- */

static double gigabytes(uint32_t *ticks_taken, size_t count, size_t bytes)
{
    double ns = median_ns(ticks_taken, count);
    return ns > 0 ? (double)bytes / ns : 0;
}

/* Copies a small message there again and again, as a sender does: one large memset may take a way of its own. */
static void write_block(unsigned char value)
{
    unsigned char *message = machine.buffer;
    memset(message, value, MESSAGE);
    for (size_t at = 0; at < BLOCK; at += MESSAGE) {
        __asm__ volatile("" : : : "memory"); /* one after another */
        memcpy(block + at, message, MESSAGE);
    }
}

/* The parent writes all lines, the child reads them and, if it shall, dirties each. GB/s of writing, 0 when it
 * failed. */
static double write_lines(uint64_t *serial)
{
    struct control *control = machine.control;
    for (size_t i = 0; i < TURNS; i++) {
        uint64_t start = ticks(), value = ++*serial;
        write_block((unsigned char)value);
        machine.probe[i] = (uint32_t)(ticks() - start);
        __atomic_store_n(&control->ping, value, __ATOMIC_RELEASE);
        if (probe_wait(&control->pong, value) != 0)
            return 0;
    }
    return gigabytes(machine.probe, TURNS, BLOCK);
}

/* Reads every byte; wrong when a line is not as it was written. */
static int read_block(unsigned char expected)
{
    uint64_t sums[4] = { 0 }, wanted = expected * UINT64_C(0x0101010101010101);
    for (size_t at = 0; at < BLOCK; at += 32)
        for (size_t k = 0; k < 4; k++) {
            uint64_t word;
            memcpy(&word, block + at + 8 * k, 8);
            sums[k] |= word ^ wanted;
        }
    return (sums[0] | sums[1] | sums[2] | sums[3]) == 0 ? 0 : -1;
}

static int read_lines(uint64_t *serial, bool dirties, double *speed)
{
    struct control *control = machine.control;
    uint32_t *taken = machine.samples; /* the parent uses machine.probe meanwhile */
    for (size_t i = 0; i < TURNS; i++) {
        uint64_t value = ++*serial;
        if (probe_wait(&control->ping, value) != 0)
            return -1;
        uint64_t start = ticks();
        int wrong = read_block((unsigned char)value);
        taken[i] = (uint32_t)(ticks() - start);
        for (size_t at = 0; at < BLOCK && dirties; at += LINE)
            __atomic_store_n((uint64_t *)(void *)(block + at), 0, __ATOMIC_RELAXED);
        if (wrong != 0)
            return -1;
        __atomic_store_n(&control->pong, value, __ATOMIC_RELEASE);
    }
    *speed = gigabytes(taken, TURNS, BLOCK);
    return 0;
}

/* --- Copies in one process ---------------------------------------------------------------------------------------- */

static double copy(unsigned char *to, const unsigned char *from, size_t bytes, size_t turns)
{
    for (size_t i = 0; i < turns; i++) {
        uint64_t start = ticks();
        memcpy(to, from, bytes);
        __asm__ volatile("" : : "r"(to) : "memory"); /* it must be done, and now */
        machine.probe[i] = (uint32_t)(ticks() - start);
    }
    return gigabytes(machine.probe, turns, bytes);
}

/* --- A round ------------------------------------------------------------------------------------------------------ */

/* Set by the child, in shared memory: what it measured. */
static double *pulled;

static int child_work(void)
{
    uint64_t serial = 0;
    double ignored;
    return probe_answer(&serial) != 0 || pong(&serial, false, false) != 0 || pong(&serial, true, false) != 0 ||
           pong(&serial, false, true) != 0 || read_lines(&serial, false, pulled) != 0 ||
           read_lines(&serial, true, &ignored) != 0 || probe_answer(&serial) != 0;
}

static int parent_work(double values[LIMITS], double probes[2])
{
    uint64_t serial = 0;
    return (probes[0] = probe_ask(&serial)) <= 0 || (values[PING_PAUSE] = ping(&serial, false, false)) <= 0 ||
           (values[PING_BARE] = ping(&serial, true, false)) <= 0 ||
           (values[PING_PAYLOAD] = ping(&serial, false, true)) <= 0 ||
           (values[REWRITE_READ] = write_lines(&serial)) <= 0 || (values[REWRITE_DIRTY] = write_lines(&serial)) <= 0 ||
           (probes[1] = probe_ask(&serial)) <= 0;
}

static enum placement round_once(const struct plan *plan, double values[LIMITS], double probes[2])
{
    struct usage usage = { 0 };
    memset(machine.control, 0, sizeof *machine.control);
    fflush(NULL);
    watch_for(plan->hang_s);
    if (in_new_child())
        end_child(child_work());
    usage_add(&usage, UINT64_MAX);
    int wrong = parent_work(values, probes);
    usage_add(&usage, 1);
    wrong |= collect_children(wrong != 0);
    watch_for(0);
    if (wrong != 0) {
        fprintf(stderr, "%s: limits: a line was lost, or the other process failed\n", program_invocation_short_name);
        exit(1);
    }
    values[PULL] = *pulled;
    bool unwanted = plan->wanted != ANY_PLACEMENT && (probes[0] < NEAR_LIMIT_NS ? NEAR : FAR) != plan->wanted;
    return classify(probes, unwanted, was_late(&usage, false));
}

static void round_until_undisturbed(const struct plan *plan, struct limits *limits, double copies[2])
{
    for (unsigned attempt = 0; attempt < plan->attempts;) {
        double values[LIMITS] = { [COPY_NEAR] = copies[0], [COPY_FAR] = copies[1] }, probes[2] = { 0, 0 };
        enum placement placement = round_once(plan, values, probes);
        limits->tally[placement]++;
        if (placement == UNWANTED && now_ns() < plan->give_up_ns && harness_signal() == 0) {
            usleep(100000);
            continue;
        }
        if (placement <= FAR) {
            unsigned at = limits->count[placement]++;
            limits->probes[placement][at] = (probes[0] + probes[1]) / 2;
            for (int i = 0; i < LIMITS; i++)
                limits->values[placement][i][at] = values[i];
            return;
        }
        attempt++;
    }
}

void limits_run(const struct plan *plan, struct limits *limits)
{
    *limits = (struct limits){ .block = BLOCK };
    snprintf(machine.doing, sizeof machine.doing, "limits");
    block = map_shared(BLOCK);
    payload[0] = map_shared(4096);
    payload[1] = map_shared(4096);
    pulled = map_shared(4096);
    unsigned char *from = map_shared(FAR_BLOCK), *to = map_shared(FAR_BLOCK);
    for (unsigned round = 0; round < plan->rounds; round++) {
        double copies[2];
        if (harness_signal() != 0 || (plan->stop_ns != 0 && now_ns() > plan->stop_ns))
            break;
        if (!plan->list && isatty(STDERR_FILENO))
            fprintf(stderr, "\r\033[Klimits: round %u of %u", round + 1, plan->rounds);
        copies[0] = copy(to, from, BLOCK, TURNS);
        copies[1] = copy(to, from, FAR_BLOCK, 5);
        round_until_undisturbed(plan, limits, copies);
    }
    if (!plan->list && isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
}

struct spread limit_spread(const struct limits *limits, enum placement placement, enum limit which)
{
    double values[ROUNDS_MAX];
    memcpy(values, limits->values[placement][which], sizeof values);
    return spread_of(values, limits->count[placement]);
}

struct spread limit_probe(const struct limits *limits, enum placement placement)
{
    double values[ROUNDS_MAX];
    memcpy(values, limits->probes[placement], sizeof values);
    return spread_of(values, limits->count[placement]);
}
