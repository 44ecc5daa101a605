/* test_command_top_parts.c - the parts of `leat top` that need no terminal: rates from two samples,
 * counters that went back, filter, order, the columns that fit, the content of a line. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "top.h"

#define SECOND UINT64_C(1000000000)

/* A channel at a moment: what was sent and received so far. */
static struct top_row channel(const char *name, uint64_t inode, uint64_t second, uint64_t sent,
                              uint64_t received) {
    struct top_row row = {
        .object = {.kind = LEAT_KIND_CHANNEL, .scope = LEAT_LOCAL, .inode = inode, .users = 2}};
    row.read_ns = second * SECOND;
    snprintf(row.object.name, sizeof row.object.name, "%s", name);
    row.channel = (leat_channel_info){
        .capacity = 65536, .sender = LEAT_PEER_PRESENT, .receiver = LEAT_PEER_PRESENT};
    row.channel.sent =
        (leat_statistics){.messages = sent, .bytes = 100 * sent, .wake_calls = sent / 2};
    row.channel.received = (leat_statistics){.messages = received,
                                             .bytes = 100 * received,
                                             .sleeps = received / 4,
                                             .stalls = received / 5};
    row.sender.moved_ns = row.read_ns;
    return row;
}

static void near(double value, double wanted) {
    if (value < wanted - 1e-6 || value > wanted + 1e-6)
        harness_fail("%g instead of %g", value, wanted);
}

/* --- Rates ------------------------------------------------------------------------------------ */

static void two_samples_make_rates(void **state) {
    (void)state;
    struct top_row before = channel("c", 1, 10, 1000, 1000), now = channel("c", 1, 12, 3000, 2600);
    top_rate(&now, &before);
    assert_true(now.rated && now.rates.busy);
    near(now.rates.seconds, 2);
    near(now.rates.sent_messages, 1000);
    near(now.rates.sent_bytes, 100000);
    near(now.rates.received_messages, 800);
    near(now.rates.received_bytes, 80000);
    near(now.rates.messages, 800); /* the receiver's */
    near(now.rates.bytes, 80000);
    near(now.rates.wake_calls, 500);
    near(now.rates.sleeps, 200);
    near(now.rates.stalls, 160);
    now.channel.receiver = LEAT_PEER_NONE;
    now.channel.received = before.channel.received;
    top_rate(&now, &before);
    near(now.rates.messages, 1000); /* the sender's, as there is no receiver */
}

static void mean_wake_up_is_that_of_the_last_interval(void **state) {
    (void)state;
    struct top_row before = channel("c", 1, 10, 1000, 1000), now = channel("c", 1, 12, 3000, 2600);
    before.channel.sent.wakes = 1, before.channel.sent.wake_ns = 7;
    now.channel.sent.wakes = 2, now.channel.sent.wake_ns = 9; /* the sender's are not meant */
    before.channel.received.wakes = now.channel.received.wakes = 10;
    before.channel.received.wake_ns = now.channel.received.wake_ns = 1000000;
    top_rate(&now, &before);
    near(now.rates.wake_ns, -1);
    now.channel.received.wakes = 14;
    now.channel.received.wake_ns = 1020000;
    top_rate(&now, &before);
    near(now.rates.wake_ns, 5000);
    now.channel.received.wake_ns = 999999; /* went back */
    top_rate(&now, &before);
    assert_false(now.rated);
}

static void single_sample_has_no_rates(void **state) {
    (void)state;
    struct top_row now = channel("c", 1, 12, 3000, 2600), before = channel("c", 1, 12, 0, 0);
    top_rate(&now, NULL);
    assert_false(now.rated);
    top_rate(&now, &before); /* no time has passed */
    assert_false(now.rated);
}

static void counters_that_go_back_are_another_channel(void **state) {
    (void)state;
    struct top_row before = channel("c", 1, 10, 1000, 1000), now = channel("c", 2, 11, 1100, 1100);
    top_rate(&now, &before); /* another file of the same name */
    assert_false(now.rated);
    now.object.inode = 1;
    top_rate(&now, &before);
    assert_true(now.rated);
    now = channel("c", 1, 11, 10, 10); /* a file number given out again */
    top_rate(&now, &before);
    assert_false(now.rated);
    now = channel("c", 1, 11, 1100, 1100);
    now.channel.received.sleeps = 0;
    top_rate(&now, &before);
    assert_false(now.rated);
    now = channel("c", 1, 11, 1100, 1100);
    now.channel.sent.wake_calls = 0;
    top_rate(&now, &before);
    assert_false(now.rated);
    now = channel("c", 1, 11, 1100, 1100);
    now.code = LEAT_EACCES; /* cannot be read any more */
    top_rate(&now, &before);
    assert_false(now.rated);
    before.code = LEAT_ECORRUPT;
    now.code = LEAT_OK;
    top_rate(&now, &before);
    assert_false(now.rated);
}

