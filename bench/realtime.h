/* realtime.h - measuring at real-time priority: other programs on the CPUs take nothing away.
 *
 * The process that sends has a priority above those that receive, each on a CPU of its own; two
 * that share a CPU have the same, or one would preempt the other whenever it is woken.
 *
 * The kernel takes a CPU away from real-time processes that leave nothing to others, usually for 50
 * ms of every second (sched_rt_runtime_us). Guarantees: no cell is so long that this meets it,
 * because there is a rest behind each cell. */
#ifndef BENCH_REALTIME_H
#define BENCH_REALTIME_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define REALTIME_CELL_NS UINT64_C(500000000) /* the longest cell whose processes do not sleep */

/* Gives this process its priority, and from then on its children theirs. Exits with 1, having said
 * what is missing, where the user may not have it. */
void realtime_start(void);

/* Called by the parent of a new child. 0, or -1 with errno. */
int realtime_child(pid_t child, bool same_cpu);

bool realtime_is_on(void);

/* A cell's duration, shortened to REALTIME_CELL_NS where the kernel would take the CPU away. */
uint64_t realtime_shorten(uint64_t duration_ns);

/* Leaves the CPU to others for as long as the kernel wants, after a cell that began then (of
 * now_ns). */
void realtime_rest(uint64_t began_ns);

#endif
