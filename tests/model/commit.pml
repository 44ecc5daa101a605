/* commit.pml - waiting for all of several objects (lib/sync/sync.h, lib/sync/sync_word.c, lib/sync/sync_wait.c), on a machine with store buffers (TSO): a
 * semaphore, an event with automatic reset and a mutex; who waits for all of them, for any or for one; who posts and sets.
 *
 *   - Nothing is taken before all can be: when the last one is claimed, every one is there to be had and claimed by this waiter alone; who
 *     withdraws has taken nothing. No count and no signal is lost or invented, whatever happens while a claim is on its word.
 *   - The mutex has one owner. A claim is taken out of a word only when its committer is dead, or by a change of the event, and settled
 *     only by its committer. A committer that goes on has had all its claims at one moment.
 *   - Nobody sleeps while what it waits for can be had; no process wakes another without end; committers do not chase each other.
 *
 * KILLS processes die, at any step; what they had stored reaches memory and the kernel frees their participants. A waiter is born again with the lowest
 * free participant. What a committer had settled before it died is gone with it, and what it had not is as it was: one may be taken and
 * another not, but each is whole. That is all the code promises, and all that is claimed here.
 *
 * Without deaths no slice ends: a sleeper who is not woken stays asleep, and when nothing else goes on it must be one that cannot have what
 * it waits for. After a death a slice may end once at any moment, and whenever nothing else goes on and the sleeper has not looked since
 * the last change of a word.
 *
 * Left out: manual events, pulses, amounts above one (all of them wake all sleepers, or change what `value` means, not who may change it);
 * `lost` and `abandoned`; recursion; the spins before a sleep, which are polls without a ticket. A process has one participant
 * for all its objects, takes it in one step, and arms at all of them in one. Without deaths claims and generations are not counted: only
 * who takes out another's participant compares them. the wake count is a bit for each process instead of a number: whether it has changed
 * since that process read it. A woken sleeper stays queued on its other wake counts until it runs, and can swallow their wakes, as in the kernel.
 *
 * With DATA a setter stores something before it sets, and the waiter for the event must see all of it in the end. With ROUNDS_MOST waiters may
 * go round that often, together, while nothing is given, taken or unlocked. Not needed, as it turned out: that who leaves says again that others
 * may still sleep, or a fence there. It has armed again after each wake-up, and that covers the poll.
 *
 * CAST says who takes part. -DBUG_... leaves one thing out or does it wrongly; Spin must find an assertion violated or somebody stuck:
 *     BUG_NOT_SORTED        claims in the order in which the objects were given
 *     BUG_TWO_LOOKS         a claim exchanges one word and has looked at another
 *     BUG_CLAIMS_UNCOUNTED  a word that is claimed for the second time looks as at the first
 *     BUG_HEAL_NOT_EXACT    a dead committer's participant is taken out of whatever the word is by now
 *     BUG_HEAL_LIVING       no process asks the kernel whether the committer lives
 *     BUG_NO_PROBE          a dead committer's participant stays
 *     BUG_TAKE_CLAIMED      a claim keeps no process out who takes
 *     BUG_CLAIM_KEPT        setting and resetting an event leave the claim in its word
 *     BUG_POST_UNCLAIMS     posting takes the claim out of the semaphore's word
 *     BUG_NO_CONFIRM        [L8] no second look at the claims after the last one
 *     BUG_SETTLE_BLIND      the end of a claim is an exchange for what follows from an earlier look at the word
 *     BUG_SETTLE_LOST       a claim that was taken out is ended all the same
 *     BUG_SETTLE_SILENT     the end of a claim wakes no process
 *     BUG_WITHDRAWN_TAKEN   a commit that is not complete takes what it has claimed
 *     BUG_KEEP_CLAIMS       a commit that is not complete keeps what it has claimed, and sleeps
 *     BUG_NO_FENCE_SLEEPER  [L3] between arming and the poll
 *     BUG_NO_LOOK           the sleeper does not poll again after arming
 *     BUG_NO_PASS_ON        who leaves does not wake for what it leaves
 *     BUG_KEEP_WAKE         who waits for all and sleeps on does not pass on the wake of what can be had
 *     BUG_SLEEP_ON_ALL      who waits for all sleeps on what can be had, too
 *     BUG_SET_SKIPPED       [L5] setting an event that is set already is no exchange */

