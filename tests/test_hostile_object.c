/* test_hostile_object.c - a name that does not belong to what it should: to something that is no
 * file, to another user's file, another kind of object, a file that was shortened, copied, damaged
 * or written by another version. Each has its documented error, nothing crashes or hangs, and the
 * file stays as it was. A directory that cannot be trusted is refused too. */
#include "handles.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "channels/queue/wire.h"

#define NOBODY 65534

static const char *path_of(const char *name) {
    static char path[300];
    snprintf(path, sizeof path, "%s/%s", harness_directory(), name);
    return path;
}

/* Every function that opens the name returns this code; a region's and a channel's may differ. */
static void expect(const char *name, int as_region, int as_channel) {
    leat_region *region = NULL;
    leat_sender *sender = NULL;
    leat_receiver *receiver = NULL;
    leat_channel_info info;
    leat_region_options read_only = {.access = LEAT_READ_ONLY};
    leat_channel_options open_only = {.mode = LEAT_OPEN};
    assert_leat(open_region(&region, name, 0, NULL), as_region);
    assert_true((region != NULL) == (as_region == LEAT_OK));
    leat_region_close(region);
    assert_leat(open_region(&region, name, 0, &read_only), as_region);
    if (as_region == LEAT_OK)
        leat_region_close(region);
    assert_leat(open_or_create_region(&region, name, 0, NULL), as_region);
    if (as_region == LEAT_OK)
        leat_region_close(region);
    assert_leat(leat_receiver_open(&receiver, name, NULL), as_channel);
    assert_leat(leat_receiver_open(&receiver, name, &open_only), as_channel);
    assert_leat(leat_sender_open(&sender, name, NULL), as_channel);
    assert_leat(leat_channel_stat(name, LEAT_LOCAL, &info), as_channel);
    assert_null(sender);
    assert_null(receiver);
}

/* Also: creating over it is refused, stat returns the same, list and gc skip it. */
static int refuse(const leat_object_info *info, void *context) {
    (void)context;
    harness_fail("%s is listed", info->name);
}

static void expect_untrusted(const char *name) {
    struct stat before, after;
    leat_object_info info;
    leat_region *region = NULL;
    assert_int_equal(lstat(path_of(name), &before), 0);
    expect(name, LEAT_EUNTRUSTED, LEAT_EUNTRUSTED);
    int result = create_region(&region, name, 0, NULL);
    assert_true(result == LEAT_EUNTRUSTED || result == LEAT_EEXIST);
    assert_leat(leat_stat(name, LEAT_LOCAL, &info), LEAT_EUNTRUSTED);
    assert_ok(leat_list(LEAT_LOCAL, refuse, NULL));
    assert_ok(leat_gc(LEAT_LOCAL, NULL, NULL));
    assert_int_equal(lstat(path_of(name), &after), 0);
    assert_true(before.st_ino == after.st_ino && before.st_size == after.st_size &&
                before.st_mode == after.st_mode);
}

/* --- No file, or not ours --------------------------------------------------------------------- */

static void symbolic_link_is_not_followed(void **state) {
    (void)state;
    leat_region *target;
    assert_ok(create_region(&target, "target", 0, NULL));
    assert_int_equal(symlink("target", path_of("link")), 0);
    leat_region *region = NULL;
    assert_leat(open_region(&region, "link", 0, NULL), LEAT_EUNTRUSTED);
    assert_ok(leat_unlink("link", LEAT_LOCAL)); /* takes the link away, not what it points at */
    assert_ok(open_region(&region, "target", 0, NULL));
    leat_region_close(region);
    leat_region_close(target);
    assert_int_equal(symlink("/etc/passwd", path_of("link")), 0);
    expect_untrusted("link");
    assert_int_equal(unlink(path_of("link")), 0);
    assert_int_equal(symlink("nowhere", path_of("link")), 0);
    expect_untrusted("link");
    assert_int_equal(access(path_of("nowhere"), F_OK), -1);
    assert_int_equal(unlink(path_of("link")), 0);
}

static void directory_is_refused(void **state) {
    (void)state;
    assert_int_equal(mkdir(path_of("directory"), 0700), 0);
    expect_untrusted("directory");
    assert_int_not_equal(leat_unlink("directory", LEAT_LOCAL), LEAT_OK);
    assert_int_equal(rmdir(path_of("directory")), 0);
}

static void fifo_is_refused_without_waiting_for_its_other_end(void **state) {
    (void)state;
    assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
    expect_untrusted("fifo");
    assert_int_equal(unlink(path_of("fifo")), 0);
}

