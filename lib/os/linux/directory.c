/* lib/os/linux/directory.c - the directories of the two scopes, and the identity of the user.
 *
 * User ids are the kernel's, whatever is preloaded (fakeroot). The local directory is named after
 * the number that the user has outside of its user namespace, so that "root" of a namespace never
 * takes root's directory.
 *
 * A process has one descriptor for each directory that it uses, however many handles use it. So a
 * handle can remove its object's name even if the user id, the environment or the root directory
 * have changed since it was opened, and without a further descriptor. The descriptor carries no
 * lock; a forked child keeps it.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "lib/base/fail.h"
#include "lib/os/linux/calls.h"

#define SHARED_MEMORY "/dev/shm"
#define PATH_SIZE 4096

/* --- Users ------------------------------------------------------------------------------------ */

/* The map of a user namespace: LEAT__YES and the number outside, LEAT__NO: this number has none. */
static enum leat__answer look_up(FILE *map, uint32_t user, uint32_t *outer) {
    unsigned long inside, outside, count;
    while (fscanf(map, "%lu %lu %lu", &inside, &outside, &count) == 3)
        if (user >= inside && user - inside < count) {
            *outer = (uint32_t)(user - inside + outside);
            return LEAT__YES;
        }
    return ferror(map) != 0 ? LEAT__UNKNOWN : LEAT__NO;
}

/* The number that the user has outside of its user namespace; the same where there are no such
 * namespaces, or no /proc to ask. A user that the namespace does not map has the number of all such
 * users in it, which outside belongs to another user. LEAT__UNKNOWN, and errno. */
static enum leat__answer outer_user(uint32_t user, uint32_t *outer) {
    char path[LEAT__PROC_PATH];
    FILE *map = leat__linux_open_text(leat__linux_proc(path, "uid_map"));
    if (map == NULL && errno == ENOENT) {
        *outer = user;
        return LEAT__YES;
    }
    if (map == NULL)
        return LEAT__UNKNOWN;
    enum leat__answer mapped = look_up(map, user, outer);
    int error = errno;
    fclose(map);
    errno = error;
    return mapped;
}

/* Read once in each namespace and for each user: reading the map takes some microseconds. A missing
 * map is not remembered, because it can still be written. */
static enum leat__answer known_outer_user(uint32_t *outer) {
    static struct {
        uint64_t space;
        uint32_t user, outer;
    } known;
    struct stat status;
    char path[LEAT__PROC_PATH];
    uint64_t space = stat(leat__linux_proc(path, "ns/user"), &status) == 0 ? status.st_ino : 0;
    uint32_t user = leat__os_user();
    leat__os_fork_hold();
    bool is_known = space != 0 && known.space == space && known.user == user;
    if (is_known)
        *outer = known.outer;
    leat__os_fork_release();
    if (is_known)
        return LEAT__YES;
    int cancel = leat__os_cancellation_hold();
    enum leat__answer mapped = outer_user(user, outer);
    leat__os_cancellation_release(cancel);
    if (mapped != LEAT__YES)
        return mapped;
    leat__os_fork_hold();
    known.space = space;
    known.user = user;
    known.outer = *outer;
    leat__os_fork_release();
    return LEAT__YES;
}

/* --- Paths ------------------------------------------------------------------------------------ */

static const char *chosen_directory(void) {
    const char *chosen = secure_getenv("LEAT_DIR");
    return chosen != NULL && chosen[0] != 0 ? chosen : NULL;
}

static int find_users_path(char path[PATH_SIZE]) {
    uint32_t user = 0;
    enum leat__answer mapped = known_outer_user(&user);
    if (mapped == LEAT__UNKNOWN)
        return leat__fail_system(errno, "cannot find out which user this is: set LEAT_DIR");
    if (mapped == LEAT__NO)
        return leat__fail(
            LEAT_EACCES, 0,
            "the user namespace has no number for this user (no uid_map), so that its "
            "directory is not known: set LEAT_DIR to one of its own");
    snprintf(path, PATH_SIZE, "%s/leat-%u", SHARED_MEMORY, (unsigned)user);
    return LEAT_OK;
}

