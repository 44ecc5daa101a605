/* print_errors - prints docs/errors.md, from the one list of errors. The test errors_page fails
 * when the page is out of date; then
 *     build/release/tests/print_errors > docs/errors.md */
#include <stdio.h>

#include "leat/error.h"

int main(void) {
    puts("# Errors\n");
    puts("Every code that a call of leat can return. The numbers are the same on every platform "
         "and never\n"
         "change meaning. This page is printed by `tests/print_errors.c` from the list in\n"
         "`include/leat/error.h`.\n");
    puts("| code | number | cause | what to do |\n|---|---|---|---|");
    printf("| `%s` | 0 | %s | |\n", leat_error_name(LEAT_OK), leat_error_cause(LEAT_OK));
#define ROW(name, number, cause, remedy)                                                           \
    printf("| `%s` | %d | %s | %s |\n", #name, number, cause, remedy);
    LEAT_ERRORS(ROW)
    puts("\nBehind a code there is more, for the calling thread's last failure: "
         "`leat_error_detail` says what\n"
         "failed, on which object, with which figures, `leat_system_error` gives the operating "
         "system's own\n"
         "number, and `leat_error_last` the code again, for those who got one of libuv's instead.");
    return 0;
}
