/* test_channel_many.c - many senders in processes of their own: each sender's messages arrive in
 * order, none is lost or doubled, and a sender that is killed at any point, even with a
 * reservation, harms no other. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "channel_pair.h"
#include "stream.h"

#define SENDERS 8
#define SIZE_MAX_BYTES 400

/* One sender's account, in memory that survives it. */
struct account {
    _Alignas(64) _Atomic uint64_t committed; /* messages whose send call returned */
    uint64_t received;                       /* the receiver's: the next sequence number */
};

struct board {
    harness_word ready, go;
    struct account accounts[SENDERS];
    uint64_t seed, count;
    unsigned next;
};

struct tagged {
    uint64_t sender, sequence;
    unsigned char bytes[SIZE_MAX_BYTES];
};

static const leat_channel_options many = {.many_senders = true, .capacity = 16384};

static size_t fill_tagged(struct tagged *message, const struct board *board, uint64_t self,
                          uint64_t sequence) {
    size_t size = stream_size(board->seed + self, sequence, SIZE_MAX_BYTES);
    message->sender = self;
    message->sequence = sequence;
    stream_fill(message->bytes, sequence, size);
    return offsetof(struct tagged, bytes) + size;
}

/* Sends one message in one of three ways. */
static void send_tagged(leat_sender *tx, const struct board *board, uint64_t self,
                        uint64_t sequence, uint64_t *random) {
    struct tagged message;
    size_t size = fill_tagged(&message, board, self, sequence), sent;
    void *place;
    switch (harness_random(random) % 4) {
    case 0:
        assert_ok(leat_reserve(tx, size + 40, &place, LATER));
        memset(place, 0x77, size + 40);
        if (harness_random(random) % 4 == 0) {
            leat_abort(tx);
            assert_ok(leat_reserve(tx, size, &place, LATER));
        }
        memcpy(place, &message, size);
        assert_ok(leat_commit(tx, size));
        break;
    case 1:
        assert_ok(leat_send_many(tx, &(leat_message){&message, size}, 1, &sent, LATER));
        break;
    default:
        assert_ok(leat_send(tx, &message, size, LATER));
    }
}

static int send_an_account(void *context) {
    struct board *board = context;
    uint64_t self = board->next, random = board->seed + self;
    leat_sender *tx = open_sender("many", &many);
    harness_increment(&board->ready);
    harness_await(&board->go, 1);
    struct account *account = &board->accounts[self];
    while (account->committed < board->count) {
        send_tagged(tx, board, self, account->committed, &random);
        account->committed++;
    }
    leat_sender_close(tx);
    return 0;
}

static pid_t start_sender(struct board *board, unsigned self) {
    /* the child has its own copy of what it reads before it is ready: wait for that */
    board->next = self;
    uint32_t ready = board->ready;
    pid_t pid = harness_spawn(send_an_account, board);
    harness_await(&board->ready, ready + 1);
    return pid;
}

/* Takes one message into its account. A message that was sent but not noted before a kill comes
 * again from the successor. */
static void receive_tagged(struct board *board, const void *bytes, size_t size) {
    struct tagged message;
    assert_in_range(size, offsetof(struct tagged, bytes), sizeof message);
    memcpy(&message, bytes, size);
    assert_true(message.sender < SENDERS);
    struct account *account = &board->accounts[message.sender];
    size_t payload = stream_size(board->seed + message.sender, message.sequence, SIZE_MAX_BYTES);
    assert_int_equal(size, offsetof(struct tagged, bytes) + payload);
    assert_true(stream_holds(message.bytes, message.sequence, payload));
    assert_true(message.sequence == account->received || message.sequence + 1 == account->received);
    account->received = message.sequence + 1;
}

static void messages_of_every_sender_arrive_complete_and_in_its_order(void **state) {
    (void)state;
    struct board *board = harness_shared(sizeof *board);
    pid_t pids[SENDERS];
    board->seed = harness_seed();
    board->count = 5000;
    leat_receiver *rx = open_receiver("many", &many);
    for (unsigned i = 0; i < SENDERS; i++)
        pids[i] = start_sender(board, i);
    harness_set(&board->go, 1);
    struct tagged buffer;
    size_t size, total = 0;
    int result;
    while ((result = leat_recv(rx, &buffer, sizeof buffer, &size, LATER)) == LEAT_OK) {
        receive_tagged(board, &buffer, size);
        total++;
    }
    assert_leat(result, LEAT_ECLOSED);
    assert_int_equal(total, SENDERS * board->count);
    for (unsigned i = 0; i < SENDERS; i++) {
        assert_int_equal(board->accounts[i].received, board->count);
        harness_wait_ok(pids[i]);
    }
    leat_receiver_close(rx);
}

/* --- Killed ones ------------------------------------------------------------------------------ */

static int reserve_and_stay(void *context) {
    struct board *board = context;
    leat_sender *tx = open_sender("many", &many);
    void *place;
    assert_ok(leat_reserve(tx, 1000, &place, LATER));
    memset(place, 0x99, 1000);
    harness_increment(&board->ready);
    harness_await(&board->go, 1000);
    return 0;
}

