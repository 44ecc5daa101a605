/* test_map_into_errors.c - mapping into processes that cannot be targets, refuse, are in another
 * container, or end in the middle (leat/remote.h): each case has its code and a detail, and the
 * target goes on unharmed. */
#include "remote_target.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOBODY 65534

/* --- No targets ------------------------------------------------------------------------------- */

static int end_at_once(void *context) {
    (void)context;
    return 3;
}

static void what_is_no_living_process_is_said_to_be_none(void **state) {
    (void)state;
    leat_region *region = target_region(0), *none = NULL;
    uint64_t address;
    target_assert_refused(region, 0, LEAT_EINVAL, "0");
    target_assert_refused(region, -1, LEAT_EINVAL, "-1");
    target_assert_refused(region, 0x7fffffff, LEAT_ENOENT, "no process");
    pid_t pid = harness_spawn(end_at_once, NULL);
    while (target_state(pid) != 'Z')
        sched_yield();
    target_assert_refused(region, pid, LEAT_ENOENT, "zombie");
    harness_wait_exit(pid, 3);
    target_assert_refused(region, pid, LEAT_ENOENT, "no process");
    assert_leat(leat_region_open_into(&none, "another", 0, NULL, pid, &address), LEAT_ENOENT);
    assert_null(none);
    assert_non_null(strstr(leat_error_detail(), "'another'"));
    /* CE-07 the other way: nothing is left of what failed */
    assert_int_equal(harness_names_left(), 1);
    assert_leat(leat_region_map_into(region, getpid(), NULL), LEAT_EINVAL);
    /* not mapped by map_into */
    assert_leat(leat_region_unmap_from(getpid(), (uintptr_t)leat_region_data(region)), LEAT_EINVAL);
    leat_region_close(region);
}

static void a_thread_of_the_kernel_is_no_target(void **state) {
    (void)state;
    char name[16] = "";
    FILE *file = fopen("/proc/2/comm", "re");
    if (file == NULL || fgets(name, sizeof name, file) == NULL || strcmp(name, "kthreadd\n") != 0)
        print_message("process 2 is no thread of the kernel here: skipped\n");
    if (file != NULL)
        fclose(file);
    if (strcmp(name, "kthreadd\n") != 0)
        skip();
    leat_region *region = target_region(0);
    target_assert_refused(region, 2, LEAT_ENOTSUP, "thread of the kernel");
    leat_region_close(region);
}

static void *note_thread(void *context) {
    harness_set(context, (uint32_t)gettid());
    for (;;)
        pause();
    return NULL;
}

static int start_a_thread(void *context) {
    pthread_t thread;
    pthread_create(&thread, NULL, note_thread, context);
    for (;;)
        pause();
    return 0;
}

static void a_thread_is_not_its_process(void **state) {
    (void)state;
    harness_word *thread = harness_shared(sizeof *thread);
    leat_region *region = target_region(0);
    pid_t pid = harness_spawn(start_a_thread, thread);
    harness_await(thread, 1);
    char words[64];
    snprintf(words, sizeof words, "thread of process %d", (int)pid);
    target_assert_refused(region, (pid_t)atomic_load(thread), LEAT_EINVAL, words);
    harness_kill(pid);
    leat_region_close(region);
}

/* A program that calls pause over and over. */
#ifdef __aarch64__ /* mov r7, #29; svc #0; b */
#define MACHINE_32 EM_ARM
#define MACHINE_32_FLAGS 0x05000000 /* EABI version 5 */
#define CODE_32                                                                                    \
    { 0x1d, 0x70, 0xa0, 0xe3, 0, 0, 0, 0xef, 0xfc, 0xff, 0xff, 0xea }
#else /* mov $29, %eax; int $0x80; jmp */
#define MACHINE_32 EM_386
#define MACHINE_32_FLAGS 0
#define CODE_32                                                                                    \
    { 0xb8, 0x1d, 0, 0, 0, 0xcd, 0x80, 0xeb, 0xf7 }
