/* proc_counters.h - this machine's live counters, as Linux gives them in /proc.
 *
 * Guarantees: the parsers accept any text and never read past its terminating NUL; what is missing
 * leaves its counters as they were and makes the parser return false. Formats: proc(5).
 */
#ifndef LEAT_TOOLS_PROC_COUNTERS_H
#define LEAT_TOOLS_PROC_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROC_CPU_MAX 64 /* further ones are counted in cpu_count and not kept */

/* In clock ticks (sysconf(_SC_CLK_TCK) a second, 100 nearly everywhere) since boot. */
struct proc_cpu {
    uint64_t user;   /* user, nice */
    uint64_t system; /* system, interrupts, stolen by the hypervisor */
    uint64_t idle;   /* idle, waiting for disks */
};

struct proc_counters {
    uint32_t cpu_count;
    uint32_t processes_running;
    uint64_t context_switches; /* since boot */
    uint64_t memory_bytes, memory_available_bytes;
    /* since boot, all interfaces but loopback */
    uint64_t network_received_bytes, network_sent_bytes;
    struct proc_cpu cpu[PROC_CPU_MAX];
};

bool proc_parse_stat(const char *text, struct proc_counters *counters);
bool proc_parse_meminfo(const char *text, struct proc_counters *counters);
bool proc_parse_net_dev(const char *text, struct proc_counters *counters);

/* The three files, kept open. */
enum proc_source { PROC_STAT, PROC_MEMINFO, PROC_NET_DEV, PROC_SOURCES };

struct proc_reader {
    int descriptors[PROC_SOURCES];
    char *text;
    size_t size;
};

/* Opens what can be opened; false only when memory is short. */
bool proc_open(struct proc_reader *reader);
void proc_close(struct proc_reader *reader);

/* Brings the counters of one source up to date. False when it cannot be read: the counters stay as
 * they were. */
bool proc_refresh(struct proc_reader *reader, enum proc_source source,
                  struct proc_counters *counters);

#endif
