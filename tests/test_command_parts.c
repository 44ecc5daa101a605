/* test_command_parts.c - the parts of the leat command that can be wrong without any process: sizes
 * and names, cutting input into messages, writing them, the histogram, the texts of /proc, the
 * demo's messages. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "arguments.h"
#include "demo.h"
#include "figures.h"
#include "framing.h"
#include "histogram.h"
#include "names.h"
#include "output.h"
#include "proc_counters.h"
#include "users.h"

/* --- Arguments -------------------------------------------------------------------------------- */

static void sizes_are_understood_with_their_units(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0", 0},           {"4096", 4096},   {"64K", 65536},
                {"64k", 65536},     {"64KiB", 65536}, {"64kB", 64000},
                {"1M", 1 << 20},    {"2MB", 2000000}, {"1G", 1 << 30},
                {"3T", 3ull << 40}, {"10B", 10},      {"18446744073709551615", UINT64_MAX}};
    static const char *const bad[] = {"",
                                      "-1",
                                      " 1",
                                      "1 K",
                                      "K",
                                      "1Q",
                                      "1KK",
                                      "0x10",
                                      "1.5M",
                                      "18446744073709551616",
                                      "99999999999T",
                                      "1iB",
                                      "1Kb"};
    uint64_t bytes;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (!parse_size(good[i].text, &bytes))
            harness_fail("'%s' was refused", good[i].text);
        assert_int_equal(bytes, good[i].bytes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (parse_size(bad[i], &bytes))
            harness_fail("'%s' was taken as %llu", bad[i], (unsigned long long)bytes);
}

static void durations_are_understood(void **state) {
    (void)state;
    static const char *const bad[] = {"", "-1", "x", "1s", "nan", "inf", " 1", "1e"};
    uint64_t duration;
    assert_true(parse_seconds("0", &duration) && duration == 0);
    assert_true(parse_seconds("1.5", &duration) && duration == 1500000000u);
    assert_true(parse_seconds(".25", &duration) && duration == 250000000u);
    assert_true(parse_seconds("forever", &duration) && duration == UINT64_MAX);
    assert_true(parse_seconds("1e300", &duration) && duration == UINT64_MAX);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (parse_seconds(bad[i], &duration))
            harness_fail("'%s' was taken as %llu ns", bad[i], (unsigned long long)duration);
}

static void expect_shown(const char *name, const char *wanted) {
    struct shown_name shown;
    assert_string_equal(name_show(&shown, name), wanted);
    assert_true(utf8_valid(shown.text));
}

static void names_are_shown_without_harm(void **state) {
    (void)state;
    expect_shown("plain name", "plain name");
    expect_shown("gr\xc3\xbc\xc3\x9f"
                 "e \xe6\x97\xa5 \xf0\x9f\x98\x80",
                 "gr\xc3\xbc\xc3\x9f"
                 "e \xe6\x97\xa5 \xf0\x9f\x98\x80");
    expect_shown("a\nb\tc\x1b[2J\x7f", "a\\x0ab\\x09c\\x1b[2J\\x7f");
    expect_shown("back\\slash", "back\\\\slash");
    expect_shown("\xff\xc3", "\\xff\\xc3");                            /* no UTF-8, and cut off */
    expect_shown("\xc0\xaf\xed\xa0\x80", "\\xc0\\xaf\\xed\\xa0\\x80"); /* overlong, surrogate */
    expect_shown("\xc2\x9b"
                 "31m",
                 "\\xc2\\x9b31m"); /* a C1 control: CSI */
    expect_shown("\xe2\x80\xae"
                 "abc",
                 "\\xe2\\x80\\xae"
                 "abc"); /* turns the text around */
}

static void names_of_any_length_fit(void **state) {
    (void)state;
    char name[5000];
    struct shown_name shown;
    memset(name, 1, sizeof name);
    name[LEAT_NAME_MAX] = 0;
    assert_int_equal(strlen(name_show(&shown, name)), 4 * LEAT_NAME_MAX);
    name[LEAT_NAME_MAX] = 1;
    name[sizeof name - 1] = 0;
    name_show(&shown, name);
    assert_string_equal(shown.text + strlen(shown.text) - 3, "...");
}

