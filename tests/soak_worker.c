/* soak_worker.c - see soak.h: the process of a worker, which runs roles one after another in
 * threads, and the processes before and after a round. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "soak.h"

/* --- A role thread ---------------------------------------------------------------------------- */

static void close_channel(struct soak_role *role) {
    if (role->tx != NULL &&
        role->stream->sender.owner == (role->record != NULL ? role->record->owner : 0))
        role->stream->sender.owner = 0;
    if (role->rx != NULL)
        role->stream->receiver.owner = 0;
    if (role->tx != NULL)
        SOAK_DO(role, leat_sender_close(role->tx));
    if (role->rx != NULL)
        SOAK_DO(role, leat_receiver_close(role->rx));
    if (role->waitset != NULL)
        SOAK_DO(role, leat_waitset_close(role->waitset));
    role->tx = NULL, role->rx = NULL, role->waitset = NULL, role->record = NULL;
    role->thread->sending = role->thread->receiving = 0;
}

void soak_close(struct soak_role *role) {
    close_channel(role);
    if (role->held != NULL)
        role->held->holder |= SOAK_CLOSED;
    role->held = NULL;
    if (role->mutex != NULL)
        SOAK_DO(role, leat_mutex_close(role->mutex));
    if (role->semaphore != NULL)
        SOAK_DO(role, leat_semaphore_close(role->semaphore));
    for (unsigned i = 0; i < SOAK_EVENTS; i++) {
        if (role->events[i] != NULL)
            SOAK_DO(role, leat_event_close(role->events[i]));
        role->events[i] = NULL;
    }
    if (role->region != NULL)
        SOAK_DO(role, leat_region_close(role->region));
    role->mutex = NULL, role->semaphore = NULL, role->region = NULL;
}

/* Cancelled in a call, which has sent, received and taken nothing. */
static void cancelled(void *context) {
    struct soak_role *role = context;
    soak_open_to_disturbance(false);
    soak_leave(role->thread);
    if (role->rx != NULL)
        role->stream->copying = 0;
    if (role->tx != NULL && role->record != NULL && role->in_send)
        role->record->attempted = role->record->committed;
    role->thread->taking = role->thread->posting = 0;
    soak_close(role);
    role->ended = true;
}

typedef void role_function(struct soak_role *role);

static role_function *some_role(struct soak_role *role) {
    static role_function *const own[] = {soak_send,    soak_send,    soak_send,
                                         soak_receive, soak_receive, soak_receive,
                                         soak_lock,    soak_lock,    soak_wait_for_several,
                                         soak_post,    soak_take,    soak_ping,
                                         soak_grow,    soak_look};
    static role_function *const foreign[] = {soak_send,    soak_send, soak_receive,
                                             soak_receive, soak_lock, soak_lock,
                                             soak_post,    soak_take, soak_look};
    uint64_t random = soak_random(&role->random);
    return role->foreign ? foreign[random % (sizeof foreign / sizeof *foreign)]
                         : own[random % (sizeof own / sizeof *own)];
}

static void *run_role(void *context) {
    struct soak_role *role = context;
    soak_open_to_disturbance(false);
    role->thread->tid = gettid();
    pthread_cleanup_push(cancelled, role);
    some_role(role)(role);
    if (soak->fault == SOAK_HANG && soak_chance(&role->random, 20)) {
        soak_enter(role->thread, "planted", leat_in_ms(1));
        soak_sleep_us(30000000);
    }
    if (soak->fault == SOAK_LEAK && !role->foreign)
        (void)!dup(STDERR_FILENO);
    soak_close(role);
    role->ended = true;
    pthread_cleanup_pop(0);
    return NULL;
}

static void start_role(struct soak_role *role, struct soak_worker *worker, unsigned slot,
                       unsigned thread, uint64_t random, bool foreign) {
    uint32_t openings = role->openings;
    memset(role, 0, sizeof *role);
    role->openings = openings + 1;
    role->random = random;
    role->worker = worker;
    role->thread = &worker->threads[thread];
    role->id = worker->number << 8 | slot << 2 | thread;
    role->foreign = foreign;
    role->until = leat_in_ms(30 + random % 900);
    if (pthread_create(&role->pthread, NULL, run_role, role) != 0) {
        SOAK_FIND("pthread_create failed");
        role->ended = true;
        role->pthread = 0;
    }
}