static void socket_is_refused(void **state) {
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(strlen(path_of("socket")) < sizeof address.sun_path);
    strcpy(address.sun_path, path_of("socket"));
    assert_int_equal(bind(descriptor, (struct sockaddr *)&address, sizeof address), 0);
    close(descriptor);
    expect_untrusted("socket");
    assert_int_equal(unlink(path_of("socket")), 0);
}

static void file_of_another_user_is_refused_in_the_local_scope(void **state) {
    (void)state;
    if (geteuid() != 0)
        skip();
    leat_region *region;
    assert_ok(create_region(&region, "foreign", 0, &(leat_region_options){.persistent = true}));
    leat_region_close(region);
    assert_int_equal(chown(path_of("foreign"), NOBODY, NOBODY), 0);
    expect_untrusted("foreign");
    assert_int_equal(unlink(path_of("foreign")), 0);
}

static int open_as_nobody(void *context) {
    if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)
        return 1;
    leat_region *region = NULL;
    leat_region_options global = {.scope = LEAT_GLOBAL},
                        reading = {.scope = LEAT_GLOBAL, .access = LEAT_READ_ONLY};
    /* our directory is not theirs */
    assert_leat(open_region(&region, "Local\\x", 0, NULL), LEAT_EUNTRUSTED);
    assert_leat(open_region(&region, context, 0, &global), LEAT_EACCES);
    assert_leat(open_region(&region, context, 0, &reading), LEAT_EACCES);
    assert_leat(leat_unlink(context, LEAT_GLOBAL), LEAT_EACCES);
    assert_ok(leat_gc(LEAT_GLOBAL, NULL, NULL));
    return 0;
}

static int read_as_nobody(void *context) {
    if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)
        return 1;
    leat_region *region = NULL;
    leat_region_options global = {.scope = LEAT_GLOBAL},
                        reading = {.scope = LEAT_GLOBAL, .access = LEAT_READ_ONLY};
    assert_leat(open_region(&region, context, 0, &global), LEAT_EACCES);
    assert_ok(open_region(&region, context, 0, &reading));
    assert_memory_equal(leat_region_data(region), "shown", 6);
    leat_region_close(region);
    return 0;
}

/* W32-N7. */
static void permissions_decide_what_other_users_may_do(void **state) {
    (void)state;
    if (geteuid() != 0)
        skip();
    leat_region *region;
    char *name = strcpy((char[64]){0}, harness_global("private"));
    assert_ok(create_region(&region, name, 0, &(leat_region_options){.scope = LEAT_GLOBAL}));
    harness_wait_ok(harness_spawn(open_as_nobody, name));
    leat_region_close(region);
    assert_ok(create_region(&region, name, 0,
                            &(leat_region_options){.scope = LEAT_GLOBAL, .permissions = 0644}));
    assert_ok(leat_region_write(region, 0, "shown", 6));
    harness_wait_ok(harness_spawn(read_as_nobody, name));
    leat_region_close(region);
}

/* --- The directory ---------------------------------------------------------------------------- */

static int use_a_directory(void *context) {
    setenv("LEAT_DIR", context, 1);
    leat_region *region = NULL;
    leat_sender *sender = NULL;
    int result = create_region(&region, "inside", 0, NULL);
    leat_region_close(region);
    if (result != LEAT_OK) {
        assert_leat(leat_sender_open(&sender, "inside", NULL), result);
        assert_leat(open_region(&region, "inside", 0, NULL), result);
        assert_leat(leat_unlink("inside", LEAT_LOCAL), result);
    }
    return -result;
}

static void expect_directory(const char *path, int code) {
    char *copy = strcpy((char[300]){0}, path);
    harness_wait_exit(harness_spawn(use_a_directory, copy), -code);
}

/* W32-N9. */
static void local_directory_that_others_could_use_is_refused(void **state) {
    (void)state;
    char directory[300], link[300];
    strcpy(directory, path_of("directory"));
    strcpy(link, path_of("link"));
    expect_directory(directory, LEAT_OK); /* made on the way */
    static const mode_t open_modes[] = {0755, 0701, 0710, 0777, 01777};
    for (size_t i = 0; i < sizeof open_modes / sizeof open_modes[0]; i++) {
        assert_int_equal(chmod(directory, open_modes[i]), 0);
        expect_directory(directory, LEAT_EUNTRUSTED);
    }
    assert_int_equal(chmod(directory, 0700), 0);
    expect_directory(directory, LEAT_OK);
    assert_int_equal(symlink("directory", link), 0);
    expect_directory(link, LEAT_EUNTRUSTED);
    assert_int_equal(unlink(link), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(directory, NOBODY, NOBODY), 0);
        expect_directory(directory, LEAT_EUNTRUSTED);
    }
    assert_int_equal(rmdir(directory), 0);
    close(open(directory, O_CREAT | O_WRONLY | O_CLOEXEC, 0700));
    expect_directory(directory, LEAT_EUNTRUSTED); /* a file in its place */
    assert_int_equal(unlink(directory), 0);
}

