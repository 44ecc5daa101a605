/* lib/base/fail.h - how a failing call records what happened.
 *
 * A failure is recorded once, where it happens, with the system's error and the figures. Callers
 * that know more (which object) put that in front on the way out. All records are per thread. Codes
 * that report an event (leat/error.h) are returned without a record, because they occur on fast
 * paths and need no detail.
 */
#ifndef LEAT_LIB_FAIL_H
#define LEAT_LIB_FAIL_H

#include "leat/error.h"
#include "lib/base/private.h"

/* Records a failure and returns its code. system_error is errno, or 0 when the system had no part
 * in it. */
LEAT__PRIVATE int leat__fail(int code, int system_error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Records the failure of a system call and returns the code that its errno means. */
LEAT__PRIVATE int leat__fail_system(int system_error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define LEAT__DETAIL_SIZE 512

/* What is recorded about a failure. */
struct leat__failure {
    int code;
    int system_error;
    char detail[LEAT__DETAIL_SIZE];
};

/* A call that succeeds leaves the record of an older failure as it was, whatever failed inside it:
 * a call that recovers from failures keeps the record when it begins and settles it at its end. */
LEAT__PRIVATE void leat__failure_keep(struct leat__failure *kept);
LEAT__PRIVATE void leat__failure_restore(const struct leat__failure *kept);

/* Restores the record if code is LEAT_OK. Returns the code. */
static inline int leat__failure_settle(const struct leat__failure *kept, int code) {
    if (code == LEAT_OK)
        leat__failure_restore(kept);
    return code;
}

/* Puts "<kind> '<name>': " in front of what was recorded last, and returns the code. Bytes of the
 * name that would garble a terminal are shown as \xHH. */
LEAT__PRIVATE int leat__fail_about(int code, const char *kind, const char *name);

#endif
