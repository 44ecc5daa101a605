/* channels/queue/processor.c - the table of processor families (channels/queue/processor.h).
 *
 * A new row needs a measurement: docs/decisions/0007-policies.md has the steps. The models of Zen 3
 * are those of Linux (arch/x86/kernel/cpu/amd.c, bsp_init_amd). The first row that fits counts.
 */
#include "channels/queue/processor.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

static const struct row {
    const char *vendor;
    unsigned family, first, last; /* models from first to last */
    struct leat__processor processor;
} rows[] = {
    {"AuthenticAMD", 25, 0x00, 0x0f, {.wipe = 64, .piece = 1984, .name = "AMD Zen 3"}},
    {"AuthenticAMD", 25, 0x20, 0x5f, {.wipe = 64, .piece = 1984, .name = "AMD Zen 3"}},
    {"AuthenticAMD", 25, 0x10, 0xff, {.wipe = 512, .piece = 1984, .name = "AMD Zen 4"}},
    {"AuthenticAMD", 26, 0x00, 0xff, {.wipe = 128, .probes = true, .name = "AMD Zen 5"}},
    {"GenuineIntel", 6, 0x00, 0xff, {.fetch = true, .name = "Intel"}},
};

static const struct leat__processor unknown = {.wipe = 512, .name = "unknown"};

const struct leat__processor *leat__processor_of(const char *vendor, unsigned family,
                                                 unsigned model) {
    for (const struct row *row = rows; row < rows + sizeof rows / sizeof rows[0]; row++)
        if (row->family == family && row->first <= model && model <= row->last &&
            strcmp(row->vendor, vendor) == 0)
            return &row->processor;
    return &unknown;
}

/* The processor's vendor, 12 letters, family and model. False: they are not available. */
static bool identify(char vendor[13], unsigned *family, unsigned *model) {
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
    *model = (a >> 4 & 15) | (a >> 12 & 0xf0);
    return true;
#else
    (void)vendor, (void)family, (void)model;
    return false;
#endif
}

/* Reading the identity takes 20 us in a virtual machine. Threads that read it at the same time find
 * the same row. */
const struct leat__processor *leat__processor(void) {
    static _Atomic(const struct leat__processor *) known;
    const struct leat__processor *processor = atomic_load_explicit(&known, memory_order_relaxed);
    if (processor == NULL) {
        char vendor[13];
        unsigned family, model;
        processor = identify(vendor, &family, &model) ? leat__processor_of(vendor, family, model)
                                                      : &unknown;
        atomic_store_explicit(&known, processor, memory_order_relaxed);
    }
    return processor;
}
