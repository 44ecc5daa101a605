/* soak_ledger.c - see soak.h: findings, and the reckoning of messages, roles and mutexes. */
#include "soak.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct soak_board *soak;
_Thread_local int soak_result;

#define FINDINGS_SHOWN 20

void soak_find(const char *file, int line, const char *format, ...) {
    char text[600];
    const char *base = strrchr(file, '/');
    uint32_t number = atomic_fetch_add(&soak->findings, 1) + 1;
    va_list values;
    if (number > FINDINGS_SHOWN)
        return;
    int used = snprintf(text, sizeof text,
                        "soak: FINDING %u (seed %llu, second %.1f, process %d, %s:%d): ", number,
                        (unsigned long long)soak->seed, (double)(leat_now() - soak->started) / 1e9,
                        (int)getpid(), base != NULL ? base + 1 : file, line);
    va_start(values, format);
    used += vsnprintf(text + used, sizeof text - (size_t)used, format, values);
    va_end(values);
    if (used > (int)sizeof text - 2)
        used = (int)sizeof text - 2;
    text[used] = '\n';
    (void)!write(STDERR_FILENO, text, (size_t)used + 1);
}

uint64_t soak_random(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

bool soak_chance(uint64_t *state, unsigned one_in) {
    return soak_random(state) % one_in == 0;
}

/* The average lags behind: so the threads that can run now count too. */
unsigned soak_patience(void) {
    double average = 0;
    unsigned running = 0;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    FILE *file = fopen("/proc/loadavg", "re");
    if (file != NULL && fscanf(file, "%lf %*s %*s %u/", &average, &running) != 2)
        running = 0;
    if (file != NULL)
        (void)fclose(file);
    double load = average > running ? average : running;
    double patience = load / (2 * (double)(processors > 0 ? processors : 1));
    return patience < 1 ? 1 : patience > 100 ? 100 : (unsigned)(patience + 0.5);
}

void soak_sleep_us(uint64_t microseconds) {
    struct timespec left = {(time_t)(microseconds / 1000000),
                            (long)(microseconds % 1000000 * 1000)};
    while (nanosleep(&left, &left) != 0)
        ;
}

bool soak_alive(soak_id id) {
    const struct soak_worker *worker = &soak->workers[id >> 2 & 63];
    if (id == 0 || (id & SOAK_CLOSED) != 0)
        return false;
    uint64_t number = id >> 8 & UINT32_MAX;
    return worker->number == number && !worker->doomed && worker->number == number;
}

static void count_kill(struct soak_side *side) {
    side->killed_at = leat_now();
    side->kills++;
}

void soak_doom(struct soak_worker *worker) {
    worker->doomed = true;
    for (unsigned i = 0; i < SOAK_THREADS; i++) {
        uint32_t sending = worker->threads[i].sending, receiving = worker->threads[i].receiving;
        if (sending != 0)
            count_kill(&soak->streams[sending - 1].sender);
        if (receiving != 0)
            count_kill(&soak->streams[receiving - 1].receiver);
    }
}

soak_id soak_opening(struct soak_role *role) {
    return role->id | (uint64_t)(++role->openings & 0x3fffff) << 40;
}

leat_scope soak_scope(bool global) {
    return global ? LEAT_GLOBAL : LEAT_LOCAL;
}

const char *soak_name(char name[96], const char *word, bool global) {
    (void)snprintf(name, 96, "%s%s", global ? soak->prefix : "", word);
    return name;
}

/* --- Calls ------------------------------------------------------------------------------------ */

void soak_enter(struct soak_thread *thread, const char *call, uint64_t deadline) {
    thread->deadline = deadline;
    thread->since = leat_now();
    thread->call = call;
}

void soak_leave(struct soak_thread *thread) {
    thread->call = NULL;
}

void soak_open_to_disturbance(bool open) {
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGUSR1);
    if (!open)
        (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    (void)pthread_sigmask(open ? SIG_UNBLOCK : SIG_BLOCK, &set, NULL);
    if (open)
        (void)pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
}

void soak_unexpected(const char *what, const char *on, int code) {
    SOAK_FIND("%s on '%s' returned %s (%s; errno %d)", what, on, leat_error_name(code),
              leat_error_detail(), leat_system_error());
}

bool soak_opened(const char *what, const char *word, int code) {
    soak->counts.opens += code == LEAT_OK;
    soak->counts.busy += code == LEAT_EBUSY;
    if (code != LEAT_OK && code != LEAT_EBUSY)
        soak_unexpected(what, word, code);
    return code == LEAT_OK;
}

/* --- Messages --------------------------------------------------------------------------------- */

struct head {
    uint64_t sum, number;
    uint32_t stream, record;
    uint64_t size;
};

static uint64_t sum_of(const unsigned char *bytes, size_t size) {
    uint64_t sum = size, word;
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        memcpy(&word, bytes + i, 8);
        sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
        sum ^= sum >> 29;
    }
    for (; i < size; i++)
        sum = (sum ^ bytes[i]) * 0x100000001b3u;
    return sum;
}

