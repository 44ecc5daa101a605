/* pi.pml - mutexes with priority inheritance (lib/sync/sync_pi.c): one word that the kernel and the users change, and the kernel's beliefs about it.
 *
 *   - Never two live owners: neither a user nor the kernel's handing over changes the word while it is a live owner's.
 *   - Who has the mutex from a dead owner is told, exactly once, and never without a death.
 *   - Nobody waits for ever, in the kernel or outside.
 *
 * The kernel is one atomic actor per system call, after kernel/futex/pi.c: FUTEX_LOCK_PI and its kin attach a sleeper to the *thread* that the word
 * names, whatever becomes of the word later, and say EINVAL when the two do not fit. A thread that ends leaves the word as it is; a sleeper runs later, and
 * then the kernel writes that one's number over whatever is there. Who asks may be faster than one that was given the mutex and has not run yet.
 *
 * KILLS users die, at any step: first the kernel ends what the thread has, later it drops the locks of the process's files. Or the thread ends alone, and its handle
 * vouches for it for good. The number of a dead process can be given to its successor, or to a stranger: a thread that knows nothing of the mutex and
 * ends when it likes, or never. A user tries ROUNDS times: each time at once, asking about the owner, or for as long as it takes. Of three users two do the
 * latter, and one the former. MORTAL: the only one that can die.
 *
 * Without slices no process sleeps for ever unless a number was given again: then they end when nothing else goes on. Elsewhere each user's can end early, EARLY times. Who
 * pauses outside of the kernel goes on when something has changed since it looked; one who pauses in vain for ever is stuck.
 *
 * Left out: recursion; several handles or threads in one process; a thread that ended alone and whose number is given again; memory order. Of that little is
 * needed: [P1] has a release store, and a locked instruction or a system call behind it.
 *
 * -DBUG_... leaves one thing out or does it wrongly; Spin must find an assertion violated or somebody stuck:
 *     BUG_NO_GENERATION          [P2] only the thread's number is compared
 *     BUG_GENERATION_RELEASING   the generation changes with each release, in the kernel's case just before it, instead of with each vouching
 *     BUG_NO_GENERATION_ASKING   it changes with the exchange that takes a free word, but not before asking the kernel
 *     BUG_NO_VOUCH         [P1] no process vouches
 *     BUG_VOUCH_LATE       [P1] after the word names the thread
 *     BUG_WITHDRAW_FIRST   [P1] before the word is free
 *     BUG_LIVING           no process looks at the places before taking over
 *     BUG_BEHIND_BACK      a dead one's word is exchanged for the heir's, and the kernel not asked for it
 *     BUG_NOT_LOOKED       a sleeper does not look at the places before it sleeps
 *     BUG_NOT_ASKED        the kernel is not asked about threads that are vouched for
 *     BUG_NOT_TOLD         OWNER_DIED is cleared, and that is all
 *
 * No faults, as it renewed out (-DTRY_...): DIED_KEPT, OWNER_DIED stays in the word until it is unlocked, which the kernel then does; WAITERS_LOST, a taking over
 * clears that flag, which the kernel sets again with whomever it serves. */

#ifndef USERS
#define USERS 2
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef EARLY
#define EARLY 1
#endif
#define STRANGER USERS
#if USERS > 2
#define WAITS (me != 2)
#define TRIES (me == 2)
#else
#define WAITS true
#define TRIES true
#endif

/* Memory. The word is flags + a number; its generation only grows, so that it is enough to know who has looked since it last did. A user's number is its place
 * + 1, and its successor's the same. */
#define WAITERS 8
#define DIED 16
#define THREAD_IN(word) ((word) % 8)
#define HAS_DIED(word) ((word) / 16 % 2)
#define HAS_WAITERS(word) ((word) / 8 % 2)
#define WITH_WAITERS(word) ((word) + 8 - HAS_WAITERS(word) * 8)
byte pi;
byte renewed;               /* a set: for whom the generation is another than when they looked */
#define LOOK word = pi; renewed = renewed & ~BIT(me)
#define FORGET word = 0; renewed = renewed | BIT(me)
#ifdef BUG_NO_GENERATION
#define NEW_GENERATION skip
#else
#define NEW_GENERATION renewed = (1 << USERS) - 1
#endif
byte places[USERS];

