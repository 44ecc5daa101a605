/* lib/os/os.h - all that leat asks of the operating system. A port is one more folder beside
 * os/linux/.
 *
 * Conventions. A function returns LEAT_OK or an error code, and has recorded a failure
 * (lib/base/fail.h). It resumes calls that a signal interrupted. This layer does not know kinds of
 * objects. Outside of lib/os, libleat includes only headers of the C standard, and <cpuid.h> in
 * channels/queue/processor.c; scripts/layers requires that.
 */
#ifndef LEAT_LIB_OS_H
#define LEAT_LIB_OS_H

#include "leat/base.h"
#include "lib/base/name.h"
#include "lib/base/private.h"
#include "lib/base/shared.h"

/* --- Time and processors ---------------------------------------------------------------------- */

uint64_t leat__os_now(void);        /* the monotonic clock, nanoseconds */
uint64_t leat__os_wall_clock(void); /* nanoseconds since 1970 UTC */
/* until a time of the monotonic clock; a signal may end it early */
void leat__os_sleep(uint64_t until_ns);
void leat__os_yield(void); /* lets other threads have the processor */
/* the calling thread may run on a single processor, though the machine has more */
bool leat__os_has_one_processor(void);
/* false with a single processor: spinning would keep the peer from running */
bool leat__os_can_spin(void);

/* --- Sleeping on a shared word ---------------------------------------------------------------- */

/* Sleeps until the word is woken, the deadline passes or a signal handler runs, unless the word no
 * longer has the expected value. May also return for no reason: check the condition again.
 * LEAT_OK, LEAT_ETIMEDOUT, LEAT_EINTR. Not a fence. Read access to the word suffices. */
int leat__os_wait(const leat__u32 *word, uint32_t expected, uint64_t deadline_ns);

/* The same on several words at once, at most 64: until one of them is woken. Where the system
 * cannot (Linux before 5.16) or does not permit it (a container's filter), it sleeps on the first
 * word for at most two milliseconds: five hundred polls a second, and a change of another word is
 * noticed up to two milliseconds late. The same where no such sleep is permitted at all. */
int leat__os_wait_any(const leat__u32 *const words[], const uint32_t expected[], size_t count,
                      uint64_t deadline_ns);

/* Wakes one sleeper, or all. */
void leat__os_wake(const leat__u32 *word, bool all);

/* --- Locks with priority inheritance -------------------------------------------------------------
 *
 * A word that the kernel reads and writes too: 0 is free, else it holds the number of the thread
 * that has the lock, and flags. A thread that waits in the kernel lends its priority to that
 * thread. Unlocking hands the lock to the waiter of the highest priority. When the owner ends, the
 * kernel hands the lock to a thread that waits in it at that moment, and sets
 * LEAT__PI_OWNER_DIED. */
#define LEAT__PI_THREAD UINT32_C(0x3fffffff)
#define LEAT__PI_WAITERS UINT32_C(0x80000000)
#define LEAT__PI_OWNER_DIED UINT32_C(0x40000000)

/* LEAT_OK: the calling thread has the lock. LEAT_ESTATE: its number is in the word already;
 * LEAT_ENOENT: no thread has the number in the word; LEAT_EAGAIN: not now, for a reason that
 * passes. LEAT_ETIMEDOUT. Signals do not end the wait. */
int leat__os_pi_lock(leat__u32 *word, uint64_t deadline_ns);

/* The same without waiting: LEAT_EBUSY when a thread of that number lives. LEAT__PI_WAITERS may be
 * set in the word from then on. */
int leat__os_pi_try(leat__u32 *word);

/* Called by the thread whose number is in the word. LEAT_ECORRUPT: it has another number. After
 * other errors the thread still has the lock. */
int leat__os_pi_unlock(leat__u32 *word);

/* Whether the kernel has such locks. */
bool leat__os_pi_works(void);

uint32_t leat__os_thread(void); /* the calling thread's number */
/* the space in which thread numbers are unique; 0: not known. Linux: the pid namespace */
uint64_t leat__os_thread_space(void);

