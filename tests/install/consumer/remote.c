/* remote.c - a program that maps a region into a process, here itself, and takes it out again. */
#include <leat/error.h>
#include <leat/remote.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
    leat_region *region = NULL;
    uint64_t address = 0;
    if (argc < 2 || strcmp(argv[1], leat_version()) != 0)
        return 1;
    if (leat_region_open_into(&region, "consumer-remote", 4096, NULL, getpid(), &address) !=
        LEAT_OK) {
        printf("%s\n", leat_error_detail()); /* recorded by one library, read from the other */
        return 2;
    }
    memcpy(leat_region_data(region), "hello", 6);
    bool same = strcmp((const char *)(uintptr_t)address, "hello") == 0;
    if (leat_region_unmap_from(getpid(), address) != LEAT_OK)
        return 3;
    bool refused = leat_region_unmap_from(getpid(), address) == LEAT_EINVAL &&
                   leat_error_last() == LEAT_EINVAL;
    leat_region_close(region);
    return same && refused ? 0 : 4;
}
