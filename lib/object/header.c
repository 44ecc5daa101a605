/* lib/object/header.c - see lib/object/header.h. */
#include "lib/object/header.h"

#include <string.h>

#include "lib/base/fail.h"

const char *leat_kind_name(leat_kind kind) {
    static const char *const names[] = {
        [LEAT_KIND_REGION] = "region",   [LEAT_KIND_MUTEX] = "mutex",
        [LEAT_KIND_EVENT] = "event",     [LEAT_KIND_SEMAPHORE] = "semaphore",
        [LEAT_KIND_CHANNEL] = "channel", [LEAT_KIND_WAITSET] = "wait set",
    };
    return kind >= LEAT_KIND_REGION && kind <= LEAT_KIND_WAITSET ? names[kind] : "unknown";
}

/* FNV-1a, 64 bits (Fowler, Noll, Vo; offset basis and prime from RFC 9923): enough to detect a
 * damaged header, no defence against a forged one. */
static uint64_t checksum(const void *data, size_t size) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (const unsigned char *byte = data, *end = byte + size; byte < end; byte++)
        hash = (hash ^ *byte) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t checksum_of(const struct leat__header *header) {
    return checksum(header, offsetof(struct leat__header, checksum));
}

static uint32_t features_of(uint32_t kind) {
    return kind == LEAT_KIND_CHANNEL ? LEAT__FREE_SPACE_HOLDS_ANYTHING : 0;
}

int leat__header_write(leat__file file, leat_kind kind, const uint64_t parameters[6]) {
    struct leat__file_status status;
    int result = leat__os_file_status_plain(file, &status);
    if (result != LEAT_OK)
        return result;
    struct leat__header header = {
        .magic = LEAT__MAGIC,
        .major = LEAT__FORMAT_MAJOR,
        .minor = LEAT__FORMAT_MINOR,
        .header_size = sizeof header,
        .inode = status.inode,
        .kind = (uint32_t)kind,
        .incompatible = features_of((uint32_t)kind),
        .object_size = status.size,
        .created_unix_ns = leat__os_wall_clock(),
    };
    memcpy(header.parameters, parameters, sizeof header.parameters);
    header.checksum = checksum_of(&header);
    return leat__os_file_write(file, 0, &header, sizeof header);
}

/* The order matters: an unknown version may have its checksum elsewhere, so the version is checked
 * first. */
static int validate(const struct leat__header *header, const struct leat__file_status *status) {
    if (header->major != LEAT__FORMAT_MAJOR)
        return leat__fail(LEAT_EVERSION, 0, "format %u.%u, this library reads %u", header->major,
                          header->minor, LEAT__FORMAT_MAJOR);
    if (header->checksum != checksum_of(header))
        return leat__fail(LEAT_ECORRUPT, 0, "the header's checksum does not match");
    if (header->incompatible != features_of(header->kind))
        return leat__fail(LEAT_EVERSION, 0,
                          "has features %#x, this library needs %#x of such an object",
                          header->incompatible, features_of(header->kind));
    if (header->header_size < sizeof *header || header->object_size < header->header_size)
        return leat__fail(LEAT_ECORRUPT, 0, "the header's sizes contradict each other");
    if (header->object_size > status->size)
        return leat__fail(LEAT_ECORRUPT, 0, "the file has %llu bytes, its header says %llu",
                          (unsigned long long)status->size,
                          (unsigned long long)header->object_size);
    return LEAT_OK;
}

static int read_by(int (*read)(leat__file file, uint64_t offset, void *buffer, size_t size),
                   leat__file file, const struct leat__file_status *status, leat_kind *kind,
                   struct leat__header *header_out) {
    struct leat__header header;
    *kind = LEAT_KIND_REGION;
    if (status->size < sizeof header)
        return LEAT_OK;
    int result = read(file, 0, &header, sizeof header);
    if (result != LEAT_OK)
        return result;
    if (header.magic != LEAT__MAGIC || header.inode != status->inode)
        return LEAT_OK;
    *kind = (leat_kind)header.kind;
    result = validate(&header, status);
    if (result == LEAT_OK && header_out != NULL)
        *header_out = header;
    return result;
}

int leat__header_read(leat__file file, const struct leat__file_status *status, leat_kind *kind,
                      struct leat__header *header) {
    return read_by(leat__os_file_read, file, status, kind, header);
}

int leat__header_read_as(leat__file file, const struct leat__file_status *status, leat_kind wanted,
                         struct leat__header *header_out) {
    leat_kind kind;
    int result = leat__header_read(file, status, &kind, header_out);
    bool known = result == LEAT_OK || result == LEAT_ECORRUPT || result == LEAT_EVERSION;
    if (known && kind != wanted)
        return leat__fail(LEAT_EKIND, 0, "it is a %s", leat_kind_name(kind));
    return result;
}

int leat__header_peek(leat__file file, const struct leat__file_status *status, leat_kind *kind,
                      struct leat__header *header) {
    return read_by(leat__os_file_peek, file, status, kind, header);
}
