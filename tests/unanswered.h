/* unanswered.h - a system that does not answer for a while: the library under test gets errors for
 * what it asks about locks.
 *
 * Included by one file of a test program. The functions stand in the place of the C library's; the
 * words are in memory that children share, so that one process decides what the others are
 * answered. */
#ifndef LEAT_TESTS_UNANSWERED_H
#define LEAT_TESTS_UNANSWERED_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harness.h"

struct answers {
    _Atomic int query_fails, change_fails; /* with this error; 0: not */
    harness_word failed;                   /* how often a query did */
    _Atomic int stops_after; /* changes that succeed; then the process stops behind one; 0: not */
};

static struct answers *answers;
static bool always_answered __attribute__((unused)); /* this process, and its children */

/* At the beginning of each test that uses them: everything is answered. Children inherit them. */
static inline void begin_answers(void) {
    if (answers == NULL)
        answers =
            mmap(NULL, sizeof *answers, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(answers != MAP_FAILED);
    *answers = (struct answers){0};
}

static inline int fail_with(int error) {
    errno = error;
    return -1;
}

static inline int answer(int file, int command, void *argument) {
    if (command == F_OFD_GETLK && answers != NULL && answers->query_fails != 0 &&
        !always_answered) {
        harness_increment(&answers->failed);
        return fail_with(answers->query_fails);
    }
    if (command == F_OFD_SETLK && answers != NULL && answers->change_fails != 0)
        return fail_with(answers->change_fails);
    int result = (int)syscall(SYS_fcntl, file, command, argument);
    if (command == F_OFD_SETLK && result == 0 && answers != NULL && answers->stops_after > 0 &&
        --answers->stops_after == 0)
        raise(SIGSTOP);
    return result;
}

int instead_of_fcntl(int file, int command, void *argument) __asm__("fcntl");
int instead_of_fcntl64(int file, int command, void *argument) __asm__("fcntl64");

int instead_of_fcntl(int file, int command, void *argument) {
    return answer(file, command, argument);
}

int instead_of_fcntl64(int file, int command, void *argument) {
    return answer(file, command, argument);
}

#endif