/* --- Another kind ----------------------------------------------------------------------------- */

/* RT-06, W32-N1. */
static void region_is_no_channel_and_is_unharmed_by_the_try(void **state) {
    (void)state;
    leat_region *region, *too = NULL;
    assert_ok(create_region(&region, "kind", 300000, NULL));
    memset(leat_region_data(region), 0x5a, 300000);
    expect("kind", LEAT_OK, LEAT_EKIND);
    leat_sender *sender = NULL;
    assert_leat(leat_sender_open(&sender, "kind", &(leat_channel_options){.mode = LEAT_CREATE}),
                LEAT_EEXIST);
    for (size_t i = 0; i < 300000; i++)
        assert_int_equal(((unsigned char *)leat_region_data(region))[i], 0x5a);
    assert_ok(
        open_region(&too, "kind", 300000, &(leat_region_options){.size_policy = LEAT_SIZE_EXACT}));
    leat_region_close(too);
    leat_region_close(region);
}

/* CE-04, RT-06. */
static void channel_is_no_region_and_is_unharmed_by_the_try(void **state) {
    (void)state;
    leat_sender *sender;
    leat_receiver *receiver;
    leat_region *region = NULL;
    leat_object_info info;
    char text[10];
    size_t size;
    assert_ok(leat_sender_open(&sender, "kind", NULL));
    assert_ok(leat_send(sender, "hello", 6, LEAT_NOW));
    assert_leat(open_region(&region, "kind", 0, NULL), LEAT_EKIND);
    assert_leat(open_region(&region, "kind", 0, &(leat_region_options){.access = LEAT_READ_ONLY}),
                LEAT_EKIND);
    assert_leat(open_or_create_region(&region, "kind", 0, NULL), LEAT_EKIND);
    assert_leat(create_region(&region, "kind", 0, NULL), LEAT_EEXIST);
    assert_ok(leat_stat("kind", LEAT_LOCAL, &info));
    assert_int_equal(info.kind, LEAT_KIND_CHANNEL);
    assert_ok(leat_receiver_open(&receiver, "kind", NULL));
    assert_ok(leat_recv(receiver, text, sizeof text, &size, LEAT_NOW));
    assert_string_equal(text, "hello");
    leat_sender_close(sender);
    leat_receiver_close(receiver);
}

/* --- Damaged channels ------------------------------------------------------------------------- */

#define CAPACITY 4096

/* A persistent channel with one message in it, and no user. Returns a descriptor of its file. */
static int damaged_channel(void) {
    leat_sender *sender;
    assert_ok(leat_sender_open(&sender, "damaged",
                               &(leat_channel_options){.capacity = CAPACITY, .persistent = true}));
    assert_ok(leat_send(sender, "message", 8, LEAT_NOW));
    leat_sender_close(sender);
    int descriptor = open(path_of("damaged"), O_RDWR | O_CLOEXEC);
    assert_true(descriptor >= 0);
    return descriptor;
}

static void remove_channel(int descriptor) {
    close(descriptor);
    assert_ok(leat_unlink("damaged", LEAT_LOCAL));
}

static int open_channel(void) {
    leat_receiver *receiver = NULL;
    leat_sender *sender = NULL;
    leat_channel_options open_only = {.mode = LEAT_OPEN};
    int result = leat_receiver_open(&receiver, "damaged", &open_only);
    leat_receiver_close(receiver);
    assert_leat(leat_sender_open(&sender, "damaged", &open_only), result);
    leat_sender_close(sender);
    return result;
}

static void truncated_channel_is_an_error_and_no_crash(void **state) {
    (void)state;
    static const struct {
        off_t size;
        int code;
    } cuts[] = {{LEAT__RING + CAPACITY - 1, LEAT_ECORRUPT},
                {LEAT__RING, LEAT_ECORRUPT},
                {LEAT__PAGE, LEAT_ECORRUPT},
                /* without its header: a region */
                {256, LEAT_ECORRUPT},
                {255, LEAT_EKIND},
                {1, LEAT_EKIND},
                {0, LEAT_EKIND}};
    int descriptor = damaged_channel();
    assert_ok(open_channel());
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        leat_channel_info info;
        assert_int_equal(ftruncate(descriptor, cuts[i].size), 0);
        assert_leat(open_channel(), cuts[i].code);
        assert_leat(leat_channel_stat("damaged", LEAT_LOCAL, &info), cuts[i].code);
    }
    leat_region *region = NULL;
    assert_leat(open_region(&region, "damaged", 0, NULL), LEAT_ESIZE); /* zero bytes */
    remove_channel(descriptor);
}

