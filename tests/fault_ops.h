/* fault_ops.h - what the tables of operations share. All objects have one name: each run has a
 * directory of its own. */
#ifndef LEAT_TESTS_FAULT_OPS_H
#define LEAT_TESTS_FAULT_OPS_H

#include "fault.h"

#define NAME "object"
#define SHORT leat_in_ms(150) /* long enough to come to the watch */
#define AMPLE leat_in_ms(10000)
#define UNTOUCHED ((void *)(uintptr_t)0x5a5a5a50)

/* A pointer that a failing call had to leave alone; one that succeeds sets it. */
void fault_judge_pointer(int code, const void *pointer);

/* The bystander notes which object has the name, and finds later that it is still that one. */
void fault_remember(void);
void fault_check_same(void);

/* Another process of the bystander's does this and ends without closing anything. */
void fault_die_after(void (*work)(void));

/* Another process of the bystander's, which runs while the worker is at work; how it ended: what it
 * returns. */
void fault_meanwhile(int (*work)(void));
int fault_meanwhile_result(void);

/* Its number, in any process of the run. */
pid_t fault_other(void);

/* Waits until that process sleeps, and does so for some time. */
void fault_await_asleep(void);

/* The error of the system call that fails, 0 without one. */
int fault_error(void);

/* Words that all processes of a run share, 0 to 2; zero at its beginning. */
harness_word *fault_word(unsigned index);

#endif
