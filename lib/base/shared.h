/* lib/base/shared.h - the only way to touch words that another process can change.
 *
 * A shared word is wrapped in a struct so that it cannot be read or written by accident: every
 * access goes through one of the functions below, whose name contains the memory order. Acquires,
 * releases and fences that matter carry a label in brackets, [S1] for example. docs/memory-model.md
 * lists the labels: what each pairs with, and what fails without it.
 *
 * C11 promises nothing about other processes. Lock-free atomics are address-free on every system
 * that leat supports, and the assertions below refuse to build where atomics are not lock-free.
 */
#ifndef LEAT_LIB_SHARED_H
#define LEAT_LIB_SHARED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error                                                                                             \
    "leat's shared memory is little-endian by specification (docs/wire-format.md); this host is not"
#endif
_Static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_LLONG_LOCK_FREE == 2,
               "atomics between processes must be lock-free");

typedef struct leat__u32 {
    _Atomic uint32_t word;
} leat__u32;

typedef struct leat__u64 {
    _Alignas(8) _Atomic uint64_t word; /* i386 would align it to 4 */
} leat__u64;

_Static_assert(sizeof(leat__u32) == 4 && sizeof(leat__u64) == 8, "shared words have no padding");

#define LEAT__SHARED_ACCESSORS(type, value_type, suffix)                                           \
    static inline value_type leat__load_relaxed##suffix(const type *shared) {                      \
        return atomic_load_explicit(&((type *)(uintptr_t)shared)->word, memory_order_relaxed);     \
    }                                                                                              \
    static inline value_type leat__load_acquire##suffix(const type *shared) {                      \
        return atomic_load_explicit(&((type *)(uintptr_t)shared)->word, memory_order_acquire);     \
    }                                                                                              \
    static inline value_type leat__load_total##suffix(                                             \
        const type *shared) { /* in one order with all exchanges and full fences */                \
        return atomic_load_explicit(&((type *)(uintptr_t)shared)->word, memory_order_seq_cst);     \
    }                                                                                              \
    static inline void leat__store_relaxed##suffix(type *shared, value_type value) {               \
        atomic_store_explicit(&shared->word, value, memory_order_relaxed);                         \
    }                                                                                              \
    static inline void leat__store_release##suffix(type *shared, value_type value) {               \
        atomic_store_explicit(&shared->word, value, memory_order_release);                         \
    }                                                                                              \
    static inline value_type leat__exchange##suffix(type *shared, value_type value) {              \
        return atomic_exchange_explicit(&shared->word, value, memory_order_seq_cst);               \
    }                                                                                              \
    static inline bool leat__compare_exchange##suffix(type *shared, value_type expected,           \
                                                      value_type desired) {                        \
        return atomic_compare_exchange_strong_explicit(                                            \
            &shared->word, &expected, desired, memory_order_seq_cst, memory_order_relaxed);        \
    }                                                                                              \
    static inline void leat__increment##suffix(type *shared) {                                     \
        atomic_fetch_add_explicit(&shared->word, 1, memory_order_seq_cst);                         \
    }                                                                                              \
    static inline value_type leat__add##suffix(type *shared,                                       \
                                               value_type amount) { /* what it was */              \
        return atomic_fetch_add_explicit(&shared->word, amount, memory_order_seq_cst);             \
    }                                                                                              \
    static inline value_type leat__add_bits##suffix(type *shared,                                  \
                                                    value_type bits) { /* what it was */           \
        return atomic_fetch_or_explicit(&shared->word, bits, memory_order_seq_cst);                \
    }                                                                                              \
    static inline value_type leat__remove_bits##suffix(type *shared,                               \
                                                       value_type bits) { /* what it was */        \
        return atomic_fetch_and_explicit(&shared->word, (value_type)~bits, memory_order_seq_cst);  \
    }

LEAT__SHARED_ACCESSORS(leat__u32, uint32_t, 32)
LEAT__SHARED_ACCESSORS(leat__u64, uint64_t, 64)

/* Store before, load after: the one order that no acquire or release gives. */
static inline void leat__fence_full(void) {
    atomic_thread_fence(memory_order_seq_cst);
}

/* Hints to the processor that this is a spin. */
static inline void leat__pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
    __asm__ __volatile__("yield");
#endif
}

#endif
