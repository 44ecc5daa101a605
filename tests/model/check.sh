#!/bin/sh
# check.sh - runs the models of this folder through Spin: the whole ones must hold, and of each -DBUG_... variant Spin must find the
# fault, else the model proves nothing. Says how many states each search went through. Exit status 77 without Spin (Debian: spin) or a compiler.
# check.sh MODEL [-D...] runs one and shows what Spin says; check.sh half 0, and 1, every other one of all. Without arguments both halves run side by
# side, a processor each.
set -u

models=$(cd "$(dirname "$0")" && pwd)
cc=${CC:-cc}
if ! command -v spin >/dev/null || ! command -v "$cc" >/dev/null; then
    echo "spin or $cc is not installed: skipped"
    exit 77
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/leat-model.XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM
cd "$work" || exit 1
failures=0 states_in_all=0 optimisation=-O1 half='' number=0

# search MODEL -D...: leaves Spin's report in "$work/report".
search() {
    model=$1
    shift
    cp "$models/$model.pml" . && spin "$@" -a "$model.pml" >report 2>&1 &&
        "$cc" "$optimisation" -w -DSAFETY -DCOLLAPSE -DMEMLIM=2000 -o pan pan.c >>report 2>&1 &&
        timeout 100 ./pan -m100000 >report 2>&1
}

# expect HOLDS-OR-FAILS MODEL -D...
expect() {
    number=$((number + 1))
    [ $((number % 2)) -eq "$half" ] || return 0
    wanted=$1
    shift
    [ "$wanted" = holds ] && optimisation=-O1 || optimisation=-O0 # most faults are found in less time than -O1 takes
    search "$@"
    errors=$(sed -n 's/.*errors: \([0-9]*\).*/\1/p' report)
    states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' report)
    case $wanted,${errors:-none} in
    holds,0)
        if grep -q -e 'max search depth too small' -e 'Search not completed' -e 'out of memory' report; then
            echo "$*: the search was not completed"
            failures=$((failures + 1))
        else
            echo "$*: holds ($states states)"
        fi
        ;;
    fails,[1-9]*) echo "$*: fault found after $states states: $(sed -n 's/^pan:[0-9]*: \([a-z ]*\).*/\1/p' report | head -n 1)" ;;
    *)
        echo "$*: should be found to be one that $wanted, and is not:"
        cat report
        failures=$((failures + 1))
        ;;
    esac
    states_in_all=$(awk "BEGIN {printf \"%.0f\", $states_in_all + ${states:-0}}")
}

