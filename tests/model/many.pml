/* many.pml - one of many senders in an event loop (channels/waitset/member.h), on a machine with store buffers (TSO): no loop sleeps for ever while there is
 * room and no process has the lock.
 *
 * A ring that is full. The receiver makes room for one message at a time, for as many as are to be sent, and wakes once for each ticket. LOOPS senders
 * wait in loops, CALLERS in calls, in their has_lock; each sends MESSAGES. IDLERS are in loops for events only, and arm twice. The callers die at any step, KILLS of them in all: what they had stored reaches memory, and the kernel
 * tells the loops, after their locks were dropped (waitset.pml has the time between). The lock itself, with those that wait for it in calls, is lock.pml's.
 *
 * -DBUG_... leaves one thing out or does it wrongly; Spin must find somebody asleep:
 *     BUG_NO_FENCE_WISH      [M1] between the wish and the second try of the lock
 *     BUG_NO_FENCE_RELEASE      [M2] between the release of the lock and the load of `loops`
 *     BUG_NO_FENCE_LOOP      [S1] between arming and the poll
 *     BUG_NO_FENCE_WAKER    [S2] between making room and reading the ticket
 *     BUG_NO_WISH            a loop that does not get the lock wishes nothing
 *     BUG_NO_SECOND_TRY      ... or does not look at the lock again
 *     BUG_NO_LOOK            a loop does not poll again after arming
 *     BUG_NOT_TOLD           a sender that releases the lock does not load of `loops`
 *     BUG_CLEARED_LATE       ... or clears them after having told
 *     BUG_NOT_DISPLACED      a caller overwrites a loop's ticket and does not set `loops`
 *     BUG_TAKEN_BACK         a loop that wakes up takes back the ticket, which is another's by then
 *     BUG_NOT_AGAIN          a loop that finds a ticket adds none
 *     BUG_EVENTS_HIDE         one that is there for events says so, although it overwrites the ticket of one that wants room
 *     BUG_NOTICE_IGNORED     the kernel's word is not listened to */

#ifndef LOOPS
#define LOOPS 1
#endif
#ifndef CALLERS
#define CALLERS 1
#endif
#ifndef MESSAGES
#define MESSAGES 2
#endif
#ifndef KILLS
#define KILLS 0
#endif
#ifndef IDLERS
#define IDLERS 0
#endif
#define SENDERS (LOOPS + CALLERS + IDLERS)
#define RECEIVER SENDERS
#define NOBODY 255

mtype = {WAITING, WISH, ROOM, HOLDER};

/* Memory. A ticket's lowest bit says that it is a loop's, the next one that it is for events only. */
byte waiting, wish, room, holder = NOBODY, sent;

/* The receiver's: the ticket that it looks at, and the last one that it woke. */
byte seen, last;

/* Store buffers, by process. A store with a fence behind it is one step: no process sees it before it is in memory. */
chan stores[SENDERS + 1] = [3] of {mtype, byte};

/* The kernel: notices that a file was touched or closed, and the wake count that callers sleep on. */
bool notice[LOOPS], woken, dead[SENDERS];
byte deaths;

#define EMPTY empty(stores[me])
#define FOR_EVENTS(ticket) (ticket % 4 >= 2)
#if LOOPS > 1
#define ALL_TOLD notice[0] = true; notice[1] = true
#else
#define ALL_TOLD notice[0] = true
#endif

inline apply(who) {
    if
    :: stores[who]?WAITING, value -> waiting = value
    :: stores[who]?WISH, value -> wish = value
    :: stores[who]?ROOM, value -> room = value
    :: stores[who]?HOLDER, value -> holder = value
    fi;
    value = 0
}

proctype Memory() {
    byte value;
end:
    do
    :: atomic {nempty(stores[0]) -> apply(0)}
    :: atomic {nempty(stores[1]) -> apply(1)}
    :: atomic {nempty(stores[SENDERS - 1]) -> apply(SENDERS - 1)}
    :: atomic {nempty(stores[RECEIVER]) -> apply(RECEIVER)}
    od
}

/* --- The receiver -------------------------------------------------------------------------------------------------------- */

proctype Receiver() {
    byte released, me = RECEIVER;
    do
    :: released == (LOOPS + CALLERS) * MESSAGES -> break
    :: else ->
#ifdef BUG_NO_FENCE_WAKER
        atomic {released++; stores[me]!ROOM, released};
#else
        atomic {released++; room = released};
#endif
        seen = waiting;
        if
        :: seen == 0 || seen == last || FOR_EVENTS(seen)
        :: else ->
            atomic {
                EMPTY -> /* a system call */
                if
                :: seen % 2 == 1 -> ALL_TOLD
                :: else -> woken = true
                fi
            };
            last = seen
        fi;
        seen = 0
    od
}

/* --- Turns ---------------------------------------------------------------------------------------------------------------- */

#define HAS_ROOM (sent < room)
#define CAN_BE_TAKEN (holder == NOBODY || holder != me && dead[holder])

/* Sets `has_lock`: whether it was free, or its holder is dead. */
inline try_lock() {
    atomic {
        if
        :: EMPTY && CAN_BE_TAKEN -> holder = me; has_lock = true
        :: EMPTY && !CAN_BE_TAKEN -> has_lock = false
        fi
    }
}

