/* lib/os/linux/proc.c - the calling thread's entries in /proc.
 *
 * /proc/self is the process's first thread. When that thread has ended while others go on, its
 * entries exist and are empty: no descriptors, no mappings, no control group. /proc/thread-self is
 * the thread that asks. Linux before 3.17 does not have it; there /proc/self is used. */
#include <errno.h>
#include <stdio.h>

#include "lib/os/linux/calls.h"

#define OF_THREAD "/proc/thread-self"
#define OF_PROCESS "/proc/self"

/* Only its presence is remembered, because /proc may be mounted later. */
static const char *entries(void) {
    static leat__u32 present;
    if (leat__load_relaxed32(&present) != 0)
        return OF_THREAD;
    if (access(OF_THREAD, F_OK) == 0)
        leat__store_relaxed32(&present, 1);
    else if (errno == ENOENT && access(OF_PROCESS, F_OK) == 0)
        return OF_PROCESS;
    return OF_THREAD;
}

const char *leat__linux_proc(char path[LEAT__PROC_PATH], const char *entry) {
    snprintf(path, LEAT__PROC_PATH, "%s/%s", entries(), entry);
    return path;
}

const char *leat__linux_proc_descriptor(char path[LEAT__PROC_PATH], int descriptor) {
    snprintf(path, LEAT__PROC_PATH, "%s/fd/%d", entries(), descriptor);
    return path;
}