static void sender_that_is_killed_with_a_reservation_harms_nobody(void **state) {
    (void)state;
    struct board *board = harness_shared(sizeof *board);
    leat_receiver *rx = open_receiver("many", &many);
    leat_sender *tx = open_sender("many", &many);
    for (uint32_t round = 0; round < 40; round++) { /* around the ring more than twice */
        send_text(tx, "before");
        pid_t holder = harness_spawn(reserve_and_stay, board);
        harness_await(&board->ready, round + 1);
        assert_leat(leat_send(tx, "x", 1, LEAT_NOW), LEAT_EAGAIN);
        harness_kill(holder);
        uint64_t start = harness_now();
        assert_ok(leat_send(tx, "after", 5, LATER));
        assert_true(harness_now() - start < 1000000000u * (uint64_t)harness_patience());
        void *place;
        assert_ok(leat_reserve(tx, 900, &place, LATER));
        assert_ok(leat_commit(tx, 900));
        expect_text(rx, "before");
        expect_text(rx, "after");
        char buffer[1000];
        size_t size;
        assert_ok(leat_recv(rx, buffer, sizeof buffer, &size, LEAT_NOW));
        expect_news(rx, LEAT_EAGAIN, LEAT_NOW);
    }
    leat_sender_close(tx);
    expect_news(rx, LEAT_ECLOSED, LATER);
    leat_receiver_close(rx);
}

static void on_signal(int number) {
    (void)number;
}

static int pester(void *context) {
    const pid_t *victim = context;
    for (;;) {
        kill(*victim, SIGUSR1);
        usleep(1000);
    }
    return 0;
}

/* It has to wait until the kernel reports the holder's death, and signals come meanwhile. */
static void last_sender_closes_in_order_whatever_signals_come(void **state) {
    (void)state;
    const leat_channel_options interruptible = {
        .many_senders = true, .capacity = 16384, .interruptible = true};
    const struct sigaction action = {.sa_handler = on_signal};
    struct board *board = harness_shared(sizeof *board);
    leat_receiver *rx = open_receiver("many", &many);
    leat_sender *tx = open_sender("many", &interruptible);
    pid_t self = getpid(), holder = harness_spawn(reserve_and_stay, board);
    harness_await(&board->ready, 1);
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    pid_t pest = harness_spawn(pester, &self);
    harness_kill(holder);
    leat_sender_close(tx);
    harness_kill(pest);
    expect_news(rx, LEAT_ECLOSED, LATER);
    leat_receiver_close(rx);
}

/* A new sender with the dead holder's participant number, which sends nothing, would pass for the
 * live holder. */
static void dead_holder_stays_dead_when_a_sender_comes(void **state) {
    (void)state;
    struct board *board = harness_shared(sizeof *board);
    leat_receiver *rx = open_receiver("many", &many);
    pid_t holder = harness_spawn(reserve_and_stay, board); /* the first to come */
    harness_await(&board->ready, 1);
    leat_sender *tx = open_sender("many", &many);
    harness_kill(holder);
    leat_sender *newcomer = open_sender("many", &many);
    assert_ok(leat_send(tx, "on", 2, LATER));
    expect_text(rx, "on");
    leat_sender_close(newcomer);
    leat_sender_close(tx);
    expect_news(rx, LEAT_ECLOSED, LATER);
    leat_receiver_close(rx);
}

static int receive_all_accounts(void *context) {
    struct board *board = context;
    leat_receiver *rx = open_receiver("many", &many);
    harness_increment(&board->ready);
    leat_message messages[16];
    size_t count;
    int result;
    while ((result = leat_peek_many(rx, messages, 16, &count, LATER)) != LEAT_ECLOSED) {
        /* the stream never ends, and no death is reported, while one sender lives */
        assert_ok(result);
        for (size_t i = 0; i < count; i++)
            receive_tagged(board, messages[i].data, messages[i].size);
        assert_ok(leat_release(rx, count));
    }
    leat_receiver_close(rx);
    return 0;
}

static void senders_killed_at_random_lose_nothing_that_was_committed(void **state) {
    (void)state;
    struct board *board = harness_shared(sizeof *board);
    pid_t pids[SENDERS];
    uint64_t random = board->seed = harness_seed();
    board->count = UINT64_MAX; /* until killed */
    pid_t receiver = harness_spawn(receive_all_accounts, board);
    harness_await(&board->ready, 1);
    leat_sender *anchor = open_sender("many", &many); /* so that there is always one */
    harness_set(&board->go, 1);
    for (unsigned i = 0; i < SENDERS; i++)
        pids[i] = start_sender(board, i);
    for (int round = 0; round < 200; round++) {
        unsigned victim = (unsigned)(harness_random(&random) % SENDERS);
        /* the random moment: not a synchronisation */
        usleep((useconds_t)(harness_random(&random) % 3000));
        harness_kill(pids[victim]);
        pids[victim] = start_sender(board, victim);
    }
    for (unsigned i = 0; i < SENDERS; i++)
        harness_kill(pids[i]);
    assert_ok(leat_sender_drain(anchor, LATER));
    leat_sender_close(anchor);
    harness_wait_ok(receiver);
    uint64_t total = 0;
    for (unsigned i = 0; i < SENDERS; i++) {
        uint64_t committed = board->accounts[i].committed, received = board->accounts[i].received;
        assert_true(received == committed || received == committed + 1);
        total += received;
    }
    print_message("%llu messages from %d senders, 208 of them killed\n", (unsigned long long)total,
                  SENDERS + 200);
    assert_int_equal(harness_names_left(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(messages_of_every_sender_arrive_complete_and_in_its_order),
        HARNESS_TEST(sender_that_is_killed_with_a_reservation_harms_nobody),
        HARNESS_TEST(last_sender_closes_in_order_whatever_signals_come),
        HARNESS_TEST(dead_holder_stays_dead_when_a_sender_comes),
        HARNESS_TEST(senders_killed_at_random_lose_nothing_that_was_committed),
    };
    return HARNESS_MAIN("channel_many", tests);
}