/* --- Barriers in other processes -----------------------------------------------------------------
 *
 * A full memory barrier in every running thread of all processes that have registered, while the
 * caller waits. So the barrier of one process serves for both. Linux: membarrier(2), the global
 * expedited commands. */

/* Registers this process to receive barriers; false if that failed. The first time it may take
 * milliseconds in a process with threads. */
bool leat__os_barrier_register(void);

/* Whether barriers can be sent. */
bool leat__os_barrier_works(void);

/* Sends one. Some microseconds; false if it cannot be done. */
bool leat__os_barrier(void);

/* --- Directories and files -------------------------------------------------------------------- */

typedef int leat__file;
#define LEAT__NO_FILE (-1)

struct leat__file_status {
    uint64_t device; /* identifies its file system */
    uint64_t inode;  /* identifies the file among those that exist there at the same time */
    uint64_t size;
    uint32_t owner;
    uint32_t permissions; /* nine bits */
    bool regular;
    bool temporary; /* marked at creation: dies with its last user */
    bool linked;    /* still has a name */
};

/* Opens the directory of a scope. Local: $LEAT_DIR if set (and the process has no raised
 * privileges), else /dev/shm/leat-<user>. Makes it if `make`. LEAT_EUNTRUSTED unless it is a
 * directory of this user that no other user may enter; permissions that its owner lacks are
 * restored (mode 0700). LEAT_ENOENT when it does not exist, LEAT_EINVAL for a scope or a path
 * without meaning. All handles of the process that use the same directory share the descriptor. */
int leat__os_directory_open(leat_scope scope, bool make, leat__file *directory);

/* Gives it back. */
void leat__os_directory_close(leat__file directory);

/* Calls visit with each name in the directory until it returns non-zero; returns that, 0, or an
 * error. */
int leat__os_directory_list(leat__file directory,
                            int (*visit)(const char *file_name, void *context), void *context);

/* Creates a file that has no name yet, with exactly these permissions and this size, its memory
 * reserved and zero. LEAT_ENOSPC with the figures when there is less memory. */
int leat__os_file_create(leat__file directory, uint32_t permissions, bool temporary, uint64_t size,
                         leat__file *file);

/* Sets exactly these permissions, and the mark of an object that dies with its last user. */
int leat__os_file_permit(leat__file file, uint32_t permissions, bool temporary);

/* Gives a file without users this size and no content: zero, and reserved. */
int leat__os_file_renew(leat__file file, uint64_t size);

/* Extends a file to this size, the new bytes reserved and zero; a file that is large enough stays
 * as it is. LEAT_ENOSPC with the figures: then its size has not changed. No other process may grow
 * it meanwhile. */
int leat__os_file_grow(leat__file file, uint64_t size);

/* Starts writing what has changed in the range, and does not wait. */
int leat__os_file_flush_start(leat__file file, uint64_t offset, uint64_t size);

/* Returns when the whole file is on its disk. */
int leat__os_file_flush(leat__file file);

/* One short text that goes with a file, whatever its name and content. Reading: LEAT_ENOENT when
 * there is none, LEAT_ECORRUPT when it is longer than size - 1; NUL-terminated. LEAT_ENOTSUP where
 * the file system has no such thing. */
int leat__os_file_note_write(leat__file file, const char *text);
int leat__os_file_note_read(leat__file file, char *text, size_t size);

/* --- Files of programs: by path, by descriptor, without a name -------------------------------- */

/* The directory of a path, opened, and the rest of the path behind it. */
int leat__os_path_directory(const char *path, leat__file *directory, const char **file_name);

/* Opens an existing file by path; follows symbolic links. LEAT_EKIND when it cannot be mapped. */
int leat__os_path_open(const char *path, bool writable, leat__file *file);

/* Where files without a name cannot be made (LEAT_ENOTSUP from leat__os_file_create): makes one
 * under its name, which is visible before it has its size; if that fails, it is removed again. */
