/* two_copies.h - the functions of the plug-in two_copies.c. */
#ifndef LEAT_TESTS_TWO_COPIES_H
#define LEAT_TESTS_TWO_COPIES_H

#include "leat/leat.h"

#define PLUGIN __attribute__((visibility("default")))

PLUGIN int plugin_open(leat_region **region, const char *name, uint64_t size);
PLUGIN void *plugin_data(leat_region *region);
PLUGIN int plugin_grow(leat_region *region);
PLUGIN void plugin_close(leat_region *region);

#endif
