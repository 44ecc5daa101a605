/* watch.pml - whoever sleeps on a watch is woken by every message and told of every death (channels/queue/role.h, lib/os/os.h), on a machine
 * with store buffers (TSO).
 *
 * A sender publishes MESSAGES messages, and may be killed at any step; no process follows it. The receiver sleeps on a watch and on nothing
 * else, without an end to its sleep: a wake-up that is missing shows as an invalid end state. The kernel tells of a death in
 * two steps: first it wakes the watch, then it drops the lock. A slice of 50 ms is longer than the time between the two: that is the one
 * thing assumed of time here, and what the longest slice, a minute, is for should it ever be wrong.
 *
 * -DBUG_... leaves one thing out; Spin must find a fault then:
 *     BUG_NO_FENCE_SLEEPER     [S1] between arming and the poll
 *     BUG_NO_FENCE_WAKER      [S2] between publishing and reading the ticket
 *     BUG_NO_LOOK              the sleeper does not poll again after arming
 *     BUG_CLEAR_LATE           the watch is cleared after the look instead of before the ticket
 *     BUG_CLOSE_IS_NOTHING     the receiver goes back to the watch although it was told that somebody let go of the object
 *     BUG_NO_FIRST_SLICE       a wait begins with the watch
 *     BUG_NEW_WATCH_TRUSTED    the receiver sleeps on a watch that was not there when the slice before began
 *     BUG_NOT_LOOKED_AGAIN     the receiver believes in the death without looking for messages once more */

#define MESSAGES 3

/* Memory, and what the kernel knows. */
byte published, waiting, got;
bool watched, touched, closed, locked = true;
bool dying; /* between the two steps */

/* Store buffers: first in, first out. */
mtype = {PUBLISHED, WAITING};
chan sender_stores = [2] of {mtype, byte};
chan receiver_stores = [2] of {mtype, byte};
#define FENCE(buffer) (empty(buffer))

#define S_STEP if :: goto dead :: skip fi

active proctype Memory() {
    byte value;
end:
    do
    :: atomic {sender_stores?PUBLISHED(value) -> published = value}
    :: atomic {receiver_stores?WAITING(value) -> waiting = value}
    od
}

active proctype Sender() {
    byte next, ticket, last_woken;
    do
    :: next < MESSAGES ->
        next++;
        sender_stores!PUBLISHED(next);
        S_STEP;
#ifndef BUG_NO_FENCE_WAKER
        FENCE(sender_stores);
#endif
        ticket = waiting;
        S_STEP;
        if
        :: ticket == 0 || ticket == last_woken -> skip
        :: else ->
            touched = watched;
            last_woken = ticket;
            S_STEP
        fi
    :: next == MESSAGES -> (got == MESSAGES); break /* stays until everything has arrived */
    od;
dead: /* or leaving: what it stored reaches memory before the kernel looks after its files */
    FENCE(sender_stores);
    atomic {closed = watched; dying = true};
    atomic {locked = false; dying = false}
}

#define SLICE (!dying || published > got)

active proctype Receiver() {
    byte ticket;
    bool was_closed, lives;
wait:
    do
    :: published > got -> got++
    :: published == got -> break
    od;
#ifndef BUG_NO_FIRST_SLICE
    SLICE;
#endif
again:
    was_closed = false;
    if
    :: !watched ->
        watched = true;
#ifndef BUG_NEW_WATCH_TRUSTED
        SLICE
#endif
    :: else
    fi;
#ifndef BUG_CLEAR_LATE
    atomic {was_closed = closed; touched = false; closed = false};
#endif
#ifndef BUG_CLOSE_IS_NOTHING
    if
    :: was_closed -> SLICE
    :: else
    fi;
#endif
    lives = locked;
    if
#ifndef BUG_NOT_LOOKED_AGAIN
    :: published > got -> goto wait
    :: published == got && !lives -> goto told
    :: published == got && lives
#else
    :: !lives -> goto told
    :: lives
#endif
    fi;
    ticket++;
    receiver_stores!WAITING(ticket);
#ifndef BUG_NO_FENCE_SLEEPER
    FENCE(receiver_stores);
#endif
    if
#ifndef BUG_NO_LOOK
    :: published > got
    :: published == got ->
#else
    :: true ->
#endif
#ifdef BUG_CLEAR_LATE
        atomic {was_closed = closed; touched = false; closed = false};
#endif
        (touched || closed)
    fi;
    receiver_stores!WAITING(0);
    if
    :: published > got -> goto wait
    :: published == got -> goto again
    fi;
told:
    assert(got == published)
}
