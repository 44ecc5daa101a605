/* lead.pml - threads that sleep on one inotify instance (lib/os/linux/watch_wait.c): whatever the kernel reports
 * reaches the thread that it concerns, whichever thread leads.
 *
 * THREADS threads each sleep on a watch until it was noted, EVENTS times, then leave. One touch in the kernel's
 * queue for each event, which the kernel gives at any moment. Sleeps have no other end, but a thread may be
 * cancelled, or leave because of a signal or its deadline, GIVE_UPS times at any step of its sleep; who leaves so comes
 * back, or is gone for good. Steps under the fork lock are atomic here. What a thread does between sleeps: it clears
 * its watch, and looks; what was touched before the look is taken by it.
 *
 * -DBUG_... does one thing wrongly; Spin must find a thread asleep for ever then:
 *     BUG_TAKEN_BY_ALL      a thread that clears its watch takes notices although another one leads
 *     BUG_NOT_REPLACED      a leader that leaves appoints no process
 *     BUG_NOT_WOKEN         a new leader is appointed and goes on sleeping on its own word
 *     BUG_FOLLOWERS_ASLEEP  the leader notes, and wakes no process
 *     BUG_NOT_COMPARED      a thread looks at its state, and sleeps whatever it is by then
 *     BUG_CANCELLED_STAYS   a cancelled thread does not leave */

#ifndef THREADS
#define THREADS 3
#endif
#ifndef EVENTS
#define EVENTS 2
#endif
#ifndef GIVE_UPS
#define GIVE_UPS 1
#endif
#ifndef PATIENT
#define PATIENT 255 /* a thread whose file no process touches: it sleeps for ever */
#endif
#define NOBODY THREADS

byte given[THREADS], seen[THREADS]; /* what there is, and what was found by a look */
bool queued[THREADS];               /* in the kernel's queue: equal ones are merged */
bool noted[THREADS], leads[THREADS];
bool asleep[THREADS];  /* in the list */
bool inside[THREADS];  /* the futex, and ... */
bool woken[THREADS];   /* ... woken there */
bool gone[THREADS];
byte leader = NOBODY, give_ups;

#define QUEUE (queued[0] || queued[1] || queued[THREADS - 1])

inline note(t) {
    if
    :: queued[t] ->
        queued[t] = false;
        noted[t] = true;
#ifndef BUG_FOLLOWERS_ASLEEP
        if
        :: asleep[t] && leader != t -> woken[t] = inside[t]
        :: else
        fi
#endif
    :: else
    fi
}

inline take_notices() {
    note(0);
    note(1);
#if THREADS > 2
    note(2)
#endif
}

inline appoint(t) {
    leader = t;
    leads[t] = true;
#ifndef BUG_NOT_WOKEN
    woken[t] = inside[t]
#endif
}

/* The list is taken in any order. */
inline leave(t) {
    atomic {
        asleep[t] = false;
        leads[t] = false;
        if
        :: leader == t ->
            leader = NOBODY;
#ifndef BUG_NOT_REPLACED
            if
            :: asleep[0] -> appoint(0)
            :: asleep[1] -> appoint(1)
#if THREADS > 2
            :: asleep[2] -> appoint(2)
#endif
            :: !asleep[0] && !asleep[1] && !asleep[THREADS - 1]
            fi
#endif
        :: else
        fi
    }
}

proctype Kernel() {
    byte t;
end:
    do
    :: atomic {PATIENT != 0 && given[0] < EVENTS -> given[0]++; queued[0] = true}
    :: atomic {PATIENT != 1 && given[1] < EVENTS -> given[1]++; queued[1] = true}
#if THREADS > 2
    :: atomic {PATIENT != 2 && given[2] < EVENTS -> given[2]++; queued[2] = true}
#endif
    od
}

#define ENDS_EARLY atomic {give_ups < GIVE_UPS -> give_ups++; goto early}

proctype Thread(byte t) {
again:
    atomic { /* clear */
        noted[t] = false;
#ifdef BUG_TAKEN_BY_ALL
        take_notices();
#else
        if
        :: leader == NOBODY -> take_notices()
        :: else
        fi;
#endif
        noted[t] = false
    }
    if /* the look */
    :: atomic {seen[t] != given[t] -> seen[t] = given[t]; goto again}
    :: else
    fi;
    if
    :: seen[t] == EVENTS -> goto done
    :: else
    fi;
    atomic { /* enter */
        asleep[t] = true;
        if
        :: leader == NOBODY -> leader = t; leads[t] = true
        :: else
        fi
    }
    do
    :: atomic {noted[t] -> break}
    :: atomic {!noted[t] && leads[t] -> skip}
end_leads:
        if
        :: QUEUE ->
            atomic {take_notices()}
        :: ENDS_EARLY
        fi
    :: !noted[t] && !leads[t] ->
        atomic { /* the kernel compares before it sleeps */
            woken[t] = false;
#ifdef BUG_NOT_COMPARED
            inside[t] = true
#else
            inside[t] = !noted[t] && !leads[t]
#endif
        }
end_follows:
        if
        :: !inside[t] || woken[t] -> inside[t] = false
        :: ENDS_EARLY
        fi
    od;
    leave(t);
    goto again;
early:
    inside[t] = false;
#ifdef BUG_CANCELLED_STAYS
    goto done;
#endif
    leave(t);
    if
    :: goto again
    :: goto done
    fi;
done:
    gone[t] = true
}

/* When nothing can happen any more. */
active proctype Checker() {
end:
    timeout;
    assert(gone[0] || PATIENT == 0 && !noted[0] && !queued[0]);
    assert(gone[1] || PATIENT == 1 && !noted[1] && !queued[1]);
#if THREADS > 2
    assert(gone[2] || PATIENT == 2 && !noted[2] && !queued[2])
#endif
}

init {
    atomic {
        run Kernel();
        run Thread(0);
        run Thread(1);
#if THREADS > 2
        run Thread(2)
#endif
    }
}
