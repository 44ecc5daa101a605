/* soak.h - what the processes of a soak share: the board in memory, the ledgers on it, and the
 * rules by which they are judged.
 *
 * The supervisor (soak.c) starts workers and disturbs them: kill -9, SIGSTOP, SIGUSR1 (the handler
 * forks). A worker (soak_worker.c) runs role threads (soak_channel.c, soak_sync.c), cancels some,
 * forks, and ends in order or without closing. Everything that can be checked is written on the
 * board, which no kill can take back (soak_ledger.c):
 *   - a sender writes `attempted` before a call and `committed` after it, in a record of its own
 *     for each opening;
 *   - a receiver writes `received` for each message, and before a call how many a kill could take
 *     with it (copies) or show again (in place), as docs/failure-model.md has it;
 *   - the holder of a role or of a mutex writes its identity after it was given, and clears it
 *     before it gives it up. An identity is *certainly alive* while its worker is not doomed: that
 *     is written before a process is killed.
 * So a record that cannot come about by a kill is a finding. */
#ifndef LEAT_TESTS_SOAK_H
#define LEAT_TESTS_SOAK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "leat/leat.h"

#define SOAK_WORKERS 12
#define SOAK_THREADS 2 /* role threads of a worker */
#define SOAK_STREAMS 5
#define SOAK_MUTEXES 4
#define SOAK_SEMAPHORES 2
#define SOAK_EVENTS 2
#define SOAK_RECORDS 65536 /* sender openings in a round */
#define SOAK_BATCH 8
#define SOAK_MESSAGE_MAX 1500
#define SOAK_CLOSED (UINT64_C(1) << 63) /* in a mutex's holder: closed while it was held */

typedef _Atomic uint64_t soak_word;
typedef uint64_t soak_id; /* its count << 40 | worker's number << 8 | slot << 2 | thread; never 0 */

enum soak_fault {
    SOAK_SOUND,
    SOAK_LOSE,
    SOAK_DOUBLE,
    SOAK_HOLD,
    SOAK_LEAK,
    SOAK_HANG,
    SOAK_DEAD,
    SOAK_COUNT
};

/* One for each opening of a sender. */
struct soak_record {
    soak_word attempted, committed, received;
    soak_id owner;
    uint32_t stream;
};

struct soak_side {
    soak_word owner; /* of an exclusive role */
    soak_word kills, killed_at, told;
};

struct soak_stream {
    const char *word;
    bool global, persistent, many;
    struct soak_side sender, receiver;
    soak_word committed, received;
    /* The receiver's, handed on to its successor. */
    soak_word last;             /* record of the last message; 0: none yet */
    soak_word copying, showing; /* what a kill now would take, or show again */
    soak_word taken, shown;     /* what kills may have taken, or the next ones may show again */
};

struct soak_mutex {
    const char *word;
    bool global, persistent, inherit;
    soak_word holder, first, second, locks;
};

struct soak_semaphore {
    const char *word;
    bool global;
    soak_word posted, taken, perhaps_posted, perhaps_taken;
};

struct soak_event {
    const char *word;
    soak_word sets, taken;
};

/* A role thread, and what it is doing just now: for the watch over calls and for the reckoning
 * after a kill. */
struct soak_thread {
    const char *_Atomic call;
    soak_word since, deadline;
    _Atomic pid_t tid;
    /* The supervisor's: of the call that began at `seen`, how long the worker had been stopped
     * before, and how often the thread was seen asleep beyond its time. */
    uint64_t seen, stopped_ns;
    unsigned asleep;
    _Atomic uint32_t taking, posting;    /* bits of semaphores */
    _Atomic uint32_t sending, receiving; /* stream + 1 while it has, or may have, the role */
};

struct soak_worker {
    _Atomic pid_t pid;
    soak_word number;
    _Atomic bool doomed, stopped;
    uint64_t stopped_at, continue_at, stopped_ns; /* the supervisor's */
    bool ignored;                                 /* the supervisor's: hung before */
    struct soak_thread threads[SOAK_THREADS + 1]; /* the last is the worker's main thread */
};

struct soak_counts {
    soak_word kills, stops, cancels, forks, handler_forks, exits, abandonments, messages, locks,
        takes, sets, opens, busy, refused;
    soak_word owner_deaths, deaths, perhaps_taken, shown_again, gcs, told[6], told_longest,
        waits_long;
};

struct soak_board {
    uint64_t seed, started;
    enum soak_fault fault;
    bool users; /* two further users take part */
    uid_t uids[3];
    char base[64];     /* of the users' local directories */
    char prefix[48];   /* of global names */
    _Atomic bool over; /* the round */
    _Atomic uint32_t findings;
    soak_word records_used, numbers;
    struct soak_counts counts;
    struct soak_stream streams[SOAK_STREAMS];
    struct soak_mutex mutexes[SOAK_MUTEXES];
    struct soak_semaphore semaphores[SOAK_SEMAPHORES];
    struct soak_event events[SOAK_EVENTS];
    struct soak_worker workers[SOAK_WORKERS + 1]; /* the last is the auditor's */
    struct soak_record records[SOAK_RECORDS];
};