/* A sender's counters change in steps: the first step gives no rate, later ones give the rate
 * between two steps. */
static void rate_of_a_slow_sender_is_averaged_over_its_updates(void **state) {
    (void)state;
    struct top_row rows[40];
    for (unsigned second = 0; second < 40; second++) {
        /* 80 each ten seconds */
        rows[second] = channel("c", 1, 100 + second, second / 10 * 80, 8 * second);
        if (second == 0)
            continue;
        top_rate(&rows[second], &rows[second - 1]);
        near(rows[second].rates.received_messages, 8);
        near(rows[second].rates.sent_messages, second < 20 ? -1 : 8);
        near(rows[second].rates.wake_calls, second < 20 ? -1 : 4);
    }
    struct top_row quiet = rows[39];
    quiet.read_ns += SECOND;
    top_rate(&quiet, &rows[39]);
    near(quiet.rates.sent_messages, 0); /* nothing moved, not even the backlog */
    near(quiet.rates.wake_calls, 0);
    assert_false(quiet.rates.busy);
    struct top_row filling = rows[39];
    filling.read_ns += SECOND;
    filling.channel.backlog_bytes += 800;
    top_rate(&filling, &rows[39]);
    near(filling.rates.sent_messages, 8);
    assert_true(filling.rates.busy);
}

/* --- Order and filter ------------------------------------------------------------------------- */

static void rows_are_ordered_by_any_column(void **state) {
    (void)state;
    struct top_row fast = channel("b", 1, 0, 0, 0), slow = channel("a", 2, 0, 0, 0),
                   unknown = channel("c", 3, 0, 0, 0);
    fast.rated = slow.rated = true;
    fast.rates = (struct top_rates){.messages = 100, .wake_calls = -1, .wake_ns = 5000};
    slow.rates = (struct top_rates){.messages = 1, .wake_calls = 5, .wake_ns = -1};
    assert_true(top_compare(&fast, &slow, TOP_MESSAGES, false) < 0);
    assert_true(top_compare(&fast, &slow, TOP_MESSAGES, true) > 0);
    assert_true(top_compare(&unknown, &slow, TOP_MESSAGES, false) > 0);
    assert_true(top_compare(&unknown, &slow, TOP_MESSAGES, true) > 0); /* last both ways */
    assert_true(top_compare(&fast, &slow, TOP_WAKES, false) > 0);
    assert_int_equal(top_compare(&fast, &slow, TOP_STALLS, false), 0);
    assert_true(top_compare(&fast, &slow, TOP_WAKE, false) < 0 &&
                top_compare(&fast, &slow, TOP_WAKE, true) < 0);
    slow.rates.wake_ns = 5001;
    assert_true(top_compare(&fast, &slow, TOP_WAKE, false) > 0);
    assert_true(top_compare(&fast, &slow, TOP_NAME, false) > 0);
    assert_true(top_compare(&fast, &slow, TOP_NAME, true) < 0);
    slow.channel.receiver = LEAT_PEER_DIED;
    assert_true(top_compare(&slow, &fast, TOP_RECEIVER, false) < 0);
    slow.channel.backlog_bytes = 1;
    assert_true(top_compare(&slow, &fast, TOP_BACKLOG, false) < 0);
    assert_true(top_compare(&slow, &fast, TOP_FULL, false) < 0);
    assert_true(top_compare(&slow, &fast, TOP_HIGH_WATER, false) < 0);
    fast.object.users = 3;
    assert_true(top_compare(&fast, &slow, TOP_USERS, false) < 0);
    fast.object.scope = LEAT_GLOBAL;
    assert_true(top_compare(&slow, &fast, TOP_SCOPE, false) < 0);
}

static void filter_matches_the_name_as_shown(void **state) {
    (void)state;
    struct top_row row = channel("Tele\nmetry", 1, 0, 0, 0);
    assert_true(top_passes(&row, ""));
    assert_true(top_passes(&row, "tele"));
    assert_true(top_passes(&row, "METRY"));
    assert_true(top_passes(&row, "\\x0a"));
    assert_false(top_passes(&row, "audio"));
}

