/* lib/os/linux/file_io.c - reads and writes whole ranges of files, and touches files. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>

#include "lib/base/fail.h"
#include "lib/os/linux/calls.h"

int leat__os_file_read(leat__file file, uint64_t offset, void *buffer, size_t size) {
    unsigned interrupted = 0;
    for (size_t done = 0; done < size;) {
        ssize_t got =
            leat__linux_pread(file, (char *)buffer + done, size - done, (off_t)(offset + done));
        if (got < 0 && leat__linux_again(&interrupted))
            continue;
        if (got < 0)
            return leat__fail_system(errno, "cannot read");
        if (got == 0)
            return leat__fail(LEAT_ECORRUPT, 0, "the file ends at byte %llu",
                              (unsigned long long)(offset + done));
        done += (size_t)got;
    }
    return LEAT_OK;
}

static int write_all(leat__file file, uint64_t offset, const char *data, size_t size) {
    unsigned interrupted = 0;
    for (size_t done = 0; done < size;) {
        ssize_t put = leat__linux_pwrite(file, data + done, size - done, (off_t)(offset + done));
        if (put < 0 && leat__linux_again(&interrupted))
            continue;
        if (put <= 0)
            return leat__fail_system(errno, "cannot write");
        done += (size_t)put;
    }
    return LEAT_OK;
}

static bool is_pending(int signal_number) {
    sigset_t pending;
    return sigpending(&pending) == 0 && sigismember(&pending, signal_number) == 1;
}

/* Beyond RLIMIT_FSIZE the thread gets SIGXFSZ, which would end the process: it is taken away. */
int leat__os_file_write(leat__file file, uint64_t offset, const void *data, size_t size) {
    sigset_t limit, before;
    sigemptyset(&limit);
    sigaddset(&limit, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &limit, &before);
    bool callers = sigismember(&before, SIGXFSZ) == 1 && is_pending(SIGXFSZ);
    int result = write_all(file, offset, data, size);
    if (result == LEAT_ENOSPC && !callers)
        (void)leat__linux_take_signal(&limit);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

/* Reserving a byte that exists counts as writing, whatever the limit for the size of files. */
int leat__os_file_touch(leat__file file, uint64_t offset) {
    unsigned interrupted = 0;
    do
        if (leat__linux_fallocate(file, FALLOC_FL_KEEP_SIZE, (off_t)offset, 1) == 0)
            return LEAT_OK;
    while (leat__linux_again(&interrupted));
    return leat__os_file_write(file, offset, "", 1); /* not on every file system */
}
