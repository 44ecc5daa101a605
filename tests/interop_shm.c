/* interop_shm.c - a program that knows nothing of leat and shares memory as POSIX describes it:
 * shm_open and mmap. test_interop.c drives it; interop_python.py is its twin.
 *
 *     create NAME SIZE   makes the object, writes "from a stranger" to its start, prints "ready SIZE";
 *                        on a line from standard input prints what is at byte 64, removes the name,
 *                        prints "removed"
 *     open NAME          prints "SIZE: " and the text at its start, writes "from a stranger" to
 *                        byte 64, prints "done"
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static char *map(int descriptor, size_t *size) {
    struct stat status;
    if (descriptor < 0 || fstat(descriptor, &status) != 0) {
        perror("shm_open");
        exit(1);
    }
    *size = (size_t)status.st_size;
    char *memory = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (memory == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    close(descriptor);
    return memory;
}

static void say(const char *text) {
    printf("%s\n", text);
    fflush(stdout);
}

int main(int argc, char **argv) {
    char name[300];
    size_t size;
    if (argc < 3 || snprintf(name, sizeof name, "/%s", argv[2]) >= (int)sizeof name)
        return 2;
    if (strcmp(argv[1], "create") == 0 && argc == 4) {
        int descriptor = shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
        if (ftruncate(descriptor, atol(argv[3])) != 0)
            return 1;
        char *memory = map(descriptor, &size);
        strcpy(memory, "from a stranger");
        printf("ready %zu\n", size);
        fflush(stdout);
        if (getchar() != '\n')
            return 1;
        say(memory + 64);
        shm_unlink(name);
        say("removed");
        return 0;
    }
    char *memory = map(shm_open(name, O_RDWR, 0), &size);
    printf("%zu: %s\n", size, memory);
    strcpy(memory + 64, "from a stranger");
    say("done");
    return 0;
}