static void figures_are_rounded_for_people(void **state) {
    (void)state;
    struct figure figure;
    char permissions[10];
    assert_string_equal(figure_bytes(&figure, 0), "0 B");
    assert_string_equal(figure_bytes(&figure, 1023), "1023 B");
    assert_string_equal(figure_bytes(&figure, 1536), "1.5 KiB");
    assert_string_equal(figure_bytes(&figure, UINT64_MAX), "16.0 EiB");
    assert_string_equal(figure_count(&figure, 0), "0");
    assert_string_equal(figure_count(&figure, 999), "999");
    assert_string_equal(figure_count(&figure, 1234567), "1,234,567");
    assert_string_equal(figure_count(&figure, UINT64_MAX), "18,446,744,073,709,551,615");
    assert_string_equal(figure_duration(&figure, 999), "999 ns");
    assert_string_equal(figure_duration(&figure, 12345), "12.3 us");
    assert_string_equal(figure_decimal(&figure, 5.25e9, "B/s"), "5.2 GB/s");
    assert_string_equal(figure_permissions(permissions, 0640), "rw-r-----");
}

/* --- Framing ---------------------------------------------------------------------------------- */

/* Feeds the input in pieces through a pipe and collects messages joined by '|'. */
static const char *cut(enum framing_mode mode, size_t frame_size, size_t max_message,
                       const char *const *pieces) {
    static char result[4096];
    struct framing framing;
    leat_message messages[3];
    int ends[2];
    size_t count, length = 0;
    assert_int_equal(pipe(ends), 0);
    assert_true(framing_open(&framing, mode, frame_size, max_message));
    do {
        if (*pieces != NULL)
            assert_int_equal(write(ends[1], *pieces, strlen(*pieces)), strlen(*pieces));
        else if (ends[1] >= 0) {
            close(ends[1]);
            ends[1] = -1;
        }
        pieces += *pieces != NULL;
        assert_int_equal(framing_fill(&framing, ends[0]), 0);
        while ((count = framing_cut(&framing, messages, 3)) > 0)
            for (size_t i = 0; i < count; i++) {
                assert_in_range(messages[i].size, 1, max_message);
                memcpy(result + length, messages[i].data, messages[i].size);
                length += messages[i].size;
                result[length++] = '|';
            }
    } while (!framing.input_ended && !framing.too_long);
    if (framing.too_long)
        strcpy(result + length, "TOO LONG");
    else
        result[length] = 0;
    framing_close(&framing);
    close(ends[0]);
    if (ends[1] >= 0)
        close(ends[1]);
    return result;
}

#define PIECES(...) ((const char *const[]){__VA_ARGS__, NULL})

static void input_is_cut_into_messages(void **state) {
    (void)state;
    assert_string_equal(cut(FRAMING_CHUNKS, 0, 100, PIECES("abc", "d", "efg\n")), "abc|d|efg\n|");
    assert_string_equal(cut(FRAMING_CHUNKS, 0, 4, PIECES("abcdefghi")), "abcd|efgh|i|");
    assert_string_equal(cut(FRAMING_FRAMES, 3, 100, PIECES("ab", "cdefgh", "i", "jk")),
                        "abc|def|ghi|jk|");
    assert_string_equal(cut(FRAMING_FRAMES, 1, 100, PIECES("abcde")), "a|b|c|d|e|");
    assert_string_equal(cut(FRAMING_FRAMES, 9, 100, PIECES("a", "b", "c")), "abc|");
    assert_string_equal(cut(FRAMING_LINES, 0, 100, PIECES("one\ntw", "o\n\nthree", "\nfour")),
                        "one\n|two\n|\n|three\n|four|");
    assert_string_equal(cut(FRAMING_LINES, 0, 4, PIECES("abc\n", "abcd")), "abc\n|abcd|");
    assert_string_equal(cut(FRAMING_LINES, 0, 4, PIECES("abc\nabcd\nx\n")), "abc\n|TOO LONG");
    assert_string_equal(cut(FRAMING_LINES, 0, 4, PIECES("a\nab", "cd", "e\n")), "a\n|TOO LONG");
}

