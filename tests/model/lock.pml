/* lock.pml - the senders' lock (lib/sync/lock.h) on a machine with store buffers (TSO): who holds it is alone, who takes it over from a dead
 * one is told so, and no process sleeps through a release.
 *
 * PROCESSES participants take and release it ROUNDS times each. KILLS of them die, at any step; what they had stored reaches memory, the
 * kernel frees their participants, and they are born again with the lowest free participant: their own or another's. Slices are absent (a sleep that
 * no process ends is an invalid end state) until somebody has died: then a sleep can time out, once at any moment and twice more when nothing
 * else goes on, and a sleeper whose sleep did asks the kernel about the holder. GIVE_UPS of them in all have a deadline that passes, at any
 * moment of their waiting: with any, the first participant alone has the lock ROUNDS times, the others once, and the second gives up.
 *
 * -DBUG_... leaves one thing out; Spin must find an assertion violated or a sleeper left:
 *     BUG_NO_GENERATION           the lock word is the participant alone
 *     BUG_NO_FENCE_SLEEPER  [L3] between arming and the poll
 *     BUG_NO_FENCE_RELEASE  [L4] between the release and the load of `contended`
 *     BUG_NOT_CONTENDED     one that slept and got the lock does not say that others may still sleep
 *     BUG_KEEP_WAKE         one that gives up does not say that others may still sleep
 *     BUG_NO_WAKE           releases only change the wake count
 *     BUG_NO_PROBE          no process asks whether the holder lives
 *     BUG_NOT_TOLD          a lock that is taken over looks like a free one */

#ifndef PROCESSES
#define PROCESSES 2
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef GIVE_UPS
#define GIVE_UPS 0
#endif
#if GIVE_UPS > 0
#define ROUNDS_OF(who) (who == 0 -> ROUNDS : 1)
#define MAY_GIVE_UP (me == 1 && given_up < GIVE_UPS)
#else
#define ROUNDS_OF(who) ROUNDS
#endif
#define PARTICIPANTS (PROCESSES + 1)
#define FREE 0

/* Memory. The lock word is generation * 8 + participant. */
byte owner, wake_count, contended;

/* The kernel. */
bool participant_taken[PARTICIPANTS + 1]; /* 1 to PARTICIPANTS */
bool asleep[PROCESSES];
byte deaths;
byte given_up;

/* What the model itself knows. */
byte inside;     /* live processes that hold the lock */
bool unrepaired; /* a holder died, and no heir has been told yet */

/* Store buffers: first in, first out. A store with a fence behind it is one step: no process sees it before it is in memory. */
mtype = {OWNER, CONTENDED};
chan stores[PROCESSES] = [2] of {mtype, byte};
#define FENCE (empty(stores[me]))

#define PARTICIPANT_OF(word) ((word) % 8)
#ifdef BUG_NO_GENERATION
#define NEXT(word) (participant)
#define WITHOUT_PARTICIPANT(word) 0
#else
#define NEXT(word) ((((word) / 8 + 1) % 32) * 8 + participant)
#define WITHOUT_PARTICIPANT(word) ((word) / 8 * 8)
#endif

#define STEP if :: atomic {deaths < KILLS -> deaths++; goto dead} :: skip fi

/* One look. Sets `result`: 0 busy, 1 acquired, 2 inherited. The exchange is a locked instruction: it empties the store buffer. */
inline try_acquire(probe) {
    seen = owner;
    result = 0;
    if
    :: PARTICIPANT_OF(seen) == FREE -> result = 1
#ifndef BUG_NO_PROBE
    :: PARTICIPANT_OF(seen) != FREE && (probe) ->
        if
        :: PARTICIPANT_OF(seen) == participant || !participant_taken[PARTICIPANT_OF(seen)] -> result = 2
        :: else -> skip
        fi
    :: PARTICIPANT_OF(seen) != FREE && !(probe) -> skip
#else
    :: PARTICIPANT_OF(seen) != FREE -> skip
#endif
    fi;
    if
    :: result == 0 -> skip
    :: else ->
        STEP;
        atomic {
            FENCE;
            if
            :: owner == seen ->
                owner = NEXT(seen);
                assert(inside == 0);
                inside++;
                holds = true
            :: else -> result = 0
            fi
        }
    fi
}

