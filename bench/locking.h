/* locking.h - what it costs to lock and unlock a mutex that nobody else wants, to hand one over to
 * a process that sleeps over it, and to wake a process that waits for an event, and how often two
 * that want it all the time have it; beside pthread mutexes and a bare futex, all in one run. */
#ifndef BENCH_LOCKING_H
#define BENCH_LOCKING_H

#include <stdbool.h>
#include <stdio.h>

/* So many rounds of each, the ways taking turns; prints tables, or a JSON experiment. 0, or 1
 * having said why not. */
int locking_run(FILE *out, const int cpus[2], unsigned rounds, bool json);

#endif
