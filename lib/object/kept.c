/* lib/object/kept.c - whether a mutex that no process has open stays. See kept.h. */
#include "lib/object/kept.h"

enum leat__answer leat__object_keeps(leat__file file, const struct leat__header *header,
                                     bool closing) {
    struct leat__mutex_words words;
    if (header->kind != LEAT_KIND_MUTEX || header->object_size != LEAT__MUTEX_FILE_SIZE)
        return LEAT__NO;
    if (leat__os_file_peek(file, LEAT__MUTEX_WORDS, &words, sizeof words) != LEAT_OK)
        return LEAT__UNKNOWN;
    uint64_t pi = header->parameters[LEAT__MUTEX_PI] != 0 ? leat__load_relaxed64(&words.pi) : 0;
    uint32_t abandoned = leat__load_relaxed32(&words.abandoned);
    bool keeps = (leat__load_relaxed64(&words.owner) & 0xFFFF) != 0 || (uint32_t)pi != 0 ||
                 abandoned == LEAT__ABANDONED_BY_DEATH ||
                 (!closing && (abandoned != 0 || leat__load_relaxed32(&words.lost) != 0));
    return keeps ? LEAT__YES : LEAT__NO;
}
