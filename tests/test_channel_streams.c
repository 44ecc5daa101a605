/* test_channel_streams.c - every receiver gets the event of each change of stream in its place
 * between the messages, whichever handles are replaced meanwhile. All sequences of what senders and
 * receivers can do, up to a length, with real handles, are compared with a plain reference that
 * keeps a list of everything that was ever sent. In a ring in which marks find no room, the events
 * are checked against the streams to which the messages belong.
 *
 * A death is simulated in one process: the handle's file is closed, so that the kernel drops its
 * locks, and the handle is freed as a forked child's, which leaves everything in shared memory as
 * it is. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "channel_pair.h"
#include "channels/queue/receiver.h"
#include "channels/queue/sender.h"

#define LENGTH_MAX 14
#define SENDERS_MAX 2
#define ITEMS_MAX (LENGTH_MAX * 3 + 8)
/* a deadline that has passed: the call checks everything, asks the kernel too, and does not wait */
#define AT_ONCE 1

struct setting {
    int length, senders;
    bool holds; /* leat_peek_more, leat_release and leat_unpeek instead of leat_recv */
    uint64_t capacity;
    /* bytes; messages sent by the first sender before the sequence begins */
    size_t message, before;
};

/* --- The reference ---------------------------------------------------------------------------- */

enum what { MESSAGE, BEGIN, END };

struct item {
    enum what what;
    uint32_t stream;
};

/* Where a receiver is: in a stream (0: none yet), whose end was reported or not. */
struct place {
    uint32_t stream;
    bool ended;
};

struct reference {
    struct item items[ITEMS_MAX];
    int count, released, head;
    uint32_t stream; /* the last one */
    bool over;
    bool closed[ITEMS_MAX]; /* by stream */
    struct place place, oldest;
    int peeked;
};

static void add_item(struct reference *reference, enum what what) {
    assert_in_range(reference->count, 0, ITEMS_MAX - 1);
    reference->items[reference->count++] = (struct item){what, reference->stream};
}

static void stream_begins(struct reference *reference) {
    reference->stream++;
    reference->over = false;
    add_item(reference, BEGIN);
}

static void stream_ends(struct reference *reference, bool in_order) {
    reference->over = true;
    reference->closed[reference->stream] = in_order;
    if (in_order)
        add_item(reference, END);
}

static void receiver_begins(struct reference *reference) {
    reference->head = reference->released;
    reference->peeked = 0;
    reference->place = (struct place){0, false};
    for (int i = 0; i < reference->released; i++)
        if (reference->items[i].what != MESSAGE)
            reference->place.stream =
                reference->items[i].what == BEGIN ? reference->items[i].stream : 0;
}

static int end_of_stream(struct reference *reference) {
    reference->place.ended = true;
    return reference->closed[reference->place.stream] ? LEAT_ECLOSED : LEAT_EPEERDIED;
}

static void advance(struct reference *reference) {
    reference->head++;
    if (reference->peeked == 0)
        reference->released = reference->head;
}

/* The result of the next receiving call; LEAT_OK: a message is at the head. */
static int find(struct reference *reference) {
    struct place *place = &reference->place;
    for (; reference->head < reference->count; advance(reference)) {
        struct item item = reference->items[reference->head];
        bool between = place->stream != 0 && place->ended;
        if (item.what == MESSAGE)
            return LEAT_OK;
        if (item.what == BEGIN && place->stream != 0 && !place->ended)
            return end_of_stream(reference);
        *place = (struct place){item.stream, item.what == END};
        if (item.what == END || between) {
            advance(reference);
            return item.what == END ? LEAT_ECLOSED : LEAT_EPEERBACK;
        }
    }
    if (place->stream != 0 && !place->ended && reference->over)
        return end_of_stream(reference);
    return LEAT_ETIMEDOUT;
}

static void take(struct reference *reference, bool hold) {
    if (hold && reference->peeked++ == 0)
        reference->oldest = reference->place;
    advance(reference);
}

