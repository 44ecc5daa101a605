/* demo.h - the parts of `leat demo`.
 *
 * Two processes: the one the user started receives, shows and checks; it starts the other, the
 * producer, once for each of the two runs. Each opens handles of its own; only the names of the
 * channels, the data in them and the producer's exit status pass between them.
 *
 *     cmd_demo.c       the order of events, the summary, and that nothing is left behind
 *     demo_process.c   starting and ending the producer
 *     demo_producer.c  the producer: `leat demo-producer`, which only the demo starts
 *     demo_live.c      receives the frames with this machine's counters
 *     demo_speed.c     receives at full speed and checks every byte
 *     demo_pattern.c   what the messages of the full-speed run hold
 *     demo_screen.c    shows both, on a terminal or in plain lines
 */
#ifndef LEAT_TOOLS_DEMO_H
#define LEAT_TOOLS_DEMO_H

#include <stdalign.h>
#include <sys/types.h>

#include "common.h"
#include "histogram.h"
#include "proc_counters.h"

/* --- What the channels carry ------------------------------------------------------------------ */

#define DEMO_FRAMES_PER_SECOND 1000

/* One message of the live run: everything in the machine's own byte order, no pointers, the same
 * size always. */
struct demo_frame {
    uint32_t magic;    /* DEMO_FRAME_MAGIC */
    uint32_t size;     /* sizeof(struct demo_frame) */
    uint64_t sequence; /* 0, 1, 2, ...: a gap is a frame that found no room */
    uint64_t sent_ns;  /* CLOCK_MONOTONIC just before the message was committed */
    /* milliseconds so far in which the producer was not running and sent no frame */
    uint64_t late_ticks;
    uint32_t ticks_per_second; /* the unit of the CPU times */
    uint32_t zero;
    struct proc_counters counters; /* each source read 100 times a second */
};

#define DEMO_FRAME_MAGIC 0x3146544cU /* "LTF1" */

/* Messages of the full-speed run: 16 to 2047 bytes; size and content follow from the sequence
 * number. */
#define DEMO_MESSAGE_MIN 16
#define DEMO_MESSAGE_MAX 2047

size_t demo_message_size(uint64_t sequence);
/* `message` has room for demo_message_size bytes and is 8-byte aligned. */
void demo_message_fill(void *message, uint64_t sequence);
/* Whether these are the bytes that demo_message_fill writes. */
bool demo_message_check(const void *message, size_t size, uint64_t sequence);

/* --- The producer process --------------------------------------------------------------------- */

/* run: "frames" or "speed". Gives the process number, or -1 with errno. */
pid_t demo_start(const char *run, const char *channel, double seconds);

/* Waits for its end and gives its exit code (END_BY_SIGNAL + n after signal n). `stop` asks it to
 * end first; one that does not end within two seconds is killed. */
int demo_finish(pid_t producer, bool stop);

/* --- Showing ---------------------------------------------------------------------------------- */

enum demo_style { DEMO_SILENT, DEMO_PLAIN, DEMO_SCREEN };

/* What is known at one moment. */
struct demo_view {
    const char *channel;
    pid_t producer;
    double elapsed, duration;                     /* seconds of this run */
    double messages_per_second, bytes_per_second; /* since the last view */
    uint64_t messages, bytes, lost;
    double wakes_per_message; /* negative: not known */
    /* Live run only. */
    const struct demo_frame *frame, *frame_before; /* the newest, and that of the last view */
    const struct histogram *latency;
};

/* Prepares the style that is asked for; falls back to plain lines on a terminal that curses does
 * not know. */
enum demo_style demo_screen_open(enum demo_style style);
void demo_screen_live(enum demo_style style, const struct demo_view *view);
void demo_screen_speed(enum demo_style style, const struct demo_view *view);
void demo_screen_close(enum demo_style style);
/* How long to wait between two views. */
uint64_t demo_screen_period_ns(enum demo_style style);

/* --- The two runs ----------------------------------------------------------------------------- */

struct demo_run {
    struct target target;
    double duration;
    enum demo_style style;
    leat_receiver *receiver;
    pid_t producer;

    uint64_t messages, bytes, first_ns, last_ns;
    uint64_t lost, damaged;
    uint64_t sent, wake_calls; /* the sender's own count, complete when the run is */
    uint64_t shown_ns, shown_messages, shown_bytes; /* as of the last view */
};

/* Receive until the producer closes. END_OK, or how the demo ends (reported). */
int demo_live(struct demo_run *run, struct histogram *latency);
int demo_speed(struct demo_run *run);

/* For both: the sender's figures as they are now. */
void demo_count_wakes(struct demo_run *run);
/* The run as it is now, and the rates since the view before; what only the live run shows is left
 * to it. */
struct demo_view demo_view(struct demo_run *run, uint64_t now);
double demo_seconds(const struct demo_run *run);
double demo_wakes_per_message(const struct demo_run *run);
/* What receiving gave, other than LEAT_OK and LEAT_ETIMEDOUT; `over` when the stream has ended. */
int demo_on_event(struct demo_run *run, int code, bool *over);

#endif