static int check_chosen(const char *chosen) {
    if (strlen(chosen) >= PATH_SIZE)
        return leat__fail(LEAT_EINVAL, 0, "LEAT_DIR has %zu bytes, a path has at most %d",
                          strlen(chosen), PATH_SIZE - 1);
    if (chosen[0] != '/')
        return leat__fail(LEAT_EINVAL, 0, "LEAT_DIR must be an absolute path, it is '%s'", chosen);
    return LEAT_OK;
}

static int find_path(leat_scope scope, char path[PATH_SIZE]) {
    const char *chosen = chosen_directory();
    if ((unsigned)scope > LEAT_GLOBAL)
        return leat__fail(LEAT_EINVAL, 0, "there is no scope %d", (int)scope);
    if (scope == LEAT_LOCAL && chosen == NULL)
        return find_users_path(path);
    int result = scope == LEAT_LOCAL ? check_chosen(chosen) : LEAT_OK;
    if (result == LEAT_OK)
        snprintf(path, PATH_SIZE, "%s", scope == LEAT_LOCAL ? chosen : SHARED_MEMORY);
    return result;
}

/* A path as messages show it: they have no room for long ones. */
struct shown {
    char text[96];
};

static const char *show(struct shown *shown, const char *path) {
    size_t length = strlen(path), part = sizeof shown->text / 2 - 3;
    if (length < sizeof shown->text)
        return path;
    snprintf(shown->text, sizeof shown->text, "%.*s...%s", (int)part, path, path + length - part);
    return shown->text;
}

/* The system's limit for names does not concern the object. */
static int fail_to(const char *what, const char *path, int error) {
    struct shown shown;
    if (error == ENAMETOOLONG)
        return leat__fail(
            LEAT_EINVAL, error,
            "LEAT_DIR has a part that is longer than the system allows: choose a shorter one");
    return leat__fail_system(error, "cannot %s the directory %s", what, show(&shown, path));
}

/* --- Opening ---------------------------------------------------------------------------------- */

/* In a directory that other users may write to, or own, they could swap objects. */
static int check_private(const struct stat *status, const char *path) {
    uint32_t user = leat__os_user();
    struct shown shown;
    if (!S_ISDIR(status->st_mode))
        return leat__fail(LEAT_EUNTRUSTED, ENOTDIR, "%s is no directory", show(&shown, path));
    if (status->st_uid != user)
        return leat__fail(
            LEAT_EUNTRUSTED, 0,
            "the directory %s belongs to user %u, not to %u: set LEAT_DIR to one of your own",
            show(&shown, path), (unsigned)status->st_uid, (unsigned)user);
    if ((status->st_mode & 077) != 0)
        return leat__fail(LEAT_EUNTRUSTED, 0,
                          "the directory %s is open to others (mode %04o, must be 0700)",
                          show(&shown, path), (unsigned)(status->st_mode & 07777));
    return LEAT_OK;
}

/* A umask can have taken the owner's own bits from a directory that was just made. */
static int repair(int directory, const char *path) {
    char self[LEAT__PROC_PATH];
    struct shown shown;
    if (chmod(leat__linux_proc_descriptor(self, directory), 0700) == 0 ||
        (errno == ENOENT && chmod(path, 0700) == 0))
        return LEAT_OK;
    return leat__fail_system(
        errno, "the directory %s lacks its owner's permissions, which cannot be given back",
        show(&shown, path));
}

static int open_local(const char *path, leat__file *directory) {
    struct stat status;
    int found = leat__linux_open_plain(AT_FDCWD, path, O_PATH | O_NOFOLLOW);
    if (found < 0)
        return fail_to("open", path, errno);
    int result = leat__linux_status(found, "", AT_EMPTY_PATH, &status) == 0
                     ? check_private(&status, path)
                     : fail_to("examine", path, errno);
    if (result == LEAT_OK && (status.st_mode & 0700) != 0700)
        result = repair(found, path);
    /* the directory that was checked, not another one that may have its name by now */
    if (result == LEAT_OK) {
        *directory = leat__linux_open_plain(found, ".", O_RDONLY | O_DIRECTORY);
        if (*directory < 0)
            result = fail_to("open", path, errno);
    }
    leat__linux_close(found);
    return result;
}

