/* info.h - what `leat info` shows of an object, for whoever shows it elsewhere. */
#ifndef LEAT_TOOLS_INFO_H
#define LEAT_TOOLS_INFO_H

#include <stdio.h>

#include "common.h"

/* Writes it as lines of text. When nothing is known but the outside of the object, that is written,
 * and the code says why; of an object that cannot be looked at, or is not there, nothing is. */
int info_text(const struct target *target, FILE *out);

#endif
