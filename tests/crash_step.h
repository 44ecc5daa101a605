/* crash_step.h - killing a process at each point where that makes a difference.
 *
 * The victim is a child that performs one operation on one object. Its parent steps it instruction
 * by instruction and watches the object's file. An *event* is an instruction after which the shared
 * bytes are others than before, or a system call (one step, whatever the kernel does in it) other
 * than a look at the clock. What a kill leaves behind is the same between two events, so one kill
 * behind each event is all kills. Events are counted, not steps: the number of steps varies with
 * the clock, the order of events does not.
 *
 * x86-64 only: load-exclusive sequences of other processors never end when they are stepped.
 */
#ifndef LEAT_TESTS_CRASH_STEP_H
#define LEAT_TESTS_CRASH_STEP_H

#include "harness.h"

/* What the victim tells its parent through shared memory. */
enum crash_phase { CRASH_BEFORE = 0, CRASH_DURING = 1, CRASH_BEHIND = 2 };

struct crash_survey {
    unsigned events; /* of the whole operation */
    /* different contents of the shared bytes that were seen at them, the first one included */
    unsigned images;
    unsigned calls; /* events that are system calls */
    unsigned steps;
};

/* Whether this machine can do it. */
bool crash_can_step(void);

/* In the victim: lets the parent trace it and stops. Then set the phase to CRASH_DURING, do it, set
 * it to CRASH_BEHIND. */
void crash_stop_here(void);

/* In the parent: waits until the victim has stopped in crash_stop_here, for the first time. */
void crash_await_stop(pid_t victim);

/* Steps the stopped victim through its operation up to its event number `kill_at` (0: before the
 * first) and kills it; behind the operation's end if it has fewer. True: killed before the end.
 * `survey` (may be NULL) is filled. */
bool crash_step(pid_t victim, const harness_word *phase, const char *path, unsigned kill_at,
                struct crash_survey *survey);

#endif