static void line_longer_than_the_buffer_is_one_message(void **state) {
    (void)state;
    enum { SIZE = 1000000 };
    struct framing framing;
    leat_message message;
    char path[] = "/tmp/leat-test-line-XXXXXX";
    int file = mkstemp(path);
    char *line = malloc(SIZE);
    assert_true(file >= 0);
    unlink(path);
    memset(line, 'x', SIZE);
    line[SIZE - 1] = '\n';
    assert_int_equal(write(file, "short\n", 6), 6);
    assert_int_equal(write(file, line, SIZE), SIZE);
    lseek(file, 0, SEEK_SET);
    assert_true(framing_open(&framing, FRAMING_LINES, 0, SIZE));
    size_t lines = 0, last = 0;
    while (!framing.input_ended) {
        assert_int_equal(framing_fill(&framing, file), 0);
        while (framing_cut(&framing, &message, 1) == 1) {
            lines++;
            last = message.size;
        }
    }
    assert_int_equal(lines, 2);
    assert_int_equal(last, SIZE);
    framing_close(&framing);
    free(line);
    close(file);
}

/* --- Output ----------------------------------------------------------------------------------- */

static void pieces_of_all_sizes_come_out_in_order(void **state) {
    (void)state;
    static struct output output;
    enum { SIZE = 4000000 };
    uint64_t random = harness_seed();
    char path[] = "/tmp/leat-test-output-XXXXXX";
    int file = mkstemp(path);
    char *bytes = malloc(SIZE), *back = malloc(SIZE);
    assert_true(file >= 0);
    unlink(path);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (char)harness_random(&random);
    output_open(&output, file);
    for (size_t at = 0, size; at < SIZE; at += size) {
        size = (size_t)(harness_random(&random) % (harness_random(&random) % 10 == 0 ? 40000 : 30));
        if (size > SIZE - at)
            size = SIZE - at;
        assert_int_equal(output_add(&output, bytes + at, size), 0);
    }
    assert_int_equal(output_flush(&output), 0);
    assert_int_equal(output.written, SIZE);
    assert_int_equal(output.added, SIZE);
    assert_int_equal(pread(file, back, SIZE, 0), SIZE);
    assert_memory_equal(bytes, back, SIZE);
    free(bytes);
    free(back);
    close(file);
}

static void recv_reports_a_failed_write(void **state) {
    (void)state;
    static struct output output;
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(full >= 0);
    output_open(&output, full);
    assert_int_equal(output_add(&output, "x", 1), 0);
    assert_int_equal(output_flush(&output), ENOSPC);
    assert_int_equal(output.written, 0);
    close(full);
}

/* --- Histogram -------------------------------------------------------------------------------- */

static void quantiles_are_those_of_the_values(void **state) {
    (void)state;
    static struct histogram histogram;
    assert_int_equal(histogram_quantile(&histogram, 0.5), 0);
    for (uint64_t value = 1; value <= 100; value++)
        histogram_add(&histogram, value);
    assert_int_equal(histogram_quantile(&histogram, 0.5), 50);
    assert_int_equal(histogram_quantile(&histogram, 0.99), 99);
    assert_int_equal(histogram_quantile(&histogram, 0.999), 100);
    assert_int_equal(histogram_quantile(&histogram, 1), 100);
    assert_int_equal(histogram.smallest, 1);
    assert_true(histogram_mean(&histogram) == 50.5);
}

/* A value alone in a histogram with a larger one is given back at most 1/1024 too large, never too
 * small. */
static void histogram_keeps_every_magnitude_to_a_thousandth(void **state) {
    (void)state;
    static struct histogram histogram;
    uint64_t random = harness_seed();
    for (unsigned bits = 1; bits < 40; bits++)
        for (int round = 0; round < 100; round++) {
            uint64_t value =
                (UINT64_C(1) << bits) + (harness_random(&random) & ((UINT64_C(1) << bits) - 1));
            memset(&histogram, 0, sizeof histogram);
            histogram_add(&histogram, value);
            histogram_add(&histogram, UINT64_C(1) << 45); /* beyond the last bucket */
            uint64_t given = histogram_quantile(&histogram, 0.5);
            if (given < value || given - value > value / 1024)
                harness_fail("%llu was given as %llu", (unsigned long long)value,
                             (unsigned long long)given);
            assert_int_equal(histogram.largest, UINT64_C(1) << 45);
        }
}

static int compare_values(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void expect_quantiles(const struct histogram *histogram, const uint32_t *sorted,
                             size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint64_t found = histogram_quantile(histogram, (double)(i + 1) / (double)count);
        assert_true(found >= sorted[i] && found <= (uint64_t)sorted[i] + sorted[i] / 1000);
        assert_true(sorted[i] >= HISTOGRAM_EXACT || found == sorted[i]);
    }
    assert_int_equal(histogram->count, count);
    assert_int_equal(histogram->smallest, sorted[0]);
    assert_int_equal(histogram->largest, sorted[count - 1]);
    assert_int_equal(histogram_quantile(histogram, 0),
                     histogram_quantile(histogram, 1 / (double)count));
}