int leat__os_file_create_visible(leat__file directory, const char *file_name, uint32_t permissions,
                                 uint64_t size, leat__file *file);

/* A file in memory without a name: reserved, zero, and sealed against shortening. */
int leat__os_file_create_anonymous(uint32_t permissions, uint64_t size, leat__file *file);

/* Whether the kernel prevents every process from shortening the file. */
bool leat__os_file_sealed(leat__file file);

/* A file of our own for the caller's descriptor: the same file, opened again; where the system does
 * not permit that, the same open file, if `shared` is not NULL. *shared: it has locks of other
 * handles, which must be left alone. LEAT_EINVAL not open, LEAT_EKIND no regular file, LEAT_EACCES
 * not open for this. */
int leat__os_descriptor_take(int descriptor, bool writable, bool *shared, leat__file *file);

/* A descriptor to give away, of the file opened again; where the system does not permit that, of
 * our open file, if `may_share`: its locks go with it. `inherited`: stays open in programs that are
 * started. */
int leat__os_descriptor_give(leat__file file, bool writable, bool inherited, bool may_share,
                             int *descriptor);

/* Opens the file again, or LEAT__NO_FILE. The new open file has its own locks. */
leat__file leat__os_file_reopen(leat__file file, bool writable);

/* A descriptor over a unix socket, with one byte. Codes as leat_descriptor_send and
 * leat_descriptor_receive. The thread can be cancelled while it waits; then nothing was sent or
 * received. */
int leat__os_descriptor_send(int socket, int descriptor, uint64_t deadline_ns);
int leat__os_descriptor_receive(int socket, int *descriptor, uint64_t deadline_ns);

/* --- Files of objects ------------------------------------------------------------------------- */

/* Where the file has its name: a share of that directory (leat__os_directory_open), and the name
 * there. False where that cannot be known. */
bool leat__os_file_locate(leat__file file, leat__file *directory,
                          char file_name[LEAT__FILE_NAME_SIZE]);

/* Gives the file its name, all at once. LEAT_EEXIST when the name is taken. */
int leat__os_file_publish(leat__file directory, leat__file file, const char *file_name);

/* Opens an existing file; follows no symbolic link and cannot be held up by a FIFO. */
int leat__os_file_open(leat__file directory, const char *file_name, bool writable,
                       leat__file *file);

/* The same for writing, also where the permissions forbid that to the owner of a temporary object,
 * which is this user. */
int leat__os_file_open_own(leat__file directory, const char *file_name, leat__file *file);

/* What a file of this name is, without opening it. */
int leat__os_name_status(leat__file directory, const char *file_name,
                         struct leat__file_status *status);

void leat__os_file_close(leat__file file);

/* The second leaves `temporary` false: it is for callers that know it, or need not. */
int leat__os_file_status(leat__file file, struct leat__file_status *status);
int leat__os_file_status_plain(leat__file file, struct leat__file_status *status);

/* Removes the name if it still belongs to this file; LEAT_OK also when it no longer does. Needs no
 * further descriptor. */
int leat__os_file_remove(leat__file directory, const char *file_name, leat__file file);

/* Removes the name, whatever it belongs to (but a directory). */
int leat__os_name_remove(leat__file directory, const char *file_name);

/* Reads or writes exactly so many bytes; a file that ends before is LEAT_ECORRUPT. */
int leat__os_file_read(leat__file file, uint64_t offset, void *buffer, size_t size);
int leat__os_file_write(leat__file file, uint64_t offset, const void *data, size_t size);

/* Touches a file for those that watch for writes (below). The byte, which is inside the file and 0,
 * stays as it is. */
int leat__os_file_touch(leat__file file, uint64_t offset);

/* Reads without touching (below), where the system lets it. */
int leat__os_file_peek(leat__file file, uint64_t offset, void *buffer, size_t size);

uint32_t leat__os_user(void);    /* the effective user id, as the kernel knows it */
uint32_t leat__os_process(void); /* this process, as it is numbered in its own namespace */
uint32_t leat__os_random(void);  /* for spreading, not for secrets */