/* --- Forks ------------------------------------------------------------------------------------ */

static void expect_forked(const char *what, int code) {
    if (code != LEAT_EFORKED)
        SOAK_FIND("in a forked child %s returned %s", what, leat_error_name(code));
}

/* The child lives on for a while, and holds nothing of its parent. */
static void live_as_child(struct soak_role *role) {
    struct soak_thread unwatched;
    memset(&unwatched, 0, sizeof unwatched);
    unsigned char byte[64] = {0};
    size_t size;
    role->thread = &unwatched;
    if (role->tx != NULL)
        expect_forked("leat_send", leat_send(role->tx, byte, sizeof byte, LEAT_NOW));
    if (role->rx != NULL)
        expect_forked("leat_recv", leat_recv(role->rx, byte, sizeof byte, &size, LEAT_NOW));
    if (role->mutex != NULL)
        expect_forked("leat_mutex_lock", leat_mutex_lock(role->mutex, LEAT_NOW));
    leat_waitset_close(role->waitset);
    leat_sender_close(role->tx);
    leat_receiver_close(role->rx);
    leat_mutex_close(role->mutex);
    leat_object_info info;
    int code = role->foreign ? LEAT_OK : leat_stat(soak->streams[0].word, LEAT_LOCAL, &info);
    if (code != LEAT_OK)
        soak_unexpected("leat_stat in a child", soak->streams[0].word, code);
    soak_sleep_us(soak_random(&role->random) % 500000);
    _exit(0);
}

void soak_fork(struct soak_role *role) {
    soak_enter(role->thread, "fork", 0);
    pid_t child = fork();
    if (child == 0)
        live_as_child(role);
    soak_leave(role->thread);
    soak->counts.forks += child > 0;
}

/* Interrupts any thread of the worker in a wait. */
static void fork_in_handler(int signal_number) {
    int kept = errno, state;
    (void)signal_number;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state); /* for the child */
    pid_t child = fork();
    if (child == 0) {
        (void)usleep(50000);
        _exit(0);
    }
    soak->counts.handler_forks += child > 0;
    (void)pthread_setcancelstate(state, NULL);
    errno = kept;
}

/* --- A worker --------------------------------------------------------------------------------- */

static unsigned count_descriptors(void) {
    unsigned count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (directory != NULL && readdir(directory) != NULL)
        count++;
    if (directory != NULL)
        (void)closedir(directory);
    return count;
}

/* Of objects: those of the library's own that stay mapped are not in a directory of objects. */
static unsigned count_mappings(void) {
    char line[600];
    unsigned count = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
        count += strstr(line, soak->base) != NULL || strstr(line, soak->prefix) != NULL;
    if (maps != NULL)
        (void)fclose(maps);
    return count;
}

#define DESCRIPTORS_OF_A_PROCESS                                                                   \
    6 /* shared by all handles, and kept: more than there were before the first role */

static void inspect(unsigned descriptors) {
    unsigned now = count_descriptors(), mappings = count_mappings();
    if (now > descriptors + DESCRIPTORS_OF_A_PROCESS)
        SOAK_FIND("leaked: %u descriptors where %u were, with everything closed", now, descriptors);
    if (mappings > 0)
        SOAK_FIND("leaked: %u mappings of objects, with everything closed", mappings);
}

static void join(struct soak_worker *worker, struct soak_role *role) {
    if (role->pthread == 0)
        return;
    soak_enter(&worker->threads[SOAK_THREADS], "pthread_join", role->until + UINT64_C(2000000000));
    (void)pthread_join(role->pthread, NULL);
    soak_leave(&worker->threads[SOAK_THREADS]);
}

/* Ends without closing anything: for peers a death, and counted as one before. */
static void abandon(struct soak_worker *worker) {
    soak_doom(worker);
    soak->counts.abandonments++;
    _exit(0);
}