extern struct soak_board *soak;

/* A role thread in its own process. */
struct soak_role {
    uint64_t random, until;
    soak_id id;
    struct soak_worker *worker;
    struct soak_thread *thread;
    pthread_t pthread;
    bool foreign; /* another user: global objects only */
    _Atomic bool stop, ended;
    /* What it has open: closed in order, or by the cleanup handler of a cancelled thread. */
    leat_sender *tx;
    leat_receiver *rx;
    leat_waitset *waitset;
    leat_mutex *mutex;
    leat_semaphore *semaphore;
    leat_event *events[SOAK_EVENTS];
    leat_region *region;
    struct soak_stream *stream;
    struct soak_mutex *held; /* noted as held */
    struct soak_record *record;
    uint64_t handle_messages, last_seen, deaths_told, deaths_before;
    uint32_t openings;
    bool in_send; /* a call that sends nothing when it is cancelled */
};

/* --- soak_ledger.c ---------------------------------------------------------------------------- */

#define SOAK_FIND(...) soak_find(__FILE__, __LINE__, __VA_ARGS__)
void soak_find(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

uint64_t soak_random(uint64_t *state);
/* How much longer than on an idle machine everything may take now: 1 to 100. */
unsigned soak_patience(void);
bool soak_chance(uint64_t *state, unsigned one_in);
void soak_sleep_us(uint64_t microseconds);
bool soak_alive(soak_id id); /* certainly alive: true means that it was when this was called */
/* Before a worker ends without closing: counts a death for each role that it has or is opening. */
void soak_doom(struct soak_worker *worker);
soak_id soak_opening(
    struct soak_role *role); /* an identity for a role in a channel or a mutex, as it is had now */
const char *soak_name(char name[96], const char *word, bool global);
leat_scope soak_scope(bool global);

/* Around each call of leat: what the watch and the reckoning after a kill must know. */
void soak_enter(struct soak_thread *thread, const char *call, uint64_t deadline);
void soak_leave(struct soak_thread *thread);

#define SOAK_CALL(role, deadline, call)                                                            \
    (soak_enter((role)->thread, #call, deadline), soak_result = (call),                            \
     soak_leave((role)->thread), soak_result)
/* The same for one without a result. */
#define SOAK_DO(role, call)                                                                        \
    (soak_enter((role)->thread, #call, 0), (call), soak_leave((role)->thread))
/* The same for a call that may be cancelled and interrupted by a handler that forks. */
#define SOAK_WAIT(role, deadline, call)                                                            \
    (soak_enter((role)->thread, #call, deadline), soak_open_to_disturbance(true),                  \
     soak_result = (call), soak_open_to_disturbance(false), soak_leave((role)->thread),            \
     soak_result)
extern _Thread_local int soak_result;
void soak_open_to_disturbance(bool open);

/* A code that no one should get here. */
void soak_unexpected(const char *what, const char *on, int code);
/* Whether opening went well; what may be refused is counted, the rest is a finding. */
bool soak_opened(const char *what, const char *word, int code);

/* Messages. */
void soak_fill(void *bytes, size_t size, uint32_t stream, uint32_t record, uint64_t number);
void soak_taking_over(struct soak_role *role);
void soak_received(struct soak_role *role, const void *bytes, size_t size);
bool soak_pending(const struct soak_stream *stream);
void soak_settle_stream(struct soak_stream *stream);
/* leat reports the peer's death to this side. */
void soak_told_of_death(struct soak_role *role, struct soak_side *peer, uint64_t since);

/* Mutexes. */
void soak_locked(struct soak_role *role, struct soak_mutex *mutex, int code);
void soak_unlocking(struct soak_role *role);

/* --- soak_channel.c, soak_sync.c
 * ----------------------------------------------------------------------------------------- */

void soak_send(struct soak_role *role);
void soak_receive(struct soak_role *role);
void soak_drain(struct soak_role *role, struct soak_stream *stream);
void soak_look(struct soak_role *role);
void soak_lock(struct soak_role *role);
void soak_post(struct soak_role *role);
void soak_take(struct soak_role *role);
void soak_ping(struct soak_role *role);
void soak_wait_for_several(struct soak_role *role);
void soak_grow(struct soak_role *role);
bool soak_open_mutex(struct soak_role *role, struct soak_mutex *mutex);
bool soak_open_semaphore(struct soak_role *role, struct soak_semaphore *semaphore);
bool soak_open_event(struct soak_role *role, unsigned which);

/* --- soak_worker.c ---------------------------------------------------------------------------- */

/* Closes what the role has open. */
void soak_close(struct soak_role *role);
/* A child of a role thread that cannot use what it inherited. */
void soak_fork(struct soak_role *role);
/* The process of a worker; ends it. */
void soak_work(unsigned slot, uint64_t number, uid_t uid, bool whole) __attribute__((noreturn));
/* Becomes the user, with a local directory of its own. */
void soak_become(unsigned user, bool whole);
/* What is made at the start of a round, and the reckoning at its end. Each in a process of its own.
 */
void soak_make_objects(void);
void soak_audit(void);

#endif
