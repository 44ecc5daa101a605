#!/bin/sh
# mutate.sh SOURCE BUILD [NAME] - do the crash test, the exhaustive test, and the tests of watches, waitsets and sync objects notice a broken library?
#
# For each mutant below: requires that the named test passes, copies one source file, breaks it with
# one sed expression, links the tests with the broken object in front of the library, and requires
# that the same test FAILS. A mutant that survives, or an expression that no longer changes anything,
# is a failure of this script. SOURCE is the project, BUILD its build folder; NAME runs that mutant
# alone. In the environment, MUTANTS=1/2 runs the first of two parts, MUTANTS=dry only checks that
# the expressions change their files, and that the filters match a test. CC chooses the compiler.
#
# The expressions see the file as clang-format lays it out in lines of up to 1000 columns: a
# statement is one line, however the file wraps it.
set -u

source=$(cd "$1" && pwd)
build=$(cd "$2" && pwd)
only=${3:-}
work=$(mktemp -d "${TMPDIR:-/tmp}/leat-mutate.XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM
cc=${CC:-cc}
flags="-std=c11 -O1 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DLEAT_STATIC -fvisibility=hidden -I$source/include -I$source -I$source/tests"
killed=0 failures=0
part=${MUTANTS:-1/1} number=0 dry=no
[ "$part" != dry ] || part=1/1 dry=yes
wide="{$(sed -e '/^#/d' -e 's/^ColumnLimit:.*/ColumnLimit: 1000/' "$source/.clang-format" | paste -sd ,)}"
command -v clang-format >/dev/null || {
    echo "mutate.sh: clang-format is needed" >&2
    exit 1
}

for test in crash_points crash_round crash_step ring_exhaustive channel_streams channel_told \
    channel_presence channel_errors channel_fuzz channel_inline hostile_channel watch watch_threads wake sync sync_pi sync_errors \
    sync_cancel hostile_sync waitset waitset_many waitset_wakes waitset_errors \
    hostile_waitset; do
    file=$source/tests/$test.c
    [ -f "$file" ] || file=$source/tests/test_$test.c
    # shellcheck disable=SC2086
    [ $dry = yes ] || $cc $flags -c "$file" -o "$work/$test.o" || exit 1
done

# link TEST OUT BROKEN-OBJECT...
link() {
    case $1 in
    crash) objects="$work/crash_points.o $work/crash_round.o $work/crash_step.o" ;;
    ring) objects=$work/ring_exhaustive.o && [ ! -f "$work/ring_broken.o" ] || objects=$work/ring_broken.o ;;
    *) objects=$work/$1.o ;;
    esac
    out=$2
    shift 2
    # shellcheck disable=SC2086
    $cc -Wl,--wrap=leat__processor -o "$out" $objects "$@" "$build/tests/libleat_test_harness.a" "$build/libleat.a" -lcmocka -lpthread
}

# The receiver wipes, whatever the processor at hand.
LEAT_TEST_PROCESSOR=wiping
export LEAT_TEST_PROCESSOR

# run TEST PROGRAM FILTER: the test's own status. Short, and without what needs no mutant.
run() {
    case $1 in
    crash) LEAT_CRASH_ONLY=$3 timeout 100 "$2" ;;
    ring) LEAT_RING_DEPTH=2 LEAT_TEST_ONLY=$3 timeout 100 "$2" ;;
    *) LEAT_TEST_SEED=1 LEAT_TEST_ONLY=$3 timeout 100 "$2" ;;
    esac >"$work/log" 2>&1
}

# The same run must pass when nothing is broken: else noticing means nothing. Once for each test and filter.
passed="
"
passes_unbroken() {
    case $passed in
    *"
$1 $2
"*) return 0 ;;
    esac
    link "$1" "$work/whole" && run "$1" "$work/whole" "$2" || return 1
    passed="$passed$1 $2
"
}

