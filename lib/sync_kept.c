/* lib/sync_kept.c - what the file of a mutex that nobody has open says (lib/sync.h). The object
 * layer asks before it removes one. */
#include "lib/sync.h"

/* The part of the page that says so. */
struct words {
    struct leat__lock word;
    leat__u32 lost, abandoned;
    leat__u64 pi;
};

_Static_assert(offsetof(struct words, pi) ==
                   offsetof(struct leat__sync_page, pi) - offsetof(struct leat__sync_page, word),
               "as in the page");

/* The next who locks it is to be told that its holder died; or that it was given up or closed while
 * held: that, only as long as the last user does not close in order. */
enum leat__answer leat__sync_keeps(leat__file file, const struct leat__header *header,
                                   bool closing) {
    struct words words;
    if (header->kind != LEAT_KIND_MUTEX || header->object_size != sizeof(struct leat__sync_page))
        return LEAT__NO;
    if (leat__os_file_peek(file, offsetof(struct leat__sync_page, word), &words, sizeof words) !=
        LEAT_OK)
        return LEAT__UNKNOWN;
    uint64_t pi = header->parameters[LEAT__SYNC_PI] != 0 ? leat__load_relaxed64(&words.pi) : 0;
    bool keeps =
        leat__lock_slot(leat__load_relaxed64(&words.word.owner)) != 0 || (uint32_t)pi != 0 ||
        leat__load_relaxed32(&words.abandoned) == LEAT__ABANDONED_BY_DEATH ||
        (!closing &&
         (leat__load_relaxed32(&words.abandoned) != 0 || leat__load_relaxed32(&words.lost) != 0));
    return keeps ? LEAT__YES : LEAT__NO;
}
