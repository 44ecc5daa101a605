/* harness_internal.h - what harness.c and harness_process.c share. */
#ifndef LEAT_TESTS_HARNESS_INTERNAL_H
#define LEAT_TESTS_HARNESS_INTERNAL_H

#include "harness.h"

/* Memory that is released after the test, whatever way it ends. */
char *harness_keep(char *allocated);

/* Processes started by this test, so that the watchdog can end them from its signal handler. */
void harness_children_add(pid_t pid);
void harness_children_remove(pid_t pid);
void harness_children_forget(void);
void harness_children_kill(void); /* async-signal-safe */

/* How long harness_await waits: ten seconds, but for the test of it. */
extern unsigned harness_await_limit_ms;

#endif
