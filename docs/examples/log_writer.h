/* log_writer.h - the disk side of log_files.c: writes batches of messages to numbered files through
 * the loop, one step at a time: create the file if there is none, write until all is written, with
 * `sync` have it on the disk, say so; when a file is full, close it.
 *
 * A step that fails is told once and tried again every retry_ms, from where it stopped: nothing is
 * written twice. Files that exist are never touched: numbers go on after the last one. One writer
 * for each process.
 */
#ifndef LEAT_EXAMPLES_LOG_WRITER_H
#define LEAT_EXAMPLES_LOG_WRITER_H

#include <leat/leat.h>
#include <stdbool.h>
#include <uv.h>

enum { WRITER_MESSAGES = 256 }; /* at most in one batch */

struct writer_settings {
    const char *prefix; /* files are PREFIX.000001 and so on */
    uint64_t rotate_bytes, retry_ms;
    bool lines, sync;
    /* the first so many of the batch are written. From the loop */
    void (*on_written)(size_t count);
    /* the last step failed, and writer_finish had been called. From the loop */
    void (*on_given_up)(void);
};

/* Creates the first file. False, with a complaint, when it cannot. */
bool writer_open(uv_loop_t *loop, const struct writer_settings *settings);

/* Writes as many of the messages as fit into the file, at least one. They must stay as they are
 * until on_written or on_given_up. */
void writer_write(const leat_message *messages, size_t count);

/* No further tries. True: something is being written at this moment, and on_written or on_given_up
 * will come. */
bool writer_finish(void);

/* Cuts off what was written of a batch that is given up, closes the file, and removes it if it is
 * empty. False when there was such a batch. */
bool writer_close(void);

#endif