#endif

static pid_t start_32_bit_program(void) {
    static const unsigned char code[] = CODE_32;
    struct {
        Elf32_Ehdr head;
        Elf32_Phdr segment;
        unsigned char code[sizeof code];
    } program = {
        .head = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS32, ELFDATA2LSB,
                             EV_CURRENT},
                 .e_type = ET_EXEC,
                 .e_machine = MACHINE_32,
                 .e_flags = MACHINE_32_FLAGS,
                 .e_version = EV_CURRENT,
                 .e_phoff = sizeof(Elf32_Ehdr),
                 .e_ehsize = sizeof(Elf32_Ehdr),
                 .e_phentsize = sizeof(Elf32_Phdr),
                 .e_phnum = 1,
                 .e_entry = 0x8048000 + sizeof(Elf32_Ehdr) + sizeof(Elf32_Phdr)},
        .segment = {.p_type = PT_LOAD,
                    .p_vaddr = 0x8048000,
                    .p_filesz = sizeof program,
                    .p_memsz = sizeof program,
                    .p_flags = PF_R | PF_X,
                    .p_align = 4096},
    };
    memcpy(program.code, code, sizeof code);
    char path[64];
    int file = memfd_create("32-bit", 0);
    assert_int_equal(write(file, &program, sizeof program), sizeof program);
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)getpid(), file);
    pid_t pid = harness_start_command(HARNESS_ARGV(path), NULL, NULL, NULL);
    while (target_state(pid) != 'Z' && strncmp(target_maps(pid), "08048000-", 9) != 0)
        sched_yield(); /* until it has been executed, or could not be */
    close(file);
    if (target_state(pid) != 'Z')
        return pid;
    harness_wait(pid);
    return -1;
}

static void a_32_bit_program_is_refused_and_goes_on(void **state) {
    (void)state;
#if !defined(__x86_64__) && !defined(__aarch64__)
    skip();
#endif
    leat_region *region = target_region(0);
    pid_t pid = start_32_bit_program();
    if (pid < 0) {
        leat_region_close(region);
        print_message("this system runs no 32-bit programs: skipped\n");
        skip();
    }
    target_assert_refused(region, pid, LEAT_ENOTSUP, "32-bit");
    harness_await_asleep(pid);
    harness_kill(pid);
    leat_region_close(region);
}

/* --- Not permitted ---------------------------------------------------------------------------- */

struct tracer {
    harness_word ready;
    pid_t target;
};

static int trace(void *context) {
    struct tracer *tracer = context;
    bool traced = ptrace(PTRACE_SEIZE, tracer->target, NULL, NULL) == 0;
    harness_set(&tracer->ready, traced ? 1 : 2);
    for (;;)
        pause();
    return 0;
}

static void a_process_with_a_debugger_is_refused_and_says_which(void **state) {
    (void)state;
    target_need_ptrace();
    leat_region *region = target_region(0);
    struct tracer *tracer = harness_shared(sizeof *tracer);
    char words[64];
    tracer->target = target_pausing();
    pid_t debugger = harness_spawn(trace, tracer);
    harness_await(&tracer->ready, 1);
    bool may = atomic_load(&tracer->ready) == 1;
    snprintf(words, sizeof words, "by process %d (", (int)debugger);
    if (may)
        target_assert_refused(region, tracer->target, LEAT_EBUSY, words);
    harness_kill(debugger);
    if (may)
        target_map_and_unmap(region, tracer->target); /* as soon as it has gone */
    harness_kill(tracer->target);
    leat_region_close(region);
    if (!may) {
        print_message("a sibling may not trace here (kernel.yama.ptrace_scope): skipped\n");
        skip();
    }
}

static void become_nobody(void) {
    if (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
        setresuid(NOBODY, NOBODY, NOBODY) != 0)
        harness_fail("cannot become user %d", NOBODY);
    prctl(PR_SET_DUMPABLE, 1); /* as a program that this user started */
}

