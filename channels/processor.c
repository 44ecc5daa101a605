/* channels/processor.c - the table of processor families (channels/processor.h).
 *
 * A new row takes a measurement: docs/decisions/0007-policies.md says how.
 */
#include "channels/processor.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

static const struct row {
    const char *vendor;
    unsigned family;
    struct leat__processor processor;
} rows[] = {
    {"AuthenticAMD", 25, {.wipe = 512, .piece = 1984, .name = "AMD Zen 3, Zen 4"}},
    {"AuthenticAMD", 26, {.wipe = 128, .piece = 1984, .name = "AMD Zen 5"}},
    {"GenuineIntel", 6, {.fetch = true, .name = "Intel"}},
};

static const struct leat__processor unknown = {.wipe = 512, .name = "unknown"};

const struct leat__processor *leat__processor_of(const char *vendor, unsigned family) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].family == family && strcmp(rows[i].vendor, vendor) == 0)
            return &rows[i].processor;
    return &unknown;
}

/* The processor's vendor, 12 letters, and family. False: it does not say. */
static bool identify(char vendor[13], unsigned *family) {
#if defined(__x86_64__) || defined(__i386__)
    unsigned a, b, c, d;
    if (__get_cpuid(0, &a, &b, &c, &d) == 0)
        return false;
    memcpy(vendor, &b, 4);
    memcpy(vendor + 4, &d, 4);
    memcpy(vendor + 8, &c, 4);
    vendor[12] = '\0';
    if (__get_cpuid(1, &a, &b, &c, &d) == 0)
        return false;
    unsigned base = a >> 8 & 15, extended = a >> 20 & 255;
    *family = base == 15 ? base + extended : base;
    return true;
#else
    (void)vendor, (void)family;
    return false;
#endif
}

/* Asking costs 20 us in a virtual machine. Threads that ask at the same time find the same row. */
const struct leat__processor *leat__processor(void) {
    static _Atomic(const struct leat__processor *) known;
    const struct leat__processor *processor = atomic_load_explicit(&known, memory_order_relaxed);
    if (processor == NULL) {
        char vendor[13];
        unsigned family;
        processor = identify(vendor, &family) ? leat__processor_of(vendor, family) : &unknown;
        atomic_store_explicit(&known, processor, memory_order_relaxed);
    }
    return processor;
}