/* The kernel. */
bool ended[USERS + 1];     /* threads; the stranger's: not come yet, or gone */
bool file_locked[USERS];
byte strangers_number;
byte sleepers;             /* a set: who waits for the mutex in the kernel */
byte attached;             /* to whom they are, + 1; 0: no process, or a thread that has ended */
byte handed;               /* one that was given the mutex and has not run yet, + 1 */

#define BIT(task) (1 << (task))
#define HAS(set, task) ((set) >> (task) & 1)
#define NUMBER(task) ((task) == STRANGER -> strangers_number : (task) + 1)
#define IS_THREAD(number) ((number) <= USERS && !ended[(number) - 1] || number == strangers_number && !ended[STRANGER])
#define TASK_OF(number) ((number) == strangers_number && !ended[STRANGER] -> STRANGER : (number) - 1)

/* What the model itself knows. */
byte owners;     /* live ones */
bool unreported;     /* an owner died, and no heir has been told yet */
byte deaths;
bool reused;     /* a dead one's number was given to another */
byte unpolled;   /* a set: users that have not looked since something changed */
#define CHANGED unpolled = unpolled | 255 & ~BIT(me)

mtype = {OK, INHERITED, BUSY, NO_THREAD, STATE, AGAIN, TIMED_OUT, ASLEEP};

#ifdef MORTAL
#define CAN_DIE (deaths < KILLS && me == MORTAL)
#else
#define CAN_DIE (deaths < KILLS)
#endif
#define STEP if :: atomic {CAN_DIE -> deaths++; goto dead} :: skip fi

inline own_it() {
    assert(owners == 0);
    owners++;
    holds = true
}

/* --- The kernel --------------------------------------------------------------------------------------------------------- */

/* attach_to_pi_state: the word and what the kernel believes contradict each other. */
#define CONTRADICTION \
    (attached == 0 -> !HAS_DIED(pi) || THREAD_IN(pi) != 0 \
                   : !(HAS_DIED(pi) && THREAD_IN(pi) == 0) && THREAD_IN(pi) != NUMBER(attached - 1))

/* leat__os_pi_lock, leat__os_pi_try. */
inline ask(waits) {
    if
    :: THREAD_IN(pi) == own -> result = STATE
    :: THREAD_IN(pi) != own && (sleepers != 0 || handed != 0) ->
        if
        :: CONTRADICTION -> result = AGAIN
        :: !CONTRADICTION && (handed != 0 || attached == 0) -> /* faster than one that has not run yet */
            if
            :: handed != 0 -> sleepers = sleepers | BIT(handed - 1); handed = 0
            :: else
            fi;
            pi = HAS_DIED(pi) * DIED + WAITERS + own;
            attached = me + 1;
            own_it();
            CHANGED;
            result = OK
        :: !CONTRADICTION && waits && attached == me + 1 -> result = STATE
        :: !CONTRADICTION && waits && attached != me + 1 -> sleepers = sleepers | BIT(me); result = ASLEEP
        :: !CONTRADICTION && !waits -> result = BUSY
        fi
    :: THREAD_IN(pi) != own && sleepers == 0 && handed == 0 && THREAD_IN(pi) == 0 ->
        pi = HAS_DIED(pi) * DIED + own;
        own_it();
        CHANGED;
        result = OK
    :: THREAD_IN(pi) != own && sleepers == 0 && handed == 0 && THREAD_IN(pi) != 0 ->
        pi = WITH_WAITERS(pi);
        if
        :: !IS_THREAD(THREAD_IN(pi)) -> result = NO_THREAD
        :: IS_THREAD(THREAD_IN(pi)) && waits -> attached = TASK_OF(THREAD_IN(pi)) + 1; sleepers = BIT(me); result = ASLEEP
        :: IS_THREAD(THREAD_IN(pi)) && !waits -> result = BUSY
        fi
    fi
}