static const char *names_of(const struct top_model *model, char text[256]) {
    text[0] = 0;
    for (size_t i = 0; i < model->shown_count; i++)
        strcat(strcat(text, model->shown[i]->object.name), " ");
    return text;
}

static void model_follows_objects_that_come_and_go(void **state) {
    (void)state;
    struct top_model model = {.local = true, .sort = TOP_NAME};
    leat_sender *a, *b;
    leat_mutex *mutex;
    leat_scope scope;
    char text[256];
    assert_ok(top_model_refresh(&model, &scope)); /* no directory yet */
    assert_int_equal(model.shown_count, 0);
    assert_ok(leat_sender_open(&a, "a", NULL));
    assert_ok(leat_mutex_open(&mutex, "m", NULL));
    assert_ok(top_model_refresh(&model, &scope));
    assert_string_equal(names_of(&model, text), "a ");
    assert_true(model.shown[0]->fresh && !model.shown[0]->rated);
    assert_int_equal(model.shown[0]->object.users, 1);
    assert_ok(leat_sender_open(&b, "b", NULL));
    assert_ok(leat_send(b, "x", 1, LEAT_NOW));
    model.others = model.reversed = true;
    assert_ok(top_model_refresh(&model, &scope));
    assert_string_equal(names_of(&model, text), "m b a ");
    assert_int_equal(model.totals.channels, 2);
    assert_int_equal(model.totals.others, 1);
    assert_true(model.totals.backlog_bytes > 0);
    assert_true(model.shown[1]->fresh && !model.shown[2]->fresh && model.shown[2]->rated);
    strcpy(model.filter, "B");
    assert_ok(top_model_arrange(&model));
    assert_string_equal(names_of(&model, text), "b ");
    model.filter[0] = 0;
    leat_sender_close(a);
    assert_ok(leat_sender_open(&a, "a", NULL)); /* another one */
    assert_ok(top_model_refresh(&model, &scope));
    assert_true(model.shown[2]->fresh && !model.shown[2]->rated);
    leat_sender_close(a);
    leat_sender_close(b);
    leat_mutex_close(mutex);
    assert_int_equal(harness_names_left(), 0); /* there was no other user */
    assert_ok(top_model_refresh(&model, &scope));
    assert_int_equal(model.shown_count, 0);
    top_model_forget(&model);
}

static int receive_until_killed(void *context) {
    leat_receiver *receiver;
    assert_ok(leat_receiver_open(&receiver, "c", NULL));
    harness_set(context, 1);
    pause();
    return 1;
}

static void dead_sides_are_counted(void **state) {
    (void)state;
    struct top_model model = {.local = true, .sort = TOP_RECEIVER};
    harness_word *there = harness_shared(sizeof *there);
    leat_sender *sender, *other;
    leat_scope scope;
    assert_ok(leat_sender_open(&sender, "c", NULL));
    assert_ok(leat_sender_open(&other, "a", NULL));
    pid_t receiver = harness_spawn(receive_until_killed, there);
    harness_await(there, 1);
    assert_ok(top_model_refresh(&model, &scope));
    assert_int_equal(model.totals.died, 0);
    harness_kill(receiver);
    assert_ok(top_model_refresh(&model, &scope));
    assert_int_equal(model.totals.died, 1);
    /* sorted by the receiver: those that died first */
    assert_string_equal(model.shown[0]->object.name, "c");
    assert_int_equal(model.shown[0]->channel.receiver, LEAT_PEER_DIED);
    assert_int_equal(model.shown[0]->object.users, 1);
    top_model_forget(&model);
    leat_sender_close(sender);
    leat_sender_close(other);
}

/* --- Lines ------------------------------------------------------------------------------------ */

