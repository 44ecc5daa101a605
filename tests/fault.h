/* fault.h - makes every system call of an operation fail, one after another, and judges what came
 * of it.
 *
 * An operation is one public call. A run of it has three processes, all of them new, in an empty
 * local directory:
 *   - the bystander holds what the operation is about, and looks at it afterwards;
 *   - the worker gets ready, makes the call, judges its result, closes everything;
 *   - the lane traces the worker during the call (ptrace: nothing escapes) and lets system calls
 * fail as its plan says. A first run without a fault gives the list of system calls. Then each of
 * them fails at its first use, its second, and so on until the operation no longer comes to an n-th
 * use, with each error that it can plausibly have, once and from then on. A kind of call that only
 * a faulty run makes fails there too, as a second fault. Then the thread that makes the call is
 * cancelled at each of the system calls in turn: it ends there or later, or not at all.
 *
 * After each run: the call ended in time, with a documented code; results are untouched on failure;
 * no descriptor, mapping or name is left; nobody has what another one holds; nobody alive is called
 * dead; others can use the object at once; the same object still has its name. */
#ifndef LEAT_TESTS_FAULT_H
#define LEAT_TESTS_FAULT_H

#include "harness.h"

#include <limits.h>

/* --- Findings --------------------------------------------------------------------------------- */

enum fault_verdict {
    FAULT_SET_UP,      /* what went before the operation failed: the harness itself is wrong */
    FAULT_HANG,        /* the call or something after it did not end in time */
    FAULT_CRASH,       /* a process was ended by a signal */
    FAULT_CODE,        /* a code that is no answer to this error */
    FAULT_OUTPUT,      /* a result was changed by a call that failed */
    FAULT_DESCRIPTOR,  /* a descriptor is left, or one that was not its own is gone */
    FAULT_LOW,         /* a descriptor below 3 is kept */
    FAULT_MAPPING,     /* a mapping is left */
    FAULT_NAME,        /* a name is left after leat_gc */
    FAULT_TWO_HOLDERS, /* two have what only one can have */
    FAULT_CALLED_DEAD, /* a living process is taken for dead */
    FAULT_NO_CAUSE,    /* a wait succeeded without its cause */
    FAULT_HELD_UP,     /* others cannot use the object at once */
    FAULT_REPLACED,    /* the object in use lost its name, or another one has it */
    FAULT_LEFT_ERROR,  /* a call that succeeded left the record of a failure inside it */
    FAULT_VERDICTS
};

const char *fault_verdict_name(enum fault_verdict verdict);

