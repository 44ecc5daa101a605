/* lib/base/private.h - what libleat exports to the other libraries of leat only.
 *
 * A function marked LEAT__PRIVATE is exported under the version LEAT_PRIVATE (lib/leat.map), as the
 * C library has GLIBC_PRIVATE. Not for programs: it may change with each release, so libraries of
 * leat are installed together, in the same version. The test
 * install_library_exports_exactly_the_public_functions requires that each of them is used. */
#ifndef LEAT_LIB_PRIVATE_H
#define LEAT_LIB_PRIVATE_H

#include "leat/base.h"

#define LEAT__PRIVATE LEAT_API

#endif
