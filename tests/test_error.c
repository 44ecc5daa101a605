/* test_error.c - the error codes: each has a number, a name and a cause that no other has, and what
 * is no code is said to be none. The numbers are a promise (leat/error.h): they are spelled out
 * here a second time on purpose. */
#include "handles.h"
#include "harness.h"

#include <pthread.h>
#include <string.h>

#include "lib/base/fail.h"

static const struct {
    int code;
    const char *name, *cause, *remedy;
} listed[] = {
#define LISTED(name, number, cause, remedy) {name, #name, cause, remedy},
    LEAT_ERRORS(LISTED)
#undef LISTED
};
static const size_t count = sizeof listed / sizeof listed[0];

static void every_code_has_a_number_a_name_and_a_cause_of_its_own(void **state) {
    (void)state;
    for (size_t i = 0; i < count; i++) {
        assert_true(listed[i].code < 0);
        assert_true(strlen(listed[i].cause) > 10);
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(listed[i].code, listed[j].code);
            assert_string_not_equal(listed[i].name, listed[j].name);
            assert_string_not_equal(listed[i].cause, listed[j].cause);
        }
    }
}

static void the_texts_can_be_asked_for_by_code(void **state) {
    (void)state;
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(leat_error_name(listed[i].code), listed[i].name);
        assert_string_equal(leat_error_cause(listed[i].code), listed[i].cause);
        assert_string_equal(leat_error_remedy(listed[i].code), listed[i].remedy);
    }
    assert_string_equal(leat_error_name(LEAT_OK), "LEAT_OK");
}

static void a_cause_is_a_sentence_without_a_full_stop(void **state) {
    (void)state;
    for (size_t i = 0; i < count; i++) {
        const char *cause = listed[i].cause;
        assert_true(cause[strlen(cause) - 1] != '.');
        assert_null(strchr(cause, '\n'));
    }
}

static void a_number_that_is_no_code_is_said_to_be_none(void **state) {
    (void)state;
    static const int strangers[] = {1, 2, -1000, -33, 1 << 30, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        assert_string_equal(leat_error_name(strangers[i]), "LEAT_E?");
        assert_non_null(leat_error_cause(strangers[i]));
        assert_string_equal(leat_error_remedy(strangers[i]), "");
    }
}

