/* limits.c - what the machine itself can do between two pinned processes: no transport can be
 * faster. The two processes take turns by a flag each: control->ping is the parent's, pong the
 * child's. */
#include "channels/queue/processor.h"
#include "machine.h"

#include <math.h>
#include <stdio.h>

#define TRIPS 20000u
#define TURNS 2000u
#define BLOCK ((size_t)64 << 10) /* fits into the cache next to a core */
#define FAR_BLOCK ((size_t)32 << 20)
#define LINE 64u
#define MESSAGE 1024u
#define AHEAD_TURNS 400u
#define DISTANCES 5u

#define AHEAD_RECORDS 2u
#define HANDOVER_SIZES 4u
#define HANDOVER_RING ((size_t)64 << 10)
#define BYTES ((uint64_t)48 << 20) /* of records handed over... */
#define RECORDS_MAX 800000u        /* ...of so many at most: hundredths of a second */

static const size_t distances[DISTANCES] = {4, 8, 16, 32, 64};

enum handover_way {
    PLAIN,
    WIPE,  /* the receiver zeroes the first word of each line that it has read */
    AHEAD, /* the sender fetches the record after next for writing */
    WIPE_AHEAD,
    HANDOVER_WAYS
};
static const char *const handover_texts[HANDOVER_WAYS] = {
    "plain", "receiver wipes", "sender fetches ahead", "receiver wipes, sender fetches ahead"};

enum limit {
    PING_PAUSE,    /* round trip of a line, pausing in the loop that waits */
    PING_BARE,     /* the same without the pause */
    PING_PAYLOAD,  /* a line of payload and a line that says it is there, both ways */
    PULL,          /* reading lines that the other process has just written */
    REWRITE_READ,  /* writing lines again that the other process has only read */
    REWRITE_DIRTY, /* writing lines again of which the other process has written 8 bytes each */
    REWRITE_AHEAD, /* writing lines only read, fetched for writing ahead: the best distance */
    AHEAD_LINES,   /* that distance */
    COPY_NEAR,     /* memcpy in one process, both blocks in the cache next to it */
    COPY_FAR,      /* memcpy in one process, far more than the caches hold */
    HANDOVER,      /* records through a ring: for each size, HANDOVER_WAYS of them */
    LIMITS = HANDOVER + HANDOVER_SIZES * HANDOVER_WAYS
};

/* --- Records through a ring ------------------------------------------------------------------- */

/* Records of one size; each begins with a word that says that it is complete, on a line of its own
 * (so there is nothing here of a library's work but the copies). A processor family has one of two
 * walls: the sender's wait for lines that the receiver has only read, which the receiver's wiping
 * takes away, or the sender's wait for the ownership of one line after the other, which fetching
 * ahead takes away. */
static const size_t handover_sizes[HANDOVER_SIZES] = {64, 256, 1024, 4096};

static size_t handover_size(unsigned which) {
    return handover_sizes[(which - HANDOVER) / HANDOVER_WAYS];
}
static enum handover_way handover_way(unsigned which) {
    return (which - HANDOVER) % HANDOVER_WAYS;
}

struct handover {
    _Alignas(4096) uint64_t released;
    _Alignas(4096) unsigned char ring[HANDOVER_RING];
};

/* The ring as records of one size. */
struct records {
    size_t size, stride, slots;
    uint64_t count;
};

static struct records records_of(size_t size) {
    struct records records = {.size = size, .stride = (8 + size + LINE - 1) / LINE * LINE};
    records.slots = HANDOVER_RING / records.stride;
    records.count = scaled((unsigned)(BYTES / size < RECORDS_MAX ? BYTES / size : RECORDS_MAX));
    return records;
}

ALWAYS_INLINE unsigned char *record_at(struct handover *shared, const struct records *records,
                                       uint64_t serial) {
    return shared->ring + serial % records->slots * records->stride;
}

/* In the library's pieces: the ways are compared, not the C library's copies (decision 0018). */
ALWAYS_INLINE void copy_record(unsigned char *to, const unsigned char *from, size_t size,
                               size_t piece) {
    for (; piece != 0 && size > piece; size -= piece, to += piece, from += piece)
        memcpy(to, from, piece);
    memcpy(to, from, size);
}

ALWAYS_INLINE uint64_t *word_of(unsigned char *line) {
    return (uint64_t *)(void *)line;
}

/* Waits until the receiver has released all but `kept` of the records before this one. */
static int wait_for_room(const struct handover *shared, uint64_t serial, uint64_t kept,
                         uint64_t *released) {
    struct patience patience = {0};
    while (serial - *released > kept) {
        *released = __atomic_load_n(&shared->released, __ATOMIC_ACQUIRE);
        if (serial - *released > kept && wait_patiently(&patience) != 0)
            return -1;
    }
    return 0;
}

