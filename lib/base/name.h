/* lib/base/name.h - names of objects and the file names that stand for them.
 *
 * The encoding is a bijection between names and file names, and the identity for nearly all:
 * whatever shm_open("/x") calls x is x here. Only what a file name cannot be is changed: '/'
 * becomes %2F, and the names "." and ".." become %2E and %2E%2E. So that this can be undone, a name
 * that holds such an escape already gets one more 25 behind its '%': %2F becomes %252F, %252F
 * becomes %25252F, and so on; undoing it takes one 25 away.
 */
#ifndef LEAT_LIB_NAME_H
#define LEAT_LIB_NAME_H

#include "leat/base.h"

#define LEAT__FILE_NAME_SIZE (LEAT_NAME_MAX + 1)

/* Writes the file name for a name. LEAT_ENAME when it is empty or the result is longer than
 * LEAT_NAME_MAX bytes. */
int leat__name_encode(const char *name, char file_name[LEAT__FILE_NAME_SIZE]);

/* Writes the name for a file name of at most LEAT_NAME_MAX bytes; never fails for one that a
 * directory can hold. */
int leat__name_decode(const char *file_name, char name[LEAT__FILE_NAME_SIZE]);

/* Takes a "Local\" or "Global\" prefix off the name and sets the scope that it chooses; else leaves
 * both as they are. */
const char *leat__name_scope(const char *name, leat_scope *scope);

#endif
