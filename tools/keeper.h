/* keeper.h - what holds the mutex of `leat run` besides leat itself, so that the mutex lives as long as the command.
 *
 * Guarantees: the mutex stays held while the command runs, and while a process runs that the command started and that
 * has kept the descriptors which it inherited, whichever processes are killed. There are two further holders of the open
 * file that stands for the handle, either of which is enough:
 *
 *     the keeper    a process in a session of its own, which waits for the command. It also holds the mutex for a
 *                   command that closes its descriptors (sudo, ssh).
 *     descriptors   of that open file, which the command inherits. They outlive the keeper.
 *
 * Whether the mutex is released or left as by death is decided once: leat or the keeper unlocks it when the command has
 * ended and leat was there to see it end by itself. In all other cases the last holder just goes, and the next one
 * that locks the mutex gets LEAT_EOWNERDEAD.
 */
#ifndef LEAT_TOOLS_KEEPER_H
#define LEAT_TOOLS_KEEPER_H

#include <sys/types.h>

#include "leat/sync.h"

struct keeper {
    leat_mutex *mutex;
    pid_t process;
    int control;          /* what the keeper is to know; its end: leat has ended */
    int alive[2];         /* a pipe: at the end of [0] nothing is left that inherited [1]. -1: nothing inherits it */
    int descriptors[4];   /* of the handle's open file, for the command; -1 */
};

/* Starts one for a mutex that this process has just locked. inherit: processes that the command started count too.
 * False with errno when there can be none; then nothing is left. */
bool keeper_start(struct keeper *keeper, leat_mutex *mutex, bool inherit);

/* The command has been started. */
void keeper_watch(struct keeper *keeper, pid_t command);

/* The command has ended: whether a process that it started still has the mutex. Processes that are about to end get some
 * milliseconds for it. */
bool keeper_left_behind(const struct keeper *keeper);

/* Ends the keeper. The caller unlocks and closes the mutex. */
void keeper_end(struct keeper *keeper);

/* Leaves the mutex to the keeper: release it when what is left behind has ended, or leave it as by death. The caller
 * keeps the handle open and ends. */
void keeper_hand_over(struct keeper *keeper, bool release);

#endif