inline unlock() {
#ifdef BUG_NO_FENCE_RELEASE
    stores[me]!HOLDER, NOBODY;
#else
    atomic {EMPTY -> holder = NOBODY};
#endif
#ifndef BUG_NOT_TOLD
    if
    :: wish == 1 ->
#ifdef BUG_CLEARED_LATE
        atomic {EMPTY -> ALL_TOLD};
        stores[me]!WISH, 0
#else
        atomic {EMPTY -> wish = 0};
        atomic {ALL_TOLD}
#endif
    :: else
    fi
#endif
}

/* Tickets are never given twice; those that no process knows any more may be, which keeps the states few. */
#define UNKNOWN(ticket) (ticket != waiting / 4 && ticket != seen / 4 && ticket != last / 4)

#define NEW_TICKET (UNKNOWN(1) -> 4 : (UNKNOWN(2) -> 8 : (UNKNOWN(3) -> 12 : 16)))

inline arm() {
#ifdef BUG_NO_FENCE_LOOP
    stores[me]!WAITING, NEW_TICKET + 1
#else
    atomic {EMPTY -> waiting = NEW_TICKET + 1}
#endif
}

/* --- In a loop ------------------------------------------------------------------------------------------------------------ */

proctype Loop(byte me) {
    byte done;
    bool has_lock, something;
    do
    :: done == MESSAGES -> break
    :: else ->
        something = false;
        try_lock(); /* leat_send with LEAT_NOW */
        if
        :: has_lock && HAS_ROOM ->
            atomic {sent++; done++};
            unlock();
            goto next
        :: has_lock && !HAS_ROOM -> unlock()
        :: !has_lock
        fi;
        if /* what was told of so far has been taken, or not */
        :: notice[me] = false
        :: true
        fi;
        try_lock();
        if
        :: has_lock
        :: else ->
#ifdef BUG_NO_FENCE_WISH
            stores[me]!WISH, 1;
#elif !defined(BUG_NO_WISH)
            atomic {EMPTY -> wish = 1};
#endif
#ifdef BUG_NO_SECOND_TRY
            has_lock = false
#elif defined(BUG_NO_FENCE_WISH)
            if
            :: CAN_BE_TAKEN -> try_lock()
            :: else
            fi
#else
            try_lock()
#endif
        fi;
        if
        :: has_lock ->
#ifdef BUG_NOT_AGAIN
            if
            :: waiting % 2 == 1
            :: else -> arm()
            fi;
#else
            arm();
#endif
#ifndef BUG_NO_LOOK
            something = HAS_ROOM;
#endif
            unlock()
        :: else
        fi;
        if
        :: something
        :: else -> atomic {notice[me] -> notice[me] = false} /* asleep */
        fi;
#ifdef BUG_TAKEN_BACK
        stores[me]!WAITING, 0;
#endif
next:
        has_lock = false
    od
}

/* --- In a loop, for events only ----------------------------------------------------------------------------------------------- */

proctype Idler(byte me) {
    byte times;
    bool has_lock, events_only;
    do
    :: times == 2 -> break
    :: else ->
        times++;
        try_lock();
        if
        :: has_lock ->
#ifdef BUG_EVENTS_HIDE
            events_only = true;
#else
            events_only = waiting % 2 == 0 || FOR_EVENTS(waiting) || last == waiting;
#endif
            atomic {EMPTY -> waiting = NEW_TICKET + 1 + (events_only -> 2 : 0); events_only = false};
            unlock()
        :: else -> atomic {EMPTY -> wish = 1}
        fi
    od
}

/* --- In calls --------------------------------------------------------------------------------------------------------------- */

#if KILLS > 0
#define STEP if :: atomic {deaths < KILLS -> deaths++; goto dies} :: skip fi
#else
#define STEP skip
#endif

proctype Caller(byte me) {
    byte done;
    do
    :: done == MESSAGES -> break
    :: else ->
        atomic {EMPTY && CAN_BE_TAKEN -> holder = me};
        do
        :: HAS_ROOM -> break
        :: else ->
            STEP;
#ifndef BUG_NOT_DISPLACED
            if
            :: waiting % 2 == 1 -> atomic {EMPTY -> wish = 1} /* the fence of the ticket does for it */
            :: else
            fi;
#endif
            atomic {EMPTY -> woken = false; waiting = NEW_TICKET};
            STEP;
            if
            :: HAS_ROOM
            :: else -> atomic {woken -> woken = false} /* asleep; woken too early it would look again */
            fi;
            STEP;
            stores[me]!WAITING, 0
        od;
        STEP;
        atomic {sent++; done++};
        STEP;
        unlock();
        STEP
    od;
    goto over;
dies:
    EMPTY;
    dead[me] = true;
#ifndef BUG_NOTICE_IGNORED
    atomic {ALL_TOLD};
#endif
over:
    skip
}

init {
    atomic {
        run Memory();
        run Receiver();
        run Loop(0);
#if LOOPS > 1
        run Loop(1);
#endif
#if CALLERS > 0
        run Caller(LOOPS);
#endif
#if IDLERS > 0
        run Idler(LOOPS + CALLERS)
#endif
    }
}
