/* two_copies.c - a plug-in: a shared library that uses libleat.so, in a program that has libleat.a
 * linked into it. See test_two_copies.c. */
#include "two_copies.h"

int plugin_open(leat_region **region, const char *name, uint64_t size) {
    leat_region_options options = {.mode = LEAT_OPEN_OR_CREATE};
    return leat_region_open(region, name, size, &options);
}

void *plugin_data(leat_region *region) {
    return leat_region_data(region);
}

int plugin_grow(leat_region *region) {
    return leat_region_grow(region, 8192);
}

void plugin_close(leat_region *region) {
    leat_region_close(region);
}