static void need_root(void) {
    if (geteuid() != 0) {
        print_message("only root can become another user: skipped\n");
        skip();
    }
}

struct stranger {
    harness_word ready;
    pid_t target;
    const char *words;
};

static int map_as_nobody(void *context) {
    struct stranger *stranger = context;
    char directory[] = "/dev/shm/leat-test-nobody-XXXXXX";
    become_nobody();
    assert_non_null(mkdtemp(directory));
    setenv("LEAT_DIR", directory, 1);
    leat_region *region = target_region(0);
    target_assert_refused(region, stranger->target, LEAT_EACCES, stranger->words);
    leat_region_close(region);
    assert_int_equal(rmdir(directory), 0);
    return 0;
}

static int pause_as_nobody(void *context) {
    become_nobody();
    harness_set(context, 1);
    for (;;)
        pause();
    return 0;
}

static int pause_as_nobody_untraceable(void *context) {
    become_nobody();
    prctl(PR_SET_DUMPABLE, 0);
    harness_set(context, 1);
    for (;;)
        pause();
    return 0;
}

static void without_the_right_the_missing_right_is_named(void **state) {
    (void)state;
    need_root();
    struct stranger *stranger = harness_shared(sizeof *stranger);
    stranger->target = target_pausing();
    stranger->words = "the same user and group, or CAP_SYS_PTRACE";
    harness_wait_ok(harness_spawn(map_as_nobody, stranger));
    harness_kill(stranger->target);
    stranger->target = harness_spawn(pause_as_nobody_untraceable, &stranger->ready);
    harness_await(&stranger->ready, 1);
    stranger->words = "CAP_SYS_PTRACE";
    harness_wait_ok(harness_spawn(map_as_nobody, stranger));
    harness_kill(stranger->target);
}

static void the_systems_ptrace_policy_is_named(void **state) {
    (void)state;
    need_root();
    char scope[4] = "0";
    FILE *file = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
    if (file != NULL && fgets(scope, sizeof scope, file) == NULL)
        scope[0] = '0';
    if (file != NULL)
        fclose(file);
    if (scope[0] == '0') {
        print_message("kernel.yama.ptrace_scope is 0, or Yama not there: skipped\n");
        skip();
    }
    struct stranger *stranger = harness_shared(sizeof *stranger);
    stranger->target = harness_spawn(pause_as_nobody, &stranger->ready);
    harness_await(&stranger->ready, 1);
    stranger->words = "kernel.yama.ptrace_scope";
    harness_wait_ok(harness_spawn(map_as_nobody, stranger));
    harness_kill(stranger->target);
}

/* The target may neither open this process's descriptors nor the file: the file is sent to it. */
static void another_users_process_gets_the_file_handed_over(void **state) {
    (void)state;
    need_root();
    target_need_ptrace();
    harness_word *ready = harness_shared(sizeof *ready);
    leat_region *region = target_region(0);
    pid_t pid = harness_spawn(pause_as_nobody, ready);
    harness_await(ready, 1);
    harness_await_asleep(pid);
    char *before = target_maps(pid);
    int descriptors = target_descriptors(pid);
    for (int i = 0; i < 100; i++)
        target_map_and_unmap(region, pid);
    assert_string_equal(target_maps(pid), before);
    assert_int_equal(target_descriptors(pid), descriptors);
    harness_kill(pid);
    leat_region_close(region);
}

/* --- Limits of the target --------------------------------------------------------------------- */

struct limited {
    harness_word ready;
    int resource;
};

static int pause_within_a_limit(void *context) {
    struct limited *limited = context;
    setrlimit((__rlimit_resource_t)limited->resource, &(struct rlimit){0, 0});
    harness_set(&limited->ready, 1);
    for (;;)
        pause();
    return 0;
}