#ifndef CAST
#define CAST 1
#endif
#ifndef KILLS
#define KILLS 0
#endif

/* Objects, in the order of their inodes, and sets of them. */
#define SEMAPHORE 0
#define EVENT 1
#define MUTEX 2
#define S 1
#define E 2
#define M 4
#define HAS(set, object) ((set) >> (object) & 1)


/* Who waits, for which, and for all of them or for any. */
#if CAST == 1
#define WAITERS 2
#define RUN run Waiter(0, S + E, true); run Waiter(1, S + E, true)
#elif CAST == 2
#define WAITERS 2
#define RUN run Waiter(0, S + M, true); run Waiter(1, S + M, true)
#elif CAST == 3
#define WAITERS 2
#define RUN run Waiter(0, S + E + M, true); run Waiter(1, S, false)
#elif CAST == 4
#define WAITERS 2
#define RUN run Waiter(0, S + E, true); run Waiter(1, S, false)
#elif CAST == 5
#define WAITERS 2
#define RUN run Waiter(0, S + E, false); run Waiter(1, E, false)
#elif CAST == 6
#define WAITERS 3
#define RUN run Waiter(0, S + M, true); run Waiter(1, S, false); run Waiter(2, M, false)
#elif CAST == 7
#define WAITERS 2
#define RUN run Waiter(0, S, true); run Waiter(1, S, false)
#endif
#define PROCESSES (WAITERS + 1)
#define PARTICIPANTS (WAITERS + 1)
/* What is posted and set, in this order: read as digits of base 4, the lowest first, 1 is a count, 2 a signal, 3 a reset of the event. */
#ifndef GIFTS
#define GIFTS 38 /* signal, count, signal */
#endif
#ifndef INITIAL
#define INITIAL 1 /* the semaphore's count */
#endif
#ifndef EARLY
#define EARLY 1 /* slices of each waiter that end while others go on */
#endif
#ifndef GIVE_UPS
#define GIVE_UPS 0 /* sleeps that are interrupted: the waiter looks once more, and leaves */
#endif

/* Memory. A word is claims * 64 + value * 8 + participant; of the mutex generation * 64 + participant. Without deaths no process compares to take something out. */
#if KILLS > 0
#define CLAIMS 4
#else
#define CLAIMS 1
#endif
#define PARTICIPANT_OF(word) ((word) % 8)
#define VALUE_OF(word) ((word) / 8 % 8)
#define WITHOUT_PARTICIPANT(word) ((word) - PARTICIPANT_OF(word))
#define NEXT_GENERATION(word) (((word) / 64 + 1) % CLAIMS * 64 + (word) % 64)
#ifdef BUG_CLAIMS_UNCOUNTED
#define CLAIMED(word) ((word) + participant)
#else
#define CLAIMED(word) (NEXT_GENERATION(word) + participant)
#endif
byte words[3];
byte contended; /* a set */
#ifdef DATA
byte data; /* what a setter stores before it sets */
#endif

/* The kernel. */
bool participant_taken[PARTICIPANTS + 1]; /* 1 to PARTICIPANTS */
byte queued[PROCESSES];     /* on which wake counts it sleeps */
byte woken[PROCESSES];       /* wake counts that have changed since it read them */
byte deaths;

/* Store buffers: `contended` is only ever stored as 1, so a set of such stores is enough; and the data's. */
#ifdef DATA
#define DRAIN \
    contended = contended | (stores[me] & 7); \
    if \
    :: stores[me] & 8 -> data = stored_data[me] \
    :: else \
    fi; \
    stores[me] = 0
byte stored_data[PROCESSES];
#else
#define DRAIN contended = contended | stores[me]; stores[me] = 0
#endif
byte stores[PROCESSES];

