/* test_channel_unpeek.c - peeking again at held messages: the events between the messages are
 * reported again, each time and by whichever call, as long as they were not released, and no event
 * is invented. */
#include <signal.h>

#include "channel_pair.h"

/* --- Senders that came and went --------------------------------------------------------------- */

struct visit {
    const char *texts;
    bool dies;
};

/* Sends each character as a message, and goes. */
static int come_and_go(void *context) {
    const struct visit *visit = context;
    leat_sender *sender = open_sender("visited", NULL);
    for (const char *text = visit->texts; *text != '\0'; text++)
        assert_ok(leat_send(sender, text, 1, LEAT_NOW));
    if (visit->dies)
        raise(SIGKILL);
    leat_sender_close(sender);
    return 0;
}

static leat_receiver *open_visited(struct visit visits[2]) {
    leat_receiver *rx = open_receiver("visited", NULL);
    for (int i = 0; i < 2 && visits[i].texts != NULL; i++) {
        pid_t child = harness_spawn(come_and_go, &visits[i]);
        if (visits[i].dies)
            harness_wait_signal(child, SIGKILL);
        else
            harness_wait_ok(child);
    }
    return rx;
}

static char sign_of(int event) {
    if (event != LEAT_ECLOSED && event != LEAT_EPEERDIED)
        assert_leat(event, LEAT_EPEERBACK);
    return event == LEAT_ECLOSED ? '.' : event == LEAT_EPEERDIED ? '!' : '+';
}

/* --- Events ----------------------------------------------------------------------------------- */

/* Everything that the calls return: a message as itself, . for closed, ! for died, + for back. */
static void expect_told(leat_receiver *rx, bool holding, const char *expected) {
    char told[32] = "";
    for (size_t i = 0; i < sizeof told - 1; i++) {
        leat_message message = {&told[i], 0};
        size_t size;
        int result = holding ? leat_peek_more(rx, &message, 1, &size, SOON)
                             : leat_recv(rx, &told[i], 1, &size, SOON);
        if (result == LEAT_ETIMEDOUT)
            break;
        told[i] = result == LEAT_OK ? *(const char *)message.data : sign_of(result);
    }
    assert_string_equal(told, expected);
}

/* --- Again ------------------------------------------------------------------------------------ */

static struct {
    struct visit visits[2];
    const char *told;
} told_between[] = {
    {{{"a", false}}, "a."},
    {{{"a", true}}, "a!"},
    {{{"a", false}, {"bc", false}}, "a.+bc."},
    {{{"a", true}, {"bc", false}}, "a!+bc."},
    {{{"a", true}, {"bc", true}}, "a!+bc!"},
};

enum { TOLD_BETWEEN = sizeof told_between / sizeof *told_between };

static void expect_peek(leat_receiver *rx, char expected) {
    leat_message message;
    assert_ok(leat_peek(rx, &message, LEAT_NOW));
    assert_int_equal(*(const char *)message.data, expected);
}

static void event_between_messages_is_reported_again(void **state) {
    (void)state;
    for (size_t i = 0; i < TOLD_BETWEEN; i++) {
        leat_receiver *rx = open_visited(told_between[i].visits);
        for (int looks = 0; looks < 3; looks++) {
            expect_told(rx, true, told_between[i].told);
            leat_unpeek(rx);
        }
        expect_told(rx, false, told_between[i].told);
        leat_receiver_close(rx);
    }
}

/* The first message is peeked in place, and only then held. */
static void event_behind_a_short_peek_is_reported_again(void **state) {
    (void)state;
    for (size_t i = 0; i < TOLD_BETWEEN; i++) {
        leat_receiver *rx = open_visited(told_between[i].visits);
        expect_peek(rx, 'a');
        expect_told(rx, true, told_between[i].told + 1);
        expect_peek(rx, 'a'); /* which peeks again by itself */
        leat_unpeek(rx);
        expect_told(rx, false, told_between[i].told);
        leat_receiver_close(rx);
    }
}

static void event_before_the_oldest_message_is_not_reported_again(void **state) {
    (void)state;
    for (size_t i = 0; i < TOLD_BETWEEN; i++) {
        const char *told = told_between[i].told;
        size_t most = told_between[i].visits[1].texts != NULL ? 3 : 1;
        for (size_t released = 1; released <= most; released++) {
            leat_receiver *rx = open_visited(told_between[i].visits);
            expect_told(rx, true, told);
            assert_ok(leat_release(rx, released));
            leat_unpeek(rx);
            expect_told(rx, false,
                        released == most ? "" : strchr(told, 'a' + (int)released - 1) + 1);
            leat_receiver_close(rx);
        }
    }
}

/* The message before it was released, and with it its event. */
static void sender_that_stays_causes_no_event(void **state) {
    (void)state;
    for (int dies = 0; dies < 2; dies++) {
        struct visit visits[2] = {{"a", dies}, {NULL, false}};
        leat_receiver *rx = open_visited(visits);
        leat_sender *tx = open_sender("visited", NULL);
        send_text(tx, "b");
        send_text(tx, "c");
        expect_told(rx, true, dies ? "a!+bc" : "a.+bc");
        assert_ok(leat_release(rx, 2));
        leat_unpeek(rx);
        expect_told(rx, false, "c");
        leat_sender_close(tx);
        expect_told(rx, false, ".");
        leat_receiver_close(rx);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(event_between_messages_is_reported_again),
        HARNESS_TEST(event_behind_a_short_peek_is_reported_again),
        HARNESS_TEST(event_before_the_oldest_message_is_not_reported_again),
        HARNESS_TEST(sender_that_stays_causes_no_event),
    };
    return HARNESS_MAIN("channel_unpeek", tests);
}