/* --- Locks that the kernel drops when their holder dies ------------------------------------------
 *
 * Each file has numbered lock bytes, far behind its content. A lock belongs to the open file (a
 * leat__file), not to the process: two handles of one process conflict like two processes. The
 * numbers are defined by the code that uses them; docs/wire-format.md, section 4, lists them. Bytes
 * from LEAT__FIRST_PLACE on are *places*: each handle on a named object holds one for as long as it
 * is open, one that its kind chose, or one of its own among the users'. */

#define LEAT__FIRST_PLACE 16

/* The kernel's answer. UNKNOWN: it could not answer, for want of memory for example. That is
 * neither yes nor no: ask again later, or report an error. */
enum leat__answer { LEAT__NO, LEAT__YES, LEAT__UNKNOWN };

enum leat__lock_mode { LEAT__UNLOCKED, LEAT__SHARED, LEAT__EXCLUSIVE };

/* Changes this file's hold on the byte, atomically and without waiting. LEAT_EBUSY when other
 * locks conflict: then what was held before is still held. LEAT_ENOTSUP: the file system has no
 * such locks, so no process holds any. Exclusive needs a writable file. */
int leat__os_lock(leat__file file, unsigned byte, enum leat__lock_mode mode);

/* Whether another open file holds one of `count` bytes from this one on exclusively. Shared locks
 * do not count: processes that may only read can have them. */
enum leat__answer leat__os_locked(leat__file file, unsigned byte, unsigned count);

/* The same; *which becomes one that is held, any of them. */
enum leat__answer leat__os_find_locked(leat__file file, unsigned byte, unsigned count,
                                       unsigned *which);

/* Takes all places exclusively, and the name. LEAT_OK: no other handle has a place, and none can
 * take one before they are given up. LEAT_EBUSY. */
int leat__os_lock_all(leat__file file);

/* After leat__os_lock_all: keeps this place, and gives up the others. */
int leat__os_unlock_others(leat__file file, unsigned byte);

/* Gives up every lock. Call it before closing a file that had any: a child process that has not
 * reached its execve yet may have the file open. */
void leat__os_unlock_all(leat__file file);

/* Takes a byte of its own, shared, so that this open file counts as a user. `alone`: after
 * leat__os_lock_all, of which it gives up the rest. LEAT_EBUSY while another handle has all
 * places. */
int leat__os_user_begin(leat__file file, bool alone);

/* Whether another open file has a place; and how many have: exact up to some hundred, a lower bound
 * beyond. */
enum leat__answer leat__os_has_users(leat__file file);
int leat__os_count_users(leat__file file, uint32_t *users);

/* --- Watches -------------------------------------------------------------------------------------
 *
 * A watch reports that a process touched a file in the chosen way (leat__os_file_read, or
 * leat__os_file_write and leat__os_file_touch; access through a mapping is no touch), or that a
 * descriptor that could write to it was closed, for whatever reason: death too. The kernel reports
 * the closing *before* it drops that descriptor's locks.
 *
 * A thread sleeps on a watch of its own. All of a process's watches share one descriptor and one
 * of the system's instances (Linux: inotify), made with the first watch and closed with the
 * last. */

enum leat__touch { LEAT__TOUCH_READ, LEAT__TOUCH_WRITE };

/* In a handle; all zero: off. Private to lib/os. */
struct leat__watch {
    bool on, sleeps;
    enum leat__touch touch;
    int number;
    uint32_t epoch;
    leat__u32 state;
    struct leat__watch *next, *next_asleep, *previous_asleep;
};

/* Starts. False when it cannot be had: the user has too many instances or watches (Linux:
 * fs.inotify.max_user_instances, max_user_watches), the process too many descriptors, or there
 * is no /proc. May give the file another number. The watch stays where it is in memory until its
 * end. */
bool leat__os_watch_begin(struct leat__watch *watch, leat__file *file, enum leat__touch touch);

/* Ends; nothing if it is off. After the file was closed: that of a process's last watch can take
 * 20 ms. */
