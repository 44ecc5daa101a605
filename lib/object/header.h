/* lib/object/header.h - the first bytes of every named object that is not a region.
 *
 * The header is written once, before the object has a name, and never changes. Readers copy it into
 * private memory and validate the copy. It contains the inode number of its own file, so that no
 * content of a region, not even a copied object, can be taken for a header. Format:
 * docs/wire-format.md, section 2.
 */
#ifndef LEAT_LIB_HEADER_H
#define LEAT_LIB_HEADER_H

#include "leat/object.h"
#include "lib/os/os.h"

/* bytes 89 8E 'L' 'E' 'A' 'T' 1A 0A: no text, and broken by text mode */
#define LEAT__MAGIC UINT64_C(0x0A1A5441454C8E89)
#define LEAT__FORMAT_MAJOR 1 /* other majors are refused */
#define LEAT__FORMAT_MINOR 0 /* later minors only add what may be ignored */

/* Incompatible features. A kind has exactly those that this library knows of it: else
 * LEAT_EVERSION. */
#define LEAT__FREE_SPACE_HOLDS_ANYTHING UINT32_C(1) /* channels: docs/wire-format.md, section 5 */

struct leat__header {
    uint64_t magic;           /* LEAT__MAGIC; anything else: the file is a region */
    uint16_t major, minor;    /* another major: LEAT_EVERSION */
    uint32_t header_size;     /* bytes covered by the checksum, this struct's size or more */
    uint64_t inode;           /* of the file that holds it; another: the file is a region */
    uint32_t kind;            /* leat_kind */
    uint32_t incompatible;    /* feature bits, by kind; others than we know: LEAT_EVERSION */
    uint32_t compatible;      /* feature bits that may be ignored */
    uint32_t reserved_0;      /* zero */
    uint64_t object_size;     /* of the file, bytes; a smaller file: LEAT_ECORRUPT */
    uint64_t created_unix_ns; /* wall clock at creation; for people */
    /* by kind; channel: capacity, offsets of sender page, receiver page, ring */
    uint64_t parameters[6];
    unsigned char reserved[144]; /* zero: room for a type name and a schema */
    uint64_t checksum;           /* FNV-1a, 64 bits, over all bytes before it */
};

_Static_assert(sizeof(struct leat__header) == 256, "the header's size is part of the format");

/* Fills in a header for the file and writes it at offset 0. */
int leat__header_write(leat__file file, leat_kind kind, const uint64_t parameters[6]);

/* What a file is: LEAT_OK and its kind; header_out (may be NULL) gets the validated copy when it is
 * not a region. LEAT_ECORRUPT or LEAT_EVERSION when it carries leat's mark and cannot be used;
 * *kind is then set all the same. */
int leat__header_read(leat__file file, const struct leat__file_status *status, leat_kind *kind,
                      struct leat__header *header_out);

/* The same for a caller that wants this kind: LEAT_EKIND when it is certain that it is another
 * one. */
int leat__header_read_as(leat__file file, const struct leat__file_status *status, leat_kind wanted,
                         struct leat__header *header_out);

/* The same without touching the file: no process that watches it is woken. */
int leat__header_peek(leat__file file, const struct leat__file_status *status, leat_kind *kind,
                      struct leat__header *header);

#endif