/* What the model itself knows. */
byte there[3];     /* counts and signals given and not taken */
byte claimer[3];   /* a living committer with its claim there, + 1 */
byte owner;        /* the living owner of the mutex, + 1 */
byte unpolled;     /* sleepers that have not looked since a word changed */
#ifdef ROUNDS_MOST
byte rounds; /* of all waiters since something was given, taken or unlocked */
#define ROUND rounds++; assert(rounds <= ROUNDS_MOST)
#define PROGRESS rounds = 0
#else
#define ROUND skip
#define PROGRESS skip
#endif
byte give_ups;

#define CAN_BE_HAD(object) \
    ((PARTICIPANT_OF(words[object]) == 0 || !participant_taken[PARTICIPANT_OF(words[object])]) && (object == MUTEX || VALUE_OF(words[object]) > 0))
#define AVAILABLE(object) (PARTICIPANT_OF(words[object]) == 0 && (object == MUTEX || VALUE_OF(words[object]) > 0))

#if KILLS > 0
#define STEP if :: atomic {deaths < KILLS -> deaths++; goto dead} :: skip fi
#define CHANGED(object) assert(VALUE_OF(words[object]) == there[object]); unpolled = 255
#define LOOKED unpolled = (probe -> unpolled & ~(1 << me) : unpolled) /* only who asks sees a dead committer */
#define ALL_CHANGED unpolled = 255
#else
#define LOOKED skip
#define ALL_CHANGED skip
#define STEP skip
#define CHANGED(object) assert(VALUE_OF(words[object]) == there[object])
#endif


/* --- Memory and wake counts --------------------------------------------------------------------------------------------------- */

proctype Memory() {
    byte me;
end:
    do
    :: atomic {stores[0] != 0 -> me = 0; DRAIN}
    :: atomic {stores[1] != 0 -> me = 1; DRAIN; me = 0}
    :: atomic {stores[2] != 0 -> me = 2; DRAIN; me = 0}
#if PROCESSES > 3
    :: atomic {stores[3] != 0 -> me = 3; DRAIN; me = 0}
#endif
    od
}

/* One sleeper, whichever. It runs later, and until then its other wake counts can be woken in vain. */
inline wake_one(object) {
    if
    :: HAS(queued[0], object) -> queued[0] = queued[0] - (1 << object)
    :: HAS(queued[1], object) -> queued[1] = queued[1] - (1 << object)
#if WAITERS > 2
    :: HAS(queued[2], object) -> queued[2] = queued[2] - (1 << object)
#endif
    :: else
    fi
}

/* leat__lock_wake. */
#define MAY_SLEEP(object) HAS(contended | stores[me], object)
inline wake(object) {
    if
    :: !MAY_SLEEP(object)
    :: MAY_SLEEP(object) ->
        STEP;
        if
        :: atomic {!MAY_SLEEP(object) -> DRAIN}
        :: atomic {MAY_SLEEP(object) -> DRAIN; contended = contended & ~(1 << object)};
            STEP;
            atomic {
                woken[0] = woken[0] | 1 << object;
                woken[1] = woken[1] | 1 << object;
#if WAITERS > 2
                woken[2] = woken[2] | 1 << object;
#endif
                skip
            };
            STEP;
            atomic {wake_one(object)}
        fi
    fi
}

/* Compare-and-exchange of `seen`. What is done with it is one step with it. */
#define EXCHANGE(object, next) \
    DRAIN; \
    if \
    :: words[object] == seen -> words[object] = next; done = true \
    :: else -> done = false \
    fi; \
    seen = 0

/* Whether the last claim was made while all others stood. */
#define CLAIM_HELD(object) \
    (!HAS(wants, object) || (object == MUTEX -> owner == me + 1 : PARTICIPANT_OF(words[object]) == participant && VALUE_OF(words[object]) > 0))
#define AT_ONCE at_once = all && CLAIM_HELD(SEMAPHORE) && CLAIM_HELD(EVENT) && CLAIM_HELD(MUTEX)

