/* channels/presence.c - see channels/presence.h. */
#include "channels/presence.h"

#define QUESTIONS_MOST 64
#define LOOKS_MOST 4

/* --- Senders ---------------------------------------------------------------------------------- */

struct members {
    uint64_t words[LEAT__MEMBER_WORDS];
};

static void read_members(const struct leat__role_page *page, struct members *members) {
    for (unsigned i = 0; i < LEAT__MEMBER_WORDS; i++)
        members->words[i] = leat__load_acquire64(&page->members[i]);
}

static bool have_changed(const struct leat__role_page *page, const struct members *since) {
    for (unsigned i = 0; i < LEAT__MEMBER_WORDS; i++)
        if (leat__load_acquire64(&page->members[i]) != since->words[i])
            return true;
    return false;
}

static unsigned count(const struct members *members) {
    unsigned bits = 0;
    for (unsigned i = 0; i < LEAT__MEMBER_WORDS; i++)
        bits += (unsigned)__builtin_popcountll(members->words[i]);
    return bits;
}

static bool is_in(const struct members *members, unsigned slot) {
    return (members->words[slot / 64] >> slot % 64 & 1) != 0;
}

/* One closer look. */
struct look {
    leat__file file;
    struct members members; /* of the stream that is asked about */
    unsigned questions;
};

/* Few members: each of them is asked about. */
static enum leat__answer ask_each(const struct look *look) {
    for (unsigned slot = 1; slot <= LEAT__SLOTS_MAX; slot++) {
        if (look->members.words[slot / 64] == 0)
            slot |= 63;
        else if (is_in(&look->members, slot)) {
            enum leat__answer lives = leat__os_locked(look->file, LEAT__LOCK_SLOTS + slot, 1);
            if (lives != LEAT__NO)
                return lives;
        }
    }
    return LEAT__NO;
}

/* Many members: the locks are gone through, whosever they are. */
static enum leat__answer ask_between(struct look *look, unsigned first, unsigned end) {
    unsigned byte;
    if (first >= end)
        return LEAT__NO;
    if (look->questions++ == QUESTIONS_MOST)
        return LEAT__UNKNOWN;
    enum leat__answer answer =
        leat__os_find_locked(look->file, LEAT__LOCK_SLOTS + first, end - first, &byte);
    unsigned slot = byte - LEAT__LOCK_SLOTS;
    if (answer != LEAT__YES || is_in(&look->members, slot))
        return answer;
    answer = ask_between(look, first, slot);
    return answer != LEAT__NO ? answer : ask_between(look, slot + 1, end);
}

/* Takes out the one that is about to begin the next stream. Read behind the bits, which it sets
 * after it says so. */
static void leave_out_coming(const struct leat__role_page *page, uint32_t opened,
                             struct members *members) {
    uint64_t coming = leat__load_relaxed64(&page->coming);
    unsigned slot = (unsigned)(coming & 0xFFFF) % (LEAT__SLOTS_MAX + 1);
    if (coming == leat__coming(opened + 1, slot))
        members->words[slot / 64] &= ~(UINT64_C(1) << slot % 64);
}

static enum leat__answer look_closer(leat__file file, const struct leat__role_page *page,
                                     uint32_t opened) {
    struct members before;
    for (unsigned looks = 0; looks < LOOKS_MOST; looks++) {
        read_members(page, &before);
        struct look look = {.file = file, .members = before};
        leave_out_coming(page, opened, &look.members);
        enum leat__answer answer = count(&look.members) <= QUESTIONS_MOST
                                       ? ask_each(&look)
                                       : ask_between(&look, 1, LEAT__SLOTS_MAX + 1);
        if (answer != LEAT__NO || !have_changed(page, &before))
            return answer;
    }
    return LEAT__UNKNOWN;
}

static bool is_member(const struct leat__role_page *page, unsigned slot, uint32_t opened) {
    uint64_t word = leat__load_acquire64(&page->members[slot / 64]);
    return (word >> slot % 64 & 1) != 0 &&
           leat__load_relaxed64(&page->coming) != leat__coming(opened + 1, slot);
}

enum leat__answer leat__senders_live(leat__file file, const struct leat__role_page *page,
                                     uint32_t opened) {
    unsigned byte;
    enum leat__answer answer =
        leat__os_find_locked(file, LEAT__LOCK_SLOTS + 1, LEAT__SLOTS_MAX, &byte);
    if (answer != LEAT__YES || is_member(page, byte - LEAT__LOCK_SLOTS, opened))
        return answer;
    return look_closer(file, page, opened);
}

/* --- The receiver ----------------------------------------------------------------------------- */

enum leat__answer leat__receiver_lives(leat__file file, const struct leat__role_page *page,
                                       uint32_t opened) {
    bool has_life = leat__load_relaxed32(&page->lives[opened % 2]) == opened;
    return leat__os_locked(file, has_life ? LEAT__LOCK_LIFE + opened % 2 : LEAT__LOCK_RECEIVER, 1);
}

void leat__receiver_begin_life(leat__file file, struct leat__role_page *own, uint32_t opened) {
    int result = leat__os_lock(file, LEAT__LOCK_LIFE + opened % 2, LEAT__EXCLUSIVE);
    leat__store_relaxed32(&own->lives[opened % 2], result == LEAT_OK ? opened : 0);
}
