/* kernel.h - the peers whose messages or wake-ups go through the kernel, and what their files
 * share.
 *
 * A name without `_wait` is polled: its calls never block and are repeated in the loop that all
 * polled transports share. With `_wait` (and for raw_* and uv_pipe) the calls block in the kernel,
 * as in an application that leaves the CPU to others. Every message is copied in and copied out. */
#ifndef BENCH_PEERS_KERNEL_H
#define BENCH_PEERS_KERNEL_H

#include "transport.h"

extern const struct transport *const peers_kernel[]; /* those that this build has; NULL ends it */

extern const struct transport transport_pipe_wait;
extern const struct transport transport_unix_stream, transport_unix_stream_wait;
extern const struct transport transport_unix_seqpacket, transport_unix_seqpacket_wait;
extern const struct transport transport_posix_mq, transport_posix_mq_wait;
extern const struct transport transport_raw_futex, transport_raw_eventfd, transport_raw_epoll;
extern const struct transport transport_zeromq, transport_zeromq_wait; /* BENCH_HAVE_ZEROMQ */
extern const struct transport transport_nng, transport_nng_wait;       /* BENCH_HAVE_NNG */
extern const struct transport transport_uv_pipe;                       /* BENCH_HAVE_UV */
extern const struct transport transport_iceoryx;                       /* BENCH_HAVE_ICEORYX */

/* --- A name to meet at ------------------------------------------------------------------------ */

/* In a new directory that only this user can enter. NULL, having said why. private_path_free
 * removes both. */
char *private_path(void);
void private_path_free(char *path);

/* Before the processes part there is nothing but shared memory to tell the sender that its peer can
 * be reached. */
void meeting_announce(void *memory);
int meeting_wait(const void *memory); /* 0, or -1 when nobody came within seconds */

/* --- Messages in a stream of bytes ------------------------------------------------------------ */

/* What was read and not yet taken. Each message has its length in the four bytes before it. */
struct frames {
    size_t start, end;
    unsigned char bytes[65536]; /* at least one message of any size */
};

/* Where to read more to, *room bytes of it; whoever does adds to `end`. */
unsigned char *frames_space(struct frames *frames, size_t *room);
/* as calls.receive */
int frames_take(struct frames *frames, void *buffer, size_t capacity, size_t *size);

/* --- File descriptors ------------------------------------------------------------------------- */

/* What is written to fd[SENDER] is read from fd[RECEIVER]. */
struct fd_link {
    int fd[2];    /* -1: closed */
    size_t fixed; /* the size of each message; 0 when they differ and a stream needs frames */
    struct frames frames;
};

/* Takes over the descriptors, also when it fails, and makes them block or not. NULL, having said
 * why. */
void *fd_link_new(const int fd[2], const struct setup *setup);
/* leaves one end to each process, so that either notices the other die */
int fd_link_open(void *link, enum role role);
void fd_link_free(void *link);

/* As struct calls. Packets keep their borders by themselves; in a stream, a message that was begun
 * is finished. */
int packet_send(void *link, const void *message, size_t size);
int packet_receive(void *link, void *buffer, size_t capacity, size_t *size);
int stream_send(void *link, const void *message, size_t size);
int stream_receive(void *link, void *buffer, size_t capacity, size_t *size);

/* What a call that set errno means to the loops: 1 to try again, or -1, having said why. */
int try_again_or_fail(const char *call);

/* A connected pair of sockets that met at a private path, whose name is gone already. 0, or -1
 * having said why. */
int unix_connect(int type, size_t capacity, int fd[2]);

#endif