static void limits_of_the_target_are_reported(void **state) {
    (void)state;
    target_need_ptrace();
    static const int cases[][2] = {{RLIMIT_NOFILE, LEAT_ELIMIT}, {RLIMIT_AS, LEAT_ENOMEM}};
    leat_region *region = target_region(0);
    for (size_t i = 0; i < 2; i++) {
        struct limited *limited = harness_shared(sizeof *limited);
        limited->resource = cases[i][0];
        pid_t pid = harness_spawn(pause_within_a_limit, limited);
        harness_await(&limited->ready, 1);
        harness_await_asleep(pid);
        char *before = target_maps(pid);
        target_assert_refused(region, pid, cases[i][1], "failed there");
        assert_string_equal(target_maps(pid), before);
        harness_await_asleep(pid);
        harness_kill(pid);
    }
    leat_region_close(region);
}

/* --- The end, and other changes --------------------------------------------------------------- */

static int busy(void *context) {
    harness_set(context, 1);
    for (;;)
        harness_random(&(uint64_t){1});
    return 0;
}

static int idle(void *context) {
    harness_set(context, 1);
    for (;;)
        pause();
    return 0;
}

struct killer {
    harness_word ready;
    pid_t target;
    uint64_t pause;
};

static int kill_after_a_while(void *context) {
    struct killer *killer = context;
    uint64_t until = harness_now() + killer->pause;
    while (harness_now() < until)
        sched_yield();
    kill(killer->target, SIGKILL);
    return 0;
}

/* Its own parent is the tracer here: the status must still be there for it. */
static void a_target_that_is_killed_meanwhile_is_reported_gone(void **state) {
    (void)state;
    target_need_ptrace();
    uint64_t random = harness_seed();
    leat_region *region = target_region(0);
    struct killer *killer = harness_shared(sizeof *killer);
    for (int i = 0; i < 200; i++) {
        harness_set(&killer->ready, 0);
        killer->target = harness_spawn(i % 2 == 0 ? busy : idle, &killer->ready);
        harness_await(&killer->ready, 1);
        killer->pause = harness_random(&random) % 2000000;
        pid_t pid = harness_spawn(kill_after_a_while, killer);
        int result = LEAT_OK;
        for (uint64_t address = 0; result == LEAT_OK;) {
            result = leat_region_map_into(region, killer->target, &address);
            if (result == LEAT_OK)
                result = leat_region_unmap_from(killer->target, address);
        }
        if (result != LEAT_ENOENT)
            harness_fail("%s: %s", leat_error_name(result), leat_error_detail());
        harness_wait_signal(killer->target, SIGKILL);
        harness_wait_ok(pid);
    }
    leat_region_close(region);
}

/* Executes itself over and over; from a thread, so that the traced one may be another than the one
 * that goes on. */
static void a_target_that_executes_other_programs_meanwhile_comes_to_no_harm(void **state) {
    (void)state;
    target_need_ptrace();
    leat_region *region = target_region(0);
    pid_t pid = harness_start_command(
        HARNESS_ARGV("sh", "-c", "test $1 = 0 || exec sh -c \"$0\" \"$0\" $(($1 - 1)); exit 7",
                     "test $1 = 0 || exec sh -c \"$0\" \"$0\" $(($1 - 1)); exit 7", "300"),
        NULL, NULL, NULL);
    int result = LEAT_OK;
    unsigned mapped = 0, gone = 0;
    while (target_state(pid) != 'Z') {
        uint64_t address;
        result = leat_region_map_into(region, pid, &address);
        mapped += result == LEAT_OK;
        gone += result != LEAT_OK;
        if (result == LEAT_OK)
            result = leat_region_unmap_from(pid, address);
        if (result != LEAT_OK && result != LEAT_EINVAL && result != LEAT_ENOENT &&
            result != LEAT_EAGAIN)
            harness_fail("%s: %s", leat_error_name(result), leat_error_detail());
    }
    print_message("%u maps into 300 programs, %u failed\n", mapped, gone);
    harness_wait_exit(pid, 7);
    leat_region_close(region);
}

