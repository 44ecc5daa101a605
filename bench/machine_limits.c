/* machine_limits.c - see machine_limits.h. The two processes take turns by a flag each:
 * control->ping is the parent's, pong the child's. */
#include "machine_limits.h"
#include "machine.h"
#include "realtime.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TRIPS 20000u
#define TURNS 2000u
#define BLOCK ((size_t)64 << 10) /* fits into the cache next to a core */
#define FAR_BLOCK ((size_t)32 << 20)
#define LINE 64u
#define MESSAGE 1024u
#define AHEAD_TURNS 400u
#define DISTANCES 5u

static const size_t distances[DISTANCES] = {4, 8, 16, 32, 64};

static const struct {
    const char *name, *text, *unit;
} table[HANDOVER] = {
    [PING_PAUSE] = {"ping_pause_ns", "cache line there and back, pause in the loop", "ns"},
    [PING_BARE] = {"ping_bare_ns", "cache line there and back, bare loop", "ns"},
    [PING_PAYLOAD] = {"ping_payload_ns", "64 B payload line + flag line, there and back", "ns"},
    [PULL] = {"pull_gb_s", "receiver reads lines the sender has written", "GB/s"},
    [REWRITE_READ] = {"rewrite_read_gb_s", "sender rewrites lines the receiver only read", "GB/s"},
    [REWRITE_DIRTY] = {"rewrite_dirty_gb_s", "sender rewrites lines the receiver wrote 8 B of",
                       "GB/s"},
    [REWRITE_AHEAD] = {"rewrite_ahead_gb_s", "sender rewrites lines only read, fetched ahead",
                       "GB/s"},
    [AHEAD_LINES] = {"rewrite_ahead_distance_lines", "  the best distance of 4 to 64 lines",
                     "lines"},
    [COPY_NEAR] = {"memcpy_cache_gb_s", "memcpy within one process, 64 KiB", "GB/s"},
    [COPY_FAR] = {"memcpy_memory_gb_s", "memcpy within one process, 32 MiB", "GB/s"},
};

static size_t handover_size(unsigned which) {
    return handover_sizes[(which - HANDOVER) / HANDOVER_WAYS];
}
static enum handover_way handover_way(unsigned which) {
    return (which - HANDOVER) % HANDOVER_WAYS;
}

const char *limit_name(unsigned which, char text[64]) {
    if (which < HANDOVER)
        return table[which].name;
    snprintf(text, 64, "handover_%zu_%s_million_per_s", handover_size(which),
             handover_names[handover_way(which)]);
    return text;
}

const char *limit_text(unsigned which, char text[64]) {
    if (which < HANDOVER)
        return table[which].text;
    snprintf(text, 64, "%zu B: %s", handover_size(which), handover_texts[handover_way(which)]);
    return text;
}

const char *limit_unit(unsigned which) {
    return which < HANDOVER ? table[which].unit : "M/s";
}

/* Shared by the two processes. */
static unsigned char *block, *payload[2];
static struct handover *handover;

/* --- Ping-pong -------------------------------------------------------------------------------- */

static int wait_bare(const uint64_t *word, uint64_t value) {
    for (unsigned spins = 1; __atomic_load_n(word, __ATOMIC_ACQUIRE) != value; spins++) {
        uint64_t state = __atomic_load_n(&machine.control->state, __ATOMIC_RELAXED);
        if ((__builtin_expect(state != RUNNING, 0) && give_way(state) != 0) ||
            (__builtin_expect(spins % SPINS_BETWEEN_CLOCKS == 0, 0) && look_at_deadline() != 0))
            return -1;
    }
    return 0;
}

ALWAYS_INLINE int wait_turn(const uint64_t *word, uint64_t value, bool bare) {
    return bare ? wait_bare(word, value) : probe_wait(word, value);
}

/* Half a trip: takes the payload that came, if any, and passes it on with the flag. */
ALWAYS_INLINE void pass_on(uint64_t *flag, uint64_t value, const unsigned char *from,
                           unsigned char *to) {
    if (from != NULL) {
        memcpy(machine.buffer, from, LINE);
        memcpy(to, machine.buffer, LINE);
    }
    __atomic_store_n(flag, value, __ATOMIC_RELEASE);
}