/* leat__sync_heal, leat__lock_holder_died. */
inline heal(object) {
    if
    :: PARTICIPANT_OF(words[object]) == 0
    :: atomic {PARTICIPANT_OF(words[object]) != 0 -> seen = words[object]};
        if
#ifdef BUG_HEAL_LIVING
        :: true ->
#else
        :: atomic {participant_taken[PARTICIPANT_OF(seen)] -> seen = 0}
        :: !participant_taken[PARTICIPANT_OF(seen)] ->
#endif
            STEP;
            atomic {
#ifdef BUG_HEAL_NOT_EXACT
                seen = words[object];
#endif
                EXCHANGE(object, WITHOUT_PARTICIPANT(seen));
                if
                :: done -> assert(claimer[object] == 0); CHANGED(object)
                :: else
                fi
            };
            if
            :: done -> wake(object)
            :: else
            fi
        fi
    fi
}
#if KILLS > 0 && !defined(BUG_NO_PROBE) || defined(BUG_HEAL_LIVING)
#define HEAL(object) heal(object)
#else
#define HEAL(object) skip /* nothing to be found */
#endif

#ifdef BUG_TAKE_CLAIMED
#define KEPT_OUT(word) false
#else
#define KEPT_OUT(word) (PARTICIPANT_OF(word) != 0)
#endif

/* leat__sync_take. Sets `done`. */
inline take_one(object, probe) {
    if
    :: object == MUTEX -> try_mutex(probe)
    :: else ->
        do
        :: atomic {KEPT_OUT(words[object]) && probe -> done = false};
            HEAL(object);
            done = false;
            break
        :: atomic {KEPT_OUT(words[object]) && !probe -> done = false; break}
        :: atomic {!KEPT_OUT(words[object]) && VALUE_OF(words[object]) == 0 -> done = false; break}
        :: atomic {!KEPT_OUT(words[object]) && VALUE_OF(words[object]) > 0 -> seen = words[object]};
            STEP;
            atomic {
                EXCHANGE(object, seen - 8);
                if
                :: done -> there[object]--; mine = mine | 1 << object; CHANGED(object); PROGRESS; break
                :: else
                fi
            }
        od
    fi
}

/* leat__lock_try. Sets `done`. */
inline try_mutex(probe) {
    if
    :: atomic {PARTICIPANT_OF(words[MUTEX]) != 0 && !probe -> done = false}
    :: atomic {PARTICIPANT_OF(words[MUTEX]) == 0 || probe -> seen = words[MUTEX]};
        if
        :: atomic {PARTICIPANT_OF(seen) != 0 && participant_taken[PARTICIPANT_OF(seen)] -> done = false; seen = 0}
        :: PARTICIPANT_OF(seen) == 0 || !participant_taken[PARTICIPANT_OF(seen)] ->
            STEP;
            atomic {
                EXCHANGE(MUTEX, NEXT_GENERATION(WITHOUT_PARTICIPANT(seen)) + participant);
                if
                :: done -> assert(owner == 0); owner = me + 1; mine = mine | M; CHANGED(MUTEX); PROGRESS; AT_ONCE
                :: else
                fi
            }
        fi
    fi
}

/* leat__lock_release. */
inline unlock() {
    seen = words[MUTEX];
    STEP;
    atomic {DRAIN; assert(owner == me + 1); owner = 0; mine = mine - M; words[MUTEX] = WITHOUT_PARTICIPANT(seen); CHANGED(MUTEX); PROGRESS};
    wake(MUTEX)
}

/* --- Who waits ---------------------------------------------------------------------------------------------------------- */

/* Sets `done`. */
inline claim(object, probe) {
    if
#ifdef BUG_TWO_LOOKS
    :: atomic {PARTICIPANT_OF(words[object]) != 0 -> done = false}
    :: atomic {PARTICIPANT_OF(words[object]) == 0 -> seen = words[object]};
        if
        :: atomic {!AVAILABLE(object) -> done = false}
        :: AVAILABLE(object) ->
#else
    :: atomic {!AVAILABLE(object) && probe -> done = false};
        HEAL(object);
        done = false
    :: atomic {!AVAILABLE(object) && !probe -> done = false}
    :: atomic {AVAILABLE(object) -> seen = words[object]};
        if
        :: true ->
#endif
            STEP;
            atomic {
                EXCHANGE(object, CLAIMED(seen));
                if
                :: done -> claimer[object] = me + 1; CHANGED(object); AT_ONCE
                :: else
                fi
            }
        fi
    fi
}

