/* channels/policy.c - which policy a channel gets (leat/policy.h). */
#include "channels/policy.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/fail.h"
#include "lib/os.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

/* Of a processor in no row. The spin: as long as the system takes to wake a sleeper costs at most twice as much as never spinning or never
 * sleeping would; that is 20 to 50 us where it was measured. */
static const leat_policy otherwise = {.spin_ns = 50000, .nap_ns = 1600, .wipe_bytes = 512, .source = LEAT_POLICY_DEFAULT};

/* What docs/decisions/0007-policies.md measured. */
static const struct row {
    const char *vendor;
    unsigned family;
    leat_policy policy;
} table[] = {
    {"AuthenticAMD", 25, {50000, 1600, 512, LEAT_POLICY_TABLE}}, /* Zen 3, Zen 4 */
    {"GenuineIntel", 6, {50000, 1600, 0, LEAT_POLICY_TABLE}},    /* Emerald Rapids */
    {"AuthenticAMD", 26, {50000, 1600, 128, LEAT_POLICY_TABLE}}, /* Zen 5 */
};

/* The processor's vendor, 12 letters, and family. */
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

/* The processor's row, or NULL. */
static const struct row *find_row(void) {
    char vendor[13];
    unsigned family;
    if (identify(vendor, &family))
        for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
            if (table[i].family == family && strcmp(table[i].vendor, vendor) == 0)
                return &table[i];
    return NULL;
}

/* Asks the processor once only: in a virtual machine that takes 20 us. Threads that ask at the same moment get the same answer. */
static leat_policy look_up(void) {
    static _Atomic(const struct row *) known;
    static atomic_bool asked;
    if (!atomic_load_explicit(&asked, memory_order_acquire)) {
        atomic_store_explicit(&known, find_row(), memory_order_relaxed);
        atomic_store_explicit(&asked, true, memory_order_release);
    }
    const struct row *row = atomic_load_explicit(&known, memory_order_relaxed);
    return row != NULL ? row->policy : otherwise;
}

int leat__policy_check(const leat_policy *policy) {
    if (policy->spin_ns > LEAT_POLICY_SPIN_MAX)
        return leat__fail(LEAT_EINVAL, 0, "a spin of %u ns, at most %u", policy->spin_ns, LEAT_POLICY_SPIN_MAX);
    if (policy->nap_ns > LEAT_POLICY_NAP_MAX)
        return leat__fail(LEAT_EINVAL, 0, "a nap of %u ns, at most %u", policy->nap_ns, LEAT_POLICY_NAP_MAX);
    if (policy->wipe_bytes > LEAT_POLICY_WIPE_MAX)
        return leat__fail(LEAT_EINVAL, 0, "%u bytes to wipe, at most %u", policy->wipe_bytes, LEAT_POLICY_WIPE_MAX);
    if ((unsigned)policy->source > LEAT_POLICY_MEASURED)
        return leat__fail(LEAT_EINVAL, 0, "a policy from nowhere");
    return LEAT_OK;
}

/* "KEY=NUMBER" up to the next comma. */
static int parse_one(leat_policy *policy, const char *text, size_t length) {
    static const char *const keys[] = {"spin=", "nap=", "wipe="};
    uint32_t *const values[] = {&policy->spin_ns, &policy->nap_ns, &policy->wipe_bytes};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        size_t key = strlen(keys[i]);
        if (length <= key || strncmp(text, keys[i], key) != 0)
            continue;
        uint64_t value = 0;
        for (size_t at = key; at < length; at++) {
            if (text[at] < '0' || text[at] > '9' || value > UINT32_MAX)
                return leat__fail(LEAT_EINVAL, 0, "'%.*s' is no whole number", (int)(length - key), text + key);
            value = value * 10 + (uint64_t)(text[at] - '0');
        }
        *values[i] = value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
        return LEAT_OK;
    }
    return leat__fail(LEAT_EINVAL, 0, "'%.*s' is not spin=NS, nap=NS or wipe=BYTES", (int)length, text);
}

int leat_policy_parse(leat_policy *policy, const char *text) {
    if (policy == NULL || text == NULL)
        return leat__fail(LEAT_EINVAL, 0, "no policy or no text");
    leat_policy parsed = *policy;
    for (const char *at = text, *end;; at = end + 1) {
        end = strchr(at, ',');
        int result = parse_one(&parsed, at, end != NULL ? (size_t)(end - at) : strlen(at));
        if (result != LEAT_OK)
            return result;
        if (end == NULL)
            break;
    }
    int result = leat__policy_check(&parsed);
    if (result == LEAT_OK)
        *policy = parsed;
    return result;
}

int leat_policy_choose(leat_policy *policy) {
    if (policy == NULL)
        return leat__fail(LEAT_EINVAL, 0, "no policy");
    leat_policy chosen = look_up();
    const char *text = secure_getenv("LEAT_POLICY");
    if (text != NULL && *text != '\0') {
        chosen.source = LEAT_POLICY_ENVIRONMENT;
        int result = leat_policy_parse(&chosen, text);
        if (result != LEAT_OK)
            return leat__fail_about(result, "variable", "LEAT_POLICY");
    }
    *policy = chosen;
    return LEAT_OK;
}

const char *leat_policy_source_name(leat_policy_source source) {
    static const char *const names[] = {"default", "table", "environment", "given", "measured"};
    return (unsigned)source < sizeof names / sizeof names[0] ? names[source] : "?";
}