/* ns, 0 when the other process failed. */
static double ping(uint64_t *serial, bool bare, bool carries) {
    struct control *control = machine.control;
    for (size_t i = 0; i < scaled(TRIPS); i++) {
        uint64_t start = ticks(), value = ++*serial;
        pass_on(&control->ping, value, carries ? payload[1] : NULL, payload[0]);
        if (wait_turn(&control->pong, value, bare) != 0)
            return 0;
        machine.probe[i] = (uint32_t)(ticks() - start);
    }
    return median_ns(machine.probe, scaled(TRIPS));
}

static int pong(uint64_t *serial, bool bare, bool carries) {
    struct control *control = machine.control;
    for (size_t i = 0; i < scaled(TRIPS); i++) {
        uint64_t value = ++*serial;
        if (wait_turn(&control->ping, value, bare) != 0)
            return -1;
        pass_on(&control->pong, value, carries ? payload[0] : NULL, payload[1]);
    }
    return 0;
}

/* --- Lines back and forth --------------------------------------------------------------------- */

static double gigabytes(uint32_t *ticks_taken, size_t count, size_t bytes) {
    double ns = median_ns(ticks_taken, count);
    return ns > 0 ? (double)bytes / ns : 0;
}

/* Copies a small message there again and again, as a sender does: one large memset may take a way
 * of its own. */
ALWAYS_INLINE void write_block(unsigned char value, size_t ahead) {
    unsigned char *message = machine.buffer;
    memset(message, value, MESSAGE);
    for (size_t at = 0; at < BLOCK; at += MESSAGE) {
        __asm__ volatile("" : : : "memory"); /* one after another */
        for (size_t line = 0; ahead != 0 && line < MESSAGE; line += LINE)
            fetch_for_writing(block + (at + line + ahead * LINE) % BLOCK);
        memcpy(block + at, message, MESSAGE);
    }
}

/* The parent writes all lines, the child reads them and, if it shall, dirties each. GB/s of
 * writing, 0 when it failed. ahead: how many lines before it is written one is fetched; 0: not. */
ALWAYS_INLINE double write_lines(uint64_t *serial, size_t turns, size_t ahead) {
    struct control *control = machine.control;
    for (size_t i = 0; i < turns; i++) {
        uint64_t start = ticks(), value = ++*serial;
        write_block((unsigned char)value, ahead);
        machine.probe[i] = (uint32_t)(ticks() - start);
        __atomic_store_n(&control->ping, value, __ATOMIC_RELEASE);
        if (probe_wait(&control->pong, value) != 0)
            return 0;
    }
    return gigabytes(machine.probe, turns, BLOCK);
}

/* The best of several distances. */
static double write_lines_ahead(uint64_t *serial, double *best_distance) {
    double best = 0;
    for (size_t i = 0; i < DISTANCES; i++) {
        double speed = write_lines(serial, scaled(AHEAD_TURNS), distances[i]);
        if (speed <= 0)
            return 0;
        if (speed > best) {
            best = speed;
            *best_distance = (double)distances[i];
        }
    }
    return best;
}

/* Reads every byte; wrong when a line is not as it was written. */
static int read_block(unsigned char expected) {
    uint64_t sums[4] = {0}, wanted = expected * UINT64_C(0x0101010101010101);
    for (size_t at = 0; at < BLOCK; at += 32)
        for (size_t k = 0; k < 4; k++) {
            uint64_t word;
            memcpy(&word, block + at + 8 * k, 8);
            sums[k] |= word ^ wanted;
        }
    return (sums[0] | sums[1] | sums[2] | sums[3]) == 0 ? 0 : -1;
}

