/* remote_target.h - processes to map into, and ways to look at them from outside. Used by
 * test_map_into.c and those beside it. */
#ifndef LEAT_TESTS_REMOTE_TARGET_H
#define LEAT_TESTS_REMOTE_TARGET_H

#include "harness.h"
#include "leat/remote.h"

/* Skips the test where this process may not trace its own children. */
void target_need_ptrace(void);

/* A child that sleeps in pause() until it is killed. Returns when it sleeps. */
pid_t target_pausing(void);

/* The process's list of mappings, freed after the test. */
char *target_maps(pid_t pid);

/* The permissions ("rw-s") of the mapping that starts at the address, "" if there is none. */
const char *target_permissions(pid_t pid, uint64_t address);

/* The state letter of /proc/<pid>/stat. */
char target_state(pid_t pid);

/* Whether /proc/<pid>/status has a line with this text. */
bool target_status_says(pid_t pid, const char *text);

/* Bytes of another process's memory. */
void target_peek(pid_t pid, uint64_t address, void *buffer, size_t size);
void target_poke(pid_t pid, uint64_t address, const void *data, size_t size);

/* How many descriptors the process has open. */
int target_descriptors(pid_t pid);

/* Maps the region in, requires that both see what the other writes, and takes it out again. */
void target_map_and_unmap(leat_region *region, pid_t pid);

/* A new region named "remote", to be mapped into them. */
leat_region *target_region(uint64_t size);

/* Requires that mapping fails with the code, with these words in the detail, and leaves the address
 * alone. */
void target_assert_refused(leat_region *region, pid_t pid, int code, const char *words);

/* --- A program that computes and checks its own results --------------------------------------- */

#define TARGET_THREADS 4

struct target_work {
    harness_word ready, stop, wrong; /* ready: threads that run; wrong: results that were */
    _Atomic uint64_t done;
};

/* Takes a while, and gives the same for the same seed. */
double target_sum(uint64_t seed);

/* One thread of it; context: a struct target_work. */
void *target_work(void *context);

/* A process of it with TARGET_THREADS threads, until `stop`. */
int target_compute(void *context);

#endif