static void release_oldest(struct reference *reference) {
    if (reference->peeked == 0)
        return;
    bool found = false;
    for (; !found; reference->released++) {
        struct item item = reference->items[reference->released];
        found = item.what == MESSAGE;
        if (!found)
            reference->oldest = (struct place){item.stream, item.what == END};
    }
    if (--reference->peeked == 0)
        reference->released = reference->head;
}

static void recheck(struct reference *reference) {
    if (reference->peeked == 0)
        return;
    reference->head = reference->released;
    reference->place = reference->oldest;
    reference->peeked = 0;
}

/* --- The channel ------------------------------------------------------------------------------ */

struct world {
    const struct setting *setting;
    leat_sender *tx[SENDERS_MAX];
    leat_receiver *rx;
    struct reference reference;
    uint32_t stream;
    bool exact; /* the reference holds: marks never lack room */
    /* Of the last message that was delivered to any receiver: its stream, and the events since. */
    uint32_t last;
    bool end_told, back_told, successor;
    char history[LENGTH_MAX * 8];
};

static int present(const struct world *world) {
    int count = 0;
    for (int i = 0; i < world->setting->senders; i++)
        count += world->tx[i] != NULL;
    return count;
}

static void drop_locks(struct leat__resource *resource) {
    close(resource->file);
    resource->file = LEAT__NO_FILE;
    resource->forked = true;
}

static void sender_comes(struct world *world, int i) {
    const leat_channel_options options = {.capacity = world->setting->capacity,
                                          .persistent = true,
                                          .many_senders = world->setting->senders > 1,
                                          .spin_us = LEAT_SPIN_NONE};
    if (present(world) == 0) {
        world->stream++;
        stream_begins(&world->reference);
    }
    world->tx[i] = open_sender("streams", &options);
}

static void sender_sends(struct world *world, int i) {
    static char message[2048];
    memcpy(message, &world->stream, sizeof world->stream);
    int result = leat_send(world->tx[i], message, world->setting->message, LEAT_NOW);
    if (result == LEAT_OK)
        add_item(&world->reference, MESSAGE);
    else if (world->exact)
        harness_fail("%s: cannot send: %s", world->history, leat_error_name(result));
}

static void sender_goes(struct world *world, int i, bool dies) {
    if (present(world) == 1)
        stream_ends(&world->reference, !dies);
    if (dies)
        drop_locks(&world->tx[i]->role.object.resource);
    leat_sender_close(world->tx[i]);
    world->tx[i] = NULL;
}

static void receiver_comes(struct world *world) {
    const leat_channel_options options = {
        .capacity = world->setting->capacity, .persistent = true, .spin_us = LEAT_SPIN_NONE};
    world->rx = open_receiver("streams", &options);
    receiver_begins(&world->reference);
    world->successor = true;
}

static void receiver_goes(struct world *world, bool dies) {
    if (dies)
        drop_locks(&world->rx->role.object.resource);
    leat_receiver_close(world->rx);
    world->rx = NULL;
}

/* Whatever the marks: between messages of two streams, and nowhere else, the end of the first and
 * the beginning of the second are reported; to a successor, the beginning only behind an end. */
static void check_order(struct world *world, int result, uint32_t stream) {
    bool changed = world->last != 0 && stream != world->last;
    if (result == LEAT_ECLOSED || result == LEAT_EPEERDIED) {
        world->end_told = true;
        world->back_told = false;
    } else if (result == LEAT_EPEERBACK) {
        if (!world->end_told)
            harness_fail("%s: back before an end", world->history);
        world->back_told = true;
    } else if (result == LEAT_OK) {
        if (changed && !(world->end_told && (world->back_told || world->successor)))
            harness_fail("%s: from stream %u to %u in silence", world->history, world->last,
                         stream);
        if (world->last == stream && world->back_told)
            harness_fail("%s: a new stream was told in the middle of one", world->history);
        world->last = stream;
        world->end_told = world->back_told = world->successor = false;
    }
}

