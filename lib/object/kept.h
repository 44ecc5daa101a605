/* lib/object/kept.h - the file of a mutex that no process has open: the object layer reads it
 * before it removes a name.
 *
 * The next handle that locks such a mutex must get LEAT_EOWNERDEAD, so the name outlives its users.
 * The layout is that of lib/sync/sync.h, which asserts that the two agree. */
#ifndef LEAT_LIB_OBJECT_KEPT_H
#define LEAT_LIB_OBJECT_KEPT_H

#include "lib/object/header.h"
#include "lib/os/os.h"

#define LEAT__MUTEX_FILE_SIZE (5 * 4096) /* bytes */
#define LEAT__MUTEX_WORDS 256            /* the offset of the words in the file */
#define LEAT__MUTEX_PI 0 /* the header's parameter: not 0 with priority inheritance */

struct leat__mutex_words {
    leat__u64 owner; /* the low 16 bits: the participant that holds it; 0: none */
    leat__u32 apart[2];
    leat__u32 lost;      /* 1: it was given up */
    leat__u32 abandoned; /* 0, or how its owner left it */
    leat__u64 pi;        /* the low half: the kernel's word */
};

#define LEAT__ABANDONED_BY_DEATH 1
#define LEAT__ABANDONED_BY_CLOSING 2

/* Whether an unused mutex has something to report to its next owner: its owner died; or it was
 * given up or closed while held, unless `closing`: its last user closes in order. LEAT__UNKNOWN
 * when the file cannot be read; LEAT__NO for other kinds. */
enum leat__answer leat__object_keeps(leat__file file, const struct leat__header *header,
                                     bool closing);

#endif
