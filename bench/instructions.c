/* instructions.c - sends and receives a number of messages in one thread, for
 * `bench/instructions.sh` to count instructions. */
#include <leat/inline.h>
#include <leat/leat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROUP 16 /* messages sent before they are received; also a batch */

static leat_sender *tx;
static leat_receiver *rx;
static unsigned char bytes[GROUP][4096];

static void require(int code, const char *call) {
    if (code == LEAT_OK)
        return;
    fprintf(stderr, "instructions: %s: %s %s\n", call, leat_error_name(code), leat_error_detail());
    exit(1);
}

static void by_copy(size_t size) {
    size_t got;
    for (size_t i = 0; i < GROUP; i++)
        require(leat_send(tx, bytes[i], size, LEAT_NOW), "leat_send");
    for (size_t i = 0; i < GROUP; i++)
        require(leat_recv(rx, bytes[i], sizeof bytes[i], &got, LEAT_NOW), "leat_recv");
}

/* What the loops take by themselves: the same with a call that the compiler cannot see through, and
 * that is none. */
static void nothing(size_t size) {
    for (size_t mode = 0; mode < 2; mode++)
        for (size_t i = 0; i < GROUP; i++) {
            int code = LEAT_OK;
            __asm__ volatile("" : "+r"(code) : "r"(bytes[i]), "r"(size) : "memory");
            require(code, "nothing");
        }
}

/* The same with a size that the compiler knows, for the usual ones. */
#define DEFINE_OF_SIZE(name, of_size)                                                              \
    static void name(size_t size) {                                                                \
        if (size == 8)                                                                             \
            of_size(8);                                                                            \
        else if (size == 64)                                                                       \
            of_size(64);                                                                           \
        else if (size == 1024)                                                                     \
            of_size(1024);                                                                         \
        else                                                                                       \
            of_size(size);                                                                         \
    }

static inline __attribute__((always_inline)) void inlined_of(leat_sender *sender,
                                                             leat_receiver *receiver, size_t size) {
    size_t got;
    for (size_t i = 0; i < GROUP; i++)
        require(leat_send_inline(sender, bytes[i], size, LEAT_NOW), "leat_send_inline");
    for (size_t i = 0; i < GROUP; i++)
        require(leat_recv_inline(receiver, bytes[i], size, &got, LEAT_NOW), "leat_recv_inline");
}
#define INLINED_OF(size) inlined_of(tx, rx, size)
DEFINE_OF_SIZE(inlined, INLINED_OF)

static void in_batches(size_t size) {
    leat_message messages[GROUP];
    size_t amount;
    for (size_t i = 0; i < GROUP; i++)
        messages[i] = (leat_message){bytes[i], size};
    require(leat_send_many(tx, messages, GROUP, &amount, LEAT_NOW), "leat_send_many");
    for (size_t left = GROUP; left > 0; left -= amount)
        require(leat_recv_many(rx, bytes, sizeof bytes, messages, left, &amount, LEAT_NOW),
                "leat_recv_many");
}

static void in_place(size_t size) {
    void *place;
    leat_message message;
    for (size_t i = 0; i < GROUP; i++) {
        require(leat_reserve(tx, size, &place, LEAT_NOW), "leat_reserve");
        memset(place, 1, size);
        require(leat_commit(tx, size), "leat_commit");
    }
    for (size_t i = 0; i < GROUP; i++) {
        require(leat_peek(rx, &message, LEAT_NOW), "leat_peek");
        require(leat_release(rx, 1), "leat_release");
    }
}

static inline __attribute__((always_inline)) void inlined_in_place_of(size_t size) {
    void *place;
    leat_message message;
    for (size_t i = 0; i < GROUP; i++) {
        require(leat_reserve_inline(tx, size, &place, LEAT_NOW), "leat_reserve_inline");
        memset(place, 1, size);
        require(leat_commit_inline(tx, size), "leat_commit_inline");
    }
    for (size_t i = 0; i < GROUP; i++) {
        require(leat_peek_inline(rx, &message, LEAT_NOW), "leat_peek_inline");
        require(leat_release_inline(rx), "leat_release_inline");
    }
}
DEFINE_OF_SIZE(inlined_in_place, inlined_in_place_of)

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*run)(size_t size);
    } ways[] = {
        {"loop", nothing},    {"copy", by_copy},   {"inline", inlined},
        {"many", in_batches}, {"place", in_place}, {"place_inline", inlined_in_place},
    };
    if (argc != 4) {
        fprintf(stderr,
                "usage: instructions loop|copy|inline|many|place|place_inline SIZE MESSAGES\n");
        return 2;
    }
    require(leat_sender_open(&tx, "instructions", NULL), "leat_sender_open");
    require(leat_receiver_open(&rx, "instructions", NULL), "leat_receiver_open");
    size_t size = (size_t)atol(argv[2]);
    long groups = atol(argv[3]) / GROUP;
    for (size_t mode = 0; mode < sizeof ways / sizeof ways[0]; mode++)
        for (long i = 0; i < groups && strcmp(argv[1], ways[mode].name) == 0; i++)
            ways[mode].run(size);
    leat_receiver_close(rx);
    leat_sender_close(tx);
    return 0;
}