# build NAME FILE TEST: links the test with the broken file, or with all that includes it.
build() {
    rm -f "$work"/broken-*.o "$work/ring_broken.o"
    case $2 in
    include/*)
        for user in channels/queue/sender.c channels/queue/receiver.c; do
            # shellcheck disable=SC2086
            $cc -I"$work/broken/include" $flags -w -c "$source/$user" -o "$work/broken-$(basename $user).o" || return
        done
        # shellcheck disable=SC2086
        [ "$3" != ring ] || $cc -I"$work/broken/include" $flags -w -c "$source/tests/test_ring_exhaustive.c" -o "$work/ring_broken.o" || return
        ;;
    *)
        # shellcheck disable=SC2086
        $cc $flags -w -c "$work/broken/$2" -o "$work/broken-1.o" || return
        ;;
    esac
    link "$3" "$work/$1" "$work"/broken-*.o
}

# matches_a_test TEST FILTER. Filters of crash and ring are no names of HARNESS_TEST.
matches_a_test() {
    case $1 in crash | ring) return 0 ;; esac
    for name in $(sed -n 's/.*HARNESS_TEST[A-Z_]*(\([a-z0-9_]*\)[,)].*/\1/p' "$source/tests/test_$1.c"); do
        # shellcheck disable=SC2254
        case $name in $2) return 0 ;; esac
    done
    return 1
}

