/* proc_counters.c - see proc_counters.h. */
#include "proc_counters.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* to begin with; /proc/stat grows with CPUs and interrupt sources */
#define TEXT_BYTES ((size_t)16 << 10)
#define TEXT_BYTES_MAX ((size_t)4 << 20)

/* --- Parsing ---------------------------------------------------------------------------------- */

/* Reads up to `max` numbers that blanks separate; returns how many there were, and moves *text
 * behind them. */
static size_t read_numbers(const char **text, uint64_t *numbers, size_t max) {
    size_t count = 0;
    while (count < max) {
        while (**text == ' ' || **text == '\t')
            (*text)++;
        if (!isdigit((unsigned char)**text))
            break;
        char *end;
        numbers[count++] = strtoull(*text, &end, 10);
        *text = end;
    }
    return count;
}

static const char *next_line(const char *text) {
    const char *newline = strchr(text, '\n');
    return newline == NULL ? text + strlen(text) : newline + 1;
}

/* Whether the line starts with the word; then *rest is what follows it. */
static bool starts_with(const char *line, const char *word, const char **rest) {
    size_t length = strlen(word);
    if (strncmp(line, word, length) != 0)
        return false;
    *rest = line + length;
    return true;
}

/* "cpu3 user nice system idle iowait irq softirq steal ..." behind "cpu". Old kernels have fewer
 * columns. */
static bool parse_cpu(const char *text, struct proc_cpu *cpu) {
    uint64_t ticks[8] = {0};
    while (isdigit((unsigned char)*text))
        text++;
    if (read_numbers(&text, ticks, 8) < 4)
        return false;
    cpu->user = ticks[0] + ticks[1];
    cpu->system = ticks[2] + ticks[5] + ticks[6] + ticks[7];
    cpu->idle = ticks[3] + ticks[4];
    return true;
}

bool proc_parse_stat(const char *text, struct proc_counters *counters) {
    struct proc_cpu cpu;
    const char *rest;
    uint64_t number;
    uint32_t cpus = 0;
    bool switches = false;
    for (; *text != 0; text = next_line(text)) {
        if (starts_with(text, "cpu", &rest) && isdigit((unsigned char)*rest)) {
            if (!parse_cpu(rest, &cpu))
                return false;
            if (cpus < PROC_CPU_MAX)
                counters->cpu[cpus] = cpu;
            cpus++;
        } else if (starts_with(text, "ctxt ", &rest) && read_numbers(&rest, &number, 1) == 1) {
            counters->context_switches = number;
            switches = true;
        } else if (starts_with(text, "procs_running ", &rest) &&
                   read_numbers(&rest, &number, 1) == 1)
            counters->processes_running = (uint32_t)number;
    }
    if (cpus > 0)
        counters->cpu_count = cpus;
    return cpus > 0 && switches;
}

bool proc_parse_meminfo(const char *text, struct proc_counters *counters) {
    const char *rest;
    uint64_t kibibytes;
    bool total = false, available = false;
    for (; *text != 0; text = next_line(text)) {
        if (starts_with(text, "MemTotal:", &rest) && read_numbers(&rest, &kibibytes, 1) == 1) {
            counters->memory_bytes = kibibytes * 1024;
            total = true;
        } else if (starts_with(text, "MemAvailable:", &rest) &&
                   read_numbers(&rest, &kibibytes, 1) == 1) {
            counters->memory_available_bytes = kibibytes * 1024;
            available = true;
        }
    }
    return total && available;
}

/* "  eth0: bytes packets errs drop fifo frame compressed multicast bytes ..." */
bool proc_parse_net_dev(const char *text, struct proc_counters *counters) {
    uint64_t received = 0, sent = 0;
    bool any = false;
    for (; *text != 0; text = next_line(text)) {
        const char *end = next_line(text), *rest;
        const char *colon = memchr(text, ':', (size_t)(end - text));
        uint64_t columns[9];
        if (colon == NULL) /* the two lines of headings */
            continue;
        while (*text == ' ')
            text++;
        rest = colon + 1;
        if (read_numbers(&rest, columns, 9) < 9)
            continue;
        any = true;
        if (strncmp(text, "lo:", 3) == 0)
            continue;
        received += columns[0];
        sent += columns[8];
    }
    if (any) {
        counters->network_received_bytes = received;
        counters->network_sent_bytes = sent;
    }
    return any;
}

/* --- Reading ---------------------------------------------------------------------------------- */

bool proc_open(struct proc_reader *reader) {
    static const char *const paths[PROC_SOURCES] = {"/proc/stat", "/proc/meminfo", "/proc/net/dev"};
    reader->size = TEXT_BYTES;
    reader->text = malloc(reader->size);
    for (size_t i = 0; i < PROC_SOURCES; i++)
        reader->descriptors[i] = reader->text == NULL ? -1 : open(paths[i], O_RDONLY | O_CLOEXEC);
    return reader->text != NULL;
}

void proc_close(struct proc_reader *reader) {
    for (size_t i = 0; i < PROC_SOURCES; i++)
        if (reader->descriptors[i] >= 0)
            close(reader->descriptors[i]);
    free(reader->text);
}

/* The whole file from its start: /proc makes the text anew for each read at offset 0. */
static bool read_text(struct proc_reader *reader, int descriptor) {
    size_t length = 0;
    for (;;) {
        if (length + 1 == reader->size) {
            char *larger =
                reader->size >= TEXT_BYTES_MAX ? NULL : realloc(reader->text, 2 * reader->size);
            if (larger == NULL)
                return false;
            reader->text = larger;
            reader->size *= 2;
        }
        ssize_t got =
            pread(descriptor, reader->text + length, reader->size - 1 - length, (off_t)length);
        if (got < 0 && errno != EINTR)
            return false;
        if (got == 0)
            break;
        length += got > 0 ? (size_t)got : 0;
    }
    reader->text[length] = 0;
    return length > 0;
}

bool proc_refresh(struct proc_reader *reader, enum proc_source source,
                  struct proc_counters *counters) {
    static bool (*const parsers[PROC_SOURCES])(const char *, struct proc_counters *) = {
        proc_parse_stat, proc_parse_meminfo, proc_parse_net_dev};
    int descriptor = reader->descriptors[source];
    return descriptor >= 0 && read_text(reader, descriptor) &&
           parsers[source](reader->text, counters);
}
