/* lib/remote/linux/inject_other.c - processors and 32-bit builds for which nobody has written the
 * registers' part. See inject.h. */
#include "lib/remote/linux/inject.h"

#if !(defined(__x86_64__) && defined(__LP64__)) && !(defined(__aarch64__) && defined(__LP64__))

const unsigned char leat__instruction[] = {0};
const size_t leat__instruction_size = 1, leat__instruction_alignment = 1;
const bool leat__inject_possible = false;

int leat__registers_save(pid_t thread, struct leat__registers *saved) {
    (void)thread, (void)saved;
    return LEAT_ENOTSUP;
}

int leat__registers_call(pid_t thread, const struct leat__registers *saved, uint64_t instruction,
                         long number, const uint64_t arguments[6]) {
    (void)thread, (void)saved, (void)instruction, (void)number, (void)arguments;
    return LEAT_ENOTSUP;
}

int leat__registers_result(pid_t thread, int64_t *result) {
    (void)thread, (void)result;
    return LEAT_ENOTSUP;
}

int64_t leat__registers_refusal(long number, const uint64_t arguments[6]) {
    (void)number, (void)arguments;
    return 0;
}

int leat__registers_restore(pid_t thread, const struct leat__registers *saved, bool undisturbed) {
    (void)thread, (void)saved, (void)undisturbed;
    return LEAT_ENOTSUP;
}

bool leat__registers_stand_before(pid_t thread, const struct leat__registers *saved, long call) {
    (void)thread, (void)saved, (void)call;
    return false;
}

int leat__registers_interrupt(pid_t thread, const struct leat__registers *saved) {
    (void)thread, (void)saved;
    return LEAT_ENOTSUP;
}

void leat__registers_free(struct leat__registers *saved) {
    (void)saved;
}

#endif
