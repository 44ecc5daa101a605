/* fault_ops_region.c - operations on regions and their views. See fault.h. */
#include "fault_ops.h"
#include "handles.h"
#include "leat/remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SIZE 8192
#define PAGE 4096

/* Of the process that runs: none of these is shared. */
static leat_region *region, *extra, *third;
static void *view;
static int descriptor = -1, sockets[2] = {-1, -1};
static leat_type type;
static leat_residency residency;
static const leat_type frame = {.name = "frame", .size = 64, .version = 1};
static const leat_region_options plain,
    typed = {.type = &frame}, reading = {.access = LEAT_READ_ONLY}, exclusive = {.exclusive = true};

static void forget(void) {
    region = UNTOUCHED;
}

static void close_all(void) {
    leat_region_close(region != UNTOUCHED ? region : NULL);
    leat_region_close(extra);
    leat_region_close(third);
    if (view != NULL && view != UNTOUCHED)
        (void)!leat_view_unmap(view);
    if (descriptor >= 0)
        close(descriptor);
    for (int i = 0; i < 2; i++)
        if (sockets[i] >= 0)
            close(sockets[i]);
}

static void path_of_file(char path[512]) {
    snprintf(path, 512, "%s/file", getenv("LEAT_DIR"));
}

static void remove_file(void) {
    char path[512];
    path_of_file(path);
    close_all();
    unlink(path);
}

/* --- The bystander ---------------------------------------------------------------------------- */

static void hold(void) {
    fault_ready(open_or_create_region(&region, NAME, SIZE, &plain));
    memcpy(leat_region_data(region), "mine", 5);
    fault_remember();
}

static void hold_typed(void) {
    fault_ready(create_region(&region, NAME, SIZE, &typed));
    fault_remember();
}

static void open_another(bool there) {
    leat_region *second;
    if (!fault_expect(FAULT_HELD_UP, open_or_create_region(&second, NAME, SIZE, &plain), LEAT_OK))
        return;
    if (region_details(second).created == there)
        fault_found(FAULT_REPLACED, there ? "another process does not find it"
                                          : "another process finds a dead one");
    if (leat_region_size(second) < SIZE)
        fault_found(FAULT_REPLACED, "it has %llu bytes",
                    (unsigned long long)leat_region_size(second));
    leat_region_close(second);
}

static void look(enum fault_moment moment, int code) {
    (void)moment, (void)code;
    fault_check_same();
    open_another(true);
    fault_expect(FAULT_HELD_UP, leat_region_grow(region, leat_region_size(region) + PAGE), LEAT_OK);
}

static void look_at_new(enum fault_moment moment, int code) {
    open_another(moment == FAULT_WORKER_HAS && code == LEAT_OK);
}

static void look_at_none(enum fault_moment moment, int code) {
    (void)moment, (void)code;
    open_another(false);
}

static void make_and_die(void) {
    fault_ready(create_region(&region, NAME, SIZE, &plain));
}

static void leave_stale(void) {
    fault_die_after(make_and_die);
}

/* --- By name ---------------------------------------------------------------------------------- */

static int create(void) {
    return create_region(&region, NAME, SIZE, &plain);
}

static int create_typed(void) {
    return create_region(&region, NAME, SIZE, &typed);
}

static int open_it(void) {
    return open_region(&region, NAME, 0, &plain);
}

static int open_typed(void) {
    return open_region(&region, NAME, 0, &typed);
}

static int open_to_read(void) {
    return open_region(&region, NAME, 0, &reading);
}

static int open_or_create(void) {
    return open_or_create_region(&region, NAME, SIZE, &plain);
}

static int create_anonymous(void) {
    return create_region(&region, NULL, SIZE, &plain);
}

static void judge_made(int code) {
    fault_judge_pointer(code, region);
    if (code == LEAT_OK && !region_details(region).created)
        fault_found(FAULT_REPLACED, "it is new, and is not created");
    if (code == LEAT_OK)
        memset(leat_region_data(region), 1, SIZE);
}