/* By the worker and the bystander, in their functions below. */
void fault_found(enum fault_verdict verdict, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The call must give this code: else it is what `verdict` says. */
#define fault_expect(verdict, call, code) fault_expect_code(verdict, call, code, #call)
bool fault_expect_code(enum fault_verdict verdict, int got, int wanted, const char *call);

/* Before the operation. Ends the process when it fails. */
#define fault_ready(call) fault_ready_code(call, #call)
void fault_ready_code(int got, const char *call);

/* What an operation gave whose thread was cancelled in it. */
#define FAULT_CANCELLED INT_MIN

/* --- Operations ------------------------------------------------------------------------------- */

enum fault_moment {
    FAULT_WORKER_HAS, /* the operation is over, and the worker still has what it gave it */
    FAULT_WORKER_LEFT /* the worker has closed everything and still lives */
};

struct fault_operation {
    const char *name; /* "leat_mutex_lock, held by another" */
    void (*hold)(void);
    void (*look)(enum fault_moment moment, int code); /* `code`: what the operation gave */
    void (*leave)(void);
    void (*prepare)(void);
    int (*act)(void); /* the call, and nothing else */
    void (*judge)(int code);
    void (*finish)(void);
    int codes[8];    /* also documented for it, 0 at the end; LEAT_OK too, unless... */
    bool never_ok;   /* ...its cause never comes */
    unsigned closed; /* a bit for each of descriptors 0 to 2 that is closed before it begins */
    bool waits;      /* it has a deadline, of less than a second */
    enum fault_verdict planted; /* in fault_planted_operations; FAULT_SET_UP: nothing is wrong */
};

/* The tables of operations; each ends with a NULL name. */
extern const struct fault_operation fault_object_operations[], fault_region_operations[],
    fault_sync_operations[], fault_channel_operations[], fault_loop_operations[],
    fault_planted_operations[];

/* --- Running ---------------------------------------------------------------------------------- */

#define FAULT_FINDINGS_MAX 48
#define FAULT_TEXT 160

/* Equal findings of many runs are one. */
struct fault_finding {
    enum fault_verdict verdict;
    char call[40]; /* the system call that failed; "-": none */
    char text[FAULT_TEXT];
    char plans[96]; /* the first few: errors and uses */
    unsigned runs;
};

struct fault_result {
    unsigned calls;   /* that the operation makes without a fault */
    unsigned runs;    /* with a fault that happened */
    unsigned doubles; /* of these, with two */
    unsigned cancels; /* runs in which the thread was cancelled */
    unsigned unwound; /* of these, in which it ended in the operation */
    unsigned dropped; /* findings for which there was no room */
    unsigned count;
    struct fault_finding findings[FAULT_FINDINGS_MAX];
    uint64_t kinds[4];  /* a bit for each kind of call that failed */
    uint64_t errors[4]; /* a bit for each errno */
    uint64_t time_ns;
};

enum fault_depth {
    FAULT_QUICK, /* each call fails at each use once, with its first error */
    FAULT_FULL
};

/* After so long a call, or a step after it, hangs. */
extern uint64_t fault_limit_ns;

/* Runs the operation with every fault in this process's $LEAT_DIR, which must be empty. The process
 * must have no handle. */
void fault_run(const struct fault_operation *operation, enum fault_depth depth,
               struct fault_result *result);

/* False where processes cannot be traced. */
bool fault_possible(void);

/* --- System calls (fault_calls.c) ------------------------------------------------------------- */

#define FAULT_ERRORS_MAX 8
#define FAULT_KINDS_MAX 256

/* A system call, told apart by one of its arguments where it is several. */
struct fault_kind {
    const char *name;
    long number;
    int argument; /* -1: all of them */
    uint64_t mask, value;
    int errors[FAULT_ERRORS_MAX]; /* the likeliest first, 0 at the end; none: cannot fail */
    bool happens;                 /* is done all the same: close */
};

size_t fault_kind_count(void);
const struct fault_kind *fault_kind_at(size_t index);

/* The kind of a call, -1 when the table has none. `type` is struct flock's l_type for those that
 * have one. */
int fault_kind_of(long number, const uint64_t arguments[6], int type);

const char *fault_error_name(int error);

/* --- Tracing (fault_trace.c) ------------------------------------------------------------------ */

struct fault_blow { /* the n-th call of this kind fails, and those behind it if `always` */
    int kind;       /* -1: none */
    unsigned n;
    int error;
    bool always;
};

struct fault_plan {
    struct fault_blow blows[2];
    unsigned cancel_at;   /* the n-th call of all; 0: the thread is not cancelled */
    harness_word *cancel; /* then this becomes FAULT_CANCEL, and the call waits until it changes */
};

enum fault_cancel { FAULT_CANCEL = 1, FAULT_CANCEL_SENT };

#define FAULT_TRACE_MAX 4096

struct fault_trace {
    unsigned calls;                 /* that were made */
    unsigned uses[FAULT_KINDS_MAX]; /* of each kind */
    uint8_t order[FAULT_TRACE_MAX]; /* kinds in order of time */
    unsigned hits[2];               /* calls that failed by each blow */
    long unknown;                   /* a call that the table does not have; -1: none */
    int status;                     /* waitpid's, when the worker ended instead */
    bool ended, overran;            /* overran: it took too long, or tried again without end */
    bool unwound;                   /* the thread was cancelled, and ended */
};

/* In the worker: the traced part is what this thread does between these two. `tracee` becomes the
 * thread's number. */
void fault_trace_begin(harness_word *tracee);
void fault_trace_end(void);

/* In its parent: follows the thread through the traced part. */
void fault_trace_follow(pid_t tracee, const struct fault_plan *plan, uint64_t limit_ns,
                        struct fault_trace *trace);

#endif