/* Nearest rank, exact below 2048, and at most 0.1 % above from there on. */
static void merged_quantiles_are_those_of_a_sorted_array(void **state) {
    (void)state;
    enum { COUNT = 3000 };
    static struct histogram half[2];
    static uint32_t values[COUNT];
    uint64_t random = harness_seed();
    for (unsigned bits = 1; bits <= 32; bits++) {
        memset(half, 0, sizeof half);
        for (size_t i = 0; i < COUNT; i++) {
            values[i] = (uint32_t)((harness_random(&random) & UINT32_MAX) >> (32 - bits));
            histogram_add(&half[i % 2], values[i]);
        }
        histogram_merge(&half[0], &half[1]);
        qsort(values, COUNT, sizeof *values, compare_values);
        expect_quantiles(&half[0], values, COUNT);
    }
}

/* --- /proc ------------------------------------------------------------------------------------ */

static void proc_texts_are_parsed(void **state) {
    (void)state;
    struct proc_counters counters = {0};
    assert_true(proc_parse_stat(
        "cpu  30 0 30 300 0 0 0 0 0 0\n"
        "cpu0 10 1 12 100 5 2 3 4 0 0\n"
        "cpu7 20 2 22 200 6 0 0 0 0 0\n"
        "intr 1 2 3\nctxt 987654321\nbtime 1\nprocesses 5\nprocs_running 3\nprocs_blocked 0\n",
        &counters));
    assert_int_equal(counters.cpu_count, 2);
    assert_int_equal(counters.cpu[0].user, 11);
    assert_int_equal(counters.cpu[0].system, 12 + 2 + 3 + 4);
    assert_int_equal(counters.cpu[0].idle, 105);
    assert_int_equal(counters.cpu[1].idle, 206);
    assert_int_equal(counters.context_switches, 987654321);
    assert_int_equal(counters.processes_running, 3);
    assert_true(proc_parse_meminfo(
        "MemTotal:       2000 kB\nMemFree: 1 kB\nMemAvailable:    500 kB\n", &counters));
    assert_int_equal(counters.memory_bytes, 2000 * 1024);
    assert_int_equal(counters.memory_available_bytes, 500 * 1024);
    assert_true(proc_parse_net_dev("Inter-|   Receive    |  Transmit\n face |bytes packets|bytes\n"
                                   "    lo: 999 1 0 0 0 0 0 0 999 1 0 0 0 0 0 0\n"
                                   "  eth0:100 1 0 0 0 0 0 0 200 1 0 0 0 0 0 0\n"
                                   " wlan0: 10 1 0 0 0 0 0 0 20 1 0 0 0 0 0 0\n",
                                   &counters));
    assert_int_equal(counters.network_received_bytes, 110);
    assert_int_equal(counters.network_sent_bytes, 220);
}

static void proc_parsers_survive_odd_texts(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",      "cpu",         "cpu0",      "cpu0\n",       "cpu0 1 2 3\n",
        "ctxt",  "ctxt x\n",    "MemTotal:", "MemTotal: x",  ":",
        "eth0:", "eth0: 1 2 3", "\n\n\n",    "cpu0 1 2 3 4", "a:b:c:1 2 3 4 5 6 7 8 9"};
    struct proc_counters counters = {0};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_false(proc_parse_stat(texts[i], &counters));
        assert_false(proc_parse_meminfo(texts[i], &counters));
        assert_false(proc_parse_net_dev(texts[i], &counters));
    }
    char *many = calloc(1, 100000);
    for (int cpu = 0; cpu < 1000; cpu++)
        sprintf(many + strlen(many), "cpu%d 1 2 3 4 5 6 7 8\n", cpu);
    strcat(many, "ctxt 5\n");
    assert_true(proc_parse_stat(many, &counters));
    assert_int_equal(counters.cpu_count, 1000);
    free(many);
}

