/* kernel.h - what the peers share whose messages or wake-ups go through the kernel. Every message
 * is copied in and copied out. */
#ifndef BENCH_PEERS_KERNEL_H
#define BENCH_PEERS_KERNEL_H

#include "../loops.h"
#include "../transports.h"

/* What a call that set errno means to the loops: 1 to try again, or -1, having said why. */
int try_again_or_fail(const char *call);

/* --- A name to meet at ------------------------------------------------------------------------ */

/* In a new directory that only this user can enter. NULL, having said why. private_path_free
 * removes both. */
char *private_path(void);
void private_path_free(char *path);

/* The beginning of a link over ipc://. */
struct ipc_link {
    char *path;
    void *memory; /* shared: to meet */
    bool polled;
    int messages; /* that the capacity holds: 1 at least */
};
bool ipc_create(void *link, const struct setup *setup);
void ipc_destroy(void *link);

/* The receiver listens; then the sender, which has nothing but shared memory to learn of it, dials.
 * 0, or -1 when a call failed or nobody came within seconds. */
int ipc_meet(struct ipc_link *link, enum role role, int (*listens)(void *link, const char *url),
             int (*dials)(void *link, const char *url));

/* --- A library that does not survive a fork --------------------------------------------------- */

/* Loaded when the first link of a process is opened, and unloaded with all that it remembers when
 * the last is closed. `names` ends with NULL; the functions go to `functions`, in their order. */
struct library {
    const char *path, *const *names;
    void **functions, *handle;
    unsigned users;
};
/* 1: it was loaded now; 0: it had been; -1: it cannot be, having said why. */
int library_load(struct library *library);
/* `end` is called before it is unloaded. */
void library_unload(struct library *library, void (*end)(void));

/* --- Messages in a stream of bytes ------------------------------------------------------------ */

/* What was read and not yet taken. Each message has its length in the four bytes before it. */
struct frames {
    size_t start, end;
    unsigned char bytes[65536]; /* at least one message of any size */
};

/* Where to read more to, *room bytes of it; the caller adds what it read to `end`. */
unsigned char *frames_space(struct frames *frames, size_t *room);
/* As calls.receive. */
int frames_take(struct frames *frames, void *buffer, size_t capacity, size_t *size);

/* --- File descriptors ------------------------------------------------------------------------- */

/* The beginning of a link: what is written to fd[SENDER] is read from fd[RECEIVER]. */
struct fd_link {
    int fd[2];    /* -1: closed */
    size_t fixed; /* the size of each message; 0 when they differ and a stream needs frames */
    struct frames frames;
};

/* Over a Unix stream socket. */
bool stream_create(void *link, const struct setup *setup);
/* Leaves one end to each process, so that either notices the other's death. */
int fd_link_open(void *link, enum role role);
void fd_link_close(void *link);

/* A connected pair of Unix sockets. 0, or -1 having said why. */
int unix_connect(int type, size_t capacity, int fd[2]);

#endif
