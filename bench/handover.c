/* handover.c - see handover.h. */
#include "handover.h"
#include "channels/queue/processor.h"
#include "machine.h"

#define LINE 64u
#define AHEAD_RECORDS 2u
#define BYTES ((uint64_t)48 << 20) /* of a measurement... */
#define RECORDS_MAX 800000u        /* ...of so many records at most: hundredths of a second */

const size_t handover_sizes[HANDOVER_SIZES] = {64, 256, 1024, 4096};
const char *const handover_names[HANDOVER_WAYS] = {"plain", "wipe", "ahead", "wipe_ahead"};
const char *const handover_texts[HANDOVER_WAYS] = {
    "plain", "receiver wipes", "sender fetches ahead", "receiver wipes, sender fetches ahead"};

/* The ring as records of one size. */
struct records {
    size_t size, stride, slots;
    uint64_t count;
};

static struct records records_of(size_t size) {
    struct records records = {.size = size, .stride = (8 + size + LINE - 1) / LINE * LINE};
    records.slots = HANDOVER_RING / records.stride;
    records.count = scaled((unsigned)(BYTES / size < RECORDS_MAX ? BYTES / size : RECORDS_MAX));
    return records;
}

ALWAYS_INLINE unsigned char *record_at(struct handover *shared, const struct records *records,
                                       uint64_t serial) {
    return shared->ring + serial % records->slots * records->stride;
}

/* In the library's pieces: the ways are compared, not the C library's copies (decision 0018). */
ALWAYS_INLINE void copy(unsigned char *to, const unsigned char *from, size_t size, size_t piece) {
    for (; piece != 0 && size > piece; size -= piece, to += piece, from += piece)
        memcpy(to, from, piece);
    memcpy(to, from, size);
}

ALWAYS_INLINE uint64_t *word_of(unsigned char *line) {
    return (uint64_t *)(void *)line;
}

/* Waits until the receiver has released all but `kept` of the records before this one. */
static int wait_for_room(const struct handover *shared, uint64_t serial, uint64_t kept,
                         uint64_t *released) {
    struct patience patience = {0};
    while (serial - *released > kept) {
        *released = __atomic_load_n(&shared->released, __ATOMIC_ACQUIRE);
        if (serial - *released > kept && wait_patiently(&patience) != 0)
            return -1;
    }
    return 0;
}

ALWAYS_INLINE int send_records(struct handover *shared, const struct records *records, int ahead) {
    unsigned char *message = machine.buffer;
    const size_t piece = leat__processor()->piece;
    uint64_t released = 0;
    for (uint64_t i = 0; i < records->count; i++) {
        unsigned char *record = record_at(shared, records, i);
        if (wait_for_room(shared, i, records->slots - 1, &released) != 0)
            return -1;
        stamp(message, records->size, i);
        if (ahead)
            for (size_t at = 0; at < records->stride; at += LINE)
                fetch_for_writing(record_at(shared, records, i + AHEAD_RECORDS) + at);
        copy(record + 8, message, records->size, piece);
        __atomic_store_n(word_of(record), i + 1, __ATOMIC_RELEASE);
    }
    return wait_for_room(shared, records->count, 0, &released);
}

double handover_send(struct handover *shared, size_t size, enum handover_way mode) {
    const struct records records = records_of(size);
    uint64_t start = now_ns();
    int result =
        mode >= AHEAD ? send_records(shared, &records, 1) : send_records(shared, &records, 0);
    return result == 0 ? (double)records.count * 1e3 / (double)(now_ns() - start) : 0;
}

ALWAYS_INLINE int receive_records(struct handover *shared, const struct records *records,
                                  int wipe) {
    unsigned char *message = machine.buffer;
    const size_t piece = leat__processor()->piece;
    for (uint64_t i = 0; i < records->count; i++) {
        unsigned char *record = record_at(shared, records, i);
        if (probe_wait(word_of(record), i + 1) != 0)
            return -1;
        copy(message, record + 8, records->size, piece);
        if (!stamped(message, records->size, i))
            return -1;
        for (size_t at = 0; wipe && at < records->stride; at += LINE)
            __atomic_store_n(word_of(record + at), 0, __ATOMIC_RELAXED);
        if (i % 8 == 7 || records->slots < 32 || i + 1 == records->count)
            __atomic_store_n(&shared->released, i + 1, __ATOMIC_RELEASE);
    }
    return 0;
}

int handover_receive(struct handover *shared, size_t size, enum handover_way mode) {
    const struct records records = records_of(size);
    return mode == WIPE || mode == WIPE_AHEAD ? receive_records(shared, &records, 1)
                                              : receive_records(shared, &records, 0);
}
