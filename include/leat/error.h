/* leat/error.h - every way in which a call can fail.
 *
 * A function that can fail returns LEAT_OK (0) or a negative code of those below. Results are
 * returned through pointers; a failing call leaves them unchanged unless its description says
 * otherwise. The numbers are the same on every platform and never change their meaning.
 *
 * Five codes are no failures. LEAT_EAGAIN and LEAT_ETIMEDOUT: nothing is ready yet. LEAT_ECLOSED,
 * LEAT_EPEERDIED and LEAT_EPEERBACK: events of the peer. The handle stays usable.
 *
 * Threads: any. leat_error_last, leat_system_error and leat_error_detail describe the calling
 * thread's last failure; a call that succeeds does not change them.
 */
#ifndef LEAT_ERROR_H
#define LEAT_ERROR_H

#include "leat/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* X(NAME, number, cause, remedy): the only list of errors; constants, names, texts and
 * docs/errors.md come from it. */
#define LEAT_ERRORS(X)                                                                             \
    X(LEAT_EINVAL, -1, "an argument is outside what the function accepts",                         \
      "see the function's description")                                                            \
    X(LEAT_ENAME, -2, "the name is empty or longer than 255 bytes after encoding",                 \
      "choose a shorter name")                                                                     \
    X(LEAT_ENOENT, -3, "no object of that name is alive in that scope",                            \
      "start the program that creates it, or check the scope (local or global)")                   \
    X(LEAT_EEXIST, -4, "the name is taken by a living object",                                     \
      "open it instead, or choose another name")                                                   \
    X(LEAT_EKIND, -5, "what is there is an object of another kind",                                \
      "choose another one, or see 'leat info'")                                                    \
    X(LEAT_ESIZE, -6, "the object's size is not what the caller requires",                         \
      "open with LEAT_SIZE_ADOPT, or remove the object and create it anew")                        \
    X(LEAT_EACCES, -7, "the system does not permit this access",                                   \
      "check the object's owner and permissions")                                                  \
    X(LEAT_EUNTRUSTED, -8, "what was found under the name is not safe to use",                     \
      "the detail says what stands there: find out who put it and remove it, or give the "         \
      "directory to its user (chmod 700)")                                                         \
    X(LEAT_ENOSPC, -9, "there is not enough shared memory left",                                   \
      "free some ('leat gc', 'leat rm'), enlarge /dev/shm, or ask for less")                       \
    X(LEAT_ENOMEM, -10, "the process is out of memory or address space",                           \
      "raise its limits or ask for less")                                                          \
    X(LEAT_ELIMIT, -11, "a limit of the process or the system is used up",                         \
      "close handles, or raise the limit of open files")                                           \
    X(LEAT_EBUSY, -12, "somebody else holds what was asked for",                                   \
      "a channel has one receiver, and one sender unless all ask for many: close the other one "   \
      "first")                                                                                     \
    X(LEAT_EAGAIN, -13, "it cannot be done without waiting",                                       \
      "try again later, or give a later deadline")                                                 \
    X(LEAT_ETIMEDOUT, -14, "the deadline passed", "try again, or give a later deadline")           \
    X(LEAT_ECLOSED, -15, "the other side has closed, and everything it sent was delivered",        \
      "finish, or call again to wait for the next one")                                            \
    X(LEAT_EPEERDIED, -16, "the process on the other side ended without closing",                  \
      "finish, or call again to wait for its successor")                                           \
    X(LEAT_EPEERBACK, -17, "a new process has taken the place of the one that left",               \
      "call again to go on")                                                                       \
    X(LEAT_EMSGSIZE, -18, "the message does not fit",                                              \
      "receive with a larger buffer, or create the channel with a larger capacity")                \
    X(LEAT_ECORRUPT, -19, "the shared memory holds something no correct program writes",           \
      "close every user of the object, then remove it ('leat rm')")                                \
    X(LEAT_EVERSION, -20, "the object was made by an incompatible version of leat",                \
      "update the older of the two programs, or remove the object")                                \
    X(LEAT_EFORKED, -21, "the handle belongs to the parent process",                               \
      "open a handle of its own in the child")                                                     \
    X(LEAT_EINTR, -22,                                                                             \
      "a signal arrived while waiting, and the handle was opened to be interruptible",             \
      "call again to go on waiting")                                                               \
    X(LEAT_ESTATE, -23, "the handle is not in a state in which this call makes sense",             \
      "see the function's description: for example commit without reserve")                        \
    X(LEAT_ERANGE, -24, "offset and length do not lie inside the object",                          \
      "ask leat_region_size first")                                                                \
    X(LEAT_ENOTSUP, -25, "this system cannot do it", "see docs/design.md, section Platforms")      \
    X(LEAT_ESYSTEM, -26, "an unexpected error of the operating system", "see leat_system_error")   \
    X(LEAT_EOWNERDEAD, -27, "it is locked now, but its last owner died while it held it",          \
      "repair what it protects and unlock, or give it up (leat_mutex_give_up)")                    \
    X(LEAT_ELOST, -28, "what it protects was given up as lost",                                    \
      "make that anew, then leat_mutex_reset")                                                     \
    X(LEAT_ENOTOWNER, -29, "it is not held by this handle",                                        \
      "unlock with the handle that locked it")                                                     \
    X(LEAT_EOVERFLOW, -30, "the count would pass its maximum", "release less, or later")           \
    X(LEAT_EADDRESS, -31, "the memory cannot be had at the address that was asked for",            \
      "ask for another address, or for any (NULL)")                                                \
    X(LEAT_ETYPE, -32, "the object holds data of another type or version",                         \
      "the detail says both: update the older of the two programs, or choose another name")

enum {
    LEAT_OK = 0,
#define LEAT_ERROR_CONSTANT(name, number, cause, remedy) name = number,
    LEAT_ERRORS(LEAT_ERROR_CONSTANT)
#undef LEAT_ERROR_CONSTANT
};

/* The code's name: "LEAT_ENOSPC" for -9, "LEAT_OK" for 0, "LEAT_E?" for a number that is no code.
 * Never NULL; static storage. */
LEAT_API const char *leat_error_name(int code);

/* The cause, a sentence without a full stop. Never NULL; static storage. */
LEAT_API const char *leat_error_cause(int code);

/* The remedy, a sentence without a full stop; "" if there is none. Never NULL; static storage. */
LEAT_API const char *leat_error_remedy(int code);

/* The code of the calling thread's last failed leat call; LEAT_OK if none has failed. For callers
 * of functions that return something else, such as those of leat/uv.h. Calls that succeed or return
 * an event do not change it. */
LEAT_API int leat_error_last(void);

/* The operating system's error number (errno on Linux) that caused the failure of leat_error_last;
 * 0 if the system had no part in it. */
LEAT_API int leat_system_error(void);

/* Details of the failure of leat_error_last: the object and figures, for example "channel
 * 'telemetry': 67174400 bytes wanted, 1048576 of 1048576 free in /dev/shm/leat-1000". "" if there
 * is nothing to add; never NULL. Valid until the thread's next leat call. */
LEAT_API const char *leat_error_detail(void);

#ifdef __cplusplus
}
#endif
#endif
