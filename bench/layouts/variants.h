/* variants.h - the table of measured policies. */
#ifndef LAYOUTS_VARIANTS_H
#define LAYOUTS_VARIANTS_H

#include "loops.h"
#include "protocol.h"

struct variant {
    const char *name;
    const char *about;
    struct calls calls; /* on a struct sender and a struct receiver */
};

extern const struct variant variants[]; /* ends with a name of NULL */

#endif
