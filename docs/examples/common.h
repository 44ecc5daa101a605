/* common.h - how the examples report failures and read numbers. Of leat and the C library only:
 * epoll_loop.c has no libuv. */
#ifndef LEAT_EXAMPLES_COMMON_H
#define LEAT_EXAMPLES_COMMON_H

#include <stdbool.h>
#include <stdint.h>

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* One line on standard error: "program: cannot WHAT 'OBJECT': WHY; REMEDY". The remedy may be
 * "". */
void complain(const char *what, const char *object, const char *why, const char *remedy);

/* The same for a code of leat's: its cause, its detail and its remedy. Right after the call that
 * failed. */
void complain_leat(const char *what, const char *object, int code);

/* The value of an option, in decimal. False, with a complaint, when it is no number or outside the
 * range. */
bool read_number(const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *value);

#endif
