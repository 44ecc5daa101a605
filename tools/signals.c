/* signals.c - see signals.h. */
#include "signals.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define REPEAT_NS 20000000L

static volatile sig_atomic_t seen;
static timer_t repeater;
static volatile sig_atomic_t repeater_exists;

/* A signal that arrives between reading signals_seen and entering a blocking call would go
 * unnoticed: so it is repeated, as SIGALRM, every 20 ms. timer_settime is async-signal-safe. */
static void on_end_signal(int signal_number) {
    int saved = errno;
    if (seen == 0)
        seen = signal_number;
    if (repeater_exists) {
        struct itimerspec every = {{0, REPEAT_NS}, {0, REPEAT_NS}};
        timer_settime(repeater, 0, &every, NULL);
    }
    errno = saved;
}

static void on_repeat(int signal_number) {
    (void)signal_number; /* it only interrupts */
}

static void catch_unless_ignored(int signal_number, void (*handler)(int)) {
    struct sigaction before, action;
    if (sigaction(signal_number, NULL, &before) == 0 && before.sa_handler == SIG_IGN)
        return;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler; /* without SA_RESTART */
    sigemptyset(&action.sa_mask);
    sigaction(signal_number, &action, NULL);
}

void signals_catch(void) {
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGALRM;
    signal(SIGALRM, SIG_DFL);
    catch_unless_ignored(SIGALRM, on_repeat);
    repeater_exists = timer_create(CLOCK_MONOTONIC, &event, &repeater) == 0;
    catch_unless_ignored(SIGINT, on_end_signal);
    catch_unless_ignored(SIGTERM, on_end_signal);
    catch_unless_ignored(SIGHUP, on_end_signal);
    signal(SIGPIPE, SIG_IGN);
}

int signals_seen(void) {
    return seen;
}

void signals_end_by(int signal_number) {
    sigset_t only;
    signal(signal_number, SIG_DFL);
    sigemptyset(&only);
    sigaddset(&only, signal_number);
    sigprocmask(SIG_UNBLOCK, &only, NULL);
    raise(signal_number);
    _exit(128 + signal_number); /* not reached with the signals that we use */
}