/* One call. LEAT_ETIMEDOUT: there is nothing more. */
static int receive(struct world *world) {
    uint32_t stream = 0;
    leat_message message;
    size_t count;
    int result = world->setting->holds ? leat_peek_more(world->rx, &message, 1, &count, AT_ONCE)
                                       : leat_peek(world->rx, &message, AT_ONCE);
    if (result == LEAT_OK)
        memcpy(&stream, message.data, sizeof stream);
    if (result == LEAT_OK && !world->setting->holds)
        assert_ok(leat_release(world->rx, 1));
    if (world->exact) {
        struct reference *reference = &world->reference;
        int expected = find(reference);
        uint32_t expected_stream =
            expected == LEAT_OK ? reference->items[reference->head].stream : 0;
        if (expected == LEAT_OK)
            take(reference, world->setting->holds);
        if (result != expected || stream != expected_stream)
            harness_fail("%s: %s, stream %u, instead of %s, stream %u", world->history,
                         leat_error_name(result), stream, leat_error_name(expected),
                         expected_stream);
    }
    if (!world->setting->holds)
        check_order(world, result, stream);
    return result;
}

/* --- All sequences ---------------------------------------------------------------------------- */

enum { COMES, DOES, CLOSES, DIES, RELEASES, LOOKS_ANEW, KINDS };

/* Actors: the senders, then the receiver. */
static void step(struct world *world, int actor, int kind) {
    bool receives = actor == world->setting->senders;
    size_t length = strlen(world->history);
    snprintf(world->history + length, sizeof world->history - length, " %c%c",
             receives ? 'R' : 'A' + actor, "+.-!rl"[kind]);
    if (!receives && kind == COMES)
        sender_comes(world, actor);
    else if (!receives && kind == DOES)
        sender_sends(world, actor);
    else if (!receives)
        sender_goes(world, actor, kind == DIES);
    else if (kind == COMES)
        receiver_comes(world);
    else if (kind == DOES)
        (void)receive(world);
    else if (kind <= DIES)
        receiver_goes(world, kind == DIES);
    else if (kind == RELEASES) {
        assert_leat(leat_release(world->rx, 1),
                    world->reference.peeked > 0 ? LEAT_OK : LEAT_ESTATE);
        release_oldest(&world->reference);
    } else {
        leat_unpeek(world->rx);
        recheck(&world->reference);
    }
}

static void end_world(struct world *world) {
    if (world->rx == NULL)
        receiver_comes(world);
    for (int calls = 0; receive(world) != LEAT_ETIMEDOUT; calls++)
        assert_in_range(calls, 0, ITEMS_MAX * 2);
    receiver_goes(world, false);
    for (int i = 0; i < world->setting->senders; i++)
        leat_sender_close(world->tx[i]);
    assert_ok(leat_unlink("streams", LEAT_LOCAL));
}

/* of the setting's length */
static void replay(const struct setting *setting, const int *choices, bool exact) {
    struct world world = {.setting = setting, .exact = exact};
    const leat_channel_options options = {.capacity = setting->capacity, .persistent = true};
    leat_receiver_close(open_receiver("streams", &options));
    for (size_t i = 0; i < setting->before; i++) {
        if (world.tx[0] == NULL)
            sender_comes(&world, 0);
        sender_sends(&world, 0);
    }
    for (int i = 0; i < setting->length; i++)
        step(&world, choices[i] / KINDS, choices[i] % KINDS);
    end_world(&world);
}

/* Everything that can be done after `done` steps, with the actors that `there` has a bit for. */
static unsigned long run_from(const struct setting *setting, int *choices, int done, unsigned there,
                              bool exact) {
    unsigned long count = 0;
    if (done == setting->length) {
        replay(setting, choices, exact);
        return 1;
    }
    for (int choice = 0; choice < (setting->senders + 1) * KINDS; choice++) {
        int actor = choice / KINDS, kind = choice % KINDS;
        bool is_there = (there >> actor & 1) != 0;
        if ((kind == COMES) == is_there ||
            (kind >= RELEASES && !(actor == setting->senders && setting->holds)))
            continue;
        bool stays = is_there != (kind == COMES || kind == CLOSES || kind == DIES);
        choices[done] = choice;
        count += run_from(setting, choices, done + 1,
                          (there & ~(1u << actor)) | (unsigned)stays << actor, exact);
    }
    return count;
}

