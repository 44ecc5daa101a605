/* channels/queue/presence.c - see channels/queue/presence.h. */
#include "channels/queue/presence.h"

#define QUESTIONS_MOST 64
#define ATTEMPTS 4

/* --- Senders ---------------------------------------------------------------------------------- */

struct present {
    uint64_t words[LEAT__PRESENT_WORDS];
};

static void read_members(const struct leat__role_page *page, struct present *present) {
    for (unsigned i = 0; i < LEAT__PRESENT_WORDS; i++)
        present->words[i] = leat__load_acquire64(&page->present[i]);
}

static bool have_changed(const struct leat__role_page *page, const struct present *since) {
    for (unsigned i = 0; i < LEAT__PRESENT_WORDS; i++)
        if (leat__load_acquire64(&page->present[i]) != since->words[i])
            return true;
    return false;
}

static unsigned count(const struct present *present) {
    unsigned bits = 0;
    for (unsigned i = 0; i < LEAT__PRESENT_WORDS; i++)
        bits += (unsigned)__builtin_popcountll(present->words[i]);
    return bits;
}

static bool is_in(const struct present *present, unsigned participant) {
    return (present->words[participant / 64] >> participant % 64 & 1) != 0;
}

/* One detailed check: the bits, and the questions asked so far. */
struct census {
    leat__file file;
    struct present present; /* of the stream in question */
    unsigned questions;
};

/* For few members: asks the kernel about each. */
static enum leat__answer ask_each(const struct census *census) {
    for (unsigned participant = 1; participant <= LEAT__PARTICIPANTS_MAX; participant++) {
        if (census->present.words[participant / 64] == 0)
            participant |= 63;
        else if (is_in(&census->present, participant)) {
            enum leat__answer lives =
                leat__os_locked(census->file, LEAT__LOCK_PARTICIPANTS + participant, 1);
            if (lives != LEAT__NO)
                return lives;
        }
    }
    return LEAT__NO;
}

/* For many members: asks the kernel for one lock after another, whichever handle holds it. */
static enum leat__answer ask_between(struct census *census, unsigned first, unsigned end) {
    unsigned byte;
    if (first >= end)
        return LEAT__NO;
    if (census->questions++ == QUESTIONS_MOST)
        return LEAT__UNKNOWN;
    enum leat__answer answer =
        leat__os_find_locked(census->file, LEAT__LOCK_PARTICIPANTS + first, end - first, &byte);
    unsigned participant = byte - LEAT__LOCK_PARTICIPANTS;
    if (answer != LEAT__YES || is_in(&census->present, participant))
        return answer;
    answer = ask_between(census, first, participant);
    return answer != LEAT__NO ? answer : ask_between(census, participant + 1, end);
}

/* Takes out the sender that is about to begin the next stream. `coming` is read after the bits,
 * because that sender stores it before its bit. */
static void leave_out_coming(const struct leat__role_page *page, uint32_t opened,
                             struct present *present) {
    uint64_t coming = leat__load_relaxed64(&page->coming);
    unsigned participant = (unsigned)(coming & 0xFFFF) % (LEAT__PARTICIPANTS_MAX + 1);
    if (coming == leat__coming(opened + 1, participant))
        present->words[participant / 64] &= ~(UINT64_C(1) << participant % 64);
}

static enum leat__answer examine(leat__file file, const struct leat__role_page *page,
                                 uint32_t opened) {
    struct present before;
    for (unsigned attempts = 0; attempts < ATTEMPTS; attempts++) {
        read_members(page, &before);
        struct census census = {.file = file, .present = before};
        leave_out_coming(page, opened, &census.present);
        enum leat__answer answer = count(&census.present) <= QUESTIONS_MOST
                                       ? ask_each(&census)
                                       : ask_between(&census, 1, LEAT__PARTICIPANTS_MAX + 1);
        if (answer != LEAT__NO || !have_changed(page, &before))
            return answer;
    }
    return LEAT__UNKNOWN;
}

static bool is_present(const struct leat__role_page *page, unsigned participant, uint32_t opened) {
    uint64_t word = leat__load_acquire64(&page->present[participant / 64]);
    return (word >> participant % 64 & 1) != 0 &&
           leat__load_relaxed64(&page->coming) != leat__coming(opened + 1, participant);
}

enum leat__answer leat__senders_live(leat__file file, const struct leat__role_page *page,
                                     uint32_t opened) {
    unsigned byte;
    enum leat__answer answer =
        leat__os_find_locked(file, LEAT__LOCK_PARTICIPANTS + 1, LEAT__PARTICIPANTS_MAX, &byte);
    if (answer != LEAT__YES || is_present(page, byte - LEAT__LOCK_PARTICIPANTS, opened))
        return answer;
    return examine(file, page, opened);
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
