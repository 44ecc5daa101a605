/* channels/queue/info.c - reading a channel's state from outside (leat_channel_info_read).
 *
 * The pages are copied by the kernel: nothing can fault, nothing is locked, nobody is woken. The
 * copies are snapshots whose words may be a few messages apart. */
#include <stdlib.h>
#include <string.h>

#include "channels/queue/presence.h"
#include "channels/queue/role.h"
#include "channels/queue/wire.h"
#include "leat/channel.h"
#include "lib/base/fail.h"
#include "lib/object/object.h"

#define LOOKS_MOST 4

struct pages {
    struct leat__role_page sender, receiver, before;
};

typedef enum leat__answer question(leat__file file, const struct leat__role_page *page,
                                   uint32_t opened);

static int read_state(leat__file file, const struct leat__role_page *page, question *lives,
                      leat_peer *state) {
    uint32_t opened = leat__load_relaxed32(&page->opened),
             closed = leat__load_relaxed32(&page->closed);
    enum leat__answer answer = opened != closed ? lives(file, page, opened) : LEAT__NO;
    if (answer == LEAT__UNKNOWN)
        return leat__fail(LEAT_ESYSTEM, 0, "the system does not say whether its users live");
    if (opened == closed)
        *state = opened == 0 ? LEAT_PEER_NONE : LEAT_PEER_CLOSED;
    else
        *state = answer == LEAT__YES ? LEAT_PEER_PRESENT : LEAT_PEER_DIED;
    return LEAT_OK;
}

static bool is_same(const struct leat__role_page *one, const struct leat__role_page *other) {
    return leat__load_relaxed32(&one->opened) == leat__load_relaxed32(&other->opened) &&
           leat__load_relaxed32(&one->closed) == leat__load_relaxed32(&other->closed) &&
           memcmp(one->present, other->present, sizeof one->present) == 0;
}

/* A death is one only if nobody came or went meanwhile. */
static int read_peer(leat__file file, struct pages *pages, bool sends, leat_peer *state) {
    struct leat__role_page *page = sends ? &pages->sender : &pages->receiver;
    const uint64_t place = sends ? LEAT__SENDER_PAGE : LEAT__RECEIVER_PAGE;
    question *lives = sends ? leat__senders_live : leat__receiver_lives;
    for (unsigned polls = 0; polls < LOOKS_MOST; polls++) {
        int result = read_state(file, page, lives, state);
        if (result != LEAT_OK || *state != LEAT_PEER_DIED)
            return result;
        memcpy(&pages->before, page, sizeof pages->before);
        result = leat__os_file_peek(file, place, page, sizeof *page);
        if (result != LEAT_OK || is_same(page, &pages->before))
            return result;
    }
    return leat__fail(LEAT_ESYSTEM, 0, "its users come and go all the time");
}

static int read_pages(leat__file file, uint64_t capacity, struct pages *pages,
                      leat_channel_info *info) {
    int result =
        leat__os_file_peek(file, LEAT__RECEIVER_PAGE, &pages->receiver, sizeof pages->receiver);
    if (result == LEAT_OK)
        result = leat__os_file_peek(file, LEAT__SENDER_PAGE, &pages->sender, sizeof pages->sender);
    if (result != LEAT_OK)
        return result;
    *info = (leat_channel_info){.capacity = capacity, .max_message = leat__max_message(capacity)};
    uint64_t sent = leat__load_relaxed64(&pages->sender.position);
    uint64_t backlog = sent - leat__load_relaxed64(&pages->receiver.position);
    info->backlog_bytes = backlog <= capacity ? backlog : 0;
    result = read_peer(file, pages, true, &info->sender);
    if (result == LEAT_OK)
        result = read_peer(file, pages, false, &info->receiver);
    if (result != LEAT_OK)
        return result;
    info->many_senders =
        info->sender == LEAT_PEER_PRESENT && leat__load_relaxed32(&pages->sender.many) != 0;
    leat__counters_read(&pages->sender.counters, &info->sent);
    leat__counters_read(&pages->receiver.counters, &info->received);
    return LEAT_OK;
}

static int look(leat__file file, leat_kind kind, const struct leat__header *header, void *context) {
    leat_channel_info *info = context;
    uint64_t capacity;
    if (kind != LEAT_KIND_CHANNEL)
        return leat__fail(LEAT_EKIND, 0, "it is a %s", leat_kind_name(kind));
    int result = leat__wire_validate(header, &capacity);
    if (result != LEAT_OK)
        return result;
    struct pages *pages = malloc(sizeof *pages);
    if (pages == NULL)
        return leat__fail(LEAT_ENOMEM, 0, "no memory for a copy of its pages");
    result = read_pages(file, capacity, pages, info);
    free(pages);
    return result;
}

int leat_channel_info_read(const char *name, leat_scope scope, leat_channel_info *info) {
    if (info == NULL)
        return leat__fail_about(leat__fail(LEAT_EINVAL, 0, "info is NULL"), "channel", name);
    return leat__object_inspect(name, scope, "channel", look, info);
}