/* In which order to claim. */
#ifdef BUG_NOT_SORTED
#define PLACE(k) (me == 1 -> 2 - (k) : (k))
#define EVENT_LAST (me == 1 -> !HAS(wants, SEMAPHORE) : !HAS(wants, MUTEX))
#else
#define PLACE(k) (k)
#define EVENT_LAST (!HAS(wants, MUTEX))
#endif

/* Nobody takes the claims of others out. A claim that is made again is the last one. Sets `done`. */
inline confirm() {
#ifdef BUG_NO_CONFIRM
    skip
#else
    if
    :: atomic {!HAS(wants, EVENT) || EVENT_LAST || PARTICIPANT_OF(words[EVENT]) == participant -> skip}
    :: atomic {HAS(wants, EVENT) && !EVENT_LAST && PARTICIPANT_OF(words[EVENT]) != participant -> skip}; claim(EVENT, false)
    fi
#endif
}

inline settle(object, takes) {
    if
    :: object == MUTEX && takes
    :: object == MUTEX && !takes -> unlock()
    :: else ->
        do
#ifndef BUG_SETTLE_LOST
        :: atomic {PARTICIPANT_OF(words[object]) != participant ->
            assert(object == EVENT && claimer[object] != me + 1);
            mine = (takes -> mine | 1 << object : mine);
            break}
        :: atomic {PARTICIPANT_OF(words[object]) == participant -> seen = words[object]};
#else
        :: seen = words[object];
#endif
            STEP;
            atomic {
#ifdef BUG_SETTLE_BLIND
                DRAIN;
                words[object] = (takes -> WITHOUT_PARTICIPANT(seen) - 8 : WITHOUT_PARTICIPANT(seen));
                done = true;
                seen = 0;
#else
                EXCHANGE(object, (takes -> WITHOUT_PARTICIPANT(seen) - 8 : WITHOUT_PARTICIPANT(seen)));
#endif
                if
                :: done ->
                    assert(claimer[object] == me + 1);
                    claimer[object] = 0;
                    if
                    :: takes -> there[object]--; mine = mine | 1 << object; PROGRESS
                    :: else
                    fi;
                    CHANGED(object)
                :: else
                fi
            };
            if
            :: done ->
#ifndef BUG_SETTLE_SILENT
                wake(object);
#endif
                break
            :: else
            fi
        od
    fi
}

inline take_all(probe) {
    k = 0;
    done = true;
    do
    :: k < 3 && done ->
        if
        :: !HAS(wants, PLACE(k)) -> k++
        :: else ->
            object = PLACE(k);
            if
            :: object == MUTEX -> try_mutex(probe)
            :: else -> claim(object, probe)
            fi;
            if
            :: done -> k++
            :: else
            fi
        fi
    :: else -> break
    od;
    if
    :: done -> confirm(); assert(!done || at_once)
    :: else
    fi;
    complete = done;
    at_once = false;
    do
    :: k == 0 -> break
    :: else ->
        k--;
        if
        :: !HAS(wants, PLACE(k))
        :: else ->
            object = PLACE(k);
#ifdef BUG_WITHDRAWN_TAKEN
            settle(object, true)
#elif defined(BUG_KEEP_CLAIMS)
            if
            :: complete -> settle(object, true)
            :: else
            fi
#else
            settle(object, complete)
#endif
        fi
    od;
    done = complete
}

/* Sets `done`. */
inline take(probe) {
    if
    :: all ->
        done = true;
        object = (probe -> 3 : 0);
        do /* each look is a moment of its own */
        :: atomic {object < 3 && HAS(wants, object) && !AVAILABLE(object) -> done = false; break}
        :: atomic {object < 3 && (!HAS(wants, object) || AVAILABLE(object)) -> object++}
        :: object == 3 -> break
        od;
        if
        :: done -> take_all(probe)
        :: else
        fi
    :: else ->
        object = 0;
        done = false;
        do
        :: object < 3 && !done ->
            if
            :: HAS(wants, object) -> take_one(object, probe)
            :: else
            fi;
            if
            :: done
            :: else -> object++
            fi
        :: else -> break
        od
    fi;
    assert(done || mine == 0);
    assert(claimer[SEMAPHORE] != me + 1 && claimer[EVENT] != me + 1);
    assert(!done || !all || mine == wants)
}