ALWAYS_INLINE int send_records(struct handover *shared, const struct records *records, int ahead) {
    unsigned char *message = machine.buffer;
    const size_t piece = leat__processor()->piece;
    uint64_t released = 0;
    for (uint64_t i = 0; i < records->count; i++) {
        unsigned char *record = record_at(shared, records, i);
        if (wait_for_room(shared, i, records->slots - 1, &released) != 0)
            return -1;
        stamp(message, records->size, i);
        if (ahead)
            for (size_t at = 0; at < records->stride; at += LINE)
                fetch_for_writing(record_at(shared, records, i + AHEAD_RECORDS) + at);
        copy_record(record + 8, message, records->size, piece);
        __atomic_store_n(word_of(record), i + 1, __ATOMIC_RELEASE);
    }
    return wait_for_room(shared, records->count, 0, &released);
}

/* Both in the same way. Millions of records a second, 0 when the other process failed or was late,
 * or a record was wrong. The one that receives: 0 or -1. */
static double send_all(struct handover *shared, size_t size, enum handover_way mode) {
    const struct records records = records_of(size);
    uint64_t start = now_ns();
    int result =
        mode >= AHEAD ? send_records(shared, &records, 1) : send_records(shared, &records, 0);
    return result == 0 ? (double)records.count * 1e3 / (double)(now_ns() - start) : 0;
}

ALWAYS_INLINE int receive_records(struct handover *shared, const struct records *records,
                                  int wipe) {
    unsigned char *message = machine.buffer;
    const size_t piece = leat__processor()->piece;
    for (uint64_t i = 0; i < records->count; i++) {
        unsigned char *record = record_at(shared, records, i);
        if (probe_wait(word_of(record), i + 1) != 0)
            return -1;
        copy_record(message, record + 8, records->size, piece);
        if (!stamped(message, records->size, i))
            return -1;
        for (size_t at = 0; wipe && at < records->stride; at += LINE)
            __atomic_store_n(word_of(record + at), 0, __ATOMIC_RELAXED);
        if (i % 8 == 7 || records->slots < 32 || i + 1 == records->count)
            __atomic_store_n(&shared->released, i + 1, __ATOMIC_RELEASE);
    }
    return 0;
}

static int receive_all(struct handover *shared, size_t size, enum handover_way mode) {
    const struct records records = records_of(size);
    return mode == WIPE || mode == WIPE_AHEAD ? receive_records(shared, &records, 1)
                                              : receive_records(shared, &records, 0);
}

/* Shared by the two processes. */
static unsigned char *block, *payload[2], *copy_from, *copy_to;
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

/* --- Handing records over --------------------------------------------------------------------- */

/* The parent empties the ring, and then says so. */
static int hand_over(uint64_t *serial, double *values) {
    for (unsigned which = HANDOVER; which < LIMITS; which++) {
        uint64_t began_ns = now_ns();
        memset(handover, 0, sizeof *handover);
        __atomic_store_n(&machine.control->ping, ++*serial, __ATOMIC_RELEASE);
        values[which] = send_all(handover, handover_size(which), handover_way(which));
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
            receive_all(handover, handover_size(which), handover_way(which)) != 0)
            return -1;
        __atomic_store_n(&machine.control->pong, *serial, __ATOMIC_RELEASE);
        if (handover_way(which) == HANDOVER_WAYS - 1)
            realtime_rest(began_ns);
    }
    return 0;
}

/* --- The trial -------------------------------------------------------------------------------- */

static int read_all(uint64_t *serial, double *pulled) {
    double ignored;
    return read_lines(serial, scaled(TURNS), false, pulled) != 0 ||
           read_lines(serial, scaled(TURNS), true, &ignored) != 0 ||
           read_lines(serial, DISTANCES * scaled(AHEAD_TURNS), false, &ignored) != 0;
}

static int write_all(uint64_t *serial, double *values) {
    return (values[REWRITE_READ] = write_lines(serial, scaled(TURNS), 0)) <= 0 ||
           (values[REWRITE_DIRTY] = write_lines(serial, scaled(TURNS), 0)) <= 0 ||
           (values[REWRITE_AHEAD] = write_lines_ahead(serial, &values[AHEAD_LINES])) <= 0;
}

static int answer(uint64_t *serial, double *values) {
    uint64_t began_ns = now_ns();
    if (pong(serial, false, false) != 0 || pong(serial, true, false) != 0 ||
        pong(serial, false, true) != 0 || read_all(serial, &values[PULL]) != 0)
        return -1;
    realtime_rest(began_ns);
    return take_over(serial);
}