inline hand_to(task) {
    sleepers = sleepers & ~BIT(task);
    handed = task + 1;
    attached = task + 1;
    pi = WAITERS + task + 1
}

/* leat__os_pi_unlock. */
inline unlock_in_kernel() {
    if
    :: THREAD_IN(pi) != own || attached != 0 && attached != me + 1 || attached == 0 && sleepers != 0 /* EPERM, EINVAL: no process looks */
    :: else ->
        if
        :: HAS(sleepers, 0) -> hand_to(0)
        :: HAS(sleepers, 1) -> hand_to(1)
#if USERS > 2
        :: HAS(sleepers, 2) -> hand_to(2)
#endif
        :: sleepers == 0 -> pi = 0; attached = 0
        fi;
        CHANGED
    fi
}

/* A sleeper that was given the mutex, or finds that no process has it any more. */
#define CAN_RUN (handed == me + 1 || HAS(sleepers, me) && attached == 0)
inline run_it() {
    if
    :: handed == me + 1 -> handed = 0
    :: else ->
        sleepers = sleepers & ~BIT(me);
        pi = DIED + WAITERS + own
    fi;
    attached = (sleepers != 0 -> me + 1 : 0);
    own_it();
    CHANGED
}

inline leave() {
    sleepers = sleepers & ~BIT(me);
    if
    :: sleepers == 0 && handed == 0 -> attached = 0
    :: else
    fi
}

/* Of the thread: exit_mm. Those that it was given and has not run for are its own. */
inline end_of(task) {
    if
    :: attached == task + 1 -> attached = 0
    :: else
    fi;
    ended[task] = true
}

/* --- A user ------------------------------------------------------------------------------------------------------------- */

inline vouch(number) {
#ifndef BUG_NO_VOUCH
    atomic {
        if
        :: places[me] != number && (places[me] == THREAD_IN(pi) || number == THREAD_IN(pi)) -> CHANGED
        :: else
        fi;
        places[me] = number
    }
#endif
    skip
}

/* Sets `vouched`. */
inline look_at_places(number) {
    vouched = false;
#if USERS > 2
    k = 0;
    do
    :: k == USERS || vouched -> break
    :: else -> atomic {vouched = (k != me && number != 0 && places[k] == number && file_locked[k]); k++}
    od;
    k = 0
#else
    vouched = number != 0 && places[1 - me] == number && file_locked[1 - me]
#endif
}

/* The mutex is this user's. */
inline given() {
    atomic {
        result = (HAS_DIED(pi) -> INHERITED : OK);
#ifdef BUG_NOT_TOLD
        result = OK;
#endif
#ifndef TRY_DIED_KEPT
        pi = pi - HAS_DIED(pi) * DIED
#endif
    }
}

/* begin_locked: after vouching and before the kernel can give us the mutex. */
#if defined(BUG_NO_GENERATION_ASKING) || defined(BUG_GENERATION_RELEASING)
#define BEGIN_GENERATION skip
#else
#define BEGIN_GENERATION \
    if \
    :: THREAD_IN(pi) != 0 -> CHANGED \
    :: else \
    fi; \
    NEW_GENERATION
#endif
#ifdef BUG_GENERATION_RELEASING
#define OWN_GENERATION skip
#define RELEASE_GENERATION NEW_GENERATION
#else
#define OWN_GENERATION NEW_GENERATION
#define RELEASE_GENERATION skip
#endif