inline release() {
    STEP;
#ifdef BUG_NO_FENCE_RELEASE
    atomic {
        inside--;
        holds = false;
        stores[me]!OWNER(WITHOUT_PARTICIPANT(seen_own))
    }
#else
    atomic {
        FENCE;
        inside--;
        holds = false;
        owner = WITHOUT_PARTICIPANT(seen_own)
    }
#endif
    STEP;
    if
    :: contended == 0 -> skip
    :: else ->
        STEP;
        atomic {FENCE -> was = contended; contended = 0};
        if
        :: was == 0
        :: else ->
            STEP;
            atomic {FENCE -> wake_count++};
            STEP;
#ifndef BUG_NO_WAKE
            atomic { /* one sleeper, whichever */
                if
                :: asleep[0] -> asleep[0] = false
                :: asleep[1] -> asleep[1] = false
#if PROCESSES > 2
                :: asleep[2] -> asleep[2] = false
#endif
                :: else -> skip
                fi
            }
#endif
        fi
    fi
}

active proctype Memory() {
    byte value, who;
end:
    do
    :: atomic {stores[0]?OWNER(value) -> owner = value}
    :: atomic {stores[0]?CONTENDED(value) -> contended = value}
    :: atomic {stores[1]?OWNER(value) -> owner = value}
    :: atomic {stores[1]?CONTENDED(value) -> contended = value}
#if PROCESSES > 2
    :: atomic {stores[2]?OWNER(value) -> owner = value}
    :: atomic {stores[2]?CONTENDED(value) -> contended = value}
#endif
    od
}

active [PROCESSES] proctype Participant() {
    byte me, participant, seen, seen_own, result, rounds, expected, was, timeouts;
    bool holds, own, timed_out, too_late;
    me = _pid - 1;
born:
    atomic {
        participant = 1;
        do
        :: participant_taken[participant] -> participant++
        :: else -> break
        od;
        participant_taken[participant] = true
    }
    do
    :: rounds == ROUNDS_OF(me) -> break
    :: else ->
        own = (PARTICIPANT_OF(owner) == participant);
        try_acquire(own);
        do
        :: result != 0 -> break
#if GIVE_UPS > 0
        :: atomic {result == 0 && MAY_GIVE_UP -> given_up++; too_late = true}
        :: result == 0 && too_late ->
#ifndef BUG_KEEP_WAKE
            atomic {FENCE -> contended = 1};
#endif
            try_acquire(true);
            if
            :: result == 0 -> goto without
            :: else -> break
            fi
        :: result == 0 && !too_late ->
#else
        :: else ->
#endif
            expected = wake_count;
            STEP;
#ifdef BUG_NO_FENCE_SLEEPER
            stores[me]!CONTENDED(1);
#else
            atomic {FENCE -> contended = 1};
#endif
            try_acquire(false);
            if
            :: result != 0 -> skip
            :: else ->
                timed_out = false;
                atomic {asleep[me] = (wake_count == expected)};
                if
                :: !asleep[me]
#if GIVE_UPS > 0
                :: atomic {asleep[me] && MAY_GIVE_UP -> asleep[me] = false; given_up++; too_late = true}
#endif
                :: atomic {deaths > 0 && asleep[me] && timeouts < 1 -> asleep[me] = false; timed_out = true; timeouts++}
                :: atomic {timeout && deaths > 0 && asleep[me] && timeouts < 3 -> asleep[me] = false; timed_out = true; timeouts++}
                :: atomic {deaths < KILLS -> deaths++; goto dead}
                fi;
                try_acquire(timed_out);
#ifndef BUG_NOT_CONTENDED
                if
                :: result != 0 -> stores[me]!CONTENDED(1)
                :: else -> skip
                fi
#endif
            fi
        od;
        /* Holding it. An heir repairs what the dead one left. */
#ifdef BUG_NOT_TOLD
        result = 1;
#endif
        seen_own = owner;
        atomic {
            assert(result == 2 || !unrepaired);
            unrepaired = false
        }
        STEP;
        release();
#if GIVE_UPS > 0
without:
        too_late = false;
#endif
        rounds++;
        seen = 0;
        seen_own = 0;
        expected = 0;
        was = 0;
        timeouts = 0
    od;
    goto over;
dead:
    atomic {
        asleep[me] = false;
        if
        :: holds -> inside--; unrepaired = true; holds = false
        :: else -> skip
        fi
    }
    FENCE; /* what it had stored gets to memory */
    participant_taken[participant] = false;
    atomic {seen = 0; seen_own = 0; expected = 0; was = 0; result = 0; own = false; timed_out = false; too_late = false; timeouts = 0; rounds = 0}
    goto born;
over:
    FENCE;
    participant_taken[participant] = false
}
