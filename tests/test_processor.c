/* test_processor.c - handles take the row of the processor's family; neither wiping nor the length
 * of a spin changes what is delivered. */
#include <pthread.h>
#include <stdio.h>

#include "channel_pair.h"
#include "channels/queue/processor.h"
#include "channels/queue/receiver.h"
#include "channels/queue/sender.h"

#define THREADS 8

/* --- Rows ------------------------------------------------------------------------------------- */

static void expect_row(const char *vendor, unsigned family, unsigned model, uint32_t wipe,
                       const char *name) {
    const struct leat__processor *row = leat__processor_of(vendor, family, model);
    assert_int_equal(row->wipe, wipe);
    assert_string_equal(row->name, name);
}

static void rows_are_found_by_vendor_family_and_model(void **state) {
    (void)state;
    expect_row("AuthenticAMD", 25, 0x01, 64, "AMD Zen 3");  /* Milan */
    expect_row("AuthenticAMD", 25, 0x21, 64, "AMD Zen 3");  /* Vermeer */
    expect_row("AuthenticAMD", 25, 0x50, 64, "AMD Zen 3");  /* Cezanne */
    expect_row("AuthenticAMD", 25, 0x11, 512, "AMD Zen 4"); /* Genoa */
    expect_row("AuthenticAMD", 25, 0x61, 512, "AMD Zen 4"); /* Raphael */
    expect_row("AuthenticAMD", 25, 0xa0, 512, "AMD Zen 4"); /* Bergamo */
    expect_row("AuthenticAMD", 26, 0x02, 128, "AMD Zen 5");
    expect_row("GenuineIntel", 6, 0xcf, 0, "Intel");
    expect_row("AuthenticAMD", 24, 0x31, 512, "unknown");
    expect_row("AuthenticAMD", 6, 1, 512, "unknown");
    expect_row("GenuineIntel", 26, 1, 512, "unknown");
    expect_row("", 0, 0, 512, "unknown");
}

/* As the kernel shows it. */
static void the_row_is_that_of_this_processor(void **state) {
    (void)state;
    char line[256], vendor[64] = "";
    unsigned family = 0, model = 0;
    FILE *file = fopen("/proc/cpuinfo", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL && line[0] != '\n') { /* of the first processor */
        (void)sscanf(line, "vendor_id : %63s", vendor);
        (void)sscanf(line, "cpu family : %u", &family);
        (void)sscanf(line, "model : %u", &model);
    }
    fclose(file);
    assert_ptr_equal(leat__processor(), leat__processor_of(vendor, family, model));
}

static void *ask(void *row) {
    *(const struct leat__processor **)row = leat__processor();
    return NULL;
}

static void threads_get_the_same_row(void **state) {
    (void)state;
    pthread_t threads[THREADS];
    const struct leat__processor *rows[THREADS] = {NULL};
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask, (void *)&rows[i]), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_ptr_equal(rows[i], leat__processor());
}

static void a_receiver_takes_what_to_wipe(void **state) {
    (void)state;
    struct pair pair = open_pair("wipes", 0);
    assert_int_equal(pair.rx->ring.lane.wipe, leat__processor()->wipe);
    close_pair(&pair);
}

/* --- Spins ------------------------------------------------------------------------------------ */

static void expect_spin(leat_channel_options options, uint64_t longest_ns) {
    leat_sender *tx = open_sender("spins", &options);
    leat_receiver *rx = open_receiver("spins", &options);
    assert_int_equal(tx->role.spin.ns_max, longest_ns);
    assert_int_equal(rx->role.spin.ns_max, longest_ns);
    leat_sender_close(tx);
    leat_receiver_close(rx);
}

static void a_handle_spins_as_its_options_say_or_for_50_us(void **state) {
    (void)state;
    bool can = leat__os_can_spin(); /* a single processor cannot */
    expect_spin((leat_channel_options){0}, can ? 50000 : 0);
    expect_spin((leat_channel_options){.spin_us = 7}, can ? 7000 : 0);
    expect_spin((leat_channel_options){.spin_us = INT32_MAX}, can ? INT32_MAX * UINT64_C(1000) : 0);
    expect_spin((leat_channel_options){.spin_us = LEAT_SPIN_NONE}, 0);
    expect_spin((leat_channel_options){.spin_us = LEAT_SPIN_FOREVER}, can ? 50000 : 0);
}

/* --- Messages --------------------------------------------------------------------------------- */

/* All sizes, each of them after the ring was found empty, so that a receiver that naps does. */
static void expect_all_sizes(struct pair *pair) {
    for (size_t size = 0; size <= leat_sender_max_message(pair->tx); size += 1 + size / 16) {
        unsigned char sent[2048], got[2048];
        size_t length;
        memset(sent, (int)size | 1, size);
        assert_ok(leat_send(pair->tx, sent, size, LEAT_NOW));
        assert_ok(leat_recv(pair->rx, got, sizeof got, &length, LEAT_NOW));
        assert_int_equal(length, size);
        assert_memory_equal(got, sent, size);
        expect_news(pair->rx, LEAT_EAGAIN, LEAT_NOW);
    }
    expect_news(pair->rx, LEAT_ETIMEDOUT, leat_in_ms(2));
}

/* Around the ring several times. */
static void messages_arrive_whatever_is_wiped(void **state) {
    (void)state;
    static const uint32_t wipes[] = {0, 64, 128, 512, UINT32_MAX};
    for (size_t i = 0; i < sizeof wipes / sizeof wipes[0]; i++) {
        struct pair pair = open_pair("wiped", 4096);
        pair.rx->ring.lane.wipe = wipes[i];
        for (int rounds = 0; rounds < 4; rounds++)
            expect_all_sizes(&pair);
        close_pair(&pair);
    }
}

static void messages_arrive_however_long_a_side_spins(void **state) {
    (void)state;
    static const int32_t spins[] = {-1, 0, 1, 5};
    for (size_t i = 0; i < sizeof spins / sizeof spins[0]; i++) {
        leat_channel_options options = {.capacity = 4096, .spin_us = spins[i]};
        struct pair pair = {open_sender("spun", &options), open_receiver("spun", &options)};
        expect_all_sizes(&pair);
        close_pair(&pair);
    }
}

/* After messages that came one by one as soon as it polled. */
static void a_receiver_naps_only_if_it_spins(void **state) {
    (void)state;
    for (int spins = 0; spins <= 1; spins++) {
        leat_channel_options options = {.capacity = 4096, .spin_us = spins ? 0 : -1};
        struct pair pair = {open_sender("naps", &options), open_receiver("naps", &options)};
        bool naps = false, can = pair.rx->role.spin.ns > 0;
        for (int i = 0; i < 50 && !naps; i++) {
            send_text(pair.tx, "quick");
            expect_text(pair.rx, "quick");
            expect_news(pair.rx, LEAT_EAGAIN, LEAT_NOW);
            naps = pair.rx->napped;
        }
        assert_int_equal(naps, can);
        close_pair(&pair);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(threads_get_the_same_row), /* first: no thread has asked yet */
        HARNESS_TEST(rows_are_found_by_vendor_family_and_model),
        HARNESS_TEST(the_row_is_that_of_this_processor),
        HARNESS_TEST(a_receiver_takes_what_to_wipe),
        HARNESS_TEST(a_handle_spins_as_its_options_say_or_for_50_us),
        HARNESS_TEST(messages_arrive_whatever_is_wiped),
        HARNESS_TEST(messages_arrive_however_long_a_side_spins),
        HARNESS_TEST(a_receiver_naps_only_if_it_spins),
    };
    return HARNESS_MAIN("processor", tests);
}