static void judge_joined(int code) {
    fault_judge_pointer(code, region);
    if (code == LEAT_OK &&
        (region_details(region).created || strcmp(leat_region_data(region), "mine") != 0))
        fault_found(FAULT_REPLACED, "it was there, and is created");
}

static void judge_pointer(int code) {
    fault_judge_pointer(code, region);
}

static int close_region(void) {
    leat_region_close(region);
    region = NULL;
    return LEAT_OK;
}

static void join(void) {
    fault_ready(open_region(&region, NAME, 0, &plain));
}

/* So that the next view is a copy of an earlier one. */
static void join_twice(void) {
    fault_ready(open_region(&extra, NAME, 0, &plain));
    fault_ready(open_region(&third, NAME, 0, &plain));
    forget();
}

static void join_to_read(void) {
    fault_ready(open_region(&region, NAME, 0, &reading));
}

/* --- Types ------------------------------------------------------------------------------------ */

static int read_type(void) {
    return stat_region_type(NAME, LEAT_LOCAL, &type);
}

static int get_type(void) {
    return region_type(region, &type);
}

static void judge_type(int code) {
    if (code == LEAT_OK && (type.name == NULL || strcmp(type.name, "frame") != 0))
        fault_found(FAULT_NO_CAUSE, "its type is '%.20s'", type.name == NULL ? "none" : type.name);
}

/* --- Files and descriptors -------------------------------------------------------------------- */

static int file_with(leat_mode mode, uint64_t size, const leat_region_options *options) {
    char path[512];
    path_of_file(path);
    return file_region(&region, path, mode, size, options);
}

static int create_file(void) {
    return file_with(LEAT_CREATE, SIZE, &plain);
}

static int open_file(void) {
    return file_with(LEAT_OPEN, 0, &plain);
}

static int open_file_exclusively(void) {
    return file_with(LEAT_OPEN, 0, &exclusive);
}

static void hold_file(void) {
    fault_ready(create_file());
}

static void hold_file_exclusively(void) {
    fault_ready(file_with(LEAT_CREATE, SIZE, &exclusive));
}

static void prepare_file(void) {
    fault_ready(create_file());
    memset(leat_region_data(region), 1, SIZE);
}

static void look_at_file(enum fault_moment moment, int code) {
    (void)moment, (void)code;
    leat_region *mine = region, *second;
    if (fault_expect(FAULT_HELD_UP, open_file(), LEAT_OK)) {
        second = region;
        leat_region_close(second);
    }
    region = mine;
}

static void look_at_exclusive_file(enum fault_moment moment, int code) {
    (void)moment, (void)code;
    leat_region *mine = region;
    if (!fault_expect(FAULT_TWO_HOLDERS, open_file(), LEAT_EBUSY) && region != mine)
        leat_region_close(region);
    region = mine;
}

static int give_descriptor(void) {
    return leat_region_descriptor(region, LEAT_READ_WRITE, false, &descriptor);
}

static void judge_descriptor(int code) {
    if ((descriptor >= 0) != (code == LEAT_OK))
        fault_found(FAULT_OUTPUT, "the descriptor does not go with the code");
}

static void join_with_descriptor(void) {
    join();
    fault_ready(give_descriptor());
    extra = region;
    region = UNTOUCHED;
}

static int open_descriptor(void) {
    return leat_region_open_descriptor(&region, descriptor, 0, &plain);
}

static void join_with_sockets(void) {
    join();
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
        _exit(97);
}

static void join_with_both(void) {
    join_with_sockets();
    fault_ready(give_descriptor());
}

static int send_descriptor(void) {
    return leat_descriptor_send(sockets[0], descriptor, SHORT);
}

static void join_with_letter(void) {
    join_with_sockets();
    fault_ready(send_region(region, LEAT_READ_WRITE, sockets[0], SHORT));
}

