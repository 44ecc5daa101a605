/* channels/queue/info.c - reading a channel's state from outside (leat_channel_stat).
 *
 * The kernel copies the pages: no access can fault, nothing is locked, no waiter is woken. The
 * copies are snapshots whose words may be a few messages apart. */
#include <stdlib.h>
#include <string.h>

#include "channels/queue/presence.h"
#include "channels/queue/receiver.h"
#include "channels/queue/role.h"
#include "channels/queue/sender.h"
#include "channels/queue/wire.h"
#include "leat/channel.h"
#include "lib/base/fail.h"
#include "lib/object/object.h"

#define ATTEMPTS 4

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

/* A death counts only if no handle came or left meanwhile. */
static int read_peer(leat__file file, struct pages *pages, bool sends, leat_peer *state) {
    struct leat__role_page *page = sends ? &pages->sender : &pages->receiver;
    const uint64_t place = sends ? LEAT__SENDER_PAGE : LEAT__RECEIVER_PAGE;
    question *lives = sends ? leat__senders_live : leat__receiver_lives;
    for (unsigned attempts = 0; attempts < ATTEMPTS; attempts++) {
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

static int copy_pages(leat__file file, struct pages *pages) {
    int result =
        leat__os_file_peek(file, LEAT__RECEIVER_PAGE, &pages->receiver, sizeof pages->receiver);
    if (result == LEAT_OK)
        result = leat__os_file_peek(file, LEAT__SENDER_PAGE, &pages->sender, sizeof pages->sender);
    return result;
}

/* `own`: the role of the handle that asks, whose locks the kernel does not count; or NULL. */
static int describe(leat__file file, uint64_t capacity, struct pages *pages,
                    const struct leat__role *own, leat_channel_info *info) {
    bool sends = own != NULL && own->kind->sends, receives = own != NULL && !own->kind->sends;
    int result = copy_pages(file, pages);
    if (result != LEAT_OK)
        return result;
    *info = (leat_channel_info){.capacity = capacity, .max_message = leat__max_message(capacity)};
    uint64_t sent = leat__load_relaxed64(&pages->sender.position);
    uint64_t backlog = sent - leat__load_relaxed64(&pages->receiver.position);
    info->backlog_bytes = backlog <= capacity ? backlog : 0;
    info->sender = info->receiver = LEAT_PEER_PRESENT;
    if (!sends)
        result = read_peer(file, pages, true, &info->sender);
    if (result == LEAT_OK && !receives)
        result = read_peer(file, pages, false, &info->receiver);
    if (result != LEAT_OK)
        return result;
    info->many_senders =
        info->sender == LEAT_PEER_PRESENT && leat__load_relaxed32(&pages->sender.many) != 0;
    leat__counters_read(&pages->sender.counters, &info->sent);
    leat__counters_read(&pages->receiver.counters, &info->received);
    return LEAT_OK;
}

static int read_channel(leat__file file, uint64_t capacity, const struct leat__role *own,
                        leat_channel_info *info) {
    struct pages *pages = malloc(sizeof *pages);
    if (pages == NULL)
        return leat__fail(LEAT_ENOMEM, 0, "no memory for a copy of its pages");
    leat_channel_info found = {0};
    int result = describe(file, capacity, pages, own, &found);
    free(pages);
    if (result == LEAT_OK)
        *info = found;
    return result;
}

static int inspect(leat__file file, leat_kind kind, const struct leat__header *header,
                   void *context) {
    uint64_t capacity;
    if (kind != LEAT_KIND_CHANNEL)
        return leat__fail(LEAT_EKIND, 0, "it is a %s", leat_kind_name(kind));
    int result = leat__wire_validate(header, &capacity);
    return result == LEAT_OK ? read_channel(file, capacity, NULL, context) : result;
}

int leat_channel_stat(const char *name, leat_scope scope, leat_channel_info *info) {
    if (info == NULL)
        return leat__fail_about(leat__fail(LEAT_EINVAL, 0, "info is NULL"), "channel", name);
    return leat__object_inspect(name, scope, "channel", inspect, info);
}

static int role_info(const struct leat__role *role, leat_channel_info *info) {
    if (info == NULL)
        return leat__fail(LEAT_EINVAL, 0, "info is NULL");
    if (role->object.resource.forked)
        return leat__role_fail_forked();
    int result = read_channel(role->object.resource.file, role->memory.capacity, role, info);
    if (result == LEAT_OK)
        info->created = role->object.created;
    return result;
}

int leat_sender_info(const leat_sender *sender, leat_channel_info *info) {
    int result = sender != NULL ? role_info(&sender->role, info)
                                : leat__fail(LEAT_EINVAL, 0, "sender is NULL");
    if (result == LEAT_OK)
        leat_sender_statistics(sender, &info->sent);
    return result;
}

int leat_receiver_info(const leat_receiver *receiver, leat_channel_info *info) {
    int result = receiver != NULL ? role_info(&receiver->role, info)
                                  : leat__fail(LEAT_EINVAL, 0, "receiver is NULL");
    if (result == LEAT_OK)
        leat_receiver_statistics(receiver, &info->received);
    return result;
}
