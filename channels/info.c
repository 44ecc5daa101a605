/* channels/info.c - reading a channel's state from outside (leat_channel_info_read).
 *
 * The pages are copied by the kernel: nothing can fault, nothing is locked, nobody is woken. The copies are
 * snapshots whose words may be a few messages apart. */
#include <stdlib.h>

#include "channels/wire.h"
#include "channels/side.h"
#include "leat/channel.h"
#include "lib/fail.h"
#include "lib/object.h"

struct pages {
    struct leat__role_page sender, receiver;
};

static int read_state(leat__file file, const struct leat__role_page *page, unsigned place, unsigned places, leat_peer *state) {
    uint32_t opened = leat__load_relaxed32(&page->opened), closed = leat__load_relaxed32(&page->closed);
    enum leat__answer answer = opened != closed ? leat__os_locked(file, place, places) : LEAT__NO;
    if (answer == LEAT__UNKNOWN)
        return leat__fail(LEAT_ESYSTEM, 0, "the system does not say whether its users live");
    if (opened == closed)
        *state = opened == 0 ? LEAT_PEER_NONE : LEAT_PEER_CLOSED;
    else
        *state = answer == LEAT__YES ? LEAT_PEER_PRESENT : LEAT_PEER_DIED;
    return LEAT_OK;
}

static int read_pages(leat__file file, uint64_t capacity, struct pages *pages, leat_channel_info *info) {
    int result = leat__os_file_peek(file, LEAT__RECEIVER_PAGE, &pages->receiver, sizeof pages->receiver);
    if (result == LEAT_OK)
        result = leat__os_file_peek(file, LEAT__SENDER_PAGE, &pages->sender, sizeof pages->sender);
    if (result != LEAT_OK)
        return result;
    *info = (leat_channel_info){.capacity = capacity, .max_message = leat__max_message(capacity)};
    uint64_t sent = leat__load_relaxed64(&pages->sender.position);
    uint64_t backlog = sent - leat__load_relaxed64(&pages->receiver.position);
    info->backlog_bytes = backlog <= capacity ? backlog : 0;
    result = read_state(file, &pages->sender, LEAT__LOCK_SLOTS + 1, LEAT__SLOTS_MAX, &info->sender);
    if (result == LEAT_OK)
        result = read_state(file, &pages->receiver, LEAT__LOCK_RECEIVER, 1, &info->receiver);
    if (result != LEAT_OK)
        return result;
    info->many_senders = info->sender == LEAT_PEER_PRESENT && leat__load_relaxed32(&pages->sender.many) != 0;
    leat__counters_read(&pages->sender.counters, &info->sent);
    leat__counters_read(&pages->receiver.counters, &info->received);
    return LEAT_OK;
}

static int look(leat__file file, leat_kind kind, const struct leat__header *header, void *context) {
    leat_channel_info *info = context;
    struct leat__channel_setup setup;
    if (kind != LEAT_KIND_CHANNEL)
        return leat__fail(LEAT_EKIND, 0, "it is a %s", leat_kind_name(kind));
    int result = leat__wire_validate(header, &setup);
    if (result != LEAT_OK)
        return result;
    struct pages *pages = malloc(sizeof *pages);
    if (pages == NULL)
        return leat__fail(LEAT_ENOMEM, 0, "no memory for a copy of its pages");
    result = read_pages(file, setup.capacity, pages, info);
    info->policy = setup.policy;
    free(pages);
    return result;
}

int leat_channel_info_read(const char *name, leat_scope scope, leat_channel_info *info) {
    if (info == NULL)
        return leat__fail_about(leat__fail(LEAT_EINVAL, 0, "info is NULL"), "channel", name);
    return leat__object_look(name, scope, "channel", look, info);
}
