/* common.c - see common.h. */
#include "common.h"

#include <ctype.h>
#include <errno.h>
#include <leat/leat.h>
#include <stdio.h>
#include <stdlib.h>

void complain(const char *what, const char *object, const char *why, const char *remedy) {
    fprintf(stderr, "%s: cannot %s '%s': %s%s%s\n", program_invocation_short_name, what, object,
            why, *remedy != '\0' ? "; " : "", remedy);
}

void complain_leat(const char *what, const char *object, int code) {
    char why[1024];
    const char *detail = leat_error_detail();
    snprintf(why, sizeof why, "%s (%s)%s%s", leat_error_cause(code), leat_error_name(code),
             *detail != '\0' ? ": " : "", detail);
    complain(what, object, why, leat_error_remedy(code));
}

bool read_number(const char *option, const char *text, uint64_t min, uint64_t max,
                 uint64_t *value) {
    char *end;
    errno = 0;
    *value = strtoull(text, &end, 10);
    if (isdigit((unsigned char)*text) && *end == '\0' && errno == 0 && *value >= min &&
        *value <= max)
        return true;
    fprintf(stderr, "%s: --%s takes a number from %llu to %llu, not '%s'\n",
            program_invocation_short_name, option, (unsigned long long)min, (unsigned long long)max,
            text);
    return false;
}
