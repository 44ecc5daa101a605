/* demo_process.c - starting and ending the demo's producer.
 *
 * Guarantees: the producer is this very program, started anew, so that it shares only the standard
 * streams with the demo, no handles or mappings. After demo_finish it no longer exists.
 */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "demo.h"

#define PATIENCE_NS 2000000000U

extern char **environ;

pid_t demo_start(const char *run, const char *channel, double seconds) {
    char duration[32], parent[32];
    char program[] = "leat", command[] = "demo-producer";
    char name[64], kind[16];
    pid_t producer;
    snprintf(duration, sizeof duration, "%.3f", seconds);
    snprintf(parent, sizeof parent, "%d", (int)getpid());
    snprintf(name, sizeof name, "%s", channel);
    snprintf(kind, sizeof kind, "%s", run);
    char *arguments[] = {program, command, kind, name, duration, parent, NULL};
    int error = posix_spawn(&producer, "/proc/self/exe", NULL, NULL, arguments, environ);
    if (error == 0)
        return producer;
    errno = error;
    return -1;
}

int demo_finish(pid_t producer, bool stop) {
    int status;
    uint64_t deadline = leat_in_ns(PATIENCE_NS);
    const struct timespec pause = {0, 2000000};
    if (stop)
        kill(producer, SIGTERM);
    for (;;) {
        pid_t ended = waitpid(producer, &status, WNOHANG);
        if (ended == producer)
            return WIFEXITED(status) ? WEXITSTATUS(status) : END_BY_SIGNAL + WTERMSIG(status);
        if (ended < 0 && errno != EINTR)
            return END_FAILED;
        if (leat_now() >= deadline)
            kill(producer, SIGKILL);
        nanosleep(&pause, NULL);
    }
}
