/* users.c - see users.h. Formats: proc_pid_fd(5), proc_pid_maps(5), proc_pid_stat(5). */
#include "users.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "names.h"

#define KERNEL_THREAD UINT64_C(0x00200000) /* PF_KTHREAD in the flags of /proc/PID/stat */

/* GONE: it ended while it was inspected. */
enum sight { SEEN, DENIED, GONE };

static enum sight sight_of(int error) {
    return error == EACCES || error == EPERM ? DENIED : GONE;
}

static bool read_text(pid_t process, const char *what, char *text, size_t size) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)process, what);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = file < 0 ? -1 : read(file, text, size - 1);
    if (file >= 0)
        close(file);
    text[got > 0 ? got : 0] = 0;
    return got > 0;
}

/* --- One process ------------------------------------------------------------------------------ */

/* Counts the process's descriptors of the object. Its other files need not have an up-to-date
 * status: a file server that does not answer would delay this. */
static enum sight count_descriptors(pid_t process, const leat_object_info *info, uint32_t *count) {
    char path[64];
    enum sight sight = SEEN;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)process);
    DIR *directory = opendir(path);
    if (directory == NULL)
        return sight_of(errno);
    for (struct dirent *entry; sight == SEEN && (entry = readdir(directory)) != NULL;) {
        struct statx status;
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        if (statx(dirfd(directory), entry->d_name, AT_STATX_DONT_SYNC, STATX_INO, &status) == 0)
            *count += makedev(status.stx_dev_major, status.stx_dev_minor) == info->device &&
                      status.stx_ino == info->inode;
        else if (sight_of(errno) == DENIED)
            sight = DENIED;
    }
    closedir(directory);
    return sight;
}

bool users_maps_line(const char *line, uint64_t device, uint64_t inode) {
    unsigned major_number, minor_number;
    uint64_t mapped;
    return sscanf(line, "%*x-%*x %*4s %*x %x:%x %" SCNu64, &major_number, &minor_number, &mapped) ==
               3 &&
           mapped == inode && makedev(major_number, minor_number) == device;
}

static enum sight look_for_mapping(pid_t process, const leat_object_info *info, bool *mapped) {
    char path[64], *line = NULL;
    size_t size = 0;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)process);
    FILE *maps = fopen(path, "re");
    if (maps == NULL)
        return sight_of(errno);
    while (!*mapped && getline(&line, &size, maps) > 0)
        *mapped = users_maps_line(line, info->device, info->inode);
    free(line);
    fclose(maps);
    return SEEN;
}

/* Whether a process that may not be inspected can have files at all. Its name may hold
 * anything, brackets too. */
static bool can_have_files(pid_t process) {
    char text[1024], state = 'X';
    uint64_t flags = 0;
    const char *at = read_text(process, "stat", text, sizeof text) ? strrchr(text, ')') : NULL;
    return at != NULL && sscanf(at, ") %c %*d %*d %*d %*d %*d %" SCNu64, &state, &flags) == 2 &&
           state != 'Z' && state != 'X' && (flags & KERNEL_THREAD) == 0;
}

static enum sight look_at(pid_t process, const leat_object_info *info, struct user *user) {
    *user = (struct user){.process = process};
    enum sight sight = count_descriptors(process, info, &user->descriptors);
    if (sight == SEEN)
        sight = look_for_mapping(process, info, &user->mapped);
    if (sight == SEEN && (user->mapped || user->descriptors > 0)) {
        (void)read_text(process, "comm", user->command, sizeof user->command);
        user->command[strcspn(user->command, "\n")] = 0;
    }
    return sight == DENIED && !can_have_files(process) ? GONE : sight;
}

/* --- All of them ------------------------------------------------------------------------------ */

static bool add(struct users *users, const struct user *user) {
    struct user *grown = realloc(users->list, (users->count + 1) * sizeof *grown);
    if (grown == NULL)
        return false;
    users->list = grown;
    users->list[users->count++] = *user;
    return true;
}

void users_find(struct users *users, const leat_object_info *info) {
    *users = (struct users){0};
    DIR *processes = opendir("/proc");
    /* Something else can be mounted there, or nothing. */
    users->known = processes != NULL && access("/proc/self/fd", R_OK) == 0;
    for (struct dirent *entry; users->known && (entry = readdir(processes)) != NULL;) {
        struct user user;
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        enum sight sight = look_at((pid_t)strtol(entry->d_name, NULL, 10), info, &user);
        users->denied += sight == DENIED;
        if (sight == SEEN && (user.mapped || user.descriptors > 0))
            users->known = add(users, &user);
    }
    if (processes != NULL)
        closedir(processes);
}

void users_forget(struct users *users) {
    free(users->list);
    *users = (struct users){0};
}

bool users_out_of_sight(const struct users *users, const leat_object_info *info) {
    uint64_t descriptors = 0;
    for (size_t i = 0; i < users->count; i++)
        descriptors += users->list[i].descriptors;
    return descriptors < info->users;
}

json_t *json_of_users(const struct users *users) {
    struct shown_text shown;
    if (!users->known)
        return json_null();
    json_t *array = json_array();
    for (size_t i = 0; i < users->count; i++) {
        const struct user *user = &users->list[i];
        json_t *object = json_object();
        json_object_set_new(object, "process", json_integer(user->process));
        json_object_set_new(object, "command",
                            json_string(utf8_valid(user->command)
                                            ? user->command
                                            : text_show(&shown, user->command)));
        json_object_set_new(object, "descriptors", json_integer(user->descriptors));
        json_object_set_new(object, "mapped", json_boolean(user->mapped));
        json_array_append_new(array, object);
    }
    return array;
}

static void show_one(FILE *out, const char *label, const struct user *user) {
    struct shown_text command;
    fprintf(out, "  %-12s %d (%s): ", label, (int)user->process,
            text_show(&command, user->command));
    if (user->descriptors > 0)
        fprintf(out, "%u descriptor%s", user->descriptors, user->descriptors == 1 ? "" : "s");
    fprintf(out, "%s%s\n", user->descriptors > 0 && user->mapped ? ", " : "",
            user->mapped ? "mapped" : "");
}

void users_show(FILE *out, const struct users *users, const leat_object_info *info) {
    const char *label = "processes";
    for (size_t i = 0; i < users->count; i++, label = "")
        show_one(out, label, &users->list[i]);
    if (!users->known)
        fprintf(out, "  %-12s not known: there is no /proc\n", label);
    else if (users->denied > 0)
        fprintf(out, "  %-12s perhaps more: %u process%s not to be looked at by this user\n", label,
                users->denied, users->denied == 1 ? " is" : "es are");
    else if (users_out_of_sight(users, info))
        fprintf(out, "  %-12s more, out of sight: of another container, or hidden in /proc\n",
                label);
}
