/* log_writer.c - see log_writer.h. */
#include "log_writer.h"

#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "common.h"

static struct writer_settings settings;
static uv_loop_t *loop;
static uv_timer_t retry;
static uv_fs_t request; /* the only one */

static int directory = -1; /* with `sync`: the name of a new file has to be on the disk as well */
static int file = -1;
static bool named; /* and it is */
static unsigned file_number;
static char file_name[4096];
static uint64_t file_size; /* of whole batches */

static const leat_message *batch;
static unsigned char lengths[WRITER_MESSAGES][4];
/* messages, of them in this file; their bytes, of them written */
static size_t given, count, size, written;

static bool failing, finishing;

static void next_step(void);

static void on_retry(uv_timer_t *timer) {
    (void)timer;
    next_step();
}

static void fail(const char *what, int error) {
    if (!failing)
        complain(what, file_name, uv_strerror(error),
                 "make room, or put it right; it is tried again, and nothing is lost meanwhile");
    failing = true;
    if (!finishing)
        uv_timer_start(&retry, on_retry, settings.retry_ms, 0);
    else
        settings.on_given_up();
}

/* --- Files ------------------------------------------------------------------------------------ */

/* Tries the next number; UV_EEXIST is for the caller to count on. NULL: at once. */
static int create_next(uv_fs_cb callback) {
    snprintf(file_name, sizeof file_name, "%s.%06u", settings.prefix, ++file_number);
    return uv_fs_open(loop, &request, file_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644,
                      callback);
}

static void begin_file(int descriptor) {
    file = descriptor;
    file_size = 0;
    named = !settings.sync;
}

/* --- Batches ---------------------------------------------------------------------------------- */

static size_t framed(const leat_message *message) {
    return message->size + (settings.lines ? 1 : sizeof lengths[0]);
}

static bool fits(const leat_message *message) {
    return file_size + size == 0 || file_size + size + framed(message) <= settings.rotate_bytes;
}

/* What fits into the file; nothing if it is full. */
static void choose(void) {
    for (count = size = written = 0; count < given && fits(&batch[count]);
         size += framed(&batch[count++]))
        for (int i = 0; i < 4; i++)
            lengths[count][i] = (unsigned char)(batch[count].size >> (8 * i));
}

static void write_rest(uv_fs_cb callback) {
    static char newline = '\n';
    uv_buf_t parts[2 * WRITER_MESSAGES], *first = parts, *end = parts;
    for (size_t i = 0; i < count; i++) {
        if (!settings.lines)
            *end++ = uv_buf_init((char *)lengths[i], sizeof lengths[i]);
        *end++ = uv_buf_init((char *)(uintptr_t)batch[i].data, (unsigned)batch[i].size);
        if (settings.lines)
            *end++ = uv_buf_init(&newline, 1);
    }
    size_t skip = written;
    for (; skip >= first->len; first++)
        skip -= first->len;
    first->base += skip;
    first->len -= skip;
    uv_fs_write(loop, &request, file, first, (unsigned)(end - first),
                (int64_t)(file_size + written), callback);
}

/* What was asked of the disk is seen from the request's type. */
static void on_step(uv_fs_t *done) {
    int result = (int)done->result;
    uv_fs_type type = done->fs_type;
    uv_fs_req_cleanup(done);
    if (result < 0 && type == UV_FS_OPEN && result != UV_EEXIST)
        file_number--; /* it will be tried again */
    if (result == 0 && type == UV_FS_WRITE)
        result = UV_EIO;
    if (type == UV_FS_CLOSE)
        file = -1; /* also when it failed */
    if (result < 0 && result != UV_EEXIST) {
        fail(type == UV_FS_OPEN    ? "create"
             : type == UV_FS_WRITE ? "write to"
             : type == UV_FS_CLOSE ? "close"
                                   : "sync",
             result);
        return;
    }
    failing = false;
    switch ((int)type) {
    case UV_FS_OPEN:
        if (result != UV_EEXIST)
            begin_file(result);
        break;
    case UV_FS_FSYNC:
        named = true;
        break;
    case UV_FS_WRITE:
        written += (size_t)result;
        break;
    default:
        break;
    }
    if (type == UV_FS_FDATASYNC || (type == UV_FS_WRITE && written == size && !settings.sync)) {
        size_t done_count = count;
        file_size += size;
        given = count = size = written = 0;
        settings.on_written(done_count);
    } else {
        next_step();
    }
}

static void next_step(void) {
    if (file < 0) {
        create_next(on_step);
        return;
    }
    if (!named) {
        uv_fs_fsync(loop, &request, directory, on_step);
        return;
    }
    if (written == 0)
        choose();
    if (count == 0)
        uv_fs_close(loop, &request, file, on_step); /* it is full */
    else if (written < size)
        write_rest(on_step);
    else
        uv_fs_fdatasync(loop, &request, file, on_step);
}

/* --- Life ------------------------------------------------------------------------------------- */

bool writer_open(uv_loop_t *of, const struct writer_settings *wanted) {
    int result;
    loop = of;
    settings = *wanted;
    signal(SIGXFSZ, SIG_IGN); /* a limit of the file's size is an error like others */
    uv_timer_init(loop, &retry);
    while ((result = create_next(NULL)) == UV_EEXIST)
        uv_fs_req_cleanup(&request);
    uv_fs_req_cleanup(&request);
    if (result >= 0) {
        begin_file(result);
        char path[sizeof file_name];
        snprintf(path, sizeof path, "%s", file_name);
        directory = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        result = directory < 0 ? uv_translate_sys_error(errno) : 0;
    }
    if (result < 0)
        complain("create", file_name, uv_strerror(result),
                 "make its directory, with the right to write there, or choose another prefix");
    return result >= 0;
}

void writer_write(const leat_message *messages, size_t message_count) {
    batch = messages;
    given = message_count < WRITER_MESSAGES ? message_count : WRITER_MESSAGES;
    count = size = written = 0;
    next_step();
}

bool writer_finish(void) {
    finishing = true;
    if (!uv_is_active((uv_handle_t *)&retry))
        return given > 0;
    uv_timer_stop(&retry);
    return false;
}

bool writer_close(void) {
    bool whole = given == 0;
    uv_fs_t last;
    if (file >= 0 && written > 0 &&
        uv_fs_ftruncate(loop, &last, file, (int64_t)file_size, NULL) != 0)
        complain("cut back", file_name, uv_strerror((int)last.result),
                 "its last message is not whole");
    if (file >= 0)
        uv_fs_close(loop, &last, file, NULL);
    if (file >= 0 && file_size == 0)
        uv_fs_unlink(loop, &last, file_name, NULL);
    if (directory >= 0)
        close(directory);
    file = directory = -1;
    return whole;
}