void soak_fill(void *bytes, size_t size, uint32_t stream, uint32_t record, uint64_t number) {
    struct head head = {0, number, stream, record, size};
    uint64_t state = number * 1000003 + record;
    unsigned char *to = bytes;
    for (size_t i = sizeof head; i < size; i++) {
        if (i % 8 == 0)
            (void)soak_random(&state);
        to[i] = (unsigned char)(state >> (i % 8 * 8));
    }
    memcpy(to, &head, sizeof head);
    head.sum = sum_of(to + 8, size - 8);
    memcpy(to, &head, sizeof head);
}

static uint32_t index_of(const struct soak_stream *stream) {
    return (uint32_t)(stream - soak->streams);
}

/* The next receiver after a killed one: which messages the killed one may have taken with it, or
 * may show again. */
void soak_taking_over(struct soak_role *role) {
    struct soak_stream *stream = role->stream;
    role->handle_messages = role->last_seen = role->deaths_told = 0;
    stream->taken += atomic_exchange(&stream->copying, 0);
    stream->shown += atomic_exchange(&stream->showing, 0);
}

static void close_gap(struct soak_role *role, uint32_t record, uint64_t upto) {
    struct soak_stream *stream = role->stream;
    uint64_t received = soak->records[record].received;
    if (received >= upto)
        return;
    uint64_t gap = upto - received;
    bool earlier = !stream->persistent &&
                   role->handle_messages == 0; /* the channel may have died with its backlog */
    if (!earlier && gap > stream->taken)
        SOAK_FIND("stream '%s': lost: %llu messages from number %llu of sender %u (a kill may have "
                  "taken %llu)",
                  stream->word, (unsigned long long)gap, (unsigned long long)received, record,
                  (unsigned long long)stream->taken);
    if (!earlier && gap <= stream->taken) {
        stream->taken -= gap;
        soak->counts.perhaps_taken += gap;
    }
    stream->received += gap;
    soak->records[record].received = upto;
}

/* An exclusive sender's successor sends: everything that was committed before has come. */
static void close_earlier(struct soak_role *role, uint32_t record) {
    struct soak_stream *stream = role->stream;
    for (uint32_t i = (uint32_t)stream->last; i < record; i++)
        if (i != 0 && soak->records[i].stream == index_of(stream))
            close_gap(role, i, soak->records[i].committed);
}

static bool again(struct soak_stream *stream) {
    if (stream->shown == 0)
        return false;
    stream->shown--;
    soak->counts.shown_again++;
    return true;
}

static bool whole(const struct soak_stream *stream, const void *bytes, size_t size,
                  struct head *head) {
    if (size < sizeof *head)
        return false;
    memcpy(head, bytes, sizeof *head);
    return head->size == size && head->sum == sum_of((const unsigned char *)bytes + 8, size - 8) &&
           head->stream == index_of(stream) && head->record > 0 && head->record < SOAK_RECORDS &&
           soak->records[head->record].stream == head->stream;
}

void soak_received(struct soak_role *role, const void *bytes, size_t size) {
    struct soak_stream *stream = role->stream;
    struct head head;
    if (!whole(stream, bytes, size, &head)) {
        SOAK_FIND("stream '%s': torn: a message of %zu bytes", stream->word, size);
        return;
    }
    struct soak_record *record = &soak->records[head.record];
    if (head.number < record->received || (!stream->many && head.record < stream->last)) {
        if (!again(stream))
            SOAK_FIND("stream '%s': doubled: number %llu of sender %u came after %llu of %u",
                      stream->word, (unsigned long long)head.number, head.record,
                      (unsigned long long)record->received, (unsigned)stream->last);
        return;
    }
    if (head.number >= record->attempted)
        SOAK_FIND("stream '%s': number %llu of sender %u was never sent", stream->word,
                  (unsigned long long)head.number, head.record);
    if (!stream->many)
        close_earlier(role, head.record);
    close_gap(role, head.record, head.number);
    if (!stream->many)
        stream->taken = 0; /* what a predecessor took would have come before this one */
    stream->shown = 0;
    stream->last = head.record;
    record->received = head.number + 1;
    stream->received++;
    role->last_seen = head.record;
    role->handle_messages++;
    soak->counts.messages++;
}

