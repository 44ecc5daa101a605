/* variants.c - the policies that are measured, each compiled into a pair of functions. They are
 * called through a pointer, as a library's would be. */
#include "variants.h"

#define VARIANT(name, about, ...)                                                                  \
    NOINLINE int name##_send(void *tx, const void *message, size_t length) {                       \
        return send_any(tx, message, length, (struct policy){__VA_ARGS__});                        \
    }                                                                                              \
    NOINLINE int name##_recv(void *rx, void *buffer, size_t capacity, size_t *length) {            \
        return recv_any(rx, buffer, capacity, length, (struct policy){__VA_ARGS__});               \
    }                                                                                              \
    NOINLINE void name##_flush(void *tx) {                                                         \
        flush_batch(tx, (struct policy){__VA_ARGS__});                                             \
    }

/* name, what it is, then the policy: layout, clearing, release_shift, wait_shift, fence, batch,
 * back-off. */
#define VARIANTS(V)                                                                                \
    V(a, "64-byte records, lazy release", RECORD64, AT_START, 2, 0, 0, 0, 0)                       \
    V(b, "8-byte granules, all wiped, lazy release", GRANULE8, WIPE_ALL, 2, 0, 0, 0, 0)            \
    V(c, "packed lines, all wiped, lazy release", PACKED_WIPE, WIPE_ALL, 2, 0, 0, 0, 0)            \
    V(d, "packed lines, one word per line, lazy", PACKED_WORD, AT_START, 2, 0, 0, 0, 0)            \
    V(dl, "d, cleared late", PACKED_WORD, ON_LEAVING, 2, 0, 0, 0, 0)                               \
    V(e1, "slots, released per record", SLOTS, AT_START, 0, 0, 0, 0, 0)                            \
    V(e2, "slots, released by quarter or dry", SLOTS, AT_START, 2, 0, 0, 0, 0)                     \
    V(e3, "slots, cleared late, released per record", SLOTS, ON_LEAVING, 0, 0, 0, 0, 0)            \
    V(e23, "slots, cleared late, released by quarter", SLOTS, ON_LEAVING, 2, 0, 0, 0, 0)           \
    V(e48, "e3, sender waits for 1/8", SLOTS, ON_LEAVING, 0, 3, 0, 0, 0)                           \
    V(e44, "e3, sender waits for 1/4", SLOTS, ON_LEAVING, 0, 2, 0, 0, 0)                           \
    V(e42, "e3, sender waits for 1/2", SLOTS, ON_LEAVING, 0, 1, 0, 0, 0)                           \
    V(e148, "e1, sender waits for 1/8", SLOTS, AT_START, 0, 3, 0, 0, 0)                            \
    V(e144, "e1, sender waits for 1/4", SLOTS, AT_START, 0, 2, 0, 0, 0)                            \
    V(e248, "e23, sender waits for 1/8", SLOTS, ON_LEAVING, 3, 3, 0, 0, 0)                         \
    V(e244, "e23, sender waits for 1/4", SLOTS, ON_LEAVING, 2, 2, 0, 0, 0)                         \
    V(fw, "slots, all wiped, lazy release", SLOTS, WIPE_ALL, 2, 0, 0, 0, 0)                        \
    V(fs, "slots, short records wiped, lazy", SLOTS, WIPE_SHORT, 2, 0, 0, 0, 0)                    \
    V(fwo, "fw with back-off", SLOTS, WIPE_ALL, 2, 0, 0, 0, 1)                                     \
    V(fso, "fs with back-off", SLOTS, WIPE_SHORT, 2, 0, 0, 0, 1)                                   \
    V(fsof, "fs with back-off and fence", SLOTS, WIPE_SHORT, 2, 0, 1, 0, 1)                        \
    V(fsk16, "fs, batches of 16", SLOTS, WIPE_SHORT, 2, 0, 0, 16, 0)                               \
    V(fsk64, "fs, batches of 64", SLOTS, WIPE_SHORT, 2, 0, 0, 64, 0)                               \
    V(fsok16, "fs with back-off, batches of 16", SLOTS, WIPE_SHORT, 2, 0, 0, 16, 1)                \
    V(fs8, "fs, released by eighth", SLOTS, WIPE_SHORT, 3, 0, 0, 0, 0)                             \
    V(fs48, "fs by eighth, sender waits for 1/8", SLOTS, WIPE_SHORT, 3, 3, 0, 0, 0)                \
    V(ao, "a with back-off", RECORD64, AT_START, 2, 0, 0, 0, 1)                                    \
    V(bo, "b with back-off", GRANULE8, WIPE_ALL, 2, 0, 0, 0, 1)                                    \
    V(co, "c with back-off", PACKED_WIPE, WIPE_ALL, 2, 0, 0, 0, 1)                                 \
    V(dob, "d with back-off", PACKED_WORD, AT_START, 2, 0, 0, 0, 1)                                \
    V(e1o, "e1 with back-off", SLOTS, AT_START, 0, 0, 0, 0, 1)                                     \
    V(e2o, "e2 with back-off", SLOTS, AT_START, 2, 0, 0, 0, 1)                                     \
    V(e3o, "e3 with back-off", SLOTS, ON_LEAVING, 0, 0, 0, 0, 1)                                   \
    V(e23o, "e23 with back-off", SLOTS, ON_LEAVING, 2, 0, 0, 0, 1)                                 \
    V(e48o, "e48 with back-off", SLOTS, ON_LEAVING, 0, 3, 0, 0, 1)                                 \
    V(e44o, "e44 with back-off", SLOTS, ON_LEAVING, 0, 2, 0, 0, 1)                                 \
    V(e2f, "e2 with fence", SLOTS, AT_START, 2, 0, 1, 0, 0)                                        \
    V(e23f, "e23 with fence", SLOTS, ON_LEAVING, 2, 0, 1, 0, 0)                                    \
    V(e23of, "e23 with back-off and fence", SLOTS, ON_LEAVING, 2, 0, 1, 0, 1)                      \
    V(e3f, "e3 with fence", SLOTS, ON_LEAVING, 0, 0, 1, 0, 0)                                      \
    V(e3of, "e3 with back-off and fence", SLOTS, ON_LEAVING, 0, 0, 1, 0, 1)                        \
    V(e44f, "e44 with fence", SLOTS, ON_LEAVING, 0, 2, 1, 0, 0)                                    \
    V(e44of, "e44 with back-off and fence", SLOTS, ON_LEAVING, 0, 2, 1, 0, 1)                      \
    V(e3k4, "e3, batches of 4", SLOTS, ON_LEAVING, 0, 0, 0, 4, 0)                                  \
    V(e3k16, "e3, batches of 16", SLOTS, ON_LEAVING, 0, 0, 0, 16, 0)                               \
    V(e3k64, "e3, batches of 64", SLOTS, ON_LEAVING, 0, 0, 0, 64, 0)                               \
    V(e23k4, "e23, batches of 4", SLOTS, ON_LEAVING, 2, 0, 0, 4, 0)                                \
    V(e23k16, "e23, batches of 16", SLOTS, ON_LEAVING, 2, 0, 0, 16, 0)                             \
    V(e23k64, "e23, batches of 64", SLOTS, ON_LEAVING, 2, 0, 0, 64, 0)                             \
    V(e44k16, "e44, batches of 16", SLOTS, ON_LEAVING, 0, 2, 0, 16, 0)                             \
    V(e44k64, "e44, batches of 64", SLOTS, ON_LEAVING, 0, 2, 0, 64, 0)

VARIANTS(VARIANT)
#define VARIANT_ROW(name, about, ...) {#name, about, {name##_send, name##_recv, name##_flush}},
const struct variant variants[] = {VARIANTS(VARIANT_ROW){0}};
