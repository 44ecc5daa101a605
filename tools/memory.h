/* memory.h - what a command asks the system to do with the memory behind a region (leat/view.h),
 * and what came of it.
 *
 * Guarantees: a refusal is reported, with the reason; the figures are asked for
 * afterwards, not concluded from what was granted.
 */
#ifndef LEAT_TOOLS_MEMORY_H
#define LEAT_TOOLS_MEMORY_H

#include <jansson.h>

#include "leat/leat.h"

/* In the order in which they are made: huge pages must be there before pages are locked. */
enum memory_request { MEMORY_HUGE, MEMORY_PREFAULT, MEMORY_LOCK, MEMORY_REQUESTS };

struct memory {
    struct {
        bool wanted;
        int code;
        char detail[512];
    } requests[MEMORY_REQUESTS];
    leat_residency residency;
    bool residency_known;
};

/* Whether anything is wanted. */
bool memory_wanted(const struct memory *memory);

/* Makes the requests that are wanted, for the whole view. */
void memory_ask(struct memory *memory, const void *view);

/* For people, a line each; and as JSON, null when nothing was wanted. */
void memory_show(const struct memory *memory);
json_t *json_of_memory(const struct memory *memory);

#endif