/* The wake counts are read, then the tickets are stored; neither is seen by others before it reaches memory. */
inline arm() {
    atomic {woken[me] = 0; stores[me] = stores[me] | wants};
    told = true;
#ifndef BUG_NO_FENCE_SLEEPER
    STEP;
    atomic {DRAIN}
#endif
}

/* Sets `sleeps`, on which wake counts. */
inline choose_wake_counts() {
    object = 0;
    sleeps = 0;
    do
    :: object < 3 ->
        if
        :: !HAS(wants, object)
        :: HAS(wants, object) && all && AVAILABLE(object) ->
#ifndef BUG_KEEP_WAKE
            wake(object);
#endif
#ifdef BUG_SLEEP_ON_ALL
            sleeps = sleeps | 1 << object
#else
            skip
#endif
        :: else -> sleeps = sleeps | 1 << object
        fi;
        object++
    :: else -> break
    od
}

inline pass_on(served) {
    if
    :: !told
    :: else ->
        atomic {stores[me] = stores[me] | wants; DRAIN}; /* [L3] */
        object = 0;
        do
        :: object < 3 ->
            if
#ifndef BUG_NO_PASS_ON
            :: HAS(wants, object) && !(served && HAS(mine, MUTEX) && object == MUTEX) && AVAILABLE(object) -> wake(object)
#endif
            :: else
            fi;
            object++
        :: else -> break
        od
    fi
}

#define HADE(object) (!HAS(wants, object) || CAN_BE_HAD(object))
#define COULD_HAVE \
    (all -> HADE(SEMAPHORE) && HADE(EVENT) && HADE(MUTEX) \
         : HAS(wants, SEMAPHORE) && CAN_BE_HAD(SEMAPHORE) || HAS(wants, EVENT) && CAN_BE_HAD(EVENT) || HAS(wants, MUTEX) && CAN_BE_HAD(MUTEX))

