/* keeper.h - what holds the mutex of `leat run` besides leat itself, so that the mutex lives as
 * long as the command.
 *
 * Guarantees: the mutex stays held while the command runs, and while a process runs that the
 * command started and that has kept the descriptors which it inherited, whichever processes are
 * killed. There are two further holders of the open file that stands for the handle, either of
 * which is enough:
 *
 *     the keeper    a process in a session of its own, which waits for the command. It also
 *                   holds the mutex for a command that closes its descriptors (sudo, ssh).
 *     descriptors   of that open file, which the command inherits. They outlive the keeper.
 *
 * A mutex with priority inheritance belongs to a thread, and no descriptor keeps it: there the
 * keeper locks it, and is the only holder. It outlives leat; killing the keeper itself frees the
 * mutex.
 *
 * Whether the mutex is released or left as by death is decided once: leat or the keeper unlocks it
 * when the command has ended and leat was there to see it end by itself. In all other cases the
 * last holder just goes, and the next one that locks the mutex gets LEAT_EOWNERDEAD. Where what the
 * command left behind does not count, it has the descriptors all the same: then leat or the keeper
 * takes the locks off the open file when the command has ended.
 */
#ifndef LEAT_TOOLS_KEEPER_H
#define LEAT_TOOLS_KEEPER_H

#include <stdbool.h>
#include <sys/types.h>

#include "leat/sync.h"

struct keeper {
    leat_mutex *mutex;
    pid_t process;
    bool counts;        /* processes that the command has left behind hold the mutex too */
    bool owns;          /* the keeper has locked the mutex, and is its only holder */
    int control;        /* orders to the keeper; its end: leat has ended */
    int alive[2];       /* a pipe: at the end of [0] nothing is left that inherited [1] */
    int descriptors[4]; /* of the handle's open file, for the command; -1 */
    int ended;          /* reports of the keeper; its end: the keeper has ended */
};

/* Starts one for a mutex that this process has just locked. counts: processes that the command
 * started count too. False with errno when there can be none; then nothing is left. */
bool keeper_start(struct keeper *keeper, leat_mutex *mutex, bool counts);

/* Starts one that locks the mutex itself: lock(keeper, context) runs there, sets keeper->mutex and
 * gives an exit code, which is returned, END_OK when the mutex is locked. If not, no keeper is
 * left. A signal to this process (signals.h) reaches the keeper while it locks. -1 with errno. */
int keeper_start_owner(struct keeper *keeper, int (*lock)(struct keeper *keeper, void *context),
                       void *context, bool counts);

/* The command has been started. */
void keeper_watch(struct keeper *keeper, pid_t command);

/* Waits for so long, or until a signal comes: whether a keeper that owned the mutex has ended. */
bool keeper_is_gone(const struct keeper *keeper, int milliseconds);

/* There will be no command. */
void keeper_dismiss(struct keeper *keeper);

/* The command has ended: whether a process that it started still has the mutex. Processes that are
 * about to end get some milliseconds for it. */
bool keeper_left_behind(const struct keeper *keeper);

/* Ends the keeper. One that owns the mutex releases it if `release`, and leaves it as by death if
 * not. If it does not own it, the caller unlocks and closes the mutex, or ends: then the mutex is
 * left as by death. */
void keeper_end(struct keeper *keeper, bool release);

/* Leaves the mutex to the keeper: release it when what is left behind has ended, or leave it as by
 * death. The caller keeps the handle open and ends. */
void keeper_hand_over(struct keeper *keeper, bool release);

#endif