void leat__os_watch_end(struct leat__watch *watch);

/* Clears what was reported; returns whether a file was closed. */
bool leat__os_watch_clear(struct leat__watch *watch);

/* Sleeps until something was reported since the watch was cleared. One thread for each watch.
 * LEAT_OK (perhaps for no reason), LEAT_ETIMEDOUT, LEAT_EINTR. With `leave` the thread may be
 * cancelled in its sleep: then leave(context) runs as a cleanup handler, after the thread has left
 * the watch. Without `leave` it is not cancelled. */
int leat__os_watch_wait(struct leat__watch *watch, uint64_t deadline_ns,
                        void (*leave)(void *context), void *context);

/* Opens a descriptor through which the caller watches several files; it becomes readable when there
 * are notices. LEAT_ELIMIT with the limit's name, or another error. */
int leat__os_watch_open_many(leat__file *watch);

/* Also watches this file for touches and closings. *number identifies it, the same number for every
 * open file of the same inode. May give the file another number, as above. LEAT_ELIMIT: the
 * user watches too many files; LEAT_ENOTSUP: there is no /proc. */
int leat__os_watch_add(leat__file watch, leat__file *file, enum leat__touch touch, int *number);
void leat__os_watch_remove(leat__file watch, int number);

struct leat__notice {
    int number;             /* -1: there were so many notices that some were lost */
    bool closed;            /* else: touched */
    enum leat__touch touch; /* how */
};

/* Takes notices; returns how many, 0: there are no more. */
size_t leat__os_watch_take(leat__file watch, struct leat__notice notices[], size_t max);

/* --- Notify sockets ------------------------------------------------------------------------------
 *
 * A notify socket is a descriptor that becomes readable when another process sends it a token, and
 * stays so until the tokens are taken. Other processes with the same directory find it by its
 * number. */

struct leat__notify {
    leat__file file;        /* LEAT__NO_FILE: peers touch the objects' files instead */
    uint64_t number;        /* 0: none */
    uint64_t device, inode; /* of its name */
};

#define LEAT__NO_TOKEN UINT64_MAX /* a datagram that is no token, or could not be read */

/* Makes a notify socket that the caller owns: leat__os_notify_sweep in another process leaves it
 * alone until it is closed, for whatever reason. LEAT_OK also where notify sockets are not
 * possible. */
int leat__os_notify_create(leat__file directory, struct leat__notify *notify);

/* Removes its name, if it is still its own. */
void leat__os_notify_remove(leat__file directory, const struct leat__notify *notify);

/* Makes a watch (above) also report when the notify socket's name is removed or given to something
 * else; *number identifies that notice. */
bool leat__os_notify_watch(leat__file directory, const struct leat__notify *notify,
                           leat__file watch, int *number);

/* Whether other processes can certainly find it by its name. */
bool leat__os_notify_is_found(leat__file directory, const struct leat__notify *notify);

/* Opens another process's notify socket; LEAT__NO_FILE when there is none of that number. */
leat__file leat__os_notify_open(leat__file directory, uint64_t number);

/* Sends a token without waiting; false when the socket is full, or its owner has gone. */
bool leat__os_notify_send(leat__file notify, uint64_t token);

/* Takes at most LEAT__TOKENS tokens; when it returns fewer, there were no more. */
#define LEAT__TOKENS 16
size_t leat__os_notify_take(leat__file notify, uint64_t tokens[LEAT__TOKENS]);

/* Removes a notify socket whose owner is dead; *status is the file's status before. False when the
 * name belongs to no notify socket, or its owner lives, or that is not known. */
bool leat__os_notify_sweep(leat__file directory, const char *file_name,
                           struct leat__file_status *status);

/* --- Polling ---------------------------------------------------------------------------------- */

/* A descriptor that is readable when one of these is; LEAT__NO_FILE among them is left out. */
int leat__os_poll_open(const leat__file files[], size_t count, leat__file *poll);