/* A process that waited for long for the other makes the trial late, and so disturbed: where many
 * want the CPUs, the two seldom run at the same time. */
static int ask(uint64_t *serial, double *values) {
    uint64_t began_ns = now_ns();
    expect_within(LATE_NS);
    if ((values[PING_PAUSE] = ping(serial, false, false)) <= 0 ||
        (values[PING_BARE] = ping(serial, true, false)) <= 0 ||
        (values[PING_PAYLOAD] = ping(serial, false, true)) <= 0 || write_all(serial, values) != 0)
        return -1;
    realtime_rest(began_ns);
    return hand_over(serial, values);
}

static int prepare(struct trial *trial) {
    if (block == NULL) {
        block = map_shared(BLOCK);
        payload[0] = map_shared(4096);
        payload[1] = map_shared(4096);
        handover = map_shared(sizeof *handover);
        copy_from = map_shared(FAR_BLOCK);
        copy_to = map_shared(FAR_BLOCK);
    }
    trial->told->figures[COPY_NEAR] = copy(copy_to, copy_from, BLOCK, scaled(TURNS));
    trial->told->figures[COPY_FAR] = copy(copy_to, copy_from, FAR_BLOCK, 5);
    return 0;
}

static int work(struct trial *trial) {
    double *values = trial->told->figures;
    if (trial_begin(trial) != 0)
        return -1;
    int result = 0;
    if (trial->told->unwanted) /* set before the child may go on */
        return trial_end(trial);
    result = trial->role == SENDER ? ask(&trial->serial, values) : answer(&trial->serial, values);
    return result != 0 ? -1 : trial_end(trial);
}

/* Which way to hand records over is right for this processor: the one that is best by the geometric
 * mean over the sizes; plain unless another is 5 % better. */
static void report_best(FILE *out, const struct part *part, const double *medians) {
    double best = 1.05;
    unsigned chosen = PLAIN;
    (void)part;
    for (unsigned way = PLAIN + 1; way < HANDOVER_WAYS; way++) {
        double product = 1;
        for (unsigned at = HANDOVER; at < LIMITS; at += HANDOVER_WAYS)
            product *= medians[at + way] / medians[at];
        if (pow(product, 1.0 / HANDOVER_SIZES) <= best)
            continue;
        best = pow(product, 1.0 / HANDOVER_SIZES);
        chosen = way;
    }
    fprintf(out, "best here: %s", handover_texts[chosen]);
    if (chosen == PLAIN)
        fprintf(out, " (no other way is 5 %% better on average)\n");
    else
        fprintf(out, " (%.2f times plain, on average)\n", best);
}

static const struct way ways[] = {
    WAY("machine", "no transport can be faster", .prepare = prepare, .work = work)};

#define RECORDS(size)                                                                              \
    FIGURE(size " B: plain", "handover_" size "_plain_million_per_s"),                             \
        FIGURE(size " B: receiver wipes", "handover_" size "_wipe_million_per_s"),                 \
        FIGURE(size " B: sender fetches ahead", "handover_" size "_ahead_million_per_s"),          \
        FIGURE(size " B: receiver wipes, sender fetches ahead",                                    \
               "handover_" size "_wipe_ahead_million_per_s")

const struct part part_limits = {
    .name = "limits",
    .title = "Lines back and forth in blocks of 64 KiB; records through a ring of 64 KiB, M/s",
    WAYS(ways),
    .yardstick = NO_YARDSTICK,
    .figures = {FIGURE("cache line there and back, pause in the loop, ns", "ping_pause_ns"),
                FIGURE("cache line there and back, bare loop, ns", "ping_bare_ns"),
                FIGURE("64 B payload line + flag line, there and back, ns", "ping_payload_ns"),
                FIGURE("receiver reads lines the sender has written, GB/s", "pull_gb_s"),
                FIGURE("sender rewrites lines the receiver only read, GB/s", "rewrite_read_gb_s"),
                FIGURE("sender rewrites lines the receiver wrote 8 B of, GB/s",
                       "rewrite_dirty_gb_s"),
                FIGURE("sender rewrites lines only read, fetched ahead, GB/s",
                       "rewrite_ahead_gb_s"),
                FIGURE("  the best distance of 4 to 64 lines", "rewrite_ahead_distance_lines"),
                FIGURE("memcpy within one process, 64 KiB, GB/s", "memcpy_cache_gb_s"),
                FIGURE("memcpy within one process, 32 MiB, GB/s", "memcpy_memory_gb_s"),
                RECORDS("64"), RECORDS("256"), RECORDS("1024"), RECORDS("4096")},
    .remark = report_best,
};