/* From a thread that is gone, if it is. Sets `result`. */
inline inherit() {
    atomic {LOOK; vouched = false};
#ifndef BUG_LIVING
    look_at_places(THREAD_IN(word));
#endif
    result = NO_THREAD;
    if
#ifdef BUG_NOT_ASKED
    :: vouched -> result = BUSY
    :: !vouched && THREAD_IN(word) == 0 ->
#else
    :: vouched || THREAD_IN(word) == 0 ->
#endif
        STEP;
        atomic { /* [P2] */
            if
            :: pi == word && !HAS(renewed, me) -> BEGIN_GENERATION; renewed = renewed & ~BIT(me)
            :: else -> result = BUSY
            fi
        };
        if
        :: result == BUSY
        :: else -> STEP; atomic {ask(false)}
        fi
    :: else
    fi;
    vouched = false;
    if
    :: result == NO_THREAD ->
        STEP;
        atomic { /* [P2] */
            if
            :: !HAS(renewed, me) && WITH_WAITERS(pi) == WITH_WAITERS(word) ->
                NEW_GENERATION;
#ifdef BUG_BEHIND_BACK
                pi = HAS_WAITERS(pi) * WAITERS + own;
                own_it();
                result = INHERITED;
#elif defined(TRY_WAITERS_LOST)
                pi = DIED;
#else
                pi = HAS_WAITERS(pi) * WAITERS + DIED;
#endif
                CHANGED
            :: else -> result = BUSY
            fi;
            FORGET
        };
        if
        :: result == NO_THREAD ->
            STEP;
            atomic {ask(false)}
        :: else
        fi
    :: else
    fi;
    atomic {FORGET};
    if
    :: result == OK -> STEP; given()
    :: result == INHERITED
    :: else -> result = BUSY
    fi
}

/* leat__pi_try. */
inline try(probe) {
    atomic {LOOK; result = BUSY};
    if
    :: atomic {word != 0 && !(probe) -> FORGET}
    :: else ->
#ifndef BUG_VOUCH_LATE
        vouch(own);
#endif
        STEP;
        if
        :: word == 0 ->
            atomic { /* [P2] */
                if
                :: pi == word && !HAS(renewed, me) -> OWN_GENERATION; pi = own; own_it(); CHANGED; result = OK
                :: else
                fi;
                FORGET
            };
            if
            :: result == BUSY && (probe) -> inherit()
            :: else
            fi
#ifdef BUG_VOUCH_LATE
            ;
            STEP;
            vouch(own)
#endif
        :: else -> inherit()
        fi;
        if
        :: result == BUSY -> vouch(0)
        :: else
        fi
    fi
}

inline sleep_for() {
    STEP;
    vouch(own);
    STEP;
    atomic {BEGIN_GENERATION};
    STEP;
    atomic {ask(true)};
    if
    :: result == ASLEEP ->
        if
        :: atomic {CAN_RUN -> run_it(); result = OK}
        :: atomic {!CAN_RUN && early < EARLY -> early++; leave(); result = TIMED_OUT}
        :: atomic {timeout && reused && late < 2 -> late++; leave(); result = TIMED_OUT}
        :: atomic {CAN_DIE -> deaths++; goto dead}
        fi
    :: else
    fi;
    if
    :: result == OK -> STEP; given()
    :: else ->
        vouch(0);
        if
        :: result == STATE -> result = NO_THREAD
        :: else
        fi
    fi
}

/* wait_inheriting. */
inline wait() {
    do
    :: atomic {true -> unpolled = unpolled & ~BIT(me); word = pi};
#ifdef BUG_NOT_LOOKED
        is_dead = gone;
#else
        if
        :: gone || word == 0 -> is_dead = gone
        :: else -> look_at_places(THREAD_IN(word)); is_dead = !vouched; vouched = false
        fi;
#endif
        was_free = word == 0;
        gone = false;
        try(is_dead);
        if
        :: result != BUSY -> break
        :: result == BUSY && was_free
        :: result == BUSY && !was_free && is_dead -> result = AGAIN
        :: result == BUSY && !was_free && !is_dead -> sleep_for()
        fi;
        if
        :: result == OK || result == INHERITED -> break
        :: result == AGAIN -> /* not before something has changed: a pause that is in vain is none */
            if
            :: HAS(unpolled, me)
            :: atomic {CAN_DIE -> deaths++; goto dead}
            fi
        :: else
        fi;
        atomic {gone = (result == NO_THREAD); result = BUSY; is_dead = false; was_free = false}
    od;
    atomic {is_dead = false; was_free = false; gone = false}
}