static int receive_descriptor(void) {
    return leat_descriptor_receive(sockets[1], &descriptor, SHORT);
}

/* --- Growing and flushing --------------------------------------------------------------------- */

static int grow(void) {
    return leat_region_grow(region, 3 * SIZE);
}

static void judge_grown(int code) {
    uint64_t size = leat_region_size(region);
    if (size != (code == LEAT_OK ? 3 * SIZE : SIZE))
        fault_found(FAULT_OUTPUT, "it has %llu bytes", (unsigned long long)size);
    memset(leat_region_data(region), 1, (size_t)size);
}

static void join_before_it_grows(void) {
    join();
    fault_ready(open_region(&extra, NAME, 0, &plain));
    fault_ready(leat_region_grow(extra, 3 * SIZE));
}

static int refresh(void) {
    return leat_region_refresh(region);
}

static int flush_start(void) {
    return leat_region_flush(region, 0, 0, LEAT_FLUSH_START);
}

static int flush_durable(void) {
    return leat_region_flush(region, 0, 0, LEAT_FLUSH_DURABLE);
}

/* --- Views ------------------------------------------------------------------------------------ */

static void join_for_view(void) {
    join();
    view = UNTOUCHED;
}

static int map_view(void) {
    return leat_view_map(region, 0, 0, NULL, LEAT_READ_WRITE, &view);
}

static void judge_view(int code) {
    fault_judge_pointer(code, view);
}

static void join_with_view(void) {
    join();
    fault_ready(map_view());
}

static int unmap_view(void) {
    int code = leat_view_unmap(view);
    if (code == LEAT_OK)
        view = NULL;
    return code;
}

static int prefault(void) {
    return leat_view_prefault(leat_region_data(region), 0);
}

static int lock_view(void) {
    return leat_view_lock(leat_region_data(region), 0);
}

static int unlock_view(void) {
    return leat_view_unlock(leat_region_data(region), 0);
}

static void join_and_lock(void) {
    join();
    fault_ready(leat_view_lock(leat_region_data(region), 0));
}

static void prepare_large(void) {
    fault_ready(create_region(&region, NULL, 4 << 20, &plain));
}

static int make_huge(void) {
    return leat_view_make_huge(leat_region_data(region), 0);
}

static int ask_residency(void) {
    return leat_view_residency(leat_region_data(region), 0, &residency);
}

/* --- Another process's memory ----------------------------------------------------------------- */

static uint64_t address;

/* Counts as long as it lives; with word 2 set it ends, and all is well. */
static int count_on(void) {
    while (atomic_load(fault_word(2)) == 0) {
        atomic_fetch_add(fault_word(1), 1);
        usleep(1000);
    }
    return LEAT_OK;
}

static void hold_target(void) {
    hold();
    fault_meanwhile(count_on);
}

static void look_at_target(enum fault_moment moment, int code) {
    look(moment, code);
    uint32_t before = atomic_load(fault_word(1));
    for (int i = 0; i < 5000 && atomic_load(fault_word(1)) == before; i++)
        usleep(1000);
    if (atomic_load(fault_word(1)) == before)
        fault_found(FAULT_HELD_UP, "the target does not go on");
}

static void leave_target(void) {
    harness_set(fault_word(2), 1);
    if (fault_meanwhile_result() != LEAT_OK)
        fault_found(FAULT_CRASH, "the target");
    close_all();
}

static int map_into(void) {
    return leat_region_map_into(region, (int)fault_other(), &address);
}

static void judge_address(int code) {
    if ((address != 0) != (code == LEAT_OK))
        fault_found(FAULT_OUTPUT, "the address does not go with the code");
}

static void join_and_map_into(void) {
    join();
    fault_ready(map_into());
}

static int unmap_from(void) {
    return leat_region_unmap_from((int)fault_other(), address);
}

#define HELD(holds) .hold = holds, .look = look, .leave = close_all
#define FILE_HELD .hold = hold_file, .look = look_at_file, .leave = remove_file
#define MAY_WAIT .codes = {LEAT_ECLOSED, LEAT_ETIMEDOUT, LEAT_EAGAIN}, .waits = true

