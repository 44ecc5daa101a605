/* realtime.c - see realtime.h. */
#include "realtime.h"
#include "clock.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PRIORITY 10 /* of a child; its parent's is the next above */
#define REST_MIN_NS UINT64_C(20000000)
#define REST_PART 8u /* of a cell's time; the kernel wants a twentieth of every second */
#define RUNTIME "/proc/sys/kernel/sched_rt_runtime_us"

static bool on;

static bool kernel_takes_turns(void) {
    long runtime = 950000;
    FILE *file = fopen(RUNTIME, "r");
    if (file == NULL)
        return true;
    if (fscanf(file, "%ld", &runtime) != 1)
        runtime = 950000;
    fclose(file);
    return runtime >= 0;
}

void realtime_start(void) {
    const struct sched_param parameter = {.sched_priority = PRIORITY + 1};
    if (sched_setscheduler(0, SCHED_FIFO, &parameter) != 0) {
        fprintf(stderr,
                "%s: --realtime: this user may not have real-time priority %d: %s. Run it as root "
                "or with CAP_SYS_NICE, or raise the limit RLIMIT_RTPRIO (ulimit -r; rtprio in "
                "limits.conf); in a control group, cpu.rt_runtime_us must not be 0\n",
                program_invocation_short_name, PRIORITY + 1, strerror(errno));
        exit(1);
    }
    on = true;
}

int realtime_child(pid_t child, bool same_cpu) {
    const struct sched_param fifo = {.sched_priority = PRIORITY + same_cpu};
    return on ? sched_setscheduler(child, SCHED_FIFO, &fifo) : 0;
}

bool realtime_is_on(void) {
    return on;
}

uint64_t realtime_shorten(uint64_t duration_ns) {
    return on && duration_ns > REALTIME_CELL_NS && kernel_takes_turns() ? REALTIME_CELL_NS
                                                                        : duration_ns;
}

void realtime_rest(uint64_t began_ns) {
    uint64_t rest_ns = (now_ns() - began_ns) / REST_PART;
    if (!on)
        return;
    sleep_ns(rest_ns < REST_MIN_NS ? REST_MIN_NS : rest_ns);
}
