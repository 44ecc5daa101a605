/* users.h - which processes have a file open or mapped, as far as this user may see.
 *
 * Guarantees: a process that is listed had it a moment ago; a process that may not be inspected is
 * counted, not guessed about. Processes that /proc does not show at all (another container's, or
 * mounted with hidepid) are neither. No process is touched or held up.
 */
#ifndef LEAT_TOOLS_USERS_H
#define LEAT_TOOLS_USERS_H

#include <jansson.h>
#include <stdio.h>
#include <sys/types.h>

#include "leat/leat.h"

struct user {
    pid_t process;
    char command[64];     /* as the system calls the program, any bytes */
    uint32_t descriptors; /* open ones: each handle has one */
    bool mapped;
};

struct users {
    struct user *list;
    size_t count;
    /* processes that this user may not inspect; threads of the kernel and zombies have no files and
     * do not count */
    uint32_t denied;
    bool known; /* false: /proc is not there, or memory is short */
};

/* Searches every process for the object's file. */
void users_find(struct users *users, const leat_object_info *info);
void users_forget(struct users *users);

/* Whether the object has more open handles than the processes found have descriptors of it. */
bool users_out_of_sight(const struct users *users, const leat_object_info *info);

/* An array; null when nothing is known. */
json_t *json_of_users(const struct users *users);

/* Lines for people, each with the label's width before it. */
void users_show(FILE *out, const struct users *users, const leat_object_info *info);

/* One line of /proc/PID/maps: whether it is a mapping of the file. */
bool users_maps_line(const char *line, uint64_t device, uint64_t inode);

#endif
