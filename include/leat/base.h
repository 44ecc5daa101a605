/* leat/base.h - what every other header of leat rests on: version, linkage, deadlines, scopes.
 *
 * The functions may be called from any thread at any time, from a signal handler, and in a forked
 * child. They do not block, allocate or read the environment.
 */
#ifndef LEAT_BASE_H
#define LEAT_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Before 1.0 the interface may change with the minor number; from 1.0 on, only with the major
 * number. */
#define LEAT_VERSION_MAJOR 0
#define LEAT_VERSION_MINOR 1
#define LEAT_VERSION_PATCH 0
#define LEAT_VERSION_STRING "0.1.0"

#if defined(LEAT_STATIC)
#define LEAT_API
#elif defined(_WIN32)
#ifdef LEAT_BUILDING
#define LEAT_API __declspec(dllexport)
#else
#define LEAT_API __declspec(dllimport)
#endif
#else
#define LEAT_API __attribute__((visibility("default")))
#endif

/* The compiler warns if the result of a call that can fail is ignored. */
#if defined(__GNUC__)
#define LEAT_CHECKED __attribute__((warn_unused_result))
#else
#define LEAT_CHECKED
#endif

/* The version of the running library, such as "0.1.0"; the macros are the header's version. */
LEAT_API const char *leat_version(void);

/* --- Deadlines -----------------------------------------------------------------------------------
 *
 * Every call that can wait takes a deadline: absolute nanoseconds of the system's monotonic clock.
 * So a loop that repeats a call does not extend its wait.
 *
 *     leat_recv(rx, buffer, capacity, &size, LEAT_NOW);           never waits: LEAT_EAGAIN
 *     leat_recv(rx, buffer, capacity, &size, leat_in_ms(250));    LEAT_ETIMEDOUT after 250 ms
 *     leat_recv(rx, buffer, capacity, &size, LEAT_FOREVER);       waits as long as it takes
 */
#define LEAT_NOW ((uint64_t)0)
#define LEAT_FOREVER UINT64_MAX

/* The monotonic clock now, in nanoseconds (CLOCK_MONOTONIC on Linux). */
LEAT_API uint64_t leat_now(void);

/* The deadline that many nanoseconds from now; saturates at LEAT_FOREVER. */
LEAT_API uint64_t leat_in_ns(uint64_t nanoseconds);
static inline uint64_t leat_in_us(uint64_t microseconds) {
    return leat_in_ns(microseconds <= UINT64_MAX / 1000 ? microseconds * 1000 : UINT64_MAX);
}
static inline uint64_t leat_in_ms(uint64_t milliseconds) {
    return leat_in_ns(milliseconds <= UINT64_MAX / 1000000 ? milliseconds * 1000000 : UINT64_MAX);
}

/* --- Scopes and modes ----------------------------------------------------------------------------
 *
 * A name belongs to one of two scopes. A name that starts with the bytes "Global\" or "Local\"
 * chooses its scope itself, whatever the options say; the prefix is not part of the name. */
typedef enum leat_scope {
    /* this user's objects, in a private directory: /dev/shm/leat-<effective uid>, mode 0700 */
    LEAT_LOCAL = 0,
    /* the whole machine: /dev/shm/<name>, which shm_open("/name") and Python see too */
    LEAT_GLOBAL = 1,
} leat_scope;

typedef enum leat_mode {
    LEAT_OPEN_OR_CREATE = 0, /* opens the object, or creates it if there is none */
    LEAT_CREATE = 1,         /* LEAT_EEXIST if the name is taken */
    LEAT_OPEN = 2,           /* LEAT_ENOENT if it is not */
} leat_mode;

/* How a handle or a view may access the bytes. */
typedef enum leat_access {
    LEAT_READ_WRITE = 0,
    /* writing through the view is a segmentation fault; read permission suffices to open */
    LEAT_READ_ONLY = 1,
    /* writing makes a private copy of the page; read permission suffices */
    LEAT_COPY_ON_WRITE = 2,
} leat_access;

/* The longest name in bytes; '/' and an ambiguous '%' count as three bytes each. */
#define LEAT_NAME_MAX 255

#ifdef __cplusplus
}
#endif
#endif