static void every_damaged_byte_of_a_header_is_noticed(void **state) {
    (void)state;
    int descriptor = damaged_channel();
    unsigned char header[sizeof(struct leat__header)];
    assert_int_equal(pread(descriptor, header, sizeof header, 0), sizeof header);
    for (size_t i = 0; i < sizeof header; i++) {
        unsigned char bad = header[i] ^ (unsigned char)(1u << i % 8);
        leat_object_info info;
        assert_int_equal(pwrite(descriptor, &bad, 1, (off_t)i), 1);
        int result = open_channel();
        if (result != LEAT_ECORRUPT && result != LEAT_EVERSION && result != LEAT_EKIND)
            harness_fail("byte %zu damaged: %s", i, leat_error_name(result));
        assert_ok(leat_stat("damaged", LEAT_LOCAL, &info));
        assert_true(result != LEAT_ECORRUPT || info.damaged);
        assert_int_equal(pwrite(descriptor, &header[i], 1, (off_t)i), 1);
    }
    assert_ok(open_channel());
    remove_channel(descriptor);
}

/* FNV-1a, 64 bits, as docs/wire-format.md asks: written here a second time, so that the format
 * cannot drift unseen. */
static uint64_t checksum_of(const struct leat__header *header) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < offsetof(struct leat__header, checksum); i++)
        hash = (hash ^ ((const unsigned char *)header)[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static void expect_header(int descriptor, struct leat__header header, int code) {
    header.checksum = checksum_of(&header);
    assert_int_equal(pwrite(descriptor, &header, sizeof header, 0), sizeof header);
    assert_leat(open_channel(), code);
}

static void header_whose_checksum_is_right_is_still_not_believed(void **state) {
    (void)state;
    int descriptor = damaged_channel();
    struct leat__header good, bad;
    assert_int_equal(pread(descriptor, &good, sizeof good, 0), sizeof good);
    expect_header(descriptor, good, LEAT_OK);
#define EXPECT(change, code) (bad = good, (change), expect_header(descriptor, bad, code))
    EXPECT(bad.major++, LEAT_EVERSION);
    EXPECT(bad.major = 0, LEAT_EVERSION);
    EXPECT(bad.minor++, LEAT_OK);                /* later minors only add what may be ignored */
    EXPECT(bad.incompatible = 0, LEAT_EVERSION); /* a ring whose free space is zero */
    EXPECT(bad.incompatible = 2, LEAT_EVERSION);
    EXPECT(bad.incompatible |= 2, LEAT_EVERSION);
    EXPECT(bad.incompatible = 1u << 31, LEAT_EVERSION);
    EXPECT(bad.compatible = 0xffffffff, LEAT_OK);
    EXPECT((bad.kind = LEAT_KIND_MUTEX, bad.incompatible = 0), LEAT_EKIND);
    EXPECT((bad.kind = 99, bad.incompatible = 0), LEAT_EKIND);
    EXPECT(bad.object_size++, LEAT_ECORRUPT);
    EXPECT(bad.object_size = UINT64_MAX, LEAT_ECORRUPT);
    EXPECT(bad.object_size = 0, LEAT_ECORRUPT);
    EXPECT(bad.header_size = 8, LEAT_ECORRUPT);
    EXPECT(bad.header_size = UINT32_MAX, LEAT_ECORRUPT);
    static const uint64_t capacities[] = {
        0, 1, 2048, 4097, 6000, 8192, (uint64_t)1 << 40, (uint64_t)1 << 63, UINT64_MAX};
    for (size_t i = 0; i < sizeof capacities / sizeof capacities[0]; i++)
        EXPECT(bad.parameters[LEAT__CAPACITY] = capacities[i], LEAT_ECORRUPT);
    for (int parameter = LEAT__SENDER_OFFSET; parameter <= LEAT__RING_OFFSET; parameter++)
        for (int shift = 0; shift < 64; shift += 6)
            EXPECT(bad.parameters[parameter] ^= (uint64_t)1 << shift, LEAT_ECORRUPT);
    for (int reserved = LEAT__RING_OFFSET + 1; reserved < 6; reserved++) {
        assert_int_equal(good.parameters[reserved], 0);
        EXPECT(bad.parameters[reserved] = UINT64_MAX, LEAT_OK);
    }
#undef EXPECT
    expect_header(descriptor, good, LEAT_OK);
    remove_channel(descriptor);
}

static void region_that_holds_a_copy_of_a_channel_stays_a_region(void **state) {
    (void)state;
    int descriptor = damaged_channel();
    leat_region *region;
    assert_ok(create_region(&region, "copy", LEAT__RING + CAPACITY, NULL));
    assert_int_equal(pread(descriptor, leat_region_data(region), LEAT__RING + CAPACITY, 0),
                     LEAT__RING + CAPACITY);
    expect("copy", LEAT_OK, LEAT_EKIND);
    leat_region_close(region);
    remove_channel(descriptor);
}

/* --- Garbage behind a good header ------------------------------------------------------------- */

/* Uses the channel as far as it lets itself be used: any code will do, in bounded time, without a
 * crash. */
static int use_a_garbled_channel(void *context) {
    (void)context;
    static char buffer[CAPACITY];
    leat_channel_options open_only = {.mode = LEAT_OPEN};
    leat_receiver *receiver = NULL;
    leat_sender *sender = NULL;
    leat_channel_info info;
    leat_message messages[8];
    size_t size = 0;
    (void)!leat_channel_stat("damaged", LEAT_LOCAL, &info);
    (void)!leat_sender_open(&sender, "damaged", &open_only);
    for (int i = 0; sender != NULL && i < 30; i++)
        (void)!leat_send(sender, buffer, (size_t)i * 10, LEAT_NOW);
    (void)!leat_receiver_open(&receiver, "damaged", &open_only);
    for (int i = 0; receiver != NULL && i < 300; i++) {
        int result = leat_recv(receiver, buffer, sizeof buffer, &size, LEAT_NOW);
        assert_true(result != LEAT_OK || size <= sizeof buffer);
        if (leat_peek_many(receiver, messages, 8, &size, LEAT_NOW) == LEAT_OK && size > 0)
            memcpy(buffer, messages[0].data, messages[0].size);
        (void)!leat_release(receiver, 1);
    }
    leat_sender_close(sender);
    leat_receiver_close(receiver);
    return 0;
}

static void garbage_in_a_channel_is_an_error_and_no_crash(void **state) {
    (void)state;
    int descriptor = damaged_channel();
    size_t size = LEAT__RING + CAPACITY;
    unsigned char *good = malloc(size), *bad = malloc(size);
    uint64_t random = harness_seed();
    assert_int_equal(pread(descriptor, good, size, 0), size);
    for (int round = 0; round < 150; round++) {
        static const uint64_t tempting[] = {
            0, 1, 63, 64, 4096, UINT32_MAX, INT64_MAX, UINT64_MAX, UINT64_MAX - 63};
        memcpy(bad, good, size);
        for (int i = 0, changes = 1 << round % 8; i < changes; i++) {
            uint64_t value =
                round % 2 ? harness_random(&random) : tempting[harness_random(&random) % 9];
            uint64_t where = harness_random(&random) % (size - LEAT__PAGE);
            if (harness_random(&random) % 2) /* where the fields are */
                where = harness_random(&random) % 2 * LEAT__PAGE + where % 448;
            memcpy(bad + LEAT__PAGE + where / 8 * 8, &value, 8);
        }
        assert_int_equal(pwrite(descriptor, bad, size, 0), size);
        harness_wait_ok(harness_spawn(use_a_garbled_channel, NULL));
    }
    free(good);
    free(bad);
    remove_channel(descriptor);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(symbolic_link_is_not_followed),
        HARNESS_TEST(directory_is_refused),
        HARNESS_TEST(fifo_is_refused_without_waiting_for_its_other_end),
        HARNESS_TEST(socket_is_refused),
        HARNESS_TEST(file_of_another_user_is_refused_in_the_local_scope),
        HARNESS_TEST(permissions_decide_what_other_users_may_do),
        HARNESS_TEST(local_directory_that_others_could_use_is_refused),
        HARNESS_TEST(region_is_no_channel_and_is_unharmed_by_the_try),
        HARNESS_TEST(channel_is_no_region_and_is_unharmed_by_the_try),
        HARNESS_TEST(truncated_channel_is_an_error_and_no_crash),
        HARNESS_TEST(every_damaged_byte_of_a_header_is_noticed),
        HARNESS_TEST(header_whose_checksum_is_right_is_still_not_believed),
        HARNESS_TEST(region_that_holds_a_copy_of_a_channel_stays_a_region),
        HARNESS_TEST(garbage_in_a_channel_is_an_error_and_no_crash),
    };
    return HARNESS_MAIN("hostile_object", tests);
}
