/* lib/view.h - views that have outlived their handle, found by any address inside them. */
#ifndef LEAT_LIB_VIEW_H
#define LEAT_LIB_VIEW_H

#include "leat/base.h"

/* Remembers a mapping until leat_view_unmap. false when memory is short: then nothing is remembered. */
bool leat__view_keep(void *address, uint64_t mapped_size);

#endif