static int read_lines(uint64_t *serial, size_t turns, bool dirties, double *speed) {
    struct control *control = machine.control;
    uint32_t *taken = machine.samples; /* the parent uses machine.probe meanwhile */
    for (size_t i = 0; i < turns; i++) {
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
    *speed = gigabytes(taken, turns, BLOCK);
    return 0;
}

/* --- Copies in one process -------------------------------------------------------------------- */

static double copy(unsigned char *to, const unsigned char *from, size_t bytes, size_t turns) {
    for (size_t i = 0; i < turns; i++) {
        uint64_t start = ticks();
        memcpy(to, from, bytes);
        __asm__ volatile("" : : "r"(to) : "memory"); /* it must be done, and now */
        machine.probe[i] = (uint32_t)(ticks() - start);
    }
    return gigabytes(machine.probe, turns, bytes);
}

/* --- Handing records over ------------------------------------------------------------------------
 */

/* The parent empties the ring, and then says so. */
static int hand_over(uint64_t *serial, double values[LIMITS]) {
    for (unsigned which = HANDOVER; which < LIMITS; which++) {
        uint64_t began_ns = now_ns();
        memset(handover, 0, sizeof *handover);
        __atomic_store_n(&machine.control->ping, ++*serial, __ATOMIC_RELEASE);
        values[which] = handover_send(handover, handover_size(which), handover_way(which));
        if (values[which] <= 0 || probe_wait(&machine.control->pong, *serial) != 0)
            return -1;
        if (handover_way(which) == HANDOVER_WAYS - 1)
            realtime_rest(began_ns);
    }
    return 0;
}

static int take_over(uint64_t *serial) {
    for (unsigned which = HANDOVER; which < LIMITS; which++) {
        uint64_t began_ns = now_ns();
        if (probe_wait(&machine.control->ping, ++*serial) != 0 ||
            handover_receive(handover, handover_size(which), handover_way(which)) != 0)
            return -1;
        __atomic_store_n(&machine.control->pong, *serial, __ATOMIC_RELEASE);
        if (handover_way(which) == HANDOVER_WAYS - 1)
            realtime_rest(began_ns);
    }
    return 0;
}

/* --- A round ---------------------------------------------------------------------------------- */

/* Set by the child, in shared memory: what it measured. */
static double *pulled;

static int read_all(uint64_t *serial) {
    double ignored;
    return read_lines(serial, scaled(TURNS), false, pulled) != 0 ||
           read_lines(serial, scaled(TURNS), true, &ignored) != 0 ||
           read_lines(serial, DISTANCES * scaled(AHEAD_TURNS), false, &ignored) != 0;
}

static int write_all(uint64_t *serial, double values[LIMITS]) {
    return (values[REWRITE_READ] = write_lines(serial, scaled(TURNS), 0)) <= 0 ||
           (values[REWRITE_DIRTY] = write_lines(serial, scaled(TURNS), 0)) <= 0 ||
           (values[REWRITE_AHEAD] = write_lines_ahead(serial, &values[AHEAD_LINES])) <= 0;
}

static int child_work(void) {
    uint64_t serial = 0, began_ns = now_ns();
    if (probe_answer(&serial) != 0 || pong(&serial, false, false) != 0 ||
        pong(&serial, true, false) != 0 || pong(&serial, false, true) != 0 ||
        read_all(&serial) != 0)
        return -1;
    realtime_rest(began_ns);
    return take_over(&serial) != 0 || probe_answer(&serial) != 0;
}

static int parent_work(double values[LIMITS], double probes[2]) {
    uint64_t serial = 0, began_ns = now_ns();
    if ((probes[0] = probe_ask(&serial)) <= 0 ||
        (values[PING_PAUSE] = ping(&serial, false, false)) <= 0 ||
        (values[PING_BARE] = ping(&serial, true, false)) <= 0 ||
        (values[PING_PAYLOAD] = ping(&serial, false, true)) <= 0 || write_all(&serial, values) != 0)
        return -1;
    realtime_rest(began_ns);
    return hand_over(&serial, values) != 0 || (probes[1] = probe_ask(&serial)) <= 0;
}

/* A round in which one process waited for long for the other counts as disturbed: where many others
 * want the CPUs, the two seldom run at the same time. */
static enum placement round_once(const struct plan *plan, double values[LIMITS], double probes[2]) {
    struct usage usage = {0};
    control_reset();
    fflush(NULL);
    watch_for(plan->hang_s);
    expect_within(LATE_NS);
    if (in_new_child())
        end_child(child_work());
    usage_add(&usage, UINT64_MAX);
    int wrong = parent_work(values, probes);
    usage_add(&usage, 1);
    wrong |= collect_children(wrong != 0);
    watch_for(0);
    if (wrong != 0 && was_too_late())
        return DISTURBED;
    if (wrong != 0) {
        fprintf(stderr, "%s: limits: a line was lost, or the other process failed\n",
                program_invocation_short_name);
        exit(1);
    }
    values[PULL] = *pulled;
    bool unwanted =
        plan->wanted != ANY_PLACEMENT && (probes[0] < NEAR_LIMIT_NS ? NEAR : FAR) != plan->wanted;
    return classify(probes, unwanted, was_late(&usage, realtime_is_on()));
}

static void round_until_undisturbed(const struct plan *plan, struct limits *limits,
                                    double copies[2]) {
    for (unsigned attempt = 0; attempt < plan->attempts;) {
        if (harness_signal() != 0 ||
            (attempt > 0 && plan->stop_ns != 0 && now_ns() > plan->stop_ns))
            return;
        double values[LIMITS] = {[COPY_NEAR] = copies[0], [COPY_FAR] = copies[1]},
               probes[2] = {0, 0};
        enum placement placement = round_once(plan, values, probes);
        limits->tally[placement]++;
        if (placement == UNWANTED && now_ns() < plan->give_up_ns && harness_signal() == 0) {
            usleep(100000);
            continue;
        }
        if (placement <= FAR) {
            unsigned at = limits->count[placement]++;
            limits->probes[placement][at] = (probes[0] + probes[1]) / 2;
            for (unsigned i = 0; i < LIMITS; i++)
                limits->values[placement][i][at] = values[i];
            return;
        }
        attempt++;
    }
}

void limits_run(const struct plan *plan, struct limits *limits) {
    *limits = (struct limits){.block = BLOCK};
    snprintf(machine.doing, sizeof machine.doing, "limits");
    block = map_shared(BLOCK);
    payload[0] = map_shared(4096);
    payload[1] = map_shared(4096);
    handover = map_shared(sizeof *handover);
    pulled = map_shared(4096);
    unsigned char *from = map_shared(FAR_BLOCK), *to = map_shared(FAR_BLOCK);
    for (unsigned round = 0; round < plan->rounds; round++) {
        double copies[2];
        if (harness_signal() != 0 || (plan->stop_ns != 0 && now_ns() > plan->stop_ns))
            break;
        if (!plan->list && isatty(STDERR_FILENO))
            fprintf(stderr, "\r\033[Klimits: round %u of %u", round + 1, plan->rounds);
        copies[0] = copy(to, from, BLOCK, scaled(TURNS));
        copies[1] = copy(to, from, FAR_BLOCK, 5);
        round_until_undisturbed(plan, limits, copies);
    }
    if (!plan->list && isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
}

enum handover_way limits_best(const struct limits *limits, enum placement placement,
                              double times[HANDOVER_SIZES]) {
    double best = 1.05;
    enum handover_way chosen = PLAIN;
    for (unsigned mode = PLAIN; mode < HANDOVER_WAYS; mode++) {
        double of_way[HANDOVER_SIZES], product = 1;
        for (unsigned i = 0; i < HANDOVER_SIZES; i++) {
            unsigned at = HANDOVER + i * HANDOVER_WAYS;
            of_way[i] = limit_spread(limits, placement, at + mode).median /
                        limit_spread(limits, placement, at).median;
            product *= of_way[i];
        }
        double mean = pow(product, 1.0 / HANDOVER_SIZES);
        if (mode != PLAIN && mean <= best)
            continue;
        best = mode == PLAIN ? best : mean;
        chosen = mode;
        memcpy(times, of_way, sizeof of_way);
    }
    return chosen;
}

struct spread limit_spread(const struct limits *limits, enum placement placement, unsigned which) {
    double values[ROUNDS_MAX];
    memcpy(values, limits->values[placement][which], sizeof values);
    return spread_of(values, limits->count[placement]);
}

struct spread limit_probe(const struct limits *limits, enum placement placement) {
    double values[ROUNDS_MAX];
    memcpy(values, limits->probes[placement], sizeof values);
    return spread_of(values, limits->count[placement]);
}