static void the_numbers_have_not_changed(void **state) {
    (void)state;
    static const int numbers[] = {
        LEAT_EINVAL,    LEAT_ENAME,      LEAT_ENOENT,     LEAT_EEXIST,    LEAT_EKIND,
        LEAT_ESIZE,     LEAT_EACCES,     LEAT_EUNTRUSTED, LEAT_ENOSPC,    LEAT_ENOMEM,
        LEAT_ELIMIT,    LEAT_EBUSY,      LEAT_EAGAIN,     LEAT_ETIMEDOUT, LEAT_ECLOSED,
        LEAT_EPEERDIED, LEAT_EPEERBACK,  LEAT_EMSGSIZE,   LEAT_ECORRUPT,  LEAT_EVERSION,
        LEAT_EFORKED,   LEAT_EINTR,      LEAT_ESTATE,     LEAT_ERANGE,    LEAT_ENOTSUP,
        LEAT_ESYSTEM,   LEAT_EOWNERDEAD, LEAT_ELOST,      LEAT_ENOTOWNER, LEAT_EOVERFLOW,
        LEAT_EADDRESS,  LEAT_ETYPE,
    };
    assert_int_equal(LEAT_OK, 0);
    assert_int_equal(sizeof numbers / sizeof numbers[0], count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(numbers[i], -1 - (int)i);
}

/* RS-04. */
static void a_failure_leaves_word_of_what_failed_and_of_the_systems_error(void **state) {
    (void)state;
    leat_region *region = NULL;
    assert_leat(open_region(&region, "nobody", 0, NULL), LEAT_ENOENT);
    assert_null(region);
    assert_non_null(strstr(leat_error_detail(), "nobody"));
    assert_int_equal(leat_system_error(), 2); /* ENOENT */
    assert_leat(open_region(&region, "", 0, NULL), LEAT_ENAME);
    assert_int_equal(leat_system_error(), 0);
}

static void *open_another(void *region) {
    bool untouched = leat_error_last() == LEAT_OK;
    bool failed = open_region(region, "nobody", 0, NULL) == LEAT_ENOENT;
    return (void *)(uintptr_t)(untouched && failed && leat_error_last() == LEAT_ENOENT);
}

/* The record is each thread's own, whatever recorded it: a check of the library, the system, a
 * caller that knows more. Events are not recorded. */
static void the_code_of_the_last_failure_can_be_asked_for(void **state) {
    (void)state;
    leat_region *region = NULL, *other = NULL;
    leat_receiver *receiver = NULL;
    pthread_t thread;
    void *good = NULL;
    char byte;
    size_t size;
    assert_leat(open_region(&region, "nobody", 0, NULL), LEAT_ENOENT);
    assert_int_equal(leat_error_last(), LEAT_ENOENT);
    assert_ok(leat_receiver_open(&receiver, "last", NULL));
    assert_leat(leat_recv(receiver, &byte, 1, &size, LEAT_NOW), LEAT_EAGAIN);
    assert_int_equal(leat_error_last(), LEAT_ENOENT);
    assert_leat(open_region(&region, "last", 0, NULL), LEAT_EKIND);
    assert_int_equal(leat_error_last(), LEAT_EKIND);
    assert_leat(leat_release(receiver, 1), LEAT_ESTATE);
    assert_int_equal(leat_error_last(), LEAT_ESTATE);
    assert_int_equal(pthread_create(&thread, NULL, open_another, &other), 0);
    assert_int_equal(pthread_join(thread, &good), 0);
    assert_non_null(good);
    assert_int_equal(leat_error_last(), LEAT_ESTATE);
    assert_leat(leat__fail_about(LEAT_EBUSY, "channel", "last"), LEAT_EBUSY);
    assert_int_equal(leat_error_last(), LEAT_EBUSY);
    leat_receiver_close(receiver);
}

static void the_version_of_the_library_is_that_of_the_headers(void **state) {
    (void)state;
    assert_string_equal(leat_version(), LEAT_VERSION_STRING);
}

static void deadlines_lie_ahead_and_do_not_wrap(void **state) {
    (void)state;
    uint64_t before = leat_now();
    uint64_t soon = leat_in_ms(5);
    assert_true(soon >= before + 5000000 && soon <= leat_now() + 5000000);
    assert_true(leat_in_us(5) >= before + 5000 && leat_in_ns(5) >= before + 5);
    assert_true(leat_in_ns(UINT64_MAX) == LEAT_FOREVER);
    assert_true(leat_in_us(UINT64_MAX / 1000) == LEAT_FOREVER &&
                leat_in_us(UINT64_MAX) == LEAT_FOREVER);
    assert_true(leat_in_ms(UINT64_MAX / 1000000) == LEAT_FOREVER &&
                leat_in_ms(UINT64_MAX) == LEAT_FOREVER);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(every_code_has_a_number_a_name_and_a_cause_of_its_own),
        HARNESS_TEST(the_texts_can_be_asked_for_by_code),
        HARNESS_TEST(a_cause_is_a_sentence_without_a_full_stop),
        HARNESS_TEST(a_number_that_is_no_code_is_said_to_be_none),
        HARNESS_TEST(the_numbers_have_not_changed),
        HARNESS_TEST(a_failure_leaves_word_of_what_failed_and_of_the_systems_error),
        HARNESS_TEST(the_code_of_the_last_failure_can_be_asked_for),
        HARNESS_TEST(the_version_of_the_library_is_that_of_the_headers),
        HARNESS_TEST(deadlines_lie_ahead_and_do_not_wrap),
    };
    return HARNESS_MAIN("error", tests);
}