/* A descriptor that is readable from a time on; 0: never. False when it could not be set. */
int leat__os_timer_open(leat__file *timer);
bool leat__os_timer_set(leat__file timer, uint64_t at_ns);

/* A descriptor that is readable while it is raised. Raising: false when that failed. */
int leat__os_flag_open(leat__file *flag);
bool leat__os_flag_raise(leat__file flag);
void leat__os_flag_lower(leat__file flag);

/* --- Memory ----------------------------------------------------------------------------------- */

size_t leat__os_page_size(void);

/* Maps a file from its start. *number is for leat__os_unmap: it tells this layer how long more of
 * the same file may be mapped. It is 0 for what leat__os_map_view mapped. */
int leat__os_map(leat__file file, uint64_t size, bool writable, void **address, uint64_t *number);
void leat__os_unmap(void *address, uint64_t size, uint64_t number);

/* Maps a range of a file, at an address or (NULL) anywhere. Never replaces a mapping:
 * LEAT_EADDRESS. */
int leat__os_map_view(leat__file file, uint64_t offset, uint64_t size, leat_access access, void *at,
                      void **address);

/* Extends a mapping, moving it if there is no room. LEAT_ESTATE when the system sees more than one
 * mapping in it. */
int leat__os_remap(void *address, uint64_t size, uint64_t new_size, void **new_address);

/* Writes a mapping's changes to the disk and waits; false when that fails. Whole pages. */
bool leat__os_flush_view(void *address, uint64_t size);

/* See leat/view.h. All take whole pages of one mapping. */
int leat__os_prefault(void *address, uint64_t size, bool writable);
/* prefaults where the kernel has no call for it */
void leat__os_touch(void *address, uint64_t size, bool writable);
int leat__os_lock_memory(void *address, uint64_t size);
int leat__os_unlock_memory(void *address, uint64_t size);
int leat__os_make_huge(void *address, uint64_t size);

struct leat__residency {
    uint64_t resident, present, locked, huge; /* bytes */
};
int leat__os_residency(const void *address, uint64_t size, struct leat__residency *residency);

/* Maps shared memory a second time, writable, at *again. False when the system refuses. */
bool leat__os_map_again(void *address, uint64_t size, void **again);
/* best effort: a guard against bugs, not a promise */
void leat__os_make_read_only(void *address, uint64_t size);

/* --- Fork ----------------------------------------------------------------------------------------
 *
 * What a handle owns. A forked child gives up all registered resources before anything else runs:
 * the file is closed (so that the child does not keep locks alive), private memory is replaced by
 * zeros (so that the child cannot be a second writer), and `forked` is set for the handle. */
struct leat__resource {
    leat__file file;
    leat__file watch, notify, poll, timer; /* LEAT__NO_FILE: it has none */
    void *memory;                          /* replaced in a child when not NULL */
    uint64_t memory_size, memory_note;
    /* set to 0 in a child when not NULL: how far the handle may go without reading `forked` */
    uint64_t *allowances[2];
    bool forked;
    struct leat__resource *previous, *next;
};

/* Between these two no fork happens in this process, no signal handler runs in this thread, and it
 * is not cancelled. That lock is the innermost of the process: a thread that has it waits for no
 * other. A thread may hold it more than once. */
LEAT__PRIVATE void leat__os_fork_hold(void);
LEAT__PRIVATE void leat__os_fork_release(void);

/* Nothing owned yet. */
void leat__os_resource_init(struct leat__resource *resource);

void leat__os_resource_add(struct leat__resource *resource);
void leat__os_resource_remove(struct leat__resource *resource);

/* Between these two the thread is not cancelled, even in a function of the C library that is a
 * cancellation point. For work that calls many of those. */
int leat__os_cancellation_hold(void);
void leat__os_cancellation_release(int before);

/* If the thread was cancelled, runs leave(context) and ends it. The only other cancellation points
 * in lib/os are leat__os_watch_wait and the two functions that wait for a socket
 * (leat__os_descriptor_send). */
void leat__os_cancellation_point(void (*leave)(void *context), void *context);

#endif