static void disturb(struct soak_worker *worker, struct soak_role *roles, unsigned threads,
                    uint64_t *random) {
    soak_sleep_us(soak_random(random) % 300000);
    if (soak_chance(random, 3)) {
        struct soak_role *role = &roles[soak_random(random) % threads];
        if (!role->ended && role->pthread != 0) {
            (void)pthread_cancel(role->pthread);
            role->stop = true; /* where it meets no wait */
            soak->counts.cancels++;
        }
    }
    if (soak_chance(random, 60))
        abandon(worker);
}

static void prepare(struct soak_worker *worker) {
    struct sigaction action = {.sa_handler = fork_in_handler, .sa_flags = SA_RESTART};
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGUSR1);
    (void)sigaction(SIGUSR1, &action, NULL);
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGCHLD, SIG_IGN); /* no process waits for the children of workers */
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)worker;
}

void soak_become(unsigned user, bool whole) {
    char directory[96];
    uid_t uid = soak->uids[user];
    (void)snprintf(directory, sizeof directory, "%s/%u", soak->base, user);
    (void)setenv("LEAT_DIR", directory, 1);
    if (uid == geteuid())
        return;
    if (setgroups(0, NULL) != 0 || (whole ? setresgid(uid, uid, uid) : setegid(uid)) != 0 ||
        (whole ? setresuid(uid, uid, uid) : seteuid(uid)) != 0) {
        SOAK_FIND("cannot become user %u: %s", (unsigned)uid, strerror(errno));
        _exit(1);
    }
}

void soak_work(unsigned slot, uint64_t number, uid_t user, bool whole_user) {
    static struct soak_role roles[SOAK_THREADS];
    struct soak_worker *worker = &soak->workers[slot];
    uint64_t random = soak->seed ^ number * 0x2545f4914f6cdd1du;
    soak_become((unsigned)user, whole_user);
    prepare(worker);
    worker->threads[SOAK_THREADS].tid = gettid();
    unsigned descriptors = count_descriptors();
    do {
        unsigned threads = 1 + (unsigned)(soak_random(&random) % SOAK_THREADS);
        for (unsigned i = 0; i < threads; i++)
            start_role(&roles[i], worker, slot, i, soak_random(&random), user != 0);
        disturb(worker, roles, threads, &random);
        for (unsigned i = 0; i < threads; i++)
            join(worker, &roles[i]);
        inspect(descriptors);
    } while (!soak->over && !soak_chance(&random, 12));
    soak->counts.exits++;
    exit(0);
}

/* --- Before and after a round ----------------------------------------------------------------- */

static struct soak_role *auditor(void) {
    static struct soak_role role;
    role.worker = &soak->workers[SOAK_WORKERS];
    role.thread = &role.worker->threads[0];
    role.random = soak->seed ^ leat_now();
    role.until = LEAT_FOREVER;
    role.id = role.worker->number << 8 | SOAK_WORKERS << 2;
    soak_become(0, true);
    return &role;
}

void soak_make_objects(void) {
    char name[96];
    struct soak_role *role = auditor();
    for (unsigned i = 0; i < SOAK_STREAMS; i++) {
        const struct soak_stream *stream = &soak->streams[i];
        leat_channel_options options = {.scope = soak_scope(stream->global),
                                        .capacity = 16384,
                                        .many_senders = stream->many,
                                        .persistent = true,
                                        .permissions = stream->global ? 0666 : 0600};
        const char *word = soak_name(name, stream->word, stream->global);
        if (stream->persistent &&
            soak_opened("leat_sender_open", word, leat_sender_open(&role->tx, word, &options)))
            leat_sender_close(role->tx);
    }
    role->tx = NULL;
    for (unsigned i = 0; i < SOAK_MUTEXES; i++)
        if (soak_open_mutex(role, &soak->mutexes[i]))
            soak_close(role);
    for (unsigned i = 0; i < SOAK_SEMAPHORES; i++)
        if (soak_open_semaphore(role, &soak->semaphores[i]))
            soak_close(role);
    for (unsigned i = 0; i < SOAK_EVENTS; i++)
        if (soak_open_event(role, i))
            soak_close(role);
}

