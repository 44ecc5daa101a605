/* wait set.pml - channels in an event loop (channels/waitset/waitset.h, channels/queue/role_wake.c), on a machine with store buffers (TSO): the loop never sleeps for ever while
 * a message waits or a sender has died, and is woken at most once for each ticket.
 *
 * CHANNELS senders publish MESSAGES each and wake; KILLS of them die, at any step, and no process follows. What they had stored reaches memory, then the kernel notes that
 * a file was closed, and later it drops the lock. The loop's descriptor is readable while there is a token, a notice or a timer that has run out; sleeps
 * have no other end. The loop takes one message at a time; it may leave off before all are taken, and make a blocking call that ends with its deadline: each LEFT_OFF times.
 *
 * The timer that looks at a channel again after a notice may run out at any moment, but the last time not before the lock was dropped: it is given 61 ms for that.
 *
 * Left out: senders in a loop, who wait for room with the same code; hot senders and successors (sleep.pml); files that are touched instead of a token, which
 * are notices that always make ready; tokens of members that were removed; a socket that is full or lost, which are files that are touched.
 *
 * -DBUG_... leaves one thing out or does it wrongly; Spin must find the loop asleep or an assertion violated:
 *     BUG_NO_FENCE_LOOP     [S1] between arming and the poll
 *     BUG_NO_FENCE_WAKER   [S2] between publishing and reading the ticket
 *     BUG_NO_LOOK           the loop does not poll again after arming
 *     BUG_NOT_ARMED     a channel is armed without
 *     BUG_SAME_TICKET       all tickets have the same ticket
 *     BUG_TOKEN_DROPPED     tokens are taken, and their channels not looked at
 *     BUG_NOT_RAISED_AGAIN    who leaves off does not say so
 *     BUG_NOT_DISARMED     a blocking call overwrites the ticket, and the loop believes it is still there
 *     BUG_NOTICE_IGNORED    no process asks about a sender whose file was closed
 *     BUG_LOOKED_ONCE       ... and after the first time no process asks again
 *     BUG_WOKEN_ALWAYS       the sender does not remember for which ticket it has woken */

#ifndef CHANNELS
#define CHANNELS 1
#endif
#ifndef MESSAGES
#define MESSAGES 3
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef LEFT_OFF
#define LEFT_OFF 1
#endif
#define LOOKS 2

/* Memory. A ticket's lowest bit says that it is the loop's, and not a blocking call's. */
byte published[CHANNELS], waiting[CHANNELS];

/* Store buffers. */
byte unpublished[CHANNELS]; /* messages that only their sender sees */
chan stores = [2] of {byte, byte};

/* The kernel. */
bool token[CHANNELS], notice[CHANNELS], locked[CHANNELS];
bool own_token;
byte timer[CHANNELS]; /* 0: not set; 1: set for the last time; 2: set */
byte deaths;

/* What the model itself knows. */
bool over[CHANNELS];     /* the sender has published all it will */
byte last[CHANNELS];     /* the ticket that was last woken */
byte total[CHANNELS], got[CHANNELS];
bool told[CHANNELS];

#define STEP if :: atomic {deaths < KILLS -> deaths++; goto dead} :: skip fi

proctype Memory() {
    byte channel, value;
end:
    do
    :: atomic {unpublished[0] > 0 -> unpublished[0]--; published[0]++}
#if CHANNELS > 1
    :: atomic {unpublished[1] > 0 -> unpublished[1]--; published[1]++}
#endif
    :: atomic {stores?channel, value -> waiting[channel] = value; channel = 0; value = 0}
    od
}

proctype Sender(byte c) {
    byte ticket, woken;
    do
    :: total[c] == MESSAGES -> break
    :: else ->
        STEP;
        atomic {total[c]++; unpublished[c]++};
        STEP;
#ifndef BUG_NO_FENCE_WAKER
        unpublished[c] == 0;
#endif
        ticket = waiting[c];
        if
#ifdef BUG_WOKEN_ALWAYS
        :: ticket == 0
#else
        :: ticket == 0 || ticket == woken
#endif
        :: else ->
            STEP;
            atomic {
                unpublished[c] == 0;
                assert(ticket != last[c]);
                last[c] = ticket;
                if
                :: ticket % 2 == 1 -> token[c] = true
                :: else /* a blocking call sleeps on the wake count */
                fi
            };
            STEP;
            woken = ticket
        fi;
        ticket = 0
    od;
    goto end;
dead:
    unpublished[c] == 0;
    notice[c] = true;
    atomic {locked[c] = false; ticket = 0; woken = 0};
end:
    over[c] = true
}