if [ $# -eq 0 ]; then
    sh "$models/check.sh" half 0 >first 2>&1 &
    sh "$models/check.sh" half 1
    status=$?
    wait $! || status=1
    cat first
    exit $status
fi
if [ "$1" != half ]; then
    search "$@"
    cat report
    if [ -f "$1.pml.trail" ]; then
        shown=$1
        shift
        spin "$@" -p -t "$shown.pml" | tail -n 60
    fi
    exit
fi
half=$2

expect holds sleep
for bug in NO_FENCE_SLEEPER NO_FENCE_WAKER NO_LOOK COUNT_READ_LATE WAKE_BEFORE_PUBLISH SAME_TICKET TICKETS_RESTART NOTED_BEFORE_WAKE \
    SUCCESSOR_SILENT NO_BARRIER BARRIER_FIRST HOT_UNSAID; do
    expect fails sleep -DBUG_$bug
done

expect holds watch
for bug in NO_FENCE_SLEEPER NO_FENCE_WAKER NO_LOOK CLEAR_LATE CLOSE_IS_NOTHING NO_FIRST_SLICE NEW_WATCH_TRUSTED \
    NOT_LOOKED_AGAIN; do
    expect fails watch -DBUG_$bug
done

expect holds presence
for bug in ANY_LOCK BIT_LATE NOT_COMING JOINS_BLINDLY BITS_ONCE; do
    expect fails presence -DBUG_$bug
done

expect holds lead -DTHREADS=2
expect holds lead -DEVENTS=1
expect holds lead -DEVENTS=1 -DGIVE_UPS=2 -DPATIENT=1
for bug in TAKEN_BY_ALL NOT_REPLACED NOT_WOKEN FOLLOWERS_ASLEEP NOT_COMPARED CANCELLED_STAYS; do
    expect fails lead -DTHREADS=2 -DPATIENT=0 -DBUG_$bug
done

expect holds ring
expect holds ring -DWIPES=0
expect holds ring -DPROMISE=1 -DKILLS_S=0
expect holds ring -DPROMISE=1 -DKILLS_R=0
for bug in HEADER_FIRST COMMIT_RELAXED WIPE_FIRST WIPE_RELAXED NOTE_FIRST NO_CLEAR_BEHIND CLEAR_LATE NEVER_LOOKS HEIR_NO_WALK HEIR_NO_LOOK \
    HEIR_NO_HAND_BACK; do
    expect fails ring -DBUG_$bug
done
for bug in BACK_FIRST BACK_RELAXED; do
    expect fails ring -DMESSAGES=4 -DBUG_$bug
done
expect fails ring -DPROMISE=1 -DMESSAGES=4 -DKILLS_S=0 -DBUG_HEIR_PROMISES
expect fails ring -DPROMISE=1 -DKILLS_R=0 -DBUG_HEIR_TRUSTS

expect holds lock
expect holds lock -DKILLS=0 -DPROCESSES=3 -DROUNDS=1
expect holds lock -DGIVE_UPS=1
for bug in NO_GENERATION NO_PROBE NOT_TOLD; do
    expect fails lock -DBUG_$bug
done
for bug in NO_FENCE_SLEEPER NO_FENCE_RELEASE NO_WAKE; do
    expect fails lock -DKILLS=0 -DBUG_$bug
done
expect fails lock -DKILLS=0 -DPROCESSES=3 -DROUNDS=1 -DBUG_NOT_CONTENDED
expect fails lock -DKILLS=0 -DPROCESSES=3 -DGIVE_UPS=1 -DBUG_KEEP_WAKE

expect holds commit -DGIFTS=2 -DROUNDS_MOST=8
expect holds commit -DCAST=2 -DGIFTS=1
expect holds commit -DCAST=3 -DINITIAL=0 -DGIFTS=9
expect holds commit -DCAST=4 -DINITIAL=0 -DGIFTS=25
expect holds commit -DCAST=4 -DINITIAL=0 -DGIFTS=5 -DGIVE_UPS=1
expect holds commit -DCAST=4 -DINITIAL=3 -DGIFTS=10 -DDATA=2
expect holds commit -DCAST=5 -DINITIAL=0 -DGIFTS=9
expect holds commit -DCAST=6 -DGIFTS=0
expect holds commit -DCAST=2 -DKILLS=1 -DGIFTS=0
expect holds commit -DCAST=4 -DKILLS=1 -DGIFTS=0
expect holds commit -DCAST=7 -DKILLS=1 -DGIFTS=1 -DEARLY=0
expect holds commit -DCAST=3 -DGIFTS=14
expect holds commit -DCAST=4 -DGIFTS=46
for bug in HEAL_LIVING TAKE_CLAIMED POST_UNCLAIMS SETTLE_BLIND SETTLE_LOST SETTLE_SILENT WITHDRAWN_TAKEN KEEP_CLAIMS \
    NO_FENCE_SLEEPER NO_LOOK; do
    expect fails commit -DCAST=4 -DBUG_$bug
done
for bug in CLAIMS_UNCOUNTED HEAL_NOT_EXACT NO_PROBE; do
    expect fails commit -DCAST=7 -DKILLS=1 -DGIFTS=1 -DEARLY=0 -DBUG_$bug
done
expect fails commit -DCAST=3 -DGIFTS=14 -DBUG_NO_CONFIRM
expect fails commit -DCAST=4 -DGIFTS=14 -DBUG_CLAIM_KEPT
expect fails commit -DCAST=4 -DINITIAL=0 -DGIFTS=25 -DBUG_TWO_LOOKS
expect fails commit -DCAST=4 -DINITIAL=0 -DGIFTS=1 -DBUG_KEEP_WAKE
expect fails commit -DCAST=5 -DINITIAL=0 -DGIFTS=9 -DBUG_NO_PASS_ON
expect fails commit -DCAST=4 -DINITIAL=3 -DGIFTS=10 -DDATA=2 -DBUG_SET_SKIPPED
expect fails commit -DINITIAL=0 -DGIFTS=1 -DROUNDS_MOST=8 -DBUG_SLEEP_ON_ALL
expect fails commit -DGIFTS=2 -DROUNDS_MOST=8 -DBUG_NOT_SORTED

expect holds waitset
expect holds waitset -DCHANNELS=2 -DMESSAGES=1 -DLEFT_OFF=0
expect holds waitset -DCHANNELS=2 -DMESSAGES=1 -DKILLS=0
for bug in NO_FENCE_LOOP NO_FENCE_WAKER NO_LOOK NOT_ARMED SAME_TICKET TOKEN_DROPPED NOT_RAISED_AGAIN NOT_DISARMED NOTICE_IGNORED \
    LOOKED_ONCE WOKEN_ALWAYS; do
    expect fails waitset -DBUG_$bug
done

expect holds many
expect holds many -DKILLS=1
expect holds many -DLOOPS=2 -DCALLERS=0 -DMESSAGES=1
expect holds many -DCALLERS=0 -DIDLERS=1
for bug in NO_FENCE_WISH NO_FENCE_RELEASE NO_FENCE_LOOP NO_FENCE_WAKER NO_WISH NO_SECOND_TRY NO_LOOK NOT_TOLD NOT_DISPLACED TAKEN_BACK \
    NOT_AGAIN; do
    expect fails many -DBUG_$bug
done
expect fails many -DLOOPS=2 -DMESSAGES=1 -DBUG_CLEARED_LATE
expect fails many -DKILLS=1 -DBUG_NOTICE_IGNORED
expect fails many -DCALLERS=0 -DIDLERS=1 -DBUG_EVENTS_HIDE

expect holds pi
expect holds pi -DKILLS=2
expect holds pi -DUSERS=3 -DROUNDS=1 -DKILLS=0
expect holds pi -DUSERS=3 -DROUNDS=1 -DEARLY=0 -DMORTAL=0
expect holds pi -DUSERS=3 -DROUNDS=1 -DEARLY=0 -DMORTAL=2
for bug in NO_GENERATION GENERATION_RELEASING NO_VOUCH VOUCH_LATE WITHDRAW_FIRST LIVING BEHIND_BACK NOT_LOOKED NOT_ASKED NOT_TOLD; do
    expect fails pi -DBUG_$bug
done
expect fails pi -DUSERS=3 -DROUNDS=1 -DEARLY=0 -DMORTAL=0 -DBUG_NO_GENERATION_ASKING

echo "$states_in_all states, $failures failures"
[ $failures -eq 0 ]
