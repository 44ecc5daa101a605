/* lib/os/linux/process.c - the process's identity from the kernel, not from the C library's
 * memory. */
#include <sys/syscall.h>

#include "lib/os/linux/calls.h"

uint32_t leat__os_user(void) {
#ifdef SYS_geteuid32
    return (uint32_t)syscall(SYS_geteuid32);
#else
    return (uint32_t)syscall(SYS_geteuid);
#endif
}

uint32_t leat__os_process(void) {
    return (uint32_t)getpid();
}

size_t leat__os_page_size(void) {
    return (size_t)sysconf(_SC_PAGESIZE);
}