/* Cuts the last part off, and slashes before and behind it. */
static void cut_to_parent(char *path) {
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    while (length > 1 && path[length - 1] != '/')
        length--;
    while (length > 1 && path[length - 1] == '/')
        length--;
    path[length] = 0;
}

/* LEAT_ENOENT means a missing object, or the missing directory that its first user makes. Where the
 * parent of that directory is missing too, the error is another one. */
static int explain_missing(const char *path, int result) {
    char parent[PATH_SIZE];
    struct stat status;
    struct shown shown;
    snprintf(parent, sizeof parent, "%s", path);
    if (strcmp(path, SHARED_MEMORY) != 0)
        cut_to_parent(parent);
    if (result != LEAT_ENOENT || leat__linux_status(AT_FDCWD, parent, 0, &status) == 0 ||
        errno != ENOENT)
        return result;
    return leat__fail(LEAT_ESYSTEM, ENOENT,
                      "the directory %s is missing: mount a tmpfs on " SHARED_MEMORY
                      " or set LEAT_DIR",
                      show(&shown, parent));
}

static int open_path(leat_scope scope, const char *path, bool make, leat__file *directory) {
    int result = scope == LEAT_LOCAL ? open_local(path, directory) : LEAT_OK;
    if (scope == LEAT_LOCAL && result == LEAT_ENOENT && make) {
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            return fail_to("make", path, errno);
        result = open_local(path, directory);
    }
    if (scope == LEAT_LOCAL)
        return result;
    *directory = leat__linux_open_plain(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
    return *directory >= 0 ? LEAT_OK : fail_to("open", path, errno);
}

/* --- Sharing ---------------------------------------------------------------------------------- */

struct shared {
    leat__file file;
    uint64_t device, inode;
    unsigned users;
    struct shared *next;
};

static struct shared *directories; /* guarded by leat__os_fork_hold */

static struct shared **link_of(leat__file file) {
    struct shared **link = &directories;
    while (*link != NULL && (*link)->file != file)
        link = &(*link)->next;
    return link;
}

static bool is(const struct shared *shared, const struct stat *status) {
    return shared->device == status->st_dev && shared->inode == status->st_ino;
}

/* While holding: whether it is among them. A program that closed all its descriptors closed this
 * one too: then it counts as missing, and another one takes its place. LEAT__UNKNOWN, and errno. */
static enum leat__answer find(const struct stat *status, struct shared **found) {
    struct stat own;
    struct shared *same = directories;
    while (same != NULL && !is(same, status))
        same = same->next;
    if (same == NULL)
        return LEAT__NO;
    bool answered = leat__linux_status(same->file, "", AT_EMPTY_PATH, &own) == 0;
    if (!answered && errno != EBADF)
        return LEAT__UNKNOWN;
    if (!answered || !is(same, &own)) {
        same->inode = 0;
        same->file = LEAT__NO_FILE;
        return LEAT__NO;
    }
    same->users++;
    *found = same;
    return LEAT__YES;
}

/* The usual case: another handle has the directory open, and the directory is valid. */
static bool share_known(leat_scope scope, const char *path, leat__file *directory) {
    struct stat status;
    int flags = scope == LEAT_LOCAL ? AT_SYMLINK_NOFOLLOW : 0;
    if (leat__linux_status(AT_FDCWD, path, flags, &status) != 0)
        return false;
    if (scope == LEAT_LOCAL &&
        ((status.st_mode & 0777) != 0700 || status.st_uid != leat__os_user()))
        return false;
    struct shared *same = NULL;
    leat__os_fork_hold();
    bool known = find(&status, &same) == LEAT__YES;
    if (known)
        *directory = same->file;
    leat__os_fork_release();
    return known;
}

/* Replaces the opened directory by the entry of the list for the same directory. */
static int share(leat__file *directory) {
    struct stat status;
    struct shared *added = malloc(sizeof *added), *same = NULL;
    if (added == NULL || leat__linux_status(*directory, "", AT_EMPTY_PATH, &status) != 0) {
        int error = added == NULL ? ENOMEM : errno;
        free(added);
        leat__linux_close(*directory);
        return leat__fail_system(error, "cannot use the directory");
    }
    leat__os_fork_hold();
    enum leat__answer known = find(&status, &same);
    int error = errno;
    leat__file spare = known != LEAT__NO ? *directory : LEAT__NO_FILE;
    if (known == LEAT__NO) {
        *added = (struct shared){*directory, status.st_dev, status.st_ino, 1, directories};
        same = directories = added;
        added = NULL;
    }
    if (same != NULL)
        *directory = same->file;
    leat__os_fork_release();
    free(added);
    if (spare != LEAT__NO_FILE)
        leat__linux_close(spare);
    return same != NULL ? LEAT_OK : leat__fail_system(error, "cannot use the directory");
}

int leat__os_directory_open(leat_scope scope, bool make, leat__file *directory) {
    char path[PATH_SIZE];
    leat__file opened = LEAT__NO_FILE;
    int result = find_path(scope, path);
    if (result != LEAT_OK)
        return result;
    if (share_known(scope, path, directory))
        return LEAT_OK;
    result = open_path(scope, path, make, &opened);
    if (result == LEAT_OK)
        result = share(&opened);
    if (result != LEAT_OK)
        return explain_missing(path, result);
    *directory = opened;
    return LEAT_OK;
}

void leat__os_directory_close(leat__file directory) {
    leat__os_fork_hold();
    struct shared **link = link_of(directory), *shared = *link;
    bool last = shared != NULL && --shared->users == 0;
    if (last)
        *link = shared->next;
    leat__os_fork_release();
    if (!last)
        return;
    leat__linux_close(directory);
    free(shared);
}

/* --- Contents --------------------------------------------------------------------------------- */

static int visit_all(DIR *stream, int (*visit)(const char *file_name, void *context),
                     void *context) {
    int result = 0;
    struct dirent *entry;
    while (result == 0 && (errno = 0, entry = readdir(stream)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            result = visit(entry->d_name, context);
    if (entry == NULL && errno != 0)
        result = leat__fail_system(errno, "cannot list the directory");
    return result;
}

static int list(leat__file directory, int (*visit)(const char *file_name, void *context),
                void *context) {
    DIR *stream = leat__linux_open_names(directory, ".");
    if (stream == NULL)
        return leat__fail_system(errno, "cannot list the directory");
    int result = visit_all(stream, visit, context);
    closedir(stream);
    return result;
}

int leat__os_directory_list(leat__file directory,
                            int (*visit)(const char *file_name, void *context), void *context) {
    int cancel = leat__os_cancellation_hold();
    int result = list(directory, visit, context);
    leat__os_cancellation_release(cancel);
    return result;
}

/* The directory of a file, which its descriptor shows; the name there is that of a new file before
 * it was linked. */
static int directory_of(leat__file file, leat__file *directory) {
    char self[LEAT__PROC_PATH], path[PATH_SIZE];
    ssize_t length = readlink(leat__linux_proc_descriptor(self, file), path, sizeof path - 1);
    path[length > 0 ? length : 0] = 0;
    char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path)
        return LEAT_ENOENT;
    *slash = 0;
    *directory = leat__linux_open_plain(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
    return *directory >= 0 ? share(directory) : LEAT_ENOENT;
}

struct search {
    leat__file directory;
    struct stat file;
    char *file_name;
};

/* 1: found. */
static int compare(const char *file_name, void *context) {
    struct search *search = context;
    struct stat named;
    if (strlen(file_name) >= LEAT__FILE_NAME_SIZE ||
        leat__linux_status(search->directory, file_name, AT_SYMLINK_NOFOLLOW, &named) != 0 ||
        named.st_ino != search->file.st_ino || named.st_dev != search->file.st_dev)
        return 0;
    strcpy(search->file_name, file_name);
    return 1;
}

bool leat__os_file_locate(leat__file file, leat__file *directory,
                          char file_name[LEAT__FILE_NAME_SIZE]) {
    leat__file found;
    struct search search = {.file_name = file_name};
    if (leat__linux_status(file, "", AT_EMPTY_PATH, &search.file) != 0 ||
        directory_of(file, &found) != LEAT_OK)
        return false;
    search.directory = found;
    if (leat__os_directory_list(found, compare, &search) == 1) {
        *directory = found;
        return true;
    }
    leat__os_directory_close(found);
    return false;
}