proctype Waiter(byte me; byte wants; bool all) {
    byte participant, seen, object, k, mine, sleeps, early, seen_data;
    bool done, was, complete, told, probe, at_once;
born:
    atomic {
        participant = 1;
        do
        :: participant_taken[participant] || PARTICIPANT_OF(words[0]) == participant || PARTICIPANT_OF(words[1]) == participant || PARTICIPANT_OF(words[2]) == participant -> participant++
        :: else -> break
        od;
        participant_taken[participant] = true
    };
again:
    told = false;
    take(false);
    probe = true;
    do
    :: done -> break
    :: else ->
        ROUND;
        arm();
#ifndef BUG_NO_LOOK
        LOOKED;
        take(probe);
#endif
        if
        :: done -> break
        :: else
        fi;
        choose_wake_counts();
        atomic {
            probe = false; object = 0; seen = 0; was = false; k = 0; complete = false;
            if
            :: sleeps == 0 || (woken[me] & sleeps) != 0 -> sleeps = 0
            :: else -> queued[me] = sleeps
            fi
        };
        if
        :: sleeps == 0
        :: atomic {sleeps != 0 && queued[me] != sleeps -> queued[me] = 0}
        :: atomic {sleeps != 0 && queued[me] == sleeps && give_ups < GIVE_UPS -> queued[me] = 0; give_ups++; goto give_up}
#if KILLS > 0
        :: atomic {sleeps != 0 && deaths > 0 && early < EARLY -> queued[me] = 0; early++; probe = true}
        :: atomic {timeout && sleeps != 0 && deaths > 0 && HAS(unpolled, me) -> queued[me] = 0; probe = true}
        :: atomic {sleeps != 0 && deaths < KILLS -> deaths++; goto dead}
        :: atomic {timeout && sleeps != 0 && queued[me] == sleeps && !(deaths > 0 && HAS(unpolled, me)) ->
#else
        :: atomic {timeout && sleeps != 0 && queued[me] == sleeps ->
#endif
            assert(!COULD_HAVE);
#ifdef DATA
            assert(!HAS(wants, EVENT) || seen_data == data);
#endif
            queued[me] = 0;
            goto over}
        fi
    od;
    pass_on(true);
    goto served;
give_up:
    take(true);
    pass_on(done);
    if
    :: done
    :: else -> goto over
    fi;
served:
#ifdef DATA
    seen_data = data; /* and waits again until it has seen all of it */
#endif
    if
    :: HAS(mine, MUTEX) -> unlock()
    :: else
    fi;
    atomic {
        mine = 0;
        sleeps = 0;
#ifdef DATA
        if
        :: HAS(wants, EVENT) && seen_data < DATA -> goto again
        :: else
        fi;
#endif
        goto over
    };
dead:
    atomic {
        DRAIN;
        queued[me] = 0;
        participant_taken[participant] = false;
        if :: claimer[SEMAPHORE] == me + 1 -> claimer[SEMAPHORE] = 0 :: else fi;
        if :: claimer[EVENT] == me + 1 -> claimer[EVENT] = 0 :: else fi;
        if :: owner == me + 1 -> owner = 0 :: else fi;
        ALL_CHANGED;
        seen = 0; object = 0; k = 0; mine = 0; sleeps = 0; early = 0; done = false; was = false; complete = false; probe = false; told = false;
        PROGRESS;
        goto born
    };
over:
    atomic {
        DRAIN;
#if KILLS > 0
        participant_taken[participant] = false;
#endif
        seen = 0; object = 0; k = 0; mine = 0; sleeps = 0; early = 0; done = false; was = false; complete = false;
        probe = false; told = false
    }
}

/* --- Who gives ---------------------------------------------------------------------------------------------------------- */

/* What the word becomes. */
#ifdef BUG_CLAIM_KEPT
#define EVENT_NEXT(seen) ((seen) + (resets -> 0 : 8) - VALUE_OF(seen) * 8)
#else
#define EVENT_NEXT(seen) (WITHOUT_PARTICIPANT(seen) + (resets -> 0 : 8) - VALUE_OF(seen) * 8)
#endif
#ifdef BUG_POST_UNCLAIMS
#define POSTED(seen) (WITHOUT_PARTICIPANT(seen) + 8)
#else
#define POSTED(seen) ((seen) + 8)
#endif

/* leat_semaphore_release, change_event. */
proctype Giver(byte me; short gifts) {
    byte seen, object;
    bool done, was, resets;
    do
    :: gifts == 0 -> goto over
    :: else ->
        atomic {object = (gifts % 4 == 1 -> SEMAPHORE : EVENT); resets = (gifts % 4 == 3); gifts = gifts / 4}
        STEP;
#ifdef DATA
        atomic {
            if
            :: !resets -> stored_data[me] = stored_data[me] + 1; stores[me] = stores[me] | 8
            :: else
            fi
        };
#endif
        done = false;
        do
        :: done -> break
        :: else ->
            seen = words[object];
            if
#ifdef BUG_SET_SKIPPED
            :: object == EVENT && !resets && VALUE_OF(seen) == 1 -> done = true
#endif
            :: else ->
                STEP;
                atomic {
                    EXCHANGE(object, (object == EVENT -> EVENT_NEXT(seen) : POSTED(seen)));
                    if
                    :: done ->
                        if
                        :: object == SEMAPHORE -> there[object]++
                        :: else -> there[object] = 1 - resets
                        fi;
                        claimer[object] = (PARTICIPANT_OF(words[object]) == 0 -> 0 : claimer[object]);
                        CHANGED(object);
                        PROGRESS
                    :: else
                    fi
                }
            fi
        od;
        if
        :: !resets -> wake(object)
        :: else
        fi
    od;
dead:
    ALL_CHANGED;
over:
    atomic {DRAIN; seen = 0; done = false; was = false; resets = false}
}

init {
    atomic {
        words[SEMAPHORE] = INITIAL * 8;
        there[SEMAPHORE] = INITIAL;
        run Memory();
        RUN;
        run Giver(WAITERS, GIFTS)
    }
}