static void run_all(const struct setting *setting, bool exact) {
    int choices[LENGTH_MAX] = {0};
    unsigned long count = run_from(setting, choices, 0, setting->before > 0 ? 1 : 0, exact);
    print_message("%lu sequences of %d steps\n", count, setting->length);
}

/* Longer ones by hand, as `history` has them: "A+ A. R+". */
static void play(struct setting setting, const char *steps, bool exact) {
    int choices[LENGTH_MAX] = {0};
    for (setting.length = 0; *steps != '\0'; steps += steps[2] == ' ' ? 3 : 2) {
        int actor = steps[0] == 'R' ? setting.senders : steps[0] - 'A';
        assert_in_range(setting.length, 0, LENGTH_MAX - 1);
        choices[setting.length++] = actor * KINDS + (int)(strchr("+.-!rl", steps[1]) - "+.-!rl");
    }
    replay(&setting, choices, exact);
}

static void stream_that_begins_among_held_messages_is_reported_to_a_successor(void **state) {
    (void)state;
    const struct setting setting = {.senders = 1, .holds = true, .capacity = 16384, .message = 8};
    play(setting, "A+ A. A. A! A+ A. R+ R. R. Rr R!", true);
    play(setting, "A+ A. A. A! A+ A. R+ R. R. R. R. Rr R!", true);
    play(setting, "A+ A. A! A+ A. R+ R. R. R. R. Rr R!", true);
    play(setting, "A+ A. A- A+ A. R+ R. R. R. R. Rr R!", true);
}

/* The first of many senders finds no room for the open mark, and another one sends first. */
static void open_mark_that_was_owed_is_written_by_whichever_sender_sends(void **state) {
    (void)state;
    const struct setting setting = {.senders = 2, .capacity = 4096, .message = 1900, .before = 2};
    play(setting, "A! A+ A! A+ A! A+ A! A+ B+ R+ R. B.", false);
    play(setting, "A- A+ A! A+ A! A+ B+ R+ R. R. B. A.", false);
}

static void change_of_stream_is_reported_in_its_place_to_whichever_receiver(void **state) {
    (void)state;
    run_all(&(struct setting){.length = 7, .senders = 1, .capacity = 16384, .message = 8}, true);
}

static void change_of_stream_among_held_messages_is_reported_in_its_place(void **state) {
    (void)state;
    run_all(
        &(struct setting){
            .length = 6, .senders = 1, .holds = true, .capacity = 16384, .message = 8},
        true);
}

static void change_of_stream_of_many_senders_is_reported_in_its_place(void **state) {
    (void)state;
    run_all(&(struct setting){.length = 5, .senders = 2, .capacity = 16384, .message = 8}, true);
}

static void change_of_stream_in_a_full_ring_is_never_silent(void **state) {
    (void)state;
    run_all(
        &(struct setting){
            .length = 6, .senders = 1, .capacity = 4096, .message = 1900, .before = 2},
        false);
}

static void change_of_stream_of_many_senders_in_a_full_ring_is_never_silent(void **state) {
    (void)state;
    run_all(
        &(struct setting){
            .length = 5, .senders = 2, .capacity = 4096, .message = 1900, .before = 2},
        false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(stream_that_begins_among_held_messages_is_reported_to_a_successor),
        HARNESS_TEST(open_mark_that_was_owed_is_written_by_whichever_sender_sends),
        HARNESS_TEST_WITHIN(change_of_stream_is_reported_in_its_place_to_whichever_receiver, 300),
        HARNESS_TEST_WITHIN(change_of_stream_among_held_messages_is_reported_in_its_place, 300),
        HARNESS_TEST_WITHIN(change_of_stream_of_many_senders_is_reported_in_its_place, 300),
        HARNESS_TEST_WITHIN(change_of_stream_in_a_full_ring_is_never_silent, 300),
        HARNESS_TEST_WITHIN(change_of_stream_of_many_senders_in_a_full_ring_is_never_silent, 300),
    };
    return HARNESS_MAIN("channel_streams", tests);
}