static void audit_mutex(struct soak_role *role, struct soak_mutex *mutex) {
    if (!soak_open_mutex(role, mutex))
        return;
    uint64_t deadline = leat_in_ms(1000);
    int code = SOAK_CALL(role, deadline, leat_mutex_lock(role->mutex, deadline));
    if (code != LEAT_OK && code != LEAT_EOWNERDEAD) {
        SOAK_FIND("mutex '%s': nobody is left, and a lock returns %s", mutex->word,
                  leat_error_name(code));
    } else {
        soak_locked(role, mutex, code);
        soak_unlocking(role);
        code = leat_mutex_unlock(role->mutex);
        if (code != LEAT_OK)
            soak_unexpected("leat_mutex_unlock", mutex->word, code);
    }
    soak_close(role);
}

static void audit_semaphore(struct soak_role *role, struct soak_semaphore *semaphore) {
    if (!soak_open_semaphore(role, semaphore))
        return;
    leat_sync_info info = {0};
    if (leat_waitable_info(leat_semaphore_waitable(role->semaphore), &info) != LEAT_OK)
        soak_unexpected("leat_waitable_info", semaphore->word, leat_error_last());
    uint64_t count = info.count;
    uint64_t most = semaphore->posted + semaphore->perhaps_posted - semaphore->taken;
    if (count > most || count + semaphore->taken + semaphore->perhaps_taken < semaphore->posted)
        SOAK_FIND("semaphore '%s': counts %llu; posted %llu (and perhaps %llu), taken %llu (and "
                  "perhaps %llu)",
                  semaphore->word, (unsigned long long)count, (unsigned long long)semaphore->posted,
                  (unsigned long long)semaphore->perhaps_posted,
                  (unsigned long long)semaphore->taken,
                  (unsigned long long)semaphore->perhaps_taken);
    soak_close(role);
}

static int still_there(const leat_object_info *info, void *context) {
    (void)context;
    if (info->scope == LEAT_LOCAL || strncmp(info->name, soak->prefix, strlen(soak->prefix)) == 0)
        SOAK_FIND("'%s' is left (%s, %u users, persistent %d)", info->name,
                  leat_kind_name(info->kind), info->users, info->persistent);
    return 0;
}

static void remove_object(const char *word, bool global) {
    char name[96];
    int code = leat_unlink(soak_name(name, word, global), soak_scope(global));
    if (code != LEAT_OK)
        soak_unexpected("leat_unlink", name, code);
}

static void remove_objects(void) {
    for (unsigned i = 0; i < SOAK_STREAMS; i++)
        if (soak->streams[i].persistent)
            remove_object(soak->streams[i].word, soak->streams[i].global);
    for (unsigned i = 0; i < SOAK_MUTEXES; i++)
        if (soak->mutexes[i].persistent)
            remove_object(soak->mutexes[i].word, soak->mutexes[i].global);
    for (unsigned i = 0; i < SOAK_SEMAPHORES; i++)
        remove_object(soak->semaphores[i].word, soak->semaphores[i].global);
    for (unsigned i = 0; i < SOAK_EVENTS; i++)
        remove_object(soak->events[i].word, false);
}

void soak_audit(void) {
    struct soak_role *role = auditor();
    for (unsigned i = 0; i < SOAK_STREAMS; i++)
        soak_drain(role, &soak->streams[i]);
    for (unsigned i = 0; i < SOAK_MUTEXES; i++)
        audit_mutex(role, &soak->mutexes[i]);
    for (unsigned i = 0; i < SOAK_SEMAPHORES; i++)
        audit_semaphore(role, &soak->semaphores[i]);
    remove_objects();
    int code = leat_gc(LEAT_LOCAL, NULL, NULL);
    if (code != LEAT_OK)
        soak_unexpected("leat_gc", "", code);
    (void)!leat_list(LEAT_LOCAL, still_there, NULL);
    (void)!leat_list(LEAT_GLOBAL, still_there, NULL);
}