bool soak_pending(const struct soak_stream *stream) {
    return stream->persistent && stream->taken == 0 && stream->committed > stream->received;
}

/* After the round, when no worker is left and the backlog was received. */
void soak_settle_stream(struct soak_stream *stream) {
    uint64_t used = soak->records_used;
    for (uint64_t i = 1; stream->persistent && i <= used && i < SOAK_RECORDS; i++) {
        const struct soak_record *record = &soak->records[i];
        if (record->stream != index_of(stream) || record->received >= record->committed)
            continue;
        uint64_t gap = record->committed - record->received;
        if (gap > stream->taken)
            SOAK_FIND(
                "stream '%s': lost at the end: sender %llu committed %llu, received were %llu",
                stream->word, (unsigned long long)i, (unsigned long long)record->committed,
                (unsigned long long)record->received);
        stream->taken -= gap > stream->taken ? (uint64_t)stream->taken : gap;
    }
}

/* --- Deaths ----------------------------------------------------------------------------------- */

static void time_told(const struct soak_side *peer, uint64_t since) {
    static const uint64_t steps_ms[] = {1, 10, 60, 100, 500};
    uint64_t from = peer->killed_at > since ? (uint64_t)peer->killed_at : since, now = leat_now();
    uint64_t took = now > from ? now - from : 0, longest = soak->counts.told_longest;
    unsigned step = 0;
    while (step < 5 && took > steps_ms[step] * 1000000)
        step++;
    soak->counts.told[step]++;
    while (took > longest &&
           !atomic_compare_exchange_weak(&soak->counts.told_longest, &longest, took))
        ;
    if (took > UINT64_C(5000000000) * soak_patience())
        SOAK_FIND("a death was reported after %.1f s of waiting", (double)took / 1e9);
}

void soak_told_of_death(struct soak_role *role, struct soak_side *peer, uint64_t since) {
    uint64_t owner = peer->owner, kills = peer->kills;
    role->deaths_told++;
    soak->counts.deaths++;
    time_told(peer, since);
    if (role->deaths_told > kills - role->deaths_before + (role->deaths_before != 0))
        SOAK_FIND("stream '%s': misjudged: %llu deaths reported, %llu happened", role->stream->word,
                  (unsigned long long)role->deaths_told,
                  (unsigned long long)(kills - role->deaths_before));
    const struct soak_record *seen = &soak->records[role->last_seen];
    if (peer == &role->stream->sender && role->last_seen != 0 && seen->owner == owner &&
        soak_alive(owner) && peer->owner == owner)
        SOAK_FIND("stream '%s': misjudged: a sender that lives was called dead",
                  role->stream->word);
}

/* --- Mutexes ---------------------------------------------------------------------------------- */

void soak_locked(struct soak_role *role, struct soak_mutex *mutex, int code) {
    soak_id id = soak_opening(role), before = atomic_exchange(&mutex->holder, id);
    bool lived = soak_alive(before);
    if ((before & SOAK_CLOSED) != 0 && !mutex->persistent && code == LEAT_OK)
        before = 0; /* closed by its last user: it is another object */
    role->held = mutex;
    soak->counts.locks++;
    soak->counts.owner_deaths += code == LEAT_EOWNERDEAD;
    if (lived)
        SOAK_FIND("mutex '%s': two holders: %llx has it, and %llx got it (%s)", mutex->word,
                  (unsigned long long)before, (unsigned long long)id, leat_error_name(code));
    else if (before != 0 && code == LEAT_OK)
        SOAK_FIND("mutex '%s': its holder %llx ended, and the next one was not told", mutex->word,
                  (unsigned long long)before);
    if (code == LEAT_OK && before == 0 && mutex->first != mutex->second)
        SOAK_FIND("mutex '%s': what it guards was half changed", mutex->word);
    mutex->first = mutex->second = mutex->locks;
    mutex->first++;
    if (soak_chance(&role->random, 4))
        soak_sleep_us(soak_random(&role->random) % 800);
    mutex->locks++;
    mutex->second++;
    if (mutex->first != mutex->second || mutex->holder != id)
        SOAK_FIND("mutex '%s': another one was inside: holder %llx, and not %llx", mutex->word,
                  (unsigned long long)mutex->holder, (unsigned long long)id);
}

/* Before the unlock, so that the next owner finds no holder noted. */
void soak_unlocking(struct soak_role *role) {
    role->held->holder = 0;
    role->held = NULL;
}