static int replace_and_pause(void *context) {
    harness_word *words = context;
    harness_set(&words[0], 1);
    harness_await(&words[1], 1);
    void *address = (void *)(uintptr_t)(((uint64_t)words[3] << 32) | words[2]);
    if (mmap(address, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != address)
        return 1;
    harness_set(&words[0], 2);
    for (;;)
        pause();
    return 0;
}

static void what_the_target_put_in_its_place_is_not_unmapped(void **state) {
    (void)state;
    target_need_ptrace();
    harness_word *words = harness_shared(4 * sizeof *words);
    leat_region *region = target_region(0);
    uint64_t address;
    pid_t pid = harness_spawn(replace_and_pause, words);
    harness_await(&words[0], 1);
    assert_ok(leat_region_map_into(region, pid, &address));
    words[2] = (uint32_t)address;
    words[3] = (uint32_t)(address >> 32);
    harness_set(&words[1], 1);
    harness_await(&words[0], 2);
    assert_leat(leat_region_unmap_from(pid, address), LEAT_EINVAL);
    assert_non_null(strstr(leat_error_detail(), "not the region any more"));
    char byte;
    target_peek(pid, address, &byte, 1);
    assert_leat(leat_region_unmap_from(pid, address), LEAT_EINVAL); /* and forgotten */
    harness_kill(pid);
    leat_region_close(region);
}

/* Whoever calls vfork sleeps in that way until the child ends, which here ends with its parent. */
static int sleep_in_the_child(void *context) {
    pid_t pid = vfork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        harness_set(context, 1);
        pause();
        _exit(0);
    }
    return 0;
}

static void a_process_in_uninterruptible_sleep_is_not_waited_for(void **state) {
    (void)state;
    harness_word *ready = harness_shared(sizeof *ready);
    leat_region *region = target_region(0);
    pid_t pid = harness_spawn(sleep_in_the_child, ready);
    harness_await(ready, 1);
    while (target_state(pid) != 'D')
        sched_yield();
    target_assert_refused(region, pid, LEAT_EAGAIN, "uninterruptible sleep");
    harness_kill(pid);
    harness_wait_adopted();
    leat_region_close(region);
}

static int use_the_parents_handle(void *context) {
    uint64_t address;
    assert_leat(leat_region_map_into(context, getppid(), &address), LEAT_EFORKED);
    return 0;
}

static void handles_that_have_no_view_of_their_own_map_nothing(void **state) {
    (void)state;
    leat_region *region = target_region(0);
    uint64_t address;
    harness_wait_ok(harness_spawn(use_the_parents_handle, region));
    void *view = leat_region_detach_view(region);
    assert_leat(leat_region_map_into(region, getpid(), &address), LEAT_ESTATE);
    assert_ok(leat_view_unmap(view));
    leat_region_close(region);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(what_is_no_living_process_is_said_to_be_none),
        HARNESS_TEST(a_thread_of_the_kernel_is_no_target),
        HARNESS_TEST(a_thread_is_not_its_process),
        HARNESS_TEST(a_32_bit_program_is_refused_and_goes_on),
        HARNESS_TEST(a_process_with_a_debugger_is_refused_and_says_which),
        HARNESS_TEST(without_the_right_the_missing_right_is_named),
        HARNESS_TEST(the_systems_ptrace_policy_is_named),
        HARNESS_TEST(another_users_process_gets_the_file_handed_over),
        HARNESS_TEST(limits_of_the_target_are_reported),
        HARNESS_TEST(a_target_that_is_killed_meanwhile_is_reported_gone),
        HARNESS_TEST(a_target_that_executes_other_programs_meanwhile_comes_to_no_harm),
        HARNESS_TEST(what_the_target_put_in_its_place_is_not_unmapped),
        HARNESS_TEST(a_process_in_uninterruptible_sleep_is_not_waited_for),
        HARNESS_TEST(handles_that_have_no_view_of_their_own_map_nothing),
    };
    return HARNESS_MAIN("map_into_errors", tests);
}