static void columns_give_way_in_a_narrow_window(void **state) {
    (void)state;
    struct top_model model = {.local = true, .global = true, .sort = TOP_MESSAGES};
    struct top_row row = channel("c", 1, 0, 0, 0);
    struct top_layout layout;
    char line[TOP_LINE_SIZE], heading[TOP_LINE_SIZE];
    for (int width = 0; width < 200; width++)
        for (int sort = 0; sort < TOP_COLUMNS; sort++) {
            int place, wide;
            model.sort = (enum top_column)sort;
            top_layout(&layout, &model, width);
            assert_true(sort == TOP_NAME || layout.shown[sort]);
            assert_true(layout.width <= (width > 28 ? width - 18 : 10));
            assert_int_equal(strlen(top_heading(heading, &layout)), layout.width);
            assert_int_equal(strlen(top_line(line, &layout, &row)), layout.width);
            place = top_column_place(&layout, model.sort, &wide);
            if (sort != TOP_NAME)
                assert_non_null(memmem(heading + place, (size_t)wide,
                                       top_column_title((int)model.sort),
                                       strlen(top_column_title((int)model.sort))));
        }
}

static void expect_line(const struct top_row *row, const char *wanted) {
    struct top_model model = {.local = true, .others = true, .sort = TOP_MESSAGES};
    struct top_layout layout;
    char line[TOP_LINE_SIZE];
    top_layout(&layout, &model, 1000);
    if (strncmp(top_line(line, &layout, row), wanted, strlen(wanted)) != 0)
        harness_fail("\"%s\" instead of \"%s\"", line, wanted);
}

static void lines_show_what_is_known(void **state) {
    (void)state;
    struct top_row row = channel("c", 1, 0, 0, 0);
    row.channel.backlog_bytes = 16384;
    row.channel.many_senders = true;
    row.channel.receiver = LEAT_PEER_DIED;
    expect_line(&row, "channel       2       -        - 16.0 KiB  25% 16.0 KiB       -        -    "
                      "    -       - many   died ");
    row.rated = true;
    row.rates = (struct top_rates){.messages = 1234567,
                                   .bytes = 5.5e9,
                                   .wake_calls = -1,
                                   .sleeps = 0.25,
                                   .stalls = 12345,
                                   .wake_ns = 12345};
    expect_line(&row, "channel       2   1.2 M   5.5 GB 16.0 KiB  25% 16.0 KiB       -      0.2    "
                      "12345 12.3 us many   died ");
    row.rates.wake_ns = -1;
    expect_line(&row, "channel       2   1.2 M   5.5 GB 16.0 KiB  25% 16.0 KiB       -      0.2    "
                      "12345       - many   died ");
    row.rates.wake_ns = (double)UINT64_MAX; /* written to shared memory by a hostile process */
    expect_line(&row, "channel       2   1.2 M   5.5 GB 16.0 KiB  25% 16.0 KiB       -      0.2    "
                      "12345 1844674 many   died ");
    row.code = LEAT_EACCES;
    expect_line(&row, "channel       2 ");
    row.code = LEAT_ECORRUPT;
    row.object.damaged = true;
    expect_line(&row, "channel       2 damaged: its header fails its checksum ");
    row = (struct top_row){.object = {.kind = LEAT_KIND_MUTEX, .users = 1},
                           .sync = {.kind = LEAT_KIND_MUTEX, .held = true, .holder = 77}};
    expect_line(&row, "mutex         1 held by process 77 ");
    row.sync.held = false;
    expect_line(&row, "mutex         1 free ");
    row.sync.abandoned = true;
    expect_line(&row, "mutex         1 abandoned: its holder died ");
    row.object.kind = row.sync.kind = LEAT_KIND_EVENT;
    expect_line(&row, "event         1 not set, automatic reset ");
    row.object.kind = row.sync.kind = LEAT_KIND_SEMAPHORE;
    row.sync.count = 3, row.sync.maximum = 10;
    expect_line(&row, "semaphore     1 count 3 of 10 ");
    row.object.kind = LEAT_KIND_REGION;
    row.object.size = 8192, row.object.persistent = true;
    expect_line(&row, "region        1 8.0 KiB, kept ");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(two_samples_make_rates),
        HARNESS_TEST(mean_wake_up_is_that_of_the_last_interval),
        HARNESS_TEST(single_sample_has_no_rates),
        HARNESS_TEST(counters_that_go_back_are_another_channel),
        HARNESS_TEST(rate_of_a_slow_sender_is_averaged_over_its_updates),
        HARNESS_TEST(rows_are_ordered_by_any_column),
        HARNESS_TEST(filter_matches_the_name_as_shown),
        HARNESS_TEST(model_follows_objects_that_come_and_go),
        HARNESS_TEST(dead_sides_are_counted),
        HARNESS_TEST(columns_give_way_in_a_narrow_window),
        HARNESS_TEST(lines_show_what_is_known),
    };
    return HARNESS_MAIN("command_top_parts", tests);
}
