/* info.h - what `leat info` shows of an object, for other commands. */
#ifndef LEAT_TOOLS_INFO_H
#define LEAT_TOOLS_INFO_H

#include <stdio.h>

#include "common.h"

/* Writes it as lines of text. When only the outside of the object is known, that is written, and
 * the code is the reason. Nothing is written for an object that cannot be read, or is not there. */
int info_text(const struct target *target, FILE *out);

#endif
