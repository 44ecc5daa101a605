/* test_harness.c - must-fail cases: proves that the harness notices a transport that loses, tears, repeats or refuses a
 * message, crashes or hangs, and that it passes one that does none of this. No figures. */
#include "harness.h"
#include "loops.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_SKIP 77

enum fault { NONE, LOSES, TEARS, REPEATS, REFUSES, CRASHES, HANGS, FAULTS };
static const char *const fault_names[FAULTS] = { "works", "loses", "tears", "repeats", "refuses", "crashes", "hangs" };
static enum fault fault; /* shows at the hundredth message: there are at least CLOCK_EVERY */

/* A mailbox for one message of 64 bytes. */
struct mailbox {
    _Alignas(64) uint64_t full;
    _Alignas(64) unsigned char message[64];
};

static void *mailbox_create(const struct setup *setup) { return setup->memory; }
static void mailbox_destroy(void *link) { (void)link; }

static int mailbox_send(void *link, const void *message, size_t size)
{
    static unsigned serial;
    struct mailbox *box = link;
    if (__atomic_load_n(&box->full, __ATOMIC_ACQUIRE))
        return 1;
    bool now = ++serial == 100;
    if (now && fault == LOSES)
        return 0;
    if (now && fault == REFUSES)
        return -1;
    if (now && fault == REPEATS)
        serial--, message = box->message;
    memmove(box->message, message, size);
    if (now && fault == TEARS)
        box->message[size - 1] ^= 1;
    __atomic_store_n(&box->full, 1, __ATOMIC_RELEASE);
    return 0;
}

static int mailbox_receive(void *link, void *buffer, size_t capacity, size_t *size)
{
    static unsigned serial;
    struct mailbox *box = link;
    (void)capacity;
    if (!__atomic_load_n(&box->full, __ATOMIC_ACQUIRE))
        return 1;
    bool now = ++serial == 100;
    if (now && fault == CRASHES)
        abort();
    while (now && fault == HANGS)
        pause();
    *size = sizeof box->message;
    memcpy(buffer, box->message, sizeof box->message);
    __atomic_store_n(&box->full, 0, __ATOMIC_RELEASE);
    return 0;
}

static const struct calls mailbox_calls = { mailbox_send, mailbox_receive, NULL };
DEFINE_LOOPS(mailbox, mailbox_calls)
static const struct transport mailbox = { .name = "mailbox", .create = mailbox_create, .destroy = mailbox_destroy,
                                          LOOPS(mailbox) };

/* Runs one cell as a program of its own would; its exit status. */
static int status_of(enum experiment experiment)
{
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit no_core = { 0, 0 };
        int cpus[2] = { -1, -1 };
        struct plan plan = { .experiment = experiment, .transports = { &mailbox }, .transport_count = 1, .sizes = { 64 },
                             .size_count = 1, .capacity = 4096, .rounds = 1, .attempts = 1, .duration_ns = 5000000,
                             .wanted = ANY_PLACEMENT, .hang_s = 3 };
        struct results results;
        setrlimit(RLIMIT_CORE, &no_core);
        harness_start(cpus, plan.capacity);
        harness_run(&plan, &results);
        results_free(&results);
        exit(0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int main(void)
{
    int wrong = 0;
    for (fault = NONE; fault < FAULTS; fault++)
        for (enum experiment experiment = RATE; experiment < EXPERIMENTS; experiment++) {
            int status = status_of(experiment), expected = fault == NONE ? 0 : 1;
            if (status == EXIT_SKIP)
                return EXIT_SKIP;
            printf("%s: a transport that %s, %s: exit status %d\n", status == expected ? "ok" : "WRONG",
                   fault_names[fault], experiment == RATE ? "throughput" : "round trips", status);
            fflush(stdout);
            wrong += status != expected;
        }
    return wrong != 0;
}