# mutant NAME FILE TEST FILTER SED
mutant() {
    [ -z "$only" ] || [ "$only" = "$1" ] || return 0
    number=$((number + 1))
    [ $((number % ${part#*/} + 1)) -eq "${part%/*}" ] || return 0
    rm -rf "$work/broken" && mkdir -p "$work/broken/$(dirname "$2")"
    clang-format --style="$wide" "$source/$2" >"$work/whole.c"
    sed -e "$5" "$work/whole.c" >"$work/broken/$2"
    if cmp -s "$work/whole.c" "$work/broken/$2"; then
        echo "$1: the expression no longer changes $2"
        failures=$((failures + 1))
        return
    fi
    if ! matches_a_test "$3" "$4"; then
        echo "$1: the filter $4 matches no test of $3"
        failures=$((failures + 1))
        return
    fi
    [ $dry = no ] || return 0
    if ! passes_unbroken "$3" "$4"; then
        cat "$work/log"
        echo "$1: the $3 test ($4) fails without any mutation"
        failures=$((failures + 1))
        return
    fi
    if ! build "$1" "$2" "$3"; then
        echo "$1: does not compile"
        failures=$((failures + 1))
    elif run "$3" "$work/$1" "$4"; then
        echo "$1: SURVIVED ($3 test, $4)"
        failures=$((failures + 1))
    else
        echo "$1: noticed ($3 test, $4)"
        killed=$((killed + 1))
    fi
}

sender=channels/queue/ring_sender.c receiver=channels/queue/ring_receiver.c inlined=include/leat/inline.h

# The commit.
mutant payload_behind_header channels/queue/sender.c crash "send long" \
    '/^static OUT_OF_LINE int send(/,/^}/{/leat__copy(payload, /d;s/^        publish(sender);/        publish(sender); if (size > 0) memcpy(payload, data, size);/;}'
mutant first_header_not_withheld $sender crash "send a long batch" \
    '/^static void seal(/,/^}/s/^    if (ring->staged == 0)$/    if (ring->staged == 0) leat__store_relaxed64(leat__word_at(\&ring->memory, start), header); if (ring->staged == 0)/'
mutant position_ahead_of_commit $sender crash "send long" \
    '/^void leat__ring_publish/,/^}/{s/^    leat__store_release64(leat__word_at(.*ring->first_header);.*/    uint64_t at = ring->lane.position;/;s/^    leat__store_release64(&ring->memory.sender->position.*/    leat__store_release64(\&ring->memory.sender->position, ring->lane.position); leat__store_release64(leat__word_at(\&ring->memory, at), ring->first_header);/;}'

# I1: what lies behind the last record is no header.
mutant word_behind_not_cleared $sender ring "*queue*" '/^static inline void probe(/,/^}/s/^        __atomic_store_n(word, 0, .*/        (void)word;/'
mutant published_without_looking $sender ring "*queue*" '/^void leat__ring_publish/,/^}/s/^        probe(.*/        (void)end;/'
mutant only_line_starts_cleared $sender ring "*queue*" '/^void leat__ring_publish/,/^}/s/end % LEAT__LINE != 0 || //'
mutant stretch_not_looked_at $sender ring "*queue*" '/^uint64_t leat__ring_probe_ahead/,/^}/s/^        probe(.*/        (void)ring;/'
mutant stretch_ends_late $sender ring "*queue*" '/^uint64_t leat__ring_probe_ahead/,/^}/s/^    return .*/    return limit;/'
mutant stretch_without_its_last_line $sender ring "*queue*" '/^uint64_t leat__ring_probe_ahead/,/^}/s/all ? end + 1/all ? end/'
mutant fast_word_behind_not_zeroed $inlined ring "*queue*" '/^LEAT__INLINE void leat__lane_zero_behind/,/^}/s/^        __atomic_store_n(.*/        (void)record;/'
mutant zero_is_a_header $inlined ring "*queue*" '/^static inline bool leat__is_header/,/^}/s/word != 0 && //'
mutant header_of_any_lap $inlined ring "*queue*" '/^static inline bool leat__is_header/,/^}/s/>> 40) == 0/>> 40 \& 0xff) == 0/'

# What a receiver promises, and where that does not hold.
mutant promise_of_what_was_written $sender ring "*queue*" '/^static bool is_promised(/,/^}/s/ \&\& line >= ring->written/ \&\& line > 0/'
mutant reserved_is_not_written $sender ring "*queue*" '/^int leat__ring_reserve/,/^}/s/^    leat__ring_note_written(.*//'
mutant successor_trusts_its_predecessor $sender ring "*queue*" '/^int leat__ring_sender_recover/,/^}/s/^    ring->written = .*//'
mutant promise_too_early $receiver ring "*queue*" '/^void leat__ring_release/,/^}/s/memory->capacity + LEAT__LINE;/memory->capacity \/ 2;/'
mutant successor_promises $receiver ring "*queue*" '/^int leat__ring_receiver_recover/,/^}/s/ring->began = position/position/'
mutant successor_promises_at_once $receiver ring "*queue*" '/^int leat__ring_receiver_recover/,/^}/s/position == 0;/position < LEAT__POSITION_END;/'
mutant no_wipe_on_release $receiver ring "*queue*" '/^static void wipe(/,/^}/s/^            leat__.*/            (void)memory;/'
mutant wipe_leaves_the_first_line $receiver ring "*queue*" '/^static void wipe(/,/^}/s/at = (from + LEAT__LINE - 1) \& ~(LEAT__LINE - 1)/at = ((from + LEAT__LINE - 1) \& ~(LEAT__LINE - 1)) + LEAT__LINE/'
mutant fast_not_wiped $inlined ring "*queue*" '/^LEAT__INLINE void leat__lane_release/,/^}/s/^    leat__lane_wipe(lane, record, slot);/    (void)record;/'
mutant fast_longest_wiped_by_half $inlined ring "*queue*" '/^LEAT__INLINE void leat__lane_wipe(/,/^}/s/^            __atomic_store_n(record, 0, .*/            break;/'
mutant resume_trusts_others $sender channel_fuzz "*several*" \
    '/^int leat__ring_sender_resume/,/^}/s/^    ring->written = .*//'
mutant reservation_is_not_written channels/queue/sender.c channel_fuzz "*one_sender*" \
    '/^static void take_reservation(/,/^}/s/^    leat__ring_note_written(.*//'

# Marks.
mutant filled_to_the_last_byte $sender ring "*marks*" '/^int leat__ring_mark/,/^}/s/end >= ring->released/end > ring->released/'

# The fast path.
mutant fast_header_first $inlined crash "hot: send lines" \
    '/^LEAT__INLINE bool leat__lane_send_in/,/^}/s/^    leat__copy(.*/    __atomic_store_n(record, leat__record_header(lane->position, LEAT__MESSAGE, size), __ATOMIC_RELEASE); leat__copy(record + 1, data, size, most, lane->piece);/'
mutant fast_position_ahead_of_commit $inlined crash "send 16" \
    '/^LEAT__INLINE void leat__lane_commit/,/^}/{s/^    __atomic_store_n(record, .*/    __atomic_store_n(lane->noted, end, __ATOMIC_RELEASE);/;t;s/^    __atomic_store_n(lane->noted, .*/    __atomic_store_n(record, leat__record_header(start, LEAT__MESSAGE, size), __ATOMIC_RELEASE);/;}'
mutant fast_first_header_not_withheld channels/queue/sender.c crash "send a batch" '/^static size_t stage_fast(/,/^}/s/^        else$//'
mutant fast_wiped_before_position $inlined crash "recv" \
    '/^LEAT__INLINE void leat__lane_release/,/^}/{/^    __atomic_store_n(noted, end,/d;s/^    lane->position = end;/    __atomic_store_n(noted, end, __ATOMIC_RELEASE); lane->position = end;/;}'
mutant fast_lines_back_before_wiped $inlined crash "recv" \
    '/^LEAT__INLINE void leat__lane_release/,/^}/{/^    __atomic_store_n(noted + 1,/d;s/^    __atomic_store_n(noted, end,.*/    __atomic_store_n(noted + 1, end \& ~(LEAT__LINE - 1), __ATOMIC_RELEASE); __atomic_store_n(noted, end, __ATOMIC_RELEASE);/;}'
mutant forgotten_lines_not_looked_at $sender channel_fuzz "*one_sender*" '/^void leat__ring_forget/,/^}/s/^    ring->probed_to = 0;//'
mutant shorter_lines_not_looked_at $sender channel_fuzz "*one_sender*" '/^void leat__ring_stage/,/^}/s/^        ring->probed_to = 0;/        (void)ring;/'
mutant fast_path_not_probed channels/queue/sender.c channel_fuzz "*one_sender*" \
    '/^static void open_fast_path(/,/^}/s/leat__ring_probe_ahead(ring, limit)/limit/'
mutant commit_shorter_on_the_fast_path $inlined channel_fuzz "*one_sender*" \
    '/^LEAT__INLINE bool leat__lane_commit_open/,/^}/s/ || slot != lane->open_slot//'
mutant open_message_leaves_the_fast_path $inlined channel_inline "*mixture*" \
    '/^LEAT__INLINE void leat__lane_open/,/^}/s/^    lane->fast_limit = 0;//'
mutant child_may_commit channels/queue/role.c channel_inline "*forked*" 's/, &role->lane->kept)/, NULL)/'
mutant destroyed_header_not_told $receiver hostile_channel "*" \
    '/^int leat__ring_check_committed/,/^}/s/^    return fail_corrupt(.*/    return LEAT_OK;/'

# A sender that takes over.
mutant successor_does_not_walk $sender ring "*queue*" 's/^    int result = find_end(ring, &position);/    int result = LEAT_OK;/'
mutant successor_forgets_what_was_received $sender crash "send lines" '/^static int find_end/,/^}/s/^            \*position = consumed;/            return LEAT_OK;/;/^int leat__ring_sender_recover/,/^}/s/^        position = consumed;.*/        (void)0;/'

# The receiver's release.
mutant wipe_before_position $receiver crash "recv" \
    '/^void leat__ring_release/,/^}/{/leat__store_release64(&memory->receiver->position, end);/d;s/^    ring->lane.position = end;/    leat__store_release64(\&memory->receiver->position, end); ring->lane.position = end;/;}'
mutant lines_back_before_wiped $receiver crash "recv" \
    '/^void leat__ring_release/,/^}/{/^    hand_back(/d;s/^    leat__store_release64(&memory->receiver->position, end);/    leat__store_release64(\&memory->receiver->released, end \& ~(LEAT__LINE - 1)); leat__store_release64(\&memory->receiver->position, end);/;}'
mutant wipe_goes_on_behind $receiver ring "*queue*" '/^static void wipe(/,/^}/s/at < to;/at <= to;/'
mutant successor_does_not_hand_back $receiver ring "*queue*" '/^int leat__ring_receiver_recover/,/^}/s/^    hand_back(.*//'
mutant handed_back_too_much $receiver ring "*queue*" '/^static void hand_back(/,/^}/s/uint64_t lines = (end & ~(LEAT__LINE - 1))/uint64_t lines = ((end \& ~(LEAT__LINE - 1)) + LEAT__LINE)/'

# Many senders.
mutant holder_never_dead lib/sync/lock.c crash "many: send" '/^bool leat__lock_holder_died/,/^}/s/^    return .*/    (void)file; return holder == own;/'
mutant heir_does_not_repair channels/queue/sender.c crash "many: send" 's/acquired == LEAT__LOCK_INHERITED ? leat__ring_sender_recover/acquired == 77 ? leat__ring_sender_recover/'

# Being told.
mutant receiver_not_told channels/queue/role_peer.c crash "send 16" '/^static struct event consider(/,/^}/s/(came || !lives)/came/'
mutant sender_not_told channels/queue/role_peer.c crash "recv lines" '/^static struct event consider(/,/^}/s/(came || !lives)/came/'
mutant peer_back_not_told channels/queue/receiver.c crash "send 16" 's/before == LEAT_PEER_CLOSED || before == LEAT_PEER_DIED ? LEAT_EPEERBACK : LEAT_OK/LEAT_OK/'

# Streams, from one receiver to the next.
mutant stream_not_noted channels/queue/receiver.c channel_streams "change_of_stream_is*" '/^static void note_mark(/,/^}/s/^    if (mark == receiver->noted)/    if (mark != 0)/'
mutant stream_noted_of_held channels/queue/receiver.c channel_streams "stream_that*" '/^static __attribute__((noinline)) int release_slowly(/,/^}/s/end == receiver->peeked_end ? receiver->stream : receiver->oldest_stream/receiver->stream/'
mutant stream_noted_once channels/queue/receiver.c channel_streams "change_of_stream_is*" '/^static uint64_t read_note(/,/^}/s/|| end < newest/|| end > newest + 1/'

# However a call waits.
mutant wait_sleeps_unpolled lib/wake/wait.c wake "what_came*" '/^static int sleep_once(/,/^}/s/^    if (!is_ready(wait))/    if (wait != NULL)/'
mutant wait_gives_up_unasked lib/wake/wait.c wake "the_kernel_is_asked*" '/^static int ask(/,/^}/s/ && !last//'
mutant spin_hides_death lib/wake/wait.c channel_told "*in_a_long_spin*" '/^static int spin(/,/^}/s/earlier(\*now_ns + LEAT__SLICE_NS, wait->deadline_ns)/wait->deadline_ns/'
mutant lock_wait_hides_death channels/queue/sender.c channel_told "death_of_the*" '/^static OUT_OF_LINE int wait_for_lock(/,/^}/s/^        int reported = .*/        int reported = LEAT_OK; role->next_probe_ns = now + LEAT__SLICE_NS;/'
mutant lock_wait_reports_too_much channels/queue/sender.c channel_told "sender_that*" '/^static bool would_have_room(/,/^}/s/^    return .*/    (void)role; return false;/'

# Whether a peer lives.
mutant presence_any_lock channels/queue/presence.c channel_presence "senders_death*" '/^static bool is_present(/,/^}/s/^    return .*/    return page != NULL || word + participant + opened != 0;/;/^static bool is_present(/,/^}/s/^           leat__load_relaxed64.*//'
mutant presence_next_stream channels/queue/presence.c channel_presence "sender_that*" '/^static bool is_present(/,/^}/{s/^    return .*/    return opened != UINT32_MAX \&\& (word >> participant % 64 \& 1) != 0;/;s/^           leat__load_relaxed64.*//;}'
mutant presence_receivers_role channels/queue/presence.c channel_presence "receivers_death*" '/^enum leat__answer leat__receiver_lives(/,/^}/s/^    bool has_life = .*/    bool has_life = page == NULL;/'
mutant presence_without_life channels/queue/presence.c channel_presence "receiver_without*" '/^void leat__receiver_begin_life(/,/^}/s/result == LEAT_OK ? opened : 0/result != INT32_MAX ? opened : 0/'
mutant presence_of_nobody channels/queue/sender_peer.c channel_presence "*" '/^static int begin_stream(/,/^}/s/^    set_present(sender, sender->participant, true);//'

# A kernel that does not answer, or forbids.
mutant no_answer_is_no_event channels/queue/role_wait.c channel_errors "waiting_call*" '/^static uint64_t next_slice(/,/^}/s/ || role->unanswered//'
mutant loop_asks_no_more channels/waitset/waitset.c waitset_errors "loop_asks_on*" '/^static void ask_later(/,/^}/s/leat__member_is_unanswered(member)/(member == NULL)/'
mutant written_over_the_limit lib/os/linux/file_io.c channel_errors "setter_that*" '/^int leat__os_file_touch(/,/^}/{s/^    do$/    while (interrupted > 0)/;s/^    while (leat__linux_again.*/        ;/;}'

# Sleeping on a watch.
mutant watching_peer_not_touched lib/wake/notify.c watch "sleeper_on*" 's/place == LEAT__ON_WATCH || !send_token/place != LEAT__ON_WATCH \&\& !send_token/'
mutant watch_leader_not_replaced lib/os/linux/watch_wait.c watch_threads "cancelled_sleeper_leaves*" '/^static void leave_hub(/,/^}/s/^            lead(hub.asleep);/            lead(NULL);/'
mutant watch_new_leader_not_woken lib/os/linux/watch_wait.c watch_threads "cancelled_sleeper_leaves*" '/^static void leave_hub(/,/^}/s/^                wake(hub.asleep);/                (void)wake;/'
mutant watch_cancelled_stays lib/os/linux/watch_wait.c watch_threads "cancelled_sleeper_leaves*" '/^static void leave_cancelled(/,/^}/s/^    leave_hub(.*/    (void)leave_hub;/'
mutant watch_lost_notices lib/os/linux/watch_wait.c watch_threads "lost*" 's/^                note_everywhere();/                (void)note_everywhere;/'
mutant watch_followers_sleep_on lib/os/linux/watch_wait.c watch_threads "sleeper_misses*" '/^static void note(/,/^}/s/^        wake(watch);/        (void)wake;/'
mutant death_not_watched lib/os/linux/watch.c watch "sleeper_on*" 's/IN_CLOSE_WRITE | (touch/(touch/'

# Names.
mutant last_user_leaves_name lib/object/object.c crash "close as the last" '/^void leat__object_close(/,/^}/s/^            remove_if_last(object, true);/            (void)0;/'
mutant stale_object_is_joined lib/object/object.c crash "create as" '/^static int join(/,/^}/s/alone ? heal_stale(object, request)/alone ? LEAT_OK/'

# Waiting for all of several.
mutant withdrawn_is_taken lib/sync/sync_wait.c sync "wait_all*" '/^static int take_all/,/^}/s/settle(sorted\[claimed\], complete)/settle(sorted[claimed], true)/'
mutant settled_is_not_taken lib/sync/sync_wait.c sync "wait_all*" '/^static int take_all/,/^}/s/settle(sorted\[claimed\], complete)/settle(sorted[claimed], false)/'
mutant owners_death_used_up lib/sync/sync_open.c sync "wait_all*" '/^void leat__sync_close/,/^}/s/^                leat__store_relaxed32(&object->page->abandoned, LEAT__ABANDONED_BY_CLOSING);/                (void)object;/'
mutant pulse_counts_for_all lib/sync/sync_wait.c sync "pulse_lets_no*" 's/->unpulsed = wait->all;/->unpulsed = false;/'

mutant claim_survives_a_change lib/sync/sync.c hostile_sync "changes_of_an_event*" '/^static uint64_t changed(/,/^}/s/^    word &= .*/    (void)object;/'
mutant death_without_an_answer lib/sync/lock.c sync_errors "*" '/^bool leat__lock_holder_died/,/^}/s/ == LEAT__NO;/ != LEAT__YES;/'
mutant cancelled_one_keeps_waiting lib/wake/wait.c sync_cancel "wait_of*" '/^static int check(/,/^}/s/^        leat__os_cancellation_point(.*/        (void)last;/'

# Priority inheritance.
pi=lib/sync/sync_pi.c
mutant pi_nobody_vouches $pi sync_pi "mutex_of*" '/^static void vouch/,/^}/s/^    leat__.*/    (void)object;/'
mutant pi_death_not_told $pi sync_pi "sleeper_gets*" '/^static int given/,/^}/s/^    return .*/    return LEAT_OK;/'
mutant pi_taken_behind_the_kernels_back $pi sync_pi "sleeper_for*" \
    '/^static int inherit/,/^}/{s/ | LEAT__PI_OWNER_DIED;/ | leat__os_thread();/;s/^        result = leat__os_pi_try(kernels(object));$/        result = vouched_for(object, thread_in(word)) ? leat__os_pi_try(kernels(object)) : LEAT_OK;/;}'
mutant pi_stranger_believed $pi sync_pi "thread_number_that*" '/^static bool vouched_for/,/^}/s/^    return .*/    return ask_vouchers(object, thread) != LEAT__NO || thread != 0;/'
mutant pi_kernel_not_asked $pi sync_pi "end_of*" '/^static int inherit/,/^}/s/^        result = leat__os_pi_try(kernels(object));$/        if ((result = leat__os_pi_try(kernels(object))) == LEAT_ENOENT) result = LEAT_EBUSY;/'
mutant pi_owned_by_the_handle $pi sync_pi "mutex_is_unlocked*" '/^bool leat__pi_elsewhere/,/^}/s/^    if (lives(object))/    if (false \&\& lives(object))/'
mutant pi_any_namespace $pi sync_pi "thread_numbers*" '/^int leat__pi_check/,/^}/s/^    if (header->parameters.*/    if (header == NULL)/'

# Event loops.
mutant waitset_not_armed channels/waitset/member.c waitset "waitset_is*" '/^static void arm_role(/,/^}/s/^    if (!leat__role_arm(.*/    if (how == 0)/'
mutant waitset_not_disarmed channels/waitset/waitset.c waitset "channel_in*" '/^void leat__waitset_disarmed(/,/^}/s/^    if (!member->armed)/    if (member != NULL)/'
mutant waitset_death_not_suspected channels/waitset/waitset.c waitset "end_of*" '/^static void suspect(/,/^}/{s/^    member->asks = true;/    (void)member;/;s/^    member->rechecks = LEAT__RECHECKS;//;}'
mutant waitset_left_off_for_good channels/waitset/waitset.c waitset "loop_that*" '/^void leat_waitset_again(/,/^}/s/^        waitset->raised = .*/        waitset->raised = true;/'
mutant waitset_name_not_watched channels/waitset/waitset.c hostile_waitset "token_that*" '/^static void take_notices(/,/^}/s/^            check_notify(waitset);/            (void)check_notify;/'
mutant waitset_nameless_armed channels/waitset/member.c hostile_waitset "socket_that_loses*" '/^void leat__member_do_without_notify(/,/^}/s/^        leat__store.*/        (void)member;/'
mutant waitset_limit_leaves_socket channels/waitset/waitset.c hostile_waitset "socket_is_not*" '/^static void close_descriptors(/,/^}/s/^        leat__os_notify_remove(.*/        (void)waitset;/'
mutant waitset_woken_by_futex_only channels/queue/role_wake.c waitset "waitset_is*" 's/^        return LEAT__IN_LOOP;/        return LEAT__ON_WORD;/'
mutant waitset_not_touched lib/wake/notify.c waitset "peer_that*" 's/|| !send_token(object, &sleepers\[i\]))/|| (send_token(object, \&sleepers[i]), false))/'
mutant waitset_woken_for_nothing channels/waitset/member.c waitset "sender_that*" '/^static void arm_role(/,/^}/s/^    bool events_only = .*/    bool events_only = false;/'
mutant waitset_first_receiver_not_ready channels/waitset/member.c waitset "sender_is*" '/^static bool meets(/,/^}/s/^    member->met = true;/    return false;/'
mutant waitset_polls_for_ever channels/waitset/member.c waitset_wakes "spin_in*" '/^bool leat__member_stays_awake(/,/^}/s/^    return now - member->idle_since_ns < role->spin.ns;/    return true;/'
mutant waitset_polls_never channels/waitset/member.c waitset_wakes "adaptive_channel*" '/^bool leat__member_stays_awake(/,/^}/s/^    return now - member->idle_since_ns < role->spin.ns;/    return false;/'
mutant lock_loops_not_set channels/waitset/member.c waitset_many "loop_polls*" '/^static bool arm_locked(/,/^}/s/^        leat__store_relaxed32(.*/        (void)member;/'
mutant lock_release_does_not_touch channels/queue/sender.c waitset_many "loop_polls*" '/^void leat__sender_unlock(/,/^}/s/^        leat__role_touch_senders(.*/        (void)loops;/'
mutant lock_hides_a_loop channels/queue/role_wake.c waitset_many "sender_that_sleeps*" '/^static void announce(/,/^}/s/^        leat__store_relaxed32(&own->loops, 1);/        (void)own;/'
mutant lock_ticket_taken_back channels/waitset/member.c waitset_many "loop_that*" '/^void leat__member_disarm(/,/^}/s/^    else if (!member->many)/    else/'
mutant lock_events_hide channels/waitset/member.c waitset_many "*want*room*" '/^static bool another_wants_room(/,/^}/s/^    return member->many/    return false \&\& member->many/'
mutant lock_of_its_own_released channels/waitset/member.c waitset_many "reservation_of*" '/^static void unlock(/,/^}/s/^    if (taken).*/    if (taken || true)/'

echo "$killed mutants noticed, $failures not"
[ $failures -eq 0 ]
