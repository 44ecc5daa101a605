/* test_uv_threads.c - loops in several threads of one process: each belongs to its thread, and all
 * share what the library keeps for the process (the list of loops, the list of what a fork must
 * close). The thread sanitizer watches. */
#include <pthread.h>
#include <stdio.h>

#include <leat/uv.h>

#include "channel_pair.h"

#define assert_uv(call) assert_int_equal((call), 0)

enum { PAIRS = 3, ROUNDS = 3 };

/* One partner of a conversation: sends a number when it has received the one before. */
struct talker {
    uv_loop_t loop;
    leat_uv_receiver_t receiver;
    leat_uv_sender_t sender;
    char to[24], from[24];
    uint32_t next, last;
    bool begins;
    pthread_t thread;
};

static void say(struct talker *talker) {
    assert_uv(leat_uv_try_send(&talker->sender, &talker->next, sizeof talker->next));
    talker->next += 2;
}

static void end(struct talker *talker) {
    leat_uv_close(&talker->receiver.handle, NULL);
    leat_uv_sender_finish(&talker->sender, NULL);
}

static void on_number(leat_uv_receiver_t *receiver, const leat_message *message) {
    struct talker *talker = receiver->handle.data;
    uint32_t number;
    assert_int_equal(message->size, sizeof number);
    memcpy(&number, message->data, sizeof number);
    assert_int_equal(number + 1, talker->next);
    if (talker->next <= talker->last)
        say(talker);
    if (number + 1 >= talker->last)
        end(talker);
}

/* The one that begins does so when it is listened to. */
static void on_listener(leat_uv_sender_t *sender, leat_peer peer, int status) {
    struct talker *talker = sender->handle.data;
    assert_int_equal(status, 0);
    if (peer == LEAT_PEER_PRESENT && talker->begins && talker->next == 0)
        say(talker);
}

static void *talk(void *context) {
    struct talker *talker = context;
    assert_uv(uv_loop_init(&talker->loop));
    assert_uv(leat_uv_receiver_open(&talker->loop, &talker->receiver, talker->from, NULL));
    assert_uv(leat_uv_sender_open(&talker->loop, &talker->sender, talker->to, NULL));
    talker->receiver.handle.data = talker->sender.handle.data = talker;
    assert_uv(leat_uv_receiver_start(&talker->receiver, on_number, NULL));
    assert_uv(leat_uv_sender_start(&talker->sender, NULL, on_listener));
    uv_run(&talker->loop, UV_RUN_DEFAULT);
    assert_uv(uv_loop_close(&talker->loop));
    return NULL;
}

static void begin_talk(struct talker *talker, int pair, bool begins, uint32_t last) {
    *talker = (struct talker){.next = begins ? 0 : 1, .last = last, .begins = begins};
    snprintf(talker->to, sizeof talker->to, "talk-%d-%d", pair, begins);
    snprintf(talker->from, sizeof talker->from, "talk-%d-%d", pair, !begins);
    assert_int_equal(pthread_create(&talker->thread, NULL, talk, talker), 0);
}

static void loops_of_several_threads_talk_to_each_other(void **state) {
    (void)state;
    static struct talker talkers[2 * PAIRS];
    uint32_t last = (uint32_t)harness_setting("LEAT_MESSAGES", 3000);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 2 * PAIRS; i++)
            begin_talk(&talkers[i], i / 2, i % 2 == 0, last);
        for (int i = 0; i < 2 * PAIRS; i++)
            assert_int_equal(pthread_join(talkers[i].thread, NULL), 0);
        for (int i = 0; i < 2 * PAIRS; i++)
            assert_true(talkers[i].next > last);
    }
    assert_int_equal(harness_names_left(), 0);
}

int main(void) {
    uv_loop_t first; /* with its first loop libuv makes a pipe that it keeps */
    if (uv_loop_init(&first) != 0 || uv_loop_close(&first) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        HARNESS_TEST_WITHIN(loops_of_several_threads_talk_to_each_other, 300),
    };
    return HARNESS_MAIN("uv_threads", tests);
}
