/* fault_ops.c - see fault_ops.h. */
#include "fault_ops.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void fault_judge_pointer(int code, const void *pointer) {
    bool ok = code == LEAT_OK || code == LEAT_EOWNERDEAD;
    if (!ok && pointer != UNTOUCHED)
        fault_found(FAULT_OUTPUT, "it fails and sets the pointer");
    if (ok && (pointer == UNTOUCHED || pointer == NULL))
        fault_found(FAULT_OUTPUT, "it succeeds and sets nothing");
}

/* --- Which object has the name ---------------------------------------------------------------- */

static uint64_t inode;

void fault_remember(void) {
    leat_object_info info;
    fault_ready(leat_stat(NAME, LEAT_LOCAL, &info));
    inode = info.inode;
}

void fault_check_same(void) {
    leat_object_info info;
    int code = leat_stat(NAME, LEAT_LOCAL, &info);
    if (code != LEAT_OK)
        fault_found(FAULT_REPLACED, "leat_stat gives %s", leat_error_name(code));
    else if (info.inode != inode)
        fault_found(FAULT_REPLACED, "another object has the name");
    else if (!info.in_use)
        fault_found(FAULT_CALLED_DEAD, "leat_stat calls it unused");
}

/* --- Further processes ------------------------------------------------------------------------ */

static pid_t start(void) {
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(98);
    }
    return pid;
}

static int wait_for(pid_t pid) {
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void fault_die_after(void (*work)(void)) {
    pid_t pid = start();
    if (pid == 0) {
        work();
        _exit(0);
    }
    if (wait_for(pid) != 0)
        _exit(97);
}

#define OTHER 3 /* the word with its number */

static pid_t other;

void fault_meanwhile(int (*work)(void)) {
    other = start();
    if (other == 0) {
        harness_set(fault_word(OTHER), (uint32_t)getpid());
        _exit(-work() & 0xff);
    }
}

int fault_meanwhile_result(void) {
    pid_t pid = other;
    other = 0;
    return pid == 0 ? LEAT_OK : -wait_for(pid);
}

static bool sleeps(pid_t pid) {
    char path[64], state = '?';
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL || fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
        state = '?';
    if (file != NULL)
        fclose(file);
    return state == 'S';
}

pid_t fault_other(void) {
    harness_await(fault_word(OTHER), 1);
    return (pid_t)atomic_load(fault_word(OTHER));
}

void fault_await_asleep(void) {
    pid_t pid = fault_other();
    for (int looks = 0, asleep = 0; asleep < 4 && looks < 1000; looks++) {
        nanosleep(&(struct timespec){0, 4000000}, NULL);
        asleep = sleeps(pid) ? asleep + 1 : 0;
    }
}
