/* sleep.pml - no process sleeps through a message (channels/queue/role.h), on a machine with store buffers (TSO).
 *
 * A sender publishes MESSAGES messages and wakes a receiver that sleeps; the receiver takes all of them. Sleeps have no slices here:
 * whoever is not woken sleeps for ever, and Spin reports that as an invalid end state. Either role may be killed once, at any step; what
 * it had stored reaches memory, and a successor takes over. In leat the slice covers a sender that dies with no process
 * coming after it; here a successor always comes, and must wake.
 *
 * The sender may become hot at any time, and cools down when it has to wake: while it is hot it leaves out its fence, and whoever falls
 * asleep makes it have one, which waits until its stores have reached memory.
 *
 * The direction from receiver to sender (room instead of messages) is the same code, and never hot.
 *
 * -DBUG_... leaves one thing out; Spin must find the receiver asleep then:
 *     BUG_NO_FENCE_SLEEPER       [S1] between arming and the poll
 *     BUG_NO_FENCE_WAKER        [S2] between publishing and reading the ticket
 *     BUG_NO_LOOK                the sleeper does not poll again after arming
 *     BUG_COUNT_READ_LATE         the wake count is read after the look instead of before it
 *     BUG_WAKE_BEFORE_PUBLISH    the sender reads the ticket first
 *     BUG_SAME_TICKET            all sleeps have the same ticket
 *     BUG_TICKETS_RESTART        a successor counts tickets from the beginning again
 *     BUG_NOTED_BEFORE_WAKE       the ticket is noted as woken before the wake count changes
 *     BUG_SUCCESSOR_SILENT       a new sender does not wake
 *     BUG_NO_BARRIER             [S3] the sleeper sends none to a hot sender
 *     BUG_BARRIER_FIRST          it sends it before it arms
 *     BUG_HOT_UNSAID             a sender is hot before everybody can see it */

#define MESSAGES 3

/* Memory. */
byte published, wake_count, waiting, tickets, woken, got;
bool asleep, hot;

/* Store buffers: first in, first out. */
mtype = {PUBLISHED, WOKEN, HOT, WAITING, TICKETS};
chan sender_stores = [3] of {mtype, byte};
chan receiver_stores = [3] of {mtype, byte};
#define FENCE(buffer) (empty(buffer))

byte sender_deaths, receiver_deaths;
#define S_STEP if :: atomic {sender_deaths < 1 -> sender_deaths++; goto dead} :: skip fi
#define R_STEP if :: atomic {receiver_deaths < 1 -> receiver_deaths++; goto dead} :: skip fi

active proctype Memory() {
    byte value;
end:
    do
    :: atomic {sender_stores?PUBLISHED(value) -> published = value}
    :: atomic {sender_stores?WOKEN(value) -> woken = value}
    :: atomic {sender_stores?HOT(value) -> hot = value}
    :: atomic {receiver_stores?WAITING(value) -> waiting = value}
    :: atomic {receiver_stores?TICKETS(value) -> tickets = value}
    od
}

/* leat__role_wake. The increment of the wake count is a locked instruction: it empties the store buffer. */
inline wake() {
#ifndef BUG_NO_FENCE_WAKER
    if
    :: is_hot
    :: else -> FENCE(sender_stores)
    fi;
#endif
    ticket = waiting;
    if
    :: ticket == 0 || ticket == last_woken -> skip
    :: else ->
        if
        :: is_hot -> is_hot = false; sender_stores!HOT(false)
        :: else
        fi;
        S_STEP;
#ifdef BUG_NOTED_BEFORE_WAKE
        last_woken = ticket;
        sender_stores!WOKEN(ticket);
        S_STEP;
#endif
        atomic {FENCE(sender_stores) -> wake_count++};
        S_STEP;
        asleep = false;
        S_STEP;
#ifndef BUG_NOTED_BEFORE_WAKE
        last_woken = ticket;
        sender_stores!WOKEN(ticket);
#endif
    fi
}

active proctype Sender() {
    byte next, ticket, last_woken;
    bool is_hot;
life:
    do
    :: !is_hot && next > 0 && next < MESSAGES ->
        sender_stores!HOT(true);
#ifdef BUG_HOT_UNSAID
        is_hot = true
#else
        FENCE(sender_stores);
        is_hot = true
#endif
    :: next < MESSAGES ->
        S_STEP;
#ifdef BUG_WAKE_BEFORE_PUBLISH
        wake();
        next++;
        sender_stores!PUBLISHED(next)
#else
        next++;
        sender_stores!PUBLISHED(next);
        S_STEP;
        wake()
#endif
    :: else -> goto over
    od;
dead: /* what it finds in memory is all that a successor knows */
    atomic {FENCE(sender_stores) -> next = published; last_woken = woken; ticket = 0; is_hot = false; hot = false};
#ifndef BUG_SUCCESSOR_SILENT
    wake();
#endif
    goto life;
over:
    skip
}

active proctype Receiver() {
    byte ticket, expected;
life:
    do
    :: got == MESSAGES -> goto over
    :: published > got -> got++; R_STEP
    :: published == got && got < MESSAGES ->
#ifndef BUG_COUNT_READ_LATE
        expected = wake_count;
#endif
        R_STEP;
#ifdef BUG_SAME_TICKET
        ticket = 1;
#else
        ticket++;
#endif
        receiver_stores!TICKETS(ticket);
        R_STEP;
#ifdef BUG_BARRIER_FIRST
        if
        :: hot -> FENCE(sender_stores)
        :: else
        fi;
#endif
        receiver_stores!WAITING(ticket);
        R_STEP;
#ifndef BUG_NO_FENCE_SLEEPER
        FENCE(receiver_stores);
#endif
#ifndef BUG_NO_BARRIER
#ifndef BUG_BARRIER_FIRST
        if
        :: hot -> FENCE(sender_stores)
        :: else
        fi;
#endif
#endif
        if
#ifndef BUG_NO_LOOK
        :: published > got -> skip
        :: published == got ->
#else
        :: true ->
#endif
#ifdef BUG_COUNT_READ_LATE
            expected = wake_count;
#endif
            R_STEP;
            atomic {asleep = (wake_count == expected)}; /* the kernel compares and goes to sleep in one step */
            if
            :: !asleep
            :: atomic {receiver_deaths < 1 -> receiver_deaths++; goto dead}
            fi
        fi;
        receiver_stores!WAITING(0);
        R_STEP
    od;
dead:
    atomic {FENCE(receiver_stores) -> asleep = false; ticket = tickets; expected = 0};
#ifdef BUG_TICKETS_RESTART
    ticket = 0;
#endif
    receiver_stores!WAITING(0);
    goto life;
over:
    skip
}