static void counters_of_this_machine_are_read(void **state) {
    (void)state;
    struct proc_reader reader;
    struct proc_counters counters = {0};
    assert_true(proc_open(&reader));
    assert_true(proc_refresh(&reader, PROC_STAT, &counters));
    assert_true(proc_refresh(&reader, PROC_MEMINFO, &counters));
    assert_in_range(counters.cpu_count, 1, 100000);
    assert_true(counters.context_switches > 0);
    assert_true(counters.memory_bytes >= counters.memory_available_bytes);
    uint64_t before = counters.context_switches;
    usleep(1000);
    assert_true(proc_refresh(&reader, PROC_STAT, &counters));
    assert_true(counters.context_switches > before);
    proc_close(&reader);
}

/* --- The demo's messages ---------------------------------------------------------------------- */

static void pattern_check_notices_every_wrong_byte(void **state) {
    (void)state;
    uint64_t place[DEMO_MESSAGE_MAX / 8 + 2];
    unsigned char *message = (unsigned char *)place;
    bool smallest = false, largest = false;
    for (uint64_t sequence = 0; sequence < 20000; sequence++) {
        size_t size = demo_message_size(sequence);
        assert_in_range(size, DEMO_MESSAGE_MIN, DEMO_MESSAGE_MAX);
        smallest |= size == DEMO_MESSAGE_MIN;
        largest |= size == DEMO_MESSAGE_MAX;
        demo_message_fill(message, sequence);
        assert_true(demo_message_check(message, size, sequence));
        assert_false(demo_message_check(message, size, sequence + 1));
        assert_false(demo_message_check(message, size - 1, sequence));
        if (sequence % 100 != 0)
            continue;
        for (size_t i = 0; i < size; i++) {
            message[i] ^= 1;
            assert_false(demo_message_check(message, size, sequence));
            message[i] ^= 1;
        }
    }
    assert_true(smallest && largest);
}

/* --- Who has a file --------------------------------------------------------------------------- */

static void lines_of_mappings_are_understood(void **state) {
    (void)state;
    static const char *const good[] = {
        ("7f0c9a2b4000-7f0c9a2b5000 rw-s 00000000 00:1b 1366991                    "
         "/dev/shm/leat-0/board\n"),
        "7f0c9a2b4000-7f0c9a2b5000 r--s 00010000 00:1b 1366991 /dev/shm/x (deleted)\n",
        "0-1 ---s 0 0:1b 1366991"};
    static const char *const bad[] = {
        "", "\n",
        /* another device */
        "7f0c9a2b4000-7f0c9a2b5000 rw-s 00000000 00:1c 1366991 /dev/shm/board\n",
        "7f0c9a2b4000-7f0c9a2b5000 rw-s 00000000 1b:00 1366991 /dev/shm/board\n",
        "7f0c9a2b4000-7f0c9a2b5000 rw-s 00000000 00:1b 13669910 /dev/shm/board\n",
        "7f0c9a2b4000-7f0c9a2b5000 rw-p 00000000 00:00 0 [heap]\n",
        "7f0c9a2b4000-7f0c9a2b5000 rw-s 00000000 00:1b", "00:1b 1366991"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(users_maps_line(good[i], makedev(0, 0x1b), 1366991));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(users_maps_line(bad[i], makedev(0, 0x1b), 1366991));
    assert_true(users_maps_line("0-1 rw-s 0 103:fffff 18446744073709551615 /x\n",
                                makedev(0x103, 0xfffff), UINT64_MAX));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(sizes_are_understood_with_their_units),
        HARNESS_TEST(durations_are_understood),
        HARNESS_TEST(names_are_shown_without_harm),
        HARNESS_TEST(names_of_any_length_fit),
        HARNESS_TEST(figures_are_rounded_for_people),
        HARNESS_TEST(input_is_cut_into_messages),
        HARNESS_TEST(line_longer_than_the_buffer_is_one_message),
        HARNESS_TEST(pieces_of_all_sizes_come_out_in_order),
        HARNESS_TEST(recv_reports_a_failed_write),
        HARNESS_TEST(quantiles_are_those_of_the_values),
        HARNESS_TEST(histogram_keeps_every_magnitude_to_a_thousandth),
        HARNESS_TEST(merged_quantiles_are_those_of_a_sorted_array),
        HARNESS_TEST(proc_texts_are_parsed),
        HARNESS_TEST(proc_parsers_survive_odd_texts),
        HARNESS_TEST(counters_of_this_machine_are_read),
        HARNESS_TEST(pattern_check_notices_every_wrong_byte),
        HARNESS_TEST(lines_of_mappings_are_understood),
    };
    return HARNESS_MAIN("command parts", tests);
}