const struct fault_operation fault_region_operations[] = {
    {.name = "leat_region_create, new",
     .look = look_at_new,
     .prepare = forget,
     .act = create,
     .judge = judge_made,
     .finish = close_all},
    {.name = "leat_region_create, the name is taken",
     HELD(hold),
     .prepare = forget,
     .act = create,
     .judge = judge_pointer,
     .finish = close_all,
     .codes = {LEAT_EEXIST},
     .never_ok = true},
    {.name = "leat_region_create, left by a dead process",
     .hold = leave_stale,
     .look = look_at_new,
     .prepare = forget,
     .act = create,
     .judge = judge_made,
     .finish = close_all},
    {.name = "leat_region_create, with a type",
     .look = look_at_new,
     .prepare = forget,
     .act = create_typed,
     .judge = judge_made,
     .finish = close_all},
    {.name = "leat_region_create, without a name",
     .prepare = forget,
     .act = create_anonymous,
     .judge = judge_made,
     .finish = close_all},
    {.name = "leat_region_open, in use",
     HELD(hold),
     .prepare = forget,
     .act = open_it,
     .judge = judge_joined,
     .finish = close_all},
    {.name = "leat_region_open, twice opened here",
     HELD(hold),
     .prepare = join_twice,
     .act = open_it,
     .judge = judge_joined,
     .finish = close_all},
    {.name = "leat_region_open, descriptor 0 closed",
     HELD(hold),
     .prepare = forget,
     .act = open_it,
     .judge = judge_joined,
     .finish = close_all,
     .closed = 1},
    {.name = "leat_region_open, read only",
     HELD(hold),
     .prepare = forget,
     .act = open_to_read,
     .judge = judge_joined,
     .finish = close_all},
    {.name = "leat_region_open, read only, left by a dead process",
     .hold = leave_stale,
     .look = look_at_none,
     .prepare = forget,
     .act = open_to_read,
     .judge = judge_pointer,
     .finish = close_all,
     .codes = {LEAT_ENOENT},
     .never_ok = true},
    {.name = "leat_region_open, with a type",
     HELD(hold_typed),
     .prepare = forget,
     .act = open_typed,
     .judge = judge_pointer,
     .finish = close_all},
    {.name = "leat_region_open_or_create, in use",
     HELD(hold),
     .prepare = forget,
     .act = open_or_create,
     .judge = judge_joined,
     .finish = close_all},
    {.name = "leat_region_close, another user", HELD(hold), .prepare = join, .act = close_region},
    {.name = "leat_region_close, read only, another user",
     HELD(hold),
     .prepare = join_to_read,
     .act = close_region},
    {.name = "leat_region_close, the last user",
     .look = look_at_none,
     .prepare = make_and_die,
     .act = close_region},
    {.name = "leat_region_type_read", HELD(hold_typed), .act = read_type, .judge = judge_type},
    {.name = "leat_region_type",
     HELD(hold_typed),
     .prepare = join,
     .act = get_type,
     .judge = judge_type,
     .finish = close_all},
    {.name = "leat_region_file, new",
     .prepare = forget,
     .act = create_file,
     .judge = judge_made,
     .finish = remove_file},
    {.name = "leat_region_file, new, descriptors 0 and 1 closed",
     .prepare = forget,
     .act = create_file,
     .judge = judge_made,
     .finish = remove_file,
     .closed = 3},
    {.name = "leat_region_file, in use",
     FILE_HELD,
     .prepare = forget,
     .act = open_file,
     .judge = judge_pointer,
     .finish = close_all},
    {.name = "leat_region_file, another has it exclusively",
     .hold = hold_file_exclusively,
     .look = look_at_exclusive_file,
     .leave = remove_file,
     .prepare = forget,
     .act = open_file,
     .judge = judge_pointer,
     .finish = close_all,
     .codes = {LEAT_EBUSY},
     .never_ok = true},
    {.name = "leat_region_file, exclusively, another has it",
     FILE_HELD,
     .prepare = forget,
     .act = open_file_exclusively,
     .judge = judge_pointer,
     .finish = close_all,
     .codes = {LEAT_EBUSY},
     .never_ok = true},
    {.name = "leat_region_descriptor",
     HELD(hold),
     .prepare = join,
     .act = give_descriptor,
     .judge = judge_descriptor,
     .finish = close_all},
    {.name = "leat_region_descriptor, descriptors 0 and 1 closed",
     HELD(hold),
     .prepare = join,
     .act = give_descriptor,
     .judge = judge_descriptor,
     .finish = close_all,
     .closed = 3},
    {.name = "leat_region_open_descriptor",
     HELD(hold),
     .prepare = join_with_descriptor,
     .act = open_descriptor,
     .judge = judge_joined,
     .finish = close_all},
    {.name = "leat_descriptor_send",
     HELD(hold),
     .prepare = join_with_both,
     .act = send_descriptor,
     .finish = close_all,
     MAY_WAIT},
    {.name = "leat_descriptor_receive",
     HELD(hold),
     .prepare = join_with_letter,
     .act = receive_descriptor,
     .judge = judge_descriptor,
     .finish = close_all,
     MAY_WAIT},
    {.name = "leat_descriptor_receive, nothing comes",
     HELD(hold),
     .prepare = join_with_sockets,
     .act = receive_descriptor,
     .judge = judge_descriptor,
     .finish = close_all,
     MAY_WAIT,
     .never_ok = true},
    {.name = "leat_region_grow",
     HELD(hold),
     .prepare = join,
     .act = grow,
     .judge = judge_grown,
     .finish = close_all},
    {.name = "leat_region_refresh",
     HELD(hold),
     .prepare = join_before_it_grows,
     .act = refresh,
     .judge = judge_grown,
     .finish = close_all},
    {.name = "leat_region_flush, start",
     .prepare = prepare_file,
     .act = flush_start,
     .finish = remove_file},
    {.name = "leat_region_flush, durable",
     .prepare = prepare_file,
     .act = flush_durable,
     .finish = remove_file},
    {.name = "leat_view_map",
     HELD(hold),
     .prepare = join_for_view,
     .act = map_view,
     .judge = judge_view,
     .finish = close_all,
     .codes = {LEAT_EADDRESS}},
    {.name = "leat_view_unmap",
     HELD(hold),
     .prepare = join_with_view,
     .act = unmap_view,
     .finish = close_all},
    {.name = "leat_view_prefault",
     HELD(hold),
     .prepare = join,
     .act = prefault,
     .finish = close_all,
     .codes = {LEAT_ESIZE}},
    {.name = "leat_view_lock", HELD(hold), .prepare = join, .act = lock_view, .finish = close_all},
    {.name = "leat_view_unlock",
     HELD(hold),
     .prepare = join_and_lock,
     .act = unlock_view,
     .finish = close_all},
    {.name = "leat_view_make_huge",
     .prepare = prepare_large,
     .act = make_huge,
     .finish = close_all,
     .codes = {LEAT_ENOTSUP, LEAT_ENOMEM}},
    {.name = "leat_region_map_into",
     .hold = hold_target,
     .look = look_at_target,
     .leave = leave_target,
     .prepare = join,
     .act = map_into,
     .judge = judge_address,
     .finish = close_all,
     .codes = {LEAT_EAGAIN}},
    {.name = "leat_region_unmap_from",
     .hold = hold_target,
     .look = look_at_target,
     .leave = leave_target,
     .prepare = join_and_map_into,
     .act = unmap_from,
     .finish = close_all,
     .codes = {LEAT_EAGAIN}},
    {.name = "leat_view_residency",
     HELD(hold),
     .prepare = join,
     .act = ask_residency,
     .finish = close_all},
    {0},
};