#define DIED(c) (!locked[c] && !told[c])
#define HAS_SOMETHING(c) (published[c] > got[c] || asks[c] && DIED(c))
#define FINISHED(c) (over[c] && got[c] == total[c] && !DIED(c))

inline make_ready(c) {
    if
    :: armed[c] -> stores!c, 0
    :: else
    fi;
    armed[c] = false;
    ready[c] = true
}

inline arm(c, flag) {
#ifndef BUG_SAME_TICKET
    ticket[c]++;
#endif
    stores!c, ticket[c] * 2 + flag
}

/* Those that the kernel tells of. Tokens first; the rest if there were none, and now and then. */
inline collect(c) {
    if
    :: token[c] ->
        token[c] = false;
#ifndef BUG_TOKEN_DROPPED
        make_ready(c)
#endif
    :: else
    fi;
    if
    :: notice[c] ->
        notice[c] = false;
#ifndef BUG_NOTICE_IGNORED
        asks[c] = true;
        looks[c] = LOOKS;
#endif
        make_ready(c)
    :: timer[c] == 2 || timer[c] == 1 && !locked[c] ->
        timer[c] = 0;
        asks[c] = true;
        make_ready(c)
    :: true
    fi
}

#ifdef BUG_NO_FENCE_LOOP
#define FENCE skip
#else
#define FENCE empty(stores)
#endif

/* leat_waitset_next for a channel in the list. Sets `returned`. */
inline poll_or_arm(c) {
    returned = false;
    ready[c] = false;
    if
    :: HAS_SOMETHING(c) -> returned = true
    :: else ->
#ifndef BUG_NOT_ARMED
        arm(c, 1);
#endif
        FENCE;
        if
#ifndef BUG_NO_LOOK
        :: HAS_SOMETHING(c) -> stores!c, 0; returned = true
#endif
        :: else ->
            armed[c] = true;
            asks[c] = false;
            if
            :: looks[c] > 0 ->
                looks[c]--;
#ifndef BUG_LOOKED_ONCE
                timer[c] = (looks[c] == 0 -> 1 : 2)
#endif
            :: else
            fi
        fi
    fi
}

/* leat_recv with LEAT_NOW. */
inline receive(c) {
    ready[c] = true;
    if
    :: published[c] > got[c] -> got[c]++
    :: else -> told[c] = told[c] || !locked[c]
    fi
}

/* leat_recv with a deadline that passes. */
inline call(c) {
    arm(c, 0);
    empty(stores);
    if
    :: published[c] > got[c] -> got[c]++
    :: true
    fi;
    stores!c, 0;
#ifndef BUG_NOT_DISARMED
    if
    :: armed[c] -> make_ready(c); own_token = true
    :: else
    fi
#endif
}

#if CHANNELS > 1
#define ANY(what) (what(0) || what(1))
#define ALL(what) (what(0) && what(1))
#else
#define ANY(what) what(0)
#define ALL(what) what(0)
#endif
#define READABLE(c) (token[c] || notice[c] || timer[c] == 2 || timer[c] == 1 && !locked[c])
#define IS_READY(c) ready[c]

proctype Loop() {
    bool ready[CHANNELS], armed[CHANNELS], asks[CHANNELS], returned;
    byte ticket[CHANNELS], looks[CHANNELS], left_off, calls;
    atomic {
        ready[0] = true;
        asks[0] = true;
#if CHANNELS > 1
        ready[1] = true;
        asks[1] = true
#endif
    }
    do
    :: ALL(FINISHED) && !ANY(IS_READY) -> break
    :: !ANY(IS_READY) && (own_token || ANY(READABLE)) || ANY(IS_READY) && own_token -> /* the descriptor is readable */
        own_token = false;
        collect(0);
#if CHANNELS > 1
        collect(1)
#endif
    :: ready[0] ->
        poll_or_arm(0);
        if
        :: returned -> receive(0)
        :: else
        fi
#if CHANNELS > 1
    :: ready[1] ->
        poll_or_arm(1);
        if
        :: returned -> receive(1)
        :: else
        fi
#endif
    :: ANY(IS_READY) && left_off < LEFT_OFF -> /* and sleeps, with channels that are not armed */
        left_off++;
#ifndef BUG_NOT_RAISED_AGAIN
        own_token = true;
#endif
        own_token || ANY(READABLE)
    :: calls < LEFT_OFF -> calls++; call(0)
    od
}

init {
    atomic {
        locked[0] = true;
        run Memory();
        run Sender(0);
#if CHANNELS > 1
        locked[1] = true;
        run Sender(1);
#endif
        run Loop()
    }
}