/* let_go. */
inline let_go() {
    do
    :: atomic {
        assert(owners == 1 && holds && THREAD_IN(pi) == own); /* no process has overwritten it */
        LOOK
    };
        if
        :: word != own -> break
        :: else ->
            STEP;
            atomic { /* [P2] */
                if
                :: pi == word && !HAS(renewed, me) ->
                    pi = 0;
                    RELEASE_GENERATION;
                    owners--; holds = false; CHANGED; break
                :: else
                fi
            }
        fi
    od;
    atomic {FORGET};
    if
    :: holds ->
#ifdef BUG_GENERATION_RELEASING
        STEP;
        atomic {RELEASE_GENERATION};
#endif
        STEP;
        atomic {assert(THREAD_IN(pi) == own); owners--; holds = false; unlock_in_kernel()}
    :: else
    fi
}

proctype User(byte me) {
    byte own, k, rounds, early, late;
    byte word;
    mtype result;
    bool vouched, is_dead, was_free, gone, holds;
born:
    own = me + 1;
    vouch(0); /* what its predecessor left there */
    do
    :: rounds == ROUNDS -> break
    :: else ->
        if
        :: WAITS -> wait()
        :: TRIES -> try(true)
        fi;
        if
        :: result == BUSY
        :: else ->
            atomic {
                assert((result == INHERITED) == unreported);
                unreported = false;
                result = BUSY
            };
            STEP;
#ifdef BUG_WITHDRAW_FIRST
            vouch(0);
            STEP;
#endif
            let_go();
            STEP;
            vouch(0)
        fi;
        rounds++
    od;
    goto over;
dead: /* in the kernel it first takes what it was given */
    atomic {
        if
        :: handed == me + 1 || sleepers == BIT(me) && attached == 0 -> run_it()
        :: else -> leave()
        fi;
        if
        :: holds -> owners--; holds = false
        :: else
        fi;
        if
        :: THREAD_IN(pi) == own -> unreported = true
        :: else
        fi;
        end_of(me);
        CHANGED;
        FORGET; k = 0; early = 0; late = 0; result = BUSY; vouched = false; is_dead = false; was_free = false; gone = false;
        if
        :: true -> goto gone_for_good /* the thread alone; its process goes on, and keeps its files */
        :: true
        fi
    };
    atomic {file_locked[me] = false; CHANGED};
    if
    :: atomic {strangers_number != own && rounds > 0 -> reused = true; ended[me] = false; file_locked[me] = true; rounds = ROUNDS - 1; goto born}
    :: atomic {strangers_number != own && rounds == 0 -> reused = true; ended[me] = false; file_locked[me] = true; goto born}
    :: atomic {strangers_number == 0 -> reused = true; strangers_number = own; ended[STRANGER] = false; CHANGED}
    :: true
    fi;
    goto gone_for_good;
over:
    atomic {file_locked[me] = false; ended[me] = true; CHANGED};
gone_for_good:
    atomic {rounds = 0; early = 0; late = 0}
}

proctype Stranger() {
    byte me = STRANGER;
end:
    !ended[STRANGER];
    if
    :: atomic {end_of(STRANGER); CHANGED}
    :: true
    fi
}

init {
    atomic {
        ended[STRANGER] = true;
        renewed = (1 << USERS) - 1;
        file_locked[0] = true;
        file_locked[1] = true;
        run User(0);
        run User(1);
#if USERS > 2
        file_locked[2] = true;
        run User(2);
#endif
        run Stranger()
    }
}
